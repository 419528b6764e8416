package regex

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

func dataFile(t *testing.T, name string) string {
	dir := os.Getenv("SHOWCAUSE_DATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no data: " + name)
	}
	return path
}

// conformanceCase is a line of conformance.jsonl.
type conformanceCase struct {
	ID, Suite, Rule, Input, Expect, Error string
	RuleHex                               string `json:"rule_hex"`
	Capture                               *string
}

// oneRegexp takes a rule whose only string is a regular expression apart.
var oneRegexp = regexp.MustCompile(`(?s)strings:\s*\$[a-z]*\s*=\s*/((?:[^/\\\n]|\\.)+)/([is]*)((?:\s+(?:nocase|wide|ascii|fullword|private))*)\s+condition:\s*(.*?)\s*\}\s*$`)

func TestConformance(t *testing.T) {
	f, err := os.Open(dataFile(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ran := map[string]int{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var c conformanceCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if c.RuleHex != "" {
			b, _ := hex.DecodeString(c.RuleHex)
			c.Rule = string(b)
		}
		if m := oneRegexp.FindStringSubmatch(c.Rule); m != nil && strings.Count(c.Rule, "condition") == 1 {
			if runCase(t, &c, m) {
				ran[c.Suite+" "+c.Expect]++
			}
		}
	}
	t.Log(ran)
	if ran["yara match"] < 100 || ran["yara-x match"] < 150 {
		t.Errorf("too few cases were understood: %v", ran)
	}
}

var lengthIs = regexp.MustCompile(`^!a(?:\[1\])? == (\d+)$`)

// runCase tells whether the case is one of this package.
func runCase(t *testing.T, c *conformanceCase, m []string) bool {
	src, cond := m[1], m[4]
	flags := syntax.Flags{CaseInsensitive: strings.Contains(m[2], "i") || strings.Contains(m[3], "nocase"), DotAll: strings.Contains(m[2], "s")}
	if c.Suite == "yara-x" {
		flags.Dialect = syntax.YARAX
	}
	o := Options{Ascii: strings.Contains(m[3], "ascii"), Wide: strings.Contains(m[3], "wide"), FullWord: strings.Contains(m[3], "fullword")}
	if c.Suite == "yara-x" && strings.Contains(src, "b{.*}") {
		flags.Relaxed = true // the suite runs this one so
	}
	tree, err := syntax.Parse(src, flags)
	if err == nil && c.Suite == "yara-x" && tree.Root.MinLen() == 0 {
		err = os.ErrInvalid
	}
	if c.Expect == "compile_error" {
		if err == nil && c.Error == "ERROR_INVALID_REGULAR_EXPRESSION" {
			t.Errorf("%s: /%s/ was accepted", c.ID, src)
		}
		return true
	}
	if err != nil {
		t.Errorf("%s: %v", c.ID, err)
		return true
	}
	p, atoms, err := Compile(tree, o)
	if err != nil {
		t.Errorf("%s: /%s/: %v", c.ID, src, err)
		return true
	}
	data, err := hex.DecodeString(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	hits := search(t, p, atoms, bytesInput(data), data)
	ok := len(hits) > 0
	if l := lengthIs.FindStringSubmatch(cond); l != nil {
		n, _ := strconv.Atoi(l[1])
		ok = ok && hits[0].n == int64(n)
	} else if cond != "$a" && cond != "$" {
		return false
	}
	switch c.Expect {
	case "match":
		if !ok {
			t.Errorf("%s: /%s/ %v %s does not match %q: %v", c.ID, src, o, cond, data, hits)
		}
	case "nomatch":
		if ok {
			t.Errorf("%s: /%s/ %v %s matches %q: %v", c.ID, src, o, cond, data, hits)
		}
	default:
		return false
	}
	if c.Capture == nil || c.Expect != "match" {
		return true
	}
	for _, h := range hits {
		if hex.EncodeToString(data[h.off:h.off+h.n]) == *c.Capture {
			return true
		}
	}
	t.Errorf("%s: /%s/ %v on %q: %v, want %s", c.ID, src, o, data, hits, *c.Capture)
	return true
}

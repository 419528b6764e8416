package regex

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex/syntax"
)

// yaraCase is one expression and how it is searched for.
type yaraCase struct {
	src   string
	flags syntax.Flags
	o     Options
}

func (c *yaraCase) rule(i int) string {
	mods := ""
	for _, m := range []struct {
		on   bool
		text string
	}{{c.flags.CaseInsensitive, " nocase"}, {c.o.Ascii, " ascii"}, {c.o.Wide, " wide"}, {c.o.FullWord, " fullword"}} {
		if m.on {
			mods += m.text
		}
	}
	s := ""
	if c.flags.DotAll {
		s = "s"
	}
	return fmt.Sprintf("rule r%d { strings: $a = /%s/%s%s condition: $a }\n", i, c.src, s, mods)
}

var yaraGaveUp = regexp.MustCompile(`in rule "r(\d+)" caused error`)

// yaraHits runs yara over a file and returns the matches of each rule. The
// rules that yara gives up on are taken out.
func yaraHits(t *testing.T, cases []yaraCase, skip map[int]bool, file string) map[int][]hit {
	rules := file + ".yar"
	var out []byte
	for range 20 {
		var text strings.Builder
		for i := range cases {
			if !skip[i] {
				text.WriteString(cases[i].rule(i))
			}
		}
		if err := os.WriteFile(rules, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if out, err = exec.Command("yara", "-w", "-s", "-L", rules, file).CombinedOutput(); err == nil {
			break
		}
		m := yaraGaveUp.FindSubmatch(out)
		if m == nil {
			t.Fatalf("yara: %v\n%.2000s", err, out)
		}
		i, _ := strconv.Atoi(string(m[1]))
		skip[i] = true
	}
	hits := map[int][]hit{}
	rule := -1
	for _, line := range strings.Split(string(out), "\n") {
		if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "r") {
			if n, err := strconv.Atoi(name[1:]); err == nil {
				rule = n
				hits[rule] = nil
				continue
			}
		}
		if f := strings.SplitN(line, ":", 3); len(f) == 3 && strings.HasPrefix(f[0], "0x") {
			off, _ := strconv.ParseInt(f[0][2:], 16, 64)
			n, _ := strconv.ParseInt(f[1], 10, 64)
			hits[rule] = append(hits[rule], hit{off, n})
		}
	}
	return hits
}

// TestYARA compares matches with those of the yara command, version 4.2.3 or
// later. Where an expression has alternatives or lazy quantifiers, the end that
// yara reports follows from which bytes it looked for; and 4.2.3 takes what is
// optional at the start of an expression for mandatory, and the start of the
// file for an edge of a word. All others have to be the same.
func TestYARA(t *testing.T) {
	if _, err := exec.LookPath("yara"); err != nil {
		t.Skip("no yara command")
	}
	n := 600
	if testing.Short() {
		n = 100
	}
	dir := t.TempDir()
	var cases []yaraCase
	for seed := uint64(0); len(cases) < n; seed++ {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 11)), d: syntax.YARA4}
		k.lazy = k.IntN(3) == 0
		c := yaraCase{src: k.expr(0)}
		c.flags = syntax.Flags{CaseInsensitive: k.IntN(4) == 0, DotAll: k.IntN(3) == 0}
		c.o = Options{FullWord: k.IntN(4) == 0, Wide: k.IntN(4) == 0}
		c.o.Ascii = c.o.Wide && k.IntN(2) == 0
		if _, err := syntax.Parse(c.src, c.flags); err != nil {
			t.Fatalf("%s: %v", c.src, err)
		}
		cases = append(cases, c)
	}
	skip := map[int]bool{}
	compared, same := 0, 0
	for round := range 6 {
		k := &maker{Rand: rand.New(rand.NewPCG(uint64(round), 12))}
		var data []byte
		for range 4 {
			part := k.data(60)
			if k.IntN(2) == 0 {
				part = widened(part)
			}
			data = append(data, part...)
		}
		file := filepath.Join(dir, fmt.Sprint("data", round))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		theirs := yaraHits(t, cases, skip, file)
		for i := range cases {
			if skip[i] {
				continue
			}
			compared++
			if compareYARA(t, &cases[i], data, theirs[i]) {
				same++
			} else if !strings.ContainsAny(cases[i].src, "|?") && !strings.Contains(cases[i].src, "{0,") && !strings.Contains(cases[i].src, `\b`) {
				t.Errorf("%s", cases[i].src)
			}
		}
	}
	t.Logf("%d compared, %d the same", compared, same)
	if same*100 < compared*97 {
		t.Errorf("of %d compared only %d are the same", compared, same)
	}
}

func compareYARA(t *testing.T, c *yaraCase, data []byte, theirs []hit) bool {
	tree := parse(t, c.src, c.flags)
	p, atoms, err := Compile(tree, c.o)
	if err != nil {
		t.Fatalf("%s: %v", c.src, err)
	}
	ours := search(t, p, atoms, bytesInput(data), data)
	for i := range ours {
		if ours[i].n >= 512 && i < len(theirs) && theirs[i].n == 512 {
			ours[i].n = 512 // yara -L shows no more
		}
	}
	if fmt.Sprint(ours) == fmt.Sprint(theirs) {
		return true
	}
	t.Logf("%s on %q:\nours   %v\ntheirs %v", strings.TrimSpace(c.rule(0)), data, ours, theirs)
	return false
}

// checkRealYARA compares with the yara command over one file.
func checkRealYARA(t *testing.T, cases []yaraCase, data []byte) {
	if _, err := exec.LookPath("yara"); err != nil {
		t.Skip("no yara command")
	}
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := yaraHits(t, cases, map[int]bool{}, file)
	same, found := 0, 0
	for i := range cases {
		if compareYARA(t, &cases[i], data, theirs[i]) {
			same++
		}
		found += len(theirs[i])
	}
	t.Logf("%d of %d the same; %d matches", same, len(cases), found)
	if same < len(cases)-1 || found < len(cases)/2 {
		t.Errorf("only %d of %d are the same", same, len(cases))
	}
}

var yaraPieces = []string{
	"a", "b", ".", "*", "+", "?", "*?", "{2}", "{1,3}", "{,2}", "{2,}", "{,}", "{", "}", "{x", "{2", "(", ")", "|", "[", "]", "[ab]", "[^a]", "[]a]", "[^]]", "[a-c]",
	"^", "$", `\b`, `\B`, `\w`, `\S`, `\x41`, `\xg`, `\x4`, `\n`, `\g`, `\.`, `\]`, `\1`, `\0`, "-", "[z-a]", `[\w-z]`, `[a\]`, `[a-\x7a]`, `[\x41-B]`, ",", "(?i)", "(a)", "(a|b)", "{32767}", "{32768}", "{3,2}", "é",
}

// TestYARASyntax compares which expressions are accepted.
func TestYARASyntax(t *testing.T) {
	if _, err := exec.LookPath("yarac"); err != nil {
		t.Skip("no yarac command")
	}
	var text strings.Builder
	var cases []yaraCase
	for seed := range uint64(3000) {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 81))}
		src := "ab"
		for range 1 + k.IntN(4) {
			src += yaraPieces[k.IntN(len(yaraPieces))]
		}
		cases = append(cases, yaraCase{src: src})
		text.WriteString(cases[seed].rule(int(seed)))
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "r.yar")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("yarac", "-w", file, filepath.Join(dir, "out")).CombinedOutput()
	refused := map[string]bool{}
	for _, m := range yaraRefused.FindAllStringSubmatch(string(out), -1) {
		refused[m[1]] = true
	}
	differ := 0
	for i, c := range cases {
		_, err := syntax.Parse(c.src, syntax.Flags{})
		if theirs := refused[strconv.Itoa(i)]; theirs != (err != nil) {
			differ++
			t.Errorf("%s: %v, yarac refuses: %v", c.src, err, theirs)
		}
	}
	t.Logf("%d of %d refused, %d differ", len(refused), len(cases), differ)
}

var yaraRefused = regexp.MustCompile(`error: rule "r(\d+)"`)

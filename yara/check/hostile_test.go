package check

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// TestHostile holds that rules made to exhaust the checker get an error with a
// code, or are read, within bounded memory.
func TestHostile(t *testing.T) {
	n := 100000
	rep := strings.Repeat
	pattern := func(p string) string { return "rule a { strings: $a = " + p + " condition: $a }" }
	var many, dup strings.Builder
	for i := range maxPatterns + 1 {
		fmt.Fprintf(&many, "$a%d = \"abc%d\" ", i, i)
	}
	for range 2000 {
		dup.WriteString("rule a { condition: b }\n")
	}
	for _, c := range []struct {
		name, text string
		code       source.Code // empty: it is read
	}{
		{"hex alternatives", pattern("{ 01 (02" + rep("|03", n) + ") 04 }"), source.TooLarge},
		{"nested alternatives", pattern("{ 01 " + rep("(01 | ", n) + "02" + rep(")", n) + " }"), source.NestingTooDeep},
		{"regexp alternatives", pattern("/(a" + rep("|b", 5*n) + ")c/"), source.InvalidRegexp},
		{"regexp groups", pattern("/" + rep("(", n) + "a" + rep(")", n) + "/"), source.InvalidRegexp},
		{"repetition", pattern("/a{1073741824}/"), source.InvalidRegexp},
		{"nested repetition", pattern("/((((a{1000}){1000}){1000}){1000}){1000}b/"), ""},
		{"jumps", pattern("{ 01 " + rep("[1-1073741824] ", 1000) + "02 }"), ""},
		{"patterns", "rule a { strings: " + many.String() + "condition: any of them }", source.TooManyPatterns},
		{"the same rule", dup.String(), source.DuplicateRule},
		{"text", pattern(`"` + rep("a", 1<<22) + `"`), ""},
		{"sums", "rule a { condition: 1" + rep("+1", 9000) + " == filesize }", ""},
		{"terms", "rule a { condition: filesize > 1" + rep(" or filesize == 2", n) + " }", ""},
		{"names", "rule a { condition: " + rep("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa == 1 or ", n/10) + "true }", source.UnknownIdentifier},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r, _ := run(t, c.text, Options{})
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
			t.Errorf("%s: %d MB", c.name, grown>>20)
		}
		found := c.code == "" && !r.Failed()
		for _, d := range r.Diags {
			found = found || d.Code == c.code
		}
		if !found {
			t.Errorf("%s: not %q: %d diagnostics", c.name, c.code, len(r.Diags))
		}
		if len(r.Diags) > maxDiags {
			t.Errorf("%s: %d diagnostics", c.name, len(r.Diags))
		}
	}
}

// TestIncludeBomb holds that files that include others without end come to one.
func TestIncludeBomb(t *testing.T) {
	n := 0
	o := Options{Include: func(string, *source.Source) (string, string, error) {
		n++
		return fmt.Sprint("f", n), `include "x" include "y" include "z"`, nil
	}}
	r, _ := run(t, `include "x"`, o)
	if !r.Failed() || n > maxFiles+1 {
		t.Errorf("%d files read", n)
	}
}

// TestTruncated checks every prefix of some rules.
func TestTruncated(t *testing.T) {
	text := `import "pe" rule a : t { meta: m = 1 strings: $a = "x" xor(1-2) $b = { 01 ( 02 | 03 ) [4] 05 } $c = /a(b|c)+/i
condition: for any i in (0..#a) : (@a[i] < filesize \ 2) and pe.sections[0].name == "a" or any of ($*) at 3 and with x = 1 : (x == -~1) }`
	for n := range text {
		for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
			run(t, text[:n], Options{Dialect: d})
		}
	}
}

// TestFallback holds that a rule that YARA-X refuses is read as YARA 4 has it
// where both are taken.
func TestFallback(t *testing.T) {
	r, set := run(t, `import "dex"
rule y { condition: dex.header.magic == dex.DEX_FILE_MAGIC_035 }
rule x { condition: dex.header.magic == 1 and dex.is_dex }
rule b { condition: filesize == 1 and y and x }`, Options{})
	if r.Failed() {
		t.Fatal(render(set, r.Diags))
	}
	for i, want := range []source.Dialect{source.YARA, source.Either, source.Either} {
		if got := r.Rules[i].Dialect; got != want {
			t.Errorf("rule %s is read as %s, want %s", r.Rules[i].Name.Name, got, want)
		}
	}
}

// TestSets pins the members of sets and what names mean.
func TestSets(t *testing.T) {
	r, set := run(t, `rule a1 { condition: filesize == 1 }
rule a2 { condition: filesize == 2 }
rule b { strings: $x1 = "abcd" $y = "efgh" $x2 = "ijkl" condition: 1 of ($x*, $y, $x1) and any of (a*, a1) and a2 and all of (a1, a2) }`, Options{})
	if r.Failed() {
		t.Fatal(render(set, r.Diags))
	}
	var patterns, rules []string
	for _, m := range r.Sets {
		switch {
		case m.Rules != nil:
			rules = append(rules, fmt.Sprint(len(m.Rules)))
		default:
			patterns = append(patterns, fmt.Sprint(m.Patterns))
		}
	}
	if got := strings.Join(patterns, " "); got != "[0 2 1]" {
		t.Errorf("patterns %s", got)
	}
	if got := strings.Join(rules, " "); got != "2 2" {
		t.Errorf("rules %s", got)
	}
	if len(r.Refs) != 1 {
		t.Errorf("%d names of rules", len(r.Refs))
	}
}

// TestNamespaces holds that rules are known in their own namespace only.
func TestNamespaces(t *testing.T) {
	var set source.Sources
	one, _ := set.Add("1", "rule a { condition: filesize == 1 } rule b { condition: a }")
	two, _ := set.Add("2", "rule a { condition: filesize == 1 } rule c { condition: b }")
	r := Check(&set, []Input{{"x", one}, {"y", two}}, Options{})
	if len(r.Diags) != 1 || r.Diags[0].Code != source.UnknownIdentifier {
		t.Error(render(&set, r.Diags))
	}
}

// TestExternals holds that externals of all types are known.
func TestExternals(t *testing.T) {
	arr, err := module.Parse("a []int\nm {string}string\n", source.Either)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Externals: map[string]module.Value{
			"i": module.IntValue(1), "f": module.FloatValue(1), "s": module.TextValue(""), "b": module.BoolValue(true),
			"a": {Kind: module.Array}, "m": {Kind: module.Map},
		},
		Types: map[string]*module.Type{"a": arr.Field("a").Type, "m": arr.Field("m").Type},
	}
	r, set := run(t, `rule r { condition: i == 1 and f < 2.0 and s contains "x" and b and a[0] == 1 and m["x"] == "y" and for any k, v in m : (k == v) }`, o)
	if r.Failed() {
		t.Error(render(set, r.Diags))
	}
	if r, _ = run(t, `rule r { condition: s == 1 or a == 1 }`, o); len(r.Diags) != 2 {
		t.Error("types of externals are not held")
	}
}

func FuzzCheck(f *testing.F) {
	paths, _ := filepath.Glob("testdata/diagnostics/*.txt")
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, rules, _ := strings.Cut(string(text), "\n")
		rules, _, _ = strings.Cut(rules, goldenCut)
		if len(rules) < 2000 {
			f.Add(rules, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, d byte) {
		r, set := run(t, text, Options{Dialect: source.Dialect(d % 3), StrictEscapes: d&4 != 0})
		for _, diag := range r.Diags {
			if diag.Code == "" || diag.Title == "" || len(diag.Labels) == 0 || set.Find(diag.Range().Start) == nil {
				t.Errorf("diagnostic without a place: %+v", diag)
			}
		}
		render(set, r.Diags)
	})
}

// tokens cuts rule text into words, texts and signs.
var tokens = regexp.MustCompile(`"(\\.|[^"\\])*"|[$#@!]?\w+|\s+|.`)

// newer is what yarac 4.2 does not take and 4.5 does.
var newer = regexp.MustCompile(`~|\$_|\bin \("|at |string|\{,|\|\)|\(\||strict`)

// TestAgainstYarac holds that rules with a token dropped, doubled or put
// elsewhere are accepted or refused as the installed yarac does.
func TestAgainstYarac(t *testing.T) {
	yarac, err := exec.LookPath("yarac")
	if err != nil {
		t.Skip("yarac is not installed")
	}
	var rules []string
	for _, c := range cases(t) {
		if c.Suite == "yara" && c.Error == "" && len(c.Externals) == 0 && !newer.MatchString(c.Rule) && !strings.Contains(c.Rule, "import") {
			rules = append(rules, c.Rule)
		}
	}
	filepath.WalkDir(data(t, "yara/signature-base"), func(path string, _ fs.DirEntry, _ error) error {
		if text, err := os.ReadFile(path); err == nil && len(text) < 3000 && !newer.Match(text) && len(rules) < 600 {
			rules = append(rules, string(text))
		}
		return nil
	})
	rounds := 120
	if os.Getenv("SHOWCAUSE_LONG") != "" {
		rounds = 4000
	}
	g := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	refused, odd := 0, 0
	for range rounds {
		parts := tokens.FindAllString(rules[g.IntN(len(rules))], -1)
		i, j := g.IntN(len(parts)), g.IntN(len(parts))
		switch g.IntN(3) {
		case 0:
			parts[i] = ""
		case 1:
			parts[i] += " " + parts[i]
		default:
			parts[i], parts[j] = parts[j], parts[i]
		}
		text := strings.Join(parts, "")
		path := filepath.Join(dir, "r.yar")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(yarac, "-w", path, filepath.Join(dir, "out")).CombinedOutput()
		r, set := run(t, text, Options{Dialect: source.YARA})
		if err != nil {
			refused++
		}
		if r.Failed() != (err != nil) {
			odd++
			t.Errorf("yarac %v %.200s\nhere %.900s\n%.1500s", err, out, render(set, r.Diags), text)
		}
	}
	t.Logf("%d rules, %d refused, %d answered otherwise", rounds, refused, odd)
}

// TestDeep holds that conditions that stand in each other without end are refused,
// whatever they are made of.
func TestDeep(t *testing.T) {
	n := 20000
	for _, c := range []struct{ before, after string }{
		{"(", ")"},
		{"not ", ""},
		{"defined ", ""},
		{"-", ""},
		{"~", ""},
		{"1 + (", ")"},
		{"@a[", "]"},
		{"!a[", "]"},
		{"#a in (", "..2)"},
		{"#a in (1..", ")"},
		{"$a at ", ""},
		{"$a in (1..", ")"},
		{"uint8(", ")"},
		{"filesize(", ")"},
		{"pe.sections[", "]"},
		{"pe.a(", ")"},
		{"for any i in (1..2) : (", ")"},
		{"for any i in (", ") : (true)"},
		{"for any i in (1..", ") : (true)"},
		{"for ", " i in (1..2) : (true)"},
		{"for any of them : (", ")"},
		{"with i = 1 : (", ")"},
		{"with i = ", " : (true)"},
		{"any of (", ")"},
		{"1 of (", ")"},
		{"(", ") of them"},
		{"true and (", ")"},
		{"all of them in (", "..2)"},
		{"any of them at ", ""},
		{"1 == ", ""},
		{"(1)% of (", ")"},
	} {
		text := "import \"pe\" rule a { strings: $a = \"abcd\" condition: " + strings.Repeat(c.before, n) + "1" + strings.Repeat(c.after, n) + " }"
		for _, d := range []source.Dialect{source.YARA, source.YARAX} {
			r, _ := run(t, text, Options{Dialect: d})
			if !r.Failed() {
				t.Errorf("%s...%s is read", c.before, c.after)
			}
		}
	}
}

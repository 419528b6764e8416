package eval

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
)

// runText evaluates one rule over some bytes; ok is false if it does not compile.
func runText(t testing.TB, rule string, d source.Dialect, data string, o Options) (out *Outcome, res *check.Result, ok bool) {
	t.Helper()
	var set source.Sources
	src, err := set.Add("t.yar", rule)
	if err != nil {
		t.Fatal(err)
	}
	res = check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Externals: o.Externals})
	if res.Failed() {
		return nil, res, false
	}
	return Run(res, &input{data: []byte(data), res: res, cache: map[string][]Match{}}, o), res, true
}

// TestSemantics pins what conditions are in both dialects: t, f, or - for one
// that does not compile. The data is "abcab", in which $a is "ab"; uint8(9) is
// undefined.
func TestSemantics(t *testing.T) {
	for _, c := range []struct{ cond, yara, x string }{
		{"uint8(0) == 97", "t", "t"},
		{"uint8(9) == 97 or true", "t", "t"},
		{"not (uint8(9) == 97)", "f", "f"},
		{"not (uint8(9) == 97 and true)", "t", "t"},
		{"defined uint8(4) and not defined uint8(5)", "t", "t"},
		{"not defined uint16(4) and not defined uint8(-1)", "t", "t"},
		{"int8(0) == 97 and uint16be(0) == 0x6162 and int32(0) == 0x61636261", "t", "t"},
		{"9223372036854775807 + filesize == -9223372036854775804", "t", "t"},
		{"filesize \\ (filesize - 5) == 0", "f", "f"},
		{"defined (filesize % (filesize - 5))", "f", "f"},
		{"defined ((~9223372036854775807 + (filesize - 5)) \\ (4 - filesize))", "f", "f"},
		{"defined ((~9223372036854775807 + (filesize - 5)) % (4 - filesize))", "f", "t"},
		{"1 << (filesize + 60) == 0", "t", "t"},
		{"defined (1 << (4 - filesize))", "f", "f"},
		{"-1 >> (filesize + 60) == 0", "t", "t"},
		{"-7 \\ 2 == -3 and -7 % 2 == -1", "t", "t"},
		{"1.0 \\ 0 > 100", "t", "t"},
		{"1 == 1.0 and 7 \\ 2 == 3 and 7.0 \\ 2 == 3.5", "t", "t"},
		{"$a at 0 and $a at 3 and not $a at 1", "t", "t"},
		{"not ($a at uint8(9))", "t", "f"}, // YARA takes a place that is undefined for none
		{"not ($a in (0..uint8(9)))", "f", "f"},
		{"#a == 2 and #a in (1..4) == 1", "t", "t"},
		{"@a == 0 and @a[2] == 3 and not defined @a[3] and !a[2] == 2", "t", "t"},
		{"not defined @a[filesize - 5]", "t", "t"},
		{"@a[-1] == 0", "f", "-"},
		{"(filesize - 5) of them", "f", "f"}, // 0 is none
		{"(filesize - 4) of them", "t", "t"},
		{"(filesize - 6) of them", "t", "t"},
		{"uint8(9) of them", "t", "f"}, // YARA takes an undefined number for all
		{"50% of them and 100% of ($a)", "t", "t"},
		{"for any i in (0..4) : (uint8(i) == 99)", "t", "t"},
		{"for all i in (0..9) : (uint8(i) > 0)", "f", "f"},
		{"for none i in (9..10) : (uint8(i) > 0)", "t", "t"},
		{"for none i in (filesize..0 + #a) : (false)", "f", "f"}, // never round
		{"for all i in (filesize..0 + #a) : (true)", "f", "f"},
		{"not for any i in (0..uint8(9)) : (true)", "t", "t"},
		{"for any i in (uint8(9), 1) : (i == 1)", "t", "t"},
		{"for 2 i in (1, 2, 3) : (i > 1)", "t", "t"},
		{"for 3 i in (1, 2, 3) : (i > 1)", "f", "f"},
		{"for 60% i in (1, 2, 3) : (i > 1)", "-", "t"},
		{"for any s in (\"a\", \"b\") : (s == \"b\")", "t", "t"},
		{"for all of them : ($ at 0 and # == 2 and @[2] == 3 and ![1] == 2)", "t", "t"},
		{"with x = uint8(9), y = 2 : (not defined x and y == 2)", "-", "t"},
		{"with s = \"abc\" : (s.len() == 3)", "-", "t"},
		{"any of (false, $a at 3)", "-", "t"},
		{"\"AbC\" icontains \"BC\" and not \"AbC\" contains \"BC\"", "t", "t"},
		{"\"Abc\" istartswith \"aB\" and \"abC\" iendswith \"Bc\" and \"A\" iequals \"a\"", "t", "t"},
		{"\"abc\" matches /B/i and not \"abc\" matches /B/", "t", "t"},
		{"true and not false or uint8(9) == 1", "t", "t"},
		{"\"\" or 0 or 0.0", "f", "f"},
		{"entrypoint == 0", "f", "-"},
		{"1 == 1 == true", "-", "-"},
		{"float32(0) > 0.0", "-", "t"},
		{"filesize == 5 and #a in (0..0) == 1", "t", "t"},
	} {
		for d, want := range map[source.Dialect]string{source.YARA: c.yara, source.YARAX: c.x, source.Either: ""} {
			out, res, ok := runText(t, "rule r { strings: $a = \"ab\" condition: ("+c.cond+") and #a >= 0 }", d, "abcab", Options{})
			got := "-"
			if ok {
				got = "f"
				if out.Holds[res.Rules[0]] {
					got = "t"
				}
			}
			if want == "" { // where both are taken: YARA-X's answer, if it has one
				if want = c.x; want == "-" {
					want = c.yara
				}
			}
			if got != want {
				t.Errorf("%s in %s: %s, want %s", c.cond, d, got, want)
			}
		}
	}
}

// TestRules pins what holds of rules that name each other, and of global ones.
func TestRules(t *testing.T) {
	out, res, ok := runText(t, `private rule a { condition: filesize == 5 }
rule c0 { condition: false }
rule b { condition: a and not c0 }
rule c { condition: 2 of (a*, b) and none of (c0) }`, source.YARA, "abcab", Options{})
	if !ok {
		t.Fatal(res.Diags[0].Title)
	}
	if got := holds(out, res); got != "a b c" {
		t.Errorf("%q hold", got)
	}
	out, res, _ = runText(t, `global rule g { condition: filesize > 9 } rule a { condition: true }`, source.Either, "abcab", Options{})
	if got := holds(out, res); got != "" {
		t.Errorf("%q hold, though a global rule does not", got)
	}
}

func holds(out *Outcome, res *check.Result) string {
	var names []string
	for _, r := range res.Rules {
		if out.Holds[r] {
			names = append(names, r.Name.Name)
		}
	}
	return strings.Join(names, " ")
}

// TestLimit holds that a rule without end is stopped and told, and that rules
// built on it are, too.
func TestLimit(t *testing.T) {
	out, res, ok := runText(t, `rule a { condition: for all i in (0..9223372036854775807) : (i >= 0) }
rule b { condition: not a }
rule c { condition: filesize == 0 }
rule d { condition: for all i in (-9223372036854775807..9223372036854775807) : (for all j in (0..100000) : (i <= j)) }`, source.YARA, "", Options{Limit: 10000})
	if !ok {
		t.Fatal(res.Diags[0].Title)
	}
	var stopped []string
	for _, r := range out.Stopped {
		stopped = append(stopped, r.Name.Name)
	}
	if got := strings.Join(stopped, " "); got != "a b" && got != "a b d" {
		t.Errorf("%q stopped", got)
	}
	if got := holds(out, res); got != "c" {
		t.Errorf("%q hold", got)
	}
}

// everywhere is an input whose patterns are all found at some places.
type everywhere struct{ input }

func (everywhere) Matches(_ *check.Rule, i int) []Match {
	return []Match{{int64(i % 3), 2}, {3, 1}}
}

func FuzzRun(f *testing.F) {
	paths, _ := filepath.Glob("../check/testdata/diagnostics/*.txt")
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, rules, _ := strings.Cut(string(text), "\n")
		rules, _, _ = strings.Cut(rules, "\n-----\n")
		if len(rules) < 1000 {
			f.Add(rules, byte(i))
		}
	}
	for i := range 40 {
		g := newGrow(uint64(i))
		f.Add(fmt.Sprintf("rule r { strings: $a = \"ab\" $b = \"b\" $c = \"abc\" condition: %s or any of them }", g.boolean(3)), byte(i))
	}
	f.Fuzz(func(t *testing.T, text string, d byte) {
		var set source.Sources
		src, err := set.Add("t.yar", text)
		if err != nil {
			t.Skip()
		}
		res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: source.Dialect(d % 3)})
		in := &everywhere{input{data: []byte("abcab\x00\xff"), res: res}}
		first := Run(res, in, Options{Limit: 5000})
		again := Run(res, in, Options{Limit: 5000})
		for _, r := range res.Rules {
			if first.Holds[r] != again.Holds[r] {
				t.Errorf("rule %s: two answers", r.Name.Name)
			}
			c, ok := res.Consts[r.Cond]
			if _, ran := first.Holds[r]; ok && ran && !r.Bad && !r.Flag("global") && len(first.Stopped) == 0 && !hasGlobal(res) && c.Truth() != first.Holds[r] {
				t.Errorf("rule %s: the checker says %v, the evaluator %v: %s", r.Name.Name, c.Truth(), first.Holds[r], text)
			}
		}
	})
}

func hasGlobal(res *check.Result) bool {
	for _, r := range res.Rules {
		if r.Flag("global") {
			return true
		}
	}
	return false
}

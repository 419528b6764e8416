package author

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/fields"
)

func checkRules(t testing.TB, rules string) (*yara.Compiler, []Expectation, error) {
	t.Helper()
	c := yara.NewCompiler(yara.Options{})
	if err := c.AddSource("", "r.yar", rules); err != nil {
		t.Fatal(err)
	}
	res, diags := c.Check()
	if errs := diags.Errors(); len(errs) > 0 {
		t.Fatal(errs[0])
	}
	out, err := Expectations(res)
	return c, out, err
}

// TestExpectation reads lines.
func TestExpectation(t *testing.T) {
	for line, want := range map[string]Expectation{
		" match a.bin":         {Match: true, Samples: []Sample{{Path: "a.bin", Text: "a.bin"}}},
		"no match a.bin , b c": {Samples: []Sample{{Path: "a.bin", Text: "a.bin"}, {Path: "b c", Text: "b c"}}},
		`match "a, \"with\x00\n" with $a`: {
			Match: true, Samples: []Sample{{Data: []byte("a, \"with\x00\n"), Text: `"a, \"with\x00\n"`}}, With: []Demand{{'$', "$a", 0}},
		},
		`no match "", {}, { 4d 5A90 }`: {Samples: []Sample{
			{Data: []byte{}, Text: `""`}, {Data: []byte{}, Text: "{}"}, {Data: []byte("MZ\x90"), Text: "{ 4d 5A90 }"},
		}},
		"match x with #a = 2, @b=0x10": {Match: true, Samples: []Sample{{Path: "x", Text: "x"}}, With: []Demand{{'#', "$a", 2}, {'@', "$b", 16}}},
	} {
		got, err := expectation(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v, want\n%+v", line, err, got, want)
		}
	}
	for _, line := range []string{
		"", "match", "matches a", "no a", "no  match", "match a,", `match "a`, `match "\q"`, `match "\xg0"`, "match {4", "match {4}", `match "a" "b"`,
		"match a with ", "match a with a", "match a with $a = 1", "match a with #a", "match a with #a = x", "match , a",
	} {
		if got, err := expectation(line); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

// TestExpectations finds lines in and before rules.
func TestExpectations(t *testing.T) {
	_, got, err := checkRules(t, `// test: match "one"
rule a {
	// test: no match "two"
	/* test: match "three"
	 * test: match "four" with $x
	 */
	strings: $x = "x" // nothing
	condition: $x } // test: match "five"

//test: match "six"
rule b { condition: filesize > 0 }
`)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range got {
		have = append(have, e.Rule.Name.Name+e.Samples[0].Text)
	}
	// What stands behind the last brace is for the next rule.
	want := `a"one" a"two" a"three" a"four" b"five" b"six"`
	if s := strings.Join(have, " "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
	if got[3].Line != 5 || got[0].Line != 1 {
		t.Errorf("lines %d, %d", got[3].Line, got[0].Line)
	}
	_, _, err = checkRules(t, "rule a { condition: filesize > 1 }\n// test: match \"x\"\n")
	if err == nil || !strings.Contains(err.Error(), "r.yar:2: test: no rule follows") {
		t.Error(err)
	}
	_, _, err = checkRules(t, "// test: match \"x\" with $a\n// test: nothing\nrule a { condition: filesize > 1 }\n")
	if err == nil || !strings.Contains(err.Error(), "has no string $a") || !strings.Contains(err.Error(), "r.yar:2") {
		t.Error(err)
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a1", "a2", "b"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := Expectation{Samples: []Sample{{Path: "a*"}, {Path: "b"}, {Text: `""`}}}
	got, err := e.Expand(dir)
	if err != nil || len(got) != 4 || got[1].Path != filepath.Join(dir, "a2") {
		t.Error(got, err)
	}
	if _, err := (&Expectation{Samples: []Sample{{Path: "z*"}}}).Expand(dir); err == nil {
		t.Error("a name that means nothing is taken")
	}
}

// TestJudge holds that each way to differ is seen.
func TestJudge(t *testing.T) {
	x := &Explanation{Matches: true, Strings: []Found{{Name: "$a", Count: 2, Places: []Place{{Offset: 16}}}, {Name: "$b"}}}
	for line, want := range map[string]string{
		`match ""`: "", `no match ""`: "matches", `match "" with $a, #a = 2, @a = 0x10, #b = 0`: "",
		`match "" with $b`: "$b is not found", `match "" with #a = 3`: "$a is found 2 times, not 3",
		`match "" with @a = 1`: "$a is first at 0x10, not 0x1", `match "" with @b = 1`: "$b is not found",
	} {
		e, err := expectation(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Judge(x); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	e := Expectation{Match: true}
	if e.Judge(&Explanation{}) == "" || e.Judge(&Explanation{Stopped: true}) == "" {
		t.Error("a rule that does not match passes")
	}
}

func FuzzExpectation(f *testing.F) {
	f.Add(`match "a\x00", {41}, b with $a, #b = 1`)
	f.Add(`no match x*,y`)
	f.Fuzz(func(t *testing.T, line string) {
		e, err := expectation(line)
		if err == nil && len(e.Samples) == 0 {
			t.Errorf("%q: no sample", line)
		}
	})
}

// FuzzExplain holds that explaining a rule never panics, and agrees with the scan.
func FuzzExplain(f *testing.F) {
	f.Add(`rule r { strings: $a = "ab" $b = { 63 ?? } condition: #a > 1 or ($b at 3 and filesize < 10) }`, "ab cd ab")
	f.Add(`import "math" private rule p { condition: filesize > 2 } rule r { strings: $ = "a" private $ = /b+/ condition: p and all of them and math.abs(-1) == 1 }`, "abb")
	f.Add(`global rule g { condition: for any i in (0..9) : (uint8(i) == 0x61) } rule r { condition: with x = 3 : (x > 2) }`, "xxa")
	f.Fuzz(func(t *testing.T, text, data string) {
		if len(text) > 2048 || len(data) > 2048 {
			return
		}
		c := yara.NewCompiler(yara.Options{})
		if err := c.AddSource("", "r.yar", text); err != nil {
			t.Fatal(err)
		}
		res, diags := c.Check()
		if len(diags.Errors()) > 0 || len(res.Rules) == 0 || strings.Contains(text, "time") {
			return
		}
		rules, err := c.Build(res)
		if err != nil {
			return
		}
		got, err := rules.Scan([]byte(data), yara.ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res.Rules {
			in, err := NewInput(t.Context(), Needed(res, r), showcause.Bytes(data), fields.Host{})
			if err != nil {
				t.Fatal(err)
			}
			x := Explain(res, r, in, nil)
			if x == nil || x.Stopped || !got.Complete() || len(in.Gaps()) > 0 || r.Flag("private") {
				continue
			}
			matched := slices.ContainsFunc(got.Matches, func(m yara.Match) bool { return m.Name == r.Name.Name })
			if matched != x.Matches {
				t.Errorf("rule %s: the scan says %v, the explanation %v", r.Name.Name, matched, x.Matches)
			}
			if err := x.Text(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
}

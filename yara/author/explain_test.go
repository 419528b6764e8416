package author

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// textInput is an input whose patterns are plain texts.
type textInput []byte

func (in textInput) Size() int64 { return int64(len(in)) }

func (in textInput) Read(off int64, n int) []byte {
	if off < 0 || off+int64(n) > int64(len(in)) {
		return nil
	}
	return in[off : off+int64(n)]
}

func (in textInput) Matches(r *check.Rule, i int) (out []eval.Match) {
	text := []byte(r.Patterns[i].Text.Text)
	for at := 0; at+len(text) <= len(in); at++ {
		if bytes.HasPrefix(in[at:], text) {
			out = append(out, eval.Match{Offset: int64(at), Length: int64(len(text))})
		}
	}
	return out
}

func (in textInput) Module(name string, d source.Dialect) module.Value {
	v, _ := calc.Module(name, in, calc.Host{Dialect: d})
	return v
}

func (in textInput) Entry() (int64, bool) { return 0, false }

func explain(t *testing.T, rules, rule, data string) *Explanation {
	t.Helper()
	c := yara.NewCompiler(yara.Options{})
	if err := c.AddSource("", "r.yar", rules); err != nil {
		t.Fatal(err)
	}
	res, diags := c.Check()
	if errs := diags.Errors(); len(errs) > 0 {
		t.Fatal(errs[0])
	}
	for _, r := range res.Rules {
		if r.Name.Name == rule {
			return Explain(res, r, textInput(data), nil)
		}
	}
	t.Fatal("no rule " + rule)
	return nil
}

// TestExplain pins whole explanations.
func TestExplain(t *testing.T) {
	for _, c := range []struct{ rules, data, want string }{
		{`rule r {
	strings:
		$a = "hello"
		$b = "world"
		$c = "there"
	condition:
		filesize < 1KB and
		2 of them and
		(uint16(0) == 0x5A4D or $a at 0) and
		for any i in (1..#a) : (@a[i] > 100) and
		not $b
}`, "hello, world, hello", `rule default:r does not match  (r.yar:1)
because
  line 10: for any i in (1..#a) : (@a[i] > 100)  is false  (0 of 2 rounds held)
    #a  is 2
  line 11: $b  is true  (1 match)
strings
  $a = "hello": 2 matches
    0x0, 5 bytes: hello
    0xe, 5 bytes: hello
  $b = "world": 1 match
    0x7, 5 bytes: world
  $c = "there": 0 matches
condition
  and  is false
    filesize < 1KB  is true
      filesize  is 19 (0x13)
    2 of them  is true  (2 of 3: $a, $b; not: $c)
    or  is true
      uint16(0) == 0x5A4D  is false
        uint16(0)  is 25960 (0x6568)
      $a at 0  is true  (2 matches)
    for any i in (1..#a) : (@a[i] > 100)  is false  (0 of 2 rounds held)
      #a  is 2
      with i = 1: false
        @a[i] > 100  is false
          @a[i]  is 0
            i  is 1
      with i = 2: false
        @a[i] > 100  is false
          @a[i]  is 14 (0xe)
            i  is 2
    not $b  is false
      $b  is true  (1 match)
`},
		{`global rule big { condition: filesize > 100 }
private rule has { strings: $x = "evil" condition: $x }
rule r { strings: $ = "no" $ = "yes" condition: has and 1 of them }`, "evil, yes", `rule default:r does not match  (r.yar:3)
  the global rule default:big does not hold
though
  line 3: has  is true
  line 3: 1 of them  is true  (1 of 2: $ ($ = "yes"); not: $ ($ = "no"))
strings
  $ = "no": 0 matches
  $ = "yes": 1 match
    0x6, 3 bytes: yes
condition
  and  is true
    has  is true
    1 of them  is true  (1 of 2: $ ($ = "yes"); not: $ ($ = "no"))

needed: rule default:big does not match  (r.yar:1)
because
  line 1: filesize > 100  is false
    filesize  is 9
condition
  filesize > 100  is false
    filesize  is 9

needed: rule default:has does not match  (r.yar:2)
  the global rule default:big does not hold
though
  line 2: $x  is true  (1 match)
strings
  $x = "evil": 1 match
    0x0, 4 bytes: evil
condition
  $x  is true  (1 match)
`},
	} {
		x := explain(t, c.rules, "r", c.data)
		var b strings.Builder
		if err := x.Text(&b); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%s\nwant\n%s", b.String(), c.want)
		}
		if _, err := json.Marshal(x); err != nil {
			t.Error(err)
		}
	}
}

// TestExplainAgrees holds that the value of the tree is the value of the rule, with
// the trace and without, for conditions of every kind.
func TestExplainAgrees(t *testing.T) {
	conds := []string{
		"$a", "$a at 3", "$a in (0..3)", "#a == 2", "@a[2] > 4", "!a[1] == 2", "#a in (0..2) == 1", "@a[9] == 1", "not @a[9] == 1",
		"all of them", "any of ($a,$b)", "none of them", "50% of them", "2 of them", "any of them at 0", "any of them in (4..8)",
		"for any of them : ($ at 5)", "for all of them : (# >= 1)", "for 2 of them : (@ < 9)",
		"for any i in (0..filesize) : (uint8(i) == 0x62)", "for all i in (1,2,3) : (i < filesize)", "for none i in (0..2) : (uint8(i) == 0x7a)",
		"for 30% i in (0..9) : (uint8(i) == 0x61)", "with x = #a : (x > 1 and x < 4)", "filesize \\ 0 == 1 or true",
		"defined uint32(1000)", "not defined uint32(1000)", "\"abc\" matches /B/i", "hash.md5(0, 2) == \"187ef4436122d1cc2f40dc2b92f0eba0\"",
		"math.entropy(0, filesize) > 1.0 and string.length(\"abc\") == 3", "for any s in (\"ab\", \"xy\") : (s contains \"y\")",
		"(#a > 1 or $b) and not ($b at 0 or filesize > 1MB)", "for any i in (0..1) : (for all j in (0..1) : (i == j or i != j))",
	}
	for _, cond := range conds {
		rules := "import \"hash\" import \"math\" import \"string\" rule r { strings: $a = \"ab\" $b = \"cd\" condition: #a + #b >= 0 and (" + cond + ") }"
		c := yara.NewCompiler(yara.Options{})
		if err := c.AddSource("", "r.yar", rules); err != nil {
			t.Fatal(err)
		}
		res, diags := c.Check()
		if errs := diags.Errors(); len(errs) > 0 {
			t.Fatal(errs[0])
		}
		in := textInput("ab cd ab xab")
		x := Explain(res, res.Rules[0], in, nil)
		if want := eval.Run(res, in, eval.Options{}).Holds[res.Rules[0]]; x.Matches != want || x.Cond.Truth != want {
			t.Errorf("%s: %v, the tree %v, want %v", cond, x.Matches, x.Cond.Truth, want)
		}
		if len(x.Why) == 0 {
			t.Errorf("%s: nothing is said of why", cond)
		}
		var b strings.Builder
		if err := x.Text(&b); err != nil || !strings.Contains(b.String(), "because") {
			t.Errorf("%v %s", err, b.String())
		}
	}
}

// TestExplainBounds holds that an endless condition is told as one, in a tree that
// is bounded.
func TestExplainBounds(t *testing.T) {
	x := explain(t, `rule r { condition: for all i in (0..1000000000000) : (for all j in (0..1000000) : (i + j >= 0)) }`, "r", "x")
	if x.Matches || !x.Stopped {
		t.Errorf("matches %v, stopped %v", x.Matches, x.Stopped)
	}
	var b strings.Builder
	if err := x.Text(&b); err != nil || !strings.Contains(b.String(), "is not known") || b.Len() > 10_000 {
		t.Errorf("%v %d %.300s", err, b.Len(), b.String())
	}
}

// TestHolding tells of a finding what is known of it, and no more.
func TestHolding(t *testing.T) {
	rules, err := yara.Compile(`import "pe" rule r { strings: $a = "hello" $b = "ab" condition:
		uint8(0) == 0x68 and (#a == 1 or #b > 100) and for any i in (1..#a) : (@a[i] == 0) and (pe.is_pe or filesize > 3) and $b in (0..filesize) }
rule needs { condition: r }`, yara.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data := "hello " + strings.Repeat("ab", 20)
	f := &showcause.Finding{Matches: []showcause.Match{{Pattern: 0, Offset: 0, Length: 5}}}
	for i := range showcause.MaxMatches {
		f.Matches = append(f.Matches, showcause.Match{Pattern: 1, Offset: int64(6 + 2*i), Length: 2})
	}
	x := Holding(rules.DB(), f, nil, int64(len(data)), textInput(data).Read)
	if x == nil {
		t.Fatal("nothing is told")
	}
	want := `and
  uint8(0) == 0x68  is true
    uint8(0)  is 104 (0x68)
  or
    #a == 1  is true
      #a  is 1
    #b > 100  is not told: rules explain does
  for any i in (1..#a) : (@a[i] == 0)  is true  (1 of 1 rounds held)
    #a  is 1
    with i = 1: true
      @a[i] == 0  is true
        @a[i]  is 0
          i  is 1
  or
    pe.is_pe  is not told: rules explain does
    filesize > 3  is true
      filesize  is 46 (0x2e)
  $b in (0..filesize)  is not told: rules explain does
    filesize  is 46 (0x2e)
`
	if got := x.Tree(""); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if x := Holding(rules.DB(), f, nil, -1, nil); x == nil || strings.Contains(x.Tree(""), "uint8(0)  is 104") || strings.Contains(x.Tree(""), "filesize  is 46") {
		t.Error("what is not at hand is told")
	}
	// A rule that another asks for is told by its own finding, or not at all.
	g := &showcause.Finding{Index: 1}
	if x := Holding(rules.DB(), g, nil, 46, nil); x == nil || !strings.Contains(x.Tree(""), "r  is not told") {
		t.Errorf("what is not known of another rule is told: %+v", x)
	}
	rules, err = yara.Compile(`rule a { strings: $a = "hello" condition: $a } private rule p { strings: $x = "zz" condition: $x }
rule b { condition: (a or p) and filesize > 3 }`, yara.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := []showcause.Finding{{Index: 0, Matches: []showcause.Match{{Offset: 0, Length: 5}}}, {Index: 2}}
	x = Holding(rules.DB(), &all[1], all, 46, nil)
	if x == nil || x.Rule != "b" || !strings.Contains(x.Tree(""), "a  is true") || strings.Contains(x.Tree(""), "p  is") {
		t.Errorf("%+v", x)
	}
	if Holding(rules.DB(), &showcause.Finding{Index: 0, Matches: []showcause.Match{{Pattern: 7}}}, nil, 46, nil) != nil {
		t.Error("a finding of a string that is not there is told of")
	}
}

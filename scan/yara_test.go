package scan_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/lower"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// testModules knows the modules of tests, too.
func testModules(name string, d source.Dialect) *module.Type {
	text, err := os.ReadFile("../yara/check/testdata/modules/" + name + ".txt")
	if err != nil {
		return module.Load(name, d)
	}
	t, err := module.Parse(string(text), d)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	if name == "test_proto2" {
		inner, _ := module.Parse("enum NestedEnumeration\nconst ITEM_0 = 0 ITEM_1 = 1\nend", d)
		t.Fields = append(t.Fields, module.Field{Name: "NestedProto2", Type: inner})
	}
	return t
}

// pairs is a map from a slice.
type pairs [][2]module.Value

func (p pairs) Len() int                             { return len(p) }
func (p pairs) Pair(i int) (key, value module.Value) { return p[i][0], p[i][1] }
func (p pairs) Find(key module.Value) module.Value {
	for _, e := range p {
		if e[0].Kind == key.Kind && e[0].Int == key.Int && e[0].Text == key.Text {
			return e[1]
		}
	}
	return module.Value{}
}

func fn(f module.Function) module.Value { return module.Value{Kind: module.Func, Ref: f} }

func list(v ...module.Value) module.Value {
	return module.Value{Kind: module.Array, Ref: module.List(v)}
}

func tree(t module.Tree) module.Value { return module.Value{Kind: module.Struct, Ref: t} }

func table(p pairs) module.Value { return module.Value{Kind: module.Map, Ref: p} }

// doubles are the values of the modules of tests.
func doubles() map[string]module.Fields {
	i, f, s, b := module.IntValue, module.FloatValue, module.TextValue, module.BoolValue
	long := make([]module.Value, 257)
	long[0], long[1], long[2], long[256] = i(0), i(1), i(2), i(256)
	sum := fn(func(a []module.Value) module.Value {
		out := a[0]
		for _, x := range a[1:] {
			out.Int += x.Int
			out.Float += x.Float
		}
		return out
	})
	tests := module.Tree{
		"constants":     tree(module.Tree{"one": i(1), "two": i(2), "foo": s("foo"), "empty": s("")}),
		"integer_array": list(long...),
		"string_array":  list(s("foo"), s("bar"), s("baz"), s("foo\x00bar")),
		"string_dict":   table(pairs{{s("foo"), s("foo")}, {s("bar"), s("bar")}}),
		"struct_array":  list(module.Value{}, tree(module.Tree{"i": i(1)})),
		"struct_dict":   table(pairs{{s("foo"), tree(module.Tree{"i": i(1), "s": s("foo")})}}),
		"isum":          sum, "fsum": sum,
		"length": fn(func(a []module.Value) module.Value { return i(int64(len(a[0].Text))) }),
		"empty":  fn(func([]module.Value) module.Value { return s("") }),
		"foobar": fn(func(a []module.Value) module.Value { return s(map[int64]string{1: "foo", 2: "bar"}[a[0].Int]) }),
		"match":  fn(matchLength),
	}
	nested := tree(module.Tree{
		"nested_int32_zero": i(0), "nested_int64_zero": i(0), "nested_int32_one": i(1), "nested_int64_one": i(1),
		"nested_func":   fn(func([]module.Value) module.Value { return b(true) }),
		"nested_method": fn(func([]module.Value) module.Value { return b(false) }),
	})
	second := tree(module.Tree{
		"nested_int32_zero": i(0), "nested_int64_zero": i(0), "nested_int32_one": i(1), "nested_int64_one": i(1),
		"nested_method": fn(func([]module.Value) module.Value { return b(true) }),
	})
	proto := module.Tree{
		"string_foo": s("foo"), "string_bar": s("bar"), "bytes_foo": s("foo"), "bytes_bar": s("bar"), "nested": nested,
		"array_int64": list(i(1), i(10), i(100)), "array_float": list(f(1), f(10), f(100)), "array_bool": list(b(false), b(true)),
		"array_string": list(s("foo"), s("bar"), s("baz")), "array_struct": list(nested, second),
		"map_string_bool":   table(pairs{{s("foo"), b(true)}}),
		"map_string_struct": table(pairs{{s("foo"), nested}}),
		"map_string_string": table(pairs{{s("foo"), s("FOO")}}),
		"map_int64_string":  table(pairs{{i(100), s("one thousand")}}),
		"map_int64_int64":   table(pairs{{i(100), i(1000)}}),
		"map_int64_float":   table(pairs{{i(100), f(1000)}}),
		"map_int64_struct":  table(pairs{{i(100), nested}}),
		"add":               sum,
		"uppercase":         fn(func(a []module.Value) module.Value { return s(strings.ToUpper(a[0].Text)) }),
		"get_foo":           fn(func([]module.Value) module.Value { return s("foo") }),
		"undef_i64":         fn(func([]module.Value) module.Value { return module.Value{} }),
	}
	for _, k := range strings.Fields("int32 int64 sint32 sint64 uint32 uint64 fixed32 fixed64 sfixed32 sfixed64") {
		proto[k+"_zero"], proto[k+"_one"] = i(0), i(1)
	}
	for _, k := range []string{"float", "double"} {
		proto[k+"_zero"], proto[k+"_one"] = f(0), f(1)
	}
	return map[string]module.Fields{
		"tests": tests, "test_proto2": proto,
		"test_proto3": module.Tree{"int64_undef": i(0), "string_undef": s("")},
	}
}

// matchLength is the length of the match at the start of a text, or -1.
func matchLength(a []module.Value) module.Value {
	t, err := resyntax.Parse(a[0].Text, resyntax.Flags{CaseInsensitive: strings.Contains(a[0].Flags, "i"), DotAll: strings.Contains(a[0].Flags, "s")})
	if err != nil {
		return module.Value{}
	}
	prog, _, err := regex.Compile(t, regex.Options{})
	if err != nil {
		return module.Value{}
	}
	out := int64(-1)
	var re regex.Matcher
	re.Scan(0, prog, regex.NewReader(showcause.Bytes(a[1].Text)), 0, 1, func(off, n int64) bool {
		out = n
		return true
	})
	return module.IntValue(out)
}

// conformance is a case of the outside data.
type conformance struct {
	ID, Suite, Expect, Rule, Input, Capture string
	RuleHex                                 string `json:"rule_hex"`
	Count                                   *int
	Modules                                 []string
	Externals                               map[string]any
}

func external(v any) module.Value {
	switch v := v.(type) {
	case bool:
		return module.BoolValue(v)
	case string:
		return module.TextValue(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return module.IntValue(n)
		}
		f, _ := v.Float64()
		return module.FloatValue(f)
	}
	return module.Value{}
}

func outside(t testing.TB, path string) string {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../shared/data"
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	return path
}

// excused are cases that are not held, with the reason.
var excused = map[string]string{
	"test-magic.c:24":           "asks for the words of libmagic",
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance runs every case that can be run, through database and scan.
func TestConformance(t *testing.T) {
	file, err := os.ReadFile(outside(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range bytes.Lines(file) {
		var c conformance
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.Expect != "match" && c.Expect != "nomatch" && c.Expect != "match_string" {
			continue
		}
		counts[c.Suite+" all"]++
		why := c.run(t)
		switch {
		case why == "":
			counts[c.Suite+" passed"]++
		case excused[c.ID] != "":
			t.Logf("%s %s: %s", c.Suite, c.ID, excused[c.ID])
		case len(c.Modules) > 0 && strings.Contains(" pe elf macho dex magic dotnet lnk ", " "+c.Modules[0]+" ") && !modulesThere:
			counts[c.Suite+" left out: module "+c.Modules[0]]++
		default:
			t.Errorf("%s %s: %s\n%s\n%.200q", c.Suite, c.ID, why, c.Rule, c.Input)
		}
	}
	var keys []string
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		t.Logf("%s: %d", k, counts[k])
	}
}

// modulesThere says that the values of modules of file formats are there.
const modulesThere = true

// run says why a case fails, empty if it does not.
func (c *conformance) run(t *testing.T) string {
	if c.RuleHex != "" {
		b, err := hex.DecodeString(c.RuleHex)
		if err != nil {
			t.Fatal(err)
		}
		c.Rule = string(b)
	}
	bin, err := hex.DecodeString(c.Input)
	if err != nil {
		t.Fatal(err)
	}
	d := source.YARA
	if c.Suite == "yara-x" {
		d = source.YARAX
	}
	ext := map[string]module.Value{}
	for name, v := range c.Externals {
		ext[name] = external(v)
	}
	db, why := yaraDB(t, c.Rule, check.Options{Dialect: d, Module: testModules, Externals: ext})
	if why != "" {
		return why
	}
	rep := scan.New(db, scan.Options{
		TopOnly: true, MaxMatches: 1_000_000, Externals: ext, Now: 1,
		Modules: func(name string, d source.Dialect, _ calc.Input) (module.Value, bool) {
			f, ok := doubles()[name]
			return module.Constants(testModules(name, d), f), ok
		},
	}).Scan(showcause.Bytes(bin))
	for _, g := range rep.Gaps {
		if g.Code == showcause.LimitWork || g.Code == showcause.Crash {
			return "gap " + string(g.Code)
		}
	}
	n := len(rep.Findings)
	switch {
	case c.Expect == "nomatch" && n > 0:
		return "matches"
	case c.Expect != "nomatch" && n == 0:
		return "does not match"
	case c.Count != nil && *c.Count != n:
		return fmt.Sprintf("%d rules match, want %d", n, *c.Count)
	case c.Capture == "":
		return ""
	}
	want, err := hex.DecodeString(c.Capture)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range rep.Findings {
		for _, m := range f.Matches {
			got := bin[m.Offset : m.Offset+m.Length]
			if bytes.Equal(got, want) {
				return ""
			}
			have = append(have, fmt.Sprintf("%q", got))
		}
	}
	return fmt.Sprintf("no match is %q: %.300s", want, strings.Join(have, " "))
}

// yaraDB compiles rules; why they are refused, else.
func yaraDB(t testing.TB, text string, o check.Options) (db *ruledb.DB, why string) {
	t.Helper()
	var set source.Sources
	src, err := set.Add("test.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Namespace: "default", Source: src}}, o)
	if res.Failed() {
		return nil, "does not compile: " + res.Diags[0].Title
	}
	var b ruledb.Builder
	for _, p := range lower.Rules(res, lower.Options{Externals: o.Externals}, func(r *rule.Rule) error { return b.Rule(r) }) {
		if p.Err != nil {
			return nil, p.String()
		}
	}
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if db, err = ruledb.New(data); err != nil {
		t.Fatal(err)
	}
	return db, ""
}

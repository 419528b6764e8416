package eval

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// input is bytes with the naive matches of patterns.
type input struct {
	data  []byte
	res   *check.Result
	cache map[string][]Match
}

func (in *input) Size() int64 { return int64(len(in.data)) }

func (in *input) Read(off int64, n int) []byte {
	if off < 0 || off+int64(n) > int64(len(in.data)) {
		return nil
	}
	return in.data[off : off+int64(n)]
}

func (in *input) Matches(r *check.Rule, i int) []Match {
	key := fmt.Sprintf("%p/%d", r.Rule, i)
	m, ok := in.cache[key]
	if !ok {
		m = naive(in.res, r, r.Patterns[i], in.data)
		in.cache[key] = m
	}
	return m
}

func (in *input) Entry() (int64, bool) {
	if e := in.data; len(e) > 0x40 && e[0] == 'M' {
		return peEntry(e)
	}
	f, err := elf.NewFile(bytes.NewReader(in.data))
	if err != nil {
		return 0, false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && f.Entry >= p.Vaddr && f.Entry < p.Vaddr+p.Memsz {
			return int64(f.Entry - p.Vaddr + p.Off), true
		}
	}
	return 0, false
}

// peEntry is the entry point of a small PE file with 32-bit headers.
func peEntry(b []byte) (int64, bool) {
	u32 := func(off uint32) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	pe := u32(0x3C)
	entry := u32(pe + 0x28)
	section := pe + 0x18 + uint32(binary.LittleEndian.Uint16(b[pe+0x14:]))
	for n := binary.LittleEndian.Uint16(b[pe+6:]); n > 0; n-- {
		if at := u32(section + 12); entry >= at && entry < at+max(u32(section+8), u32(section+16)) {
			return int64(entry - at + u32(section+20)), true
		}
		section += 40
	}
	return int64(entry), true
}

func (in *input) Module(name string, d source.Dialect) module.Value {
	if v, ok := calc.Module(name, in, calc.Host{Dialect: d, Now: 1}); ok {
		return v
	}
	if t := module.Load(name, d); t != nil {
		return module.Constants(t, nil)
	}
	if f, ok := doubles()[name]; ok {
		return module.Constants(testModules(name, d), f)
	}
	return module.Value{}
}

// testModules knows the modules of tests, too.
func testModules(name string, d source.Dialect) *module.Type {
	text, err := os.ReadFile("../check/testdata/modules/" + name + ".txt")
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
		"uppercase":         fn(func(a []module.Value) module.Value { return s(upper(a[0].Text)) }),
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
	m := machine{rule: &check.Rule{Dialect: source.YARA}, programs: map[string]regex.Program{}}
	prog, ok := m.program(a[0])
	if !ok {
		return module.IntValue(-1)
	}
	out := int64(-1)
	var re regex.Matcher
	re.Scan(0, prog, text(a[1].Text), 0, 1, func(off, n int64) bool {
		if off == 0 {
			out = n
		}
		return true
	})
	return module.IntValue(out)
}

// conformance reads the cases of the outside data.
type conformanceCase struct {
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

func data(t testing.TB, path string) string {
	root := os.Getenv("SHOWCAUSE_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no outside data: SHOWCAUSE_DATA")
	}
	return path
}

// absent are the modules whose values are not made here.
const absent = " pe elf macho dex magic "

// outside are cases that are not held, with the reason.
var outside = map[string]string{
	"lib/src/tests/mod.rs:724":  "the case lacks the import of its module",
	"lib/src/tests/mod.rs:1481": "asks for the relaxed reading of regular expressions, which the case does not say",
}

// TestConformance runs every case that can be run: matches by the naive matcher,
// conditions by the evaluator.
func TestConformance(t *testing.T) {
	file, err := os.ReadFile(data(t, "yara/conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range bytes.Lines(file) {
		var c conformanceCase
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.Expect != "match" && c.Expect != "nomatch" && c.Expect != "match_string" {
			continue
		}
		counts[c.Suite+" all"]++
		why := runCase(t, &c)
		switch {
		case why == "":
			counts[c.Suite+" passed"]++
		case strings.HasPrefix(why, "module "):
			counts[c.Suite+" left out: "+why]++
		case outside[c.ID] != "":
			t.Logf("%s %s: %s", c.Suite, c.ID, outside[c.ID])
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

// runCase says why a case fails, empty if it does not.
func runCase(t *testing.T, c *conformanceCase) string {
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
	var set source.Sources
	src, err := set.Add("test.yar", c.Rule)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Module: testModules, Externals: ext})
	if res.Failed() {
		return "does not compile: " + res.Diags[0].Title
	}
	in := &input{data: bin, res: res, cache: map[string][]Match{}}
	out := Run(res, in, Options{Externals: ext})
	if len(out.Stopped) > 0 {
		return "step limit"
	}
	n := 0
	for r, holds := range out.Holds {
		if holds && !r.Flag("private") {
			n++
		}
	}
	for _, m := range c.Modules {
		if strings.Contains(absent, " "+m+" ") && (n > 0) != (c.Expect != "nomatch") {
			return "module " + m
		}
	}
	switch {
	case c.Expect == "nomatch" && n > 0:
		return "matches"
	case c.Expect != "nomatch" && n == 0:
		return "does not match"
	case c.Count != nil && *c.Count != n:
		return fmt.Sprintf("%d rules match, want %d", n, *c.Count)
	}
	return captured(c, in, res)
}

// captured says why no match covers the bytes that are asked for.
func captured(c *conformanceCase, in *input, res *check.Result) string {
	if c.Capture == "" {
		return ""
	}
	want, err := hex.DecodeString(c.Capture)
	if err != nil {
		return err.Error()
	}
	var have []string
	for _, r := range res.Rules {
		for i := range r.Patterns {
			for _, m := range in.Matches(r, i) {
				got := in.data[m.Offset : m.Offset+m.Length]
				if bytes.Equal(got, want) {
					return ""
				}
				have = append(have, fmt.Sprintf("%q", got))
			}
		}
	}
	return fmt.Sprintf("no match is %q: %.300s", want, strings.Join(have, " "))
}

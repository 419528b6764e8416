package yaracmd

import (
	"fmt"
	"os"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// modulesOfTests are the modules that YARA's own tests are built with.
func modulesOfTests() map[string]yara.Module {
	out := map[string]yara.Module{}
	for name, f := range doubles() {
		out[name] = yara.Module{
			Type: func(d source.Dialect) *module.Type { return testModules(name, d) },
			Value: func(_ calc.Input, d source.Dialect) module.Value {
				return module.Constants(testModules(name, d), f)
			},
		}
	}
	return out
}

// testModules knows the modules of tests, too.
func testModules(name string, d source.Dialect) *module.Type {
	text, err := os.ReadFile("../../yara/check/testdata/modules/" + name + ".txt")
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

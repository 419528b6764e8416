// Package doubles are the modules that YARA's and YARA-X's own tests are written
// with: tests (which yara ships too), test_proto2 and test_proto3. They say the same
// of every file. Rules that were written to try an implementation need them.
//
// Source: libyara/modules/tests at YARA 4.5.8; lib/src/modules/test_proto2 and
// test_proto3 at YARA-X 1.19.
package doubles

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/module"
)

// maxSteps bounds one call of tests.match.
const maxSteps = 1 << 20

// Fields are the values of a module, nil if it is none of these. data is what the
// module was given with -x. work is charged with the steps of what takes some, and
// stops it where it is false; nil: no one counts.
func Fields(name string, data []byte, work func(steps int64) bool) module.Fields {
	switch name {
	case "tests":
		t := tests(work)
		if data != nil {
			t["module_data"] = module.TextValue(string(data))
		}
		return t
	case "test_proto2":
		return proto2()
	case "test_proto3":
		return module.Tree{"int64_undef": module.IntValue(0), "string_undef": module.TextValue("")}
	}
	return nil
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

// sum adds its arguments: integers, or floats.
func sum(a []module.Value) module.Value {
	out := a[0]
	for _, x := range a[1:] {
		out.Int += x.Int
		out.Float += x.Float
	}
	return out
}

func tests(work func(int64) bool) module.Tree {
	i, s := module.IntValue, module.TextValue
	long := make([]module.Value, 257)
	long[0], long[1], long[2], long[256] = i(0), i(1), i(2), i(256)
	return module.Tree{
		"constants":     tree(module.Tree{"one": i(1), "two": i(2), "foo": s("foo"), "empty": s("")}),
		"integer_array": list(long...),
		"string_array":  list(s("foo"), s("bar"), s("baz"), s("foo\x00bar")),
		"string_dict":   table(pairs{{s("foo"), s("foo")}, {s("bar"), s("bar")}}),
		"struct_array":  list(module.Value{}, tree(module.Tree{"i": i(1)})),
		"struct_dict":   table(pairs{{s("foo"), tree(module.Tree{"i": i(1), "s": s("foo")})}}),
		"isum":          fn(sum), "fsum": fn(sum),
		"length": fn(func(a []module.Value) module.Value { return i(int64(len(a[0].Text))) }),
		"empty":  fn(func([]module.Value) module.Value { return s("") }),
		"foobar": fn(func(a []module.Value) module.Value { return s(map[int64]string{1: "foo", 2: "bar"}[a[0].Int]) }),
		"match":  fn(func(a []module.Value) module.Value { return matchLength(a[0], a[1].Text, work) }),
	}
}

func proto2() module.Fields {
	i, f, s, b := module.IntValue, module.FloatValue, module.TextValue, module.BoolValue
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
		"add":               fn(sum),
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
	return proto
}

// matchLength is the length of the match at the start of a text, or -1. It is
// undefined where the steps do not reach.
func matchLength(re module.Value, text string, work func(int64) bool) module.Value {
	t, err := resyntax.Parse(re.Text, resyntax.Flags{CaseInsensitive: strings.Contains(re.Flags, "i"), DotAll: strings.Contains(re.Flags, "s")})
	if err != nil || work != nil && !work(64*int64(len(re.Text))) {
		return module.Value{}
	}
	prog, _, err := regex.Compile(t, regex.Options{})
	if err != nil {
		return module.Value{}
	}
	out := int64(-1)
	m := regex.Matcher{Limit: maxSteps}
	m.Scan(0, prog, regex.NewReader(showcause.Bytes(text)), 0, 1, func(_, n int64) bool {
		out = n
		return true
	})
	if m.Exhausted() || m.Abandoned > 0 || work != nil && !work(m.Steps) {
		return module.Value{}
	}
	return module.IntValue(out)
}

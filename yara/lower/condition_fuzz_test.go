package lower

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// grammar makes conditions of all forms, of one dialect.
type grammar struct {
	*rand.Rand
	yara4 bool
	ints  []string // variables
	texts []string
	bools []string
	rules []string
	loops int
	sets  int
}

func newGrammar(seed uint64, d source.Dialect) *grammar {
	return &grammar{Rand: rand.New(rand.NewPCG(3, seed)), yara4: d == source.YARA}
}

func (g *grammar) pick(s ...string) string { return s[g.IntN(len(s))] }

func (g *grammar) sign() string { return g.pick("a", "b", "c", "d", "e") }

func (g *grammar) number() string {
	return g.pick("0", "1", "2", "3", "5", "64", "63", "256", "filesize", "0x7FFFFFFFFFFFFFFF", "0xFFFFFFFF", "4294967296", "1MB", "(~0x7FFFFFFFFFFFFFFF + @a * 0)", "-1", "-5", "0x6162")
}

func (g *grammar) offset(depth int) string {
	if depth > 0 && g.IntN(3) == 0 {
		return g.integer(depth - 1)
	}
	return g.pick("0", "1", "3", "filesize - 1", "filesize - 2", "@b", "uint8(0)", "260", "255", "254", "0x7FFFFFFFFFFFFFFF", "0x7FFFFFFFFFFFFFFE", "-filesize", "4294967296")
}

func (g *grammar) leaf() string {
	if len(g.ints) > 0 && g.IntN(2) == 0 {
		return g.ints[g.IntN(len(g.ints))]
	}
	switch g.IntN(9) {
	case 0:
		return "#" + g.sign()
	case 1:
		return g.pick("@", "!") + g.sign()
	case 2:
		return g.pick("@", "!") + g.sign() + "[" + g.pick("1", "2", "3", "#a") + "]"
	case 3:
		return g.pick("int8", "uint8", "int16", "uint16", "int32", "uint32") + g.pick("", "be") + "(" + g.offset(0) + ")"
	case 4:
		return g.pick("pe.number_of_sections", "pe.machine", "pe.MACHINE_AMD64", "pe.sections[0].virtual_size", "pe.number_of_signatures",
			"pe.imports(\"a\")", "pe.imports(/a/, /b/i)", "pe.section_index(\"foo\")", "pe.rich_signature.version(1, 2)", "pe.entry_point", "ext_int", "ext_flag")
	case 5:
		return g.pick("test_proto2.int64_one", "test_proto2.int64_undef", "test_proto2.array_int64[1]", "test_proto2.map_int64_int64[100]",
			"test_proto2.map_string_struct[\"foo\"].nested_int64_one", "test_proto2.add(1, 2)", "test_proto2.array_struct[filesize].nested_int32_one")
	case 6:
		return "#" + g.sign() + " in " + g.span(0)
	}
	return g.number()
}

func (g *grammar) integer(depth int) string {
	if depth <= 0 || g.IntN(4) == 0 {
		return g.leaf()
	}
	switch g.IntN(10) {
	case 0:
		return "(-" + g.integer(depth-1) + ")"
	case 1:
		return "(~" + g.integer(depth-1) + ")"
	case 2:
		return "(" + g.integer(depth-1) + g.pick(` \ `, " % ") + "(" + g.integer(depth-1) + "))"
	case 3:
		return "(" + g.integer(depth-1) + g.pick(" << ", " >> ") + "(" + g.pick("#a", "filesize", g.integer(depth-1)) + " + " + fmt.Sprint(g.IntN(3)) + "))"
	case 4:
		return g.pick("@", "!") + g.sign() + "[" + g.integer(depth-1) + "]"
	case 5:
		if !g.yara4 {
			return g.pick("test_proto2.array_int64", "pe.sections", "test_proto2.map_int64_int64", "pe.dll_name", g.text(0)+"") + ".len()"
		}
	}
	return "(" + g.integer(depth-1) + g.pick(" + ", " - ", " * ", " & ", " | ", " ^ ") + g.integer(depth-1) + ")"
}

func (g *grammar) float(depth int) string {
	if depth > 0 && g.IntN(2) == 0 {
		return "(" + g.pick(g.float(depth-1), g.integer(depth-1)) + g.pick(" + ", " - ", " * ", ` \ `) + g.float(depth-1) + ")"
	}
	if !g.yara4 && g.IntN(4) == 0 {
		return g.pick("float32", "float64", "float32be", "float64be") + "(" + g.offset(depth) + ")"
	}
	return g.pick("1.5", "0.0", "-2.0", "ext_float", "test_proto2.float_one", "test_proto2.float_undef", "test_proto2.array_float[0]", "(-test_proto2.double_one)")
}

func (g *grammar) text(depth int) string {
	if len(g.texts) > 0 && g.IntN(2) == 0 {
		return g.texts[g.IntN(len(g.texts))]
	}
	if depth > 0 && g.IntN(3) == 0 {
		return g.pick("test_proto2.array_string["+g.integer(depth-1)+"]", "pe.sections["+g.integer(depth-1)+"].name", "test_proto2.uppercase("+g.text(0)+")",
			"test_proto2.map_int64_string["+g.integer(depth-1)+"]", "test_proto2.map_string_string["+g.text(0)+"]")
	}
	return g.pick(`"foo"`, `"FOO"`, `"o"`, `""`, `"ab\x00c"`, `"abcd"`, "ext_text", "pe.dll_name", "test_proto2.string_foo", "test_proto2.string_undef",
		`pe.version_info["foo"]`, "pe.imphash()", "test_proto2.get_foo()")
}

func (g *grammar) span(depth int) string {
	lo := g.IntN(6)
	if depth > 0 {
		return "(" + g.integer(depth-1) + ".." + g.integer(depth-1) + ")"
	}
	return fmt.Sprintf("(%d..%d)", lo, lo+g.IntN(8))
}

func (g *grammar) quantifier(depth int) string {
	return g.pick("any", "all", "none", "1", "2", "0", "(#a - 1)", "50%", "34%", "("+g.integer(depth-1)+")", "(#b)%", "(uint8(filesize))")
}

func (g *grammar) set() string {
	return g.pick("them", "($a, $b)", "($*)", "($a*, $c, $e)", "($b)", "($e, $a)")
}

func (g *grammar) comparison() string { return g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") }

func (g *grammar) boolean(depth int) string {
	if depth <= 0 {
		switch g.IntN(7) {
		case 0, 1:
			return "$" + g.sign()
		case 2:
			return "$" + g.sign() + " in " + g.span(0)
		case 3:
			return g.pick("true", "false", "ext_flag", "pe.is_pe", "test_proto2.array_bool[0]")
		case 4:
			if len(g.bools) > 0 {
				return g.bools[g.IntN(len(g.bools))]
			}
		case 5:
			if len(g.rules) > 0 {
				return g.rules[g.IntN(len(g.rules))]
			}
		}
		return g.leaf() + g.comparison() + g.leaf()
	}
	switch g.IntN(22) {
	case 0, 1:
		return "(" + g.boolean(depth-1) + " and " + g.boolean(depth-1) + ")"
	case 2, 3:
		return "(" + g.boolean(depth-1) + " or " + g.boolean(depth-1) + ")"
	case 4:
		return "not " + g.boolean(depth-1)
	case 5:
		return "defined " + g.pick("("+g.boolean(depth-1)+")", g.integer(depth-1), g.text(depth-1), "pe.sections["+g.integer(depth-1)+"]", "("+g.float(1)+")")
	case 6:
		return "$" + g.sign() + " at " + g.offset(depth)
	case 7:
		return g.text(depth) + " " + g.pick("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "iequals", "==", "<", ">=", "!=") + " " + g.text(depth)
	case 8:
		return g.text(depth) + " matches " + g.pick("/fo/", "/^FOO$/i", "/a.c/s", "/[a-c]{2,3}/", "/o$/")
	case 9:
		return g.quantifier(depth) + " of " + g.set() + g.pick("", "", " in "+g.span(depth), " at "+g.offset(depth))
	case 10:
		return "for " + g.quantifier(depth) + " of " + g.set() + " : (" + g.pick("$", "# > 1", "@ < 4", "$ in (0..3)", "$ at "+g.offset(depth), "! == 1", "@[2] > 3 and $", "not $", "(not # < 2) or $a", "#a > # and $", g.boolean(depth-1)) + ")"
	case 11, 12, 13:
		return g.loop(depth)
	case 14:
		return g.float(depth) + g.comparison() + g.pick(g.float(depth), g.integer(depth))
	case 15:
		if !g.yara4 {
			return g.with(depth)
		}
	case 16:
		if !g.yara4 {
			return g.quantifier(depth) + " of (" + g.boolean(depth-1) + ", " + g.boolean(depth-1) + ", " + g.boolean(0) + ")"
		}
	case 17:
		if len(g.rules) > 0 {
			return g.quantifier(1) + " of (" + g.pick("r*", strings.Join(g.rules, ", "), g.rules[0]) + ")"
		}
	case 18:
		return g.integer(depth)
	case 19:
		return g.pick("#"+g.sign(), "filesize", "uint16(0)", "uint32be(0)", "uint16(uint32(4))", "int8(1)") + g.comparison() + g.pick(g.number(), "5", "2", "0x6261", "0x61626162")
	case 20:
		return g.pick("#"+g.sign(), "filesize") + g.comparison() + fmt.Sprint(g.IntN(6))
	}
	return g.integer(depth) + g.comparison() + g.integer(depth)
}

// loop makes a loop over values.
func (g *grammar) loop(depth int) string {
	if g.loops >= 3 {
		return "$a"
	}
	g.loops++
	v := fmt.Sprintf("v%d", g.loops)
	defer func() { g.loops-- }()
	ints, texts, bools := len(g.ints), len(g.texts), len(g.bools)
	defer func() { g.ints, g.texts, g.bools = g.ints[:ints], g.texts[:texts], g.bools[:bools] }()
	head := "for " + g.pick("any", "all", "none", "1", "2", "("+g.integer(depth-1)+")") + " "
	if !g.yara4 && g.IntN(4) == 0 {
		head = "for " + g.quantifier(depth) + " "
	}
	in := ""
	switch g.IntN(9) {
	case 0, 1, 2:
		g.ints = append(g.ints, v)
		lo := g.pick("0", "1", "#a", "@a", "uint8(1)", "filesize - 3", g.integer(depth-1))
		in = v + " in (" + lo + ".." + g.pick("4", "9", "#b", "filesize", lo+" + 3") + ")"
	case 3:
		g.ints = append(g.ints, v)
		in = v + " in (1, 2, " + g.integer(depth-1) + ", " + g.leaf() + ")"
	case 4:
		g.ints = append(g.ints, v)
		in = v + " in (7, 2, 5)"
	case 5:
		list := g.text(depth-1) + ", \"foo\", " + g.text(0)
		g.texts = append(g.texts, v)
		in = v + " in (" + list + ")"
	case 6:
		g.texts = append(g.texts, v)
		in = v + " in test_proto2.array_string"
	case 7:
		g.texts, g.ints = append(g.texts, v+"k"), append(g.ints, v+"v.nested_int64_one")
		in = v + "k, " + v + "v in test_proto2.map_string_struct"
	case 8:
		g.texts, g.ints = append(g.texts, v+".name"), append(g.ints, v+".raw_data_size")
		in = v + " in pe.sections"
	}
	return head + in + " : (" + g.boolean(depth-1) + ")"
}

func (g *grammar) with(depth int) string {
	ints, texts, bools := len(g.ints), len(g.texts), len(g.bools)
	defer func() { g.ints, g.texts, g.bools = g.ints[:ints], g.texts[:texts], g.bools[:bools] }()
	g.sets++
	v := fmt.Sprintf("w%d", g.sets)
	value := ""
	switch g.IntN(4) {
	case 0, 1:
		value = g.integer(depth - 1)
		g.ints = append(g.ints, v)
	case 2:
		value = g.text(depth - 1)
		g.texts = append(g.texts, v)
	case 3:
		value = "(" + g.boolean(depth-1) + ")"
		g.bools = append(g.bools, v)
	}
	return "with " + v + " = " + value + " : (" + g.boolean(depth-1) + ")"
}

// source makes a text of some rules.
func (g *grammar) source(n int) string {
	var b strings.Builder
	b.WriteString("import \"pe\"\nimport \"test_proto2\"\n")
	for i := range n {
		flags := ""
		if g.IntN(12) == 0 {
			flags = "global "
		}
		fmt.Fprintf(&b, "%srule r%d { strings: $a = \"ab\" $b = \"b\" $c = \"abc\" $d = { 61 ?? 63 } $e = \"zz\" condition: (%s) and none of ($a, $b, $c, $d, $e) in (9999..9999) }\n",
			flags, i, g.boolean(3))
		g.rules = append(g.rules, fmt.Sprint("r", i))
	}
	return b.String()
}

var fuzzExternals = map[string]module.Value{
	"ext_int": module.IntValue(7), "ext_flag": module.BoolValue(true), "ext_text": module.TextValue("fooBAR"), "ext_float": module.FloatValue(2.5),
}

// compareGrammar compares rules that a seed makes, in the dialect that it says.
func compareGrammar(t testing.TB, seed uint64, data []byte) (ran, refused int) {
	d := source.Dialect(seed % 3)
	g := newGrammar(seed, d)
	for range 3 {
		g.rules = nil
		if compare(t, g.source(2), d, data, fuzzExternals, 20000) {
			ran++
		} else {
			refused++
		}
	}
	return ran, refused
}

// TestCompiledEqualsInterpreted is the fuzz target over some seeds.
func TestCompiledEqualsInterpreted(t *testing.T) {
	ran, refused := 0, 0
	inputs := []string{"abcdabc-bab", "", "xxabxab", "abababababab\x00zz", "\xff\x80ab\x00\x01\x02b", "ab\x00\x00\x08\x00\x00\x00abzz", strings.Repeat("ab", 140)}
	for seed := range uint64(700) {
		a, b := compareGrammar(t, seed, []byte(inputs[seed%uint64(len(inputs))]))
		ran, refused = ran+a, refused+b
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d ran, %d refused", ran, refused)
	if ran < refused {
		t.Errorf("%d of %d sources are refused", refused, ran+refused)
	}
}

func FuzzCompiledEqualsInterpreted(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed, []byte("abcdabc-bab"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		compareGrammar(t, seed, data[:min(len(data), 2000)])
	})
}

// FuzzProgram changes bytes of a program: what Check lets through runs without a
// panic and within its steps.
func FuzzProgram(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, []byte{3, 0, 1, 40, 0, 7})
	}
	f.Fuzz(func(t *testing.T, seed uint64, changes []byte) {
		mutate(t, seed, changes)
	})
}

// mutate runs a program with bytes changed: two bytes of changes are a place,
// one is what is there then.
func mutate(t testing.TB, seed uint64, changes []byte) (ran bool) {
	d := source.Dialect(seed % 3)
	g := newGrammar(seed, d)
	var set source.Sources
	src, err := set.Add("t.yar", g.source(1))
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d, Module: moduleType, Externals: fuzzExternals})
	if res.Failed() {
		return false
	}
	in := newInput(res, []byte("abcdabc-bab"))
	r := res.Rules[0]
	c, err := lowerCondition(res, r, fuzzExternals)
	if err != nil {
		t.Fatal(err)
	}
	p := append(code.Program{}, c.code...)
	for ; len(changes) >= 3; changes = changes[3:] {
		p[(int(changes[0])|int(changes[1])<<8)%len(p)] = changes[2]
	}
	if p.Check(len(r.Patterns), len(c.deps)) != nil {
		return false
	}
	m := code.Machine{Limit: 5000}
	h := &host{layerInput: in, rule: r, deps: c.deps}
	first := m.Run(p, h)
	again := m.Run(p, h)
	if first.Holds != again.Holds || first.Stopped != again.Stopped || first.Steps != again.Steps {
		t.Errorf("%+v, then %+v", first, again)
	}
	if first.Steps > 5000+int64(len(p))*70000 {
		t.Errorf("%d steps", first.Steps)
	}
	return true
}

// TestMutatedPrograms is the fuzz target over some seeds.
func TestMutatedPrograms(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ran := 0
	for seed := range uint64(2000) {
		var changes []byte
		for range 1 + r.IntN(3) {
			changes = append(changes, byte(r.IntN(256)), byte(r.IntN(4)), byte(r.IntN(256)>>r.IntN(8)))
		}
		if mutate(t, seed%400, changes) {
			ran++
		}
	}
	t.Logf("%d ran", ran)
	if ran < 50 {
		t.Errorf("only %d programs were run", ran)
	}
}

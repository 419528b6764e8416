package eval

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// operate computes an operator of two defined values. Sums and products wrap. A
// division by zero is undefined, as is that of the least integer by -1; the
// remainder of the latter is 0 in YARA-X and undefined in YARA 4.
func operate(op string, x, y module.Value, yara4 bool) module.Value {
	switch op {
	case "==", "!=", "<", "<=", ">", ">=":
		return compare(op, x, y, yara4)
	case "+", "-", "*", `\`:
		if x.Kind == module.Float || y.Kind == module.Float {
			return floats(op, asFloat(x), asFloat(y))
		}
		return integers(op, x.Int, y.Int, yara4)
	case "%", "&", "|", "^", "<<", ">>":
		return integers(op, x.Int, y.Int, yara4)
	}
	return texts(op, x.Text, y.Text)
}

func asFloat(v module.Value) float64 {
	if v.Kind == module.Float {
		return v.Float
	}
	return float64(v.Int)
}

func floats(op string, a, b float64) module.Value {
	switch op {
	case "+":
		a += b
	case "-":
		a -= b
	case "*":
		a *= b
	case `\`:
		a /= b
	}
	return module.FloatValue(a)
}

func integers(op string, a, b int64, yara4 bool) module.Value {
	switch op {
	case "+":
		a += b
	case "-":
		a -= b
	case "*":
		a *= b
	case `\`:
		if b == 0 || a == math.MinInt64 && b == -1 {
			return undefined()
		}
		a /= b
	case "%":
		switch {
		case b == 0 || a == math.MinInt64 && b == -1 && yara4:
			return undefined()
		case b == -1:
			a = 0
		default:
			a %= b
		}
	case "&":
		a &= b
	case "|":
		a |= b
	case "^":
		a ^= b
	case "<<", ">>":
		return shift(op, a, b)
	}
	return module.IntValue(a)
}

// shift computes a shift: 0 from 64 on, undefined by less than nothing.
func shift(op string, a, b int64) module.Value {
	switch {
	case b < 0:
		return undefined()
	case b >= 64:
		return module.IntValue(0)
	case op == "<<":
		return module.IntValue(a << uint(b))
	}
	return module.IntValue(a >> uint(b))
}

// compare compares two numbers, booleans among them, or two texts. For YARA 4 floats
// that are next to each other are equal.
func compare(op string, x, y module.Value, yara4 bool) module.Value {
	less, equal := x.Int < y.Int, x.Int == y.Int
	switch {
	case x.Kind == module.String && y.Kind == module.String:
		less, equal = x.Text < y.Text, x.Text == y.Text
	case x.Kind == module.Float || y.Kind == module.Float:
		a, b := asFloat(x), asFloat(y)
		if d := math.Abs(a - b); yara4 && op == "==" {
			return module.BoolValue(d < source.Epsilon)
		} else if yara4 && op == "!=" {
			return module.BoolValue(d >= source.Epsilon)
		}
		if a != a || b != b { // not a number
			return module.BoolValue(op == "!=")
		}
		less, equal = a < b, a == b
	}
	switch op {
	case "==":
		return module.BoolValue(equal)
	case "!=":
		return module.BoolValue(!equal)
	case "<":
		return module.BoolValue(less)
	case "<=":
		return module.BoolValue(less || equal)
	case ">":
		return module.BoolValue(!less && !equal)
	}
	return module.BoolValue(!less)
}

// texts computes an operator of texts. Those that begin with i take ASCII letters
// without case.
func texts(op, a, b string) module.Value {
	if op[0] == 'i' {
		a, b, op = lower(a), lower(b), op[1:]
	}
	switch op {
	case "contains":
		return module.BoolValue(strings.Contains(a, b))
	case "startswith":
		return module.BoolValue(strings.HasPrefix(a, b))
	case "endswith":
		return module.BoolValue(strings.HasSuffix(a, b))
	}
	return module.BoolValue(a == b) // equals
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// matches says whether a regular expression is found in a text. The checker let
// it through, so that one that does not compile is a limit.
func (m *machine) matches(x, re module.Value) module.Value {
	if x.Kind != module.String || re.Kind != module.Regexp {
		return undefined()
	}
	prog, ok := m.program(re)
	if !ok {
		m.stopped = true
		return undefined()
	}
	matcher := regex.Matcher{Limit: m.o.Limit}
	found := matcher.Contains(0, prog, text(x.Text))
	m.stopped = m.stopped || matcher.Exhausted() && !found
	return module.BoolValue(found)
}

// program compiles a regular expression once.
func (m *machine) program(re module.Value) (regex.Program, bool) {
	key := m.rule.Dialect.String() + "/" + re.Flags + "/" + re.Text
	if p, ok := m.programs[key]; ok {
		return p, true
	}
	flags := resyntax.Flags{
		Dialect:         resyntax.YARAX,
		CaseInsensitive: strings.Contains(re.Flags, "i"),
		DotAll:          strings.Contains(re.Flags, "s"),
	}
	if m.yara4() {
		flags.Dialect = resyntax.YARA4
	}
	t, err := resyntax.Parse(re.Text, flags)
	if err != nil && !m.yara4() {
		flags.Relaxed = true
		t, err = resyntax.Parse(re.Text, flags)
	}
	if err != nil {
		flags.Dialect = resyntax.YARA4
		t, err = resyntax.Parse(re.Text, flags)
	}
	if err != nil {
		return nil, false
	}
	p, _, err := regex.Compile(t, regex.Options{Ascii: true, Reach: -1})
	if err != nil {
		return nil, false
	}
	m.programs[key] = p
	return p, true
}

// text is a string as the input of a regular expression.
type text string

// Size is the number of bytes.
func (t text) Size() int64 { return int64(len(t)) }

// View gives bytes from off on, at most n.
func (t text) View(off, n int64) []byte {
	if off < 0 || off >= int64(len(t)) {
		return nil
	}
	return []byte(t[off:min(int64(len(t)), off+n)])
}

// isRead says whether a name is that of a function that reads a number.
func isRead(name string) bool {
	_, _, ok := readForm(name)
	return ok
}

// readForm is the kind and the number of bytes that a function reads.
func readForm(name string) (kind byte, size int, ok bool) {
	base := strings.TrimSuffix(name, "be")
	switch base {
	case "int8", "uint8":
		size = 1
	case "int16", "uint16":
		size = 2
	case "int32", "uint32", "float32":
		size = 4
	case "float64", "int64", "uint64":
		size = 8
	default:
		return 0, 0, false
	}
	return base[0], size, true
}

// read reads a number, undefined past the end.
func (m *machine) read(name string, at module.Value) module.Value {
	kind, size, _ := readForm(name)
	if at.Kind != module.Int || at.Int < 0 {
		return undefined()
	}
	b := m.in.Read(at.Int, size)
	if len(b) != size {
		return undefined()
	}
	var order binary.ByteOrder = binary.LittleEndian
	if strings.HasSuffix(name, "be") {
		order = binary.BigEndian
	}
	var u uint64
	switch size {
	case 1:
		u = uint64(b[0])
	case 2:
		u = uint64(order.Uint16(b))
	case 4:
		u = uint64(order.Uint32(b))
	case 8:
		u = order.Uint64(b)
	}
	switch {
	case kind == 'f' && size == 4:
		return module.FloatValue(float64(math.Float32frombits(uint32(u))))
	case kind == 'f':
		return module.FloatValue(math.Float64frombits(u))
	case kind == 'i': // the sign
		return module.IntValue(int64(u<<(64-8*size)) >> (64 - 8*size))
	}
	return module.IntValue(int64(u))
}

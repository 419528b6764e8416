package code

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/module"
)

var be = binary.BigEndian

// name is a string of the program.
func (m *Machine) name(i uint32) string {
	s := m.names[i]
	if s == "" {
		s = m.intern(m.p.piece(m.p.stringsAt(), int(i)))
		m.names[i] = s
	}
	return s
}

// intern is a string that has some bytes. One that was asked for before costs no
// memory.
func (m *Machine) intern(b []byte) string {
	s, ok := m.known[string(b)]
	if !ok {
		s = string(b)
		if m.size += len(s); m.known == nil || m.size > maxKnown {
			m.known, m.size = map[string]string{}, len(s)
		}
		m.known[s] = s
	}
	return s
}

// value runs what has to do with texts and values.
func (m *Machine) value(op Op, in instr) action {
	v := m.values
	switch op {
	case Text:
		m.texts[in.a] = m.name(in.d)
	case TextMove:
		m.texts[in.a] = m.texts[in.b]
	case TextLen:
		m.ints[in.a] = int64(len(m.texts[in.b]))
	case Module:
		v[in.a] = m.module(int(in.b))
	case External:
		x, ok := m.h.External(m.name(in.d))
		if !ok {
			x = module.Value{}
		}
		v[in.a] = x
	case Field:
		fields, ok := v[in.b].Ref.(module.Fields)
		if !ok {
			v[in.a] = module.Value{}
			break
		}
		v[in.a] = fields.Field(m.name(in.d))
	case Index:
		v[in.a] = index(v[in.b], module.IntValue(m.ints[in.c]))
	case Key:
		v[in.a] = index(v[in.b], module.TextValue(m.texts[in.c]))
	case Len:
		return m.length(in)
	case Pair:
		pairs, ok := v[in.b].Ref.(module.Pairs)
		i := m.ints[in.c]
		if !ok || i < 0 || i >= int64(pairs.Len()) {
			v[in.a], v[in.a+1] = module.Value{}, module.Value{}
			break
		}
		v[in.a], v[in.a+1] = pairs.Pair(int(i))
	case Call:
		fn, ok := v[in.b].Ref.(module.Function)
		if !ok {
			v[in.a] = module.Value{}
			break
		}
		n := int(in.c) + int(in.d)
		v[in.a] = fn(v[in.c:n:n])
	case Defined:
		return branch(in.f, v[in.b].Defined())
	case ValueMove:
		v[in.a] = v[in.b]
	default:
		return m.box(op, in)
	}
	return onwards
}

// module is the value of a module.
func (m *Machine) module(i int) module.Value {
	if !m.asked[i] {
		m.asked[i] = true
		m.modules[i] = m.h.Module(m.name(le.Uint32(m.p[headSize+4*i:])), m.p.dialect())
	}
	return m.modules[i]
}

// index is the item of an array, or what a map has for a key.
func index(x, key module.Value) module.Value {
	switch ref := x.Ref.(type) {
	case module.Items:
		if key.Kind == module.Int {
			return ref.At(key.Int)
		}
	case module.Pairs:
		return ref.Find(key)
	}
	return module.Value{}
}

func (m *Machine) length(in instr) action {
	switch ref := m.values[in.b].Ref.(type) {
	case module.Items:
		m.ints[in.a] = int64(ref.Len())
	case module.Pairs:
		m.ints[in.a] = int64(ref.Len())
	default:
		return toE
	}
	return onwards
}

// box makes values of registers and the other way round.
func (m *Machine) box(op Op, in instr) action {
	switch op {
	case BoxInt:
		m.values[in.a] = module.IntValue(m.ints[in.b])
	case BoxBool:
		m.values[in.a] = module.BoolValue(m.ints[in.b] != 0)
	case BoxFloat:
		m.values[in.a] = module.FloatValue(math.Float64frombits(uint64(m.ints[in.b])))
	case BoxText:
		m.values[in.a] = module.TextValue(m.texts[in.b])
	case BoxRegexp:
		m.values[in.a] = module.Value{Kind: module.Regexp, Text: m.name(in.d), Flags: m.name(in.e)}
	case UnboxInt:
		x := &m.values[in.b]
		if x.Kind != module.Int && x.Kind != module.Bool {
			return toE
		}
		m.ints[in.a] = x.Int
	case UnboxFloat:
		x := &m.values[in.b]
		f := x.Float
		switch x.Kind {
		case module.Float:
		case module.Int, module.Bool:
			f = float64(x.Int)
		default:
			return toE
		}
		m.ints[in.a] = int64(math.Float64bits(f))
	case UnboxText:
		if m.values[in.b].Kind != module.String {
			return toE
		}
		m.texts[in.a] = m.values[in.b].Text
	}
	return onwards
}

// textTest runs a test of texts.
func (m *Machine) textTest(op Op, in instr) action {
	a := m.texts[in.b]
	switch op {
	case Filled:
		return branch(in.f, a != "")
	case Matches:
		return m.matches(in, a)
	}
	b := m.texts[in.c]
	m.steps += int64(len(a)+len(b)) >> 4
	is := false
	switch op {
	case TEq:
		is = a == b
	case TNe:
		is = a != b
	case TLt:
		is = a < b
	case TLe:
		is = a <= b
	case TGt:
		is = a > b
	case TGe:
		is = a >= b
	case Contains:
		is = strings.Contains(a, b)
	case StartsWith:
		is = strings.HasPrefix(a, b)
	case EndsWith:
		is = strings.HasSuffix(a, b)
	case IContains:
		is = len(a) >= len(b) && bytes.Contains(m.folded(0, a), m.folded(1, b))
	case IStartsWith:
		is = len(a) >= len(b) && same(a[:len(b)], b)
	case IEndsWith:
		is = len(a) >= len(b) && same(a[len(a)-len(b):], b)
	case IEquals:
		is = len(a) == len(b) && same(a, b)
	}
	return branch(in.f, is)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// same says whether two texts of one length are the same but for the case of
// ASCII letters.
func same(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// folded is a text with small letters, in buffer i.
func (m *Machine) folded(i int, s string) []byte {
	b := append(m.lower[i][:0], s...)
	for k, c := range b {
		b[k] = lower(c)
	}
	m.lower[i] = b
	return b
}

// bytesInput is bytes as the input of a regular expression.
type bytesInput []byte

// Size is the number of bytes.
func (t *bytesInput) Size() int64 { return int64(len(*t)) }

// View gives bytes from off on, at most n.
func (t *bytesInput) View(off, n int64) []byte {
	if off < 0 || off >= int64(len(*t)) {
		return nil
	}
	return (*t)[off:min(int64(len(*t)), off+n)]
}

// matches says whether a regular expression is found in a text. What the matcher
// leaves undone stops the run.
func (m *Machine) matches(in instr, s string) action {
	prog := regex.Program(m.p.piece(m.p.regexpsAt(), int(in.c)))
	id, ok := m.ids[&prog[0]]
	if !ok {
		if m.ids == nil || len(m.ids) >= maxIDs {
			m.ids = map[*byte]uint32{}
		}
		id = uint32(len(m.ids))
		m.ids[&prog[0]] = id
	}
	m.subject = append(m.subject[:0], s...)
	m.matcher.Steps, m.matcher.Abandoned = 0, 0
	m.matcher.Limit = max(1, m.limit-m.steps)
	found := m.matcher.Contains(id, prog, &m.subject)
	m.steps += m.matcher.Steps
	if !found && (m.matcher.Exhausted() || m.matcher.Abandoned > 0) {
		return stop
	}
	return branch(in.f, found)
}

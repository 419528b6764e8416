package code

import (
	"math"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// Host is what a condition asks about. Patterns and rules are those that the
// program's were compiled from, by their numbers.
type Host interface {
	// Size is the number of bytes.
	Size() int64
	// Read gives bytes off to off+n, nil if some of them are not there. They stay
	// as they are until the next call.
	Read(off int64, n int) []byte
	// Count is how many matches a pattern has.
	Count(pattern int) int
	// At is match i, from 0. Matches rise by their offsets.
	At(pattern, i int) (off, n int64)
	// Rule is whether a rule holds. One that is not known makes this one stop.
	Rule(dep int) (holds, known bool)
	// Module is the value of a module. It is asked once a run at most.
	Module(name string, d source.Dialect) module.Value
	// External is the value that the scan sets for an external variable.
	External(name string) (module.Value, bool)
	// Entry is the entry point for YARA's keyword, false if there is none.
	Entry() (int64, bool)
}

// Outcome is what became of a run.
type Outcome struct {
	Holds   bool
	Stopped bool // it reached the limit: it is not known not to hold
	Steps   int64
}

// Machine runs programs. The zero value is ready; it keeps its memory. It is not
// safe for concurrent use.
type Machine struct {
	// Limit is the number of steps of a run: instructions, and what those cost
	// that do more than a little. 0 is 16,777,216.
	Limit int64

	p      Program
	h      Host
	data   []byte // of the program
	ints   []int64
	texts  []string
	values []module.Value
	steps  int64
	limit  int64

	names   []string // strings of the program, as they were asked for
	modules []module.Value
	asked   []bool // modules

	window  [windowSize]byte // bytes from base on
	base    int64
	held    int64
	known   map[string]string // strings by their bytes
	size    int               // of known, bytes
	matcher regex.Matcher
	ids     map[*byte]uint32 // of regular expressions
	subject bytesInput
	lower   [2][]byte
}

const (
	defaultLimit = 1 << 24
	windowSize   = 256     // bytes read at a time
	maxKnown     = 4 << 20 // bytes of strings kept
	maxIDs       = 1 << 16
)

// Run runs a program that Check has proven.
func (m *Machine) Run(p Program, h Host) Outcome {
	m.p, m.h, m.data = p, h, p[p.dataAt():]
	m.steps, m.held = 0, 0
	if m.limit = m.Limit; m.limit == 0 {
		m.limit = defaultLimit
	}
	m.ints = zeros(m.ints, p.ints())
	m.texts = zeros(m.texts, p.texts())
	m.values = zeros(m.values, p.values())
	m.names = zeros(m.names, p.strings())
	m.modules = zeros(m.modules, p.modules())
	m.asked = zeros(m.asked, p.modules())
	act := m.loop(p[p.instrsAt():p.dataAt()])
	m.forget()
	return Outcome{Holds: act == hold, Stopped: act == stop, Steps: m.steps}
}

// zeros is n zero values, in the memory of s if they fit: forget has left zeros
// there.
func zeros[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// forget lets go of what a run has asked for.
func (m *Machine) forget() {
	m.p, m.h, m.data = nil, nil, nil
	clear(m.ints)
	clear(m.texts)
	clear(m.values)
	clear(m.names)
	clear(m.modules)
	clear(m.asked)
}

// action is where to go on after an instruction.
type action uint8

const (
	onwards action = iota
	toE
	toD
	hold
	fail
	stop
)

// branch is toE if a test came out as its instruction asks.
func branch(f uint8, is bool) action {
	if is == (f&ifTrue != 0) {
		return toE
	}
	return onwards
}

// y is the second operand.
func y(ints []int64, in *[instrSize]byte) int64 {
	if in[1]&immediate == 0 {
		return ints[le.Uint16(in[6:])]
	}
	if in[1]&negative != 0 {
		return -int64(le.Uint32(in[8:]))
	}
	return int64(le.Uint32(in[8:]))
}

// loop runs instructions. The frequent ones are done here.
func (m *Machine) loop(code []byte) action {
	ints := m.ints
	steps := int64(0)
	for pc := 0; ; {
		in := (*[instrSize]byte)(code[pc:])
		pc += instrSize
		steps++
		var is bool
		a, b := le.Uint16(in[2:]), le.Uint16(in[4:])
		switch Op(in[0]) {
		case False, True:
			m.steps += steps
			if Op(in[0]) == True {
				return hold
			}
			return fail
		case Jump:
			pc = instrSize * int(le.Uint32(in[12:]))
			continue
		case Int:
			ints[a] = int64(le.Uint64(in[8:]))
			continue
		case Move:
			ints[a] = ints[b]
			continue
		case Add:
			ints[a] = ints[b] + y(ints, in)
			continue
		case Sub:
			ints[a] = ints[b] - y(ints, in)
			continue
		case And:
			ints[a] = ints[b] & y(ints, in)
			continue
		case Size:
			ints[a] = m.h.Size()
			continue
		case Count:
			ints[a] = int64(m.count(in[1], b))
			continue
		case Read:
			v, ok := m.read(y(ints, in), int(b))
			if !ok {
				pc = instrSize * int(le.Uint32(in[12:]))
				continue
			}
			ints[a] = v
			continue
		case Switch:
			pc = instrSize * int(m.target(instr{b: b, c: le.Uint16(in[6:]), d: le.Uint32(in[8:]), e: le.Uint32(in[12:])}))
			continue
		case Peek:
			off := int64(b)
			if in[1]&indirect != 0 {
				off = ints[b]
			}
			var v int64
			if at := off - m.base; a&31 == 0 && at >= 0 && at < m.held {
				v, is = int64(m.window[at&(windowSize-1)]), true
			} else {
				v, is = m.read(off, int(a&31))
			}
			is = is && compared(a>>5, v, y(ints, in))
		case Next:
			if ints[a] == ints[a+1] {
				continue
			}
			ints[a]++
			if m.steps+steps > m.limit {
				m.steps += steps
				return stop
			}
			pc = instrSize * int(le.Uint32(in[12:]))
			continue
		case Eq:
			is = ints[b] == y(ints, in)
		case Ne:
			is = ints[b] != y(ints, in)
		case Lt:
			is = ints[b] < y(ints, in)
		case Le:
			is = ints[b] <= y(ints, in)
		case Gt:
			is = ints[b] > y(ints, in)
		case Ge:
			is = ints[b] >= y(ints, in)
		case Found:
			is = m.count(in[1], b) > 0
		default:
			act := m.other(instr{in[0], in[1], a, b, le.Uint16(in[6:]), le.Uint32(in[8:]), le.Uint32(in[12:])}, y0(ints, in))
			switch act {
			case onwards:
			case toE:
				pc = instrSize * int(le.Uint32(in[12:]))
			case toD:
				pc = instrSize * int(le.Uint32(in[8:]))
			default:
				m.steps += steps
				return act
			}
			continue
		}
		if is == (in[1]&ifTrue != 0) {
			pc = instrSize * int(le.Uint32(in[12:]))
		}
	}
}

// compared computes a comparison: Eq and so on.
func compared(test uint16, a, b int64) bool {
	switch Eq + Op(test) {
	case Eq:
		return a == b
	case Ne:
		return a != b
	case Lt:
		return a < b
	case Le:
		return a <= b
	case Gt:
		return a > b
	}
	return a >= b
}

// y0 is the second operand of an instruction that has one, else any number.
func y0(ints []int64, in *[instrSize]byte) int64 {
	if in[1]&immediate == 0 && int(le.Uint16(in[6:])) >= len(ints) {
		return 0
	}
	return y(ints, in)
}

// other runs the instructions that loop does not. y is the second operand of
// those that have one.
func (m *Machine) other(in instr, y int64) action {
	op := Op(in.op)
	switch {
	case op >= Mul && op <= FNeg:
		return m.arithmetic(op, in, y)
	case op >= FEq && op <= FGe:
		return branch(in.f, floatTest(op, math.Float64frombits(uint64(m.ints[in.b])), math.Float64frombits(uint64(m.ints[in.c])), m.p.dialect() == source.YARA))
	case op >= TEq && op <= Filled:
		return m.textTest(op, in)
	case op >= FoundAt && op <= Rule:
		return m.pattern(op, in, y)
	case op >= Range && op <= NumberAt:
		return m.turn(op, in)
	case op >= Text:
		return m.value(op, in)
	}
	if at, ok := m.h.Entry(); ok { // Entry
		m.ints[in.a] = at
		return onwards
	}
	return toE
}

// arithmetic computes an operator.
func (m *Machine) arithmetic(op Op, in instr, y int64) action {
	x := m.ints[in.b]
	switch op {
	case Mul:
		x *= y
	case Or:
		x |= y
	case Xor:
		x ^= y
	case Div:
		if y == 0 || x == math.MinInt64 && y == -1 {
			return toE
		}
		x /= y
	case Mod:
		switch {
		case y == 0 || x == math.MinInt64 && y == -1 && m.p.dialect() == source.YARA:
			return toE
		case y == -1:
			x = 0
		default:
			x %= y
		}
	case Shl, Shr:
		switch {
		case y < 0:
			return toE
		case y >= 64:
			x = 0
		case op == Shl:
			x <<= uint(y)
		default:
			x >>= uint(y)
		}
	case Neg:
		x = -x
	case Not:
		x = ^x
	case ToFloat:
		x = int64(math.Float64bits(float64(x)))
	default:
		f := math.Float64frombits(uint64(x))
		x = int64(math.Float64bits(floatSum(op, f, math.Float64frombits(uint64(m.ints[in.c])))))
	}
	m.ints[in.a] = x
	return onwards
}

func floatSum(op Op, a, b float64) float64 {
	switch op {
	case FAdd:
		return a + b
	case FSub:
		return a - b
	case FMul:
		return a * b
	case FDiv:
		return a / b
	}
	return -a
}

// floatTest compares floats; for YARA 4 those that are next to each other are equal.
func floatTest(op Op, a, b float64, yara4 bool) bool {
	switch op {
	case FEq:
		return a == b && !yara4 || yara4 && math.Abs(a-b) < source.Epsilon
	case FNe:
		return a != b && !yara4 || yara4 && math.Abs(a-b) >= source.Epsilon
	case FLt:
		return a < b
	case FLe:
		return a <= b
	case FGt:
		return a > b
	}
	return a >= b
}

// turn runs what loops are made of.
func (m *Machine) turn(op Op, in instr) action {
	r := m.ints[in.a:]
	switch op {
	case Range:
		if r[0] > r[1] {
			return toE
		}
		if r[2] = r[1] - r[0]; r[2] < 0 || r[2] == math.MaxInt64 {
			r[2] = math.MaxInt64
		} else {
			r[2]++
		}
	case Quota:
		n, all, size := m.ints[in.b], m.ints[in.b+1] != 0, m.ints[in.c]
		need := n
		switch {
		case all:
			need = size
		case in.f&percent != 0:
			if need = share(n, size); need <= 0 {
				return toE
			}
		case n < 0:
			return toE
		}
		r[0], r[1] = need, size-need
	case Hit:
		if r[0]--; r[0] == 0 {
			return toD
		} else if r[0] < 0 {
			return toE
		}
	case Miss:
		if r[1]--; r[1] < 0 && r[0] > 0 {
			return toE
		}
	case Member:
		r[0] = 0
		if i := m.ints[in.b]; i >= 0 && i < int64(in.c) {
			r[0] = int64(m.member(in, int(i)))
		}
	case NumberAt:
		r[0] = 0
		if i := m.ints[in.b]; i >= 0 && i < int64(in.c) {
			r[0] = int64(le.Uint64(m.data[int(in.d)+8*int(i):]))
		}
	}
	return onwards
}

// target is where Switch goes on.
func (m *Machine) target(in instr) uint32 {
	i := m.ints[in.b]
	if i < 0 || i >= int64(in.c) {
		return in.e
	}
	return le.Uint32(m.data[int(in.d)+4*int(i):])
}

// share is how many of size are n percent, rounded up.
func share(n, size int64) int64 {
	if size > 1<<40 && n >= 0 && n <= 100 {
		return (size/100)*n + (size%100*n+99)/100
	}
	return (n*size + 99) / 100
}

// member is the pattern that is member i.
func (m *Machine) member(in instr, i int) int {
	if in.f&indirect != 0 {
		return int(in.d) + i
	}
	return int(le.Uint16(m.data[int(in.d)+2*i:]))
}

// read reads a number.
func (m *Machine) read(off int64, form int) (v int64, ok bool) {
	n := 1 << (form & 3)
	at := off - m.base
	if at < 0 || at > m.held-int64(n) {
		if at, ok = m.fill(off, n); !ok {
			return 0, false
		}
	}
	b := m.window[at:]
	var u uint64
	switch form & (3 | formBig) {
	case 0, formBig:
		u = uint64(b[0])
	case 1:
		u = uint64(le.Uint16(b))
	case 2:
		u = uint64(le.Uint32(b))
	case 3:
		u = le.Uint64(b)
	case 1 | formBig:
		u = uint64(be.Uint16(b))
	case 2 | formBig:
		u = uint64(be.Uint32(b))
	case 3 | formBig:
		u = be.Uint64(b)
	}
	switch {
	case form&formFloat != 0 && n == 4:
		return int64(math.Float64bits(float64(math.Float32frombits(uint32(u))))), true
	case form&formSigned != 0:
		shift := 64 - 8*n
		return int64(u<<shift) >> shift, true
	}
	return int64(u), true
}

// fill reads the bytes at an offset, and some behind them if they are there, and
// says where in the window they stand.
func (m *Machine) fill(off int64, n int) (at int64, ok bool) {
	size := m.h.Size()
	if off < 0 || int64(n) > size || off > size-int64(n) {
		return 0, false
	}
	m.held = 0
	from, want := off&^(windowSize-1), int64(windowSize)
	if off+int64(n) > from+windowSize {
		from = off
	}
	want = min(want, size-from)
	b := m.h.Read(from, int(want))
	if int64(len(b)) != want {
		from, want = off, int64(n)
		if b = m.h.Read(off, n); len(b) != n {
			return 0, false
		}
	}
	copy(m.window[:], b)
	m.base, m.held = from, want
	return off - from, true
}

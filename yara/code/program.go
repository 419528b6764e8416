// Package code is conditions of YARA rules, compiled: the program that a rule
// database stores, the proof that it is well-formed, and the machine that runs it.
//
// A machine has integers (booleans and the bits of floats among them), texts and
// values in registers of their own. No register says that it is undefined: what
// comes to nothing jumps to where that is looked at, which "and", "or", "not",
// "defined" and loops know when they are compiled. All jumps go forward but that
// of Next, which counts.
//
//	uint16(0) == 0x5A4D and for any i in (1..#a) : (@a[i] < 100)
//
//	0  peek   uint16(0) == 0x5A4D        else 7
//	1  int    i0 = 1
//	2  count  i1 = #0
//	3  range  i0 to i1                   empty: 7
//	4  offset i3 = @0[i0]                undefined: 6
//	5  lt     i3 < 100                   8
//	6  next   i0                         4
//	7  false
//	8  true
//
// What a program computes is what package yara/eval says of the same condition.
package code

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/source"
)

// A Program is a compiled condition. It is stored in a mapped database and run
// in place, has no pointers, and is little-endian:
//
//	version u8 (1), dialect u8, integers u16, texts u16, values u16 (registers),
//	modules u16, regexps u16, strings u32, patterns u32, deps u32, instructions u32
//	modules times u32: the number of the string that is the name
//	strings, then regexps, times 8 bytes: offset u32 in data, length u32
//	instructions times 16 bytes: op u8, flags u8, a u16, b u16, c u16, d u32, e u32
//	data
//
// a is mostly the register that is written. Of most operators with two operands
// the second is register c or, flag Immediate, the number d, or -d. A test jumps
// to instruction e if what it says is true, flag IfTrue, or false. Where a value
// may be undefined, e is where to go on then.
type Program []byte

// ErrProgram is wrapped by the errors of Check.
var ErrProgram = errors.New("condition program corrupt")

const (
	version   = 1
	headSize  = 28
	instrSize = 16

	maxInstr = 1 << 22
	maxData  = 1 << 28 // bytes
)

var le = binary.LittleEndian

// The flags.
const (
	immediate = 1 << iota // the second operand is d
	negative              // it is -d
	indirect              // the pattern is in integer b; Of: members are d, d+1 ...
	counted               // Of: the number is in integer a
	percent               // Quota
)

// ifTrue is the flag of tests that jump if what they say is true.
const ifTrue = 1 << 7

func (p Program) dialect() source.Dialect { return source.Dialect(p[1]) }
func (p Program) ints() int               { return int(le.Uint16(p[2:])) }
func (p Program) texts() int              { return int(le.Uint16(p[4:])) }
func (p Program) values() int             { return int(le.Uint16(p[6:])) }
func (p Program) modules() int            { return int(le.Uint16(p[8:])) }
func (p Program) regexps() int            { return int(le.Uint16(p[10:])) }
func (p Program) strings() int            { return int(le.Uint32(p[12:])) }
func (p Program) patterns() int           { return int(le.Uint32(p[16:])) }
func (p Program) deps() int               { return int(le.Uint32(p[20:])) }
func (p Program) instrs() int             { return int(le.Uint32(p[24:])) }

// stringsAt is the offset of the table of strings, regexpsAt that of regular
// expressions, instrsAt that of instructions, dataAt that of the data.
func (p Program) stringsAt() int { return headSize + 4*p.modules() }
func (p Program) regexpsAt() int { return p.stringsAt() + 8*p.strings() }
func (p Program) instrsAt() int  { return p.regexpsAt() + 8*p.regexps() }
func (p Program) dataAt() int    { return p.instrsAt() + instrSize*p.instrs() }

// Modules are the names of the modules that the condition asks.
func (p Program) Modules() iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(p) < headSize {
			return
		}
		for i := range p.modules() {
			if !yield(string(p.piece(p.stringsAt(), int(le.Uint32(p[headSize+4*i:]))))) {
				return
			}
		}
	}
}

// piece is the bytes that an entry of a table tells.
func (p Program) piece(table, i int) []byte {
	b := p[table+8*i:]
	data := p[p.dataAt():]
	off, n := le.Uint32(b), le.Uint32(b[4:])
	return data[off : off+n : off+n]
}

// instr is a decoded instruction.
type instr struct {
	op, f   uint8
	a, b, c uint16
	d, e    uint32
}

func (p Program) instr(i int) instr {
	b := p[p.instrsAt()+instrSize*i:]
	return instr{b[0], b[1], le.Uint16(b[2:]), le.Uint16(b[4:]), le.Uint16(b[6:]), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

// Check proves that the program is well-formed and names only patterns and rules
// that are there, so that running it cannot index out of range, and goes back
// only by Next.
func (p Program) Check(patterns, deps int) error {
	if len(p) < headSize || p[0] != version || p[1] > byte(source.YARAX) {
		return fmt.Errorf("head: %w", ErrProgram)
	}
	n := uint64(p.instrs())
	if n == 0 || n > maxInstr || p.patterns() != patterns || p.deps() != deps || p.strings() > maxInstr {
		return fmt.Errorf("head: %w", ErrProgram)
	}
	at := uint64(headSize) + 4*uint64(p.modules()) + 8*uint64(p.strings()) + 8*uint64(p.regexps()) + instrSize*n
	if uint64(len(p)) < at || uint64(len(p))-at > maxData {
		return fmt.Errorf("length: %w", ErrProgram)
	}
	k := proof{p: p, size: uint64(len(p)) - at}
	for i := range p.modules() {
		if int(le.Uint32(p[headSize+4*i:])) >= p.strings() {
			return fmt.Errorf("module %d: %w", i, ErrProgram)
		}
	}
	for i := range p.strings() + p.regexps() {
		b := p[p.stringsAt()+8*i:]
		if uint64(le.Uint32(b))+uint64(le.Uint32(b[4:])) > k.size {
			return fmt.Errorf("string %d: %w", i, ErrProgram)
		}
	}
	for i := range p.regexps() {
		if err := regex.Program(p.piece(p.regexpsAt(), i)).Check(nil); err != nil {
			return fmt.Errorf("regular expression %d: %w", i, err)
		}
	}
	for i := range int(n) {
		if !k.instr(i, p.instr(i)) {
			return fmt.Errorf("instruction %d: %w", i, ErrProgram)
		}
	}
	if op := Op(p.instr(int(n) - 1).op); op != False && op != True {
		return fmt.Errorf("end: %w", ErrProgram)
	}
	return nil
}

// proof is the state of Check.
type proof struct {
	p    Program
	size uint64 // of the data
}

// instr says whether instruction i is in order.
func (k *proof) instr(i int, in instr) bool {
	if in.op >= byte(ops) {
		return false
	}
	s := shapes[in.op]
	return in.f&^s.flags == 0 &&
		k.operand(s.a, uint32(in.a), i, in) && k.operand(s.b, uint32(in.b), i, in) && k.operand(s.c, uint32(in.c), i, in) &&
		k.operand(s.d, in.d, i, in) && k.operand(s.e, in.e, i, in)
}

// operand says whether an operand is in order.
func (k *proof) operand(u use, v uint32, i int, in instr) bool {
	n, limit := int64(v), 0
	switch u {
	case none:
		return v == 0
	case number:
		return true
	case anInt, threeInts, twoInts:
		limit = k.p.ints() - [...]int{anInt: 0, twoInts: 1, threeInts: 2}[u]
	case second:
		if in.f&immediate != 0 {
			return v == 0
		}
		limit = k.p.ints()
	case aText:
		limit = k.p.texts()
	case aValue:
		limit = k.p.values()
	case twoValues:
		limit = k.p.values() - 1
	case aPattern:
		limit = k.p.patterns()
		if in.f&indirect != 0 {
			limit = k.p.ints()
		}
	case aModule:
		limit = k.p.modules()
	case aRegexp:
		limit = k.p.regexps()
	case aString:
		limit = k.p.strings()
	case aDep:
		limit = k.p.deps()
	case onward:
		return n > int64(i) && n < int64(k.p.instrs())
	case back:
		return n <= int64(i)
	case aForm:
		return v < forms && (v&formFloat == 0 || v&3 >= 2)
	case aPeek:
		return v&formFloat == 0 && v>>5 <= uint32(Ge-Eq) && in.f&immediate != 0
	case anOffset:
		return in.f&indirect == 0 || int(v) < k.p.ints()
	default:
		return k.table(u, v, i, in)
	}
	return n < int64(limit)
}

// table says whether what refers to several things at once is in order.
func (k *proof) table(u use, v uint32, i int, in instr) bool {
	count := uint64(in.c)
	switch u {
	case quantity:
		return in.f&counted == 0 || int(v) < k.p.ints()
	case place:
		return v == 0 && Op(in.op) == Of || Op(in.op) == OfAt && int(v) < k.p.ints() || Op(in.op) == OfIn && int(v) < k.p.ints()-1
	case args:
		return uint64(in.c)+uint64(v) <= uint64(k.p.values())
	case members:
		if in.f&indirect != 0 {
			return uint64(v)+count <= uint64(k.p.patterns())
		}
		return k.entries(v, count, 2, func(b []byte) bool { return int(le.Uint16(b)) < k.p.patterns() })
	case rules:
		return k.entries(v, count, 4, func(b []byte) bool { return int64(le.Uint32(b)) < int64(k.p.deps()) })
	case targets:
		return k.entries(v, count, 4, func(b []byte) bool {
			to := int64(le.Uint32(b))
			return to > int64(i) && to < int64(k.p.instrs())
		})
	case numbers:
		return k.entries(v, count, 8, func([]byte) bool { return true })
	}
	return false
}

// entries says whether count entries of a table in the data are in order.
func (k *proof) entries(off uint32, count, size uint64, good func(b []byte) bool) bool {
	if uint64(off)+count*size > k.size {
		return false
	}
	b := k.p[k.p.dataAt()+int(off):]
	for ; count > 0; count-- {
		if !good(b) {
			return false
		}
		b = b[size:]
	}
	return true
}

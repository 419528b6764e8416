package regex

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/showcause/showcause/regex/syntax"
)

// A Program is a compiled expression: a nondeterministic automaton, whose
// states are instructions. It is stored in a mapped database and run in place,
// has no pointers, and is little-endian:
//
//	version u8 (1), flags u24, reach u32 (bytes; 0: unbounded),
//	entry u32, slots u16 (of captures), loops u16 (counters),
//	instructions u32, sets u32,
//	instructions times 12 bytes: op u8, arg u24, x u32, y u32
//	sets times 32 bytes: the bits of a Set, 4 times u64
//
//	class   arg: -      x: next          y: set         consumes a byte of the set
//	split   arg: -      x: first choice  y: second
//	assert  arg: test   x: next
//	match
//
// and, only in a program that is not linear, run by backtracking:
//
//	save    arg: slot   x: next
//	ref     arg: group  x: next          y: 1: without case
//	look    arg: bits, see lookBehind    x: next   y: body, which ends in ok
//	atomic  x: next     y: body, which ends in ok
//	ok      ends the body of look and atomic
//	cond    arg: group  x: if it is set  y: if not
//	keep    x: next
//	mark    arg: counter x: next         the place where a round of a loop began
//	moved   arg: counter x: next         y: where to go on if the round took nothing
//
// The Place of an Atom is the number of the class instruction that consumes
// the atom's first byte, times two, plus one for the wide form.
type Program []byte

// The flags of a program.
const (
	flagAscii    = 1 << iota // matches the bytes as they stand
	flagWide                 // matches bytes each followed by a zero byte
	flagFull                 // fullword
	flagGreedy               // of matches with one start the longest counts, not the shortest
	flagLongest              // the longest end from an atom counts, not the one preferred
	flagEmpty                // the empty match counts
	flagTextEdge             // wide: where wide text ends the input does
	flagCR                   // CR ends a line as LF does
	flagTests                // there are asserts
	flagEndLine              // one of them is EndLine
	flagBack                 // not linear: backtracking
	flagAnchored             // matches begin at the start only
	flags        = 1<<iota - 1
)

// The ops of instructions.
const (
	opClass = iota
	opSplit
	opAssert
	opMatch
	opSave
	opRef
	opLook
	opAtomic
	opOK
	opCond
	opKeep
	opMark
	opMoved
	ops
)

const (
	version   = 1
	headSize  = 24
	instrSize = 12
	setSize   = 32

	maxInstr = 1 << 17
	maxSets  = 1 << 16
)

// ErrProgram is wrapped by the errors of Check.
var ErrProgram = errors.New("regular expression program corrupt")

var le = binary.LittleEndian

// instr is a decoded instruction.
type instr struct {
	op   uint8
	arg  uint32
	x, y uint32
}

func (p Program) flags() uint32 { return le.Uint32(p) >> 8 }
func (p Program) reach() int64  { return int64(le.Uint32(p[4:])) }
func (p Program) entry() uint32 { return le.Uint32(p[8:]) }
func (p Program) slots() int    { return int(le.Uint16(p[12:])) }
func (p Program) loops() int    { return int(le.Uint16(p[14:])) }
func (p Program) len() int      { return int(le.Uint32(p[16:])) }
func (p Program) sets() int     { return int(le.Uint32(p[20:])) }

func (p Program) instr(i int) instr {
	b := p[headSize+instrSize*i:]
	w := le.Uint32(b)
	return instr{op: uint8(w), arg: w >> 8, x: le.Uint32(b[4:]), y: le.Uint32(b[8:])}
}

func (p Program) set(i int) (s syntax.Set) {
	b := p[headSize+instrSize*p.len()+setSize*i:]
	for k := range s {
		s[k] = le.Uint64(b[8*k:])
	}
	return s
}

// Greedy tells which match counts where several with one start were emitted:
// the longest, or else the shortest.
func (p Program) Greedy() bool { return p.flags()&flagGreedy != 0 }

// Linear tells that matching takes time linear in the input; else it
// backtracks, within the Matcher's limit.
func (p Program) Linear() bool { return p.flags()&flagBack == 0 }

// Anchored tells that matches begin at the start of the input only.
func (p Program) Anchored() bool { return p.flags()&flagAnchored != 0 }

// Check proves that the program is well-formed, so that running it, with one
// of the places, cannot index out of range or run without bound.
func (p Program) Check(places []uint32) error {
	if len(p) < headSize || p[0] != version {
		return fmt.Errorf("head: %w", ErrProgram)
	}
	f := p.flags()
	n, sets := le.Uint32(p[16:]), le.Uint32(p[20:])
	if f&^flags != 0 || f&(flagAscii|flagWide) == 0 || n == 0 || n > maxInstr || sets > maxSets {
		return fmt.Errorf("head: %w", ErrProgram)
	}
	if uint64(len(p)) != headSize+instrSize*uint64(n)+setSize*uint64(sets) {
		return fmt.Errorf("length: %w", ErrProgram)
	}
	if p.entry() >= n {
		return fmt.Errorf("entry: %w", ErrProgram)
	}
	for i := range int(n) {
		if !p.checkInstr(p.instr(i), n, sets, f) {
			return fmt.Errorf("instruction %d: %w", i, ErrProgram)
		}
	}
	for _, at := range places {
		if at == NoPlace && f&flagBack != 0 {
			continue
		}
		q := at >> 1
		wide := at&1 != 0
		if q >= n || p.instr(int(q)).op != opClass || wide && f&flagWide == 0 || !wide && f&flagAscii == 0 {
			return fmt.Errorf("place %d: %w", at, ErrProgram)
		}
	}
	return nil
}

func (p Program) checkInstr(in instr, n, sets, f uint32) bool {
	if in.op >= ops || in.x >= n {
		return false
	}
	switch in.op {
	case opClass:
		return in.y < sets && in.arg == 0
	case opSplit:
		return in.y < n && in.arg == 0
	case opAssert:
		if in.arg == uint32(syntax.EndLine) && f&flagEndLine == 0 {
			return false
		}
		return in.arg < uint32(syntax.Tests) && f&flagTests != 0
	case opMatch:
		return true
	}
	if f&flagBack == 0 {
		return false
	}
	switch in.op {
	case opSave:
		return int(in.arg) < p.slots()
	case opRef:
		return 2*int(in.arg)+1 < p.slots()
	case opCond:
		return 2*int(in.arg)+1 < p.slots() && in.y < n
	case opLook, opAtomic:
		return in.y < n && in.arg&0xff <= lookBehind|lookNegated
	case opMark, opMoved:
		return int(in.arg) < p.loops() && in.y < n
	}
	return true
}

package bytecode

import (
	"encoding/binary"
	"fmt"
)

// What a run may take, where its Context says nothing.
const (
	defaultWork   = 100_000_000
	defaultMemory = 64 << 20
	maxDepth      = 10_000 // calls within calls
)

// FaultKind says what ended a program before its end.
type FaultKind uint8

// The kinds.
const (
	Broken      FaultKind = iota // the program: an address that leads nowhere, a division by zero ...
	WorkLimit                    // steps
	MemoryLimit                  // bytes
	Unreadable                   // the input could not be read where it was said to go on
)

// Fault is why a program did not come to its end.
type Fault struct {
	Kind  FaultKind
	Cause string
}

func (f *Fault) Error() string { return f.Cause }

// Setup is what a run needs besides the program.
type Setup struct {
	Work   int64 // steps, 0 for 100 million
	Memory int64 // bytes, 0 for 64 MiB
	// Call runs a function of the engine: the number is that of Prototype. Arguments
	// that are addresses are for Machine.Resolve.
	Call func(m *Machine, number int, args []uint64) uint64
	// Globals are what the engine provides, by their numbers from MatchCounts on.
	Globals [lastGlobal - firstGlobal + 1][]byte
}

// Run interprets the program until its first function returns, and gives what that
// returned and the steps it took. The error is a *Fault.
func (p *Program) Run(s *Setup) (result uint32, work int64, err error) {
	m := Machine{p: p, call: s.Call, work: s.Work, memory: s.Memory}
	if m.work <= 0 {
		m.work = defaultWork
	}
	if m.memory <= 0 {
		m.memory = defaultMemory
	}
	all := m.work
	m.segments = make([]segment, globalSegment)
	for i, b := range s.Globals {
		m.segments[i].bytes = b
	}
	m.segments[globalSegment-1].bytes = append([]byte(nil), p.bytes...)
	m.enter(0, nil, 0)
	m.loop()
	work = all - max(m.work, 0)
	if m.fault != nil {
		return m.result, work, m.fault
	}
	return m.result, work, nil
}

// Machine is one run of a program.
type Machine struct {
	p      *Program
	call   func(*Machine, int, []uint64) uint64
	result uint32
	fault  *Fault
	ended  bool
	work   int64 // steps that are left
	memory int64 // bytes that are left

	// The frames of all functions that are being called, one behind the other.
	stack  []byte
	frames []frame
	nextID int32 // of a frame
	cur    []byte
	f      *fn
	pc     int

	segments []segment // by number, from 1
}

type frame struct {
	id   int32 // pointers into it have it, negated
	base int   // in stack
	f    *fn
	pc   int     // where its caller goes on
	dest operand // where in the caller's frame the result goes
}

// segment is memory that pointers of one number lead to.
type segment struct {
	bytes    []byte
	readOnly bool
}

var le = binary.LittleEndian

// Fail ends the program.
func (m *Machine) Fail(k FaultKind, format string, args ...any) {
	if m.fault == nil {
		where := 0
		if m.f != nil {
			where = m.f.line
		}
		m.fault = &Fault{k, fmt.Sprintf("function at line %d, instruction %d: ", where, m.pc) + fmt.Sprintf(format, args...)}
	}
	m.ended = true
}

// Charge takes steps, and tells whether there are any left.
func (m *Machine) Charge(n int64) bool {
	if m.work -= n; m.work < 0 {
		m.Fail(WorkLimit, "it takes more steps than it may")
	}
	return !m.ended
}

// Allocate takes bytes, and tells whether there were so many left.
func (m *Machine) Allocate(n int64) bool {
	if m.memory -= n; m.memory < 0 {
		m.Fail(MemoryLimit, "it takes more memory than it may")
	}
	return !m.ended && m.Charge(n/64)
}

// SetGlobal puts other bytes where a global of the engine stands.
func (m *Machine) SetGlobal(number int, b []byte) { m.segments[number-firstGlobal].bytes = b }

// Ended tells whether the program has come to its end, or to a fault.
func (m *Machine) Ended() bool { return m.ended }

// Register makes a pointer to memory that an API function gives.
func (m *Machine) Register(b []byte, readOnly bool) uint64 {
	if b == nil || !m.Allocate(48) {
		return 0
	}
	m.segments = append(m.segments, segment{b, readOnly})
	return uint64(len(m.segments)) << 32
}

// Target gives all that stands from where a pointer leads: at least one byte.
func (m *Machine) Target(ptr uint64, write bool) []byte {
	id, off := int32(ptr>>32), uint64(uint32(ptr))
	var b []byte
	switch {
	case id > 0 && int(id) <= len(m.segments):
		s := m.segments[id-1]
		if b = s.bytes; write && s.readOnly {
			m.Fail(Broken, "it writes to what it may only read")
			return nil
		}
	case id < 0:
		b = m.frameOf(-id)
	}
	if off >= uint64(len(b)) {
		m.Fail(Broken, "address %#x leads nowhere: there are %d bytes", ptr, len(b))
		return nil
	}
	return b[off:len(b):len(b)]
}

// Resolve gives the n bytes that a pointer leads to. There must be at least one
// byte there, even of none.
func (m *Machine) Resolve(ptr uint64, n uint64, write bool) []byte {
	b := m.Target(ptr, write)
	if b == nil {
		return nil
	}
	if n > uint64(len(b)) {
		m.Fail(Broken, "%d bytes at address %#x, where there are %d", n, ptr, len(b))
		return nil
	}
	return b[:n:n]
}

// frameOf gives the bytes of the frame with the number: nil if its function has
// returned.
func (m *Machine) frameOf(id int32) []byte {
	lo, hi := 0, len(m.frames)-1
	if hi >= 0 && m.frames[hi].id == id {
		lo = hi
	}
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if m.frames[mid].id <= id {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	if lo >= len(m.frames) || m.frames[lo].id != id {
		return nil
	}
	f := &m.frames[lo]
	return m.stack[f.base : f.base+f.f.frame]
}

// enter makes a frame and goes to the function's first block.
func (m *Machine) enter(to int, args []uint64, dest operand) {
	f := &m.p.fns[to]
	if len(m.frames) >= maxDepth {
		m.Fail(Broken, "more than %d calls within each other", maxDepth)
		return
	}
	base := 0
	if n := len(m.frames); n > 0 {
		base = m.frames[n-1].base + m.frames[n-1].f.frame
	}
	if end := base + f.frame; end > len(m.stack) {
		grow := max(end, 2*len(m.stack), 4096) - len(m.stack)
		if !m.Allocate(int64(grow)) {
			return
		}
		m.stack = append(m.stack, make([]byte, grow)...)
	}
	if !m.Charge(int64(f.frame / 16)) {
		return
	}
	m.nextID++
	m.frames = append(m.frames, frame{id: m.nextID, base: base, f: f, pc: m.pc, dest: dest})
	m.f, m.pc = f, 0
	m.cur = m.stack[base : base+f.frame : base+f.frame]
	clear(m.cur)
	at := f.constantsAt()
	for i, v := range f.constants {
		le.PutUint64(m.cur[at+8*i:], v)
	}
	for i, v := range args {
		m.put(f.at[i], classOf(f.types[i]), v)
	}
}

// leave goes back to the caller. The result is of the width.
func (m *Machine) leave(v uint64, w class, void bool) {
	last := m.frames[len(m.frames)-1]
	m.frames = m.frames[:len(m.frames)-1]
	if len(m.frames) == 0 {
		if m.ended = true; !void {
			m.result = uint32(v)
		}
		return
	}
	top := &m.frames[len(m.frames)-1]
	m.f, m.pc = top.f, last.pc
	m.cur = m.stack[top.base : top.base+top.f.frame : top.base+top.f.frame]
	if !void {
		m.put(last.dest, w, v)
	}
}

// get reads an operand.
func (m *Machine) get(o operand, w class) uint64 {
	b := m.cur
	switch {
	case o&inGlobals != 0:
		if o = o &^ inGlobals; o == 0 {
			return 0
		}
		b = m.segments[globalSegment-1].bytes
	case o&addressOf != 0:
		return m.frameAddress(o)
	}
	switch w {
	case bit:
		return uint64(b[o] & 1)
	case byte1:
		return uint64(b[o])
	case byte2:
		return uint64(le.Uint16(b[o:]))
	case byte4:
		return uint64(le.Uint32(b[o:]))
	}
	return le.Uint64(b[o:])
}

// frameAddress is a pointer to what stands at the offset of the running function's
// frame.
func (m *Machine) frameAddress(o operand) uint64 {
	id := m.frames[len(m.frames)-1].id
	return uint64(uint32(-id))<<32 | uint64(o&^addressOf)
}

func (m *Machine) put(o operand, w class, v uint64) {
	switch w {
	case bit, byte1:
		m.cur[o] = byte(v)
	case byte2:
		le.PutUint16(m.cur[o:], uint16(v))
	case byte4:
		le.PutUint32(m.cur[o:], uint32(v))
	default:
		le.PutUint64(m.cur[o:], v)
	}
}

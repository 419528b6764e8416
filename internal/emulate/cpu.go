// Package emulate runs programs for x86 processors of 32 and 64 bits, in user
// mode, one instruction after the other and the same way each time: there is
// no clock, no host and no chance in it. What it does not know is an undefined
// instruction, as on a processor that does not have it.
//
//	bytes -> decode -> micro-operations -> a block: up to the next jump
//	blocks are kept by their address, and dropped when their bytes are written
//	flags are worked out when something asks for them
//
// Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volumes 1
// and 2; AMD64 Architecture Programmer's Manual, volume 3. The tests hold it against the
// processor that they run on.
package emulate

import (
	"github.com/showcause/showcause/internal/emulate/memory"
)

// The general registers, as instructions number them. R8 to R15 follow.
const (
	RAX = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	none = 16 // a register that is always zero
)

// The segment registers.
const (
	ES = iota
	CS
	SS
	DS
	FS
	GS
)

// The flags that programs see.
const (
	CF = 1 << 0
	PF = 1 << 2
	AF = 1 << 4
	ZF = 1 << 6
	SF = 1 << 7
	TF = 1 << 8
	IF = 1 << 9
	DF = 1 << 10
	OF = 1 << 11
	AC = 1 << 18
	ID = 1 << 21

	arith     = CF | PF | AF | ZF | SF | OF
	changable = arith | TF | DF | AC | ID | 1<<14
)

// Vector is why a program stopped. Below 32 it is the processor's exception.
type Vector uint16

// The vectors.
const (
	DivideError Vector = 0
	SingleStep  Vector = 1
	Breakpoint  Vector = 3
	Overflow    Vector = 4
	BoundRange  Vector = 5
	Undefined   Vector = 6
	Protection  Vector = 13
	PageFault   Vector = 14

	Interrupt Vector = 0x100 + iota // INT n: Trap.Addr is n
	Syscall                         // SYSCALL, SYSENTER
	Limit                           // the steps are used up
	Asked                           // Fresh said to stop
)

// Trap is a stop: CPU.IP is the instruction that made it, but for traps that
// are behind it (Interrupt, Syscall, Breakpoint, SingleStep, Overflow).
type Trap struct {
	Vector Vector
	Addr   uint64 // that a PageFault is about
	Write  bool   // it was to be written
}

// lazy says what the flags are worked out from.
type lazy uint8

const (
	eager lazy = iota // they are in CPU.flags
	added
	added1 // with a carry
	subtracted
	subtracted1
	logical
	incremented // CF is in CPU.flags
	decremented
)

// CPU is a processor and what it runs. It is not safe for concurrent use.
type CPU struct {
	R     [32]uint64 // the general registers; from 16 on they stay 0
	IP    uint64
	From  uint64 // where the instructions in front of the last jump began
	Seg   [6]uint16
	Base  [6]uint64 // of the segments
	X     [16][2]uint64
	Mem   *memory.Memory
	Steps int64 // so far: one an instruction, and one each time that it repeats; decodeCost for one that is decoded

	// Fresh is asked when instructions at an address are to run that were written
	// since Mem.Settle and did not run since. True stops. May be nil.
	Fresh func(addr uint64) bool

	long bool
	mask uint64 // of addresses

	flags   uint32
	pending lazy
	bits    uint8 // of the operands, less one
	a, b, r uint64

	event  event
	trap   Trap
	fpu    fpu
	blocks blocks
	quiet  uint64 // address that Fresh was asked for
}

// event says that the block ends with the instruction that runs.
type event uint8

const (
	trapped event = 1 + iota
	broken        // instructions were written over
	again         // it is to run again from where it is
)

// New returns a processor, in 64-bit mode if long, that runs what is in m.
func New(m *memory.Memory, long bool) *CPU {
	c := &CPU{Mem: m, long: long, mask: 1<<32 - 1, flags: 2 | IF}
	if long {
		c.mask = 1<<64 - 1
	}
	c.fpu.init()
	c.blocks.clear()
	m.Stale = c.stale
	return c
}

// Long tells whether it runs in 64-bit mode.
func (c *CPU) Long() bool { return c.long }

// fault ends the instruction with an exception.
func (c *CPU) fault(t Trap) {
	c.event, c.trap = trapped, t
}

// Run runs until something stops it: an exception, an interrupt, Fresh, or the
// number of steps that CPU.Steps may reach.
func (c *CPU) Run(steps int64) Trap {
	for {
		if c.Steps >= steps {
			return Trap{Vector: Limit}
		}
		b := c.blocks.find(c.IP)
		if b == nil {
			var t Trap
			if b, t = c.fetch(); b == nil {
				return t
			}
		}
		c.From = c.IP
		if c.flags&TF != 0 {
			if c.step(b.ops[:1]) {
				return c.trap
			}
			return Trap{Vector: SingleStep}
		}
		if c.step(b.ops) {
			return c.trap
		}
	}
}

// step runs the instructions of a block and tells whether one was trapped.
func (c *CPU) step(ops []op) bool {
	start := c.IP
	c.IP = ops[len(ops)-1].next
	for i := range ops {
		o := &ops[i]
		o.run(c, o)
		if c.event == 0 {
			continue
		}
		e := c.event
		c.event = 0
		c.Steps += int64(i + 1)
		if i > 0 {
			start = ops[i-1].next
		}
		switch e {
		case trapped:
			c.IP = start
			switch c.trap.Vector {
			case Interrupt, Syscall, Breakpoint, SingleStep, Overflow:
				c.IP = o.next
			}
			return true
		case again:
			c.IP = start
		case broken:
			if i < len(ops)-1 {
				c.IP = o.next
			}
		}
		return false
	}
	c.Steps += int64(len(ops))
	return false
}

// Flags returns the flags register.
func (c *CPU) Flags() uint32 {
	if c.pending != eager {
		f := c.flags &^ arith
		for _, x := range [...]struct {
			set bool
			bit uint32
		}{{c.cf(), CF}, {c.pf(), PF}, {c.af(), AF}, {c.zf(), ZF}, {c.sf(), SF}, {c.of(), OF}} {
			if x.set {
				f |= x.bit
			}
		}
		c.flags, c.pending = f, eager
	}
	return c.flags
}

// SetFlags sets those flags that a program may set.
func (c *CPU) SetFlags(f uint32) {
	c.flags, c.pending = 2|IF|f&changable, eager
}

// change sets some flags, and leaves the others.
func (c *CPU) change(which, f uint32) {
	c.flags = c.Flags()&^which | f&which
}

// note keeps what flags are worked out from.
func (c *CPU) note(l lazy, a, b, r uint64, bits uint8) {
	c.pending, c.a, c.b, c.r, c.bits = l, a, b, r, bits
}

func (c *CPU) cf() bool {
	switch c.pending {
	case added:
		return c.r < c.a
	case added1:
		return c.r <= c.a
	case subtracted:
		return c.a < c.b
	case subtracted1:
		return c.a <= c.b
	case logical:
		return false
	}
	return c.flags&CF != 0
}

func (c *CPU) zf() bool {
	if c.pending == eager {
		return c.flags&ZF != 0
	}
	return c.r == 0
}

func (c *CPU) sf() bool {
	if c.pending == eager {
		return c.flags&SF != 0
	}
	return c.r>>c.bits&1 != 0
}

func (c *CPU) of() bool {
	switch c.pending {
	case added, added1, incremented:
		return (c.a^c.r)&(c.b^c.r)>>c.bits&1 != 0
	case subtracted, subtracted1, decremented:
		return (c.a^c.b)&(c.a^c.r)>>c.bits&1 != 0
	case logical:
		return false
	}
	return c.flags&OF != 0
}

func (c *CPU) pf() bool {
	if c.pending == eager {
		return c.flags&PF != 0
	}
	return parity(c.r)
}

func (c *CPU) af() bool {
	switch c.pending {
	case eager:
		return c.flags&AF != 0
	case logical:
		return false
	}
	return (c.a^c.b^c.r)&0x10 != 0
}

// parity tells whether the low byte has an even number of ones.
func parity(v uint64) bool {
	v ^= v >> 4
	return 0x9669>>(v&15)&1 != 0
}

// cond tells whether condition n (the low four bits of Jcc) holds.
func (c *CPU) cond(n uint8) bool {
	var v bool
	switch n >> 1 {
	case 0:
		v = c.of()
	case 1:
		v = c.cf()
	case 2:
		v = c.zf()
	case 3:
		v = c.cf() || c.zf()
	case 4:
		v = c.sf()
	case 5:
		v = c.pf()
	case 6:
		v = c.sf() != c.of()
	case 7:
		v = c.zf() || c.sf() != c.of()
	}
	return v != (n&1 != 0)
}

// logic sets the flags from a result, with CF and OF given and AF zero.
func (c *CPU) logic(r uint64, bits uint8, cf, of bool) {
	c.note(logical, r, 0, r, bits)
	if cf || of {
		f := c.Flags() &^ (CF | OF)
		c.flags = f | bit(cf, CF) | bit(of, OF)
	}
}

func bit(v bool, b uint32) uint32 {
	if v {
		return b
	}
	return 0
}

package emulate

import (
	"slices"

	"github.com/showcause/showcause/internal/emulate/memory"
)

// op is one instruction, decoded.
type op struct {
	run   func(*CPU, *op)
	next  uint64 // the address behind it
	disp  uint64 // of a memory operand; where a jump goes to
	imm   uint64
	amask uint64 // of addresses
	mask  uint64 // of values
	size  uint8  // of values in bytes
	bits  uint8  // of values, less one
	rm    uint8  // register of the operand E, if it is none in memory
	reg   uint8  // register of the operand G
	base  uint8
	index uint8
	scale uint8 // a shift
	seg   uint8 // segment of the memory operand whose base is not zero; noSegment
	sub   uint8 // which of the operations that one function does
	from  uint8 // size in bytes of a second kind of operand
	rep   uint8 // 0xf2, 0xf3: the prefix
	mem   bool  // the operand E is in memory
	wide  bool  // there was a REX prefix, or an operand size prefix where it chooses the table
	end   bool  // the block ends behind it
}

const (
	noSegment = 6
	flatCode  = 0x23 // the selector of CS in programs of 32 bits
)

// block is a run of instructions of which only the last may jump.
type block struct {
	start uint64
	pages [2]uint64 // that its bytes are in
	ops   []op
}

const (
	blockCache = 4096
	blockOps   = 64      // at most, in a block
	allOps     = 1 << 17 // at most, in all blocks: then all are dropped
	decodeCost = 16
	longest    = 15 // bytes of an instruction
)

// blocks are the blocks that are known.
type blocks struct {
	cache  [blockCache]*block
	all    map[uint64]*block
	inPage map[uint64][]*block
	ops    int
}

func (b *blocks) clear() {
	b.cache = [blockCache]*block{}
	b.all, b.inPage, b.ops = map[uint64]*block{}, map[uint64][]*block{}, 0
}

func slot(addr uint64) uint64 { return (addr ^ addr>>12) % blockCache }

// find returns the block at an address that ran a short while ago.
func (b *blocks) find(addr uint64) *block {
	if x := b.cache[slot(addr)]; x != nil && x.start == addr {
		return x
	}
	return nil
}

func (b *blocks) add(x *block) {
	if b.ops += len(x.ops); b.ops > allOps {
		b.clear()
		b.ops = len(x.ops)
	}
	b.all[x.start] = x
	b.cache[slot(x.start)] = x
	b.inPage[x.pages[0]] = append(b.inPage[x.pages[0]], x)
	if x.pages[1] != x.pages[0] {
		b.inPage[x.pages[1]] = append(b.inPage[x.pages[1]], x)
	}
}

// stale drops the blocks of a page that is written.
func (c *CPU) stale(number uint64) {
	for _, x := range c.blocks.inPage[number] {
		if c.blocks.all[x.start] == x {
			delete(c.blocks.all, x.start)
			c.blocks.ops -= len(x.ops)
		}
		if s := slot(x.start); c.blocks.cache[s] == x {
			c.blocks.cache[s] = nil
		}
		if other := x.pages[0] ^ x.pages[1] ^ number; other != number {
			c.blocks.inPage[other] = slices.DeleteFunc(c.blocks.inPage[other], func(y *block) bool { return y == x })
		}
	}
	delete(c.blocks.inPage, number)
	if c.event == 0 {
		c.event = broken
	}
}

// Forget drops all that was decoded.
func (c *CPU) Forget() { c.blocks.clear() }

// fetch returns the block at IP, decoded if it is not known; nil and why if
// there is none.
func (c *CPU) fetch() (*block, Trap) {
	if x := c.blocks.all[c.IP]; x != nil {
		c.blocks.cache[slot(c.IP)] = x
		return x, Trap{}
	}
	if c.Fresh != nil && c.quiet != c.IP && c.Mem.Fresh(c.IP) {
		c.quiet = c.IP // it is not asked again when it goes on
		if c.Fresh(c.IP) {
			return nil, Trap{Vector: Asked}
		}
	}
	c.quiet = ^uint64(0)
	var buf [blockOps * longest]byte
	code := c.Mem.Code(c.IP, buf[:])
	x := &block{start: c.IP}
	at := 0
	for len(x.ops) < blockOps {
		o, n := c.decode(code[at:min(len(code), at+longest)], c.IP+uint64(at))
		if n == 0 { // the bytes end
			break
		}
		at += n
		x.ops = append(x.ops, o)
		if o.end {
			break
		}
	}
	if len(x.ops) == 0 {
		return nil, Trap{Vector: PageFault, Addr: (c.IP + uint64(len(code))) & c.mask}
	}
	c.Steps += decodeCost * int64(len(x.ops))
	x.pages = [2]uint64{x.start / memory.PageSize, (x.start + uint64(at) - 1) / memory.PageSize}
	c.Mem.Decoded(x.start, uint64(at))
	c.blocks.add(x)
	return x, Trap{}
}

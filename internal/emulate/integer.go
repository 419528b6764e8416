package emulate

import (
	"math/bits"
)

// compute does one of the eight operations ADD, OR, ADC, SBB, AND, SUB, XOR, CMP.
func (c *CPU) compute(sub uint8, a, b, mask uint64) (r uint64, l lazy) {
	switch sub {
	case 0:
		return (a + b) & mask, added
	case 1:
		return a | b, logical
	case 2:
		if c.cf() {
			return (a + b + 1) & mask, added1
		}
		return (a + b) & mask, added
	case 3:
		if c.cf() {
			return (a - b - 1) & mask, subtracted1
		}
		return (a - b) & mask, subtracted
	case 4:
		return a & b, logical
	case 6:
		return a ^ b, logical
	}
	return (a - b) & mask, subtracted
}

const compare = 7

// aluForm picks what does an operation of two operands; toG: the result goes to G.
func aluForm(o *op, toG bool) func(*CPU, *op) {
	if o.size >= 4 && !o.mem {
		if toG { // as if the other way round
			o.rm, o.reg = o.reg, o.rm
		}
		return aluRegReg
	}
	if toG {
		return aluG
	}
	return aluE
}

func aluImmForm(o *op) func(*CPU, *op) {
	if o.size >= 4 && !o.mem {
		return aluRegImm
	}
	return aluEImm
}

func aluRegReg(c *CPU, o *op) { c.aluReg(o, c.R[o.reg&15]&o.mask) }

func aluRegImm(c *CPU, o *op) { c.aluReg(o, o.imm) }

func (c *CPU) aluReg(o *op, b uint64) {
	a := c.R[o.rm&15] & o.mask
	var r uint64
	var l lazy
	switch o.sub {
	case 0:
		r, l = (a+b)&o.mask, added
	case 5, compare:
		r, l = (a-b)&o.mask, subtracted
	default:
		r, l = c.compute(o.sub, a, b, o.mask)
	}
	c.pending, c.a, c.b, c.r, c.bits = l, a, b, r, o.bits
	if o.sub != compare {
		c.R[o.rm&15] = r
	}
}

func aluE(c *CPU, o *op) { c.aluTo(o, c.get(o.reg, o.size)) }

func aluEImm(c *CPU, o *op) { c.aluTo(o, o.imm) }

func (c *CPU) aluTo(o *op, b uint64) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	r, l := c.compute(o.sub, a, b, o.mask)
	if o.sub != compare && !c.storeE(o, r) {
		return
	}
	c.note(l, a, b, r, o.bits)
}

func aluG(c *CPU, o *op) {
	b, ok := c.loadE(o)
	if !ok {
		return
	}
	a := c.get(o.reg, o.size)
	r, l := c.compute(o.sub, a, b, o.mask)
	if o.sub != compare {
		c.set(o.reg, o.size, r)
	}
	c.note(l, a, b, r, o.bits)
}

func test(c *CPU, o *op) {
	if a, ok := c.loadE(o); ok {
		c.note(logical, 0, 0, a&c.get(o.reg, o.size), o.bits)
	}
}

func testImm(c *CPU, o *op) {
	if a, ok := c.loadE(o); ok {
		c.note(logical, 0, 0, a&o.imm, o.bits)
	}
}

// incDec notes INC (sub 0) or DEC: both leave CF.
func (c *CPU) incDec(sub uint8, a, mask uint64) (uint64, lazy) {
	if sub == 0 {
		return (a + 1) & mask, incremented
	}
	return (a - 1) & mask, decremented
}

func (c *CPU) keepCarry() {
	c.flags = c.flags&^CF | bit(c.cf(), CF)
}

func incReg(c *CPU, o *op) {
	a := c.get(o.rm, o.size)
	r, l := c.incDec(o.sub, a, o.mask)
	c.keepCarry()
	c.note(l, a, 1, r, o.bits)
	c.set(o.rm, o.size, r)
}

func incE(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	r, l := c.incDec(o.sub, a, o.mask)
	if c.storeE(o, r) {
		c.keepCarry()
		c.note(l, a, 1, r, o.bits)
	}
}

// notNeg does NOT (2) and NEG (3).
func notNeg(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	if o.sub == 2 {
		c.storeE(o, ^a&o.mask)
		return
	}
	if r := -a & o.mask; c.storeE(o, r) {
		c.note(subtracted, 0, a, r, o.bits)
	}
}

// movForm picks what moves between E and G.
func movForm(o *op, toG bool) func(*CPU, *op) {
	switch {
	case o.size >= 4 && !o.mem:
		if toG {
			o.rm, o.reg = o.reg, o.rm
		}
		return movRegReg
	case toG && o.size >= 4:
		return movLoad
	case toG:
		return movG
	}
	return movE
}

func movRegReg(c *CPU, o *op) { c.R[o.rm&15] = c.R[o.reg&15] & o.mask }

func movRegImm(c *CPU, o *op) { c.R[o.rm&15] = o.imm }

func movLoad(c *CPU, o *op) {
	if v, ok := c.load(c.linear(o), o.size); ok {
		c.R[o.reg&15] = v
	}
}

func movG(c *CPU, o *op) {
	if v, ok := c.loadE(o); ok {
		c.set(o.reg, o.size, v)
	}
}

func movE(c *CPU, o *op) { c.storeE(o, c.get(o.reg, o.size)) }

func movImm(c *CPU, o *op) { c.storeE(o, o.imm) }

func movzxLoad(c *CPU, o *op) {
	if v, ok := c.load(c.linear(o), o.from); ok {
		c.R[o.reg&15] = v
	}
}

// loadFrom reads the operand E in its own size.
func (c *CPU) loadFrom(o *op) (uint64, bool) {
	if !o.mem {
		return c.get(o.rm, o.from), true
	}
	return c.load(c.linear(o), o.from)
}

func movzx(c *CPU, o *op) {
	if v, ok := c.loadFrom(o); ok {
		c.set(o.reg, o.size, v)
	}
}

func movsx(c *CPU, o *op) {
	if v, ok := c.loadFrom(o); ok {
		c.set(o.reg, o.size, extend(v, o.from)&o.mask)
	}
}

func movbe(c *CPU, o *op) {
	if o.sub == 1 {
		c.storeE(o, swap(c.get(o.reg, o.size), o.size))
	} else if v, ok := c.loadE(o); ok {
		c.set(o.reg, o.size, swap(v, o.size))
	}
}

func swap(v uint64, size uint8) uint64 { return bits.ReverseBytes64(v) >> (64 - 8*size) }

func bswap(c *CPU, o *op) {
	v := uint64(0) // of 2 bytes: undefined, and zero on all processors
	if o.size > 2 {
		v = swap(c.get(o.rm, o.size), o.size)
	}
	c.set(o.rm, o.size, v)
}

func lea(c *CPU, o *op) { c.set(o.reg, o.size, c.ea(o)&o.mask) }

func xchg(c *CPU, o *op) {
	if a, ok := c.loadE(o); ok {
		b := c.get(o.reg, o.size)
		if c.storeE(o, b) {
			c.set(o.reg, o.size, a)
		}
	}
}

func cmov(c *CPU, o *op) {
	v, ok := c.loadE(o)
	if !ok {
		return
	}
	if !c.cond(o.sub) {
		v = c.get(o.reg, o.size)
	}
	c.set(o.reg, o.size, v)
}

func setcc(c *CPU, o *op) { c.storeE(o, uint64(bit(c.cond(o.sub), 1))) }

// cbw does CBW, CWDE and CDQE.
func cbw(c *CPU, o *op) { c.set(RAX, o.size, extend(c.get(RAX, o.size/2), o.size/2)&o.mask) }

// cwd does CWD, CDQ and CQO.
func cwd(c *CPU, o *op) {
	c.set(RDX, o.size, -(c.get(RAX, o.size) >> o.bits))
}

func xadd(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	b := c.get(o.reg, o.size)
	r := (a + b) & o.mask
	if o.mem && !c.storeE(o, r) {
		return
	}
	c.set(o.reg, o.size, a)
	if !o.mem {
		c.storeE(o, r)
	}
	c.note(added, a, b, r, o.bits)
}

func cmpxchg(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	acc := c.get(RAX, o.size)
	if acc == a {
		if !c.storeE(o, c.get(o.reg, o.size)) {
			return
		}
	} else {
		if o.mem && !c.storeE(o, a) { // it is written in any case
			return
		}
		c.set(RAX, o.size, a)
	}
	c.note(subtracted, acc, a, (acc-a)&o.mask, o.bits)
}

// cmpxchgPair does CMPXCHG8B and CMPXCHG16B.
func cmpxchgPair(c *CPU, o *op) {
	addr, n := c.linear(o), uint64(o.size)
	if n == 8 && addr%16 != 0 {
		protected(c, o)
		return
	}
	lo, ok := c.load(addr, o.size)
	if !ok {
		return
	}
	hi, ok := c.load(addr+n, o.size)
	if !ok {
		return
	}
	same := lo == c.get(RAX, o.size) && hi == c.get(RDX, o.size)
	wlo, whi := lo, hi
	if same {
		wlo, whi = c.get(RBX, o.size), c.get(RCX, o.size)
	}
	if !c.Mem.Writable((addr+n)&c.mask, o.size) {
		c.missing((addr+n)&c.mask, n, true)
		return
	}
	if !c.store(addr, o.size, wlo) || !c.store(addr+n, o.size, whi) {
		return
	}
	if !same {
		c.set(RAX, o.size, lo)
		c.set(RDX, o.size, hi)
	}
	c.change(ZF, bit(same, ZF))
}

// full multiplies, with the sign if signed, and gives both halves of o.size
// bytes and whether the upper one says anything.
func full(a, b uint64, o *op, signed bool) (lo, hi uint64, more bool) {
	if signed {
		a, b = extend(a, o.size), extend(b, o.size)
		hi, lo = bits.Mul64(a, b)
		hi -= uint64(int64(a)>>63)&b + uint64(int64(b)>>63)&a
	} else {
		hi, lo = bits.Mul64(a, b)
	}
	if o.size < 8 {
		hi = lo >> (8 * o.size) & o.mask
		lo &= o.mask
	}
	if signed {
		return lo, hi, hi != -(lo>>o.bits&1)&o.mask
	}
	return lo, hi, hi != 0
}

// mul does MUL (4) and IMUL (5) of one operand.
func mul(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	lo, hi, more := full(a, c.get(RAX, o.size), o, o.sub == 5)
	if o.size == 1 {
		c.set(RAX, 2, hi<<8|lo)
	} else {
		c.set(RAX, o.size, lo)
		c.set(RDX, o.size, hi)
	}
	c.logic(lo, o.bits, more, more)
}

func imul2(c *CPU, o *op) {
	if a, ok := c.loadE(o); ok {
		c.imul(o, a, c.get(o.reg, o.size))
	}
}

func imul3(c *CPU, o *op) {
	if a, ok := c.loadE(o); ok {
		c.imul(o, a, o.imm)
	}
}

func (c *CPU) imul(o *op, a, b uint64) {
	lo, _, more := full(a, b, o, true)
	c.set(o.reg, o.size, lo)
	c.logic(lo, o.bits, more, more)
}

// div does DIV (6) and IDIV (7).
func div(c *CPU, o *op) {
	d, ok := c.loadE(o)
	if !ok {
		return
	}
	hi, lo := c.get(RDX, o.size), c.get(RAX, o.size)
	if o.size == 1 {
		hi = c.get(RAX, 2) >> 8
	}
	negHi, negD := o.sub == 7 && hi>>o.bits&1 != 0, o.sub == 7 && d>>o.bits&1 != 0
	if negHi {
		lo, hi = -lo&o.mask, (^hi+uint64(bit(lo == 0, 1)))&o.mask
	}
	if negD {
		d = -d & o.mask
	}
	if d == 0 || hi >= d {
		c.fault(Trap{Vector: DivideError})
		return
	}
	var q, r uint64
	if o.size == 8 {
		q, r = bits.Div64(hi, lo, d)
	} else {
		n := hi<<(8*o.size) | lo
		q, r = n/d, n%d
	}
	if o.sub == 7 {
		most := o.mask >> 1
		if negHi != negD {
			most++
		}
		if q > most {
			c.fault(Trap{Vector: DivideError})
			return
		}
		if negHi != negD {
			q = -q & o.mask
		}
		if negHi {
			r = -r & o.mask
		}
	}
	if o.size == 1 {
		c.set(RAX, 2, r<<8|q)
		return
	}
	c.set(RAX, o.size, q)
	c.set(RDX, o.size, r)
}

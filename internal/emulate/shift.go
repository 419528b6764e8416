package emulate

import "math/bits"

func shiftForm(o *op) func(*CPU, *op) {
	if o.size < 8 {
		o.imm &= 31
	}
	o.imm &= 63
	return shiftImm
}

func shiftImm(c *CPU, o *op) { c.shift(o, uint8(o.imm)) }

func shiftCL(c *CPU, o *op) {
	n := uint8(c.R[RCX]) & 31
	if o.size == 8 {
		n = uint8(c.R[RCX]) & 63
	}
	c.shift(o, n)
}

// shift does ROL, ROR, RCL, RCR, SHL, SHR, SAL and SAR by n, which is less than the
// operand has bits, or of a shorter one.
func (c *CPU) shift(o *op, n uint8) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	if n == 0 {
		if o.mem {
			c.storeE(o, a)
		} else if o.size == 4 {
			c.set(o.rm, 4, a)
		}
		return
	}
	width := o.bits + 1
	var r uint64
	var cf, of bool
	top := func(v uint64) bool { return v>>o.bits&1 != 0 }
	switch o.sub {
	case 0:
		k := n % width
		r = (a<<k | a>>(width-k)) & o.mask
		cf = r&1 != 0
		of = top(r) != cf
	case 1:
		k := n % width
		r = (a>>k | a<<(width-k)) & o.mask
		cf = top(r)
		of = top(r) != top(r<<1)
	case 2, 3:
		r, cf, of = c.rotateCarry(o, a, n)
	case 5:
		r = a >> n
		cf = a>>(n-1)&1 != 0
		of = top(a)
	case 7:
		x := int64(extend(a, o.size))
		r = uint64(x>>n) & o.mask
		cf = x>>(n-1)&1 != 0
	default:
		r = a << n & o.mask
		cf = n <= width && a>>(width-n)&1 != 0
		of = top(r) != cf
	}
	if !c.storeE(o, r) {
		return
	}
	if o.sub < 4 {
		c.change(CF|OF, bit(cf, CF)|bit(of, OF))
		return
	}
	c.logic(r, o.bits, cf, of)
}

// rotateCarry rotates through CF, whose place is above the top bit.
func (c *CPU) rotateCarry(o *op, a uint64, n uint8) (r uint64, cf, of bool) {
	width := uint64(o.bits) + 1
	left := uint64(n) % (width + 1)
	if o.sub == 3 {
		left = (width + 1 - left) % (width + 1)
	}
	r, cf = a, c.cf()
	for range left {
		next := r>>o.bits&1 != 0
		r = (r<<1 | uint64(bit(cf, 1))) & o.mask
		cf = next
	}
	top := r>>o.bits&1 != 0
	if o.sub == 2 {
		return r, cf, top != cf
	}
	return r, cf, top != (r>>(o.bits-1)&1 != 0)
}

// shiftDouble does SHLD (sub bit 0 is 0) and SHRD, by an immediate or by CL (bit 1).
func shiftDouble(c *CPU, o *op) {
	n := uint8(o.imm)
	if o.sub&2 != 0 {
		n = uint8(c.R[RCX])
	}
	if o.size == 8 {
		n &= 63
	} else {
		n &= 31
	}
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	b := c.get(o.reg, o.size)
	width := o.bits + 1
	if n == 0 || n > width { // more than there are bits: undefined
		c.storeE(o, a)
		return
	}
	var r uint64
	var cf bool
	if o.sub&1 == 0 {
		r = (a<<n | b>>(width-n)) & o.mask
		cf = a>>(width-n)&1 != 0
	} else {
		r = (a>>n | b<<(width-n)) & o.mask
		cf = a>>(n-1)&1 != 0
	}
	if c.storeE(o, r) {
		c.logic(r, o.bits, cf, (a^r)>>o.bits&1 != 0)
	}
}

// bitTest does BT, BTS, BTR and BTC with a register, which in memory reaches
// far from the operand.
func bitTest(c *CPU, o *op) {
	n := extend(c.get(o.reg, o.size), o.size)
	if !o.mem {
		c.bitTest(o, 0, n)
		return
	}
	c.bitTest(o, uint64(int64(n)>>(3+bits.TrailingZeros8(o.size)))*uint64(o.size), n)
}

func bitTestImm(c *CPU, o *op) { c.bitTest(o, 0, o.imm) }

func (c *CPU) bitTest(o *op, off, n uint64) {
	n &= uint64(o.bits)
	var a, addr uint64
	ok := true
	if o.mem {
		addr = (c.ea(o) + off) & o.amask
		if o.seg < noSegment {
			addr += c.Base[o.seg]
		}
		a, ok = c.load(addr, o.size)
	} else {
		a = c.get(o.rm, o.size)
	}
	if !ok {
		return
	}
	r := a
	switch o.sub {
	case 1:
		r |= 1 << n
	case 2:
		r &^= 1 << n
	case 3:
		r ^= 1 << n
	}
	if o.sub != 0 {
		if !o.mem {
			c.set(o.rm, o.size, r)
		} else if !c.store(addr, o.size, r) {
			return
		}
	}
	c.change(CF, uint32(a>>n&1))
}

// bitScan does BSF, BSR, TZCNT, LZCNT and POPCNT.
func bitScan(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	var r uint64
	switch {
	case o.sub == 0xb8:
		r = uint64(bits.OnesCount64(a))
		c.change(arith, bit(a == 0, ZF))
		c.set(o.reg, o.size, r)
		return
	case o.rep == 0xf3:
		if r = uint64(o.bits) + 1; a != 0 && o.sub == 0xbc {
			r = uint64(bits.TrailingZeros64(a))
		} else if a != 0 {
			r = uint64(bits.LeadingZeros64(a)) - 63 + uint64(o.bits)
		}
		c.change(CF|ZF, bit(a == 0, CF)|bit(r == 0, ZF))
		c.set(o.reg, o.size, r)
		return
	case a == 0: // the register stays
		c.change(ZF, ZF)
		return
	case o.sub == 0xbc:
		r = uint64(bits.TrailingZeros64(a))
	default:
		r = 63 - uint64(bits.LeadingZeros64(a))
	}
	c.change(ZF, 0)
	c.set(o.reg, o.size, r)
}

func crc32c(c *CPU, o *op) {
	v, ok := c.loadE(o)
	if !ok {
		return
	}
	sum := uint32(c.R[o.reg])
	for range o.size {
		sum ^= uint32(byte(v))
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78&-(sum&1)
		}
		v >>= 8
	}
	c.R[o.reg] = uint64(sum)
}

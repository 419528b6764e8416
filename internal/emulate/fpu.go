package emulate

import "math/bits"

// fpu is the x87 unit as far as unpackers use it: to find out where they are, to
// move and convert numbers. Arithmetic is an undefined instruction.
type fpu struct {
	st      [8]real80 // the registers; ST(i) is st[(top+i)%8]
	top     uint8
	used    uint8 // a bit for each register that holds a number
	control uint16
	status  uint16 // without the top
	last    uint64 // address of the last instruction that was no control
	mxcsr   uint32
}

// real80 is a number as the unit holds it: sign and exponent, mantissa.
type real80 struct {
	se uint16
	m  uint64
}

func (f *fpu) init() {
	f.top, f.used, f.control, f.status, f.last = 0, 0, 0x37f, 0, 0
	if f.mxcsr == 0 {
		f.mxcsr = 0x1f80
	}
}

func (f *fpu) at(i uint8) *real80 { return &f.st[(f.top+i)%8] }

func (f *fpu) push(v real80) {
	f.top = (f.top - 1) % 8
	f.used |= 1 << f.top
	f.st[f.top] = v
}

func (f *fpu) pop() {
	f.used &^= 1 << f.top
	f.top = (f.top + 1) % 8
}

func (f *fpu) word() uint16 { return f.status | uint16(f.top)<<11 }

// integer is the number that an integer is.
func integer(v int64) real80 {
	if v == 0 {
		return real80{}
	}
	se, u := uint16(0), uint64(v)
	if v < 0 {
		se, u = 0x8000, -u
	}
	n := bits.LeadingZeros64(u)
	return real80{se | uint16(16383+63-n), u << n}
}

// widen makes of a float of 4 or 8 bytes one of 80 bits. It has no subnormal numbers.
func widen(v uint64, size uint8) (real80, bool) {
	mant, bias := uint8(23), uint64(127)
	if size == 8 {
		mant, bias = 52, 1023
	}
	exp := v >> mant & (2*bias + 1)
	r := real80{uint16(v >> (8*size - 1) << 15), v << (63 - mant) & (1<<63 - 1)}
	switch {
	case exp == 0 && r.m == 0:
		return r, true
	case exp == 0:
		return r, false
	case exp == 2*bias+1:
		r.se |= 0x7fff
	default:
		r.se |= uint16(exp - bias + 16383)
	}
	r.m |= 1 << 63
	return r, true
}

// narrow is the integer of n bits that a number is, if it is one exactly.
func (v real80) narrow(n uint8) (uint64, bool) {
	exp := int(v.se&0x7fff) - 16383
	switch {
	case v.m == 0:
		return 0, true
	case exp < 0 || exp > int(n)-2 && (v.se>>15 == 0 || exp != int(n)-1 || v.m != 1<<63):
		return 0, false
	}
	u := v.m >> (63 - exp)
	if u<<(63-exp) != v.m {
		return 0, false
	}
	if v.se>>15 != 0 {
		u = -u
	}
	return u, true
}

// float decodes D8 to DF.
func (d *decoder) float(b byte) {
	d.modrm()
	sub := d.o.reg & 7
	d.o.imm = d.addr
	d.o.sub = sub
	switch b8 := int(b)<<4 | int(sub); {
	case !d.o.mem:
		d.floatRegister(b, sub, d.o.rm&7)
	case b == 0xd9 && sub == 0, b == 0xdd && sub == 0:
		size := uint8(4)
		if b == 0xdd {
			size = 8
		}
		d.do(func(c *CPU, o *op) {
			if v, ok := c.load(c.linear(o), size); ok {
				r, ok := widen(v, size)
				c.pushNumber(o, r, ok)
			}
		})
	case b8 == 0xdb0, b8 == 0xdf0, b8 == 0xdf5:
		size := map[int]uint8{0xdb0: 4, 0xdf0: 2, 0xdf5: 8}[b8]
		d.do(func(c *CPU, o *op) {
			if v, ok := c.load(c.linear(o), size); ok {
				c.pushNumber(o, integer(int64(extend(v, size))), true)
			}
		})
	case b8 == 0xdb2, b8 == 0xdb3, b8 == 0xdf2, b8 == 0xdf3, b8 == 0xdf7:
		d.storeInteger(b8)
	case b8 == 0xdb5, b8 == 0xdb7:
		d.do(floatWhole)
	case b8 == 0xd94, b8 == 0xd96:
		d.do(environment)
	case b8 == 0xd95:
		d.do(func(c *CPU, o *op) {
			if v, ok := c.load(c.linear(o), 2); ok {
				c.fpu.control = uint16(v) | 0x40
			}
		})
	case b8 == 0xd97:
		d.do(func(c *CPU, o *op) { c.store(c.linear(o), 2, uint64(c.fpu.control)) })
	case b8 == 0xdd7:
		d.do(func(c *CPU, o *op) { c.store(c.linear(o), 2, uint64(c.fpu.word())) })
	}
}

// pushNumber pushes a number where there is room.
func (c *CPU) pushNumber(o *op, v real80, ok bool) {
	if !ok || c.fpu.used>>((c.fpu.top-1)%8)&1 != 0 {
		undefined(c, o)
		return
	}
	c.fpu.last = o.imm
	c.fpu.push(v)
}

// storeInteger decodes FIST and FISTP of numbers that are integers.
func (d *decoder) storeInteger(b8 int) {
	size := map[int]uint8{0xdb2: 4, 0xdb3: 4, 0xdf2: 2, 0xdf3: 2, 0xdf7: 8}[b8]
	d.do(func(c *CPU, o *op) {
		v, ok := c.fpu.at(0).narrow(8 * size)
		if !ok || c.fpu.used>>c.fpu.top&1 == 0 {
			undefined(c, o)
			return
		}
		if c.store(c.linear(o), size, v) {
			c.fpu.last = o.imm
			if b8&1 != 0 {
				c.fpu.pop()
			}
		}
	})
}

// floatWhole does FLD and FSTP of 80 bits.
func floatWhole(c *CPU, o *op) {
	at := c.linear(o)
	if o.sub == 5 {
		m, ok := c.load(at, 8)
		if !ok {
			return
		}
		if se, ok := c.load(at+8, 2); ok {
			c.pushNumber(o, real80{uint16(se), m}, true)
		}
		return
	}
	v := c.fpu.at(0)
	if c.fpu.used>>c.fpu.top&1 == 0 {
		undefined(c, o)
		return
	}
	if !c.Mem.Writable((at+8)&c.mask, 2) {
		c.missing((at+8)&c.mask, 2, true)
	} else if c.store(at, 8, v.m) && c.store(at+8, 2, uint64(v.se)) {
		c.fpu.last = o.imm
		c.fpu.pop()
	}
}

// environment does FLDENV (4) and FNSTENV (6), which tells where the last instruction was.
func environment(c *CPU, o *op) {
	at, f := c.linear(o), &c.fpu
	if o.sub == 4 {
		var v [7]uint64
		for i := range v {
			x, ok := c.load(at+4*uint64(i), 4)
			if !ok {
				return
			}
			v[i] = x
		}
		f.control, f.status, f.top, f.last = uint16(v[0])|0x40, uint16(v[1])&^0x3800, uint8(v[1]>>11)&7, v[3]
		f.used = 0
		for i := range 8 {
			f.used |= uint8(bit(v[2]>>(2*i)&3 != 3, 1)) << i
		}
		return
	}
	tags := uint64(0)
	for i, v := range f.st {
		switch {
		case f.used>>i&1 == 0:
			tags |= 3 << (2 * i)
		case v.m == 0:
			tags |= 1 << (2 * i)
		case v.se&0x7fff == 0x7fff || v.m>>63 == 0:
			tags |= 2 << (2 * i)
		}
	}
	if !c.Mem.Writable(at, 28) {
		c.missing(at&c.mask, 28, true)
		return
	}
	for i, v := range [7]uint64{uint64(f.control) | 0xffff0000, uint64(f.word()) | 0xffff0000, tags | 0xffff0000, f.last & 0xffffffff, 0, 0, 0xffff0000} {
		c.store(at+4*uint64(i), 4, v)
	}
	f.control |= 0x3f
}

// floatRegister decodes what has no operand in memory.
func (d *decoder) floatRegister(b byte, sub, i uint8) {
	constant := func(v real80) { d.do(func(c *CPU, o *op) { c.pushNumber(o, v, true) }) }
	change := func(f func(f *fpu)) {
		d.do(func(c *CPU, o *op) {
			c.fpu.last = o.imm
			f(&c.fpu)
		})
	}
	switch x := int(b)<<8 | 0xc0 | int(sub)<<3 | int(i); {
	case b == 0xd9 && sub == 0: // FLD ST(i)
		d.do(func(c *CPU, o *op) {
			c.pushNumber(o, *c.fpu.at(i), c.fpu.used>>((c.fpu.top+i)%8)&1 != 0)
		})
	case b == 0xd9 && sub == 1: // FXCH
		d.do(func(c *CPU, o *op) {
			f := &c.fpu
			if f.used>>f.top&1 == 0 || f.used>>((f.top+i)%8)&1 == 0 {
				undefined(c, o)
				return
			}
			f.last = o.imm
			*f.at(0), *f.at(i) = *f.at(i), *f.at(0)
		})
	case x == 0xd9d0:
		change(func(*fpu) {}) // FNOP
	case x == 0xd9e0:
		change(func(f *fpu) { f.at(0).se ^= 0x8000 }) // FCHS
	case x == 0xd9e1:
		change(func(f *fpu) { f.at(0).se &^= 0x8000 }) // FABS
	case x == 0xd9e8:
		constant(integer(1))
	case x == 0xd9ee:
		constant(real80{})
	case x == 0xd9eb:
		constant(real80{0x4000, 0xc90fdaa22168c235}) // pi
	case x == 0xd9f6:
		change(func(f *fpu) { f.top = (f.top - 1) % 8 })
	case x == 0xd9f7:
		change(func(f *fpu) { f.top = (f.top + 1) % 8 })
	case b == 0xdd && sub == 0:
		change(func(f *fpu) { f.used &^= 1 << ((f.top + i) % 8) }) // FFREE
	case x == 0xdbe2:
		d.do(func(c *CPU, _ *op) { c.fpu.status &^= 0x80ff })
	case x == 0xdbe3:
		d.do(func(c *CPU, _ *op) { c.fpu.init() })
	case x == 0xdfe0:
		d.do(func(c *CPU, _ *op) { c.set(RAX, 2, uint64(c.fpu.word())) })
	}
}

func ldmxcsr(c *CPU, o *op) {
	if v, ok := c.load(c.linear(o), 4); ok {
		c.fpu.mxcsr = uint32(v)
	}
}

func stmxcsr(c *CPU, o *op) { c.store(c.linear(o), 4, uint64(c.fpu.mxcsr)) }

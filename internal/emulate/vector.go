package emulate

import "math/bits"

// vec is a register of 128 bits, the lower half first.
type vec = [2]uint64

// The prefixes that choose between instructions of the same opcode.
const (
	plain = iota
	p66
	pF3
	pF2
)

// load16 reads 16 bytes; aligned says that they have to be.
func (c *CPU) load16(addr uint64, aligned bool) (v vec, ok bool) {
	if aligned && addr%16 != 0 {
		c.fault(Trap{Vector: Protection})
		return v, false
	}
	if v[0], ok = c.load(addr, 8); ok {
		v[1], ok = c.load(addr+8, 8)
	}
	return v, ok
}

func (c *CPU) store16(addr uint64, v vec, aligned bool) {
	if aligned && addr%16 != 0 {
		c.fault(Trap{Vector: Protection})
		return
	}
	if high := (addr + 8) & c.mask; !c.Mem.Writable(addr&c.mask, 8) {
		c.missing(addr&c.mask, 8, true)
	} else if !c.Mem.Writable(high, 8) {
		c.missing(high, 8, true)
	} else if c.store(addr, 8, v[0]) {
		c.store(addr+8, 8, v[1])
	}
}

// loadX reads n bytes of the operand E, a vector; what is read of memory has zeros above.
func (c *CPU) loadX(o *op, n uint8, aligned bool) (vec, bool) {
	switch {
	case !o.mem:
		return c.X[o.rm&15], true
	case n == 16:
		return c.load16(c.linear(o), aligned)
	}
	v, ok := c.load(c.linear(o), n)
	return vec{v}, ok
}

// lanes does an operation on each pair of values of a size in bytes.
func lanes(size uint8, f func(x, y uint64) uint64) func(a, b vec) vec {
	return func(a, b vec) (r vec) {
		mask := ^uint64(0) >> (64 - 8*size)
		for i := range r {
			for s := uint8(0); s < 64; s += 8 * size {
				r[i] |= f(a[i]>>s&mask, b[i]>>s&mask) & mask << s
			}
		}
		return r
	}
}

// unpackLanes interleaves the values of the lower halves, or of the upper ones.
func unpackLanes(size uint8, half int) func(a, b vec) vec {
	return func(a, b vec) (r vec) {
		mask := ^uint64(0) >> (64 - 8*size)
		at := uint8(0)
		for s := uint8(0); s < 64; s += 8 * size {
			for _, v := range [2]uint64{a[half] >> s & mask, b[half] >> s & mask} {
				r[at/64] |= v << (at % 64)
				at += 8 * size
			}
		}
		return r
	}
}

func ones(v bool) uint64 { return -uint64(bit(v, 1)) }

// packed are the operations of two vectors with the prefix 66, by opcode.
func packed(b byte) func(a, b vec) vec {
	sizes := [...]uint8{1, 2, 4, 8}
	switch {
	case b >= 0x60 && b <= 0x62:
		return unpackLanes(sizes[b-0x60], 0)
	case b == 0x6c:
		return unpackLanes(8, 0)
	case b >= 0x68 && b <= 0x6a:
		return unpackLanes(sizes[b-0x68], 1)
	case b == 0x6d:
		return unpackLanes(8, 1)
	case b >= 0x64 && b <= 0x66:
		n := sizes[b-0x64]
		return lanes(n, func(x, y uint64) uint64 { return ones(int64(extend(x, n)) > int64(extend(y, n))) })
	case b >= 0x74 && b <= 0x76:
		return lanes(sizes[b-0x74], func(x, y uint64) uint64 { return ones(x == y) })
	case b >= 0xfc && b <= 0xfe:
		return lanes(sizes[b-0xfc], func(x, y uint64) uint64 { return x + y })
	case b >= 0xf8 && b <= 0xfb:
		return lanes(sizes[b-0xf8], func(x, y uint64) uint64 { return x - y })
	}
	switch b {
	case 0xd4:
		return lanes(8, func(x, y uint64) uint64 { return x + y })
	case 0xd5:
		return lanes(2, func(x, y uint64) uint64 { return extend(x, 2) * extend(y, 2) })
	case 0xf4:
		return lanes(8, func(x, y uint64) uint64 { return uint64(uint32(x)) * uint64(uint32(y)) })
	case 0xda:
		return lanes(1, func(x, y uint64) uint64 { return min(x, y) })
	case 0xde:
		return lanes(1, func(x, y uint64) uint64 { return max(x, y) })
	case 0x54, 0xdb:
		return lanes(8, func(x, y uint64) uint64 { return x & y })
	case 0x55, 0xdf:
		return lanes(8, func(x, y uint64) uint64 { return ^x & y })
	case 0x56, 0xeb:
		return lanes(8, func(x, y uint64) uint64 { return x | y })
	case 0x57, 0xef:
		return lanes(8, func(x, y uint64) uint64 { return x ^ y })
	}
	return nil
}

// vector decodes what moves and combines vectors of 128 bits.
func (d *decoder) vector(b byte) {
	p := plain
	switch {
	case d.o.rep == 0xf3:
		p = pF3
	case d.o.rep == 0xf2:
		p = pF2
	case d.o66:
		p = p66
	}
	size := uint8(4)
	if d.rex&8 != 0 {
		size = 8
	}
	switch b {
	case 0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2b, 0x50, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x7e, 0x7f, 0xd6, 0xd7, 0xe7, 0xf0:
		d.modrm()
		d.sized(size)
		d.moveVector(b, p)
		return
	}
	f := packed(b)
	if f == nil || p > p66 || p == plain && b >= 0x60 {
		return
	}
	d.modrm()
	d.do(func(c *CPU, o *op) {
		if v, ok := c.loadX(o, 16, true); ok {
			c.X[o.reg&15] = f(c.X[o.reg&15], v)
		}
	})
}

// moveVector decodes moves, shuffles and shifts.
func (d *decoder) moveVector(b byte, p int) {
	wide := p <= p66
	switch {
	case b < 0x12:
		d.moveScalar(b&1 != 0, [...]uint8{16, 16, 4, 8}[p])
	case b < 0x18:
		if wide {
			d.moveHalf(b)
		}
	case b == 0x28 && wide:
		d.do(loadVector(16, true))
	case (b == 0x29 || b == 0x2b && d.o.mem) && wide:
		d.do(storeVector(true))
	case b == 0x6f && (p == p66 || p == pF3):
		d.do(loadVector(16, p == p66))
	case b == 0x7f && (p == p66 || p == pF3):
		d.do(storeVector(p == p66))
	case b == 0xe7 && p == p66 && d.o.mem:
		d.do(storeVector(true))
	case b == 0xf0 && p == pF2 && d.o.mem:
		d.do(loadVector(16, false))
	case b == 0x6e && p == p66:
		d.do(func(c *CPU, o *op) {
			if v, ok := c.loadE(o); ok {
				c.X[o.reg&15] = vec{v}
			}
		})
	case b == 0x7e && p == p66:
		d.do(func(c *CPU, o *op) { c.storeE(o, c.X[o.reg&15][0]&o.mask) })
	case b == 0x7e && p == pF3:
		d.do(func(c *CPU, o *op) {
			if v, ok := c.loadX(o, 8, false); ok {
				c.X[o.reg&15] = vec{v[0]}
			}
		})
	case b == 0xd6 && p == p66:
		d.do(func(c *CPU, o *op) {
			if !o.mem {
				c.X[o.rm&15] = vec{c.X[o.reg&15][0]}
			} else {
				c.store(c.linear(o), 8, c.X[o.reg&15][0])
			}
		})
	case b == 0x50 && wide && !d.o.mem, b == 0xd7 && p == p66 && !d.o.mem:
		d.signs(b, p)
	case b == 0x70 && p != plain:
		d.shuffle(p)
	case b >= 0x71 && b <= 0x73 && p == p66 && !d.o.mem:
		d.shiftVector(b)
	}
}

func loadVector(n uint8, aligned bool) func(*CPU, *op) {
	return func(c *CPU, o *op) {
		if v, ok := c.loadX(o, n, aligned); ok {
			c.X[o.reg&15] = v
		}
	}
}

func storeVector(aligned bool) func(*CPU, *op) {
	return func(c *CPU, o *op) {
		if !o.mem {
			c.X[o.rm&15] = c.X[o.reg&15]
		} else {
			c.store16(c.linear(o), c.X[o.reg&15], aligned)
		}
	}
}

// moveScalar decodes MOVUPS, MOVUPD, MOVSS and MOVSD, of n bytes. Between registers what
// is above stays.
func (d *decoder) moveScalar(toE bool, n uint8) {
	mask := ^uint64(0)
	if n == 4 {
		mask >>= 32
	}
	switch {
	case n == 16 && toE:
		d.do(storeVector(false))
	case n == 16 || d.o.mem && !toE:
		d.do(loadVector(n, false))
	case d.o.mem:
		d.do(func(c *CPU, o *op) { c.store(c.linear(o), n, c.X[o.reg&15][0]&mask) })
	default:
		to, from := d.o.reg&15, d.o.rm&15
		if toE {
			to, from = from, to
		}
		d.do(func(c *CPU, _ *op) { c.X[to][0] = c.X[to][0]&^mask | c.X[from][0]&mask })
	}
}

// moveHalf decodes MOVLPS, MOVHPS and their kin: half of a vector.
func (d *decoder) moveHalf(b byte) {
	half := int(b >> 2 & 1)
	switch {
	case d.o.mem && b&1 != 0:
		d.do(func(c *CPU, o *op) { c.store(c.linear(o), 8, c.X[o.reg&15][half]) })
	case d.o.mem:
		d.do(func(c *CPU, o *op) {
			if v, ok := c.load(c.linear(o), 8); ok {
				c.X[o.reg&15][half] = v
			}
		})
	case b&1 == 0 && !d.o66: // MOVHLPS, MOVLHPS
		d.do(func(c *CPU, o *op) { c.X[o.reg&15][half] = c.X[o.rm&15][1-half] })
	}
}

// signs decodes what gathers the top bits of values.
func (d *decoder) signs(b byte, p int) {
	size := uint8(1)
	if b == 0x50 {
		size = 4 << p
	}
	d.do(func(c *CPU, o *op) {
		r, n := uint64(0), 0
		for _, h := range c.X[o.rm&15] {
			for s := 8*size - 1; ; s += 8 * size {
				r |= h >> s & 1 << n
				if n++; s == 63 {
					break
				}
			}
		}
		c.R[o.reg&15] = r
	})
}

// shuffle decodes PSHUFD, PSHUFLW and PSHUFHW.
func (d *decoder) shuffle(p int) {
	d.o.imm = d.u8()
	d.do(func(c *CPU, o *op) {
		v, ok := c.loadX(o, 16, true)
		if !ok {
			return
		}
		r := v
		if p == p66 {
			r = vec{}
			for i := range 4 {
				k := o.imm >> (2 * i) & 3
				r[i/2] |= v[k/2] >> (k % 2 * 32) & (1<<32 - 1) << (i % 2 * 32)
			}
		} else {
			half := 0
			if p == pF3 {
				half = 1
			}
			r[half] = 0
			for i := range 4 {
				r[half] |= v[half] >> (o.imm >> (2 * i) & 3 * 16) & 0xffff << (16 * i)
			}
		}
		c.X[o.reg&15] = r
	})
}

// shiftVector decodes shifts by an immediate: of words, doubles, quads and of all bytes.
func (d *decoder) shiftVector(b byte) {
	n := d.u8()
	size := uint8(2) << (b - 0x71)
	width := 8 * uint64(size)
	var f func(x, _ uint64) uint64
	switch sub := d.o.reg & 7; {
	case sub == 2:
		f = func(x, _ uint64) uint64 { return x >> n }
	case sub == 4 && size < 8:
		f = func(x, _ uint64) uint64 { return uint64(int64(extend(x, size)) >> min(n, width-1)) }
	case sub == 6:
		f = func(x, _ uint64) uint64 { return x << n }
	case size == 8 && (sub == 3 || sub == 7):
		d.do(func(c *CPU, o *op) { c.X[o.rm&15] = shiftBytes(c.X[o.rm&15], n, sub == 7) })
		return
	default:
		return
	}
	all := lanes(size, f)
	d.do(func(c *CPU, o *op) { c.X[o.rm&15] = all(c.X[o.rm&15], vec{}) })
}

// shiftBytes moves a vector by whole bytes.
func shiftBytes(v vec, n uint64, left bool) (r vec) {
	if left {
		v = vec{bits.ReverseBytes64(v[1]), bits.ReverseBytes64(v[0])}
	}
	switch n = min(n, 16) * 8; {
	case n >= 64:
		r = vec{v[1] >> (n - 64)}
	default:
		r = vec{v[0]>>n | v[1]<<(64-n), v[1] >> n}
	}
	if left {
		r = vec{bits.ReverseBytes64(r[1]), bits.ReverseBytes64(r[0])}
	}
	return r
}

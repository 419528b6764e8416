package emulate

func pushReg(c *CPU, o *op) { c.push(c.get(o.rm, o.size), o.size) }

func pushImm(c *CPU, o *op) { c.push(o.imm, o.size) }

func pushE(c *CPU, o *op) {
	if v, ok := c.loadE(o); ok {
		c.push(v, o.size)
	}
}

func popReg(c *CPU, o *op) {
	if v, ok := c.pop(o.size); ok {
		c.set(o.rm, o.size, v)
	}
}

// popE counts the address with the stack pointer moved.
func popE(c *CPU, o *op) {
	sp := c.R[RSP]
	if v, ok := c.pop(o.size); ok && !c.storeE(o, v) {
		c.R[RSP] = sp
	}
}

func pushSeg(c *CPU, o *op) { c.push(uint64(c.Seg[o.sub]), o.size) }

// popSeg takes any selector; the base stays.
func popSeg(c *CPU, o *op) {
	if v, ok := c.pop(o.size); ok {
		c.Seg[o.sub] = uint16(v)
	}
}

func movFromSeg(c *CPU, o *op) {
	v := uint64(c.Seg[o.reg&7])
	if o.mem {
		c.store(c.linear(o), 2, v)
	} else {
		c.set(o.rm, o.size, v)
	}
}

func movToSeg(c *CPU, o *op) {
	if v, ok := c.loadE(o); ok {
		c.Seg[o.reg&7] = uint16(v)
	}
}

func pusha(c *CPU, o *op) {
	n, sp := uint64(o.size), c.R[RSP]
	for i := range uint64(8) { // all or none
		if a := (sp - n*(i+1)) & c.mask; !c.Mem.Writable(a, o.size) {
			c.missing(a, n, true)
			return
		}
	}
	for i := range uint8(8) {
		v := c.get(i, o.size)
		if i == RSP {
			v = sp & o.mask
		}
		c.push(v, o.size)
	}
}

func popa(c *CPU, o *op) {
	var v [8]uint64
	for i := range v {
		x, ok := c.load(c.R[RSP]+uint64(i)*uint64(o.size), o.size)
		if !ok {
			return
		}
		v[7-i] = x
	}
	for i, x := range v {
		if i != RSP {
			c.set(uint8(i), o.size, x)
		}
	}
	c.R[RSP] = (c.R[RSP] + 8*uint64(o.size)) & c.mask
}

func pushf(c *CPU, o *op) { c.push(uint64(c.Flags()), o.size) }

func popf(c *CPU, o *op) {
	v, ok := c.pop(o.size)
	if !ok {
		return
	}
	if o.size == 2 {
		v |= uint64(c.Flags()) &^ 0xffff
	}
	c.SetFlags(uint32(v))
}

func sahf(c *CPU, _ *op) { c.change(CF|PF|AF|ZF|SF, uint32(c.get(high, 1))) }

func lahf(c *CPU, _ *op) { c.set(high, 1, uint64(c.Flags()&0xff)) }

// oneFlag does CMC, CLC, STC, CLD and STD.
func oneFlag(c *CPU, o *op) {
	switch o.sub {
	case 0xf5:
		c.change(CF, bit(!c.cf(), CF))
	case 0xf8:
		c.change(CF, 0)
	case 0xf9:
		c.change(CF, CF)
	case 0xfc:
		c.change(DF, 0)
	case 0xfd:
		c.change(DF, DF)
	}
}

func salc(c *CPU, _ *op) { c.set(RAX, 1, -uint64(bit(c.cf(), 1))) }

func jmp(c *CPU, o *op) { c.IP = o.imm }

func jcc(c *CPU, o *op) {
	if c.cond(o.sub) {
		c.IP = o.imm
	}
}

func jmpE(c *CPU, o *op) {
	if v, ok := c.loadE(o); ok {
		c.IP = v & c.mask
	}
}

func call(c *CPU, o *op) {
	if c.push(o.next, o.size) {
		c.IP = o.imm
	}
}

func callE(c *CPU, o *op) {
	if v, ok := c.loadE(o); ok && c.push(o.next, o.size) {
		c.IP = v & c.mask
	}
}

func ret(c *CPU, o *op) {
	if v, ok := c.pop(o.size); ok {
		c.R[RSP] = (c.R[RSP] + o.imm) & c.mask
		c.IP = v & c.mask
	}
}

// retFar does RETF (CA, CB) and IRET (CF) to the segments that there are.
func retFar(c *CPU, o *op) {
	n := uint64(o.size)
	words := uint64(2)
	if o.sub == 0xcf {
		words = 3
		if c.long {
			words = 5
		}
	}
	var v [5]uint64
	for i := range words {
		x, ok := c.load(c.R[RSP]+i*n, o.size)
		if !ok {
			return
		}
		v[i] = x
	}
	if uint16(v[1]) != c.Seg[CS] {
		protected(c, o)
		return
	}
	c.R[RSP] = (c.R[RSP] + words*n + o.imm) & c.mask
	if words == 5 {
		c.R[RSP] = v[3]
	}
	if words > 2 {
		c.SetFlags(uint32(v[2]))
	}
	c.IP = v[0] & c.mask
}

// loop does LOOPNE, LOOPE, LOOP and JCXZ, with the counter of the address size.
func loop(c *CPU, o *op) {
	n := c.R[RCX] & o.amask
	if o.sub == 3 {
		if n == 0 {
			c.IP = o.imm
		}
		return
	}
	n = (n - 1) & o.amask
	c.R[RCX] = c.R[RCX]&^o.amask | n
	if o.amask == 1<<32-1 {
		c.R[RCX] = n
	}
	if n != 0 && (o.sub == 2 || c.zf() == (o.sub == 1)) {
		c.IP = o.imm
	}
}

// enter makes a frame (ENTER), sub levels deep.
func enter(c *CPU, o *op) {
	n, level := uint64(o.size), uint64(o.sub&31)
	sp, bp := c.R[RSP], c.R[RBP]
	if !c.push(c.get(RBP, o.size), o.size) {
		return
	}
	frame := c.R[RSP]
	for i := uint64(1); i <= level; i++ {
		v := frame
		ok := true
		if i < level {
			v, ok = c.load(bp-i*n, o.size)
		}
		if !ok || !c.push(v, o.size) {
			c.R[RSP] = sp
			return
		}
	}
	end := (c.R[RSP] - o.imm) & c.mask
	if !c.Mem.Writable(end, o.size) { // the last byte of the frame is tried
		c.R[RSP] = sp
		c.missing(end, n, true)
		return
	}
	c.R[RSP] = end
	c.set(RBP, o.size, frame)
}

func leave(c *CPU, o *op) {
	v, ok := c.load(c.R[RBP], o.size)
	if !ok {
		return
	}
	c.R[RSP] = (c.R[RBP] + uint64(o.size)) & c.mask
	c.set(RBP, o.size, v)
}

func stop(c *CPU, o *op) { c.fault(Trap{Vector: Vector(o.sub)}) }

func into(c *CPU, o *op) {
	if c.of() {
		stop(c, o)
	}
}

func interrupt(c *CPU, o *op) { c.fault(Trap{Vector: Interrupt, Addr: o.imm}) }

func syscall(c *CPU, o *op) {
	if c.long {
		c.R[RCX], c.R[11] = o.next, uint64(c.Flags())
	}
	c.fault(Trap{Vector: Syscall})
}

// bound compares with two bounds in memory.
func bound(c *CPU, o *op) {
	lo, ok := c.loadE(o)
	if !ok {
		return
	}
	hi, ok := c.load(c.linear(o)+uint64(o.size), o.size)
	if !ok {
		return
	}
	v := int64(extend(c.get(o.reg, o.size), o.size))
	if v < int64(extend(lo, o.size)) || v > int64(extend(hi, o.size)) {
		c.fault(Trap{Vector: BoundRange})
	}
}

func arpl(c *CPU, o *op) {
	a, ok := c.loadE(o)
	if !ok {
		return
	}
	b := c.get(o.reg, 2)
	less := a&3 < b&3
	if less && !c.storeE(o, a&^3|b&3) {
		return
	}
	c.change(ZF, bit(less, ZF))
}

func xlat(c *CPU, o *op) {
	addr := (c.R[RBX] + c.R[RAX]&0xff) & o.amask
	if o.seg < noSegment {
		addr += c.Base[o.seg]
	}
	if v, ok := c.load(addr, 1); ok {
		c.set(RAX, 1, v)
	}
}

// rdtsc tells the time, which is how much ran; rdtscp (sub 1) the processor too.
func rdtsc(c *CPU, o *op) {
	t := uint64(c.Steps)*2 + 0x1_2345_6789
	c.R[RAX], c.R[RDX] = t&0xffffffff, t>>32
	if o.sub == 1 {
		c.R[RCX] = 0
	}
}

func xgetbv(c *CPU, _ *op) { c.R[RAX], c.R[RDX] = 3, 0 }

// cpuid is that of a processor of 2006 (Intel's Merom).
func cpuid(c *CPU, _ *op) {
	v := [4]uint64{}
	switch leaf := uint32(c.R[RAX]); leaf {
	case 0:
		v = [4]uint64{10, 0x756e6547, 0x6c65746e, 0x49656e69} // GenuineIntel
	case 1:
		v = [4]uint64{0x6f6, 0x800, 0x2201, 0x0781abff}
	case 0x80000000:
		v = [4]uint64{0x80000004}
	case 0x80000001:
		v = [4]uint64{0, 0, 1, 0x20000000}
	}
	c.R[RAX], c.R[RBX], c.R[RCX], c.R[RDX] = v[0], v[1], v[2], v[3]
}

// tables does SGDT, SIDT and SMSW: where they are on Windows.
func tables(c *CPU, o *op) {
	if o.sub == 4 {
		if o.mem {
			c.store(c.linear(o), 2, 0x3b)
		} else {
			c.set(o.rm, o.size, 0x8001003b&o.mask)
		}
		return
	}
	size := uint8(4)
	if c.long {
		size = 8
	}
	at := [2]uint64{0x80036000, 0x8003f400}[o.sub&1]
	if a := c.linear(o); c.store(a, 2, 0x3ff) {
		c.store(a+2, size, at)
	}
}

// daa does DAA (27) and DAS (2F); sub is the opcode without its low bits.
func daa(c *CPU, o *op) {
	al, f := c.get(RAX, 1), c.Flags()
	old, cf := al, f&CF != 0
	minus := o.sub == 5
	adjust := func(v uint64) {
		if minus {
			al -= v
		} else {
			al += v
		}
	}
	low := al&15 > 9 || f&AF != 0
	carry := old > 0x99 || cf
	if low {
		adjust(6)
		if minus && old < 6 || !minus && old > 0xf9 {
			carry = true
		}
	}
	if old > 0x99 || cf {
		adjust(0x60)
	}
	al &= 0xff
	c.set(RAX, 1, al)
	c.logic(al, 7, carry, false)
	c.change(AF, bit(low, AF))
}

// aaa does AAA (37) and AAS (3F).
func aaa(c *CPU, o *op) {
	ax := c.get(RAX, 2)
	carry := ax&15 > 9 || c.Flags()&AF != 0
	if carry {
		if o.sub == 6 {
			ax += 0x106
		} else {
			ax -= 6
			ax -= 0x100
		}
	}
	ax &= 0xff0f
	c.set(RAX, 2, ax)
	c.change(CF|AF, bit(carry, CF|AF))
}

func aam(c *CPU, o *op) {
	if o.imm == 0 {
		c.fault(Trap{Vector: DivideError})
		return
	}
	al := c.get(RAX, 1)
	c.set(RAX, 2, al/o.imm<<8|al%o.imm)
	c.logic(al%o.imm, 7, false, false)
}

func aad(c *CPU, o *op) {
	ax := c.get(RAX, 2)
	al := (ax + ax>>8*o.imm) & 0xff
	c.set(RAX, 2, al)
	c.logic(al, 7, false, false)
}

// repeatMost is how often an instruction repeats before it starts again.
const repeatMost = 1 << 14

// repeat does MOVS, CMPS, STOS, LODS and SCAS, by sub, with and without a prefix.
func repeat(c *CPU, o *op) {
	step := uint64(o.size)
	if c.flags&DF != 0 {
		step = -step
	}
	if o.rep == 0 {
		c.stringOp(o, step)
		return
	}
	for n := 0; ; n++ {
		count := c.R[RCX] & o.amask
		if count == 0 {
			return
		}
		if n == repeatMost {
			c.event = again
			return
		}
		if !c.stringOp(o, step) {
			return
		}
		c.Steps++
		c.R[RCX] = c.counted(c.R[RCX], count-1, o)
		if (o.sub == 0xa6 || o.sub == 0xae) && c.zf() != (o.rep == 0xf3) {
			return
		}
		if c.event == broken {
			c.event = again
			return
		}
	}
}

// counted is a register whose part of the address size changes.
func (c *CPU) counted(old, v uint64, o *op) uint64 {
	v &= o.amask
	if o.amask == 0xffff {
		return old&^0xffff | v
	}
	return v
}

// stringOp does it once.
func (c *CPU) stringOp(o *op, step uint64) bool {
	src, dst := c.R[RSI]&o.amask, c.R[RDI]&o.amask
	if o.seg < noSegment {
		src += c.Base[o.seg]
	}
	var a, b uint64
	ok := true
	switch o.sub {
	case 0xa4:
		if a, ok = c.load(src, o.size); ok {
			ok = c.store(dst, o.size, a)
		}
	case 0xa6:
		if a, ok = c.load(src, o.size); ok {
			if b, ok = c.load(dst, o.size); ok {
				c.note(subtracted, a, b, (a-b)&o.mask, o.bits)
			}
		}
	case 0xaa:
		ok = c.store(dst, o.size, c.R[RAX])
	case 0xac:
		if a, ok = c.load(src, o.size); ok {
			c.set(RAX, o.size, a)
		}
	case 0xae:
		if b, ok = c.load(dst, o.size); ok {
			a = c.get(RAX, o.size)
			c.note(subtracted, a, b, (a-b)&o.mask, o.bits)
		}
	}
	if !ok {
		return false
	}
	if o.sub == 0xa4 || o.sub == 0xa6 || o.sub == 0xac {
		c.R[RSI] = c.counted(c.R[RSI], c.R[RSI]+step, o)
	}
	if o.sub != 0xac {
		c.R[RDI] = c.counted(c.R[RDI], c.R[RDI]+step, o)
	}
	return true
}

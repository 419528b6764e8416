package emulate

// decoder reads one instruction.
type decoder struct {
	b     []byte
	at    int
	short bool // the bytes ended
	long  bool
	o     op
	rex   byte
	osize uint8 // 2, 4, 8: the operand size that the prefixes say
	asize uint8
	o66   bool
	lock  bool
	addr  uint64
}

func (d *decoder) u8() uint64 {
	if d.at >= len(d.b) {
		d.short = true
		return 0
	}
	d.at++
	return uint64(d.b[d.at-1])
}

// u reads n bytes, little endian.
func (d *decoder) u(n uint8) (v uint64) {
	for i := range n {
		v |= d.u8() << (8 * i)
	}
	return v
}

// s reads n bytes with their sign.
func (d *decoder) s(n uint8) uint64 { return extend(d.u(n), n) }

// extend carries the sign of n bytes to 64 bits.
func extend(v uint64, n uint8) uint64 {
	s := 64 - 8*n
	return uint64(int64(v<<s) >> s)
}

// sized says of what size the operands are.
func (d *decoder) sized(n uint8) {
	d.o.size, d.o.bits, d.o.mask = n, 8*n-1, ^uint64(0)>>(64-8*n)
}

// decode decodes what stands at addr and says how long it is; 0 where the bytes
// end in it, unless there are as many as an instruction may have.
func (c *CPU) decode(b []byte, addr uint64) (op, int) {
	d := decoder{b: b, long: c.long, addr: addr, osize: 4, asize: 4}
	if c.long {
		d.asize = 8
	}
	d.o.seg, d.o.base, d.o.index = noSegment, none, none
	opcode := d.prefixes()
	d.o.amask = ^uint64(0) >> (64 - 8*d.asize)
	d.sized(d.osize)
	d.one(byte(opcode))
	if d.lock && !d.o.mem {
		d.o.run = undefined
	}
	if d.short {
		if len(b) < longest {
			return op{}, 0
		}
		d.o.run = protected // longer than an instruction may be
	}
	if d.o.run == nil {
		d.o.run = undefined
	}
	d.o.next = (addr + uint64(d.at)) & c.mask
	if d.o.base == relative {
		d.o.base = none
		d.o.disp += d.o.next
	}
	return d.o, d.at
}

// relative stands for the address behind the instruction, until that is known.
const relative = 255

// prefixes reads them, and returns the byte behind them.
func (d *decoder) prefixes() uint64 {
	for {
		b := d.u8()
		switch {
		case d.short:
			return b
		case b == 0x66:
			d.o66 = true
		case b == 0x67:
			d.asize = map[bool]uint8{true: 4, false: 2}[d.long]
		case b == 0xf0:
			d.lock = true
		case b == 0xf2 || b == 0xf3:
			d.o.rep = byte(b)
		case b == 0x64 || b == 0x65:
			d.o.seg = FS + byte(b&1)
		case b&0xe7 == 0x26: // ES, CS, SS, DS: their bases are zero
			if !d.long {
				d.o.seg = noSegment
			}
		case d.long && b>>4 == 4:
			d.rex = byte(b)
			next := d.u8()
			if prefix(next) && !d.short { // it counts for nothing in front of another prefix
				d.rex = 0
				d.at--
				continue
			}
			d.width()
			return next
		default:
			d.width()
			return b
		}
	}
}

func prefix(b uint64) bool {
	return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x64 || b == 0x65 || b&0xe7 == 0x26 || b>>4 == 4
}

func (d *decoder) width() {
	d.o.wide = d.rex != 0
	switch {
	case d.rex&8 != 0:
		d.osize = 8
	case d.o66:
		d.osize = 2
	}
}

// r, x and b are what REX adds to numbers of registers.
func (d *decoder) r() uint8  { return d.rex & 4 << 1 }
func (d *decoder) x() uint8  { return d.rex & 2 << 2 }
func (d *decoder) b0() uint8 { return d.rex & 1 << 3 }

// modrm reads the byte that names two operands, and what follows it.
func (d *decoder) modrm() {
	m := byte(d.u8())
	mod, rm := m>>6, m&7
	d.o.reg = m>>3&7 | d.r()
	switch {
	case mod == 3:
		d.o.rm = rm | d.b0()
		return
	case d.asize == 2:
		d.o.mem = true
		d.modrm16(mod, rm)
		return
	}
	d.o.mem = true
	switch {
	case rm == 4:
		d.sib(mod)
	case rm == 5 && mod == 0:
		d.o.disp = d.s(4)
		if d.long {
			d.o.base = relative
		}
		return
	default:
		d.o.base = rm | d.b0()
	}
	switch mod {
	case 1:
		d.o.disp += d.s(1)
	case 2:
		d.o.disp += d.s(4)
	}
}

func (d *decoder) sib(mod byte) {
	s := byte(d.u8())
	if i := s>>3&7 | d.x(); i != 4 {
		d.o.index, d.o.scale = i, s>>6
	}
	if s&7 == 5 && mod == 0 {
		d.o.disp = d.s(4)
		return
	}
	d.o.base = s&7 | d.b0()
}

func (d *decoder) modrm16(mod, rm byte) {
	d.o.base = [...]uint8{RBX, RBX, RBP, RBP, none, none, RBP, RBX}[rm]
	d.o.index = [...]uint8{RSI, RDI, RSI, RDI, RSI, RDI, none, none}[rm]
	switch {
	case rm == 6 && mod == 0:
		d.o.base, d.o.disp = none, d.u(2)
	case mod == 1:
		d.o.disp = d.s(1)
	case mod == 2:
		d.o.disp = d.s(2)
	}
}

// high makes the numbers 4 to 7 of byte registers AH to BH, where there is no REX.
const high = 20

func (d *decoder) byteReg(r uint8) uint8 {
	if r >= 4 && r < 8 && d.rex == 0 {
		return r - 4 + high
	}
	return r
}

// eg reads the operands E and G, of n bytes.
func (d *decoder) eg(n uint8) {
	d.sized(n)
	d.modrm()
	if n == 1 {
		d.o.reg = d.byteReg(d.o.reg)
		if !d.o.mem {
			d.o.rm = d.byteReg(d.o.rm)
		}
	}
}

// e reads the operand E, of n bytes, and returns the number of the operation that
// stands in G's place.
func (d *decoder) e(n uint8) byte {
	d.eg(n)
	if n == 1 && d.o.reg >= high {
		return d.o.reg - high + 4
	}
	return d.o.reg & 7
}

// ob is the size that bit 0 of an opcode says.
func (d *decoder) ob(b byte) uint8 {
	if b&1 == 0 {
		return 1
	}
	return d.osize
}

// imm reads an immediate value of an operand size: of 8 bytes, 4 are there.
func (d *decoder) immediate(n uint8) { d.o.imm = d.s(min(n, 4)) & d.o.mask }

// stack makes the size what pushes have: 8 in long mode, unless a prefix says 2.
func (d *decoder) stack() {
	if d.long && d.osize != 2 {
		d.osize = 8
	}
	d.sized(d.osize)
}

func (d *decoder) do(f func(*CPU, *op)) { d.o.run = f }

func (d *decoder) ends(f func(*CPU, *op)) { d.o.run, d.o.end = f, true }

// jump reads a target of n bytes, relative to what is behind it.
func (d *decoder) jump(n uint8) {
	d.stack()
	if d.long {
		n = min(n, 4) // a size prefix changes nothing
		d.sized(8)
	} else if d.o66 && n == 4 {
		n = 2
	}
	v := d.s(n)
	d.o.imm = v + d.addr + uint64(d.at)
	if !d.long {
		d.o.imm &= 1<<32 - 1
		if d.o66 {
			d.o.imm &= 1<<16 - 1
		}
	}
}

// one decodes an instruction by its first byte.
func (d *decoder) one(b byte) {
	switch {
	case b < 0x40:
		d.low(b)
	case b < 0x50: // in long mode these are REX
		d.o.rm = b & 7
		d.o.sub = b >> 3 & 1
		d.do(incReg)
	case b < 0x60:
		d.stack()
		d.o.rm = b&7 | d.b0()
		d.do(pushReg)
		if b >= 0x58 {
			d.do(popReg)
		}
	case b < 0x70:
		d.sixty(b)
	case b < 0x80:
		d.jump(1)
		d.o.sub = b & 15
		d.ends(jcc)
	case b < 0x90:
		d.eighty(b)
	case b < 0xa0:
		d.ninety(b)
	case b < 0xb0:
		d.strings(b)
	case b < 0xc0:
		d.o.rm = b&7 | d.b0()
		d.do(movRegImm)
		if b < 0xb8 {
			d.sized(1)
			d.o.rm = d.byteReg(d.o.rm)
			d.do(movImm)
			d.o.imm = d.u8()
			return
		}
		if d.osize == 2 {
			d.do(movImm)
		}
		d.o.imm = d.u(d.osize)
	case b < 0xd0:
		d.cee(b)
	case b < 0xe0:
		d.dee(b)
	case b < 0xf0:
		d.eee(b)
	default:
		d.eff(b)
	}
}

// low decodes 00 to 3F: arithmetic, segments, decimal adjustment, and 0F.
func (d *decoder) low(b byte) {
	d.o.sub = b >> 3
	switch {
	case b == 0x0f:
		d.two(byte(d.u8()))
	case b&7 < 4:
		d.eg(d.ob(b))
		d.do(aluForm(&d.o, b&2 != 0))
	case b&7 < 6:
		d.sized(d.ob(b))
		d.o.rm = RAX
		d.immediate(d.o.size)
		d.do(aluImmForm(&d.o))
	case d.long:
	case b < 0x20:
		d.o.sub = b >> 3 & 3
		d.do(pushSeg)
		if b&1 != 0 {
			d.do(popSeg)
		}
	case b == 0x27, b == 0x2f:
		d.do(daa)
	case b == 0x37, b == 0x3f:
		d.do(aaa)
	}
}

// sixty decodes 60 to 6F.
func (d *decoder) sixty(b byte) {
	switch b {
	case 0x60, 0x61:
		if !d.long {
			d.do(pusha)
			if b == 0x61 {
				d.do(popa)
			}
		}
	case 0x62:
		if d.eg(d.osize); !d.long && d.o.mem {
			d.do(bound)
		}
	case 0x63:
		if d.long {
			d.eg(d.osize)
			d.o.from = min(4, d.osize)
			d.do(movsx)
		} else {
			d.eg(2)
			d.do(arpl)
		}
	case 0x68:
		d.stack()
		d.immediate(d.o.size)
		d.do(pushImm)
	case 0x69, 0x6b:
		d.eg(d.osize)
		if b == 0x69 {
			d.immediate(d.osize)
		} else {
			d.o.imm = d.s(1) & d.o.mask
		}
		d.do(imul3)
	case 0x6a:
		d.stack()
		d.o.imm = d.s(1) & d.o.mask
		d.do(pushImm)
	default:
		d.do(protected) // INS, OUTS
	}
}

// eighty decodes 80 to 8F.
func (d *decoder) eighty(b byte) {
	switch b {
	case 0x82:
		if d.long {
			return
		}
		fallthrough
	case 0x80, 0x81, 0x83:
		d.o.sub = d.e(d.ob(b))
		if b == 0x81 {
			d.immediate(d.osize)
		} else {
			d.o.imm = d.s(1) & d.o.mask
		}
		d.do(aluImmForm(&d.o))
	case 0x84, 0x85:
		d.eg(d.ob(b))
		d.do(test)
	case 0x86, 0x87:
		d.eg(d.ob(b))
		d.do(xchg)
	case 0x88, 0x89:
		d.eg(d.ob(b))
		d.do(movForm(&d.o, false))
	case 0x8a, 0x8b:
		d.eg(d.ob(b))
		d.do(movForm(&d.o, true))
	case 0x8c:
		if d.eg(d.osize); d.o.reg&7 <= GS {
			d.do(movFromSeg)
		}
	case 0x8d:
		if d.eg(d.osize); d.o.mem {
			d.do(lea)
		}
	case 0x8e:
		if d.eg(2); d.o.reg&7 <= GS && d.o.reg&7 != CS {
			d.do(movToSeg)
		}
	case 0x8f:
		d.stack()
		if d.e(d.osize) == 0 {
			d.do(popE)
		}
	}
}

// ninety decodes 90 to 9F.
func (d *decoder) ninety(b byte) {
	switch {
	case b == 0x90 && d.rex&1 == 0:
		d.do(nop)
	case b < 0x98:
		d.o.rm, d.o.reg = b&7|d.b0(), RAX
		d.do(xchg)
	case b == 0x98:
		d.do(cbw)
	case b == 0x99:
		d.do(cwd)
	case b == 0x9b:
		d.do(nop)
	case b == 0x9c:
		d.stack()
		d.do(pushf)
	case b == 0x9d:
		d.stack()
		d.ends(popf)
	case b == 0x9e:
		d.do(sahf)
	case b == 0x9f:
		d.do(lahf)
	}
}

// strings decodes A0 to AF.
func (d *decoder) strings(b byte) {
	n := d.ob(b)
	d.sized(n)
	switch {
	case b < 0xa4:
		d.o.mem, d.o.disp = true, d.u(d.asize)
		d.o.reg = RAX
		d.do(movForm(&d.o, b < 0xa2))
	case b == 0xa8 || b == 0xa9:
		d.o.rm = RAX
		d.immediate(n)
		d.do(testImm)
	default:
		d.o.sub = b &^ 1
		d.do(repeat)
	}
}

// cee decodes C0 to CF.
func (d *decoder) cee(b byte) {
	switch b {
	case 0xc0, 0xc1:
		d.o.sub = d.e(d.ob(b))
		d.o.imm = d.u8()
		d.do(shiftForm(&d.o))
	case 0xc2, 0xc3:
		d.stack()
		if b == 0xc2 {
			d.o.imm = d.u(2)
		}
		d.ends(ret)
	case 0xc6, 0xc7:
		if d.e(d.ob(b)) == 0 {
			d.immediate(d.o.size)
			d.do(movImm)
		}
	case 0xc8:
		d.stack()
		d.o.imm = d.u(2)
		d.o.sub = byte(d.u8())
		d.do(enter)
	case 0xc9:
		d.stack()
		d.do(leave)
	case 0xcc:
		d.o.sub = uint8(Breakpoint)
		d.ends(stop)
	case 0xcd:
		d.o.imm = d.u8()
		d.ends(interrupt)
	case 0xce:
		if !d.long {
			d.o.sub = uint8(Overflow)
			d.do(into)
		}
	case 0xca, 0xcb, 0xcf:
		if b == 0xca {
			d.o.imm = d.u(2)
		}
		d.o.sub = b
		d.ends(retFar)
	}
}

// dee decodes D0 to DF.
func (d *decoder) dee(b byte) {
	switch {
	case b < 0xd2:
		d.o.sub = d.e(d.ob(b))
		d.o.imm = 1
		d.do(shiftForm(&d.o))
	case b < 0xd4:
		d.o.sub = d.e(d.ob(b))
		d.do(shiftCL)
	case b == 0xd7:
		d.o.base, d.o.mem = RBX, true
		d.do(xlat)
	case b >= 0xd8:
		d.float(b)
	case d.long:
	case b == 0xd4:
		d.o.imm = d.u8()
		d.do(aam)
	case b == 0xd5:
		d.o.imm = d.u8()
		d.do(aad)
	case b == 0xd6:
		d.do(salc)
	}
}

// eee decodes E0 to EF.
func (d *decoder) eee(b byte) {
	switch {
	case b < 0xe4:
		d.jump(1)
		d.o.sub = b & 3
		d.ends(loop)
	case b == 0xe8:
		d.jump(4)
		d.ends(call)
	case b == 0xe9:
		d.jump(4)
		d.ends(jmp)
	case b == 0xeb:
		d.jump(1)
		d.ends(jmp)
	case b == 0xea:
		if !d.long {
			d.o.imm = d.u(d.osize)
			if sel := d.u(2); sel == flatCode {
				d.ends(jmp)
			}
		}
	default:
		if b < 0xe8 {
			d.u8()
		}
		d.ends(protected) // IN, OUT
	}
}

// eff decodes F1 to FF.
func (d *decoder) eff(b byte) {
	switch b {
	case 0xf1:
		d.o.sub = uint8(SingleStep)
		d.ends(stop)
	case 0xf4, 0xfa, 0xfb:
		d.ends(protected)
	case 0xf5, 0xf8, 0xf9, 0xfc, 0xfd:
		d.o.sub = b
		d.do(oneFlag)
	case 0xf6, 0xf7:
		d.o.sub = d.e(d.ob(b))
		switch d.o.sub {
		case 0, 1:
			d.immediate(d.o.size)
			d.do(testImm)
		case 2, 3:
			d.do(notNeg)
		case 4, 5:
			d.do(mul)
		default:
			d.do(div)
		}
	case 0xfe:
		if d.o.sub = d.e(1); d.o.sub < 2 {
			d.do(incE)
		}
	case 0xff:
		d.effs()
	}
}

// effs decodes FF: INC, DEC, CALL, JMP, PUSH.
func (d *decoder) effs() {
	d.o.sub = d.e(d.osize)
	if d.o.sub == 2 || d.o.sub == 4 || d.o.sub == 6 {
		d.stack()
		if d.long && d.o.sub != 6 {
			d.sized(8)
		}
	}
	switch d.o.sub {
	case 0, 1:
		d.do(incE)
	case 2:
		d.ends(callE)
	case 4:
		d.ends(jmpE)
	case 6:
		d.do(pushE)
	}
}

package emulate

// two decodes what follows 0F.
func (d *decoder) two(b byte) {
	switch {
	case b >= 0x40 && b < 0x50:
		d.eg(d.osize)
		d.o.sub = b & 15
		d.do(cmov)
	case b >= 0x80 && b < 0x90:
		d.jump(4)
		d.o.sub = b & 15
		d.ends(jcc)
	case b >= 0x90 && b < 0xa0:
		d.e(1)
		d.o.sub = b & 15
		d.do(setcc)
	case b >= 0xc8 && b < 0xd0:
		d.o.rm = b&7 | d.b0()
		d.do(bswap)
	case b >= 0x18 && b < 0x20, b == 0x0d:
		d.eg(d.osize)
		d.do(nop)
	case b < 0x40:
		d.system(b)
	case b >= 0xa0 && b < 0xc8 && b != 0xc2 && (b < 0xc4 || b == 0xc7):
		d.bitwise(b)
	default:
		d.vector(b)
	}
}

// system decodes 0F 00 to 3F, without the moves of vectors.
func (d *decoder) system(b byte) {
	switch b {
	case 0x01:
		m := d.u8()
		switch {
		case m == 0xd0:
			d.do(xgetbv)
		case m == 0xf9:
			d.o.sub = 1
			d.do(rdtsc)
		case m>>6 != 3 && (m>>3&7 < 2 || m>>3&7 == 4), m>>6 == 3 && m>>3&7 == 4:
			d.at--
			d.o.sub = d.e(d.osize)
			d.do(tables)
		}
	case 0x05:
		if d.long {
			d.ends(syscall)
		}
	case 0x34:
		d.ends(syscall)
	case 0x31:
		d.do(rdtsc)
	case 0x06, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30, 0x32, 0x33, 0x35, 0x00:
		if b >= 0x20 && b < 0x24 || b == 0 {
			d.u8()
		}
		d.ends(protected)
	case 0x38:
		d.three(byte(d.u8()))
	default:
		d.vector(b)
	}
}

// three decodes what follows 0F 38.
func (d *decoder) three(b byte) {
	switch {
	case (b == 0xf0 || b == 0xf1) && d.o.rep == 0xf2:
		n := d.ob(b)
		d.eg(n)
		d.o.reg = d.o.reg&7 | d.r()
		if n == 1 && d.o.reg >= high {
			d.o.reg -= high - 4
		}
		d.do(crc32c)
	case (b == 0xf0 || b == 0xf1) && d.o.rep == 0:
		if d.eg(d.osize); d.o.mem {
			d.o.sub = b & 1
			d.do(movbe)
		}
	}
}

// bitwise decodes 0F A0 to C7.
func (d *decoder) bitwise(b byte) {
	switch b {
	case 0xa0, 0xa8, 0xa1, 0xa9:
		d.stack()
		d.o.sub = FS + b>>3&1
		d.do(pushSeg)
		if b&1 != 0 {
			d.do(popSeg)
		}
	case 0xa2:
		d.do(cpuid)
	case 0xa3, 0xab, 0xb3, 0xbb:
		d.eg(d.osize)
		d.o.sub = b >> 3 & 3
		d.do(bitTest)
	case 0xba:
		d.o.sub = d.e(d.osize)
		d.o.imm = d.u8()
		if d.o.sub >= 4 {
			d.o.sub &= 3
			d.do(bitTestImm)
		}
	case 0xa4, 0xac:
		d.eg(d.osize)
		d.o.imm = d.u8()
		d.o.sub = b >> 3 & 1
		d.do(shiftDouble)
	case 0xa5, 0xad:
		d.eg(d.osize)
		d.o.sub = b>>3&1 | 2
		d.do(shiftDouble)
	case 0xae:
		d.fence()
	case 0xaf:
		d.eg(d.osize)
		d.do(imul2)
	case 0xb0, 0xb1:
		d.eg(d.ob(b))
		d.do(cmpxchg)
	case 0xb6, 0xb7, 0xbe, 0xbf:
		d.extended(b)
	case 0xb8, 0xbc, 0xbd:
		if b == 0xb8 && d.o.rep != 0xf3 {
			return
		}
		d.eg(d.osize)
		d.o.sub = b
		d.do(bitScan)
	case 0xc0, 0xc1:
		d.eg(d.ob(b))
		d.do(xadd)
	case 0xc3:
		if d.eg(max(d.osize, 4)); d.o.mem {
			d.do(movForm(&d.o, false))
		}
	case 0xc7:
		if d.o.sub = d.e(d.osize); d.o.sub == 1 && d.o.mem {
			d.sized(max(d.osize, 4))
			d.do(cmpxchgPair)
		}
	}
}

// extended decodes MOVZX and MOVSX.
func (d *decoder) extended(b byte) {
	d.eg(d.osize)
	d.o.from = 1 + b&1
	if d.o.from == 1 && !d.o.mem {
		d.o.rm = d.byteReg(d.o.rm)
	}
	switch {
	case b >= 0xbe:
		d.do(movsx)
	case d.o.mem && d.osize >= 4:
		d.do(movzxLoad)
	default:
		d.do(movzx)
	}
}

// fence decodes 0F AE: the state of vectors, fences.
func (d *decoder) fence() {
	sub := d.e(d.osize)
	switch {
	case !d.o.mem && sub >= 5, d.o.mem && sub == 7:
		d.do(nop)
	case d.o.mem && sub == 2:
		d.do(ldmxcsr)
	case d.o.mem && sub == 3:
		d.do(stmxcsr)
	}
}

package codec

import (
	"encoding/binary"
	"io"
	"slices"
)

// NewDelta undoes the delta filter: to each byte the one dist (1 to 256) before
// it is added.
func NewDelta(r io.Reader, dist int) io.Reader { return &deltaReader{r: r, dist: dist} }

// NewSwap undoes the filter that turns the order of bytes in words of n bytes, 2 or
// 4; what is too little for a word at the end stands as it is (7-Zip, SwapFilter).
func NewSwap(r io.Reader, n int) io.Reader {
	return &branchReader{r: r, undo: func(b []byte, _ uint32) int {
		i := 0
		for ; i+n <= len(b); i += n {
			slices.Reverse(b[i : i+n])
		}
		return i
	}}
}

// Branch is a filter for the calls of a kind of processor.
type Branch uint8

// The filters, with the numbers of the xz format (xz-file-format, section 5.3.2).
const (
	BranchX86   Branch = 4
	BranchPPC   Branch = 5
	BranchIA64  Branch = 6
	BranchARM   Branch = 7
	BranchThumb Branch = 8
	BranchSPARC Branch = 9
	BranchARM64 Branch = 10
	BranchRISCV Branch = 11
)

// NewBranch undoes a branch filter over what stands at the address start. It
// tells whether the filter is known.
func NewBranch(r io.Reader, kind Branch, start uint32) (io.Reader, bool) {
	b := &branchReader{r: r, pos: start}
	switch kind {
	case BranchX86:
		b.undo = (&x86Branch{}).undo
	case BranchPPC:
		b.undo = undoPowerPC
	case BranchIA64:
		b.undo = undoIA64
	case BranchARM:
		b.undo = undoARM
	case BranchThumb:
		b.undo = undoThumb
	case BranchSPARC:
		b.undo = undoSPARC
	case BranchARM64:
		b.undo = undoARM64
	case BranchRISCV:
		b.undo = undoRISCV
	default:
		return nil, false
	}
	return b, true
}

// deltaReader adds to each byte the one dist before it.
type deltaReader struct {
	r    io.Reader
	dist int
	hist [256]byte
	pos  byte
}

// Read implements io.Reader.
func (d *deltaReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	for i := range p[:n] {
		p[i] += d.hist[byte(int(d.pos)+256-d.dist)]
		d.hist[d.pos] = p[i]
		d.pos++
	}
	return n, err
}

// branchReader turns the absolute targets of calls, which compress better,
// back into the relative ones that stood in the program.
type branchReader struct {
	r   io.Reader
	pos uint32 // address of buf[0]
	// undo changes b, which stands at address pos, and returns how much of it
	// is done; what is left comes again with more behind it.
	undo func(b []byte, pos uint32) int

	buf  []byte
	done int // bytes of buf that are ready
	err  error
}

// Read implements io.Reader.
func (b *branchReader) Read(p []byte) (int, error) {
	for b.done == 0 {
		if b.err != nil {
			if len(b.buf) == 0 {
				return 0, b.err
			}
			b.done = len(b.buf) // too little for an instruction
			break
		}
		if b.buf == nil {
			b.buf = make([]byte, 0, 16<<10)
		}
		n, err := b.r.Read(b.buf[len(b.buf):cap(b.buf)])
		b.buf, b.err = b.buf[:len(b.buf)+n], err
		b.done = b.undo(b.buf, b.pos)
	}
	n := copy(p, b.buf[:b.done])
	b.pos += uint32(n)
	b.done -= n
	// What is done but does not fit in p must not be undone again.
	b.buf = b.buf[:copy(b.buf, b.buf[n:])]
	return n, nil
}

func undoARM(b []byte, pos uint32) int {
	i := 0
	for ; i+4 <= len(b); i += 4 {
		if b[i+3] == 0xeb { // BL
			v := uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16
			v = (v<<2 - (pos + uint32(i) + 8)) >> 2
			b[i], b[i+1], b[i+2] = byte(v), byte(v>>8), byte(v>>16)
		}
	}
	return i
}

func undoThumb(b []byte, pos uint32) int {
	i := 0
	for ; i+4 <= len(b); i += 2 {
		hi, lo := uint32(binary.LittleEndian.Uint16(b[i:])), uint32(binary.LittleEndian.Uint16(b[i+2:]))
		if hi&0xf800 == 0xf000 && lo&0xf800 == 0xf800 { // BL, in two halves
			v := (hi&0x7ff)<<11 | lo&0x7ff
			v = (v<<1 - (pos + uint32(i) + 4)) >> 1
			binary.LittleEndian.PutUint16(b[i:], uint16(0xf000|v>>11&0x7ff))
			binary.LittleEndian.PutUint16(b[i+2:], uint16(0xf800|v&0x7ff))
			i += 2
		}
	}
	return i
}

func undoPowerPC(b []byte, pos uint32) int {
	i := 0
	for ; i+4 <= len(b); i += 4 {
		if v := binary.BigEndian.Uint32(b[i:]); v&0xfc000003 == 0x48000001 { // bl
			t := v&0x03fffffc - (pos + uint32(i))
			binary.BigEndian.PutUint32(b[i:], 0x48000001|t&0x03fffffc)
		}
	}
	return i
}

func undoSPARC(b []byte, pos uint32) int {
	i := 0
	for ; i+4 <= len(b); i += 4 {
		v := binary.BigEndian.Uint32(b[i:])
		if v>>22 == 0x100 || v>>22 == 0x1ff { // call, near by
			t := (v<<2 - (pos + uint32(i))) >> 2
			t = (0-(t>>22&1))<<22&0x3fffffff | t&0x3fffff
			binary.BigEndian.PutUint32(b[i:], t|0x40000000)
		}
	}
	return i
}

// undoIA64 undoes IP-relative branches in the slots of bundles of 128 bits,
// whose template tells which slots are branches.
func undoIA64(b []byte, pos uint32) int {
	const slots = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x06\x06\x00\x00\x07\x07\x04\x04\x00\x00\x04\x04\x00\x00"
	i := 0
	for ; i+16 <= len(b); i += 16 {
		mask := slots[b[i]&31]
		for slot := range 3 {
			if mask>>slot&1 == 0 {
				continue
			}
			bit := 5 + 41*slot
			at, shift := i+bit>>3, bit&7
			var v uint64
			for j := range 6 {
				v |= uint64(b[at+j]) << (8 * j)
			}
			n := v >> shift
			if n>>37&15 != 5 || n>>9&7 != 0 {
				continue
			}
			t := uint32(n>>13&0xfffff | n>>36&1<<20)
			t = (t<<4 - (pos + uint32(i))) >> 4
			n = n&^(0x8fffff<<13) | uint64(t&0xfffff)<<13 | uint64(t&0x100000)<<16
			v = v&(1<<shift-1) | n<<shift
			for j := range 6 {
				b[at+j] = byte(v >> (8 * j))
			}
		}
	}
	return i
}

func undoARM64(b []byte, pos uint32) int {
	i := 0
	for ; i+4 <= len(b); i += 4 {
		v, pc := binary.LittleEndian.Uint32(b[i:]), pos+uint32(i)
		switch {
		case v>>26 == 0x25: // BL
			v = 0x94000000 | (v-pc>>2)&0x03ffffff
		case v&0x9f000000 == 0x90000000: // ADRP, if the target is within 512 MiB
			t := v>>29&3 | v>>3&0x1ffffc
			if (t+0x020000)&0x1c0000 != 0 {
				continue
			}
			t -= pc >> 12
			v = v&0x9000001f | t&3<<29 | t&0x3fffc<<3 | (0-t&0x020000)&0xe00000
		default:
			continue
		}
		binary.LittleEndian.PutUint32(b[i:], v)
	}
	return i
}

// undoRISCV undoes JAL with a register for the return address, and pairs of AUIPC
// and an instruction that adds to its result. A pair is written as an AUIPC to
// the stack's register, which holds the lower bits of the second instruction, and
// its target, most significant byte first. An AUIPC that looked so before stands as
// a pair, without an address (xz, riscv.c: the description of the filter).
func undoRISCV(b []byte, pos uint32) int {
	le := binary.LittleEndian
	i := 0
	for i+8 <= len(b) {
		v := le.Uint32(b[i:])
		switch {
		case v&0xff == 0xef && v&0x0d00 == 0:
			riscvJump(b[i:], pos+uint32(i))
			i += 4
		case v&0x7f != 0x17:
			i += 2
		case v&0xe80 != 0: // to neither of the registers 0 and 2
			second := le.Uint32(b[i+4:])
			if second&3 != 3 || second>>15&31 != v>>7&31 {
				i += 6
				continue
			}
			le.PutUint32(b[i:], 0x117|second<<12)
			le.PutUint32(b[i+4:], v&^0xfff+second>>20)
			i += 8
		default:
			reg := v >> 27
			if v&0x3f80 != 0x3100 || reg == 0 || reg == 2 {
				i += 4
				continue
			}
			target := binary.BigEndian.Uint32(b[i+4:]) - (pos + uint32(i))
			le.PutUint32(b[i:], 0x17|reg<<7|(target+0x800)&^0xfff)
			le.PutUint32(b[i+4:], v>>12|target<<20)
			i += 8
		}
	}
	return i
}

// riscvJump undoes one JAL, whose target stands with its upper bits first.
func riscvJump(b []byte, pc uint32) {
	t := uint32(b[1]>>4)<<17 | uint32(b[2])<<9 | uint32(b[3])<<1
	t -= pc
	b[1] = b[1]&15 | byte(t>>8)&0xf0
	b[2] = byte(t>>16)&15 | byte(t>>7)&0x10 | byte(t<<4)&0xe0
	b[3] = byte(t>>4)&0x7f | byte(t>>13)&0x80
}

// x86Branch undoes CALL (E8) and JMP (E9). An opcode byte close behind another
// is likely an operand, so that the filter leaves some alone; which ones
// depends on the opcode bytes among the last four.
type x86Branch struct {
	seen uint32 // bit i: an opcode byte that was passed over stands i+1 back
}

// sign tells whether a byte can be the top of a 25-bit sign-extended target.
func sign(b byte) bool { return b == 0 || b == 0xff }

func (x *x86Branch) undo(b []byte, pos uint32) int {
	i := 0
	for i+5 <= len(b) {
		if b[i]&0xfe != 0xe8 {
			x.seen = x.seen << 1 & 7
			i++
			continue
		}
		// With an opcode byte passed over k back, the byte in which the two
		// operands overlap decides.
		k := [8]int{0, 1, 2, 2, 3, 3, 3, 3}[x.seen]
		blocked := x.seen == 3 || x.seen > 4 || k > 0 && sign(b[i+4-k])
		if blocked || !sign(b[i+4]) {
			x.seen = x.seen<<1&7 | 1
			i++
			continue
		}
		v := binary.LittleEndian.Uint32(b[i+1:])
		v -= pos + uint32(i) + 5
		if k > 0 && sign(byte(v>>(24-8*k))) {
			v ^= 1<<(32-8*k) - 1
			v -= pos + uint32(i) + 5
		}
		v &= 0x01ffffff
		v |= 0 - v&0x01000000
		binary.LittleEndian.PutUint32(b[i+1:], v)
		i += 5
		x.seen = 0
	}
	return i
}

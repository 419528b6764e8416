package rar

import (
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

// unpack3 decodes what RAR 2.9 to 4 compresses: blocks of LZ77 with prefix
// codes, or of PPMd, and programs that transform what comes out. Programs are
// told by their checksum; those that RAR itself writes are six.
type unpack3 struct {
	window
	bits *codec.Bits
	work func(int64) bool

	ready   bool // tables are read
	ppm     bool
	model   *ppmd.Model
	escape  byte
	old     [4]int64
	length  int
	lens    [299 + 60 + 17 + 28]uint8
	lits    codec.Prefix
	dists   codec.Prefix
	low     codec.Prefix
	reps    codec.Prefix
	pre     codec.Prefix
	prevLow int
	repLow  int

	programs []program
	lastProg int
	ended    bool
	err      error
}

// program is one that a filter runs.
type program struct {
	kind int // index in programs of RAR, -1 for others
	size int64
	runs uint32
}

func (u *unpack3) open(in io.ByteReader, solid bool, dict int64) {
	if !solid {
		*u = unpack3{window: window{out: u.out, buf: u.buf[:0:0]}, work: u.work, escape: 2}
	}
	u.bits = codec.NewBits(in)
	u.ended, u.err = false, nil
	u.dict = max(u.dict, dict)
	u.begin()
	if !solid || !u.ready {
		u.err = u.readTables()
	}
}

// fill decodes until there is something to hand out, up to size bytes of the file.
func (u *unpack3) fill(size int64) error {
	most := u.at() + 32<<10
	for u.err == nil && u.at() < min(size, most) {
		if u.ppm {
			u.err = u.symbolPPM()
		} else {
			u.err = u.symbol()
		}
		if u.err == nil {
			u.err = u.bits.Err()
		}
	}
	if u.at() >= size {
		return nil
	}
	return u.err
}

func (u *unpack3) readTables() error {
	u.bits.Align(8)
	u.ready = false
	if u.ppm = u.bits.Peek(1) == 1; u.ppm {
		return u.startPPM() // the next file has a header of its own again
	}
	u.bits.Drop(1)
	u.prevLow, u.repLow = 0, 0
	if u.bits.Take(1) == 0 {
		clear(u.lens[:])
	}
	if err := codeLengths(u.bits, &u.pre); err != nil {
		return err
	}
	old := u.lens
	if err := runs(u.bits, &u.pre, u.lens[:], old[:]); err != nil {
		return err
	}
	at := 0
	for _, t := range []struct {
		p *codec.Prefix
		n int
	}{{&u.lits, 299}, {&u.dists, 60}, {&u.low, 17}, {&u.reps, 28}} {
		if err := t.p.Make(u.lens[at : at+t.n]); err != nil {
			return err
		}
		at += t.n
	}
	u.ready = true
	return nil
}

func (u *unpack3) startPPM() error {
	flags := u.bits.Take(8)
	reset := flags&0x20 != 0
	mem := uint32(0)
	if reset {
		mem = (u.bits.Take(8) + 1) << 20
	} else if u.model == nil {
		return errData
	}
	if flags&0x40 != 0 {
		u.escape = byte(u.bits.Take(8))
	}
	if err := u.bits.Err(); err != nil {
		return err
	}
	if reset {
		order := int(flags&31) + 1
		if order > 16 {
			order = 16 + (order-16)*3
		}
		if u.model == nil {
			u.model = &ppmd.Model{}
		}
		if mem > maxModel {
			return unpack.Fail(showcause.LimitMemory)
		}
		if !u.work(int64(mem)/2 + 1<<14) {
			return unpack.Fail(showcause.LimitWork)
		}
		if err := u.model.Start(order, mem); err != nil {
			return err
		}
	}
	return u.model.RangeRAR(u.bits)
}

// maxModel is the most memory, in bytes, of a PPMd model here.
const maxModel = 64 << 20

// char decodes one byte in PPMd.
func (u *unpack3) char() (byte, error) {
	c, err := u.model.Symbol()
	if err == io.EOF {
		err = errData
	}
	return c, err
}

func (u *unpack3) symbolPPM() error {
	c, err := u.char()
	if err != nil {
		return err
	}
	if c != u.escape {
		u.put(c)
		return nil
	}
	if c, err = u.char(); err != nil {
		return err
	}
	var b [4]byte
	switch c {
	case 0:
		return u.readTables()
	case 2:
		return errEnd
	case 3:
		return u.readProgram(u.char)
	case 4:
		for i := range b {
			if b[i], err = u.char(); err != nil {
				return err
			}
		}
		return u.copy(int(b[3])+32, int64(b[0])<<16+int64(b[1])<<8+int64(b[2])+2)
	case 5:
		n, err := u.char()
		if err != nil {
			return err
		}
		return u.copy(int(n)+4, 1)
	}
	u.put(u.escape)
	return nil
}

// rarLength returns the base of a length's slot and its number of extra bits.
func rarLength(slot int) (int, uint) {
	if slot < 8 {
		return slot, 0
	}
	n := uint(slot/4 - 1)
	return (4 | slot&3) << n, n
}

// rarDistance does that for distances: from slot 34 on all have 16 bits, from 48 on 18.
func rarDistance(slot int) (int64, uint) {
	switch {
	case slot < 4:
		return int64(slot), 0
	case slot < 34:
		n := uint(slot/2 - 1)
		return int64(2|slot&1) << n, n
	case slot < 48:
		return 1<<17 + int64(slot-34)<<16, 16
	}
	return 1<<17 + 14<<16 + int64(slot-48)<<18, 18
}

func (u *unpack3) symbol() error {
	s, err := u.bits.Symbol(&u.lits)
	if err != nil {
		return err
	}
	switch {
	case s < 256:
		u.put(byte(s))
		return nil
	case s >= 271:
		return u.match(s - 271)
	case s == 256:
		return u.endOfBlock()
	case s == 257:
		return u.readProgram(u.bits.ReadByte)
	case s == 258:
		if u.length > 0 {
			return u.copy(u.length, u.old[0])
		}
		return nil
	case s < 263:
		k := s - 259
		d := u.old[k]
		copy(u.old[1:k+1], u.old[:k])
		u.old[0] = d
		slot, err := u.bits.Symbol(&u.reps)
		if err != nil {
			return err
		}
		n, extra := rarLength(slot)
		u.length = n + 2 + int(u.bits.Take(extra))
		return u.copy(u.length, d)
	}
	base := [8]int64{0, 4, 8, 16, 32, 64, 128, 192}[s-263]
	extra := [8]uint{2, 2, 3, 4, 5, 6, 6, 6}[s-263]
	d := base + 1 + int64(u.bits.Take(extra))
	u.remember(d, 2)
	return u.copy(2, d)
}

func (u *unpack3) remember(d int64, n int) {
	copy(u.old[1:], u.old[:3])
	u.old[0], u.length = d, n
}

func (u *unpack3) match(slot int) error {
	n, extra := rarLength(slot)
	n += 3 + int(u.bits.Take(extra))
	k, err := u.bits.Symbol(&u.dists)
	if err != nil {
		return err
	}
	d, extra := rarDistance(k)
	d++
	if k > 9 {
		if extra > 4 {
			d += int64(u.bits.Take(extra-4)) << 4
		}
		if u.repLow > 0 {
			u.repLow--
		} else {
			low, err := u.bits.Symbol(&u.low)
			if err != nil {
				return err
			}
			if low == 16 {
				u.repLow = 15
			} else {
				u.prevLow = low
			}
		}
		d += int64(u.prevLow)
	} else {
		d += int64(u.bits.Take(extra))
	}
	if d >= 0x2000 {
		n++
		if d >= 0x40000 {
			n++
		}
	}
	u.remember(d, n)
	return u.copy(n, d)
}

// endOfBlock reads what follows a block: new tables, or the end of the file and
// whether the next has new tables.
func (u *unpack3) endOfBlock() error {
	if u.bits.Take(1) == 1 {
		return u.readTables()
	}
	u.ready = u.bits.Take(1) == 0
	return errEnd
}

// finish reads, behind the last byte of a file in a solid archive, the mark of
// its end, which tells whether the next file has tables of its own.
func (u *unpack3) finish() {
	if u.err != nil {
		return
	}
	if u.ppm {
		if c, err := u.char(); err == nil && c == u.escape {
			u.char()
		}
		return
	}
	for range 8 {
		switch s, err := u.bits.Symbol(&u.lits); {
		case err == nil && s == 256:
			if u.endOfBlock() != nil || u.ppm {
				return
			}
		case err == nil && s == 257:
			if u.readProgram(u.bits.ReadByte) != nil {
				return
			}
		default:
			return
		}
	}
}

// readProgram reads a filter: how long its description is, and that.
func (u *unpack3) readProgram(next func() (byte, error)) error {
	first, err := next()
	if err != nil {
		return err
	}
	n := int(first&7) + 1
	if n >= 7 {
		b, err := next()
		if err != nil {
			return err
		}
		if n == 7 {
			n = int(b) + 7
		} else {
			c, err := next()
			if err != nil {
				return err
			}
			n = int(b)<<8 | int(c)
		}
	}
	code := make([]byte, n)
	for i := range code {
		if code[i], err = next(); err != nil {
			return err
		}
	}
	if !u.work(int64(n) + 64) {
		return unpack.Fail(showcause.LimitWork)
	}
	return u.addProgram(first, code)
}

// byteReader reads bytes from memory.
type byteReader struct{ b []byte }

// ReadByte implements io.ByteReader.
func (r *byteReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

// vmNumber reads a number of 4, 8, 16 or 32 bits, or a small negative one.
func vmNumber(b *codec.Bits) uint32 {
	switch b.Take(2) {
	case 0:
		return b.Take(4)
	case 1:
		if b.Peek(4) == 0 {
			b.Drop(4)
			return 0xffffff00 | b.Take(8)
		}
		return b.Take(8)
	case 2:
		return b.Take(16)
	}
	return b.Take(32)
}

func (u *unpack3) addProgram(first byte, code []byte) error {
	b := codec.NewBits(&byteReader{code})
	at := u.lastProg
	if first&0x80 != 0 {
		if at = int(vmNumber(b)); at == 0 {
			u.programs = nil
		} else {
			at--
		}
	}
	if at > len(u.programs) || at > 1024 {
		return errData
	}
	u.lastProg = at
	fresh := at == len(u.programs)
	if fresh {
		u.programs = append(u.programs, program{kind: -1})
	} else {
		u.programs[at].runs++
	}
	p := &u.programs[at]
	f := filter{from: int64(vmNumber(b))}
	if first&0x40 != 0 {
		f.from += 258
	}
	f.from += u.at()
	if first&0x20 != 0 {
		p.size = int64(vmNumber(b))
	}
	f.size = p.size
	regs := [7]uint32{3: 0x3c000, 4: uint32(f.size), 5: p.runs}
	if first&0x10 != 0 {
		mask := b.Take(7)
		for i := range regs {
			if mask>>i&1 != 0 {
				regs[i] = vmNumber(b)
			}
		}
	}
	if fresh {
		n := vmNumber(b)
		if n == 0 || n >= 1<<16 {
			return errData
		}
		text := make([]byte, n)
		for i := range text {
			text[i] = byte(b.Take(8))
		}
		p.kind = kindOf(text)
	}
	if b.Err() != nil {
		return errData
	}
	f.size = int64(regs[4])
	kind := p.kind
	f.apply = func(data []byte, at int64) []byte { return runProgram(kind, regs, data, at) }
	return u.add(f)
}

// The programs of RAR, by their length and CRC-32.
const (
	progE8 = iota
	progE8E9
	progItanium
	progDelta
	progRGB
	progAudio
)

func kindOf(text []byte) int {
	sum := crc32.ChecksumIEEE(text)
	for i, k := range [...]struct {
		n   int
		sum uint32
	}{{53, 0xad576887}, {57, 0x3cd7e57e}, {120, 0x3769893f}, {29, 0x0e06077d}, {149, 0x1c2c5dc8}, {216, 0xbc85e701}} {
		if len(text) == k.n && sum == k.sum {
			return i
		}
	}
	return -1
}

// runProgram applies a program to a block that stands at a place of the file;
// nil if it is not known.
func runProgram(kind int, regs [7]uint32, b []byte, at int64) []byte {
	switch kind {
	case progE8, progE8E9:
		return e8(b, at, kind == progE8E9, false)
	case progItanium:
		return itanium(b, at)
	case progDelta, progAudio:
		n := int(regs[0])
		if n == 0 || n > 1024 {
			return nil
		}
		if kind == progDelta {
			return delta(b, n)
		}
		return audio(b, n)
	case progRGB:
		return rgb(b, int(int32(regs[0]))-3, int(int32(regs[1])))
	}
	return nil
}

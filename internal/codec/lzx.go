package codec

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrLZX is the error for a stream that is not what it should be.
var ErrLZX = errors.New("lzx: invalid data")

// lzxFrame is the size in bytes of a frame: it begins at a 16-bit word, and no
// match goes over its end.
const lzxFrame = 32 << 10

// LZX decodes LZX as cabinets and CHM files have it (Microsoft, [MS-PATCH] and
// "LZX Data Compression Format"; libmspack, lzxd.c, documents what encoders do
// beyond these).
//
//	stream   1 bit, 32 bits if it is set: the size that calls are translated for;
//	         then blocks, without regard to frames
//	block    type (3 bits), size (24 bits), trees, symbols
//	         1 verbatim, 2 aligned offsets, 3 uncompressed
type LZX struct {
	b     Bits
	src   io.ByteReader
	bits  uint
	size  int64 // of the output
	reset int64 // bytes of output after which all begins anew, 0 for never

	win   []byte // grows with what comes out
	pos   int
	n     int64 // bytes decoded
	begun bool
	r     [3]uint32

	kind     int
	left     int64 // of the block
	odd      bool  // an uncompressed block of odd size is followed by a byte
	calls    int64 // size for the translation, 0 for none
	started  bool
	mainLens [256 + 8*50]uint8
	lenLens  [249]uint8
	main     Prefix
	lens     Prefix
	aligned  Prefix
	pre      Prefix

	out  [lzxFrame]byte
	sent int
	have int
	err  error
}

// NewLZX reads a stream of the given output size with a window of 1<<bits bytes
// (15 to 21). If reset is not 0, trees and window begin anew each reset bytes of
// output, a multiple of the frame size.
func NewLZX(r io.ByteReader, bits int, size, reset int64) (*LZX, error) {
	if bits < 15 || bits > 21 || reset < 0 || reset%lzxFrame != 0 {
		return nil, ErrLZX
	}
	l := &LZX{src: r, bits: uint(bits), size: size, reset: reset}
	l.b = Bits{r: r, words: true}
	l.again()
	return l, nil
}

// again begins anew.
func (l *LZX) again() {
	l.r = [3]uint32{1, 1, 1}
	l.left, l.begun, l.odd = 0, false, false
	clear(l.mainLens[:])
	clear(l.lenLens[:])
}

func (l *LZX) slots() int {
	switch l.bits {
	case 20:
		return 42
	case 21:
		return 50
	}
	return 2 * int(l.bits)
}

// Read implements io.Reader.
func (l *LZX) Read(p []byte) (int, error) {
	for l.sent == l.have {
		if l.err != nil {
			return 0, l.err
		}
		if l.n >= l.size {
			l.err = io.EOF
			continue
		}
		l.frame()
	}
	n := copy(p, l.out[l.sent:l.have])
	l.sent += n
	return n, nil
}

// frame decodes the next frame. What it has when it fails comes out too.
func (l *LZX) frame() {
	if l.reset > 0 && l.n > 0 && l.n%l.reset == 0 {
		l.again()
	}
	want := int(min(lzxFrame, l.size-l.n))
	start := l.pos
	l.grow(start + want)
	l.err = l.decode(want)
	got := l.pos - start
	if l.err == nil && got != want {
		l.err = ErrLZX
	}
	got = min(got, want)
	copy(l.out[:], l.win[start:start+got])
	if l.err == nil && l.started && l.calls > 0 && l.n < lzxFrame<<15 && got > 10 {
		l.translate(l.out[:got])
	}
	l.n += int64(got)
	l.sent, l.have = 0, got
	if l.odd && l.left == 0 && l.err == nil {
		l.pad()
	}
	if l.kind != 3 || l.left == 0 { // bytes of an uncompressed block go on in the next frame
		l.b.Align(16)
	}
	if l.pos == 1<<l.bits {
		l.pos = 0
	}
}

// grow makes room in the window up to n.
func (l *LZX) grow(n int) {
	if n <= len(l.win) {
		return
	}
	w := make([]byte, min(max(2*len(l.win), n), 1<<l.bits))
	copy(w, l.win)
	l.win = w
}

// translate turns absolute targets of calls back into relative ones.
func (l *LZX) translate(b []byte) {
	for i := 0; i < len(b)-10; i++ {
		if b[i] != 0xe8 {
			continue
		}
		at := l.n + int64(i)
		if v := int64(int32(binary.LittleEndian.Uint32(b[i+1:]))); v >= -at && v < l.calls {
			if v -= at; v < -at {
				v += at + l.calls
			}
			binary.LittleEndian.PutUint32(b[i+1:], uint32(v))
		}
		i += 4
	}
}

func (l *LZX) decode(want int) error {
	if !l.begun {
		l.begun = true
		l.calls = 0
		if l.b.Take(1) != 0 {
			l.calls = int64(l.b.Take(16)) << 16
			l.calls |= int64(l.b.Take(16))
		}
	}
	end := l.pos + want
	for l.pos < end {
		if l.left == 0 {
			if err := l.block(); err != nil {
				return err
			}
		}
		n := int(min(int64(end-l.pos), l.left))
		var err error
		before := l.pos
		if l.kind == 3 {
			err = l.copy(n)
		} else {
			err = l.symbols(l.pos+n, end)
		}
		if l.left -= int64(l.pos - before); l.left < 0 && err == nil {
			err = ErrLZX
		}
		if err == nil {
			err = l.b.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// block reads a block's header and trees.
func (l *LZX) block() error {
	if l.odd {
		l.pad()
	}
	l.kind = int(l.b.Take(3))
	l.left = int64(l.b.Take(16))<<8 | int64(l.b.Take(8))
	if err := l.b.Err(); err != nil {
		return err
	}
	if l.left == 0 {
		return ErrLZX
	}
	switch l.kind {
	case 1, 2:
		return l.trees()
	case 3:
		return l.plain()
	}
	return ErrLZX
}

// plain begins an uncompressed block. Its bytes stand behind the word that is
// begun, or behind a whole one of padding.
func (l *LZX) plain() error {
	l.started = true
	l.b.Peek(1)
	if l.b.n%16 == 0 {
		l.b.Drop(16)
	}
	l.b.Align(16)
	for i := range l.r {
		lo := l.b.Take(16)
		l.r[i] = l.b.Take(16)<<16 | lo
	}
	l.odd = l.left%2 == 1
	return l.b.Err()
}

// pad passes over the byte behind an uncompressed block of odd size. Words are
// whole in Bits, so that it has gone with the last byte.
func (l *LZX) pad() {
	l.odd = false
	l.b.Align(16)
}

// copy copies n bytes of an uncompressed block.
func (l *LZX) copy(n int) error {
	for range n {
		// The lower byte of a word stands first, and comes second of Bits.
		if l.b.n%16 == 0 {
			w := uint64(l.b.Peek(16))
			l.b.acc ^= (w ^ (w>>8 | w<<8&0xff00)) << (l.b.n - 16)
		}
		l.win[l.pos] = byte(l.b.Take(8))
		l.pos++
	}
	return l.b.Err()
}

func (l *LZX) trees() error {
	if l.kind == 2 {
		var lens [8]uint8
		for i := range lens {
			lens[i] = uint8(l.b.Take(3))
		}
		if err := l.aligned.Make(lens[:]); err != nil {
			return err
		}
	}
	if err := l.lengths(l.mainLens[:256]); err != nil {
		return err
	}
	if err := l.lengths(l.mainLens[256 : 256+8*l.slots()]); err != nil {
		return err
	}
	if err := l.main.Make(l.mainLens[:256+8*l.slots()]); err != nil {
		return err
	}
	l.started = l.started || l.mainLens[0xe8] != 0
	if err := l.lengths(l.lenLens[:]); err != nil {
		return err
	}
	return l.lens.Make(l.lenLens[:])
}

// lengths reads code lengths, each coded as what it is less than that before.
func (l *LZX) lengths(p []uint8) error {
	var lens [20]uint8
	for i := range lens {
		lens[i] = uint8(l.b.Take(4))
	}
	if err := l.pre.Make(lens[:]); err != nil {
		return err
	}
	for i := 0; i < len(p); {
		z, err := l.b.Symbol(&l.pre)
		if err != nil {
			return err
		}
		run, v := 1, uint8(0)
		switch z {
		case 17:
			run = int(l.b.Take(4)) + 4
		case 18:
			run = int(l.b.Take(5)) + 20
		case 19:
			run = int(l.b.Take(1)) + 4
			if z, err = l.b.Symbol(&l.pre); err != nil {
				return err
			}
			if z > 16 {
				return ErrLZX
			}
			fallthrough
		default:
			v = uint8((int(p[i]) - z + 17) % 17)
		}
		for ; run > 0 && i < len(p); run-- {
			p[i] = v
			i++
		}
	}
	return l.b.Err()
}

// lzxSlot returns the first offset of a slot and its number of extra bits.
func lzxSlot(slot int) (base uint32, extra uint) {
	if slot < 4 {
		return uint32(slot), 0
	}
	if slot >= 36 {
		return uint32(slot-34) << 17, 17
	}
	extra = uint(slot/2 - 1)
	return uint32(2|slot&1) << extra, extra
}

// symbols decodes up to the place stop in the window. A match may go beyond, up to end.
func (l *LZX) symbols(stop, end int) error {
	for l.pos < stop {
		s, err := l.b.Symbol(&l.main)
		if err != nil {
			return err
		}
		if s < 256 {
			l.win[l.pos] = byte(s)
			l.pos++
			continue
		}
		n := s & 7
		if n == 7 {
			more, err := l.b.Symbol(&l.lens)
			if err != nil {
				return err
			}
			n += more
		}
		n += 2
		off, err := l.offset((s - 256) >> 3)
		if err != nil {
			return err
		}
		if n > end-l.pos {
			return ErrLZX
		}
		if err := l.match(int(off), n); err != nil {
			return err
		}
	}
	return nil
}

// offset reads how far back a match begins.
func (l *LZX) offset(slot int) (uint32, error) {
	if slot < 3 {
		l.r[0], l.r[slot] = l.r[slot], l.r[0]
		return l.r[0], nil
	}
	base, extra := lzxSlot(slot)
	off := base - 2
	if l.kind == 2 && extra >= 3 {
		off += l.b.Take(extra-3) << 3
		s, err := l.b.Symbol(&l.aligned)
		if err != nil {
			return 0, err
		}
		off += uint32(s)
	} else {
		off += l.b.Take(extra)
	}
	l.r[2], l.r[1], l.r[0] = l.r[1], l.r[0], off
	return off, nil
}

// match copies n bytes from off bytes back. What stands before the start of the
// stream is an error.
func (l *LZX) match(off, n int) error {
	size := 1 << l.bits
	if off <= 0 || off > size || off > l.pos && int64(off) > l.n+int64(l.pos%lzxFrame) {
		return ErrLZX
	}
	from := l.pos - off
	if from < 0 {
		if from += size; from >= len(l.win) {
			return ErrLZX
		}
	}
	for range n {
		l.win[l.pos] = l.win[from]
		l.pos++
		if from++; from == size {
			from = 0
		}
	}
	return nil
}

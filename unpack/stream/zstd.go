package stream

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// zstdWindow is the largest window in bytes that is held.
const zstdWindow = 128 << 20

// zstdBlock is the most bytes that one block gives (RFC 8878, section 3.1.1.2.4).
const zstdBlock = 128 << 10

// Zstd reads Zstandard files (RFC 8878). Frames that follow each other are one
// child, as zstd joins them; what a skippable frame holds is one too, "zstd.skippable".
func Zstd() unpack.Format {
	return unpack.Format{Name: "zstd", Match: zstdMatch, Walk: zstdWalk}
}

// skippable tells the magic of a skippable frame (section 3.1.2).
func skippable(b []byte) bool {
	return len(b) >= 4 && b[0]&0xf0 == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18
}

// skipped is what stands in skippable frames.
type skipped []unpack.Span

const (
	leastSkipped = 24      // bytes; below it nothing hides, and pzstd writes such a frame before each of its own
	mostSkipped  = 1 << 17 // frames, more than may be children
)

// pass notes the n bytes at off.
func (s *skipped) pass(off, n int64) {
	if n >= leastSkipped && len(*s) < mostSkipped {
		*s = append(*s, unpack.Span{From: off, To: off + n})
	}
}

// give gives them as children, and tells whether to go on.
func (s skipped) give(src showcause.Source, out *unpack.Out, op string) bool {
	for _, f := range s {
		if !out.Section(src, op, "", f.From, f.To-f.From) {
			return false
		}
	}
	return true
}

// frames tells whether one of the magics stands in src, at its start or behind
// skippable frames. None at all behind them is a match too: nothing is inside.
func frames(p *unpack.Probe, magics ...[]byte) bool {
	b := p.Head
	off := int64(0)
	for range 64 {
		for _, m := range magics {
			if bytes.HasPrefix(b, m) {
				return true
			}
		}
		if !skippable(b) || len(b) < 8 {
			return false
		}
		off = bound.Add(off, 8+int64(binary.LittleEndian.Uint32(b[4:])))
		b, _ = bound.ReadAt(p.Source, off, 8, 8)
	}
	return true
}

func zstdMatch(p *unpack.Probe) bool { return frames(p, zstdMagic) }

func zstdWalk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "zstd.stream",
		magic: zstdMagic,
		open:  func(off int64) run { return &zstdRun{src: src, out: out, at: off} },
		after: func(r run, _ int64) bool { return r.(*zstdRun).skipped.give(src, out, "zstd.skippable") },
	})
}

// zstdRun reads frames up to the first that does not begin where the one before ends.
type zstdRun struct {
	damage // frames
	skipped

	src showcause.Source
	out *unpack.Out
	dec *zstd.Decoder

	held  int64 // bytes of the largest window so far
	at    int64 // of the next frame
	frame bool  // dec is in a frame
	head  zstdHeader
	from  int64 // of the frame
	n     int64 // bytes that the frame gave
	sum   xxhash.Digest
	err   error
}

func (z *zstdRun) end() int64 { return z.at }

func (z *zstdRun) free() {
	if z.dec != nil {
		z.dec.Close()
		z.dec, z.held = nil, 0
	}
}

// Read implements io.Reader.
func (z *zstdRun) Read(p []byte) (int, error) {
	for z.err == nil {
		if !z.frame {
			z.err = z.next()
			continue
		}
		n, err := z.dec.Read(p)
		z.n += int64(n)
		if z.head.sum {
			z.sum.Write(p[:n])
		}
		if err == io.EOF {
			z.frame, err = false, nil
			if z.head.cut {
				err = io.ErrUnexpectedEOF
			} else if !z.fits() {
				z.note(z.from)
			}
		}
		z.err = err
		if n > 0 || len(p) == 0 {
			return n, z.err
		}
	}
	return 0, z.err
}

// fits compares the frame's content with its size and its check. The decoder
// is not told of them, since it keeps back what does not fit.
func (z *zstdRun) fits() bool {
	if z.head.size >= 0 && z.head.size != z.n {
		return false
	}
	return !z.head.sum || uint32(z.sum.Sum64()) == z.head.want
}

// next begins the frame at z.at, past skippable ones.
func (z *zstdRun) next() error {
	for {
		if !z.out.Work(2048) {
			return unpack.Fail(showcause.LimitWork)
		}
		b, _ := bound.ReadAt(z.src, z.at, 18, 18)
		if len(b) >= 8 && skippable(b) {
			n := 8 + int64(binary.LittleEndian.Uint32(b[4:]))
			if n > z.src.Size()-z.at {
				z.at = z.src.Size()
				return io.ErrUnexpectedEOF
			}
			z.pass(z.at+8, n-8)
			z.at += n
			continue
		}
		if !bytes.HasPrefix(b, zstdMagic) {
			return io.EOF
		}
		return z.open(b)
	}
}

func (z *zstdRun) open(b []byte) error {
	z.from, z.n = z.at, 0
	z.sum.Reset()
	var ok bool
	if z.head, ok = parseZstdHeader(b); !ok {
		if len(b) < 18 {
			z.at = z.src.Size()
		}
		return io.ErrUnexpectedEOF
	}
	end, most, err := z.extent(z.at + int64(z.head.len))
	z.at = end
	if err != nil {
		return err
	}
	if z.head.dict {
		return unpack.Fail(showcause.Unsupported + ".method.zstd-dictionary")
	}
	// The decoder allocates the window that the header names. It is told the
	// smallest that the blocks can need, and the size is checked here.
	window := min(z.head.window, max(most, 1<<10))
	if window > zstdWindow {
		return unpack.Fail(showcause.LimitSize)
	}
	if window > z.held { // the decoder makes it at once
		if !z.out.Work((window - z.held) / 4) {
			return unpack.Fail(showcause.LimitWork)
		}
		z.held = window
	}
	blocks := z.at - z.from - int64(z.head.len)
	if z.head.sum && !z.head.cut {
		c, err := bound.ReadAt(z.src, z.at-4, 4, 4)
		if err != nil {
			return err
		}
		z.head.want = binary.LittleEndian.Uint32(c)
		blocks -= 4
	}
	body := bound.Reader(z.src, z.from+int64(z.head.len), blocks)
	r := io.MultiReader(bytes.NewReader(zstdPlain(window)), body)
	if z.dec == nil {
		z.dec, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(2*zstdWindow))
	} else {
		err = z.dec.Reset(r)
	}
	z.frame = err == nil
	return bound.CutShort(err)
}

// extent goes over the blocks of a frame that begin at off. It returns the
// offset behind the frame and a bound on the bytes that they give. The work is
// one step for 16 blocks.
func (z *zstdRun) extent(off int64) (end, most int64, err error) {
	size := z.src.Size()
	for i := 0; ; i++ {
		if i%16 == 15 && !z.out.Work(1) {
			return off, 0, unpack.Fail(showcause.LimitWork)
		}
		var h [3]byte
		if n, _ := z.src.ReadAt(h[:], off); off+3 > size || n < 3 {
			z.head.cut = true
			return size, most, nil
		}
		v := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16
		n := v >> 3
		switch v >> 1 & 3 {
		case 0:
			most += n
		case 1:
			most += n
			n = 1
		case 2:
			most += zstdBlock
		default:
			z.head.cut = true // the decoder says so when it comes there
			return off + 3, most, nil
		}
		off += 3 + n
		if off > size {
			z.head.cut = true
			return size, most, nil
		}
		if v&1 != 0 {
			break
		}
	}
	if z.head.sum {
		off += 4
	}
	if off > size {
		z.head.cut = true
		off = size
	}
	return off, most, nil
}

// zstdHeader is a frame's header (section 3.1.1.1).
type zstdHeader struct {
	len    int
	window int64
	size   int64 // of the content, -1 if not said
	dict   bool
	sum    bool
	want   uint32 // low half of the content's XXH64
	cut    bool   // the frame's end is not there
}

func parseZstdHeader(b []byte) (h zstdHeader, ok bool) {
	if len(b) < 6 {
		return h, false
	}
	d := b[4]
	single := d&0x20 != 0
	h.sum = d&4 != 0
	h.len, h.size = 5, -1
	if !single {
		exp, mant := b[5]>>3, int64(b[5]&7)
		h.window = 1 << (10 + exp)
		h.window += h.window / 8 * mant
		h.len++
	}
	idLen := []int{0, 1, 2, 4}[d&3]
	sizeLen := []int{0, 2, 4, 8}[d>>6]
	if single && d>>6 == 0 {
		sizeLen = 1
	}
	if len(b) < h.len+idLen+sizeLen {
		return h, false
	}
	for _, c := range b[h.len : h.len+idLen] {
		h.dict = h.dict || c != 0
	}
	h.len += idLen
	if sizeLen > 0 {
		var v [8]byte
		copy(v[:], b[h.len:h.len+sizeLen])
		u := binary.LittleEndian.Uint64(v[:])
		if sizeLen == 2 {
			u += 256
		}
		h.size = int64(min(u, 1<<62))
		h.len += sizeLen
	}
	if single {
		h.window = h.size
	}
	return h, true
}

// zstdPlain returns a frame's header that says nothing but a window of at least
// n bytes.
func zstdPlain(n int64) []byte {
	w := byte(0)
	for int64(1)<<(10+w) < n {
		w++
	}
	return append(bytes.Clone(zstdMagic), 0, w<<3)
}

package stream

import (
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/brotli"
	"github.com/showcause/showcause/unpack"
)

const (
	brotliPiece = 4 << 10  // bytes that the decoder is fed at a time
	brotliTrial = 64 << 10 // bytes that are decoded to tell whether a layer is a stream
	brotliMost  = 1 << 20  // bytes that come out of them at most
	// brotliSure is how many bytes without a name must be sound before what breaks is
	// called a broken stream: of random data of 1 KiB, one in 40,000 would be.
	brotliSure = 4 << 10
)

// Brotli reads a Brotli stream (RFC 7932). The format has no magic: a layer that
// is nothing else is decoded, and is a stream if that ends where the layer does. One that
// breaks, or ends before, is one too if its name says so, ".br", or if enough of it
// is sound: more than 4 KiB that become more. Anything else is data.
func Brotli() unpack.Format {
	return unpack.Format{
		Name: "brotli",
		Match: func(p *unpack.Probe) bool {
			if p.Type != filetype.Unknown {
				return false
			}
			_, ok := brotliHead(p.Head)
			return ok
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			brotliWalk(src, out, unpack.Named(out.Name()) == unpack.HintBrotli)
		},
	}
}

// brotliHead looks at the first bits of a stream (section 9.1, 9.2), from the
// lowest: the window, the length of the first block, and the first of its codes, as
// far as that can be told at once. An empty stream is none, nor is one with a window of
// more than 16 MiB, which is another format. It returns the work of the decoder's
// memory, in steps: what the first block takes, and some for a window that later ones need.
func brotliHead(b []byte) (cost int64, ok bool) {
	r := brotliBits{b: b}
	window := int64(1) << brotliWindow(&r)
	cost = window / 64
	last := r.take(1) == 1
	if last && r.take(1) == 1 {
		return cost, false
	}
	n := r.take(2)
	if n == 3 { // a block of metadata
		return cost, !last && r.take(1) == 0 && !r.short
	}
	digits := n + 4
	size := r.take(4 * digits)
	if n > 0 && size>>(4*digits-4) == 0 {
		return cost, false // it has as few digits as it needs
	}
	cost += min(window, 2*int64(size)) / 8
	if !last && r.take(1) == 1 { // as it is, from the next byte on
		return cost, r.take(-r.at&7) == 0 && !r.short
	}
	return cost, window > 1 && brotliCodes(&r) && !r.short
}

// brotliWindow returns the base-2 logarithm of the window, 0 if it is not
// of this format.
func brotliWindow(r *brotliBits) int {
	if r.take(1) == 0 {
		return 16
	}
	if n := r.take(3); n != 0 {
		return 17 + n
	}
	switch n := r.take(3); n {
	case 0:
		return 17
	case 1:
		return 0
	default:
		return 8 + n
	}
}

// brotliCodes looks at a block's header up to the first code, of literals. Where
// something comes before that is not looked through, it may be one.
func brotliCodes(r *brotliBits) bool {
	if r.take(3) != 0 || r.take(8) < 0 || r.take(2) != 0 {
		return !r.short // several types of blocks, or trees
	}
	skip := r.take(2)
	if skip == 1 {
		return true // a code of a few symbols
	}
	// A code for the lengths of codes: 18 lengths of at most 5, until they fill it.
	space, codes := 32, 0
	for i := skip; i < 18 && space > 0; i++ {
		var v int
		switch r.take(2) {
		case 0:
			v = 0
		case 1:
			v = 4
		case 2:
			v = 3
		case 3:
			if r.take(1) == 0 {
				v = 2
			} else if r.take(1) == 0 {
				v = 1
			} else {
				v = 5
			}
		}
		if v > 0 {
			space -= 32 >> v
			codes++
		}
	}
	return codes == 1 || space == 0
}

// brotliBits reads bits from the lowest on.
type brotliBits struct {
	b     []byte
	at    int
	short bool
}

func (r *brotliBits) take(n int) (v int) {
	for i := range n {
		if r.at/8 >= len(r.b) {
			r.short = true
			return 0
		}
		v |= int(r.b[r.at/8]>>(r.at%8)&1) << i
		r.at++
	}
	return v
}

func brotliWalk(src showcause.Source, out *unpack.Out, named bool) {
	if !out.Work(firstRun) {
		return
	}
	cost, _ := brotliHead(bound.Head(src, 64))
	t := &brotliRun{src: src, out: out, most: brotliTrial, cost: cost}
	n, err := io.Copy(io.Discard, io.LimitReader(t, brotliMost))
	size := src.Size()
	if errors.Is(err, io.ErrUnexpectedEOF) && t.at < size && n <= t.at && !named {
		if n == 0 {
			return // data that begins like a block of metadata, which may be 16 MiB long
		}
		// Nothing is compressed so far. It takes the end to tell.
		t = &brotliRun{src: src, out: out, most: size, cost: cost}
		if n, err = io.Copy(io.Discard, t); err != nil && !brotliLimit(err) || t.excess && n <= t.at {
			return
		}
	}
	switch {
	case brotliLimit(err):
		out.Work(0) // has said so
		return
	case err == nil: // the end, or more than is tried
	case errors.Is(err, io.ErrUnexpectedEOF):
		if !named && (t.at < brotliSure || n <= t.at) {
			return
		}
	case !named && (t.at-brotliPiece < brotliSure || n <= t.at), n == 0:
		return
	}
	open := func() *brotliRun { return &brotliRun{src: src, out: out, most: size, cost: cost} }
	run, ok := give(out, unpack.Child{Op: "brotli.stream", Size: -1}, open(), open, 2)
	if ok && run.excess {
		out.Gap(showcause.Corrupt, run.last, size-run.last)
	}
}

// OpenBrotli opens a layer. after tells at the end where what is behind the stream begins, if anything is.
func OpenBrotli(src showcause.Source, out *unpack.Out) (r io.ReadCloser, after func() (off int64, some bool)) {
	cost, _ := brotliHead(bound.Head(src, 64))
	b := &brotliRun{src: src, out: out, most: src.Size(), cost: cost}
	return &ending{r: b}, func() (int64, bool) { return b.last, b.excess }
}

// brotliLimit tells whether reading ended for want of work.
func brotliLimit(err error) bool {
	var e *unpack.Error
	return errors.As(err, &e) && e.Code == showcause.LimitWork
}

// brotliRun decodes the first most bytes of a layer. The library keeps as much as the stream
// gave, 16 MiB at most, and tables of 3 MB.
type brotliRun struct {
	src  showcause.Source
	out  *unpack.Out
	most int64
	// cost is charged when something comes out: the memory is taken then.
	cost int64

	r      *brotli.Reader
	at     int64 // of the next byte that the decoder is given
	last   int64 // of the last piece of them
	n      int64 // bytes that came out
	paid   int64 // bytes of the output that input was charged against
	excess bool  // something is behind the end
	err    error
}

func (b *brotliRun) free() { b.r = nil }

// Read implements io.Reader.
func (b *brotliRun) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.r == nil {
		b.r = brotli.NewReader(brotliFeed{b})
	}
	n, err := b.r.Read(p)
	if b.n == 0 && n > 0 && !b.out.Work(b.cost) {
		b.err = unpack.Fail(showcause.LimitWork)
		return 0, b.err
	}
	b.n += int64(n)
	if brotli.Excess(err) && b.most == b.src.Size() {
		b.excess, err = true, io.EOF
	}
	b.err = err
	return n, err
}

// brotliFeed is what the decoder reads.
type brotliFeed struct{ b *brotliRun }

// Read implements io.Reader. Input that gives output is cheap; the rest builds tables, a
// thousand entries for some bits.
func (f brotliFeed) Read(p []byte) (int, error) {
	b := f.b
	left := min(b.most, b.src.Size()) - b.at
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := b.src.ReadAt(p[:min(int64(len(p)), left, brotliPiece)], b.at)
	if n == 0 {
		return 0, bound.CutShort(err)
	}
	if !b.out.Work(2*int64(n) + 128*max(int64(n)-(b.n-b.paid), 0)) {
		return 0, unpack.Fail(showcause.LimitWork)
	}
	b.paid = b.n
	b.last, b.at = b.at, b.at+int64(n)
	return n, nil
}

package stream

import (
	"bytes"
	"errors"
	"io"

	"github.com/andybalholm/brotli"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
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
			return p.Type == filetype.Unknown && brotliHead(p.Head) && brotliBegins(p)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			brotliWalk(src, out, unpack.Named(out.Name()) == unpack.HintBrotli)
		},
	}
}

// brotliHead looks at the first bits of a stream (section 9.1, 9.2), from the
// lowest: the window, and the length of the first block. An empty stream is none,
// nor is one with a window of more than 16 MiB, which is another format.
func brotliHead(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	take := func(n int) uint32 {
		x := v & (1<<n - 1)
		v >>= n
		return x
	}
	if take(1) == 1 && take(3) == 0 && take(3) == 1 {
		return false
	}
	if take(1) == 1 && take(1) == 1 {
		return false
	}
	if n := take(2); n == 3 && take(1) == 1 {
		return false // the bit is reserved
	}
	return true
}

// brotliBegins decodes a little. A layer that ends before the stream does is no
// concern of it.
func brotliBegins(p *unpack.Probe) bool {
	head := p.Head[:min(len(p.Head), brotliPiece)]
	r := brotli.NewReader(bytes.NewReader(head))
	_, err := io.Copy(io.Discard, io.LimitReader(r, brotliMost))
	return err == nil || errors.Is(err, io.ErrUnexpectedEOF) || brotliExcess(err) && (len(head) == brotliPiece || unpack.Named(p.Name) == unpack.HintBrotli)
}

// brotliExcess tells that a stream ended, and that something is behind it. The
// library has no name for that error; its others are of a type of their own.
func brotliExcess(err error) bool {
	return err != nil && err.Error() == "brotli: excessive input"
}

func brotliWalk(src showcause.Source, out *unpack.Out, named bool) {
	if !out.Work(firstRun) {
		return
	}
	t := &brotliRun{src: src, out: out, most: brotliTrial}
	n, err := io.Copy(io.Discard, io.LimitReader(t, brotliMost))
	size := src.Size()
	if errors.Is(err, io.ErrUnexpectedEOF) && t.at < size && n <= t.at && !named {
		if n == 0 {
			return // data that begins like a block of metadata, which may be 16 MiB long
		}
		// Nothing is compressed so far. It takes the end to tell.
		t = &brotliRun{src: src, out: out, most: size}
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
	open := func() *brotliRun { return &brotliRun{src: src, out: out, most: size} }
	run, ok := give(out, unpack.Child{Op: "brotli.stream", Size: -1}, open(), open, 2)
	if ok && run.excess {
		out.Gap(showcause.Corrupt, run.last, size-run.last)
	}
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
	b.n += int64(n)
	if brotliExcess(err) && b.most == b.src.Size() {
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

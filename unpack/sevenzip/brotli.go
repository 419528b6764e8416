package sevenzip

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/brotli"
	"github.com/showcause/showcause/unpack"
)

// Brotli in 7z is one stream, or frames with a stream each, as Brotli's own format
// has none (zstdmt, lib/brotli-mt.h):
//
//	frame = 0x184d2a50, 8, size of the stream (4), "BR", size of its content in
//	        units of 64 KiB (2), stream
const (
	brotliFrame = 0x184d2a50
	brotliHead  = 16
)

// brotliReader reads either form.
type brotliReader struct {
	in   *bufio.Reader
	work func(int64) bool
	r    *brotli.Reader

	begun  bool
	frames bool
	left   int64 // bytes of the frame
	paid   int64 // bytes of the output that input was charged against
	n      int64
	err    error
}

// Read implements io.Reader.
func (b *brotliReader) Read(p []byte) (n int, err error) {
	for n == 0 && b.err == nil {
		if b.r == nil {
			if b.err = b.open(); b.err != nil {
				break
			}
		}
		n, err = b.r.Read(p)
		b.n += int64(n)
		if err == io.EOF && b.frames {
			err, b.r = nil, nil
		}
		b.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// open begins a stream; io.EOF where there is none.
func (b *brotliReader) open() error {
	h, _ := b.in.Peek(brotliHead)
	framed := len(h) >= 4 && binary.LittleEndian.Uint32(h) == brotliFrame
	switch {
	case b.begun && len(h) == 0:
		return io.EOF
	case b.begun && !framed:
		return errHeader
	}
	b.begun, b.left = true, 1<<62
	if framed {
		if len(h) < brotliHead {
			return io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint32(h[4:]) != 8 || string(h[12:14]) != "BR" {
			return errHeader
		}
		b.frames, b.left = true, int64(binary.LittleEndian.Uint32(h[8:]))
		_, _ = b.in.Discard(brotliHead)
	}
	if !b.work(1 << 15) {
		return unpack.Fail(showcause.LimitWork)
	}
	b.r = brotli.NewReader(brotliFeed{b})
	return nil
}

// brotliFeed is what the decoder reads: one frame, or all there is.
type brotliFeed struct{ b *brotliReader }

// Read implements io.Reader. Input that gives output is cheap; the rest builds tables, a
// thousand entries for some bits.
func (f brotliFeed) Read(p []byte) (int, error) {
	b := f.b
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left, 4<<10)])
	if n == 0 {
		if b.frames {
			err = bound.CutShort(err)
		}
		return 0, err
	}
	if !b.work(2*int64(n) + 128*max(int64(n)-(b.n-b.paid), 0)) {
		return 0, unpack.Fail(showcause.LimitWork)
	}
	b.paid, b.left = b.n, b.left-int64(n)
	return n, nil
}

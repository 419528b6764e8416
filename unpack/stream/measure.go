package stream

import (
	"bytes"
	"compress/bzip2"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// What Measure decodes at most of a stream, and how much makes one sound that breaks
// behind it, bytes.
const (
	measureMost  = 16 << 20
	measureSound = 4 << 10
)

// Measure reads the stream at off, of a kind that begins with a magic, and tells whether it
// is sound: it ends, and its checks fit, or some KiB of it decode. n is how many bytes
// it has, 0 where the end was not reached or nothing fits there.
func Measure(src showcause.Source, off int64, out *unpack.Out) (n int64, sound bool) {
	head, _ := bound.ReadAt(src, off, 16, 16)
	r, cost := openAt(head, src, off, out)
	if r == nil || !out.Work(3*laterRun) {
		return 0, false
	}
	defer r.free()
	var buf [16 << 10]byte
	for got := int64(0); ; {
		m, err := r.Read(buf[:])
		got += int64(m)
		if !out.Work(cost*int64(m) + 1) {
			return 0, false
		}
		switch {
		case err == io.EOF:
			// A check that does not fit is a gap of what was a stream; of a few bytes, it is none.
			return r.end() - off, !r.harmed() || got >= measureSound
		case err != nil:
			return 0, got >= measureSound
		case got >= measureMost:
			return 0, true
		}
	}
}

// openAt opens what begins with head, nil if no stream does.
func openAt(head []byte, src showcause.Source, off int64, out *unpack.Out) (r run, cost int64) {
	switch {
	case isGzip(head):
		return newGzipRun(src, off, out), 2
	case codec.Bzip2Head(head):
		in := newInput(src, off)
		out.Work(int64(head[3]-'0') * 200_000)
		return &bzip2Run{in: in, r: bzip2.NewReader(in)}, 16
	case bytes.HasPrefix(head, xzMagic):
		return &xzRun{in: newInput(src, off), out: out}, lzmaCost
	case bytes.HasPrefix(head, zstdMagic):
		out.Work(laterRun) // its decoder is large
		return &zstdRun{src: src, out: out, at: off}, 2
	case bytes.HasPrefix(head, lz4Magic):
		return &lz4Run{in: newInput(src, off), out: out}, 2
	case lzipHead(head):
		return &lzipRun{in: newInput(src, off), out: out}, lzmaCost
	case bytes.HasPrefix(head, lzopMagic):
		return &lzopRun{in: newInput(src, off), work: out.Work}, 4
	}
	return nil, 0
}

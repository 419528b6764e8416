package archive

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var pbzxMagic = []byte("pbzx\x00")

// Chunks of more bytes than pbzxMost are none: Apple's have 16 MiB.
const (
	pbzxHead = 12 // bytes of the magic and the size of chunks
	pbzxMost = 1 << 30
)

// OpenXz opens a layer as an .xz file. sound tells at its end whether that is the layer's,
// and all checks fit.
type OpenXz func(src showcause.Source, out *unpack.Out) (r io.Reader, sound func() bool)

// Pbzx reads the payloads of Apple's packages: "pbzx", the size of a chunk (8 bytes,
// big-endian), then chunks: the size that it unpacks to, its size here (8 bytes
// each), and a whole .xz file, or the bytes as they are where both sizes are the same.
// There is no specification; this is what readers of packages take. All chunks are one
// child, "pbzx.stream".
func Pbzx(xz OpenXz) unpack.Format {
	return unpack.Format{
		Name:  "pbzx",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, pbzxMagic) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			r := &pbzxReader{src: src, out: out, xz: xz, at: pbzxHead}
			if !out.Work(1<<14) || !out.Child(unpack.Child{Op: "pbzx.stream", Size: -1, Reader: r}) {
				return
			}
			for _, off := range r.bad {
				out.Gap(showcause.Corrupt, off, -1)
			}
			if r.err == io.EOF {
				out.Tail(src, r.at, "pbzx.rest")
			}
		},
	}
}

// pbzxReader reads one chunk after the other.
type pbzxReader struct {
	src   showcause.Source
	out   *unpack.Out
	xz    OpenXz
	at    int64 // of the next chunk
	from  int64 // of this one
	chunk io.Reader
	left  int64       // bytes that it should still give
	sound func() bool // asked at its end; nil where it is not compressed
	bad   []int64     // chunks that are not what they say, some
	err   error
}

// note remembers a chunk. The first few stand for all: what they hold was scanned.
func (r *pbzxReader) note(off int64) {
	if len(r.bad) < 16 {
		r.bad = append(r.bad, off)
	}
}

// Close implements io.Closer: the decoder is let go.
func (r *pbzxReader) Close() error {
	r.chunk, r.sound = nil, nil
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// Read implements io.Reader.
func (r *pbzxReader) Read(p []byte) (int, error) {
	for r.err == nil {
		if r.chunk == nil {
			r.err = r.next()
			continue
		}
		n, err := r.chunk.Read(p)
		r.left -= int64(n)
		if err == io.EOF {
			r.done()
			err = nil
		}
		r.err = err
		if n > 0 || len(p) == 0 {
			return n, r.err
		}
	}
	return 0, r.err
}

// done is what follows at the end of a chunk.
func (r *pbzxReader) done() {
	if r.left != 0 || r.sound != nil && !r.sound() {
		r.note(r.from)
	}
	r.chunk, r.sound = nil, nil
}

// next begins a chunk; io.EOF where none is.
func (r *pbzxReader) next() error {
	if !r.out.Work(4096) {
		return unpack.Fail(showcause.LimitWork)
	}
	var h [16]byte
	n, _ := r.src.ReadAt(h[:min(int64(len(h)), max(r.src.Size()-r.at, 0))], r.at)
	size, packed := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	if n < len(h) || size == 0 || size > pbzxMost || packed == 0 || packed > pbzxMost {
		switch {
		case r.from == 0:
			return io.ErrUnexpectedEOF // not even one
		case n > 0:
			r.note(r.at)
		}
		return io.EOF
	}
	r.from, r.left = r.at, int64(size)
	data := r.at + int64(len(h))
	have := min(int64(packed), r.src.Size()-data)
	r.at = data + have
	if have < int64(packed) {
		r.note(r.from)
	}
	part := bound.Section(r.src, data, have)
	if size == packed {
		r.chunk = bound.Reader(part, 0, have)
		return nil
	}
	r.chunk, r.sound = r.xz(part, r.out)
	return nil
}

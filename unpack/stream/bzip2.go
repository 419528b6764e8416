package stream

import (
	"compress/bzip2"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var bzip2Magic = []byte("BZh")

// Bzip2 reads bzip2 files. Streams that follow each other are one child, as
// bzip2 joins them.
func Bzip2() unpack.Format {
	return unpack.Format{Name: "bzip2", Match: func(p *unpack.Probe) bool { return codec.Bzip2Head(p.Head) }, Walk: bzip2Walk}
}

func bzip2Walk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "bzip2.stream",
		magic: bzip2Magic,
		head:  codec.Bzip2Head,
		open: func(off int64) run {
			in := newInput(src, off)
			if h, _ := in.Peek(4); len(h) == 4 { // the decoder makes its tables at once
				out.Work(int64(h[3]-'0') * 100_000)
			}
			return &bzip2Run{in: in, r: bzip2.NewReader(in)}
		},
	})
}

// bzip2Run reads streams up to the first that does not begin where the one
// before ends.
type bzip2Run struct {
	damage // none: the decoder ends at a check that does not fit

	in   *input
	r    io.Reader
	stop int64
	done bool
	err  error
}

func (b *bzip2Run) end() int64 {
	if b.done {
		return b.stop
	}
	return b.in.offset()
}

func (b *bzip2Run) free() {
	b.in.free()
	b.r = nil
}

// Read implements io.Reader.
func (b *bzip2Run) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if s, ok := err.(bzip2.StructuralError); ok && strings.Contains(string(s), "continuation") {
		// A whole stream ended, and the two bytes behind it begin no other.
		b.done, b.stop = true, b.in.offset()-2
		err = io.EOF
	}
	b.err = err
	return n, err
}

package archive

import (
	"bytes"
	"compress/bzip2"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

var (
	bzip2Magic = []byte("BZh")
	bzip2Block = []byte{0x31, 0x41, 0x59, 0x26, 0x53, 0x59} // opens a block
	bzip2End   = []byte{0x17, 0x72, 0x45, 0x38, 0x50, 0x90} // closes a stream
)

// Bzip2 reads bzip2 files. Streams that follow each other are one child, as
// bzip2 joins them.
func Bzip2() unpack.Format {
	return unpack.Format{Name: "bzip2", Match: func(p *unpack.Probe) bool { return bzip2Head(p.Head) }, Walk: bzip2Walk}
}

// bzip2Head tells a stream's header: the magic, a block size and then a block
// or the end. A header cut short is one too.
func bzip2Head(b []byte) bool {
	if len(b) < 5 || !bytes.HasPrefix(b, bzip2Magic) || b[3] < '1' || b[3] > '9' {
		return false
	}
	rest := b[4:min(len(b), 10)]
	return bytes.HasPrefix(bzip2Block, rest) || bytes.HasPrefix(bzip2End, rest)
}

func bzip2Walk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "bzip2.stream",
		magic: bzip2Magic,
		head:  bzip2Head,
		open: func(off int64) run {
			in := newInput(src, off)
			return &bzip2Run{in: in, r: bzip2.NewReader(in)}
		},
	})
}

// bzip2Run reads streams up to the first that does not begin where the one
// before ends.
type bzip2Run struct {
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

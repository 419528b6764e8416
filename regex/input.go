package regex

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Input is what is matched against. View returns at least one and at most n
// bytes at off; none where the input ends or cannot be read, which the
// implementation has to remember, since bytes that cannot be read match nothing.
// A pattern.Input is one.
type Input interface {
	Size() int64
	View(off, n int64) []byte
}

// Reader is an Input over a Source. It is not safe for concurrent use.
type Reader = bound.Window

// NewReader returns the input for a source.
func NewReader(src showcause.Source) *Reader { return bound.NewWindow(src) }

// cursor reads single bytes, in either direction, a chunk at a time.
type cursor struct {
	in    Input
	size  int64
	chunk []byte
	base  int64 // offset of chunk
	back  bool
}

// at returns the byte at off, which may be anywhere, and whether there is one.
func (c *cursor) at(off int64) (byte, bool) {
	if i := off - c.base; i >= 0 && i < int64(len(c.chunk)) {
		return c.chunk[i], true
	}
	return c.fill(off)
}

const chunkSize = 1 << 12

func (c *cursor) fill(off int64) (byte, bool) {
	if off < 0 || off >= c.size {
		return 0, false
	}
	from, n := off, int64(chunkSize)
	if c.back {
		from = max(0, off-chunkSize+1)
		n = off - from + 1
	}
	c.base, c.chunk = from, c.in.View(from, n)
	if c.back && from+int64(len(c.chunk)) <= off {
		c.base, c.chunk = off, c.in.View(off, 1)
	}
	if len(c.chunk) == 0 {
		return 0, false
	}
	return c.chunk[off-c.base], true
}

package regex

import (
	"io"

	"github.com/showcause/showcause"
)

// Input is what is matched against. View returns at least one and at most n
// bytes at off; none where the input ends or cannot be read, which the
// implementation has to remember, since bytes that cannot be read match nothing.
type Input interface {
	Size() int64
	View(off, n int64) []byte
}

const (
	pageBits = 14
	pageSize = 1 << pageBits // bytes read at a time outside the window
	pages    = 8             // kept
)

// Reader is an Input over a Source: a window of bytes at hand, and the rest
// through ReadAt with a small cache. It is not safe for concurrent use.
type Reader struct {
	src    showcause.Source
	size   int64
	window []byte
	base   int64 // offset of window in the source
	whole  bool  // the window is the source
	err    error
	cache  [pages]page
}

type page struct {
	index int64 // 1 + number of the page; 0: none
	data  []byte
}

// NewReader returns the input for a source.
func NewReader(src showcause.Source) *Reader {
	r := &Reader{src: src, size: src.Size()}
	if b, ok := src.(showcause.Bytes); ok {
		r.window, r.whole = b, true
	}
	return r
}

// SetWindow says which bytes are at hand: buf, which stands at base. They are
// not copied.
func (r *Reader) SetWindow(buf []byte, base int64) {
	if !r.whole {
		r.window, r.base = buf, base
	}
}

// Size returns the length of the source in bytes.
func (r *Reader) Size() int64 { return r.size }

// Err returns the first error of a read. Bytes that could not be read match
// nothing, so that the caller has to report them as a gap.
func (r *Reader) Err() error { return r.err }

// View implements Input.
func (r *Reader) View(off, n int64) []byte {
	if i := off - r.base; i >= 0 && i < int64(len(r.window)) {
		return r.window[i:min(i+n, int64(len(r.window)))]
	}
	if off < 0 || off >= r.size || r.whole {
		return nil
	}
	data := r.page(off >> pageBits)
	i := off & (pageSize - 1)
	if i >= int64(len(data)) {
		return nil
	}
	return data[i:min(i+n, int64(len(data)))]
}

// page returns a page, as far as it could be read.
func (r *Reader) page(number int64) []byte {
	p := &r.cache[number%pages]
	if p.index == number+1 {
		return p.data
	}
	off := number << pageBits
	want := min(pageSize, r.size-off)
	if p.data == nil {
		p.data = make([]byte, pageSize)
	}
	p.index = number + 1
	n, err := r.src.ReadAt(p.data[:want:pageSize], off)
	if n = max(n, 0); int64(n) < want && r.err == nil {
		if r.err = err; err == nil || err == io.EOF {
			r.err = io.ErrUnexpectedEOF
		}
	}
	p.data = p.data[:n:cap(p.data)]
	return p.data
}

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

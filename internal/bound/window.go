package bound

import (
	"io"

	"github.com/showcause/showcause"
)

const (
	pageBits = 14
	pageSize = 1 << pageBits // bytes read at a time outside the window
	pages    = 8             // kept
)

// Window is a source as matchers read it, a few bytes anywhere: a stretch that
// is at hand, and the rest through ReadAt with a small cache. It is not safe for
// concurrent use.
type Window struct {
	src   showcause.Source
	size  int64
	hand  []byte
	base  int64 // offset of hand in the source
	whole bool  // hand is the source
	err   error
	cache [pages]page
	loads int64 // pages that were read
}

type page struct {
	index int64 // 1 + number of the page; 0: none
	data  []byte
}

// NewWindow returns the window of a source.
func NewWindow(src showcause.Source) *Window {
	w := &Window{src: src, size: src.Size()}
	if b, ok := src.(showcause.Bytes); ok {
		w.hand, w.whole = b, true
	}
	return w
}

// SetWindow says which bytes are at hand: buf, which stands at base in the
// source. They are not copied.
func (w *Window) SetWindow(buf []byte, base int64) {
	if !w.whole {
		w.hand, w.base = buf, base
	}
}

// Size returns the length of the source in bytes.
func (w *Window) Size() int64 { return w.size }

// Err returns the first error of a read. Bytes that could not be read match
// nothing, so that the caller has to report them as a gap.
func (w *Window) Err() error { return w.err }

// View returns at least one and at most n bytes at off; none where the source
// ends or cannot be read.
func (w *Window) View(off, n int64) []byte {
	if i := off - w.base; i >= 0 && i < int64(len(w.hand)) {
		return w.hand[i:min(i+n, int64(len(w.hand)))]
	}
	if off < 0 || off >= w.size || w.whole {
		return nil
	}
	data := w.page(off >> pageBits)
	i := off & (pageSize - 1)
	if i >= int64(len(data)) {
		return nil
	}
	return data[i:min(i+n, int64(len(data)))]
}

// page returns a page, as far as it could be read.
func (w *Window) page(number int64) []byte {
	p := &w.cache[number%pages]
	if p.index == number+1 {
		return p.data
	}
	off := number << pageBits
	want := min(pageSize, w.size-off)
	if p.data == nil {
		p.data = make([]byte, pageSize)
	}
	p.index = number + 1
	w.loads++
	n, err := w.src.ReadAt(p.data[:want:pageSize], off)
	if n = max(n, 0); int64(n) < want && w.err == nil {
		if w.err = err; err == nil || err == io.EOF {
			w.err = io.ErrUnexpectedEOF
		}
	}
	p.data = p.data[:n:cap(p.data)]
	return p.data
}

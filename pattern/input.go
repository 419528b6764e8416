package pattern

import (
	"io"

	"github.com/showcause/showcause"
)

const (
	pageBits = 14
	pageSize = 1 << pageBits // bytes read at a time outside the window
	pages    = 8             // kept
)

// Input is a layer as patterns see it: a window of bytes at hand, and the rest
// through ReadAt with a small cache. It is not safe for concurrent use.
type Input struct {
	src    showcause.Source
	size   int64
	window []byte
	base   int64 // offset of window in the layer
	whole  bool  // the window is the layer
	err    error
	cache  [pages]page
}

type page struct {
	index int64 // 1 + number of the page; 0: none
	data  []byte
}

// NewInput returns the input for a layer.
func NewInput(src showcause.Source) *Input {
	in := &Input{src: src, size: src.Size()}
	if b, ok := src.(showcause.Bytes); ok {
		in.window, in.whole = b, true
	}
	return in
}

// SetWindow says which bytes are at hand: buf, which stands at base in the
// layer. They are not copied.
func (in *Input) SetWindow(buf []byte, base int64) {
	if !in.whole {
		in.window, in.base = buf, base
	}
}

// Size returns the length of the layer in bytes.
func (in *Input) Size() int64 { return in.size }

// Err returns the first error of a read. Bytes that could not be read match
// nothing, so that the caller has to report them as a gap.
func (in *Input) Err() error { return in.err }

// view returns at least one and at most n bytes at off; none where the layer
// ends or cannot be read.
func (in *Input) view(off, n int64) []byte {
	if i := off - in.base; i >= 0 && i < int64(len(in.window)) {
		return in.window[i:min(i+n, int64(len(in.window)))]
	}
	if off < 0 || off >= in.size || in.whole {
		return nil
	}
	data := in.page(off >> pageBits)
	i := off & (pageSize - 1)
	if i >= int64(len(data)) {
		return nil
	}
	return data[i:min(i+n, int64(len(data)))]
}

// page returns a page, as far as it could be read.
func (in *Input) page(number int64) []byte {
	p := &in.cache[number%pages]
	if p.index == number+1 {
		return p.data
	}
	off := number << pageBits
	want := min(pageSize, in.size-off)
	if p.data == nil {
		p.data = make([]byte, pageSize)
	}
	p.index = number + 1
	n, err := in.src.ReadAt(p.data[:want:pageSize], off)
	if n = max(n, 0); int64(n) < want && in.err == nil {
		if in.err = err; err == nil || err == io.EOF {
			in.err = io.ErrUnexpectedEOF
		}
	}
	p.data = p.data[:n:cap(p.data)]
	return p.data
}

// byteAt returns the byte at off.
func (in *Input) byteAt(off int64) (byte, bool) {
	if v := in.view(off, 1); len(v) > 0 {
		return v[0], true
	}
	return 0, false
}

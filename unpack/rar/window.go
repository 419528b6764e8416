package rar

import (
	"errors"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// errData is the error for compressed data that is not what it should be.
var errData = errors.New("rar: invalid data")

// errEnd says that a file ends; it may be before its size.
var errEnd = errors.New("rar: end of file")

const (
	gapVolume = showcause.Unsupported + ".format.rar-volume"
	gapMethod = showcause.Unsupported + ".method.rar"
	gapFilter = showcause.Unsupported + ".method.rar-filter"
	gapDict   = showcause.Unsupported + ".method.rar-dictionary"

	maxWindow = 64 << 20 // bytes
	maxFilter = 4 << 20  // bytes of a filter's block
)

// window is what matches copy from, and what waits to be handed out: filters
// change it on its way out, and matches see it as it was before.
type window struct {
	buf  []byte // grows with what comes out
	pos  int
	n    int64 // bytes since the window began
	dict int64 // how far back a match may reach

	out     []byte // decoded, and not handed out yet
	start   int64  // place in the file of out[0]
	filters []filter
}

// filter is a transformation of a stretch of a file.
type filter struct {
	from, size int64
	apply      func(b []byte, at int64) []byte
}

func (w *window) put(c byte) {
	if w.pos == len(w.buf) {
		if most := int(min(w.dict, maxWindow)); len(w.buf) < most {
			grown := make([]byte, min(max(4*len(w.buf), 16<<10), most))
			copy(grown, w.buf)
			w.buf = grown
		} else {
			w.pos = 0
		}
	}
	w.buf[w.pos] = c
	w.pos++
	w.n++
	w.out = append(w.out, c)
}

// copy repeats n bytes from dist bytes back.
func (w *window) copy(n int, dist int64) error {
	if dist <= 0 || dist > w.n || dist > w.dict {
		return errData
	}
	if dist > int64(len(w.buf)) {
		return unpack.Fail(gapDict)
	}
	for range n {
		from := w.pos - int(dist)
		if from < 0 {
			from += len(w.buf)
		}
		w.put(w.buf[from])
	}
	return nil
}

// at is the place in the file behind what was decoded.
func (w *window) at() int64 { return w.start + int64(len(w.out)) }

// begin makes ready for a file.
func (w *window) begin() { w.out, w.start, w.filters = w.out[:0], 0, w.filters[:0] }

// take hands out what no filter waits for. With end, what a filter lacks is not
// to come.
func (w *window) take(p []byte, end bool) (n int, err error) {
	for n < len(p) && len(w.out) > 0 {
		ready := int64(len(w.out))
		for len(w.filters) > 0 {
			f := w.filters[0]
			if f.from < w.start {
				return n, errData // it begins in what was handed out
			}
			if f.from > w.start {
				ready = min(ready, f.from-w.start)
				break
			}
			if int64(len(w.out)) < f.size {
				if end {
					return n, errData
				}
				return n, nil
			}
			w.filters = w.filters[1:]
			b := f.apply(w.out[:f.size], f.from)
			if b == nil {
				return n, unpack.Fail(gapFilter)
			}
			copy(w.out, b)
			if len(w.filters) == 0 || w.filters[0].from != f.from {
				ready = f.size // behind it another may begin
				if len(w.filters) > 0 {
					ready = min(ready, max(w.filters[0].from-w.start, 0))
				}
				break
			}
		}
		if ready == 0 {
			return n, errData // filters that overlap
		}
		m := copy(p[n:], w.out[:ready])
		n += m
		w.start += int64(m)
		// A filter that was applied must not be in the way of what is left of its
		// block: filters are dropped as they are applied.
		w.out = w.out[:copy(w.out, w.out[m:])]
	}
	return n, nil
}

// add registers a filter.
func (w *window) add(f filter) error {
	if f.size == 0 {
		return nil
	}
	if f.size > maxFilter || len(w.filters) >= 8192 {
		return errData
	}
	w.filters = append(w.filters, f)
	return nil
}

// e8 turns the absolute targets of calls, and with e9 of jumps, into relative ones.
func e8(b []byte, at int64, e9, wrap bool) []byte {
	const size = 1 << 24
	for i := 0; i+4 < len(b); {
		c := b[i]
		i++
		if c != 0xe8 && (!e9 || c != 0xe9) {
			continue
		}
		off := uint32(at + int64(i))
		if wrap {
			off %= size
		}
		v := le.Uint32(b[i:])
		switch {
		case v>>31 != 0:
			if (v+off)>>31 == 0 {
				le.PutUint32(b[i:], v+size)
			}
		case (v-size)>>31 != 0:
			le.PutUint32(b[i:], v-off)
		}
		i += 4
	}
	return b
}

// arm turns the absolute targets of BL into relative ones.
func arm(b []byte, at int64) []byte {
	for i := 0; i+3 < len(b); i += 4 {
		if b[i+3] == 0xeb {
			v := uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16
			v -= uint32((at + int64(i)) / 4)
			b[i], b[i+1], b[i+2] = byte(v), byte(v>>8), byte(v>>16)
		}
	}
	return b
}

// delta undoes differences within channels that stand one behind the other.
func delta(b []byte, channels int) []byte {
	out := make([]byte, len(b))
	src := 0
	for c := range channels {
		prev := byte(0)
		for i := c; i < len(b); i += channels {
			prev -= b[src]
			out[i] = prev
			src++
		}
	}
	return out
}

package codec

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrFilter is the error for a filter of xz that is not known.
var ErrFilter = errors.New("xz: unknown filter")

// XZBlock undoes the filters of a block of an xz stream, whose header h is as it stands,
// with its size in front and its CRC-32 behind, which is not looked at
// (tukaani.org/xz/xz-file-format.txt, 1.2.1, section 3.1). in is what follows the header,
// lz the decoder to use.
//
//	header = size u8, flags u8, sizes, filters {id, bytes of properties, properties}, padding, CRC-32
func XZBlock(h []byte, lz *LZMA2, in ByteReader) (io.Reader, error) {
	if len(h) < 8 {
		return nil, ErrLZMA
	}
	f := xzFields{h[2 : len(h)-4]}
	if h[1]&0x40 != 0 {
		f.number()
	}
	if h[1]&0x80 != 0 {
		f.number()
	}
	n := int(h[1]&3) + 1
	var filters []xzFilter
	for range n {
		id, ok := f.number()
		size, ok2 := f.number()
		if !ok || !ok2 || size > uint64(len(f.b)) {
			return nil, ErrLZMA
		}
		filters = append(filters, xzFilter{id, f.b[:size]})
		f.b = f.b[size:]
	}
	last := filters[n-1]
	if last.id != 0x21 || len(last.props) != 1 {
		return nil, ErrFilter
	}
	if last.props[0] > 40 {
		return nil, ErrLZMA
	}
	lz.Reset(in, lzma2Dict(last.props[0]))
	r := io.Reader(lz)
	for i := n - 2; i >= 0; i-- {
		var err error
		if r, err = filters[i].reader(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// xzFields reads the fields of a block's header.
type xzFields struct{ b []byte }

// number reads a variable-length integer (section 1.2).
func (f *xzFields) number() (v uint64, ok bool) {
	for i, c := range f.b[:min(len(f.b), 9)] {
		if v |= uint64(c&0x7f) << (7 * i); c < 0x80 {
			f.b = f.b[i+1:]
			return v, true
		}
	}
	f.b = nil
	return 0, false
}

// lzma2Dict is the size in bytes that a dictionary's properties stand for
// (section 5.3.1).
func lzma2Dict(p byte) int64 {
	if p >= 40 {
		return 1<<32 - 1
	}
	return int64(2|p&1) << (p/2 + 11)
}

// xzFilter is one filter of a block's chain.
type xzFilter struct {
	id    uint64
	props []byte
}

// reader undoes the filter (section 5.3).
func (f xzFilter) reader(r io.Reader) (io.Reader, error) {
	if f.id == 3 {
		if len(f.props) != 1 {
			return nil, ErrLZMA
		}
		return NewDelta(r, int(f.props[0])+1), nil
	}
	start := uint32(0)
	switch len(f.props) {
	case 0:
	case 4:
		start = binary.LittleEndian.Uint32(f.props)
	default:
		return nil, ErrLZMA
	}
	if f.id > 11 {
		return nil, ErrFilter
	}
	b, ok := NewBranch(r, Branch(f.id), start)
	if !ok {
		return nil, ErrFilter
	}
	return b, nil
}

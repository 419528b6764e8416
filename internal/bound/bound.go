// Package bound reads with lengths, and does sums with numbers, that an
// attacker chose: nothing is allocated on the word of a length field, and no
// sum wraps.
package bound

import (
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/showcause/showcause"
)

// chunk is how much is allocated at a time on the word of a length.
const chunk = 1 << 20

// ErrLength is returned for a length that is negative or above the caller's bound.
var ErrLength = errors.New("length out of bounds")

// ReadAt returns n bytes at off of src, at most max. Fewer bytes come with
// io.ErrUnexpectedEOF. Memory grows with what is really there.
func ReadAt(src showcause.Source, off, n, max int64) ([]byte, error) {
	if n < 0 || off < 0 || n > max {
		return nil, ErrLength
	}
	if have := src.Size() - off; n > have {
		if have <= 0 {
			return nil, io.ErrUnexpectedEOF
		}
		b, err := ReadAt(src, off, have, max)
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return b, err
	}
	var out []byte
	for got := int64(0); got < n; {
		step := min(n-got, chunk)
		out = append(out, make([]byte, step)...)
		m, err := src.ReadAt(out[got:got+step], off+got)
		got += int64(m)
		if int64(m) < step {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return out[:got], err
		}
	}
	return out, nil
}

// Head returns up to n bytes from the start of src; fewer only where src is
// shorter or fails. They may be the source's own, and must not be written to.
func Head(src showcause.Source, n int) []byte {
	if b, ok := src.(showcause.Bytes); ok {
		n = min(n, len(b))
		return b[:n:n]
	}
	b, _ := ReadAt(src, 0, min(int64(n), src.Size()), int64(n))
	return b
}

// Reader reads the stretch [off, off+n) of src in order; it ends early where
// src does. A negative n means to the end.
func Reader(src showcause.Source, off, n int64) *io.SectionReader {
	if off < 0 || off > src.Size() {
		off, n = src.Size(), 0
	}
	if n < 0 || n > src.Size()-off {
		n = src.Size() - off
	}
	return io.NewSectionReader(src, off, n)
}

// Section is the stretch [off, off+n) of src as a Source of its own, cut to
// what src has.
func Section(src showcause.Source, off, n int64) showcause.Source {
	if b, ok := src.(showcause.Bytes); ok {
		off = min(max(off, 0), int64(len(b)))
		if n < 0 || n > int64(len(b))-off {
			n = int64(len(b)) - off
		}
		return b[off : off+n]
	}
	return Reader(src, off, n)
}

// Add returns a+b, or math.MaxInt64 where the sum of two non-negative numbers
// does not fit.
func Add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Mul returns a*b, or math.MaxInt64 where the product of two non-negative
// numbers does not fit.
func Mul(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// In tells whether [off, off+n) lies within size, for any values at all.
func In(off, n, size int64) bool {
	return off >= 0 && n >= 0 && off <= size && n <= size-off
}

var zeros [4096]byte

// IsZero tells whether all bytes are zeros.
func IsZero(p []byte) bool {
	for len(p) > len(zeros) {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return bytes.Equal(p, zeros[:len(p)])
}

// SkipZeros returns the offset of the first byte from off on that is not zero,
// and whether there is one. What cannot be read counts as not zero.
func SkipZeros(src showcause.Source, off int64) (int64, bool) {
	var buf [32 << 10]byte
	for off < src.Size() {
		p := buf[:min(int64(len(buf)), src.Size()-off)]
		n, err := src.ReadAt(p, off)
		for i, c := range p[:n] {
			if c != 0 {
				return off + int64(i), true
			}
		}
		off += int64(n)
		if n < len(p) || err != nil && err != io.EOF {
			return off, off < src.Size()
		}
	}
	return off, false
}

// CutShort makes an end in the middle of something, io.EOF, an error:
// io.ErrUnexpectedEOF.
func CutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

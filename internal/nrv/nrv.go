// Package nrv decodes NRV2B, NRV2D and NRV2E, the compressions of UPX (UCL 1.03, the
// description of the formats in its documentation). Hostile data is an error, never a panic.
package nrv

import "errors"

// Variant is one of the three formats.
type Variant uint8

// The variants.
const (
	B Variant = iota
	D
	E
)

// ErrData is the error for a stream that is not what it should be.
var ErrData = errors.New("nrv: invalid data")

// grow is how much is allocated for what was not decoded yet, in bytes.
const grow = 64 << 10

// stream reads bits out of words that stand between the bytes.
type stream struct {
	src  []byte
	at   int
	word uint32
	left uint
	wide uint // bits in a word: 8, 16 or 32
	bad  bool
}

func (s *stream) bit() int {
	if s.left == 0 {
		n := int(s.wide / 8)
		if s.at+n > len(s.src) {
			s.bad = true
			return 1 // ends every loop of codes
		}
		s.word = 0
		for i := range n {
			s.word |= uint32(s.src[s.at+i]) << (8 * i)
		}
		s.at, s.left = s.at+n, s.wide
	}
	s.left--
	return int(s.word>>s.left) & 1
}

func (s *stream) next() int {
	if s.at >= len(s.src) {
		s.bad = true
		return 0
	}
	s.at++
	return int(s.src[s.at-1])
}

// more reads a number of at least 2 whose bits each have one behind them that says whether
// it ends.
func (s *stream) more() int {
	n := 1
	for n < 1<<30 {
		n = 2*n + s.bit()
		if s.bit() == 1 {
			return n
		}
	}
	s.bad = true
	return n
}

// offset is more as D and E have it: each bit but the last has another in front of the next.
func (s *stream) offset() int {
	n := 1
	for n < 1<<28 {
		n = 2*n + s.bit()
		if s.bit() == 1 {
			return n
		}
		n = 2*(n-1) + s.bit()
	}
	s.bad = true
	return n
}

// length reads the length of a match but for what its distance adds. low is the bit of it
// that stood with the distance, in D and E.
func (s *stream) length(v Variant, low int) int {
	if v == E {
		switch {
		case low == 1:
			return 1 + s.bit()
		case s.bit() == 1:
			return 3 + s.bit()
		}
		return s.more() + 3
	}
	if v == B {
		low = s.bit()
	}
	if n := 2*low + s.bit(); n > 0 {
		return n
	}
	return s.more() + 2
}

// Decode decodes src, whose bits stand in words of wide bits (8, 16 or 32), and returns what
// came out, size bytes at most, with ErrData where that is not size bytes and the end mark.
func Decode(src []byte, v Variant, wide uint, size int) ([]byte, error) {
	s := stream{src: src, wide: wide}
	dst := make([]byte, 0, min(size, grow))
	far := 0x500
	if v == B {
		far = 0xd00
	}
	for last := 1; ; {
		for s.bit() == 1 {
			if s.bad || len(dst) >= size {
				return dst, ErrData
			}
			dst = append(dst, byte(s.next()))
		}
		n, low := 0, 0
		if v == B {
			n = s.more()
		} else {
			n = s.offset()
		}
		switch {
		case s.bad:
			return dst, ErrData
		case n == 2:
			if v != B {
				low = s.bit()
			}
		default:
			n = (n-3)<<8 | s.next()
			if n >= 0xffffffff { // the end mark
				if len(dst) != size || n != 0xffffffff || s.bad {
					return dst, ErrData
				}
				return dst, nil
			}
			if v != B {
				low = ^n & 1
				n >>= 1
			}
			last = n + 1
		}
		count := s.length(v, low) + 1
		if last > far {
			count++
		}
		if s.bad || last > len(dst) || count > size-len(dst) {
			return dst, ErrData
		}
		for from := len(dst) - last; count > 0; count-- {
			dst = append(dst, dst[from])
			from++
		}
	}
}

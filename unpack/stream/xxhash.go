package stream

import (
	"encoding/binary"
	"math/bits"
)

// The check of LZ4 frames, XXH32 (xxhash_spec.md), with seed 0.

// stripes cuts what is written into stripes of a fixed size.
type stripes struct {
	buf [32]byte
	n   int    // bytes in buf
	len uint64 // bytes in all
}

// feed hands whole stripes of that size to f.
func (s *stripes) feed(p []byte, size int, f func([]byte)) {
	s.len += uint64(len(p))
	if s.n > 0 {
		m := copy(s.buf[s.n:size], p)
		p = p[m:]
		if s.n += m; s.n < size {
			return
		}
		f(s.buf[:size])
		s.n = 0
	}
	for ; len(p) >= size; p = p[size:] {
		f(p)
	}
	s.n = copy(s.buf[:], p)
}

type xxh32 struct {
	stripes
	acc [4]uint32
}

const (
	xxh32P1 = 0x9e3779b1
	xxh32P2 = 0x85ebca77
	xxh32P3 = 0xc2b2ae3d
	xxh32P4 = 0x27d4eb2f
	xxh32P5 = 0x165667b1
)

func newXXH32() *xxh32 {
	p1, p2 := uint32(xxh32P1), uint32(xxh32P2)
	return &xxh32{acc: [4]uint32{p1 + p2, p2, 0, -p1}}
}

func (x *xxh32) write(p []byte) {
	x.feed(p, 16, func(p []byte) {
		for i := range x.acc {
			x.acc[i] = bits.RotateLeft32(x.acc[i]+binary.LittleEndian.Uint32(p[4*i:])*xxh32P2, 13) * xxh32P1
		}
	})
}

func (x *xxh32) sum() uint32 {
	h := uint32(xxh32P5)
	if x.len >= 16 {
		h = 0
		for i, r := range []int{1, 7, 12, 18} {
			h += bits.RotateLeft32(x.acc[i], r)
		}
	}
	h += uint32(x.len)
	p := x.buf[:x.n]
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(p)*xxh32P3, 17) * xxh32P4
	}
	for _, c := range p {
		h = bits.RotateLeft32(h+uint32(c)*xxh32P5, 11) * xxh32P1
	}
	h = (h ^ h>>15) * xxh32P2
	h = (h ^ h>>13) * xxh32P3
	return h ^ h>>16
}

package codec

import (
	"bytes"
	"hash/crc32"
	"sync"
)

// sumStep is how many bytes of zeros UpdateCRC takes at once: what DEFLATE's window has,
// and so what its decoders give.
const sumStep = 32 << 10

// zeroSum gives the CRC-32 register behind sumStep bytes of zeros, by each byte of the
// register before: with no data the register is a linear function of itself.
var zeroSum = sync.OnceValue(func() *[4][256]uint32 {
	var t [4][256]uint32
	p := make([]byte, sumStep)
	for i := range t {
		for bit := range 8 {
			one := ^crc32.Update(^(uint32(1) << (8*i + bit)), crc32.IEEETable, p)
			for v := range t[i] {
				if v>>bit&1 != 0 {
					t[i][v] ^= one
				}
			}
		}
	}
	return &t
})

var sumZeros [4 << 10]byte

// UpdateCRC is crc32.Update for the IEEE polynomial, faster over long stretches of zeros.
func UpdateCRC(sum uint32, p []byte) uint32 {
	for len(p) >= sumStep && allZero(p[:sumStep]) {
		t, x := zeroSum(), ^sum
		sum = ^(t[0][x&255] ^ t[1][x>>8&255] ^ t[2][x>>16&255] ^ t[3][x>>24])
		p = p[sumStep:]
	}
	return crc32.Update(sum, crc32.IEEETable, p)
}

// allZero tells whether p, a number of pages, is zeros.
func allZero(p []byte) bool {
	for ; len(p) > 0; p = p[len(sumZeros):] {
		if !bytes.Equal(p[:len(sumZeros)], sumZeros[:]) {
			return false
		}
	}
	return true
}

package codec

import (
	"hash/crc32"
	"testing"
)

func TestUpdateCRC(t *testing.T) {
	p := make([]byte, 5*sumStep+77)
	for _, at := range []int{-1, 0, 1, sumStep - 1, sumStep, 3*sumStep + 4096, len(p) - 1} {
		for _, n := range []int{0, 1, sumStep - 1, sumStep, sumStep + 1, 2 * sumStep, len(p)} {
			for _, sum := range []uint32{0, 1, 0x80000000, 0xdeadbeef, 1<<32 - 1} {
				q := p[:n]
				if at >= 0 && at < n {
					q[at] = 0x5a
				}
				if got, want := UpdateCRC(sum, q), crc32.Update(sum, crc32.IEEETable, q); got != want {
					t.Errorf("%d bytes, one at %d, from %08x: %08x, want %08x", n, at, sum, got, want)
				}
				clear(p)
			}
		}
	}
}

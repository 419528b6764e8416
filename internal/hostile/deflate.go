package hostile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"

	"github.com/ulikunitz/xz"
)

var le = binary.LittleEndian

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, 9)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func xzOf(b []byte) []byte {
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		panic(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// squeezed is a raw deflate stream with the size and CRC-32 of what it holds.
type squeezed struct {
	data []byte
	size int64
	crc  uint32
}

func squeeze(b []byte) squeezed {
	return squeezed{deflate(b), int64(len(b)), crc32.ChecksumIEEE(b)}
}

// segment is how many zeros are deflated at a time: a whole number of blocks
// that end at a byte, so that they can be repeated.
const segment = 1 << 20

// squeezeZeros deflates some content, then n zeros and then the tail, without
// having them: one stretch of zeros is deflated once and written often.
func squeezeZeros(head []byte, n int64, tail []byte) squeezed {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	zeros := make([]byte, segment)
	crc := crc32.ChecksumIEEE(head)
	w.Write(head)
	w.Write(zeros)
	w.Flush()
	mark := out.Len()
	w.Write(zeros)
	w.Flush()
	block := bytes.Clone(out.Bytes()[mark:])
	done := min(n, 2*segment)
	out.Grow(int(n/segment) * len(block))
	for ; n-done >= segment; done += segment {
		out.Write(block)
	}
	if n < 2*segment {
		panic("too few zeros")
	}
	w.Write(zeros[:n-done])
	w.Write(tail)
	w.Close()
	crc = crcJoin(crc, crcZeros(n), n)
	crc = crcJoin(crc, crc32.ChecksumIEEE(tail), int64(len(tail)))
	return squeezed{out.Bytes(), int64(len(head)) + n + int64(len(tail)), crc}
}

func (s squeezed) gzip() []byte {
	out := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255}, s.data...)
	out = le.AppendUint32(out, s.crc)
	return le.AppendUint32(out, uint32(s.size))
}

// crcZeros returns the CRC-32 of n zeros, by doubling.
func crcZeros(n int64) uint32 {
	var crc, one uint32
	length := int64(1)
	one = crc32.ChecksumIEEE([]byte{0})
	done := int64(0)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			crc = crcJoin(crc, one, length)
			done += length
		}
		one = crcJoin(one, one, length)
		length *= 2
	}
	return crc
}

// crcJoin returns the CRC-32 of two stretches one after the other, the second
// n bytes long. A CRC is linear: n zeros are appended to the first by squaring
// the matrix that appends one bit.
func crcJoin(a, b uint32, n int64) uint32 {
	if n == 0 {
		return a
	}
	var m [32]uint32
	m[0] = 0xedb88320
	for i := 1; i < 32; i++ {
		m[i] = 1 << (i - 1)
	}
	apply := func(m *[32]uint32, v uint32) (r uint32) {
		for i := 0; v != 0; i, v = i+1, v>>1 {
			if v&1 != 0 {
				r ^= m[i]
			}
		}
		return r
	}
	square := func(m [32]uint32) (r [32]uint32) {
		for i := range r {
			r[i] = apply(&m, m[i])
		}
		return r
	}
	for range 3 {
		m = square(m) // from a bit to a byte
	}
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			a = apply(&m, a)
		}
		m = square(m)
	}
	return a ^ b
}

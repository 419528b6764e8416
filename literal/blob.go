package literal

import (
	"encoding/binary"
	"unsafe"
)

// The shape of a blob; doc.go draws it.
const (
	magic      = "SCLITv2\n"
	headerSize = 64
	tierSize   = 64
	maxTiers   = 24
	maxLen     = 64 // bytes of a literal
	maxStride  = 16
	maxGram    = 8
	maxWindow  = maxStride + maxGram - 1
)

// kind says what a stride tier takes for the bytes of a buffer.
type kind uint32

const (
	exact kind = iota // what they are
	lower             // with bit 0x20 set
	delta             // each exclusive-or the next: the same whatever one-byte key is over them
	kinds
)

// Flags of a member.
const (
	isFold = 1 << iota // ASCII letters compare without case
	isXor              // one key over all of its bytes
)

// member is a literal as a tier knows it.
type member struct {
	id   uint32
	off  uint32 // in the pool
	what uint32 // offset of the window | length<<8 | flags<<16 | offset of the check<<24
	// check is 4 of its bytes, with 0x20 set where case is ignored: the cheap
	// comparison before the full one. Where flags has isXor: the least key,
	// and the greatest<<8.
	check uint32
}

func (m *member) window() int  { return int(m.what & 0xff) }
func (m *member) length() int  { return int(m.what >> 8 & 0xff) }
func (m *member) fold() bool   { return m.what>>16&isFold != 0 }
func (m *member) xor() bool    { return m.what>>16&isXor != 0 }
func (m *member) checked() int { return int(m.what >> 24) }

// link is a member of the short tier.
type link struct {
	member
	bytes, mask uint32 // the place fits where place&mask == bytes
}

// element is what a section may hold.
type element interface {
	uint8 | uint32 | member | link
}

// littleEndian tells whether this machine's numbers are the blob's.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// words returns the elements as bytes, and the size of the numbers in them.
func words[T element](s []T) (raw []byte, size int) {
	size = 4
	if _, ok := any(*new(T)).(uint8); ok {
		size = 1
	}
	if len(s) == 0 {
		return nil, size
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0])), size
}

// view returns n elements at off of blob: on a little-endian machine the blob's
// own bytes. The caller has proved that they are inside, and blob and off
// aligned to 8.
func view[T element](blob []byte, off, n uint32) []T {
	if n == 0 {
		return nil
	}
	if littleEndian {
		return unsafe.Slice((*T)(unsafe.Pointer(&blob[off])), n)
	}
	return decode[T](blob[off:], n)
}

// decode is view for a machine whose numbers are not the blob's.
func decode[T element](blob []byte, n uint32) []T {
	out := make([]T, n)
	raw, size := words(out)
	copy(raw, blob)
	if !littleEndian {
		swap(raw, size)
	}
	return out
}

// encode appends the elements to blob in its byte order, padded to 8.
func encode[T element](blob []byte, s []T) []byte {
	raw, size := words(s)
	at := len(blob)
	blob = append(blob, raw...)
	if !littleEndian {
		swap(blob[at:], size)
	}
	for len(blob)%8 != 0 {
		blob = append(blob, 0)
	}
	return blob
}

// swap reverses the bytes of each number of raw.
func swap(raw []byte, size int) {
	for ; len(raw) >= size; raw = raw[size:] {
		for i, k := 0, size-1; i < k; i, k = i+1, k-1 {
			raw[i], raw[k] = raw[k], raw[i]
		}
	}
}

// load4 returns 4 bytes at i of b, which may lie outside: what does is zero.
func load4(b []byte, i int) uint32 {
	if i >= 0 && i+4 <= len(b) {
		return binary.LittleEndian.Uint32(b[i:])
	}
	return uint32(loadSlow(b, i))
}

// load8 returns 8 bytes at i of b, which may lie outside: what does is zero.
func load8(b []byte, i int) uint64 {
	if i >= 0 && i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
	}
	return loadSlow(b, i)
}

// loadSlow returns 8 bytes at i of b, which may lie outside: what does is zero.
func loadSlow(b []byte, i int) uint64 {
	v := uint64(0)
	for k := range 8 {
		if i+k >= 0 && i+k < len(b) {
			v |= uint64(b[i+k]) << (8 * k)
		}
	}
	return v
}

package literal

// Factors of the hashes: odd, and without a pattern in their bits.
const (
	factorA = 0x9E3779B1
	factorB = 0x85EBCA77
	factorC = 0xC2B2AE3D
	factorD = 0x27D4EB2F
	factorE = 0x165667B1
	saltBy  = 0x632BE59B

	lower8 = 0x2020202020202020
	lower4 = 0x20202020
)

// hasher is how a stride tier hashes grams and windows.
type hasher struct {
	stride, gram int
	or           uint64 // set in all bytes that are taken
	gramMask     uint64 // of the 8 bytes at a place, those of the gram
	frontMask    uint64 // of the 8 bytes at the start of a window, its own
	backMask     uint64 // all ones where a window has more than 8 bytes, else 0
	salt         uint32
}

func newHasher(stride, gram int, k kind, salt uint32) hasher {
	h := hasher{stride: stride, gram: gram, gramMask: ^uint64(0) >> (8 * (maxGram - gram)), frontMask: ^uint64(0), salt: salt * saltBy}
	if k == lower {
		h.or = lower8
	}
	if w := h.width(); w > 8 {
		h.backMask = ^uint64(0)
	} else {
		h.frontMask >>= 8 * (8 - w)
	}
	return h
}

// width returns the length of a window: a gram for each phase.
func (h *hasher) width() int { return h.stride + h.gram - 1 }

// ofGram hashes the 8 bytes x, which begin with a gram.
func (h *hasher) ofGram(x uint64) uint32 {
	x = (x | h.or) & h.gramMask
	v := uint32(x)*factorA + uint32(x>>32)*factorB + h.salt
	return v ^ v>>15
}

// ofWindow hashes a window by its first 8 bytes and its last 8.
func (h *hasher) ofWindow(front, back uint64) uint32 {
	front = (front | h.or) & h.frontMask
	back = (back | h.or) & h.backMask
	v := uint32(front)*factorA + uint32(front>>32)*factorB + uint32(back)*factorD + uint32(back>>32)*factorE
	return v ^ v>>15
}

// A filter is a blocked Bloom filter of 32-bit words. A hash v sets two bits of
// the word spread(v)>>shift, shift being 32 less the logarithm of their number.

// spread returns the number whose upper bits index a filter or the buckets.
func spread(v uint32) uint32 { return v * factorC }

// bitsOf returns the two bits of v.
func bitsOf(v uint32) uint32 { return 1<<(v>>27) | 1<<(v&31) }

// bloom returns a filter of 1<<size words.
func bloom(hashes []uint32, size int) []uint32 {
	words := make([]uint32, 1<<size)
	for _, v := range hashes {
		words[spread(v)>>(32-size)] |= bitsOf(v)
	}
	return words
}

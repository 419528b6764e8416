package literal

import (
	_ "embed"
	"math/bits"
)

// freqTable is a first-order model of what ordinary files hold: 256 nibbles,
// -log2 P(a), then 65,536 nibbles, -log2 P(b|a), each at most 15. freq_gen.go
// makes it.
//
//go:embed freq.bin
var freqTable string

// one is the weight of what is there at every place. Weights are whole numbers,
// so that every machine makes the same choice, and the same blob.
const one = 1 << 40

// rarity1 is -log2 of how often byte a stands at a place.
func rarity1(a byte) uint { return uint(freqTable[a>>1]>>(a&1*4)) & 15 }

// rarity2 is -log2 of how often b follows a.
func rarity2(a, b byte) uint { return uint(freqTable[128+int(a)<<7+int(b>>1)]>>(b&1*4)) & 15 }

// isLetter tells whether c is an ASCII letter.
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// spellings appends the ways to write b to dst, 16 at most: one, or, where case
// is ignored, one for each choice of case. b has 1 to 4 bytes; the first is
// lowest in the result.
func spellings(dst []uint32, b []byte, fold bool) []uint32 {
	from := len(dst)
	dst = append(dst, 0)
	for k, c := range b {
		n := len(dst)
		for i := from; i < n; i++ {
			dst[i] |= uint32(c) << (8 * k)
			if fold && isLetter(c) {
				dst = append(dst, dst[i]^0x20<<(8*k))
			}
		}
	}
	return dst
}

// weigh returns how often the bytes b, 1 to 4, stand at a place, as a share of
// one, all spellings together.
func weigh(b []byte, fold bool) uint64 {
	if !fold {
		r := rarity1(b[0])
		for k := 1; k < len(b); k++ {
			r += rarity2(b[k-1], b[k])
		}
		return one >> min(r, 40)
	}
	var room [16]uint32
	sum := uint64(0)
	for _, g := range spellings(room[:0], b, fold) {
		r := rarity1(byte(g))
		for k := 1; k < len(b); k++ {
			r += rarity2(byte(g>>(8*k-8)), byte(g>>(8*k)))
		}
		sum += one >> min(r, 40)
	}
	return sum
}

// commonGram is a gram that stands at many places.
type commonGram struct {
	bytes  uint64
	weight uint64
}

// commonGrams returns the grams of n bytes, of a share of 1/4096 and more.
func commonGrams(n int) []commonGram {
	var out []commonGram
	var grow func(g uint64, k int, rarity uint)
	grow = func(g uint64, k int, rarity uint) {
		if k == n {
			out = append(out, commonGram{g, one >> rarity})
			return
		}
		row := freqTable[128+g>>(8*k-8)<<7:][:128] // of what follows the last byte
		for b := range uint64(256) {
			if r := rarity + uint(row[b>>1])>>(b&1*4)&15; r <= 12 {
				grow(g|b<<(8*k), k+1, r)
			}
		}
	}
	for b := range uint64(256) {
		if r := rarity1(byte(b)); r <= 12 {
			grow(b, 1, r)
		}
	}
	return out
}

// weighAll returns how often all of b stands at a place, at most.
func weighAll(b []byte, fold bool) uint64 {
	spell := func(c byte) (byte, byte) {
		if fold && isLetter(c) {
			return c, c ^ 0x20
		}
		return c, c
	}
	x, y := spell(b[0])
	r := min(rarity1(x), rarity1(y))
	for _, c := range b[1:] {
		u, v := spell(c)
		r += min(rarity2(x, u), rarity2(x, v), rarity2(y, u), rarity2(y, v))
		x, y = u, v
	}
	return one >> min(r, 40)
}

// Score says how good b, 1 to 64 bytes, is as a seed of a search: higher is
// rarer, and one byte more never lowers it. The scale is eight times the
// negative logarithm to base 2 of the share of places in ordinary files that
// cost work, from 0 (runs of zeros) to about 300. No bytes score -1.
func Score(b []byte, fold bool) int {
	if len(b) == 0 {
		return -1
	}
	if len(b) < 4 {
		return logScore(20 * weighAll(b, fold))
	}
	// The cheapest of: any one gram in the pair tier, which reads four times as
	// many places as stride 4; three grams at stride 3; four at stride 4.
	var last [4]uint64
	best := uint64(1<<63 - 1)
	steps := uint(0) // the rarities of the three steps within the gram at i, a nibble each
	for _, k := range [...]int{1, 2} {
		steps = steps<<4 | rarity2(b[k-1], b[k])
	}
	for i := 0; i+4 <= len(b); i++ {
		steps = (steps<<4 | rarity2(b[i+2], b[i+3])) & 0xfff
		var w uint64
		if fold && hasLetter(b[i:i+4]) {
			w = weigh(b[i:i+4], true)
		} else {
			w = one >> min(rarity1(b[i])+steps>>8+steps>>4&15+steps&15, 40)
		}
		copy(last[:], last[1:])
		last[3] = w
		best = min(best, 4*w)
		if i >= 2 {
			best = min(best, (last[1]+last[2]+last[3])*4/3)
		}
		if i >= 3 {
			best = min(best, last[0]+last[1]+last[2]+last[3])
		}
	}
	// A hit costs the caller a verification.
	return logScore(best + 16*weighAll(b, fold))
}

func hasLetter(b []byte) bool {
	for _, c := range b {
		if isLetter(c) {
			return true
		}
	}
	return false
}

// logScore returns -8 log2(w/one), at least 0.
func logScore(w uint64) int {
	if w == 0 {
		w = 1
	}
	n := bits.Len64(w) - 1
	eighths := int(w << (63 - n) << 1 >> 61)
	return max(0, 8*40-8*n-eighths)
}

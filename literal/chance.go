package literal

import "math/bits"

// chances are the rarities of a literal's bytes, in half bits: from them the
// share of places in ordinary files at which a gram stands. Four bytes count in
// full; more of them count half, since what is common is common as a whole.
type chances struct {
	n     int            // bytes
	first [maxLen]uint16 // rarity of each byte alone
	sum   [maxLen]uint16 // of all steps up to each byte, from the one before it
}

// chances returns those of the bytes as a tier of the given kind takes them.
// deltas is what deltaRarities returns; only kind delta needs it.
func (l *literal) chances(k kind, deltas *[256]uint16) (c chances) {
	c.n = len(l.text)
	if k == delta {
		c.n--
		last := -1
		for i := range c.n {
			d := l.text[i] ^ l.text[i+1]
			c.first[i] = deltas[d]
			if i > 0 {
				c.sum[i] = c.sum[i-1]
				if d != 0 || last != 0 { // equal bytes come in runs
					c.sum[i] += deltas[d]
				}
			}
			last = int(d)
		}
		return c
	}
	var x, y byte
	for i, b := range l.text {
		u, v := b, b
		if k == lower || l.fold() && isLetter(b) {
			u, v = b|0x20, b&^0x20
		}
		c.first[i] = uint16(2 * min(rarity1(u), rarity1(v)))
		if i > 0 {
			c.sum[i] = c.sum[i-1] + uint16(2*min(rarity2(x, u), rarity2(x, v), rarity2(y, u), rarity2(y, v)))
		}
		x, y = u, v
	}
	return c
}

// gram returns how often the n bytes at i stand at a place, as a share of one.
func (c *chances) gram(i, n int) uint64 {
	near := min(n, 4)
	r := uint(c.first[i] + c.sum[i+near-1] - c.sum[i])
	if n > 4 {
		r += uint(c.sum[i+n-1]-c.sum[i+3]) / 2
	}
	return one >> min(r/2, 40)
}

// windows appends the shares of all windows of a stride and gram length: each
// the sum of those of its grams.
func (c *chances) windows(dst []uint64, stride, gram int) []uint64 {
	var weights [maxLen]uint64
	for i := range c.n - gram + 1 {
		weights[i] = c.gram(i, gram)
	}
	return append(dst, slide(weights[:c.n-gram+1], stride)...)
}

// rarest returns the share of the rarest window.
func (c *chances) rarest(stride, gram int) uint64 {
	var room [maxLen]uint64
	w := c.windows(room[:0], stride, gram)
	return w[cheapest(w)]
}

// slide turns the costs of grams into those of windows, each the sum of stride
// grams, in place.
func slide(cost []uint64, stride int) []uint64 {
	n := len(cost) - stride + 1
	for i := range n {
		for _, c := range cost[i+1 : i+stride] {
			cost[i] += c
		}
	}
	return cost[:n]
}

// cheapest returns the index of the first of the least.
func cheapest(cost []uint64) int {
	best := 0
	for i, c := range cost {
		if c < cost[best] {
			best = i
		}
	}
	return best
}

// deltaRarities returns, in half bits, how rare each exclusive-or of two
// neighbours is.
func deltaRarities() *[256]uint16 {
	var out [256]uint16
	for d := range out {
		sum := uint64(0)
		for a := range 256 {
			sum += one >> (rarity1(byte(a)) + rarity2(byte(a), byte(a^d)))
		}
		out[d] = uint16(2 * max(0, 41-bits.Len64(sum)))
	}
	return &out
}

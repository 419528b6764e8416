package literal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

const (
	pairCount   = 1 << 16
	pairBuckets = 16
)

// pairTier appends the sections of the pair tier.
func (c *compiler) pairTier(lits []literal) {
	for i := range lits {
		l := &lits[i]
		var cost [maxLen]uint64
		if n := len(l.text) - 3; n > 0 {
			for k := range n {
				cost[k] = weigh(l.text[k:k+4], l.fold())
			}
			l.what |= uint32(slide(cost[:n], 1).at)
		}
	}
	slices.SortFunc(lits, func(a, b literal) int {
		return cmp.Or(bytes.Compare(a.windowOf(), b.windowOf()), cmp.Compare(a.id, b.id))
	})
	counts := make([]uint32, pairCount+1)
	each := func(f func(pair uint32, l *literal)) {
		for i := range lits {
			for _, pair := range lits[i].firstPairs() {
				f(pair, &lits[i])
			}
		}
	}
	each(func(pair uint32, _ *literal) { counts[pair+1]++ })
	for i := range pairCount {
		counts[i+1] += counts[i]
	}
	links := make([]link, counts[pairCount])
	next := slices.Clone(counts)
	each(func(pair uint32, l *literal) {
		links[next[pair]] = l.link()
		next[pair]++
	})
	section(c, 40, pairTable(lits))
	section(c, 48, counts)
	section(c, 56, links)
}

// windowOf returns the bytes of l by which the pair tier finds it, 1 to 4.
func (l *literal) windowOf() []byte {
	w := l.text[l.window():]
	return w[:min(4, len(w))]
}

// spread returns all pairs that part, 0 to 2 bytes, may be the start of. The
// first byte is the low one.
func (l *literal) spread(part []byte) []uint32 {
	if len(part) == 0 {
		return l.spread2([]uint32{0}, 0)
	}
	if len(part) == 1 {
		return l.spread2(spellings(nil, part, l.fold()), 8)
	}
	return spellings(nil, part[:2], l.fold())
}

// spread2 returns the pairs that have one of the values below bit from.
func (l *literal) spread2(low []uint32, from int) []uint32 {
	var out []uint32
	for _, v := range low {
		for x := v; x < pairCount; x += 1 << from {
			out = append(out, x)
		}
	}
	return out
}

func (l *literal) firstPairs() []uint32 { w := l.windowOf(); return l.spread(w[:min(2, len(w))]) }

func (l *literal) secondPairs() []uint32 { return l.spread(l.windowOf()[min(2, len(l.windowOf())):]) }

// link returns the link of l: a letter whose case does not count loses bit 0x20.
func (l *literal) link() link {
	out := link{member: l.member}
	for k, b := range l.windowOf() {
		m := byte(0xff)
		if l.fold() && isLetter(b) {
			m = 0xdf
		}
		out.bytes |= uint32(b&m) << (8 * k)
		out.mask |= uint32(m) << (8 * k)
	}
	return out
}

// pairTable deals the literals, sorted by window, into the buckets. Those of 1
// and 2 bytes, any pair following, have the last one for themselves.
func pairTable(lits []literal) []uint32 {
	table := make([]uint32, pairCount)
	enter := func(l *literal, bucket int) {
		for _, p := range l.firstPairs() {
			table[p] |= 1 << bucket
		}
		for _, p := range l.secondPairs() {
			table[p] |= 1 << (bucket + 16)
		}
	}
	// A bucket's share is what its pairs weigh, so that no bucket has all the
	// common ones; neighbours in the order share their first pairs.
	weight := func(l *literal) uint64 {
		w := l.windowOf()
		sum := weigh(w[:2], l.fold()) + weigh(w[2:], l.fold())
		return sum>>20 + 1
	}
	buckets, total := pairBuckets, uint64(0)
	for i := range lits {
		if len(lits[i].text) < 3 {
			buckets = pairBuckets - 1
			enter(&lits[i], buckets)
		}
	}
	for i := range lits {
		if len(lits[i].text) >= 3 {
			total += weight(&lits[i])
		}
	}
	sum := uint64(0)
	for i := range lits {
		if l := &lits[i]; len(l.text) >= 3 {
			enter(l, int(sum*uint64(buckets)/total))
			sum += weight(l)
		}
	}
	return table
}

// scanPairs finds the block's literals of the pair tier.
func (s *Set) scanPairs(r *run) {
	end := min(r.to+s.pairReach, len(r.buf))
	for i := r.from; i < end && !r.full; {
		n, next := s.probePairs(r.buf, i, end, &r.found)
		s.resolvePairs(r, i, n)
		i = next
	}
}

// probePairs lists the places from i below end where the first and the second
// pair share a bucket, and says where it stopped.
func (s *Set) probePairs(buf []byte, i, end int, found *[batchSize]uint32) (n, next int) {
	table := (*[pairCount]uint32)(s.pairs)
	base := i
	if i+11 <= len(buf) && i+8 <= end {
		v0, v1 := table[uint16(load4(buf, i))], table[uint16(load4(buf, i+1))]
		for ; i+11 <= len(buf) && i+8 <= end && n <= batchSize-8; i += 8 {
			b := buf[i+2 : i+11 : i+11]
			v2, v3 := table[pairAt(b, 0)], table[pairAt(b, 1)]
			v4, v5 := table[pairAt(b, 2)], table[pairAt(b, 3)]
			v6, v7 := table[pairAt(b, 4)], table[pairAt(b, 5)]
			v8, v9 := table[pairAt(b, 6)], table[pairAt(b, 7)]
			any := v0&(v2>>16) | v1&(v3>>16) | v2&(v4>>16) | v3&(v5>>16) |
				v4&(v6>>16) | v5&(v7>>16) | v6&(v8>>16) | v7&(v9>>16)
			if uint16(any) != 0 {
				at := uint32(i - base)
				for k, c := range [8]uint32{v0 & (v2 >> 16), v1 & (v3 >> 16), v2 & (v4 >> 16), v3 & (v5 >> 16),
					v4 & (v6 >> 16), v5 & (v7 >> 16), v6 & (v8 >> 16), v7 & (v9 >> 16)} {
					found[n&(batchSize-1)] = at + uint32(k)
					n += int((uint32(uint16(c)) + 0xffff) >> 16)
				}
			}
			v0, v1 = v8, v9
		}
	}
	if n > batchSize-8 || i+11 <= len(buf) && i+8 <= end {
		return n, i
	}
	for ; i < end && n < batchSize; i++ {
		x := load4(buf, i)
		found[n&(batchSize-1)] = uint32(i - base)
		n += int((uint32(uint16(table[uint16(x)]&(table[x>>16]>>16))) + 0xffff) >> 16)
	}
	return n, i
}

// pairAt returns the pair at k of b.
func pairAt(b []byte, k int) uint16 { return binary.LittleEndian.Uint16(b[k:]) }

// resolvePairs compares the literals that may begin at the n places found from
// base on.
func (s *Set) resolvePairs(r *run, base, n int) {
	missed, any := uint32(0), false
	for _, at := range r.found[:n] {
		i := base + int(at)
		x := load4(r.buf, i)
		if any && x == missed {
			continue
		}
		fits := false
		pair := s.chains[x&0xffff:][:2]
		for k := pair[0]; k < pair[1]; k++ {
			if l := &s.links[k]; x&l.mask == l.bytes {
				fits = true
				s.confirm(r, l.member, i-l.window())
				if r.full {
					return
				}
			}
		}
		if !fits {
			missed, any = x, true
		}
	}
}

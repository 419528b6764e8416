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
	wholeMask   = 1<<32 - 1 // of a link whose window has 4 bytes
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
			l.what |= uint32(cheapest(cost[:n]))
			l.setCheck(4)
		}
	}
	slices.SortFunc(lits, func(a, b literal) int {
		return cmp.Or(bytes.Compare(a.windowOf(), b.windowOf()), cmp.Compare(a.id, b.id))
	})
	counts := make([]uint32, pairCount+1)
	each := func(f func(pair uint32, k link)) {
		for i := range lits {
			lits[i].links(f)
		}
	}
	each(func(pair uint32, _ link) { counts[pair+1]++ })
	for i := range pairCount {
		counts[i+1] += counts[i]
	}
	links := make([]link, counts[pairCount])
	next := slices.Clone(counts)
	each(func(pair uint32, k link) {
		links[next[pair]] = k
		next[pair]++
	})
	for i := range pairCount {
		slices.SortFunc(links[counts[i]:counts[i+1]], func(a, b link) int {
			return cmp.Or(cmp.Compare(a.mask, b.mask), cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.id, b.id))
		})
	}
	section(c, 40, pairTable(lits))
	section(c, 48, counts)
	section(c, 56, links)
}

// windowOf returns the bytes of l by which the pair tier finds it, 1 to 4.
func (l *literal) windowOf() []byte {
	w := l.text[l.window():]
	return w[:min(4, len(w))]
}

// firstPairs returns the pairs that the window of l may begin with: the first
// byte is the low one.
func (l *literal) firstPairs() []uint32 {
	w := l.windowOf()
	if len(w) > 1 {
		return spellings(nil, w[:2], l.fold())
	}
	var out []uint32
	for _, v := range spellings(nil, w, l.fold()) {
		for ; v < pairCount; v += 1 << 8 {
			out = append(out, v)
		}
	}
	return out
}

// links calls f with the links of l, each under its first pair: one for each
// spelling of a window of 4 bytes; one for a shorter window, where a letter whose
// case does not count loses bit 0x20.
func (l *literal) links(f func(pair uint32, k link)) {
	out := link{member: l.member, mask: wholeMask}
	w := l.windowOf()
	if len(w) == 4 {
		var room [16]uint32
		for _, g := range spellings(room[:0], w, l.fold()) {
			out.bytes = g
			f(g&0xffff, out)
		}
		return
	}
	out.mask = 0
	for k, b := range w {
		m := byte(0xff)
		if l.fold() && isLetter(b) {
			m = 0xdf
		}
		out.bytes |= uint32(b&m) << (8 * k)
		out.mask |= uint32(m) << (8 * k)
	}
	for _, pair := range l.firstPairs() {
		f(pair, out)
	}
}

// pairTable deals the literals into the buckets, the common ones first, each
// where it adds least to the places that pass. Those of 1 and 2 bytes, any pair
// following, have the last bucket for themselves.
func pairTable(lits []literal) []uint32 {
	var d dealer
	open := pairBuckets
	var deals []deal
	for i := range lits {
		l := &lits[i]
		if w := l.windowOf(); len(w) > 2 {
			deals = append(deals, deal{weigh(w, l.fold()), l.firstPairs(), spellings(nil, w[2:], l.fold()), len(w) == 3})
			continue
		}
		open = pairBuckets - 1
		for _, p := range l.firstPairs() {
			d.table[p] |= 1 << open
		}
	}
	if open < pairBuckets {
		for p := range d.table {
			d.table[p] |= 1 << (open + 16)
		}
	}
	slices.SortStableFunc(deals, func(a, b deal) int { return cmp.Compare(b.weight, a.weight) })
	for i := range deals {
		best, least := 0, uint64(1<<64-1)
		for k := range open {
			if w := d.adds(k, &deals[i]); w < least {
				best, least = k, w
			}
		}
		d.enter(best, &deals[i])
	}
	return d.table[:]
}

// deal is a literal of the pair tier on its way into a bucket.
type deal struct {
	weight uint64
	first  []uint32
	second []uint32
	wild   bool // the second are single bytes, whatever follows them
}

// rest is how often p, a second pair or byte, goes on as it does; of 1<<20.
func (l *deal) rest(p uint32) uint64 {
	if l.wild {
		return 1 << 20
	}
	return 1 << 20 >> rarity2(byte(p), byte(p>>8))
}

// dealer holds the buckets. A place passes where a first pair of a bucket is
// followed by a second one of it.
type dealer struct {
	table [pairCount]uint32
	// By bucket and byte c: share of places that have a first pair and then c,
	// of 1<<30; share of what follows c that is a second pair, of 1<<20.
	first, second [pairBuckets][256]uint64
}

// whole is how often p stands at a place; of 1<<30.
func whole(p uint32) uint64 {
	return 1 << 30 >> (rarity1(byte(p)) + rarity2(byte(p), byte(p>>8)))
}

// adds returns how much oftener places pass when l enters bucket k; of 1<<50.
func (d *dealer) adds(k int, l *deal) uint64 {
	sum := uint64(0)
	for _, p := range l.first {
		if d.table[p]>>k&1 == 0 {
			sum += whole(p) * d.second[k][p>>8]
		}
	}
	for _, p := range l.second {
		if d.table[p]>>(k+16)&1 == 0 {
			sum += d.first[k][p&0xff] * l.rest(p)
		}
	}
	return sum
}

// enter puts l into bucket k.
func (d *dealer) enter(k int, l *deal) {
	for _, p := range l.first {
		if d.table[p]>>k&1 == 0 {
			d.table[p] |= 1 << k
			for c := range 256 {
				d.first[k][c] += whole(p) >> rarity2(byte(p>>8), byte(c))
			}
		}
	}
	for _, p := range l.second {
		if d.table[p]>>(k+16)&1 == 0 {
			for c := range 256 {
				d.second[k][c] += l.rest(p) >> rarity2(byte(c), byte(p))
			}
		}
		d.table[p] |= 1 << (k + 16)
		for ; l.wild && p < pairCount; p += 1 << 8 {
			d.table[p] |= 1 << (k + 16)
		}
	}
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
				for k, c := range [8]uint32{
					v0 & (v2 >> 16), v1 & (v3 >> 16), v2 & (v4 >> 16), v3 & (v5 >> 16),
					v4 & (v6 >> 16), v5 & (v7 >> 16), v6 & (v8 >> 16), v7 & (v9 >> 16),
				} {
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
		fits := s.follow(r, i, x)
		if r.full {
			return
		}
		if !fits {
			missed, any = x, true
		}
	}
}

// follow goes through the chain of the place at, where x stands.
func (s *Set) follow(r *run, at int, x uint32) (fits bool) {
	pair := s.chains[x&0xffff:][:2]
	chain := s.links[pair[0]:pair[1]]
	for len(chain) > 0 && chain[0].mask != wholeMask {
		if l := &chain[0]; x&l.mask == l.bytes {
			fits = true
			s.confirm(r, &l.member, at-l.window())
		}
		chain = chain[1:]
	}
	if len(chain) > longBucket {
		k, _ := slices.BinarySearchFunc(chain, x, func(l link, x uint32) int { return cmp.Compare(l.bytes, x) })
		chain = chain[k:]
	}
	for k := range chain {
		l := &chain[k]
		if l.bytes > x || r.full {
			break
		}
		if l.bytes == x {
			fits = true
			s.confirm(r, &l.member, at-l.window())
		}
	}
	return fits
}

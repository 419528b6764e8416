package literal

import (
	"bytes"
	"cmp"
	"slices"
)

// The short tier.
const (
	shortPlaces  = 4  // bytes of a window, at most
	shortBuckets = 16 // bits of a mask
	shortNarrow  = 48 // literals up to which 8 buckets do
	shortTable   = shortPlaces * 2 * 16
)

// shortTier appends the sections of the short tier.
func (c *compiler) shortTier(lits []literal) {
	slices.SortFunc(lits, func(a, b literal) int { return cmp.Or(bytes.Compare(a.text, b.text), cmp.Compare(a.id, b.id)) })
	deals := make([]shortDeal, len(lits))
	for i := range lits {
		l := &lits[i]
		ch := l.chances(exact, nil)
		if n := len(l.text) - shortPlaces + 1; n > 0 {
			var cost [maxLen]uint64
			for k := range n {
				cost[k] = ch.gram(k, shortPlaces)
			}
			l.what |= uint32(cheapest(cost[:n]))
			l.setCheck(shortPlaces)
		}
		deals[i] = shortDeal{l, ch.gram(l.window(), len(l.windowOf()))}
	}
	slices.SortStableFunc(deals, func(a, b shortDeal) int { return cmp.Compare(b.weight, a.weight) })
	d := dealer{buckets: shortBuckets}
	if len(lits) <= shortNarrow {
		d.buckets = shortBuckets / 2
	}
	var in [shortBuckets][]link
	for _, x := range deals {
		b := d.enter(x.windowOf(), x.fold())
		in[b] = append(in[b], x.link())
	}
	var links []link
	starts := make([]uint32, shortBuckets+1)
	for b := range in {
		slices.SortStableFunc(in[b], func(a, b link) int { return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.id, b.id)) })
		links = append(links, in[b]...)
		starts[b+1] = uint32(len(links))
	}
	section(c, 40, d.table())
	section(c, 48, starts)
	section(c, 56, links)
}

// shortDeal is a literal of the short tier on its way into a bucket.
type shortDeal struct {
	*literal
	weight uint64
}

// windowOf returns the bytes of l by which the short tier finds it, 1 to 4.
func (l *literal) windowOf() []byte {
	w := l.text[l.window():]
	return w[:min(shortPlaces, len(w))]
}

// link returns the link of l. Where case is ignored, letters lose bit 0x20.
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

// dealer holds the buckets: for each place of a window, the low and the high
// halves of the bytes that its literals have there. A place passes where every
// byte has a low half and a high half of the bucket.
type dealer struct {
	buckets int
	sets    [shortBuckets]halves
	shares  [16][16]uint64 // of places that have a byte, by its low and high half; of 1<<20
	known   bool
}

// halves are, for each place, the halves of bytes: one bit each.
type halves [shortPlaces][2]uint16

// with returns the halves, and those of a window; what is after its end is any byte.
func (h halves) with(window []byte, fold bool) halves {
	for k := range h {
		if k >= len(window) {
			h[k] = [2]uint16{0xffff, 0xffff}
			continue
		}
		b := window[k]
		h[k][0] |= 1 << (b & 15)
		h[k][1] |= 1 << (b >> 4)
		if fold && isLetter(b) {
			h[k][1] |= 1 << (b>>4 ^ 2)
		}
	}
	return h
}

// passes returns the share of places that pass, of 1<<20.
func (d *dealer) passes(h halves) uint64 {
	if !d.known {
		d.known = true
		for b := range 256 {
			d.shares[b&15][b>>4] = 1 << 20 >> rarity1(byte(b))
		}
	}
	p := uint64(1 << 20)
	for k := range h {
		sum := uint64(0)
		for lo := range 16 {
			if h[k][0]>>lo&1 == 0 {
				continue
			}
			for hi := range 16 {
				if h[k][1]>>hi&1 != 0 {
					sum += d.shares[lo][hi]
				}
			}
		}
		p = p*min(sum, 1<<20)>>20 + 1
	}
	for _, r := range runs {
		in := true
		for k := range h {
			in = in && h[k][0]>>(r.of&15)&1 != 0 && h[k][1]>>(r.of>>4)&1 != 0
		}
		if in {
			p += r.share
		}
	}
	return p
}

// runs are bytes of which files hold long runs, and the share of places in them, of 1<<20.
var runs = [...]struct {
	of    byte
	share uint64
}{{0, 1 << 17}, {0xff, 1 << 14}, {' ', 1 << 14}}

// enter puts a window into the bucket where it adds least, and returns that.
func (d *dealer) enter(window []byte, fold bool) int {
	best, least := 0, uint64(1<<63)
	for b := range d.buckets {
		before := uint64(0)
		if d.sets[b] != (halves{}) {
			before = d.passes(d.sets[b])
		}
		if more := d.passes(d.sets[b].with(window, fold)) - before; more < least {
			best, least = b, more
		}
	}
	d.sets[best] = d.sets[best].with(window, fold)
	return best
}

// table returns the masks of buckets: for each place, 16 of low halves and 16
// of high halves.
func (d *dealer) table() []uint32 {
	out := make([]uint32, shortTable)
	for b, h := range d.sets {
		for k := range h {
			for half, set := range h[k] {
				for v := range 16 {
					out[(k*2+half)*16+v] |= uint32(set>>v&1) << b
				}
			}
		}
	}
	return out
}

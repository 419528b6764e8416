package plant

import (
	"slices"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/unpack/exe"
)

// canvas is a file while it is laid out.
type canvas struct {
	data, mask []byte // mask: the bits that must stay
	used       []bool // something stands there
	info       *exe.Info
	vi         []int // where version strings begin, one for each item that asks
}

// margin is kept free around a body, for its boundaries.
const margin = 3

// canvas makes n bytes that mean nothing.
func (g *gen) canvas(n int) *canvas {
	c := &canvas{data: make([]byte, n), mask: make([]byte, n), used: make([]bool, n)}
	if g.text {
		g.words(c.data)
		return c
	}
	for i := 0; i < n; i += 8 {
		v := g.rng.Uint64()
		for j := i; j < min(i+8, n); j++ {
			c.data[j] = byte(v)
			v >>= 8
		}
	}
	// To clamscan half of all data is UTF-16 text without a mark. A unit that
	// is a control character makes it data.
	for i := 2; i+1 < min(n, 1024); i += 30 {
		c.data[i], c.data[i+1] = 0, 1
	}
	return c
}

// words fills b with lower-case words and single spaces.
func (g *gen) words(b []byte) {
	left := 1 + g.rng.IntN(9)
	for i := range b {
		if left--; left < 0 && i+1 < len(b) {
			b[i], left = ' ', 1+g.rng.IntN(9)
			continue
		}
		b[i] = lowers[g.rng.IntN(26)]
	}
}

// header puts bytes that must stay.
func (c *canvas) header(off int, b []byte) { c.fix(off, b, 0xff) }

// soft puts bytes that a body may stand on all the same.
func (c *canvas) soft(off int, b []byte) { c.fix(off, b, 0) }

func (c *canvas) fix(off int, b []byte, mask byte) {
	for i := range b {
		if at := off + i; at >= 0 && at < len(c.data) {
			c.data[at], c.used[at] = b[i], true
			c.mask[at] |= mask
		}
	}
}

// fits tells whether a body can be put without changing what must stay.
func (c *canvas) fits(off int, b *body) bool {
	if off < 0 || off > len(c.data)-len(b.data) {
		return false
	}
	for i, v := range b.data {
		if (v^c.data[off+i])&b.mask[i]&c.mask[off+i] != 0 {
			return false
		}
	}
	return true
}

func (c *canvas) put(off int, b *body) {
	for i, v := range b.data {
		m := b.mask[i]
		at := off + i
		c.used[at] = true
		switch {
		case m == 0:
		case c.mask[at] == 0:
			c.data[at] = v
		default:
			c.data[at] = c.data[at]&^m | v&m
		}
		c.mask[at] |= m
	}
}

// free tells whether nothing stands at [lo, hi).
func (c *canvas) free(lo, hi int) bool {
	lo, hi = max(lo, 0), min(hi, len(c.used))
	return !slices.Contains(c.used[lo:hi], true)
}

// starts returns where an anchored body may begin, lo to hi.
func (c *canvas) starts(a pattern.Anchor) (lo, hi int64, ok bool) {
	at := func(base int64) (int64, int64, bool) { return base + a.Offset, base + a.Offset + a.Shift, true }
	switch a.Base {
	case pattern.Start:
		return at(0)
	case pattern.End:
		lo = int64(len(c.data)) - a.Offset
		return lo, lo + a.Shift, true
	}
	if c.info == nil {
		return 0, 0, false
	}
	secs := c.info.Sections
	switch a.Base {
	case pattern.Entry:
		return at(c.info.Entry)
	case pattern.Section:
		if a.Number < len(secs) {
			return at(secs[a.Number].Offset)
		}
	case pattern.LastSection:
		if len(secs) > 0 {
			return at(secs[len(secs)-1].Offset)
		}
	case pattern.SectionEnd:
		if a.Number < len(secs) {
			s := secs[a.Number]
			return s.Offset, s.Offset + s.Size, true
		}
	}
	return 0, 0, false
}

// lay puts all items: those with an exact place first, then those with a
// range, then those that may stand anywhere.
func (g *gen) lay(c *canvas) error {
	vi := 0
	rank := func(it *item) int {
		switch {
		case it.anchor.Base == pattern.Anywhere:
			return 3
		case it.anchor.Base == pattern.SectionEnd:
			return 2
		case it.anchor.Shift > 0:
			return 1
		}
		return 0
	}
	order := slices.Clone(g.items)
	slices.SortStableFunc(order, func(a, b *item) int { return rank(a) - rank(b) })
	for _, it := range order {
		ok := false
		switch {
		case it.anchor.Base == pattern.VersionInfo:
			if vi >= len(c.vi) {
				return NoSections
			}
			it.off = c.vi[vi]
			vi++
			ok = c.fits(it.off, &it.body)
		case rank(it) == 3:
			ok = g.anywhere(c, it, 0, len(c.data))
		default:
			lo, hi, known := c.starts(it.anchor)
			if !known {
				return NoSections
			}
			ok = g.anchored(c, it, lo, hi)
		}
		if !ok {
			return Collision
		}
		c.put(it.off, &it.body)
	}
	if err := g.claims(c); err != nil {
		return err
	}
	if err := g.compare(c); err != nil {
		return err
	}
	if err := g.spoil(c); err != nil {
		return err
	}
	return g.decided(c)
}

// anchored chooses a place for an item between lo and hi; for a flaw "shift",
// just outside.
func (g *gen) anchored(c *canvas, it *item, lo, hi int64) bool {
	if it.flaw == "shift" {
		if it.off = int(hi) + 1; g.chance(1, 2) && lo > 0 {
			it.off = int(lo) - 1
		}
		it.flawed = true
		return c.fits(it.off, &it.body)
	}
	if it.anchor.Base == pattern.SectionEnd && hi-lo > int64(len(it.data)) && g.chance(3, 4) {
		if g.anywhere(c, it, int(lo), int(hi)+1) {
			return true
		}
	}
	for range 60 {
		if it.off = int(g.within(lo, hi)); c.fits(it.off, &it.body) {
			return true
		}
	}
	return false
}

// anywhere finds a free place within [lo, hi).
func (g *gen) anywhere(c *canvas, it *item, lo, hi int) bool {
	lo, hi = max(lo, 0), min(hi, len(c.data))
	n := len(it.data)
	ok := func(at int) bool {
		it.off = at
		return at >= lo && at+n <= hi && c.free(at-margin, at+n+margin)
	}
	if hi-lo < n {
		return false
	}
	if g.chance(1, 8) && ok(hi-n) { // at the very end
		return true
	}
	for range 40 {
		if ok(lo + g.rng.IntN(hi-lo-n+1)) {
			return true
		}
	}
	for at := lo; at+n <= hi; at++ {
		if ok(at) {
			return true
		}
	}
	return false
}

// claims makes the boundaries hold, by the bytes around the bodies.
func (g *gen) claims(c *canvas) error {
	pairs := g.around()
	for _, it := range g.items {
		for _, cl := range it.claims {
			at := it.off + cl.at
			if cl.near != nil {
				if !g.near(c, cl, at) {
					return NoBoundary
				}
				continue
			}
			from := at
			if cl.before() {
				from = at - 2
			}
			done := cl.holds(c.data, at)
			for range 120 {
				if done {
					break
				}
				i := g.rng.IntN(len(pairs) - 1)
				for j := range 2 {
					if p := from + j; p >= 0 && p < len(c.data) && c.mask[p] == 0 {
						c.data[p] = pairs[i+j]
					}
				}
				done = cl.holds(c.data, at)
			}
			if !done {
				return NoBoundary
			}
			for j := range 2 {
				if p := from + j; p >= 0 && p < len(c.data) {
					c.mask[p] = 0xff
				}
			}
		}
	}
	return nil
}

// spoil makes the flaw "byte", or tells that another flaw was not made.
func (g *gen) spoil(c *canvas) error {
	if g.flaw.kind == "" || g.flaw.kind == "size" || g.flaw.kind == "count" {
		return nil
	}
	it := g.items[g.flaw.item]
	if g.flaw.kind != "byte" {
		if !it.flawed {
			return NoFlaw
		}
		return nil
	}
	if len(it.hard) == 0 {
		return NoFlaw
	}
	k := it.hard[g.rng.IntN(len(it.hard))]
	m, was := it.mask[k], it.data[k]
	for range 100 {
		now := was ^ 1<<g.rng.IntN(8)
		if g.text {
			now = lowers[g.rng.IntN(26)]
		}
		if (now^was)&m == 0 || it.fold[k] && isLetter(was) && now|0x20 == was|0x20 {
			continue
		}
		c.data[it.off+k] = now
		return nil
	}
	return NoFlaw
}

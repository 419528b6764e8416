package volume

import (
	mathbits "math/bits"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// books say in which units of a volume, clusters or blocks, something was found. A
// file system has such a list of its own; where the two differ, it lies.
type books struct {
	unit  int64 // bytes
	base  int64 // of unit 0 in the layer
	count int64 // units
	pages map[int64]*[bookPage]uint64
	twice bool // one unit is in two files
	full  bool // there are more than can be noted
}

const (
	bookPage  = 512
	bookPages = 8 << 10 // of 32,768 units and 4 KiB each
	lostMost  = 4096    // stretches that are given one by one
	lostChunk = 64 << 10
)

func newBooks(base, unit, count int64) *books {
	return &books{unit: unit, base: base, count: count, pages: map[int64]*[bookPage]uint64{}}
}

func (b *books) has(i int64) bool {
	p := b.pages[i/(64*bookPage)]
	return p != nil && p[i/64%bookPage]>>(i%64)&1 == 1
}

// mark notes the units from i to end, and tells whether all were free.
func (b *books) mark(i, end int64) bool {
	free := true
	i, end = max(i, 0), min(end, b.count)
	for i < end {
		k := i / (64 * bookPage)
		p := b.pages[k]
		if p == nil && len(b.pages) >= bookPages {
			b.full = true
			i = (k + 1) * 64 * bookPage
			continue
		}
		if p == nil {
			p = new([bookPage]uint64)
			b.pages[k] = p
		}
		n := min(64-i%64, end-i)
		bits := ^uint64(0) >> (64 - n) << (i % 64)
		w := &p[i/64%bookPage]
		free = free && *w&bits == 0
		*w |= bits
		i += n
	}
	return free
}

// took notes a stretch of the layer as the file system's own.
func (g *giver) took(off, n int64) {
	if g.books == nil || off < 0 || n <= 0 {
		return
	}
	b := g.books
	from, to := off-b.base, bound.Add(off-b.base, n)
	if to <= 0 || !g.work(min(n, g.src.Size())/b.unit/512+1) {
		return
	}
	b.mark(max(from, 0)/b.unit, (to+b.unit-1)/b.unit)
}

// tookFile notes a stretch as that of a file, or of a directory: nobody else's.
func (g *giver) tookFile(off, n int64) {
	if g.books == nil || off < 0 || n <= 0 || off < g.books.base {
		return
	}
	b := g.books
	if !g.work(min(n, g.src.Size())/b.unit/512 + 1) {
		return
	}
	if !b.mark((off-b.base)/b.unit, (bound.Add(off-b.base, n)+b.unit-1)/b.unit) {
		b.twice = true
	}
}

// list is a file system's own list of units in use.
type list interface {
	// next is the first unit from i on that is in use, or an answer of end or more.
	next(i, end int64) int64
	// known tells whether the list speaks of unit i.
	known(i int64) bool
}

// lost gives what the file system has in use and nothing was found in, in stretches
// as it stands there. That, a unit in two files, and one in a file that is not in use
// is damage.
func (g *giver) lost(op string, used list) {
	if g.books == nil || g.stop || g.apart {
		return
	}
	b := g.books
	if b.full {
		g.out.Gap(showcause.LimitMemory, 0, -1)
		return
	}
	end := min(b.count, max(g.src.Size()-b.base+b.unit-1, 0)/b.unit)
	n, wrong := 0, b.twice || g.idle(used, end)
	for i := int64(0); g.work(8); i++ {
		if i = used.next(i, end); i >= end {
			break
		}
		if b.has(i) {
			continue
		}
		from := i
		for i+1 < end && !b.has(i+1) && used.next(i+1, i+2) == i+1 && g.work(1) {
			i++
		}
		if n >= lostMost {
			i = end - 1
		}
		off, to := b.base+from*b.unit, min(b.base+(i+1)*b.unit, g.src.Size())
		if off = g.filled(off, to); off >= to {
			continue
		}
		n, wrong = n+1, true
		g.stop = g.stop || !g.out.Child(unpack.Child{Op: op, Source: bound.Section(g.src, off, to-off), Size: to - off})
	}
	if wrong && !g.stop {
		g.corrupt(g.src.Size())
	}
}

// idle tells whether something was found in a unit that is not in use.
func (g *giver) idle(used list, end int64) bool {
	for k, p := range g.books.pages {
		for w, bits := range p {
			for ; bits != 0; bits &= bits - 1 {
				i := (k*bookPage+int64(w))*64 + int64(mathbits.TrailingZeros64(bits))
				if i < end && used.known(i) && used.next(i, i+1) != i {
					return true
				}
			}
			if w%64 == 0 && !g.work(64) {
				return false
			}
		}
	}
	return false
}

// filled is from where on something but zeros stands in a stretch.
func (g *giver) filled(off, end int64) int64 {
	for off < end && g.work(64) {
		b, _ := bound.ReadAt(g.src, off, min(lostChunk, end-off), lostChunk)
		for i, c := range b {
			if c != 0 {
				return (off + int64(i)) &^ 511
			}
		}
		if len(b) == 0 {
			break
		}
		off += int64(len(b))
	}
	return end
}

// bitmap reads bits, one of a unit, from a Source; those that are not there are 0.
type bitmap struct {
	src  showcause.Source
	big  bool // the first unit is the highest bit of a byte
	page []byte
	at   int64
}

func (m *bitmap) known(int64) bool { return true }

func (m *bitmap) has(i int64) bool { return m.next(i, i+1) == i }

func (m *bitmap) next(i, end int64) int64 {
	for end = min(end, m.src.Size()*8); i < end; {
		k := i / 8
		if m.page == nil || k < m.at || k >= m.at+int64(len(m.page)) {
			m.at = k &^ 4095
			m.page, _ = bound.ReadAt(m.src, m.at, min(4096, max(m.src.Size()-m.at, 0)), 4096)
			if k >= m.at+int64(len(m.page)) {
				return end
			}
		}
		c := m.page[k-m.at]
		if c == 0 { // as is most of a large one
			for k-m.at < int64(len(m.page)) && m.page[k-m.at] == 0 {
				k++
			}
			i = k * 8
			continue
		}
		if m.big {
			c = mathbits.Reverse8(c)
		}
		if c >>= i % 8; c != 0 {
			return min(i+int64(mathbits.TrailingZeros8(c)), end)
		}
		i = (k + 1) * 8
	}
	return max(i, end)
}

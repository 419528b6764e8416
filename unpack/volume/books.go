package volume

import (
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
}

const (
	bookPage  = 512
	lostMost  = 4096 // stretches that are given one by one
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

// lost gives what the file system has in use and nothing was found in, in stretches
// as it stands there; used tells of one unit. That, a unit in two files, and one in
// use that is free is damage.
func (g *giver) lost(op string, used func(i int64) bool) {
	if g.books == nil || g.stop || g.apart {
		return
	}
	b, n, wrong := g.books, 0, g.books.twice
	for i := int64(0); i < b.count && !g.stop; i++ {
		if i%256 == 0 && !g.work(8) {
			return
		}
		if !used(i) || b.has(i) {
			continue
		}
		from := i
		for i+1 < b.count && (used(i+1) && !b.has(i+1) || n >= lostMost) {
			i++
		}
		off, end := b.base+from*b.unit, min(b.base+(i+1)*b.unit, g.src.Size())
		if off = g.content(off, end); off >= end {
			continue
		}
		n, wrong = n+1, true
		g.stop = !g.out.Child(unpack.Child{Op: op, Source: bound.Section(g.src, off, end-off), Size: end - off})
	}
	if wrong && !g.stop {
		g.corrupt(g.src.Size())
	}
}

// content is from where on something but zeros stands in a stretch.
func (g *giver) content(off, end int64) int64 {
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

func (m *bitmap) has(i int64) bool {
	k := i / 8
	if m.page == nil || k < m.at || k >= m.at+int64(len(m.page)) {
		m.at = k &^ 4095
		m.page, _ = bound.ReadAt(m.src, m.at, min(4096, max(m.src.Size()-m.at, 0)), 4096)
		if k >= m.at+int64(len(m.page)) {
			return false
		}
	}
	bit := i % 8
	if m.big {
		bit = 7 - bit
	}
	return m.page[k-m.at]>>bit&1 == 1
}

package extent

import (
	mathbits "math/bits"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Books say in which units of a volume, clusters or blocks, something was found. A
// file system has such a list of its own; where the two differ, it lies.
type Books struct {
	unit  int64 // bytes
	base  int64 // of unit 0 in the layer
	Count int64 // units
	pages map[int64]*[bookPage]uint64
	Twice bool // one unit is in two files
	full  bool // there are more than can be noted
}

const (
	bookPage  = 512
	bookPages = 8 << 10  // of 32,768 units and 4 KiB each
	lostMost  = 4096     // stretches that are given one by one
	Chunk     = 64 << 10 // bytes that are read at a time
)

// NewBooks returns empty books of count units, the first of which is at base.
func NewBooks(base, unit, count int64) *Books {
	return &Books{unit: unit, base: base, Count: count, pages: map[int64]*[bookPage]uint64{}}
}

// Has tells whether unit i was marked.
func (b *Books) Has(i int64) bool {
	p := b.pages[i/(64*bookPage)]
	return p != nil && p[i/64%bookPage]>>(i%64)&1 == 1
}

// Mark notes the units from i to end, and tells whether all were free.
func (b *Books) Mark(i, end int64) bool {
	free := true
	i, end = max(i, 0), min(end, b.Count)
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

// Took notes a stretch of the layer as the file system's own.
func (g *Giver) Took(off, n int64) {
	if g.Books == nil || off < 0 || n <= 0 {
		return
	}
	b := g.Books
	from, to := off-b.base, bound.Add(off-b.base, n)
	if to <= 0 || !g.Work(min(n, g.Src.Size())/b.unit/512+1) {
		return
	}
	b.Mark(max(from, 0)/b.unit, (to+b.unit-1)/b.unit)
}

// TookFile notes a stretch as that of a file, or of a directory: nobody else's.
func (g *Giver) TookFile(off, n int64) {
	if g.Books == nil || off < 0 || n <= 0 || off < g.Books.base {
		return
	}
	b := g.Books
	if !g.Work(min(n, g.Src.Size())/b.unit/512 + 1) {
		return
	}
	if !b.Mark((off-b.base)/b.unit, (bound.Add(off-b.base, n)+b.unit-1)/b.unit) {
		b.Twice = true
	}
}

// List is a file system's own list of units in use.
type List interface {
	// Next is the first unit from i on that is in use, or an answer of end or more.
	Next(i, end int64) int64
	// Known tells whether the list speaks of unit i.
	Known(i int64) bool
}

// Lost gives what the file system has in use and nothing was found in, in stretches
// as it stands there. That, a unit in two files, and one in a file that is not in use
// is damage.
func (g *Giver) Lost(op string, used List) {
	if g.Books == nil || g.Stop || g.Apart {
		return
	}
	b := g.Books
	if b.full {
		g.Out.Gap(showcause.LimitMemory, 0, -1)
		return
	}
	end := min(b.Count, max(g.Src.Size()-b.base+b.unit-1, 0)/b.unit)
	n, wrong := 0, !g.Full && (b.Twice || g.idle(used, end))
	for i := int64(0); g.Work(8); i++ {
		if i = used.Next(i, end); i >= end {
			break
		}
		if b.Has(i) {
			continue
		}
		from := i
		for i+1 < end && !b.Has(i+1) && used.Next(i+1, i+2) == i+1 && g.Work(1) {
			i++
		}
		if n >= lostMost {
			i = end - 1
		}
		off, to := b.base+from*b.unit, min(b.base+(i+1)*b.unit, g.Src.Size())
		if off = g.filled(off, to); off >= to {
			continue
		}
		n, wrong = n+1, wrong || !g.Full
		g.Stop = g.Stop || !g.Hand(op, "", bound.Section(g.Src, off, to-off), to-off)
	}
	if wrong && !g.Stop {
		g.Corrupt(g.Src.Size())
	}
}

// idle tells whether something was found in a unit that is not in use.
func (g *Giver) idle(used List, end int64) bool {
	for k, p := range g.Books.pages {
		for w, bits := range p {
			for ; bits != 0; bits &= bits - 1 {
				i := (k*bookPage+int64(w))*64 + int64(mathbits.TrailingZeros64(bits))
				if i < end && used.Known(i) && used.Next(i, i+1) != i {
					return true
				}
			}
			if w%64 == 0 && !g.Work(64) {
				return false
			}
		}
	}
	return false
}

// filled is from where on something but zeros stands in a stretch.
func (g *Giver) filled(off, end int64) int64 {
	for off < end && g.Work(64) {
		b, _ := bound.ReadAt(g.Src, off, min(Chunk, end-off), Chunk)
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

// Bitmap reads bits, one of a unit, from a Source; those that are not there are 0.
type Bitmap struct {
	Src  showcause.Source
	Big  bool // the first unit is the highest bit of a byte
	page []byte
	at   int64
}

// Known is always true.
func (m *Bitmap) Known(int64) bool { return true }

// Has tells whether bit i is set.
func (m *Bitmap) Has(i int64) bool { return m.Next(i, i+1) == i }

// Next is the first bit from i on that is set, or an answer of end or more.
func (m *Bitmap) Next(i, end int64) int64 {
	for end = min(end, m.Src.Size()*8); i < end; {
		k := i / 8
		if m.page == nil || k < m.at || k >= m.at+int64(len(m.page)) {
			m.at = k &^ 4095
			m.page, _ = bound.ReadAt(m.Src, m.at, min(4096, max(m.Src.Size()-m.at, 0)), 4096)
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
		if m.Big {
			c = mathbits.Reverse8(c)
		}
		if c >>= i % 8; c != 0 {
			return min(i+int64(mathbits.TrailingZeros8(c)), end)
		}
		i = (k + 1) * 8
	}
	return max(i, end)
}

package unpack

import "github.com/showcause/showcause"

// Cost is what one layer and everything in it took of a Budget.
type Cost struct {
	Spent    showcause.Spent // Depth counts from the layer
	expanded int64
	zeros    int64
	asked    int64
	above    int // the deepest trail before
	depth    int // of the layer's own trail
}

// Mark begins to count what a layer at the given depth costs. Marks nest; each
// is ended by Since.
func (b *Budget) Mark(depth int) Cost {
	m := Cost{Spent: b.Spent, expanded: b.expanded, zeros: b.zeros, asked: b.guess.asked, above: b.Spent.Depth, depth: depth}
	b.Spent.Depth = depth
	return m
}

// Since ends a mark and returns what was spent since. It is not ok if passwords
// were looked for: more of them may be known another time.
func (b *Budget) Since(m Cost) (c Cost, ok bool) {
	c = Cost{
		Spent: showcause.Spent{
			Bytes: b.Spent.Bytes - m.Spent.Bytes, Objects: b.Spent.Objects - m.Spent.Objects,
			Depth: b.Spent.Depth - m.depth, Work: b.Spent.Work - m.Spent.Work,
		},
		expanded: b.expanded - m.expanded,
		zeros:    b.zeros - m.zeros,
	}
	b.Spent.Depth = max(b.Spent.Depth, m.above)
	return c, b.guess.asked == m.asked
}

// Repeat charges the cost of a layer another time, for one with the same bytes at
// the given depth. Where that comes near a limit it charges nothing and is false: what is left
// must then be counted out byte by byte.
func (b *Budget) Repeat(c Cost, depth int) bool {
	room, _ := b.room()
	// Some stages ask for room for more work than they take then.
	work := c.Spent.Work + c.Spent.Bytes/8
	if b.zeros+c.zeros > freeZeros || c.zeros > 0 && b.zeros+c.zeros == freeZeros || c.expanded > room || c.Spent.Objects > b.Limits.Objects-b.Spent.Objects || depth+c.Spent.Depth > b.Limits.Depth ||
		work >= b.Limits.Work-b.Spent.Work {
		return false
	}
	b.expanded += c.expanded
	b.zeros += c.zeros
	b.Spent.Bytes += c.Spent.Bytes
	b.Spent.Objects += c.Spent.Objects
	b.Spent.Work += c.Spent.Work
	b.Spent.Depth = max(b.Spent.Depth, depth+c.Spent.Depth)
	return true
}

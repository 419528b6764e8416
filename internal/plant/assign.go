package plant

import (
	"math"

	"github.com/showcause/showcause/rule"
)

// maxCount is the greatest number of matches of one pattern that is planted.
const maxCount = 400

// assign chooses how many matches each pattern gets, so that the condition
// holds: a random proposal, which is then put to the condition.
func (g *gen) assign() ([]int, error) {
	tooMany := false
	for range 60 {
		counts := make([]int, len(g.r.Patterns))
		g.satisfy(&g.r.Cond, counts)
		sum := 0
		for sub := range counts {
			if l := g.later(sub); l != nil && !l.Global {
				counts[sub] = min(counts[sub], 1)
			}
		}
		for _, n := range counts {
			if n > maxCount {
				tooMany = true
			}
			sum += n
		}
		if sum <= maxBodies && g.holds(counts) {
			return counts, nil
		}
		tooMany = tooMany || sum > maxBodies
	}
	if tooMany {
		return nil, TooMany
	}
	return nil, NoAssignment
}

func (g *gen) holds(counts []int) bool {
	return g.prog.Holds(func(sub int) uint32 {
		if l := g.later(sub); l != nil && !l.Global {
			return uint32(min(counts[sub], 1))
		}
		return uint32(counts[sub])
	})
}

// satisfy asks for matches that make a node true, more or less.
func (g *gen) satisfy(n *rule.Node, counts []int) {
	switch n.Op {
	case rule.Count:
		want := int(min(n.N, math.MaxInt32-1))
		switch n.Cmp {
		case rule.Greater:
			want++
		case rule.Less:
			want = g.rng.IntN(max(min(want, 8), 1))
		}
		counts[n.Sub] = max(counts[n.Sub], want)
		if l := g.later(n.Sub); l != nil && want > 0 {
			g.satisfy(&l.Trigger, counts)
		}
	case rule.And:
		for i := range n.Kids {
			g.satisfy(&n.Kids[i], counts)
		}
	case rule.Or:
		g.some(n, counts, 1)
	case rule.Group:
		g.group(n, counts)
	}
}

// some satisfies at least so many kids of an Or.
func (g *gen) some(n *rule.Node, counts []int, least int) {
	if g.chance(1, 6) {
		least += g.rng.IntN(len(n.Kids))
	}
	for i, k := range g.rng.Perm(len(n.Kids)) {
		if i < max(least, 1) {
			g.satisfy(&n.Kids[k], counts)
		}
	}
}

// group asks for a sum of matches and a number of patterns.
func (g *gen) group(n *rule.Node, counts []int) {
	if n.Cmp == rule.Equal && n.N == 0 || n.Cmp == rule.Less && g.chance(1, 3) {
		return // nothing there sums up to 0
	}
	kid := &n.Kids[0]
	if kid.Op == rule.Or {
		least := int(min(n.Distinct, 64))
		if least <= 1 && g.chance(1, 3) {
			least = g.rng.IntN(int(min(n.N, 63)) + 2)
		}
		g.some(kid, counts, least)
	} else {
		g.satisfy(kid, counts)
	}
	var leaves []int
	sum := 0
	var walk func(*rule.Node)
	walk = func(k *rule.Node) {
		if k.Op == rule.Count {
			sum += counts[k.Sub]
			if counts[k.Sub] > 0 && k.Cmp == rule.Greater {
				leaves = append(leaves, k.Sub)
			}
		}
		for i := range k.Kids {
			walk(&k.Kids[i])
		}
	}
	walk(kid)
	want := int(min(n.N, maxBodies+1))
	switch n.Cmp {
	case rule.Greater:
		want++
	case rule.Less:
		return
	}
	for ; sum < want && len(leaves) > 0; sum++ {
		counts[leaves[g.rng.IntN(len(leaves))]]++
	}
}

// plan chooses a flaw for which the condition does not hold any more. It may
// change the counts.
func (g *gen) plan(counts []int) error {
	kinds := []string{"byte", "byte", "gap", "shift", "boundary", "count", "size"}
	if g.try > tries/2 {
		kinds = []string{"byte"}
	}
	kind := kinds[g.rng.IntN(len(kinds))]
	g.flaw.item = -1
	switch kind {
	case "size":
		if g.r.Guard.Size != nil {
			g.flaw.kind = kind
			return nil
		}
		kind = "byte"
	case "count":
		sub := g.rng.IntN(len(counts))
		if counts[sub]++; !g.holds(counts) {
			g.flaw.kind = kind
			return nil
		}
		if counts[sub] -= 2; counts[sub] >= 1 && !g.holds(counts) {
			g.flaw.kind = kind
			return nil
		}
		counts[sub]++
		kind = "byte"
	}
	g.flaw.kind = kind
	at := 0
	var needed []int
	for sub := range counts {
		if counts[sub] > 0 {
			if counts[sub]--; !g.holds(counts) {
				needed = append(needed, at+g.rng.IntN(counts[sub]+1))
			}
			counts[sub]++
		}
		at += counts[sub]
	}
	if len(needed) == 0 {
		return NoFlaw
	}
	g.flaw.item = needed[g.rng.IntN(len(needed))]
	return nil
}

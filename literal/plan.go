package literal

import (
	"bytes"
	"math"
	"math/bits"
)

// literal is a Literal in the making.
type literal struct {
	member
	text []byte // lower-cased where case is ignored
}

// strideTier is a stride tier in the making.
type strideTier struct {
	hasher
	kind kind
	lits []literal
}

// shape is what a stride tier may be: its stride, and the bytes of its grams.
type shape struct{ stride, gram int }

func (s shape) width() int { return s.stride + s.gram - 1 }

// shapes are those that the plan chooses from; the first three are only for
// what is too short for the others.
var shapes = [...]shape{{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 3}, {2, 4}, {4, 4}, {4, 8}, {8, 4}, {8, 8}, {16, 8}}

const (
	forced   = 3 // shapes from here on are chosen
	mostOpen = 3 // of them in one group
)

// Costs, in femtoseconds for each byte that is scanned, as measured on one
// machine with AVX2. Whole numbers, as the weights are, so that all machines
// plan alike.
const (
	shortCost     = 67_000     // the short tier with 8 buckets
	shortWideCost = 170_000    // with 16
	candidateCost = 15_000_000 // of one candidate
	farCost       = 1_400_000  // of one look into a filter, at least, at the widest stride
	sampleSize    = 768        // literals by which the shapes are weighed
)

// probeCost returns what one look into a filter costs, by the logarithm of its
// number of words.
func probeCost(size int) uint64 {
	const small = 14 // 64 KB
	steps := [...]uint64{850_000, 950_000, 1_000_000, 1_250_000, 1_330_000, 1_420_000, 1_700_000, 4_500_000, 8_000_000, 12_000_000}
	if size < small {
		return 750_000
	}
	return steps[min(size-small, len(steps)-1)]
}

// falseShare returns the share of strange grams that a filter passes, of 1<<20,
// by how many bits it has for each of its own.
func falseShare(bitsEach uint64) uint64 {
	table := [...]uint64{1 << 19, 1 << 19, 427860, 177890, 64960, 23450, 8976, 3730, 1667, 786}
	return table[min(bits.Len64(bitsEach), len(table)-1)]
}

const (
	filterLeast = 8  // logarithms of the number of words
	filterMost  = 23 // 32 MiB
)

// filterSize returns the logarithm of the number of words with which a filter
// of so many grams costs least, at a stride, and that cost.
func filterSize(grams uint64, stride int) (size int, cost uint64) {
	cost = math.MaxUint64
	for s := filterLeast; s <= filterMost; s++ {
		probe := probeCost(s)
		if stride == maxStride {
			probe = max(probe, farCost)
		}
		c := (probe + falseShare(32<<s/max(grams, 1))*(candidateCost>>10)>>10) / uint64(stride)
		if c < cost {
			size, cost = s, c
		}
		if 32<<s/max(grams, 1) > 48 {
			break
		}
	}
	return size, cost
}

// plan says which literal goes to which tier. short are those of the short tier.
func plan(lits []literal, p *Plan) (short []literal, tiers []strideTier) {
	var plain, keyed []literal
	for _, l := range lits {
		if l.xor() {
			keyed = append(keyed, l)
		} else {
			plain = append(plain, l)
		}
	}
	short, tiers = planPlain(plain, p)
	if len(keyed) > 0 {
		least := maxLen
		for i := range keyed {
			least = min(least, len(keyed[i].text)-1)
		}
		stride := 1
		for stride < 8 && 2*stride+3 <= least {
			stride *= 2
		}
		tiers = append(tiers, strideTier{kind: delta, lits: keyed, hasher: hasher{stride: stride}})
	}
	for i := range tiers {
		t := &tiers[i]
		least := maxLen
		for i := range t.lits {
			n := len(t.lits[i].text)
			if t.kind == delta {
				n--
			}
			least = min(least, n)
		}
		t.hasher = newHasher(t.stride, min(maxGram, least-t.stride+1), t.kind, 0)
	}
	return short, tiers
}

// choice is one way to plan: how many literals the short tier may have, and
// whether it takes all that ignore case, or they share tiers with the others.
type choice struct {
	room          int
	folds, merged bool
}

// planPlain is plan for literals without keys: of all choices the one that
// costs least.
func planPlain(lits []literal, p *Plan) (short []literal, tiers []strideTier) {
	if p.made {
		w := countedWeigher(lits)
		cut, _ := w.cut(p.choice)
		return w.deal(p.choice, cut, p.open)
	}
	best := uint64(math.MaxUint64)
	var bestCut int
	var bestChoice choice
	var bestOpen [2][]shape
	w := newWeigher(lits)
	type group struct { // what is left of a choice for the stride tiers
		cut           int
		folds, merged bool
	}
	known := make(map[group]struct {
		open [2][]shape
		cost uint64
	})
	for _, room := range []int{0, 24, 48, 96, 160, 256} {
		for _, c := range []choice{{room, false, false}, {room, true, false}, {room, false, true}} {
			cut, n := w.cut(c)
			cost := shortTierCost(n)
			of := group{cut, c.folds && w.folds > 0, c.merged && w.folds > 0}
			g, ok := known[of]
			if !ok {
				g.open, g.cost = w.groups(c, cut)
				known[of] = g
			}
			open, more := g.open, g.cost
			if cost += more; cost < best {
				best, bestCut, bestChoice, bestOpen = cost, cut, c, open
			}
		}
	}
	*p = Plan{bestChoice, bestOpen, true}
	return w.deal(bestChoice, bestCut, bestOpen)
}

// shortTierCost returns what a short tier of n literals costs: reading, and the
// places that it takes for candidates, which grow with the eighth power of how
// full its buckets are.
func shortTierCost(n int) uint64 {
	if n == 0 {
		return 0
	}
	each, cost := (n+7)/8, uint64(shortCost)
	if n > shortNarrow {
		each, cost = (n+15)/16, shortWideCost
	}
	full := uint64(each * each * each * each)
	return cost + full*full/20 // 96 literals: 84,000; 144: 2,150,000
}

// windowHash spreads the window at i of l; two windows of the same bytes have
// the same.
func (t *strideTier) windowHash(l *literal, i int) uint32 { return t.ofWindow(t.window(l, i)) }

// window returns the first and last 8 bytes of the window at i of l, as the
// tier takes them.
func (t *strideTier) window(l *literal, i int) (front, back uint64) {
	return t.load(l, i), t.load(l, i+t.width()-8)
}

// load returns 8 bytes at i of l as the tier takes them.
func (t *strideTier) load(l *literal, i int) uint64 {
	x := load8(l.text, i)
	if t.kind == delta {
		x ^= load8(l.text, i+1)
	}
	return x
}

const (
	fullGroup  = 16 // literals of a window that make one more as costly as a hot window
	crowdCost  = one >> 18
	sharedGram = 4 // a gram that is in use already counts so much less
)

// place chooses the window of each literal of the tier, in turn: it prefers
// grams that are rare, and those that others use already, up to a number.
func (t *strideTier) place() {
	size := min(24, bits.Len(uint(len(t.lits)*t.stride*4)))
	used := make([]bool, 1<<size)    // by hash of gram
	crowd := make([]uint16, 1<<size) // literals, by hash of window
	shift := 32 - size
	var deltas *[256]uint16
	if t.kind == delta {
		deltas = deltaRarities()
	}
	var cost, grams [maxLen]uint64
	for k := range t.lits {
		l := &t.lits[k]
		c := l.chances(t.kind, deltas)
		n := c.n - t.gram + 1
		for i := range n {
			grams[i] = uint64(spread(t.ofGram(t.load(l, i))) >> shift)
			cost[i] = c.gram(i, t.gram) + 64
			if used[grams[i]] {
				cost[i] /= sharedGram
			}
		}
		windows := slide(cost[:n], t.stride)
		for i := range windows {
			if c := uint64(crowd[spread(t.windowHash(l, i))>>shift] / fullGroup); c > 0 {
				windows[i] += c * c * c * c * crowdCost
			}
		}
		at := cheapest(windows)
		l.what |= uint32(at)
		if c := &crowd[spread(t.windowHash(l, at))>>shift]; *c < math.MaxUint16 {
			*c++
		}
		for p := range t.stride {
			used[grams[at+p]] = true
		}
	}
}

// lowerCase returns b with ASCII capitals made small, and whether it has letters.
func lowerCase(b []byte) ([]byte, bool) {
	out := bytes.Clone(b)
	letters := false
	for i, c := range out {
		if isLetter(c) {
			out[i] |= 0x20
			letters = true
		}
	}
	return out, letters
}

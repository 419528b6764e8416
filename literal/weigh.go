package literal

import (
	"math"
	"slices"
)

// weigher finds, on a sample of the literals, what each plan costs.
type weigher struct {
	lits  []literal
	folds int                // of lits
	count [2][maxLen + 1]int // by whether case is ignored, and length
	every int                // one literal in so many is in the sample
	weigh []weighed
}

// weighed is a literal of the sample. Where it does not fit a shape, cost is
// not set.
type weighed struct {
	length int
	fold   bool
	cost   [2][len(shapes)]uint64 // of its candidates: in a tier for its own group, and in a merged one
}

// countedWeigher is a weigher that only counts, for a plan that is made.
func countedWeigher(lits []literal) *weigher {
	w := &weigher{lits: lits, every: max(1, len(lits)/sampleSize)}
	for i := range lits {
		fold := 0
		if lits[i].fold() {
			fold = 1
			w.folds++
		}
		w.count[fold][len(lits[i].text)]++
	}
	return w
}

func newWeigher(lits []literal) *weigher {
	w := countedWeigher(lits)
	type gram struct {
		group, shape int
		value        uint64
	}
	type hot struct {
		gram
		i      int // in the sample
		weight uint64
	}
	users := make(map[gram]uint64)
	var hots []hot
	for i := 0; i < len(lits); i += w.every {
		l := &lits[i]
		x := weighed{length: len(l.text), fold: l.fold()}
		for group := range 2 {
			k := exact
			if group == 1 || x.fold {
				k = lower
			}
			if group == 1 && w.folds == 0 {
				break
			}
			c := l.chances(k, nil)
			for s := forced; s < len(shapes); s++ {
				sh := shapes[s]
				if x.length < sh.width() {
					continue
				}
				var room [maxLen]uint64
				windows := c.windows(room[:0], sh.stride, sh.gram)
				at := cheapest(windows)
				h := newHasher(sh.stride, sh.gram, k, 0)
				for p := range sh.stride {
					weight := c.gram(at+p, sh.gram)
					if weight < one>>20 {
						x.cost[group][s] += candidates(weight, sh.stride) * uint64(w.every)
						continue
					}
					g := gram{group, s, (load8(l.text, at+p) | h.or) & h.gramMask}
					users[g]++
					hots = append(hots, hot{g, len(w.weigh), weight})
				}
			}
		}
		w.weigh = append(w.weigh, x)
	}
	// What stands at many places is paid for once, by all that share it.
	for _, h := range hots {
		n := users[h.gram]
		cost := candidates(h.weight, shapes[h.shape].stride) / n
		if n == 1 {
			cost *= uint64(min(w.every, 4))
		}
		w.weigh[h.i].cost[h.group][h.shape] += cost
	}
	return w
}

// candidates returns what the places of a share cost, at a stride.
func candidates(weight uint64, stride int) uint64 {
	return (weight >> 10) * candidateCost >> 30 / uint64(stride)
}

// cut returns, for a choice, below which length literals go to the short tier,
// and how many do.
func (w *weigher) cut(c choice) (cut, n int) {
	if c.folds {
		n = w.folds
	}
	if n > c.room {
		return 0, n
	}
	for cut <= maxLen {
		more := w.count[0][cut]
		if !c.folds {
			more += w.count[1][cut]
		}
		if n+more > c.room {
			return cut, n
		}
		n += more
		cut++
	}
	return cut, n
}

// groups returns the shapes to open for what the short tier does not take: for
// those that heed case, or all where the choice merges them, and for those
// that do not; and what they cost.
func (w *weigher) groups(c choice, cut int) (open [2][]shape, cost uint64) {
	var in [2][]*weighed
	for i := range w.weigh {
		x := &w.weigh[i]
		switch {
		case x.length < cut || c.folds && x.fold:
		case x.fold && !c.merged:
			in[1] = append(in[1], x)
		default:
			in[0] = append(in[0], x)
		}
	}
	for g := range in {
		if len(in[g]) == 0 {
			continue
		}
		merged := 0
		if c.merged && w.folds > 0 {
			merged = 1
		}
		best := uint64(math.MaxUint64)
		choose(nil, forced, func(some []int) {
			if c, ok := w.cost(in[g], merged, some); ok && (c < best || c == best && len(some) < len(open[g])) {
				best = c
				open[g] = nil
				for _, s := range some {
					open[g] = append(open[g], shapes[s])
				}
			}
		})
		cost += best
	}
	return open, cost
}

// choose calls f with every choice of at most mostOpen shapes from the given one on.
func choose(some []int, from int, f func([]int)) {
	f(some)
	if len(some) == mostOpen {
		return
	}
	for s := from; s < len(shapes); s++ {
		choose(append(some[:len(some):len(some)], s), s+1, f)
	}
}

// cost returns what a group costs with some shapes open; ok is false where a
// literal fits none of them.
func (w *weigher) cost(in []*weighed, merged int, some []int) (cost uint64, ok bool) {
	var grams [len(shapes)]uint64
	for _, x := range in {
		best, least := -1, uint64(math.MaxUint64)
		if x.length <= forced {
			best, least = x.length-1, 0
		}
		for _, s := range some {
			if x.length >= shapes[s].width() && x.cost[merged][s] <= least {
				best, least = s, x.cost[merged][s]
			}
		}
		if best < 0 {
			return 0, false
		}
		grams[best] += uint64(shapes[best].stride * w.every)
		cost += least
	}
	for s, n := range grams {
		if n > 0 {
			_, c := filterSize(n, shapes[s].stride)
			cost += c
		}
	}
	return cost, true
}

// Of a literal: above which share of places it may leave a stride tier for the
// short one, and how many may.
const (
	hotWeight = one >> 9
	hotMost   = 24
)

// escape is a literal that would rather be in a tier that heeds case, than in
// one of shape from; gain is the share of places that this saves, divided by the stride.
type escape struct {
	literal
	from  shape
	gain  uint64
	short uint64 // the share of its rarest place in the short tier
}

const (
	escapeFew  = 4         // escapes to one shape that may go to the short tier,
	escapeRare = one >> 16 // each if it stands at fewer places
)

// deal gives each literal its tier.
func (w *weigher) deal(c choice, cut int, open [2][]shape) (short []literal, tiers []strideTier) {
	type key struct {
		shape shape
		kind  kind
	}
	byKey := make(map[key][]literal)
	escapes := make(map[shape][]escape)
	hot := 0
	for _, l := range w.lits {
		if len(l.text) < cut || c.folds && l.fold() {
			short = append(short, l)
			continue
		}
		g, k := 0, exact
		if c.merged && w.folds > 0 {
			k = lower
		} else if l.fold() {
			g, k = 1, lower
		}
		s, weight, chances := l.bestShape(k, open[g])
		if weight > hotWeight && k == lower && !l.fold() {
			// In lower case a space is a zero byte, and runs of zeros are everywhere.
			if s2, weight2, chances2 := l.bestShape(exact, open[g]); weight2 < weight/16 {
				escapes[s2] = append(escapes[s2], escape{l, s, weight - weight2, chances2.rarest(1, min(4, len(l.text)))})
				continue
			}
		}
		if weight > hotWeight && hot < hotMost && cut > 0 && len(l.text) >= 4 && chances.rarest(1, 4) < weight/8 {
			hot++
			short = append(short, l)
			continue
		}
		byKey[key{s, k}] = append(byKey[key{s, k}], l)
	}
	for s2, es := range escapes {
		gain := uint64(0)
		for _, e := range es {
			gain += candidates(e.gain*uint64(s2.stride), s2.stride)
		}
		_, cost := filterSize(uint64(len(es)*s2.stride), s2.stride)
		for _, e := range es {
			to := key{e.from, lower}
			switch {
			case len(es) <= escapeFew && cut > 0 && e.short < escapeRare:
				short = append(short, e.literal)
				continue
			case gain > cost:
				to = key{s2, exact}
			}
			byKey[to] = append(byKey[to], e.literal)
		}
	}
	for k := range kinds {
		for _, s := range shapes {
			if lits := byKey[key{s, k}]; len(lits) > 0 {
				tiers = append(tiers, strideTier{kind: k, lits: lits, hasher: hasher{stride: s.stride}})
			}
		}
	}
	return short, tiers
}

// bestShape returns that of the open shapes in which l costs least, or what
// suits its length where it fits none, and its share of places there.
func (l *literal) bestShape(k kind, open []shape) (best shape, least uint64, c chances) {
	c = l.chances(k, nil)
	n := len(l.text)
	least = math.MaxUint64
	for _, s := range open {
		if n < s.width() {
			continue
		}
		if weight := c.rarest(s.stride, s.gram) / uint64(s.stride); weight <= least || weight < one>>26 {
			best, least = s, weight
		}
	}
	if least < math.MaxUint64 {
		return best, least, c
	}
	if n <= forced {
		return shapes[n-1], 0, c
	}
	fits := slices.IndexFunc(shapes[:], func(s shape) bool { return s.width() > n })
	if fits < 0 {
		fits = len(shapes)
	}
	return shapes[fits-1], 0, c
}

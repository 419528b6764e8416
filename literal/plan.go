package literal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Costs of the plan, in steps. One step is what one entry of a bucket costs.
const (
	candidateSteps = 4         // of a gram that the filter passes
	fullGroup      = 16        // literals of a window that make one more as costly as a hot window
	fullBucket     = 4         // entries of a gram that make one more cost one step more
	hotWeight      = one >> 18 // of a window: above, the pair tier does better
	pairTierPays   = one / 16  // weight of hot literals that is worth a pair tier
	pairTierMost   = 4096      // literals of 4 bytes and more in the pair tier
	spillMost      = 512       // literals that a wider stride may push out of its tier
	mergeFloor     = 1 << 14   // extra spellings that the exact tier takes in any case
)

// literal is a Literal in the making.
type literal struct {
	member
	text []byte // lower-cased where case is ignored
}

// strideTier is a stride tier in the making.
type strideTier struct {
	stride int
	lower  bool // grams are taken with lower4 set
	lits   []literal
}

func (t *strideTier) width() int { return t.stride + 3 }

// plan says which literal goes to which tier. hot are the literals of the pair tier.
func plan(lits []literal) (hot []literal, tiers []strideTier) {
	var small, large [2][]literal // by fold; small: 4 and 5 bytes; large: more
	for _, l := range lits {
		fold := 0
		if l.fold() {
			fold = 1
		}
		switch n := len(l.text); {
		case n < 4:
			hot = append(hot, l)
		case n < 6:
			small[fold] = append(small[fold], l)
		default:
			large[fold] = append(large[fold], l)
		}
	}
	room := pairTierMost
	if n := len(small[0]) + len(small[1]); n <= room {
		hot = append(append(hot, small[0]...), small[1]...)
		room -= n
	} else {
		tiers = append(tiers, splitFold(small, 2)...)
	}
	for _, t := range splitFold(large, maxStride) {
		kept, spilt := t.widen(room, len(hot) > 0)
		room -= len(spilt)
		hot = append(hot, spilt...)
		if len(kept.lits) > 0 {
			tiers = append(tiers, kept)
		}
	}
	return hot, tiers
}

// splitFold makes one tier of the literals, or a second one of those that
// ignore case, where there are too many to enter every spelling.
func splitFold(lits [2][]literal, stride int) []strideTier {
	exact, fold := lits[0], lits[1]
	grams := len(exact) * stride
	if extra := len(fold) * stride * 8; extra <= max(mergeFloor, grams/4) {
		exact, fold = append(exact, fold...), nil
	}
	var out []strideTier
	for i, l := range [][]literal{exact, fold} {
		if len(l) > 0 {
			t := strideTier{lower: i == 1, lits: l}
			t.stride = min(stride, t.shortest()-3)
			out = append(out, t)
		}
	}
	return out
}

// shortest returns the length of the tier's shortest literal.
func (t *strideTier) shortest() int {
	n := maxLen
	for _, l := range t.lits {
		n = min(n, len(l.text))
	}
	return n
}

// widen moves to the pair tier up to room literals: the few short ones that
// keep the stride narrow, if the pair tier is needed anyhow, and those of which
// no window is rare.
func (t *strideTier) widen(room int, needed bool) (kept strideTier, spilt []literal) {
	kept = *t
	spill := 0
	if needed {
		spill = min(room, spillMost)
	}
	count := 0
	var ofLength [maxLen + 1]int
	for _, l := range t.lits {
		ofLength[len(l.text)]++
	}
	for kept.stride < maxStride {
		count += ofLength[kept.width()]
		if count > spill {
			break
		}
		kept.stride++
	}
	kept.lits = nil
	var long []literal
	for _, l := range t.lits {
		if len(l.text) < kept.width() {
			spilt = append(spilt, l)
		} else {
			long = append(long, l)
		}
	}
	hot := kept.hot(long, room-len(spilt), needed)
	for i, l := range long {
		if hot[i] {
			spilt = append(spilt, l)
		} else {
			kept.lits = append(kept.lits, l)
		}
	}
	return kept, spilt
}

// hot tells which of the literals have no rare window: the worst, up to room.
// None does where there is no pair tier and they do not pay for one.
func (t *strideTier) hot(lits []literal, room int, needed bool) map[int]bool {
	type worst struct {
		i      int
		weight uint64
	}
	var all []worst
	sum := uint64(0)
	for i, l := range lits {
		if w := rarest(l, t.stride); w > hotWeight {
			all = append(all, worst{i, w})
			sum += w
		}
	}
	if room <= 0 || !needed && sum < pairTierPays {
		return nil
	}
	slices.SortStableFunc(all, func(a, b worst) int { return cmp.Compare(b.weight, a.weight) })
	out := make(map[int]bool)
	for _, w := range all[:min(room, len(all))] {
		out[w.i] = true
	}
	return out
}

// rarest returns how often the grams of that window of l stand in files which
// has the least.
func rarest(l literal, stride int) uint64 {
	var weights [maxLen]uint64
	n := len(l.text) - 3
	for i := range n {
		weights[i] = weigh(l.text[i:i+4], l.fold())
	}
	windows := slide(weights[:n], stride)
	return windows[cheapest(windows)]
}

// slide turns the costs of grams into those of windows, each the sum of stride
// grams, in place.
func slide(cost []uint64, stride int) []uint64 {
	n := len(cost) - stride + 1
	for i := range n {
		for _, c := range cost[i+1 : i+stride] {
			cost[i] += c
		}
	}
	return cost[:n]
}

// cheapest returns the index of the first of the least.
func cheapest(cost []uint64) int {
	best := 0
	for i, c := range cost {
		if c < cost[best] {
			best = i
		}
	}
	return best
}

// place chooses the window of each literal of the tier, in turn: it prefers
// grams that are rare, and those that others use already, up to a number.
func (t *strideTier) place() {
	size := 1 << bits.Len(uint(len(t.lits)*t.stride*8))
	used := make([]uint16, size)  // entries, by hash of gram
	crowd := make([]uint16, size) // literals, by hash of window
	shift := 64 - bits.Len(uint(size-1))
	var room [16]uint32
	var cost [maxLen]uint64
	for k := range t.lits {
		l := &t.lits[k]
		n := len(l.text) - 3
		for i := range n {
			gram := l.text[i : i+4]
			entries := uint64(used[hash(t.gram(gram))>>shift])
			steps := 1 + entries/fullBucket
			if entries == 0 {
				steps += candidateSteps
			}
			cost[i] = weigh(gram, l.fold())>>8*steps + 1
		}
		windows := slide(cost[:n], t.stride)
		for i := range windows {
			c := uint64(crowd[t.windowHash(l, i)>>shift] / fullGroup)
			windows[i] += c * c * c * c * (hotWeight >> 8)
		}
		at := cheapest(windows)
		l.what |= uint32(at)
		if c := &crowd[t.windowHash(l, at)>>shift]; *c < 1<<16-1 {
			*c++
		}
		for p := range t.stride {
			for _, g := range t.grams(room[:0], l, p) {
				if u := &used[hash(g)>>shift]; *u < 1<<16-1 {
					*u++
				}
			}
		}
	}
}

// windowHash spreads the window at i of l.
func (t *strideTier) windowHash(l *literal, i int) uint64 {
	kind := uint32(0)
	if l.fold() {
		kind = foldKind
	}
	return hash(keyOf(l.text, i, t.stride, kind))
}

// gram returns the gram as the tier hashes it.
func (t *strideTier) gram(gram []byte) uint32 {
	g := binary.LittleEndian.Uint32(gram)
	if t.lower {
		g |= lower4
	}
	return g
}

// grams appends the grams under which phase p of l is entered.
func (t *strideTier) grams(dst []uint32, l *literal, p int) []uint32 {
	gram := l.text[l.window()+p:][:4]
	if t.lower {
		return append(dst, t.gram(gram))
	}
	return spellings(dst, gram, l.fold())
}

// hash spreads a gram over 64 bits; the upper half is good.
func hash(gram uint32) uint64 { return uint64(gram) * hashFactor }

// factor returns the tier's own factor in place of hashFactor: an odd number.
func factor(salt uint32) uint64 { return hashFactor + uint64(salt)*saltFactor }

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

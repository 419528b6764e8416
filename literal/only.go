package literal

import "math/bits"

// Only returns a Set that finds the wanted literals of s alone, under the same
// IDs, for little work: where they are few, its filters are small and pass
// little else. It lives on the memory of s.
func (s *Set) Only(wanted func(id uint32) bool) *Set {
	out := &Set{count: s.count, longest: s.longest, pool: s.pool, vector: s.vector}
	out.deltaRooms.New = s.deltaRooms.New
	for i := range s.tiers {
		if t, ok := s.tiers[i].only(s, wanted); ok {
			out.tiers = append(out.tiers, t)
			out.delta = out.delta || t.kind == delta
		}
	}
	out.short = s.short
	out.short.links, out.short.starts, out.short.checks = nil, make([]uint32, len(s.short.starts)), nil
	for b := range max(0, len(s.short.starts)-1) {
		for _, l := range s.short.links[s.short.starts[b]:s.short.starts[b+1]] {
			if wanted(l.id) {
				out.short.links = append(out.short.links, l)
			}
		}
		out.short.starts[b+1] = uint32(len(out.short.links))
	}
	out.short.fillChecks()
	return out
}

// only returns the tier with the wanted members; it is not ok where there are none.
func (t *tier) only(s *Set, wanted func(id uint32) bool) (out tier, ok bool) {
	out = tier{hasher: t.hasher, kind: t.kind, reach: t.reach, lanes: t.lanes}
	for k := range t.members {
		if wanted(t.members[k].id) {
			out.keys = append(out.keys, t.keys[k])
			out.members = append(out.members, t.members[k])
		}
	}
	if len(out.keys) == 0 {
		return out, false
	}
	size := max(1, bits.Len(uint(len(out.keys)))-1)
	out.indexShift = uint(32 - size)
	out.index = make([]uint32, 1<<size+1)
	for _, key := range out.keys {
		out.index[key>>out.indexShift+1]++
	}
	for i := range len(out.index) - 1 {
		out.index[i+1] += out.index[i]
	}
	var grams, windows []uint32
	for i := range out.members {
		m := &out.members[i]
		l := strideTier{hasher: t.hasher, kind: t.kind}
		lit := literal{*m, s.pool[m.off:][:m.length()]}
		for p := range t.stride {
			v := l.load(&lit, m.window()+p)
			w := t.ofGram(v)
			grams = append(grams, w)
		}
		windows = append(windows, l.windowHash(&lit, m.window()))
	}
	filter, window := onlySize(len(grams)), onlySize(len(windows))
	out.filter, out.filterShift = bloom(grams, filter), uint(32-filter)
	out.windows, out.windowShift = bloom(windows, window), uint(32-window)
	out.vectors.fill(&out)
	return out, true
}

// onlySize returns the logarithm of the words of a filter for n hashes.
func onlySize(n int) int { return min(filterMost, max(filterLeast, bits.Len(uint(n)))) }

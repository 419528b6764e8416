package literal

import (
	"math/bits"
	"slices"
)

// places says where the literals of a Set are: literal id is in the tiers at
// at[starts[id]:starts[id+1]], ascending.
type places struct {
	starts []uint32
	at     []place
}

// place is a member of a stride tier, or of the short tier where tier is their number.
type place struct{ tier, member uint32 }

// index finds the places of all literals, once.
func (s *Set) index() *places {
	s.placesOnce.Do(func() {
		p := &places{starts: make([]uint32, s.count+1)}
		each := func(f func(id uint32, at place)) {
			for i := range s.tiers {
				for k := range s.tiers[i].members {
					f(s.tiers[i].members[k].id, place{uint32(i), uint32(k)})
				}
			}
			for k := range s.short.links {
				f(s.short.links[k].id, place{uint32(len(s.tiers)), uint32(k)})
			}
		}
		each(func(id uint32, _ place) { p.starts[id+1]++ })
		for i := range s.count {
			p.starts[i+1] += p.starts[i]
		}
		next := slices.Clone(p.starts)
		p.at = make([]place, p.starts[s.count])
		each(func(id uint32, at place) {
			p.at[next[id]] = at
			next[id]++
		})
		s.placesOf = p
	})
	return s.placesOf
}

// Only returns a Set that finds some literals of s alone, under the same IDs,
// for work that depends on their number: where they are few, its filters are
// small and pass little else. It lives on the memory of s. IDs that s has not are
// left out.
func (s *Set) Only(ids []uint32) *Set {
	index := s.index()
	members := make([][]uint32, len(s.tiers)+1)
	ids = slices.Clone(ids)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if int(id) >= s.count {
			break
		}
		for _, at := range index.at[index.starts[id]:index.starts[id+1]] {
			members[at.tier] = append(members[at.tier], at.member)
		}
	}
	out := &Set{count: s.count, longest: s.longest, pool: s.pool, vector: s.vector}
	out.deltaRooms.New, out.runs.New = s.deltaRooms.New, s.runs.New
	for i := range s.tiers {
		if len(members[i]) > 0 {
			slices.Sort(members[i])
			out.tiers = append(out.tiers, s.tiers[i].only(s, members[i]))
			out.delta = out.delta || s.tiers[i].kind == delta
		}
	}
	links := members[len(s.tiers)]
	if len(links) == 0 {
		return out
	}
	slices.Sort(links)
	out.short = s.short
	out.short.links, out.short.starts, out.short.checks = nil, make([]uint32, len(s.short.starts)), nil
	b := 0
	for _, k := range links {
		for ; k >= s.short.starts[b+1]; b++ {
			out.short.starts[b+1] = uint32(len(out.short.links))
		}
		out.short.links = append(out.short.links, s.short.links[k])
	}
	for ; b+1 < len(out.short.starts); b++ {
		out.short.starts[b+1] = uint32(len(out.short.links))
	}
	out.short.fillChecks()
	return out
}

// fewMembers is how many members a tier may have to read every second place
// alone, by grams that are shorter and so more often others'.
const fewMembers = 512

// only returns the tier with some of its members, whose keys ascend.
func (t *tier) only(s *Set, members []uint32) tier {
	out := tier{hasher: t.hasher, kind: t.kind, reach: t.reach, lanes: t.lanes}
	if t.stride == 1 && t.gram == 4 && len(members) <= fewMembers {
		out.hasher = newHasher(2, 3, t.kind, 0) // the same windows
		out.reach++
		out.lanes = [maxStride / 8]byte{0xc0}
	}
	for _, k := range members {
		out.keys = append(out.keys, t.keys[k])
		out.members = append(out.members, t.members[k])
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
	in := strideTier{hasher: out.hasher, kind: t.kind}
	var grams, windows []uint32
	for i := range out.members {
		m := &out.members[i]
		l := literal{*m, s.pool[m.off:][:m.length()]}
		for p := range out.stride {
			grams = append(grams, out.ofGram(in.load(&l, m.window()+p)))
		}
		windows = append(windows, in.windowHash(&l, m.window()))
	}
	filter, window := onlySize(len(grams)), onlySize(len(windows))
	out.filter, out.filterShift = bloom(grams, filter), uint(32-filter)
	out.windows, out.windowShift = bloom(windows, window), uint(32-window)
	out.vectors.fill(&out)
	return out
}

// onlySize returns the logarithm of the words of a filter for n hashes.
func onlySize(n int) int { return min(filterMost, max(filterLeast, bits.Len(uint(n)))) }

package cabinet

import (
	"cmp"
	"slices"

	"github.com/showcause/showcause/internal/bound"
)

// A set of cabinets has one number, and each its index. Where a folder goes on in the
// next cabinet, its last block may be cut in two, the first part with no content of its
// own; files that are in both stand in both directories ([MS-CAB], 2.3, 2.4).

const (
	cabBefore = 1 // flags of the header: there is one before, behind
	cabBehind = 2

	// maxSetFiles is how many files the directories may have that are kept at a time.
	maxSetFiles = 1 << 17
)

// gather reads the tables of the cabinet and of those behind it that are of its set. It
// returns them in the order of the set, and whether to go on.
func (c *cab) gather() (set []*cab, ok bool) {
	if !c.read() {
		return nil, false
	}
	set = []*cab{c}
	have := map[uint16]bool{c.index: true}
	for last, files := c, c.files; last.flags&(cabBefore|cabBehind) != 0 && files < maxSetFiles; files += last.files {
		at, found := c.out.Find(c.src, max(last.end, last.base+int64(len(cabMagic))), cabMagic, cabPlausible)
		if !found {
			break
		}
		next := &cab{src: c.src, out: c.out, base: at}
		h, err := bound.ReadAt(c.src, at, cabHead, cabHead)
		if err != nil || le.Uint16(h[30:])&(cabBefore|cabBehind) == 0 || le.Uint16(h[32:]) != c.id || have[le.Uint16(h[34:])] || !next.sound() {
			break
		}
		if !next.read() {
			return nil, false
		}
		have[next.index] = true
		set, last = append(set, next), next
	}
	slices.SortStableFunc(set, func(a, b *cab) int { return cmp.Compare(a.index, b.index) })
	for i, c := range set[1:] {
		set[i].join(c)
	}
	return set, true
}

// join makes one of the last folder of c and the first one of next, if that goes on with it.
func (c *cab) join(next *cab) {
	if next.index != c.index+1 || c.flags&cabBehind == 0 || next.flags&cabBefore == 0 || len(c.folders) == 0 || len(next.folders) == 0 {
		return
	}
	f, g := c.folders[len(c.folders)-1], next.folders[0]
	if f == nil || !f.tailless || !g.headless || f.method != g.method {
		return
	}
	type key struct {
		name      string
		off, size int64
	}
	have := map[key]bool{}
	for _, m := range f.files {
		have[key{m.name, m.off, m.size}] = true
	}
	for _, m := range g.files {
		if !m.before || !have[key{m.name, m.off, m.size}] {
			f.files = append(f.files, m)
		}
	}
	f.parts = append(f.parts, g.parts...)
	f.size += g.size
	// The joined folder is given where it ends, behind those of the cabinets before.
	f.tailless = g.tailless
	c.folders[len(c.folders)-1], next.folders[0] = nil, f
}

// giveAll gives the folders of a set.
func giveAll(set []*cab) bool {
	for _, c := range set {
		for _, f := range c.folders {
			if f != nil && !c.give(f) {
				return false
			}
		}
	}
	return true
}

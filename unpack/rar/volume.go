package rar

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"sort"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// volume is one of a set, or an archive by itself.
type volume struct {
	at, end int64 // of the signature; behind what was read
	set     bool  // it is one of a set
	five    bool
	number  int64 // in the set
	broken  bool  // its end is not known
}

const (
	maxVolumes = 1 << 16
	// maxBefore is how many blocks of a volume may stand before the one with the rest of a file.
	maxBefore = 64

	gapEnd = showcause.Ambiguous + ".rar.end"
)

// read reads the archive that begins at off, with the volumes behind it that are of the
// same set, and tells whether to go on.
func (a *archive) read(off int64) bool {
	defer a.drop()
	a.first = true
	if !a.gather(off) {
		return false
	}
	for a.now = range a.set {
		v := &a.set[a.now]
		if a.now > 0 && a.solid && a.set[a.now-1].number+1 != v.number {
			a.breakChain(gapVolume)
		}
		if !a.walk(v) {
			return false
		}
	}
	return true
}

// gather finds the volumes of the set whose first one in the layer begins at off.
func (a *archive) gather(off int64) bool {
	v, ok := a.survey(off)
	if a.set = []volume{v}; !v.set {
		return ok
	}
	have := map[int64]bool{}
	for ok && len(a.set) < maxVolumes {
		if v.number < 0 { // volumes of old do not say
			if v.number = 0; len(a.set) > 1 {
				v.number = a.set[len(a.set)-2].number + 1
			}
			a.set[len(a.set)-1].number = v.number
		}
		have[v.number] = true
		at, found := a.out.Find(a.src, max(v.end, v.at+int64(len(magic))), magic, plausible)
		if !found {
			break
		}
		before := v
		v, ok = a.survey(at)
		if !v.set || v.five != before.five || v.number >= 0 && have[v.number] || v.number < 0 && have[before.number+1] {
			break // another set
		}
		a.set = append(a.set, v)
	}
	slices.SortStableFunc(a.set, func(a, b volume) int { return cmp.Compare(a.number, b.number) })
	return ok
}

// start makes ready to read the blocks of the archive at off, and returns where the first is.
func (a *archive) start(off int64) int64 {
	b, _ := bound.ReadAt(a.src, off, 8, 8)
	a.sealed = nil
	if a.five = bytes.HasPrefix(b, magic5); a.five {
		return off + int64(len(magic5))
	}
	return off + int64(len(magic4))
}

// survey reads the headers of the volume at off, or the first one of an archive that is none.
func (a *archive) survey(off int64) (v volume, ok bool) {
	at := a.start(off)
	v = volume{at: off, end: min(at, a.src.Size()), five: a.five, number: -1}
	for {
		b := a.block(at)
		switch {
		case b.spent:
			return v, false
		case b.code != "" || b.kind == noBlock:
			return v, true
		}
		if v.number < 0 {
			v.number = b.number
		}
		switch b.kind {
		case mainBlock:
			if v.set = b.volume; !v.set {
				return v, true
			}
		}
		a.seal(&b)
		at = b.next()
		v.end = max(v.end, min(at, a.src.Size()))
		if b.kind == endBlock && !a.goesOn(at) {
			return v, true
		}
	}
}

// seal notes that headers are encrypted from a block on.
func (a *archive) seal(b *block) {
	if b.sealed != nil {
		a.sealed = b.sealed
	}
}

// goesOn tells whether a file stands behind the block that ends an archive.
func (a *archive) goesOn(at int64) bool {
	if a.sealed != nil || at >= a.src.Size() {
		return false
	}
	b := a.block(at)
	return b.code == "" && !b.spent && b.sum && b.kind == fileBlock
}

// walk reads one volume, and tells whether to go on.
func (a *archive) walk(v *volume) bool {
	at := a.start(v.at)
	v.end = min(at, a.src.Size())
	for {
		b := a.block(at)
		switch {
		case b.spent:
			return false
		case b.code == showcause.Encrypted:
			a.out.Gap(b.code, at, -1)
			v.end = a.src.Size()
			return true
		case b.code != "":
			a.out.Gap(b.code, min(at, a.src.Size()), -1)
			v.broken = true
			return true
		case b.kind == noBlock:
			return true
		}
		if !b.sum && (a.five || b.kind == fileBlock) {
			a.out.Gap(showcause.Corrupt, at, b.data-at)
		}
		if !a.give(&b) {
			return false
		}
		a.seal(&b)
		at = b.next()
		v.end = max(v.end, min(at, a.src.Size()))
		if b.kind == endBlock {
			if !a.goesOn(at) {
				return true
			}
			a.out.Gap(gapEnd, at, -1)
		}
	}
}

// give gives what a block has, and tells whether to go on.
func (a *archive) give(b *block) bool {
	if b.kind == fileBlock {
		return a.file(b)
	}
	if b.kind == mainBlock {
		a.volume, a.solid = b.volume, b.solid
	}
	if b.size == 0 {
		return true
	}
	if b.kind == otherBlock && !b.skip {
		a.out.Gap(gapMethod, b.at, -1)
	}
	return a.out.Section(a.src, "rar.rest", "", b.data, b.size)
}

// file gives a file, with what volumes behind have of it.
func (a *archive) file(b *block) bool {
	m := b.member
	if a.joined[b.at] {
		delete(a.joined, b.at)
		return true
	}
	if !a.five {
		if m.solid = m.solid || a.solid && !a.first && m.version < 20; m.packed == 0 && m.size <= 0 {
			return true
		}
	} else if m.packed == 0 && (m.size <= 0 || m.dir || m.link) {
		return true
	}
	if m.parts = []part{{m.at, m.packed, 0}}; m.behind {
		a.join(&m)
	}
	return a.member(m)
}

// join adds to a file what the next volumes have of it.
func (a *archive) join(m *member) {
	ahead := *a // reading headers changes what is known of the volume
	for i := a.now + 1; m.behind && i < len(a.set) && a.set[i].number == a.set[i-1].number+1; i++ {
		b, ok := ahead.continued(a.set[i].at, m)
		if !ok {
			break
		}
		p := b.member
		m.parts = append(m.parts, part{p.at, p.packed, m.packed})
		m.packed = bound.Add(m.packed, p.packed)
		m.crc, m.summed, m.behind = p.crc, p.summed, p.behind
		if m.cipher != nil && p.cipher != nil {
			m.cipher.tweak = p.cipher.tweak
		}
		if a.joined == nil {
			a.joined = map[int64]bool{}
		}
		a.joined[b.at] = true
	}
	a.words, a.right = ahead.words, ahead.right
}

// continued looks in the volume at off for the block with the next part of a file.
func (a *archive) continued(off int64, m *member) (block, bool) {
	at := a.start(off)
	for range maxBefore {
		b := a.block(at)
		if b.spent || b.code != "" || b.kind >= endBlock {
			return b, false
		}
		if p := &b.member; b.kind == fileBlock && (p.before || !p.service) {
			return b, p.before && p.service == m.service && p.name == m.name && p.method == m.method && p.encrypted == m.encrypted
		}
		a.seal(&b)
		at = b.next()
	}
	return block{}, false
}

// part is a stretch of a file's data: n bytes at at of the layer, which are those from off on.
type part struct{ at, n, off int64 }

// parts is data that stand in several volumes, as one.
type parts struct {
	src  showcause.Source
	all  []part
	size int64
}

// Size implements showcause.Source.
func (p *parts) Size() int64 { return p.size }

// ReadAt implements io.ReaderAt.
func (p *parts) ReadAt(b []byte, off int64) (n int, err error) {
	i := sort.Search(len(p.all), func(i int) bool { return p.all[i].off > off }) - 1
	for ; i >= 0 && i < len(p.all) && n < len(b); i++ {
		t := p.all[i]
		skip := off + int64(n) - t.off
		if skip >= t.n {
			continue
		}
		want := min(int64(len(b)-n), t.n-skip)
		m, err := bound.Section(p.src, t.at, t.n).ReadAt(b[n:n+int(want)], skip)
		if n += m; int64(m) < want {
			return n, bound.CutShort(err)
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// body is a file's data as they stand.
func (a *archive) body(m *member) showcause.Source {
	if len(m.parts) < 2 {
		return bound.Section(a.src, m.at, m.packed)
	}
	return &parts{a.src, m.parts, m.packed}
}

package cfb

// Stretch is [At, At+Size) of the file.
type Stretch struct{ At, Size int64 }

// Damaged says that tables or the directory do not hold together, so that there may be
// entries and sectors that cannot be reached.
func (f *File) Damaged() bool { return f.bad }

// beyond tells whether the allocation table has sectors in use that the file has not.
func (f *File) beyond() bool {
	have := (f.p.Size() - 1) >> f.shift // sectors, the header's not counted, a part of one counted
	per := int64(1) << (f.shift - 2)
	for i := have; i < int64(len(f.tables))*per; i++ {
		v, ok := f.entry(f.tables, uint32(i))
		// Free sectors are 0xffffffff; some programs leave zeros.
		if !ok || v != none && v != 0 {
			return true
		}
	}
	return false
}

// Own is where the file's own structures stand: header, tables, directory.
func (f *File) Own() []Stretch {
	out := []Stretch{{0, min(f.SectorSize(), f.p.Size())}}
	for _, list := range [][]uint32{f.tables, f.minis, f.own} {
		for _, s := range list {
			out = f.join(out, f.at(s), f.SectorSize())
		}
	}
	return out
}

// join appends a stretch, cut to what the file has, to a list.
func (f *File) join(list []Stretch, at, n int64) []Stretch {
	if n = min(n, f.p.Size()-at); n <= 0 {
		return list
	}
	if k := len(list); k > 0 && list[k-1].At+list[k-1].Size == at {
		list[k-1].Size += n
		return list
	}
	return append(list, Stretch{at, n})
}

// Place is where the bytes of entry i stand, in order. whole says that it is all of
// them. An entry that is not used any more has no chain, and what follows its first
// sector is taken for its bytes.
func (f *File) Place(i int) (list []Stretch, whole bool) {
	if i < 0 || i >= len(f.Entries) {
		return nil, false
	}
	e := &f.Entries[i]
	left := int64(min(e.Size, 1<<62))
	take := func(at, n int64) bool {
		n = min(n, left)
		had := max(min(n, f.p.Size()-at), 0)
		list = f.join(list, at, n)
		left -= had
		return had == n && left > 0
	}
	switch {
	case left == 0:
	case e.Kind == Unused:
		f.placeUnused(e, take)
	case e.Size >= f.cutoff:
		f.chain(e.start, func(s uint32) bool { return take(f.at(s), f.SectorSize()) })
	default:
		mark := uint32(regular)
		for s, n := e.start, uint64(0); s < regular && s != mark && n <= f.cutoff>>miniShift; n++ {
			if n&(n-1) == 0 {
				mark = s
			}
			at, ok := f.miniAt(s)
			if !ok || !take(at, 1<<miniShift) {
				break
			}
			if s, ok = f.entry(f.minis, s); !ok {
				break
			}
		}
	}
	return list, left == 0
}

// miniAt is the offset of a sector of the stream of small streams.
func (f *File) miniAt(s uint32) (int64, bool) {
	per := uint32(1) << (f.shift - miniShift)
	if int64(s/per) >= int64(len(f.mini)) {
		return 0, false
	}
	return f.at(f.mini[s/per]) + int64(s%per)<<miniShift, true
}

func (f *File) placeUnused(e *Entry, take func(at, n int64) bool) {
	if e.start >= regular {
		return
	}
	if e.Size >= f.cutoff {
		take(f.at(e.start), int64(min(e.Size, 1<<62)))
		return
	}
	for s := e.start; f.p.Step(1); s++ {
		at, ok := f.miniAt(s)
		if !ok || !take(at, 1<<miniShift) {
			return
		}
	}
}

// Parents is the storage that each entry is in, -1 for those that no storage leads to
// and for the root. broken says that a storage leads to entries that there are not, or that one
// was met twice.
func (f *File) Parents() (list []int, broken bool) {
	list = make([]int, len(f.Entries))
	for i := range list {
		list[i] = -1
	}
	if len(list) == 0 {
		return list, true
	}
	seen := make([]bool, len(list))
	seen[0] = true
	type step struct {
		entry  uint32
		parent int
	}
	todo := []step{{f.Entries[0].child, 0}}
	for len(todo) > 0 && f.p.Step(1) {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.entry == none {
			continue
		}
		if int64(s.entry) >= int64(len(list)) || seen[s.entry] {
			broken = true
			continue
		}
		e := &f.Entries[s.entry]
		seen[s.entry], list[s.entry] = true, s.parent
		todo = append(todo, step{e.right, s.parent}, step{e.left, s.parent})
		if e.Kind == Storage {
			todo = append(todo, step{e.child, int(s.entry)})
		}
	}
	return list, broken
}

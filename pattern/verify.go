package pattern

// Matcher verifies patterns in one layer at a time. The zero value is ready.
// Steps counts every byte compared and every place tried, the same for the
// same layer, program and order of calls, however the bytes come to hand.
// While it is above Limit (0: none), nothing matches and Exhausted is true: the
// caller makes that a gap. Steps is the caller's to set back for another layer,
// and to add to. It is not safe for concurrent use.
type Matcher struct {
	Steps int64
	Limit int64

	// Within is where matches of a program may begin whose matches are told apart by their
	// ends, first and last place; nil is anywhere. It stays the same for a program until Reset.
	Within [][2]int64

	full   bool  // a set outgrew its bound, without a Limit to use up
	stride int64 // 0: the constant
	in     *Input
	free   [][]span
	memos  map[memoKey]*memo
}

// Exhausted tells whether work was left undone. The bound on memory that
// verification may take uses up the Limit when it is passed; without a Limit
// the Matcher is exhausted for good.
func (m *Matcher) Exhausted() bool { return m.full || m.Limit > 0 && m.Steps > m.Limit }

// Reset forgets what was found in the last layer, but not the steps taken nor
// that work was left undone. It must be called before the first Verify with
// another Input.
func (m *Matcher) Reset() { clear(m.memos) }

// firstChunk is how many places a search begins with: what follows an
// unbounded gap is often near.
const firstChunk = int64(64)

// part is a run of elements of a variant without an unbounded gap.
type part struct {
	seq      list
	from, to int
	key      memoKey
}

type memoKey struct {
	id      uint32
	variant uint16
	from    uint16
	dir     direction
}

// memo is what is known of where a part occurs. Ahead, with found: it is the
// occurrence with the first end (at end, start start) among those that start
// at bound or later. Back: the one with the last start among those that end at
// bound or before. Without found there is none.
type memo struct {
	min, max   int64 // length of the part
	known      bool
	found      bool
	bound      int64
	start, end int64

	done  int64 // starts: ends up to this one are dealt with
	least int64 // starts: the first end of any
	any   bool
}

func (m *Matcher) memo(p part, dir direction) *memo {
	key := p.key
	key.from, key.dir = uint16(p.from), dir
	if t := m.memos[key]; t != nil {
		return t
	}
	if m.memos == nil {
		m.memos = map[memoKey]*memo{}
	}
	t := &memo{done: -1}
	t.min, t.max = extent(p.seq, p.from, p.to)
	m.memos[key] = t
	return t
}

// Verify is called when the atom with the place was seen at offset at of the
// layer. It calls emit with the start and the length of each match of the
// program, which is pattern id's, that contains the atom there, once for a
// start (or for an end, where p.ByEnd), with the first end after it (the last
// start before it). Where an unbounded gap stands before the atom, matches
// that were emitted for an earlier atom are not emitted again. emit returns
// false to stop; it must not call the Matcher. Verify returns whether there is
// any match.
//
// Work behind unbounded gaps is remembered for each id until Reset, so that it
// is linear in the layer as long as at rises from call to call.
func (m *Matcher) Verify(id uint32, p Program, place uint32, in *Input, at int64, emit func(off, n int64) bool) bool {
	if m.Exhausted() {
		return false
	}
	m.in = in
	if p.plain() {
		val := p[1:]
		n := int64(len(val))
		off := at - int64(place)
		if off < 0 || off > in.Size()-n || !m.spend(n) || !m.equal(val, nil, p[0]&flagFold != 0, off) {
			return false
		}
		emit(off, n)
		return true
	}
	if p[0]&flagForms != 0 {
		return m.verifyForm(p, place, at, emit)
	}
	path, off := p.seedPath(place)
	starts, ends, seed := m.around(p.variants(), path, at-off, 0)
	seed.key.id, seed.key.variant = id, le.Uint16(path)
	hit := false
	if len(starts) > 0 && len(ends) > 0 {
		if end, ok := m.tail(seed, ends[0].lo); ok {
			hit = m.head(seed, starts, end, p.ByEnd(), emit)
		}
	}
	m.give(starts)
	m.give(ends)
	return hit && !m.Exhausted()
}

// around matches the part of a variant that contains the seed, from the seed
// outwards: the sets of its starts and of its ends. start is where the seed's
// element begins.
func (m *Matcher) around(alts list, path []byte, start int64, depth int) (starts, ends []span, seed part) {
	seq := list(alts.item(int(le.Uint16(path))))
	i := int(le.Uint16(path[2:]))
	seed = part{seq: seq, from: 0, to: seq.count()}
	if depth == 0 {
		for seed.from = i; seed.from > 0 && !unbounded(seq.item(seed.from-1)); {
			seed.from--
		}
		for seed.to = i + 1; seed.to < seq.count() && !unbounded(seq.item(seed.to)); {
			seed.to++
		}
	}
	el := seq.item(i)
	if path = path[4:]; len(path) > 0 {
		starts, ends, _ = m.around(list(el[1:]), path, start, depth+1)
	} else {
		val, mask, fold := value(el)
		n := int64(len(val))
		if start < 0 || start > m.in.Size()-n || !m.spend(n) || !m.equal(val, mask, fold, start) {
			return nil, nil, seed
		}
		starts = append(m.take(), span{start, start})
		ends = append(m.take(), span{start + n, start + n})
	}
	if ends = m.walk(seq, i+1, seed.to, ahead, ends); len(ends) > 0 {
		starts = m.walk(seq, seed.from, i, back, starts)
	}
	return starts, ends, seed
}

// tail finds the parts after the seed's, each as early as it can end: the end
// of the match, or none.
func (m *Matcher) tail(seed part, end int64) (int64, bool) {
	p := seed
	for p.to < p.seq.count() {
		lo, _ := gap(p.seq.item(p.to))
		for p.from, p.to = p.to+1, p.to+2; p.to < p.seq.count() && !unbounded(p.seq.item(p.to)); {
			p.to++
		}
		var ok bool
		if end, ok = m.next(p, end+lo); !ok {
			return 0, false
		}
	}
	return end, true
}

// head finds the parts before the seed's, each as late as it can start, and
// emits the starts of the first.
func (m *Matcher) head(seed part, starts []span, end int64, byEnd bool, emit func(off, n int64) bool) bool {
	start := starts[len(starts)-1].hi
	if seed.from == 0 {
		if byEnd {
			start, ok := m.lastWithin(starts)
			if ok {
				emit(start, end-start)
			}
			return ok
		}
		for _, s := range starts {
			for p := s.lo; p <= s.hi; p++ {
				if !m.spend(1) || !emit(p, end-p) {
					return true
				}
			}
		}
		return true
	}
	p := seed
	for p.from > 0 {
		lo, _ := gap(p.seq.item(p.from - 1))
		for p.to, p.from = p.from-1, p.from-2; p.from > 0 && !unbounded(p.seq.item(p.from-1)); {
			p.from--
		}
		start -= lo
		if p.from == 0 && !byEnd {
			return m.all(p, start, end, emit)
		}
		if p.from == 0 && m.Within != nil {
			first, least, ok := m.firstWithin(p)
			if ok = ok && least <= start; ok {
				emit(first, end-first)
			}
			return ok
		}
		var ok bool
		if start, ok = m.prev(p, start); !ok {
			return false
		}
	}
	emit(start, end-start)
	return true
}

// lastWithin returns the last of some starts at which a match may begin.
func (m *Matcher) lastWithin(starts []span) (last int64, ok bool) {
	if m.Within == nil {
		return starts[len(starts)-1].hi, true
	}
	last = -1
	for _, w := range m.Within {
		for _, s := range starts {
			if at := min(s.hi, w[1]); at >= max(s.lo, w[0]) {
				last = max(last, at)
			}
		}
	}
	return last, last >= 0
}

// firstWithin returns the first end of those occurrences of a part at which a match may begin,
// and where that one starts.
func (m *Matcher) firstWithin(p part) (start, end int64, ok bool) {
	t := m.memo(p, back)
	if t.known {
		return t.start, t.end, t.found
	}
	best := int64(-1)
	for _, w := range m.Within {
		last := min(w[1], m.in.Size()-t.min)
		for c := max(w[0], 0); c <= last && (best < 0 || c <= best-t.min); c += m.step() {
			ends := m.walk(p.seq, p.from, p.to, ahead, append(m.take(), span{c, min(last, c+m.step()-1)}))
			if len(ends) > 0 && (best < 0 || ends[0].lo < best) {
				best = ends[0].lo
			}
			m.give(ends)
		}
	}
	if best >= 0 {
		starts := m.walk(p.seq, p.from, p.to, back, append(m.take(), span{best, best}))
		if len(starts) > 0 {
			t.start, t.found = m.lastWithin(starts)
		}
		m.give(starts)
	}
	if m.Exhausted() {
		return 0, 0, false
	}
	t.known, t.end = true, best
	return t.start, t.end, t.found
}

// next returns the first end of those occurrences of a part that start at
// from or later.
func (m *Matcher) next(p part, from int64) (int64, bool) {
	t := m.memo(p, ahead)
	if t.known && from >= t.bound && (!t.found || from <= t.start) {
		return t.end, t.found
	}
	last := m.in.Size() - t.min // of the starts
	best, chunk := int64(-1), min(firstChunk, m.step())
	for c := from; c <= last && (best < 0 || c <= best-t.min); {
		if best < 0 && t.known && c >= t.bound && (!t.found || c <= t.start) {
			t.bound = from
			return t.end, t.found
		}
		hi := min(last, c+chunk-1)
		if t.known && c < t.bound {
			hi = min(hi, t.bound-1)
		}
		ends := m.walk(p.seq, p.from, p.to, ahead, append(m.take(), span{c, hi}))
		if len(ends) > 0 && (best < 0 || ends[0].lo < best) {
			best = ends[0].lo
		}
		m.give(ends)
		if m.Exhausted() {
			return 0, false
		}
		c, chunk = hi+1, min(chunk*4, m.step())
	}
	t.known, t.found, t.bound, t.end = true, best >= 0, from, best
	if t.found {
		at := m.walk(p.seq, p.from, p.to, back, append(m.take(), span{best, best}))
		if m.Exhausted() || len(at) == 0 { // the latter when the layer changes under us
			t.known = false
			return 0, false
		}
		t.start = at[len(at)-1].hi
		m.give(at)
	}
	return best, t.found
}

// prev returns the last start of those occurrences of a part that end at to
// or before.
func (m *Matcher) prev(p part, to int64) (int64, bool) {
	t := m.memo(p, back)
	if t.known && to <= t.bound && (!t.found || to >= t.end) {
		return t.start, t.found
	}
	best, chunk := int64(-1), min(firstChunk, m.step())
	for c := to; c >= t.min && (best < 0 || c >= best+t.min); {
		if best < 0 && t.known && c <= t.bound && (!t.found || c >= t.end) {
			t.bound = to
			return t.start, t.found
		}
		lo := max(t.min, c-chunk+1)
		if t.known && c > t.bound {
			lo = max(lo, t.bound+1)
		}
		at := m.walk(p.seq, p.from, p.to, back, append(m.take(), span{lo, c}))
		if len(at) > 0 {
			best = max(best, at[len(at)-1].hi)
		}
		m.give(at)
		if m.Exhausted() {
			return 0, false
		}
		c, chunk = lo-1, min(chunk*4, m.step())
	}
	t.known, t.found, t.bound, t.start = true, best >= 0, to, best
	if t.found {
		ends := m.walk(p.seq, p.from, p.to, ahead, append(m.take(), span{best, best}))
		if m.Exhausted() || len(ends) == 0 {
			t.known = false
			return 0, false
		}
		t.end = ends[0].lo
		m.give(ends)
	}
	return best, t.found
}

// all emits the starts of all occurrences of the first part that end at to or
// before and were not emitted yet.
func (m *Matcher) all(p part, to, end int64, emit func(off, n int64) bool) bool {
	t := m.memo(p, back)
	for c := max(t.done+1, t.min); c <= to; {
		hi := min(to, c+m.step()-1)
		at := m.walk(p.seq, p.from, p.to, back, append(m.take(), span{c, hi}))
		more := true
		for _, s := range at {
			for i := s.lo; i <= s.hi && more; i++ {
				first := i + t.min
				if t.min != t.max {
					first = m.firstEnd(p, i)
				}
				if !t.any || first < t.least {
					t.any, t.least = true, first
				}
				if first >= c {
					more = emit(i, end-i)
				}
			}
		}
		m.give(at)
		if !more || m.Exhausted() {
			break
		}
		t.done = hi
		c = hi + 1
	}
	return t.any && t.least <= to
}

// firstEnd returns the first end of the occurrences of a part that start at i.
func (m *Matcher) firstEnd(p part, i int64) int64 {
	ends := m.walk(p.seq, p.from, p.to, ahead, append(m.take(), span{i, i}))
	defer m.give(ends)
	if len(ends) == 0 {
		return -1
	}
	return ends[0].lo
}

package scan

import (
	"cmp"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

// window is how much of a layer that is not in memory is searched at a time, bytes.
const window = 4 << 20

// batch is the number of literal hits taken at a time.
const batch = 1 << 14

// searcher holds what the search of one layer needs, to be used again for the next.
type searcher struct {
	state   []uint32 // for each pattern: 1 + its place in seen, 0 if not seen in this layer
	seen    []sighting
	marked  []bool // for each rule with patterns: it is in rules
	rules   []uint32
	hits    []literal.Hit
	buf     []byte
	matcher pattern.Matcher
	input   *pattern.Input
}

// sighting is what is known of one pattern in one layer.
type sighting struct {
	id      uint32
	pattern ruledb.Pattern
	wanted  bool
	done    bool   // enough is known
	byEnd   bool   // matches are told apart by where they end
	cap     int    // matches to keep
	within  []span // where matches may begin; nil is anywhere
	nowhere bool   // the layer lacks what the pattern's anchor counts from
	found   []showcause.Match
}

// span is an inclusive range of offsets.
type span struct{ lo, hi int64 }

func newSearcher(db *ruledb.DB) searcher {
	return searcher{state: make([]uint32, db.Patterns()), marked: make([]bool, db.Rules())}
}

func (s *searcher) reset() {
	for i := range s.seen {
		s.state[s.seen[i].id] = 0
	}
	s.seen = s.seen[:0]
	for _, r := range s.rules {
		s.marked[r] = false
	}
	s.rules = s.rules[:0]
	s.matcher.Reset()
}

// search is one layer being searched for the rules of one target.
type search struct {
	*searcher
	in     *input
	l      *layer
	target rule.Target
	facts  rule.Facts

	collecting bool // the first places of each pattern are asked for, not a number of them
}

// match searches a layer for the rules of a target and those for any target.
func (in *input) match(l *layer, target rule.Target) {
	s := &search{searcher: &in.search, in: in, l: l, target: target}
	part := in.db.Partition(target)
	if l.Source.Size() == 0 && len(part.Always) == 0 {
		return
	}
	s.reset()
	s.facts = l.facts()
	s.input = pattern.NewInput(l.Source)
	s.matcher.Steps, s.matcher.Limit = 0, max(in.budget.Limits.Work-in.budget.Spent.Work, 1)
	defer func() {
		in.budget.Spent.Work += s.matcher.Steps
		if s.matcher.Exhausted() {
			in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: l.Source.Size()})
		}
		if err := s.input.Err(); err != nil {
			in.cannotRead(l, 0, -1, err)
		}
	}()
	s.pass(&part.Eager, true)
	s.triggered(part)
	if len(s.rules) == 0 {
		return
	}
	if s.want(part) {
		s.pass(&part.Deferred, false)
	}
	slices.Sort(s.rules)
	var fired []uint32
	for _, r := range s.rules {
		body := in.db.Rule(r)
		if !body.Program.Holds(func(sub int) uint32 { return s.count(body.Patterns[sub]) }) {
			continue
		}
		// What was not seen where not all was searched may be there: a rule that
		// asks for something to be absent does not fire on that.
		if partial := s.matcher.Exhausted() || l.unread; partial && !body.Program.Holds(func(sub int) uint32 { return in.db.Pattern(body.Patterns[sub]).Count }) {
			continue
		}
		fired = append(fired, r)
	}
	if len(fired) > 0 {
		s.collect(part, fired)
	}
}

// triggered gathers the rules of which a trigger was seen.
func (s *search) triggered(part *ruledb.Partition) {
	add := func(r uint32) {
		if s.marked[r] {
			return
		}
		body := s.in.db.Rule(r)
		if (body.Target == s.target || body.Target == rule.Any) && body.Program.Admits(&s.facts) {
			s.marked[r] = true
			s.rules = append(s.rules, r)
		}
	}
	for i := range s.seen {
		if len(s.seen[i].found) > 0 {
			for _, r := range s.seen[i].pattern.Triggers {
				add(r)
			}
		}
	}
	for _, r := range part.Always {
		add(r)
	}
}

// want marks the patterns of the triggered rules, and tells whether any of
// them has yet to be searched for.
func (s *search) want(part *ruledb.Partition) bool {
	more := false
	for _, r := range s.rules {
		for _, p := range s.in.db.Rule(r).Patterns {
			if !part.IsEager(p) {
				s.sight(p).wanted = true
				more = true
			}
		}
	}
	return more
}

// collect searches once more for the patterns of rules that fired, to have the
// first places of each, and records the findings.
func (s *search) collect(part *ruledb.Partition, fired []uint32) {
	s.collecting = true
	for i := range s.seen {
		s.seen[i].done = true
	}
	keep := showcause.MaxMatches
	if s.in.options.Digests {
		keep = showcause.MaxCount
	}
	for _, r := range fired {
		for _, p := range s.in.db.Rule(r).Patterns {
			g := s.sight(p)
			g.wanted, g.done, g.cap, g.found = true, g.nowhere, keep, g.found[:0]
		}
	}
	s.matcher.Reset()
	s.pass(&part.Eager, false)
	s.pass(&part.Deferred, false)
	for _, r := range fired {
		var matches []showcause.Match
		var counts []uint32
		for sub, p := range s.in.db.Rule(r).Patterns {
			found := s.sight(p).found
			if s.in.options.Digests {
				counts = append(counts, uint32(len(found)))
			}
			for _, m := range found[:min(len(found), showcause.MaxMatches)] {
				m.Pattern = sub
				matches = append(matches, m)
			}
		}
		s.in.found(s.l, r, matches, counts)
	}
}

// count returns the number of matches of a pattern, at most as many as any
// rule has to tell apart.
func (s *search) count(p uint32) uint32 {
	if i := s.state[p]; i != 0 {
		return uint32(len(s.seen[i-1].found))
	}
	return 0
}

// sight returns the entry of a pattern in this layer.
func (s *search) sight(p uint32) *sighting {
	if i := s.state[p]; i != 0 {
		return &s.seen[i-1]
	}
	var g sighting
	if n := len(s.seen); n < cap(s.seen) {
		g.found = s.seen[:n+1][n].found[:0] // memory of an earlier layer
	}
	g.id, g.pattern = p, s.in.db.Pattern(p)
	g.cap = int(g.pattern.Count)
	g.byEnd = g.pattern.Program.ByEnd()
	if g.pattern.Anchor.Base != pattern.Anywhere {
		g.within = s.l.spans(g.pattern.Anchor)
		g.nowhere = len(g.within) == 0
		g.done = g.nowhere
	}
	s.seen = append(s.seen, g)
	s.state[p] = uint32(len(s.seen))
	return &s.seen[len(s.seen)-1]
}

// pass searches the whole layer for some literals and verifies their patterns:
// all of them, or the wanted ones.
func (s *search) pass(lits *ruledb.Literals, all bool) {
	b, inMemory := s.l.Source.(showcause.Bytes)
	if lits.Set.Len() == 0 && (inMemory || !all) {
		return // but a first pass reads what is not in memory all the same: unreadable bytes are told
	}
	n := s.l.Source.Size()
	s.matcher.Steps += n / 64 // all at once: what is too large to end is told before it is begun
	if inMemory {
		s.window(lits, b, 0, len(b), all)
		return
	}
	if s.buf == nil {
		s.buf = make([]byte, window)
	}
	keep := max(lits.Set.MaxLen()-1, 0)
	have := 0
	for base := int64(0); base < n && !s.matcher.Exhausted(); {
		m, err := s.fill(s.buf[have:], base+int64(have), n)
		have += m
		last := err != nil || base+int64(have) >= n
		to := have
		if !last {
			to = have - keep
		}
		s.window(lits, s.buf[:have], base, to, all)
		if last {
			if err != nil {
				s.in.cannotRead(s.l, base+int64(have), n-base-int64(have), err)
			}
			return
		}
		copy(s.buf, s.buf[to:have])
		base += int64(to)
		have -= to
	}
}

// fill reads until p is full or the layer, n bytes long, ends.
func (s *search) fill(p []byte, off, n int64) (got int, err error) {
	p = p[:min(int64(len(p)), n-off)]
	for got < len(p) {
		m, err := s.l.Source.ReadAt(p[got:], off+int64(got))
		got += m
		if got == len(p) {
			break
		}
		if err == nil && m == 0 {
			err = io.ErrNoProgress
		}
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

// window searches the part of the layer at base for literals that begin in its first to bytes.
func (s *search) window(lits *ruledb.Literals, buf []byte, base int64, to int, all bool) {
	s.input.SetWindow(buf, base)
	for from := 0; from < to && !s.matcher.Exhausted(); {
		s.hits, from = lits.Set.ScanN(buf, from, to, s.hits[:0], batch)
		s.matcher.Steps += int64(len(s.hits))
		for _, h := range s.hits {
			for _, ref := range lits.Refs(h.ID) {
				s.verify(ref, base+int64(h.At), all)
			}
		}
	}
}

// verify looks whether a pattern matches where one of its literals was seen.
func (s *search) verify(ref ruledb.Ref, at int64, all bool) {
	if s.state[ref.Pattern] == 0 && !all {
		return
	}
	g := s.sight(ref.Pattern)
	if g.done || !all && !g.wanted {
		return
	}
	s.matcher.Verify(g.id, g.pattern.Program, ref.Place, s.input, at, func(off, n int64) bool {
		if g.within != nil && !inside(g.within, off) {
			return true
		}
		g.add(off, n)
		if !s.collecting && len(g.found) >= g.cap {
			g.done = true
		}
		return !g.done
	})
}

// place is what tells one match of the pattern from another: where it begins,
// or, for a body that ClamAV counts by its last part, where it ends.
func (g *sighting) place(m showcause.Match) int64 {
	if g.byEnd {
		return m.Offset + m.Length
	}
	return m.Offset
}

// add keeps a match, in order, once for each place, and the first ones if there are too many.
func (g *sighting) add(off, n int64) {
	m := showcause.Match{Offset: off, Length: n}
	i, dup := slices.BinarySearchFunc(g.found, g.place(m), func(have showcause.Match, place int64) int {
		return cmp.Compare(g.place(have), place)
	})
	if dup {
		return
	}
	if len(g.found) >= g.cap {
		if i >= g.cap {
			return
		}
		g.found = g.found[:g.cap-1]
	}
	g.found = slices.Insert(g.found, i, m)
}

func inside(spans []span, off int64) bool {
	for _, s := range spans {
		if off >= s.lo && off <= s.hi {
			return true
		}
	}
	return false
}

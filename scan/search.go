package scan

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

// window is how much of a layer is searched at a time, bytes: a piece that stays in the second
// cache from when it is read until it is searched.
const window = 1 << 20

// batch is the number of literal hits taken at a time.
const batch = 1 << 14

// searcher holds what the search of one layer needs, to be used again for the next.
type searcher struct {
	state    []uint32 // for each pattern: 1 + its place in seen, 0 if not seen in this layer
	seen     []sighting
	marked   []bool // for each rule with patterns: it is in rules
	rules    []uint32
	values   []uint8  // for each rule with patterns: what became of it; those in rules have one
	admits   []uint8  // for each rule with patterns: 0 not asked, 1 its guard lets the layer in, 2 not
	asked    []uint32 // rules that are in admits
	kept     int      // matches, of all patterns
	cut      bool     // some pattern was cut off
	regexps  regex.Matcher
	eval     evaluator
	always   map[*ruledb.Partition][][]uint32 // the rules that can hold with no match, those of one guard together
	ring     []*glance
	narrowed []uint32 // patterns
	matcher  pattern.Matcher
	input    *pattern.Input
}

// sighting is what is known of one pattern in one layer.
type sighting struct {
	id      uint32
	pattern ruledb.Pattern
	wanted  bool
	done    bool       // enough is known
	byEnd   bool       // matches are told apart by where they end
	cap     int        // matches to keep
	within  []span     // where matches may begin; nil is anywhere
	starts  [][2]int64 // the same, of matches that are told apart by where they end
	nowhere bool       // the layer lacks what the pattern's anchor counts from
	barred  bool       // the guards of the rules that it triggers bar the layer: it was not searched for
	longest bool       // of several matches with one start the longest counts, or else the shortest
	again   bool       // not all was found
	wide    bool       // collected from all of the layer, whatever the anchor says
	spent   int64      // steps
	cut     bool       // it took more than its share: what was not found may be there
	found   []showcause.Match

	// Of a pattern that is decided later:
	barren bool // its atoms were looked for, and none was seen
	looked bool // found has what there is
}

// span is an inclusive range of offsets, but for search.parts, whose end is not in it.
type span struct{ lo, hi int64 }

func newSearcher(db *ruledb.DB) searcher {
	n := db.Rules()
	return searcher{state: make([]uint32, db.Patterns()), marked: make([]bool, n), values: make([]uint8, n), admits: make([]uint8, n), always: map[*ruledb.Partition][][]uint32{}}
}

func (s *searcher) reset() {
	for i := range s.seen {
		s.state[s.seen[i].id] = 0
	}
	s.seen = s.seen[:0]
	for _, r := range s.rules {
		s.marked[r], s.values[r] = false, holdsNot
	}
	s.rules = s.rules[:0]
	for _, r := range s.asked {
		s.admits[r] = 0
	}
	s.asked = s.asked[:0]
	s.kept, s.cut = 0, false
	clear(s.eval.modules)
	s.eval.layer, s.eval.md5 = nil, ""
	s.matcher.Reset()
}

// search is one layer being searched for the rules of one target.
type search struct {
	*searcher
	in     *input
	l      *layer
	target rule.Target
	facts  rule.Facts

	collecting bool              // the first places of each pattern are asked for, not a number of them
	named      map[uint32]uint32 // of programs that found something: the rules that have the names
	parts      []span            // of a layer that is too large to be searched to its end: see sample
}

// match searches a layer for the rules of a target and those for any target.
func (in *input) match(l *layer, target rule.Target) {
	s := &search{searcher: &in.search, in: in, l: l, target: target}
	part := in.db.Partition(target, bound.Head(l.Source, 2))
	if _, ok := s.always[part]; !ok {
		s.always[part] = groups(in.db, part)
	}
	if l.Source.Size() == 0 && len(part.Always) == 0 {
		return
	}
	s.reset()
	s.facts = l.facts()
	s.input = pattern.NewInput(l.Source)
	s.matcher.Steps, s.matcher.Limit = 0, max(in.budget.Limits.Work-in.budget.Spent.Work, 1)
	if s.parts = s.sample(); s.parts != nil {
		s.matcher.Limit /= sampleRuns
	}
	defer func() {
		if s.parts != nil {
			s.matcher.Steps = max(s.matcher.Limit, l.Source.Size()/64)
		}
		in.budget.Spent.Work += s.matcher.Steps
		if s.matcher.Exhausted() || s.cut || s.parts != nil {
			in.gap(showcause.Gap{Trail: l.Trail, Code: showcause.LimitWork, Offset: 0, Length: l.Source.Size()})
		}
		if err := s.input.Err(); err != nil {
			in.cannotRead(l, 0, -1, err)
		}
	}()
	s.eval.search = s
	s.facts.Read = s.eval.Read
	s.pass(&part.Eager, true)
	s.triggered(part)
	s.hopeful(part)
	if len(s.rules) == 0 {
		return
	}
	barred, deferred, whole := s.want(part)
	if barred {
		s.pass(s.narrow(&part.Eager), false)
	}
	if deferred && !s.few(part) {
		s.pass(s.narrow(&part.Deferred), false)
	}
	if whole {
		s.throughout()
	}
	s.seeds(part)
	if fired := s.programs(s.fired()); len(fired) > 0 {
		s.collect(part, fired)
	}
}

// narrowFrom is from which size of a layer on it pays to make a set of the wanted
// literals alone.
const narrowFrom = 64 << 10

// narrow returns the literals of the wanted patterns, or all where that is as cheap.
func (s *search) narrow(lits *ruledb.Literals) *ruledb.Literals {
	if s.l.Source.Size() < narrowFrom {
		return lits
	}
	s.narrowed = s.narrowed[:0]
	for i := range s.seen {
		if g := &s.seen[i]; g.wanted && !g.done {
			s.narrowed = append(s.narrowed, g.id)
		}
	}
	return lits.Only(s.narrowed)
}

// fired evaluates the rules, in order, and returns those that are reported.
func (s *search) fired() (fired []uint32) {
	db := s.in.db
	slices.Sort(s.rules)
	for _, r := range s.rules {
		body := db.Rule(r)
		hold := body.Program.Holds(func(sub int) uint32 { return s.count(body.Patterns[sub]) })
		lacking := s.cut && slices.ContainsFunc(body.Patterns, s.lacks)
		if !hold {
			if lacking {
				s.values[r] = stopped
			}
			continue
		}
		// What was not seen where not all was searched may be there: a rule that
		// asks for something to be absent does not fire on that.
		partial := s.matcher.Exhausted() || s.l.unread || lacking || s.parts != nil
		y, is := db.YARA(r)
		if !is {
			if partial && !body.Program.Holds(func(sub int) uint32 { return db.Pattern(body.Patterns[sub]).Count }) {
				continue
			}
			fired = append(fired, r)
			continue
		}
		s.values[r] = s.evaluate(r, body, y)
		if lacking && (s.values[r] == holdsNot || y.Absent) {
			s.values[r] = stopped
		}
		if s.values[r] == holds && !y.Private && !(partial && y.Absent) {
			fired = append(fired, r)
		}
	}
	// A global rule that does not hold bars all of its namespace.
	return slices.DeleteFunc(fired, func(r uint32) bool {
		y, _ := db.YARA(r)
		return slices.ContainsFunc(y.Globals, func(g uint32) bool { return s.values[g] != holds })
	})
}

// admitted tells whether a rule is for this layer.
func (s *search) admitted(r uint32) bool {
	if s.admits[r] == 0 {
		s.asked = append(s.asked, r)
		s.admits[r] = 2
		if _, alias := s.in.db.Bytecode(r); alias {
			return false
		}
		body := s.in.db.Rule(r)
		y, yara := s.in.db.YARA(r)
		// Most rules of YARA's are for bytes as they are.
		if (body.Target == s.target || body.Target == rule.Any) && !(yara && !y.Views && s.l.origin != nil) && body.Program.Admits(&s.facts) {
			s.admits[r] = 1
		}
	}
	return s.admits[r] == 1
}

// triggered gathers the rules of which a trigger was seen.
func (s *search) triggered(part *ruledb.Partition) {
	add := func(r uint32) {
		if s.marked[r] {
			return
		}
		if s.admitted(r) {
			s.marked[r] = true
			s.rules = append(s.rules, r)
		}
	}
	for i := range s.seen {
		if len(s.seen[i].found) > 0 || s.seen[i].cut {
			for _, r := range s.seen[i].pattern.Triggers {
				add(r)
			}
		}
	}
	for _, group := range s.always[part] {
		if s.admitted(group[0]) {
			for _, r := range group {
				add(r)
			}
		}
	}
}

// groups puts the rules of a partition that can hold with no match together by
// what decides whether they are for a layer.
func groups(db *ruledb.DB, part *ruledb.Partition) (out [][]uint32) {
	at := map[string]int{}
	for _, r := range part.Always {
		body := db.Rule(r)
		y, yara := db.YARA(r)
		key := fmt.Sprint(body.Target, yara, y.Views, body.Program.Guard())
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}

// hopeful drops those of YARA's rules that what was seen in every layer rules out
// already, whatever else may be found.
func (s *search) hopeful(part *ruledb.Partition) {
	db := s.in.db
	s.rules = slices.DeleteFunc(s.rules, func(r uint32) bool {
		if _, yara := db.YARA(r); !yara {
			return false
		}
		body := db.Rule(r)
		hope := body.Program.Holds(func(sub int) uint32 {
			p := body.Patterns[sub]
			if i := s.state[p]; part.IsEager(p) && (i == 0 || !s.seen[i-1].barred && !s.seen[i-1].cut) {
				return s.count(p)
			}
			return math.MaxUint32
		})
		if !hope {
			s.marked[r] = false
		}
		return !hope
	})
}

// want marks the patterns of the triggered rules, and tells which of them have
// yet to be searched for: some that were barred, some that are deferred, some
// that have no atoms.
func (s *search) want(part *ruledb.Partition) (barred, deferred, whole bool) {
	for _, r := range s.rules {
		for _, p := range s.in.db.Rule(r).Patterns {
			if s.in.db.IsLater(p) {
				continue
			}
			eager := part.IsEager(p)
			if eager && s.state[p] == 0 {
				continue // not seen
			}
			g := s.sight(p)
			switch {
			case g.pattern.NoAtoms:
				g.wanted, whole = true, true
			case !eager:
				g.wanted, deferred = true, true
			case g.barred:
				g.barred, g.wanted, g.done, barred = false, true, g.nowhere, true
			}
		}
	}
	return barred, deferred, whole
}

// mostFew bounds the literals that are searched for one by one, those without case
// counted foldCost times.
const (
	mostFew  = 16
	foldCost = 5
)

// few searches for the wanted patterns one by one, in place of a pass for all that
// are deferred, if the layer is in memory and they are few; it tells whether it did.
// A pattern with jumps wants its literals in the order in which they stand, so that it
// may have one only.
func (s *search) few(part *ruledb.Partition) bool {
	b, inMemory := s.l.Source.(showcause.Bytes)
	cost := 0
	for i := range s.seen {
		g := &s.seen[i]
		if !g.wanted || g.done || g.pattern.NoAtoms || part.IsEager(g.id) {
			continue
		}
		if !inMemory || g.pattern.Regexp != nil || len(g.pattern.Places) > mostFew || len(g.pattern.Places) > 1 && !g.pattern.Program.Forms() {
			return false
		}
		for _, place := range g.pattern.Places {
			lit, fold, ok := g.pattern.Program.Literal(place)
			if !ok || len(lit) < 3 {
				return false
			}
			if cost++; fold {
				cost += foldCost - 1
			}
		}
		if cost > mostFew {
			return false
		}
	}
	for i := range s.seen {
		g := &s.seen[i]
		if !g.wanted || g.done || g.pattern.NoAtoms || part.IsEager(g.id) {
			continue
		}
		for _, place := range g.pattern.Places {
			lit, fold, _ := g.pattern.Program.Literal(place)
			s.matcher.Steps += int64(len(b)) / 256
			each(b, lit, fold, func(at int) bool {
				s.matcher.Steps++
				s.at(g, place, int64(at))
				return !g.done && !s.matcher.Exhausted()
			})
		}
	}
	return true
}

// each calls f with the places of a literal in b, until it says no. With fold
// the literal is in lower case.
func each(b, lit []byte, fold bool, f func(at int) bool) {
	if !fold {
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], lit)
			if i < 0 {
				return
			}
			if at += i; !f(at) {
				return
			}
		}
	}
	c := lit[0]
	upper := c
	if 'a' <= c && c <= 'z' {
		upper -= 0x20
	}
	next := [2]int{-1, -1} // the first byte in lower and upper case, from at on
	for at := 0; at+len(lit) <= len(b); at++ {
		for k, x := range [2]byte{c, upper} {
			if next[k] < at {
				if next[k] = bytes.IndexByte(b[at:], x); next[k] < 0 {
					next[k] = len(b)
				} else {
					next[k] += at
				}
			}
		}
		if at = min(next[0], next[1]); at+len(lit) > len(b) {
			return
		}
		if sameFold(b[at:at+len(lit)], lit) && !f(at) {
			return
		}
	}
}

// sameFold tells whether b in lower case is lit.
func sameFold(b, lit []byte) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lit[i] {
			return false
		}
	}
	return true
}

// throughout searches the whole layer for each wanted pattern that has no atoms.
func (s *search) throughout() {
	for i := range s.seen {
		g := &s.seen[i]
		if !g.wanted || g.done || !g.pattern.NoAtoms {
			continue
		}
		from, to := int64(0), s.input.Size()+1
		if len(g.within) == 1 && !g.wide {
			from, to = g.within[0].lo, g.within[0].hi+1
		}
		before := s.matcher.Steps
		limit, ok := s.allot(g)
		if !ok {
			continue
		}
		if s.parts != nil {
			s.cutOff(g)
			continue
		}
		s.regexps.Steps, s.regexps.Limit = before, s.matcher.Limit
		s.regexps.Scan(g.id, g.pattern.Regexp, s.input, from, to, func(off, n int64) bool { return s.emit(g, off, n) })
		s.matcher.Steps = s.regexps.Steps
		s.settle(g, before, limit)
	}
}

// allot bounds what comes next by the share of a pattern: none may take more than it
// leaves to all others, so that one that costs too much does not take their matches
// with it. It returns the bound for all; not ok if the share is used up.
func (s *search) allot(g *sighting) (limit int64, ok bool) {
	limit = s.matcher.Limit
	left := limit - s.matcher.Steps - g.spent
	if left <= 0 {
		s.cutOff(g)
		return limit, false
	}
	s.matcher.Limit = s.matcher.Steps + left/2
	return limit, true
}

// settle is what follows when that is done.
func (s *search) settle(g *sighting, before, limit int64) {
	g.spent += s.matcher.Steps - before
	if s.matcher.Exhausted() {
		s.cutOff(g)
	}
	s.matcher.Limit = limit
}

// cutOff gives a pattern up.
func (s *search) cutOff(g *sighting) { g.cut, g.done, s.cut = true, true, true }

// lacks tells whether there may be more matches of a pattern than are known.
func (s *search) lacks(p uint32) bool {
	i := s.state[p]
	return i != 0 && s.seen[i-1].cut
}

// collect searches once more for the patterns of rules that fired, to have the
// first places of each, and records the findings.
func (s *search) collect(part *ruledb.Partition, fired []uint32) {
	s.collecting = true
	keep, most := s.in.places()
	again := false
	for i := range s.seen {
		g := &s.seen[i]
		g.again, g.wanted = g.done && !g.nowhere && !g.cut && g.pattern.Later == nil, false
		g.done = true
	}
	for _, r := range fired {
		_, yara := s.in.db.YARA(r)
		for _, p := range s.in.db.Rule(r).Patterns {
			seen := s.state[p] != 0 || !part.IsEager(p)
			g := s.sight(p)
			// Of "$a at 0" no match elsewhere decides anything, so that none was kept: but it
			// is one of the string.
			if yara && seen && !g.wide && !g.cut && g.pattern.Anchor.Base != pattern.Anywhere {
				g.wide, g.again = true, true
			}
			// Where the search did not end with enough, all is known already.
			if g.again && !g.wanted {
				s.kept -= len(g.found)
				g.wanted, g.done, g.cap, g.found = true, false, most, g.found[:0]
				again = true
			}
		}
	}
	if again {
		s.matcher.Reset()
		s.pass(s.narrow(&part.Eager), false)
		s.pass(s.narrow(&part.Deferred), false)
		s.throughout()
	}
	for _, r := range fired {
		if s.l.said(s.in, s.reported(r)) {
			continue
		}
		var matches []showcause.Match
		var counts []uint32
		_, yara := s.in.db.YARA(r)
		body := s.in.db.Rule(r)
		for sub, p := range body.Patterns {
			g := s.sight(p)
			found := g.found
			if g.pattern.Later != nil && !body.Program.Open(sub, func(sub int) uint32 { return s.count(body.Patterns[sub]) }) {
				found = nil // of another rule's
			}
			if g.wide && !yara { // it has the pattern in common with a rule of YARA's
				found = slices.DeleteFunc(slices.Clone(found), func(m showcause.Match) bool { return g.nowhere || !inside(g.within, m.Offset) })
			}
			if s.in.options.Digests {
				counts = append(counts, uint32(min(len(found), showcause.MaxCount)))
			}
			for _, m := range found[:min(len(found), keep)] {
				m.Pattern = sub
				matches = append(matches, m)
			}
		}
		s.in.found(s.l, s.reported(r), matches, counts)
		s.handler(r)
	}
}

// count returns the number of matches of a pattern, as many at least as any
// rule has to tell apart.
func (s *search) count(p uint32) uint32 {
	if s.in.db.IsLater(p) {
		return s.later(p)
	}
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
	if g.pattern.Later != nil { // all that is wanted of it is asked for once
		_, most := s.in.places()
		g.cap = max(g.cap, most)
	}
	g.longest = g.pattern.Longest()
	if g.pattern.Program != nil {
		g.byEnd = g.pattern.Program.ByEnd()
	}
	if g.pattern.Anchor.Base != pattern.Anywhere {
		g.within = s.l.spans(g.pattern.Anchor)
		g.nowhere = len(g.within) == 0
		g.done = g.nowhere
		for _, w := range g.within {
			if g.byEnd {
				g.starts = append(g.starts, [2]int64{w.lo, w.hi})
			}
		}
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
	for _, part := range s.parts {
		s.matcher.Steps += (part.hi - part.lo) / 64
		s.stretch(lits, part.lo, part.hi, all)
	}
	if s.parts != nil {
		return
	}
	s.matcher.Steps += n / 64 // all at once: what is too large to end is told before it is begun
	if inMemory {
		s.memory(lits, b, all)
		return
	}
	s.stretch(lits, 0, n, all)
}

// Sparse is a source that knows where it has nothing but zeros.
type Sparse interface {
	// Data is the first stretch at off or behind it that may hold something else.
	Data(off int64) (from, to int64)
}

// Of an input that is too large to be searched to its end, partSize bytes at its start and at
// its end are searched, and what else is known to hold data: all that for one part
// in sampleShare of the work that is left. All that is done with it takes no more than one part
// in sampleRuns.
const (
	partSize    = 64 << 20
	sampleShare = 16
	sampleRuns  = 4
)

// sample is what is searched of such an input, in order; nil is all of it. It is a gap all the
// same.
func (s *search) sample() (out []span) {
	n := s.l.Source.Size()
	left := s.matcher.Limit / sampleShare * 64
	if n/64 <= s.matcher.Limit || s.l.parent != nil || left < 2*partSize {
		return nil
	}
	left -= 2 * partSize
	out = append(out, span{0, partSize})
	if sparse, ok := s.l.Source.(Sparse); ok {
		for at := int64(partSize); at < n-partSize && left > 0; {
			from, to := sparse.Data(at)
			if to = min(to, n-partSize, from+left); from >= to || from < at {
				break
			}
			out = append(out, span{from, to})
			left -= to - from
			at = to
		}
	}
	return append(out, span{n - partSize, n})
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

// verify looks whether a pattern matches where one of its literals was seen.
func (s *search) verify(ref ruledb.Ref, at int64, all bool) {
	if s.state[ref.Pattern] == 0 && !all {
		return
	}
	fresh := s.state[ref.Pattern] == 0
	g := s.sight(ref.Pattern)
	if fresh && !g.nowhere && s.bars(g) {
		g.barred, g.done = true, true
	}
	if g.done || !all && !g.wanted {
		return
	}
	s.at(g, ref.Place, at)
}

// at verifies a pattern at one place, within its share.
func (s *search) at(g *sighting, place uint32, at int64) {
	if g.pattern.Later != nil {
		g.barren, g.done = false, true
		return
	}
	before := s.matcher.Steps
	limit, ok := s.allot(g)
	if !ok {
		return
	}
	if g.pattern.Regexp != nil {
		s.regexps.Steps, s.regexps.Limit = before, s.matcher.Limit
		s.regexps.Verify(g.id, g.pattern.Regexp, place, s.input, at, func(off, n int64) bool { return s.emit(g, off, n) })
		s.matcher.Steps = s.regexps.Steps
	} else {
		s.matcher.Within = g.starts
		s.matcher.Verify(g.id, g.pattern.Program, place, s.input, at, func(off, n int64) bool { return s.emit(g, off, n) })
	}
	s.settle(g, before, limit)
}

// maxBars bounds how many rules are asked whether they bar a pattern.
const maxBars = 16

// bars tells whether the guards of all rules that a pattern triggers bar the
// layer, so that it need not be verified.
func (s *search) bars(g *sighting) bool {
	rules := g.pattern.Triggers
	return len(rules) > 0 && len(rules) <= maxBars && !slices.ContainsFunc(rules, s.admitted)
}

// maxKept bounds the matches that are kept of one layer.
const maxKept = 1 << 22

// emit takes a match, and tells whether more are wanted.
func (s *search) emit(g *sighting, off, n int64) bool {
	if g.within != nil && !g.wide && !inside(g.within, off) {
		return true
	}
	before := len(g.found)
	g.add(off, n)
	s.kept += len(g.found) - before
	if !s.collecting && len(g.found) >= g.cap {
		g.done = true
	} else if len(g.found) > maxKept-s.kept { // its share of the memory
		s.cutOff(g)
	}
	return !g.done
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
	i := len(g.found)
	if place := g.place(m); i > 0 && g.place(g.found[i-1]) >= place {
		var dup bool
		i, dup = slices.BinarySearchFunc(g.found, place, func(have showcause.Match, place int64) int {
			return cmp.Compare(g.place(have), place)
		})
		if dup {
			if have := &g.found[i]; !g.byEnd && g.longest == (n > have.Length) {
				have.Length = n
			}
			return
		}
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

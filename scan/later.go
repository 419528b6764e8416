package scan

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/imagehash"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
)

// places says how many places of each pattern of a finding are kept, and how many are counted.
func (in *input) places() (keep, most int) {
	keep = showcause.MaxMatches
	if m := in.options.MaxMatches; m > 0 {
		keep = m
	}
	most = keep
	if in.options.Digests {
		most = max(most, showcause.MaxCount)
	}
	return keep, most
}

// seeds looks for the atoms of the expressions that may be asked for after what was found:
// one of which no atom is there has no match.
func (s *search) seeds(part *ruledb.Partition) {
	some := false
	for i := range s.seen {
		s.seen[i].wanted = false
	}
	for _, r := range s.rules {
		body := s.in.db.Rule(r)
		if !body.Program.Gated() {
			continue
		}
		for sub, p := range body.Patterns {
			if !s.in.db.IsLater(p) || s.state[p] != 0 || !body.Program.Open(sub, func(sub int) uint32 { return s.hope(body.Patterns[sub]) }) {
				continue
			}
			g := s.sight(p)
			g.barren = g.pattern.Regexp != nil && !g.pattern.NoAtoms && !g.nowhere
			g.wanted = g.barren
			some = some || g.wanted
		}
	}
	if some {
		s.pass(s.narrow(&part.Deferred), false)
	}
}

// hope is the number of matches of a pattern, or as many as there can be if it is decided later.
func (s *search) hope(p uint32) uint32 {
	if s.in.db.IsLater(p) {
		return math.MaxUint32
	}
	return s.count(p)
}

// later returns the number of matches of a pattern that is decided after others.
func (s *search) later(p uint32) uint32 {
	if g := s.sight(p); !g.looked {
		g.looked = true
		switch l := g.pattern.Later; {
		case l.Compare != nil:
			s.compare(p, uint32(l.Compare.From))
		case l.Image != nil:
			s.looks(g, l.Image)
		case l.Icons != nil:
			s.icons(g, l.Icons)
		default:
			s.expression(g)
		}
		s.sight(p).done = true
	}
	return uint32(len(s.sight(p).found))
}

// compare decides a comparison with what stands behind the last match of another pattern.
func (s *search) compare(p, from uint32) {
	last := int64(-1)
	if i := s.state[from]; i != 0 {
		for _, m := range s.seen[i-1].found {
			last = max(last, m.Offset)
		}
		if s.seen[i-1].cut {
			s.cutOff(s.sight(p))
		}
	}
	g := s.sight(p)
	c := g.pattern.Later.Compare
	if off, ok := c.Place(last, s.l.Source.Size()); last >= 0 && ok {
		if b := s.eval.Read(off, int(c.Width)); b != nil && c.Holds(b) {
			g.found = append(g.found, showcause.Match{Offset: off, Length: int64(c.Width)})
		}
	}
}

// looks tells whether the layer is an image that looks like another.
func (s *search) looks(g *sighting, m *rule.Image) {
	if s.l.image == nil {
		s.l.image = &hashed{}
		*s.l.image = s.hashImage()
	}
	if s.l.image.ok && bits.OnesCount64(binary.LittleEndian.Uint64(s.l.image.hash[:])^binary.LittleEndian.Uint64(m.Hash[:])) <= int(m.Distance) {
		g.found = append(g.found, showcause.Match{Offset: 0, Length: s.l.Source.Size()})
	}
}

// hashed is what an image looks like.
type hashed struct {
	hash [8]byte
	ok   bool
}

// maxImage is the size of the largest image file that is looked at, bytes, and imageCost the
// number of its pixels that are a step of work.
const (
	maxImage  = 64 << 20
	imageCost = 4
)

// hashImage looks at the layer. Of an image that is not read it is told; one that does
// not hold together is none, to clamscan too.
func (s *search) hashImage() (h hashed) {
	if s.l.origin != nil || rule.Target(s.l.kind.Target()) != rule.Graphics {
		return h
	}
	limit := func() hashed {
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.LimitWork, Offset: 0, Length: -1})
		return hashed{}
	}
	n := s.l.Source.Size()
	if n > maxImage {
		return limit()
	}
	data, err := bound.ReadAt(s.l.Source, 0, n, maxImage)
	if err != nil || int64(len(data)) < n {
		return h // that is told by the search
	}
	hash, err := imagehash.Hash(data, func(pixels int64) bool {
		s.matcher.Steps += pixels / imageCost
		return !s.matcher.Exhausted()
	})
	switch {
	case errors.Is(err, imagehash.ErrLarge):
		return limit()
	case errors.Is(err, imagehash.ErrFormat):
		s.in.gap(showcause.Gap{Trail: s.l.Trail, Code: showcause.Unsupported + ".method.image", Offset: 0, Length: n})
	}
	return hashed{hash, err == nil}
}

// expression looks for an expression, from its anchor on.
func (s *search) expression(g *sighting) {
	if g.barren || g.nowhere {
		return
	}
	before := s.matcher.Steps
	limit, ok := s.allot(g)
	if !ok {
		return
	}
	if s.parts != nil {
		s.cutOff(g)
		return
	}
	s.regexps.Steps, s.regexps.Limit, s.regexps.Abandoned = before, s.matcher.Limit, 0
	places := g.within
	if places == nil {
		places = []span{{0, s.input.Size()}}
	}
	for _, at := range places {
		if at.lo >= 0 && at.lo < s.input.Size() && len(g.found) < g.cap {
			s.from(g, at)
		}
	}
	if s.regexps.Abandoned > 0 {
		s.cutOff(g)
	}
	s.matcher.Steps = s.regexps.Steps
	s.settle(g, before, limit)
}

// from looks for it at one place of its anchor: as clamscan does, in what begins there.
func (s *search) from(g *sighting, at span) {
	l := g.pattern.Later
	in := &piece{s.input, at.lo, s.input.Size() - at.lo}
	shift := at.hi - at.lo
	to := in.n + 1
	here := l.Anchored
	if g.within != nil {
		switch {
		case l.Encompass && shift > 0:
			in.n = min(in.n, shift)
		case shift > 0:
			to = shift + 1
		case !l.Rolling:
			here = true
		}
	}
	next := int64(0)
	for more := true; more; {
		if more = false; here {
			to = next + 1
		}
		s.regexps.Apart(g.id, g.pattern.Regexp, in, next, to, func(off, n int64) bool {
			g.add(at.lo+off, n)
			next = off + max(n, 1)
			more = here && l.Global && next <= in.n
			return l.Global && len(g.found) < g.cap
		})
		if s.kept++; len(g.found) > maxKept-s.kept {
			s.cutOff(g)
			return
		}
	}
}

// piece is a part of an input that is taken for all of it.
type piece struct {
	in      regex.Input
	base, n int64
}

func (p *piece) Size() int64 { return p.n }

func (p *piece) View(off, n int64) []byte {
	if off < 0 || off >= p.n {
		return nil
	}
	v := p.in.View(p.base+off, min(n, p.n-off))
	return slices.Clip(v)
}

package recheck

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

// block is how much of a layer is searched at a time, bytes.
const block = 64 << 10

// body is a rule over patterns.
type body struct {
	rule     rule.Rule
	cond     rule.Program
	programs []pattern.Program
	atoms    [][]pattern.Atom
}

// newBody compiles a rule, of which it keeps a copy.
func newBody(r *rule.Rule) (*body, error) {
	b := &body{rule: rule.Rule{Target: r.Target, Later: slices.Clone(r.Later)}}
	cond, err := rule.Encode(r)
	if err != nil {
		return nil, err
	}
	b.cond = cond
	for i := range r.Patterns {
		p := clone(r.Patterns[i])
		if b.later(i) != nil {
			b.rule.Patterns = append(b.rule.Patterns, p)
			b.programs, b.atoms = append(b.programs, nil), append(b.atoms, nil)
			continue
		}
		prog, atoms, err := pattern.Compile(p, nil)
		if err != nil {
			return nil, err
		}
		b.rule.Patterns = append(b.rule.Patterns, p)
		b.programs, b.atoms = append(b.programs, prog), append(b.atoms, atoms)
	}
	return b, nil
}

// clone copies a pattern, which is valid during a call only.
func clone(p pattern.Pattern) pattern.Pattern {
	var seq func([]pattern.Elem) []pattern.Elem
	seq = func(in []pattern.Elem) []pattern.Elem {
		out := slices.Clone(in)
		for i := range out {
			e := &out[i]
			e.Value, e.Mask = bytes.Clone(e.Value), bytes.Clone(e.Mask)
			e.Alts = slices.Clone(e.Alts)
			for j := range e.Alts {
				e.Alts[j] = seq(e.Alts[j])
			}
		}
		return out
	}
	p.Forms = slices.Clone(p.Forms)
	for i := range p.Forms {
		f := &p.Forms[i]
		f.Value, f.Before, f.After = bytes.Clone(f.Value), slices.Clone(f.Before), slices.Clone(f.After)
	}
	p.Variants = slices.Clone(p.Variants)
	for i := range p.Variants {
		p.Variants[i] = seq(p.Variants[i])
	}
	return p
}

// test searches the layer for every pattern, counts, and evaluates the condition.
func (b *body) test(w *walk, l *layer, targets []rule.Target) {
	w.out.Holds = slices.Contains(targets, b.rule.Target) && b.admits(l)
	if !w.out.Holds {
		w.differ("rule", "that it is for this layer", fmt.Sprintf("a layer of type %s, %d bytes, that it is not for", l.kind, l.Source.Size()))
	}
	m := pattern.Matcher{Limit: w.budget.Limits.Work}
	found := make([][]showcause.Match, len(b.programs))
	for i := range b.programs {
		if b.later(i) == nil {
			most := showcause.MaxCount
			if b.last(i) {
				most = math.MaxInt32
			}
			found[i] = b.search(i, l, &m, most)
		}
	}
	b.decide(w, l, &m, found)
	for i := range b.programs {
		w.out.Counts = append(w.out.Counts, uint32(min(len(found[i]), showcause.MaxCount)))
		for _, f := range found[i][:min(len(found[i]), showcause.MaxMatches)] {
			f.Pattern = i
			if b.later(i) == nil {
				f = w.confirm(b, l, f)
			}
			w.out.Matches = append(w.out.Matches, f)
		}
	}
	if m.Exhausted() {
		w.note("the search ended at the limit of work: not all matches are known")
	}
	if !b.cond.Holds(func(sub int) uint32 { return w.out.Counts[sub] }) {
		w.out.Holds = false
		w.differ("rule", "that its condition holds", fmt.Sprintf("matches of its patterns with which it does not: %v", w.out.Counts))
	}
	w.compare()
}

func (b *body) admits(l *layer) bool {
	f := l.facts()
	f.Read = l.readAt
	return b.cond.Admits(f)
}

// hit is a place where an atom stands.
type hit struct {
	at    int64
	place uint32
}

// search returns all matches of a pattern, max of them at most, in the order of
// their places, each place once.
func (b *body) search(i int, l *layer, m *pattern.Matcher, max int) []showcause.Match {
	p := &b.rule.Patterns[i]
	anywhere, within := l.anchored(p.Anchor)
	byEnd := b.programs[i].ByEnd()
	found := map[int64]showcause.Match{} // by what tells matches apart
	m.Reset()
	m.Within = nil
	if !anywhere && byEnd {
		m.Within = make([][2]int64, 0, len(within))
		for _, s := range within {
			m.Within = append(m.Within, [2]int64{s.first, s.last})
		}
	}
	in := pattern.NewInput(l.Source)
	occurrences(b.atoms[i], l, func(h hit) bool {
		m.Verify(uint32(i), b.programs[i], h.place, in, h.at, func(off, n int64) bool {
			if !anywhere && !slices.ContainsFunc(within, func(s stretch) bool { return s.has(off) }) {
				return true
			}
			place := off
			if byEnd {
				place += n
			}
			if _, ok := found[place]; !ok {
				found[place] = showcause.Match{Offset: off, Length: n}
			}
			if len(found) > 4*max {
				trim(found, max)
			}
			return true
		})
		return !m.Exhausted()
	})
	return ordered(found, max)
}

// ordered returns the first max matches in the order of their places.
func ordered(found map[int64]showcause.Match, max int) (out []showcause.Match) {
	trim(found, max)
	for _, place := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[place])
	}
	return out
}

// trim keeps the first max matches.
func trim(found map[int64]showcause.Match, max int) {
	if len(found) <= max {
		return
	}
	for _, place := range slices.Sorted(maps.Keys(found))[max:] {
		delete(found, place)
	}
}

// occurrences calls each with every place where one of some atoms stands, ascending.
func occurrences(atoms []pattern.Atom, l *layer, each func(hit) bool) {
	size := l.Source.Size()
	keep := int64(pattern.MaxAtom - 1)
	for base := int64(0); base < size; base += block {
		buf, _ := bound.ReadAt(l.Source, base, min(block+keep, size-base), block+keep)
		var lower []byte
		var all []hit
		for _, a := range atoms {
			text := buf
			if a.Fold {
				if len(lower) == 0 {
					lower = fold(buf)
				}
				text = lower
			}
			for key := int(a.XorLo); key <= int(a.XorHi); key++ {
				literal := keyed(a.Literal, byte(key))
				for from := 0; from < len(text); from++ {
					k := bytes.Index(text[from:], literal)
					if k < 0 || from+k >= block {
						break
					}
					from += k
					all = append(all, hit{base + int64(from), a.Place})
				}
			}
		}
		slices.SortFunc(all, func(x, y hit) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.place, y.place)) })
		for _, h := range all {
			if !each(h) {
				return
			}
		}
	}
}

// keyed returns b with a key on every byte.
func keyed(b []byte, key byte) []byte {
	if key == 0 {
		return b
	}
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= key
	}
	return out
}

// fold returns b with ASCII letters in lower case.
func fold(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

package regex

import (
	"bytes"
	"slices"

	"github.com/showcause/showcause/regex/syntax"
)

// MaxAtom is the greatest length of an atom's literal in bytes.
const MaxAtom = 32

const (
	maxLen = 1 << 40 // where lengths stop growing

	goodAtom  = 4    // bytes from which a literal is worth more than its score says
	maxSpell  = 16   // literals that one run of small classes is written out as
	maxAtoms  = 4096 // of one expression
	maxWindow = 512  // places of a run of classes at which a literal is tried
)

// Atom is a literal that every match of an expression, or of one of its
// alternatives, contains. Literal is in lower case where Fold is true: then
// ASCII letters compare without case. A match may begin Before bytes before the
// literal's first byte at most, and MinBefore at least; Before is -1 where
// there is no bound but the program's reach.
type Atom struct {
	Literal           []byte
	Fold              bool
	Place             uint32 // where in the program the literal stands; NoPlace where that cannot be verified
	MinBefore, Before int64
}

// NoPlace is the Place of the atoms of a program that is not linear: they only
// tell whether the input has to be searched at all, with Matcher.Scan.
const NoPlace = 1<<32 - 1

// cover is a set of literals of which every match contains one.
type cover struct {
	seeds []seed
	short int // length of the shortest
	score int // the worst score
}

type seed struct {
	node *syntax.Node // the class that consumes the first byte
	lit  []byte
	fold bool
	lo   int // bytes before, at least
	hi   int // and at most; -1 unbounded
}

func (c *cover) better(o *cover) bool {
	if c == nil || o == nil {
		return c != nil
	}
	// Each literal has to be looked for: twice as many are worth one bit less.
	if a, b := c.worth(), o.worth(); a != b {
		return a > b
	}
	if c.short != o.short {
		return c.short > o.short
	}
	return len(c.seeds) < len(o.seeds)
}

func (c *cover) worth() int {
	w := c.score - shortCost*(goodAtom-min(c.short, goodAtom))
	for n := len(c.seeds); n > 1; n >>= 1 {
		w -= seedsCost
	}
	return w
}

// What a literal costs besides what its score says: for each byte that it lacks of
// goodAtom, as short ones cannot be searched for many at once, and for each time
// that their number doubles. The score has eight steps for a bit.
const (
	shortCost = 16
	seedsCost = 8
)

// atoms returns the atoms of the best cover; none if there is none.
func (c *compiler) atoms(root *syntax.Node, score func([]byte, bool) int) []Atom {
	if score == nil {
		score = func(b []byte, _ bool) int { return len(b) }
	}
	ch := chooser{score: score}
	best := ch.best(root)
	if best == nil || len(best.seeds) > maxAtoms {
		return nil
	}
	var out []Atom
	for form := range uint32(2) {
		if c.flags&(flagAscii<<form) == 0 {
			continue
		}
		for _, s := range best.seeds {
			at, ok := c.first[s.node]
			if !ok {
				return nil
			}
			if at = at<<1 | form; c.back {
				at = NoPlace
			}
			a := Atom{Literal: s.lit, Fold: s.fold, Place: at, MinBefore: int64(s.lo), Before: int64(s.hi)}
			if form == 1 {
				a.Literal = widen(s.lit)
				if a.MinBefore *= 2; a.Before > 0 {
					a.Before *= 2
				}
			}
			out = append(out, a)
		}
	}
	return out
}

// widen puts a zero byte behind every byte.
func widen(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b[:min(len(b), MaxAtom/2)] {
		out = append(out, c, 0)
	}
	return out
}

type chooser struct {
	score func([]byte, bool) int
}

// run is a stretch of classes that stand next to each other. own tells that
// the class is the first copy of its node, so that a literal may start there.
type run struct {
	nodes []*syntax.Node
	own   []bool
	lo    int // bytes before the run
	hi    int
}

// best returns the best cover of a node.
func (ch *chooser) best(n *syntax.Node) *cover {
	var top *cover
	seq := flatten(n, nil)
	lo, hi := 0, 0
	r := run{}
	flush := func() {
		if c := ch.window(&r); c.better(top) {
			top = c
		}
		r = run{lo: lo, hi: hi}
	}
	for _, s := range seq {
		minS, maxS := s.MinLen(), s.MaxLen()
		switch {
		case s.Op == syntax.Assert || s.Op == syntax.Empty:
			continue
		case s.Op == syntax.Class:
			r.nodes, r.own = append(r.nodes, s), append(r.own, true)
		case s.Op == syntax.Repeat && s.Subs[0].Op == syntax.Class && s.Min > 0:
			for i := range min(s.Min, 2*MaxAtom) {
				r.nodes, r.own = append(r.nodes, s.Subs[0]), append(r.own, i == 0)
			}
			if s.Max == s.Min && s.Min <= 2*MaxAtom {
				break
			}
			lo, hi = lo+minS, addLen(hi, maxS)
			flush()
			continue
		default:
			flush()
			if c := ch.inside(s); c != nil {
				c.shift(lo, hi)
				if c.better(top) {
					top = c
				}
			}
			lo, hi = min(lo+minS, maxLen), addLen(hi, maxS)
			r = run{lo: lo, hi: hi}
			continue
		}
		lo, hi = min(lo+minS, maxLen), addLen(hi, maxS)
	}
	flush()
	return top
}

func (c *cover) shift(lo, hi int) {
	for i := range c.seeds {
		s := &c.seeds[i]
		s.lo, s.hi = min(s.lo+lo, maxLen), addLen(s.hi, hi)
	}
}

// addLen adds lengths of which -1 is unbounded.
func addLen(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return min(a+b, maxLen)
}

// inside returns the best cover within a node that is no class.
func (ch *chooser) inside(n *syntax.Node) *cover {
	switch n.Op {
	case syntax.Alt:
		var all *cover
		for _, s := range n.Subs {
			c := ch.best(s)
			if c == nil || all != nil && len(all.seeds)+len(c.seeds) > maxAtoms {
				return nil
			}
			if all == nil {
				all = c
				continue
			}
			all.seeds = append(all.seeds, c.seeds...)
			all.short = min(all.short, c.short)
			all.score = min(all.score, c.score)
		}
		return all
	case syntax.Repeat:
		if n.Min > 0 {
			return ch.best(n.Subs[0])
		}
	case syntax.Atomic:
		return ch.best(n.Subs[0])
	}
	return nil
}

// flatten appends the sequence that a node is.
func flatten(n *syntax.Node, dst []*syntax.Node) []*syntax.Node {
	switch n.Op {
	case syntax.Concat:
		for _, s := range n.Subs {
			dst = flatten(s, dst)
		}
		return dst
	case syntax.Group:
		return flatten(n.Subs[0], dst)
	}
	return append(dst, n)
}

// window returns the best literals of a run.
func (ch *chooser) window(r *run) *cover {
	var top *cover
	step := len(r.nodes)/maxWindow + 1
	last := -1 // end of the window before: one that ends there too is a part of it
	for i := 0; i < len(r.nodes); i += step {
		for i < len(r.nodes) && !r.own[i] {
			i++
		}
		if i == len(r.nodes) {
			break
		}
		end := r.extend(i)
		if end == i || end == last && end-i < goodAtom {
			continue
		}
		last = end
		c := &cover{short: end - i, score: 1 << 30}
		for _, s := range r.spell(i, end) {
			c.score = min(c.score, ch.score(s.lit, s.fold))
			c.seeds = append(c.seeds, s)
		}
		if c.better(top) {
			top = c
		}
	}
	return top
}

// letterCase tells whether a set is the two cases of one letter.
func letterCase(s *syntax.Set) (byte, bool) {
	if s.Len() != 2 {
		return 0, false
	}
	var room [2]byte
	b := s.Bytes(room[:0])
	return b[1], b[0]|0x20 == b[1] && 'a' <= b[1] && b[1] <= 'z'
}

// extend returns how far a literal that starts at i can go.
func (r *run) extend(i int) int {
	ways := 1
	end := i
	for end < len(r.nodes) && end-i < MaxAtom {
		s := &r.nodes[end].Set
		n := s.Len()
		if _, ok := letterCase(s); ok {
			n = 1
		}
		if n == 0 || ways*n > maxSpell {
			break
		}
		// A class of several costs more literals: only while they are short.
		if n > 1 && end-i >= goodAtom {
			break
		}
		ways *= n
		end++
	}
	return end
}

// spell writes the classes i to end-1 out as literals.
func (r *run) spell(i, end int) []seed {
	lits := [][]byte{make([]byte, 0, end-i)}
	fold := false
	var room [256]byte
	for k := i; k < end; k++ {
		s := &r.nodes[k].Set
		chars := s.Bytes(room[:0])
		if c, ok := letterCase(s); ok {
			chars, fold = append(room[:0], c), true
		}
		if len(lits) == 1 && len(chars) == 1 {
			lits[0] = append(lits[0], chars[0])
			continue
		}
		var next [][]byte
		for _, l := range lits {
			for _, c := range chars {
				next = append(next, append(l[:len(l):len(l)], c))
			}
		}
		lits = next
	}
	hi := addLen(r.hi, i)
	out := make([]seed, 0, len(lits))
	for _, l := range lits {
		if fold {
			for i, c := range l {
				l[i] = lower(c)
			}
		}
		if slices.ContainsFunc(out, func(s seed) bool { return bytes.Equal(s.lit, l) }) {
			continue
		}
		out = append(out, seed{node: r.nodes[i], lit: l, fold: fold, lo: r.lo + i, hi: hi})
	}
	return out
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

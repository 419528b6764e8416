package plant

import (
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/rule"
)

// later is what pattern sub is, if it is decided after others.
func (g *gen) later(sub int) *rule.Later {
	if g.r.Later == nil {
		return nil
	}
	return g.r.Later[sub]
}

// expression makes a text that an expression may match; whether it does is found out when it
// stands where it is put.
func (g *gen) expression(root *syntax.Node) body {
	var b body
	captured := map[int][]byte{}
	var walk func(n *syntax.Node)
	walk = func(n *syntax.Node) {
		switch n.Op {
		case syntax.Class:
			b.hard = append(b.hard, len(b.data))
			b.put(g.member(&n.Set), 0xff, false)
		case syntax.Concat, syntax.Atomic:
			for _, s := range n.Subs {
				walk(s)
			}
		case syntax.Alt:
			walk(n.Subs[g.rng.IntN(len(n.Subs))])
		case syntax.Group:
			from := len(b.data)
			walk(n.Subs[0])
			captured[n.Index] = b.data[from:len(b.data):len(b.data)]
		case syntax.Repeat:
			times := n.Min
			for (n.Max < 0 || times < n.Max) && times < n.Min+4 && g.chance(1, 2) {
				times++
			}
			for i := 0; i < times && len(b.data) < maxBody; i++ {
				walk(n.Subs[0])
			}
		case syntax.Ref:
			for _, c := range captured[n.Index] {
				b.put(c, 0xff, false)
			}
		case syntax.Keep:
			b.kept = len(b.data)
		case syntax.Cond:
			if _, set := captured[n.Index]; n.Index > 0 && !set || n.Index == 0 && g.chance(1, 2) {
				walk(n.Subs[2])
			} else {
				walk(n.Subs[1])
			}
		}
	}
	walk(root)
	return b
}

// late tells whether the text of an expression stands before a body.
func (g *gen) late() bool {
	first, last := -1, -1
	for _, it := range g.items {
		if l := g.later(it.sub); l != nil && l.Regexp != nil {
			if first < 0 || it.off < first {
				first = it.off
			}
		} else if l == nil {
			last = max(last, it.off)
		}
	}
	return first >= 0 && first < last
}

// maxBody is about how long the text of an expression gets, bytes.
const maxBody = 1 << 16

// member chooses a byte of a set, one that normalisation leaves if there is one.
func (g *gen) member(s *syntax.Set) byte {
	all := s.Bytes(nil)
	if len(all) == 0 {
		return 0
	}
	var small, plain []byte
	for _, c := range all {
		if c >= 'a' && c <= 'z' {
			small = append(small, c)
		}
		if c > ' ' && c < 0x7f {
			plain = append(plain, c)
		}
	}
	for _, some := range [][]byte{small, plain} {
		if len(some) > 0 && (g.text || g.chance(1, 2)) {
			return some[g.rng.IntN(len(some))]
		}
	}
	return all[g.rng.IntN(len(all))]
}

// compare writes the numbers that comparisons ask for.
func (g *gen) compare(c *canvas) error {
	for sub, n := range g.counts {
		l := g.later(sub)
		if l == nil || l.Compare == nil || n == 0 {
			continue
		}
		last := int64(-1)
		for _, it := range g.items {
			if it.sub == l.Compare.From {
				last = max(last, int64(it.off))
			}
		}
		off, ok := l.Compare.Place(last, int64(len(c.data)))
		number := body{data: g.number(l.Compare)}
		for range number.data {
			number.mask, number.fold = append(number.mask, 0xff), append(number.fold, false)
		}
		if last < 0 || !ok || number.data == nil || !c.fits(int(off), &number) {
			return Collision
		}
		c.put(int(off), &number)
		g.items = append(g.items, &item{body: number, sub: sub, off: int(off)})
	}
	return nil
}

// number makes bytes of which a comparison holds, nil if none come up.
func (g *gen) number(c *rule.Compare) []byte {
	for range 200 {
		v := c.Tests[g.rng.IntN(len(c.Tests))].Value + int64(g.rng.IntN(9)) - 4
		b := make([]byte, c.Width)
		if c.Form == rule.Binary {
			for i := range b {
				shift := 8 * i
				if !c.Little {
					shift = 8 * (len(b) - 1 - i)
				}
				b[i] = byte(v >> shift)
			}
		} else {
			base := 10
			if c.Form == rule.Hexadecimal {
				base = 16
			}
			s := strconv.FormatInt(v, base)
			if len(s) > len(b) {
				continue
			}
			copy(b, strings.Repeat("0", len(b)-len(s))+s)
		}
		if c.Holds(b) {
			return b
		}
	}
	return nil
}

// decided holds a file, as it is laid out, against what its expressions and comparisons say
// of it: bytes that mean nothing may match one, and a text may match only elsewhere.
func (g *gen) decided(c *canvas) error {
	if g.r.Later == nil {
		return nil
	}
	if g.text || g.r.Target == rule.HTML || g.r.Target == rule.ASCII {
		if g.flaw.kind != "" {
			return NoFlaw // what a view has of it is not known here
		}
		return nil
	}
	counts := make([]uint32, len(g.counts))
	for sub, n := range g.counts {
		counts[sub] = uint32(n)
	}
	if g.flaw.kind != "" && g.flaw.item >= 0 {
		counts[g.items[g.flaw.item].sub]--
	}
	count := func(sub int) uint32 { return counts[sub] }
	for sub := range counts {
		l := g.later(sub)
		switch {
		case l == nil:
		case !g.prog.Open(sub, count):
			counts[sub] = 0
		case l.Compare != nil:
			counts[sub] = g.compares(c, l.Compare)
		default:
			counts[sub] = g.matches(c, l, g.r.Patterns[sub].Anchor)
		}
	}
	if g.prog.Holds(count) != (g.flaw.kind == "" || g.flaw.kind == "size") {
		return NotDecided
	}
	return nil
}

func (g *gen) compares(c *canvas, cmp *rule.Compare) uint32 {
	last := int64(-1)
	for i, it := range g.items {
		if it.sub == cmp.From && !(g.flaw.kind != "" && i == g.flaw.item) {
			last = max(last, int64(it.off))
		}
	}
	off, ok := cmp.Place(last, int64(len(c.data)))
	if last < 0 || !ok || !cmp.Holds(c.data[off:off+int64(cmp.Width)]) {
		return 0
	}
	return 1
}

// matches counts what an expression has, each place tried by itself.
func (g *gen) matches(c *canvas, l *rule.Later, a pattern.Anchor) (n uint32) {
	lo, hi := int64(0), int64(len(c.data))
	anywhere := a.Base == pattern.Anywhere
	if !anywhere {
		var ok bool
		if lo, hi, ok = c.starts(a); !ok || lo < 0 || lo >= int64(len(c.data)) {
			return 0
		}
	}
	size := int64(len(c.data)) - lo
	last := size
	switch shift := hi - lo; {
	case anywhere:
	case l.Encompass && shift > 0:
		size = min(size, shift)
		last = size
	case shift > 0:
		last = min(last, shift)
	}
	here := l.Anchored || !anywhere && hi == lo && !l.Rolling
	in := regex.NewReader(bound.Section(showcause.Bytes(c.data), lo, size))
	var m regex.Matcher
	for next := int64(0); next <= last; {
		to, found := last+1, false
		if here {
			to = next + 1
		}
		m.Scan(1, l.Regexp.Program, in, next, to, func(off, length int64) bool {
			found, next = true, off+max(length, 1)
			return false
		})
		if !found {
			break
		}
		if n++; !l.Global {
			break
		}
	}
	return n
}

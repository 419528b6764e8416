package plant

import (
	"slices"
	"strings"

	"github.com/showcause/showcause/pattern"
)

// body is what one match of a pattern is made of.
type body struct {
	data, mask []byte  // mask: the bits that the pattern asks for
	hard       []int   // places that break the match when they change
	fold       []bool  // compares without case
	claims     []claim // boundaries
	flawed     bool    // the flaw that was asked for could be made
	kept       int     // of an expression with \K: where the match begins
}

// claim is a boundary at a place of a body.
type claim struct {
	at   int
	test pattern.Test
	want bool
	near *pattern.Elem // in place of a test
}

// reach is the length of an unbounded jump beyond its minimum, at most.
const reach = 300

// body makes a match of a variant. A flaw "gap" makes one jump too long or too
// short by a byte, "boundary" inverts a claim; the others are made later.
func (g *gen) body(v []pattern.Elem, flaw string) body {
	var b body
	bad := -1
	if flaw == "gap" {
		var gaps []int
		for i, e := range v {
			if e.Kind == pattern.Gap && (e.Min > 0 || e.Max >= 0) && i > 0 && i < len(v)-1 {
				gaps = append(gaps, i)
			}
		}
		if len(gaps) > 0 {
			bad = gaps[g.rng.IntN(len(gaps))]
		}
	}
	for i := range v {
		if i == bad {
			b.open(g.badGap(&v[i]))
			b.flawed = true
			continue
		}
		g.elem(&b, &v[i], true)
	}
	if flaw == "boundary" && len(b.claims) > 0 {
		c := &b.claims[g.rng.IntN(len(b.claims))]
		c.want = !c.want
		b.flawed = true
	}
	return b
}

func (g *gen) badGap(e *pattern.Elem) int64 {
	if e.Max < 0 || e.Min > 0 && g.chance(1, 2) {
		return e.Min - 1
	}
	return e.Max + 1
}

// open appends bytes that nothing is asked of.
func (b *body) open(n int64) {
	n = min(n, maxSize)
	b.data = append(b.data, make([]byte, n)...)
	b.mask = append(b.mask, make([]byte, n)...)
	b.fold = append(b.fold, make([]bool, n)...)
}

func (b *body) put(v, mask byte, fold bool) {
	b.data, b.mask, b.fold = append(b.data, v), append(b.mask, mask), append(b.fold, fold)
}

func (g *gen) elem(b *body, e *pattern.Elem, top bool) {
	switch e.Kind {
	case pattern.Bytes:
		for i, v := range e.Value {
			m := byte(0xff)
			if e.Mask != nil {
				m = e.Mask[i]
			}
			fold := e.Fold && m == 0xff
			if top && m != 0 {
				b.hard = append(b.hard, len(b.data))
			}
			b.put(g.value(v, m, fold), m, fold)
		}
	case pattern.Gap:
		hi := e.Max
		if hi < 0 {
			hi = e.Min + int64(g.rng.IntN(reach))
		}
		b.open(g.within(e.Min, min(hi, max(e.Min, 1<<20))))
	case pattern.Alt:
		if e.Negate {
			g.none(b, e)
			return
		}
		alt := e.Alts[g.rng.IntN(len(e.Alts))]
		for i := range alt {
			g.elem(b, &alt[i], false)
		}
	case pattern.Assert:
		b.claims = append(b.claims, claim{at: len(b.data), test: e.Test, want: !e.Negate})
	case pattern.Near:
		b.claims = append(b.claims, claim{at: len(b.data), want: true, near: e})
	}
}

const lowers = "abcdefghijklmnopqrstuvwxyz"

// value chooses a byte under a mask.
func (g *gen) value(v, mask byte, fold bool) byte {
	switch {
	case fold && isLetter(v):
		if v |= 0x20; !g.text && g.chance(1, 2) {
			v &^= 0x20
		}
		return v
	case mask == 0xff:
		return v
	}
	if g.text {
		for range 40 {
			if c := lowers[g.rng.IntN(26)]; c&mask == v&mask {
				return c
			}
		}
	}
	return v&mask | byte(g.rng.Uint32())&^mask
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isAlnum(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }

// none appends bytes that equal none of the negated alternatives.
func (g *gen) none(b *body, e *pattern.Elem) {
	one := func(alt []pattern.Elem) (x body) {
		for i := range alt {
			g.elem(&x, &alt[i], false)
		}
		return x
	}
	var not []body
	for _, a := range e.Alts {
		not = append(not, one(a))
	}
	n := len(not[0].data)
	try := make([]byte, n)
	for range 200 {
		for i := range try {
			if try[i] = byte(g.rng.Uint32()); g.text {
				try[i] = lowers[g.rng.IntN(26)]
			}
		}
		if !g.text && g.chance(1, 2) { // one bit away from an alternative
			copy(try, not[g.rng.IntN(len(not))].data)
			try[g.rng.IntN(n)] ^= 1 << g.rng.IntN(8)
		}
		equal := false
		for _, x := range not {
			same := true
			for i := range try {
				same = same && (try[i]^x.data[i])&x.mask[i] == 0
			}
			equal = equal || same
		}
		if !equal {
			break
		}
	}
	for _, c := range try {
		b.put(c, 0xff, false)
	}
}

// The bytes around a boundary, as package pattern's documentation of its tests
// has them.
const (
	wordBefore    = " -./<@_"
	wordBeforeNot = wordBefore + "\n\r\"'=>"
	wordAfter     = "\n\r \"'-/=>_"
)

// holds tells whether a boundary is at a place of data.
func (c claim) holds(data []byte, at int) bool {
	if c.near != nil {
		lo, hi := max(at+int(c.near.Min), 0), min(at+int(c.near.Max)+1, len(data))
		return (lo < hi && slices.ContainsFunc(data[lo:hi], func(b byte) bool { return isNear(c.near, b) })) == c.want
	}
	var before, after byte
	first, last := at == 0, at == len(data)
	if !first {
		before = data[at-1]
	}
	if !last {
		after = data[at]
	}
	is := false
	switch c.test {
	case pattern.WordStart:
		set := wordBefore
		if !c.want {
			set = wordBeforeNot
		}
		is = first || strings.IndexByte(set, before) >= 0
	case pattern.WordEnd:
		is = last || strings.IndexByte(wordAfter, after) >= 0
	case pattern.LineStart:
		is = first || before == '\n'
	case pattern.LineEnd:
		is = last || after == '\n' || after == '\r' && at+1 < len(data) && data[at+1] == '\n'
	case pattern.AlnumStart, pattern.FullStart:
		is = first || !isAlnum(before)
	case pattern.AlnumEnd, pattern.FullEnd:
		is = last || !isAlnum(after)
	case pattern.FullStartWide:
		is = at < 2 || !(before == 0 && isAlnum(data[at-2]))
	case pattern.FullEndWide:
		is = last || !isAlnum(after) || at+1 < len(data) && data[at+1] != 0
	}
	return is == c.want
}

// before tells whether the boundary asks for the bytes before its place.
func (c claim) before() bool {
	switch c.test {
	case pattern.WordStart, pattern.LineStart, pattern.AlnumStart, pattern.FullStart, pattern.FullStartWide:
		return true
	}
	return false
}

// around are pairs of bytes that may be put beside a boundary.
func (g *gen) around() string {
	if g.text {
		return "a \n  -b_\r\nccd.\n\n"
	}
	return "a b\nc-d_\r\ne/QzA\x00\x00ax\x800\xff8 .\n\n\x01\x02"
}

// near is a single byte that has to stand somewhere around a place of a body, or nowhere there.
func (g *gen) near(c *canvas, cl claim, at int) bool {
	e := cl.near
	mask := byte(0xff)
	if e.Mask != nil {
		mask = e.Mask[0]
	}
	for range 120 {
		if cl.holds(c.data, at) {
			break
		}
		p := at + int(g.within(e.Min, e.Max))
		if p < 0 || p >= len(c.data) || c.mask[p] != 0 {
			continue
		}
		if c.data[p] = byte(g.rng.Uint32()); cl.want {
			c.data[p] = g.value(e.Value[0], mask, e.Fold)
		} else if g.text {
			c.data[p] = lowers[g.rng.IntN(26)]
		}
	}
	for p := max(at+int(e.Min), 0); p <= min(at+int(e.Max), len(c.data)-1); p++ {
		if !cl.want || isNear(e, c.data[p]) {
			c.mask[p] = 0xff
		}
	}
	return cl.holds(c.data, at)
}

func isNear(e *pattern.Elem, c byte) bool {
	mask := byte(0xff)
	if e.Mask != nil {
		mask = e.Mask[0]
	}
	return (c^e.Value[0])&mask == 0 || e.Fold && isLetter(c) && c|0x20 == e.Value[0]|0x20
}

// stack makes several matches of a pattern that can begin at one place alone and whose matches
// are told apart by their ends: one body with that many tails, and empty ones for the others.
func (g *gen) stack(p *pattern.Pattern, n int) []body {
	if a := p.Anchor; n < 2 || !p.ByEnd || a.Shift > 0 || a.Base == pattern.Anywhere || a.Base == pattern.SectionEnd || a.Base == pattern.VersionInfo {
		return nil
	}
	v := p.Variants[g.rng.IntN(len(p.Variants))]
	last := -1
	for i, e := range v {
		if e.Kind == pattern.Gap && e.Min != e.Max {
			last = i
		}
	}
	if last < 0 {
		return nil
	}
	b := g.body(v[:last], "")
	from := int64(len(b.data))
	b.open(v[last].Min)
	for range n {
		if jump := int64(len(b.data)) - from; v[last].Max >= 0 && jump > v[last].Max {
			return nil
		}
		for i := range v[last+1:] {
			g.elem(&b, &v[last+1+i], true)
		}
	}
	return append([]body{b}, make([]body, n-1)...)
}

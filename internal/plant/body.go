package plant

import (
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
		b.claims = append(b.claims, claim{len(b.data), e.Test, !e.Negate})
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

package pattern

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sort"
)

// The oracle: a plain recursion over the tree as it was written, which knows
// nothing of programs, atoms or sets.

// oracleEnds calls yield with the end of every way the sequence matches at pos.
func oracleEnds(seq []Elem, data []byte, pos int, yield func(int)) {
	if len(seq) == 0 {
		yield(pos)
		return
	}
	e, rest := seq[0], seq[1:]
	switch e.Kind {
	case Bytes:
		if n := len(e.Value); pos+n <= len(data) && oracleBytes(e, data[pos:pos+n]) {
			oracleEnds(rest, data, pos+n, yield)
		}
	case Gap:
		hi := len(data) - pos
		if e.Max >= 0 && int(e.Max) < hi {
			hi = int(e.Max)
		}
		for g := int(e.Min); g <= hi; g++ {
			oracleEnds(rest, data, pos+g, yield)
		}
	case Alt:
		if !e.Negate {
			for _, a := range e.Alts {
				oracleEnds(append(append([]Elem{}, a...), rest...), data, pos, yield)
			}
			return
		}
		n := 0
		for _, el := range e.Alts[0] {
			n += len(el.Value)
		}
		hit := pos+n > len(data)
		for _, a := range e.Alts {
			oracleEnds(a, data, pos, func(int) { hit = true })
		}
		if !hit {
			oracleEnds(rest, data, pos+n, yield)
		}
	case Near:
		for at := max(pos+int(e.Min), 0); at <= min(pos+int(e.Max), len(data)-1); at++ {
			if oracleBytes(e, data[at:at+1]) {
				oracleEnds(rest, data, pos, yield)
				return
			}
		}
	case Assert:
		if oracleTest(e.Test, e.Negate, data, pos) {
			oracleEnds(rest, data, pos, yield)
		}
	}
}

func oracleBytes(e Elem, b []byte) bool {
	for i, c := range b {
		m := byte(0xff)
		if e.Mask != nil {
			m = e.Mask[i]
		}
		v := e.Value[i]
		if e.Fold && m == 0xff {
			if !bytes.EqualFold([]byte{v}, []byte{c}) || v >= 0x80 && v != c {
				return false
			}
			continue
		}
		if c&m != v {
			return false
		}
	}
	return true
}

// oracleTest is written from the tables of clamscan's answers, see assert_test.go.
func oracleTest(t Test, negate bool, data []byte, pos int) bool {
	before := t == WordStart || t == LineStart || t == AlnumStart || t == FullStart || t == FullStartWide
	near := data[pos:]
	if before {
		near = data[:pos]
	}
	ok := true
	switch t {
	case FullStartWide:
		if k := len(near); k >= 2 && near[k-1] == 0 {
			ok = !alnum(near[k-2])
		}
		return ok != negate
	case FullEndWide:
		if len(near) > 0 && (len(near) == 1 || near[1] == 0) {
			ok = !alnum(near[0])
		}
		return ok != negate
	}
	if len(near) == 0 {
		return !negate
	}
	c := near[0]
	if before {
		c = near[len(near)-1]
	}
	switch t {
	case WordStart:
		if negate {
			return !bytes.Contains([]byte("\n\r \"'-./<=>@_"), []byte{c})
		}
		return bytes.Contains([]byte(" -./<@_"), []byte{c})
	case WordEnd:
		ok = bytes.Contains([]byte("\n\r \"'-/=>_"), []byte{c})
	case LineStart:
		ok = c == '\n'
	case LineEnd:
		ok = c == '\n' || bytes.HasPrefix(near, []byte("\r\n"))
	default:
		ok = !alnum(c)
	}
	return ok != negate
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

type hit struct{ off, n int64 }

// oracleStarts returns the starts of all matches, each with its shortest length.
func oracleStarts(p Pattern, data []byte) []hit {
	var out []hit
	for s := 0; s <= len(data); s++ {
		least := -1
		for _, v := range p.Variants {
			oracleEnds(v, data, s, func(e int) {
				if least < 0 || e < least {
					least = e
				}
			})
		}
		if least >= 0 {
			out = append(out, hit{int64(s), int64(least - s)})
		}
	}
	return out
}

// oracleIs tells whether there is a match of exactly that place.
func oracleIs(p Pattern, data []byte, h hit) bool {
	ok := false
	for _, v := range p.Variants {
		oracleEnds(v, data, int(h.off), func(e int) { ok = ok || int64(e) == h.off+h.n })
	}
	return ok
}

// sighting is an atom seen in the layer.
type sighting struct {
	at    int64
	place uint32
}

// sightings finds the atoms the slow way, in ascending order.
func sightings(atoms []Atom, data []byte) []sighting {
	var out []sighting
	for _, a := range atoms {
		for i := 0; i+len(a.Literal) <= len(data); i++ {
			got := data[i : i+len(a.Literal)]
			if bytes.Equal(got, a.Literal) || a.Fold && bytes.Equal(bytes.ToLower(got), a.Literal) {
				out = append(out, sighting{int64(i), a.Place})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

// search runs the program as a scanner would.
func search(m *Matcher, prog Program, atoms []Atom, data []byte, in *Input) (hits []hit, any bool) {
	m.Reset()
	for _, s := range sightings(atoms, data) {
		if m.Verify(1, prog, s.place, in, s.at, func(off, n int64) bool {
			hits = append(hits, hit{off, n})
			return true
		}) {
			any = true
		}
	}
	return hits, any
}

// slow is a Source without a window of its own, which counts reads.
type slow struct {
	b     []byte
	reads int
}

func (s *slow) Size() int64 { return int64(len(s.b)) }

func (s *slow) ReadAt(p []byte, off int64) (int, error) {
	s.reads++
	if off >= int64(len(s.b)) {
		return 0, io.EOF
	}
	n := copy(p, s.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// maker makes random patterns over a small alphabet.
type maker struct{ r *rand.Rand }

const letterSet = "abAB \x000"

func (k maker) bytes() Elem {
	n := 1 + k.r.IntN(3)
	e := Elem{Kind: Bytes, Fold: k.r.IntN(4) == 0}
	for range n {
		e.Value = append(e.Value, letterSet[k.r.IntN(4)])
	}
	if k.r.IntN(4) == 0 {
		e.Mask = bytes.Repeat([]byte{0xff}, n)
		i := k.r.IntN(n)
		e.Mask[i] = []byte{0, 0xf0, 0x0f}[k.r.IntN(3)]
		e.Value[i] &= e.Mask[i]
	}
	return e
}

func (k maker) sequence(depth int) []Elem {
	var seq []Elem
	for n := 1 + k.r.IntN(4); n > 0; n-- {
		switch c := k.r.IntN(13); {
		case c < 5 || len(seq) == 0 && depth == 0:
			seq = append(seq, k.bytes())
		case c < 7:
			lo := int64(k.r.IntN(3))
			seq = append(seq, Elem{Kind: Gap, Min: lo, Max: lo + int64(k.r.IntN(4))})
		case c < 9 && depth == 0:
			seq = append(seq, Elem{Kind: Gap, Min: int64(k.r.IntN(3)), Max: -1}, k.bytes())
		case c == 12:
			e := Elem{Kind: Near, Value: []byte{letterSet[k.r.IntN(4)]}, Fold: k.r.IntN(4) == 0, Min: int64(k.r.IntN(8) - 5)}
			e.Max = e.Min + int64(k.r.IntN(4))
			seq = append(seq, e)
		case c == 9:
			seq = append(seq, Elem{Kind: Assert, Test: Test(k.r.IntN(int(tests))), Negate: k.r.IntN(3) == 0})
		case depth < 2:
			seq = append(seq, k.alt(depth))
		}
	}
	if len(seq) == 0 {
		seq = append(seq, k.bytes())
	}
	return seq
}

func (k maker) alt(depth int) Elem {
	e := Elem{Kind: Alt, Negate: k.r.IntN(3) == 0}
	n := 1 + k.r.IntN(2)
	for range 1 + k.r.IntN(3) {
		if !e.Negate {
			e.Alts = append(e.Alts, k.sequence(depth+1))
			continue
		}
		v := make([]byte, n)
		for i := range v {
			v[i] = letterSet[k.r.IntN(4)]
		}
		e.Alts = append(e.Alts, []Elem{{Kind: Bytes, Value: v}})
	}
	return e
}

func (k maker) pattern() Pattern {
	var p Pattern
	for range 1 + k.r.IntN(5)/4 {
		p.Variants = append(p.Variants, k.sequence(0))
	}
	return p
}

func (k maker) data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = letterSet[k.r.IntN(4+k.r.IntN(4))]
	}
	return b
}

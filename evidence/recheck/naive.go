package recheck

import (
	"fmt"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
)

// How long a match may be to be verified by itself, and how many places in all
// that may try.
const (
	maxNaive = 1 << 16
	maxTries = 1 << 22
)

// around is how many bytes before and behind a match are looked at.
const around = 48

// confirm holds a match that the search found against the rule as it is written,
// without the compiled pattern, and returns the claim's match where that is
// another way to match at the same place.
func (w *walk) confirm(b *body, l *layer, m showcause.Match) showcause.Match {
	p := &b.rule.Patterns[m.Pattern]
	byEnd := b.programs[m.Pattern].ByEnd()
	for _, c := range w.claim.Matches {
		same := c.Offset == m.Offset
		if byEnd {
			same = c.Offset+c.Length == m.Offset+m.Length
		}
		if c.Pattern == m.Pattern && same && (c.Offset != m.Offset || c.Length != m.Length) && naive(p, l.Source, c.Offset, c.Length) == yes {
			m.Offset, m.Length = c.Offset, c.Length
			return m
		}
	}
	switch naive(p, l.Source, m.Offset, m.Length) {
	case no:
		w.differ(fmt.Sprintf("pattern %d at %d", m.Pattern, m.Offset), "that it matches there", "bytes that it does not match, taken as it is written")
	case unknown:
		w.note("pattern %d: a match is too long to be compared byte by byte: the compiled pattern alone has verified it", m.Pattern)
	}
	return m
}

type answer uint8

const (
	no answer = iota
	yes
	unknown
)

// naive tells whether a pattern as it is written matches [off, off+n).
func naive(p *pattern.Pattern, src showcause.Source, off, n int64) answer {
	if n > maxNaive || !bound.In(off, n, src.Size()) {
		return unknown
	}
	from := max(off-around, 0)
	to := min(off+n+around, src.Size())
	data, err := bound.ReadAt(src, from, to-from, maxNaive+2*around)
	if err != nil || int64(len(data)) < to-from {
		return no
	}
	t := try{data: data, left: maxTries}
	end := int(off + n - from)
	for i := range p.Forms {
		if t.form(&p.Forms[i], int(off-from), end) {
			return yes
		}
	}
	for _, v := range p.Variants {
		ends := t.sequence(v, []int{int(off - from)}, end)
		if t.left < 0 {
			return unknown
		}
		if slices.Contains(ends, end) {
			return yes
		}
	}
	return no
}

// try matches elements over a piece of a layer.
type try struct {
	data []byte
	left int // steps
}

// form tells whether a spelling of a text stands from pos to end.
func (t *try) form(f *pattern.Form, pos, end int) bool {
	if end-pos != len(f.Value) {
		return false
	}
	for key := int(f.XorLo); key <= int(f.XorHi); key++ {
		if t.spelled(f, pos, byte(key)) && t.alone(f, pos, end, byte(key)) && t.beside(f, pos, end) {
			return true
		}
	}
	return false
}

func (t *try) spelled(f *pattern.Form, pos int, key byte) bool {
	for i, want := range f.Value {
		have := t.data[pos+i] ^ key
		if f.Fold {
			have, want = small(have), small(want)
		}
		if have != want {
			return false
		}
	}
	return true
}

// alone tells whether the text touches no letter or digit, if it may not.
func (t *try) alone(f *pattern.Form, pos, end int, key byte) bool {
	if !f.Full {
		return true
	}
	if f.Raw {
		key = 0
	}
	word := func(at int) bool {
		c, ok := t.at(at)
		return ok && alphanumeric(c^key)
	}
	if !f.Wide {
		return !word(pos-1) && !word(end)
	}
	zero := func(at int) bool {
		c, ok := t.at(at)
		return ok && c^key == 0
	}
	_, more := t.at(end + 1)
	return !(zero(pos-1) && word(pos-2)) && !(word(end) && (zero(end+1) || !more))
}

// beside tells whether the bytes around are among those that may be there.
func (t *try) beside(f *pattern.Form, pos, end int) bool {
	step := 1
	if f.Spread {
		step = 2
	}
	for i := range f.Before {
		c, ok := t.at(pos - (len(f.Before)-i)*step)
		if !ok || !f.Before[i].Has(c) {
			return false
		}
	}
	for i := range f.After {
		c, ok := t.at(end + i*step)
		if !ok || !f.After[i].Has(c) {
			return false
		}
	}
	return true
}

// sequence returns where a sequence that begins at one of the places can end,
// ascending and not behind limit.
func (t *try) sequence(seq []pattern.Elem, at []int, limit int) []int {
	for i := range seq {
		var next []int
		for _, pos := range at {
			next = t.element(&seq[i], pos, limit, next)
			if t.left < 0 {
				return nil
			}
		}
		slices.Sort(next)
		at = slices.Compact(next)
		if len(at) == 0 {
			return nil
		}
	}
	return at
}

// element appends where an element that begins at pos can end.
func (t *try) element(e *pattern.Elem, pos, limit int, out []int) []int {
	t.left -= 1 + len(e.Value)
	switch e.Kind {
	case pattern.Bytes:
		if end := pos + len(e.Value); end <= limit && t.equal(e, pos) {
			out = append(out, end)
		}
	case pattern.Gap:
		last := limit
		if e.Max >= 0 && e.Max < int64(limit-pos) {
			last = pos + int(e.Max)
		}
		if e.Min > int64(limit-pos) {
			return out
		}
		for end := pos + int(e.Min); end <= last; end++ {
			t.left--
			out = append(out, end)
		}
	case pattern.Alt:
		if e.Negate {
			return t.negated(e, pos, limit, out)
		}
		for _, a := range e.Alts {
			out = append(out, t.sequence(a, []int{pos}, limit)...)
		}
	case pattern.Near:
		for k := e.Min; k <= e.Max; k++ {
			if at := pos + int(k); at >= 0 && at < len(t.data) && t.equal(e, at) {
				return append(out, pos)
			}
		}
	case pattern.Assert:
		if t.holds(e, pos) {
			out = append(out, pos)
		}
	}
	return out
}

// negated takes the bytes of the length of the alternatives, if they are none of them.
func (t *try) negated(e *pattern.Elem, pos, limit int, out []int) []int {
	n := 0
	for i := range e.Alts[0] {
		n += len(e.Alts[0][i].Value)
	}
	if pos+n > limit {
		return out
	}
	for _, a := range e.Alts {
		if len(t.sequence(a, []int{pos}, limit)) > 0 {
			return out
		}
	}
	return append(out, pos+n)
}

func (t *try) equal(e *pattern.Elem, pos int) bool {
	for i, want := range e.Value {
		have, mask := t.data[pos+i], byte(0xff)
		if e.Mask != nil {
			mask = e.Mask[i]
		}
		if e.Fold && mask == 0xff {
			have, want = small(have), small(want)
		}
		if have&mask != want {
			return false
		}
	}
	return true
}

func small(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func alphanumeric(c byte) bool { return c >= '0' && c <= '9' || small(c) >= 'a' && small(c) <= 'z' }

// holds tells whether an assertion holds between two bytes (package pattern, Test).
func (t *try) holds(e *pattern.Elem, pos int) bool {
	before := func(k int) (byte, bool) { return t.at(pos - k) }
	behind := func(k int) (byte, bool) { return t.at(pos + k) }
	one := func(c byte, there bool, set, negated string) bool {
		if !there {
			return !e.Negate
		}
		if e.Negate {
			return !slices.Contains([]byte(negated), c)
		}
		return slices.Contains([]byte(set), c)
	}
	switch e.Test {
	case pattern.WordStart:
		c, ok := before(1)
		return one(c, ok, " -./<@_", " -./<@_\n\r\"'=>")
	case pattern.WordEnd:
		c, ok := behind(0)
		return one(c, ok, "\n\r \"'-/=>_", "\n\r \"'-/=>_")
	case pattern.LineStart:
		c, ok := before(1)
		return one(c, ok, "\n", "\n")
	case pattern.LineEnd:
		c, ok := behind(0)
		if c == '\r' {
			if d, more := behind(1); more && d == '\n' {
				return !e.Negate
			}
		}
		return one(c, ok, "\n", "\n")
	case pattern.AlnumStart, pattern.FullStart:
		c, ok := before(1)
		if !ok {
			return !e.Negate
		}
		return alphanumeric(c) == e.Negate
	case pattern.AlnumEnd, pattern.FullEnd:
		c, ok := behind(0)
		if !ok {
			return !e.Negate
		}
		return alphanumeric(c) == e.Negate
	case pattern.FullStartWide:
		zero, ok := before(1)
		c, more := before(2)
		return (ok && more && zero == 0 && alphanumeric(c)) == e.Negate
	case pattern.FullEndWide:
		c, ok := behind(0)
		zero, more := behind(1)
		return (ok && alphanumeric(c) && (!more || zero == 0)) == e.Negate
	}
	return false
}

// at returns the byte at a place of the piece, which ends where the layer does
// if it is at its edge.
func (t *try) at(i int) (byte, bool) {
	if i < 0 || i >= len(t.data) {
		return 0, false
	}
	return t.data[i], true
}

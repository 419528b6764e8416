package clamsig

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
)

const (
	maxInline   = 127 // {n} up to here is n times ??, and does not cut a body
	maxNest     = 15  // parentheses within parentheses
	maxDistance = 32  // of a single byte, [x-y]
)

// parser builds the patterns of one signature. It keeps what it allocates for
// the next one.
type parser struct {
	patterns []pattern.Pattern
	variants [][]pattern.Elem
	elems    []pattern.Elem
	bytes    []byte
	target   rule.Target
	cut      bool // the body was cut into parts: clamscan counts its last part
	index    int  // of the subsignature
	subs     int  // how many there are
	later    []*rule.Later
}

func (p *parser) reset(t rule.Target) {
	p.target, p.later = t, nil
	p.patterns, p.variants, p.elems, p.bytes = p.patterns[:0], p.variants[:0], p.elems[:0], p.bytes[:0]
}

// between is the distance between two parts; to < 0 is unbounded.
type between struct{ from, to int64 }

// near is a single byte at some distance before or after a part.
type near struct {
	there       bool
	value, mask byte
	dist        between
}

// variant adds one element sequence: the body as written, or, with m.wide, its
// wide form.
//
// ClamAV cuts a body into parts at "*" and at "{n-m}", and once there was a
// "{n-m}" at "{n}" too; each part needs a static stretch of two bytes. A
// distance counts from the end of the part before to the start of the next,
// single bytes with their "[x-y]" left out of both: these are looked for around the
// part, wherever that is, in the parts before and behind it too.
func (p *parser) variant(s string, m modifiers) *refusal {
	if m.full {
		s = "(W)" + s + "(W)"
	}
	if (m.full || m.wide) && strings.ContainsAny(s, "[]") {
		if strings.Count(s, "[") != strings.Count(s, "]") {
			return malformed("brackets that do not match")
		}
		s = strings.NewReplacer("[", "{", "]", "}").Replace(s)
	}
	w := walker{m: m}
	start := len(p.elems)
	w.q = seq{p: p, elems: p.elems, base: start, at: -1}
	if r := w.parts(s); r != nil {
		return r
	}
	p.elems = w.q.elems
	if w.unfit != nil {
		return w.unfit
	}
	p.variants = append(p.variants, p.elems[start:len(p.elems):len(p.elems)])
	return nil
}

// walker reads the parts of one body.
type walker struct {
	q     seq
	m     modifiers
	first bool    // no part was read yet
	gap   between // to the part that follows
	unfit *refusal
}

func (w *walker) parts(s string) *refusal {
	w.first = true
	from, nest, inline := 0, 0, true
	for i := 0; i < len(s); i++ {
		var gap between
		end := i
		switch s[i] {
		case '(':
			nest++
			continue
		case ')':
			nest--
			continue
		case '*':
			gap.to = -1
		case '{':
			n := strings.IndexByte(s[i:], '}')
			if n < 0 {
				return malformed("closing brace missing")
			}
			inner := s[i+1 : i+n]
			i += n
			if _, ok := inlineGap(inner); ok && inline {
				continue
			}
			inline = false
			ok := false
			if gap, ok = gapOf(inner); !ok {
				return malformed("distance {%s}", clip(inner))
			}
		default:
			continue
		}
		if nest != 0 {
			return malformed("unbounded or ranged distance in an alternative")
		}
		if r := w.part(s[from:end], false); r != nil {
			return r
		}
		w.gap, from, w.q.p.cut = gap, i+1, true
	}
	return w.part(s[from:], true)
}

// inlineGap reads the n of a "{n}" that stands for n times "??".
func inlineGap(s string) (n int64, ok bool) {
	n, rest, ok := leading(s)
	return n, ok && rest == "" && n > 0 && n <= maxInline
}

// gapOf reads "n", "n-", "-n" or "n-m". ClamAV takes an upper end of 0 for
// none, in "{0}" too.
func gapOf(s string) (g between, ok bool) {
	a, b, isRange := strings.Cut(s, "-")
	low, okA := number(a)
	high, okB := number(b)
	if !isRange {
		high = low
	}
	if high == 0 {
		high = -1
	}
	return between{low, high}, okA && okB
}

// part reads one part, behind the distance to it.
func (w *walker) part(s string, last bool) *refusal {
	var before, after near
	if strings.IndexByte(s, '[') >= 0 {
		var r *refusal
		if before, s, after, r = w.singles(s); r != nil {
			return r
		}
	}
	q := &w.q
	if !w.first {
		q.gap(w.gap)
	}
	w.first = false
	if before.there {
		q.near(before, -1-before.dist.to, -1-before.dist.from, w.m.fold)
	}
	if r := w.core(s, last && !after.there); r != nil {
		return r
	}
	if after.there {
		q.near(after, after.dist.from, after.dist.to, w.m.fold)
	}
	return nil
}

// singles takes the single bytes off a part: "aa[x-y]" before, "[x-y]aa" after it.
func (w *walker) singles(s string) (before near, rest string, after near, r *refusal) {
	rest = s
	for i := 0; i < 2; i++ {
		at := strings.IndexByte(rest, '[')
		if at < 0 {
			break
		}
		end := strings.IndexByte(rest[at:], ']')
		if end < 0 {
			return before, "", after, malformed("closing bracket missing")
		}
		left, dist, right := rest[:at], rest[at+1:at+end], rest[at+end+1:]
		d, ok := distance(dist)
		if !ok {
			return before, "", after, malformed("distance [%s]", clip(dist))
		}
		switch {
		case len(left) == 2 && i == 0:
			if before, ok = singleOf(left, d); !ok {
				return before, "", after, malformed("%q before a bracket", left)
			}
			rest = right
		case len(right) == 2 && len(left) != 2:
			if after, ok = singleOf(right, d); !ok {
				return before, "", after, malformed("%q after a bracket", right)
			}
			return before, left, after, nil
		default:
			return before, "", after, malformed("bracket with more than a single byte on both sides")
		}
	}
	return before, rest, after, nil
}

// distance reads "x" or "x-y".
func distance(s string) (d between, ok bool) {
	var rest string
	if d.from, rest, ok = leading(s); !ok {
		return d, false
	}
	d.to = d.from
	if strings.HasPrefix(rest, "-") {
		if n, _, ok := leading(rest[1:]); ok {
			d.to = n
		}
	}
	return d, d.from <= d.to && d.to <= maxDistance
}

// singleOf reads one byte. "??" asks for nothing, nor does "a?": clamscan 1.4.6 takes it for that.
func singleOf(s string, d between) (n near, ok bool) {
	n.dist = d
	n.value, n.mask, ok = unit(s)
	n.there = n.mask&15 != 0
	return n, ok
}

func (w *walker) refuse(why string) {
	if w.unfit == nil {
		w.unfit = unsupported(Pattern, "%s", why)
	}
}

// core reads a part without its single bytes. last says that nothing follows.
func (w *walker) core(s string, last bool) *refusal {
	q, width := &w.q, 1
	if w.m.wide {
		width = 2
	}
	var c counter
	i := 0
	if class := classAt(s, 0); class != 0 && len(s) > 3 {
		q.add(pattern.Elem{Kind: pattern.Assert, Test: w.test(class, true)})
		i = 3
	}
	for i < len(s) {
		n := q.literal(s[i:], w.m)
		c.static(n * width)
		if i += 2 * n; i == len(s) {
			break
		}
		from, paren := i, s[i] == '!' || s[i] == '('
		var r *refusal
		if paren {
			i, r = w.special(s, i, last)
		} else {
			i, r = q.wildcard(s, i, w.m)
		}
		switch {
		case r != nil:
			return r
		case !paren:
			c.wild(s[from] == '{' || s[from] == '?' && s[from+1] == '?')
		case i == len(s) && classAt(s, i-3) != 0: // an assertion
		case w.m.any || !isByteSet(strings.TrimPrefix(s[from:i], "!")):
			if !c.other() && filtered(q.p.target) {
				return malformed("too little before %q", clip(s[from:i]))
			}
		default:
			c.wild(false)
		}
		if w.m.wide && !paren && s[from] != '{' {
			c.static(1)
		}
	}
	if c.longest < shortestPart {
		return malformed("part without %d static bytes in a row", shortestPart)
	}
	return nil
}

// counter follows what ClamAV asks of a part: a static stretch for its
// automaton; and for the filter before it, which four targets have, two bytes,
// wildcards or sets of bytes, not all "??", before anything else in
// parentheses, unless that is where the part begins.
type counter struct {
	run, longest int
	units        int
	some         bool // of the units one is not "??"
	full         bool // the filter has what it needs
}

func (c *counter) static(n int) {
	if n > 0 {
		c.run += n
		c.longest = max(c.longest, c.run)
		c.units += n
		c.some = true
	}
}

func (c *counter) wild(anyByte bool) {
	c.run = 0
	c.units++
	c.some = c.some || !anyByte
}

// other tells whether the filter has enough where something else stands.
func (c *counter) other() bool {
	c.run = 0
	if c.full || c.units == 0 {
		return true
	}
	c.full = c.some && c.units >= shortestPart
	return c.full
}

// filtered tells the targets that clamscan 1.4.6 was seen to have the filter for.
func filtered(t rule.Target) bool {
	return t == rule.Any || t == rule.PE || t == rule.Mail || t == rule.ASCII
}

// isByteSet tells whether a parenthesis holds nothing but single bytes.
func isByteSet(s string) bool {
	for i := range strings.SplitSeq(s[1:len(s)-1], "|") {
		if len(i) != 2 || strings.IndexByte(i, '?') >= 0 {
			return false
		}
	}
	return true
}

// classAt returns the letter of "(B)", "(L)" or "(W)" at s[i:], or 0.
func classAt(s string, i int) byte {
	if i+3 <= len(s) && s[i] == '(' && s[i+2] == ')' && strings.IndexByte("BLW", s[i+1]) >= 0 {
		return s[i+1]
	}
	return 0
}

// special reads a parenthesis at s[i:], negated or not, and returns the place
// after it.
func (w *walker) special(s string, i int, last bool) (int, *refusal) {
	negate := s[i] == '!'
	if negate {
		i++
	}
	inner, nest, ok := inParens(s[i:])
	if !ok {
		return i, malformed("parentheses that do not match")
	}
	end := i + len(inner) + 2
	switch class := classAt(s, i); {
	case inner == "":
		return i, malformed("empty parentheses")
	case nest > maxNest:
		return i, malformed("parentheses nested deeper than %d", maxNest)
	case class == 0:
		return end, w.q.alternates(inner, negate, w.m)
	case end == len(s) && !negate:
		w.q.add(pattern.Elem{Kind: pattern.Assert, Test: w.test(class, false)})
	case class == 'L' && negate:
		w.refuse("negated line boundary")
	case end == len(s) && (!last || w.m.wide):
		w.refuse("negated boundary that is wide, or with something behind it")
	case end == len(s) && class == 'B':
		w.q.class(wordEnd, true)
	case class == 'L':
		w.q.add(pattern.Elem{Kind: pattern.Alt, Alts: [][]pattern.Elem{{literal("\n")}, {literal("\r\n")}}})
	case class == 'B':
		w.q.class(wordAny, negate)
	default:
		w.q.class(alnum, !negate)
	}
	return end, nil
}

// test returns what "(B)", "(L)" or "(W)" asks at an end of a part.
func (w *walker) test(class byte, left bool) pattern.Test {
	t := map[byte][2]pattern.Test{
		'B': {pattern.WordEnd, pattern.WordStart},
		'L': {pattern.LineEnd, pattern.LineStart},
		'W': {pattern.AlnumEnd, pattern.AlnumStart},
	}[class]
	if class == 'W' && w.m.wide {
		t = [2]pattern.Test{pattern.FullEndWide, pattern.FullStartWide}
	}
	if left {
		return t[1]
	}
	return t[0]
}

// The characters that match (B) in the middle of a body, (B) at its end, and
// the complement of (W), as clamscan 1.4.6 was seen to match them.
const (
	wordAny = "\n\r \"'-./<=>@_"
	wordEnd = "\n\r \"'-/=>_"
	alnum   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func literal(s string) pattern.Elem { return pattern.Elem{Kind: pattern.Bytes, Value: []byte(s)} }

// inParens returns what stands between the parenthesis that s begins with and
// its partner, and how deep parentheses nest in it.
func inParens(s string) (inner string, deepest int, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
			deepest = max(deepest, depth-1)
		case ')':
			if depth--; depth == 0 {
				return s[1:i], deepest, true
			}
		}
		if depth == 0 {
			break
		}
	}
	return "", 0, false
}

// unit reads two digits, each of which may be "?".
func unit(s string) (value, mask byte, ok bool) {
	if len(s) < 2 {
		return 0, 0, false
	}
	for i := range 2 {
		value, mask = value<<4, mask<<4
		if s[i] == '?' {
			continue
		}
		n := nibble(s[i])
		if n > 15 {
			return 0, 0, false
		}
		value, mask = value|n, mask|15
	}
	return value, mask, true
}

// seq is a sequence of elements as it grows.
type seq struct {
	p     *parser
	elems []pattern.Elem
	base  int // index of the sequence's first element
	at    int // where the last element's bytes begin in p.bytes; -1: it takes no more
}

func (q *seq) add(e pattern.Elem) {
	q.elems = append(q.elems, e)
	q.at = -1
}

// literal appends the hexadecimal bytes that s begins with, and returns their number.
func (q *seq) literal(s string, m modifiers) (n int) {
	i := 0
	for ; i+1 < len(s); i += 2 {
		hi, lo := nibble(s[i]), nibble(s[i+1])
		if hi|lo > 15 {
			break
		}
		if i == 0 {
			q.open(m.fold)
		}
		q.p.bytes = append(q.p.bytes, hi<<4|lo)
		if m.wide {
			q.p.bytes = append(q.p.bytes, 0)
		}
	}
	if i > 0 {
		q.close()
	}
	return i / 2
}

// open makes the last element one that bytes can be appended to.
func (q *seq) open(fold bool) {
	if q.at < 0 || q.elems[len(q.elems)-1].Fold != fold {
		q.add(pattern.Elem{Kind: pattern.Bytes, Fold: fold})
		q.at = len(q.p.bytes)
	}
}

// close gives the last element the bytes that were appended.
func (q *seq) close() *pattern.Elem {
	n, e := len(q.p.bytes), &q.elems[len(q.elems)-1]
	e.Value = q.p.bytes[q.at:n:n]
	for e.Mask != nil && len(e.Mask) < len(e.Value) {
		e.Mask = append(e.Mask, 0xff)
	}
	return e
}

// masked appends one byte under a mask.
func (q *seq) masked(value, mask byte, fold bool) {
	q.open(fold && mask == 0xff)
	q.p.bytes = append(q.p.bytes, value)
	e := q.close()
	if mask == 0xff {
		return
	}
	if e.Mask == nil {
		e.Mask = bytes.Repeat([]byte{0xff}, len(e.Value))
	}
	e.Mask[len(e.Mask)-1] = mask
}

// near asks for a single byte at a distance from here.
func (q *seq) near(n near, from, to int64, fold bool) {
	e := pattern.Elem{Kind: pattern.Near, Value: []byte{n.value}, Min: from, Max: to, Fold: fold && n.mask == 0xff}
	if n.mask != 0xff {
		e.Mask = []byte{n.mask}
	}
	q.add(e)
}

// gap appends a distance, which joins one that is already there.
func (q *seq) gap(g between) {
	if g.from == 0 && g.to == 0 {
		return
	}
	last := len(q.elems) - 1
	if last < q.base || q.elems[last].Kind != pattern.Gap {
		q.add(pattern.Elem{Kind: pattern.Gap, Min: g.from, Max: g.to})
		return
	}
	e := &q.elems[last]
	e.Min += g.from
	if e.Max >= 0 {
		e.Max += g.to
	}
	if g.to < 0 {
		e.Max = -1
	}
}

// wildcard appends "??", "a?", "?a" or "{n}" at s[i:] and returns the place after it.
func (q *seq) wildcard(s string, i int, m modifiers) (int, *refusal) {
	if s[i] == '{' {
		n := strings.IndexByte(s[i:], '}')
		if n < 0 {
			return i, malformed("closing brace missing")
		}
		width, ok := inlineGap(s[i+1 : i+n])
		if !ok {
			return i, malformed("distance %q", clip(s[i:i+n+1]))
		}
		q.gap(between{width, width})
		return i + n + 1, nil
	}
	value, mask, ok := unit(s[i:])
	switch {
	case !ok:
		return i, malformed("%q is no byte", clip(s[i:]))
	case mask == 0:
		q.gap(between{1, 1})
	default:
		q.masked(value, mask, m.fold)
	}
	if m.wide {
		q.masked(0, 0xff, m.fold)
	}
	return i + 2, nil
}

// class appends one byte out of a set, or, negated, one that is not in it.
func (q *seq) class(set string, negate bool) {
	e := pattern.Elem{Kind: pattern.Alt, Negate: negate}
	for i := range len(set) {
		e.Alts = append(e.Alts, []pattern.Elem{literal(set[i : i+1])})
	}
	q.add(e)
}

// alternates appends the alternatives in a parenthesis. Only plain ones, of
// one length and without modifiers, can be negated.
func (q *seq) alternates(s string, negate bool, m modifiers) *refusal {
	alts := cutAlternates(s)
	if alts[0] == "" {
		return malformed("first alternative empty")
	}
	if negate {
		plain := !m.any && !strings.ContainsAny(s, "(?{")
		for _, a := range alts {
			plain = plain && len(a) == len(alts[0]) && a != ""
		}
		if !plain {
			return malformed("negated alternatives that are not plain bytes of one length")
		}
	}
	if len(alts) == 1 && !negate {
		return q.sequence(alts[0], m)
	}
	e := pattern.Elem{Kind: pattern.Alt, Negate: negate}
	for _, a := range alts {
		in := seq{p: q.p, at: -1}
		if r := in.sequence(a, m); r != nil {
			return r
		}
		e.Alts = append(e.Alts, in.elems)
	}
	q.add(e)
	return nil
}

// sequence reads one alternative.
func (q *seq) sequence(s string, m modifiers) *refusal {
	for i := 0; i < len(s); {
		if i += 2 * q.literal(s[i:], m); i == len(s) {
			break
		}
		var r *refusal
		switch s[i] {
		case '!':
			return malformed("negation within alternatives")
		case '(':
			inner, _, ok := inParens(s[i:])
			if !ok || inner == "" {
				return malformed("parentheses that do not match, or empty ones")
			}
			r = q.alternates(inner, false, m)
			i += len(inner) + 2
		default:
			i, r = q.wildcard(s, i, m)
		}
		if r != nil {
			return r
		}
	}
	return nil
}

// cutAlternates cuts at the bars that stand in no inner parenthesis.
func cutAlternates(s string) (out []string) {
	depth, from := 0, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case s[i] == '|' && depth == 0:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

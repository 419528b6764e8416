package pattern

import (
	"bytes"
	"math"
)

// A set of places is a list of spans, ascending and not touching. An element
// maps a set to a set, so that each element looks at each place once, whatever
// the gaps and alternatives before it: nothing is tried twice and nothing is
// missed, which backtracking can only have one of.
type span struct{ lo, hi int64 } // places lo to hi, both included

// maxSpans bounds the memory of a set. Passing it counts as using up the limit.
const maxSpans = 1 << 18

// stride is how many places are searched at a time.
const stride = 4096

// direction in which a sequence is walked.
type direction bool

const (
	ahead direction = false
	back  direction = true
)

// take returns an empty set to append to; give returns it.
func (m *Matcher) take() []span {
	if n := len(m.free); n > 0 {
		s := m.free[n-1]
		m.free = m.free[:n-1]
		return s[:0]
	}
	return make([]span, 0, 8)
}

func (m *Matcher) give(s []span) {
	if cap(s) > 0 && len(m.free) < 64 {
		m.free = append(m.free, s)
	}
}

// step returns the stride, which tests make small.
func (m *Matcher) step() int64 {
	if m.stride > 0 {
		return m.stride
	}
	return stride
}

// spend counts n steps and tells whether there is work left.
func (m *Matcher) spend(n int64) bool {
	m.Steps += n
	return !m.Exhausted()
}

// exhaust uses up what work is left.
func (m *Matcher) exhaust() {
	if m.Limit > 0 && m.Limit < math.MaxInt64 {
		m.Steps = max(m.Steps, m.Limit+1)
		return
	}
	m.full = true
}

// add appends a span that begins no earlier than the last of the set.
func (m *Matcher) add(set []span, lo, hi int64) []span {
	if n := len(set); n > 0 && lo <= set[n-1].hi+1 {
		set[n-1].hi = max(set[n-1].hi, hi)
		return set
	}
	if len(set) >= maxSpans {
		m.exhaust()
		return set
	}
	return append(set, span{lo, hi})
}

// walk maps a set over elements from to to-1 of a sequence: ahead in that
// order, back from the last to the first. The set is used up.
func (m *Matcher) walk(seq list, from, to int, dir direction, set []span) []span {
	for n := to - from; n > 0 && len(set) > 0; n-- {
		i := to - n
		if dir == back {
			i = from + n - 1
		}
		out := m.element(seq.item(i), dir, set, m.take())
		m.give(set)
		set = out
	}
	if m.Exhausted() {
		set = set[:0]
	}
	return set
}

// element maps the set in over one element, appending to out.
func (m *Matcher) element(el []byte, dir direction, in, out []span) []span {
	switch el[0] & headKind {
	case headBytes, headMasked:
		return m.literal(el, dir, in, out)
	case headGap:
		return m.jump(el, dir, in, out)
	case headAlt:
		alts := list(el[1:])
		for i := range alts.count() {
			seq := list(alts.item(i))
			some := m.walk(seq, 0, seq.count(), dir, append(m.take(), in...))
			out = m.union(out, some)
			m.give(some)
		}
		return out
	case headNot:
		return m.none(list(el[1:]), dir, in, out)
	}
	near := el[0]&headKind == headNear
	for _, s := range in {
		for p := s.lo; p <= s.hi && m.spend(1); p++ {
			if near && m.near(el, p) || !near && m.test(Test(el[1]), el[0]&headMod != 0, p) {
				out = m.add(out, p, p)
			}
		}
	}
	return out
}

// starts turns a span of places before (ahead) or after (back) n bytes into
// the span of where these begin, cut to the layer.
func (m *Matcher) starts(s span, n int64, dir direction) (lo, hi int64) {
	if dir == back {
		s.lo, s.hi = s.lo-n, s.hi-n
	}
	return max(s.lo, 0), min(s.hi, m.in.Size()-n)
}

// literal finds the bytes of an element.
func (m *Matcher) literal(el []byte, dir direction, in, out []span) []span {
	val, mask, fold := value(el)
	n := int64(len(val))
	shift := n
	if dir == back {
		shift = 0
	}
	var f finder
	for _, s := range in {
		lo, hi := m.starts(s, n, dir)
		for lo <= hi {
			end := min(hi, lo+m.step()-1)
			if !m.spend(end - lo + 1) {
				return out
			}
			for lo <= end {
				if lo = m.find(&f, val, mask, fold, lo, end); lo > end {
					break
				}
				if !m.spend(n) {
					return out
				}
				if m.equal(val, mask, fold, lo) {
					out = m.add(out, lo+shift, lo+shift)
				}
				lo++
			}
		}
	}
	return out
}

// first returns the first place from lo to end whose byte can begin the
// value, or end+1. What cannot be read is passed over.
func (m *Matcher) first(val, mask []byte, fold bool, lo, end int64) int64 {
	for lo <= end {
		v := m.in.View(lo, end-lo+1)
		if len(v) == 0 {
			lo++
			continue
		}
		i := -1
		switch c := val[0]; {
		case !fold && (mask == nil || mask[0] == 0xff):
			i = bytes.IndexByte(v, c)
		default:
			for j, b := range v {
				if mask != nil && b&mask[0] == c && !fold || fold && same(val, mask, 0, b) {
					i = j
					break
				}
			}
		}
		if i >= 0 {
			return lo + int64(i)
		}
		lo += int64(len(v))
	}
	return end + 1
}

// same compares byte i of a folded value.
func same(val, mask []byte, i int, b byte) bool {
	if mask != nil && mask[i] != 0xff {
		return b&mask[i] == val[i]
	}
	return lower(b) == val[i]
}

// equal compares the value with the bytes at off.
func (m *Matcher) equal(val, mask []byte, fold bool, off int64) bool {
	for i := 0; i < len(val); {
		v := m.in.View(off+int64(i), int64(len(val)-i))
		if len(v) == 0 {
			return false
		}
		switch {
		case fold:
			for j, b := range v {
				if !same(val, mask, i+j, b) {
					return false
				}
			}
		case mask != nil:
			for j, b := range v {
				if b&mask[i+j] != val[i+j] {
					return false
				}
			}
		default:
			if !bytes.Equal(v, val[i:i+len(v)]) {
				return false
			}
		}
		i += len(v)
	}
	return true
}

// jump moves the places by a gap.
func (m *Matcher) jump(el []byte, dir direction, in, out []span) []span {
	lo, hi := gap(el)
	if !m.spend(int64(len(in))) {
		return out
	}
	for _, s := range in {
		a, b := s.lo+lo, s.hi+hi
		if dir == back {
			a, b = s.lo-hi, s.hi-lo
		}
		if a, b = max(a, 0), min(b, m.in.Size()); a <= b {
			out = m.add(out, a, b)
		}
	}
	return out
}

// none passes over as many bytes as the alternatives have, where there are
// that many and they equal none of these.
func (m *Matcher) none(alts list, dir direction, in, out []span) []span {
	n, _ := elemExtent(alts.item(0))
	shift := n
	if dir == back {
		shift = 0
	}
	for _, s := range in {
		lo, hi := m.starts(s, n, dir)
		for ; lo <= hi && m.spend(1+n*int64(alts.count())); lo++ {
			hit := !m.readable(lo, n)
			for i := 0; i < alts.count() && !hit; i++ {
				val, mask, fold := value(alts.item(i))
				hit = m.equal(val, mask, fold, lo)
			}
			if !hit {
				out = m.add(out, lo+shift, lo+shift)
			}
		}
	}
	return out
}

// readable tells whether n bytes at off can be read.
func (m *Matcher) readable(off, n int64) bool {
	for n > 0 {
		v := m.in.View(off, n)
		if len(v) == 0 {
			return false
		}
		off, n = off+int64(len(v)), n-int64(len(v))
	}
	return true
}

// union merges b into a.
func (m *Matcher) union(a, b []span) []span {
	if len(a) == 0 {
		return append(a, b...)
	}
	if len(b) == 0 {
		return a
	}
	out := m.take()
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		var s span
		if j == len(b) || i < len(a) && a[i].lo <= b[j].lo {
			s = a[i]
			i++
		} else {
			s = b[j]
			j++
		}
		out = m.add(out, s.lo, s.hi)
	}
	m.give(a)
	return out
}

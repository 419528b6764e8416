package code

// which is the pattern that operand b means.
func (m *Machine) which(f uint8, b uint16) (pattern int, ok bool) {
	if f&indirect == 0 {
		return int(b), true
	}
	i := m.ints[b]
	return int(i), i >= 0 && i < int64(m.p.patterns())
}

// count is how many matches a pattern has.
func (m *Machine) count(f uint8, b uint16) int {
	p, ok := m.which(f, b)
	if !ok {
		return 0
	}
	return m.h.Count(p)
}

// pattern runs what asks for matches, and for rules.
func (m *Machine) pattern(op Op, in instr, y int64) action {
	switch op {
	case Of, OfAt, OfIn, OfRules:
		return m.of(op, in)
	case Rule:
		holds, known := m.h.Rule(int(in.d))
		if !known {
			return stop
		}
		return branch(in.f, holds)
	}
	p, ok := m.which(in.f, in.b)
	total := 0
	if ok {
		total = m.h.Count(p)
	}
	switch op {
	case FoundAt:
		return branch(in.f, m.at(p, total, y))
	case FoundIn:
		return branch(in.f, m.in(p, total, m.ints[in.c], m.ints[in.c+1]) > 0)
	case CountIn:
		m.ints[in.a] = int64(m.in(p, total, m.ints[in.c], m.ints[in.c+1]))
		return onwards
	}
	if y < 1 || y > int64(total) {
		return toE
	}
	off, n := m.h.At(p, int(y-1))
	if op == Length {
		off = n
	}
	m.ints[in.a] = off
	return onwards
}

// from is the number of the first match of a pattern at or behind an offset.
func (m *Machine) from(p, total int, off int64) int {
	lo, hi := 0, total
	for lo < hi {
		m.steps++
		mid := int(uint(lo+hi) >> 1)
		if at, _ := m.h.At(p, mid); at < off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// at says whether a pattern has a match at an offset.
func (m *Machine) at(p, total int, off int64) bool {
	i := m.from(p, total, off)
	if i == total {
		return false
	}
	at, _ := m.h.At(p, i)
	return at == off
}

// in counts the matches of a pattern from lo to hi.
func (m *Machine) in(p, total int, lo, hi int64) int {
	if total == 0 || lo > hi {
		return 0
	}
	end := total
	if hi < 1<<63-1 {
		end = m.from(p, total, hi+1)
	}
	return end - m.from(p, total, lo)
}

// of counts the members that are there until it is known whether they are enough.
func (m *Machine) of(op Op, in instr) action {
	need := int64(in.a)
	if in.f&counted != 0 {
		need = m.ints[in.a]
	}
	if need < 0 {
		return branch(in.f, true)
	}
	enough := max(need, 1) // 0: none may be there
	size := int64(in.c)
	some := int64(0)
	for i := int64(0); i < size && some < enough && size-i >= enough-some; i++ {
		m.steps++
		is := false
		if op == OfRules {
			var known bool
			if is, known = m.h.Rule(int(le.Uint32(m.data[int(in.d)+4*int(i):]))); !known {
				return stop
			}
		} else {
			is = m.there(op, in, m.member(in, int(i)))
		}
		if is {
			some++
		}
	}
	return branch(in.f, (some >= enough) == (need > 0))
}

// there says whether a member of a set of patterns is.
func (m *Machine) there(op Op, in instr, p int) bool {
	total := m.h.Count(p)
	switch {
	case total == 0 || op == Of:
		return total > 0
	case op == OfAt:
		return m.at(p, total, m.ints[in.b])
	}
	return m.in(p, total, m.ints[in.b], m.ints[in.b+1]) > 0
}

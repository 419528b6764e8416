package ppmd

import "io"

const (
	maxOrderI = 16
	minMemory = 1 << 13 // bytes; in less, what is left of a model may be all of it
	keepOrder = 9       // up to which contexts of one symbol are kept that lead nowhere
)

// ModelI is the statistics of variant I, revision 1, and its range decoder, which
// RangeRAR begins.
//
//	context  index of its last state (1), flags (1), sum of frequencies (2), states (4), suffix (4)
//	         with one state: 0 (1), flags (1), state (6), suffix (4)
type ModelI struct {
	memory
	coder

	// Work is charged for what is done to the whole model when memory is spent: a
	// step for each context. It tells whether to go on; where not, the error is ErrWork.
	Work func(n int64) bool

	order             int
	cuts              bool // what is old is cut off where memory is spent, and not all
	min, max          uint32
	found             uint32
	fall              int
	initEsc           uint32
	prev              uint32
	runLength, initRL int32
	blocks            [indexes]uint32
	nsIndex           [260]uint8
	nsBin             [256]uint8
	see               [24][32]see
	dummy             see
	binSumm           [25][64]uint16
	mask              [256]bool
	owed              int64 // steps that are not charged
}

// The flags of a context.
const (
	flagRescaled = 0x04
	flagHigh     = 0x08 // it has a symbol of the upper three quarters
	flagBefore   = 0x10 // the symbol before it is one
)

// Start makes the model anew, with contexts of up to order symbols (2 to 16) in
// mem bytes, 8 KiB at least. restore is what is done when they are spent: 0 begins anew, 1 cuts
// off what is old; 2, which keeps all as it is, is not known here: ErrRestore.
func (m *ModelI) Start(order int, mem uint32, restore int) error {
	if order < 2 || order > maxOrderI || mem < minMemory || mem > MaxMemory || restore > 2 {
		return ErrData
	}
	if restore == 2 {
		return ErrRestore
	}
	m.make(mem)
	m.order, m.cuts = order, restore == 1
	m.tables()
	m.restart()
	return nil
}

func (m *ModelI) tables() {
	for i := range m.nsBin {
		switch {
		case i == 0:
			m.nsBin[i] = 0
		case i == 1:
			m.nsBin[i] = 2
		case i < 11:
			m.nsBin[i] = 4
		default:
			m.nsBin[i] = 6
		}
	}
	n, left := 5, 1
	for i := range m.nsIndex {
		if i < 5 {
			m.nsIndex[i] = uint8(i)
			continue
		}
		m.nsIndex[i] = uint8(n)
		if left--; left == 0 {
			n++
			left = n - 4
		}
	}
	m.dummy = see{shift: periodBits, count: 64}
}

func (m *ModelI) restart() {
	m.reset()
	clear(m.blocks[:])
	m.fall = m.order
	m.initRL = -int32(min(m.order, 12)) - 1
	m.runLength = m.initRL
	m.prev = 0
	m.hiUnit -= unit
	m.min, m.max = m.hiUnit, m.hiUnit
	m.found = m.loUnit
	m.loUnit += 128 * unit
	m.setLast(m.min, 255)
	m.setFlags(m.min, 0)
	m.set16(m.min+2, 257)
	m.set32(m.min+4, m.found)
	m.set32(m.min+8, 0)
	for i := range uint32(256) {
		s := m.found + i*stateSize
		m.mem[s], m.mem[s+1] = byte(i), 1
		m.set32(s+2, 0)
	}
	i := 0
	for n := range m.binSumm {
		for int(m.nsIndex[i]) == n {
			i++
		}
		for k := range 64 {
			m.binSumm[n][k] = uint16(binScale - int(binEsc[k&7])/(i+1))
		}
	}
	i = 0
	for n := range m.see {
		for int(m.nsIndex[i+3]) == n+3 {
			i++
		}
		for k := range m.see[n] {
			m.see[n][k] = see{uint16(2*i+5) << (periodBits - 4), periodBits - 4, 7}
		}
	}
}

func (m *ModelI) last(c uint32) uint32        { return uint32(m.mem[c]) }
func (m *ModelI) setLast(c, n uint32)         { m.mem[c] = byte(n) }
func (m *ModelI) flags(c uint32) byte         { return m.mem[c+1] }
func (m *ModelI) setFlags(c uint32, f byte)   { m.mem[c+1] = f }
func (m *ModelI) sum(c uint32) uint32         { return uint32(m.summ(c)) }
func (m *ModelI) setSum(c, n uint32)          { m.set16(c+2, int(n)) }
func (m *ModelI) count(s uint32) uint32       { return uint32(m.mem[s+1]) }
func (m *ModelI) setNext(s, to uint32)        { m.set32(s+2, to) }
func (m *ModelI) isLink(to uint32) bool       { return to >= m.unitsStart }
func (m *ModelI) state(c, i uint32) uint32    { return m.stats(c) + i*stateSize }
func (m *ModelI) addCount(s uint32, n uint32) { m.mem[s+1] += byte(n) }

func (m *ModelI) fail() {
	if m.err == nil {
		m.err = ErrData
	}
}

// step charges work, and tells whether to go on.
func (m *ModelI) step(n int64) bool {
	if m.owed += n; m.owed >= 1<<12 && m.Work != nil {
		n, m.owed = m.owed, 0
		if !m.Work(n) && m.err == nil {
			m.err = ErrWork
		}
	}
	return m.err == nil
}

// flagOf is flag for a symbol of the upper three quarters.
func flagOf(sym, flag byte) byte {
	if sym >= 0x40 {
		return flag
	}
	return 0
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// stateOf returns the state of a symbol in a context of several.
func (m *ModelI) stateOf(c uint32, sym byte) uint32 {
	s := m.stats(c)
	for n := m.last(c); n > 0 && m.mem[s] != sym; n-- {
		s += stateSize
	}
	return s
}

// refresh halves the frequencies of a context, if scale is 1, and works its flags
// out. Its states take old units.
func (m *ModelI) refresh(c uint32, old int, scale uint32) {
	i := m.last(c)
	s := m.shrink(m.stats(c), old, int(i+2)>>1)
	m.set32(c+4, s)
	flags := m.flags(c)&byte(0x10+4*scale) | flagOf(m.sym(s), flagHigh)
	esc := m.sum(c) - m.count(s)
	n := (m.count(s) + scale) >> scale
	m.mem[s+1] = byte(n)
	sum := uint32(m.mem[s+1])
	for ; i > 0; i-- {
		s += stateSize
		esc -= m.count(s)
		m.mem[s+1] = byte((m.count(s) + scale) >> scale)
		sum += m.count(s)
		flags |= flagOf(m.sym(s), flagHigh)
	}
	m.setSum(c, sum+(esc+scale)>>scale)
	m.setFlags(c, flags)
}

// single makes a context of one state of one whose states are gone but for s.
func (m *ModelI) single(c, s uint32) {
	m.setFlags(c, m.flags(c)&flagBefore|flagOf(m.sym(s), flagHigh))
	m.copyState(c+2, s)
}

// cutOff takes what leads into the text from a context and all that follow it. It
// returns the context, 0 if nothing is left of it.
func (m *ModelI) cutOff(c uint32, order int) uint32 {
	if !m.step(1) {
		return c
	}
	follow := func(s uint32) {
		to := uint32(0)
		if order < m.order {
			to = m.cutOff(m.next(s), order+1)
		}
		m.setNext(s, to)
	}
	if m.last(c) == 0 {
		if s := c + 2; m.isLink(m.next(s)) {
			if follow(s); m.next(s) != 0 || order <= keepOrder {
				return c
			}
		}
		m.freeUnit(c)
		return 0
	}
	units := int(m.last(c)+2) >> 1
	m.set32(c+4, m.moveUp(m.stats(c), units))
	left := int(m.last(c))
	for i := left; i >= 0 && m.step(1); i-- {
		s := m.state(c, uint32(i))
		if m.isLink(m.next(s)) {
			follow(s)
			continue
		}
		m.setNext(s, 0)
		m.swap(s, m.state(c, uint32(left)))
		left--
	}
	if left == int(m.last(c)) || order == 0 {
		return c
	}
	s := m.stats(c)
	if left < 0 {
		m.insert(s, int(m.toIndex[units-1]))
		m.freeUnit(c)
		return 0
	}
	m.setLast(c, uint32(left))
	if left > 0 {
		m.refresh(c, units, bit(m.sum(c) > 16*uint32(left)))
		return c
	}
	m.single(c, s)
	m.insert(s, int(m.toIndex[units-1]))
	m.mem[c+3] = byte((m.count(c+2) + 11) >> 3)
	return c
}

// restore is for when memory is spent: what was done to the contexts from the
// longest one to c is undone, and room is made.
func (m *ModelI) restore(to uint32) {
	m.text = m.base
	c := m.max
	for ; c != to && m.step(1); c = m.suffix(c) {
		n := m.last(c) - 1
		if m.setLast(c, n); n != 0 {
			m.refresh(c, int(n+3)>>1, 0)
			continue
		}
		s := m.stats(c)
		m.single(c, s)
		m.freeUnit(s)
		m.mem[c+3] = byte((m.count(c+2) + 11) >> 3)
	}
	for ; c != m.min && m.step(1); c = m.suffix(c) {
		if m.last(c) == 0 {
			m.mem[c+3] -= m.mem[c+3] >> 1
			continue
		}
		m.setSum(c, m.sum(c)+4)
		if m.sum(c) > 128+4*m.last(c) {
			m.refresh(c, int(m.last(c)+2)>>1, 1)
		}
	}
	if !m.cuts || m.used() < m.size>>1 {
		m.step(1 << 11)
		m.restart()
		return
	}
	for m.suffix(m.max) != 0 && m.step(1) {
		m.max = m.suffix(m.max)
	}
	for m.step(1) {
		m.cutOff(m.max, 0)
		m.expandText()
		if m.used() <= 3*(m.size>>2) {
			break
		}
	}
	m.glue = 0
	m.fall = m.order
}

// createSuccessors makes the contexts that follow the found symbol in c and those
// shorter that lead to the same place in the text. s1, if not 0, is the symbol's
// state in the suffix of c. It returns 0 if there is no memory.
func (m *ModelI) createSuccessors(skip bool, s1, c uint32) uint32 {
	up := m.next(m.found)
	var ps [maxOrderI + 1]uint32
	n := 0
	if !skip {
		ps[0], n = m.found, 1
	}
	for m.suffix(c) != 0 {
		c = m.suffix(c)
		s := s1
		s1 = 0
		switch {
		case s != 0:
		case m.last(c) != 0:
			s = m.stateOf(c, m.sym(m.found))
			if m.count(s) < maxFreq-9 {
				m.addCount(s, 1)
				m.setSum(c, m.sum(c)+1)
			}
		default:
			s = c + 2
			m.addCount(s, bit(m.last(m.suffix(c)) == 0 && m.count(s) < 24))
		}
		if next := m.next(s); next != up {
			c = next
			if n == 0 {
				return c
			}
			break
		}
		if n == len(ps) {
			m.fail()
			return 0
		}
		ps[n] = s
		n++
	}
	sym := m.mem[up]
	flags := flagOf(m.sym(m.found), flagBefore) | flagOf(sym, flagHigh)
	freq := m.freqAfter(c, sym)
	for n > 0 {
		var c1 uint32
		switch {
		case m.hiUnit != m.loUnit:
			m.hiUnit -= unit
			c1 = m.hiUnit
		case m.free[0] != 0:
			c1 = m.remove(0)
		default:
			if c1 = m.allocRare(0); c1 == 0 {
				return 0
			}
		}
		m.setLast(c1, 0)
		m.setFlags(c1, flags)
		m.mem[c1+2], m.mem[c1+3] = sym, freq
		m.set32(c1+4, up+1)
		m.set32(c1+8, c)
		n--
		m.setNext(ps[n], c1)
		c = c1
	}
	return c
}

// freqAfter estimates the frequency of a symbol in a new context by that in c.
func (m *ModelI) freqAfter(c uint32, sym byte) byte {
	if m.last(c) == 0 {
		return m.mem[c+3]
	}
	cf := m.count(m.stateOf(c, sym)) - 1
	s0 := m.sum(c) - m.last(c) - cf
	switch {
	case 2*cf <= s0:
		return byte(1 + bit(5*cf > s0))
	case s0 == 0:
		m.fail()
		return 1
	}
	return byte(1 + (cf+2*s0-3)/s0)
}

// reduceOrder lets the symbol lead into the text from c and from the contexts
// shorter in which it leads nowhere. It returns the first context it leads to,
// 0 if there is no memory.
func (m *ModelI) reduceOrder(s1, c uint32) uint32 {
	first, up := c, m.text
	m.setNext(m.found, up)
	m.fall++
	var s uint32
	for {
		if s1 == 0 && m.suffix(c) == 0 {
			return c
		}
		c = m.suffix(c)
		s = s1
		s1 = 0
		switch {
		case s != 0:
		case m.last(c) != 0:
			s = m.stateOf(c, m.sym(m.found))
			if m.count(s) < maxFreq-9 {
				m.addCount(s, 2)
				m.setSum(c, m.sum(c)+2)
			}
		default:
			s = c + 2
			m.addCount(s, bit(m.count(s) < 32))
		}
		if m.next(s) != 0 {
			break
		}
		m.setNext(s, up)
		m.fall++
		if m.fall > 1<<16 {
			m.fail()
			return 0
		}
	}
	if m.next(s) <= up {
		found := m.found
		m.found = s
		m.setNext(s, m.createSuccessors(false, 0, c))
		m.found = found
	}
	if m.fall == 1 && first == m.max {
		m.setNext(m.found, m.next(s))
		m.text--
	}
	return m.next(s)
}

// updateSuffix counts the found symbol in the suffix c of the context too, and
// returns its state there.
func (m *ModelI) updateSuffix(c uint32, sym byte) uint32 {
	if m.last(c) == 0 {
		m.addCount(c+2, bit(m.count(c+2) < 32))
		return c + 2
	}
	s := m.stateOf(c, sym)
	if s != m.stats(c) && m.count(s) >= m.count(s-stateSize) {
		m.swap(s, s-stateSize)
		s -= stateSize
	}
	if m.count(s) < maxFreq-9 {
		m.addCount(s, 2)
		m.setSum(c, m.sum(c)+2)
	}
	return s
}

func (m *ModelI) updateModel() {
	next := m.next(m.found)
	freq, sym := m.count(m.found), m.sym(m.found)
	s := uint32(0)
	if freq < maxFreq/4 && m.suffix(m.min) != 0 {
		s = m.updateSuffix(m.suffix(m.min), sym)
	}
	if m.fall == 0 && next != 0 {
		c := m.createSuccessors(true, s, m.min)
		m.setNext(m.found, c)
		if c == 0 {
			m.restore(m.max)
		} else {
			m.max = c
		}
		return
	}
	m.mem[m.text] = sym
	m.text++
	to := m.text
	if m.text >= m.unitsStart {
		m.restore(m.max)
		return
	}
	switch {
	case next == 0:
		next = m.reduceOrder(s, m.min)
	case !m.isLink(next):
		next = m.createSuccessors(false, s, m.min)
	}
	if next == 0 {
		m.restore(m.max)
		return
	}
	if m.fall--; m.fall == 0 {
		to = next
		if m.max != m.min {
			m.text--
		}
	}
	n := m.last(m.min)
	s0 := m.sum(m.min) - n - freq
	for c := m.max; c != m.min && m.step(1); c = m.suffix(c) {
		if !m.extend(c, n, s0, freq, sym, to) {
			m.restore(c)
			return
		}
	}
	m.max, m.min = next, next
}

// extend adds the symbol to the context c; false if there is no memory.
func (m *ModelI) extend(c, n, s0, freq uint32, sym byte, to uint32) bool {
	last := m.last(c)
	switch {
	case last == 255:
		m.fail()
		return true
	case last == 0:
		s := m.alloc(0)
		if s == 0 {
			return false
		}
		m.copyState(s, c+2)
		m.set32(c+4, s)
		if m.mem[s+1] < maxFreq/4-1 {
			m.mem[s+1] <<= 1
		} else {
			m.mem[s+1] = maxFreq - 4
		}
		m.setSum(c, m.count(s)+m.initEsc+bit(n > 2))
	default:
		old := int(last+1) >> 1
		if i := int(m.toIndex[old-1]); last&1 != 0 && i != int(m.toIndex[old]) {
			p := m.alloc(i + 1)
			if p == 0 {
				return false
			}
			from := m.stats(c)
			copy(m.mem[p:p+uint32(old*unit)], m.mem[from:])
			m.insert(from, i)
			m.set32(c+4, p)
		}
		m.setSum(c, m.sum(c)+bit(3*last+1 < n))
	}
	cf := 2 * freq * (m.sum(c) + 6)
	sf := s0 + m.sum(c)
	if cf < 6*sf {
		cf = 1 + bit(cf > sf) + bit(cf >= 4*sf)
		m.setSum(c, m.sum(c)+4)
	} else {
		cf = 4 + bit(cf > 9*sf) + bit(cf > 12*sf) + bit(cf > 15*sf)
		m.setSum(c, m.sum(c)+cf)
	}
	s := m.state(c, last+1)
	m.mem[s], m.mem[s+1] = sym, byte(cf)
	m.setNext(s, to)
	m.setFlags(c, m.flags(c)|flagOf(sym, flagHigh))
	m.setLast(c, last+1)
	return true
}

func (m *ModelI) rescale() {
	stats := m.stats(m.min)
	s := m.found
	if s != stats {
		t := [stateSize]byte(m.mem[s : s+stateSize])
		copy(m.mem[stats+stateSize:s+stateSize], m.mem[stats:s])
		copy(m.mem[stats:], t[:])
		s = stats
	}
	esc := m.sum(m.min) - m.count(s)
	adder := bit(m.fall != 0)
	m.mem[s+1] = byte((m.count(s) + 4 + adder) >> 1)
	sum := m.count(s)
	last := m.last(m.min)
	for range last {
		s += stateSize
		esc -= m.count(s)
		m.mem[s+1] = byte((m.count(s) + adder) >> 1)
		sum += m.count(s)
		if m.count(s) > m.count(s-stateSize) {
			t := [stateSize]byte(m.mem[s : s+stateSize])
			to := s
			for to != stats && uint32(t[1]) > m.count(to-stateSize) {
				m.copyState(to, to-stateSize)
				to -= stateSize
			}
			copy(m.mem[to:], t[:])
		}
	}
	if m.count(s) == 0 {
		gone := uint32(0)
		for m.count(s) == 0 && s > stats {
			gone++
			s -= stateSize
		}
		esc += gone
		m.setLast(m.min, last-gone)
		units := int(last+2) >> 1
		if last == gone {
			m.toSingle(stats, units, esc)
			return
		}
		if now := int(last-gone+2) >> 1; now != units {
			m.set32(m.min+4, m.shrink(stats, units, now))
		}
		flags := m.flags(m.min) &^ flagHigh
		for i := range last - gone + 1 {
			flags |= flagOf(m.sym(m.state(m.min, i)), flagHigh)
		}
		m.setFlags(m.min, flags)
	}
	m.setSum(m.min, sum+esc-esc>>1)
	m.setFlags(m.min, m.flags(m.min)|flagRescaled)
	m.found = m.stats(m.min)
}

// toSingle leaves the context one state of those that took units.
func (m *ModelI) toSingle(stats uint32, units int, esc uint32) {
	t := [stateSize]byte(m.mem[stats : stats+stateSize])
	t[1] = byte(min((2*uint32(t[1])+esc-1)/max(esc, 1), maxFreq/3))
	m.insert(stats, int(m.toIndex[units-1]))
	m.setFlags(m.min, m.flags(m.min)&flagBefore|flagOf(t[0], flagHigh))
	m.found = m.min + 2
	copy(m.mem[m.found:], t[:])
}

// escape estimates the frequency of an escape in the context.
func (m *ModelI) escape(masked uint32) (*see, uint32) {
	n := m.last(m.min)
	if n == 255 {
		return &m.dummy, 1
	}
	at := bit(m.sum(m.min) > 11*(n+1)) + 2*bit(2*n < m.last(m.suffix(m.min))+masked) + uint32(m.flags(m.min))
	e := &m.see[m.nsIndex[n+2]-3][at&31]
	r := e.summ >> e.shift
	e.summ -= r
	return e, max(uint32(r), 1)
}

func (m *ModelI) nextContext() {
	if c := m.next(m.found); m.fall == 0 && m.isLink(c) {
		m.min, m.max = c, c
		return
	}
	m.updateModel()
	m.min = m.max
}

// Symbol decodes one symbol. io.EOF is the end mark, an escape from the last context.
func (m *ModelI) Symbol() (byte, error) {
	var masked uint32
	if m.last(m.min) == 0 {
		if sym, ok := m.binary(); ok || m.err != nil {
			return sym, m.err
		}
	} else if sym, ok := m.first(); ok || m.err != nil {
		return sym, m.err
	}
	for m.err == nil {
		masked = m.last(m.min)
		for {
			m.fall++
			if m.suffix(m.min) == 0 {
				return 0, io.EOF
			}
			if m.min = m.suffix(m.min); m.last(m.min) != masked {
				break
			}
		}
		if sym, ok := m.masked(masked); ok {
			return sym, m.err
		}
	}
	return 0, m.err
}

// first tries the longest context, which has several states.
func (m *ModelI) first() (sym byte, ok bool) {
	s, n := m.stats(m.min), m.last(m.min)
	total := m.summ(m.min)
	count, ok := m.threshold(total)
	if !ok {
		return 0, false
	}
	high := m.freq(s)
	if count < high {
		m.decode(0, high)
		m.found, sym = s, m.sym(s)
		m.prev = bit(2*high >= total)
		m.runLength += int32(m.prev)
		m.set16(m.min+2, total+4)
		m.addCount(s, 4)
		if m.freq(s) > maxFreq {
			m.rescale()
		}
		m.nextContext()
		return sym, true
	}
	m.prev = 0
	for range n {
		s += stateSize
		f := m.freq(s)
		if high += f; high <= count {
			continue
		}
		m.decode(high-f, f)
		m.found, sym = s, m.sym(s)
		m.addCount(s, 4)
		m.set16(m.min+2, total+4)
		if m.count(s) > m.count(s-stateSize) {
			m.swap(s, s-stateSize)
			if m.found = s - stateSize; m.freq(m.found) > maxFreq {
				m.rescale()
			}
		}
		m.nextContext()
		return sym, true
	}
	if count >= total {
		m.fail()
		return 0, false
	}
	m.decode(high, total-high)
	clear(m.mask[:])
	m.maskAll(m.mem[m.stats(m.min) : s+stateSize])
	return 0, false
}

// maskAll masks the symbols of states.
func (m *ModelI) maskAll(states []byte) {
	for ; len(states) >= stateSize; states = states[stateSize:] {
		m.mask[states[0]] = true
	}
}

// binary decodes in a context of one state.
func (m *ModelI) binary() (sym byte, ok bool) {
	s := m.min + 2
	n := m.nsIndex[(m.count(s)-1)&0xff]
	if int(n) >= len(m.binSumm) {
		m.fail()
		return 0, false
	}
	i := uint32(m.nsBin[m.last(m.suffix(m.min))]) + m.prev + uint32(m.flags(m.min)) + uint32(m.runLength>>26)&0x20
	p := &m.binSumm[n][i&63]
	mean := (*p + 1<<(periodBits-2)) >> periodBits
	if m.bit(uint32(*p)) == 0 {
		if m.err != nil {
			return 0, false
		}
		*p += 1<<intBits - mean
		m.found, sym = s, m.sym(s)
		m.addCount(s, bit(m.count(s) < 196))
		m.prev = 1
		m.runLength++
		m.nextContext()
		return sym, true
	}
	*p -= mean
	m.initEsc = uint32(expEscape[*p>>10&15])
	clear(m.mask[:])
	m.mask[m.sym(s)] = true
	m.prev = 0
	return 0, false
}

// masked decodes among the symbols that longer contexts did not have.
func (m *ModelI) masked(masked uint32) (sym byte, ok bool) {
	n := m.last(m.min)
	if n < masked || n == 0 {
		m.fail()
		return 0, false
	}
	stats := m.stats(m.min)
	all := m.mem[stats : stats+(n+1)*stateSize]
	high := 0
	for b := all; len(b) >= stateSize; b = b[stateSize:] {
		if !m.mask[b[0]] {
			high += int(b[1])
		}
	}
	e, esc := m.escape(masked)
	total := int(esc) + high
	count, ok := m.threshold(total)
	if !ok {
		return 0, false
	}
	if count >= high {
		if count >= total {
			m.fail()
			return 0, false
		}
		m.decode(high, total-high)
		e.summ += uint16(total)
		m.maskAll(all)
		return 0, false
	}
	at := 0
	for i := 0; i+1 < len(all); i += stateSize {
		if m.mask[all[i]] {
			continue
		}
		f := int(all[i+1])
		if at += f; at > count {
			m.decode(at-f, f)
			m.found, sym = stats+uint32(i), all[i]
			break
		}
	}
	if e.shift < periodBits {
		if e.count--; e.count == 0 {
			e.summ <<= 1
			e.count = 3 << e.shift
			e.shift++
		}
	}
	m.set16(m.min+2, m.summ(m.min)+4)
	m.addCount(m.found, 4)
	if m.freq(m.found) > maxFreq {
		m.rescale()
	}
	m.runLength = m.initRL
	m.updateModel()
	m.min = m.max
	return sym, true
}

// Package ppmd decodes PPMd (D. Shkarin): variant H, as 7z archives and RAR 2.9
// to 4 have it, and variant I, revision 1, as zip files have it. There is no specification but the authors' programs in the
// public domain; the order of every update and of every allocation is part of
// the format, since what does not fit in the given memory restarts the model.
package ppmd

import (
	"errors"
	"io"
)

// Errors of a model.
var (
	ErrData    = errors.New("ppmd: invalid data") // that no encoder writes
	ErrWork    = errors.New("ppmd: too much work")
	ErrRestore = errors.New("ppmd: a model that is frozen when memory is spent")
)

const (
	maxOrder   = 64
	intBits    = 7
	periodBits = 7
	binScale   = 1 << (intBits + periodBits)
	maxFreq    = 124
	indexes    = 38 // sizes of blocks
	unit       = 12 // bytes
	stateSize  = 6
)

// MaxMemory is the most memory, in bytes, that a model is given.
const MaxMemory = 256 << 20

var (
	binEsc    = [8]uint16{0x3cdd, 0x1f3f, 0x59bf, 0x48f3, 0x64a1, 0x5abc, 0x6632, 0x6051}
	expEscape = [16]uint8{25, 14, 9, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2}
)

// see is a secondary estimate of an escape's frequency.
type see struct {
	summ  uint16
	shift uint8
	count uint8
}

// Model is the statistics of variant H and its range decoder.
//
//	context  number of states (2), sum of frequencies (2), states (4), suffix (4)
//	         with one state: number (2), state (6), suffix (4)
type Model struct {
	memory
	coder

	order             int
	min, max          uint32 // contexts
	found             uint32 // state
	fall              int
	initEsc           int
	prev              int // 1 if the last symbol was the likely one
	runLength, initRL int32
	hiBits            int
	nsIndex, nsBin    [256]uint8
	see               [25][16]see
	dummy             see
	binSumm           [128][64]uint16
	mask              [256]bool
}

func (m *Model) numStats(c uint32) int { return m.u16(c) }

// Start makes the model anew, with contexts of up to order symbols (2 to 64) in
// mem bytes.
func (m *Model) Start(order int, mem uint32) error {
	if order < 2 || order > maxOrder || mem < 1<<11 || mem > MaxMemory {
		return ErrData
	}
	m.make(mem)
	m.order = order
	m.tables()
	m.restart()
	return nil
}

func (m *Model) tables() {
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
	n, left := 3, 1
	for i := range m.nsIndex {
		if i < 3 {
			m.nsIndex[i] = uint8(i)
			continue
		}
		m.nsIndex[i] = uint8(n)
		if left--; left == 0 {
			n++
			left = n - 2
		}
	}
	m.dummy = see{shift: periodBits, count: 64}
}

func (m *Model) restart() {
	m.reset()
	m.fall = m.order
	m.initRL = -int32(min(m.order, 12)) - 1
	m.runLength = m.initRL
	m.prev = 0
	m.hiUnit -= unit
	m.min, m.max = m.hiUnit, m.hiUnit
	m.found = m.loUnit
	m.loUnit += 128 * unit
	m.set16(m.min, 256)
	m.set16(m.min+2, 257)
	m.set32(m.min+4, m.found)
	m.set32(m.min+8, 0)
	for i := range uint32(256) {
		s := m.found + i*stateSize
		m.mem[s], m.mem[s+1] = byte(i), 1
		m.set32(s+2, 0)
	}
	for i := range m.binSumm {
		for k := range 64 {
			m.binSumm[i][k] = uint16(binScale - int(binEsc[k&7])/(i+2))
		}
	}
	for i := range m.see {
		for k := range m.see[i] {
			m.see[i][k] = see{uint16(5*i+10) << (periodBits - 4), periodBits - 4, 4}
		}
	}
}

// hi is 8 for the symbols of the upper three quarters.
func hi(c byte) int {
	if c >= 0x40 {
		return 8
	}
	return 0
}

func (m *Model) createSuccessors(skip bool) uint32 {
	c := m.min
	up := m.next(m.found)
	var ps [maxOrder]uint32
	n := 0
	if !skip {
		ps[0], n = m.found, 1
	}
	for m.suffix(c) != 0 {
		c = m.suffix(c)
		s := c + 2
		if m.numStats(c) != 1 {
			s = m.find(c, m.sym(m.found))
		}
		if next := m.next(s); next != up {
			c = next
			if n == 0 {
				return c
			}
			break
		}
		if n == maxOrder {
			return 0
		}
		ps[n] = s
		n++
	}
	if n == 0 {
		return c
	}
	sym := m.mem[up]
	freq := 0
	if m.numStats(c) == 1 {
		freq = m.freq(c + 2)
	} else {
		cf := m.freq(m.find(c, sym)) - 1
		s0 := m.summ(c) - m.numStats(c) - cf
		switch {
		case 2*cf <= s0:
			freq = 1
			if 5*cf > s0 {
				freq = 2
			}
		case s0 > 0:
			freq = 1 + (2*cf+3*s0-1)/(2*s0)
		default:
			freq = 1
		}
	}
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
		m.set16(c1, 1)
		m.mem[c1+2], m.mem[c1+3] = sym, byte(freq)
		m.set32(c1+4, up+1)
		m.set32(c1+8, c)
		n--
		m.set32(ps[n]+2, c1)
		c = c1
	}
	return c
}

// find returns the state of a symbol in a context of several.
func (m *Model) find(c uint32, sym byte) uint32 {
	s := m.stats(c)
	for n := m.numStats(c) - 1; n > 0 && m.mem[s] != sym; n-- {
		s += stateSize
	}
	return s
}

func (m *Model) updateModel() {
	fNext := m.next(m.found)
	fFreq, fSym := m.freq(m.found), m.sym(m.found)
	if fFreq < maxFreq/4 && m.suffix(m.min) != 0 {
		m.updateSuffix(m.suffix(m.min), fSym)
	}
	if m.fall == 0 {
		m.min = m.createSuccessors(true)
		m.max = m.min
		if m.min == 0 {
			m.restart()
			return
		}
		m.set32(m.found+2, m.min)
		return
	}
	m.mem[m.text] = fSym
	m.text++
	next := m.text
	if m.text >= m.unitsStart {
		m.restart()
		return
	}
	if fNext != 0 {
		if fNext <= next {
			if fNext = m.createSuccessors(false); fNext == 0 {
				m.restart()
				return
			}
		}
		if m.fall--; m.fall == 0 {
			next = fNext
			if m.max != m.min {
				m.text--
			}
		}
	} else {
		m.set32(m.found+2, next)
		fNext = m.min
	}
	ns := m.numStats(m.min)
	s0 := m.summ(m.min) - ns - (fFreq - 1)
	for c := m.max; c != m.min; c = m.suffix(c) {
		if !m.extend(c, ns, s0, fFreq, fSym, next) {
			m.restart()
			return
		}
	}
	m.max, m.min = fNext, fNext
}

// updateSuffix counts the symbol in the context's suffix c too.
func (m *Model) updateSuffix(c uint32, sym byte) {
	if m.numStats(c) == 1 {
		if m.mem[c+3] < 32 {
			m.mem[c+3]++
		}
		return
	}
	s := m.find(c, sym)
	if s != m.stats(c) && m.freq(s) >= m.freq(s-stateSize) {
		m.swap(s, s-stateSize)
		s -= stateSize
	}
	if m.freq(s) < maxFreq-9 {
		m.mem[s+1] += 2
		m.set16(c+2, m.summ(c)+2)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// extend adds the symbol to the context c; false if there is no memory.
func (m *Model) extend(c uint32, ns, s0, fFreq int, sym byte, next uint32) bool {
	n := m.numStats(c)
	if n != 1 {
		if n&1 == 0 {
			old := n >> 1
			i := int(m.toIndex[old-1])
			if i != int(m.toIndex[old]) {
				p := m.alloc(i + 1)
				if p == 0 {
					return false
				}
				from := m.stats(c)
				copy(m.mem[p:p+uint32(old*unit)], m.mem[from:])
				m.insert(from, i)
				m.set32(c+4, p)
			}
		}
		sum := m.summ(c)
		m.set16(c+2, sum+one(2*n < ns)+2*one(4*n <= ns && sum <= 8*n))
	} else {
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
		m.set16(c+2, m.freq(s)+m.initEsc+one(ns > 3))
	}
	cf := 2 * fFreq * (m.summ(c) + 6)
	sf := s0 + m.summ(c)
	if cf < 6*sf {
		cf = 1 + one(cf > sf) + one(cf >= 4*sf)
		m.set16(c+2, m.summ(c)+3)
	} else {
		cf = 4 + one(cf >= 9*sf) + one(cf >= 12*sf) + one(cf >= 15*sf)
		m.set16(c+2, m.summ(c)+cf)
	}
	s := m.stats(c) + uint32(n*stateSize)
	m.mem[s], m.mem[s+1] = sym, byte(cf)
	m.set32(s+2, next)
	m.set16(c, n+1)
	return true
}

func (m *Model) rescale() {
	stats := m.stats(m.min)
	s := m.found
	if s != stats {
		t := [stateSize]byte(m.mem[s : s+stateSize])
		copy(m.mem[stats+stateSize:s+stateSize], m.mem[stats:s])
		copy(m.mem[stats:], t[:])
		s = stats
	}
	esc := m.summ(m.min) - m.freq(s)
	adder := one(m.fall != 0)
	m.mem[s+1] = byte((m.freq(s) + 4 + adder) >> 1)
	sum := m.freq(s)
	i := m.numStats(m.min) - 1
	for ; i > 0; i-- {
		s += stateSize
		esc -= m.freq(s)
		m.mem[s+1] = byte((m.freq(s) + adder) >> 1)
		sum += m.freq(s)
		if m.freq(s) > m.freq(s-stateSize) {
			t := [stateSize]byte(m.mem[s : s+stateSize])
			to := s
			for to != stats && int(t[1]) > m.freq(to-stateSize) {
				m.copyState(to, to-stateSize)
				to -= stateSize
			}
			copy(m.mem[to:], t[:])
		}
	}
	if m.freq(s) == 0 {
		n := m.numStats(m.min)
		for m.freq(s) == 0 && s > stats {
			i++
			s -= stateSize
		}
		esc += i
		m.set16(m.min, n-i)
		if n-i == 1 {
			t := [stateSize]byte(m.mem[stats : stats+stateSize])
			for {
				t[1] -= t[1] >> 1
				if esc >>= 1; esc <= 1 {
					break
				}
			}
			m.insert(stats, int(m.toIndex[(n+1)>>1-1]))
			m.found = m.min + 2
			copy(m.mem[m.found:], t[:])
			return
		}
		if n0, n1 := (n+1)>>1, (n-i+1)>>1; n0 != n1 {
			m.set32(m.min+4, m.shrink(stats, n0, n1))
		}
	}
	m.set16(m.min+2, sum+esc-esc>>1)
	m.found = m.stats(m.min)
}

// escape estimates the frequency of an escape in the context.
func (m *Model) escape(masked int) (*see, int) {
	n := m.numStats(m.min)
	if n == 256 {
		return &m.dummy, 1
	}
	left := n - masked
	e := &m.see[m.nsIndex[left-1]][one(left < m.numStats(m.suffix(m.min))-n)+2*one(m.summ(m.min) < 11*n)+4*one(masked > left)+m.hiBits]
	r := e.summ >> e.shift
	e.summ -= r
	return e, max(int(r), 1)
}

func (m *Model) nextContext() {
	if c := m.next(m.found); m.fall == 0 && c > m.text {
		m.min, m.max = c, c
		return
	}
	m.updateModel()
}

// Symbol decodes one symbol. io.EOF is the end mark of 7z's variant, and an
// escape from the last context in RAR's.
func (m *Model) Symbol() (byte, error) {
	masked, done, sym := m.first()
	for !done {
		if m.err != nil {
			return 0, m.err
		}
		n := *masked
		for {
			m.fall++
			if m.suffix(m.min) == 0 {
				return 0, io.EOF
			}
			m.min = m.suffix(m.min)
			if m.numStats(m.min) != n {
				break
			}
		}
		done, sym = m.masked(n)
		n = m.numStats(m.min)
		masked = &n
	}
	return sym, m.err
}

// first tries the longest context. It returns how many symbols are masked
// where the symbol is none of these.
func (m *Model) first() (masked *int, done bool, sym byte) {
	n := m.numStats(m.min)
	if n == 1 {
		return m.binary()
	}
	s := m.stats(m.min)
	total := m.summ(m.min)
	count, ok := m.threshold(total)
	if !ok {
		return nil, false, 0
	}
	high := m.freq(s)
	if count < high {
		m.decode(0, high)
		m.found, sym = s, m.sym(s)
		m.prev = one(2*high > total)
		m.runLength += int32(m.prev)
		m.set16(m.min+2, total+4)
		m.mem[s+1] += 4
		if m.freq(s) > maxFreq {
			m.rescale()
		}
		m.nextContext()
		return nil, true, sym
	}
	m.prev = 0
	for i := 1; i < n; i++ {
		s += stateSize
		f := m.freq(s)
		if high += f; high > count {
			m.decode(high-f, f)
			m.found, sym = s, m.sym(s)
			m.mem[s+1] += 4
			m.set16(m.min+2, total+4)
			if m.freq(s) > m.freq(s-stateSize) {
				m.swap(s, s-stateSize)
				m.found = s - stateSize
				if m.freq(m.found) > maxFreq {
					m.rescale()
				}
			}
			m.nextContext()
			return nil, true, sym
		}
	}
	if count >= total {
		m.err = ErrData
		return nil, false, 0
	}
	m.hiBits = hi(m.sym(m.found))
	m.decode(high, total-high)
	clear(m.mask[:])
	for s, i := m.stats(m.min), 0; i < n; i++ {
		m.mask[m.sym(s)] = true
		s += stateSize
	}
	return &n, false, 0
}

// binary decodes in a context of one symbol.
func (m *Model) binary() (masked *int, done bool, sym byte) {
	s := m.min + 2
	m.hiBits = hi(m.sym(m.found))
	i := m.prev + int(m.nsBin[m.numStats(m.suffix(m.min))-1]) + m.hiBits + 2*hi(m.sym(s)) + int(m.runLength>>26)&0x20
	p := &m.binSumm[(m.freq(s)-1)&127][i]
	mean := (*p + 1<<(periodBits-2)) >> periodBits
	if m.bit(uint32(*p)) == 0 {
		*p += 1<<intBits - mean
		m.found, sym = s, m.sym(s)
		if m.mem[s+1] < 128 {
			m.mem[s+1]++
		}
		m.prev = 1
		m.runLength++
		m.nextContext()
		return nil, true, sym
	}
	*p -= mean
	m.initEsc = int(expEscape[*p>>10&15])
	clear(m.mask[:])
	m.mask[m.sym(s)] = true
	m.prev = 0
	n := 1
	return &n, false, 0
}

// masked decodes among the symbols that longer contexts did not have.
func (m *Model) masked(masked int) (done bool, sym byte) {
	n := m.numStats(m.min)
	if n < masked {
		m.err = ErrData
		return false, 0
	}
	stats := m.stats(m.min)
	high := 0
	for s, i := stats, 0; i < n; i++ {
		if !m.mask[m.sym(s)] {
			high += m.freq(s)
		}
		s += stateSize
	}
	e, sum := m.escape(masked)
	sum += high
	count, ok := m.threshold(sum)
	if !ok {
		return false, 0
	}
	if count < high {
		at := 0
		for s, i := stats, 0; i < n; i++ {
			if !m.mask[m.sym(s)] {
				f := m.freq(s)
				if at += f; at > count {
					m.decode(at-f, f)
					m.found, sym = s, m.sym(s)
					break
				}
			}
			s += stateSize
		}
		if e.shift < periodBits {
			if e.count--; e.count == 0 {
				e.summ <<= 1
				e.count = 3 << e.shift
				e.shift++
			}
		}
		m.set16(m.min+2, m.summ(m.min)+4)
		m.mem[m.found+1] += 4
		if m.freq(m.found) > maxFreq {
			m.rescale()
		}
		m.runLength = m.initRL
		m.updateModel()
		return true, sym
	}
	if count >= sum {
		m.err = ErrData
		return false, 0
	}
	m.decode(high, sum-high)
	e.summ += uint16(sum)
	for s, i := stats, 0; i < n; i++ {
		m.mask[m.sym(s)] = true
		s += stateSize
	}
	return false, 0
}

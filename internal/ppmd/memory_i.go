package ppmd

// The allocator of variant I. A free block begins with stamp, where a context has
// its number of states and a state its symbol; then come the next of its list and
// how many units it has. How many blocks a list has is counted, since what is in
// use decides what is done when memory is spent.

const stamp = 0xffffffff

func (m *ModelI) insert(p uint32, i int) {
	m.set32(p, stamp)
	m.set32(p+4, m.free[i])
	m.set32(p+8, uint32(m.toUnits[i]))
	m.free[i] = p
	m.blocks[i]++
}

func (m *ModelI) remove(i int) uint32 {
	p := m.free[i]
	m.free[i] = m.u32(p + 4)
	m.blocks[i]--
	return p
}

// giveUnits gives back n units, 128 at most, as one block or two.
func (m *ModelI) giveUnits(p uint32, n int) {
	i := int(m.toIndex[n-1])
	if int(m.toUnits[i]) != n {
		i--
		k := int(m.toUnits[i])
		m.insert(p+uint32(k)*unit, n-k-1)
	}
	m.insert(p, i)
}

// split gives back what of a block of index from is behind one of index to.
func (m *ModelI) split(p uint32, from, to int) {
	m.giveUnits(p+uint32(m.toUnits[to])*unit, int(m.toUnits[from])-int(m.toUnits[to]))
}

// guard ends the blocks that lie side by side in front of the space between.
func (m *ModelI) guard() {
	if m.loUnit != m.hiUnit {
		m.set32(m.loUnit, 0)
	}
}

// glueBlocks joins free blocks that stand side by side.
func (m *ModelI) glueBlocks() {
	m.glue = 1 << 13
	clear(m.blocks[:])
	m.guard()
	var head, last uint32
	link := func(p uint32) {
		if last == 0 {
			head = p
		} else {
			m.set32(last+4, p)
		}
	}
	for i := range m.free {
		p := m.free[i]
		for m.free[i] = 0; p != 0 && m.step(1); p = m.u32(p + 4) {
			n := m.u32(p + 8)
			if n == 0 {
				continue
			}
			link(p)
			last = p
			for next := p + n*unit; m.within(next) && m.u32(next) == stamp && m.u32(next+8) != 0 && m.step(1); next = p + n*unit {
				n += m.u32(next + 8)
				m.set32(next+8, 0)
			}
			m.set32(p+8, n)
		}
	}
	link(0)
	for p := head; p != 0 && m.err == nil; {
		at, n := p, int(m.u32(p+8))
		p = m.u32(p + 4)
		if n == 0 {
			continue
		}
		for ; n > 128; n -= 128 {
			m.insert(at, indexes-1)
			at += 128 * unit
		}
		m.giveUnits(at, n)
	}
}

// within tells whether a unit at p lies in memory.
func (m *ModelI) within(p uint32) bool { return p <= m.base+m.size }

func (m *ModelI) allocRare(i int) uint32 {
	if m.glue == 0 {
		m.glueBlocks()
		if m.free[i] != 0 {
			return m.remove(i)
		}
	}
	for k := i + 1; k < indexes; k++ {
		if m.free[k] != 0 {
			p := m.remove(k)
			m.split(p, k, i)
			return p
		}
	}
	n := uint32(m.toUnits[i]) * unit
	m.glue--
	if m.unitsStart-m.text > n {
		m.unitsStart -= n
		return m.unitsStart
	}
	return 0
}

func (m *ModelI) alloc(i int) uint32 {
	if m.free[i] != 0 {
		return m.remove(i)
	}
	if n := uint32(m.toUnits[i]) * unit; n <= m.hiUnit-m.loUnit {
		p := m.loUnit
		m.loUnit += n
		return p
	}
	return m.allocRare(i)
}

func (m *ModelI) shrink(p uint32, from, to int) uint32 {
	i0, i1 := int(m.toIndex[from-1]), int(m.toIndex[to-1])
	if i0 == i1 {
		return p
	}
	if m.free[i1] != 0 {
		q := m.remove(i1)
		copy(m.mem[q:q+uint32(to)*unit], m.mem[p:])
		m.insert(p, i0)
		return q
	}
	m.split(p, i0, i1)
	return p
}

// freeUnit gives back a unit, to the text if it is the lowest.
func (m *ModelI) freeUnit(p uint32) {
	if p != m.unitsStart {
		m.insert(p, 0)
		return
	}
	m.unitsStart += unit
}

// moveUp moves n units that lie low to a free block that lies higher.
func (m *ModelI) moveUp(p uint32, n int) uint32 {
	i := int(m.toIndex[n-1])
	if p > m.unitsStart+16<<10 || p > m.free[i] {
		return p
	}
	q := m.remove(i)
	copy(m.mem[q:q+uint32(n)*unit], m.mem[p:])
	if p != m.unitsStart {
		m.insert(p, i)
	} else {
		m.unitsStart += uint32(m.toUnits[i]) * unit
	}
	return q
}

// expandText gives the free blocks that lie lowest to the text.
func (m *ModelI) expandText() {
	var count [indexes]int
	m.guard()
	p := m.unitsStart
	for m.within(p) && m.u32(p) == stamp && m.step(1) {
		n := m.u32(p + 8)
		if n == 0 || n > 128 {
			m.fail()
			return
		}
		m.set32(p, 0)
		count[m.toIndex[n-1]]++
		p += n * unit
	}
	m.unitsStart = p
	for i := range m.free {
		prev := uint32(0) // whose link leads to p
		for p := m.free[i]; count[i] > 0; {
			if p == 0 || !m.step(1) {
				m.fail()
				return
			}
			next := m.u32(p + 4)
			if m.u32(p) != 0 {
				prev, p = p, next
				continue
			}
			if prev == 0 {
				m.free[i] = next
			} else {
				m.set32(prev+4, next)
			}
			m.blocks[i]--
			count[i]--
			p = next
		}
	}
}

// used is how many bytes are in use.
func (m *ModelI) used() uint32 {
	v := uint32(0)
	for i, n := range m.blocks {
		v += n * uint32(m.toUnits[i])
	}
	return m.size - (m.hiUnit - m.loUnit) - (m.unitsStart - m.text) - v*unit
}

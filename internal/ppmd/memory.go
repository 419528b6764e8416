package ppmd

import "encoding/binary"

// memory is what all that is linked lies in, at offsets: contexts and free blocks
// of 12 bytes, states of 6, and the text at its start.
//
//	state    symbol (1), frequency (1), successor (4): a context, or a place in the text
type memory struct {
	mem  []byte
	size uint32
	base uint32

	text, unitsStart uint32
	loUnit, hiUnit   uint32
	glue             int
	free             [indexes]uint32
	toUnits          [indexes]uint8
	toIndex          [128]uint8
}

// make makes n bytes, unless they are there.
func (m *memory) make(n uint32) {
	if m.size != n {
		m.base = 4 - n&3
		m.mem = make([]byte, m.base+n+unit)
		m.size = n
	}
	k := 0
	for i := range indexes {
		step := 4
		if i < 12 {
			step = i>>2 + 1
		}
		for ; step > 0; step-- {
			m.toIndex[k] = uint8(i)
			k++
		}
		m.toUnits[i] = uint8(k)
	}
}

// reset gives all memory back.
func (m *memory) reset() {
	clear(m.free[:])
	m.text = m.base
	m.hiUnit = m.text + m.size
	m.unitsStart = m.hiUnit - m.size/8/unit*7*unit
	m.loUnit = m.unitsStart
	m.glue = 0
}

func (m *memory) u16(p uint32) int       { return int(binary.LittleEndian.Uint16(m.mem[p:])) }
func (m *memory) u32(p uint32) uint32    { return binary.LittleEndian.Uint32(m.mem[p:]) }
func (m *memory) set16(p uint32, v int)  { binary.LittleEndian.PutUint16(m.mem[p:], uint16(v)) }
func (m *memory) set32(p, v uint32)      { binary.LittleEndian.PutUint32(m.mem[p:], v) }
func (m *memory) summ(c uint32) int      { return m.u16(c + 2) }
func (m *memory) stats(c uint32) uint32  { return m.u32(c + 4) }
func (m *memory) suffix(c uint32) uint32 { return m.u32(c + 8) }
func (m *memory) sym(s uint32) byte      { return m.mem[s] }
func (m *memory) freq(s uint32) int      { return int(m.mem[s+1]) }
func (m *memory) next(s uint32) uint32   { return m.u32(s + 2) }

func (m *memory) copyState(to, from uint32) {
	copy(m.mem[to:to+stateSize], m.mem[from:from+stateSize])
}

func (m *memory) swap(a, b uint32) {
	t := [stateSize]byte(m.mem[a : a+stateSize])
	m.copyState(a, b)
	copy(m.mem[b:], t[:])
}

// The allocator of variant H. Blocks of 1 to 128 units are kept in lists by their size; a
// free block has 0 in its first two bytes while lists are joined, where a
// context has its number of states and a state its frequency.

func (m *Model) insert(p uint32, i int) {
	m.set32(p, m.free[i])
	m.free[i] = p
}

func (m *Model) remove(i int) uint32 {
	p := m.free[i]
	m.free[i] = m.u32(p)
	return p
}

// split gives back what of a block of index from is behind one of index to.
func (m *Model) split(p uint32, from, to int) {
	n := int(m.toUnits[from]) - int(m.toUnits[to])
	m.giveUnits(p+uint32(m.toUnits[to])*unit, n)
}

// giveUnits gives back n units, 128 at most, as one block or two.
func (m *Model) giveUnits(p uint32, n int) {
	i := int(m.toIndex[n-1])
	if int(m.toUnits[i]) != n {
		i--
		k := int(m.toUnits[i])
		m.insert(p+uint32(k)*unit, n-k-1)
	}
	m.insert(p, i)
}

// glueBlocks joins free blocks that stand side by side.
func (m *Model) glueBlocks() {
	head := m.base + m.size
	n := head
	m.glue = 255
	for i := range m.free {
		next := m.free[i]
		m.free[i] = 0
		for next != 0 {
			p := next
			m.set32(p+4, n)
			m.set32(n+8, p)
			n = p
			next = m.u32(p)
			m.set16(p, 0)
			m.set16(p+2, int(m.toUnits[i]))
		}
	}
	m.set16(head, 1)
	m.set32(head+4, n)
	m.set32(n+8, head)
	if m.loUnit != m.hiUnit {
		m.set16(m.loUnit, 1)
	}
	for n != head {
		nu := m.u16(n + 2)
		for {
			p := n + uint32(nu)*unit
			nu += m.u16(p + 2)
			if m.u16(p) != 0 || nu >= 0x10000 {
				break
			}
			before, behind := m.u32(p+8), m.u32(p+4)
			m.set32(before+4, behind)
			m.set32(behind+8, before)
			m.set16(n+2, nu)
		}
		n = m.u32(n + 4)
	}
	for n = m.u32(head + 4); n != head; {
		p := n
		n = m.u32(p + 4)
		nu := m.u16(p + 2)
		for ; nu > 128; nu -= 128 {
			m.insert(p, indexes-1)
			p += 128 * unit
		}
		m.giveUnits(p, nu)
	}
}

// allocRare takes a block where the list is empty and the space between is used up.
func (m *Model) allocRare(i int) uint32 {
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

func (m *Model) alloc(i int) uint32 {
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

func (m *Model) shrink(p uint32, from, to int) uint32 {
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

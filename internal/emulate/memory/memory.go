// Package memory is the memory of an emulated program: pages that exist when
// they are written to, with their protection, and notes of what was written.
//
//	stretches  what is mapped, with how it may be used: sorted, no two overlap
//	pages      4,096 bytes each, made on the first touch; all read the one page
//	           of zeros until they are written
//	lines      64 bytes: the measure in which a page notes what was written
//	           since Settle, and what was taken for instructions
//
// Addresses are 64 bits wide; a program of 32 bits uses the lower half.
package memory

import (
	"encoding/binary"
	"slices"
)

// PageSize is the size of a page in bytes.
const PageSize = 4096

// Use is what memory may be used for. Instructions may be fetched from all
// that can be read: the programs that are emulated come from systems that
// asked no more.
type Use uint8

// The uses.
const (
	Read Use = 1 << iota
	Write
	Exec
)

// page is one page. data is shared (the page of zeros) until own.
type page struct {
	data  *[PageSize]byte
	use   Use
	own   bool
	code  uint64 // lines that instructions were decoded from
	fresh uint64 // lines that were written since Settle
}

// Stretch is memory that was mapped at once.
type Stretch struct {
	Start, Size uint64 // multiples of PageSize
	Use         Use
}

// End is the first address behind it.
func (s Stretch) End() uint64 { return s.Start + s.Size }

type entry struct {
	number uint64 // of the page, plus one
	page   *page
}

const cacheSize = 1024

// pageCost is what a page takes that was never written, in bytes.
const pageCost = 128

// Memory is the memory of one program. It is not safe for concurrent use.
type Memory struct {
	// Stale is called with the number of a page (address / PageSize) before lines of
	// it are written that instructions were decoded from. May be nil.
	Stale func(number uint64)

	stretches []Stretch
	pages     map[uint64]*page
	zero      *[PageSize]byte
	room      int64 // bytes that pages may still take
	mapped    uint64
	full      bool
	cache     [cacheSize]entry
}

// maxMapped is how much may be mapped, in bytes: what is mapped and not touched
// costs nothing.
const maxMapped = 6 << 30

// maxStretches is how many stretches there may be.
const maxStretches = 4096

// New returns empty memory that holds limit bytes at most in pages.
func New(limit int64) *Memory {
	return &Memory{pages: map[uint64]*page{}, zero: new([PageSize]byte), room: limit}
}

// Full tells whether a write failed because the limit was reached.
func (m *Memory) Full() bool { return m.full }

// Pages rounds a length up to whole pages.
func Pages(n uint64) uint64 { return (n + PageSize - 1) &^ (PageSize - 1) }

// Map maps [start, start+size), rounded out to pages. It is false where
// something is there already, or the bounds are reached.
func (m *Memory) Map(start, size uint64, use Use) bool {
	end := Pages(start + size)
	start &^= PageSize - 1
	if end <= start || end-start > maxMapped-m.mapped || len(m.stretches) >= maxStretches {
		return false
	}
	i := m.after(start)
	if i > 0 && m.stretches[i-1].End() > start || i < len(m.stretches) && m.stretches[i].Start < end {
		return false
	}
	m.stretches = slices.Insert(m.stretches, i, Stretch{start, end - start, use})
	m.mapped += end - start
	return true
}

// after is the index of the first stretch that starts behind addr.
func (m *Memory) after(addr uint64) int {
	i, _ := slices.BinarySearchFunc(m.stretches, addr, func(s Stretch, a uint64) int {
		if s.Start <= a {
			return -1
		}
		return 1
	})
	return i
}

// Find returns the stretch that an address is in.
func (m *Memory) Find(addr uint64) (Stretch, bool) {
	if i := m.after(addr); i > 0 && m.stretches[i-1].End() > addr {
		return m.stretches[i-1], true
	}
	return Stretch{}, false
}

// Free finds size bytes that nothing is mapped at, from low on, at a multiple of
// 64 KiB and below high. It is 0 where there are none.
func (m *Memory) Free(low, high, size uint64) uint64 {
	const grain = 64 << 10
	size = Pages(size)
	at := (low + grain - 1) &^ (grain - 1)
	for i := max(m.after(at)-1, 0); i < len(m.stretches); i++ {
		s := m.stretches[i]
		if s.End() <= at {
			continue
		}
		if s.Start >= at && s.Start-at >= size {
			break
		}
		at = (s.End() + grain - 1) &^ (grain - 1)
	}
	if size == 0 || at+size > high || at+size < at {
		return 0
	}
	return at
}

// Unmap drops the stretch that starts at an address.
func (m *Memory) Unmap(start uint64) bool {
	s, ok := m.Find(start)
	if !ok || s.Start != start {
		return false
	}
	for n, p := range m.touched(s.Start, s.Size) {
		m.stale(n, p, ^uint64(0))
		m.room += pageCost
		if p.own {
			m.room += PageSize
		}
		delete(m.pages, n)
	}
	clear(m.cache[:])
	m.stretches = slices.Delete(m.stretches, m.after(start)-1, m.after(start))
	m.mapped -= s.Size
	return true
}

// touched are the pages of a stretch that exist.
func (m *Memory) touched(start, size uint64) map[uint64]*page {
	first, count := start/PageSize, Pages(start%PageSize+size)/PageSize
	out := map[uint64]*page{}
	if count < uint64(len(m.pages)) {
		for n := first; n < first+count; n++ {
			if p := m.pages[n]; p != nil {
				out[n] = p
			}
		}
		return out
	}
	for n, p := range m.pages {
		if n-first < count {
			out[n] = p
		}
	}
	return out
}

// Protect changes the use of [start, start+size), rounded out to pages, and returns
// what the first page's was. It is false, and changes nothing, where not all is mapped.
func (m *Memory) Protect(start, size uint64, use Use) (Use, bool) {
	end := Pages(start + size)
	start &^= PageSize - 1
	s, ok := m.Find(start)
	if !ok || end <= start || end > s.End() {
		return 0, false
	}
	old := s.Use
	if p := m.pages[start/PageSize]; p != nil {
		old = p.use
	}
	if end-start == s.Size {
		m.stretches[m.after(start)-1].Use = use
		for _, p := range m.touched(start, s.Size) {
			p.use = use
		}
		return old, true
	}
	// A part: its pages are made, which say it themselves.
	const most = 1 << 16
	if (end-start)/PageSize > most {
		return 0, false
	}
	for a := start; a < end; a += PageSize {
		if p := m.page(a); p != nil {
			p.use = use
		}
	}
	return old, true
}

// UseOf is the use of the page of an address, 0 where nothing is mapped.
func (m *Memory) UseOf(addr uint64) Use {
	if p := m.pages[addr/PageSize]; p != nil {
		return p.use
	}
	s, _ := m.Find(addr)
	return s.Use
}

// page returns the page of an address, nil if nothing is mapped there.
func (m *Memory) page(addr uint64) *page {
	n := addr / PageSize
	e := &m.cache[n%cacheSize]
	if e.number == n+1 {
		return e.page
	}
	return m.touch(n)
}

func (m *Memory) touch(n uint64) *page {
	p := m.pages[n]
	if p == nil {
		s, ok := m.Find(n * PageSize)
		if !ok {
			return nil
		}
		if m.room < pageCost {
			m.full = true
			return nil
		}
		m.room -= pageCost
		p = &page{data: m.zero, use: s.Use}
		m.pages[n] = p
	}
	m.cache[n%cacheSize] = entry{n + 1, p}
	return p
}

// lines are the lines of [off, off+size) of a page; size is 1 to PageSize-off.
func lines(off, size uint64) uint64 {
	first, last := off>>6, (off+size-1)>>6
	return ^uint64(0) >> (63 - last + first) << first
}

// writable prepares a page for a write of size bytes at addr, all in it.
func (m *Memory) writable(p *page, addr, size uint64) bool {
	if !p.own {
		if m.room < PageSize {
			m.full = true
			return false
		}
		m.room -= PageSize
		d := *p.data
		p.data, p.own = &d, true
	}
	l := lines(addr%PageSize, size)
	if p.code&l != 0 {
		m.stale(addr/PageSize, p, l)
	}
	p.fresh |= l
	return true
}

func (m *Memory) stale(n uint64, p *page, l uint64) {
	if p.code&l != 0 {
		p.code = 0
		if m.Stale != nil {
			m.Stale(n)
		}
	}
}

// Load reads size bytes (1, 2, 4 or 8), little endian, if they may be read.
func (m *Memory) Load(addr uint64, size uint8) (uint64, bool) {
	off := addr % PageSize
	if off+uint64(size) > PageSize {
		return m.loadSplit(addr, size)
	}
	p := m.page(addr)
	if p == nil || p.use&Read == 0 {
		return 0, false
	}
	switch size {
	case 1:
		return uint64(p.data[off]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(p.data[off:])), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(p.data[off:])), true
	}
	return binary.LittleEndian.Uint64(p.data[off:]), true
}

func (m *Memory) loadSplit(addr uint64, size uint8) (v uint64, ok bool) {
	for i := range uint64(size) {
		b, ok := m.Load(addr+i, 1)
		if !ok {
			return 0, false
		}
		v |= b << (8 * i)
	}
	return v, true
}

// Store writes size bytes (1, 2, 4 or 8), little endian, all or none.
func (m *Memory) Store(addr uint64, size uint8, v uint64) bool {
	off := addr % PageSize
	if off+uint64(size) > PageSize {
		return m.storeSplit(addr, size, v)
	}
	p := m.page(addr)
	if p == nil || p.use&Write == 0 || !m.writable(p, addr, uint64(size)) {
		return false
	}
	switch size {
	case 1:
		p.data[off] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(p.data[off:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(p.data[off:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(p.data[off:], v)
	}
	return true
}

func (m *Memory) storeSplit(addr uint64, size uint8, v uint64) bool {
	if !m.Writable(addr, size) {
		return false
	}
	for i := range uint64(size) {
		if !m.Store(addr+i, 1, v>>(8*i)) {
			return false
		}
	}
	return true
}

// Writable tells whether size bytes, 64 at most, may be written.
func (m *Memory) Writable(addr uint64, size uint8) bool {
	a, b := m.page(addr), m.page(addr+uint64(size)-1)
	return a != nil && b != nil && a.use&b.use&Write != 0
}

// Read copies what is at addr, whatever its use, and returns how many bytes
// there are until what is not mapped.
func (m *Memory) Read(addr uint64, b []byte) int {
	n := 0
	for n < len(b) {
		p := m.page(addr + uint64(n))
		if p == nil {
			break
		}
		n += copy(b[n:], p.data[(addr+uint64(n))%PageSize:])
	}
	return n
}

// Write copies b to addr, whatever its use, and returns how many bytes could be
// written.
func (m *Memory) Write(addr uint64, b []byte) int {
	n := 0
	for n < len(b) {
		at := addr + uint64(n)
		k := min(PageSize-int(at%PageSize), len(b)-n)
		p := m.page(at)
		if p == nil || !m.writable(p, at, uint64(k)) {
			break
		}
		copy(p.data[at%PageSize:], b[n:n+k])
		n += k
	}
	return n
}

// Code returns up to len(b) bytes at addr that may be read, copied to b, and notes
// that they are taken for instructions.
func (m *Memory) Code(addr uint64, b []byte) []byte {
	n := 0
	for n < len(b) {
		at := addr + uint64(n)
		p := m.page(at)
		if p == nil || p.use == 0 {
			break
		}
		k := copy(b[n:], p.data[at%PageSize:])
		n += k
	}
	return b[:n]
}

// Decoded notes that size bytes at addr were decoded as instructions: see Stale.
func (m *Memory) Decoded(addr, size uint64) {
	for size > 0 {
		k := min(PageSize-addr%PageSize, size)
		if p := m.page(addr); p != nil {
			p.code |= lines(addr%PageSize, k)
		}
		addr, size = addr+k, size-k
	}
}

// Fresh tells whether the line of an address was written since Settle.
func (m *Memory) Fresh(addr uint64) bool {
	p := m.page(addr)
	return p != nil && p.fresh>>(addr%PageSize>>6)&1 != 0
}

// Settle makes all that is there what it was from the beginning.
func (m *Memory) Settle() {
	for _, p := range m.pages {
		p.fresh = 0
	}
}

// Written returns the stretches, in whole pages, that were written since
// Settle, within [start, start+size).
func (m *Memory) Written(start, size uint64) (out []Stretch) {
	var numbers []uint64
	for n, p := range m.touched(start, size) {
		if p.fresh != 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		at := n * PageSize
		if k := len(out); k > 0 && out[k-1].End() == at {
			out[k-1].Size += PageSize
			continue
		}
		out = append(out, Stretch{at, PageSize, m.pages[n].use})
	}
	return out
}

// Stretches are what is mapped, in order.
func (m *Memory) Stretches() []Stretch { return slices.Clone(m.stretches) }

package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const sector = 512

// MBR reads tables of partitions as PCs have them (IBM PC DOS; "Master boot
// record").
//
//	446  four entries of 16 bytes: state, first sector (CHS), type, last (CHS),
//	     first sector u32, sectors u32
//	510  55 AA
//
// An entry of type 5, 0xf or 0x85 leads to a chain of such tables, for one
// partition each. Sectors are of 512 bytes. What stands in no partition is a child,
// "mbr.rest". Entries that lie over each other, or outside of the layer, are damage, and so
// is one of type 0xee where there is no GPT.
//
// A boot sector has the same mark. It is read as a table if the type of the layer is not
// known otherwise, and an entry is sound, or all are empty.
func MBR() unpack.Format {
	return unpack.Format{
		Name:  "mbr",
		Match: func(p *unpack.Probe) bool { return p.Is("mbr") || mbrLike(p) },
		Walk:  func(src showcause.Source, out *unpack.Out) { (&mbr{src: src, out: out}).walk() },
	}
}

const mbrLeast = 16 << 10 // bytes of a disk, where its first sector does not tell

// mbrLike tells whether data of no known type may be a disk whose table is not sound.
func mbrLike(p *unpack.Probe) bool {
	if p.Source == nil || len(p.Head) < sector || p.Source.Size() < mbrLeast || p.Type != filetype.Unknown || len(p.Also()) > 0 {
		return false
	}
	table := p.Head[446:510]
	if p.Head[510] != 0x55 || p.Head[511] != 0xaa {
		return false
	}
	states, some := true, false
	for b := table; len(b) > 0; b = b[16:] {
		first, n := int64(binary.LittleEndian.Uint32(b[8:])), int64(binary.LittleEndian.Uint32(b[12:]))
		state := b[0]&0x7f == 0
		inside := first > 0 && (first+n)*sector <= p.Source.Size()
		if state && b[4] != 0 && n > 0 && inside {
			return true
		}
		states, some = states && state, some || inside
	}
	return states && some || len(bytes.Trim(table, "\x00")) == 0
}

type mbr struct {
	src  showcause.Source
	out  *unpack.Out
	list []extent
	disc bool // ISO 9660 as well
	bad  bool // was said
}

// entry is one line of a table, in sectors.
type entry struct {
	kind         byte
	first, count int64
}

func (e entry) extended() bool { return e.kind == 5 || e.kind == 0xf || e.kind == 0x85 }

// table reads the four entries of the sector at off.
func (m *mbr) table(off int64) (out []entry, ok bool) {
	b, err := bound.ReadAt(m.src, off, sector, sector)
	if err != nil || b[510] != 0x55 || b[511] != 0xaa {
		return nil, false
	}
	for b = b[446:510]; len(b) > 0; b = b[16:] {
		e := entry{b[4], int64(binary.LittleEndian.Uint32(b[8:])), int64(binary.LittleEndian.Uint32(b[12:]))}
		switch {
		case b[0]&0x7f != 0:
			m.corrupt(off) // no state is that
		case e.kind != 0 && e.count == 0 && e.first != 0:
			m.corrupt(off)
		}
		if e.count != 0 && (e.kind != 0 || e.first != 0) {
			out = append(out, e)
		}
	}
	return out, true
}

// corrupt says, once, that the table cannot be right.
func (m *mbr) corrupt(off int64) {
	if !m.bad && !m.disc {
		m.bad = true
		m.out.Gap(showcause.Corrupt, max(min(off, m.src.Size()), 0), -1)
	}
}

func (m *mbr) walk() {
	m.disc = isDisc(m.src) // whose tables lie over it, so that it starts from a stick as well
	table, ok := m.table(0)
	if !ok {
		m.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	gpt := false
	for _, e := range table {
		switch {
		case e.kind == 0xee:
			gpt = true
			if _, n := gptPlaces(m.src); n == 0 {
				m.corrupt(sector)
			}
		case e.extended():
			m.chain(e.first)
		default:
			m.add(e.first, e.count)
		}
	}
	if !gpt {
		m.overlaps()
	}
	partitions(m.src, m.out, "mbr.partition", m.list)
	if _, n := gptPlaces(m.src); n != 0 {
		return // GPT gives what is in no partition
	}
	rest(m.src, m.out, "mbr.rest", sector)
}

func (m *mbr) add(first, count int64) {
	if first == 0 {
		m.corrupt(0) // it has the table in it
	}
	m.list = append(m.list, extent{off: first * sector, size: count * sector})
}

// overlaps says whether partitions lie over each other.
func (m *mbr) overlaps() {
	list := slices.SortedFunc(slices.Values(m.list), func(a, b extent) int { return cmp.Compare(a.off, b.off) })
	for i := range len(list) - 1 {
		if list[i].off+list[i].size > list[i+1].off {
			m.corrupt(list[i+1].off)
		}
	}
}

// chain follows the tables of an extended partition. Each has a partition,
// counted from where the table stands, and the next table, counted from start.
func (m *mbr) chain(start int64) {
	seen := map[int64]bool{0: true}
	for at := start; m.out.Work(64); {
		if seen[at] {
			m.corrupt(at * sector) // a ring
			return
		}
		seen[at] = true
		table, ok := m.table(at * sector)
		if !ok {
			m.out.Gap(showcause.Corrupt, min(at*sector, m.src.Size()), -1)
			return
		}
		m.out.Cover(at*sector, sector)
		next := int64(-1)
		for _, e := range table {
			if e.extended() {
				next = start + e.first
			} else {
				m.add(at+e.first, e.count)
			}
		}
		if next < 0 {
			return
		}
		at = next
	}
}

package image

import (
	"encoding/binary"

	"github.com/showcause/showcause"
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
// partition each. Sectors are of 512 bytes; where the first partition has its
// mark at 4,096 only, of 4,096. What stands behind the last is a child, "mbr.rest".
func MBR() unpack.Format {
	return unpack.Format{
		Name:  "mbr",
		Match: func(p *unpack.Probe) bool { return p.Is("mbr") },
		Walk:  func(src showcause.Source, out *unpack.Out) { (&mbr{src: src, out: out}).walk() },
	}
}

type mbr struct {
	src  showcause.Source
	out  *unpack.Out
	list []extent
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
		if e.kind != 0 && e.count != 0 {
			out = append(out, e)
		}
	}
	return out, true
}

func (m *mbr) walk() {
	table, ok := m.table(0)
	if !ok {
		m.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	for _, e := range table {
		switch {
		case e.kind == 0xee: // of GPT
		case e.extended():
			m.chain(e.first)
		default:
			m.list = append(m.list, extent{off: e.first * sector, size: e.count * sector})
		}
	}
	partitions(m.src, m.out, "mbr.partition", m.list)
	for _, e := range table {
		if e.kind == 0xee {
			return // GPT knows where it ends
		}
		m.list = append(m.list, extent{off: e.first * sector, size: e.count * sector})
	}
	rest(m.src, m.out, "mbr.rest", m.list)
}

// chain follows the tables of an extended partition. Each has a partition,
// counted from where the table stands, and the next table, counted from start.
func (m *mbr) chain(start int64) {
	seen := map[int64]bool{}
	for at := start; ; {
		if seen[at] || !m.out.Work(64) {
			return
		}
		seen[at] = true
		table, ok := m.table(at * sector)
		if !ok {
			m.out.Gap(showcause.Corrupt, min(at*sector, m.src.Size()), -1)
			return
		}
		next := int64(-1)
		for _, e := range table {
			if e.extended() {
				next = start + e.first
			} else {
				m.list = append(m.list, extent{off: (at + e.first) * sector, size: e.count * sector})
			}
		}
		if next < 0 {
			return
		}
		at = next
	}
}

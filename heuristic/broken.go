package heuristic

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Broken is a program that its system would not start: what clamscan 1.4.6 takes for one, as
// experiments with it show.
const Broken = "Heuristics.Broken.Executable"

// brokenCheck reads the rule about programs. Its match is the structure that does not hold.
func brokenCheck(options) (runner, error) {
	return func(l *Layer) ([]showcause.Match, map[int]int, bool) {
		p := program{src: l.Source, size: l.Source.Size(), order: binary.LittleEndian}
		head := p.at(0, 4)
		if !l.Work(64) || len(head) < 4 {
			return nil, nil, true
		}
		var broken [2]int64
		switch {
		case string(head[:2]) == "MZ":
			broken = p.pe()
		case string(head) == "\x7fELF":
			broken = p.elf()
		}
		var f found
		if broken[1] > 0 {
			f.add(0, [2]int64{broken[0], min(broken[1], p.size-broken[0])})
		}
		return f.matches, f.counts, true
	}, nil
}

// program is a file whose headers are judged.
type program struct {
	src   showcause.Source
	size  int64
	order binary.ByteOrder
}

// at returns n bytes at off, or nil if not all are there.
func (p *program) at(off, n int64) []byte {
	b, err := bound.ReadAt(p.src, off, n, 1<<17)
	if err != nil || int64(len(b)) < n {
		return nil
	}
	return b
}

const (
	leastSize     = 6  // bytes of a file that clamscan looks at
	peFileHeader  = 24 // with the signature
	peLeast       = 96 // bytes of an optional header, without directories
	pePlusLeast   = 112
	peDirectories = 128
	peSection     = 40
	peSections    = 96 // at most
	peNative      = 1  // subsystem
)

// aligned rounds up, as 32 bits hold it.
func aligned(n, to uint32) uint32 {
	if to == 0 {
		return n
	}
	return (n/to + min(n%to, 1)) * to
}

// pe returns where a PE file is broken, nothing if it is not, or is no PE file (Microsoft, PE
// Format).
func (p *program) pe() [2]int64 {
	none, u16, u32 := [2]int64{}, binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	stub := p.at(60, 4)
	if stub == nil {
		if p.size < leastSize {
			return none
		}
		return [2]int64{0, p.size}
	}
	at := int64(u32(stub))
	head := p.at(at, peFileHeader)
	if at == 0 || head == nil || string(head[:4]) != "PE\x00\x00" {
		return none
	}
	sections, size := int(u16(head[6:])), int64(u16(head[20:]))
	header := [2]int64{at, peFileHeader}
	if sections == 0 || sections > peSections || size < peLeast {
		return header
	}
	opt := p.at(at+peFileHeader, peLeast)
	if opt == nil {
		return header
	}
	least := int64(peLeast)
	if u16(opt) == 0x20b {
		if least = pePlusLeast; size < least {
			return header
		}
	}
	if p.at(at+peFileHeader, min(size, least+peDirectories)) == nil { // clamscan says nothing of directories that are cut
		return none
	}
	optional := [2]int64{at + peFileHeader, peLeast}
	salign, falign, native := u32(opt[32:]), u32(opt[36:]), u16(opt[68:]) == peNative
	if !native && (salign == 0 || salign%0x1000 != 0 || falign == 0 || falign%0x200 != 0) {
		return optional
	}
	table := at + peFileHeader + size
	rows := p.at(table, int64(sections)*peSection)
	if rows == nil {
		return optional
	}
	return p.sections(rows, table, optional, salign, falign, aligned(u32(opt[60:]), salign), u32(opt[16:]))
}

// peSectionRow is a section, its numbers rounded.
type peSectionRow struct{ rva, size, raw, rawSize uint32 }

// sections judges the sections of a PE file, and whether it begins in one of them.
func (p *program) sections(rows []byte, table int64, optional [2]int64, salign, falign, headers, entry uint32) [2]int64 {
	u32 := binary.LittleEndian.Uint32
	var kept []peSectionRow
	left := len(rows) / peSection
	for i := 0; len(rows) >= peSection; i, rows = i+1, rows[peSection:] {
		here := [2]int64{table + int64(i)*peSection, peSection}
		size, rva, rawSize, raw := u32(rows[8:]), u32(rows[12:]), u32(rows[16:]), u32(rows[20:])
		s := peSectionRow{rva, aligned(size, salign), raw, aligned(rawSize, falign)}
		if falign > 0 {
			s.raw = raw / falign * falign
		}
		if s.size == 0 {
			s.size = aligned(rawSize, salign)
		}
		if rawSize > 0 && (int64(s.raw) >= p.size || int64(raw) >= p.size) {
			if left--; left == 0 {
				return here
			}
			continue // one that the file has nothing of is passed over
		}
		if rawSize > 0 && s.rawSize == 0 || size>>31 != 0 || rva>>31 != 0 {
			return here
		}
		s.rawSize = uint32(min(int64(s.rawSize), p.size-int64(s.raw)))
		want := headers
		if n := len(kept); n > 0 {
			want = kept[n-1].rva + kept[n-1].size
		}
		if s.rva != want {
			return here
		}
		kept = append(kept, s)
	}
	if entry < headers {
		if int64(entry) >= p.size {
			return optional
		}
		return [2]int64{}
	}
	for _, s := range kept {
		if s.rawSize > 0 && entry >= s.rva && entry-s.rva < s.rawSize {
			return [2]int64{}
		}
	}
	return optional
}

const (
	elfPrograms = 128
	elfSections = 2048
)

// elf returns where an ELF file is broken, nothing if it is not (System V ABI, chapters 4 and 5).
func (p *program) elf() [2]int64 {
	ident := p.at(0, 16)
	wide := ident != nil && ident[4] == 2
	size, programSize, sectionSize := int64(52), int64(32), int64(40)
	if wide {
		size, programSize, sectionSize = 64, 56, 64
	}
	if p.size < size {
		return [2]int64{}
	}
	head, all := p.at(0, size), [2]int64{0, size}
	if head == nil {
		return [2]int64{}
	}
	if ident[4] != 1 && !wide {
		return [2]int64{4, 1}
	}
	if ident[5] != 1 {
		p.order = binary.BigEndian
	}
	word := func(b []byte, narrow, at int) uint64 {
		if wide {
			return p.order.Uint64(b[at:])
		}
		return uint64(p.order.Uint32(b[narrow:]))
	}
	half := func(fromEnd int) int64 { return int64(p.order.Uint16(head[size-int64(fromEnd):])) }
	entry, programs, sections := word(head, 24, 24), half(8), half(4)
	if programs > elfPrograms {
		return all
	}
	if programs > 0 && entry != 0 {
		at := word(head, 28, 32)
		if half(10) != programSize || at > 1<<62 {
			return all
		}
		rows := p.at(int64(at), programs*programSize)
		if rows == nil {
			return all
		}
		mapped := false
		for ; len(rows) > 0; rows = rows[programSize:] {
			base, n := word(rows, 8, 16), word(rows, 20, 40)
			mapped = mapped || entry >= base && entry-base < n
		}
		if !mapped {
			return [2]int64{24, 8}
		}
	}
	if sections == 0 || sections > elfSections {
		return [2]int64{}
	}
	if at := word(head, 32, 40); half(6) != sectionSize || at > 1<<62 || p.at(int64(at), sections*sectionSize) == nil {
		return all
	}
	return [2]int64{}
}

// Package elf reads ELF files: header, sections, segments, symbols, the dynamic
// table. Tables are read entry by entry when asked for, so that a table costs
// nothing for being declared long.
//
// A damaged file has more than one reading. YARA 4 and YARA-X differ in which
// tables they still take; Options says whose reading is wanted.
//
// Sources: System V Application Binary Interface, "Object Files" (4.1 and gABI
// drafts for 64 bits); libyara/modules/elf of YARA 4.5; lib/src/modules/elf of
// YARA-X 1.19.
package elf

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/tlsh"
)

// Bounds that no file that a loader takes comes near to.
const (
	maxName    = 64 << 10 // bytes of a name
	maxSymbols = 1 << 20  // symbols that enter a hash
	maxNames   = 16 << 20 // bytes of their names
	maxDynamic = 1 << 16  // entries of all dynamic tables
)

// Numbers of the specification that are needed here.
const (
	typeExec      = 2
	sectionNull   = 0
	sectionSymtab = 2
	sectionStrtab = 3
	sectionNobits = 8
	sectionDynsym = 11
	segmentDyn    = 2
	loReserve     = 0xff00
	manySegments  = 0xffff
)

// Options say how a file is read.
type Options struct {
	X    bool                   // as YARA-X reads it, not YARA 4
	Work func(steps int64) bool // asked for every read; nil: a bound of its own
}

// File is an ELF file.
type File struct {
	Wide       bool // 64 bits
	OSABI      byte
	Type       uint16
	Machine    uint16
	Start      uint64 // address of the entry point, 0 for none
	ProgramOff uint64
	SectionOff uint64
	ProgramEnt uint16 // declared sizes of entries, bytes
	SectionEnt uint16
	Programs   uint16 // declared numbers of entries
	Sections   uint16
	names      uint16 // section with the names of sections

	o       Options
	p       *bound.Probe
	order   binary.ByteOrder
	dynamic []Dynamic
	dynRead bool
}

// Section is an entry of the section table. Name is what stands in the table of
// names; Named says that it is there.
type Section struct {
	Name                 string
	Named                bool
	Type                 uint32
	Flags, Address, Size uint64
	Offset               uint64
	link                 uint32
	nameOff              uint32
}

// Segment is an entry of the program header table.
type Segment struct {
	Type, Flags                                         uint32
	Offset, Virtual, Physical, FileSize, MemSize, Align uint64
}

// Dynamic is an entry of the dynamic table.
type Dynamic struct{ Tag, Value uint64 }

// Symbol is an entry of a symbol table.
type Symbol struct {
	Name                string
	Named               bool
	Value, Size         uint64
	Section             uint16
	Type, Bind, Visible byte
}

// Parse reads the header, nil if src is not an ELF file.
func Parse(src showcause.Source, o Options) *File {
	f := &File{o: o, p: bound.NewProbe(src, o.Work), order: binary.LittleEndian}
	h := f.p.Bytes(0, 16)
	if h == nil || string(h[:4]) != "\x7fELF" || h[4] != 1 && h[4] != 2 || h[5] != 1 && h[5] != 2 {
		return nil
	}
	f.Wide, f.OSABI = h[4] == 2, h[7]
	if h[5] == 2 {
		f.order = binary.BigEndian
	}
	size := f.pick(52, 64)
	if !o.X && src.Size() <= size { // YARA wants something after it
		return nil
	}
	if h = f.p.Bytes(0, size); h == nil {
		return nil
	}
	f.Type, f.Machine = f.order.Uint16(h[16:]), f.order.Uint16(h[18:])
	f.Start, f.ProgramOff, f.SectionOff = f.word(h, 24, 24), f.word(h, 28, 32), f.word(h, 32, 40)
	tail := h[f.pick(42, 54):]
	f.ProgramEnt, f.Programs = f.order.Uint16(tail), f.order.Uint16(tail[2:])
	f.SectionEnt, f.Sections, f.names = f.order.Uint16(tail[4:]), f.order.Uint16(tail[6:]), f.order.Uint16(tail[8:])
	return f
}

// Short says that something was left out, because the work was stopped, a bound
// of this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.p.Short() || f.p.Err() != nil }

// pick is what holds for the class of the file.
func (f *File) pick(narrow, wide int64) int64 {
	if f.Wide {
		return wide
	}
	return narrow
}

// word is a number as wide as the class, at the place that it has in each.
func (f *File) word(b []byte, at32, at64 int) uint64 {
	if f.Wide {
		return f.order.Uint64(b[at64:])
	}
	return uint64(f.order.Uint32(b[at32:]))
}

// table says whether n entries of size bytes at off lie in the file.
func (f *File) table(off uint64, n, size int64) bool {
	return off < 1<<62 && bound.In(int64(off), n*size, f.p.Size()) && (f.o.X || int64(off) < f.p.Size())
}

// SectionCount is the number of sections that can be read: all that are declared,
// or none.
func (f *File) SectionCount() int {
	if f.Sections >= loReserve || !f.o.X && f.names >= f.Sections ||
		!f.table(f.SectionOff, int64(f.Sections), f.pick(40, 64)) {
		return 0
	}
	return int(f.Sections)
}

// SegmentCount is the number of segments that can be read: all, or none.
func (f *File) SegmentCount() int {
	if !f.o.X && f.Programs == manySegments || !f.table(f.ProgramOff, int64(f.Programs), f.pick(32, 56)) {
		return 0
	}
	return int(f.Programs)
}

// raw reads section i without its name.
func (f *File) raw(i int) (s Section, ok bool) {
	size := f.pick(40, 64)
	b := f.p.Bytes(int64(f.SectionOff)+int64(i)*size, size)
	if b == nil {
		return s, false
	}
	return Section{
		nameOff: f.order.Uint32(b), Type: f.order.Uint32(b[4:]), Flags: f.word(b, 8, 8), Address: f.word(b, 12, 16),
		Offset: f.word(b, 16, 24), Size: f.word(b, 20, 32), link: f.order.Uint32(b[f.pick(24, 40):]),
	}, true
}

// Section reads section i, false if there is none.
func (f *File) Section(i int) (Section, bool) {
	if i < 0 || i >= f.SectionCount() {
		return Section{}, false
	}
	s, ok := f.raw(i)
	if !ok || f.names >= f.Sections {
		return s, ok
	}
	table, ok := f.raw(int(f.names))
	if ok {
		// Both let the names run to the end of the file, whatever the size says.
		s.Name, s.Named = f.text(table.Offset, uint64(f.p.Size())-min(table.Offset, uint64(f.p.Size())), s.nameOff)
		if !f.o.X && table.Offset == 0 {
			s.Name, s.Named = "", false
		}
	}
	return s, true
}

// text reads a name in a table of names. YARA takes only tables that begin with a
// zero, and names that end in one within the table.
func (f *File) text(table, size uint64, at uint32) (string, bool) {
	if table >= uint64(f.p.Size()) || uint64(at) >= size || size-uint64(at) > 1<<62 {
		return "", f.o.X && table <= uint64(f.p.Size()) && uint64(at) == size
	}
	if !f.o.X {
		if first := f.p.Bytes(int64(table), 1); at > 1<<31-1 || first == nil || first[0] != 0 {
			return "", false
		}
	}
	off := bound.Add(int64(table), int64(at))
	text, ended := f.p.Text(off, min(int64(size)-int64(at), maxName))
	return text, ended || f.o.X
}

// Segment reads segment i, false if there is none.
func (f *File) Segment(i int) (s Segment, ok bool) {
	if i < 0 || i >= f.SegmentCount() {
		return s, false
	}
	size := f.pick(32, 56)
	b := f.p.Bytes(int64(f.ProgramOff)+int64(i)*size, size)
	if b == nil {
		return s, false
	}
	return Segment{
		Type: f.order.Uint32(b), Flags: f.order.Uint32(b[f.pick(24, 4):]),
		Offset: f.word(b, 4, 8), Virtual: f.word(b, 8, 16), Physical: f.word(b, 12, 24),
		FileSize: f.word(b, 16, 32), MemSize: f.word(b, 20, 40), Align: f.word(b, 28, 48),
	}, true
}

// Entry is the offset of the entry point in the file: by segments in an
// executable, by sections in anything else.
func (f *File) Entry() (uint64, bool) {
	if f.Start == 0 || f.o.X && f.Sections >= loReserve {
		return 0, false
	}
	if f.Type == typeExec {
		for i := range f.SegmentCount() {
			s, ok := f.Segment(i)
			if !ok || f.ProgramOff == 0 && !f.o.X {
				return 0, false
			}
			if off, in, stop := f.within(s.Virtual, s.MemSize, s.Offset); in || stop {
				return off, in
			}
		}
		return 0, false
	}
	// YARA asks here only that the table is in the file.
	if f.SectionOff == 0 && !f.o.X || !f.table(f.SectionOff, int64(f.Sections), f.pick(40, 64)) {
		return 0, false
	}
	for i := range int(f.Sections) {
		s, ok := f.raw(i)
		if !ok {
			return 0, false
		}
		if s.Type == sectionNull || s.Type == sectionNobits {
			continue
		}
		if off, in, stop := f.within(s.Address, s.Size, s.Offset); in || stop {
			return off, in
		}
	}
	return 0, false
}

// within maps the entry address through one stretch. Where its end overflows,
// YARA-X gives up.
func (f *File) within(addr, size, off uint64) (at uint64, in, stop bool) {
	end := addr + size
	if !f.Wide {
		end = uint64(uint32(addr) + uint32(size))
		if f.o.X {
			end = addr + size
		}
	}
	if f.o.X && end < addr {
		return 0, false, true
	}
	if f.Start < addr || f.Start >= end {
		return 0, false, false
	}
	at = off + f.Start - addr
	return at, !f.o.X || at >= off, at < off && f.o.X
}

// HasDynamic says whether there is a segment with a dynamic table.
func (f *File) HasDynamic() bool {
	for i := range f.SegmentCount() {
		if s, _ := f.Segment(i); s.Type == segmentDyn {
			return true
		}
	}
	return false
}

// Dynamic are the entries of the dynamic table. YARA counts the null entry at its
// end, YARA-X does not.
func (f *File) Dynamic() []Dynamic {
	if f.dynRead {
		return f.dynamic
	}
	f.dynRead = true
	size := f.pick(8, 16)
	for i := range f.SegmentCount() {
		s, ok := f.Segment(i)
		if !ok || s.Type != segmentDyn || s.Offset > 1<<62 {
			continue
		}
		end := f.p.Size()
		if f.o.X {
			if s.FileSize > 1<<62 || !f.p.Has(int64(s.Offset), int64(s.FileSize)) {
				continue
			}
			end = int64(s.Offset + s.FileSize)
		} else {
			f.dynamic = f.dynamic[:0] // the last table counts
		}
		for off := int64(s.Offset); off <= end-size; off += size {
			b := f.p.Bytes(off, size)
			if b == nil {
				break
			}
			d := Dynamic{f.word(b, 0, 0), f.word(b, 4, 8)}
			if f.o.X && d.Tag == 0 {
				break
			}
			if len(f.dynamic) == maxDynamic {
				f.p.Cut()
				break
			}
			f.dynamic = append(f.dynamic, d)
			if d.Tag == 0 {
				break
			}
		}
	}
	return f.dynamic
}

// Table is a symbol table.
type Table struct {
	f           *File
	off         int64
	n           int64
	names, size uint64
	named       bool
}

// Symbols is the symbol table, nil if there is none; with dynamic, that of the
// dynamic linker. YARA takes the last one that has a table of names, YARA-X the
// first.
func (f *File) Symbols(dynamic bool) *Table {
	kind := uint32(sectionSymtab)
	if dynamic {
		kind = sectionDynsym
	}
	var last *Section
	var lastNames Section
	for i := range f.SectionCount() {
		s, ok := f.raw(i)
		if !ok {
			break
		}
		if s.Type != kind {
			continue
		}
		names, named := Section{}, false
		if s.link < uint32(f.Sections) {
			names, named = f.raw(int(s.link))
		}
		if f.o.X {
			return f.symbols(s, names, named)
		}
		if named && names.Type == sectionStrtab {
			last, lastNames = &s, names
		}
	}
	if last == nil || lastNames.Size > 1<<62 || lastNames.Offset > 1<<62 || !f.p.Has(int64(lastNames.Offset), int64(lastNames.Size)) {
		return nil
	}
	return f.symbols(*last, lastNames, true)
}

func (f *File) symbols(s, names Section, named bool) *Table {
	if s.Size > 1<<62 || s.Offset > 1<<62 || !f.p.Has(int64(s.Offset), int64(s.Size)) {
		return nil
	}
	t := &Table{f: f, off: int64(s.Offset), n: int64(s.Size) / f.pick(16, 24), names: names.Offset, size: names.Size, named: named}
	if f.o.X {
		t.size = uint64(f.p.Size()) - min(t.names, uint64(f.p.Size()))
	}
	return t
}

// Len is the number of symbols.
func (t *Table) Len() int64 {
	if t == nil {
		return 0
	}
	return t.n
}

// At reads symbol i, false if there is none.
func (t *Table) At(i int64) (s Symbol, ok bool) {
	if i < 0 || i >= t.Len() {
		return s, false
	}
	f := t.f
	size := f.pick(16, 24)
	b := f.p.Bytes(t.off+i*size, size)
	if b == nil {
		return s, false
	}
	info, name := b[f.pick(12, 4)], f.order.Uint32(b)
	s = Symbol{
		Value: f.word(b, 4, 8), Size: f.word(b, 8, 16), Section: f.order.Uint16(b[f.pick(14, 6):]),
		Type: info & 15, Bind: info >> 4, Visible: b[f.pick(13, 5)] & 3,
	}
	if t.named {
		s.Name, s.Named = f.text(t.names, t.size, name)
	}
	return s, true
}

// hashed are the names of the symbols that keep takes, in lower case, sorted: of
// the dynamic linker's table or, without one, the other. The second result is
// false where there is no table or the names were not all read.
func (f *File) hashed(keep func(Symbol) bool) ([]string, bool) {
	t := f.Symbols(true)
	if t == nil || f.o.X && t.Len() == 0 {
		t = f.Symbols(false)
	}
	if t == nil && !f.o.X {
		return nil, false
	}
	var out []string
	total := 0
	for i := range t.Len() {
		s, ok := t.At(i)
		if ok && i < maxSymbols && total < maxNames {
			if s.Named && keep(s) {
				total += len(s.Name)
				out = append(out, f.lower(s.Name))
			}
			continue
		}
		f.p.Cut()
		return nil, false
	}
	slices.Sort(out)
	return out, !f.Short()
}

// lower is a name in lower case: of ASCII alone in YARA 4.
func (f *File) lower(s string) string {
	if f.o.X {
		return strings.ToLower(strings.ToValidUTF8(s, "\uFFFD"))
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ImportMD5 is the MD5 of the names of undefined symbols, false if there are none.
func (f *File) ImportMD5() (string, bool) {
	names, ok := f.hashed(func(s Symbol) bool { return s.Section == 0 && s.Name != "" })
	if !ok || len(names) == 0 && !f.o.X {
		return "", false
	}
	sum := md5.Sum([]byte(strings.Join(names, ",")))
	return hex.EncodeToString(sum[:]), true
}

// unhashed are names that telfhash leaves out, as its first implementation did:
// they depend on the compiler and the architecture.
const unhashed = " __libc_start_main main abort cachectl cacheflush puts atol malloc_trim "

// Telfhash is the TLSH of the names of global functions, false if there are none
// or the names are too few for a digest.
func (f *File) Telfhash() (string, bool) {
	const function, global, visible = 2, 1, 0
	names, ok := f.hashed(func(s Symbol) bool {
		n := s.Name
		return s.Type == function && s.Bind == global && s.Visible == visible &&
			!strings.HasPrefix(n, ".") && !strings.HasPrefix(n, "_") && !strings.HasPrefix(n, "mem") &&
			!strings.HasPrefix(n, "str") && !strings.HasSuffix(n, "64") && !strings.Contains(unhashed, " "+n+" ")
	})
	if !ok || len(names) == 0 {
		return "", false
	}
	digest, ok := tlsh.Sum([]byte(strings.Join(names, ",")), !f.o.X)
	// YARA has the empty text where TLSH has no digest, YARA-X nothing.
	return digest, ok || !f.o.X
}

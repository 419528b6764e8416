// Package pe reads PE files (Portable Executable: .exe, .dll, .sys): every field
// that a rule, an offset or an inventory asks for.
//
//	0       DOS header: "MZ", at 0x3C where the PE header is
//	        DOS program, and in it the rich header
//	lfanew  "PE\0\0", file header (20 bytes), optional header, data directories
//	        section table (40 bytes each)
//	        sections: code, data, imports, exports, resources
//	        overlay: what no section has; certificates are there
//
// Nothing is right about a PE file that was made to mislead, and readers disagree
// on it. Reading says which of two readers is followed: YARA 4 or YARA-X. Fields are
// read when they are asked for, and kept. Each loop is bounded and charged to
// Options.Work; where a bound was reached, Cut says that there is more than was
// read.
//
// Sources: Microsoft, "PE Format"; libyara/modules/pe of YARA 4.5.8 and
// lib/src/modules/pe of YARA-X 1.19 for what they do with malformed files.
package pe

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Reading says whose understanding of malformed files is followed.
type Reading uint8

// The readings.
const (
	YARAX Reading = iota
	YARA4
)

// The data directories, by index.
const (
	DirExport = iota
	DirImport
	DirResource
	DirException
	DirSecurity
	DirRelocation
	DirDebug
	DirArchitecture
	DirGlobal
	DirTLS
	DirLoadConfig
	DirBoundImport
	DirIAT
	DirDelayImport
	DirCLI
)

const (
	maxSections    = 96 // both readers
	maxDirectories = 16
	maxString      = 64 << 10 // bytes of a string that has no bound of its own
	ownSteps       = 1 << 21  // steps of all parsing of one file
	ownText        = 32 << 20 // bytes of all names that are kept of one file
)

var le = binary.LittleEndian

// Options are how a file is read. The zero value works.
type Options struct {
	Reading Reading
	// Work is charged for each step; parsing stops where it is false. Nil: only
	// the bounds of this package.
	Work func(steps int64) bool
}

// Version is a version of two numbers.
type Version struct{ Major, Minor uint16 }

// Header is the file header and the optional header. Sizes are bytes, addresses
// are relative to the image base.
type Header struct {
	Machine              uint16
	NumberOfSections     uint16
	Timestamp            uint32 // seconds since 1970
	SymbolTable          uint32 // file offset
	NumberOfSymbols      uint32
	OptionalSize         uint16 // bytes of the optional header
	Characteristics      uint16
	Magic                uint16 // 0x10b: 32 bits, 0x20b: 64 bits; 0: there is no optional header
	LinkerVersion        Version
	SizeOfCode           uint32
	SizeOfData           uint32 // initialised
	SizeOfBSS            uint32 // not initialised
	EntryPoint           uint32
	BaseOfCode           uint32
	BaseOfData           uint32 // 32 bits only
	ImageBase            uint64
	SectionAlignment     uint32
	FileAlignment        uint32
	OSVersion            Version
	ImageVersion         Version
	SubsystemVersion     Version
	Win32Version         uint32
	SizeOfImage          uint32
	SizeOfHeaders        uint32
	Checksum             uint32
	Subsystem            uint16
	DLLCharacteristics   uint16
	StackReserve         uint64
	StackCommit          uint64
	HeapReserve          uint64
	HeapCommit           uint64
	LoaderFlags          uint32
	NumberOfRVAsAndSizes uint32
}

// Section is an entry of the section table.
type Section struct {
	Name     string // without zeros at its end
	FullName string // of the string table, where Name is "/" and a number
	Named    bool   // whether there is a FullName; YARA-X has Name in its place
	VirtualSize, VirtualAddress,
	RawSize, RawOffset,
	Relocations, LineNumbers uint32
	NumberOfRelocations, NumberOfLineNumbers uint16
	Characteristics                          uint32
}

// Directory is a data directory.
type Directory struct{ Address, Size uint32 }

// File is a PE file. It is not safe for concurrent use.
type File struct {
	Header
	Sections []Section

	src   showcause.Source
	win   *bound.Window
	size  int64
	o     Options
	steps int64
	text  int64
	cut   bool

	lfanew     int64
	optional   int64 // file offset of the optional header
	dirs       int64 // file offset of the data directories
	lowest     uint32
	mappable   bool // YARA 4: whether all section headers are there
	imports    *[]Import
	delayed    *[]Import
	exports    *Exports
	exported   bool
	resources  *Resources
	resourced  bool
	version    *[]Pair
	rich       *Rich
	riched     bool
	importHash string
	ordinals   Ordinals
}

// Parse reads the headers. ok is false if the file is none that the reading takes
// for a PE file; bytes that cannot be read make it none.
func Parse(src showcause.Source, o Options) (f *File, ok bool) {
	f = &File{src: src, win: bound.NewWindow(src), size: src.Size(), o: o}
	dos := f.bytes(0, 64)
	if dos == nil || dos[0] != 'M' || dos[1] != 'Z' {
		return f, false
	}
	f.lfanew = int64(le.Uint32(dos[60:]))
	h := f.bytes(f.lfanew, 24)
	if h == nil || string(h[:4]) != "PE\x00\x00" {
		return f, false
	}
	if o.Reading == YARA4 && f.lfanew > math.MaxInt32 {
		return f, false
	}
	f.Machine, f.NumberOfSections = le.Uint16(h[4:]), le.Uint16(h[6:])
	f.Timestamp, f.SymbolTable, f.NumberOfSymbols = le.Uint32(h[8:]), le.Uint32(h[12:]), le.Uint32(h[16:])
	f.OptionalSize, f.Characteristics = le.Uint16(h[20:]), le.Uint16(h[22:])
	f.optional = f.lfanew + 24
	f.dirs = f.size // none
	if !f.optionalHeader() {
		return f, false
	}
	f.sectionTable()
	return f, true
}

// Is64 tells whether the optional header is of 64 bits.
func (f *File) Is64() bool { return f.Magic == 0x20b }

// optionalHeader reads the optional header. YARA 4 wants all of it with sixteen
// directories; for YARA-X a file without one is a PE file of zeros.
func (f *File) optionalHeader() bool {
	m := f.bytes(f.optional, 2)
	fixed := int64(96)
	if m != nil && le.Uint16(m) == 0x20b {
		fixed = 112
	}
	if f.o.Reading == YARA4 {
		if m == nil || f.size-f.optional < fixed+8*maxDirectories {
			return false
		}
	} else if m == nil || le.Uint16(m) != 0x20b && le.Uint16(m) != 0x10b || f.size-f.optional < fixed {
		return true
	}
	b := f.bytes(f.optional, fixed)
	if b == nil {
		return false
	}
	f.dirs = f.optional + fixed
	f.fixed(b)
	return true
}

// fixed reads the fields of the optional header: 96 bytes, or 112 of 64 bits.
func (f *File) fixed(b []byte) {
	u16 := func(at int) uint16 { return le.Uint16(b[at:]) }
	u32 := func(at int) uint32 { return le.Uint32(b[at:]) }
	f.Magic, f.LinkerVersion = u16(0), Version{uint16(b[2]), uint16(b[3])}
	f.SizeOfCode, f.SizeOfData, f.SizeOfBSS = u32(4), u32(8), u32(12)
	f.EntryPoint, f.BaseOfCode = u32(16), u32(20)
	f.SectionAlignment, f.FileAlignment = u32(32), u32(36)
	f.OSVersion, f.ImageVersion = Version{u16(40), u16(42)}, Version{u16(44), u16(46)}
	f.SubsystemVersion, f.Win32Version = Version{u16(48), u16(50)}, u32(52)
	f.SizeOfImage, f.SizeOfHeaders, f.Checksum = u32(56), u32(60), u32(64)
	f.Subsystem, f.DLLCharacteristics = u16(68), u16(70)
	if f.Is64() {
		f.ImageBase = le.Uint64(b[24:])
		f.StackReserve, f.StackCommit = le.Uint64(b[72:]), le.Uint64(b[80:])
		f.HeapReserve, f.HeapCommit = le.Uint64(b[88:]), le.Uint64(b[96:])
		f.LoaderFlags, f.NumberOfRVAsAndSizes = u32(104), u32(108)
		return
	}
	f.BaseOfData, f.ImageBase = u32(24), uint64(u32(28))
	f.StackReserve, f.StackCommit = uint64(u32(72)), uint64(u32(76))
	f.HeapReserve, f.HeapCommit = uint64(u32(80)), uint64(u32(84))
	f.LoaderFlags, f.NumberOfRVAsAndSizes = u32(88), u32(92)
}

// sectionTable reads the section headers that are there.
func (f *File) sectionTable() {
	at := f.optional + int64(f.OptionalSize)
	n := min(int(f.NumberOfSections), maxSections)
	f.lowest, f.mappable = math.MaxUint32, true
	for range n {
		h := f.bytes(at, 40)
		if h == nil || !f.step(1) {
			f.mappable = false
			break
		}
		s := Section{
			Name:        string(bytes.TrimRight(h[:8], "\x00")),
			VirtualSize: le.Uint32(h[8:]), VirtualAddress: le.Uint32(h[12:]),
			RawSize: le.Uint32(h[16:]), RawOffset: le.Uint32(h[20:]),
			Relocations: le.Uint32(h[24:]), LineNumbers: le.Uint32(h[28:]),
			NumberOfRelocations: le.Uint16(h[32:]), NumberOfLineNumbers: le.Uint16(h[34:]),
			Characteristics: le.Uint32(h[36:]),
		}
		f.lowest = min(f.lowest, s.VirtualAddress)
		s.FullName, s.Named = f.fullName(s.Name)
		f.Sections = append(f.Sections, s)
		at += 40
	}
}

// fullName is the name of a section, of the string table behind the symbols if it
// is "/" and a decimal offset there. Where there are no symbols it is the name;
// YARA-X takes a string from the start of the file.
func (f *File) fullName(name string) (string, bool) {
	if len(name) == 0 || name[0] != '/' || f.SymbolTable == 0 {
		return name, true
	}
	digits := name[1:]
	if f.o.Reading == YARA4 {
		n := 0
		for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
			n++
		}
		if digits = digits[:n]; n == 0 {
			digits = "0"
		}
	}
	index, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return name, true
	}
	if f.o.Reading != YARA4 {
		// The sums of YARA-X stop at 32 bits.
		at := min(int64(f.SymbolTable)+min(int64(f.NumberOfSymbols)*18, math.MaxUint32), math.MaxUint32) + int64(index)
		if at > f.size {
			return name, true
		}
		s, _ := f.cstring(at, maxString-1)
		return s, true
	}
	s, ended := f.cstring(int64(f.SymbolTable)+int64(f.NumberOfSymbols)*18+int64(index), maxString-1)
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "", false
		}
	}
	return s, ended
}

// Directory is data directory i, false if the file has none of that number. What
// the header says of their number is not asked: it lies in files that run.
func (f *File) Directory(i int) (Directory, bool) {
	at := f.dirs + int64(i)*8
	if i < 0 || i >= maxDirectories || f.o.Reading == YARA4 && at > f.optional+int64(f.OptionalSize) {
		return Directory{}, false
	}
	b := f.bytes(at, 8)
	if b == nil {
		return Directory{}, false
	}
	return Directory{le.Uint32(b), le.Uint32(b[4:])}, true
}

// Directories are the data directories that the header says are there, sixteen at
// most.
func (f *File) Directories() []Directory {
	n := min(f.NumberOfRVAsAndSizes, maxDirectories)
	if f.o.Reading == YARA4 && f.NumberOfRVAsAndSizes > math.MaxInt32 {
		return nil // a negative number there
	}
	var out []Directory
	for i := range int64(n) {
		b := f.bytes(f.dirs+i*8, 8)
		if b == nil {
			if f.o.Reading == YARAX {
				return nil
			}
			break
		}
		out = append(out, Directory{le.Uint32(b), le.Uint32(b[4:])})
	}
	return out
}

// Offset is the file offset of an address relative to the image base, false if
// the file has no byte for it.
func (f *File) Offset(rva uint64) (int64, bool) {
	if f.o.Reading == YARA4 {
		return f.offset4(rva)
	}
	if rva > math.MaxUint32 {
		return 0, false
	}
	return f.offsetX(uint32(rva))
}

// offset4 is Offset as YARA 4 has it: a section has the addresses of its virtual
// size, and the last of those with the highest address wins.
func (f *File) offset4(rva uint64) (int64, bool) {
	if !f.mappable {
		return 0, false
	}
	var start, offset, raw uint32
	for i := range f.Sections {
		s := &f.Sections[i]
		at := uint64(s.VirtualAddress)
		if rva < at || rva-at >= uint64(s.VirtualSize) || start > s.VirtualAddress {
			continue
		}
		start, offset, raw = s.VirtualAddress, s.RawOffset, s.RawSize
		if a := min(f.FileAlignment, 0x200); a != 0 {
			offset -= offset % a
		}
	}
	if rva < uint64(f.lowest) {
		start, offset, raw = 0, 0, uint32(f.size)
	}
	in := rva - uint64(start)
	if in >= uint64(raw) {
		return 0, false
	}
	off := int64(offset) + int64(in)
	return off, off < f.size
}

// offsetX is Offset as YARA-X has it: a section has the addresses of its virtual
// or its raw size, and what it gives can be behind the end of the file.
func (f *File) offsetX(rva uint32) (int64, bool) {
	if len(f.Sections) > 0 && rva < f.lowest {
		return int64(rva), true
	}
	var start, offset, raw uint32
	for i := range f.Sections {
		s := &f.Sections[i]
		end := uint64(s.VirtualAddress) + uint64(max(s.VirtualSize, s.RawSize))
		if start > s.VirtualAddress || rva < s.VirtualAddress || uint64(rva) >= min(end, math.MaxUint32) {
			continue
		}
		start, offset, raw = s.VirtualAddress, f.aligned(s.RawOffset), s.RawSize
	}
	if rva-start >= raw {
		return 0, false
	}
	return min(int64(offset)+int64(rva-start), math.MaxUint32), true
}

// aligned rounds a section's offset down as the loader does.
func (f *File) aligned(offset uint32) uint32 {
	if a := min(f.FileAlignment, 0x200); a != 0 {
		offset -= offset % a
	}
	if f.SectionAlignment >= 0x1000 {
		offset -= offset % 0x200
	}
	return offset
}

// Address is the address relative to the image base of a file offset.
func (f *File) Address(off uint32) (uint32, bool) {
	lowest, any := uint32(math.MaxUint32), false
	var start, offset, raw uint32
	for i := range f.Sections {
		s := &f.Sections[i]
		if s.RawOffset == 0 {
			continue
		}
		at := f.aligned(s.RawOffset)
		lowest, any = min(lowest, at), true
		if offset <= at && off >= at && uint64(off) < min(uint64(at)+uint64(s.RawSize), math.MaxUint32) {
			start, offset, raw = s.VirtualAddress, at, s.RawSize
		}
	}
	if any && off < lowest {
		return off, true
	}
	if off-offset >= raw {
		return 0, false
	}
	return uint32(min(uint64(start)+uint64(off-offset), math.MaxUint32)), true
}

// Entry is the file offset of the entry point.
func (f *File) Entry() (int64, bool) { return f.Offset(uint64(f.EntryPoint)) }

// Overlay is where the bytes start that no section has, and how many there are;
// zeros if there are none.
func (f *File) Overlay() (off, size int64) {
	for i := range f.Sections {
		end := int64(f.Sections[i].RawOffset) + int64(f.Sections[i].RawSize)
		if f.o.Reading == YARA4 {
			end = int64(uint32(end)) // a sum of 32 bits
		}
		off = max(off, end)
	}
	if off >= f.size || f.o.Reading == YARA4 && off == 0 || len(f.Sections) == 0 {
		return 0, 0
	}
	return off, f.size - off
}

// Cut tells whether a bound was reached, so that the fields that were asked for
// have less than the file.
func (f *File) Cut() bool { return f.cut }

// Err is the first error of reading. What could not be read counts as absent.
func (f *File) Err() error { return f.win.Err() }

// Source is the file.
func (f *File) Source() showcause.Source { return f.src }

// step counts steps.
func (f *File) step(n int64) bool {
	f.steps += n
	if f.steps > ownSteps || f.o.Work != nil && !f.o.Work(n) {
		f.cut = true
	}
	return !f.cut
}

// bytes are the n bytes at off, nil if not all are there. They hold until the next
// read. n is at most maxString.
func (f *File) bytes(off, n int64) []byte {
	if !bound.In(off, n, f.size) || n > maxString {
		return nil
	}
	b := f.win.View(off, n)
	if int64(len(b)) == n {
		return b
	}
	out := append(make([]byte, 0, n), b...)
	for int64(len(out)) < n {
		b = f.win.View(off+int64(len(out)), n-int64(len(out)))
		if len(b) == 0 {
			return nil
		}
		out = append(out, b...)
	}
	return out
}

// cstring is the string at off up to its zero, limit bytes at most, and whether
// the zero is there. A name that is longer than limit makes Cut true where limit is
// maxString, which is ours.
func (f *File) cstring(off, limit int64) (string, bool) {
	var out []byte
	if off < 0 {
		return "", false
	}
	for int64(len(out)) < limit {
		b := f.win.View(off+int64(len(out)), min(256, limit-int64(len(out))))
		if len(b) == 0 {
			return f.kept(out), false
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return f.kept(append(out, b[:i]...)), true
		}
		out = append(out, b...)
		if !f.step(1) {
			break
		}
	}
	if limit == maxString {
		f.cut = true
	}
	return f.kept(out), false
}

// kept counts bytes of text that are kept.
func (f *File) kept(b []byte) string {
	if f.text += int64(len(b)); f.text > ownText {
		f.cut = true
		return ""
	}
	return string(b)
}

// u32 is the number at off.
func (f *File) u32(off int64) (uint32, bool) {
	b := f.bytes(off, 4)
	if b == nil {
		return 0, false
	}
	return le.Uint32(b), true
}

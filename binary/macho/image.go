package macho

import (
	"encoding/binary"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Load commands. Those that the dynamic linker has to know have the top bit.
const (
	required        = 1 << 31
	cmdSegment      = 0x01
	cmdSymtab       = 0x02
	cmdUnixThread   = 0x05
	cmdDysymtab     = 0x0b
	cmdLoadDylib    = 0x0c
	cmdIDDylib      = 0x0d
	cmdLoadLinker   = 0x0e
	cmdIDLinker     = 0x0f
	cmdWeakDylib    = 0x18 | required
	cmdSegment64    = 0x19
	cmdUUID         = 0x1b
	cmdRpath        = 0x1c | required
	cmdSignature    = 0x1d
	cmdReexport     = 0x1f | required
	cmdDyldInfo     = 0x22
	cmdDyldInfoOnly = 0x22 | required
	cmdMinMac       = 0x24
	cmdMinPhone     = 0x25
	cmdEnvironment  = 0x27
	cmdMain         = 0x28 | required
	cmdSourceVer    = 0x2a
	cmdMinTV        = 0x2f
	cmdMinWatch     = 0x30
	cmdBuildVersion = 0x32
	cmdExportsTrie  = 0x33 | required
	cmdFixups       = 0x34 | required
)

// Image is the file of one architecture.
type Image struct {
	Magic                                                uint32 // as the first four bytes read from the left
	CPU, SubCPU, Type, Commands, CommandsSize, HeadFlags uint32
	Reserved                                             uint32 // of 64-bit files
	Wide                                                 bool   // 64 bits
	Segments                                             []Segment
	SegmentCount                                         int // with those that could not be read
	Dylibs                                               []Dylib
	Rpaths                                               []string
	Symtab                                               *Symtab
	Dysymtab                                             *[18]uint32 // in the order of the command
	DyldInfo                                             *[10]uint32 // in the order of the command
	Signature                                            *Data       // code signature
	Linker                                               *string
	Source                                               *uint64 // version of the source
	UUID                                                 []byte
	Build                                                *Build
	Min                                                  *MinVersion
	StackSize                                            *uint64

	f       *File
	p       *bound.Probe
	order   binary.ByteOrder
	main    *uint64 // entry point as offset
	thread  *uint64 // as address
	trie    *Data
	fixups  *Data
	strings []string
	lists   [2][]string // exports, imports
	signed  *signature
	done    [3]bool
}

// Segment is a segment with its sections. Addresses and sizes are bytes.
type Segment struct {
	Name                                string
	Read                                bool // false where the command is cut off
	VMAddr, VMSize, FileOff, FileSize   uint64
	MaxProt, InitProt, NSects, SegFlags uint32
	Sections                            []Section
}

// Section is a section of a segment.
type Section struct {
	Segment, Name                 string
	Addr, Size                    uint64
	Offset, Align, RelOff, NReloc uint32
	SectFlags                     uint32
	Reserved                      [3]uint32 // the third in 64-bit files
}

// Dylib is a library that the file needs or is. Versions are major (16 bits), minor
// and patch (8 bits each).
type Dylib struct {
	Name                       string
	Timestamp, Current, Compat uint32
}

// Symtab says where the symbols and their names are.
type Symtab struct{ SymOff, NSyms, StrOff, StrSize uint32 }

// Data is a stretch of the file.
type Data struct{ Offset, Size uint32 }

// Build is the platform that a file was built for, and with which tools.
type Build struct {
	Platform, MinOS, SDK, Declared uint32
	Tools                          [][2]uint32 // tool, version
}

// MinVersion is the version of a system, named by its load command, that a file needs.
type MinVersion struct{ Device, Version, SDK uint32 }

// image reads the header and the commands, nil if src is not a thin file.
func (f *File) image(src showcause.Source) *Image {
	i := &Image{f: f, order: binary.LittleEndian}
	i.p = bound.NewProbe(src, f.p.Step)
	// YARA reads the longer header in any case.
	h := i.p.Bytes(0, 32)
	if h == nil && f.o.X {
		if b := i.p.Bytes(0, 28); b != nil {
			h = append(append([]byte(nil), b...), 0, 0, 0, 0)
		}
	}
	if h == nil {
		return nil
	}
	i.Magic = binary.BigEndian.Uint32(h)
	at := int64(32)
	switch i.Magic {
	case magic32, magic64:
		i.order = binary.BigEndian
	case cigam32, cigam64:
	default:
		return nil
	}
	if i.Wide = i.Magic == magic64 || i.Magic == cigam64; !i.Wide {
		at = 28
	}
	if i.p.Size() < at {
		return nil
	}
	for n, field := range []*uint32{&i.CPU, &i.SubCPU, &i.Type, &i.Commands, &i.CommandsSize, &i.HeadFlags, &i.Reserved} {
		*field = i.order.Uint32(h[4+4*n:])
	}
	i.commands(at)
	return i
}

// commands reads the load commands from at on.
func (i *Image) commands(at int64) {
	for n := range int64(i.Commands) {
		if n == maxCommands {
			i.f.p.Cut()
			return
		}
		h := i.p.Bytes(at, 8)
		if h == nil {
			return
		}
		cmd, size := i.order.Uint32(h), int64(i.order.Uint32(h[4:]))
		if size < 8 {
			if !i.f.o.X {
				return
			}
			size = 8
		}
		if !i.p.Has(at, size) {
			return
		}
		if !i.command(cmd, at, size) && i.f.o.X {
			return // YARA-X reads no further than the first damaged command
		}
		at += size
	}
}

// words reads n numbers of 32 bits of the command at at, after its head; nil if it
// is shorter.
func (i *Image) words(at, size int64, n int) []uint32 {
	if size < 8+4*int64(n) {
		return nil
	}
	b := i.p.Bytes(at+8, 4*int64(n))
	if b == nil {
		return nil
	}
	out := make([]uint32, n)
	for k := range out {
		out[k] = i.order.Uint32(b[4*k:])
	}
	return out
}

// tail is the text of a command from skip on, without zeros at its end.
func (i *Image) tail(at, size, skip int64) (string, bool) {
	n := min(size-skip, maxName)
	if n < 0 {
		return "", false
	}
	text := strings.TrimRight(string(i.p.Bytes(at+skip, n)), "\x00")
	return text, i.f.keep(text)
}

// command reads the command at at; false if it is damaged.
func (i *Image) command(cmd uint32, at, size int64) bool {
	switch cmd {
	case cmdSegment, cmdSegment64:
		return i.segment(cmd, at, size)
	case cmdMain:
		return i.mainCommand(at, size)
	case cmdUnixThread:
		return i.unixThread(at, size)
	case cmdRpath:
		text, ok := i.tail(at, size, 12)
		if ok {
			i.Rpaths = append(i.Rpaths, text)
		}
		return ok
	case cmdLoadDylib, cmdIDDylib, cmdWeakDylib, cmdReexport:
		w := i.words(at, size, 4)
		text, ok := i.tail(at, size, 24)
		if w != nil && ok {
			i.Dylibs = append(i.Dylibs, Dylib{text, w[1], w[2], w[3]})
		}
		return w != nil && ok
	case cmdIDLinker, cmdLoadLinker, cmdEnvironment:
		text, ok := i.tail(at, size, 12)
		if ok {
			i.Linker = &text
		}
		return ok
	case cmdSourceVer, cmdUUID:
		return i.identity(cmd, at, size)
	case cmdSymtab, cmdDysymtab, cmdDyldInfo, cmdDyldInfoOnly, cmdSignature, cmdExportsTrie, cmdFixups:
		return i.linkEdit(cmd, at, size)
	case cmdBuildVersion:
		return i.build(at, size)
	case cmdMinMac, cmdMinPhone, cmdMinTV, cmdMinWatch:
		w := i.words(at, size, 2)
		if w != nil {
			i.Min = &MinVersion{cmd, w[0], w[1]}
		}
		return w != nil
	}
	return true
}

// linkEdit reads a command that says where something is.
func (i *Image) linkEdit(cmd uint32, at, size int64) bool {
	n := map[uint32]int{cmdSymtab: 4, cmdDysymtab: 18, cmdDyldInfo: 10, cmdDyldInfoOnly: 10}[cmd]
	if n == 0 {
		n = 2
	}
	w := i.words(at, size, n)
	if w == nil {
		return false
	}
	switch cmd {
	case cmdSymtab:
		i.Symtab = &Symtab{w[0], w[1], w[2], w[3]}
	case cmdDysymtab:
		i.Dysymtab = (*[18]uint32)(w)
	case cmdDyldInfo, cmdDyldInfoOnly:
		i.DyldInfo = (*[10]uint32)(w)
	case cmdSignature:
		i.Signature = &Data{w[0], w[1]}
	case cmdExportsTrie:
		i.trie = &Data{w[0], w[1]}
	case cmdFixups:
		i.fixups = &Data{w[0], w[1]}
	}
	return true
}

func (i *Image) identity(cmd uint32, at, size int64) bool {
	if cmd == cmdUUID {
		b := i.p.Bytes(at+8, 16)
		if size < 24 || b == nil {
			return false
		}
		i.UUID = append([]byte(nil), b...)
		return true
	}
	v, ok := i.p.Uint(i.order, at+8, 8)
	if size >= 16 && ok {
		i.Source = &v
	}
	return size >= 16 && ok
}

func (i *Image) build(at, size int64) bool {
	w := i.words(at, size, 4)
	if w == nil || (size-24)/8 < int64(w[3]) {
		return false
	}
	b := &Build{Platform: w[0], MinOS: w[1], SDK: w[2], Declared: w[3]}
	for n := range int64(w[3]) {
		tool := i.words(at+16+8*n, size, 2)
		if tool == nil || !i.f.keep("") {
			return false
		}
		b.Tools = append(b.Tools, [2]uint32{tool[0], tool[1]})
	}
	i.Build = b
	return true
}

// fixed is a name of 16 bytes. YARA ends it at its first zero, YARA-X takes zeros
// from its end.
func (i *Image) fixed(b []byte) string {
	if i.f.o.X {
		return strings.TrimRight(string(b[:16]), "\x00")
	}
	text, _, _ := strings.Cut(string(b[:16]), "\x00")
	return text
}

// segment reads a segment and its sections. YARA goes by the command for the width
// of the fields, YARA-X by the header.
func (i *Image) segment(cmd uint32, at, size int64) bool {
	i.SegmentCount++
	wide := cmd == cmdSegment64
	if i.f.o.X {
		wide = i.Wide
	}
	head, each, word := int64(56), int64(68), 4
	if wide {
		head, each, word = 72, 80, 8
	}
	b := i.p.Bytes(at, head)
	if b == nil || i.f.o.X && size < head || !i.f.keep("") {
		if !i.f.o.X {
			i.Segments = append(i.Segments, Segment{}) // has its place
		}
		return false
	}
	num := func(k int) uint64 {
		if wide {
			return i.order.Uint64(b[24+8*k:])
		}
		return uint64(i.order.Uint32(b[24+4*k:]))
	}
	tail := b[24+4*word:]
	s := Segment{
		Name: i.fixed(b[8:]), Read: true, VMAddr: num(0), VMSize: num(1), FileOff: num(2), FileSize: num(3),
		MaxProt: i.order.Uint32(tail), InitProt: i.order.Uint32(tail[4:]), NSects: i.order.Uint32(tail[8:]), SegFlags: i.order.Uint32(tail[12:]),
	}
	if i.f.o.X && (size-head)/each < int64(s.NSects) {
		return false // and the segment is not there
	}
	for n := int64(0); n < int64(s.NSects) && head+(n+1)*each <= size; n++ {
		b := i.p.Bytes(at+head+n*each, each)
		if b == nil || !i.f.keep("") {
			break
		}
		s.Sections = append(s.Sections, i.section(b, wide))
	}
	i.Segments = append(i.Segments, s)
	return true
}

func (i *Image) section(b []byte, wide bool) Section {
	s := Section{Name: i.fixed(b), Segment: i.fixed(b[16:])}
	tail := b[40:]
	if wide {
		s.Addr, s.Size, tail = i.order.Uint64(b[32:]), i.order.Uint64(b[40:]), b[48:]
	} else {
		s.Addr, s.Size = uint64(i.order.Uint32(b[32:])), uint64(i.order.Uint32(b[36:]))
	}
	for n, field := range []*uint32{&s.Offset, &s.Align, &s.RelOff, &s.NReloc, &s.SectFlags, &s.Reserved[0], &s.Reserved[1], &s.Reserved[2]} {
		if 4*n < len(tail) {
			*field = i.order.Uint32(tail[4*n:])
		}
	}
	return s
}

func (i *Image) mainCommand(at, size int64) bool {
	entry, ok := i.p.Uint(i.order, at+8, 8)
	stack, also := i.p.Uint(i.order, at+16, 8)
	if !ok || !also || i.f.o.X && size < 24 {
		return false
	}
	i.main, i.StackSize = &entry, &stack
	if !i.f.o.X {
		i.thread = nil // the last command counts
	}
	return true
}

// A register is where a thread state has the program counter: offset and bytes of
// it, and bytes of the state.
type register struct {
	at   int64
	wide int
	size int64
}

// counters are the registers by processor type.
func counter(cpu uint32) (register, bool) {
	switch cpu {
	case 6: // MC680x0
		return register{68, 4, 72}, true
	case 7: // x86
		return register{40, 4, 64}, true
	case 7 | 1<<24: // x86-64
		return register{128, 8, 168}, true
	case 12: // ARM
		return register{60, 4, 68}, true
	case 12 | 1<<24: // ARM64
		return register{256, 8, 268}, true
	case 13: // MC88000
		return register{124, 4, 136}, true
	case 14: // SPARC
		return register{4, 4, 76}, true
	case 18: // PowerPC
		return register{0, 4, 160}, true
	case 18 | 1<<24: // PowerPC64
		return register{0, 8, 304}, true
	}
	return register{}, false
}

// unixThread reads the program counter of the first thread.
func (i *Image) unixThread(at, size int64) bool {
	r, ok := counter(i.CPU)
	if !ok {
		if i.f.o.X && size >= 16 {
			i.thread = new(uint64) // YARA-X takes address 0
		}
		return size >= 16
	}
	pc, ok := i.p.Uint(i.order, at+16+r.at, r.wide)
	if !ok || size < 16+r.size {
		return false
	}
	i.thread = &pc
	return true
}

// Entry is the offset of the entry point in the image.
func (i *Image) Entry() (uint64, bool) {
	if i.thread != nil {
		at, ok := i.offset(*i.thread)
		if ok || i.f.o.X || i.main == nil {
			return at, ok
		}
	}
	if i.main == nil {
		return 0, false
	}
	return *i.main, true
}

// offset maps an address to an offset by the first segment that has it.
func (i *Image) offset(addr uint64) (uint64, bool) {
	for _, s := range i.Segments {
		end := s.VMAddr + s.VMSize
		if end < s.VMAddr && i.f.o.X {
			return 0, false
		}
		if s.Read && addr >= s.VMAddr && addr < end {
			at := s.FileOff + addr - s.VMAddr
			return at, at >= s.FileOff || !i.f.o.X
		}
	}
	return 0, false
}

package engine

import (
	"cmp"
	"strings"

	"github.com/showcause/showcause/clamsig/bytecode"
)

// Exe is what is known of an input that is an executable. Headers are nil where
// only sections and the entry point are known, as when a trigger alone held.
type Exe struct {
	Offset     uint32 // of the executable in the input
	Entry      uint32 // file offset
	HeaderSize uint32
	Sections   []Section
	// Headers of a PE file, as they stand in it: 24 bytes from "PE\0\0" on; of the
	// optional header one of the two, 96 bytes of PE32 or 112 of PE32+; and up to 16
	// directories of 8 bytes.
	File, Optional32, Optional64, Directories []byte
	NewHeader                                 uint32 // e_lfanew
	Overlay, OverlaySize                      uint32
}

// Section is one section: addresses and sizes aligned as a loader does, then as
// they stand in the file.
type Section struct {
	RVA, VirtualSize, Raw, RawSize, Flags           uint32
	StatedRVA, StatedVirtual, StatedRaw, StatedSize uint32
}

// data is ClamAV's struct cli_pe_hook_data, 648 bytes.
func (e *Exe) data() []byte {
	const size = 648
	b := make([]byte, size)
	if e == nil {
		return b
	}
	le.PutUint32(b, e.Offset)
	le.PutUint32(b[4:], e.Entry)
	le.PutUint16(b[8:], uint16(len(e.Sections)))
	copy(b[12:36], e.File)
	copy(b[36:132], e.Optional32)
	copy(b[264:376], e.Optional64)
	copy(b[504:632], e.Directories)
	if e.Optional32 != nil {
		copy(b[132:260], e.Directories)
	}
	if e.Optional64 != nil {
		copy(b[376:504], e.Directories)
	}
	le.PutUint32(b[632:], e.NewHeader)
	le.PutUint32(b[636:], e.Overlay)
	le.PutUint32(b[640:], e.OverlaySize)
	le.PutUint32(b[644:], e.HeaderSize)
	return b
}

// pe_rawaddr(rva): the offset in the file, or -1.
func rawAddress(m *run, a []uint64) uint64 {
	e, rva := m.ctx.Exe, uint32(a[0])
	switch {
	case e == nil && rva == 0, e != nil && rva < e.HeaderSize:
		if int64(rva) >= m.input.Size() {
			return no
		}
		return uint64(rva)
	case e == nil:
		return no
	}
	if !m.Charge(int64(len(e.Sections))) {
		return no
	}
	for i := len(e.Sections) - 1; i >= 0; i-- {
		s := &e.Sections[i]
		if s.RawSize > 0 && rva >= s.RVA && s.RawSize > rva-s.RVA {
			return uint64(rva - s.RVA + s.Raw)
		}
	}
	return no
}

// get_pe_section(to, number).
func exeSection(m *run, a []uint64) uint64 {
	b := m.Resolve(a[0], 36, true)
	if e := m.ctx.Exe; b == nil || e == nil || a[1] >= uint64(len(e.Sections)) {
		return no
	}
	s := &m.ctx.Exe.Sections[a[1]]
	for i, v := range []uint32{s.RVA, s.VirtualSize, s.Raw, s.RawSize, s.Flags, s.StatedRVA, s.StatedVirtual, s.StatedRaw, s.StatedSize} {
		le.PutUint32(b[4*i:], v)
	}
	return 0
}

// matchicon(group1, len, group2, len).
func matchIcon(m *run, a []uint64) uint64 {
	g1, g2 := m.Resolve(a[0], a[1], false), m.Resolve(a[2], a[3], false)
	if e := m.ctx.Exe; g1 == nil || g2 == nil || e == nil || e.Entry == 0 || len(g1) > 255 || len(g2) > 255 {
		return no
	}
	name := func(b []byte) string {
		s, _, _ := strings.Cut(string(b), "\x00")
		return s
	}
	if m.ctx.Icon != nil && m.ctx.Icon(name(g1), name(g2)) {
		return 1
	}
	return 0
}

// Options are what the engine is asked to do, in ClamAV's words.
type Options struct {
	// Scan and Database are the CL_SCAN_ flags of 0.103 and the CL_DB_ flags.
	Scan, Database uint32
}

// scanFlags are options by the names that engine_scan_options_ex takes.
var scanFlags = []struct {
	name string
	flag uint32
}{
	{"archive", 0x1},
	{"mail", 0x2},
	{"ole2", 0x4},
	{"html", 0x10},
	{"pe", 0x20},
	{"broken", 0x40},
	{"exceeds max", 0x100},
	{"heuristics", 0x200},
	{"phishing ssl mismatch", 0x800},
	{"phishing cloak", 0x1000},
	{"elf", 0x2000},
	{"pdf", 0x4000},
	{"structured ssn normal", 0x10000},
	{"structured ssn stripped", 0x20000},
	{"structured", 0x8000},
	{"partial message", 0x40000},
	{"precedence", 0x80000},
	{"macros", 0x100000},
	{"allmatch", 0x200000},
	{"swf", 0x400000},
	{"partition intxn", 0x800000},
	{"xmldocs", 0x1000000},
	{"hwp3", 0x2000000},
	{"collect metadata", 0x10000000},
	{"encrypted", 0x8},
}

func scanOptions(m *run, _ []uint64) uint64 { return uint64(m.ctx.Options.Scan) }
func dbOptions(m *run, _ []uint64) uint64   { return uint64(m.ctx.Options.Database) }

// engine_scan_options_ex(name, len): whether the option is on.
func scanOption(m *run, a []uint64) uint64 {
	name := strings.ToLower(string(m.Resolve(a[0], a[1], false)))
	for _, f := range scanFlags {
		if _, rest, ok := strings.Cut(name, " "); ok && strings.Contains(rest, f.name) || strings.TrimRight(name, "\x00") == f.name {
			if m.ctx.Options.Scan&f.flag != 0 {
				return 1
			}
			return 0
		}
	}
	return 0
}

// extract_set_container(type): what the layer below is said to stand in. Here it
// stands in this one, whatever the program says.
func setContainer(_ *run, a []uint64) uint64 {
	const last = 635 // CL_TYPE_IGNORED
	if a[0] > last {
		return no
	}
	return 0
}

// Environment is what a program is told of the machine. It is the same everywhere,
// so that what a program does is. The zero value is the environment of ClamAV 1.4
// on Linux on x86-64 without LLVM.
type Environment struct {
	Level   uint32 // functionality level, 0 for that of ClamAV 1.4.6
	Version string // of the engine; "" for "1.4.6"
}

// DefaultLevel is the functionality level of ClamAV 1.4.6.
const DefaultLevel = 216

func (e Environment) level() uint32 {
	if e.Level == 0 {
		return DefaultLevel
	}
	return e.Level
}

// What ClamAV finds out about the machine, packed as check_platform takes it.
const (
	platformA = 0xa21d8d8
	platformB = 0x8000000
	platformC = 0xc0200 // GCC 12.2
)

// bytes is struct cli_environment.
func (e Environment) bytes() []byte {
	var b []byte
	for _, v := range []uint32{platformA, platformB, platformC, platformC, 0, e.level(), e.level()} {
		b = le.AppendUint32(b, v)
	}
	// The engine's version, what LLVM says (twice), and of uname the system, its
	// release and version, which are not told, and the machine.
	for _, s := range []string{cmp.Or(e.Version, "1.4.6"), "", "", "Linux", "", "", "x86_64"} {
		b = append(b, make([]byte, 65)...)
		copy(b[len(b)-65:len(b)-1], s)
	}
	return append(b, 0, 8, 2, 10, 0, 1, 0, 0, 0)
}

func engineLevel(m *run, _ []uint64) uint64 { return uint64(m.ctx.Environment.level()) }

// get_environment(to, len).
func environment(m *run, a []uint64) uint64 {
	to, e := m.Resolve(a[0], a[1], true), m.ctx.Environment.bytes()
	if to == nil || len(to) > (len(e)+3)&^3 {
		return no
	}
	copy(to, e)
	return 0
}

// check_platform(a, b, c): a part with all bits set is any.
func checkPlatform(_ *run, a []uint64) uint64 {
	fields := []struct {
		query, value uint64
		shift, mask  uint
	}{
		{a[0], platformA, 24, 0xff},
		{a[0], platformA, 20, 0xf},
		{a[0], platformA, 16, 0xf},
		{a[0], platformA, 8, 0xff},
		{a[0], platformA, 0, 0xff},
		{a[1], platformB, 28, 0xf},
		{a[1], platformB, 24, 0xf},
		{a[1], platformB, 16, 0xff},
		{a[1], platformB, 8, 0xff},
		{a[1], platformB, 0, 0xff},
		{a[2], platformC, 24, 0xff},
		{a[2], platformC, 16, 0xff},
		{a[2], platformC, 8, 0xff},
		{a[2], platformC, 0, 0xff},
	}
	for _, f := range fields {
		q, v := f.query>>f.shift&uint64(f.mask), f.value>>f.shift&uint64(f.mask)
		if q != v && q != uint64(f.mask) {
			return 0
		}
	}
	return 1
}

// disable_bytecode_if(reason, len, condition).
func disableBytecode(m *run, a []uint64) uint64 { return m.disable(a, 2) }

// disable_jit_if(reason, len, condition).
func disableJIT(m *run, a []uint64) uint64 { return m.disable(a, 1) }

func (m *run) disable(a []uint64, how int) uint64 {
	if m.Resolve(a[0], a[1], false) == nil || m.program.Kind != bytecode.Startup {
		return no
	}
	if a[2] != 0 && how > m.res.Disabled {
		m.res.Disabled = how
	}
	return uint64(m.res.Disabled)
}

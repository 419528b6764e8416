package pe

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
)

// image makes PE files: a header of 0x400 bytes and sections behind it.
type image struct {
	wide     bool // 64 bits
	machine  uint16
	lfanew   int
	entry    uint32
	base     uint64
	flags    uint16
	size     uint32 // SizeOfImage
	dirs     [16]Directory
	ndirs    uint32
	sections []block0
	stub     map[int]string // bytes of the header, by offset
	tail     string
}

type block0 struct {
	name   string
	at     uint32 // address
	data   []byte
	vsize  uint32 // 0: as the data
	rawOff uint32 // 0: where the data is put
	raw    uint32 // 0: as the data
}

const headers = 0x400

func (m *image) bytes() []byte {
	le := binary.LittleEndian
	if m.lfanew == 0 {
		m.lfanew = 0x100
	}
	h := make([]byte, headers)
	copy(h, "MZ")
	le.PutUint32(h[60:], uint32(m.lfanew))
	for at, s := range m.stub {
		copy(h[at:], s)
	}
	p := h[m.lfanew:]
	copy(p, "PE\x00\x00")
	machine, magic, fixed := uint16(0x14c), uint16(0x10b), 96
	if m.wide {
		machine, magic, fixed = 0x8664, 0x20b, 112
	}
	if m.machine != 0 {
		machine = m.machine
	}
	le.PutUint16(p[4:], machine)
	le.PutUint16(p[6:], uint16(len(m.sections)))
	le.PutUint32(p[8:], 0x5F000000)
	le.PutUint16(p[20:], uint16(fixed+128))
	le.PutUint16(p[22:], m.flags)
	o := p[24:]
	le.PutUint16(o, magic)
	o[2], o[3] = 14, 29
	le.PutUint32(o[16:], m.entry)
	if m.wide {
		le.PutUint64(o[24:], m.base)
	} else {
		le.PutUint32(o[28:], uint32(m.base))
	}
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	if m.size == 0 {
		m.size = 0x100000
	}
	le.PutUint32(o[56:], m.size)
	le.PutUint32(o[60:], headers)
	le.PutUint16(o[68:], 3)
	if m.ndirs == 0 {
		m.ndirs = 16
	}
	le.PutUint32(o[fixed-4:], m.ndirs)
	for i, d := range m.dirs {
		le.PutUint32(o[fixed+8*i:], d.Address)
		le.PutUint32(o[fixed+8*i+4:], d.Size)
	}
	out := h
	for i, s := range m.sections {
		t := out[m.lfanew+24+fixed+128+40*i:]
		copy(t[:8], s.name)
		vsize, off, raw := s.vsize, s.rawOff, s.raw
		if vsize == 0 {
			vsize = uint32(len(s.data))
		}
		if off == 0 {
			off = uint32(len(out))
		}
		if raw == 0 {
			raw = uint32(len(s.data)+0x1ff) &^ 0x1ff
		}
		le.PutUint32(t[8:], vsize)
		le.PutUint32(t[12:], s.at)
		le.PutUint32(t[16:], raw)
		le.PutUint32(t[20:], off)
		le.PutUint32(t[36:], 0xE0000020)
		out = append(out, s.data...)
		out = append(out, make([]byte, (0x200-len(out)%0x200)%0x200)...)
	}
	return append(out, m.tail...)
}

// words are numbers of 32 bits.
func words(v ...uint32) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, v)
	return b.Bytes()
}

// at puts parts at their offsets in one block.
func at(parts map[int][]byte) []byte {
	n := 0
	for off, p := range parts {
		n = max(n, off+len(p))
	}
	out := make([]byte, n)
	for off, p := range parts {
		copy(out[off:], p)
	}
	return out
}

// parse reads what must be a PE file.
func parse(t testing.TB, data []byte, r Reading) *File {
	t.Helper()
	f, ok := Parse(showcause.Bytes(data), Options{Reading: r})
	if !ok {
		t.Fatal("no PE file")
	}
	return f
}

// samples are files that have everything, for the tests that break them.
func samples() map[string][]byte {
	return map[string][]byte{"32": full(false), "64": full(true)}
}

// full is a file with imports, exports, resources, version information, debug
// information, a rich header and an overlay.
func full(wide bool) []byte {
	const va = 0x1000
	m := &image{wide: wide, base: 0x400000, entry: va + 4, flags: 0x2102, tail: "overlay", stub: map[int]string{}}
	width := 4
	if wide {
		width = 8
	}
	thunk := func(v ...uint64) []byte {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, x)
			b = b[:len(b)-8+width]
		}
		return b
	}
	byOrdinal := uint64(1) << (8*width - 1)
	parts := map[int][]byte{
		0x20: words(va+0x60, 0, 0, va+0xA0, va+0x80), // import descriptors
		0x60: thunk(va+0xB0, byOrdinal|115, 0),
		0xA0: []byte("WS2_32.dll\x00"),
		0xB0: []byte("\x05\x00ExitProcess\x00"),
		// delayed imports
		0x100: words(1, va+0x160, 0, va+0x170, va+0x190, 0, 0, 0),
		0x160: []byte("late.DLL\x00"),
		0x170: thunk(1, 1, 0), 0x190: thunk(va+0x1B0, byOrdinal|7, 0),
		0x1B0: []byte("\x00\x00Late\x00"),
		// exports: three functions, of which one is forwarded; two names
		0x200: append(words(0, 0x1234, 0, va+0x280, 5, 3, 2, va+0x240, va+0x250), words(va+0x260)...),
		0x240: words(va+4, va+0x2A0, va+8), 0x250: words(va+0x290, va+0x298),
		0x260: {0, 0, 2, 0},
		0x280: []byte("me.dll\x00"), 0x290: []byte("Alpha\x00"), 0x298: []byte("Gamma\x00"),
		0x2A0: []byte("other.Forward\x00"),
		// debug
		0x300: words(0, 0, 0, 2, 40, va+0x340, 0),
		0x340: append([]byte("RSDS0123456789abcdefAGE_"), []byte("c:\\x\\y.pdb\x00")...),
	}
	parts[0x400] = resourceTree(va + 0x400)
	m.sections = []block0{{name: ".text", at: va, data: at(parts)}, {name: "/4", at: 0x5000, data: []byte("second")}}
	m.dirs[DirImport] = Directory{va + 0x20, 0x28}
	m.dirs[DirDelayImport] = Directory{va + 0x100, 0x40}
	m.dirs[DirExport] = Directory{va + 0x200, 0x100}
	m.dirs[DirDebug] = Directory{va + 0x300, 28}
	m.dirs[DirResource] = Directory{va + 0x400, 0x400}
	m.stub[0x80] = string(richBytes(0xCAFEBABE))
	return m.bytes()
}

// richBytes is a rich header with two tools.
func richBytes(key uint32) []byte {
	clear := []uint32{dans, 0, 0, 0, 0x00010203, 9, 0x00F00001, 1}
	for i := range clear {
		clear[i] ^= key
	}
	return append(append(words(clear...), "Rich"...), words(key)...)
}

// wide is UTF-16 with its zero.
func wide(s string) []byte {
	var b []byte
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return append(b, 0, 0)
}

// node is a node of the version information.
func node(key string, value []byte, units int, children ...[]byte) []byte {
	b := append(make([]byte, 6), wide(key)...)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	pad()
	b = append(b, value...)
	for _, c := range children {
		pad()
		b = append(b, c...)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	binary.LittleEndian.PutUint16(b[2:], uint16(units))
	if units > 0 && len(children) == 0 {
		b[4] = 1
	}
	return b
}

// versionBlock is a version resource with two tables.
func versionBlock() []byte {
	text := func(k, v string) []byte { return node(k, wide(v), len(v)+1) }
	return node("VS_VERSION_INFO", make([]byte, 52), 52,
		node("StringFileInfo", nil, 0,
			node("040904b0", nil, 0, text("CompanyName", "Example"), text("Empty", "")),
			node("040704b0", nil, 0, text("CompanyName", "Beispiel"))),
		node("VarFileInfo", nil, 0, node("Translation", []byte{9, 4, 0xb0, 4}, 4)))
}

// resourceTree has a version resource and one with a name, at an address.
func resourceTree(va uint32) []byte {
	v := versionBlock()
	sub := func(off uint32) uint32 { return off | 1<<31 }
	dir := func(named, ids uint16) []byte { return words(0, 77, 0x00020001, uint32(named)|uint32(ids)<<16) }
	return at(map[int][]byte{
		0: append(dir(1, 1), words(sub(0x100), sub(0x40), 16, sub(0x80))...),
		// BAR / 7 / 1033
		0x40: append(dir(0, 1), words(7, sub(0x60))...), 0x60: append(dir(0, 1), words(1033, 0x140)...),
		// 16 / 1 / 1031
		0x80: append(dir(0, 1), words(1, sub(0xA0))...), 0xA0: append(dir(0, 1), words(1031, 0x150)...),
		0x100: append([]byte{3, 0}, wide("BAR")...),
		0x140: words(va+0x180, 4, 0, 0), 0x150: words(va+0x190, uint32(len(v)), 0, 0),
		0x180: []byte("data"), 0x190: v,
	})
}

// installed are real files of this machine.
func installed(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, g := range []string{
		"/usr/share/clamav-testfiles/*.exe", "/usr/*-w64-mingw32/lib/*.dll", "/usr/lib/mono/4.5/*.exe",
	} {
		files, _ := filepath.Glob(g)
		out = append(out, files...)
	}
	return out
}

// all asks for everything.
func all(f *File) {
	f.Imports()
	f.Delayed()
	f.Exports()
	if r := f.Resources(); r != nil {
		for _, x := range r.List[:min(len(r.List), 100)] {
			f.IDText(x.Type)
			f.IDText(x.Name)
			f.IDText(x.Language)
		}
	}
	f.Version()
	f.Rich()
	f.PDBPath()
	f.Debug()
	f.TLS()
	f.Overlay()
	f.Entry()
	f.Directories()
	f.ImportHash()
	f.Certificates()
	f.ComputeChecksum()
	for i := range 17 {
		f.Directory(i - 1)
	}
	for _, off := range []uint32{0, 1, 0x1000, 0x7fffffff, 0xffffffff} {
		f.Address(off)
		f.Offset(uint64(off) << 3)
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	return b
}

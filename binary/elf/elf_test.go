package elf

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// build writes an ELF file of either class and byte order: two loaded segments and
// a dynamic one, sections, two symbol tables.
func build(wide, big bool, kind uint16) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	half := func(b []byte, v ...uint16) []byte {
		for _, n := range v {
			b = order.AppendUint16(b, n)
		}
		return b
	}
	word := func(b []byte, v ...uint32) []byte {
		for _, n := range v {
			b = order.AppendUint32(b, n)
		}
		return b
	}
	addr := func(b []byte, v ...uint64) []byte {
		for _, n := range v {
			if wide {
				b = order.AppendUint64(b, n)
			} else {
				b = order.AppendUint32(b, uint32(n))
			}
		}
		return b
	}
	pick := func(a, b int) int {
		if wide {
			return b
		}
		return a
	}
	names := "\x00.text\x00.strtab\x00.symtab\x00.dynsym\x00.bss\x00"
	strtab := "\x00main\x00Puts\x00alpha\x00BETA\x00gamma64\x00memcpy\x00_start\x00"
	sym := func(name string, info, other byte, section uint16, value, size uint64) []byte {
		at := uint32(strings.Index(strtab, "\x00"+name+"\x00") + 1)
		if name == "" {
			at = 0
		}
		if wide {
			return addr(half(append(word(nil, at), info, other), section), value, size)
		}
		return half(append(addr(word(nil, at), value, size), info, other), section)
	}
	syms := bytes.Join([][]byte{sym("", 0, 0, 0, 0, 0), sym("main", 0x12, 0, 1, 0x401000, 16), sym("Puts", 0x12, 0, 0, 0, 0), sym("alpha", 0x12, 0, 0, 0, 0)}, nil)
	dyns := bytes.Join([][]byte{sym("", 0, 0, 0, 0, 0), sym("Puts", 0x12, 0, 0, 0, 0), sym("BETA", 0x22, 0, 0, 0, 0), sym("gamma64", 0x12, 2, 1, 1, 2)}, nil)
	dynamic := addr(nil, 1, 5, 6, 7, 0, 0, 9, 9)
	const text, namesAt, strAt = 0x100, 0x140, 0x180
	symAt, dynAt, tabAt := 0x200, 0x300, 0x400
	segment := func(kind, flags uint32, off, virtual, size, mem uint64) []byte {
		if wide {
			return addr(word(nil, kind, flags), off, virtual, virtual, size, mem, 16)
		}
		return addr(word(addr(word(nil, kind), off, virtual, virtual, size, mem), flags), 16)
	}
	ph := bytes.Join([][]byte{segment(1, 5, 0, 0x400000, 0x80, 0x80), segment(1, 5, text, 0x401000, 0x40, 0x40), segment(2, 6, uint64(tabAt), 0x402000, uint64(len(dynamic)), uint64(len(dynamic)))}, nil)
	section := func(name string, kind uint32, flags, at, off, size uint64, link uint32) []byte {
		return addr(word(addr(word(nil, uint32(strings.Index(names, name+"\x00")), kind), flags, at, off, size), link, 0), 1, 0)
	}
	sh := bytes.Join([][]byte{
		section("", 0, 0, 0, 0, 0, 0), section(".text", 1, 6, 0x401000, text, 0x40, 0), section(".strtab", 3, 0, 0, strAt, uint64(len(strtab)), 0),
		section(".strtab", 3, 0, 0, namesAt, uint64(len(names)), 0), section(".symtab", 2, 0, 0, uint64(symAt), uint64(len(syms)), 2),
		section(".dynsym", 11, 0, 0, uint64(dynAt), uint64(len(dyns)), 2), section(".bss", 8, 3, 0x401000, 0x7000, 0x1000, 0),
	}, nil)
	h := []byte("\x7fELF\x01\x01\x01\x03\x00\x00\x00\x00\x00\x00\x00\x00")
	h[4], h[5] = byte(pick(1, 2)), 1
	if big {
		h[5] = 2
	}
	h = word(half(h, kind, 62), 1)
	h = word(addr(h, 0x401008, 0x440, 0x600), 0)
	h = half(h, uint16(pick(52, 64)), uint16(pick(32, 56)), 3, uint16(pick(40, 64)), 7, 3)
	out := make([]byte, 0x600)
	for at, b := range map[int][]byte{0: h, 0x440: ph, namesAt: []byte(names), strAt: []byte(strtab), symAt: syms, dynAt: dyns, tabAt: dynamic} {
		copy(out[at:], b)
	}
	return append(out, append(sh, "tail"...)...)
}

func each(t *testing.T, do func(t *testing.T, name string, b []byte, x bool)) {
	for _, wide := range []bool{false, true} {
		for _, big := range []bool{false, true} {
			for _, x := range []bool{false, true} {
				name := strings.Join([]string{map[bool]string{false: "32", true: "64"}[wide], map[bool]string{false: "little", true: "big"}[big], map[bool]string{false: "yara", true: "x"}[x]}, "-")
				t.Run(name, func(t *testing.T) { do(t, name, build(wide, big, 2), x) })
			}
		}
	}
}

func TestFile(t *testing.T) {
	each(t, func(t *testing.T, name string, b []byte, x bool) {
		f := Parse(showcause.Bytes(b), Options{X: x})
		if f == nil {
			t.Fatal("nil")
		}
		if f.Type != 2 || f.Machine != 62 || f.OSABI != 3 || f.Programs != 3 || f.Sections != 7 || f.ProgramOff != 0x440 || f.SectionOff != 0x600 {
			t.Errorf("%+v", f)
		}
		if at, ok := f.Entry(); at != 0x108 || !ok {
			t.Errorf("entry %#x, %v", at, ok)
		}
		var names []string
		for i := range f.SectionCount() {
			s, ok := f.Section(i)
			if !ok || !s.Named {
				t.Errorf("section %d: %v %v", i, ok, s.Named)
			}
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != " .text .strtab .strtab .symtab .dynsym .bss" {
			t.Errorf("sections %q", got)
		}
		if s, ok := f.Segment(2); !ok || s != (Segment{2, 6, 0x400, 0x402000, 0x402000, uint64(f.pick(32, 64)), uint64(f.pick(32, 64)), 16}) {
			t.Errorf("segment %+v", s)
		}
		want := []Dynamic{{1, 5}, {6, 7}, {0, 0}}
		if x {
			want = want[:2]
		}
		if got := f.Dynamic(); !reflect.DeepEqual(got, want) || !f.HasDynamic() {
			t.Errorf("dynamic %v, want %v", got, want)
		}
		if s, ok := f.Symbols(false).At(1); !ok || s != (Symbol{"main", true, 0x401000, 16, 1, 2, 1, 0}) {
			t.Errorf("symbol %+v", s)
		}
		if s, ok := f.Symbols(true).At(3); !ok || s != (Symbol{"gamma64", true, 1, 2, 1, 2, 1, 2}) || f.Symbols(true).Len() != 4 {
			t.Errorf("dynamic symbol %+v", s)
		}
		// MD5 of "beta,puts"
		if sum, ok := f.ImportMD5(); sum != "36a500c9c9d2bfe69bb6110538155ee6" || !ok {
			t.Errorf("import_md5 %s, %v", sum, ok)
		}
		if sum, ok := f.Telfhash(); sum != "" || ok == x {
			t.Errorf("telfhash of too little: %q, %v", sum, ok)
		}
		if f.Short() {
			t.Error("short")
		}
	})
}

// TestEntry holds that files that are not executables are mapped by sections.
func TestEntry(t *testing.T) {
	for _, c := range []struct {
		wide, big bool
		kind      uint16
	}{{true, false, 3}, {false, true, 3}, {true, true, 1}} {
		b := build(c.wide, c.big, c.kind)
		f := Parse(showcause.Bytes(b), Options{})
		copy(b[f.ProgramOff:], make([]byte, 3*f.pick(32, 56)))
		if at, ok := f.Entry(); at != 0x108 || !ok {
			t.Errorf("%+v: %#x, %v", c, at, ok)
		}
	}
}

// program is an ELF program that is there: this test, where tests are ELF files.
func program(t testing.TB) []byte {
	self, err := os.Executable()
	if err != nil {
		t.Skip("no program: ", err)
	}
	b, err := os.ReadFile(self)
	if err != nil || !bytes.HasPrefix(b, []byte("\x7fELF")) {
		t.Skip("this test is not an ELF file")
	}
	return b
}

// TestStandardLibrary holds our reading of real programs against debug/elf.
func TestStandardLibrary(t *testing.T) {
	files := map[string][]byte{"this test": program(t)}
	for _, glob := range []string{"/bin/[a-m]*", "/usr/lib/*/lib[a-d]*.so*", "/usr/lib/*/crt*.o"} {
		paths, _ := filepath.Glob(glob)
		for i, p := range paths {
			if b, err := os.ReadFile(p); err == nil && i%9 == 0 && len(b) < 4<<20 && bytes.HasPrefix(b, []byte("\x7fELF")) {
				files[p] = b
			}
		}
	}
	for name, b := range files {
		want, err := stdelf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, x := range []bool{false, true} {
			f := Parse(showcause.Bytes(b), Options{X: x})
			if f == nil || f.SectionCount() != len(want.Sections) || f.SegmentCount() != len(want.Progs) {
				t.Errorf("%s: %+v", name, f)
				continue
			}
			for i, w := range want.Sections {
				s, ok := f.Section(i)
				if !ok || s.Name != w.Name || s.Type != uint32(w.Type) || s.Offset != w.Offset || s.Address != w.Addr || s.Size != w.FileSize && w.Type != stdelf.SHT_NOBITS {
					t.Errorf("%s: section %+v, want %+v", name, s, w.SectionHeader)
				}
			}
			for i, w := range want.Progs {
				s, ok := f.Segment(i)
				if !ok || s != (Segment{uint32(w.Type), uint32(w.Flags), w.Off, w.Vaddr, w.Paddr, w.Filesz, w.Memsz, w.Align}) {
					t.Errorf("%s: segment %+v, want %+v", name, s, w.ProgHeader)
				}
			}
			for _, dynamic := range []bool{false, true} {
				list, _ := want.Symbols()
				if dynamic {
					list, _ = want.DynamicSymbols()
				}
				table := f.Symbols(dynamic)
				if len(list) > 0 && table.Len() != int64(len(list))+1 {
					t.Errorf("%s: %d symbols, want %d", name, table.Len(), len(list)+1)
				}
				for i, w := range list {
					if s, ok := table.At(int64(i) + 1); !ok || s.Name != w.Name || s.Value != w.Value || s.Size != w.Size || s.Type|s.Bind<<4 != w.Info || s.Section != uint16(w.Section) {
						t.Errorf("%s: symbol %+v, want %+v", name, s, w)
						break
					}
				}
			}
		}
	}
}

// everything asks for all there is.
func everything(f *File) (out []any) {
	if f == nil {
		return nil
	}
	at, ok := f.Entry()
	out = append(out, at, ok, f.HasDynamic(), f.Dynamic())
	for i := range f.SectionCount() {
		s, ok := f.Section(i)
		out = append(out, s, ok)
	}
	for i := range f.SegmentCount() {
		s, ok := f.Segment(i)
		out = append(out, s, ok)
	}
	for _, d := range []bool{false, true} {
		t := f.Symbols(d)
		for i := range min(t.Len(), 1000) {
			s, ok := t.At(i)
			out = append(out, s, ok)
		}
	}
	sum, ok := f.ImportMD5()
	hash, also := f.Telfhash()
	return append(out, sum, ok, hash, also, f.Short())
}

// TestTruncated reads every head of a file, and files with every byte changed.
func TestTruncated(t *testing.T) {
	each(t, func(t *testing.T, name string, b []byte, x bool) {
		for n := range b {
			everything(Parse(showcause.Bytes(b[:n]), Options{X: x}))
			for _, c := range []byte{0xff, 0x7f, 0x80, 0} {
				old := b[n]
				b[n] = c
				everything(Parse(showcause.Bytes(b), Options{X: x}))
				b[n] = old
			}
		}
	})
}

// hollow is a file of zeros after a head, as large as it says.
type hollow struct {
	head []byte
	size int64
}

func (h hollow) Size() int64 { return h.size }
func (h hollow) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(h.head)) {
		copy(p, h.head[off:])
	}
	return len(p), nil
}

// TestHostile holds that huge tables cost no memory and end.
func TestHostile(t *testing.T) {
	b := build(true, false, 2)
	f := Parse(showcause.Bytes(b), Options{X: true})
	s := int(f.SectionOff) + 4*64
	binary.LittleEndian.PutUint64(b[s+24:], 0)
	binary.LittleEndian.PutUint64(b[s+32:], 1<<40)
	copy(b[s+64+4:], "\x01") // no dynsym
	p := int(f.ProgramOff) + 2*56
	binary.LittleEndian.PutUint64(b[p+32:], 1<<40)
	binary.LittleEndian.PutUint64(b[p+8:], 1<<20)
	src := hollow{b, 1 << 41}
	for _, x := range []bool{false, true} {
		left := int64(1 << 21)
		f = Parse(src, Options{X: x, Work: func(n int64) bool { left -= n; return left > 0 }})
		if n := f.Symbols(false).Len(); n != 1<<40/24 {
			t.Errorf("%d symbols", n)
		}
		if _, ok := f.ImportMD5(); ok || !f.Short() {
			t.Errorf("a hash of 45,000,000,000 names; short %v", f.Short())
		}
	}
	left := int64(1000)
	f = Parse(src, Options{Work: func(n int64) bool { left -= n; return left > 0 }})
	if everything(f); !f.Short() || left < -100000 {
		t.Errorf("work %d", left)
	}
}

func FuzzParse(f *testing.F) {
	for i := range 8 {
		f.Add(build(i&1 != 0, i&2 != 0, uint16(2+i>>2)), i&1 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, x bool) {
		one := everything(Parse(showcause.Bytes(b), Options{X: x}))
		if two := everything(Parse(showcause.Bytes(b), Options{X: x})); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}

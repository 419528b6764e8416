package pe

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func TestHeaders(t *testing.T) {
	for name, data := range samples() {
		for _, r := range []Reading{YARA4, YARAX} {
			f := parse(t, data, r)
			if f.Is64() != (name == "64") || f.Characteristics != 0x2102 || f.ImageBase != 0x400000 || f.Subsystem != 3 ||
				f.LinkerVersion != (Version{14, 29}) || f.SizeOfImage != 0x100000 || f.Timestamp != 0x5F000000 {
				t.Errorf("%s %d: %+v", name, r, f.Header)
			}
			if len(f.Sections) != 2 || f.Sections[0].Name != ".text" || f.Sections[1].Name != "/4" || f.Sections[1].FullName == "" {
				t.Errorf("%s %d: %+v", name, r, f.Sections)
			}
			if e, ok := f.Entry(); !ok || e != headers+4 {
				t.Errorf("%s %d: entry %d %v", name, r, e, ok)
			}
			if off, n := f.Overlay(); n != 7 || off != int64(len(data)-7) {
				t.Errorf("%s %d: overlay %d %d", name, r, off, n)
			}
			if len(f.Directories()) != 16 || f.Cut() || f.Err() != nil {
				t.Errorf("%s %d: cut %v, %v", name, r, f.Cut(), f.Err())
			}
		}
	}
}

func TestImports(t *testing.T) {
	for name, data := range samples() {
		width := uint64(4)
		if name == "64" {
			width = 8
		}
		for _, r := range []Reading{YARA4, YARAX} {
			f := parse(t, data, r)
			want := []Import{{"WS2_32.dll", []Function{
				{Name: "ExitProcess", RVA: 0x1080}, {Name: "WSAStartup", Ordinal: 115, ByOrdinal: true, RVA: 0x1080 + width},
			}}}
			if got := f.Imports(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %d: %+v", name, r, got)
			}
			want = []Import{{"late.DLL", []Function{
				{Name: "Late", RVA: 0x1170}, {Name: "ord7", Ordinal: 7, ByOrdinal: true, RVA: 0x1170 + width},
			}}}
			if got := f.Delayed(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %d: %+v", name, r, got)
			}
			sum := md5.Sum([]byte("ws2_32.exitprocess,ws2_32.wsastartup"))
			if got := f.ImportHash(); got != hex.EncodeToString(sum[:]) {
				t.Errorf("%s %d: %s", name, r, got)
			}
		}
	}
}

// What YARA 4.5 and YARA-X take for imports where names have odd bytes, or ordinals are
// too large (libyara/modules/pe/pe.c, valid_function_name and pe_valid_dll_name).
func TestOddImports(t *testing.T) {
	ordinal := words(115 | 1<<31)
	for _, c := range []struct {
		what, from, to string
		four, x        int // functions
	}{
		{"as it is", "", "", 2, 2},
		{"byte that is no text in a function's name", "ExitProcess", "ExitProc\x80ss", 1, 1},
		{"letter beyond ASCII in a function's name", "ExitProcess", "ExitPro\xc3\xa9ss", 1, 2},
		{"sign in a function's name", "ExitProcess", "ExitPro-ess", 1, 2},
		{"sign that is fine", "ExitProcess", "?xit@ro$ess", 2, 2},
		{"byte that is no text in a DLL's name", "WS2_32.dll", "WS2_\xff2.dll", 0, 0},
		{"letter beyond ASCII in a DLL's name", "WS2_32.dll", "WS2_\xc3\xa9.dll", 0, 2},
		{"sign in a DLL's name", "WS2_32.dll", "WS2<32.dll", 0, 0},
		{"ordinal that is too large", string(ordinal), string(words(115 | 1<<16 | 1<<31)), 1, 2},
	} {
		data := bytes.Replace(samples()["32"], []byte(c.from), []byte(c.to), 1)
		for r, want := range map[Reading]int{YARA4: c.four, YARAX: c.x} {
			n := 0
			for _, i := range parse(t, data, r).Imports() {
				n += len(i.Functions)
			}
			if n != want {
				t.Errorf("%s, %d: %d functions, want %d", c.what, r, n, want)
			}
		}
	}
}

// Neither asks how many directories the header says there are: it lies.
func TestNumberOfDirectories(t *testing.T) {
	for name, data := range samples() {
		for _, n := range []uint32{0, 1, 1 << 31} {
			for _, r := range []Reading{YARA4, YARAX} {
				f := parse(t, data, r)
				lying := bytes.Clone(data)
				binary.LittleEndian.PutUint32(lying[f.dirs-4:], n)
				f = parse(t, lying, r)
				if f.NumberOfRVAsAndSizes != n || len(f.Imports()) != 1 {
					t.Errorf("%s %d: %d directories, imports %v", name, r, f.NumberOfRVAsAndSizes, f.Imports())
				}
			}
		}
	}
}

func TestStem(t *testing.T) {
	for _, c := range []struct{ dll, four, x string }{
		{"a.dll", "a", "a"},
		{"A.OCX", "A", "A"},
		{"a.sys.dll", "a", "a.sys"},
		{"a.dllx", "a", "a.dllx"},
		{"a.exe.dll", "a.exe.dll", "a.exe"},
		{"a", "a", "a"},
		{".dll", "", ""},
		{"a.dl", "a.dl", "a.dl"},
		{"", "", ""},
	} {
		if got := (&File{o: Options{Reading: YARA4}}).stem(c.dll); got != c.four {
			t.Errorf("YARA 4: %q: %q", c.dll, got)
		}
		if got := (&File{}).stem(c.dll); got != c.x {
			t.Errorf("YARA-X: %q: %q", c.dll, got)
		}
	}
}

func TestExports(t *testing.T) {
	for name, data := range samples() {
		for _, r := range []Reading{YARA4, YARAX} {
			e := parse(t, data, r).Exports()
			want := &Exports{DLL: "me.dll", Named: true, Timestamp: 0x1234, Functions: []Export{
				{Name: "Alpha", Named: true, Ordinal: 5, RVA: 0x1004, Offset: headers + 4, Placed: true},
				{Ordinal: 6, RVA: 0x12A0, Forward: "other.Forward", Forwarded: true},
				{Name: "Gamma", Named: true, Ordinal: 7, RVA: 0x1008, Offset: headers + 8, Placed: true},
			}}
			if !reflect.DeepEqual(e, want) {
				t.Errorf("%s %d: %+v", name, r, e)
			}
		}
	}
}

func TestResources(t *testing.T) {
	for name, data := range samples() {
		for _, r := range []Reading{YARA4, YARAX} {
			f := parse(t, data, r)
			x := f.Resources()
			if x == nil || len(x.List) != 2 || x.Timestamp != 77 || x.Version != (Version{1, 2}) {
				t.Fatalf("%s %d: %+v", name, r, x)
			}
			a, b := x.List[0], x.List[1]
			if s, ok := f.IDText(a.Type); !ok || s != "B\x00A\x00R\x00" || a.Name.Number != 7 || a.Language.Number != 1033 || a.Size != 4 {
				t.Errorf("%s %d: %q %+v", name, r, s, a)
			}
			if b.Type.Text() || b.Type.Number != 16 || b.Name.Number != 1 || b.Language.Number != 1031 || b.Offset != headers+0x400+0x190 {
				t.Errorf("%s %d: %+v", name, r, b)
			}
			want := []Pair{{"CompanyName", "Example"}, {"Empty", ""}, {"CompanyName", "Beispiel"}}
			if got := f.Version(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %d: %q", name, r, got)
			}
			if v, ok := Value(f.Version(), "companyname"); !ok || v != "Beispiel" {
				t.Errorf("%s %d: %q", name, r, v)
			}
		}
	}
}

func TestRichAndDebug(t *testing.T) {
	for name, data := range samples() {
		for _, r := range []Reading{YARA4, YARAX} {
			f := parse(t, data, r)
			x := f.Rich()
			want := []Tool{{ID: 1, Version: 0x203, Times: 9}, {ID: 0xF0, Version: 1, Times: 1}}
			if x == nil || x.Offset != 0x80 || x.Key != 0xCAFEBABE || len(x.Raw) != 32 || x.Clear[:4] != "DanS" || !slices.Equal(x.Tools, want) {
				t.Errorf("%s %d: %+v", name, r, x)
			}
			if s, ok := f.PDBPath(); !ok || s != `c:\x\y.pdb` {
				t.Errorf("%s %d: %q %v", name, r, s, ok)
			}
		}
	}
}

// YARA 4 wants the padding of a rich header to be its key; YARA-X does not care.
func TestRichPadding(t *testing.T) {
	data := full(false)
	data[0x84] ^= 1
	if parse(t, data, YARA4).Rich() != nil {
		t.Error("YARA 4 takes it")
	}
	if parse(t, data, YARAX).Rich() == nil {
		t.Error("YARA-X does not take it")
	}
}

// Sections that overlap, and whose sizes disagree: which the readings take.
func TestOffset(t *testing.T) {
	m := &image{sections: []block0{
		{name: "a", at: 0x1000, data: make([]byte, 0x200), vsize: 0x2000, raw: 0x200},
		{name: "b", at: 0x1100, data: make([]byte, 0x200), vsize: 0x100, raw: 0x200},
		{name: "c", at: 0x8000, data: make([]byte, 0x200), vsize: 0x10, raw: 0x200},
	}}
	data := m.bytes()
	four, x := parse(t, data, YARA4), parse(t, data, YARAX)
	for _, c := range []struct {
		rva     uint64
		four, x int64 // -1: none
	}{
		{0, 0, 0},
		{0xfff, 0xfff, 0xfff}, // before the sections it is the offset; YARA 4 wants it in the file
		{0x1000, 0x400, 0x400},
		{0x10ff, 0x4ff, 0x4ff}, // in a
		{0x1100, 0x600, 0x600}, // in both: b has the higher address
		{0x1250, -1, 0x750},    // past b's virtual size and in its raw size
		{0x1300, -1, -1},       // in a's memory alone
		{0x8010, -1, 0x810},    // past c's virtual size
		{0x9000, -1, -1},
		{math.MaxUint32, -1, -1},
		{1 << 40, -1, -1},
		{math.MaxUint64, -1, -1},
	} {
		for r, want := range map[*File]int64{four: c.four, x: c.x} {
			if want == 0xfff && r == four {
				want = -1
			}
			got, ok := r.Offset(c.rva)
			if !ok {
				got = -1
			}
			if got != want {
				t.Errorf("reading %d: %#x: %#x, want %#x", r.o.Reading, c.rva, got, want)
			}
		}
	}
	for _, c := range []struct {
		off  uint32
		rva  uint32
		want bool
	}{{0, 0, true}, {0x400, 0x1000, true}, {0x600, 0x1100, true}, {0x810, 0x8010, true}, {0xA00, 0, false}, {math.MaxUint32, 0, false}} {
		if rva, ok := x.Address(c.off); ok != c.want || rva != c.rva {
			t.Errorf("%#x: %#x %v", c.off, rva, ok)
		}
	}
}

// The checksum against one that is computed word by word.
func TestChecksum(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 70000} {
		data := append(full(false), strings.Repeat("\xfd\x01", n)[:n]...)
		f := parse(t, data, YARAX)
		at := int(f.optional) + 64
		sum := uint64(0)
		for i := 0; i < len(data); i += 2 {
			v := uint64(data[i])
			if i+1 < len(data) {
				v |= uint64(data[i+1]) << 8
			}
			if i != at && i != at+2 {
				sum += v
			}
			sum = sum&0xffff + sum>>16
		}
		want := int64(sum) + int64(len(data))
		for _, r := range []Reading{YARA4, YARAX} {
			if got, ok := parse(t, data, r).ComputeChecksum(); !ok || got != want {
				t.Errorf("%d bytes more, reading %d: %#x %v, want %#x", n, r, got, ok, want)
			}
		}
	}
}

func TestDigestAndCertificates(t *testing.T) {
	data := full(false)
	plain := len(data) - len(data)%8
	data = data[:plain]
	f := parse(t, data, YARAX)
	table := append(words(16+5, 0x00020200), "certificate.."...)
	table = append(table, 0, 0, 0)
	table = append(append(table, words(12, 0x00020200)...), "next"...)
	signed := append(slices.Clone(data), table...)
	binary.LittleEndian.PutUint32(signed[f.dirs+8*DirSecurity:], uint32(plain))
	binary.LittleEndian.PutUint32(signed[f.dirs+8*DirSecurity+4:], uint32(len(table)))
	binary.LittleEndian.PutUint32(signed[f.optional+64:], 0x11223344) // checksum
	for _, r := range []Reading{YARA4, YARAX} {
		a, b := sha256.New(), sha256.New()
		if !parse(t, data, r).Digest(a) || !parse(t, signed, r).Digest(b) {
			t.Fatal("no digest")
		}
		if string(a.Sum(nil)) != string(b.Sum(nil)) {
			t.Errorf("reading %d: signing changes the digest", r)
		}
		signed[0x500] ^= 1
		c := sha256.New()
		parse(t, signed, r).Digest(c)
		signed[0x500] ^= 1
		if string(a.Sum(nil)) == string(c.Sum(nil)) {
			t.Errorf("reading %d: another file has the same digest", r)
		}
		want := []string{"certificate..", "next"}[:1+int(YARA4-r)]
		var got []string
		for _, c := range parse(t, signed, r).Certificates() {
			got = append(got, string(c.Data))
		}
		if !slices.Equal(got, want) {
			t.Errorf("reading %d: %q", r, got)
		}
	}
}

func TestSectionDigest(t *testing.T) {
	f := parse(t, full(true), YARAX)
	h := sha256.New()
	if !f.SectionDigest(1, h) {
		t.Fatal("none")
	}
	want := sha256.Sum256(append([]byte("second"), make([]byte, 0x200-6)...))
	if string(h.Sum(nil)) != string(want[:]) {
		t.Error("another digest")
	}
	if f.SectionDigest(2, h) || f.SectionDigest(-1, h) {
		t.Error("a section that is not there")
	}
}

// What is no PE file for whom.
func TestNone(t *testing.T) {
	good := full(false)
	edit := func(at int, b ...byte) []byte {
		d := slices.Clone(good)
		copy(d[at:], b)
		return d
	}
	for name, c := range map[string]struct {
		data    []byte
		four, x bool
	}{
		"empty":              {nil, false, false},
		"no MZ":              {edit(0, 'Z', 'M'), false, false},
		"no PE":              {edit(0x100, 'N', 'E'), false, false},
		"unknown machine":    {edit(0x104, 0x34, 0x12), true, true},
		"ROM":                {edit(0x118, 0x07, 0x01), true, true},
		"lfanew past end":    {edit(60, 0, 0, 0, 0x10), false, false},
		"lfanew negative":    {edit(60, 0, 0, 0, 0xff), false, false},
		"no optional header": {good[:0x118], false, true},
		"half a header":      {good[:0x150], false, true},
	} {
		for r, want := range map[Reading]bool{YARA4: c.four, YARAX: c.x} {
			if _, ok := Parse(showcause.Bytes(c.data), Options{Reading: r}); ok != want {
				t.Errorf("%s, reading %d: %v", name, r, ok)
			}
		}
	}
}

// Every file that ends early is read without a panic, and says no more than the
// whole.
func TestTruncated(t *testing.T) {
	for name, data := range samples() {
		for n := range data {
			for _, r := range []Reading{YARA4, YARAX} {
				f, ok := Parse(showcause.Bytes(data[:n]), Options{Reading: r})
				if !ok {
					continue
				}
				all(f)
				if got := len(f.Imports()); got > 1 {
					t.Fatalf("%s, %d bytes: %d imports", name, n, got)
				}
			}
		}
	}
}

// The same is said twice, and a second time of the same file.
func TestTwice(t *testing.T) {
	for _, data := range samples() {
		say := func(f *File) string {
			all(f)
			return fmt.Sprintf("%+v %+v %+v %+v %+v %+v", f.Header, f.Imports(), f.Exports(), f.Resources(), f.Version(), f.Rich())
		}
		f := parse(t, data, YARAX)
		first := say(f)
		if say(f) != first || say(parse(t, data, YARAX)) != first {
			t.Error("not the same")
		}
	}
}

// Files that want to be endless end within the bounds.
func TestHostile(t *testing.T) {
	const va = 0x1000
	le := binary.LittleEndian
	section := func(data []byte, dir int, d Directory) []byte {
		m := &image{wide: true, sections: []block0{{name: "x", at: va, data: data}}}
		m.dirs[dir] = d
		return m.bytes()
	}
	// Descriptors of which each has the same table of 60,000 functions.
	many := make([]byte, 1<<20)
	for i := range 16000 {
		copy(many[i*20:], words(va+0x80000, 0, 0, va+0x60000, va+0x80000))
	}
	copy(many[0x60000:], "a.dll\x00")
	for i := range 60000 {
		le.PutUint64(many[0x80000+8*i:], 1<<63|uint64(i&0xffff))
	}
	// Each of a directory's entries is the directory itself.
	cycle := make([]byte, 16+8*65536)
	le.PutUint16(cycle[12:], 32768)
	le.PutUint16(cycle[14:], 32768)
	for i := range 65536 {
		le.PutUint32(cycle[16+8*i:], uint32(i)&0x7fff|1)
		le.PutUint32(cycle[20+8*i:], 1<<31)
	}
	for i := range 32768 { // YARA-X does not go to the root again, but anywhere else
		le.PutUint32(cycle[20+8*i:], 1<<31|8)
	}
	// A name table of 2^32 functions.
	exports := words(0, 0, 0, 0, 0, math.MaxUint32, math.MaxUint32, va, va, va)
	// Names without an end.
	endless := make([]byte, 8<<20)
	for i := range endless {
		endless[i] = 'A'
	}
	for i := range 4000 {
		copy(endless[i*20:], words(va+0x40000, 0, 0, va+0x30000, va+0x40000))
	}
	for i := range 1000 {
		le.PutUint64(endless[0x40000+8*i:], va+0x50000)
	}
	for name, data := range map[string][]byte{
		"imports":   section(many, DirImport, Directory{va, 1 << 20}),
		"resources": section(cycle, DirResource, Directory{va, 1 << 20}),
		"exports":   section(append(exports, make([]byte, 1<<18)...), DirExport, Directory{va, 1 << 20}),
		"names":     section(endless, DirImport, Directory{va, 1 << 20}),
		"delayed":   section(many, DirDelayImport, Directory{va, math.MaxUint32}),
		"debug":     section(many, DirDebug, Directory{va, 28 * 37449}),
	} {
		for _, r := range []Reading{YARA4, YARAX} {
			steps := int64(0)
			f, ok := Parse(showcause.Bytes(data), Options{Reading: r, Work: func(n int64) bool { steps += n; return true }})
			if !ok {
				t.Fatal(name)
			}
			all(f)
			if steps > ownSteps+int64(len(data)) {
				t.Errorf("%s, reading %d: %d steps", name, r, steps)
			}
			t.Logf("%s, reading %d: %d steps, cut %v, %d bytes of text", name, r, steps, f.Cut(), f.text)
		}
	}
}

// Work that is refused stops the reading, and is told.
func TestWork(t *testing.T) {
	left := int64(6)
	f, ok := Parse(showcause.Bytes(full(false)), Options{Work: func(n int64) bool { left -= n; return left >= 0 }})
	all(f)
	if !ok || !f.Cut() {
		t.Errorf("%v, cut %v", ok, f.Cut())
	}
}

// Real files: everything is read, and nothing is cut.
func TestInstalled(t *testing.T) {
	n := 0
	for _, name := range installed(t) {
		data := readFile(t, name)
		for _, r := range []Reading{YARA4, YARAX} {
			f, ok := Parse(showcause.Bytes(data), Options{Reading: r})
			if !ok {
				t.Errorf("%s: no PE file", name)
				continue
			}
			all(f)
			if f.Cut() {
				t.Errorf("%s: cut", name)
			}
			n++
		}
	}
	if n == 0 {
		t.Skip("no PE files here")
	}
}

func FuzzPE(f *testing.F) {
	for _, data := range samples() {
		f.Add(data)
		f.Add(data[:0x600])
	}
	for _, name := range installed(f) {
		if data := readFile(f, name); len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range []Reading{YARA4, YARAX} {
			x, ok := Parse(showcause.Bytes(data), Options{Reading: r})
			if !ok {
				continue
			}
			all(x)
			if x.steps > ownSteps+1<<16 {
				t.Errorf("%d steps", x.steps)
			}
		}
	})
}

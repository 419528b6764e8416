package exe

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
)

func parse(b []byte) (*Info, bool) { return Parse(showcause.Bytes(b), detect(b)) }

func TestPlainPE(t *testing.T) {
	i, ok := parse(plainPE().build())
	if !ok || i.Kind != PE || i.Entry != 0x410 || i.Bits != 32 || i.PE64 || i.Overlay != 0xa00 || i.Packer != "" || len(i.Sections) != 2 {
		t.Fatalf("%+v, %v", i, ok)
	}
	want := Section{Name: ".text", Offset: 0x400, Size: 0x200, Virtual: 0x1000, VirtualSize: 0x1000, Exec: true}
	if i.Sections[0] != want {
		t.Errorf("%+v", i.Sections[0])
	}
	if s := i.Sections[1]; s.Exec || !s.Write || s.Offset != 0x600 || s.Size != 0x400 {
		t.Errorf("%+v", s)
	}
}

// TestPE changes one thing at a time. The offsets are ClamAV's.
func TestPE(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*peSpec)
		ok     bool
		entry  int64
		first  [2]int64
	}{
		"plain":                          {func(*peSpec) {}, true, 0x410, [2]int64{0x400, 0x200}},
		"wide":                           {func(s *peSpec) { s.wide = true }, true, 0x410, [2]int64{0x400, 0x200}},
		"entry in the headers":           {func(s *peSpec) { s.entry = 0x20 }, true, 0x20, [2]int64{0x400, 0x200}},
		"entry nowhere":                  {func(s *peSpec) { s.entry = 0x9000 }, false, 0, [2]int64{}},
		"no entry":                       {func(s *peSpec) { s.entry = 0 }, true, 0, [2]int64{0x400, 0x200}},
		"pointer rounded down":           {func(s *peSpec) { s.secs[0].rptr = 0x5ff }, true, 0x410, [2]int64{0x400, 0x200}},
		"size rounded up":                {func(s *peSpec) { s.secs[0].rsize = 0x101 }, true, 0x410, [2]int64{0x400, 0x200}},
		"alignment falls back":           {func(s *peSpec) { s.falign = 0x1000; s.secs[0].rsize = 0x201 }, true, 0x410, [2]int64{0x400, 0x400}},
		"alignment holds":                {func(s *peSpec) { s.falign = 0x1000; s.secs[0].rptr = 0x401; s.secs[1].rptr = 0x601 }, true, 0x10, [2]int64{0, 0x1000}},
		"no alignment":                   {func(s *peSpec) { s.falign = 0; s.secs[0].rptr = 0x401 }, true, 0x411, [2]int64{0x401, 0x200}},
		"cut at the end":                 {func(s *peSpec) { s.secs[0].rsize = 0x7ffffe00 }, true, 0x410, [2]int64{0x400, 0xc00}},
		"behind the end":                 {func(s *peSpec) { s.secs[0].rptr = 0x100000; s.entry = 0x2001 }, true, 0x601, [2]int64{0x100000, 0}},
		"sign bit":                       {func(s *peSpec) { s.secs[1].vsize = 1 << 31 }, false, 0, [2]int64{}},
		"none":                           {func(s *peSpec) { s.secs = nil }, false, 0, [2]int64{}},
		"97 sections":                    {func(s *peSpec) { s.count = 97; s.size = 0x8000 }, false, 0, [2]int64{}},
		"65535 sections":                 {func(s *peSpec) { s.count = 65535 }, false, 0, [2]int64{}},
		"table cut":                      {func(s *peSpec) { s.size = 0x1c0 }, false, 0, [2]int64{}},
		"the last of two that overlap":   {func(s *peSpec) { s.secs[1].va = 0x1000 }, true, 0x610, [2]int64{0x400, 0x200}},
		"a header that is far away":      {func(s *peSpec) { s.lfanew = 0x700; s.secs[0].rptr = 0xa00; s.secs[1].rptr = 0xc00 }, true, 0xa10, [2]int64{0xa00, 0x200}},
		"an optional header with a tail": {func(s *peSpec) { s.optSize = 16 }, true, 0x410, [2]int64{0x400, 0x200}},
	} {
		s := plainPE()
		c.change(&s)
		i, ok := parse(s.build())
		if ok != c.ok {
			t.Errorf("%s: %v", name, ok)
			continue
		}
		if ok && (i.Entry != c.entry || i.Sections[0].Offset != c.first[0] || i.Sections[0].Size != c.first[1]) {
			t.Errorf("%s: entry %#x, section %#x %#x", name, i.Entry, i.Sections[0].Offset, i.Sections[0].Size)
		}
	}
}

func TestVersionInfo(t *testing.T) {
	b := peWithVersion(someStrings)
	i, ok := parse(b)
	if !ok || len(i.VersionInfo) != 3 || i.Partial {
		t.Fatalf("%+v, %v", i, ok)
	}
	for n, key := range []string{"CompanyName", "FileVersion", "OriginalFilename"} { // not the one without a value
		if !bytes.HasPrefix(b[i.VersionInfo[n]:], []byte(utf16z(key))) {
			t.Errorf("%d is at %#x", n, i.VersionInfo[n])
		}
	}
}

// TestManyResources has directories of 65,535 entries that all lead to the
// same directory of as many.
func TestManyResources(t *testing.T) {
	s := plainPE()
	s.size = 0x200000
	s.secs[1] = secSpec{".rsrc", 0x1f0000, 0x2000, 0x1f0000, 0x600, 0x40000040}
	s.dirs = map[int][2]uint32{2: {0x2000, 0x1000}}
	b := s.build()
	clear(b[0x600:])
	le.PutUint16(b[0x600+14:], 1)
	le.PutUint32(b[0x600+16:], 16)
	le.PutUint32(b[0x600+20:], 1<<31|0x100)
	for _, d := range []int{0x700, 0x100700} {
		le.PutUint16(b[d+14:], 65535)
		for n := range 65535 {
			le.PutUint32(b[d+16+8*n:], uint32(n))
			le.PutUint32(b[d+20+8*n:], 1<<31|0x100100)
		}
	}
	i, ok := parse(b)
	if !ok || !i.Partial {
		t.Errorf("%v, %+v", ok, i)
	}
}

func TestELF(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, big := range []bool{false, true} {
			i, ok := parse(plainELF(wide, big).build())
			if !ok || i.Kind != ELF || i.Entry != 0x123 || len(i.Sections) != 3 || i.Sections[2].Offset != 0x900 || i.Sections[2].Size != 0x333 {
				t.Errorf("wide %v, big %v: %v %+v", wide, big, ok, i)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*elfSpec)
		ok     bool
		entry  int64
	}{
		"no entry":                {func(e *elfSpec) { e.entry = 0 }, true, 0},
		"second segment":          {func(e *elfSpec) { e.entry = 0x600001 }, true, 0x201},
		"entry nowhere":           {func(e *elfSpec) { e.entry = 1 }, false, 0},
		"no sections":             {func(e *elfSpec) { e.shnum = 0 }, true, 0x123},
		"no section entry size":   {func(e *elfSpec) { e.shnum, e.shentsize = 0, 0 }, false, 0},
		"256 sections":            {func(e *elfSpec) { e.shnum, e.size = 256, 0x6000 }, true, 0x123},
		"257 sections":            {func(e *elfSpec) { e.shnum, e.size = 257, 0x6000 }, false, 0},
		"65535 sections":          {func(e *elfSpec) { e.shnum = 0xffff }, false, 0},
		"65535 program headers":   {func(e *elfSpec) { e.phnum = 0xffff }, false, 0},
		"128 program headers":     {func(e *elfSpec) { e.phnum, e.secs, e.shnum = 128, nil, 0 }, true, 0x123},
		"sections behind the end": {func(e *elfSpec) { e.shnum = 200 }, false, 0},
	} {
		e := plainELF(true, false)
		e.size = max(e.size, 0x2000)
		c.change(&e)
		i, ok := parse(e.build())
		if ok != c.ok || ok && i.Entry != c.entry {
			t.Errorf("%s: %v %+v", name, ok, i)
		}
	}
}

func TestMachO(t *testing.T) {
	i, ok := parse(machoSpec{cpu: 18, big: true, thread: true, pc: 0x1410, align: 4}.build())
	if !ok || i.Kind != MachO || i.Entry != 0x410 || len(i.Sections) != 2 || i.Sections[1].Offset != 0x600 || i.Sections[1].Size != 0x160 || i.Overlay != 0x1000 {
		t.Errorf("PowerPC: %v %+v", ok, i)
	}
	i, ok = parse(machoSpec{cpu: 7 | 1<<24, wide: true}.build())
	if !ok || i.Bits != 64 || i.Entry != 0 || len(i.Sections) != 2 || i.Sections[0].Size != 0x155 || !i.Sections[0].Exec {
		t.Errorf("Intel: %v %+v", ok, i)
	}
	if _, ok := parse(machoSpec{cpu: 18, big: true, thread: true, pc: 0x9000}.build()); ok {
		t.Error("an entry point nowhere")
	}
}

// TestPackers holds that the packed test files are told, and what by.
func TestPackers(t *testing.T) {
	want := map[string]string{
		"clam-aspack.exe": "aspack", "clam-mew.exe": "mew", "clam-nsis.exe": "nsis", "clam-pespin.exe": "pespin", "clam-petite.exe": "petite",
		"clam-upack.exe": "upack", "clam-upx.exe": "upx", "clam-wwpack.exe": "wwpack", "clam-yc.exe": "yc", "clam.exe": "",
		// This one is not packed at all: it is a program with clam.exe as it is
		// in a section. Embedded finds it.
		"clam-fsg.exe":  "",
		"clam.ea05.exe": "autoit", "clam.ea06.exe": "autoit",
		"clam_IScab_ext.exe": "installshield", "clam_IScab_int.exe": "installshield", "clam_ISmsi_ext.exe": "installshield", "clam_ISmsi_int.exe": "installshield",
	}
	if _, err := os.Stat(testFiles); err != nil {
		t.Skip("clamav-testfiles is not installed")
	}
	for name, w := range want {
		b, err := os.ReadFile(filepath.Join(testFiles, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if i, ok := parse(b); !ok || i.Packer != w {
			t.Errorf("%s: %v %q, want %q", name, ok, i.Packer, w)
		}
	}
}

// TestPackersMade holds each way of telling on files made for it.
func TestPackersMade(t *testing.T) {
	at := func(b []byte, off int, s string) []byte { copy(b[off:], s); return b }
	plain := func() []byte { return plainPE().build() }
	named := func(n string) []byte { s := plainPE(); s.secs[0].name = n; return s.build() }
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"none":                  {plain(), ""},
		"upx by code":           {at(plain(), 0x410, "\x60\xbe\x00\x60\x40\x00\x8d\xbe"), "upx"},
		"fsg by code":           {at(plain(), 0x410, "\x87\x25\x00\x00\x00\x00\x61\x94\x55\xa4\xb6\x80\xff\x13"), "fsg"},
		"vmprotect by name":     {named(".vmp0"), "vmprotect"},
		"nsis at 512":           {at(plain(), 0xa04, "\xef\xbe\xad\xdeNullsoftInst"), "nsis"},
		"nsis elsewhere":        {at(plain(), 0xb11, "\xef\xbe\xad\xdeNullsoftInst"), ""},
		"inno in the image":     {at(plain(), 0x777, "rDlPtS"), "innosetup"},
		"7z behind":             {at(plain(), 0xa00, "7z\xbc\xaf\x27\x1c"), "7z-sfx"},
		"7z in the image":       {at(plain(), 0x700, "7z\xbc\xaf\x27\x1c"), ""},
		"pyinstaller":           {at(plain(), 0xf00, "MEI\x0c\x0b\x0a\x0b\x0e"), "pyinstaller"},
		"upx elf":               {at(plainELF(true, false).build(), 64+2*56+4, "UPX!"), "upx"},
		"elf":                   {plainELF(true, false).build(), ""},
		"mark across two reads": {at(append(plain(), make([]byte, 1<<20)...), 256<<10-16, "\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7dAU3!EA06"), "autoit"},
	} {
		if i, ok := parse(c.b); !ok || i.Packer != c.want {
			t.Errorf("%s: %v %+v", name, ok, i)
		}
		if got := Packer(showcause.Bytes(c.b), detect(c.b)); got != c.want {
			t.Errorf("%s: Packer says %q", name, got)
		}
	}
}

// TestPackersRefused holds that a packer is named where ClamAV gives the file
// up: otherwise 97 sections would be a way past it.
func TestPackersRefused(t *testing.T) {
	pe := func(change func(*peSpec)) []byte {
		s := plainPE()
		s.secs[0].name = "UPX0"
		change(&s)
		return s.build()
	}
	elf := plainELF(true, false)
	elf.shnum, elf.shentsize = 0, 0
	upx := elf.build()
	copy(upx[64+2*56+4:], "UPX!")
	nsis := pe(func(s *peSpec) { s.secs[0].name, s.count = ".text", 97 })
	copy(nsis[0xa04:], "\xef\xbe\xad\xdeNullsoftInst")
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"97 sections":    {pe(func(s *peSpec) { s.count = 97 }), "upx"},
		"entry nowhere":  {pe(func(s *peSpec) { s.entry = 0x7000 }), "upx"},
		"sign bit":       {pe(func(s *peSpec) { s.secs[1].vsize = 1 << 31 }), "upx"},
		"elf, no sizes":  {upx, "upx"},
		"nsis, 97":       {nsis, "nsis"},
		"not packed, 97": {pe(func(s *peSpec) { s.secs[0].name, s.count = ".text", 97 }), ""},
	} {
		if _, ok := parse(c.b); ok {
			t.Errorf("%s parses", name)
		}
		if got := Packer(showcause.Bytes(c.b), detect(c.b)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestOrdinary holds that no program of the system is called packed.
func TestOrdinary(t *testing.T) {
	n := 0
	for _, root := range []string{"/usr/bin", "/usr/sbin", "/usr/lib"} {
		_ = filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || testing.Short() {
				return nil
			}
			f, err := os.Open(p)
			if err != nil {
				return nil
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return nil
			}
			src := sized{f, st.Size()}
			head := make([]byte, min(st.Size(), 64<<10))
			if k, _ := f.ReadAt(head, 0); int64(k) != int64(len(head)) {
				return nil
			}
			ty := filetype.Detect(head, src)
			if ty == filetype.ELF || ty == filetype.PE || ty == filetype.DOS {
				n++
				if i, ok := Parse(src, ty); ok && i.Packer != "" {
					t.Errorf("%s is called %s", p, i.Packer)
				}
			}
			return nil
		})
	}
	t.Logf("%d programs", n)
}

// TestOrdinaryElsewhere is the same on what Go's own parsers are tested on.
func TestOrdinaryElsewhere(t *testing.T) {
	for name, b := range goFiles() {
		if i, ok := parse(b); ok && i.Packer != "" {
			t.Errorf("%s is called %s", name, i.Packer)
		}
	}
}

type sized struct {
	*os.File
	n int64
}

func (s sized) Size() int64 { return s.n }

// walk runs a format and returns the children and gaps.
func walk(f unpack.Format, b []byte, l showcause.Limits) (kids [][]byte, gaps []showcause.Gap) {
	out := unpack.NewOut(unpack.NewBudget(l, int64(len(b)), nil), nil, func(l showcause.Layer) {
		k := make([]byte, l.Source.Size())
		_, _ = l.Source.ReadAt(k, 0)
		kids = append(kids, k)
	}, func(g showcause.Gap) { gaps = append(gaps, g) })
	f.Walk(showcause.Bytes(b), out)
	return kids, gaps
}

func fatFile(little bool, slices ...[3]int64) []byte {
	var o binary.AppendByteOrder = binary.BigEndian
	if little {
		o = binary.LittleEndian
	}
	b := o.AppendUint32(nil, 0xcafebabe)
	b = o.AppendUint32(b, uint32(len(slices)))
	for _, s := range slices {
		for _, v := range []uint32{7, 3, uint32(s[0]), uint32(s[1]), 12} {
			b = o.AppendUint32(b, v)
		}
	}
	out := fill(0x1000, 9)
	copy(out, b)
	return out
}

func codes2(gaps []showcause.Gap) (s []string) {
	for _, g := range gaps {
		s = append(s, string(g.Code))
	}
	return s
}

func TestUniversal(t *testing.T) {
	f := Universal()
	nested := fatFile(false, [3]int64{0x200, 0x100}, [3]int64{0x400, 0x40})
	copy(nested[0x200:], "\xca\xfe\xba\xbe\x00\x00\x00\x01")
	for name, c := range map[string]struct {
		b    []byte
		kids []int // lengths
		gaps []string
	}{
		"two":      {fatFile(false, [3]int64{0x200, 0x100}, [3]int64{0x400, 0x200}), []int{0x100, 0x200}, nil},
		"little":   {fatFile(true, [3]int64{0x200, 0x100}), []int{0x100}, nil},
		"overlap":  {fatFile(false, [3]int64{0x200, 0x100}, [3]int64{0x2ff, 0x10}), []int{0x100, 0x10}, []string{"ambiguous.overlap"}},
		"cut":      {fatFile(false, [3]int64{0xf00, 0x200}), []int{0x100}, []string{"corrupt"}},
		"outside":  {fatFile(false, [3]int64{0x9000, 0x200}, [3]int64{0x200, 0x10}), []int{0x10}, []string{"corrupt"}},
		"itself":   {fatFile(false, [3]int64{0, 0x1000}), nil, []string{"corrupt"}},
		"nested":   {nested, []int{0x40}, []string{"unsupported.format.macho-universal-nested"}},
		"too many": {fatFile(false, make([][3]int64, 36)...), nil, append([]string{"limit.objects"}, slices.Repeat([]string{"corrupt"}, 32)...)},
	} {
		if !f.Match(&unpack.Probe{Head: c.b}) {
			t.Errorf("%s does not match", name)
		}
		kids, gaps := walk(f, c.b, showcause.Limits{})
		var n []int
		for _, k := range kids {
			n = append(n, len(k))
		}
		if !slices.Equal(n, c.kids) || !slices.Equal(codes2(gaps), c.gaps) {
			t.Errorf("%s: children %v, gaps %v", name, n, codes2(gaps))
		}
	}
	if f.Match(&unpack.Probe{Head: []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34")}) {
		t.Error("a Java class matches")
	}
}

func TestEmbedded(t *testing.T) {
	inner := plainPE()
	inner.size, inner.seed = 0xa00, 77
	a, b := inner.build(), func() []byte { s := inner; s.seed = 78; return s.build() }()
	host := plainPE().build()
	file := slices.Concat(host, a, []byte("MZ is no start, nor is PE\x00\x00 one"), b)
	kids, gaps := walk(Embedded(nil), file, showcause.Limits{})
	if len(kids) != 2 || len(gaps) != 0 || !bytes.HasPrefix(kids[0], a) || !bytes.Equal(kids[1], b) {
		t.Errorf("%d children, %v", len(kids), gaps)
	}
	if kids, _ := walk(Embedded(nil), host, showcause.Limits{}); len(kids) != 0 {
		t.Errorf("a plain file has %d", len(kids))
	}
	// At every place about a chunk's end it is found once.
	for off := 256<<10 - 1200; off < 256<<10+20; off += 13 {
		f := slices.Concat(host, make([]byte, off-len(host)), a)
		if kids, _ := walk(Embedded(nil), f, showcause.Limits{}); len(kids) != 1 || !bytes.Equal(kids[0], a) {
			t.Fatalf("at %d: %d children", off, len(kids))
		}
	}
	_, gaps = walk(Embedded(nil), bytes.Repeat(a, 50), showcause.Limits{Work: 20})
	if len(gaps) != 1 || gaps[0].Code != showcause.LimitWork {
		t.Errorf("without work left: %v", gaps)
	}
	if p := filepath.Join(testFiles, "clam-fsg.exe"); fileExists(p) {
		raw, _ := os.ReadFile(p)
		want, _ := os.ReadFile(filepath.Join(testFiles, "clam.exe"))
		if kids, _ := walk(Embedded(nil), raw, showcause.Limits{}); len(kids) != 1 || !bytes.Equal(kids[0], want) {
			t.Errorf("clam-fsg.exe: %d children", len(kids))
		}
	}
}

func fileExists(p string) bool { _, err := os.Stat(p); return err == nil }

// seeds are the files that the other tests begin with.
func seeds() [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	out := [][]byte{
		plainPE().build(), peWithVersion(someStrings), plainELF(false, false).build(), plainELF(true, true).build(),
		machoSpec{cpu: 18, big: true, thread: true, pc: 0x1410}.build(), machoSpec{cpu: 7, thread: true}.build(), machoSpec{cpu: 18 | 1<<24, wide: true, thread: true, pc: 0x1410}.build(),
		fatFile(false, [3]int64{0x200, 0x100}, [3]int64{0x400, 0x200}),
	}
	for range 10 {
		out = append(out, randomPE(r).build())
	}
	return out
}

// everything reads b as each type and format, and tells what came out.
func everything(b []byte) []any {
	var out []any
	for _, ty := range []filetype.Type{filetype.PE, filetype.ELF, filetype.MachO, filetype.Text} {
		i, ok := Parse(showcause.Bytes(b), ty)
		out = append(out, i, ok, Packer(showcause.Bytes(b), ty))
	}
	for _, f := range []unpack.Format{Universal(), Embedded(nil)} {
		f.Match(&unpack.Probe{Head: b, Source: showcause.Bytes(b)})
		kids, gaps := walk(f, b, showcause.Limits{Objects: 100, Work: 1 << 20})
		out = append(out, kids, gaps)
	}
	return out
}

// TestTruncated cuts the seeds at every place.
func TestTruncated(t *testing.T) {
	for _, b := range seeds() {
		for n := 0; n < min(len(b), 0xc00); n++ {
			everything(b[:n])
		}
	}
	if _, ok := Parse(showcause.Bytes(nil), filetype.PE); ok {
		t.Error("nothing is a program")
	}
}

// TestSmallMemory holds that lying counts do not make it allocate.
func TestSmallMemory(t *testing.T) {
	s := plainPE()
	s.count = 65535
	b := s.build()
	if n := testing.AllocsPerRun(10, func() { parse(b) }); n > 100 {
		t.Errorf("%v allocations", n)
	}
	if strings.Contains(detect(b).String(), "text") {
		t.Error("not a program")
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one, two := everything(b), everything(b)
		if !reflect.DeepEqual(one, two) {
			t.Fatal("read twice, two answers")
		}
		for k := 0; k < 9; k += 3 {
			i, _ := one[k].(*Info)
			if i == nil {
				continue
			}
			if i.Overlay >= int64(len(b)) || i.Entry < 0 || len(i.Sections) > machoTotal || !slices.IsSorted(i.VersionInfo) {
				t.Fatalf("%+v", i)
			}
			for _, s := range i.Sections {
				if s.Offset < 0 || s.Size < 0 || i.Kind == PE && s.Size > 0 && s.Offset+s.Size > int64(len(b)) {
					t.Fatalf("%+v", s)
				}
			}
			for _, v := range i.VersionInfo {
				if v < 0 || v >= int64(len(b)) {
					t.Fatalf("%#x", v)
				}
			}
		}
	})
}

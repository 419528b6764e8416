package exe

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// imports is one DLL and its functions: names, or ordinals as "#16".
type imports struct {
	dll       string
	functions []string
}

// importPE makes a program of a section that has import tables.
func importPE(wide bool, dlls ...imports) []byte {
	const va, at = 0x2000, 0x600
	w, flag := 4, uint64(1)<<31
	if wide {
		w, flag = 8, 1<<63
	}
	b := make([]byte, 20*(len(dlls)+1)+4)
	dir := len(b)
	for i, d := range dlls {
		le.PutUint32(b[20*i+12:], uint32(va+len(b)))
		b = append(b, d.dll+"\x00"...)
		table := make([]byte, w*(len(d.functions)+1))
		thunks := len(b)
		le.PutUint32(b[20*i:], uint32(va+thunks))
		le.PutUint32(b[20*i+16:], uint32(va+thunks))
		b = append(b, table...)
		for j, f := range d.functions {
			v := uint64(va + len(b))
			if len(f) > 1 && f[0] == '#' {
				n, _ := strconv.Atoi(f[1:])
				v = flag | uint64(n)
			} else {
				b = append(b, "\x01\x02"+f+"\x00"...)
			}
			t := le.AppendUint64(nil, v)
			copy(b[thunks+w*j:], t[:w])
		}
	}
	n := (len(b) + 300 + 511) &^ 511 // names in a file's last bytes are not read
	s := plainPE()
	s.wide, s.size = wide, at+n
	s.secs[1] = secSpec{".idata", uint32(n), va, uint32(n), at, 0xc0000040}
	s.dirs = map[int][2]uint32{1: {va, uint32(dir)}}
	out := s.build()
	clear(out[at:])
	copy(out[at:], b)
	return out
}

// free is work without an end.
func free(int64) bool { return true }

// importText returns what the import hash of b is of.
func importText(b []byte) (text string, ok, cut bool) {
	info, _ := Parse(showcause.Bytes(b), filetype.PE)
	var w bytes.Buffer
	n, ok, cut := Imports(showcause.Bytes(b), info, &w, free)
	if n != int64(w.Len()) {
		panic("size of the imports")
	}
	return w.String(), ok, cut
}

func TestImports(t *testing.T) {
	long := strings.Repeat("d", 300)
	for _, c := range []struct {
		name string
		dlls []imports
		want string
		none bool
	}{
		{"two", []imports{{"KERNEL32.dll", []string{"ExitProcess", "LoadLibraryA"}}, {"b.drv", []string{"f"}}}, "kernel32.exitprocess,kernel32.loadlibrarya,b.drv.f", false},
		{
			"extensions",
			[]imports{{"a.OCX", []string{"f"}}, {"b.sys", []string{"f"}}, {"c.exe", []string{"f"}}, {"d.dll.x", []string{"f"}}, {"e.x.dll", []string{"f"}}, {".SYS", []string{"f"}}},
			"a.f,b.f,c.exe.f,d.f,e.x.dll.f,.f", false,
		},
		{
			"ordinals",
			[]imports{{"WS2_32.dll", []string{"#1", "#25", "#115", "#117"}}, {"wsock32.DLL", []string{"#3"}}, {"OleAut32.dllx", []string{"#2", "#443", "#1"}}, {"oleaut32", []string{"#2"}}, {"mfc42.dll", []string{"#65535"}}},
			"ws2_32.accept,ws2_32.getnameinfow,ws2_32.wsastartup,ws2_32.ord117,wsock32.closesocket,oleaut32.sysallocstring,oleaut32.unregistertypelibforuser,oleaut32.ord1,oleaut32.ord2,mfc42.ord65535", false,
		},
		{"long names", []imports{{long + ".dll", []string{long, "Q"}}}, long[:256] + "." + long[:256] + "," + long[:256] + ".q", false},
		{"no name", []imports{{"a.dll", []string{""}}, {"", []string{"x"}}}, "a.,.x", false},
		{"C++", []imports{{"a.dll", []string{"f", "?x@@"}}}, "", true},
		{"no functions", []imports{{"a.dll", nil}}, "", false},
		{"no DLL", nil, "", false},
	} {
		if text, ok, cut := importText(importPE(false, c.dlls...)); !c.none && text != c.want || ok == c.none || cut {
			t.Errorf("%s: %q, %v, %v", c.name, text, ok, cut)
		}
		if _, ok, cut := importText(importPE(true, c.dlls...)); ok || cut {
			t.Errorf("%s: PE32+ has a hash", c.name)
		}
	}
	if _, ok, _ := importText(plainPE().build()); ok {
		t.Error("no directory, and a hash")
	}
	if _, ok, _ := Imports(showcause.Bytes(nil), nil, nil, nil); ok {
		t.Error("nothing has a hash")
	}
}

// allOrdinals imports every ordinal of a DLL.
func allOrdinals(dll string) imports {
	var all []string
	for i := range 1<<16 - 1 {
		all = append(all, fmt.Sprintf("#%d", i+1))
	}
	return imports{dll, all}
}

// TestImportsBounded has directories of which many entries share one table.
func TestImportsBounded(t *testing.T) {
	b := importPE(false, allOrdinals("a.dll"), imports{"a.dll", nil}, imports{"a.dll", nil})
	copy(b[0x600+20:], b[0x600:0x600+20])
	copy(b[0x600+40:], b[0x600:0x600+20])
	if _, ok, cut := importText(b); ok || !cut {
		t.Errorf("too many functions: %v, %v", ok, cut)
	}
	info, _ := Parse(showcause.Bytes(b), filetype.PE)
	left := int64(100)
	n, ok, cut := Imports(showcause.Bytes(b), info, new(bytes.Buffer), func(n int64) bool { left -= n; return left >= 0 })
	if ok || !cut || n == 0 || left != -1 {
		t.Errorf("without work left: %d bytes, %v, %v, work %d", n, ok, cut, left)
	}
}

var importSeeds = []imports{
	{"KERNEL32.dll", []string{"ExitProcess", "LoadLibraryA", "#7"}}, {"ws2_32.dll", []string{"#1", "#300", "send"}}, {"some.ocx", []string{"Run"}},
}

// importSubjects are the files to compare on.
func importSubjects() map[string][]byte {
	out := map[string][]byte{
		"ole": importPE(false, allOrdinals("oleaut32.dll")), "ws": importPE(false, allOrdinals("ws2_32.dll")), "wsock": importPE(false, allOrdinals("wsock32.dll")),
		"none": importPE(false), "wide": importPE(true, importSeeds...), "empty": importPE(false, imports{"a.dll", nil}),
		"hyphen": importPE(false, imports{"api-ms-a.b.dll", []string{"A", "", "_b.c"}}, imports{"\xe4 \xc4.dll", []string{"f"}}),
		"cpp":    importPE(false, imports{"a.dll", []string{"f", "?x@@"}}),
		"long":   importPE(false, imports{strings.Repeat("d", 300) + ".dll", []string{strings.Repeat("F", 300), "Q"}}),
	}
	var many []imports
	for i := range 1100 {
		many = append(many, imports{fmt.Sprintf("d%d.dll", i), []string{"f"}})
	}
	out["many"] = importPE(false, many...)
	r := rand.New(rand.NewPCG(5, 6))
	whole := importPE(false, importSeeds...)
	for i := range 150 {
		b := slices.Clone(whole)
		for range 1 + r.IntN(3) {
			at := 0x600 + r.IntN(250)
			switch r.IntN(4) {
			case 0:
				b[at] = byte(r.Uint32())
			case 1:
				le.PutUint32(b[at&^3:], 0)
			case 2:
				le.PutUint32(b[at&^3:], 0x2000+uint32(r.IntN(len(b)-0x600+20)))
			case 3:
				le.PutUint32(b[at&^3:], uint32(r.IntN(0x500)))
			}
		}
		if r.IntN(4) == 0 {
			b = b[:0x600+100+r.IntN(len(b)-0x700)]
		}
		out[fmt.Sprintf("random%d", i)] = b
	}
	paths, _ := filepath.Glob(testFiles + "/clam*.exe")
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil {
			out["system-"+filepath.Base(p)] = b
		}
	}
	maps.Copy(out, goFiles())
	return out
}

// TestImportsAgainstClamscan compares hash and size with those that clamscan
// prints, and has it look for them.
func TestImportsAgainstClamscan(t *testing.T) {
	needClamscan(t)
	dir := t.TempDir()
	db, file := filepath.Join(dir, "x.imp"), filepath.Join(dir, "x.exe")
	told := regexp.MustCompile(`IMP: ([0-9a-f]{32}:[0-9]+)`)
	have := 0
	for name, b := range importSubjects() {
		if detect(b) != filetype.PE && detect(b) != filetype.DOS {
			continue
		}
		text, ok, _ := importText(b)
		line := fmt.Sprintf("%x:%d", md5.Sum([]byte(text)), len(text))
		rules := line + ":Right\n" + fmt.Sprintf("%x:%d:Wrong\n", md5.Sum([]byte(text)), len(text)+1)
		if text == "" {
			rules = fmt.Sprintf("%x:*:Right:73\n", md5.Sum(nil))
		}
		for p, data := range map[string][]byte{db: []byte(rules), file: b} {
			if err := os.WriteFile(p, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, _ := exec.Command("clamscan", "--debug", "--no-summary", "--bytecode=no", "--scan-archive=no", "-d", db, file).CombinedOutput()
		if !ok {
			line = ""
		} else {
			have++
		}
		want := ""
		for i, m := range told.FindAllSubmatch(out, -1) {
			// Of the system's files, what is printed may be of one within.
			if system := strings.HasPrefix(name, "system-"); i == 0 && !system || system && string(m[1]) == line {
				want = string(m[1])
			}
		}
		if line != want || ok != bytes.Contains(out, []byte("Right.UNOFFICIAL FOUND")) || bytes.Contains(out, []byte("Wrong.UNOFFICIAL")) {
			t.Errorf("%s: clamscan %q, here %q of %.80q", name, want, line, text)
		}
	}
	if have < 50 {
		t.Errorf("%d files have a hash", have)
	}
	t.Logf("%d files have a hash", have)
}

// TestImportsTruncated cuts a file at every place.
func TestImportsTruncated(t *testing.T) {
	b := importPE(false, importSeeds...)
	for n := range b {
		if text, ok, _ := importText(b[:n]); ok && n < 0x600 {
			t.Fatalf("cut at %d: %q", n, text)
		}
	}
}

func FuzzImports(f *testing.F) {
	for _, b := range importSubjects() {
		if len(b) < 8<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one, ok, cut := importText(b)
		two, again, _ := importText(b)
		if one != two || ok != again || ok && cut {
			t.Fatal("read twice, two answers")
		}
	})
}

package differ

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
)

// packing is a way in which UPX is told to pack; slow ones are for small programs.
type packing struct {
	options string
	pe      bool // of PE alone
	slow    bool
}

func packings() (out []packing) {
	for _, o := range strings.Fields("-1 -2 -3 -4 -5 -6 -7 -8 -9 --best --lzma --nrv2b --nrv2d --nrv2e --all-filters --overlay=copy --overlay=strip") {
		out = append(out, packing{options: o})
	}
	for _, o := range strings.Fields("--brute --ultra-brute --all-methods") {
		out = append(out, packing{options: o, slow: true})
	}
	for _, o := range strings.Fields("--compress-icons=0 --compress-icons=1 --compress-icons=2 --compress-icons=3 --compress-exports=0 --compress-exports=1 --compress-resources=0 --strip-relocs=0 --strip-relocs=1") {
		out = append(out, packing{options: o, pe: true})
	}
	return out
}

// program is one that is packed.
type program struct {
	name  string
	pe    bool
	plant []byte // bytes of its data that must be found where the image is not the file that was packed
}

// source is a program in C that needs no library: a planted text, data, functions that call each other.
func source(r *rand.Rand, plant string, pe bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "const char planted[] = %q;\nstatic const unsigned table[] = {", plant)
	for range 200 + r.IntN(3000) {
		fmt.Fprintf(&b, "%#x,", r.Uint32N(1<<uint(8+r.IntN(24))))
	}
	b.WriteString("};\nvolatile unsigned sum;\nunsigned step0(unsigned x) { return x * 7 + table[x % 200] + planted[x % 16]; }\n")
	n := 20 + r.IntN(200)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "__attribute__((noinline)) unsigned step%d(unsigned x) { sum ^= %d; return step%d(x + %d) ^ (x > %d ? step%d(x / 2) : %d); }\n", i, r.IntN(1<<20), i-1, r.IntN(999), r.IntN(999), r.IntN(i), i)
	}
	start := "_start"
	if pe {
		start = "mainCRTStartup"
	}
	fmt.Fprintf(&b, "void %s(void) { sum = step%d(sum); for (;;) ; }\n", start, n-1)
	return b.String()
}

// compiled are programs that a compiler makes of such source, n of each kind.
func compiled(t *testing.T, dir string, n int) (out []program) {
	r := rand.New(rand.NewPCG(11, 2))
	for _, c := range []struct {
		kind, command string
		pe            bool
	}{
		{"elf64", "gcc -nostdlib -static -ffreestanding", false},
		{"elf32", "gcc -m32 -nostdlib -static -ffreestanding -fno-pic", false},
		{"pe64", "x86_64-w64-mingw32-gcc -nostdlib -ffreestanding -Wl,--dynamicbase -lkernel32", true},
		{"pe32", "i686-w64-mingw32-gcc -nostdlib -ffreestanding -lkernel32 -e _mainCRTStartup", true},
	} {
		words := strings.Fields(c.command)
		if _, err := exec.LookPath(words[0]); err != nil {
			t.Logf("no %s: none of %s", words[0], c.kind)
			continue
		}
		for i := range n {
			plant := fmt.Sprintf("planted %016x%016x%016x in %s %d", r.Uint64(), r.Uint64(), r.Uint64(), c.kind, i)
			in, to := filepath.Join(dir, "in.c"), filepath.Join(dir, fmt.Sprintf("%s-%d.exe", c.kind, i))
			if err := os.WriteFile(in, []byte(source(r, plant, c.pe)), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{fmt.Sprintf("-O%d", i%3), "-o", to, in}, words[1:]...)
			if c.pe {
				args = append(args, resources(t, dir, strings.TrimSuffix(words[0], "gcc")+"windres"))
			}
			if msg, err := exec.Command(words[0], args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v %s", args, err, msg)
			}
			out = append(out, program{name: to, pe: c.pe, plant: []byte(plant)})
		}
	}
	return out
}

// resources compiles two icons and a version for PE files, and returns the name of the object.
func resources(t *testing.T, dir, windres string) string {
	object := filepath.Join(dir, windres+".o")
	if _, err := os.Stat(object); err == nil {
		return object
	}
	const pixels = 16 * 16 * 4
	icon := []byte{0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0, 40 + pixels&255, (40 + pixels) >> 8, 0, 0, 22, 0, 0, 0}
	icon = append(icon, 40, 0, 0, 0, 16, 0, 0, 0, 32, 0, 0, 0, 1, 0, 32, 0)
	icon = append(icon, make([]byte, 24)...)
	for i := range pixels {
		icon = append(icon, byte(i*i))
	}
	script := "1 ICON \"a.ico\"\n2 ICON \"a.ico\"\n1 VERSIONINFO FILEVERSION 1,2,3,4\nBEGIN\nBLOCK \"StringFileInfo\"\nBEGIN\nBLOCK \"040904b0\"\nBEGIN\nVALUE \"CompanyName\", \"A maker\"\nEND\nEND\nEND\n"
	for name, text := range map[string]string{"a.ico": string(icon), "a.rc": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(windres, "a.rc", object)
	c.Dir = dir
	if msg, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", windres, err, msg)
	}
	return object
}

// installed are programs of a folder that are ELF, each so many bytes at most, the first of each size.
func installed(dir string, n int, most int64) (out []program) {
	seen := map[int64]bool{}
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		name := filepath.Join(dir, e.Name())
		st, err := os.Lstat(name)
		if err != nil || !st.Mode().IsRegular() || st.Size() > most || st.Size() < 12<<10 || seen[st.Size()] || len(out) >= n {
			continue
		}
		f, err := elf.Open(name)
		if err != nil {
			continue
		}
		f.Close()
		seen[st.Size()] = true
		out = append(out, program{name: name})
	}
	return out
}

// holds tells whether a layer or one in it is what was packed: has its digest, or the planted bytes if it is a PE file.
func holds(l showcause.Layer, b *unpack.Budget, want [32]byte, plant []byte, gaps map[showcause.Code]bool) bool {
	found := false
	head := bound.Head(l.Source, unpack.HeadSize)
	p := &unpack.Probe{Type: filetype.Detect(head, l.Source), Head: head, Source: l.Source, Trail: l.Trail}
	out := unpack.NewOut(b, l.Trail, func(c showcause.Layer) {
		data, _ := io.ReadAll(bound.Reader(c.Source, 0, -1))
		found = found || sha256.Sum256(data) == want || plant != nil && bytes.Contains(data, plant) || holds(c, b, want, plant, gaps)
	}, func(g showcause.Gap) { gaps[g.Code] = true })
	for _, f := range formats.All() {
		if f.Match(p) {
			f.Walk(l.Source, out)
		}
	}
	return found
}

// TestPacked packs programs with UPX in every way that it has, and looks for each inside: ELF files by
// their digest, PE files, whose image is what is in memory, by bytes that were planted. With -full these are
// 200 programs, those of -more among them.
func TestPacked(t *testing.T) {
	upx, err := exec.LookPath("upx")
	if err != nil {
		t.Skip("upx is not installed")
	}
	dir := t.TempDir()
	list := compiled(t, dir, 1)
	list = append(list, installed("/usr/bin", 1, 64<<10)...)
	if *full {
		list = compiled(t, dir, 16)
		if *more != "" {
			list = append(list, installed(*more, 60, 100<<10)...)
		}
		list = append(list, installed("/usr/bin", 200-len(list), 100<<10)...)
	}
	counts := map[string]int{}
	for i, p := range list {
		for k, how := range packings() {
			quick := k%5 == i%5 && !how.slow // every way is tried of some program
			if how.pe && !p.pe || !*full && !quick || how.slow && i%10 != 0 {
				continue
			}
			checkPacked(t, upx, dir, p, how, counts)
		}
		if *full && i%10 == 9 {
			t.Logf("%d programs, %d found", i+1, counts["found"])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %s", counts[k], k)
	}
	if counts["found"] == 0 {
		t.Error("nothing was packed")
	}
}

func checkPacked(t *testing.T, upx, dir string, p program, how packing, counts map[string]int) {
	in, to := filepath.Join(dir, "program"), filepath.Join(dir, "packed")
	text, err := os.ReadFile(p.name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(how.options, "--overlay") {
		text = append(text, "what stands behind the program"...)
	}
	if err := os.WriteFile(in, text, 0o700); err != nil {
		t.Fatal(err)
	}
	os.Remove(to)
	if _, err := exec.Command(upx, "-q", how.options, "-o", to, in).CombinedOutput(); err != nil {
		counts["refused by upx"]++
		return
	}
	packed, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if how.options == "--overlay=strip" && p.pe { // what stands behind an ELF file's segments is a part of it
		text = text[:len(text)-len("what stands behind the program")]
	}
	if p.plant != nil && bytes.Contains(packed, p.plant) {
		counts["not hidden"]++
	}
	src := showcause.Bytes(packed)
	gaps := map[showcause.Code]bool{}
	b := unpack.NewBudget(showcause.Limits{}, src.Size(), spill)
	plant := p.plant
	if !p.pe {
		plant = nil
	}
	if !holds(showcause.Layer{Source: src}, b, sha256.Sum256(text), plant, gaps) {
		counts["not found"]++
		t.Errorf("%s %s: not found inside, %v", filepath.Base(p.name), how.options, slices.Sorted(maps.Keys(gaps)))
		return
	}
	counts["found"]++
	counts["found, "+how.options]++
	for g := range gaps {
		counts["with a gap, "+string(g)]++
	}
}

// TestMakeself has makeself write a program in each way, and looks for what is in it.
func TestMakeself(t *testing.T) {
	makeself, err := exec.LookPath("makeself")
	if err != nil {
		t.Skip("makeself is not installed")
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	r := rand.New(rand.NewPCG(4, 5))
	text := []byte("#!/bin/sh\n# planted\n")
	for range 5000 {
		text = fmt.Appendf(text, "%x ", r.Uint32())
	}
	if err := os.Mkdir(from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "run.sh"), text, 0o700); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, how := range strings.Fields("--gzip --bzip2 --xz --zstd --lz4 --lzo --base64 --compress --nocomp --sha256 --tar-quietly --follow") {
		to := filepath.Join(dir, "a.run")
		os.Remove(to)
		if err := exec.Command(makeself, how, from, to, "label", "./run.sh").Run(); err != nil {
			t.Logf("%s: refused", how)
			continue
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		src, gaps := showcause.Bytes(b), map[showcause.Code]bool{}
		if !holds(showcause.Layer{Source: src}, unpack.NewBudget(showcause.Limits{}, src.Size(), spill), sha256.Sum256(text), nil, gaps) || len(gaps) > 0 {
			t.Errorf("%s: not found inside, or %v", how, slices.Sorted(maps.Keys(gaps)))
			continue
		}
		found++
	}
	if found == 0 {
		t.Error("nothing was made")
	}
}

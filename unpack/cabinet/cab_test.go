package cabinet

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// program is n bytes in which calls stand.
func program(n int) []byte {
	b := unpacktest.Mixed(n)
	for i := 100; i+8 < n; i += 37 {
		b[i] = 0xe8
		le.PutUint32(b[i+1:], uint32(i*i%(2*n)-n/2))
	}
	return b
}

// folderOf is a folder with the content cut into files of the given sizes, the
// last with the rest.
func folderOf(method uint16, blocks []cabBlock, n int, sizes ...int) cabFolder {
	f := cabFolder{method: method, blocks: blocks}
	off := 0
	for i, s := range append(sizes, n) {
		s = min(s, n-off)
		f.files = append(f.files, cabEntry{name: fmt.Sprintf("m%x-%d", method, i), off: off, size: s})
		off += s
	}
	return f
}

// every is one folder of each method, with what each file holds.
func every(n int) ([]cabFolder, map[string][]byte) {
	b := program(n)
	folders := []cabFolder{
		folderOf(0, stored(b), n, 10, n/2),
		folderOf(1, mszip(b), n, 1, n/3),
		folderOf(2|10<<8, quantumOf(b, 10), n, 7),
		folderOf(2|17<<8|7<<4, quantumOf(b, 17), n, n/2),
		folderOf(2|21<<8, quantumOf(b, 21), n),
	}
	for i, s := range []struct{ bits, size, kind, calls int }{{15, 1 << 20, 1, 0}, {15, 33333, 0, 0}, {16, 50001, 2, n}, {17, 4097, 3, 0}, {20, 7777, 0, n - 5}, {21, 100_000, 0, 12_000_000}} {
		f := folderOf(3|uint16(s.bits)<<8, lzx(b, s.bits, s.size, s.kind, s.calls), n, n/5, 3)
		for j := range f.files {
			f.files[j].name += fmt.Sprintf("-%d", i)
		}
		folders = append(folders, f)
	}
	want := map[string][]byte{}
	for _, f := range folders {
		for _, e := range f.files {
			if e.size > 0 {
				want[e.name] = b[e.off : e.off+e.size]
			}
		}
	}
	return folders, want
}

func check(t *testing.T, data []byte, want map[string][]byte) {
	t.Helper()
	r := unpacktest.Walk(t, Cab(), data, showcause.Limits{})
	if len(r.Gaps) > 0 || len(r.Children) != len(want) {
		t.Errorf("%s", r)
	}
	for _, c := range r.Children {
		if w := want[c.Name]; !bytes.Equal(w, c.Data) {
			t.Errorf("%q: %d bytes are not what was put in (%d)", c.Name, len(c.Data), len(w))
		}
	}
}

func TestCabMethods(t *testing.T) {
	for _, n := range []int{12, 300, 32768, 32769, 65536, 200_001} {
		folders, want := every(n)
		check(t, makeCab([3]int{}, folders...), want)
		check(t, makeCab([3]int{20, 3, 8}, folders...), want)
	}
}

// cabextract reads what the encoders write, and agrees.
func TestCabextract(t *testing.T) {
	dir := t.TempDir()
	if _, err := exec.LookPath("cabextract"); err != nil {
		t.Skip("cabextract is not installed")
	}
	for _, n := range []int{300, 65536, 200_001} {
		folders, want := every(n)
		p := filepath.Join(dir, "a.cab")
		os.WriteFile(p, makeCab([3]int{0, 0, 4}, folders...), 0o600)
		unpacktest.Tool(t, nil, "cabextract", "-q", "-d", dir, p)
		for name, w := range want {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, w) {
				t.Errorf("%d bytes, %s: cabextract differs: %v", n, name, err)
			}
		}
	}
}

// What gcab writes is read.
func TestGcab(t *testing.T) {
	dir := t.TempDir()
	want := map[string][]byte{}
	args := []string{"-c", "-n", "a.cab"}
	for i, n := range []int{1, 1000, 70_000, 400_000} {
		name := fmt.Sprint("f", i)
		want[name] = unpacktest.Mixed(n)
		os.WriteFile(filepath.Join(dir, name), want[name], 0o600)
		args = append(args, name)
	}
	for _, z := range []string{"", "-z"} {
		a := append([]string{}, args...)
		if z != "" {
			a = append([]string{z}, a...)
		}
		cmd := exec.Command("gcab", a...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("gcab: %v %s", err, out)
		}
		b, _ := os.ReadFile(filepath.Join(dir, "a.cab"))
		check(t, b, want)
	}
}

func samples() map[string][]byte {
	b := program(3000)
	big := append(bytes.Repeat([]byte("and so on "), 4000), program(300)...)
	part := folderOf(1, mszip(b), len(b), 100)
	return map[string][]byte{
		"stored":  makeCab([3]int{}, folderOf(0, stored(b), len(b), 100, 200)),
		"mszip":   makeCab([3]int{1, 2, 3}, part),
		"quantum": makeCab([3]int{}, folderOf(2|12<<8, quantumOf(b, 12), len(b), 100)),
		"lzx":     makeCab([3]int{}, folderOf(3|15<<8, lzx(b[:1500], 15, 700, 0, 1000), 1500, 100)),
		"frames":  makeCab([3]int{}, folderOf(3|16<<8, lzx(big, 16, 20_000, 0, 0), len(big), 100)),
		"two":     append(makeCab([3]int{}, part), makeCab([3]int{}, part)...),
	}
}

func TestCabConforms(t *testing.T) {
	s := samples()
	one := len(s["two"]) / 2
	unpacktest.ConformWhole(t, Cab(), s, func(b []byte) bool { return len(b) >= one && len(b) < one+cabHead && bytes.HasPrefix(s["two"], b) })
}

func FuzzCab(f *testing.F) {
	var seeds [][]byte
	for _, s := range samples() {
		seeds = append(seeds, s)
	}
	sets, _ := cabSets(900, 250)
	for _, set := range sets {
		seeds = append(seeds, slices.Concat(set...))
	}
	unpacktest.Fuzz(f, Cab(), seeds...)
}

// What is odd is said, and what can be read is read.
func TestCabOdd(t *testing.T) {
	b := []byte(strings.Repeat("marker and so on ", 20))
	n := len(b)
	part := func(e ...cabEntry) []byte { return makeCab([3]int{}, cabFolder{1, mszip(b), e}) }
	sum := part(cabEntry{"a", 0, n, 0})
	sum[bytes.Index(sum, []byte("CK"))-8] ^= 1
	reserved := part(cabEntry{"a", 0, n, 0})
	copy(reserved[4:], "junk")
	more := mszip(b)
	more[0].n -= 5
	space := part(cabEntry{"a", 0, n, 0})
	at := le.Uint32(space[36:])
	space = slices.Concat(space[:at], []byte("space between that no header claims"), space[at:])
	le.PutUint32(space[36:], at+35)
	trail := mszip(b)
	trail[0].data = append(trail[0].data, "behind the stream of a block, and more"...)
	// What compilers make of a comparison with the magic, as libarchive has it.
	code := append([]byte("MSCF\x0f\x84\x73\xff\xff\xff\xba\x05\x00\x00\x00\xeb\xad\x0f\x1f\x40\x00\x48\x29\xc4\x99\x03\x89\xf5\x07\x00\xfe\xff\x01\x00\x0f\x8e\x49\xff"), make([]byte, 4000)...)
	for name, s := range map[string]struct {
		data []byte
		ops  string
		gaps string
	}{
		"whole":                 {part(cabEntry{"a", 0, n, 0}), "cab.mszip", ""},
		"reserved":              {reserved, "cab.mszip", ""},
		"checksum":              {sum, "cab.mszip", "corrupt"},
		"no files":              {part(), "cab.rest", ""},
		"hole":                  {part(cabEntry{"a", 0, 10, 0}, cabEntry{"b", 20, 10, 0}), "cab.mszip cab.rest cab.mszip cab.rest", ""},
		"overlap, not in order": {part(cabEntry{"a", 10, n - 10, 0}, cabEntry{"b", 0, 20, 0}), "cab.mszip cab.mszip", "ambiguous.overlap"},
		"longer than it is":     {part(cabEntry{"a", 0, n + 1, 0}), "cab.mszip", "corrupt"},
		"behind the end":        {part(cabEntry{"a", 0, n, 0}, cabEntry{"b", n + 5, 1, 0}), "cab.mszip", "corrupt"},
		"no such folder":        {part(cabEntry{"a", 0, n, 0}, cabEntry{"b", 0, 5, 7}), "cab.mszip", "corrupt"},
		"from the last volume":  {part(cabEntry{"a", 0, n, 0xfffd}), "", "unsupported.format.cab-volume"},
		"to the next volume":    {part(cabEntry{"a", 0, 10, 0}, cabEntry{"b", 10, n, 0xfffe}), "cab.mszip cab.mszip", "unsupported.format.cab-volume"},
		"unknown method":        {makeCab([3]int{}, cabFolder{5, stored(b), []cabEntry{{"a", 0, n, 0}}}), "", "unsupported.method.cab"},
		"content behind":        {makeCab([3]int{}, cabFolder{1, more, []cabEntry{{"a", 0, n - 5, 0}}}), "cab.mszip", "corrupt"},
		"space between":         {space, "cab.mszip cab.rest", ""},
		"behind a stream":       {makeCab([3]int{}, cabFolder{1, trail, []cabEntry{{"a", 0, n, 0}}}), "cab.mszip", "corrupt"},
		"junk between":          {append(append(part(cabEntry{"a", 0, n, 0}), "junk MSCF"...), part(cabEntry{"a", 0, n, 0})...), "cab.mszip cab.mszip cab.rest", ""},
		"the magic in code":     {append([]byte("MZ"), code...), "", ""},
		"in a program":          {append(append([]byte("MZ"), code...), part(cabEntry{"a", 0, n, 0})...), "cab.mszip", ""},
		"no files in a program": {append([]byte("MZ"), part()...), "cab.rest", ""},
		"cut in a program":      {append([]byte("MZ"), part(cabEntry{"a", 0, n, 0})[:40]...), "", "corrupt corrupt"},
		"behind a program":      {append(append([]byte("MZ"), make([]byte, 1000)...), part(cabEntry{"a", 0, n, 0})...), "cab.mszip", ""},
	} {
		if !Cab().Match(unpacktest.Probe(showcause.Bytes(s.data))) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, Cab(), s.data, showcause.Limits{})
		var ops, gaps []string
		for _, c := range r.Children {
			ops = append(ops, c.Op)
		}
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if strings.Join(ops, " ") != s.ops || strings.Join(gaps, " ") != s.gaps {
			t.Errorf("%s: %q, gaps %q; want %q, %q", name, ops, gaps, s.ops, s.gaps)
		}
		if s.ops != "" && !strings.Contains(s.ops, "rest") && !r.Contains("marker and so on") {
			t.Errorf("%s: content is not there", name)
		}
	}
}

func TestClamCab(t *testing.T) {
	b, err := os.ReadFile("/usr/share/clamav-testfiles/clam.cab")
	if err != nil {
		t.Skip("package clamav-testfiles is not installed")
	}
	exe, _ := os.ReadFile("/usr/share/clamav-testfiles/clam.exe")
	check(t, b, map[string][]byte{"clam.exe": exe})
}

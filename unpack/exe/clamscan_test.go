package exe

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

// testFiles is where Debian's package clamav-testfiles puts its files.
const testFiles = "/usr/share/clamav-testfiles"

func needClamscan(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("clamscan"); err != nil {
		t.Skip("clamscan is not installed")
	}
}

// randomFiles is how many random PE files are compared. 1,500 were when this
// was written.
const randomFiles = 60

// goFiles are the programs that Go's own parsers are tested on, if they are
// installed.
func goFiles() map[string][]byte {
	out := map[string][]byte{}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return out
	}
	paths, _ := filepath.Glob(strings.TrimSpace(string(root)) + "/src/debug/*/testdata/*")
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if strings.HasSuffix(p, ".base64") && err == nil {
			b, err = base64.StdEncoding.DecodeString(string(b))
		}
		if err == nil && len(b) > 8 && slices.Contains([]filetype.Type{filetype.PE, filetype.ELF, filetype.MachO}, detect(b)) {
			out["go"+strings.NewReplacer(".", "-", "_", "-").Replace(filepath.Base(p))] = b
		}
	}
	return out
}

// subjects are the files to compare on: packed ones, generated ones, and some
// of the system's.
func subjects(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	paths, _ := filepath.Glob(testFiles + "/clam*.exe")
	for _, p := range append(paths, "/bin/ls", "/bin/sh", "/bin/cat", "/usr/bin/clamscan") {
		if b, err := os.ReadFile(p); err == nil {
			out[strings.NewReplacer(".", "-", "_", "-").Replace(filepath.Base(p))] = b
		}
	}
	maps.Copy(out, goFiles())
	r := rand.New(rand.NewPCG(1, 2))
	for i := range randomFiles {
		out[fmt.Sprintf("pe%d", i)] = randomPE(r).build()
	}
	for _, n := range []int{1, 2, 95, 96, 97, 65535} {
		s := plainPE()
		s.count, s.size = n, 0x2000
		out[fmt.Sprintf("pecount%d", n)] = s.build()
	}
	out["version"] = peWithVersion(someStrings)
	for i := range 16 {
		e := plainELF(i&1 != 0, i&2 != 0)
		e.seed = uint64(i) + 100
		switch i >> 2 {
		case 1:
			e.entry, e.off = 0x600050, 0x111
		case 2:
			e.entry = 0
		case 3:
			e.secs = append(e.secs, [2]uint64{1<<32 + 0x800, 0x40})
			e.shnum = 4
		}
		out[fmt.Sprintf("elf%d", i)] = e.build()
	}
	for name, change := range map[string]func(*elfSpec){
		"elfnosec":   func(e *elfSpec) { e.shnum = 0 },
		"elfnosize":  func(e *elfSpec) { e.shnum, e.shentsize = 0, 0 },
		"elfphnum":   func(e *elfSpec) { e.phnum = 129 },
		"elfoutside": func(e *elfSpec) { e.entry = 5 },
		"elf256":     func(e *elfSpec) { e.shnum, e.size = 256, 0x9000 },
		"elf257":     func(e *elfSpec) { e.shnum, e.size = 257, 0x9000 },
		"elfshcut":   func(e *elfSpec) { e.shnum, e.size = 200, 0x2000 },
		"elfffff":    func(e *elfSpec) { e.shnum = 0xffff },
	} {
		e := plainELF(true, false)
		e.seed = 7
		change(&e)
		out[name] = e.build()
	}
	for i := range 64 {
		s := machoSpec{wide: i&1 != 0, big: i&2 != 0, align: uint32(i % 5), thread: i&4 != 0, pc: 0x1400 + uint64(i), seed: uint64(i) + 500}
		s.cpu = []uint32{7, 18, 7 | 1<<24, 18 | 1<<24, 12, 7, 18, 18 | 1<<24}[i>>3]
		if i%7 == 0 {
			s.pc = 0x9000
		}
		out[fmt.Sprintf("macho%d", i)] = s.build()
	}
	for i, a := range []uint32{12, 30, 31, 32, 40} {
		out[fmt.Sprintf("machoalign32x%d", a)] = machoSpec{align: a, cpu: 7, seed: uint64(i)}.build()
		out[fmt.Sprintf("machoalign64x%d", a)] = machoSpec{align: a, cpu: 7 | 1<<24, wide: true, seed: uint64(i)}.build()
	}
	return out
}

func detect(b []byte) filetype.Type {
	return filetype.Detect(b[:min(len(b), 64<<10)], showcause.Bytes(b))
}

var targets = map[Kind]int{PE: 1, ELF: 6, MachO: 9}

// signature writes a line of an .ndb file. The wildcard keeps it out of
// clamscan's matcher for plain bytes, which says one name at a time.
func signature(id string, target int, offset string, body []byte) string {
	n := len(body) / 2
	return fmt.Sprintf("%s:%d:%s:%x??%x", id, target, offset, body[:n], body[n+1:])
}

// places counts where the body of a signature as signature writes it matches.
func places(b, body []byte) (n int) {
	h := len(body) / 2
	for i := 0; ; i++ {
		j := bytes.Index(b[i:], body[:h])
		if j < 0 {
			return n
		}
		if i += j; i+len(body) <= len(b) && bytes.Equal(b[i+h+1:i+len(body)], body[h+1:]) {
			n++
		}
	}
}

// expect lists signatures that tell our offsets from any others, and whether
// they have to match.
func expect(name string, b []byte, info *Info) (lines []string, want map[string]bool) {
	want = map[string]bool{}
	add := func(what, offset string, at int64, match bool) {
		const n = 8
		if at < 0 || at+n > int64(len(b)) || places(b, b[at:at+n]) != 1 {
			return
		}
		id := name + "_" + what
		lines = append(lines, signature(id, targets[info.Kind], offset, b[at:at+n]))
		want[id] = match
	}
	add("ok", "EOF-8", int64(len(b))-8, true)
	add("ep", "EP+0", info.Entry, true)
	add("ep1", "EP+1", info.Entry, false)
	add("ep8", "EP+8", info.Entry+8, true)
	for i, s := range info.Sections {
		if i > 6 {
			break
		}
		add(fmt.Sprintf("s%d", i), fmt.Sprintf("S%d+0", i), s.Offset, true)
		add(fmt.Sprintf("s%dx", i), fmt.Sprintf("S%d+3", i), s.Offset+3, true)
		add(fmt.Sprintf("se%d", i), fmt.Sprintf("SE%d", i), s.Offset+s.Size, true) // one byte more than the section
		add(fmt.Sprintf("se%do", i), fmt.Sprintf("SE%d", i), s.Offset+s.Size+1, false)
		add(fmt.Sprintf("se%db", i), fmt.Sprintf("SE%d", i), s.Offset-1, false)
	}
	if n := len(info.Sections); n > 0 {
		add("sl", "SL+0", info.Sections[n-1].Offset, true)
		add("sn", fmt.Sprintf("S%d+0", n), info.Sections[n-1].Offset, false)
	}
	for i, v := range info.VersionInfo {
		at := int(v)
		lines = append(lines, signature(fmt.Sprintf("%s_vi%d", name, i), 1, "VI", b[at:min(at+24, len(b))]))
		want[fmt.Sprintf("%s_vi%d", name, i)] = true
	}
	return lines, want
}

// check makes a signature for each offset that Parse tells of one file, has
// clamscan look for them, and returns what differs. Each file has a run of its
// own: where two signatures have one body, clamscan says one name.
func check(t *testing.T, name string, b []byte) (n int, read bool, differs []string) {
	dir := t.TempDir()
	var ndb, mdb []string
	want := map[string]bool{}
	info, ok := Parse(showcause.Bytes(b), detect(b))
	if ok {
		ndb, want = expect(name, b, info)
		seen := map[string]bool{}
		for i, s := range info.Sections {
			if s.Size == 0 || info.Kind != PE {
				continue
			}
			id, sum := fmt.Sprintf("%s_mdb%d", name, i), fmt.Sprintf("%d:%x", s.Size, md5.Sum(b[s.Offset:s.Offset+s.Size]))
			if !seen[sum] {
				seen[sum], want[id] = true, true
				mdb = append(mdb, sum+":"+id)
			}
		}
	} else {
		// A file whose headers clamscan refuses has no end to count from.
		ndb = []string{signature(name+"_ok", int(detect(b).Target()), "EOF-8", b[len(b)-8:])}
		want[name+"_ok"] = false
	}
	mdb = append(mdb, "1:00000000000000000000000000000000:None")
	for file, data := range map[string]string{"x.ndb": strings.Join(ndb, "\n") + "\n", "x.mdb": strings.Join(mdb, "\n") + "\n", name: string(b)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("clamscan", "-z", "--no-summary", "--bytecode=no", "-d", filepath.Join(dir, "x.ndb"), "-d", filepath.Join(dir, "x.mdb"), filepath.Join(dir, name)).Output()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		if l, ok := strings.CutSuffix(sc.Text(), ".UNOFFICIAL FOUND"); ok {
			_, id, _ := strings.Cut(l, ": ")
			got[id] = true
		}
	}
	for id := range want {
		if got[id] != want[id] {
			differs = append(differs, fmt.Sprintf("%s: clamscan %v, here %v", id, got[id], want[id]))
		}
	}
	sort.Strings(differs)
	return len(want), ok, differs
}

// TestOffsetsAgainstClamscan compares on every subject.
func TestOffsetsAgainstClamscan(t *testing.T) {
	needClamscan(t)
	if testing.Short() {
		t.Skip("some hundred runs of clamscan")
	}
	given, refused, signatures, bad := 0, 0, 0, 0
	for name, b := range subjects(t) {
		n, read, differs := check(t, name, b)
		signatures += n
		if read {
			given++
		} else {
			refused++
		}
		for _, d := range differs {
			if bad++; bad <= 40 {
				t.Error(d)
			}
		}
	}
	t.Logf("%d files read, %d refused, %d signatures, %d differ", given, refused, signatures, bad)
}

// TestVersionInfoAgainstClamscan compares the places of the version strings
// with those that clamscan prints.
func TestVersionInfoAgainstClamscan(t *testing.T) {
	needClamscan(t)
	dir := t.TempDir()
	db := filepath.Join(dir, "x.ndb")
	if err := os.WriteFile(db, []byte("None:1:*:deadbeefdeadbeefdeadbeef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "own.exe")
	if err := os.WriteFile(own, peWithVersion(someStrings), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(testFiles + "/clam[._]*.exe")
	line := regexp.MustCompile(`VersionInfo \(([0-9a-f]+)\):`)
	for _, p := range append(paths, own) {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("clamscan", "--debug", "--no-summary", "--bytecode=no", "--scan-archive=no", "--scan-pe=yes", "-d", db, p)
		var errs bytes.Buffer
		cmd.Stderr, cmd.Stdout = &errs, io.Discard
		_ = cmd.Run()
		want := map[int64]bool{}
		for _, m := range line.FindAllStringSubmatch(errs.String(), -1) {
			if n, err := strconv.ParseInt(m[1], 16, 64); err == nil {
				want[n] = true
			}
		}
		info, ok := Parse(showcause.Bytes(b), detect(b))
		if !ok {
			t.Errorf("%s does not parse", p)
			continue
		}
		for _, v := range info.VersionInfo {
			if !want[v] {
				t.Errorf("%s: %#x is no version string to clamscan", p, v)
			}
			delete(want, v)
		}
		// What is left are those of files within.
		if len(want) > 0 && p == own {
			t.Errorf("%s: clamscan has %v too", p, want)
		}
		t.Logf("%s: %d strings, clamscan has %d more in files within", filepath.Base(p), len(info.VersionInfo), len(want))
	}
}

package made

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha256"
	"debug/pe"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestRules looks for each kind's patterns in the planted files, byte by byte:
// each file is found, by the rule with its number and no other.
func TestRules(t *testing.T) {
	system := bytes.Repeat([]byte("some bytes of a program that no one wrote "), 50)
	for _, kind := range []string{Mixed, Noise, Drawn, Prefixed, Common} {
		r := RuleSet{kind, 300}
		found, n := map[int][]int{}, 0
		err := r.Patterns(system, func(i int, p []byte) error {
			n++
			if len(p) < 6 {
				t.Errorf("%s: pattern %d has %d bytes", kind, i, len(p))
			}
			for k := range PlantedFiles {
				if bytes.Contains(Planted(k), p) {
					found[k] = append(found[k], i)
				}
			}
			return nil
		})
		if err != nil || n != r.N {
			t.Errorf("%s: %d patterns, %v", kind, n, err)
		}
		for k := range PlantedFiles {
			if !slices.Equal(found[k], []int{k}) {
				t.Errorf("%s: file %d is found by %v", kind, k, found[k])
			}
		}
		var again [][]byte
		_ = r.Patterns(system, func(_ int, p []byte) error { again = append(again, p); return nil })
		_ = r.Patterns(system, func(i int, p []byte) error {
			if !bytes.Equal(again[i], p) {
				t.Errorf("%s: pattern %d differs the second time", kind, i)
			}
			return nil
		})
	}
	stop := errors.New("stop")
	if err := (RuleSet{Noise, 3}).Patterns(nil, func(int, []byte) error { return stop }); err != stop {
		t.Error(err)
	}
}

func TestDrawn(t *testing.T) {
	system := []byte("The quick brown fox jumps over the lazy dog, and back again 0123456789.")
	near := 0
	_ = (RuleSet{Drawn, 100}).Patterns(system, func(i int, p []byte) error {
		if i >= PlantedFiles {
			if bytes.Contains(system, p) {
				t.Errorf("%q occurs", p)
			}
			if bytes.Contains(system, p[:literalSize/2]) && bytes.Contains(system, p[literalSize/2+1:]) {
				near++
			}
		}
		return nil
	})
	if near != 100-PlantedFiles {
		t.Errorf("%d were drawn", near)
	}
	// Where there is nothing to draw from, it ends.
	for _, system := range [][]byte{nil, []byte("short"), make([]byte, 5000)} {
		if err := (RuleSet{Drawn, 20}).Patterns(system, func(int, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

func TestWriteRules(t *testing.T) {
	for _, c := range []struct {
		kind string
		yara bool
		line string
	}{
		{Hashes, false, `^[0-9a-f]{32}:[1-9][0-9]*:Bench\.Hash-[0-9]+$`},
		{Mixed, false, `^Bench\.literals-[0-9]+:0:\*:[0-9a-f]{48}$`},
		{Prefixed, false, `^Bench\.prefix-[0-9]+:0:\*:0{32}[0-9a-f]{16}$`},
		{Common, true, `^rule r[0-9]+ \{ strings: \$a = \{ [0-9a-f]{12} \} condition: \$a \}$`},
	} {
		path := filepath.Join(t.TempDir(), "rules")
		if err := (RuleSet{c.kind, 200}).Write(path, c.yara, nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(lines) != 200 {
			t.Errorf("%s: %d lines", c.kind, len(lines))
		}
		for _, l := range lines {
			if !regexp.MustCompile(c.line).MatchString(l) {
				t.Errorf("%s: %s", c.kind, l)
			}
		}
		if c.kind == Hashes {
			for i := range PlantedFiles {
				data := Planted(i)
				if want := fmt.Sprintf("%x:%d:Bench.Hash-%d", md5.Sum(data), len(data), i); lines[i] != want {
					t.Errorf("line %d is %s, want %s", i, lines[i], want)
				}
			}
		}
	}
	if err := (RuleSet{Hashes, 1}).Write(filepath.Join(t.TempDir(), "no", "folder"), false, nil); err == nil {
		t.Error("no error without a folder")
	}
}

func TestCorpora(t *testing.T) {
	system := filepath.Join(t.TempDir(), "system")
	for i := range 5 {
		if err := Write(filepath.Join(system, strconv.Itoa(i)), append([]byte("\x7fELF"), Blob(7, i, 5000)...)); err != nil {
			t.Fatal(err)
		}
	}
	o := Size{Programs: 4e5, Roots: []string{system}}
	one, two := t.TempDir(), t.TempDir()
	for _, c := range Corpora() {
		a, b := filepath.Join(one, c.Name), filepath.Join(two, c.Name)
		err := errors.Join(c.Fill(o, a), c.Fill(o, b))
		if errors.Is(err, ErrAbsent) {
			t.Logf("%s: %v", c.Name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		x, n := hashTree(t, a)
		y, _ := hashTree(t, b)
		if x != y && c.Name != "texts" && c.Name != "programs" { // those of the system may change meanwhile
			t.Errorf("%s: differs the second time", c.Name)
		}
		if n < 20e3 || n > 10e6 {
			t.Errorf("%s: %d bytes", c.Name, n)
		}
		for i := range PlantedFiles {
			if data, err := os.ReadFile(filepath.Join(a, "planted", strconv.Itoa(i))); err != nil || !bytes.Equal(data, Planted(i)) {
				t.Errorf("%s: planted file %d: %v", c.Name, i, err)
			}
		}
	}
}

// TestPDF follows the table of cross-references, as a reader does.
func TestPDF(t *testing.T) {
	data := newMaker(1, 1, vocabulary()).pdf()
	tail := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(data)
	if tail == nil {
		t.Fatal("no startxref")
	}
	at, err := strconv.Atoi(string(tail[1]))
	if err != nil || !bytes.HasPrefix(data[at:], []byte("xref\n")) {
		t.Fatalf("%d: %v", at, err)
	}
	entries := regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`).FindAllSubmatch(data[at:], -1)
	for i, e := range entries {
		o, _ := strconv.Atoi(string(e[1]))
		if !bytes.HasPrefix(data[o:], fmt.Appendf(nil, "%d 0 obj\n", i+1)) {
			t.Errorf("object %d is not at %d", i+1, o)
		}
	}
	if len(entries) < 5 {
		t.Errorf("%d objects", len(entries))
	}
}

// TestPackedPDF follows the stream of cross-references to each object, and has a tool of PDF's look
// where one is installed.
func TestPackedPDF(t *testing.T) {
	for i := range 5 {
		data := newMaker(1, i, vocabulary()).packedPDF()
		tail := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(data)
		if tail == nil {
			t.Fatal("no startxref")
		}
		at, _ := strconv.Atoi(string(tail[1]))
		dict, rest, _ := bytes.Cut(data[at:], []byte("\nstream\n"))
		if !bytes.Contains(dict, []byte("/Type/XRef")) {
			t.Fatalf("%q", dict)
		}
		z, err := zlib.NewReader(bytes.NewReader(rest))
		if err != nil {
			t.Fatal(err)
		}
		table, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(table)/5; n++ {
			switch e := table[5*n:]; e[0] {
			case 1:
				if o := int(e[1])<<16 | int(e[2])<<8 | int(e[3]); !bytes.HasPrefix(data[o:], fmt.Appendf(nil, "%d 0 obj\n", n)) {
					t.Errorf("object %d is not at %d", n, o)
				}
			case 2:
			default:
				t.Errorf("object %d is nowhere", n)
			}
		}
		tool, err := exec.LookPath("qpdf")
		if err != nil {
			t.Logf("not asked: %v", err)
			continue
		}
		path := filepath.Join(t.TempDir(), "a.pdf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command(tool, "--check", path).CombinedOutput(); err != nil {
			t.Errorf("qpdf --check: %v: %s", err, said)
		}
	}
}

// hashTree is a digest of the names and bytes under dir, and their sum.
func hashTree(t *testing.T, dir string) (sum [32]byte, bytes int64) {
	h := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		io.WriteString(h, path+"\x00")
		h.Write(data)
		bytes += int64(len(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil)), bytes
}

func TestCorpus(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if err := errors.Join(Generate(a, 1e6), Generate(b, 1e6)); err != nil {
		t.Fatal(err)
	}
	one, n := hashTree(t, a)
	two, _ := hashTree(t, b)
	if one != two {
		t.Error("two runs made different files")
	}
	if n < 5e5 || n > 20e6 {
		t.Errorf("%d bytes for 1 MB", n)
	}
	for _, g := range Groups() {
		if _, n := hashTree(t, filepath.Join(a, g)); n == 0 {
			t.Errorf("%s: nothing", g)
		}
	}
}

// TestMade reads what is generated with other readers than it was written with,
// where there are such.
func TestMade(t *testing.T) {
	made := map[string][]byte{}
	for _, k := range kinds() {
		m := newMaker(1, 2, vocabulary())
		made[k.ext] = k.file(m)
	}
	if _, err := zip.NewReader(bytes.NewReader(made[".zip"]), int64(len(made[".zip"]))); err != nil {
		t.Error(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(made[".tar.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tar.NewReader(z).Next(); err != nil {
		t.Error(err)
	}
	f, err := pe.NewFile(bytes.NewReader(made[".exe"]))
	if err != nil {
		t.Fatal(err)
	}
	end := uint32(0)
	for _, s := range f.Sections {
		if s.Offset != end && end != 0 {
			t.Errorf("%s: at %d, the last ended at %d", s.Name, s.Offset, end)
		}
		end = s.Offset + s.Size
	}
	if len(f.Sections) != 2 || int(end) != len(made[".exe"]) {
		t.Errorf("%d sections end at %d of %d", len(f.Sections), end, len(made[".exe"]))
	}
	msg, err := mail.ReadMessage(bytes.NewReader(made[".eml"]))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	zips, r := 0, multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.FileName() != "all.zip" {
			continue
		}
		data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
			t.Error(err)
		}
		zips++
	}
	if zips != 1 {
		t.Errorf("%d zips attached", zips)
	}
}

package unpacktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// Tree writes files to a folder: small and large, deep, many, with holes. It
// returns them by name.
func Tree(t testing.TB, dir string, large int) map[string][]byte {
	rng := rand.New(rand.NewPCG(5, 7))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	files := map[string][]byte{
		"a":                                   []byte("a"),
		"tiny.txt":                            []byte("a few words that fit anywhere"),
		"inline.txt":                          bytes.Repeat([]byte("words "), 20),
		"a name that is rather long.data":     noise(3000),
		"dir/second":                          noise(10_000),
		"dir/of/dirs/deep/down/below":         []byte(strings.Repeat("text ", 1000)),
		"größe und längen/日本語":                []byte("names are data"),
		"large":                               noise(large),
		"dir/zeros":                           make([]byte, 20_000),
		strings.Repeat("n", 200) + "/longest": noise(513),
	}
	for i := range 150 {
		files[fmt.Sprintf("many/file %03d.txt", i)] = []byte(fmt.Sprintf("file number %d of many", i))
	}
	for name, b := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Run runs a program in a folder, and skips the test where there is none.
func Run(t testing.TB, dir, name string, arg ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, d := range []string{"/sbin", "/usr/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(d, name))
	}
	if err != nil {
		t.Skipf("needs %s", name)
	}
	c := exec.Command(path, arg...)
	c.Dir = dir
	c.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, arg, err, out)
	}
}

func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Holds tells whether a walk gave the files, and no others.
func Holds(t *testing.T, f unpack.Format, image []byte, files map[string][]byte) Result {
	t.Helper()
	if !f.Match(Probe(showcause.Bytes(image))) {
		t.Fatalf("%s does not match", f.Name)
	}
	got := Walk(t, f, image, showcause.Limits{})
	left := map[string][]byte{}
	for n, b := range files {
		left[n] = b
	}
	for _, c := range got.Children {
		want, ok := left[c.Name]
		if !ok {
			t.Errorf("%q, %d bytes, is none of the files", c.Name, c.Size)
			continue
		}
		if c.Digest != sha256.Sum256(want) {
			t.Errorf("%q: %d bytes, want %d, or others", c.Name, c.Size, len(want))
		}
		delete(left, c.Name)
	}
	for n, b := range left {
		if len(b) > 0 {
			t.Errorf("%q is not there", n)
		}
	}
	if len(got.Gaps) > 0 {
		t.Errorf("gaps: %v", got.Gaps)
	}
	return got
}

// Small is an image that the suite cuts and damages.
func Small(t testing.TB, fill func(dir string)) []byte {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"one": "a short text", "two": strings.Repeat("a longer text ", 300)} {
		if err := os.WriteFile(filepath.Join(dir, "tree", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(dir)
	return ReadFile(t, filepath.Join(dir, "image"))
}

// MarkedTree writes a tree whose files have marks: small and large, in a folder, many.
func MarkedTree(t testing.TB, dir string) []string {
	var names []string
	for name, n := range map[string]int{"small": 40, "one": 500, "few": 4000, "dir/second": 3000, "dir/deep/third": 700, "more": 9000} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, Marked(filepath.Base(name), n), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// Magic is a mark without which no reader takes a volume.
func Magic(from, n int64) func([]byte) []Harmless {
	return func([]byte) []Harmless {
		return []Harmless{{From: from, To: from + n, Why: "no reader takes it without"}}
	}
}

// Sizes are those of files of one cluster, which no second place tells: what a file
// leaves of its last cluster is nobody's. With a magic in front.
func Sizes(from, n int64) func([]byte) []Harmless {
	return func(b []byte) []Harmless {
		out := []Harmless{{From: from, To: from + n, Why: "no reader takes it without"}}
		for _, size := range []uint32{40, 500, 600, 700} {
			for at := 0; at+4 <= len(b); at += 2 {
				if binary.LittleEndian.Uint32(b[at:]) == size || binary.BigEndian.Uint32(b[at:]) == size {
					out = append(out, Harmless{From: int64(at), To: int64(at) + 4, Why: "the rest of a cluster is nobody's"})
				}
			}
		}
		return out
	}
}

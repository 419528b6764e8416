package volume

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// tree writes files to a folder: small and large, deep, many, with holes. It
// returns them by name.
func tree(t testing.TB, dir string, large int) map[string][]byte {
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

// tool runs a program in a folder, and skips the test where there is none.
func tool(t testing.TB, dir, name string, arg ...string) {
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

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// holds tells whether a walk gave the files, and no others.
func holds(t *testing.T, f unpack.Format, image []byte, files map[string][]byte) unpacktest.Result {
	t.Helper()
	if !f.Match(unpacktest.Probe(showcause.Bytes(image))) {
		t.Fatalf("%s does not match", f.Name)
	}
	got := unpacktest.Walk(t, f, image, showcause.Limits{})
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

func TestExt(t *testing.T) {
	for name, arg := range map[string][]string{
		"ext2":         {"-t", "ext2", "-b", "1024"},
		"ext3":         {"-t", "ext3", "-b", "4096"},
		"ext4":         {"-t", "ext4"},
		"inline":       {"-t", "ext4", "-O", "inline_data", "-I", "512"},
		"meta_bg":      {"-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024", "-g", "256"},
		"32 bits":      {"-t", "ext4", "-O", "^64bit,^metadata_csum", "-b", "1024"},
		"large blocks": {"-t", "ext4", "-b", "16384"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := tree(t, filepath.Join(dir, "tree"), 3<<20)
			tool(t, dir, "mke2fs", append(arg, "-q", "-F", "-d", "tree", "image", "24M")...)
			holds(t, Ext(), read(t, filepath.Join(dir, "image")), files)
		})
	}
}

// small is an image that the suite cuts and damages.
func small(t testing.TB, make func(dir string)) []byte {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"one": "a short text", "two": strings.Repeat("a longer text ", 300)} {
		if err := os.WriteFile(filepath.Join(dir, "tree", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	make(dir)
	return read(t, filepath.Join(dir, "image"))
}

func TestExtDamaged(t *testing.T) {
	for name, arg := range map[string][]string{"ext2": {"-t", "ext2"}, "ext4": {"-t", "ext4", "-O", "^has_journal,inline_data", "-I", "256"}} {
		b := small(t, func(dir string) {
			tool(t, dir, "mke2fs", append(arg, "-q", "-F", "-b", "1024", "-N", "16", "-d", "tree", "image", "100K")...)
		})
		unpacktest.Conform(t, Ext(), map[string][]byte{name: b})
	}
}

// A file that is deleted is no child; one in use that no directory has is.
func TestExtLost(t *testing.T) {
	dir := t.TempDir()
	tree(t, filepath.Join(dir, "tree"), 1000)
	tool(t, dir, "mke2fs", "-q", "-F", "-t", "ext4", "-d", "tree", "image", "4M")
	tool(t, dir, "debugfs", "-w", "-R", "unlink /tiny.txt", "image")
	tool(t, dir, "debugfs", "-w", "-R", "rm /a", "image")
	got := unpacktest.Walk(t, Ext(), read(t, filepath.Join(dir, "image")), showcause.Limits{})
	names := 0
	for _, c := range got.Children {
		if c.Name == "" && string(c.Data) == "a few words that fit anywhere" {
			names++
		}
		if string(c.Data) == "a" {
			t.Error("a deleted file is a child")
		}
	}
	if names != 1 {
		t.Errorf("the file without a name is there %d times", names)
	}
}

func FuzzExt(f *testing.F) { unpacktest.Fuzz(f, Ext(), []byte("\x00")) }

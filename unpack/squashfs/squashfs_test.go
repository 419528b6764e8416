package squashfs

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "every damage, not a sample")

func TestSquashFS(t *testing.T) {
	for name, arg := range map[string][]string{
		"gzip":         {"-comp", "gzip"},
		"xz":           {"-comp", "xz"},
		"zstd":         {"-comp", "zstd"},
		"lz4":          {"-comp", "lz4"},
		"lzo":          {"-comp", "lzo"},
		"lzma":         {"-comp", "lzma"},
		"plain":        {"-noI", "-noD", "-noF"},
		"xz, x86":      {"-comp", "xz", "-Xbcj", "x86"},
		"xz, arm":      {"-comp", "xz", "-Xbcj", "arm"},
		"xz, all":      {"-comp", "xz", "-Xbcj", "x86,arm,armthumb,powerpc,sparc,ia64"},
		"no fragments": {"-no-fragments", "-b", "4096"},
		"large blocks": {"-b", "1M"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			large := 3 << 20
			if strings.HasPrefix(name, "xz, ") {
				large = 1 << 18 // each block is compressed by each filter
			}
			files := unpacktest.Tree(t, filepath.Join(dir, "tree"), large)
			unpacktest.Run(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-no-xattrs"}, arg...)...)
			unpacktest.Holds(t, Format(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), files)
		})
	}
}

// TestFilters reads images by mksquashfs -comp xz -Xbcj whose one file is 6000 bytes that
// look like calls, so that the filter is used.
func TestFilters(t *testing.T) {
	for _, name := range []string{"x86", "arm", "powerpc"} {
		got := unpacktest.Walk(t, Format(), unpacktest.ReadFile(t, filepath.Join("testdata", name+".sq")), showcause.Limits{})
		if len(got.Gaps) > 0 || len(got.Children) != 1 || !bytes.Equal(got.Children[0].Data, calls(name)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// calls are instructions that call one place from many.
func calls(kind string) []byte {
	b := make([]byte, 6000)
	for i := 0; i+8 <= len(b); i += 8 {
		switch kind {
		case "x86":
			b[i] = 0xe8
			binary.LittleEndian.PutUint32(b[i+1:], uint32(5000-i-5))
			copy(b[i+5:], "\x90\x58\xc3")
		case "arm":
			binary.LittleEndian.PutUint32(b[i:], 0xeb000000|uint32((5000-i-8)>>2)&0xffffff)
			copy(b[i+4:], "\x00\x00\xa0\xe1")
		case "powerpc":
			binary.BigEndian.PutUint32(b[i:], 0x48000001|uint32(5000-i)&0x03fffffc)
			copy(b[i+4:], "\x60\x00\x00\x00")
		}
	}
	return b
}

func squashSmall(t testing.TB, arg ...string) []byte {
	return unpacktest.Small(t, func(dir string) {
		unpacktest.Run(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-no-xattrs", "-nopad"}, arg...)...)
	})
}

func TestSquashFSDamaged(t *testing.T) {
	unpacktest.Conform(t, Format(), map[string][]byte{
		"gzip":  squashSmall(t),
		"zstd":  squashSmall(t, "-comp", "zstd", "-no-fragments", "-b", "4096"),
		"plain": squashSmall(t, "-noI", "-noD", "-noF"),
		"xz":    unpacktest.ReadFile(t, filepath.Join("testdata", "x86.sq")),
	})
}

// Extended attributes are compressed apart from the files.
func TestAttributes(t *testing.T) {
	for _, comp := range []string{"gzip", "xz", "zstd"} {
		dir := t.TempDir()
		value := bytes.Repeat([]byte("AAAABBBB"), 40)
		value = slices.Concat(value, []byte("what an attribute holds"), value)
		if err := os.Mkdir(filepath.Join(dir, "tree"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			name := filepath.Join(dir, "tree", fmt.Sprint(i))
			if err := os.WriteFile(name, []byte("content"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setxattr(name, "user.q", append(value, byte(i)), 0); err != nil {
				t.Skipf("extended attributes: %v", err)
			}
		}
		unpacktest.Run(t, dir, "mksquashfs", "tree", "image", "-quiet", "-no-progress", "-xattrs", "-comp", comp)
		b := unpacktest.ReadFile(t, filepath.Join(dir, "image"))
		if comp != "zstd" && bytes.Contains(b, []byte("what an attribute")) {
			t.Fatalf("%s: not compressed", comp)
		}
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || !r.Contains("what an attribute holds") {
			t.Errorf("%s: %s", comp, r)
		}
		copy(b[56:], "\xf0\xff\xff\xff\x00\x00\x00\x00")
		if r := unpacktest.Walk(t, Format(), b, showcause.Limits{}); !r.Has(showcause.Corrupt) {
			t.Errorf("%s, a table that is not there: %s", comp, r)
		}
	}
}

func TestLies(t *testing.T) {
	for name, arg := range map[string][]string{"plain": {"-no-xattrs", "-noI", "-noD", "-noF"}, "gzip": nil} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpacktest.MarkedTree(t, filepath.Join(dir, "tree"))
			unpacktest.Run(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-nopad", "-b", "4096"}, arg...)...)
			b := unpacktest.ReadFile(t, filepath.Join(dir, "image"))
			unpacktest.Lies(t, *full, []unpack.Format{Format()}, b, unpacktest.Magic(0, 4)(b)...)
		})
	}
}

func FuzzSquashFS(f *testing.F) {
	unpacktest.Fuzz(f, Format(), squashSmall(f), squashSmall(f, "-noI", "-noD", "-noF"), unpacktest.ReadFile(f, filepath.Join("testdata", "x86.sq")))
}

package squashfs

import (
	"flag"
	"path/filepath"
	"testing"

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
		"no fragments": {"-no-fragments", "-b", "4096"},
		"large blocks": {"-b", "1M"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := unpacktest.Tree(t, filepath.Join(dir, "tree"), 3<<20)
			unpacktest.Run(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-no-xattrs"}, arg...)...)
			unpacktest.Holds(t, Format(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), files)
		})
	}
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
	})
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
	unpacktest.Fuzz(f, Format(), squashSmall(f), squashSmall(f, "-noI", "-noD", "-noF"))
}

package volume

import (
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/unpack/unpacktest"
)

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
			files := tree(t, filepath.Join(dir, "tree"), 3<<20)
			tool(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-no-xattrs"}, arg...)...)
			holds(t, SquashFS(), read(t, filepath.Join(dir, "image")), files)
		})
	}
}

func squashSmall(t testing.TB, arg ...string) []byte {
	return small(t, func(dir string) {
		tool(t, dir, "mksquashfs", append([]string{"tree", "image", "-quiet", "-no-progress", "-no-xattrs", "-nopad"}, arg...)...)
	})
}

func TestSquashFSDamaged(t *testing.T) {
	unpacktest.Conform(t, SquashFS(), map[string][]byte{
		"gzip":  squashSmall(t),
		"zstd":  squashSmall(t, "-comp", "zstd", "-no-fragments", "-b", "4096"),
		"plain": squashSmall(t, "-noI", "-noD", "-noF"),
	})
}

func FuzzSquashFS(f *testing.F) {
	unpacktest.Fuzz(f, SquashFS(), squashSmall(f), squashSmall(f, "-noI", "-noD", "-noF"))
}

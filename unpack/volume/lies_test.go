package volume

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "every damage, not a sample")

var every = []unpack.Format{Ext(), FAT(), ExFAT(), NTFS()}

func TestLies(t *testing.T) {
	for _, c := range []struct {
		name     string
		make     func(t testing.TB, dir string)
		harmless func(b []byte) []unpacktest.Harmless
	}{
		{"ext2", func(t testing.TB, dir string) {
			unpacktest.Run(t, dir, "mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-N", "24", "-d", "tree", "image", "100K")
		}, unpacktest.Sizes(1080, 2)},
		{"ext4", func(t testing.TB, dir string) {
			unpacktest.Run(t, dir, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "24", "-d", "tree", "image", "120K")
		}, unpacktest.Sizes(1080, 2)},
		{"fat12", func(t testing.TB, dir string) { mtools(t, dir, "60K", "-F", "12", "-s", "1", "-r", "16") }, unpacktest.Sizes(0, 0)},
		{"fat16", func(t testing.TB, dir string) { mtools(t, dir, "2400K", "-F", "16", "-s", "1", "-r", "16") }, unpacktest.Sizes(0, 0)},
		{"fat32", func(t testing.TB, dir string) { mtools(t, dir, "33M", "-F", "32", "-s", "1") }, unpacktest.Sizes(0, 0)},
		{"ntfs", func(t testing.TB, dir string) {
			unpacktest.Run(t, dir, "truncate", "-s", "1088K", "image")
			unpacktest.Run(t, dir, "mkntfs", "-F", "-q", "-Q", "-c", "512", "-s", "512", "-p", "0", "-H", "0", "-S", "0", "image")
			for _, name := range []string{"small", "one", "few", "more"} {
				unpacktest.Run(t, dir, "ntfscp", "-f", "-q", "image", filepath.Join("tree", name), name)
			}
		}, unpacktest.Sizes(3, 8)},
		{"exfat", func(t testing.TB, dir string) {
			b, _ := exfatImage(t)
			if err := os.WriteFile(filepath.Join(dir, "image"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, unpacktest.Magic(3, 8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			unpacktest.MarkedTree(t, filepath.Join(dir, "tree"))
			c.make(t, dir)
			b := unpacktest.ReadFile(t, filepath.Join(dir, "image"))
			var harmless []unpacktest.Harmless
			if c.harmless != nil {
				harmless = c.harmless(b)
			}
			unpacktest.Lies(t, *full, every, b, harmless...)
		})
	}
}

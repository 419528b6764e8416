package volume

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var every = []unpack.Format{Ext(), FAT(), ExFAT(), NTFS(), SquashFS(), HFSPlus(), HFS()}

// marked writes a tree whose files have marks: small and large, in a folder, many.
func marked(t testing.TB, dir string) []string {
	var names []string
	for name, n := range map[string]int{"small": 40, "one": 500, "few": 4000, "dir/second": 3000, "dir/deep/third": 700, "more": 9000} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, unpacktest.Marked(filepath.Base(name), n), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// magic is a mark without which no reader takes a volume.
func magic(from, n int64) func([]byte) []unpacktest.Harmless {
	return func([]byte) []unpacktest.Harmless {
		return []unpacktest.Harmless{{From: from, To: from + n, Why: "no reader takes it without"}}
	}
}

// sizes are those of files of one cluster, which no second place tells: what a file
// leaves of its last cluster is nobody's. With a magic in front.
func sizes(from, n int64) func([]byte) []unpacktest.Harmless {
	return func(b []byte) []unpacktest.Harmless {
		out := []unpacktest.Harmless{{From: from, To: from + n, Why: "no reader takes it without"}}
		for _, size := range []uint32{40, 500, 700} {
			for at := 0; at+4 <= len(b); at += 4 {
				if binary.LittleEndian.Uint32(b[at:]) == size {
					out = append(out, unpacktest.Harmless{From: int64(at), To: int64(at) + 4, Why: "the rest of a cluster is nobody's"})
				}
			}
		}
		return out
	}
}

func TestLies(t *testing.T) {
	for _, c := range []struct {
		name     string
		make     func(t testing.TB, dir string)
		harmless func(b []byte) []unpacktest.Harmless
	}{
		{"ext2", func(t testing.TB, dir string) {
			tool(t, dir, "mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-N", "24", "-d", "tree", "image", "100K")
		}, sizes(1080, 2)},
		{"ext4", func(t testing.TB, dir string) {
			tool(t, dir, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "24", "-d", "tree", "image", "120K")
		}, sizes(1080, 2)},
		{"fat12", func(t testing.TB, dir string) { mtools(t, dir, "60K", "-F", "12", "-s", "1", "-r", "16") }, sizes(0, 0)},
		{"fat16", func(t testing.TB, dir string) { mtools(t, dir, "2400K", "-F", "16", "-s", "1", "-r", "16") }, sizes(0, 0)},
		{"fat32", func(t testing.TB, dir string) { mtools(t, dir, "33M", "-F", "32", "-s", "1") }, sizes(0, 0)},
		{"exfat", func(t testing.TB, dir string) {
			b, _ := exfatImage(t)
			if err := os.WriteFile(filepath.Join(dir, "image"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, magic(3, 8)},
		{"squashfs plain", func(t testing.TB, dir string) {
			tool(t, dir, "mksquashfs", "tree", "image", "-quiet", "-no-progress", "-no-xattrs", "-nopad", "-noI", "-noD", "-noF", "-b", "4096")
		}, magic(0, 4)},
		{"squashfs gzip", func(t testing.TB, dir string) {
			tool(t, dir, "mksquashfs", "tree", "image", "-quiet", "-no-progress", "-nopad", "-b", "4096", "-exports")
		}, magic(0, 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			marked(t, filepath.Join(dir, "tree"))
			c.make(t, dir)
			b := read(t, filepath.Join(dir, "image"))
			var harmless []unpacktest.Harmless
			if c.harmless != nil {
				harmless = c.harmless(b)
			}
			unpacktest.Lies(t, every, b, harmless...)
		})
	}
}

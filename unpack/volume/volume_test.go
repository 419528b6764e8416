package volume

import (
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

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
			files := unpacktest.Tree(t, filepath.Join(dir, "tree"), 3<<20)
			unpacktest.Run(t, dir, "mke2fs", append(arg, "-q", "-F", "-d", "tree", "image", "24M")...)
			unpacktest.Holds(t, Ext(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), files)
		})
	}
}

func TestExtDamaged(t *testing.T) {
	for name, arg := range map[string][]string{"ext2": {"-t", "ext2"}, "ext4": {"-t", "ext4", "-O", "^has_journal,inline_data", "-I", "256"}} {
		b := unpacktest.Small(t, func(dir string) {
			unpacktest.Run(t, dir, "mke2fs", append(arg, "-q", "-F", "-b", "1024", "-N", "16", "-d", "tree", "image", "100K")...)
		})
		unpacktest.Conform(t, Ext(), map[string][]byte{name: b})
	}
}

// A file that is deleted is no child; one in use that no directory has is.
func TestExtLost(t *testing.T) {
	dir := t.TempDir()
	unpacktest.Tree(t, filepath.Join(dir, "tree"), 1000)
	unpacktest.Run(t, dir, "mke2fs", "-q", "-F", "-t", "ext4", "-d", "tree", "image", "4M")
	unpacktest.Run(t, dir, "debugfs", "-w", "-R", "unlink /tiny.txt", "image")
	unpacktest.Run(t, dir, "debugfs", "-w", "-R", "rm /a", "image")
	got := unpacktest.Walk(t, Ext(), unpacktest.ReadFile(t, filepath.Join(dir, "image")), showcause.Limits{})
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

package quarantine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/internal/disk"
)

// between opens the bench so that something happens just before an operation,
// once.
func (b *bench) between(op string, name func(string) bool, what func()) {
	b.t.Helper()
	done := false
	o := b.options()
	o.FS = &disk.FS{Fault: func(o, n string) error {
		if o == op && name(n) && !done {
			done = true
			what()
		}
		return noSync(o, n)
	}}
	b.open(&o)
	b.t.Cleanup(func() {
		if !done {
			b.t.Error("it did not happen")
		}
	})
}

func is(s string) func(string) bool { return func(n string) bool { return n == s } }

// Another file gets the name between the look at it and the move: it goes back.
func TestSwapped(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "evil")
	s := b.find(p)
	b.between("renameat2", is("a"), func() {
		os.Rename(p, p+".away")
		os.WriteFile(p, []byte("innocent"), 0o600)
	})
	b.take(s, Undone, notTheFile)
	if read(t, p) != "innocent" || read(t, p+".away") != marker+"evil" {
		t.Error("not as it was")
	}
	b.open(nil)
	b.sound()
	if items, _ := b.q.Items(); len(items) > 0 {
		t.Errorf("%d items", len(items))
	}
}

// The bytes change after the first reading: it goes back, with the new bytes.
func TestWritten(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "evil")
	s := b.find(p)
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.between("renameat2", is("a"), func() { f.WriteString(" and more") })
	b.take(s, Undone, notTheFile)
	if read(t, p) != marker+"evil and more" {
		t.Error("what was written is lost")
	}
	b.open(nil)
	b.sound()
}

// The way back is barred: the file stays held until it is not, and nothing is lost.
func TestStranded(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "evil")
	s := b.find(p)
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.between("fstatat", func(n string) bool { return strings.HasSuffix(n, ".0") }, func() {
		f.WriteString(" and more")
		os.WriteFile(p, []byte("new"), 0o600)
	})
	out := b.take(s, Failed, notTheFile)
	b.open(nil)
	b.sound()
	it, err := b.q.Find(out.Item)
	if err != nil || it.State != Stranded {
		t.Fatal(it, err)
	}
	if read(t, p) != "new" || read(t, filepath.Join(b.at, folder, heldName, it.Names[0].Held)) != marker+"evil and more" {
		t.Error("lost")
	}
	if err := b.q.Restore(it.ID, "", ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if err := b.q.Purge(it.ID, ""); err == nil {
		t.Error("purged what is stranded")
	}
	os.Remove(p)
	if err := b.q.Restore(it.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	if read(t, p) != marker+"evil and more" {
		t.Error("not its bytes")
	}
	b.sound()
}

// The folder is moved away in the middle: what is held beside it is found no more
// by its path, and is in quarantine for that.
func TestFolderMoved(t *testing.T) {
	dir := other(t, t.TempDir())
	if dir == "" {
		t.Skip("no second file system: nothing is held beside its folder")
	}
	b := newBench(t)
	b.dir = dir
	p := b.file("d/a", "evil")
	s := b.find(p)
	b.between("unlinkat", func(n string) bool { return strings.HasPrefix(n, ".showcause-") && strings.HasSuffix(n, ".0") }, func() {
		os.Rename(filepath.Dir(p), filepath.Dir(p)+".moved")
	})
	out := b.take(s, Done, "")
	b.open(nil)
	if left := tree(t, dir); len(left) > 0 { // the folder was held by its descriptor
		t.Errorf("left: %q", left)
	}
	if err := b.q.Restore(out.Item, "", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := b.q.Restore(out.Item, filepath.Dir(p)+".moved", ""); err != nil {
		t.Error(err)
	}
	b.sound()
}

package quarantine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
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

// A folder of the path has become a link since the scan: nothing behind it is
// taken, be it the same bytes.
func TestFolderBecameLink(t *testing.T) {
	for _, link := range []string{"sub", "sub/deep"} {
		b := newBench(t)
		p := b.file("sub/deep/a", "evil")
		s := b.find(p)
		other := b.file("other/deep/a", "evil")
		to := filepath.Join(b.dir, "other", strings.TrimPrefix(link, "sub"))
		os.RemoveAll(filepath.Join(b.dir, link))
		if err := os.Symlink(to, filepath.Join(b.dir, link)); err != nil {
			t.Fatal(err)
		}
		if read(t, p) != marker+"evil" {
			t.Fatal("the link leads nowhere")
		}
		if out := b.take(s, Refused, noPath); !strings.Contains(out.Text, "link") {
			t.Errorf("%s: %q", link, out.Text)
		}
		if read(t, other) != marker+"evil" {
			t.Errorf("%s: taken", link)
		}
		b.take(s, Done, "", other) // a person names where it is
	}
}

// listing lists what is below a folder, with times and contents.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&out, p, st.Mode(), st.Size(), st.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A plan leaves no trace: not of the quarantine, not in the store.
func TestPlanWritesNothing(t *testing.T) {
	b := newBench(t)
	p := b.file("a", "evil")
	s := b.find(p)
	other, err := evidence.Seal(finding("Test.Other-1", p, marker+"evil"), b.store.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	file, err := other.Verify(evidence.VerifyOptions{Keys: b.store.Public()}) // a record that is not in the store
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	for _, c := range []string{"as it is", "no quarantine"} {
		if c == "no quarantine" {
			os.RemoveAll(filepath.Join(b.at, folder))
		}
		before := listing(t, b.at)
		ro, err := store.Open(b.at, store.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		o := b.options()
		o.ReadOnly = true
		q, err := Open(ro, o)
		if err != nil {
			t.Fatal(err)
		}
		out, err := q.Take(t.Context(), []Request{{Finding: s}, {Finding: file}}, false)
		if err != nil || len(out) != 2 || out[0].Result != Planned || out[1].Result != Planned {
			t.Errorf("%s: %+v %v", c, out, err)
		}
		if _, err := q.Take(t.Context(), []Request{{Finding: s}}, true); err == nil {
			t.Errorf("%s: taken by a quarantine that is read only", c)
		}
		if err := errors.Join(q.Restore("00", "", ""), q.Purge("00", "")); err == nil {
			t.Errorf("%s: written to", c)
		}
		if items, err := q.Items(); err != nil || len(items) > 0 {
			t.Errorf("%s: %v %v", c, items, err)
		}
		q.Close()
		ro.Close()
		if after := listing(t, b.at); after != before {
			t.Errorf("%s: the store changed:\n%s\nwas\n%s", c, after, before)
		}
	}
	if read(t, p) != marker+"evil" {
		t.Error("taken")
	}
}

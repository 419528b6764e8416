package quarantine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
)

// dying runs do with a disk that is gone from operation k on, and tells whether it
// came that far.
func (b *bench) dying(k int, do func(q *Quarantine)) (hit bool) {
	b.t.Helper()
	b.close()
	count := 0
	o := b.options()
	o.FS = &disk.FS{Fault: func(op, name string) error {
		if count++; count >= k {
			hit = true
			return errDead
		}
		return noSync(op, name)
	}}
	s, err := store.Open(b.at, store.Options{FS: o.FS})
	if err != nil {
		return hit
	}
	defer s.Close()
	q, err := Open(s, o)
	if err != nil {
		return hit
	}
	defer q.Close()
	do(q)
	return hit
}

// strand makes a stranded item whose name is free again.
func strand(t *testing.T) (b *bench, path, id string) {
	b = newBench(t)
	p := b.file("a", "evil")
	s := b.find(p)
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.between("fstatat", func(n string) bool { return strings.HasSuffix(n, ".0") }, func() {
		f.WriteString(" and more")
		f.Close()
		os.WriteFile(p, []byte("new"), 0o600)
	})
	out := b.take(s, Failed, notTheFile)
	os.Remove(p)
	return b, p, out.Item
}

// A restore of a stranded item dies at any operation: the file is back and that
// is sealed and logged, or it is held and can be restored still.
func TestStrandedRestoreDies(t *testing.T) {
	back, held := 0, 0
	for k := 1; ; k++ {
		b, p, id := strand(t)
		if !b.dying(k, func(q *Quarantine) { q.Restore(id, "", "") }) {
			b.open(nil)
			b.close()
			break
		}
		b.open(nil)
		it, err := b.q.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		if it.State == Stranded {
			held++
			if err := b.q.Restore(id, "", ""); err != nil {
				t.Fatalf("operation %d: %v", k, err)
			}
			if it, err = b.q.Find(id); err != nil {
				t.Fatal(err)
			}
		} else {
			back++
		}
		if it.State != Restored || len(it.Deeds) == 0 || read(t, p) != marker+"evil and more" {
			t.Errorf("operation %d: %s, %d deeds", k, it.State, len(it.Deeds))
		}
		b.sound()
		b.close()
	}
	if back < 3 || held < 3 {
		t.Errorf("%d back, %d held: the test tests too little", back, held)
	}
}

// A restore dies, and the folder has another name when the next process comes: the
// other items go on, what is not known is not claimed, and it can be had elsewhere.
func TestRestoreFolderReplaced(t *testing.T) {
	unknown := 0
	for k := 1; ; k++ {
		b := newBench(t)
		p, other := b.file("d/a", "evil"), b.file("e/b", "evil too")
		one := b.take(b.find(p), Done, "").Item
		two := b.take(b.find(other), Done, "").Item
		hit := b.dying(k, func(q *Quarantine) { q.Restore(one, "", "") })
		dir := filepath.Dir(p)
		if err := os.Rename(dir, dir+".x"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc", dir); err != nil {
			t.Fatal(err)
		}
		b.open(nil)
		if err := b.q.Restore(two, "", ""); err != nil || read(t, other) != marker+"evil too" {
			t.Fatalf("operation %d: the other item: %v", k, err)
		}
		it, err := b.q.Find(one)
		if err != nil {
			t.Fatal(err)
		}
		_, lerr := os.Lstat(filepath.Join(dir+".x", "a"))
		switch {
		case it.State == Stored && lerr == nil:
			t.Errorf("operation %d: said to be in quarantine, and it is back", k)
		case it.State == Restored && lerr != nil:
			t.Errorf("operation %d: said to be back, and it is not", k)
		case it.State == Restoring:
			unknown++
			to := filepath.Join(b.dir, "e")
			if err := b.q.Restore(one, to, ""); err != nil || read(t, filepath.Join(to, "a")) != marker+"evil" {
				t.Errorf("operation %d: elsewhere: %v", k, err)
			}
		}
		b.close()
		if !hit {
			break
		}
	}
	if unknown < 2 {
		t.Errorf("%d unknown: the test tests too little", unknown)
	}
}

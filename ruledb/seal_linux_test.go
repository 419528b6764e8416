package ruledb_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/ruledb"
)

// A sealed database is the same database, and no write to it succeeds by any
// way that a holder of the descriptor has.
func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.scdb")
	if err := os.WriteFile(path, build(t), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f, err := db.Seal()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	again, err := ruledb.OpenFile(f)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Len() != db.Len() || again.Size() != db.Size() || db.Len() == 0 {
		t.Errorf("%d rules of %d, %d bytes of %d", again.Len(), db.Len(), again.Size(), db.Size())
	}
	fd := int(f.Fd())
	if _, err := unix.Pwrite(fd, []byte{1}, 0); err == nil {
		t.Error("written to")
	}
	if err := unix.Ftruncate(fd, 0); err == nil {
		t.Error("cut")
	}
	if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("mapped writable")
	}
	if w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0); err == nil { // root may open it so
		if _, err := w.WriteAt([]byte{1}, 0); err == nil {
			t.Error("written to by another descriptor")
		}
		if err := w.Truncate(0); err == nil {
			t.Error("cut by another descriptor")
		}
		w.Close()
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); err == nil {
		t.Error("seals can be changed")
	}
}

// A database that is shared is the same one; of a file only what is read at start is
// copied, and what changes in the file afterwards, or is cut off, is refused.
func TestShare(t *testing.T) {
	data := build(t)
	path := filepath.Join(t.TempDir(), "x.scdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	memory, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	want, err := told(memory)
	if err != nil {
		t.Fatal(err)
	}
	file, err := ruledb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, db := range []*ruledb.DB{memory, file} {
		sealed, rest, err := db.Share()
		if err != nil {
			t.Fatal(err)
		}
		st, err := sealed.Stat()
		if err != nil || (st.Size() < db.Size()) != (db == file) {
			t.Errorf("%d bytes of %d are copied, %v", st.Size(), db.Size(), err)
		}
		again, err := ruledb.OpenShared(sealed, rest)
		if err != nil {
			t.Fatal(err)
		}
		sealed.Close()
		if have, err := told(again); err != nil || have != want {
			t.Errorf("%s %v, want %s", have, err, want)
		}
		if db == file {
			changed := bytes.Clone(data)
			for i := st.Size(); i < int64(len(changed)); i++ {
				changed[i] ^= 0x55
			}
			for _, bad := range [][]byte{changed, data[:st.Size()]} {
				if err := os.WriteFile(path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				if have, err := told(again); !errors.Is(err, ruledb.ErrCorrupt) {
					t.Errorf("%s %v from a file that changed", have, err)
				}
			}
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

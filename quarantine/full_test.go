package quarantine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence/store"
)

// A store on a disk that is really full, and one that is really read-only.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	b := newBench(t)
	b.close()
	at := filepath.Join(filepath.Dir(b.at), "small")
	os.Mkdir(at, 0o700)
	if err := unix.Mount("none", at, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Skipf("no mount here: %v", err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	b.at = filepath.Join(at, "store")
	b.open(nil)
	p := b.file("large", strings.Repeat("x", 600<<10))
	before := identity(t, p)
	out := b.take(b.find(p), Refused, environment)
	if !strings.Contains(out.Text, "no space") {
		t.Errorf("%+v", out)
	}
	if identity(t, p) != before {
		t.Error("changed")
	}
	b.sound()
	// So small a rest that the take begins and the deed does not fit.
	small := b.file("small", "y")
	s := b.find(small)
	want := identity(t, small)
	results := map[Result]int{}
	for left := 0; left < 24; left++ {
		pad := filepath.Join(at, "pad")
		os.WriteFile(pad, make([]byte, 1<<20), 0o600) // as far as it goes
		st, err := os.Stat(pad)
		if err != nil {
			t.Fatal(err)
		}
		os.Truncate(pad, max(0, st.Size()-int64(left)*4096))
		out, err := b.q.Take(t.Context(), []Request{{Finding: s}}, true)
		os.Remove(pad)
		b.open(nil)
		if err == nil {
			results[out[0].Result]++
		} else {
			results[Failed]++
		}
		items, err := b.q.Select(Selection{})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if err := b.q.Restore(it.ID, "", ""); err != nil {
				t.Fatalf("%d pages left: %v", left, err)
			}
		}
		if got := identity(t, small); got != want {
			t.Fatalf("%d pages left: %s, was %s", left, got, want)
		}
		b.sound()
	}
	if results[Done] == 0 || len(results) < 2 {
		t.Errorf("%v", results)
	}
	t.Logf("%v", results)
	b.close()
	if err := unix.Mount("none", at, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=512k,mode=700"); err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(b.at, store.Options{}); err == nil {
		s.Close()
		t.Error("a store that is read-only opens to write")
	} else if !strings.Contains(err.Error(), "read-only") {
		t.Error(err)
	}
	r, err := store.Open(b.at, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, n, err := r.Check(func(p store.Problem) { t.Error(p) }); err != nil || n == 0 {
		t.Error(n, err)
	}
}

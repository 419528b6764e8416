package quarantine

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
)

var full = flag.Bool("full", false, "try every point, not a sample")

func step(k int) int {
	if *full {
		return 1
	}
	return 45 + k*7%41
}

var errDead = errors.New("the process is dead")

// other is a folder on another file system than the tests' own, or "".
func other(t testing.TB, than string) string {
	var a, b unix.Stat_t
	if unix.Stat("/dev/shm", &a) != nil || unix.Stat(than, &b) != nil || a.Dev == b.Dev {
		return ""
	}
	dir, err := os.MkdirTemp("/dev/shm", "showcause-test-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A deal is what a process does while its disk fails or it dies.
type deal struct {
	name  string
	begin func(b *bench) (files map[string]string, do func(q *Quarantine) error)
}

func deals(t testing.TB) []deal {
	takeIn := func(dir string, names int) func(b *bench) (map[string]string, func(q *Quarantine) error) {
		return func(b *bench) (map[string]string, func(q *Quarantine) error) {
			if dir != "" {
				os.RemoveAll(dir)
				os.MkdirAll(dir, 0o755)
				b.dir = dir
			}
			p := b.file("a", strings.Repeat("content", 9000))
			paths := []string{p}
			for i := 1; i < names; i++ {
				n := filepath.Join(b.dir, string(rune('a'+i)))
				os.Link(p, n)
				paths = append(paths, n)
			}
			s := b.find(p)
			return tree(b.t, b.dir), func(q *Quarantine) error {
				out, err := q.Take(b.t.Context(), []Request{{Finding: s, Paths: paths}}, true)
				if err == nil && out[0].Result != Done {
					err = errors.New(out[0].Text)
				}
				return err
			}
		}
	}
	restoreIn := func(dir string, names int) func(b *bench) (map[string]string, func(q *Quarantine) error) {
		return func(b *bench) (map[string]string, func(q *Quarantine) error) {
			files, do := takeIn(dir, names)(b)
			if err := do(b.q); err != nil {
				b.t.Fatal(err)
			}
			items, err := b.q.Items()
			if err != nil {
				b.t.Fatal(err)
			}
			return files, func(q *Quarantine) error { return q.Restore(items[len(items)-1].ID, "", "a test") }
		}
	}
	out := []deal{{"take", takeIn("", 1)}, {"take two names", takeIn("", 2)}, {"restore", restoreIn("", 1)}, {"restore two names", restoreIn("", 2)}}
	if dir := other(t, t.TempDir()); dir != "" {
		out = append(out, deal{"take from another file system", takeIn(dir, 1)}, deal{"restore to another file system", restoreIn(dir, 1)})
	} else {
		t.Log("no second file system: taking across two was not tried")
	}
	return out
}

// safe holds that a file is where it was, as it was, or in quarantine, whole;
// and that the item can be brought to its end from there.
func (b *bench) safe(files map[string]string, point string) (inQuarantine bool) {
	b.t.Helper()
	now := tree(b.t, b.dir)
	for name := range now {
		if files[name] == "" {
			b.t.Fatalf("%s: %s was left behind", point, name)
		}
	}
	var kept []*Item
	items, err := b.q.Items()
	if err != nil {
		b.t.Fatalf("%s: %v", point, err)
	}
	for _, it := range items {
		if it.State == Stored || it.State == Stranded {
			kept = append(kept, it)
		}
	}
	same := len(now) == len(files)
	for name, want := range files {
		same = same && now[name] == want
	}
	switch {
	case same && len(kept) == 0:
	case len(now) == 0 && len(kept) == 1:
		inQuarantine = true
		if err := b.q.Restore(kept[0].ID, "", "a test"); err != nil {
			b.t.Fatalf("%s: afterwards: %v", point, err)
		}
		for name, want := range files {
			if got := identity(b.t, filepath.Join(b.dir, name)); got != want {
				b.t.Fatalf("%s: afterwards %s:\n  was %s\n  is  %s", point, name, want, got)
			}
		}
	default:
		b.t.Fatalf("%s: %d of %d files are there, %d items in quarantine\n%q\n%q", point, len(now), len(files), len(kept), now, files)
	}
	b.sound()
	left, err := os.ReadDir(filepath.Join(b.at, folder, heldName))
	if err != nil || len(left) > 0 {
		b.t.Fatalf("%s: held is not empty: %v %v", point, left, err)
	}
	return inQuarantine
}

// Operation k fails, for all k, of everything that takes and restores: no file
// is lost, none is there by half, the log is whole, and it is said.
func TestFaults(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fault error
		dies  bool
	}{
		{"EIO", unix.EIO, false},
		{"ENOSPC half", &disk.Short{Err: unix.ENOSPC}, false},
		{"EROFS from there on", unix.EROFS, true},
		{"EXDEV", unix.EXDEV, false},
		{"dies", errDead, true},
		{"dies half", &disk.Short{Err: errDead}, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			points, taken := 0, 0
			for _, d := range deals(t) {
				for k := 1 + len(kind.name)%3; ; k += step(k) {
					b := newBench(t)
					files, do := d.begin(b)
					b.close()
					count, hit, last := 0, false, ""
					o := b.options()
					o.FS = &disk.FS{Fault: func(op, name string) error {
						count++
						if count == k || hit && kind.dies {
							if !hit {
								last = op + " " + name
							}
							hit = true
							return kind.fault
						}
						return noSync(op, name)
					}}
					s, err := store.Open(b.at, store.Options{FS: o.FS})
					if err == nil {
						var q *Quarantine
						if q, err = Open(s, o); err == nil {
							err = do(q)
							q.Close()
						}
						s.Close()
					}
					if !hit {
						break
					}
					points++
					b.open(nil)
					point := d.name + ": " + kind.name + " at " + last
					was := strings.HasPrefix(d.name, "restore")
					in := b.safe(files, point)
					if err == nil && in == was {
						t.Errorf("%s: no error, and it was not done", point)
					}
					if in != was && err != nil && len(b.q.Notes()) == 0 && len(b.store.Notes()) == 0 && kind.dies && kind.fault != unix.EROFS {
						t.Logf("%s: done in the end, and nothing is said of it: %v", point, err)
					}
					if in {
						taken++
					}
					b.close()
				}
			}
			if points < 15 || taken == 0 || taken == points {
				t.Errorf("%d points, %d with the file in quarantine: the test tests too little", points, taken)
			}
			t.Logf("%d points; in %d the file was in quarantine afterwards", points, taken)
		})
	}
}

package directcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/directive/casefile"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/product/estate"
)

var errKilled = errors.New("killed")

// dying is the way to the disk of a process that dies at its n-th operation: from then on none is done. Nothing waits
// for the disk itself.
func dying(n int) (*disk.FS, *int) {
	ops := 0
	return &disk.FS{Fault: func(op, _ string) error {
		if ops++; ops > n {
			return errKilled
		}
		if strings.Contains(op, "sync") {
			return disk.ErrSkip
		}
		return nil
	}}, &ops
}

const never = 1 << 30

// copyTree copies a folder, with the modes that it has.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(from, func(path string, st os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if st.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), st.Mode().Perm())
		}
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, rel), b, st.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilled kills each step from the search to the attestation at operations on the disk, and while the package
// manager runs. The case is whole after each: it loads, nothing in it is refused, its entries are those of before or
// one more that is, and the same step, done again, ends as if nothing had been. What was killed on the way counts as
// neither removed nor gone.
func TestKilled(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	status := filepath.Join(root, "var/lib/dpkg/status")
	installed := estate.Status(estate.Deb{Name: "hello", Version: "1"}, estate.Deb{Name: "other", Version: "1"})
	gone := estate.Status(estate.Deb{Name: "other", Version: "1"})
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(status, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (estate.Tree{"var/lib/dpkg/status": installed}).Write(root); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.searching()
	d.host.FS, _ = dying(never)
	runs, dies := 0, 0
	d.host.Exec = func(_ context.Context, argv []string) (string, int, error) {
		if !strings.Contains(strings.Join(argv, " "), "--no-act") {
			if runs++; runs == dies {
				return "", 0, errKilled // it had begun
			}
			put(gone)
		}
		return "done\n", 0, nil
	}
	d.open(d.write("order.yaml", helloOrder))
	ids := d.write("gnutest.yaml", helloIdentity)
	try := func(args ...string) (string, error) { return d.try(append(args, "--identities", ids)...) }
	do := func(args ...string) string { t.Helper(); return d.do(append(args, "--identities", ids)...) }
	identify := []string{"identify", "no-hello", root, "--endpoint", "image"}
	steps := []struct {
		args  func(finding, proposal string) []string
		again string             // what the same step may be refused with, having been done
		after []string           // states that the finding may have, as if begun or done
		put   func(t *testing.T) // how the root is before
	}{
		{func(string, string) []string { return identify }, "", []string{"candidate"}, nil},
		{func(f, _ string) []string { return []string{"remove", f, "--by", "A. Officer"} }, "", []string{"candidate"}, nil},
		{func(f, p string) []string { return []string{"remove", f, "--approve", p, "--by", "B. Reviewer"} }, "approved already", []string{"candidate"}, nil},
		{func(f, p string) []string { return []string{"remove", f, "--run", p, "--by", "A. Officer"} }, "was carried out", []string{"candidate", "removing", "removed-unverified"}, func(*testing.T) { put(installed) }},
		{func(string, string) []string { return identify }, "", []string{"removed-unverified", "verified-gone"}, nil},
		{func(string, string) []string { return []string{"attest", "no-hello", "--by", "A. Officer"} }, "", []string{"verified-gone"}, nil},
	}
	points, finding, proposal := 0, "", ""
	saved := t.TempDir()
	for i, step := range steps {
		args := step.args(finding, proposal)
		copyTree(t, d.dir, saved+"/case")
		copyTree(t, d.store, saved+"/store")
		before := d.entries()
		reset := func() {
			copyTree(t, saved+"/case", d.dir)
			copyTree(t, saved+"/store", d.store)
			d.host.FS, _ = dying(never)
			if runs, dies = 0, 0; step.put != nil {
				step.put(t)
			}
		}
		fs, total := dying(never)
		d.host.FS = fs
		if out, err := try(args...); err != nil && !errors.Is(err, errRefused) {
			t.Fatalf("step %d: %v\n%s", i, err, out)
		}
		stride := max(1, *total/12) // a dozen places in each step; SHOWCAUSE_KILL_ALL tries every one
		if os.Getenv("SHOWCAUSE_KILL_ALL") != "" {
			stride = 1
		}
		for at := 0; at < *total; at += stride {
			points++
			reset()
			d.host.FS, _ = dying(at)
			_, _ = try(args...)
			d.host.FS, _ = dying(never)
			where := fmt.Sprintf("step %d (%s), killed at operation %d of %d", i, args[0], at, *total)
			d.consistent(where, ids, before, i == 0, step.after)
			if out, err := try(args...); err != nil && !errors.Is(err, errRefused) && (step.again == "" || !strings.Contains(err.Error(), step.again)) {
				t.Fatalf("%s: done again: %v\n%s", where, err, out)
			}
			d.consistent(where+", done again", ids, before, false, step.after[len(step.after)-1:])
		}
		if step.put != nil { // the package manager itself dies
			points++
			reset()
			dies = 1
			if _, err := try(args...); !errors.Is(err, errKilled) {
				t.Fatalf("step %d: %v", i, err)
			}
			d.consistent("the package manager was killed", ids, before, false, []string{"removing"})
			d.has(do("case", "show"), "1 present", "removing")
		}
		reset()
		out := do(args...)
		switch i {
		case 0:
			finding = d.pick(out, findingID)
		case 1:
			proposal = d.pick(out, `proposal ([0-9a-f]{16})`)
		}
	}
	d.has(do("case", "show"), "1 not found", "verified-gone")
	t.Logf("%d points", points)
}

// entries are the names of the case's entries.
func (d *desk) entries() map[string]bool {
	d.t.Helper()
	c, err := casefile.Load(d.dir, casefile.Options{FS: d.host.FS})
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	out := map[string]bool{}
	for _, e := range c.Entries() {
		out[e.Name] = true
	}
	return out
}

// consistent fails unless the case and the store are whole, hold all that they held, and say of the finding one of these
// states.
func (d *desk) consistent(where, ids string, before map[string]bool, none bool, states []string) {
	d.t.Helper()
	held, err := store.Open(d.store, store.Options{FS: d.host.FS})
	if err != nil {
		d.t.Fatalf("%s: store: %v", where, err)
	}
	if _, _, err := held.Check(func(p store.Problem) { d.t.Errorf("%s: store: %s", where, p) }); err != nil {
		d.t.Errorf("%s: store: %v", where, err)
	}
	c, err := casefile.Load(d.dir, casefile.Options{Store: held, FS: d.host.FS})
	if err != nil {
		d.t.Fatalf("%s: %v", where, err)
	}
	if len(c.Refused) > 0 {
		d.t.Errorf("%s: refused: %q", where, c.Refused)
	}
	now := map[string]bool{}
	for _, e := range c.Entries() {
		if now[e.Name] = true; !e.Proven {
			d.t.Errorf("%s: entry %s is not in its log", where, e.Name)
		}
	}
	for name := range before {
		if !now[name] {
			d.t.Errorf("%s: entry %s is gone", where, name)
		}
	}
	c.Close()
	held.Close()
	out, err := d.try("case", "show", "--identities", ids)
	if err != nil {
		d.t.Errorf("%s: %v\n%s", where, err, out)
	}
	for _, s := range states {
		if strings.Contains(out, "  "+s+"\n") {
			return
		}
	}
	if none && !strings.Contains(out, "gnutest.hello") {
		return
	}
	d.t.Errorf("%s: the finding is none of %v:\n%s", where, states, out)
}

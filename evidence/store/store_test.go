package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

// finding is a finding of a file that contains "marker" at its beginning.
func finding(content string) *evidence.Statement {
	s := &evidence.Statement{
		Kind:    evidence.Finding,
		Subject: evidence.Digests{SHA256: sum(content)},
		Predicate: evidence.Predicate{
			Verdict: "found",
			Input:   &evidence.Input{Size: int64(len(content)) + 6},
			Engine:  evidence.Engine{Version: "showcause test", Binary: sum("binary"), Go: "go1.26.0", Target: "linux/amd64"},
			Rules: &evidence.Rules{Database: sum("database"), Rule: &evidence.Rule{
				Language: "clamav", Name: "Test.Marker-1.UNOFFICIAL", File: "test.ldb", Line: 1,
			}},
			Policy:   &evidence.Policy{Limits: showcause.Limits{}.WithDefaults()},
			Matches:  &evidence.Matches{List: []evidence.Match{{Pattern: 0, Offset: 0, Length: 6}}},
			Coverage: &evidence.Coverage{Objects: 1, Bytes: int64(len(content)) + 6, Complete: true},
			Context:  evidence.Context{Path: evidence.Private{Text: "/srv/file"}, Jail: "sealed"},
			Time:     evidence.Time{Observed: "2026-11-21T14:00:00Z"},
		},
	}
	s.Rules.Rule.SetText("Test.Marker-1;Engine:51-255,Target:0;0;6d61726b6572")
	return s
}

func seal(t testing.TB, s *Store, contents ...string) (out []*evidence.Record) {
	t.Helper()
	for _, c := range contents {
		r, err := evidence.Seal(finding(c), s.Keys()...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// noSync leaves out what a test cannot see.
func noSync(op, _ string) error {
	if op == "fsync" || op == "syncfs" {
		return disk.ErrSkip
	}
	return nil
}

func quick() Options { return Options{FS: &disk.FS{Fault: noSync}} }

// check proves a store, and returns the problems.
func check(t testing.TB, s *Store) (n int64, out []string) {
	t.Helper()
	state, n, err := s.Check(func(p Problem) { out = append(out, string(p.Code)) })
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 && state.Size != n {
		t.Errorf("log of %d entries, %d records", state.Size, n)
	}
	return n, out
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "store")
	s := open(t, dir, Options{})
	one := seal(t, s, "a", "b", "c")
	if err := s.Append(one); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(one[:2]); err != nil { // there already
		t.Fatal(err)
	}
	if n, bad := check(t, s); n != 3 || bad != nil {
		t.Errorf("%d records, %q", n, bad)
	}
	var names []string
	s.Each(func(r *evidence.Record) error { names = append(names, r.Name()); return nil })
	if len(names) != 3 || !slices.IsSorted(names) {
		t.Errorf("%q", names)
	}
	if r, err := s.Find(one[1].Name()[:12]); err != nil || r.Name() != one[1].Name() {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := s.Find(""); err == nil {
		t.Error("the one of three")
	}
	for _, bad := range []string{"../x", "zz", strings.Repeat("a", 65), "AB"} {
		if _, err := s.Find(bad); err == nil {
			t.Errorf("%q is found", bad)
		}
	}
	if sealed, err := s.Verify(one[2].Name()); err != nil || sealed.Record().Name() != one[2].Name() {
		t.Error(err)
	}
	p, err := s.Prove(one[2].Name())
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	if i, err := translog.CheckProof([]byte(p.Proof()), p.Digest(), v, nil); err != nil || i != 2 {
		t.Error(i, err)
	}
	// All is for the owner only.
	filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := e.Info()
		if err != nil || i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", p, i.Mode(), err)
		}
		return nil
	})
	again := open(t, dir, Options{ReadOnly: true})
	if n, bad := check(t, again); n != 3 || bad != nil {
		t.Errorf("%d records, %q", n, bad)
	}
	if err := again.Append(one); err == nil {
		t.Error("appended to a store that is open to read")
	}
}

// cp copies a store, for its owner only.
func cp(t *testing.T, dir, from string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(p, 0o700)
		}
		return err
	})
}

// What is changed afterwards is noticed.
func TestChanged(t *testing.T) {
	good := filepath.Join(t.TempDir(), "store")
	s := open(t, good, quick())
	rs := seal(t, s, "a", "b", "c")
	if err := s.Append(rs); err != nil {
		t.Fatal(err)
	}
	file := func(dir string, r *evidence.Record) string {
		return filepath.Join(dir, "records", r.Name()[:2], r.Name()+".scf")
	}
	stranger := open(t, filepath.Join(t.TempDir(), "other"), quick())
	foreign := seal(t, stranger, "d")[0]
	late := seal(t, s, "e")[0]
	for _, c := range []struct {
		name   string
		change func(dir string)
		want   Code
	}{
		{"removed", func(dir string) { os.Remove(file(dir, rs[1])) }, Removed},
		{"a byte", func(dir string) {
			b, _ := os.ReadFile(file(dir, rs[1]))
			b[len(b)/2] ^= 1
			os.WriteFile(file(dir, rs[1]), b, 0o600)
		}, Changed},
		{"another's bytes", func(dir string) {
			os.WriteFile(file(dir, rs[1]), rs[0].Bytes(), 0o600)
		}, Changed},
		{"one that was never logged", func(dir string) {
			os.MkdirAll(filepath.Dir(file(dir, late)), 0o700)
			os.WriteFile(file(dir, late), late.Bytes(), 0o600)
		}, Unlogged},
		{"another host's", func(dir string) {
			os.MkdirAll(filepath.Dir(file(dir, foreign)), 0o700)
			os.WriteFile(file(dir, foreign), foreign.Bytes(), 0o600)
		}, Changed},
		{"less than was sealed", func(dir string) {
			os.WriteFile(file(dir, rs[1]), rs[1].Share(func(string) bool { return false }).Bytes(), 0o600)
		}, Less},
		{"a name", func(dir string) {
			os.WriteFile(filepath.Join(filepath.Dir(file(dir, rs[1])), "note.txt"), nil, 0o600)
		}, Foreign},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		cp(t, dir, good)
		c.change(dir)
		for _, ro := range []bool{true, false} {
			s := open(t, dir, Options{ReadOnly: ro})
			if _, bad := check(t, s); !slices.Contains(bad, string(c.want)) {
				t.Errorf("%s: %q, want %s", c.name, bad, c.want)
			}
			s.Close()
		}
	}
	for _, gone := range []string{"log", "key", "log/checkpoint"} {
		dir := filepath.Join(t.TempDir(), "store")
		cp(t, dir, good)
		os.RemoveAll(filepath.Join(dir, gone))
		if _, err := Open(dir, quick()); err == nil {
			t.Errorf("%s was taken away, and the store opens", gone)
		}
	}
}

// A store that others can get at is refused, and so is one that cannot be made.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o775)
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("others can write to the folder")
	}
	open := filepath.Join(dir, "open")
	os.MkdirAll(filepath.Join(open, recordsDir), 0o755)
	os.Chmod(filepath.Join(open, recordsDir), 0o750)
	if _, err := Open(open, Options{}); err == nil {
		t.Error("others can read the records")
	}
	if s, err := Open(filepath.Join(dir, "fine"), Options{}); err != nil {
		t.Error(err)
	} else {
		os.Chmod(s.Dir(), 0o755) // as a ledger makes it
		s.Close()
		if s, err = Open(filepath.Join(dir, "fine"), Options{}); err != nil {
			t.Error(err)
		} else {
			s.Close()
		}
	}
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	if _, err := Open(filepath.Join(dir, "file"), Options{}); err == nil {
		t.Error("a file is no folder")
	}
	if _, err := Open(filepath.Join(dir, "file", "x"), Options{}); err == nil {
		t.Error("in a file is no folder")
	}
	os.Mkdir(filepath.Join(dir, "real"), 0o700)
	os.Symlink("real", filepath.Join(dir, "link"))
	if _, err := Open(filepath.Join(dir, "link"), Options{}); err == nil {
		t.Error("a link is no folder")
	}
	if _, err := Open(filepath.Join(dir, "none"), Options{ReadOnly: true}); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var all sync.WaitGroup
	for w := range 3 {
		all.Go(func() {
			s, err := Open(dir, quick())
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for i := range 5 {
				r, err := evidence.Seal(finding(fmt.Sprint(w, i)), s.Keys()...)
				if err == nil {
					err = s.Append([]*evidence.Record{r})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n, bad := check(t, open(t, dir, quick())); n != 15 || bad != nil {
		t.Errorf("%d records, %q", n, bad)
	}
}

// A check while others append finds nothing wrong.
func TestCheckMeanwhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir, quick())
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			r, err := evidence.Seal(finding(fmt.Sprint(i)), s.Keys()...)
			if err == nil {
				err = s.Append([]*evidence.Record{r})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for seen := int64(0); seen < 20; {
		r := open(t, dir, Options{ReadOnly: true})
		_, n, err := r.Check(func(p Problem) { t.Error(p) })
		if err != nil {
			t.Fatal(err)
		}
		seen = n
		r.Close()
	}
	close(stop)
	<-done
}

var full = flag.Bool("full", false, "try every point, not a sample")

func step(k int) int {
	if *full {
		return 1
	}
	return 1 + k*5%7
}

// Operation k fails, for all k: of each batch all records are there or none, in
// folder and log alike, and the next opening says what it found.
func TestFaults(t *testing.T) {
	errDead := errors.New("the process is dead")
	for _, kind := range []struct {
		name  string
		fault error
		dies  bool
	}{
		{"EIO", unix.EIO, false},
		{"ENOSPC half", &disk.Short{Err: unix.ENOSPC}, false},
		{"EROFS from there on", unix.EROFS, true},
		{"dies", errDead, true},
		{"dies half", &disk.Short{Err: errDead}, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			points := 0
			for k := 1; ; k += step(k) {
				dir := filepath.Join(t.TempDir(), "store")
				count, hit := 0, false
				s, err := Open(dir, Options{FS: &disk.FS{Fault: func(op, name string) error {
					count++
					if count == k || hit && kind.dies {
						hit = true
						return kind.fault
					}
					return noSync(op, name)
				}}})
				var rs []*evidence.Record
				if err == nil {
					rs = seal(t, s, "a", "b")
					err = s.Append(rs)
					s.Close()
				}
				if !hit {
					break
				}
				points++
				s = open(t, dir, quick())
				n, bad := check(t, s)
				switch {
				case bad != nil:
					t.Fatalf("operation %d: %q after %v", k, bad, err)
				case n != 0 && n != 2 && !kind.dies:
					t.Fatalf("operation %d: %d records after %v", k, n, err)
				case err == nil && n != 2:
					t.Fatalf("operation %d: %d records, and no error", k, n)
				case err != nil && n != 0 && !kind.dies && !errors.Is(err, translog.ErrPending):
					t.Fatalf("operation %d: %d records are there after %v", k, n, err)
				}
				if names, err := s.incoming.Names(); len(names) > 0 || err != nil {
					t.Fatalf("operation %d: %q is left", k, names)
				}
				if err := s.Append(append(rs, seal(t, s, "c")...)); err != nil && rs != nil {
					t.Fatalf("operation %d: afterwards: %v", k, err)
				}
				if _, bad := check(t, s); bad != nil {
					t.Fatalf("operation %d: afterwards: %q", k, bad)
				}
				s.Close()
			}
			if points < 20 {
				t.Errorf("only %d points", points)
			}
			t.Logf("%d points", points)
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store"), Options{})
			for b.Loop() {
				b.StopTimer()
				var cs []string
				for i := range n {
					cs = append(cs, fmt.Sprint(i))
				}
				rs := seal(b, s, cs...)
				b.StartTimer()
				if err := s.Append(rs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

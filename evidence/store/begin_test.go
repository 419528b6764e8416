package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

// empty takes names below a store away.
func empty(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		found, err := filepath.Glob(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if err := os.RemoveAll(f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A store that somebody emptied does not go on under its key as if it were new.
func TestEmptied(t *testing.T) {
	good := filepath.Join(t.TempDir(), "store")
	s := open(t, good, quick())
	if err := s.Append(seal(t, s, "a", "b")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		gone  []string
		fault bool
	}{
		"records and log":        {[]string{"records/*", "log"}, true},
		"what is in them":        {[]string{"records/*", "log/*"}, true},
		"all but the lock":       {[]string{"records/*", "log/[a-km-z]*"}, true},
		"all but the key":        {[]string{"[a-jl-z]*", "key.pub"}, true},
		"log":                    {[]string{"log"}, true},
		"key and records":        {[]string{"records/*", "key", "key.pub"}, false},
		"all but the public key": {[]string{"[a-jl-z]*", "key"}, false},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		cp(t, dir, good)
		empty(t, dir, c.gone...)
		for range 2 { // nothing that a refused opening leaves lets the next one in
			s, err := Open(dir, quick())
			if err == nil {
				s.Close()
				t.Errorf("%s taken away, and the store opens", name)
				break
			}
			var f *translog.Fault
			if errors.As(err, &f) != c.fault || c.fault && !strings.Contains(err.Error(), "log new") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := Open(dir, Options{ReadOnly: true}); err == nil && c.fault {
			t.Errorf("%s taken away, and the store can be read", name)
		}
		if !c.fault {
			if _, err := Open(dir, Options{NewLog: "x"}); err == nil {
				t.Errorf("%s: a new log without a key, or where one is", name)
			}
		}
	}
}

// A log is begun anew only where one is missing, and that is told from then on.
func TestNewLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir, quick())
	if err := s.Append(seal(t, s, "a", "b")); err != nil {
		t.Fatal(err)
	}
	key := string(s.Public()[0].PEM())
	if l, err := s.NewLogs(); l != nil || err != nil {
		t.Errorf("%q, %v", l, err)
	}
	s.Close()
	if _, err := Open(dir, Options{NewLog: "no need"}); err == nil {
		t.Error("a second log")
	}
	for i, gone := range [][]string{{"records/*", "log"}, {"log"}} {
		empty(t, dir, gone...)
		s := open(t, dir, Options{FS: quick().FS, NewLog: "the disk died\nhere"})
		rs := seal(t, s, "c")
		if err := s.Append(rs); err != nil {
			t.Fatal(err)
		}
		s.Close()
		for _, ro := range []bool{true, false} {
			s := open(t, dir, Options{ReadOnly: ro})
			l, err := s.NewLogs()
			if err != nil || len(l) != i+1 || !strings.HasSuffix(l[i], `the disk died\nhere`) || string(s.Public()[0].PEM()) != key {
				t.Errorf("%q, %v", l, err)
			}
			if _, bad := check(t, s); (len(bad) > 0) != (i == 1) { // the record that was there is in no log
				t.Errorf("%q", bad)
			}
			s.Close()
		}
	}
}

// Whatever dies while a log is begun anew: there is none, or one and the note.
func TestNewLogDies(t *testing.T) {
	errDead := errors.New("the process is dead")
	good := filepath.Join(t.TempDir(), "store")
	s := open(t, good, quick())
	if err := s.Append(seal(t, s, "a")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	empty(t, good, "records/*", "log")
	made := 0
	for k := 1; ; k++ {
		dir := filepath.Join(t.TempDir(), "store")
		cp(t, dir, good)
		count := 0
		s, err := Open(dir, Options{NewLog: "why", FS: &disk.FS{Fault: func(op, name string) error {
			if count++; count >= k {
				return errDead
			}
			return noSync(op, name)
		}}})
		if err == nil {
			s.Close()
			break
		}
		if s, err = Open(dir, quick()); err != nil {
			if s, err = Open(dir, Options{NewLog: "again", FS: quick().FS}); err != nil {
				t.Fatalf("operation %d: %v", k, err)
			}
		} else {
			made++
		}
		if l, err := s.NewLogs(); len(l) == 0 || err != nil {
			t.Errorf("operation %d: no note, %v", k, err)
		}
		s.Close()
	}
	if made == 0 {
		t.Error("no log was ever made")
	}
}

// The verifier in Python tells of a log that was begun anew, too.
func TestNewLogPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	dir := filepath.Join(t.TempDir(), "store")
	run := func() string {
		t.Helper()
		out, err := exec.Command(python, "../../docs/format/verify.py", "--store", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	s := open(t, dir, quick())
	if err := s.Append(seal(t, s, "a")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if out := run(); strings.Contains(out, "new-log") {
		t.Error(out)
	}
	empty(t, dir, "records/*", "log")
	open(t, dir, Options{FS: quick().FS, NewLog: "died\x1b"}).Close()
	if out := run(); !strings.Contains(out, "new-log: 20") || !strings.Contains(out, `died\\x1b`) {
		t.Error(out)
	}
}

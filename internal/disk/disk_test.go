package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, s *FS) (*Dir, string) {
	t.Helper()
	name, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.OpenDir(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, name
}

// No way leads through a link or out of the folder.
func TestBeneath(t *testing.T) {
	d, name := open(t, nil)
	os.Mkdir(filepath.Join(name, "real"), 0o755)
	os.WriteFile(filepath.Join(name, "real", "f"), []byte("x"), 0o644)
	os.Symlink("real", filepath.Join(name, "link"))
	os.Symlink("f", filepath.Join(name, "real", "g"))
	os.Symlink("/", filepath.Join(name, "root"))
	for _, bad := range []string{"link/f", "real/g", "root/etc/passwd", "../x", "/etc/passwd", "real/../../x", "link"} {
		if f, err := d.Open(bad, unix.O_RDONLY, 0); err == nil {
			f.Close()
			t.Errorf("%s opens", bad)
		}
		if _, err := d.ReadFile(bad, 1000); err == nil {
			t.Errorf("%s is read", bad)
		}
		if s, err := d.Sub(bad, false); err == nil {
			s.Close()
			t.Errorf("%s opens as a folder", bad)
		}
		if s, err := d.Sub(bad+"/new", true); err == nil {
			s.Close()
			t.Errorf("a folder in %s is made", bad)
		}
	}
	if b, err := d.ReadFile("real/f", 1); err != nil || string(b) != "x" {
		t.Error(string(b), err)
	}
	if _, err := d.ReadFile("real/f", 0); err == nil {
		t.Error("more than was allowed is read")
	}
	unix.Mkfifo(filepath.Join(name, "pipe"), 0o600)
	if _, err := d.ReadFile("pipe", 10); err == nil {
		t.Error("a pipe is read")
	}
	var none *FS
	if x, err := none.OpenDirStrict(filepath.Join(name, "link")); err == nil {
		x.Close()
		t.Error("a link opens strictly")
	}
	if x, err := none.OpenDirStrict(filepath.Join(name, "root", name)); err == nil {
		x.Close()
		t.Error("a path through a link opens strictly")
	}
	sub, err := d.Sub("a/b/c", true)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if p, err := sub.Path(); err != nil || p != filepath.Join(name, "a/b/c") {
		t.Error(p, err)
	}
	if err := sub.Private(); err != nil {
		t.Error(err)
	}
	os.Chmod(filepath.Join(name, "a/b/c"), 0o750)
	if err := sub.Private(); err == nil {
		t.Error("others can read it")
	}
	os.RemoveAll(filepath.Join(name, "a"))
	if p, err := sub.Path(); err == nil {
		t.Errorf("what was removed is at %s", p)
	}
}

// Nothing is replaced unless asked.
func TestNames(t *testing.T) {
	d, _ := open(t, nil)
	for _, n := range []string{"a", "b"} {
		if err := d.WriteFile(n, []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Rename("a", d, "b"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := d.LinkName("a", d, "b"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	f, err := d.Temp("t")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Link(d, "b"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	f.Write([]byte("new"))
	if err := f.Link(d, "c"); err != nil {
		t.Error(err)
	}
	f.Discard()
	if err := d.WriteFile("b", []byte("again"), 0o600); err != nil {
		t.Error(err)
	}
	for n, want := range map[string]string{"a": "a", "b": "again", "c": "new"} {
		if b, err := d.ReadFile(n, 100); string(b) != want {
			t.Errorf("%s: %q, %v", n, b, err)
		}
	}
	g, err := d.Temp("u")
	if err != nil {
		t.Fatal(err)
	}
	g.Discard()
	if err := d.Create(TempPrefix+"left", nil, 0o600, false); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Sweep(); n != 1 || err != nil {
		t.Error(n, err)
	}
	if names, err := d.Names(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Error(names, err)
	}
}

// Where there are no nameless files, a temporary one has a name until it is linked.
func TestTempNamed(t *testing.T) {
	refuse := true
	d, _ := open(t, &FS{Fault: func(op, name string) error {
		if op == "openat2" && name == "." && refuse {
			return unix.EOPNOTSUPP
		}
		return nil
	}})
	f, err := d.Temp("x")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("content"))
	if there, _ := d.Has(TempPrefix + "x"); !there {
		t.Error("no temporary name")
	}
	if err := f.Link(d, "x"); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	g, err := d.Temp("y")
	if err != nil {
		t.Fatal(err)
	}
	g.Discard()
	if names, err := d.Names(); !slices.Equal(names, []string{"x"}) {
		t.Error(names, err)
	}
}

// A fault is what the caller gets; a short write is one.
func TestFault(t *testing.T) {
	var fault error
	d, name := open(t, &FS{Fault: func(op, _ string) error {
		if op == "write" {
			return fault
		}
		return nil
	}})
	fault = &Short{Err: unix.ENOSPC}
	f, err := d.Open("f", unix.O_CREAT|unix.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.Write([]byte("12345678")); n != 4 || !errors.Is(err, unix.ENOSPC) {
		t.Error(n, err)
	}
	if b, _ := os.ReadFile(filepath.Join(name, "f")); string(b) != "1234" {
		t.Errorf("%q", b)
	}
	if err := d.WriteFile("g", []byte("12345678"), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
	if names, _ := d.Names(); !slices.Equal(names, []string{"f"}) {
		t.Errorf("a write that failed left %q", names)
	}
	fault = nil
	if err := f.SetXattr(Xattr{"user.a", []byte("b")}); err == nil {
		xs, err := f.Xattrs()
		if err != nil || len(xs) == 0 || !bytes.Equal(xs[len(xs)-1].Value, []byte("b")) {
			t.Error(xs, err)
		}
	}
}

// The lock is one: between descriptors as between processes.
func TestLock(t *testing.T) {
	d, _ := open(t, nil)
	a, err := d.Open("lock", unix.O_CREAT|unix.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := d.Open("lock", unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := a.Lock(true); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() { got <- b.Lock(true) }()
	select {
	case <-got:
		t.Fatal("two have it")
	default:
	}
	a.Unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

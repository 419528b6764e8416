package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/wire"
)

// mode is how a descriptor was opened.
func mode(t *testing.T, fd int) int {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags & unix.O_ACCMODE
}

// TestPassReadOnly holds that only descriptors that read are passed.
func TestPassReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("some text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []int{os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_APPEND, unix.O_PATH} {
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pass(f)
		if flags == os.O_WRONLY || flags == unix.O_PATH { // read(2) says so too
			if !errors.Is(err, unix.EBADF) {
				t.Errorf("%#x: %v", flags, err)
			}
			f.Close()
			continue
		}
		if err != nil {
			t.Fatalf("%#x: %v", flags, err)
		}
		b := make([]byte, 20)
		if n, err := pread(p.fd, b, 0); mode(t, p.fd) != unix.O_RDONLY || p.size != 9 || err != nil || string(b[:n]) != "some text" {
			t.Errorf("%#x: mode %d, size %d, %q %v", flags, mode(t, p.fd), p.size, b[:n], err)
		}
		if p.own != (flags != os.O_RDONLY) {
			t.Errorf("%#x: opened again: %v", flags, p.own)
		}
		p.close()
		p.close()
		f.Close()
	}
}

// TestPassOnlyFiles holds that nothing else than a regular file is passed.
func TestPassOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listener, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	event, err := unix.Eventfd(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := []*os.File{os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "other"), listener, os.NewFile(uintptr(event), "event")}
	for path, flags := range map[string]int{dir: os.O_RDONLY, fifo: os.O_RDWR, "/dev/null": os.O_RDWR, "/dev/zero": os.O_RDONLY, dir + "/socket": unix.O_PATH} {
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, f := range files {
		if _, err := pass(f); !errors.Is(err, errNotRegular) {
			t.Errorf("%s: %v", f.Name(), err)
		}
		f.Close()
		if _, err := pass(f); err == nil {
			t.Errorf("%s: closed, and passed", f.Name())
		}
	}
}

// TestSealed holds that a copy in memory cannot be changed by who has its descriptor.
func TestSealed(t *testing.T) {
	fd, err := sealed("x", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, []byte("x"), 0); err == nil {
		t.Error("written to")
	}
	if err := unix.Ftruncate(fd, 1); err == nil {
		t.Error("cut")
	}
	if seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_WRITE == 0 || seals&unix.F_SEAL_SEAL == 0 {
		t.Errorf("seals %#x, %v", seals, err)
	}
}

// TestUnsized scans files of a kernel file system, which say that they are empty.
func TestUnsized(t *testing.T) {
	noLeak(t)
	p := pool(t, nil, Options{}, "real")
	for _, path := range []string{"/proc/cpuinfo", "/proc/self/maps", "/proc/version", "/sys/devices/system/cpu/online", "/sys/kernel/mm/transparent_hugepage/enabled"} {
		f, err := os.Open(path)
		if err != nil {
			t.Skip(err)
		}
		r, err := p.Scan(context.Background(), f)
		f.Close()
		if err != nil || r.Size == 0 || r.Verdict != showcause.NothingFound || r.Spent.Bytes < r.Size {
			t.Errorf("%s: %+v %v", path, r, err)
		}
	}
}

// TestPassFromStart holds that what is read of a file does not depend on where its descriptor
// stands, which stays there: whoever passed it has it too.
func TestPassFromStart(t *testing.T) {
	noLeak(t)
	sparse := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(sparse, []byte("x"), 0o600), os.Truncate(sparse, 100<<20)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/proc/self/environ", "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled", sparse} {
		f, err := os.Open(path)
		if err != nil {
			t.Logf("not here: %v", err)
			continue
		}
		at, err := io.CopyN(io.Discard, f, 10)
		if err == nil && path != sparse {
			n, _ := io.Copy(io.Discard, f)
			at += n
		}
		p, err := pass(f)
		if err != nil || p.size < at {
			t.Errorf("%s: %d bytes of %d, %v", path, p.size, at, err)
		}
		if now, err := f.Seek(0, io.SeekCurrent); now != at {
			t.Errorf("%s: stands at %d, stood at %d, %v", path, now, at, err)
		}
		p.close()
		f.Close()
	}
}

// A pipe stands for a file that is not read by place: only a new descriptor reads it.
func TestContentByPlace(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("all of it")
	w.Close()
	if b, err := content(int(r.Fd())); string(b) != "all of it" || err != nil {
		t.Errorf("%q %v", b, err)
	}
}

// TestOver holds that of a file that is longer than any number in a record the rest is a gap.
func TestOver(t *testing.T) {
	noLeak(t)
	fd, err := unix.MemfdCreate("large", unix.MFD_CLOEXEC)
	if err != nil {
		t.Skip(err)
	}
	f := os.NewFile(uintptr(fd), "large")
	defer f.Close()
	if err := unix.Ftruncate(fd, 1<<53+4096); err != nil {
		t.Skip(err)
	}
	r, err := pool(t, nil, Options{}, "real").Scan(context.Background(), f)
	if err != nil || r.Verdict != showcause.Incomplete || !slices.ContainsFunc(r.Gaps, func(g showcause.Gap) bool { return g.Code == showcause.LimitSize }) {
		t.Errorf("%+v %v", r, err)
	}
}

// TestUnsizedLarge holds that more than is taken of such a file is told.
func TestUnsizedLarge(t *testing.T) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	n, err := io.Copy(io.Discard, f)
	if err != nil || n == 0 {
		t.Skip(n, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Skip(err)
	}
	p, err := pass(f)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.size != min(n, unsized) || p.changed() != (n > unsized) {
		t.Errorf("%d bytes of %d, more %v", p.size, n, p.changed())
	}
}

// TestChanged holds that a file that is written to while it is scanned is told.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for what, change := range map[string]func(){
		"nothing": func() {},
		"grown": func() {
			f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			f.WriteString("more")
			f.Close()
		},
		"written over, its time put back": func() {
			st, _ := os.Stat(path)
			f, _ := os.OpenFile(path, os.O_WRONLY, 0)
			f.WriteString("S")
			f.Close()
			os.Chtimes(path, st.ModTime(), st.ModTime())
		},
		"cut": func() { os.Truncate(path, 3) },
	} {
		if err := os.WriteFile(path, []byte("sleep 500\n"+strings.Repeat("x", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the kernel's clock of files is coarse
		p := pool(t, &bare{}, Options{Workers: 1}, "script")
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan showcause.Report, 1)
		p.Submit(context.Background(), f, func(r showcause.Report, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- r
		})
		for deadline := time.Now().Add(20 * time.Second); !busy(p) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		change()
		r := <-done
		f.Close()
		if has(&r, showcause.Changed) != (what != "nothing") || (r.Verdict == showcause.NothingFound) != (what == "nothing") {
			t.Errorf("%s: %v %s", what, r.Verdict, codesOf(&r))
		}
	}
}

// busy tells whether a reader has a job.
func busy(p *Pool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.peers {
		if len(r.out) > 0 {
			return true
		}
	}
	return false
}

// TestMisuse holds that a file that is closed too early is an error, and harms
// no other.
func TestMisuse(t *testing.T) {
	noLeak(t)
	p := pool(t, &bare{}, Options{Workers: 1}, "script")
	done := make(chan error, 40)
	var files []*os.File
	for range 40 {
		f := tempFile(t, "sleep 5\n")
		files = append(files, f)
		p.Submit(context.Background(), f, func(_ showcause.Report, err error) { done <- err })
	}
	files[20].Close()
	files[39].Close()
	bad := 0
	for range 40 {
		if err := <-done; errors.Is(err, os.ErrClosed) {
			bad++
		} else if err != nil {
			t.Error(err)
		}
	}
	if bad > 2 {
		t.Errorf("%d errors", bad)
	}
}

// TestHoles reads sparse files with their holes told, and without.
func TestHoles(t *testing.T) {
	const m = 1 << 20
	for name, c := range map[string]struct {
		size int64
		data []int64
		want int
	}{
		"none":             {30 * m, []int64{0, 4 * m, 8 * m, 12 * m, 16 * m, 20 * m, 24 * m, 28 * m}, 0},
		"all":              {64 * m, nil, 1},
		"at the end":       {64 * m, []int64{0}, 1},
		"at the start":     {64*m + 7, []int64{64 * m}, 1},
		"between":          {100*m + 1, []int64{0, 100 * m}, 1},
		"more than travel": {200 * m, []int64{0, 10 * m, 20 * m, 30 * m, 40 * m, 50 * m, 60 * m, 70 * m, 80 * m, 90 * m, 100 * m, 110 * m, 120 * m, 130 * m, 140 * m, 150 * m, 160 * m, 170 * m, 180 * m}, wire.MaxHoles},
		"of odd places":    {90*m + 123, []int64{7*m + 77, 50*m + 1}, 3},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(c.size); err != nil {
			t.Fatal(err)
		}
		for i, at := range c.data {
			if _, err := f.WriteAt([]byte{byte(i + 1), 2, 3}, at); err != nil {
				t.Fatal(err)
			}
		}
		f.Seek(5, io.SeekStart)
		if !tellsHoles(int(f.Fd())) {
			t.Skip("a file system whose word is not taken")
		}
		holes := holesOf(int(f.Fd()), c.size)
		if at, _ := f.Seek(0, io.SeekCurrent); at != 5 || len(holes) != c.want {
			t.Errorf("%s: %d holes, want %d: %v; at %d", name, len(holes), c.want, holes, at)
		}
		with, without := &file{int(f.Fd()), c.size, holes}, &file{fd: int(f.Fd()), size: c.size}
		a, b := make([]byte, m+3), make([]byte, m+3)
		for off := int64(0); off < c.size+m; off += m - 1 {
			for i := range a {
				a[i], b[i] = 'x', 'x'
			}
			n, err := with.ReadAt(a, off)
			if k, want := without.ReadAt(b, off); n != k || !errors.Is(err, want) || !bytes.Equal(a, b) {
				t.Fatalf("%s: at %d: %d bytes, %v; want %d, %v", name, off, n, err, k, want)
			}
		}
		p, err := pass(f)
		if err != nil || !slices.Equal(p.holes, holes) {
			t.Errorf("%s: %v passed, want %v: %v", name, p.holes, holes, err)
		}
		p.close()
	}
}

// TestHoleFilled holds that what is written into a hole is told.
func TestHoleFilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100<<20); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // times of files are coarse
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := pass(f)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.changed() {
		t.Error("changed at once")
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.WriteAt([]byte("marker"), 50<<20)
	w.Close()
	if !p.changed() {
		t.Error("not told")
	}
}

// What is known of a large file is kept while it is the same source: one that cannot be
// compared, as a struct with a slice cannot, is gone through for every look.
func TestFileIsComparable(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(8 << 20); err != nil {
		t.Fatal(err)
	}
	var src showcause.Source = &file{int(f.Fd()), 8 << 20, []wire.Hole{{Off: 4096, Len: 4096}}}
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
	if first := out.Places(src); first == nil || out.Places(src) != first {
		t.Error("a file's places are looked for twice")
	}
}

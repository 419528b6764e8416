package watch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is the daemon and the guard too: those that the tests start are this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Role:
			os.Exit(Guard(os.Args[2:]))
		case "daemon":
			if err := daemon(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(3)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

const marker = "watch-test marker 1f0b showcause."

// daemon watches a folder. What it reads is judged by what is in it.
func daemon(args []string) error {
	f := flag.NewFlagSet("daemon", flag.ContinueOnError)
	var o Options
	f.BoolVar(&o.Block, "block", false, "")
	f.BoolVar(&o.DenyOnTimeout, "deny", false, "")
	f.BoolVar(&o.IgnoreMarks, "ignore", false, "")
	f.DurationVar(&o.Timeout, "timeout", 0, "")
	f.DurationVar(&o.Stall, "stall", 0, "")
	f.Func("uid", "", func(string) error { o.ExcludeUIDs = append(o.ExcludeUIDs, 12345); return nil })
	f.Func("exclude", "", func(p string) error { o.ExcludePaths = append(o.ExcludePaths, p); return nil })
	f.Func("program", "", func(p string) error { o.Programs = append(o.Programs, p); return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	o.Paths = f.Args()
	o.Log = slog.New(slog.NewTextHandler(os.Stdout, nil))
	o.Rules = func() any { return 1 }
	o.Scan = func(ctx context.Context, f *os.File, name, client string) (v Verdict, err error) {
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		fmt.Printf("scan %s %s\n", filepath.Base(name), client)
		v.Rules = 1
		switch {
		case err != nil:
		case bytes.HasPrefix(b, []byte("hang")):
			<-ctx.Done()
			err = ctx.Err()
		case bytes.HasPrefix(b, []byte("fail")):
			err = errors.New("as asked")
		case bytes.Contains(b, []byte(marker)):
			v.Deny, v.Said = true, "Test.Marker FOUND"
		}
		return v, err
	}
	w, err := New(o)
	if err != nil {
		return err
	}
	return w.Run(context.Background(), func() { fmt.Println("ready") })
}

// mounted is a file system of the test's own.
func mounted(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("fanotify and mounts take root")
	}
	fd, err := group(true)
	if err != nil {
		t.Skip(err)
	}
	unix.Close(fd)
	dir := t.TempDir()
	if err := unix.Mount("watch-test", dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// process is a daemon that runs.
type process struct {
	c     *exec.Cmd
	lines chan string
}

func start(t testing.TB, args ...string) *process {
	t.Helper()
	c := exec.Command("/proc/self/exe", append([]string{"daemon"}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{c: c, lines: make(chan string, 10000)}
	go func() {
		defer close(p.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		for range p.lines { // to the end
		}
		_ = c.Wait()
	})
	p.wait(t, "ready")
	return p
}

// wait returns the lines up to one that has a text in it.
func (p *process) wait(t testing.TB, text string) (seen []string) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-p.lines:
			seen = append(seen, l)
			if strings.Contains(l, text) {
				return seen
			}
			if !ok {
				t.Fatalf("no %q in %q", text, seen)
			}
		case <-late:
			t.Fatalf("no %q in %q", text, seen)
		}
	}
}

// scans counts those of a file among lines that are there, up to a file that is asked for now.
func (p *process) scans(t testing.TB, dir, name string) (n int) {
	t.Helper()
	last := filepath.Join(dir, fmt.Sprintf("last%d", time.Now().UnixNano()))
	put(t, last, "last", 0o600)
	read(t, last)
	for _, l := range p.wait(t, "scan "+filepath.Base(last)) {
		if strings.HasPrefix(l, "scan "+name+" ") {
			n++
		}
	}
	return n
}

func put(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// read tells whether a file can be opened, by a process of another program than the daemon's.
func read(t testing.TB, path string) bool {
	t.Helper()
	out, err := exec.Command("cat", path).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not permitted") {
		t.Errorf("%s: %v %s", path, err, out)
	}
	return err == nil
}

func TestBlock(t *testing.T) {
	for _, ignore := range []string{"-ignore=false", "-ignore"} {
		t.Run(ignore, func(t *testing.T) {
			dir := mounted(t)
			bad, clean, script := filepath.Join(dir, "bad"), filepath.Join(dir, "clean"), filepath.Join(dir, "script")
			put(t, bad, "x"+marker, 0o600)
			put(t, clean, "nothing", 0o600)
			put(t, script, "#!/bin/sh\nexit 0\n# "+marker, 0o700)
			p := start(t, "-block", ignore, dir)
			for range 3 {
				if read(t, bad) || !read(t, clean) {
					t.Fatal("bad is read, or clean is not")
				}
			}
			if err := exec.Command(script).Run(); !errors.Is(err, unix.EPERM) {
				t.Errorf("a script with it in it: %v", err)
			}
			if n := p.scans(t, dir, "clean"); n != 1 {
				t.Errorf("clean was scanned %d times", n)
			}
			put(t, script, "#!/bin/sh\nexit 7\n", 0o700)
		})
	}
}

// What is written to is scanned again, by whatever way it was written.
func TestWritten(t *testing.T) {
	for _, ignore := range []string{"-ignore=false", "-ignore"} {
		t.Run(ignore, func(t *testing.T) {
			dir := mounted(t)
			file := filepath.Join(dir, "file")
			put(t, file, strings.Repeat("a", 100), 0o700)
			p := start(t, "-block", ignore, dir)
			for range 2 { // the second time it is known
				if !read(t, file) {
					t.Fatal("clean is refused")
				}
			}
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte(marker), 10); err != nil {
				t.Fatal(err)
			}
			if read(t, file) {
				t.Error("it is read while the writer has it open")
			}
			if _, err := f.WriteAt(bytes.Repeat([]byte("b"), 100), 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if !read(t, file) {
				t.Error("clean again, and refused")
			}
			if err := os.Rename(file, file+"2"); err != nil {
				t.Fatal(err)
			}
			if !read(t, file+"2") {
				t.Error("renamed, and refused")
			}
			p.scans(t, dir, "file")
		})
	}
}

// Writing through a map changes no time on tmpfs while the map is there; who has it is seen.
func TestMapped(t *testing.T) {
	dir := mounted(t)
	file := filepath.Join(dir, "file")
	put(t, file, strings.Repeat("a", 4096), 0o700)
	start(t, "-block", dir)
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	_ = m[0]
	if !read(t, file) {
		t.Error("clean is refused")
	}
	copy(m[100:], marker)
	if read(t, file) {
		t.Error("what was written through the map is read")
	}
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	if read(t, file) {
		t.Error("what was written through a map that is gone is read")
	}
}

// A scan that does not end is answered by the settings, and so is one that fails.
func TestTimeout(t *testing.T) {
	for _, deny := range []bool{false, true} {
		dir := mounted(t)
		hang, fail := filepath.Join(dir, "hang"), filepath.Join(dir, "fail")
		put(t, hang, "hang", 0o600)
		put(t, fail, "fail", 0o600)
		p := start(t, "-block", fmt.Sprintf("-deny=%v", deny), "-timeout", "100ms", dir)
		if read(t, hang) == deny || read(t, fail) == deny {
			t.Errorf("deny %v: not as set", deny)
		}
		p.wait(t, "without a verdict")
	}
}

// Killed, the daemon lets everything through; so does one that stalls, once the guard
// has ended it.
func TestKilled(t *testing.T) {
	for what, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stalled": syscall.SIGSTOP} {
		t.Run(what, func(t *testing.T) {
			dir := mounted(t)
			bad, hang := filepath.Join(dir, "bad"), filepath.Join(dir, "hang")
			put(t, bad, marker, 0o600)
			put(t, hang, "hang", 0o600)
			p := start(t, "-block", "-timeout", "10m", "-stall", "1s", dir)
			if read(t, bad) {
				t.Fatal("bad is read")
			}
			waiting := make(chan error, 1)
			go func() { waiting <- exec.Command("cat", hang).Run() }()
			p.wait(t, "scan hang")
			if err := p.c.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := <-waiting; err != nil {
				t.Errorf("who waited: %v", err)
			}
			if !read(t, bad) {
				t.Error("refused by nobody")
			}
			if out, err := exec.Command("cat", hang).CombinedOutput(); err != nil || string(out) != "hang" {
				t.Errorf("%q %v", out, err)
			}
		})
	}
}

func TestExempt(t *testing.T) {
	dir := mounted(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	bad, out := filepath.Join(dir, "bad"), filepath.Join(sub, "bad")
	for _, f := range []string{bad, out, filepath.Join(dir, "subbad")} {
		put(t, f, marker, 0o644)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tail, err := exec.LookPath("tail")
	if err != nil {
		t.Skip(err)
	}
	start(t, "-block", "-exclude", sub, "-program", tail, "-uid", "x", dir)
	if read(t, bad) || !read(t, out) || read(t, filepath.Join(dir, "subbad")) {
		t.Error("by path: not as set")
	}
	if out, err := exec.Command("tail", bad).CombinedOutput(); err != nil {
		t.Errorf("program: %v %s", err, out)
	}
	head := exec.Command("head", "-c1", bad)
	if err := head.Run(); err == nil {
		t.Error("another program is let through")
	}
	// The user is that of the process when it asks: it may not be let into the folder of
	// the test by its path, so it is handed the folder.
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	head = exec.Command("head", "-c1", "bad")
	head.Dir = fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	head.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	if out, err := head.CombinedOutput(); err != nil && !errors.Is(err, unix.EACCES) {
		t.Errorf("user: %v %s", err, out)
	}
}

// A folder that is no mount of its own is watched alone.
func TestFolder(t *testing.T) {
	dir := mounted(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, sub+"/bad", marker, 0o600)
	put(t, dir+"/bad", marker, 0o600)
	start(t, "-block", sub)
	if read(t, sub+"/bad") || !read(t, dir+"/bad") {
		t.Error("not as set")
	}
}

// Without -block what was written or started is told of, and nobody waits.
func TestNotify(t *testing.T) {
	dir := mounted(t)
	p := start(t, dir)
	put(t, dir+"/bad", marker, 0o600)
	p.wait(t, "Test.Marker FOUND")
	put(t, dir+"/script", "#!/bin/sh\n", 0o700)
	p.wait(t, "scan script")
	if !read(t, dir+"/bad") {
		t.Error("refused")
	}
}

func TestRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("fanotify takes root")
	}
	for path, want := range map[string]string{"/proc": "no files of its own", "/proc/self/exe": "not a directory", "/nothing/there": "no such file"} {
		w, err := New(Options{Paths: []string{path}, Rules: func() any { return 1 }, Block: true})
		if err == nil {
			err = w.Run(t.Context(), nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The guard ends a process that does not beat, and goes with one that ends.
func TestGuard(t *testing.T) {
	for _, beats := range []bool{false, true} {
		victim := exec.Command("sleep", "60")
		if err := victim.Start(); err != nil {
			t.Skip(err)
		}
		pid, err := unix.PidfdOpen(victim.Process.Pid, 0)
		if err != nil {
			t.Skip(err)
		}
		self := os.NewFile(uintptr(pid), "victim")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		g := exec.Command("/proc/self/exe", Role, "200")
		g.ExtraFiles = []*os.File{r, self}
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		self.Close()
		if beats {
			w.Write([]byte{1})
			w.Close()
		}
		err = g.Wait()
		if !beats {
			w.Close()
		}
		if (err == nil) != beats {
			t.Errorf("beats %v: %v", beats, err)
		}
		if beats {
			_ = victim.Process.Kill()
		}
		if err := victim.Wait(); err == nil {
			t.Error("not killed")
		}
	}
}

func TestBelow(t *testing.T) {
	for _, x := range []struct {
		path, dir string
		want      bool
	}{{"/a/b", "/a", true}, {"/a", "/a", true}, {"/ab", "/a", false}, {"/a", "/", true}, {"", "/a", false}, {"/a/b", "/a/", true}} {
		if below(x.path, x.dir) != x.want {
			t.Errorf("%+v", x)
		}
	}
}

func metadata(mask uint64, fd, pid int32, extra int) []byte {
	b := make([]byte, metadataLen+extra)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	b[4] = unix.FANOTIFY_METADATA_VERSION
	binary.NativeEndian.PutUint16(b[6:], metadataLen)
	binary.NativeEndian.PutUint64(b[8:], mask)
	binary.NativeEndian.PutUint32(b[16:], uint32(fd))
	binary.NativeEndian.PutUint32(b[20:], uint32(pid))
	return b
}

func TestParse(t *testing.T) {
	b := append(metadata(unix.FAN_OPEN_PERM, 5, 77, 0), metadata(unix.FAN_Q_OVERFLOW, -1, 0, 16)...)
	events, err := parse(b)
	if err != nil || len(events) != 2 || events[0] != (event{unix.FAN_OPEN_PERM, 5, 77}) || events[1].fd != -1 {
		t.Errorf("%v %+v", err, events)
	}
	for n := range len(b) {
		if events, err := parse(b[:n]); (err == nil) != (n == 0 || n == metadataLen) || len(events) > 1 {
			t.Errorf("%d bytes: %v %v", n, events, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(append(metadata(unix.FAN_OPEN_PERM, 5, 77, 0), metadata(unix.FAN_CLOSE_WRITE, 6, 1, 12)...))
	f.Add([]byte{24, 0, 0, 0, 3, 0, 24, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if events, _ := parse(b); len(events) > len(b)/metadataLen {
			t.Fatalf("%d events of %d bytes", len(events), len(b))
		}
	})
}

package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
)

// dealMain is the process that is killed: take, restore or seal, by STORE ROOT
// and what they need. It runs in one thread, so that its system calls can be
// counted.
func dealMain(a []string) int {
	runtime.LockOSThread()
	err := func() error {
		s, err := store.Open(a[1], store.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		if a[0] == "seal" {
			var rs []*evidence.Record
			for i := range 3 {
				r, err := evidence.Seal(finding("Test.Marker-1", "/x", marker+fmt.Sprint(i)), s.Keys()...)
				if err != nil {
					return err
				}
				rs = append(rs, r)
			}
			return s.Append(rs)
		}
		q, err := Open(s, Options{Guard: Guard{Stages: []byte("act *\n"), Root: a[2]}, Limits: Limits{Takes: -1, Share: -1}})
		if err != nil {
			return err
		}
		defer q.Close()
		if a[0] == "restore" {
			return q.Restore(a[3], "", "a test")
		}
		sealed, err := s.Verify(a[3])
		if err != nil {
			return err
		}
		out, err := q.Take(context.Background(), []Request{{Finding: sealed, Paths: a[4:]}}, true)
		if err == nil && out[0].Result != Done {
			err = errors.New(out[0].Text)
		}
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// calls are the system calls at which a process is killed: all that do something
// to the disk, and those by which it looks.
var calls = []string{
	"openat2", "openat", "write", "fsync", "syncfs", "renameat2", "linkat", "unlinkat", "mkdirat", "mkdir", "fchown", "fchmod",
	"utimensat", "fsetxattr", "flistxattr", "fstat", "newfstatat", "flock", "getdents64", "close", "read", "lseek", "statx", "ftruncate",
}

// A scene is a process to kill, and what must hold afterwards.
type scene struct {
	name  string
	begin func(b *bench) (args []string, files map[string]string)
}

func scenes(t testing.TB) (out []scene) {
	make := func(dir string, names int, restore bool) func(b *bench) ([]string, map[string]string) {
		return func(b *bench) ([]string, map[string]string) {
			root := filepath.Join(b.at, "..", "root")
			if dir != "" {
				os.RemoveAll(dir)
				os.MkdirAll(dir, 0o755)
				b.dir = dir
			}
			paths := []string{b.file("a", strings.Repeat("content", 9000))}
			for i := 1; i < names; i++ {
				paths = append(paths, filepath.Join(b.dir, string(rune('a'+i))))
				os.Link(paths[0], paths[i])
			}
			s := b.find(paths[0])
			files := tree(b.t, b.dir)
			if !restore {
				return append([]string{"take", b.at, root, s.Record().Name()}, paths...), files
			}
			return []string{"restore", b.at, root, b.take(s, Done, "", paths...).Item}, files
		}
	}
	out = append(out, scene{"take", make("", 1, false)}, scene{"restore", make("", 1, true)},
		scene{"take two names", make("", 2, false)}, scene{"restore two names", make("", 2, true)},
		scene{"seal", func(b *bench) ([]string, map[string]string) { return []string{"seal", b.at}, map[string]string{} }})
	if dir := other(t, t.TempDir()); dir != "" {
		out = append(out, scene{"take from another file system", make(dir, 1, false)}, scene{"restore to another file system", make(dir, 1, true)})
	}
	return out
}

// strace runs a scene's process, killed at the n-th of a system call, and
// returns the trace if n is 0.
func strace(t *testing.T, args []string, call string, n int) (trace string, killed bool) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	a := []string{"-f", "-qq", "-o", log, "-e", "trace=" + strings.Join(calls, ",")}
	if n > 0 {
		a = append(a, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n))
	}
	c := exec.Command("strace", append(append(a, os.Args[0]), args...)...)
	c.Env = append(os.Environ(), "SHOWCAUSE_QUARANTINE_TEST=deal", "GOMAXPROCS=1", "GOGC=off")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	err := c.Run()
	b, rerr := os.ReadFile(log)
	if rerr != nil {
		t.Fatal(rerr, stderr.String())
	}
	killed = strings.Contains(string(b), "killed by SIGKILL")
	if err != nil && !killed {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(b), killed
}

// Killed at any system call, a take, a restore or a sealing leaves no file lost,
// none by half, and a whole log; and what it left is finished or undone.
func TestKill(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace here")
	}
	total, each := 0, 4
	for _, sc := range scenes(t) {
		b := newBench(t)
		args, _ := sc.begin(b)
		b.close()
		trace, _ := strace(t, args, "", 0)
		count := map[string]int{}
		for line := range strings.Lines(trace) {
			for _, w := range strings.Fields(line)[1:2] {
				name, _, _ := strings.Cut(w, "(")
				count[name]++
			}
		}
		type point struct {
			call string
			n    int
		}
		var points []point
		for _, call := range calls {
			for n := 1; n <= count[call]; n++ {
				points = append(points, point{call, n})
			}
		}
		if len(points) < 50 {
			t.Skipf("strace shows only %d system calls", len(points))
		}
		if !*full {
			var some []point
			for i := 0; i < each; i++ {
				some = append(some, points[(i*len(points)/each+total*7)%len(points)])
			}
			points = some
		}
		kills, taken := 0, 0
		for _, p := range points {
			b := newBench(t)
			args, files := sc.begin(b)
			b.close()
			_, killed := strace(t, args, p.call, p.n)
			if killed {
				kills++
			}
			b.open(nil)
			at := fmt.Sprintf("%s, killed at %s number %d", sc.name, p.call, p.n)
			if b.safe(files, at) {
				taken++
			}
			if n, err := records(b.store); err != nil || sc.name == "seal" && !killed && n != 3 {
				t.Errorf("%s: %d records, %v", at, n, err)
			}
			b.close()
		}
		total += kills
		t.Logf("%s: %d points, %d kills; in %d the file was in quarantine afterwards", sc.name, len(points), kills, taken)
	}
	if total < 15 {
		t.Errorf("only %d kills", total)
	}
	t.Logf("%d kills", total)
}

func records(s *store.Store) (n int, err error) {
	err = s.Names("", func(string) error { n++; return nil })
	return n, err
}

// The names in calls cover what the process does to the disk: a trace of all
// calls has no other that takes a path or changes a file.
func TestCallsAreAll(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace here")
	}
	b := newBench(t)
	args, _ := scenes(t)[0].begin(b)
	b.close()
	log := filepath.Join(t.TempDir(), "trace")
	c := exec.Command("strace", append([]string{"-f", "-qq", "-o", log, "-e", "trace=%file,%desc", os.Args[0]}, args...)...)
	c.Env = append(os.Environ(), "SHOWCAUSE_QUARANTINE_TEST=deal")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	harmless := []string{"execve", "mmap", "readlink", "readlinkat", "fcntl", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "ioctl", "pread64", "access", "stat", "lstat", "prlimit64", "madvise"}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		name, _, ok := strings.Cut(f[1], "(")
		if ok && !slices.Contains(calls, name) && !slices.Contains(harmless, name) {
			t.Errorf("%s", line)
		}
	}
}

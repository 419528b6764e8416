//go:build linux && (amd64 || arm64)

package stage

import (
	"bytes"
	_ "net" // built with cgo, it links C, as the command does
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/escape"
	"github.com/showcause/showcause/internal/jail"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == escape.Command {
		os.Exit(escape.Reader(os.Args[2:], nil))
	}
	os.Exit(m.Run())
}

// each runs f on every item, some at a time.
func each[T any](items []T, f func(T)) {
	var wg sync.WaitGroup
	next := make(chan T)
	for range 2 * runtime.NumCPU() {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for _, i := range items {
		next <- i
	}
	close(next)
	wg.Wait()
}

// stage gives a stage; a kernel that cannot seal a reader has nothing to test.
func stage(t *testing.T) *Stage {
	if !(jail.Status{Walls: jail.Probe().Walls}).Sealed() {
		t.Skip("this kernel cannot give the jail")
	}
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestControl holds that no attempt is vacuous: without the jail it succeeds, or reaches the kernel.
func TestControl(t *testing.T) {
	s := stage(t)
	each(escape.List(), func(a escape.Attempt) {
		r := s.Control(a)
		if r.Reached() {
			t.Logf("%d %s: %s", r.Number, r.Name, r)
		} else {
			t.Errorf("%d %s: %s", r.Number, r.Name, r)
		}
	})
}

// TestJail is the point: every attempt is stopped.
func TestJail(t *testing.T) {
	s := stage(t)
	each(escape.List(), func(a escape.Attempt) {
		if r := s.Try(a); !r.Stopped() {
			t.Errorf("%d %s: %s", r.Number, r.Name, r)
		} else {
			t.Logf("%d %s: %s", r.Number, r.Name, r)
		}
	})
}

// TestMutate holds that no wall, line or check is vacuous.
func TestMutate(t *testing.T) {
	s := stage(t)
	each(Mutations(), func(m Mutation) {
		m = s.Mutate(m)
		if m.Result == NotProved {
			t.Errorf("%+v", m)
		} else {
			t.Logf("%+v", m)
		}
	})
}

// TestNoWall shows the judge itself: without a single wall, a reader that is
// started and told to lock like any other gets out.
func TestNoWall(t *testing.T) {
	s := stage(t)
	var all []string
	for _, w := range jail.Walls() {
		all = append(all, w.Name)
	}
	for _, name := range []string{"socket-inet", "openat-read", "openat-create", "execve", "execve-shell", "dns-query", "sendto-fd3", "splice-fd1", "tcp-broker", "fork", "mmap-rwx"} {
		a, ok := escape.Find(name)
		if !ok {
			t.Fatalf("no attempt %s", name)
		}
		if r := s.Try(a, all...); r.Outcome != escape.Succeeded {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// TestProofs holds that proofs name what exists.
func TestProofs(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range Mutations() {
		targets[m.Name] = true
	}
	for _, p := range proofs() {
		if _, ok := escape.Find(p.attempt); !ok {
			t.Errorf("proof of %s: no attempt %s", p.target, p.attempt)
		}
		for _, w := range p.aside {
			if !targets[w] {
				t.Errorf("proof of %s: nothing is called %s", p.target, w)
			}
		}
	}
}

// TestStopped pins which outcomes are well.
func TestStopped(t *testing.T) {
	for o, want := range map[escape.Outcome]bool{
		escape.Killed: true, escape.Denied: true, escape.Skipped: true,
		escape.Succeeded: false, escape.LetThrough: false, escape.Unclear: false, "": false,
	} {
		if r := (Result{Outcome: o}); r.Stopped() != want {
			t.Errorf("%s: stopped: %v", o, r.Stopped())
		}
	}
}

// inner marks a test binary that another one runs.
const inner = "SHOWCAUSE_STAGE_INNER"

// TestBuilds runs the tests above in the forms that this process is not: built
// without cgo as releases are, built with it, and as an ordinary user.
func TestBuilds(t *testing.T) {
	if os.Getenv(inner) != "" {
		t.Skip("runs in another test")
	}
	if testing.Short() {
		t.Skip("-short")
	}
	dir, err := publicFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, cgo := range []string{"0", "1"} {
		if _, err := exec.LookPath("gcc"); cgo == "1" && err != nil {
			t.Logf("cgo: not tested: %v", err)
			continue
		}
		bin := filepath.Join(dir, "stage"+cgo+".test")
		build := exec.Command("go", "test", "-c", "-o", bin, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build with CGO_ENABLED=%s: %v\n%s", cgo, err, out)
		}
		if jail.Probe().Cgo == (cgo == "1") {
			t.Logf("CGO_ENABLED=%s as this user: the other tests", cgo)
		} else {
			t.Run("cgo"+cgo, func(t *testing.T) { again(t, bin, os.Geteuid()) })
		}
		if os.Geteuid() == 0 {
			t.Run("cgo"+cgo+"-user", func(t *testing.T) { again(t, bin, 65534) })
		}
	}
}

// again runs the tests of a binary as a user.
func again(t *testing.T, bin string, uid int) {
	c := exec.Command(bin, "-test.run", "^Test(Control|Jail|Mutate|NoWall)$", "-test.v")
	c.Dir = "/"
	c.Env = append(os.Environ(), inner+"=1", "TMPDIR=/tmp")
	if uid != os.Geteuid() {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestMutate")) && !bytes.Contains(out, []byte("--- SKIP: TestMutate")) {
		t.Errorf("%v", err)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if !strings.Contains(line, "killed SIGSYS") && !strings.HasSuffix(line, "SUCCEEDED") {
			t.Log(line)
		}
	}
}

// TestPrivate holds that no other user can reach what root's attempts work in, and that the
// set-user-id program has no name.
func TestPrivate(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, ok := escape.Find("setuid-program")
	if !ok {
		t.Fatal("no such attempt")
	}
	sc, err := s.open(a, false)
	defer sc.close()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.dir, sc.hints.Dir} {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v %v", dir, st.Mode(), err)
		}
	}
	program := sc.files[len(sc.files)-1]
	var st unix.Stat_t
	if err := unix.Fstat(int(program.Fd()), &st); err != nil || st.Mode&unix.S_ISUID == 0 || st.Nlink != 0 {
		t.Errorf("%v: mode %o, %d names", err, st.Mode, st.Nlink)
	}
}

package worker

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// TestMain is the reader too: what the pools of the tests start is this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fuse" {
		hangingFiles(os.Args[2])
	}
	if len(os.Args) > 2 && os.Args[1] == "reader" {
		var o Reading
		for _, a := range os.Args[2:] {
			switch a {
			case "script":
				o.Scan = script
			case "open":
				o.Lock = func(jail.Config) (jail.Status, error) { return jail.Status{Walls: unlocked()}, nil }
			case "claim": // to be locked
				walls := unlocked()
				for i := range walls {
					walls[i].On = true
				}
				o.Lock = func(jail.Config) (jail.Status, error) { return jail.Status{Walls: walls}, nil }
			case "mute":
				time.Sleep(time.Hour)
			case "refuse":
				o.Lock = func(jail.Config) (jail.Status, error) { return jail.Status{}, fmt.Errorf("no lock\x1b[31m here") }
			case "die":
				fmt.Fprintln(os.Stderr, "last\x1bwords")
				os.Exit(9)
			}
		}
		if err := Read(o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// unlocked is the status of a reader that is not locked.
func unlocked() []jail.Given {
	var out []jail.Given
	for _, w := range jail.Walls() {
		out = append(out, jail.Given{Wall: w.Name})
	}
	return out
}

// bare starts readers that are not in a jail, and knows which are alive.
type bare struct {
	mu      sync.Mutex
	alive   map[int]bool
	started int
}

type bareProcess struct {
	*bare
	c *exec.Cmd
}

func (b *bare) spawn(c jail.Command) (Process, error) {
	cmd := exec.Command("/proc/self/exe", c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.Files[0], c.Files[1], c.Files[2], c.Files[3:]
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.alive == nil {
		b.alive = map[int]bool{}
	}
	b.alive[cmd.Process.Pid] = true
	b.started++
	return &bareProcess{b, cmd}, nil
}

func (b *bareProcess) Kill() error { return b.c.Process.Kill() }

func (b *bareProcess) Wait() (jail.Exit, error) {
	_ = b.c.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.alive, b.c.Process.Pid)
	ws := b.c.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return jail.Exit{Signal: ws.Signal()}, nil
	}
	return jail.Exit{Code: ws.ExitStatus()}, nil
}

// marker is what the database of the tests finds, and allowed what it allows by its digest.
const (
	marker  = "worker-test marker 81c4 showcause."
	allowed = "this text is allowed, although it has the worker-test marker 81c4 showcause."
)

// database is small, and has a rule of each kind. The logical rule has several patterns.
var database = sync.OnceValue(func() *ruledb.DB {
	dir, err := os.MkdirTemp("", "worker-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	h := func(s string) string { return hex.EncodeToString([]byte(s)) }
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
		return path
	}
	md5 := func(s string) string { return md5hex([]byte(s)) }
	data, err := rules.Compile([]string{
		write("a.ndb", "Test.Marker:0:*:"+h(marker)+"\n"),
		write("b.ldb", "Test.Logical;Engine:51-255,Target:0;0&1;"+h("first half 5521")+";"+h("second half 5522")+"\n"),
		write("c.hdb", fmt.Sprintf("%s:%d:Test.Digest\n", md5("exact bytes"), len("exact bytes"))),
		write("d.fp", fmt.Sprintf("%s:%d:Test.Allow\n", md5(allowed), len(allowed))),
	}, rules.Options{})
	if err != nil {
		panic(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		panic(err)
	}
	return db
})

// ruleOf returns the index of a rule.
func ruleOf(t testing.TB, name string) uint32 {
	t.Helper()
	is := database().Find(name, 1)
	if len(is) == 0 {
		t.Fatalf("no rule %s", name)
	}
	return is[0]
}

// tempFile is an open file with content, gone from its folder.
func tempFile(t testing.TB, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// unlinked opens scratch space.
func unlinked(t testing.TB) func() (*os.File, error) {
	dir := t.TempDir()
	return func() (*os.File, error) {
		f, err := os.CreateTemp(dir, "scratch")
		if err == nil {
			os.Remove(f.Name())
		}
		return f, err
	}
}

// has tells whether a report has a gap of that code.
func has(r *showcause.Report, c showcause.Code) bool {
	for i := range r.Gaps {
		if r.Gaps[i].Code == c {
			return true
		}
	}
	return false
}

func codesOf(r *showcause.Report) string {
	var out []string
	for i := range r.Gaps {
		out = append(out, string(r.Gaps[i].Code))
	}
	return strings.Join(out, " ")
}

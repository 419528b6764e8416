package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause"
)

// patience is how long any one scan may take before it counts as hung.
const patience = 60 * time.Second

// cost is what a process used.
type cost struct {
	CPU  time.Duration
	Peak int64 // resident bytes at most
	Exit int
}

// TestMain lets the test binary be the meter: a small process that runs a
// command and says what it used. A child's peak is at least what its parent
// has resident when it starts, so that the tests themselves cannot measure.
func TestMain(m *testing.M) {
	out := os.Getenv("HOSTILE_METER")
	if out == "" {
		os.Setenv("SHOWCAUSE_STORE", "off") // no test writes into the store of the host
		code := m.Run()
		if build.dir != "" {
			os.RemoveAll(build.dir)
		}
		os.Exit(code)
	}
	os.Unsetenv("HOSTILE_METER")
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	cmd.Wait()
	timer.Stop()
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c := cost{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), use.Maxrss << 10, cmd.ProcessState.ExitCode()}
	b, _ := json.Marshal(c)
	if err := os.WriteFile(out, b, 0o600); err != nil {
		os.Exit(3)
	}
	os.Exit(0)
}

// metered runs a command and returns its output and what it used. Exit is -1
// for one that had to be ended.
func metered(t testing.TB, args ...string) (stdout string, c cost) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cost")
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "HOSTILE_METER="+file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return string(out), c
}

var build struct {
	sync.Once
	dir string
	err error
}

// command returns the real command, built once, and the compiled rule.
func command(t testing.TB) (exe, db string) {
	t.Helper()
	build.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "hostile-"); build.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(build.dir, "showcause"), "github.com/showcause/showcause/cmd/showcause")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	db = filepath.Join(t.TempDir(), "marker.scdb")
	if err := os.WriteFile(db, compiled(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(build.dir, "showcause"), db
}

// run runs the command, which must end by itself.
func run(t testing.TB, exe string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("hangs: %q", args)
	}
	if exit = cmd.ProcessState.ExitCode(); exit < 0 || exit > 2 || strings.Contains(errs.String(), "goroutine ") {
		t.Fatalf("crash: %q: exit %d: %.2000s", args, exit, errs.String())
	}
	return out.String(), errs.String(), exit
}

// result is a line of --format json.
type result struct {
	Path     string            `json:"path"`
	Verdict  string            `json:"verdict"`
	Error    string            `json:"error"`
	Gaps     []showcause.Gap   `json:"gaps"`
	Findings []json.RawMessage `json:"findings"`
}

func results(t testing.TB, stdout string) (rs []result) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %.300q", err, line)
		}
		rs = append(rs, r)
	}
	return rs
}

func (r *result) report() *showcause.Report {
	out := &showcause.Report{Gaps: r.Gaps}
	for v := showcause.NothingFound; v <= showcause.Found; v++ {
		if v.String() == r.Verdict {
			out.Verdict = v
		}
	}
	return out
}

// save writes a source to a file, stretches of zeros as holes.
func save(t testing.TB, path string, src showcause.Source) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, ok := src.(sparse); ok {
		_, err = f.WriteAt(s.end, s.n)
	} else {
		_, err = io.Copy(f, io.NewSectionReader(src, 0, src.Size()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// maxPeak is the most memory that any input may cost, resident bytes.
const maxPeak = 256 << 20

// TestCost scans each input with the real command and holds what it used
// against the bound on memory. -v prints the table. Time is printed and not
// judged.
func TestCost(t *testing.T) {
	exe, db := command(t)
	dir := t.TempDir()
	var rows beside
	for _, in := range inputs() {
		if in.Big && !*full {
			continue
		}
		path := filepath.Join(dir, "input")
		src := in.Make()
		save(t, path, src)
		out, c := metered(t, exe, "scan", "--db", db, "--format", "json", "--jobs", "1", "--no-summary", path)
		rs := results(t, out)
		if c.Exit < 0 || len(rs) != 1 {
			t.Errorf("%d %s: exit %d, %d results", in.Row, in.Name, c.Exit, len(rs))
			continue
		}
		r := rs[0].report()
		for _, w := range judge(&in, r) {
			t.Errorf("%d %s: %s", in.Row, in.Name, w)
		}
		if c.Peak > maxPeak {
			t.Errorf("%d %s: %d MB of memory, at most %d", in.Row, in.Name, c.Peak>>20, maxPeak>>20)
		}
		t.Logf("%2d  %-66.66s %-12s %6.2f s %4d MB %9d kB  %s", in.Row, in.Name, r.Verdict, c.CPU.Seconds(), c.Peak>>20, src.Size()>>10, codes(r))
		if *full {
			rows.add(t, &in, r, c, path)
		}
	}
	rows.write(t)
}

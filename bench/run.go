package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is one run of one whole process.
type sample struct {
	Wall, CPU time.Duration // CPU is user and system time
	Peak      int64         // peak resident set, bytes
	Floor     int64         // the least that Peak can read: see launch
	Exit      int
	outcome
}

// variant is one way to do the work that is compared.
type variant struct {
	name    string
	threads int
	peer    bool
	why     string // why it is not run; empty if it is
	failure string // why its last run failed, where that is kept
	run     func(ctx context.Context, paths []string) (sample, error)
}

// launchWord as the first argument makes this program a launcher.
const launchWord = "launch-and-measure"

// launch runs one command and writes its sample to descriptor 3 as JSON. Linux
// lets a process that was started by another begin with that one's peak memory
// (the old address space counts at execve). So a process of its own, that has
// done nothing yet, starts the command; its own peak is the sample's floor.
func launch(args []string) error {
	runtime.LockOSThread() // Pdeathsig is bound to the thread
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := time.Now()
	err := c.Start()
	var s sample
	if err == nil {
		tree := watch(c.Process.Pid)
		err = c.Wait()
		s.Wall = time.Since(started)
		s.Peak = tree()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	s.CPU = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.Peak = max(s.Peak, u.Maxrss<<10) // of the largest process
	}
	s.Exit = c.ProcessState.ExitCode()
	if s.Floor, err = statusBytes("self", "VmHWM"); err != nil {
		return err
	}
	return json.NewEncoder(os.NewFile(3, "sample")).Encode(s)
}

// watch samples the memory of a process and all below it, and returns a
// function that ends this and tells the most there was at a time, bytes: each
// process's share of what it has in memory (Pss), or all of it where the kernel
// does not tell shares to everybody.
func watch(pid int) (stop func() int64) {
	done, most := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		for {
			var sum int64
			for _, p := range below(pid) {
				n, err := sharedBytes(p)
				if err != nil {
					n, _ = statusBytes(p, "VmRSS")
				}
				sum += n
			}
			peak = max(peak, sum)
			select {
			case <-done:
				most <- peak
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

// below lists a process and its descendants.
func below(pid int) (out []string) {
	out = []string{strconv.Itoa(pid)}
	for i := 0; i < len(out); i++ {
		tasks, _ := filepath.Glob(filepath.Join("/proc", out[i], "task", "*", "children"))
		for _, t := range tasks {
			text, _ := os.ReadFile(t)
			out = append(out, strings.Fields(string(text))...)
		}
	}
	return out
}

func sharedBytes(pid string) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	return parseStatus(string(text), "Pss")
}

// measure runs a command under a launcher, and reads what it found from its output.
func measure(ctx context.Context, env []string, args ...string) (sample, error) {
	s, out, errs, err := launched(ctx, env, args...)
	if err != nil {
		return s, err
	}
	var ok bool
	if s.outcome, ok = parseSummary(out); !ok || s.Exit < 0 {
		return s, fmt.Errorf("%s: exit %d without a summary: %s", filepath.Base(args[0]), s.Exit, tail(out+errs))
	}
	return s, nil
}

// launched runs a command under a launcher, and returns what it wrote too.
func launched(ctx context.Context, env []string, args ...string) (s sample, stdout, stderr string, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, "", "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return s, "", "", err
	}
	defer r.Close()
	var out, errs strings.Builder
	c := exec.CommandContext(ctx, self, append([]string{launchWord}, args...)...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = &out, &errs
	c.ExtraFiles = []*os.File{w}
	c.WaitDelay = 5 * time.Second // for what the launcher's child left behind
	err = c.Run()
	w.Close()
	if err == nil {
		err = json.NewDecoder(r).Decode(&s)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(args[0]), err, tail(errs.String()))
	}
	return s, out.String(), errs.String(), err
}

// tail is the end of a program's output, for an error.
func tail(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-500):]
}

// statusBytes reads a size of /proc/PID/status (proc(5)): VmHWM is the peak
// resident set, VmRSS the present one.
func statusBytes(pid, field string) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0, err
	}
	return parseStatus(string(text), field)
}

func parseStatus(text, field string) (int64, error) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if name != field {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		return n << 10, err
	}
	return 0, fmt.Errorf("process status: no %s", field)
}

// cpuTime reads the user and system time of a running process, in ticks of 10 ms.
func cpuTime(pid string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// parseStat takes fields 14 and 15 of /proc/PID/stat (proc(5)). The second field
// is the program's name in parentheses, which may itself hold spaces and parentheses.
func parseStat(text string) (time.Duration, error) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 13 {
		return 0, errors.New("process times: line too short")
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process times: %w", err)
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process times: %w", err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// inTurn runs the variants over paths, A B C A B C, so that a machine that gets
// slower or faster does so for all. A variant that fails is not run again.
func inTurn(ctx context.Context, say func(string, ...any), vs []*variant, runs int, paths []string) (map[*variant]figures, error) {
	samples := map[*variant][]sample{}
	failed := map[*variant]bool{}
	for i := range runs {
		for _, v := range vs {
			if v.why != "" || failed[v] {
				continue
			}
			s, err := v.run(ctx, paths)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				say("%s: %v", v.name, err)
				failed[v] = true
				delete(samples, v)
				continue
			}
			say("  run %d, %-32s %8.3f s", i+1, v.name, s.Wall.Seconds())
			samples[v] = append(samples[v], s)
		}
	}
	out := map[*variant]figures{}
	for v, s := range samples {
		out[v] = figuresOf(s)
	}
	return out, nil
}

//go:build linux && (amd64 || arm64)

package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }

// TestWorks runs each kind of work under the filter.
func TestWorks(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, work := range []string{"nothing", "gc", "goroutines", "timers", "panic", "big", "stack", "threads", "preempt", "recv", "scratch", "idle", "local time", "rules", "grow"} {
			o := b.run(t, uid, spec{Work: work, Memory: 4 << 30})
			if o.Error != "" || o.Exit != "exit 0" || !strings.HasPrefix(o.Out, "ok") || !o.Sealed {
				t.Errorf("%s: %s %s: %q\n%s", work, o.Error, o.Exit, o.Out, o.Log)
			}
		}
	})
}

// TestOften starts many readers, for calls that the runtime makes rarely.
func TestOften(t *testing.T) {
	n := 50
	if *full {
		n = 2000
	}
	each(t, func(t *testing.T, b build, uid int) {
		for i, s := range []spec{
			{Work: "little"},
			{Work: "little", Procs: "1"},
			{Work: "little", Procs: "8"},
			{Work: "little", Debug: "gcstoptheworld=1"},
			{Work: "little", Debug: "asyncpreemptoff=1"},
			{Work: "little", Debug: "gccheckmark=1,madvdontneed=1"},
			{Work: "little", Env: []string{"GOGC=1"}},
			{Work: "little", Debug: "decoratemappings=1,updatemaxprocs=1"},
		} {
			s.Times = max(n/(1+3*i), 10)
			if o := b.run(t, uid, s); o.Error != "" {
				t.Errorf("%+v: %s %s %q %s", s, o.Error, o.Exit, o.Out, o.Log)
			} else if i == 0 {
				t.Logf("start, lock and first message: %v, half of them below %v", o.First.Round(100*time.Microsecond), o.Median.Round(100*time.Microsecond))
			}
		}
	})
}

func off(s Status) map[string]string {
	out := map[string]string{}
	for _, g := range s.Walls {
		if !g.On {
			out[g.Wall] = g.Why
		}
	}
	return out
}

// TestForms takes rights away from the broker and holds what the reader reports
// against what is then left.
func TestForms(t *testing.T) {
	const (
		perm   = "EPERM: not allowed here"
		nested = "needs a mount namespace"
		spaces = "net_ns pid_ns ipc_ns mount_ns uts_ns cgroup_ns"
	)
	for _, c := range []struct {
		deny       string
		root, user map[string]string // walls that are off, besides the usual
	}{
		{"", nil, nil},
		{"userns", nil, map[string]string{"user_ns " + spaces: perm, "root": nested}},
		{"max_user_namespaces", nil, map[string]string{"user_ns " + spaces: "ENOSPC: not allowed here", "root": nested}},
		{"allns", map[string]string{"user_ns " + spaces: perm, "root": nested}, map[string]string{"user_ns " + spaces: perm, "root": nested}},
		{"netns", map[string]string{"net_ns": perm}, map[string]string{"net_ns": perm}},
		{"cgroupns", map[string]string{"cgroup_ns": perm}, map[string]string{"cgroup_ns": perm}},
		{"mountns", map[string]string{"mount_ns": perm, "root": nested}, map[string]string{"mount_ns": perm, "root": nested}},
		{"mount", map[string]string{"root": perm}, map[string]string{"root": perm}},
		{"pivot", map[string]string{"root": perm}, map[string]string{"root": perm}},
		{"setuid", nil, nil},
		{"anysetuid", map[string]string{"uid": "runs as root", "user_ns": "started by root, which has no other uid to give here"}, nil},
		{"landlock", map[string]string{"landlock": "this kernel has none"}, map[string]string{"landlock": "this kernel has none"}},
		{"close_range", nil, nil},
		{"leak", nil, nil},
		{"filter", nil, nil},
	} {
		each(t, func(t *testing.T, b build, uid int) {
			s := spec{Work: "nothing", Deny: []string{c.deny}, Filter: c.deny == "filter"}
			if c.deny == "" || c.deny == "filter" {
				s.Deny = nil
			}
			want := map[string]string{}
			add := func(m map[string]string) {
				for names, why := range m {
					for _, n := range strings.Fields(names) {
						want[n] = why
					}
				}
			}
			if b.cgo {
				add(map[string]string{"landlock": "built with cgo"})
			}
			if uid == 0 {
				add(map[string]string{"user_ns": "started by root: a real uid instead"})
				add(c.root)
				if b.cgo && c.deny == "anysetuid" {
					want["capabilities"] = "built with cgo"
				}
			} else {
				add(map[string]string{"uid": "runs as the caller"})
				if b.cgo {
					add(map[string]string{"root": "built with cgo"}) // as root it starts with what that takes
				}
				add(c.user)
				if b.cgo && want["root"] == perm {
					want["root"] = "built with cgo"
				}
			}
			var o outcome
			if c.deny == "max_user_namespaces" {
				o = b.limited(t, uid, s)
			} else {
				o = b.run(t, uid, s)
			}
			if o.Error != "" || o.Exit != "exit 0" || o.Out != "ok" || !o.Sealed {
				t.Fatalf("%s: %s %s: %q\n%s", c.deny, o.Error, o.Exit, o.Out, o.Log)
			}
			if got := off(o.Status); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: off:\n%v, want\n%v", c.deny, got, want)
			}
		})
	}
}

// limited runs a broker in a user namespace in which no further one may be made.
func (b build) limited(t *testing.T, uid int, s spec) outcome {
	if os.Geteuid() != 0 {
		t.Skip("setting max_user_namespaces for a namespace takes root")
	}
	s.Deny = nil
	return b.runWith(t, uid, s, &syscall.SysProcAttr{
		Cloneflags:                 unix.CLONE_NEWUSER,
		UidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65535}},
		GidMappings:                []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65535}},
		GidMappingsEnableSetgroups: true,
	}, "max_user_namespaces")
}

// TestOutside looks at locked readers with the kernel's own words.
func TestOutside(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, deny := range []string{"", "leak", "allns", "setuid"} {
			s := spec{Work: "nothing", Hold: true}
			if deny != "" {
				s.Deny = []string{deny}
			}
			o := b.run(t, uid, s)
			if o.Error != "" || o.Out != "ok" {
				t.Fatalf("%s: %s %q %s", deny, o.Error, o.Out, o.Log)
			}
			want := map[string]string{
				"Seccomp": "2", "NoNewPrivs": "1", "CapInh": "0000000000000000", "CapPrm": "0000000000000000",
				"CapEff": "0000000000000000", "CapAmb": "0000000000000000",
			}
			id := strconv.Itoa(uid)
			if uid == 0 {
				id = "65534"
			}
			want["Uid"], want["Gid"] = strings.Repeat(" "+id, 4)[1:], strings.Repeat(" "+id, 4)[1:]
			if deny == "" && !b.cgo && uid == 0 {
				want["CapBnd"] = "0000000000000000"
			}
			if uid == 0 {
				want["Groups"] = ""
			}
			for k, v := range want {
				if got, ok := o.Outside[k]; !ok || got != v {
					t.Errorf("%s: %s %q, want %q", deny, k, got, v)
				}
			}
			fds := []*regexp.Regexp{}
			for _, f := range []string{`0 /dev/null`, `1 pipe:.*`, `2 pipe:.*`, `3 socket:.*`, `4 /memfd:.*`, `5 .*\(deleted\)`, `\d+ anon_inode:\[event(poll|fd)\]`, `\d+ anon_inode:\[event(poll|fd)\]`} {
				fds = append(fds, regexp.MustCompile(`^`+f+`$`))
			}
			if os.Geteuid() != 0 {
				continue // the entries of a process that is not dumpable belong to root
			}
			slices.SortFunc(o.FDs, func(a, b string) int {
				x, _ := strconv.Atoi(strings.Fields(a)[0])
				y, _ := strconv.Atoi(strings.Fields(b)[0])
				return x - y
			})
			ok := len(o.FDs) == len(fds)
			for i := range min(len(o.FDs), len(fds)) {
				ok = ok && fds[i].MatchString(o.FDs[i])
			}
			if !ok {
				t.Errorf("%s: descriptors %q", deny, o.FDs)
			}
			for ns, other := range o.NS {
				if want := deny != "allns" && (ns != "user_ns" || uid != 0); other != want {
					t.Errorf("%s: %s is another: %v, want %v", deny, ns, other, want)
				}
			}
			if len(o.NS) != namespaces {
				t.Errorf("%s: namespaces %v", deny, o.NS)
			}
		}
	})
}

// TestPrivateProgram starts a program that only root may execute: it starts as
// root, and changes its uid itself.
func TestPrivateProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	for _, b := range builds(t) {
		for _, mode := range []os.FileMode{0o700, 0o711} {
			text, err := os.ReadFile(b.path)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := reachable()
			if err != nil {
				t.Fatal(err)
			}
			b.path = dir + "/private.test"
			if err := os.WriteFile(b.path, text, mode); err != nil {
				t.Fatal(err)
			}
			o := b.run(t, 0, spec{Work: "little", Hold: true, Times: 2})
			if o.Error != "" || !o.Sealed || o.Outside["Uid"] != "65534 65534 65534 65534" || o.Outside["CapEff"] != "0000000000000000" || o.Outside["Groups"] != "" {
				t.Errorf("%s, mode %o: %s %s %v %q", b.name, mode, o.Error, o.Exit, off(o.Status), o.Outside)
			}
			o = b.run(t, 0, spec{Work: "wait", Kill: "parent"})
			if pid, err := strconv.Atoi(strings.TrimSpace(o.Out)); err != nil || !gone(pid) {
				t.Errorf("%s, mode %o: its parent died: %q lives on", b.name, mode, o.Out)
			}
		}
	}
}

// TestLesserRoot is root without CAP_SYS_ADMIN, as in most containers: a user
// namespace gives what it cannot.
func TestLesserRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	for _, b := range builds(t) {
		if b.cgo {
			continue // a capability cannot be dropped on all threads
		}
		o := b.run(t, 0, spec{Work: "little", Hold: true, Deny: []string{"sys_admin"}})
		if o.Error != "" || !o.Sealed || len(off(o.Status)) != 0 || o.Outside["Uid"] != "65534 65534 65534 65534" || o.Outside["Groups"] != "" {
			t.Errorf("%s: %s %s %v %q", b.name, o.Error, o.Exit, off(o.Status), o.Outside)
		}
		o = b.run(t, 0, spec{Work: "little", Hold: true, Deny: []string{"sys_admin", "userns"}})
		if o.Error != "" || !o.Sealed || o.Outside["Uid"] != "65534 65534 65534 65534" || o.Outside["CapEff"] != "0000000000000000" {
			t.Errorf("%s, no user namespaces: %s %s %v %q", b.name, o.Error, o.Exit, off(o.Status), o.Outside)
		}
		o = b.run(t, 0, spec{Work: "little", Hold: true, Deny: []string{"capabilities"}})
		if o.Error != "" || !o.Sealed || o.Outside["CapEff"] != "0000000000000000" || o.Outside["Seccomp"] != "2" {
			t.Errorf("%s, no capabilities: %s %s %v %q", b.name, o.Error, o.Exit, off(o.Status), o.Outside)
		}
		t.Log(off(o.Status))
	}
}

// TestService is a broker that is not root and has a capability, as a service may.
func TestService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a capability takes root")
	}
	for _, b := range builds(t) {
		for _, deny := range [][]string{nil, {"allns"}} {
			attr := &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_DAC_READ_SEARCH}}
			o := b.runWith(t, 1000, spec{Work: "little", Hold: true, Deny: deny}, attr)
			if o.Error != "" || !o.Sealed {
				t.Errorf("%s %v: %s", b.name, deny, o.Error)
			}
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
				if o.Outside[set] != "0000000000000000" && !(b.cgo && set == "CapInh") {
					t.Errorf("%s %v: %s %s", b.name, deny, set, o.Outside[set])
				}
			}
		}
	}
}

// TestKilled has a reader do what it may not, and then, with what stops it left
// out, the same again.
func TestKilled(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for work, without := range map[string]string{
			"socket": "seccomp", "open": "seccomp", "write 3": "write.fd", "read 3": "read.fd", "fork": "clone.flags",
			"file map": "mmap.flags", "kill": "seccomp", "high half": "write.fd",
		} {
			if o := b.run(t, uid, spec{Work: work}); o.Exit != "SIGSYS" || o.Out != "" {
				t.Errorf("%s: %s %s %q", work, o.Error, o.Exit, o.Out)
			}
			o := b.run(t, uid, spec{Work: work, Without: []string{without}})
			if o.Exit != "exit 0" || !strings.HasSuffix(o.Out, "survived") {
				t.Errorf("%s without %s: %s %s %q %s", work, without, o.Error, o.Exit, o.Out, o.Log)
			}
			if o.Sealed != (without != "seccomp") {
				t.Errorf("%s without %s: sealed %v", work, without, o.Sealed)
			}
		}
	})
}

// TestEachWall puts up one wall at a time, and shows that it stops what passes
// without it.
func TestEachWall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	all := []string{}
	for _, w := range Walls() {
		all = append(all, w.Name)
	}
	tries := func(b build, uid int, up ...string) string {
		var without []string
		for _, w := range all {
			if !slices.Contains(up, w) {
				without = append(without, w)
			}
		}
		o := b.run(t, uid, spec{Work: "tries", Without: without, Deny: []string{"leak"}, Env: []string{portVariable + "=" + port}})
		if o.Error != "" || o.Exit != "exit 0" {
			t.Errorf("%v: %s %s %q %s", up, o.Error, o.Exit, o.Out, o.Log)
		}
		return o.Out
	}
	each(t, func(t *testing.T, b build, uid int) {
		for _, c := range []struct {
			up, open, stopped string
			root, user, cgo   bool // where it is there
		}{
			{"net_ns", "connect ok", "connect EN", true, false, true},
			{"pid_ns", "signal ok", "signal ESRCH", true, false, true},
			{"uid", "uid 0", "uid 65534", true, false, true},
			{"user_ns net_ns", "connect ok", "connect EN", false, true, true},
			{"user_ns pid_ns", "signal ok", "signal ESRCH", false, true, true},
			{"descriptors", "leaked ok", "leaked EBADF", true, true, true},
			{"rlimits", "core and files as before", "no core, few files", true, true, true},
			{"dumpable", "dumpable 1", "dumpable 0", true, true, true},
			{"mount_ns root", "open ok", "open ENOENT", true, false, false},
			{"user_ns mount_ns root", "open ok", "open ENOENT", false, true, false},
			{"capabilities", "capabilities some", "capabilities none", true, false, false},
			{"no_new_privs", "no_new_privs 0", "no_new_privs 1", true, true, true},
			{"no_new_privs landlock", "open ok", "open EACCES", true, true, false},
			{"no_new_privs landlock", "connect ok", "connect EACCES", true, true, false},
		} {
			if uid == 0 && !c.root || uid != 0 && !c.user || b.cgo && !c.cgo {
				continue
			}
			if c.open == "no_new_privs 0" && b.cgo {
				continue // it is spread by the filter
			}
			if got := tries(b, uid); !strings.Contains(got, c.open+"\n") {
				t.Errorf("nothing up: no %q in %q", c.open, got)
			}
			if got := tries(b, uid, strings.Fields(c.up)...); !strings.Contains(got, c.stopped) {
				t.Errorf("%s up: no %q in %q", c.up, c.stopped, got)
			}
		}
	})
}

// TestDeaths are the ways in which a reader may end.
func TestDeaths(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		stops := slices.Repeat([]int{int(unix.SIGSTOP), int(unix.SIGCONT)}, 20)
		for _, c := range []struct {
			work, exit, log string
			signals         []int
			deny            []string
		}{
			{work: "exit 7", exit: "exit 7", log: `^$`},
			{work: "bad", exit: "exit 2", log: `SIGSEGV`},
			{work: "goroutine", exit: "exit 2", log: `panic: in a goroutine`},
			{work: "swell", exit: "exit 2", log: `out of memory|cannot allocate memory`},
			{work: "wait", exit: "SIGKILL", signals: []int{int(unix.SIGKILL)}},
			{work: "wait", exit: "SIGSEGV|exit 2", signals: []int{int(unix.SIGSEGV)}},
			{work: "wait", exit: "SIGTERM|exit 2", signals: []int{int(unix.SIGTERM)}},
			{work: "wait", exit: "SIGTERM", signals: []int{int(unix.SIGTERM)}, deny: []string{"allns"}},
			{work: "idle", exit: "exit 0", signals: stops},
			{work: "timers", exit: "exit 0", signals: stops},
		} {
			s := spec{Work: c.work, Memory: 512 << 20, Signals: c.signals, Deny: c.deny}
			if o := b.run(t, uid, s); !regexp.MustCompile("^("+c.exit+")$").MatchString(o.Exit) || !regexp.MustCompile(c.log).MatchString(o.Log) || o.Error != "" {
				t.Errorf("%s: %s %s %q\n%s", c.work, o.Error, o.Exit, o.Out, o.Log)
			}
		}
	})
}

// gone waits until a process is no more, or waits for a parent that does not ask.
func gone(pid int) bool {
	for range 2000 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(text), ") Z ") {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// TestParentDies kills the broker: its reader goes with it.
func TestParentDies(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, deny := range [][]string{nil, {"allns"}} {
			o := b.run(t, uid, spec{Work: "wait", Kill: "parent", Deny: deny})
			pid, err := strconv.Atoi(strings.TrimSpace(o.Out))
			if err != nil {
				t.Fatalf("%v: %q", err, o.Out)
			}
			if !gone(pid) {
				t.Errorf("%v: reader %d lives on", deny, pid)
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		if o := b.run(t, uid, spec{Work: "wait", Kill: "close"}); o.Exit != "SIGKILL" {
			t.Errorf("starter closed: %s %s", o.Exit, o.Error)
		}
	})
}

// TestRefused is a kernel that takes no filter: the reader must not go on.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		o := b.run(t, uid, spec{Work: "nothing", Deny: []string{"seccomp"}})
		if o.Exit != "exit 9" || o.Out != "" || !strings.Contains(o.Log, "lock: seccomp: operation not permitted") {
			t.Errorf("%s %s %q %s", o.Error, o.Exit, o.Out, o.Log)
		}
		o = b.run(t, uid, spec{Work: "nothing", Deny: []string{"hollow"}})
		if o.Exit != "exit 9" || o.Out != "" || !strings.Contains(o.Log, "installed, and not applied") {
			t.Errorf("hollow: %s %s %q %s", o.Error, o.Exit, o.Out, o.Log)
		}
		for deny, why := range map[string]string{
			"seccomp": "refused: EPERM (a container's profile?)", "noseccomp": "this kernel has none",
			"hollow": "the kernel, or what watches over it, takes the filter and does not apply it",
		} {
			o = b.run(t, uid, spec{Work: "probe", Deny: []string{deny}})
			if o.Error != "" || o.Exit != "false" || o.Sealed || o.Status.Sealed() || o.Status.Walls[wallSeccomp].Why != why || o.Log != "seccomp: "+why {
				t.Errorf("forecast, %s: %s %s %v %q", deny, o.Error, o.Exit, off(o.Status), o.Log)
			}
		}
		// A broker whose filter is not applied must not go on either, nor what it probed with stay in its way.
		if o = b.run(t, uid, spec{Work: "nothing", Deny: []string{"hollow"}, Filter: true}); !strings.Contains(o.Error, "installed, and not applied") {
			t.Errorf("broker: %q", o.Error)
		}
	})
}

// TestStartErrors are Starts that cannot succeed, and Lock outside of one.
func TestStartErrors(t *testing.T) {
	s := NewStarter()
	if _, err := s.Start(Command{Path: "/nonexistent", Args: []string{"x"}}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no program: %v", err)
	}
	if _, err := s.Start(Command{Without: []string{"wal"}}); err == nil {
		t.Error("unknown wall accepted")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Start(Command{}); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := Lock(Config{Own: []int{0, 1, 2}}); err == nil || !strings.Contains(err.Error(), "GODEBUG") {
		t.Errorf("lock without start: %v", err)
	}
}

// TestNoLeak starts and ends many processes, some of them badly, and counts.
func TestNoLeak(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	path, err := exec.LookPath("true")
	if err != nil {
		t.Skip("no program to start")
	}
	before := 0
	for i := range 60 {
		c := Command{Path: path, Args: []string{"true"}}
		if i%3 == 2 {
			c.Path = "/nonexistent"
		}
		p, err := s.Start(c)
		if (err != nil) != (i%3 == 2) {
			t.Fatal(err)
		}
		if err == nil {
			if i%3 == 1 {
				if err := p.Kill(); err != nil {
					t.Error(err)
				}
			}
			first, err := p.Wait()
			again, err2 := p.Wait()
			if first != again || err != nil || err2 != nil {
				t.Errorf("wait: %v %v, %v %v", first, err, again, err2)
			}
			if err := p.Kill(); err != nil {
				t.Errorf("kill of a dead process: %v", err)
			}
		}
		fds, _ := os.ReadDir("/proc/self/fd")
		if i == 10 {
			before = len(fds)
		} else if i > 10 && len(fds) > before {
			t.Fatalf("start %d: %d descriptors, %d before", i, len(fds), before)
		}
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("a child is left: %v", err)
	}
}

// TestProbe holds the forecast against a real reader.
func TestProbe(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		for _, deny := range [][]string{nil, {"userns"}, {"allns"}, {"netns"}, {"landlock"}} {
			real := b.run(t, uid, spec{Work: "nothing", Deny: deny})
			said := b.run(t, uid, spec{Work: "probe", Deny: deny})
			if fmt.Sprint(off(real.Status)) != fmt.Sprint(off(said.Status)) {
				t.Errorf("%v: %v, forecast %v", deny, off(real.Status), off(said.Status))
			}
			if said.Exit != "true" {
				t.Errorf("%v: no filters", deny)
			}
		}
	})
}

// TestBounds has readers make threads and map addresses without end.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		o := b.run(t, uid, spec{Work: "space", Memory: 512 << 20})
		if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(o.Out, "ok "), " ENOMEM")); err != nil || n > 2 {
			t.Errorf("address space: %s %s %q", o.Error, o.Exit, o.Out)
		}
		o = b.run(t, uid, spec{Work: "storm"})
		if b.cgo && o.Exit == "SIGSYS" {
			return // glibc asked for brk, for its book of threads
		}
		if o.Error != "" || o.Exit != "exit 2" || !strings.Contains(o.Log, "failed to create new OS thread") && !strings.Contains(o.Log, "pthread_create failed") {
			t.Fatalf("threads: %s %s %q %.200q", o.Error, o.Exit, o.Out, o.Log)
		}
		most := threadsAlone + 1 // root in its namespace counts one beyond
		if uid == 0 {
			most = threadsShared
			if !b.cgo && since(6, 14) {
				most = threadNumbers
			}
		}
		if m := regexp.MustCompile(`have (\d+) already`).FindStringSubmatch(o.Log); m != nil {
			if n, err := strconv.Atoi(m[1]); err != nil || n > most {
				t.Errorf("threads: %s, want at most %d", m[1], most)
			}
		} else if !b.cgo {
			t.Errorf("threads: %.200q", o.Log)
		}
	})
}

// TestHidden races a process of the readers' uid against their start: it must not
// get at the memory of one, from its exec to its end, even where main forgets to Hide.
func TestHidden(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user's readers are the user's own processes")
	}
	for _, b := range builds(t) {
		for _, c := range []struct {
			deny []string
			late bool
		}{{nil, false}, {nil, true}, {[]string{"allns"}, true}} {
			o := b.run(t, 0, spec{Work: "nothing", Times: 40, Race: true, Deny: c.deny, Late: c.late})
			if o.Error != "" || o.Outside["race"] != "" {
				t.Errorf("%s %+v: %s: opened %d times", b.name, c, o.Error, strings.Count(o.Outside["race"], "opened"))
			}
		}
	}
}

// TestProbeThenBroker holds that the thread which Probe tries a filter on is gone when it returns.
func TestProbeThenBroker(t *testing.T) {
	each(t, func(t *testing.T, b build, uid int) {
		if said := play(t, b, uid, "probe"); said["available"] != "ok" || said["lock"] != "ok" || said["tcp"] != "EACCES" {
			t.Errorf("%v", said)
		}
	})
}

// TestNoProc holds the forecast where a reader cannot even be started.
func TestNoProc(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the root takes root")
	}
	for _, b := range builds(t) {
		if b.cgo {
			continue // it would need its libraries
		}
		for _, have := range []string{"nothing", "null"} {
			if said := play(t, b, 0, "chroot", have); !strings.HasPrefix(said["available"], "needs /") || said["sealed"] != "false" {
				t.Errorf("%s: %v", have, said)
			}
		}
	}
}

// TestNeedless tells what is off by design from what is missing.
func TestNeedless(t *testing.T) {
	for c, want := range map[code]bool{
		codeRoot: true, codeCaller: true, codeNotReader: true,
		codeRootAlone: false, codeErrno: false, codeCgo: false, codeLeftOut: false, codeNone: false,
	} {
		if got := given(wallUID, false, c, 0).Needless; got != want {
			t.Errorf("%d: %v", c, got)
		}
	}
	if given(wallUID, true, codeCaller, 0).Needless {
		t.Error("a wall that is there")
	}
	b, err := json.Marshal(given(wallUID, false, codeCaller, 0)) // as status and top are told of it
	var g Given
	if err := errors.Join(err, json.Unmarshal(b, &g)); err != nil || !g.Needless || g.Why == "" {
		t.Errorf("%s: %+v %v", b, g, err)
	}
}

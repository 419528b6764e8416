//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary is also the broker (in a process of its own, so that it can be
// another user's or lack rights) and the reader.
const (
	brokerVariable = "JAIL_TEST_BROKER" // a spec
	readerVariable = "JAIL_TEST_READER" // a spec
	firstVariable  = "JAIL_TEST_FIRST"  // a uid, and conditions that are set before it is taken
	portVariable   = "JAIL_TEST_PORT"   // somebody listens there
	parentVariable = "JAIL_TEST_PARENT" // the broker's pid
	roleVariable   = "JAIL_TEST_ROLE"   // a part to play, and its arguments
	openerVariable = "JAIL_TEST_OPENER" // the pid of a broker
)

// A spec is one start of readers.
type spec struct {
	Deny    []string // what the broker's kernel shall not have: names in conditions
	Work    string   // what the reader does
	Without []string
	Memory  int64
	Debug   string // GODEBUG of the reader
	Procs   string // GOMAXPROCS of the reader
	Env     []string
	Times   int    // readers, one after the other; 0 means 1
	Filter  bool   // Broker() first
	Kill    string // "parent": the broker dies with a reader running; "close": the Starter is closed
	Signals []int  // sent to the reader at work
	Late    bool   // the reader's main does not Hide
	Race    bool   // a process of the reader's uid tries to open its memory meanwhile
	Hold    bool   // the broker waits, with a reader running, until the test has looked
}

// An outcome is what came of it: of the last reader, or the first bad one.
type outcome struct {
	Status   Status
	Sealed   bool
	Exit     string
	Out, Log string
	Outside  map[string]string // lines of /proc/PID/status
	FDs      []string          // /proc/PID/fd
	NS       map[string]bool   // namespace differs from the broker's
	First    time.Duration     // start to first message, the fastest
	Median   time.Duration
	Error    string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(readerVariable); text != "" {
		var s spec
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			panic(err)
		}
		if !s.Late && !slices.Contains(s.Without, "dumpable") {
			Hide()
		}
		reader(s)
		os.Exit(0)
	}
	if text := os.Getenv(brokerVariable); text != "" {
		var s spec
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			panic(err)
		}
		if first := strings.Fields(os.Getenv(firstVariable)); len(first) > 0 {
			become(first[0], first[1:])
		}
		o := broker(s)
		json.NewEncoder(os.Stdout).Encode(o)
		os.Exit(0)
	}
	if text := os.Getenv(openerVariable); text != "" {
		opener(text)
		os.Exit(0)
	}
	if text := os.Getenv(roleVariable); text != "" {
		json.NewEncoder(os.Stdout).Encode(role(strings.Fields(text)))
		os.Exit(0)
	}
	code := m.Run()
	for _, dir := range temporary {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// become meets conditions and then becomes another user.
func become(uid string, names []string) {
	for _, name := range names {
		if err := conditions[name](); err != nil {
			panic(err)
		}
	}
	n, _ := strconv.Atoi(uid)
	if n == 0 {
		return
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(n, n, n), syscall.Setresuid(n, n, n)); err != nil {
		panic(err)
	}
}

// temporary are directories that other users can reach.
var temporary []string

func reachable() (string, error) {
	dir, err := os.MkdirTemp("", "jail")
	if err != nil {
		return "", err
	}
	temporary = append(temporary, dir)
	return dir, os.Chmod(dir, 0o755)
}

// reader locks itself, says so, and does its work.
func reader(s spec) {
	status, err := Lock(Config{Own: []int{0, 1, 2, 3, 4, 5}, Memory: s.Memory, FileSize: 1 << 30, Without: s.Without})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	unix.Write(Result, status.Encode())
	for { // until it has been looked at
		if _, _, _, _, err := unix.Recvmsg(Control, make([]byte, 8), nil, 0); err != unix.EINTR {
			break
		}
	}
	work, ok := works[s.Work]
	if !ok {
		print("no work ", s.Work)
		os.Exit(8)
	}
	if out := work(); out != "" {
		unix.Write(Result, []byte(out))
	}
}

// broker starts readers as the real one does.
func broker(s spec) (o outcome) {
	fail := func(err error) outcome { o.Error = err.Error(); return o }
	for _, name := range s.Deny {
		if err := conditions[name](); err != nil {
			return fail(fmt.Errorf("condition %s: %w", name, err))
		}
	}
	if s.Filter {
		if err := Broker(); err != nil {
			return fail(err)
		}
	}
	if s.Work == "probe" {
		p := Probe()
		return outcome{Status: Status{Walls: p.Walls}, Exit: fmt.Sprint(p.Seccomp), Log: p.Why}
	}
	if s.Race {
		stop, err := race()
		if err != nil {
			return fail(err)
		}
		defer func() { o.Outside = map[string]string{"race": stop()} }()
	}
	st := NewStarter()
	var took []time.Duration
	for i := 0; i < max(s.Times, 1); i++ {
		o = one(st, s)
		if o.Error != "" || s.Times > 1 && (o.Exit != "exit 0" || !strings.HasPrefix(o.Out, "ok")) {
			o.Error += fmt.Sprintf(" (start %d)", i)
			return o
		}
		took = append(took, o.First)
	}
	if n := len(took); n > 1 {
		for i := range took {
			for j := i; j > 0 && took[j] < took[j-1]; j-- {
				took[j], took[j-1] = took[j-1], took[j]
			}
		}
		o.First, o.Median = took[0], took[n/2]
	}
	if s.Kill != "parent" {
		st.Close()
	}
	return o
}

// one starts one reader, looks at it from outside and waits for its end.
func one(st *Starter, s spec) (o outcome) {
	fail := func(err error) outcome { o.Error = err.Error(); return o }
	text, _ := json.Marshal(s)
	null, err := os.Open("/dev/null")
	if err != nil {
		return fail(err)
	}
	outR, outW, _ := os.Pipe()
	logR, logW, _ := os.Pipe()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	control := os.NewFile(uintptr(pair[1]), "control")
	mem, err := unix.MemfdCreate("rules", unix.MFD_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	rules := os.NewFile(uintptr(mem), "rules")
	rules.WriteString("the rules")
	scratch, err := os.CreateTemp("", "scratch")
	if err != nil {
		return fail(err)
	}
	os.Remove(scratch.Name())
	begin := time.Now()
	p, err := st.Start(Command{
		Args: []string{"reader"}, Files: []*os.File{null, outW, logW, control, rules, scratch}, Without: s.Without,
		Env: append(s.Env, readerVariable+"="+string(text), "GODEBUG="+s.Debug, "GOMAXPROCS="+s.Procs, parentVariable+"="+strconv.Itoa(unix.Getpid())),
	})
	for _, f := range []*os.File{null, outW, logW, control, rules, scratch} {
		f.Close()
	}
	if err != nil {
		return fail(err)
	}
	var log bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(&log, io.LimitReader(logR, 1<<20)); io.Copy(io.Discard, logR) })
	first := make([]byte, StatusSize)
	if _, err := io.ReadFull(outR, first); err == nil {
		o.First = time.Since(begin)
		if o.Status, err = ParseStatus(first); err != nil {
			return fail(err)
		}
		o.Sealed = o.Status.Sealed()
		o.look(p.Pid)
		if s.Hold {
			fmt.Fprintln(os.Stderr, "pid", p.Pid)
			os.Stdin.Read(make([]byte, 1))
		}
		if s.Kill == "parent" {
			fmt.Println(p.Pid)
			unix.Kill(unix.Getpid(), unix.SIGKILL)
		}
		if s.Kill == "close" {
			st.Close()
		}
		unix.Write(pair[0], []byte("go"))
		feed(pair[0], s.Work)
	}
	unix.Shutdown(pair[0], unix.SHUT_WR)
	for _, sig := range s.Signals {
		time.Sleep(time.Millisecond)
		unix.Kill(p.Pid, unix.Signal(sig))
	}
	rest, _ := io.ReadAll(io.LimitReader(outR, 1<<20))
	o.Out = string(rest)
	exit, err := p.Wait()
	wg.Wait()
	unix.Close(pair[0])
	outR.Close()
	logR.Close()
	o.Exit, o.Log = exit.String(), log.String()
	if err != nil {
		return fail(err)
	}
	return o
}

// look notes what /proc says of a process.
func (o *outcome) look(pid int) {
	o.Outside, o.NS = map[string]string{}, map[string]bool{}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(text), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			o.Outside[k] = strings.Join(strings.Fields(v), " ")
		}
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		o.FDs = append(o.FDs, fd.Name()+" "+to)
	}
	for i, name := range nsFiles {
		there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		here, _ := os.Readlink("/proc/self/ns/" + name)
		if err == nil {
			o.NS[wallNames[i]] = there != here
		}
	}
}

// feed passes files, as a broker does.
func feed(socket int, work string) {
	if work != "recv" {
		return
	}
	for i := range 40 {
		f, err := os.Open("/proc/self/exe")
		if err != nil {
			return
		}
		unix.Sendmsg(socket, []byte{byte(i)}, unix.UnixRights(int(f.Fd()), int(f.Fd())), nil, 0)
		f.Close()
	}
}

// A build is one form of the test binary, and a user one who runs it.
type build struct {
	name string
	path string
	cgo  bool
}

var pure = sync.OnceValues(func() (string, error) {
	dir, err := reachable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pure.test")
	c := exec.Command("go", "test", "-c", "-o", path, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c: %w: %s", err, out)
	}
	return path, nil
})

// copied is this binary where another user can reach it.
var copied = sync.OnceValues(func() (string, error) {
	dir, err := reachable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "this.test")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, text, 0o755)
})

// builds are this binary and, where the go command is there, one without C.
func builds(t *testing.T) []build {
	t.Helper()
	this, err := copied()
	if err != nil {
		t.Fatal(err)
	}
	name := "pure"
	if cgo {
		name = "cgo"
	}
	out := []build{{name, this, cgo}}
	if !cgo {
		return out
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Log("the build without C is not tested: no go command")
		return out
	}
	path, err := pure()
	if err != nil {
		t.Fatal(err)
	}
	return append(out, build{"pure", path, false})
}

// users are the caller and, if that is root, somebody else.
func users() []int {
	if os.Geteuid() == 0 {
		return []int{0, 1000}
	}
	return []int{os.Geteuid()}
}

// run runs a broker in a process of its own.
func (b build) run(t *testing.T, uid int, s spec) outcome {
	t.Helper()
	return b.runWith(t, uid, s, &syscall.SysProcAttr{})
}

// runWith runs it with attributes, and conditions before it becomes the user.
func (b build) runWith(t *testing.T, uid int, s spec, attr *syscall.SysProcAttr, first ...string) outcome {
	t.Helper()
	text, _ := json.Marshal(s)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // so that a broker that hangs says so
	defer cancel()
	c := exec.CommandContext(ctx, b.path, "-test.run=^$")
	c.Dir = "/"
	c.Env = []string{brokerVariable + "=" + string(text), "TMPDIR=/tmp", "HOME=/nonexistent"}
	c.SysProcAttr = attr
	if len(first) > 0 {
		c.Env = append(c.Env, fmt.Sprintf("%s=%d %s", firstVariable, uid, strings.Join(first, " ")))
	} else if uid != os.Geteuid() {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	var out, log bytes.Buffer
	c.Stdout, c.Stderr = &out, &log
	var seen outcome
	if s.Hold {
		in, _ := c.StdinPipe()
		c.Stderr = nil
		said, _ := c.StderrPipe()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscanf(said, "pid %d\n", &pid); err == nil {
			seen.look(pid)
		}
		in.Close()
		io.Copy(&log, said)
	} else if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	err := c.Wait()
	var o outcome
	if jerr := json.Unmarshal(out.Bytes(), &o); jerr != nil && s.Kill != "parent" {
		t.Fatalf("broker: %v: %s %s", err, out.String(), log.String())
	}
	if s.Kill == "parent" {
		o.Out = out.String()
	}
	if s.Hold {
		o.Outside, o.FDs, o.NS = seen.Outside, seen.FDs, seen.NS
	}
	return o
}

// each runs a test for every build and user.
func each(t *testing.T, f func(t *testing.T, b build, uid int)) {
	for _, b := range builds(t) {
		for _, uid := range users() {
			t.Run(fmt.Sprintf("%s/uid%d", b.name, uid), func(t *testing.T) { f(t, b, uid) })
		}
	}
}

// denied answers errno to some system calls for the rest of the process's life,
// as a container or another kernel does.
func denied(lines ...Line) error {
	prog, err := policy{lines: lines, rest: Allow, fail: eperm}.assemble()
	if err != nil {
		return err
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return err
	}
	return install(prog)
}

// keepCapabilities drops all others of this process.
func keepCapabilities(mask uint64) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return err
	}
	for i := range have {
		m := uint32(mask >> (32 * i))
		have[i].Effective &= m
		have[i].Permitted &= m
	}
	return everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&have[0])), 0)
}

func noFlag(name string, bits uint64) Line {
	return Line{Name: name, Nr: unix.SYS_CLONE, Action: Allow, Checks: []Check{{Name: name, Arg: 0, Op: NoneOf, Values: []uint64{bits}}}}
}

const allNS = unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// conditions make this machine a poorer one, for this process and its children.
var conditions = map[string]func() error{
	"sys_admin":    func() error { return keepCapabilities(^uint64(1 << unix.CAP_SYS_ADMIN)) },
	"capabilities": func() error { return keepCapabilities(0) },
	"userns":       func() error { return denied(noFlag("clone", unix.CLONE_NEWUSER)) },
	"allns":        func() error { return denied(noFlag("clone", allNS)) },
	"netns":        func() error { return denied(noFlag("clone", unix.CLONE_NEWNET)) },
	"cgroupns":     func() error { return denied(noFlag("clone", unix.CLONE_NEWCGROUP)) },
	"mountns":      func() error { return denied(noFlag("clone", unix.CLONE_NEWNS)) },
	"mount":        func() error { return denied(Line{Name: "mount", Nr: unix.SYS_MOUNT, Action: eperm}) },
	"pivot":        func() error { return denied(Line{Name: "pivot_root", Nr: unix.SYS_PIVOT_ROOT, Action: eperm}) },
	"setuid":       func() error { return denied(Line{Name: "setuid", Nr: unix.SYS_SETUID, Action: eperm}) },
	"anysetuid": func() error {
		return denied(Line{Name: "setuid", Nr: unix.SYS_SETUID, Action: eperm}, Line{Name: "r", Nr: unix.SYS_SETRESUID, Action: eperm})
	},
	"landlock": func() error { return denied(Line{Name: "l", Nr: unix.SYS_LANDLOCK_CREATE_RULESET, Action: NoSys}) },
	"close_range": func() error {
		return denied(Line{Name: "c", Nr: unix.SYS_CLOSE_RANGE, Action: NoSys})
	},
	"seccomp": func() error { return denied(Line{Name: "s", Nr: unix.SYS_SECCOMP, Action: eperm}) },
	// It asks for what there is as before, and is told that a filter was put up.
	"hollow": func() error {
		prog, err := policy{lines: []Line{{Name: "h", Nr: unix.SYS_SECCOMP, Action: NoSys, Checks: []Check{is("h.op", 0, unix.SECCOMP_SET_MODE_FILTER)}}}, rest: Allow, fail: Allow}.assemble()
		if err != nil {
			return err
		}
		for i := range prog {
			if prog[i].K == verdict(NoSys) {
				prog[i].K = unix.SECCOMP_RET_ERRNO // 0
			}
		}
		if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
			return err
		}
		return install(prog)
	},
	"noseccomp": func() error { return denied(Line{Name: "s", Nr: unix.SYS_SECCOMP, Action: NoSys}) },
	// A user namespace in which no further one may be made, as an administrator sets it.
	"max_user_namespaces": func() error {
		return os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0o644)
	},
	// A descriptor that somebody forgot.
	"leak": func() error {
		fd, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 300)
		}
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 2000)
		}
		return err
	},
}

// race starts two openers against the readers of this process, and gives what ends them and says what they got.
func race() (stop func() string, err error) {
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for range 2 {
		c := exec.Command("/proc/self/exe")
		c.Env = []string{openerVariable + "=" + strconv.Itoa(os.Getpid())}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: unix.SIGKILL}
		out := &bytes.Buffer{}
		c.Stdout = out
		if err := c.Start(); err != nil {
			return nil, err
		}
		all, outs = append(all, c), append(outs, out)
	}
	return func() string {
		var said strings.Builder
		for i, c := range all {
			c.Process.Kill()
			c.Wait()
			said.Write(outs[i].Bytes())
		}
		return said.String()
	}, nil
}

// opener opens the memory of the children of a process whenever it can, and says so.
func opener(pid string) {
	for {
		tasks, _ := os.ReadDir("/proc/" + pid + "/task")
		for _, task := range tasks {
			text, _ := os.ReadFile("/proc/" + pid + "/task/" + task.Name() + "/children")
			for _, child := range strings.Fields(string(text)) {
				if child == strconv.Itoa(os.Getpid()) {
					continue
				}
				fd, err := unix.Open("/proc/"+child+"/mem", unix.O_RDWR, 0)
				if err != nil {
					continue
				}
				name, _ := os.ReadFile("/proc/" + child + "/cmdline")
				unix.Close(fd)
				if bytes.HasPrefix(name, []byte("reader")) {
					fmt.Println("opened")
				}
			}
		}
	}
}

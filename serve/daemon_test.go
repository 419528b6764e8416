package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the service and its readers too: what the tests start is this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "daemon" {
		if err := daemonMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	workertest.Main(m)
}

// daemonMain is a service with a door of the tests. Its arguments are a folder and
// key=value.
func daemonMain(args []string) error {
	dir := args[0]
	o := Options{
		Version: "test", Drain: 20 * time.Second,
		Listen: []Listen{{Door: "lines", Network: "unix", Address: dir + "/sock"}},
		Doors: map[string]func(*Daemon) (Door, error){"lines": func(d *Daemon) (Door, error) {
			return &lineDoor{d: d}, nil
		}},
		Rules: func(context.Context) (queue.Database, error) { return load(dir + "/rules.ndb") },
		State: func() string {
			b, err := os.ReadFile(dir + "/rules.ndb")
			return fmt.Sprint(string(b), err)
		},
		Queue:   queue.Options{MaxMemory: 256 << 20, Pool: workertest.Pool(2)},
		PidFile: dir + "/pid",
	}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "control":
			o.Control = value
		case "metrics":
			o.Metrics = value
		case "log":
			o.Log.File = value
		case "user":
			o.User = value
		case "selfcheck":
			o.SelfCheck, _ = time.ParseDuration(value)
		case "drain":
			o.Drain, _ = time.ParseDuration(value)
		case "waiting":
			o.Queue.MaxWaiting, _ = strconv.Atoi(value)
		}
	}
	// As the program itself has it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, o)
}

// load compiles a file of rules, whose first line, behind #, is their version.
func load(path string) (queue.Database, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return queue.Database{}, err
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		return queue.Database{}, err
	}
	db, err := ruledb.New(data)
	if err != nil {
		return queue.Database{}, err
	}
	if db.Len() == 0 {
		return queue.Database{}, errors.New("no rules")
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return queue.Database{DB: db, Version: strings.TrimPrefix(string(line), "#"), Close: func() { db.Close() }}, nil
}

// lineDoor answers lines: "text" is scanned, "size N" as many zeros are, "dial" and
// "listen" try what the lock forbids, "id" says who answers.
type lineDoor struct {
	d     *Daemon
	conns sync.WaitGroup
}

func (l *lineDoor) Serve(ctx context.Context, n net.Listener) error {
	for {
		c, err := n.Accept()
		if err != nil {
			return err
		}
		l.conns.Go(func() {
			defer c.Close()
			in := bufio.NewReader(c)
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, l.answer(ctx, strings.TrimSuffix(line, "\n"))+"\n")
		})
	}
}

func (l *lineDoor) Shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() { l.conns.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lineDoor) answer(ctx context.Context, line string) string {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "dial":
		_, err := net.Dial("unix", rest)
		return fmt.Sprint(errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
	case "listen":
		_, err := net.Listen("tcp", "127.0.0.1:0")
		return fmt.Sprint(errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
	case "id":
		return fmt.Sprint(os.Getpid(), " ", os.Getuid())
	}
	content := []byte(line)
	if word == "size" {
		n, _ := strconv.Atoi(rest)
		content = bytes.Repeat([]byte("zero "), n/5)
	}
	s, err := l.d.Queue().Receive(ctx, "x", 0)
	if err != nil {
		return "error " + err.Error()
	}
	defer s.Close()
	if _, err := s.Write(content); err != nil {
		return "error " + err.Error()
	}
	a, err := l.d.Queue().Scan(ctx, queue.Job{Door: "lines", Client: "x", Content: s})
	if err != nil {
		return "error " + err.Error()
	}
	p := l.d.Policy()
	said := p.Say(&a)
	return fmt.Sprintf("%s %d %s%s", a.Database.Version, a.Report.Size, strings.Join(said.Names, ","), said.Failed)
}

// service is one that runs for a test.
type service struct {
	t   *testing.T
	dir string
	c   *exec.Cmd
	log *bytes.Buffer
	out chan error
}

// begin starts a service and returns when it is ready.
func begin(t *testing.T, dir string, env []string, args ...string) *service {
	t.Helper()
	s := &service{t: t, dir: dir, log: &bytes.Buffer{}, out: make(chan error, 1)}
	if _, err := os.Stat(dir + "/rules.ndb"); err != nil {
		s.rules("1", "First", "first marker 4c81 showcause")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.c = exec.Command("/proc/self/exe", append([]string{"daemon", dir}, args...)...)
	s.c.Env = append(os.Environ(), env...)
	s.c.Stderr = w
	s.start(r, w)
	return s
}

func (s *service) start(r, w *os.File) {
	s.t.Helper()
	if err := s.c.Start(); err != nil {
		s.t.Fatal(err)
	}
	w.Close()
	ready := make(chan bool, 1)
	var mu sync.Mutex
	go func() {
		in := bufio.NewScanner(r)
		for in.Scan() {
			if !strings.Contains(in.Text(), " FOUND") {
				mu.Lock()
				s.log.WriteString(in.Text() + "\n")
				mu.Unlock()
			}
			if strings.Contains(in.Text(), "msg=ready") {
				select {
				case ready <- true:
				default:
				}
			}
		}
		select {
		case ready <- false:
		default:
		}
	}()
	go func() { s.out <- s.c.Wait() }()
	s.t.Cleanup(func() {
		s.c.Process.Kill()
		if s.t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			s.t.Logf("log:\n%s", s.log)
		}
	})
	select {
	case ok := <-ready:
		if !ok {
			s.t.Fatal("the service ended before it was ready")
		}
	case <-time.After(time.Minute):
		s.t.Fatal("the service is not ready")
	}
}

// rules writes the file of rules.
func (s *service) rules(version, name, text string) {
	s.t.Helper()
	temp := s.dir + "/temp.ndb"
	if err := os.WriteFile(temp, fmt.Appendf(nil, "#%s\n%s:0:*:%x\n", version, name, text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(temp, s.dir+"/rules.ndb"); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a line and returns the answer.
func ask(dir, line string) (string, error) {
	c, err := net.Dial("unix", dir+"/sock")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	if err == nil && len(b) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(string(b), "\n"), err
}

func (s *service) want(line, answer string) {
	s.t.Helper()
	if got, err := ask(s.dir, line); err != nil || got != answer {
		s.t.Errorf("%.40s: %q %v, want %q", line, got, err, answer)
	}
}

// until asks until the answer is as wanted.
func (s *service) until(line, answer string) {
	s.t.Helper()
	var got string
	for range 600 {
		if got, _ = ask(s.dir, line); got == answer {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("%s: still %q, want %q", line, got, answer)
}

func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.c.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the end, which must be a good one.
func (s *service) end() {
	s.t.Helper()
	select {
	case err := <-s.out:
		if err != nil {
			s.t.Errorf("the end: %v", err)
		}
	case <-time.After(time.Minute):
		s.t.Fatal("the service does not end")
	}
}

const first, second = "here is the first marker 4c81 showcause.", "here is the second marker 9aa2 showcause."

// TestLife goes through a service's life: it answers, is locked, takes new rules, keeps the
// old where the new are broken, and leaves nothing.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	notes, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notes.Close()
	// Read all the time, as a service manager does: the kernel keeps ten of them.
	heard := make(chan string, 1<<16)
	go func() {
		defer close(heard)
		for b := make([]byte, 4096); ; {
			n, err := notes.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	told := func(want string) {
		t.Helper()
		for late := time.After(time.Minute); ; {
			select {
			case said := <-heard:
				if strings.HasPrefix(said, want) {
					return
				}
			case <-late:
				t.Fatalf("the service manager is not told %s", want)
			}
		}
	}
	s := begin(t, dir, []string{"NOTIFY_SOCKET=" + dir + "/notify", "WATCHDOG_USEC=200000"}, "control="+dir+"/control", "metrics="+dir+"/metrics", "selfcheck=200ms")
	told("READY=1")
	told("WATCHDOG=1")
	s.want(first, "1 40 First.UNOFFICIAL")
	s.want(second, "1 41 ")
	s.want("dial "+dir+"/notify", "true")
	s.want("listen", "true")
	if b, err := os.ReadFile(dir + "/pid"); err != nil || string(b) != fmt.Sprintln(s.c.Process.Pid) {
		t.Errorf("pid file: %q %v", b, err)
	}
	s.rules("2", "Second", second)
	s.signal(unix.SIGHUP)
	told("RELOADING=1\nMONOTONIC_USEC=")
	told("READY=1")
	s.until(second, "2 41 Second.UNOFFICIAL")
	s.want(first, "2 40 ")
	if err := os.WriteFile(dir+"/rules.ndb", []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(unix.SIGHUP)
	var st Status
	for range 200 {
		if st = asked(t, dir, "status"); st.Rules.Failed != "" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if st.Rules.Failed == "" || st.Rules.Version != "2" || !st.Sealed || st.Pid != s.c.Process.Pid || st.Queue.Found != 2 {
		t.Errorf("status: %+v", st)
	}
	for _, d := range st.Doors {
		if d.Door == controlDoor && (d.Open < 1 || d.Connections < 1) { // the one that asks is among them
			t.Errorf("control: %+v", d)
		}
	}
	s.want(second, "2 41 Second.UNOFFICIAL")
	s.rules("3", "Third", first) // which SelfCheck sees
	s.until(first, "3 40 Third.UNOFFICIAL")
	if st := asked(t, dir, "metrics"); !strings.Contains(st.Metrics, "showcause_answers_total{verdict=\"found\"} ") || st.Rules.Failed != "" {
		t.Errorf("metrics: %+v", st)
	}
	if st := asked(t, dir, "nonsense"); st.Error == "" {
		t.Error("a request that there is not")
	}
	h := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", dir+"/metrics")
	}}}
	resp, err := h.Get("http://x/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(body), "\nshowcause_reload_ok 1\n") {
		t.Errorf("%s", body)
	}
	if i := slices.IndexFunc(asked(t, dir, "status").Doors, func(d DoorStatus) bool { return d.Door == metricsDoor && d.Open == 1 && d.Connections == 1 }); i < 0 {
		t.Error("the connection for metrics is not counted")
	}
	h.CloseIdleConnections()
	asked(t, dir, "stop")
	told("STOPPING=1")
	s.end()
	for _, name := range []string{"sock", "control", "metrics", "pid"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// asked asks the control socket.
func asked(t *testing.T, dir, op string) (st Status) {
	t.Helper()
	if i, err := os.Stat(dir + "/control"); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v %v", i.Mode(), err)
	}
	c, err := net.Dial("unix", dir+"/control")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "{\"op\":%q}\n", op)
	if err := json.NewDecoder(c).Decode(&st); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestDrain holds that what was begun before SIGTERM is answered.
func TestDrain(t *testing.T) {
	s := begin(t, t.TempDir(), nil)
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			a, err := ask(s.dir, "size 60000000")
			answers <- fmt.Sprint(a, err)
		}()
	}
	half, err := net.Dial("unix", s.dir+"/sock") // a request of which half is there
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(half, first[:10])
	time.Sleep(100 * time.Millisecond)
	s.signal(unix.SIGTERM)
	for range 2 {
		if a := <-answers; !strings.HasPrefix(a, "1 60000000 ") || !strings.HasSuffix(a, "<nil>") {
			t.Error(a)
		}
	}
	if _, err := net.Dial("unix", s.dir+"/sock"); err == nil {
		t.Log("the socket is still there") // it is removed at the very end
	}
	io.WriteString(half, first[10:]+"\n")
	if b, err := io.ReadAll(half); err != nil || string(b) != "1 40 First.UNOFFICIAL\n" {
		t.Errorf("%q %v", b, err)
	}
	s.end()
}

// TestDrainEnds holds that a client that stays does not keep the service.
func TestDrainEnds(t *testing.T) {
	s := begin(t, t.TempDir(), nil, "drain=300ms")
	c, err := net.Dial("unix", s.dir+"/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.want(first, "1 40 First.UNOFFICIAL")
	s.signal(unix.SIGTERM)
	s.end()
}

// TestKilled holds that a service that was killed leaves no readers, and that the next
// takes its socket's place.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, dir, nil)
	s.want(first, "1 40 First.UNOFFICIAL")
	readers := children(s.c.Process.Pid)
	if len(readers) == 0 {
		t.Error("no readers")
	}
	s.signal(unix.SIGKILL)
	<-s.out
	for _, pid := range readers {
		for i := 0; unix.Kill(pid, 0) == nil && i < 100; i++ {
			time.Sleep(20 * time.Millisecond)
		}
		if unix.Kill(pid, 0) == nil {
			t.Errorf("reader %d lives", pid)
		}
	}
	next := begin(t, dir, nil)
	next.want(first, "1 40 First.UNOFFICIAL")
	third := exec.Command("/proc/self/exe", "daemon", dir)
	if out, err := third.CombinedOutput(); err == nil || !strings.Contains(string(out), errListens.Error()) {
		t.Errorf("a second one on the same socket: %s %v", out, err)
	}
	next.want(first, "1 40 First.UNOFFICIAL")
	next.signal(unix.SIGTERM)
	next.end()
}

// children are the processes that a process started.
func children(pid int) (out []int) {
	list, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			out = append(out, n)
		}
	}
	return out
}

// TestReplace starts the program anew several times while clients ask: each is answered.
func TestReplace(t *testing.T) {
	s := begin(t, t.TempDir(), nil, "control="+t.TempDir()+"/c")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var answered atomic.Int64
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				line := fmt.Sprintf("%d %d %s", c, i, first)
				if a, err := ask(s.dir, line); err != nil || a != fmt.Sprintf("1 %d First.UNOFFICIAL", len(line)) {
					t.Errorf("%s: %q %v", line, a, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	pid := s.c.Process.Pid
	for range 3 {
		if err := unix.Kill(pid, unix.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		old := pid
		for range 600 {
			a, err := ask(s.dir, "id")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Sscan(a, &pid)
			if pid != old {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if pid == old {
			t.Fatal("the program was not started anew")
		}
		for i := 0; alive(old) && i < 600; i++ {
			time.Sleep(50 * time.Millisecond)
		}
		if alive(old) {
			t.Fatalf("process %d does not end", old)
		}
	}
	cancel()
	wg.Wait()
	if b, err := os.ReadFile(s.dir + "/pid"); err != nil || string(b) != fmt.Sprintln(pid) {
		t.Errorf("pid file: %q %v", b, err)
	}
	if answered.Load() < 50 {
		t.Errorf("%d answers", answered.Load())
	}
	unix.Kill(pid, unix.SIGTERM)
	for i := 0; alive(pid) && i < 600; i++ {
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := os.Lstat(s.dir + "/sock"); err == nil {
		t.Error("the socket is left")
	}
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.HasPrefix(string(b[bytes.LastIndexByte(b, ')')+1:]), " Z")
}

// TestReplaceFails holds that a service goes on where the program cannot be started anew.
func TestReplaceFails(t *testing.T) {
	s := begin(t, t.TempDir(), nil)
	if err := os.Rename(s.dir+"/rules.ndb", s.dir+"/gone"); err != nil {
		t.Fatal(err)
	}
	s.signal(unix.SIGUSR2)
	time.Sleep(2 * time.Second)
	s.want(first, "1 40 First.UNOFFICIAL")
	if b, err := os.ReadFile(s.dir + "/pid"); err != nil || string(b) != fmt.Sprintln(s.c.Process.Pid) {
		t.Errorf("pid file: %q %v", b, err)
	}
	s.signal(unix.SIGTERM)
	s.end()
}

// TestActivated takes its socket from the service manager, and leaves it there.
func TestActivated(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &service{t: t, dir: dir, log: &bytes.Buffer{}, out: make(chan error, 1)}
	s.rules("1", "First", first)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.c = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=lines exec "$0" daemon "$1" "control=$1/control"`, self, dir)
	s.c.ExtraFiles, s.c.Stderr = []*os.File{f}, w
	early := make(chan string, 1)
	go func() { // asked before anybody is there to answer
		a, err := ask(dir, first)
		early <- fmt.Sprint(a, err)
	}()
	s.start(r, w)
	if a := <-early; a != "1 40 First.UNOFFICIAL<nil>" {
		t.Error(a)
	}
	if st := asked(t, dir, "status"); len(st.Doors) != 2 {
		t.Errorf("doors: %+v", st.Doors)
	}
	s.signal(unix.SIGTERM)
	s.end()
	if _, err := os.Lstat(dir + "/sock"); err != nil {
		t.Errorf("the service manager's socket is gone: %v", err)
	}
}

// TestUser gives root's rights up, and keeps its log.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "showcause-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, dir: dir}
	s.rules("1", "First", first)
	self, err := os.ReadFile("/proc/self/exe") // a copy that this user may start
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/program", self, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(dir+"/program", "daemon", dir, "user=nobody", "log="+dir+"/log")
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	s.until(first, "1 40 First.UNOFFICIAL")
	a, err := ask(dir, "id")
	if err != nil || a != fmt.Sprint(c.Process.Pid, " ", u.Uid) {
		t.Errorf("who answers: %q %v", a, err)
	}
	c.Process.Signal(unix.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(dir + "/log")
	if err != nil || !strings.Contains(string(b), "instream(x): First.UNOFFICIAL FOUND") || !strings.HasSuffix(string(b), "stopped\n") {
		t.Errorf("log: %s %v", b, err)
	}
}

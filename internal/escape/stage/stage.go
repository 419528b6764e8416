//go:build linux && (amd64 || arm64)

// Package stage plays the broker for attempts to get out of the jail: it gives
// each a fresh reader, started and locked as those that scan, judges by what it
// sees from outside, and shows what each wall stops by taking it away.
package stage

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/escape"
	"github.com/showcause/showcause/internal/jail"
)

// patience is how long one attempt may take before it is stopped from outside.
const patience = 10 * time.Second

// A Stage is the broker's side: it starts a fresh reader for each attempt and
// judges by what it saw itself. Its methods may be called by several goroutines.
type Stage struct {
	starter *jail.Starter
	dir     string // folders of attempts, which their readers may write, are made here
	secret  []byte // token, where an attacker expects it
	file    *os.File
	hints   escape.Hints
	sockets []int
	whole   func() string // what breaks the work of a reader that lacks nothing; ""
}

// A Result is what became of one attempt.
type Result struct {
	Number  int            `json:"number"`
	Name    string         `json:"name"`
	What    string         `json:"what"`
	Outcome escape.Outcome `json:"outcome"`
	How     string         `json:"how,omitempty"` // "SIGSYS", "EPERM", "arrived outside: ..."
	Status  jail.Status    `json:"-"`             // the walls that the reader had
}

// Stopped says that the jail held, or that there was nothing to try.
func (r Result) Stopped() bool {
	return r.Outcome == escape.Killed || r.Outcome == escape.Denied || r.Outcome == escape.Skipped
}

// Reached says of a control run that the attempt is not vacuous, or that it says what it lacks here.
func (r Result) Reached() bool {
	return r.Outcome == escape.Succeeded || r.Outcome == escape.LetThrough || r.Outcome == escape.Skipped
}

// String writes "killed SIGSYS", "denied EPERM", "SUCCEEDED".
func (r Result) String() string { return strings.TrimSpace(string(r.Outcome) + " " + r.How) }

// New prepares what attempts reach for. Close it.
func New() (*Stage, error) {
	s := &Stage{starter: jail.NewStarter()}
	s.whole = sync.OnceValue(func() string { return s.work(escape.Workload) })
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stage) prepare() error {
	var err error
	if s.dir, err = publicFolder(); err != nil {
		return err
	}
	if s.file, err = os.OpenFile(filepath.Join(s.dir, "secret"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if _, err := s.file.WriteString(escape.Token); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if s.secret, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return fmt.Errorf("stage: memory: %w", err)
	}
	copy(s.secret, escape.Token)
	at := uint64(uintptr(unsafe.Pointer(&s.secret[0])))
	s.hints = escape.Hints{
		Parent: os.Getpid(), Secret: at, SecretFD: int(s.file.Fd()),
		Abstract: "showcause-" + filepath.Base(s.dir), Shm: -1, Spaces: map[string]uint64{},
	}
	for _, kind := range []string{"mnt", "uts", "cgroup"} {
		var st unix.Stat_t
		if err := unix.Stat("/proc/self/ns/"+kind, &st); err == nil {
			s.hints.Spaces[kind] = st.Ino
		}
	}
	if id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o666); err == nil {
		s.hints.Shm = id
	}
	return s.listen()
}

// readers is the gid of readers that root starts.
const readers = 65534

// forReaders opens a folder to the readers, and to no other user: what is done
// in it by name must not be another's to redirect. An ordinary caller's readers
// are the caller, outside.
func forReaders(dir string, mode os.FileMode) error {
	if os.Geteuid() == 0 && os.Chown(dir, -1, readers) == nil {
		return os.Chmod(dir, mode)
	}
	return nil // root that can give no other group has no other readers
}

// publicFolder makes a folder that readers can reach. The usual one may lie below a private one.
func publicFolder() (string, error) {
	var failed error
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		dir, err := os.MkdirTemp(base, "showcause-selftest-")
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if os.Geteuid() == 0 && !reachable(base) && base != "/var/tmp" {
			failed = errors.Join(failed, os.Remove(dir))
			continue
		}
		return dir, forReaders(dir, 0o710)
	}
	return "", fmt.Errorf("stage: %w", failed)
}

// reachable says that everybody may go through path and all above it.
func reachable(path string) bool {
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		if st, err := os.Stat(path); err != nil || st.Mode()&1 == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}

// listen opens what attempts connect to.
func (s *Stage) listen() error {
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("stage: socket: %w", err)
	}
	s.sockets = append(s.sockets, tcp)
	if s.hints.TCP, err = bindLocal(tcp); err != nil {
		return err
	}
	local, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("stage: socket: %w", err)
	}
	s.sockets = append(s.sockets, local)
	if err := unix.Bind(local, &unix.SockaddrUnix{Name: "@" + s.hints.Abstract}); err != nil {
		return fmt.Errorf("stage: bind: %w", err)
	}
	return errors.Join(unix.Listen(tcp, 64), unix.Listen(local, 64))
}

// bindLocal binds a socket to any port of 127.0.0.1.
func bindLocal(fd int) (port int, err error) {
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("stage: bind: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("stage: %w", err)
	}
	return sa.(*unix.SockaddrInet4).Port, nil
}

// Close removes what New made.
func (s *Stage) Close() error {
	err := s.starter.Close()
	for _, fd := range s.sockets {
		err = errors.Join(err, unix.Close(fd))
	}
	if s.hints.Shm > 0 {
		_, e := unix.SysvShmCtl(s.hints.Shm, unix.IPC_RMID, nil)
		err = errors.Join(err, e)
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	if s.secret != nil {
		err = errors.Join(err, unix.Munmap(s.secret))
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// Try makes an attempt in a locked reader, without the walls, lines and checks named.
func (s *Stage) Try(a escape.Attempt, without ...string) Result { return s.run(a, without, false) }

// Control makes an attempt in a process without a jail, of the caller's own
// user: what the jail stops must succeed there, or at least reach the kernel.
func (s *Stage) Control(a escape.Attempt) Result {
	r := s.run(a, nil, true)
	if r.Outcome == escape.Denied && a.Needs != "" {
		return Result{r.Number, r.Name, r.What, escape.Skipped, "not provable here: needs " + a.Needs, r.Status}
	}
	return r
}

func (s *Stage) run(a escape.Attempt, without []string, bare bool) Result {
	r := Result{Number: a.Number, Name: a.Name, What: a.What}
	if a.Skip != "" {
		r.Outcome, r.How = escape.Skipped, a.Skip
		return r
	}
	sc, err := s.open(a, bare)
	if err == nil {
		err = sc.play(s.starter, without)
	}
	if err != nil {
		r.Outcome, r.How = escape.Unclear, err.Error()
	} else {
		r.Outcome, r.How, r.Status = sc.judge()
	}
	sc.close()
	return r
}

// A scene is one reader with its descriptors, seen from outside.
type scene struct {
	attempt escape.Attempt
	hints   escape.Hints
	files   []*os.File // the reader's, from 0
	ours    []*os.File // the broker's: results, log, control
	passed  *os.File
	udp     int
	watch   []byte // memory that the reader shall not write

	results bytes.Buffer
	exit    jail.Exit
	hung    bool
}

// Places in scene.ours.
const (
	ourResults = iota
	ourLog
	ourControl
)

// open makes the descriptors of a reader, as for a scan.
func (s *Stage) open(a escape.Attempt, bare bool) (*scene, error) {
	sc := &scene{attempt: a, hints: s.hints, udp: -1}
	sc.hints.Bare = bare
	null, err := os.Open(os.DevNull)
	if err != nil {
		return sc, err
	}
	sc.files = append(sc.files, null)
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			return sc, err
		}
		sc.files, sc.ours = append(sc.files, w), append(sc.ours, r)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return sc, err
	}
	sc.ours = append(sc.ours, os.NewFile(uintptr(pair[0]), "control"))
	sc.files = append(sc.files, os.NewFile(uintptr(pair[1]), "reader's control"))
	rules, err := sealed()
	if err != nil {
		return sc, err
	}
	sc.files = append(sc.files, rules)
	if sc.hints.Dir, err = os.MkdirTemp(s.dir, "a-"); err != nil {
		return sc, err
	}
	if err := os.WriteFile(filepath.Join(sc.hints.Dir, "private"), []byte(escape.Token), 0o600); err != nil {
		return sc, err
	}
	scratch, err := unnamed(sc.hints.Dir, "scratch", 8192)
	if err != nil {
		return sc, err
	}
	sc.files = append(sc.files, scratch)
	if sc.watch, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return sc, err
	}
	sc.hints.Target = uint64(uintptr(unsafe.Pointer(&sc.watch[0])))
	if err := sc.gifts(s); err != nil {
		return sc, err
	}
	return sc, forReaders(sc.hints.Dir, 0o770) // last: a reader may put anything in the place of a name
}

// sealed is what stands in for the rule database.
func sealed() (*os.File, error) {
	fd, err := unix.MemfdCreate("rules", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "rules")
	if _, err := f.Write(append([]byte(escape.Token), make([]byte, 8192)...)); err != nil {
		return f, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return f, err
	}
	// Read-only, by opening it anew.
	ro, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	return ro, errors.Join(err, f.Close())
}

// unnamed makes a file of n bytes that begins with token and has no name any more.
func unnamed(dir, name string, n int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	data := append([]byte(escape.Token), make([]byte, n-len(escape.Token))...)
	_, err = f.WriteAt(data, 0)
	return f, errors.Join(err, os.Remove(f.Name()))
}

// gifts opens what the attempt wants besides.
func (sc *scene) gifts(s *Stage) error {
	var err error
	if sc.udp, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if sc.hints.UDP, err = bindLocal(sc.udp); err != nil {
		return err
	}
	switch sc.attempt.Give {
	case escape.PassedFile, escape.PassedRW, escape.QueuedRW:
		f, err := os.OpenFile(filepath.Join(sc.hints.Dir, "passed"), os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return err
		}
		if _, err := f.Write(append([]byte("a scanned file "), make([]byte, 8192)...)); err != nil {
			return errors.Join(err, f.Close())
		}
		sc.passed = f
		give := f
		if sc.attempt.Give == escape.PassedFile {
			if give, err = os.Open(f.Name()); err != nil {
				return err
			}
			defer give.Close()
		}
		return unix.Sendmsg(int(sc.ours[ourControl].Fd()), []byte("x"), unix.UnixRights(int(give.Fd())), nil, 0)
	case escape.SetuidProgram:
		return sc.setuidProgram(s.dir)
	case escape.LeakedFile:
		f, err := os.Open(s.file.Name())
		sc.files = append(sc.files, f)
		return err
	case escape.LeakedUDP:
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		sc.files = append(sc.files, os.NewFile(uintptr(fd), "leaked"))
		return unix.Connect(fd, &unix.SockaddrInet4{Port: sc.hints.UDP, Addr: [4]byte{127, 0, 0, 1}})
	}
	return nil
}

// setuidProgram makes a program that says whether it runs as root. It has no name any more when it becomes a set-user-id one:
// only who is given its descriptor can start it. Only root can make it; where nobody does, the attempt is not made.
func (sc *scene) setuidProgram(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	f, err := os.CreateTemp(dir, "setuid-")
	if err != nil {
		return err
	}
	_, err = f.Write(escape.Program(true))
	program, e := os.Open(f.Name()) // a program that is open for writing cannot be started
	if err = errors.Join(err, e, f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	sc.files = append(sc.files, program)
	return program.Chmod(0o755 | os.ModeSetuid)
}

// A process is a started reader: the jail's, or one that is not jailed.
type process interface {
	pid() int
	Kill() error
	Wait() (jail.Exit, error)
}

type jailed struct{ *jail.Process }

func (p jailed) pid() int { return p.Pid }

func startJailed(s *jail.Starter, c jail.Command) (process, error) {
	p, err := s.Start(c)
	return jailed{p}, err
}

// bare is a process with all the rights of its caller.
type bare struct{ *os.Process }

func (p bare) pid() int { return p.Pid }

func (p bare) Wait() (jail.Exit, error) {
	st, err := p.Process.Wait()
	if err != nil {
		return jail.Exit{}, err
	}
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return jail.Exit{Signal: ws.Signal()}, nil
	}
	return jail.Exit{Code: st.ExitCode()}, nil
}

func startBare(args, env []string, files []*os.File) (process, error) {
	p, err := os.StartProcess("/proc/self/exe", args, &os.ProcAttr{Dir: "/", Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
	return bare{p}, err
}

// play starts the reader and waits for its end.
func (sc *scene) play(starter *jail.Starter, without []string) error {
	h, err := json.Marshal(sc.hints)
	if err != nil {
		return err
	}
	var walls []string
	for _, w := range jail.Walls() {
		for _, name := range without {
			if name == w.Name {
				walls = append(walls, name)
			}
		}
	}
	args := []string{"showcause", escape.Command, sc.attempt.Name, string(h), strings.Join(without, ",")}
	env := []string{"GOMAXPROCS=2"} // a runtime of a fixed size, whatever the machine has
	var p process
	if sc.hints.Bare {
		p, err = startBare(args, env, sc.files)
	} else {
		p, err = startJailed(starter, jail.Command{Args: args, Env: env, Files: sc.files, Without: walls})
	}
	for _, f := range sc.files {
		err = errors.Join(err, f.Close())
	}
	sc.files = nil
	if err != nil {
		return err
	}
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(&sc.results, io.LimitReader(sc.ours[ourResults], 1<<20))
		read <- err
	}()
	stop := time.AfterFunc(patience, func() { _ = p.Kill() }) // it is waited for all the same
	sc.meanwhile(p)
	if err := sc.wait(p); err != nil {
		return err
	}
	sc.hung = !stop.Stop()
	// A process that the attempt left behind would hold the pipe open.
	select {
	case e := <-read:
		return e
	case <-time.After(time.Second):
		err := sc.ours[ourResults].Close()
		<-read // ends by that
		return err
	}
}

// wait waits for the reader's end, but not for ever: an attempt may have made
// the kernel hold its process back.
func (sc *scene) wait(p process) error {
	type end struct {
		exit jail.Exit
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		x, err := p.Wait()
		ended <- end{x, err}
	}()
	select {
	case e := <-ended:
		sc.exit = e.exit
		return e.err
	case <-time.After(patience + patience/4):
		return errors.New("reader does not end, even killed")
	}
}

// judge says what came of it: first by what was seen here, then by the exit, then by what the reader says.
func (sc *scene) judge() (escape.Outcome, string, jail.Status) {
	out := sc.results.String()
	var st jail.Status
	_, after, locked := strings.Cut(out, escape.SayLocked)
	if locked {
		line, _, _ := strings.Cut(after, "\n")
		if b, err := hex.DecodeString(line); err == nil && !sc.hints.Bare {
			st, _ = jail.ParseStatus(b) // an empty one shows no wall
		}
	}
	if seen := sc.arrived(after); seen != "" {
		return escape.Succeeded, "arrived outside: " + seen, st
	}
	said, detail := sc.said(after)
	switch {
	case sc.hung:
		return escape.Unclear, "no end within " + patience.String(), st
	case !locked:
		if o, d := sc.said(out); o == escape.Skipped || o == escape.Unclear {
			return o, d, st
		}
		return escape.Unclear, "never locked: " + sc.exit.String() + " " + sc.log(), st
	case sc.exit.Signal == unix.SIGSYS:
		return escape.Killed, "SIGSYS", st
	case sc.exit.Signal != 0:
		return escape.Unclear, sc.exit.String(), st
	case said != "":
		return said, detail, st
	case sc.exit.Code == 9:
		return escape.Denied, "started, without rights", st
	}
	return escape.Unclear, sc.exit.String() + " " + sc.log(), st
}

// said is the outcome that the reader wrote, or its exit code's.
func (sc *scene) said(text string) (escape.Outcome, string) {
	if _, line, ok := strings.Cut(text, escape.SayOutcome); ok {
		line, _, _ = strings.Cut(line, "\n")
		o, detail, _ := strings.Cut(line, "|")
		if !slices.Contains(escape.Outcomes(), escape.Outcome(o)) {
			return escape.Unclear, "the reader said something else"
		}
		return escape.Outcome(o), detail
	}
	if i := sc.exit.Code - escape.CodeBase; sc.exit.Signal == 0 && i >= 0 && i < len(escape.Outcomes()) {
		return escape.Outcomes()[i], ""
	}
	return "", ""
}

// arrived says where bytes of an attempt came out.
func (sc *scene) arrived(results string) string {
	if strings.Contains(results, escape.Token) || strings.Contains(results, escape.Landed) {
		return "results"
	}
	buf := make([]byte, 256)
	oob := make([]byte, unix.CmsgSpace(16))
	n, on, _, _, err := unix.Recvmsg(int(sc.ours[ourControl].Fd()), buf, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err == nil && bytes.Contains(buf[:n], []byte(escape.Token)) {
		if on > 0 {
			return "a descriptor on the control socket"
		}
		return "control socket"
	}
	if n, _, err := unix.Recvfrom(sc.udp, buf, 0); err == nil && bytes.Contains(buf[:n], []byte(escape.Token)) {
		return "UDP"
	}
	if bytes.Contains(sc.watch, []byte(escape.Token)) {
		return "the broker's memory"
	}
	if sc.passed != nil {
		if n, err := sc.passed.ReadAt(buf, 0); n == 0 || err == nil && !bytes.HasPrefix(buf, []byte("a scanned file ")) {
			return "the scanned file"
		}
	}
	return ""
}

// log is what the reader left when it died, for messages.
func (sc *scene) log() string {
	buf := make([]byte, 400)
	if err := sc.ours[ourLog].SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return ""
	}
	n, _ := sc.ours[ourLog].Read(buf) // nothing is no message
	return strings.TrimSpace(string(buf[:n]))
}

// close lets go of all.
func (sc *scene) close() {
	for _, f := range append(sc.files, sc.ours...) {
		f.Close()
	}
	if sc.passed != nil {
		sc.passed.Close()
	}
	if sc.udp >= 0 {
		unix.Close(sc.udp)
	}
	if sc.watch != nil {
		unix.Munmap(sc.watch)
	}
	os.RemoveAll(sc.hints.Dir)
}

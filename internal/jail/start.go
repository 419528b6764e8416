//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const supported = true

func signalName(s syscall.Signal) string {
	if n := unix.SignalName(s); n != "" {
		return n
	}
	return "signal " + strconv.Itoa(int(s))
}

func errnoName(e syscall.Errno) string {
	if n := unix.ErrnoName(e); n != "" {
		return n
	}
	return "errno " + strconv.Itoa(int(e))
}

// nobody is the uid and gid of a reader: the kernel's overflow id, which owns
// no file.
const nobody = 65534

// namespaces are the walls wallUserNS to wallCgroupNS.
const namespaces = wallCgroupNS + 1

// The variables a reader is started with.
const (
	// jailVariable tells Lock what Start gave.
	jailVariable = "SHOWCAUSE_JAIL"
	// runtimeSettings keep the runtime from naming its mappings (prctl, since Go
	// 1.25) and from reading the control group's files again and again.
	runtimeSettings = "decoratemappings=0,containermaxprocs=0,updatemaxprocs=0"
)

// nsFlags and nsFiles are the namespaces in the order of their walls.
var (
	nsFlags = [namespaces]uintptr{unix.CLONE_NEWUSER, unix.CLONE_NEWNET, unix.CLONE_NEWPID, unix.CLONE_NEWIPC, unix.CLONE_NEWNS, unix.CLONE_NEWUTS, unix.CLONE_NEWCGROUP}
	nsFiles = [namespaces]string{"user", "net", "pid", "ipc", "mnt", "uts", "cgroup"}
)

// uidMode is how a reader gets its uid.
type uidMode int

const (
	uidKeep uidMode = iota // the caller's, or root's where nothing else is allowed
	uidDrop                // nobody, by setuid
	uidMap                 // nobody inside a user namespace, the caller outside
)

// A form is one way to start a reader, with the reasons for what it does not give.
type form struct {
	flags uintptr // of clone
	uid   uidMode
	caps  bool // capabilities for the mount namespace, dropped in Lock
	why   [wallUID + 1]reason
}

type reason struct {
	code   code
	number uint16
}

func because(err error) reason {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = unix.EINVAL
	}
	return reason{codeErrno, uint16(errno)}
}

// A Starter starts readers, all from one thread of its own: the signal that
// kills a reader when its parent goes is tied to the parent's thread
// (PR_SET_PDEATHSIG(2const)). It keeps the strongest form that worked. It may be
// used by several goroutines.
type Starter struct {
	mu     sync.Mutex // guards what follows
	work   chan func()
	closed bool

	form   *form              // what worked; only the thread uses it
	inodes [namespaces]uint64 // of the caller's namespaces
}

// NewStarter returns a Starter. Its thread begins with the first Start.
func NewStarter() *Starter { return &Starter{} }

var errClosed = errors.New("starter: closed")

// Start starts a reader in the strongest form that the kernel allows.
func (s *Starter) Start(c Command) (*Process, error) {
	var p *Process
	var err error
	done := make(chan struct{})
	if e := s.do(func() { p, err = s.start(c); close(done) }); e != nil {
		return nil, e
	}
	<-done
	return p, err
}

// do hands work to the thread. The lock is held while it is handed over, so that
// Close comes before or after, never between.
func (s *Starter) do(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.work == nil {
		s.work = make(chan func())
		ready := make(chan struct{})
		go serve(s.work, ready)
		<-ready
	}
	s.work <- f
	return nil
}

// serve runs work on one thread until the channel is closed; the thread ends
// with it. The process's first thread would not end, so it is passed over.
func serve(work <-chan func(), ready chan<- struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		other := make(chan struct{})
		go serve(work, other)
		<-other
		runtime.UnlockOSThread()
		close(ready)
		return
	}
	shed()
	close(ready)
	for f := range work {
		f()
	}
}

// shed takes from this thread, and so from what it starts, the capabilities that
// no reader is started with: the caller's ambient ones (a service that is not
// root has its rights that way), and most of the bounding set, which saves each
// reader from dropping them one by one on each of its threads. Callers that may
// not need not.
func shed() {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	keep := []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_SETUID, unix.CAP_SETGID}
	for c := uintptr(0); c < 64; c++ {
		if have, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			return // beyond the last
		} else if have == 0 || slices.Contains(keep, c) {
			continue
		}
		if unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) != nil {
			return
		}
	}
}

// Close ends the thread, and with it, by the kernel, every reader that still
// runs. They must still be waited for.
func (s *Starter) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.work != nil {
		close(s.work)
	}
	s.closed = true
	return nil
}

// start tries the known or the full form, and looks for what is allowed only if
// that is refused.
func (s *Starter) start(c Command) (*Process, error) {
	if err := known(c.Without); err != nil {
		return nil, fmt.Errorf("reader: %w", err)
	}
	if c.Path == "" {
		c.Path = "/proc/self/exe"
	}
	s.lookAround()
	f := fullForm()
	if s.form != nil {
		f = *s.form
	}
	f = f.without(c.Without)
	p, err := s.launch(f.late(), c)
	if refused(err) {
		f = s.survey(fullForm().without(c.Without))
		p, err = s.launch(f.late(), c)
	}
	if errors.Is(err, unix.EACCES) && f.uid == uidDrop {
		// The program is not for everybody: it starts as root, and Lock changes the uid.
		f.uid, f.why[wallUID] = uidKeep, because(err)
		p, err = s.launch(f, c)
	}
	if err != nil {
		return nil, fmt.Errorf("reader: start %s: %w", c.Path, err)
	}
	if len(c.Without) == 0 {
		s.form = &f
	}
	return newProcess(p), nil
}

// late leaves the change of the uid to Lock where neither a capability nor a user
// namespace of its own keeps other processes of that uid out of the reader, from
// its start to its Hide: whoever runs as root does.
func (f form) late() form {
	if f.uid == uidDrop && f.flags&unix.CLONE_NEWUSER == 0 && (!f.caps || f.flags&unix.CLONE_NEWNS == 0) {
		f.uid = uidKeep
	}
	return f
}

// refused tells a kernel or policy that does not allow a form from a system
// that has no room for another process now.
func refused(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EINVAL, unix.ENOSPC, unix.ENOSYS, unix.EUSERS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func fullForm() form {
	f := form{uid: uidMap, caps: !linksC()}
	for _, flag := range nsFlags {
		f.flags |= flag
	}
	if os.Geteuid() == 0 {
		f.uid = uidDrop
		f.flags &^= unix.CLONE_NEWUSER
		f.why[wallUserNS] = reason{code: codeRoot}
	} else {
		f.why[wallUID] = reason{code: codeCaller}
	}
	return f
}

// without leaves walls out. Without a user namespace, an ordinary caller gets
// no other either.
func (f form) without(names []string) form {
	for i, flag := range nsFlags {
		if slices.Contains(names, wallNames[i]) {
			f.flags &^= flag
			f.why[i] = reason{code: codeLeftOut}
		}
	}
	if slices.Contains(names, wallNames[wallUID]) {
		f.why[wallUID] = reason{code: codeLeftOut}
		if f.uid == uidDrop {
			f.uid = uidKeep
		}
	}
	if f.uid == uidMap && f.flags&unix.CLONE_NEWUSER == 0 {
		f.uid = uidKeep
		f.caps = false
		f.deny(f, unix.EPERM)
		f.flags = 0
	}
	return f
}

// survey finds out which parts of the wanted form are allowed, by starting
// nothing with them.
func (s *Starter) survey(want form) form {
	got := form{uid: want.uid, why: want.why}
	root := os.Geteuid() == 0
	if got.uid == uidDrop {
		if err := s.try(form{uid: uidDrop}); err != nil {
			got.uid, got.why[wallUID] = uidKeep, because(err)
		}
	}
	if root && hasSysAdmin() {
		s.add(&got, want)
	} else if root {
		got.deny(want, unix.EPERM)
	}
	if user := want.flags&unix.CLONE_NEWUSER != 0 || root && got.flags == 0 && want.why[wallUserNS].code != codeLeftOut; user {
		base := got
		base.flags = unix.CLONE_NEWUSER
		if err := s.try(base); err != nil {
			got.why[wallUserNS] = because(err)
			if !root {
				got.uid = uidKeep
				got.deny(want, err)
			}
		} else {
			base.why[wallUserNS] = reason{}
			s.add(&base, want)
			got = base
		}
	}
	if want.caps && got.flags&unix.CLONE_NEWNS != 0 {
		got.caps = true
		if s.try(got) != nil {
			got.caps = false
		}
	}
	return got
}

// deny notes one reason for all that is wanted.
func (f *form) deny(want form, err error) {
	for i, flag := range nsFlags {
		if want.flags&flag != 0 {
			f.why[i] = because(err)
		}
	}
}

// hasSysAdmin says that the caller has what namespaces take. Root in a container
// mostly has not, and needs not try one after the other.
func hasSysAdmin() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	err := unix.Capget(&hdr, &have[0])
	return err != nil || have[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// add adds the wanted namespaces one by one.
func (s *Starter) add(got *form, want form) {
	for i, flag := range nsFlags {
		if flag == unix.CLONE_NEWUSER || want.flags&flag == 0 {
			continue
		}
		next := *got
		next.flags |= flag
		if err := s.try(next); err != nil {
			got.why[i] = because(err)
			continue
		}
		next.why[i] = reason{}
		*got = next
	}
}

// try starts a program that is not there. That error says that all before it went well.
func (s *Starter) try(f form) error {
	p, err := s.launch(f, Command{Path: "/dev/null/none", Args: []string{""}})
	if err == nil {
		p.Kill()
		p.Wait()
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

func newProcess(p *os.Process) *Process {
	return &Process{Pid: p.Pid, proc: p, wait: sync.OnceValues(func() (Exit, error) {
		state, err := p.Wait()
		if err != nil {
			return Exit{}, fmt.Errorf("reader %d: wait: %w", p.Pid, err)
		}
		ws, ok := state.Sys().(syscall.WaitStatus)
		if ok && ws.Signaled() {
			return Exit{Signal: ws.Signal()}, nil
		}
		return Exit{Code: state.ExitCode()}, nil
	})}
}

func (s *Starter) launch(f form, c Command) (*os.Process, error) {
	sys := &syscall.SysProcAttr{Cloneflags: f.flags, Pdeathsig: unix.SIGKILL, Setsid: true}
	inNS := f.flags&unix.CLONE_NEWUSER != 0
	ids := func(outside int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: nobody, HostID: outside, Size: 1}}
	}
	switch {
	case f.uid == uidDrop:
		sys.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if inNS {
			sys.UidMappings, sys.GidMappings = ids(nobody), ids(nobody)
			sys.GidMappingsEnableSetgroups = true
		}
	case inNS:
		sys.UidMappings, sys.GidMappings = ids(os.Geteuid()), ids(os.Getegid())
	}
	if f.caps && f.flags&unix.CLONE_NEWNS != 0 {
		sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
	}
	return os.StartProcess(c.Path, c.Args, &os.ProcAttr{Dir: "/", Env: s.environment(f, c.Env), Files: c.Files, Sys: sys})
}

// environment adds what the jail needs. An empty TZ keeps the runtime from
// looking for the local time zone in a file.
func (s *Starter) environment(f form, env []string) []string {
	settings := runtimeSettings
	out := make([]string, 0, len(env)+3)
	for _, v := range env {
		switch name, value, _ := strings.Cut(v, "="); name {
		case "GODEBUG":
			if value != "" {
				settings = value + "," + runtimeSettings // the last one counts
			}
		case "TZ", jailVariable:
		default:
			out = append(out, v)
		}
	}
	said := make([]string, 0, wallUID+1)
	for i, r := range f.why {
		var inode uint64
		if i < namespaces {
			inode = s.inodes[i]
		}
		said = append(said, fmt.Sprintf("%d.%d.%d", inode, r.code, r.number))
	}
	if cgo {
		// Otherwise glibc counts the processors, in /sys, when it first needs a second heap.
		out = append(out, "MALLOC_ARENA_MAX=1")
	}
	return append(out, "GODEBUG="+settings, "TZ=", jailVariable+"="+strings.Join(said, ","))
}

// lookAround notes the caller's own namespaces, for the reader to compare with.
func (s *Starter) lookAround() {
	for i, name := range nsFiles {
		s.inodes[i] = namespaceInode(name)
	}
}

func namespaceInode(name string) uint64 {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/"+name, &st); err != nil {
		return 0
	}
	return st.Ino
}

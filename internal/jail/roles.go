//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// forbidden are calls that neither the broker nor the egress role has a use for:
// doors around their filters, and ways into other processes and the kernel.
func forbidden() []Line {
	lines := []Line{
		{Name: "io_uring_setup", Nr: unix.SYS_IO_URING_SETUP, Reason: "makes sockets and opens files unseen by a filter"},
		{Name: "io_uring_enter", Nr: unix.SYS_IO_URING_ENTER, Reason: "the same"},
		{Name: "io_uring_register", Nr: unix.SYS_IO_URING_REGISTER, Reason: "the same"},
		{Name: "ptrace", Nr: unix.SYS_PTRACE, Reason: "another process would do what this one may not"},
		{Name: "process_vm_readv", Nr: unix.SYS_PROCESS_VM_READV, Reason: "memory of others"},
		{Name: "process_vm_writev", Nr: unix.SYS_PROCESS_VM_WRITEV, Reason: "memory of others"},
		{Name: "process_madvise", Nr: unix.SYS_PROCESS_MADVISE, Reason: "memory of others"},
		{Name: "pidfd_getfd", Nr: unix.SYS_PIDFD_GETFD, Reason: "descriptors of others, sockets among them"},
		{Name: "kcmp", Nr: unix.SYS_KCMP, Reason: "looks into others"},
		{Name: "bpf", Nr: unix.SYS_BPF, Reason: "programs for the kernel"},
		{Name: "perf_event_open", Nr: unix.SYS_PERF_EVENT_OPEN, Reason: "watches others and the kernel"},
		{Name: "userfaultfd", Nr: unix.SYS_USERFAULTFD, Reason: "holds the kernel in the middle of a copy"},
		{Name: "kexec_load", Nr: unix.SYS_KEXEC_LOAD, Reason: "another kernel"},
		{Name: "kexec_file_load", Nr: unix.SYS_KEXEC_FILE_LOAD, Reason: "another kernel"},
		{Name: "init_module", Nr: unix.SYS_INIT_MODULE, Reason: "code for the kernel"},
		{Name: "finit_module", Nr: unix.SYS_FINIT_MODULE, Reason: "code for the kernel"},
		{Name: "delete_module", Nr: unix.SYS_DELETE_MODULE, Reason: "code of the kernel"},
		{Name: "keyctl", Nr: unix.SYS_KEYCTL, Reason: "keys of others"},
		{Name: "add_key", Nr: unix.SYS_ADD_KEY, Reason: "keys of others"},
		{Name: "request_key", Nr: unix.SYS_REQUEST_KEY, Reason: "keys of others"},
		{Name: "setns", Nr: unix.SYS_SETNS, Reason: "another network"},
	}
	for i := range lines {
		lines[i].Action = eperm
	}
	return lines
}

func rolePolicy(lines []Line) policy {
	return policy{lines: append(lines, forbidden()...), arch: true, x32: true, rest: Allow, fail: eaccs}
}

// brokerPolicy lets sockets be made for this machine only.
func brokerPolicy() policy {
	return rolePolicy([]Line{
		{Name: "socket", Nr: unix.SYS_SOCKET, Action: Allow, Checks: []Check{is("socket.family", 0, unix.AF_UNIX)}},
		{Name: "socketpair", Nr: unix.SYS_SOCKETPAIR, Action: Allow, Checks: []Check{is("socketpair.family", 0, unix.AF_UNIX)}},
	})
}

// daemonPolicy is the broker's of a service, once its doors are open: it makes no
// further one, and connects to nothing. Datagrams to a path go without: they tell the
// service manager and the journal how it goes.
func daemonPolicy() policy {
	p := brokerPolicy()
	for i := range p.lines {
		if p.lines[i].Nr == unix.SYS_SOCKET {
			p.lines[i].Checks = append(p.lines[i].Checks, is("socket.type", 1, unix.SOCK_DGRAM, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK))
		}
	}
	p.lines = append(p.lines,
		Line{Name: "connect", Nr: unix.SYS_CONNECT, Action: eperm, Reason: "a service is asked, it asks nobody"},
		Line{Name: "bind", Nr: unix.SYS_BIND, Action: eperm, Reason: "its doors are open"},
		Line{Name: "listen", Nr: unix.SYS_LISTEN, Action: eperm, Reason: "the same"},
	)
	return p
}

// Broker takes from the whole process, and from all that it starts, the means to
// make a socket for anything but this machine, and the doors around that. It
// cannot be undone. Starting readers goes on as before.
func Broker() error { return brokerWith(brokerPolicy()) }

// Daemon is Broker for a service whose listening sockets are open, as what it is
// started with are: it makes no others, and connects to nobody. What it accepts it
// answers.
func Daemon() error { return brokerWith(daemonPolicy()) }

func brokerWith(p policy) error {
	runtime.LockOSThread() // as in Lock
	defer runtime.UnlockOSThread()
	prog, err := p.assemble()
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return fmt.Errorf("broker: no_new_privs: %w", err)
	}
	err = install(prog)
	if err == nil {
		err = answers(unix.SYS_SOCKET, unix.AF_UNSPEC, unix.EACCES)
	}
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// EgressPaths are what the resolver and TLS read: names of servers and roots of
// trust. Those that a system does not have are passed over.
func EgressPaths() []string {
	return []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/localtime",
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem",
		"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates/extracted", "/var/lib/ca-certificates",
		"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom",
	}
}

// egressPolicy lets TCP and UDP sockets be made, and no process.
func egressPolicy() policy {
	var types []uint64
	for _, t := range []uint64{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		for _, flags := range []uint64{0, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK, unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK} {
			types = append(types, t|flags)
		}
	}
	return rolePolicy(append([]Line{
		{Name: "socket", Nr: unix.SYS_SOCKET, Action: Allow, Checks: []Check{
			is("socket.family", 0, unix.AF_INET, unix.AF_INET6),
			is("socket.type", 1, types...),
			is("socket.protocol", 2, 0, unix.IPPROTO_TCP, unix.IPPROTO_UDP), // MPTCP would pass Landlock's ports by
		}},
		{Name: "socketpair", Nr: unix.SYS_SOCKETPAIR, Action: eperm},
		{Name: "clone", Nr: unix.SYS_CLONE, Action: Allow, Checks: []Check{{Name: "clone.flags", Arg: 0, Op: AllOf, Values: []uint64{threadFlags}}}},
		{Name: "clone3", Nr: unix.SYS_CLONE3, Action: NoSys},
		{Name: "execve", Nr: unix.SYS_EXECVE, Action: eperm},
		{Name: "execveat", Nr: unix.SYS_EXECVEAT, Action: eperm},
		{Name: "unshare", Nr: unix.SYS_UNSHARE, Action: eperm},
		{Name: "mount", Nr: unix.SYS_MOUNT, Action: eperm},
	}, forks()...))
}

// Egress takes from the process that talks to the outside the means to read what
// is scanned: it may open only what c and EgressPaths name, start nothing, and
// make no sockets but TCP and UDP. Its uid and its network stay. What it has
// open already stays open. An error means that it must not go on. Where the
// Status says that Landlock is not given, paths are not closed to it.
func Egress(c EgressConfig) (Status, error) {
	runtime.LockOSThread() // as in Lock
	defer runtime.UnlockOSThread()
	l := newLocker(nil)
	if err := Hide(); err != nil {
		return l.status, fmt.Errorf("egress: %w", err)
	}
	for wall := range wallNoNewPrivs {
		l.status.Walls[wall] = given(wall, false, codeNotReader, 0)
	}
	l.build(wallRlimits, func() error {
		return errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}))
	})
	l.dropAll()
	l.build(wallDumpable, Hide)
	if err := l.build(wallNoNewPrivs, func() error { return prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0) }); err != nil {
		return l.status, fmt.Errorf("egress: no_new_privs: %w", err)
	}
	l.landlock(ruleset{read: slices.Concat(EgressPaths(), c.Read), write: c.Write, network: true, ports: c.Ports})
	err := l.build(wallSeccomp, func() error {
		prog, err := egressPolicy().assemble()
		if err != nil {
			return err
		}
		if err := install(prog); err != nil {
			return err
		}
		return answers(unix.SYS_SOCKET, unix.AF_UNSPEC, unix.EACCES)
	})
	if err != nil {
		return l.status, fmt.Errorf("egress: %w", err)
	}
	return l.status, nil
}

// Probe says what a reader would get here. It starts nothing and locks nothing
// but a thread that has ended when it returns. The wall seccomp is given only if
// a reader can be started at all.
func Probe() Offer {
	o := Offer{Arch: runtime.GOARCH, Cgo: linksC(), Seccomp: filters()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		o.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var noLandlock error
	o.Landlock, noLandlock = landlockABI()
	s := NewStarter()
	defer s.Close()
	var f form
	done := make(chan struct{})
	if s.do(func() { f = s.survey(fullForm()); close(done) }) == nil {
		<-done
	}
	l := newLocker(nil)
	for wall := range wallCount {
		l.set(wall, nil)
		if wall <= wallUID && f.why[wall].code != codeNone {
			l.status.Walls[wall] = given(wall, false, f.why[wall].code, f.why[wall].number)
		}
	}
	if !l.status.Walls[wallMountNS].On {
		l.status.Walls[wallRoot] = given(wallRoot, false, codeNested, 0)
	} else if !f.caps && f.late().uid != uidKeep {
		l.set(wallRoot, notCaps(o.Cgo))
	}
	l.status.settleRoot()
	switch {
	case o.Landlock == 0 && refused(noLandlock) && !errors.Is(noLandlock, unix.ENOSYS):
		l.set(wallLandlock, noLandlock)
	case o.Landlock == 0:
		l.status.Walls[wallLandlock] = given(wallLandlock, false, codeNoKernel, 0)
	case o.Cgo && o.Landlock < 8:
		l.set(wallLandlock, unix.ENOTSUP)
	default:
		l.status.Walls[wallLandlock] = given(wallLandlock, true, codeABI, uint16(min(o.Landlock, newestABI)))
	}
	if g := seccompGiven(); !g.On {
		l.status.Walls[wallSeccomp] = g
		o.Seccomp, o.Why = false, g.refusal()
	}
	o.Walls = l.status.Walls
	return o
}

// seccompGiven says whether a reader can be started and come as far as its filter, and would get it.
func seccompGiven() Given {
	for path, c := range map[string]code{"/proc/self/exe": codeProc, "/proc/self/fd": codeProc, os.DevNull: codeNull} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil && !errors.Is(err, unix.EACCES) { // a program may be for executing only
			return given(wallSeccomp, false, c, 0)
		}
		unix.Close(fd)
	}
	err := tryFilter()
	switch {
	case errors.Is(err, errHollow):
		return given(wallSeccomp, false, codeHollow, 0)
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL):
		return given(wallSeccomp, false, codeNoKernel, 0)
	case err != nil:
		return given(wallSeccomp, false, codeRefused, because(err).number)
	case !filters():
		return given(wallSeccomp, false, codeNoKernel, 0)
	}
	return given(wallSeccomp, true, codeNone, 0)
}

func notCaps(cgo bool) error {
	if cgo {
		return unix.ENOTSUP
	}
	return unix.EPERM
}

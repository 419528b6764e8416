//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Landed is what a program that was started by an attempt writes to descriptor 1.
const Landed = "showcause-escape-landed"

// argv gives the addresses of the arguments that make this program print landed, and of an empty environment.
func (g *ground) argv() (argv, envp uintptr) {
	return g.words(g.str("showcause"), g.str(Command), g.str(Landed), 0), g.words(0)
}

// execAttempts start programs: 7, 8.
func execAttempts() []Attempt {
	self := func(g *ground) error {
		fd, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return g.own("exe", fd, err)
	}
	memory := func(g *ground) error {
		fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, Program(false)); err != nil {
			return err
		}
		return g.own("exe", fd, nil)
	}
	at := func(g *ground) error {
		argv, envp := g.argv()
		return g.call(unix.SYS_EXECVEAT, g.fd("exe"), g.str(""), argv, envp, unix.AT_EMPTY_PATH)
	}
	return []Attempt{
		{Number: 7, Name: "execve", What: "this program started anew", denied: []unix.Errno{unix.ENOENT}, try: func(g *ground) error {
			argv, envp := g.argv()
			return g.call(unix.SYS_EXECVE, g.str("/proc/self/exe"), argv, envp)
		}},
		{Number: 7, Name: "execveat", What: "a program started by its descriptor", before: self, try: at},
		{Number: 7, Name: "execve-shell", What: "a shell started", denied: []unix.Errno{unix.ENOENT}, before: func(g *ground) error {
			return present("/bin/sh")
		}, try: func(g *ground) error {
			argv := g.words(g.str("sh"), g.str("-c"), g.str("echo "+Landed), 0)
			return g.call(unix.SYS_EXECVE, g.str("/bin/sh"), argv, g.words(0))
		}},
		{Number: 8, Name: "fexecve-memfd", What: "a program started that stands in memory", before: memory, try: at},
	}
}

// present says that a path which an attempt needs is not there.
func present(path string) error {
	if _, err := os.Stat(path); err != nil {
		return skipf("%v", err)
	}
	return nil
}

// parentAttempt does something to the broker, whose number it knows.
func parentAttempt(number int, name, what, needs string, f func(g *ground, pid uintptr) error) Attempt {
	// ESRCH is the answer of a pid namespace of its own.
	return Attempt{Number: number, Name: name, What: what, Needs: needs, denied: []unix.Errno{unix.ESRCH}, try: func(g *ground) error {
		return f(g, uintptr(g.Parent))
	}}
}

// traceable is what attempts on the broker's memory need.
const traceable = "a broker that may be traced by its own user"

// pidfd opens the broker's pidfd before the lock.
func pidfd(g *ground) error {
	fd, err := unix.PidfdOpen(g.Parent, 0)
	if err == unix.ESRCH || err == unix.EINVAL {
		// A pid namespace of its own: there is no number for the broker. Without the descriptor the call is still tried.
		g.fds["broker"] = 99
		return nil
	}
	return g.own("broker", fd, err)
}

// processAttempts look into, steer or signal other processes: 9, 10, 11, 21, 39, 41, 42.
func processAttempts() []Attempt {
	n := uintptr(len(Token))
	all := []Attempt{
		{Number: 9, Name: "ptrace-traceme", What: "being traced by whoever started the reader", try: traceMe},
		parentAttempt(9, "ptrace-broker", "tracing the broker", traceable, func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, pid, 0, 0)
		}),
		parentAttempt(10, "process_vm_readv", "the broker's memory read", traceable, func(g *ground, pid uintptr) error {
			buf := g.mem(64)
			if err := g.call(unix.SYS_PROCESS_VM_READV, pid, g.words(buf, n), 1, g.words(uintptr(g.Secret), n), 1, 0); err != nil {
				return err
			}
			return g.holds(buf)
		}),
		parentAttempt(10, "process_vm_writev", "the broker's memory written", traceable, func(g *ground, pid uintptr) error {
			iov, _ := g.vec(Token)
			return g.call(unix.SYS_PROCESS_VM_WRITEV, pid, iov, 1, g.words(uintptr(g.Target), n), 1, 0)
		}),
		{Number: 11, Name: "pidfd_getfd", What: "a descriptor taken out of the broker", Needs: traceable, denied: []unix.Errno{unix.EBADF}, before: pidfd, try: func(g *ground) error {
			fd, err := g.sys(unix.SYS_PIDFD_GETFD, g.fd("broker"), uintptr(g.SecretFD), 0)
			if err != nil {
				return err
			}
			return g.reads(fd)
		}},
		{Number: 21, Name: "pidfd_send_signal", What: "a signal to the broker by its pidfd", denied: []unix.Errno{unix.EBADF}, before: pidfd, try: func(g *ground) error {
			return g.call(unix.SYS_PIDFD_SEND_SIGNAL, g.fd("broker"), 0, 0, 0)
		}},
		parentAttempt(39, "pidfd_open", "a pidfd of the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_PIDFD_OPEN, pid, 0)
		}).answers(unix.ESRCH, unix.EINVAL),
		{Number: 39, Name: "process_madvise", What: "advice about the broker's memory", denied: []unix.Errno{unix.EBADF}, Needs: traceable + ", and CAP_SYS_NICE", before: pidfd, try: func(g *ground) error {
			return g.call(unix.SYS_PROCESS_MADVISE, g.fd("broker"), g.words(uintptr(g.Secret)&^4095, 4096), 1, unix.MADV_COLD, 0)
		}},
		{Number: 39, Name: "process_mrelease", What: "the broker's memory released", denied: []unix.Errno{unix.EBADF}, through: []unix.Errno{unix.EINVAL}, Needs: traceable, before: pidfd, try: func(g *ground) error {
			return g.call(unix.SYS_PROCESS_MRELEASE, g.fd("broker"), 0)
		}},
		parentAttempt(39, "kcmp", "whether the broker shares descriptor 0 with the reader", traceable, func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_KCMP, uintptr(unix.Getpid()), pid, 0, 0, 0)
		}),
	}
	all = append(all, signalAttempts()...)
	return append(all, scheduleAttempts()...)
}

// siginfo is a siginfo_t for SIGURG, which Go programs ignore, with si_code SI_QUEUE (-1).
func (g *ground) siginfo() uintptr {
	p := g.mem(128)
	copy(g.at(p, 12), g.at(g.ints(uint32(unix.SIGURG), 0, 1<<32-1), 12))
	return p
}

// traceMe asks for being traced. A control run has a child do it: a thread that the broker traces without knowing would not
// be reaped.
func traceMe(g *ground) error {
	if !g.Bare {
		return g.call(unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	}
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		code := uintptr(7)
		if _, _, e := unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0); e != 0 {
			code = 8
		}
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
		}
	}
	return g.born(int(pid))
}

// signalAttempts signal others: 21. Signal 0 checks all that a real one would and does nothing.
func signalAttempts() []Attempt {
	all := []Attempt{
		parentAttempt(21, "kill-broker", "a signal to the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_KILL, pid, 0)
		}),
		parentAttempt(21, "tgkill-broker", "a signal to the broker's first thread", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_TGKILL, pid, pid, 0)
		}),
		parentAttempt(21, "tkill-broker", "a signal to the broker, by tkill", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_TKILL, pid, 0)
		}),
		parentAttempt(21, "rt_sigqueueinfo-broker", "a signal with data to the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_RT_SIGQUEUEINFO, pid, uintptr(unix.SIGURG), g.siginfo())
		}),
		parentAttempt(21, "rt_tgsigqueueinfo-broker", "a signal with data to a thread of the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_RT_TGSIGQUEUEINFO, pid, pid, uintptr(unix.SIGURG), g.siginfo())
		}),
		plain(21, "kill-group", "a signal to the reader's process group", unix.SYS_KILL, fixed(0, 0)),
		{Number: 21, Name: "kill-self", What: "a signal to the reader itself by kill", try: func(g *ground) error {
			return g.call(unix.SYS_KILL, uintptr(unix.Getpid()), 0)
		}},
		{Number: 21, Name: "kill-all", What: "a signal to every process", denied: []unix.Errno{unix.ESRCH}, try: func(g *ground) error {
			return g.call(unix.SYS_KILL, minus1, 0)
		}},
	}
	return append(all, waitAttempts()...)
}

// waitAttempts make descriptors and timers out of nothing: 50.
func waitAttempts() []Attempt {
	epoll := func(g *ground) error {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		return g.own("epoll", fd, err)
	}
	return []Attempt{
		{Number: 50, Name: "timer_create", What: "a timer", try: func(g *ground) error {
			// struct sigevent: value, signo, notify SIGEV_NONE.
			return g.call(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, g.words(0, 1<<32, 0, 0, 0, 0, 0, 0), g.mem(8))
		}},
		{Number: 50, Name: "setitimer", What: "an interval timer", try: func(g *ground) error {
			return g.call(unix.SYS_SETITIMER, 2, g.words(0, 0, 1000, 0), 0)
		}},
		plain(50, "timerfd_create", "a timer descriptor", unix.SYS_TIMERFD_CREATE, fixed(unix.CLOCK_MONOTONIC, 0)),
		plain(50, "eventfd2", "an event counter", unix.SYS_EVENTFD2, fixed(0, 0)),
		plain(50, "epoll_create1", "another poller", unix.SYS_EPOLL_CREATE1, fixed(0)),
		{Number: 50, Name: "epoll_ctl", What: "a descriptor watched by the poller", before: epoll, try: func(g *ground) error {
			return g.call(unix.SYS_EPOLL_CTL, g.fd("epoll"), unix.EPOLL_CTL_ADD, 3, g.words(1, 0))
		}},
		{Number: 50, Name: "epoll_pwait-other", What: "waiting on a poller that is not the runtime's", before: epoll, try: func(g *ground) error {
			return g.call(unix.SYS_EPOLL_PWAIT, g.fd("epoll"), g.mem(16), 1, 0, 0, 8)
		}},
		{Number: 50, Name: "signalfd4", What: "a signal descriptor", try: func(g *ground) error {
			return g.call(unix.SYS_SIGNALFD4, minus1, g.words(0), 8, 0)
		}},
		{Number: 50, Name: "pipe2", What: "a pipe", try: func(g *ground) error { return g.call(unix.SYS_PIPE2, g.mem(8), 0) }},
		{Number: 50, Name: "ppoll", What: "ppoll", try: func(g *ground) error { return g.call(unix.SYS_PPOLL, 0, 0, g.words(0, 0), 0, 8) }},
		{Number: 50, Name: "pselect6", What: "pselect", try: func(g *ground) error { return g.call(unix.SYS_PSELECT6, 0, 0, 0, 0, g.words(0, 0), 0) }},
		{Number: 50, Name: "rt_sigtimedwait", What: "waiting for signals", through: []unix.Errno{unix.EAGAIN}, try: func(g *ground) error {
			return g.call(unix.SYS_RT_SIGTIMEDWAIT, g.words(0), 0, g.words(0, 0), 8)
		}},
	}
}

// scheduleAttempts steer the scheduling and the limits of others: 41, 42.
func scheduleAttempts() []Attempt {
	limit := func(g *ground) uintptr { return g.words(64, 64) }
	return []Attempt{
		parentAttempt(41, "sched_setaffinity-broker", "the processors of the broker", "", func(g *ground, pid uintptr) error {
			mask := g.mem(128)
			n, err := g.sys(unix.SYS_SCHED_GETAFFINITY, pid, 128, mask)
			if err != nil {
				return err
			}
			return g.call(unix.SYS_SCHED_SETAFFINITY, pid, n, mask)
		}),
		{Number: 41, Name: "sched_getaffinity", What: "the processors of this machine", try: func(g *ground) error {
			return g.call(unix.SYS_SCHED_GETAFFINITY, 0, 128, g.mem(128))
		}},
		parentAttempt(41, "setpriority-broker", "the priority of the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, pid, 19)
		}).need("a broker at no lower priority; its own user"),
		parentAttempt(41, "sched_getscheduler-broker", "the scheduler of the broker", "", func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_SCHED_GETSCHEDULER, pid)
		}),
		{Number: 41, Name: "sched_setscheduler", What: "an idle scheduling class", try: func(g *ground) error {
			return g.call(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_BATCH, g.ints(0))
		}},
		{Number: 41, Name: "sched_setattr", What: "scheduling attributes", try: func(g *ground) error {
			return g.call(unix.SYS_SCHED_SETATTR, 0, g.ints(48, unix.SCHED_BATCH, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0), 0)
		}},
		plain(41, "ioprio_set", "the priority of input and output", unix.SYS_IOPRIO_SET, fixed(1, 0, 2<<13|4)),
		{Number: 42, Name: "prlimit64-up", What: "the limit of open files raised", try: func(g *ground) error {
			old := g.mem(16)
			if err := g.call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, 0, old); err != nil {
				return err
			}
			hard := binary.NativeEndian.Uint64(g.at(old, 16)[8:])
			return g.call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, g.words(uintptr(hard+1), uintptr(hard+1)), 0)
		}, Needs: "CAP_SYS_RESOURCE"},
		{Number: 42, Name: "setrlimit", What: "setrlimit", try: func(g *ground) error {
			return g.call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, limit(g))
		}},
		{Number: 42, Name: "getrlimit", What: "getrlimit", try: func(g *ground) error {
			return g.call(unix.SYS_GETRLIMIT, unix.RLIMIT_NOFILE, g.mem(16))
		}},
		parentAttempt(42, "prlimit64-broker", "the limits of the broker", traceable, func(g *ground, pid uintptr) error {
			return g.call(unix.SYS_PRLIMIT64, pid, unix.RLIMIT_NOFILE, 0, g.mem(16))
		}),
	}
}

// born says nil if a process came of a call. In a control run it is reaped, and
// must have ended with code 7; in a reader that would be one more call.
func (g *ground) born(pid int) error {
	if !g.Bare {
		return nil
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait: %v", err)
	}
	if ws.ExitStatus() != 7 {
		return fmt.Errorf("child: %#x", uint32(ws))
	}
	return nil
}

// fork makes a process by clone with flags more; the child says landed on the results and ends with code 7.
func (g *ground) fork(flags uintptr) error {
	text := g.str(Landed)
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		unix.RawSyscall(unix.SYS_WRITE, 1, text, uintptr(len(Landed)))
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 7, 0, 0)
		}
	}
	return g.born(int(pid))
}

// Program is an ELF file of one page that writes landed to descriptor 1 and ends with code 9.
func Program(onlyRoot bool) []byte {
	const base, head = 0x10000, 64 + 56
	code := tinyCode(base+head, onlyRoot)
	var b bytes.Buffer
	le := binary.LittleEndian
	w := func(v ...any) {
		for _, x := range v {
			_ = binary.Write(&b, le, x) // into memory
		}
	}
	size := uint64(head + len(code))
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	w(uint16(2), elfMachine, uint32(1), uint64(base+head), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0))
	w(uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(4096))
	b.Write(code)
	return b.Bytes()
}

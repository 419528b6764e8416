//go:build linux && (amd64 || arm64)

package jail

import "golang.org/x/sys/unix"

// clone's flags as the Go runtime gives them: a thread of this process and
// nothing else. On amd64 the thread gets its own TLS register.
const (
	threadFlags    = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	threadFlagsTLS = threadFlags | unix.CLONE_SETTLS
	// and as glibc gives them in pthread_create.
	threadFlagsC = threadFlagsTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
)

// anonymous are mmap's flags for memory that counts in RLIMIT_DATA: shared and
// growing memory does not, and a file's can vanish (SIGBUS).
const anonymous = unix.MAP_PRIVATE | unix.MAP_ANON

// futex operations: wait and wake inside this process, which is what the runtime
// does, and what glibc adds.
const (
	futexWait       = 0 | futexPrivate
	futexWake       = 1 | futexPrivate
	futexWaitBitset = 9 | futexPrivate
	futexPrivate    = 128
	futexRealtime   = 256
)

func is(name string, arg int, values ...uint64) Check {
	return Check{Name: name, Arg: arg, Op: OneOf, Values: values}
}

// Table is all that a locked reader may ask of the kernel: reading descriptors
// that it was given, writing its answers, memory, threads and time. Any other
// call kills it, and so does a listed one whose check does not hold, a call of
// another architecture (32-bit calls on amd64), and any x32 number (they carry a
// bit that no listed number has).
func Table() []Line {
	lines := []Line{
		// The work: descriptors arrive, are read, are closed; answers go out.
		{Name: "pread64", Nr: unix.SYS_PREAD64, Reason: "reads the file, the rules, the scratch, at an offset"},
		{
			Name: "recvmsg", Nr: unix.SYS_RECVMSG, Reason: "takes jobs and their descriptors; no other socket exists",
			Checks: []Check{is("recvmsg.fd", 0, Control)},
		},
		{Name: "fstat", Nr: unix.SYS_FSTAT, Reason: "size of a file that was passed; takes no path"},
		{
			// Were one of the reader's own closed, the next file passed would take its number, and be written to as that.
			Name: "close", Nr: unix.SYS_CLOSE, Reason: "a file that is answered; never one of the reader's own",
			Checks: []Check{{Name: "close.fd", Arg: 0, Op: NotIn, Values: []uint64{Null, Result, Log, Control, Scratch, Rest}, Owned: []string{"epoll", "eventfd"}}},
		},
		{
			Name: "write", Nr: unix.SYS_WRITE, Reason: "answers, what the runtime says when it dies, and waking its own poller",
			Checks: []Check{{Name: "write.fd", Arg: 0, Op: OneOf, Values: []uint64{Result, Log}, Owned: []string{"eventfd"}}},
		},
		{
			Name: "pwrite64", Nr: unix.SYS_PWRITE64, Reason: "unpacked bytes that do not fit in memory",
			Checks: []Check{is("pwrite64.fd", 0, Scratch)},
		},
		{
			Name: "ftruncate", Nr: unix.SYS_FTRUNCATE, Reason: "gives the scratch's space back",
			Checks: []Check{is("ftruncate.fd", 0, Scratch)},
		},

		// Memory: anonymous, private, never executable.
		{
			Name: "mmap", Nr: unix.SYS_MMAP, Reason: "heap and stacks",
			Checks: []Check{
				{Name: "mmap.prot", Arg: 2, Op: NoneOf, Values: []uint64{unix.PROT_EXEC}},
				is("mmap.flags", 3, anonymous, anonymous|unix.MAP_FIXED),
			},
		},
		{Name: "munmap", Nr: unix.SYS_MUNMAP, Reason: "heap that the collector returns"},
		{
			Name: "madvise", Nr: unix.SYS_MADVISE, Reason: "the collector's hints",
			Checks: []Check{is("madvise.advice", 2,
				unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE, unix.MADV_COLLAPSE)},
		},

		// Threads: the runtime starts more as it needs them.
		{
			Name: "futex", Nr: unix.SYS_FUTEX, Reason: "threads wait for and wake each other",
			Checks: []Check{is("futex.op", 1, futexWait, futexWake)},
		},
		{
			Name: "clone", Nr: unix.SYS_CLONE, Reason: "a thread of this process; never a process or a namespace",
			Checks: []Check{is("clone.flags", 0, threadFlags, threadFlagsTLS)},
		},
		{Name: "gettid", Nr: unix.SYS_GETTID, Reason: "a new thread's number"},
		{Name: "getpid", Nr: unix.SYS_GETPID, Reason: "for tgkill"},
		{
			Name: "tgkill", Nr: unix.SYS_TGKILL, Reason: "the runtime interrupts its own threads",
			Checks: []Check{{Name: "tgkill.pid", Arg: 0, Op: OneOf, Owned: []string{"self"}}},
		},
		{Name: "sigaltstack", Nr: unix.SYS_SIGALTSTACK, Reason: "a new thread's signal stack"},
		{Name: "rt_sigprocmask", Nr: unix.SYS_RT_SIGPROCMASK, Reason: "signals are held back while a thread starts"},
		{Name: "rt_sigreturn", Nr: unix.SYS_RT_SIGRETURN, Reason: "end of a signal handler"},
		{Name: "rt_sigaction", Nr: unix.SYS_RT_SIGACTION, Reason: "a fatal signal gets its default action back before it is raised"},
		{Name: "sched_yield", Nr: unix.SYS_SCHED_YIELD, Reason: "short waits of the runtime"},
		{Name: "exit", Nr: unix.SYS_EXIT, Reason: "end of a thread"},
		{Name: "exit_group", Nr: unix.SYS_EXIT_GROUP, Reason: "end of the process"},

		{Name: "sched_get_priority_max", Nr: unix.SYS_SCHED_GET_PRIORITY_MAX, Action: NoSys, Reason: "never used: its answer, which no kernel gives, shows the lock that the filter is there"},

		// Time.
		{Name: "nanosleep", Nr: unix.SYS_NANOSLEEP, Reason: "short waits of the runtime"},
		{Name: "clock_gettime", Nr: unix.SYS_CLOCK_GETTIME, Reason: "where the kernel gives no vDSO clock (some virtual machines)"},
		{Name: "restart_syscall", Nr: unix.SYS_RESTART_SYSCALL, Reason: "the kernel's own, after a stop signal in a timed wait"},
		{
			Name: "epoll_pwait", Nr: unix.SYS_EPOLL_PWAIT, Reason: "the runtime's timers wait here",
			Checks: []Check{{Name: "epoll_pwait.fd", Arg: 0, Op: OneOf, Owned: []string{"epoll"}}},
		},
		{
			Name: "read", Nr: unix.SYS_READ, Reason: "the runtime's poller empties its wake-up counter",
			Checks: []Check{{Name: "read.fd", Arg: 0, Op: OneOf, Owned: []string{"eventfd"}}},
		},
	}
	if cgo {
		lines = withC(lines)
	}
	for i := range lines {
		if lines[i].Action == "" {
			lines[i].Action = Allow
		}
	}
	return lines
}

// withC adds what glibc needs for threads and memory where C is linked.
func withC(lines []Line) []Line {
	more := map[string][]uint64{
		"clone.flags": {threadFlagsC},
		"mmap.flags":  {anonymous | unix.MAP_STACK, anonymous | unix.MAP_NORESERVE},
		"futex.op":    {futexWaitBitset, futexWaitBitset | futexRealtime, futexWake &^ futexPrivate},
	}
	for _, l := range lines {
		for i, c := range l.Checks {
			l.Checks[i].Values = append(c.Values, more[c.Name]...)
		}
	}
	return append(lines,
		Line{Name: "clone3", Nr: unix.SYS_CLONE3, Action: NoSys, CGO: true, Reason: "its flags are in memory, unseen; pthread_create then takes clone"},
		Line{Name: "set_robust_list", Nr: unix.SYS_SET_ROBUST_LIST, CGO: true, Reason: "a new thread of glibc"},
		Line{Name: "rseq", Nr: unix.SYS_RSEQ, CGO: true, Reason: "a new thread of glibc"},
		Line{
			Name: "mprotect", Nr: unix.SYS_MPROTECT, CGO: true, Reason: "stacks and heap of glibc",
			Checks: []Check{{Name: "mprotect.prot", Arg: 2, Op: NoneOf, Values: []uint64{unix.PROT_EXEC}}},
		},
	)
}

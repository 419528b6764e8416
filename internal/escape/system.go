//go:build linux && (amd64 || arm64)

package escape

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const admin = "CAP_SYS_ADMIN"

// mountAttempts change what is mounted: 14. A control run has a mount namespace of its own.
func mountAttempts() []Attempt {
	tree := func(g *ground) error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLOEXEC)
		return g.own("tree", fd, err)
	}
	all := []Attempt{
		{Number: 14, Name: "mount", What: "a file system mounted", Needs: admin, try: func(g *ground) error {
			return g.call(unix.SYS_MOUNT, g.str("none"), g.str("/"), g.str("tmpfs"), 0, 0)
		}},
		{Number: 14, Name: "umount2", What: "a file system taken away", Needs: admin, denied: []unix.Errno{unix.ENOENT}, through: []unix.Errno{unix.EINVAL, unix.EBUSY}, try: func(g *ground) error {
			return g.call(unix.SYS_UMOUNT2, g.str("/etc"), 0)
		}},
		{Number: 14, Name: "fsopen", What: "a file system opened", Needs: admin, try: func(g *ground) error {
			return g.call(unix.SYS_FSOPEN, g.str("tmpfs"), 0)
		}},
		{Number: 14, Name: "fsmount", What: "fsmount", Needs: admin, through: []unix.Errno{unix.EBADF, unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_FSMOUNT, 4, 0, 0)
		}},
		{Number: 14, Name: "fsconfig", What: "fsconfig", through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_FSCONFIG, 4, unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
		}},
		{Number: 14, Name: "fspick", What: "a mounted file system taken up", Needs: admin, try: func(g *ground) error {
			return g.call(unix.SYS_FSPICK, atCwd, g.str("/"), 0)
		}},
		{Number: 14, Name: "open_tree", What: "a tree of files opened", try: func(g *ground) error {
			return g.call(unix.SYS_OPEN_TREE, atCwd, g.str("/"), 0)
		}},
		{Number: 14, Name: "open_tree-clone", What: "a tree of mounts copied", Needs: admin, through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_OPEN_TREE, atCwd, g.str("/"), unix.OPEN_TREE_CLONE)
		}},
		{Number: 14, Name: "move_mount", What: "a mount moved", Needs: admin, before: tree, through: []unix.Errno{unix.EINVAL, unix.ELOOP, unix.EBUSY}, try: func(g *ground) error {
			return g.call(unix.SYS_MOVE_MOUNT, g.fd("tree"), g.str(""), g.fd("tree"), g.str(""), unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
		}},
		{Number: 14, Name: "mount_setattr", What: "the root made writable", Needs: admin, try: func(g *ground) error {
			return g.call(unix.SYS_MOUNT_SETATTR, atCwd, g.str("/"), 0, g.words(0, unix.MOUNT_ATTR_RDONLY, 0, 0), 32)
		}},
		{Number: 14, Name: "pivot_root", What: "another root", Needs: admin, through: []unix.Errno{unix.EINVAL, unix.EBUSY}, try: func(g *ground) error {
			return g.call(unix.SYS_PIVOT_ROOT, g.str("/"), g.str("/"))
		}},
		{Number: 14, Name: "chroot", What: "another root by chroot", Needs: "CAP_SYS_CHROOT", try: func(g *ground) error {
			return g.call(unix.SYS_CHROOT, g.str("/"))
		}},
		{Number: 14, Name: "statmount", What: "what is mounted", through: []unix.Errno{unix.ENOSYS, unix.EINVAL, unix.ENOENT}, try: func(g *ground) error {
			return g.call(sysStatmount, g.words(24, 0, 0), g.mem(512), 512, 0)
		}},
		{Number: 14, Name: "listmount", What: "which mounts there are", through: []unix.Errno{unix.ENOSYS, unix.EINVAL}, try: func(g *ground) error {
			// struct mnt_id_req: size, spare, mnt_id LSMT_ROOT, param.
			return g.call(sysListmount, g.words(24, minus1, 0), g.mem(512), 8, 0)
		}},
	}
	for i := range all {
		all[i].before = ownMounts(all[i].before)
	}
	return all
}

// Numbers that x/sys may not know; they are the same on all architectures from 424 on.
const (
	sysStatmount   = 457
	sysListmount   = 458
	sysLsmSetAttr  = 460
	sysLsmList     = 461
	sysFutexWake   = 454
	sysQuotactlFD  = 443
	sysFileGetattr = 468
)

// ownMounts gives a control run a mount namespace of its own, where it may have one, so that the host's mounts stay.
func ownMounts(then func(*ground) error) func(*ground) error {
	return func(g *ground) error {
		if g.Bare {
			if err := unix.Unshare(unix.CLONE_NEWNS); err == nil {
				if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
					return fmt.Errorf("mount namespace of the control run: %w", err)
				}
			}
		}
		if then == nil {
			return nil
		}
		return then(g)
	}
}

// namespaceAttempts are 15, 16, 44 and 45.
func namespaceAttempts() []Attempt {
	all := []Attempt{
		plain(15, "unshare-files", "a table of descriptors of its own", unix.SYS_UNSHARE, fixed(unix.CLONE_FILES)),
		plain(15, "unshare-user", "a user namespace of its own", unix.SYS_UNSHARE, fixed(unix.CLONE_NEWUSER), unix.EINVAL),
		plain(15, "unshare-net", "a network namespace of its own", unix.SYS_UNSHARE, fixed(unix.CLONE_NEWNET)).need(admin),
		{Number: 15, Name: "setns", What: "back into the broker's namespaces", Needs: admin, before: func(g *ground) error {
			fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return g.own("ns", fd, err)
		}, try: func(g *ground) error { return g.call(unix.SYS_SETNS, g.fd("ns"), 0) }},
		{Number: 16, Name: "clone-newuser", What: "a process in a user namespace of its own", denied: []unix.Errno{unix.ENOSPC, unix.EUSERS}, Needs: "user namespaces for everybody, and a process that is not in a chroot", try: func(g *ground) error { return g.fork(unix.CLONE_NEWUSER) }},
		{Number: 16, Name: "clone-newnet", What: "a process in a network namespace of its own", Needs: admin, try: func(g *ground) error { return g.fork(unix.CLONE_NEWNET) }},
		{Number: 16, Name: "clone-newpid", What: "a process in a pid namespace of its own", Needs: admin, try: func(g *ground) error { return g.fork(unix.CLONE_NEWPID) }},
		{Number: 44, Name: "fork", What: "a process", try: func(g *ground) error { return g.fork(0) }},
		{Number: 44, Name: "clone-parent", What: "a process that the broker must reap", try: func(g *ground) error {
			// The broker gets the child: only the number that came back can be looked at.
			pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_PARENT|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
			if e != 0 {
				return e
			}
			if pid == 0 {
				for {
					unix.RawSyscall(unix.SYS_EXIT_GROUP, 7, 0, 0)
				}
			}
			return nil
		}, through: []unix.Errno{unix.EINVAL}},
		{Number: 44, Name: "clone-vm", What: "a process that shares the reader's memory", before: executable("fork", codeFork), try: func(g *ground) error {
			// CLONE_VFORK: the reader waits until the child, which uses no stack, is gone.
			pid, err := g.gate("fork", unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD))
			if err != nil {
				return err
			}
			return g.born(int(pid))
		}},
		{Number: 44, Name: "clone-thread-newnet", What: "a thread in a network namespace of its own", Needs: admin, before: executable("fork", codeFork), try: func(g *ground) error {
			_, err := g.gate("fork", unix.SYS_CLONE, threadFlags|unix.CLONE_NEWNET)
			return err
		}},
		{Number: 44, Name: "clone-thread-untraced", What: "a thread that a tracer does not see", before: executable("fork", codeFork), try: func(g *ground) error {
			_, err := g.gate("fork", unix.SYS_CLONE, threadFlags|unix.CLONE_UNTRACED)
			return err
		}},
		{Number: 45, Name: "clone3-fork", What: "a process by clone3, whose flags no filter sees", denied: []unix.Errno{unix.ENOSYS}, before: executable("fork", codeFork), try: func(g *ground) error {
			// struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, ...
			pid, err := g.gate("fork", unix.SYS_CLONE3, g.words(unix.CLONE_VFORK|unix.CLONE_VM, 0, 0, 0, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0, 0), 88)
			if err != nil {
				return err
			}
			return g.born(int(pid))
		}},
		{Number: 45, Name: "clone3-cgroup", What: "a process put into another control group", denied: []unix.Errno{unix.ENOSYS}, through: []unix.Errno{unix.EBADF}, before: executable("fork", codeFork), try: func(g *ground) error {
			pid, err := g.gate("fork", unix.SYS_CLONE3, g.words(unix.CLONE_INTO_CGROUP, 0, 0, 0, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0, 4), 88)
			if err != nil {
				return err
			}
			return g.born(int(pid))
		}},
	}
	return all
}

// threadFlags are those of a thread.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// kernelAttempts speak to the kernel's own machinery: 6, 17, 18, 19, 25, 37, 38, 46.
func kernelAttempts() []Attempt {
	uring := func(g *ground) error {
		p := make([]byte, 120)
		fd, err := g.sys(unix.SYS_IO_URING_SETUP, 1, g.bytes(p))
		if err != nil {
			return skipf("io_uring_setup: %v", err)
		}
		return g.own("ring", int(fd), nil)
	}
	const ring = "kernel.io_uring_disabled = 0"
	all := []Attempt{
		{Number: 6, Name: "io_uring_setup", What: "a ring: calls that no filter sees", through: []unix.Errno{unix.ENOSYS}, Needs: ring, try: func(g *ground) error {
			return g.call(unix.SYS_IO_URING_SETUP, 1, g.mem(120))
		}},
		{Number: 6, Name: "io_uring_enter", What: "calls made through a ring", before: uring, try: func(g *ground) error {
			return g.call(unix.SYS_IO_URING_ENTER, g.fd("ring"), 0, 0, 0, 0, 0)
		}},
		{Number: 6, Name: "io_uring_register", What: "descriptors given to a ring", before: uring, try: func(g *ground) error {
			return g.call(unix.SYS_IO_URING_REGISTER, g.fd("ring"), 2, g.ints(3), 1)
		}},
		{Number: 6, Name: "io_setup", What: "asynchronous input and output, the old way", through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_IO_SETUP, 1, g.words(0))
		}},
		{Number: 17, Name: "bpf-map", What: "a map of the kernel's programs", through: []unix.Errno{unix.ENOSYS}, Needs: "CAP_BPF or kernel.unprivileged_bpf_disabled = 0", try: func(g *ground) error {
			// BPF_MAP_CREATE: array, key 4, value 8, 1 entry.
			return g.call(unix.SYS_BPF, 0, g.ints(2, 4, 8, 1, 0), 20)
		}},
		{Number: 17, Name: "bpf-get", What: "an object of the kernel's programs by a path", through: []unix.Errno{unix.ENOSYS, unix.ENOENT}, Needs: "CAP_BPF", try: func(g *ground) error {
			return g.call(unix.SYS_BPF, 7, g.words(g.str("/sys/fs/bpf/showcause-none"), 0), 16)
		}},
		{Number: 18, Name: "perf_event_open", What: "counters of the processor", through: []unix.Errno{unix.ENOSYS, unix.ENOENT, unix.ENODEV}, Needs: "kernel.perf_event_paranoid below 3", try: func(g *ground) error {
			// struct perf_event_attr: PERF_TYPE_SOFTWARE, size 64, PERF_COUNT_SW_TASK_CLOCK, exclude_kernel | exclude_hv.
			return g.call(unix.SYS_PERF_EVENT_OPEN, g.words(1|64<<32, 1, 0, 0, 0, 1<<5|1<<6, 0, 0), 0, minus1, minus1, 0)
		}},
		plain(19, "keyctl", "a ring of keys", unix.SYS_KEYCTL, fixed(0, minus1-1, 1), unix.ENOSYS), // KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING
		{Number: 19, Name: "add_key", What: "a key that outlives the reader", through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_ADD_KEY, g.str("user"), g.str("showcause"), g.str(Token), uintptr(len(Token)), minus1-1)
		}},
		{Number: 19, Name: "request_key", What: "a key asked for", through: []unix.Errno{unix.ENOSYS, unix.ENOKEY}, try: func(g *ground) error {
			return g.call(unix.SYS_REQUEST_KEY, g.str("user"), g.str("showcause-none"), 0, 0)
		}},
		{Number: 37, Name: "seccomp-filter", What: "another filter, which allows everything", Needs: "no_new_privs, or CAP_SYS_ADMIN", before: func(g *ground) error {
			if !g.Bare {
				return nil
			}
			return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}, try: func(g *ground) error {
			prog := g.words(uintptr(unix.BPF_RET|unix.BPF_K) | unix.SECCOMP_RET_ALLOW<<32)
			return g.call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, g.words(1, prog))
		}},
		{Number: 37, Name: "seccomp-action", What: "what filters can do here", try: func(g *ground) error {
			return g.call(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, g.ints(unix.SECCOMP_RET_ALLOW))
		}},
		plain(38, "landlock_create_ruleset", "which Landlock this kernel has", unix.SYS_LANDLOCK_CREATE_RULESET, fixed(0, 0, 1), unix.ENOSYS, unix.EOPNOTSUPP),
		plain(38, "landlock_add_rule", "a rule that allows", unix.SYS_LANDLOCK_ADD_RULE, fixed(4, 1, 0, 0), unix.ENOSYS, unix.EOPNOTSUPP, unix.EBADFD, unix.EBADF, unix.EINVAL),
		plain(38, "landlock_restrict_self", "another Landlock domain", unix.SYS_LANDLOCK_RESTRICT_SELF, fixed(4, 0), unix.ENOSYS, unix.EOPNOTSUPP, unix.EBADFD, unix.EBADF).need("no_new_privs, or CAP_SYS_ADMIN"),
		plain(25, "personality", "another personality: memory that may be read may be executed", unix.SYS_PERSONALITY, fixed(0x0400000)),
	}
	return append(append(all, prctlAttempts()...), machineAttempts()...)
}

// prctlAttempts are 26.
func prctlAttempts() []Attempt {
	all := []Attempt{
		{Number: 26, Name: "prctl-name", What: "a name that others see in /proc", try: func(g *ground) error {
			return g.call(unix.SYS_PRCTL, unix.PR_SET_NAME, g.str("escaped"))
		}},
		{Number: 26, Name: "prctl-vma", What: "memory given a name that others see in /proc", before: func(g *ground) error {
			p, err := codePage(nil)
			g.pages["fresh"] = p
			return err
		}, through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_PRCTL, unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME, g.pages["fresh"].address(), 4096, g.str("escaped"))
		}},
	}
	for _, p := range []struct {
		name, what string
		args       []uintptr
		through    []unix.Errno
	}{
		{"dumpable", "made dumpable and traceable again", []uintptr{unix.PR_SET_DUMPABLE, 1}, nil},
		{"pdeathsig", "the reader outlives the broker", []uintptr{unix.PR_SET_PDEATHSIG, 0}, nil},
		{"ptracer", "anybody may trace the reader", []uintptr{unix.PR_SET_PTRACER, ^uintptr(0)}, []unix.Errno{unix.EINVAL}},
		{"subreaper", "orphans come to the reader", []uintptr{unix.PR_SET_CHILD_SUBREAPER, 1}, nil},
		{"securebits", "other rules for capabilities", []uintptr{unix.PR_GET_SECUREBITS}, nil},
		{"keepcaps", "capabilities kept", []uintptr{unix.PR_SET_KEEPCAPS, 0}, nil},
		{"capbset", "the bounding set", []uintptr{unix.PR_CAPBSET_READ, 1}, nil},
		{"ambient", "ambient capabilities", []uintptr{unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, 1}, nil},
		{"timerslack", "the slack of timers", []uintptr{unix.PR_SET_TIMERSLACK, 50000}, nil},
		{"thp", "huge pages off", []uintptr{unix.PR_SET_THP_DISABLE, 0}, nil},
		{"no-new-privs", "whether programs may give rights", []uintptr{unix.PR_GET_NO_NEW_PRIVS}, nil},
		{"dispatch", "system calls taken over by the reader", []uintptr{unix.PR_SET_SYSCALL_USER_DISPATCH, 0}, []unix.Errno{unix.EINVAL}},
		{"speculation", "the processor's speculation", []uintptr{unix.PR_GET_SPECULATION_CTRL, 0}, []unix.Errno{unix.ENODEV, unix.EINVAL}},
		{"sched-core", "the core shared with another", []uintptr{62, 0}, []unix.Errno{unix.EINVAL, unix.ENODEV}},
		{"mdwe", "memory that is never executable", []uintptr{66, 0}, []unix.Errno{unix.EINVAL}},
	} {
		all = append(all, plain(26, "prctl-"+p.name, p.what, unix.SYS_PRCTL, fixed(p.args...), p.through...))
	}
	return all
}

// machineAttempts change the machine: 46. Their arguments are such that nothing comes of them.
func machineAttempts() []Attempt {
	all := []Attempt{
		plain(46, "reboot", "the machine restarted (with a wrong magic number)", unix.SYS_REBOOT, fixed(0, 0, 0), unix.EINVAL).need("CAP_SYS_BOOT"),
		{Number: 46, Name: "swapon", What: "swap space", Needs: admin, through: []unix.Errno{unix.ENOENT, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_SWAPON, g.str("/showcause-none"), 0)
		}},
		{Number: 46, Name: "swapoff", What: "swap space taken away", Needs: admin, through: []unix.Errno{unix.ENOENT, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_SWAPOFF, g.str("/showcause-none"))
		}},
		{Number: 46, Name: "init_module", What: "a module of the kernel", Needs: "CAP_SYS_MODULE", through: []unix.Errno{unix.ENOEXEC, unix.EINVAL, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_INIT_MODULE, g.str("x"), 1, g.str(""))
		}},
		{Number: 46, Name: "finit_module", What: "a module of the kernel from a descriptor", Needs: "CAP_SYS_MODULE", through: []unix.Errno{unix.ENOEXEC, unix.EINVAL, unix.ENOSYS, unix.EBADF}, try: func(g *ground) error {
			return g.call(unix.SYS_FINIT_MODULE, 4, g.str(""), 0)
		}},
		{Number: 46, Name: "delete_module", What: "a module of the kernel removed", Needs: "CAP_SYS_MODULE", through: []unix.Errno{unix.ENOENT, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_DELETE_MODULE, g.str("showcause_none"), 0)
		}},
		plain(46, "kexec_load", "another kernel", unix.SYS_KEXEC_LOAD, fixed(0, 0, 0, 0xff), unix.EINVAL, unix.ENOSYS).need("CAP_SYS_BOOT"),
		{Number: 46, Name: "quotactl", What: "quotas", through: []unix.Errno{unix.ENOENT, unix.ENOSYS, unix.ENODEV, unix.ENOTBLK}, try: func(g *ground) error {
			return g.call(unix.SYS_QUOTACTL, 0x800007<<8, g.str("/dev/showcause-none"), 0, g.mem(128)) // Q_GETQUOTA of users
		}},
		plain(46, "quotactl_fd", "quotas of the scratch file's file system", sysQuotactlFD, fixed(5, 0x80000400, 0, 0), unix.ENOSYS, unix.EINVAL, unix.ESRCH, unix.EFAULT, unix.EOPNOTSUPP),
		plain(46, "syslog", "the kernel's log", unix.SYS_SYSLOG, fixed(10, 0, 0)).need("CAP_SYSLOG or kernel.dmesg_restrict = 0"),
		{Number: 46, Name: "acct", What: "accounting of processes", Needs: "CAP_SYS_PACCT", through: []unix.Errno{unix.ENOENT, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_ACCT, g.str("/showcause-none"))
		}},
		{Number: 46, Name: "clock_settime", What: "the clock set (to a time that is none)", through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_CLOCK_SETTIME, 0, g.words(0, 2e9))
		}},
		{Number: 46, Name: "settimeofday", What: "the clock set, the old way", through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_SETTIMEOFDAY, g.words(0, 2e6), 0)
		}},
		{Number: 46, Name: "adjtimex", What: "the clock's steering", try: func(g *ground) error {
			return g.call(unix.SYS_ADJTIMEX, g.mem(256))
		}},
		{Number: 46, Name: "sethostname", What: "the machine's name (one that is too long)", Needs: admin, through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_SETHOSTNAME, g.mem(128), 100)
		}},
		{Number: 46, Name: "uname", What: "the kernel's version and the machine's name", try: func(g *ground) error { return g.call(unix.SYS_UNAME, g.mem(400)) }},
		{Number: 46, Name: "sysinfo", What: "memory and load of the machine", try: func(g *ground) error { return g.call(unix.SYS_SYSINFO, g.mem(128)) }},
		{Number: 46, Name: "getrusage", What: "what the reader used", try: func(g *ground) error { return g.call(unix.SYS_GETRUSAGE, 0, g.mem(256)) }},
		{Number: 46, Name: "times", What: "how long the machine runs", try: func(g *ground) error { return g.call(unix.SYS_TIMES, g.mem(64)) }},
		{Number: 46, Name: "getcpu", What: "on which processor the reader runs", try: func(g *ground) error { return g.call(unix.SYS_GETCPU, g.mem(8), g.mem(8), 0) }},
		{Number: 46, Name: "getrandom", What: "random numbers", try: func(g *ground) error { return g.call(unix.SYS_GETRANDOM, g.mem(16), 16, 0) }},
		{Number: 46, Name: "lsm_list_modules", What: "the kernel's security modules", through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(sysLsmList, g.mem(256), g.ints(256), 0)
		}},
		{Number: 46, Name: "lsm_set_self_attr", What: "another security label", through: []unix.Errno{unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL}, try: func(g *ground) error {
			return g.call(sysLsmSetAttr, 100, g.mem(64), 64, 0)
		}},
		{Number: 46, Name: "file_getattr", What: "the attributes of the scratch file, newest call", through: []unix.Errno{unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL}, try: func(g *ground) error {
			return g.call(sysFileGetattr, 5, g.str(""), g.mem(64), 24, unix.AT_EMPTY_PATH)
		}},
		{Number: 46, Name: "futex_wake", What: "a futex woken by the newer call", through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(sysFutexWake, g.ints(0), 1<<32-1, 1, 2)
		}},
		plain(46, "vhangup", "the terminal hung up", unix.SYS_VHANGUP, nil).need("CAP_SYS_TTY_CONFIG"),
	}
	return all
}

// passing makes an object that outlives its process, and removes it again by the second call.
func passing(number int, name, what string, nr, ctl uintptr, args []uintptr) Attempt {
	return Attempt{Number: number, Name: name, What: what, through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
		id, err := g.sys(nr, args...)
		if err != nil {
			return err
		}
		if nr == unix.SYS_SEMGET {
			return g.call(ctl, id, 0, unix.IPC_RMID)
		}
		return g.call(ctl, id, unix.IPC_RMID, 0)
	}}
}

// ipcAttempts are 20.
func ipcAttempts() []Attempt {
	return []Attempt{
		passing(20, "shmget", "a shared memory segment", unix.SYS_SHMGET, unix.SYS_SHMCTL, []uintptr{0, 4096, unix.IPC_CREAT | 0o600}),
		plain(20, "shmat-broker", "the broker's shared memory", unix.SYS_SHMAT, func(g *ground) []uintptr { return []uintptr{uintptr(g.Shm), 0, unix.SHM_RDONLY} }).
			answers(unix.EINVAL, unix.EIDRM).prepared(func(g *ground) error {
			if g.Shm < 0 {
				return skipf("the kernel has no System V memory")
			}
			return nil
		}),
		passing(20, "semget", "a set of semaphores", unix.SYS_SEMGET, unix.SYS_SEMCTL, []uintptr{0, 1, unix.IPC_CREAT | 0o600}),
		passing(20, "msgget", "a message queue", unix.SYS_MSGGET, unix.SYS_MSGCTL, []uintptr{0, unix.IPC_CREAT | 0o600}),
		// A queue that is none: one that is would have to be removed again, which a locked reader cannot.
		{Number: 20, Name: "msgsnd", What: "a message sent", through: []unix.Errno{unix.EINVAL, unix.EIDRM, unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_MSGSND, 1<<31-1, g.words(1, 0, 0), 8, unix.IPC_NOWAIT)
		}},
		{Number: 20, Name: "mq_open", What: "a POSIX message queue", through: []unix.Errno{unix.ENOSYS}, denied: []unix.Errno{unix.ENOENT}, try: func(g *ground) error {
			name := fmt.Sprintf("showcause-%d-%d", g.Parent, unix.Getpid())
			err := g.call(unix.SYS_MQ_OPEN, g.str(name), unix.O_CREAT|unix.O_RDWR, 0o600, 0)
			if err == nil {
				_ = g.call(unix.SYS_MQ_UNLINK, g.str(name)) // leaves nothing behind
			}
			return err
		}},
		{Number: 20, Name: "mq_unlink", What: "a POSIX message queue removed", through: []unix.Errno{unix.ENOSYS, unix.ENOENT}, try: func(g *ground) error {
			return g.call(unix.SYS_MQ_UNLINK, g.str("showcause-none"))
		}},
	}
}

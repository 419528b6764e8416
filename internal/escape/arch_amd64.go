//go:build linux

package escape

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const statat = unix.SYS_NEWFSTATAT

// x32 marks the numbers of the x32 ABI.
const x32 = 0x40000000

// archAttempts are the other gates of amd64 into the kernel, 22 and 23, and the
// calls that arm64 never had.
func archAttempts() []Attempt {
	call := executable("syscall", codeSyscall)
	old := executable("int80", codeInt80)
	by := func(number int, gate, name, what string, args func(g *ground) []uintptr, through ...unix.Errno) Attempt {
		before := call
		if gate == "int80" {
			before = old
		}
		return Attempt{Number: number, Name: name, What: what, before: before, through: append(through, unix.ENOSYS), try: func(g *ground) error {
			_, err := g.gate(gate, args(g)...)
			return err
		}}
	}
	// A kernel without the x32 ABI says ENOSYS to its numbers; the filter must not even let them get there.
	all := []Attempt{
		by(22, "syscall", "x32-socket", "a socket by its x32 number", func(*ground) []uintptr { return []uintptr{x32 | unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0} }),
		by(22, "syscall", "x32-open", "a file opened by its x32 number", func(g *ground) []uintptr { return []uintptr{x32 | unix.SYS_OPEN, g.str(passwd), 0, 0} }),
		by(22, "syscall", "x32-getpid", "a listed call by its x32 number", func(*ground) []uintptr { return []uintptr{x32 | unix.SYS_GETPID} }),
		by(22, "syscall", "x32-execve", "a program started by its own x32 number (520)", func(g *ground) []uintptr { return []uintptr{x32 | 520, g.str("/showcause-none"), 0, 0} }, unix.ENOENT),
		{Number: 23, Name: "int80-getpid", What: "a call through int 0x80", before: old, through: []unix.Errno{unix.ENOSYS}, Needs: "a kernel with 32-bit emulation", try: func(g *ground) error {
			pid, err := g.gate("int80", 20)
			if err == nil && int(pid) != unix.Getpid() {
				return fmt.Errorf("int 0x80 gave %d", pid)
			}
			return err
		}},
		by(23, "int80", "int80-open", "a file opened through int 0x80", func(g *ground) []uintptr { return []uintptr{5, g.str(passwd), 0, 0} }),
		by(23, "int80", "int80-socket", "a socket through int 0x80", func(*ground) []uintptr { return []uintptr{359, unix.AF_INET, unix.SOCK_DGRAM, 0} }),
		// 5 and 13 are fstat and rt_sigaction for 64-bit programs, which are listed.
		by(23, "int80", "int80-time", "a 32-bit call whose number is that of a listed one", func(*ground) []uintptr { return []uintptr{13} }),
		{Number: 44, Name: "vfork", What: "a process by vfork", before: executable("fork", codeFork), try: func(g *ground) error {
			pid, err := g.gate("fork", unix.SYS_VFORK)
			if err != nil {
				return err
			}
			return g.born(int(pid))
		}},
		{Number: 44, Name: "fork-old", What: "a process by fork", before: executable("fork", codeFork), try: func(g *ground) error {
			pid, err := g.gate("fork", unix.SYS_FORK)
			if err != nil {
				return err
			}
			return g.born(int(pid))
		}},
	}
	return append(all, oldCalls()...)
}

// oldCalls are those that newer ones replaced.
func oldCalls() []Attempt {
	path := func(number int, name, what string, nr uintptr, args func(g *ground) []uintptr, through ...unix.Errno) Attempt {
		return paths(number, name, what, func(g *ground) error { return g.call(nr, args(g)...) }, through...)
	}
	file := func(g *ground) uintptr { return g.str(passwd) }
	return []Attempt{
		paths(12, "open-read", "a file opened by open", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPEN, file(g), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}),
		path(12, "creat", "a file made by creat", unix.SYS_CREAT, func(g *ground) []uintptr { return []uintptr{g.inDir("creat"), 0o600} }),
		path(27, "chmod", "the mode of a file by chmod", unix.SYS_CHMOD, func(g *ground) []uintptr { return []uintptr{g.str(g.Dir), 0o1777} }).need("the file's owner"),
		path(27, "utimes", "the times of a file by utimes", unix.SYS_UTIMES, func(g *ground) []uintptr { return []uintptr{g.str(g.Dir), 0} }),
		path(27, "futimesat", "the times of a file by futimesat", unix.SYS_FUTIMESAT, func(g *ground) []uintptr { return []uintptr{atCwd, g.str(g.Dir), 0} }),
		path(47, "stat", "whether a file is there (stat)", unix.SYS_STAT, func(g *ground) []uintptr { return []uintptr{file(g), g.mem(256)} }),
		path(47, "lstat", "whether a file is there (lstat)", unix.SYS_LSTAT, func(g *ground) []uintptr { return []uintptr{file(g), g.mem(256)} }),
		path(47, "access", "whether a file may be read (access)", unix.SYS_ACCESS, func(g *ground) []uintptr { return []uintptr{file(g), 4} }),
		path(47, "readlink", "where the reader's program is (readlink)", unix.SYS_READLINK, func(g *ground) []uintptr {
			return []uintptr{g.str("/proc/self/exe"), g.mem(256), 256}
		}),
		path(47, "uselib", "a library loaded by the kernel", unix.SYS_USELIB, func(g *ground) []uintptr { return []uintptr{file(g)} }, unix.ENOSYS),
		plain(47, "ustat", "a file system by its number", unix.SYS_USTAT, func(g *ground) []uintptr { return []uintptr{0, g.mem(64)} }, unix.EINVAL),
		plain(47, "sysfs", "the file systems of this kernel", unix.SYS_SYSFS, fixed(3), unix.ENOSYS),
		{Number: 36, Name: "dup2-fd1", What: "the control socket put in the place of the results, by dup2", try: func(g *ground) error {
			if err := g.call(unix.SYS_DUP2, 3, 1); err != nil {
				return err
			}
			return g.call(unix.SYS_WRITE, 1, g.str(Token), uintptr(len(Token)))
		}},
		{Number: 50, Name: "pipe", What: "a pipe by pipe", try: func(g *ground) error { return g.call(unix.SYS_PIPE, g.mem(8)) }},
		plain(50, "epoll_create", "another poller, the old way", unix.SYS_EPOLL_CREATE, fixed(1)),
		plain(50, "eventfd", "an event counter, the old way", unix.SYS_EVENTFD, fixed(0)),
		plain(50, "poll", "poll", unix.SYS_POLL, fixed(0, 0, 0)),
		{Number: 50, Name: "select", What: "select", try: func(g *ground) error { return g.call(unix.SYS_SELECT, 0, 0, 0, 0, g.words(0, 0)) }},
		plain(50, "alarm", "an alarm", unix.SYS_ALARM, fixed(1000)),
		plain(50, "inotify_init", "being told of changes to files, the old way", unix.SYS_INOTIFY_INIT, nil),
		plain(46, "iopl", "the ports of the machine", unix.SYS_IOPL, fixed(0), unix.ENOSYS),
		plain(46, "ioperm", "a port of the machine", unix.SYS_IOPERM, fixed(0x80, 1, 0), unix.ENOSYS).need("CAP_SYS_RAWIO"),
		{Number: 46, Name: "modify_ldt", What: "a segment of its own", through: []unix.Errno{unix.ENOSYS}, try: func(g *ground) error {
			return g.call(unix.SYS_MODIFY_LDT, 0, g.mem(64), 64)
		}},
		{Number: 46, Name: "arch_prctl", What: "the base of a segment register", try: func(g *ground) error {
			return g.call(unix.SYS_ARCH_PRCTL, 0x1004, g.mem(8)) // ARCH_GET_GS
		}},
		plain(46, "arch_prctl-cpuid", "cpuid turned off or on", unix.SYS_ARCH_PRCTL, fixed(0x1011), unix.EINVAL, unix.ENODEV),
		{Number: 46, Name: "time", What: "the time of day by the old call", try: func(g *ground) error { return g.call(unix.SYS_TIME, g.mem(8)) }},
		plain(24, "map_shadow_stack", "a shadow stack", 453, fixed(0, 4096, 0), unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL),
		plain(46, "getpgrp", "the process group", unix.SYS_GETPGRP, nil),
	}
}

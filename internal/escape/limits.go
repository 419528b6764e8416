//go:build linux && (amd64 || arm64)

package escape

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// argumentAttempts pass odd arguments to calls that are allowed: 53, 54.
func argumentAttempts() []Attempt {
	return []Attempt{
		{Number: 54, Name: "tgkill-high", What: "tgkill with the number of the reader and bits above it", try: func(g *ground) error {
			return g.call(unix.SYS_TGKILL, 1<<32|uintptr(unix.Getpid()), uintptr(unix.Gettid()), 0)
		}},
		{Number: 54, Name: "recvmsg-fd3-high", What: "recvmsg on the control socket with bits above its number", through: []unix.Errno{unix.EAGAIN}, try: func(g *ground) error {
			return g.call(unix.SYS_RECVMSG, 1<<32|3, g.words(0, 0, g.words(g.mem(64), 64), 1, 0, 0, 0), unix.MSG_DONTWAIT)
		}},
		{Number: 54, Name: "close-fd1", What: "the results closed, so that their number goes to the next descriptor", try: func(g *ground) error {
			return g.call(unix.SYS_CLOSE, 1)
		}},
		{Number: 54, Name: "ftruncate-fd4", What: "ftruncate of the rule database", through: []unix.Errno{unix.EINVAL, unix.EBADF}, try: func(g *ground) error {
			return g.call(unix.SYS_FTRUNCATE, 4, 0)
		}},
	}
}

// limitAttempts take more than the reader's share: 53.
func limitAttempts() []Attempt {
	return []Attempt{
		{Number: 53, Name: "fill-disk", What: "the scratch file grown past its limit", denied: []unix.Errno{unix.EFBIG}, try: func(g *ground) error {
			// A sparse byte far out: nothing is used up where it is allowed.
			return g.call(unix.SYS_PWRITE64, 5, g.str("x"), 1, 1<<30)
		}},
		plain(53, "fill-disk-ftruncate", "the scratch file made larger than its limit by ftruncate", unix.SYS_FTRUNCATE, fixed(5, 1<<40)).answers(unix.EFBIG).need("a file system that takes files of 1 TiB"),
		{Number: 53, Name: "fill-memory", What: "more memory than the reader's limit", denied: []unix.Errno{unix.ENOMEM}, Needs: "a kernel that overcommits memory", try: func(g *ground) error {
			// In pieces, none of which is too much for a small machine. Nothing is touched.
			const piece = 256 << 20
			for range readerMemory/piece + 1 {
				if err := g.call(unix.SYS_MMAP, 0, piece, rw, anon, minus1, 0); err != nil {
					return err
				}
			}
			return nil
		}},
		plain(53, "mmap-growsdown", "memory that grows by itself, and is not counted as data", unix.SYS_MMAP, fixed(0, 4096, rw, anon|unix.MAP_GROWSDOWN, minus1, 0)),
		plain(53, "mmap-populate", "memory filled at once", unix.SYS_MMAP, fixed(0, 4096, rw, anon|unix.MAP_POPULATE, minus1, 0)),
		plain(53, "mmap-hugetlb", "reserved huge pages", unix.SYS_MMAP, fixed(0, 2<<20, rw, anon|unix.MAP_HUGETLB, minus1, 0), unix.ENOMEM, unix.EINVAL),
		{Number: 53, Name: "many-descriptors", What: "more descriptors than the reader's limit, taken from the control socket", Give: PassedFile, denied: []unix.Errno{unix.EMFILE}, try: func(g *ground) error {
			// The kernel gives a descriptor the lowest free number below the limit. Whether there is one is seen in the limit.
			lim := g.mem(16)
			if err := g.call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, 0, lim); err != nil {
				return err
			}
			if binary.NativeEndian.Uint64(g.at(lim, 16)) <= 256 {
				return unix.EMFILE
			}
			return nil
		}, Needs: "a limit of open files above 256"},
	}
}

// identityAttempts change who the reader is: 55.
func identityAttempts() []Attempt {
	header := func(g *ground) uintptr { return g.ints(unix.LINUX_CAPABILITY_VERSION_3, 0) }
	return []Attempt{
		{Number: 55, Name: "capset", What: "capabilities set", try: func(g *ground) error {
			data := g.mem(24)
			if err := g.call(unix.SYS_CAPGET, header(g), data); err != nil {
				return err
			}
			return g.call(unix.SYS_CAPSET, header(g), data)
		}},
		{Number: 55, Name: "capset-all", What: "every permitted capability made effective", try: func(g *ground) error {
			data := g.mem(24)
			if err := g.call(unix.SYS_CAPGET, header(g), data); err != nil {
				return err
			}
			d := g.at(data, 24)
			copy(d, d[4:8]) // effective from permitted
			copy(d[12:], d[16:20])
			if binary.NativeEndian.Uint32(d) == 0 {
				return unix.EPERM // there is none to be had
			}
			return g.call(unix.SYS_CAPSET, header(g), data)
		}, Needs: "any capability"},
		plain(55, "setuid", "the user changed to root", unix.SYS_SETUID, fixed(0)).answers(unix.EINVAL).need("CAP_SETUID"),
		plain(55, "setgid", "the group changed to root", unix.SYS_SETGID, fixed(0)).answers(unix.EINVAL).need("CAP_SETGID"),
		plain(55, "setresuid", "all users changed", unix.SYS_SETRESUID, fixed(minus1, minus1, minus1)),
		plain(55, "setgroups", "no groups", unix.SYS_SETGROUPS, fixed(0, 0)).need("CAP_SETGID"),
		plain(55, "setfsuid", "the user for files", unix.SYS_SETFSUID, fixed(minus1)),
		plain(55, "getuid", "who the reader is", unix.SYS_GETUID, nil),
		plain(55, "getppid", "who the broker is", unix.SYS_GETPPID, nil),
		plain(55, "setpgid", "another process group", unix.SYS_SETPGID, fixed(0, 0), unix.EPERM),
		plain(55, "getsid", "the session", unix.SYS_GETSID, fixed(0)),
		plain(55, "set_tid_address", "a word that the kernel clears at the end", unix.SYS_SET_TID_ADDRESS, func(g *ground) []uintptr { return []uintptr{g.mem(16)} }),
		{Number: 55, Name: "get_robust_list", What: "the list of locks of the broker", Needs: traceable, denied: []unix.Errno{unix.ESRCH}, try: func(g *ground) error {
			return g.call(unix.SYS_GET_ROBUST_LIST, uintptr(g.Parent), g.mem(8), g.mem(8))
		}},
	}
}

// wallAttempts are what one wall alone stops, when the filter is away: 58. They
// are tried like all others, and are the proof that the wall is there.
func wallAttempts() []Attempt {
	return []Attempt{
		{Number: 58, Name: "tcp-broker", What: "a connection to the broker's machine", denied: []unix.Errno{unix.ENETUNREACH, unix.ECONNREFUSED}, try: func(g *ground) error {
			fd, err := g.sys(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return g.call(unix.SYS_CONNECT, fd, g.addr4(g.TCP), 16)
		}},
		{Number: 58, Name: "abstract-broker", What: "a connection to an abstract unix address of the broker's machine", denied: []unix.Errno{unix.ECONNREFUSED}, try: func(g *ground) error {
			fd, err := g.sys(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			p, n := g.abstract(g.Abstract)
			return g.call(unix.SYS_CONNECT, fd, p, n)
		}},
		{Number: 58, Name: "setuid-program", What: "a set-user-id program started", Give: SetuidProgram, Needs: "a program that root made set-user-id", denied: []unix.Errno{unix.ENOENT}, before: func(g *ground) error {
			var st unix.Stat_t
			if unix.Fstat(6, &st) != nil || st.Mode&unix.S_ISUID == 0 {
				return skipf("only root can make a set-user-id program")
			}
			return g.own("setuid", 6, nil)
		}, try: func(g *ground) error {
			// The program says landed only if it runs as root.
			if id, err := g.sys(unix.SYS_GETEUID); err != nil || id == 0 {
				return skipf("the reader is root already")
			}
			return g.call(unix.SYS_EXECVEAT, g.fd("setuid"), g.str(""), g.words(g.str("setuid"), 0), g.words(0), unix.AT_EMPTY_PATH)
		}},
		{Number: 58, Name: "dumpable", What: "a process that others of its user may trace, and that leaves a core", try: func(g *ground) error {
			v, err := g.sys(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE)
			if err == nil && v != 1 {
				return unix.EPERM
			}
			return err
		}},
		{Number: 58, Name: "core", What: "a core file", try: func(g *ground) error {
			lim := g.mem(16)
			if err := g.call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 0, lim); err != nil {
				return err
			}
			if binary.NativeEndian.Uint64(g.at(lim, 16)[8:]) == 0 {
				return unix.EPERM
			}
			return nil
		}},
		paths(58, "openat-others", "a file that only the broker's user may read", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.inDir("private"), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}),
		same("mnt", "namespace of mounts"), same("uts", "namespace of the machine's name"), same("cgroup", "namespace of control groups"),
	}
}

// same finds the broker's namespace of a kind by its number.
func same(kind, what string) Attempt {
	return paths(58, "same-"+kind, "the broker's "+what, func(g *ground) error {
		fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str("/proc/self/ns/"+kind), unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(fd), &st); err != nil {
			return err
		}
		if st.Ino != g.Spaces[kind] {
			return unix.EPERM
		}
		return nil
	})
}

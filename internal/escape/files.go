//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// passwd is a file that every Linux system has and everybody may read.
const passwd = "/etc/passwd"

// opened reads from what an open gave.
func opened(g *ground, fd uintptr, err error) error {
	if err != nil {
		return err
	}
	return g.reads(fd)
}

// how is a struct open_how.
func (g *ground) how(flags uintptr) uintptr { return g.words(flags, 0, 0) }

// paths is an attempt that names a path. An empty root answers ENOENT, and the write to it EROFS.
func paths(number int, name, what string, try func(g *ground) error, through ...unix.Errno) Attempt {
	return Attempt{
		Number: number, Name: name, What: what, through: through,
		denied: []unix.Errno{unix.ENOENT, unix.EROFS},
		before: func(*ground) error { return present(passwd) }, try: try,
	}
}

// inDir is the address of the path of a file in the broker's folder.
func (g *ground) inDir(name string) uintptr {
	return g.str(filepath.Join(g.Dir, name))
}

// madeFile makes a file of the reader's own in the broker's folder.
func madeFile(g *ground) error {
	fd, err := unix.Open(filepath.Join(g.Dir, "there"), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return skipf("a folder that is not for everybody: %v", err)
	}
	return unix.Close(fd)
}

// fileAttempts open and find files by their names: 12, 13, 28, 31, 47.
func fileAttempts() []Attempt {
	all := []Attempt{
		paths(12, "openat-read", "a file opened by its path", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str(passwd), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}),
		paths(12, "openat2-read", "a file opened by openat2", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT2, atCwd, g.str(passwd), g.how(unix.O_RDONLY), 24)
			return opened(g, fd, err)
		}),
		paths(12, "openat-create", "a file made", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.inDir("made"), unix.O_CREAT|unix.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			return g.call(unix.SYS_WRITE, fd, g.str(Token), uintptr(len(Token)))
		}),
		paths(12, "openat-tmpfile", "a file without a name made", func(g *ground) error {
			return g.call(unix.SYS_OPENAT, atCwd, g.str(g.Dir), unix.O_TMPFILE|unix.O_RDWR, 0o600)
		}, unix.EOPNOTSUPP),
		paths(12, "openat-self-mem", "the reader's own memory opened as a file, past page protection", func(g *ground) error {
			return g.call(unix.SYS_OPENAT, atCwd, g.str("/proc/self/mem"), unix.O_RDWR, 0)
		}),
		paths(12, "openat-broker-mem", "the broker's memory opened as a file", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str(fmt.Sprintf("/proc/%d/mem", g.Parent)), unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			buf := g.mem(64)
			if err := g.call(unix.SYS_PREAD64, fd, buf, uintptr(len(Token)), uintptr(g.Secret)); err != nil {
				return err
			}
			return g.holds(buf)
		}).need(traceable),
		paths(12, "openat-broker-fd", "a descriptor of the broker's opened through /proc", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str(fmt.Sprintf("/proc/%d/fd/%d", g.Parent, g.SecretFD)), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}).need(traceable),
		paths(12, "openat-upgrade", "a scanned file opened again for writing through /proc/self/fd", func(g *ground) error {
			return g.call(unix.SYS_OPENAT, atCwd, g.str(fmt.Sprintf("/proc/self/fd/%d", g.passed)), unix.O_WRONLY, 0)
		}).gives(PassedFile),
		paths(12, "openat-root", "the root folder read", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str("/"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
			if err != nil {
				return err
			}
			buf := g.mem(4096)
			n, err := g.sys(unix.SYS_GETDENTS64, fd, buf, 4096)
			if err != nil {
				return err
			}
			if !bytes.Contains(g.at(buf, int(n)), []byte("etc\x00")) {
				return fmt.Errorf("the root folder holds nothing of the host")
			}
			return nil
		}),
		{Number: 12, Name: "openat-dirfd", What: "a file opened below a folder's descriptor", before: func(g *ground) error {
			fd, err := unix.Open("/etc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return g.own("etc", fd, err)
		}, try: func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, g.fd("etc"), g.str("passwd"), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}},
		paths(31, "dns-hosts", "a resolver's first step: /etc/hosts", func(g *ground) error {
			fd, err := g.sys(unix.SYS_OPENAT, atCwd, g.str("/etc/hosts"), unix.O_RDONLY, 0)
			return opened(g, fd, err)
		}).prepared(func(*ground) error { return present("/etc/hosts") }),
		{Number: 31, Name: "dns-query", What: "a resolver's second step: a question sent by UDP", denied: []unix.Errno{unix.ENETUNREACH}, try: (*ground).dgram},
		{Number: 31, Name: "dns-nscd", What: "the C library's way: the name service's socket", through: []unix.Errno{unix.ENOENT, unix.ECONNREFUSED}, try: func(g *ground) error {
			fd, err := g.sys(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			p := g.bytes(append([]byte{unix.AF_UNIX, 0}, "/var/run/nscd/socket\x00"...))
			return g.call(unix.SYS_CONNECT, fd, p, 23)
		}},
	}
	return append(append(all, handleAttempts()...), pathAttempts()...)
}

// handleAttempts are 13.
func handleAttempts() []Attempt {
	// struct file_handle: bytes, type, then up to 128 bytes of handle.
	handle := func(g *ground) (uintptr, error) {
		h := g.mem(8 + 128)
		copy(g.at(h, 4), g.at(g.ints(128), 4))
		return h, g.call(unix.SYS_NAME_TO_HANDLE_AT, atCwd, g.str(passwd), h, g.mem(4), 0)
	}
	return []Attempt{
		paths(13, "name_to_handle_at", "a handle of a file", func(g *ground) error {
			_, err := handle(g)
			return err
		}, unix.EOPNOTSUPP),
		{
			Number: 13, Name: "open_by_handle_at", What: "a file opened by a handle, past all folders", Needs: "CAP_DAC_READ_SEARCH",
			through: []unix.Errno{unix.EOPNOTSUPP, unix.ESTALE}, before: func(g *ground) error {
				h, err := handle(g)
				g.vals["handle"] = h
				if err != nil {
					return skipf("name_to_handle_at: %v", err)
				}
				fd, err := unix.Open("/etc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				return g.own("etc", fd, err)
			}, try: func(g *ground) error {
				fd, err := g.sys(unix.SYS_OPEN_BY_HANDLE_AT, g.fd("etc"), g.vals["handle"], unix.O_RDONLY)
				return opened(g, fd, err)
			},
		},
	}
}

// pathAttempts ask about paths, and change them: 47, 28.
func pathAttempts() []Attempt {
	at := func(name, what string, nr uintptr, args func(g *ground) []uintptr, through ...unix.Errno) Attempt {
		return paths(47, name, what, func(g *ground) error { return g.call(nr, args(g)...) }, through...)
	}
	file := func(g *ground) uintptr { return g.str(passwd) }
	return []Attempt{
		at("statx", "whether a file is there (statx)", unix.SYS_STATX, func(g *ground) []uintptr { return []uintptr{atCwd, file(g), 0, 0x7ff, g.mem(256)} }),
		at("fstatat", "whether a file is there (fstatat)", statat, func(g *ground) []uintptr { return []uintptr{atCwd, file(g), g.mem(256), 0} }),
		at("faccessat", "whether a file may be read", unix.SYS_FACCESSAT, func(g *ground) []uintptr { return []uintptr{atCwd, file(g), 4} }),
		at("faccessat2", "whether a file may be read, newer", unix.SYS_FACCESSAT2, func(g *ground) []uintptr { return []uintptr{atCwd, file(g), 4, 0} }),
		at("statfs", "the file system of a path", unix.SYS_STATFS, func(g *ground) []uintptr { return []uintptr{file(g), g.mem(256)} }),
		plain(47, "fstatfs-fd5", "the file system of the scratch file", unix.SYS_FSTATFS, func(g *ground) []uintptr { return []uintptr{5, g.mem(256)} }),
		at("readlinkat-proc", "where the reader's program is", unix.SYS_READLINKAT, func(g *ground) []uintptr {
			return []uintptr{atCwd, g.str("/proc/self/exe"), g.mem(256), 256}
		}),
		at("readlinkat-fd", "the path of a scanned file", unix.SYS_READLINKAT, func(g *ground) []uintptr {
			return []uintptr{atCwd, g.str(fmt.Sprintf("/proc/self/fd/%d", g.passed)), g.mem(4096), 4096}
		}).gives(PassedFile),
		plain(47, "getcwd", "the working folder", unix.SYS_GETCWD, func(g *ground) []uintptr { return []uintptr{g.mem(4096), 4096} }),
		at("chdir", "another working folder", unix.SYS_CHDIR, func(g *ground) []uintptr { return []uintptr{g.str("/etc")} }),
		{Number: 47, Name: "fchdir", What: "the working folder by a descriptor", before: func(g *ground) error {
			fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return g.own("root", fd, err)
		}, try: func(g *ground) error { return g.call(unix.SYS_FCHDIR, g.fd("root")) }},
		{Number: 47, Name: "getdents64", What: "a folder read through its descriptor", before: func(g *ground) error {
			fd, err := unix.Open("/etc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return g.own("etc", fd, err)
		}, try: func(g *ground) error { return g.call(unix.SYS_GETDENTS64, g.fd("etc"), g.mem(4096), 4096) }},
		at("mkdirat", "a folder made", unix.SYS_MKDIRAT, func(g *ground) []uintptr { return []uintptr{atCwd, g.inDir("folder"), 0o700} }),
		at("mknodat", "a named pipe made", unix.SYS_MKNODAT, func(g *ground) []uintptr { return []uintptr{atCwd, g.inDir("fifo"), unix.S_IFIFO | 0o600, 0} }),
		at("symlinkat", "a symbolic link made", unix.SYS_SYMLINKAT, func(g *ground) []uintptr { return []uintptr{g.str(Token), atCwd, g.inDir("link")} }),
		at("linkat-scratch", "the scratch file, which has no name, given one", unix.SYS_LINKAT, func(g *ground) []uintptr {
			return []uintptr{atCwd, g.str("/proc/self/fd/5"), atCwd, g.inDir("named"), unix.AT_SYMLINK_FOLLOW}
		}, unix.ENOENT, unix.EXDEV),
		at("unlinkat", "a file removed", unix.SYS_UNLINKAT, func(g *ground) []uintptr { return []uintptr{atCwd, g.inDir("there"), 0} }).prepared(madeFile),
		at("renameat2", "a file renamed", unix.SYS_RENAMEAT2, func(g *ground) []uintptr {
			return []uintptr{atCwd, g.inDir("there"), atCwd, g.inDir("else"), 0}
		}).prepared(madeFile),
		at("truncate", "a file cut by its path", unix.SYS_TRUNCATE, func(g *ground) []uintptr { return []uintptr{g.inDir("there"), 0} }).prepared(madeFile),
		plain(28, "inotify_init1", "being told of changes to files", unix.SYS_INOTIFY_INIT1, fixed(0)),
		{Number: 28, Name: "inotify_add_watch", What: "a folder watched", denied: []unix.Errno{unix.ENOENT}, before: func(g *ground) error {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			return g.own("watch", fd, err)
		}, try: func(g *ground) error {
			return g.call(unix.SYS_INOTIFY_ADD_WATCH, g.fd("watch"), g.str("/etc"), unix.IN_OPEN)
		}},
		plain(28, "fanotify_init", "being told of every open", unix.SYS_FANOTIFY_INIT, fixed(unix.FAN_REPORT_FID|unix.FAN_CLASS_NOTIF, unix.O_RDONLY), unix.ENOSYS).need("Linux 5.13 or CAP_SYS_ADMIN"),
		{Number: 28, Name: "fanotify_mark", What: "a folder marked", denied: []unix.Errno{unix.ENOENT}, before: func(g *ground) error {
			fd, err := unix.FanotifyInit(unix.FAN_REPORT_FID|unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC, unix.O_RDONLY)
			if err != nil {
				return skipf("fanotify_init: %v", err)
			}
			return g.own("mark", fd, nil)
		}, try: func(g *ground) error {
			return g.call(unix.SYS_FANOTIFY_MARK, g.fd("mark"), unix.FAN_MARK_ADD, unix.FAN_CREATE|unix.FAN_ONDIR, atCwd, g.str(g.Dir))
		}, through: []unix.Errno{unix.ENODEV, unix.EXDEV, unix.EOPNOTSUPP}},
	}
}

// metadataAttempts use what stands beside a file's bytes as a channel: 27.
func metadataAttempts() []Attempt {
	const owner = "the file's owner"
	on := func(name, what string, nr uintptr, args func(g *ground) []uintptr) Attempt {
		return plain(27, name, what, nr, func(g *ground) []uintptr { return append([]uintptr{uintptr(g.passed)}, args(g)...) },
			unix.EOPNOTSUPP, unix.ENODATA).gives(PassedFile)
	}
	path := func(name, what string, try func(g *ground) error) Attempt {
		return paths(27, name, what, try, unix.EOPNOTSUPP, unix.ENODATA)
	}
	return []Attempt{
		on("fchmod-passed", "the mode of a scanned file", unix.SYS_FCHMOD, func(*ground) []uintptr { return []uintptr{0o644} }).need(owner),
		on("fchown-passed", "the owner of a scanned file", unix.SYS_FCHOWN, func(*ground) []uintptr { return []uintptr{minus1, minus1} }).need(owner),
		on("futimens-passed", "the times of a scanned file", unix.SYS_UTIMENSAT, func(g *ground) []uintptr { return []uintptr{0, g.words(1, 0, 1, 0), 0} }).need(owner),
		on("fsetxattr-passed", "an attribute of a scanned file", unix.SYS_FSETXATTR, func(g *ground) []uintptr {
			return []uintptr{g.str("user.showcause"), g.str(Token), uintptr(len(Token)), 0}
		}).need("a file that may be written"),
		on("fgetxattr-passed", "an attribute of a scanned file read", unix.SYS_FGETXATTR, func(g *ground) []uintptr {
			return []uintptr{g.str("user.showcause"), g.mem(64), 64}
		}),
		on("flistxattr-passed", "the attributes of a scanned file", unix.SYS_FLISTXATTR, func(g *ground) []uintptr { return []uintptr{g.mem(64), 64} }),
		on("fremovexattr-passed", "an attribute of a scanned file removed", unix.SYS_FREMOVEXATTR, func(g *ground) []uintptr { return []uintptr{g.str("user.showcause")} }).need("a file that may be written"),
		path("fchmodat", "the mode of a file by its path", func(g *ground) error {
			return g.call(unix.SYS_FCHMODAT, atCwd, g.str(g.Dir), 0o1777)
		}).need(owner),
		path("fchownat", "the owner of a file by its path", func(g *ground) error {
			return g.call(unix.SYS_FCHOWNAT, atCwd, g.str(g.Dir), minus1, minus1, 0)
		}).need(owner),
		path("utimensat", "the times of a file by its path", func(g *ground) error {
			return g.call(unix.SYS_UTIMENSAT, atCwd, g.str(g.Dir), 0, 0)
		}),
		path("setxattr", "an attribute of a file by its path", func(g *ground) error {
			return g.call(unix.SYS_SETXATTR, g.str(g.Dir), g.str("user.showcause"), g.str(Token), uintptr(len(Token)), 0)
		}).need("a folder that may be written and is not sticky, or its owner"),
		path("getxattr", "an attribute of a file read by its path", func(g *ground) error {
			return g.call(unix.SYS_GETXATTR, g.str(passwd), g.str("user.showcause"), g.mem(64), 64)
		}),
		path("llistxattr", "the attributes of a file by its path", func(g *ground) error {
			return g.call(unix.SYS_LLISTXATTR, g.str(passwd), g.mem(64), 64)
		}),
		plain(27, "fchmod-fd5", "the mode of the scratch file", unix.SYS_FCHMOD, fixed(5, 0o644)).need("a scratch file of its own"),
		plain(27, "umask", "the mask of new files", unix.SYS_UMASK, fixed(0o77)),
	}
}

//go:build linux && (amd64 || arm64)

package escape

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// transferAttempts move bytes past write(2): 5, 33, 34, 36.
func transferAttempts() []Attempt {
	tokenPipe := func(g *ground) error {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		if _, err := unix.Write(p[1], []byte(Token)); err != nil {
			return err
		}
		return g.own("pipe", p[0], nil)
	}
	// The sealed memory that stands in for the rule database holds token at its start.
	n := uintptr(len(Token))
	all := []Attempt{
		{Number: 5, Name: "splice-fd1", What: "splice from the rule database into the results", try: func(g *ground) error {
			return g.call(unix.SYS_SPLICE, 4, g.words(0), 1, 0, n, 0)
		}},
		{Number: 5, Name: "tee-fd1", What: "tee from a pipe into the results", before: tokenPipe, try: func(g *ground) error {
			return g.call(unix.SYS_TEE, g.fd("pipe"), 1, n, 0)
		}},
		{Number: 5, Name: "vmsplice-fd1", What: "vmsplice of memory into the results", try: func(g *ground) error {
			iov, _ := g.vec(Token)
			return g.call(unix.SYS_VMSPLICE, 1, iov, 1, 0)
		}},
		{Number: 5, Name: "sendfile-fd1", What: "sendfile from the rule database into the results", try: func(g *ground) error {
			return g.call(unix.SYS_SENDFILE, 1, 4, g.words(0), n)
		}},
		{Number: 5, Name: "sendfile-passed", What: "sendfile from a scanned file into the control socket", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_SENDFILE, 3, uintptr(g.passed), g.words(0), n)
		}},
		{Number: 5, Name: "copy_file_range-fd1", What: "copy_file_range from the rule database into the results", through: []unix.Errno{unix.EINVAL}, try: func(g *ground) error {
			return g.call(unix.SYS_COPY_FILE_RANGE, 4, g.words(0), 1, 0, n, 0)
		}},
		{
			Number: 5, Name: "copy_file_range-fd5", What: "copy_file_range from a scanned file into the scratch file", Give: PassedFile,
			through: []unix.Errno{unix.EXDEV}, try: func(g *ground) error {
				return g.call(unix.SYS_COPY_FILE_RANGE, uintptr(g.passed), g.words(0), 5, g.words(0), n, 0)
			},
		},
	}
	return append(append(all, writeAttempts()...), dupAttempts()...)
}

// writeAttempts write where the reader must not.
func writeAttempts() []Attempt {
	n := uintptr(len(Token))
	to := func(number int, name, what string, fd func(*ground) uintptr) Attempt {
		return Attempt{Number: number, Name: name, What: what, try: func(g *ground) error {
			return g.call(unix.SYS_WRITE, fd(g), g.str(Token), n)
		}}
	}
	is := func(v uintptr) func(*ground) uintptr { return func(*ground) uintptr { return v } }
	passed := func(g *ground) uintptr { return uintptr(g.passed) }
	vector := func(name, what string, nr uintptr, fd func(*ground) uintptr, more ...uintptr) Attempt {
		return Attempt{Number: 34, Name: name, What: what, try: func(g *ground) error {
			iov, _ := g.vec(Token)
			return g.call(nr, append([]uintptr{fd(g), iov, 1}, more...)...)
		}}
	}
	all := []Attempt{
		to(33, "write-fd3", "write(2) to the control socket", is(3)),
		to(33, "write-fd5", "write(2) to the scratch file", is(5)),
		to(33, "write-passed", "write(2) to a scanned file that was passed writable", passed).gives(PassedRW),
		to(33, "write-fd5-high", "write(2) to the scratch file, the descriptor's upper half not zero", is(1<<32|5)),
		to(33, "write-fd3-high", "write(2) to the control socket, the descriptor's upper half all ones", is(0xffffffff<<32|3)),
		{Number: 34, Name: "pwrite64-passed", What: "pwrite64 to a scanned file that was passed writable", Give: PassedRW, try: func(g *ground) error {
			return g.call(unix.SYS_PWRITE64, uintptr(g.passed), g.str(Token), n, 0)
		}},
		{Number: 34, Name: "pwrite64-fd4", What: "pwrite64 to the rule database", through: []unix.Errno{unix.EBADF}, try: func(g *ground) error {
			return g.call(unix.SYS_PWRITE64, 4, g.str(Token), n, 0)
		}},
		{Number: 34, Name: "pwrite64-fd3", What: "pwrite64 to the control socket", through: []unix.Errno{unix.ESPIPE}, try: func(g *ground) error {
			return g.call(unix.SYS_PWRITE64, 3, g.str(Token), n, 0)
		}},
		{Number: 34, Name: "ftruncate-passed", What: "a scanned file that was passed writable cut to nothing", Give: PassedRW, try: func(g *ground) error {
			return g.call(unix.SYS_FTRUNCATE, uintptr(g.passed), 0)
		}},
		{
			Number: 34, Name: "fallocate-passed", What: "a hole punched into a scanned file that was passed writable", Give: PassedRW,
			through: []unix.Errno{unix.EOPNOTSUPP}, try: func(g *ground) error {
				return g.call(unix.SYS_FALLOCATE, uintptr(g.passed), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096)
			},
		},
		{Number: 34, Name: "fallocate-fd5", What: "the disk filled by fallocate of the scratch file", through: []unix.Errno{unix.EOPNOTSUPP}, try: func(g *ground) error {
			return g.call(unix.SYS_FALLOCATE, 5, 0, 0, 4096)
		}},
		vector("writev-fd3", "writev to the control socket", unix.SYS_WRITEV, is(3)),
		vector("writev-fd5", "writev to the scratch file", unix.SYS_WRITEV, is(5)),
		vector("pwritev-fd5", "pwritev to the scratch file", unix.SYS_PWRITEV, is(5)),
		vector("pwritev2-passed", "pwritev2 to a scanned file that was passed writable", unix.SYS_PWRITEV2, passed).gives(PassedRW),
	}
	for _, r := range []struct {
		name string
		nr   uintptr
	}{{"preadv", unix.SYS_PREADV}, {"readv", unix.SYS_READV}, {"preadv2", unix.SYS_PREADV2}} {
		all = append(all, Attempt{Number: 34, Name: r.name + "-fd4", What: r.name + " of the rule database", try: func(g *ground) error {
			return g.call(r.nr, 4, g.words(g.mem(64), 64), 1, 0, 0, 0)
		}})
	}
	return append(
		all,
		Attempt{Number: 33, Name: "read-pipe", What: "read(2) from a descriptor that is not the runtime's own", before: func(g *ground) error {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				return err
			}
			if _, err := unix.Write(p[1], []byte(Token)); err != nil {
				return err
			}
			return g.own("pipe", p[0], nil)
		}, try: func(g *ground) error {
			buf := g.mem(64)
			if err := g.call(unix.SYS_READ, g.fd("pipe"), buf, 64); err != nil {
				return err
			}
			return g.holds(buf)
		}},
		Attempt{Number: 33, Name: "read-fd3", What: "read(2) from the control socket, which would drop passed descriptors", Give: QueuedRW, try: func(g *ground) error { return g.call(unix.SYS_READ, 3, g.mem(64), 64) }},
		plain(34, "lseek-passed", "lseek on a scanned file: its offset is shared with the broker", unix.SYS_LSEEK, func(g *ground) []uintptr {
			return []uintptr{uintptr(g.passed), 0, unix.SEEK_SET}
		}).gives(PassedFile),
	)
}

// dupAttempts put another descriptor under a number that is allowed: 36, 35.
func dupAttempts() []Attempt {
	// after a dup of the control socket over the results, write(2) to 1 would reach it
	over := func(g *ground, err error) error {
		if err != nil {
			return err
		}
		return g.call(unix.SYS_WRITE, 1, g.str(Token), uintptr(len(Token)))
	}
	all := []Attempt{
		plain(36, "dup-fd3", "dup of the control socket", unix.SYS_DUP, fixed(3)),
		{Number: 36, Name: "dup3-fd1", What: "the control socket put in the place of the results", try: func(g *ground) error {
			return over(g, g.call(unix.SYS_DUP3, 3, 1, 0))
		}},
		{Number: 36, Name: "dup3-passed-fd1", What: "a scanned file put in the place of the results", Give: PassedRW, try: func(g *ground) error {
			return over(g, g.call(unix.SYS_DUP3, uintptr(g.passed), 1, 0))
		}},
		closeAndReceive(1, unix.SYS_WRITE),
		closeAndReceive(5, unix.SYS_PWRITE64),
		closeAndReceive(0, unix.SYS_WRITE).named("close-and-receive-eventfd", "the runtime's event counter closed, so that a descriptor passed next takes its number", eventCounter),
	}
	for _, f := range []struct {
		name, what string
		cmd, arg   uintptr
		through    []unix.Errno
	}{
		{"dupfd", "F_DUPFD of the control socket", unix.F_DUPFD, 20, nil},
		{"setfl", "F_SETFL: O_ASYNC and O_NONBLOCK on the control socket", unix.F_SETFL, unix.O_NONBLOCK, nil},
		{"setfd", "F_SETFD: the control socket survives an exec", unix.F_SETFD, 0, nil},
		{"setown", "F_SETOWN: signals for another process", unix.F_SETOWN, 1, []unix.Errno{unix.ESRCH}},
		{"setsig", "F_SETSIG on the control socket", unix.F_SETSIG, uintptr(unix.SIGURG), nil},
		{"getfl", "F_GETFL of the control socket", unix.F_GETFL, 0, nil},
	} {
		all = append(all, plain(35, "fcntl-"+f.name, f.what, unix.SYS_FCNTL, fixed(3, f.cmd, f.arg), f.through...))
	}
	return append(
		all,
		Attempt{
			Number: 35, Name: "fcntl-setlease", What: "F_SETLEASE on a scanned file: others that open it wait", Give: PassedFile,
			through: []unix.Errno{unix.EAGAIN, unix.EINVAL}, Needs: "the file's owner, or CAP_LEASE", try: func(g *ground) error {
				return g.call(unix.SYS_FCNTL, uintptr(g.passed), unix.F_SETLEASE, unix.F_RDLCK)
			},
		},
		Attempt{Number: 35, Name: "fcntl-setlk", What: "F_SETLK: a lock on a scanned file that others see", Give: PassedFile, try: func(g *ground) error {
			// struct flock: type, whence, start, len, pid. A read lock of the whole file.
			return g.call(unix.SYS_FCNTL, uintptr(g.passed), unix.F_SETLK, g.words(0, 0, 0, 0))
		}},
		Attempt{Number: 35, Name: "fcntl-notify", What: "F_NOTIFY on a folder", before: func(g *ground) error {
			fd, err := unix.Open(g.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return g.own("dir", fd, err)
		}, try: func(g *ground) error {
			return g.call(unix.SYS_FCNTL, g.fd("dir"), unix.F_NOTIFY, 4) // DN_CREATE
		}},
		Attempt{Number: 35, Name: "flock-passed", What: "flock on a scanned file: a lock that others see", Give: PassedFile, try: func(g *ground) error {
			return g.call(unix.SYS_FLOCK, uintptr(g.passed), unix.LOCK_SH|unix.LOCK_NB)
		}},
		Attempt{Number: 35, Name: "close_range", What: "close_range", try: func(g *ground) error {
			return g.call(unix.SYS_CLOSE_RANGE, 100, 200, 0)
		}},
	)
}

// closeAndReceive closes a descriptor of its own that it may write to, and takes the next passed one in its place: if
// that is writable by a mistake of the broker's, the filter takes it for the reader's own. A before may set another
// descriptor, "own".
func closeAndReceive(fd, write uintptr) Attempt {
	return Attempt{
		Number: 36, Name: fmt.Sprintf("close-and-receive-fd%d", fd), Give: QueuedRW,
		What: fmt.Sprintf("descriptor %d closed, so that a descriptor passed next takes its number", fd),
		try: func(g *ground) error {
			if own, ok := g.fds["own"]; ok {
				fd = uintptr(own)
			}
			if err := g.call(unix.SYS_CLOSE, fd); err != nil {
				return err
			}
			got, err := receive()
			if err != nil {
				return err
			}
			if got != int(fd) {
				return fmt.Errorf("descriptor came as %d", got)
			}
			return g.call(write, fd, g.str(Token), uintptr(len(Token)), 0)
		},
	}
}

func (a Attempt) named(name, what string, before func(*ground) error) Attempt {
	a.Name, a.What, a.before = name, what, before
	return a
}

// eventCounter finds the descriptor by which the runtime wakes its own poller, and takes the numbers
// below it that are free: what comes next would have one of them.
func eventCounter(g *ground) error {
	time.Sleep(time.Microsecond) // the first timer opens it
	for fd := range 64 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && target == "anon_inode:[eventfd]" {
			g.fds["own"] = fd // the jail keeps it of its own accord
			return fill(fd)
		}
	}
	return skipf("the runtime has no event counter")
}

// fill leaves no descriptor below one free.
func fill(below int) error {
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("filling up: %w", err)
		}
		if fd > below {
			return unix.Close(fd)
		}
	}
}

// receive takes a descriptor from the control socket.
func receive() (int, error) {
	buf, oob := make([]byte, 64), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(3, buf, oob, 0)
	if err != nil {
		return -1, fmt.Errorf("control socket: %v", err)
	}
	m, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(m) != 1 {
		return -1, errors.New("control socket: no descriptor came")
	}
	fds, err := unix.ParseUnixRights(&m[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.New("control socket: not one descriptor came")
	}
	return fds[0], nil
}

package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker/wire"
)

// unsized is the most that is read of a file that says it is empty and is not
// (files of kernel file systems), bytes.
const unsized = 16 << 20

// passed is a descriptor that may go to a reader: of a regular file, and read-only.
type passed struct {
	file  *os.File // held open until the job is answered
	own   bool     // opened here
	fd    int
	size  int64
	stat  unix.Stat_t // when it was taken
	whole bool        // a copy: it does not change
	over  bool        // the file is longer than size
	grew  bool        // a copy, and there was more
	holes []wire.Hole

	here    bool // there is no file: the content is at hand
	content []byte
}

// mostBytes is the size of a file behind which nothing is read: what is counted of it must be
// a number that a record may have (below 2^53), with what is unpacked from it.
const mostBytes = 1 << 52

// pass looks at what was opened and gives what is passed of it. A file whose
// descriptor can write, or cannot read at any place, is opened again; one of no
// size is copied. A descriptor that does not read at all is an error: who passed it may
// not be allowed to, and this process must not do it instead.
func pass(f *os.File) (passed, error) {
	p := passed{file: f}
	c, err := f.SyscallConn()
	if err != nil {
		return p, err
	}
	var bad error
	err = c.Control(func(fd uintptr) { bad = p.look(int(fd)) })
	if err = errors.Join(err, bad); err != nil {
		p.close()
		return p, err
	}
	return p, nil
}

func (p *passed) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: p.file.Name(), Err: err}
}

var errNotRegular = errors.New("not a regular file")

func (p *passed) look(fd int) error {
	p.fd = fd
	if err := fstat(fd, &p.stat); err != nil {
		return p.fail("stat", err)
	}
	if p.stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return p.fail("scan", errNotRegular)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return p.fail("fcntl", err)
	}
	if access := flags & unix.O_ACCMODE; flags&unix.O_PATH != 0 || access != unix.O_RDONLY && access != unix.O_RDWR {
		return p.fail("read", unix.EBADF)
	} else if access != unix.O_RDONLY || flags&unix.O_DIRECT != 0 {
		if err := p.reopen(fd); err != nil {
			return err
		}
	}
	p.size = p.stat.Size
	if p.size > mostBytes {
		p.size, p.over = mostBytes, true
	}
	switch {
	case p.size == 0:
		return p.copy()
	case p.size <= unsized && unix.Major(uint64(p.stat.Dev)) == 0 && ofKernel(p.fd): // a size that is none: sysfs says a page
		if p.copy() != nil {
			return nil // the reader is told why, when it reads
		}
	case p.size-p.stat.Blocks*512 >= worthHoles && tellsHoles(p.fd):
		p.holes = holesOf(p.fd, p.size)
	}
	return nil
}

// Holes are looked for in a file that lacks worthHoles bytes, and told from
// leastHole bytes on. A file in more than mostStretches pieces is looked at so far.
const (
	worthHoles    = 16 << 20
	leastHole     = 4 << 20
	mostStretches = 4096
)

// tellsHoles tells whether the word of a file system is taken for what reads as
// zeros (lseek(2), SEEK_HOLE): those of Linux itself. Others have told holes where
// there was data.
func tellsHoles(fd int) bool {
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) != nil {
		return false
	}
	switch int64(s.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}

// holesOf are the longest holes of a file, in order. They are asked of another descriptor: the
// place that one stands at is shared with whoever passed it.
func holesOf(fd int, size int64) (out []wire.Hole) {
	fd, err := again(fd)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	at := int64(0)
	for range mostStretches {
		hole, err := unix.Seek(fd, at, unix.SEEK_HOLE)
		if err != nil || hole >= size {
			break
		}
		if at, err = unix.Seek(fd, hole, unix.SEEK_DATA); err == unix.ENXIO {
			at = size // nothing but a hole behind it
		} else if err != nil {
			break
		}
		if at = min(at, size); at-hole >= leastHole {
			out = append(out, wire.Hole{Off: hole, Len: at - hole})
		}
		if at == size {
			break
		}
	}
	slices.SortFunc(out, func(a, b wire.Hole) int { return cmp.Compare(b.Len, a.Len) })
	out = out[:min(len(out), wire.MaxHoles)]
	slices.SortFunc(out, func(a, b wire.Hole) int { return cmp.Compare(a.Off, b.Off) })
	return out
}

// ofKernel tells whether a file is made by the kernel when it is read (statfs(2),
// linux/magic.h): its size is not that of its content.
func ofKernel(fd int) bool {
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) != nil {
		return false
	}
	switch int64(s.Type) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
		unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.SELINUX_MAGIC, unix.PSTOREFS_MAGIC, 0x62656570: // configfs
		return true
	}
	return false
}

// take makes p hold a file that was opened here.
func (p *passed) take(fd int) {
	name := p.file.Name()
	p.close()
	p.file, p.own, p.fd = os.NewFile(uintptr(fd), name), true, fd
}

// reopen opens the same file for reading alone.
func (p *passed) reopen(fd int) error {
	fd, err := again(fd)
	if err != nil {
		return p.fail("open for reading", err)
	}
	p.take(fd)
	return nil
}

// again opens the file of a descriptor for reading, at its start.
func again(fd int) (int, error) { return open(fmt.Sprintf("/proc/self/fd/%d", fd)) }

// open opens a path for reading, and waits for nothing.
func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// copy reads a file that does not say how many bytes it has. If there are some, they go into
// sealed memory: a reader reads by place, which such files need not allow.
func (p *passed) copy() error {
	b, err := content(p.fd)
	if err != nil {
		return p.fail("read", err)
	}
	if len(b) == 0 {
		p.whole, p.size = p.size > 0, 0
		return nil
	}
	p.grew = len(b) > unsized
	b = b[:min(len(b), unsized)]
	fd, err := sealed("showcause-input", b)
	if err != nil {
		return p.fail("copy", err)
	}
	p.take(fd)
	p.whole, p.size = true, int64(len(b))
	return nil
}

// content reads a file from its start, wherever its descriptor stands, which stays there.
func content(fd int) ([]byte, error) {
	var at int64
	b, err := io.ReadAll(io.LimitReader(reading(func(p []byte) (int, error) {
		n, err := pread(fd, p, at)
		at += int64(n)
		return n, err
	}), unsized+1))
	if at > 0 || !errors.Is(err, unix.ESPIPE) {
		return b, err
	}
	fd, err = again(fd) // it is not read by place, so that only a new descriptor stands at its start
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return io.ReadAll(io.LimitReader(reading(func(p []byte) (int, error) { return unix.Read(fd, p) }), unsized+1))
}

// reading is a call that reads what is there. A file of a kernel file system that has
// nothing to say yet is an error instead of a wait, where it was opened so.
type reading func(p []byte) (int, error)

func (r reading) Read(p []byte) (int, error) {
	for {
		n, err := r(p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// sealed returns a read-only descriptor of a file in memory that nobody can
// change any more (memfd_create(2), F_ADD_SEALS in fcntl(2)).
func sealed(name string, b []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, err
	}
	for n := 0; n < len(b); {
		m, err := unix.Pwrite(fd, b[n:], int64(n))
		if err != nil && err != unix.EINTR {
			unix.Close(fd)
			return -1, err
		}
		n += max(m, 0)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		unix.Close(fd)
		return -1, err
	}
	// The seals hold for every descriptor; one that cannot write is a second lock.
	ro, err := again(fd)
	if err != nil { // no /proc here
		return fd, nil
	}
	unix.Close(fd)
	return ro, nil
}

// changed tells whether the file was written to since it was taken. The time
// of the last write can be put back by who wrote; the time of the last change
// of the file's record cannot.
func (p *passed) changed() bool {
	if p.whole {
		return p.grew
	}
	var now unix.Stat_t
	if fstat(p.fd, &now) != nil {
		return true
	}
	return now.Size != p.stat.Size || now.Mtim != p.stat.Mtim || now.Ctim != p.stat.Ctim
}

func fstat(fd int, st *unix.Stat_t) error {
	for {
		if err := unix.Fstat(fd, st); err != unix.EINTR {
			return err
		}
	}
}

// close closes what was opened here.
func (p *passed) close() {
	if p.own {
		p.own = false
		if p.whole {
			p.file.Close()
		} else {
			go p.file.Close() // its file system may not answer
		}
	}
}

// errSlow says that a file system does not answer.
var errSlow = errors.New("file system: no answer")

// scarce tells an error that may pass when others have closed something.
func scarce(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EAGAIN)
}

// pass is pass, which waits for the file's file system, but not for ever.
func (p *Pool) pass(ctx context.Context, f *os.File) (passed, error) {
	type result struct {
		in  passed
		err error
	}
	r, err := within(p, ctx, func() result {
		in, err := pass(f)
		for pause := tick; scarce(err) && !errors.Is(err, unix.EAGAIN) && pause < maxScarce; pause *= 2 {
			time.Sleep(pause)
			in, err = pass(f)
		}
		return result{in, err}
	}, func(r result) { r.in.close() })
	if err != nil {
		return passed{}, err
	}
	return r.in, r.err
}

// changed returns the code for a file that was written to since it was taken,
// or whose file system does not say.
func (p *Pool) changed(j *job) showcause.Code {
	if j.whole && !j.grew {
		return ""
	}
	in := j.passed // the job may be answered, and its descriptor closed, before the call comes back
	changed, err := within(p, context.Background(), in.changed, func(bool) {})
	switch {
	case err != nil:
		return showcause.LimitTime
	case changed:
		return showcause.Changed
	}
	return ""
}

// within runs a call that may wait for a file system for ever, and returns
// without its result if it takes too long, which late gets then. Too many such
// calls are the end of the pool: each holds a thread.
func within[T any](p *Pool, ctx context.Context, call func() T, late func(T)) (out T, err error) {
	done := make(chan T, 1)
	go func() { done <- call() }()
	t := time.NewTimer(min(p.o.Timeout(0), statTime))
	defer t.Stop()
	select {
	case out = <-done:
		return out, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-p.ending:
		err = ErrClosed
	case <-t.C:
		err = errSlow
	}
	if p.stuck.Add(1) >= maxStuck {
		p.mu.Lock()
		outs := p.die(nil, fmt.Errorf("files: %d calls that file systems do not answer", maxStuck))
		p.mu.Unlock()
		go p.deliver(outs)
	}
	go func() {
		late(<-done)
		p.stuck.Add(-1)
	}()
	return out, err
}

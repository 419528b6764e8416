package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

type unixStat = syscall.Stat_t

// descriptor is an open regular file as a Source. It knows no path: this is
// what a scanner in another process gets.
type descriptor struct {
	f    stoppable
	size int64
	stat fs.FileInfo
}

// unsized is the most that is read of a file that says it is empty and is not
// (files of kernel file systems), bytes.
const unsized = 16 << 20

// stoppable is a file that reads and writes no more once ctx is done, so that
// a scan can be ended in the middle of a file.
type stoppable struct {
	*os.File
	ctx context.Context
}

func (s stoppable) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.File.ReadAt(p, off)
}

func (s stoppable) WriteAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.File.WriteAt(p, off)
}

// newSource returns the content of a file as it is now.
func newSource(ctx context.Context, f *os.File) (showcause.Source, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() == 0 {
		b, err := io.ReadAll(io.LimitReader(unwaiting{f}, unsized+1))
		if err != nil {
			return nil, err
		}
		if len(b) > 0 {
			return growing(b), nil
		}
	}
	return &descriptor{f: stoppable{f, ctx}, size: st.Size(), stat: st}, nil
}

func (d *descriptor) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }
func (d *descriptor) Size() int64                             { return d.size }

// Changed tells whether the file was written to since it was opened. The time
// of the last write can be put back by who wrote; the time of the last change
// of the file's record cannot.
func (d *descriptor) Changed() bool {
	st, err := d.f.Stat()
	if err != nil || st.Size() != d.size || !st.ModTime().Equal(d.stat.ModTime()) {
		return true
	}
	was, ok := d.stat.Sys().(*unixStat)
	is, ok2 := st.Sys().(*unixStat)
	return ok && ok2 && was.Ctim != is.Ctim
}

// unwaiting reads what is there. A file of a kernel file system that has
// nothing to say yet, /proc/kmsg, is an error instead of a wait.
type unwaiting struct{ f *os.File }

func (u unwaiting) Read(p []byte) (n int, err error) {
	c, err := u.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := c.Control(func(fd uintptr) {
		for n, err = unix.Read(int(fd), p); err == unix.EINTR; {
			n, err = unix.Read(int(fd), p)
		}
	}); cerr != nil {
		return 0, cerr
	}
	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: u.f.Name(), Err: err}
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// growing is a file that has no size of its own.
type growing showcause.Bytes

func (g growing) ReadAt(p []byte, off int64) (int, error) { return showcause.Bytes(g).ReadAt(p, off) }
func (g growing) Size() int64                             { return min(int64(len(g)), unsized) }
func (g growing) Changed() bool                           { return len(g) > unsized }

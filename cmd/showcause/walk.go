package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/ruleflags"
)

// item is one thing that a walk came upon, in the order of the walk.
type item struct {
	path string
	file *os.File // nil unless it is to be scanned
	skip string   // why it is not content of its own: "symlink", "device"; no part of the verdict
	err  error    // why it could not be read
}

// walker goes through paths in order, names within a directory sorted, and
// opens what is to be scanned. Nothing that it meets can make it wait.
type walker struct {
	include, exclude       patterns // of files
	includeDir, excludeDir patterns
	crossDevices           ruleflags.YesNo
	maxDepth               int             // folders in folders, 0 for no bound
	visit                  func(item) bool // false ends the walk
	device                 uint64
	stopped                bool
}

// Kernel file systems: their files are answers made on reading, not content,
// and reading some of them waits or has effects.
var kernelFS = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true,
	unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true, unix.SECURITYFS_MAGIC: true,
	unix.BPF_FS_MAGIC: true, unix.PSTOREFS_MAGIC: true, unix.EFIVARFS_MAGIC: true, unix.DEVPTS_SUPER_MAGIC: true,
}

// named goes through a path that the user named: a link there is followed.
func (w *walker) named(ctx context.Context, path string) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		w.emit(item{path: path, err: err})
	case st.IsDir() && ofKernel(path):
		w.emit(item{path: path, err: &fs.PathError{Op: "scan", Path: path, Err: errors.New("a kernel file system: its files are no content")}})
	case st.IsDir() && w.leftOut(path):
		w.emit(item{path: path, skip: "excluded directory"})
	case st.IsDir():
		w.device = deviceOf(st)
		w.dir(ctx, path, 1)
	case !st.Mode().IsRegular():
		w.emit(item{path: path, err: &fs.PathError{Op: "scan", Path: path, Err: errors.New("not a regular file: " + kindOf(st.Mode()))}})
	default:
		w.open(path, false)
	}
}

// ofKernel tells whether a folder is the kernel's.
func ofKernel(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && kernelFS[int64(st.Type)]
}

func (w *walker) emit(i item) {
	if !w.stopped && !w.visit(i) {
		w.stopped = true
	}
}

// leftOut tells whether the user does not want a folder.
func (w *walker) leftOut(dir string) bool {
	return w.excludeDir.match(dir) || len(w.includeDir) > 0 && !w.includeDir.match(dir)
}

func (w *walker) dir(ctx context.Context, dir string, depth int) {
	if w.stopped || ctx.Err() != nil {
		return
	}
	if ofKernel(dir) {
		w.emit(item{path: dir, skip: "kernel file system"})
		return
	}
	d, err := os.Open(dir)
	if err != nil {
		w.emit(item{path: dir, err: err})
		return
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		w.emit(item{path: dir, err: err})
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	for _, e := range entries {
		if w.stopped || ctx.Err() != nil {
			return
		}
		path := dir + e.Name()
		if !strings.HasSuffix(dir, "/") {
			path = dir + "/" + e.Name()
		}
		w.entry(ctx, path, e, depth)
	}
}

func (w *walker) entry(ctx context.Context, path string, e fs.DirEntry, depth int) {
	mode := e.Type()
	switch {
	case mode.IsDir():
		if w.leftOut(path) {
			w.emit(item{path: path, skip: "excluded directory"})
			return
		}
		if w.maxDepth > 0 && depth >= w.maxDepth {
			w.emit(item{path: path, skip: "directory past --max-dir-recursion"})
			return
		}
		if !w.crossDevices {
			if st, err := e.Info(); err == nil && deviceOf(st) != w.device {
				w.emit(item{path: path, skip: "other file system"})
				return
			}
		}
		w.dir(ctx, path, depth+1)
	case mode.IsRegular():
		if w.exclude.match(path) || len(w.include) > 0 && !w.include.match(path) {
			w.emit(item{path: path, skip: "excluded file"})
			return
		}
		w.open(path, true)
	default:
		w.emit(item{path: path, skip: kindOf(mode)})
	}
}

// open opens a file that was regular a moment ago, without waiting whatever it
// is now, and looks again at what it opened.
func (w *walker) open(path string, nofollow bool) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if nofollow {
		flags |= unix.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		w.emit(item{path: path, err: err})
		return
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "scan", Path: path, Err: errors.New("replaced while the folder was read: " + kindOf(st.Mode()))}
	}
	if err != nil {
		f.Close()
		w.emit(item{path: path, err: err})
		return
	}
	w.emit(item{path: path, file: f})
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	case m.IsDir():
		return "directory"
	}
	return "special file"
}

func deviceOf(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*unixStat); ok {
		return uint64(s.Dev)
	}
	return 0
}

// spoolInput copies a stream to scratch space that has no name; no more than
// one byte over max, if that is not 0. It ends when ctx does, whatever the stream does.
func spoolInput(ctx context.Context, r io.Reader, max int64) (*os.File, error) {
	f, err := scratch()
	if err != nil {
		return nil, fmt.Errorf("temporary file in %s: %w", showcause.Escape(os.TempDir()), err)
	}
	if max > 0 {
		r = io.LimitReader(r, max+1)
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(struct{ io.Writer }{f}, r)
		if errors.Is(err, unix.ENOSPC) {
			err = fmt.Errorf("temporary file in %s: %w", showcause.Escape(os.TempDir()), err)
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errInterrupted
	}
	if err != nil {
		f.Close() // a copy that still runs ends with an error
		return nil, err
	}
	return f, nil
}

// scratch opens a temporary file that is gone when closed, or when the program dies.
func scratch() (*os.File, error) {
	dir := os.TempDir()
	if fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600); err == nil {
		return os.NewFile(uintptr(fd), dir+"/(unnamed)"), nil
	}
	f, err := os.CreateTemp(dir, "showcause-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

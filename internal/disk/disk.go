// Package disk reaches files and folders through held descriptors only, and
// has one place where tests break it.
//
// A Dir is an open folder. What is in it is named by one path element at a
// time, or by a few of them, and never through a link: each lookup is an
// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and
// RESOLVE_NO_MAGICLINKS (Linux 5.6). So a path that is swapped for a link while
// we work leads to an error and nowhere else.
//
// Every operation first asks FS.Fault, if there is one. In tests it answers
// EIO, ENOSPC, EROFS or EXDEV for operation k, or lets "the process die" there:
// then every later operation fails too, clean-up included.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// FS is the way to the disk. The zero value and nil work.
type FS struct {
	// Fault is asked before each operation, by the name of the system call and
	// the name of the file in its folder. If it answers an error, the operation
	// is not done and fails with that error; a *Short is done by half first.
	Fault func(op, name string) error
}

// ErrSkip is the answer of a Fault by which an fsync or syncfs is not done, and
// does not fail: tests that try thousands of points would wait for nothing else.
var ErrSkip = errors.New("skipped")

// Short is a fault of a write: half of the bytes are written, and then it fails.
type Short struct{ Err error }

func (s *Short) Error() string { return s.Err.Error() }

// Unwrap returns the error of the system call.
func (s *Short) Unwrap() error { return s.Err }

func (s *FS) ask(op, name string) error {
	if s == nil || s.Fault == nil {
		return nil
	}
	if err := s.Fault(op, name); err != nil {
		return failed(op, name, err)
	}
	return nil
}

func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

func unless(err, not error) error {
	if errors.Is(err, not) {
		return nil
	}
	return err
}

// retry does a system call again that a signal interrupted.
func retry(do func() error) error {
	for {
		if err := do(); err != unix.EINTR {
			return err
		}
	}
}

// Dir is an open folder.
type Dir struct {
	fs   *FS
	fd   int
	name string
}

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// OpenDir opens a folder by its path. Links in the path's folders are followed,
// the last element may be none.
func (s *FS) OpenDir(name string) (*Dir, error) {
	return s.openDir(name, unix.RESOLVE_NO_MAGICLINKS)
}

// OpenDirStrict opens a folder by an absolute path without any link in it.
func (s *FS) OpenDirStrict(name string) (*Dir, error) {
	return s.openDir(name, unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
}

func (s *FS) openDir(name string, resolve uint64) (*Dir, error) {
	name = filepath.Clean(name)
	if err := s.ask("openat2", name); err != nil {
		return nil, err
	}
	fd, err := openat2(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0, resolve)
	if err != nil {
		return nil, failed("openat2", name, err)
	}
	return &Dir{fs: s, fd: fd, name: name}, nil
}

func openat2(dir int, name string, flags int, mode uint32, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Mode: uint64(mode), Resolve: resolve}
	for range 1000 { // EAGAIN: something was renamed on the way; openat2(2) says to try again
		fd, err = unix.Openat2(dir, name, &how)
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
	}
	return fd, err
}

// MakeDir makes a folder for its owner only, and the folders above it, where
// they are missing, and opens it.
func (s *FS) MakeDir(name string) (*Dir, error) {
	name = filepath.Clean(name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	if err := s.ask("mkdirat", name); err != nil {
		return nil, err
	}
	err := os.Mkdir(name, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err == nil {
		if up, err := s.OpenDir(filepath.Dir(name)); err == nil {
			up.Sync() // an error shows at the next operation; the folder may be somebody else's
			up.Close()
		}
	}
	return s.OpenDir(name)
}

// Name returns the path that the folder was opened by.
func (d *Dir) Name() string { return d.name }

// Close gives the folder back.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Stat describes the folder itself.
func (d *Dir) Stat() (st unix.Stat_t, err error) {
	return st, failed("fstat", d.name, unix.Fstat(d.fd, &st))
}

// Path asks the kernel for the folder's path as it is now, without links.
func (d *Dir) Path() (string, error) {
	p, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.fd))
	if err == nil && (!filepath.IsAbs(p) || strings.HasSuffix(p, " (deleted)")) {
		err = failed("readlink", d.name, unix.ENOENT)
	}
	return p, err
}

// Mount returns the number of the mount that the folder is on, 0 if the kernel
// does not tell (before Linux 5.8). A name cannot move to another mount, be it of
// the same file system.
func (d *Dir) Mount() (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, failed("statx", d.name, err)
	}
	return st.Mnt_id, nil
}

// Private refuses a folder that others can look into, or that is another's.
func (d *Dir) Private() error { return d.allows(0o077, "get at it") }

// Own refuses a folder that others can write to, or that is another's.
func (d *Dir) Own() error { return d.allows(0o022, "write to it") }

func (d *Dir) allows(others uint32, what string) error {
	st, err := d.Stat()
	switch {
	case err != nil:
		return err
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("folder %s belongs to user %d, not to %d", d.name, st.Uid, os.Geteuid())
	case st.Mode&others != 0:
		return fmt.Errorf("folder %s has mode %04o: others can %s", d.name, st.Mode&0o7777, what)
	}
	return nil
}

// Sub opens a folder in the folder. If make is set, it and those above it are
// made where they are missing, for their owner only.
func (d *Dir) Sub(name string, make bool) (*Dir, error) {
	open := func() (*Dir, error) {
		if err := d.fs.ask("openat2", name); err != nil {
			return nil, err
		}
		fd, err := openat2(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0, beneath)
		if err != nil {
			return nil, failed("openat2", filepath.Join(d.name, name), err)
		}
		return &Dir{fs: d.fs, fd: fd, name: filepath.Join(d.name, name)}, nil
	}
	sub, err := open()
	if !make || !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	up := d
	if parent := path.Dir(name); parent != "." {
		if up, err = d.Sub(parent, true); err != nil {
			return nil, err
		}
		defer up.Close()
	}
	if err := up.Mkdir(path.Base(name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := up.Sync(); err != nil {
		return nil, err
	}
	return open()
}

// Mkdir makes a folder for its owner only.
func (d *Dir) Mkdir(name string) error {
	if err := d.fs.ask("mkdirat", name); err != nil {
		return err
	}
	return failed("mkdirat", name, unix.Mkdirat(d.fd, name, 0o700))
}

// Open opens a file in the folder. flags are those of openat2(2).
func (d *Dir) Open(name string, flags int, mode uint32) (*File, error) {
	if err := d.fs.ask("openat2", name); err != nil {
		return nil, err
	}
	if flags&(unix.O_CREAT|unix.O_TMPFILE) == 0 {
		mode = 0 // else openat2 refuses
	}
	fd, err := openat2(d.fd, name, flags|unix.O_NOFOLLOW, mode, beneath)
	if err != nil {
		return nil, failed("openat2", filepath.Join(d.name, name), err)
	}
	return &File{fs: d.fs, fd: fd, name: name}, nil
}

// Temp makes a file that has no name until it is linked, or TempPrefix and this
// name where the file system cannot do so. Discard takes it away.
func (d *Dir) Temp(name string) (*File, error) {
	f, err := d.Open(".", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if err == nil || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOENT) {
		return f, err
	}
	name = TempPrefix + name
	f, err = d.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o600)
	if err == nil {
		f.temp = d
	}
	return f, err
}

// TempPrefix begins the name of every temporary file.
const TempPrefix = ".showcause-"

// Link gives a temporary file its name. A file that is there is not replaced:
// fs.ErrExist.
func (f *File) Link(to *Dir, name string) error {
	if f.temp != nil {
		if err := f.temp.Rename(f.name, to, name); err != nil {
			return err
		}
		f.temp, f.name = nil, name
		return nil
	}
	if err := f.fs.ask("linkat", name); err != nil {
		return err
	}
	err := unix.Linkat(f.fd, "", to.fd, name, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT || err == unix.EPERM { // without CAP_DAC_READ_SEARCH, open(2) names this way
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.fd), to.fd, name, unix.AT_SYMLINK_FOLLOW)
	}
	return failed("linkat", filepath.Join(to.name, name), err)
}

// Discard closes a temporary file, and takes its name away if it has one.
func (f *File) Discard() {
	if f.temp != nil {
		f.temp.Remove(f.name) // a leftover is swept by its prefix
	}
	f.Close()
}

// Rename moves a name to another folder of the same file system. A file that is
// there is not replaced: fs.ErrExist.
func (d *Dir) Rename(name string, to *Dir, as string) error {
	return d.rename(name, to, as, unix.RENAME_NOREPLACE)
}

// MoveOver moves a name to another folder of the same file system, over one that is there.
func (d *Dir) MoveOver(name string, to *Dir, as string) error { return d.rename(name, to, as, 0) }

// Replace moves a name within the folder over another.
func (d *Dir) Replace(name, as string) error { return d.rename(name, d, as, 0) }

func (d *Dir) rename(name string, to *Dir, as string, flags uint) error {
	if err := d.fs.ask("renameat2", name); err != nil {
		return err
	}
	err := unix.Renameat2(d.fd, name, to.fd, as, flags)
	if flags != 0 && (err == unix.EINVAL || err == unix.ENOSYS) { // a file system without the flag
		if err = unix.Linkat(d.fd, name, to.fd, as, 0); err == nil {
			err = unix.Unlinkat(d.fd, name, 0)
		}
	}
	return failed("renameat2", filepath.Join(d.name, name), err)
}

// LinkName gives the file of one name another name.
func (d *Dir) LinkName(name string, to *Dir, as string) error {
	if err := d.fs.ask("linkat", as); err != nil {
		return err
	}
	return failed("linkat", filepath.Join(to.name, as), unix.Linkat(d.fd, name, to.fd, as, 0))
}

// Remove takes a name away.
func (d *Dir) Remove(name string) error {
	if err := d.fs.ask("unlinkat", name); err != nil {
		return err
	}
	return failed("unlinkat", filepath.Join(d.name, name), unix.Unlinkat(d.fd, name, 0))
}

// RemoveDir takes an empty folder away.
func (d *Dir) RemoveDir(name string) error {
	if err := d.fs.ask("rmdir", name); err != nil {
		return err
	}
	return failed("rmdir", filepath.Join(d.name, name), unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR))
}

// Lstat describes what a name stands for; a link is not followed.
func (d *Dir) Lstat(name string) (st unix.Stat_t, err error) {
	if err := d.fs.ask("fstatat", name); err != nil {
		return st, err
	}
	err = retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, failed("fstatat", filepath.Join(d.name, name), err)
}

// Has tells whether a name is there.
func (d *Dir) Has(name string) (bool, error) {
	_, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Sync makes the names in the folder durable.
func (d *Dir) Sync() error {
	if err := d.fs.ask("fsync", "."); err != nil {
		return unless(err, ErrSkip)
	}
	return failed("fsync", d.name, retry(func() error { return unix.Fsync(d.fd) }))
}

// SyncAll makes everything on the folder's file system durable.
func (d *Dir) SyncAll() error {
	if err := d.fs.ask("syncfs", "."); err != nil {
		return unless(err, ErrSkip)
	}
	return failed("syncfs", d.name, retry(func() error { return unix.Syncfs(d.fd) }))
}

// Names lists the folder in order.
func (d *Dir) Names() ([]string, error) {
	if err := d.fs.ask("getdents64", "."); err != nil {
		return nil, err
	}
	fd, err := openat2(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0, beneath) // its own offset
	if err != nil {
		return nil, failed("openat2", d.name, err)
	}
	f := os.NewFile(uintptr(fd), d.name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// ReadFile reads a regular file of at most max bytes.
func (d *Dir) ReadFile(name string, max int64) ([]byte, error) {
	f, err := d.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s is not a regular file", filepath.Join(d.name, name))
	case st.Size > max:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", filepath.Join(d.name, name), st.Size, max)
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		return nil, fmt.Errorf("%s grows while it is read", filepath.Join(d.name, name))
	}
	return b, err
}

// WriteFile makes a file of this content, durable and whole or not at all. It
// replaces one that is there. The folder's names are durable after it.
func (d *Dir) WriteFile(name string, content []byte, mode uint32) error {
	temp := TempPrefix + strings.Trim(name, ".") + ".tmp"
	if err := d.Create(temp, content, mode, true); err != nil {
		return err
	}
	if err := d.Replace(temp, name); err != nil {
		d.Remove(temp) // swept by its prefix if that fails too
		return err
	}
	return d.Sync()
}

// Create makes a file of this content in place of one of the same name, and
// makes its bytes durable if sync is set; its name is not durable until Sync.
// After an error the name may stand for a part of it, or for nothing.
func (d *Dir) Create(name string, content []byte, mode uint32, sync bool) error {
	f, err := d.Open(name, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		d.Remove(name)
	}
	return err
}

// Sweep removes temporary files that a process which died left.
func (d *Dir) Sweep() (n int, err error) {
	names, err := d.Names()
	for _, name := range names {
		if err == nil && strings.HasPrefix(name, TempPrefix) {
			err = d.Remove(name)
			n++
		}
	}
	return n, err
}

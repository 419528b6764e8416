package disk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// File is an open file.
type File struct {
	fs   *FS
	fd   int
	name string
	temp *Dir // has a temporary name there
}

// FD returns the descriptor.
func (f *File) FD() int { return f.fd }

// Close gives the file back.
func (f *File) Close() error {
	if f.fd < 0 {
		return nil
	}
	err := unix.Close(f.fd)
	f.fd = -1
	return failed("close", f.name, err)
}

// Stat describes the file.
func (f *File) Stat() (st unix.Stat_t, err error) {
	if err := f.fs.ask("fstat", f.name); err != nil {
		return st, err
	}
	return st, failed("fstat", f.name, unix.Fstat(f.fd, &st))
}

// Read reads on from where the file stands.
func (f *File) Read(b []byte) (n int, err error) {
	if err := f.fs.ask("read", f.name); err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	err = retry(func() error { n, err = unix.Read(f.fd, b); return err })
	switch {
	case err != nil:
		return 0, failed("read", f.name, err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Rewind goes to an offset from the start.
func (f *File) Rewind(off int64) error {
	_, err := unix.Seek(f.fd, off, io.SeekStart)
	return failed("lseek", f.name, err)
}

// Write writes all of b.
func (f *File) Write(b []byte) (done int, err error) {
	fault := f.fs.ask("write", f.name)
	if fault != nil {
		var short *Short
		if !errors.As(fault, &short) {
			return 0, fault
		}
		b = b[:len(b)/2]
	}
	for done < len(b) {
		n, err := unix.Write(f.fd, b[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, failed("write", f.name, err)
		}
		done += n
	}
	return done, fault
}

// Holes calls each with every hole of the file, ascending: parts without blocks,
// which read as zeros (lseek(2), SEEK_HOLE). A file system that does not tell has
// none. Where the file stands is changed.
func (f *File) Holes(each func(at, size int64)) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	for off := int64(0); off < st.Size; {
		data, err := unix.Seek(f.fd, off, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // nothing but a hole up to the end
			each(off, st.Size-off)
			return nil
		case err == unix.EINVAL || err == unix.EOPNOTSUPP || err == unix.ENOTTY:
			return nil
		case err != nil:
			return failed("lseek", f.name, err)
		case data >= st.Size: // it grows meanwhile
			each(off, st.Size-off)
			return nil
		case data > off:
			each(off, data-off)
		}
		if off, err = unix.Seek(f.fd, data, unix.SEEK_HOLE); err == unix.ENXIO || err == nil && off <= data {
			return nil // it was cut meanwhile
		} else if err != nil {
			return failed("lseek", f.name, err)
		}
	}
	return nil
}

// Truncate sets the file's size; what it gains is a hole.
func (f *File) Truncate(size int64) error {
	if err := f.fs.ask("ftruncate", f.name); err != nil {
		return err
	}
	return failed("ftruncate", f.name, retry(func() error { return unix.Ftruncate(f.fd, size) }))
}

// Sync makes the file's bytes and what is known of it durable.
func (f *File) Sync() error {
	if err := f.fs.ask("fsync", f.name); err != nil {
		return unless(err, ErrSkip)
	}
	return failed("fsync", f.name, retry(func() error { return unix.Fsync(f.fd) }))
}

// Chown sets owner and group.
func (f *File) Chown(uid, gid uint32) error {
	if err := f.fs.ask("fchown", f.name); err != nil {
		return err
	}
	return failed("fchown", f.name, unix.Fchown(f.fd, int(uid), int(gid)))
}

// Chmod sets the permission bits, with set-user-id and the like.
func (f *File) Chmod(mode uint32) error {
	if err := f.fs.ask("fchmod", f.name); err != nil {
		return err
	}
	return failed("fchmod", f.name, unix.Fchmod(f.fd, mode))
}

// SetTimes sets the times of access and of change.
func (f *File) SetTimes(access, change unix.Timespec) error {
	if err := f.fs.ask("utimensat", f.name); err != nil {
		return err
	}
	own := fmt.Sprintf("/proc/self/fd/%d", f.fd)
	return failed("utimensat", f.name, unix.UtimesNanoAt(unix.AT_FDCWD, own, []unix.Timespec{access, change}, 0))
}

// Xattr is an extended attribute. ACLs and labels of SELinux are such
// (system.posix_acl_access, security.selinux).
type Xattr struct {
	Name  string
	Value []byte
}

// Xattrs lists the extended attributes by name. A file system without them has
// none.
func (f *File) Xattrs() ([]Xattr, error) {
	if err := f.fs.ask("flistxattr", f.name); err != nil {
		return nil, err
	}
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(f.fd, list)
	if err == unix.EOPNOTSUPP {
		return nil, nil
	}
	if err != nil {
		return nil, failed("flistxattr", f.name, err)
	}
	var out []Xattr
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name == "" {
			continue
		}
		n, err := unix.Fgetxattr(f.fd, name, value)
		if err == unix.ENODATA {
			continue // taken away meanwhile
		}
		if err != nil {
			return nil, failed("fgetxattr", f.name, err)
		}
		out = append(out, Xattr{name, slices.Clone(value[:n])})
	}
	slices.SortFunc(out, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// SetXattr sets an extended attribute.
func (f *File) SetXattr(x Xattr) error {
	if err := f.fs.ask("fsetxattr", f.name); err != nil {
		return err
	}
	return failed("fsetxattr", f.name, unix.Fsetxattr(f.fd, x.Name, x.Value, 0))
}

// RemoveXattr takes an extended attribute away.
func (f *File) RemoveXattr(name string) error {
	if err := f.fs.ask("fremovexattr", f.name); err != nil {
		return err
	}
	return failed("fremovexattr", f.name, unix.Fremovexattr(f.fd, name))
}

// Flags returns the inode's flags (FS_IOC_GETFLAGS): immutable, append-only and
// the like. A file system without them has none.
func (f *File) Flags() (int, error) {
	v, err := unix.IoctlGetInt(f.fd, unix.FS_IOC_GETFLAGS)
	if err == unix.ENOTTY || err == unix.EOPNOTSUPP || err == unix.EINVAL || err == unix.ENOSYS {
		return 0, nil
	}
	return v, failed("ioctl", f.name, err)
}

// SetFlags sets the inode's flags.
func (f *File) SetFlags(v int) error {
	if err := f.fs.ask("ioctl", f.name); err != nil {
		return err
	}
	return failed("ioctl", f.name, unix.IoctlSetPointerInt(f.fd, unix.FS_IOC_SETFLAGS, v))
}

// lockWait is how long a lock is waited for.
const lockWait = 60 * time.Second

// Lock waits for the lock of the file: alone, or with others that only read.
// It ends with the file.
func (f *File) Lock(alone bool) error {
	if err := f.fs.ask("flock", f.name); err != nil {
		return err
	}
	how := unix.LOCK_SH
	if alone {
		how = unix.LOCK_EX
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(f.fd, how|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return failed("flock", f.name, err)
		}
		if time.Now().After(end) {
			return failed("flock", f.name, errors.New("another process holds it"))
		}
	}
}

// Unlock gives the lock back.
func (f *File) Unlock() { unix.Flock(f.fd, unix.LOCK_UN) }

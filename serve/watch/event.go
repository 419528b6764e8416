package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// event is one of the kernel's.
type event struct {
	mask uint64
	fd   int // -1 with an overflow
	pid  int
}

const (
	metadataLen = 24 // struct fanotify_event_metadata
	responseLen = 8  // struct fanotify_response
	asks        = unix.FAN_OPEN_PERM | unix.FAN_OPEN_EXEC_PERM | unix.FAN_ACCESS_PERM
)

var errEvents = errors.New("events of another kernel's form")

// parse reads what read(2) of the group returned.
func parse(b []byte) (out []event, err error) {
	for len(b) > 0 {
		if len(b) < metadataLen {
			return out, errEvents
		}
		n := int64(binary.NativeEndian.Uint32(b))
		head := int64(binary.NativeEndian.Uint16(b[6:]))
		if b[4] != unix.FANOTIFY_METADATA_VERSION || n < metadataLen || n > int64(len(b)) || head < metadataLen || head > n {
			return out, errEvents
		}
		out = append(out, event{
			mask: binary.NativeEndian.Uint64(b[8:]), fd: int(int32(binary.NativeEndian.Uint32(b[16:]))), pid: int(int32(binary.NativeEndian.Uint32(b[20:]))),
		})
		b = b[n:]
	}
	return out, nil
}

// respond is the answer to an event that asks.
func respond(group, fd int, allow bool) error {
	var b [responseLen]byte
	binary.NativeEndian.PutUint32(b[:], uint32(fd))
	word := uint32(unix.FAN_DENY)
	if allow {
		word = unix.FAN_ALLOW
	}
	binary.NativeEndian.PutUint32(b[4:], word)
	for {
		_, err := unix.Write(group, b[:])
		if err != unix.EINTR {
			return err
		}
	}
}

// kernelFS are file systems whose files are no content, by their magic number
// (statfs(2)). This program needs those of them itself.
var kernelFS = map[int64]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
	unix.DEVPTS_SUPER_MAGIC: "devpts", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs", unix.SECURITYFS_MAGIC: "securityfs",
	unix.BPF_FS_MAGIC: "bpf", unix.PSTOREFS_MAGIC: "pstore", unix.EFIVARFS_MAGIC: "efivarfs", unix.NSFS_MAGIC: "nsfs",
}

// Able says why this process cannot watch, and what it takes, or nil. With block who opens
// a file is to wait.
func Able(block bool) error {
	fd, err := group(block)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// denied says why the kernel gives this process no group, as far as it can be seen.
func denied() error {
	const take = "this takes CAP_SYS_ADMIN in the system's own user namespace"
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var c [2]unix.CapUserData
	if unix.Capget(&h, &c[0]) != nil {
		return errors.New("fanotify: " + take)
	}
	switch has := c[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0; {
	case has:
		return errors.New("fanotify: " + take + ": this process has it in another namespace (a container), or a security module denies it")
	case os.Geteuid() == 0:
		return errors.New("fanotify: " + take + ", which was taken from this process though its user is root (a container, or CapabilityBoundingSet of its unit)")
	}
	return fmt.Errorf("fanotify: %s: user %d has none of it. Run it as root; without, showcause scan looks at files when it is started, and showcause serve at what it is sent", take, os.Geteuid())
}

// group opens a fanotify group.
func group(block bool) (int, error) {
	class := uint(unix.FAN_CLASS_NOTIF)
	if block {
		class = unix.FAN_CLASS_CONTENT
	}
	fd, err := unix.FanotifyInit(class|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS, unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC)
	switch {
	case errors.Is(err, unix.EPERM):
		return -1, denied()
	case errors.Is(err, unix.ENOSYS):
		return -1, errors.New("fanotify: this kernel has none (CONFIG_FANOTIFY)")
	case errors.Is(err, unix.EINVAL) && block:
		return -1, errors.New("fanotify: this kernel does not wait for answers (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)")
	case err != nil:
		return -1, fmt.Errorf("fanotify: %w", err)
	}
	return fd, nil
}

// place is a folder that is watched.
type place struct {
	path  string
	whole bool   // it is the root of its file system or mount: everything there counts
	mark  string // "filesystem", "mount"
}

// mark has the kernel tell of what happens at a path.
func mark(group int, path string, mask uint64) (p place, err error) {
	p.path = path
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return p, &os.PathError{Op: "watch", Path: path, Err: err}
	}
	if name := kernelFS[int64(fs.Type)]; name != "" {
		return p, fmt.Errorf("watch %s: %s has no files of its own", path, name)
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE, &st); err != nil {
		return p, &os.PathError{Op: "watch", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return p, &os.PathError{Op: "watch", Path: path, Err: unix.ENOTDIR}
	}
	p.whole = st.Attributes_mask&st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	flags := []uint{unix.FAN_MARK_FILESYSTEM, unix.FAN_MARK_MOUNT}
	if !p.whole { // the names of the others' mounts lie elsewhere
		flags = flags[1:]
	}
	for _, f := range flags {
		p.mark = "mount"
		if f == unix.FAN_MARK_FILESYSTEM {
			p.mark = "filesystem"
		}
		if err = unix.FanotifyMark(group, unix.FAN_MARK_ADD|f, mask, unix.AT_FDCWD, path); err == nil {
			return p, nil
		}
	}
	switch {
	case errors.Is(err, unix.EINVAL) && mask&asks != 0:
		err = errors.New("this kernel does not wait for answers there (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)")
	case errors.Is(err, unix.EPERM):
		err = errors.New("this takes root (CAP_SYS_ADMIN) in the system's own user namespace")
	}
	return p, fmt.Errorf("watch %s: %w", path, err)
}

//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newestABI is the last ABI of Landlock whose rights are known here.
const newestABI = 11

// A ruleset is the little that stays allowed of what Landlock handles. The zero
// value is a reader's: nothing.
type ruleset struct {
	read, write []string // files and directories
	network     bool     // UDP is left alone, for the resolver, and so is TCP if there are no ports
	ports       []uint16 // TCP ports to connect to
}

// landlockABI asks the kernel (landlock_create_ruleset(2)). 0 means none.
func landlockABI() (int, error) {
	abi, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(abi), nil
}

// handled are the rights that an ABI knows (landlock(7)).
func handled(abi int) unix.LandlockRulesetAttr {
	a := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1}
	for _, more := range []struct {
		abi             int
		fs, net, scoped uint64
	}{
		{abi: 2, fs: unix.LANDLOCK_ACCESS_FS_REFER},
		{abi: 3, fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE},
		{abi: 4, net: unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP},
		{abi: 5, fs: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
		{abi: 6, scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
		{abi: 9, fs: unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX},
		{abi: 10, net: unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP},
	} {
		if abi >= more.abi {
			a.Handled_access_fs |= more.fs
			a.Handled_access_net |= more.net
			a.Scoped |= more.scoped
		}
	}
	return a
}

// landlock puts the rules on all threads, at the best ABI that the kernel and
// this program know.
func (l *locker) landlock(r ruleset) {
	if l.leftOut(wallLandlock) {
		return
	}
	abi, err := landlockABI()
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		l.status.Walls[wallLandlock] = given(wallLandlock, false, codeNoKernel, 0)
		return
	}
	if err == nil {
		abi = min(abi, newestABI)
		err = r.restrict(abi)
	}
	l.set(wallLandlock, err)
	if err == nil {
		l.status.Walls[wallLandlock] = given(wallLandlock, true, codeABI, uint16(abi))
	}
}

func (r ruleset) restrict(abi int) error {
	if linksC() && abi < 8 {
		return unix.ENOTSUP
	}
	attr := handled(abi)
	if r.network {
		attr.Handled_access_net &= unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		if r.ports == nil {
			attr.Handled_access_net &= unix.LANDLOCK_ACCESS_NET_BIND_TCP
		}
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	if err := r.allow(fd, attr); err != nil {
		return err
	}
	if abi >= 8 {
		_, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, unix.LANDLOCK_RESTRICT_SELF_TSYNC, 0)
		if errno != 0 {
			return fmt.Errorf("landlock: restrict: %w", errno)
		}
		return nil
	}
	if err := everywhere(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); err != nil {
		return fmt.Errorf("landlock: restrict: %w", err)
	}
	return nil
}

// rule types of landlock_add_rule(2).
const (
	rulePath = 1
	rulePort = 2
)

// allow adds what stays allowed. A path that does not exist needs no rule.
func (r ruleset) allow(fd uintptr, attr unix.LandlockRulesetAttr) error {
	const (
		readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
		readDir  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
		writeDir = readDir | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
			unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REFER |
			unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	)
	for _, p := range r.read {
		if err := allowPath(fd, p, readFile, readDir&attr.Handled_access_fs); err != nil {
			return err
		}
	}
	for _, p := range r.write {
		if err := allowPath(fd, p, 0, writeDir&attr.Handled_access_fs); err != nil {
			return err
		}
	}
	if attr.Handled_access_net&unix.LANDLOCK_ACCESS_NET_CONNECT_TCP == 0 {
		return nil
	}
	for _, port := range r.ports {
		rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, rulePort, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("landlock: port %d: %w", port, errno)
		}
	}
	return nil
}

// allowPath allows forFile on what path is, or forDir below it.
func allowPath(fd uintptr, path string, forFile, forDir uint64) error {
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("landlock: %s: %w", path, err)
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return fmt.Errorf("landlock: %s: %w", path, err)
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: forFile, Parent_fd: int32(at)}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rule.Allowed_access = forDir
	}
	if rule.Allowed_access == 0 {
		return fmt.Errorf("landlock: %s: %w", path, unix.ENOTDIR)
	}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, rulePath, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}

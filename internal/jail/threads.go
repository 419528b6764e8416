//go:build linux && (amd64 || arm64)

package jail

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// linksC says that a C library is linked, which has threads of its own that the
// Go runtime does not reach with a system call.
func linksC() bool {
	if !cgo {
		return false
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0)
	return errno == unix.ENOTSUP
}

// everywhere makes a system call on all threads. Where C is linked it makes none.
func everywhere(nr, a, b, c uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall(nr, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// prctl is prctl(2) on all threads, and only on this one where C is linked: the
// filter's TSYNC then spreads no_new_privs, the only use of that.
func prctl(option, a, b uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, a, b, 0, 0, 0)
	if errno == unix.ENOTSUP {
		_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, option, a, b, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available returns why no reader can be locked here, nil if one can. It is
// cheap: what Probe finds out by starting processes is left out.
func Available() error {
	act := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	if _, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&act))); errno != 0 {
		var u unix.Utsname
		_ = unix.Uname(&u)
		return fmt.Errorf("seccomp: %w (Linux %s, %s; a container's profile may forbid it)", errno, unix.ByteSliceToString(u.Release[:]), runtime.GOARCH)
	}
	for _, need := range []string{"/proc/self/exe", "/proc/self/fd", "/dev/null"} {
		if _, err := os.Stat(need); err != nil {
			return fmt.Errorf("needs %s: %w", need, err)
		}
	}
	return nil
}

//go:build linux

package jail

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// forks are the calls that make a process and have no flags.
func forks() []Line {
	return []Line{
		{Name: "fork", Nr: unix.SYS_FORK, Action: eperm},
		{Name: "vfork", Nr: unix.SYS_VFORK, Action: eperm},
	}
}

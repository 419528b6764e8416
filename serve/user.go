package serve

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// become gives root's rights up for those of a user, for good, on all threads. Where
// this process is that user already, there is nothing to do.
func become(name string, supplementary bool) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	if os.Geteuid() == uid {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("user %s: only root becomes another user; this is user %d", name, os.Geteuid())
	}
	groups := []int{gid}
	if supplementary {
		ids, err := u.GroupIds()
		if err != nil {
			return fmt.Errorf("user %s: groups: %w", name, err)
		}
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil && n != gid {
				groups = append(groups, n)
			}
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("user %s: groups: %w", name, err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("user %s: group: %w", name, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	// With the user the kernel took away that this process can be looked into by its own
	// user (PR_SET_DUMPABLE(2const)), and with that the means to map the users of a reader's
	// namespace. A service that this user had started would be the same.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	// The next process of this one, and the caches of this one, are the user's.
	for k, v := range map[string]string{"USER": u.Username, "LOGNAME": u.Username, "HOME": u.HomeDir} {
		os.Setenv(k, v)
	}
	return nil
}

// chown gives a file to a user.
func chown(path, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Lchown(path, uid, gid)
}

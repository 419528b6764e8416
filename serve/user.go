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
	u, uid, gid, err := account(name)
	if err != nil {
		return err
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

// account is a user by name.
func account(name string) (u *user.User, uid, gid int, err error) {
	if u, err = user.Lookup(name); err != nil {
		return nil, 0, 0, fmt.Errorf("user: %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("user %s: %w", name, err)
	}
	return u, uid, gid, nil
}

// Give gives what this process has made to a user.
func Give(path, name string) error {
	_, uid, gid, err := account(name)
	if err != nil {
		return err
	}
	return os.Lchown(path, uid, gid)
}

// GiveAll gives what root has in a folder to a user, files and folders alone. What has a second
// name could be of anywhere. The folder may be the user's, who may swap what is in it
// meanwhile: what is looked at is held, and is what is given.
func GiveAll(dir, name string) error {
	_, uid, gid, err := account(name)
	if err != nil {
		return err
	}
	return giveAt(unix.AT_FDCWD, dir, uid, gid)
}

// giveAt is GiveAll for what a name stands for in an open folder.
func giveAt(at int, name string, uid, gid int) error {
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	folder := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if st.Uid == 0 && (folder || st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1) {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return &os.PathError{Op: "chown", Path: name, Err: err}
		}
	}
	if !folder {
		return nil
	}
	list, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	d := os.NewFile(uintptr(list), name)
	names, err := d.Readdirnames(-1)
	d.Close()
	for _, n := range names {
		if e := giveAt(fd, n, uid, gid); err == nil {
			err = e
		}
	}
	return err
}

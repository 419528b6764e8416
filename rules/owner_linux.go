package rules

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// inode says which file it is, and when its inode was changed.
func inode(st fs.FileInfo) string {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf(" %d %d %d.%d", s.Dev, s.Ino, s.Ctim.Sec, s.Ctim.Nsec)
	}
	return ""
}

// giveTo makes a file that of another's owner, if this is root.
func giveTo(f *os.File, st fs.FileInfo) error {
	if s, ok := st.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}

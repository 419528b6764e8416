package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// identity names the state of rule files and folders: a digest over the names,
// sizes, times and inodes of their files, and of what compiles them.
func identity(paths []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, tool)
	one := func(p string, st fs.FileInfo) {
		fmt.Fprintf(h, "%q %d %d", p, st.Size(), st.ModTime().UnixNano())
		if s, ok := st.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintf(h, " %d %d %d.%d", s.Dev, s.Ino, s.Ctim.Sec, s.Ctim.Nsec)
		}
		fmt.Fprintln(h)
	}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		st, err := os.Stat(abs)
		if err != nil {
			return "", err
		}
		one(abs, st)
		if !st.IsDir() {
			continue
		}
		entries, err := os.ReadDir(abs)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			st, err := os.Stat(filepath.Join(abs, e.Name()))
			if err != nil {
				st, err = os.Lstat(filepath.Join(abs, e.Name()))
			}
			if err != nil {
				return "", err
			}
			one(e.Name(), st)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

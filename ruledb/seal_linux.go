package ruledb

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readOnly tells whether nothing can be written through a descriptor.
func readOnly(f *os.File) bool {
	mode, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && mode&unix.O_ACCMODE == unix.O_RDONLY
}

// second is another descriptor of an open file.
func second(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "rest of rules"), nil
}

func mapFile(f *os.File, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
}

func unmap(data []byte) error { return unix.Munmap(data) }

// seal copies the first n bytes of the database.
func (db *DB) seal(n int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("showcause-rules", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("showcause-rules", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("database: file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "rules")
	hot := min(n, int64(len(db.data)))
	if _, err = f.Write(db.data[:hot]); err == nil && n > hot {
		_, err = io.CopyN(f, io.NewSectionReader(db.cold, hot, n-hot), n-hot)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("database: file in memory: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		f.Close()
		return nil, fmt.Errorf("database: seal: %w", err)
	}
	// The seals hold for every descriptor; one that cannot write is a second lock.
	ro, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil { // no /proc here
		return f, nil
	}
	f.Close()
	return ro, nil
}

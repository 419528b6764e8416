package ruledb

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Seal copies the database into a file in memory that nobody can write to,
// resize or unseal any more, and returns a read-only descriptor of it. What
// another process maps of it is what was proven here: a database file on disk
// could be cut or changed under its readers (memfd_create(2), F_ADD_SEALS in
// fcntl(2)).
func (db *DB) Seal() (*os.File, error) {
	fd, err := unix.MemfdCreate("showcause-rules", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("showcause-rules", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("database: file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "rules")
	if _, err := f.Write(db.data); err != nil {
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

// OpenFile maps a database from an open file, which may be closed afterwards.
func OpenFile(f *os.File) (*DB, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("database %s: not a regular file", f.Name())
	}
	if st.Size() < headerSize {
		return nil, fmt.Errorf("database %s: %d bytes is too short for a compiled rule database", f.Name(), st.Size())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("database %s: map: %w", f.Name(), err)
	}
	db, err := New(data)
	if err != nil {
		unix.Munmap(data)
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	db.mapped = true
	return db, nil
}

package ruledb

import (
	"fmt"
	"io"
	"os"
)

// Seal copies the database into a file in memory that nobody can write to,
// resize or unseal any more, and returns a read-only descriptor of it. What
// another process maps of it cannot change or be cut under it, as a database
// file on disk could (memfd_create(2), F_ADD_SEALS in fcntl(2)).
func (db *DB) Seal() (*os.File, error) { return db.seal(db.size) }

// Share returns what another process needs to open the database with OpenShared, for
// the caller to close. Sealed is as that of Seal, but if the database is an open file,
// it holds only what is read at start; rest is that file then, for reading, and
// otherwise a second descriptor of sealed. Of a file no more than a few megabytes are
// copied, whatever its size: what is read of it later is proven against sums in sealed.
func (db *DB) Share() (sealed, rest *os.File, err error) {
	n, from := db.size, (*os.File)(nil)
	if db.source != nil {
		if readOnly(db.source) {
			n, from = int64(len(db.data)), db.source
		}
	}
	if sealed, err = db.seal(n); err != nil {
		return nil, nil, err
	}
	if from == nil {
		from = sealed
	}
	if rest, err = second(from); err != nil {
		sealed.Close()
		return nil, nil, fmt.Errorf("database: descriptor: %w", err)
	}
	return sealed, rest, nil
}

// Open opens a database file. It maps what is read at start; the rest it reads when it
// is asked for, from the file, which stays open until Close.
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	db, err := OpenShared(f, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return db, nil
}

// OpenFile maps a whole database from an open file, which may be closed afterwards.
func OpenFile(f *os.File) (*DB, error) {
	size, err := fileSize(f)
	if err != nil {
		return nil, err
	}
	return mapped(f, size, func(data []byte) (*DB, error) { return New(data) })
}

// OpenShared opens what Share returned. It maps sealed, which may be closed afterwards
// if it is not rest, and reads of rest, which Close closes, what is asked for later.
func OpenShared(sealed, rest *os.File) (*DB, error) {
	size, err := fileSize(rest)
	if err != nil {
		return nil, err
	}
	have, err := fileSize(sealed)
	if err != nil {
		return nil, err
	}
	hot, err := startPart(sealed, uint64(size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sealed.Name(), err)
	}
	if hot > uint64(have) {
		return nil, fmt.Errorf("%s: %d bytes are read at start, it has %d: %w", sealed.Name(), hot, have, ErrCorrupt)
	}
	return mapped(sealed, int64(hot), func(data []byte) (*DB, error) {
		db, err := newDB(data, rest, uint64(size))
		if err == nil {
			db.source = rest
		}
		return db, err
	})
}

// startPart returns the length of what Open reads of a database of size bytes.
func startPart(f *os.File, size uint64) (uint64, error) {
	head := make([]byte, headerSize+entrySize*maxEntries)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("header: %w", err)
	}
	places, err := sections(head[:n], size)
	if err != nil {
		return 0, err
	}
	return hotPart(places, size), nil
}

// mapped maps the first n bytes of a file, and opens them.
func mapped(f *os.File, n int64, open func([]byte) (*DB, error)) (*DB, error) {
	data, err := mapFile(f, int(n))
	if err != nil {
		return nil, fmt.Errorf("database %s: map: %w", f.Name(), err)
	}
	db, err := open(data)
	if err != nil {
		unmap(data)
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	db.mapped = true
	return db, nil
}

// fileSize returns the size of a file that may be a database.
func fileSize(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	if !st.Mode().IsRegular() {
		return 0, fmt.Errorf("database %s: not a regular file", f.Name())
	}
	if st.Size() < headerSize {
		return 0, fmt.Errorf("database %s: %d bytes is too short for a compiled rule database", f.Name(), st.Size())
	}
	return st.Size(), nil
}

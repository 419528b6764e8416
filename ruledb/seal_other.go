//go:build !linux

package ruledb

import (
	"errors"
	"io"
	"os"
)

// Where there is no jail there are no readers to share a database with; and it
// is read rather than mapped.

var errNoSeal = errors.New("database: files in memory that can be sealed are Linux's")

func readOnly(*os.File) bool { return false }

func second(*os.File) (*os.File, error) { return nil, errNoSeal }

func mapFile(f *os.File, n int) ([]byte, error) {
	data := aligned(n)[:n]
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(n)), data)
	return data, err
}

func unmap([]byte) error { return nil }

func (db *DB) seal(int64) (*os.File, error) { return nil, errNoSeal }

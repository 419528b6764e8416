package clamsig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/showcause/showcause/clamsig/cvd"
)

const (
	maxContainer = 1 << 30 // bytes of a container that comes from an io.Reader
	maxSign      = 1 << 20 // bytes of a detached signature
)

// trust is whose word is taken for containers.
func (o *Options) trust() cvd.Trust {
	if o.Trust != nil {
		return *o.Trust
	}
	return cvd.Official()
}

// openContainer reads the header of a container and proves it. The detached
// signature is looked for in dir, unless that is empty.
func (o *Options) openContainer(name, kind, dir string, data io.ReaderAt, size int64) (*cvd.File, error) {
	f, err := cvd.Open(name, kind, data, size)
	if err != nil {
		return nil, err
	}
	t := o.trust()
	var sign []byte
	if dir != "" && t.Roots != nil {
		if sign, err = signature(filepath.Join(dir, f.SignName())); err != nil {
			return nil, err
		}
	}
	return f, f.Prove(t, sign)
}

// signature reads a detached signature; nil if there is none.
func signature(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSign+1))
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return b, nil
}

// readContainer reads a container that has no size of its own.
func (o *Options) readContainer(name, kind string, r io.Reader) (*cvd.File, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxContainer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxContainer {
		return nil, fmt.Errorf("container of more than %d bytes", maxContainer)
	}
	return o.openContainer(name, kind, "", bytes.NewReader(b), int64(len(b)))
}

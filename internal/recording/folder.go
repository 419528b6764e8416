package recording

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/disk"
)

// folder is one that records go to in place of the store. It may lie where others can
// plant links: nothing in it is followed, and no file in it is written into.
type folder struct {
	dir  *disk.Dir
	keys []byte // PEM
}

// openFolder opens a folder, and makes it if it is not there. One of another user that
// others can write to is refused: what is in it would be anybody's.
func openFolder(name string, public []evidence.PublicKey) (*folder, error) {
	d, err := new(disk.FS).MakeDir(name)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return nil, fmt.Errorf("folder %s: not a folder, or a link to one: name the folder itself", showcause.Escape(name))
	case err != nil:
		return nil, err
	}
	st, err := d.Stat()
	if err == nil && int(st.Uid) != os.Geteuid() && st.Mode&0o022 != 0 {
		err = fmt.Errorf("folder %s belongs to user %d, and others can write to it", showcause.Escape(name), st.Uid)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	f := &folder{dir: d}
	for _, k := range public {
		f.keys = append(f.keys, k.PEM()...)
	}
	return f, nil
}

// write writes records, and the keys that they can be verified with.
func (f *folder) write(records []*evidence.Record) error {
	temp := disk.TempPrefix + rand.Text()
	if err := f.make(temp, f.keys, 0o644); err != nil {
		return err
	}
	if err := f.dir.Replace(temp, "key.pub"); err != nil {
		_ = f.dir.Remove(temp)
		return err
	}
	for _, rec := range records {
		if err := f.make(rec.Name()[:16]+".scf", rec.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return f.dir.Sync()
}

// make makes a file that is not there.
func (f *folder) make(name string, b []byte, mode uint32) error {
	out, err := f.dir.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}

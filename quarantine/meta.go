package quarantine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/disk"
)

// Meta is all that is known of a file beside its bytes and its names. The times
// of its birth and of its last change of metadata cannot be set by anybody, and
// are not in it.
type Meta struct {
	Mode   string  `json:"mode"` // octal: permissions, set-user-id, set-group-id, sticky
	UID    uint32  `json:"uid"`
	GID    uint32  `json:"gid"`
	Access Stamp   `json:"atime"`
	Change Stamp   `json:"mtime"`
	Links  uint64  `json:"nlink"`            // names that the file had
	Flags  int     `json:"flags,omitempty"`  // of the inode (FS_IOC_GETFLAGS), those in keptFlags
	Xattrs []Xattr `json:"xattrs,omitempty"` // ascending by name; ACLs, capabilities and labels are among them
}

// Stamp is a time since 1970.
type Stamp struct {
	Sec  int64 `json:"sec"`
	Nsec int64 `json:"nsec"`
}

// Xattr is an extended attribute.
type Xattr struct {
	Name  string `json:"name"`
	Value []byte `json:"value"` // base64
}

// Flags of inodes that a person sets, not the file system (linux/fs.h).
const (
	flagSync      = 0x8
	flagImmutable = 0x10
	flagAppend    = 0x20
	flagNoDump    = 0x40
	flagNoAtime   = 0x80

	keptFlags = flagSync | flagImmutable | flagAppend | flagNoDump | flagNoAtime
)

func (m Meta) check() error {
	mode, err := strconv.ParseUint(m.Mode, 8, 32)
	if err != nil || mode > 0o7777 || fmt.Sprintf("%04o", mode) != m.Mode {
		return fmt.Errorf("mode %q", m.Mode)
	}
	if !slices.IsSortedFunc(m.Xattrs, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) }) {
		return errors.New("order of attributes")
	}
	return nil
}

// collect reads the metadata of an open file.
func collect(f *disk.File) (m Meta, st unix.Stat_t, err error) {
	if st, err = f.Stat(); err != nil {
		return m, st, err
	}
	m = Meta{
		Mode: fmt.Sprintf("%04o", st.Mode&0o7777), UID: st.Uid, GID: st.Gid, Links: uint64(st.Nlink),
		Access: Stamp{st.Atim.Sec, st.Atim.Nsec}, Change: Stamp{st.Mtim.Sec, st.Mtim.Nsec},
	}
	xs, err := f.Xattrs()
	if err != nil {
		return m, st, err
	}
	for _, x := range xs {
		m.Xattrs = append(m.Xattrs, Xattr(x))
	}
	flags, err := f.Flags()
	m.Flags = flags & keptFlags
	return m, st, err
}

// apply gives an open file this metadata, but for its flags and its names.
func (m Meta) apply(f *disk.File) error {
	if err := f.Chown(m.UID, m.GID); err != nil {
		return err
	}
	have, err := f.Xattrs()
	if err != nil {
		return err
	}
	for _, x := range have { // of the folder's default ACL, for one
		if !slices.ContainsFunc(m.Xattrs, func(y Xattr) bool { return y.Name == x.Name }) {
			if err := f.RemoveXattr(x.Name); err != nil {
				return err
			}
		}
	}
	for _, x := range m.Xattrs {
		if slices.ContainsFunc(have, func(y disk.Xattr) bool { return y.Name == x.Name && string(y.Value) == string(x.Value) }) {
			continue // a label that nobody may set is right already
		}
		if err := f.SetXattr(disk.Xattr(x)); err != nil {
			return err
		}
	}
	mode, err := strconv.ParseUint(m.Mode, 8, 32)
	if err != nil {
		return err
	}
	if err := f.Chmod(uint32(mode)); err != nil { // after the owner, who clears set-user-id
		return err
	}
	return f.SetTimes(m.Access.timespec(), m.Change.timespec())
}

func (s Stamp) timespec() unix.Timespec { return unix.Timespec{Sec: s.Sec, Nsec: s.Nsec} }

// same tells what differs between two files' metadata, but for names and flags.
func (m Meta) same(o Meta) error {
	switch {
	case m.Mode != o.Mode:
		return fmt.Errorf("mode is %s, was %s", o.Mode, m.Mode)
	case m.UID != o.UID || m.GID != o.GID:
		return fmt.Errorf("owner is %d:%d, was %d:%d", o.UID, o.GID, m.UID, m.GID)
	case m.Access != o.Access || m.Change != o.Change:
		return errors.New("times differ")
	case !slices.EqualFunc(m.Xattrs, o.Xattrs, func(a, b Xattr) bool { return a.Name == b.Name && string(a.Value) == string(b.Value) }):
		return errors.New("attributes differ")
	}
	return nil
}

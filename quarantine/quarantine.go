// Package quarantine takes files that a sealed finding names out of the way, and
// puts them back exactly as they were.
//
// It is a folder in the store (package evidence/store):
//
//	key             age identity (X25519) that opens the contents; 0600
//	ID.json         an item: what was taken, from where, its metadata, its state
//	ID.age          its content (age-encryption.org/v1)
//	held/ID.N       the file itself while it is being taken
//	packaged.json   which rules hit files of packages
//	lock            flock(2) of who takes or restores
//
// docs/format/quarantine.md specifies all of it, and docs/format/restore.py
// restores from it without this program.
//
// The state in ID.json is a journal. Each change of it is durable before what it
// announces is done, so whatever kills a process, the next Open knows what to
// finish and what to undo, and says so:
//
//	taking     content and metadata are kept; names may have been moved to held/
//	           left so: the names are moved back, the item goes away
//	taken      the names are in held/; the deed is sealed
//	           left so: the deed is logged, the names are removed
//	stored     it is in quarantine
//	restoring  a new file is being made
//	           left so: finished if the file has its name, else as if not begun
//	restored, purged   the content is gone; what is left is the history
//	stranded   a file in held/ has no name to go back to; nothing removes it
//
// Files are reached through held descriptors only. A path is opened without any
// link in it, a name is moved by renameat2(2) without replacing, and what was
// moved is looked at again: it must be the inode whose bytes had the record's
// digest, else it goes back.
package quarantine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
)

// Options say how to take and restore. The zero value works.
type Options struct {
	Engine evidence.Engine // for the records of deeds; zero: that of the finding
	Guard  Guard
	Limits Limits
	Now    func() time.Time // nil: time.Now
	FS     *disk.FS         // nil: the disk as it is
	// ReadOnly makes nothing and writes nothing: Take says what it would do, for
	// findings too that the store would have to be given first. What a process
	// that died left is left so. The store may be open to read only.
	ReadOnly bool
}

// Quarantine is an open quarantine.
type Quarantine struct {
	store    *store.Store
	dir      *disk.Dir
	held     *disk.Dir
	lock     *disk.File
	identity *age.X25519Identity
	o        Options

	mu    sync.Mutex
	notes []string
}

const (
	folder       = "quarantine"
	heldName     = "held"
	keyName      = "key"
	lockName     = "lock"
	packagedName = "packaged.json"
	itemSuffix   = ".json"
	dataSuffix   = ".age"
	maxItem      = 16 << 20
)

// Open opens the quarantine of a store, and makes it if it is not there. What a
// process that died left to do is finished or undone; Notes tells of it. (Neither
// with Options.ReadOnly.)
func Open(s *store.Store, o Options) (q *Quarantine, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	q = &Quarantine{store: s, o: o}
	if err := q.open(); err != nil {
		q.Close()
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return q, nil
}

// openReadOnly opens what is there; there may be nothing.
func (q *Quarantine) openReadOnly(root *disk.Dir) (err error) {
	q.dir, err = root.Sub(folder, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := q.dir.Private(); err != nil {
		return err
	}
	q.lock, err = q.dir.Open(lockName, unix.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (q *Quarantine) open() (err error) {
	root, err := q.o.FS.OpenDir(q.store.Dir())
	if err != nil {
		return err
	}
	defer root.Close()
	if q.o.ReadOnly {
		return q.openReadOnly(root)
	}
	if q.dir, err = root.Sub(folder, true); err != nil {
		return err
	}
	if err := q.dir.Private(); err != nil {
		return err
	}
	if q.lock, err = q.dir.Open(lockName, unix.O_RDWR|unix.O_CREAT, 0o600); err != nil {
		return err
	}
	return q.locked(func() error {
		if q.held, err = q.dir.Sub(heldName, true); err != nil {
			return err
		}
		if _, err := q.dir.Sweep(); err != nil {
			return err
		}
		if err := q.openKey(); err != nil {
			return err
		}
		return q.settle()
	})
}

// openKey reads the identity that opens contents, and makes one at first.
func (q *Quarantine) openKey() error {
	b, err := q.dir.ReadFile(keyName, 64<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		items, err := q.itemNames()
		if err != nil {
			return err
		}
		for _, id := range items {
			if it, err := q.read(id); err == nil && it.State.kept() {
				return errors.New("its key was taken away, and there are contents that it opens")
			}
		}
		if q.identity, err = age.GenerateX25519Identity(); err != nil {
			return err
		}
		text := "# public key: " + q.identity.Recipient().String() + "\n" + q.identity.String() + "\n"
		return q.dir.WriteFile(keyName, []byte(text), 0o600)
	case err != nil:
		return err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	for _, id := range ids {
		if x, ok := id.(*age.X25519Identity); ok {
			q.identity = x
			return nil
		}
	}
	return errors.New("key: no X25519 identity")
}

// Close gives the folder back.
func (q *Quarantine) Close() error {
	if q.held != nil {
		q.held.Close()
	}
	if q.lock != nil {
		q.lock.Close()
	}
	if q.dir != nil {
		return q.dir.Close()
	}
	return nil
}

func (q *Quarantine) locked(do func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lock == nil { // read only, and nobody has taken anything yet
		return do()
	}
	if err := q.lock.Lock(true); err != nil {
		return err
	}
	defer q.lock.Unlock()
	return do()
}

// Notes tells what opening found and did, a sentence each.
func (q *Quarantine) Notes() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.notes)
}

func (q *Quarantine) note(format string, a ...any) {
	q.notes = append(q.notes, fmt.Sprintf(format, a...))
}

// newID is 16 random bytes in hexadecimal.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func validID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == 16 && strings.ToLower(id) == id
}

// itemNames lists the ids of all items.
func (q *Quarantine) itemNames() (ids []string, err error) {
	names, err := q.dir.Names()
	for _, n := range names {
		if id, ok := strings.CutSuffix(n, itemSuffix); ok && validID(id) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// Items reads all items, the oldest first.
func (q *Quarantine) Items() (out []*Item, err error) {
	err = q.locked(func() error {
		out, err = q.items()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return out, nil
}

func (q *Quarantine) items() (out []*Item, err error) {
	if q.dir == nil {
		return nil, nil
	}
	ids, err := q.itemNames()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		it, err := q.read(id)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	slices.SortStableFunc(out, func(a, b *Item) int { return strings.Compare(a.Time, b.Time) })
	return out, nil
}

// Find returns the one item whose id, or the name of whose finding, begins with
// prefix. Of several it is the one that is still in quarantine.
func (q *Quarantine) Find(prefix string) (*Item, error) {
	all, err := q.Items()
	if err != nil {
		return nil, err
	}
	var found, kept []*Item
	for _, it := range all {
		if prefix != "" && (strings.HasPrefix(it.ID, prefix) || strings.HasPrefix(it.Record, prefix)) {
			found = append(found, it)
			if it.State.kept() {
				kept = append(kept, it)
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("quarantine: item %q: %w", prefix, fs.ErrNotExist)
	case len(found) == 1:
		return found[0], nil
	case len(kept) == 1:
		return kept[0], nil
	}
	return nil, fmt.Errorf("quarantine: %d items begin with %q", len(found), prefix)
}

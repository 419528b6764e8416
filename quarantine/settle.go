package quarantine

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
)

// gone tells whether a folder is not where it was: nothing has its name, or
// something else has.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// heldIn opens the folder that a held name is in.
func (q *Quarantine) heldIn(n Name) (*disk.Dir, func(), error) {
	if !n.beside() {
		return q.held, func() {}, nil
	}
	d, err := q.o.FS.OpenDirStrict(n.dir())
	if err != nil {
		return nil, nil, err
	}
	return d, func() { d.Close() }, nil
}

// isHeld tells whether a name was moved away and not yet removed.
func (q *Quarantine) isHeld(n Name) (bool, error) {
	d, done, err := q.heldIn(n)
	if err != nil {
		return false, err
	}
	defer done()
	return d.Has(n.Held)
}

// finishTaken logs the deed and removes the held names. parents are those of the
// names, or nil.
func (q *Quarantine) finishTaken(it *Item, parents []*disk.Dir) error {
	if err := q.publish(it); err != nil {
		return err
	}
	for i, n := range it.Names {
		var parent *disk.Dir
		if n.beside() && parents != nil {
			parent = parents[i]
		}
		if err := q.unhold(n, parent, it.Inode); err != nil {
			// The deed is logged: this cannot be undone any more, only finished.
			q.note("item %s: %v; the next opening tries again", it.ID, err)
			return nil
		}
	}
	if err := q.write(it, Stored); err != nil {
		q.note("item %s: %v; the next opening tries again", it.ID, err)
	}
	return nil
}

// unhold removes a held name.
func (q *Quarantine) unhold(n Name, d *disk.Dir, want Inode) error {
	if d == nil {
		in, done, err := q.heldIn(n)
		if gone(err) {
			return nil // the whole folder went away
		}
		if err != nil {
			return err
		}
		defer done()
		d = in
	}
	st, err := d.Lstat(n.Held)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case n.beside() && st.Ino != want.Ino: // others can write to that folder
		q.note("%s in the folder of %s is another file by now; it was left there", n.Held, n.Path)
		return nil
	}
	if err := d.Remove(n.Held); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.Sync()
}

// errStranded says that a file could not get its name back.
var errStranded = errors.New("its name is in use by another file: it stays held, nothing removes it")

// undo moves held names back and takes the item away. What was taken is as it
// was; if a name is in use by then, the item is stranded.
func (q *Quarantine) undo(it *Item) error {
	if it.State == Taken { // its deed may not be in the log, then
		if it.Deed == nil {
			return errors.New("the deed is logged")
		}
		logged, err := q.store.Has(it.Deeds[len(it.Deeds)-1])
		if err != nil {
			return err
		}
		if logged {
			return errors.New("the deed is logged: the next opening finishes it")
		}
		it.Deed, it.Deeds = nil, it.Deeds[:len(it.Deeds)-1]
		if err := q.write(it, Taking); err != nil {
			return err
		}
	}
	for _, n := range it.Names {
		err := q.giveBack(n)
		if errors.Is(err, fs.ErrExist) || gone(err) {
			it.Note = fmt.Sprintf("%v (%v)", errStranded, err)
			if err := q.write(it, Stranded); err != nil {
				return err
			}
			return errStranded
		}
		if err != nil {
			return err
		}
	}
	return q.forget(it)
}

// giveBack moves a held name back, if it was moved.
func (q *Quarantine) giveBack(n Name) error {
	held, err := q.isHeld(n)
	if err != nil || !held {
		return err
	}
	from, done, err := q.heldIn(n)
	if err != nil {
		return err
	}
	defer done()
	to, err := q.o.FS.OpenDirStrict(n.dir())
	if err != nil {
		return err
	}
	defer to.Close()
	if err := from.Rename(n.Held, to, n.base()); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	return from.Sync()
}

// forget takes an item and its content away.
func (q *Quarantine) forget(it *Item) error {
	for _, name := range []string{it.ID + dataSuffix, it.ID + itemSuffix} {
		if err := q.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return q.dir.Sync()
}

// settle finishes or undoes what a process that died, or a disk that failed, left.
func (q *Quarantine) settle() error {
	ids, err := q.itemNames()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
		it, err := q.read(id)
		if err != nil {
			return err
		}
		if err := q.settleItem(it); err != nil {
			return fmt.Errorf("item %s: %w", id, err)
		}
	}
	names, err := q.dir.Names()
	if err != nil {
		return err
	}
	for _, n := range names { // a content whose item was never written: nothing was touched
		if id, ok := strings.CutSuffix(n, dataSuffix); ok && validID(id) && !known[id] {
			if err := q.dir.Remove(n); err != nil {
				return err
			}
			q.note("a take that died before it touched anything was cleared away")
		}
	}
	return nil
}

func (q *Quarantine) settleItem(it *Item) error {
	where := it.Names[0].Path
	switch it.State {
	case Taking:
		moved := false
		for _, n := range it.Names {
			held, err := q.isHeld(n)
			if err != nil && !gone(err) {
				return err
			}
			moved = moved || held
		}
		err := q.undo(it)
		switch {
		case errors.Is(err, errStranded):
			q.note("a take of %s died; it could not be put back: %v", where, err)
		case err != nil:
			return err
		case moved:
			q.note("a take of %s died; it was put back as it was", where)
		default:
			q.note("a take of %s died before it touched anything", where)
		}
	case Taken:
		if err := q.finishTaken(it, nil); err != nil {
			return err
		}
		if it.State == Stored {
			q.note("a take of %s died after it was sealed; it was finished", where)
		}
	case Restoring:
		return q.settleRestore(it)
	case Purging:
		if err := q.finishPurge(it); err != nil {
			return err
		}
		q.note("a purge of %s died; it was finished", where)
	case Restored, Purged:
		if there, err := q.dir.Has(it.ID + dataSuffix); err != nil || !there {
			return err
		}
		return q.dropContent(it)
	}
	return nil
}

// dropContent removes a content that is not needed any more.
func (q *Quarantine) dropContent(it *Item) error {
	if err := q.dir.Remove(it.ID + dataSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return q.dir.Sync()
}

// Purge removes an item's content for good, and logs that.
func (q *Quarantine) Purge(id, why string) error {
	if q.o.ReadOnly {
		return errReadOnly
	}
	err := q.locked(func() error {
		it, err := q.read(id)
		if err != nil {
			return err
		}
		if it.State != Stored {
			return fmt.Errorf("item %s is %s, not %s", id, it.State, Stored)
		}
		if err := q.announce(it, Purging, "purge", showcause.Escape(why)); err != nil {
			return err
		}
		return q.finishPurge(it)
	})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

func (q *Quarantine) finishPurge(it *Item) error {
	if err := q.publish(it); err != nil {
		return err
	}
	if err := q.dropContent(it); err != nil {
		return err
	}
	return q.write(it, Purged)
}

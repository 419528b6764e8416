package quarantine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/disk"
)

// Selection says which items are meant. What is left empty selects all.
type Selection struct {
	Rule  string    // a rule's name, or a pattern of path.Match
	Since time.Time // taken at this time or later
}

// Select returns the items in quarantine that are meant, the oldest first.
func (q *Quarantine) Select(s Selection) (out []*Item, err error) {
	_, bad := path.Match(s.Rule, "")
	all, err := q.Items()
	if err != nil {
		return nil, err
	}
	for _, it := range all {
		when, err := time.Parse(time.RFC3339, it.Time)
		if err != nil {
			return nil, fmt.Errorf("quarantine: item %s: %w", it.ID, err)
		}
		ok, _ := path.Match(s.Rule, it.Rule)
		if it.Rule == s.Rule {
			ok, bad = true, nil // a name may look like a pattern that is none
		}
		if (it.State == Stored || it.State == Stranded) && (ok || s.Rule == "") && !when.Before(s.Since) {
			out = append(out, it)
		}
	}
	if bad != nil {
		return nil, fmt.Errorf("quarantine: rule %q: %w", s.Rule, bad)
	}
	return out, nil
}

// Restore puts a file back: the same bytes and metadata under the same names, or
// in folder to if it is not empty. A file that is there is not replaced. After
// an error it is in quarantine as before, unless the error says otherwise.
func (q *Quarantine) Restore(id, to, why string) error {
	if q.o.ReadOnly {
		return errReadOnly
	}
	err := q.locked(func() error {
		it, err := q.read(id)
		if err != nil {
			return err
		}
		switch it.State {
		case Stranded:
			return q.restoreStranded(it, to, why)
		case Stored:
			return q.restore(it, to, why)
		case Restoring: // and nobody knows how far that came: see settleRestore
			if to != "" {
				it.New = nil
				return q.restore(it, to, why)
			}
		}
		return fmt.Errorf("item %s is %s", id, it.State)
	})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// restoreStranded tries again to give a held file its name.
func (q *Quarantine) restoreStranded(it *Item, to, why string) error {
	any, err := q.anyHeld(it)
	if err != nil && !gone(err) {
		return err
	}
	if !any { // the file itself is gone, its content is kept
		return q.restore(it, to, why)
	}
	if to != "" {
		return fmt.Errorf("item %s is %s: it goes back to its own name", it.ID, it.State)
	}
	// Restoring with a note is how settle knows what to look for if this dies.
	if err := q.write(it, Restoring); err != nil {
		return err
	}
	for _, n := range it.Names {
		if err := q.giveBack(n); err != nil {
			if werr := q.write(it, Stranded); werr != nil {
				return fmt.Errorf("%w (and %v; the next opening sets it right)", err, werr)
			}
			return err
		}
	}
	if err := q.announce(it, Restoring, "restore", showcause.Escape(why)); err != nil {
		return err
	}
	return q.finishRestore(it)
}

// anyHeld tells whether some name of an item is still held.
func (q *Quarantine) anyHeld(it *Item) (any bool, err error) {
	for _, n := range it.Names {
		held, herr := q.isHeld(n)
		if herr != nil {
			err = herr
		}
		any = any || held
	}
	return any, err
}

// settleStranded goes on where a restore of a stranded item died: names that
// are still held are given back, and what is back is sealed and logged.
func (q *Quarantine) settleStranded(it *Item) error {
	where := it.Names[0].Path
	stay := func(why string) error {
		q.note("a restore of %s died; it stays as it was: %s", where, why)
		return q.write(it, Stranded)
	}
	for _, n := range it.Names {
		switch err := q.giveBack(n); {
		case errors.Is(err, fs.ErrExist) || gone(err):
			return stay(err.Error())
		case err != nil:
			return err
		}
	}
	back, err := q.isAt(it, &it.Inode, false) // others may have written to it while it was held
	switch {
	case err != nil && !gone(err):
		return err
	case !back:
		return stay("the file is not under its name")
	}
	if err := q.announce(it, Restoring, "restore", "finished after an interruption"); err != nil {
		return err
	}
	if err := q.finishRestore(it); err != nil {
		return err
	}
	q.note("a restore of %s died after the file had its name again; it was finished", where)
	return nil
}

// targets opens the folders that the names go to.
func (q *Quarantine) targets(it *Item) (dirs []*disk.Dir, err error) {
	for _, n := range it.Names {
		dir := n.dir()
		if it.To != "" {
			var ok bool
			if dir, ok = unescape(it.To); !ok {
				return dirs, errors.New("folder to restore to")
			}
		}
		d, err := q.o.FS.OpenDirStrict(dir)
		if err != nil {
			return dirs, err
		}
		dirs = append(dirs, d)
		if it.To != "" {
			break // one name is enough elsewhere
		}
	}
	return dirs, nil
}

func closeAll(dirs []*disk.Dir) {
	for _, d := range dirs {
		d.Close()
	}
}

func (q *Quarantine) restore(it *Item, to, why string) error {
	if to != "" {
		real, err := filepath.EvalSymlinks(to)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		if err != nil {
			return err
		}
		it.To = showcause.Escape(real)
	}
	dirs, err := q.targets(it)
	defer func() { closeAll(dirs) }()
	if err != nil {
		return fmt.Errorf("folder to restore to: %w", err)
	}
	for i, d := range dirs {
		if there, err := d.Has(it.Names[i].base()); err != nil {
			return err
		} else if there {
			return fmt.Errorf("%s: %w: nothing is replaced", it.Names[i].Path, fs.ErrExist)
		}
	}
	if err := q.write(it, Restoring); err != nil {
		return err
	}
	if err := q.remake(it, dirs, why); err != nil {
		if linked, lerr := q.isLinked(it); lerr != nil || linked {
			return fmt.Errorf("%w (the file has its name again; the next opening finishes the records of it)", err)
		}
		if it.New, it.To = nil, ""; it.Deed != nil {
			it.Deed, it.Deeds = nil, it.Deeds[:len(it.Deeds)-1]
		}
		if werr := q.write(it, Stored); werr != nil {
			return fmt.Errorf("%w (and %v; the next opening sets it right)", err, werr)
		}
		return err
	}
	return nil
}

// remake makes the file, gives it its names, and logs it.
func (q *Quarantine) remake(it *Item, dirs []*disk.Dir, why string) error {
	temp, err := dirs[0].Temp(it.ID)
	if err != nil {
		return err
	}
	defer temp.Discard()
	if err := q.fill(it, temp); err != nil {
		return err
	}
	st, err := temp.Stat()
	if err != nil {
		return err
	}
	it.New = &Inode{st.Dev, st.Ino}
	if err := q.write(it, Restoring); err != nil {
		return err
	}
	if err := temp.Link(dirs[0], it.Names[0].base()); err != nil {
		return err
	}
	if err := dirs[0].Sync(); err != nil {
		return err
	}
	if err := q.otherNames(it, dirs); err != nil {
		return err
	}
	if it.Meta.Flags != 0 {
		have, err := temp.Flags()
		if err == nil {
			err = temp.SetFlags(have | it.Meta.Flags)
		}
		if err != nil {
			q.note("item %s: flags of the inode: %v", it.ID, err)
		}
	}
	if err := q.announce(it, Restoring, "restore", showcause.Escape(why)); err != nil {
		return err
	}
	return q.finishRestore(it)
}

// fill writes content and metadata into a file that has no name yet, and makes
// sure of both.
func (q *Quarantine) fill(it *Item, temp *disk.File) error {
	data, err := q.dir.Open(it.ID+dataSuffix, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer data.Close()
	plain, err := age.Decrypt(data, q.identity)
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	h := sha256.New()
	to := &omitter{holes: it.Holes, write: func(b []byte, at int64) error {
		if err := temp.Rewind(at); err != nil {
			return err
		}
		_, err := temp.Write(b)
		return err
	}}
	from := io.LimitReader(&filler{r: plain, holes: it.Holes}, it.Size+1)
	n, err := io.CopyBuffer(io.MultiWriter(h, to), struct{ io.Reader }{from}, make([]byte, 1<<20))
	if err == nil && len(it.Holes) > 0 {
		err = temp.Truncate(it.Size) // the last hole may be at the end
	}
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if n != it.Size || hex.EncodeToString(h.Sum(nil)) != it.SHA256 {
		return errors.New("content: not the bytes that were taken")
	}
	if err := it.Meta.apply(temp); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	got, _, err := collect(temp)
	if err != nil {
		return err
	}
	if err := it.Meta.same(got); err != nil {
		return fmt.Errorf("metadata cannot be restored exactly: %w", err)
	}
	return temp.Sync()
}

// otherNames gives the file its other names.
func (q *Quarantine) otherNames(it *Item, dirs []*disk.Dir) error {
	for i := 1; i < len(dirs); i++ {
		st, err := dirs[i].Lstat(it.Names[i].base())
		if err == nil {
			if it.New != nil && (Inode{st.Dev, st.Ino}) == *it.New {
				continue
			}
			q.note("item %s: %s is in use; it was not given back this name", it.ID, it.Names[i].Path)
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := dirs[0].LinkName(it.Names[0].base(), dirs[i], it.Names[i].base()); err != nil {
			return err
		}
		if err := dirs[i].Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (q *Quarantine) finishRestore(it *Item) error {
	if err := q.publish(it); err != nil {
		return err
	}
	done := *it
	done.New, done.Note = nil, ""
	if err := q.write(&done, Restored); err != nil {
		return err // who asks now still knows the new file
	}
	*it = done
	if err := q.dropContent(it); err != nil {
		q.note("item %s: %v; the next opening tries again", it.ID, err)
	}
	return nil
}

// isLinked tells whether the restored file has its first name. An error that
// gone knows says that this cannot be told: the folder is not where it was.
func (q *Quarantine) isLinked(it *Item) (bool, error) {
	if it.New == nil {
		return false, nil
	}
	return q.isAt(it, it.New, true)
}

// isAt tells whether a file, with the bytes of the item if exact, has its first name.
func (q *Quarantine) isAt(it *Item, file *Inode, exact bool) (bool, error) {
	dirs, err := q.targets(it)
	defer func() { closeAll(dirs) }()
	if err != nil {
		return false, err
	}
	f, err := dirs[0].Open(it.Names[0].base(), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Ino != file.Ino || !exact {
		return err == nil && st.Ino == file.Ino, err
	}
	sum, _, err := digest(f, nil) // the number may be another file's by now
	return sum == it.SHA256, err
}

// settleRestore finishes a restore that died, or makes it as if not begun.
func (q *Quarantine) settleRestore(it *Item) error {
	where := it.Names[0].Path
	if it.Deed == nil && it.New == nil && it.Note != "" {
		return q.settleStranded(it)
	}
	linked, err := q.isLinked(it)
	if gone(err) && it.Deed == nil {
		// It may have its name, in a folder that has another by now.
		q.note("a restore of %s died, and its folder is not where it was (%v): whether the file is there is not known. Put the folder back, or restore it to another (restore --to)", where, err)
		return nil
	}
	if err != nil && !gone(err) {
		return err
	}
	if !linked && it.Deed == nil {
		if dirs, err := q.targets(it); err == nil {
			if err := dirs[0].Remove(disk.TempPrefix + it.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
				closeAll(dirs)
				return err
			}
			closeAll(dirs)
		} else {
			closeAll(dirs)
		}
		it.New, it.To = nil, ""
		if err := q.write(it, Stored); err != nil {
			return err
		}
		q.note("a restore of %s died; it is in quarantine as before", where)
		return nil
	}
	dirs, err := q.targets(it)
	defer func() { closeAll(dirs) }()
	if err == nil && linked {
		if err := q.otherNames(it, dirs); err != nil {
			return err
		}
	}
	if it.Deed == nil {
		if err := q.announce(it, Restoring, "restore", "finished after an interruption"); err != nil {
			return err
		}
	}
	if err := q.finishRestore(it); err != nil {
		return err
	}
	q.note("a restore of %s died after the file had its name again; it was finished", where)
	return nil
}

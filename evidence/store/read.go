package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/translog"
)

// Names calls each with the name of every record that begins with prefix, in
// order.
func (s *Store) Names(prefix string, each func(name string) error) error {
	if !validName(prefix, false) {
		return fmt.Errorf("store: %q is no record's name, nor the beginning of one", prefix)
	}
	folders, err := s.records.Names()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, folder := range folders {
		if n := min(len(folder), len(prefix)); folder[:n] != prefix[:n] {
			continue
		}
		files, err := s.list(folder)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		for _, file := range files {
			if n, ok := name(folder, file); ok && len(prefix) <= len(n) && n[:len(prefix)] == prefix {
				if err := each(n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Store) list(folder string) ([]string, error) {
	d, err := s.records.Sub(folder, false)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Names()
}

// Read reads a record by its name. It is not verified; that its name is right is.
func (s *Store) Read(name string) (*evidence.Record, error) {
	if !validName(name, true) {
		return nil, fmt.Errorf("store: %q is no record's name", name)
	}
	b, err := s.records.ReadFile(name[:2]+"/"+name+suffix, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	r, err := evidence.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("store: record %s: %w", name, err)
	}
	if r.Name() != name {
		return nil, fmt.Errorf("store: file %s holds record %s", name, r.Name())
	}
	return r, nil
}

// Find reads the one record whose name begins with prefix.
func (s *Store) Find(prefix string) (*evidence.Record, error) {
	var names []string
	err := s.Names(prefix, func(n string) error {
		names = append(names, n)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(names) == 0:
		return nil, fmt.Errorf("store: record %s: %w", prefix, fs.ErrNotExist)
	case len(names) > 1:
		return nil, fmt.Errorf("store: %d records begin with %s", len(names), prefix)
	}
	return s.Read(names[0])
}

// Each reads every record, in the order of their names.
func (s *Store) Each(each func(*evidence.Record) error) error {
	return s.Names("", func(n string) error {
		r, err := s.Read(n)
		if err != nil {
			return err
		}
		return each(r)
	})
}

// Verify reads a record by its name or the beginning of it, and verifies it
// under the host's keys.
func (s *Store) Verify(prefix string) (*evidence.Sealed, error) {
	r, err := s.Find(prefix)
	if err != nil {
		return nil, err
	}
	sealed, err := r.Verify(evidence.VerifyOptions{Keys: s.public})
	if err != nil {
		return nil, fmt.Errorf("store: record %s: %w", r.Name(), err)
	}
	return sealed, nil
}

// Prove returns the record of a name with the proof that the log has it.
func (s *Store) Prove(prefix string) (*evidence.Record, error) {
	r, err := s.Find(prefix)
	if err != nil {
		return nil, err
	}
	i, found, err := s.log.Find(r.Digest())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("store: record %s is not in the log", r.Name())
	}
	p, err := s.log.Prove(i)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return r.WithProof(string(p)), nil
}

// Code says what is wrong with a store.
type Code string

// The closed list. Damage of the log itself has the codes of translog.
const (
	Removed  Code = "store.removed"  // the log has a record that the folder does not have
	Changed  Code = "store.changed"  // a file is not the record of its name, or does not verify
	Unlogged Code = "store.unlogged" // a record that the log does not have
	Less     Code = "store.less"     // a record that no longer shows all that its host sealed
	Foreign  Code = "store.foreign"  // a file that is no record
)

// Problem is one thing that is wrong.
type Problem struct {
	Code  Code
	Where string // file below the store
	Text  string
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s: %s", p.Code, p.Where, p.Text) }

// Check proves the whole log, then every record against it and back. What is
// wrong with records is given to bad; what is wrong with the log itself is a
// *translog.Fault.
func (s *Store) Check(bad func(Problem)) (state translog.State, records int64, err error) {
	// The folder is listed first: what is in it then was logged before.
	var names []string
	folders, err := s.records.Names()
	if err != nil {
		return state, 0, fmt.Errorf("store: %w", err)
	}
	for _, folder := range folders {
		files, err := s.list(folder)
		if err != nil {
			bad(Problem{Foreign, path.Join(recordsDir, folder), err.Error()})
			continue
		}
		for _, file := range files {
			if n, ok := name(folder, file); ok {
				names = append(names, n)
			} else {
				bad(Problem{Foreign, path.Join(recordsDir, folder, file), "is not named as a record"})
			}
		}
	}
	logged := map[translog.Digest]int64{}
	state, err = s.log.Check(func(i int64, d translog.Digest) error {
		logged[d] = i
		return nil
	})
	if err != nil {
		return state, 0, fmt.Errorf("store: %w", err)
	}
	for _, n := range names {
		records++
		s.checkRecord(n, logged, bad)
	}
	return state, records + s.checkLater(logged, bad), nil
}

// checkLater looks for the records of entries that the folder did not have when
// it was listed: they came meanwhile, are on their way, or were removed.
func (s *Store) checkLater(logged map[translog.Digest]int64, bad func(Problem)) (records int64) {
	var gone []translog.Digest
	for d := range logged {
		if _, err := s.own(fmt.Sprintf("%x%s", d, suffix)); err == nil {
			records++
			continue
		}
		gone = append(gone, d)
	}
	slices.SortFunc(gone, func(a, b translog.Digest) int { return cmp.Compare(logged[a], logged[b]) })
	for _, d := range gone {
		name := fmt.Sprintf("%x", d)
		if there, err := s.has(name); err == nil && there {
			records++
			s.checkRecord(name, logged, bad)
			continue
		}
		bad(Problem{Removed, path.Join(recordsDir, name[:2], name+suffix), fmt.Sprintf("entry %d of the log is gone", logged[d])})
	}
	return records
}

func (s *Store) checkRecord(name string, logged map[translog.Digest]int64, bad func(Problem)) {
	where := path.Join(recordsDir, name[:2], name+suffix)
	r, err := s.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return // seen as removed
	}
	if err != nil {
		bad(Problem{Changed, where, err.Error()})
		return
	}
	if _, ok := logged[r.Digest()]; !ok {
		bad(Problem{Unlogged, where, "is not in the log"})
	}
	delete(logged, r.Digest())
	if _, err := r.Verify(evidence.VerifyOptions{Keys: s.public}); err != nil {
		bad(Problem{Changed, where, err.Error()})
	}
	if h := r.Hidden(); len(h) > 0 {
		bad(Problem{Less, where, fmt.Sprintf("hides %s", h[0])})
	}
}

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

// Append writes records and logs them. When it returns they are durable, all of
// them or, after an error, none; only after translog.ErrPending the next Append
// or Open adds them. A record that is there already is left as it is.
func (s *Store) Append(records []*evidence.Record) error {
	err := s.locked(func() error {
		if err := s.settle(); err != nil {
			return err
		}
		var fresh []*evidence.Record
		given := map[string]bool{}
		for _, r := range records {
			there, err := s.has(r.Name())
			if err != nil {
				return err
			}
			if !there && !given[r.Name()] {
				fresh = append(fresh, r)
				given[r.Name()] = true
			}
		}
		for len(fresh) > 0 {
			n := min(len(fresh), translog.MaxBatch)
			if err := s.append(fresh[:n]); err != nil {
				return err
			}
			fresh = fresh[n:]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (s *Store) append(records []*evidence.Record) error {
	var names []string
	var digests []translog.Digest
	err := func() error {
		for _, r := range records {
			name := r.Name() + suffix
			names = append(names, name)
			digests = append(digests, r.Digest())
			if err := s.incoming.Create(name, r.Bytes(), 0o600, len(records) <= many); err != nil {
				return err
			}
		}
		if len(records) > many {
			return s.incoming.SyncAll()
		}
		return s.incoming.Sync()
	}()
	if err == nil {
		_, err = s.log.Append(digests)
		if errors.Is(err, translog.ErrPending) {
			return err // the records must stay: they will be in the log
		}
	}
	if err != nil {
		for _, name := range names {
			if rerr := s.incoming.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				return fmt.Errorf("%w: %w", translog.ErrPending, err) // the next opening appends what stays
			}
		}
		return err
	}
	if err := s.move(names); err != nil { // they are durable and logged; the next one moves them
		s.notes = append(s.notes, fmt.Sprintf("records could not be moved from %s: %v", incomingDir, err))
	}
	return nil
}

// move brings logged records to their place.
func (s *Store) move(names []string) error {
	folders := map[string]*disk.Dir{}
	defer func() {
		for _, d := range folders {
			d.Close()
		}
	}()
	for _, name := range names {
		sub := name[:2]
		d := folders[sub]
		if d == nil {
			var err error
			if d, err = s.records.Sub(sub, true); err != nil {
				return err
			}
			folders[sub] = d
		}
		err := s.incoming.Rename(name, d, name)
		if errors.Is(err, fs.ErrExist) {
			err = s.incoming.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	if len(folders) > many {
		return s.records.SyncAll()
	}
	for _, d := range folders {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	return s.incoming.Sync()
}

// settle finishes what a process that died, or that had no space, left in
// incoming.
func (s *Store) settle() error {
	if _, err := s.incoming.Sweep(); err != nil {
		return err
	}
	names, err := s.incoming.Names()
	if err != nil || len(names) == 0 {
		return err
	}
	logged := map[translog.Digest]bool{}
	err = s.log.Entries(0, func(_ int64, d translog.Digest) error {
		logged[d] = true
		return nil
	})
	if err != nil {
		return err
	}
	var whole []string
	var late []translog.Digest
	torn := 0
	for _, name := range names {
		r, err := s.own(name)
		switch {
		case err != nil && !errors.As(err, new(evidence.Problems)):
			return err
		case err != nil:
			if err := s.incoming.Remove(name); err != nil {
				return err
			}
			torn++
			continue
		case !logged[r.Digest()]:
			late = append(late, r.Digest())
		}
		whole = append(whole, name)
	}
	if torn > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%d records that a process which died had not finished writing were removed", torn))
	}
	for from := 0; from < len(late); from += translog.MaxBatch {
		if _, err := s.log.Append(late[from:min(len(late), from+translog.MaxBatch)]); err != nil {
			return err
		}
	}
	if err := s.move(whole); err != nil {
		return err
	}
	if len(whole) > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%d records that a process which died left were put in their place; %d of them were not yet in the log", len(whole), len(late)))
	}
	return nil
}

// own reads a record in incoming. A file that is no whole record of this host
// gives Problems.
func (s *Store) own(file string) (*evidence.Record, error) {
	b, err := s.incoming.ReadFile(file, maxRecord)
	if err != nil {
		return nil, err
	}
	r, err := evidence.Parse(b)
	if err != nil {
		return nil, err
	}
	if r.Name()+suffix != file {
		return nil, evidence.Problems{{Code: evidence.BadShape, Text: "another name"}}
	}
	if _, err := r.Verify(evidence.VerifyOptions{Keys: s.public}); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Store) has(name string) (bool, error) {
	there, err := s.records.Has(name[:2] + "/" + name + suffix)
	if err != nil && errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return there, err
}

// Has tells whether the store has a record of this name.
func (s *Store) Has(name string) (bool, error) {
	if !validName(name, true) {
		return false, fmt.Errorf("store: %q is no record's name", name)
	}
	there, err := s.has(name)
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	return there, nil
}

// name returns the record's name that a file in a folder of records must have.
func name(folder, file string) (string, bool) {
	n, ok := strings.CutSuffix(file, suffix)
	return n, ok && validName(n, true) && n[:2] == folder
}

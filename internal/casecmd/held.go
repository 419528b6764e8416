package casecmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/quarantine"
)

// kept is one record of a store, or of its log. Where err is set there is no
// record: its file is damaged, or the log has it and the folder does not.
type kept struct {
	name   string
	record *evidence.Record
	entry  int64 // of the log, from 1; 0 if the log does not have it
	err    error
	older  bool // it is there, and was not read
}

// keptIn reads the last most records of a store, in the order of the log: those that
// the log does not have come last, by name. One that cannot be read does not end it.
func keptIn(s *store.Store, most int) ([]kept, error) {
	all := map[string]*kept{}
	err := s.Names("", func(name string) error {
		all[name] = &kept{name: name, older: true}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.Log().Entries(0, func(i int64, d [32]byte) error {
		name := fmt.Sprintf("%x", d)
		if all[name] == nil {
			all[name] = &kept{name: name}
		}
		if k := all[name]; k.entry == 0 {
			k.entry = i + 1
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]kept, 0, len(all))
	for _, k := range slices.SortedFunc(maps.Values(all), func(a, b *kept) int {
		return cmp.Or(cmp.Compare(uint64(a.entry-1), uint64(b.entry-1)), cmp.Compare(a.name, b.name))
	}) {
		switch read := len(all)-len(out) <= most; {
		case !k.older:
			k.late(s)
		case read:
			k.older = false
			k.record, k.err = s.Read(k.name)
		}
		out = append(out, *k)
	}
	return out, nil
}

// late reads a record that the log has and the folder did not have when it was
// listed: it came meanwhile, it is on its way, or it was removed.
func (k *kept) late(s *store.Store) {
	if k.record, k.err = s.Read(k.name); !errors.Is(k.err, fs.ErrNotExist) {
		return
	}
	k.err = fmt.Errorf("entry %d of the log, and its record is gone: it was removed", k.entry-1)
	f, err := os.Open(filepath.Join(s.Dir(), "incoming", k.name+".scf"))
	if err != nil {
		return
	}
	defer f.Close()
	if r, err := evidence.ReadRecord(f); err == nil && r.Name() == k.name {
		k.record, k.err = r, nil
	}
}

// entry is a record of the store, as far as correspondence needs it.
type entry struct {
	name string
	s    *evidence.Statement
}

// gather reads the records of a store in the order of its log, and says to w which
// of them cannot be read, or do not verify under the store's keys: whoever can write
// into the folder can put a record there.
func gather(s *store.Store, w io.Writer) (all []entry, err error) {
	records, err := keptIn(s, math.MaxInt)
	if err != nil {
		return nil, err
	}
	for _, k := range records {
		if k.err == nil {
			_, k.err = k.record.Verify(evidence.VerifyOptions{Keys: s.Public()})
		}
		if k.err != nil {
			fmt.Fprintf(w, "showcause: record %s is not looked at: %s\n", k.name, showcause.Escape(k.err.Error()))
			continue
		}
		all = append(all, entry{k.name, k.record.Statement()})
	}
	return all, nil
}

// inQuarantine returns what is in quarantine, or on its way there or back. Nothing is
// made or changed.
func inQuarantine(s *store.Store) ([]*quarantine.Item, error) {
	q, err := quarantine.Open(s, quarantine.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer q.Close()
	items, err := q.Items()
	return slices.DeleteFunc(items, func(it *quarantine.Item) bool {
		return it.State == quarantine.Restored || it.State == quarantine.Purged
	}), err
}

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/translog"
)

const (
	makingName  = "making"   // there while a store is made for the first time
	newLogsName = "new-logs" // a line for each log that was begun anew

	maxNewLogs = 1 << 20
)

// begin tells whether a log is to be made: for a store that is made now, or whose
// making died, and where o.NewLog asks for it. A store is made where nothing of
// one is; that no log is there is no sign of it, since a folder that somebody
// emptied has none either.
func (s *Store) begin(o Options) (create bool, err error) {
	var has [3]bool
	for i, name := range []string{keyName, publicName, makingName} {
		if has[i], err = s.dir.Has(name); err != nil {
			return false, err
		}
	}
	key, public, making := has[0], has[1], has[2]
	logged, err := s.hasLog()
	if err != nil {
		return false, err
	}
	names, err := s.records.Names()
	if err != nil {
		return false, err
	}
	switch {
	case !key && (len(names) > 0 || logged || public):
		return false, fmt.Errorf("%s has %s and no key: it was taken away, and records under another key would not be this host's",
			s.dir.Name(), map[bool]string{true: "records or a log", false: "a public key"}[len(names) > 0 || logged])
	case o.NewLog != "" && (!key || logged):
		return false, fmt.Errorf("%s has a log, or no key: no log is begun anew there", s.dir.Name())
	case !key:
		return true, s.dir.WriteFile(makingName, nil, 0o600)
	case logged || making && len(names) == 0:
		return making, nil
	case o.NewLog == "":
		return false, s.noLog()
	}
	return true, s.noteNewLog(len(names) > 0, o.NewLog)
}

// hasLog tells whether the folder of the log has anything of one.
func (s *Store) hasLog() (bool, error) {
	d, err := s.dir.Sub(logDir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	names, err := d.Names()
	return slices.ContainsFunc(names, func(n string) bool { return n != lockName }), err
}

// noLog says that the log was taken away.
func (s *Store) noLog() error {
	return &translog.Fault{Code: translog.NoCheckpoint, Where: logDir, Why: fmt.Sprintf(
		"%s has a key and no log: the log was taken away, and records with it perhaps. Put it back; or, if it is known how it went, "+
			"showcause log new --reason WHY begins another under the same key, and a note of that stays", s.dir.Name())}
}

// noteNewLog writes down that the log is begun anew, before it is.
func (s *Store) noteNewLog(records bool, why string) error {
	text, err := s.dir.ReadFile(newLogsName, maxNewLogs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	left := "no records were there"
	if records {
		left = "the records that were there are in no log"
	}
	line := fmt.Sprintf("%s  begun anew, %s: %s\n", time.Now().UTC().Format(time.RFC3339), left, showcause.Escape(why))
	return s.dir.WriteFile(newLogsName, append(text, line...), 0o600)
}

// begun ends the making of a store.
func (s *Store) begun() error {
	if making, err := s.dir.Has(makingName); err != nil || !making {
		return err
	}
	if err := s.dir.Remove(makingName); err != nil {
		return err
	}
	return s.dir.Sync()
}

// NewLogs tells when and why the log was begun anew under the host's key, a line
// each, the oldest first. What was logged before is not in it.
func (s *Store) NewLogs() ([]string, error) {
	text, err := s.dir.ReadFile(newLogsName, maxNewLogs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

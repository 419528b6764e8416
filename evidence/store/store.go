// Package store is the folder of a host's records: its key, the records, and
// the log that every record is in.
//
//	key, key.pub        the host's key (PEM); 0600
//	records/ab/NAME.scf records by name: SHA-256 of the payload
//	incoming/           records on their way: written, perhaps not yet in the log
//	log/                their log (package translog)
//	witnesses           policy that names witnesses of the log (C2SP tlog-policy); optional
//	new-logs            when and why the log was begun anew; optional
//	quarantine/         package quarantine
//	making              there while the store is made for the first time
//	lock                flock(2) of who appends
//
// What is in the folder is for its owner only, and nobody else may write to the
// folder itself. A record is written to
// incoming and made durable, then it is logged, then it moves to records. So
// what a process that died leaves is in incoming, and the next Open finishes it
// and says so.
package store

import (
	"cmp"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/translog"
)

// SystemDir is where root's store is.
const SystemDir = "/var/lib/showcause"

// Default returns the folder of this user's store: SystemDir for root, else
// showcause in $XDG_STATE_HOME or in ~/.local/state.
func Default() (string, error) {
	if os.Geteuid() == 0 {
		return SystemDir, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // a relative path is invalid and is ignored (XDG Base Directory Specification)
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("store: %w; name its folder", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "showcause"), nil
}

// Options say how to open a store.
type Options struct {
	ReadOnly bool // make nothing, write nothing, need no private key
	// NewLog begins a log under the key of a store whose log is gone, and is the
	// reason for it. Store.NewLogs tells of it from then on.
	NewLog string
	FS     *disk.FS // nil: the disk as it is
}

// Store is an open store. It is safe for concurrent use, and several processes
// may have it open at a time.
type Store struct {
	dir      *disk.Dir
	lock     *disk.File
	records  *disk.Dir
	incoming *disk.Dir
	keys     []*evidence.Key
	public   []evidence.PublicKey
	log      *translog.Log

	mu    sync.Mutex
	notes []string
}

const (
	keyName     = "key"
	publicName  = "key.pub"
	recordsDir  = "records"
	incomingDir = "incoming"
	logDir      = "log"
	policyName  = "witnesses"
	lockName    = "lock"

	suffix    = ".scf"
	maxKey    = 64 << 10
	maxRecord = 64 << 20
	maxPolicy = 1 << 20

	// many is from how many files on all are made durable in one go.
	many = 64
)

// Open opens a store and makes it if it is not there. What a process that died
// left to do is done; Notes tells of it. A *translog.Fault means that the log
// is damaged: nothing is appended to it.
func Open(dir string, o Options) (s *Store, err error) {
	s = &Store{}
	if o.ReadOnly {
		s.dir, err = o.FS.OpenDir(dir)
	} else {
		s.dir, err = o.FS.MakeDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.open(o); err != nil {
		s.Close()
		return nil, fmt.Errorf("store: %w", err)
	}
	return s, nil
}

func (s *Store) open(o Options) (err error) {
	if o.ReadOnly {
		if err := s.readPublic(); err != nil {
			return err
		}
		if s.records, err = s.dir.Sub(recordsDir, false); err != nil {
			return err
		}
		s.incoming, err = s.dir.Sub(incomingDir, false)
		if err != nil {
			return err
		}
		if logged, err := s.hasLog(); err != nil || !logged {
			return cmp.Or(err, s.noLog())
		}
		return s.openLog(o, false)
	}
	if err := s.dir.Own(); err != nil { // the folder may be older than the store: a ledger is in it too
		return err
	}
	if s.lock, err = s.dir.Open(lockName, unix.O_RDWR|unix.O_CREAT, 0o600); err != nil {
		return err
	}
	return s.locked(func() error {
		if s.records, err = s.dir.Sub(recordsDir, true); err != nil {
			return err
		}
		if s.incoming, err = s.dir.Sub(incomingDir, true); err != nil {
			return err
		}
		for _, d := range []*disk.Dir{s.records, s.incoming} {
			if err := d.Private(); err != nil {
				return err
			}
		}
		if _, err := s.dir.Sweep(); err != nil {
			return err
		}
		create, err := s.begin(o)
		if err != nil {
			return err
		}
		if err := s.openKeys(); err != nil {
			return err
		}
		if err := s.openLog(o, create); err != nil {
			return err
		}
		if err := s.begun(); err != nil {
			return err
		}
		return s.settle()
	})
}

func (s *Store) readPublic() error {
	b, err := s.dir.ReadFile(publicName, maxKey)
	if err != nil {
		return err
	}
	s.public, err = evidence.ParsePublicKeys(b)
	return err
}

// openKeys reads the host's keys, and makes one where there is none, which begin
// allowed then.
func (s *Store) openKeys() error {
	b, err := s.dir.ReadFile(keyName, maxKey)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := evidence.NewKey()
		if err != nil {
			return err
		}
		b = key.PEM()
		if err := s.dir.WriteFile(keyName, b, 0o600); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if s.keys, err = evidence.ParseKeys(b); err != nil {
		return err
	}
	var public []byte
	for _, k := range s.keys {
		s.public = append(s.public, k.Public())
		public = append(public, k.Public().PEM()...)
	}
	was, err := s.dir.ReadFile(publicName, maxKey)
	if err == nil && string(was) == string(public) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s is not the public half of %s", publicName, keyName)
	}
	return s.dir.WriteFile(publicName, public, 0o600)
}

// logKey is the first Ed25519 key.
func (s *Store) logKey() (ed25519.PublicKey, ed25519.PrivateKey, error) {
	for i, p := range s.public {
		if pub := p.Ed25519(); pub != nil {
			if s.keys == nil {
				return pub, nil, nil
			}
			return pub, s.keys[i].Ed25519(), nil
		}
	}
	return nil, nil, errors.New("no Ed25519 key")
}

func (s *Store) openLog(o Options, create bool) error {
	pub, key, err := s.logKey()
	if err != nil {
		return err
	}
	lo := translog.Options{Public: pub, Create: create, FS: o.FS}
	if key != nil {
		lo.Key = key
	}
	lo.Policy, err = s.dir.ReadFile(policyName, maxPolicy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.log, err = translog.Open(filepath.Join(s.dir.Name(), logDir), lo)
	if err != nil {
		return err
	}
	s.notes = append(s.notes, s.log.Notes()...)
	return nil
}

// Close gives the folder back.
func (s *Store) Close() error {
	for _, d := range []*disk.Dir{s.records, s.incoming} {
		if d != nil {
			d.Close()
		}
	}
	if s.log != nil {
		s.log.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
	return s.dir.Close()
}

func (s *Store) locked(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return errors.New("opened to read only")
	}
	if err := s.lock.Lock(true); err != nil {
		return err
	}
	defer s.lock.Unlock()
	return do()
}

// Dir returns the store's path.
func (s *Store) Dir() string { return s.dir.Name() }

// Keys returns the host's keys, as evidence.Seal wants them; none if the store
// was opened to read only.
func (s *Store) Keys() []*evidence.Key { return slices.Clone(s.keys) }

// Public returns the public halves.
func (s *Store) Public() []evidence.PublicKey { return slices.Clone(s.public) }

// Log returns the log of the records.
func (s *Store) Log() *translog.Log { return s.log }

// Verifier checks signatures of the log's checkpoints.
func (s *Store) Verifier() (note.Verifier, error) {
	pub, _, err := s.logKey()
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return translog.Verifier(pub)
}

// Notes tells what opening found and did, a sentence each.
func (s *Store) Notes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

// Folder opens a folder of the store, and makes it if it is not there.
func (s *Store) Folder(name string) (*disk.Dir, error) {
	d, err := s.dir.Sub(name, s.lock != nil)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return d, nil
}

// validName tells whether a text is a record's name, or the beginning of one.
func validName(name string, whole bool) bool {
	if whole && len(name) != 64 || len(name) > 64 {
		return false
	}
	_, err := hex.DecodeString(name + strings.Repeat("0", len(name)%2))
	return err == nil && strings.ToLower(name) == name
}

//go:build linux

package translog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/disk"
)

// Options say how to open a log.
type Options struct {
	Public ed25519.PublicKey // the log's key; needed
	Key    crypto.Signer     // signs checkpoints; nil: only read, no journal is carried out
	Create bool              // make the log if there is none
	Policy []byte            // C2SP tlog-policy that names witnesses; nil: none are asked for
	FS     *disk.FS          // nil: the disk as it is
}

// Log is an open log. It is safe for concurrent use, and several processes may
// have it open at a time.
type Log struct {
	dir       *disk.Dir
	lock      *disk.File // nil where the folder cannot be written to
	key       crypto.Signer
	verifier  note.Verifier
	witnesses *policy

	mu      sync.Mutex
	raw     []byte // the checkpoint as it stands in the folder
	edge    *edge
	notes   []string // what opening found
	pending int      // digests in a journal that is left to a writer
	err     error    // closed
}

const (
	checkpointName = "checkpoint"
	pendingName    = "pending"
	cosignedName   = "cosigned"
	cosigningName  = "cosigning"
	lockName       = "lock"
)

// Open opens a log, and proves its right edge: the checkpoint's signature, that
// the last tiles give its root, and that nothing stands beyond it. What a
// process that died left to do is done; Notes tells of it. A *Fault means that
// the log is damaged: nothing is appended to it any more. Check proves all of it.
func Open(dir string, o Options) (*Log, error) {
	v, err := Verifier(o.Public)
	if err != nil {
		return nil, err
	}
	l := &Log{key: o.Key, verifier: v}
	if l.witnesses, err = parsePolicy(o.Policy); err != nil {
		return nil, err
	}
	if o.Key != nil && o.Create {
		l.dir, err = o.FS.MakeDir(dir)
	} else {
		l.dir, err = o.FS.OpenDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	if err := l.open(o.Create); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) open(create bool) (err error) {
	flags := unix.O_RDONLY
	if l.key != nil {
		flags = unix.O_RDWR | unix.O_CREAT
	}
	l.lock, err = l.dir.Open(lockName, flags, 0o600)
	if err != nil && (l.key != nil || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("log: %w", err)
	}
	return l.locked(l.key != nil, func() error {
		if l.key == nil {
			return l.load()
		}
		if n, err := l.dir.Sweep(); err != nil {
			return fmt.Errorf("log: %w", err)
		} else if n > 0 {
			l.notes = append(l.notes, fmt.Sprintf("%d temporary files of a writer that died were removed", n))
		}
		if create {
			if err := l.create(); err != nil {
				return err
			}
		}
		return l.current()
	})
}

// create makes the checkpoint of the empty log, if the folder holds no log.
func (l *Log) create() error {
	names, err := l.dir.Names()
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	for _, n := range names {
		if n != lockName {
			return nil
		}
	}
	b, err := tree{l.verifier.Name(), tlog.Tree{Hash: sha256.Sum256(nil)}}.sign(l.key, l.verifier)
	if err != nil {
		return err
	}
	if err := l.dir.WriteFile(checkpointName, b, 0o600); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

// Close gives the folder back.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = errors.New("log: closed")
		if l.lock != nil {
			l.lock.Close()
		}
		return l.dir.Close()
	}
	return nil
}

// locked runs do under the lock between threads and that between processes.
func (l *Log) locked(alone bool, do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.lock != nil {
		if err := l.lock.Lock(alone); err != nil {
			return fmt.Errorf("log: %w", err)
		}
		defer l.lock.Unlock()
	}
	return do()
}

// Notes tells what opening found and did, a sentence each.
func (l *Log) Notes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.notes...)
}

// Size is the number of entries that the log is known to have.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edge.size
}

// Checkpoint is the signed note of that size.
func (l *Log) Checkpoint() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.raw)
}

// Append adds digests in order and returns the index of the first. When it
// returns they are durable, all of them or, after an error, none; only after
// ErrPending they are in the journal, and the next Append or Open adds them.
func (l *Log) Append(ds []Digest) (first int64, err error) {
	if l.key == nil {
		return 0, errors.New("log: opened to read only")
	}
	if len(ds) > MaxBatch {
		return 0, fmt.Errorf("log: %d digests at once, at most %d", len(ds), MaxBatch)
	}
	err = l.locked(true, func() error {
		if err := l.current(); err != nil {
			return err
		}
		first = l.edge.size
		if len(ds) == 0 {
			return nil
		}
		return l.append(ds)
	})
	return first, err
}

// ErrPending says that digests are in the journal and not yet in the log.
var ErrPending = errors.New("log: written to the journal, not yet to the log: the next opening finishes it")

func (l *Log) append(ds []Digest) error {
	next := l.edge.clone()
	tiles := next.add(ds)
	t := tree{l.verifier.Name(), tlog.Tree{N: next.size, Hash: next.root()}}
	p := pending{old: l.edge.size, tree: t, digests: ds}
	if err := l.dir.WriteFile(pendingName, p.encode(), 0o600); err != nil {
		if gone := l.forget(); gone != nil {
			return fmt.Errorf("%w: %w", ErrPending, err)
		}
		return fmt.Errorf("log: %w", err)
	}
	if err := l.publish(tiles, t); err != nil {
		if undone := l.undo(tiles); undone != nil {
			return fmt.Errorf("%w: %w", ErrPending, err)
		}
		return fmt.Errorf("log: %w", err)
	}
	old := l.edge
	l.edge = next
	if err := l.finish(old); err != nil { // the digests are in; the journal's end is done by the next one
		l.notes = append(l.notes, fmt.Sprintf("the journal could not be closed: %v", err))
	}
	return nil
}

// publish makes tiles durable, then the checkpoint that tells of them.
func (l *Log) publish(tiles []made, t tree) error {
	// Many files are made durable in one go.
	each := len(tiles) <= 10
	folders := map[string]bool{}
	for _, m := range tiles {
		folder := path.Dir(m.path())
		d, err := l.dir.Sub(folder, true)
		if err != nil {
			return err
		}
		err = d.Create(path.Base(m.path()), m.data, 0o600, each)
		d.Close()
		if err != nil {
			return err
		}
		folders[folder] = true
	}
	if !each {
		if err := l.dir.SyncAll(); err != nil {
			return err
		}
		folders = nil
	}
	for folder := range folders {
		if err := l.syncFolder(folder); err != nil {
			return err
		}
	}
	b, err := t.sign(l.key, l.verifier)
	if err != nil {
		return err
	}
	if err := l.dir.WriteFile(checkpointName, b, 0o600); err != nil {
		return err
	}
	l.raw = b
	return nil
}

func (l *Log) syncFolder(name string) error {
	d, err := l.dir.Sub(name, false)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// finish removes the partial tiles of a smaller tree, and the journal.
func (l *Log) finish(old *edge) error {
	if err := l.removePartials(old.size, l.edge.size); err != nil {
		return err
	}
	return l.forget()
}

func (l *Log) forget() error {
	if err := l.dir.Remove(pendingName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.dir.Sync()
}

// removePartials removes the last tiles of a tree of size old that a tree of
// size now has wider.
func (l *Log) removePartials(old, now int64) error {
	for level := entriesLevel; level <= 0 || levelSize(level, old) > 0; level++ {
		was, is := levelSize(level, old), levelSize(level, now)
		w := int(was % tileWidth)
		if w == 0 || was == is {
			continue
		}
		if err := l.removeTile(tilePath(level, was/tileWidth, w)); err != nil {
			return err
		}
	}
	return nil
}

// removeTile removes a tile, and the folder of its partial widths if it is empty.
func (l *Log) removeTile(name string) error {
	d, err := l.dir.Sub(path.Dir(name), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.Remove(path.Base(name))
	d.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if folder := path.Dir(name); strings.HasSuffix(folder, ".p") {
		up, err := l.dir.Sub(path.Dir(folder), false)
		if err != nil {
			return err
		}
		defer up.Close()
		err = up.RemoveDir(path.Base(folder))
		if err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return up.Sync()
	}
	return nil
}

// undo takes an append back whose checkpoint did not come to be.
func (l *Log) undo(tiles []made) error {
	raw, err := l.dir.ReadFile(checkpointName, maxCheckpoint)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, l.raw) {
		return errors.New("log: the new checkpoint is there")
	}
	for _, m := range tiles {
		if err := l.removeTile(m.path()); err != nil {
			return err
		}
	}
	return l.forget()
}

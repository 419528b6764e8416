//go:build linux

package translog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// State is what Check proved.
type State struct {
	Origin   string
	Size     int64
	Root     tlog.Hash
	Pending  int   // digests in the journal of a writer that died: the next writer appends them
	Cosigned int64 // size of the newest checkpoint that enough witnesses signed; 0: none
}

// Check proves the whole log: every entry gives its leaf, every tile is what
// those below it give, the checkpoint is that of the root, and no file is there
// that is not of it. each is called with every entry in order, unless it is nil.
// What is wrong is a *Fault.
func (l *Log) Check(each func(index int64, d Digest) error) (s State, err error) {
	err = l.locked(l.key != nil, func() error {
		if l.key != nil {
			if err := l.current(); err != nil {
				return err
			}
		}
		if err := l.load(); err != nil {
			return err
		}
		t, err := openCheckpoint(l.raw, l.verifier, checkpointName)
		if err != nil {
			return err
		}
		if err := l.checkAll(t, each); err != nil {
			return err
		}
		s = State{Origin: t.origin, Size: t.N, Root: t.Hash, Pending: l.pending}
		s.Cosigned, err = l.cosignedSize()
		return err
	})
	return s, err
}

// pendingIsGood tells how many digests a journal has, 0 where there is none, and
// refuses a damaged one.
func (l *Log) pendingIsGood() (int, error) {
	b, err := l.dir.ReadFile(pendingName, maxPending)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	p, err := decodePending(b)
	return len(p.digests), err
}

func (l *Log) checkAll(t tree, each func(int64, Digest) error) error {
	e := &edge{}
	for n := int64(0); n*tileWidth < t.N; n++ {
		es, err := l.readEntries(n, widthAt(entriesLevel, n, t.N))
		if err != nil {
			return err
		}
		for _, m := range e.add(es) {
			if m.width != widthAt(m.level, m.n, t.N) {
				continue // it grew
			}
			b, err := l.readTile(m.level, m.n, m.width)
			if err != nil {
				return err
			}
			if !bytes.Equal(b, m.data) {
				return fault(BadTile, m.path(), "is not what is below it")
			}
		}
		for i, d := range es {
			if each == nil {
				break
			}
			if err := each(n*tileWidth+int64(i), d); err != nil {
				return err
			}
		}
	}
	if e.root() != t.Hash {
		return fault(BadRoot, checkpointName, "the entries do not give the root of %d entries", t.N)
	}
	if l.pending > 0 {
		return nil
	}
	return l.checkNames("tile", t.N)
}

var number = regexp.MustCompile(`^(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]+)?$`)

// checkNames refuses files that are not of the log.
func (l *Log) checkNames(folder string, size int64) error {
	names, err := l.names(folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		full := path.Join(folder, name)
		st, err := l.dir.Lstat(full)
		if err != nil {
			return fmt.Errorf("log: %w", err)
		}
		if st.Mode&0o170000 == 0o040000 {
			if err := l.checkNames(full, size); err != nil {
				return err
			}
			continue
		}
		if !wanted(full, size) {
			return fault(SetBack, full, "is not of a log of %d entries", size)
		}
	}
	return nil
}

// wanted tells whether a file is of a log of this size.
func wanted(name string, size int64) bool {
	rest, _ := strings.CutPrefix(name, "tile/")
	kind, num, _ := strings.Cut(rest, "/")
	level := entriesLevel
	if kind != "entries" {
		var err error
		if level, err = strconv.Atoi(kind); err != nil || level < 0 || level > 7 {
			return false
		}
	}
	if !number.MatchString(num) {
		return false
	}
	num, part, partial := strings.Cut(num, ".p/")
	n, err := strconv.ParseInt(strings.NewReplacer("x", "", "/", "").Replace(num), 10, 64)
	if err != nil {
		return false
	}
	width := widthAt(level, n, size)
	return width > 0 && tilePath(level, n, width) == name && partial == (width < tileWidth) && (part == "" || part == strconv.Itoa(width))
}

// Entries calls each with the entries from an index on.
func (l *Log) Entries(from int64, each func(index int64, d Digest) error) error {
	return l.locked(false, func() error {
		if err := l.load(); err != nil {
			return err
		}
		size := l.edge.size
		for n := max(0, from) / tileWidth; n*tileWidth < size; n++ {
			es, err := l.readEntries(n, widthAt(entriesLevel, n, size))
			if err != nil {
				return err
			}
			for i, d := range es {
				if index := n*tileWidth + int64(i); index >= from {
					if err := each(index, d); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// errFound ends a search.
var errFound = errors.New("found")

// Find looks for the first entry of this digest.
func (l *Log) Find(d Digest) (index int64, found bool, err error) {
	err = l.Entries(0, func(i int64, e Digest) error {
		if e == d {
			index, found = i, true
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return index, found, err
}

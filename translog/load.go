//go:build linux

package translog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/mod/sumdb/tlog"
)

func (l *Log) readCheckpoint() (tree, error) {
	raw, err := l.dir.ReadFile(checkpointName, maxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return tree{}, fault(NoCheckpoint, checkpointName, "is not there")
	}
	if err != nil {
		return tree{}, fmt.Errorf("log: %w", err)
	}
	t, err := openCheckpoint(raw, l.verifier, checkpointName)
	if err == nil {
		l.raw = raw
	}
	return t, err
}

// load reads and proves the right edge.
func (l *Log) load() error {
	t, err := l.readCheckpoint()
	if err != nil {
		return err
	}
	e, err := l.loadEdge(t)
	if err != nil {
		return err
	}
	// An append that is under way, or that a writer which died began, has tiles
	// beyond the checkpoint.
	if l.pending, err = l.pendingIsGood(); err != nil {
		return err
	}
	if l.pending == 0 {
		if err := l.nothingBeyond(t.N); err != nil {
			return err
		}
	}
	l.edge = e
	return l.continuesCosigned(t)
}

// loadEdge reads the last tiles of a tree and holds them against its root, and
// the last entries against the last leaves.
func (l *Log) loadEdge(t tree) (*edge, error) {
	e := &edge{size: t.N}
	for level := 0; levelSize(level, t.N) > 0; level++ {
		n := levelSize(level, t.N)
		var hs []tlog.Hash
		if w := int(n % tileWidth); w > 0 {
			b, err := l.readTile(level, n/tileWidth, w)
			if err != nil {
				return nil, err
			}
			hs = decodeHashes(b)
		}
		e.levels = append(e.levels, hs)
	}
	if e.root() != t.Hash {
		return nil, fault(BadRoot, checkpointName, "the last tiles do not give the root of %d entries", t.N)
	}
	if w := int(t.N % tileWidth); w > 0 {
		es, err := l.readEntries(t.N/tileWidth, w)
		if err != nil {
			return nil, err
		}
		for i, d := range es {
			if tlog.RecordHash(d[:]) != e.levels[0][i] {
				return nil, fault(BadEntries, tilePath(entriesLevel, t.N/tileWidth, w), "entry %d is not that of the tree", t.N/tileWidth*tileWidth+int64(i))
			}
		}
		e.entries = es
	}
	return e, nil
}

// nothingBeyond refuses a folder with tiles of a larger tree at the right edge.
func (l *Log) nothingBeyond(size int64) error {
	for level := entriesLevel; level <= 0 || levelSize(level-1, size) > 0; level++ {
		n := levelSize(level, size)
		number, w := n/tileWidth, int(n%tileWidth)
		full := tilePath(level, number, tileWidth)
		for _, name := range []string{full, tilePath(level, number+1, tileWidth), path.Dir(tilePath(level, number+1, 1))} {
			if there, err := l.has(name); err != nil {
				return err
			} else if there {
				return fault(SetBack, name, "the checkpoint tells of %d entries", size)
			}
		}
		names, err := l.names(full + ".p")
		if err != nil {
			return err
		}
		for _, name := range names {
			if name != fmt.Sprint(w) || w == 0 {
				return fault(SetBack, full+".p/"+name, "the checkpoint tells of %d entries", size)
			}
		}
	}
	return nil
}

func (l *Log) has(name string) (bool, error) {
	there, err := l.dir.Has(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("log: %w", err)
	}
	return there, nil
}

func (l *Log) names(folder string) ([]string, error) {
	d, err := l.dir.Sub(folder, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer d.Close()
	names, err := d.Names()
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return names, nil
}

// readTile reads the file of a tile of exactly this width.
func (l *Log) readTile(level int, n int64, width int) ([]byte, error) {
	code, each := BadTile, tlog.HashSize
	if level == entriesLevel {
		code, each = BadEntries, entrySize
	}
	name := tilePath(level, n, width)
	b, err := l.dir.ReadFile(name, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault(code, name, "is not there")
	case err != nil:
		return nil, fmt.Errorf("log: %w", err)
	case len(b) != width*each:
		return nil, fault(code, name, "%d bytes, want %d", len(b), width*each)
	}
	return b, nil
}

func (l *Log) readEntries(n int64, width int) ([]Digest, error) {
	b, err := l.readTile(entriesLevel, n, width)
	if err != nil {
		return nil, err
	}
	return decodeEntries(b, width, tilePath(entriesLevel, n, width))
}

// widthAt is the width of a tile in a tree of this size.
func widthAt(level int, n, size int64) int {
	return int(max(0, min(tileWidth, levelSize(level, size)-n*tileWidth)))
}

// tiles reads tiles for tlog, of this tree or of a smaller one.
type tiles struct {
	l    *Log
	size int64 // of the tree whose tiles are in the folder
}

func (t tiles) Height() int { return height }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(want))
	for i, x := range want {
		b, err := t.l.readTile(x.L, x.N, widthAt(x.L, x.N, t.size))
		if err != nil {
			return nil, err
		}
		if len(b) < x.W*tlog.HashSize {
			return nil, fault(BadTile, tilePath(x.L, x.N, x.W), "is not there")
		}
		out[i] = b[:x.W*tlog.HashSize]
	}
	return out, nil
}

// hashes reads proven hashes of the present tree.
func (l *Log) hashes() (tree, tlog.HashReader, error) {
	t, err := openCheckpoint(l.raw, l.verifier, checkpointName)
	if err != nil {
		return t, nil, err
	}
	return t, tlog.TileHashReader(t.Tree, tiles{l, t.N}), nil
}

// treeFault says that tlog refused tiles.
func treeFault(err error) error {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return fault(BadTile, "tile", "%v", err)
}

package translog

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is the right side of a tree: the tiles that are not full.
type edge struct {
	size    int64
	entries []Digest
	levels  [][]tlog.Hash // by level of tiles, fewer than tileWidth each
}

// A tile that came to be.
type made struct {
	level int
	n     int64
	width int
	data  []byte
}

func (m made) path() string { return tilePath(m.level, m.n, m.width) }

func (e *edge) clone() *edge {
	c := &edge{size: e.size, entries: append([]Digest(nil), e.entries...)}
	for _, l := range e.levels {
		c.levels = append(c.levels, append([]tlog.Hash(nil), l...))
	}
	return c
}

// add appends entries, and returns the tiles that are to be written: full ones,
// and the last one of each level that changed.
func (e *edge) add(ds []Digest) (out []made) {
	old := e.size
	for _, d := range ds {
		e.entries = append(e.entries, d)
		e.size++
		if len(e.entries) == tileWidth {
			out = append(out, made{entriesLevel, e.size/tileWidth - 1, tileWidth, encodeEntries(e.entries)})
			e.entries = e.entries[:0]
		}
		out = e.push(0, tlog.RecordHash(d[:]), out)
	}
	if w := len(e.entries); w > 0 && len(ds) > 0 {
		out = append(out, made{entriesLevel, e.size / tileWidth, w, encodeEntries(e.entries)})
	}
	for l, hs := range e.levels {
		if len(hs) > 0 && levelSize(l, old) != levelSize(l, e.size) {
			out = append(out, made{l, levelSize(l, e.size) / tileWidth, len(hs), encodeHashes(hs)})
		}
	}
	return out
}

// push adds a hash to a level, and to those above where a tile gets full.
func (e *edge) push(level int, h tlog.Hash, out []made) []made {
	for len(e.levels) <= level {
		e.levels = append(e.levels, nil)
	}
	e.levels[level] = append(e.levels[level], h)
	if hs := e.levels[level]; len(hs) == tileWidth {
		out = append(out, made{level, levelSize(level, e.size)/tileWidth - 1, tileWidth, encodeHashes(hs)})
		up := fold(hs)
		e.levels[level] = hs[:0]
		return e.push(level+1, up, out)
	}
	return out
}

// root is the tree's hash (RFC 6962, section 2.1).
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		return sha256.Sum256(nil)
	}
	var acc *tlog.Hash
	for _, hs := range e.levels { // from the right to the left
		for len(hs) > 0 {
			w := len(hs) & -len(hs) // the smallest full subtree is the last
			h := fold(hs[len(hs)-w:])
			hs = hs[:len(hs)-w]
			if acc != nil {
				h = tlog.NodeHash(h, *acc)
			}
			acc = &h
		}
	}
	return *acc
}

// fold is the root of a full subtree of 2^k hashes.
func fold(hs []tlog.Hash) tlog.Hash {
	if len(hs) == 1 {
		return hs[0]
	}
	return tlog.NodeHash(fold(hs[:len(hs)/2]), fold(hs[len(hs)/2:]))
}

func encodeHashes(hs []tlog.Hash) []byte {
	b := make([]byte, 0, len(hs)*tlog.HashSize)
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

func decodeHashes(b []byte) []tlog.Hash {
	hs := make([]tlog.Hash, len(b)/tlog.HashSize)
	for i := range hs {
		copy(hs[i][:], b[i*tlog.HashSize:])
	}
	return hs
}

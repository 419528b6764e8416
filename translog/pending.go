//go:build linux

package translog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// pending is the journal of one append.
//
//	showcause-log-pending/v1
//	ORIGIN
//	OLD SIZE
//	NEW SIZE
//	NEW ROOT                 base64
//	DIGEST                   hex, a line each
//	sum SHA-256              hex, of all lines before
type pending struct {
	old     int64
	tree    tree
	digests []Digest
}

const (
	pendingHeader = "showcause-log-pending/v1"
	maxPending    = 1024 + MaxBatch*(2*sha256.Size+1)
)

func (p pending) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n%d\n%d\n%s\n", pendingHeader, p.tree.origin, p.old, p.tree.N, p.tree.Hash)
	for _, d := range p.digests {
		b.WriteString(hex.EncodeToString(d[:]))
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "sum %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// decodePending reads a journal in its one spelling.
func decodePending(b []byte) (p pending, err error) {
	bad := func(why string) (pending, error) { return p, fault(BadPending, pendingName, "%s", why) }
	lines := strings.Split(string(b), "\n")
	if len(lines) < 7 || lines[0] != pendingHeader || len(lines)-7 > MaxBatch {
		return bad("not a journal")
	}
	p.tree.origin = lines[1]
	p.old, err = strconv.ParseInt(lines[2], 10, 64)
	if err != nil {
		return bad("size")
	}
	p.tree.N, err = strconv.ParseInt(lines[3], 10, 64)
	if err != nil {
		return bad("size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[4])
	if err != nil || len(root) != tlog.HashSize {
		return bad("root")
	}
	p.tree.Hash = tlog.Hash(root)
	for _, line := range lines[5 : len(lines)-2] {
		d, err := hex.DecodeString(line)
		if err != nil || len(d) != sha256.Size {
			return bad("digest")
		}
		p.digests = append(p.digests, Digest(d))
	}
	if !bytes.Equal(p.encode(), b) {
		return bad("its sum or its spelling is wrong")
	}
	if p.old < 0 || p.tree.N-p.old != int64(len(p.digests)) {
		return bad("sizes and number of digests differ")
	}
	return p, nil
}

// current brings what is known of the log up to date under the writer's lock,
// and carries out a journal that was left behind.
func (l *Log) current() error {
	b, err := l.dir.ReadFile(pendingName, maxPending)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		raw, err := l.dir.ReadFile(checkpointName, maxCheckpoint)
		if err == nil && l.edge != nil && bytes.Equal(raw, l.raw) {
			return nil
		}
		return l.load()
	case err != nil:
		return fmt.Errorf("log: %w", err)
	}
	p, err := decodePending(b)
	if err != nil {
		return err
	}
	if err := l.redo(p); err != nil {
		return err
	}
	return l.load()
}

// redo carries an append out again that a process which died, or which had no
// space, began.
func (l *Log) redo(p pending) error {
	t, err := l.readCheckpoint()
	if err != nil {
		return err
	}
	switch {
	case p.tree.origin != t.origin:
		return fault(BadPending, pendingName, "of another log: %q", p.tree.origin)
	case t == p.tree: // only the end is missing
		l.edge = &edge{size: t.N}
		if err := l.finish(&edge{size: p.old}); err != nil {
			return fmt.Errorf("%w: %w", ErrPending, err)
		}
		l.notes = append(l.notes, fmt.Sprintf("a writer died after it had appended %d entries: its journal was closed", len(p.digests)))
		return nil
	case t.N != p.old:
		return fault(BadPending, pendingName, "continues a log of %d entries, this has %d", p.old, t.N)
	}
	old, err := l.loadEdge(t)
	if err != nil {
		return err
	}
	next := old.clone()
	tiles := next.add(p.digests)
	if next.root() != p.tree.Hash {
		return fault(BadPending, pendingName, "its digests do not give its root")
	}
	if err := l.publish(tiles, p.tree); err != nil {
		return fmt.Errorf("%w: %w", ErrPending, err)
	}
	l.edge = next
	if err := l.finish(old); err != nil {
		return fmt.Errorf("%w: %w", ErrPending, err)
	}
	l.notes = append(l.notes, fmt.Sprintf("a writer died while it appended %d entries: they were appended from its journal", len(p.digests)))
	return nil
}

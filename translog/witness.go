//go:build linux

package translog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Cosign takes a checkpoint of this log that witnesses signed, keeps their
// signatures, and tells whether they are enough by the policy now. Signatures
// of others than the policy's witnesses are left out.
func (l *Log) Cosign(signed []byte) (enough bool, err error) {
	if l.key == nil {
		return false, errors.New("log: opened to read only")
	}
	if l.witnesses == nil {
		return false, errors.New("log: no policy names witnesses")
	}
	err = l.locked(true, func() error {
		if err := l.current(); err != nil {
			return err
		}
		t, err := openCheckpoint(signed, l.verifier, "")
		if err != nil {
			return err
		}
		if err := l.continues(t, ""); err != nil {
			return err
		}
		n, err := note.Open(signed, note.VerifierList(append([]note.Verifier{l.verifier}, l.witnesses.keys...)...))
		if err != nil {
			return fault(BadSignature, "", "%v", err)
		}
		if len(n.Sigs) < 2 {
			return fault(NoQuorum, "", "no witness of the policy signed it")
		}
		enough, err = l.keep(t, n)
		return err
	})
	return enough, err
}

// keep merges signatures with those that are there, and writes them.
func (l *Log) keep(t tree, n *note.Note) (bool, error) {
	for _, name := range []string{cosigningName, cosignedName} {
		b, old, err := l.readCosigned(name)
		if err != nil {
			return false, err
		}
		if b == nil || old != t {
			continue
		}
		was, err := note.Open(b, note.VerifierList(append([]note.Verifier{l.verifier}, l.witnesses.keys...)...))
		if err != nil {
			return false, fault(BadCosigned, name, "%v", err)
		}
		for _, s := range was.Sigs {
			if !slices.ContainsFunc(n.Sigs, func(x note.Signature) bool { return x.Name == s.Name && x.Hash == s.Hash }) {
				n.Sigs = append(n.Sigs, s)
			}
		}
	}
	n.UnverifiedSigs = nil
	b, err := note.Sign(n)
	if err != nil {
		return false, fmt.Errorf("log: cosignatures: %w", err)
	}
	enough := l.witnesses.satisfied(b)
	name := cosigningName
	if enough {
		name = cosignedName
		if old, c, err := l.readCosigned(name); err != nil {
			return false, err
		} else if old != nil && c.N > t.N {
			return true, nil // a newer one is kept
		}
	}
	if err := l.dir.WriteFile(name, b, 0o600); err != nil {
		return false, fmt.Errorf("log: %w", err)
	}
	return enough, nil
}

// readCosigned reads a kept checkpoint; nil if there is none.
func (l *Log) readCosigned(name string) ([]byte, tree, error) {
	b, err := l.dir.ReadFile(name, maxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, tree{}, nil
	}
	if err != nil {
		return nil, tree{}, fmt.Errorf("log: %w", err)
	}
	t, err := openCheckpoint(b, l.verifier, name)
	return b, t, err
}

// continues refuses a tree that is not the beginning of the present one.
func (l *Log) continues(t tree, where string) error {
	now, r, err := l.hashes()
	if err != nil {
		return err
	}
	if t.N > now.N {
		return fault(BadCosigned, where, "tells of %d entries, there are %d: the log was set back", t.N, now.N)
	}
	root, err := tlog.TreeHash(t.N, r)
	if err != nil {
		return treeFault(err)
	}
	if root != t.Hash {
		return fault(BadCosigned, where, "another tree of %d entries", t.N)
	}
	return nil
}

// continuesCosigned holds the log against what witnesses signed of it.
func (l *Log) continuesCosigned(tree) error {
	b, t, err := l.readCosigned(cosignedName)
	if err != nil || b == nil {
		return err
	}
	return l.continues(t, cosignedName)
}

// cosignedSize is the size of the newest checkpoint that witnesses signed, if
// it satisfies the policy.
func (l *Log) cosignedSize() (int64, error) {
	b, t, err := l.readCosigned(cosignedName)
	switch {
	case err != nil || b == nil:
		return 0, err
	case !l.witnesses.satisfied(b):
		return 0, fault(NoQuorum, cosignedName, "lacks cosignatures")
	}
	return t.N, nil
}

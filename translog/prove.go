//go:build linux

package translog

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

// Prove returns the proof that the entry of an index is in the log: a file of
// C2SP tlog-proof v1. It rests on the newest checkpoint that enough witnesses
// signed and that covers the entry, else on the newest one.
func (l *Log) Prove(index int64) (out []byte, err error) {
	err = l.locked(false, func() error {
		if err := l.load(); err != nil {
			return err
		}
		t, r, err := l.hashes()
		if err != nil {
			return err
		}
		if index < 0 || index >= t.N {
			return fmt.Errorf("log: no entry %d: there are %d", index, t.N)
		}
		cp := l.raw
		if b, c, err := l.readCosigned(cosignedName); err != nil {
			return err
		} else if b != nil && index < c.N {
			cp, t = b, c
		}
		p, err := tlog.ProveRecord(t.N, index, r)
		if err != nil {
			return treeFault(err)
		}
		out = proof.TLogProof{Index: uint64(index), Hashes: hashList(p), Checkpoint: cp}.Marshal()
		return nil
	})
	return out, err
}

// Consistency returns the hashes which prove that the log of old entries is the
// beginning of the present one (RFC 6962, section 2.1.2), and its checkpoint.
func (l *Log) Consistency(old int64) (hashes []tlog.Hash, checkpoint []byte, err error) {
	err = l.locked(false, func() error {
		if err := l.load(); err != nil {
			return err
		}
		t, r, err := l.hashes()
		if err != nil {
			return err
		}
		checkpoint = l.raw
		if old < 0 || old > t.N {
			return fmt.Errorf("log: no tree of %d entries: there are %d", old, t.N)
		}
		if old == 0 || old == t.N {
			return nil
		}
		p, err := tlog.ProveTree(t.N, old, r)
		hashes = p
		return treeFault(err)
	})
	return hashes, checkpoint, err
}

// WitnessRequest is the body that asks a witness which saw old entries to sign
// the present checkpoint (C2SP tlog-witness, add-checkpoint). Sending it is not
// this package's affair.
func (l *Log) WitnessRequest(old int64) ([]byte, error) {
	hs, cp, err := l.Consistency(old)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range hs {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(cp)
	return b.Bytes(), nil
}

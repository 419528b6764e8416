package translog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
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

func hashList[H ~[32]byte](hs []H) (out [][32]byte) {
	for _, h := range hs {
		out = append(out, h)
	}
	return out
}

// maxProof bounds a proof: 64 hashes and a checkpoint.
const maxProof = maxCheckpoint + 64*64

// CheckProof holds a proof against a digest: that it is in the log of this key,
// and that as many witnesses as a policy asks for (nil: none) signed that log.
// It returns the entry's index. A proof that is refused is a *Fault.
func CheckProof(text []byte, d Digest, v note.Verifier, policyText []byte) (index int64, err error) {
	if len(text) > maxProof {
		return 0, fault(BadProof, "", "%d bytes", len(text))
	}
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return 0, fault(BadProof, "", "%v", err)
	}
	if p.ExtraData != nil || p.Index > math.MaxInt64 || !bytes.Equal(p.Marshal(), text) {
		return 0, fault(BadProof, "", "not in its one spelling")
	}
	t, err := openCheckpoint(p.Checkpoint, v, "")
	if err != nil {
		return 0, err
	}
	var rp tlog.RecordProof
	for _, h := range p.Hashes {
		rp = append(rp, h)
	}
	if int64(p.Index) >= t.N {
		return 0, fault(BadProof, "", "index %d in a log of %d entries", p.Index, t.N)
	}
	if err := tlog.CheckRecord(rp, t.N, t.Hash, int64(p.Index), tlog.RecordHash(d[:])); err != nil {
		return 0, fault(BadProof, "", "%v", err)
	}
	w, err := parsePolicy(policyText)
	if err != nil {
		return 0, err
	}
	if !w.satisfied(p.Checkpoint) {
		return 0, fault(NoQuorum, "", "the checkpoint of %d entries lacks cosignatures", t.N)
	}
	return int64(p.Index), nil
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

// CheckConsistency proves that one signed checkpoint continues another.
func CheckConsistency(hashes []tlog.Hash, old, now []byte, v note.Verifier) error {
	a, err := openCheckpoint(old, v, "")
	if err != nil {
		return err
	}
	b, err := openCheckpoint(now, v, "")
	if err != nil {
		return err
	}
	switch {
	case a.N > b.N:
		err = errors.New("the later one is smaller")
	case a.N == b.N && a.Hash != b.Hash:
		err = errors.New("two trees of one size")
	case a.N == 0 || a.N == b.N:
	default:
		err = tlog.CheckTree(tlog.TreeProof(hashes), b.N, b.Hash, a.N, a.Hash)
	}
	if err != nil {
		return fault(BadProof, "", "%v", err)
	}
	return nil
}

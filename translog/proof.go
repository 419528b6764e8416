package translog

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func hashList[H ~[32]byte](hs []H) (out [][32]byte) {
	for _, h := range hs {
		out = append(out, h)
	}
	return out
}

// maxProof bounds a proof: 64 hashes and a checkpoint.
const maxProof = maxCheckpoint + 64*64

// Logged checks proofs of records by the logs of those who may have sealed them: one of the keys is that of the
// log. policy names the witnesses that must have signed it (C2SP tlog-policy); nil: none are asked for.
func Logged[K interface{ Ed25519() ed25519.PublicKey }](keys []K, policy []byte) func(record [32]byte, proof string) error {
	return func(record [32]byte, proof string) error {
		err := errors.New("no key of a log")
		for _, k := range keys {
			if k.Ed25519() == nil {
				continue
			}
			v, verr := Verifier(k.Ed25519())
			if verr != nil {
				return verr
			}
			if _, err = CheckProof([]byte(proof), record, v, policy); err == nil {
				return nil
			}
		}
		return err
	}
}

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

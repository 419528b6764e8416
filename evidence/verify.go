package evidence

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
)

// VerifyOptions say what a record is held against.
type VerifyOptions struct {
	// Keys are trusted: one that is Ed25519 must have signed.
	Keys []PublicKey
	// Log checks a proof that a log has the record of that digest. If nil, a
	// proof is not looked at, and a Note says so.
	Log func(record [sha256.Size]byte, proof string) error
	// NeedProof refuses a record that carries no proof.
	NeedProof bool
}

// Sealed is a record that was verified. Nothing but Record.Verify makes one,
// so that what takes a Sealed cannot be called without a verification.
type Sealed struct {
	record    *Record
	statement *Statement
	notes     []Note
	signer    PublicKey
}

// Record returns the record.
func (s *Sealed) Record() *Record { return s.record }

// Statement returns a copy of what the record says, as far as it is disclosed.
func (s *Sealed) Statement() *Statement { return s.record.Statement() }

// Notes returns what was not checked, and what was learned.
func (s *Sealed) Notes() []Note { return slices.Clone(s.notes) }

// Signer returns the trusted Ed25519 key that signed.
func (s *Sealed) Signer() PublicKey { return s.signer }

// Verify checks all that can be checked without the file: the signatures, the
// log's proof, that the record holds together, and that the rule's condition holds with
// the matches recorded where it does not read the file. A refusal is Problems,
// and names every reason.
func (r *Record) Verify(o VerifyOptions) (*Sealed, error) {
	s := r.Statement()
	v := verification{Sealed: Sealed{record: r, statement: s}, problems: s.check()}
	if !v.problems.Has(BadShape) {
		v.signatures(o.Keys)
		if s.Kind == Finding && len(v.problems) == 0 {
			v.condition()
		}
	}
	v.proof(o)
	for _, at := range r.Hidden() {
		v.note(NoteHidden, at, "not disclosed in this copy, and not checked")
	}
	if len(v.problems) > 0 {
		return nil, v.problems
	}
	return &v.Sealed, nil
}

type verification struct {
	Sealed
	problems Problems
}

func (v *verification) note(c NoteCode, where, format string, a ...any) {
	v.notes = append(v.notes, Note{c, where, fmt.Sprintf(format, a...)})
}

// signatures holds that those sign whom the payload names, and that one of
// them is trusted.
func (v *verification) signatures(trusted []PublicKey) {
	r := v.record
	message := pae(r.payload)
	named := v.statement.Context.Keys
	for i, s := range r.signatures {
		at := fmt.Sprintf("/signatures/%d", i)
		if !slices.Contains(named, s.key) {
			v.problems.add(MoreSignature, at, "by key %s, which the payload does not name", s.key)
			continue
		}
		k := slices.IndexFunc(trusted, func(k PublicKey) bool { return k.ID() == s.key })
		switch {
		case k < 0:
			v.note(NoteKey, at, "by key %s, which was not given: not checked", s.key)
		case !trusted[k].verify(message, s.sig):
			v.problems.add(BadSignature, at, "not a signature of the payload by key %s", s.key)
		case trusted[k].classic() && v.signer.raw == nil:
			v.signer = trusted[k]
		}
	}
	for _, id := range named {
		if !slices.ContainsFunc(r.signatures, func(s signature) bool { return s.key == id }) {
			v.problems.add(NoSignature, "/signatures", "none by key %s, which the payload names", id)
		}
	}
	if v.signer.raw == nil && !v.problems.Has(BadSignature) {
		v.problems.add(UnknownKey, "/signatures", "none is by an Ed25519 key that was given")
	}
}

func (v *verification) proof(o VerifyOptions) {
	switch p := v.record.proof; {
	case p == "" && o.NeedProof:
		v.problems.add(NoProof, "/proof", "missing")
	case p == "":
		v.note(NoteNoProof, "/proof", "no proof that a log has the record")
	case o.Log == nil:
		v.note(NoteProof, "/proof", "not checked")
	default:
		if err := o.Log(v.record.Digest(), p); err != nil {
			v.problems.add(BadProof, "/proof", "%v", err)
		}
	}
}

// Same tells whether two copies are of one record.
func (r *Record) Same(other *Record) bool { return bytes.Equal(r.payload, other.payload) }

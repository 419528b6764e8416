package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Record is a sealed statement in its envelope. It does not change.
//
// The file of a record is the canonical JSON of this object, and a line end:
//
//	payloadType  "application/vnd.in-toto+json"
//	payload      base64 of the statement in canonical JSON
//	signatures   [{keyid, sig base64}], ascending by keyid
//	disclosures  [{at, salt, value}], ascending by at; may be absent
//	proof        text that shows that a log has the record; may be absent
//
// The first three are a DSSE envelope (secure-systems-lab/dsse, v1.0).
type Record struct {
	payload     []byte
	signatures  []signature
	disclosures []disclosure
	proof       string
	statement   *Statement
}

type signature struct {
	key string
	sig []byte
}

// envelope is the file without the values of its disclosures.
type envelope struct {
	PayloadType string `json:"payloadType"`
	Payload     []byte `json:"payload"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	} `json:"signatures"`
	Proof string `json:"proof,omitempty"`
}

// Parse reads a record's file. It refuses, with Problems, what is not the one
// spelling of a record, and disclosures that do not fit. The signature is Verify's.
func Parse(b []byte) (*Record, error) {
	if len(b) > maxRecord {
		return nil, refuse(BadSize, "", "%d bytes, at most %d", len(b), maxRecord)
	}
	b, ok := bytes.CutSuffix(b, []byte("\n"))
	if !ok {
		return nil, refuse(BadCanonical, "", "no line end at the end")
	}
	n, err := parseCanonical(b)
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if r.disclosures, err = disclosuresOf(n); err != nil {
		return nil, err
	}
	n.remove("disclosures")
	var e envelope
	if err := fromNode(n, &e); err != nil {
		return nil, err
	}
	if e.PayloadType != payloadType {
		return nil, refuse(BadType, "/payloadType", "%.100q", e.PayloadType)
	}
	if len(e.Signatures) > maxSigned {
		return nil, refuse(BadSize, "/signatures", "%d signatures, at most %d", len(e.Signatures), maxSigned)
	}
	for i, s := range e.Signatures {
		if !isHex(s.KeyID, sha256.Size) || i > 0 && s.KeyID <= e.Signatures[i-1].KeyID {
			return nil, refuse(BadValue, fmt.Sprintf("/signatures/%d/keyid", i), "no SHA-256 in hexadecimal, or out of order")
		}
		r.signatures = append(r.signatures, signature{s.KeyID, s.Sig})
	}
	r.payload, r.proof = e.Payload, e.Proof
	return r, r.open()
}

// ReadRecord reads a record's file from a stream, of which it takes no more
// than a record may have.
func ReadRecord(in io.Reader) (*Record, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxRecord+1))
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return Parse(b)
}

// disclosuresOf reads the disclosures of a file.
func disclosuresOf(file *node) ([]disclosure, error) {
	list := file.member("disclosures")
	if list == nil {
		return nil, nil
	}
	if list.kind != array || len(list.list) == 0 {
		return nil, refuse(BadShape, "/disclosures", "not a list, or an empty one")
	}
	if n := len(list.list); n > maxDisclosed {
		return nil, refuse(BadSize, "/disclosures", "%d disclosures, at most %d", n, maxDisclosed)
	}
	var out []disclosure
	for i := range list.list {
		d, where := &list.list[i], fmt.Sprintf("/disclosures/%d", i)
		at, salt, value := d.member("at"), d.member("salt"), d.member("value")
		if at == nil || salt == nil || value == nil || at.kind != text || salt.kind != text {
			return nil, refuse(BadShape, where, "want the members at, salt and value")
		}
		if len(d.members) != 3 {
			return nil, refuse(BadField, where, "want the members at, salt and value and no others")
		}
		if !isHex(salt.text, saltSize) {
			return nil, refuse(BadValue, where+"/salt", "want %d bytes in hexadecimal", saltSize)
		}
		if i > 0 && at.text <= out[i-1].at {
			return nil, refuse(BadDisclosure, where+"/at", "out of order, or twice")
		}
		out = append(out, disclosure{at.text, salt.text, value})
	}
	return out, nil
}

// open reads the payload and puts the disclosed values in their places.
func (r *Record) open() error {
	n, err := parseCanonical(r.payload)
	if err != nil {
		return err
	}
	left := map[string]*disclosure{}
	for i := range r.disclosures {
		left[r.disclosures[i].at] = &r.disclosures[i]
	}
	var problems Problems
	for at, v := range privateFields(n, func(string, *node) bool { return false }) {
		c := v.member("commitment")
		if c == nil || c.kind != text || len(v.members) != 1 {
			problems.add(BadCommitment, at, "a clear value where the payload must have a commitment")
			continue
		}
		d := left[at]
		if d == nil {
			continue
		}
		delete(left, at)
		salt, _ := hex.DecodeString(d.salt)
		if commit(salt, d.value) != c.text {
			problems.add(BadCommitment, at, "the disclosed value is not the one committed to")
			continue
		}
		if d.value.member("commitment") != nil {
			problems.add(BadDisclosure, at, "discloses another commitment")
			continue
		}
		*v = *d.value
	}
	for i := range r.disclosures {
		if at := r.disclosures[i].at; left[at] != nil {
			problems.add(BadDisclosure, fmt.Sprintf("/disclosures/%d/at", i), "no commitment of the payload: %.100q", at)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	r.statement, err = statementOf(n)
	return err
}

// isHex tells whether s is size bytes in lower-case hexadecimal.
func isHex(s string, size int) bool {
	if len(s) != 2*size {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Bytes returns the record's file.
func (r *Record) Bytes() []byte {
	str := func(s string) node { return node{kind: text, text: s} }
	b64 := func(b []byte) node { return str(base64.StdEncoding.EncodeToString(b)) }
	n := node{kind: object, members: []member{{"payloadType", str(payloadType)}, {"payload", b64(r.payload)}}}
	sigs := node{kind: array}
	for _, s := range r.signatures {
		sigs.list = append(sigs.list, node{kind: object, members: []member{{"keyid", str(s.key)}, {"sig", b64(s.sig)}}})
	}
	n.members = append(n.members, member{"signatures", sigs})
	if len(r.disclosures) > 0 {
		list := node{kind: array}
		for i := range r.disclosures {
			d := &r.disclosures[i]
			list.list = append(list.list, node{kind: object, members: []member{{"at", str(d.at)}, {"salt", str(d.salt)}, {"value", *d.value}}})
		}
		n.members = append(n.members, member{"disclosures", list})
	}
	if r.proof != "" {
		n.members = append(n.members, member{"proof", str(r.proof)})
	}
	return append(n.canonical(nil), '\n')
}

// Payload returns the bytes that are signed, which are the caller's.
func (r *Record) Payload() []byte { return bytes.Clone(r.payload) }

// Digest returns the SHA-256 of the payload, by which a log and other records
// name this record. Copies that show more or less have the same.
func (r *Record) Digest() [sha256.Size]byte { return sha256.Sum256(r.payload) }

// Name returns Digest in hexadecimal.
func (r *Record) Name() string { return hexSum(r.payload) }

// Statement returns a copy of what the record says, as far as it is disclosed.
// Nothing has been verified: see Sealed.Statement.
func (r *Record) Statement() *Statement {
	c := Record{payload: r.payload, disclosures: r.disclosures}
	if c.open() != nil {
		return r.statement
	}
	return c.statement
}

// Hidden returns the places (JSON pointers into the payload) of the private
// values that this copy does not disclose.
func (r *Record) Hidden() []string {
	n, err := parseJSON(r.payload)
	if err != nil {
		return nil
	}
	shown := make(map[string]bool, len(r.disclosures))
	for i := range r.disclosures {
		shown[r.disclosures[i].at] = true
	}
	var out []string
	for at := range privateFields(n, func(at string, _ *node) bool { return shown[at] }) {
		out = append(out, at)
	}
	return out
}

// Shown returns the places of the private values that this copy discloses.
func (r *Record) Shown() []string {
	var out []string
	for i := range r.disclosures {
		out = append(out, r.disclosures[i].at)
	}
	return out
}

func (r *Record) disclosed(at string) int {
	return slices.IndexFunc(r.disclosures, func(d disclosure) bool { return d.at == at })
}

// Share returns a copy that discloses only the places for which show is true.
// Every copy verifies under the same signatures.
func (r *Record) Share(show func(at string) bool) *Record {
	c := *r
	c.disclosures = nil
	for _, d := range r.disclosures {
		if show(d.at) {
			c.disclosures = append(c.disclosures, d)
		}
	}
	if err := c.open(); err != nil {
		panic("evidence: " + err.Error())
	}
	return &c
}

// Reveal returns a copy that discloses one place more, from another copy of the
// same record.
func (r *Record) Reveal(from *Record, at string) (*Record, error) {
	if !bytes.Equal(r.payload, from.payload) {
		return nil, fmt.Errorf("reveal: two different records")
	}
	i := from.disclosed(at)
	if i < 0 {
		return nil, fmt.Errorf("reveal: no value at %q", at)
	}
	c := *r
	c.disclosures = slices.Clone(r.disclosures)
	if c.disclosed(at) < 0 {
		c.disclosures = append(c.disclosures, from.disclosures[i])
		slices.SortFunc(c.disclosures, func(a, b disclosure) int { return strings.Compare(a.at, b.at) })
	}
	return &c, c.open()
}

// Proof returns the text that shows that a log has the record, if there is one.
func (r *Record) Proof() string { return r.proof }

// WithProof returns a copy with another proof.
func (r *Record) WithProof(proof string) *Record {
	c := *r
	c.proof = proof
	return &c
}

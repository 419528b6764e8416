package evidence

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxRecord = 64 << 20 // bytes of a record's file
	maxText   = 1 << 20  // bytes of a rule's text that a record carries
	saltSize  = 32
	maxSigned = 4 // signatures

	maxDisclosed = 1 << 16
)

// disclosure is the clear value of one commitment.
type disclosure struct {
	at    string // JSON pointer (RFC 6901) into the payload
	salt  string // hexadecimal
	value *node
}

// commit returns the commitment to a value: SHA-256(0x00 || salt || canonical JSON).
func commit(salt []byte, value *node) string {
	return hexSum(value.canonical(append([]byte{0}, salt...)))
}

// Seal signs a statement: it fills in id, the policy's digest and the ids of the
// keys, commits to what is private and signs the rest. The first key must be an
// Ed25519 key. A statement that Verify would refuse is not sealed.
func Seal(s *Statement, keys ...*Key) (*Record, error) {
	return seal(s, rand.Read, keys...)
}

// seal is Seal with a source of salts, for examples that stay the same.
func seal(given *Statement, salts func([]byte) (int, error), keys ...*Key) (*Record, error) {
	s := *given
	if err := fillIn(&s, keys); err != nil {
		return nil, err
	}
	if p := s.check(); len(p) > 0 {
		return nil, fmt.Errorf("seal: %w", p)
	}
	n, err := s.node()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	r := &Record{statement: &s}
	salt := make([]byte, saltSize)
	for at, v := range privateFields(n, func(string, *node) bool { return false }) {
		if _, err := salts(salt); err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		clear := *v
		r.disclosures = append(r.disclosures, disclosure{at, hex.EncodeToString(salt), &clear})
		*v = node{kind: object, members: []member{{"commitment", node{kind: text, text: commit(salt, &clear)}}}}
	}
	slices.SortFunc(r.disclosures, func(a, b disclosure) int { return strings.Compare(a.at, b.at) })
	r.payload = n.canonical(nil)
	message := pae(r.payload)
	for _, k := range keys {
		sig, err := k.sign(message)
		if err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		r.signatures = append(r.signatures, signature{k.Public().ID(), sig})
	}
	slices.SortFunc(r.signatures, func(a, b signature) int { return strings.Compare(a.key, b.key) })
	if len(r.disclosures) > maxDisclosed || len(r.Bytes()) > maxRecord {
		return nil, errors.New("seal: larger than any record may be")
	}
	return r, nil
}

// fillIn sets what follows from the rest.
func fillIn(s *Statement, keys []*Key) error {
	if len(keys) == 0 || len(keys) > maxSigned || keys[0].Ed25519() == nil {
		return fmt.Errorf("seal: %d keys, want up to %d and an Ed25519 key first", len(keys), maxSigned)
	}
	s.Context.Keys = nil
	for _, k := range keys {
		s.Context.Keys = append(s.Context.Keys, k.Public().ID())
	}
	slices.Sort(s.Context.Keys)
	if s.Policy != nil {
		p := *s.Policy
		p.Digest = p.sum()
		s.Policy = &p
	}
	var err error
	if s.ID.Text, err = s.newID(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// sum returns the digest of a policy.
func (p *Policy) sum() string {
	n, err := toNode(p)
	if err != nil {
		return ""
	}
	n.remove("digest")
	return hexSum(n.canonical(nil))
}

// pae is the message that is signed: DSSE's pre-authentication encoding, version 1.
func pae(payload []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	b.Write(payload)
	return b.Bytes()
}

func setText(r *Rule, s string) {
	sum := sha256.Sum256([]byte(s))
	r.Digest, r.Text, r.Base64 = hex.EncodeToString(sum[:]), "", ""
	switch {
	case len(s) > maxText || s == "":
	case utf8.ValidString(s):
		r.Text = s
	default:
		r.Base64 = base64.StdEncoding.EncodeToString([]byte(s))
	}
}

// text returns the rule's text, where the record has it.
func (r *Rule) text() (string, bool) {
	if r.Base64 != "" {
		b, err := base64.StdEncoding.Strict().DecodeString(r.Base64)
		return string(b), err == nil
	}
	return r.Text, r.Text != ""
}

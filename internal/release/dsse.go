package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// envelope is a DSSE envelope (secure-systems-lab/dsse, v1.0); payload and signatures are base64 in it.
type envelope struct {
	PayloadType string         `json:"payloadType"`
	Payload     []byte         `json:"payload"`
	Signatures  []envelopeSign `json:"signatures"`
}

type envelopeSign struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

const inToto = "application/vnd.in-toto+json"

// encoded is what of a statement is signed: DSSE's pre-authentication encoding.
func encoded(statement []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(inToto), inToto, len(statement), statement)
}

// Attest is the file Envelope of a provenance.
func Attest(key ed25519.PrivateKey, statement []byte) ([]byte, error) {
	id := sha256.Sum256(key.Public().(ed25519.PublicKey))
	b, err := json.Marshal(envelope{inToto, statement, []envelopeSign{{fmt.Sprintf("%x", id), ed25519.Sign(key, encoded(statement))}}})
	return append(b, '\n'), err
}

// Attested tells whether the key signed the provenance, the very bytes that the list names.
func (r *Release) Attested(key ed25519.PublicKey) error {
	text, err := r.read(Envelope)
	if err != nil {
		return err
	}
	statement, err := r.read(Provenance)
	if err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("release: %s: %w", Envelope, err)
	}
	if e.PayloadType != inToto || !bytes.Equal(e.Payload, statement) {
		return fmt.Errorf("release: %s is not of this %s", Envelope, Provenance)
	}
	for _, s := range e.Signatures {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, encoded(statement), s.Sig) {
			return nil
		}
	}
	return fmt.Errorf("release: %s: %w", Envelope, ErrUnsigned)
}

package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"filippo.io/mldsa"
)

// The DER around keys, which is the same for every key of an algorithm: SubjectPublicKeyInfo
// and PKCS #8 of Ed25519 (RFC 8410) and of ML-DSA-44 with its seed (RFC 9881).
var (
	edPublic  = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
	edPrivate = []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")
	pqPublic  = []byte("\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00")
	pqPrivate = []byte("\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20")
)

const (
	pemPublic  = "PUBLIC KEY"
	pemPrivate = "PRIVATE KEY"
	maxKeys    = 64 // in one file
)

// Key signs records: an Ed25519 key, or an ML-DSA-44 key (FIPS 204).
type Key struct {
	ed ed25519.PrivateKey
	pq *mldsa.PrivateKey
}

// NewKey makes an Ed25519 key.
func NewKey() (*Key, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Key{ed: k}, nil
}

// NewPostQuantumKey makes an ML-DSA-44 key, for a second signature beside that
// of an Ed25519 key.
func NewPostQuantumKey() (*Key, error) {
	k, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Key{pq: k}, nil
}

// ParseKeys reads private keys: PEM blocks of PKCS #8, one after the other.
func ParseKeys(b []byte) ([]*Key, error) {
	var out []*Key
	err := blocks(b, pemPrivate, func(der []byte) error {
		if seed, ok := bytes.CutPrefix(der, edPrivate); ok && len(seed) == ed25519.SeedSize {
			out = append(out, &Key{ed: ed25519.NewKeyFromSeed(seed)})
			return nil
		}
		if seed, ok := bytes.CutPrefix(der, pqPrivate); ok && len(seed) == mldsa.PrivateKeySize {
			k, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
			if err != nil {
				return err
			}
			out = append(out, &Key{pq: k})
			return nil
		}
		return errors.New("neither an Ed25519 key nor the seed of an ML-DSA-44 key")
	})
	return out, err
}

// PEM returns the private key as ParseKeys reads it.
func (k *Key) PEM() []byte {
	der := append(bytes.Clone(pqPrivate), seedOf(k)...)
	if k.ed != nil {
		der = append(bytes.Clone(edPrivate), seedOf(k)...)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der})
}

func seedOf(k *Key) []byte {
	if k.ed != nil {
		return k.ed.Seed()
	}
	return k.pq.Bytes()
}

// Ed25519 returns the key for other uses, a log's checkpoints; nil for an
// ML-DSA-44 key.
func (k *Key) Ed25519() ed25519.PrivateKey { return k.ed }

// Public returns the key's public half.
func (k *Key) Public() PublicKey {
	if k.ed != nil {
		return PublicKey{raw: k.ed.Public().(ed25519.PublicKey)}
	}
	return PublicKey{raw: k.pq.PublicKey().Bytes()}
}

func (k *Key) sign(message []byte) ([]byte, error) {
	if k.ed != nil {
		return ed25519.Sign(k.ed, message), nil
	}
	return k.pq.Sign(nil, message, nil)
}

// PublicKey is the public half of a Key.
type PublicKey struct{ raw []byte }

// ParsePublicKeys reads public keys: PEM blocks of SubjectPublicKeyInfo, one
// after the other.
func ParsePublicKeys(b []byte) ([]PublicKey, error) {
	var out []PublicKey
	err := blocks(b, pemPublic, func(der []byte) error {
		if raw, ok := bytes.CutPrefix(der, edPublic); ok && len(raw) == ed25519.PublicKeySize {
			out = append(out, PublicKey{raw})
			return nil
		}
		if raw, ok := bytes.CutPrefix(der, pqPublic); ok && len(raw) == mldsa.MLDSA44PublicKeySize {
			out = append(out, PublicKey{raw})
			return nil
		}
		return errors.New("neither an Ed25519 nor an ML-DSA-44 key")
	})
	return out, err
}

// blocks hands over the PEM blocks of a text that has at least one.
func blocks(b []byte, kind string, each func(der []byte) error) error {
	for n := 0; ; n++ {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			if n == 0 {
				return fmt.Errorf("keys: no %s in PEM", kind)
			}
			if rest := bytes.TrimSpace(b); len(rest) > 0 {
				return errors.New("keys: something follows the last key")
			}
			return nil
		}
		if block.Type != kind || n == maxKeys {
			return fmt.Errorf("keys: block %d: %q, want at most %d blocks %q", n+1, block.Type, maxKeys, kind)
		}
		if err := each(block.Bytes); err != nil {
			return fmt.Errorf("keys: block %d: %w", n+1, err)
		}
	}
}

// PEM returns the key as ParsePublicKeys reads it.
func (k PublicKey) PEM() []byte {
	prefix := pqPublic
	if k.classic() {
		prefix = edPublic
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: append(bytes.Clone(prefix), k.raw...)})
}

// ID returns the key's id: the SHA-256 of its raw bytes, hexadecimal.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.raw)
	return hex.EncodeToString(sum[:])
}

// Ed25519 returns the key for other uses; nil for an ML-DSA-44 key.
func (k PublicKey) Ed25519() ed25519.PublicKey {
	if k.classic() {
		return k.raw
	}
	return nil
}

// Algorithm returns "Ed25519" or "ML-DSA-44".
func (k PublicKey) Algorithm() string {
	if k.classic() {
		return "Ed25519"
	}
	return "ML-DSA-44"
}

func (k PublicKey) classic() bool { return len(k.raw) == ed25519.PublicKeySize }

func (k PublicKey) verify(message, sig []byte) bool {
	if k.classic() {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.raw, message, sig)
	}
	pk, err := mldsa.NewPublicKey(mldsa.MLDSA44(), k.raw)
	return err == nil && mldsa.Verify(pk, message, sig, nil) == nil
}

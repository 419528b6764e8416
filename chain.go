package showcause

import (
	"encoding/hex"
	"fmt"
)

// SHA256 is a digest of that algorithm. The zero value is none: the bytes
// could not be read.
type SHA256 [32]byte

// String returns the digest in lower-case hexadecimal.
func (d SHA256) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d SHA256) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *SHA256) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("SHA-256: want %d digits, have %d", hex.EncodedLen(len(d)), len(b))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Link is the content of one layer on the way to a finding.
type Link struct {
	Digest SHA256 `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

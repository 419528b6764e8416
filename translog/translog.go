// Package translog keeps an append-only Merkle log of digests in a folder.
//
// The folder is a log as C2SP tlog-tiles v1 describes it, so that others' tools
// read it; docs/format/log.md draws it:
//
//	checkpoint                signed note: origin, size, root (C2SP tlog-checkpoint)
//	tile/L/N[.p/W]            hashes of level L, 256 a file, W in the last one
//	tile/entries/N[.p/W]      entries, 256 a file: u16 length (32), digest
//	pending                   journal of an append that is under way
//	cosigned, cosigning       the newest checkpoint that enough witnesses, or some, signed
//	lock                      flock(2): writers alone, readers together
//
// An entry is a SHA-256 of 32 bytes; its leaf is SHA-256(0x00 || entry) (RFC
// 6962). Of tiles that are not full only the newest is kept.
//
// An append is written to pending first. From the moment that this is durable
// it will be done, by this process or the next one: tiles, then the checkpoint,
// then partial tiles that it makes needless go, then pending. So a tile beyond
// the checkpoint without a journal is no accident, but a log that was set back.
package translog

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Digest is what the log holds: a SHA-256.
type Digest = [sha256.Size]byte

// MaxBatch is the largest number of digests in one Append.
const MaxBatch = 1 << 16

// Code says what is wrong with a log or a proof.
type Code string

// The closed list.
const (
	NoCheckpoint  Code = "log.checkpoint.missing"
	BadCheckpoint Code = "log.checkpoint.form"      // not a checkpoint of this log in its one spelling
	BadSignature  Code = "log.checkpoint.signature" // not signed by the log's key
	BadTile       Code = "log.tile"                 // missing, of another length, or not what its entries or children give
	BadEntries    Code = "log.entries"              // a bundle of entries is missing, or not what it must be
	BadRoot       Code = "log.root"                 // the tiles do not give the checkpoint's root
	SetBack       Code = "log.set-back"             // there is more in the folder than the checkpoint tells of
	BadPending    Code = "log.pending"              // the journal is damaged, or continues another log
	BadCosigned   Code = "log.cosigned"             // witnesses signed a log that this one does not continue
	BadProof      Code = "log.proof"                // a proof that does not prove it
	NoQuorum      Code = "log.quorum"               // fewer witnesses than the policy asks for
)

// Fault is damage of a log, or a proof that is refused.
type Fault struct {
	Code  Code
	Where string // file in the log's folder, "" for a proof
	Why   string
}

func (f *Fault) Error() string {
	if f.Where == "" {
		return fmt.Sprintf("log: %s: %s", f.Code, f.Why)
	}
	return fmt.Sprintf("log: %s: %s: %s", f.Code, f.Where, f.Why)
}

func fault(code Code, where, format string, a ...any) *Fault {
	return &Fault{code, where, fmt.Sprintf(format, a...)}
}

// Origin is the name of the log of a host's key: "showcause.dev/host/" and the
// first 32 hex digits of the key's SHA-256.
func Origin(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "showcause.dev/host/" + hex.EncodeToString(sum[:16])
}

// VerifierKey is the log's public key as one line (C2SP signed-note): name,
// key hash, algorithm and key.
func VerifierKey(key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(Origin(key), key)
}

// Verifier checks signatures of checkpoints.
func Verifier(key ed25519.PublicKey) (note.Verifier, error) {
	text, err := VerifierKey(key)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return note.NewVerifier(text)
}

// signer is a note.Signer that holds any Ed25519 crypto.Signer.
type signer struct {
	note.Verifier
	key crypto.Signer
}

func (s signer) Sign(msg []byte) ([]byte, error) { return s.key.Sign(nil, msg, crypto.Hash(0)) }

// tree is a size and a root.
type tree struct {
	origin string
	tlog.Tree
}

// text is the checkpoint's text.
func (t tree) text() []byte {
	return log.Checkpoint{Origin: t.origin, Size: uint64(t.N), Hash: t.Hash[:]}.Marshal()
}

func (t tree) sign(key crypto.Signer, v note.Verifier) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: string(t.text())}, signer{v, key})
	if err != nil {
		return nil, fmt.Errorf("log: checkpoint: %w", err)
	}
	return b, nil
}

// maxCheckpoint bounds a signed checkpoint: cosignatures of ML-DSA have 3.3 kB.
const maxCheckpoint = 256 << 10

// openCheckpoint checks form and signature. One spelling is accepted: three
// lines, no extensions.
func openCheckpoint(b []byte, v note.Verifier, where string) (tree, error) {
	var t tree
	if len(b) > maxCheckpoint {
		return t, fault(BadCheckpoint, where, "%d bytes", len(b))
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		var unverified *note.UnverifiedNoteError
		var invalid *note.InvalidSignatureError
		if errors.As(err, &unverified) || errors.As(err, &invalid) {
			return t, fault(BadSignature, where, "%v", err)
		}
		return t, fault(BadCheckpoint, where, "%v", err)
	}
	return parseTree(n.Text, v.Name(), where)
}

func parseTree(text, origin, where string) (tree, error) {
	var c log.Checkpoint
	rest, err := c.Unmarshal([]byte(text))
	switch {
	case err != nil:
		return tree{}, fault(BadCheckpoint, where, "%v", err)
	case len(rest) > 0 || len(c.Hash) != sha256.Size || c.Size > 1<<53 || !bytes.Equal(c.Marshal(), []byte(text)):
		return tree{}, fault(BadCheckpoint, where, "not in its one spelling")
	case c.Origin != origin:
		return tree{}, fault(BadCheckpoint, where, "of another log: %q", c.Origin)
	}
	return tree{c.Origin, tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Hash)}}, nil
}

const (
	height    = 8           // of a tile
	tileWidth = 1 << height // hashes or entries in a full tile
	entrySize = 2 + sha256.Size
)

// entriesLevel stands for the bundles of entries, as in tlog.Tile.
const entriesLevel = -1

// tilePath is the path of a tile in the log's folder, by C2SP tlog-tiles: the
// number in groups of three digits, those before the last after an x.
func tilePath(level int, n int64, width int) string {
	num := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		num = fmt.Sprintf("x%03d/%s", n%1000, num)
	}
	if width < tileWidth {
		num += fmt.Sprintf(".p/%d", width)
	}
	if level == entriesLevel {
		return "tile/entries/" + num
	}
	return fmt.Sprintf("tile/%d/%s", level, num)
}

// levelSize is how many hashes or entries a level of a tree of this size has.
func levelSize(level int, size int64) int64 {
	if level == entriesLevel {
		return size
	}
	return size >> (height * level)
}

// encodeEntries is a bundle.
func encodeEntries(es []Digest) []byte {
	b := make([]byte, 0, len(es)*entrySize)
	for _, e := range es {
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e[:]...)
	}
	return b
}

// decodeEntries reads a bundle of a known number of entries.
func decodeEntries(b []byte, n int, where string) ([]Digest, error) {
	if len(b) != n*entrySize {
		return nil, fault(BadEntries, where, "%d bytes, want %d", len(b), n*entrySize)
	}
	es := make([]Digest, n)
	for i := range es {
		e := b[i*entrySize:]
		if binary.BigEndian.Uint16(e) != sha256.Size {
			return nil, fault(BadEntries, where, "entry %d has %d bytes", i, binary.BigEndian.Uint16(e))
		}
		copy(es[i][:], e[2:])
	}
	return es, nil
}

// Package witness signs logs that only grow: it takes the request add-checkpoint
// (C2SP tlog-witness) and answers with a cosignature (C2SP tlog-cosignature, Ed25519), if the
// log continues the one that it saw before.
//
// Its folder: key (private, C2SP signed-note), logs (the keys of the logs that it
// knows, a line each), seen/ (of each log the newest checkpoint that it signed), lock.
package witness

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/publish"
	"github.com/showcause/showcause/translog"
)

// Witness is an open folder.
type Witness struct {
	dir string
	key *fnote.Signer
	// Public is its key as a line, for policies.
	Public string
}

// Init makes a witness with a new key, that knows the logs of these keys.
func Init(dir, name string, logs ...string) error {
	if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
		return fmt.Errorf("witness: %s has a key", dir)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	public, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "seen"), 0o700); err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "logs"), []byte(strings.Join(append(logs, ""), "\n")), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pub"), []byte(public+"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "key"), []byte(skey+"\n"), 0o600))
}

// Open opens a witness's folder.
func Open(dir string) (*Witness, error) {
	b, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	key, err := fnote.NewSignerForCosignatureV1(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("witness: key: %w", err)
	}
	public, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	return &Witness{dir, key, strings.TrimSpace(string(public))}, nil
}

// Know adds a log by its key.
func (w *Witness) Know(key string) error {
	if _, err := note.NewVerifier(key); err != nil {
		return fmt.Errorf("witness: log key: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(w.dir, "logs"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	_, err = fmt.Fprintln(f, key)
	return errors.Join(err, f.Close())
}

const maxRequest = 1 << 20

// Sign answers a request with the line of its signature. A *publish.Conflict says which size
// it saw, where the request begins elsewhere.
func (w *Witness) Sign(request []byte) (line []byte, err error) {
	if len(request) > maxRequest {
		return nil, fmt.Errorf("witness: a request of %d bytes", len(request))
	}
	old, hashes, checkpoint, err := parse(request)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(w.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	v, err := w.log(checkpoint)
	if err != nil {
		return nil, err
	}
	if _, err := translog.OpenTree(checkpoint, v); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(v.Name()))
	file := filepath.Join(w.dir, "seen", hex.EncodeToString(sum[:]))
	was, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if old != 0 {
			return nil, &publish.Conflict{}
		}
	case err != nil:
		return nil, fmt.Errorf("witness: %w", err)
	default:
		t, err := translog.OpenTree(was, v)
		if err != nil {
			return nil, fmt.Errorf("witness: what was seen: %w", err)
		}
		if t.N != old {
			return nil, &publish.Conflict{Size: t.N}
		}
		if err := translog.CheckConsistency(hashes, was, checkpoint, v); err != nil {
			return nil, fmt.Errorf("witness: %w", err)
		}
	}
	n, err := note.Open(checkpoint, note.VerifierList(v))
	if err != nil {
		return nil, err
	}
	cosigned, err := note.Sign(&note.Note{Text: n.Text}, w.key)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	// What it signs it first remembers.
	n.UnverifiedSigs = nil
	seen, err := note.Sign(n)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	if err := replace(file, seen); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	_, line, _ = bytes.Cut(cosigned, []byte("\n\n"))
	return line, nil
}

// log finds the key of the log that a checkpoint says it is of.
func (w *Witness) log(checkpoint []byte) (note.Verifier, error) {
	b, err := os.ReadFile(filepath.Join(w.dir, "logs"))
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	origin, _, _ := bytes.Cut(checkpoint, []byte("\n"))
	for line := range strings.Lines(string(b)) {
		if v, err := note.NewVerifier(strings.TrimSpace(line)); err == nil && v.Name() == string(origin) {
			return v, nil
		}
	}
	return nil, fmt.Errorf("witness: no log %q is known", origin)
}

// parse reads a request: "old N", hashes in base64, an empty line, the checkpoint.
func parse(request []byte) (old int64, hashes []tlog.Hash, checkpoint []byte, err error) {
	head, checkpoint, ok := bytes.Cut(request, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	n, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld || len(lines) > 64 {
		return 0, nil, nil, errors.New("witness: not a request")
	}
	if old, err = strconv.ParseInt(n, 10, 64); err != nil || old < 0 {
		return 0, nil, nil, errors.New("witness: not a size")
	}
	for _, l := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(l)
		if err != nil || len(h) != tlog.HashSize {
			return 0, nil, nil, errors.New("witness: not a hash")
		}
		hashes = append(hashes, tlog.Hash(h))
	}
	return old, hashes, slices.Clone(checkpoint), nil
}

// replace writes a file whole, durable before it counts.
func replace(file string, b []byte) error {
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

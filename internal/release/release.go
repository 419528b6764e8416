// Package release reads the folder of a release, and tells whether a program is
// one of it: its digest in the list, the list signed, and the list in the log.
//
//	showcause-OS-ARCH   programs
//	showcause.cdx.json  the modules that are linked into them (CycloneDX 1.6)
//	provenance.json     what they were built from, and how (in-toto Statement v1, SLSA provenance v1)
//	provenance.dsse     the same, signed (DSSE)
//	SHA256SUMS          digests of programs, SBOM and provenance, as sha256sum writes them
//	SHA256SUMS.sig      Ed25519 signature of SHA256SUMS, 64 bytes
//	SHA256SUMS.proof    proof that the SHA-256 of SHA256SUMS is an entry of the log (C2SP tlog-proof v1)
package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/showcause/showcause/translog"
)

// Names of the files of a release.
const (
	Sums       = "SHA256SUMS"
	Signature  = "SHA256SUMS.sig"
	Proof      = "SHA256SUMS.proof"
	SBOM       = "showcause.cdx.json"
	Provenance = "provenance.json"
	Envelope   = "provenance.dsse"
)

// Trust is what a release is held against.
type Trust struct {
	Key    ed25519.PublicKey // signs the list
	LogKey ed25519.PublicKey // signs the log
	Policy []byte            // C2SP tlog-policy of the log's witnesses; nil: none are asked for
}

// Release is a folder whose list was read.
type Release struct {
	Version, Revision, Go string // by its provenance

	dir   string
	text  []byte            // of the list
	files map[string]string // SHA-256 in hexadecimal, by name
}

// Statement is a release's provenance: the parts of it that are read again.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"` // repository, revision, version, go
			InternalParameters   map[string]string `json:"internalParameters"` // the build's environment and flags
			ResolvedDependencies []Dependency      `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

// Subject is a file with its digests (in-toto ResourceDescriptor).
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Dependency is what a build used (in-toto ResourceDescriptor).
type Dependency struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

const maxFile = 16 << 20 // of lists and provenances, bytes

// Open reads the list of a release, and holds the provenance against it.
func Open(dir string) (*Release, error) {
	r := &Release{dir: dir}
	var err error
	if r.text, err = r.read(Sums); err != nil {
		return nil, err
	}
	if r.files, err = ParseSums(r.text); err != nil {
		return nil, err
	}
	b, err := r.read(Provenance)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); r.files[Provenance] != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("release: %s is not the one that %s lists", Provenance, Sums)
	}
	var s Statement
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("release: %s: %w", Provenance, err)
	}
	for _, x := range s.Subject {
		if x.Digest["sha256"] == "" || r.files[x.Name] != x.Digest["sha256"] {
			return nil, fmt.Errorf("release: %s and %s disagree about %q", Provenance, Sums, x.Name)
		}
	}
	p := s.Predicate.BuildDefinition.ExternalParameters
	r.Version, r.Revision, r.Go = p["version"], p["revision"], p["go"]
	return r, nil
}

// read reads a small file of the release.
func (r *Release) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(r.dir, name))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", name, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return b, nil
}

// ParseSums reads a list as sha256sum writes it, in the order of the names: digests by name.
func ParseSums(text []byte) (map[string]string, error) {
	out := map[string]string{}
	last := ""
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if b, err := hex.DecodeString(sum); !ok || err != nil || len(b) != sha256.Size || sum != strings.ToLower(sum) || name <= last || strings.ContainsAny(name, "/\\") {
			return nil, fmt.Errorf("release: %s: %q is no line of a list in order", Sums, line)
		}
		out[name], last = sum, name
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("release: %s is empty", Sums)
	}
	return out, nil
}

// WriteSums is that list.
func WriteSums(files map[string]string) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s  %s\n", files[name], name)
	}
	return b.Bytes()
}

// Digests are the files of the list: SHA-256 in hexadecimal, by name.
func (r *Release) Digests() map[string]string { return r.files }

// Find returns the name of the program of this digest, "" if there is none.
func (r *Release) Find(sum [sha256.Size]byte) string {
	want := hex.EncodeToString(sum[:])
	for name, s := range r.files {
		if s == want && strings.HasPrefix(name, "showcause-") {
			return name
		}
	}
	return ""
}

// ErrUnsigned is the answer to a key whose signature the list does not bear.
var ErrUnsigned = errors.New("the signature does not hold")

// Signed tells whether the key signed the list.
func (r *Release) Signed(key ed25519.PublicKey) error {
	sig, err := r.read(Signature)
	if err != nil {
		return err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, r.text, sig) {
		return fmt.Errorf("release: %s: %w", Signature, ErrUnsigned)
	}
	return nil
}

// Logged proves that the log has the list, and that its witnesses saw that log.
func (r *Release) Logged(t Trust) (index int64, err error) {
	proof, err := r.read(Proof)
	if err != nil {
		return 0, err
	}
	v, err := translog.Verifier(t.LogKey)
	if err != nil {
		return 0, err
	}
	return translog.CheckProof(proof, sha256.Sum256(r.text), v, t.Policy)
}

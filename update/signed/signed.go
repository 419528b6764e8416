// Package signed takes rule releases as their publisher signed and logged them,
// and refuses what somebody on the way, or with some of the keys, made of them.
//
// A site is static files:
//
//	metadata/N.root.json, timestamp.json, N.snapshot.json, N.targets.json    TUF 1.0, consistent snapshots
//	targets/SHA256.NAME     the rule files, and release.json, the manifest
//	proofs/VERSION          that the release's leaf is in the log (C2SP tlog-proof v1)
//	log/checkpoint, log/tile/...     the log (C2SP tlog-tiles v1)
//	releases/VERSION.json, VERSION.changes      the manifest and the changes of every release, for monitors
//
// An entry of the log is the SHA-256 of a leaf's text. Each changed rule has a
// leaf, and after those of a release comes the release's own, which commits to the manifest.
package signed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Code says why a release is refused.
type Code string

// The closed list.
const (
	Unsigned    Code = "signed.signature"  // not signed by as many keys as the role asks for
	Rollback    Code = "signed.rollback"   // older than what was seen before
	Frozen      Code = "signed.expired"    // not renewed in time: what is served is held back, or the publisher is gone
	Mixed       Code = "signed.mixed"      // files of different releases
	Altered     Code = "signed.altered"    // a file is not what the metadata says
	TooLong     Code = "signed.length"     // more bytes than it may have
	Form        Code = "signed.form"       // not the format, or of another version of it
	Wrong       Code = "signed.wrong"      // of another pack, or with files that no release has
	Unlogged    Code = "signed.unlogged"   // no proof that the log has it
	Unwitnessed Code = "signed.witnesses"  // fewer witnesses than the policy asks for
	SplitView   Code = "signed.split-view" // the log does not continue the one that was seen before
	Missing     Code = "signed.missing"    // a file is not there
	Clock       Code = "signed.clock"      // this machine's clock is behind a time that was seen before
)

// Refusal is why a release is not taken. The rules that are there go on to serve.
type Refusal struct {
	Code Code   `json:"code"`
	What string `json:"what"` // the file
	Why  string `json:"why"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s: %s", r.Code, r.What, r.Why) }

func refuse(code Code, what, format string, a ...any) *Refusal {
	return &Refusal{code, what, fmt.Sprintf(format, a...)}
}

// File is a rule file of a release.
type File struct {
	SHA256 string `json:"sha256"`
	Length int64  `json:"length"`
}

// Manifest describes a release. It is release.json, in this order, indented by a space.
type Manifest struct {
	Pack     string          `json:"pack"`
	Version  int64           `json:"version"` // from 1
	Time     time.Time       `json:"time"`
	Previous int64           `json:"previous"` // index of the leaf of the release before, -1: there is none
	Files    map[string]File `json:"files"`
	Rules    List            `json:"rules"`
	Changes  List            `json:"changes"` // since the release before
}

// Bytes is the manifest's file.
func (m *Manifest) Bytes() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", " ")
	return append(b, '\n'), err
}

const maxManifest = 1 << 20

// ParseManifest reads a manifest in its one spelling.
func ParseManifest(b []byte) (*Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, refuse(Form, ManifestName, "%v", err)
	}
	if again, err := m.Bytes(); err != nil || !bytes.Equal(again, b) {
		return nil, refuse(Form, ManifestName, "not in its one spelling")
	}
	if !m.Rules.sound() || !m.Changes.sound() || m.Changes.Count > maxCount {
		return nil, refuse(Form, ManifestName, "the list of rules or of changes")
	}
	for name, f := range m.Files {
		if !plain(name) || !isDigest(f.SHA256) || f.Length < 0 {
			return nil, refuse(Form, ManifestName, "file %q", name)
		}
	}
	if m.Version < 1 || m.Previous < -1 || !plain(m.Pack) {
		return nil, refuse(Form, ManifestName, "version, previous leaf or pack")
	}
	return &m, nil
}

// ChangeLeaf is the entry of the log for a change of the release: SHA-256 of its leaf's text. Those of all
// changes stand in their order before the release's own.
func (m *Manifest) ChangeLeaf(c *Change) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "showcause-rule/v1\n%s\n%d\n%s\n%s\n%s\n%s\n", m.Pack, m.Version, c.Op, c.Name, c.Digest, c.Stage))
}

// Index is the index of the release's leaf.
func (m *Manifest) Index() int64 { return m.Previous + m.Changes.Count + 1 }

// Leaf is the entry of the release itself. manifest is the manifest's file.
func (m *Manifest) Leaf(manifest []byte) [sha256.Size]byte {
	sum := sha256.Sum256(manifest)
	return sha256.Sum256(fmt.Appendf(nil, "showcause-rules/v1\n%s\n%d\n%s\n%d\n", m.Pack, m.Version, hex.EncodeToString(sum[:]), m.Previous))
}

// Names among the targets: the manifest, and the list of rules.
const (
	ManifestName = "release.json"
	RulesName    = "rules.list"
)

// maxCount is more changes than a log of this kind will have.
const maxCount = 1 << 40

// plain allows the names of files and packs.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.' && s[0] != '-' && s != ManifestName && s != RulesName
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

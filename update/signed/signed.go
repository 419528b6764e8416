// Package signed takes rule releases as their publisher signed and logged them,
// and refuses what somebody on the way, or with some of the keys, made of them.
//
// A site is static files:
//
//	metadata/N.root.json, timestamp.json, N.snapshot.json, N.targets.json    TUF 1.0, consistent snapshots
//	targets/SHA256.NAME     the rule files, and release.json, the manifest
//	proofs/VERSION          that the release's leaf is in the log (C2SP tlog-proof v1)
//	log/checkpoint, log/tile/...     the log (C2SP tlog-tiles v1)
//	releases/VERSION.json   the manifest of every release, for monitors
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
	"slices"
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

// Stages of a rule: what a finding by it may do.
const (
	Shadow = "shadow" // recorded, no alert
	Report = "report"
	Act    = "act" // files may be taken into quarantine by policy
)

// Rule is a rule of a release.
type Rule struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // SHA-256 of its text, hexadecimal
	Stage  string `json:"stage"`
}

// Change is a rule that a release added, took away, or gave another stage.
type Change struct {
	Op string `json:"op"` // "add", "del", "stage"
	Rule
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
	Rules    []Rule          `json:"rules"` // by name, then digest
	Changes  []Change        `json:"changes"`
}

// Bytes is the manifest's file.
func (m *Manifest) Bytes() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", " ")
	return append(b, '\n'), err
}

const maxManifest = 256 << 20

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
	if !slices.IsSortedFunc(m.Rules, compare) {
		return nil, refuse(Form, ManifestName, "rules are not in order")
	}
	for name, f := range m.Files {
		if !plain(name) || !isDigest(f.SHA256) || f.Length < 0 {
			return nil, refuse(Form, ManifestName, "file %q", name)
		}
	}
	for i := range m.Rules {
		if err := m.Rules[i].check(); err != nil {
			return nil, err
		}
	}
	for i := range m.Changes {
		c := &m.Changes[i]
		if err := c.check(); err != nil {
			return nil, err
		}
		if c.Op != "add" && c.Op != "del" && c.Op != "stage" {
			return nil, refuse(Form, ManifestName, "change %q", c.Op)
		}
	}
	if m.Version < 1 || m.Previous < -1 || !plain(m.Pack) {
		return nil, refuse(Form, ManifestName, "version, previous leaf or pack")
	}
	return &m, nil
}

func (r *Rule) check() error {
	if r.Name == "" || len(r.Name) > 4096 || strings.ContainsAny(r.Name, "\n\r") || !isDigest(r.Digest) || r.Stage != Shadow && r.Stage != Report && r.Stage != Act {
		return refuse(Form, ManifestName, "rule %q", r.Name)
	}
	return nil
}

// compare orders rules.
func compare(a, b Rule) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Digest, b.Digest)
}

// Sort orders the rules, as a manifest has them.
func (m *Manifest) Sort() { slices.SortFunc(m.Rules, compare) }

// Changed is what leads from the rules of one release (nil: none) to those of
// the next, both in order.
func Changed(old, now []Rule) (out []Change) {
	for len(old)+len(now) > 0 {
		c := -1
		switch {
		case len(old) == 0:
			c = 1
		case len(now) > 0:
			c = compare(old[0], now[0])
		}
		switch {
		case c < 0:
			out = append(out, Change{"del", old[0]})
			old = old[1:]
		case c > 0:
			out = append(out, Change{"add", now[0]})
			now = now[1:]
		default:
			if old[0].Stage != now[0].Stage {
				out = append(out, Change{"stage", now[0]})
			}
			old, now = old[1:], now[1:]
		}
	}
	return out
}

// Leaves are the entries that a release adds to the log, in order: SHA-256 of
// each leaf's text. manifest is the manifest's file.
func (m *Manifest) Leaves(manifest []byte) (out [][sha256.Size]byte) {
	for i := range m.Changes {
		c := &m.Changes[i]
		out = append(out, sha256.Sum256(fmt.Appendf(nil, "showcause-rule/v1\n%s\n%d\n%s\n%s\n%s\n%s\n", m.Pack, m.Version, c.Op, c.Name, c.Digest, c.Stage)))
	}
	return append(out, m.leaf(manifest))
}

// leaf is the entry of the release itself.
func (m *Manifest) leaf(manifest []byte) [sha256.Size]byte {
	sum := sha256.Sum256(manifest)
	return sha256.Sum256(fmt.Appendf(nil, "showcause-rules/v1\n%s\n%d\n%s\n%d\n", m.Pack, m.Version, hex.EncodeToString(sum[:]), m.Previous))
}

// ManifestName is the manifest among the targets.
const ManifestName = "release.json"

// plain allows the names of files and packs.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.' && s[0] != '-' && s != ManifestName
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

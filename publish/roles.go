package publish

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/showcause/showcause/update/signed"
)

// expires is when what a role signs now is good no more.
func (p *Publisher) expires(role string) time.Time {
	return p.now().UTC().Truncate(time.Second).Add(p.Roles[role].Good)
}

// sign has each key of a role sign.
func sign[T metadata.Roles](p *Publisher, m *metadata.Metadata[T], keys []string) error {
	for _, name := range keys {
		key, err := p.key(name)
		if err != nil {
			return err
		}
		s, err := signature.LoadED25519Signer(key)
		if err != nil {
			return fmt.Errorf("publish: key %s: %w", name, err)
		}
		if _, err := m.Sign(s); err != nil {
			return fmt.Errorf("publish: key %s: %w", name, err)
		}
	}
	return nil
}

// newest is the newest file of a role that has a version in its name, and that version.
func (p *Publisher) newest(role string) ([]byte, int64, error) {
	dir := filepath.Join(p.dir, "site", "metadata")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("publish: %w", err)
	}
	var best int64
	for _, e := range entries {
		n, ok := strings.CutSuffix(e.Name(), "."+role+".json")
		if v, err := strconv.ParseInt(n, 10, 64); ok && err == nil && v > best {
			best = v
		}
	}
	if best == 0 {
		return nil, 0, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.%s.json", best, role)))
	return b, best, err
}

// newRoot makes the next root of the keys as they are shared out now, signed by them and by
// those of the root before (old: their names).
func (p *Publisher) newRoot(old []string) ([]byte, error) {
	_, version, err := p.newest("root")
	if err != nil {
		return nil, err
	}
	r := metadata.Root(p.expires("root"))
	r.Signed.Version = version + 1
	for _, role := range roleNames() {
		for _, name := range p.Roles[role].Keys {
			key, err := p.key(name)
			if err != nil {
				return nil, err
			}
			k, err := metadata.KeyFromPublicKey(key.Public().(ed25519.PublicKey))
			if err != nil {
				return nil, err
			}
			if err := r.Signed.AddKey(k, role); err != nil {
				return nil, err
			}
		}
		r.Signed.Roles[role].Threshold = p.Roles[role].Threshold
	}
	signers := map[string]bool{}
	var all []string
	for _, k := range append(p.Keys("root"), old...) {
		if !signers[k] {
			signers[k] = true
			all = append(all, k)
		}
	}
	if err := sign(p, r, all); err != nil {
		return nil, err
	}
	b, err := r.ToBytes(true)
	if err != nil {
		return nil, err
	}
	return b, p.write(fmt.Sprintf("site/metadata/%d.root.json", version+1), b)
}

// Rotate gives roles new keys, and publishes a root that says so; without roles, the
// root is renewed with the keys that there are. The old keys of root sign it too, and may be destroyed then.
func (p *Publisher) Rotate(roles ...string) error {
	old := p.Keys("root")
	for _, role := range roles {
		r, ok := p.Roles[role]
		if !ok {
			return fmt.Errorf("publish: no role %q", role)
		}
		var fresh []string
		for _, name := range r.Keys {
			stem, n, _ := strings.Cut(name, "-")
			i, _ := strconv.Atoi(n)
			for i += len(r.Keys); ; i += len(r.Keys) {
				name = fmt.Sprintf("%s-%d", stem, i)
				if _, err := os.Stat(filepath.Join(p.dir, "keys", name)); errors.Is(err, os.ErrNotExist) {
					break
				}
			}
			if err := p.newKey(name); err != nil {
				return err
			}
			fresh = append(fresh, name)
		}
		r.Keys = fresh
		p.Roles[role] = r
	}
	if _, err := p.newRoot(old); err != nil {
		return err
	}
	if err := p.save(); err != nil {
		return err
	}
	return p.Renew()
}

// signTargets signs a release, and what leads to it.
func (p *Publisher) signTargets(m *signed.Manifest, manifest []byte) error {
	_, version, err := p.newest("targets")
	if err != nil {
		return err
	}
	t := metadata.Targets(p.expires("targets"))
	t.Signed.Version = version + 1
	add := func(name, sum string, length int64) error {
		raw, err := hex.DecodeString(sum)
		t.Signed.Targets[name] = &metadata.TargetFiles{Length: length, Hashes: metadata.Hashes{"sha256": raw}}
		return err
	}
	for name, f := range m.Files {
		if err := add(name, f.SHA256, f.Length); err != nil {
			return err
		}
	}
	if err := add(signed.RulesName, m.Rules.SHA256, m.Rules.Length); err != nil {
		return err
	}
	sum := sha256.Sum256(manifest)
	if err := add(signed.ManifestName, hex.EncodeToString(sum[:]), int64(len(manifest))); err != nil {
		return err
	}
	if err := sign(p, t, p.Keys("targets")); err != nil {
		return err
	}
	b, err := t.ToBytes(true)
	if err != nil {
		return err
	}
	if err := p.write(fmt.Sprintf("site/metadata/%d.targets.json", t.Signed.Version), b); err != nil {
		return err
	}
	return p.signSnapshot(t.Signed.Version, b)
}

// meta describes a file that metadata names.
func meta(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func (p *Publisher) signSnapshot(targets int64, b []byte) error {
	_, version, err := p.newest("snapshot")
	if err != nil {
		return err
	}
	s := metadata.Snapshot(p.expires("snapshot"))
	s.Signed.Version = version + 1
	s.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": meta(targets, b)}
	if err := sign(p, s, p.Keys("snapshot")); err != nil {
		return err
	}
	out, err := s.ToBytes(true)
	if err != nil {
		return err
	}
	if err := p.write(fmt.Sprintf("site/metadata/%d.snapshot.json", s.Signed.Version), out); err != nil {
		return err
	}
	return p.signTimestamp(s.Signed.Version, out)
}

func (p *Publisher) signTimestamp(snapshot int64, b []byte) error {
	t := metadata.Timestamp(p.expires("timestamp"))
	if old, err := os.ReadFile(filepath.Join(p.dir, "site/metadata/timestamp.json")); err == nil {
		was, err := metadata.Timestamp().FromBytes(old)
		if err != nil {
			return fmt.Errorf("publish: timestamp.json: %w", err)
		}
		t.Signed.Version = was.Signed.Version + 1
	}
	t.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": meta(snapshot, b)}
	if err := sign(p, t, p.Keys("timestamp")); err != nil {
		return err
	}
	out, err := t.ToBytes(true)
	if err != nil {
		return err
	}
	return p.write("site/metadata/timestamp.json", out)
}

// Renew signs again what would expire: the timestamp each time, and what of snapshot,
// targets and root has less than half of its time left.
func (p *Publisher) Renew() error {
	due := func(b []byte, role string) bool {
		var m struct {
			Signed     struct{ Expires time.Time }
			Signatures []struct{ KeyID string }
		}
		return json.Unmarshal(b, &m) != nil || m.Signed.Expires.Sub(p.now()) < p.Roles[role].Good/2 || !p.signedBy(role, m.Signatures)
	}
	if root, _, err := p.newest("root"); err != nil {
		return err
	} else if due(root, "root") {
		if _, err := p.newRoot(nil); err != nil {
			return err
		}
	}
	targets, version, err := p.newest("targets")
	if err != nil || targets == nil {
		return err
	}
	if due(targets, "targets") {
		m, _, err := p.last()
		if err != nil || m == nil {
			return err
		}
		b, err := m.Bytes()
		if err != nil {
			return err
		}
		return p.signTargets(m, b)
	}
	snapshot, sv, err := p.newest("snapshot")
	if err != nil {
		return err
	}
	if due(snapshot, "snapshot") {
		return p.signSnapshot(version, targets)
	}
	return p.signTimestamp(sv, snapshot)
}

// signedBy tells whether each key of a role signed.
func (p *Publisher) signedBy(role string, have []struct{ KeyID string }) bool {
	ids := map[string]bool{}
	for _, s := range have {
		ids[s.KeyID] = true
	}
	for _, name := range p.Keys(role) {
		key, err := p.key(name)
		if err != nil {
			return false
		}
		k, err := metadata.KeyFromPublicKey(key.Public().(ed25519.PublicKey))
		if err != nil {
			return false
		}
		if id, err := k.ID(); err != nil || !ids[id] {
			return false
		}
	}
	return true
}

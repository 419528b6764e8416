// Package publish makes releases of rules: a folder of rules in, a site of static
// files out, signed in TUF's roles and logged, as package update/signed takes them.
//
// The publisher's folder, apart from any endpoint:
//
//	publish.json        pack, keys and thresholds of the roles, how long each is good
//	keys/               private keys: PEM; those of root are best kept elsewhere between rotations
//	log/                the log (package translog)
//	policy              which witnesses must sign the log; optional
//	pending.json        the manifest of a release that is under way
//	site/               what is served
//	source.json         what endpoints are given, once: the source with the first root and the log's key
package publish

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/translog"
	"github.com/showcause/showcause/update/signed"
)

// Role is who signs for a role of TUF.
type Role struct {
	Keys      []string      `json:"keys"` // files in keys/
	Threshold int           `json:"threshold"`
	Good      time.Duration `json:"good"` // how long what it signs is, nanoseconds
}

// config is publish.json.
type config struct {
	Pack  string          `json:"pack"`
	Roles map[string]Role `json:"roles"`
}

// roleNames are those of TUF that are used.
func roleNames() []string { return []string{"root", "targets", "snapshot", "timestamp"} }

// usual is how keys are shared out where nothing else is asked for: two of three
// for root, two of two for targets, and one each for what is renewed by a machine.
func usual() map[string]Role {
	const day = 24 * time.Hour
	return map[string]Role{
		"root":      {[]string{"root-1", "root-2", "root-3"}, 2, 365 * day},
		"targets":   {[]string{"targets-1", "targets-2"}, 2, 120 * day},
		"snapshot":  {[]string{"snapshot-1"}, 1, 14 * day},
		"timestamp": {[]string{"timestamp-1"}, 1, 2 * day},
	}
}

// Publisher is an open folder.
type Publisher struct {
	dir string
	now func() time.Time
	config
}

// Init makes a publisher's folder with new keys, and its first root. policy names
// witnesses of the log (C2SP tlog-policy); nil: none are asked for.
func Init(dir, pack string, policy []byte, now func() time.Time) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("publish: %s is not empty", dir)
	}
	p := &Publisher{dir, now, config{pack, usual()}}
	for _, d := range []string{"keys", "site/metadata", "site/targets", "site/proofs", "site/releases", "site/log"} {
		mode := fs.FileMode(0o755)
		if d == "keys" {
			mode = 0o700
		}
		if err := os.MkdirAll(filepath.Join(dir, d), mode); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	for _, role := range roleNames() {
		for _, k := range p.Roles[role].Keys {
			if err := p.newKey(k); err != nil {
				return err
			}
		}
	}
	if err := p.newKey("log"); err != nil {
		return err
	}
	if policy != nil {
		if err := p.write("policy", policy); err != nil {
			return err
		}
	}
	l, err := p.openLog(true)
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	if err := p.save(); err != nil {
		return err
	}
	root, err := p.newRoot(nil)
	if err != nil {
		return err
	}
	return p.source(root, policy)
}

// source writes what endpoints are given.
func (p *Publisher) source(root, policy []byte) error {
	key, err := p.key("log")
	if err != nil {
		return err
	}
	vkey, err := translog.VerifierKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent([]map[string]any{{
		"name": p.Pack, "kind": "signed", "about": "rules of " + p.Pack, "licence": "not told", "terms": "Ask their publisher.",
		"urls": []string{"https://example.invalid/" + p.Pack},
		"site": signed.Site{Pack: p.Pack, Root: root, LogKey: vkey, Policy: string(policy)},
	}}, "", " ")
	if err != nil {
		return err
	}
	return p.write("source.json", append(b, '\n'))
}

// Open opens a publisher's folder.
func Open(dir string, now func() time.Time) (*Publisher, error) {
	p := &Publisher{dir: dir, now: now}
	b, err := os.ReadFile(filepath.Join(dir, "publish.json"))
	if err == nil {
		err = json.Unmarshal(b, &p.config)
	}
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	for _, r := range roleNames() {
		if len(p.Roles[r].Keys) == 0 {
			return nil, fmt.Errorf("publish: publish.json has no keys for %s", r)
		}
	}
	return p, nil
}

func (p *Publisher) save() error {
	b, err := json.MarshalIndent(&p.config, "", " ")
	if err != nil {
		return err
	}
	return p.write("publish.json", append(b, '\n'))
}

// write puts a file in place, whole or not at all.
func (p *Publisher) write(name string, content []byte) error {
	path := filepath.Join(p.dir, name)
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (p *Publisher) newKey(name string) error {
	k, err := evidence.NewKey()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return os.WriteFile(filepath.Join(p.dir, "keys", name), k.PEM(), 0o600)
}

func (p *Publisher) key(name string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(filepath.Join(p.dir, "keys", name))
	if err != nil {
		return nil, fmt.Errorf("publish: key: %w", err)
	}
	keys, err := evidence.ParseKeys(b)
	if err != nil || len(keys) == 0 || keys[0].Ed25519() == nil {
		return nil, fmt.Errorf("publish: key %s: no Ed25519 key (%v)", name, err)
	}
	return keys[0].Ed25519(), nil
}

func (p *Publisher) openLog(create bool) (*translog.Log, error) {
	key, err := p.key("log")
	if err != nil {
		return nil, err
	}
	policy, err := os.ReadFile(filepath.Join(p.dir, "policy"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("publish: %w", err)
	}
	return translog.Open(filepath.Join(p.dir, "log"), translog.Options{Public: key.Public().(ed25519.PublicKey), Key: key, Create: create, Policy: policy})
}

// Witness asks a witness to sign a log: it takes the body of a request
// add-checkpoint (C2SP tlog-witness) and returns the signature lines. A *Conflict says
// which size the witness knows.
type Witness func(request []byte) (lines []byte, err error)

// Conflict is the answer of a witness that saw another size than the request says.
type Conflict struct{ Size int64 }

func (c *Conflict) Error() string { return fmt.Sprintf("the witness saw %d entries", c.Size) }

// ErrWitnesses says that a release waits for its witnesses.
var ErrWitnesses = errors.New("publish: the release is logged, and waits for more witnesses to sign the log")

// Release makes the next release of the rule files in a folder. rules and their stages are
// what they are compiled to (package rules). One that was under way is ended first, with its own files.
func (p *Publisher) Release(dir string, rules []signed.Rule, witnesses ...Witness) (version int64, err error) {
	if err := p.Finish(witnesses...); err != nil {
		return 0, err
	}
	last, index, err := p.last()
	if err != nil {
		return 0, err
	}
	m := &signed.Manifest{Pack: p.Pack, Version: 1, Time: p.now().UTC().Truncate(time.Second), Previous: index, Files: map[string]signed.File{}}
	if last != nil {
		m.Version = last.Version + 1
	}
	if err := p.lists(m, last, rules); err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name()[0] == '.' {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return 0, fmt.Errorf("publish: %w", err)
		}
		sum := sha256.Sum256(b)
		f := signed.File{SHA256: hex.EncodeToString(sum[:]), Length: int64(len(b))}
		m.Files[e.Name()] = f
		if err := p.write("site/targets/"+f.SHA256+"."+e.Name(), b); err != nil {
			return 0, err
		}
	}
	b, err := m.Bytes()
	if err == nil {
		_, err = signed.ParseManifest(b) // what a client would say of it
	}
	if err != nil {
		return 0, err
	}
	if err := p.write("pending.json", b); err != nil {
		return 0, err
	}
	return m.Version, p.Finish(witnesses...)
}

// last is the newest release, nil if there is none, and the index of its leaf, -1.
func (p *Publisher) last() (*signed.Manifest, int64, error) {
	b, err := os.ReadFile(filepath.Join(p.dir, "last.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, -1, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("publish: %w", err)
	}
	m, err := signed.ParseManifest(b)
	if err != nil {
		return nil, 0, err
	}
	return m, m.Index(), nil
}

// lists writes the lists of a release's rules, and of its changes.
func (p *Publisher) lists(m, last *signed.Manifest, rules []signed.Rule) error {
	slices.SortFunc(rules, signed.Rule.Compare)
	var text bytes.Buffer
	var err error
	if m.Rules, err = signed.Of(all(rules), &text); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := p.write(listPath(m.Rules), text.Bytes()); err != nil {
		return err
	}
	old := all(nil)
	if last != nil {
		in, err := os.Open(filepath.Join(p.dir, listPath(last.Rules)))
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		defer in.Close()
		old = signed.Rules(last.Rules.Check(in, signed.RulesName))
	}
	text.Reset()
	if m.Changes, err = signed.Of(signed.Changed(old, all(rules)), &text); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return p.write(changesPath(m), text.Bytes())
}

func listPath(l signed.List) string { return "site/targets/" + l.SHA256 + "." + signed.RulesName }
func changesPath(m *signed.Manifest) string {
	return fmt.Sprintf("site/releases/%d.changes", m.Version)
}

// all is a list that is in memory.
func all(rules []signed.Rule) iter.Seq2[signed.Rule, error] {
	return func(yield func(signed.Rule, error) bool) {
		for _, r := range rules {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Finish ends a release that is under way: logs it, has the log signed by witnesses, and
// signs it. It does nothing if there is none.
func (p *Publisher) Finish(witnesses ...Witness) (err error) {
	b, err := os.ReadFile(filepath.Join(p.dir, "pending.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	m, err := signed.ParseManifest(b)
	if err != nil {
		return err
	}
	l, err := p.openLog(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := p.enter(l, m, b); err != nil {
		return err
	}
	if err := p.cosign(l, witnesses); err != nil {
		return err
	}
	proof, err := l.Prove(m.Index())
	if err != nil {
		return err
	}
	if err := p.copyLog(); err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	for name, content := range map[string][]byte{
		fmt.Sprintf("site/proofs/%d", m.Version): proof, fmt.Sprintf("site/releases/%d.json", m.Version): b,
		"site/targets/" + hex.EncodeToString(sum[:]) + "." + signed.ManifestName: b,
	} {
		if err := p.write(name, content); err != nil {
			return err
		}
	}
	if err := p.signTargets(m, b); err != nil {
		return err
	}
	if err := p.write("last.json", b); err != nil {
		return err
	}
	return os.Remove(filepath.Join(p.dir, "pending.json"))
}

// enter appends the leaves that the log does not have yet.
func (p *Publisher) enter(l *translog.Log, m *signed.Manifest, manifest []byte) error {
	done := l.Size() - (m.Previous + 1)
	if done < 0 || done > m.Changes.Count+1 {
		return fmt.Errorf("publish: the log has %d entries, and the release before ended at %d", l.Size(), m.Previous)
	}
	in, err := os.Open(filepath.Join(p.dir, changesPath(m)))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer in.Close()
	var part []translog.Digest
	add := func(d translog.Digest, last bool) (err error) {
		if done--; done < 0 {
			part = append(part, d)
		}
		if len(part) == translog.MaxBatch || last && len(part) > 0 {
			_, err = l.Append(part)
			part = part[:0]
		}
		return err
	}
	for c, err := range signed.Changes(m.Changes.Check(in, "changes")) {
		if err == nil {
			err = add(m.ChangeLeaf(&c), false)
		}
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return add(m.Leaf(manifest), true)
}

// cosign asks the witnesses, and is content when the policy is.
func (p *Publisher) cosign(l *translog.Log, witnesses []Witness) error {
	if _, err := os.Stat(filepath.Join(p.dir, "policy")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var failed []error
	enough := false
	for _, w := range witnesses {
		lines, err := ask(l, w)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		got, err := l.Cosign(append(slices.Clone(l.Checkpoint()), lines...))
		if err != nil {
			failed = append(failed, err)
		}
		enough = enough || got
	}
	if !enough {
		return errors.Join(append(failed, ErrWitnesses)...)
	}
	return nil
}

// ask asks one witness, from the size that it knows.
func ask(l *translog.Log, w Witness) ([]byte, error) {
	var old int64
	for range 2 {
		body, err := l.WitnessRequest(old)
		if err != nil {
			return nil, err
		}
		lines, err := w(body)
		var c *Conflict
		if !errors.As(err, &c) {
			return lines, err
		}
		old = c.Size
	}
	return nil, errors.New("publish: the witness changes its mind")
}

// copyLog copies what is new in the log to the site. What is there stays: proofs of
// earlier releases rest on it.
func (p *Publisher) copyLog() error {
	from, to := filepath.Join(p.dir, "log"), filepath.Join(p.dir, "site", "log")
	err := filepath.WalkDir(filepath.Join(from, "tile"), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an empty log
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		out := filepath.Join(to, rel)
		if e.IsDir() {
			if st, err := os.Stat(out); err == nil && !st.IsDir() {
				return fmt.Errorf("%s is a file", out)
			}
			return os.MkdirAll(out, 0o755)
		}
		if _, err := os.Stat(out); err == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(out, b, 0o644)
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	checkpoint := "cosigned"
	if _, err := os.Stat(filepath.Join(from, checkpoint)); err != nil {
		checkpoint = "checkpoint"
	}
	b, err := os.ReadFile(filepath.Join(from, checkpoint))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return p.write("site/log/checkpoint", b)
}

// Keys are the names of a role's keys, in order.
func (p *Publisher) Keys(role string) []string { return slices.Clone(p.Roles[role].Keys) }

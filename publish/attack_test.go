package publish_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/publish"
	"github.com/showcause/showcause/publish/witness"
	"github.com/showcause/showcause/update/signed"
)

// world is a publisher, its witnesses, and a host, on one clock.
type world struct {
	t         *testing.T
	dir       string
	clock     time.Time
	witnesses []publish.Witness
	wit       *witness.Witness
	site      signed.Site
	state     signed.State
	rules     []byte // the list that the host took
	asked     []byte // and the one that it saw last
	n         int
	stage     showcause.Stage // of what is published; "": report
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: filepath.Join(quick(t), "p"), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	wdir := filepath.Join(t.TempDir(), "w")
	w.must(witness.Init(wdir, "witness.example/one"))
	wit, err := witness.Open(wdir)
	w.must(err)
	w.wit = wit
	w.witnesses = []publish.Witness{wit.Sign}
	policy := fmt.Sprintf("witness one %s\nquorum one\n", wit.Public)
	w.must(publish.Init(w.dir, "mine", []byte(policy), w.now))
	w.site = source(t, w.dir)
	w.must(wit.Know(w.site.LogKey))
	return w
}

// quick is a folder in memory, where there is one: nothing is tested here that a disk could lose.
func quick(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "showcause-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func source(t testing.TB, dir string) signed.Site {
	b, err := os.ReadFile(filepath.Join(dir, "source.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s []struct{ Site signed.Site }
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s[0].Site
}

func (w *world) now() time.Time { return w.clock }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(dir string) *publish.Publisher {
	p, err := publish.Open(dir, w.now)
	w.must(err)
	return p
}

// publish makes a release of one file of these lines, each a rule.
func (w *world) publish(dir string, lines ...string) {
	w.t.Helper()
	w.must(w.tryPublish(dir, w.witnesses, lines...))
}

func (w *world) tryPublish(dir string, ws []publish.Witness, lines ...string) error {
	w.n++
	from := filepath.Join(w.t.TempDir(), fmt.Sprint(w.n))
	w.must(os.Mkdir(from, 0o755))
	w.must(os.WriteFile(filepath.Join(from, "mine.ldb"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	var rules []signed.Rule
	stage := showcause.StageReport
	if w.stage != "" {
		stage = w.stage
	}
	for _, l := range lines {
		sum := sha256.Sum256([]byte(l))
		rules = append(rules, signed.Rule{Name: l, Digest: hex.EncodeToString(sum[:]), Stage: stage})
	}
	_, err := w.open(dir).Release(from, rules, ws...)
	return err
}

// copyOf is the publisher's folder with every key, as a thief has it.
func (w *world) copyOf(dir string) string {
	to := filepath.Join(w.t.TempDir(), "copy")
	w.must(os.CopyFS(to, os.DirFS(dir)))
	return to
}

// serve answers from a site, with what is replaced; a nil replacement is not there.
func serve(dir string, replaced map[string][]byte) signed.Fetch {
	return func(_ context.Context, path string, max int64) ([]byte, error) {
		b, ok := replaced[path]
		switch {
		case ok && b == nil:
			return nil, signed.ErrAbsent
		case !ok:
			var err error
			if b, err = os.ReadFile(filepath.Join(dir, "site", filepath.FromSlash(path))); errors.Is(err, fs.ErrNotExist) {
				return nil, signed.ErrAbsent
			} else if err != nil {
				return nil, err
			}
		}
		if int64(len(b)) > max {
			return nil, signed.ErrLong
		}
		return b, nil
	}
}

// ask is what the host does, with its files. Only if all is good does it remember.
func (w *world) ask(f signed.Fetch) (*signed.Release, error) {
	c, err := signed.NewClient(w.site, w.state, w.clock, f)
	w.must(err)
	r, err := c.Refresh(context.Background())
	if err != nil {
		return nil, err
	}
	list, err := c.File(context.Background(), signed.RulesName)
	if err != nil {
		return nil, err
	}
	old := func(want string) (io.ReadCloser, error) {
		if sum := sha256.Sum256(w.rules); hex.EncodeToString(sum[:]) != want {
			w.t.Errorf("the list of rules that was taken is not %s", want)
		}
		return io.NopCloser(bytes.NewReader(w.rules)), nil
	}
	if err := r.Follow(bytes.NewReader(list), old, func(signed.Rule) error { return nil }); err != nil {
		return nil, err
	}
	w.asked = list
	for name := range r.Manifest.Files {
		if _, err := c.File(context.Background(), name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (w *world) takes(f signed.Fetch) *signed.Release {
	w.t.Helper()
	r, err := w.ask(f)
	w.must(err)
	w.state, w.rules = r.State, w.asked
	return r
}

// refused holds that the host takes nothing, and says why.
func (w *world) refused(f signed.Fetch, codes ...signed.Code) {
	w.t.Helper()
	r, err := w.ask(f)
	var why *signed.Refusal
	if err == nil || !errors.As(err, &why) {
		w.t.Fatalf("not refused: %v (%v)", r != nil, err)
	}
	for _, c := range codes {
		if why.Code == c {
			return
		}
	}
	w.t.Errorf("refused as %s, want one of %s", err, codes)
}

func (w *world) file(dir, name string) []byte {
	b, err := os.ReadFile(filepath.Join(dir, "site", name))
	w.must(err)
	return b
}

// keyOf reads a private key of a publisher.
func (w *world) keyOf(dir, name string) ed25519.PrivateKey {
	b, err := os.ReadFile(filepath.Join(dir, "keys", name))
	w.must(err)
	k, err := evidence.ParseKeys(b)
	w.must(err)
	return k[0].Ed25519()
}

// resign changes metadata and signs it with some keys.
func resign[T metadata.Roles](w *world, dir string, m *metadata.Metadata[T], b []byte, change func(*T), keys ...string) []byte {
	m, err := m.FromBytes(b)
	w.must(err)
	change(&m.Signed)
	m.ClearSignatures()
	for _, k := range keys {
		s, err := signature.LoadED25519Signer(w.keyOf(dir, k))
		w.must(err)
		_, err = m.Sign(s)
		w.must(err)
	}
	out, err := m.ToBytes(true)
	w.must(err)
	return out
}

func metaOf(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// forged replaces targets by what a thief signed, and leads to it with the keys of snapshot and timestamp.
func (w *world) forged(dir string, version int64, targets []byte) map[string][]byte {
	snap := resign(w, dir, metadata.Snapshot(), w.file(dir, fmt.Sprintf("metadata/%d.snapshot.json", version)), func(s *metadata.SnapshotType) {
		s.Version++
		s.Meta["targets.json"] = metaOf(version+1, targets)
	}, "snapshot-1")
	ts := resign(w, dir, metadata.Timestamp(), w.file(dir, "metadata/timestamp.json"), func(s *metadata.TimestampType) {
		s.Version++
		s.Meta["snapshot.json"] = metaOf(version+1, snap)
	}, "timestamp-1")
	return map[string][]byte{
		fmt.Sprintf("metadata/%d.targets.json", version+1): targets, fmt.Sprintf("metadata/%d.snapshot.json", version+1): snap, "metadata/timestamp.json": ts,
	}
}

// targetsOf is a targets file of this version, changed, and signed with these keys.
func (w *world) targetsOf(dir string, version int64, change func(*metadata.TargetsType), keys ...string) []byte {
	return resign(w, dir, metadata.Targets(), w.file(dir, fmt.Sprintf("metadata/%d.targets.json", version)), func(s *metadata.TargetsType) {
		s.Version++
		change(s)
	}, keys...)
}

// The host takes what the publisher published; first, then again, then the next.
func TestTakes(t *testing.T) {
	w := newWorld(t)
	w.publish(w.dir, "one", "two")
	f := serve(w.dir, nil)
	if r := w.takes(f); !r.New || r.Manifest.Version != 1 || r.Index != 2 || r.Manifest.Rules.Count != 2 {
		t.Errorf("%+v", r)
	}
	if r := w.takes(f); r.New {
		t.Error("the same release is new")
	}
	w.publish(w.dir, "one", "three")
	if r := w.takes(f); !r.New || r.Manifest.Version != 2 || r.Index != 5 || r.Manifest.Changes.Count != 2 {
		t.Errorf("%+v", r)
	}
}

// The ten attacks that TUF names (its specification, section 1.5.2), and what logs are
// for. Each attacker serves the site, and has the keys that are said.
func TestAttacks(t *testing.T) { beset(t, append(attacks(), attacksOnKeys()...)) }

// What logs and witnesses are for.
func TestSplitViews(t *testing.T) { beset(t, splitViews()) }

// attack is what somebody tries who serves the site.
type attack struct {
	name string
	do   func(w *world)
}

func attacks() []attack {
	return []attack{
		{"arbitrary installation: another file in place of the signed one", func(w *world) {
			for _, name := range []string{"mine.ldb", signed.ManifestName, signed.RulesName} {
				sum := sha256.Sum256(w.file(w.dir, "releases/2.json"))
				path := "targets/" + hex.EncodeToString(sum[:]) + "." + name
				m, err := signed.ParseManifest(w.file(w.dir, "releases/2.json"))
				w.must(err)
				switch name {
				case "mine.ldb":
					path = "targets/" + m.Files[name].SHA256 + "." + name
				case signed.RulesName:
					path = "targets/" + m.Rules.SHA256 + "." + name
				}
				b := w.file(w.dir, path)
				b[len(b)-2] ^= 1
				w.refused(serve(w.dir, map[string][]byte{path: b}), signed.Altered)
			}
		}},
		{"arbitrary installation: all metadata by the attacker's own keys", func(w *world) {
			other := newWorld(w.t)
			other.clock = w.clock
			other.publish(other.dir, "evil")
			other.publish(other.dir, "evil", "more")
			w.refused(serve(other.dir, nil), signed.Unsigned)
			root := other.file(other.dir, "metadata/1.root.json")
			w.refused(serve(other.dir, map[string][]byte{"metadata/2.root.json": root}), signed.Unsigned, signed.Rollback)
		}},
		{"endless data", func(w *world) {
			long := make([]byte, 300<<20)
			for _, path := range []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "proofs/2"} {
				w.refused(serve(w.dir, map[string][]byte{path: long}), signed.TooLong)
				// and from a Fetch that does not keep to the length
				inner := serve(w.dir, nil)
				w.refused(func(ctx context.Context, p string, max int64) ([]byte, error) {
					if p == path {
						return long[:max+1], nil
					}
					return inner(ctx, p, max)
				}, signed.TooLong)
			}
		}},
		{"extraneous files: with all keys of targets, snapshot and timestamp", func(w *world) {
			thief := w.copyOf(w.dir)
			targets := w.targetsOf(thief, 2, func(s *metadata.TargetsType) {
				sum := sha256.Sum256([]byte("evil"))
				s.Targets["evil.cbc"] = &metadata.TargetFiles{Length: 4, Hashes: metadata.Hashes{"sha256": sum[:]}}
			}, "targets-1", "targets-2")
			w.refused(serve(w.dir, w.forged(thief, 2, targets)), signed.Wrong)
		}},
		{"fast-forward: with the keys of snapshot and timestamp, undone by new keys", func(w *world) {
			thief := w.copyOf(w.dir)
			ts := resign(w, thief, metadata.Timestamp(), w.file(thief, "metadata/timestamp.json"), func(s *metadata.TimestampType) { s.Version = 1 << 40 }, "timestamp-1")
			w.takes(serve(w.dir, map[string][]byte{"metadata/timestamp.json": ts}))
			w.must(w.open(w.dir).Renew())
			w.refused(serve(w.dir, nil), signed.Rollback) // the harm
			w.must(w.open(w.dir).Rotate("timestamp", "snapshot"))
			w.publish(w.dir, "after")
			if r := w.takes(serve(w.dir, nil)); r.Manifest.Version != 3 {
				w.t.Errorf("%+v", r)
			}
		}},
		{"indefinite freeze", func(w *world) {
			w.takes(serve(w.dir, nil))
			frozen := w.copyOf(w.dir)
			w.clock = w.clock.Add(24 * time.Hour)
			w.takes(serve(frozen, nil))
			w.clock = w.clock.Add(48 * time.Hour)
			w.refused(serve(frozen, nil), signed.Frozen)
			w.state = signed.State{} // a host that comes fresh
			w.refused(serve(frozen, nil), signed.Frozen)
		}},
		{"freeze by this host's clock", func(w *world) {
			w.takes(serve(w.dir, nil))
			w.clock = w.clock.Add(60 * time.Hour)
			w.refused(serve(w.dir, nil), signed.Frozen)
			w.must(w.open(w.dir).Renew())
			w.takes(serve(w.dir, nil))
			w.clock = w.clock.Add(-50 * time.Hour)
			w.refused(serve(w.dir, nil), signed.Clock)
		}},
	}
}

func attacksOnKeys() []attack {
	return []attack{
		{"malicious mirror: nothing, rubbish, or only old files", func(w *world) {
			w.refused(func(context.Context, string, int64) ([]byte, error) { return nil, signed.ErrAbsent }, signed.Missing)
			w.refused(func(context.Context, string, int64) ([]byte, error) { return []byte("<html>"), nil }, signed.Form)
			w.refused(func(context.Context, string, int64) ([]byte, error) { return nil, nil }, signed.Form)
			for _, path := range []string{"metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json"} {
				w.refused(serve(w.dir, map[string][]byte{path: nil}), signed.Missing)
				w.refused(serve(w.dir, map[string][]byte{path: []byte(`{"signed": null, "signatures": []}`)}), signed.Form)
			}
		}},
		{"mix and match: metadata of different releases", func(w *world) {
			w.refused(serve(w.dir, map[string][]byte{"metadata/2.snapshot.json": w.file(w.dir, "metadata/1.snapshot.json")}), signed.Mixed)
			w.refused(serve(w.dir, map[string][]byte{"metadata/2.targets.json": w.file(w.dir, "metadata/1.targets.json")}), signed.Mixed)
			// With every key of targets, snapshot and timestamp: the manifest of one, the files of another.
			thief := w.copyOf(w.dir)
			targets := w.targetsOf(thief, 2, func(s *metadata.TargetsType) {
				m, err := signed.ParseManifest(w.file(w.dir, "releases/1.json"))
				w.must(err)
				raw, _ := hex.DecodeString(m.Files["mine.ldb"].SHA256)
				s.Targets["mine.ldb"] = &metadata.TargetFiles{Length: m.Files["mine.ldb"].Length, Hashes: metadata.Hashes{"sha256": raw}}
			}, "targets-1", "targets-2")
			w.refused(serve(w.dir, w.forged(thief, 2, targets)), signed.Mixed)
		}},
		{"rollback", func(w *world) {
			w.takes(serve(w.dir, nil))
			old := map[string][]byte{"metadata/timestamp.json": w.state.Timestamp}
			w.publish(w.dir, "four")
			w.takes(serve(w.dir, nil))
			w.refused(serve(w.dir, old), signed.Rollback)
			// With the keys of all three roles: a newer list of the older release.
			thief := w.copyOf(w.dir)
			first := w.file(thief, "releases/2.json")
			targets := w.targetsOf(thief, 3, func(s *metadata.TargetsType) {
				m, err := signed.ParseManifest(first)
				w.must(err)
				raw, _ := hex.DecodeString(m.Files["mine.ldb"].SHA256)
				s.Targets["mine.ldb"] = &metadata.TargetFiles{Length: m.Files["mine.ldb"].Length, Hashes: metadata.Hashes{"sha256": raw}}
				sum := sha256.Sum256(first)
				s.Targets[signed.ManifestName] = &metadata.TargetFiles{Length: int64(len(first)), Hashes: metadata.Hashes{"sha256": sum[:]}}
			}, "targets-1", "targets-2")
			w.refused(serve(w.dir, w.forged(thief, 3, targets)), signed.Rollback)
		}},
		{"key compromise: fewer keys than the threshold, and one key twice", func(w *world) {
			thief := w.copyOf(w.dir)
			for _, keys := range [][]string{{"targets-1"}, {"targets-2", "snapshot-1"}, {"root-1", "root-2"}} {
				w.refused(serve(w.dir, w.forged(thief, 2, w.targetsOf(thief, 2, func(*metadata.TargetsType) {}, keys...))), signed.Unsigned)
			}
			one := w.targetsOf(thief, 2, func(*metadata.TargetsType) {}, "targets-1")
			var m map[string]json.RawMessage
			w.must(json.Unmarshal(one, &m))
			var sigs []json.RawMessage
			w.must(json.Unmarshal(m["signatures"], &sigs))
			m["signatures"], _ = json.Marshal([]json.RawMessage{sigs[0], sigs[0]})
			twice, _ := json.Marshal(m)
			w.refused(serve(w.dir, w.forged(thief, 2, twice)), signed.Form, signed.Unsigned)
			// One key of root's three makes no root.
			root := resign(w, thief, metadata.Root(), w.file(thief, "metadata/1.root.json"), func(r *metadata.RootType) { r.Version = 2 }, "root-1")
			w.refused(serve(w.dir, map[string][]byte{"metadata/2.root.json": root}), signed.Unsigned)
		}},
		{"key compromise: every key of the roles, but not the log's", func(w *world) {
			thief := w.copyOf(w.dir)
			k, err := evidence.NewKey()
			w.must(err)
			w.must(os.WriteFile(filepath.Join(thief, "keys", "log"), k.PEM(), 0o600))
			w.must(os.RemoveAll(filepath.Join(thief, "log")))
			w.must(os.Remove(filepath.Join(thief, "policy")))
			w.must(os.Remove(filepath.Join(thief, "last.json")))
			other := newWorld(w.t)
			w.must(os.CopyFS(filepath.Join(thief, "log"), os.DirFS(filepath.Join(other.dir, "log")))) // a log of its own
			w.must(os.WriteFile(filepath.Join(thief, "keys", "log"), mustRead(w, filepath.Join(other.dir, "keys", "log")), 0o600))
			w.publish(thief, "evil")
			w.refused(serve(thief, nil), signed.Unlogged)
		}},
		{"wrong software: a good release of another pack, and a file under another's name", func(w *world) {
			thief := w.copyOf(w.dir)
			targets := w.targetsOf(thief, 2, func(s *metadata.TargetsType) {
				s.Targets["other.ldb"] = s.Targets["mine.ldb"]
				delete(s.Targets, "mine.ldb")
			}, "targets-1", "targets-2")
			w.refused(serve(w.dir, w.forged(thief, 2, targets)), signed.Wrong)
			w.site.Pack = "theirs"
			w.refused(serve(w.dir, nil), signed.Wrong)
		}},
	}
}

func splitViews() []attack {
	return []attack{
		{"unlogged: no proof, another's proof, a damaged one", func(w *world) {
			w.refused(serve(w.dir, map[string][]byte{"proofs/2": nil}), signed.Unlogged)
			w.refused(serve(w.dir, map[string][]byte{"proofs/2": w.file(w.dir, "proofs/1")}), signed.Unlogged)
			b := w.file(w.dir, "proofs/2")
			for i := 0; i < len(b); i += 7 {
				c := append([]byte{}, b...)
				c[i] ^= 1
				w.refused(serve(w.dir, map[string][]byte{"proofs/2": c}), signed.Unlogged, signed.Unwitnessed)
			}
		}},
		{"unlogged rule: a release that hides a change from its log", func(w *world) {
			thief := w.copyOf(w.dir)
			w.takes(serve(w.dir, nil))
			m, err := signed.ParseManifest(w.file(thief, "releases/2.json"))
			w.must(err)
			m.Version, m.Previous = 3, m.Index()
			list := w.file(thief, "targets/"+m.Rules.SHA256+"."+signed.RulesName)
			sum := sha256.Sum256([]byte("evil"))
			evil := signed.Rule{Name: "zz", Digest: hex.EncodeToString(sum[:]), Stage: showcause.StageAct}
			list = append(list, evil.String()+"\n"...)
			m.Rules, err = signed.Of(signed.Rules(bytes.NewReader(list)), io.Discard)
			w.must(err)
			m.Changes, err = signed.Of(signed.Changes(strings.NewReader("")), io.Discard) // the truth is one
			w.must(err)
			w.must(os.WriteFile(filepath.Join(thief, "site/targets", m.Rules.SHA256+"."+signed.RulesName), list, 0o600))
			w.must(os.WriteFile(filepath.Join(thief, "site/releases/3.changes"), nil, 0o600))
			b, err := m.Bytes()
			w.must(err)
			w.must(os.WriteFile(filepath.Join(thief, "pending.json"), b, 0o600))
			w.must(w.open(thief).Finish(w.witnesses...))
			w.refused(serve(thief, nil), signed.Unlogged)
		}},
		{"split view: every key, the log's too, and no witness", func(w *world) {
			thief := w.copyOf(w.dir)
			w.takes(serve(w.dir, nil))
			if err := w.tryPublish(thief, nil, "evil"); !errors.Is(err, publish.ErrWitnesses) {
				w.t.Errorf("published without witnesses: %v", err)
			}
			w.must(os.Remove(filepath.Join(thief, "policy")))
			w.must(os.Remove(filepath.Join(thief, "log", "cosigned")))
			w.must(w.open(thief).Finish())
			w.refused(serve(thief, nil), signed.Unwitnessed)
		}},
		{"split view: two logs of one key, asked of an honest witness", func(w *world) {
			thief := w.copyOf(w.dir)
			w.publish(w.dir, "for all")
			if err := w.tryPublish(thief, w.witnesses, "for one"); !errors.Is(err, publish.ErrWitnesses) {
				w.t.Errorf("the witness signed both: %v", err)
			}
		}},
		{"split view: witnesses and all keys are the thief's, and the host saw the log before", func(w *world) {
			thief := w.copyOf(w.dir)
			w.publish(w.dir, "for all")
			w.takes(serve(w.dir, nil))
			bad := filepath.Join(w.t.TempDir(), "w")
			w.must(witness.Init(bad, "witness.example/two", w.site.LogKey))
			wit, err := witness.Open(bad)
			w.must(err)
			policy := fmt.Sprintf("witness two %s\nquorum two\n", wit.Public)
			w.must(os.WriteFile(filepath.Join(thief, "policy"), []byte(policy), 0o600))
			w.must(os.Remove(filepath.Join(thief, "log", "cosigned")))
			w.site.Policy = policy
			w.must(w.tryPublish(thief, []publish.Witness{wit.Sign}, "for one"))
			w.must(w.tryPublish(thief, []publish.Witness{wit.Sign}, "for one", "and more"))
			w.refused(serve(thief, nil), signed.SplitView)
		}},
	}
}

// beset has each attacker try, and then the host take what the publisher serves.
func beset(t *testing.T, all []attack) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(w.dir, "one")
			w.takes(serve(w.dir, nil))
			w.publish(w.dir, "one", "two")
			before, rules := w.state, w.rules
			a.do(w)
			// A host that was only refused still takes what the publisher serves.
			w.state, w.rules, w.site = before, rules, source(t, w.dir)
			w.clock = w.clock.Add(time.Hour)
			if w.state.Latest.After(w.clock) {
				w.clock = w.state.Latest
			}
			w.must(w.open(w.dir).Renew())
			w.takes(serve(w.dir, nil))
		})
	}
}

func mustRead(w *world, path string) []byte {
	b, err := os.ReadFile(path)
	w.must(err)
	return b
}

// Ten years: the timestamp is renewed every day and a half, releases come every other
// week, each role's keys are replaced at times; one host asks each week, one after two years,
// one after five, and a fresh one every year. A root that nobody renewed ends it.
func TestTenYears(t *testing.T) {
	w := newWorld(t)
	w.publish(w.dir, "one")
	hosts := []*signed.State{{}, {}, {}}
	every := []time.Duration{7 * 24 * time.Hour, 2 * 365 * 24 * time.Hour, 5 * 365 * 24 * time.Hour}
	next := []time.Time{w.clock, w.clock, w.clock}
	start := w.clock
	release, rotate, fresh := w.clock, w.clock, w.clock
	roles := [][]string{{"timestamp"}, {"snapshot", "timestamp"}, {"targets"}, {"root"}, {"root", "targets", "snapshot", "timestamp"}}
	releases, rotations, asked := 1, 0, 0
	for w.clock.Before(start.AddDate(10, 0, 0)) {
		w.clock = w.clock.Add(36 * time.Hour)
		switch {
		case w.clock.Sub(rotate) > 200*24*time.Hour:
			w.must(w.open(w.dir).Rotate(roles[rotations%len(roles)]...))
			rotate, rotations = w.clock, rotations+1
		case w.clock.Sub(release) > 14*24*time.Hour:
			w.publish(w.dir, "one", fmt.Sprintf("rule %d", releases))
			release, releases = w.clock, releases+1
		default:
			w.must(w.open(w.dir).Renew())
		}
		for i := range hosts {
			if w.clock.Before(next[i]) {
				continue
			}
			w.state = *hosts[i]
			r := w.takes(serve(w.dir, nil))
			*hosts[i], next[i], asked = w.state, w.clock.Add(every[i]), asked+1
			if r.Manifest.Version != int64(releases) {
				t.Fatalf("%s: release %d, want %d", w.clock, r.Manifest.Version, releases)
			}
		}
		if w.clock.Sub(fresh) > 365*24*time.Hour {
			w.state, fresh = signed.State{}, w.clock
			w.takes(serve(w.dir, nil))
		}
	}
	t.Logf("%d releases, %d rotations, asked %d times", releases, rotations, asked)
	if releases < 200 || rotations < 15 || asked < 480 {
		t.Error("the years were not lived")
	}
	w.state = *hosts[0]
	w.takes(serve(w.dir, nil))
	w.clock = w.clock.AddDate(1, 1, 0)
	w.refused(serve(w.dir, nil), signed.Frozen)
	w.must(w.open(w.dir).Renew())
	w.takes(serve(w.dir, nil))
}

// A release that was cut off anywhere is ended by the next call, and the log has each leaf once.
func TestCutOff(t *testing.T) {
	w := newWorld(t)
	w.publish(w.dir, "one")
	if err := w.tryPublish(w.dir, nil, "one", "two"); !errors.Is(err, publish.ErrWitnesses) {
		t.Fatal(err)
	}
	if r := w.takes(serve(w.dir, nil)); r.Manifest.Version != 1 {
		t.Errorf("a release without its witnesses is served: %+v", r)
	}
	w.publish(w.dir, "one", "two", "three")
	if r := w.takes(serve(w.dir, nil)); r.Manifest.Version != 3 || r.Index != 5 {
		t.Errorf("%+v", r)
	}
}

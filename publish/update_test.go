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
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/publish"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/signed"
)

// courier brings what a site has.
type courier struct {
	fetch signed.Fetch
	to    *update.Folder
}

func (c courier) TXT(context.Context, string) ([]string, error) { return nil, nil }

func (c courier) Fetch(ctx context.Context, a update.Ask) (update.Got, error) {
	b, err := c.fetch(ctx, a.Path, a.Max)
	if errors.Is(err, signed.ErrAbsent) {
		return update.Got{Status: 404}, nil
	}
	if err != nil || a.Small {
		return update.Got{Status: 200, Content: b}, err
	}
	in, err := c.to.Inbox()
	if err == nil {
		err = in.Truncate(0)
	}
	if err == nil {
		_, err = in.WriteAt(b, 0)
	}
	return update.Got{Status: 200, Bytes: int64(len(b))}, err
}

// A host's folder takes releases; of one that is refused the history has a line that
// says why, and what was there goes on to serve.
func TestFolder(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "rules")
	s := update.Source{Name: "mine", Kind: "signed", Licence: "x", Terms: "x", URLs: []string{"https://rules.example/mine"}, Site: &w.site}
	run := func(f signed.Fetch) update.Result {
		folder, err := update.OpenFolder(nil, dir)
		w.must(err)
		defer folder.Close()
		return folder.Run(context.Background(), []update.Source{s}, update.Options{Courier: courier{f, folder}, Now: w.now})[0]
	}
	serves := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "mine-mine.ldb"))
		return string(b)
	}
	w.publish(w.dir, "one")
	if r := run(serve(w.dir, nil)); r.Err != nil || serves() != "one\n" {
		t.Fatalf("%+v %q", r, serves())
	}
	first := w.copyOf(w.dir)
	w.publish(w.dir, "one", "two")
	if r := run(serve(w.dir, nil)); r.Err != nil || serves() != "one\ntwo\n" {
		t.Fatalf("%+v %q", r, serves())
	}
	if r := run(serve(w.dir, nil)); r.Err != nil || r.Changed {
		t.Errorf("%+v", r)
	}
	lines := 2
	refused := func(f signed.Fetch, code signed.Code) {
		t.Helper()
		for range 2 { // said once
			if r := run(f); r.Err == nil || serves() != "one\ntwo\n" {
				t.Errorf("%s: %+v %q", code, r, serves())
			}
		}
		all, err := update.ReadHistory(dir)
		w.must(err)
		lines++
		if e := all[len(all)-1]; len(all) != lines || e.What != "refused" || e.Code != string(code) || e.Why == "" {
			t.Errorf("%s: %d lines, %+v", code, len(all), e)
		}
	}
	refused(serve(first, nil), signed.Rollback)
	refused(serve(w.dir, map[string][]byte{"metadata/timestamp.json": []byte("x")}), signed.Form)
	stale := func() string {
		folder, err := update.ViewFolder(dir)
		w.must(err)
		return strings.Join(append(folder.Status(&s, w.clock), update.Stale(dir, w.clock)...), "\n")
	}
	if got := stale(); strings.Contains(got, "STALE") {
		t.Error(got)
	}
	w.clock = w.clock.Add(60 * time.Hour)
	if got := stale(); strings.Count(got, "STALE: what its publisher signed last held until 2026-01-03") != 2 {
		t.Error(got)
	}
	refused(serve(w.dir, nil), signed.Frozen)
	w.publish(w.dir, "three")
	m, err := signed.ParseManifest(w.file(w.dir, "releases/3.json"))
	w.must(err)
	path := fmt.Sprintf("targets/%s.mine.ldb", m.Files["mine.ldb"].SHA256)
	refused(serve(w.dir, map[string][]byte{path: []byte("evil\n")}), signed.Altered)
	refused(serve(w.dir, map[string][]byte{"proofs/3": nil}), signed.Unlogged)
	lists := "targets/" + m.Rules.SHA256 + "." + signed.RulesName
	refused(serve(w.dir, map[string][]byte{lists: bytes.Replace(w.file(w.dir, lists), []byte("report"), []byte("act"), 1)}), signed.Altered)
	if r := run(serve(w.dir, nil)); r.Err != nil || serves() != "three\n" {
		t.Errorf("%+v %q", r, serves())
	}
	stages := func() string { b, _ := os.ReadFile(filepath.Join(dir, "mine.stages")); return string(b) }
	want := rule.StagesHead + "\nfile mine-mine.ldb\n" + string(w.file(w.dir, lists))
	if stages() != want {
		t.Errorf("%q, want %q", stages(), want)
	}
	// A stage that changes is a change of its own.
	w.stage = showcause.StageAct
	w.publish(w.dir, "three")
	if r := run(serve(w.dir, nil)); r.Err != nil || !r.Changed || stages() != strings.Replace(want, "report", "act", 1) {
		t.Errorf("%+v %q", r, stages())
	}
}

// What a broken file may do to the client is to be refused: real metadata, changed in places, and signed
// again by who has the keys of its role.
func FuzzRefresh(f *testing.F) {
	dir := filepath.Join(quick(f), "p")
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	if err := publish.Init(dir, "mine", nil, now); err != nil {
		f.Fatal(err)
	}
	from := f.TempDir()
	os.WriteFile(filepath.Join(from, "a.ldb"), []byte("x"), 0o644)
	p, err := publish.Open(dir, now)
	if err != nil {
		f.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	if _, err := p.Release(from, []signed.Rule{{Name: "x", Digest: fmt.Sprintf("%x", sum), Stage: showcause.StageReport}}); err != nil {
		f.Fatal(err)
	}
	site := source(f, dir)
	paths := []string{"metadata/1.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json", "proofs/1"}
	good := map[string][]byte{}
	for i, name := range paths {
		if good[name], err = os.ReadFile(filepath.Join(dir, "site", name)); err != nil {
			f.Fatal(err)
		}
		for how := range uint8(8) {
			f.Add(uint8(i), how, uint16(37*i), []byte(`null`))
			f.Add(uint8(i), how, uint16(5), []byte(`"2.0"`))
		}
	}
	roles := []string{"root", "timestamp", "snapshot", "targets"}
	f.Fuzz(func(t *testing.T, which, how uint8, at uint16, b []byte) {
		i := int(which) % len(paths)
		name := paths[i]
		out := spoil(good[name], how, int(at), b)
		if i < len(roles) && how&4 != 0 { // as one who has the role's keys would
			out = signAgain(t, p, dir, roles[i], out)
		}
		served := map[string][]byte{name: out}
		if i == 0 {
			served = map[string][]byte{"metadata/2.root.json": out}
		}
		c, err := signed.NewClient(site, signed.State{}, clock, serve(dir, served))
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Refresh(context.Background())
		var refusal *signed.Refusal
		switch {
		case err != nil && !errors.As(err, &refusal):
			t.Errorf("%s: %v is no refusal", name, err)
		case err == nil && (r.Manifest.Version != 1 || r.Manifest.Pack != "mine"):
			t.Errorf("%s is taken", name)
		case err == nil && how&4 == 0 && i == 0 && len(out) > 0:
			t.Errorf("a second root without signatures of its own version is taken: %s", out)
		}
	})
}

// spoil changes a file: some bytes of it, or in JSON a value that it has somewhere, which becomes
// another, goes, or stands twice.
func spoil(good []byte, how uint8, at int, b []byte) []byte {
	var doc any
	if how&3 == 0 || json.Unmarshal(good, &doc) != nil {
		from := at % (len(good) + 1)
		return slices.Concat(good[:from], b, good[min(len(good), from+len(b)):])
	}
	var fresh any
	if json.Unmarshal(b, &fresh) != nil {
		fresh = string(b)
	}
	n := 0
	var walk func(v any) any
	walk = func(v any) any {
		n++
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if n == at%64+1 {
					n++
					switch how & 3 {
					case 1:
						v[k] = fresh
					case 2:
						delete(v, k)
					default:
						v[string(b)] = v[k]
					}
					return v
				}
				v[k] = walk(v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
			if how&3 == 3 && len(v) > 0 && n%7 == at%7 {
				return append(v, v[0])
			}
		}
		return v
	}
	out, err := json.Marshal(walk(doc))
	if err != nil {
		return good
	}
	return out
}

// signAgain signs what metadata says, whatever that is by now.
func signAgain(t *testing.T, p *publish.Publisher, dir, role string, b []byte) []byte {
	var doc struct {
		Signed     json.RawMessage  `json:"signed"`
		Signatures []map[string]any `json:"signatures"`
	}
	if json.Unmarshal(b, &doc) != nil || doc.Signed == nil {
		return b
	}
	var said any
	if json.Unmarshal(doc.Signed, &said) != nil {
		return b
	}
	canonical, err := cjson.EncodeCanonical(said)
	if err != nil {
		return b
	}
	doc.Signatures = nil
	for _, name := range p.Keys(role) {
		text, err := os.ReadFile(filepath.Join(dir, "keys", name))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := evidence.ParseKeys(text)
		if err != nil {
			t.Fatal(err)
		}
		k, err := metadata.KeyFromPublicKey(keys[0].Ed25519().Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		id, err := k.ID()
		if err != nil {
			t.Fatal(err)
		}
		doc.Signatures = append(doc.Signatures, map[string]any{"keyid": id, "sig": hex.EncodeToString(ed25519.Sign(keys[0].Ed25519(), canonical))})
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return b
	}
	return out
}

package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
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
	w.clock = w.clock.Add(60 * time.Hour)
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

// What a broken file may do to the client is to be refused.
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
	paths := []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json", "proofs/1"}
	for i, name := range paths {
		b, _ := os.ReadFile(filepath.Join(dir, "site", name))
		if i == 0 {
			b, _ = os.ReadFile(filepath.Join(dir, "site/metadata/1.root.json"))
		}
		f.Add(i, b)
		f.Add(i, []byte(strings.Replace(string(b), `"meta": {`, `"meta": null, "x": {`, 1)))
	}
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		name := paths[uint(which)%uint(len(paths))]
		good, _ := os.ReadFile(filepath.Join(dir, "site", name))
		c, err := signed.NewClient(site, signed.State{}, clock, serve(dir, map[string][]byte{name: b}))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Refresh(context.Background()); err == nil && string(good) != string(b) && r.Manifest.Version != 1 {
			t.Errorf("%s is taken", name)
		}
	})
}

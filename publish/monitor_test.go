package publish_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/publish"
	"github.com/showcause/showcause/publish/monitor"
	"github.com/showcause/showcause/update/signed"
)

var full = flag.Bool("full", false, "publish a log of a million leaves")

// A monitor says what each version changed, and finds what a host that skips
// versions cannot.
func TestMonitor(t *testing.T) {
	w := newWorld(t)
	w.publish(w.dir, "one", "two")
	var out bytes.Buffer
	look := func(st monitor.State, f signed.Fetch) (monitor.State, error) {
		out.Reset()
		return monitor.Look(context.Background(), w.site, st, f, &out)
	}
	st, err := look(monitor.State{}, serve(w.dir, nil))
	w.must(err)
	if s := out.String(); !strings.Contains(s, "release 1") || strings.Count(s, "  add ") != 2 {
		t.Error(s)
	}
	for i := range 300 { // over more than one tile
		w.publish(w.dir, "one", fmt.Sprint("rule ", i))
	}
	b, err := st.Save()
	w.must(err)
	st, err = monitor.Load(b)
	w.must(err)
	st, err = look(st, serve(w.dir, nil))
	w.must(err)
	if s := out.String(); !strings.Contains(s, "release 301") || strings.Contains(s, "release 1,") || st.Version != 301 {
		t.Error(s[max(0, len(s)-500):])
	}
	if _, err := look(st, serve(w.dir, nil)); err != nil || out.Len() != 0 {
		t.Errorf("%v %s", err, &out)
	}
	wrong := func(what string, from monitor.State, f signed.Fetch) {
		t.Helper()
		var found *monitor.Found
		if _, err := look(from, f); !errors.As(err, &found) {
			t.Errorf("%s: not found: %v", what, err)
		}
	}
	m := w.file(w.dir, "releases/7.json")
	wrong("another manifest", monitor.State{}, serve(w.dir, map[string][]byte{"releases/7.json": bytes.Replace(m, []byte(`"mine.ldb"`), []byte(`"mime.ldb"`), 1)}))
	changes := w.file(w.dir, "releases/7.changes")
	wrong("other changes", monitor.State{}, serve(w.dir, map[string][]byte{"releases/7.changes": bytes.Replace(changes, []byte("report"), []byte("shadow"), 1)}))
	wrong("changes that are gone", monitor.State{}, serve(w.dir, map[string][]byte{"releases/7.changes": nil}))
	parsed, err := signed.ParseManifest(m)
	w.must(err)
	list := "targets/" + parsed.Rules.SHA256 + "." + signed.RulesName
	wrong("other rules", monitor.State{}, serve(w.dir, map[string][]byte{list: bytes.Replace(w.file(w.dir, list), []byte("report"), []byte("shadow"), 1)}))
	wrong("a manifest that is gone", monitor.State{}, serve(w.dir, map[string][]byte{"releases/7.json": nil}))
	tile := w.file(w.dir, "log/tile/entries/000")
	tile[40] ^= 1
	wrong("another entry", monitor.State{}, serve(w.dir, map[string][]byte{"log/tile/entries/000": tile}))
	// Another log of the same key.
	thief := w.copyOf(w.dir)
	w.must(os.Remove(filepath.Join(thief, "policy")))
	w.must(os.Remove(filepath.Join(thief, "log", "cosigned")))
	w.publish(w.dir, "for all")
	st, err = look(st, serve(w.dir, nil))
	w.must(err)
	w.must(w.tryPublish(thief, nil, "for one"))
	wrong("a log that is as long", st, serve(thief, nil))
	w.must(w.tryPublish(thief, nil, "for one", "and another"))
	wrong("a log that is longer", st, serve(thief, nil))
}

// What a host spends on a release of many rules, besides the rules: it does not depend on how many there are.
func BenchmarkRefresh(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "p")
	now := func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	site := bigSite(b, dir, now, 1, 1000)
	files := map[string][]byte{}
	fetch := serve(dir, nil)
	b.ReportAllocs()
	for b.Loop() {
		c, err := signed.NewClient(site, signed.State{}, now(), func(ctx context.Context, p string, max int64) ([]byte, error) {
			if f, ok := files[p]; ok {
				return f, nil
			}
			f, err := fetch(ctx, p, max)
			if err == nil {
				files[p] = f
			}
			return f, err
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Refresh(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// bigSite publishes releases of so many rules, each with all rules replaced.
func bigSite(t testing.TB, dir string, now func() time.Time, releases, rules int) signed.Site {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(publish.Init(dir, "big", nil, now))
	from := t.TempDir()
	must(os.WriteFile(filepath.Join(from, "big.ldb"), []byte("x"), 0o644))
	p, err := publish.Open(dir, now)
	must(err)
	for r := range releases {
		var all []signed.Rule
		for i := range rules {
			all = append(all, signed.Rule{Name: fmt.Sprintf("Rule.%d.%d", r, i), Digest: fmt.Sprintf("%064x", r*rules+i), Stage: showcause.StageReport})
		}
		_, err := p.Release(from, all)
		must(err)
	}
	return source(t, dir)
}

// cpu is what this process has spent.
func cpu(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A million leaves, in static files, in minutes; and each look of a host at them costs the same.
func TestMillion(t *testing.T) {
	releases, rules := 3, 500
	if *full {
		releases, rules = 1, 1_000_000
	}
	dir := filepath.Join(quick(t), "p")
	now := func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	start := time.Now()
	site := bigSite(t, dir, now, releases, rules)
	t.Logf("%d leaves in %s, %s of CPU", releases*2*rules-rules+releases, time.Since(start).Round(time.Millisecond), cpu(t).Round(time.Millisecond))
	files := 0
	err := filepath.Walk(filepath.Join(dir, "site"), func(_ string, st os.FileInfo, err error) error {
		if err == nil && !st.IsDir() {
			files++
			if !st.Mode().IsRegular() {
				t.Errorf("%s is no file", st.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	asked, read := 0, int64(0)
	inner := serve(dir, nil)
	c, err := signed.NewClient(site, signed.State{}, now(), func(ctx context.Context, p string, max int64) ([]byte, error) {
		b, err := inner(ctx, p, max)
		asked, read = asked+1, read+int64(len(b))
		return b, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	spent := cpu(t)
	r, err := c.Refresh(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	spent = cpu(t) - spent
	runtime.ReadMemStats(&after)
	took := after.TotalAlloc - before.TotalAlloc
	t.Logf("metadata and proofs of a release of %d rules: %v of CPU, %d KB of memory taken in all", r.Manifest.Rules.Count, spent, took>>10)
	if took > 20<<20 || read > 1<<20 {
		t.Errorf("a host takes %d bytes of memory and reads %d", took, read)
	}
	// The list of the rules is read line by line.
	list, err := os.Open(filepath.Join(dir, "site/targets", r.Manifest.Rules.SHA256+"."+signed.RulesName))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	n, most := 0, uint64(0)
	if err := r.Follow(list, nil, func(signed.Rule) error {
		if n++; n%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc)
		}
		return nil
	}); err != nil || n != rules {
		t.Errorf("%d rules, %v", n, err)
	}
	if t.Logf("and of its list of %d bytes: %d KB at once", r.Manifest.Rules.Length, int64(most-min(most, before.HeapAlloc))>>10); most > before.HeapAlloc+20<<20 {
		t.Errorf("the list takes %d bytes", most-before.HeapAlloc)
	}
	if want := int64(releases*2*rules - rules + releases - 1); r.Index != want {
		t.Errorf("entry %d, want %d", r.Index, want)
	}
	t.Logf("%d files; a host asks for %d of them, %d bytes", files, asked, read)
	if asked > 8 {
		t.Errorf("a host asks for %d files", asked)
	}
}

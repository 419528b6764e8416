package casefile

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/disk"
	"github.com/showcause/showcause/product"
	"github.com/showcause/showcause/rules/orders"
	"github.com/showcause/showcause/rules/products"
)

func openStore(t *testing.T, dir string, fs *disk.FS) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func begun(t *testing.T) (*Case, *store.Store, string) {
	t.Helper()
	st := openStore(t, filepath.Join(t.TempDir(), "store"), nil)
	dir := filepath.Join(t.TempDir(), "case")
	c, err := Create(dir, Options{Store: st}, Opening{Title: "T"}, "A. Officer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, st, dir
}

func load(t *testing.T, dir string, o Options) *Case {
	t.Helper()
	c, err := Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// An entry is in the case, proven by its host's log, and follows the one before.
func TestEntries(t *testing.T) {
	c, st, dir := begun(t)
	for _, name := range []string{"a", "b"} {
		if _, err := c.Append(Endpoints, &Body{Endpoints: []string{name}, By: "A"}); err != nil {
			t.Fatal(err)
		}
	}
	again := load(t, dir, Options{Opener: st.Public()[0].ID()})
	if len(again.Entries()) != 3 || len(again.Refused) > 0 {
		t.Fatalf("%d entries, refused %v", len(again.Entries()), again.Refused)
	}
	for i, e := range again.Entries() {
		if !e.Proven || !e.Accepted || (i > 0) != (len(e.after) == 1 && e.after[0] == again.Entries()[max(0, i-1)].Name) {
			t.Errorf("entry %d: %+v", i, e)
		}
		if has, err := st.Has(e.Name); err != nil || !has {
			t.Errorf("entry %d is not in the host's store: %v", i, err)
		}
	}
	if _, err := Load(dir, Options{Opener: strings.Repeat("0", 64)}); err == nil {
		t.Error("a case that another key opened was taken for ours")
	}
	if _, err := Create(dir, Options{Store: st}, Opening{}, "A"); err == nil {
		t.Error("a case was begun in one")
	}
	if _, err := Load(t.TempDir(), Options{}); !errors.Is(err, ErrNoCase) {
		t.Errorf("an empty folder: %v", err)
	}
}

// What is changed, taken away or put there shows, and does not count.
func TestTampering(t *testing.T) {
	for name, v := range map[string]struct {
		do   func(dir string, c *Case) error
		want string
	}{
		"a record is changed": {func(dir string, c *Case) error {
			return overwrite(filepath.Join(dir, "records"), c.entries[1].Name[:2]+"/"+c.entries[1].Name+".scf", "a", "b")
		}, "entry "},
		"a record is taken away": {func(dir string, c *Case) error {
			return os.Remove(filepath.Join(dir, "records", c.entries[1].Name[:2], c.entries[1].Name+".scf"))
		}, "which is not here: it was removed"},
		"a body is changed": {func(dir string, c *Case) error {
			return overwrite(filepath.Join(dir, "files"), c.entries[1].Digest[:2]+"/"+c.entries[1].Digest, "host1", "host9")
		}, "was changed"},
		"a body is taken away": {func(dir string, c *Case) error {
			return os.Remove(filepath.Join(dir, "files", c.entries[1].Digest[:2], c.entries[1].Digest))
		}, "entry "},
		"a file is put there": {func(dir string, c *Case) error {
			return os.WriteFile(filepath.Join(dir, "records", c.entries[1].Name[:2], "x"), nil, 0o600)
		}, "not named as an entry"},
		"a record has another name": {func(dir string, c *Case) error {
			e := c.entries[1].Name
			to := e[:2] + strings.Repeat("0", 62)
			return os.Rename(filepath.Join(dir, "records", e[:2], e+".scf"), filepath.Join(dir, "records", e[:2], to+".scf"))
		}, "another record"},
		"a key is changed": {func(dir string, c *Case) error {
			k, err := os.ReadDir(filepath.Join(dir, "keys"))
			if err != nil {
				return err
			}
			other := "0"
			if k[0].Name()[0] == '0' {
				other = "1"
			}
			return os.Rename(filepath.Join(dir, "keys", k[0].Name()), filepath.Join(dir, "keys", other+k[0].Name()[1:]))
		}, ""},
	} {
		c, _, dir := begun(t)
		for _, n := range []string{"host1", "host2"} {
			if _, err := c.Append(Endpoints, &Body{Endpoints: []string{n}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.do(dir, c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := Load(dir, Options{})
		if err != nil {
			if v.want != "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if v.want == "" || !strings.Contains(strings.Join(again.Refused, "\n"), v.want) {
			t.Errorf("%s: %v, want %s", name, again.Refused, v.want)
		}
		again.Close()
	}
}

func overwrite(dir, name, old, new string) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(b), old) {
		err = errors.New("nothing to change")
	}
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600)
	}
	return err
}

// Another host adds to a copy; its entries count once its key is accepted.
func TestMerge(t *testing.T) {
	c, _, dir := begun(t)
	other := openStore(t, filepath.Join(t.TempDir(), "other"), nil)
	stick := filepath.Join(t.TempDir(), "stick")
	if err := os.CopyFS(stick, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	away := load(t, stick, Options{Store: other})
	if _, err := away.Append(Endpoints, &Body{Endpoints: []string{"far"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(Endpoints, &Body{Endpoints: []string{"near"}}); err != nil { // meanwhile
		t.Fatal(err)
	}
	if n, err := c.Merge(load(t, stick, Options{})); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if len(c.Entries()) != 2 || !strings.Contains(strings.Join(c.Refused, ""), "nobody accepted") {
		t.Fatalf("%d entries count, refused %v", len(c.Entries()), c.Refused)
	}
	if _, err := c.Append(Accept, &Body{Key: string(other.Public()[0].PEM())}); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err != nil || len(c.Entries()) != 4 || len(c.Refused) > 0 {
		t.Fatalf("%d entries, %v, %v", len(c.Entries()), c.Refused, err)
	}
	if n, err := c.Merge(load(t, stick, Options{})); err != nil || n != 0 {
		t.Errorf("merged twice: %d, %v", n, err)
	}
	last := c.Entries()[3]
	if last.Act != Accept || len(last.after) != 2 {
		t.Errorf("the two ends are not joined: %+v", last)
	}
	// A key that is not accepted accepts none.
	if _, err := away.Append(Accept, &Body{Key: string(other.Public()[0].PEM())}); err != nil {
		t.Fatal(err)
	}
	if again := load(t, stick, Options{}); len(again.Entries()) != 1 {
		t.Errorf("a host accepted itself: %d entries count", len(again.Entries()))
	}
	elsewhere, _, _ := begun(t)
	if _, err := c.Merge(elsewhere); err == nil {
		t.Error("another case was merged")
	}
}

// A process that dies at any operation leaves a case that loads, without half an entry,
// and the next one goes on.
func TestKilled(t *testing.T) {
	st := filepath.Join(t.TempDir(), "store")
	quick := &disk.FS{Fault: func(op, _ string) error {
		if op == "fsync" || op == "syncfs" {
			return disk.ErrSkip
		}
		return nil
	}}
	openStore(t, st, quick).Close()
	for kill := 0; ; kill += 7 { // each of them takes a minute
		dir := filepath.Join(t.TempDir(), "case")
		n, dead := 0, false
		fs := &disk.FS{Fault: func(op, _ string) error {
			if op == "fsync" || op == "syncfs" {
				return disk.ErrSkip
			}
			if n++; dead || n > kill {
				dead = true
				return errors.New("killed")
			}
			return nil
		}}
		s, err := store.Open(st, store.Options{FS: fs})
		if err == nil {
			var c *Case
			if c, err = Create(dir, Options{Store: s, FS: fs}, Opening{Title: "T"}, "A"); err == nil {
				_, err = c.Append(Endpoints, &Body{Endpoints: []string{"one"}})
				c.Close()
			}
			s.Close()
		}
		finished := err == nil
		s = openStore(t, st, quick)
		c, err := Load(dir, Options{Store: s, FS: quick})
		switch {
		case errors.Is(err, ErrNoCase) || errors.Is(err, os.ErrNotExist):
			if c, err = Create(dir, Options{Store: s, FS: quick}, Opening{Title: "T"}, "A"); err != nil {
				t.Fatalf("killed at %d: begun anew: %v", kill, err)
			}
		case err != nil:
			t.Fatalf("killed at %d: %v", kill, err)
		}
		if len(c.Refused) > 0 {
			t.Fatalf("killed at %d: %v", kill, c.Refused)
		}
		if _, err := c.Append(Endpoints, &Body{Endpoints: []string{"two"}}); err != nil {
			t.Fatalf("killed at %d: the next entry: %v", kill, err)
		}
		again := load(t, dir, Options{})
		if e := again.Entries(); len(again.Refused) > 0 || e[0].Act != Open || e[len(e)-1].Body.Endpoints[0] != "two" || finished && len(e) != 3 {
			t.Fatalf("killed at %d: %v, %d entries", kill, again.Refused, len(e))
		}
		c.Close()
		s.Close()
		if finished {
			t.Logf("%d points", kill)
			return
		}
	}
}

func TestBodyRefused(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"unknown":1}`, `{}{}`, `{"by":1}`} {
		if _, err := readBody([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzBody(f *testing.F) {
	b := Body{By: "A", Opening: &Opening{Title: "T"}, Waiver: &Waiver{Code: "x"}, Figures: map[string]Totals{"o": {Present: 1}}}
	text, err := b.bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := readBody(text)
		if err != nil {
			return
		}
		again, err := b.bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readBody(again); err != nil {
			t.Fatal(err)
		}
	})
}

// Totals balance over every mixture of endpoints.
func TestTotalsBalance(t *testing.T) {
	c, _, _ := begun(t)
	text, err := orders.Text("far-52-204-23")
	if err != nil {
		t.Fatal(err)
	}
	digest, err := c.Attach(text)
	if err != nil {
		t.Fatal(err)
	}
	add := func(act Act, b *Body) {
		t.Helper()
		if _, err := c.Append(act, b); err != nil {
			t.Fatal(err)
		}
	}
	add(Receive, &Body{Order: "far-52-204-23", Version: 1, Text: digest, Name: "far-52-204-23.yaml", At: "2026-11-01"})
	add(Answer, &Body{Condition: "clause-2023", Value: "yes"})
	set, err := product.Load(products.Files())
	if err != nil {
		t.Fatal(err)
	}
	for i, host := range []string{"a", "b", "c", "d", "e", "f"} {
		inv := product.Inventory{Format: product.Format, Target: "/", Kind: "host", System: product.System{Host: host}}
		inv.Coverage.Methods, inv.Coverage.Files = []string{"dpkg"}, product.Files{Seen: 1, Read: 1, Records: 1}
		if i%3 == 0 {
			inv.Observations = []product.Observation{{Source: "dpkg", Platform: product.Deb, Class: product.Installed, Facts: []product.Fact{{Kind: product.Package, Value: "kesl"}}}}
		}
		if i == 1 {
			inv.Coverage.Gaps = []product.Gap{{Code: showcause.Encrypted}}
		}
		text, err := json.Marshal(&inv)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.Attach(text)
		if err != nil {
			t.Fatal(err)
		}
		if i != 5 {
			add(Search, &Body{Endpoint: host, Text: d})
		}
	}
	add(Endpoints, &Body{Endpoints: []string{"f", "g"}})
	for _, step := range []struct {
		b    *Body
		want Totals
	}{
		{&Body{Condition: "federal-contract", Value: "yes"}, Totals{Inventory: 7, Present: 2, Absent: 2, Unreached: 3, Findings: 2}},
		{&Body{Condition: "federal-contract", Value: "no", Endpoint: "g"}, Totals{Inventory: 7, Present: 2, Absent: 2, Unreached: 2, Excluded: 1, Findings: 2}},
		{&Body{Condition: "federal-contract", Value: "no"}, Totals{Inventory: 7, Excluded: 7}},
	} {
		add(Answer, step.b)
		s := c.State(set, orders.Calendar, time.Now())
		got := s.Totals(s.Orders[0])
		if got != step.want || got.Inventory != got.Present+got.Absent+got.Unreached+got.Excluded {
			t.Errorf("%s=%s: %+v, want %+v", step.b.Condition, step.b.Value, got, step.want)
		}
	}
}

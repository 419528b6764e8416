package casecmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/report"
)

// contests fills a store with so many records, and returns their names in order.
func contests(t *testing.T, dir string, n int) (names []string) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range n {
		r, err := evidence.Seal(&evidence.Statement{
			Kind: evidence.Contest, Subject: evidence.Digests{SHA256: strings.Repeat("0a", 32)}, Predicate: evidence.Predicate{
				Engine:  evidence.Engine{Version: "v1", Binary: strings.Repeat("0b", 32), Go: "go1.26", Target: "linux/amd64"},
				Contest: &evidence.Contention{Record: strings.Repeat("0c", 32), Reason: evidence.Private{Text: fmt.Sprint(i)}},
				Time:    evidence.Time{Observed: "2026-11-21T12:00:00Z"},
			},
		}, s.Keys()...)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Append([]*evidence.Record{r}); err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name())
	}
	return names
}

// Records come in the order of the log. What is damaged, gone, not in the log, or
// older than what is wanted is told, and the rest is read.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	names := contests(t, dir, 6)
	other := t.TempDir()
	foreign := contests(t, other, 1)[0]
	file := func(dir, name string) string { return filepath.Join(dir, "records", name[:2], name+".scf") }
	b, err := os.ReadFile(file(other, foreign))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(file(dir, foreign)), 0o700), os.WriteFile(file(dir, foreign), b, 0o600),
		os.WriteFile(file(dir, names[2]), []byte("damage"), 0o600), os.Remove(file(dir, names[0])), os.Remove(file(dir, names[4])),
		os.Rename(file(dir, names[3]), filepath.Join(dir, "incoming", names[3]+".scf")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for most, want := range map[int]string{100: "gone read damage read gone read unlogged", 3: "gone older older read gone read unlogged"} {
		all, err := keptIn(s, most)
		if err != nil || len(all) != 7 {
			t.Fatalf("%d records, %v", len(all), err)
		}
		var got []string
		for i, k := range all {
			if i < 6 && (k.name != names[i] || k.entry != int64(i+1)) {
				t.Errorf("record %d: %s, entry %d", i, k.name, k.entry)
			}
			switch {
			case k.older:
				got = append(got, "older")
			case k.err != nil && strings.Contains(k.err.Error(), "was removed"):
				got = append(got, "gone")
			case k.err != nil:
				got = append(got, "damage")
			case k.record == nil:
				got = append(got, "nothing")
			case k.entry == 0:
				got = append(got, "unlogged")
			default:
				got = append(got, "read")
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%d: %s, want %s", most, g, want)
		}
	}
}

// What a scan's own records say must be there is missed.
func TestMissing(t *testing.T) {
	scan := func(found, part, parts int64) report.Item {
		s := &evidence.Statement{Kind: evidence.Scan}
		s.Context.Scan = "one"
		s.Coverage = &evidence.Coverage{Files: found, Verdicts: map[string]int64{"found": found}, Part: part, Parts: parts}
		return report.Item{Statement: s}
	}
	finding := func(path string, rule int64, allowed string) report.Item {
		s := &evidence.Statement{Kind: evidence.Finding}
		s.Context.Scan, s.Context.Path.Text = "one", showcause.Escape(path)
		s.Rules = &evidence.Rules{Rule: &evidence.Rule{Index: rule, Allowed: allowed}}
		return report.Item{Statement: s}
	}
	for i, c := range []struct {
		items []report.Item
		want  int
	}{
		{nil, 0},
		{[]report.Item{scan(0, 0, 0)}, 0},
		{[]report.Item{scan(1, 0, 0)}, 1},
		{[]report.Item{scan(1, 0, 0), finding("a", 1, "")}, 0},
		{[]report.Item{scan(2, 0, 0), finding("a", 1, ""), finding("a", 2, "")}, 1},
		{[]report.Item{scan(2, 0, 0), finding("a", 1, ""), finding("a", 1, "")}, 0}, // named twice
		{[]report.Item{scan(1, 0, 0), finding("a", 1, "allowed")}, 1},
		{[]report.Item{scan(1, 1, 2), finding("a", 1, "")}, 1},
		{[]report.Item{scan(1, 1, 2), scan(1, 2, 2), finding("a", 1, ""), finding("b", 1, "")}, 0},
		{[]report.Item{finding("a", 1, "")}, 0},
	} {
		if got := missing(c.items); len(got) != c.want {
			t.Errorf("%d: %q", i, got)
		}
	}
}

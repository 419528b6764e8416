package recheck_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/internal/hostile"
	"github.com/showcause/showcause/internal/plant"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

func compile(t testing.TB, paths ...string) *ruledb.DB {
	t.Helper()
	data, err := rules.Compile(paths, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func spill(t testing.TB) func() (unpack.File, error) {
	dir := t.TempDir()
	return func() (unpack.File, error) {
		f, err := os.CreateTemp(dir, "")
		if err == nil {
			err = os.Remove(f.Name())
		}
		return f, err
	}
}

// claimOf is what a finding says.
func claimOf(t testing.TB, db *ruledb.DB, f *showcause.Finding, l showcause.Limits) recheck.Claim {
	t.Helper()
	info, err := db.Info(f.Index)
	if err != nil {
		t.Fatal(err)
	}
	language := "clamav"
	if info.YARA != nil {
		language = "yara"
	}
	c := recheck.Claim{
		NoViews: db.OnlyYARA(), Limits: l, Chain: f.Chain, Matches: f.Matches, Counts: f.Counts,
		Rule: &recheck.Rule{Language: language, Name: info.Name, File: info.File, Text: info.Text},
	}
	if c.Rule.Before, err = recheck.Before(db, f.Index); err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Trail {
		c.Trail = append(c.Trail, showcause.Step{Index: s.Index, Op: s.Op})
	}
	return c
}

// same tells how the coverage of a scan differs from the one derived.
func same(scanned, derived *showcause.Report) error {
	nameless := func(in []showcause.Gap) (out []string) {
		for _, g := range in {
			trail := ""
			for _, s := range g.Trail {
				trail += fmt.Sprintf("/%d %s", s.Index, s.Op)
			}
			out = append(out, fmt.Sprint(trail, g.Code, g.Offset, g.Length))
		}
		return out
	}
	if a, b := nameless(scanned.Gaps), nameless(derived.Gaps); !reflect.DeepEqual(a, b) {
		return fmt.Errorf("gaps %v, derived %v", a, b)
	}
	a, b := scanned.Spent, derived.Spent
	if a.Work = 0; a != b || scanned.Type != derived.Type || scanned.Size != derived.Size {
		return fmt.Errorf("spent %+v, derived %+v; %s %s", a, b, scanned.Type, derived.Type)
	}
	return nil
}

// limited tells whether the limit of work had a part in a report: a walk that
// does not search comes further.
func limited(r *showcause.Report) bool {
	for _, g := range r.Gaps {
		if g.Code == showcause.LimitWork {
			return true
		}
	}
	return false
}

// reproduce has every finding of a scan derived again. It returns how many.
func reproduce(t *testing.T, name string, db *ruledb.DB, src showcause.Source, r *showcause.Report, l showcause.Limits) int {
	t.Helper()
	for i := range r.Findings {
		f := &r.Findings[i]
		out := recheck.Run(src, claimOf(t, db, f, l), recheck.Options{Spill: spill(t)})
		if len(out.Differences) > 0 || !out.Holds {
			t.Errorf("%s: %s at %s: %v", name, f.Rule, f.Trail, out.Differences)
		} else if !reflect.DeepEqual(out.Chain, f.Chain) || f.Counts != nil && !reflect.DeepEqual(out.Counts, f.Counts) {
			t.Errorf("%s: %s at %s: %v %v, want %v %v", name, f.Rule, f.Trail, out.Chain, out.Counts, f.Chain, f.Counts)
		}
		if limited(r) {
			continue
		}
		if err := same(r, &out.Report); err != nil {
			t.Errorf("%s: %v", name, err)
			return i
		}
	}
	return len(r.Findings)
}

// Every finding in files that rules were planted in, in all containers, is
// derived again.
func TestPlanted(t *testing.T) {
	const dir = "../../internal/plant/testdata"
	db := compile(t, dir)
	s := scan.New(db, scan.Options{Digests: true})
	n, files := 0, 0
	err := plant.Each(dir, func(r *rule.Rule) error {
		f, err := plant.Plant(r, 1, false)
		if err != nil {
			return nil // the tests of plant hold that none is left out
		}
		rep := s.Scan(showcause.Bytes(f.Data))
		n += reproduce(t, fmt.Sprint(f.Rule, f.Container), db, showcause.Bytes(f.Data), &rep, showcause.Limits{})
		files++
		return nil
	})
	if err != nil || n < 150 {
		t.Errorf("%d findings, %v", n, err)
	}
	t.Logf("%d findings in %d files", n, files)
}

func markers(t testing.TB) *ruledb.DB {
	p := filepath.Join(t.TempDir(), "marker.ndb")
	if err := os.WriteFile(p, fmt.Appendf(nil, "Hostile.Marker:0:*:%x\n", hostile.Marker), 0o600); err != nil {
		t.Fatal(err)
	}
	return compile(t, p)
}

// The findings in hostile inputs are derived again, and so is the coverage of
// those without any.
func TestHostile(t *testing.T) {
	db := markers(t)
	s := scan.New(db, scan.Options{Digests: true, Spill: spill(t)})
	n := 0
	for _, in := range hostile.All(false) {
		if in.Big || testing.Short() && in.Row%4 != 0 {
			continue
		}
		src := in.Make()
		rep := s.Scan(src)
		rep.Findings = rep.Findings[:min(len(rep.Findings), 2)]
		n += reproduce(t, in.Name, db, src, &rep, showcause.Limits{})
		if len(rep.Findings) == 0 && !limited(&rep) {
			out := recheck.Run(src, recheck.Claim{}, recheck.Options{Spill: spill(t)})
			if err := same(&rep, &out.Report); err != nil {
				t.Errorf("%s: %v", in.Name, err)
			}
		}
	}
	t.Logf("%d findings", n)
}

// The test files of ClamAV's authors are derived again.
func TestTestfiles(t *testing.T) {
	paths, _ := filepath.Glob("/usr/share/clamav-testfiles/*")
	if len(paths) == 0 {
		t.Skip("the files of package clamav-testfiles are not installed")
	}
	db, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(data))
		n += reproduce(t, p, db, showcause.Bytes(data), &rep, showcause.Limits{})
	}
	t.Logf("%d findings in %d files", n, len(paths))
}

func zipOf(members ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, m := range members {
		w, _ := z.Create(fmt.Sprint(i))
		io.WriteString(w, m)
	}
	z.Close()
	return b.Bytes()
}

package draft_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
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
	return func() (unpack.File, error) { return os.CreateTemp(dir, "") }
}

// begun is a scan as the command begins it.
func begun(t testing.TB, db *ruledb.DB) *draft.Scan {
	t.Helper()
	e, err := draft.Engine()
	if err != nil {
		t.Fatal(err)
	}
	if e.Revision == "" { // a test is built without one
		t.Error("the engine has neither a revision nor a word that it has none")
	}
	sum := sha256.Sum256([]byte("database"))
	s := &draft.Scan{DB: db, Engine: e, Database: hex.EncodeToString(sum[:]), Policy: draft.Policy(db, showcause.Limits{}, map[string]string{recheck.OptionFormats: "all"})}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	return s
}

func key(t testing.TB) *evidence.Key {
	t.Helper()
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func digests(data []byte) evidence.Digests {
	sum := sha256.Sum256(data)
	return evidence.Digests{SHA256: hex.EncodeToString(sum[:])}
}

// sealed has every finding of a report sealed, verified, and rechecked, byte for
// byte; it returns the records.
func sealed(t *testing.T, name string, s *draft.Scan, k *evidence.Key, src showcause.Source, subject evidence.Digests, r *showcause.Report) (out []*evidence.Record) {
	t.Helper()
	for i := range r.Findings {
		st, err := s.Finding(name, subject, r, &r.Findings[i])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rec, err := evidence.Seal(st, k)
		if err != nil {
			t.Errorf("%s: %s: %v", name, r.Findings[i].Rule, err)
			continue
		}
		again, err := evidence.Parse(rec.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Verify(evidence.VerifyOptions{Keys: []evidence.PublicKey{k.Public()}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		a := recheck.Record(again.Statement(), src, recheck.Options{Spill: spill(t)})
		if !a.Reproduced || !a.Bytes && len(a.Notes) == 0 {
			t.Errorf("%s: %s: %+v", name, r.Findings[i].Rule, a)
		}
		out = append(out, rec)
	}
	return out
}

// Every finding in files that rules were planted in is sealed, verifies, and is
// reproduced byte for byte; so is the coverage.
func TestPlanted(t *testing.T) {
	const dir = "../../internal/plant/testdata"
	db := compile(t, dir)
	s, k := begun(t, db), key(t)
	scanner := scan.New(db, scan.Options{Digests: true})
	c := s.Coverage()
	n := 0
	err := plant.Each(dir, func(r *rule.Rule) error {
		f, err := plant.Plant(r, 2, false)
		if err != nil {
			return nil
		}
		rep := scanner.Scan(showcause.Bytes(f.Data))
		n += len(sealed(t, f.Rule, s, k, showcause.Bytes(f.Data), digests(f.Data), &rep))
		c.File(f.Rule, digests(f.Data), &rep, false)
		return nil
	})
	if err != nil || n < 150 {
		t.Errorf("%d records, %v", n, err)
	}
	for _, st := range c.Statements() {
		if _, err := evidence.Seal(st, k); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d records", n)
}

// The coverage of hostile inputs can be sealed, in one record and in parts.
func TestCoverage(t *testing.T) {
	p := filepath.Join(t.TempDir(), "marker.ndb")
	if err := os.WriteFile(p, fmt.Appendf(nil, "Hostile.Marker:0:*:%x\n", hostile.Marker), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	s, k := begun(t, db), key(t)
	s.Context.Jail = "sealed"
	c := s.Coverage()
	scanner := scan.New(db, scan.Options{Digests: true, Spill: spill(t)})
	n := 0
	for _, in := range hostile.All(false) {
		if in.Big || in.Row%3 != 0 {
			continue
		}
		src := in.Make()
		rep := scanner.Scan(src)
		c.File(in.Name, evidence.Digests{}, &rep, false)
		n++
	}
	c.File("no\x1bsuch file", evidence.Digests{}, &showcause.Report{}, true)
	for _, st := range c.Statements() {
		r, err := evidence.Seal(st, k)
		if err != nil {
			t.Fatal(err)
		}
		if st := r.Statement(); st.Coverage.Files != int64(n+1) || st.Coverage.Verdicts["error"] != 1 || st.Context.Jail != "sealed" {
			t.Errorf("%+v", st.Coverage)
		}
	}
	many := s.Coverage()
	rep := showcause.Report{Size: 1, Verdict: showcause.Incomplete, Gaps: []showcause.Gap{{Code: showcause.Encrypted, Length: 1}}, Spent: showcause.Spent{Objects: 1, Bytes: 1}}
	for i := range 10_001 {
		many.File(fmt.Sprint(i), evidence.Digests{}, &rep, false)
	}
	parts := many.Statements()
	if len(parts) != 2 || parts[0].Coverage.Files+parts[1].Coverage.Files != 10_001 || parts[1].Coverage.Part != 2 {
		t.Errorf("%d parts", len(parts))
	}
	for _, st := range parts {
		if _, err := evidence.Seal(st, k); err != nil {
			t.Error(err)
		}
	}
	empty := s.Coverage().Statements()
	if _, err := evidence.Seal(empty[0], k); err != nil {
		t.Errorf("a scan of nothing: %v", err)
	}
}

// A rule for an MD5 has that digest in its record.
func TestExact(t *testing.T) {
	inner := []byte("\x00\x01exactly these bytes")
	p := filepath.Join(t.TempDir(), "e.hdb")
	if err := os.WriteFile(p, fmt.Appendf(nil, "%x:%d:Exact.Test\n", md5.Sum(inner), len(inner)), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	s, k := begun(t, db), key(t)
	rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(inner))
	recs := sealed(t, "exact", s, k, showcause.Bytes(inner), digests(inner), &rep)
	if len(recs) != 1 || recs[0].Statement().Subject.MD5 != fmt.Sprintf("%x", md5.Sum(inner)) {
		t.Fatalf("%d records", len(recs))
	}
	other := bytes.Clone(inner)
	other[5] ^= 1
	if a := recheck.Record(recs[0].Statement(), showcause.Bytes(other), recheck.Options{}); a.Reproduced || len(a.Differences) == 0 {
		t.Errorf("%+v", a)
	}
}

// Contests and decisions name what they are about, also where the subject is hidden.
func TestContest(t *testing.T) {
	inner := []byte("\x00\x01exactly these bytes")
	p := filepath.Join(t.TempDir(), "e.hdb")
	if err := os.WriteFile(p, fmt.Appendf(nil, "%x:%d:Exact.Test\n", md5.Sum(inner), len(inner)), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	s, k := begun(t, db), key(t)
	rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(inner))
	rec := sealed(t, "/some/\x1bfile", s, k, showcause.Bytes(inner), digests(inner), &rep)[0]
	for _, copy := range []*evidence.Record{rec, rec.Share(func(string) bool { return false })} {
		contest, err := evidence.Seal(draft.Contest(s.Engine, copy, "it is\nmy own file", evidence.Context{}), k)
		if err != nil {
			t.Fatal(err)
		}
		if contest.Statement().Contest.Record != rec.Name() {
			t.Error("another record")
		}
		for _, shown := range []*evidence.Record{contest, contest.Share(func(string) bool { return false })} {
			d, err := evidence.Seal(draft.Decision(s.Engine, shown, "withdrawn", "so it is", evidence.Context{}), k)
			if err != nil {
				t.Fatal(err)
			}
			if r := d.Statement().Decision; r.Record != rec.Name() || r.Contest != contest.Name() || r.Outcome != "withdrawn" {
				t.Errorf("%+v", r)
			}
		}
	}
}

// A limit that is none has a number that a record may have.
func TestNoLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.ndb")
	if err := os.WriteFile(path, []byte("Test.One:0:*:616263646566\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, path)
	const most = math.MaxInt64
	p := draft.Policy(db, showcause.Limits{FileSize: most, ScanSize: most, Objects: most, Ratio: 1 << 53, Work: most}, nil)
	if l := p.Limits; l.FileSize != 1<<53-1 || l.ScanSize != 1<<53-1 || l.Objects != 1<<53-1 || l.Ratio != 1<<53-1 || l.Work != 1<<53-1 || p.Options[recheck.OptionInput] != "9007199254740991" {
		t.Errorf("%+v", p)
	}
	s := begun(t, db)
	s.Policy = p
	for _, st := range s.Coverage().Statements() {
		if _, err := evidence.Seal(st, key(t)); err != nil {
			t.Error(err)
		}
		st.Policy.Limits.Work = 1 << 53
		if _, err := evidence.Seal(st, key(t)); err == nil || !strings.Contains(err.Error(), "not an integer below 2^53") {
			t.Errorf("%v", err)
		}
	}
}

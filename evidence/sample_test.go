package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// sum is a digest for samples.
func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func sampleEngine() Engine {
	return Engine{Version: "showcause v1.0.0", Binary: sum("binary"), Revision: strings.Repeat("ab", 20), Go: "go1.26.0", Target: "linux/amd64"}
}

func sampleContext() Context {
	return Context{
		Path: Private{Text: "/home/anna/Downloads/rechnung.zip"}, Host: Private{Text: "desk7"}, User: Private{Text: "anna"},
		Scan: sum("scan"), Jail: "sealed",
	}
}

func samplePolicy() *Policy {
	return &Policy{Limits: showcause.Limits{}.WithDefaults(), Options: map[string]string{"input.bytes": "all"}}
}

const sampleLDB = "Test.Marker-1;Engine:51-255,Target:0;(0&1)|2>1,1;6d61726b6572;0:504b;616263"

// sampleFinding is a finding two layers down, by a logical signature.
func sampleFinding() *Statement {
	s := &Statement{
		Kind:    Finding,
		Subject: Digests{SHA256: sum("file")},
		Predicate: Predicate{
			Verdict: "found",
			Input:   &Input{Size: 1000, Type: "zip"},
			Engine:  sampleEngine(),
			Rules: &Rules{Database: sum("database"), Source: sum("source"), Rule: &Rule{
				Language: "clamav", Name: "Test.Marker-1.UNOFFICIAL", Index: 7, File: "test.ldb", Line: 3,
			}},
			Policy: samplePolicy(),
			Derivation: []Step{
				{Index: 2, Op: "zip.deflate", Digest: Digests{SHA256: sum("inner")}, Size: 500},
				{Index: 0, Op: "gzip", Digest: Digests{SHA256: sum("innermost")}, Size: 4000},
			},
			Matches: &Matches{List: []Match{{0, 10, 6}, {0, 90, 6}, {1, 0, 2}}},
			Counts:  []int64{2, 1, 0},
			Coverage: &Coverage{
				Objects: 5, Bytes: 9000, Depth: 2, Work: 12345,
				Gaps: []Gap{{Trail: []GapStep{{1, "zip.stored"}}, Code: "encrypted", Offset: 0, Length: 77}},
			},
			Context: sampleContext(),
			Time:    Time{Observed: "2026-11-21T14:00:00Z"},
		},
	}
	s.Rules.Rule.SetText(sampleLDB)
	return s
}

// sampleScan is what a scan of four files looked at.
func sampleScan() *Statement {
	c := sampleContext()
	c.Path = Private{}
	c.Paths = []Private{{Text: "/srv/a.zip"}, {Text: "/srv/b"}}
	return &Statement{
		Kind:    Scan,
		Subject: Digests{Scan: c.Scan},
		Predicate: Predicate{
			Verdict: "found", Engine: sampleEngine(), Rules: &Rules{Database: sum("database")}, Policy: samplePolicy(),
			Coverage: &Coverage{
				Objects: 30, Bytes: 4096, Depth: 3, Work: 999,
				Files: 4, Verdicts: map[string]int64{"found": 1, "nothing-found": 1, "incomplete": 1, "error": 1},
				Inputs: []Looked{
					{Digest: Digests{SHA256: sum("a.zip")}, Size: 100, Verdict: "incomplete", Gaps: []Gap{{Code: "corrupt", Offset: 12, Length: -1}}},
					{Size: -1, Verdict: "error", Gaps: []Gap{{Code: "unreadable", Offset: 0, Length: -1}}},
				},
			},
			Context: c,
			Time:    Time{Observed: "2026-11-21T14:00:01Z"},
		},
	}
}

func sampleDeed(of string) *Statement {
	return &Statement{
		Kind: Deed, Subject: Digests{SHA256: sum("file")},
		Predicate: Predicate{
			Input: &Input{Size: 1000}, Engine: sampleEngine(),
			Action:  &Action{Deed: "take", Record: of, Result: "done", Reason: Private{Text: "policy: act"}, Detail: map[string]string{"method": "rename"}},
			Context: sampleContext(), Time: Time{Observed: "2026-11-21T14:00:02Z"},
		},
	}
}

func sampleContest(of string) *Statement {
	return &Statement{
		Kind: Contest, Subject: Digests{SHA256: sum("file")},
		Predicate: Predicate{
			Engine: sampleEngine(), Contest: &Contention{Record: of, Reason: Private{Text: "our own installer; the rule is too broad"}},
			Context: sampleContext(), Time: Time{Observed: "2026-11-22T09:00:00Z"},
		},
	}
}

func sampleDecision(of, contest string) *Statement {
	return &Statement{
		Kind: Decision, Subject: Digests{SHA256: sum("file")},
		Predicate: Predicate{
			Engine: sampleEngine(), Decision: &Ruling{Record: of, Contest: contest, Outcome: "withdrawn", Reason: Private{Text: "the rule matches a library"}},
			Context: sampleContext(), Time: Time{Observed: "2026-11-23T09:00:00Z"},
		},
	}
}

func sampleEntry(after string) *Statement {
	return &Statement{
		Kind: Entry, Subject: Digests{SHA256: sum("body")},
		Predicate: Predicate{
			Input: &Input{Size: 321}, Engine: sampleEngine(), Case: &CaseEntry{Name: sum("case"), Act: "order", After: []string{after}},
			Context: sampleContext(), Time: Time{Observed: "2026-11-23T10:00:00Z"},
		},
	}
}

// sampleKeys are the same in every run: the key is no secret.
func sampleKeys(t testing.TB) (ed, pq *Key) {
	t.Helper()
	k, err := ParseKeys(append(derPEM(edPrivate, sha256.Sum256([]byte("example key"))), derPEM(pqPrivate, sha256.Sum256([]byte("example key 2")))...))
	if err != nil {
		t.Fatal(err)
	}
	return k[0], k[1]
}

func derPEM(prefix []byte, seed [32]byte) []byte {
	if len(prefix) == len(edPrivate) && string(prefix) == string(edPrivate) {
		return (&Key{ed: newSeed(seed)}).PEM()
	}
	return pqPEM(seed)
}

// all seals a sample of each kind, with predictable salts.
func samples(t testing.TB, keys ...*Key) map[Kind]*Record {
	t.Helper()
	out := map[Kind]*Record{}
	n := 0
	salts := func(b []byte) (int, error) {
		n++
		d := sha256.Sum256([]byte{byte(n), 's'})
		return copy(b, d[:]), nil
	}
	put := func(s *Statement) string {
		r, err := seal(s, salts, keys...)
		if err != nil {
			t.Fatalf("%s: %v", s.Kind, err)
		}
		out[s.Kind] = r
		return r.Name()
	}
	of := put(sampleFinding())
	put(sampleScan())
	put(sampleDeed(of))
	contest := put(sampleContest(of))
	put(sampleDecision(of, contest))
	put(sampleEntry(sum("before")))
	return out
}

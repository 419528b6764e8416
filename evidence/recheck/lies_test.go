package recheck_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/scan"
)

// statement is a record of a finding two steps down, with the file.
func statement(t testing.TB) (*evidence.Statement, []byte) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "l.ldb")
	text := fmt.Sprintf("Lies.Test;Engine:51-255,Target:0;0>1&1;%x;%x", "many a word", "and the last")
	if err := os.WriteFile(p, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := compile(t, p)
	inner := "\x00\x01" + strings.Repeat("many a word, ", 20) + "and the last"
	data := zipOf("first", string(zipOf(inner, "second")))
	rep := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(data))
	if len(rep.Findings) != 1 || len(rep.Findings[0].Trail) != 2 {
		t.Fatalf("%+v", rep)
	}
	return statementOf(t, &rep, &rep.Findings[0], &evidence.Rule{Language: "clamav", File: "l.ldb", Line: 1}, text), data
}

// statementOf is what a record says of a finding, as it comes out of one.
func statementOf(t testing.TB, rep *showcause.Report, f *showcause.Finding, rule *evidence.Rule, text string) *evidence.Statement {
	t.Helper()
	rule.Name = f.Rule
	rule.SetText(text)
	s := &evidence.Statement{Kind: evidence.Finding, Subject: evidence.Digests{SHA256: f.Chain[0].Digest.String()}}
	s.Verdict, s.Input = "found", &evidence.Input{Size: rep.Size, Type: rep.Type}
	s.Rules = &evidence.Rules{Rule: rule}
	s.Policy = &evidence.Policy{Limits: showcause.Limits{}.WithDefaults(), Options: map[string]string{recheck.OptionFormats: "all", recheck.OptionInput: "all"}}
	for i, step := range f.Trail {
		s.Derivation = append(s.Derivation, evidence.Step{Index: int64(step.Index), Op: step.Op, Digest: evidence.Digests{SHA256: f.Chain[i+1].Digest.String()}, Size: f.Chain[i+1].Size})
	}
	s.Matches = &evidence.Matches{List: recheck.Sorted(f.Matches)}
	for _, n := range f.Counts {
		s.Counts = append(s.Counts, int64(n))
	}
	s.Coverage = &evidence.Coverage{Objects: rep.Spent.Objects, Bytes: rep.Spent.Bytes, Depth: int64(rep.Spent.Depth), Work: rep.Spent.Work, Complete: true, Gaps: recheck.Gaps(rep.Gaps, rep.Size)}
	s.Rules.Database, s.Time.Observed = strings.Repeat("0a", 32), "2026-11-21T12:00:00Z"
	s.Engine = evidence.Engine{Version: "devel", Binary: strings.Repeat("0b", 32), Go: "go1.26", Target: "linux/amd64"}
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r, err := evidence.Seal(s, k)
	if err != nil {
		t.Fatal(err)
	}
	return r.Statement()
}

// copyOf is a deep copy.
func copyOf(s *evidence.Statement) *evidence.Statement {
	c := *s
	c.Derivation = append([]evidence.Step(nil), s.Derivation...)
	c.Matches = &evidence.Matches{List: append([]evidence.Match(nil), s.Matches.List...)}
	c.Counts = append([]int64(nil), s.Counts...)
	input, coverage, policy, rules, r := *s.Input, *s.Coverage, *s.Policy, *s.Rules, *s.Rules.Rule
	rules.Rule = &r
	policy.Options = map[string]string{}
	for k, v := range s.Policy.Options {
		policy.Options[k] = v
	}
	c.Input, c.Coverage, c.Policy, c.Rules = &input, &coverage, &policy, &rules
	return &c
}

// Whatever is said of the file and is not so is found out, and where.
func TestLies(t *testing.T) {
	s, data := statement(t)
	if a := recheck.Record(s, showcause.Bytes(data), recheck.Options{Around: 16}); !a.Reproduced || !a.Bytes || len(a.Excerpts) == 0 {
		t.Fatalf("%+v", a)
	}
	flip := func(hex string) string {
		if hex[0] == '0' {
			return "1" + hex[1:]
		}
		return "0" + hex[1:]
	}
	for _, c := range []struct {
		name, where string
		change      func(*evidence.Statement)
	}{
		{"subject", "file, digest", func(s *evidence.Statement) { s.Subject.SHA256 = flip(s.Subject.SHA256) }},
		{"subject's MD5", "file, MD5", func(s *evidence.Statement) { s.Subject.MD5 = strings.Repeat("ab", 16) }},
		{"size", "file, size", func(s *evidence.Statement) { s.Input.Size++ }},
		{"type", "file, type", func(s *evidence.Statement) { s.Input.Type = "rar" }},
		{"step's digest", "step 1", func(s *evidence.Statement) { s.Derivation[0].Digest.SHA256 = flip(s.Derivation[0].Digest.SHA256) }},
		{"last step's digest", "step 2", func(s *evidence.Statement) { s.Derivation[1].Digest.SHA256 = flip(s.Derivation[1].Digest.SHA256) }},
		{"step's size", "step 2", func(s *evidence.Statement) { s.Derivation[1].Size-- }},
		{"step's index", "layer", func(s *evidence.Statement) { s.Derivation[0].Index = 7 }},
		{"step's op", "layer", func(s *evidence.Statement) { s.Derivation[1].Op = "zip.stored" }},
		{"other layer", "step 2", func(s *evidence.Statement) { s.Derivation[1].Index ^= 1 }},
		{"a step less", "rule", func(s *evidence.Statement) { s.Derivation = s.Derivation[:1] }},
		{"a step more", "layer", func(s *evidence.Statement) { s.Derivation = append(s.Derivation, s.Derivation[1]) }},
		{"offset", "match 0", func(s *evidence.Statement) { s.Matches.List[0].Offset++ }},
		{"length", "match 3", func(s *evidence.Statement) { s.Matches.List[3].Length++ }},
		{"pattern", "match", func(s *evidence.Statement) { s.Matches.List[0].Pattern = 1 }},
		{"a match less", "matches", func(s *evidence.Statement) { s.Matches.List = s.Matches.List[1:] }},
		{"a match more", "match", func(s *evidence.Statement) {
			s.Matches.List = append(s.Matches.List, evidence.Match{Pattern: 1, Offset: 0, Length: 12})
		}},
		{"count", "count of pattern 0", func(s *evidence.Statement) { s.Counts[0]++ }},
		{"counts", "counts", func(s *evidence.Statement) { s.Counts = s.Counts[:1] }},
		{"rule's text", "rule", func(s *evidence.Statement) {
			s.Rules.Rule.SetText(strings.Replace(s.Rules.Rule.Text, "0>1", "0>30", 1))
		}},
		{"rule's target", "rule", func(s *evidence.Statement) {
			s.Rules.Rule.SetText(strings.Replace(s.Rules.Rule.Text, "Target:0", "Target:1", 1))
		}},
		{"rule's digest", "rule, digest", func(s *evidence.Statement) { s.Rules.Rule.Digest = flip(s.Rules.Rule.Digest) }},
		{"rule's name", "rule", func(s *evidence.Statement) { s.Rules.Rule.Name = "Other.Name" }},
		{"no rule", "rule", func(s *evidence.Statement) { s.Rules.Rule.SetText("nothing of the kind") }},
		{"language", "rule", func(s *evidence.Statement) { s.Rules.Rule.Language = "yara" }},
		{"verdict", "verdict", func(s *evidence.Statement) { s.Verdict = "nothing-found" }},
		{"objects", "coverage, objects", func(s *evidence.Statement) { s.Coverage.Objects++ }},
		{"bytes", "coverage, bytes", func(s *evidence.Statement) { s.Coverage.Bytes-- }},
		{"depth", "coverage, depth", func(s *evidence.Statement) { s.Coverage.Depth = 9 }},
		{"complete", "coverage, complete", func(s *evidence.Statement) { s.Coverage.Complete = false }},
		{"a gap", "coverage, number of gaps", func(s *evidence.Statement) {
			s.Coverage.Gaps = append(s.Coverage.Gaps, evidence.Gap{Code: "encrypted", Length: 1})
		}},
		{"limit", "layer", func(s *evidence.Statement) { s.Policy.Limits.Depth = 1 }},
		{"formats", "record", func(s *evidence.Statement) { s.Policy.Options[recheck.OptionFormats] = "few" }},
		{"kind", "record", func(s *evidence.Statement) { s.Kind = evidence.Contest }},
	} {
		lie := copyOf(s)
		c.change(lie)
		a := recheck.Record(lie, showcause.Bytes(data), recheck.Options{})
		all, _ := json.Marshal(a.Differences)
		if a.Reproduced || a.Bytes || !strings.Contains(string(all), `"where":"`+c.where) {
			t.Errorf("%s: %v %s", c.name, a.Reproduced, all)
		}
	}
}

// A file that is not the record's is told from it, wherever a byte differs, and
// wherever it is cut; nothing that it holds is worse than a difference.
func TestOtherFile(t *testing.T) {
	s, data := statement(t)
	for i := range data {
		other := bytes.Clone(data)
		other[i] ^= 0x41
		if a := recheck.Record(s, showcause.Bytes(other), recheck.Options{}); a.Reproduced {
			t.Errorf("byte %d is changed: %+v", i, a)
		}
		if a := recheck.Record(s, showcause.Bytes(data[:i]), recheck.Options{}); a.Reproduced {
			t.Errorf("cut at %d: %+v", i, a)
		}
	}
}

// FuzzRecord gives hostile records of a file: no panic, and none is reproduced
// that says anything else of it than is so.
func FuzzRecord(f *testing.F) {
	s, data := statement(f)
	f.Add(s.Rules.Rule.Text, "l.ldb", "clamav", "zip.deflate", int64(1), int64(2), int64(11), uint8(2))
	f.Add("rule x { strings: $a = \"many\" condition: #a > 3 }", "r.yar", "yara", "zip.deflate", int64(0), int64(2), int64(4), uint8(0))
	f.Add("00ff:12:N", "x.hdb", "clamav", "view.text", int64(0), int64(0), int64(12), uint8(1))
	f.Fuzz(func(t *testing.T, text, file, language, op string, index, off, n int64, steps uint8) {
		lie := copyOf(s)
		lie.Rules.Rule.Language, lie.Rules.Rule.File = language, file
		lie.Rules.Rule.SetText(text)
		lie.Derivation = lie.Derivation[:min(int(steps), 2)]
		if len(lie.Derivation) > 0 {
			lie.Derivation[0].Index, lie.Derivation[0].Op = index, op
		}
		lie.Matches.List = []evidence.Match{{Pattern: index, Offset: off, Length: n}}
		lie.Policy.Limits.Work = 1 << 22
		a := recheck.Record(lie, showcause.Bytes(data), recheck.Options{Around: int(steps)})
		if a.Bytes && !a.Reproduced {
			t.Errorf("%+v", a)
		}
	})
}

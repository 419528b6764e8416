package recheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// TestHeuristic: what a heuristic found is found again from its text and the file alone, and
// what is not so is seen.
func TestHeuristic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pdb")
	if err := os.WriteFile(path, []byte("H:ebay.com:17-\nH:paypal.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{Heuristics: heuristic.Options{Structured: true, CardCount: 1}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	const mail = "From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n<html><a href=\"http://evil.net/x\">http://www.paypal.com</a></html>\n"
	for in, want := range map[string]string{mail: "Heuristics.Phishing.Email.SpoofedDomain", "a card: 4111 1111 1111 1111\n": heuristic.Cards} {
		r := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(in))
		if len(r.Findings) != 1 || r.Findings[0].Rule != want || r.Verdict != showcause.Found {
			t.Fatalf("%q: %+v", in, r)
		}
		f := &r.Findings[0]
		run := func(change func(c *recheck.Claim)) recheck.Outcome {
			c := claimOf(t, db, f, showcause.Limits{})
			change(&c)
			return recheck.Run(showcause.Bytes(in), c, recheck.Options{})
		}
		if out := run(func(*recheck.Claim) {}); !out.Holds || len(out.Differences) > 0 {
			t.Errorf("%s: %+v", want, out)
		}
		for what, change := range map[string]func(c *recheck.Claim){
			"another place":   func(c *recheck.Claim) { c.Matches = append(c.Matches[:0:0], c.Matches...); c.Matches[0].Offset++ },
			"another entry":   func(c *recheck.Claim) { c.Matches = append(c.Matches[:0:0], c.Matches...); c.Matches[0].Pattern++ },
			"another name":    func(c *recheck.Claim) { c.Rule.Name += "x" },
			"another text":    func(c *recheck.Claim) { c.Rule.Text = strings.ReplaceAll(c.Rule.Text, "paypal", "paypale") + ";x" },
			"another count":   func(c *recheck.Claim) { c.Rule.Text = strings.Replace(c.Rule.Text, "count=1", "count=2", 1) + "\n" },
			"nothing matches": func(c *recheck.Claim) { c.Matches = nil },
		} {
			if out := run(change); len(out.Differences) == 0 {
				t.Errorf("%s, %s: %+v", want, what, out)
			}
		}
	}
}

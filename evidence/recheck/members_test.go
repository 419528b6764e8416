package recheck_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// TestMembers: what a signature of members found is found again from its text and the file alone,
// and what is not so is seen.
func TestMembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.cdb")
	if err := os.WriteFile(path, []byte("A:CL_TYPE_ZIP:*:[.]exe$:*:3-9:0:*:*:*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	var in bytes.Buffer
	g := gzip.NewWriter(&in)
	z := zip.NewWriter(g)
	for _, name := range []string{"a.exe", "b.txt", "c.exe"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("hello"))
	}
	z.Close()
	g.Close()
	r := scan.New(db, scan.Options{Digests: true}).Scan(showcause.Bytes(in.Bytes()))
	if len(r.Findings) != 1 || r.Findings[0].Rule != "A.UNOFFICIAL" || len(r.Findings[0].Matches) != 2 || len(r.Findings[0].Trail) != 1 {
		t.Fatalf("%+v", r)
	}
	run := func(change func(c *recheck.Claim)) recheck.Outcome {
		c := claimOf(t, db, &r.Findings[0], showcause.Limits{})
		change(&c)
		return recheck.Run(showcause.Bytes(in.Bytes()), c, recheck.Options{Around: 8})
	}
	if out := run(func(*recheck.Claim) {}); !out.Holds || len(out.Differences) > 0 || len(out.Excerpts) != 2 {
		t.Errorf("%+v", out)
	}
	for what, change := range map[string]func(c *recheck.Claim){
		"another place":   func(c *recheck.Claim) { c.Matches = append(c.Matches[:0:0], c.Matches...); c.Matches[0].Offset++ },
		"another name":    func(c *recheck.Claim) { c.Rule.Name = "B.UNOFFICIAL" },
		"another text":    func(c *recheck.Claim) { c.Rule.Text = "A:CL_TYPE_ZIP:*:[.]com$:*:*:*:*:*:*" },
		"fewer of them":   func(c *recheck.Claim) { c.Rule.Text = "A:CL_TYPE_ZIP:*:c[.]exe$:*:*:*:*:*:*" },
		"another count":   func(c *recheck.Claim) { c.Counts = []uint32{3} },
		"no signature":    func(c *recheck.Claim) { c.Rule.Text = "A:CL_TYPE_ZIP" },
		"nothing matches": func(c *recheck.Claim) { c.Matches = nil },
		"another layer":   func(c *recheck.Claim) { c.Trail = c.Trail[:0]; c.Chain = c.Chain[:1] },
	} {
		if out := run(change); len(out.Differences) == 0 {
			t.Errorf("%s: %+v", what, out)
		}
	}
}

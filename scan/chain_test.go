package scan_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// unsized is a source that is not in memory at once.
type unsized struct{ *bytes.Reader }

func link(b string) showcause.Link {
	return showcause.Link{Digest: sha256.Sum256([]byte(b)), Size: int64(len(b))}
}

// A finding says what each layer down to it holds, views among them, and how
// often each pattern stands there.
func TestChain(t *testing.T) {
	db := compile(t, map[string]string{
		"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\n",
		"l.ldb": "Test.Many;Engine:51-255,Target:0;0>20&1;" + hexOf("many-a-one") + ";" + hexOf("another here") + "\n" +
			"Test.Text;Engine:51-255,Target:7;0;" + hexOf("only in lower case") + "\n",
	})
	text := "Some ONLY  IN\tLower Case text"
	normal := "some only in lower case text"
	many := "\x00\x01" + strings.Repeat("many-a-one ", 30) + "another here"
	inner := string(zipOf(marker+"\x00", many))
	outer := string(gzipOf(inner))
	for name, c := range map[string]struct {
		in     string
		limits showcause.Limits
		rule   string
		chain  []showcause.Link
		counts string
	}{
		"the input":    {marker + "\x00", showcause.Limits{}, "Test.Marker", []showcause.Link{link(marker + "\x00")}, "[1]"},
		"three layers": {outer, showcause.Limits{}, "Test.Marker", []showcause.Link{link(outer), link(inner), link(marker + "\x00")}, "[1]"},
		"many":         {outer, showcause.Limits{}, "Test.Many", []showcause.Link{link(outer), link(inner), link(many)}, "[30 1]"},
		"a view":       {text, showcause.Limits{}, "Test.Text", []showcause.Link{link(text), link(normal)}, "[1]"},
		"cut":          {marker + "\x00more", showcause.Limits{FileSize: int64(len(marker)) + 1}, "Test.Marker", []showcause.Link{link(marker + "\x00")}, "[1]"},
	} {
		for _, src := range []showcause.Source{showcause.Bytes(c.in), unsized{bytes.NewReader([]byte(c.in))}} {
			seen := false
			for _, f := range scan.New(db, scan.Options{Limits: c.limits, Digests: true}).Scan(src).Findings {
				if f.Rule != c.rule+".UNOFFICIAL" {
					continue
				}
				seen = true
				if fmt.Sprint(f.Chain) != fmt.Sprint(c.chain) || fmt.Sprint(f.Counts) != c.counts {
					t.Errorf("%s: %s %v, %v, want %v, %s", name, f.Trail, f.Chain, f.Counts, c.chain, c.counts)
				}
				if len(f.Matches) > 2*showcause.MaxMatches {
					t.Errorf("%s: %d matches", name, len(f.Matches))
				}
			}
			if !seen {
				t.Errorf("%s: not found", name)
			}
		}
	}
	for _, f := range scan.New(db, scan.Options{}).Scan(showcause.Bytes(outer)).Findings {
		if f.Chain != nil || f.Counts != nil {
			t.Errorf("digests without being asked for: %+v", f)
		}
	}
}

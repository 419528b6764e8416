package answer

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// What lower layers of a container's image hide is said to be hidden, on a line
// that no name forges.
func TestHidden(t *testing.T) {
	gone := showcause.Trail{{Op: "oci.layer", Name: "1"}, {Op: "oci.hidden", Name: "bin/evil"}, {Op: "zip.deflate", Name: "a"}}
	seen := showcause.Trail{{Op: "oci.layer", Name: "1"}, {Op: "oci.file", Name: "a\n    " + HiddenNote}}
	for _, c := range []struct {
		at   showcause.Trail
		want int
	}{{gone, 1}, {gone[:2], 1}, {seen, 0}, {nil, 0}} {
		r := Result{Path: "image.tar", Report: showcause.Report{
			Findings: []showcause.Finding{{Trail: c.at, Rule: "R"}}, Gaps: []showcause.Gap{{Trail: c.at, Code: showcause.Encrypted, Length: -1}},
		}}
		var b strings.Builder
		p := &textPrinter{w: &b, gaps: map[showcause.Code]*gapGroup{}}
		if err := p.Result(&r); err != nil {
			t.Fatal(err)
		}
		p.groups("not read:", []showcause.Code{showcause.Encrypted})
		n := 0
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.TrimSpace(line) == HiddenNote {
				n++
			}
		}
		if n != 2*c.want {
			t.Errorf("%s:\n%s", c.at, b.String())
		}
	}
}

package wire

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// TestCut holds what is left of a report for which there is no room: its verdict,
// and a gap that says so.
func TestCut(t *testing.T) {
	e, d := both(true, false)
	trail := showcause.Trail{{Index: 1, Op: e.ops[1], Name: strings.Repeat("n", 100)}}
	rule := ruleOf(t, "Test.Marker")
	for _, found := range []bool{false, true} {
		r := showcause.Report{Type: "zip", Size: 1000}
		for i := range 2000 {
			code := showcause.Corrupt
			if i%2 > 0 {
				code = showcause.Encrypted
			}
			r.Gaps = append(r.Gaps, showcause.Gap{Trail: trail, Code: code, Length: 1})
			if found {
				r.Findings = append(r.Findings, showcause.Finding{Index: rule, Trail: trail})
			}
		}
		b := body(e.Report(nil, 1, &r))
		whole, err := d.Report(b, 1, 1000, 1<<40)
		if err != nil || len(whole.Gaps) != 2000 {
			t.Fatalf("%v: %d gaps", err, len(whole.Gaps))
		}
		const room = 300_000
		cut, err := d.Report(b, 1, 1000, room)
		if err != nil || cut.Verdict != whole.Verdict || !has(&cut, LimitReport) || !has(&cut, showcause.Corrupt) || !has(&cut, showcause.Encrypted) {
			t.Errorf("%v: %v %d gaps", err, cut.Verdict, len(cut.Gaps))
		}
		if w := Weigh(&cut); w > room+LeastRoom+1000 || found && len(cut.Findings) < 2 || !found && w > LeastRoom+1000 {
			t.Errorf("weighs %d, %d findings", w, len(cut.Findings))
		}
	}
}

package scan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// A report is bounded, whatever is wrong how often, and its verdict is that of all.
func TestReportIsBounded(t *testing.T) {
	in := &input{Scanner: &Scanner{}}
	at := showcause.Trail{{Op: "test.x", Name: "a"}}
	for i := range 5 * maxGaps {
		in.gap(showcause.Gap{Trail: at, Code: showcause.Corrupt, Offset: int64(i), Length: 1})
		in.gap(showcause.Gap{Trail: at, Code: showcause.Ambiguous + ".x", Offset: int64(i), Length: 1})
	}
	in.gap(showcause.Gap{Trail: at, Code: showcause.Encrypted, Offset: 7, Length: 9})
	gs := in.report.Gaps
	if len(gs) != 2*(maxGaps+1)+1 {
		t.Fatalf("%d gaps", len(gs))
	}
	if g := gs[len(gs)-3]; g.Code != showcause.Corrupt || len(g.Trail) != 0 || g.Offset != 0 || g.Length != -1 {
		t.Errorf("the last of a code is %+v", g)
	}
	if g := gs[len(gs)-1]; g.Code != showcause.Encrypted || g.Offset != 7 {
		t.Errorf("another code: %+v", g)
	}

	in = &input{Scanner: &Scanner{}}
	for i := range 2 * maxFindings {
		in.keep(showcause.Finding{Trail: at, Index: uint32(i), Allowed: "x"})
	}
	in.report.Conclude()
	if len(in.report.Findings) != maxFindings || in.report.Verdict != showcause.NothingFound {
		t.Fatalf("%d findings, %v", len(in.report.Findings), in.report.Verdict)
	}
	in.keep(showcause.Finding{Trail: at, Index: 1, Rule: "the one that counts"})
	in.keep(showcause.Finding{Trail: at, Index: 1, Rule: "another"})
	in.report.Conclude()
	if len(in.report.Findings) != maxFindings+1 || in.report.Verdict != showcause.Found {
		t.Errorf("%d findings, %v", len(in.report.Findings), in.report.Verdict)
	}
}

// Long names in deep trails fill a report as well.
func TestReportIsBoundedInBytes(t *testing.T) {
	in := &input{Scanner: &Scanner{}}
	var deep showcause.Trail
	for range 32 {
		deep = append(deep, showcause.Step{Op: "test.x", Name: strings.Repeat("n", 4<<10)})
	}
	for i := range 2 * maxGaps {
		in.gap(showcause.Gap{Trail: deep, Code: showcause.Code(fmt.Sprintf("unsupported.x%d", i%40)), Offset: 0, Length: 1})
		in.keep(showcause.Finding{Trail: deep, Index: uint32(i)})
	}
	n := int64(0)
	for _, g := range in.report.Gaps {
		n += weigh(g.Trail)
	}
	for _, f := range in.report.Findings {
		n += weigh(f.Trail)
	}
	if n > maxTold+1<<20 {
		t.Errorf("%d bytes of trails", n)
	}
	seen := map[showcause.Code]bool{}
	for _, g := range in.report.Gaps {
		seen[g.Code] = true
	}
	if len(seen) != 40 || len(in.report.Findings) == 0 {
		t.Errorf("%d codes, %d findings", len(seen), len(in.report.Findings))
	}
}

package scan

import "github.com/showcause/showcause"

// What is kept of one input at most, so that its report is bounded. An attacker
// chooses how often one thing is wrong, and the names on the way to it.
const (
	maxGaps     = 1000 // of one code
	maxFindings = 10_000
	maxTold     = 32 << 20 // bytes of names and matches in all of them, about
)

// told counts what a report holds.
type told struct {
	gaps  map[showcause.Code]int
	bytes int64
	lost  int  // gaps and findings that were dropped, or stand for others
	firm  bool // a finding is kept that makes the verdict
}

// weigh returns about how many bytes a trail takes in a report.
func weigh(t showcause.Trail) int64 {
	n := int64(64)
	for i := range t {
		n += 32 + int64(len(t[i].Name))
	}
	return n
}

// gap records a gap. One more than may be kept of a code, of the whole input
// and of unknown length, stands for all that follow.
func (in *input) gap(g showcause.Gap) {
	if in.cut && g.Code == showcause.Corrupt {
		g.Code = showcause.LimitSize // the damage is our own
	}
	if in.told.gaps == nil {
		in.told.gaps = map[showcause.Code]int{}
	}
	n := in.told.gaps[g.Code]
	if n > maxGaps {
		in.told.lost++
		return
	}
	in.told.gaps[g.Code]++
	cost := weigh(g.Trail)
	if n == maxGaps || in.told.bytes+cost > maxTold {
		in.told.gaps[g.Code] = maxGaps + 1
		in.told.lost++
		g = showcause.Gap{Code: g.Code, Offset: 0, Length: -1}
		cost = 0
	}
	in.told.bytes += cost
	in.report.Gaps = append(in.report.Gaps, g)
	if in.visitor != nil && in.visitor.Gap != nil {
		in.visitor.Gap(g)
	}
}

// keep records a finding. Past what may be kept they are dropped, but for the
// first that makes the verdict.
func (in *input) keep(f showcause.Finding) {
	firm := f.Alarms() && !in.told.firm
	each, most := int64(160), int64(maxTold)
	if in.options.MaxMatches > showcause.MaxMatches { // they are what is asked for
		each, most = 48, 8*maxTold
	}
	cost := weigh(f.Trail) + 256 + each*int64(len(f.Matches)) + 48*int64(len(f.Chain)) + 4*int64(len(f.Counts))
	if !firm && (len(in.report.Findings) >= maxFindings || in.told.bytes+cost > most) {
		in.told.lost++
		return
	}
	in.told.firm = in.told.firm || firm
	in.told.bytes += cost
	in.report.Findings = append(in.report.Findings, f)
}

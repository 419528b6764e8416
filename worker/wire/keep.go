package wire

import "github.com/showcause/showcause"

// What a report may take in the broker's memory.
const (
	quietShare = 64       // of the room that is left, for one that raises no alarm
	LeastRoom  = 64 << 10 // for any, bytes
)

// LimitReport is what is said of a report that was cut.
const LimitReport = showcause.LimitMemory + ".report"

// keeper decides what of a report is kept.
type keeper struct {
	left    int64
	alarmed bool
	cut     bool
	dropped map[showcause.Code]bool // of which a gap stands for all that follow
}

// finding tells whether a finding is kept. The first that makes the verdict is, and
// it makes room for more.
func (k *keeper) finding(f *showcause.Finding, room int64) bool {
	w := weighFinding(f)
	if f.Alarms() && !k.alarmed {
		k.alarmed = true
		k.left += room - room/quietShare
		k.left -= w
		return true
	}
	if w > k.left {
		k.cut = true
		return false
	}
	k.left -= w
	return true
}

// gap tells whether a gap is kept. One of each code stands for those that are not.
func (k *keeper) gap(g *showcause.Gap) bool {
	if k.dropped[g.Code] {
		return false
	}
	w := weighGap(g)
	if w > k.left {
		if k.dropped == nil {
			k.dropped = map[showcause.Code]bool{}
		}
		k.cut, k.dropped[g.Code] = true, true
		*g = showcause.Gap{Code: g.Code, Offset: 0, Length: -1}
		return true
	}
	k.left -= w
	return true
}

// Weights in bytes, about: what the structures of package showcause take on a
// machine of 64 bits, and growing slices beside.
func weighTrail(t showcause.Trail) int64 {
	w := int64(48 * len(t))
	for i := range t {
		w += int64(len(t[i].Name))
	}
	return w
}

func weighFinding(f *showcause.Finding) int64 {
	w := 256 + weighTrail(f.Trail) + int64(64*len(f.Matches)) + int64(40*len(f.Chain)) + int64(8*len(f.Counts))
	for i := range f.Matches {
		w += int64(len(f.Matches[i].Excerpt))
	}
	return w
}

func weighGap(g *showcause.Gap) int64 { return 128 + weighTrail(g.Trail) }

// Weigh is what a report takes in memory.
func Weigh(r *showcause.Report) int64 {
	w := 256 + weighLines(r)
	for i := range r.Findings {
		w += weighFinding(&r.Findings[i])
	}
	for i := range r.Gaps {
		w += weighGap(&r.Gaps[i])
	}
	return w
}

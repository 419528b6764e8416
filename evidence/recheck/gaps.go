package recheck

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
)

const (
	maxGapsTold = 1000      // of a file's gaps that a record lists
	maxNumber   = 1<<53 - 1 // that a record may have (docs/format/record.md, section 1)
)

// Gaps returns the gaps of a file of size bytes as a record has them: the first
// maxGapsTold, and then one of each code, of the whole file and of unknown length,
// that stands for all that follow. A place may come from a header in the file: what can
// be none is made one, as readers do on their wire, and a length that no record holds
// is not known.
func Gaps(in []showcause.Gap, size int64) (out []evidence.Gap) {
	stands := map[showcause.Code]bool{}
	for i, g := range in {
		if i >= maxGapsTold {
			if stands[g.Code] {
				continue
			}
			stands[g.Code] = true
			g = showcause.Gap{Code: g.Code, Offset: 0, Length: -1}
		}
		last := int64(maxNumber)
		if len(g.Trail) == 0 {
			last = min(last, max(size, 0))
		}
		e := evidence.Gap{Code: string(g.Code), Offset: min(max(g.Offset, 0), last), Length: max(g.Length, -1)}
		if e.Length > maxNumber {
			e.Length = -1
		}
		for _, s := range g.Trail {
			e.Trail = append(e.Trail, evidence.GapStep{Index: min(max(int64(s.Index), 0), maxNumber), Op: s.Op})
		}
		out = append(out, e)
	}
	return out
}

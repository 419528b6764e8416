package draft_test

import (
	"math"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
)

// Numbers that no record holds, of one file or in the sum of many, do not take the
// record of the scan away.
func TestNumbers(t *testing.T) {
	db := compile(t, "../../internal/plant/testdata")
	s, k := begun(t, db), key(t)
	const most = 1<<53 - 1
	for name, r := range map[string]showcause.Report{
		"objects":    {Spent: showcause.Spent{Objects: 1 << 60}},
		"bytes":      {Spent: showcause.Spent{Objects: 1, Bytes: math.MaxInt64}},
		"work":       {Spent: showcause.Spent{Objects: 1, Work: math.MaxInt64}},
		"in the sum": {Spent: showcause.Spent{Objects: most, Bytes: most, Work: most}},
		"gap": {Spent: showcause.Spent{Objects: 1}, Verdict: showcause.Incomplete, Gaps: []showcause.Gap{
			{Code: showcause.Corrupt, Offset: math.MaxInt64, Length: math.MaxInt64},
			{Code: showcause.Corrupt, Offset: math.MinInt64, Length: math.MinInt64},
			{Code: showcause.Corrupt, Offset: math.MaxInt64, Length: math.MaxInt64, Trail: showcause.Trail{{Index: math.MaxInt64, Op: "zip.stored"}}},
		}},
	} {
		r.Size = 100
		c := s.Coverage()
		for range 3 {
			c.File(name, evidence.Digests{}, &r, false)
		}
		honest := showcause.Report{Size: 5, Spent: showcause.Spent{Objects: 1, Bytes: 5, Work: 2}}
		c.File("honest", evidence.Digests{}, &honest, false)
		for _, st := range c.Statements() {
			rec, err := evidence.Seal(st, k)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if v := rec.Statement().Coverage; v.Files != 4 || v.Objects < 4 || v.Bytes < 5 || len(v.Inputs) != 3*min(len(r.Gaps), 1) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

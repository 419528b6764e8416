package answer

import (
	"testing"

	"github.com/showcause/showcause"
)

// The totals count what was read of a file itself, and only that.
func TestRead(t *testing.T) {
	inside := showcause.Trail{{Op: "zip.deflate"}}
	for _, test := range []struct {
		name string
		gap  showcause.Gap
		want int64
	}{
		{"all", showcause.Gap{Code: "ambiguous.zip.size", Offset: 0, Length: -1}, 1000},
		{"cut", showcause.Gap{Code: showcause.LimitSize, Offset: 400, Length: 600}, 400},
		{"what is in it is over a limit", showcause.Gap{Code: showcause.LimitSize, Offset: 0, Length: -1}, 1000},
		{"inside", showcause.Gap{Trail: inside, Code: showcause.Unreadable, Offset: 0, Length: 10}, 1000},
		{"time", showcause.Gap{Code: showcause.LimitTime, Offset: 0, Length: 1000}, 0},
		{"reader died", showcause.Gap{Code: "crash.sigsegv", Offset: 0, Length: 1000}, 0},
		{"one stage of ours", showcause.Gap{Code: showcause.Crash, Offset: 0, Length: -1}, 1000},
		{"unreadable", showcause.Gap{Code: showcause.Unreadable, Offset: 512, Length: 488}, 512},
		{"corrupt", showcause.Gap{Code: showcause.Corrupt, Offset: 10, Length: -1}, 1000},
	} {
		r := Result{Report: showcause.Report{Size: 1000, Gaps: []showcause.Gap{test.gap}}}
		var totals Totals
		totals.Add(&r)
		if totals.Bytes != test.want {
			t.Errorf("%s: %d bytes, want %d", test.name, totals.Bytes, test.want)
		}
	}
}

package records

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/showcause/showcause/serve/queue"
)

// BenchmarkFindings is a flood of mails of 4 KiB in each of which something is found, with
// records and without.
func BenchmarkFindings(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("records=%v", kept), func(b *testing.B) {
			q, k := opened(b, Options{})
			if !kept {
				q, _ = opened(b, Options{Store: "off"})
			}
			var n, missed atomic.Int64
			pad := make([]byte, 4000)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					a := ask(b, q, "x", fmt.Sprint(n.Add(1), marker, string(pad)), queue.ScanOptions{})
					if kept && len(a.Records) == 0 {
						missed.Add(1)
					}
				}
			})
			b.StopTimer()
			if st := k.Status(); kept {
				b.ReportMetric(float64(missed.Load()), "missed")
				b.ReportMetric(float64(st.Waiting), "waiting")
			}
		})
	}
}

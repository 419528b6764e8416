//go:build linux && (amd64 || arm64)

package jail

import (
	"flag"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "also what takes minutes")

// TestNeeded takes each line away and looks for work that then fails.
func TestNeeded(t *testing.T) {
	if !*full {
		t.Skip("takes minutes; run with -args -full")
	}
	for _, b := range builds(t) {
		if b.cgo != cgo {
			continue
		}
		for _, l := range Table() {
			var by []string
			for _, work := range []string{"nothing", "rules", "recv", "scratch", "gc", "goroutines", "timers", "panic", "threads", "preempt", "big", "stack", "idle", "bad"} {
				o := b.run(t, 0, spec{Work: work, Without: []string{l.Name}})
				if o.Exit == "SIGSYS" {
					by = append(by, work)
				}
			}
			t.Logf("%-16s %s", l.Name, strings.Join(by, " "))
		}
	}
}

package casecmd

import (
	"testing"

	"github.com/showcause/showcause/evidence/recheck"
)

func TestBounded(t *testing.T) {
	for _, n := range []int{0, 1, maxSaid, maxSaid + 1, 3 * maxSaid} {
		a := recheck.Answer{Differences: make([]recheck.Difference, n), Notes: make([]string, n)}
		bounded(&a)
		if want := min(n, maxSaid+1); len(a.Differences) != want || len(a.Notes) != want {
			t.Errorf("%d: %d differences, %d notes", n, len(a.Differences), len(a.Notes))
		}
	}
}

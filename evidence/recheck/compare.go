package recheck

import (
	"fmt"

	"github.com/showcause/showcause"
)

// compare holds the claim's matches and counts against those that are there.
func (w *walk) compare() {
	if w.claim.hidden {
		w.note("the record's matches are hidden, and were not compared")
		return
	}
	type key struct {
		pattern int
		offset  int64
		length  int64
	}
	derived := map[key]bool{}
	for _, m := range w.out.Matches {
		derived[key{m.Pattern, m.Offset, m.Length}] = true
	}
	for i, m := range w.claim.Matches {
		k := key{m.Pattern, m.Offset, m.Length}
		if !derived[k] {
			w.differ(fmt.Sprintf("match %d", i), place(m), "none there")
		}
		delete(derived, k)
	}
	for _, m := range w.out.Matches {
		if derived[key{m.Pattern, m.Offset, m.Length}] {
			w.differ("matches", "nothing of it", place(m))
		}
	}
	for i := range w.claim.Counts {
		if i < len(w.out.Counts) && w.claim.Counts[i] != w.out.Counts[i] {
			w.differ(fmt.Sprintf("count of pattern %d", i), fmt.Sprint(w.claim.Counts[i]), fmt.Sprint(w.out.Counts[i]))
		}
	}
	if w.claim.Counts != nil && len(w.claim.Counts) != len(w.out.Counts) {
		w.differ("counts", fmt.Sprintf("%d patterns", len(w.claim.Counts)), fmt.Sprintf("%d", len(w.out.Counts)))
	}
}

func place(m showcause.Match) string {
	return fmt.Sprintf("pattern %d at %d, %d bytes", m.Pattern, m.Offset, m.Length)
}

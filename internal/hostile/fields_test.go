package hostile

import (
	"strings"
	"testing"
)

// What stands beside the content of a container is found in the container's own bytes, and
// nowhere else.
func TestFields(t *testing.T) {
	s := scanner(t)
	n := 0
	for _, in := range fieldForms() {
		if !strings.HasPrefix(in.Name, fieldPrefix) {
			continue
		}
		n++
		r := s.Scan(in.Make())
		if len(r.Findings) == 0 || len(r.Findings[0].Trail) != 0 {
			t.Errorf("%s: %v, found at %v", in.Name, r.Verdict, r.Findings)
		}
		for _, g := range r.Gaps {
			if g.Code.Unread() {
				t.Errorf("%s: %s", in.Name, g.Code)
			}
		}
	}
	if n < 8 {
		t.Errorf("%d inputs", n)
	}
}

package formats

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// Every format is listed once, is whole, and leaves ordinary bytes alone.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Name == "" || f.Match == nil || f.Walk == nil || seen[f.Name] {
			t.Errorf("format %q is not whole, or listed twice", f.Name)
		}
		seen[f.Name] = true
		for _, s := range []string{"", "\x00", "plain text of no kind\n"} {
			if f.Match(unpacktest.Probe(showcause.Bytes(s))) {
				t.Errorf("%s matches %q", f.Name, s)
			}
		}
	}
}

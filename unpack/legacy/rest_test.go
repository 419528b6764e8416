package legacy

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// What stands behind a file is a child as it stands there.
func TestRest(t *testing.T) {
	hidden := []byte(strings.Repeat("hidden behind the end ", 20))
	b := []byte(strings.Repeat("content and so on ", 30))
	alz, _ := alzSample(t)
	egg, _ := eggSamples(t)
	for name, c := range map[string]struct {
		format unpack.Format
		data   []byte
	}{
		"alz": {ALZ(), alz}, "egg": {EGG(), egg["plain"]}, "szdd": {SZDD(), szddOf(b)},
		"kwaj, lzss": {KWAJ(), kwajOf(2, b)}, "kwaj, mszip": {KWAJ(), kwajOf(4, b)},
	} {
		want := unpacktest.Walk(t, c.format, c.data, showcause.Limits{})
		got := unpacktest.Walk(t, c.format, slices.Concat(c.data, hidden), showcause.Limits{})
		if len(want.Gaps) > 0 || slices.ContainsFunc(want.Children, func(c unpacktest.Child) bool { return strings.HasSuffix(c.Op, ".rest") }) {
			t.Errorf("%s, nothing behind: %s", name, want)
		}
		if len(got.Children) <= len(want.Children) && !got.Unread() || !slices.ContainsFunc(got.Children, func(c unpacktest.Child) bool { return bytes.HasSuffix(c.Data, hidden) }) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// What a decoder leaves of a file's data is not read by anyone.
	packed := append(deflated(b), hidden...)
	if r := unpacktest.Walk(t, ALZ(), alzOf(alzFileOf("a", 2, packed, b, "")), showcause.Limits{}); !r.Has(showcause.Corrupt) {
		t.Errorf("alz, rest of the data: %s", r)
	}
	if r := unpacktest.Walk(t, EGG(), eggOf(nil, eggFileOf("a", len(b), nil, eggBlockOf(1, packed, b))), showcause.Limits{}); !r.Has(showcause.Corrupt) {
		t.Errorf("egg, rest of the data: %s", r)
	}
}

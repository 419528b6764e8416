package formats

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/document"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// TestCarvedMail holds that a mail that stands in a layer is read as the layer's
// own, junk before its header, but not where another format gave it as a child.
func TestCarvedMail(t *testing.T) {
	mail := "\x01\x02\nFrom: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Transfer-Encoding: base64\n\naGVsbG8gYW5kIHNvIG9u\n--cut--\n"
	for name, c := range map[string]struct {
		from, n int64
		want    int
	}{
		"given by none":      {0, 0, 1},
		"given before it":    {0, 2, 1},
		"given":              {2, int64(len(mail)) - 2, 0},
		"its head is":        {2, 120, 0},
		"given behind it":    {150, 20, 1},
		"the layer is given": {0, int64(len(mail)), 1},
	} {
		src := showcause.Bytes(mail)
		children := 0
		b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
		out := unpack.NewOut(b, nil, func(showcause.Layer) { children++ }, func(showcause.Gap) {})
		out.Cover(c.from, c.n)
		if !document.Mail().Match(unpacktest.Probe(src)) {
			t.Fatal("no match")
		}
		if document.Mail().Walk(src, out); (children > 0) != (c.want > 0) {
			t.Errorf("%s: %d children", name, children)
		}
	}
}

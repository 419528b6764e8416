package document

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// TestWholeLayer holds that no part is the layer itself as it stands, which
// would be read again until the depth is spent.
func TestWholeLayer(t *testing.T) {
	const header = "From: a@example.org\nTo: b@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_c\"\n"
	for _, text := range []string{
		header,
		"planted.bin/    0 `\n" + header,
		"!<arch>\nfirst.txt/      0 `\nfirst member\n\nplanted.bin/    0 `\n" + header,
		"!<arch>\nfirst.txt/      0 `\nfirst member\n\nplanted.bin/    0 `\n" + header + "\n--=_c\n\nwords of the first part\n--=_c--\n",
	} {
		n := 0
		var walk func(src showcause.Source, b *unpack.Budget, depth int)
		walk = func(src showcause.Source, b *unpack.Budget, depth int) {
			if n++; depth > 6 {
				t.Fatalf("%.40q: layers nest", text)
			}
			head := make([]byte, min(src.Size(), unpack.HeadSize))
			if _, err := src.ReadAt(head, 0); err != nil {
				t.Fatal(err)
			}
			if f := Mail(); f.Match(&unpack.Probe{Head: head, Source: src}) {
				f.Walk(src, unpack.NewOut(b, nil, func(l showcause.Layer) { walk(l.Source, b, depth+1) }, func(showcause.Gap) {}))
			}
		}
		walk(showcause.Bytes(text), unpack.NewBudget(showcause.Limits{}, int64(len(text)), nil), 0)
		if n > 40 {
			t.Errorf("%.40q: %d layers", text, n)
		}
	}
}

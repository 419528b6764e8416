package unpack

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
)

// zeroReader gives n zeros and then what follows.
type zeroReader struct {
	n    int64
	tail []byte
}

func (z *zeroReader) Read(p []byte) (int, error) {
	if z.n > 0 {
		k := min(int64(len(p)), z.n)
		clear(p[:k])
		z.n -= k
		return int(k), nil
	}
	k := copy(p, z.tail)
	if z.tail = z.tail[k:]; k == 0 {
		return 0, io.EOF
	}
	return k, nil
}

// Zeros out of deflate raise the limit of the ratio, up to freeZeros, and nothing else does.
func TestFreeZeros(t *testing.T) {
	spill := func() (File, error) { return os.Create(filepath.Join(t.TempDir(), "s")) }
	const over = showcause.RatioFloor + 100<<20
	for name, c := range map[string]struct {
		r       io.Reader
		deflate bool
		limits  showcause.Limits
		want    int64
		code    showcause.Code
	}{
		"zeros":                {&zeroReader{over, []byte("marker")}, true, showcause.Limits{}, over + 6, ""},
		"zeros, not cheap":     {&zeroReader{over, []byte("marker")}, false, showcause.Limits{}, showcause.RatioFloor, showcause.LimitRatio},
		"more than are free":   {&zeroReader{4 << 30, nil}, true, showcause.Limits{}, showcause.RatioFloor + freeZeros, showcause.LimitRatio},
		"the size is a limit":  {&zeroReader{over, nil}, true, showcause.Limits{ScanSize: 290 << 20}, 290 << 20, showcause.LimitSize},
		"the layer's":          {&zeroReader{over, nil}, true, showcause.Limits{FileSize: 280 << 20}, 280 << 20, showcause.LimitSize},
		"not zeros, and zeros": {io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{7}, 20<<20)), &zeroReader{over, nil}), true, showcause.Limits{}, over + 20<<20, ""},
	} {
		b := NewBudget(c.limits, 1000, spill)
		var got int64
		var code showcause.Code
		var last []byte
		out := NewOut(b, nil, func(l showcause.Layer) {
			got = l.Source.Size()
			last = make([]byte, 6)
			l.Source.ReadAt(last, got-6)
			if at := int64(50 << 20); Zeros(l.Source, at) == 0 {
				t.Errorf("%s: no hole at %d", name, at)
			}
			if n := Zeros(l.Source, got); n != 0 {
				t.Errorf("%s: %d zeros behind the end", name, n)
			}
		}, func(g showcause.Gap) { code = g.Code })
		out.Child(Child{Op: "x.y", Reader: c.r, Size: -1, Deflate: c.deflate})
		if got != c.want || code != c.code || code == "" && name == "zeros" && string(last) != "marker" {
			t.Errorf("%s: %d bytes, %q, want %d, %q; %q at the end", name, got, code, c.want, c.code, last)
		}
	}
}

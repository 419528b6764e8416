package zip

import (
	stdzip "archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// stdZip is a zip of n members of bytes that do not compress.
func stdZip(t testing.TB, n, size int) []byte {
	var b bytes.Buffer
	w := stdzip.NewWriter(&b)
	rng := rand.New(rand.NewSource(7))
	for i := range n {
		f, err := w.Create(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		c := make([]byte, size)
		rng.Read(c)
		f.Write(c)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gzipped cuts what does not compress into stored blocks, with headers between.
func gzipped(t testing.TB, parts ...[]byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		w.Write(p)
	}
	w.Close()
	return b.Bytes()
}

// A zip that shows in pieces through a compressed stream is none of the layer's; one
// behind the stream is, of which the stream's format says that it is there.
func TestZipInStream(t *testing.T) {
	z := stdZip(t, 6, 30_000)
	for name, c := range map[string]struct {
		data []byte
		gaps bool
		want int
	}{
		"in pieces":              {gzipped(t, bytes.Repeat([]byte("x"), 100), z), false, -1},
		"cut, in pieces":         {gzipped(t, z[:150_000]), false, -1},
		"behind":                 {append(gzipped(t, []byte("x")), z...), false, 6},
		"behind, no directory":   {append(gzipped(t, []byte("x")), z[:100_000]...), false, 3},
		"the same, of no stream": {append([]byte("junk"), z[:100_000]...), true, 4},
	} {
		r := unpacktest.Walk(t, Format(), c.data, showcause.Limits{})
		unread := false
		for _, g := range r.Gaps {
			unread = unread || g.Code.Unread()
		}
		if unread != c.gaps || c.want >= 0 && len(r.Children) != c.want {
			t.Errorf("%s: %d children: %s", name, len(r.Children), r)
		}
	}
}

// TestRepeat holds that members which share their data are charged as what a tool
// would write.
func TestRepeat(t *testing.T) {
	for _, c := range []struct {
		n, size int
		want    bool
	}{{200, 1 << 10, false}, {20, 30 << 20, true}} {
		data := zipTestOverlap(zipTestDeflated("a", bytes.Repeat([]byte("A"), c.size)), c.n)
		r := unpacktest.Walk(t, Format(), data, showcause.Limits{})
		limited := false
		for _, g := range r.Gaps {
			limited = limited || g.Code == showcause.LimitRatio
		}
		if limited != c.want {
			t.Errorf("%d times %d bytes: %s", c.n, c.size, r)
		}
	}
}

package formats

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/showcause/showcause"
)

// noise is data in which nothing hides.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// squeezed is a content in several compressions.
func squeezed(content []byte) map[string][]byte {
	var g, x, z bytes.Buffer
	gw := gzip.NewWriter(&g)
	gw.Write(content)
	gw.Close()
	xw, _ := xz.NewWriter(&x)
	xw.Write(content)
	xw.Close()
	zw, _ := zstd.NewWriter(&z)
	zw.Write(content)
	zw.Close()
	return map[string][]byte{"gzip": g.Bytes(), "xz": x.Bytes(), "zstd": z.Bytes()}
}

// A stream or an archive in data of any kind is read, and what stands behind it is
// no damage of it.
func TestCarried(t *testing.T) {
	content := []byte("marker of it " + strings.Repeat("and so on ", 40))
	all := squeezed(content)
	for name, b := range squeezed(tarOf(content)) {
		all["tar in "+name] = b
	}
	all["tar"], all["cpio"], all["zip"] = tarOf(content), cpioOf(content), zipOf(content)
	fronts := map[string][]byte{
		"gif": []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00;"), "zeros": make([]byte, 5000), "noise": noise(300_000), "text": []byte(strings.Repeat("some words ", 30)),
		"sqlite": append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00"), make([]byte, 4000)...), "pcap": append([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00"), make([]byte, 16)...),
		"a broken Mach-O": append([]byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01"), make([]byte, 100)...), "zip": zipOf([]byte("a member")),
	}
	for front, f := range fronts {
		for name, b := range all {
			for _, behind := range [][]byte{nil, []byte("\x91 words that are behind it"), noise(700)} {
				got := walkAll(showcause.Bytes(slices.Concat(f, b, behind)))
				n := 0
				for w, k := range got.words {
					if strings.HasPrefix(w, "marker of") {
						n += k
					}
				}
				unread := slices.DeleteFunc(slices.Clone(got.codes), func(c string) bool { return strings.HasPrefix(c, "ambiguous") })
				// What is behind a zip is a layer, and nothing is to be behind a stream that it begins with.
				if n != 1 || len(unread) > 0 && name != "zip" && (len(behind) == 0 || front != "zip") {
					t.Errorf("%s behind %s, %d bytes behind it: read %d times, gaps %q, %q", name, front, len(behind), n, got.codes, got.ops)
				}
			}
		}
	}
}

// Two streams in one layer are two children, and a header that nothing decodes behind is
// none; nor is a stream that breaks at once.
func TestCarriedMore(t *testing.T) {
	a, b := squeezed([]byte("the first of them")), squeezed([]byte("the second of them"))
	for name := range a {
		src := slices.Concat(noise(6000), a[name], noise(90), b[name], noise(50))
		if got := walkAll(showcause.Bytes(src)); len(got.ops) != 2 || len(got.codes) > 0 {
			t.Errorf("%s twice: %q, gaps %q", name, got.ops, got.codes)
		}
		wrong := bytes.Clone(a[name])
		for i := 14; i < len(wrong); i++ {
			wrong[i] ^= 0x5a
		}
		if got := walkAll(showcause.Bytes(slices.Concat(noise(6000), wrong, noise(50)))); len(got.codes) > 0 {
			t.Errorf("%s that is none: %q, gaps %q", name, got.ops, got.codes)
		}
	}
	// One that is cut far behind its start is damaged, and said to be.
	var long []byte
	for i := range 5000 {
		long = fmt.Appendf(long, "%d ", i*i)
	}
	for name, c := range squeezed(long) {
		got := walkAll(showcause.Bytes(slices.Concat(noise(6000), c[:len(c)-200])))
		if len(got.codes) == 0 && name != "zstd" { // of one block
			t.Errorf("%s, cut: %q", name, got.ops)
		}
	}
}

// What stands in an RTF document as it is, and belongs to nothing that it has, is read.
func TestCarriedByRTF(t *testing.T) {
	for name, b := range squeezed([]byte("marker of it")) {
		got := walkAll(showcause.Bytes(slices.Concat([]byte("{\\rtf1 text {\x00\x01"), b, []byte("} more}"))))
		if got.words["marker of it"] != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

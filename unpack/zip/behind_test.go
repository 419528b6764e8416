package zip

import (
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
)

// A directory names one member, and its size covers the member behind it.
// Readers that go by the local headers have both, as 7z does. The decoder reads
// on behind its stream, over the header that is looked for.
func TestZipHeaderBehindStream(t *testing.T) {
	content := []byte(strings.Repeat("x", 20))
	enc := func(sum bool) []byte {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(sum))
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(content, nil)
	}
	const bz = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xfb\x74\xce\x17\x00\x00\x02\x20\x80\x40\x00\x00\x40\x20\x00\x21\x00\x82\x0b\x17\x72\x45\x38\x50\x90\xfb\x74\xce\x17"
	for name, c := range map[string]struct {
		method uint16
		data   []byte
	}{
		"bzip2":            {zipBzip2, []byte(bz)},
		"zstd":             {zipZstd, enc(false)},
		"zstd with a sum":  {zipZstd, enc(true)},
		"deflate":          {zipDeflate, zipTestDeflate(content)},
		"two zstd, a note": {zipZstd, append(enc(false), "\x50\x2a\x4d\x18\x01\x00\x00\x00x"...)},
	} {
		for _, both := range []bool{false, true} { // does the local header say so too
			hidden := zipTestDeflated("hidden", zipTestPayload)
			hidden.noCentral = true
			e := zipTestMake("shown", c.method, c.data, content)
			e.central.packed += uint64(len(hidden.local.local()) + len(hidden.data))
			want := "ambiguous.zip.entry ambiguous.zip.size"
			if both {
				e.local.packed = e.central.packed
				want = "ambiguous.zip.entry corrupt" // what is behind the stream is no header's
			}
			l := zipTestScan(t, showcause.Bytes(zipTestBuild(e, hidden)), showcause.Limits{})
			if !l.found || l.raw || l.codes() != want {
				t.Errorf("%s, both %v: found %v, gaps %v, children %q", name, both, l.found, l.gaps, l.children)
			}
		}
		honest := zipTestScan(t, showcause.Bytes(zipTestBuild(zipTestMake("a", c.method, c.data, content), zipTestDeflated("b", zipTestPayload))), showcause.Limits{})
		if !honest.found || len(honest.gaps) > 0 {
			t.Errorf("%s, honest: gaps %v", name, honest.gaps)
		}
		junk := zipTestMake("a", c.method, append(slices.Clip(c.data), "more behind the stream"...), content)
		if l := zipTestScan(t, showcause.Bytes(zipTestBuild(junk)), showcause.Limits{}); l.codes() != "corrupt" {
			t.Errorf("%s, with junk: gaps %v", name, l.gaps)
		}
	}
}

// What stands behind the last directory of a zip is a child as it stands there.
func TestZipRest(t *testing.T) {
	shown := zipTestDeflated("shown", []byte("shown"))
	whole := zipTestBuild(shown)
	comment := slices.Clone(whole)
	comment[len(comment)-2] = 7
	comment = append(comment, "comment"...)
	hidden := []byte("7z and so on: " + string(zipTestPayload))
	for name, b := range map[string][]byte{
		"behind": whole, "behind a comment": comment, "behind none at all": []byte(zipSigEnd + strings.Repeat("\x00", 18)),
	} {
		if l := zipTestScan(t, showcause.Bytes(b), showcause.Limits{}); len(l.gaps) > 0 || strings.Contains(strings.Join(l.children, " "), "zip.rest") {
			t.Errorf("%s, nothing there: %q, %v", name, l.children, l.gaps)
		}
		l := zipTestScan(t, showcause.Bytes(append(slices.Clip(b), hidden...)), showcause.Limits{})
		if !strings.Contains(strings.Join(l.children, " "), "zip.rest") || len(l.gaps) > 0 {
			t.Errorf("%s: %q, %v", name, l.children, l.gaps)
		}
		zeros := append(slices.Clip(b), make([]byte, 3000)...)
		if l := zipTestScan(t, showcause.Bytes(zeros), showcause.Limits{}); strings.Contains(strings.Join(l.children, " "), "zip.rest") {
			t.Errorf("%s, zeros: %q", name, l.children)
		}
	}
	program := append([]byte("MZ and so on"), append(slices.Clip(whole), hidden...)...)
	if l := zipTestScan(t, showcause.Bytes(program), showcause.Limits{}); strings.Contains(strings.Join(l.children, " "), "zip.rest") {
		t.Errorf("in a program: %q", l.children)
	}
}

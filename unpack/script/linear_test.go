package script

import (
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// floods are pieces that a text is of again and again, each to have a reader look at the rest of it once more.
var floods = []string{
	"<a ", "<a x=", "<a x=\"", "<a x='\"", "<a x=\"<a y='", "<a/x=", "<a/onx=", "<a srcdoc=", "<a/srcdoc=&lt;", "<a onx='", "<script ", "<script>", "<script/>", "<style><script>", "<script><!--<script>",
	"<script><!--<script></script>", "<script></script", "<!--", "<!-- --", "<![CDATA[", "</", "</script", "QUJD", " -enc ", "-enc \"QUJDQUJDQUJDQUJDQUJDQUJD\" ", "QUJDQUJDQUJDQUJDQUJDQUJD-enc\n",
	"QUJDQUJDQUJDQUJDQUJDQUJD\n", "echo QUJDQUJDQUJDQUJDQUJDQUJD>>a\n", "echo 3031323334353637383930313233\n", "atob('QUJDQUJDQUJDQUJDQUJDQUJD') ", "FromBase64String(\"", "#@~^", "#@~^AAAAAA==", "#@~^AAAAAA==^#~@", "#@~^gAAAAA==QUFBQUFB^#~@", `\x41`, "65,", "+ADw-", "data:,", "Chr(65)&", "41 ", "\n ", "NOTE;QUOTED-PRINTABLE:=\n", "PHOTO;BASE64:\n", "PHOTO;BASE64:", "\n=\n",
	"currentfile", "currentfile eexec ", "currentfile ASCII85Decode ", "currentfile ASCII85Decode \n~>", "currentfile readhexstring\n", "currentfile ASCIIHexDecode\n00\n", "currentfile FlateDecode ",
}

// TestLinear holds that the steps that a page takes, and the bytes that are read of a layer and handed over, grow
// as the text does.
func TestLinear(t *testing.T) {
	const size = 256 << 10
	for _, piece := range floods {
		for _, c := range []struct{ front, behind string }{{"<html>", ""}, {"<?xml version='1.0'?><svg>", ""}, {"<html>", "</script>"}, {"<svg>", "\"'></script></style>"}, {"<html>", "^#~@"}, {"BEGIN:VCARD\n", ""}, {"%!PS\n", ""}} {
			text := []byte(c.front + strings.Repeat(piece, size/len(piece)) + c.behind)
			for _, f := range []unpack.Format{HTML(), Encoded(), Card(), PostScript(), Stretches()} {
				read, given := cost(f, text)
				if read > 24*size || given > 8*size {
					t.Errorf("%s: %s%q...%s: %d bytes read, %d given, of %d", f.Name, c.front, piece, c.behind, read>>10, given>>10, size>>10)
				}
			}
			p := newPage(showcause.Bytes(text), unpack.NewOut(unpack.NewBudget(showcause.Limits{}, size, nil), nil, func(showcause.Layer) {}, func(showcause.Gap) {}), text)
			if p.read(); p.steps > 8*size {
				t.Errorf("page: %s%q...%s: %d steps", c.front, piece, c.behind, p.steps>>10)
			}
		}
	}
}

// counting counts what is read of a layer, other than to hand it over.
type counting struct {
	showcause.Bytes
	n *int64
}

func (c counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Bytes.ReadAt(p, off)
	*c.n += int64(n)
	return n, err
}

// cost is how many bytes a format reads of a layer, and how many the children have, those of scripts that a page is read for again included.
func cost(f unpack.Format, text []byte) (read, given int64) {
	src := counting{text, &read}
	b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
	var layer func(l showcause.Layer)
	layer = func(l showcause.Layer) {
		if len(l.Trail) > 0 {
			given += l.Source.Size()
		}
		out := unpack.NewOut(b, l.Trail, layer, func(showcause.Gap) {})
		if f.Match(unpacktest.Probe(l.Source)) {
			f.Walk(l.Source, out)
		}
	}
	layer(showcause.Layer{Source: src})
	return read, given
}

// TestNested holds that what a script that does not end has in it is not one script more for each tag, and that
// tags in one that does not end are read.
func TestNested(t *testing.T) {
	for text, want := range map[string]string{
		"<html><script>a<script>b":                                             "html.script",
		"<html><script>a<script>b</script>c<script>d":                          "html.script html.script",
		"<html><b x=\"<i onload='f(1)'><script>g</script>":                     "html.script html.attributes",
		"<html><i onload=f(1)":                                                 "html.attributes",
		"<html><i x='<i onload=f(1)> ' onclick='g(1)'":                         "html.attributes",
		"<?xml version='1.0'?><svg><script/><script/><script>a</script></svg>": "html.script html.script",
	} {
		got := unpacktest.Walk(t, HTML(), []byte(text), showcause.Limits{})
		var ops []string
		for _, c := range got.Children {
			ops = append(ops, c.Op)
		}
		if s := strings.Join(ops, " "); s != want {
			t.Errorf("%s: %s, want %s", text, s, want)
		}
	}
	open := []byte("<html><script>" + strings.Repeat("a = 1; ", maxOpen/7+1) + "x = atob('" + b64(said) + "')")
	if got := unpacktest.Walk(t, HTML(), open, showcause.Limits{}); len(got.Children) != 1 || !strings.Contains(got.String(), fmt.Sprint("size ", maxOpen)) {
		t.Errorf("an open script: %s", got)
	}
	src := showcause.Bytes(open)
	found := false
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(l showcause.Layer) { found = found || l.Trail[0].Op == "encoded.base64" }, func(g showcause.Gap) { t.Error(g) })
	HTML().Walk(src, out)
	if Stretches().Walk(src, out); !found {
		t.Error("what is encoded behind the part of an open script that is a child is not read")
	}
}

package scan_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// code64 is a data: URI of the marker among bytes that are no text.
var code64 = "data:application/octet-stream;base64," + base64.StdEncoding.EncodeToString([]byte("\x00\x01\x02"+marker))

// data: URIs in data: URIs are charged like any other layer in a layer.
func TestDataURIsCharged(t *testing.T) {
	db := markerDB(t)
	var deep []byte
	for k := range 40 {
		space := " "
		if k > 0 {
			space = "%" + strings.Repeat("25", k-1) + "20"
		}
		deep = append(deep, "<img"+space+"src=data:text/html,"...)
	}
	many := []byte(strings.Repeat(`<a href="`+code64+`">`, 20))
	for _, c := range []struct {
		name   string
		limits showcause.Limits
		in     []byte
		code   showcause.Code
	}{
		{"depth by default", showcause.Limits{}, deep, showcause.LimitDepth},
		{"depth", showcause.Limits{Depth: 1}, deep, showcause.LimitDepth},
		{"objects", showcause.Limits{Objects: 1}, deep, showcause.LimitObject},
		{"objects in a row", showcause.Limits{Objects: 19}, many, showcause.LimitObject},
		{"bytes", showcause.Limits{ScanSize: 200}, many, showcause.LimitSize},
	} {
		r := scan.New(db, scan.Options{Limits: c.limits}).Scan(showcause.Bytes(c.in))
		if len(r.Gaps) == 0 || r.Gaps[len(r.Gaps)-1].Code != c.code {
			t.Errorf("%s: %v %+v", c.name, r.Verdict, r.Gaps)
		}
	}
}

// The children of a layer have indexes of their own, whatever finds them.
func TestDataURIIndexes(t *testing.T) {
	gz := "data:application/gzip;base64," + base64.StdEncoding.EncodeToString(gzipOf(marker))
	r := scan.New(markerDB(t), scan.Options{}).Scan(showcause.Bytes(`<html><a href="` + gz + `"><a href="` + code64 + `">` + gz))
	trails := ""
	for _, f := range r.Findings {
		trails += f.Trail.String() + "\n"
	}
	const want = "#0 view.html.data / #0 gzip.deflate\n#1 view.html.data\n#2 view.html.data / #0 gzip.deflate\n"
	if trails != want || len(r.Gaps) > 0 {
		t.Errorf("%s%+v", trails, r.Gaps)
	}
}

// data: URIs are found in any text and any HTML.
func TestDataURIsFound(t *testing.T) {
	s := scan.New(markerDB(t), scan.Options{})
	for _, in := range []string{
		`<body><embed src="@"></body>`, `<svg><image href="@"/></svg>`, strings.Repeat("x", 1100) + "\n<html><a href=\"@\">",
		`<html><style>a{background:url(@)}</style>`, `a{background:url(@)}`, `<html><meta http-equiv=refresh content="0;url=@">`,
		`var a = {"b": "@"};`, `<html><title><script></title><a href="@">`, `<html><script><!--</script><a href="@">`,
		`<html><a/href="@">`, `<html><a href=" @">`,
	} {
		in = strings.Replace(in, "@", code64, 1)
		for _, b := range [][]byte{[]byte(in), []byte(strings.Replace(in, "data:", "DA\nTA:", 1)), wide(in, false, true), wide(in, true, true), wide(in, false, false)} {
			if r := s.Scan(showcause.Bytes(b)); r.Verdict != showcause.Found || len(r.Findings) != 1 || len(r.Gaps) > 0 {
				t.Errorf("%.80q: %v %+v", b, r.Verdict, r)
			}
		}
	}
}

// A page or a style sheet with many pictures is nothing out of the ordinary.
func TestDataURIsOrdinary(t *testing.T) {
	var css, html bytes.Buffer
	for i := range 1500 {
		png := base64.StdEncoding.EncodeToString(fmt.Appendf([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "%013d", i))
		fmt.Fprintf(&css, ".i%d{background:url(data:image/png;base64,%s)}\n", i, png)
		fmt.Fprintf(&html, "<img alt='%d' src=\"data:image/svg+xml,%%3Csvg xmlns='http://www.w3.org/2000/svg'/%%3E\">\n", i)
	}
	for _, in := range []string{css.String(), "<html>" + html.String(), html.String()} {
		r := scan.New(markerDB(t), scan.Options{}).Scan(showcause.Bytes(in))
		if r.Verdict != showcause.NothingFound || len(r.Gaps) > 0 || r.Spent.Objects != 1501 {
			t.Errorf("%v %+v %+v", r.Verdict, r.Gaps, r.Spent)
		}
	}
}

// A page that begins as text has the views of HTML all the same.
func TestTextAsHTML(t *testing.T) {
	db := compile(t, map[string]string{
		"m.ndb": "Test.Page:3:*:" + hexOf("<embed src=\"hidden\">") + "\nTest.Text:7:*:" + hexOf("<embed src = 'hidden'") + "\n",
		"m.ldb": "Test.Script;Engine:51-255,Target:3;0;" + hexOf("n001=\"attack\"") + "\n",
	})
	s := scan.New(db, scan.Options{})
	const tag = "<Embed\nsrc = 'hidden'><script>var a,b; b = 'att' + 'ack';</script>"
	for _, in := range [][]byte{
		[]byte(tag), []byte("<body>" + tag), []byte(strings.Repeat("x ", 1000) + tag), []byte(strings.Repeat("\xc3\xa9 ", 1000) + tag),
		wide(strings.Repeat("x ", 1000)+tag, false, true), wide(strings.Repeat("x ", 1000)+tag, true, true), wide(strings.Repeat("x ", 1000)+tag, false, false),
	} {
		r := s.Scan(showcause.Bytes(in))
		names := ""
		for _, f := range r.Findings {
			names += f.Rule + " "
		}
		if len(r.Gaps) > 0 || !strings.Contains(names, "Test.Page") || !strings.Contains(names, "Test.Script") {
			t.Errorf("%s %.60q: %s%+v", r.Type, in, names, r.Gaps)
		}
	}
	if r := s.Scan(showcause.Bytes("no tag, but src=\"hidden\"> and var a,b; b='attack'")); len(r.Findings) > 0 {
		t.Errorf("%+v", r.Findings)
	}
}

// Text in UTF-16 is searched in its own letter case as well as in lower case.
func TestUTF16Text(t *testing.T) {
	db := compile(t, map[string]string{"m.ndb": "Test.Marker:0:*:" + hexOf(marker) + "\nTest.Lower:7:*:" + hexOf(strings.ToLower(marker)) + "\n"})
	for _, big := range []bool{false, true} {
		for _, mark := range []bool{false, true} {
			for _, n := range []int{0, 1, 70000} {
				r := scan.New(db, scan.Options{}).Scan(showcause.Bytes(wide(strings.Repeat("x ", n)+marker, big, mark)))
				if len(r.Findings) != 2 || len(r.Gaps) > 0 || r.Findings[1].Trail.String() != "#0 view.utf16" {
					t.Errorf("big %v, mark %v, after %d: %s %+v %+v", big, mark, n, r.Type, r.Findings, r.Gaps)
				}
			}
		}
	}
}

// wide is a text in UTF-16.
func wide(s string, big, mark bool) []byte {
	if mark {
		s = "\ufeff" + s
	}
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

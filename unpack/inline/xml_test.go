package inline

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// b64 is base64 in lines.
func b64(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return out.String() + s
}

// xmlSamples are documents with one file each.
func xmlSamples(content []byte) map[string][]byte {
	out := map[string][]byte{}
	for name, body := range map[string]string{
		"word":  `<?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://x"><w:binData w:name="wordml://1.png" xml:space="preserve">@</w:binData></w:wordDocument>`,
		"flat":  `<pkg:package xmlns:pkg="http://x"><pkg:part pkg:name="/word/media/a.png"><pkg:binaryData>@</pkg:binaryData></pkg:part></pkg:package>`,
		"fodt":  `<office:document xmlns:office="urn:x"><draw:image><office:binary-data>@</office:binary-data></draw:image></office:document>`,
		"xdp":   `<xdp:xdp xmlns:xdp="http://x"><pdf><document><chunk>@</chunk></document></pdf></xdp:xdp>`,
		"hwpml": `<HWPML Version="2.8"><BINDATA Id="1" Encoding="Base64">@</BINDATA></HWPML>`,
	} {
		out[name] = []byte(`<?xml version="1.0"?>` + "\n" + strings.Replace(body, "@", b64(content), 1) + "\n")
	}
	out["hwpml deflate"] = []byte(`<?xml version="1.0"?><HWPML><BINDATA Compress="true">` + b64(deflated(content)) + `</BINDATA></HWPML>`)
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, 9)
	w.Write(content)
	w.Close()
	out["hwpml raw"] = []byte(`<?xml version="1.0"?><HWPML><BINDATA Compress="true">` + b64(raw.Bytes()) + `</BINDATA></HWPML>`)
	return out
}

func TestXML(t *testing.T) {
	content := unpacktest.Marked("file", 300)
	names := map[string]string{"word": "wordml://1.png", "flat": "/word/media/a.png"}
	for name, b := range xmlSamples(content) {
		wide := []byte("\xff\xfe")
		for _, c := range b {
			wide = append(wide, c, 0)
		}
		for _, b := range [][]byte{b, wide} {
			if !XML().Match(unpacktest.Probe(showcause.Bytes(b))) {
				t.Fatalf("%s: no match", name)
			}
			r := unpacktest.Walk(t, XML(), b, noLimits)
			if len(r.Children) != 1 || string(r.Children[0].Data) != string(content) || r.Children[0].Name != names[name] || len(r.Gaps) > 0 {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
	for _, b := range []string{"<html>binData</html>", "text of office:document", "<html><Workbook></html>", "<document>", "<package version='3'>", "<?xml version='1.0'?><a/>"} {
		if XML().Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Errorf("%q is one", b)
		}
	}
}

func TestXMLObfuscated(t *testing.T) {
	content := unpacktest.Marked("file", 100)
	s := base64.StdEncoding.EncodeToString(content)
	half := len(s)/2 + 1
	for name, data := range map[string]string{
		"comment":  s[:half] + "<!-- AAAA> </w:binData> --->" + s[half:],
		"cdata":    "<![CDATA[" + s[:half] + "]]>" + s[half:],
		"brackets": "<![CDATA[" + s[:half] + "]" + s[half:] + "]]>",
		"numbers":  "&#" + "x" + "0" + "3f;" + s[:half] + "<a b='>'/>" + strings.ReplaceAll(s[half:], "E", "&#69;"),
		"junk":     s[:half] + "!?.\t \x00" + s[half:],
		"elements": s[:half] + "<x>" + s[half:] + "</x>",
	} {
		r := unpacktest.Walk(t, XML(), []byte("<w:wordDocument><w:binData w:name='a'>"+data+"</w:binData></w:wordDocument>"), noLimits)
		if !r.Contains(string(content)) || len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// TestXMLLinear holds that elements in each other do not have the rest of the document read for each.
func TestXMLLinear(t *testing.T) {
	const size = 1 << 20
	for _, end := range []string{"", "</binData></w:wordDocument>"} {
		r := unpacktest.Walk(t, XML(), []byte("<w:wordDocument>"+strings.Repeat("<binData>QUJD", size/13)+end), noLimits)
		n := 0
		for _, c := range r.Children {
			n += len(c.Data)
		}
		if n > 2*size || !r.Unread() {
			t.Errorf("%q: %d bytes of %d, %v", end, n, size, r.Gaps)
		}
	}
}

func TestXMLConform(t *testing.T) {
	unpacktest.Conform(t, XML(), xmlSamples(unpacktest.Marked("file", 64)))
}

func FuzzXML(f *testing.F) {
	for _, b := range xmlSamples([]byte("data of it")) {
		f.Add(b)
	}
	unpacktest.Fuzz(f, XML(), []byte("<w:wordDocument><binData><![CDATA[QUFB]]>&#65;<!-- -->QQ==</binData>"))
}

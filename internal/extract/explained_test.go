package extract

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/explain"
)

func TestExplained(t *testing.T) {
	var b strings.Builder
	p, err := NewPrinter("explain", &b, false)
	if err != nil {
		t.Fatal(err)
	}
	layer := func(kind string, trail ...showcause.Step) {
		t.Helper()
		if err := p.Layer("a\x1b.eml", &Layer{Trail: trail, Type: kind, Size: 1234}, ""); err != nil {
			t.Fatal(err)
		}
	}
	fact := func(k explain.Kind, text string) {
		if err := p.Fact("a\x1b.eml", explain.Fact{Kind: k, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	part := showcause.Step{Op: "mime.base64", Name: "invoice.pdf"}
	layer("mail")
	fact(explain.Link, "http://x.example/")
	layer("pe", part)
	fact(explain.Embedded, "attachment")
	fact(explain.Link, "http://x.example/")
	layer("text", part, showcause.Step{Index: 1, Op: "vba.source", Name: "Module1"})
	fact(explain.Macro, "Sub a()\r\n\tb \"c:\\\x1b[31m\xff\"\nEnd Sub")
	layer("text", part, showcause.Step{Op: "zip.deflate.decrypted", Name: "a.txt"})
	layer("text", part, showcause.Step{Index: 1, Op: "zip.deflate.decrypted", Name: "b.txt"})
	for range 2 {
		if err := p.Gap("a\x1b.eml", showcause.Gap{Trail: showcause.Trail{part}, Code: showcause.Corrupt}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Input(&Result{Path: "a\x1b.eml", Layers: 2, Codes: map[showcause.Code]int64{showcause.Corrupt: 2}}); err != nil {
		t.Fatal(err)
	}
	want := `a\x1b.eml: mail, 1,234 bytes, 4 layers inside

macros
  invoice.pdf / Module1, 3 lines
    | Sub a()
    |     b "c:\\x1b[31m\xff"
    | End Sub

links
  in invoice.pdf
    http://x.example/

embedded files
  invoice.pdf: attachment, pe, 1,234 bytes, SHA-256 ` + strings.Repeat("0", 64) + `

oddities
  invoice.pdf: a program (pe) under a name that ends in .pdf
  invoice.pdf: holds what was encrypted, and was opened by a known password or key (2 times)
  invoice.pdf: not read: corrupt (2 times)

no scripts, no actions, no external references

INCOMPLETE  a\x1b.eml: corrupt (2 times): there may be more

`
	if got := b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Links of a mail that its parts have whole are told of the parts alone, in whatever letters the mail has them.
func TestDeepest(t *testing.T) {
	part := showcause.Trail{{Op: "mime.quoted-printable"}}
	p := &explained{facts: map[explain.Kind][]placed{explain.Link: {
		{explain.Fact{Text: "http://bank.ex="}, Layer{Type: "mail"}},
		{explain.Fact{Text: "http://a.example/?b=3Dc"}, Layer{Type: "mail"}},
		{explain.Fact{Text: "http://only.example/"}, Layer{Type: "mail"}},
		{explain.Fact{Text: "http://bank.ex"}, Layer{Type: "html"}},
		{explain.Fact{Text: "http://a.example/?b=c"}, Layer{Type: "html", Trail: part}},
		{explain.Fact{Text: "http://bank.example.org/"}, Layer{Type: "html", Trail: part}},
	}}}
	if got := p.deepest(explain.Link); len(got) != 2 || !got[0] || !got[1] {
		t.Errorf("%v", got)
	}
}

func TestDisguised(t *testing.T) {
	for _, c := range []struct{ name, kind, want string }{
		{"a.pdf", "pe", "a program (pe) under a name that ends in .pdf"},
		{"a.pdf", "pdf", ""},
		{"setup.exe", "pe", ""},
		{"v1.2.exe", "pe", ""},
		{"jquery.min.js", "text", ""},
		{"x/a.pdf/b.exe", "pe", ""},
		{"a.PDF      .exe ", "pe", "a name with two endings: it is .exe, not .pdf"},
		{"a.docx.lnk", "lnk", "a name with two endings: it is .lnk, not .docx"},
		{"invoice\u202efdp.exe", "pe", "a name with characters that turn the direction of writing: it ends in exe, whatever it looks like"},
	} {
		if got := disguised(c.name, c.kind); got != c.want {
			t.Errorf("%q, %s: %q, want %q", c.name, c.kind, got, c.want)
		}
	}
}

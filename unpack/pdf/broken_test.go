package pdf

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

type damaged struct {
	name  string
	data  []byte
	whole bool // no gap that says that something is unread
}

// broken1 are files that readers mend, or of which they have more than one reading.
func broken1() []damaged {
	z := deflated(text)
	length := func(n any, filter, data string) []byte {
		return one(fmt.Sprintf("<< /Length %v %s >>\nstream\n%s\nendstream", n, filter, data))
	}
	fl := "/Filter /FlateDecode"
	whole := one(flat(text))
	cut := bytes.Index(whole, []byte("endstream"))
	twice := newDoc().obj(1, "<< >>").obj(2, flat(text)).end("")
	update := append(bytes.Clone(twice), "2 0 obj\n<< /Nothing true >>\nendobj\nxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Prev 0 >>\nstartxref\n0\n%%EOF\n"...)
	return []damaged{
		{"a length too short", length(3, fl, z), true},
		{"a length too long", length(99999999, fl, z), true},
		{"a negative length", length(-5, fl, z), true},
		{"a length that is no number", length("(x)", fl, z), true},
		{"a length that refers to its own object", length("2 0 R", fl, z), true},
		{"no length", one("<< " + fl + " >>\nstream\n" + z + "\nendstream"), true},
		{"no end of the stream", one("<< " + fl + " >>\nstream\n" + z + "\n"), true},
		{"the word in the data", one("<< >>\nstream\nfirst\nendstream\n" + marker + "\nendstream"), true},
		{"a length behind the word", one(body("", "endstream\n"+marker)), true},
		{"two filters", one("<< /Filter /ASCIIHexDecode /Filter /FlateDecode >>\nstream\n" + z + "\nendstream"), true},
		{"the header further behind", append(bytes.Repeat([]byte("x"), 900), whole...), true},
		{"no end of a line", one("<< " + fl + " >>stream\r" + z + "endstream"), true},
		{"spaces behind the word", one("<< " + fl + " >>\nstream  \r\n" + z + "endstream"), true},
		{"a header of zlib that is wrong", one(body(fl, "\x78\x00"+z[2:])), true},
		{"no header of zlib", one(body(fl, z[2:])), true},
		{"cut in the stream", whole[:cut-5], false},
		{"cut before the table", whole[:cut+18], false},
		{"no brackets behind the dictionary", one("<< /Length 5 " + fl + "\nstream\n" + z + "\nendstream"), true},
		{"in a string of another object", newDoc().obj(1, "(").obj(2, flat(text)).obj(3, ")").end(""), true},
		{"an update that hides", update, true},
		{"no dictionary", one("stream\n" + z + "\nendstream"), false},
		{"a number in front of nothing", append([]byte("%PDF-1.4\nobj "+flat(text)), "\nendobj\n%%EOF"...), true},
		{"an unknown filter behind one", one(body("/Filter [/FlateDecode /NoSuchDecode]", z)), false},
		{"a script in a picture", newDoc().obj(1, "<< /JS 2 0 R >>").obj(2, body("/Filter [/FlateDecode /DCTDecode] /Subtype /Image", z)).end(""), false},
		{"in a file that is embedded", one(body("/Type /EmbeddedFile", string(one(body("", marker))))), true},
		{"an object stream in itself", newDoc().obj(1, "<< >>").obj(2, body("/Type /ObjStm /N 1 /First 4 /Extends 2 0 R", "2 0 << /JS <"+hexed(marker)+" >>")).end(""), true},
		{"data behind the end", append(one("<< >>"), "\x01\x02\x03\x04\x05\x06\x07\x08\x80\x81\x82\x83\x84\x85\x86\x87 "+marker...), true},
		{"data behind deflate", one(body(fl, deflated("x")+"\x01\x02\x03\x04\x05\x06\x07\x08\x80\x81\x82\x83\x84\x85\x86\x87 "+marker)), true},
	}
}

func TestBroken(t *testing.T) {
	for _, d := range broken1() {
		r := unpacktest.Walk(t, Format(), d.data, showcause.Limits{})
		if !r.Contains(marker) && d.name != "cut in the stream" {
			t.Errorf("%s: the marker is in no child:\n%s", d.name, r)
		}
		if r.Unread() == d.whole {
			t.Errorf("%s: unread %v:\n%s", d.name, r.Unread(), r)
		}
	}
}

// TestHeaders holds that a PDF is read with any header that a reader takes.
func TestHeaders(t *testing.T) {
	whole := string(one(body("/Filter /FlateDecode", deflated(text))))
	for name, b := range map[string]string{
		"no minor version": strings.Replace(whole, "%PDF-1.7", "%PDF", 1), "PostScript": strings.Replace(whole, "%PDF-1.7", "%!PS-Adobe-3.0 PDF-1.7", 1), "none": strings.Replace(whole, "%PDF-1.7\n", "", 1),
		"a form": strings.Replace(whole, "%PDF-1.7", "%FDF-1.2", 1), "behind 4 KB": strings.Repeat("words\n", 700) + whole, "behind 100 KB": strings.Repeat("words\n", 17_000) + whole, "no table": strings.Replace(strings.Replace(whole, "%PDF-1.7", "%PDF", 1), "startxref", "", 1),
	} {
		if r := unpacktest.Walk(t, Format(), []byte(b), showcause.Limits{}); !Format().Match(unpacktest.Probe(showcause.Bytes(b))) || !r.Contains(marker) {
			t.Errorf("%s: %s", name, r)
		}
	}
	for name, s := range map[string]string{"words": "An object (1 0 obj) and the words startxref, trailer and %%EOF" + strings.Repeat(" and so on", 200), "no object": "the startxref of it\n%%EOF\n", "gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + strings.Replace(whole, "%PDF-", "%PDF", 1)} {
		if Format().Match(unpacktest.Probe(showcause.Bytes(s))) {
			t.Errorf("%s are taken for a PDF", name)
		}
	}
	rest := unpacktest.Probe(showcause.Bytes(strings.Replace(whole, "%PDF-1.7", "%PDF", 1)))
	for _, op := range []string{"pdf.rest", "pdf.stream"} {
		if rest.Trail = (showcause.Trail{{Op: op}}); Format().Match(rest) {
			t.Errorf("%s of a PDF is read as one again", op)
		}
	}
}

// Words do not belong to what they stand for.
func TestWords(t *testing.T) {
	r := unpacktest.Walk(t, Format(), newDoc().obj(1, "<< /Type /Filespec /F (b.txt) /UF (a\\056txt) /EF << /F 2 0 R >> >>").obj(2, flat(text)).end(""), showcause.Limits{})
	if len(r.Children) != 2 || r.Children[1].Op != "pdf.file" || r.Children[1].Name != "a.txt" {
		t.Errorf("%s", r)
	}
	r = unpacktest.Walk(t, Format(), places()["form"], showcause.Limits{})
	joined := false
	for _, c := range r.Children {
		joined = joined || c.Op == "pdf.xfa" && string(c.Data) == "<x>"+marker+"</x>"
	}
	if !joined {
		t.Errorf("%s", r)
	}
	r = unpacktest.Walk(t, Format(), []byte(strings.Repeat("a text on PDF: ", 3)+"%PDF-1.4 begins a file"), showcause.Limits{})
	if len(r.Gaps)+len(r.Children) > 0 {
		t.Errorf("text: %s", r)
	}
}

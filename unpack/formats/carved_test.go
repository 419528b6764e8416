package formats

import (
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/document"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// TestCarvedMail holds that a mail that stands in a layer is read as the layer's
// own, junk before its header, but not where another format gave it as a child.
func TestCarvedMail(t *testing.T) {
	mail := "\x01\x02\nFrom: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Transfer-Encoding: base64\n\naGVsbG8gYW5kIHNvIG9u\n--cut--\n"
	for name, c := range map[string]struct {
		from, n int64
		want    int
	}{
		"given by none":      {0, 0, 1},
		"given before it":    {0, 2, 1},
		"given":              {2, int64(len(mail)) - 2, 0},
		"its head is":        {2, 120, 0},
		"given behind it":    {150, 20, 1},
		"the layer is given": {0, int64(len(mail)), 1},
	} {
		src := showcause.Bytes(mail)
		children := 0
		b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
		out := unpack.NewOut(b, nil, func(showcause.Layer) { children++ }, func(showcause.Gap) {})
		out.Cover(c.from, c.n)
		if !document.Mail().Match(unpacktest.Probe(src)) {
			t.Fatal("no match")
		}
		if document.Mail().Walk(src, out); (children > 0) != (c.want > 0) {
			t.Errorf("%s: %d children", name, children)
		}
	}
}

// TestBesideParts holds that an archive that stands in a mail, but in no part of it, is
// a child, and that one in a part is not given twice.
func TestBesideParts(t *testing.T) {
	gz := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x05\x00\xfa\xffhello\x86\xa6\x10\x36\x05\x00\x00\x00"
	head := "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=cut\n"
	part := "\n--cut\n\nwords and words and words\n"
	for name, c := range map[string]struct {
		mail    string
		payload int
	}{
		"none":     {head + "\n" + part + "--cut--\n", 0},
		"preamble": {head + "\n" + gz + part + "--cut--\n", 1},
		"epilogue": {head + "\n" + part + "--cut--\n" + gz, 1},
		"header":   {"From: a@example.org\nX-A: " + gz + "\n" + head + "\n" + part + "--cut--\n", 1},
		"part":     {head + "\n\n--cut\n\n" + gz + "\n--cut--\n", 0},
		"body":     {"From: a@example.org\nSubject: b\n\n" + gz, 0},
	} {
		src := showcause.Bytes(c.mail)
		payloads, inside := 0, 0
		b := unpack.NewBudget(showcause.Limits{}, src.Size(), nil)
		out := unpack.NewOut(b, nil, func(l showcause.Layer) {
			if l.Trail[len(l.Trail)-1].Op == "exe.payload" {
				payloads++
			} else if b := make([]byte, len(gz)); l.Source.Size() >= int64(len(gz)) {
				l.Source.ReadAt(b, 0)
				if string(b) == gz {
					inside++
				}
			}
		}, func(showcause.Gap) {})
		p := unpacktest.Probe(src)
		for _, f := range All() {
			if (f.Name == "mime" || f.Name == "exe") && f.Match(p) {
				f.Walk(src, out)
			}
		}
		if want := map[bool]int{true: 1}[name == "part" || name == "body"]; payloads != c.payload || inside != want {
			t.Errorf("%s: %d payloads, %d parts that are one; want %d, %d", name, payloads, inside, c.payload, want)
		}
	}
}

package document

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// TestLines compares lines with a split of the whole, for all modes and small buffers.
func TestLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		data := make([]byte, rng.IntN(120))
		for i := range data {
			data[i] = "ab\r\n\r\n"[rng.IntN(6)]
		}
		for mode := range eolModes {
			in := newLines(showcause.Bytes(data), 0, int64(len(data)), mode, make([]byte, 16+rng.IntN(20)))
			var got []string
			at := int64(0)
			for {
				ln, ok := in.next()
				if !ok {
					break
				}
				if ln.off != at || !bytes.Equal(data[ln.off:ln.off+int64(len(ln.text))], ln.text) || ln.next < ln.off+int64(len(ln.text)) {
					t.Fatalf("%q mode %d: piece %q at %d, expected at %d", data, mode, ln.text, ln.off, at)
				}
				at = ln.next
				if !ln.first {
					got[len(got)-1] += string(ln.text)
				} else {
					got = append(got, string(ln.text))
				}
			}
			if at != int64(len(data)) {
				t.Fatalf("%q mode %d: ends at %d", data, mode, at)
			}
			if want := splitLines(string(data), mode); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Fatalf("%q mode %d: %q, want %q", data, mode, got, want)
			}
		}
	}
}

func splitLines(s string, mode eolMode) []string {
	const mark = "\x00"
	switch mode {
	case eolAny:
		s = strings.NewReplacer("\r\n", mark, "\n", mark, "\r", mark).Replace(s)
	case eolCRLF:
		s = strings.ReplaceAll(s, "\r\n", mark)
	case eolLF:
		for strings.Contains(s, "\r\n") {
			s = strings.ReplaceAll(s, "\r\n", "\n")
		}
		s = strings.ReplaceAll(s, "\n", mark)
	}
	l := strings.Split(s, mark)
	if l[len(l)-1] == "" {
		l = l[:len(l)-1]
	}
	return l
}

// TestUUAgrees holds uuencoded blocks of every length against an encoder.
func TestUUAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		raw := make([]byte, 1+rng.IntN(299))
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		u := uu("x", string(raw))
		if r := unpacktest.Walk(t, UUEncode(), []byte(u), showcause.Limits{}); len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, raw) {
			t.Fatalf("uuencode %q: %s", u, r)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{"Content-Disposition: attachment; filename=a.zip", "a.zip"},
		{"Content-Disposition: attachment; filename=\"a; b.zip\"", "a; b.zip"},
		{"Content-Disposition: attachment; filename = \"a\\\"b.zip\" ; size=1", `a"b.zip`},
		{"Content-Type: application/zip; name=\"a.zip\"", "a.zip"},
		{"Content-Type: application/zip; name=n.zip\r\nContent-Disposition: attachment; filename=f.zip", "f.zip"},
		{"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.zip", "naïve.zip"},
		{"Content-Disposition: attachment; filename*=iso-8859-1'en'na%EFve.zip", "naïve.zip"},
		{"Content-Disposition: attachment; filename*0*=utf-8''na%C3%AF; filename*1=ve; filename*2*=%2Ezip", "naïve.zip"},
		{"Content-Disposition: attachment;\r\n filename*1=\"ip\";\r\n filename*0=\"a.z\"", "a.zip"},
		{"Content-Disposition: attachment; filename=\"=?utf-8?B?bmHDr3ZlLnppcA==?=\"", "naïve.zip"},
		{"Content-Disposition: attachment; filename=\"=?koi8-r?B?z8/P?=.zip\"", "=?koi8-r?B?z8/P?=.zip"},
		{"Content-Disposition: attachment; filename=\"..\\..\\a\x1b[31m.zip\"", "....a\x1b[31m.zip"},
		{"Content-Disposition: attachment; filename=\"" + strings.Repeat("a", 70_000) + "\"", strings.Repeat("a", maxNameKept)},
		{"Content-Disposition: attachment (x; filename=no); filename=(y)a.zip", "a.zip"},
	} {
		r := unpacktest.Walk(t, Mail(), []byte(single(c.fields+"\r\n", "0123456789")), showcause.Limits{})
		if len(r.Children) != 1 || r.Children[0].Name != c.want {
			t.Errorf("%q:\n%s", first([]string{c.fields}, 1), r)
		}
	}
}

// der is one element of DER.
func der(id byte, parts ...string) string {
	s := strings.Join(parts, "")
	n := len(s)
	return string([]byte{id, 0x82, byte(n >> 8), byte(n)}) + s
}

// TestHonest is what is not read: it is said.
func TestHonest(t *testing.T) {
	inner := "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines76(b64(payload), "\r\n")
	signed := func(content string) string {
		return der(0x30, string(oidSigned), der(0xa0, der(0x30, "\x02\x01\x01", der(0x31), der(0x30, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", content), der(0x31))))
	}
	p7m := func(body string) string {
		return single("Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n", lines76(b64(body), "\r\n"))
	}
	pieces := "\x24\x80" + der(0x04, inner[:50]) + der(0x04, inner[50:]) + "\x00\x00"
	for _, c := range []struct {
		name, mail string
		code       showcause.Code
		found      bool
	}{
		{"partial", single("Content-Type: message/partial; id=a; number=1; total=2\r\n", "From: a\r\n\r\nx"), "unsupported.method.message-partial", false},
		{"external", single("Content-Type: message/external-body; access-type=x\r\n", "Content-Type: text/plain\r\n\r\nx"), "unsupported.method.message-external-body", false},
		{"enveloped", p7m(der(0x30, string(oidEnveloped), "x")), showcause.Encrypted, false},
		{"authenticated", p7m(der(0x30, string(oidAuthEnv), "x")), showcause.Encrypted, false},
		{"compressed", p7m(der(0x30, string(oidCompressed), "x")), "unsupported.method.cms-compressed", false},
		{"signed", p7m(signed(der(0xa0, der(0x04, inner)))), "", true},
		{"signed, in pieces", p7m(signed(der(0xa0, pieces))), "", true},
		{"signed, without content", p7m(signed("")), "", false},
		{"signed, cut", p7m(signed(der(0xa0, der(0x04, inner)))[:200]), showcause.Corrupt, false},
		{"signed, broken", p7m(signed("\x05\x00")), "corrupt.cms", false},
		{"PGP/MIME", multi("multipart/encrypted; boundary=b", mixed("b", "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1", "Content-Type: application/octet-stream\r\n\r\nxxxxxxxxxxxxx")), showcause.Encrypted, false},
		{"PGP in text", single("", "Hello\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc=\r\n-----END PGP MESSAGE-----\r\n"), showcause.Encrypted, false},
		{"PGP in base64", single("Content-Transfer-Encoding: base64\r\n", b64("-----BEGIN PGP MESSAGE-----\r\n\r\nabc=\r\n-----END PGP MESSAGE-----\r\n")), showcause.Encrypted, false},
		{"PGP in quoted-printable", single("Content-Transfer-Encoding: quoted-printable\r\n", "Hello\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc=3D\r\n-----END PGP MESSAGE-----\r\n"), showcause.Encrypted, false},
		{"EBCDIC", single("Content-Type: text/plain; charset=cp037\r\n", "\x81\x82\x83\x84\x85\x86\x87\x88"), "unsupported.method.charset", false},
		{"too long a field", top + "Content-Type: text/plain;" + strings.Repeat(" a=b;\r\n", 50_000) + "\r\nx", showcause.LimitSize, false},
		{"too many boundaries", multi("multipart/mixed; boundary=1; boundary=2; boundary=3; boundary=4; boundary=5; boundary=6; boundary=7; boundary=8; boundary=9", "x"), "unsupported.method.mime-readings", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := walkTree(t, c.mail, showcause.Limits{})
			if c.code != "" && !r.has(c.code) || c.code == "" && len(r.gaps) > 0 {
				t.Errorf("want %q, gaps %s; children %q", c.code, r.codes(), r.ops)
			}
			if c.found != (r.found > 0) {
				t.Errorf("found %d; children %q, gaps %s", r.found, r.ops, r.codes())
			}
		})
	}
}

func TestTrails(t *testing.T) {
	mail := multi("multipart/mixed; boundary=b", mixed("b", text, attachment(), "Content-Type: message/rfc822\r\n\r\n"+multi("multipart/mixed; boundary=c", mixed("c", text, attachment()))))
	want := []string{"#0 mime.7bit", "m.bin", "#2 mime.7bit", "#2 mime.7bit / #0 mime.7bit", "#2 mime.7bit / m.bin"}
	if r := walkTree(t, mail, showcause.Limits{}); strings.Join(r.trails, "\n") != strings.Join(want, "\n") || len(r.gaps) > 0 {
		t.Errorf("trails %q, gaps %s", r.trails, r.codes())
	}
	box := "From a@b Thu Jul 31 13:49:50 2008\n" + mail + "\nFrom c@d Thu Jul 31 13:49:50 2008\n" + single("", "the second one\n")
	r := walkTree(t, box, showcause.Limits{})
	if got := r.trails[len(r.trails)-1]; got != "#1 mbox.message / #0 mime.7bit" || len(r.gaps) > 0 {
		t.Errorf("trails %q, gaps %s", r.trails, r.codes())
	}
	if r = walkTree(t, nested(200), showcause.Limits{Depth: 2}); r.found > 0 || !r.has(showcause.LimitDepth) {
		t.Errorf("no gap at depth 2: found %d, gaps %s", r.found, r.codes())
	}
}

func TestMboxSplit(t *testing.T) {
	date := " Thu Jul 31 13:49:50 2008\n"
	for _, c := range []struct {
		name, box string
		n         int
		note      bool
	}{
		{"two", "From a" + date + "A: b\n\nx\n\nFrom c" + date + "A: b\n\nx\n", 2, false},
		{"CRLF", strings.ReplaceAll("From a"+date+"A: b\n\nx\n\nFrom c"+date+"A: b\n\nx\n", "\n", "\r\n"), 2, false},
		{"CR", strings.ReplaceAll("From a"+date+"Subject: b\n\nx\n\nFrom c"+date+"Subject: b\n\nx\n", "\n", "\r"), 2, false},
		{"prose", "From a" + date + "A: b\n\nx\n\nFrom here on\nx\n", 1, false},
		{"no empty line", "From a" + date + "A: b\n\nx\nFrom c" + date + "A: b\n\nx\n", 2, true},
		{"no date", "From a" + date + "A: b\n\nx\n\nFrom c\nA: b\n\nx\n\nFrom d" + date + "A: b\n\nx\n", 3, true},
		{"one", "From a" + date + "A: b\n\nx", 1, false},
		{"empty ones", "From a" + date + "\nFrom a" + date + "\nFrom a" + date, 2, false},
	} {
		r := unpacktest.Walk(t, Mbox(), []byte(c.box), showcause.Limits{})
		if len(r.Children) != c.n || r.Has("ambiguous.mbox.from") != c.note {
			t.Errorf("%s:\n%s", c.name, r)
		}
		if !Mbox().Match(unpacktest.Probe(showcause.Bytes(c.box))) || Mail().Match(unpacktest.Probe(showcause.Bytes(c.box))) {
			t.Errorf("%s: Match", c.name)
		}
	}
}

// endless is a mail of any size whose text repeats.
type endless struct {
	head string
	n    int64
	most int // longest read asked for
}

func (e *endless) Size() int64 { return e.n }

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	e.most = max(e.most, len(p))
	for i := range p {
		at := off + int64(i)
		switch {
		case at >= e.n:
			return i, io.EOF
		case at < int64(len(e.head)):
			p[i] = e.head[at]
		default:
			p[i] = "Hello again.\r\n"[at%14]
		}
	}
	return len(p), nil
}

// TestLarge reads a large mail whose bytes are nowhere: nothing may ask for much of it at once.
func TestLarge(t *testing.T) {
	e := &endless{head: top + "\r\n", n: 20 << 20}
	n := int64(0)
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, e.n, nil), nil, func(l showcause.Layer) { n += l.Source.Size() },
		func(g showcause.Gap) { t.Errorf("gap %s", g.Code) })
	Mail().Walk(e, out)
	if n != e.n-int64(len(e.head)) || e.most > lineBuffer {
		t.Errorf("children of %d bytes, reads of %d", n, e.most)
	}
}

// short1 is a Source that ends before its Size.
type short1 struct{ showcause.Bytes }

func (s short1) Size() int64 { return int64(len(s.Bytes)) + 100 }

func TestUnreadable(t *testing.T) {
	src := short1{showcause.Bytes(multi("multipart/mixed; boundary=b", mixed("b", text, attachment())))}
	for _, f := range []unpack.Format{Mail(), Mbox()} {
		said := false
		f.Walk(src, unpack.NewOut(unpack.NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(showcause.Layer) {},
			func(g showcause.Gap) { said = said || g.Code == showcause.Unreadable && g.Length == 100 }))
		if !said {
			t.Errorf("%s: no gap for bytes that cannot be read", f.Name)
		}
	}
	if got := bound.Head(src, 5); string(got) != "From:" {
		t.Errorf("head %q", got)
	}
}

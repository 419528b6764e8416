package document

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// marker occurs nowhere but in what a test wants found, and there it is encoded.
const marker = "SHOWCAUSE-MAIL-MARKER-7f3a91d0c2-FOUND!"

// payload is padding and the marker, not a multiple of three bytes.
var payload = strings.Repeat("padding for the marker. ", 8) + marker

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// lines76 cuts s into lines of 76 characters.
func lines76(s, eol string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + eol)
		s = s[76:]
	}
	return b.String() + s + eol
}

func uu(name, s string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "begin 644 %s\n", name)
	for len(s) > 0 {
		n := min(45, len(s))
		b.WriteByte(byte(' ' + n))
		for i := 0; i < n; i += 3 {
			var t [3]byte
			copy(t[:], s[i:n])
			for _, v := range []byte{t[0] >> 2, t[0]<<4&63 | t[1]>>4, t[1]<<2&63 | t[2]>>6, t[2] & 63} {
				if v == 0 {
					v = 64
				}
				b.WriteByte(' ' + v)
			}
		}
		b.WriteByte('\n')
		s = s[n:]
	}
	return b.String() + "`\nend\n"
}

func yenc(name, s string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "=ybegin line=128 size=%d name=%s\r\n", len(s), name)
	for i := range len(s) {
		c := s[i] + 42
		if c == 0 || c == '\n' || c == '\r' || c == '=' {
			b.WriteByte('=')
			c += 64
		}
		b.WriteByte(c)
		if i%128 == 127 {
			b.WriteString("\r\n")
		}
	}
	return b.String() + "\r\n=yend size=1\r\n"
}

// qp escapes every byte.
func qp(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "=%02X", s[i])
		if i%20 == 19 {
			b.WriteString("=\r\n")
		}
	}
	return b.String()
}

const top = "From: a@example.com\r\nTo: b@example.com\r\nSubject: test\r\nMIME-Version: 1.0\r\n"

// attachment is a part with the payload, without its delimiter.
func attachment() string {
	return "Content-Type: application/octet-stream; name=\"m.bin\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"m.bin\"\r\n\r\n" + lines76(b64(payload), "\r\n")
}

func mixed(boundary string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

const text = "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello, see the attachment.\r\n"

func single(headers, body string) string { return top + headers + "\r\n" + body }

func multi(contentType string, body string) string {
	return top + "Content-Type: " + contentType + "\r\n\r\n" + body
}

func nested(n int) string {
	body := attachment()
	for i := range n {
		b := fmt.Sprintf("b%04d", i)
		body = "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n" + mixed(b, body)
	}
	return top + body
}

// tree walks a layer with all formats of the package, and what is in it.
type tree struct {
	t      testing.TB
	ops    []string // of all children, with their names
	gaps   []showcause.Gap
	found  int // children with the marker
	trails []string
}

func (r *tree) has(code showcause.Code) bool {
	for _, g := range r.gaps {
		if g.Code == code {
			return true
		}
	}
	return false
}

func (r *tree) codes() (s string) {
	for _, g := range r.gaps {
		s += fmt.Sprintf("%s[%d+%d] ", g.Code, g.Offset, g.Length)
	}
	return s
}

func formats() []unpack.Format { return []unpack.Format{Mbox(), Mail(), UUEncode()} }

func walkTree(t testing.TB, data string, limits showcause.Limits) *tree {
	r := &tree{t: t}
	b := unpack.NewBudget(limits, int64(len(data)), nil)
	r.layer(b, showcause.Layer{Source: showcause.Bytes(data)})
	return r
}

func (r *tree) layer(b *unpack.Budget, l showcause.Layer) {
	if len(l.Trail) > 0 {
		s := l.Trail[len(l.Trail)-1]
		r.ops = append(r.ops, strings.TrimSpace(s.Op+" "+s.Name))
		r.trails = append(r.trails, l.Trail.String())
	}
	data, err := bound.ReadAt(l.Source, 0, l.Source.Size(), 64<<20)
	if err != nil {
		r.t.Errorf("%s: %v", l.Trail, err)
	}
	if bytes.Contains(data, []byte(marker)) {
		r.found++
	}
	p := unpacktest.Probe(l.Source)
	out := unpack.NewOut(b, l.Trail, func(c showcause.Layer) { r.layer(b, c) }, func(g showcause.Gap) { r.gaps = append(r.gaps, g) })
	for _, f := range formats() {
		if f.Match(p) {
			f.Walk(l.Source, out)
		}
	}
}

// TestHostile is row 35 of the hostile inputs: whatever the structure, the
// marker is seen, and where readers would differ a note says so.
func TestHostile(t *testing.T) {
	enc := b64(payload)
	half := b64(payload[:len(payload)-25]) + "\r\n" + b64(payload[len(payload)-25:])
	var many strings.Builder
	for range 100_000 {
		many.WriteString("--b\r\n\r\nx\r\n")
	}
	cr := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\r") }
	lf := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	plain := mixed("b", text, attachment())
	for _, c := range []struct {
		name, mail string
		note       showcause.Code // "" for none expected
	}{
		{"plain", multi("multipart/mixed; boundary=b", plain), ""},
		{"double boundary, second real", multi("multipart/mixed; boundary=no; boundary=b", plain), "ambiguous.mime.boundary"},
		{"double boundary, first real", multi("multipart/mixed; boundary=b; boundary=no", plain), ""},
		{"five boundaries", multi("multipart/mixed; boundary=1; boundary=2; boundary=3; boundary=b; boundary=5", plain), "ambiguous.mime.boundary"},
		{"double content type", top + "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + plain, "ambiguous.mime.type"},
		{"double content type, other order", top + "Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n" + plain, "ambiguous.mime.type"},
		{"two multiparts", top + "Content-Type: multipart/mixed; boundary=c\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + "--c\r\n" + plain + "--c--\r\n", "ambiguous.mime.boundary"},
		{"double encoding", single("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", enc), "ambiguous.mime.encoding"},
		{"double encoding, other order", single("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n", enc), "ambiguous.mime.encoding"},
		{"two encodings in one", single("Content-Transfer-Encoding: quoted-printable, base64\r\n", enc), "ambiguous.mime.encoding"},
		{"encoding with comment", single("Content-Transfer-Encoding: (x) base64 (y)\r\n", enc[:40]+"\r\n"+enc[40:]), ""},
		{"unknown encoding", single("Content-Transfer-Encoding: x-own\r\n", lines76(enc, "\r\n")), "ambiguous.mime.encoding"},
		{"quoted encoding", single("Content-Transfer-Encoding: \"base64\"\r\n", enc), ""},
		{"folded encoding", single("Content-Transfer-Encoding:\r\n base64\r\n", enc), ""},
		{"no encoding declared", single("Content-Type: text/plain\r\n", lines76(enc, "\r\n")), ""},
		{"no encoding declared, one line", single("", "Hello\r\n\r\n"+enc+"\r\n\r\nBye\r\n"), ""},
		{"junk characters", single("Content-Transfer-Encoding: base64\r\n", strings.Join(strings.Split(enc, ""), "*")), "ambiguous.mime.base64"},
		{"short lines", single("Content-Transfer-Encoding: base64\r\n", strings.Join(strings.Split(enc, ""), "\r\n")), ""},
		{"padding in the middle", single("Content-Transfer-Encoding: base64\r\n", half), "ambiguous.mime.padding"},
		{"padding ignored", single("Content-Transfer-Encoding: base64\r\n", enc[:9]+"="+enc[9:]), "ambiguous.mime.padding"},
		{"padding first", single("Content-Transfer-Encoding: base64\r\n", "====\r\n"+enc), "ambiguous.mime.padding"},
		{"url alphabet", single("Content-Transfer-Encoding: base64\r\n", base64.URLEncoding.EncodeToString([]byte("\xff\xfe\xfb\xef\xbe??>>"+payload))), "ambiguous.mime.base64"},
		{"CR only", cr(multi("multipart/mixed; boundary=b", plain)), "ambiguous.mime.line-end"},
		{"CR only, double boundary", cr(multi("multipart/mixed; boundary=no; boundary=b", plain)), "ambiguous.mime.line-end"},
		{"LF only", lf(multi("multipart/mixed; boundary=b", plain)), ""},
		{"CR in one header", single("X-A: b\rContent-Transfer-Encoding: base64\r\n", "= ="+enc), "ambiguous.mime.line-end"},
		{"CR before the delimiters", multi("multipart/mixed; boundary=b", strings.ReplaceAll(plain, "\r\n--b", "\r--b")), "ambiguous.mime.line-end"},
		{"LF hides a header", top + "X-A: b\n\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines76(enc, "\r\n"), ""},
		{"LF in a delimiter", multi("multipart/mixed; boundary=b", "--b\r\n"+"Content-Transfer-Encoding: quoted-printable\r\n\r\n"+qp(payload[:100])+"=\n--b\n"+qp(payload[100:])+"\r\n--b--\r\n"), "ambiguous.mime.line-end"},
		{"NUL in a header name", single("Content-Transfer\x00-Encoding: base64\r\n", enc[:30]+"\r\n"+enc[30:]), "ambiguous.mime.header"},
		{"NUL in the encoding", single("Content-Transfer-Encoding: base64\x00x\r\n", enc[:30]+"\r\n"+enc[30:]), ""},
		{"NUL in the boundary", multi("multipart/mixed; boundary=\"b\x00c\"", plain), "ambiguous.mime.boundary"},
		{"8-bit in a header name", single("Content-Transfer-Encoding\xa0: base64\r\n", enc[:30]+"\r\n"+enc[30:]), "ambiguous.mime.header"},
		{"8-bit headers", single("X-\xe4: \xf6\r\nSubject: \xfc\r\nContent-Transfer-Encoding: base64\r\n", enc[:30]+"\r\n"+enc[30:]), ""},
		{"space before the colon", single("Content-Transfer-Encoding : base64\r\n", enc[:30]+"\r\n"+enc[30:]), "ambiguous.mime.header"},
		{"RFC 2231 boundary", multi("multipart/mixed; boundary*0=ab; boundary*1=cd", mixed("abcd", text, attachment())), ""},
		{"RFC 2231 encoded boundary", multi("multipart/mixed; boundary*=us-ascii'en'a%62cd", mixed("abcd", text, attachment())), ""},
		{"folded boundary", multi("multipart/mixed; boundary=\"ab\r\n cd\"", mixed("abcd", text, attachment())), "ambiguous.mime.boundary"},
		{"unquoted boundary with a space", multi("multipart/mixed; boundary=ab cd", mixed("ab cd", text, attachment())), ""},
		{"escaped boundary", multi(`multipart/mixed; boundary="a\b"`, mixed("ab", text, attachment())), ""},
		{"escape not taken", multi(`multipart/mixed; boundary="a\b"`, mixed(`a\b`, text, attachment())), "ambiguous.mime.boundary"},
		{"comment before the boundary", multi(`multipart/mixed; (x;boundary=no) boundary=(y)b`, plain), ""},
		{"no semicolon", multi(`multipart/mixed boundary="b"`, plain), ""},
		{"encoded word boundary", multi(`multipart/mixed; boundary="=?us-ascii?Q?bb?="`, mixed("bb", text, attachment())), "ambiguous.mime.boundary"},
		{"100,000 parts", multi("multipart/mixed; boundary=b", many.String()+"--b\r\n"+attachment()+"\r\n--b--\r\n"), ""},
		{"nested 20", nested(20), ""},
		{"nested 200", nested(200), ""},
		{"nested 1000", nested(1000), ""},
		{"no final boundary", multi("multipart/mixed; boundary=b", "--b\r\n"+attachment()), "ambiguous.mime.unclosed"},
		{"after the final boundary", multi("multipart/mixed; boundary=b", mixed("b", text)+"--b\r\n"+attachment()+"\r\n--b--\r\n"), "ambiguous.mime.structure"},
		{"preamble", multi("multipart/mixed; boundary=b", lines76(enc, "\r\n")+mixed("b", text)), ""},
		{"epilogue", multi("multipart/mixed; boundary=b", mixed("b", text)+lines76(enc, "\r\n")), ""},
		{"uuencode in the preamble", multi("multipart/mixed; boundary=b", uu("m.bin", payload)+mixed("b", text)), ""},
		{"yEnc in the epilogue", multi("multipart/mixed; boundary=b", mixed("b", text)+yenc("m.bin", payload)), ""},
		{"uuencode in text", single("Content-Type: text/plain\r\n", "Hello\r\n\r\n"+uu("m.bin", payload)+"Bye\r\n"), ""},
		{"uuencode far down in text", single("Content-Type: text/plain\r\n", strings.Repeat("Hello.\r\n", 20000)+uu("m.bin", payload)+"Bye\r\n"), ""},
		{"yEnc in text", single("Content-Type: text/plain\r\n", "Hello\r\n\r\n"+yenc("m.bin", payload)), ""},
		{"begin-base64 in text", single("", "Hello\r\n\r\nbegin-base64 644 m.bin\r\n"+lines76(enc, "\r\n")+"====\r\n"), ""},
		{"uuencode declared", single("Content-Transfer-Encoding: x-uuencode\r\n", uu("m.bin", payload)), ""},
		{"uuencode declared without begin", single("Content-Transfer-Encoding: uuencode\r\n", strings.SplitN(uu("m.bin", payload), "\n", 2)[1]), ""},
		{"yEnc declared", single("Content-Transfer-Encoding: x-yencode\r\n", yenc("m.bin", payload)), ""},
		{"boundary begins another", multi("multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"+mixed("bb", text, attachment())+"--b--\r\n"), ""},
		{"delimiter with more behind it", multi("multipart/mixed; boundary=b", "--bxyz\r\n"+strings.Replace(attachment(), "base64", "quoted-printable", 1)+qp(payload)+"\r\n--b--\r\n"), "ambiguous.mime.structure"},
		{"boundary missing", multi("multipart/mixed", "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+qp(payload)+"\r\n--b--\r\n"), "ambiguous.mime.boundary"},
		{"boundary wrong", multi("multipart/mixed; boundary=x", "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+qp(payload)+"\r\n--b--\r\n"), "ambiguous.mime.structure"},
		{"boundary of a text", multi("text/plain; boundary=b", "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+qp(payload)+"\r\n--b--\r\n"), "ambiguous.mime.structure"},
		{"same boundary twice", multi("multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+mixed("b", text, attachment())+"\r\n--b\r\n"+attachment()+"\r\n--b--\r\n"), ""},
		{"white space line in the header", top + "Content-Type: text/plain\r\n \r\nContent-Transfer-Encoding: base64\r\n\r\n" + enc[:30] + "\r\n" + enc[30:], ""},
		{"prose in the header", top + "this is no field\r\nContent-Transfer-Encoding: base64\r\n\r\n" + enc[:30] + "\r\n" + enc[30:], ""},
		{"part without an empty line", multi("multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n--c\r\n"+attachment()+"\r\n--c--\r\n--b--\r\n"), ""},
		{"encoded multipart", single("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n", lines76(b64(plain), "\r\n")), ""},
		{"encoded mail", single("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n", lines76(b64(multi("multipart/mixed; boundary=b", plain)), "\r\n")), ""},
		{"quoted mail with odd headers", single("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n", "Zzz: 1\r\nX-Y: 2\r\n\r\n"+uu("m.bin", payload)), ""},
		{"mail in mail", multi("multipart/mixed; boundary=b", mixed("b", "Content-Type: message/rfc822\r\n\r\n"+multi("multipart/mixed; boundary=c", mixed("c", attachment())))), ""},
		{"mail in mail, odd headers", single("Content-Type: message/rfc822\r\n", strings.Repeat("Zzz: 1\r\n", 20)+"\r\n"+uu("m.bin", payload)), ""},
		{"digest", multi("multipart/digest; boundary=b", mixed("b", "\r\n"+multi("multipart/mixed; boundary=c", mixed("c", attachment())))), ""},
		{"quoted-printable", single("Content-Transfer-Encoding: quoted-printable\r\n", qp(payload)), ""},
		{"quoted-printable, white space after soft breaks", single("Content-Transfer-Encoding: quoted-printable\r\n", strings.ReplaceAll(qp(payload), "=\r\n", "= \t\r\n")), ""},
		{"quoted-printable, bare =", single("Content-Transfer-Encoding: quoted-printable\r\n", strings.ReplaceAll(qp(payload), "=41", "==41")), "ambiguous.mime.quoted-printable"},
		{"mbox", "From a@b Thu Jul 31 13:49:50 2008\n" + lf(multi("multipart/mixed; boundary=b", plain)), ""},
		{"long header first", "X-A: " + strings.Repeat("a", 200_000) + "\r\n" + multi("multipart/mixed; boundary=b", plain), ""},
		{"300,000 header lines", strings.Repeat("X-A: b\r\n", 300_000) + multi("multipart/mixed; boundary=b", plain), ""},
		{"long boundary", multi("multipart/mixed; boundary="+strings.Repeat("b", 3000), mixed(strings.Repeat("b", 3000), attachment())), ""},
		{"part header after an empty line", multi("multipart/mixed; boundary=b", mixed("b", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+qp(payload))), "ambiguous.mime.structure"},
		{"byte order mark", "\xef\xbb\xbf\r\n" + multi("multipart/mixed; boundary=b", plain), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.mail, marker) {
				t.Fatal("the marker is visible")
			}
			r := walkTree(t, c.mail, showcause.Limits{})
			if r.found == 0 {
				t.Errorf("the marker is not seen; children %q, gaps %s", first(r.ops, 20), r.codes())
			}
			if c.note != "" && !r.has(c.note) {
				t.Errorf("no note %s; gaps %s", c.note, r.codes())
			}
			if c.note == "" && len(r.gaps) > 0 {
				t.Logf("gaps %s", r.codes())
			}
			for _, g := range r.gaps {
				if g.Code.Unread() {
					t.Errorf("gap %s, though all is read", g.Code)
				}
			}
		})
	}
}

func first(s []string, n int) []string { return s[:min(n, len(s))] }

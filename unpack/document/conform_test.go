package document

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// whole says that a mail cut short is a mail: it has no end mark, and the
// bytes that are there are all read. TestTruncated holds what that means.
func whole([]byte) bool { return true }

func TestConform(t *testing.T) {
	mails, boxes, uus := map[string][]byte{}, map[string][]byte{}, map[string][]byte{}
	for name, m := range ordinary() {
		if isMbox([]byte(m.mail)) {
			boxes[name] = []byte(m.mail)
		} else {
			mails[name] = []byte(m.mail)
		}
	}
	mails["nested"] = []byte(nested(5))
	mails["padding"] = []byte(single("Content-Transfer-Encoding: base64\r\n", b64(payload[:100])+"\r\n"+b64(payload[100:])))
	mails["blocks"] = []byte(single("", "a\r\n"+uu("m", payload)+yenc("n", payload)+lines76(b64(payload), "\r\n")))
	mails["double"] = []byte(multi("multipart/mixed; boundary=a; boundary=b", mixed("b", text, attachment())))
	boxes["two"] = []byte("From a@b Thu Jul 31 13:49:50 2008\n" + single("", "x\n\n") + "From a@b Thu Jul 31 13:49:50 2008\n" + nested(2))
	uus["one"] = []byte(uu("m.bin", payload))
	uus["several"] = []byte("text\n" + uu("m.bin", payload) + "\n" + yenc("n", payload) + "begin-base64 644 o\n" + lines76(b64(payload), "\n") + "====\n")
	t.Run("mail", func(t *testing.T) { unpacktest.ConformWhole(t, Mail(), mails, whole) })
	t.Run("mbox", func(t *testing.T) { unpacktest.ConformWhole(t, Mbox(), boxes, whole) })
	t.Run("uuencode", func(t *testing.T) { unpacktest.ConformWhole(t, UUEncode(), uus, whole) })
}

// TestTruncated cuts a mail at every offset: of each part that has begun, what
// is there comes out, as the beginning of what the whole mail gives.
func TestTruncated(t *testing.T) {
	long := strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz ", 20)
	mail := multi("multipart/mixed; boundary=b", mixed("b", text, "Content-Transfer-Encoding: base64\r\n\r\n"+lines76(b64(long), "\r\n")))
	start := strings.Index(mail, "base64\r\n\r\n") + len("base64\r\n\r\n")
	end := strings.Index(mail[start:], "\r\n--b--") + start
	for n := start + 4; n < end; n++ {
		r := unpacktest.Walk(t, Mail(), []byte(mail[:n]), showcause.Limits{})
		want, _ := base64.StdEncoding.DecodeString(strings.ReplaceAll(mail[start:n], "\r\n", "")[:(n-start-2*((n-start)/78)-1)/4*4])
		ok := false
		for _, c := range r.Children {
			ok = ok || c.Op == "mime.base64" && bytes.HasPrefix(c.Data, want) && strings.HasPrefix(long, string(c.Data))
		}
		if !ok {
			t.Fatalf("cut at %d: no child with %q:\n%s", n, want, r)
		}
		if !r.Has("ambiguous.mime.unclosed") {
			t.Fatalf("cut at %d: no note", n)
		}
	}
}

func FuzzMail(f *testing.F) {
	var seeds [][]byte
	for _, m := range ordinary() {
		seeds = append(seeds, []byte(m.mail))
	}
	seeds = append(seeds, []byte(nested(5)), []byte(strings.ReplaceAll(nested(2), "\r\n", "\r")),
		[]byte(single("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n", b64(payload[:100])+"\r\n"+qp(payload[100:]))),
		[]byte(single("Content-Type: message/rfc822\r\n", uu("m", payload)+yenc("n", payload)+lines76(b64(payload), "\r\n"))),
		[]byte(multi("multipart/mixed; boundary=a; boundary=b", "--a\n--b\r--a--"+mixed("b", text, attachment()))))
	unpacktest.Fuzz(f, Mail(), seeds...)
}

func FuzzMbox(f *testing.F) {
	unpacktest.Fuzz(f, Mbox(), []byte(ordinary()["thunderbird"].mail), []byte(ordinary()["list, plain"].mail),
		[]byte("From a@b Thu Jul 31 13:49:50 2008\nA: b\n\nFrom c\nX: y\n\nFrom a@b Thu Jul 31 13:49:50 2008\n\nx"))
}

func FuzzUU(f *testing.F) {
	unpacktest.Fuzz(f, UUEncode(), []byte(uu("m", payload)), []byte(yenc("n", payload)+uu("m", payload)),
		[]byte("begin-base64 644 o\n"+lines76(b64(payload), "\n")+"====\n"))
}

// TestClamAVFiles reads the wrapped files of the Debian package
// clamav-testfiles: each must give the program that is in all of them.
func TestClamAVFiles(t *testing.T) {
	const dir = "/usr/share/clamav-testfiles/"
	exe, err := os.ReadFile(dir + "clam.exe")
	if err != nil {
		t.Skipf("no package clamav-testfiles: %v", err)
	}
	for name, op := range map[string]string{"clam.mail": "mime.base64", "clam.exe.mbox.base64": "mbox.message", "clam.exe.mbox.uu": "mbox.message"} {
		data, err := os.ReadFile(dir + name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ok := false
		for _, f := range formats() {
			if !f.Match(unpacktest.Probe(showcause.Bytes(data))) {
				continue
			}
			for _, c := range unpacktest.Walk(t, f, data, showcause.Limits{}).Children {
				if c.Op == "mbox.message" {
					r := unpacktest.Walk(t, Mail(), c.Data, showcause.Limits{})
					ok = ok || len(r.Children) == 1 && bytes.Equal(r.Children[0].Data, exe)
				}
				ok = ok || c.Op == op && bytes.Equal(c.Data, exe)
			}
		}
		if !ok {
			t.Errorf("%s: clam.exe is not found", name)
		}
	}
}

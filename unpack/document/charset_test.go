package document

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/mailcode"
)

func wide(s string, size int, o binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		s = "\ufeff" + s
	}
	if size == 4 {
		for _, r := range s {
			b = o.AppendUint32(b, uint32(r))
		}
		return string(b)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = o.AppendUint16(b, u)
	}
	return string(b)
}

// utf7 encodes runs of random length.
func utf7(s string, rng *rand.Rand) string {
	var b strings.Builder
	for r := []rune(s); len(r) > 0; {
		n := min(1+rng.IntN(5), len(r))
		b.WriteString("+" + base64.RawStdEncoding.EncodeToString([]byte(wide(string(r[:n]), 2, binary.BigEndian, false))) + "-")
		r = r[n:]
	}
	return b.String()
}

// TestCharsets is text that hides in its character set.
func TestCharsets(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ label, text string }{
		{"utf-7", utf7(payload, rng)},
		{"UTF7", utf7(payload, rng)},
		{"unicode-1-1-utf-7", utf7(payload, rng)},
		{"utf-16", wide(payload, 2, le, true)},
		{"utf-16", wide(payload, 2, be, true)},
		{"utf-16", wide(payload, 2, le, false)},
		{"utf-16", wide(payload, 2, be, false)},
		{"utf-16le", wide(payload, 2, le, false)},
		{"UTF_16-LE", wide(payload, 2, le, false)},
		{"utf-16-be", wide(payload, 2, be, false)},
		{"utf-16le", wide(payload, 2, be, true)},
		{"utf-16be", wide(payload, 2, le, true)},
		{"unicode", wide(payload, 2, le, true)},
		{"iso-10646-ucs-2", wide(payload, 2, be, false)},
		{"utf-32", wide(payload, 4, le, true)},
		{"utf-32", wide(payload, 4, be, false)},
		{"utf-32-be", wide(payload, 4, be, false)},
		{"u32", wide(payload, 4, le, true)},
		{"utf-32le", wide(payload, 4, be, true)},
	} {
		for _, ty := range []string{
			"Content-Type: text/plain; charset=" + c.label, "Content-Type: text/html; charset=\"" + c.label + "\"",
			"Content-Type: text/plain; charset*=us-ascii''" + c.label, "Content-Type: text/plain; charset=us-ascii; charset=" + c.label,
		} {
			for _, body := range []string{
				"Content-Transfer-Encoding: base64\r\n\r\n" + lines76(b64(c.text), "\r\n"),
				"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + qp(c.text),
				"Content-Transfer-Encoding: binary\r\n\r\n" + c.text,
			} {
				r := walkTree(t, top+ty+"\r\n"+body, showcause.Limits{})
				if r.found == 0 || unread(r) || !slices.Contains(r.ops, "mime.charset") {
					t.Errorf("%s, %.60q: found %d, children %q, gaps %s", ty, body, r.found, r.ops, r.codes())
				}
			}
		}
	}
	for label, gap := range map[string]bool{
		"cp037": true, "IBM037": true, "ibm-37": true, "cp500": true, "csIBM500": true, "500": true, "cp1026": true, "x-ebcdic-us": true, "ebcdic-cp-us": true, "cp1140": true, "unicode_escape": true,
		"utf-8": false, "us-ascii": false, "iso-8859-1": false, "windows-1252": false, "cp1252": false, "cp437": false, "koi8-r": false, "gb2312": false, "gbk": false,
		"gb18030": false, "big5": false, "shift_jis": false, "euc-jp": false, "euc-kr": false, "iso-2022-jp": false, "hz-gb-2312": false, "x-unknown": false, "": false, "latin1": false, "cp932": false, "cp65001": false,
	} {
		r := walkTree(t, single("Content-Type: text/plain; charset="+label+"\r\nContent-Transfer-Encoding: base64\r\n", b64("hello, hello")), showcause.Limits{})
		if len(r.gaps) > 0 != gap || r.has("unsupported.method.charset") != gap || len(r.ops) != 1 {
			t.Errorf("%q: gaps %s, children %q", label, r.codes(), r.ops)
		}
	}
}

// TestCharsetCodings holds what undoes a character set against an encoder.
func TestCharsetCodings(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		var r []rune
		for range rng.IntN(40) {
			c := rng.Int32N(0x10ffff + 1)
			if c >= 0xd800 && c < 0xe000 || rng.IntN(2) == 0 {
				c &= 0x7f
			}
			r = append(r, c)
		}
		s := string(r)
		for c, in := range map[charset]string{
			asUTF7: utf7(s, rng), asUTF16LE: wide(s, 2, binary.LittleEndian, false), asUTF16BE: wide(s, 2, binary.BigEndian, false),
			asUTF32LE: wide(s, 4, binary.LittleEndian, false), asUTF32BE: wide(s, 4, binary.BigEndian, false),
		} {
			if got, err := io.ReadAll(mailcode.NewReader(strings.NewReader(in), c.coding(), make([]byte, 5))); string(got) != s || err != nil {
				t.Fatalf("%d: %q %v, want %q", c, got, err, s)
			}
		}
	}
}

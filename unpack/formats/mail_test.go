package formats

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// A mail that stands in an archive as it is, is read as the member that it is;
// the archive is not read as a mail. What starts as a mail and is an archive
// besides is read as both.
func TestMailInArchive(t *testing.T) {
	enc := base64.StdEncoding.EncodeToString([]byte("secret and so on and so on and so on"))
	mail := []byte("From: a@example.org\nTo: b@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + enc + "\n--b--\n")
	late := append([]byte("first member\n"), mail...)
	for name, data := range map[string][]byte{"ar": arOf([]byte("first member\n"), mail), "zip": zipOf(mail), "two in a zip": zipOf([]byte("one"), mail), "tar": tarOf(mail), "cpio": cpioOf(mail), "prose": arOf(late, mail)} {
		got := walkAll(showcause.Bytes(data))
		if got.words["secret"] != 1 && name != "prose" || got.words["secret"] == 0 || len(got.codes) > 0 {
			t.Errorf("%s: %v, gaps %q", name, got.words, got.codes)
		}
		for _, op := range got.ops {
			if strings.HasPrefix(op, "mime") {
				t.Errorf("%s: the archive is read as a mail: %q", name, got.ops)
			}
		}
	}
	for name, data := range map[string][]byte{"mail and zip": append(bytes.Clone(mail), zipOf(jar("a"))...), "mail and tar": func() []byte {
		b := tarOf(jar("a"))
		head := "Content-Transfer-Encoding: base64\n\n" + enc + "\n"
		copy(b, head)
		copy(b[148:], "        ")
		sum := 0
		for _, c := range b[:512] {
			sum += int(c)
		}
		for i := range 6 {
			b[148+i] = byte('0' + sum>>(3*(5-i))&7)
		}
		b[154] = 0
		return b
	}()} {
		got := walkAll(showcause.Bytes(data))
		mime := slices.ContainsFunc(got.ops, func(op string) bool { return strings.HasPrefix(op, "mime.base64") })
		if !mime || got.words["a 1"] == 0 {
			t.Errorf("%s: %q, %v", name, got.ops, got.words)
		}
	}
}

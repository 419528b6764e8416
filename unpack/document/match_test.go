package document

import (
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// TestOddFirstLines is mails that begin as few do: each is read by Python's
// email package, or by a reader that forgives more.
func TestOddFirstLines(t *testing.T) {
	enc := lines76(b64(payload), "\n")
	multi := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\nContent-Type: application/octet-stream\n\n" + enc + "\n--b--\n"
	one := "Content-Transfer-Encoding: base64\n\n" + enc
	for name, lead := range map[string]string{
		"plus": "X+Foo: 1\n", "bang": "X!: 1\n", "slash": "a/b: 1\n", "all": "!#$%&'*+-/=?^_`{|}~\"(),.;<>@[]\\: 1\n", "no name": ": x\n",
		"long name": strings.Repeat("X", 300) + ": 1\n", "longer than the head": strings.Repeat("X", 70<<10) + ": 1\n",
		"longer than is looked for": strings.Repeat("X", 300<<10) + ": 1\n",
		"continuation":              " x\n", "two continuations": "\tx\n y\n", "prose": "hello there\n", "prose and field": "hello there\nX: 1\n",
		"9,000 fields": strings.Repeat("X-12: y\n", 9000), "9,000 fields of 9 bytes": strings.Repeat("X-123: y\n", 9000),
		"dated": "From a@b Thu Jul 31 13:49:50 2008\nX!: 1\n", "From": "From x\nX!: 1\n", ">From": ">From x\nhello\n",
	} {
		for _, body := range []string{multi, one} {
			for _, eol := range []string{"\n", "\r\n", "\r"} {
				if r := walkTree(t, strings.ReplaceAll(lead+body, "\n", eol), showcause.Limits{}); r.found == 0 {
					t.Errorf("%s, %q: the marker is not seen; children %q", name, eol, first(r.ops, 20))
				} else if unread(r) {
					t.Errorf("%s, %q: gaps %s", name, eol, r.codes())
				}
			}
		}
	}
}

func unread(r *tree) bool {
	for _, g := range r.gaps {
		if g.Code.Unread() {
			return true
		}
	}
	return false
}

// TestMboxFirstMailWithoutHeader is mailboxes whose first mail is text, and prose.
func TestMboxFirstMailWithoutHeader(t *testing.T) {
	mail := "Content-Transfer-Encoding: base64\n\n" + lines76(b64(payload), "\n")
	for _, box := range []string{
		"From foo\nhello\n\nFrom a@b Thu Jul 31 13:49:50 2008\n" + mail,
		"From foo\nhello\n\nFrom bar\n" + mail,
		"From foo\n" + strings.Repeat("hello\n", 20_000) + "\nFrom a@b Thu Jul 31 13:49:50 2008\n" + mail,
	} {
		if r := walkTree(t, box, showcause.Limits{}); r.found == 0 || unread(r) {
			t.Errorf("%.60q: found %d, children %q, gaps %s", box, r.found, r.ops, r.codes())
		}
	}
	prose := "From here on it is dark.\n\nFrom there on: not.\n\n>From time to time.\nNote: it ends.\n"
	for _, s := range []string{prose, prose[strings.Index(prose, ">From"):]} {
		if r := walkTree(t, s, showcause.Limits{}); len(r.gaps) > 0 {
			t.Errorf("%q: gaps %s", s, r.codes())
		}
	}
}

// TestUUEncodeAnywhere is uuencoded blocks far down, behind bytes that are no
// text, and with modes that decoders take.
func TestUUEncodeAnywhere(t *testing.T) {
	block := uu("m.bin", payload)
	begin := strings.Index(block, "644")
	mode := func(m string) string { return block[:begin] + m + block[begin+3:] }
	after := strings.Replace(block, "m.bin\n", "m.bin\n`\n\n", 1)
	for name, s := range map[string]string{
		"late": strings.Repeat("some text\n", 7000) + block, "late in one line": strings.Repeat("x", 100<<10) + "\n" + block,
		"across the head's end": strings.Repeat("x", (64<<10)-4) + "\n" + block,
		"behind NUL":            "some\x00text\n" + block, "late, behind NUL": "some\x00text\n" + strings.Repeat("some text\n", 7000) + block,
		"behind prose": "From here on\n\n" + block, "late, behind prose": "From here on\n\n" + strings.Repeat("some text\n", 7000) + block,
		"nine digits": mode("000000644"), "300 digits": mode(strings.Repeat("0", 300) + "644"), "prefix": mode("0o644"), "sign": mode("+644"), "underscore": mode("6_44"),
		"1000 digits, late": strings.Repeat("some text\n", 7000) + mode(strings.Repeat("0", 1000)+"644"),
		"empty lines first": after, "empty lines first, late": strings.Repeat("some text\n", 7000) + after,
		"in a mail": top + "\n" + strings.Repeat("some text\n", 7000) + block, "in a mail, after empty lines": top + "\n" + after,
		"yEnc, late": strings.Repeat("some text\n", 7000) + yenc("m.bin", payload),
	} {
		if r := walkTree(t, s, showcause.Limits{}); r.found == 0 || unread(r) {
			t.Errorf("%s: found %d, children %q, gaps %s", name, r.found, r.ops, r.codes())
		}
	}
	for _, s := range []string{"begin with 644 and end\n", "begin 64x4 y\n", "begin - x\n", "begin 644 x\nnot a block at all, far too long for that\n"} {
		if r := walkTree(t, strings.Repeat("some text\n", 7000)+s+"z\n", showcause.Limits{}); len(r.ops) > 0 {
			t.Errorf("%q: children %q", s, r.ops)
		}
	}
}

package hostile

import (
	"encoding/base64"
	"fmt"
	"strings"
)

const mailHead = "From: a@example.org\r\nTo: b@example.org\r\nSubject: hello\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"

func wrapped(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return out.String() + s + "\r\n"
}

func base64Part(name string, content []byte) string {
	return "Content-Type: application/octet-stream; name=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(content)
}

// letter is a mail of a text and some parts.
func letter(text string, parts ...string) []byte {
	return multipart("Content-Type: multipart/mixed; boundary=\"cut\"\r\n", "cut", append([]string{"Content-Type: text/plain\r\n\r\n" + text + "\r\n"}, parts...)...)
}

// multipart is a mail with the given type line, its parts between the boundary.
func multipart(kind, boundary string, parts ...string) []byte {
	var b strings.Builder
	b.WriteString(mailHead + kind + "\r\npreamble\r\n")
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p)
	}
	b.WriteString("--" + boundary + "--\r\n")
	return []byte(b.String())
}

func (s scale) mails() []Input {
	part := func() string { return base64Part("m.bin", hidden()) }
	mail := func(name string, want Want, f func() string) Input {
		return in(35, "mail: "+name, want, func() []byte { return []byte(f()) })
	}
	edit := func(old, new string) func() string {
		return func() string { return strings.Replace(string(letter("hi", part())), old, new, 1) }
	}
	count := int(s.pick(50_000, 100_000))
	return []Input{
		mail("two boundary parameters, the second is real", Found, func() string {
			return string(multipart("Content-Type: multipart/mixed; boundary=\"other\"; boundary=\"cut\"\r\n", "cut", part()))
		}),
		mail("two boundary parameters, the first is real", Found, func() string {
			return string(multipart("Content-Type: multipart/mixed; boundary=\"cut\"; boundary=\"other\"\r\n", "cut", part()))
		}),
		mail("two type headers", Found, func() string {
			return string(multipart("Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=cut\r\n", "cut", part()))
		}),
		mail("two encodings, 7bit first", Found, edit("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64")),
		mail("two encodings, 7bit last", Found, edit("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit")),
		mail("an unknown encoding", Found, edit("Encoding: base64", "Encoding: x-base64")),
		mail("a comment in the encoding", Found, edit("Encoding: base64", "Encoding: (7bit) base64 (x)")),
		mail("the encoding over two lines", Found, edit("Encoding: base64", "Encoding:\r\n base64")),
		mail("a space before the colon", Found, edit("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding : base64")),
		mail("base64 with padding in the middle", Found, func() string {
			a, b := hidden()[:226], hidden()[226:] // within the marker
			return strings.Replace(string(letter("hi", part())), wrapped(hidden()), base64.StdEncoding.EncodeToString(a)+base64.StdEncoding.EncodeToString(b)+"\r\n", 1)
		}),
		mail("base64 with a junk character after each", Found, func() string {
			junk := strings.Join(strings.Split(base64.StdEncoding.EncodeToString(hidden()), ""), "*")
			return strings.Replace(string(letter("hi", part())), wrapped(hidden()), junk+"\r\n", 1)
		}),
		mail("line ends of CR alone", Found, func() string { return strings.ReplaceAll(string(letter("hi", part())), "\r\n", "\r") }),
		mail("line ends of LF alone", Found, func() string { return strings.ReplaceAll(string(letter("hi", part())), "\r\n", "\n") }),
		mail("a NUL in a header", Found, edit("Content-Transfer-Encoding: base64", "Content-Transfer\x00-Encoding: x\r\nContent-Transfer-Encoding: ba\x00se64")),
		mail("a NUL in the first header", Found, edit("Subject: hello", "Subject: he\x00llo")),
		mail("a boundary in pieces (RFC 2231)", Found, func() string {
			return string(multipart("Content-Type: multipart/mixed; boundary*0=\"cu\"; boundary*1=\"t\"\r\n", "cut", part()))
		}),
		mail("a file name in pieces (RFC 2231)", Found, edit("name=\"m.bin\"", "name*0*=utf-8''m%00; name*1=\".exe\"")),
		mail(fmt.Sprintf("%d parts, then the marker", count), Found, func() string {
			return string(letter("hi", strings.Repeat("\r\nx\r\n--cut\r\n", count)+part()))
		}),
		mail("20 multiparts in each other", Found, func() string { return nestedMail(20, part()) }),
		mail("200 multiparts in each other", Either, func() string { return nestedMail(200, part()) }),
		mail("no last boundary", Found, edit("--cut--\r\n", "")),
		mail("cut in the marker's part", Either, func() string {
			b := string(letter("hi", base64Part("m.gz", squeeze(join(hidden(), noise(3000, 8))).gzip())))
			return b[:len(b)-1000]
		}),
		mail("a payload in the preamble", Found, func() string {
			return strings.Replace(string(letter("hi")), "preamble\r\n", "\r\n"+uu("m.bin", hidden()), 1)
		}),
		mail("a part after the last boundary", Found, func() string { return string(letter("hi")) + "--cut\r\n" + part() + "--cut--\r\n" }),
		mail("uuencode in the text", Found, func() string { return mailHead + "\r\nsee file\r\n\r\n" + uu("m.bin", hidden()) }),
		mail("yEnc in the text", Found, func() string { return mailHead + "\r\nsee file\r\n\r\n" + yenc("m.bin", hidden()) }),
		mail("quoted-printable", Found, func() string {
			var q strings.Builder
			for i, c := range hidden() {
				fmt.Fprintf(&q, "=%02X", c)
				if i%20 == 19 {
					q.WriteString("=\r\n")
				}
			}
			return string(letter("hi", "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+q.String()+"\r\n"))
		}),
		mail("a mail in a mail in base64", Found, func() string {
			return string(letter("hi", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"+wrapped(letter("in", part()))))
		}),
		mail("an encoding said for the whole multipart", Found, func() string {
			inner := "--in\r\n" + part() + "--in--\r\n"
			return string(letter("hi", "Content-Type: multipart/mixed; boundary=in\r\nContent-Transfer-Encoding: base64\r\n\r\n"+wrapped([]byte(inner))))
		}),
		mail("a header line of 10 MB", Either, edit("Subject: hello", "Subject: "+strings.Repeat("x", 10<<20))),
	}
}

func nestedMail(n int, part string) string {
	for i := range n {
		part = fmt.Sprintf("Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n%s\r\n--b%d--\r\n", i, i, part, i)
	}
	return mailHead + part
}

// uu is uuencode (POSIX.1, "uuencode").
func uu(name string, b []byte) string {
	out := "begin 644 " + name + "\r\n"
	six := func(v byte) string {
		if v &= 63; v == 0 {
			return "`"
		}
		return string(' ' + v)
	}
	for len(b) > 0 {
		n := min(45, len(b))
		line := append(append([]byte{}, b[:n]...), 0, 0)
		out += six(byte(n))
		for i := 0; i < n; i += 3 {
			a, c, d := line[i], line[i+1], line[i+2]
			out += six(a>>2) + six(a<<4|c>>4) + six(c<<2|d>>6) + six(d)
		}
		out += "\r\n"
		b = b[n:]
	}
	return out + "`\r\nend\r\n"
}

// yenc is yEnc 1.3.
func yenc(name string, b []byte) string {
	var out []byte
	for i, c := range b {
		switch c += 42; c {
		case 0, '\n', '\r', '=', '.':
			out = append(out, '=', c+64)
		default:
			out = append(out, c)
		}
		if i%128 == 127 {
			out = append(out, "\r\n"...)
		}
	}
	return fmt.Sprintf("=ybegin line=128 size=%d name=%s\r\n%s\r\n=yend size=%d\r\n", len(b), name, out, len(b))
}

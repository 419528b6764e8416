package placed

import (
	"fmt"
	"strings"
)

const mailHead = "From: a@a.example\r\nTo: b@b.example\r\nSubject: a subject\r\nDate: Sun, 22 Nov 2026 06:00:00 +0000\r\nMIME-Version: 1.0\r\n"

// quoted is quoted-printable in which each byte is written by its number.
func quoted(s string) string {
	var b strings.Builder
	for i, c := range []byte(s) {
		if b.WriteString(fmt.Sprintf("=%02X", c)); i%20 == 19 {
			b.WriteString("=\r\n")
		}
	}
	return b.String()
}

func uuencoded(s string) string {
	var b strings.Builder
	b.WriteString("begin 644 a.exe\r\n")
	for ; len(s) > 0; s = s[min(len(s), 45):] {
		part := s[:min(len(s), 45)]
		b.WriteByte(byte(len(part)) + ' ')
		part += strings.Repeat("\x00", (3-len(part)%3)%3)
		for i := 0; i < len(part); i += 3 {
			v := int(part[i])<<16 | int(part[i+1])<<8 | int(part[i+2])
			for shift := 18; shift >= 0; shift -= 6 {
				b.WriteByte("`!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"[v>>shift&63])
			}
		}
		b.WriteString("\r\n")
	}
	return b.String() + "`\r\nend\r\n"
}

func yencoded(s string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "=ybegin line=128 size=%d name=a.exe\r\n", len(s))
	for _, c := range []byte(s) {
		if c += 42; strings.IndexByte("\x00\r\n=", c) >= 0 {
			b.WriteByte('=')
			c += 64
		}
		b.WriteByte(c)
	}
	return b.String() + fmt.Sprintf("\r\n=yend size=%d\r\n", len(s))
}

// transfer are the encodings of parts of mail.
var transfer = []struct {
	name, header string
	encode       func(s string) string
}{
	{"7bit", "7bit", func(s string) string { return s }},
	{"binary", "binary", func(s string) string { return s }},
	{"base64", "base64", lines},
	{"base64 in one line", "base64", base},
	{"base64 in short lines", "BASE64", func(s string) string { return broken(base(s), 7, "\n") }},
	{"base64 with other letters", "base64", func(s string) string { return broken(base(s), 9, "!\r\n") }},
	{"quoted-printable", "quoted-printable", quoted},
	{"quoted-printable, line ends", "Quoted-Printable", func(s string) string { return broken(s, 9, "=\r\n") }},
	{"uuencode", "x-uuencode", uuencoded},
	{"yEnc", "x-yencode", yencoded},
}

func mailPart(kind, disposition, encoding, data string) string {
	return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n" + disposition + "\r\n" + data + "\r\n"
}

// multipart joins parts.
func multipart(kind, boundary string, parts ...string) string {
	return "Content-Type: multipart/" + kind + "; boundary=\"" + boundary + "\"\r\n\r\nThis is a message in parts.\r\n--" + boundary + "\r\n" + strings.Join(parts, "\r\n--"+boundary+"\r\n") + "\r\n--" + boundary + "--\r\n"
}

const attachedFile = "Content-Disposition: attachment; filename=\"a.exe\"\r\n"

var plainPart = mailPart("text/plain", "", "7bit", "a text")

// mailEncodings has it in parts of each encoding, in each kind of mail.
func mailEncodings(l *list) {
	for _, e := range transfer {
		file := mailPart("application/octet-stream; name=a.exe", attachedFile, e.header, e.encode(body))
		inner := mailHead + multipart("mixed", "inner", plainPart, file)
		for name, m := range map[string]string{
			"single": file, "single text": mailPart("text/plain; charset=utf-8", "", e.header, e.encode(body)), "page": mailPart("text/html", "", e.header, e.encode("<html><body>"+Marker+"</body></html>")),
			"mixed": multipart("mixed", "b", plainPart, file), "first": multipart("mixed", "b", file, plainPart), "alternative": multipart("alternative", "b", plainPart, file), "related": multipart("related", "b", plainPart, file),
			"in each other": multipart("mixed", "b", plainPart, multipart("related", "c", plainPart, multipart("alternative", "d", plainPart, file))),
			"message":       multipart("mixed", "b", plainPart, "Content-Type: message/rfc822\r\n\r\n"+inner), "message in a message": multipart("digest", "b", "\r\n"+mailHead+multipart("mixed", "c", "Content-Type: message/rfc822\r\n\r\n"+inner)),
			"zip": multipart("mixed", "b", plainPart, mailPart("application/zip; name=a.zip", "", e.header, e.encode(string(zipOf(member{"a", body, false}))))), "PDF": multipart("mixed", "b", plainPart, mailPart("application/pdf", attachedFile, e.header, e.encode(string(pdfPaged(pdfStream("/Filter/FlateDecode", zlibbed(body))))))),
		} {
			if e.header == "7bit" && (name == "zip" || name == "PDF") {
				continue // the bytes of these are not text
			}
			l.text("mail/"+e.name+"/"+name, mailHead+m)
		}
	}
}

// mailStructures has it in mails that are broken, or that are put together otherwise.
func mailStructures(l *list) {
	file := mailPart("application/octet-stream; name=a.exe", attachedFile, "base64", lines(body))
	mixed := multipart("mixed", "bb", plainPart, file)
	whole := mailHead + mixed
	mbx := "*mbx*\r\n6b02cc2500000001\r\n"
	l.text("mail/structure/mbx", mbx+strings.Repeat("\r\n", (2048-len(mbx))/2)+fmt.Sprintf(" 1-Jan-2026 12:00:00 +0000,%d;000000000000-00000001\r\n", len(whole))+whole)
	for name, edit := range map[string][2]string{
		"no last boundary": {"\r\n--bb--", ""}, "boundary without quotes": {"\"bb\"", "bb"}, "boundary in a comment": {"boundary=", "(boundary=x) boundary="}, "boundary over lines": {"; boundary", ";\r\n\tboundary"}, "capitals": {"boundary=", "BOUNDARY="},
		"no MIME-Version": {"MIME-Version: 1.0\r\n", ""}, "spaces before a colon": {"Content-Transfer-Encoding: base64", "Content-Transfer-Encoding : base64"}, "comment in the encoding": {"Encoding: base64", "Encoding: (a) base64"}, "encoding over lines": {"Encoding: base64", "Encoding:\r\n base64"},
		"encoding in quotes": {"Encoding: base64", "Encoding: \"base64\""}, "no encoding": {"Content-Transfer-Encoding: base64\r\n", ""}, "no type": {"Content-Type: application/octet-stream; name=a.exe\r\n", ""}, "encoding twice": {"Encoding: base64\r\n", "Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n"},
		"encoding twice, the other way": {"Encoding: base64\r\n", "Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n"}, "boundary in parts": {"boundary=\"bb\"", "boundary*0=\"b\"; boundary*1=\"b\""}, "spaces behind a boundary": {"--bb\r\n", "--bb  \t\r\n"}, "unknown encoding": {"Encoding: base64", "Encoding: base64x"},
		"no empty line": {"\r\n\r\n" + base(body)[:9], "\r\n" + base(body)[:9]}, "no subject": {"Subject: a subject\r\n", ""}, "semicolon behind": {"Encoding: base64", "Encoding: base64;"},
	} {
		l.text("mail/structure/"+name, strings.Replace(whole, edit[0], edit[1], 1))
	}
	l.text("mail/structure/lines of Unix", strings.ReplaceAll(whole, "\r\n", "\n"))
	l.text("mail/structure/lines of old Macs", strings.ReplaceAll(whole, "\r\n", "\r"))
	l.text("mail/structure/behind an envelope", "From a@a.example Sun Nov 22 06:00:00 2026\r\n"+whole)
	l.text("mail/structure/received first", "Received: from a by b; Sun, 22 Nov 2026 06:00:00 +0000\r\n"+whole)
	l.text("mail/structure/returned", "Return-Path: <a@a.example>\r\nDelivered-To: b@b.example\r\n"+whole)
	l.text("mail/structure/two mails", "From a@a.example Sun Nov 22 06:00:00 2026\n"+strings.ReplaceAll(mailHead, "\r", "")+"\nx\n\nFrom a@a.example Sun Nov 22 06:01:00 2026\n"+strings.ReplaceAll(whole, "\r\n", "\n"))
	l.text("mail/structure/before the parts", mailHead+strings.Replace(mixed, "This is a message in parts.", uuencoded(body), 1))
	l.text("mail/structure/behind the parts", mailHead+multipart("mixed", "bb", plainPart)+"\r\n"+uuencoded(body))
	l.text("mail/structure/base64 behind the parts", mailHead+multipart("mixed", "bb", plainPart)+"\r\n"+body)
	l.text("mail/structure/uuencoded in a text", mailHead+"\r\nsee\r\n\r\n"+uuencoded(body))
	l.text("mail/structure/yEnc in a text", mailHead+"\r\nsee\r\n\r\n"+yencoded(body))
	l.text("mail/structure/bounced", mailHead+"\r\nThis could not be delivered.\r\n\r\n------ This is a copy of the message ------\r\n\r\n"+whole)
	l.text("mail/structure/report", mailHead+multipart("report; report-type=delivery-status", "r", plainPart, mailPart("message/delivery-status", "", "7bit", "Action: failed"), "Content-Type: message/rfc822\r\n\r\n"+whole))
	l.text("mail/structure/appledouble", mailHead+multipart("appledouble", "r", mailPart("application/applefile", "", "base64", lines("\x00\x05\x16\x07")), file))
	l.text("mail/structure/signed", mailHead+multipart("signed; protocol=\"application/pkcs7-signature\"", "r", file, mailPart("application/pkcs7-signature", "", "base64", lines("x"))))
	l.text("mail/structure/winmail", mailHead+mailPart("application/ms-tnef", "", "base64", lines(string(zipOf(member{"a", body, false})))))
}

// mailFields has it in fields of headers.
func mailFields(l *list) {
	for name, field := range map[string]string{
		"subject": "Subject: " + Marker, "subject, base64": "Subject: =?utf-8?B?" + base(Marker) + "?=", "subject, quoted": "Subject: =?utf-8?Q?" + strings.ReplaceAll(quoted(Marker), "=\r\n", "") + "?=", "other": "X-Other: " + Marker,
		"from": "From: \"" + Marker + "\" <c@c.example>", "over lines": "X-Other: a\r\n\t" + Marker, "id": "Message-ID: <" + Marker + "@a.example>",
	} {
		l.text("mail/field/"+name, mailHead+field+"\r\n\r\na text\r\n")
	}
	for name, disposition := range map[string]string{
		"name": "Content-Disposition: attachment; filename=\"" + Marker + "\"\r\n", "name, encoded": "Content-Disposition: attachment; filename=\"=?utf-8?B?" + base(Marker) + "?=\"\r\n", "description": "Content-Description: " + Marker + "\r\n",
	} {
		l.text("mail/field/"+name, mailHead+multipart("mixed", "b", plainPart, mailPart("application/octet-stream", disposition, "7bit", "x")))
	}
}

// cards has it in what calendars and address books attach.
func cards(l *list) {
	folded := func(s string) string { return strings.TrimSuffix(broken(base(s), 60, "\r\n "), "\r\n ") }
	for name, s := range map[string]string{
		"calendar, description": "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDESCRIPTION:" + Marker + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
		"calendar, attached":    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:" + folded(long) + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
		"card, note":            "BEGIN:VCARD\r\nVERSION:3.0\r\nNOTE:" + Marker + "\r\nEND:VCARD\r\n",
		"card, picture":         "BEGIN:VCARD\r\nVERSION:3.0\r\nPHOTO;ENCODING=b;TYPE=JPEG:" + folded(long) + "\r\nEND:VCARD\r\n",
		"card, picture as data": "BEGIN:VCARD\r\nVERSION:4.0\r\nPHOTO:data:image/jpeg;base64," + base(long) + "\r\nEND:VCARD\r\n",
	} {
		l.text("card/"+name, s)
		l.text("card/mailed, "+name, mailHead+mailPart("text/calendar; name=a.ics", attachedFile, "base64", lines(s)))
	}
}

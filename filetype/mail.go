package filetype

import "bytes"

// openings are the words by which a file is mail when it starts with one: the
// list is ClamAV's, but for letter case, and for the last lines, which are
// header names that mail of today starts with.
var openings = [...]string{
	"from ", ">from ", "from: ", "date: ", "delivered-to: ", "delivery-date: ", "envelope-to: ", "for: ",
	"hi. this is the qmail-send", "message-id: ", "received: ", "return-path: ", "subject: ", "to: ",
	"x-apparently-to: ", "x-evs", "x-envelope-from: ", "x-original-to: ", "x-real-to: ", "x-sieve: ", "x-symantec-", "x-uidl: ",
	"v:\nreceived: ", "v:\r\nreceived: ", "received-spf: ",

	"dkim-signature: ", "arc-seal: ", "authentication-results: ", "x-mozilla-status: ", "received:\t", "received:\r\n\t", "received:\n\t",
	"from:\t", "to:\t", "subject:\t", "reply-to: ", "x-received: ", "x-mailer: ",
}

func hasMailPrefix(head []byte) bool {
	if bytes.HasPrefix(head, []byte("From ")) || len(head) > 0 && head[0] == '>' && foldPrefix(head, ">from ") {
		return true
	}
	for _, o := range openings[2:] {
		if foldPrefix(head, o) {
			return true
		}
	}
	return false
}

// pairs are two header names that make a file mail where the first starts a
// line within the first places bytes, and the second starts one within gap
// bytes after. The places and the gaps are ClamAV's, and so is it that MHTML
// wins over mail.
var pairs = [...]struct {
	first, second string
	places, gap   int
	t             Type
}{
	{"mime-version: ", "content-type: ", 1024, 1024, MHTML},
	{"from: ", "mime-version: ", 1024, 1024, Mail},
	{"from: ", "content-type: ", 1024, 2048, Mail},
	{"mime-version: ", "content-type: ", 1024, 2048, Mail},
	{"message-id: ", "content-type: ", 1024, 1024, Mail},
	{"received: ", "content-type: ", 2048, 2048, Mail},
	{"delivered-to: ", "received: ", 1024, 256, Mail},
}

// mailType tells mail and MHTML by header names at the starts of lines: a
// mail that starts with none of openings.
func mailType(head []byte) Type {
	w := head[:min(len(head), 8<<10)]
	if foldPrefix(w, "mime-version: ") {
		if i := line(w, "content-type: ", 0); i >= 0 && i <= 2048 {
			return MHTML
		}
	}
	rest := pairs[:]
	if !hasFirst(w) {
		rest = nil
	}
	for _, p := range rest {
		for i := line(w, p.first, 0); i >= 0 && i <= p.places; i = line(w, p.first, i+1) {
			from := i + len(p.first)
			if j := line(w, p.second, from); j >= 0 && j <= from+1+p.gap {
				return p.t
			}
		}
	}
	if headerBlock(w) {
		return Mail
	}
	return Unknown
}

// hasFirst tells whether a line, but for the first, starts with the first of some
// pair: most texts have none, and are gone through once.
func hasFirst(w []byte) bool {
	for {
		i := bytes.IndexByte(w, '\n')
		if i < 0 || i+1 == len(w) {
			return false
		}
		w = w[i+1:]
		switch w[0] | 0x20 {
		case 'm', 'f', 'r', 'd':
			for i := range pairs {
				if foldPrefix(w, pairs[i].first) {
					return true
				}
			}
		}
	}
}

// line returns the place of the line end before a line, at from or later, that
// starts with the lower-case s in any letter case, or -1.
func line(w []byte, s string, from int) int {
	for from < len(w) {
		i := bytes.IndexByte(w[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i
		if foldPrefix(w[from+1:], s) {
			return from
		}
		from++
	}
	return -1
}

// LooksMail tells whether b, the start of a text, is mail or a mailbox.
func LooksMail(b []byte) bool { return hasMailPrefix(b) || mailType(b) != Unknown }

// strong are header names that next to nothing but mail has.
var strong = [...]string{"from:", "received:", "return-path:", "message-id:", "delivered-to:", "dkim-signature:", "mime-version:", "x-mailer:", "envelope-to:"}

// weak are header names that mail has, and other texts too.
var weak = [...]string{"to:", "cc:", "subject:", "date:", "content-type:", "content-transfer-encoding:", "reply-to:", "sender:"}

// headerBlock tells whether the text starts with a block of header lines
// (RFC 5322, section 2.2) of which three or more are mail's and one is strong.
// Attackers leave out the names that scanners look for first; ClamAV has
// nothing like this.
func headerBlock(w []byte) bool {
	firm, all := 0, 0
	for n := 0; n < 100 && len(w) > 0; n++ {
		l := w
		if i := bytes.IndexByte(w, '\n'); i >= 0 {
			l, w = w[:i], w[i+1:]
		} else {
			w = nil
		}
		if len(bytes.TrimRight(l, "\r")) == 0 {
			break
		}
		if n > 0 && (l[0] == ' ' || l[0] == '\t') {
			continue
		}
		if !headerLine(l) {
			return false
		}
		for _, s := range strong {
			if foldPrefix(l, s) {
				firm, all = firm+1, all+1
			}
		}
		for _, s := range weak {
			if foldPrefix(l, s) {
				all++
			}
		}
	}
	return firm > 0 && all >= 3
}

// headerLine tells whether l is a field name, a colon and anything.
func headerLine(l []byte) bool {
	i := bytes.IndexByte(l, ':')
	if i < 1 || i > 76 {
		return false
	}
	for _, c := range l[:i] {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

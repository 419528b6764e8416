package document

import (
	"bytes"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// fieldWeight tells how much a header field speaks for a mail: 2 for a field
// that hardly occurs elsewhere, 1 for one that does.
func fieldWeight(name string) int {
	switch name {
	case "content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description",
		"mime-version", "received", "x-received", "return-path", "message-id", "delivered-to", "x-original-to",
		"envelope-to", "delivery-date", "x-delivered-to", "x-apparently-to", "dkim-signature", "domainkey-signature", "in-reply-to",
		"x-mailer", "x-originating-ip", "authentication-results", "arc-seal", "arc-message-signature",
		"arc-authentication-results", "received-spf", "thread-topic", "thread-index", "list-unsubscribe", "list-id", "reply-to", "errors-to",
		"newsgroups", "x-mozilla-status", "x-mozilla-keys", "x-gmail-labels", "x-gm-thrid", "x-uidl", "x-spam-status", "x-spam-flag",
		"x-virus-scanned", "x-ms-has-attach", "x-priority", "disposition-notification-to", "return-receipt-to", "autocrypt":
		return 2
	case "from", "to", "cc", "bcc", "subject", "date", "sender", "references", "user-agent", "organization",
		"comments", "keywords", "resent-from", "resent-to", "resent-date", "importance", "precedence", "status", "x-status", "path", "lines":
		return 1
	}
	return 0
}

// skipLead cuts what may stand before a mail: a byte order mark, empty lines.
func skipLead(head []byte) []byte {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	return bytes.TrimLeft(head, " \t\r\n\x00")
}

// cutLine returns the first line of b without its end (LF, CR or CRLF), and the rest.
func cutLine(b []byte) (ln, rest []byte) {
	i := lineEnd(b[:min(len(b), 4096)])
	if i < 0 {
		if i = lineEnd(b); i < 0 {
			return b, nil
		}
	}
	ln, rest = b[:i], b[i+1:]
	if b[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return ln, rest
}

// lineEnd returns where the first line of b ends, -1 if it does not.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// splitter cuts lines as cutLine does, and looks at no byte more often than needed.
type splitter struct {
	b      []byte
	lf, cr int // where the next ones are; before the start of b: not known
}

// cut returns the first line.
func (l *splitter) cut() []byte {
	if l.lf < 0 {
		l.lf = place(l.b, '\n')
	}
	if l.cr < 0 {
		l.cr = place(l.b, '\r')
	}
	i := min(l.lf, l.cr)
	ln := l.b[:i]
	if i < len(l.b) {
		if l.cr == i && l.lf == i+1 && l.lf < len(l.b) {
			i++
		}
		i++
	}
	l.b, l.lf, l.cr = l.b[i:], l.lf-i, l.cr-i
	return ln
}

// place returns where c is, the end of b if nowhere.
func place(b []byte, c byte) int {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return i
	}
	return len(b)
}

// looksMail tells whether a layer that starts with head is read as Mail or as
// a mailbox whose first mail has a date or a header. src is for its type, and may be nil.
func looksMail(head []byte, src showcause.Source) bool {
	return isMbox(head) || !opensMbox(head) && readAsMail(head, src, func() filetype.Type { return filetype.Detect(head, src) })
}

// holds tells whether a layer of the type is an archive or compressed, so that
// what its head has of mail and text stands in a member, and is read there.
func holds(t filetype.Type) bool {
	switch s := t.String(); s {
	case "zip", "crx", "tar", "tar-old", "ar", "gzip", "bzip2", "xz", "lzma", "zstd", "lz4":
		return true
	default:
		return strings.HasPrefix(s, "ooxml-") || strings.HasPrefix(s, "cpio-")
	}
}

// onVHD tells whether a dynamic VHD ends as it begins: mails are files on its disk (image.VHD).
func onVHD(head []byte, src showcause.Source) bool {
	return len(head) >= 512 && string(head[:8]) == "conectix" && head[63] == 3 && src != nil && bytes.Equal(bound.Head(bound.Section(src, src.Size()-512, -1), 512), head[:512])
}

// readAsMail tells whether a layer that is no mailbox is read as a mail: its
// first line is a header's, or it is no archive and something in its head
// speaks for a mail.
func readAsMail(head []byte, src showcause.Source, kind func() filetype.Type) bool {
	switch judgeHead(head) {
	case cleanMail:
		return true
	case oddMail, markedMail:
		return !holds(kind()) && !onVHD(head, src)
	}
	if t := kind(); t == filetype.Mail || t == filetype.MHTML {
		return true
	}
	if filetype.LooksMail(head) && bytes.IndexByte(head[:min(len(head), 1024)], 0) < 0 {
		b := skipLead(head)
		return !bytes.HasPrefix(b, fromWord) && !bytes.HasPrefix(b, []byte(">From ")) && !holds(kind())
	}
	return src != nil && longName(head, src)
}

// likeness is how much a head is like a mail's.
type likeness uint8

const (
	noMail     likeness = iota
	markedMail          // prose, but before its first empty line a field says how to decode what follows; or nothing but unknown fields
	oddMail             // a header, the first name of which has foreign bytes in it
	cleanMail           // a header from the first line on
)

// isMail tells whether head starts with a mail's header.
func isMail(head []byte) bool { return judgeHead(head) >= oddMail }

// isField tells whether a line is a header field to some reader: a name of
// any printing characters (RFC 5322 section 3.6.8), of any length, of none
// even, and a colon; or one that fieldName takes.
func isField(t []byte) (name string, odd, ok bool) {
	if name, odd = fieldName(t); name != "" {
		return name, odd, true
	}
	i := nameEnd(t)
	return "", false, i < len(t) && t[i] == ':'
}

// decides tells whether a field says how what follows is to be decoded.
func decides(name string, t []byte) bool {
	switch name {
	case "content-transfer-encoding":
		return true
	case "content-type":
		v := t[bytes.IndexByte(t, ':')+1:]
		m := mediaType(v[:min(len(v), 4096)])
		return m == "" || strings.HasPrefix(m, "multipart") || strings.HasPrefix(m, "message/")
	}
	return false
}

// judgeHead judges the first bytes of a layer. They are a mail's where there
// are fields from the first line on, with one that hardly any other text has, or two
// that mails have, or one that is alone. Where all of them are fields that
// nobody knows, what decides may come behind.
func judgeHead(head []byte) likeness {
	like, _ := judge(head)
	return like
}

// judge is judgeHead, and where the line ends that decided, the end of head for none.
func judge(head []byte) (like likeness, at int) {
	full := len(head) >= unpack.HeadSize
	b := skipLead(head)
	like = cleanMail
	weight, fields, junk, first := 0, 0, 0, 0
	lead := len(b) < len(head) && strings.IndexByte(" \t", head[len(head)-len(b)-1]) >= 0
	for rest := (splitter{b, -1, -1}); len(rest.b) > 0; {
		ln := rest.cut()
		if len(ln) == 0 {
			full = false
			break
		}
		if full && len(rest.b) == 0 && fields > 0 {
			break // it may go on behind the head
		}
		if ln[0] == ' ' || ln[0] == '\t' {
			continue
		}
		if bytes.HasPrefix(ln, []byte("From ")) || bytes.HasPrefix(ln, []byte(">From ")) {
			if fields == 0 && junk < 4 {
				junk++
				continue
			}
		}
		if like == markedMail && bytes.IndexByte(ln[:min(len(ln), maxFieldName)], ':') < 0 {
			continue // no other line is looked for any more
		}
		name, odd, ok := isField(ln)
		if !ok {
			if lead {
				lead = false // the continuation of a field that is not there
				continue
			}
			// A line out of place among fields. Before them it is another kind of text.
			if junk++; fields == 0 || junk > 8 {
				like, fields = markedMail, max(fields, 1)
			}
			continue
		}
		lead = false
		n := fieldWeight(name)
		if fields == 0 {
			first = n
			if odd && like == cleanMail {
				like = oddMail
			}
		}
		if decides(name, ln) {
			return like, len(head) - len(rest.b)
		}
		fields++
		if weight += n; weight >= 2 && like > markedMail {
			return like, len(head) - len(rest.b)
		}
	}
	switch {
	case like == markedMail || junk > 0 || fields == 0:
		return noMail, len(head)
	case first > 0:
		return like, len(head)
	case full:
		return markedMail, len(head)
	}
	return noMail, len(head)
}

// elsewhere tells whether the header that a head has stands in what another format
// gave as a child: a file in the image of a file system.
func elsewhere(head []byte, size int64, given []unpack.Span) bool {
	like, at := judge(head)
	if like != markedMail && like != oddMail || at == len(head) {
		return false
	}
	return slices.ContainsFunc(given, func(s unpack.Span) bool { return s.From < int64(at) && int64(at) <= s.To && s.To-s.From < size })
}

// maxLongName is how far the end of a first name is looked for, bytes.
const maxLongName = 128 << 10

// longName tells whether a layer starts with a field name that is longer than
// head. One whose end is not found may be one.
func longName(head []byte, src showcause.Source) bool {
	if len(head) < unpack.HeadSize {
		return false
	}
	b := skipLead(head)
	if nameEnd(b) < len(b) {
		return false // judged already
	}
	b = bound.Head(bound.Section(src, int64(len(head)), -1), maxLongName)
	if i := nameEnd(b); i < len(b) {
		return b[i] == ':'
	}
	return int64(len(head)+len(b)) < src.Size() && bytes.ContainsAny(head[:1024], "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// nameEnd returns where the characters that a field name may have end.
func nameEnd(b []byte) int {
	for i, c := range b {
		if c <= ' ' || c > '~' || c == ':' {
			return i
		}
	}
	return len(b)
}

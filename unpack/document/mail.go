package document

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Mail returns the format of one mail: RFC 5322 with MIME. Its Ops are
// "mime.7bit", "mime.8bit", "mime.binary", "mime.unknown" (an encoding that
// is not known: the bytes as they stand), "mime.base64",
// "mime.quoted-printable", "mime.uuencode", "mime.yenc", "mime.pkcs7" (the
// content of an opaque S/MIME signature). With ".multipart" or ".message" after it, the
// part is handed over with a header line before its bytes, so that it
// is read as a mail, and offsets are those of the whole.
func Mail() unpack.Format {
	return unpack.Format{
		Name: "mime",
		Match: func(p *unpack.Probe) bool {
			return looksMail(p.Head) && !isMbox(p.Head)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			w := &mailWalk{src: src, out: out, given: map[partKey]struct{}{}}
			w.walk()
		},
	}
}

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
	i := bytes.IndexAny(b[:min(len(b), 4096)], "\r\n")
	if i < 0 {
		if i = bytes.IndexAny(b, "\r\n"); i < 0 {
			return b, nil
		}
	}
	ln, rest = b[:i], b[i+1:]
	if b[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return ln, rest
}

// looksMail tells whether Match of Mail or Mbox takes a layer that starts with head.
func looksMail(head []byte) bool {
	if isMail(head) || isMbox(head) {
		return true
	}
	b := skipLead(head)
	if bytes.HasPrefix(b, fromWord) || bytes.HasPrefix(b, []byte(">From ")) {
		return false // prose
	}
	return filetype.LooksMail(head) && bytes.IndexByte(head[:min(len(head), 1024)], 0) < 0
}

// isMail tells whether head starts with a mail's header: fields from its first
// line on, with one that hardly any other text has, or two that mails have, or one that is alone.
func isMail(head []byte) bool {
	full := len(head) >= unpack.HeadSize
	b := skipLead(head)
	weight, fields, junk, first := 0, 0, 0, 0
	for len(b) > 0 {
		var ln []byte
		ln, b = cutLine(b)
		if len(ln) == 0 {
			full = false
			break
		}
		if ln[0] == ' ' || ln[0] == '\t' {
			if blank(ln) {
				full = false
				break
			}
			continue
		}
		if bytes.HasPrefix(ln, []byte("From ")) || bytes.HasPrefix(ln, []byte(">From ")) {
			if fields == 0 && junk < 4 {
				junk++
				continue
			}
		}
		name, _ := fieldName(ln)
		if name == "" || fields == 0 && !word(name) {
			// A line out of place among fields. Before them it is another kind of text.
			if junk++; fields == 0 || junk > 8 {
				break
			}
			continue
		}
		n := fieldWeight(name)
		if fields == 0 {
			first = n
		}
		fields++
		if weight += n; weight >= 2 {
			return true
		}
	}
	return junk == 0 && (first > 0 || full && fields > 0)
}

// word tells whether a field's name has only the characters that names have in practice.
func word(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// partKey identifies what was given to out already, over all readings.
type partKey struct {
	start, end int64
	how        uint32
}

// needs says which further readings a pass found to be needed.
type needs struct {
	picks   int  // readings of a multipart's boundary
	lax     bool // any line that may be a delimiter
	any     bool // CR ends lines
	crlf    bool // LF alone ends no line
	undone  bool // more readings than are tried
	unended bool // a multipart that is not closed
}

// mailWalk reads one mail.
type mailWalk struct {
	src   showcause.Source
	out   *unpack.Out
	given map[partKey]struct{}
	noted map[showcause.Code]struct{}
	need  needs
	again bool // this is not the first reading
	fresh bool // this reading gave something new
	done  bool // limits are spent
	free  [][]byte
}

// policy is one reading of a mail's structure.
type policy struct {
	eol  eolMode
	pick int  // which boundary of several
	lax  bool // every line that any reader could take for a delimiter is one
}

// walk makes one pass for each reading that is needed.
func (w *mailWalk) walk() {
	modes := []eolMode{eolLF}
	for i := 0; i < len(modes) && !w.done; i++ {
		mode := modes[i]
		w.need = needs{}
		w.pass(policy{eol: mode}, "ambiguous.mime.line-end")
		if mode == eolLF {
			if w.need.any {
				modes = append(modes, eolAny)
			}
			if w.need.crlf {
				modes = append(modes, eolCRLF)
			}
			if w.need.unended {
				w.note("ambiguous.mime.unclosed", 0, w.src.Size())
			}
		}
		for k := 1; k < min(w.need.picks, maxBoundaries) && !w.done; k++ {
			w.pass(policy{eol: mode, pick: k}, "ambiguous.mime.boundary")
		}
		if w.need.lax && !w.done {
			w.pass(policy{eol: mode, lax: true}, "ambiguous.mime.structure")
		}
		if w.need.picks > maxBoundaries || w.need.undone {
			w.note("unsupported.method.mime-readings", 0, w.src.Size())
		}
	}
}

// pass reads the mail once. A pass after the first that gives something new is noted.
func (w *mailWalk) pass(pol policy, code showcause.Code) {
	w.fresh = false
	buf := w.take()
	p := &mailPass{mailWalk: w, pol: pol, in: newLines(w.src, 0, w.src.Size(), pol.eol, buf)}
	p.run()
	w.give(buf)
	if p.in.err != nil && !w.again {
		w.out.Gap(showcause.Unreadable, p.in.end, w.src.Size()-p.in.end)
	}
	if w.again && w.fresh {
		w.note(code, 0, w.src.Size())
	}
	w.again = true
}

// note makes a gap once for each code.
func (w *mailWalk) note(code showcause.Code, off, n int64) {
	if _, ok := w.noted[code]; ok {
		return
	}
	if w.noted == nil {
		w.noted = map[showcause.Code]struct{}{}
	}
	w.noted[code] = struct{}{}
	w.out.Gap(code, off, n)
}

// first tells whether a part is given for the first time, and remembers it.
func (w *mailWalk) first(k partKey) bool {
	if _, ok := w.given[k]; ok {
		return false
	}
	w.given[k] = struct{}{}
	w.fresh = true
	return true
}

// child hands a child over.
func (w *mailWalk) child(c unpack.Child) {
	if !w.done && !w.out.Child(c) {
		w.done = true
	}
}

// lineSteps is what a line of a mail costs in steps, about.
const lineSteps = 32

// work charges n lines or what costs as much.
func (w *mailWalk) work(n int64) {
	if !w.done && !w.out.Work(lineSteps*n) {
		w.done = true
	}
}

// take returns a buffer of lineBuffer bytes, or of what the source has if that
// is less; give returns it.
func (w *mailWalk) take() []byte {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return make([]byte, min(max(w.src.Size(), 1<<10), lineBuffer))
}

func (w *mailWalk) give(b []byte) { w.free = append(w.free, b) }

// head returns the first bytes of [start, end), in buf.
func (w *mailWalk) head(start, end int64, buf []byte) []byte {
	n, _ := bound.Reader(w.src, start, end-start).ReadAt(buf[:min(int64(len(buf)), max(end-start, 0))], 0)
	return buf[:max(n, 0)]
}

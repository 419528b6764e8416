package document

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/password"
)

// minPlain is the size in bytes below which a part that is not encoded is no
// child: its bytes stand in the mail, and no format is that short.
const minPlain = 8

// part is a body with its header.
type part struct {
	*header
	start, end int64
	eol        eolMode
	mail       bool   // it is a mail by its type
	prefix     string // it is read as a mail with this before it
	label      string // name, once worked out
}

// leaf hands a part over in every transfer encoding that it may have.
func (w *mailWalk) leaf(p *part) {
	w.work(1)
	if w.done || p.end <= p.start {
		return
	}
	if p.deep {
		// More nesting than one pass follows: a mail of its own, header and all.
		p.start, p.mail = p.off, true
		w.plain(p, as7bit)
		return
	}
	p.label = p.name()
	ms := p.encodings()
	if len(ms) > 1 || p.contradicts("content-transfer-encoding") {
		w.note("ambiguous.mime.encoding", p.start, p.end-p.start)
	}
	for _, m := range ms {
		switch {
		case m.plain():
			if m == asUnknown {
				w.note("ambiguous.mime.encoding", p.start, p.end-p.start)
			}
			w.plain(p, m)
		case m == asUU || m == asYEnc:
			if !w.blocks(p.start, p.end, p.eol, blockOps{uu: "mime.uuencode", yenc: "mime.yenc", name: p.label, all: m == asUU}) {
				w.plain(p, asUnknown)
			}
		default:
			w.decoded(p, m)
		}
	}
	w.charset(p, ms)
	w.judge(p)
}

// howPlain and so on tell the ways apart in which one stretch is handed over.
const (
	howPlain uint32 = iota
	howDecoded
	howBlock = howDecoded + uint32(methods)
	howCMS   = 1 << 8

	howCharset = 1 << 9
)

// plain hands a part over as its bytes stand, and what is encoded inside it.
func (w *mailWalk) plain(p *part, m method) {
	if p.end-p.start < minPlain && !p.mail {
		if p.isText() { // it may be a password all the same
			w.hear(w.head(p.start, p.end, make([]byte, minPlain)))
		}
		return
	}
	if !w.first(partKey{p.start, p.end, howPlain}) {
		return
	}
	buf := w.take()
	defer w.give(buf)
	head := w.head(p.start, p.end, buf)
	op, src := methodOps[m], bound.Section(w.src, p.start, p.end-p.start)
	known := looksMail(head, src)
	uu := !known && readAsUU(head, src, filetype.Detect(head, src))
	if p.mail && !known {
		op, src, known = op+".message", &joined{[]byte(mailPrefix), src}, true
	}
	if src.Size() == w.src.Size() {
		known, uu = false, false // the layer itself, under a boundary that never comes: it is being read
	} else {
		w.out.Cover(p.start, p.end-p.start)
		w.child(unpack.Child{Name: p.label, Op: op, Source: src, Size: src.Size()})
	}
	if known {
		return // read there
	}
	if w.work(16); p.isText() && !w.done {
		w.hear(w.head(p.start, p.end, make([]byte, min(p.end-p.start, password.MaxText))))
	}
	ops := mailBlocks
	if uu {
		ops.uu, ops.yenc = "", "" // read there
	}
	w.blocks(p.start, p.end, p.eol, ops)
}

// mailPrefix makes any bytes match as a mail without changing what they mean as one.
const mailPrefix = "MIME-Version: 1.0\r\n"

// joined is a Source with bytes before another.
type joined struct {
	head []byte
	src  showcause.Source
}

func (j *joined) Size() int64 { return int64(len(j.head)) + j.src.Size() }

func (j *joined) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off >= 0 && off < int64(len(j.head)) {
		if n = copy(p, j.head[off:]); n == len(p) {
			return n, nil
		}
		off += int64(n)
	}
	m, err := j.src.ReadAt(p[n:], off-int64(len(j.head)))
	return n + m, err
}

// decoded hands a part over decoded, in each reading that its bytes call for.
func (w *mailWalk) decoded(p *part, m method) {
	if !w.first(partKey{p.start, p.end, howDecoded + uint32(m)}) {
		return
	}
	if p.mail && p.prefix == "" && !w.decodesToMail(p, m) {
		p.prefix = mailPrefix
	}
	off, n := p.start, p.end-p.start
	if m == asQuoted {
		d := w.decode(p, m, &mailcode.Quoted{})
		if d.Saw()&mailcode.SawEscape != 0 {
			w.note("ambiguous.mime.quoted-printable", off, n)
			w.decode(p, m, &mailcode.Quoted{Drop: true})
		}
		w.sniff(p, d.Head())
		w.blocks(p.start, p.end, p.eol, blockOps{armour: true})
		return
	}
	d := w.decode(p, m, &mailcode.Base64{})
	if d.Saw()&mailcode.SawPadding != 0 {
		w.note("ambiguous.mime.padding", off, n)
		w.decode(p, m, &mailcode.Base64{Pad: mailcode.PadEnds})
		w.decode(p, m, &mailcode.Base64{Pad: mailcode.PadIsJunk})
	}
	if d.Saw()&mailcode.SawURL != 0 {
		w.decode(p, m, &mailcode.Base64{URL: true})
	}
	if d.Saw()&mailcode.SawJunk != 0 {
		w.note("ambiguous.mime.base64", off, n)
		w.plain(p, asUnknown)
	}
	w.sniff(p, d.Head())
}

// decode hands over one reading of a part.
func (w *mailWalk) decode(p *part, m method, c mailcode.Coding) *mailcode.Reader {
	buf := w.take()
	defer w.give(buf)
	d := mailcode.NewReader(bound.Reader(w.src, p.start, p.end-p.start), c, buf)
	op, in := methodOps[m], io.Reader(d)
	if p.prefix != "" {
		op += ".message"
		if p.prefix != mailPrefix {
			op = methodOps[m] + ".multipart"
		}
		in = io.MultiReader(strings.NewReader(p.prefix), d)
	}
	text := &firstBytes{r: in}
	if p.isText() {
		in = text
	}
	w.child(unpack.Child{Name: p.label, Op: op, Reader: in, Size: -1})
	w.hear(text.b)
	return d
}

// isText tells whether a part is a text that a person reads, as far as its type says.
func (p *part) isText() bool {
	types := p.types()
	return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, "text/") })
}

// hear looks for passwords in a text. They are tried on what stands behind it.
func (w *mailWalk) hear(text []byte) {
	w.out.Listen(text, password.Text)
}

// firstBytes keeps the first bytes of what is read.
type firstBytes struct {
	r io.Reader
	b []byte
}

// Read implements io.Reader.
func (f *firstBytes) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.b = append(f.b, p[:min(n, password.MaxText-len(f.b))]...)
	return n, err
}

// decodesToMail tells whether a part that is said to be a mail is seen to be one when decoded.
func (w *mailWalk) decodesToMail(p *part, m method) bool {
	buf, head := w.take(), w.take()
	defer w.give(buf)
	defer w.give(head)
	var c mailcode.Coding = &mailcode.Base64{}
	if m == asQuoted {
		c = &mailcode.Quoted{}
	}
	n, _ := io.ReadFull(mailcode.NewReader(bound.Reader(w.src, p.start, p.end-p.start), c, buf), head)
	return looksMail(head[:n], nil)
}

// multipart ends a multipart: one that is encoded itself, though that is
// forbidden (RFC 2045 section 6.4), is handed over decoded.
func (w *mailWalk) multipart(l *level, end int64, eol eolMode) {
	p := &part{header: &l.head, start: l.start, end: end, eol: eol}
	if l.head.typed("multipart/encrypted") && w.first(partKey{p.start, p.end, howBlock}) {
		w.out.Gap(showcause.Encrypted, l.start, end-l.start)
	}
	for _, m := range l.head.encodings() {
		if m != asBase64 && m != asQuoted {
			continue
		}
		if l.parts > 0 {
			w.note("ambiguous.mime.encoding", l.start, end-l.start)
			if m == asQuoted {
				continue // the delimiters stand as they are: nothing is encoded as a whole
			}
		}
		var b strings.Builder
		for _, f := range l.head.fields {
			if f.name == "content-type" {
				b.WriteString("Content-Type:")
				b.WriteString(strings.ReplaceAll(string(f.value), "\n", "\r\n"))
				b.WriteString("\r\n")
			}
		}
		p.prefix = b.String() + "\r\n"
		w.decoded(p, m)
	}
}

// judge says what a part is said to hold that is not read.
func (w *mailWalk) judge(p *part) {
	off, n := p.start, p.end-p.start
	for _, t := range p.types() {
		code := showcause.Code("")
		switch {
		case t == "message/partial":
			code = "unsupported.method.message-partial"
		case t == "message/external-body":
			code = "unsupported.method.message-external-body"
		case strings.Contains(t, "pkcs7-mime"):
			if ms := p.encodings(); ms[0].plain() {
				var b [mailcode.HeadSize]byte
				w.sniff(p, w.head(p.start, p.end, b[:]))
			}
		}
		if code != "" {
			w.note(code, off, n)
		}
	}
}

var armour = []byte("-----BEGIN PGP MESSAGE")

// sniff judges a part by the first bytes of its content.
func (w *mailWalk) sniff(p *part, head []byte) {
	if bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), armour) {
		w.out.Gap(showcause.Encrypted, p.start, p.end-p.start)
		return
	}
	if p.typed("application/pkcs7-mime") || p.typed("application/x-pkcs7-mime") || strings.HasSuffix(strings.ToLower(p.label), ".p7m") {
		w.cms(p, head)
	}
}

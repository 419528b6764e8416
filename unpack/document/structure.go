package document

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/password"
)

const (
	// maxOpen is how many multiparts inside each other are followed in one
	// pass; one inside them is a child that is read as a mail of its own.
	maxOpen = 64
	// maxKnown is how many boundaries of one mail are remembered.
	maxKnown = 1 << 16
	// recent is how many of the last boundaries are tried as beginnings of a
	// longer line.
	recent = 16
)

// level is one open multipart.
type level struct {
	boundary string
	head     header
	start    int64 // of its body
	parts    int
	digest   bool // parts without a type are mails
}

// state says what the lines belong to.
type state uint8

const (
	inHeader  state = iota
	inBody          // of a leaf
	inBetween       // preamble, epilogue
)

// mailPass is one pass over a mail.
type mailPass struct {
	*mailWalk
	pol   policy
	in    lines
	open  []level
	known map[string]struct{} // all boundaries so far
	last  []string            // the last few of them

	state state
	head  header
	start int64 // of the body, or of what is between
	tail  int64 // end of the last line, without its line end

	dashes  int64 // where a line starts with "--" that is no delimiter, or -1
	before  int64 // tail at that place
	crlf    bool  // the first header line ended in CRLF
	headers int64 // header lines so far
	lf      bool  // the line before ended in LF alone
	cr      [2]byte
	pending int64 // lines not charged yet
}

func (p *mailPass) run() {
	p.dashes = -1
	p.start = p.lead()
	p.head = header{off: p.start}
	for !p.done {
		ln, ok := p.in.next()
		if !ok {
			break
		}
		p.charge()
		if ln.first {
			p.line(&ln)
		} else if p.state == inHeader {
			p.head.more(ln.text, false)
		}
		p.bareCR(ln.text, ln.last)
		p.tail = ln.off + int64(len(ln.text))
		if ln.last {
			p.lf = !ln.crlf && !ln.eof
		}
	}
	if p.done {
		return
	}
	if p.state == inHeader {
		p.endHeader(p.in.end)
	}
	p.endPart(p.in.end)
	if len(p.open) > 0 {
		p.need.unended = true
	}
	p.close(0, p.in.end)
}

// charge counts lines and bytes as work now and then.
func (p *mailPass) charge() {
	if p.pending++; p.pending >= 256 || p.in.fills > 0 {
		p.work(p.pending + p.in.fills>>8)
		p.pending, p.in.fills = 0, 0
	}
}

// lead returns where the header starts: after a byte order mark and empty lines.
func (p *mailPass) lead() int64 {
	buf := p.take()
	defer p.give(buf)
	head := p.mailWalk.head(0, p.src.Size(), buf)
	off := int64(len(head) - len(skipLead(head)))
	p.in = newLines(p.src, off, p.src.Size(), p.pol.eol, p.in.buf)
	return off
}

// bareCR looks for a CR that some readers take for a line end, where that would matter:
// in a header, and before what may be a delimiter.
func (p *mailPass) bareCR(t []byte, last bool) {
	if p.pol.eol == eolAny || p.need.any {
		return
	}
	if p.state == inHeader {
		p.need.any = bytes.IndexByte(t, '\r') >= 0
		return
	}
	if p.cr[0] == '\r' && len(t) > 1 && t[0] == '-' && t[1] == '-' || p.cr[1] == '\r' && len(t) > 0 && t[0] == '-' {
		p.need.any = true
	}
	for i := 0; i < len(t); i++ {
		j := bytes.IndexByte(t[i:], '\r')
		if j < 0 {
			break
		}
		i += j
		if bytes.HasPrefix(t[i+1:], []byte("--")) {
			p.need.any = true
			return
		}
	}
	p.cr = [2]byte{}
	if n := len(t); !last && n > 1 {
		if t[n-1] == '\r' {
			p.cr[0] = '\r'
		} else if t[n-2] == '\r' && t[n-1] == '-' {
			p.cr[1] = '\r'
		}
	}
}

// line takes the beginning of a line.
func (p *mailPass) line(ln *line) {
	t := ln.text
	if len(t) >= 2 && t[0] == '-' && t[1] == '-' && p.delimiter(ln) {
		return
	}
	if p.state == inHeader {
		p.headerLine(ln)
		return
	}
	if p.state == inBody && ln.off == p.start && p.head.seen == 0 && !p.pol.lax && hasFold(t, "content-") {
		p.need.lax = true // a header after an empty line
	}
	if p.dashes >= 0 && ln.off != p.dashes {
		if hasFold(t, "content-") && bytes.IndexByte(t, ':') > 0 && !p.inMail() {
			p.undeclared(ln)
		}
		p.dashes = -1
	}
}

// inMail tells whether the lines belong to a part that is a mail itself: its
// delimiters are looked for when that is read.
func (p *mailPass) inMail() bool {
	return p.state == inBody && (p.head.deep || p.head.isMail(p.digest()))
}

// digest tells whether parts without a type are mails here.
func (p *mailPass) digest() bool {
	return len(p.open) > 0 && p.open[len(p.open)-1].digest
}

// undeclared handles a line "--anything" that a Content-* field follows: to
// some readers, and in every mail whose boundary is not given, that is a delimiter.
func (p *mailPass) undeclared(ln *line) {
	if !p.pol.lax {
		p.need.lax = true
		return
	}
	p.endPart(p.before)
	p.state, p.head, p.start = inHeader, header{off: ln.off}, ln.off
	p.headerLine(ln)
}

// delimiter tells whether the line is a delimiter, and if so ends what it ends.
func (p *mailPass) delimiter(ln *line) bool {
	t := string(bytes.TrimRight(ln.text[2:], " \t\r\x00"))
	at, closing, ok := p.find(t)
	if !ok {
		p.dashes, p.before = ln.off, p.tail
		return false
	}
	if p.lf && p.crlf && p.pol.eol != eolCRLF || !ln.crlf && !ln.eof && p.crlf {
		p.need.crlf = true
	}
	p.dashes = -1
	if p.state == inHeader {
		p.endHeader(ln.off)
	}
	p.endPart(p.tail)
	if p.pol.lax {
		p.state = inBetween
	} else {
		p.close(at+1, p.tail)
		p.open[at].parts++
		if closing {
			p.close(at, p.tail)
		}
	}
	p.start = ln.next
	p.state = inHeader
	if closing {
		p.state = inBetween
	}
	p.head = header{off: ln.next}
	return true
}

// find looks a line without its "--" up among the boundaries.
func (p *mailPass) find(t string) (at int, closing, ok bool) {
	bare, dashed := strings.CutSuffix(t, "--")
	if dashed {
		bare = strings.TrimRight(bare, " \t")
	}
	if p.pol.lax {
		if _, ok = p.known[t]; ok {
			return 0, false, true
		}
		if _, ok = p.known[bare]; ok && dashed {
			return 0, true, true
		}
		for _, b := range p.last {
			if b != "" && strings.HasPrefix(t, b) {
				return 0, false, true
			}
		}
		return 0, false, false
	}
	for i := len(p.open) - 1; i >= 0; i-- {
		if p.open[i].boundary == t {
			return i, false, true
		}
	}
	if dashed {
		for i := len(p.open) - 1; i >= 0; i-- {
			if p.open[i].boundary == bare {
				return i, true, true
			}
		}
	}
	p.suspect(t, bare)
	return 0, false, false
}

// suspect asks for the lax reading where a line would be a delimiter in it.
func (p *mailPass) suspect(t, bare string) {
	if p.need.lax || p.state == inBody && p.head.deep {
		return
	}
	_, whole := p.known[t]
	_, cut := p.known[bare]
	p.need.lax = whole || cut && p.state != inBetween
	for _, b := range p.last {
		if b != "" && strings.HasPrefix(t, b) && t != b+"--" {
			p.need.lax = true
		}
	}
}

// headerLine takes a line of a header.
func (p *mailPass) headerLine(ln *line) {
	t := ln.text
	if ln.crlf && p.headers == 0 {
		p.crlf = true
	}
	p.headers++
	if !ln.crlf && p.crlf && !ln.eof {
		p.need.crlf = true
	}
	if len(t) == 0 {
		if !p.pol.lax || p.head.seen > 0 {
			p.endHeader(ln.next)
		}
		return
	}
	if t[0] == ' ' || t[0] == '\t' {
		if !blank(t) {
			if p.head.seen == 0 {
				p.need.lax = true
			}
			p.head.more(t, true)
			return
		}
		// A fold of nothing (RFC 5322 section 4.2), or the end of the header.
		if !p.pol.lax {
			p.need.lax = true
			return
		}
		p.endHeader(ln.next)
		return
	}
	name, odd := fieldName(t)
	if name == "subject" && !p.again {
		p.out.Listen(t[min(len("subject:"), len(t)):], password.Subject)
	}
	if name != "" {
		p.head.add(name, t[min(bytes.IndexByte(t, ':')+1, len(t)):], odd)
		return
	}
	p.head.open = false
	if p.head.seen == 0 && (bytes.HasPrefix(t, []byte("From ")) || bytes.HasPrefix(t, []byte(">From "))) {
		return
	}
	// No field: to some readers the body starts here.
	if !p.pol.lax {
		p.need.lax = true
		return
	}
	p.endHeader(ln.off)
	if hasFold(t, "--") {
		p.dashes, p.before = ln.off, p.tail
	}
}

// endHeader ends the header; the body starts at off.
func (p *mailPass) endHeader(off int64) {
	h := &p.head
	p.state, p.start, p.tail = inBody, off, off
	p.work(int64(h.size) >> 4)
	if h.odd {
		p.note("ambiguous.mime.header", h.off, off-h.off)
	}
	if h.cut {
		p.note(showcause.LimitSize, h.off, off-h.off)
	}
	if h.contradicts("content-type") {
		p.note("ambiguous.mime.type", h.off, off-h.off)
	}
	rs := h.readings()
	p.need.picks = max(p.need.picks, len(rs))
	for _, r := range rs {
		if !r.leaf {
			p.know(r.boundary)
		}
	}
	if p.pol.lax {
		if h.typed("multipart") {
			p.state = inBetween
		}
		return
	}
	if len(rs) == 0 {
		if h.typed("multipart") {
			p.note("ambiguous.mime.boundary", h.off, off-h.off)
			p.need.lax = true
		}
		return
	}
	r := rs[min(p.pol.pick, len(rs)-1)]
	if r.leaf {
		return
	}
	if len(p.open) >= maxOpen {
		h.deep = true
		return
	}
	p.open = append(p.open, level{boundary: r.boundary, head: *h, start: off, digest: h.typed("multipart/digest")})
	p.state = inBetween
}

// know remembers a boundary.
func (p *mailPass) know(b string) {
	if p.known == nil {
		p.known = map[string]struct{}{}
	}
	if _, ok := p.known[b]; ok {
		return
	}
	if len(p.known) >= maxKnown {
		p.need.undone = true
		return
	}
	p.known[b] = struct{}{}
	if len(p.last) == recent {
		p.last = append(p.last[:0], p.last[1:]...)
	}
	p.last = append(p.last, b)
}

// endPart ends the leaf, or what is between parts, at end.
func (p *mailPass) endPart(end int64) {
	end = max(end, p.start)
	switch p.state {
	case inBody:
		p.leaf(&part{header: &p.head, start: p.start, end: end, eol: p.pol.eol, mail: p.head.isMail(p.digest())})
	case inBetween:
		p.blocks(p.start, end, p.pol.eol, mailBlocks)
	}
}

// close ends the multiparts from the given one on.
func (p *mailPass) close(from int, end int64) {
	for i := len(p.open) - 1; i >= from && !p.done; i-- {
		p.multipart(&p.open[i], end, p.pol.eol)
	}
	p.open = p.open[:from]
}

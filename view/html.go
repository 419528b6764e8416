package view

import (
	"bytes"
	"slices"

	"github.com/showcause/showcause"
)

// line is the most bytes that are taken at a time; white space at the start
// of each such piece is dropped.
const line = 8191

// maxName is the most bytes of an entity's name that are held back.
const maxName = 1024

// maxScript bounds the bytes of one script element whose tokens are held.
const maxScript = 20 << 20

// HTML makes the views of an HTML document: without comments, without tags,
// and the scripts if there are any. At most max
// bytes of input are read and at most max bytes of each view are made; whole
// is false if that cut anything, or src could not be read to its end.
func HTML(src showcause.Source, max int64) (vs []View, whole bool) { return new(Pages).HTML(src, max) }

// Pages makes the views of one document after the other in the same memory. The zero
// value works.
type Pages struct {
	doc, text, js, script []byte
	scripts               scripts
}

// HTML is HTML. The views are valid until it is called again, or Trim.
func (m *Pages) HTML(src showcause.Source, max int64) (vs []View, whole bool) {
	h := &document{after: true, script: m.script[:0], scripts: &m.scripts}
	in := newInput(src, max)
	// What is without comments is about as long as what is read.
	h.doc = out{b: slices.Grow(m.doc[:0], int(in.end+in.end/16)), max: max}
	h.text, h.js = out{b: m.text[:0], max: max}, out{b: m.js[:0], max: max}
	var c pieces
	for p := in.next(); len(p) > 0; p = in.next() {
		c.add(p, h.piece)
	}
	c.flush(h.piece)
	h.end()
	vs = []View{{OpNoComment, h.doc.b}, {OpNoTags, h.text.b}}
	if h.anyJS {
		vs = append(vs, View{OpJavaScript, h.js.b})
	}
	m.doc, m.text, m.js, m.script = h.doc.b, h.text.b, h.js.b, h.script
	return vs, in.whole && !h.doc.cut && !h.text.cut && !h.js.cut
}

// kept is how much memory for one view is kept for the next document, bytes.
const kept = 1 << 20

// Trim lets go of memory that only a large document needs.
func (m *Pages) Trim() {
	if cap(m.script) > kept || cap(m.scripts.tokens) > kept/64 || cap(m.scripts.scopes) > kept/1024 {
		m.scripts = scripts{} // which points into the script
	}
	for _, b := range []*[]byte{&m.doc, &m.text, &m.js, &m.script} {
		if cap(*b) > kept {
			*b = nil
		}
	}
}

// pieces cuts a document, less its NUL bytes, into pieces of at most line
// bytes. A piece that would end within a word ends after the last white space
// instead, where there is any past the piece's first byte.
type pieces struct{ buf []byte }

func (c *pieces) add(p []byte, each func([]byte)) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, 0)
		n := i + 1
		if i < 0 {
			i, n = len(p), len(p)
		}
		c.buf = append(c.buf, p[:i]...)
		p = p[n:]
	}
	done := 0
	for len(c.buf)-done > line {
		n := cutAt(c.buf[done : done+line+1])
		each(c.buf[done : done+n])
		done += n
	}
	c.buf = c.buf[:copy(c.buf, c.buf[done:])]
}

func (c *pieces) flush(each func([]byte)) {
	if len(c.buf) > 0 {
		each(c.buf)
	}
}

// cutAt returns how many bytes of b, which has one byte of the next piece,
// are this piece.
func cutAt(b []byte) int {
	if space(b[line]) {
		return line
	}
	for i := line - 1; i > 0; i-- {
		if space(b[i]) {
			return i + 1
		}
	}
	return line
}

// state says what the next byte of a document is part of.
type state uint8

const (
	inText   state = iota
	tagOpen        // after <
	inDecl         // <!...>
	inName         // name of a tag
	inTag          // between attributes
	inAttr         // name of an attribute
	afterEq        // before the value
	inValue        // the value
	inRaw          // content of script or style
	rawOpen        // after < there
	rawTag         // after </ or <! there
	inEntity       // after &, in text, value or raw content
	inNumber       // after &#
	inData         // data: URI
)

// document is the machine that reads HTML and writes its views.
type document struct {
	doc, text out
	js        out

	state  state
	back   state  // where an entity goes back to
	gap    bool   // white space to write before the next byte of text
	after  bool   // white space is dropped: a tag or piece has just begun or ended
	blank  bool   // the text view ends in white space
	high   run    // bytes above 0x7f of text and names
	inner  run    // and of values, where they may wait for a later value
	tag    []byte // name of the tag, lower case; in raw content of the possible end tag
	attr   []byte // name of the attribute
	value  attribute
	link   []byte // address to write into the text view
	name   []byte // name of an entity
	num    uint32
	digits int
	hex    bool
	script []byte // content of a script element
	isJS   bool
	anyJS  bool // there was one
	ended  bool // the script element has ended; white space that follows still counts

	scripts *scripts
}

// attribute is the value that is being read.
type attribute struct {
	quote byte // 0 for none
	// loose says that white space or > came within quotes: from there on the
	// value ends at the next white space or >, as it would without quotes, and
	// loses its last byte, which ClamAV takes for the quote.
	loose bool
	fresh bool   // loose has just begun: white space is dropped
	b     []byte // as written
}

// piece reads one piece of the document.
func (h *document) piece(p []byte) {
	for len(p) > 0 && space(p[0]) {
		h.addScript(p[0])
		p = p[1:]
	}
	for len(p) > 0 {
		if n := h.ordinary(p); n > 0 {
			p = p[n:]
			continue
		}
		c := p[0]
		p = p[1:]
		if h.isJS || h.ended {
			h.addScript(c)
		}
		if c == '\r' {
			continue
		}
		if c >= 0x80 && h.state != inDecl && h.state != inData {
			h.addHigh(c)
			continue
		}
		for again := true; again; {
			again = h.step(c)
		}
	}
}

// The bytes that end a run of ordinary ones, in each state that has such runs.
const (
	stopText = 1 << iota
	stopValue
	stopRaw
	stopName
	stopAttr
)

var special = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		if c >= 0x80 || space(c) || c == '&' {
			t[i] = stopText | stopValue | stopRaw
		}
		if c >= 0x80 || space(c) || c == '>' {
			t[i] |= stopName | stopAttr
		}
		if c == '=' {
			t[i] |= stopAttr
		}
		if c <= ' ' || c == '<' {
			t[i] |= stopText
		}
		if c == '>' || c == '"' || c == '\'' || c == ':' {
			t[i] |= stopValue
		}
		if c == '<' || c == '\'' {
			t[i] |= stopRaw
		}
	}
	return t
}()

// stopIn is which of them, by the state.
var stopIn = [inData + 1]uint8{inText: stopText, inValue: stopValue, inRaw: stopRaw, inName: stopName, inAttr: stopAttr}

// ordinary reads bytes at once that only stand for themselves, and returns how many.
func (h *document) ordinary(p []byte) int {
	if h.high.some || h.ended {
		return 0
	}
	stop := stopIn[h.state]
	if stop == 0 || h.state == inValue && h.inner.some {
		return 0
	}
	n := 0
	for n < len(p) && special[p[n]]&stop == 0 {
		n++
	}
	if n == 0 {
		return 0
	}
	switch p = p[:n]; h.state {
	case inText:
		h.flushLink()
		h.text.lowered(p)
		h.blank, h.after = false, false
	case inValue:
		h.value.fresh = false
		h.value.b = append(h.value.b, p...)
	case inName:
		h.tag = keepAll(h.tag, p)
	case inAttr:
		h.attr = keepAll(h.attr, p)
	}
	h.putGap()
	h.doc.lowered(p)
	if h.isJS {
		h.keepScript(p)
	}
	return n
}

// addHigh gathers bytes above 0x7f, which are written three at a time or when
// another byte comes.
func (h *document) addHigh(c byte) {
	switch h.state {
	case inText:
		h.putGap()
	case inEntity, inNumber:
		h.breakEntity()
	case tagOpen:
		h.openTag()
	case rawOpen:
		h.state = inRaw
	case inTag:
		h.openAttr()
	case afterEq:
		h.beginValue(0)
	}
	r := &h.high
	if h.state == inValue {
		r = &h.inner
	}
	if r.v > 0xffff {
		h.putHigh(r)
	}
	r.v, r.some = r.v<<8|uint32(c), true
}

// run is up to three bytes above 0x7f that are not written yet, the first the highest.
type run struct {
	v    uint32
	some bool
}

// isDot tells whether v is a full stop in UTF-8 (U+3002, U+FE52, U+FF0E), for
// which ClamAV writes a dot.
func isDot(v uint32) bool { return v == 0xe38082 || v == 0xefb992 || v == 0xefbc8e }

// isBig5Dot tells whether the bytes v and c are a full stop in Big5.
func isBig5Dot(v uint32, c byte) bool { return v == 0xa1 && (c == 0x43 || c == 0x44 || c == 0x4f) }

// putHigh writes the bytes held by addHigh. In the text view ClamAV writes
// the last but one of them in place of the last, and that is what signatures see.
func (h *document) putHigh(r *run) {
	if !r.some {
		return
	}
	v := r.v
	*r = run{}
	inText := h.state == inText || h.state == inRaw || h.state == rawOpen || h.state == rawTag
	if inText {
		h.flushLink()
	}
	h.putGap()
	h.after = false
	switch {
	case isDot(v) && (inText || h.state == inValue):
		h.putDot(inText)
		return
	case v > 0xffff:
		h.putBytes(inText, byte(v>>16), byte(v>>8), byte(v))
	case v > 0xff:
		h.putBytes(inText, byte(v>>8), byte(v))
	default:
		h.putBytes(inText, byte(v))
	}
}

// putDot writes a dot for a full stop.
func (h *document) putDot(inText bool) {
	h.doc.put('.')
	switch {
	case inText:
		h.text.put('.')
	case h.state == inValue:
		h.value.b = append(h.value.b, '.')
	}
}

func (h *document) putBytes(inText bool, b ...byte) {
	h.doc.puts(b)
	switch n := len(b); {
	case inText && n == 1:
		h.text.put(0)
	case inText:
		h.text.puts(b[:n-1])
		h.text.put(b[n-2])
	case h.state == inValue:
		h.value.b = append(h.value.b, b...)
	}
}

// step reads c, and tells whether c is to be read again in the state that it led to.
func (h *document) step(c byte) bool {
	if h.high.some {
		if (h.state == inText || h.state == inRaw) && isBig5Dot(h.high.v, c) {
			h.flushLink()
			h.putGap()
			h.putDot(true)
			h.high = run{some: true} // a zero byte is left over, as in ClamAV
			return false
		}
		h.putHigh(&h.high)
	}
	switch h.state {
	case inText:
		h.textByte(c)
	case tagOpen:
		return h.tagOpen(c)
	case inDecl:
		if c == '>' {
			h.enterText()
		}
	case inName:
		h.nameByte(c)
	case inTag:
		h.tagByte(c)
	case inAttr:
		h.attrByte(c)
	case afterEq:
		return h.eqByte(c)
	case inValue:
		h.valueByte(c)
	case inRaw, rawOpen, rawTag:
		h.rawByte(c)
	case inEntity:
		return h.entityByte(c)
	case inNumber:
		return h.numberByte(c)
	case inData:
		h.dataByte(c)
	}
	return false
}

// put writes a byte, in lower case, to the view without comments.
func (h *document) put(c byte) {
	h.putGap()
	h.doc.put(lower(c))
}

func (h *document) putGap() {
	if h.gap {
		h.gap = false
		h.doc.put(' ')
	}
}

// plain writes a byte to the text view; what is not printable is white space there.
func (h *document) plain(c byte) {
	h.flushLink()
	if c <= ' ' {
		h.plainGap()
		return
	}
	h.text.put(lower(c))
	h.blank = false
}

func (h *document) plainGap() {
	if !h.blank {
		h.text.put(' ')
		h.blank = true
	}
}

// flushLink writes the address of the link or image just passed to the text view.
func (h *document) flushLink() {
	if h.link == nil {
		return
	}
	h.text.puts(h.link)
	h.link = nil
	h.text.put(' ')
	h.blank = true
}

func (h *document) enterText() {
	h.state, h.after, h.gap = inText, true, false
}

func (h *document) textByte(c byte) {
	switch {
	case space(c):
		h.plain(' ')
		if !h.after {
			h.gap = true
		}
		return
	case c == '<':
		h.plain(' ')
		h.putGap()
		h.state = tagOpen
	case c == '&':
		h.plain(' ')
		h.putGap()
		h.beginEntity()
	default:
		h.plain(c)
		h.put(c)
	}
	h.after = false
}

func (h *document) tagOpen(c byte) bool {
	switch {
	case space(c):
		return false
	case c == '!':
		h.state = inDecl
		return false
	}
	h.openTag()
	return true
}

func (h *document) openTag() {
	h.put('<')
	h.state = inName
	h.tag = h.tag[:0]
	h.value = attribute{b: h.value.b[:0]}
}

// keep appends c to b, which holds no more than fits the longest name of interest.
func keep(b []byte, c byte) []byte {
	if len(b) < 16 {
		b = append(b, lower(c))
	}
	return b
}

func keepAll(b, p []byte) []byte {
	for _, c := range p[:min(len(p), 16)] {
		b = keep(b, c)
	}
	return b
}

func (h *document) nameByte(c byte) {
	switch {
	case space(c):
		h.state, h.gap = inTag, true
	case c == '>':
		h.closeTag()
	default:
		h.put(c)
		h.tag = keep(h.tag, c)
	}
}

// closeTag writes > and goes on to what the tag begins.
func (h *document) closeTag() {
	h.gap = false
	h.put('>')
	h.enterText()
	switch string(h.tag) {
	case "script":
		h.state, h.isJS = inRaw, true
	case "style":
		h.state = inRaw
	}
}

// tagByte reads between attributes; a space is due before the next one.
func (h *document) tagByte(c byte) {
	switch {
	case space(c):
	case c == '>':
		h.closeTag()
	case c == '=':
		h.gap = false
		h.put('=')
		h.state = afterEq
	default:
		h.openAttr()
		h.put(c)
		h.attr = keep(h.attr, c)
	}
}

func (h *document) openAttr() {
	h.state = inAttr
	h.attr = h.attr[:0]
}

func (h *document) attrByte(c byte) {
	switch {
	case space(c):
		h.state, h.gap = inTag, true
	case c == '>':
		h.closeTag()
	case c == '=':
		h.put(c)
		h.state = afterEq
	default:
		h.put(c)
		h.attr = keep(h.attr, c)
	}
}

func (h *document) eqByte(c byte) bool {
	switch {
	case space(c):
	case c == '>':
		h.closeTag()
	case c == '"' || c == '\'':
		h.put('"')
		h.beginValue(c)
	default:
		h.beginValue(0)
		return true
	}
	return false
}

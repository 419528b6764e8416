package richtext

import (
	"bytes"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// ambiguousRTF says that readers may take different bytes for an object.
const ambiguousRTF = showcause.Ambiguous + ".rtf.object"

// objectData is what the data of an object are called, as in the document.
const objectData = `\objdata`

// maxRTFInside is how many stretches of data are read that begin in each other.
const maxRTFInside = 1 << 10

// rtfStart is what readers ask for; some pass over spaces.
func rtfStart(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 1<<10)], []byte("\xef\xbb\xbf")), " \t\r\n\x00")
	return bytes.HasPrefix(b, []byte(`{\rt`))
}

// RTF reads Rich Text Format ("Specification" 1.9.1). What stands there in hexadecimal or
// as bytes is a child: objects, "rtf.object", pictures, "rtf.picture", themes, data of forms
// and fonts, "rtf.data"; and so is the text without its marks, hidden or not, with the
// instructions of fields, "rtf.text". Bytes that stand in the text are "rtf.binary", and what is behind the last
// brace is "rtf.rest".
//
// Objects are looked for everywhere. What hides them is undone: spaces, groups and
// control words between digits, bytes in between. Where readers differ (digits of groups that
// they may ignore or not, those of \', those that follow the word), each reading is a child.
func RTF() unpack.Format {
	return unpack.Format{Name: "rtf", Match: func(p *unpack.Probe) bool { return rtfStart(p.Head) }, Walk: rtfWalk}
}

// rtfOps are the control words that data follow, with what these are.
var rtfOps = map[string]string{
	"objdata": "rtf.object", "pict": "rtf.picture", "themedata": "rtf.data", "colorschememapping": "rtf.data", "datastore": "rtf.data",
	"fontemb": "rtf.data", "fontfile": "rtf.data", "datafield": "rtf.data", "svb": "rtf.data", "wgrffmtfilter": "rtf.data", "mmodsoudldata": "rtf.data",
}

// rtfData is a stretch of data that begins behind a control word and goes on to the end
// of its group.
type rtfData struct {
	op, name string
	at       int64 // behind the word
	depth    int
	ignored  int    // the depth from which on readers may ignore it, 0 for none
	digits   string // of the word's own number

	data, inner, inIgnored, quotes bool // what is in it
}

// rtfDocument is a document that is read.
type rtfDocument struct {
	src    showcause.Source
	out    *unpack.Out
	lex    *rtfLexer
	depth  int
	open   []rtfData // those that are not ended
	first  bool      // a group has just begun
	end    int64     // behind the last brace, -1 where it is not known
	text   bool      // there is some
	from   int64     // until where bytes stand as they are, 0 for none
	before int       // the depth in front of these
	full   bool
	again  int64 // bytes of data that may still be read; by up to 18 readings each
}

func rtfWalk(src showcause.Source, out *unpack.Out) {
	d := &rtfDocument{src: src, out: out, end: -1, lex: newRTFLexer(src, out, 0, src.Size()), again: 20*src.Size() + 64<<20}
	for {
		t := d.lex.next()
		if t.kind == rtfEnd {
			break
		}
		if d.from > 0 && t.at >= d.from {
			d.depth, d.from = d.before, 0
		}
		if !out.Work(1) || !d.token(&t) {
			return
		}
	}
	if d.lex.cut {
		return
	}
	if d.end < 0 {
		out.Gap(showcause.Corrupt, src.Size(), -1)
		d.end = src.Size()
	}
	for len(d.open) > 0 {
		if !d.close() {
			return
		}
	}
	if d.text && !out.Child(unpack.Child{Op: "rtf.text", Size: -1, Reader: &rtfText{lex: newRTFLexer(src, out, 0, d.end)}}) {
		return
	}
	d.rest()
}

// rest gives what is behind the document, if it is more than the end of a line.
func (d *rtfDocument) rest() {
	b := bound.Head(bound.Section(d.src, d.end, d.src.Size()-d.end), 64)
	skip := len(b) - len(bytes.TrimLeft(b, " \r\n\t\x00\x1a"))
	if skip < len(b) || len(b) == 64 {
		d.out.Tail(d.src, d.end+int64(skip), "rtf.rest")
	}
}

// token takes one token. It tells whether to go on.
func (d *rtfDocument) token(t *rtfToken) bool {
	first := d.first
	d.first = false
	switch t.kind {
	case rtfOpen:
		d.depth++
		d.first = true
	case rtfClose:
		d.depth = max(d.depth-1, 0)
		for len(d.open) > 0 && d.last().depth > d.depth {
			if !d.close() {
				return false
			}
		}
		if n := len(d.open); n > 0 && d.open[n-1].ignored > d.depth {
			d.open[n-1].ignored = 0
		}
		if d.depth == 0 && d.from == 0 && d.end < 0 && !rtfStart(bound.Head(bound.Section(d.src, t.at+1, d.src.Size()-t.at-1), 256)) {
			d.end = t.at + 1
		}
	case rtfSymbol:
		d.symbol(t, first)
	case rtfRun:
		d.run(t.word)
	case rtfWord:
		return d.word(t)
	}
	return true
}

func (d *rtfDocument) last() *rtfData { return &d.open[len(d.open)-1] }

func (d *rtfDocument) symbol(t *rtfToken, first bool) {
	switch {
	case len(d.open) == 0:
		d.text = d.text || t.c == '\''
	case t.c == '*' && first && d.depth > d.last().depth && d.last().ignored == 0:
		d.last().ignored = d.depth
	case t.c == '\'':
		d.last().quotes = d.last().quotes || t.value >= 0
	}
}

// run takes text.
func (d *rtfDocument) run(b []byte) {
	if len(d.open) == 0 {
		d.text = d.text || len(bytes.TrimSpace(b)) > 0
		return
	}
	l := d.last()
	if l.data && d.depth == l.depth || !hasHex(b) {
		return
	}
	l.data = true
	switch {
	case l.ignored > 0:
		l.inIgnored = true
	case d.depth > l.depth:
		l.inner = true
	}
}

func hasHex(b []byte) bool {
	for _, c := range b {
		if hexDigit(c) >= 0 {
			return true
		}
	}
	return false
}

// word takes a control word.
func (d *rtfDocument) word(t *rtfToken) bool {
	if n := t.binary(); n > 0 && d.from == 0 {
		return d.bytes(n)
	}
	op, ok := rtfOps[string(t.word)]
	if !ok {
		return true
	}
	n := rtfData{op: op, name: `\` + string(t.word), at: d.lex.at, depth: d.depth}
	if n.name == objectData && len(t.digit) > 0 {
		n.digits, n.data = string(t.digit), true
	}
	if k := len(d.open); k > 0 && d.open[k-1].name == n.name && d.open[k-1].depth == n.depth && !d.open[k-1].data {
		d.open[k-1] = n // the same word again, and nothing between
		return true
	}
	if len(d.open) == maxRTFInside {
		if !d.full {
			d.full = true
			d.out.Gap(showcause.LimitObject, t.at, -1)
		}
		return true
	}
	d.open = append(d.open, n)
	return true
}

// bytes takes n bytes that stand as they are. In data they are data; elsewhere they are
// a child, and looked through as well, for readers that do not pass over them.
func (d *rtfDocument) bytes(n int64) bool {
	n = min(n, d.src.Size()-d.lex.at)
	if len(d.open) > 0 {
		d.last().data = true
		if !d.hidden(d.lex.at, n) {
			return false
		}
		for n > 0 {
			k := int64(len(d.lex.raw(n)))
			if k == 0 {
				break
			}
			n -= k
		}
		return true
	}
	d.from, d.before = d.lex.at+n, d.depth
	return d.out.Section(d.src, "rtf.binary", "", d.lex.at, n)
}

// hidden gives the objects that n bytes of data have as text, for readers to whom these
// are no bytes.
func (d *rtfDocument) hidden(at, n int64) bool {
	part := bound.Section(d.src, at, n)
	for off := int64(0); ; {
		k, ok := d.out.Find(part, off, []byte(objectData), func(b []byte) bool {
			return len(b) > len(objectData) && !isLetter(b[len(objectData)])
		})
		if !ok {
			return true
		}
		off = k + int64(len(objectData))
		r := &rtfHex{half: -1, lex: d.reread(at + off)}
		if !d.out.Child(unpack.Child{Op: "rtf.object", Name: objectData, Reader: r, Size: -1}) {
			return false
		}
	}
}

// close ends the last stretch of data and gives it, by each reading.
func (d *rtfDocument) close() bool {
	k := len(d.open) - 1
	s := d.open[k]
	d.open = d.open[:k]
	if k > 0 {
		outer := d.last()
		outer.data = outer.data || s.data
		outer.quotes = outer.quotes || s.quotes
		if outer.ignored > 0 {
			outer.inIgnored = outer.inIgnored || s.data
		} else if s.depth > outer.depth {
			outer.inner = outer.inner || s.data
		}
	}
	if !s.data && (!s.quotes || s.name != objectData) {
		return true
	}
	all := s.readings()
	if len(all) > 1 {
		d.out.Gap(ambiguousRTF, s.at, -1)
	}
	for _, r := range all {
		r.lex = d.reread(s.at)
		if !d.out.Child(unpack.Child{Op: s.op, Name: s.name, Reader: r, Size: -1}) {
			return false
		}
	}
	return true
}

// readings are the ways in which readers may read the data, more than one for objects alone.
func (s *rtfData) readings() []*rtfHex {
	groups, quotes, digits := []int{skipIgnorable}, []int{quoteNothing}, []string{""}
	if s.name == objectData {
		switch {
		case s.inner && s.inIgnored:
			groups = []int{skipIgnorable, skipNone, skipInner}
		case s.inner:
			groups = []int{skipNone, skipInner}
		case s.inIgnored:
			groups = []int{skipIgnorable, skipNone}
		}
		if s.quotes {
			quotes = []int{quoteNothing, quoteDigits, quoteAgain}
		}
		if s.digits != "" {
			digits = append(digits, s.digits)
		}
	}
	var all []*rtfHex
	for _, g := range groups {
		for _, q := range quotes {
			for _, n := range digits {
				all = append(all, &rtfHex{groups: g, quotes: q, digits: n, half: -1})
			}
		}
	}
	return all
}

// Which groups in data a reader passes over.
const (
	skipIgnorable = iota // those that begin with \*
	skipNone
	skipInner // all
)

// What \'12 in data is to a reader.
const (
	quoteNothing = iota
	quoteDigits
	quoteAgain // nothing, but what follows begins a byte
)

// rtfHex reads data: digits, and bytes as they are.
type rtfHex struct {
	lex    *rtfLexer
	groups int
	quotes int
	digits string // in front of all

	begun  bool
	first  bool
	depth  int
	skip   int // the depth from which on groups are passed over, 0 for none
	binary int64
	half   int // the digit that begins a byte, -1 for none
	ready  []byte
	done   bool
}

// Read implements io.Reader.
func (h *rtfHex) Read(p []byte) (int, error) {
	if !h.begun {
		h.begun = true
		h.put([]byte(h.digits))
	}
	for len(h.ready) == 0 {
		if h.done {
			if h.lex.cut {
				return 0, unpack.Fail(showcause.LimitWork)
			}
			return 0, io.EOF
		}
		h.step()
	}
	n := copy(p, h.ready)
	h.ready = h.ready[n:]
	return n, nil
}

func (h *rtfHex) step() {
	h.ready = h.ready[:0]
	if h.binary > 0 {
		b := h.lex.raw(h.binary)
		h.binary -= int64(len(b))
		h.done = len(b) == 0
		if h.skip == 0 {
			h.ready = append(h.ready, b...)
		}
		return
	}
	t := h.lex.next()
	first := h.first
	h.first = false
	switch t.kind {
	case rtfEnd:
		h.done = true
	case rtfOpen:
		h.depth++
		h.first = true
		if h.skip == 0 && h.groups == skipInner {
			h.skip = h.depth
		}
	case rtfClose:
		h.depth--
		h.done = h.depth < 0
		if h.skip > h.depth {
			h.skip = 0
		}
	case rtfSymbol:
		if t.c == '*' && first && h.skip == 0 && h.groups == skipIgnorable {
			h.skip = h.depth
		}
		if t.c == '\'' && t.value >= 0 && h.skip == 0 {
			h.quote(t.value)
		}
	case rtfWord:
		h.binary = min(t.binary(), h.lex.end)
	case rtfRun:
		if h.skip == 0 {
			h.put(t.word)
		}
	}
}

func (h *rtfHex) quote(v int) {
	const digits = "0123456789abcdef"
	switch h.quotes {
	case quoteDigits:
		h.put([]byte{digits[v>>4], digits[v&15]})
	case quoteAgain:
		h.half = -1
	}
}

// put takes the digits in a text.
func (h *rtfHex) put(b []byte) {
	for _, c := range b {
		v := hexDigit(c)
		switch {
		case v < 0:
		case h.half < 0:
			h.half = v
		default:
			h.ready = append(h.ready, byte(h.half<<4|v))
			h.half = -1
		}
	}
}

// rtfText reads the text of a document: bytes as they are, what \' stands for as a byte,
// what \u stands for in UTF-8. Instructions of fields, templates and names of objects have a line each.
type rtfText struct {
	lex    *rtfLexer
	depth  int
	data   int // the depth of data, 0 for none
	binary int64
	skip   int   // characters that stand for what \u said
	skips  []int // how many, by depth
	apart  int   // the depth of what is no part of the text around it, 0 for none
	begun  bool  // something of it was said
	ready  []byte
	done   bool
}

// maxRTFDepth is how deep the number of characters behind \u is kept for a group.
const maxRTFDepth = 1 << 10

// Read implements io.Reader.
func (r *rtfText) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.done {
			if r.lex.cut {
				return 0, unpack.Fail(showcause.LimitWork)
			}
			return 0, io.EOF
		}
		r.step()
		if r.apart > 0 && !r.begun && len(r.ready) > 0 {
			r.ready = append([]byte{'\n'}, r.ready...)
			r.begun = true
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *rtfText) step() {
	r.ready = r.ready[:0]
	if r.binary > 0 {
		n := int64(len(r.lex.raw(r.binary)))
		r.binary -= n
		r.done = n == 0
		return
	}
	t := r.lex.next()
	switch t.kind {
	case rtfEnd:
		r.done = true
	case rtfOpen:
		r.depth++
		r.skip = 0
		if len(r.skips) < min(r.depth, maxRTFDepth) {
			r.skips = append(r.skips, r.after())
		}
	case rtfClose:
		r.depth = max(r.depth-1, 0)
		r.skips = r.skips[:min(len(r.skips), r.depth)]
		r.skip = 0
		if r.data > r.depth {
			r.data = 0
		}
		if r.apart > r.depth {
			if r.begun {
				r.ready = append(r.ready, '\n')
			}
			r.apart, r.begun = 0, false
		}
	case rtfSymbol:
		r.symbol(&t)
	case rtfWord:
		r.word(&t)
	case rtfRun:
		if r.data == 0 {
			r.run(t.word)
		}
	}
}

// after is how many characters follow \u.
func (r *rtfText) after() int {
	if n := len(r.skips); n > 0 {
		return r.skips[n-1]
	}
	return 1
}

func (r *rtfText) run(b []byte) {
	for _, c := range b {
		switch {
		case c == '\r' || c == '\n' || c == 0:
		case r.skip > 0:
			r.skip--
		default:
			r.ready = append(r.ready, c)
		}
	}
}

func (r *rtfText) symbol(t *rtfToken) {
	if r.data > 0 {
		return
	}
	switch t.c {
	case '\'':
		if t.value >= 0 && r.skip > 0 {
			r.skip--
		} else if t.value >= 0 {
			r.ready = append(r.ready, byte(t.value))
		}
	case '\\', '{', '}':
		r.run([]byte{t.c})
	case '~':
		r.ready = append(r.ready, ' ')
	case '_':
		r.ready = append(r.ready, '-')
	case '\r', '\n':
		r.ready = append(r.ready, '\n')
	}
}

func (r *rtfText) word(t *rtfToken) {
	if r.binary = min(t.binary(), r.lex.end); r.binary > 0 {
		return
	}
	if _, ok := rtfOps[string(t.word)]; ok && r.data == 0 {
		r.data = max(r.depth, 1)
	}
	if r.data > 0 {
		return
	}
	switch string(t.word) {
	case "fldinst", "template", "objclass", "objname":
		if r.apart == 0 {
			r.apart = max(r.depth, 1)
		}
	case "u":
		v := t.param & 0xffff
		if t.sign {
			v = -t.param & 0xffff
		}
		r.ready = append(r.ready, string(rune(v))...)
		r.skip = r.after()
	case "uc":
		if n := len(r.skips); n > 0 && n == r.depth {
			r.skips[n-1] = int(min(t.param, 16))
		}
	case "par", "line", "row", "sect", "page":
		r.ready = append(r.ready, '\n')
	case "tab", "cell":
		r.ready = append(r.ready, '\t')
	case "lquote", "rquote":
		r.ready = append(r.ready, '\'')
	case "ldblquote", "rdblquote":
		r.ready = append(r.ready, '"')
	case "emdash", "endash":
		r.ready = append(r.ready, '-')
	}
}

package view

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// URI is a data: URI (RFC 2397) in a text: the place of its content, still
// encoded, in bytes of the text.
type URI struct {
	Offset, Length int64
	Base64         bool // else percent-encoded
}

// Content of a URI that is too short to be of interest: characters.
const minContent = 16

// DataURIs calls each with the data: URIs of a text in whatever language, in
// the order of their ends, until each returns false. It reads r once, holds a
// constant amount of it, and its error is r's.
//
// The text is taken as browsers take an address in it: in any letter case,
// with character references resolved, and tabs and line ends passed over
// (WHATWG URL, 4.4; Fetch, 6). NUL bytes are passed over as well, so that UTF-16
// reads as it is. Content ends with the quote, bracket, white space or tag
// that fits what stands before the URI, and content in base64 with any other byte as
// well, so that nothing that is left open hides what follows. A URI within
// the plain content of another is given too, if another mark ends it.
func DataURIs(r io.Reader, each func(URI) bool) error {
	f := finder{chars: chars{r: r}, each: each}
	return f.run()
}

// DataURIsOf is DataURIs for a text that is in memory, which it does not copy.
func DataURIsOf(b []byte, each func(URI) bool) {
	f := finder{chars: chars{b: b, err: io.EOF}, each: each}
	_ = f.run() // there is nothing to read
}

func (f *finder) run() error {
	for !f.stopped {
		if f.idle() {
			f.skip()
		}
		c, ok := f.next()
		if !ok {
			f.finish()
			break
		}
		f.step(c)
	}
	if f.err == io.EOF {
		return nil
	}
	return f.err
}

// delim is what ends a URI.
type delim uint8

const (
	unquoted delim = iota // white space, a quote, < or >
	attr                  // of HTML, unquoted: white space or >
	double
	single
	back
	paren     // of url(...) in CSS
	refDouble // the quotes as character references, within a quoted value
	refSingle
	delims
)

func (d delim) ends(c char) bool {
	if c.ref {
		return d == refDouble && c.c == '"' || d == refSingle && c.c == '\''
	}
	switch c.c {
	case '"':
		return d != single && d != back && d != attr
	case '\'':
		return d == single || d == unquoted || d == paren
	case '`':
		return d == back
	case '(', ')':
		return d == paren
	case '<':
		return d == unquoted
	case '>':
		return d == unquoted || d == attr
	}
	return (d == unquoted || d == attr) && space(c.c)
}

const (
	seekScheme = iota // outside of a header and of base64
	inHeader
	inBase64
)

// finder is the machine that finds URIs.
type finder struct {
	chars
	each    func(URI) bool
	stopped bool

	last    char  // the last one that is not white space, before the scheme
	before  char  // and the one before the scheme that is being matched
	quote   byte  // open since the last < or >, 0 for none
	matched int   // how much of "data:"
	retry   int64 // the offset from which on quiet is asked again

	state int
	delim delim  // of the URI whose header or base64 is read
	tail  string // of the header
	media bool   // the header has a /, as media types have
	bare  bool   // nothing before it says that it is an address
	start int64
	count int64 // characters of the base64
	pad   bool
	esc   bool

	open    uint8 // set of plain
	plain   [delims]capture
	read    int64 // characters so far
	percent int64 // % so far
}

// capture is plain content whose end is not seen yet.
type capture struct{ start, read, percent int64 }

const scheme = "data:"

func (f *finder) idle() bool {
	return f.state == seekScheme && f.open == 0 && f.matched == 0 && len(f.held) == 0 && len(f.more) == 0
}

// stops are the bytes that an idle finder has to look at.
var stops = [256]bool{'d': true, 'D': true, '&': true, '"': true, '\'': true, '<': true, '>': true}

// skip passes over what an idle finder has no use for, as step would.
func (f *finder) skip() {
	n, end := 0, len(f.b)
	if f.at >= f.retry {
		n = f.quiet()
		f.marks(f.b[:n])
		f.retry = f.at + int64(n)
		if n < min(end, quietWindow)/2 {
			f.retry += quietWindow / 32 // what is asked for too often costs more than it saves
		}
	}
	if f.retry-f.at < int64(end) {
		end = int(f.retry - f.at)
	}
loop:
	for ; n < end; n++ {
		if !stops[f.b[n]] {
			continue
		}
		switch c := f.b[n]; c {
		case '&':
			break loop
		case 'd', 'D':
			if n+1 == len(f.b) || f.b[n+1] <= ' ' || f.b[n+1] == '&' || lower(f.b[n+1]) == scheme[1] {
				break loop
			}
		default:
			f.mark(c)
		}
	}
	for i := n - 1; i >= 0; i-- {
		if c := f.b[i]; c != 0 && !space(c) {
			f.last = char{c: c}
			break
		}
	}
	f.b, f.at = f.b[n:], f.at+int64(n)
}

const (
	quietWindow = 32 << 10 // how far quiet looks, bytes
	quietAsked  = 64       // questions of one kind: bytes that could all be of a scheme are skip's
)

// quiet returns how many of the next bytes no scheme begins in, nor a reference. It looks with
// fewer questions than skip, and finds fewer of them.
func (f *finder) quiet() int {
	b := f.b[:min(len(f.b), quietWindow)]
	if i := bytes.IndexByte(b, '&'); i >= 0 {
		b = b[:i]
	}
	for from, asked := 0, 0; ; asked++ {
		i := bytes.IndexByte(b[from:], ':')
		if i < 0 {
			break
		}
		at := from + i
		if at > 0 && (lower(b[at-1]) == 'a' || b[at-1] <= ' ') || asked == quietAsked {
			b = b[:at]
			break
		}
		from = at + 1
	}
	n := len(b)
	for n > 0 && (b[n-1] <= ' ' || strings.IndexByte(scheme, lower(b[n-1])) >= 0) {
		if n--; len(b)-n > quietAsked {
			return 0
		}
	}
	return n
}

// marks does what mark does for each byte.
func (f *finder) marks(b []byte) {
	if bytes.IndexByte(b, '<') >= 0 || bytes.IndexByte(b, '>') >= 0 {
		i := len(b) - 1
		for b[i] != '<' && b[i] != '>' {
			i--
		}
		f.quote, b = 0, b[i+1:]
	}
	find := func(c byte, from int) int {
		if i := bytes.IndexByte(b[from:], c); i >= 0 {
			return from + i
		}
		return len(b)
	}
	for at, double, single := 0, -1, -1; at < len(b); at++ {
		if f.quote != 0 {
			if at = find(f.quote, at); at < len(b) {
				f.quote = 0
			}
			continue
		}
		if double < at {
			double = find('"', at)
		}
		if single < at {
			single = find('\'', at)
		}
		if at = min(double, single); at < len(b) {
			f.quote = b[at]
		}
	}
}

// step takes one character.
func (f *finder) step(c char) {
	for d := delim(0); f.open>>d != 0; d++ {
		if f.open>>d&1 != 0 && d.ends(c) {
			f.close(d, c.start)
		}
	}
	f.read++
	if c.c == '%' {
		f.percent++
	}
	switch f.state {
	case inBase64:
		if f.base64(c) {
			return
		}
		f.endBase64(c.start)
	case inHeader:
		f.header(c)
		f.context(c)
		return
	}
	f.match(c)
	f.context(c)
}

// match looks for the scheme. Tabs and line ends in it are passed over.
func (f *finder) match(c char) {
	switch x := lower(c.c); {
	case x == '\t' || x == '\n' || x == '\r':
	case x == scheme[f.matched]:
		if f.matched == 0 {
			f.before = f.last
		}
		if f.matched++; f.matched == len(scheme) {
			f.matched = 0
			f.beginHeader()
		}
	case x == scheme[0]:
		f.matched, f.before = 1, f.last
	default:
		f.matched = 0
	}
}

// context keeps what has to be known of the text before a URI.
func (f *finder) context(c char) {
	if space(c.c) {
		return
	}
	f.last = c
	if c.ref {
		return
	}
	f.mark(c.c)
}

// mark keeps whether a quote is open.
func (f *finder) mark(c byte) {
	switch {
	case c == '<' || c == '>':
		f.quote = 0
	case c != '"' && c != '\'':
	case f.quote == 0:
		f.quote = c
	case f.quote == c:
		f.quote = 0
	}
}

func (f *finder) beginHeader() {
	f.state, f.tail, f.media, f.bare = inHeader, "", false, false
	switch b := f.before; {
	case b.c == '"' && b.ref:
		f.delim = refDouble
	case b.c == '\'' && b.ref:
		f.delim = refSingle
	case b.c == '"':
		f.delim = double
	case b.c == '\'':
		f.delim = single
	case b.c == '`':
		f.delim = back
	case b.c == '(':
		f.delim = paren
	default:
		f.bare = b.c != '='
		switch f.quote {
		case '"':
			f.delim = double
		case '\'':
			f.delim = single
		default:
			f.delim = unquoted
			if !f.bare {
				f.delim = attr
			}
		}
	}
}

// header reads from the scheme to the comma. An own word that ends in the
// scheme's letters is no scheme, unless base64 follows.
func (f *finder) header(c char) {
	switch {
	case c.c == ',':
		f.state = seekScheme
		if f.tail == ";base64" {
			f.state, f.start, f.count, f.pad, f.esc = inBase64, c.end, 0, false, false
			return
		}
		if b := f.before.c; b >= '0' && b <= '9' || lower(b) >= 'a' && lower(b) <= 'z' || f.bare && !f.media || f.open>>f.delim&1 != 0 {
			return
		}
		f.open |= 1 << f.delim
		f.plain[f.delim] = capture{c.end, f.read, f.percent}
	case f.delim.ends(c):
		f.state = seekScheme
	case c.c == '/':
		f.media = true
	case space(c.c):
		return
	}
	const n = len(";base64")
	f.tail += string(rune(lower(c.c)))
	if len(f.tail) > n {
		f.tail = f.tail[len(f.tail)-n:]
	}
}

// base64 tells whether c is part of base64, in either alphabet. In strings of
// JSON and JavaScript, / may be \/, + may be \u002b, and \n may break a line.
func (f *finder) base64(c char) bool {
	esc := f.esc
	f.esc = false
	switch x := c.c; {
	case digit64(x) >= 0:
		if f.pad {
			return false
		}
		f.count++
		return true
	case x == '=':
		f.pad = true
		return true
	case x == '%':
		return true
	case x == '\\':
		f.esc = !esc
		return !esc
	case space(x):
		return c.ref || f.delim > attr || esc
	}
	return false
}

func (f *finder) endBase64(end int64) {
	f.state = seekScheme
	if f.count >= minContent {
		f.give(URI{f.start, end - f.start, true})
	}
}

func (f *finder) close(d delim, end int64) {
	f.open &^= 1 << d
	if p := f.plain[d]; f.percent > p.percent || f.read-p.read >= minContent {
		f.give(URI{p.start, end - p.start, false})
	}
}

func (f *finder) give(u URI) {
	if !f.stopped {
		f.stopped = !f.each(u)
	}
}

// finish ends what is open at the end of the text.
func (f *finder) finish() {
	if f.state == inBase64 {
		f.endBase64(f.at)
	}
	for d := range delims {
		if f.open>>d&1 != 0 {
			f.close(d, f.at)
		}
	}
}

// char is one character of a text: a byte, with the place in it.
type char struct {
	c          byte
	ref        bool // it came of a character reference
	start, end int64
}

// chars reads characters: NUL bytes are passed over, character references of
// HTML resolved.
type chars struct {
	r    io.Reader
	buf  []byte
	b    []byte // of buf, not read yet
	at   int64  // offset of b in the text
	err  error
	held []char // bytes that were read too far, the next one last
	more []char // of one reference, the next one first
}

// raw returns the next byte.
func (s *chars) raw() (char, bool) {
	if n := len(s.held); n > 0 {
		c := s.held[n-1]
		s.held = s.held[:n-1]
		return c, true
	}
	for {
		for len(s.b) > 0 {
			c := s.b[0]
			s.b, s.at = s.b[1:], s.at+1
			if c != 0 {
				return char{c: c, start: s.at - 1, end: s.at}, true
			}
		}
		if !s.fill() {
			return char{}, false
		}
	}
}

func (s *chars) fill() bool {
	if s.err != nil {
		return false // of what is in memory there is no more
	}
	if s.buf == nil {
		n := int64(block / 2)
		if r, ok := s.r.(interface{ Size() int64 }); ok {
			n = min(n, max(r.Size(), 1))
		}
		s.buf = make([]byte, n)
	}
	for tries := 0; s.err == nil && tries < 100; tries++ {
		var n int
		n, s.err = s.r.Read(s.buf)
		if n > 0 {
			s.b = s.buf[:n]
			return true
		}
	}
	if s.err == nil {
		s.err = io.ErrNoProgress
	}
	return false
}

// hold gives bytes back, the last first.
func (s *chars) hold(cs ...char) {
	for i := len(cs) - 1; i >= 0; i-- {
		s.held = append(s.held, cs[i])
	}
}

func (s *chars) next() (char, bool) {
	if len(s.more) > 0 {
		c := s.more[0]
		s.more = s.more[1:]
		return c, true
	}
	c, ok := s.raw()
	if !ok || c.c != '&' {
		return c, ok
	}
	n, ok := s.raw()
	switch {
	case !ok:
	case n.c == '#':
		return s.number(c, n), true
	default:
		return s.name(c, n), true
	}
	return c, true
}

// number reads a numeric reference, of which & and # are read. It needs no semicolon.
func (s *chars) number(amp, hash char) char {
	base, any := rune(10), false
	v, read := rune(0), []char{hash}
	c, ok := s.raw()
	if ok && lower(c.c) == 'x' {
		base, read = 16, append(read, c)
		c, ok = s.raw()
	}
	end := hash.end
	for ; ok; c, ok = s.raw() {
		d := rune(unhex(c.c))
		if d < 0 || d >= base {
			break
		}
		any, end = true, c.end
		v = min(v*base+d, utf8.MaxRune+1)
	}
	switch {
	case ok && any && c.c == ';':
		end = c.end
	case ok:
		s.hold(c)
	}
	if !any {
		s.hold(read...)
		return amp
	}
	var b [utf8.UTFMax]byte
	out := utf8.AppendRune(b[:0], v)
	s.more = s.more[:0]
	for _, x := range out[1:] {
		s.more = append(s.more, char{x, true, amp.start, end})
	}
	return char{out[0], true, amp.start, end}
}

// names are the references by name that can be part of a URI's own marks.
var names = map[string]byte{
	"Tab": '\t', "NewLine": '\n', "excl": '!', "quot": '"', "QUOT": '"', "num": '#', "dollar": '$', "percnt": '%', "amp": '&', "AMP": '&', "apos": '\'',
	"lpar": '(', "rpar": ')', "ast": '*', "plus": '+', "comma": ',', "period": '.', "sol": '/', "colon": ':', "semi": ';',
	"lt": '<', "LT": '<', "equals": '=', "gt": '>', "GT": '>', "quest": '?', "commat": '@', "lsqb": '[', "bsol": '\\', "rsqb": ']',
	"lowbar": '_', "lcub": '{', "rcub": '}',
}

// name reads a reference by name, of which & and c are read.
func (s *chars) name(amp, c char) char {
	var word []byte
	var read []char
	ok := true
	for ; ok && len(word) < len("NewLine") && lower(c.c) >= 'a' && lower(c.c) <= 'z'; c, ok = s.raw() {
		word, read = append(word, c.c), append(read, c)
	}
	v, known := names[string(word)]
	if ok && known && c.c == ';' {
		return char{v, true, amp.start, c.end}
	}
	if ok {
		read = append(read, c)
	}
	s.hold(read...)
	return amp
}

// Decode reads the content of a URI from r, which gives the URI's stretch of
// the text. What it gives is never longer, and its error is r's.
func (u URI) Decode(r io.Reader) io.Reader {
	return &content{chars: chars{r: r, buf: make([]byte, max(1, min(u.Length, block/2)))}, base64: u.Base64}
}

type content struct {
	chars
	base64 bool
	queue  []byte
	bits   uint32
	n      int // of bits
}

func (d *content) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c, ok := d.byte()
		if !ok {
			if n == 0 {
				return 0, d.err
			}
			break
		}
		p[n] = c
		n++
	}
	return n, nil
}

// byte returns the next byte of the content.
func (d *content) byte() (byte, bool) {
	for {
		c, ok := d.escaped()
		if !ok || !d.base64 {
			return c, ok
		}
		v := digit64(c)
		if v < 0 {
			continue
		}
		d.bits, d.n = d.bits<<6|uint32(v), d.n+6
		if d.n >= 8 {
			d.n -= 8
			return byte(d.bits >> d.n), true
		}
	}
}

// escaped decodes %hh; anything else stays as it is.
func (d *content) escaped() (byte, bool) {
	c, ok := d.one()
	if !ok || c != '%' {
		return c, ok
	}
	a, ok := d.one()
	if !ok {
		return c, true
	}
	b, ok := d.one()
	if !ok {
		d.queue = append(d.queue, a)
		return c, true
	}
	if hi, lo := unhex(a), unhex(b); hi >= 0 && lo >= 0 {
		return byte(hi<<4 | lo), true
	}
	d.queue = append(d.queue, a, b)
	return c, true
}

// one returns the next character that is part of an address.
func (d *content) one() (byte, bool) {
	if len(d.queue) > 0 {
		c := d.queue[0]
		d.queue = d.queue[:copy(d.queue, d.queue[1:])]
		return c, true
	}
	for {
		c, ok := d.next()
		switch {
		case !ok:
			return 0, false
		case c.c == '\t' || c.c == '\n' || c.c == '\r':
		case c.c == '\\' && d.base64:
			if x, ok := d.escape(); ok {
				return x, true
			}
		default:
			return c.c, true
		}
	}
}

// escape reads what follows a backslash in base64: nothing of a line break.
func (d *content) escape() (byte, bool) {
	c, ok := d.next()
	switch {
	case !ok || c.c == 'n' || c.c == 'r' || c.c == 't':
		return 0, false
	case c.c != 'u':
		return c.c, true
	}
	v := 0
	for range 4 {
		c, ok := d.next()
		h := unhex(c.c)
		if !ok || h < 0 {
			return 0, false
		}
		v = v<<4 | h
	}
	return byte(v), v < 0x80
}

// digit64 returns the value of a digit of base64 in either alphabet (RFC
// 4648, 4 and 5), or -1.
func digit64(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

package script

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"
)

// coding says how a stretch is written.
type coding struct {
	kind   digitKind
	quoted bool // it begins within quotes; what is without does not count
	frame  int  // bytes in front of the digits of each line but the first; what is behind the digits does not count
}

type digitKind uint8

const (
	base64Digits digitKind = iota
	hexDigits
	codeEscapes // \x4d \u004d \115 %4d %u4d5a &#77; &#x4d;
	codeNumbers // 77, 0x4d, &H4D, $4D
	codePairs   // 4d 5a, 4D-5A, hex:4d,5a
)

// codesAt takes the run of bytes that lists of codes are of, which begins at off. It returns where
// to look on.
func (f *finder) codesAt(off int64) int64 {
	end := f.end(off, &inCodes)
	if !f.out.Work(4) {
		f.done = true
		return end
	}
	head := bytes.Clone(f.at(off, min(end-off, headBytes)))
	from := 0
	for tries := 0; tries < 4 && from < min(len(head), 256); tries++ {
		// A list may have something in front of it: the name of a call, other numbers.
		if kind, ok := codesOf(head[from:]); ok {
			at := from
			if kind == codeEscapes {
				at += max(bytes.IndexAny(head[from:], `\%&`), 0)
			}
			s := stretch{op: "encoded.codes", from: off + int64(at), to: end, coding: coding{kind: kind}}
			if sense(f.head(s, 4*minDecoded)) {
				f.give(s, &f.codes)
				return end
			}
		}
		i := bytes.IndexAny(head[from:min(len(head), 256)], "(\"'{")
		if i < 0 {
			break
		}
		from += i + 1
	}
	return end
}

// codesOf tells what the codes are that b begins with, if they are some.
func codesOf(b []byte) (digitKind, bool) {
	escapes, numbers, pairs, others, letters := 0, 0, 0, 0, 0
	for i := 0; i < len(b) && escapes+numbers+pairs+others < 2*minDecoded; {
		switch c := b[i]; {
		case (c == '\\' || c == '%' || c == '&') && i+1 < len(b) && (b[i+1] == '#' || c != '&' && (unhex(b[i+1]) >= 0 || b[i+1] == 'x' || b[i+1] == 'u')):
			escapes++
			i += 2
			for i < len(b) && (unhex(b[i]) >= 0 || b[i] == 'x' || b[i] == '{') {
				i++
			}
		case unhex(c) >= 0 || letter(c):
			n, kind := bareToken(b[i:])
			if kind == 'w' && i > 0 && isVB(b[i-1], b[i:i+n]) {
				kind = 'v'
			}
			switch kind {
			case 'd':
				numbers++
				if n == 2 {
					pairs++
				}
			case 'x', 'v':
				numbers++
			case 'h':
				pairs++
				letters++
				others++
			}
			i += n
		default:
			i++
		}
	}
	switch {
	case escapes >= 16:
		return codeEscapes, true
	case letters > 0 && pairs >= minDecoded*3/4 && pairs >= numbers:
		return codePairs, true
	case numbers >= minDecoded*3/4:
		return codeNumbers, true
	}
	return 0, false
}

// bareToken tells the length of the word that b begins with, and what it is: a number in decimal, d, or
// with 0x, x; two hexadecimal digits that are none, h; or a word, w.
func bareToken(b []byte) (n int, kind byte) {
	digits, hex := true, true
	for n < len(b) && (unhex(b[n]) >= 0 || letter(b[n])) {
		digits = digits && b[n] <= '9'
		hex = hex && (unhex(b[n]) >= 0)
		n++
	}
	switch {
	case n > 2 && n <= 10 && b[0] == '0' && b[1]|0x20 == 'x':
		for _, c := range b[2:n] {
			if unhex(c) < 0 {
				return n, 'w'
			}
		}
		return n, 'x'
	case digits && n <= 7:
		return n, 'd'
	case hex && n == 2:
		return n, 'h'
	}
	return n, 'w'
}

// isVB tells whether a word is a number of Visual Basic in hexadecimal, &H4D.
func isVB(lead byte, b []byte) bool {
	return lead == '&' && len(b) >= 2 && len(b) <= 3 && b[0]|0x20 == 'h' && unhex(b[1]) >= 0 && unhex(b[len(b)-1]) >= 0
}

// digits reads what a stretch says.
type digits struct {
	coding
	in     *bufio.Reader
	inside bool
	behind bool // the digits of the line
	acc    uint32
	bits   int
	queue  []byte
	lead   byte // the byte in front of a number
	err    error
}

// newDigits reads r, n bytes of it at a time, but no more than 16 KiB.
func newDigits(r io.Reader, n int64, c coding) *digits {
	return &digits{coding: c, in: bufio.NewReaderSize(r, int(min(max(n, 16), 16<<10))), inside: true}
}

// Read implements io.Reader.
func (d *digits) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(d.queue) > 0 {
			k := copy(p[n:], d.queue)
			n, d.queue = n+k, d.queue[:copy(d.queue, d.queue[k:])]
			continue
		}
		if d.err != nil {
			break
		}
		if d.kind >= codeEscapes {
			d.code()
		} else {
			d.digit()
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, d.err
	}
	return n, nil
}

// digit takes one byte of base64 or of hexadecimal digits.
func (d *digits) digit() {
	c, err := d.in.ReadByte()
	if err != nil {
		d.err = err
		return
	}
	switch {
	case d.quoted && (c == '"' || c == '\''):
		d.inside = !d.inside
		return
	case !d.inside:
		return
	case d.frame > 0 && c == '\n':
		d.behind = false
		d.in.Discard(d.frame)
		return
	case d.behind:
		return
	case d.quoted && c == '\\':
		if next, err := d.in.Peek(1); err == nil && next[0] != '/' {
			d.in.Discard(1)
		}
		return
	}
	v, width := unhex(c), 4
	if d.kind == base64Digits {
		v, width = unbase64(c), 6
	}
	if v < 0 {
		if c == '=' {
			d.acc, d.bits = 0, 0
		}
		d.behind = d.frame > 0 && c != '^'
		return
	}
	d.acc = d.acc<<width | uint32(v)
	if d.bits += width; d.bits >= 8 {
		d.bits -= 8
		d.queue = append(d.queue, byte(d.acc>>d.bits))
	}
}

// code takes one code, or a byte that is part of none.
func (d *digits) code() {
	b, err := d.in.Peek(12)
	if len(b) == 0 {
		d.err = err
		return
	}
	n, lead := 1, d.lead
	d.lead = b[0]
	switch c := b[0]; {
	case d.kind == codeEscapes && (c == '\\' || c == '%' || c == '&'):
		n = d.escape(b)
	case unhex(c) >= 0 || letter(c):
		var kind byte
		n, kind = bareToken(b)
		d.number(b[:n], kind, lead)
	}
	d.in.Discard(n)
}

// escape takes an escape that b begins with, and returns its length.
func (d *digits) escape(b []byte) int {
	hex := func(from, most int) (v, n int) {
		for n < most && from+n < len(b) && unhex(b[from+n]) >= 0 {
			v = v<<4 | unhex(b[from+n])
			n++
		}
		return v, n
	}
	if len(b) < 2 {
		return 1
	}
	switch c, x := b[0], b[1]; {
	case c != '&' && x == 'u' && len(b) > 2 && b[2] == '{':
		v, n := hex(3, 6)
		if n > 0 {
			d.char(v)
			return 3 + n
		}
	case c != '&' && x == 'u':
		if v, n := hex(2, 4); n == 4 {
			if c == '%' { // units of two bytes, as programs in strings are written
				d.queue = append(d.queue, byte(v), byte(v>>8))
			} else {
				d.char(v)
			}
			return 6
		}
	case c == '\\' && x == 'x':
		if v, n := hex(2, 2); n == 2 {
			d.queue = append(d.queue, byte(v))
			return 4
		}
	case c == '\\' && x >= '0' && x <= '7':
		v, n := 0, 1
		for n < 4 && n < len(b) && b[n] >= '0' && b[n] <= '7' {
			v = v<<3 | int(b[n]-'0')
			n++
		}
		d.queue = append(d.queue, byte(v))
		return n
	case c == '%':
		if v, n := hex(1, 2); n == 2 {
			d.queue = append(d.queue, byte(v))
			return 3
		}
	case c == '&' && x == '#' && len(b) > 2 && b[2]|0x20 == 'x':
		if v, n := hex(3, 6); n > 0 {
			d.char(v)
			return 3 + n
		}
	case c == '&' && x == '#':
		v, n := 0, 0
		for n < 7 && 2+n < len(b) && b[2+n] >= '0' && b[2+n] <= '9' {
			v = v*10 + int(b[2+n]-'0')
			n++
		}
		if n > 0 {
			d.char(v)
			return 2 + n
		}
	}
	return 1
}

// number takes a word, in front of which lead stands.
func (d *digits) number(b []byte, kind, lead byte) {
	v := 0
	switch {
	case d.kind == codeEscapes:
		d.queue = append(d.queue, b...) // a letter among escapes is itself
		return
	case kind == 'w' && isVB(lead, b):
		for _, c := range b[1:] {
			v = v<<4 | unhex(c)
		}
		d.queue = append(d.queue, byte(v))
		return
	case d.kind == codePairs || lead == '$' && kind != 'w':
		if len(b) == 2 && unhex(b[0]) >= 0 && unhex(b[1]) >= 0 {
			d.queue = append(d.queue, byte(unhex(b[0])<<4|unhex(b[1])))
		}
		return
	case kind == 'x':
		for _, c := range b[2:] {
			v = v<<4 | unhex(c)
		}
		for i := 2; i < len(b); i += 2 { // words, the low byte first
			d.queue = append(d.queue, byte(v))
			v >>= 8
		}
		return
	case kind != 'd':
		return
	}
	for _, c := range b {
		v = v*10 + int(c-'0')
	}
	if lead == '-' && v <= 128 {
		v = 256 - v
	}
	d.char(v)
}

// char gives a code: a byte, or a character in UTF-8.
func (d *digits) char(v int) {
	if v < 256 {
		d.queue = append(d.queue, byte(v))
		return
	}
	d.queue = utf8.AppendRune(d.queue, rune(min(v, utf8.MaxRune+1)))
}

// unhex is the value of a hexadecimal digit, -1 for anything else.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unbase64 is the value of a letter of base64, in either alphabet (RFC 4648), -1 for anything else.
func unbase64(c byte) int {
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

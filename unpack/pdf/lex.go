package pdf

import (
	"bytes"
	"math"
	"slices"
)

// kind is what a value is (ISO 32000-1, 7.3).
type kind uint8

const (
	kindNone kind = iota // no value: the end, or bytes that are none
	kindWord             // true, false, null, and what is no value: endobj, stream
	kindNumber
	kindName
	kindString
	kindArray
	kindDict
	kindRef
)

// value is one object as it stands.
type value struct {
	kind  kind
	plain bool    // a string that stands in the file as it is
	n     int64   // number, its whole part; of a reference, the object
	gen   int64   // of a reference
	b     []byte  // name, string or word, undone
	list  []value // elements of an array; keys and values of a dictionary, in turn
}

const (
	maxNest    = 128     // arrays and dictionaries in each other
	maxValues  = 1 << 18 // values of one object that are kept
	maxNumbers = 1 << 10 // numbers of one array that are kept
)

// lexer reads values from bytes. What is broken is read as tolerant readers do:
// it never fails, it only ends.
type lexer struct {
	b      []byte
	at     int
	short  bool // the bytes ended within a value
	over   bool // there were more values than are kept, or deeper ones
	values int
	cost   int     // bytes that were looked at ahead, less those of comments that are known
	open   []value // of the arrays and dictionaries that are being read
	remark remark  // the last long comment
}

// remark is a stretch of a comment without the end of a line. What begins in it is a comment up to
// there too: a file may be one comment with a million objects in it.
type remark struct {
	from, to int
	ends     bool // a line ends at to; else nothing is known from there on
}

const longRemark = 256

// class tells white space (1) and delimiters (2) from regular characters (7.2.2).
func class(c byte) int {
	switch c {
	case 0, '\t', '\n', '\f', '\r', ' ':
		return 1
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return 2
	}
	return 0
}

func digit(c byte) bool { return c-'0' <= 9 }

// space skips white space and comments.
func (l *lexer) space() {
	for l.at < len(l.b) {
		switch c := l.b[l.at]; {
		case class(c) == 1:
			l.at++
		case c == '%':
			l.at = l.comment()
		default:
			return
		}
	}
}

// comment returns where the comment ends in which the lexer stands.
func (l *lexer) comment() int {
	from, at := l.at, l.at
	if r := l.remark; at >= r.from && at < r.to {
		if r.ends || r.to >= len(l.b) {
			l.cost -= min(r.to, len(l.b)) - at
			return min(r.to, len(l.b))
		}
		l.cost -= r.to - at
		from, at = r.from, r.to
	}
	i := bytes.IndexAny(l.b[at:], "\r\n")
	to := at + i
	if i < 0 {
		to = len(l.b)
	}
	if to-from >= longRemark {
		l.remark = remark{from, to, i >= 0}
	}
	return to
}

// run returns the regular characters that stand here.
func (l *lexer) run() []byte {
	from := l.at
	for l.at < len(l.b) && class(l.b[l.at]) == 0 {
		l.at++
	}
	return l.b[from:l.at]
}

// next reads one value, or a word that is none.
func (l *lexer) next(depth int) value {
	l.space()
	if l.at >= len(l.b) {
		l.short = true
		return value{}
	}
	l.values++
	switch c := l.b[l.at]; c {
	case '/':
		l.at++
		return value{kind: kindName, b: unname(l.run())}
	case '(':
		return l.literal()
	case '[':
		l.at++
		return l.array(depth)
	case '<':
		if l.at+1 < len(l.b) && l.b[l.at+1] == '<' {
			l.at += 2
			return l.dict(depth)
		}
		return l.hex()
	case ')', '>', ']', '{', '}':
		l.at++
		return value{kind: kindWord, b: l.b[l.at-1 : l.at]}
	}
	from := l.at
	w := l.run()
	if n, ok := number(w); ok {
		return l.ref(value{kind: kindNumber, n: n}, w)
	}
	if l.at == len(l.b) && from > len(l.b)-16 {
		l.short = true // it may go on
	}
	return value{kind: kindWord, b: w}
}

// ref reads on behind a number: with another one and an R it is a reference.
func (l *lexer) ref(v value, w []byte) value {
	if !digit(w[0]) || bytes.IndexByte(w, '.') >= 0 {
		return v
	}
	at := l.at
	l.space()
	gen, ok := number(l.run())
	if ok && gen >= 0 {
		if l.space(); l.at < len(l.b) && l.b[l.at] == 'R' {
			if l.at++; l.at == len(l.b) || class(l.b[l.at]) != 0 {
				return value{kind: kindRef, n: v.n, gen: gen}
			}
		}
	}
	l.cost += l.at - at
	l.at = at
	return v
}

// number reads a number, of which only the whole part counts.
func number(w []byte) (int64, bool) {
	neg := false
	for len(w) > 0 && (w[0] == '+' || w[0] == '-') {
		neg = neg || w[0] == '-'
		w = w[1:]
	}
	n, digits, dot := int64(0), 0, false
	for _, c := range w {
		switch {
		case c == '.' && !dot:
			dot = true
		case c == '-' && digits > 0: // some writers have such; what follows does not count
			dot = true
		case !digit(c):
			return 0, false
		case !dot:
			if n > (math.MaxInt64-9)/10 {
				n = (math.MaxInt64 - 9) / 10
			}
			n = n*10 + int64(c-'0')
			digits++
		default:
			digits++
		}
	}
	if neg {
		n = -n
	}
	return n, digits > 0
}

// unname undoes #xx in a name (7.3.5).
func unname(b []byte) []byte {
	i := bytes.IndexByte(b, '#')
	if i < 0 {
		return b
	}
	out := append([]byte(nil), b[:i]...)
	for ; i < len(b); i++ {
		if b[i] == '#' && i+2 < len(b) {
			hi, lo := nibble(b[i+1]), nibble(b[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

func nibble(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// array reads to the bracket.
func (l *lexer) array(depth int) value {
	v := value{kind: kindArray}
	if depth >= maxNest {
		l.over, l.short, l.at = true, true, len(l.b)
		return v
	}
	numbers, from := 0, len(l.open)
	for {
		l.space()
		if l.at < len(l.b) && l.b[l.at] == ']' {
			l.at++
			return l.close(v, from)
		}
		at := l.at
		e := l.next(depth + 1)
		switch {
		case e.kind == kindNone:
			return l.close(v, from)
		case e.kind == kindWord && ends(e.b):
			l.at = at
			return l.close(v, from)
		case e.kind == kindNumber:
			if numbers++; numbers > maxNumbers {
				continue
			}
		}
		l.keep(e)
	}
}

// keep takes values as long as they are not too many.
func (l *lexer) keep(v ...value) {
	if l.values <= maxValues {
		l.open = append(l.open, v...)
		return
	}
	for i := range v {
		if v[i].kind != kindNumber {
			l.over = true
		}
	}
}

// close gives an array or a dictionary what was kept since it began.
func (l *lexer) close(v value, from int) value {
	if from < len(l.open) {
		v.list = slices.Clone(l.open[from:])
		clear(l.open[from:])
		l.open = l.open[:from]
	}
	return v
}

// ends tells the words that end an object, whatever is open.
func ends(w []byte) bool {
	return string(w) == "endobj" || string(w) == "stream" || string(w) == "endstream" || string(w) == "obj"
}

// dict reads to ">>". Readers skip what is no key.
func (l *lexer) dict(depth int) value {
	v := value{kind: kindDict}
	if depth >= maxNest {
		l.over, l.short, l.at = true, true, len(l.b)
		return v
	}
	from := len(l.open)
	for {
		l.space()
		if bytes.HasPrefix(l.b[l.at:], []byte(">>")) {
			l.at += 2
			return l.close(v, from)
		}
		at := l.at
		key := l.next(depth + 1)
		switch {
		case key.kind == kindNone:
			return l.close(v, from)
		case key.kind == kindWord && ends(key.b):
			l.at = at
			return l.close(v, from)
		case key.kind != kindName:
			continue
		}
		l.space()
		if bytes.HasPrefix(l.b[l.at:], []byte(">>")) {
			l.at += 2
			return l.close(v, from)
		}
		at = l.at
		e := l.next(depth + 1)
		if e.kind == kindWord && ends(e.b) {
			l.at = at
			return l.close(v, from)
		}
		l.keep(key, e)
		if e.kind == kindNone {
			return l.close(v, from)
		}
	}
}

// literal reads a string in parentheses (7.3.4.2).
func (l *lexer) literal() value {
	l.at++
	from, open := l.at, 1
	for ; l.at < len(l.b); l.at++ {
		switch l.b[l.at] {
		case '\\':
			return l.escaped(from, open)
		case '\r':
			return l.escaped(from, open)
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				l.at++
				return value{kind: kindString, plain: true, b: l.b[from : l.at-1]}
			}
		}
	}
	l.short = true
	return value{kind: kindString, plain: true, b: l.b[from:]}
}

// escaped is literal from where something is to be undone.
func (l *lexer) escaped(from, open int) value {
	v := value{kind: kindString}
	v.b = append(make([]byte, 0, l.at-from+64), l.b[from:l.at]...)
	for ; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		switch c {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				l.at++
				return v
			}
		case '\r': // an end of line is one line feed
			if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
				continue
			}
			c = '\n'
		case '\\':
			v.b = l.escape(v.b)
			continue
		}
		v.b = append(v.b, c)
	}
	l.short = true
	return v
}

// escape undoes the escape at the backslash where the lexer stands, and leaves it at
// its last byte.
func (l *lexer) escape(out []byte) []byte {
	if l.at+1 >= len(l.b) {
		return out
	}
	l.at++
	switch c := l.b[l.at]; c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case '\n':
		return out
	case '\r':
		if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
			l.at++
		}
		return out
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n := int(c - '0')
		for range 2 {
			if l.at+1 >= len(l.b) || l.b[l.at+1]&^7 != '0' {
				break
			}
			l.at++
			n = n<<3 | int(l.b[l.at]-'0')
		}
		return append(out, byte(n))
	default:
		return append(out, c)
	}
}

// hex reads a string of hexadecimal digits (7.3.4.3).
func (l *lexer) hex() value {
	l.at++
	v := value{kind: kindString}
	half := -1
	for ; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		if c == '>' {
			l.at++
			if half >= 0 {
				v.b = append(v.b, byte(half<<4))
			}
			return v
		}
		n := nibble(c)
		switch {
		case n < 0:
		case half < 0:
			half = n
		default:
			v.b = append(v.b, byte(half<<4|n))
			half = -1
		}
	}
	l.short = true
	return v
}

// get returns the last value of a key, as most readers do.
func (v value) get(key string) value {
	out := value{}
	for i := 0; i+1 < len(v.list) && v.kind == kindDict; i += 2 {
		if string(v.list[i].b) == key {
			out = v.list[i+1]
		}
	}
	return out
}

// all returns each value of a key that stands more than once.
func (v value) all(keys ...string) (out []value) {
	for i := 0; i+1 < len(v.list) && v.kind == kindDict; i += 2 {
		for _, k := range keys {
			if string(v.list[i].b) == k {
				out = append(out, v.list[i+1])
			}
		}
	}
	return out
}

// is tells whether a key has a name for its value.
func (v value) is(key, name string) bool {
	for _, e := range v.all(key) {
		if e.kind == kindName && string(e.b) == name {
			return true
		}
	}
	return false
}

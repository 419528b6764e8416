package view

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind uint8

const (
	word   kind = iota // identifier or keyword
	number             // written anew from its value
	str                // content without quotes, escapes as in the source until written
	sign               // one byte
)

// token is one token of a script. renamed is the number of the declaration
// that it names, -1 for none.
type token struct {
	kind    kind
	key     bool // a reserved word
	done    bool // a string whose escapes are decoded
	renamed int32
	scope   int32 // index of the scope that it stands in
	text    []byte
}

func (t token) is(s string) bool { return t.kind != str && string(t.text) == s }

// isReserved tells whether b is a reserved word of ECMAScript 3 or one of the
// three literals.
func isReserved(b []byte) bool {
	switch string(b) {
	case "abstract", "boolean", "break", "byte", "case", "catch", "char", "class", "const", "continue", "debugger",
		"default", "delete", "do", "double", "else", "enum", "export", "extends", "false", "final", "finally", "float",
		"for", "function", "goto", "if", "implements", "import", "in", "instanceof", "int", "interface", "long", "native",
		"new", "null", "package", "private", "protected", "public", "return", "short", "static", "super", "switch",
		"synchronized", "this", "throw", "throws", "transient", "true", "try", "typeof", "var", "void", "volatile",
		"while", "with":
		return true
	}
	return false
}

// scripts writes one script after the other, in the same memory.
type scripts struct {
	tokens []token
	scopes []scope
}

// normalise writes the tokens of a script to o: strings added together are
// one, unescape("..") and eval("..") of constants are done, names declared in the script
// are n000, n001 and on, and what is left stands with as little white space as
// can be, in lower case.
func (m *scripts) normalise(o *out, src []byte) {
	ts, rest, whole := lex(m.tokens[:0], src)
	m.tokens = ts
	if !whole {
		o.cut = true
	}
	if rest.kind == str && rest.text != nil {
		ts = append(ts, rest)
	}
	d := declarations{scopes: append(m.scopes[:0], scope{up: -1})}
	d.read(ts, 0)
	ts = evaluate(fold(ts), &d)
	d.resolve(ts)
	if m.scopes = d.scopes; d.cut {
		o.cut = true
	}
	open := 0
	for i := range ts {
		switch {
		case ts[i].kind == str || len(ts[i].text) != 1:
		case ts[i].text[0] == '(':
			open++
		case ts[i].text[0] == ')' && open > 0:
			open--
		}
	}
	if open == 0 {
		ts = withoutEnd(ts)
	}
	o.puts([]byte("<script>"))
	writeTokens(o, ts)
	for ; open > 0; open-- {
		o.put(')')
	}
	o.puts([]byte("</script>"))
}

// withoutEnd drops the tokens of an end tag from the end.
func withoutEnd(ts []token) []token {
	n := len(ts) - 4
	if n >= 0 && ts[n].is("<") && ts[n+1].is("/") && ts[n+2].renamed < 0 &&
		bytes.EqualFold(ts[n+2].text, []byte("script")) && ts[n+3].is(">") {
		return ts[:n]
	}
	return ts
}

// writeTokens writes tokens in lower case, with a space between two words, or
// numbers; after a word that follows a dot only if it ends in a letter or digit.
func writeTokens(o *out, ts []token) {
	wordy := false
	for i := range ts {
		t := &ts[i]
		w := t.kind == word || t.kind == number
		if w && wordy {
			o.put(' ')
		}
		wordy = w
		switch {
		case t.renamed >= 0:
			o.puts(nameOf(t.renamed))
		case t.kind == str:
			o.put('"')
			from := len(o.b)
			o.lowered(t.string())
			for i, c := range o.b[from:] {
				if space(c) {
					o.b[from+i] = ' '
				}
			}
			o.put('"')
		default:
			o.lowered(t.text)
			if t.kind == word && dotted(ts, i) {
				n := len(t.text)
				wordy = n > 0 && wordByte(t.text[n-1]) && t.text[n-1] != '_' && t.text[n-1] != '$'
			}
		}
	}
}

// nameOf is the name of a declaration: n and its number, of three digits at least.
func nameOf(n int32) []byte {
	b := append(make([]byte, 0, 12), 'n')
	for least := int32(100); least > 1 && n < least; least /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// string returns the content of a string token with its escapes decoded.
func (t *token) string() []byte {
	if !t.done {
		t.text, t.done = unquote(t.text), true
	}
	return t.text
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
}

// maxTokens bounds the tokens of one script.
const maxTokens = 1 << 20

// lex cuts a script into tokens behind those of in, and whole is false if they are too many. rest is a word, number or string that the end
// cut off; only such a string counts for the caller. A comment after // ends
// at white space, which is how ClamAV's does, since its input has no line ends left.
func lex(in []token, p []byte) (ts []token, rest token, whole bool) {
	ts = in
	add := func(k kind, b []byte) {
		if len(ts) == cap(ts) {
			ts = slices.Grow(ts, len(ts)+16)
		}
		ts = append(ts, token{kind: k, renamed: -1, text: b, key: k == word && isReserved(b)})
	}
	for i := 0; i < len(p); {
		if len(ts) >= maxTokens {
			return ts, rest, false
		}
		c, from := p[i], i
		switch {
		case c == '"' || c == '\'':
			for i++; i < len(p) && (p[i] != c || p[i-1] == '\\'); i++ {
			}
			if i == len(p) {
				return ts, token{kind: str, renamed: -1, text: p[from+1 : i : i]}, true
			}
			add(str, p[from+1:i:i])
			i++
		case c == '/' && i+1 < len(p) && p[i+1] == '/':
			i = lineEnd(p, i)
		case c == '/' && i+1 < len(p) && p[i+1] == '*':
			n := bytes.Index(p[i+2:], []byte("*/"))
			if n < 0 {
				return ts, rest, true
			}
			i += 2 + n + 2
		case c >= '0' && c <= '9':
			if i = numberEnd(p, i); i == len(p) {
				return ts, rest, true
			}
			add(number, numeral(p[from:i]))
		case wordByte(c) || c == '\\':
			var w []byte
			w, i = wordAt(p, i)
			if i == len(p) && (c != '\\' || len(w) > 0) {
				return ts, rest, true
			}
			add(word, w)
		case c > ' ' && c < 0x7f && c != '#' && c != '@' && c != '`':
			add(sign, p[i:i+1:i+1])
			i++
		default:
			i++
		}
	}
	return ts, rest, true
}

// wordAt returns the word at i and where it ends. A backslash ends a word and
// is dropped, or is an empty word of its own; of one before a u, the u is dropped.
func wordAt(p []byte, i int) ([]byte, int) {
	var w []byte
	from := i
	for ; i < len(p); i++ {
		switch {
		case wordByte(p[i]):
		case p[i] == '\\' && i+1 < len(p) && p[i+1] == 'u':
			w = append(w, p[from:i+1]...)
			i++
			from = i + 1
		case p[i] == '\\':
			return append(w, p[from:i]...), i + 1
		default:
			return append(w, p[from:i]...), i
		}
	}
	return append(w, p[from:i]...), i
}

// lineEnd returns where the comment after // at i ends.
func lineEnd(p []byte, i int) int {
	for ; i < len(p) && p[i] != '\n' && p[i] != ' '; i++ {
	}
	return i
}

// numberEnd returns where the number at i ends: digits, and then a fraction
// with an exponent.
func numberEnd(p []byte, i int) int {
	digits := func() {
		for ; i < len(p) && p[i] >= '0' && p[i] <= '9'; i++ {
		}
	}
	digits()
	if i == len(p) || p[i] != '.' {
		return i
	}
	i++
	digits()
	if i < len(p) && (p[i] == 'e' || p[i] == 'E') {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		digits()
	}
	return i
}

// numeral writes a number as C's %d or %g does.
func numeral(b []byte) []byte {
	if len(b) < 10 && (b[0] != '0' || len(b) == 1) && bytes.IndexByte(b, '.') < 0 {
		return b // as most are
	}
	s := string(b)
	if !strings.Contains(s, ".") {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			v = -1
		}
		return strconv.AppendInt(nil, int64(int32(v)), 10)
	}
	s = strings.TrimRight(s, "+-eE")
	v, _ := strconv.ParseFloat(s, 64)
	return formatG(v)
}

// formatG is C's %g: six significant digits, trailing zeros dropped, an
// exponent of at least two digits where it is below -4 or above 5.
func formatG(v float64) []byte {
	e := strconv.FormatFloat(v, 'e', 5, 64)
	mant, exp, ok := strings.Cut(e, "e")
	x, err := strconv.Atoi(exp)
	if !ok || err != nil {
		return []byte(strings.ToLower(strings.TrimPrefix(e, "+")))
	}
	if x < -4 || x >= 6 {
		return []byte(strings.TrimSuffix(strings.TrimRight(mant, "0"), ".") + "e" + exp)
	}
	f := strconv.FormatFloat(v, 'f', 5-x, 64)
	if strings.Contains(f, ".") {
		f = strings.TrimSuffix(strings.TrimRight(f, "0"), ".")
	}
	return []byte(f)
}

// fold joins strings with a + between them.
func fold(ts []token) []token {
	o := ts[:0]
	joined := false // the last of o owns its bytes
	for i := 0; i < len(ts); i++ {
		n := len(o)
		if ts[i].is("+") && ts[i].kind == sign && n > 0 && o[n-1].kind == str && i+1 < len(ts) && ts[i+1].kind == str {
			l := &o[n-1]
			if !joined {
				l.text = append([]byte{}, l.string()...)
				joined = true
			}
			l.text = append(l.text, ts[i+1].string()...)
			i++
			continue
		}
		joined = false
		o = append(o, ts[i])
	}
	return o
}

// evaluate replaces unescape("..") and eval("..") by what they give. What
// eval gives is not evaluated again; its declarations are d's last.
func evaluate(ts []token, d *declarations) []token {
	o := ts[:0]
	call := func(i int, name string) bool {
		return ts[i].kind == word && ts[i].is(name) && i+3 < len(ts) && ts[i+1].is("(") && ts[i+2].kind == str &&
			!dotted(ts, i)
	}
	found := false
	// First unescape, then eval, which may have it as its argument.
	for i := 0; i < len(ts); i++ {
		found = found || ts[i].is("eval")
		if !call(i, "unescape") {
			o = append(o, ts[i])
			continue
		}
		t := ts[i+2]
		t.text, t.done = unescape(t.string()), true
		o = append(o, t)
		i += 3
	}
	if !found {
		return o
	}
	ts, o = o, make([]token, 0, len(o))
	for i := 0; i < len(ts); i++ {
		if !call(i, "eval") || !ts[i+3].is(")") {
			o = append(o, ts[i])
			continue
		}
		t := ts[i+2]
		in, _, whole := lex(nil, t.string())
		d.cut = d.cut || !whole
		d.read(in, int(ts[i].scope))
		o = append(o, in...)
		i += 3
		if i+1 < len(ts) && ts[i+1].is(";") {
			i++
		}
	}
	return o
}

// unescape decodes %hh and %uhhhh; the latter, and a zero byte as 1, as UTF-8.
func unescape(b []byte) []byte {
	o := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+5 < len(b) && b[i+1] == 'u' {
			if u, ok := hexUnit(b[i+2 : i+6]); ok && unhex(b[i+2]) >= 0 && unhex(b[i+3]) >= 0 && unhex(b[i+4]) >= 0 {
				o = appendUnit(o, u)
				i += 5
				continue
			}
		}
		if b[i] == '%' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi >= 0 && lo >= 0 {
				o = append(o, max(byte(hi<<4|lo), 1))
				i += 2
				continue
			}
		}
		o = append(o, b[i])
	}
	return o
}

// hexUnit reads four hexadecimal digits.
func hexUnit(b []byte) (u rune, ok bool) {
	for _, c := range b {
		v := unhex(c)
		ok = v >= 0
		u = u<<4 | rune(max(v, 0))
	}
	return u, ok
}

// appendUnit appends a UTF-16 unit as UTF-8, surrogates too, and 0 as 1.
func appendUnit(o []byte, u rune) []byte {
	if u >= 0xd800 && u < 0xe000 {
		return append(o, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0x3f, 0x80|byte(u)&0x3f)
	}
	return utf8.AppendRune(o, max(u, 1))
}

// unquote decodes the escapes of a string.
func unquote(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	o := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 >= len(b) {
			o = append(o, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'x':
			o, i = unquoteHex(o, b, i)
		case 'u':
			if i+4 >= len(b) {
				o = append(o, '\\')
				continue
			}
			u, ok := hexUnit(b[i+1 : i+5])
			if !ok { // only the last digit decides
				u = 0xffff
			}
			o = appendUnit(o, u)
			i += 4
		case 'n':
			o = append(o, '\n')
		case 't':
			o = append(o, '\t')
		case 'r':
			o = append(o, '\r')
		case 'b':
			o = append(o, '\b')
		case 'f':
			o = append(o, '\f')
		case 'v':
			o = append(o, '\v')
		case '0':
			o = append(o, 1)
		default:
			o = append(o, c)
		}
	}
	return o
}

// unquoteHex decodes \xhh, with the x at i. What is no digit gives 0xff in
// the second place and counts as 0 in the first.
func unquoteHex(o, b []byte, i int) ([]byte, int) {
	if i+2 >= len(b) {
		return append(o, '\\'), len(b)
	}
	hi, lo := max(unhex(b[i+1]), 0), unhex(b[i+2])
	if lo < 0 {
		return append(o, 0xff), i + 2
	}
	return append(o, max(byte(hi<<4|lo), 1)), i + 2
}

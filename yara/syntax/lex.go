package syntax

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/showcause/showcause/yara/source"
)

// kind is what a token is.
type kind uint8

const (
	tEOF  kind = iota
	tWord      // identifier or keyword
	tInt
	tFloat
	tText
	tRegexp
	tName // $a #a @a !a, with or without letters
	tSign // operators and brackets
	tBad  // told already
)

// token is one token. text is as it stands; start and end are offsets.
type token struct {
	kind       kind
	text       string
	start, end int
}

// lexer makes tokens of a text. It tells what is wrong with one to report.
type lexer struct {
	src      *source.Source
	text     string
	pos      int
	dialect  source.Dialect
	comments []Comment
	report   func(code source.Code, start, end int, title, label string)
}

// longestName is the most letters of an identifier (YARA documentation).
const longestName = 128

// signs are the tokens of more than one sign; all others are one byte.
var signs = [...]string{"<<", ">>", "==", "!=", "<=", ">="}

// next is the next token.
func (l *lexer) next() token {
	l.space()
	start := l.pos
	if start >= len(l.text) {
		return token{kind: tEOF, start: start, end: start}
	}
	c := l.text[start]
	switch {
	case isLetter(c):
		l.pos++
		return l.word(tWord, start)
	case isDigit(c):
		return l.number(start)
	case c == '"':
		return l.quoted(start)
	case c == '/':
		return l.regexp(start)
	}
	for _, s := range signs {
		if strings.HasPrefix(l.text[start:], s) {
			l.pos += len(s)
			return l.token(tSign, start)
		}
	}
	switch c {
	case '$', '#', '@', '!':
		l.pos++
		return l.word(tName, start)
	}
	l.pos++
	if strings.IndexByte(`{}()[]:=,.*%+-\&|^~<>`, c) >= 0 {
		return l.token(tSign, start)
	}
	return l.stray(start)
}

func (l *lexer) token(k kind, start int) token {
	return token{k, l.text[start:l.pos], start, l.pos}
}

// stray tells of a byte that begins no token.
func (l *lexer) stray(start int) token {
	r, n := utf8.DecodeRuneInString(l.text[start:])
	l.pos = start + n
	if r == utf8.RuneError && n <= 1 {
		l.report(source.InvalidUTF8, start, l.pos, "text that is not UTF-8", "this byte")
	} else {
		l.report(source.SyntaxError, start, l.pos, fmt.Sprintf("unexpected character %q", r), "it begins nothing")
	}
	return l.token(tBad, start)
}

// space passes white space and comments.
func (l *lexer) space() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			l.pos++
		case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "/*"):
			if !l.comment() {
				return
			}
		case rest[0] >= 0x80 && l.dialect != source.YARA && unicodeSpace(rest) > 0:
			l.pos += unicodeSpace(rest)
		case l.pos == 0 && strings.HasPrefix(rest, "\xEF\xBB\xBF"): // byte order mark
			l.pos += 3
		default:
			return
		}
	}
}

// unicodeSpace is the length of a space that YARA-X takes for one.
func unicodeSpace(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == 0xA0, r >= 0x2000 && r <= 0x200A, r == 0x202F, r == 0x205F:
		return n
	}
	return 0
}

// comment passes one comment and keeps it. It says whether it has an end.
func (l *lexer) comment() bool {
	start := l.pos
	rest := l.text[start:]
	n := len(rest)
	if rest[1] == '/' {
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			n = i
		}
	} else {
		i := strings.Index(rest[2:], "*/")
		if i < 0 && l.dialect == source.YARAX {
			l.report(source.UnclosedText, start, start+2, "comment without an end", "it begins here")
			l.pos = len(l.text)
			return false
		}
		if n = i + 4; i < 0 { // YARA lets the end of the text end it
			rest = strings.TrimRight(rest, " \t\r\n")
			n = len(rest)
			l.pos = len(l.text) - n
		}
	}
	l.pos += n
	text := strings.TrimRight(rest[:n], "\r")
	l.comments = append(l.comments, Comment{source.Span{Start: l.src.At(start), End: l.src.At(start + len(text))}, text})
	return true
}

// word takes letters, digits and underscores.
func (l *lexer) word(k kind, start int) token {
	for l.pos < len(l.text) && (isLetter(l.text[l.pos]) || isDigit(l.text[l.pos])) {
		l.pos++
	}
	if l.pos-start > longestName+1 || k == tWord && l.pos-start > longestName {
		l.report(source.IdentifierTooLong, start, l.pos, "identifier too long",
			fmt.Sprintf("%d letters, at most %d", l.pos-start, longestName))
		return l.token(tBad, start)
	}
	return l.token(k, start)
}

// number takes an integer or a float; 1_000 is YARA-X's (parser/src/tokenizer).
func (l *lexer) number(start int) token {
	digits := func(ok func(byte) bool) { // YARA-X takes underscores behind the first
		for l.pos < len(l.text) && (ok(l.text[l.pos]) || l.text[l.pos] == '_' && l.dialect != source.YARA) {
			l.pos++
		}
	}
	if rest := l.text[start:]; len(rest) > 2 && rest[0] == '0' {
		if rest[1] == 'x' && isHex(rest[2]) || rest[1] == 'o' && isOctal(rest[2]) {
			l.pos += 2
			if rest[1] == 'x' {
				digits(isHex)
			} else {
				digits(isOctal)
			}
			return l.token(tInt, start)
		}
	}
	digits(isDigit)
	rest := l.text[l.pos:]
	if len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
		l.pos++
		digits(isDigit)
		return l.token(tFloat, start)
	}
	if strings.HasPrefix(rest, "KB") || strings.HasPrefix(rest, "MB") {
		l.pos += 2
	}
	return l.token(tInt, start)
}

// quoted takes a text: "..." in one line, or """...""" over many (YARA-X).
func (l *lexer) quoted(start int) token {
	closing := `"`
	if l.dialect != source.YARA && strings.HasPrefix(l.text[start:], `"""`) &&
		strings.Contains(l.text[start+3:], `"""`) {
		closing = `"""`
	}
	for i := start + len(closing); i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == '\\':
			i++
			if i < len(l.text) && l.text[i] == '\n' && closing == `"` {
				i = len(l.text)
			}
		case c == '"' && strings.HasPrefix(l.text[i:], closing):
			l.pos = i + len(closing)
			return l.token(tText, start)
		case c == '\n' && closing == `"`:
			i = len(l.text)
		}
	}
	return l.unclosed(start, "text")
}

// unclosed tells of a text or expression that the line ends before, and goes on
// after the line.
func (l *lexer) unclosed(start int, what string) token {
	end := len(l.text)
	if i := strings.IndexByte(l.text[start:], '\n'); i >= 0 {
		end = start + i
	}
	l.pos = end
	l.report(source.UnclosedText, start, start+1, what+" without an end", "it begins here and the line ends before it does")
	return l.token(tBad, start)
}

// regexp takes /.../ and the letters after it.
func (l *lexer) regexp(start int) token {
	for i := start + 1; i < len(l.text) && l.text[i] != '\n'; i++ {
		switch l.text[i] {
		case '\\':
			i++
			if i < len(l.text) && l.text[i] == '\n' {
				return l.unclosed(start, "regular expression")
			}
		case '/':
			l.pos = i + 1
			l.flags()
			return l.token(tRegexp, start)
		}
	}
	return l.unclosed(start, "regular expression")
}

// flags takes the letters after a regular expression. YARA takes i and then s
// and leaves the rest, so that /a/nocase is two tokens; YARA-X takes two letters
// whatever they are.
func (l *lexer) flags() {
	run := l.pos
	for run < len(l.text) && isLetter(l.text[run]) {
		run++
	}
	letters := l.text[l.pos:run]
	switch {
	case l.dialect == source.YARAX:
		l.pos += min(2, len(letters))
	case l.dialect == source.Either && letters == "si":
		l.pos += 2
	default:
		rest := strings.TrimPrefix(letters, "i")
		l.pos = run - len(strings.TrimPrefix(rest, "s"))
	}
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isOctal(c byte) bool  { return c >= '0' && c <= '7' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// hexDigit is the value of a hexadecimal digit.
func hexDigit(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// unescape is the bytes that a text between its quotes stands for. bad is the
// offset of an escape that means nothing, -1 if there is none.
func unescape(raw string, d source.Dialect) (text string, bad int) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, -1
	}
	var b bytes.Buffer
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			continue
		}
		if i+1 >= len(raw) {
			return "", i
		}
		i++
		switch c := raw[i]; c {
		case '0': // YARA-X's (parser/src/ast/cst2ast.rs)
			if d == source.YARA {
				return "", i - 1
			}
			b.WriteByte(0)
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '"', '\\':
			b.WriteByte(c)
		case 'x':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", i - 1
			}
			b.WriteByte(hexDigit(raw[i+1])<<4 | hexDigit(raw[i+2]))
			i += 2
		default:
			return "", i - 1
		}
	}
	return b.String(), -1
}

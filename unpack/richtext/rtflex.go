package richtext

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// What an RTF document is made of ("Rich Text Format Specification" 1.9.1, Conventions).
const (
	rtfEnd    = iota
	rtfOpen   // {
	rtfClose  // }
	rtfWord   // \word, \word12, with the space behind it
	rtfSymbol // \*, \~, \', with the two digits behind the last one
	rtfRun    // anything else, as much as there is in one piece
)

// maxRTFWord is how many letters of a control word Word reads: what is behind them is text
// to it.
const maxRTFWord = 250

// rtfToken is one of them. What it points to is good until the next one.
type rtfToken struct {
	kind  int
	at    int64
	word  []byte // letters of a word, or the text
	digit []byte // of a word's number, without its sign
	param int64  // the number, 2^31-1 at most
	sign  bool   // it is negative
	c     byte   // the symbol
	value int    // behind \', -1 where there are no two digits
}

// rtfLexer takes an RTF document apart. It charges a step for eight bytes.
type rtfLexer struct {
	src showcause.Source
	out *unpack.Out
	buf []byte
	i   int   // in buf
	at  int64 // of buf[i] in the layer
	end int64
	eof bool // nothing is behind buf
	cut bool // for work

	again *int64 // bytes that may still be read once more; nil for what is read once
}

func newRTFLexer(src showcause.Source, out *unpack.Out, from, to int64) *rtfLexer {
	return &rtfLexer{src: src, out: out, at: from, end: to}
}

// reread returns a lexer for what stands from a place on and was read before: data may begin in
// each other, and are not read without end.
func (d *rtfDocument) reread(from int64) *rtfLexer {
	l := newRTFLexer(d.src, d.out, from, d.src.Size())
	l.again = &d.again
	return l
}

// rtfAhead is how many bytes a token of one piece can have.
const rtfAhead = 1 << 10

// fill has at least n bytes in buf, or all there are.
func (l *rtfLexer) fill(n int) {
	for len(l.buf)-l.i < n && !l.eof {
		rest := copy(l.buf, l.buf[l.i:])
		l.buf, l.i = l.buf[:rest], 0
		if cap(l.buf) == 0 {
			size := int64(64 << 10)
			if l.again != nil {
				size = 4 << 10 // most are short
			}
			l.buf = make([]byte, 0, min(size, max(l.end-l.at, 16)))
		}
		if cap(l.buf) == rest {
			l.buf = append(make([]byte, 0, 64<<10), l.buf...)
		}
		from := l.at + int64(rest)
		want := min(int64(cap(l.buf)-rest), l.end-from)
		if want <= 0 {
			l.eof = true
			return
		}
		if !l.out.Work(want/8+1) || l.again != nil && *l.again < 0 {
			l.eof, l.cut = true, true
			return
		}
		k, err := l.src.ReadAt(l.buf[rest:rest+int(want)], from)
		l.buf = l.buf[:rest+max(k, 0)]
		if k <= 0 || err != nil && int64(k) < want {
			l.eof = true
		}
	}
}

func (l *rtfLexer) step(n int) []byte {
	b := l.buf[l.i : l.i+n]
	l.i += n
	l.at += int64(n)
	if l.again != nil {
		*l.again -= int64(n)
	}
	return b
}

// raw returns up to n bytes as they are, as many as are at hand.
func (l *rtfLexer) raw(n int64) []byte {
	l.fill(1)
	return l.step(int(min(n, int64(len(l.buf)-l.i))))
}

// next returns the next token.
func (l *rtfLexer) next() rtfToken {
	l.fill(rtfAhead)
	b := l.buf[l.i:]
	t := rtfToken{at: l.at}
	if len(b) == 0 {
		return t
	}
	switch b[0] {
	case '{':
		t.kind = rtfOpen
		l.step(1)
	case '}':
		t.kind = rtfClose
		l.step(1)
	case '\\':
		l.control(b, &t)
	default:
		n := bytes.IndexAny(b, `{}\`)
		if n < 0 {
			n = len(b)
		}
		t.kind, t.word = rtfRun, l.step(n)
	}
	return t
}

// control reads what a backslash begins.
func (l *rtfLexer) control(b []byte, t *rtfToken) {
	n := 1
	for n < len(b) && n <= maxRTFWord && isLetter(b[n]) {
		n++
	}
	if n == 1 {
		l.symbol(b, t)
		return
	}
	t.kind, t.word = rtfWord, b[1:n]
	if n <= maxRTFWord {
		k := n
		if k < len(b) && b[k] == '-' {
			k++
		}
		first := k
		for k < len(b) && k-first < maxRTFWord && b[k] >= '0' && b[k] <= '9' {
			t.param = min(t.param*10+int64(b[k]-'0'), 1<<31-1)
			k++
		}
		if k > first {
			t.digit, t.sign = b[first:k], first > n
			n = k
		}
		if n < len(b) && b[n] == ' ' {
			n++
		}
	}
	l.step(n)
}

func (l *rtfLexer) symbol(b []byte, t *rtfToken) {
	t.kind, t.value = rtfSymbol, -1
	if len(b) < 2 {
		l.step(1)
		return
	}
	t.c = b[1]
	n := 2
	if t.c == '\'' && len(b) >= 4 && hexDigit(b[2]) >= 0 && hexDigit(b[3]) >= 0 {
		t.value = hexDigit(b[2])<<4 | hexDigit(b[3])
		n = 4
	}
	l.step(n)
}

// is tells whether the token is a control word.
func (t *rtfToken) is(word string) bool { return t.kind == rtfWord && string(t.word) == word }

// binary is how many bytes as they are follow the token.
func (t *rtfToken) binary() int64 {
	if t.is("bin") && !t.sign {
		return t.param
	}
	return 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// hexDigit is the value of a digit, -1 of what is none.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

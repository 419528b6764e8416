package clamsig

import (
	"io"
	"strings"
)

const (
	maxLine  = 1 << 20   // bytes of one line
	readSize = 256 << 10 // bytes read at a time
)

// lineReader cuts a stream into lines. The lines are parts of one string for
// each block that was read, so that a line costs no allocation.
type lineReader struct {
	r     io.Reader
	buf   []byte
	block string
	pos   int
	done  bool
	err   error
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: r} }

// next returns the next line without its end. Of a line longer than maxLine
// only the beginning is returned, with long set. The end is io.EOF.
func (l *lineReader) next() (line string, long bool, err error) {
	for {
		if i := strings.IndexByte(l.block[l.pos:], '\n'); i >= 0 {
			line = l.block[l.pos : l.pos+i]
			l.pos += i + 1
			if len(line) > maxLine {
				return line[:maxLine], true, nil
			}
			return strings.TrimRight(line, "\r"), false, nil
		}
		rest := l.block[l.pos:]
		if l.done {
			l.block, l.pos = "", 0
			if l.err != io.EOF {
				return "", false, l.err
			}
			if rest == "" {
				return "", false, io.EOF
			}
			if len(rest) > maxLine {
				return rest[:maxLine], true, nil
			}
			return strings.TrimRight(rest, "\r"), false, nil
		}
		if len(rest) > maxLine {
			rest = rest[:maxLine]
			return rest, true, l.drop()
		}
		l.fill(rest)
	}
}

// fill makes the block that begins with rest.
func (l *lineReader) fill(rest string) {
	if l.buf == nil {
		l.buf = make([]byte, 0, readSize)
	}
	l.buf = append(l.buf[:0], rest...)
	n := len(l.buf)
	if cap(l.buf)-n < readSize {
		l.buf = append(l.buf, make([]byte, readSize)...)[:n]
	}
	m, err := io.ReadAtLeast(l.r, l.buf[n:n+readSize], 1)
	if err != nil {
		l.done, l.err = true, err
	}
	l.block, l.pos = string(l.buf[:n+m]), 0
}

// drop forgets the rest of a line that is too long.
func (l *lineReader) drop() error {
	for {
		l.fill("")
		if i := strings.IndexByte(l.block, '\n'); i >= 0 {
			l.pos = i + 1
			return nil
		}
		l.pos = len(l.block)
		if l.done {
			if l.err != io.EOF {
				return l.err
			}
			return nil
		}
	}
}

// split cuts s at sep into at most len(to) fields, the last of which holds the
// rest, and returns their number.
func split(s string, sep byte, to []string) int {
	for n := range to[:len(to)-1] {
		i := strings.IndexByte(s, sep)
		if i < 0 {
			to[n] = s
			return n + 1
		}
		to[n], s = s[:i], s[i+1:]
	}
	to[len(to)-1] = s
	return len(to)
}

// number reads decimal digits, of which there may be none, as ClamAV's
// isnumber and atoi together do. Large numbers stop at 1<<62.
func number(s string) (n int64, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int64(s[i]-'0'); n > 1<<58 {
			n = 1 << 58
		}
	}
	return n, true
}

// leading reads the digits that s begins with, after blanks and a plus sign,
// as scanf's %u does, and returns what follows them.
func leading(s string) (n int64, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\v\f\r\n")
	s = strings.TrimPrefix(s, "+")
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, _ = number(s[:i])
	return n, s[i:], i > 0
}

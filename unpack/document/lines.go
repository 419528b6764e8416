package document

import (
	"bytes"
	"io"

	"github.com/showcause/showcause"
)

// eolMode says what ends a line.
type eolMode uint8

const (
	eolLF   eolMode = iota // LF; CRs before it belong to the line end
	eolAny                 // LF, CR or CRLF
	eolCRLF                // CRLF only
	eolModes
)

// lineBuffer is the size in bytes of the buffer of lines, and of the longest
// line that comes in one piece.
const lineBuffer = 64 << 10

// line is one line, or a piece of one too long for the buffer.
type line struct {
	off   int64  // where text stands in the source
	text  []byte // without the line end; valid until the next call
	next  int64  // offset after the line end
	first bool   // text is the line's beginning
	last  bool   // text is the line's end
	crlf  bool   // the line ends in CRLF
	eof   bool   // no line end: the source ended
}

// lines reads a stretch of a source line by line.
type lines struct {
	src  showcause.Source
	mode eolMode
	end  int64 // offset in src where the stretch ends
	at   int64 // offset in src of buf[0]
	buf  []byte
	r, w int
	cont bool // the next piece continues a line
	// fills counts bytes read since the caller last reset it; it is what is charged as work.
	fills int64
	err   error // from src, but for its end
}

// newLines reads [start, end) of src with the given buffer of at least 16 bytes.
func newLines(src showcause.Source, start, end int64, mode eolMode, buf []byte) lines {
	end = min(max(end, 0), src.Size())
	start = min(max(start, 0), end)
	return lines{src: src, mode: mode, at: start, end: end, buf: buf[:cap(buf)]}
}

// next returns the next line or piece; false at the end.
func (l *lines) next() (line, bool) {
	from := l.r
	for {
		if i, n := l.find(from); n > 0 {
			return l.cut(i, n, true), true
		}
		from = l.w
		if l.mode != eolLF && l.w > l.r && l.buf[l.w-1] == '\r' {
			from--
		}
		if l.r == 0 && l.w == len(l.buf) {
			i := l.w
			for i > 1 && l.buf[i-1] == '\r' && l.w-i < 4 {
				i--
			}
			return l.cut(i, 0, false), true
		}
		from -= l.r
		if !l.fill() {
			if l.w == l.r {
				return line{}, false
			}
			ln := l.cut(l.w, 0, true)
			ln.eof = true
			return ln, true
		}
	}
}

// cut takes buf[r:i] as a piece that n bytes of line end follow.
func (l *lines) cut(i, n int, last bool) line {
	text := l.buf[l.r:i]
	crlf := n == 2
	if l.mode == eolLF && n == 1 {
		for len(text) > 0 && text[len(text)-1] == '\r' {
			text, crlf = text[:len(text)-1], true
		}
	}
	ln := line{off: l.at + int64(l.r), text: text, next: l.at + int64(i+n), first: !l.cont, last: last, crlf: crlf}
	l.r = i + n
	l.cont = !last
	return ln
}

// find returns where the first line end at or after from stands, and its
// length; 0 where the buffer has none that is complete.
func (l *lines) find(from int) (int, int) {
	b := l.buf[:l.w]
	switch l.mode {
	case eolAny:
		for i := from; i < len(b); i++ {
			if b[i] == '\n' {
				return i, 1
			}
			if b[i] != '\r' {
				continue
			}
			if i+1 < len(b) {
				if b[i+1] == '\n' {
					return i, 2
				}
				return i, 1
			}
			if l.at+int64(l.w) >= l.end {
				return i, 1
			}
		}
	case eolCRLF:
		for i := from; i < len(b); {
			j := bytes.IndexByte(b[i:], '\n')
			if j < 0 {
				break
			}
			i += j
			if i > l.r && b[i-1] == '\r' {
				return i - 1, 2
			}
			i++
		}
	default:
		if j := bytes.IndexByte(b[from:], '\n'); j >= 0 {
			return from + j, 1
		}
	}
	return 0, 0
}

// fill moves what is left to the front and reads on; false at the end.
func (l *lines) fill() bool {
	if l.r > 0 {
		copy(l.buf, l.buf[l.r:l.w])
		l.at += int64(l.r)
		l.w -= l.r
		l.r = 0
	}
	at := l.at + int64(l.w)
	want := min(int64(len(l.buf)-l.w), l.end-at)
	if want <= 0 {
		return false
	}
	n, err := l.src.ReadAt(l.buf[l.w:l.w+int(want)], at)
	n = max(n, 0)
	l.w += n
	l.fills += int64(n)
	if int64(n) < want {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		l.err = err
		l.end = at + int64(n)
	}
	return n > 0
}

// hasFold tells whether b starts with the lower-case prefix, in any case.
func hasFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}

// blank tells whether a line is empty but for white space.
func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

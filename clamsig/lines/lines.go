// Package lines cuts a stream into lines, without an allocation for each.
package lines

import (
	"io"
	"strings"
)

const (
	// Max is how many bytes of a line are returned.
	Max      = 1 << 20
	readSize = 256 << 10 // bytes read at a time
)

// Reader cuts a stream into lines. The lines are parts of one string for
// each block that was read, so that a line costs no allocation.
type Reader struct {
	r     io.Reader
	buf   []byte
	block string
	pos   int
	done  bool
	err   error
}

// New returns a Reader.
func New(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next line without its end. Of a line longer than Max
// only the beginning is returned, with long set. The end is io.EOF.
func (l *Reader) Next() (line string, long bool, err error) {
	for {
		if i := strings.IndexByte(l.block[l.pos:], '\n'); i >= 0 {
			line = l.block[l.pos : l.pos+i]
			l.pos += i + 1
			if len(line) > Max {
				return line[:Max], true, nil
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
			if len(rest) > Max {
				return rest[:Max], true, nil
			}
			return strings.TrimRight(rest, "\r"), false, nil
		}
		if len(rest) > Max {
			rest = rest[:Max]
			return rest, true, l.drop()
		}
		l.fill(rest)
	}
}

// fill makes the block that begins with rest.
func (l *Reader) fill(rest string) {
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
func (l *Reader) drop() error {
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

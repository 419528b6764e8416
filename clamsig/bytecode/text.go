package bytecode

import "fmt"

// Error says why a program was not loaded.
type Error struct {
	Line  int // of the file, from 1
	Cause string
	// Skip tells that nothing is wrong with the program but that it is for another
	// engine: a format, a level or a function that ClamAV 1.4 does not have.
	// ClamAV passes over such a file in silence.
	Skip bool
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Cause) }

// cursor reads one line. Numbers are nibbles in the low halves of the bytes 0x60
// to 0x6f, the least first; a byte in front, 0x60 to 0x70, says how many.
type cursor struct {
	s    string
	off  int
	line int
	err  *Error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Line: c.line, Cause: fmt.Sprintf(format, args...)}
	}
}

// peek is the byte at the cursor, 0 at the line's end.
func (c *cursor) peek() byte {
	if c.off < len(c.s) {
		return c.s[c.off]
	}
	return 0
}

func (c *cursor) number() uint64 { return c.digits(c.peek()) }

// digits reads a number whose first byte stands for head.
func (c *cursor) digits(head byte) uint64 {
	if c.err != nil {
		return 0
	}
	if head < 0x60 || head > 0x70 {
		c.fail("column %d: a number expected, not %q", c.off+1, string(c.s[min(c.off, len(c.s)):min(c.off+1, len(c.s))]))
		return 0
	}
	c.off++
	return c.nibbles(int(head - 0x60))
}

func (c *cursor) nibbles(n int) uint64 {
	if c.err != nil {
		return 0
	}
	if c.off+n > len(c.s) {
		c.fail("column %d: the line ends within a number", c.off+1)
		return 0
	}
	v := uint64(0)
	for i := range n {
		b := c.s[c.off+i]
		if b&0xf0 != 0x60 {
			c.fail("column %d: %q in a number", c.off+i+1, string(b))
			return 0
		}
		v |= uint64(b&15) << (4 * i)
	}
	c.off += n
	return v
}

// count reads a number of things that still have to stand on the line, or in the
// rest of the file, at least one byte each.
func (c *cursor) count(what string, most int) int {
	n := c.number()
	if n > uint64(most) {
		c.fail("%d %s, more than there is text for", n, what)
		return 0
	}
	return int(n)
}

// data reads "|", a length, and as many bytes of two nibbles each.
func (c *cursor) data() []byte {
	if c.err == nil && c.peek() != '|' {
		c.fail("column %d: data expected, not %q", c.off+1, string(c.peek()))
	}
	if c.err != nil {
		return nil
	}
	c.off++
	n := c.count("bytes of data", len(c.s)/2)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.nibbles(2))
	}
	if c.err != nil {
		return nil
	}
	return b
}

// text reads data that ends with a NUL.
func (c *cursor) text() string {
	b := c.data()
	if len(b) == 0 {
		return ""
	}
	if b[len(b)-1] != 0 {
		c.fail("column %d: a text without its NUL", c.off+1)
		return ""
	}
	return string(b[:len(b)-1])
}

func (c *cursor) letter(want byte, what string) {
	if c.err != nil {
		return
	}
	if c.peek() != want {
		c.fail("column %d: no %s, which begins with %q", c.off+1, what, string(want))
		return
	}
	c.off++
}

func (c *cursor) end() {
	if c.err == nil && c.off != len(c.s) {
		c.fail("column %d: more than the line should have", c.off+1)
	}
}

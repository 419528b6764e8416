package rule

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Compare is a byte comparison of ClamAV's: a number in the layer, counted from where the
// last match of another pattern begins (ClamAV documentation, "Byte Compare Subsignatures").
type Compare struct {
	From   int   // the pattern, none that is decided later
	Offset int64 // bytes from there
	Form   NumberForm
	Little bool  // the number is little-endian; of digits, their order is turned
	Exact  bool  // of digits: all bytes have to be digits
	Width  uint8 // bytes
	Tests  []CompareTest
}

// CompareTest is one comparison: all of them must hold.
type CompareTest struct {
	Cmp   Cmp
	Value int64
}

// NumberForm is how a number stands in the layer.
type NumberForm uint8

// The forms.
const (
	Binary      NumberForm = iota // 1, 2, 4 or 8 bytes
	Hexadecimal                   // digits
	Decimal
	AnyDigits // hexadecimal if they begin with "0x", or else decimal
	NoNumber  // the options have no meaning: it never holds
	forms
)

// A stored comparison is form u8 | 16: little | 32: exact, width u8, offset i64, count u8,
// then {cmp u8, value i64}.
const (
	compareLittle = 16
	compareExact  = 32
	maxTests      = 2
	maxDigits     = 18 // hexadecimal
)

// Encode returns the comparison as it is stored in a database, but for From.
func (c *Compare) Encode() ([]byte, error) {
	b := []byte{byte(c.Form), c.Width}
	if c.Little {
		b[0] |= compareLittle
	}
	if c.Exact {
		b[0] |= compareExact
	}
	b = append(le.AppendUint64(b, uint64(c.Offset)), byte(len(c.Tests)))
	for _, t := range c.Tests {
		b = le.AppendUint64(append(b, byte(t.Cmp)), uint64(t.Value))
	}
	_, err := DecodeCompare(b)
	return b, err
}

// DecodeCompare reads a stored comparison.
func DecodeCompare(b []byte) (c Compare, err error) {
	bad := func() (Compare, error) { return c, fmt.Errorf("comparison: %w", ErrProgram) }
	if len(b) < 11 || len(b) != 11+9*int(b[10]) {
		return bad()
	}
	c = Compare{
		Form: NumberForm(b[0] & 15), Little: b[0]&compareLittle != 0, Exact: b[0]&compareExact != 0, Width: b[1],
		Offset: int64(le.Uint64(b[2:])),
	}
	binary := c.Form == Binary
	if b[0]&^(15|compareLittle|compareExact) != 0 || c.Form >= forms || binary && c.Width != 1 && c.Width != 2 && c.Width != 4 && c.Width != 8 ||
		c.Width == 0 || c.Form == Hexadecimal && c.Width > maxDigits || b[10] == 0 || b[10] > maxTests {
		return bad()
	}
	for b = b[11:]; len(b) > 0; b = b[9:] {
		if b[0] > byte(Less) {
			return bad()
		}
		c.Tests = append(c.Tests, CompareTest{Cmp(b[0]), int64(le.Uint64(b[1:]))})
	}
	return c, nil
}

// Place returns where the number stands in a layer of some size, if a match begins at; not ok
// if it is not there. At offset 0 ClamAV sees none.
func (c *Compare) Place(at, size int64) (off int64, ok bool) {
	if c.Offset > math.MaxInt64-at {
		return 0, false
	}
	off = at + c.Offset
	return off, off > 0 && off <= size-int64(c.Width)
}

// Holds tells whether the comparison holds of the bytes that stand there.
func (c *Compare) Holds(b []byte) bool {
	v, ok := c.number(b)
	for _, t := range c.Tests {
		switch t.Cmp {
		case Greater:
			ok = ok && v > t.Value
		case Equal:
			ok = ok && v == t.Value
		default:
			ok = ok && v < t.Value
		}
	}
	return ok
}

func (c *Compare) number(b []byte) (v int64, ok bool) {
	switch c.Form {
	case Binary:
		u := uint64(0)
		for i := range b {
			if c.Little {
				u |= uint64(b[i]) << (8 * i)
			} else {
				u = u<<8 | uint64(b[i])
			}
		}
		return int64(u), true
	case NoNumber:
		return 0, false
	}
	digits := bytes.TrimLeft(b, " \t\n\v\f\r")
	padded := len(digits) < len(b)
	n := len(digits)
	if c.Form == AnyDigits && n < 3 { // clamscan makes nothing of these
		return 0, false
	}
	base := int64(10)
	if prefix := n >= 3 && prefixed(digits); c.Form == Hexadecimal || c.Form == AnyDigits && prefix {
		base = 16
		if c.Little {
			digits = turned(digits, prefix)
		}
	} else if c.Little {
		return 0, false
	}
	v, took, ok := parse(digits, base)
	return v, ok && (!c.Exact || took == n && !padded)
}

func prefixed(b []byte) bool { return len(b) >= 2 && b[0] == '0' && b[1]|0x20 == 'x' }

// turned returns hexadecimal digits with the order of their pairs turned, as clamscan does
// it: what stands before the last one that is no digit counts for nothing.
func turned(b []byte, prefix bool) []byte {
	if len(b) < 2 {
		return b
	}
	in := b
	if len(b)%2 != 0 {
		in = append([]byte{'0'}, b...)
		if prefix {
			in = append([]byte("x00"), b[2:]...)
		}
	} else if prefix {
		in = append([]byte{'x'}, b[1:]...)
	}
	out := bytes.Repeat([]byte{'0'}, len(in))
	for i := 0; i < len(in); i += 2 {
		for k := range 2 {
			c := in[len(in)-i-2+k]
			if _, digit := digit(c); !digit && c|0x20 != 'x' {
				copy(out, bytes.Repeat([]byte{'0'}, len(out)))
				break
			}
			out[i+k] = c
		}
	}
	return out
}

func digit(c byte) (v int64, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}

// parse reads a number as C's strtol does, and tells how many bytes it took; not ok if it is
// too large.
func parse(b []byte, base int64) (v int64, took int, ok bool) {
	i, negative := 0, false
	for i < len(b) && strings.IndexByte(" \t\n\v\f\r", b[i]) >= 0 {
		i++
	}
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		negative = b[i] == '-'
		i++
	}
	if base == 16 && prefixed(b[i:]) {
		i += 2
	}
	ok = true
	for ; i < len(b); i++ {
		d, is := digit(b[i])
		if !is || d >= base {
			break
		}
		took = i + 1
		if v > (math.MaxInt64-d)/base {
			ok = false
			continue
		}
		v = v*base + d
	}
	if negative {
		v = -v
	}
	return v, took, ok
}

// Package mailcode undoes what mail encodes its parts with: base64, quoted-printable and yEnc,
// and the character sets in which ASCII text does not stand as it is. Readers of mail
// disagree over what is malformed, so that each coding has the ways they go, and a
// Reader says which of them its input had a choice of.
package mailcode

import (
	"bytes"
	"io"
	"slices"
)

// Saw says what a Reader met that readers of mail treat differently.
type Saw uint8

const (
	SawJunk    Saw = 1 << iota // bytes outside the alphabet
	SawPadding                 // base64: more after the padding
	SawURL                     // base64: '-' or '_', the alphabet of RFC 4648 section 5
	SawEscape                  // quoted-printable: "=" without two hexadecimal digits
)

// A Reader pulls input in blocks through a Coding.
type Reader struct {
	in     io.Reader
	buf    []byte // input
	out    []byte // what coding gave
	pos    int    // of out
	err    error
	head   []byte
	saw    Saw
	coding Coding
}

// A Coding is one of Base64, Quoted, YEnc, Wide and UTF7. It serves one Reader.
type Coding interface {
	// decode turns input into output. The last call has no input and end set. It
	// returns io.EOF where the encoding ends before its input does.
	decode(d *Reader, in []byte, end bool) error
}

// HeadSize is how many bytes of its output a Reader keeps for a look.
const HeadSize = 256

// NewReader returns what undoes c in in, by way of buf.
func NewReader(in io.Reader, c Coding, buf []byte) *Reader {
	return &Reader{in: in, buf: buf[:cap(buf)], coding: c}
}

// Head returns the first HeadSize bytes of what was read.
func (d *Reader) Head() []byte { return d.head }

// Saw says what was met so far.
func (d *Reader) Saw() Saw { return d.saw }

// Read implements io.Reader.
func (d *Reader) Read(p []byte) (int, error) {
	for d.pos == len(d.out) {
		if d.err != nil {
			return 0, d.err
		}
		d.out, d.pos = d.out[:0], 0
		n, err := d.in.Read(d.buf)
		end := err != nil
		if serr := d.coding.decode(d, d.buf[:n], end); serr != nil {
			err = serr
		}
		d.err = err
		if k := HeadSize - len(d.head); k > 0 {
			d.head = append(d.head, d.out[:min(k, len(d.out))]...)
		}
	}
	n := copy(p, d.out[d.pos:])
	d.pos += n
	return n, nil
}

const (
	b64Junk  = 0x40
	b64Pad   = 0x41
	b64Space = 0x42
)

// base64Table maps a byte to its six bits, or to one of the classes above.
var base64Table = func() (t [256]byte) {
	for i := range t {
		t[i] = b64Junk
	}
	for i := range 26 {
		t['A'+i], t['a'+i] = byte(i), byte(26+i)
	}
	for i := range 10 {
		t['0'+i] = byte(52 + i)
	}
	t['+'], t['/'], t['='] = 62, 63, b64Pad
	for _, c := range " \t\r\n" {
		t[c] = b64Space
	}
	return t
}()

// IsBase64 tells whether c is one of base64's 64 characters.
func IsBase64(c byte) bool { return base64Table[c] < b64Junk }

// Padding says what base64 padding does.
type Padding uint8

const (
	PadGoesOn Padding = iota // ends its group of four; what follows is decoded on
	PadEnds                  // ends the content
	PadIsJunk                // is skipped like any other foreign byte
)

// Base64 decodes base64 (RFC 2045 section 6.8), skipping foreign bytes.
type Base64 struct {
	Pad Padding
	URL bool // '-' and '_' are 62 and 63

	acc    uint32
	n      int // characters in acc
	padded bool
}

func (s *Base64) decode(d *Reader, in []byte, end bool) error {
	for i := 0; i < len(in); {
		if s.n == 0 && !s.padded {
			i += fours(d, in[i:])
		}
		if i == len(in) {
			break
		}
		c := in[i]
		i++
		v := base64Table[c]
		if c == '-' || c == '_' {
			d.saw |= SawURL
			if s.URL {
				v = 62
				if c == '_' {
					v = 63
				}
			}
		}
		switch {
		case v < b64Junk:
			if s.padded {
				d.saw |= SawPadding
				if s.Pad == PadEnds {
					return io.EOF
				}
				s.padded = false
			}
			s.acc = s.acc<<6 | uint32(v)
			if s.n++; s.n == 4 {
				d.out = append(d.out, byte(s.acc>>16), byte(s.acc>>8), byte(s.acc))
				s.acc, s.n = 0, 0
			}
		case v == b64Pad && s.Pad != PadIsJunk:
			s.flush(d)
			s.padded = true
		case v == b64Junk:
			d.saw |= SawJunk
		}
	}
	if end {
		s.flush(d)
	}
	return nil
}

// fours decodes groups of four characters for as long as nothing else comes, and
// returns how many characters that were.
func fours(d *Reader, in []byte) int {
	at := len(d.out)
	d.out = slices.Grow(d.out, len(in)/4*3)
	out := d.out[at : at+len(in)/4*3]
	i, n := 0, 0
	for ; i+4 <= len(in) && n+3 <= len(out); i, n = i+4, n+3 {
		four, three := in[i:i+4:i+4], out[n:n+3:n+3]
		a, b, c, e := base64Table[four[0]], base64Table[four[1]], base64Table[four[2]], base64Table[four[3]]
		if a|b|c|e >= b64Junk {
			break
		}
		three[0], three[1], three[2] = a<<2|b>>4, b<<4|c>>2, c<<6|e
	}
	d.out = d.out[:at+n]
	return i
}

// flush gives what an incomplete group of four holds.
func (s *Base64) flush(d *Reader) {
	switch s.n {
	case 2:
		d.out = append(d.out, byte(s.acc>>4))
	case 3:
		d.out = append(d.out, byte(s.acc>>10), byte(s.acc>>2))
	}
	s.acc, s.n = 0, 0
}

// Quoted decodes quoted-printable (RFC 2045 section 6.7): white space
// before a line end goes, a "=" that starts no escape stays or is dropped.
type Quoted struct {
	Drop bool   // drop a "=" that starts no escape
	held []byte // "=..." or white space that may turn out to be more
}

// maxHeld is how much white space is looked past for a line end.
const maxHeld = 1024

func (s *Quoted) decode(d *Reader, in []byte, end bool) error {
	for i := 0; i < len(in); {
		c := in[i]
		if len(s.held) == 0 {
			j := i
			for j < len(in) && in[j] != '=' && in[j] != ' ' && in[j] != '\t' {
				j++
			}
			d.out = append(d.out, in[i:j]...)
			i = j
			if i < len(in) {
				s.held = append(s.held, in[i])
				i++
			}
			continue
		}
		if s.held[0] == '=' {
			if s.escape(d, c) {
				i++
			}
			continue
		}
		switch {
		case c == '\r' || c == '\n':
			s.held = s.held[:0]
		case (c == ' ' || c == '\t') && len(s.held) < maxHeld:
			s.held = append(s.held, c)
			i++
		default:
			d.out = append(d.out, s.held...)
			s.held = s.held[:0]
		}
	}
	if end && len(s.held) > 0 {
		if s.held[0] == '=' {
			if len(s.held) > 1 && len(bytes.TrimLeft(s.held[1:], " \t\r\n")) > 0 {
				s.broken(d)
			}
			s.held = s.held[:0]
		}
		d.out = append(d.out, s.held...)
		s.held = s.held[:0]
	}
	return nil
}

// escape goes on with an escape that is held, and tells whether c was taken.
func (s *Quoted) escape(d *Reader, c byte) bool {
	hi := -1
	if len(s.held) == 2 {
		hi = unhex(s.held[1])
	}
	switch {
	case len(s.held) == 1 && unhex(c) >= 0:
		s.held = append(s.held, c)
		return true
	case hi >= 0 && unhex(c) >= 0:
		d.out = append(d.out, byte(hi<<4|unhex(c)))
		s.held = s.held[:0]
		return true
	case hi >= 0:
		s.broken(d)
		return false
	case c == '\n': // a soft line break
		s.held = s.held[:0]
		return true
	case s.held[len(s.held)-1] == '\r': // a soft line break that was CR alone
		s.held = s.held[:0]
		return false
	case (c == ' ' || c == '\t' || c == '\r') && len(s.held) < maxHeld:
		s.held = append(s.held, c)
		return true
	}
	s.broken(d)
	return false
}

// broken gives an escape that was none.
func (s *Quoted) broken(d *Reader) {
	d.saw |= SawEscape
	if s.Drop {
		s.held = s.held[1:]
	}
	d.out = append(d.out, s.held...)
	s.held = s.held[:0]
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// YEnc decodes yEnc 1.3: each byte plus 42, "=" before a critical one
// that has 64 added, line ends without meaning.
type YEnc struct{ esc bool }

func (s *YEnc) decode(d *Reader, in []byte, _ bool) error {
	for _, c := range in {
		switch {
		case c == '\r' || c == '\n':
		case s.esc:
			d.out = append(d.out, c-64-42)
			s.esc = false
		case c == '=':
			s.esc = true
		default:
			d.out = append(d.out, c-42)
		}
	}
	return nil
}

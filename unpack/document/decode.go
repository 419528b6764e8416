package document

import (
	"io"
	"slices"

	"github.com/showcause/showcause/internal/codec"
)

// flags says what a decoder met that decoders treat differently.
type flags uint8

const (
	sawJunk    flags = 1 << iota // bytes outside the alphabet
	sawPadding                   // base64: more after the padding
	sawURL                       // base64: '-' or '_', the alphabet of RFC 4648 section 5
	sawEscape                    // quoted-printable: "=" without two hexadecimal digits
)

// decoder is a Reader that pulls input in blocks through step.
type decoder struct {
	in    io.Reader
	buf   []byte // input
	out   []byte // what step gave
	pos   int    // of out
	err   error
	head  []byte // the first sniffed bytes of the output
	flags flags
	step  stepper
}

// stepper turns input into output. The last call has no input and end set.
// It returns io.EOF where the encoding ends before its input does.
type stepper interface {
	decode(d *decoder, in []byte, end bool) error
}

// sniffed is how many bytes of a decoder's output are kept for a look.
const sniffed = 256

func newDecoder(in io.Reader, s stepper, buf []byte) *decoder {
	return &decoder{in: in, buf: buf[:cap(buf)], step: s}
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	for d.pos == len(d.out) {
		if d.err != nil {
			return 0, d.err
		}
		d.out, d.pos = d.out[:0], 0
		n, err := d.in.Read(d.buf)
		end := err != nil
		if serr := d.step.decode(d, d.buf[:n], end); serr != nil {
			err = serr
		}
		d.err = err
		if k := sniffed - len(d.head); k > 0 {
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

// padding says what base64 padding does.
type padding uint8

const (
	padGoesOn padding = iota // ends its group of four; what follows is decoded on
	padEnds                  // ends the content
	padIsJunk                // is skipped like any other foreign byte
)

// base64Step decodes base64 (RFC 2045 section 6.8), skipping foreign bytes.
type base64Step struct {
	pad    padding
	url    bool // '-' and '_' are 62 and 63
	acc    uint32
	n      int // characters in acc
	padded bool
}

func (s *base64Step) decode(d *decoder, in []byte, end bool) error {
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
			d.flags |= sawURL
			if s.url {
				v = 62
				if c == '_' {
					v = 63
				}
			}
		}
		switch {
		case v < b64Junk:
			if s.padded {
				d.flags |= sawPadding
				if s.pad == padEnds {
					return io.EOF
				}
				s.padded = false
			}
			s.acc = s.acc<<6 | uint32(v)
			if s.n++; s.n == 4 {
				d.out = append(d.out, byte(s.acc>>16), byte(s.acc>>8), byte(s.acc))
				s.acc, s.n = 0, 0
			}
		case v == b64Pad && s.pad != padIsJunk:
			s.flush(d)
			s.padded = true
		case v == b64Junk:
			d.flags |= sawJunk
		}
	}
	if end {
		s.flush(d)
	}
	return nil
}

// fours decodes groups of four characters for as long as nothing else comes, and
// returns how many characters that were.
func fours(d *decoder, in []byte) int {
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
func (s *base64Step) flush(d *decoder) {
	switch s.n {
	case 2:
		d.out = append(d.out, byte(s.acc>>4))
	case 3:
		d.out = append(d.out, byte(s.acc>>10), byte(s.acc>>2))
	}
	s.acc, s.n = 0, 0
}

// quotedStep decodes quoted-printable (RFC 2045 section 6.7): white space
// before a line end goes, a "=" that starts no escape stays or is dropped.
type quotedStep struct {
	drop bool   // drop a "=" that starts no escape
	held []byte // "=..." or white space that may turn out to be more
}

// maxHeld is how much white space is looked past for a line end.
const maxHeld = 1024

func (s *quotedStep) decode(d *decoder, in []byte, end bool) error {
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
			if len(s.held) > 1 && !blank(s.held[1:]) {
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
func (s *quotedStep) escape(d *decoder, c byte) bool {
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
func (s *quotedStep) broken(d *decoder) {
	d.flags |= sawEscape
	if s.drop {
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

// uuReader decodes the lines of a uuencoded block (POSIX uuencode): a first
// character that counts the bytes, then four characters for three bytes. Lines
// that are not of that form are skipped.
type uuReader struct {
	in   lines
	out  []byte
	pos  int
	skip bool // a line was skipped
}

// Read implements io.Reader.
func (u *uuReader) Read(p []byte) (int, error) {
	for u.pos == len(u.out) {
		ln, ok := u.in.next()
		if !ok {
			return 0, io.EOF
		}
		u.out, u.pos = u.out[:0], 0
		if !ln.first {
			continue
		}
		n, ok := codec.UULine(ln.text, false)
		if !ok {
			u.skip = u.skip || !blank(ln.text) && string(ln.text) != "end"
			continue
		}
		u.out = codec.UUDecode(u.out, ln.text[1:], n)
	}
	n := copy(p, u.out[u.pos:])
	u.pos += n
	return n, nil
}

// yencStep decodes yEnc 1.3: each byte plus 42, "=" before a critical one
// that has 64 added, line ends without meaning.
type yencStep struct{ esc bool }

func (s *yencStep) decode(d *decoder, in []byte, _ bool) error {
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

package mailcode

import (
	"unicode/utf16"
	"unicode/utf8"
)

// units turns UTF-16 code units into UTF-8. What is no character is U+FFFD.
type units struct{ high rune }

func (u *units) add(d *Reader, r rune) {
	if u.high != 0 {
		if pair := utf16.DecodeRune(u.high, r); pair != utf8.RuneError {
			d.out = utf8.AppendRune(d.out, pair)
			u.high = 0
			return
		}
		u.end(d)
	}
	if r >= 0xd800 && r < 0xdc00 {
		u.high = r
		return
	}
	d.out = utf8.AppendRune(d.out, r)
}

// end ends a pair that lacks its second unit.
func (u *units) end(d *Reader) {
	if u.high != 0 {
		d.out = utf8.AppendRune(d.out, utf8.RuneError)
		u.high = 0
	}
}

// Wide decodes UTF-16 and UTF-32 (The Unicode Standard, section 3.10).
type Wide struct {
	Size int // bytes of a unit
	Big  bool

	acc uint32
	n   int // bytes in acc
	units
}

func (s *Wide) decode(d *Reader, in []byte, end bool) error {
	for _, c := range in {
		if s.Big {
			s.acc = s.acc<<8 | uint32(c)
		} else {
			s.acc |= uint32(c) << (8 * s.n)
		}
		if s.n++; s.n < s.Size {
			continue
		}
		if s.Size == 2 {
			s.add(d, rune(s.acc))
		} else {
			d.out = utf8.AppendRune(d.out, rune(min(s.acc, utf8.MaxRune+1)))
		}
		s.acc, s.n = 0, 0
	}
	if end {
		s.units.end(d)
		if s.n > 0 {
			d.out = utf8.AppendRune(d.out, utf8.RuneError)
			s.n = 0
		}
	}
	return nil
}

// UTF7 decodes UTF-7 (RFC 2152): "+", base64 of UTF-16 in big-endian order, and
// "-" or any other character; "+-" is a plus sign.
type UTF7 struct {
	shifted bool
	some    bool // something came after the "+"
	acc     uint32
	bits    int
	units
}

func (s *UTF7) decode(d *Reader, in []byte, end bool) error {
	for _, c := range in {
		v := base64Table[c]
		switch {
		case !s.shifted && c == '+':
			s.shifted, s.some, s.acc, s.bits = true, false, 0, 0
		case !s.shifted:
			d.out = append(d.out, c)
		case v < b64Junk:
			s.some = true
			s.acc = s.acc<<6 | uint32(v)
			if s.bits += 6; s.bits >= 16 {
				s.bits -= 16
				s.add(d, rune(s.acc>>s.bits&0xffff))
			}
		default:
			s.units.end(d)
			s.shifted = false
			if c != '-' {
				d.out = append(d.out, c)
			} else if !s.some {
				d.out = append(d.out, '+')
			}
		}
	}
	if end {
		s.units.end(d)
	}
	return nil
}

package authenticode

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth    = 32
	maxElements = 1 << 18 // of one file
)

// The tags that are looked for.
const (
	tagInteger   = 2
	tagBits      = 3
	tagOctets    = 4
	tagOID       = 6
	tagUTF8      = 12
	tagPrintable = 19
	tagTeletex   = 20
	tagIA5       = 22
	tagUTCTime   = 23
	tagTime      = 24
	tagUniversal = 28
	tagBMP       = 30
	tagSequence  = 16
	tagSet       = 17
)

// element is one element in BER (X.690): of the universal class unless context is
// set.
type element struct {
	tag         int
	context     bool
	constructed bool
	raw         []byte // all of it
	body        []byte
}

// is tells whether an element has a universal tag.
func (e element) is(tag int) bool { return !e.context && e.tag == tag }

// field tells whether an element is a field with a tag of its own.
func (e element) field(tag int) bool { return e.context && e.tag == tag }

// budget bounds the elements of one file.
type budget struct {
	left int
	work func(int64) bool
	cut  bool
}

func (b *budget) step() bool {
	if b.left--; b.left < 0 || b.work != nil && !b.work(1) {
		b.cut = true
	}
	return !b.cut
}

// next reads the element at the start of data.
func (b *budget) next(data []byte) (e element, rest []byte, ok bool) {
	return b.nested(data, 0)
}

func (b *budget) nested(data []byte, depth int) (e element, rest []byte, ok bool) {
	if len(data) < 2 || depth > maxDepth || !b.step() {
		return e, nil, false
	}
	e.constructed, e.context, e.tag = data[0]&0x20 != 0, data[0]>>6 == 2, int(data[0]&0x1f)
	if class := data[0] >> 6; e.tag == 0x1f || class == 1 || class == 3 {
		e.tag = -1 // nothing here has one: it is stepped over
	}
	at := 1
	if data[0]&0x1f == 0x1f {
		for at < len(data) && data[at]&0x80 != 0 {
			at++
		}
		at++
	}
	if at >= len(data) {
		return e, nil, false
	}
	n := int(data[at])
	at++
	switch {
	case n == 0x80:
		return b.indefinite(e, data, at, depth)
	case n > 0x84 || n > 0x80 && len(data)-at < n-0x80:
		return e, nil, false
	case n > 0x80:
		k := n - 0x80
		var v uint64
		for _, c := range data[at : at+k] {
			v = v<<8 | uint64(c)
		}
		at += k
		if v > uint64(len(data)) {
			return e, nil, false
		}
		n = int(v)
	}
	if n > len(data)-at {
		return e, nil, false
	}
	e.raw, e.body = data[:at+n], data[at:at+n]
	return e, data[at+n:], true
}

// indefinite reads an element whose end is marked by two zeros.
func (b *budget) indefinite(e element, data []byte, at, depth int) (element, []byte, bool) {
	rest := data[at:]
	for {
		if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
			end := len(data) - len(rest)
			e.raw, e.body = data[:end+2], data[at:end]
			return e, rest[2:], e.constructed
		}
		var ok bool
		if _, rest, ok = b.nested(rest, depth+1); !ok {
			return e, nil, false
		}
	}
}

// children reads the elements of a body, as far as they can be read; ok says
// whether that is all.
func (b *budget) children(body []byte) (out []element, ok bool) {
	for len(body) > 0 {
		e, rest, ok := b.next(body)
		if !ok {
			return out, false
		}
		out, body = append(out, e), rest
	}
	return out, true
}

// octets are the bytes of an octet string, of its parts if it is made of parts.
func (b *budget) octets(e element) []byte {
	if !e.constructed {
		return e.body
	}
	parts, _ := b.children(e.body)
	var out []byte
	for _, p := range parts {
		out = append(out, b.octets(p)...)
	}
	return out
}

// oid is an object identifier in dotted decimal.
func oid(e element) string {
	if !e.is(tagOID) || len(e.body) == 0 || len(e.body) > 64 {
		return ""
	}
	var out strings.Builder
	v := uint64(0)
	first := true
	for i, c := range e.body {
		if v > 1<<56 {
			return ""
		}
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			if i == len(e.body)-1 {
				return ""
			}
			continue
		}
		if first {
			top := min(v/40, 2)
			out.WriteString(strconv.FormatUint(top, 10))
			v -= top * 40
			first = false
		}
		out.WriteByte('.')
		out.WriteString(strconv.FormatUint(v, 10))
		v = 0
	}
	return out.String()
}

// text is a string in UTF-8, and whether its type is one of a string's.
func text(e element) (string, bool) {
	switch e.tag {
	case tagUTF8, tagPrintable, tagIA5:
		return string(e.body), utf8.Valid(e.body)
	case tagTeletex:
		return latin(e.body), true
	case tagBMP:
		return bmp(e.body), len(e.body)%2 == 0
	case tagUniversal:
		var out strings.Builder
		for b := e.body; len(b) >= 4; b = b[4:] {
			out.WriteRune(rune(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])))
		}
		return out.String(), len(e.body)%4 == 0
	}
	return "", false
}

// latin is ISO 8859-1 as UTF-8.
func latin(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String()
}

// bmp is UTF-16BE as UTF-8.
func bmp(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])<<8|uint16(b[1]))
	}
	return string(utf16.Decode(units))
}

// moment is a time in seconds since 1970.
func moment(e element) (int64, bool) {
	s := string(e.body)
	if len(s) > 32 {
		return 0, false
	}
	layouts := []string{"060102150405Z0700", "0601021504Z0700", "060102150405"}
	if e.is(tagTime) {
		layouts = []string{"20060102150405Z0700", "200601021504Z0700", "20060102150405.999999999Z0700", "20060102150405"}
	} else if !e.is(tagUTCTime) {
		return 0, false
	}
	for _, l := range layouts {
		t, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		// Years of two digits are those from 1950 on.
		if e.is(tagUTCTime) && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0)
		}
		return t.Unix(), true
	}
	return 0, false
}

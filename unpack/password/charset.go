package password

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Readings returns a text as UTF-8 in each way that its bytes allow, whatever is said of
// its character set: as it is; from UTF-16 where the bytes look like that; and where they
// are no UTF-8, from KOI8-R and from windows-1251 too, in which a word for "password" may stand that is
// not of ASCII.
func Readings(text []byte) [][]byte {
	text = text[:min(len(text), MaxText)]
	if big, ok := wide(text); ok {
		return [][]byte{narrow(text, big)}
	}
	if n, ok := whole(text); ok {
		return [][]byte{text[:n]}
	}
	return [][]byte{text, from(text, koi8), from(text, windows1251)}
}

// decoded is the text of a mail's subject, whose encoded words (RFC 2047) decode to
// the bytes b of a character set: as they are, but for UTF-16.
func decoded(charset string, b []byte) []byte {
	if name := strings.ToLower(charset); strings.HasPrefix(name, "utf-16") || strings.HasPrefix(name, "utf16") || strings.HasPrefix(name, "ucs-2") {
		big, ok := wide(b)
		return narrow(b, ok && big || !ok && !strings.HasSuffix(name, "le"))
	}
	return b
}

// whole tells whether a text is UTF-8, and where a letter begins that is cut at its end.
func whole(text []byte) (n int, ok bool) {
	if utf8.Valid(text) {
		return len(text), true
	}
	for n < len(text) {
		r, k := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && k == 1 {
			return n, !utf8.FullRune(text[n:])
		}
		n += k
	}
	return n, true
}

// wide tells whether a text looks like UTF-16, of which letters of Europe have a high byte of 4
// at most, and in which order its bytes are.
func wide(text []byte) (big, ok bool) {
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		return false, true
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		return true, true
	}
	var low [2]int // at even and at odd places
	n := min(len(text), 512) / 2 * 2
	for i, c := range text[:n] {
		if c <= 4 {
			low[i%2]++
		}
	}
	enough := max(n/2*9/10, 4)
	return low[0] > low[1], n >= 8 && (low[0] >= enough || low[1] >= enough)
}

// narrow is a text in UTF-16 as UTF-8.
func narrow(text []byte, big bool) []byte {
	units := make([]uint16, 0, len(text)/2)
	for ; len(text) >= 2; text = text[2:] {
		u := uint16(text[0]) | uint16(text[1])<<8
		if big {
			u = u<<8 | u>>8
		}
		units = append(units, u)
	}
	out := []byte{}
	for _, r := range utf16.Decode(units) {
		if r != 0xfeff {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// from is a text of one byte a letter as UTF-8.
func from(text []byte, letter func(byte) rune) []byte {
	out := slices.Grow([]byte{}, 2*len(text))
	for _, c := range text {
		r := rune(c)
		if c >= 0x80 {
			r = letter(c)
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// koi8 is a letter of KOI8-R (RFC 1489); what is none is a space.
func koi8(c byte) rune {
	const small = "юабцдефгхийклмнопярстужвьызшэщчъ"
	switch {
	case c == 0xa3:
		return 'ё'
	case c == 0xb3:
		return 'Ё'
	case c >= 0xe0:
		return []rune(small)[c-0xe0] - 0x20
	case c >= 0xc0:
		return []rune(small)[c-0xc0]
	}
	return ' '
}

// windows1251 is a letter or quotation mark of windows-1251 (Unicode, CP1251.TXT); what is none is a space.
func windows1251(c byte) rune {
	switch {
	case c >= 0xc0:
		return 0x410 + rune(c-0xc0)
	case c == 0xa8:
		return 'Ё'
	case c == 0xb8:
		return 'ё'
	case c == 0x93, c == 0x94, c == 0xab, c == 0xbb, c == 0x84:
		return '"'
	}
	return ' '
}

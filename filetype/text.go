package filetype

import (
	"bytes"
	"encoding/binary"
)

// textWindow is how many bytes at the start decide whether a file is text:
// as many as ClamAV looks at.
const textWindow = 1024

// isText tells the bytes below 0x80 that appear in text: printable ones, BEL,
// BS, HT, LF, FF, CR and ESC (ASCII with what terminals and printers use).
func isText(c byte) bool {
	return c >= 0x20 && c != 0x7f || c >= 7 && c <= 13 && c != 11 || c == 0x1b
}

const (
	noText   = 1 << iota // a byte that does not appear in text
	highByte             // one of 0x80 and above
)

// textClass is what each byte says of a text that it is in.
var textClass = func() (t [256]byte) {
	for i := range t {
		if !isText(byte(i)) {
			t[i] |= noText
		}
		if i >= 0x80 {
			t[i] |= highByte
		}
	}
	return t
}()

// text tells text from data by the first bytes, and its encoding. Bytes of
// 0x80 and above are those of some one-byte encoding if they are not UTF-8;
// ClamAV calls either ASCII.
func text(head []byte) Type {
	w := head[:min(len(head), textWindow)]
	seen := byte(0)
	for _, c := range w {
		seen |= textClass[c]
	}
	plain, high := seen&noText == 0, seen&highByte != 0
	switch {
	case plain && !high:
		return script(w)
	case plain && hasPrefix(w, "\xff\xfe") && utf16(w, binary.LittleEndian):
		// Without a control character ClamAV calls this ASCII as well; the mark
		// is clearer.
		return UTF16LE
	case plain && hasPrefix(w, "\xfe\xff") && utf16(w, binary.BigEndian):
		return UTF16BE
	case plain && utf8(w):
		return script8(w)
	case plain:
		return script(w)
	case hasPrefix(w, "\xff\xfe") && utf16(w, binary.LittleEndian):
		return UTF16LE
	case hasPrefix(w, "\xfe\xff") && utf16(w, binary.BigEndian):
		return UTF16BE
	case mostlyLatin(w, 1) && utf16(w, binary.LittleEndian):
		return UTF16LE
	case mostlyLatin(w, 0) && utf16(w, binary.BigEndian):
		return UTF16BE
	}
	return Unknown
}

func script(w []byte) Type {
	if hasPrefix(w, "#!") {
		return Script
	}
	return Text
}

func script8(w []byte) Type {
	if hasPrefix(w, "#!") {
		return Script
	}
	return UTF8
}

// utf8 tells whether w is UTF-8 in its first form, with sequences of up to
// six bytes, as ClamAV allows; the last may be cut.
func utf8(w []byte) bool {
	for i := 0; i < len(w); i++ {
		c, n := w[i], 0
		switch {
		case c < 0x80:
			continue
		case c>>5 == 6:
			n = 1
		case c>>4 == 14:
			n = 2
		case c>>3 == 30:
			n = 3
		case c>>2 == 62:
			n = 4
		case c>>1 == 126:
			n = 5
		default:
			return false
		}
		for ; n > 0; n-- {
			if i++; i == len(w) {
				return true
			}
			if w[i]>>6 != 2 {
				return false
			}
		}
	}
	return true
}

// utf16 tells whether w, in the given order, has no control characters.
func utf16(w []byte, o binary.ByteOrder) bool {
	for ; len(w) >= 2; w = w[2:] {
		if c := o.Uint16(w); c == 0xfffe || c < 0x80 && !isText(byte(c)) {
			return false
		}
	}
	return true
}

// mostlyLatin tells whether at least half of the two-byte units have a zero
// at the given place. Without it any compressed data would be UTF-16 without
// a mark, as more than half of it is to ClamAV.
func mostlyLatin(w []byte, zero int) bool {
	n, units := 0, len(w)/2
	for i := 0; i+1 < len(w); i += 2 {
		if w[i+zero] == 0 {
			n++
		}
	}
	return units >= 2 && 2*n >= units
}

// markup tells what is told by words in text, or in data: an HTML file may
// hold any bytes. Mail comes before HTML, as a mail may hold HTML.
func markup(head []byte, t Type) Type {
	if t == UTF16LE || t == UTF16BE {
		if looksHTML(narrow(head[:min(len(head), 2*textWindow)], t == UTF16BE)) {
			return HTML16
		}
		return Unknown
	}
	w := head[:min(len(head), textWindow)]
	if m := mailType(head); m != Unknown {
		return m
	}
	if hasPrefix(bytes.TrimPrefix(w, []byte("\xef\xbb\xbf")), "<?xml version=\"1.0\"") {
		if x := office2003(head[:min(len(head), 4*textWindow)]); x != Unknown {
			return x
		}
	}
	if fold(w, "<xdp:xdp") {
		return xdp
	}
	if looksHTML(w) {
		return HTML
	}
	return Unknown
}

// office2003 tells the one-file XML forms of Office 2003 and of Hangul.
func office2003(w []byte) Type {
	switch {
	case bytes.Contains(w, []byte("<HWPML")):
		return xmlHWP
	case bytes.Contains(w, []byte("<Workbook")) || prefixed(w, ":Workbook"):
		return xmlXL
	case bytes.Contains(w, []byte("<wordDocument")) || prefixed(w, ":wordDocument") || bytes.Contains(w, []byte(`progid="Word.Document"?>`)):
		return xmlWord
	}
	return Unknown
}

// prefixed tells whether an element with a short namespace prefix starts in
// w, as in "<ss:Workbook".
func prefixed(w []byte, name string) bool {
	for {
		i := bytes.Index(w, []byte(name))
		if i < 0 {
			return false
		}
		if n := bytes.LastIndexByte(w[:i], '<'); n >= 0 && i-n > 1 && i-n <= 9 {
			return true
		}
		w = w[i+1:]
	}
}

// narrow drops the high byte of each unit.
func narrow(w []byte, big bool) []byte {
	out := make([]byte, 0, len(w)/2)
	for i := 0; i+1 < len(w); i += 2 {
		lo, hi := w[i], w[i+1]
		if big {
			lo, hi = hi, lo
		}
		if hi != 0 {
			lo = '?'
		}
		out = append(out, lo)
	}
	return out
}

// tags are what makes a file HTML. ClamAV knows each in the letter cases
// that were common; here any case will do.
var tags = [...]string{
	"html>", "html ", "html\n", "html\r", "!doctype html", "head>", "img", "object", "script", "table", "iframe",
}

// elements are more that make a text worth reading as HTML: what browsers
// load, run or show. Of any text one is likely to be a page's, of a file's
// first bytes ClamAV does not ask for them.
var elements = [...]string{
	"applet", "audio", "base", "body", "br", "button", "details", "div", "embed", "font", "form", "frame", "frameset", "head", "html", "input",
	"link", "marquee", "math", "meta", "p", "span", "style", "svg", "title", "video",
}

// LooksHTML tells whether b, a stretch of a text, has a tag that makes it
// worth reading as HTML, which a browser does wherever in the text the tag
// stands. ClamAV, too, types a file by its first 1,024 bytes, as Detect does,
// and looks through a text once more when it scans it.
func LooksHTML(b []byte) bool {
	if looksHTML(b) {
		return true
	}
	for w := b; ; {
		i := bytes.IndexByte(w, '<')
		if i < 0 {
			return false
		}
		w = w[i+1:]
		if foldPrefix(w, "a/") {
			return true
		}
		for _, e := range elements {
			if foldPrefix(w, e) && len(w) > len(e) && bytes.IndexByte([]byte(" \t\r\n\f/>"), w[len(e)]) >= 0 {
				return true
			}
		}
	}
}

func looksHTML(w []byte) bool {
	if hasPrefix(w, "<%@ LANGUAGE =") {
		return true
	}
	all, target := w, -2 // the last "href", -2: not looked for yet
	for {
		i := bytes.IndexByte(w, '<')
		if i < 0 {
			return false
		}
		w = w[i+1:]
		for _, tag := range tags {
			if foldPrefix(w, tag) {
				return true
			}
		}
		if foldPrefix(w, "a ") {
			if target == -2 {
				target = lastFold(all, "href")
			}
			if target >= len(all)-len(w)+2 { // of an anchor: anywhere after it
				return true
			}
		}
	}
}

// foldPrefix tells whether b starts with the lower-case s in any letter case.
func foldPrefix(b []byte, s string) bool {
	if len(b) < len(s) {
		return false
	}
	for i := range len(s) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// lastFold returns where the lower-case s last stands in b in any letter case, or -1.
func lastFold(b []byte, s string) int {
	for i := len(b) - len(s); i >= 0; i-- {
		if foldPrefix(b[i:], s) {
			return i
		}
	}
	return -1
}

// fold tells whether the lower-case s is in b in any letter case.
func fold(b []byte, s string) bool {
	letter := s[0] >= 'a' && s[0] <= 'z'
	for i := 0; i+len(s) <= len(b); i++ {
		if !letter {
			n := bytes.IndexByte(b[i:], s[0])
			if n < 0 {
				return false
			}
			i += n
		}
		if foldPrefix(b[i:], s) {
			return true
		}
	}
	return false
}

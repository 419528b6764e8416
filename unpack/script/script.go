// Package script reads text for what runs in it and what is written in it in other
// letters:
//
//	html      scripts, styles and attributes that run, of pages and of XML (SVG, WSF, HTA, XSLT)
//	text      UTF-32, UTF-7 and pages with NUL bytes, as UTF-8
//	screnc    what Microsoft's Script Encoder wrote (.vbe, .jse, in pages)
//	card      vCards and iCalendar files: what properties have encoded
//	ps        PostScript: data in a program
//	encoded   base64, hexadecimal and lists of codes, commands of PowerShell
//
// What is text by most of its bytes is read as text too, whatever its first ones say.
//
// A text has no marks of its own and no end, so that little in it is damage: what decodes
// to nothing of sense is text like any other, and no gap. What is found is a child, and what is
// in that is found in the same way.
package script

import (
	"bytes"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	targetHTML = 3 // ClamAV's number of pages
	targetText = 7 // and of text
)

// maxPage is how much of a page is read in one piece, in bytes.
const maxPage = 32 << 20

// maxEach is how many of one thing in a layer are children each; what is more is one child together.
const maxEach = 256

// maxSpans is how many stretches are kept that are one child together.
const maxSpans = 1 << 18

// isText tells whether a layer is text or a page by its type.
func isText(t filetype.Type) bool { return t.Target() == targetHTML || t.Target() == targetText }

// textual tells whether a layer is to be read as text: by its type, or by most of its bytes. What runs a script or
// shows a page goes by the file's name: its first bytes may be those of any other format (MZ=1;), and a comment in it may
// have what no text has.
func textual(p *unpack.Probe) bool {
	if isText(p.Type) {
		return true
	}
	switch name := p.Type.String(); name {
	case "pdf": // a text that speaks of PDF
		return !bytes.Contains(p.Head, []byte(" obj")) && mostlyText(p.Head[:min(len(p.Head), window)])
	case "mail", "mhtml": // of which there is no more than a header
		return !bytes.Contains(p.Head, []byte("\n\n")) && !bytes.Contains(p.Head, []byte("\n\r\n")) && mostlyText(p.Head[:min(len(p.Head), window)])
	case "xml-word", "xml-xl", "xml-hwp", "xdp", "script-encoder":
	default:
		if p.Type.Hides() {
			return false
		}
	}
	if len(p.Head) > 2*maxMark && mostlyText(p.Head[maxMark:min(len(p.Head), maxMark+window)]) {
		return true
	}
	if p.Type != filetype.Unknown {
		return false
	}
	// Behind data that nobody runs.
	tail := p.Head[max(len(p.Head)-window, 0):]
	if n := p.Source.Size(); n > int64(len(p.Head)) {
		var b [window]byte
		m, _ := p.Source.ReadAt(b[:], max(n-window, 0))
		tail = b[:max(m, 0)]
	}
	return mostlyText(tail[len(tail)/2:])
}

const (
	window  = 1 << 10 // bytes that tell text from data
	maxMark = 64      // bytes in front of these that may be of another format
)

// mostlyText tells whether seven of eight bytes are ASCII that appears in text.
func mostlyText(b []byte) bool {
	n := 0
	for _, c := range b {
		if c >= 0x20 && c < 0x7f || c >= 9 && c <= 13 {
			n++
		}
	}
	return len(b) > 0 && 8*n >= 7*len(b)
}

// hasASCII tells whether a text may be in ASCII at all.
func hasASCII(head []byte) bool {
	for _, c := range head {
		if c < 0x80 {
			return true
		}
	}
	return false
}

// wide tells whether it is in UTF-16.
func wide(t filetype.Type) bool {
	return t == filetype.UTF16LE || t == filetype.UTF16BE || t == filetype.HTML16
}

// whole returns the first maxPage bytes of a layer; what cannot be read is a gap.
func whole(src showcause.Source, out *unpack.Out) []byte {
	if b, ok := src.(showcause.Bytes); ok {
		return b[:min(len(b), maxPage)]
	}
	n := min(src.Size(), maxPage)
	b, err := bound.ReadAt(src, 0, n, maxPage)
	if err != nil {
		out.Gap(showcause.Unreadable, int64(len(b)), n-int64(len(b)))
	}
	return b
}

// gathered are stretches of one kind: the first ones are children each, the rest one together.
type gathered struct {
	op    string
	own   bool // they are of the layer itself
	n     int
	spans []unpack.Span
	ends  map[string]endPlace // where a name's end tag stands
	to    int64               // where the last one that was given ends
}

// endPlace says that the first end tag from from on stands at at.
type endPlace struct{ from, at int }

// give gives a stretch, or keeps it for the end. It tells whether to go on.
func (g *gathered) give(out *unpack.Out, src showcause.Source, from, to int64) bool {
	if from >= to {
		return true
	}
	if g.n++; g.n <= maxEach && !g.own {
		return out.Child(unpack.Child{Op: g.op, Source: bound.Section(src, from, to-from), Size: to - from})
	}
	if g.n <= maxEach {
		return out.Section(src, g.op, "", from, to-from)
	}
	if len(g.spans) >= maxSpans {
		out.Gap(showcause.LimitObject, from, to-from)
		return false
	}
	g.spans = append(g.spans, unpack.Span{From: from, To: to})
	return true
}

// end gives what was kept.
func (g *gathered) end(out *unpack.Out, open func(unpack.Span) io.Reader) bool {
	if len(g.spans) == 0 {
		return true
	}
	ok := out.Child(unpack.Child{Op: g.op, Size: -1, Reader: &lines{spans: g.spans, open: open}})
	g.spans = nil
	return ok
}

// skipper passes over stretches that are in order.
type skipper struct{ spans []unpack.Span }

// past returns at, or the end of the stretch that it is in. It is asked in order.
func (s *skipper) past(at int64) int64 {
	for len(s.spans) > 0 && s.spans[0].To <= at {
		s.spans = s.spans[1:]
	}
	if len(s.spans) > 0 && s.spans[0].From <= at {
		return s.spans[0].To
	}
	return at
}

// lines reads stretches, a line's end behind each.
type lines struct {
	spans []unpack.Span
	open  func(unpack.Span) io.Reader
	r     io.Reader
	ended bool // a line's end is due
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	for len(p) > 0 {
		switch {
		case l.ended:
			p[0], l.ended = '\n', false
			return 1, nil
		case l.r == nil && len(l.spans) == 0:
			return 0, io.EOF
		case l.r == nil:
			l.r, l.spans = l.open(l.spans[0]), l.spans[1:]
		}
		n, err := l.r.Read(p)
		if err == io.EOF {
			l.r, l.ended, err = nil, true, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// lower is c in lower case, for ASCII letters.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// letter tells ASCII letters.
func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// space tells white space of HTML, and NUL.
func space(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == 0
}

// hasFold tells whether b begins with the lower-case s, in any letter case.
func hasFold(b []byte, s string) bool {
	if len(b) < len(s) {
		return false
	}
	for i := range len(s) {
		if lower(b[i]) != s[i] {
			return false
		}
	}
	return true
}

// indexFold returns where the lower-case s, which begins with no letter, first stands in
// b in any letter case, -1 if nowhere.
func indexFold(b []byte, s string) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], s[0])
		if i < 0 {
			return -1
		}
		if at += i; hasFold(b[at:], s) {
			return at
		}
	}
}

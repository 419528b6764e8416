package document

import (
	"bytes"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/mailcode"
	"github.com/showcause/showcause/unpack"
)

// blockOps says which encoded blocks are looked for in text, and the Op of
// each; "" for none.
type blockOps struct {
	uu, yenc string
	base64   string // base64 after "begin-base64"
	bare     string // base64 without any mark
	name     string // of a block that has none
	all      bool   // what has no "begin" line is uuencoded all the same
	armour   bool   // say where PGP messages are
}

// mailBlocks are the blocks that are looked for in the text of a mail.
var mailBlocks = blockOps{uu: "mime.uuencode", yenc: "mime.yenc", base64: "mime.base64", bare: "mime.base64", armour: true}

type blockKind uint8

const (
	noBlock blockKind = iota
	uuBlock
	markedBase64
	yencBlock
	bareBase64
	pgpBlock   // a PGP message
	otherBlock // another armoured block: keys, signatures
)

// Bounds of what is taken for base64 without a mark: the length of its first
// line and of all its lines together, in characters.
const (
	minBareLine  = 40
	minBareTotal = 48
)

// blockScan is one pass over text for encoded blocks.
type blockScan struct {
	*mailWalk
	ops  blockOps
	eol  eolMode
	kind blockKind
	name string
	// wait says that the line before was a "begin" of this kind, and that the
	// next one shows whether it is meant.
	wait  blockKind
	start int64 // of the block's content
	tail  int64 // end of the last line of a bare block
	total int64 // characters of a bare block
	upper bool
	lower bool
	found bool
}

// blocks hands over what is encoded inside the text [start, end). It tells
// whether there was anything.
func (w *mailWalk) blocks(start, end int64, eol eolMode, ops blockOps) bool {
	if w.done || end <= start {
		return false
	}
	buf := w.take()
	defer w.give(buf)
	s := &blockScan{mailWalk: w, ops: ops, eol: eol}
	in := newLines(w.src, start, end, eol, buf)
	for n := int64(0); !w.done; {
		ln, ok := in.next()
		if !ok {
			break
		}
		if n++; n >= 256 || in.fills > 0 {
			w.work(n + in.fills>>6)
			in.fills, n = 0, 0
		}
		if ln.first {
			s.line(&ln)
		} else if s.kind == bareBase64 {
			s.bare(&ln)
		}
	}
	s.end(in.end)
	if !s.found && ops.all && !w.done {
		s.kind, s.start, s.name = uuBlock, start, ops.name
		s.end(in.end)
	}
	return s.found
}

// line takes the beginning of a line.
func (s *blockScan) line(ln *line) {
	t := ln.text
	if s.wait != noBlock {
		kind := s.wait
		s.wait = noBlock
		switch {
		case starts(kind, t):
			s.kind = kind
			return
		case holdsNothing(kind, t) && ln.last:
			s.wait = kind
			return
		}
		s.kind = noBlock
	}
	if len(t) > 5 && (t[0] == 'b' || t[0] == '=') && s.begins(ln) {
		return
	}
	if s.kind == bareBase64 && s.bare(ln) {
		return
	}
	switch s.kind {
	case uuBlock:
		if len(t) >= 3 && string(t[:3]) == "end" && blank(t[3:]) {
			s.end(ln.off)
		}
	case markedBase64:
		if len(t) >= 4 && string(t[:4]) == "====" {
			s.end(ln.off)
		}
	case yencBlock:
		if bytes.HasPrefix(t, []byte("=yend")) {
			s.end(ln.off)
		} else if bytes.HasPrefix(t, []byte("=ypart")) && ln.last {
			s.start = ln.next
		}
	case pgpBlock, otherBlock:
		if bytes.HasPrefix(t, []byte("-----END ")) {
			s.end(ln.next)
		}
	default:
		if len(t) >= minBareLine {
			s.kind, s.start, s.total, s.upper, s.lower = bareBase64, ln.off, 0, false, false
			s.bare(ln)
		}
		if bytes.HasPrefix(t, []byte("-----BEGIN ")) {
			s.kind, s.start = otherBlock, ln.off
			if bytes.HasPrefix(t, armour) {
				s.kind = pgpBlock
			}
		}
	}
}

// begins tells whether the line is the first of a marked block.
func (s *blockScan) begins(ln *line) bool {
	name, kind := beginLine(ln.text)
	switch {
	case kind == noBlock || !ln.last:
		return false
	case kind == uuBlock && s.ops.uu == "", kind == markedBase64 && s.ops.base64 == "", kind == yencBlock && s.ops.yenc == "":
		return false
	}
	s.end(ln.off)
	s.name, s.start = name, ln.next
	if s.name == "" {
		s.name = s.ops.name
	}
	if kind == yencBlock {
		s.kind = kind
	} else {
		s.wait = kind
	}
	return true
}

// bare takes a line, or a piece of one, of what may be base64 without a mark.
// It tells whether it was that.
func (s *blockScan) bare(ln *line) bool {
	t := bytes.TrimRight(ln.text, " \t")
	n := len(t)
	for n > 0 && t[n-1] == '=' {
		n--
	}
	clean := n > 0 && len(t)-n <= 2
	for _, c := range t[:n] {
		if !mailcode.IsBase64(c) {
			clean = false
			break
		}
		s.upper = s.upper || c >= 'A' && c <= 'Z'
		s.lower = s.lower || c >= 'a' && c <= 'z'
	}
	if !clean {
		s.end(s.tail)
		return false
	}
	s.total += int64(n)
	s.tail = ln.off + int64(len(ln.text))
	if len(t) > n {
		s.end(s.tail)
	}
	return true
}

// end ends the block that is open, at the offset end.
func (s *blockScan) end(end int64) {
	kind := s.kind
	s.kind = noBlock
	if kind == noBlock || s.done || end <= s.start {
		return
	}
	c := unpack.Child{Name: shown(s.name), Size: -1}
	switch kind {
	case otherBlock:
		return
	case pgpBlock:
		if s.ops.armour && s.first(partKey{s.start, end, howBlock + uint32(kind)}) {
			s.out.Gap(showcause.Encrypted, s.start, end-s.start)
		}
		return
	case bareBase64:
		if s.ops.bare == "" || s.total < minBareTotal || !s.upper || !s.lower {
			return
		}
		c.Op, c.Name = s.ops.bare, s.ops.name
	case uuBlock:
		c.Op = s.ops.uu
	case markedBase64:
		c.Op = s.ops.base64
	case yencBlock:
		c.Op = s.ops.yenc
	}
	s.found = true
	if !s.first(partKey{s.start, end, howBlock + uint32(kind)}) {
		return
	}
	s.work(1)
	buf := s.take()
	defer s.give(buf)
	switch kind {
	case uuBlock:
		u := &uuReader{in: newLines(s.src, s.start, end, s.eol, buf)}
		c.Reader = u
		s.child(c)
		if u.skip {
			s.note("ambiguous.uuencode.line", s.start, end-s.start)
		}
	case yencBlock:
		c.Reader = mailcode.NewReader(bound.Reader(s.src, s.start, end-s.start), &mailcode.YEnc{}, buf)
		s.child(c)
	default:
		c.Reader = mailcode.NewReader(bound.Reader(s.src, s.start, end-s.start), &mailcode.Base64{}, buf)
		s.child(c)
	}
	if kind == bareBase64 && s.nested() {
		s.out.Cover(s.start, end-s.start)
	}
}

// nested tells whether the text is out of base64 in base64. Those who read stretches of any text need not
// read there what a mail has: base64 in itself, thirty times, would be read by each in each, a billion times.
func (s *blockScan) nested() bool {
	mail, _ := s.out.Within(s.ops.bare)
	text, _ := s.out.Within("encoded.base64")
	return mail+text >= 2
}

// beginLine tells whether a line begins a marked block: "begin 644 name",
// "begin-base64 644 name", "=ybegin line=128 size=1 name=name". The mode may
// have any length, and the signs that Python's int takes.
func beginLine(t []byte) (name string, kind blockKind) {
	if rest, ok := bytes.CutPrefix(t, []byte("=ybegin ")); ok {
		if i := bytes.Index(rest, []byte("name=")); i >= 0 {
			name = string(bytes.TrimRight(rest[i+5:], " \t\r"))
		}
		return name, yencBlock
	}
	rest, ok := bytes.CutPrefix(t, []byte("begin"))
	if !ok {
		return "", noBlock
	}
	kind = uuBlock
	if r, ok := bytes.CutPrefix(rest, []byte("-base64")); ok {
		rest, kind = r, markedBase64
	}
	trimmed := bytes.TrimLeft(rest, " \t")
	i, octal := 0, false
	for ; i < len(trimmed) && bytes.IndexByte([]byte("01234567oO_+-"), trimmed[i]) >= 0; i++ {
		octal = octal || trimmed[i] <= '7' && trimmed[i] >= '0'
	}
	if len(trimmed) == len(rest) || !octal || i < len(trimmed) && trimmed[i] != ' ' && trimmed[i] != '\t' {
		return "", noBlock
	}
	return string(bytes.Trim(trimmed[i:], " \t\r")), kind
}

// startsUU tells whether a line may be the first of a uuencoded block.
func startsUU(t []byte) bool {
	n, ok := codec.UULine(t, true)
	if !ok {
		// All zero bytes written as spaces, and the spaces cut.
		n, ok = codec.UULine(t, false)
		ok = ok && len(t) > 0 && t[0] == 'M' && blank(t[1:])
	}
	return ok && n > 0
}

func startsBase64(t []byte) bool {
	t = bytes.TrimRight(t, " \t\r")
	for _, c := range t {
		if !mailcode.IsBase64(c) && c != '=' {
			return false
		}
	}
	return len(t) > 0
}

// starts tells whether a line may be the first of a marked block.
func starts(kind blockKind, t []byte) bool {
	return kind == uuBlock && startsUU(t) || kind == markedBase64 && startsBase64(t)
}

// holdsNothing tells whether decoders go on to the next line for the first one of
// a marked block: it is blank, or says that it holds no bytes.
func holdsNothing(kind blockKind, t []byte) bool {
	return blank(t) || kind == uuBlock && len(t) <= 3 && t[0] == '`'
}

// maxEmpty is how many lines that hold nothing isUU looks past.
const maxEmpty = 64

// begun tells whether the lines of b after a "begin" line are a block's.
func begun(kind blockKind, b []byte) bool {
	for n := 0; len(b) > 0; n++ {
		var ln []byte
		ln, b = cutLine(b)
		if starts(kind, ln) || n == maxEmpty {
			return true
		}
		if !holdsNothing(kind, ln) {
			return false
		}
	}
	return false
}

// isUU tells whether head has the first lines of a marked block in it.
func isUU(head []byte) bool {
	for b := head; len(b) > 0; {
		i := bytes.Index(b, []byte("begin"))
		if i < 0 {
			return false
		}
		at := len(head) - len(b) + i
		b = b[i+5:]
		from := at
		if from > 0 && head[from-1] == '=' {
			continue
		}
		if from > 0 && head[from-1] == 'y' {
			from -= 2 // "=ybegin"
		}
		if from < 0 || from > 0 && head[from-1] != '\n' && head[from-1] != '\r' {
			continue
		}
		ln, rest := cutLine(head[from:])
		_, kind := beginLine(ln)
		if kind == yencBlock || kind != noBlock && begun(kind, rest) {
			return true
		}
	}
	return false
}

// readAsUU tells whether a layer of the type that starts with head is searched
// for marked blocks. What an archive has of them stands in its members.
func readAsUU(head []byte, src showcause.Source, t filetype.Type) bool {
	if t.Hides() && t != filetype.UUEncoded && t != filetype.Mail && t != filetype.MHTML {
		return false
	}
	return isUU(head) || src.Size() > int64(len(head)) && mostlyText(head)
}

// mostlyText tells whether fifteen of sixteen bytes are text in some character set.
func mostlyText(b []byte) bool {
	left := len(b) / 16
	for _, c := range b {
		if c < ' ' && (c < '\t' || c > '\r') || c == 0xff {
			if left--; left < 0 {
				return false
			}
		}
	}
	return true
}

// mayBegin tells whether b, which starts with "begin", is worth a pass for
// blocks. b may end anywhere after some hundred bytes, and what is before it is not known.
func mayBegin(b []byte) bool {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		i = len(b)
	}
	if bytes.HasPrefix(b, []byte("begin ")) && bytes.Contains(b[:i], []byte("=")) {
		return true // of yEnc
	}
	_, kind := beginLine(b[:i])
	if kind == noBlock {
		return false
	}
	_, rest := cutLine(b)
	return len(rest) < headRoom || begun(kind, rest)
}

// headRoom is less than what Find gives of the bytes behind a place, but at the layer's end.
const headRoom = 200

// UUEncode returns the format of uuencoded files: text with one block or more
// of "begin 644 name" to "end". Its Ops are "uuencode.begin",
// "uuencode.base64" (a block of POSIX "begin-base64") and "uuencode.yenc".
func UUEncode() unpack.Format {
	return unpack.Format{
		Name: "uuencode",
		Match: func(p *unpack.Probe) bool {
			return readAsUU(p.Head, p.Source, p.Type) && !looksMail(p.Head, p.Source)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			if !isUU(bound.Head(src, unpack.HeadSize)) {
				if _, ok := out.Find(src, 0, []byte("begin"), mayBegin); !ok {
					return
				}
			}
			w := &mailWalk{src: src, out: out, given: map[partKey]struct{}{}}
			eol := eolLF
			if b := bound.Head(src, unpack.HeadSize); bytes.IndexByte(b, '\n') < 0 && strings.ContainsRune(string(b), '\r') {
				eol = eolAny
			}
			w.blocks(0, src.Size(), eol, blockOps{uu: "uuencode.begin", base64: "uuencode.base64", yenc: "uuencode.yenc"})
		},
	}
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

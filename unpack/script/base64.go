package script

import (
	"bytes"
	"compress/flate"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
)

// maxJoint is how many bytes may stand between two pieces of a stretch.
const maxJoint = 160

// base64At takes the run of letters of base64 that begins at off. It returns where to look on.
func (f *finder) base64At(off int64) int64 {
	before := f.before[:copy(f.before[:], f.at(max(off-int64(len(f.before)), 0), min(off, int64(len(f.before)))))]
	how := called(before)
	end := f.end(off, &inBase64)
	if how == notCalled && f.piped(end) {
		how = byCall
	}
	s := stretch{op: "encoded.base64", from: off, to: end, coding: coding{kind: base64Digits, quoted: isQuoted(before)}}
	if how == notCalled {
		if to := f.framedAt(off, end, before); to > 0 {
			return to
		}
		if end-off < minRunAlone && !f.joins(end, s.coding.quoted) || endsFold(before, "base64,") && containsFold(before, "data:") { // those are read as such
			return end
		}
		if !f.out.Work(4) {
			f.done = true
			return end
		}
		if next := f.hexAt(off, end, s.coding.quoted); next > 0 {
			return next
		}
		// Most runs are names, paths and sums: what they begin with tells.
		if b := f.peek(off, f.size, s.coding); !sense(b) && !f.holdsTar(s, b) {
			return end
		}
	}
	// Pieces of what was joined and said nothing go as far as that.
	if s.to = f.joined; off >= s.to || s.coding.quoted != f.quoted {
		s.to = f.join(off, end, s.coding.quoted, &inBase64)
	}
	n := headBytes
	if how == byCommand {
		n = 4 * minDecoded
	}
	head := f.head(s, n)
	switch {
	case how == byCommand && utf16Like(head):
		s.op = "encoded.command"
	case how == byCall && len(head) >= minCalled:
		if !sense(head) && f.inflates(s) {
			if !f.out.Work((s.to-s.from)/8+1) || !f.out.Child(unpack.Child{Op: "encoded.deflate", Reader: inflater{flate.NewReader(f.open(s))}, Size: -1, Deflate: true}) {
				f.done = true
			}
			return s.to
		}
	case !sense(head) && (how != notCalled || s.to-off < minRunAlone):
		f.joined, f.quoted = s.to, s.coding.quoted
		return end
	}
	f.give(s, &f.base64s)
	return s.to
}

// holdsTar tells a tar file by its first header, of which b is the beginning: a name and zeros behind it.
func (f *finder) holdsTar(s stretch, b []byte) bool {
	i := bytes.IndexByte(b, 0)
	if len(b) < minDecoded || i < 1 || len(bytes.Trim(b[i:], "\x00")) > 0 || !f.out.Work(64) {
		return false
	}
	s.to = f.join(s.from, s.to, s.coding.quoted, &inBase64)
	head := f.head(s, headBytes)
	return filetype.Detect(head, showcause.Bytes(head)) == filetype.Tar
}

// inflater ends where its stream does.
type inflater struct{ io.ReadCloser }

// minRunAlone is how many letters of base64 say minDecoded bytes.
const minRunAlone = (minDecoded*4 + 2) / 3

// hexAt takes a run that is of hexadecimal digits. It returns where to look on, 0 if it is none
// that says something.
func (f *finder) hexAt(off, end int64, quoted bool) int64 {
	for _, c := range f.at(off, min(end-off, 2*minDecoded)) {
		if !inHex[c] && c != '^' {
			return 0
		}
	}
	s := stretch{op: "encoded.hex", from: off, coding: coding{kind: hexDigits, quoted: quoted}}
	if !sense(f.peek(off, f.size, s.coding)) {
		return 0
	}
	if s.to = f.join(off, f.end(off, &inHex), quoted, &inHex); s.to-off < 2*minDecoded {
		return 0
	}
	f.give(s, &f.hexes)
	return s.to
}

// joins tells whether another piece may follow the one that ends at off.
func (f *finder) joins(off int64, quoted bool) bool {
	_, ok := f.joint(off, quoted, &inBase64)
	return ok
}

// join returns where the last piece ends of a stretch whose first is [from, to).
func (f *finder) join(from, to int64, quoted bool, c *class) int64 {
	first := to - from
	for pieces := int64(0); ; pieces++ {
		if pieces&63 == 63 && !f.out.Work(8) {
			f.done = true
			return to
		}
		next, ok := f.joint(to, quoted, c)
		if !ok {
			return to
		}
		end := f.end(next, c)
		if n := end - next; !quoted {
			// A line of words is no piece: lines of base64 are all as long as the first, but the last.
			pad := int64(len(f.at(end, 2))) - int64(len(bytes.TrimLeft(f.at(end, 2), "=")))
			after := f.at(end+pad, 1)
			if n > first || n < first && (n+pad)%4 != 0 || len(after) > 0 && bytes.IndexByte([]byte("\r\n \t\"'<;,)`\\"), after[0]) < 0 {
				return to
			}
			if n < first {
				return end
			}
		} else if n >= minRunAlone {
			// What begins anew is a stretch of its own.
			if b := f.peek(next, f.size, coding{kind: base64Digits, quoted: quoted}); sense(b) && !printable(b) && !inUnits(b) {
				return to
			}
		}
		to = end
	}
}

// joint looks behind a piece, and returns where the next one begins: on the next line; or within
// the next quotes, if the piece stands within some and nothing but joining stands between.
func (f *finder) joint(off int64, quoted bool, c *class) (next int64, ok bool) {
	b := f.at(off, maxJoint)
	if len(b) == 0 || b[0] == '=' {
		return 0, false
	}
	i := 0
	switch {
	case b[0] == '\\' && quoted:
		// A line's end, or a letter that needs no escape, in a string.
		for i+1 < len(b) && b[i] == '\\' && bytes.IndexByte([]byte("nrt/\r\n"), b[i+1]) >= 0 {
			if i += 2; b[i-1] == '/' {
				i--
				break
			}
		}
		for i > 0 && i < len(b) && (b[i] == '\n' || b[i] == '\r') {
			i++
		}
	case b[0] == '\r' || b[0] == '\n' || b[0] == ' ' || b[0] == '\t':
		line := false
		for i < len(b) && (b[i] == '\r' || b[i] == '\n' || b[i] == ' ' || b[i] == '\t') {
			line = line || b[i] != ' ' && b[i] != '\t'
			i++
		}
		if !line {
			return 0, false
		}
		quoted = false
	case quoted && (b[0] == '"' || b[0] == '\''):
		// "..." + "...", and s = s & "..." on the next line.
		n := bytes.IndexByte(b[1:], b[0])
		if n < 0 || run(b[1:1+n], 0, minRun, &inBase64) >= 0 || n > 0 && bytes.IndexByte(b[1:1+n], ':') >= 0 {
			return 0, false
		}
		i = n + 2
	}
	if i == 0 || i >= len(b) || !c[b[i]] {
		return 0, false
	}
	return off + int64(i), true
}

// isQuoted tells whether what follows stands within quotes.
func isQuoted(before []byte) bool {
	n := len(before)
	return n > 0 && (before[n-1] == '"' || before[n-1] == '\'')
}

// utf16Like tells whether most of the first characters are ASCII in UTF-16.
func utf16Like(b []byte) bool {
	n := 0
	for i := 1; i < len(b); i += 2 {
		if b[i] == 0 && b[i-1] != 0 {
			n++
		}
	}
	return len(b) >= 4 && 4*n >= len(b)
}

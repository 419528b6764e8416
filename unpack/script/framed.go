package script

import "bytes"

// maxFrame is how many bytes may stand in front of the digits of a line, and behind them.
const maxFrame = 120

// framedAt takes lines of base64 or of hexadecimal digits that begin alike and may end in anything, as a batch
// file writes a file with them for certutil:
//
//	echo TVqQAAMAAAAEAAAA>>%TEMP%\a.txt
//	echo //8AALgAAAAAAAAA>>%TEMP%\a.txt
//
// The first one's digits are [off, end), behind before. It returns where to look on, 0 if these are none that
// say something.
func (f *finder) framedAt(off, end int64, before []byte) int64 {
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	if len(before) == 0 || isQuoted(before) {
		return 0
	}
	s := stretch{op: "encoded.base64", from: off, coding: coding{kind: base64Digits}}
	n, c := &f.base64s, &inBase64
	if hexOnly(f.at(off, min(end-off, minRun))) {
		s.op, s.coding.kind, n, c = "encoded.hex", hexDigits, &f.hexes, &inHex
	}
	if b := f.peek(off, end, s.coding); len(b) > 0 && hopeless(b) { // names in lines of source that begin alike, nearly always
		return 0
	}
	frame, next := f.frame(end, before)
	if frame == 0 {
		return 0
	}
	if !f.out.Work(4) {
		f.done = true
		return end
	}
	s.coding.frame = frame
	alike := bytes.Clone(f.at(next-int64(frame), int64(frame)))
	for lines := 1; next > 0; lines++ {
		if lines&7 == 0 && !f.out.Work(8) {
			f.done = true
			return end
		}
		s.to = f.end(next, c)
		next = f.line(s.to, alike, c)
		// So many lines have minDecoded bytes: nothing further on makes them say something.
		if (lines == 8 || lines < 8 && next == 0) && !sense(f.head(s, minDecoded)) {
			return 0
		}
	}
	f.give(s, n)
	return s.to
}

// frame tells how many bytes stand in front of the digits of the line behind the one whose digits end at off,
// and where its digits begin. It must begin as before ends.
func (f *finder) frame(off int64, before []byte) (n int, digits int64) {
	b := f.at(off, 2*maxFrame+minRun)
	i := bytes.IndexByte(b, '\n') + 1
	if i <= 0 || i > maxFrame {
		return 0, 0
	}
	b = b[i:]
	for _, word := range [...]int{len(before), 5} { // the first one may have something more, or less, in front
		if word > len(before) || word > maxFrame {
			continue
		}
		at := bytes.Index(b[:min(maxFrame, len(b))], before[len(before)-word:])
		n = at + word
		if at < 0 || n >= len(b) || !inBase64[b[n]] || bytes.IndexByte(b[:n], '\n') >= 0 {
			continue
		}
		return n, off + int64(i+n)
	}
	return 0, 0
}

// line returns where the digits of the line begin that is behind the one whose digits end at off, if it is
// like the others, 0 otherwise.
func (f *finder) line(off int64, alike []byte, c *class) int64 {
	b := f.at(off, int64(maxFrame+len(alike)+1))
	i := bytes.IndexByte(b, '\n') + 1
	if n := i + len(alike); i > 0 && i <= maxFrame && n < len(b) && c[b[n]] && bytes.Equal(b[i:n], alike) {
		return off + int64(n)
	}
	return 0
}

// hexOnly tells whether all of b are hexadecimal digits.
func hexOnly(b []byte) bool {
	for _, c := range b {
		if !inHex[c] && c != '^' {
			return false
		}
	}
	return true
}

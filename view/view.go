// Package view makes the normalised views of a layer: the bytes that
// signatures for text (ClamAV's target 7) and HTML (target 3) are written
// against. The rules are those of ClamAV 1.4 as observed through
// sigtool --ascii-normalise and --html-normalise; what differs is listed in
// docs/clamav-differences.md.
package view

import (
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
)

// View is one normalised form of a layer. Op names it in a trail.
type View struct {
	Op    string
	Bytes []byte
}

// The operations of views.
const (
	OpText       = "view.text"            // lower case, white space folded, ASCII only
	OpNoComment  = "view.html.nocomment"  // tags and text, without comments
	OpNoTags     = "view.html.notags"     // text alone
	OpJavaScript = "view.html.javascript" // script elements, tokens joined again
	OpData       = "view.html.data"       // content of a data: URI (RFC 2397)
	OpUTF16      = "view.utf16"           // a byte for each UTF-16 unit
)

// block is how many bytes are read at a time.
const block = 64 << 10

// input reads a source in order, up to a bound.
type input struct {
	src   showcause.Source
	off   int64
	end   int64
	buf   []byte
	whole bool // nothing beyond end, and no read failed
}

func newInput(src showcause.Source, bound int64) *input {
	end := min(src.Size(), max(bound, 0))
	return &input{src: src, end: end, whole: end == src.Size()}
}

// next returns the next block, nil at the end. The block is valid until the
// next call.
func (in *input) next() []byte {
	n := min(in.end-in.off, block)
	if n <= 0 {
		return nil
	}
	if in.buf == nil {
		in.buf = make([]byte, n)
	}
	b := in.buf[:n]
	m, err := in.src.ReadAt(b, in.off)
	m = max(m, 0)
	in.off += int64(m)
	if int64(m) < n || (err != nil && err != io.EOF) {
		in.whole, in.end = false, in.off
	}
	return b[:m]
}

// out collects the bytes of one view, up to a bound.
type out struct {
	b   []byte
	max int64
	cut bool
}

func (o *out) put(c byte) {
	if int64(len(o.b)) >= o.max {
		o.cut = true
		return
	}
	if len(o.b) == cap(o.b) {
		o.b = extend(o.b, []byte{c})
		return
	}
	o.b = append(o.b, c)
}

func (o *out) puts(s []byte) {
	if room := o.max - int64(len(o.b)); int64(len(s)) > room {
		o.cut = true
		s = s[:max(room, 0)]
	}
	o.b = extend(o.b, s)
}

// lowered is puts in lower case.
func (o *out) lowered(s []byte) {
	n := len(o.b)
	o.puts(s)
	for i, c := range o.b[n:] {
		if c-'A' <= 'Z'-'A' {
			o.b[n+i] = c + 'a' - 'A'
		}
	}
}

// extend is append, but what it takes for all that is appended to a long b is twice
// that, and not five times.
func extend(b, s []byte) []byte {
	if n := len(b) + len(s); n > cap(b) {
		b = append(make([]byte, 0, max(2*n, 64)), b...)
	}
	return append(b, s...)
}

// space tells whether c is white space as in the C locale.
func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// lower is c in lower case, for ASCII letters.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Text normalises ASCII text: letters in lower case, a run of white space as
// one space, control characters and bytes above 0x7f dropped (they do not end
// a run). What it gives is never longer than r, and its error is r's.
func Text(r io.Reader) io.Reader { return &text{r: r} }

// textBytes is what Text makes of each byte: the byte, and 1 where it is given and
// where it is white space.
var textBytes = func() (t [256]struct{ c, keep, space byte }) {
	for i := range t {
		switch c := byte(i); {
		case space(c):
			t[i].c, t[i].keep, t[i].space = ' ', 1, 1
		case c >= 0x20 && c < 0x80:
			t[i].c, t[i].keep = lower(c), 1
		}
	}
	return t
}()

type text struct {
	r   io.Reader
	gap byte // 1 within a run of white space
}

func (t *text) Read(p []byte) (int, error) {
	for {
		n, err := t.r.Read(p)
		k := 0
		for i := 0; i < n; {
			if n-i >= 8 {
				if w, gap, ok := textWord(binary.LittleEndian.Uint64(p[i:]), t.gap); ok {
					binary.LittleEndian.PutUint64(p[k:], w) // k <= i
					i, k, t.gap = i+8, k+8, gap
					continue
				}
			}
			end := min(i+8, n)
			k = t.each(p, i, end, k)
			i = end
		}
		if k > 0 || err != nil || len(p) == 0 {
			return k, err
		}
	}
}

// each takes p[i:end] byte by byte to p[k:], and returns the end of that.
func (t *text) each(p []byte, i, end, k int) int {
	gap := t.gap
	for _, c := range p[i:end] { // words are short: no branch foresees where they end
		e := &textBytes[c]
		p[k] = e.c
		k += int(e.keep &^ (e.space & gap))
		gap = e.space | gap&^e.keep
	}
	t.gap = gap
	return k
}

// textWord takes eight bytes at once where each is given: printable ASCII without two spaces in
// a row. Every lane's sum stays below 256, so that none carries into the next.
func textWord(x uint64, gap byte) (lowered uint64, in byte, ok bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	if x&high != 0 || (x+(0x80-0x20)*ones)&high != high {
		return 0, 0, false
	}
	spaces := ^((x ^ ' '*ones) + 0x7f*ones) & high
	if spaces&(spaces<<8|uint64(gap)<<7) != 0 {
		return 0, 0, false
	}
	upper := (x + (0x80-'A')*ones) &^ (x + (0x80-'Z'-1)*ones) & high
	return x | upper>>2, byte(spaces >> 63), true
}

// UTF16 makes bytes of UTF-16 as ClamAV does before it reads HTML in it: each
// unit gives its low byte plus 16 times its high byte, modulo 256, so that ASCII is
// ASCII and anything else is some byte. A byte order mark decides the order, and gives a byte
// too; without one the order is the one under which more of the first 512 units are
// ASCII, little-endian on a tie. An odd last byte is dropped. At most max
// bytes are read; whole is false if src has more, or could not be read to its end.
//
// ClamAV takes this step for HTML in little-endian order alone. It gives text in either
// order to Text, and HTML in big-endian order to HTML, which both drop zero bytes.
func UTF16(src showcause.Source, max int64) (v View, whole bool) {
	in := newInput(src, max)
	b := make([]byte, 0, min(in.end/2, block))
	hi, first := 1, true
	for p := in.next(); len(p) > 0; p = in.next() {
		if first && order(p) {
			hi = 0
		}
		first = false
		for ; len(p) >= 2; p = p[2:] {
			b = append(b, p[1-hi]+p[hi]<<4)
		}
	}
	return View{Op: OpUTF16, Bytes: b}, in.whole
}

// Narrow is UTF16 for text of which the order is known, and of any length. An
// error is r's.
func Narrow(r io.Reader, big bool) io.Reader { return &narrow{r: r, big: big} }

type narrow struct {
	r   io.Reader
	big bool
	buf []byte
	odd int // bytes of buf that wait for the rest of their unit
	err error
}

func (w *narrow) Read(p []byte) (int, error) {
	if w.buf == nil {
		w.buf = make([]byte, block)
	}
	for len(p) > 0 && w.err == nil {
		var n int
		n, w.err = w.r.Read(w.buf[w.odd:min(2*len(p), block)])
		n += w.odd
		for i := 0; i+1 < n; i += 2 {
			lo, hi := w.buf[i], w.buf[i+1]
			if w.big {
				lo, hi = hi, lo
			}
			p[i/2] = lo + hi<<4
		}
		if w.odd = n % 2; w.odd > 0 {
			w.buf[0] = w.buf[n-1]
		}
		if n >= 2 {
			return n / 2, nil
		}
	}
	return 0, w.err
}

// order tells whether UTF-16 text is big-endian.
func order(p []byte) bool {
	if len(p) >= 2 {
		switch {
		case p[0] == 0xfe && p[1] == 0xff:
			return true
		case p[0] == 0xff && p[1] == 0xfe:
			return false
		}
	}
	le, be := 0, 0
	for i := 0; i+1 < len(p) && i < 1024; i += 2 {
		if p[i] == 0 && p[i+1] != 0 {
			be++
		}
		if p[i+1] == 0 && p[i] != 0 {
			le++
		}
	}
	return be > le
}

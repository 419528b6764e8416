package script

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// PostScript reads the data that a PostScript program has in itself (PostScript Language Reference, 3.13): through ASCII85,
// hexadecimal digits, Flate, LZW and run lengths, and those in the notation of PDF that Ghostscript writes, "ps.data"; fonts and what else is under eexec (Adobe Type 1 Font Format, 7.2),
// "ps.eexec"; and the parts of an EPS file for DOS, "ps.text" and "ps.preview". The program is not run: data are lines
// that have no space in them, in front of their end mark or behind readhexstring.
func PostScript() unpack.Format {
	return unpack.Format{
		Name:  "ps",
		Match: func(p *unpack.Probe) bool { return isPostScript(p.Head) || bytes.HasPrefix(p.Head, []byte(dosEPS)) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			if b := bound.Head(src, 32); len(b) >= 28 && bytes.HasPrefix(b, []byte(dosEPS)) {
				parts(src, out, b)
				return
			}
			p := &postScript{newFinder(src, out)}
			for at, ok := int64(0), true; ok; {
				if at, ok = p.find(at, "currentfile"); ok {
					at, ok = p.data(at + int64(len("currentfile")))
				}
			}
			p.streams()
		},
	}
}

const dosEPS = "\xc5\xd0\xd3\xc6"

// isPostScript tells whether a file begins as a program, behind an end of one before it.
func isPostScript(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head[:min(len(head), 64)], "\x04 \r\n\t"), []byte("%!"))
}

// parts gives the parts of a file for DOS (Encapsulated PostScript File Format Specification, 5.2).
func parts(src showcause.Source, out *unpack.Out, head []byte) {
	for i, op := range []string{"ps.text", "ps.preview", "ps.preview"} {
		off, n := int64(binary.LittleEndian.Uint32(head[4+8*i:])), int64(binary.LittleEndian.Uint32(head[8+8*i:]))
		if n = min(n, src.Size()-off); off > 0 && n > 0 && !out.Section(src, op, "", off, n) {
			return
		}
	}
}

// postScript is a program that is read.
type postScript struct{ *finder }

// maxCall is how far behind the word for the file the words may stand that say how it is read, in bytes.
const maxCall = 512

// data gives what stands behind currentfile, if that is read there. It returns where to look on, and whether to go on.
func (p *postScript) data(at int64) (int64, bool) {
	if !p.out.Work(16) {
		return 0, false
	}
	call := string(p.at(at, maxCall))
	if i := strings.Index(call, "currentfile"); i >= 0 {
		call = call[:i]
	}
	if words := strings.Fields(call); len(words) > 0 && words[0] == "eexec" {
		return p.eexec(at + int64(strings.Index(call, "eexec")+len("eexec")))
	}
	switch {
	case strings.Contains(call, "ASCII85Decode"):
		end, ok := p.find(at, "~>")
		if !ok {
			return p.size, false
		}
		return p.lines(at, end, "ASCII85Decode", call)
	case strings.Contains(call, "ASCIIHexDecode"), strings.Contains(call, "readhexstring"):
		return p.lines(at, p.size, "ASCIIHexDecode", call)
	case strings.Contains(call, "FlateDecode"), strings.Contains(call, "RunLengthDecode"), strings.Contains(call, "LZWDecode"), strings.Contains(call, "CCITTFaxDecode"):
		// Where they begin is for the program to say.
		return at, p.out.ChildGap(unpack.Child{Op: "ps.data", Size: -1}, showcause.Unsupported+".method.ps.binary")
	}
	return at, true
}

// inASCII85 are the letters of ASCII85.
var inASCII85 = classOf("!uzz")

// words are those that may be alone on the line in front of data.
var words = map[string]bool{"image": true, "imagemask": true, "colorimage": true, "exec": true, "cvx": true, "def": true, "begin": true, "end": true, "pop": true, "filter": true, "setfileposition": true, "flushfile": true}

// lines gives the lines of data in [at, end): the last ones that have nothing but letters of the encoding, and of
// hexadecimal digits the first ones.
func (p *postScript) lines(at, end int64, encoding, call string) (int64, bool) {
	digits, first := &inASCII85, false
	if encoding == "ASCIIHexDecode" {
		digits, first = &inHex, true
	}
	from, to := int64(-1), end
	for off := at; off < end; {
		next, found := p.find(off, "\n")
		if next++; !found || next > end {
			next = end
		}
		if !p.out.Work(1) {
			return 0, false
		}
		switch line := bytes.TrimRight(p.at(off, min(next-off, maxCall)), "\r\n>"); {
		case from < 0 && (words[string(line)] || len(line) == 0):
		case run(line, 0, max(len(line), 1), digits) == 0:
			if from < 0 {
				from = off
			}
		case from >= 0 && first:
			to, end = off, off
		default:
			from = -1
		}
		if first && from < 0 && off > at+maxCall {
			return off, true // no data here
		}
		off = next
	}
	if from < 0 {
		return max(end, at), true
	}
	_, filters, _ := strings.Cut(call, encoding)
	r, known := filtered(p.letters(from, to, encoding), filters)
	return to, p.give(r, known, from, to)
}

// give gives data in [from, to) as they come out of their filters, and says where these are not undone. It tells whether to go on.
func (p *postScript) give(r io.Reader, known bool, from, to int64) bool {
	ok := p.out.Work((to - from) / 8)
	switch {
	case r == nil: // it does not begin as its filter has it
		p.out.Gap(showcause.Corrupt, from, to-from)
	case ok:
		ok = p.out.Child(unpack.Child{Op: "ps.data", Reader: r, Size: -1})
		p.out.Cover(from, to-from)
	}
	if !known {
		p.out.Gap(unfiltered, from, to-from)
	}
	return ok
}

// eexec gives what is encrypted from at on, behind white space.
func (p *postScript) eexec(at int64) (int64, bool) {
	for b := p.at(at, 1); len(b) > 0 && space(b[0]); b = p.at(at, 1) {
		if at++; b[0] == '\n' || b[0] == ' ' {
			break
		}
	}
	end := p.size
	if zeros, ok := p.find(at, strings.Repeat("0", 64)); ok { // 512 of them, which eexec closes the file in front of
		end = zeros
	}
	var r io.Reader = bound.Reader(p.src, at, end-at)
	if head := p.at(at, 4); len(head) == 4 && run(head, 0, 4, &inHex) == 0 {
		r = p.open(stretch{from: at, to: end, coding: coding{kind: hexDigits}})
	}
	ok := p.out.Work((end-at)/4) && p.out.Child(unpack.Child{Op: "ps.eexec", Reader: &eexec{in: r, key: 55665, skip: 4}, Size: -1})
	return max(end, at+1), ok
}

// eexec undoes the encryption of fonts.
type eexec struct {
	in   io.Reader
	key  uint16
	skip int // bytes in front of the text
}

// Read implements io.Reader.
func (e *eexec) Read(b []byte) (int, error) {
	for {
		n, err := e.in.Read(b)
		for i, c := range b[:n] {
			b[i] = c ^ byte(e.key>>8)
			e.key = (uint16(c)+e.key)*52845 + 22719
		}
		k := min(e.skip, n)
		e.skip -= k
		if copy(b, b[k:n]); n > k || err != nil || len(b) == 0 {
			return n - k, err
		}
	}
}

// runLengths undoes run lengths: u8 n below 128, n + 1 bytes; above it, a byte 257 - n times; 128 ends them.
type runLengths struct {
	in    io.Reader
	queue []byte
	done  bool
}

// Read implements io.Reader.
func (r *runLengths) Read(b []byte) (int, error) {
	for len(r.queue) == 0 {
		var n [1]byte
		if r.done {
			return 0, io.EOF
		}
		if _, err := io.ReadFull(r.in, n[:]); err != nil || n[0] == 128 {
			r.done = true
			return 0, end(err)
		}
		count := int(n[0]) + 1
		if n[0] > 128 {
			count = 1
		}
		r.queue = make([]byte, count)
		if _, err := io.ReadFull(r.in, r.queue); err != nil {
			r.done = true
			return 0, bound.CutShort(err)
		}
		if n[0] > 128 {
			r.queue = bytes.Repeat(r.queue, 257-int(n[0]))
		}
	}
	n := copy(b, r.queue)
	r.queue = r.queue[n:]
	return n, nil
}

// end is the end of what err ended.
func end(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

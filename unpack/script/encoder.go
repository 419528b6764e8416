package script

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Notes on encoded scripts.
const (
	noteChecksum = showcause.Ambiguous + ".screnc.checksum"
	noteLength   = showcause.Ambiguous + ".screnc.length"
)

const (
	encodedMark = "#@~^"
	encodedHead = len(encodedMark) + 8 // with the length
	encodedEnd  = "^#~@"
)

// The k-th byte of an encoded script stands for what table picks[k%64] has in its place. Tables begin with a
// tab and go on with 0x20 to 0x7f; anyone has them who encodes each character at each place. <, > and @, and the ends of lines,
// are written as @ and another character, which counts as a byte too.
const picks = "1201202002021020102011200210200211020201011201021020112001120102"

var tables = [3]string{
	"{20!)[83=X:5e9\\VsfNEkbYx^}Jmq<`>S@B'Hru17MR\"TjGd- \x7f.L]~loytC&v%$+(#A4\t*D?w;UiacPgQIOFh|6pnz/_KZ,W",
	"W.GzVBj/&IA42[vrC89pEhqO\tbD#u<~>^@wJa]\"KoN;LPg*}tT+-,0nkf5%!dMRc?{x)(sY3\x7fmUS|:_eFX1ilZH'\\=$y7`Q 6",
	"n-uR`q^I\\b})6 |z\x7fkc3+hQfv1dTC<:>~@E,*t'7DyY/o&rj9{?8wgSG4x]0#Z[lHUpi.L!$NP\tVs5aKX;W\"mM%(FJ2A=_OBe",
}

// escaped is what @ and another character stand for.
var escaped = map[byte]byte{'&': '\n', '#': '\r', '*': '>', '!': '<', '$': '@'}

// Encoded reads what the Script Encoder wrote, anywhere in a text: "#@~^", the length, the script, its
// sum, "^#~@". The child is the script, "screnc.script". It goes to the end mark, or to the end of the layer; where
// the length says more, that much is a child as well.
func Encoded() unpack.Format {
	return unpack.Format{
		Name: "screnc",
		Match: func(p *unpack.Probe) bool {
			if wide(p.Type) && !mostlyText(p.Head[:min(len(p.Head), window)]) {
				return bytes.Contains(p.Head, []byte("#\x00@\x00~\x00^")) || p.Source.Size() > int64(len(p.Head))
			}
			if p.Type != filetype.Unknown && !textual(p) {
				return p.Type.String() == "script-encoder"
			}
			return bytes.Contains(p.Head, []byte(encodedMark)) || p.Source.Size() > int64(len(p.Head)) && isText(p.Type) && hasASCII(p.Head)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			src, own := narrowed(src, out)
			var inside skipper // what stands in a script is read there
			if own {
				inside.spans = out.Covered()
			}
			e := encodedText{finder: newFinder(src, out), room: 2*src.Size() + 1<<20}
			for off, ok := int64(0), true; ok; {
				var at int64
				if at, ok = e.find(off, encodedMark); !ok {
					break
				}
				if off = inside.past(at); off == at {
					off, ok = e.script(at)
				}
			}
			e.rest()
		},
	}
}

// word64 reads a number of four bytes in base64, as lengths and sums are.
func word64(b []byte) (uint32, bool) {
	if len(b) < 8 || b[6] != '=' || b[7] != '=' {
		return 0, false
	}
	var v [6]byte
	if n, err := base64.StdEncoding.Decode(v[:], b[:8]); err != nil || n != 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(v[:]), true
}

// encodedText is a text with encoded scripts.
type encodedText struct {
	*finder
	nextEnd int64 // where an end mark stands, the next one from there back to where it was looked for
	noEnd   bool  // no end mark follows
	endless bool  // a script to the end of the layer was given
	room    int64 // bytes of scripts that may lie over others
	n       int
	spans   []unpack.Span // scripts that are one child together
}

// give gives what stands in [from, to), or keeps it for the end.
func (e *encodedText) give(from, to int64) (*decoder, bool) {
	if !e.out.Work((to-from)/8 + 8) {
		return nil, false
	}
	d := newDecoder(bound.Reader(e.src, from, to-from), to-from)
	if e.n++; e.n <= maxEach {
		return d, e.out.Child(unpack.Child{Op: "screnc.script", Reader: d, Size: -1})
	}
	if len(e.spans) >= maxSpans {
		e.out.Gap(showcause.LimitObject, from, to-from)
		return nil, false
	}
	e.spans = append(e.spans, unpack.Span{From: from, To: to})
	return nil, true // its sum is not held against anything
}

// rest gives what was kept.
func (e *encodedText) rest() {
	if len(e.spans) > 0 {
		open := func(s unpack.Span) io.Reader {
			return newDecoder(bound.Reader(e.src, s.From, s.To-s.From), s.To-s.From)
		}
		e.out.Child(unpack.Child{Op: "screnc.script", Size: -1, Reader: &lines{spans: e.spans, open: open}})
	}
}

// script gives the script whose mark stands at at. It returns where to look for the next one, and
// whether to go on.
func (e *encodedText) script(at int64) (next int64, ok bool) {
	src, out := e.src, e.out
	head := e.finder.at(at, int64(encodedHead))
	if len(head) < encodedHead {
		return at + int64(len(encodedMark)), true
	}
	length, sized := word64(head[len(encodedMark):])
	from := at + int64(encodedHead)
	if !sized { // some readers need no length: the script begins where it would end
		length = 0
	}
	end, found := src.Size(), false
	if !e.noEnd {
		if found = e.nextEnd >= from; !found {
			e.nextEnd, found = e.find(from, encodedEnd)
		}
		if found {
			end = e.nextEnd
		}
	}
	if !found {
		e.noEnd = true
		if !out.Work(1) {
			return 0, false
		}
		if e.endless || !sized {
			return from, true // it was given, or these are words about it
		}
		e.endless = true
	}
	sum, summed := uint32(0), false
	body := end
	if body-8 >= from {
		if sum, summed = word64(e.finder.at(end-8, 8)); summed {
			body = end - 8
		}
	}
	d, ok := e.give(from, body)
	if !ok {
		return 0, false
	}
	if d != nil && found && summed && sum != d.sum {
		out.Gap(noteChecksum, at, end-at)
	}
	// The length counts the bytes as they are written, an @ and what follows as two.
	if n := int64(length); sized && n != body-from {
		out.Gap(noteLength, at, end-at)
		if n > body-from && n <= src.Size()-from {
			if e.room -= n; e.room < 0 {
				out.Gap(showcause.LimitWork, from, n)
				return 0, false
			}
			if _, ok := e.give(from, from+n); !ok {
				return 0, false
			}
		}
	}
	if !found {
		return from, true // there may be others in it
	}
	return end + int64(len(encodedEnd)), true
}

// decoder undoes the encoding.
type decoder struct {
	in  *bufio.Reader
	k   int
	sum uint32 // of what was given
}

func newDecoder(r io.Reader, n int64) *decoder {
	return &decoder{in: bufio.NewReaderSize(r, int(min(max(n, 16), 16<<10)))}
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	for i := range p {
		c, err := d.in.ReadByte()
		if err != nil {
			return i, err
		}
		if c == '@' {
			if next, err := d.in.ReadByte(); err == nil {
				if v, ok := escaped[next]; ok {
					c = v
				} else {
					d.in.UnreadByte()
				}
			}
		} else if c == '\t' || c >= 0x20 && c < 0x80 {
			c = tables[picks[d.k]-'0'][max(int(c)-0x1f, 0)]
		}
		d.k = (d.k + 1) % len(picks)
		d.sum += uint32(c)
		p[i] = c
	}
	return len(p), nil
}

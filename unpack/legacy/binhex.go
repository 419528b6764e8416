package legacy

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var binHexMark = []byte("(This file must be converted with BinHex")

// binHexLine is how far behind the mark the data may begin, in bytes.
const binHexLine = 4 << 10

// BinHex reads BinHex 4.0 (RFC 1741), at the start of a layer and behind other text:
// a line that says so, a colon, characters of 6 bits each, a colon. What they stand for
// has repetitions, 0x90 and a count, and is
//
//	header    length of the name (1), name, 0, type (4), creator (4), flags (2),
//	          size of the data (4) and of the resources (4), checksum (2)
//	          the data, their checksum (2), the resources, their checksum (2)
//
// Both are children, "binhex.data" and "binhex.resource".
func BinHex() unpack.Format {
	return unpack.Format{
		Name: "binhex",
		Match: func(p *unpack.Probe) bool {
			switch p.Type {
			case filetype.Mail, filetype.MHTML: // it is in their parts
				return false
			}
			// Text that is longer than its head may have it anywhere.
			return bytes.Contains(p.Head, binHexMark) ||
				!p.Type.Hides() && p.Source.Size() > int64(len(p.Head)) && bytes.IndexByte(p.Head, 0) < 0 && bytes.IndexByte(p.Head, 0xff) < 0
		},
		Walk: binHexWalk,
	}
}

func binHexWalk(src showcause.Source, out *unpack.Out) {
	off, found := int64(0), false
	for {
		at, ok := out.Find(src, off, binHexMark, nil)
		if !ok {
			break
		}
		off = at + int64(len(binHexMark))
		start, ok := binHexStart(src, off)
		if !ok {
			continue
		}
		found = true
		end, ok := binHexFile(src, out, start)
		if !ok {
			return
		}
		off = max(end, off)
	}
	if !found && bytes.HasPrefix(bound.Head(src, len(binHexMark)), binHexMark) {
		out.Gap(showcause.Corrupt, 0, -1)
	}
}

// binHexStart returns where the characters begin that follow the mark: behind a
// colon that opens a line.
func binHexStart(src showcause.Source, off int64) (int64, bool) {
	b, _ := bound.ReadAt(src, off, min(binHexLine, src.Size()-off), binHexLine)
	for i := 1; i < len(b); i++ {
		if b[i] == ':' && (b[i-1] == '\n' || b[i-1] == '\r') {
			return off + int64(i) + 1, true
		}
	}
	return 0, false
}

// binHexFile gives what begins at off, and returns where it ends; false where
// limits are spent.
func binHexFile(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	in := newInput(src, off)
	d := &binHexReader{in: in}
	head := make([]byte, 1)
	if n, _ := io.ReadFull(d, head); n == 1 {
		head = append(head, make([]byte, int(head[0])+21)...)
	}
	if n, _ := io.ReadFull(d, head[1:]); n < 22 || n < len(head)-1 || head[0] == 0 || binHexSum(0, head) != 0 {
		if bytes.HasPrefix(bound.Head(src, len(binHexMark)), binHexMark) {
			out.Gap(showcause.Corrupt, off, -1) // in a text that has the mark somewhere, it is text
		}
		return in.at(), true
	}
	name := string(head[1 : 1+head[0]])
	sizes := head[len(head)-10:]
	for i, op := range []string{"binhex.data", "binhex.resource"} {
		f := &binHexFork{d: d, left: int64(binary.BigEndian.Uint32(sizes[4*i:]))}
		empty := f.left == 0
		if !empty {
			if !out.Work(1<<10) || !out.Child(unpack.Child{Op: op, Name: name, Size: f.left, Reader: f}) {
				return 0, false
			}
		}
		for buf := make([]byte, 4<<10); f.err == nil; { // a limit may have cut the child
			if n, _ := f.Read(buf); !out.Work(int64(n) + 1) {
				return 0, false
			}
		}
		if f.err != io.EOF {
			if empty {
				out.Gap(showcause.Corrupt, in.at(), -1)
			}
			return in.at(), true
		}
	}
	if !d.closed() {
		out.Gap(showcause.Corrupt, min(in.at(), src.Size()), -1)
	}
	return in.at(), true
}

// binHexSum is the checksum of X.25 with a start of 0, over a part and, at its end,
// the checksum itself: then it is 0.
func binHexSum(sum uint16, p []byte) uint16 {
	for _, c := range p {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// binHexFork reads one of the two parts and its checksum.
type binHexFork struct {
	d    *binHexReader
	left int64
	sum  uint16
	err  error
}

// Read implements io.Reader.
func (f *binHexFork) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.left == 0 {
		var sum [2]byte
		if _, f.err = io.ReadFull(f.d, sum[:]); f.err != nil {
			f.err = io.ErrUnexpectedEOF
		} else if f.err = io.EOF; f.sum != binary.BigEndian.Uint16(sum[:]) {
			f.err = unpack.Fail(showcause.Corrupt)
		}
		return 0, f.err
	}
	n, err := f.d.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	f.sum = binHexSum(f.sum, p[:n])
	f.err = bound.CutShort(err)
	return n, f.err
}

// binHexReader decodes the characters up to the colon.
type binHexReader struct {
	in     *input
	bits   uint32
	have   uint
	last   byte
	repeat int
	ended  bool
	err    error
}

// Read implements io.Reader.
func (d *binHexReader) Read(p []byte) (n int, err error) {
	for n < len(p) && d.err == nil {
		if d.repeat > 0 {
			d.repeat--
			p[n] = d.last
			n++
			continue
		}
		c, ok := d.byte()
		if !ok {
			break
		}
		if c != 0x90 {
			d.last = c
			p[n] = c
			n++
			continue
		}
		if c, ok = d.byte(); !ok {
			break
		}
		if d.repeat = int(c) - 1; c == 0 { // the character itself
			d.last, d.repeat = 0x90, 1
		}
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, d.err
}

// byte takes 8 bits.
func (d *binHexReader) byte() (byte, bool) {
	for d.have < 8 {
		v, ok := d.six()
		if !ok {
			return 0, false
		}
		d.bits = d.bits<<6 | uint32(v)
		d.have += 6
	}
	d.have -= 8
	return byte(d.bits >> d.have), true
}

const binHexDigits = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"

// binHexValues are what the characters stand for, -1 for the others.
var binHexValues = func() (t [256]int8) {
	for i := range t {
		t[i] = int8(bytes.IndexByte([]byte(binHexDigits), byte(i)))
	}
	return t
}()

// six takes one character; false at the colon, with io.EOF, and where none of the
// alphabet stands.
func (d *binHexReader) six() (int, bool) {
	for d.err == nil {
		c, err := d.in.ReadByte()
		switch {
		case err != nil:
			d.err = bound.CutShort(err)
		case c == '\n' || c == '\r' || c == ' ' || c == '\t':
		case c == ':':
			d.err, d.ended = io.EOF, true
		default:
			if v := binHexValues[c]; v >= 0 {
				return int(v), true
			}
			d.err = errData
		}
	}
	return 0, false
}

// closed tells whether no more than a character stands in front of the colon.
func (d *binHexReader) closed() bool {
	for range 3 {
		if _, ok := d.six(); !ok {
			break
		}
	}
	return d.ended
}

// Package inline reads files that have others in the midst of them: Flash, documents of
// Office as one XML file, ActiveMime, shell links.
package inline

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var le = binary.LittleEndian

// Tags of Flash ("SWF File Format Specification" 19).
const (
	swfEnd       = 0
	swfBits      = 6
	swfLossless  = 20
	swfJPEG2     = 21
	swfJPEG3     = 35
	swfLossless2 = 36
	swfBinary    = 87
	swfJPEG4     = 90
)

// SWF reads Flash: what is compressed, by zlib or LZMA, is a child as if it were not, "swf.body".
// In that, data are "swf.data", pictures "swf.image", those without a format of their own, which are
// compressed, "swf.pixels"; scripts and the rest stand there as they are. What is behind the last tag is "swf.rest".
//
//	FWS, CWS or ZWS; u8 version; u32 length of all if nothing is compressed
//	ZWS alone: u32 length, 5 bytes properties of LZMA
//	a rectangle, u16 frames a second, u16 frames; tags: u16 length, kind << 6; u32 length, if that is 63
func SWF() unpack.Format {
	return unpack.Format{
		Name: "swf",
		Match: func(p *unpack.Probe) bool {
			b := p.Head
			return len(b) >= 8 && (b[0] == 'F' || b[0] == 'C' || b[0] == 'Z') && b[1] == 'W' && b[2] == 'S' && b[3] > 0 && b[3] < 64
		},
		Walk: swfWalk,
	}
}

func swfWalk(src showcause.Source, out *unpack.Out) {
	head := bound.Head(src, 17)
	if len(head) < 8 || !out.Work(64) {
		return
	}
	if head[0] == 'F' {
		swfTags(src, out, int64(le.Uint32(head[4:])))
		return
	}
	from := int64(8)
	if head[0] == 'Z' {
		from = 17
	}
	if int64(len(head)) < from {
		out.Gap(showcause.Corrupt, src.Size(), -1)
		return
	}
	r := &swfBody{head: append([]byte("FWS"), head[3:8]...), props: head[8:], z: head[0] == 'Z', in: bufio.NewReader(bound.Reader(src, from, -1))}
	r.counter.in = r.in
	if !out.Child(unpack.Child{Op: "swf.body", Reader: r, Size: int64(le.Uint32(head[4:]))}) || r.err != io.EOF {
		return
	}
	at := from + r.counter.n
	if n := int64(le.Uint32(head[8:])); head[0] == 'Z' && r.counter.n < n && at < src.Size() {
		out.Gap(showcause.Corrupt, at, min(n-r.counter.n, src.Size()-at)) // more than its length says
	}
	out.Tail(src, at, "swf.rest")
}

// counter counts what is read of in.
type counter struct {
	in *bufio.Reader
	n  int64
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.in.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// swfBody is a file as if it were not compressed.
type swfBody struct {
	head    []byte
	props   []byte
	z       bool
	in      *bufio.Reader
	counter counter
	body    io.Reader
	err     error
}

// Read implements io.Reader.
func (s *swfBody) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		if s.body == nil {
			s.err = s.open()
		}
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.body.Read(p)
	s.err = err
	return n, err
}

func (s *swfBody) open() (err error) {
	if !s.z {
		s.body, err = zlib.NewReader(&s.counter)
		return bound.CutShort(err)
	}
	size := max(int64(le.Uint32(s.head[4:]))-8, 0)
	props := [5]byte(s.props[4:9])
	// No distance is longer than what there is.
	le.PutUint32(props[1:], min(le.Uint32(props[1:]), uint32(size)))
	d, err := codec.NewLZMA(&s.counter, props, size)
	if err == nil {
		d.Marked = true
		s.body = d
	}
	return err
}

// swfTags gives what is in a file that is not compressed, of which n bytes are said to be.
func swfTags(src showcause.Source, out *unpack.Out, n int64) {
	if n > src.Size() {
		out.Gap(showcause.Corrupt, src.Size(), n-src.Size())
	}
	rect, _ := bound.ReadAt(src, 8, 1, 1)
	if len(rect) == 0 {
		out.Gap(showcause.Corrupt, src.Size(), -1)
		return
	}
	at := 8 + (5+4*int64(rect[0]>>3)+7)/8 + 4
	for {
		b, _ := bound.ReadAt(src, at, min(6, max(src.Size()-at, 0)), 6)
		if !out.Work(4) {
			return
		}
		if len(b) < 2 {
			out.Gap(showcause.Corrupt, src.Size(), -1)
			break
		}
		kind, size := le.Uint16(b)>>6, int64(le.Uint16(b)&63)
		at += 2
		if size == 63 {
			if len(b) < 6 {
				out.Gap(showcause.Corrupt, src.Size(), -1)
				break
			}
			size = int64(le.Uint32(b[2:]))
			at += 4
		}
		if kind == swfEnd {
			at += size
			break
		}
		if !swfTag(src, out, kind, at, size) {
			return
		}
		if at += size; at > src.Size() {
			out.Gap(showcause.Corrupt, src.Size(), at-src.Size())
			break
		}
	}
	out.Tail(src, at, "swf.rest")
}

// swfTag gives what a tag has: size bytes at off.
func swfTag(src showcause.Source, out *unpack.Out, kind uint16, off, size int64) bool {
	size = min(size, src.Size()-off)
	op, skip := "swf.image", int64(2)
	switch kind {
	case swfBinary:
		op, skip = "swf.data", 6
	case swfBits, swfJPEG2:
	case swfJPEG3:
		skip = 6
	case swfJPEG4:
		skip = 8
	case swfLossless, swfLossless2:
		return swfPixels(src, out, off, size)
	default:
		return true
	}
	return size <= skip || out.Section(src, op, "", off+skip, size-skip)
}

// swfPixels gives a picture that is compressed: u16 number, u8 form, u16 width, u16 height,
// u8 colours if the form is 3.
func swfPixels(src showcause.Source, out *unpack.Out, off, size int64) bool {
	b, _ := bound.ReadAt(src, off, min(8, max(size, 0)), 8)
	if len(b) < 8 {
		out.Gap(showcause.Corrupt, off, size)
		return true
	}
	skip := int64(7)
	if b[2] == 3 {
		skip = 8
	}
	z, err := zlib.NewReader(bound.Reader(src, off+skip, size-skip))
	if err != nil {
		out.Gap(showcause.Corrupt, off, size)
		return true
	}
	out.Cover(off, size)
	return out.Child(unpack.Child{Op: "swf.pixels", Reader: z, Size: -1, Deflate: true})
}

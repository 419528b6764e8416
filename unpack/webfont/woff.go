// Package webfont reads web fonts: WOFF, tables that are compressed each, and WOFF2, all
// tables in one Brotli stream.
package webfont

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	woffHead   = 44
	woffEntry  = 20
	woff2Head  = 48
	woffTables = 4 << 10 // of a font

	openCost = 1 << 14 // steps for a decoder and its buffers
)

// WOFF reads web fonts (W3C, WOFF File Format 1.0): tables that are compressed each,
// or stand as they are, and a text about the font.
//
//	header = "wOFF", flavour, length, tables u16, reserved u16, size of the font, version (4),
//	         offset, length and size of the text, offset and length of private data
//	table  = tag, offset, length, size, checksum
func WOFF() unpack.Format {
	return unpack.Format{
		Name:  "woff",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("wOFF")) },
		Walk:  woffWalk,
	}
}

func woffWalk(src showcause.Source, out *unpack.Out) {
	head, err := bound.ReadAt(src, 0, woffHead, woffHead)
	if err != nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	be := binary.BigEndian
	n := int64(be.Uint16(head[12:]))
	dir, err := bound.ReadAt(src, woffHead, n*woffEntry, woffTables*woffEntry)
	if err != nil {
		out.Gap(showcause.Corrupt, woffHead, -1)
	}
	for ; len(dir) >= woffEntry; dir = dir[woffEntry:] {
		if !out.Work(16) || !woffPiece(src, out, "woff.table", string(dir[:4]), be.Uint32(dir[4:]), be.Uint32(dir[8:]), be.Uint32(dir[12:])) {
			return
		}
	}
	woffPiece(src, out, "woff.metadata", "", be.Uint32(head[24:]), be.Uint32(head[28:]), be.Uint32(head[32:]))
}

// woffPiece gives n bytes at off, which are compressed if they are less than
// size: what stands as it is, is the layer's own.
func woffPiece(src showcause.Source, out *unpack.Out, op, name string, off, n, size uint32) bool {
	switch at := int64(off); {
	case n == 0 && size == 0:
		return true
	case !bound.In(at, int64(n), src.Size()):
		out.Gap(showcause.Corrupt, min(at, src.Size()), int64(n))
		return true
	case n >= size:
		return true
	}
	z := &inflated{src: bound.Reader(src, int64(off), int64(n)), left: int64(size)}
	return out.Work(openCost) && out.Child(unpack.Child{Op: op, Name: name, Reader: z, Size: int64(size)})
}

// inflated reads a zlib stream that gives left bytes.
type inflated struct {
	src  io.Reader
	z    io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (i *inflated) Read(p []byte) (int, error) {
	if i.z == nil {
		var err error
		if i.z, err = zlib.NewReader(i.src); err != nil {
			return 0, bound.CutShort(err)
		}
	}
	n, err := i.z.Read(p)
	if i.left -= int64(n); err == io.EOF && i.left != 0 {
		err = io.ErrUnexpectedEOF // not as much as is said
	}
	return n, err
}

// OpenBrotli opens a layer as a Brotli stream. after tells at its end where what is behind
// the stream begins, if anything is.
type OpenBrotli func(src showcause.Source, out *unpack.Out) (r io.ReadCloser, after func() (off int64, some bool))

// WOFF2 reads web fonts (W3C, WOFF File Format 2.0, sections 4 and 5): all tables, some of
// them in a form of their own, in one Brotli stream, and a text in another.
//
//	header    = "wOF2", flavour, length, tables u16, reserved u16, size of the font, length of the stream,
//	            version (4), offset, length and size of the text, offset and length of private data
//	directory = tables x { flags u8 [, tag], length [, length in the stream] }, numbers of 1 to 5 bytes
//	            [, fonts of a collection]
func WOFF2(brotli OpenBrotli) unpack.Format {
	return unpack.Format{
		Name:  "woff2",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, []byte("wOF2")) },
		Walk:  brotli.walk,
	}
}

func (brotli OpenBrotli) walk(src showcause.Source, out *unpack.Out) {
	head, err := bound.ReadAt(src, 0, woff2Head, woff2Head)
	if err != nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	be := binary.BigEndian
	dir, _ := bound.ReadAt(src, woff2Head, min(src.Size()-woff2Head, 1<<20), 1<<20)
	if !out.Work(int64(be.Uint16(head[12:])) + 1) {
		return
	}
	skip, size, ok := woff2Directory(dir, int(be.Uint16(head[12:])), string(head[4:8]) == "ttcf")
	if !ok {
		out.Gap(showcause.Corrupt, woff2Head, -1)
		return
	}
	if !brotli.piece(src, out, "woff2.tables", woff2Head+skip, int64(be.Uint32(head[20:])), size) {
		return
	}
	if off, n := int64(be.Uint32(head[28:])), int64(be.Uint32(head[32:])); n > 0 {
		brotli.piece(src, out, "woff2.metadata", off, n, int64(be.Uint32(head[36:])))
	}
}

// woff2Directory returns the length of the directory, and of what its tables are in the
// stream together.
func woff2Directory(b []byte, tables int, collection bool) (skip, size int64, ok bool) {
	d := woff2Numbers{b: b, ok: true}
	for range tables {
		flags := d.byte()
		shape := flags&63 == 10 || flags&63 == 11 // glyf, loca
		if flags&63 == 63 {
			tag := string(d.bytes(4))
			shape = tag == "glyf" || tag == "loca"
		}
		plain := flags>>6 == 0
		if shape {
			plain = flags>>6 == 3
		}
		n := d.number()
		if !plain {
			n = d.number()
		}
		size = bound.Add(size, n)
		if !d.ok {
			return 0, 0, false
		}
	}
	if collection {
		d.bytes(4)
		for range d.short() {
			if !d.ok {
				break
			}
			fonts := d.short()
			d.bytes(4)
			for range fonts {
				d.short()
				if !d.ok {
					break
				}
			}
		}
	}
	return int64(len(b) - len(d.b)), size, d.ok
}

// woff2Numbers reads a directory.
type woff2Numbers struct {
	b  []byte
	ok bool
}

func (d *woff2Numbers) bytes(n int) []byte {
	if !d.ok || len(d.b) < n {
		d.ok = false
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *woff2Numbers) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// number is UIntBase128: seven bits a byte, the highest first.
func (d *woff2Numbers) number() (v int64) {
	for range 5 {
		c := d.byte()
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v
		}
	}
	d.ok = false
	return 0
}

// short is 255UInt16: a byte, or more behind 253, 254 and 255.
func (d *woff2Numbers) short() int {
	switch c := d.byte(); c {
	case 253:
		if b := d.bytes(2); b != nil {
			return int(b[0])<<8 | int(b[1])
		}
		return 0
	case 254:
		return int(d.byte()) + 506
	case 255:
		return int(d.byte()) + 253
	default:
		return int(c)
	}
}

// piece gives the stream of n bytes at off.
func (brotli OpenBrotli) piece(src showcause.Source, out *unpack.Out, op string, off, n, size int64) bool {
	if have := src.Size() - off; off > src.Size() || n > have {
		out.Gap(showcause.Corrupt, min(off, src.Size()), n)
		if n = max(have, 0); n == 0 {
			return true
		}
	}
	if !out.Work(openCost) {
		return false
	}
	r, after := brotli(bound.Section(src, off, n), out)
	if !out.Child(unpack.Child{Op: op, Reader: &woff2Stream{r, size}, Size: size}) {
		return false
	}
	if at, some := after(); some {
		out.Gap(showcause.Corrupt, off+at, n-at)
	}
	return true
}

// woff2Stream is a stream that gives left bytes.
type woff2Stream struct {
	io.ReadCloser
	left int64
}

var errWOFF = errors.New("woff2: not as many bytes as its tables have")

// Read implements io.Reader.
func (w *woff2Stream) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.left -= int64(n); err == io.EOF && w.left != 0 {
		err = errWOFF
	}
	return n, err
}

package stream

import (
	"encoding/binary"
	"hash"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Zlib reads bare zlib streams (RFC 1950), one behind the other, as git keeps
// its objects and as many a program keeps its data. Each is a child,
// "zlib.deflate". A checksum that does not fit is a gap, and so is what follows
// the last stream, but for zeros: no program is known to read there.
func Zlib() unpack.Format {
	return unpack.Format{
		Name:  "zlib",
		Match: func(p *unpack.Probe) bool { return p.Type.String() == "zlib" },
		Walk:  zlibWalk,
	}
}

// isZlib judges the two bytes that a stream begins with (RFC 1950, section 2.2).
func isZlib(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && b[1]&0x20 == 0 && binary.BigEndian.Uint16(b)%31 == 0
}

func zlibWalk(src showcause.Source, out *unpack.Out) {
	for off, cost := int64(0), int64(firstRun); out.Work(cost); cost = laterRun {
		open := func() *zlibRun { return &zlibRun{in: newInput(src, off), start: off} }
		r, ok := give(out, unpack.Child{Op: "zlib.deflate", Size: -1}, open(), open, 2)
		if !ok {
			return
		}
		r.tell(out)
		at := max(r.in.offset(), off+1)
		if b, _ := bound.ReadAt(src, at, 2, 2); r.err == io.EOF && isZlib(b) {
			off = at
			continue
		}
		if junk, more := bound.SkipZeros(src, at); more && r.err == io.EOF {
			out.Gap(showcause.Corrupt, junk, src.Size()-junk)
		}
		return
	}
}

// zlibRun is one stream.
type zlibRun struct {
	damage

	in    *input
	start int64
	fl    io.Reader
	sum   hash.Hash32
	err   error
}

func (z *zlibRun) free() {
	z.in.free()
	z.fl = nil
}

// Read implements io.Reader.
func (z *zlibRun) Read(p []byte) (int, error) {
	if z.fl == nil && z.err == nil {
		var h [2]byte
		if z.err = z.in.full(h[:]); z.err == nil && !isZlib(h[:]) {
			z.err = unpack.Fail(showcause.Corrupt)
		}
		z.fl, z.sum = flate.NewReader(z.in.Reader), adler32.New()
	}
	if z.err != nil {
		return 0, z.err
	}
	n, err := z.fl.Read(p)
	z.sum.Write(p[:n])
	if err == io.EOF {
		var t [4]byte
		if err = z.in.full(t[:]); err == nil {
			if err = io.EOF; binary.BigEndian.Uint32(t[:]) != z.sum.Sum32() {
				z.note(z.start)
			}
		}
	} else {
		err = bound.CutShort(err)
	}
	z.err = err
	return n, err
}

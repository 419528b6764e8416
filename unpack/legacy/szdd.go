package legacy

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var szddMagic = []byte("SZDD\x88\xf0\x27\x33")

// SZDD reads files of Microsoft's COMPRESS.EXE: magic, 'A', the last letter of
// the name, size (4), and LZSS with a window of 4 KiB (libmspack's notes).
func SZDD() unpack.Format {
	return unpack.Format{
		Name:  "szdd",
		Match: func(p *unpack.Probe) bool { return p.Type.String() == "szdd" },
		Walk: func(src showcause.Source, out *unpack.Out) {
			h, _ := bound.ReadAt(src, 0, 14, 14)
			if len(h) < 14 || !bytes.HasPrefix(h, szddMagic) || h[8] != 'A' {
				out.Gap(showcause.Corrupt, 0, -1)
				return
			}
			size := int64(le.Uint32(h[10:]))
			in := newInput(src, 14)
			give(src, out, unpack.Child{Op: "szdd.lzss", Size: size}, in, szdd(in, 4096-16, -1), size, "szdd.rest")
		},
	}
}

// give gives the one content of a file, which is read to the end of the input:
// readers differ in whether they stop at the size. What stands behind either end
// is a child as it is.
func give(src showcause.Source, out *unpack.Out, c unpack.Child, in *input, r io.Reader, size int64, rest string) {
	if !out.Work(1 << 13) {
		return
	}
	m := &measured{in: in, r: r, size: size, end: -1}
	c.Reader = m
	if !out.Child(c) {
		return
	}
	if m.wrong {
		out.Gap(showcause.Corrupt, src.Size(), -1)
	}
	if m.end >= 0 {
		out.Tail(src, m.end, rest)
	}
}

// measured notes whether the content has another size than it should.
type measured struct {
	in    *input
	r     io.Reader
	size  int64 // -1 if not known
	n     int64
	end   int64 // offset of what stands behind; -1 if it is not known
	wrong bool
}

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	if m.n < m.size {
		p = p[:min(int64(len(p)), m.size-m.n)]
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.end < 0 && (err == io.EOF || m.n == m.size) {
		m.end = m.in.at()
	}
	if err == io.EOF {
		if m.size >= 0 && m.n < m.size {
			return n, io.ErrUnexpectedEOF
		}
		m.wrong = m.size >= 0 && m.n != m.size
	}
	return n, err
}

var kwajMagic = []byte("KWAJ\x88\xf0\x27\xd1")

const (
	kwajMethod = showcause.Unsupported + ".method.kwaj"
	kwajRest   = "kwaj.rest" // what stands behind
)

// KWAJ reads files of a later COMPRESS.EXE: magic, method (2), offset of the
// data (2), flags (2) of what else the header has: size, name. Methods are
// none, exclusive or, LZSS, and blocks of MSZIP; the one with prefix codes is not read.
func KWAJ() unpack.Format {
	return unpack.Format{
		Name:  "kwaj",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, kwajMagic) },
		Walk:  kwajWalk,
	}
}

func kwajWalk(src showcause.Source, out *unpack.Out) {
	h, _ := bound.ReadAt(src, 0, 14, 14)
	if len(h) < 14 {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	method, off, flags := le.Uint16(h[8:]), int64(le.Uint16(h[10:])), le.Uint16(h[12:])
	size := int64(-1)
	name, ok := kwajName(src, off, flags, &size)
	if !ok || off < 14 || off > src.Size() {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	in := newInput(src, off)
	c := unpack.Child{Op: "kwaj.stored", Name: name, Size: size}
	switch method {
	case 0:
		give(src, out, c, in, in, size, kwajRest)
	case 1:
		c.Op = "kwaj.xor"
		give(src, out, c, in, inverted{in}, size, kwajRest)
	case 2:
		c.Op = "kwaj.lzss"
		give(src, out, c, in, szdd(in, 4096-18, -1), size, kwajRest)
	case 4:
		c.Op = "kwaj.mszip"
		give(src, out, c, in, &mszip{in: in.Reader, work: out.Work}, size, kwajRest)
	default:
		c.Op = "kwaj.unknown"
		out.ChildGap(c, kwajMethod)
	}
}

// kwajName reads what the flags say that the header has.
func kwajName(src showcause.Source, end int64, flags uint16, size *int64) (string, bool) {
	b, err := bound.ReadAt(src, 14, max(end-14, 0), 1<<16)
	if err != nil {
		return "", false
	}
	take := func(n int) []byte {
		p := b[:min(n, len(b))]
		b = b[len(p):]
		return p
	}
	if flags&1 != 0 {
		p := take(4)
		if len(p) < 4 {
			return "", false
		}
		*size = int64(le.Uint32(p))
	}
	if flags&2 != 0 {
		take(2)
	}
	if flags&4 != 0 {
		if p := take(2); len(p) == 2 {
			take(int(le.Uint16(p)))
		}
	}
	name := ""
	for i, flag := range []uint16{8, 16} {
		if flags&flag == 0 {
			continue
		}
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			n = len(b)
		}
		if s := string(take(n)); i == 0 {
			name = s
		} else {
			name += "." + s
		}
		take(1)
	}
	return name, true
}

// inverted turns every bit over.
type inverted struct{ r io.Reader }

// Read implements io.Reader.
func (i inverted) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	for k := range p[:n] {
		p[k] ^= 0xff
	}
	return n, err
}

// mszip reads blocks: size (2), "CK", a DEFLATE stream over the 32 KiB before.
type mszip struct {
	in   *bufio.Reader
	work func(int64) bool
	past []byte
	out  []byte
	err  error
}

// Read implements io.Reader.
func (m *mszip) Read(p []byte) (int, error) {
	for len(m.out) == 0 && m.err == nil {
		m.err = m.block()
	}
	if len(m.out) == 0 {
		return 0, m.err
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

func (m *mszip) block() error {
	var h [4]byte
	if n, err := io.ReadFull(m.in, h[:]); err != nil {
		if n == 2 && h[0] == 0 && h[1] == 0 { // a size of 0 is the end
			return io.EOF
		}
		return err // io.EOF where a block would begin
	}
	n := int(le.Uint16(h[:]))
	if n < 2 || string(h[2:]) != "CK" {
		return errData
	}
	if !m.work(8 << 10) {
		return unpack.Fail(showcause.LimitWork)
	}
	data := make([]byte, n-2)
	k, short := io.ReadFull(m.in, data)
	b, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(data[:k]), m.past), 32<<10))
	m.out = b
	if m.past = append(m.past, b...); len(m.past) > 32<<10 {
		m.past = m.past[len(m.past)-32<<10:]
	}
	return bound.CutShort(cmpErr(err, short))
}

package codec

import (
	"io"

	"github.com/showcause/showcause/internal/bound"
)

// ByteReader is what LZMA2 reads from; nothing is read past its end.
type ByteReader interface {
	io.Reader
	io.ByteReader
}

// LZMA2 decodes LZMA2: chunks, each with a control byte, that are copied
// or coded with LZMA over one dictionary (liblzma, lzma2_decoder.c, is the
// reference; there is no specification).
//
//	0              the end
//	1, 2           copied; 1 empties the dictionary
//	0x80..0xff     coded; bits 5 and 6: 1 resets the state, 2 also brings
//	               properties, 3 also empties the dictionary
type LZMA2 struct {
	// Work, if not nil, is charged when a chunk sets up a decoder anew; false
	// ends the stream with ErrWork.
	Work func(steps int64) bool

	in   ByteReader
	d    *LZMA
	dict int64
	in2  capped // what the decoder reads once the chunk is used up
	buf  []byte // the coded bytes of a chunk

	copying int // bytes left of a copied chunk
	coded   bool
	dictOK  bool // the dictionary was emptied once
	propsOK bool
	err     error
}

// capped says why there is nothing behind the coded bytes of a chunk.
type capped struct{ err error }

func (c *capped) ReadByte() (byte, error) { return 0, c.err }

// Reset begins a sequence of chunks with a dictionary of that many bytes.
func (l *LZMA2) Reset(in ByteReader, dict int64) {
	*l = LZMA2{Work: l.Work, in: in, d: l.d, dict: dict, buf: l.buf}
	if l.d == nil {
		l.d = &LZMA{}
	}
	l.d.r, l.d.own, l.d.dict = &l.in2, true, dict
}

// Read implements io.Reader.
func (l *LZMA2) Read(p []byte) (n int, err error) {
	for n < len(p) && l.err == nil {
		switch {
		case l.copying > 0:
			var m int
			m, l.err = l.in.Read(p[n:min(len(p), n+l.copying)])
			l.err = bound.CutShort(l.err)
			l.d.write(p[n : n+m])
			n, l.copying = n+m, l.copying-m
		case l.coded:
			var m int
			m, l.err = l.d.Read(p[n:])
			n += m
			if l.err == io.EOF {
				l.err = l.chunkEnd()
			}
		default:
			l.err = l.chunk()
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// chunkEnd checks that a coded chunk used its bytes up and left no match open.
func (l *LZMA2) chunkEnd() error {
	l.coded = false
	if l.d.at != len(l.d.in) || l.d.left != 0 || l.d.n != l.d.limit {
		return ErrLZMA
	}
	return nil
}

// chunk reads a chunk's header; io.EOF is the end.
func (l *LZMA2) chunk() error {
	var h [5]byte
	c, err := l.in.ReadByte()
	if err != nil {
		return bound.CutShort(err)
	}
	switch {
	case c == 0:
		return io.EOF
	case c > 2 && c < 0x80:
		return ErrLZMA
	case c == 1 || c >= 0xe0:
		l.d.n, l.d.pos, l.d.wrap = 0, 0, false
		l.dictOK = true
		l.propsOK = l.propsOK && c != 1
	}
	if !l.dictOK {
		return ErrLZMA
	}
	if c < 0x80 {
		if _, err := io.ReadFull(l.in, h[:2]); err != nil {
			return bound.CutShort(err)
		}
		l.copying = int(h[0])<<8 + int(h[1]) + 1
		return nil
	}
	n := 4
	if c >= 0xc0 {
		n = 5
	}
	if _, err := io.ReadFull(l.in, h[:n]); err != nil {
		return bound.CutShort(err)
	}
	size := int64(c&0x1f)<<16 + int64(h[0])<<8 + int64(h[1]) + 1
	packed := int(h[2])<<8 + int(h[3]) + 1
	if c >= 0xc0 {
		if h[4] >= 9*5*5 || h[4]%9+h[4]/9%5 > 4 {
			return ErrLZMA
		}
		l.propsOK = true
		l.d.lc, l.d.lp, l.d.pb = uint(h[4])%9, uint(h[4])/9%5, uint(h[4])/45
	}
	if !l.propsOK {
		return ErrLZMA
	}
	if c >= 0xa0 {
		if l.Work != nil && !l.Work(l.d.setup()) {
			return ErrWork
		}
		l.d.fresh()
	}
	if len(l.buf) < packed {
		l.buf = make([]byte, packed)
	}
	m, err := io.ReadFull(l.in, l.buf[:packed])
	l.d.in, l.d.at = l.buf[:m], 0
	if l.in2.err = ErrLZMA; err != nil {
		l.in2.err = bound.CutShort(err)
	}
	l.coded = true
	return l.d.again(size)
}

// fresh sets the probabilities and the state to those at the start of a stream.
func (d *LZMA) fresh() {
	if n := 0x300 << (d.lc + d.lp); len(d.lit) != n {
		d.lit = make([]uint16, n)
	}
	for _, p := range [][]uint16{
		d.lit, d.match[:], d.rep[:], d.repG0[:], d.repG1[:], d.repG2[:], d.rep0Long[:],
		d.special[:], d.align[:], d.slot[0][:], d.slot[1][:], d.slot[2][:], d.slot[3][:],
	} {
		lzmaFill(p)
	}
	d.lens.init()
	d.repLens.init()
	d.state, d.reps = 0, [4]uint32{}
}

// again starts the range coder anew for a chunk that gives size bytes.
func (d *LZMA) again(size int64) error {
	d.err, d.done, d.left = nil, nil, 0
	d.limit = d.n + size
	d.width, d.code = 0xffffffff, 0
	first := d.next()
	for range 4 {
		d.code = d.code<<8 | uint32(d.next())
	}
	if d.err != nil {
		return d.err
	}
	if first != 0 || len(d.lit) == 0 {
		return ErrLZMA
	}
	return nil
}

package archive

import (
	"io"

	"github.com/showcause/showcause/unpack"
)

// lzma2Reader reads LZMA2: chunks, each with a control byte, that are copied
// or coded with LZMA over one dictionary (liblzma, lzma2_decoder.c, is the
// reference; there is no specification).
//
//	0              the end
//	1, 2           copied; 1 empties the dictionary
//	0x80..0xff     coded; bits 5 and 6: 1 resets the state, 2 also brings
//	               properties, 3 also empties the dictionary
type lzma2Reader struct {
	in   *input
	d    *lzmaDecoder
	dict int64
	in2  capped // what the decoder reads

	copying int // bytes left of a copied chunk
	coded   bool
	dictOK  bool // the dictionary was emptied once
	propsOK bool
	err     error
}

// capped is the coded bytes of one chunk.
type capped struct {
	in   *input
	left int
}

func (c *capped) ReadByte() (byte, error) {
	if c.left == 0 {
		return 0, errLZMA
	}
	c.left--
	b, err := c.in.ReadByte()
	return b, cutShort(err)
}

// reset begins a sequence of chunks with a dictionary of that many bytes.
func (l *lzma2Reader) reset(in *input, dict int64) {
	d := l.d
	*l = lzma2Reader{in: in, d: d, dict: dict, in2: capped{in: in}}
	if l.d == nil {
		l.d = &lzmaDecoder{}
	}
	l.d.r, l.d.dict = &l.in2, dict
}

// Read implements io.Reader.
func (l *lzma2Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && l.err == nil {
		switch {
		case l.copying > 0:
			var m int
			m, l.err = l.in.Read(p[n:min(len(p), n+l.copying)])
			l.err = cutShort(l.err)
			for _, c := range p[n : n+m] {
				l.d.put(c)
			}
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
func (l *lzma2Reader) chunkEnd() error {
	l.coded = false
	if l.in2.left != 0 || l.d.left != 0 || l.d.n != l.d.limit {
		return errLZMA
	}
	return nil
}

// chunk reads a chunk's header; io.EOF is the end.
func (l *lzma2Reader) chunk() error {
	var h [5]byte
	c, err := l.in.ReadByte()
	if err != nil {
		return cutShort(err)
	}
	switch {
	case c == 0:
		return io.EOF
	case c > 2 && c < 0x80:
		return errLZMA
	case c == 1 || c >= 0xe0:
		l.d.n, l.d.pos, l.d.wrap = 0, 0, false
		l.dictOK = true
		l.propsOK = l.propsOK && c != 1
	}
	if !l.dictOK {
		return errLZMA
	}
	if c < 0x80 {
		if err := l.in.full(h[:2]); err != nil {
			return err
		}
		l.copying = int(h[0])<<8 + int(h[1]) + 1
		return nil
	}
	n := 4
	if c >= 0xc0 {
		n = 5
	}
	if err := l.in.full(h[:n]); err != nil {
		return err
	}
	size := int64(c&0x1f)<<16 + int64(h[0])<<8 + int64(h[1]) + 1
	l.in2.left = int(h[2])<<8 + int(h[3]) + 1
	if c >= 0xc0 {
		if h[4] >= 9*5*5 || h[4]%9+h[4]/9%5 > 4 {
			return errLZMA
		}
		l.propsOK = true
		l.d.lc, l.d.lp, l.d.pb = uint(h[4])%9, uint(h[4])/9%5, uint(h[4])/45
	}
	if !l.propsOK {
		return errLZMA
	}
	if c >= 0xa0 {
		l.d.fresh()
	}
	l.coded = true
	return l.d.again(size)
}

// fresh sets the probabilities and the state to those at the start of a stream.
func (d *lzmaDecoder) fresh() {
	if n := 0x300 << (d.lc + d.lp); len(d.lit) != n {
		d.lit = make([]uint16, n)
	}
	for _, p := range [][]uint16{d.lit, d.match[:], d.rep[:], d.repG0[:], d.repG1[:], d.repG2[:], d.rep0Long[:],
		d.special[:], d.align[:], d.slot[0][:], d.slot[1][:], d.slot[2][:], d.slot[3][:]} {
		lzmaFill(p)
	}
	d.lens.init()
	d.repLens.init()
	d.state, d.reps = 0, [4]uint32{}
}

// again starts the range coder anew for a chunk that gives size bytes.
func (d *lzmaDecoder) again(size int64) error {
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
		return errLZMA
	}
	return nil
}

// xzFilter is one filter of a block's chain.
type xzFilter struct {
	id    uint64
	props []byte
}

// reader undoes the filter (xz-file-format, section 5.3). Those for IA-64 and
// RISC-V are not known here.
func (f xzFilter) reader(r io.Reader) (io.Reader, error) {
	if f.id == 3 {
		if len(f.props) != 1 {
			return nil, errLZMA
		}
		return &deltaReader{r: r, dist: int(f.props[0]) + 1}, nil
	}
	start := uint32(0)
	switch len(f.props) {
	case 0:
	case 4:
		for i, b := range f.props {
			start |= uint32(b) << (8 * i)
		}
	default:
		return nil, errLZMA
	}
	b := &branchReader{r: r, pos: start}
	switch f.id {
	case 4:
		b.undo = (&x86Branch{}).undo
	case 5:
		b.undo = undoPowerPC
	case 7:
		b.undo = undoARM
	case 8:
		b.undo = undoThumb
	case 9:
		b.undo = undoSPARC
	case 10:
		b.undo = undoARM64
	default:
		return nil, unpack.Fail(xzFilterGap)
	}
	return b, nil
}

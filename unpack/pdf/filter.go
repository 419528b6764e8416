package pdf

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/lzw"
	"github.com/showcause/showcause/unpack"
)

// method is what a filter does.
type method uint8

const (
	filterUnknown method = iota
	filterFlate
	filterLZW
	filterHex
	filter85
	filterRun
	filterImage // pixels, in a format of its own
	filterCrypt
)

// methodOf returns the filter of a name or of its short form (ISO 32000-1, 7.4.1 and 8.9.7).
func methodOf(name []byte) method {
	switch string(name) {
	case "FlateDecode", "Fl":
		return filterFlate
	case "LZWDecode", "LZW":
		return filterLZW
	case "ASCIIHexDecode", "AHx":
		return filterHex
	case "ASCII85Decode", "A85":
		return filter85
	case "RunLengthDecode", "RL":
		return filterRun
	case "DCTDecode", "DCT", "JPXDecode", "JBIG2Decode", "CCITTFaxDecode", "CCF":
		return filterImage
	case "Crypt":
		return filterCrypt
	}
	return filterUnknown
}

// filter is one step of a chain.
type filter struct {
	method    method
	crypt     string // name of the crypt filter
	predictor int64
	colors    int64
	bits      int64
	columns   int64
	early     bool // LZW's codes grow one code early
}

// decoder is one filter that runs. It charges work for what comes out.
type decoder struct {
	r    io.Reader
	work func(int64) bool
	rate int64 // bytes for a step
	err  error
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.r.Read(p)
	if !d.work(int64(n)/d.rate + 1) {
		err = unpack.Fail(showcause.LimitWork)
	}
	d.err = err
	return n, err
}

// open returns what comes out of in under a filter, of a file.
func (f filter) open(in *bufio.Reader, of *file) io.Reader {
	d := &decoder{work: of.out.Work, rate: 2}
	switch f.method {
	case filterFlate:
		return f.over(newInflate(in, of), of)
	case filterLZW:
		d.r = lzw.New(in, f.early)
	case filterHex:
		d.r = &hexReader{in: in, half: -1}
	case filter85:
		d.r = &base85{in: in}
	case filterRun:
		d.r = &runs{in: in}
	default:
		return in
	}
	return f.predicted(d, of)
}

// over is open for deflate.
func (f filter) over(z *inflate, of *file) io.Reader {
	return f.predicted(&decoder{r: z, work: of.out.Work, rate: 8}, of)
}

// predicted undoes a predictor, if there is one.
func (f filter) predicted(d *decoder, of *file) io.Reader {
	if f.predictor < 2 || f.method != filterFlate && f.method != filterLZW {
		return d
	}
	p := &predict{of: of, in: bufio.NewReaderSize(d, smallRow), png: f.predictor >= 10}
	if f.predictor < 10 && f.predictor != 2 {
		return &broken{d} // there is none: readers leave it out
	}
	bits := bound.Mul(bound.Mul(max(f.colors, 1), max(f.bits, 1)), max(f.columns, 1))
	if f.colors < 1 || f.colors > 64 || f.bits < 1 || f.bits > 32 || f.columns < 1 || bits > maxRow*8 {
		return &broken{d}
	}
	p.row, p.pixel = (bits+7)/8, int(max((f.colors*f.bits+7)/8, 1))
	p.colors, p.bits = int(f.colors), int(f.bits)
	if f.predictor > 15 {
		return &broken{p}
	}
	return p
}

// maxRow is how many bytes a row of samples may have.
const maxRow = 16 << 20

// broken reads as r and ends in damage: the parameters of its predictor say nothing.
type broken struct{ r io.Reader }

// Read implements io.Reader.
func (b *broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = unpack.Fail(showcause.Corrupt)
	}
	return n, err
}

// inflate reads zlib's format (RFC 1950). Readers of PDF look at neither the sum nor,
// where the data do not begin so, at the header.
type inflate struct {
	in *bufio.Reader
	fl io.ReadCloser
	of *file
}

func newInflate(in *bufio.Reader, of *file) *inflate { return &inflate{in: in, of: of} }

// isZlib judges the two bytes that a stream begins with (RFC 1950, section 2.2).
func isZlib(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && b[1]&0x20 == 0 && (int(b[0])<<8|int(b[1]))%31 == 0
}

// Read implements io.Reader.
func (z *inflate) Read(p []byte) (int, error) {
	if z.fl == nil {
		h, err := z.in.Peek(8)
		if len(h) == 0 {
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		skip := 0 // ends of lines in front
		for skip < len(h) && class(h[skip]) == 1 && !isZlib(h[skip:]) {
			skip++
		}
		switch {
		case isZlib(h[skip:]):
			z.in.Discard(skip + 2)
		case len(h) >= 2 && h[0]&0x0f == 8: // a header that is wrong
			z.in.Discard(2)
		case skip == len(h):
			z.in.Discard(skip)
			return 0, nil
		}
		if n := len(z.of.inflaters); n > 0 {
			z.fl, z.of.inflaters = z.of.inflaters[n-1], z.of.inflaters[:n-1]
			if err := z.fl.(flate.Resetter).Reset(z.in, nil); err != nil {
				return 0, err
			}
		} else {
			z.fl = flate.NewReader(z.in)
		}
	}
	return z.fl.Read(p)
}

// hexReader undoes ASCIIHexDecode (7.4.2).
type hexReader struct {
	in   *bufio.Reader
	half int
	done bool
}

// Read implements io.Reader.
func (h *hexReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !h.done {
		c, err := h.in.ReadByte()
		if err != nil && err != io.EOF {
			return n, err
		}
		if err == io.EOF || c == '>' {
			h.done = true
			if h.half >= 0 {
				p[n] = byte(h.half << 4)
				n++
			}
			break
		}
		v := nibble(c)
		switch {
		case v < 0:
		case h.half < 0:
			h.half = v
		default:
			p[n] = byte(h.half<<4 | v)
			h.half = -1
			n++
		}
	}
	if n == 0 && h.done {
		return 0, io.EOF
	}
	return n, nil
}

// base85 undoes ASCII85Decode (7.4.3).
type base85 struct {
	in    *bufio.Reader
	out   [4]byte
	have  int // bytes of out that are not given
	start bool
	done  bool
}

// Read implements io.Reader.
func (a *base85) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if a.have == 0 {
			if a.done {
				break
			}
			if err := a.group(); err != nil {
				return n, err
			}
			continue
		}
		m := copy(p[n:], a.out[4-a.have:])
		a.have -= m
		n += m
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// group reads the digits of four bytes, fewer at the end.
func (a *base85) group() error {
	if !a.start {
		a.start = true
		if h, _ := a.in.Peek(2); string(h) == "<~" {
			a.in.Discard(2)
		}
	}
	v, digits := uint64(0), 0
	for digits < 5 {
		c, err := a.in.ReadByte()
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF || c == '~' {
			a.done = true
			break
		}
		switch {
		case c == 'z' && digits == 0:
			a.out, a.have = [4]byte{}, 4
			return nil
		case c >= '!' && c <= 'u':
			v = v*85 + uint64(c-'!')
			digits++
		}
	}
	if digits < 2 {
		return nil
	}
	for range 5 - digits {
		v = v*85 + 84
	}
	n := digits - 1
	for i := range n { // out is read from its end
		a.out[4-n+i] = byte(v >> (24 - 8*i))
	}
	a.have = n
	return nil
}

// runs undoes RunLengthDecode (7.4.5).
type runs struct {
	in   *bufio.Reader
	left int // bytes to copy, or, negative, times to repeat c
	c    byte
	done bool
}

// Read implements io.Reader.
func (r *runs) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !r.done {
		switch {
		case r.left > 0:
			m, err := io.ReadFull(r.in, p[n:n+min(r.left, len(p)-n)])
			r.left -= m
			n += m
			if err != nil {
				return n, bound.CutShort(err)
			}
		case r.left < 0:
			p[n] = r.c
			r.left++
			n++
		default:
			c, err := r.in.ReadByte()
			switch {
			case err == io.EOF || err == nil && c == 128:
				r.done = true
			case err != nil:
				return n, err
			case c < 128:
				r.left = int(c) + 1
			default:
				if r.c, err = r.in.ReadByte(); err != nil {
					return n, bound.CutShort(err)
				}
				r.left = int(c) - 257
			}
		}
	}
	if n == 0 && r.done {
		return 0, io.EOF
	}
	return n, nil
}

// predict undoes a predictor (7.4.4.4): rows of samples, each a difference.
type predict struct {
	of     *file
	in     *bufio.Reader
	png    bool
	row    int64 // bytes of a row
	pixel  int   // bytes to the same sample of the pixel before
	colors int
	bits   int

	buf  bytes.Buffer
	last []byte
	prev []byte
	out  []byte
	err  error
}

// Read implements io.Reader.
func (p *predict) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if len(p.out) == 0 {
			if p.err != nil {
				break
			}
			p.next()
			continue
		}
		m := copy(b[n:], p.out)
		p.out = p.out[m:]
		n += m
	}
	if n == 0 && len(b) > 0 {
		return 0, p.err
	}
	return n, nil
}

const smallRow = 32 << 10 // bytes of rows that are read in one

// next reads a row. Memory grows with what is there.
func (p *predict) next() {
	n := p.row
	if p.png {
		n++
	}
	p.buf.Reset()
	if p.of.input -= 8; p.of.input < 0 { // rows of a byte
		p.err = unpack.Fail(showcause.LimitWork)
		return
	}
	if n <= smallRow {
		var b []byte
		b, p.err = p.in.Peek(int(n))
		p.buf.Write(b)
		p.in.Discard(len(b))
	} else {
		_, p.err = io.CopyN(&p.buf, p.in, n)
	}
	if p.buf.Len() == 0 {
		return
	}
	row := p.buf.Bytes()
	if !p.png {
		p.tiff(row)
		p.out = row
		return
	}
	tag := row[0]
	row = row[1:]
	for len(p.prev) < len(row) {
		p.prev = append(p.prev, 0)
	}
	p.undo(tag, row)
	copy(p.prev, row)
	p.out = row
}

// undo undoes one of PNG's filters (PNG specification, section 9).
func (p *predict) undo(tag byte, row []byte) {
	for i := range row {
		var left, corner byte
		if i >= p.pixel {
			left, corner = row[i-p.pixel], p.prev[i-p.pixel]
		}
		up := p.prev[i]
		switch tag {
		case 1:
			row[i] += left
		case 2:
			row[i] += up
		case 3:
			row[i] += byte((int(left) + int(up)) / 2)
		case 4:
			row[i] += paeth(left, up, corner)
		}
	}
}

func paeth(a, b, c byte) byte {
	d := int(a) + int(b) - int(c)
	da, db, dc := abs(d-int(a)), abs(d-int(b)), abs(d-int(c))
	switch {
	case da <= db && da <= dc:
		return a
	case db <= dc:
		return b
	}
	return c
}

func abs(n int) int { return max(n, -n) }

// tiff undoes the predictor of TIFF (TIFF 6.0, section 14).
func (p *predict) tiff(row []byte) {
	switch p.bits {
	case 8:
		for i := p.colors; i < len(row); i++ {
			row[i] += row[i-p.colors]
		}
	case 16:
		for i := 2 * p.colors; i+1 < len(row); i += 2 {
			j := i - 2*p.colors
			v := uint16(row[i])<<8 + uint16(row[i+1]) + uint16(row[j])<<8 + uint16(row[j+1])
			row[i], row[i+1] = byte(v>>8), byte(v)
		}
	case 1, 2, 4:
		if p.last == nil {
			p.last = make([]byte, p.colors)
		}
		clear(p.last)
		last := p.last
		mask := byte(1<<p.bits - 1)
		for i, k := 0, 0; i < len(row)*8; i += p.bits {
			shift := 8 - p.bits - i%8
			last[k] = (last[k] + row[i/8]>>shift) & mask
			row[i/8] = row[i/8]&^(mask<<shift) | last[k]<<shift
			k = (k + 1) % p.colors
		}
	}
}

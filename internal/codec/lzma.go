// Package codec has the decoders that no library gives, or none whose memory
// follows what comes out: Deflate64, implode, LZMA and LZMA2, bzip2 by
// declared size, and the content of CMS signatures. Hostile data is an error, never a panic.
package codec

import (
	"errors"
	"io"
)

var (
	// ErrLZMA is the error for a stream that is not what it should be.
	ErrLZMA = errors.New("lzma: invalid data")
	// ErrDictionary is the error for a match that reaches farther back than is kept.
	ErrDictionary = errors.New("lzma: dictionary too large")
	// ErrWork is the error for a stream that was charged more than there is.
	ErrWork = errors.New("lzma: no work left")
)

// lzmaMaxDict is how many bytes back a match may reach.
const lzmaMaxDict = 64 << 20

// lzmaSlack is how much larger than the dictionary the window is: a match is
// copied in steps of eight bytes, which writes up to seven too many over the oldest.
const lzmaSlack = 16

// LZMA decodes an LZMA stream (7-Zip's lzma-specification.txt). Its
// dictionary grows with what comes out and never on the word of the header, so
// that a thousand small members cost what they are.
type LZMA struct {
	r   io.ByteReader
	err error  // from r
	in  []byte // bytes of r that are at hand, of which at are used
	at  int
	own bool // in is the caller's, and all there is

	width, code uint32 // range coder

	lc, lp, pb uint
	lit        []uint16
	match      [12 << 4]uint16
	rep        [12]uint16
	repG0      [12]uint16
	repG1      [12]uint16
	repG2      [12]uint16
	rep0Long   [12 << 4]uint16
	slot       [4][64]uint16
	special    [115]uint16
	align      [16]uint16
	lens       lzmaLen
	repLens    lzmaLen

	dict  int64 // declared size of the dictionary in bytes
	win   []byte
	pos   int
	wrap  bool
	n     int64 // bytes that came out
	limit int64 // declared size, -1 for up to the end marker

	// Marked says that an end marker may follow the declared size.
	Marked bool

	state int
	reps  [4]uint32
	left  int // of a match
	done  error
}

type lzmaLen struct {
	choice, choice2 uint16
	low, mid        [16][8]uint16
	high            [256]uint16
}

func (l *lzmaLen) init() {
	l.choice, l.choice2 = 1024, 1024
	for i := range l.low {
		lzmaFill(l.low[i][:])
		lzmaFill(l.mid[i][:])
	}
	lzmaFill(l.high[:])
}

func lzmaFill(p []uint16) {
	for i := range p {
		p[i] = 1024
	}
}

// NewLZMA reads a stream with the given properties (five bytes: lc, lp and pb,
// then the size of the dictionary). size is that of the output, -1 if unknown.
func NewLZMA(r io.ByteReader, props [5]byte, size int64) (*LZMA, error) {
	p := uint(props[0])
	if p >= 9*5*5 {
		return nil, ErrLZMA
	}
	d := &LZMA{r: r, lc: p % 9, lp: p / 9 % 5, pb: p / 45, limit: size, width: 0xffffffff}
	for i, b := range props[1:] {
		d.dict |= int64(b) << (8 * i)
	}
	d.dict = max(d.dict, 4096)
	d.lit = make([]uint16, 0x300<<(d.lc+d.lp))
	for _, p := range [][]uint16{
		d.lit, d.match[:], d.rep[:], d.repG0[:], d.repG1[:], d.repG2[:], d.rep0Long[:],
		d.special[:], d.align[:], d.slot[0][:], d.slot[1][:], d.slot[2][:], d.slot[3][:],
	} {
		lzmaFill(p)
	}
	d.lens.init()
	d.repLens.init()
	first := d.next()
	for range 4 {
		d.code = d.code<<8 | uint32(d.next())
	}
	d.release()
	if d.err != nil {
		return nil, d.err
	}
	if first != 0 {
		return nil, ErrLZMA
	}
	return d, nil
}

func (d *LZMA) next() byte {
	if d.at < len(d.in) {
		d.at++
		return d.in[d.at-1]
	}
	if d.fetch(); len(d.in) > 0 {
		d.at++
		return d.in[d.at-1]
	}
	c, err := d.r.ReadByte()
	if err != nil && d.err == nil {
		if d.err = err; err == io.EOF {
			d.err = io.ErrUnexpectedEOF
		}
	}
	return c
}

// peeker is a reader that shows what it holds (bufio.Reader).
type peeker interface {
	Buffered() int
	Peek(n int) ([]byte, error)
	Discard(n int) (int, error)
}

// fetch brings what r holds to hand, once all that was is used.
func (d *LZMA) fetch() {
	if d.own {
		d.in, d.at = nil, 0
		return
	}
	d.release()
	p, ok := d.r.(peeker)
	if !ok {
		return
	}
	if p.Buffered() == 0 {
		p.Peek(1) // an error comes again
	}
	d.in, _ = p.Peek(p.Buffered())
}

// release tells r what was used, so that it stands exactly behind that.
func (d *LZMA) release() {
	if d.own {
		return
	}
	if d.at > 0 {
		d.r.(peeker).Discard(d.at)
	}
	d.in, d.at = nil, 0
}

func (d *LZMA) normalize() {
	if d.width < 1<<24 {
		d.width <<= 8
		d.code = d.code<<8 | uint32(d.next())
	}
}

func (d *LZMA) bit(p *uint16) uint32 {
	d.normalize()
	v := uint32(*p)
	if m := d.width >> 11 * v; d.code < m {
		d.width = m
		*p = uint16(v + (2048-v)>>5)
		return 0
	} else {
		d.width -= m
		d.code -= m
	}
	*p = uint16(v - v>>5)
	return 1
}

func (d *LZMA) direct(n uint) (v uint32) {
	for ; n > 0; n-- {
		d.normalize()
		d.width >>= 1
		v <<= 1
		if d.code >= d.width {
			d.code -= d.width
			v |= 1
		}
	}
	return v
}

func (d *LZMA) tree(p []uint16, n uint) uint32 {
	m := uint32(1)
	for range n {
		m = m<<1 | d.bit(&p[m])
	}
	return m - 1<<n
}

func (d *LZMA) reverse(p []uint16, n uint) (v uint32) {
	m := uint32(1)
	for i := range n {
		b := d.bit(&p[m])
		m = m<<1 | b
		v |= b << i
	}
	return v
}

func (d *LZMA) length(l *lzmaLen, ps uint32) int {
	if d.bit(&l.choice) == 0 {
		return int(d.tree(l.low[ps][:], 3)) + 2
	}
	if d.bit(&l.choice2) == 0 {
		return int(d.tree(l.mid[ps][:], 3)) + 10
	}
	return int(d.tree(l.high[:], 8)) + 18
}

// room sees to it that a byte fits into the window: it grows, or begins anew.
func (d *LZMA) room() {
	if d.pos < len(d.win) {
		return
	}
	most := int(min(d.dict, lzmaMaxDict)) + lzmaSlack
	if len(d.win) >= most {
		d.pos, d.wrap = 0, true
		return
	}
	grown := make([]byte, min(max(4*len(d.win), 4096), most))
	copy(grown, d.win)
	d.win = grown
}

// put adds a byte to the dictionary.
func (d *LZMA) put(c byte) {
	d.room()
	d.win[d.pos] = c
	d.pos++
	d.n++
}

// write adds bytes to the dictionary.
func (d *LZMA) write(p []byte) {
	for len(p) > 0 {
		d.room()
		n := copy(d.win[d.pos:], p)
		d.pos += n
		d.n += int64(n)
		p = p[n:]
	}
}

// back returns the byte at the given distance, from 0.
func (d *LZMA) back(dist uint32) byte {
	i := d.pos - 1 - int(dist)
	if i < 0 {
		i += len(d.win)
	}
	return d.win[i]
}

// reach tells whether a match may begin that far back.
func (d *LZMA) reach(dist uint32) error {
	switch {
	case int64(dist) >= d.n || int64(dist) >= d.dict:
		return ErrLZMA
	case d.wrap && int64(dist) >= int64(len(d.win)-lzmaSlack):
		return ErrDictionary
	}
	return nil
}

// Read implements io.Reader.
func (d *LZMA) Read(p []byte) (n int, err error) {
	for n < len(p) && d.done == nil {
		if d.limit >= 0 && d.n >= d.limit {
			d.normalize() // takes the last byte of the stream, which an encoder always writes
			if d.done = io.EOF; d.Marked && d.code != 0 && d.left == 0 {
				d.symbol() // the code is 0 at the end; so there is more: an end marker, or more than was declared
			}
			break
		}
		if d.left > 0 {
			n += d.repeat(p[n:])
			continue
		}
		if len(d.in)-d.at >= lzmaAhead {
			var m int
			m, d.done = d.run(p[n:])
			n += m
			continue
		}
		c, lit, err := d.symbol()
		if d.err != nil {
			err = d.err
		}
		if err != nil {
			d.done = err
			break
		}
		if lit {
			p[n] = c
			d.put(c)
			n++
		}
	}
	d.release()
	if n > 0 {
		return n, nil
	}
	return 0, d.done
}

// repeat copies a part of the match to p, which is not empty, and to the
// dictionary, and returns how long it is.
func (d *LZMA) repeat(p []byte) int {
	n := min(d.left, len(p), len(d.win)-d.pos)
	if d.limit >= 0 {
		n = int(min(int64(n), d.limit-d.n))
	}
	dist := int(d.reps[0])
	from := d.pos - 1 - dist
	if from < 0 {
		from += len(d.win)
		n = min(n, len(d.win)-from)
	}
	if n <= 1 { // the dictionary has to grow, or begins anew
		d.left--
		p[0] = d.back(d.reps[0])
		d.put(p[0])
		return 1
	}
	to := d.win[d.pos : d.pos+n]
	if from+n <= d.pos || from > d.pos {
		copy(to, d.win[from:from+n])
	} else { // what is copied is what was copied before
		for i := range to {
			to[i] = d.win[from+i]
		}
	}
	copy(p, to)
	d.pos += n
	d.n += int64(n)
	d.left -= n
	return n
}

// SetupLZMA is what a decoder with these properties costs in steps before it
// gives anything: it has 0x300 << (lc+lp) probabilities of literals.
func SetupLZMA(props byte) int64 {
	p := uint(props)
	return 8<<10 + 0x480<<(p%9+p/9%5) // a step and a half each
}

func (d *LZMA) setup() int64 { return SetupLZMA(byte(d.lc + 9*d.lp)) }

// Sized tells whether a size was declared.
func (d *LZMA) Sized() bool { return d.limit >= 0 }

// Tail reads the end marker behind content of a declared size.
func (d *LZMA) Tail() error {
	defer d.release()
	if _, _, err := d.symbol(); err != io.EOF || d.err != nil {
		return ErrLZMA // there is more than was declared
	}
	return nil
}

// symbol decodes a literal, or sets up a match. io.EOF is the end marker.
func (d *LZMA) symbol() (c byte, lit bool, err error) {
	ps := uint32(d.n) & (1<<d.pb - 1)
	s := uint32(d.state)
	if d.bit(&d.match[s<<4+ps]) == 0 {
		if d.state >= 7 { // it is coded by the byte behind the last match
			if err := d.reach(d.reps[0]); err != nil {
				return 0, false, err
			}
		}
		return d.literal(), true, nil
	}
	if d.bit(&d.rep[s]) == 0 {
		d.reps[3], d.reps[2], d.reps[1] = d.reps[2], d.reps[1], d.reps[0]
		d.left = d.length(&d.lens, ps)
		d.state = lzmaNext(d.state, 7, 10)
		d.reps[0] = d.distance(d.left)
		if d.reps[0] == 0xffffffff {
			d.normalize()
			d.left = 0
			return 0, false, io.EOF
		}
		return 0, false, d.start()
	}
	if d.bit(&d.repG0[s]) == 0 {
		if d.bit(&d.rep0Long[s<<4+ps]) == 0 {
			d.state = lzmaNext(d.state, 9, 11)
			d.left = 1
			return 0, false, d.start()
		}
	} else {
		i := 1
		if d.bit(&d.repG1[s]) != 0 {
			i = 2 + int(d.bit(&d.repG2[s]))
		}
		dist := d.reps[i]
		copy(d.reps[1:i+1], d.reps[:i])
		d.reps[0] = dist
	}
	d.left = d.length(&d.repLens, ps)
	d.state = lzmaNext(d.state, 8, 11)
	return 0, false, d.start()
}

// start checks the match that was set up.
func (d *LZMA) start() error {
	err := d.reach(d.reps[0])
	if err != nil {
		d.left = 0
	}
	return err
}

func lzmaNext(state, afterLit, afterMatch int) int {
	if state < 7 {
		return afterLit
	}
	return afterMatch
}

func (d *LZMA) literal() byte {
	prev := uint32(0)
	if d.n > 0 {
		prev = uint32(d.back(0))
	}
	at := (uint32(d.n)&(1<<d.lp-1))<<d.lc + prev>>(8-d.lc)
	p := (*[0x300]uint16)(d.lit[0x300*at:])
	m := uint32(1)
	if d.state >= 7 {
		b := uint32(d.back(d.reps[0]))
		for m < 0x100 {
			want := b >> 7 & 1
			b <<= 1
			got := d.bit(&p[(1+want)<<8+m])
			m = m<<1 | got
			if got != want {
				break
			}
		}
	}
	for m < 0x100 {
		m = m<<1 | d.bit(&p[m])
	}
	switch {
	case d.state < 4:
		d.state = 0
	case d.state < 10:
		d.state -= 3
	default:
		d.state -= 6
	}
	return byte(m)
}

// distance decodes the distance, from 0, of a match of the given length.
func (d *LZMA) distance(n int) uint32 {
	slot := d.tree(d.slot[min(n-2, 3)][:], 6)
	if slot < 4 {
		return slot
	}
	bits := uint(slot>>1 - 1)
	dist := (2 | slot&1) << bits
	if slot < 14 {
		return dist + d.reverse(d.special[dist-slot:], bits)
	}
	dist += d.direct(bits-4) << 4
	return dist + d.reverse(d.align[:], 4)
}

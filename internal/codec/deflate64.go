package codec

import (
	"errors"
	"io"
)

// errInflate is the error for a stream that is not what it should be.
var errInflate = errors.New("inflate: invalid data")

// Inflater decodes Deflate64, which is DEFLATE (RFC 1951) with a window of
// 64 KiB, two more distance codes, and a length code 285 with 16 extra bits and
// base 3 (PKWARE's APPNOTE.TXT names it; 7-Zip and WinZip write it). It reads
// no byte past the end of the stream.
type Inflater struct {
	r    io.ByteReader
	wide bool // Deflate64; plain DEFLATE if false
	// order is that of the lengths of the code length code.
	order [19]int

	bits  uint64
	nbits uint

	win  [64 << 10]byte
	pos  int   // where the next byte goes in win
	sent int   // up to where win was handed out
	n    int64 // bytes that came out

	state  func(*Inflater) error
	final  bool
	copyN  int // what is left of a match or of a stored block
	dist   int
	lits   huffTable
	dists  huffTable
	err    error
	filled bool // the window went round at least once since sent
}

func NewInflate64(r io.ByteReader) *Inflater {
	f := &Inflater{wide: true, order: huffOrder}
	f.Reset(r)
	return f
}

// NewInflateOrder decodes plain DEFLATE whose lengths of the code length code
// stand in another order than that of RFC 1951, section 3.2.7.
func NewInflateOrder(r io.ByteReader, order [19]int) *Inflater {
	f := &Inflater{order: order}
	f.Reset(r)
	return f
}

// Reset makes f ready for another stream. The window keeps its bytes: no
// match reaches before the start of its stream.
func (f *Inflater) Reset(r io.ByteReader) {
	f.r, f.bits, f.nbits, f.pos, f.sent, f.n, f.copyN = r, 0, 0, 0, 0, 0, 0
	f.final, f.filled, f.err, f.state = false, false, nil, (*Inflater).block
}

// Read implements io.Reader. What came out before an error is handed out before it.
func (f *Inflater) Read(p []byte) (int, error) {
	for {
		if f.sent != f.pos || f.filled {
			end := f.pos
			if f.filled {
				end = len(f.win)
			}
			n := copy(p, f.win[f.sent:end])
			if f.sent += n; f.sent == len(f.win) {
				f.sent, f.filled = 0, false
			}
			return n, nil
		}
		if f.err != nil {
			return 0, f.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		f.err = f.state(f)
	}
}

// put adds a byte, and tells whether the window is full and must be handed out.
func (f *Inflater) put(c byte) bool {
	f.win[f.pos] = c
	f.n++
	if f.pos++; f.pos == len(f.win) {
		f.pos, f.filled = 0, true
	}
	return f.filled
}

func (f *Inflater) need(n uint) error {
	for f.nbits < n {
		c, err := f.r.ReadByte()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		f.bits |= uint64(c) << f.nbits
		f.nbits += 8
	}
	return nil
}

func (f *Inflater) take(n uint) (int, error) {
	if err := f.need(n); err != nil {
		return 0, err
	}
	v := int(f.bits & (1<<n - 1))
	f.bits >>= n
	f.nbits -= n
	return v, nil
}

// block reads the header of a block, RFC 1951 section 3.2.3.
func (f *Inflater) block() error {
	if f.final {
		return io.EOF
	}
	v, err := f.take(3)
	if err != nil {
		return err
	}
	f.final = v&1 != 0
	switch v >> 1 {
	case 0:
		return f.stored()
	case 1:
		f.lits, f.dists = huffFixed()
	case 2:
		if err := f.dynamic(); err != nil {
			return err
		}
	default:
		return errInflate
	}
	f.state = (*Inflater).codes
	return nil
}

func (f *Inflater) stored() error {
	f.bits >>= f.nbits & 7
	f.nbits -= f.nbits & 7
	n, err := f.take(16)
	if err != nil {
		return err
	}
	inv, err := f.take(16)
	if err != nil {
		return err
	}
	if n != inv^0xffff {
		return errInflate
	}
	f.copyN, f.state = n, (*Inflater).raw
	return nil
}

func (f *Inflater) raw() error {
	for f.copyN > 0 {
		c, err := f.take(8)
		if err != nil {
			return err
		}
		f.copyN--
		if f.put(byte(c)) {
			return nil
		}
	}
	f.state = (*Inflater).block
	return nil
}

// huffOrder is the order of the lengths of the code length code, section 3.2.7.
var huffOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (f *Inflater) dynamic() error {
	v, err := f.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, nclen := v&31+257, v>>5&31+1, v>>10+4
	if nlit > 286 || !f.wide && ndist > 30 {
		return errInflate
	}
	var lens [286 + 32]byte
	for i := range nclen {
		v, err := f.take(3)
		if err != nil {
			return err
		}
		lens[f.order[i]] = byte(v)
	}
	var clen huffTable
	if !clen.init(lens[:19]) {
		return errInflate
	}
	clear(lens[:19])
	for i := 0; i < nlit+ndist; {
		sym, err := f.symbol(&clen)
		if err != nil {
			return err
		}
		if sym < 16 {
			lens[i] = byte(sym)
			i++
			continue
		}
		if sym == 16 && i == 0 {
			return errInflate
		}
		extra, base, c := uint(2), 3, byte(0)
		switch sym {
		case 16:
			c = lens[i-1]
		case 17:
			extra = 3
		case 18:
			extra, base = 7, 11
		}
		v, err := f.take(extra)
		if err != nil {
			return err
		}
		if v += base; i+v > nlit+ndist {
			return errInflate
		}
		for range v {
			lens[i] = c
			i++
		}
	}
	if !f.lits.init(lens[:nlit]) || !f.dists.init(lens[nlit:nlit+ndist]) {
		return errInflate
	}
	return nil
}

// codes decodes literals and matches until the block ends or the window is full.
func (f *Inflater) codes() error {
	for {
		for f.copyN > 0 {
			f.copyN--
			if f.put(f.win[(f.pos-f.dist)&(len(f.win)-1)]) {
				return nil
			}
		}
		sym, err := f.symbol(&f.lits)
		if err != nil {
			return err
		}
		switch {
		case sym < 256:
			if f.put(byte(sym)) {
				return nil
			}
			continue
		case sym == 256:
			f.state = (*Inflater).block
			return nil
		case sym > 285:
			return errInflate
		}
		if err := f.match(sym - 257); err != nil {
			return err
		}
	}
}

// match reads the rest of a match whose length has the given code, from 0.
func (f *Inflater) match(code int) error {
	extra, n := uint(0), code+3
	switch {
	case code == 28 && f.wide:
		extra, n = 16, 3
	case code == 28:
		n = 258
	case code >= 8:
		extra = uint(code-4) / 4
		n = (4+code&3)<<extra + 3
	}
	v, err := f.take(extra)
	if err != nil {
		return err
	}
	d, err := f.symbol(&f.dists)
	if err != nil {
		return err
	}
	if d >= 32 || !f.wide && d >= 30 {
		return errInflate
	}
	dist, more := d+1, uint(0)
	if d >= 4 {
		more = uint(d-2) / 2
		dist = (2+d&1)<<more + 1
	}
	w, err := f.take(more)
	if err != nil {
		return err
	}
	dist += w
	if int64(dist) > f.n {
		return errInflate
	}
	f.copyN, f.dist = n+v, dist
	return nil
}

// symbol decodes one symbol. It asks for no more bits than the symbol has.
func (f *Inflater) symbol(t *huffTable) (int, error) {
	if t.max == 0 {
		return 0, errInflate
	}
	for n := t.min; ; {
		if err := f.need(n); err != nil {
			return 0, err
		}
		e := t.fast[f.bits&(1<<huffFast-1)]
		if l := uint(e & 15); l != 0 && l <= f.nbits {
			f.bits >>= l
			f.nbits -= l
			return int(e >> 4), nil
		}
		if f.nbits >= t.max || f.nbits > huffFast && t.max > huffFast {
			if sym, l, ok := t.slow(f.bits, f.nbits); ok {
				f.bits >>= l
				f.nbits -= l
				return sym, nil
			}
			if f.nbits >= t.max {
				return 0, errInflate
			}
		}
		n = f.nbits + 1
	}
}

const huffFast = 10

// huffTable decodes a canonical Huffman code of up to 15 bits, RFC 1951 section 3.2.2.
type huffTable struct {
	min, max uint
	fast     [1 << huffFast]uint16 // by the next bits: symbol<<4 | length, 0 for none
	count    [16]int               // codes of each length
	syms     [320]uint16           // symbols by length, then by value
}

// init builds the table. A code must be complete, but for a single code of one
// bit, and for no code at all, which is an error only when it is used.
func (t *huffTable) init(lens []byte) bool {
	t.min, t.max = 0, 0
	clear(t.fast[:])
	clear(t.count[:])
	for _, l := range lens {
		if l > 0 {
			t.count[l]++
			t.max = max(t.max, uint(l))
			if t.min == 0 || uint(l) < t.min {
				t.min = uint(l)
			}
		}
	}
	if t.max == 0 {
		return true
	}
	var next, code [17]int
	left := 1
	for l := 1; l <= 15; l++ {
		if left = left<<1 - t.count[l]; left < 0 {
			return false
		}
		next[l+1] = next[l] + t.count[l]
		code[l+1] = (code[l] + t.count[l]) << 1
	}
	if left > 0 && !(t.max == 1 && t.count[1] == 1) {
		return false
	}
	for sym, l := range lens {
		if l == 0 {
			continue
		}
		t.syms[next[l]] = uint16(sym)
		next[l]++
		c := code[l]
		code[l]++
		if l > huffFast {
			continue
		}
		rev := 0
		for i := range l {
			rev |= c >> i & 1 << (l - 1 - i)
		}
		for ; rev < 1<<huffFast; rev += 1 << l {
			t.fast[rev] = uint16(sym)<<4 | uint16(l)
		}
	}
	return true
}

// slow decodes bit by bit from the n bits that there are.
func (t *huffTable) slow(b uint64, n uint) (sym int, length uint, ok bool) {
	code, first, index := 0, 0, 0
	for l := uint(1); l <= min(n, t.max); l++ {
		code |= int(b & 1)
		b >>= 1
		if i := code - first; i < t.count[l] {
			return int(t.syms[index+i]), l, true
		}
		index += t.count[l]
		first = (first + t.count[l]) << 1
		code <<= 1
	}
	return 0, 0, false
}

// huffFixed returns the codes of section 3.2.6. Symbols 286 and 287, and
// distances 30 and 31 of plain DEFLATE, take part in them and never occur.
func huffFixed() (lits, dists huffTable) {
	var l [288]byte
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	lits.init(l[:])
	for i := range 32 {
		l[i] = 5
	}
	dists.init(l[:32])
	return lits, dists
}

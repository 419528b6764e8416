// Package legacy reads archives of the time before zip was everywhere, and the
// compressed files of old Windows: LHA, ARJ, SZDD, KWAJ.
package legacy

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/showcause/showcause/internal/codec"
)

var le = binary.LittleEndian

// errData is the error for compressed data that is not what it should be.
var errData = errors.New("lzh: invalid data")

// ring is a window of a power of two bytes.
type ring struct {
	b   []byte
	pos int
}

// newRing returns a window that is filled with a byte.
func newRing(bits uint, fill byte) ring {
	r := ring{b: make([]byte, 1<<bits)}
	if fill != 0 {
		for i := range r.b {
			r.b[i] = fill
		}
	}
	return r
}

func (r *ring) put(c byte) byte {
	r.b[r.pos] = c
	r.pos = (r.pos + 1) & (len(r.b) - 1)
	return c
}

// back returns the byte that stands dist back.
func (r *ring) back(dist int) byte { return r.b[(r.pos-dist)&(len(r.b)-1)] }

// token is a literal, or a match: n bytes from dist back.
type token struct {
	lit  byte
	n    int // 0 for a literal
	dist int
}

// lz turns tokens into size bytes.
type lz struct {
	ring
	next func() (token, error)
	size int64 // -1 for up to the end of the input
	n    int64
	left int
	dist int
	err  error
}

// Read implements io.Reader.
func (l *lz) Read(p []byte) (n int, err error) {
	for n < len(p) && l.err == nil {
		switch {
		case l.size >= 0 && l.n >= l.size:
			l.err = io.EOF
			continue
		case l.left == 0:
			t, err := l.next()
			if err != nil {
				l.err = err
				continue
			}
			if t.n > 0 {
				l.left, l.dist = t.n, t.dist
				continue
			}
			p[n] = l.put(t.lit)
		default:
			l.left--
			p[n] = l.put(l.back(l.dist))
		}
		n++
		l.n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// huffman reads the tokens of LHA's -lh4- to -lh7- and of ARJ's methods 1 to 3
// (H. Okumura's ar002): blocks with codes for the lengths of codes, for
// literals and lengths (510), and for the number of bits of a distance.
type huffman struct {
	b     *codec.Bits
	np    int  // number of distance codes
	pbits uint // bits of their count
	left  int  // of the block
	pre   codec.Prefix
	chars codec.Prefix
	dists codec.Prefix
}

func newHuffman(r io.ByteReader, np int, pbits uint) *huffman {
	return &huffman{b: codec.NewBits(r), np: np, pbits: pbits}
}

func (h *huffman) next() (t token, err error) {
	if h.left == 0 {
		if h.left = int(h.b.Take(16)); h.left == 0 {
			if err := h.b.Err(); err != nil {
				return t, err
			}
			return t, errData
		}
		if err := h.tables(); err != nil {
			return t, err
		}
	}
	h.left--
	c, err := h.b.Symbol(&h.chars)
	if err != nil || c < 256 {
		return token{lit: byte(c)}, cmpErr(err, h.b.Err())
	}
	d, err := h.b.Symbol(&h.dists)
	if err != nil {
		return t, err
	}
	dist := d
	if d > 1 {
		dist = 1<<(d-1) + int(h.b.Take(uint(d-1)))
	}
	return token{n: c - 253, dist: dist + 1}, h.b.Err()
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (h *huffman) tables() error {
	if err := h.small(&h.pre, 19, 5, 3); err != nil {
		return err
	}
	if err := h.charLengths(); err != nil {
		return err
	}
	return h.small(&h.dists, h.np, h.pbits, -1)
}

// small reads a code of few symbols: lengths of 3 bits, 7 and more in unary.
// Behind the symbol gap stands how many have none.
func (h *huffman) small(p *codec.Prefix, most int, bits uint, gap int) error {
	n := int(h.b.Take(bits))
	if n == 0 {
		sym := int(h.b.Take(bits))
		if sym >= most {
			return errData
		}
		p.MakeSingle(sym)
		return h.b.Err()
	}
	var lens [32]uint8
	if n > most {
		return errData
	}
	for i := 0; i < n; {
		l := h.b.Take(3)
		if l == 7 {
			for h.b.Take(1) == 1 {
				if l++; l > 16 {
					return errData
				}
			}
		}
		lens[i] = uint8(l)
		i++
		if i == gap {
			i += int(h.b.Take(2))
		}
	}
	if err := h.b.Err(); err != nil {
		return err
	}
	return p.Make(lens[:most])
}

func (h *huffman) charLengths() error {
	n := int(h.b.Take(9))
	if n == 0 {
		sym := int(h.b.Take(9))
		if sym >= 510 {
			return errData
		}
		h.chars.MakeSingle(sym)
		return h.b.Err()
	}
	var lens [510]uint8
	if n > len(lens) {
		return errData
	}
	for i := 0; i < n; {
		c, err := h.b.Symbol(&h.pre)
		if err != nil {
			return err
		}
		switch c {
		case 0:
			i++
		case 1:
			i += int(h.b.Take(4)) + 3
		case 2:
			i += int(h.b.Take(9)) + 20
		default:
			lens[i] = uint8(c - 2)
			i++
		}
	}
	if err := h.b.Err(); err != nil {
		return err
	}
	return h.chars.Make(lens[:])
}

// The tree of adaptive reads the tokens of -lh1-: literals and lengths with an
// adaptive Huffman code (H. Yoshizaki's LZHUF), distances with a fixed one.
const (
	lh1Chars = 314
	lh1Nodes = 2*lh1Chars - 1
	lh1Root  = lh1Nodes - 1
)

type adaptive struct {
	b      *codec.Bits
	upper  codec.Prefix
	freq   [lh1Nodes + 1]uint16
	son    [lh1Nodes]uint16
	parent [lh1Nodes + lh1Chars]uint16
}

func newAdaptive(r io.ByteReader) *adaptive {
	a := &adaptive{b: codec.NewBits(r)}
	var lens []uint8
	for l, n := range []int{3: 1, 4: 3, 5: 8, 6: 12, 7: 24, 8: 16} {
		for range n {
			lens = append(lens, uint8(l))
		}
	}
	a.upper.Make(lens)
	for i := range lh1Chars {
		a.freq[i], a.son[i], a.parent[i+lh1Nodes] = 1, uint16(i+lh1Nodes), uint16(i)
	}
	for i, j := 0, lh1Chars; j <= lh1Root; i, j = i+2, j+1 {
		a.freq[j], a.son[j] = a.freq[i]+a.freq[i+1], uint16(i)
		a.parent[i], a.parent[i+1] = uint16(j), uint16(j)
	}
	a.freq[lh1Nodes] = 0xffff
	return a
}

func (a *adaptive) next() (token, error) {
	c := int(a.son[lh1Root])
	for c < lh1Nodes {
		c = int(a.son[c+int(a.b.Take(1))])
	}
	c -= lh1Nodes
	a.update(c)
	if c < 256 {
		return token{lit: byte(c)}, a.b.Err()
	}
	d, err := a.b.Symbol(&a.upper)
	if err != nil {
		return token{}, err
	}
	return token{n: c - 253, dist: d<<6 + int(a.b.Take(6)) + 1}, a.b.Err()
}

func (a *adaptive) update(c int) {
	if a.freq[lh1Root] == 0x8000 {
		a.rebuild()
	}
	for at := int(a.parent[c+lh1Nodes]); ; {
		a.freq[at]++
		k := a.freq[at]
		l := at + 1
		if k > a.freq[l] {
			for k > a.freq[l+1] {
				l++
			}
			a.freq[at], a.freq[l] = a.freq[l], k
			i, j := a.son[at], a.son[l]
			a.adopt(i, l)
			a.son[l] = i
			a.adopt(j, at)
			a.son[at] = j
			at = l
		}
		if at = int(a.parent[at]); at == 0 {
			return
		}
	}
}

// adopt makes the node at the parent of the pair of nodes, or the leaf, son.
func (a *adaptive) adopt(son uint16, at int) {
	a.parent[son] = uint16(at)
	if son < lh1Nodes {
		a.parent[son+1] = uint16(at)
	}
}

// rebuild halves all frequencies.
func (a *adaptive) rebuild() {
	j := 0
	for i := range lh1Nodes {
		if a.son[i] >= lh1Nodes {
			a.freq[j], a.son[j] = (a.freq[i]+1)/2, a.son[i]
			j++
		}
	}
	for i, j := 0, lh1Chars; j < lh1Nodes; i, j = i+2, j+1 {
		f := a.freq[i] + a.freq[i+1]
		k := j
		for f < a.freq[k-1] {
			k--
		}
		copy(a.freq[k+1:j+1], a.freq[k:j])
		copy(a.son[k+1:j+1], a.son[k:j])
		a.freq[k], a.son[k] = f, uint16(i)
	}
	for i := range lh1Nodes {
		a.adopt(a.son[i], i)
	}
}

// flags reads the tokens of LZSS with a byte of flags before eight of them, a
// set bit for a literal; places are counted in the window: SZDD, -lz5-.
type flags struct {
	r     io.ByteReader
	win   *ring
	bits  uint16 // the flags left, with a 1 above them
	start int    // what is added to places
}

func (f *flags) next() (t token, err error) {
	if f.bits <= 1 {
		c, err := f.r.ReadByte()
		if err != nil {
			return t, err
		}
		f.bits = 0x100 | uint16(c)
	}
	lit := f.bits&1 == 1
	f.bits >>= 1
	a, err := f.r.ReadByte()
	if err != nil || lit {
		return token{lit: a}, err
	}
	b, err := f.r.ReadByte()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return t, err
	}
	at := int(a) | int(b&0xf0)<<4
	return token{n: int(b&15) + 3, dist: (f.win.pos - at - f.start) & 0xfff}, nil
}

// larc reads the tokens of -lzs-.
type larc struct {
	b   *codec.Bits
	win *ring
}

func (l *larc) next() (token, error) {
	if l.b.Take(1) == 1 {
		return token{lit: byte(l.b.Take(8))}, l.b.Err()
	}
	at := int(l.b.Take(11))
	n := int(l.b.Take(4)) + 2
	return token{n: n, dist: (l.win.pos-at-18)&0x7ff + 1}, l.b.Err()
}

// fastest reads the tokens of ARJ's method 4: lengths and distances in unary
// steps of more bits.
type fastest struct{ b *codec.Bits }

func (f *fastest) number(width, stop uint) int {
	plus, power := 0, 1<<width
	for ; width < stop && f.b.Take(1) == 1; width++ {
		plus += power
		power <<= 1
	}
	return plus + int(f.b.Take(width))
}

func (f *fastest) next() (token, error) {
	n := f.number(0, 7)
	if n == 0 {
		return token{lit: byte(f.b.Take(8))}, f.b.Err()
	}
	return token{n: n + 2, dist: f.number(9, 13) + 1}, f.b.Err()
}

package codec

import (
	"errors"
	"io"
)

// ErrPrefix is the error for a table of code lengths that is none, or for bits
// that are no code of it.
var ErrPrefix = errors.New("prefix code: invalid data")

const prefixFast = 10

// Prefix is a canonical prefix code of up to 16 bits, most significant bit
// first, as LZX, LHA, ARJ and RAR have it: codes in order of their length, then
// of their symbol.
type Prefix struct {
	fast   [1 << prefixFast]uint16 // symbol<<4 | length, 0 if the code is longer
	limit  [17]uint32              // first 16-bit word behind the codes of a length
	first  [17]uint32              // first code of a length
	at     [17]int                 // index of its symbol
	syms   []uint16
	single int // the symbol of a code that takes no bits, -1 if none
}

// Make sets up the code with these lengths, 0 for symbols that have none. Codes
// need not be complete; one without symbols is refused when it is used.
func (p *Prefix) Make(lens []uint8) error {
	var count [17]int
	for _, l := range lens {
		if l > 16 {
			return ErrPrefix
		}
		count[l]++
	}
	p.single = -1
	if cap(p.syms) < len(lens) {
		p.syms = make([]uint16, len(lens))
	}
	p.syms = p.syms[:len(lens)]
	clear(p.fast[:])
	code, n := uint32(0), 0
	var next [17]int
	for l := 1; l <= 16; l++ {
		code <<= 1
		p.first[l], p.at[l], next[l] = code, n, n
		code += uint32(count[l])
		n += count[l]
		if code > 1<<l {
			return ErrPrefix
		}
		p.limit[l] = code << (16 - l)
	}
	for s, l := range lens {
		if l > 0 {
			p.syms[next[l]] = uint16(s)
			next[l]++
		}
	}
	for l := 1; l <= prefixFast; l++ {
		for i := range count[l] {
			c := (p.first[l] + uint32(i)) << (prefixFast - l)
			e := p.syms[p.at[l]+i]<<4 | uint16(l)
			for j := range uint32(1) << (prefixFast - l) {
				p.fast[c+j] = e
			}
		}
	}
	return nil
}

// MakeSingle sets up the code that has one symbol and takes no bits.
func (p *Prefix) MakeSingle(sym int) { p.single = sym }

// find returns the symbol at the start of the 16 bits of v and its length.
func (p *Prefix) find(v uint32) (sym int, n uint, ok bool) {
	if e := p.fast[v>>(16-prefixFast)]; e != 0 {
		return int(e >> 4), uint(e & 15), true
	}
	for l := 1; l <= 16; l++ {
		if v < p.limit[l] && v>>(16-l) >= p.first[l] {
			return int(p.syms[p.at[l]+int(v>>(16-l)-p.first[l])]), uint(l), true
		}
	}
	return 0, 0, false
}

// Bits reads bits, the most significant first, from bytes, or from 16-bit words
// whose lower byte stands first. Behind the end of the input are zeros; to use
// one is the error io.ErrUnexpectedEOF.
type Bits struct {
	r     io.ByteReader
	words bool
	acc   uint64
	n     uint // bits in acc
	over  uint // of them, those behind the end
	err   error
}

// NewBits reads bytes.
func NewBits(r io.ByteReader) *Bits { return &Bits{r: r} }

func (b *Bits) next() uint64 {
	if b.over > 0 || b.err != nil {
		b.over += 8
		return 0
	}
	c, err := b.r.ReadByte()
	if err != nil {
		if err != io.EOF {
			b.err = err
		}
		b.over += 8
		return 0
	}
	return uint64(c)
}

// need has at least n bits at hand, 32 at most.
func (b *Bits) need(n uint) {
	for b.n < n {
		if b.words {
			lo := b.next()
			b.acc = b.acc<<16 | b.next()<<8 | lo
			b.n += 16
			b.over = (b.over + 15) &^ 15 // half a word is none
			continue
		}
		b.acc = b.acc<<8 | b.next()
		b.n += 8
	}
}

// Peek returns the next n bits, 32 at most, and leaves them.
func (b *Bits) Peek(n uint) uint32 {
	if b.n < n {
		b.need(n)
	}
	return uint32(b.acc >> (b.n - n) & (1<<n - 1))
}

// Drop passes over n bits that were seen by Peek.
func (b *Bits) Drop(n uint) { b.n -= n }

// Take returns the next n bits, 32 at most.
func (b *Bits) Take(n uint) uint32 {
	v := b.Peek(n)
	b.n -= n
	return v
}

// Align passes over what is left of a unit of n bits, a power of two.
func (b *Bits) Align(n uint) { b.n &^= n - 1 }

// Symbol reads one code.
func (b *Bits) Symbol(p *Prefix) (int, error) {
	if p.single >= 0 {
		return p.single, nil
	}
	sym, n, ok := p.find(b.Peek(16))
	if !ok {
		if err := b.Err(); err != nil {
			return 0, err
		}
		if b.over > 0 {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, ErrPrefix
	}
	b.n -= n
	return sym, nil
}

// ReadByte implements io.ByteReader: the next eight bits.
func (b *Bits) ReadByte() (byte, error) {
	v := b.Take(8)
	return byte(v), b.Err()
}

// Held returns how many bits were read from the input and not used.
func (b *Bits) Held() int64 { return int64(b.n) - int64(b.over) }

// Beyond returns how many bits were used or looked at that the input does not have.
func (b *Bits) Beyond() uint { return b.over }

// Err returns the error of the input, once bits were used that it does not have.
func (b *Bits) Err() error {
	if b.n >= b.over {
		return nil
	}
	if b.err != nil {
		return b.err
	}
	return io.ErrUnexpectedEOF
}

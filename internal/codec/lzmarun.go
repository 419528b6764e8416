package codec

import (
	"encoding/binary"
	"io"
)

// lzmaAhead is how many bytes must be at hand for a symbol to be decoded
// without looking after each: it takes 20 at most, and they are read in eights.
const lzmaAhead = 32

// lzmaRange is the range coder while a symbol is decoded: what the processor
// holds in registers.
type lzmaRange struct {
	width, code uint32
	ahead       uint64 // the next eight bytes, the first one highest
	at          int    // in the input
}

// bit decodes one bit, where eight decisions at most were made since ahead was read.
func (c lzmaRange) bit(p *uint16) (lzmaRange, uint32) {
	if c.width < 1<<24 {
		c.width <<= 8
		c.code = c.code<<8 | uint32(c.ahead>>56)
		c.ahead <<= 8
		c.at++
	}
	v := uint32(*p)
	part := c.width >> 11 * v
	if c.code < part {
		*p = uint16(v + (2048-v)>>5)
		c.width = part
		return c, 0
	}
	*p = uint16(v - v>>5)
	c.width -= part
	c.code -= part
	return c, 1
}

// even is bit without a jump that the processor could guess wrong: for decisions
// that are as likely the one as the other. Each if of one assignment becomes a
// conditional move, here and below; one if for all of them would be a jump.
func (c lzmaRange) even(p *uint16) (lzmaRange, uint32) {
	if c.width < 1<<24 {
		c.width <<= 8
		c.code = c.code<<8 | uint32(c.ahead>>56)
		c.ahead <<= 8
		c.at++
	}
	v := uint32(*p)
	part := c.width >> 11 * v
	width, code, to, bit := c.width-part, c.code-part, uint32(31), uint32(1)
	if c.code < part {
		width = part
	}
	if c.code < part {
		to = 2048
	}
	if c.code < part {
		bit = 0
	}
	if c.code < part {
		code = c.code
	}
	*p = uint16(v + uint32(int32(to-v)>>5))
	c.width, c.code = width, code
	return c, bit
}

// tree decodes n bits, 2 or more, each with a probability by those before it. Both
// that may come next are loaded before it is known which does.
func (c lzmaRange) tree(p []uint16, n uint) (lzmaRange, uint32) {
	m, v := uint32(1), uint32(p[1])
	for range n - 1 {
		if c.width < 1<<24 {
			c.width <<= 8
			c.code = c.code<<8 | uint32(c.ahead>>56)
			c.ahead <<= 8
			c.at++
		}
		v0, v1 := uint32(p[2*m]), uint32(p[2*m+1])
		part := c.width >> 11 * v
		width, code, to, bit := c.width-part, c.code-part, uint32(31), uint32(1)
		if c.code < part {
			width = part
		}
		if c.code < part {
			to = 2048
		}
		if c.code < part {
			bit = 0
		}
		if c.code < part {
			v1 = v0
		}
		if c.code < part {
			code = c.code
		}
		p[m] = uint16(v + uint32(int32(to-v)>>5))
		c.width, c.code = width, code
		v = v1
		m = m<<1 + bit
	}
	c, bit := c.even(&p[m])
	return c, m<<1 + bit - 1<<n
}

// literal decodes a literal behind another one.
func (c lzmaRange) literal(p *[0x300]uint16) (lzmaRange, byte) {
	m, v := uint32(1), uint32(p[1])
	for m < 0x100 {
		if c.width < 1<<24 {
			c.width <<= 8
			c.code = c.code<<8 | uint32(c.ahead>>56)
			c.ahead <<= 8
			c.at++
		}
		v0, v1 := uint32(p[2*m]), uint32(p[2*m+1])
		part := c.width >> 11 * v
		width, code, to, bit := c.width-part, c.code-part, uint32(31), uint32(1)
		if c.code < part {
			width = part
		}
		if c.code < part {
			to = 2048
		}
		if c.code < part {
			bit = 0
		}
		if c.code < part {
			v1 = v0
		}
		if c.code < part {
			code = c.code
		}
		p[m] = uint16(v + uint32(int32(to-v)>>5))
		c.width, c.code, v = width, code, v1
		m = m<<1 + bit
	}
	return c, byte(m)
}

// matched decodes a literal behind a match, b being the byte that would have
// gone on with it.
func (c lzmaRange) matched(p *[0x300]uint16, b uint32) (lzmaRange, byte) {
	m, off := uint32(1), uint32(0x100)
	for m < 0x100 {
		if c.width < 1<<24 {
			c.width <<= 8
			c.code = c.code<<8 | uint32(c.ahead>>56)
			c.ahead <<= 8
			c.at++
		}
		b <<= 1
		want := b & off
		i := off + want + m
		v := uint32(p[i])
		part := c.width >> 11 * v
		width, code, to, bit := c.width-part, c.code-part, uint32(31), uint32(1)
		if c.code < part {
			width = part
		}
		if c.code < part {
			to = 2048
		}
		if c.code < part {
			bit = 0
		}
		if c.code < part {
			code = c.code
		}
		p[i] = uint16(v + uint32(int32(to-v)>>5))
		c.width, c.code = width, code
		m = m<<1 + bit
		off = want ^ ((bit - 1) & off) // stays as long as the bits agree
	}
	return c, byte(m)
}

// reverse decodes n bits, 1 or more, the lowest one first.
func (c lzmaRange) reverse(p []uint16, n uint) (lzmaRange, uint32) {
	m, v, out := uint32(1), uint32(p[1]), uint32(0)
	for i := range n - 1 {
		if c.width < 1<<24 {
			c.width <<= 8
			c.code = c.code<<8 | uint32(c.ahead>>56)
			c.ahead <<= 8
			c.at++
		}
		v0, v1 := uint32(p[2*m]), uint32(p[2*m+1])
		part := c.width >> 11 * v
		width, code, to, bit := c.width-part, c.code-part, uint32(31), uint32(1)
		if c.code < part {
			width = part
		}
		if c.code < part {
			to = 2048
		}
		if c.code < part {
			bit = 0
		}
		if c.code < part {
			v1 = v0
		}
		if c.code < part {
			code = c.code
		}
		p[m] = uint16(v + uint32(int32(to-v)>>5))
		c.width, c.code = width, code
		v = v1
		m = m<<1 + bit
		out |= bit << i
	}
	c, bit := c.even(&p[m])
	return c, out | bit<<(n-1)
}

// direct decodes n bits without probabilities.
func (c lzmaRange) direct(n uint) (lzmaRange, uint32) {
	v := uint32(0)
	for ; n > 0; n-- {
		if c.width < 1<<24 {
			c.width <<= 8
			c.code = c.code<<8 | uint32(c.ahead>>56)
			c.ahead <<= 8
			c.at++
		}
		c.width >>= 1
		code, bit := c.code-c.width, uint32(1)
		if c.code < c.width {
			code = c.code
		}
		if c.code < c.width {
			bit = 0
		}
		c.code = code
		v = v<<1 | bit
	}
	return c, v
}

// load brings the next eight bytes to hand: those of eight decisions.
func (c lzmaRange) load(in []byte) lzmaRange {
	c.ahead = binary.BigEndian.Uint64(in[c.at:])
	return c
}

func (c lzmaRange) length(in []byte, l *lzmaLen, ps uint32) (lzmaRange, int) {
	c = c.load(in)
	c, b := c.bit(&l.choice)
	if b == 0 {
		c, b = c.tree(l.low[ps][:], 3)
		return c, int(b) + 2
	}
	c, b = c.bit(&l.choice2)
	if b == 0 {
		c, b = c.tree(l.mid[ps][:], 3)
		return c, int(b) + 10
	}
	c = c.load(in)
	c, b = c.tree(l.high[:], 8)
	return c, int(b) + 18
}

// far decodes the distance, from 0, of a match of n bytes.
func (d *LZMA) far(c lzmaRange, n int) (lzmaRange, uint32) {
	c = c.load(d.in)
	c, slot := c.tree(d.slot[min(n-2, 3)][:], 6)
	if slot < 4 {
		return c, slot
	}
	bits := uint(slot>>1 - 1)
	dist := (2 | slot&1) << bits
	c = c.load(d.in)
	var v uint32
	if slot < 14 {
		c, v = c.reverse(d.special[dist-slot:], bits)
		return c, dist + v
	}
	c, v = c.direct(bits - 4) // 26 at most, each half of the width: four bytes
	dist += v << 4
	c, v = c.reverse(d.align[:], 4)
	return c, dist + v
}

// rematch decodes which of the four last distances a match has, and its length.
func (d *LZMA) rematch(c lzmaRange, state uint, ps uint32) (lzmaRange, int) {
	c, b := c.bit(&d.repG0[state])
	if b == 0 {
		if c, b = c.bit(&d.rep0Long[state<<4+uint(ps)]); b == 0 {
			return c, 1
		}
		return c.length(d.in, &d.repLens, ps)
	}
	i := 1
	if c, b = c.bit(&d.repG1[state]); b != 0 {
		c, b = c.bit(&d.repG2[state])
		i = 2 + int(b)
	}
	dist := d.reps[i]
	copy(d.reps[1:i+1], d.reps[:i])
	d.reps[0] = dist
	return c.length(d.in, &d.repLens, ps)
}

// run decodes symbols into the window and copies what comes out to p, until p or
// the window is full, the stream's size is reached, or few bytes are at hand, of
// which there are lzmaAhead or more at first. A match that does not fit leaves
// its rest in d.left. It does what symbol and repeat do.
func (d *LZMA) run(p []byte) (int, error) {
	d.room()
	in, win, start, base := d.in, d.win, d.pos, d.n-int64(d.pos)
	end := min(len(win), start+len(p))
	if d.limit >= 0 {
		end = int(min(int64(end), d.limit-base))
	}
	reach := d.dict // how far back a match may go, once so much came out
	if d.wrap {
		reach = min(reach, int64(len(win)-lzmaSlack))
	}
	prev := uint32(0)
	if d.n > 0 {
		prev = uint32(d.back(0))
	}
	pbMask, lpMask, lc := uint32(1)<<d.pb-1, uint32(1)<<d.lp-1, d.lc
	c := lzmaRange{width: d.width, code: d.code, at: d.at}
	pos, state, last := start, uint(d.state), len(in)-lzmaAhead
	var err error
	for pos < end && c.at <= last {
		n := base + int64(pos)
		ps := uint32(n) & pbMask
		var b uint32
		c = c.load(in)
		if c, b = c.bit(&d.match[state<<4+uint(ps)]); b == 0 {
			lit := (*[0x300]uint16)(d.lit[0x300*((uint32(n)&lpMask)<<lc+prev>>(8-lc)):])
			c = c.load(in)
			if state < 7 {
				c, win[pos] = c.literal(lit)
			} else if int64(d.reps[0]) < min(n, reach) {
				c, win[pos] = c.matched(lit, uint32(win[lzmaBack(pos, d.reps[0], len(win))]))
			} else {
				d.n = n
				err = d.reach(d.reps[0])
				break
			}
			prev = uint32(win[pos])
			pos++
			state = uint(lzmaAfterLiteral[state])
			continue
		}
		var size int
		if c, b = c.bit(&d.rep[state]); b == 0 {
			c, size = c.length(in, &d.lens, ps)
			d.reps[3], d.reps[2], d.reps[1] = d.reps[2], d.reps[1], d.reps[0]
			c, d.reps[0] = d.far(c, size)
			state = uint(lzmaNext(int(state), 7, 10))
		} else if c, size = d.rematch(c, state, ps); size == 1 {
			state = uint(lzmaNext(int(state), 9, 11))
		} else {
			state = uint(lzmaNext(int(state), 8, 11))
		}
		if int64(d.reps[0]) >= min(n, reach) {
			d.n = n
			if err = d.reach(d.reps[0]); d.reps[0] == 0xffffffff && b == 0 {
				err = io.EOF // the end marker: a match with a distance of its own
			}
			break
		}
		fits := min(size, end-pos)
		lzmaCopy(win, pos, d.reps[0], fits)
		pos += fits
		prev = uint32(win[pos-1])
		d.left = size - fits // it ends at end
	}
	d.width, d.code, d.at, d.state = c.width, c.code, c.at, int(state)
	d.pos, d.n = pos, base+int64(pos)
	if err == io.EOF {
		d.normalize()
	}
	return copy(p, win[start:pos]), err
}

// lzmaBack is where the byte at the distance dist, from 0, stands in a window of
// that size of which pos comes next.
func lzmaBack(pos int, dist uint32, size int) int {
	if i := pos - 1 - int(dist); i >= 0 {
		return i
	}
	return pos - 1 - int(dist) + size
}

// lzmaCopy copies the n bytes at the distance dist, from 0, to pos. It writes up
// to seven bytes more, over the oldest (lzmaSlack).
func lzmaCopy(win []byte, pos int, dist uint32, n int) {
	from := lzmaBack(pos, dist, len(win))
	if max(from, pos)+n+8 <= len(win) && dist >= 7 {
		for i := 0; i < n; i += 8 {
			binary.LittleEndian.PutUint64(win[pos+i:], binary.LittleEndian.Uint64(win[from+i:]))
		}
		return
	}
	for i := range n {
		win[pos+i] = win[from]
		if from++; from == len(win) {
			from = 0
		}
	}
}

// lzmaAfterLiteral is the state that comes behind each with a literal.
var lzmaAfterLiteral = [12]uint8{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}

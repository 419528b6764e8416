package rar

import (
	"io"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
)

// unpack5 decodes what RAR 5 compresses. A file is a sequence of blocks, each
// with a header, its own tables or those before, and bits.
//
//	header  flags (1): bits of the last byte less one (3), bytes of the size less
//	        one (2), 0x40 the last block, 0x80 tables; check (1); size (1-3)
//	tables  lengths of codes for literals and lengths (306), distances (64), low
//	        bits of distances (16), lengths of repeated distances (44)
type unpack5 struct {
	window
	in    io.ByteReader
	block limited
	bits  *codec.Bits
	total int64 // bits of the block
	last  bool

	tables bool
	pre    codec.Prefix
	lits   codec.Prefix
	dists  codec.Prefix
	low    codec.Prefix
	reps   codec.Prefix
	old    [4]int64
	length int
	err    error
}

// limited reads the bytes of one block.
type limited struct {
	r     io.ByteReader
	left  int64
	taken int64
}

// ReadByte implements io.ByteReader.
func (l *limited) ReadByte() (byte, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	c, err := l.r.ReadByte()
	if err != nil {
		return 0, bound.CutShort(err)
	}
	l.left--
	l.taken++
	return c, nil
}

func (u *unpack5) open(in io.ByteReader, solid bool, dict int64) {
	if !solid {
		*u = unpack5{window: window{out: u.out, buf: u.buf[:0:0]}}
	}
	u.in, u.bits, u.last, u.err = in, nil, false, nil
	u.dict = max(u.dict, dict)
	u.begin()
}

// fill decodes until there is something to hand out, up to size bytes of the file.
func (u *unpack5) fill(size int64) error {
	most := u.at() + 32<<10
	for u.err == nil && u.at() < min(size, most) {
		u.err = u.step()
	}
	if u.at() >= size {
		return nil
	}
	return u.err
}

func (u *unpack5) step() error {
	if u.bits == nil || u.used() >= u.total {
		if u.bits != nil && u.used() > u.total {
			return errData
		}
		if err := u.header(); err != nil {
			return err
		}
		if u.used() >= u.total {
			return nil
		}
	}
	s, err := u.bits.Symbol(&u.lits)
	if err != nil {
		return err
	}
	switch {
	case s < 256:
		u.put(byte(s))
	case s >= 262:
		return u.match(s - 262)
	case s == 256:
		return u.filter()
	case s == 257:
		if u.length > 0 {
			return u.copy(u.length, u.old[0])
		}
	default:
		k := s - 258
		d := u.old[k]
		copy(u.old[1:k+1], u.old[:k])
		u.old[0] = d
		slot, err := u.bits.Symbol(&u.reps)
		if err != nil {
			return err
		}
		u.length = u.slotLength(slot)
		return u.copy(u.length, d)
	}
	return u.bits.Err()
}

// used returns how many bits of the block were used.
func (u *unpack5) used() int64 { return 8*u.block.taken - u.bits.Held() }

func (u *unpack5) header() error {
	if u.last {
		return errEnd
	}
	if u.bits != nil { // what is left of the block before
		for u.block.left > 0 {
			if _, err := u.block.ReadByte(); err != nil {
				return err
			}
		}
	}
	var b [5]byte
	n := 2
	for i := 0; i < n; i++ {
		var err error
		if b[i], err = u.in.ReadByte(); err != nil {
			return bound.CutShort(err)
		}
		if i == 0 {
			n = 3 + int(b[0]>>3&3)
			if n > 5 {
				return errData
			}
		}
	}
	size, sum := int64(0), byte(0x5a)^b[0]
	for i, c := range b[2:n] {
		size |= int64(c) << (8 * i)
		sum ^= c
	}
	if sum != b[1] {
		return errData
	}
	u.last = b[0]&0x40 != 0
	u.block = limited{r: u.in, left: size}
	u.bits = codec.NewBits(&u.block)
	u.total = max((size-1)*8+int64(b[0]&7)+1, 0)
	if b[0]&0x80 != 0 {
		return u.readTables()
	}
	if !u.tables {
		return errData
	}
	return nil
}

// codeLengths reads the code of lengths: 15 is an escape for runs of 0.
func codeLengths(b *codec.Bits, pre *codec.Prefix) error {
	var lens [20]uint8
	for i := 0; i < len(lens); i++ {
		l := b.Take(4)
		if l == 15 {
			if n := int(b.Take(4)); n > 0 {
				i += n + 1
				continue
			}
		}
		lens[i] = uint8(l)
	}
	return pre.Make(lens[:])
}

// runs reads code lengths with it; each is added to the one in old, if given.
func runs(b *codec.Bits, pre *codec.Prefix, p, old []uint8) error {
	for i := 0; i < len(p); {
		s, err := b.Symbol(pre)
		if err != nil {
			return err
		}
		if s < 16 {
			p[i] = uint8(s)
			if old != nil {
				p[i] = (p[i] + old[i]) & 15
			}
			i++
			continue
		}
		n := int(b.Take(3)) + 3
		if s&1 == 1 {
			n = (n-3)<<4 + int(b.Take(4)) + 11
		}
		v := uint8(0)
		if s < 18 {
			if i == 0 {
				return errData
			}
			v = p[i-1]
		}
		for ; n > 0 && i < len(p); n-- {
			p[i] = v
			i++
		}
	}
	return b.Err()
}

func (u *unpack5) readTables() error {
	var lens [306 + 64 + 16 + 44]uint8
	if err := codeLengths(u.bits, &u.pre); err != nil {
		return err
	}
	if err := runs(u.bits, &u.pre, lens[:], nil); err != nil {
		return err
	}
	at := 0
	for _, t := range []struct {
		p *codec.Prefix
		n int
	}{{&u.lits, 306}, {&u.dists, 64}, {&u.low, 16}, {&u.reps, 44}} {
		if err := t.p.Make(lens[at : at+t.n]); err != nil {
			return err
		}
		at += t.n
	}
	u.tables = true
	return nil
}

func (u *unpack5) slotLength(slot int) int {
	if slot < 8 {
		return 2 + slot
	}
	n := uint(slot/4 - 1)
	return 2 + (4|slot&3)<<n + int(u.bits.Take(n))
}

func (u *unpack5) match(slot int) error {
	n := u.slotLength(slot)
	d, err := u.bits.Symbol(&u.dists)
	if err != nil {
		return err
	}
	dist := int64(1 + d)
	if d >= 4 {
		k := uint(d/2 - 1)
		dist = 1 + int64(2|d&1)<<k
		if k >= 4 {
			if k > 4 {
				dist += int64(u.bits.Take(k-4)) << 4
			}
			low, err := u.bits.Symbol(&u.low)
			if err != nil {
				return err
			}
			dist += int64(low)
		} else {
			dist += int64(u.bits.Take(k))
		}
	}
	for _, far := range []int64{0x100, 0x2000, 0x40000} {
		if dist > far {
			n++
		}
	}
	copy(u.old[1:], u.old[:3])
	u.old[0], u.length = dist, n
	return u.copy(n, dist)
}

func (u *unpack5) filter() error {
	number := func() (v int64) {
		n := u.bits.Take(2) + 1
		for i := range n {
			v |= int64(u.bits.Take(8)) << (8 * i)
		}
		return v
	}
	f := filter{from: u.at() + number(), size: number()}
	switch u.bits.Take(3) {
	case 0:
		channels := int(u.bits.Take(5)) + 1
		f.apply = func(b []byte, _ int64) []byte { return delta(b, channels) }
	case 1:
		f.apply = func(b []byte, at int64) []byte { return e8(b, at, false, true) }
	case 2:
		f.apply = func(b []byte, at int64) []byte { return e8(b, at, true, true) }
	case 3:
		f.apply = arm
	default:
		f.apply = func([]byte, int64) []byte { return nil }
	}
	if err := u.bits.Err(); err != nil {
		return err
	}
	return u.add(f)
}

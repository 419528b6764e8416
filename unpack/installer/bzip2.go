package installer

import (
	"bufio"
	"errors"
	"io"
)

// errBzip2 is the error for a stream that is not what it should be.
var errBzip2 = errors.New("bzip2: invalid data")

// bzip2Most is the size of a block in bytes: level 9.
const bzip2Most = 900_000

// bzip2 decodes what NSIS makes of bzip2 (Source/bzip2/decompress.c): blocks that begin with "1"
// alone, without sums, end and bit for randomness, and 0x17 behind the last.
//
//	"1", origin 24 bits, the bytes in use (16 + 16 x 16 bits), groups 3, selectors 15 and each in unary,
//	lengths of codes as differences, symbols by 50
type bzip2 struct {
	in   *bufio.Reader
	bits uint32
	have uint
	err  error

	block []uint32 // a byte, and where the one behind it stands << 8
	next  uint32
	left  int
	run   int // equal bytes in line, which at four have a count behind them
	last  int
	more  int // of the last to repeat
}

func newBzip2(in *bufio.Reader) *bzip2 { return &bzip2{in: in, last: -1} }

func (b *bzip2) take(n uint) int {
	for b.have < n {
		c, err := b.in.ReadByte()
		if err != nil {
			b.fail(io.ErrUnexpectedEOF)
			return 0
		}
		b.bits, b.have = b.bits<<8|uint32(c), b.have+8
	}
	b.have -= n
	return int(b.bits>>b.have) & (1<<n - 1)
}

func (b *bzip2) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Read implements io.Reader.
func (b *bzip2) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if b.more > 0 {
			b.more--
			p[n] = byte(b.last)
			n++
			continue
		}
		if b.left == 0 {
			if b.err == nil {
				b.fill()
			}
			if b.err != nil {
				break
			}
		}
		b.next = b.block[b.next>>8]
		b.left--
		c := int(b.next & 0xff)
		if b.run == 4 {
			b.more, b.run = c, 0
			continue
		}
		if c != b.last {
			b.run, b.last = 0, c
		}
		b.run++
		p[n] = byte(c)
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// fill reads a block and turns it back.
func (b *bzip2) fill() {
	switch b.take(8) {
	case 0x17:
		b.fail(io.EOF)
		return
	case '1':
	default:
		b.fail(errBzip2)
		return
	}
	origin := b.take(24)
	b.symbols()
	if b.err == nil && origin >= len(b.block) {
		b.fail(errBzip2)
	}
	if b.err != nil {
		return
	}
	var sums [256]uint32
	for _, v := range b.block {
		sums[v&0xff]++
	}
	sum := uint32(0)
	for i, n := range sums {
		sums[i], sum = sum, sum+n
	}
	for i, v := range b.block {
		c := v & 0xff
		b.block[sums[c]] |= uint32(i) << 8
		sums[c]++
	}
	b.next, b.left = b.block[origin], len(b.block)
	b.run, b.last = 0, -1
}

// alphabet reads which bytes there are, as the list that is moved to the front.
func (b *bzip2) alphabet() (front []byte) {
	groups := b.take(16)
	for i := range 16 {
		if groups>>(15-i)&1 == 0 {
			continue
		}
		in := b.take(16)
		for k := range 16 {
			if in>>(15-k)&1 == 1 {
				front = append(front, byte(16*i+k))
			}
		}
	}
	return front
}

// selectors reads which table each 50 symbols are coded with.
func (b *bzip2) selectors() (tables int, list []byte) {
	tables, n := b.take(3), b.take(15)
	if tables < 2 || tables > 6 || n == 0 {
		b.fail(errBzip2)
		return 0, nil
	}
	order := []byte{0, 1, 2, 3, 4, 5}
	for range n {
		j := 0
		for b.take(1) == 1 && b.err == nil {
			if j++; j >= tables {
				b.fail(errBzip2)
				break
			}
		}
		if b.err != nil {
			return 0, nil
		}
		t := order[j]
		copy(order[1:], order[:j])
		order[0] = t
		list = append(list, t)
	}
	return tables, list
}

// codes is a table of prefix codes: of each length, its first code and where its symbols stand.
type codes struct {
	first, count [21]int
	symbols      []uint16
}

// table reads the lengths of n codes.
func (b *bzip2) table(n int) (c codes) {
	lengths := make([]byte, n)
	length := b.take(5)
	for i := range lengths {
		for {
			if length < 1 || length > 20 {
				b.fail(errBzip2)
			}
			if b.err != nil {
				return c
			}
			if b.take(1) == 0 {
				break
			}
			length += 1 - 2*b.take(1)
		}
		lengths[i] = byte(length)
		c.count[length]++
	}
	code := 0
	for l := 1; l <= 20; l++ {
		c.first[l] = code
		code = (code + c.count[l]) << 1
		for i, have := range lengths {
			if int(have) == l {
				c.symbols = append(c.symbols, uint16(i))
			}
		}
	}
	return c
}

func (b *bzip2) symbol(c *codes) int {
	code, at := 0, 0
	for l := 1; l <= 20 && b.err == nil; l++ {
		code = code<<1 | b.take(1)
		if d := code - c.first[l]; d < c.count[l] && d >= 0 {
			return int(c.symbols[at+d])
		}
		at += c.count[l]
	}
	b.fail(errBzip2)
	return 0
}

// symbols reads the symbols of a block into block.
func (b *bzip2) symbols() {
	b.block = b.block[:0]
	front := b.alphabet()
	tables, selectors := b.selectors()
	if b.err != nil || len(front) == 0 {
		b.fail(errBzip2)
		return
	}
	all := make([]codes, tables)
	for i := range all {
		all[i] = b.table(len(front) + 2)
	}
	run, weight := 0, 1
	for _, t := range selectors {
		for range 50 {
			s := b.symbol(&all[t])
			if b.err != nil {
				return
			}
			if s < 2 { // digits of a run of the first
				if run += weight << s; run > bzip2Most {
					b.fail(errBzip2)
					return
				}
				weight <<= 1
				continue
			}
			if len(b.block)+run > bzip2Most {
				b.fail(errBzip2)
				return
			}
			for ; run > 0; run-- {
				b.block = append(b.block, uint32(front[0]))
			}
			weight = 1
			if s == len(front)+1 {
				return
			}
			if len(b.block) >= bzip2Most {
				b.fail(errBzip2)
				return
			}
			c := front[s-1]
			copy(front[1:], front[:s-1])
			front[0] = c
			b.block = append(b.block, uint32(c))
		}
	}
	b.fail(errBzip2)
}

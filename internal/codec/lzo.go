package codec

import (
	"errors"
	"io"
)

// ErrLZO says that the data is no LZO1X.
var ErrLZO = errors.New("lzo: invalid data")

// LZO decodes LZO1X (Linux, Documentation/staging/lzo.rst) to at most size
// bytes. What it has when it fails comes too.
func LZO(b []byte, size int) (out []byte, err error) {
	d := lzoState{in: b, size: size, out: make([]byte, 0, min(size, 16*len(b)+64))}
	if c := d.byte(); c > 17 {
		d.literals(int(c) - 17)
		d.state = min(int(c)-17, 4)
	} else {
		d.in = b
	}
	for d.err == nil {
		d.step(int(d.byte()))
	}
	if d.err == io.EOF {
		d.err = nil
	}
	return d.out, d.err
}

type lzoState struct {
	in    []byte
	out   []byte
	size  int
	state int // literals copied by the last instruction, 4 for four or more
	err   error
}

func (d *lzoState) byte() byte {
	if len(d.in) == 0 {
		if d.err == nil {
			d.err = ErrLZO
		}
		return 0
	}
	c := d.in[0]
	d.in = d.in[1:]
	return c
}

// more reads the rest of a length whose bits are all zero.
func (d *lzoState) more(n int) int {
	for d.err == nil && n < d.size+300 {
		c := d.byte()
		if c != 0 {
			return n + int(c)
		}
		n += 255
	}
	return n
}

func (d *lzoState) literals(n int) {
	if n > len(d.in) || n > d.size-len(d.out) {
		d.err = ErrLZO
		n = min(len(d.in), d.size-len(d.out))
	}
	d.out = append(d.out, d.in[:n]...)
	d.in = d.in[n:]
}

func (d *lzoState) match(n, dist, tail int) {
	if d.err != nil {
		return
	}
	if dist > len(d.out) || n > d.size-len(d.out) {
		d.err = ErrLZO
		return
	}
	for range n {
		d.out = append(d.out, d.out[len(d.out)-dist])
	}
	d.literals(tail)
	d.state = tail
}

func (d *lzoState) step(c int) {
	if d.err != nil {
		return
	}
	switch {
	case c >= 64:
		n := c>>5 + 1
		d.match(n, int(d.byte())<<3+c>>2&7+1, c&3)
	case c >= 32:
		n := c & 31
		if n == 0 {
			n = d.more(31)
		}
		v := int(d.byte()) | int(d.byte())<<8
		d.match(n+2, v>>2+1, v&3)
	case c >= 16:
		n := c & 7
		if n == 0 {
			n = d.more(7)
		}
		v := int(d.byte()) | int(d.byte())<<8
		dist := 16384 + c&8<<11 + v>>2
		if dist == 16384 {
			if d.err == nil {
				d.err = io.EOF
			}
			return
		}
		d.match(n+2, dist, v&3)
	case d.state == 0:
		if c == 0 {
			c = d.more(15)
		}
		d.literals(c + 3)
		d.state = 4
	case d.state == 4:
		d.match(3, int(d.byte())<<2+c>>2+2049, c&3)
	default:
		d.match(2, int(d.byte())<<2+c>>2+1, c&3)
	}
}

package stream

import (
	"errors"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// errLZW is the error for a code that is none yet.
var errLZW = errors.New("lzw: invalid code")

// Compress reads files of compress(1), ".Z": magic, flags, and LZW codes of 9 to
// 16 bits, the lowest bit first, in groups of eight of one width. The file has no
// end mark and no checksum.
func Compress() unpack.Format {
	return unpack.Format{
		Name:  "compress",
		Match: func(p *unpack.Probe) bool { return len(p.Head) >= 3 && p.Head[0] == 0x1f && p.Head[1] == 0x9d },
		Walk: func(src showcause.Source, out *unpack.Out) {
			if !out.Work(1 << 17) {
				return
			}
			z := &lzw{in: newInput(src, 0)}
			if !out.Child(unpack.Child{Op: "compress.lzw", Reader: z, Size: -1}) {
				return
			}
			if z.left {
				out.Gap(showcause.Corrupt, src.Size(), -1)
			}
		},
	}
}

// lzw decodes the codes.
type lzw struct {
	in     *input
	begun  bool
	block  bool // 256 empties the table
	max    uint // bits
	width  uint
	free   int // the next code
	old    int // the last code, -1 at the start
	first  byte
	prefix []uint16
	suffix []byte

	group []byte // what is left of a group
	bit   uint
	out   []byte // decoded, in reverse
	left  bool   // bits that are no code stand at the end
	err   error
}

// Close implements io.Closer.
func (z *lzw) Close() error {
	z.prefix, z.suffix = nil, nil
	if z.err == nil {
		z.err = io.ErrClosedPipe
	}
	return nil
}

// Read implements io.Reader.
func (z *lzw) Read(p []byte) (n int, err error) {
	if !z.begun {
		z.begun = true
		z.err = z.begin()
	}
	for n < len(p) {
		if len(z.out) > 0 {
			p[n] = z.out[len(z.out)-1]
			z.out = z.out[:len(z.out)-1]
			n++
			continue
		}
		if z.err != nil {
			break
		}
		z.err = z.step()
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

func (z *lzw) begin() error {
	var h [3]byte
	if err := z.in.full(h[:]); err != nil {
		return err
	}
	z.max, z.block = uint(h[2]&31), h[2]&0x80 != 0
	if z.max < 9 || z.max > 16 || h[2]&0x60 != 0 {
		return unpack.Fail(showcause.Unsupported + ".method.compress")
	}
	z.prefix, z.suffix = make([]uint16, 1<<z.max), make([]byte, 1<<z.max)
	for i := range 256 {
		z.suffix[i] = byte(i)
	}
	z.width, z.free, z.old = 9, 256, -1
	if z.block {
		z.free = 257
	}
	return nil
}

// code reads one code of the width that the table has come to.
func (z *lzw) code() (int, error) {
	if z.free > 1<<z.width-1 && z.width < z.max {
		z.width++
		z.group = nil
	}
	if z.bit+z.width > uint(8*len(z.group)) {
		buf := make([]byte, z.width)
		n, err := io.ReadFull(z.in, buf)
		z.group, z.bit = buf[:n], 0
		if uint(8*n) < z.width {
			for _, c := range buf[:n] {
				z.left = z.left || c != 0
			}
			if err == io.ErrUnexpectedEOF || n == 0 && err == io.EOF {
				err = io.EOF
			}
			return 0, err
		}
	}
	v := 0
	for i := range z.width {
		at := z.bit + i
		v |= int(z.group[at/8]>>(at%8)&1) << i
	}
	z.bit += z.width
	return v, nil
}

func (z *lzw) step() error {
	c, err := z.code()
	if err != nil {
		return err
	}
	if z.old < 0 {
		if c >= 256 {
			return errLZW
		}
		z.first, z.old = byte(c), c
		z.out = append(z.out, z.first)
		return nil
	}
	if c == 256 && z.block {
		z.free, z.width, z.group = 256, 9, nil
		return nil
	}
	in := c
	if c >= z.free {
		if c > z.free {
			return errLZW
		}
		z.out = append(z.out, z.first)
		c = z.old
	}
	for c >= 256 {
		z.out = append(z.out, z.suffix[c])
		c = int(z.prefix[c])
		if len(z.out) > 1<<17 {
			return errLZW
		}
	}
	z.first = z.suffix[c]
	z.out = append(z.out, z.first)
	if z.free < 1<<z.max {
		z.prefix[z.free], z.suffix[z.free] = uint16(z.old), z.first
		z.free++
	}
	z.old = in
	return nil
}

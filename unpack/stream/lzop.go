package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

var (
	lzopMagic = []byte("\x89LZO\x00\r\n\x1a\n")
	errLZO    = errors.New("lzo: invalid data")
)

// lzopBlock is the size in bytes of the largest block that lzop writes or reads.
const lzopBlock = 64 << 20

// Lzop reads files of lzop (M. Oberhumer, lzop 1.04, conf.h): a header, then
// blocks of LZO1X with the sizes and checksums of what they hold, up to a size of 0.
func Lzop() unpack.Format {
	return unpack.Format{
		Name:  "lzop",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, lzopMagic) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			walkRuns(src, out, streams{
				op: "lzop.lzo", magic: lzopMagic, cost: 4,
				open: func(off int64) run { return &lzopRun{in: newInput(src, off), work: out.Work} },
				name: func(r run) string { return r.(*lzopRun).title() },
			})
		},
	}
}

// lzopRun reads one file.
type lzopRun struct {
	damage

	in    *input
	work  func(int64) bool
	begun bool
	name  string
	flags uint32
	out   []byte
	err   error
}

func (l *lzopRun) end() int64 { return l.in.offset() }

func (l *lzopRun) free() {
	l.in.free()
	l.out = nil
}

// title reads the header ahead and returns the name in it.
func (l *lzopRun) title() string {
	if !l.begun {
		l.begun = true
		l.err = l.header()
	}
	return l.name
}

// Read implements io.Reader.
func (l *lzopRun) Read(p []byte) (int, error) {
	l.title()
	for len(l.out) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		l.err = l.block()
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// The flags of the header.
const (
	lzopAdlerD = 1 << 0
	lzopAdlerC = 1 << 1
	lzopExtra  = 1 << 6
	lzopCRCD   = 1 << 8
	lzopCRCC   = 1 << 9
	lzopFilter = 1 << 11
	lzopHeadCR = 1 << 12
)

func (l *lzopRun) header() error {
	start := l.in.offset()
	sum := bytes.Buffer{}
	take := func(n int) []byte {
		b := make([]byte, n)
		if err := l.in.full(b); err != nil && l.err == nil {
			l.err = err
		}
		sum.Write(b)
		return b
	}
	take(len(lzopMagic))
	sum.Reset()
	version := binary.BigEndian.Uint16(take(2))
	take(2)
	if version >= 0x0940 {
		take(2)
	}
	method := take(1)[0]
	if version >= 0x0940 {
		take(1)
	}
	l.flags = binary.BigEndian.Uint32(take(4))
	if l.flags&lzopFilter != 0 {
		take(4)
	}
	take(8)
	if version >= 0x0940 {
		take(4)
	}
	l.name = string(take(int(take(1)[0])))
	want := adler32.Checksum(sum.Bytes())
	if l.flags&lzopHeadCR != 0 {
		want = crc32.ChecksumIEEE(sum.Bytes())
	}
	if binary.BigEndian.Uint32(take(4)) != want && l.err == nil {
		l.note(start)
	}
	if l.flags&lzopExtra != 0 {
		n := int64(binary.BigEndian.Uint32(take(4)))
		if _, err := io.CopyN(io.Discard, l.in, n+4); err != nil && l.err == nil {
			l.err = bound.CutShort(err)
		}
	}
	if l.err == nil && (method < 1 || method > 3 || l.flags&lzopFilter != 0) {
		return unpack.Fail(showcause.Unsupported + ".method.lzop")
	}
	return l.err
}

func (l *lzopRun) block() error {
	start := l.in.offset()
	u32 := func() uint32 {
		var b [4]byte
		if err := l.in.full(b[:]); err != nil && l.err == nil {
			l.err = err
		}
		return binary.BigEndian.Uint32(b[:])
	}
	size := int(u32())
	if l.err != nil {
		return l.err
	}
	if size == 0 {
		return io.EOF
	}
	packed := int(u32())
	if size > lzopBlock || packed > size || packed == 0 {
		return cmpLZO(l.err)
	}
	var adler, crc uint32
	if l.flags&lzopAdlerD != 0 {
		adler = u32()
	}
	if l.flags&lzopCRCD != 0 {
		crc = u32()
	}
	for _, f := range []uint32{lzopAdlerC, lzopCRCC} {
		if packed < size && l.flags&f != 0 {
			u32() // of the packed bytes
		}
	}
	if l.err != nil {
		return l.err
	}
	if !l.work(int64(packed)/16 + 256) {
		return unpack.Fail(showcause.LimitWork)
	}
	var data bytes.Buffer
	n, err := io.CopyN(&data, l.in, int64(packed))
	b := data.Bytes()
	if packed < size && n == int64(packed) {
		b, err = lzo(b, size)
	}
	l.out = b
	if err == nil && (l.flags&lzopAdlerD != 0 && adler32.Checksum(b) != adler || l.flags&lzopCRCD != 0 && crc32.ChecksumIEEE(b) != crc) {
		l.note(start)
	}
	return bound.CutShort(err)
}

func cmpLZO(err error) error {
	if err == nil {
		err = errLZO
	}
	return err
}

// lzo decodes LZO1X (Linux, Documentation/staging/lzo.rst) to size bytes. What
// it has when it fails comes too.
func lzo(b []byte, size int) (out []byte, err error) {
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
		if len(d.out) != size {
			d.err = errLZO
		}
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
			d.err = errLZO
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
		d.err = errLZO
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
		d.err = errLZO
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

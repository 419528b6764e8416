package stream

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var lzopMagic = []byte("\x89LZO\x00\r\n\x1a\n")

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
		if b, err = codec.LZO(b, size); err == nil && len(b) != size {
			err = codec.ErrLZO
		}
	}
	l.out = b
	if err == nil && (l.flags&lzopAdlerD != 0 && adler32.Checksum(b) != adler || l.flags&lzopCRCD != 0 && crc32.ChecksumIEEE(b) != crc) {
		l.note(start)
	}
	return bound.CutShort(err)
}

func cmpLZO(err error) error {
	if err == nil {
		err = codec.ErrLZO
	}
	return err
}

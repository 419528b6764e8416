package stream

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var lzipMagic = []byte("LZIP")

// Lzip reads lzip files (A. Diaz, lzip manual, "File format"): members, each a
// header of six bytes with the size of the dictionary, LZMA with an end mark,
// and a trailer with CRC-32 and sizes. Members that follow each other are one child.
func Lzip() unpack.Format {
	return unpack.Format{
		Name:  "lzip",
		Match: func(p *unpack.Probe) bool { return lzipHead(p.Head) },
		Walk: func(src showcause.Source, out *unpack.Out) {
			walkRuns(src, out, streams{op: "lzip.lzma", magic: lzipMagic, cost: lzmaCost, head: lzipHead, open: func(off int64) run {
				return &lzipRun{in: newInput(src, off), out: out}
			}})
		},
	}
}

func lzipHead(b []byte) bool {
	return len(b) >= 6 && bytes.HasPrefix(b, lzipMagic) && b[4] <= 1 && b[5]&31 >= 12 && b[5]&31 <= 29
}

// lzipRun reads members up to the first that does not begin where the one before ends.
type lzipRun struct {
	damage

	in    *input
	out   *unpack.Out
	d     *codec.LZMA
	start int64
	trail int
	crc   uint32
	n     uint64
	some  bool
	err   error
}

func (l *lzipRun) end() int64 { return l.in.offset() }

func (l *lzipRun) free() {
	l.in.free()
	l.d = nil
}

// Read implements io.Reader.
func (l *lzipRun) Read(p []byte) (n int, err error) {
	for n == 0 && l.err == nil {
		if l.d == nil {
			if l.err = l.next(); l.err != nil {
				break
			}
		}
		n, err = l.d.Read(p)
		l.crc = crc32.Update(l.crc, crc32.IEEETable, p[:n])
		l.n += uint64(n)
		if err == io.EOF {
			err = l.trailer()
			l.d = nil
		}
		l.err = lzmaError(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// next begins a member, or says io.EOF where there is none.
func (l *lzipRun) next() error {
	l.start = l.in.offset()
	b, _ := l.in.Peek(6)
	if l.some && !lzipHead(b) {
		return io.EOF
	}
	var h [6]byte
	if err := l.in.full(h[:]); err != nil {
		return err
	}
	if !l.out.Work(codec.SetupLZMA(93)) {
		return unpack.Fail(showcause.LimitWork)
	}
	base := uint32(1) << (h[5] & 31)
	props := [5]byte{93} // lc 3, lp 0, pb 2
	binary.LittleEndian.PutUint32(props[1:], base-base/16*uint32(h[5]>>5))
	l.some, l.crc, l.n, l.trail = true, 0, 0, 20
	if h[4] == 0 {
		l.trail = 12
	}
	var err error
	l.d, err = codec.NewLZMA(l.in, props, -1)
	return err
}

// trailer checks what a member says of itself.
func (l *lzipRun) trailer() error {
	var b [20]byte
	if err := l.in.full(b[:l.trail]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != l.crc || binary.LittleEndian.Uint64(b[4:]) != l.n ||
		l.trail == 20 && binary.LittleEndian.Uint64(b[12:]) != uint64(l.in.offset()-l.start) {
		l.note(l.start)
	}
	return nil
}

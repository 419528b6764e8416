package stream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var (
	xzMagic  = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	xzFooter = []byte{'Y', 'Z'}
)

const xzFilterGap = showcause.Unsupported + ".method.xz-filter"

// Xz reads .xz files (tukaani.org/xz/xz-file-format.txt, version 1.2.1).
// Streams that follow each other are one child, as xz joins them.
//
//	stream = header, block*, index, footer    all in multiples of four bytes
//	block  = size and filters, LZMA2 chunks, padding, check
func Xz() unpack.Format {
	return unpack.Format{
		Name:  "xz",
		Match: func(p *unpack.Probe) bool { return bytes.HasPrefix(p.Head, xzMagic) },
		Walk:  xzWalk,
	}
}

func xzWalk(src showcause.Source, out *unpack.Out) {
	walkRuns(src, out, streams{
		op:    "xz.stream",
		magic: xzMagic,
		cost:  lzmaCost,
		open:  func(off int64) run { return &xzRun{in: newInput(src, off), out: out} },
	})
}

// OpenXz opens a layer. sound tells at the end whether it is the layer's, and checks fit.
func OpenXz(src showcause.Source, out *unpack.Out) (r io.Reader, sound func() bool) {
	x := &xzRun{in: newInput(src, 0), out: out}
	return x, func() bool { return x.end() == src.Size() && !x.harmed() }
}

// xzRun reads streams up to the first that does not begin where the one before
// and its padding end.
type xzRun struct {
	damage // streams, blocks and indexes

	in  *input
	out *unpack.Out

	started bool
	check   byte      // kind of the blocks' check
	sum     hash.Hash // nil where the kind is not known
	block   io.Reader // nil between blocks
	lz      *codec.LZMA2
	from    int64 // where the block, or the index, begins
	data    int64 // where the block's data begins
	stop    int64 // end of the last whole stream
	err     error
}

func (x *xzRun) end() int64 {
	if x.err == io.EOF {
		return x.stop
	}
	return x.in.offset()
}

func (x *xzRun) free() {
	x.in.free()
	x.block, x.lz = nil, nil
}

// Read implements io.Reader.
func (x *xzRun) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		if err = lzmaError(err); err == codec.ErrWork {
			err = unpack.Fail(showcause.LimitWork)
		}
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		if err == io.EOF {
			x.block = nil
			err = x.blockEnd()
		}
		x.err = err
		if n > 0 || len(p) == 0 {
			return n, x.err
		}
	}
	return 0, x.err
}

// next goes on to the next block, through the ends and beginnings of streams.
func (x *xzRun) next() error {
	if !x.out.Work(4096) {
		return unpack.Fail(showcause.LimitWork)
	}
	if !x.started {
		return x.streamStart()
	}
	x.from = x.in.offset()
	c, err := x.in.ReadByte()
	if err != nil {
		return bound.CutShort(err)
	}
	if c != 0 {
		return x.blockStart(c)
	}
	if err := x.index(); err != nil {
		return err
	}
	x.started = false
	x.stop = x.in.offset()
	return x.padding()
}

// padding skips zeros in fours and says io.EOF where no stream follows.
func (x *xzRun) padding() error {
	for {
		b, _ := x.in.Peek(len(xzMagic))
		if bytes.Equal(b, xzMagic) {
			return nil
		}
		if len(b) < 4 || !bytes.Equal(b[:4], []byte{0, 0, 0, 0}) {
			return io.EOF
		}
		x.in.Discard(4)
	}
}

func (x *xzRun) streamStart() error {
	var h [12]byte
	at := x.in.offset()
	if err := x.in.full(h[:]); err != nil {
		return err
	}
	if !bytes.HasPrefix(h[:], xzMagic) {
		return codec.ErrLZMA
	}
	if h[6] != 0 || h[7] > 15 {
		return unpack.Fail(showcause.Unsupported + ".method.xz-flags")
	}
	x.verify(at, h[6:8], h[8:])
	x.check = h[7]
	switch x.check {
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		x.sum = nil
	}
	x.started = true
	return nil
}

// verify remembers a place where a CRC-32, little-endian, does not fit.
func (x *xzRun) verify(at int64, data, crc []byte) {
	if binary.LittleEndian.Uint32(crc) != crc32.ChecksumIEEE(data) {
		x.note(at)
	}
}

// blockStart reads a block's header, of which c is the first byte, and sets up
// its filters.
func (x *xzRun) blockStart(c byte) error {
	h := make([]byte, (int(c)+1)*4)
	h[0] = c
	if err := x.in.full(h[1:]); err != nil {
		return err
	}
	x.verify(x.from, h[:len(h)-4], h[len(h)-4:])
	x.data = x.in.offset()
	if x.lz == nil {
		x.lz = &codec.LZMA2{Work: x.out.Work}
	}
	var err error
	if x.block, err = codec.XZBlock(h, x.lz, x.in); err != nil {
		x.block = nil
		if err == codec.ErrFilter {
			return unpack.Fail(xzFilterGap)
		}
		return err
	}
	if x.sum != nil {
		x.sum.Reset()
	}
	return nil
}

// xzCheckSize is the size in bytes of each kind of check.
var xzCheckSize = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// blockEnd reads the padding and the check behind a block's data.
func (x *xzRun) blockEnd() error {
	if pad := int(-(x.in.offset() - x.data) & 3); pad > 0 {
		if _, err := x.in.Discard(pad); err != nil {
			return bound.CutShort(err)
		}
	}
	var check [64]byte
	c := check[:xzCheckSize[x.check]]
	if err := x.in.full(c); err != nil {
		return err
	}
	if x.sum == nil {
		return nil
	}
	want := x.sum.Sum(nil)
	if x.check != 10 { // the CRCs stand little-endian
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
	}
	if !bytes.Equal(want, c) {
		x.note(x.from)
	}
	return nil
}

// index reads the index behind its first byte, and the footer.
func (x *xzRun) index() error {
	crc := crc32.NewIEEE()
	crc.Write([]byte{0})
	number := func() (uint64, error) {
		v, shift := uint64(0), 0
		for {
			c, err := x.in.ReadByte()
			if err != nil {
				return 0, bound.CutShort(err)
			}
			crc.Write([]byte{c})
			if v |= uint64(c&0x7f) << shift; c < 0x80 {
				return v, nil
			}
			if shift += 7; shift > 56 {
				return 0, codec.ErrLZMA
			}
		}
	}
	records, err := number()
	for i := uint64(0); err == nil && i < records; i++ {
		if i%256 == 255 && !x.out.Work(1) {
			return unpack.Fail(showcause.LimitWork)
		}
		if _, err = number(); err == nil {
			_, err = number()
		}
	}
	if err != nil {
		return err
	}
	var pad [4]byte
	n := int(-(x.in.offset() - x.from) & 3)
	if err := x.in.full(pad[:n]); err != nil {
		return err
	}
	crc.Write(pad[:n])
	var foot [16]byte // the index's CRC, then the footer
	if err := x.in.full(foot[:]); err != nil {
		return err
	}
	if !bytes.Equal(foot[14:], xzFooter) {
		return codec.ErrLZMA
	}
	if binary.LittleEndian.Uint32(foot[:]) != crc.Sum32() {
		x.note(x.from)
	}
	x.verify(x.from, foot[8:14], foot[4:8])
	return nil
}

// Package upx unpacks ELF and Mach-O programs that UPX packed, without running them.
package upx

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/nrv"
	"github.com/showcause/showcause/unpack"
)

// Op is how the program is derived that was packed.
const Op = "upx.image"

// Format reads what UPX 3 and 4 write (src/stub/src/include/linux.h and src/packhead.cpp name
// the fields). Behind the headers of the program that unpacks stand
//
//	l_info  checksum u32, "UPX!", length of the loader u16, version u8, format u8
//	p_info  0, size of the file u32, size of blocks u32
//	blocks  size u32, packed size u32, method u8, filter u8, its parameter u8, 0; bytes
//
// in the order of the bytes of the machine. The first block is the headers of the program, the next are
// what it loads, in order. Behind these stands the loader, then blocks of what stands
// between and behind what is loaded, then an empty block with the mark, and a header of 36
// bytes that ends in the place of p_info. A program is told by its first block, which must become a program's
// headers, and not by the mark, which who hides it writes over, as the sizes in p_info.
func Format() unpack.Format {
	return unpack.Format{
		Name: "upx",
		Match: func(p *unpack.Probe) bool {
			return (p.Type == filetype.ELF || p.Type == filetype.MachO) && open(p.Source) != nil
		},
		Walk: walk,
	}
}

const (
	infoSize  = 24 // l_info and p_info
	blockSize = 12
	mostHead  = 64 << 10 // bytes of headers
	mark      = "UPX!"
)

// packed is a program that UPX packed.
type packed struct {
	src    showcause.Source
	order  binary.ByteOrder
	macho  bool
	wide   bool
	head   []byte // the headers of the program that was packed
	method uint8
	mark   [4]byte
	said   int64 // the size of the file that p_info has
	info   int64 // where p_info stands
	next   int64 // where the next block stands

	out     *unpack.Out
	pieces  []piece
	patches []patch
	size    int64 // of the file that was packed, as its pieces say
	over    int64 // where what stood behind it does, 0 for nothing
}

// block is the header of a block.
type block struct {
	size, packed        int64
	method, filter, cto uint8
	at                  int64 // of its bytes
}

// open finds the first block, nil if there is none.
func open(src showcause.Source) *packed {
	p := &packed{src: src}
	h := bound.Head(src, 4096)
	if len(h) < 64 {
		return nil
	}
	at := p.behindHeaders(h)
	if at < 0 {
		return nil
	}
	if p.first(at) {
		return p
	}
	// Of a library the mark is behind more than its headers; the last word of the file says where.
	tail, _ := bound.ReadAt(src, src.Size()-4, 4, 4)
	if len(tail) == 4 {
		if at = int64(p.order.Uint32(tail)) - 12; at >= 0 && p.first(at) {
			return p
		}
	}
	for i := 0; ; i++ {
		n := bytes.Index(h[i:], []byte(mark))
		if n < 0 {
			return nil
		}
		if i += n; i >= 4 && p.first(int64(i)-4) {
			return p
		}
	}
}

// behindHeaders returns where the headers of a program end, -1 if it is none.
func (p *packed) behindHeaders(h []byte) int64 {
	switch {
	case string(h[:4]) == "\x7fELF":
		return p.behindELF(h)
	default:
		return p.behindMachO(h)
	}
}

// first tries l_info at a place.
func (p *packed) first(at int64) bool {
	b, _ := bound.ReadAt(p.src, at, infoSize, infoSize)
	if len(b) < infoSize {
		return false
	}
	p.info, p.next = at+12, at+infoSize
	p.mark, p.said = [4]byte(b[4:]), int64(p.order.Uint32(b[16:]))
	k, ok := p.block(p.next)
	if !ok || k.size > mostHead || k.size < 28 || k.packed > k.size {
		return false
	}
	head, ok := p.decode(k)
	if !ok || p.behindHeadersOf(head) < 0 {
		return false
	}
	p.head, p.method = head, k.method
	return true
}

// behindHeadersOf checks the headers that come out against those of the file.
func (p *packed) behindHeadersOf(head []byte) int64 {
	if len(head) < 28 {
		return -1
	}
	q := &packed{}
	h := append(bytes.Clone(head), make([]byte, 64)...)
	n := q.behindHeaders(h)
	if n > int64(len(head)) || q.macho != p.macho || q.wide != p.wide || q.order != p.order {
		return -1
	}
	return n
}

// block reads the header of a block.
func (p *packed) block(at int64) (k block, ok bool) {
	b, _ := bound.ReadAt(p.src, at, blockSize, blockSize)
	if len(b) < blockSize {
		return k, false
	}
	k = block{int64(p.order.Uint32(b)), int64(p.order.Uint32(b[4:])), b[8], b[9], b[10], at + blockSize}
	if _, known := methods[k.method]; k.size == 0 || k.packed == 0 || k.packed > k.size || k.packed < k.size && !known {
		return k, false
	}
	return k, bound.In(k.at, k.packed, p.src.Size())
}

// unpacker decodes a block to size bytes.
type unpacker func(b []byte, size int) ([]byte, error)

// methods are what blocks are packed with (src/conf.h, "compression methods").
var methods = map[uint8]unpacker{
	2: ofNRV(nrv.B, 32), 3: ofNRV(nrv.B, 8), 4: ofNRV(nrv.B, 16),
	5: ofNRV(nrv.D, 32), 6: ofNRV(nrv.D, 8), 7: ofNRV(nrv.D, 16),
	8: ofNRV(nrv.E, 32), 9: ofNRV(nrv.E, 8), 10: ofNRV(nrv.E, 16),
	14: unLZMA,
	15: func(b []byte, size int) ([]byte, error) { return upTo(flate.NewReader(bytes.NewReader(b)), size) },
}

func ofNRV(v nrv.Variant, wide uint) unpacker {
	return func(b []byte, size int) ([]byte, error) { return nrv.Decode(b, v, wide, size) }
}

// unLZMA decodes LZMA with two bytes of properties: pb in the low three bits of the first,
// lc and lp in the halves of the second.
func unLZMA(b []byte, size int) ([]byte, error) {
	if len(b) < 2 {
		return nil, nrv.ErrData
	}
	pb, lp, lc := b[0]&7, b[1]>>4, b[1]&15
	if pb > 4 || lp > 4 || lc > 8 {
		return nil, nrv.ErrData
	}
	props := [5]byte{(pb*5+lp)*9 + lc}
	binary.LittleEndian.PutUint32(props[1:], uint32(size))
	d, err := codec.NewLZMA(bytes.NewReader(b[2:]), props, int64(size))
	if err != nil {
		return nil, err
	}
	return upTo(d, size)
}

// upTo reads size bytes.
func upTo(r io.Reader, size int) ([]byte, error) {
	var out bytes.Buffer
	n, err := io.CopyN(&out, r, int64(size))
	if err == nil && n < int64(size) {
		err = io.ErrUnexpectedEOF
	}
	return out.Bytes(), err
}

// decode unpacks a block and undoes its filter.
func (p *packed) decode(k block) ([]byte, bool) {
	b, err := bound.ReadAt(p.src, k.at, k.packed, k.packed)
	if err != nil {
		return nil, false
	}
	if k.packed == k.size {
		b = bytes.Clone(b)
	} else if b, err = methods[k.method](b, int(k.size)); err != nil {
		return b, false
	}
	return b, unfilter(b, k.filter, k.cto)
}

// part is a stretch of the file that was packed.
type part struct{ off, size int64 }

// piece is a block with its place in the file that was packed.
type piece struct {
	off int64
	block
}

func walk(l showcause.Source, out *unpack.Out) {
	p := open(l)
	if p == nil {
		return
	}
	p.out = out
	whole := p.plan()
	if !whole && !out.Work(1) {
		return
	}
	slices.SortStableFunc(p.pieces, func(a, b piece) int { return cmp.Compare(a.off, b.off) })
	image := &reader{p: p}
	end := int64(0)
	var over []piece // what two segments have of one stretch, as nobody but a hostile writer makes them
	for _, k := range p.pieces {
		if k.off < end {
			over = append(over, k)
			continue
		}
		image.pieces = append(image.pieces, k)
		end = k.off + k.size
	}
	image.rest = max(p.size-end, 0)
	if len(image.pieces) > 0 && !out.Child(unpack.Child{Op: Op, Reader: image, Size: -1}) {
		return
	}
	for _, k := range over {
		if !out.Child(unpack.Child{Op: "upx.part", Reader: &reader{p: p, pieces: []piece{{0, k.block}}}, Size: k.size}) {
			return
		}
	}
	if !whole {
		out.Gap(showcause.Corrupt, p.next, -1)
	}
}

// plan finds the blocks of the file that was packed.
func (p *packed) plan() bool {
	if !p.macho {
		h := bound.Head(p.src, mostHead)
		if outer := p.segments(h); len(segmentsOf(outer, segmentDynamic)) > 0 {
			return p.library(outer)
		}
	}
	loads := p.loads()
	return p.parts(loads) && p.gaps(loads)
}

// patch is what stood at a place before UPX wrote something else there.
type patch struct {
	off  int64
	were []byte
}

// parts plans the blocks of parts.
func (p *packed) parts(parts []part) bool {
	for _, s := range parts {
		for n := int64(0); n < s.size; {
			k, ok := p.block(p.next)
			if !ok || k.size > s.size-n || s.off > mostOffset || !p.out.Work(k.size/8+k.packed+1) {
				return false
			}
			p.pieces = append(p.pieces, piece{s.off + n, k})
			p.next = k.at + k.packed
			n += k.size
		}
	}
	return true
}

// reader gives the file that was packed: its pieces, zeros between them, and what stood behind it.
type reader struct {
	p      *packed
	pieces []piece
	at     int64
	ready  []byte
	rest   int64 // zeros behind the last piece
	err    error
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.ready) == 0 && r.err == nil {
		switch {
		case len(r.pieces) > 0 && r.pieces[0].off > r.at:
			r.zeros(r.pieces[0].off - r.at)
		case len(r.pieces) > 0:
			r.decode(r.pieces[0].block)
			r.pieces = r.pieces[1:]
		case r.rest > 0:
			r.rest -= r.zeros(r.rest)
		case r.p.over < r.p.src.Size() && r.p.over > 0:
			n := min(r.p.src.Size()-r.p.over, 64<<10)
			r.ready, r.err = bound.ReadAt(r.p.src, r.p.over, n, n)
			r.p.over += n
		default:
			r.err = io.EOF
		}
	}
	n := copy(b, r.ready)
	r.ready, r.at = r.ready[n:], r.at+int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

func (r *reader) zeros(n int64) int64 {
	n = min(n, 64<<10)
	r.ready = make([]byte, n)
	return n
}

// decode unpacks a block; while it lives it is charged.
func (r *reader) decode(k block) {
	if !r.p.out.Hold(k.size) {
		r.err = unpack.Fail(showcause.LimitMemory)
		return
	}
	defer r.p.out.Release(k.size)
	var ok bool
	if r.ready, ok = r.p.decode(k); !ok {
		r.err = unpack.Fail(showcause.Corrupt)
	}
	for _, c := range r.p.patches {
		if c.off >= r.at && c.off-r.at < int64(len(r.ready)) {
			copy(r.ready[c.off-r.at:], c.were)
		}
	}
}

package volume

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// SquashFS reads version 4 (Linux, Documentation/filesystems/squashfs.rst), the
// file system of live discs, snap and AppImage.
//
//	0 "hsqs", 4 inodes u32, 12 block size u32, 16 fragments u32, 20 compression u16, 24 flags u16, 28 version 2 x u16,
//	32 root u64, 40 bytes u64, 64 inodes, 72 directories, 80 fragments, each u64
//
// Inodes and directories stand in blocks of 8 KiB that are compressed one by
// one; a reference is {offset of the block << 16 | offset in it}. A file is a
// list of compressed blocks, and a part of a fragment, which is a block that
// the ends of several files share.
//
// In a program, as AppImage has it, a file system is looked for anywhere, and is a
// child of its own, "squashfs.image", from its start to the end of the layer.
func SquashFS() unpack.Format {
	return unpack.Format{
		Name: "squashfs",
		Match: func(p *unpack.Probe) bool {
			return p.Is("squashfs") || p.Source != nil && isProgram(p.Type)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			head := bound.Head(src, 4)
			if string(head) != "hsqs" && string(head) != "sqsh" {
				squashIn(src, out)
				return
			}
			s := &squash{giver: giver{src: src, out: out}, seen: map[uint64]bool{}, metas: map[int64]meta{}}
			s.walk()
		},
	}
}

// isProgram tells in what files a file system is looked for anywhere.
func isProgram(t filetype.Type) bool {
	switch t {
	case filetype.PE, filetype.DOS, filetype.ELF, filetype.MachO, filetype.Universal:
		return true
	}
	return false
}

// squashPlausible judges the first bytes of a file system.
func squashPlausible(b []byte) bool {
	le := binary.LittleEndian
	if len(b) < 96 || string(b[:4]) != "hsqs" || le.Uint16(b[28:]) != 4 || le.Uint16(b[30:]) != 0 {
		return false
	}
	block, log, method := le.Uint32(b[12:]), le.Uint16(b[22:]), le.Uint16(b[20:])
	return log >= 12 && log <= 20 && block == 1<<log && method >= 1 && method <= 6 && le.Uint64(b[40:]) >= 96
}

// squashIn gives the file systems in a program.
func squashIn(src showcause.Source, out *unpack.Out) {
	for off := int64(1); ; {
		at, ok := out.Find(src, off, []byte("hsqs"), squashPlausible)
		if !ok || !out.Child(unpack.Child{Op: "squashfs.image", Source: bound.Section(src, at, -1), Size: src.Size() - at}) {
			return
		}
		off = at + 4
		if b, err := bound.ReadAt(src, at+40, 8, 8); err == nil {
			off = max(off, bound.Add(at, int64(min(binary.LittleEndian.Uint64(b), 1<<62))))
		}
	}
}

const (
	squashMethod = showcause.Unsupported + ".method.squashfs"
	metaSize     = 8 << 10
	plainBlock   = 1 << 24 // of a size: the block is not compressed
)

type squash struct {
	giver
	block      int64
	method     uint16
	inodes     int64
	dirs       int64
	fragments  int64
	nFragments uint32
	seen       map[uint64]bool
	metas      map[int64]meta
}

// meta is an unpacked block of metadata, and where the next one is.
type meta struct {
	data []byte
	next int64
}

var errSquash = errors.New("squashfs: damaged")

func (s *squash) walk() {
	le := binary.LittleEndian
	b := bound.Head(s.src, 96)
	if len(b) < 96 {
		s.corrupt(0)
		return
	}
	if string(b[:4]) != "hsqs" || le.Uint16(b[28:]) != 4 {
		s.out.Gap(squashMethod, 0, -1) // older, or big-endian
		return
	}
	s.block, s.method = int64(le.Uint32(b[12:])), le.Uint16(b[20:])
	s.nFragments = le.Uint32(b[16:])
	place := func(at int) int64 { return int64(min(le.Uint64(b[at:]), 1<<62)) }
	s.inodes, s.dirs, s.fragments = place(64), place(72), place(80)
	if s.block < 4096 || s.block > 1<<20 || s.block&(s.block-1) != 0 {
		s.corrupt(0)
		return
	}
	if s.method < 1 || s.method > 6 {
		s.out.Gap(squashMethod, 0, -1)
		return
	}
	if place(40) > s.src.Size() {
		s.corrupt(s.src.Size())
	}
	s.inode(le.Uint64(b[32:]), "", 0)
	s.rest("squashfs.rest", place(40))
}

// unpackBlock unpacks a block to at most size bytes.
func (s *squash) unpackBlock(b []byte, size int64) ([]byte, error) {
	var r io.Reader
	var err error
	switch s.method {
	case 1:
		var z io.ReadCloser
		if z, err = zlib.NewReader(bytes.NewReader(b)); err == nil {
			defer z.Close()
		}
		r = z
	case 2:
		if len(b) < 13 {
			return nil, errSquash
		}
		r, err = codec.NewLZMA(bytes.NewReader(b[13:]), [5]byte(b[:5]), -1)
	case 3:
		return codec.LZO(b, int(size))
	case 4:
		r, err = xz.ReaderConfig{DictCap: 1 << 20, SingleStream: true}.NewReader(bytes.NewReader(b))
	case 5:
		out := make([]byte, size)
		n, err := lz4.UncompressBlock(b, out)
		return out[:max(n, 0)], err
	default:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)); err == nil {
			defer z.Close()
		}
		r = z
	}
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	return out, nil
}

// meta is the block of metadata at off.
func (s *squash) meta(off int64) (meta, error) {
	if m, ok := s.metas[off]; ok {
		return m, nil
	}
	h, err := bound.ReadAt(s.src, off, 2, 2)
	if err != nil || !s.work(256) {
		return meta{}, errSquash
	}
	n := int64(binary.LittleEndian.Uint16(h))
	size := n & 0x7fff
	b, err := bound.ReadAt(s.src, off+2, size, metaSize)
	if err != nil || size == 0 {
		return meta{}, errSquash
	}
	if n&0x8000 == 0 {
		if b, err = s.unpackBlock(b, metaSize); err != nil {
			return meta{}, err
		}
	}
	if len(s.metas) >= 256 {
		clear(s.metas)
	}
	m := meta{b, off + 2 + size}
	s.metas[off] = m
	return m, nil
}

// metaReader reads metadata in order, from one block to the next.
type metaReader struct {
	s    *squash
	data []byte
	next int64
	err  error
}

// metadata is what stands at a reference, in the table at base.
func (s *squash) metadata(base int64, ref uint64) *metaReader {
	m, err := s.meta(bound.Add(base, int64(ref>>16&(1<<40-1))))
	r := &metaReader{s: s, data: m.data, next: m.next, err: err}
	if at := int(ref & 0xffff); at <= len(r.data) {
		r.data = r.data[at:]
	} else if r.err == nil {
		r.err = errSquash
	}
	return r
}

// take returns the next n bytes, zeros where there are none.
func (r *metaReader) take(n int) []byte {
	out := make([]byte, 0, min(n, metaSize))
	for len(out) < n && r.err == nil {
		if len(r.data) == 0 {
			m, err := r.s.meta(r.next)
			r.data, r.next, r.err = m.data, m.next, err
			if err == nil && len(m.data) == 0 {
				r.err = errSquash
			}
			continue
		}
		k := min(n-len(out), len(r.data))
		out = append(out, r.data[:k]...)
		r.data = r.data[k:]
	}
	if len(out) < n {
		return make([]byte, n)
	}
	return out
}

// inode reads a directory or a file.
func (s *squash) inode(ref uint64, name string, level int) {
	if !s.work(16) {
		return
	}
	if s.seen[ref] {
		return
	}
	s.seen[ref] = true
	le := binary.LittleEndian
	r := s.metadata(s.inodes, ref)
	h := r.take(16)
	switch le.Uint16(h) {
	case 1: // a directory: block u32, links u32, size u16, offset u16
		b := r.take(16)
		s.directory(r.err, uint64(le.Uint32(b))<<16|uint64(le.Uint16(b[10:])), int64(le.Uint16(b[8:])), name, level)
	case 8: // links u32, size u32, block u32, parent u32, index u16, offset u16
		b := r.take(24)
		s.directory(r.err, uint64(le.Uint32(b[8:]))<<16|uint64(le.Uint16(b[18:])), int64(le.Uint32(b[4:])), name, level)
	case 2: // a file: start u32, fragment u32, offset u32, size u32
		b := r.take(16)
		s.file(r, int64(le.Uint32(b)), int64(le.Uint32(b[12:])), le.Uint32(b[4:]), le.Uint32(b[8:]), name)
	case 9: // start u64, size u64, sparse u64, links u32, fragment u32, offset u32, attributes u32
		b := r.take(40)
		s.file(r, int64(min(le.Uint64(b), 1<<62)), int64(min(le.Uint64(b[8:]), 1<<62)), le.Uint32(b[28:]), le.Uint32(b[32:]), name)
	default:
		if r.err != nil {
			s.corrupt(s.inodes)
		}
	}
}

// directory reads one: headers {count u32, inodes' block u32, number u32}, each
// with entries {offset u16, number i16, kind u16, length of the name - 1 u16, name}.
func (s *squash) directory(err error, ref uint64, size int64, name string, level int) {
	if err != nil {
		s.corrupt(s.inodes)
		return
	}
	if level > depth {
		s.out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	le := binary.LittleEndian
	size -= 3 // counted for "." and ".."
	type found struct {
		ref  uint64
		name string
	}
	if size <= 0 {
		return
	}
	r := s.metadata(s.dirs, ref)
	for size > 12 && r.err == nil && !s.stop {
		h := r.take(12)
		size -= 12
		n := int64(le.Uint32(h)) + 1
		if n > 256 {
			r.err = errSquash
			break
		}
		var list []found
		for range n {
			e := r.take(8)
			k := int(le.Uint16(e[6:])) + 1
			if k > 256 && r.err == nil {
				r.err = errSquash
			}
			if r.err != nil {
				break
			}
			text := string(r.take(k))
			size -= 8 + int64(k)
			list = append(list, found{uint64(le.Uint32(h[4:]))<<16 | uint64(le.Uint16(e)), join(name, text)})
		}
		for _, f := range list {
			s.inode(f.ref, f.name, level+1)
		}
	}
	if r.err != nil && !s.stop {
		s.corrupt(s.dirs)
	}
}

// file gives a file: its blocks, and its end in a fragment.
func (s *squash) file(r *metaReader, at, size int64, fragment, offset uint32, name string) {
	if size == 0 {
		return
	}
	n := size / s.block
	if fragment == 0xffffffff {
		n = (size + s.block - 1) / s.block
	}
	if r.err != nil {
		s.corrupt(s.inodes)
		return
	}
	f := &squashFile{s: s, list: r, blocks: n, at: at, left: size, fragment: fragment, offset: int64(offset)}
	s.stop = s.stop || !s.out.Child(unpack.Child{Op: "squashfs.file", Name: last(name), Reader: f, Size: size})
}

// squashFile reads a file in order.
type squashFile struct {
	s        *squash
	list     *metaReader // of the blocks' sizes
	blocks   int64
	at, left int64
	fragment uint32
	offset   int64
	data     []byte
	zeros    int64
}

func (f *squashFile) Read(p []byte) (int, error) {
	for len(f.data) == 0 && f.zeros == 0 {
		if f.left <= 0 {
			return 0, io.EOF
		}
		if err := f.more(); err != nil {
			return 0, err
		}
	}
	if f.zeros > 0 {
		n := int(min(f.zeros, int64(len(p))))
		clear(p[:n])
		f.zeros -= int64(n)
		return n, nil
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

// more takes the next block.
func (f *squashFile) more() error {
	le := binary.LittleEndian
	want := min(f.left, f.s.block)
	if f.blocks == 0 {
		b, err := f.s.tail(f.fragment)
		if err != nil {
			return err
		}
		if !bound.In(f.offset, want, int64(len(b))) {
			return errSquash
		}
		f.data, f.left = b[f.offset:f.offset+want], 0
		return nil
	}
	size := le.Uint32(f.list.take(4))
	if f.list.err != nil {
		return f.list.err
	}
	f.blocks--
	f.left -= want
	n := int64(size &^ plainBlock)
	if n == 0 {
		f.zeros = want
		return nil
	}
	b, err := f.s.stored(f.at, n, size&plainBlock != 0)
	if err != nil {
		return err
	}
	f.at += n
	if int64(len(b)) != want {
		return errSquash
	}
	f.data = b
	return nil
}

// stored reads a block of n bytes at off.
func (s *squash) stored(off, n int64, plain bool) ([]byte, error) {
	b, err := bound.ReadAt(s.src, off, n, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", bound.CutShort(err))
	}
	if plain {
		s.out.Cover(off, n)
		return b, nil
	}
	return s.unpackBlock(b, s.block)
}

// tail is a fragment: the table leads to blocks of metadata with {start u64,
// size u32, unused u32}, 512 in each.
func (s *squash) tail(i uint32) ([]byte, error) {
	if i >= s.nFragments {
		return nil, errSquash
	}
	le := binary.LittleEndian
	b, err := bound.ReadAt(s.src, bound.Add(s.fragments, int64(i/512)*8), 8, 8)
	if err != nil {
		return nil, errSquash
	}
	m, err := s.meta(int64(min(le.Uint64(b), 1<<62)))
	if err != nil {
		return nil, err
	}
	k := int(i%512) * 16
	if k+16 > len(m.data) {
		return nil, errSquash
	}
	size := le.Uint32(m.data[k+8:])
	return s.stored(int64(min(le.Uint64(m.data[k:]), 1<<62)), int64(size&^plainBlock), size&plainBlock != 0)
}

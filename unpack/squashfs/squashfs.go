// Package squashfs reads file systems of squashfs, alone and in programs.
package squashfs

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

// Format reads version 4 (Linux, Documentation/filesystems/squashfs.rst), the
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
// The inodes are read in their order as well: a file that is in no directory is a child
// without a name. What stands in front of them and is in no file is "squashfs.lost", and
// damage.
//
// In a program, as AppImage has it, a file system is looked for anywhere, and is a
// child of its own, "squashfs.image", from its start to the end of the layer.
func Format() unpack.Format {
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
			s := &squash{src: src, out: out, seen: map[uint64]bool{}, metas: map[int64]meta{}, opened: map[uint32]int64{}}
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
	depth        = 512     // how deep directories are followed
	maxRuns      = 1 << 20 // stretches that are noted, and 16 of the blocks of a file
	squashMethod = showcause.Unsupported + ".method.squashfs"
	metaSize     = 8 << 10
	plainBlock   = 1 << 24 // of a size: the block is not compressed
)

type squash struct {
	src        showcause.Source
	out        *unpack.Out
	stop       bool
	block      int64
	method     uint16
	inodes     int64
	dirs       int64
	fragments  int64
	nFragments uint32
	seen       map[uint64]bool
	metas      map[int64]meta
	claimed    []unpack.Span // of the blocks of files
	tails      []squashTail  // that are in fragments
	opened     map[uint32]int64
	lz         codec.LZMA2 // of xz
}

// squashTail is the end of a file in a fragment.
type squashTail struct {
	fragment uint32
	from, to int64
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
	if s.block != 1<<min(le.Uint16(b[22:]), 32) || le.Uint16(b[30:]) != 0 {
		s.corrupt(0)
	}
	s.inode(le.Uint64(b[32:]), "", 0, true)
	s.scan(int64(le.Uint32(b[4:])))
	s.unclaimed(le.Uint16(b[24:])&0x400 != 0)
	if table := le.Uint64(b[56:]); table != 1<<64-1 && !s.stop {
		s.attributes(place(56))
	}
	if !s.stop {
		s.stop = !s.out.Tail(s.src, place(40), "squashfs.rest")
	}
}

// work charges n steps and remembers when there are none left.
func (s *squash) work(n int64) bool {
	s.stop = s.stop || !s.out.Work(n)
	return !s.stop
}

// corrupt says that something at off could not be read.
func (s *squash) corrupt(off int64) { s.out.Gap(showcause.Corrupt, max(min(off, s.src.Size()), 0), -1) }

// empty tells whether there are zeros only from off to end.
func (s *squash) empty(off, end int64) bool {
	at, ok := bound.SkipZeros(bound.Section(s.src, 0, end), off)
	return s.work((end-off)/64) && !(ok && at < end)
}

// join is a path.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
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
		out, err := s.xzBlock(b, size)
		if err == nil && int64(len(out)) > size {
			err = errSquash
		}
		return out, err
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
	out, err := io.ReadAll(io.LimitReader(r, size+1)) // the sum is behind the end
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	if int64(len(out)) > size {
		return nil, errSquash
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
	at   int64 // of the block that data are the end of
	size int   // of that block
	next int64
	err  error
}

// ref is the reference of what comes next, in the table at base.
func (r *metaReader) ref(base int64) uint64 {
	return uint64(r.at-base)<<16 | uint64(r.size-len(r.data))
}

// fill reads the next block where this one is at its end.
func (r *metaReader) fill() {
	for len(r.data) == 0 && r.err == nil {
		m, err := r.s.meta(r.next)
		r.data, r.at, r.size, r.next, r.err = m.data, r.next, len(m.data), m.next, err
		if err == nil && len(m.data) == 0 {
			r.err = errSquash
		}
	}
}

// metadata is what stands at a reference, in the table at base.
func (s *squash) metadata(base int64, ref uint64) *metaReader {
	at := bound.Add(base, int64(ref>>16&(1<<40-1)))
	m, err := s.meta(at)
	r := &metaReader{s: s, data: m.data, at: at, size: len(m.data), next: m.next, err: err}
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
		if r.fill(); r.err != nil {
			break
		}
		k := min(n-len(out), len(r.data))
		out = append(out, r.data[:k]...)
		r.data = r.data[k:]
	}
	if len(out) < n {
		return make([]byte, min(n, metaSize))
	}
	return out
}

// inode reads what a directory names.
func (s *squash) inode(ref uint64, name string, level int, dir bool) {
	if s.seen[ref] || !s.work(16) {
		return
	}
	s.seen[ref] = true
	r := s.metadata(s.inodes, ref)
	n := s.read(r)
	switch {
	case r.err != nil:
		s.corrupt(s.inodes)
	case dir != (n.kind == nodeDir):
		s.corrupt(s.inodes) // the root, or an entry, says otherwise
		if n.kind != nodeDir {
			s.file(n, name)
		}
	case n.kind == nodeDir:
		s.directory(n.ref, n.size, name, level)
	case n.kind == nodeFile:
		s.file(n, name)
	}
}

const (
	nodeDir   = 1
	nodeFile  = 2
	nodeKinds = 7 // the long forms follow the short ones
)

// squashNode is an inode.
type squashNode struct {
	kind             uint16
	ref              uint64 // of a directory's entries
	at, size         int64
	fragment, offset uint32
	list             []byte // sizes of blocks, each u32
}

// read reads an inode, and leaves the reader behind it.
func (s *squash) read(r *metaReader) (n squashNode) {
	le := binary.LittleEndian
	n.kind = le.Uint16(r.take(16))
	n.fragment = noFragment
	switch n.kind {
	case 1: // a directory: block u32, links u32, size u16, offset u16
		b := r.take(16)
		n.ref, n.size = uint64(le.Uint32(b))<<16|uint64(le.Uint16(b[10:])), int64(le.Uint16(b[8:]))
	case 8: // links u32, size u32, block u32, parent u32, index u16, offset u16
		b := r.take(24)
		n.ref, n.size = uint64(le.Uint32(b[8:]))<<16|uint64(le.Uint16(b[18:])), int64(le.Uint32(b[4:]))
		for range le.Uint16(b[16:]) {
			r.take(int(min(le.Uint32(r.take(12)[8:]), metaSize)) + 1)
		}
	case 2: // a file: start u32, fragment u32, offset u32, size u32
		b := r.take(16)
		n.at, n.size, n.fragment, n.offset = int64(le.Uint32(b)), int64(le.Uint32(b[12:])), le.Uint32(b[4:]), le.Uint32(b[8:])
	case 9: // start u64, size u64, sparse u64, links u32, fragment u32, offset u32, attributes u32
		b := r.take(40)
		n.at, n.size = int64(min(le.Uint64(b), 1<<62)), int64(min(le.Uint64(b[8:]), 1<<62))
		n.fragment, n.offset = le.Uint32(b[28:]), le.Uint32(b[32:])
	case 3, 10: // a link: links u32, size u32, target
		b := r.take(8)
		r.take(int(min(le.Uint32(b[4:]), 64<<10)))
		if n.kind == 10 {
			r.take(4)
		}
	case 4, 5: // a device: links u32, number u32
		r.take(8)
	case 6, 7:
		r.take(4)
	case 11, 12:
		r.take(12)
	case 13, 14:
		r.take(8)
	default:
		r.fail()
	}
	if n.kind > nodeKinds {
		n.kind -= nodeKinds
	}
	if n.kind == nodeFile {
		blocks := n.size / s.block
		if n.fragment == noFragment {
			blocks = bound.Add(n.size, s.block-1) / s.block
		}
		if blocks > maxRuns*16 {
			r.fail()
			return n
		}
		n.list = r.take(int(blocks) * 4)
	}
	return n
}

const noFragment = 0xffffffff

func (r *metaReader) fail() {
	if r.err == nil {
		r.err = errSquash
	}
}

// scan reads the inodes in order. There must be as many as the first block says.
func (s *squash) scan(want int64) {
	end := s.dirs
	r := &metaReader{s: s, next: s.inodes}
	got := int64(0)
	for !s.stop && r.err == nil {
		if len(r.data) == 0 && r.next >= end {
			break
		}
		if r.fill(); r.err != nil || !s.work(8) {
			break
		}
		ref := r.ref(s.inodes)
		n := s.read(r)
		if r.err != nil {
			break
		}
		if got++; n.kind <= nodeFile && !s.seen[ref] {
			s.seen[ref] = true
			s.corrupt(s.inodes) // in no directory
			if n.kind == nodeFile {
				s.file(n, "")
			}
		}
	}
	if !s.stop && (r.err != nil || got != want || r.next != end) {
		s.corrupt(s.inodes)
	}
}

// directory reads one: headers {count u32, inodes' block u32, number u32}, each
// with entries {offset u16, number i16, kind u16, length of the name - 1 u16, name}.
func (s *squash) directory(ref uint64, size int64, name string, level int) {
	if level > depth {
		s.out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	le := binary.LittleEndian
	size -= 3 // counted for "." and ".."
	type found struct {
		ref  uint64
		name string
		dir  bool
	}
	if size < 0 {
		s.corrupt(s.dirs)
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
			list = append(list, found{uint64(le.Uint32(h[4:]))<<16 | uint64(le.Uint16(e)), join(name, text), le.Uint16(e[4:]) == nodeDir})
		}
		for _, f := range list {
			s.inode(f.ref, f.name, level+1, f.dir)
		}
	}
	if r.err != nil && !s.stop {
		s.corrupt(s.dirs)
	}
}

// file gives a file: its blocks, and its end in a fragment.
func (s *squash) file(n squashNode, name string) {
	if n.size == 0 {
		return
	}
	f := &squashFile{s: s, node: n, at: n.at, left: n.size}
	s.stop = s.stop || !s.out.Child(unpack.Child{Op: "squashfs.file", Name: name[max(0, len(name)-unpack.MaxName):], Reader: f, Size: n.size})
}

// squashFile reads a file in order.
type squashFile struct {
	s        *squash
	node     squashNode
	at, left int64
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
	want := min(f.left, f.s.block)
	if len(f.node.list) == 0 {
		b, err := f.s.tail(f.node.fragment)
		if err != nil {
			return err
		}
		at := int64(f.node.offset)
		if !bound.In(at, want, int64(len(b))) {
			return errSquash
		}
		f.s.opened[f.node.fragment] = int64(len(b))
		f.s.tails = append(f.s.tails, squashTail{f.node.fragment, at, at + want})
		f.data, f.left = b[at:at+want], 0
		return nil
	}
	size := binary.LittleEndian.Uint32(f.node.list)
	f.node.list = f.node.list[4:]
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
	f.s.claim(f.at, n)
	f.at += n
	if int64(len(b)) != want {
		return errSquash
	}
	f.data = b
	return nil
}

// claim notes a stretch that is a file's.
func (s *squash) claim(off, n int64) {
	if k := len(s.claimed); k > 0 && s.claimed[k-1].To == off {
		s.claimed[k-1].To = off + n
		return
	}
	s.claimed = append(s.claimed, unpack.Span{From: off, To: off + n})
	if len(s.claimed) == maxRuns {
		s.claimed = joined(s.claimed)
	}
}

// joined sorts stretches and puts together those that touch.
func joined(list []unpack.Span) []unpack.Span {
	slices.SortFunc(list, func(a, b unpack.Span) int { return cmp.Compare(a.From, b.From) })
	out := list[:0]
	for _, s := range list {
		if k := len(out); k > 0 && s.From <= out[k-1].To {
			out[k-1].To = max(out[k-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// unclaimed gives what stands in front of the inodes and is in no file: the parts of
// fragments, and stretches.
func (s *squash) unclaimed(options bool) {
	at := int64(96)
	if options {
		if m, err := s.meta(at); err == nil {
			at = m.next
		}
	}
	s.fragmentsLeft()
	for _, c := range append(joined(s.claimed), unpack.Span{From: s.inodes, To: s.inodes}) {
		if c.From = min(c.From, s.inodes, s.src.Size()); at < c.From && !s.stop {
			if !s.empty(at, c.From) {
				s.corrupt(at)
				s.stop = s.stop || !s.out.Child(unpack.Child{Op: "squashfs.lost", Source: bound.Section(s.src, at, c.From-at), Size: c.From - at})
			}
		}
		at = max(at, c.To)
	}
}

// fragmentsLeft gives fragments that files do not have all of.
func (s *squash) fragmentsLeft() {
	slices.SortFunc(s.tails, func(a, b squashTail) int {
		return cmp.Or(cmp.Compare(a.fragment, b.fragment), cmp.Compare(a.from, b.from))
	})
	tails := s.tails
	for i := uint32(0); i < s.nFragments && s.work(16); i++ {
		end, whole := int64(0), true
		for ; len(tails) > 0 && tails[0].fragment == i; tails = tails[1:] {
			whole = whole && tails[0].from <= end
			end = max(end, tails[0].to)
		}
		size, ok := s.opened[i]
		if ok && whole && end == size {
			continue
		}
		b, err := s.tail(i)
		s.corrupt(s.fragments)
		if err != nil {
			return // so are the others
		}
		s.stop = s.stop || !s.out.Child(unpack.Child{Op: "squashfs.lost", Source: showcause.Bytes(b), Size: int64(len(b))})
	}
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
	size, at := le.Uint32(m.data[k+8:]), int64(min(le.Uint64(m.data[k:]), 1<<62))
	out, err := s.stored(at, int64(size&^plainBlock), size&plainBlock != 0)
	if err == nil {
		s.claim(at, int64(size&^plainBlock))
	}
	return out, err
}

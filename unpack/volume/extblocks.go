package volume

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// damaged says that something could not be read, once.
func (e *ext) damaged() {
	if !e.damage {
		e.damage = true
		e.Corrupt(e.Src.Size())
	}
}

var crc32c = crc32.MakeTable(crc32.Castagnoli)

// extSum goes on with a sum, which is that of iSCSI without its last step.
func extSum(sum uint32, b []byte) uint32 { return ^crc32.Update(^sum, crc32c, b) }

// checkSums looks at the sum of the superblock, and takes from it what those of inodes
// begin with (Linux, Documentation/filesystems/ext4, "Checksums").
func (e *ext) checkSums(s []byte) {
	le := binary.LittleEndian
	if e.sums = le.Uint32(s[100:])&extSums != 0; !e.sums {
		return
	}
	if extSum(^uint32(0), s[:1020]) != le.Uint32(s[1020:]) {
		e.damaged()
	}
	if e.seed = extSum(^uint32(0), s[104:120]); le.Uint32(s[96:])&extSeed != 0 {
		e.seed = le.Uint32(s[624:])
	}
}

// inodeSum looks at the sum of an inode: 124 its lower half, 130 the upper one, if there
// is room for it.
func (e *ext) inodeSum(n uint32, b []byte) {
	if !e.sums {
		return
	}
	le := binary.LittleEndian
	var zero [2]byte
	sum := extSum(e.seed, le.AppendUint32(nil, n))
	sum = extSum(extSum(sum, b[100:104]), b[:124])
	sum = extSum(extSum(sum, zero[:]), b[126:128])
	mask := uint32(0xffff)
	want := uint32(le.Uint16(b[124:]))
	if rest := b[128:]; len(rest) >= 4 && le.Uint16(rest) >= 4 {
		sum = extSum(extSum(extSum(sum, rest[:2]), zero[:]), rest[4:])
		want, mask = want|uint32(le.Uint16(rest[2:]))<<16, ^uint32(0)
	} else {
		sum = extSum(sum, rest)
	}
	if sum&mask != want {
		e.damaged()
	}
}

// account holds what is in use by the lists of blocks against what was found.
func (e *ext) account(s []byte) {
	unit := e.block * e.cluster
	e.Books = extent.NewBooks(e.first*e.block, unit, (e.blocks-e.first+e.cluster-1)/e.cluster)
	e.layout(s)
	for g, table := range e.tables {
		const chunk = 64
		for i := uint32(0); i < e.perGroup && !e.Stop; i += chunk {
			count := int64(min(chunk, e.perGroup-i))
			b, _ := bound.ReadAt(e.Src, bound.Add(table, int64(i)*e.inodeSize), count*e.inodeSize, chunk*4096)
			if !e.Work(8) {
				return
			}
			for k := int64(0); (k+1)*e.inodeSize <= int64(len(b)); k++ {
				e.blocksOf(uint32(g)*e.perGroup+i+uint32(k)+1, b[k*e.inodeSize:(k+1)*e.inodeSize])
			}
		}
	}
	e.Lost("ext.lost", &extUsed{ext: e, group: -1})
}

// extUsed are the lists of clusters of the groups.
type extUsed struct {
	*ext
	group int64
	list  extent.Bitmap
}

// of is the group of cluster i, and what of it is in front of i.
func (u *extUsed) of(i int64) (group, within int64) {
	per := max(u.perBlock/u.cluster, 1)
	return i / per, i % per
}

func (u *extUsed) Known(i int64) bool {
	g, _ := u.of(i)
	return g < int64(len(u.descs)) && !u.descs[g].uninit
}

func (u *extUsed) Next(i, end int64) int64 {
	for per := max(u.perBlock/u.cluster, 1); i < end; {
		g, at := u.of(i)
		if g >= int64(len(u.descs)) {
			return end
		}
		first := g * per
		if u.Known(i) {
			if u.group != g {
				u.group, u.list = g, extent.Bitmap{Src: bound.Section(u.Src, min(bound.Mul(u.descs[g].bitmap, u.block), u.Src.Size()), u.block)}
			}
			if k := u.list.Next(at, min(per, end-first)); k < min(per, end-first) {
				return first + k
			}
		}
		i = first + per
	}
	return max(i, end)
}

// layout notes the blocks of the groups: superblocks, descriptors, lists, inodes.
func (e *ext) layout(s []byte) {
	le := binary.LittleEndian
	compat, incompat, ro := le.Uint32(s[92:]), le.Uint32(s[96:]), le.Uint32(s[100:])
	size := int64(32)
	if incompat&0x80 != 0 {
		size = max(int64(le.Uint16(s[254:])), 32)
	}
	groups := int64(len(e.descs))
	all := (groups*size + e.block - 1) / e.block
	meta := all // descriptors of these and more blocks are spread over the groups
	if incompat&0x10 != 0 {
		meta = min(int64(le.Uint32(s[260:])), all)
	}
	perMeta := max(e.block/size, 1)
	if incompat&0x100 != 0 {
		e.Took(bound.Mul(int64(min(le.Uint64(s[360:]), 1<<48)), e.block), e.block)
	}
	for g := int64(0); g < groups && e.Work(4); g++ {
		at := (e.first + g*e.perBlock) * e.block
		super := g == 0 || ro&1 == 0 || hasSuper(g)
		if compat&0x200 != 0 {
			super = g == 0 || g == int64(le.Uint32(s[588:])) || g == int64(le.Uint32(s[592:]))
		}
		if super {
			e.Took(at, e.block)
			at += e.block
			e.Took(at, meta*e.block)
		}
		if k := g % perMeta; g/perMeta >= meta && (k == 0 || k == 1 || k == perMeta-1) {
			e.Took(at, e.block)
		}
		d := e.descs[g]
		e.Took(bound.Mul(d.bitmap, e.block), e.block)
		e.Took(bound.Mul(d.inodes, e.block), e.block)
		e.Took(bound.Mul(d.table, e.block), int64(e.perGroup)*e.inodeSize)
	}
}

// blocksOf notes the blocks of an inode that is in use.
func (e *ext) blocksOf(n uint32, b []byte) {
	le := binary.LittleEndian
	if le.Uint16(b[26:]) == 0 && n >= extFirst {
		return
	}
	if le.Uint16(b) != 0 {
		e.inodeSum(n, b)
	}
	if acl := int64(le.Uint32(b[104:])) | int64(le.Uint16(b[118:]))<<32; acl != 0 {
		e.Took(acl*e.block, e.block) // several may have it in common
	}
	size := e.size(b)
	switch kind := le.Uint16(b) & modeKind; {
	case kind == modeFile || kind == modeDir || n < extFirst:
	case kind == modeLink && size >= 60:
	default:
		return
	}
	flags, took := le.Uint32(b[32:]), e.TookFile
	if e.cluster > 1 {
		took = e.Took // blocks of one file have clusters in common
	}
	switch {
	case flags&extInline != 0:
	case flags&extExtents != 0:
		x := extents{ext: e, took: took}
		x.tree(b[40:100], -1)
	default:
		m := blockMap{ext: e, left: (size + e.block - 1) / e.block, took: took}
		m.walk(b[40:100])
	}
}

// link gives the target of a link that stands in blocks and cannot be one.
func (e *ext) link(b []byte, name string) {
	size := e.size(b)
	if size < 60 {
		return
	}
	runs, _, ok := e.runs(b)
	if !ok {
		e.damaged()
	}
	text, err := bound.ReadAt(extent.NewFile(e.Src, size, runs), 0, min(size, unpack.MaxName), unpack.MaxName)
	if err != nil || len(text) == unpack.MaxName {
		e.Give("ext.link", name, size, runs)
		return
	}
	for _, c := range text {
		if c < 0x20 {
			e.Give("ext.link", name, size, runs)
			return
		}
	}
}

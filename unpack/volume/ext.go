// Package volume reads file systems: each file is a child that stands in the
// layer in stretches; nothing is copied out.
package volume

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// Ext reads ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4).
//
//	1024             superblock: 0 inodes u32, 4 blocks u32, 24 log2 of the block size - 10, 32 blocks and 40 inodes
//	                 of a group, 88 bytes of an inode u16, 96 features u32
//	the next block   descriptors of groups: 8 where the inodes are u32
//	an inode         0 mode u16, 4 size u32, 20 deleted u32, 26 links u16, 32 flags u32, 40 map [60], 108 size u32
//
// A map is fifteen block numbers, of which the last three lead to blocks of
// them, or a tree of extents, or the content itself. Files are found from the
// root; one that is in use and in no directory is a child without a name. The target
// of a link is a child, "ext.link", where it cannot be one. Blocks that are in use
// and in no file are children, "ext.lost".
func Ext() unpack.Format {
	return unpack.Format{
		Name:  "ext",
		Match: func(p *unpack.Probe) bool { return p.Is("ext") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&ext{Giver: giverOf(src, out), out: out, seen: map[uint32]bool{}}).walk()
		},
	}
}

const (
	extMethod  = showcause.Unsupported + ".method.ext"
	extJournal = showcause.Ambiguous + ".ext.journal" // writes wait in the journal

	extRoot    = 2
	extFirst   = 11 // of the inodes that are files
	extExtents = 0x80000
	extInline  = 0x10000000
	extVerity  = 0x100000 // sums stand behind the end
	extPast    = 0x400000 // blocks behind the end, of old versions
	extSecret  = 0x800

	extBigalloc = 0x200
	extSums     = 0x400
	extSeed     = 0x2000
	extKnown    = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | extSeed | 0x4000 | 0x8000 | 0x10000 | 0x20000
	modeKind    = 0xf000
	modeFile    = 0x8000
	modeDir     = 0x4000
	modeLink    = 0xa000
)

type ext struct {
	extent.Giver
	out              *unpack.Out
	block            int64
	inodes, perGroup uint32
	inodeSize        int64
	tables           []int64 // where the inodes of each group are
	seen             map[uint32]bool
	dirs             int
	files            int
	descs            []extGroup
	first            int64 // block of the first group
	blocks, perBlock int64 // of the volume, of a group
	cluster          int64 // blocks that are in use together
	sums             bool  // inodes have sums
	seed             uint32
	damage           bool // was said
}

// extGroup is what a descriptor says.
type extGroup struct {
	bitmap, inodes, table int64 // blocks
	uninit                bool  // the bitmap was not written
}

func (e *ext) walk() {
	le := binary.LittleEndian
	s, err := bound.ReadAt(e.Src, 1024, 1024, 1024)
	if err != nil {
		e.Corrupt(1024)
		return
	}
	log := le.Uint32(s[24:])
	e.inodes, e.perGroup = le.Uint32(s), le.Uint32(s[40:])
	blocks, blocksPerGroup := int64(le.Uint32(s[4:])), int64(le.Uint32(s[32:]))
	compat, incompat := le.Uint32(s[92:]), le.Uint32(s[96:])
	e.inodeSize = 128
	if le.Uint32(s[76:]) > 0 {
		e.inodeSize = int64(le.Uint16(s[88:]))
	}
	if log > 6 || e.perGroup == 0 || blocksPerGroup == 0 || e.inodeSize < 128 || e.inodeSize > 4096 {
		e.Corrupt(1024)
		return
	}
	e.block, e.cluster = 1024<<log, 1
	if le.Uint32(s[100:])&extBigalloc != 0 { // groups are counted in blocks all the same
		e.cluster = 1 << (le.Uint32(s[28:]) - log) & (1<<20 - 1)
	}
	if e.cluster < 1 || blocksPerGroup > 8*e.block*e.cluster {
		e.Corrupt(1024)
		return
	}
	e.checkSums(s)
	if incompat&0x80 != 0 {
		blocks |= int64(le.Uint32(s[336:])) << 32
	}
	if blocks <= 0 || blocks > 1<<48 {
		e.Corrupt(1024)
		return
	}
	if incompat&1 != 0 {
		e.Out.Gap(extMethod, 0, -1) // compressed, by a patch that never was in Linux
	}
	if incompat&4 != 0 && compat&4 != 0 {
		e.Out.Gap(extJournal, 0, -1)
	}
	if blocks > e.Src.Size()/e.block {
		e.Corrupt(e.Src.Size())
	}
	e.first, e.blocks, e.perBlock = int64(le.Uint32(s[20:])), blocks, blocksPerGroup
	e.groups(s, blocks, blocksPerGroup, incompat)
	if compat&0x1000 != 0 {
		e.seen[le.Uint32(s[640:])] = true // where names of files to delete are kept
	}
	e.directory(extRoot, "", 0, nil)
	e.nameless()
	if incompat&4 == 0 && incompat&^extKnown == 0 { // else its lists may be behind
		e.account(s)
	}
	if e.files == 0 && e.dirs == 0 {
		e.Corrupt(1024)
	}
	e.Rest("ext.rest", blocks*e.block)
}

// groups finds the table of inodes of each group.
func (e *ext) groups(s []byte, blocks, perGroup int64, incompat uint32) {
	le := binary.LittleEndian
	first := int64(le.Uint32(s[20:]))
	size := int64(32)
	if incompat&0x80 != 0 {
		size = max(int64(le.Uint16(s[254:])), 32)
	}
	n := min((blocks-first+perGroup-1)/perGroup, (int64(e.inodes)+int64(e.perGroup)-1)/int64(e.perGroup))
	perBlock := e.block / size
	meta := int64(1) << 60
	if incompat&0x10 != 0 {
		meta = int64(le.Uint32(s[260:]))
	}
	sparse := le.Uint32(s[100:])&1 != 0
	if n != (blocks-first+perGroup-1)/perGroup || n*int64(e.perGroup) != int64(e.inodes) {
		e.damaged()
	}
	for g := int64(0); g < n && e.Work(4); g++ {
		at := (1024/e.block+1)*e.block + g*size   // behind the superblock, wherever groups begin
		if b := g / max(perBlock, 1); b >= meta { // the descriptors are spread over the groups
			lead := b * perBlock
			at = (first + lead*perGroup) * e.block
			if !sparse || hasSuper(lead) {
				at += e.block
			}
			at += g % perBlock * size
		}
		d, err := bound.ReadAt(e.Src, at, size, 4096)
		if err != nil {
			e.Corrupt(at)
			return
		}
		x := extGroup{int64(le.Uint32(d)), int64(le.Uint32(d[4:])), int64(le.Uint32(d[8:])), d[18]&2 != 0}
		if size >= 64 {
			x.bitmap |= int64(le.Uint32(d[32:])) << 32
			x.inodes |= int64(le.Uint32(d[36:])) << 32
			x.table |= int64(le.Uint32(d[40:])) << 32
		}
		e.descs = append(e.descs, x)
		table := x.table
		e.tables = append(e.tables, bound.Mul(table, e.block))
	}
}

// hasSuper tells whether group g has a copy of the superblock where only some have.
func hasSuper(g int64) bool {
	if g <= 1 {
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		for p := base; p <= g; p *= base {
			if p == g {
				return true
			}
		}
	}
	return false
}

// inode reads an inode; nil if there is none.
func (e *ext) inode(n uint32) []byte {
	if n == 0 || n > e.inodes {
		return nil
	}
	g := int((n - 1) / e.perGroup)
	if g >= len(e.tables) {
		return nil
	}
	b, err := bound.ReadAt(e.Src, bound.Add(e.tables[g], int64((n-1)%e.perGroup)*e.inodeSize), e.inodeSize, 4096)
	if err != nil {
		return nil
	}
	e.inodeSum(n, b)
	return b
}

func (e *ext) size(b []byte) int64 {
	le := binary.LittleEndian
	return int64(le.Uint32(b[4:])) | int64(le.Uint32(b[108:])&0x7fffffff)<<32
}

// runs are the stretches of an inode's content, and inline what stands in it.
func (e *ext) runs(b []byte) (runs []extent.Run, inline []byte, ok bool) {
	flags := binary.LittleEndian.Uint32(b[32:])
	size := e.size(b)
	switch {
	case flags&extInline != 0:
		return nil, e.inline(b, size), true
	case flags&extExtents != 0:
		x := extents{ext: e}
		ok = x.tree(b[40:100], -1)
		past := x.end > (size+e.block-1)/e.block*e.block // what was written behind the end
		return x.runs, nil, ok && (!past || flags&(extVerity|extPast) != 0)
	}
	m := blockMap{ext: e, left: (size + e.block - 1) / e.block}
	ok = m.walk(b[40:100])
	return m.runs, nil, ok
}

// inline is content that stands in the inode: in its map, and in an attribute
// behind it.
func (e *ext) inline(b []byte, size int64) []byte {
	le := binary.LittleEndian
	out := bytes.Clone(b[40:100])
	if len(b) >= 132 {
		body := b[min(128+int(le.Uint16(b[128:])), len(b)):]
		if len(body) >= 4 && le.Uint32(body) == 0xea020000 {
			first := body[4:]
			for at := 0; at+16 <= len(first) && first[at] != 0; {
				n, index := int(first[at]), first[at+1]
				off, length := int(le.Uint16(first[at+2:])), int(le.Uint32(first[at+8:]))
				if at+16+n > len(first) {
					break
				}
				if index == 7 && string(first[at+16:at+16+n]) == "data" && off >= 0 && length >= 0 && off <= len(first) && length <= len(first)-off {
					out = append(out, first[off:off+length]...)
				}
				at += (16 + n + 3) &^ 3
			}
		}
	}
	if size < int64(len(out)) {
		out = out[:size]
	}
	return out
}

// extents reads a tree of extents.
type extents struct {
	*ext
	runs []extent.Run
	at   int64              // bytes of the file so far
	took func(off, n int64) // if not nil, it gets what the tree and its content take
	end  int64              // of what was written, in the file
}

// tree reads a node, of a level below the one given; -1 is any.
func (x *extents) tree(b []byte, level int) bool {
	le := binary.LittleEndian
	if len(b) < 12 || le.Uint16(b) != 0xf30a || !x.Work(8) {
		return false
	}
	n, d := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if d > 5 || level >= 0 && d >= level || 12+12*n > len(b) {
		return false
	}
	ok := true
	for i := range n {
		r := b[12+12*i:]
		if d > 0 {
			at := bound.Mul(int64(le.Uint32(r[4:]))|int64(le.Uint16(r[8:]))<<32, x.block)
			node, err := bound.ReadAt(x.Src, at, x.block, 64<<10)
			if x.took != nil {
				x.took(at, x.block)
			}
			if err != nil || !x.tree(node, d) {
				ok = false
			}
			continue
		}
		from, count := int64(le.Uint32(r))*x.block, int64(le.Uint16(r[4:]))
		start := (int64(le.Uint16(r[6:]))<<32 | int64(le.Uint32(r[8:]))) * x.block
		if x.took != nil {
			n := count
			if n > 32768 {
				n -= 32768
			}
			x.took(start, n*x.block)
		}
		if count > 32768 { // room that nothing was written to
			count, start = count-32768, -1
		}
		if from < x.at || len(x.runs) >= extent.MaxRuns {
			ok = false
			continue
		}
		if from > x.at {
			x.runs = append(x.runs, extent.Run{Off: -1, N: from - x.at})
		}
		x.runs = append(x.runs, extent.Run{Off: start, N: count * x.block})
		x.at = from + count*x.block
		if start >= 0 {
			x.end = x.at
		}
	}
	return ok
}

// blockMap reads block numbers, and blocks of them.
type blockMap struct {
	*ext
	runs []extent.Run
	left int64 // blocks
	took func(off, n int64)
}

// walk reads the map. It tells whether it is sound, and ends where the file does.
func (m *blockMap) walk(b []byte) bool {
	for i := 0; i < 15; i++ {
		n := int64(binary.LittleEndian.Uint32(b[4*i:]))
		if m.left <= 0 && n != 0 || m.left > 0 && !m.add(n, max(i-11, 0)) {
			return false
		}
	}
	return true
}

// add takes a block number, of a block of numbers if level is above 0.
func (m *blockMap) add(n int64, level int) bool {
	covers := int64(1)
	for range level {
		covers *= m.block / 4
	}
	covers = min(covers, m.left)
	switch {
	case !m.Work(1) || len(m.runs) >= extent.MaxRuns:
		return false
	case n == 0:
		m.runs = append(m.runs, extent.Run{Off: -1, N: covers * m.block})
		m.left -= covers
		return true
	case m.took != nil:
		if m.took(n*m.block, m.block); level == 0 {
			m.left--
			return true
		}
	case level == 0:
		m.runs = append(m.runs, extent.Run{Off: n * m.block, N: m.block})
		m.left--
		return true
	}
	b, err := bound.ReadAt(m.Src, n*m.block, m.block, 64<<10)
	if err != nil {
		return false
	}
	for i := int64(0); i < m.block/4 && m.left > 0; i++ {
		if !m.add(int64(binary.LittleEndian.Uint32(b[4*i:])), level-1) {
			return false
		}
	}
	return true
}

// entry gives what a directory names.
func (e *ext) entry(n uint32, name string, level int) {
	b := e.inode(n)
	if b == nil {
		e.Corrupt(e.Src.Size())
		return
	}
	switch binary.LittleEndian.Uint16(b) & modeKind {
	case modeDir:
		e.directory(n, name, level+1, b)
	case modeFile:
		if !e.seen[n] { // a file of many names is one child
			e.seen[n] = true
			e.file(b, name)
		}
	case modeLink:
		e.link(b, name)
	}
}

func (e *ext) file(b []byte, name string) {
	e.files++
	flags := binary.LittleEndian.Uint32(b[32:])
	size := e.size(b)
	if flags&extSecret != 0 {
		e.Stop = e.Stop || !e.out.ChildGap(unpack.Child{Op: "ext.file", Name: extent.Last(name), Size: size}, showcause.Encrypted)
		return
	}
	runs, inline, ok := e.runs(b)
	if !ok {
		e.Corrupt(e.Src.Size())
	}
	if inline != nil {
		// What is longer than that is a hole: mke2fs writes such inodes.
		in := extent.Giver{Src: showcause.Bytes(inline), Out: e.Out, Hand: e.Hand, Stop: e.Stop, Apart: true}
		in.Give("ext.file", name, size, []extent.Run{{N: int64(len(inline))}})
		e.Stop = in.Stop
		return
	}
	e.Give("ext.file", name, size, runs)
}

// directory reads a directory and those in it. b is its inode, if it is known.
func (e *ext) directory(n uint32, name string, level int, b []byte) {
	if e.seen[n] || !e.Work(16) {
		return
	}
	e.seen[n] = true
	if level > extent.Depth {
		e.Out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	if b == nil {
		b = e.inode(n)
	}
	if b == nil || binary.LittleEndian.Uint16(b)&modeKind != modeDir {
		e.Corrupt(e.Src.Size())
		return
	}
	e.dirs++
	if binary.LittleEndian.Uint32(b[32:])&extSecret != 0 {
		e.Out.Gap(showcause.Encrypted, 0, -1) // its names; the files are found without them
	}
	runs, inline, ok := e.runs(b)
	if !ok {
		e.Corrupt(e.Src.Size())
	}
	if inline != nil {
		if len(inline) > 4 {
			e.entries(inline[4:], name, level)
		}
		return
	}
	f := extent.NewFile(e.Src, e.size(b), runs)
	for at := int64(0); at < f.Size() && !e.Stop; at += e.block {
		block, err := bound.ReadAt(f, at, min(e.block, f.Size()-at), 64<<10)
		if err != nil || f.Bad {
			e.Corrupt(e.Src.Size())
			return
		}
		e.entries(block, name, level)
	}
}

// entries reads one block of a directory: inode u32, length u16, length of the
// name u8, kind u8, name.
func (e *ext) entries(b []byte, dir string, level int) {
	le := binary.LittleEndian
	for len(b) >= 8 && e.Work(2) {
		n, size, name := le.Uint32(b), int(le.Uint16(b[4:])), int(b[6])
		if size == 0 && e.block == 64<<10 {
			size = 64 << 10
		}
		if size < 8 || size > len(b) || size < 8+name {
			e.Corrupt(e.Src.Size())
			return
		}
		text := string(b[8 : 8+name])
		b = b[size:]
		if n != 0 && text != "." && text != ".." && name > 0 {
			e.entry(n, extent.Join(dir, text), level)
		}
	}
}

// nameless finds files that are in use and in no directory.
func (e *ext) nameless() {
	le := binary.LittleEndian
	for g, table := range e.tables {
		const chunk = 64
		for i := uint32(0); i < e.perGroup && !e.Stop; i += chunk {
			n := uint32(g)*e.perGroup + i + 1
			count := min(chunk, e.perGroup-i)
			b, _ := bound.ReadAt(e.Src, bound.Add(table, int64(i)*e.inodeSize), int64(count)*e.inodeSize, chunk*4096)
			if !e.Work(8) {
				return
			}
			for k := int64(0); (k+1)*e.inodeSize <= int64(len(b)); k++ {
				one, id := b[k*e.inodeSize:(k+1)*e.inodeSize], n+uint32(k)
				if id >= extFirst && !e.seen[id] && le.Uint16(one)&modeKind == modeFile && le.Uint16(one[26:]) > 0 && le.Uint32(one[20:]) == 0 {
					e.seen[id] = true
					e.file(one, "")
				}
			}
		}
	}
}

// giverOf returns what hands files of src over to out.
func giverOf(src showcause.Source, out *unpack.Out) extent.Giver {
	return extent.Giver{Src: src, Out: out, Hand: func(op, name string, src showcause.Source, size int64) bool {
		return out.Child(unpack.Child{Op: op, Name: name, Source: src, Size: size})
	}}
}

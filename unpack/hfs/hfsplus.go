package hfs

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// HFSPlus reads HFS Plus and HFSX (Apple, Technical Note TN1150). All numbers
// are big-endian.
//
//	1024        header: 0 "H+" or "HX", 4 attributes u32, 40 bytes of a block u32, 44 blocks u32; forks [80]:
//	            192 of the tree of extents, 272 of the catalog, 352 of the attributes
//	a fork      0 size u64, 12 blocks u32, 16 eight extents {first block u32, blocks u32}; further ones are in the tree of extents
//	a tree      nodes: 0 next u32, 8 kind i8, 10 records u16; the offsets of its records, u16, from its end backwards
//	node 0      16 root u32, 24 first leaf u32, 32 bytes of a node u16
//	a record    length of the key u16, key, value; in an index, the value is the number of a node
//	catalog     key: parent u32, name; value: 0 kind u16 (1 folder, 2 file), 8 ID u32, 41 flags u8, 42 mode u16,
//	            44 of a link its file u32, 48 type [4], creator [4], 88 data fork, 168 resource fork
//
// A file's data are a child, and its resource fork is another, if it has one. Blocks
// that are in use, by the file at 112 of the header, and in no fork are children,
// "hfsplus.lost". A file of many names is one child. What decmpfs compresses is a child in place
// of the attribute and the resource fork that hold it.
func HFSPlus() unpack.Format {
	return unpack.Format{
		Name:  "hfsplus",
		Match: func(p *unpack.Probe) bool { return p.Is("hfsplus") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			h := &hfs{Giver: giverOf(src, out), out: out, folders: map[uint32]hfsName{}, links: map[uint32]hfsName{}, more: map[hfsFork][]hfsExtents{}, packed: map[uint32][]byte{}}
			h.walk()
		},
	}
}

const (
	hfsMethod  = showcause.Unsupported + ".method.hfsplus"
	hfsJournal = showcause.Ambiguous + ".hfsplus.journal" // writes wait in the journal
	hfsTree    = showcause.Ambiguous + ".hfsplus.tree"    // by its index, a tree has other leaves than by their chain

	hfsKept    = 1 << 18 // folders, links, extents and attributes that are held
	hfsKeptAll = 48 << 20
	hfsRoot    = 2
	hfsLevels  = 200
)

type hfs struct {
	extent.Giver
	out     *unpack.Out
	block   int64
	blocks  int64
	folders map[uint32]hfsName // by ID
	links   map[uint32]hfsName // of files of many names, by number
	private uint32             // the folder where these files are
	more    map[hfsFork][]hfsExtents
	packed  map[uint32][]byte // decmpfs attributes by ID of the file
	kept    int
	bytes   int
	full    bool
	files   uint32 // records of files in the catalog
}

type hfsName struct {
	parent uint32
	name   string
}

// hfsFork names a fork: the ID of its file, and which of the two it is.
type hfsFork struct {
	id       uint32
	resource bool
}

// hfsExtents are extents of a fork from a block of it on.
type hfsExtents struct {
	start uint32
	list  [64]byte
}

func (h *hfs) walk() {
	be := binary.BigEndian
	b, err := bound.ReadAt(h.Src, 1024, 512, 512)
	if err != nil {
		h.Corrupt(1024)
		return
	}
	h.block, h.blocks = int64(be.Uint32(b[40:])), int64(be.Uint32(b[44:]))
	if h.block < 512 || h.block > 1<<27 || h.block&(h.block-1) != 0 || h.blocks == 0 {
		h.Corrupt(1024)
		return
	}
	if a := be.Uint32(b[4:]); a&(1<<13) != 0 && a&(1<<8) == 0 {
		h.Out.Gap(hfsJournal, 0, -1)
	}
	if h.blocks > h.Src.Size()/h.block {
		h.Corrupt(h.Src.Size())
	}
	h.Books = extent.NewBooks(0, h.block, h.blocks)
	if !h.headerCopy(b) {
		h.Corrupt(1024)
	}
	h.each(b[192:272], hfsFork{id: 3}, false, h.extent)
	for k := range h.more {
		slices.SortFunc(h.more[k], func(a, b hfsExtents) int { return int(int64(a.start) - int64(b.start)) })
	}
	h.each(b[352:432], hfsFork{id: 8}, false, h.attribute)
	h.each(b[272:352], hfsFork{id: 4}, true, h.name)
	h.each(b[272:352], hfsFork{id: 4}, true, h.entry)
	if h.full {
		h.Out.Gap(showcause.LimitMemory, 0, -1)
	}
	h.account(b)
	h.Rest("hfsplus.rest", bound.Mul(h.blocks, h.block))
}

// keep tells whether there is room for one thing more, of n bytes.
func (h *hfs) keep(n int) bool {
	h.kept++
	h.bytes += n
	if h.kept > hfsKept || h.bytes > hfsKeptAll {
		h.full = true
		return false
	}
	return true
}

// runs are the stretches of a fork, and its size as far as they go.
func (h *hfs) runs(fork []byte, id hfsFork) (runs []extent.Run, size int64) {
	be := binary.BigEndian
	size = int64(min(be.Uint64(fork), 1<<62))
	var sum int64
	add := func(list []byte) {
		for ; len(list) >= 8 && len(runs) < extent.MaxRuns && sum < size; list = list[8:] {
			if n := int64(be.Uint32(list[4:])) * h.block; n > 0 {
				runs = append(runs, extent.Run{Off: int64(be.Uint32(list)) * h.block, N: n})
				sum += n
			}
		}
	}
	add(fork[16:80])
	for _, m := range h.more[id] {
		if !h.Work(1) {
			break
		}
		if int64(m.start)*h.block == sum {
			add(m.list[:])
		}
	}
	if sum < size { // there are no holes
		h.Corrupt(h.Src.Size())
		size = sum
	}
	return runs, size
}

// each calls visit with each record of the leaves of a tree. Without need, a
// tree of no size is no damage.
func (h *hfs) each(fork []byte, id hfsFork, need bool, visit func(key, value []byte)) {
	runs, size := h.runs(fork, id)
	if size == 0 {
		if need {
			h.Corrupt(1024)
		}
		return
	}
	t := &hfsTreeReader{Giver: &h.Giver, file: extent.NewFile(h.Src, size, runs), seen: map[uint32]bool{}}
	t.all(need, visit)
}

// all calls visit with each record of the leaves.
func (t *hfsTreeReader) all(need bool, visit func(key, value []byte)) {
	be := binary.BigEndian
	b, err := bound.ReadAt(t.file, 0, 106, 106)
	if err != nil || int8(b[8]) != 1 {
		t.Corrupt(t.Src.Size())
		return
	}
	t.node = int64(be.Uint16(b[32:]))
	if t.node < 512 || t.node > 32768 || t.node&(t.node-1) != 0 {
		t.Corrupt(t.Src.Size())
		return
	}
	root, first := be.Uint32(b[16:]), be.Uint32(b[24:])
	if root == 0 && first == 0 { // it is empty
		if need {
			t.Corrupt(t.Src.Size())
		}
		return
	}
	// Readers go by the index and along the chain of leaves.
	for n := first; n != 0 && !t.Stop; {
		n = t.leaf(n, visit)
	}
	chained := len(t.seen)
	t.descend(root, 0, visit)
	if len(t.seen) != chained+t.inner {
		t.Out.Gap(hfsTree, 0, -1)
	}
	if t.file.Bad {
		t.Corrupt(t.Src.Size())
	}
}

// hfsTreeReader reads a tree of the volume.
type hfsTreeReader struct {
	*extent.Giver
	file  *extent.File
	small bool // the length of a key is one byte, as in HFS
	node  int64
	seen  map[uint32]bool // nodes that were read
	inner int             // of them, those of the index
}

// read reads a node that was not read yet; nil if it is not there.
func (t *hfsTreeReader) read(n uint32) []byte {
	if !t.Work(64) {
		return nil
	}
	t.seen[n] = true
	b, err := bound.ReadAt(t.file, int64(n)*t.node, t.node, 32768)
	if err != nil {
		t.Corrupt(t.Src.Size())
		return nil
	}
	return b
}

// record returns the key and the value of record i of a node.
func (t *hfsTreeReader) record(b []byte, i int) (key, value []byte, ok bool) {
	be := binary.BigEndian
	end := len(b) - 2*i
	if end-4 < 14 {
		return nil, nil, false
	}
	from, to := int(be.Uint16(b[end-2:])), int(be.Uint16(b[end-4:]))
	if from < 14 || to > end-4 || to-from < 2 {
		return nil, nil, false
	}
	if t.small {
		n := int(b[from])
		if at := from + 1 + n + (1+n)%2; at <= to {
			return b[from+1 : from+1+n], b[at:to], true
		}
		return nil, nil, false
	}
	n := int(be.Uint16(b[from:]))
	if at := from + 2 + n + n%2; at <= to {
		return b[from+2 : from+2+n], b[at:to], true
	}
	return nil, nil, false
}

// leaf reads a leaf and returns the next.
func (t *hfsTreeReader) leaf(n uint32, visit func(key, value []byte)) uint32 {
	be := binary.BigEndian
	if t.seen[n] {
		t.Corrupt(t.Src.Size()) // a ring
		return 0
	}
	b := t.read(n)
	if b == nil {
		return 0
	}
	if int8(b[8]) != -1 {
		t.Corrupt(t.Src.Size())
		return 0
	}
	t.records(b, visit)
	return be.Uint32(b)
}

func (t *hfsTreeReader) records(b []byte, visit func(key, value []byte)) {
	for i := range int(binary.BigEndian.Uint16(b[10:])) {
		if !t.Work(2) {
			return
		}
		key, value, ok := t.record(b, i)
		if !ok {
			t.Corrupt(t.Src.Size())
			return
		}
		visit(key, value)
	}
}

// descend goes down from a node of the index to leaves that the chain does not have.
func (t *hfsTreeReader) descend(n uint32, level int, visit func(key, value []byte)) {
	if t.seen[n] || t.Stop {
		return
	}
	b := t.read(n)
	switch {
	case b == nil:
	case int8(b[8]) == -1:
		t.records(b, visit)
	case b[8] == 0 && level < 16:
		t.inner++
		for i := range int(binary.BigEndian.Uint16(b[10:])) {
			_, value, ok := t.record(b, i)
			if !ok || len(value) < 4 || !t.Work(2) {
				t.Corrupt(t.Src.Size())
				return
			}
			t.descend(binary.BigEndian.Uint32(value), level+1, visit)
		}
	default:
		t.Corrupt(t.Src.Size())
	}
}

// extent takes a record of the tree of extents: fork u8, 2 ID u32, 6 block of the fork u32.
func (h *hfs) extent(key, value []byte) {
	be := binary.BigEndian
	if len(key) < 10 || len(value) < 64 {
		h.Corrupt(h.Src.Size())
		return
	}
	if !h.keep(96) {
		return
	}
	k := hfsFork{be.Uint32(key[2:]), key[0] == 0xff}
	h.more[k] = append(h.more[k], hfsExtents{be.Uint32(key[6:]), [64]byte(value)})
}

// attribute takes a record of the tree of attributes: key 2 ID u32, 6 block u32,
// name; value 0 kind u32 (16 as it stands there: 12 size u32, 16 data; 32 a fork: 8).
func (h *hfs) attribute(key, value []byte) {
	be := binary.BigEndian
	if len(key) < 12 || len(value) < 16 {
		h.Corrupt(h.Src.Size())
		return
	}
	id := be.Uint32(key[2:])
	name, _ := hfsText(key[10:])
	switch kind := be.Uint32(value); {
	case kind == 0x10 && name == "com.apple.decmpfs":
		n := int(min(be.Uint32(value[12:]), uint32(len(value)-16)))
		if uint32(n) != be.Uint32(value[12:]) || n < 16 {
			h.Corrupt(h.Src.Size())
			return
		}
		if h.keep(n) {
			h.packed[id] = slices.Clone(value[16 : 16+n])
		}
	case kind == 0x20 && len(value) >= 88:
		// Extents behind the first eight are in records of the same tree, which are not
		// followed: attributes of that kind are for large ones, and written at once.
		runs, size := h.runs(value[8:88], hfsFork{id: ^uint32(0)})
		h.forkBlocks(value[8:88], hfsFork{id: ^uint32(0)}, h.TookFile)
		h.Give("hfsplus.attribute", name, size, runs)
	}
}

// hfsText is a name: its length u16, and UTF-16. A / in it is shown as :, as macOS does.
func hfsText(b []byte) (string, bool) {
	if len(b) < 2 {
		return "", false
	}
	n := int(binary.BigEndian.Uint16(b))
	ok := 2+2*n <= len(b)
	n = min(n, (len(b)-2)/2)
	u := make([]uint16, n)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2+2*i:])
	}
	return strings.ReplaceAll(string(utf16.Decode(u)), "/", ":"), ok
}

const (
	hfsFolderRecord = 1
	hfsFileRecord   = 2
	hfsPrivate      = "\x00\x00\x00\x00HFS+ Private Data"
)

// name notes the folders of the catalog, and the names of files of many.
func (h *hfs) name(key, value []byte) {
	be := binary.BigEndian
	if len(key) < 6 || len(value) < 2 {
		return // entry says so
	}
	text, _ := hfsText(key[4:])
	in := hfsName{be.Uint32(key), text}
	switch kind := be.Uint16(value); {
	case kind == hfsFolderRecord && len(value) >= 12:
		if h.keep(len(text) + 64) {
			h.folders[be.Uint32(value[8:])] = in
		}
		if text == hfsPrivate && in.parent == hfsRoot {
			h.private = be.Uint32(value[8:])
		}
	case kind == hfsFileRecord && len(value) >= 56 && string(value[48:56]) == "hlnkhfs+":
		if _, ok := h.links[be.Uint32(value[44:])]; !ok && h.keep(len(text)+64) {
			h.links[be.Uint32(value[44:])] = in
		}
	}
}

// folderPath is the name of what is in a folder.
func folderPath(folders map[uint32]hfsName, n hfsName) string {
	out := n.name
	for range hfsLevels {
		if n.parent <= hfsRoot || len(out) > unpack.MaxName {
			return out
		}
		up, ok := folders[n.parent]
		if !ok {
			return out
		}
		n = up
		out = extent.Join(strings.Trim(n.name, "\x00"), out)
	}
	return out
}

// entry gives a file of the catalog.
func (h *hfs) entry(key, value []byte) {
	be := binary.BigEndian
	if len(key) < 6 || len(value) < 2 {
		h.Corrupt(h.Src.Size())
		return
	}
	text, ok := hfsText(key[4:])
	kind := be.Uint16(value)
	if !ok || kind == 0 || kind > 4 || kind == hfsFileRecord && len(value) < 248 || kind == hfsFolderRecord && len(value) < 88 {
		h.Corrupt(h.Src.Size())
		return
	}
	if kind != hfsFileRecord || !h.Work(16) {
		return
	}
	in := hfsName{be.Uint32(key), text}
	if number, is := strings.CutPrefix(text, "iNode"); is && in.parent == h.private && h.private != 0 {
		if n, err := strconv.ParseUint(number, 10, 32); err == nil {
			if link, ok := h.links[uint32(n)]; ok {
				in = link
			}
		}
	}
	h.file(value, folderPath(h.folders, in))
}

// file gives what the record of a file leads to.
func (h *hfs) file(value []byte, name string) {
	id := binary.BigEndian.Uint32(value[8:])
	h.files++
	data := h.forkBlocks(value[88:168], hfsFork{id: id}, h.TookFile)
	resource := h.forkBlocks(value[168:248], hfsFork{id, true}, h.TookFile)
	longer(&h.Giver, "hfsplus.file", name, int64(min(binary.BigEndian.Uint64(value[88:]), 1<<62)), h.block, data)
	longer(&h.Giver, "hfsplus.resource", name, int64(min(binary.BigEndian.Uint64(value[168:]), 1<<62)), h.block, resource)
	runs, size := h.runs(value[88:168], hfsFork{id: id})
	if binary.BigEndian.Uint16(value[42:])&modeKind != modeLink || size > 1024 { // a symbolic link's data is its target
		h.Give("hfsplus.file", name, size, runs)
	}
	fork, n := h.runs(value[168:248], hfsFork{id, true})
	if head, ok := h.packed[id]; ok {
		if h.Stop || h.decmpfs(head, extent.NewFile(h.Src, n, fork), name) {
			return
		}
	}
	h.Give("hfsplus.resource", name, n, fork)
}

// Modes of files.
const (
	modeKind = 0xf000
	modeDir  = 0x4000
	modeFile = 0x8000
	modeLink = 0xa000
)

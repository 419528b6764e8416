// Package hfs reads the file systems of Macs, HFS and HFS Plus.
package hfs

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// HFS reads the file system of Macs before HFS Plus (Apple, Inside Macintosh: Files,
// chapter 2). All numbers are big-endian, and the trees are those of HFS Plus with nodes of 512
// bytes and keys whose length is one byte.
//
//	1024        header: "BD", 18 blocks u16, 20 bytes of a block u32, 28 sector of block 0 u16, 36 name;
//	            124 "H+" and 126 an extent, if the volume is a wrapper around one of HFS Plus;
//	            130 size u32 and 134 extents of the tree of extents, 146 and 150 of the catalog
//	extents     three times first block u16, blocks u16; further ones are in the tree of extents
//	catalog     key: 1 parent u32, 5 name; value: 0 kind u8 (1 folder, 2 file); of a folder 6 ID u32; of a file 20 ID u32,
//	            26 size of the data u32, 36 size of the resource fork u32, 74 and 86 their extents
//
// A file's data are a child, and its resource fork is another, if it has one. Blocks
// that are in use, by the bits from sector 14 u16 on, and in no fork are children,
// "hfs.lost". A wrapped volume is a child too.
func HFS() unpack.Format {
	return unpack.Format{
		Name:  "hfs",
		Match: func(p *unpack.Probe) bool { return p.Is("hfs") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			o := &oldHFS{Giver: giverOf(src, out), out: out, folders: map[uint32]hfsName{}, more: map[hfsFork][]oldExtents{}}
			o.walk()
		},
	}
}

type oldHFS struct {
	extent.Giver
	out     *unpack.Out
	base    int64 // of block 0
	block   int64
	folders map[uint32]hfsName // by ID
	more    map[hfsFork][]oldExtents
	kept    int
	full    bool
}

// oldExtents are extents of a fork from a block of it on.
type oldExtents struct {
	start uint16
	list  [12]byte
}

func (o *oldHFS) walk() {
	be := binary.BigEndian
	b, err := bound.ReadAt(o.Src, 1024, 162, 162)
	if err != nil {
		o.Corrupt(1024)
		return
	}
	blocks := int64(be.Uint16(b[18:]))
	o.block, o.base = int64(be.Uint32(b[20:])), int64(be.Uint16(b[28:]))*512
	if o.block == 0 || o.block%512 != 0 {
		o.Corrupt(1024)
		return
	}
	if o.base+blocks*o.block > o.Src.Size() {
		o.Corrupt(o.Src.Size())
	}
	o.Books = extent.NewBooks(o.base, o.block, blocks)
	if string(b[124:126]) == "H+" {
		off, n := o.base+int64(be.Uint16(b[126:]))*o.block, int64(be.Uint16(b[128:]))*o.block
		if o.Stop = !o.out.Section(o.Src, "hfs.volume", "", min(off, o.Src.Size()), n); o.Stop {
			return
		}
	}
	o.each(b[134:146], be.Uint32(b[130:]), hfsFork{id: 3}, false, o.extent)
	for k := range o.more {
		slices.SortFunc(o.more[k], func(a, b oldExtents) int { return int(a.start) - int(b.start) })
	}
	o.each(b[150:162], be.Uint32(b[146:]), hfsFork{id: 4}, true, o.name)
	o.each(b[150:162], be.Uint32(b[146:]), hfsFork{id: 4}, true, o.entry)
	if o.full {
		o.Out.Gap(showcause.LimitMemory, 0, -1)
	}
	o.account(b)
	end := o.base + blocks*o.block
	if last, err := bound.ReadAt(o.Src, end, 162, 162); err == nil && string(last[:2]) == string(b[:2]) {
		end += 162 // the copy of the volume's header
	}
	o.Rest("hfs.rest", end)
}

// keep tells whether there is room for one thing more. Each is of 100 bytes or so.
func (o *oldHFS) keep() bool {
	o.kept++
	o.full = o.full || o.kept > hfsKept
	return !o.full
}

// runs are the stretches of a fork, and its size as far as they go.
func (o *oldHFS) runs(list []byte, want uint32, id hfsFork) (runs []extent.Run, size int64) {
	be := binary.BigEndian
	size = int64(want)
	var sum int64
	add := func(list []byte) {
		for ; len(list) >= 4 && len(runs) < extent.MaxRuns && sum < size; list = list[4:] {
			if n := int64(be.Uint16(list[2:])) * o.block; n > 0 {
				runs = append(runs, extent.Run{Off: o.base + int64(be.Uint16(list))*o.block, N: n})
				sum += n
			}
		}
	}
	add(list)
	for _, m := range o.more[id] {
		if sum >= size || !o.Work(1) {
			break
		}
		if int64(m.start) == sum/o.block {
			add(m.list[:])
		}
	}
	if sum < size {
		o.Corrupt(o.Src.Size())
		size = sum
	}
	return runs, size
}

// each calls visit with each record of the leaves of a tree.
func (o *oldHFS) each(list []byte, want uint32, id hfsFork, need bool, visit func(key, value []byte)) {
	runs, size := o.runs(list, want, id)
	if size == 0 {
		if need {
			o.Corrupt(1024)
		}
		return
	}
	t := &hfsTreeReader{Giver: &o.Giver, file: extent.NewFile(o.Src, size, runs), small: true, seen: map[uint32]bool{}}
	t.all(need, visit)
}

// extent takes a record of the tree of extents: fork u8, 1 ID u32, 5 block of the fork u16.
func (o *oldHFS) extent(key, value []byte) {
	be := binary.BigEndian
	if len(key) < 7 || len(value) < 12 {
		o.Corrupt(o.Src.Size())
		return
	}
	if !o.keep() {
		return
	}
	k := hfsFork{be.Uint32(key[1:]), key[0] == 0xff}
	o.more[k] = append(o.more[k], oldExtents{be.Uint16(key[5:]), [12]byte(value)})
}

// oldName reads the key of the catalog. The name is of bytes of the Mac's own; a / in it is
// shown as :, as macOS does.
func oldName(key []byte) (n hfsName, ok bool) {
	if len(key) < 6 || 6+int(key[5]) > len(key) {
		return n, false
	}
	return hfsName{binary.BigEndian.Uint32(key[1:]), strings.ReplaceAll(string(key[6:6+int(key[5])]), "/", ":")}, true
}

// name notes the folders of the catalog.
func (o *oldHFS) name(key, value []byte) {
	n, ok := oldName(key)
	if ok && len(value) >= 10 && value[0] == hfsFolderRecord && o.keep() {
		o.folders[binary.BigEndian.Uint32(value[6:])] = n
	}
}

// entry gives a file of the catalog.
func (o *oldHFS) entry(key, value []byte) {
	be := binary.BigEndian
	n, ok := oldName(key)
	if !ok || len(value) < 2 || value[0] == 0 || value[0] > 4 || value[0] == hfsFileRecord && len(value) < 98 || value[0] == hfsFolderRecord && len(value) < 10 {
		o.Corrupt(o.Src.Size())
		return
	}
	if value[0] != hfsFileRecord || !o.Work(16) {
		return
	}
	id, name := be.Uint32(value[20:]), folderPath(o.folders, n)
	data := o.forkBlocks(value[74:86], hfsFork{id: id}, o.TookFile)
	fork := o.forkBlocks(value[86:98], hfsFork{id, true}, o.TookFile)
	longer(&o.Giver, "hfs.file", name, int64(be.Uint32(value[26:])), o.block, data)
	longer(&o.Giver, "hfs.resource", name, int64(be.Uint32(value[36:])), o.block, fork)
	runs, size := o.runs(value[74:86], be.Uint32(value[26:]), hfsFork{id: id})
	o.Give("hfs.file", name, size, runs)
	runs, size = o.runs(value[86:98], be.Uint32(value[36:]), hfsFork{id, true})
	o.Give("hfs.resource", name, size, runs)
}

// giverOf returns what hands files of src over to out.
func giverOf(src showcause.Source, out *unpack.Out) extent.Giver {
	return extent.Giver{Src: src, Out: out, Hand: func(op, name string, src showcause.Source, size int64) bool {
		return out.Child(unpack.Child{Op: op, Name: name, Source: src, Size: size})
	}}
}

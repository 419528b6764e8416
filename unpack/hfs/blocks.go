package hfs

import (
	"encoding/binary"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack/extent"
)

const badBlocks = 5 // the file that has them, in the tree of extents alone

// forkBlocks notes the blocks of a fork, those behind its size as well.
func (h *hfs) forkBlocks(fork []byte, id hfsFork, took func(off, n int64)) (runs []extent.Run) {
	be := binary.BigEndian
	add := func(list []byte) {
		for ; len(list) >= 8; list = list[8:] {
			off, n := int64(be.Uint32(list))*h.block, int64(be.Uint32(list[4:]))*h.block
			took(off, n)
			runs = append(runs, extent.Run{Off: off, N: n})
		}
	}
	if fork != nil {
		add(fork[16:80])
	}
	for _, m := range h.more[id] {
		if len(runs) >= extent.MaxRuns || !h.Work(1) {
			break
		}
		add(m.list[:])
	}
	return runs
}

// account holds the list of blocks, the file at 112 of the header b, and the number of files
// at 32 against what was found.
func (h *hfs) account(b []byte) {
	if h.full || h.Stop {
		return
	}
	h.Took(0, 1536)
	h.Took(h.block*h.blocks-1024, 1024)
	for at, id := range map[int]uint32{112: 6, 192: 3, 272: 4, 352: 8, 432: 7} {
		h.forkBlocks(b[at:at+80], hfsFork{id: id}, h.Took)
	}
	h.forkBlocks(nil, hfsFork{id: badBlocks}, h.Took)
	runs, size := h.runs(b[112:192], hfsFork{id: 6})
	used := &extent.Bitmap{Src: extent.NewFile(h.Src, size, runs), Big: true}
	h.Full = binary.BigEndian.Uint32(b[48:]) == 0 && h.Work(h.blocks/16) && allSet(used, h.blocks) // as xorriso writes it
	if size < (h.blocks+7)/8 || h.files != binary.BigEndian.Uint32(b[32:]) && !h.Full {
		h.Corrupt(1024)
	}
	h.Lost("hfsplus.lost", used)
}

// allSet tells whether the first n bits are set.
func allSet(m *extent.Bitmap, n int64) bool {
	for i := range min(n, m.Src.Size()*8) {
		if !m.Has(i) {
			return false
		}
	}
	return true
}

// headerCopy tells whether the copy of the header, 1,024 bytes in front of the end, is
// the same in what does not change while the volume is in use.
func (h *hfs) headerCopy(b []byte) bool {
	c, err := bound.ReadAt(h.Src, h.block*h.blocks-1024, 512, 512)
	return err == nil && string(c[:4]) == string(b[:4]) && string(c[40:48]) == string(b[40:48])
}

// forkBlocks notes the blocks of a fork.
func (o *oldHFS) forkBlocks(list []byte, id hfsFork, took func(off, n int64)) (runs []extent.Run) {
	be := binary.BigEndian
	add := func(list []byte) {
		for ; len(list) >= 4; list = list[4:] {
			off, n := o.base+int64(be.Uint16(list))*o.block, int64(be.Uint16(list[2:]))*o.block
			took(off, n)
			runs = append(runs, extent.Run{Off: off, N: n})
		}
	}
	add(list)
	for _, m := range o.more[id] {
		if len(runs) >= extent.MaxRuns || !o.Work(1) {
			break
		}
		add(m.list[:])
	}
	return runs
}

// longer gives the whole of a fork whose blocks have something behind its end.
func longer(g *extent.Giver, op, name string, size, block int64, runs []extent.Run) {
	var all int64
	for _, r := range runs {
		all += r.N
	}
	end := bound.Add(size, block-1) / block * block
	f := extent.NewFile(g.Src, all, runs)
	if end < all && !g.Zeros(f, end, all) {
		g.Corrupt(g.Src.Size())
		g.Give(op, name, all, runs)
	}
}

// account holds the list of blocks, from the sector at 14 of the header b on, against what was
// found.
func (o *oldHFS) account(b []byte) {
	if id, err := bound.ReadAt(o.Src, 32769, 5, 5); o.full || o.Stop || err == nil && string(id) == "CD001" {
		return // of a disc that is ISO 9660 as well, the list is for another tree
	}
	be := binary.BigEndian
	o.forkBlocks(b[134:146], hfsFork{id: 3}, o.Took)
	o.forkBlocks(b[150:162], hfsFork{id: 4}, o.Took)
	o.forkBlocks(nil, hfsFork{id: badBlocks}, o.Took)
	if string(b[124:126]) == "H+" {
		o.Took(o.base+int64(be.Uint16(b[126:]))*o.block, int64(be.Uint16(b[128:]))*o.block)
	}
	at := int64(be.Uint16(b[14:])) * 512
	if n := (int64(be.Uint16(b[18:])) + 7) / 8; at < 1536 || at+n > o.base {
		o.Corrupt(1024)
		return
	}
	o.Lost("hfs.lost", &extent.Bitmap{Src: bound.Section(o.Src, at, o.base-at), Big: true})
}

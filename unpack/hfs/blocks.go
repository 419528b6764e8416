package hfs

import (
	"encoding/binary"

	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack/extent"
)

const badBlocks = 5 // the file that has them, in the tree of extents alone

// forkBlocks notes the blocks of a fork, those behind its size as well.
func (h *hfs) forkBlocks(fork []byte, id hfsFork, took func(off, n int64)) {
	be := binary.BigEndian
	add := func(list []byte) {
		for ; len(list) >= 8; list = list[8:] {
			took(int64(be.Uint32(list))*h.block, int64(be.Uint32(list[4:]))*h.block)
		}
	}
	if fork != nil {
		add(fork[16:80])
	}
	for _, m := range h.more[id] {
		add(m.list[:])
	}
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
	if size < (h.blocks+7)/8 || h.files != binary.BigEndian.Uint32(b[32:]) {
		h.Corrupt(1024)
	}
	h.Lost("hfsplus.lost", &extent.Bitmap{Src: extent.NewFile(h.Src, size, runs), Big: true})
}

// headerCopy tells whether the copy of the header, 1,024 bytes in front of the end, is
// the same in what does not change while the volume is in use.
func (h *hfs) headerCopy(b []byte) bool {
	c, err := bound.ReadAt(h.Src, h.block*h.blocks-1024, 512, 512)
	return err == nil && string(c[:4]) == string(b[:4]) && string(c[40:48]) == string(b[40:48])
}

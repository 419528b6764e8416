package image

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// VDI reads disks of VirtualBox (Oracle, VirtualBox, src/VBox/Storage/VDICore.h). All
// numbers are little-endian.
//
//	64   magic, version u32, 76 kind u32: 1 dynamic, 2 fixed, 4 differencing
//	340  where the table is u32, where blocks are u32
//	368  size of the disk u64, bytes of a block u32, bytes in front of each u32, blocks u32, those that are there u32
//	the table  a number for each block u32; -1 for one that is not there, -2 for zeros
//
// A block that is not there is zeros, or in the parent's file.
func VDI() unpack.Format {
	return unpack.Format{
		Name:  "vdi",
		Match: func(p *unpack.Probe) bool { return p.Is("vdi") },
		Walk:  walkVDI,
	}
}

const (
	vdiZeros  = 0xfffffffe // and above: no block
	vdiParent = showcause.Unsupported + ".format.vdi-parent"
	vdiMethod = showcause.Unsupported + ".method.vdi" // a version that no VirtualBox since 1.6 writes
)

func walkVDI(src showcause.Source, out *unpack.Out) {
	le := binary.LittleEndian
	h, err := bound.ReadAt(src, 0, 512, 512)
	if err != nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if le.Uint16(h[70:]) != 1 {
		out.Gap(vdiMethod, 0, -1)
		return
	}
	kind, table, data := le.Uint32(h[76:]), int64(le.Uint32(h[340:])), int64(le.Uint32(h[344:]))
	size, block, extra := int64(min(le.Uint64(h[368:]), 1<<62)), int64(le.Uint32(h[376:])), int64(le.Uint32(h[380:]))
	if block < sector || block&(block-1) != 0 || block > 1<<30 || kind == 0 || kind > 4 {
		out.Gap(showcause.Corrupt, 0, 512)
		return
	}
	n := int64(le.Uint32(h[384:]))
	if n != (size+block-1)/block {
		out.Gap(showcause.Corrupt, 368, 20)
		size = min(size, n*block)
	}
	bat, err := bound.ReadAt(src, table, 4*n, maxTable)
	if err != nil {
		out.Gap(showcause.Corrupt, min(table, src.Size()), -1)
	}
	meta := newUsage(src.Size())
	meta.mark(0, 512)
	meta.mark(table, int64(len(bat)))
	there := int64(0)
	for b := bat; len(b) >= 4; b = b[4:] {
		if le.Uint32(b) < vdiZeros {
			there++
		}
	}
	if there != int64(le.Uint32(h[388:])) {
		out.Gap(showcause.Corrupt, 388, 4)
	}
	d := &disk{src: src, size: size, block: block, room: n, all: newUsage(src.Size()), meta: meta, find: func(i int64) place {
		if 4*i+4 > int64(len(bat)) {
			return place{kind: broken}
		}
		switch e := le.Uint32(bat[4*i:]); {
		case e < vdiZeros:
			return place{off: data + int64(e)*(block+extra) + extra, kind: stored}
		case e == 0xffffffff && kind == 4:
			return place{kind: absent}
		}
		return place{kind: zeros}
	}}
	if d.give(out, "vdi.disk", "", vdiParent) && d.left(out, "vdi.rest", max(512, table+int64(len(bat)), d.end)) {
		out.Tail(src, max(512, table+int64(len(bat)), d.end), "vdi.rest")
	}
}

package image

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// VHD reads disks of Virtual PC (Microsoft, "Virtual Hard Disk Image Format
// Specification", 1.0). All numbers are big-endian.
//
//	the last 512 bytes  "conectix", 16 where the header is u64, 48 size u64, 60 kind u32: 2 fixed, 3 dynamic, 4 differencing
//	the header          "cxsparse", 16 where the table is u64, 28 its entries u32, 32 bytes of a block u32
//	the table           u32 sectors; all ones for a block that is not there
//	a block             a bit for each of its sectors, up to a whole sector, and the sectors
//
// A block that is not there is zeros, or in the parent's file.
func VHD() unpack.Format {
	return unpack.Format{
		Name:  "vhd",
		Match: func(p *unpack.Probe) bool { return p.Is("vhd") },
		Walk:  walkVHD,
	}
}

const vhdParent = showcause.Unsupported + ".format.vhd-parent"

func walkVHD(src showcause.Source, out *unpack.Out) {
	be := binary.BigEndian
	foot := vhdFooter(src)
	if foot == nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if !vhdSum(foot, 64) {
		out.Gap(showcause.Corrupt, src.Size()-int64(len(foot)), int64(len(foot)))
	}
	size, kind := int64(min(be.Uint64(foot[48:]), 1<<62)), be.Uint32(foot[60:])
	if head := bound.Head(src, len(foot)); kind == 2 && bytes.Equal(head, foot) {
		out.Tail(src, int64(len(foot)), "vhd.rest") // the disk is what stood in front of it
		return
	}
	if kind == 2 {
		if out.Section(src, "vhd.disk", "", 0, size) {
			vhdRest(src, out, foot, size)
		}
		return
	}
	at := int64(min(be.Uint64(foot[16:]), 1<<62))
	h, err := bound.ReadAt(src, at, 1024, 1024)
	if err != nil || string(h[:8]) != "cxsparse" || kind != 3 && kind != 4 {
		out.Gap(showcause.Corrupt, min(at, src.Size()), -1)
		return
	}
	if !vhdSum(h, 36) || !bytes.Equal(bound.Head(src, 511), foot[:511]) {
		out.Gap(showcause.Corrupt, min(at, src.Size()), 1024)
	}
	table, n, block := int64(min(be.Uint64(h[16:]), 1<<62)), int64(be.Uint32(h[28:])), int64(be.Uint32(h[32:]))
	if block < sector || block&(block-1) != 0 || block > 1<<30 {
		out.Gap(showcause.Corrupt, at, 1024)
		return
	}
	if n < (size+block-1)/block {
		out.Gap(showcause.Corrupt, at, 1024)
		size = n * block
	}
	bat, err := bound.ReadAt(src, table, 4*n, maxTable)
	if err != nil {
		out.Gap(showcause.Corrupt, min(table, src.Size()), -1)
	}
	bitmap := (block/sector/8 + sector - 1) / sector * sector
	meta := newUsage(src.Size())
	meta.mark(0, sector)
	meta.mark(at, 1024)
	meta.mark(table, int64(len(bat)))
	all := newUsage(src.Size())
	d := &disk{src: src, size: size, block: block, room: n, all: all, meta: meta, find: func(i int64) place {
		if 4*i+4 > int64(len(bat)) {
			return place{kind: broken}
		}
		e := be.Uint32(bat[4*i:])
		switch {
		case e != 0xffffffff:
			all.mark(int64(e)*sector, bitmap)
			return place{off: int64(e)*sector + bitmap, kind: stored}
		case kind == 4:
			return place{kind: absent}
		}
		return place{kind: zeros}
	}}
	d.absent = kind == 4 // sectors that a block lacks are the parent's
	if d.give(out, "vhd.disk", "", vhdParent) && d.left(out, "vhd.rest", max(at+1024, table+int64(len(bat)), d.end)) {
		vhdRest(src, out, foot, max(at+1024, table+int64(len(bat)), d.end))
	}
}

// vhdRest gives what stands behind the disk and is not the footer.
func vhdRest(src showcause.Source, out *unpack.Out, foot []byte, end int64) {
	for _, at := range []int64{end, src.Size() - int64(len(foot))} {
		if b, err := bound.ReadAt(src, at, int64(len(foot)), 512); err == nil && bytes.Equal(b, foot) {
			out.Cover(at, int64(len(foot)))
		}
	}
	out.Tail(src, end, "vhd.rest")
}

// vhdSum tells whether the sum at off, of all other bytes, is right.
func vhdSum(b []byte, off int) bool {
	sum := uint32(0)
	for i, c := range b {
		if i < off || i >= off+4 {
			sum += uint32(c)
		}
	}
	return ^sum == binary.BigEndian.Uint32(b[off:])
}

// vhdFooter is the footer at the end, or its copy at the start.
func vhdFooter(src showcause.Source) []byte {
	for _, at := range []int64{src.Size() - 512, src.Size() - 511, 0} {
		if at < 0 {
			continue
		}
		b, _ := bound.ReadAt(src, at, 512, 512)
		if len(b) >= 511 && string(b[:8]) == "conectix" {
			return b
		}
	}
	return nil
}

package image

import (
	"bytes"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Parallels reads expanding disks of Parallels (QEMU, docs/interop/parallels.rst). All
// numbers are little-endian.
//
//	0   magic, 28 sectors of a block u32, 32 blocks u32, 36 sectors of the disk u64 (of the older magic u32)
//	64  for each block u32 where it is: a sector, or under the newer magic a block; 0 for zeros
func Parallels() unpack.Format {
	return unpack.Format{
		Name:  "parallels",
		Match: func(p *unpack.Probe) bool { return p.Is("parallels") },
		Walk:  walkParallels,
	}
}

func walkParallels(src showcause.Source, out *unpack.Out) {
	le := binary.LittleEndian
	h, err := bound.ReadAt(src, 0, 64, 64)
	if err != nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	block, n, sectors := int64(le.Uint32(h[28:]))*sector, int64(le.Uint32(h[32:])), le.Uint64(h[36:])
	unit := int64(sector)
	if newer := bytes.HasPrefix(h, []byte("WithouFreSpacExt")); newer {
		unit = block
	} else {
		sectors &= 1<<32 - 1
	}
	if block == 0 || block > 1<<30 {
		out.Gap(showcause.Corrupt, 0, 64)
		return
	}
	size := int64(min(sectors, 1<<50)) * sector
	if n < (size+block-1)/block {
		out.Gap(showcause.Corrupt, 32, 12)
		size = n * block
	}
	bat, err := bound.ReadAt(src, 64, 4*n, maxTable)
	if err != nil {
		out.Gap(showcause.Corrupt, min(64, src.Size()), -1)
	}
	meta := newUsage(src.Size())
	meta.mark(0, 64+int64(len(bat)))
	d := &disk{src: src, size: size, block: block, room: n, all: newUsage(src.Size()), meta: meta, find: func(i int64) place {
		if 4*i+4 > int64(len(bat)) {
			return place{kind: broken}
		}
		if e := int64(le.Uint32(bat[4*i:])); e != 0 {
			return place{off: e * unit, kind: stored}
		}
		return place{kind: zeros}
	}}
	if d.give(out, "parallels.disk", "", showcause.Corrupt) && d.left(out, "parallels.rest", max(64+int64(len(bat)), d.end)) {
		out.Tail(src, max(64+int64(len(bat)), d.end), "parallels.rest")
	}
}

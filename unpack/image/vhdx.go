package image

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// VHDX reads disks of Hyper-V ([MS-VHDX]).
//
//	64 KiB, 128 KiB   headers: "head", 8 sequence u64, 48 id of the log
//	192 KiB, 256 KiB  regions: "regi", 8 entries u32, 16 entries of {id [16], offset u64, length u32, required u32}
//	metadata          "metadata", 10 entries u16, 32 entries of {id [16], offset u32, length u32, flags u32, 0 u32}
//	block table       u64: state in 3 bits, from bit 20 on the offset in MiB; an entry for a bitmap after every so many
//
// Writes that wait in the log are not in the disk yet: that is a gap.
func VHDX() unpack.Format {
	return unpack.Format{
		Name:  "vhdx",
		Match: func(p *unpack.Probe) bool { return p.Type.String() == "vhdx" },
		Walk:  func(src showcause.Source, out *unpack.Out) { (&vhdx{src: src, out: out}).walk() },
	}
}

// Ids as they stand in the file.
const (
	vhdxBAT      = "\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08"
	vhdxMetadata = "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
	vhdxParams   = "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
	vhdxSize     = "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"
	vhdxSector   = "\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f"
	vhdxLog      = showcause.Unsupported + ".method.vhdx-log"
	vhdxParent   = showcause.Unsupported + ".format.vhdx-parent"
)

type vhdx struct {
	src         showcause.Source
	out         *unpack.Out
	block, size int64
	sector      int64
	parent      bool
	log         int64 // where it ends
}

func (v *vhdx) walk() {
	le := binary.LittleEndian
	if v.pending() {
		v.out.Gap(vhdxLog, 0, -1)
	}
	regions := v.regions()
	meta, bat := regions[vhdxMetadata], regions[vhdxBAT]
	if meta == (extent{}) || bat == (extent{}) || !v.metadata(meta) {
		v.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	// After each chunk of payload blocks stands the entry of a bitmap.
	ratio := int64(1) << 23 * v.sector / v.block
	n := (v.size + v.block - 1) / v.block
	entries := n + n/max(ratio, 1) + 1
	table, err := bound.ReadAt(v.src, bat.off, min(8*entries, bat.size), maxTable)
	if err != nil {
		v.out.Gap(showcause.Corrupt, min(bat.off, v.src.Size()), -1)
	}
	d := &disk{src: v.src, size: v.size, block: v.block, find: func(i int64) place {
		k := 8 * (i + i/ratio)
		if k+8 > int64(len(table)) {
			return place{kind: broken}
		}
		e := le.Uint64(table[k:])
		off := int64(min(e>>20, 1<<42)) << 20
		switch e & 7 {
		case 6:
			return place{off: off, kind: stored}
		case 7: // some sectors are the parent's
			return place{off: off, kind: stored}
		case 0:
			if v.parent {
				return place{kind: absent}
			}
		}
		return place{kind: zeros}
	}}
	d.absent = v.parent
	if d.give(v.out, "vhdx.disk", "", vhdxParent) {
		end := max(d.end, v.log, 320<<10)
		for _, r := range regions {
			end = max(end, bound.Add(r.off, r.size))
		}
		v.out.Tail(v.src, end, "vhdx.rest")
	}
}

// pending tells whether the header that counts names a log.
func (v *vhdx) pending() bool {
	var best uint64
	log := false
	for _, at := range []int64{64 << 10, 128 << 10} {
		b, err := bound.ReadAt(v.src, at, 80, 80)
		if err != nil || string(b[:4]) != "head" {
			continue
		}
		v.log = bound.Add(int64(min(binary.LittleEndian.Uint64(b[72:]), 1<<62)), int64(binary.LittleEndian.Uint32(b[68:])))
		if seq := binary.LittleEndian.Uint64(b[8:]); seq >= best {
			best = seq
			log = string(b[48:64]) != string(make([]byte, 16))
		}
	}
	return log
}

// vhdxSum tells whether the sum of n bytes at off is right, which stands at 4 in them.
func vhdxSum(src showcause.Source, off, n int64) bool {
	b, err := bound.ReadAt(src, off, n, 64<<10)
	if err != nil {
		return false
	}
	sum := binary.LittleEndian.Uint32(b[4:])
	clear(b[4:8])
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) == sum
}

// regions are the parts of the file, by the first of two tables whose sum is right.
func (v *vhdx) regions() map[string]extent {
	le := binary.LittleEndian
	for _, at := range []int64{192 << 10, 256 << 10} {
		h, err := bound.ReadAt(v.src, at, 16, 16)
		if err != nil || string(h[:4]) != "regi" {
			continue
		}
		if !vhdxSum(v.src, at, 64<<10) {
			v.out.Gap(showcause.Corrupt, at, 64<<10)
			if at == 192<<10 {
				continue // there is another
			}
		}
		out := map[string]extent{}
		for i := range min(int64(le.Uint32(h[8:])), 2047) {
			b, err := bound.ReadAt(v.src, at+16+32*i, 32, 32)
			if err != nil {
				break
			}
			out[string(b[:16])] = extent{off: int64(min(le.Uint64(b[16:]), 1<<62)), size: int64(le.Uint32(b[24:]))}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// metadata reads what is known of the disk, and tells whether it can be.
func (v *vhdx) metadata(m extent) bool {
	le := binary.LittleEndian
	h, err := bound.ReadAt(v.src, m.off, 32, 32)
	if err != nil || string(h[:8]) != "metadata" {
		return false
	}
	v.sector = 512
	for i := range min(int64(le.Uint16(h[10:])), 2047) {
		b, err := bound.ReadAt(v.src, m.off+32+32*i, 32, 32)
		if err != nil {
			break
		}
		value, _ := bound.ReadAt(v.src, m.off+int64(le.Uint32(b[16:])), 8, 8)
		if len(value) < 8 {
			continue
		}
		switch string(b[:16]) {
		case vhdxParams:
			v.block, v.parent = int64(le.Uint32(value)), le.Uint32(value[4:])&2 != 0
		case vhdxSize:
			v.size = int64(min(le.Uint64(value), 1<<46))
		case vhdxSector:
			v.sector = int64(le.Uint32(value))
		}
	}
	return v.block >= 1<<20 && v.block <= 256<<20 && bits.OnesCount64(uint64(v.block)) == 1 && (v.sector == 512 || v.sector == 4096)
}

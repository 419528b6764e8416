package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// VMDK reads sparse disks of VMware (VMware, "Virtual Disk Format 5.0"): one
// file that grows, and the form that is compressed for a stream.
//
//	0 "KDMV", 4 version u32, 8 flags u32, 12 sectors u64, 20 sectors of a grain u64,
//	28 where the description is u64, 36 its length u64, 44 entries of a grain table u32,
//	48, 56 where the grain directories are u64, 77 compression u16; in sectors
//
// A directory leads to tables, and those to grains: 0 is none, which is zeros,
// or the parent's, and 1 is zeros. A compressed grain has {sector u64, bytes u32}
// in front. A disk that a text describes and that is in other files is a gap.
func VMDK() unpack.Format {
	return unpack.Format{
		Name: "vmdk",
		Match: func(p *unpack.Probe) bool {
			return p.Type.String() == "vmdk" || bytes.HasPrefix(p.Head, []byte("KDMV")) || bytes.HasPrefix(p.Head, []byte("# Disk DescriptorFile"))
		},
		Walk: func(src showcause.Source, out *unpack.Out) { (&vmdk{src: src, out: out}).walk() },
	}
}

const (
	vmdkExtent = showcause.Unsupported + ".format.vmdk-extent" // the disk, or a part of it, is in other files
	vmdkMethod = showcause.Unsupported + ".method.vmdk"
)

type vmdk struct {
	src    showcause.Source
	out    *unpack.Out
	grain  int64 // bytes
	perGT  int64
	flags  uint32
	dir    []byte
	parent bool
	tables map[int64][]byte
	meta   *usage
	end    int64 // of the tables and what stands in front
}

// doubled looks whether the other directory, at off, leads to tables that say the same.
func (v *vmdk) doubled(off, n int64) {
	le := binary.LittleEndian
	for b := v.dir; len(b) >= 4; b = b[4:] {
		v.meta.mark(int64(le.Uint32(b))*sector, 4*v.perGT)
	}
	if v.flags&2 == 0 || off == 0 {
		return
	}
	other, err := bound.ReadAt(v.src, off, 4*n, maxTable)
	v.meta.mark(off, 4*n)
	same := err == nil && len(other) == len(v.dir)
	for i := 0; same && i+4 <= len(other) && v.out.Work(64); i += 4 {
		a, b := int64(le.Uint32(v.dir[i:]))*sector, int64(le.Uint32(other[i:]))*sector
		if a == 0 || b == 0 {
			same = a == b
			continue
		}
		v.meta.mark(b, 4*v.perGT)
		x, err := bound.ReadAt(v.src, a, 4*v.perGT, 4<<16)
		y, errY := bound.ReadAt(v.src, b, 4*v.perGT, 4<<16)
		same = err == nil && errY == nil && bytes.Equal(x, y)
	}
	if !same {
		v.out.Gap(showcause.Corrupt, min(off, v.src.Size()), -1)
	}
}

func (v *vmdk) walk() {
	le := binary.LittleEndian
	h := bound.Head(v.src, 512)
	if !bytes.HasPrefix(h, []byte("KDMV")) {
		if bytes.HasPrefix(h, []byte("# Disk DescriptorFile")) {
			v.out.Gap(vmdkExtent, 0, -1)
		} else {
			v.out.Gap(vmdkMethod, 0, -1) // COWD, of ESX
		}
		return
	}
	if len(h) < 512 {
		v.out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	if le.Uint64(h[56:]) == 1<<64-1 { // of a stream: the header that counts is the one at the end
		foot, err := bound.ReadAt(v.src, v.src.Size()-1024, 512, 512)
		if err != nil || !bytes.HasPrefix(foot, []byte("KDMV")) {
			v.out.Gap(showcause.Corrupt, 0, -1)
			return
		}
		h = foot
		v.footer(foot)
	}
	v.flags = le.Uint32(h[8:])
	size := int64(min(le.Uint64(h[12:]), 1<<50)) * sector
	grain := le.Uint64(h[20:])
	v.perGT = int64(le.Uint32(h[44:]))
	compression := le.Uint16(h[77:])
	if grain < 1 || grain > 1<<13 || grain&(grain-1) != 0 || v.perGT < 1 || v.perGT > 1<<16 {
		v.out.Gap(showcause.Corrupt, 0, sector)
		return
	}
	if size == 0 || v.flags&(1<<16) == 0 && compression != 0 {
		v.out.Gap(showcause.Corrupt, 0, sector)
	}
	if v.flags&(1<<16) != 0 && compression != 1 {
		v.out.Gap(vmdkMethod, 0, -1)
		return
	}
	v.grain = int64(grain) * sector
	v.describe(int64(min(le.Uint64(h[28:]), 1<<50))*sector, int64(min(le.Uint64(h[36:]), 1<<11))*sector)
	n := (size + v.grain*v.perGT - 1) / (v.grain * v.perGT)
	at := int64(min(le.Uint64(h[56:]), 1<<50)) * sector
	dir, err := bound.ReadAt(v.src, at, 4*n, maxTable)
	if err != nil {
		v.out.Gap(showcause.Corrupt, min(at, v.src.Size()), -1)
	}
	v.dir, v.tables = dir, map[int64][]byte{}
	v.meta = newUsage(v.src.Size())
	v.meta.mark(0, v.end)
	v.meta.mark(at, int64(len(dir)))
	v.doubled(int64(min(le.Uint64(h[48:]), 1<<50))*sector, n)
	d := &disk{src: v.src, size: size, block: v.grain, room: n * v.perGT, find: v.find, unpack: unpackGrain, all: newUsage(v.src.Size()), meta: v.meta}
	v.end = max(v.end, bound.Add(at, int64(len(dir))))
	if d.give(v.out, "vmdk.disk", "", vmdkExtent) && d.left(v.out, "vmdk.rest", max(v.end, d.end)) {
		v.out.Tail(v.src, max(v.end, d.end), "vmdk.rest")
	}
}

// footer covers the footer of a stream, a marker of a sector in front of it and one
// behind it, where there is nothing in them but what they are.
func (v *vmdk) footer(foot []byte) {
	at := v.src.Size() - 3*sector
	b, err := bound.ReadAt(v.src, at, 3*sector, 3*sector)
	if err != nil || len(bytes.Trim(foot[79:], "\x00")) > 0 || len(bytes.Trim(b[2*sector:], "\x00")) > 0 {
		return
	}
	v.out.Cover(at+sector, 2*sector)
	if len(bytes.Trim(b[1:12], "\x00")) == 0 && b[12] == 3 && len(bytes.Trim(b[13:sector], "\x00")) == 0 {
		v.out.Cover(at, sector)
	}
}

// describe reads the text that describes the disk, for parts of it elsewhere.
func (v *vmdk) describe(at, n int64) {
	text, _ := bound.ReadAt(v.src, at, n, 1<<20)
	v.end = max(sector, bound.Add(at, int64(len(text))))
	extents := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if cid, ok := strings.CutPrefix(line, "parentCID="); ok && !strings.EqualFold(cid, "ffffffff") {
			v.parent = true
		}
		if f := strings.Fields(line); len(f) > 3 && (f[0] == "RW" || f[0] == "RDONLY" || f[0] == "NOACCESS") {
			extents++
		}
	}
	if extents > 1 {
		v.out.Gap(vmdkExtent, 0, -1)
	}
}

func (v *vmdk) find(i int64) place {
	le := binary.LittleEndian
	top, low := i/v.perGT, i%v.perGT
	if 4*top+4 > int64(len(v.dir)) {
		return place{kind: broken}
	}
	none := place{kind: zeros}
	if v.parent {
		none.kind = absent
	}
	at := int64(le.Uint32(v.dir[4*top:])) * sector
	if at == 0 {
		return none
	}
	t, ok := v.tables[at]
	if !ok {
		b, err := bound.ReadAt(v.src, at, 4*v.perGT, 4<<16)
		if err != nil {
			b = nil
		}
		if len(v.tables) >= 64 {
			clear(v.tables)
		}
		t = b
		v.tables[at] = b
		v.end = max(v.end, bound.Add(at, int64(len(b))))
	}
	if t == nil {
		return place{kind: broken}
	}
	e := int64(le.Uint32(t[4*low:]))
	switch {
	case e == 0:
		return none
	case e == 1 && v.flags&4 != 0:
		return place{kind: zeros}
	case v.flags&(1<<16) == 0:
		return place{off: e * sector, kind: stored}
	}
	h, err := bound.ReadAt(v.src, e*sector, 12, 12)
	if err != nil || le.Uint64(h) != uint64(i*v.grain/sector) {
		return place{kind: broken}
	}
	return place{off: e*sector + 12, kind: packed, packed: int64(le.Uint32(h[8:]))}
}

// unpackGrain fills dst; the last grain of a disk may be shorter.
func unpackGrain(dst, src []byte) error {
	r, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return fmt.Errorf("grain: %w", err)
	}
	defer r.Close()
	for n := 0; n < len(dst); {
		m, err := r.Read(dst[n:])
		n += m
		if err == io.EOF && n > 0 {
			clear(dst[n:])
			return nil
		}
		if err != nil {
			return fmt.Errorf("grain: %w", bound.CutShort(err))
		}
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return errors.New("grain: more than one")
	}
	return nil
}

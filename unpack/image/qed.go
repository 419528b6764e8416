package image

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// QED reads QEMU's enhanced disks (QEMU, docs/interop/qed_spec.rst). All numbers
// are little-endian.
//
//	0  "QED\0", 4 bytes of a cluster u32, 8 clusters of a table u32, 16 features u64 (1 a backing file),
//	   40 where the first table is u64, 48 size of the disk u64
//	a table  u64 for each cluster of it: in the first, another table; in the second, a cluster; 0 for none, 1 for zeros
//
// A cluster that is not there is zeros, or in the backing file.
func QED() unpack.Format {
	return unpack.Format{
		Name:  "qed",
		Match: func(p *unpack.Probe) bool { return p.Is("qed") },
		Walk:  walkQED,
	}
}

const (
	qedBacking = showcause.Unsupported + ".format.qed-backing"
	qedFeature = showcause.Unsupported + ".method.qed-feature"
)

func walkQED(src showcause.Source, out *unpack.Out) {
	le := binary.LittleEndian
	h, err := bound.ReadAt(src, 0, 64, 64)
	if err != nil {
		out.Gap(showcause.Corrupt, 0, -1)
		return
	}
	cluster, tables, features := int64(le.Uint32(h[4:])), int64(le.Uint32(h[8:])), le.Uint64(h[16:])
	first, size := int64(min(le.Uint64(h[40:]), 1<<62)), int64(min(le.Uint64(h[48:]), 1<<62))
	if cluster < 4096 || cluster > 64<<20 || cluster&(cluster-1) != 0 || tables == 0 || tables > 16 {
		out.Gap(showcause.Corrupt, 0, 64)
		return
	}
	if features&^0b111 != 0 { // a backing file, dirty, and its kind not to be guessed
		out.Gap(qedFeature, 0, -1)
	}
	each := tables * cluster / 8 // entries of a table
	list, err := bound.ReadAt(src, first, min(each, (size/cluster+each)/each)*8, maxTable)
	if err != nil {
		out.Gap(showcause.Corrupt, min(first, src.Size()), -1)
	}
	none := place{kind: zeros}
	if features&1 != 0 {
		none.kind = absent
	}
	var page []byte // 4 KiB of a second table
	var pageAt int64
	end := bound.Add(first, tables*cluster)
	meta := newUsage(src.Size())
	meta.mark(0, bound.Mul(int64(max(le.Uint32(h[12:]), 1)), cluster))
	if !meta.mark(first, tables*cluster) || first%cluster != 0 {
		out.Gap(showcause.Corrupt, min(first, src.Size()), -1)
	}
	for b := list; len(b) >= 8; b = b[8:] {
		if at := int64(min(le.Uint64(b), 1<<62)); at != 0 && (!meta.mark(at, tables*cluster) || at%cluster != 0) {
			out.Gap(showcause.Corrupt, min(at, src.Size()), -1)
		}
	}
	n := (size + cluster - 1) / cluster
	d := &disk{src: src, size: size, block: cluster, room: (n + each - 1) / each * each, all: newUsage(src.Size()), meta: meta, find: func(i int64) place {
		k := i / each
		if 8*k+8 > int64(len(list)) {
			return place{kind: broken}
		}
		table := int64(min(le.Uint64(list[8*k:]), 1<<62))
		if table == 0 {
			return none
		}
		if table < src.Size() {
			end = max(end, table+tables*cluster)
		}
		at := table + i%each*8
		if page == nil || at < pageAt || at+8 > pageAt+int64(len(page)) {
			pageAt = at &^ 4095
			page, _ = bound.ReadAt(src, pageAt, 4096, 4096)
			if at+8 > pageAt+int64(len(page)) {
				return place{kind: broken}
			}
		}
		switch e := le.Uint64(page[at-pageAt:]); e {
		case 0:
			return none
		case 1:
			return place{kind: zeros}
		default:
			return place{off: int64(min(e, 1<<62)), kind: stored}
		}
	}}
	if d.give(out, "qed.disk", "", qedBacking) && d.left(out, "qed.rest", max(end, d.end)) {
		out.Tail(src, max(end, d.end), "qed.rest")
	}
}

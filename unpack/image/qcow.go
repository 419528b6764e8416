package image

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// QCOW reads QEMU's images of disks, versions 1 to 3 (QEMU, docs/interop/qcow2.rst;
// block/qcow.c for version 1). All numbers are big-endian.
//
//	0 "QFI\xfb", version u32; 8 where the name of the backing file is u64, length u32;
//	20 cluster bits u32, 24 size u64, 32 encryption u32, 36 entries of the L1 table u32, 40 where it is u64,
//	48 where the table of counts is u64, 56 its clusters u32, 60 snapshots u32, 64 where their table is u64,
//	72 incompatible features u64, 88 others u64, 96 log2 of a count's bits u32, 104 compression u8
//
// An entry of L1 leads to a table L2, and an entry of that to a cluster: as it
// is, all zeros, compressed, or nowhere, which is zeros, or the backing file's.
// The disk is a child, and so is what each snapshot holds, and what stands behind all
// that the tables lead to ("qcow2.rest").
func QCOW() unpack.Format {
	return unpack.Format{
		Name:  "qcow2",
		Match: func(p *unpack.Probe) bool { return p.Type.String() == "qcow2" },
		Walk:  func(src showcause.Source, out *unpack.Out) { (&qcow{src: src, out: out}).walk() },
	}
}

const (
	qcowBacking  = showcause.Unsupported + ".format.qcow2-backing" // parts of the disk are in another file
	qcowFeature  = showcause.Unsupported + ".method.qcow2-feature"
	maxTable     = 32 << 20 // bytes of an L1 table: QEMU's own bound
	qcowL2Cached = 16
)

type qcow struct {
	src     showcause.Source
	out     *unpack.Out
	version uint32
	bits    uint // of a cluster's size
	l2Bits  uint // of the entries of an L2 table
	size    int64
	backed  bool
	zstd    bool
	end     int64 // of what is used of the image
	all     *usage
}

func (q *qcow) walk() {
	be := binary.BigEndian
	h := make([]byte, 112)
	n := copy(h, bound.Head(q.src, 112))
	corrupt := func() { q.out.Gap(showcause.Corrupt, 0, -1) }
	if least := map[uint32]int{1: 48, 2: 72}[be.Uint32(h[4:])]; n < max(least, 48) || least == 0 && n < 104 {
		corrupt()
		return
	}
	q.version = be.Uint32(h[4:])
	q.size = int64(min(be.Uint64(h[24:]), 1<<62))
	q.backed = be.Uint64(h[8:]) != 0
	crypt := be.Uint32(h[32:])
	l1, entries := be.Uint64(h[40:]), int64(be.Uint32(h[36:]))
	switch q.version {
	case 1:
		q.bits, q.l2Bits = uint(h[32]), uint(h[33])
		crypt = be.Uint32(h[36:])
		if q.bits < 9 || q.bits > 16 || q.l2Bits < 6 || q.l2Bits > 13 {
			corrupt()
			return
		}
		entries = q.size>>(q.bits+q.l2Bits) + 1
	case 2, 3:
		q.bits = uint(be.Uint32(h[20:]))
		if q.bits < 9 || q.bits > 21 {
			corrupt()
			return
		}
		q.l2Bits = q.bits - 3
		if q.version == 3 {
			features := be.Uint64(h[72:])
			if features&^0b1011 != 0 { // dirty, corrupt and the kind of compression can be lived with
				q.out.Gap(qcowFeature, 0, -1)
				return
			}
			q.zstd = features&8 != 0 && be.Uint32(h[100:]) > 104 && h[104] == 1
		}
	default:
		q.out.Gap(qcowFeature, 0, -1)
		return
	}
	if crypt != 0 {
		q.out.Gap(showcause.Encrypted, 0, -1)
		return
	}
	q.all = newUsage(q.src.Size())
	if q.version > 1 {
		q.refs(h)
	}
	if !q.disk("qcow2.disk", "", int64(min(l1, 1<<62)), entries, q.size) {
		return
	}
	if q.version == 1 {
		q.out.Tail(q.src, q.end, "qcow2.rest")
		return
	}
	at := int64(min(be.Uint64(h[64:]), 1<<62))
	for range be.Uint32(h[60:]) {
		s, ok := q.snapshot(at)
		if !ok {
			q.out.Gap(showcause.Corrupt, min(at, q.src.Size()), -1)
			return
		}
		if !q.disk("qcow2.snapshot", s.name, s.l1, s.entries, s.size) {
			return
		}
		at = s.next
		q.used(at, 0)
	}
	if q.counts(int64(min(be.Uint64(h[48:]), 1<<62)), int64(be.Uint32(h[56:]))) {
		if _, more := q.all.left(q.src, q.out, "qcow2.rest", q.end, func(int64) bool { return true }); more {
			q.out.Tail(q.src, q.end, "qcow2.rest")
		}
	}
}

// qcowSnapshot is an entry of the table of snapshots.
type qcowSnapshot struct {
	l1, entries, size, next int64
	name                    string
}

// snapshot reads the entry at an offset.
func (q *qcow) snapshot(at int64) (s qcowSnapshot, ok bool) {
	be := binary.BigEndian
	b, err := bound.ReadAt(q.src, at, 40, 40)
	if err != nil {
		return s, false
	}
	extra, id, name := int64(be.Uint32(b[36:])), int64(be.Uint16(b[12:])), int64(be.Uint16(b[14:]))
	s.l1, s.entries, s.size = int64(min(be.Uint64(b), 1<<62)), int64(be.Uint32(b[8:])), q.size
	if x, err := bound.ReadAt(q.src, at+40, 16, 16); err == nil && extra >= 16 && be.Uint64(x[8:]) < 1<<62 {
		s.size = int64(be.Uint64(x[8:]))
	}
	text, _ := bound.ReadAt(q.src, at+40+extra+id, name, 1<<16)
	s.name, s.next = string(text), (at+40+extra+id+name+7)&^7
	return s, true
}

// used says that n bytes at off are the image's.
func (q *qcow) used(off, n int64) {
	if off < q.src.Size() {
		q.end = max(q.end, bound.Add(off, n))
	}
}

// counts notes where the counts of references are: a table of n clusters, each
// entry of which leads to a cluster. It tells whether to go on.
func (q *qcow) counts(table, n int64) bool {
	q.used(table, n<<q.bits)
	b, _ := bound.ReadAt(q.src, table, n<<q.bits, maxTable)
	for ; len(b) >= 8; b = b[8:] {
		if !q.out.Work(1) {
			return false
		}
		if e := binary.BigEndian.Uint64(b) &^ 511; e != 0 && e < 1<<62 {
			q.used(int64(e), 1<<q.bits)
		}
	}
	return true
}

// disk gives the disk that an L1 table describes.
func (q *qcow) disk(op, name string, l1, entries, size int64) bool {
	if need := (size + 1<<(q.bits+q.l2Bits) - 1) >> (q.bits + q.l2Bits); q.version > 1 && entries < need || 8*entries > maxTable {
		q.out.Gap(showcause.Corrupt, min(l1, q.src.Size()), -1)
		entries = min(entries, maxTable/8)
		size = min(size, entries<<(q.bits+q.l2Bits))
	}
	table, err := bound.ReadAt(q.src, l1, 8*entries, maxTable)
	if err != nil {
		q.out.Gap(showcause.Corrupt, min(l1, q.src.Size()), -1)
	}
	t := &qcowTable{q: q, l1: table, l2: map[int64][]byte{}}
	n := (size + 1<<q.bits - 1) >> q.bits
	d := &disk{src: q.src, size: size, block: 1 << q.bits, room: (n + 1<<q.l2Bits - 1) >> q.l2Bits << q.l2Bits, find: t.find, unpack: q.inflate}
	if q.version == 1 {
		d.all, d.meta = q.all, newUsage(q.src.Size())
		d.meta.mark(0, 72)
		d.meta.mark(l1, int64(len(table)))
		t.meta = d.meta
	}
	if q.zstd {
		d.unpack = unzstd
	}
	q.used(l1, int64(len(table)))
	more := d.give(q.out, op, name, qcowBacking)
	q.used(d.end-1, 1)
	return more && (q.version > 1 || d.left(q.out, "qcow2.rest", max(q.end, d.end)))
}

// qcowTable finds clusters. It keeps a few tables of the second level.
type qcowTable struct {
	q    *qcow
	l1   []byte
	l2   map[int64][]byte
	meta *usage // takes where tables are, if not nil
}

func (t *qcowTable) find(i int64) place {
	q := t.q
	none := place{kind: zeros}
	if q.backed {
		none.kind = absent
	}
	top, low := i>>q.l2Bits, i&(1<<q.l2Bits-1)
	if 8*top+8 > int64(len(t.l1)) {
		return place{kind: broken}
	}
	at := binary.BigEndian.Uint64(t.l1[8*top:])
	if q.version > 1 {
		at &= 1<<56 - 1<<9
	}
	if at == 0 {
		return none
	}
	l2, ok := t.l2[int64(at)]
	if !ok {
		b, err := bound.ReadAt(q.src, int64(min(at, 1<<62)), 8<<q.l2Bits, 16<<20)
		if err != nil {
			b = nil
		}
		if len(t.l2) >= qcowL2Cached {
			clear(t.l2)
		}
		l2 = b
		t.l2[int64(at)] = b
		q.used(int64(min(at, 1<<62)), int64(len(b)))
		if t.meta != nil {
			t.meta.mark(int64(min(at, 1<<62)), int64(len(b)))
		}
	}
	if l2 == nil {
		return place{kind: broken}
	}
	return q.cluster(binary.BigEndian.Uint64(l2[8*low:]), none)
}

// cluster reads an entry of an L2 table.
func (q *qcow) cluster(e uint64, none place) place {
	if q.version == 1 {
		switch {
		case e>>63 == 1:
			shift := 63 - q.bits
			return place{off: int64(e & (1<<shift - 1)), kind: packed, packed: int64(e >> shift & (1<<q.bits - 1))}
		case e == 0:
			return none
		}
		return place{off: int64(e), kind: stored}
	}
	if e>>62&1 == 1 {
		shift := 62 - (q.bits - 8)
		off := int64(e & (1<<shift - 1))
		sectors := int64(e>>shift&(1<<(62-shift)-1)) + 1
		return place{off: off, kind: packed, packed: sectors*512 - off&511}
	}
	if q.version == 3 && e&1 == 1 {
		return place{kind: zeros}
	}
	if e &= 1<<56 - 1<<9; e != 0 {
		return place{off: int64(e), kind: stored}
	}
	return none
}

func (q *qcow) inflate(dst, src []byte) error {
	r := flate.NewReader(bytes.NewReader(src))
	defer r.Close()
	return fills(r, dst)
}

// fills reads a cluster, and tells whether it is one.
func fills(r io.Reader, dst []byte) error {
	if _, err := io.ReadFull(r, dst); err != nil {
		return fmt.Errorf("compressed cluster: %w", bound.CutShort(err))
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return errors.New("compressed cluster: more than one")
	}
	return nil
}

func unzstd(dst, src []byte) error {
	r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.ReadFull(r, dst); err != nil { // behind it may be the next
		return fmt.Errorf("compressed cluster: %w", bound.CutShort(err))
	}
	return nil
}

package image

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	qcowClusters = 1 << 25 // of an image, at most: two bytes of each are held
	qcowPacked   = 1 << 18 // compressed clusters that are told apart
)

// qcowRefs counts how often each cluster of an image is referred to. The image counts
// that as well; where the two differ, one of its tables lies.
type qcowRefs struct {
	q      *qcow
	count  []uint16
	shared *usage // clusters with compressed ones in them
	packed map[int64]bool
	bad    bool
}

// add notes a reference to each cluster of n bytes at off.
func (r *qcowRefs) add(off, n int64) {
	bits := r.q.bits
	for c, end := off>>bits, (bound.Add(off, n)+1<<bits-1)>>bits; c < end && c < int64(len(r.count)); c++ {
		if r.count[c] < 1<<16-1 {
			r.count[c]++
		}
	}
}

// table notes what a table of the first level leads to, for a disk of size bytes.
func (r *qcowRefs) table(l1 []byte, size int64) {
	q, be := r.q, binary.BigEndian
	cluster := int64(1) << q.bits
	seen := map[int64]bool{}
	for i := int64(0); 8*i+8 <= int64(len(l1)) && q.out.Work(16); i++ {
		at := int64(be.Uint64(l1[8*i:]) & (1<<56 - 1<<9))
		if at == 0 {
			continue
		}
		if seen[at] {
			r.bad = true // one table for two places
			continue
		}
		seen[at] = true
		r.use(at, cluster)
		b, err := bound.ReadAt(q.src, at, cluster, 16<<20)
		r.bad = r.bad || err != nil || at%cluster != 0 || i<<(q.bits+q.l2Bits) >= size || !q.out.Work(cluster/8)
		for k := int64(0); 8*k+8 <= int64(len(b)); k++ {
			e := be.Uint64(b[8*k:])
			if e == 0 {
				continue
			}
			r.cluster(e)
			r.bad = r.bad || (i<<q.l2Bits+k)<<q.bits >= size
		}
	}
}

// cluster notes an entry of a table of the second level. One that is said to be zeros
// keeps its place, and what stands there is of no disk.
func (r *qcowRefs) cluster(e uint64) {
	p, cluster := r.q.cluster(e, place{}), int64(1)<<r.q.bits
	switch {
	case p.kind == packed:
		r.bad = r.bad || r.packed[p.off]
		if len(r.packed) < qcowPacked {
			r.packed[p.off] = true
		}
		r.use(p.off, p.packed)
		r.shared.mark(p.off>>r.q.bits<<r.q.bits, cluster)
	case e&^1 == 0:
	default:
		off := int64(e & (1<<56 - 1<<9))
		r.bad = r.bad || e&0x1fe != 0 || off%cluster != 0 || r.shared.any(off, cluster)
		if r.add(off, cluster); p.kind == stored {
			r.q.all.mark(off, cluster)
		}
	}
}

// use is add for what is read.
func (r *qcowRefs) use(off, n int64) {
	r.add(off, n)
	r.q.all.mark(off, n)
}

// check holds the counts against those of the image: a table of n clusters at table,
// which leads to clusters of numbers of 1<<order bits. Where spare, some clusters are
// in use by what is not read.
func (r *qcowRefs) check(table, n int64, order uint, spare bool) bool {
	q, be := r.q, binary.BigEndian
	if order > 6 {
		return false
	}
	list, err := bound.ReadAt(q.src, table, bound.Mul(n, 1<<q.bits), maxTable)
	if err != nil {
		return false
	}
	r.use(table, n<<q.bits)
	for b := list; len(b) >= 8; b = b[8:] {
		if e := be.Uint64(b) &^ 511; e != 0 {
			r.use(int64(min(e, 1<<62)), 1<<q.bits)
		}
	}
	per := int64(8) << q.bits >> order
	var block []byte
	for c := range int64(len(r.count)) {
		if k := c % per; k == 0 {
			block = nil
			if i := c / per; 8*i+8 <= int64(len(list)) {
				if e := be.Uint64(list[8*i:]) &^ 511; e != 0 {
					block, _ = bound.ReadAt(q.src, int64(min(e, 1<<62)), 1<<q.bits, 2<<20)
				}
			}
			if !q.out.Work(per / 64) {
				return true
			}
		}
		got := counted(block, c%per, order)
		if want := uint64(r.count[c]); got < want || got > want && !spare && want < 1<<16-1 {
			return false
		}
	}
	return true
}

// counted is number i of those of 1<<order bits; smaller ones than a byte stand from
// its lowest bit on.
func counted(b []byte, i int64, order uint) uint64 {
	if order < 3 {
		if i >= int64(len(b))<<3>>order {
			return 0
		}
		per := int64(8) >> order
		return uint64(b[i/per]) >> (uint(i%per) << order) & (1<<(1<<order) - 1)
	}
	n := int64(1) << (order - 3)
	if (i+1)*n > int64(len(b)) {
		return 0
	}
	v := uint64(0)
	for _, c := range b[i*n : (i+1)*n] {
		v = v<<8 | uint64(c)
	}
	return v
}

// refs looks whether the image counts its clusters right. h is the header.
func (q *qcow) refs(h []byte) {
	be := binary.BigEndian
	r := &qcowRefs{q: q, shared: newUsage(q.src.Size()), packed: map[int64]bool{}}
	if n := q.src.Size()>>q.bits + 1; n <= qcowClusters {
		r.count = make([]uint16, (q.src.Size()+1<<q.bits-1)>>q.bits)
	}
	r.use(0, 1<<q.bits)
	read := func(at, entries, size int64) {
		b, _ := bound.ReadAt(q.src, at, min(8*entries, maxTable), maxTable)
		r.use(at, int64(len(b)))
		clear(r.packed) // disks may have them in common
		r.table(b, size)
	}
	read(int64(min(be.Uint64(h[40:]), 1<<62)), int64(be.Uint32(h[36:])), q.size)
	from := int64(min(be.Uint64(h[64:]), 1<<62))
	at := from
	for range be.Uint32(h[60:]) {
		s, ok := q.snapshot(at)
		if !ok || !q.out.Work(16) {
			break
		}
		read(s.l1, s.entries, s.size)
		at = s.next
	}
	if be.Uint32(h[60:]) > 0 {
		r.use(from, at-from)
	}
	order, spare := uint(4), false
	if q.version == 3 {
		order, spare = uint(be.Uint32(h[96:])), be.Uint64(h[88:]) != 0
		if be.Uint64(h[72:])&1 != 0 {
			return // the counts are behind
		}
	}
	right := r.check(int64(min(be.Uint64(h[48:]), 1<<62)), int64(be.Uint32(h[56:])), order, spare)
	if (r.bad || !right) && q.out.Work(1) {
		q.out.Gap(showcause.Corrupt, 0, -1)
	}
}

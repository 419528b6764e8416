package volume

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// ExFAT reads exFAT (Microsoft, "exFAT file system specification").
//
//	0   3 "EXFAT   ", 80 sector of the table u32, 84 its sectors, 88 sector of the clusters, 92 clusters,
//	    96 cluster of the root, 108 log2 of a sector's bytes u8, 109 log2 of a cluster's sectors u8
//	entries of a directory, 32 bytes: 0x85 file (1 how many follow, 4 kind u16); 0xc0 where it is (1 flags,
//	    3 length of the name, 8 valid bytes u64, 20 cluster u32, 24 bytes u64); 0xc1 fifteen characters of its name
//
// With flag 2 the clusters follow each other, and the table does not count.
func ExFAT() unpack.Format {
	return unpack.Format{
		Name:  "exfat",
		Match: func(p *unpack.Probe) bool { return p.Is("exfat") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&exfat{fat: fat{giver: giver{src: src, out: out}, seen: map[int64]bool{}, bits: 32}}).walk()
		},
	}
}

// exfat uses the chains of fat: the table is one of 32 bits.
type exfat struct{ fat }

func (x *exfat) walk() {
	le := binary.LittleEndian
	b := bound.Head(x.src, 512)
	if len(b) < 512 || b[108] < 9 || b[108] > 12 || b[109] > 25-b[108] {
		x.corrupt(0)
		return
	}
	x.sector = 1 << b[108]
	x.cluster = x.sector << b[109]
	x.table, x.tableSize = int64(le.Uint32(b[80:]))*x.sector, int64(le.Uint32(b[84:]))*x.sector
	x.data, x.count = int64(le.Uint32(b[88:]))*x.sector, int64(le.Uint32(b[92:]))
	if x.data+x.count*x.cluster > x.src.Size() {
		x.corrupt(x.src.Size())
	}
	x.dir(int64(le.Uint32(b[96:])), -1, false, "", 0)
	x.rest("exfat.rest", x.data+x.count*x.cluster)
}

// stretch is where size bytes from cluster c on are.
func (x *exfat) stretch(c, size int64, whole bool) (runs []run, n int64, ok bool) {
	if !whole {
		return x.chain(c, size)
	}
	if c < 2 || c >= x.count+2 {
		return nil, 0, size == 0
	}
	n = (size + x.cluster - 1) / x.cluster * x.cluster
	room := (x.count + 2 - c) * x.cluster
	return []run{{x.data + (c-2)*x.cluster, min(n, room)}}, min(n, room), n <= room
}

func (x *exfat) dir(c, size int64, whole bool, name string, level int) {
	if x.seen[c] || !x.work(64) {
		return
	}
	x.seen[c] = true
	if level > depth {
		x.out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	runs, n, ok := x.stretch(c, size, whole)
	if !ok {
		x.corrupt(x.src.Size())
	}
	d := newFile(x.src, n, runs)
	var set []byte // the entries of one file
	for at := int64(0); at < n && x.work(2); at += 32 {
		b, err := bound.ReadAt(d, at, 32, 32)
		if err != nil || d.bad {
			x.corrupt(x.src.Size())
			return
		}
		switch {
		case b[0] == 0:
			return
		case b[0] == 0x85:
			set = b
		case len(set) > 0 && (b[0] == 0xc0 || b[0] == 0xc1):
			set = append(set, b...)
		default:
			set = nil
		}
		if len(set) > 32 && len(set) == 32*(1+int(set[1])) {
			x.entry(set, name, level)
			set = nil
		}
	}
}

// entry gives what a set of entries describes.
func (x *exfat) entry(set []byte, dir string, level int) {
	le := binary.LittleEndian
	s := set[32:]
	if s[0] != 0xc0 {
		x.corrupt(x.src.Size())
		return
	}
	var text []uint16
	for b := s[32:]; len(b) >= 32 && b[0] == 0xc1; b = b[32:] {
		for i := 2; i < 32; i += 2 {
			text = append(text, le.Uint16(b[i:]))
		}
	}
	name := join(dir, string(utf16.Decode(text[:min(len(text), int(s[3]))])))
	c, size, valid := int64(le.Uint32(s[20:])), int64(min(le.Uint64(s[24:]), 1<<62)), int64(min(le.Uint64(s[8:]), 1<<62))
	whole := s[1]&2 != 0
	if le.Uint16(set[4:])&attrDir != 0 {
		x.dir(c, size, whole, name, level+1)
		return
	}
	if size == 0 {
		return
	}
	runs, n, ok := x.stretch(c, min(valid, size), whole)
	if !ok {
		x.corrupt(x.src.Size())
		size = min(size, n)
	}
	f := newFile(x.src, min(valid, size), runs) // what is not valid yet is zeros
	x.give("exfat.file", name, size, f.runs)
}

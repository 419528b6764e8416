package volume

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// ExFAT reads exFAT (Microsoft, "exFAT file system specification").
//
//	0   3 "EXFAT   ", 80 sector of the table u32, 84 its sectors, 88 sector of the clusters, 92 clusters,
//	    96 cluster of the root, 108 log2 of a sector's bytes u8, 109 log2 of a cluster's sectors u8
//	entries of a directory, 32 bytes: 0x85 file (1 how many follow, 4 kind u16); 0xc0 where it is (1 flags,
//	    3 length of the name, 8 valid bytes u64, 20 cluster u32, 24 bytes u64); 0xc1 fifteen characters of its name
//
// With flag 2 the clusters follow each other, and the table does not count. Entry 0x81
// of the root says which clusters are in use; those that nothing was found in are
// children, "exfat.lost". The first sectors and each set of entries have a sum.
func ExFAT() unpack.Format {
	return unpack.Format{
		Name:  "exfat",
		Match: func(p *unpack.Probe) bool { return p.Is("exfat") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&exfat{fat: fat{Giver: giverOf(src, out), seen: map[int64]bool{}, bits: 32}}).walk()
		},
	}
}

// exfat uses the chains of fat: the table is one of 32 bits.
type exfat struct {
	fat
	used   []extent.Bitmap
	damage bool // was said
}

func (x *exfat) walk() {
	le := binary.LittleEndian
	b := bound.Head(x.Src, 512)
	if len(b) < 512 || b[108] < 9 || b[108] > 12 || b[109] > 25-b[108] {
		x.Corrupt(0)
		return
	}
	x.sector = 1 << b[108]
	x.cluster = x.sector << b[109]
	x.table, x.tableSize = int64(le.Uint32(b[80:]))*x.sector, int64(le.Uint32(b[84:]))*x.sector
	x.data, x.count = int64(le.Uint32(b[88:]))*x.sector, int64(le.Uint32(b[92:]))
	if x.data+x.count*x.cluster > x.Src.Size() {
		x.Corrupt(x.Src.Size())
	}
	x.Books = extent.NewBooks(x.data, x.cluster, x.count)
	if x.count > x.tableSize/4 || !x.bootSum() {
		x.Corrupt(0)
	}
	x.dir(int64(le.Uint32(b[96:])), -1, false, "", 0)
	if len(x.used) == 0 {
		x.Corrupt(x.data) // there must be one
	}
	for i := range x.used { // there may be one for each table
		x.Lost("exfat.lost", &x.used[i])
	}
	x.Rest("exfat.rest", x.data+x.count*x.cluster)
}

// damaged says that something could not be read, once.
func (x *exfat) damaged() {
	if !x.damage {
		x.damage = true
		x.Corrupt(x.Src.Size())
	}
}

// bootSum tells whether the sum of the first eleven sectors stands in the twelfth. Two
// bytes of flags and one of how full the volume is are not in it.
func (x *exfat) bootSum() bool {
	b, err := bound.ReadAt(x.Src, 0, 12*x.sector, 12*4096)
	if err != nil {
		return false
	}
	sum := uint32(0)
	for i, c := range b[:11*x.sector] {
		if i != 106 && i != 107 && i != 112 {
			sum = sum<<31 | sum>>1
			sum += uint32(c)
		}
	}
	return binary.LittleEndian.Uint32(b[11*x.sector:]) == sum
}

// setSum tells whether the sum of a set of entries is right.
func setSum(set []byte) bool {
	sum := uint16(0)
	for i, c := range set {
		if i != 2 && i != 3 {
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	return binary.LittleEndian.Uint16(set[2:]) == sum
}

// system takes an entry of the volume's own: where its list of clusters is, or of letters.
func (x *exfat) system(b []byte) {
	le := binary.LittleEndian
	c, size := int64(le.Uint32(b[20:])), int64(min(le.Uint64(b[24:]), 1<<62))
	runs, n, ok := x.chain(c, size)
	if !ok || b[0] == 0x81 && size != (x.count+7)/8 {
		x.damaged()
	}
	if b[0] == 0x81 {
		x.used = append(x.used, extent.Bitmap{Src: extent.NewFile(x.Src, min(n, size), runs)})
	}
}

// stretch is where size bytes from cluster c on are.
func (x *exfat) stretch(c, size int64, whole bool) (runs []extent.Run, n int64, ok bool) {
	if !whole {
		return x.chain(c, size)
	}
	if c < 2 || c >= x.count+2 {
		return nil, 0, size == 0
	}
	room := (x.count + 2 - c) * x.cluster
	n = bound.Add(size, x.cluster-1) / x.cluster * x.cluster
	x.TookFile(x.data+(c-2)*x.cluster, min(n, room))
	return []extent.Run{{Off: x.data + (c-2)*x.cluster, N: min(n, room)}}, min(n, room), n <= room
}

func (x *exfat) dir(c, size int64, whole bool, name string, level int) {
	if x.seen[c] {
		x.Books.Twice = true
		return
	}
	if !x.Work(64) {
		return
	}
	x.seen[c] = true
	if level > extent.Depth {
		x.Out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	runs, n, ok := x.stretch(c, size, whole)
	if !ok {
		x.Corrupt(x.Src.Size())
	}
	d := extent.NewFile(x.Src, n, runs)
	var set []byte // the entries of one file
	for at := int64(0); at < n && x.Work(2); at += 32 {
		b, err := bound.ReadAt(d, at, 32, 32)
		if err != nil || d.Bad {
			x.Corrupt(x.Src.Size())
			return
		}
		if len(set) > 0 && b[0]&0xc0 == 0xc0 { // it goes on
			if set = append(set, b...); len(set) == 32*(1+int(set[1])) {
				x.entry(set, name, level)
				set = nil
			}
			continue
		}
		if len(set) > 0 {
			x.damaged() // it ends before its end
			set = nil
		}
		switch {
		case b[0] == 0:
			return
		case b[0] == 0x85:
			set = b
		case b[0] == 0x81 || b[0] == 0x82:
			x.system(b)
		case b[0]&0x80 != 0 && b[0] != 0x83 && b[0] != 0xa0:
			x.damaged()
		}
	}
	if len(set) > 0 {
		x.damaged()
	}
}

// entry gives what a set of entries describes.
func (x *exfat) entry(set []byte, dir string, level int) {
	le := binary.LittleEndian
	s := set[32:]
	if !setSum(set) {
		x.damaged()
	}
	if s[0] != 0xc0 {
		x.damaged()
		return
	}
	var text []uint16
	for b := s[32:]; len(b) >= 32 && b[0] == 0xc1; b = b[32:] {
		for i := 2; i < 32; i += 2 {
			text = append(text, le.Uint16(b[i:]))
		}
	}
	name := extent.Join(dir, string(utf16.Decode(text[:min(len(text), int(s[3]))])))
	c, size, valid := int64(le.Uint32(s[20:])), int64(min(le.Uint64(s[24:]), 1<<62)), int64(min(le.Uint64(s[8:]), 1<<62))
	whole := s[1]&2 != 0
	if le.Uint16(set[4:])&attrDir != 0 {
		x.dir(c, size, whole, name, level+1)
		return
	}
	if size == 0 {
		return
	}
	runs, n, ok := x.stretch(c, size, whole)
	if !ok {
		x.Corrupt(x.Src.Size())
		size = min(size, n)
	}
	f := extent.NewFile(x.Src, min(valid, size), runs) // what is not valid yet is zeros
	x.Give("exfat.file", name, size, f.Runs)
}

package volume

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/extent"
)

// FAT reads FAT12, FAT16 and FAT32 (Microsoft, "FAT: General Overview of
// On-Disk Format", 1.03).
//
//	0    11 bytes of a sector u16, 13 sectors of a cluster u8, 14 reserved sectors u16, 16 tables u8,
//	     17 entries of the root u16, 19, 32 sectors, 22, 36 sectors of a table, 44 cluster of the root u32
//	     reserved sectors, tables, root (FAT12, FAT16), clusters from 2 on
//	an entry of a directory: name [11], 11 kind u8, 20, 26 first cluster, 28 size u32; long names stand in front
//
// Where the copies of the table differ, files are read by each, with a note. Where a
// file's chain goes on behind its size, the whole of it is a child too. Chains that
// are in no directory are children without a name, "fat.lost".
func FAT() unpack.Format {
	return unpack.Format{
		Name:  "fat",
		Match: func(p *unpack.Probe) bool { return p.Is("fat") },
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&fat{Giver: giverOf(src, out), given: map[[32]byte]bool{}}).walk()
		},
	}
}

const (
	fatTable  = showcause.Ambiguous + ".fat.table"
	fatSize   = showcause.Ambiguous + ".fat.size" // a file is shorter than its clusters
	attrLabel = 0x08
	attrDir   = 0x10
	attrLong  = 0x0f
)

type fat struct {
	extent.Giver
	sector, cluster int64
	data            int64 // where cluster 2 is
	count           int64 // of clusters
	bits            int
	table           int64 // where the table is that is used now
	tableSize       int64
	cache           []byte // of the table
	cached          int64
	value           int64 // what the table says of the cluster that next was asked for
	given           map[[32]byte]bool
	seen            map[int64]bool     // directories by their first cluster
	chains          map[int64]fatChain // those of files, by their first cluster
	copies          bool               // the table is not the first
	bad             bool               // the entries of a directory are none, and it was said
}

func (f *fat) walk() {
	le := binary.LittleEndian
	b := bound.Head(f.Src, 512)
	if len(b) < 512 {
		f.Corrupt(0)
		return
	}
	f.sector = int64(le.Uint16(b[11:]))
	f.cluster = f.sector * int64(b[13])
	tables, root := int64(b[16]), int64(le.Uint16(b[17:]))*32
	total, size := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	wide := size == 0
	if wide {
		size = int64(le.Uint32(b[36:]))
	}
	if f.sector < 128 || f.sector > 4096 || f.sector&(f.sector-1) != 0 || b[13]&(b[13]-1) != 0 || b[13] == 0 || tables == 0 || size == 0 {
		f.Corrupt(0)
		return
	}
	if wide == (root > 0) {
		f.Corrupt(0) // FAT32 has no root of that kind, and the others need one
	}
	first := int64(le.Uint16(b[14:])) * f.sector
	f.tableSize = size * f.sector
	start := first + tables*f.tableSize
	f.data = start + (root+f.sector-1)/f.sector*f.sector
	f.count = (total*f.sector - f.data) / f.cluster
	if total*f.sector > f.Src.Size() {
		f.Corrupt(f.Src.Size())
	}
	switch {
	case wide || f.count >= 65525:
		f.bits = 32
	case f.count >= 4085:
		f.bits = 16
	default:
		f.bits = 12
	}
	if wide {
		f.backup(b)
	}
	if f.count <= 0 || (f.count+2)*int64(f.bits) > f.tableSize*8 {
		f.Corrupt(first)
	}
	f.Books = extent.NewBooks(f.data, f.cluster, max(f.count, 0))
	for i, t := range f.tables(first, min(tables, 4)) {
		f.table, f.cache, f.seen, f.chains, f.copies = t, nil, map[int64]bool{}, map[int64]fatChain{}, i > 0
		if id, err := bound.ReadAt(f.Src, t, 2, 2); err != nil || id[0] != b[21] || id[1] != 0xff {
			f.Corrupt(t) // a table begins with the kind of the medium
		}
		if wide {
			f.directory(int64(le.Uint32(b[44:])), "", 0)
		} else {
			whole, err := bound.ReadAt(f.Src, start, root, 1<<21)
			if err != nil {
				f.Corrupt(start)
			}
			f.entries(&names{}, whole, "", 0)
			if !f.bad && !rootEnds(whole) {
				f.Corrupt(start) // it is not as long as that
			}
		}
		f.lostChains()
	}
	if f.Books.Twice && !f.Stop {
		f.Corrupt(f.data)
	}
	f.Rest("fat.rest", max(f.data+f.count*f.cluster, f.data))
}

// tables are where the copies of the table stand that differ.
func (f *fat) tables(first, n int64) (out []int64) {
	var sums [][32]byte
	for i := range n {
		at := first + i*f.tableSize
		h := sha256.New()
		for off := int64(0); off < f.tableSize; off += 1 << 16 {
			if !f.Work(1 << 9) {
				return out
			}
			b, _ := bound.ReadAt(f.Src, at+off, min(1<<16, f.tableSize-off), 1<<16)
			h.Write(b)
		}
		sum := [32]byte(h.Sum(nil))
		fresh := true
		for _, s := range sums {
			fresh = fresh && s != sum
		}
		if fresh {
			sums, out = append(sums, sum), append(out, at)
		}
	}
	if len(out) > 1 {
		f.Out.Gap(fatTable, 0, -1)
	}
	return out
}

// next is the cluster after c: 0 where the chain ends, below 0 where it breaks.
func (f *fat) next(c int64) int64 {
	f.value = 0
	at := c * int64(f.bits) / 8
	if f.cache == nil || at < f.cached || at+4 > f.cached+int64(len(f.cache)) {
		f.cached = max(at-at%4096, 0)
		f.cache, _ = bound.ReadAt(f.Src, f.table+f.cached, min(8192, f.tableSize-f.cached+4), 8192)
	}
	i := at - f.cached
	if at+int64(f.bits+7)/8 > f.tableSize || i+int64(f.bits+7)/8 > int64(len(f.cache)) {
		return -1
	}
	var v, end int64
	le := binary.LittleEndian
	defer func() { f.value = v }()
	switch f.bits {
	case 12:
		v = int64(le.Uint16(f.cache[i:]))
		if c&1 == 1 {
			v >>= 4
		}
		v, end = v&0xfff, 0xff8
	case 16:
		v, end = int64(le.Uint16(f.cache[i:])), 0xfff8
	default:
		v, end = int64(le.Uint32(f.cache[i:])&0x0fffffff), 0x0ffffff8
	}
	if v >= end {
		return 0
	}
	if v < 2 || v >= f.count+2 {
		return -1
	}
	return v
}

// rootEnds tells whether there is nothing behind the end of the root.
func rootEnds(b []byte) bool {
	for len(b) >= 32 && b[0] != 0 {
		b = b[32:]
	}
	return len(bytes.Trim(b, "\x00")) == 0
}

// backup looks whether the copy of the first sector says the same.
func (f *fat) backup(b []byte) {
	at := int64(binary.LittleEndian.Uint16(b[50:]))
	if at == 0 || at == 0xffff {
		return
	}
	c, err := bound.ReadAt(f.Src, at*f.sector, 512, 512)
	if err != nil || !bytes.Equal(c[11:64], b[11:64]) {
		f.Corrupt(at * f.sector)
	}
}

// lostChains gives the chains that nothing leads to.
func (f *fat) lostChains() {
	led := extent.NewBooks(0, 1, f.count)
	each := func(visit func(i int64)) {
		end := min(f.count, (f.Src.Size()-f.data+f.cluster-1)/f.cluster)
		for i := int64(0); i < end; i++ {
			if i%64 == 0 && !f.Work(16) || f.Stop {
				return
			}
			if !f.Books.Has(i) && f.inUse(i+2) {
				visit(i)
			}
		}
	}
	some := false
	each(func(i int64) {
		some = true
		if next := f.next(i + 2); next > 0 {
			led.Mark(next-2, next-1)
		}
	})
	for _, rings := range []bool{false, true} {
		if !some {
			return
		}
		each(func(i int64) {
			if !led.Has(i) || rings {
				runs, n, ok := f.chain(i+2, -1)
				if !ok {
					f.Corrupt(f.Src.Size())
				}
				f.once("fat.lost", "", n, runs)
			}
		})
	}
}

// inUse tells whether the table says that cluster c holds something.
func (f *fat) inUse(c int64) bool {
	f.next(c)
	bad := int64(1)<<min(f.bits, 28) - 9
	return f.value != 0 && f.value != bad && (f.value != 1 || f.bits == 12)
}

// chain is where the clusters from c on are, for size bytes; size below 0 is
// all of them.
func (f *fat) chain(c, size int64) (runs []extent.Run, n int64, ok bool) {
	if c < 2 || c >= f.count+2 {
		return nil, 0, c == 0 && size <= 0
	}
	mark, power := c, int64(1)
	for steps := int64(1); size < 0 || n < size; steps++ {
		if steps > f.count || len(runs) >= extent.MaxRuns || !f.Work(1) {
			return runs, n, false
		}
		if !f.Books.Mark(c-2, c-1) && !f.copies {
			f.Books.Twice = true
		}
		off := f.data + (c-2)*f.cluster
		if k := len(runs); k > 0 && runs[k-1].Off+runs[k-1].N == off {
			runs[k-1].N += f.cluster
		} else {
			runs = append(runs, extent.Run{Off: off, N: f.cluster})
		}
		n += f.cluster
		if c = f.next(c); c <= 0 {
			return runs, n, c == 0 && n >= size
		}
		if c == mark { // a ring (Brent's method)
			return runs, n, false
		}
		if steps == power {
			mark, power = c, 2*power
		}
	}
	return runs, n, true
}

func (f *fat) directory(c int64, name string, level int) {
	if f.seen[c] {
		f.Books.Twice = f.Books.Twice || !f.copies
		return
	}
	if !f.Work(64) {
		return
	}
	f.seen[c] = true
	if level > extent.Depth {
		f.Out.Gap(showcause.LimitDepth, 0, -1)
		return
	}
	runs, n, ok := f.chain(c, -1)
	if !ok {
		f.Corrupt(f.Src.Size())
	}
	d, long := extent.NewFile(f.Src, n, runs), names{}
	for at := int64(0); at < n && !f.Stop; at += f.cluster {
		b, err := bound.ReadAt(d, at, f.cluster, 1<<20)
		if err != nil || d.Bad {
			f.Corrupt(f.Src.Size())
			return
		}
		if !f.entries(&long, b, name, level) {
			return
		}
	}
}

// names gathers the parts of a long name.
type names struct{ text []uint16 }

func (n *names) add(b []byte) {
	if b[0]&0x40 != 0 {
		n.text = nil
	}
	if len(n.text) >= 20*13 {
		return
	}
	part := make([]uint16, 0, 13)
	for _, r := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := r[0]; i < r[1]; i += 2 {
			part = append(part, binary.LittleEndian.Uint16(b[i:]))
		}
	}
	n.text = append(part, n.text...)
}

// take is the name of an entry, long or short.
func (n *names) take(b []byte) string {
	text := n.text
	n.text = nil
	if len(text) > 0 {
		for i, c := range text {
			if c == 0 {
				text = text[:i]
				break
			}
		}
		return string(utf16.Decode(text))
	}
	base, ext := strings.TrimRight(string(b[:8]), " "), strings.TrimRight(string(b[8:11]), " ")
	if b[12]&8 != 0 {
		base = strings.ToLower(base)
	}
	if b[12]&16 != 0 {
		ext = strings.ToLower(ext)
	}
	if ext != "" {
		base += "." + ext
	}
	return base
}

// entries reads a part of a directory. It tells whether there may be more.
func (f *fat) entries(long *names, b []byte, dir string, level int) bool {
	le := binary.LittleEndian
	for ; len(b) >= 32; b = b[32:] {
		if !f.Work(2) || b[0] == 0 {
			return false
		}
		kind := b[11]
		switch {
		case b[0] == 0xe5:
			long.text = nil
			continue
		case !f.bad && !fatEntry(b):
			f.bad = true
			f.Corrupt(f.Src.Size())
			long.text = nil
			continue
		case kind&0x3f == attrLong:
			long.add(b)
			continue
		case kind&attrLabel != 0 || bytes.HasPrefix(b, []byte(".          ")) || bytes.HasPrefix(b, []byte("..         ")):
			long.text = nil
			continue
		}
		name := extent.Join(dir, long.take(b))
		c := int64(le.Uint16(b[26:]))
		if f.bits == 32 {
			c |= int64(le.Uint16(b[20:])) << 16
		}
		if kind&attrDir != 0 {
			f.directory(c, name, level+1)
		} else {
			f.file(c, int64(le.Uint32(b[28:])), name)
		}
	}
	return true
}

// fatEntry tells whether an entry can be one: two bits of its kind are never set, and a
// name has no control characters. Those of a long name hold anything.
func fatEntry(b []byte) bool {
	if b[11]&0x3f == attrLong {
		return b[26] == 0 && b[27] == 0
	}
	for i, c := range b[:11] {
		if c < 0x20 && (i > 0 || c != 5) {
			return false
		}
	}
	return b[11]&0xc0 == 0
}

// fatChain is what is known of a chain that was followed to its end: its bytes, and
// whether it ends as it should.
type fatChain struct {
	n  int64
	ok bool
}

func (f *fat) file(c, size int64, name string) {
	if size == 0 && c == 0 {
		return
	}
	if whole, ok := f.chains[c]; ok {
		f.again(c, size, whole, name)
		return
	}
	runs, n, ok := f.chain(c, -1)
	f.chains[c] = fatChain{n, ok}
	if n == 0 {
		f.Corrupt(f.Src.Size())
		return
	}
	if n > size && n-size >= f.cluster {
		f.Out.Gap(fatSize, f.Src.Size(), -1)
		f.once("fat.file", name, n, runs)
	} else {
		ok = ok && n >= size
	}
	if !ok {
		f.Corrupt(f.Src.Size())
	}
	f.once("fat.file", name, min(size, n), runs)
}

// again gives a file that begins where another does, which was followed to its end: a
// directory may have very many entries for one long chain.
func (f *fat) again(c, size int64, whole fatChain, name string) {
	f.Books.Twice = f.Books.Twice || !f.copies
	runs, n, _ := f.chain(c, size)
	if !whole.ok || n < size {
		f.Corrupt(f.Src.Size())
	}
	f.once("fat.file", name, min(size, n), runs)
}

// once gives a file that was not given yet.
func (f *fat) once(op, name string, size int64, runs []extent.Run) {
	h := sha256.New()
	for _, r := range runs {
		_ = binary.Write(h, binary.LittleEndian, r) // to a hash: cannot fail
	}
	_ = binary.Write(h, binary.LittleEndian, size)
	if k := [32]byte(h.Sum(nil)); f.given[k] {
		return
	} else {
		f.given[k] = true
	}
	f.Give(op, name, size, runs)
}

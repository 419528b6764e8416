package image

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	gptMagic = "EFI PART"
	gptTable = showcause.Ambiguous + ".gpt.table"
)

// GPT reads tables of partitions of UEFI (UEFI Specification 2.10, 5.3).
//
//	sector 1   "EFI PART", ..., 32 u64 sector of the other header, 72 u64 sector
//	           of the entries, 80 u32 how many, 84 u32 bytes of one
//	an entry   type [16], id [16], first u64, last u64, flags u64, name UTF-16 [36]
//
// The copy at the end is read too; a partition that only one of them has is
// a child as well, with a note. Where the first is gone the copy is looked for in the
// last sector. What stands in no partition and is in no copy is a child, "gpt.rest".
func GPT() unpack.Format {
	return unpack.Format{
		Name: "gpt",
		Match: func(p *unpack.Probe) bool {
			if p.Is("gpt") || p.Source == nil {
				return p.Is("gpt")
			}
			return (p.Type == filetype.Unknown || p.Type.String() == "mbr") && gptByCopy(p.Source)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			if !blocks(filetype.Detect(bound.Head(src, unpack.HeadSize), src)) || gptSound(src) {
				walkGPT(src, out)
			}
		},
	}
}

// blocks tells whether a layer holds a disk in blocks, in whatever order, so that its
// own second sector is not the disk's.
func blocks(t filetype.Type) bool {
	switch t.String() {
	case "qcow2", "vmdk", "vhd", "vhdx", "vdi", "parallels", "qed", "dmg":
		return true
	}
	return false
}

// gptSound tells whether there is a header that is whole, with entries whose sum is right.
func gptSound(src showcause.Source) bool {
	const most = 1 << 20
	le := binary.LittleEndian
	list, n := gptPlaces(src)
	return slices.ContainsFunc(list, func(at int64) bool {
		h, err := bound.ReadAt(src, at, min(n, src.Size()-at), 4096)
		if err != nil || !gptWhole(h, at/n) {
			return false
		}
		b, err := bound.ReadAt(src, bound.Mul(int64(min(le.Uint64(h[72:]), 1<<50)), n), bound.Mul(int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))), most)
		return err == nil && crc32.ChecksumIEEE(b) == le.Uint32(h[88:])
	})
}

// gptByCopy tells whether a header that is whole stands where its own number says: the
// files of virtual machines, and bytes that were put together, may end with any sector.
func gptByCopy(src showcause.Source) bool {
	list, n := gptPlaces(src)
	return slices.ContainsFunc(list, func(at int64) bool {
		h, err := bound.ReadAt(src, at, min(n, src.Size()-at), 4096)
		return err == nil && gptWhole(h, at/n)
	})
}

// gptWhole tells whether h is a header for the sector of that number, with the right
// sum, which it sets to 0.
func gptWhole(h []byte, number int64) bool {
	if len(h) < 92 || string(h[:8]) != gptMagic {
		return false
	}
	le := binary.LittleEndian
	size := int64(le.Uint32(h[12:]))
	if size < 92 || size > int64(len(h)) || int64(le.Uint64(h[24:])) != number {
		return false
	}
	sum := le.Uint32(h[16:])
	clear(h[16:20])
	return crc32.ChecksumIEEE(h[:size]) == sum
}

// gptPlaces are where headers stand without being led to, and the size of a sector, 0 if
// there is none: behind the first sector, and in the last.
func gptPlaces(src showcause.Source) (list []int64, size int64) {
	for _, n := range []int64{512, 4096} {
		for _, at := range []int64{n, src.Size()/n*n - n} {
			b, err := bound.ReadAt(src, at, 8, 8)
			if err == nil && string(b) == gptMagic && (size == 0 || size == n) {
				list, size = append(list, at), n
			}
		}
	}
	return list, size
}

func walkGPT(src showcause.Source, out *unpack.Out) {
	_, n := gptPlaces(src)
	if n == 0 {
		n = 512
	}
	last := src.Size()/n*n - n
	first, firstOK := gptRead(src, out, n, n)
	at := last
	if firstOK && first.other > n {
		at = first.other
	}
	second, secondOK := gptRead(src, out, n, at)
	if !secondOK && at != last {
		second, secondOK = gptRead(src, out, n, last)
	}
	if !firstOK || !secondOK {
		out.Gap(showcause.Corrupt, min(n, src.Size()), -1)
	}
	list := first.list
	seen := map[extent]bool{}
	for _, e := range list {
		seen[e] = true
	}
	differ := len(first.list) != len(second.list)
	for _, e := range second.list {
		if !seen[e] {
			differ = true
			list = append(list, e)
		}
	}
	if differ && firstOK && secondOK {
		out.Gap(gptTable, 0, -1)
	}
	if differ && !firstOK && len(first.list) > 0 {
		out.Gap(gptTable, 0, -1) // it is read as it stands, all the same
	}
	partitions(src, out, "gpt.partition", list)
	gptCopy(src, out, n, at)
	gptCopy(src, out, n, last)
	if firstOK {
		out.Cover(0, n)
		out.Cover(n, n)
		out.Cover(first.at, first.size)
	}
	rest(src, out, "gpt.rest", n)
}

// gptHeader is a header and what it leads to.
type gptHeader struct {
	list     []extent
	at, size int64 // of the entries
	other    int64 // where the other header is
}

// gptRead reads the header at off. It tells whether the sums are right.
func gptRead(src showcause.Source, out *unpack.Out, sector, off int64) (g gptHeader, ok bool) {
	h, err := bound.ReadAt(src, off, min(sector, max(src.Size()-off, 0)), 4096)
	if off < sector || err != nil || len(h) < 92 || string(h[:8]) != gptMagic {
		return g, false
	}
	le := binary.LittleEndian
	ok = gptWhole(h, off/sector)
	g.other = bound.Mul(int64(min(le.Uint64(h[32:]), 1<<50)), sector)
	g.at = bound.Mul(int64(min(le.Uint64(h[72:]), 1<<50)), sector)
	n, each := int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	if each < 128 || each > 4096 {
		return g, false
	}
	g.size = bound.Mul(n, each)
	sum, crc := le.Uint32(h[88:]), crc32.NewIEEE()
	var listed bool
	g.list, listed = gptList(src, out, sector, g.at, n, each, crc)
	return g, ok && listed && crc.Sum32() == sum
}

// gptCopy covers the copy of the table whose header stands at off, where it is one:
// the entries are those of the first, and nothing is in the header's sector but it.
func gptCopy(src showcause.Source, out *unpack.Out, sector, off int64) {
	const most = 64 << 10
	le := binary.LittleEndian
	a, err := bound.ReadAt(src, sector, 92, 92)
	b, errB := bound.ReadAt(src, off, min(sector, max(src.Size()-off, 92)), 4096)
	if off <= sector || err != nil || errB != nil || string(b[:8]) != gptMagic || len(bytes.Trim(b[92:], "\x00")) > 0 {
		return
	}
	size := bound.Mul(int64(le.Uint32(b[80:])), int64(le.Uint32(b[84:])))
	from, to := bound.Mul(int64(min(le.Uint64(a[72:]), 1<<50)), sector), bound.Mul(int64(min(le.Uint64(b[72:]), 1<<50)), sector)
	x, err := bound.ReadAt(src, from, min(size, most), most)
	y, errB := bound.ReadAt(src, to, min(size, most), most)
	if err == nil && errB == nil && bytes.Equal(x, y) {
		out.Cover(to, int64(len(y)))
		out.Cover(off, sector)
	}
}

// gptList reads n entries at off. It tells whether all could be.
func gptList(src showcause.Source, out *unpack.Out, sector, off, n, size int64, sum io.Writer) (list []extent, ok bool) {
	le := binary.LittleEndian
	ok = true
	for i := range n {
		at := bound.Add(off, i*size)
		b, err := bound.ReadAt(src, at, size, 4096)
		if err != nil || !out.Work(16) {
			out.Gap(showcause.Corrupt, min(at, src.Size()), -1)
			return list, false
		}
		sum.Write(b)
		if bytes.Equal(b[:16], make([]byte, 16)) {
			continue
		}
		lo, hi := le.Uint64(b[32:]), le.Uint64(b[40:])
		if lo > hi || hi >= 1<<50 {
			out.Gap(showcause.Corrupt, min(at, src.Size()), 128)
			ok = false
			continue
		}
		u := make([]uint16, 36)
		for k := range u {
			u[k] = le.Uint16(b[56+2*k:])
		}
		name := string(utf16.Decode(u[:zeroAt(u)]))
		list = append(list, extent{off: int64(lo) * sector, size: int64(hi-lo+1) * sector, name: name})
	}
	return list, ok
}

func zeroAt(u []uint16) int {
	for i, c := range u {
		if c == 0 {
			return i
		}
	}
	return len(u)
}

// APM reads Apple's tables of partitions (Inside Macintosh: Devices, 3).
//
//	block 0    "ER", block size u16
//	block 1 on "PM", 4 u32 how many, 8 u32 first block, 12 u32 blocks, 16 name [32],
//	           48 type [32]; all big-endian
func APM() unpack.Format {
	return unpack.Format{
		Name:  "apm",
		Match: func(p *unpack.Probe) bool { return p.Is("apm") },
		Walk:  walkAPM,
	}
}

func walkAPM(src showcause.Source, out *unpack.Out) {
	be := binary.BigEndian
	h := bound.Head(src, 4)
	block := int64(512)
	if len(h) == 4 && string(h[:2]) == "ER" {
		if n := int64(be.Uint16(h[2:])); n >= 512 && n&(n-1) == 0 {
			block = n
		}
	}
	b, err := bound.ReadAt(src, block, 8, 8)
	if err != nil || string(b[:2]) != "PM" {
		block = 512 // of CDs: the table is in blocks of 512 whatever is said
	}
	var list []extent
	n := int64(1)
	for i := int64(1); i <= n; i++ {
		b, err := bound.ReadAt(src, i*block, 80, 80)
		if err != nil || string(b[:2]) != "PM" {
			out.Gap(showcause.Corrupt, min(i*block, src.Size()), -1)
			break
		}
		if !out.Work(16) {
			break
		}
		if i == 1 {
			n = int64(be.Uint32(b[4:]))
		} else if int64(be.Uint32(b[4:])) != n {
			out.Gap(showcause.Corrupt, i*block, 8)
		}
		if cstring(b[48:80]) == "Apple_partition_map" {
			continue
		}
		list = append(list, extent{int64(be.Uint32(b[8:])) * block, int64(be.Uint32(b[12:])) * block, cstring(b[16:48])})
	}
	partitions(src, out, "apm.partition", list)
	out.Cover(0, n*block+block)
	rest(src, out, "apm.rest", block)
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

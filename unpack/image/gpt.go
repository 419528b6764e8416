package image

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"

	"github.com/showcause/showcause"
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
// a child as well, with a note. What stands behind the last partition and is in no
// copy is a child, "gpt.rest".
func GPT() unpack.Format {
	return unpack.Format{
		Name:  "gpt",
		Match: func(p *unpack.Probe) bool { return p.Is("gpt") || gptSector(p.Source) != 0 },
		Walk:  func(src showcause.Source, out *unpack.Out) { walkGPT(src, out) },
	}
}

// gptSector is the size of a sector, 0 if there is no header behind the first.
func gptSector(src showcause.Source) int64 {
	for _, n := range []int64{512, 4096} {
		if b, err := bound.ReadAt(src, n, 8, 8); err == nil && string(b) == gptMagic {
			return n
		}
	}
	return 0
}

func walkGPT(src showcause.Source, out *unpack.Out) {
	n := gptSector(src)
	if n == 0 {
		n = 512
	}
	first, other, ok := gptList(src, out, n, n)
	if !ok {
		out.Gap(showcause.Corrupt, min(n, src.Size()), -1)
		other = src.Size()/n*n - n
	}
	second, _, okToo := gptList(src, out, n, other)
	if !okToo && ok {
		second, _, okToo = gptList(src, out, n, src.Size()/n*n-n)
		if !okToo {
			out.Gap(showcause.Corrupt, min(max(other, 0), src.Size()), -1)
		}
	}
	seen := map[extent]bool{}
	for _, e := range first {
		seen[e] = true
	}
	differ := ok && okToo && len(first) != len(second)
	for _, e := range second {
		if !seen[e] {
			differ = differ || ok
			first = append(first, e)
		}
	}
	if differ {
		out.Gap(gptTable, 0, -1)
	}
	partitions(src, out, "gpt.partition", first)
	gptCopy(src, out, n, other)
	gptCopy(src, out, n, src.Size()/n*n-n)
	rest(src, out, "gpt.rest", append(first, extent{off: 2 * n, size: n}))
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

// gptList reads the entries of the header at off, and where the other header stands.
func gptList(src showcause.Source, out *unpack.Out, sector, off int64) (list []extent, other int64, ok bool) {
	h, err := bound.ReadAt(src, off, 92, 92)
	if off < 0 || err != nil || string(h[:8]) != gptMagic {
		return nil, 0, false
	}
	le := binary.LittleEndian
	v := le.Uint64(h[72:])
	if v >= 1<<50 {
		return nil, 0, false
	}
	at := int64(v) * sector
	if v := le.Uint64(h[32:]); v < 1<<50 {
		other = int64(v) * sector
	}
	n, size := int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	if size < 128 || size > 4096 {
		return nil, other, false
	}
	for i := range n {
		b, err := bound.ReadAt(src, bound.Add(at, i*size), 128, 128)
		if err != nil {
			out.Gap(showcause.Corrupt, min(bound.Add(at, i*size), src.Size()), -1)
			break
		}
		if !out.Work(16) {
			break
		}
		if bytes.Equal(b[:16], make([]byte, 16)) {
			continue
		}
		lo, hi := le.Uint64(b[32:]), le.Uint64(b[40:])
		if lo > hi || hi >= 1<<50 {
			out.Gap(showcause.Corrupt, min(bound.Add(at, i*size), src.Size()), 128)
			continue
		}
		u := make([]uint16, 36)
		for k := range u {
			u[k] = le.Uint16(b[56+2*k:])
		}
		name := string(utf16.Decode(u[:zeroAt(u)]))
		list = append(list, extent{off: int64(lo) * sector, size: int64(hi-lo+1) * sector, name: name})
	}
	return list, other, true
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
		}
		if cstring(b[48:80]) == "Apple_partition_map" {
			continue
		}
		list = append(list, extent{int64(be.Uint32(b[8:])) * block, int64(be.Uint32(b[12:])) * block, cstring(b[16:48])})
	}
	partitions(src, out, "apm.partition", list)
	rest(src, out, "apm.rest", list)
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

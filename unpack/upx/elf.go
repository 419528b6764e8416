package upx

import (
	"encoding/binary"
	"slices"

	"github.com/showcause/showcause/internal/bound"
)

const (
	mostSegments   = 128
	segmentLoad    = 1
	segmentDynamic = 2
	mostOffset     = 1 << 40
)

// behindELF reads an ELF header (System V ABI, "Object Files"), and returns where the
// program headers end that stand behind it, -1 if they stand elsewhere.
func (p *packed) behindELF(h []byte) int64 {
	p.macho, p.wide, p.order = false, h[4] == 2, binary.LittleEndian
	if h[5] == 2 {
		p.order = binary.BigEndian
	}
	off, n := int64(p.order.Uint32(h[28:])), int64(p.order.Uint16(h[44:]))
	each := int64(32)
	if p.wide {
		off, n, each = int64(p.order.Uint64(h[32:])), int64(p.order.Uint16(h[56:])), 56
	}
	if h[4] != 1 && h[4] != 2 || n == 0 || n > mostSegments || off < 0 || off > mostOffset {
		return -1
	}
	return off + n*each
}

// segment is an entry of the program headers.
type segment struct {
	kind         uint32
	at, off, end int64 // at is its address, off and end are in the file
}

// segments are an ELF file's program headers.
func (p *packed) segments(h []byte) (out []segment) {
	off, n, each := int(p.order.Uint32(h[28:])), int(p.order.Uint16(h[44:])), 32
	if p.wide {
		off, n, each = int(p.order.Uint64(h[32:])), int(p.order.Uint16(h[56:])), 56
	}
	if off < 0 || off > len(h) {
		return nil
	}
	for i := range n {
		b := h[min(off+i*each, len(h)):]
		if len(b) < each {
			break
		}
		off, at, size := int64(p.order.Uint32(b[4:])), int64(p.order.Uint32(b[8:])), int64(p.order.Uint32(b[16:]))
		if p.wide {
			off, at, size = int64(p.order.Uint64(b[8:])), int64(p.order.Uint64(b[16:])), int64(p.order.Uint64(b[32:]))
		}
		if off < 0 || size < 0 || off > mostOffset || size > mostOffset {
			off, size = mostOffset+1, 1 // no block is there
		}
		out = append(out, segment{p.order.Uint32(b), at, off, off + size})
	}
	return out
}

func segmentsOf(all []segment, kind uint32) (out []segment) {
	for _, s := range all {
		if s.kind == kind {
			out = append(out, s)
		}
	}
	return out
}

// loads are the parts that the first blocks are of, in their order.
func (p *packed) loads() (out []part) {
	if p.macho {
		return p.machoSegments()
	}
	for _, s := range segmentsOf(p.segments(p.head), segmentLoad) {
		out = append(out, part{s.off, s.end - s.off})
	}
	return out
}

// library plans a shared library: a program that has a dynamic table still. Up to
// l_info it stands as it was, and so do segments that the loader of the system writes to. What is in DT_INIT, or the
// first of DT_INIT_ARRAY, stands in front of the loader of UPX.
func (p *packed) library(outer []segment) bool {
	plain := p.info - 12
	own := segmentsOf(outer, segmentLoad)
	all := segmentsOf(p.segments(p.head), segmentLoad)
	head := int64(len(p.head))
	k, ok := p.block(p.next)
	if !ok || plain < head {
		return false
	}
	p.pieces = append(p.pieces, piece{0, k}, piece{head, block{size: plain - head, packed: plain - head, at: head}})
	p.next = k.at + k.packed
	for i, s := range all {
		if o := slices.IndexFunc(own, func(o segment) bool { return o.at == s.at }); i > 0 && o > 0 && own[o].end-own[o].off == s.end-s.off {
			p.pieces = append(p.pieces, piece{s.off, block{size: s.end - s.off, packed: s.end - s.off, at: own[o].off}})
			continue
		}
		if from := max(s.off, plain); from < s.end && !p.parts([]part{{from, s.end - from}}) {
			return false
		}
	}
	p.restore()
	return p.gaps(p.loads())
}

// restore has what starts a library be what it was.
func (p *packed) restore() {
	info, _ := bound.ReadAt(p.src, (p.next+3)&^3, 16, 16)
	tables := segmentsOf(p.segments(p.head), segmentDynamic)
	if len(info) < 16 || len(tables) == 0 {
		return
	}
	was := p.order.Uint32(info[8:])
	if p.order.Uint32(info) == 0 {
		was = p.order.Uint32(info[12:])
	}
	const tagNull, tagInit, tagArray, tagPre = 0, 12, 25, 32
	n := 8
	if p.wide {
		n = 16
	}
	table := p.read(tables[0].off, min(tables[0].end-tables[0].off, 64<<10))
	at := map[uint32]int{}
	for i := len(table)/n - 1; i >= 0; i-- {
		at[p.order.Uint32(table[i*n+p.low(n/2):])] = i * n
	}
	word := func(v uint32) []byte {
		b := make([]byte, n/2)
		p.order.PutUint32(b[p.low(n/2):], v)
		return b
	}
	if i, ok := at[tagInit]; ok {
		e := append(word(tagInit), word(was)...)
		if was == 0 {
			clear(e) // it was free
		}
		p.patches = append(p.patches, patch{tables[0].off + int64(i), e})
		return
	}
	for _, tag := range []uint32{tagPre, tagArray} {
		i, ok := at[tag]
		if !ok {
			continue
		}
		to := int64(p.order.Uint32(table[i+n/2+p.low(n/2):]))
		for _, s := range segmentsOf(p.segments(p.head), segmentLoad) {
			if to >= s.at && to < s.at+s.end-s.off {
				p.patches = append(p.patches, patch{to - s.at + s.off, word(was)})
			}
		}
		return
	}
}

// low is where the low four bytes of a word of n bytes stand.
func (p *packed) low(n int) int {
	if p.order == binary.ByteOrder(binary.BigEndian) {
		return n - 4
	}
	return 0
}

// read returns bytes of the file that was packed, which stand in one piece that is not packed.
func (p *packed) read(off, n int64) []byte {
	for _, k := range p.pieces {
		if k.packed == k.size && off >= k.off && off+n <= k.off+k.size {
			b, _ := bound.ReadAt(p.src, k.at+off-k.off, n, n)
			return b
		}
	}
	return nil
}

// between are the parts of a file that are in none of the loads: behind each, up to the next. end
// is where the last load ends, and size the file's.
func between(loads []part, size int64) (out []part) {
	for _, s := range loads {
		from := s.off + s.size
		to := size
		for _, t := range loads {
			if t.off >= from && t.size > 0 {
				to = min(to, t.off)
			}
		}
		in := slices.ContainsFunc(loads, func(t part) bool { return t.off <= from && from < t.off+t.size })
		if to > from && !in {
			out = append(out, part{from, to - from})
		}
	}
	return out
}

// gaps plans what stands between and behind the loads. Loaders of different
// versions stand in front of it, so that its blocks are looked for: the chain of them that
// leads to the mark that ends it, and whose blocks end where the parts do. One that gives the size that p_info
// has comes before others.
func (p *packed) gaps(loads []part) bool {
	for _, s := range loads {
		p.size = max(p.size, s.off+s.size)
	}
	var ends []int64 // of the parts between, as sums
	known := int64(0)
	for _, s := range between(loads, p.size) {
		known += s.size
		ends = append(ends, known)
	}
	const farthest = 256 << 10 // loaders have less than 64 KiB
	from, most := int64(-1), int64(0)
	for at := p.next; at <= min(p.next+farthest, p.src.Size()-blockSize) && p.out.Work(4); at++ {
		sum, ok := p.chain(at, ends)
		if ok && (from < 0 || p.size+sum-known == p.said) {
			from, most = at, sum
			if p.size+sum-known == p.said {
				break
			}
		}
	}
	if from < 0 {
		return false
	}
	p.next, p.size = from, p.size+most-known
	if !p.parts(between(loads, p.size)) {
		return false
	}
	p.behind(p.next)
	return true
}

// chain follows blocks to the mark, and returns how much they hold; it is not ok where there is no mark or a
// block goes over one of ends.
func (p *packed) chain(at int64, ends []int64) (sum int64, ok bool) {
	for p.out.Work(4) {
		if p.ends(at) {
			return sum, len(ends) == 0 && (sum > 0 || string(p.mark[:]) == mark)
		}
		k, ok := p.block(at)
		if !ok || k.method != p.method && k.packed != k.size {
			break
		}
		sum += k.size
		if len(ends) > 0 && sum > ends[0] {
			break
		}
		if len(ends) > 0 && sum == ends[0] {
			ends = ends[1:]
		}
		at = k.at + k.packed
	}
	return 0, false
}

// ends tells the empty block that ends the others.
func (p *packed) ends(at int64) bool {
	b, _ := bound.ReadAt(p.src, at, 8, 8)
	return len(b) == 8 && p.order.Uint32(b) == 0 && p.isMark(b[4:])
}

// behind finds what stood behind the program when it was packed: it follows the last header, whose last
// word is the place of p_info.
func (p *packed) behind(end int64) {
	const header, near = 36, 64
	b, _ := bound.ReadAt(p.src, end, min(near+header, p.src.Size()-end), near+header)
	for i := 8; i+header <= len(b); i++ {
		if int64(p.order.Uint32(b[i+header-4:])) == p.info && p.isMark(b[i:]) {
			p.over = end + int64(i) + header
			return
		}
	}
}

// isMark tells the mark, or what was written over it.
func (p *packed) isMark(b []byte) bool { return string(b[:4]) == mark || [4]byte(b) == p.mark }

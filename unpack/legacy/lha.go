package legacy

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const lhaMethodGap = showcause.Unsupported + ".method.lha"

// LHA reads archives of LHA, LHarc and LArc (headers of levels 0 to 3). Each
// member is a child, "lha.lh5" by its method.
//
//	level 0, 1   size, checksum, method (5), sizes (4 each), time (4), attributes,
//	             level, name with its length, CRC-16; in 1, further headers
//	level 2, 3   size (2, or 4 at 24), method, sizes, time, attributes, level, CRC-16,
//	             system, further headers: 1 a name, 2 a folder, 0x42 sizes of 64 bits
//
// A byte 0 is the end. What stands behind it is a child, "lha.rest".
func LHA() unpack.Format {
	return unpack.Format{
		Name: "lha",
		Match: func(p *unpack.Probe) bool {
			return isProgram(p.Type) && p.Source != nil || p.Is("lha")
		},
		Walk: lhaWalk,
	}
}

// lhaMember is one header.
type lhaMember struct {
	method       string // "lh5"
	name         string
	dir          string
	packed, size int64
	crc          uint32
	data         int64 // offset of the content
	damaged      bool
}

func lhaWalk(src showcause.Source, out *unpack.Out) {
	head := bound.Head(src, unpack.HeadSize)
	if !isProgram(filetype.Detect(head, src)) {
		if end, ok := lhaArchive(src, out, 0); ok {
			out.Tail(src, end, "lha.rest")
		}
		return
	}
	// In a program: a header that is right in all that can be checked.
	for off := int64(2); ; {
		at, ok := out.Find(src, off, []byte("-lh"), func(b []byte) bool {
			return len(b) >= 20 && b[3] >= '0' && b[3] <= '7' && b[4] == '-' && b[18] <= 2
		})
		if !ok {
			return
		}
		off = at + 3
		b, _ := bound.ReadAt(src, at-2, 32, 32)
		m, ok := lhaHeader(src, out, at-2, b)
		if !ok || m.damaged || m.name == "" || bound.Add(m.data, m.packed) > src.Size() {
			continue
		}
		end, ok := lhaArchive(src, out, at-2)
		if !ok {
			return
		}
		off = max(end, off)
	}
}

// lhaArchive reads the archive at off. It returns where it ends, and whether to
// go on.
func lhaArchive(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	last, number := "", 0
	for out.Work(1024) {
		b, _ := bound.ReadAt(src, off, min(32, max(src.Size()-off, 0)), 32)
		if len(b) == 0 {
			if !strings.HasPrefix(last, "lz") { // LArc writes no end
				out.Gap(showcause.Corrupt, src.Size(), -1)
			}
			return off, true
		}
		if b[0] == 0 && (len(b) < 21 || b[20] < 2 || b[2] != '-') {
			return off, true
		}
		m, ok := lhaHeader(src, out, off, b)
		if !ok {
			next, found := out.Find(src, off+3, []byte("-l"), func(b []byte) bool { return len(b) >= 5 && b[4] == '-' })
			if !out.Lost(src, off, max(next-2, 0), found) {
				return src.Size(), true
			}
			off = next - 2
			continue
		}
		if m.damaged {
			out.Gap(showcause.Corrupt, off, m.data-off)
		}
		last = m.method
		number++
		if !lhaGive(src, out, m, number-1) {
			return off, false
		}
		off = bound.Add(m.data, m.packed)
		if off > src.Size() {
			out.Gap(showcause.Corrupt, src.Size(), -1)
			return off, true
		}
	}
	return off, false
}

// lhaHeader reads a header of any level; b are its first bytes.
func lhaHeader(src showcause.Source, out *unpack.Out, off int64, b []byte) (m lhaMember, ok bool) {
	if len(b) < 22 || b[2] != '-' || b[6] != '-' {
		return m, false
	}
	m = lhaMember{method: strings.ToLower(string(b[3:6])), packed: int64(le.Uint32(b[7:])), size: int64(le.Uint32(b[11:]))}
	switch b[20] {
	case 0, 1:
		return lhaLow(src, out, off, b, m)
	case 2:
		size := int64(le.Uint16(b))
		h, err := bound.ReadAt(src, off, size, 1<<16)
		if err != nil || size < 26 {
			return m, false
		}
		if h[23] == 'K' && lhaChain(src, off+26, le.Uint16(h[24:]), off+size+2) {
			size += 2
		}
		m.crc, m.data = uint32(le.Uint16(h[21:])), off+size
		return lhaMore(src, out, off+26, off+size, int64(le.Uint16(h[24:])), 2, m)
	case 3:
		h, err := bound.ReadAt(src, off, 32, 32)
		if err != nil || le.Uint16(h) != 4 {
			return m, false
		}
		size := int64(le.Uint32(h[24:]))
		if size < 32 || size > 1<<20 || off+size > src.Size() {
			return m, false
		}
		m.crc, m.data = uint32(le.Uint16(h[21:])), off+size
		return lhaMore(src, out, off+32, off+size, int64(le.Uint32(h[28:])), 4, m)
	}
	return m, false
}

// lhaChain tells whether the further headers of level 2, the first of which stands
// at off and has n bytes, go on to end. LHA for OS-9/68000 counts the bytes of a
// header without the two that hold this count.
func lhaChain(src showcause.Source, off int64, n uint16, end int64) bool {
	for n > 2 && off+int64(n) <= end {
		off += int64(n)
		b, err := bound.ReadAt(src, off-2, 2, 2)
		if err != nil {
			return false
		}
		n = le.Uint16(b)
	}
	return n == 0 && off == end
}

// lhaLow reads a header of level 0 or 1.
func lhaLow(src showcause.Source, out *unpack.Out, off int64, b []byte, m lhaMember) (lhaMember, bool) {
	size := int64(b[0]) + 2
	h, err := bound.ReadAt(src, off, size, 1<<10)
	if err != nil || size < 22 || int(h[21])+22 > len(h) {
		return m, false
	}
	sum := byte(0)
	for _, c := range h[2:] {
		sum += c
	}
	m.damaged = sum != h[1]
	n := 22 + int(h[21])
	name := h[22:n]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	m.name, m.data = string(name), off+size
	if n+2 > len(h) {
		return m, false
	}
	m.crc = uint32(le.Uint16(h[n:]))
	if h[20] == 0 {
		return m, true
	}
	if n+5 > len(h) {
		return m, false
	}
	// What follows is counted in the packed size.
	next := int64(le.Uint16(h[len(h)-2:]))
	all := m.packed
	m, ok := lhaMore(src, out, off+size, min(off+size+m.packed, src.Size()), next, 2, m)
	m.packed = max(all-(m.data-off-size), 0)
	return m, ok
}

// lhaMore reads further headers from off up to end: the first has n bytes, the
// last word of each is the size of the next.
func lhaMore(src showcause.Source, out *unpack.Out, off, end, n, word int64, m lhaMember) (lhaMember, bool) {
	low := m.data == off
	for n > 0 {
		if n < word+1 || off+n > end || !out.Work(64) {
			m.damaged = true
			break
		}
		b, err := bound.ReadAt(src, off, n, 1<<20)
		if err != nil {
			return m, false
		}
		body := b[1 : n-word]
		switch b[0] {
		case 1:
			m.name = string(body)
		case 2:
			m.dir = strings.ReplaceAll(string(body), "\xff", "/")
		case 0x42:
			if len(body) >= 16 {
				if p := int64(le.Uint64(body)); p >= 0 {
					m.packed = p
				}
				if s := int64(le.Uint64(body[8:])); s >= 0 {
					m.size = s
				}
			}
		}
		off += n
		if word == 2 {
			n = int64(le.Uint16(b[n-2:]))
		} else {
			n = int64(le.Uint32(b[n-4:]))
		}
	}
	if low {
		m.data = off
	}
	if m.dir != "" && !strings.HasSuffix(m.dir, "/") {
		m.dir += "/"
	}
	m.name = m.dir + m.name
	return m, true
}

// lhaOps are the derivations by method.
func lhaOp(method string) string {
	switch method {
	case "lh0", "lz4", "pm0", "lh1", "lh4", "lh5", "lh6", "lh7", "lhx", "lz5", "lzs":
		return "lha." + method
	}
	return "lha.unknown"
}

func lhaGive(src showcause.Source, out *unpack.Out, m lhaMember, number int) bool {
	out.Member(unpack.Member{Name: m.name, Packed: m.packed, Size: m.size, Sum: m.crc, Number: number, At: m.data})
	c := unpack.Child{Op: lhaOp(m.method), Name: m.name, Size: m.size}
	if m.method == "lhd" || m.packed == 0 && m.size == 0 {
		return true
	}
	if steps := int64(1 << 14); m.method == "lhx" && !out.Work(7*steps) || !out.Work(steps) { // for the window
		return false
	}
	in := stretch(src, m.data, m.packed)
	r := lhaReader(in, m)
	if r == nil {
		return out.ChildGap(c, lhaMethodGap)
	}
	c.Reader = &summed{r: r, size: m.size, add: crc16, want: m.crc}
	out.Cover(m.data, m.packed)
	return out.Child(c)
}

func lhaReader(in *bufio.Reader, m lhaMember) io.Reader {
	switch m.method {
	case "lh0", "lz4", "pm0":
		return in
	case "lh1":
		return &lz{ring: newRing(12, ' '), next: newAdaptive(in).next, size: m.size}
	case "lh4":
		return lzhReader(in, 12, ' ', 14, 4, m.size)
	case "lh5":
		return lzhReader(in, 13, ' ', 14, 4, m.size)
	case "lh6":
		return lzhReader(in, 15, ' ', 16, 5, m.size)
	case "lh7":
		return lzhReader(in, 16, ' ', 17, 5, m.size)
	case "lhx": // of UNLHA32
		return lzhReader(in, 19, ' ', 20, 5, m.size)
	case "lz5":
		return lz5(in, m.size)
	case "lzs":
		return lzs(in, m.size)
	}
	return nil
}

// crc16 is CRC-16/ARC.
func crc16(sum uint32, p []byte) uint32 {
	for _, c := range p {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0xa001&-(sum&1)
		}
	}
	return sum
}

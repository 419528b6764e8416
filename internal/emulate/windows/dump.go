package windows

import (
	"bytes"
	"crypto/sha256"
	"hash/fnv"
	"slices"

	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/emulate/memory"
)

// keep keeps the image as it is now as a PE file that starts at entry. At the end it keeps
// what else was written, and the image only if it was.
func (p *process) keep(entry uint64, last bool) {
	written := p.m.Written(p.base, p.size)
	if len(written) == 0 && !last {
		return
	}
	if last {
		for _, s := range p.m.Stretches() {
			if p.asked[s.Start] {
				p.keepMemory(s)
			}
		}
		if len(p.m.Written(p.heapEnd, 1)) > 0 {
			p.keepMemory(memory.Stretch{Start: p.heapEnd &^ (memory.PageSize - 1), Size: p.heapAt + 1<<24 - p.heapEnd})
		}
		if !p.out.Wrote && !p.much(written) {
			return
		}
	}
	if !p.changed(written) {
		return
	}
	if p.section(entry) < 0 {
		entry = p.base + uint64(p.f.EntryPoint)
	}
	p.add(Image{Bytes: p.rebuild(entry), PE: true})
}

const (
	maxKeeps   = 64
	manyImages = 4 // from here on an image is kept only if a good part of it is another
)

// changed tells whether the image is another one than that which was kept last, by more than
// a page or two, and notes how it is.
func (p *process) changed(written []memory.Stretch) bool {
	if p.keeps++; p.keeps > maxKeeps && !p.done {
		return false
	}
	sums := map[uint64]uint64{}
	var page [memory.PageSize]byte
	different := 0
	for _, s := range written {
		p.c.Steps += int64(s.Size / 8)
		for at := s.Start; at < s.End(); at += memory.PageSize {
			p.m.Read(at, page[:])
			h := fnv.New64a()
			h.Write(page[:])
			if sums[at] = h.Sum64(); sums[at] != p.kept[at] {
				different++
			}
		}
	}
	few := max(2, len(sums)/4)
	if len(p.out.Images) < manyImages {
		few = 0
	}
	if different == 0 || !p.done && different <= few {
		return false
	}
	p.kept = sums
	return true
}

// much tells whether pages that may have instructions were written, by what did not run there.
func (p *process) much(written []memory.Stretch) bool {
	n := uint64(0)
	for _, s := range written {
		n += s.Size
	}
	return n > 4*memory.PageSize
}

func (p *process) add(i Image) {
	if p.dumped+len(i.Bytes) > maxDumped {
		return
	}
	if len(p.out.Images) >= maxImages { // the last ones are what the others led to
		p.out.Images = slices.Delete(p.out.Images, 1, 2)
	}
	sum := sha256.Sum256(i.Bytes)
	if p.seen[sum] || !i.PE && p.same(i.Bytes) {
		return
	}
	p.seen[sum] = true
	p.dumped += len(i.Bytes)
	p.out.Images = append(p.out.Images, i)
}

// same tells whether bytes are those of the file itself, which some programs read.
func (p *process) same(b []byte) bool {
	n := p.src.Size()
	if int64(len(b)) > n || int64(len(b)) < n/2 {
		return false
	}
	own, _ := bound.ReadAt(p.src, 0, int64(len(b)), maxImage)
	return bytes.Equal(own, b)
}

const leastKept = 64 // bytes

// keepMemory keeps what was written of memory that the program asked for.
func (p *process) keepMemory(s memory.Stretch) {
	w := p.m.Written(s.Start, s.Size)
	if len(w) == 0 {
		return
	}
	start, end := w[0].Start, w[len(w)-1].End()
	b := make([]byte, min(end-start, maxImage))
	b = bytes.TrimRight(b[:p.m.Read(start, b)], "\x00")
	b = b[len(b)-len(bytes.TrimLeft(b, "\x00")):]
	if len(b) >= leastKept {
		p.add(Image{Bytes: b})
	}
}

const align = 0x200

// rebuild makes a PE file of the image: new headers with the directories of the old ones,
// and the sections as they are in memory, without the zeros behind them. Their names are
// new ones: packers are told by the old.
func (p *process) rebuild(entry uint64) []byte {
	f := p.f
	const lfanew, fixed32, fixed64 = 0x80, 96, 112
	fixed := fixed32
	if f.Is64() {
		fixed = fixed64
	}
	optional := fixed + 16*8
	head := lfanew + 24 + optional + 40*len(p.sections)
	head = (head + align - 1) &^ (align - 1)
	b := make([]byte, head)
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], lfanew)
	h := b[lfanew:]
	copy(h, "PE\x00\x00")
	le.PutUint16(h[4:], f.Machine)
	le.PutUint32(h[8:], f.Timestamp)
	le.PutUint16(h[20:], uint16(optional))
	le.PutUint16(h[22:], f.Characteristics)
	o := h[24:]
	le.PutUint16(o, f.Magic)
	le.PutUint32(o[16:], uint32(entry-p.base))
	if f.Is64() {
		le.PutUint64(o[24:], p.base)
	} else {
		le.PutUint32(o[28:], uint32(p.base))
	}
	le.PutUint32(o[32:], memory.PageSize)
	le.PutUint32(o[36:], align)
	le.PutUint16(o[40:], max(f.OSVersion.Major, 4))
	le.PutUint16(o[48:], max(f.SubsystemVersion.Major, 4))
	le.PutUint32(o[56:], uint32(p.size))
	le.PutUint32(o[60:], uint32(head))
	le.PutUint16(o[68:], f.Subsystem)
	le.PutUint16(o[70:], f.DLLCharacteristics)
	le.PutUint32(o[fixed-4:], 16)
	for i := range 16 {
		if d, ok := f.Directory(i); ok && i != pe.DirSecurity && i != pe.DirBoundImport {
			le.PutUint32(o[fixed+8*i:], d.Address)
			le.PutUint32(o[fixed+8*i+4:], d.Size)
		}
	}
	n := 0
	for i, s := range p.sections {
		start, end := max(s.start, p.base+memory.PageSize), s.end
		if start >= end {
			continue
		}
		data := make([]byte, end-start)
		data = bytes.TrimRight(data[:p.m.Read(start, data)], "\x00")
		if i := bytes.Index(data, p.head); i >= 0 { // the file's own headers in a section: they are no program in it
			clear(data[i : i+2])
		}
		t := b[lfanew+24+optional+40*n:]
		copy(t, []byte{'.', 's', '0' + byte(i/10%10), '0' + byte(i%10)})
		le.PutUint32(t[8:], uint32(end-start))
		le.PutUint32(t[12:], uint32(start-p.base))
		size := (len(data) + align - 1) &^ (align - 1)
		le.PutUint32(t[16:], uint32(size))
		if size > 0 {
			le.PutUint32(t[20:], uint32(len(b)))
		}
		le.PutUint32(t[36:], s.flags|0x60000000)
		n++
		b = append(append(b, data...), make([]byte, size-len(data))...)
	}
	le.PutUint16(b[lfanew+6:], uint16(n))
	return b
}

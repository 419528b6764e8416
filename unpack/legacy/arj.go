package legacy

import (
	"bytes"
	"hash/crc32"
	"io"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

const (
	arjMethodGap = showcause.Unsupported + ".method.arj"
	arjVolume    = showcause.Unsupported + ".format.arj-volume"
	arjHeader    = 2600 // bytes of the largest header
)

var arjMagic = []byte("\x60\xea")

// ARJ reads ARJ archives (R. Jung, ARJ technical notes), at the start of a layer and
// behind a program. Each file is a child, "arj.lzh", "arj.fast" or "arj.stored", and
// so is what stands behind an archive ("arj.rest").
//
//	header   0x60 0xea, size (2), the header, CRC-32; extended headers, each with
//	         its size and CRC-32, up to a size of 0
//	         the first describes the archive, one with the size 0 ends it
func ARJ() unpack.Format {
	return unpack.Format{
		Name: "arj",
		Match: func(p *unpack.Probe) bool {
			return p.Type.String() == "arj" || p.Source != nil && isProgram(p.Type)
		},
		Walk: arjWalk,
	}
}

// isProgram tells in what files archives are looked for anywhere.
func isProgram(t filetype.Type) bool {
	switch t {
	case filetype.PE, filetype.DOS, filetype.ELF, filetype.MachO, filetype.Universal:
		return true
	}
	return false
}

// arjMain judges the first bytes of an archive's header.
func arjMain(b []byte) bool {
	return len(b) >= 34 && bytes.HasPrefix(b, arjMagic) && le.Uint16(b[2:]) >= 30 && le.Uint16(b[2:]) <= arjHeader && b[4] >= 30 && b[10] == 2
}

func arjWalk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	if head := bound.Head(src, 4); bytes.HasPrefix(head, arjMagic) {
		end, ok := arjArchive(src, out, 0)
		if !ok {
			return
		}
		off = max(end, 2)
		defer func(end int64) { out.Tail(src, end, "arj.rest") }(off)
	}
	for {
		at, ok := out.Find(src, off, arjMagic, arjMain)
		if !ok {
			return
		}
		off = at + 2
		if _, _, sum, err := arjRead(src, at); err != nil || !sum || !out.Work(512) {
			continue // two bytes say little
		}
		end, ok := arjArchive(src, out, at)
		if !ok {
			return
		}
		off = max(end, off)
		out.Cover(at, off-at)
	}
}

// arjRead reads the header at off, with the extended ones. next is the offset
// behind them; h is empty at the end of an archive.
func arjRead(src showcause.Source, off int64) (h []byte, next int64, sum bool, err error) {
	b, err := bound.ReadAt(src, off, 4, 4)
	if err != nil {
		return nil, 0, false, err
	}
	n := int64(le.Uint16(b[2:]))
	if !bytes.HasPrefix(b, arjMagic) || n > arjHeader {
		return nil, 0, false, errData
	}
	if n == 0 {
		return nil, off + 4, true, nil
	}
	h, err = bound.ReadAt(src, off+4, n+6, arjHeader+6)
	if err != nil || n < 30 {
		return nil, 0, false, cmpErr(err, errData)
	}
	sum = crc32.ChecksumIEEE(h[:n]) == le.Uint32(h[n:])
	next = off + 4 + n + 4
	for range 64 {
		e, err := bound.ReadAt(src, next, 2, 2)
		if err != nil {
			return nil, 0, false, err
		}
		next += 2
		if k := int64(le.Uint16(e)); k > 0 {
			next += k + 4
			continue
		}
		return h[:n], next, sum, nil
	}
	return nil, 0, false, errData
}

// arjArchive reads the archive at off. It returns where it ends, and whether to
// go on.
func arjArchive(src showcause.Source, out *unpack.Out, off int64) (int64, bool) {
	for first := true; out.Work(1024); first = false {
		h, next, sum, err := arjRead(src, off)
		if err != nil {
			out.Gap(showcause.Corrupt, min(off, src.Size()), -1)
			return min(off+2, src.Size()), true
		}
		if h == nil {
			return next, true
		}
		if !sum {
			out.Gap(showcause.Corrupt, off, next-off)
		}
		off = next
		if first && h[6] == 2 {
			continue
		}
		packed := int64(le.Uint32(h[12:]))
		if !arjGive(src, out, h, next) {
			return off, false
		}
		off = bound.Add(off, packed)
	}
	return off, false
}

func arjGive(src showcause.Source, out *unpack.Out, h []byte, data int64) bool {
	packed, size := int64(le.Uint32(h[12:])), int64(le.Uint32(h[16:]))
	name := h[min(int(h[0]), len(h)):]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	c := unpack.Child{Op: "arj.lzh", Name: string(name), Size: size}
	if packed == 0 && (size == 0 || h[6] >= 3) {
		return true // a folder, or an empty file
	}
	in := stretch(src, data, packed)
	var r io.Reader
	switch method := h[5]; {
	case method == 0:
		c.Op, r = "arj.stored", in
	case method <= 3:
		r = lzhReader(in, 15, 0, 17, 5, size)
	case method == 4:
		c.Op = "arj.fast"
		r = &lz{ring: newRing(15, 0), next: (&fastest{codec.NewBits(in)}).next, size: size}
	}
	switch {
	case h[4]&1 != 0:
		return out.ChildGap(c, showcause.Encrypted)
	case h[4]&8 != 0: // the rest of a file
		return out.ChildGap(c, arjVolume)
	case r == nil:
		return out.ChildGap(c, arjMethodGap)
	}
	if !out.Work(1 << 14) {
		return false
	}
	add := func(sum uint32, p []byte) uint32 { return crc32.Update(sum, crc32.IEEETable, p) }
	c.Reader = &summed{r: r, size: size, add: add, want: le.Uint32(h[20:])}
	if !out.Child(c) {
		return false
	}
	out.Cover(data, packed)
	if h[4]&4 != 0 {
		out.Gap(arjVolume, min(data+packed, src.Size()), -1) // it goes on in the next volume
	}
	return true
}

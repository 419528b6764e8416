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
// so is what stands behind an archive ("arj.rest"). A file that volumes part is one child where
// they stand in one layer, in whatever order.
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
	a := arj{src: src, out: out}
	off := int64(0)
	if head := bound.Head(src, 4); bytes.HasPrefix(head, arjMagic) {
		end, ok := a.archive(0)
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
		end, ok := a.archive(at)
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

// arj is a layer while it is read.
type arj struct {
	src   showcause.Source
	out   *unpack.Out
	split bool                // volumes were looked for
	rest  map[int64][]arjFile // what the volumes behind have of a file, by where the first part's header is
	taken map[int64]bool      // headers of these
	told  int                 // files
}

// archive reads the archive at off. It returns where it ends, and whether to
// go on.
func (a *arj) archive(off int64) (int64, bool) {
	for first := true; a.out.Work(1024); first = false {
		h, next, sum, err := arjRead(a.src, off)
		if err != nil {
			a.out.Gap(showcause.Corrupt, min(off, a.src.Size()), -1)
			return min(off+2, a.src.Size()), true
		}
		if h == nil {
			return next, true
		}
		if !sum {
			a.out.Gap(showcause.Corrupt, off, next-off)
		}
		if first && h[6] == 2 {
			off = next
			continue
		}
		f := arjFileOf(h, off, next)
		if !a.give(f) {
			return off, false
		}
		off = bound.Add(next, f.packed)
	}
	return off, false
}

// arjFile is a file of an archive, or a part of one whose others stand in other volumes:
// each part is compressed by itself.
type arjFile struct {
	name         string
	at, data     int64 // of the header, of the data
	packed, size int64
	pos          int64 // of the part in the file
	crc          uint32
	flags        byte
	method, kind byte
}

const (
	arjSealed = 1
	arjBehind = 4 // it goes on in the next volume
	arjBefore = 8 // it began in the volume before
)

func arjFileOf(h []byte, at, data int64) arjFile {
	f := arjFile{
		at: at, data: data, flags: h[4], method: h[5], kind: h[6],
		packed: int64(le.Uint32(h[12:])), size: int64(le.Uint32(h[16:])), crc: le.Uint32(h[20:]),
	}
	if f.flags&arjBefore != 0 && h[0] >= 34 && len(h) >= 34 {
		f.pos = int64(le.Uint32(h[30:]))
	}
	name := h[min(int(h[0]), len(h)):]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	f.name = string(name)
	return f
}

// refuses tells why a part cannot be read, "" if it can.
func (f *arjFile) refuses() showcause.Code {
	switch {
	case f.flags&arjSealed != 0:
		return showcause.Encrypted
	case f.method > 4:
		return arjMethodGap
	}
	return ""
}

// reader decodes one part.
func (f *arjFile) reader(src showcause.Source) io.Reader {
	in := stretch(src, f.data, f.packed)
	var r io.Reader
	switch {
	case f.method == 0:
		r = in
	case f.method <= 3:
		r = lzhReader(in, 15, 0, 17, 5, f.size)
	default:
		r = &lz{ring: newRing(15, 0), next: (&fastest{codec.NewBits(in)}).next, size: f.size}
	}
	add := func(sum uint32, p []byte) uint32 { return crc32.Update(sum, crc32.IEEETable, p) }
	return &summed{r: r, size: f.size, add: add, want: f.crc}
}

func (f *arjFile) op() string {
	switch f.method {
	case 0:
		return "arj.stored"
	case 4:
		return "arj.fast"
	}
	return "arj.lzh"
}

// give gives one file, with what other volumes have of it.
func (a *arj) give(f arjFile) bool {
	a.told++
	a.out.Member(unpack.Member{
		Name: f.name, Packed: f.packed, Size: f.size, Encrypted: f.flags&arjSealed != 0, Sum: f.crc, Number: a.told, At: f.at, Length: f.data - f.at,
	})
	if f.packed == 0 && (f.size == 0 || f.kind >= 3) {
		return true // a folder, or an empty file
	}
	if f.flags&(arjBehind|arjBefore) != 0 && !a.survey() {
		return false
	}
	if a.taken[f.at] {
		return true
	}
	c := unpack.Child{Op: f.op(), Name: f.name, Size: f.size}
	if code := f.refuses(); code != "" {
		return a.out.ChildGap(c, code)
	}
	r := f.reader(a.src)
	if !a.out.Work(1 << 14) {
		return false
	}
	last := f
	if rest := a.rest[f.at]; len(rest) > 0 {
		p := &arjParts{src: a.src, now: r, rest: rest}
		for _, last = range rest {
			c.Size += last.size
			a.out.Cover(last.data, last.packed)
		}
		r = p
	}
	c.Reader = r
	if !a.out.Child(c) {
		return false
	}
	a.out.Cover(f.data, f.packed)
	if f.flags&arjBefore != 0 {
		a.out.Gap(arjVolume, f.at, -1) // what is before it, is not here
	}
	if last.flags&arjBehind != 0 {
		a.out.Gap(arjVolume, min(last.data+last.packed, a.src.Size()), -1) // it goes on in the next volume
	}
	return true
}

// arjParts reads the parts of a file, one after the other.
type arjParts struct {
	src  showcause.Source
	now  io.Reader
	rest []arjFile
}

// Read implements io.Reader.
func (p *arjParts) Read(b []byte) (int, error) {
	for {
		n, err := p.now.Read(b)
		if err != io.EOF || len(p.rest) == 0 {
			return n, err
		}
		p.now = p.rest[0].reader(p.src)
		if p.rest = p.rest[1:]; n > 0 {
			return n, nil
		}
	}
}

// Close implements io.Closer: the decoder goes.
func (p *arjParts) Close() error {
	p.now, p.rest = closed{}, nil
	return nil
}

// survey looks in all archives of the layer for files that volumes part, and finds out
// which parts are of one file: those of one name, each where the one before ends. It tells whether to go on.
func (a *arj) survey() bool {
	if a.split {
		return true
	}
	a.split, a.rest, a.taken = true, map[int64][]arjFile{}, map[int64]bool{}
	type key struct {
		name string
		pos  int64
	}
	var heads []arjFile
	tails := map[key][]arjFile{}
	for off, n := int64(0), 0; n < arjParted; {
		at, ok := a.out.Find(a.src, off, arjMagic, arjMain)
		if !ok {
			break
		}
		off = at + 2
		for first := true; n < arjParted; first = false {
			if !a.out.Work(1024) {
				return false
			}
			h, next, sum, err := arjRead(a.src, at)
			if err != nil || !sum && first {
				break
			}
			off = max(off, min(next, a.src.Size()))
			if h == nil {
				break
			}
			f := arjFileOf(h, at, next)
			at = next
			if first && h[6] == 2 {
				continue
			}
			at = bound.Add(next, f.packed)
			off = max(off, min(at, a.src.Size()))
			switch k := (key{f.name, f.pos}); {
			case f.flags&arjBefore != 0:
				tails[k] = append(tails[k], f)
				n++
			case f.flags&arjBehind != 0:
				heads = append(heads, f)
				n++
			}
		}
	}
	for _, f := range heads {
		for last, size := f, f.size; last.flags&arjBehind != 0; {
			k := key{f.name, size}
			more := tails[k]
			if len(more) == 0 || f.refuses() != "" || more[0].refuses() != "" {
				break
			}
			last, tails[k] = more[0], more[1:]
			a.rest[f.at] = append(a.rest[f.at], last)
			a.taken[last.at] = true
			size += last.size
		}
	}
	return true
}

// arjParted is how many parts of files are put together in a layer.
const arjParted = 1 << 16

package legacy

import (
	"bytes"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

const (
	eggMethodGap = showcause.Unsupported + ".method.egg"
	eggVolume    = showcause.Unsupported + ".format.egg-volume"

	eggHead      = 14 // bytes of the archive's header
	eggBlockHead = 18 // of a block's, without its end
)

// Marks of the records (ESTsoft, "EGG Format Specification").
const (
	eggEnd     = 0x08e28222 // of a record's extra fields, and of the archive
	eggFile    = 0x0a8590e3
	eggBlock   = 0x02b50c13
	eggName    = 0x0a8591ac
	eggSealed  = 0x08d1470f
	eggSplit   = 0x24f5a262
	eggSolid   = 0x24e5a060
	eggComment = 0x04c63672
	eggWindows = 0x2c86950b
	eggPosix   = 0x1ee922e5
	eggDummy   = 0x07463307
)

var eggMagic = []byte("EGGA")

// EGG reads the archives of ALZip 8 and later (ESTsoft, "EGG Format
// Specification"), at the start of a layer and behind a program.
//
//	header   "EGGA", version (2), number (4), 0 (4); fields, end
//	file     mark, number (4), size (8); fields, end; blocks
//	block    mark, method (1), hint (1), size (4), packed size (4), CRC-32; fields, end; data
//	field    mark, flags (1): bit 0 for a length of 4 bytes; length (2 or 4), data
//
// Each file is a child by the method of its first block: "egg.stored",
// "egg.deflate", "egg.bzip2", "egg.lzma"; AZO is not read. The files of a solid archive
// are one behind the other in its blocks. What is encrypted is a gap. What stands
// behind is a child, "egg.rest".
func EGG() unpack.Format {
	return unpack.Format{
		Name: "egg",
		Match: func(p *unpack.Probe) bool {
			return bytes.HasPrefix(p.Head, eggMagic) || p.Source != nil && isProgram(p.Type)
		},
		Walk: eggWalk,
	}
}

// eggPlausible judges the first bytes of an archive.
func eggPlausible(b []byte) bool {
	return len(b) >= eggHead && bytes.HasPrefix(b, eggMagic) && le.Uint16(b[4:]) == 0x100 && le.Uint32(b[10:]) == 0
}

func eggWalk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	if bytes.HasPrefix(bound.Head(src, 4), eggMagic) {
		e := eggArchive{src: src, out: out}
		if off = e.walk(0); off < 0 {
			return
		}
		defer out.Tail(src, off, "egg.rest")
	}
	for {
		at, ok := out.Find(src, off, eggMagic, eggPlausible)
		if !ok {
			return
		}
		e := eggArchive{src: src, out: out}
		if off = e.walk(at); off < 0 {
			return
		}
		out.Cover(at, off-at)
	}
}

// eggPart is the data of a block.
type eggPart struct {
	method       byte
	size, packed int64
	crc          uint32
	at           int64
}

// eggMember is a file.
type eggMember struct {
	name   string
	size   int64
	sealed bool
	parts  []eggPart
}

// eggArchive is one archive while it is read.
type eggArchive struct {
	src           showcause.Source
	out           *unpack.Out
	solid, sealed bool
	before, after bool // there are volumes
	files         []eggMember
	blocks        []eggPart // of a solid archive
}

// maxParts is the most blocks of a file, or of a solid archive, and maxSolid the
// most files of one: they are kept until all is seen.
const (
	maxParts = 1 << 16
	maxSolid = 1 << 17
)

// u32 reads a mark or a number; false where the layer ends.
func (e *eggArchive) u32(at int64) (uint32, bool) {
	b, err := bound.ReadAt(e.src, at, 4, 4)
	if err != nil {
		return 0, false
	}
	return le.Uint32(b), true
}

// walk reads the archive at off and returns where it ends, -1 where limits are spent.
func (e *eggArchive) walk(off int64) int64 {
	at, ok := e.fields(off+eggHead, func(mark uint32, data []byte) {
		switch mark {
		case eggSplit:
			if len(data) >= 8 {
				e.before, e.after = le.Uint32(data) != 0, le.Uint32(data[4:]) != 0
			}
		case eggSolid:
			e.solid = true
		case eggSealed:
			e.sealed = true
		}
	})
	if e.before || e.after {
		e.out.Gap(eggVolume, off, -1)
	}
	for ok && e.out.Work(512) {
		mark, there := e.u32(at)
		if !there {
			ok = false
			break
		}
		switch mark {
		case eggFile:
			if !e.flush() {
				return -1
			}
			at, ok = e.file(at)
		case eggBlock:
			at, ok = e.block(at)
		case eggEnd:
			if !e.flush() || !e.giveSolid() {
				return -1
			}
			return at + 4
		default:
			var next int64
			if next, ok = e.field(at, nil); ok {
				at = next
			}
		}
	}
	if ok || !e.flush() || !e.giveSolid() {
		return -1
	}
	e.out.Gap(showcause.Corrupt, min(at, e.src.Size()), -1)
	return max(min(at, e.src.Size()), off+4)
}

// field reads one extra field and returns what stands behind it.
func (e *eggArchive) field(at int64, each func(mark uint32, data []byte)) (int64, bool) {
	mark, ok := e.u32(at)
	if !ok {
		return at, false
	}
	switch mark {
	case eggName, eggSealed, eggSplit, eggSolid, eggComment, eggWindows, eggPosix, eggDummy:
	default:
		return at, false
	}
	h, _ := bound.ReadAt(e.src, at+4, min(5, max(e.src.Size()-at-4, 0)), 5)
	if len(h) < 3 {
		return at, false
	}
	n, data := int64(le.Uint16(h[1:])), at+7
	if h[0]&1 != 0 {
		if len(h) < 5 {
			return at, false
		}
		n, data = int64(le.Uint32(h[1:])), at+9
	}
	if !bound.In(data, n, e.src.Size()) {
		return at, false
	}
	if each != nil {
		b, err := bound.ReadAt(e.src, data, min(n, 4<<10), 4<<10)
		if err != nil {
			return at, false
		}
		if mark == eggName { // a code page and a folder may stand before it
			if h[0]&8 != 0 {
				b = b[min(2, len(b)):]
			}
			if h[0]&16 != 0 {
				b = b[min(4, len(b)):]
			}
			if h[0]&4 != 0 {
				b = nil
			}
		}
		each(mark, b)
	}
	return data + n, true
}

// fields reads extra fields up to their end.
func (e *eggArchive) fields(at int64, each func(mark uint32, data []byte)) (int64, bool) {
	for e.out.Work(256) {
		if mark, ok := e.u32(at); ok && mark == eggEnd {
			return at + 4, true
		}
		next, ok := e.field(at, each)
		if !ok {
			return at, false
		}
		at = next
	}
	return at, false
}

// file reads a file's header.
func (e *eggArchive) file(at int64) (int64, bool) {
	h, err := bound.ReadAt(e.src, at, 16, 16)
	if err != nil {
		return at, false
	}
	m := eggMember{size: int64(le.Uint64(h[8:]) & (1<<63 - 1)), sealed: e.sealed}
	next, ok := e.fields(at+16, func(mark uint32, data []byte) {
		switch mark {
		case eggName:
			m.name = string(data)
		case eggSealed:
			m.sealed = true
		}
	})
	e.files = append(e.files, m)
	return next, ok && len(e.files) <= maxSolid
}

// block reads a block's header and passes over its data.
func (e *eggArchive) block(at int64) (int64, bool) {
	h, err := bound.ReadAt(e.src, at, eggBlockHead+4, eggBlockHead+4)
	if err != nil {
		return at, false
	}
	p := eggPart{method: h[4], size: int64(le.Uint32(h[6:])), packed: int64(le.Uint32(h[10:])), crc: le.Uint32(h[14:])}
	var ok bool
	if p.at, ok = e.fields(at+eggBlockHead, func(uint32, []byte) {}); !ok {
		return at, false
	}
	to := &e.blocks
	if n := len(e.files); !e.solid && n > 0 {
		to = &e.files[n-1].parts
	}
	if *to = append(*to, p); len(*to) > maxParts {
		return at, false
	}
	return min(p.at+p.packed, e.src.Size()), p.at+p.packed <= e.src.Size()
}

// flush gives the file that was read last, unless the archive is solid.
func (e *eggArchive) flush() bool {
	if e.solid || len(e.files) == 0 {
		return true
	}
	m := e.files[0]
	e.files = e.files[:0]
	m.tell(e.out)
	if len(m.parts) == 0 {
		if m.size > 0 && !e.before && !e.after {
			return e.out.ChildGap(unpack.Child{Op: "egg.unknown", Name: m.name, Size: m.size}, showcause.Corrupt)
		}
		return true // a folder, or an empty file
	}
	c := unpack.Child{Op: eggOp(m.parts[0].method), Name: m.name, Size: m.size}
	switch {
	case m.sealed:
		return e.out.ChildGap(c, showcause.Encrypted)
	case m.parts[0].method == 3 || m.parts[0].method > 4:
		return e.out.ChildGap(c, eggMethodGap)
	}
	if !e.out.Work(1 << 14) {
		return false
	}
	c.Reader = &eggReader{e: e, parts: m.parts, want: m.size}
	return e.out.Child(c)
}

// tell tells what the archive says of a file.
func (m *eggMember) tell(out *unpack.Out) {
	packed := int64(0)
	for _, p := range m.parts {
		packed = bound.Add(packed, p.packed)
	}
	out.Member(unpack.Member{Name: m.name, Packed: packed, Size: m.size, Encrypted: m.sealed})
}

// giveSolid gives the files of a solid archive.
func (e *eggArchive) giveSolid() bool {
	if len(e.blocks) == 0 {
		return true
	}
	op := eggOp(e.blocks[0].method)
	if e.sealed || len(e.files) > 0 && e.files[0].sealed {
		e.out.Gap(showcause.Encrypted, e.blocks[0].at, -1)
		return true
	}
	pos, all := int64(0), int64(0)
	for _, p := range e.blocks {
		all += p.size
	}
	s := unpack.Solid{Out: e.out, Cost: 128, Window: 4<<20 + min(all, 64<<20), Open: func() (io.Reader, error) {
		return &eggReader{e: e, parts: e.blocks, want: -1}, nil
	}}
	defer s.Close()
	for _, m := range e.files {
		m.tell(e.out)
		if m.size == 0 {
			continue
		}
		if !s.Member(unpack.Child{Op: op, Name: m.name, Size: m.size}, unpack.Piece{Off: pos, Size: m.size}) {
			return false
		}
		pos = bound.Add(pos, m.size)
	}
	if pos < all { // no file has it
		return s.Member(unpack.Child{Op: op, Size: all - pos}, unpack.Piece{Off: pos, Size: all - pos, Last: true})
	}
	return true
}

func eggOp(method byte) string {
	if ops := []string{"egg.stored", "egg.deflate", "egg.bzip2", "egg.azo", "egg.lzma"}; int(method) < len(ops) {
		return ops[method]
	}
	return "egg.unknown"
}

// eggReader decodes blocks one behind the other.
type eggReader struct {
	e     *eggArchive
	parts []eggPart
	want  int64 // bytes of all, -1 if it is not said
	n     int64
	r     io.Reader // of the block that is being read, nil for none
}

// Read implements io.Reader.
func (r *eggReader) Read(p []byte) (int, error) {
	for {
		if r.r == nil {
			if len(r.parts) == 0 {
				if r.want >= 0 && r.n != r.want && !r.e.after {
					return 0, unpack.Fail(showcause.Corrupt)
				}
				return 0, io.EOF
			}
			if !r.e.out.Work(1 << 14) {
				return 0, unpack.Fail(showcause.LimitWork)
			}
			in, left, err := r.e.open(r.parts[0])
			if err != nil {
				return 0, err
			}
			part := r.parts[0]
			add := func(sum uint32, p []byte) uint32 { return crc32.Update(sum, crc32.IEEETable, p) }
			r.r, r.parts = &summed{r: &most{in, part.size}, size: part.size, add: add, want: part.crc, left: left}, r.parts[1:]
		}
		n, err := r.r.Read(p)
		r.n += int64(n)
		if err == io.EOF {
			r.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// open decodes a block, and tells how much of it is left. What stands before the
// data of LZMA are 4 bytes that say nothing, and its properties (5).
func (e *eggArchive) open(p eggPart) (r io.Reader, left func() int64, err error) {
	in := newInput(bound.Section(e.src, p.at, p.packed), 0)
	switch p.method {
	case 0:
		return in, in.left, nil
	case 1:
		return flate.NewReader(in), in.left, nil
	case 2:
		r, err = codec.NewBunzip(in.sec, in.Reader, p.size, e.out.Work)
		return r, in.left, err
	case 4:
		var h [9]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return nil, nil, bound.CutShort(err)
		}
		if !e.out.Work(codec.SetupLZMA(h[4])) {
			return nil, nil, unpack.Fail(showcause.LimitWork)
		}
		d, err := codec.NewLZMA(in, [5]byte(h[4:]), p.size)
		if err != nil {
			return nil, nil, err
		}
		d.Marked = true
		return d, in.left, nil
	}
	return nil, nil, unpack.Fail(eggMethodGap)
}

// Package cabinet reads Microsoft's cabinets, and what else is compressed with
// LZX: CHM files.
package cabinet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/unpack"
)

var (
	le       = binary.LittleEndian
	cabMagic = []byte("MSCF")
)

const (
	cabHead = 36
	// maxBlock is the most data, in bytes, that a block may have: the size of them is 16 bits.
	maxBlock = 1 << 16
	// cabVolume is the code for what stands in another cabinet of a set.
	cabVolume  = showcause.Unsupported + ".format.cab-volume"
	cabOverlap = showcause.Ambiguous + ".overlap"
	cabMethod  = showcause.Unsupported + ".method.cab"
)

// Cab reads cabinets ([MS-CAB]), at the start of a layer, behind one another,
// and anywhere in a program.
//
//	header   "MSCF", sizes, flags, counts of folders and files; reserved areas;
//	         names of the cabinets before and behind it in a set
//	folders  offset of the first block, number of blocks, method
//	files    size, offset in the folder's content, folder, name
//	blocks   checksum, size, size of its content (32 KiB at most); data
//
// A folder is one stream of blocks; a file is a stretch of it. Each file is a
// child, "cab.mszip" by its folder's method, in the order of the stretches. What
// lies in no file is a child too, "cab.rest", and so is what stands behind a cabinet.
// The cabinets of a set that stand in one layer are read as one: a folder may go on in the next.
func Cab() unpack.Format {
	return unpack.Format{
		Name: "cab",
		Match: func(p *unpack.Probe) bool {
			return p.Type.String() == "cab" || bytes.HasPrefix(p.Head, cabMagic) && cabPlausible(p.Head) || p.Source != nil && isProgram(p.Type)
		},
		Walk: cabWalk,
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

// cabPlausible judges a header as readers do, who ignore the reserved fields.
func cabPlausible(b []byte) bool {
	return len(b) >= cabHead && bytes.HasPrefix(b, cabMagic) && le.Uint32(b[8:]) >= cabHead && le.Uint32(b[16:]) >= cabHead &&
		b[25] <= 3 && le.Uint16(b[26:]) > 0 && le.Uint16(b[30:]) <= 7
}

func cabWalk(src showcause.Source, out *unpack.Out) {
	off := int64(0)
	if head := bound.Head(src, cabHead); bytes.HasPrefix(head, cabMagic) && !cabPlausible(head) {
		out.Gap(showcause.Corrupt, 0, -1)
	}
	end := int64(-1) // of the cabinet that the layer begins with
	defer func() {
		if end >= 0 {
			out.Tail(src, end, "cab.rest")
		}
	}()
	for {
		at, ok := out.Find(src, off, cabMagic, cabPlausible)
		if !ok {
			return
		}
		c := cab{src: src, out: out, base: at}
		if at > 0 && !c.sound() {
			off = at + int64(len(cabMagic))
			continue
		}
		set, ok := c.gather()
		if !ok {
			return
		}
		if !giveAll(set) {
			return
		}
		for _, c := range set {
			behind := max(c.end, c.base+int64(len(cabMagic)))
			if !out.Between(src, c.base, behind, "cab.rest") {
				return
			}
			if off = max(off, behind); c.base == 0 {
				end = behind
			} else {
				out.Cover(c.base, behind-c.base)
			}
		}
	}
}

// cab is one cabinet while it is read.
type cab struct {
	src     showcause.Source
	out     *unpack.Out
	base    int64 // where it begins; its offsets count from there
	end     int64 // behind what was read of it
	reserve int64 // bytes of reserved area in each block
	folders []*folder
	files   int
	told    int // of them

	id, index uint16 // of the set; in it
	flags     uint16
}

// sound judges what the header leads to, where the magic stands in a program's
// code as well as in front of a cabinet: a first folder by a method that there is,
// and a first file of a folder that there is, its name no control characters. What is cut away is not judged.
func (c *cab) sound() bool {
	h, err := bound.ReadAt(c.src, c.base, cabHead, cabHead)
	if err != nil {
		return true
	}
	c.out.Work(256)
	at, flags := int64(cabHead), le.Uint16(h[30:])
	if flags&4 != 0 {
		r, err := bound.ReadAt(c.src, c.base+at, 4, 4)
		if err != nil {
			return true
		}
		at += 4 + int64(le.Uint16(r))
	}
	for _, flag := range []uint16{1, 1, 2, 2} {
		if flags&flag != 0 {
			at += int64(len(c.cstring(c.base+at))) + 1
		}
	}
	b, err := bound.ReadAt(c.src, c.base+at, 8, 8)
	if err != nil {
		return true
	}
	f := folder{method: le.Uint16(b[6:])}
	if _, _, ok := f.op(); !ok || le.Uint32(b) < cabHead {
		return false
	}
	if le.Uint16(h[28:]) == 0 {
		return true
	}
	e, err := bound.ReadAt(c.src, c.base+int64(le.Uint32(h[16:])), 17, 17)
	if err != nil {
		return c.base+int64(le.Uint32(h[8:])) > c.src.Size() // cut, by its own word
	}
	i := le.Uint16(e[8:])
	return (e[16] >= 0x20 || e[16] == 0) && (i >= 0xfffd || i < le.Uint16(h[26:]))
}

// folder is one stream of blocks.
type folder struct {
	at       int64     // of its first block in the layer
	parts    []stretch // where its blocks stand, one for each cabinet
	method   uint16
	files    []file
	headless bool  // it begins in the cabinet before
	tailless bool  // it goes on in the next
	size     int64 // of its content, as the blocks say
	damage   int64 // offset of the first block whose checksum does not fit, -1 if none
}

// stretch is blocks that stand one behind the other.
type stretch struct {
	at      int64
	blocks  int
	reserve int64 // bytes of reserved area in each
}

type file struct {
	name      string
	off, size int64
	before    bool // the cabinet before has it too
}

// read reads the cabinet's tables and tells whether to go on.
func (c *cab) read() bool {
	files, n, ok := c.header()
	if !ok || !c.directory(files, n) {
		return false
	}
	for _, f := range c.folders {
		if !c.measure(f) {
			return false
		}
	}
	return true
}

// header reads the header and the folders. It returns the offset in the layer and the number
// of the files; it says itself what is wrong.
func (c *cab) header() (files int64, n int, ok bool) {
	h, err := bound.ReadAt(c.src, c.base, cabHead, cabHead)
	if err != nil {
		c.out.Gap(showcause.Corrupt, c.base, -1)
		return 0, 0, true
	}
	at, entry := c.base+cabHead, int64(8)
	flags := le.Uint16(h[30:])
	c.flags, c.id, c.index = flags, le.Uint16(h[32:]), le.Uint16(h[34:])
	if flags&4 != 0 {
		r, _ := bound.ReadAt(c.src, at, 4, 4)
		if len(r) < 4 {
			c.out.Gap(showcause.Corrupt, c.base, -1)
			return 0, 0, true
		}
		at += 4 + int64(le.Uint16(r))
		entry += int64(r[2])
		c.reserve = int64(r[3])
	}
	for _, flag := range []uint16{1, 1, 2, 2} { // a name and a disc's name each
		if flags&flag != 0 {
			at += int64(len(c.cstring(at))) + 1
		}
	}
	for range le.Uint16(h[26:]) {
		b, err := bound.ReadAt(c.src, at, 8, 8)
		if !c.out.Work(64) {
			return 0, 0, false
		}
		if err != nil {
			c.out.Gap(showcause.Corrupt, min(at, c.src.Size()), -1)
			break
		}
		c.folders = append(c.folders, &folder{
			at: c.base + int64(le.Uint32(b)), method: le.Uint16(b[6:]), damage: -1,
			parts: []stretch{{c.base + int64(le.Uint32(b)), int(le.Uint16(b[4:])), c.reserve}},
		})
		at += entry
	}
	c.out.Cover(c.base, at-c.base)
	return c.base + int64(le.Uint32(h[16:])), int(le.Uint16(h[28:])), true
}

// cstring returns the bytes at off up to a zero.
func (c *cab) cstring(off int64) string {
	b, _ := bound.ReadAt(c.src, off, unpack.MaxName, unpack.MaxName)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// directory reads the files and tells whether to go on.
func (c *cab) directory(at int64, n int) bool {
	start := at
	defer func() { c.out.Cover(start, at-start) }()
	for range n {
		b, err := bound.ReadAt(c.src, at, 16, 16)
		if !c.out.Work(128) {
			return false
		}
		if err != nil {
			c.out.Gap(showcause.Corrupt, min(at, c.src.Size()), -1)
			return true
		}
		f := file{name: c.cstring(at + 16), size: int64(le.Uint32(b)), off: int64(le.Uint32(b[4:]))}
		i := int(le.Uint16(b[8:]))
		before, behind := i == 0xfffd || i == 0xffff, i == 0xfffe || i == 0xffff
		f.before = before
		c.out.Member(unpack.Member{Name: f.name, Size: f.size, Number: c.told, At: at, Length: 16 + int64(len(f.name)) + 1})
		c.told++
		c.files++
		switch {
		case before:
			i = 0
		case behind:
			i = len(c.folders) - 1
		}
		if i < 0 || i >= len(c.folders) {
			if !c.out.ChildGap(unpack.Child{Op: "cab.stored", Name: f.name, Size: f.size}, showcause.Corrupt) {
				return false
			}
		} else {
			d := c.folders[i]
			d.headless = d.headless || before
			d.tailless = d.tailless || behind
			d.files = append(d.files, f)
		}
		at += 16 + int64(len(f.name)) + 1
		c.end = max(c.end, at)
	}
	return true
}

// measure reads the headers of a folder's blocks for the size of its content.
func (c *cab) measure(f *folder) bool {
	at := f.at
	for i := range f.parts[0].blocks {
		if !c.out.Work(64) {
			return false
		}
		h, err := bound.ReadAt(c.src, at, 8, 8)
		if err != nil {
			f.parts[0].blocks = i
			c.out.Gap(showcause.Corrupt, min(at, c.src.Size()), -1)
			break
		}
		at += 8 + c.reserve + int64(le.Uint16(h[4:]))
		f.size += int64(le.Uint16(h[6:]))
	}
	c.end = max(c.end, min(at, c.src.Size()))
	c.out.Cover(f.at, at-f.at)
	return true
}

// op names the derivation by a folder's method.
func (f *folder) op() (op string, cost int64, ok bool) {
	switch f.method & 15 {
	case 0:
		return "cab.stored", 1, true
	case 1:
		return "cab.mszip", 8, true
	case 2:
		bits := f.method >> 8 & 31
		return "cab.quantum", 200, bits >= 10 && bits <= 21
	case 3:
		bits := f.method >> 8 & 31
		return "cab.lzx", 24, bits >= 15 && bits <= 21
	}
	return "cab.unknown", 0, false
}

// give gives the files of a folder, and what of its content is in none.
func (c *cab) give(f *folder) bool {
	op, cost, ok := f.op()
	if f.headless || !ok {
		return c.refuse(f, op, ok)
	}
	s := unpack.Solid{Out: c.out, Open: func() (io.Reader, error) { return c.open(f) }, Cost: cost, Window: f.window()}
	defer s.Close()
	slices.SortStableFunc(f.files, func(a, b file) int { return cmp.Compare(a.off, b.off) })
	pos, overlap := int64(0), false
	for i, m := range f.files {
		if m.off > pos && pos < f.size {
			n := min(m.off, f.size) - pos
			if !s.Member(unpack.Child{Op: "cab.rest", Size: n}, unpack.Piece{Off: pos, Size: n}) {
				return false
			}
		}
		overlap = overlap || m.off < pos && m.size > 0
		pos = max(pos, m.off+m.size)
		if m.size == 0 {
			continue
		}
		last := i == len(f.files)-1 && pos >= f.size
		if !s.Member(unpack.Child{Op: op, Name: m.name, Size: m.size}, unpack.Piece{Off: m.off, Size: m.size, Last: last}) {
			return false
		}
	}
	if pos < f.size && !s.Member(unpack.Child{Op: "cab.rest", Size: f.size - pos}, unpack.Piece{Off: pos, Size: f.size - pos, Last: true}) {
		return false
	}
	if overlap {
		c.out.Gap(cabOverlap, f.at, -1)
	}
	if f.damage >= 0 {
		c.out.Gap(showcause.Corrupt, f.damage, -1)
	}
	return true
}

// refuse says of a folder's files that they are not read.
func (c *cab) refuse(f *folder, op string, known bool) bool {
	code := cabVolume
	if !known {
		code = cabMethod
	}
	for _, m := range f.files {
		if !c.out.ChildGap(unpack.Child{Op: op, Name: m.name, Size: m.size}, code) {
			return false
		}
	}
	if len(f.files) == 0 && f.size > 0 {
		c.out.Gap(code, f.at, -1)
	}
	return true
}

// window is how many bytes the folder's decoder keeps.
func (f *folder) window() int64 {
	n := int64(64 << 10)
	if f.method&15 >= 2 {
		n += min(f.size, 1<<(f.method>>8&31))
	}
	return n
}

// open begins the folder's content.
func (c *cab) open(f *folder) (io.Reader, error) {
	b := &blocks{c: c, f: f, stretch: f.parts[0], parts: f.parts[1:], end: io.EOF}
	if f.tailless {
		b.end = unpack.Fail(cabVolume)
	}
	if f.method&15 != 3 {
		return b, nil
	}
	if !c.out.Work(1 << 14) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	l, err := codec.NewLZX(b, int(f.method>>8&31), f.size, 0)
	return &ending{l, b.end}, err
}

// ending gives another error at the end.
type ending struct {
	r   io.Reader
	end error
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err == io.EOF {
		err = e.end
	}
	return n, err
}

// blocks reads the blocks of a folder: their content by Read, and their data,
// which goes on from one to the next in LZX, by ReadByte.
type blocks struct {
	c       *cab
	f       *folder
	stretch           // what is left of the part
	parts   []stretch // those that follow
	end     error
	data    []byte // what is left of a block's data, for ReadByte
	out     []byte // what is left of a block's content, for Read
	past    []byte // the last content, for MSZIP
	err     error

	inflate io.ReadCloser
	quantum *quantum
}

// next reads a block. It returns its data and the size of its content.
func (b *blocks) next() (data []byte, n int, err error) {
	for b.blocks == 0 {
		if len(b.parts) == 0 {
			return nil, 0, b.end
		}
		b.stretch, b.parts = b.parts[0], b.parts[1:]
	}
	data, n, err = b.read()
	for n == 0 && b.blocks == 0 && err == nil && len(data) <= maxBlock {
		// The first part of a block, whose rest the next cabinet has.
		if len(b.parts) == 0 {
			if b.f.tailless {
				err = b.end
			}
			break
		}
		b.stretch, b.parts = b.parts[0], b.parts[1:]
		if b.blocks == 0 {
			return nil, 0, unpack.Fail(showcause.Corrupt)
		}
		var rest []byte
		rest, n, err = b.read()
		data = append(data[:len(data):len(data)], rest...)
	}
	return data, n, err
}

// read reads one block of the part.
func (b *blocks) read() (data []byte, n int, err error) {
	if !b.c.out.Work(256) {
		return nil, 0, unpack.Fail(showcause.LimitWork)
	}
	b.blocks--
	h, err := bound.ReadAt(b.c.src, b.at, 8, 8)
	if err != nil {
		return nil, 0, bound.CutShort(err)
	}
	size := int64(le.Uint16(h[4:]))
	data, err = bound.ReadAt(b.c.src, b.at+8+b.reserve, size, 1<<16)
	if b.f.damage < 0 && (err != nil || !b.sum(h, data)) {
		b.f.damage = b.at
	}
	b.at += 8 + b.reserve + size
	return data, int(le.Uint16(h[6:])), err
}

// sum checks a block. Some writers leave the reserved area out.
func (b *blocks) sum(h, data []byte) bool {
	want := le.Uint32(h)
	got := cabSum(data) ^ le.Uint32(h[4:])
	if want == 0 || want == got {
		return true
	}
	r, _ := bound.ReadAt(b.c.src, b.at+8, b.reserve, 255)
	return want == got^cabSum(r)
}

// cabSum is the exclusive or of 32-bit words, the last of which may be short
// ([MS-CAB], 3.1).
func cabSum(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum ^= le.Uint32(b)
	}
	last := uint32(0)
	for _, c := range b {
		last = last<<8 | uint32(c)
	}
	return sum ^ last
}

// ReadByte implements io.ByteReader.
func (b *blocks) ReadByte() (byte, error) {
	for len(b.data) == 0 {
		if b.err == nil {
			b.data, _, b.err = b.next()
		}
		if len(b.data) == 0 && b.err != nil {
			return 0, b.err
		}
	}
	c := b.data[0]
	b.data = b.data[1:]
	return c, nil
}

// Read implements io.Reader.
func (b *blocks) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		data, n, err := b.next()
		if err == nil || len(data) > 0 {
			var e error
			if b.out, e = b.block(data, n); err == nil {
				err = e
			}
		}
		b.err = err
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// block decodes one block of n bytes of content.
func (b *blocks) block(data []byte, n int) ([]byte, error) {
	switch b.f.method & 15 {
	case 0:
		if len(data) != n {
			return data, unpack.Fail(showcause.Corrupt)
		}
		return data, nil
	case 1:
		return b.mszip(data, n)
	}
	if b.quantum == nil {
		b.quantum = newQuantum(uint(b.f.method >> 8 & 31))
	}
	if !b.c.out.Work(int64(n)) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	return b.quantum.block(bytes.NewReader(data), n, make([]byte, 0, n))
}

// mszipLeft is how many bytes may stand behind the stream of a block, as padding.
const mszipLeft = 16

// mszip inflates a block: "CK", then a DEFLATE stream whose window has what
// came before ([MS-MCI]).
func (b *blocks) mszip(data []byte, n int) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte("CK")) {
		return nil, unpack.Fail(showcause.Corrupt)
	}
	if !b.c.out.Work(8 << 10) {
		return nil, unpack.Fail(showcause.LimitWork)
	}
	r := bytes.NewReader(data[2:])
	if b.inflate == nil {
		b.inflate = flate.NewReaderDict(r, b.past)
	} else if err := b.inflate.(flate.Resetter).Reset(r, b.past); err != nil {
		return nil, err
	}
	out := make([]byte, n)
	m, err := io.ReadFull(b.inflate, out)
	out = out[:m]
	if more := [1]byte{}; err == nil {
		if k, _ := b.inflate.Read(more[:]); (k > 0 || r.Len() > mszipLeft) && b.f.damage < 0 {
			b.f.damage = b.at // there is more than the block says, or than its stream
		}
	}
	if b.past = append(b.past, out...); len(b.past) > 32<<10 {
		b.past = append(b.past[:0], b.past[len(b.past)-32<<10:]...)
	}
	return out, bound.CutShort(err)
}

package sevenzip

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// errHeader is the error for a directory that is not what it should be.
var errHeader = errors.New("7z: invalid directory")

// The properties (7-Zip, 7zFormat.txt).
const (
	idEnd = iota
	idHeader
	idArchiveProperties
	idAdditionalStreams
	idMainStreams
	idFiles
	idPackInfo
	idUnpackInfo
	idSubStreams
	idSize
	idCRC
	idFolder
	idCodersUnpackSize
	idNumUnpackStream
	idEmptyStream
	idEmptyFile
	idAnti
	idNames
	idEncodedHeader = 0x17
)

// maxCoders is the most coders and streams in a folder; 7-Zip takes 32.
const maxCoders = 32

// coder is one step of a folder.
type coder struct {
	id    uint64
	in    int // number of streams that it reads; one comes out
	props []byte
}

// pair binds what comes out of a coder to a stream that another reads.
type pair struct{ in, out int }

// folder is a graph of coders. Streams that are read are numbered through all coders.
type folder struct {
	coders []coder
	pairs  []pair
	packed []int // numbers of the streams that stand in the archive
	at     int   // index of the first of them among all
	sizes  []int64
	crc    sum
	subs   []sub // what the content is cut into

	password []byte // once it is known
}

// sub is the content of one file.
type sub struct {
	size int64
	crc  sum
}

type sum struct {
	known bool
	v     uint32
}

// main returns the coder whose output is the content, -1 if there is none.
func (f *folder) main() int {
	for i := range f.coders {
		if f.bound(i) < 0 {
			return i
		}
	}
	return -1
}

// bound returns the number of the stream to which the output of a coder goes.
func (f *folder) bound(out int) int {
	for _, p := range f.pairs {
		if p.out == out {
			return p.in
		}
	}
	return -1
}

func (f *folder) size() int64 {
	if i := f.main(); i >= 0 && i < len(f.sizes) {
		return f.sizes[i]
	}
	return 0
}

// files are the files of the directory, in order.
type files struct {
	names []byte // what is left of the names
	empty []bool // which have no content
	at    int
}

// streams is where content stands and how it is coded.
type streams struct {
	pos     int64   // of the first packed stream, from the end of the first header
	packs   []int64 // sizes
	offs    []int64 // offsets in the archive, once asked for
	folders []*folder
}

// directory reads a header from memory. Counts are bounded by what is there;
// work is charged for each thing that is read.
type directory struct {
	b    []byte
	work func(int64) bool
	err  error
}

func (d *directory) fail() {
	if d.err == nil {
		d.err = errHeader
	}
}

func (d *directory) take(n int64) []byte {
	if d.err != nil || n < 0 || n > int64(len(d.b)) {
		d.fail()
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *directory) byte() byte {
	if p := d.take(1); len(p) == 1 {
		return p[0]
	}
	return 0
}

func (d *directory) u32() uint32 {
	if p := d.take(4); len(p) == 4 {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// number reads an integer of 1 to 9 bytes: as many bytes follow as the first
// has leading ones, and its other bits are the highest.
func (d *directory) number() int64 {
	first := d.byte()
	v, mask := uint64(0), byte(0x80)
	for i := range uint(8) {
		if first&mask == 0 {
			v |= uint64(first&(mask-1)) << (8 * i)
			break
		}
		v |= uint64(d.byte()) << (8 * i)
		mask >>= 1
	}
	if v>>63 != 0 {
		d.fail()
		return 0
	}
	return int64(v)
}

// The most things of a kind that a directory may have: what is kept of them is
// no longer than what stands in a compressed directory as zeros.
const (
	maxFiles   = 2 << 20
	maxFolders = 1 << 18
)

// count reads a number of things, each of which takes a bit of the header or more.
func (d *directory) count(most int64) int {
	n := d.number()
	switch {
	case d.err != nil:
		return 0
	case n > 8*int64(len(d.b))+1:
		d.fail()
		return 0
	case n > most:
		d.err = unpack.Fail(showcause.LimitObject)
		return 0
	case !d.work(16*n + 16):
		d.err = unpack.Fail(showcause.LimitWork)
		return 0
	}
	return int(n)
}

// bits reads n bits.
func (d *directory) bits(n int) []bool {
	p := d.take(int64(n+7) / 8)
	if d.err != nil {
		return make([]bool, 0)
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = p[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

// optional reads n bits, or a byte that says that all are set.
func (d *directory) optional(n int) []bool {
	if d.byte() == 0 {
		return d.bits(n)
	}
	if int64(n) > 8*int64(len(d.b))+8 {
		d.fail()
		return nil
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// sums reads the checksums of n things.
func (d *directory) sums(n int) []sum {
	known := d.optional(n)
	out := make([]sum, len(known))
	for i, k := range known {
		if k && d.err == nil {
			out[i] = sum{true, d.u32()}
		}
	}
	return out
}

// skip passes over a property, which has its size in front.
func (d *directory) skip() { d.take(d.number()) }

// expect reads properties up to the one with the given id and passes over those
// before; false at the end of the list.
func (d *directory) expect(id byte) bool {
	for d.err == nil {
		switch got := d.byte(); got {
		case id:
			return d.err == nil
		case idEnd:
			return false
		default:
			d.skip()
		}
	}
	return false
}

// streams reads PackInfo, UnpackInfo and SubStreamsInfo.
func (d *directory) streams() *streams {
	s := &streams{}
	for d.err == nil {
		switch d.byte() {
		case idEnd:
			for _, f := range s.folders {
				if f.subs == nil {
					f.subs = []sub{{f.size(), f.crc}}
				}
			}
			return s
		case idPackInfo:
			d.packs(s)
		case idUnpackInfo:
			d.folders(s)
		case idSubStreams:
			d.subStreams(s)
		default:
			d.fail()
		}
	}
	return s
}

func (d *directory) packs(s *streams) {
	s.pos = d.number()
	n := d.count(maxFiles)
	for d.err == nil {
		switch d.byte() {
		case idEnd:
			return
		case idSize:
			for range n {
				if d.err != nil {
					return
				}
				s.packs = append(s.packs, d.number())
			}
		case idCRC:
			d.sums(n) // the content has its own
		default:
			d.skip()
		}
	}
}

func (d *directory) folders(s *streams) {
	if !d.expect(idFolder) {
		d.fail()
		return
	}
	n := d.count(maxFolders)
	if d.byte() != 0 { // in another stream
		d.fail()
	}
	at := 0
	for range n {
		if d.err != nil {
			return
		}
		f := d.folder()
		f.at = at
		at += len(f.packed)
		s.folders = append(s.folders, f)
	}
	if !d.expect(idCodersUnpackSize) {
		d.fail()
		return
	}
	for _, f := range s.folders {
		for range f.coders {
			f.sizes = append(f.sizes, d.number())
		}
	}
	for d.err == nil {
		switch d.byte() {
		case idEnd:
			return
		case idCRC:
			for i, c := range d.sums(len(s.folders)) {
				s.folders[i].crc = c
			}
		default:
			d.skip()
		}
	}
}

func (d *directory) folder() *folder {
	f := &folder{}
	n := d.number()
	if n < 1 || n > maxCoders {
		d.fail()
		return f
	}
	in := 0
	for range n {
		flags := d.byte()
		c := coder{in: 1}
		for _, b := range d.take(int64(flags & 15)) {
			c.id = c.id<<8 | uint64(b)
		}
		if flags&0x10 != 0 {
			c.in = int(min(d.number(), maxCoders+1))
			if d.number() != 1 {
				d.fail() // two outputs: nothing writes that any more
			}
		}
		if flags&0x20 != 0 {
			c.props = d.take(d.number())
		}
		if flags&0xc0 != 0 || flags&15 > 8 || c.in < 1 || c.in > maxCoders {
			d.fail()
		}
		in += c.in
		f.coders = append(f.coders, c)
		if d.err != nil || in > maxCoders {
			d.fail()
			return f
		}
	}
	used := make([]bool, in)
	for range n - 1 {
		p := pair{int(min(d.number(), maxCoders)), int(min(d.number(), maxCoders))}
		if p.in >= in || p.out >= len(f.coders) || used[p.in] || f.bound(p.out) >= 0 {
			d.fail()
			return f
		}
		used[p.in] = true
		f.pairs = append(f.pairs, p)
	}
	left := in - int(n-1)
	if left < 1 {
		d.fail()
		return f
	}
	for range left {
		at := 0
		if left > 1 {
			at = int(min(d.number(), maxCoders))
		} else {
			for at < in && used[at] {
				at++
			}
		}
		if at >= in || used[at] {
			d.fail()
			return f
		}
		used[at] = true
		f.packed = append(f.packed, at)
	}
	return f
}

func (d *directory) subStreams(s *streams) {
	id := d.byte()
	all := int64(0)
	for _, f := range s.folders {
		n := 1
		if id == idNumUnpackStream {
			n = d.count(maxFiles - all)
		}
		all += int64(n)
		f.subs = make([]sub, n)
	}
	if id == idNumUnpackStream {
		id = d.byte()
	}
	for _, f := range s.folders {
		left := f.size()
		for i := range f.subs {
			if i < len(f.subs)-1 {
				if id == idSize {
					f.subs[i].size = d.number()
				}
				left -= f.subs[i].size
				if left < 0 {
					d.fail()
					return
				}
				continue
			}
			f.subs[i].size = left
		}
		if len(f.subs) == 1 {
			f.subs[0].crc = f.crc
		}
	}
	if id == idSize {
		id = d.byte()
	}
	for ; d.err == nil && id != idEnd; id = d.byte() {
		if id == idCRC {
			d.subSums(s)
		} else {
			d.skip()
		}
	}
}

// subSums reads the checksums that are not known from a folder.
func (d *directory) subSums(s *streams) {
	var want []*sum
	for _, f := range s.folders {
		if len(f.subs) == 1 && f.crc.known {
			continue
		}
		for i := range f.subs {
			want = append(want, &f.subs[i].crc)
		}
	}
	for i, c := range d.sums(len(want)) {
		*want[i] = c
	}
}

// files reads the directory's files.
func (d *directory) files() (out files) {
	n := d.count(maxFiles)
	for d.err == nil {
		id := d.number()
		if id == idEnd {
			break
		}
		p := directory{b: d.take(d.number()), work: d.work}
		if d.err != nil {
			break
		}
		switch id {
		case idEmptyStream:
			out.empty = p.bits(n)
		case idNames:
			if p.byte() != 0 { // in another stream
				p.fail()
			}
			out.names = p.b
		}
		if p.err != nil {
			d.err = p.err
		}
	}
	return out
}

// next returns the name of the next file that is not empty, UTF-16 with a zero
// at its end.
func (f *files) next() string {
	for f.at < len(f.empty) && f.empty[f.at] {
		f.name(false)
		f.at++
	}
	f.at++
	return f.name(true)
}

// name takes one name.
func (f *files) name(wanted bool) string {
	var u []uint16
	for len(f.names) >= 2 {
		c := binary.LittleEndian.Uint16(f.names)
		f.names = f.names[2:]
		if c == 0 {
			break
		}
		if wanted && len(u) < unpack.MaxName {
			u = append(u, c)
		}
	}
	return string(utf16.Decode(u))
}

// packed returns where a packed stream stands.
func (s *streams) packed(i int) (off, n int64, ok bool) {
	if i >= len(s.packs) {
		return 0, 0, false
	}
	if s.offs == nil {
		off = bound.Add(signature, s.pos)
		for _, p := range s.packs {
			s.offs = append(s.offs, off)
			off = bound.Add(off, p)
		}
	}
	return s.offs[i], s.packs[i], true
}

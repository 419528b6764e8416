package disc

import (
	"bytes"
	"encoding/binary"
	"io"
	"sort"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// UDF reads images of UDF up to 2.60 (ECMA-167; OSTA, "Universal Disk Format
// Specification").
//
//	sectors 16 on   "BEA01", "NSR02" or "NSR03", "TEA01"
//	sector 256, or the last, or 256 before it, or 512: the anchor: 16 length u32 and place u32 of the descriptors
//	descriptors     5 partition: 22 number u16, 188 first sector u32; 6 volume: 212 block size u32, 248 where the
//	                set of files is, 268 partitions u32, 440 a map of each
//	a file entry    tag 261 or 266: 27 kind u8, 34 form of the extents u16, 56 bytes u64, then attributes and extents
//	a directory     names: tag 257, 18 kind u8, 19 length u8, 20 where the entry is
//
// An anchor is enough, without the sectors from 16 on. Each of these has a sum in front;
// where it is wrong that is damage, and it is read all the same.
//
// Of what ISO 9660 has given already, nothing is given again. Sessions that
// are written over by way of a table (VAT) are a gap.
func UDF() unpack.Format {
	return unpack.Format{
		Name: "udf",
		Match: func(p *unpack.Probe) bool {
			return p.Is("udf") || udfAnnounced(p.Source) || udfAnchored(p.Source, !mayBeDisc(p.Type))
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&udf{src: src, out: out, parts: map[uint16]int64{}, seen: map[int64]bool{}, covered: out.Covered()}).walk()
		},
	}
}

const (
	udfVirtual = showcause.Unsupported + ".method.udf-virtual"

	tagPartition = 5
	tagVolume    = 6
	tagEnd       = 8
	tagFileSet   = 256
	tagName      = 257
	tagEntry     = 261
	tagExtended  = 266
	udfMaxExt    = 1 << 20
)

// udfAnnounced tells whether a mark of UDF is among the descriptors.
func udfAnnounced(src showcause.Source) bool {
	if src == nil {
		return false
	}
	for i := int64(16); i < 48; i++ {
		b, err := bound.ReadAt(src, i*sector, 6, 6)
		if err != nil {
			return false
		}
		switch id := b[1:]; {
		case bytes.HasPrefix(id, []byte("NSR0")):
			return true
		case !bytes.Equal(id, isoMagic) && !bytes.HasPrefix(id, []byte("BEA0")) && !bytes.HasPrefix(id, []byte("BOOT2")) && !bytes.HasPrefix(id, []byte("TEA0")):
			return false
		}
	}
	return false
}

// udfSizes are the sizes of a sector, the usual one first.
var udfSizes = [...]int64{2048, 512, 1024, 4096}

// udfAnchors are where an anchor may be, in bytes.
func udfAnchors(src showcause.Source, size int64) [4]int64 {
	n := src.Size() / size
	return [4]int64{256 * size, (n - 1) * size, (n - 257) * size, 512 * size}
}

// mayBeDisc tells whether an anchor is enough where a layer has that type. In the file of
// a virtual disk, which has the disc's sectors elsewhere, an anchor may stand where one of
// its own would.
func mayBeDisc(t filetype.Type) bool {
	switch t.String() {
	case "iso9660", "udf", "mbr", "gpt", "apm", "hfs", "hfsplus":
		return true
	}
	return t == filetype.Unknown
}

// udfAnchored tells whether there is an anchor, and, if it must lead somewhere, a
// descriptor where it says.
func udfAnchored(src showcause.Source, leads bool) bool {
	if src == nil || src.Size() < 257*512 {
		return false
	}
	for _, size := range udfSizes {
		for _, at := range udfAnchors(src, size) {
			b, err := bound.ReadAt(src, at, 512, 512)
			if err == nil && at > 0 && tagged(b, 2, uint32(at/size)) && summed(b) && (!leads || udfLeads(src, b, size)) {
				return true
			}
		}
	}
	return false
}

// udfLeads tells whether a descriptor is among those that an anchor leads to.
func udfLeads(src showcause.Source, anchor []byte, size int64) bool {
	le := binary.LittleEndian
	for _, extent := range [][]byte{anchor[16:], anchor[24:]} {
		first, n := int64(le.Uint32(extent[4:])), int64(le.Uint32(extent))/size
		for i := first; i < first+min(n, 16); i++ {
			b, err := bound.ReadAt(src, i*size, size, 4096)
			if err == nil && tagged(b, le.Uint16(b), uint32(i)) && summed(b) {
				return true
			}
		}
	}
	return false
}

// summed tells whether the sums of a descriptor's tag and of what follows are right
// (ECMA-167, 3/7.2): 4 the sum of the tag, 8 a CRC of 10 bytes behind the tag.
func summed(b []byte) bool {
	le := binary.LittleEndian
	if len(b) < 16 || !tagged(b, le.Uint16(b), le.Uint32(b[12:])) {
		return false
	}
	n := int(le.Uint16(b[10:]))
	if 16+n > len(b) {
		return false
	}
	crc := uint16(0)
	for _, c := range b[16 : 16+n] {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc == le.Uint16(b[8:])
}

type udf struct {
	src     showcause.Source
	out     *unpack.Out
	block   int64
	parts   map[uint16]int64 // first byte of each partition, by its number
	maps    []udfMap
	root    []byte // where the set of files is
	seen    map[int64]bool
	covered []unpack.Span
	stop    bool
	bad     bool
	claim   func(off, n int64) // if not nil, it gets where files and directories are, and nothing is given
	end     int64              // of the last partition, in the layer
	anchor  []byte
	// integrity is where the descriptors are that say whether the volume was closed.
	integrity []byte
}

// udfMap is a partition as places name it.
type udfMap struct {
	number  uint16
	meta    []udfExtent // of the metadata partition: where it is
	metaAt  uint32
	isMeta  bool
	virtual bool
}

// udfExtent is a stretch of a file; off below 0 is a hole.
type udfExtent struct{ off, n int64 }

func (u *udf) work(n int64) bool {
	u.stop = u.stop || !u.out.Work(n)
	return !u.stop
}

// corrupt says, once, that something could not be read.
func (u *udf) corrupt() {
	if !u.bad {
		u.bad = true
		u.gap(showcause.Corrupt)
	}
}

func (u *udf) gap(code showcause.Code) {
	if u.claim == nil {
		u.out.Gap(code, 0, -1)
	}
}

// udfClaims tells where the files of a tree of UDF are, and its descriptors, if there
// is one, and returns the end of its partitions.
func udfClaims(src showcause.Source, out *unpack.Out, claim func(off, n int64)) (end int64) {
	if !udfAnnounced(src) && !udfAnchored(src, false) {
		return 0
	}
	u := &udf{src: src, out: out, parts: map[uint16]int64{}, seen: map[int64]bool{}, claim: claim}
	u.walk()
	if u.anchor != nil && !u.stop {
		u.claims()
	}
	return u.end
}

// claims claims what descriptors take: those of the volume, in both copies, that of the
// set of files, and the anchors.
func (u *udf) claims() {
	le := binary.LittleEndian
	own := func(at int64) bool {
		b, err := bound.ReadAt(u.src, at, u.block, 4096)
		if err != nil || !u.work(8) || !summed(b) || len(bytes.Trim(b[512:], "\x00")) > 0 {
			return false
		}
		u.claim(at, u.block)
		return true
	}
	run := func(extent []byte) { // length u32, place u32
		at, n := int64(le.Uint32(extent[4:])), int64(le.Uint32(extent))/u.block
		for i := int64(0); i < min(n, 256) && own((at+i)*u.block); i++ {
		}
	}
	for _, extent := range [][]byte{u.anchor[16:24], u.anchor[24:32], u.integrity} {
		if len(extent) == 8 {
			run(extent)
		}
	}
	if at := u.at(u.root); len(u.root) == 16 && at > 0 && own(at) {
		own(at + u.block) // which says that there is no more
	}
	u.anchors(0, u.claim)
}

func (u *udf) walk() {
	le := binary.LittleEndian
	found := false
	for _, size := range udfSizes {
		for _, at := range udfAnchors(u.src, size) {
			b, err := bound.ReadAt(u.src, at, 512, 512)
			if at <= 0 || err != nil || !tagged(b, 2, uint32(at/size)) {
				continue
			}
			if !summed(b) {
				u.corrupt()
			}
			u.block, u.anchor = size, b
			if u.descriptors(int64(le.Uint32(b[20:])), int64(le.Uint32(b[16:]))) || u.descriptors(int64(le.Uint32(b[28:])), int64(le.Uint32(b[24:]))) {
				found = true
				break
			}
		}
		if found {
			break
		}
	}
	if !found {
		u.corrupt()
		return
	}
	for i := range u.maps {
		if u.maps[i].virtual {
			u.gap(udfVirtual)
			return
		}
	}
	for i := range u.maps {
		u.metadata(&u.maps[i])
	}
	set := u.at(u.root)
	b, err := bound.ReadAt(u.src, set, 512, 512)
	if set < 0 || err != nil || le.Uint16(b) != tagFileSet {
		u.corrupt()
		return
	}
	if !summed(b) {
		u.corrupt()
	}
	u.entry(b[400:416], "", 0)
	if id, err := bound.ReadAt(u.src, isoData+1, 5, 5); !u.stop && u.claim == nil && (err != nil || !bytes.Equal(id, isoMagic)) { // ISO 9660 gives its own
		u.copies()
		u.out.Tail(u.src, u.end, "udf.rest")
	}
}

// copies covers what stands twice by the rules: anchors that have nothing but where
// the descriptors are, and descriptors of the reserve that are as the others.
func (u *udf) copies() {
	le := binary.LittleEndian
	u.anchors(u.end, u.out.Cover)
	first, second := int64(le.Uint32(u.anchor[20:])), int64(le.Uint32(u.anchor[28:]))
	for i := int64(0); i < min(int64(le.Uint32(u.anchor[24:]))/u.block, 256) && u.work(64); i++ {
		a, err := bound.ReadAt(u.src, (first+i)*u.block, u.block, 4096)
		b, errB := bound.ReadAt(u.src, (second+i)*u.block, u.block, 4096)
		if err != nil || errB != nil || !bytes.Equal(a[16:], b[16:]) {
			return
		}
		u.out.Cover((second+i)*u.block, u.block)
	}
}

// anchors hands over the sectors from off on that are anchors and nothing else.
func (u *udf) anchors(off int64, take func(off, n int64)) {
	try := func(at int64) {
		b, err := bound.ReadAt(u.src, at, u.block, 4096)
		if err == nil && at >= off && bytes.Equal(b[16:32], u.anchor[16:32]) && len(bytes.Trim(b[32:], "\x00")) == 0 {
			take(at, u.block)
		}
	}
	n := u.src.Size() / u.block
	for at := max(off/u.block, n-1<<10, 0); at < n && u.work(8); at++ { // genisoimage writes 150 of them
		try(at * u.block)
	}
	for _, at := range udfAnchors(u.src, u.block) {
		if at < (n-1<<10)*u.block {
			try(at)
		}
	}
}

// tagged tells whether a descriptor has a tag, its sum and its place.
func tagged(b []byte, id uint16, at uint32) bool {
	sum := byte(0)
	for i := range 16 {
		if i != 4 {
			sum += b[i]
		}
	}
	return binary.LittleEndian.Uint16(b) == id && sum == b[4] && binary.LittleEndian.Uint32(b[12:]) == at
}

// descriptors reads those of the volume. It tells whether the files can be found.
func (u *udf) descriptors(at, size int64) bool {
	le := binary.LittleEndian
	for i := int64(0); i < min(size/u.block, 256) && u.work(64); i++ {
		b, err := bound.ReadAt(u.src, (at+i)*u.block, u.block, 4096)
		if err != nil {
			break
		}
		if le.Uint16(b) != 0 && !summed(b) {
			u.corrupt()
		}
		switch le.Uint16(b) {
		case tagPartition:
			u.parts[le.Uint16(b[22:])] = int64(le.Uint32(b[188:])) * u.block
			u.end = max(u.end, (int64(le.Uint32(b[188:]))+int64(le.Uint32(b[192:])))*u.block)
		case tagVolume:
			u.root, u.integrity = b[248:264], b[432:440]
			u.maps = nil
			list := b[440:min(440+int(min(le.Uint32(b[264:]), 1<<12)), len(b))]
			for len(list) >= 6 && len(u.maps) < 64 {
				n := int(list[1])
				if n < 6 || n > len(list) {
					break
				}
				m := udfMap{number: le.Uint16(list[4:])}
				if list[0] == 2 && n == 64 {
					m.number = le.Uint16(list[38:])
					m.isMeta, m.metaAt = bytes.HasPrefix(list[5:], []byte("*UDF Metadata")), le.Uint32(list[40:])
					m.virtual = bytes.HasPrefix(list[5:], []byte("*UDF Virtual"))
				}
				u.maps = append(u.maps, m)
				list = list[n:]
			}
		case tagEnd:
			return u.root != nil && len(u.maps) > 0
		}
	}
	return u.root != nil && len(u.maps) > 0
}

// metadata finds the extents of a partition that is a file.
func (u *udf) metadata(m *udfMap) {
	start, ok := u.parts[m.number]
	if !m.isMeta || !ok {
		return
	}
	plain := -1
	for i, o := range u.maps {
		if o.number == m.number && !o.isMeta {
			plain = i
		}
	}
	b, err := bound.ReadAt(u.src, start+int64(m.metaAt)*u.block, u.block, 4096)
	if err != nil || plain < 0 {
		return
	}
	m.meta, _, _ = u.extents(b, uint16(plain))
}

// place is where block n of a partition is; below 0: nowhere.
func (u *udf) place(n int64, part uint16) int64 {
	if int(part) >= len(u.maps) {
		return -1
	}
	m := &u.maps[part]
	if m.isMeta {
		at := n * u.block
		for _, e := range m.meta {
			if at < e.n {
				return e.off + at
			}
			at -= e.n
		}
		return -1
	}
	start, ok := u.parts[m.number]
	if !ok {
		return -1
	}
	return start + n*u.block
}

// at is where a long_ad leads: length u32, block u32, partition u16.
func (u *udf) at(ad []byte) int64 {
	le := binary.LittleEndian
	return u.place(int64(le.Uint32(ad[4:])), le.Uint16(ad[8:]))
}

// extents reads where a file is; inline is what stands in the entry itself.
func (u *udf) extents(b []byte, part uint16) (list []udfExtent, inline []byte, ok bool) {
	le := binary.LittleEndian
	from, size := 0, 0
	switch le.Uint16(b) {
	case tagEntry:
		from, size = 176+int(min(le.Uint32(b[168:]), 1<<16)), int(min(le.Uint32(b[172:]), 1<<16))
	case tagExtended:
		from, size = 216+int(min(le.Uint32(b[208:]), 1<<16)), int(min(le.Uint32(b[212:]), 1<<16))
	default:
		return nil, nil, false
	}
	if from+size > len(b) {
		return nil, nil, false
	}
	form := le.Uint16(b[34:]) & 7
	ads := b[from : from+size]
	if form == 3 {
		return nil, ads, true
	}
	step := map[uint16]int{0: 8, 1: 16}[form]
	if step == 0 {
		return nil, nil, false
	}
	for next := 0; len(ads) >= step && u.work(1); {
		n, kind := int64(le.Uint32(ads)&(1<<30-1)), le.Uint32(ads)>>30
		p := part
		if step == 16 {
			p = le.Uint16(ads[8:])
		}
		off := u.place(int64(le.Uint32(ads[4:])), p)
		switch {
		case n == 0:
			return list, nil, true
		case kind == 3: // the list goes on there
			c, err := bound.ReadAt(u.src, off, n, 1<<16)
			if next++; off < 0 || err != nil || len(c) < 24 || next > 4096 {
				return list, nil, false
			}
			ads = c[24:min(24+int(le.Uint32(c[20:])), len(c))]
			continue
		case kind != 0:
			off = -1
		case off < 0:
			return list, nil, false
		}
		if len(list) >= udfMaxExt {
			return list, nil, false
		}
		list = append(list, udfExtent{off, n})
		ads = ads[step:]
	}
	return list, nil, true
}

// entry reads a file entry and what it describes.
func (u *udf) entry(ad []byte, name string, level int) {
	le := binary.LittleEndian
	at := u.at(ad)
	b, err := bound.ReadAt(u.src, at, u.block, 4096)
	if at < 0 || err != nil || !u.work(64) || len(b) < 216 {
		u.corrupt()
		return
	}
	if u.seen[at] {
		return
	}
	u.seen[at] = true
	if !summed(b) {
		u.corrupt()
	}
	if level > isoDepth {
		u.gap(showcause.LimitDepth)
		return
	}
	list, inline, ok := u.extents(b, le.Uint16(ad[8:]))
	if !ok {
		u.corrupt()
	}
	size := int64(min(le.Uint64(b[56:]), 1<<62))
	f := newUDFFile(u.src, size, list)
	if inline != nil {
		f = newUDFFile(showcause.Bytes(inline), min(size, int64(len(inline))), []udfExtent{{0, int64(len(inline))}})
	}
	if u.claim != nil {
		u.claim(at, u.block)
		for left, k := f.size, 0; left > 0 && k < len(list); k++ {
			if list[k].off >= 0 {
				u.claim(list[k].off, (min(list[k].n, left)+u.block-1)/u.block*u.block)
			}
			left -= list[k].n
		}
	}
	switch b[27] {
	case 4:
		u.directory(f, name, level)
	case 5, 0, 249:
		u.file(f, name, inline == nil)
	}
	if f.bad {
		u.corrupt()
	}
}

func (u *udf) directory(f *udfFile, dir string, level int) {
	le := binary.LittleEndian
	for at := int64(0); at+38 <= f.size && u.work(4); {
		h, err := bound.ReadAt(f, at, 38, 38)
		if err != nil || f.bad || le.Uint16(h) != tagName {
			u.corrupt()
			return
		}
		extra, n := int64(le.Uint16(h[36:])), int64(h[19])
		if whole, err := bound.ReadAt(f, at, min((38+extra+n+3)&^3, f.size-at), 1<<17); err != nil || !summed(whole) {
			u.corrupt()
		}
		if h[18]&0b1100 == 0 { // neither deleted nor the one above
			text, err := bound.ReadAt(f, at+38+extra, n, 256)
			if err != nil {
				u.corrupt()
				return
			}
			name := dstring(text)
			if dir != "" {
				name = dir + "/" + name
			}
			u.entry(h[20:36], name[max(0, len(name)-unpack.MaxName):], level+1)
		}
		at += (38 + extra + n + 3) &^ 3
	}
}

// dstring is a name: the first byte says how many bits a character has.
func dstring(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if b[0] != 16 && b[0] != 255 {
		r := make([]rune, len(b)-1)
		for i, c := range b[1:] {
			r[i] = rune(c)
		}
		return string(r)
	}
	w := make([]uint16, len(b[1:])/2)
	for i := range w {
		w[i] = binary.BigEndian.Uint16(b[1+2*i:])
	}
	return string(utf16.Decode(w))
}

func (u *udf) file(f *udfFile, name string, placed bool) {
	if u.stop || f.size == 0 || u.claim != nil {
		return
	}
	if placed && len(f.list) == 1 && f.list[0].off >= 0 {
		from, to := f.list[0].off, f.list[0].off+f.size
		for _, s := range u.covered {
			if s.From == from && s.To == to {
				return // ISO 9660 has it
			}
		}
		u.stop = !u.out.Section(u.src, "udf.file", name, from, f.size)
		return
	}
	u.stop = !u.out.Child(unpack.Child{Op: "udf.file", Name: name, Source: f, Size: f.size})
}

// udfFile is a file as a Source. What the image lacks reads as zeros and sets bad.
type udfFile struct {
	src  showcause.Source
	size int64
	list []udfExtent
	ends []int64
	bad  bool
}

func newUDFFile(src showcause.Source, size int64, list []udfExtent) *udfFile {
	f := &udfFile{src: src, size: size, list: list}
	at := int64(0)
	for _, e := range list {
		at = bound.Add(at, e.n)
		f.ends = append(f.ends, at)
		f.bad = f.bad || e.off >= 0 && min(e.n, size-(at-e.n)) > 0 && !bound.In(e.off, min(e.n, size-(at-e.n)), src.Size())
	}
	if at < size {
		f.bad = true
		f.size = at
	}
	return f
}

func (f *udfFile) Size() int64 { return f.size }

func (f *udfFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	p2 := p[:min(int64(len(p)), f.size-off)]
	n := 0
	for i := sort.Search(len(f.ends), func(i int) bool { return f.ends[i] > off }); i < len(f.list) && n < len(p2); i++ {
		e := f.list[i]
		from := off - (f.ends[i] - e.n)
		part := p2[n:min(int64(len(p2)), int64(n)+e.n-from)]
		got := 0
		if e.off >= 0 {
			got, _ = f.src.ReadAt(part, e.off+from)
			got = max(got, 0)
			f.bad = f.bad || got < len(part)
		}
		clear(part[got:])
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

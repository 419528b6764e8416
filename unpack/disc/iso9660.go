// Package disc reads images of discs.
package disc

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	sector  = 2048
	isoData = 16 * sector // where the descriptors begin

	isoEndian    = showcause.Ambiguous + ".iso9660.endian"
	isoTree      = showcause.Ambiguous + ".iso9660.tree"
	isoZisofs    = showcause.Unsupported + ".method.zisofs"
	isoInterlace = showcause.Unsupported + ".method.iso9660-interleave"
)

var (
	isoMagic     = []byte("CD001")
	isoPrimary   = []byte("\x01CD001\x01")
	zisofs       = []byte("\x37\xe4\x53\x96\xc9\xdb\xd6\x07")
	isoElTorito  = []byte("EL TORITO SPECIFICATION")
	isoEndOfDesc = byte(255)
)

// ISO9660 reads images of ISO 9660 (ECMA-119) with Joliet and Rock Ridge.
//
//	sector 16 on   descriptors: primary, supplementary (Joliet), boot, end
//	directory      records: length, extent, size (each in both byte orders), flags,
//	               name; then fields of SUSP (IEEE P1281): NM a name, ZF zisofs,
//	               CE where more of them stand
//
// Every tree is read: of each descriptor, of the tables of paths, and of
// descriptors elsewhere, as earlier sessions leave them. A file is a child,
// "iso9660.file", once, whichever trees have it. Boot images are children too
// ("iso9660.boot"), and so is what stands in no file ("iso9660.rest").
func ISO9660() unpack.Format {
	return unpack.Format{
		Name: "iso9660",
		Match: func(p *unpack.Probe) bool {
			if p.Type.String() == "iso9660" {
				return true
			}
			if p.Source == nil || p.Source.Size() <= isoData {
				return false
			}
			return p.Is("iso9660") || isoLater(p.Source)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			(&iso{src: src, out: out, given: map[[32]byte]int{}, visited: map[int64]bool{}}).walk()
		},
	}
}

// isoLater tells whether a descriptor is there behind the first, which is damaged.
func isoLater(src showcause.Source) bool {
	for n := int64(1); n < 4; n++ {
		if b, err := bound.ReadAt(src, isoData+n*sector, 7, 7); err == nil && bytes.Equal(b[1:6], isoMagic) && b[6] == 1 {
			return true
		}
	}
	return false
}

// iso is one image while it is read.
type iso struct {
	src     showcause.Source
	out     *unpack.Out
	tree    int              // of which descriptor
	given   map[[32]byte]int // files by a digest of their extents; the trees that have them, as bits
	visited map[int64]bool   // directories of the tree, by extent
	claimed []unpack.Span
	base    int64 // what the places of the trees that are read now count from
	end     int64 // of the trees, as their descriptors say
	endian  bool
	stop    bool
}

// volume is one descriptor.
type volume struct {
	base   int64 // what places count from
	block  int64
	joliet bool
	root   []byte   // nil if there is no tree
	tables [2]int64 // of paths, in either byte order
	size   int64    // of a table
}

// dir is a directory to read.
type dir struct {
	at, size int64
	name     string
	up       *dir
	depth    int
}

// isoDepth is how deep directories are followed. ISO 9660 has 8 levels, and
// programs that write more are bound by the length of a path.
const isoDepth = 512

func (i *iso) walk() {
	vols := i.descriptors(isoData)
	if len(vols) == 0 {
		i.out.Gap(showcause.Corrupt, min(isoData, i.src.Size()), -1)
	}
	// Long names first: those of Joliet, unless Rock Ridge has them.
	if len(vols) > 1 && !i.rockRidge(vols[0]) {
		slices.SortStableFunc(vols, func(a, b volume) int { return cmp.Compare(b2i(b.joliet), b2i(a.joliet)) })
	}
	for _, v := range vols {
		i.volume(v)
	}
	i.sessions()
	if !i.stop {
		i.end = max(i.end, udfClaims(i.src, i.out, i.claim)) // which gives its files itself
	}
	i.rest()
	i.notes()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// work charges n steps and remembers when there are none left.
func (i *iso) work(n int64) bool {
	i.stop = i.stop || !i.out.Work(n)
	return !i.stop
}

func (i *iso) claim(off, n int64) {
	if n > 0 && off < i.src.Size() {
		i.claimed = append(i.claimed, unpack.Span{From: off, To: min(bound.Add(off, n), i.src.Size())})
		if len(i.claimed) == 1<<20 { // directories that overlap claim the same over and over
			i.join()
		}
	}
}

// join sorts what is claimed, and joins what touches.
func (i *iso) join() {
	slices.SortFunc(i.claimed, func(a, b unpack.Span) int { return cmp.Compare(a.From, b.From) })
	out := i.claimed[:0]
	for _, s := range i.claimed {
		if n := len(out); n > 0 && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	i.claimed = out
}

// descriptors reads those from off on.
func (i *iso) descriptors(off int64) (vols []volume) {
	ended := false
	for n := 0; n < 256 && i.work(256); n++ {
		b, _ := bound.ReadAt(i.src, off, sector, sector)
		if len(b) < 7 {
			break
		}
		switch id := b[1:6]; {
		case bytes.Equal(id, isoMagic) && ended && b[0] == 1:
			return vols // others begin, whose places may count from elsewhere
		case bytes.Equal(id, isoMagic):
			i.claim(off, sector)
		case bytes.HasPrefix(id, []byte("NSR0")), bytes.HasPrefix(id, []byte("BEA0")), bytes.HasPrefix(id, []byte("TEA0")), bytes.HasPrefix(id, []byte("BOOT2")):
			i.claim(off, sector)
			off += sector
			continue
		case ended && n < 64 && off < isoData+64*sector:
			off += sector // programs put their marks between the descriptors of ISO 9660 and UDF
			continue
		default:
			return vols
		}
		switch {
		case len(b) < sector:
			i.out.Gap(showcause.Corrupt, off, -1)
			return vols
		case b[0] == 0 && bytes.HasPrefix(b[7:], isoElTorito):
			i.boot(i.base + int64(binary.LittleEndian.Uint32(b[71:]))*sector)
		case b[0] == 1 || b[0] == 2:
			v := newVolume(b, i.base)
			i.end = max(i.end, v.base+int64(binary.LittleEndian.Uint32(b[80:]))*v.block)
			if v.root[0] < 34 || v.root[25]&2 == 0 || int64(binary.LittleEndian.Uint32(v.root[2:]))*v.block < isoData {
				i.out.Gap(showcause.Corrupt, off, sector)
				v.root = nil
			}
			vols = append(vols, v)
		case b[0] == isoEndOfDesc:
			ended = true
		}
		off += sector
	}
	return vols
}

// newVolume reads a descriptor whose places count from base.
func newVolume(b []byte, base int64) volume {
	le, be := binary.LittleEndian, binary.BigEndian
	v := volume{base: base, block: int64(le.Uint16(b[128:])), root: b[156:190], size: int64(le.Uint32(b[132:]))}
	if v.block < 512 || v.block > 32<<10 || v.block&(v.block-1) != 0 {
		v.block = sector
	}
	for k, at := range [2]uint32{le.Uint32(b[140:]), be.Uint32(b[148:])} {
		if at != 0 {
			v.tables[k] = base + int64(at)*v.block
		}
	}
	esc := b[88:120]
	v.joliet = b[0] == 2 && (bytes.HasPrefix(esc, []byte("%/@")) || bytes.HasPrefix(esc, []byte("%/C")) || bytes.HasPrefix(esc, []byte("%/E")))
	return v
}

// rootAt is where the root is.
func (v volume) rootAt() int64 {
	return v.base + int64(binary.LittleEndian.Uint32(v.root[2:]))*v.block
}

// rockRidge tells whether the first record of the root has a field of SUSP.
func (i *iso) rockRidge(v volume) bool {
	if v.root == nil {
		return false
	}
	b, _ := bound.ReadAt(i.src, v.rootAt(), 64, 64)
	return len(b) >= 41 && bytes.Equal(b[34:36], []byte("SP"))
}

// volume reads the trees of one descriptor.
func (i *iso) volume(v volume) {
	i.visited = map[int64]bool{}
	if v.root != nil {
		for _, r := range i.records(v.root, v) {
			i.directory(&dir{at: r.at, size: r.size}, v)
		}
	}
	for k, at := range v.tables {
		i.paths(v, at, k == 1)
	}
	i.tree++
}

// paths reads the directories of a table of paths that the tree does not have.
func (i *iso) paths(v volume, at int64, big bool) {
	if at == 0 || v.size <= 0 {
		return
	}
	i.claim(at, v.size)
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	for end := bound.Add(at, v.size); at < end && i.work(64); {
		b, err := bound.ReadAt(i.src, at, 8, 8)
		if err != nil || b[0] == 0 {
			return
		}
		extent := v.base + (int64(order.Uint32(b[2:]))+int64(b[1]))*v.block
		if !i.visited[extent] {
			// Its size stands in its own first record.
			h, err := bound.ReadAt(i.src, extent, 34, 34)
			if err == nil && h[0] >= 34 && h[32] == 1 && h[33] == 0 {
				i.directory(&dir{at: extent, size: int64(binary.LittleEndian.Uint32(h[10:]))}, v)
			} else if extent >= i.src.Size() {
				i.out.Gap(showcause.Corrupt, i.src.Size(), -1)
				return
			}
		}
		at += 8 + int64(b[0]) + int64(b[0]&1)
	}
}

// record is one reading of a directory record.
type record struct {
	at, size int64
	flags    byte
	unit     byte // blocks that stand together, if the file is interleaved
	name     string
	zisofs   bool
}

func (r record) isDir() bool { return r.flags&2 != 0 }

// records returns the readings of a record: one, or two where its byte orders
// contradict each other.
func (i *iso) records(b []byte, v volume) []record {
	le, be := binary.LittleEndian, binary.BigEndian
	ext := int64(b[1])
	r := record{at: v.base + (int64(le.Uint32(b[2:]))+ext)*v.block, size: int64(le.Uint32(b[10:])), flags: b[25], unit: b[26]}
	o := r
	o.at, o.size = v.base+(int64(be.Uint32(b[6:]))+ext)*v.block, int64(be.Uint32(b[14:]))
	if o == r {
		return []record{r}
	}
	i.endian = true
	return []record{r, o}
}

// directory reads a directory and those in it.
func (i *iso) directory(d *dir, v volume) {
	for up := d.up; up != nil; up = up.up {
		if up.at == d.at {
			i.out.Gap(showcause.Corrupt, min(d.at, i.src.Size()), -1) // it is in itself
			return
		}
	}
	if i.visited[d.at] || !i.work(1024+int64(d.depth)*4) {
		return
	}
	if d.depth > isoDepth {
		i.out.Gap(showcause.LimitDepth, min(d.at, i.src.Size()), -1)
		return
	}
	i.visited[d.at] = true
	i.claim(d.at, (d.size+sector-1)/sector*sector)
	var parts [][]record // the extents of a file that has several
	self := false        // every directory names itself first
	defer func() {
		i.unfinished(d, parts)
		if !self {
			i.out.Gap(showcause.Corrupt, min(d.at, i.src.Size()), -1)
		}
	}()
	for off := int64(0); off < d.size && !i.stop; {
		n := min(v.block-off%v.block, d.size-off)
		b, err := bound.ReadAt(i.src, d.at+off, n, n)
		if !i.work(16) {
			return
		}
		if err != nil {
			self = true // one gap is enough
			i.out.Gap(showcause.Corrupt, min(d.at+off, i.src.Size()), -1)
			return
		}
		size := int(b[0])
		if size == 0 { // the rest of the block is empty
			off += n
			continue
		}
		if size < 34 || size > len(b) || 33+int(b[32]) > size {
			i.out.Gap(showcause.Corrupt, d.at+off, n)
			off += n
			continue
		}
		off += int64(size)
		b = b[:size]
		if b[32] == 1 && b[33] <= 1 { // the directory itself, and the one above
			i.susp(b[34:], v)
			self = true
			continue
		}
		parts = i.entry(d, b, v, parts)
	}
}

// entry reads one record. It returns the extents so far of a file that goes on
// in the next.
func (i *iso) entry(d *dir, b []byte, v volume, parts [][]record) [][]record {
	if !i.work(64) {
		return nil
	}
	all := i.records(b, v)
	name, packed := i.name(b, v)
	if d.name != "" {
		name = d.name + "/" + name
	}
	if len(name) > unpack.MaxName {
		name = name[len(name)-unpack.MaxName:]
	}
	if all[0].isDir() {
		i.unfinished(d, parts)
		for _, r := range all {
			i.directory(&dir{r.at, r.size, name, d, d.depth + 1}, v)
		}
		return nil
	}
	for k := range all {
		all[k].name, all[k].zisofs = name, packed
	}
	parts = append(parts, all)
	if all[0].flags&0x80 != 0 && len(parts) < 1<<16 {
		return parts
	}
	i.whole(parts)
	return nil
}

// unfinished gives what there is of a file whose last extent is missing.
func (i *iso) unfinished(d *dir, parts [][]record) {
	if len(parts) == 0 || i.stop {
		return
	}
	i.out.Gap(showcause.Corrupt, min(d.at, i.src.Size()), -1)
	i.whole(parts)
}

// whole gives a file by the extents it has.
func (i *iso) whole(parts [][]record) {
	for k := range 2 {
		var p []record
		other := false
		for _, r := range parts {
			p = append(p, r[min(k, len(r)-1)])
			other = other || k < len(r)
		}
		if other && !i.stop {
			i.stop = !i.file(p)
		}
	}
}

// name returns a record's name and whether Rock Ridge says that the content is compressed.
func (i *iso) name(b []byte, v volume) (name string, packed bool) {
	n := int(b[32])
	raw := b[33 : 33+n]
	if v.joliet {
		u := make([]uint16, n/2)
		for k := range u {
			u[k] = binary.BigEndian.Uint16(raw[2*k:])
		}
		name = string(utf16.Decode(u))
	} else {
		name = string(raw)
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, ";1"), ".")
	if use := 33 + n + (n+1)%2; use < len(b) && !v.joliet {
		if rr, zf := i.susp(b[use:], v); rr != "" || zf {
			return cmp.Or(rr, name), zf
		}
	}
	return name, false
}

// susp reads the fields of SUSP in b, and where they go on.
func (i *iso) susp(b []byte, v volume) (name string, packed bool) {
	for range 16 {
		var next []byte
		for len(b) >= 4 && int(b[2]) >= 4 && int(b[2]) <= len(b) && i.work(8) {
			f := b[:b[2]]
			b = b[b[2]:]
			switch string(f[:2]) {
			case "NM":
				if len(f) > 5 && len(name) < unpack.MaxName {
					name += string(f[5:])
				}
			case "ZF":
				packed = true
			case "CE":
				if len(f) >= 28 {
					at := v.base + int64(binary.LittleEndian.Uint32(f[4:]))*v.block + int64(binary.LittleEndian.Uint32(f[12:]))
					size := int64(min(binary.LittleEndian.Uint32(f[20:]), 32<<10))
					next, _ = bound.ReadAt(i.src, at, size, size)
					i.claim(at, size)
				}
			case "ST":
				b = nil
			}
		}
		if next == nil || i.stop {
			break
		}
		b = next
	}
	return name, packed
}

// file gives a file of one extent or more, unless it was given.
func (i *iso) file(parts []record) bool {
	r := parts[0]
	h := sha256.New()
	total, joined := int64(0), true
	for k, p := range parts {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], uint64(p.at))
		binary.LittleEndian.PutUint64(b[8:], uint64(p.size))
		h.Write(b[:])
		joined = joined && (k == 0 || parts[k-1].at+parts[k-1].size == p.at)
		total = bound.Add(total, p.size)
		i.claim(p.at, (p.size+sector-1)/sector*sector)
	}
	if total == 0 {
		return true
	}
	key := [32]byte(h.Sum(nil))
	bit := 1 << min(i.tree, 30)
	if _, ok := i.given[key]; ok {
		i.given[key] |= bit
		return true
	}
	i.given[key] = bit
	c := unpack.Child{Op: "iso9660.file", Name: r.name, Size: total}
	i.out.Member(unpack.Member{Name: r.name, Packed: total, Size: total, At: r.at})
	if r.unit != 0 {
		return i.out.ChildGap(c, isoInterlace)
	}
	if r.zisofs {
		if b, _ := bound.ReadAt(i.src, r.at, 8, 8); bytes.Equal(b, zisofs) {
			return i.out.ChildGap(c, isoZisofs)
		}
	}
	if joined {
		return i.out.Section(i.src, c.Op, c.Name, r.at, total)
	}
	var rs []io.Reader
	for _, p := range parts {
		rs = append(rs, bound.Reader(i.src, p.at, p.size))
		if !bound.In(p.at, p.size, i.src.Size()) {
			i.out.Gap(showcause.Corrupt, min(p.at, i.src.Size()), -1)
		}
	}
	c.Reader = io.MultiReader(rs...)
	return i.out.Child(c)
}

// boot gives the images of an El Torito catalog ("El Torito" specification, 2.0).
func (i *iso) boot(at int64) {
	i.claim(at, sector)
	for n := int64(0); n < 64 && i.work(64); n++ {
		b, err := bound.ReadAt(i.src, at+32*n, 32, 32)
		if err != nil {
			return
		}
		switch {
		case n == 0 && b[0] != 1, n > 1 && b[0] == 0:
			return
		case n == 0 || b[0] == 0x90 || b[0] == 0x91 || b[0] == 0x44:
			continue // a header, or more of an entry
		}
		size := int64(binary.LittleEndian.Uint16(b[6:])) * 512
		switch b[1] & 15 {
		case 1:
			size = 1200 << 10
		case 2:
			size = 1440 << 10
		case 3:
			size = 2880 << 10
		}
		from := i.base + int64(binary.LittleEndian.Uint32(b[8:]))*sector
		if size = min(size, i.src.Size()-from); size <= 0 {
			continue
		}
		// The rest of the image, which the firmware does not load, is in a file,
		// or in what is in no file.
		if !i.out.Child(unpack.Child{Op: "iso9660.boot", Source: bound.Section(i.src, from, size), Size: size}) {
			i.stop = true
		}
	}
}

// gaps returns the stretches that nothing has claimed, behind the system area.
func (i *iso) gaps() (out []unpack.Span) {
	i.join()
	at := int64(isoData)
	for _, s := range append(slices.Clone(i.claimed), unpack.Span{From: i.src.Size(), To: i.src.Size()}) {
		if s.From > at {
			out = append(out, unpack.Span{From: at, To: s.From})
		}
		at = max(at, s.To)
	}
	return out
}

// sessions reads trees whose descriptors stand elsewhere: a writer of sessions
// leaves those before, and one for sticks writes a second for a partition that does
// not begin where the image does (xorriso's -partition_offset).
func (i *iso) sessions() {
	for _, g := range i.gaps() {
		for off := g.From; !i.stop; {
			at, ok := i.out.Find(bound.Section(i.src, 0, g.To), off, isoPrimary, nil)
			if !ok {
				break
			}
			off = at + sector
			if at%sector != 0 {
				off = at + 1
				continue
			}
			for _, base := range i.bases(at) {
				i.base = base
				for n, v := range i.descriptors(at) {
					off = max(off, at+int64(n+2)*sector)
					i.volume(v)
				}
			}
			i.base = 0
		}
	}
}

// bases are what the places of the descriptor at at may count from: the image's start,
// or what would be the start if its descriptor stood where the first one of an image does.
// The root names itself there, and where it does so in both the table of paths decides.
func (i *iso) bases(at int64) []int64 {
	le := binary.LittleEndian
	b, err := bound.ReadAt(i.src, at, sector, sector)
	if err != nil || at <= isoData {
		return []int64{0}
	}
	var rooted, sure []int64
	for _, base := range []int64{0, at - isoData} {
		v := newVolume(b, base)
		h, err := bound.ReadAt(i.src, v.rootAt(), 34, 34)
		if err != nil || h[0] < 34 || h[32] != 1 || h[33] != 0 || !bytes.Equal(h[2:6], v.root[2:6]) {
			continue
		}
		rooted = append(rooted, base)
		if t, err := bound.ReadAt(i.src, v.tables[0], 6, 6); err == nil && t[0] == 1 && le.Uint32(t[2:]) == le.Uint32(v.root[2:]) {
			sure = append(sure, base)
		}
	}
	switch {
	case len(sure) > 0:
		return sure
	case len(rooted) > 0:
		return rooted
	}
	return []int64{0}
}

// rest gives what stands in no file, and what is behind the end of the trees apart from
// what is in front of it.
func (i *iso) rest() {
	volume := int64(0) // the end of one of HFS Plus
	for _, g := range i.gaps() {
		if g.From < i.end && i.end < g.To {
			if !i.piece(unpack.Span{From: g.From, To: i.end}, &volume) {
				return
			}
			g.From = i.end
		}
		if !i.piece(g, &volume) {
			return
		}
	}
}

// piece gives a stretch that is in no file. Where an HFS Plus volume begins there, which
// has its files in common with the image, it is given to its end. It tells whether to go on.
func (i *iso) piece(g unpack.Span, volume *int64) bool {
	const op = "iso9660.rest"
	if g.From = max(g.From, *volume); g.From >= g.To {
		return true
	}
	if !i.work((g.To - g.From) / 16) {
		return false
	}
	from, ok := bound.SkipZeros(bound.Section(i.src, 0, g.To), g.From)
	if !ok {
		return true
	}
	from = max(from/sector*sector, g.From)
	if n := hfsSize(i.src, from); n > 0 && n <= i.src.Size()-from {
		g.To = max(g.To, from+n)
		*volume = g.To
	} else if g.From >= i.end {
		return i.out.Between(i.src, g.From, g.To, op)
	}
	return i.out.Child(unpack.Child{Op: op, Source: bound.Section(i.src, from, g.To-from), Size: g.To - from})
}

// hfsSize is the size in bytes of an HFS Plus volume at off, 0 if there is none
// (Apple, Technical Note TN1150, "Volume Header").
func hfsSize(src showcause.Source, off int64) int64 {
	b, err := bound.ReadAt(src, off+1024, 48, 48)
	if err != nil || string(b[:4]) != "H+\x00\x04" && string(b[:4]) != "HX\x00\x05" {
		return 0
	}
	return int64(binary.BigEndian.Uint32(b[40:])) * int64(binary.BigEndian.Uint32(b[44:]))
}

// notes says what readers may see otherwise.
func (i *iso) notes() {
	if i.endian {
		i.out.Gap(isoEndian, isoData, -1)
	}
	all := 1<<min(i.tree, 31) - 1
	for _, trees := range i.given {
		if trees != all {
			i.out.Gap(isoTree, isoData, -1)
			return
		}
	}
}

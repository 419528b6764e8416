package zip

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// zipMaxRefs is how many directory records of one layer are followed. 16 bytes are kept for each.
const zipMaxRefs = 2 << 20

// zipMaxDirs is how many directories of one layer are followed. What further
// ones name is found by its local headers.
const zipMaxDirs = 4096

// zipRef says that the directory record at rec means the local header at head.
type zipRef struct{ head, rec int64 }

// zipSpan is a stretch of a layer that a member takes, by what a directory says.
type zipSpan struct{ from, to int64 }

// zipEnd is an end of central directory record, section 4.3.16.
type zipEnd struct {
	at             int64
	disk, first    uint16
	here, count    uint16
	size, offset   int64
	comment, avail int64 // length said, and bytes that are there
}

func (z *zipWalk) end(at int64) (zipEnd, bool) {
	b := z.heads.at(at, zipEndLen)
	if len(b) < zipEndLen {
		return zipEnd{}, false
	}
	le := binary.LittleEndian
	return zipEnd{
		at: at, disk: le.Uint16(b[4:]), first: le.Uint16(b[6:]), here: le.Uint16(b[8:]), count: le.Uint16(b[10:]),
		size: int64(le.Uint32(b[12:])), offset: int64(le.Uint32(b[16:])),
		comment: int64(le.Uint16(b[20:])), avail: z.size - at - zipEndLen,
	}, true
}

// credible tells whether the record could be one: the directory fits before
// it, or the numbers stand in a Zip64 record.
func (e *zipEnd) credible() bool {
	return e.size == math.MaxUint32 || e.offset == math.MaxUint32 || e.size <= e.at
}

// split tells whether the record speaks of more than one volume.
func (e *zipEnd) split() bool {
	odd := func(d uint16) bool { return d != 0 && d != math.MaxUint16 }
	return odd(e.disk) || odd(e.first) || e.here != e.count
}

// zipPlace is one reading of where a directory starts, and of what must be
// added to the offsets in it because something stands before the archive.
type zipPlace struct {
	start, base int64
	size        int64
	count       uint64
	wide        bool // count is of 64 bits
}

// zipListing is what the records from one place on say.
type zipListing struct {
	place   zipPlace
	refs    []zipRef
	missing []zipRef // records with no local header where they say
	lost    int64    // how many of them
	stop    int64    // offset after the last record
	count   uint64   // records
}

// directories finds every end of central directory that does not lie inside a
// member of a later one, from the last to the first, and follows them, but for
// those of archives that are whole in a child of another format (see held).
func (z *zipWalk) directories() {
	seen, ranges := map[zipPlace]bool{}, map[zipPlace]unpack.Span{}
	for end, n := z.size, 0; ; n++ {
		at := z.lastEnd(end)
		if at < 0 || !z.out.Work(256) {
			return
		}
		end = at
		e, ok := z.end(at)
		if s, in := z.held(at); in && ok && z.within(e, s, ranges) {
			n--
			continue
		}
		if ok && n < zipMaxDirs {
			z.directory(e, seen)
		}
	}
}

// held returns the stretch around off that an earlier format gave as a child.
func (z *zipWalk) held(off int64) (unpack.Span, bool) {
	i, _ := slices.BinarySearchFunc(z.given, off+1, func(s unpack.Span, v int64) int { return cmp.Compare(s.From, v) })
	if i--; i >= 0 && off < z.given[i].To {
		return z.given[i], true
	}
	return unpack.Span{}, false
}

// within tells whether all that the end of directory leads to lies in the
// stretch s, where it is the child's. A directory or a member elsewhere in the
// layer is read by those only who open the layer itself as a zip. ranges has
// where the members of places begin that were looked at before.
func (z *zipWalk) within(e zipEnd, s unpack.Span, ranges map[zipPlace]unpack.Span) bool {
	for _, p := range z.places(e) {
		key := zipPlace{start: p.start, base: p.base}
		r, ok := ranges[key]
		if !ok {
			r = unpack.Span{From: p.start, To: p.start + 1}
			for _, ref := range z.list(p).refs {
				r.From, r.To = min(r.From, ref.head), max(r.To, ref.head+1)
			}
			ranges[key] = r
		}
		if r.From < s.From || r.To > s.To {
			return false
		}
	}
	return true
}

// lastEnd returns the offset of the last end of directory signature before
// end that no member covers, or -1.
func (z *zipWalk) lastEnd(end int64) int64 {
	i, _ := slices.BinarySearchFunc(z.covered, end, func(s zipSpan, v int64) int { return cmp.Compare(s.from, v) })
	for hi := end; hi > 0; {
		lo := int64(0)
		if i--; i >= 0 {
			lo = z.covered[i].to
		}
		if lo < hi {
			if at := z.scan.findLast(zipSigEnd, lo, hi); at >= 0 {
				return at
			}
			z.out.Work((hi - lo) / 64)
		}
		if i < 0 {
			return -1
		}
		hi = min(hi, z.covered[i].from)
	}
	return -1
}

// directory follows one end of directory in every reading.
func (z *zipWalk) directory(e zipEnd, seen map[zipPlace]bool) {
	var good, bad []zipListing
	fresh := false
	places := z.places(e)
	for _, p := range places {
		key := zipPlace{start: p.start, base: p.base}
		if seen[key] {
			continue
		}
		seen[key], fresh = true, true
		l := z.list(p)
		switch {
		case len(l.refs) > 0 || p.count == 0 && p.size == 0 && l.count == 0:
			good = append(good, l)
		case l.count > 0:
			bad = append(bad, l)
		}
	}
	if !fresh && len(places) > 0 {
		return
	}
	if len(good) == 0 {
		z.noDirectory(e, bad)
		return
	}
	z.dirs = append(z.dirs, e.at+zipEndLen)
	if len(z.dirs) > 1 || len(good) > 1 {
		z.doubt(e.at)
	}
	z.dirEnd = max(z.dirEnd, e.at+zipEndLen)
	z.restFrom = max(z.restFrom, e.at+zipEndLen+min(e.comment, e.avail))
	if e.comment > e.avail {
		z.gap(showcause.Corrupt, z.size, e.comment-e.avail)
	}
	for i := range good {
		part := func(o zipListing) bool { return o.stop == good[i].stop && o.place.start < good[i].place.start }
		if !slices.ContainsFunc(good, part) { // one that starts at a later record of another says nothing more
			z.accept(e, &good[i])
		}
	}
}

// doubt keeps the place of an end of directory that is not the only one, or
// contradicts itself. It is a note if the layer turns out to have members.
func (z *zipWalk) doubt(at int64) {
	if len(z.doubts) < zipMaxNotes && !slices.Contains(z.doubts, at) {
		z.doubts = append(z.doubts, at)
	}
}

// noDirectory says of an end of directory that leads nowhere that it does.
func (z *zipWalk) noDirectory(e zipEnd, bad []zipListing) {
	switch {
	case len(bad) == 0 && e.credible():
		z.doubt(e.at)
		z.out.Cover(e.at, zipEndLen)
	case len(bad) > 0 && e.split():
		z.gap(zipGapSplit, bad[0].place.start, e.at-bad[0].place.start)
	case len(bad) > 0:
		z.gap(showcause.Corrupt, bad[0].place.start, e.at-bad[0].place.start)
	}
}

// accept takes what a directory lists, and says where it contradicts itself.
func (z *zipWalk) accept(e zipEnd, l *zipListing) {
	code := showcause.Corrupt
	if e.split() {
		code = zipGapSplit
	}
	for i, r := range l.missing {
		if i == len(l.missing)-1 && l.lost > int64(len(l.missing)) {
			z.gap(code, r.rec, -1)
			break
		}
		z.gap(code, r.rec, zipRecordLen)
	}
	want, got := l.place.count, l.count
	if !l.place.wide {
		got &= math.MaxUint16
	}
	whole := l.place.start + l.place.size
	signed := string(z.heads.at(l.stop, 4)) == zipSigSigned
	switch {
	case got < want && l.count < want && len(l.refs) < zipMaxRefs:
		z.gap(showcause.Corrupt, l.stop, max(whole-l.stop, -1))
	case got != want, l.stop != whole && !signed, e.split() && l.lost == 0:
		z.doubt(e.at)
	}
	z.cover(l.refs)
	z.refs = append(z.refs, l.refs...)
}

// places returns the readings of where the directory of e starts: where the
// record says, from the start of the layer, and as far before the record as
// the directory is long, which is right when something was put before the
// archive. The same of the Zip64 record (4.3.14), which is looked for where its
// locator (4.3.15) says and right before the locator.
func (z *zipWalk) places(e zipEnd) []zipPlace {
	var ps []zipPlace
	add := func(p zipPlace, end int64) {
		said := p.start
		try := func(start, base int64) {
			p.start, p.base = start, base
			if start < 0 || start > e.at || slices.Contains(ps, p) {
				return
			}
			if start == e.at && p.count == 0 || string(z.records.at(start, 4)) == zipSigRecord {
				ps = append(ps, p)
			}
		}
		if p.size <= end {
			try(end-p.size, end-p.size-said)
		}
		try(said, 0)
	}
	if e.size != math.MaxUint32 && e.offset != math.MaxUint32 {
		add(zipPlace{start: e.offset, size: e.size, count: uint64(e.count)}, e.at)
	}
	b := z.heads.at(e.at-zipLocator64Len, zipLocator64Len)
	if e.at < zipLocator64Len || len(b) < zipLocator64Len || string(b[:4]) != zipSigLocator64 {
		return ps
	}
	le := binary.LittleEndian
	said := int64(min(le.Uint64(b[8:]), math.MaxInt64))
	at := e.at - zipLocator64Len - zipEnd64Len
	for i, at := range []int64{at, said} {
		if i == 1 && said == e.at-zipLocator64Len-zipEnd64Len || at < 0 {
			continue
		}
		b := z.heads.at(at, zipEnd64Len)
		if len(b) < zipEnd64Len || string(b[:4]) != zipSigEnd64 {
			continue
		}
		size, offset := le.Uint64(b[40:]), le.Uint64(b[48:])
		if size > uint64(z.size) || offset > uint64(z.size) {
			continue
		}
		add(zipPlace{start: int64(offset), size: int64(size), count: le.Uint64(b[32:]), wide: true}, at)
	}
	return z.merged(ps)
}

// merged drops places that differ in what they count alone: in a Zip64 archive
// with small numbers both records say the same, but for a count of 0xffff.
func (z *zipWalk) merged(ps []zipPlace) []zipPlace {
	var out []zipPlace
	for _, p := range slices.Backward(ps) { // the Zip64 record is the better witness
		if !slices.ContainsFunc(out, func(q zipPlace) bool { return q.start == p.start && q.base == p.base }) {
			out = append(out, p)
		}
	}
	return out
}

// list follows the records from one place on for as long as there are any,
// whatever their number should be, and finds the local headers.
func (z *zipWalk) list(p zipPlace) zipListing {
	l := zipListing{place: p, stop: p.start}
	var refs []zipRef
	for {
		m, ok := z.zipRecord(l.stop)
		if !ok || !z.out.Work(1024) {
			break
		}
		if len(z.refs)+len(refs) >= zipMaxRefs {
			z.gap(showcause.LimitObject, l.stop, -1)
			break
		}
		if m.head >= 0 && m.head < z.size {
			refs = append(refs, zipRef{head: m.head, rec: l.stop})
		} else {
			l.miss(zipRef{rec: l.stop})
		}
		l.count++
		l.stop += m.length
	}
	slices.SortFunc(refs, zipRefOrder)
	var apart []zipRef
	for _, r := range refs {
		raw := r.head
		if r.head += p.base; r.head < 0 || !z.isLocal(r.head) {
			// Some programs that put something before an archive mend the offsets, and not all of them.
			if r.head = raw; p.base == 0 || !z.isLocal(raw) {
				apart = append(apart, r)
				continue
			}
		}
		l.refs = append(l.refs, r)
	}
	z.onVolumes(apart, &l)
	return l
}

// onVolumes finds the local headers of records that count from the start of a volume
// (4.4.11, 4.4.16), where volumes stand one behind the other: the first header that is the
// record's, behind the start of the volume before, tells where its volume starts.
func (z *zipWalk) onVolumes(refs []zipRef, l *zipListing) {
	disks := map[int64]uint16{}
	for _, r := range refs {
		if c, ok := z.zipRecord(r.rec); ok && z.out.Work(64) {
			disks[r.rec] = c.disk
		}
	}
	slices.SortFunc(refs, func(a, b zipRef) int { return cmp.Or(cmp.Compare(disks[a.rec], disks[b.rec]), zipRefOrder(a, b)) })
	disk, base := uint16(0), int64(0)
	for _, r := range refs {
		if d := disks[r.rec]; d != disk && base >= 0 {
			disk, base = d, z.volume(r, base)
		}
		if base <= 0 || r.head > z.size-base || !z.isLocal(base+r.head) {
			l.miss(r)
			continue
		}
		r.head += base
		l.refs = append(l.refs, r)
	}
	slices.SortFunc(l.refs, zipRefOrder)
}

// volume returns where the volume starts on which a record's local header is, -1 if that
// header is not behind from.
func (z *zipWalk) volume(r zipRef, from int64) int64 {
	c, ok := z.zipRecord(r.rec)
	for at := from; ok && at < r.rec; at += 4 {
		next := z.scan.find(zipSigLocal, at, r.rec)
		if !z.out.Work((max(next, at)-at)/64 + 64) {
			return -1
		}
		if next < 0 {
			return -1
		}
		at = next
		m, ok := z.zipLocal(at)
		if ok && m.name == c.name && m.method == c.method && (m.crc == c.crc || m.flags&zipFlagDescriptor != 0) && at-r.head >= from {
			return at - r.head
		}
	}
	return -1
}

func (l *zipListing) miss(r zipRef) {
	if l.lost++; len(l.missing) < 64 {
		l.missing = append(l.missing, r)
	}
}

func zipRefOrder(a, b zipRef) int {
	return cmp.Or(cmp.Compare(a.head, b.head), cmp.Compare(a.rec, b.rec))
}

func (z *zipWalk) isLocal(off int64) bool {
	return string(z.heads.at(off, 4)) == zipSigLocal
}

// cover notes which stretches the members take, so that the archives inside
// stored members are not taken for archives of this layer.
func (z *zipWalk) cover(refs []zipRef) {
	spans := z.covered
	for _, r := range refs {
		l, ok := z.zipLocal(r.head)
		c, _ := z.zipRecord(r.rec)
		if !ok || !z.out.Work(256) {
			continue
		}
		end := l.data + zipCut(l.data, max(c.packed, 0), z.size)
		if n := len(spans); n > 0 && spans[n-1].from <= l.at && l.at <= spans[n-1].to {
			spans[n-1].to = max(spans[n-1].to, end)
			continue
		}
		spans = append(spans, zipSpan{l.at, end})
	}
	slices.SortFunc(spans, func(a, b zipSpan) int { return cmp.Compare(a.from, b.from) })
	z.out.Work(int64(len(spans)))
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	z.covered = out
}

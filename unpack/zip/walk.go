package zip

import (
	"bufio"
	"cmp"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/codec"
	"github.com/showcause/showcause/internal/ppmd"
	"github.com/showcause/showcause/unpack"
)

// zipWalk reads one layer.
type zipWalk struct {
	src  showcause.Source
	size int64
	out  *unpack.Out

	heads, records, scan zipWindow

	given    []unpack.Span // what formats before zip gave as children
	refs     []zipRef      // of all directories, in the order of the local headers
	covered  []zipSpan     // what their members take
	dirs     []int64       // ends of the directories that lead somewhere
	dirEnd   int64         // the greatest of them
	restFrom int64         // the end of its comment
	doubts   []int64       // offsets of ends of directories that readers may differ on
	loose    bool          // a member stands where no directory says so
	lost     bool          // a plausible member stands where no directory follows

	said map[showcause.Code]int
	stop bool
	told int // members

	repeated int64 // bytes of members that share a local header with another

	// squeezed says that the layer is a compressed stream. What does not compress
	// stands in it as it is, in pieces, and so may a zip file: what is not whole
	// there is none. A zip behind the stream is told of by the stream's format.
	squeezed bool

	words [][]byte // passwords
	right []byte   // the one that opened a member

	in      *bufio.Reader
	inflate io.ReadCloser
	wide    *codec.Inflater
	trial   []byte
	rs      []zipMeta // of the member that is read
	zstd    *zstd.Decoder
	window  int64 // largest that zstd has made, in bytes

	model     *ppmd.ModelI
	modelSize int64 // bytes
}

// Notes and gaps of one code that a layer gets at most. Notes past it are
// dropped; the last gap stands for the rest.
const (
	zipMaxNotes = 32
	zipMaxGaps  = 256
)

func (z *zipWalk) note(code showcause.Code, off, n int64) {
	if z.said[code]++; z.said[code] <= zipMaxNotes {
		z.out.Gap(code, off, n)
	}
}

func (z *zipWalk) gap(code showcause.Code, off, n int64) {
	if z.squeezed && code == showcause.Corrupt {
		return
	}
	switch z.said[code]++; {
	case z.said[code] == zipMaxGaps:
		z.out.Gap(code, off, -1)
	case z.said[code] < zipMaxGaps:
		z.out.Gap(code, off, n)
	}
}

func zipWalkLayer(src showcause.Source, out *unpack.Out) {
	z := &zipWalk{src: src, size: src.Size(), out: out, given: out.Covered(), said: map[showcause.Code]int{}}
	defer func() {
		if z.zstd != nil {
			z.zstd.Close()
		}
		z.dropModel(0)
	}()
	z.heads.src, z.records.src, z.scan.src = src, src, src
	z.heads.size, z.records.size, z.scan.size = 64<<10, 64<<10, zipScanChunk
	if !out.Work(z.size / 1024) { // the search for the last directory goes through all there is
		return
	}
	z.squeezed = isStream(filetype.Detect(bound.Head(src, unpack.HeadSize), src))
	z.directories()
	slices.SortFunc(z.refs, zipRefOrder)
	z.refs = slices.Compact(z.refs)
	z.covered = nil
	z.members()
	if z.repeated > 0 && !z.stop {
		out.Repeat(z.repeated)
	}
	head := string(z.heads.at(0, 4))
	switch {
	case z.stop:
	case len(z.dirs) == 0 && head == zipSigSplit:
		z.gap(zipGapSplit, z.size, -1)
	case z.lost, len(z.dirs) == 0 && (head == zipSigLocal || head == zipSigEnd):
		z.gap(showcause.Corrupt, z.size, -1) // there must have been a directory
	}
	if (len(z.refs) > 0 || z.loose) && len(z.dirs) > 0 {
		for _, at := range z.doubts {
			z.note(zipNoteDirectory, at, zipEndLen)
		}
	}
	if !z.stop && len(z.dirs) > 0 && (head == zipSigLocal || head == zipSigEnd || head == zipSigSplit) {
		out.Tail(src, z.restFrom, "zip.rest") // in front of a zip, and behind one that is not all, the layer is what it is
	}
}

// members goes through the layer once, from its start: the members that
// directories name, and between them whatever local headers stand there and
// are not in children of another format.
func (z *zipWalk) members() {
	pos := int64(0)
	for i := 0; !z.stop; {
		next := z.size
		if i < len(z.refs) {
			next = z.refs[i].head
		}
		for pos < next && !z.stop {
			if s, in := z.held(pos); in {
				pos = s.To
				continue
			}
			to := z.free(pos, next)
			at := z.scan.find(zipSigLocal, pos, to)
			if !z.out.Work(max((min(max(at, pos), to)-pos)/64, 1)) {
				return
			}
			if at < 0 {
				pos = to
				continue
			}
			pos = max(z.straggler(at, next), at+4)
		}
		if i == len(z.refs) || z.stop {
			return
		}
		j := i + 1
		for j < len(z.refs) && z.refs[j].head == next {
			j++
		}
		if next < pos || j > i+1 {
			z.note(zipNoteOverlap, next, zipLocalLen)
		}
		if m, ok := z.zipLocal(next); ok && z.squeezed && !m.sealed && !z.entire(m) {
			pos = max(pos, next+4)
		} else if ok {
			z.inExtra(m)
			end := z.member(m, z.refs[i:j], z.after(j))
			z.read(m, end)
			pos = max(pos, end)
		} else {
			z.gap(showcause.Corrupt, next, zipLocalLen) // the layer ends inside the header
		}
		i = j
	}
}

// free returns how far from off on, at most to end, no earlier format gave a child.
func (z *zipWalk) free(off, end int64) int64 {
	i, _ := slices.BinarySearchFunc(z.given, off, func(s unpack.Span, v int64) int { return cmp.Compare(s.From, v) })
	if i < len(z.given) {
		end = min(end, z.given[i].From)
	}
	return end
}

// after returns the offset of the local header of ref i, or the end of the layer.
func (z *zipWalk) after(i int) int64 {
	if i < len(z.refs) {
		return z.refs[i].head
	}
	return z.size
}

// straggler reads a local header that no directory names. It returns the end
// of what it took.
func (z *zipWalk) straggler(at, next int64) int64 {
	m, ok := z.zipLocal(at)
	if !z.out.Work(1024) {
		z.stop = true
		return z.size
	}
	if z.squeezed && (!ok || !z.entire(m)) {
		return at
	}
	if !ok {
		z.lost = z.lost || at >= z.dirEnd && m.length > 0 && m.vers&0xff <= 63 && m.flags&zipFlagUnused == 0
		return at
	}
	if !m.plausible() && at != 0 && !z.deserves(m) {
		return at
	}
	z.inExtra(m)
	z.loose = true
	if m.plausible() && at >= z.dirEnd {
		z.lost = true
	}
	if len(z.dirs) > 0 {
		z.note(zipNoteEntry, at, m.length)
	}
	end := z.member(m, nil, next)
	z.read(m, end)
	if slices.ContainsFunc(z.dirs, func(d int64) bool { return m.data < d && d <= end }) {
		z.lost = true // that directory is of an archive inside this member
	}
	return end
}

// inExtra reads a local header that stands in the extra field of another, where
// who goes by signatures finds it.
func (z *zipWalk) inExtra(m zipMeta) {
	if from := m.at + zipLocalLen + int64(len(m.name)); m.data-from > zipLocalLen && !z.stop {
		if at := z.scan.find(zipSigLocal, from, m.data); at >= 0 {
			z.straggler(at, m.data)
		}
	}
}

// read says that a member was read, but for an extra field that has room for something
// else. Behind the directory all of it was: what was not is a layer there.
func (z *zipWalk) read(m zipMeta, end int64) {
	const least = 24
	extra := m.at + zipLocalLen + int64(len(m.name))
	if m.data-extra < least || m.at >= z.dirEnd {
		extra = m.data
	}
	z.out.Cover(m.at, extra-m.at)
	z.out.Cover(m.data, end-m.data)
}

// isStream tells the compressed streams that say what stands behind them.
func isStream(t filetype.Type) bool {
	switch t.String() {
	case "gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "lzip", "lzop", "compress", "snappy", "zlib":
		return true
	}
	return false
}

// entire tells whether all of a member is there, to its checksum.
func (z *zipWalk) entire(m zipMeta) bool {
	w := zipWay{start: m.data, method: m.method, metas: []zipMeta{m}}
	if m.method == zipStored {
		return z.isGood(w)
	}
	if _, ok := zipMethods[m.method]; !ok || m.data >= z.size {
		return false
	}
	j := z.job(w)
	j.soft = true
	s := z.open(j)
	if z.trial == nil {
		z.trial = make([]byte, 8<<10)
	}
	for s.err == nil {
		n := s.n
		if s.Read(z.trial); !z.out.Work(12*(s.n-n) + 64) {
			z.stop = true
			s.close()
			return false
		}
	}
	return s.exact || s.sizeLie
}

// deserves tells of a header that is not plausible whether its data are good.
func (z *zipWalk) deserves(m zipMeta) bool {
	if m.method == zipStored {
		return m.packed > 0 && bound.In(m.data, m.packed, z.size) && z.sumStored(m.data, m.packed) == m.crc
	}
	if _, ok := zipMethods[m.method]; !ok || m.data >= z.size {
		return false
	}
	t := z.try(z.job(zipWay{start: m.data, method: m.method, metas: []zipMeta{m}}))
	return t.exact || !t.weak && (t.more || t.whole && t.n > 0)
}

// zipWay is a place where a member's bytes may start and a method for them,
// with the headers that say so.
type zipWay struct {
	start  int64
	method uint16
	metas  []zipMeta
}

// zipMaxReadings is how many different directory records for one local header are followed.
const zipMaxReadings = 256

// readings returns the different things that headers say of one member: the
// directory's first, the local header's last.
func (z *zipWalk) readings(m zipMeta, refs []zipRef) []zipMeta {
	rs := z.rs[:0]
	for i, r := range refs {
		c, ok := z.zipRecord(r.rec)
		if !ok || !z.out.Work(1024) {
			continue
		}
		if i > 0 {
			z.repeated = bound.Add(z.repeated, max(c.size, 0))
		}
		c.data = m.data
		same := func(o zipMeta) bool {
			return o.method == c.method && o.packed == c.packed && o.size == c.size && o.crc == c.crc &&
				o.sealed == c.sealed && len(o.name) == len(c.name)
		}
		if c.name != m.name && strings.ReplaceAll(c.name, `\`, "/") != strings.ReplaceAll(m.name, `\`, "/") {
			z.note(zipNoteName, m.at, m.length)
		}
		if slices.ContainsFunc(rs, same) {
			continue
		}
		if len(rs) == zipMaxReadings {
			z.gap(showcause.LimitWork, m.at, -1)
			break
		}
		rs = append(rs, c)
		z.compare(m, c)
	}
	z.rs = append(rs, m)
	return z.rs
}

// compare notes where a local header m and a directory record c differ.
func (z *zipWalk) compare(m, c zipMeta) {
	differ := func(a, b int64) bool { return a != b && a >= 0 && b >= 0 }
	if m.method != c.method {
		z.note(zipNoteMethod, m.at, m.length)
	}
	if differ(m.packed, c.packed) || differ(m.size, c.size) {
		z.note(zipNoteSize, m.at, m.length)
	}
	if m.sealed != c.sealed {
		z.note(zipNoteEncryption, m.at, m.length)
	}
}

// ways groups readings by start and method. Where the names differ in length
// there are readers that take the directory's to find the start.
func zipWays(m zipMeta, rs []zipMeta) []zipWay {
	one := func(r zipMeta) bool { return r.method == m.method && len(r.name) == len(m.name) }
	if !slices.ContainsFunc(rs, func(r zipMeta) bool { return !one(r) }) {
		return []zipWay{{m.data, m.method, rs}}
	}
	var ws []zipWay
	add := func(start int64, r zipMeta) {
		for i := range ws {
			if ws[i].start == start && ws[i].method == r.method {
				ws[i].metas = append(ws[i].metas, r)
				return
			}
		}
		ws = append(ws, zipWay{start, r.method, []zipMeta{r}})
	}
	for _, r := range rs {
		add(m.data, r)
	}
	for _, r := range rs {
		if d := int64(len(r.name) - len(m.name)); d != 0 {
			add(m.data+d, r)
		}
	}
	return ws
}

// job returns the job for a way, with all that its headers declare.
func (z *zipWalk) job(w zipWay) zipJob {
	j := zipJob{start: w.start, method: w.method, packed: -1, size: -1, said: -1}
	for _, m := range w.metas {
		j.packed = max(j.packed, m.packed)
		j.said = max(j.said, m.size)
		j.flags |= m.flags
		if m.size >= 0 && m.packed >= 0 && len(j.sums) < 8 {
			j.sums = append(j.sums, zipSum{m.size, m.crc})
		}
	}
	if j.packed == 0 && j.said != 0 {
		j.packed = -1 // "sizes 0 and no descriptor": the method finds its end
	}
	return j
}

// member derives what the local header m and the directory records say. next
// is where the next member that a directory names begins. It returns the end of
// the bytes that are the member's beyond doubt.
func (z *zipWalk) member(m zipMeta, refs []zipRef, next int64) int64 {
	if !z.out.Work(1024) {
		z.stop = true
		return z.size
	}
	rs := z.readings(m, refs)
	z.tell(m, rs)
	ws := zipWays(m, rs)
	sealed, empty := false, rs[0].packed == 0
	for _, r := range rs {
		sealed = sealed || r.sealed
		empty = empty && r.packed <= 0 && (r.method != zipStored || r.size <= 0)
	}
	name := rs[0].name
	switch {
	case empty:
		return z.empty(m, name, rs[0], next)
	case sealed:
		return z.sealed(name, m, rs, ws, next)
	case len(ws) > 1:
		return z.unsure(name, m, ws, next)
	}
	return z.derive(name, m.at, ws[0], false, len(refs) > 0, next)
}

// tell tells what each reading of a member says.
func (z *zipWalk) tell(m zipMeta, rs []zipMeta) {
	z.told++
	for _, r := range rs {
		z.out.Member(unpack.Member{
			Name: r.name, Packed: max(r.packed, 0), Size: max(r.size, 0), Encrypted: r.sealed, Sum: r.crc, Number: z.told, At: m.at, Length: m.length,
		})
	}
}

// child hands a stream's bytes over and returns the stream, for what it came to.
func (z *zipWalk) child(name string, j zipJob) *zipStream {
	op := "zip." + zipMethodWord(j.method)
	if j.sealed != nil {
		op += zipOpened
	}
	return z.childAs(name, op, j)
}

func (z *zipWalk) childAs(name, op string, j zipJob) *zipStream {
	s := z.open(j)
	z.stop = !z.out.Child(unpack.Child{Name: name, Op: op, Reader: s, Size: j.said, Deflate: j.method == 8 && j.sealed == nil}) || z.stop
	return s
}

// section hands bytes over that stand in the layer.
func (z *zipWalk) section(name, op string, off, n int64) {
	z.stop = !z.out.Child(unpack.Child{Name: name, Op: op, Source: bound.Section(z.src, off, n), Size: n}) || z.stop
}

// empty deals with a member that should have no bytes. If a deflate stream
// stands there nevertheless, it is the member's in some reading.
func (z *zipWalk) empty(m zipMeta, name string, r zipMeta, next int64) int64 {
	if !strings.HasSuffix(name, "/") {
		z.section(name, "zip."+zipMethodWord(r.method), m.data, 0)
	}
	if r.size > 0 {
		z.gap(showcause.Corrupt, m.at, m.length)
	}
	if next <= m.data || string(z.heads.at(m.data, 2)) == "PK" || z.stop {
		return m.data
	}
	j := zipJob{start: m.data, method: zipDeflate, packed: -1, size: -1, said: -1, soft: true}
	if t := z.try(j); t.more || t.whole && t.n > 0 && t.used >= 16 {
		z.note(zipNoteSize, m.at, m.length)
		if s := z.child(name, j); s.ended {
			return m.data + s.used
		}
	}
	return m.data
}

// sealed deals with a member that some header says is encrypted. If its bytes
// can be read as they are, they are not.
func (z *zipWalk) sealed(name string, m zipMeta, rs []zipMeta, ws []zipWay, next int64) int64 {
	end := m.data
	plain := false
	for _, w := range ws {
		for _, method := range []uint16{w.method, zipDeflate, zipStored} {
			if method != w.method && (w.method == zipStored) == (method == zipStored) {
				continue // a lie about the flag and about the method: stored for deflated, or the reverse
			}
			v := w
			v.method = method
			if z.isGood(v) {
				plain = true
				if method != w.method {
					z.note(zipNoteMethod, m.at, m.length)
				}
				end = max(end, z.derive(name, m.at, v, true, true, next))
				break
			}
		}
		if z.stop {
			return end
		}
	}
	if plain {
		z.note(zipNoteEncryption, m.at, m.length)
		return end
	}
	c := rs[0]
	all := z.unseal(name, m, ws, next)
	if z.stop {
		return z.size
	}
	if z.stop = !all && !z.out.ChildGap(unpack.Child{Name: name, Op: "zip." + zipMethodWord(c.method), Size: c.packed},
		showcause.Encrypted); z.stop {
		return z.size
	}
	for _, w := range ws {
		w.metas = slices.DeleteFunc(slices.Clone(w.metas), func(m zipMeta) bool { return m.sealed })
		if len(w.metas) > 0 && !z.stop {
			z.derive(name, m.at, w, true, false, next)
		}
	}
	return m.data + zipCut(m.data, max(c.packed, 0), z.size)
}

// unsure deals with a member whose headers differ in the method or in where
// the data start. If one way is good, what the others give is scanned for what it is.
func (z *zipWalk) unsure(name string, m zipMeta, ws []zipWay, next int64) int64 {
	good := make([]bool, len(ws))
	some := false
	for i, w := range ws {
		good[i] = z.isGood(w)
		some = some || good[i]
	}
	end := m.data
	for i, w := range ws {
		if z.stop {
			return end
		}
		if some && !good[i] && w.method != zipStored && z.try(z.job(w)).n == 0 {
			continue
		}
		e := z.derive(name, m.at, w, some && !good[i], some, next)
		if good[i] || !some {
			end = max(end, e)
		}
	}
	return end
}

// isGood tells whether a way leads to bytes that are the member's.
func (z *zipWalk) isGood(w zipWay) bool {
	if w.method == zipStored {
		return slices.ContainsFunc(w.metas, func(m zipMeta) bool {
			return m.size > 0 && m.size == m.packed && bound.In(w.start, m.size, z.size) && z.sumStored(w.start, m.size) == m.crc
		})
	}
	j := z.job(w)
	return z.try(j).good(j.packed)
}

// derive derives a member in one way. named says that a directory vouches for
// its extent. It returns the end of the member, or its start if that is in doubt.
func (z *zipWalk) derive(name string, at int64, w zipWay, soft, named bool, next int64) int64 {
	switch w.method {
	case zipStored:
		return z.stored(name, at, w, soft, named, next)
	case zipXZ:
		return z.xz(name, at, w, soft, next)
	case zipDeflate, zipDeflate64, zipBzip2, zipLZMA, zipImplode, zipZstd, zipZstdOld, zipPPMd:
		return z.packed(name, at, w, soft, next)
	}
	return z.unknown(name, at, w, soft)
}

// packed derives a compressed member, and whatever else a reader may take it
// for that believes in one of the sizes.
func (z *zipWalk) packed(name string, at int64, w zipWay, soft bool, next int64) int64 {
	j := z.job(w)
	j.soft = soft
	if j.packed < 0 && w.method != zipDeflate && w.method != zipDeflate64 {
		j.packed = z.extent(w.start, next) // the decoder does not stop at the end by itself
	}
	s := z.child(name, j)
	if z.stop {
		return w.start
	}
	if s.err == nil { // a limit of the layer cut it
		return w.start + zipCut(w.start, max(j.packed, 0), z.size)
	}
	if s.sizeLie && !s.exact {
		z.note(zipNoteSize, at, zipLocalLen)
	}
	if !s.ended && !s.exact {
		if !soft {
			z.rescue(name, at, w, j, s)
		}
		return w.start
	}
	end := w.start + s.used
	if !s.ended {
		// The decoder read on behind the end to see whether another stream
		// follows. What it read there is not the member's beyond doubt.
		end = w.start
		for _, m := range w.metas {
			if m.packed > 0 && m.packed <= s.used && m.packed >= s.used-zipReadOn {
				s.used = m.packed
				break
			}
		}
	}
	z.prefixes(name, at, w, j, s)
	if j.packed > s.used && !soft && !slices.ContainsFunc(w.metas, func(m zipMeta) bool { return m.packed == s.used }) {
		from := max(s.used-zipReadOn, 0)
		if s.ended {
			from = s.used
		}
		z.gap(showcause.Corrupt, w.start+from, zipCut(w.start, j.packed, z.size)-from)
	}
	if !soft && !s.exact && !s.sizeLie {
		z.rescue(name, at, w, j, s)
	}
	return end
}

// zipReadOn is how many bytes a decoder takes at most before it knows that no
// stream follows: two of bzip2, four of zstd, five of LZMA.
const zipReadOn = 8

// prefixes derives the shorter files that a reader gets which stops at a
// declared size.
func (z *zipWalk) prefixes(name string, at int64, w zipWay, j zipJob, s *zipStream) {
	done := map[[2]int64]bool{}
	for _, m := range w.metas {
		p := j
		p.soft, p.sums = true, nil
		switch {
		case m.packed > 0 && m.packed < s.used:
			p.packed = m.packed
		case m.size > 0 && m.size < s.n:
			p.size = m.size
		default:
			continue
		}
		if key := [2]int64{p.packed, p.size}; !done[key] && !z.stop {
			done[key] = true
			z.note(zipNoteSize, at, zipLocalLen)
			z.child(name, p)
		}
	}
}

// rescue looks for what a member is whose bytes are not what its headers say:
// longer than they say, or of another method.
func (z *zipWalk) rescue(name string, at int64, w zipWay, j zipJob, s *zipStream) {
	if z.stop {
		return
	}
	if s.cut && j.packed >= 0 && j.packed < z.size-w.start &&
		(w.method == zipDeflate || w.method == zipDeflate64) && s.used >= j.packed {
		k := j
		k.packed, k.soft = -1, true
		if t := z.try(k); t.n > s.n || t.more || t.whole {
			z.note(zipNoteSize, at, zipLocalLen)
			z.child(name, k)
			return
		}
	}
	for _, method := range []uint16{zipStored, zipDeflate, zipDeflate64} {
		v := w
		if v.method = method; method == w.method || z.stop {
			continue
		}
		k := z.job(v)
		if method == zipStored && z.isGood(v) || method != zipStored && z.try(k).exact {
			z.note(zipNoteMethod, at, zipLocalLen)
			z.derive(name, at, v, true, false, z.size)
			return
		}
	}
}

// unknown deals with a method that is not decoded.
func (z *zipWalk) unknown(name string, at int64, w zipWay, soft bool) int64 {
	j := z.job(w)
	end := w.start + zipCut(w.start, max(j.packed, 0), z.size)
	for _, method := range []uint16{zipDeflate, zipStored} {
		v := w
		v.method = method
		if z.isGood(v) {
			z.note(zipNoteMethod, at, zipLocalLen)
			z.derive(name, at, v, true, true, z.size)
			return end
		}
	}
	if !soft {
		word := zipMethodWord(w.method)
		z.stop = !z.out.ChildGap(unpack.Child{Name: name, Op: "zip." + word, Size: j.packed},
			showcause.Unsupported+showcause.Code(".method."+word)) || z.stop
	}
	return end
}

// xz hands over a member that is a whole .xz file.
func (z *zipWalk) xz(name string, at int64, w zipWay, soft bool, next int64) int64 {
	n := z.job(w).packed
	if n < 0 {
		n = z.extent(w.start, next)
	}
	if string(z.heads.at(w.start, 6)) != "\xfd7zXZ\x00" {
		return z.unknown(name, at, w, soft)
	}
	fit := zipCut(w.start, n, z.size)
	z.section(name, "zip.xz", w.start, fit)
	if fit < n && !soft && !z.stop {
		z.gap(showcause.Corrupt, z.size, n-fit)
	}
	return w.start + fit
}

// stored hands over a stored member in each size that a header gives it, and
// looks whether it is deflated after all (CVE-2026-0866).
func (z *zipWalk) stored(name string, at int64, w zipWay, soft, named bool, next int64) int64 {
	var sizes []int64
	for _, m := range w.metas {
		for _, n := range []int64{m.packed, m.size} {
			if n > 0 && !slices.Contains(sizes, n) {
				sizes = append(sizes, n)
			}
		}
		if m.flags&zipFlagDescriptor != 0 && m.packed < 0 && len(w.metas) == 1 {
			if n := z.extent(w.start, next); !slices.Contains(sizes, n) {
				sizes = append(sizes, n)
			}
			w.metas = []zipMeta{z.measured(m, w.start, sizes[len(sizes)-1])}
		}
	}
	if len(sizes) > 1 {
		z.note(zipNoteSize, at, zipLocalLen)
	}
	right, longest := false, int64(0)
	for _, n := range sizes {
		fit := zipCut(w.start, n, z.size)
		longest = max(longest, fit)
		z.section(name, "zip.stored", w.start, fit)
		if z.stop {
			return w.start
		}
		crc := z.sumStored(w.start, fit)
		right = right || fit == n && slices.ContainsFunc(w.metas, func(m zipMeta) bool { return m.crc == crc && m.packed >= 0 })
		if fit < n && !soft {
			z.gap(showcause.Corrupt, z.size, n-fit)
		}
	}
	cut := slices.ContainsFunc(sizes, func(n int64) bool { return n > z.size-w.start })
	if z.zombie(name, at, w, longest, cut) || right {
		return w.start + longest
	}
	if !soft && !cut {
		z.gap(showcause.Corrupt, w.start, longest)
	}
	if named && !cut {
		return w.start + longest
	}
	return w.start
}

// zipSmall is up to which size, in bytes, a stored member is looked at where it was
// read for its checksum.
const zipSmall = 16 << 10

// noDeflate tells that a deflate stream does not begin so (RFC 1951, section 3.2.3):
// the type of its first block, or the length of a stored one, is none.
func noDeflate(b []byte) bool {
	switch {
	case len(b) == 0 || b[0]&6 == 6:
		return true
	case b[0]&6 == 0:
		return len(b) < 5 || b[1]^b[3] != 0xff || b[2]^b[4] != 0xff
	}
	return false
}

// zombie derives a member that is called stored and is deflated.
func (z *zipWalk) zombie(name string, at int64, w zipWay, n int64, cut bool) bool {
	if n < 3 || z.stop {
		return false
	}
	w.method = zipDeflate
	j := z.job(w)
	j.packed, j.soft = n, true
	if n <= zipSmall {
		if j.bytes = z.scan.at(w.start, int(n)); noDeflate(j.bytes) {
			return false
		}
	}
	if t := z.try(j); !t.good(n) && !(cut && t.cut && t.n > 0) {
		return false
	}
	j.bytes = nil
	z.note(zipNoteMethod, at, zipLocalLen)
	z.child(name, j)
	z.deeper(name, j)
	return true
}

// extent returns the length of a member of unknown size whose method has no
// end of its own: up to the first data descriptor that fits its distance, or
// else up to the next header.
func (z *zipWalk) extent(start, next int64) int64 {
	next = max(next, start)
	fallback := next - start
	first := true
	for pos := start; pos < next; {
		at := z.scan.find("PK", pos, next)
		if at < 0 {
			z.out.Work((next - pos) / 4)
			break
		}
		if !z.out.Work((at-pos)/4 + 128) {
			z.stop = true
			return fallback
		}
		pos = at + 2
		switch string(z.heads.at(at, 4)) {
		case zipSigSplit:
			b := z.heads.at(at, 16)
			if len(b) == 16 && int64(b[8])|int64(b[9])<<8|int64(b[10])<<16|int64(b[11])<<24 == (at-start)&math.MaxUint32 {
				return at - start
			}
		case zipSigLocal, zipSigRecord:
			for _, n := range []int64{12, 20} {
				b := z.heads.at(at-n, 8)
				if at-n >= start && len(b) == 8 && int64(b[4])|int64(b[5])<<8|int64(b[6])<<16|int64(b[7])<<24 == (at-n-start)&math.MaxUint32 {
					return at - n - start
				}
			}
			if first {
				first, fallback = false, at-start
			}
		}
	}
	return fallback
}

// measured returns m with the size and CRC that the data descriptor after n
// bytes of data confirms.
func (z *zipWalk) measured(m zipMeta, start, n int64) zipMeta {
	if crc := z.sumStored(start, n); z.descriptor(start+n, n, n, crc) > 0 {
		m.crc, m.packed, m.size = crc, n, n
	}
	return m
}

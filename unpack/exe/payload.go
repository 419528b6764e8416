package exe

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// A payload is what a program carries as it is and gives to another program to
// read: makeself's "tail -n +4 "$0" | gzip -dc". start is what it starts with,
// lead bytes into it, and fits judges the bytes from the payload's start on, of
// which there are payloadView unless the layer ends before. What stands behind
// lines alone is a magic too short to be looked for anywhere. archive is what
// Info.Packer says of a program that has it: tools look for these anywhere in a
// file.
type payload struct {
	archive string
	start   string
	lead    int
	line    bool
	script  bool // not looked for in programs: its format does that by itself
	stream  bool // it is one stream, which a Measure reads
	// extent returns how many bytes of what stands at off are of it, 0 if that is not known.
	extent func(l showcause.Source, off int64, out *unpack.Out) int64
	// likely is asked first, of a start that is no rarity in data. It takes few steps.
	likely func([]byte) bool
	fits   func([]byte) bool
	// sure judges it by more than fits is shown.
	sure func(l showcause.Source, off int64) bool
}

// Measure reads the compressed stream at off to its end, off + n, and tells whether
// it is sound: what is none breaks soon. n is 0 where the end is too far away, or where the stream
// breaks late.
type Measure func(l showcause.Source, off int64, out *unpack.Out) (n int64, sound bool)

// smallestPayload is the length in bytes of a script and what it carries.
const smallestPayload = 24

// payloadView is how many bytes of a payload fits sees.
const payloadView = 4096

// streams are what a Measure reads.
func streams() []payload {
	return []payload{
		{stream: true, start: "\x1f\x8b\x08", fits: fitsGzip},
		{stream: true, start: "\x1f\x9e\x08", fits: fitsGzip},
		{stream: true, start: "\xfd7zXZ\x00", fits: func(b []byte) bool {
			return len(b) >= 12 && crc32.ChecksumIEEE(b[6:8]) == le.Uint32(b[8:])
		}},
		{stream: true, start: "1AY&SY", lead: 4, fits: fitsBzip2},
		{stream: true, start: "\x17\x72\x45\x38\x50\x90", lead: 4, fits: fitsBzip2},
		{stream: true, start: "\x28\xb5\x2f\xfd", fits: func(b []byte) bool { return len(b) >= 9 && b[4]&0x08 == 0 }},
		{stream: true, start: "\x04\x22\x4d\x18", fits: func(b []byte) bool { return len(b) >= 11 && b[4]>>6 == 1 && b[5]&0x8f == 0 && b[5] >= 0x40 }},
		{stream: true, start: "LZIP", fits: func(b []byte) bool { return len(b) >= 7 && b[4] <= 1 && b[5]&31 >= 12 && b[5]&31 <= 29 && b[6] == 0 }},
		{stream: true, start: "\x89LZO\x00\r\n\x1a\n"},
	}
}

// fitsBzip2 asks for a size of blocks in front of what begins a block, or ends the file.
func fitsBzip2(b []byte) bool {
	return len(b) >= 10 && string(b[:3]) == "BZh" && b[3] >= '1' && b[3] <= '9'
}

// trees are what holds files: it is read to where it ends, where that is told.
func trees() []payload {
	return []payload{
		{archive: "squashfs-sfx", start: "hsqs", fits: fitsSquash, extent: func(l showcause.Source, off int64, _ *unpack.Out) int64 { return squashBytes(l, off) }},
		{start: "ustar", lead: tarMagic, extent: tarBytes, fits: func(b []byte) bool { return len(b) >= 512 && filetype.Detect(b, nil) == filetype.Tar && tarSum(b) }},
		{start: "CD001", lead: discMark, sure: holdsDisc},
	}
}

func payloads() []payload {
	return slices.Concat(streams(), trees(), []payload{
		{archive: "7z-sfx", start: "7z\xbc\xaf\x27\x1c", fits: fits7z},
		{archive: "rar-sfx", start: "Rar!\x1a\x07", fits: fitsRar},
		{archive: "cab-sfx", start: "MSCF", fits: fitsCab},
		{start: "\n\x1f\x9d", line: true, fits: func(b []byte) bool {
			return len(b) >= 5 && b[2]&0x60 == 0 && b[2]&31 >= 9 && b[2]&31 <= 16 && b[4]&1 == 0
		}},
		{start: "\n\x5d\x00", line: true, fits: func(b []byte) bool { return filetype.Detect(b, nil) == filetype.LZMA }},
	}, old())
}

// old are the archives in front of which their own tools pass over anything: arj,
// lha, cpio.
func old() []payload {
	return []payload{
		{script: true, start: "\x60\xea", likely: likelyARJ, fits: fitsARJ},
		{script: true, start: "-lh", lead: 2, fits: fitsLHA},
		{script: true, start: "-lz", lead: 2, fits: fitsLHA},
		{script: true, start: "-pm", lead: 2, fits: fitsLHA},
		{start: "07070", likely: likelyCpio, fits: fitsCpio, extent: cpioBytes},
		{start: "\xc7\x71", likely: likelyOldCpio, fits: fitsOldCpio},
		{start: "\x71\xc7", likely: likelyOldCpio, fits: fitsOldCpio},
	}
}

// anywhere are the payloads that are looked for in any data, each by a sum, by several
// fields or by what it decodes to.
func anywhere() []payload {
	return slices.Concat(streams(), trees(), []payload{
		{archive: "7z-sfx", start: "7z\xbc\xaf\x27\x1c", fits: func(b []byte) bool { return fits7z(b) && le.Uint32(b[8:]) != 0 }},
		{archive: "rar-sfx", start: "Rar!\x1a\x07", fits: fitsRar},
		{archive: "cab-sfx", start: "MSCF", fits: fitsCab},
	}, old())
}

// discMark is where an ISO 9660 image says what it is: the type of its descriptor is in front.
const discMark = 0x8001

// holdsDisc asks for the first descriptor of an image (ECMA-119, 8.4): its version, a
// directory of 34 bytes and more than the descriptors.
func holdsDisc(l showcause.Source, off int64) bool {
	b, _ := bound.ReadAt(l, off+discMark-1, 200, 200)
	return len(b) == 200 && b[0] == 1 && b[6] == 1 && b[156] >= 34 && le.Uint16(b[128:]) >= 512 && le.Uint32(b[80:]) > 17 &&
		le.Uint32(b[80:]) == binary.BigEndian.Uint32(b[84:])
}

// table is a list of payloads, with what is the same for every layer.
type table struct {
	all    []payload
	starts []string
	keep   int64 // what two chunks share: most need what is behind their start, one says far behind it what it is
}

func tableOf(all []payload) *table {
	t := &table{all: all, keep: 2 * payloadView}
	for i := range all {
		t.starts = append(t.starts, all[i].start)
		t.keep = max(t.keep, int64(all[i].lead)+payloadView)
	}
	return t
}

// unpacked is a list without what Packer tells of programs.
func unpacked(all []payload) []payload {
	return slices.DeleteFunc(all, func(p payload) bool { return p.archive != "" || p.script })
}

// The lists by what a layer is: never changed.
var (
	ofScripts   = tableOf(payloads())
	ofData      = tableOf(anywhere())
	ofPrograms  = tableOf(unpacked(payloads()))
	ofNoProgram = tableOf(unpacked(anywhere()))
)

// archives are the payloads that tools look for anywhere in a file.
func archives() []payload {
	return slices.DeleteFunc(payloads(), func(p payload) bool { return p.archive == "" })
}

// fitsGzip reads a gzip header, and a little of what it says is deflated (RFC
// 1952, section 2.3).
func fitsGzip(b []byte) bool {
	if len(b) < 18 || b[3]&0xe0 != 0 {
		return false
	}
	at := 10
	if b[3]&4 != 0 {
		at += 2 + int(le.Uint16(b[at:]))
	}
	for _, flag := range []byte{8, 16} {
		if b[3]&flag == 0 || at >= len(b) {
			continue
		}
		n := bytes.IndexByte(b[at:], 0)
		if n < 0 {
			return len(b) == payloadView
		}
		at += n + 1
	}
	if b[3]&2 != 0 {
		at += 2
	}
	if at >= len(b) {
		return len(b) == payloadView // the header is longer than what is seen of it
	}
	var out [512]byte
	r := flate.NewReader(bytes.NewReader(b[at:]))
	for n := 0; n < len(out); {
		m, err := r.Read(out[n:])
		n += m
		if err != nil {
			_, corrupt := err.(flate.CorruptInputError)
			return !corrupt
		}
	}
	return true
}

// fits7z checks the start header as readers do (7-Zip, 7zFormat.txt): its CRC
// covers the 20 bytes that say where the directory is. 7-Zip looks for a
// directory also where all of these are zero.
func fits7z(b []byte) bool {
	if len(b) < 32 || b[6] != 0 {
		return false
	}
	sum := le.Uint32(b[8:])
	return crc32.ChecksumIEEE(b[12:32]) == sum || sum == 0 && len(bytes.Trim(b[12:32], "\x00")) == 0
}

// fitsSquash judges the first block of a squashfs (Linux,
// Documentation/filesystems/squashfs.rst).
func fitsSquash(b []byte) bool {
	if len(b) < 96 || le.Uint32(b[28:]) != 4 {
		return false
	}
	log, method := le.Uint16(b[22:]), le.Uint16(b[20:])
	return log >= 12 && log <= 20 && le.Uint32(b[12:]) == 1<<log && method >= 1 && method <= 6 && le.Uint64(b[40:]) >= 96
}

// squashBytes is the length of the squashfs that stands at off, 0 for none.
func squashBytes(l showcause.Source, off int64) int64 {
	b, _ := bound.ReadAt(l, off, 96, 96)
	if !bytes.HasPrefix(b, []byte("hsqs")) || !fitsSquash(b) {
		return 0
	}
	return int64(min(le.Uint64(b[40:]), uint64(l.Size()-off)))
}

// fitsRar checks the first header behind the signature: version 5 has a CRC of
// it; before, the type of the main header, and its length.
func fitsRar(b []byte) bool {
	switch {
	case len(b) >= 20 && b[6] == 0:
		return b[9] == 0x73 && le.Uint16(b[12:]) >= 13
	case len(b) >= 16 && b[6] == 1 && b[7] == 0:
		n, used := binary.Uvarint(b[12:])
		if used <= 0 || used > 3 || n == 0 || n > 2<<20 {
			return false
		}
		end := 12 + used + int(n)
		if end > len(b) || end > 1024 {
			return b[12+used] == 1 || b[12+used] == 4 // the types that a first header may have
		}
		return crc32.ChecksumIEEE(b[12:end]) == le.Uint32(b[8:])
	}
	return false
}

// fitsCab judges a cabinet's header (MS-CAB, 2.1) by its version and by where
// it says that things are. The reserved fields are ignored, as by readers.
func fitsCab(b []byte) bool {
	if len(b) < 36 || b[25] != 1 || b[24] > 3 {
		return false
	}
	size, files := le.Uint32(b[8:]), le.Uint32(b[16:])
	return size >= 44 && files >= 44 && files < size && le.Uint16(b[26:]) > 0 && le.Uint16(b[30:]) <= 7
}

// tarMagic is where in its header a tar file says what it is.
const tarMagic = 257

// tarBytes follows the headers of a tar file to its end: two blocks of zeros (POSIX.1,
// pax, "ustar Interchange Format").
func tarBytes(l showcause.Source, off int64, out *unpack.Out) int64 {
	for at := off; out.Work(16); {
		b, _ := bound.ReadAt(l, at, 512, 512)
		switch {
		case len(b) < 512:
			return 0
		case b[0] == 0:
			if b, _ = bound.ReadAt(l, at, 1024, 1024); len(b) == 1024 && len(bytes.Trim(b, "\x00")) == 0 {
				return at + 1024 - off
			}
			return 0
		case !bytes.HasPrefix(b[tarMagic:], []byte("ustar")) || !tarSum(b):
			return 0
		}
		size := int64(0)
		for _, c := range strings.Trim(string(b[124:136]), " \x00") {
			if c < '0' || c > '7' {
				return 0
			}
			size = size<<3 | int64(c-'0')
		}
		if bytes.IndexByte([]byte("123456"), b[156]) >= 0 {
			size = 0 // a link, a device, a folder
		}
		at = bound.Add(at, 512+(size+511)/512*512)
	}
	return 0
}

// tarSum tells whether the checksum of a header that says "ustar" fits.
func tarSum(b []byte) bool {
	b = bytes.Clone(b[:512])
	copy(b[257:], "xxxxx")
	var d int64 // what the change does to the sum
	for _, c := range "ustar" {
		d += int64('x') - int64(c)
	}
	want := int64(0)
	for _, c := range strings.Trim(string(b[148:156]), " \x00\t\n\v\f\r") {
		if c < '0' || c > '7' {
			return false
		}
		want = want<<3 | int64(c-'0')
	}
	sum := 8*int64(' ') - d
	for i, c := range b {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	return sum == want
}

// place looks for the payload in s and returns where its first byte is, -1 if
// nowhere. try is asked before each place is judged.
func (p *payload) place(s stretch, try func() bool) int {
	return p.placePast(s, func(from int) int { return from }, func(int) bool { return true }, try)
}

// placePast is place where past tells from where on what is at a place is not read yet,
// and sure is asked last.
func (p *payload) placePast(s stretch, past func(from int) int, sure func(from int) bool, try func() bool) int {
	skip := p.lead
	if p.line {
		skip = -1 // the newline is not of the payload
	}
	for at := 0; at < len(s.b); {
		i := s.index(p.start, at)
		if i < 0 {
			return -1
		}
		if to := past(i - skip); to > i-skip {
			at = max(to+skip, i+1)
			continue
		}
		from := i - skip
		view := s.b[max(from, 0):min(max(from, 0)+payloadView, len(s.b))]
		if from < 0 || p.likely != nil && !p.likely(view) {
			at = i + 1
			continue
		}
		if !try() {
			return -1
		}
		if (p.fits == nil || p.fits(view)) && sure(from) {
			return from
		}
		at = i + 1
	}
	return -1
}

// given are the stretches of a layer that formats before have given as children.
type given struct {
	spans []unpack.Span
}

// past returns the place from which on nothing has been read that stands at off:
// off, or the end of the child that it is in.
func (g *given) past(off int64) int64 {
	if i := g.at(off); i >= 0 {
		return g.spans[i].To
	}
	return off
}

// after returns which span is the first behind off, -1 for none.
func (g *given) after(off int64) int {
	i, _ := slices.BinarySearchFunc(g.spans, off, func(s unpack.Span, v int64) int { return cmp.Compare(s.From, v) })
	if i == len(g.spans) {
		return -1
	}
	return i
}

// at returns which span off is in, -1 for none.
func (g *given) at(off int64) int {
	i, ok := slices.BinarySearchFunc(g.spans, off, func(s unpack.Span, v int64) int { return cmp.Compare(s.From, v) })
	if !ok {
		i--
	}
	if i < 0 || off >= g.spans[i].To {
		return -1
	}
	return i
}

// endless is from which size on, in bytes, a search is charged for before it is begun.
const endless = 1 << 39

// find returns where the first of the payloads from off on starts that is not in what is
// given, and which it is; nil if there is none.
func (c *carver) find() (int64, *payload) {
	f := file{src: c.l, near: c.out.Places(c.l)}
	for ; c.at < min(c.l.Size(), c.end); c.at += chunk - c.keep {
		n := min(chunk, c.l.Size()-c.at)
		if !c.out.Work(n>>8 + 1) {
			return 0, nil
		}
		if n == chunk && f.near.Free(c.at, c.at+chunk, c.starts...) {
			continue
		}
		if c.seen.at != int(c.at) || c.seen.b == nil {
			c.seen = f.stretch(&c.buf, c.at)
		}
		n = int64(len(c.seen.b))
		if from, p := c.first(c.seen.upTo(int(min(c.end-c.at, chunk)) + payloadView)); p != nil {
			if from >= c.end {
				return 0, nil
			}
			return from, p
		}
		if n < chunk {
			break
		}
	}
	return 0, nil
}

// first is find in a stretch.
func (c *carver) first(s stretch) (int64, *payload) {
	best, which := -1, -1
	past := func(from int) int { return int(c.given.past(max(c.at+int64(from), c.off)) - c.at) }
	for i := range c.all {
		p, view := &c.all[i], s
		if best >= 0 {
			view = s.upTo(best + max(payloadView, p.lead+len(p.start)))
		}
		sure := func(from int) bool { return p.sure == nil || p.sure(c.l, c.at+int64(from)) }
		from := p.placePast(view, past, sure, func() bool { return c.out.Work(1 << 14) })
		if from >= 0 && (best < 0 || from < best) {
			best, which = from, i
		}
	}
	if best < 0 {
		return 0, nil
	}
	return c.at + int64(best), &c.all[which]
}

// runnable tells whether a shell or another interpreter may take a layer for a
// script, whatever else it is: it has a first line, of text.
func runnable(head []byte) bool {
	line, _, ok := bytes.Cut(head, []byte{'\n'})
	if !ok {
		return false
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return len(line) > 0 && (line[0] < 0x7f || bytes.HasPrefix(line, []byte("\xef\xbb\xbf")))
}

// carver gives what stands in a layer as it is.
type carver struct {
	l        showcause.Source
	out      *unpack.Out
	measure  Measure
	op       string
	off, end int64
	near     int64 // before it a stream's header is enough: someone decodes what stands there
	text     int64 // where near is not to be seen from the first line: how far text is known to go; -1 elsewhere
	*table

	given *given
	at    int64 // of the chunk
	buf   []byte
	seen  stretch
}

// walkPayload gives what a script, or what stands behind a program's image,
// carries compressed or archived, and what data of any kind do: children, each from where it
// begins to its end if that can be told, or else to the end of the layer.
func walkPayload(l showcause.Source, t filetype.Type, head []byte, out *unpack.Out, measure Measure) {
	c := carver{l: l, out: out, measure: measure, op: "exe.payload", off: 1, end: l.Size(), near: l.Size(), text: -1, table: ofScripts}
	switch {
	case isProgram(t):
		off, known, parsed := imageEnd(file{src: l}, t)
		c.table = ofPrograms
		switch {
		case !parsed:
			c.near, c.table = 0, ofNoProgram
		case off <= 0:
			return
		default:
			c.op, c.off = "exe.overlay", off
			if n := squashBytes(l, off); n > 0 { // its blocks are no payloads
				c.off += n
			}
			if known {
				c.near = c.off + overlayView
			}
		}
	case t.Hides() && !apart(t):
		return
	case apart(t) || !runnable(head):
		c.near, c.table = 0, ofData
	case !bytes.HasPrefix(head, []byte("#!")):
		c.text = 0 // objects of Go's, pictures and others begin with a line of text too
	}
	c.walk()
}

// apart tells the archives, mail and documents that say of each member where it stands: what is in
// none is searched, fields of headers, padding, text and what is between.
func apart(t filetype.Type) bool {
	switch t.String() {
	case "zip", "ooxml-word", "ooxml-ppt", "ooxml-xl", "ooxml-hwp", "tar", "tar-old", "ar", "cpio-odc", "cpio-newc", "cpio-crc", "mail", "mhtml", "rtf", "tnef", "onenote":
		return true
	}
	return false
}

// walk gives one payload after the other.
func (c *carver) walk() {
	// What is too large to end is told before it is begun.
	if n := min(c.l.Size(), c.end) - c.off; n > endless && !c.out.Work(n>>8) {
		return
	}
	g := &given{spans: c.out.Covered()}
	c.given, c.at = g, c.off
	for c.off < c.end {
		from, p := c.find()
		if p == nil {
			return
		}
		to := c.l.Size()
		if i := g.at(from); i >= 0 {
			to = g.spans[i].To
		} else if i := g.after(from); i >= 0 && c.near == 0 {
			to = g.spans[i].From
		}
		n, ok := c.bytes(p, from, to)
		if !ok {
			c.off = from + 1
			continue
		}
		if n > 0 {
			to = min(to, from+n)
			if c.text >= 0 && c.isNear(from) {
				c.text = to
			}
		}
		if !c.out.Child(unpack.Child{Op: c.op, Source: bound.Section(c.l, from, to-from), Size: to - from}) {
			return
		}
		if c.off = to; c.off-c.at >= chunk-c.keep {
			c.at = c.off
		}
	}
}

// bytes returns how many bytes before to a payload has, 0 if that is not known; it is not ok if
// it is none.
func (c *carver) bytes(p *payload, from, to int64) (n int64, ok bool) {
	switch {
	case p.line && !c.isNear(from):
		return 0, false
	case p.stream && c.measure == nil:
		return 0, c.isNear(from)
	case p.stream:
		n, ok = c.measure(bound.Section(c.l, from, to-from), 0, c.out)
		return n, ok || c.isNear(from)
	case p.extent != nil:
		n = p.extent(c.l, from, c.out)
	}
	return n, true
}

// isNear tells whether a stream's header is enough at an offset. In a file of which the first
// line alone looks like a script's, it is behind no more than text, and overlayView bytes.
func (c *carver) isNear(from int64) bool {
	if c.text < 0 {
		return from < c.near
	}
	buf := make([]byte, 4096)
	for c.text < from {
		n, _ := c.l.ReadAt(buf[:min(int64(len(buf)), from-c.text)], c.text)
		for i, b := range buf[:n] {
			if b < ' ' && (b < '\t' || b > '\r') && b != 0x1b || b == 0x7f {
				c.text += int64(i)
				return from-c.text <= overlayView
			}
		}
		if c.text += int64(n); n == 0 {
			break
		}
	}
	return from-c.text <= overlayView
}

// overlayView is how far behind an image a stream may start of which no more than the
// header is asked, in bytes.
const overlayView = 4096

// ImageEnd returns where the data after the image of a PE file starts, -1 if there is none.
func ImageEnd(src showcause.Source) int64 {
	off, _, _ := imageEnd(file{src: src}, filetype.PE)
	return off
}

// imageEnd returns where the data after a program's image starts, at the
// earliest where it is not known, and -1 if there is none. What does not parse has no image.
func imageEnd(f file, t filetype.Type) (off int64, known, parsed bool) {
	switch t {
	case filetype.PE, filetype.DOS:
		if p := readPE(f, false); p != nil {
			return p.Overlay, true, true
		}
	case filetype.ELF:
		if i := parseELF(f); i != nil {
			return i.Overlay, true, true
		}
		// A kernel runs it without sections, whatever is said of them.
		if e := readELF(f); e != nil && e.phnum > 0 && e.phnum <= elfSegments && e.phentsize == e.phEntry {
			e.programs = e.table(f, e.phoff, e.phnum, e.phEntry)
			return f.overlay(e.segmentsEnd()), false, true
		}
	case filetype.MachO:
		if i := parseMachO(f); i != nil {
			return i.Overlay, true, true
		}
	}
	return -1, false, false
}

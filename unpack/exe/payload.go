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
	// likely is asked first, of a start that is no rarity in data. It takes few steps.
	likely func([]byte) bool
	fits   func([]byte) bool
}

// smallestPayload is the length in bytes of a script and what it carries.
const smallestPayload = 24

// payloadView is how many bytes of a payload fits sees.
const payloadView = 4096

func payloads() []payload {
	return append([]payload{
		{start: "\x1f\x8b\x08", fits: fitsGzip},
		{start: "\x1f\x9e\x08", fits: fitsGzip},
		{start: "\xfd7zXZ\x00", fits: func(b []byte) bool {
			return len(b) >= 12 && crc32.ChecksumIEEE(b[6:8]) == le.Uint32(b[8:])
		}},
		{start: "BZh", fits: func(b []byte) bool {
			return len(b) >= 10 && b[3] >= '1' && b[3] <= '9' && (string(b[4:10]) == "1AY&SY" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90")
		}},
		{start: "\x28\xb5\x2f\xfd", fits: func(b []byte) bool { return len(b) >= 9 && b[4]&0x08 == 0 }},
		{start: "\x04\x22\x4d\x18", fits: func(b []byte) bool { return len(b) >= 11 && b[4]>>6 == 1 && b[5]&0x8f == 0 && b[5] >= 0x40 }},
		{start: "LZIP", fits: func(b []byte) bool { return len(b) >= 7 && b[4] <= 1 && b[5]&31 >= 12 && b[5]&31 <= 29 && b[6] == 0 }},
		{start: "\x89LZO\x00\r\n\x1a\n"},
		{archive: "squashfs-sfx", start: "hsqs", fits: fitsSquash},
		{archive: "7z-sfx", start: "7z\xbc\xaf\x27\x1c", fits: fits7z},
		{archive: "rar-sfx", start: "Rar!\x1a\x07", fits: fitsRar},
		{archive: "cab-sfx", start: "MSCF", fits: fitsCab},
		{start: "ustar", lead: 257, fits: func(b []byte) bool { return len(b) >= 512 && filetype.Detect(b, nil) == filetype.Tar && tarSum(b) }},
		{start: "\n\x1f\x9d", line: true, fits: func(b []byte) bool {
			return len(b) >= 5 && b[2]&0x60 == 0 && b[2]&31 >= 9 && b[2]&31 <= 16 && b[4]&1 == 0
		}},
		{start: "\n\x5d\x00", line: true, fits: func(b []byte) bool { return filetype.Detect(b, nil) == filetype.LZMA }},
	}, old()...)
}

// old are the archives in front of which their own tools pass over anything: arj,
// lha, cpio.
func old() []payload {
	return []payload{
		{script: true, start: "\x60\xea", likely: likelyARJ, fits: fitsARJ},
		{script: true, start: "-lh", lead: 2, fits: fitsLHA},
		{script: true, start: "-lz", lead: 2, fits: fitsLHA},
		{script: true, start: "-pm", lead: 2, fits: fitsLHA},
		{start: "07070", likely: likelyCpio, fits: fitsCpio},
		{start: "\xc7\x71", likely: likelyOldCpio, fits: fitsOldCpio},
		{start: "\x71\xc7", likely: likelyOldCpio, fits: fitsOldCpio},
	}
}

// carries tells in what archives are looked for anywhere though nothing runs it:
// pictures, sound and video, behind which archives are hidden from those who look at
// them, and data of no known type. Tools take such a file for the archive.
func carries(t filetype.Type) bool {
	switch t.String() {
	case "data", "text", "utf8-text", "java-class", "swf", "wasm", "lnk", "gif", "png", "jpeg", "tiff", "bmp", "jpeg2000", "ico", "webp", "psd", "riff", "mp3", "mp4", "ogg",
		"flac", "matroska", "mpeg", "asf", "realmedia", "midi", "icns", "font", "utf16le-text", "utf16be-text":
		return true
	}
	return false
}

// anywhere are the archives that are looked for there, each by a sum or by several fields.
func anywhere() []payload {
	return append([]payload{
		{start: "7z\xbc\xaf\x27\x1c", fits: func(b []byte) bool { return fits7z(b) && le.Uint32(b[8:]) != 0 }},
		{start: "Rar!\x1a\x07", fits: fitsRar},
		{start: "MSCF", fits: fitsCab},
	}, old()...)
}

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
		return end > len(b) || end > 1024 || crc32.ChecksumIEEE(b[12:end]) == le.Uint32(b[8:])
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
	return p.placePast(s, func(from int) int { return from }, try)
}

// placePast is place where past tells from where on what is at a place is not read yet.
func (p *payload) placePast(s stretch, past func(from int) int, try func() bool) int {
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
		if p.fits == nil || p.fits(view) {
			return from
		}
		at = i + 1
	}
	return -1
}

// given are the stretches of a layer that formats before have given as children.
type given struct {
	src   showcause.Source
	spans []unpack.Span
	known map[int]bool // of spans that were asked for: whether they are read as what they are
}

// past returns the place from which on nothing has been read that stands at off:
// off, or the end of the child that it is in. A child of no known type is none that
// something else would have been looked for in.
func (g *given) past(off int64) int64 {
	i := g.at(off)
	if i < 0 {
		return off
	}
	s := g.spans[i]
	known, ok := g.known[i]
	if !ok {
		child := bound.Section(g.src, s.From, s.To-s.From)
		head := bound.Head(child, unpack.HeadSize)
		known = runnable(head) || filetype.Detect(head, child) != filetype.Unknown
		g.known[i] = known
	}
	if off > s.From && !known {
		return off
	}
	return s.To
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

// findPayload returns where the first of all payloads in [off, end) starts in l
// that is not in what is given.
func findPayload(l showcause.Source, off, end int64, all []payload, g *given, out *unpack.Out) (int64, bool) {
	const keep = 2 * payloadView
	var buf []byte
	// What is too large to end is told before it is begun.
	if n := min(l.Size(), end) - off; n > endless && !out.Work(n>>8) {
		return 0, false
	}
	f := file{src: l, near: out.Places(l)}
	for at := off; at < min(l.Size(), end); at += chunk - keep {
		s := f.stretch(&buf, at)
		n := len(s.b)
		if !out.Work(int64(n)>>8 + 1) {
			return 0, false
		}
		s = s.upTo(int(min(end-at, chunk)) + payloadView)
		best := -1
		for i := range all {
			view := s
			if best >= 0 {
				view = s.upTo(best + payloadView)
			}
			past := func(from int) int { return int(g.past(at+int64(from)) - at) }
			from := all[i].placePast(view, past, func() bool { return out.Work(1 << 14) })
			if from >= 0 && (best < 0 || from < best) {
				best = from
			}
		}
		if best >= 0 {
			return at + int64(best), at+int64(best) < end
		}
		if n < chunk {
			break
		}
	}
	return 0, false
}

// runnable tells whether a shell or another interpreter may take a layer for a
// script, whatever else it is: it has a first line, of text.
func runnable(head []byte) bool {
	line, _, ok := bytes.Cut(head, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return ok && len(line) > 0 && (line[0] < 0x7f || bytes.HasPrefix(line, []byte("\xef\xbb\xbf")))
}

// walkPayload gives what a script, or what stands behind a program's image,
// carries compressed or archived: one child, from there to the end of the
// layer.
func walkPayload(l showcause.Source, t filetype.Type, head []byte, out *unpack.Out) {
	op, off, end, all := "exe.payload", int64(1), l.Size(), payloads()
	switch {
	case isProgram(t):
		var known bool
		op = "exe.overlay"
		if off, known = imageEnd(file{src: l}, t); off <= 0 {
			return
		}
		if known {
			end = off + overlayView
		}
		if n := squashBytes(l, off); n > 0 { // its blocks are no payloads
			off += n
			end = max(end, off+overlayView)
		}
		all = slices.DeleteFunc(all, func(p payload) bool { return p.archive != "" || p.script }) // Packer tells them
	case t.Hides():
		return
	case !runnable(head):
		if !carries(t) {
			return
		}
		all = anywhere()
	}
	g := &given{src: l, spans: out.Covered(), known: map[int]bool{}}
	if from, ok := findPayload(l, off, end, all, g, out); ok {
		to := l.Size()
		if i := g.at(from); i >= 0 {
			to = g.spans[i].To
		}
		out.Child(unpack.Child{Op: op, Source: bound.Section(l, from, to-from), Size: to - from})
	}
}

// overlayView is how far behind an image a payload may start, in bytes.
const overlayView = 4096

// imageEnd returns where the data after a program's image starts, at the
// earliest where it is not known, and -1 if there is none.
func imageEnd(f file, t filetype.Type) (off int64, known bool) {
	switch t {
	case filetype.PE, filetype.DOS:
		if p := readPE(f, false); p != nil {
			return p.Overlay, true
		}
	case filetype.ELF:
		if i := parseELF(f); i != nil {
			return i.Overlay, true
		}
		// A kernel runs it without sections, whatever is said of them.
		if e := readELF(f); e != nil && e.phnum > 0 && e.phnum <= elfSegments && e.phentsize == e.phEntry {
			e.programs = e.table(f, e.phoff, e.phnum, e.phEntry)
			return f.overlay(e.segmentsEnd()), false
		}
	case filetype.MachO:
		if i := parseMachO(f); i != nil {
			return i.Overlay, true
		}
	}
	return -1, false
}

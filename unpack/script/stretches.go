package script

import (
	"bytes"
	"compress/flate"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

// Stretches reads what is written in a text in other letters:
//
//	encoded.command  base64 behind -EncodedCommand of PowerShell, or any beginning of it
//	encoded.base64   base64 that a call decodes, or of which something known comes
//	encoded.hex      hexadecimal digits
//	encoded.codes    a list of codes: 77, 90; 0x4d,0x5a; \x4d\x5a; %4d%5a; &#77;&#90;; Chr(77) & Chr(90)
//	encoded.deflate  what base64 that a call decodes has, if it inflates
//
// Without a call, 64 bytes are needed, and what comes of them is text or of a type that its first bytes
// tell for sure. Pieces of strings that are added together, and lines, are one stretch; so are lines that
// begin alike, as where a batch file writes them with echo.
func Stretches() unpack.Format {
	return unpack.Format{
		Name: "encoded",
		Match: func(p *unpack.Probe) bool {
			return textual(p) && hasASCII(p.Head) && (p.Source.Size() >= minRunAlone || run(p.Head, 0, minRun, &inBase64) >= 0)
		},
		Walk: func(src showcause.Source, out *unpack.Out) {
			src, own := narrowed(src, out)
			if !out.Work(src.Size()/32 + 1) {
				return
			}
			f := newFinder(src, out)
			if own {
				f.inside = out.Covered()
			}
			f.walk()
		},
	}
}

const (
	minRun     = 20  // characters of base64 that are looked at
	minDecoded = 64  // bytes, without a call
	minCalled  = 9   // bytes, behind a call
	minCodes   = 150 // characters of a list of codes
	headBytes  = 1 << 10
	blockSize  = 256 << 10
	viewSize   = 16 << 10
)

// class is a set of bytes.
type class [256]bool

func classOf(ranges string) (c class) {
	for i := 0; i+1 < len(ranges); i += 2 {
		for b := int(ranges[i]); b <= int(ranges[i+1]); b++ {
			c[b] = true
		}
	}
	return c
}

// inBase64 are the letters of base64 in either alphabet, and the caret that a command line of Windows
// passes over. inCodes are the bytes that lists of codes are of.
var (
	inBase64 = classOf("AZaz09++//--__^^")
	inHex    = classOf("09afAF")
	inCodes  = classOf("09afAFxxXXuUuu,,\\\\%%&&##;;$$  \t\t\r\r\n\n(())++\"\"''__hhHHrrRRwWWWww{{}}[[]]||--")
)

// finder looks for stretches in a layer.
type finder struct {
	src  showcause.Source
	out  *unpack.Out
	size int64

	b    []byte // of the layer, from base on: all of it where that is in memory
	base int64
	buf  []byte
	view []byte // for looks elsewhere, from viewed on

	viewed int64

	before [128]byte        // in front of a run
	peeked [minDecoded]byte // see peek

	base64s, hexes, codes int
	joined                int64 // where the stretch ends that was joined last and said nothing,
	quoted                bool  // and how it stood
	inflate               io.ReadCloser
	kept                  map[string][]stretch // those beyond the first ones
	done                  bool
	inside                []unpack.Span // scripts: what stands in them is read there
}

func newFinder(src showcause.Source, out *unpack.Out) *finder {
	f := &finder{src: src, out: out, size: src.Size()}
	if b, ok := src.(showcause.Bytes); ok {
		f.b = b
	}
	return f
}

// load has the block at off at hand. It tells whether there is one.
func (f *finder) load(off int64) bool {
	if _, ok := f.src.(showcause.Bytes); ok {
		return off < f.size
	}
	if f.buf == nil {
		f.buf = make([]byte, blockSize)
	}
	n, _ := f.src.ReadAt(f.buf[:min(blockSize, max(f.size-off, 0))], off)
	f.b, f.base = f.buf[:max(n, 0)], off
	return n > 0
}

// at returns up to n bytes at off, fewer at the layer's end. They are good until the next call.
func (f *finder) at(off, n int64) []byte {
	off = max(off, 0)
	if i := off - f.base; i >= 0 && i <= int64(len(f.b)) && (i+n <= int64(len(f.b)) || f.base+int64(len(f.b)) >= f.size) {
		return f.b[i:min(i+n, int64(len(f.b)))]
	}
	if i := off - f.viewed; i >= 0 && i+n <= int64(len(f.view)) {
		return f.view[i : i+n]
	}
	f.view = slices.Grow(f.view[:0], int(max(n, viewSize)))
	m, _ := f.src.ReadAt(f.view[:min(max(n, viewSize), max(f.size-off, 0))], off)
	f.view, f.viewed = f.view[:max(m, 0)], off
	return f.view[:min(n, int64(len(f.view)))]
}

// find returns where a mark stands from off on.
func (f *finder) find(off int64, mark string) (int64, bool) {
	for off < f.size {
		if i := off - f.base; i < 0 || i+int64(len(mark)) > int64(len(f.b)) {
			if !f.load(off) {
				break
			}
		}
		b := f.b[off-f.base:]
		i := bytes.Index(b, []byte(mark))
		if !f.out.Work(int64(max(i, 0))/8 + 1) {
			break
		}
		if i >= 0 {
			return off + int64(i), true
		}
		end := f.base + int64(len(f.b))
		if !f.out.Work(int64(len(b))/8) || end >= f.size {
			break
		}
		off = max(end-int64(len(mark))+1, off+1)
	}
	return 0, false
}

// end returns where bytes of the class that stand at off end.
func (f *finder) end(off int64, c *class) int64 {
	for {
		b := f.at(off, 1<<10)
		if i := off - f.base; i >= 0 && i < int64(len(f.b)) {
			b = f.b[i:]
		}
		for i, x := range b {
			if !c[x] {
				return off + int64(i)
			}
		}
		if off += int64(len(b)); len(b) == 0 || off >= f.size {
			return off
		}
	}
}

// run returns the first run of at least n bytes of the class that begins in b at from or behind it,
// -1 if there is none. It looks at every n-th byte where it can.
func run(b []byte, from, n int, c *class) int {
	known := from // bytes in [from, known) are of the class
	for from+n <= len(b) {
		i := from + n - 1
		for i >= known && c[b[i]] {
			i--
		}
		if i < known {
			return from
		}
		from, known = i+1, from+n
	}
	return -1
}

// walk goes over the layer, block by block.
func (f *finder) walk() {
	type kind struct {
		c      *class
		n      int
		take   func(int64) int64
		inside skipper
		next   int64
	}
	kinds := []*kind{
		{c: &inBase64, n: minRun, take: f.base64At, inside: skipper{f.inside}},
		{c: &inCodes, n: minCodes, take: f.codesAt, inside: skipper{f.inside}},
	}
	for off := int64(0); off < f.size && f.load(off); {
		for _, k := range kinds {
			for !f.done {
				base, n := f.base, len(f.b)
				if k.next < base {
					k.next = base
				}
				i := -1
				if k.next-base < int64(n) {
					i = run(f.b, int(k.next-base), k.n, k.c)
				}
				if i < 0 {
					break
				}
				at := base + int64(i)
				if k.next = k.inside.past(at); k.next == at {
					k.next = max(k.take(at), at+1)
				}
			}
		}
		if f.done {
			return
		}
		next := f.base + int64(len(f.b))
		if next >= f.size {
			break
		}
		off = max(off+1, next-minCodes)
	}
	f.rest()
}

// stretch is one, with how it is read.
type stretch struct {
	op       string
	from, to int64
	coding   coding
}

// open reads what a stretch says.
func (f *finder) open(s stretch) io.Reader {
	return newDigits(bound.Reader(f.src, s.from, s.to-s.from), s.to-s.from, s.coding)
}

// head returns the first bytes of what a stretch says.
func (f *finder) head(s stretch, n int) []byte {
	b := make([]byte, n)
	// A byte is written with ten characters at most, but for joints.
	s.to = min(s.to, s.from+int64(n)*16)
	if i := s.from - f.base; i >= 0 && s.to-f.base <= int64(len(f.b)) {
		n, _ = io.ReadFull(newDigits(bytes.NewReader(f.b[i:s.to-f.base]), min(s.to-s.from, 512), s.coding), b)
		return b[:n]
	}
	n, _ = io.ReadFull(newDigits(bound.Reader(f.src, s.from, s.to-s.from), 512, s.coding), b)
	return b[:n]
}

// peek returns the first minDecoded bytes of base64 or hexadecimal digits in [off, end), as head does; fewer
// where sense has nothing to say of these.
func (f *finder) peek(off, end int64, c coding) []byte {
	n, bits, acc, inside := 0, 0, uint32(0), true
	b := f.at(off, min(end-off, 4*minRunAlone))
	for i := 0; i < len(b) && n < minDecoded; i++ {
		x := b[i]
		if c.quoted {
			switch {
			case x == '"' || x == '\'':
				inside = !inside
				continue
			case !inside:
				continue
			case x == '\\':
				if i+1 < len(b) && b[i+1] != '/' {
					i++
				}
				continue
			}
		}
		v, width := unhex(x), 4
		if c.kind == base64Digits {
			v, width = unbase64(x), 6
		}
		if v < 0 {
			continue
		}
		acc = acc<<width | uint32(v)
		if bits += width; bits >= 8 {
			bits -= 8
			f.peeked[n] = byte(acc >> bits)
			if n++; n == 16 && hopeless(f.peeked[:n]) {
				break
			}
		}
	}
	return f.peeked[:n]
}

// give gives what a stretch says as a child, or keeps it for the end where there are many.
func (f *finder) give(s stretch, n *int) {
	if *n++; *n > maxEach {
		if f.kept == nil {
			f.kept = map[string][]stretch{}
		}
		if len(f.kept[s.op]) >= maxSpans {
			f.out.Gap(showcause.LimitObject, s.from, s.to-s.from)
			f.done = true
			return
		}
		f.kept[s.op] = append(f.kept[s.op], s)
		return
	}
	if !f.out.Work((s.to-s.from)/8+1) || !f.out.Child(unpack.Child{Op: s.op, Reader: f.open(s), Size: -1}) {
		f.done = true
	}
}

// rest gives what was kept, all of one kind as one child.
func (f *finder) rest() {
	for _, op := range []string{"encoded.base64", "encoded.command", "encoded.hex", "encoded.codes"} {
		all := f.kept[op]
		if len(all) == 0 || f.done {
			continue
		}
		l := &lines{}
		for i, s := range all {
			l.spans = append(l.spans, unpack.Span{From: int64(i), To: s.to})
			if !f.out.Work((s.to-s.from)/8 + 1) {
				return
			}
		}
		l.open = func(s unpack.Span) io.Reader { return f.open(all[s.From]) }
		f.done = !f.out.Child(unpack.Child{Op: op, Reader: l, Size: -1})
	}
}

// sure are the types that first bytes tell with so many bits that nothing else has them by chance;
// firsts are the bytes that these begin with.
var (
	sure = map[string]bool{
		"pe": true, "elf": true, "macho": true, "macho-universal": true, "java-class": true, "dex": true, "wasm": true, "lnk": true, "swf": true, "swf-compressed": true,
		"pdf": true, "ole2": true, "rtf": true, "onenote": true, "tnef": true, "xml-word": true, "xml-xl": true, "script-encoder": true,
		"zip": true, "ooxml-word": true, "ooxml-xl": true, "ooxml-ppt": true, "crx": true, "7z": true, "rar": true, "cab": true, "chm": true, "xar": true, "rpm": true, "ar": true, "cpio-newc": true,
		"gzip": true, "bzip2": true, "xz": true, "zstd": true, "lz4": true, "lzip": true, "squashfs": true,
		"png": true, "gif": true, "jpeg": true, "html": true, "utf16-html": true, "mail": true, "mhtml": true, "uuencode": true,
	}
	firsts = classOf("MM\x7f\x7f\xca\xca\xce\xcf\xfe\xffdd\x00\x00LLFFCCZZ%%\xd0\xd0{{\xe4\xe4xx##PP77RRII\xed\xed!!00\x1f\x1fBB\xfd\xfd((\x04\x04hh\x89\x89GG")
)

// sense tells whether the first bytes of what a stretch says are something.
func sense(b []byte) bool {
	if len(b) < minDecoded {
		return false
	}
	text := printable(b)
	if !text && !inUnits(b) && !firsts[b[0]] {
		return false
	}
	t := filetype.Detect(b, showcause.Bytes(b))
	switch t {
	case filetype.Text, filetype.UTF8, filetype.Script:
		return text
	case filetype.UTF16LE, filetype.UTF16BE:
		return inUnits(b)
	case filetype.Gzip:
		return b[1] == 0x8b && b[2] == 8
	case filetype.DOS:
		// What is behind the header of a program for DOS, a PE file nearly always, stands further on than
		// these bytes. Where it stands is said in 60 to 63.
		return b[63] == 0 && (b[62] == 0 || b[60]&3 == 0) && !bytes.Equal(b[60:64], make([]byte, 4))
	}
	return sure[t.String()]
}

// hopeless tells whether what begins with b makes no sense, whatever follows.
func hopeless(b []byte) bool {
	other, even, odd := 0, 0, 0 // bytes that are no text, and those that are not zero
	for i, c := range b {
		if (c < 0x20 || c >= 0x7f) && (c < 9 || c > 13) {
			other++
		}
		if c != 0 && i%2 == 0 {
			even++
		} else if c != 0 {
			odd++
		}
	}
	return !firsts[b[0]] && other > minDecoded/16 && min(even, odd) > minDecoded/2-minDecoded*7/16
}

// inUnits tells whether nearly all of b is ASCII in UTF-16, of either order.
func inUnits(b []byte) bool {
	even, odd := 0, 0
	for i, c := range b {
		if c == 0 && i%2 == 0 {
			even++
		} else if c == 0 {
			odd++
		}
	}
	return max(even, odd)*16 >= len(b)*7
}

// printable tells whether fifteen of sixteen bytes are printable ASCII or white space, and more than
// a few differ.
func printable(b []byte) bool {
	var seen class
	n, kinds := 0, 0
	for _, c := range b {
		if c >= 0x20 && c < 0x7f || c >= 9 && c <= 13 {
			n++
		}
		if !seen[c] {
			seen[c] = true
			kinds++
		}
	}
	return 16*n >= 15*len(b) && kinds >= 8
}

// inflates tells whether a stretch is a bare stream of deflate that ends.
func (f *finder) inflates(s stretch) bool {
	if r, ok := f.inflate.(flate.Resetter); !ok {
		f.inflate = flate.NewReader(f.open(s))
	} else if r.Reset(f.open(s), nil) != nil {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(f.inflate, 1<<20))
	return n >= 16 && f.out.Work(n/8+1) && (err == nil || n == 1<<20)
}

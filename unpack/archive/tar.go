// Package archive reads archives whose members stand in them as they are.
package archive

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	tarBlock = 512

	tarAmbiguousChecksum = showcause.Ambiguous + ".tar.checksum"
	tarAmbiguousSize     = showcause.Ambiguous + ".tar.size"
	tarAmbiguousJoined   = showcause.Ambiguous + ".tar.concatenated"
	tarVolume            = showcause.Unsupported + ".format.tar-volume"

	tarMaxPax = 1 << 20 // bytes of one extended header that are read
)

// Tar reads tar archives of all dialects: Version 7, ustar and pax (POSIX.1
// pax, "ustar Interchange Format"), GNU (tar manual, "Basic Tar Format") and
// star. Its own reader, and not archive/tar, because damaged and contradictory
// headers are read too.
//
//	header, content padded to 512, header, ..., two blocks of zeros
//
// A member's content is a section of the layer, "tar.file", or put together
// from a sparse map, "tar.sparse". Members without content are no children.
func Tar() unpack.Format {
	return unpack.Format{Name: "tar", Match: tarMatch, Walk: tarWalk}
}

// tarMatch asks for the word ustar, or for a checksum that fits. GNU tar skips
// what is in front of the first header, block by block, and zeros too if asked
// to (--ignore-zeros), so that every block of the head is looked at.
func tarMatch(p *unpack.Probe) bool {
	h := p.Head
	if len(h) >= 263 && string(h[257:262]) == "ustar" && (h[262] == 0 || h[262] == ' ') {
		return true
	}
	for i := 0; i+tarBlock <= len(h); i += tarBlock {
		if b := h[i : i+tarBlock]; tarSound(b) || i == 0 && tarChecked(b) {
			return true
		}
	}
	return false
}

// tarSound tells whether a block whose place says nothing is a header: the
// checksum fits, and there is a size. The other fields may hold anything, and
// readers still unpack; the name may be empty.
func tarSound(h []byte) bool {
	_, ok := tarNumber(h[124:136])
	return ok && tarChecked(h)
}

// tarChecked tells whether a header's checksum fits. Old writers summed signed
// bytes.
func tarChecked(h []byte) bool {
	wants := tarSums(h[148:156])
	if len(wants) == 0 || wants[0] == 0 {
		return false
	}
	var unsigned, signed int64
	for i, c := range h {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return slices.Contains(wants, unsigned) || slices.Contains(wants, signed)
}

// tarNumber reads an octal field, or one in base 256 (GNU, star).
func tarNumber(f []byte) (int64, bool) {
	if len(f) > 0 && f[0]&0x80 != 0 {
		if f[0]&0x40 != 0 {
			return 0, false // negative
		}
		v := int64(f[0] & 0x3f)
		for _, c := range f[1:] {
			if v > math.MaxInt64>>8 {
				return 0, false
			}
			v = v<<8 | int64(c)
		}
		return v, true
	}
	for len(f) > 0 && tarSpace(f[0]) {
		f = f[1:]
	}
	v := int64(0)
	for _, c := range f { // each block of any layer comes here: nothing is allocated
		if tarSpace(c) {
			break
		}
		if c < '0' || c > '7' || v > math.MaxInt64>>3 {
			return 0, false
		}
		v = v<<3 | int64(c-'0')
	}
	return v, true
}

// tarSpace tells what tarText cuts off.
func tarSpace(c byte) bool { return c == 0 || c == ' ' || c >= '\t' && c <= '\r' }

// tarText is what stands in a number's field: readers skip all white space in
// front of it, and GNU tar a zero byte.
func tarText(f []byte) string {
	const space = " \t\n\v\f\r\x00"
	s := strings.Trim(string(f), space)
	if i := strings.IndexAny(s, space); i >= 0 {
		s = s[:i]
	}
	return s
}

// tarSums reads a checksum in each form that some reader takes: tarNumber's;
// "+" and base 64 (GNU tar); a sign, "0o" and "_" (Python).
func tarSums(f []byte) []int64 {
	if v, ok := tarNumber(f); ok {
		return []int64{v}
	}
	s, plus := strings.CutPrefix(tarText(f), "+")
	octal := strings.TrimPrefix(strings.TrimPrefix(s, "0o"), "0O")
	var sums []int64
	if v, err := strconv.ParseUint(strings.ReplaceAll(octal, "_", ""), 8, 63); err == nil {
		sums = append(sums, int64(v))
	}
	if !plus {
		return sums
	}
	v := int64(0)
	for i := range len(s) {
		v = v<<6 | int64(strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", s[i]))
	}
	return append(sums, v) // negative if there is another byte
}

// tarHeader is what one header block says.
type tarHeader struct {
	checked bool
	name    string
	kind    byte
	size    int64
	raw     []byte
}

// parseTar reads a header block. It tells whether the block can be one.
func parseTar(h []byte) (tarHeader, bool) {
	t := tarHeader{checked: tarChecked(h), kind: h[156], raw: h}
	magic := string(h[257:263])
	if !t.checked && !strings.HasPrefix(magic, "ustar") {
		return t, false
	}
	var ok bool
	if t.size, ok = tarNumber(h[124:136]); !ok {
		if !t.checked {
			return t, false
		}
		t.size = -1
	}
	t.name = cstring(h[:100])
	if magic == "ustar\x00" {
		prefix := h[345:500]
		if string(h[508:512]) == "tar\x00" {
			prefix = h[345:476] // star keeps times behind it
		}
		if p := cstring(prefix); p != "" {
			t.name = p + "/" + t.name
		}
	}
	return t, true
}

// tarPax is what extended headers say of the next member.
type tarPax struct {
	name   string
	size   int64 // -1 if not said
	sparse map[string]string
	pairs  []int64 // of a sparse map of version 0
	odd    bool    // malformed
}

func (x *tarPax) clear() { *x = tarPax{size: -1} }

// tarWalker reads the headers from one place on.
type tarWalker struct {
	src    showcause.Source
	out    *unpack.Out
	seen   tarSeen
	next   tarPax // for the next member
	global tarPax
	owed   bool    // an extended header came, and its member did not yet
	forks  []int64 // where another reading of a size goes on
	files  int     // so far
}

func tarWalk(src showcause.Source, out *unpack.Out) {
	t := &tarWalker{src: src, out: out, seen: tarSeen{}}
	if !t.walk(0) {
		return
	}
	if t.owed {
		out.Gap(showcause.Corrupt, src.Size(), -1)
	}
	for i := 0; i < len(t.forks); i++ {
		t.next.clear()
		t.global.clear()
		if !t.fork(t.forks[i]) {
			return
		}
	}
}

// tarSeen is the set of places where a header was read, a bit for each block.
type tarSeen map[int64]*[64]uint64

// add adds a place and tells whether it is new.
func (s tarSeen) add(off int64) bool {
	i := off / tarBlock
	page := s[i>>12]
	if page == nil {
		page = new([64]uint64)
		s[i>>12] = page
	}
	word, bit := &page[i>>6&63], uint64(1)<<(i&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// header reads the block at off. ok is false where it is no header.
func (t *tarWalker) header(off int64) (h tarHeader, block []byte, ok bool) {
	block, _ = bound.ReadAt(t.src, off, tarBlock, tarBlock)
	if len(block) < tarBlock {
		return h, block, false
	}
	h, ok = parseTar(block)
	return h, block, ok
}

// walk reads the members from off to the end of the layer, over the ends of
// archives. It tells whether to go on.
func (t *tarWalker) walk(off int64) bool {
	t.next.clear()
	t.global.clear()
	for off < t.src.Size() {
		if !t.out.Work(1024) {
			return false
		}
		h, block, ok := t.header(off)
		if ok {
			t.out.Cover(off, tarBlock)
			next, more := t.member(h, off)
			if !more {
				return false
			}
			off = next
			continue
		}
		from := off
		if len(bytes.TrimLeft(block, "\x00")) == 0 {
			// The end, or padding. GNU tar stops here, and says nothing of
			// what follows; with --ignore-zeros it goes on.
			nonzero, more := bound.SkipZeros(t.src, off)
			if !more {
				return true
			}
			t.next.clear()
			t.global.clear()
			if off = nonzero / tarBlock * tarBlock; off > from {
				if _, _, ok := t.header(off); ok {
					t.out.Gap(tarAmbiguousJoined, off, -1)
					continue
				}
			}
			from = nonzero
		}
		found, more := t.resync(off + tarBlock)
		end := t.src.Size()
		if found {
			end = more
		}
		t.out.Gap(showcause.Corrupt, from, end-from)
		if !found {
			return true
		}
		off = end
	}
	return true
}

// resync looks for the next block from off on that is a header with a checksum
// that fits. The work is 256 steps a block.
func (t *tarWalker) resync(off int64) (bool, int64) {
	buf := make([]byte, 64*tarBlock)
	for off < t.src.Size() && t.out.Work(16<<10) {
		n, _ := t.src.ReadAt(buf[:min(int64(len(buf)), t.src.Size()-off)], off)
		for i := 0; i+tarBlock <= n; i += tarBlock {
			if tarSound(buf[i : i+tarBlock]) {
				return true, off + int64(i)
			}
		}
		if n < len(buf) {
			break
		}
		off += int64(n)
	}
	return false, 0
}

// fork reads the members from off on as far as no other reading has seen them.
func (t *tarWalker) fork(off int64) bool {
	for t.out.Work(1024) {
		h, _, ok := t.header(off)
		if !ok || !h.checked || !t.seen.add(off) {
			return true
		}
		t.out.Cover(off, tarBlock)
		next, more := t.entry(h, off)
		if !more {
			return false
		}
		off = next
	}
	return false
}

func (t *tarWalker) member(h tarHeader, off int64) (int64, bool) {
	t.seen.add(off)
	if !h.checked {
		t.out.Gap(tarAmbiguousChecksum, off, tarBlock)
	}
	return t.entry(h, off)
}

// padded is n rounded up to whole blocks.
func padded(n int64) int64 { return bound.Add(n, tarBlock-1) / tarBlock * tarBlock }

// entry reads what stands behind the header at off, and returns where the next
// header is.
func (t *tarWalker) entry(h tarHeader, off int64) (int64, bool) {
	data := off + tarBlock
	if h.size < 0 {
		t.out.Gap(showcause.Corrupt, off, -1)
		t.next.clear()
		return data, true
	}
	switch h.kind {
	case 'x', 'X', 'g', 'L', 'K', 'N':
		t.owed = h.kind != 'g'
		return t.extended(h, data)
	}
	t.owed = false
	size := h.size
	x := t.next
	t.next.clear()
	if x.name != "" {
		h.name = x.name
	}
	if x.odd {
		t.out.Gap(showcause.Corrupt, off, tarBlock)
	}
	said := x.size
	if said < 0 {
		said = t.global.size
	}
	if said >= 0 && said != size {
		// Readers that do not know pax take the other size. Writers leave 0
		// there, or what is left of a size that has no room.
		if size > 0 && size < 1<<33-1 {
			t.out.Gap(tarAmbiguousSize, off, -1)
			if !t.other(h, data, size) {
				return 0, false
			}
		}
		size = said
	}
	return t.content(h, x, data, size)
}

// other gives the reading of a member with the size that the pax header
// overrules.
func (t *tarWalker) other(h tarHeader, data, size int64) bool {
	t.forks = append(t.forks, bound.Add(data, padded(size)))
	size = max(min(size, t.src.Size()-data), 0)
	return size == 0 || t.out.Section(t.src, "tar.file", h.name, data, size)
}

// content gives a member's content as its kind wants.
func (t *tarWalker) content(h tarHeader, x tarPax, data, size int64) (int64, bool) {
	next := bound.Add(data, padded(size))
	if h.kind < '1' || h.kind > '6' && h.kind != 'V' {
		t.files++
		t.out.Member(unpack.Member{Name: h.name, Packed: size, Size: size, Number: t.files, At: data - tarBlock, Length: tarBlock})
	}
	switch {
	case h.kind >= '1' && h.kind <= '6':
		return t.link(h, data, size)
	case h.kind == 'V':
		return data, true
	case h.kind == 'M':
		t.out.Gap(tarVolume, data, size)
	case h.kind == 'S':
		m, real, at, ok := t.gnuMap(h, data)
		next = bound.Add(at, padded(size))
		return next, t.sparse(h.name, m, at, size, real, ok)
	case len(x.sparse) > 0 || len(x.pairs) > 0:
		name, m, real, at, ok := t.paxMap(h.name, x, data, size)
		return next, t.sparse(name, m, at, size-(at-data), real, ok)
	}
	return next, t.out.Section(t.src, "tar.file", h.name, data, size)
}

// link reads a member of a kind that has no content: links, devices and
// directories. Some writers say a size all the same; whether content follows
// depends on the reader, so that both are read.
func (t *tarWalker) link(h tarHeader, data, size int64) (int64, bool) {
	if size == 0 {
		return data, true
	}
	next := bound.Add(data, padded(size))
	after, block, ok := t.header(data)
	if data >= t.src.Size() || ok && after.checked || len(bytes.TrimLeft(block, "\x00")) == 0 {
		if next <= t.src.Size() {
			t.out.Gap(tarAmbiguousSize, data, size)
			t.forks = append(t.forks, next)
			if !t.out.Section(t.src, "tar.file", h.name, data, size) {
				return 0, false
			}
		}
		return data, true
	}
	return next, t.out.Section(t.src, "tar.file", h.name, data, size)
}

// extended reads a header that describes the next member, or all that follow.
func (t *tarWalker) extended(h tarHeader, data int64) (int64, bool) {
	next := bound.Add(data, padded(h.size))
	b, err := bound.ReadAt(t.src, data, min(h.size, tarMaxPax), tarMaxPax)
	if err != nil {
		t.out.Gap(showcause.Corrupt, min(data+int64(len(b)), t.src.Size()), -1)
	} else if h.size > tarMaxPax {
		t.out.Gap(showcause.LimitSize, data+tarMaxPax, h.size-tarMaxPax)
	}
	if h.kind == 'N' || strings.ContainsRune("LK", rune(h.kind)) && notName(b) {
		// Others take the type N for a file's.
		if !t.out.Section(t.src, "tar.file", h.name, data, h.size) {
			return next, false
		}
	}
	switch h.kind {
	case 'L', 'N':
		t.next.name = cstring(b)
	case 'x', 'X':
		t.next.parse(b)
	case 'g':
		t.global.parse(b)
		if t.global.odd {
			t.out.Gap(showcause.Corrupt, data, h.size)
		}
	}
	return next, true
}

// notName says whether what stands where a name does is something else: no name has
// control characters, nor bytes behind the zero that ends it.
func notName(b []byte) bool {
	name, rest, _ := bytes.Cut(b, []byte{0})
	return bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' }) || len(bytes.Trim(rest, "\x00")) > 0
}

// parse reads the records "length key=value\n" of an extended header.
func (x *tarPax) parse(b []byte) {
	for len(b) > 0 {
		sp := bytes.IndexByte(b[:min(len(b), 20)], ' ')
		if sp < 0 {
			x.odd = x.odd || len(bytes.Trim(b, "\x00")) > 0
			return
		}
		n, err := strconv.Atoi(string(b[:sp]))
		if err != nil || n <= sp+1 || n > len(b) || b[n-1] != '\n' {
			x.odd = true
			return
		}
		key, value, ok := strings.Cut(string(b[sp+1:n-1]), "=")
		x.odd = x.odd || !ok
		x.record(key, value)
		b = b[n:]
	}
}

func (x *tarPax) record(key, value string) {
	switch key {
	case "path":
		x.name = value[:min(len(value), maxName)]
	case "size":
		if v, err := strconv.ParseUint(value, 10, 63); err == nil {
			x.size = int64(v)
		} else {
			x.odd = true
		}
	case "GNU.sparse.offset", "GNU.sparse.numbytes":
		v, err := strconv.ParseUint(value, 10, 63)
		x.odd = x.odd || err != nil
		x.pairs = append(x.pairs, int64(v))
	default:
		if strings.HasPrefix(key, "GNU.sparse.") {
			if x.sparse == nil {
				x.sparse = map[string]string{}
			}
			x.sparse[key[len("GNU.sparse."):]] = value
		}
	}
}

// tarPiece is a stretch of a sparse file that has content.
type tarPiece struct{ off, n int64 }

// sparse gives a sparse file, its holes as zeros. stored is the size of its
// content as it stands at data. Where the map is not valid that is given.
func (t *tarWalker) sparse(name string, m []tarPiece, data, stored, real int64, ok bool) bool {
	var sum, end int64
	for _, p := range m {
		ok = ok && p.off >= end && p.n >= 0
		end = bound.Add(p.off, p.n)
		sum = bound.Add(sum, p.n)
	}
	if !ok || sum != stored || real < end {
		t.out.Gap(showcause.Corrupt, min(data, t.src.Size()), stored)
		return t.out.Section(t.src, "tar.file", name, data, max(stored, 0))
	}
	if real == 0 {
		return true
	}
	r := &sparseReader{src: t.src, data: data, pieces: m, size: real}
	return t.out.Child(unpack.Child{Op: "tar.sparse", Name: name, Reader: r, Size: real})
}

// sparseReader puts a sparse file together.
type sparseReader struct {
	src    showcause.Source
	data   int64 // where the content of the first piece stands
	pieces []tarPiece
	pos    int64
	size   int64
}

// Read implements io.Reader.
func (s *sparseReader) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && s.pos >= s.pieces[0].off+s.pieces[0].n {
		s.data += s.pieces[0].n
		s.pieces = s.pieces[1:]
	}
	if s.pos >= s.size {
		return 0, io.EOF
	}
	end := s.size
	if len(s.pieces) > 0 {
		if f := s.pieces[0]; s.pos >= f.off {
			p = p[:min(int64(len(p)), f.n-(s.pos-f.off))]
			n, err := s.src.ReadAt(p, s.data+s.pos-f.off)
			s.pos += int64(n)
			if n == len(p) {
				err = nil
			}
			return n, bound.CutShort(err)
		}
		end = s.pieces[0].off
	}
	p = p[:min(int64(len(p)), end-s.pos)]
	clear(p)
	s.pos += int64(len(p))
	return len(p), nil
}

// maxName is how many bytes of a name are kept.
const maxName = 64 << 10

// cstring is b up to its first NUL.
func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b[:min(len(b), maxName)])
}

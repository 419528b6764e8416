package pdf

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	step      = 256 << 10 // bytes that are searched at a time
	behind    = 64        // bytes in front of a word that are looked at
	ahead     = 16
	maxHeads  = 1 << 20  // objects of a file, and words of each kind; see most
	maxObject = 16 << 20 // bytes of one object without its stream
	maxChain  = 32       // filters of one stream
)

// head is where an object begins: "num gen obj".
type head struct {
	at    int64 // of its number
	body  int64 // behind "obj"
	num   int64 // -1 where it has none
	gen   int64
	given bool // a table of cross-references leads to it
}

// file is one PDF while it is read.
type file struct {
	src  showcause.Source
	mem  []byte // the whole, where it is in memory
	size int64
	out  *unpack.Out
	stop bool

	heads    []head  // in order
	ends     []int64 // "endobj"
	opens    []int64 // "stream"
	closes   []int64 // "endstream"
	tables   []int64 // "xref"
	trailers []int64 // "trailer"
	starts   []int64 // "startxref"
	eof      int64   // behind the last "%%EOF"
	first    int64   // "%PDF-"

	index   []place   // by number
	packs   []*stream // object streams
	streams []*stream
	more    []head         // that cross-references lead to and that are not in heads
	led     map[int64]bool // offsets that were looked at

	dicts []value // trailers
	lock  *lock   // nil: nothing is encrypted

	nested    map[int64]bool    // bodies of objects that stand in others; true: in a PDF that is a child
	roles     map[int64]role    // of streams, by number
	byNumber  map[int64]*stream // the last one of each
	texts     texts
	said      map[showcause.Code]bool
	covered   []unpack.Span      // what belongs to something
	last      int64              // where the last object ends
	cache     map[*stream][]byte // object streams that were decoded
	cached    int                // bytes of them
	room      int64              // bytes that references may still lead to
	input     int64              // bytes of streams that may still be read
	members   int
	buffers   []*bufio.Reader // of runs that are closed
	inflaters []io.ReadCloser
	pending   []value     // of a lexer
	remark    remark      // the last that was found, in the file
	plain     unpack.Span // what was found to be text
	beyond    bool        // a table or a dictionary tells of more than there is
}

// work charges n steps.
func (f *file) work(n int64) bool {
	if f.stop || !f.out.Work(n) {
		f.stop = true
	}
	return !f.stop
}

// say makes a gap or a note of the whole once.
func (f *file) say(code showcause.Code, off, n int64) {
	if !f.said[code] {
		f.said[code] = true
		f.out.Gap(code, min(max(off, 0), f.size), n)
	}
}

// view returns up to n bytes at off. They are not to be written to.
func (f *file) view(off, n int64) []byte {
	if off < 0 || off >= f.size {
		return nil
	}
	n = min(n, f.size-off)
	if f.mem != nil {
		return f.mem[off : off+n : off+n]
	}
	b, _ := bound.ReadAt(f.src, off, n, n)
	return b
}

// grow gives try more and more bytes at off, to end at most, until it is content.
func (f *file) grow(off, end int64, try func(b []byte, all bool) bool) {
	end = min(end, f.size)
	n := int64(4 << 10)
	if f.mem != nil {
		n = end - off
	}
	for ; ; n *= 8 {
		all := n >= end-off
		b := f.view(off, min(n, end-off))
		if int64(len(b)) < min(n, end-off) {
			all = true
		}
		if try(b, all) || all || f.stop {
			return
		}
	}
}

// most is how many objects, and words of each kind, are looked at: one for each 64 bytes, and
// some. A file of nothing but heads of objects is not worth more.
func (f *file) most() int { return int(min(maxHeads, 1<<16+f.size/64)) }

// scan finds the words by which a file is taken apart, anywhere in it.
func (f *file) scan() {
	var buf []byte
	for off := int64(0); off < f.size; off += step {
		from := max(off-behind, 0)
		n := min(off+step+ahead, f.size) - from
		if !f.work(n/4 + 1) {
			return
		}
		b := f.mem
		if b != nil {
			b = b[from : from+n]
		} else {
			if buf == nil {
				buf = make([]byte, step+behind+ahead)
			}
			m, _ := f.src.ReadAt(buf[:n], from)
			b = buf[:m]
			if int64(m) < n {
				f.say(showcause.Unreadable, from+int64(m), -1)
			}
		}
		f.words(b, from, int(off-from), int(min(off+step, f.size)-from))
		if max(len(f.heads), len(f.opens), len(f.closes), len(f.tables), len(f.ends), len(f.trailers), len(f.starts)) > f.most() {
			f.say(showcause.LimitObject, off, -1)
			return
		}
	}
}

// words notes the words that begin in b[lo:hi]; b stands at base.
func (f *file) words(b []byte, base int64, lo, hi int) {
	each := func(word string, note func(i int)) {
		for i := lo; i < hi; {
			j := bytes.Index(b[i:min(hi+len(word)-1, len(b))], []byte(word))
			if j < 0 {
				return
			}
			note(i + j)
			i += j + len(word)
		}
	}
	after := func(i int, word string) bool { return i >= len(word) && string(b[i-len(word):i]) == word }
	each("obj", func(i int) {
		if after(i, "end") {
			f.ends = append(f.ends, base+int64(i)-3)
			return
		}
		if h, ok := headAt(b, i); ok {
			h.at += base
			h.body += base
			f.heads = append(f.heads, h)
		}
	})
	each("stream", func(i int) {
		if after(i, "end") {
			f.closes = append(f.closes, base+int64(i)-3)
		} else {
			f.opens = append(f.opens, base+int64(i))
		}
	})
	each("xref", func(i int) {
		if after(i, "start") {
			f.starts = append(f.starts, base+int64(i)+4)
		} else {
			f.tables = append(f.tables, base+int64(i)+4)
		}
	})
	each("trailer", func(i int) { f.trailers = append(f.trailers, base+int64(i)+7) })
	each("%EOF", func(i int) { f.eof = base + int64(i) + 4 })
	if f.first < 0 {
		each("%PDF-", func(i int) {
			if f.first < 0 {
				f.first = base + int64(i)
			}
		})
	}
}

// headAt reads backwards from the word "obj" at i.
func headAt(b []byte, i int) (head, bool) {
	if i+3 < len(b) && class(b[i+3]) == 0 && !digit(b[i+3]) && b[i+3] != '-' && b[i+3] != '+' {
		return head{}, false // the start of another word
	}
	h := head{body: int64(i) + 3}
	back := func(p int, is func(byte) bool) int {
		for p > 0 && is(b[p-1]) {
			p--
		}
		return p
	}
	white := func(c byte) bool { return class(c) == 1 }
	g2 := back(i, white)
	g1 := back(g2, digit)
	n2 := back(g1, white)
	n1 := back(n2, digit)
	if g1 < g2 && n2 < g1 && n1 < n2 && n2-n1 <= 19 && g2-g1 <= 19 {
		h.num, _ = number(b[n1:n2])
		h.gen, _ = number(b[g1:g2])
		h.at = int64(n1)
		return h, true
	}
	// Without a number, or one behind a comment: readers that go by offsets take it.
	h.num, h.at = -1, int64(i)
	return h, i == 0 || class(b[i-1]) == 1 || digit(b[i-1])
}

// objectAt reads "num gen obj" at an offset as a reader does that was led there.
func (f *file) objectAt(at int64) (h head, ok bool) {
	f.grow(at, at+64<<10, func(b []byte, all bool) bool {
		l := lexer{b: b}
		whole := func() value {
			if l.space(); l.at < len(b) && digit(b[l.at]) {
				n, ok := number(l.run())
				if ok {
					return value{kind: kindNumber, n: n}
				}
			}
			return value{}
		}
		num, gen := whole(), whole()
		l.space()
		from := l.at
		w := l.run()
		if l.at >= len(b) && !all {
			return false
		}
		f.work(int64(l.at)/2 + 1)
		ok = num.kind == kindNumber && gen.kind == kindNumber && num.n >= 0 && bytes.HasPrefix(w, []byte("obj"))
		h = head{at: at, body: at + int64(from) + 3, num: num.n, gen: gen.n, given: true}
		return true
	})
	return h, ok
}

// nextAfter returns the first of sorted offsets that is at or behind off, or size.
func nextAfter(sorted []int64, off, size int64) int64 {
	if i, _ := slices.BinarySearch(sorted, off); i < len(sorted) {
		return sorted[i]
	}
	return size
}

// nextHead returns where the first object behind off begins, or the size.
func (f *file) nextHead(off int64) int64 {
	i, _ := slices.BinarySearchFunc(f.heads, off, func(h head, v int64) int { return cmp.Compare(h.at, v) })
	if i < len(f.heads) {
		return f.heads[i].at
	}
	return f.size
}

// parse reads the value of an object. end is where what follows it stands.
func (f *file) parse(h head, limit int64) (v value, end int64, over bool) {
	limit = min(limit, h.body+maxObject)
	f.grow(h.body, limit, func(b []byte, all bool) bool {
		base := int(h.body)
		l := lexer{b: b, open: f.pending, remark: remark{f.remark.from - base, f.remark.to - base, f.remark.ends}}
		v = l.next(0)
		f.pending, f.remark = l.open[:0], remark{l.remark.from + base, l.remark.to + base, l.remark.ends}
		if l.short && !all {
			f.work(int64(l.at + l.cost))
			return false
		}
		if l.over {
			f.say(showcause.LimitObject, h.at, -1)
		}
		f.work(6*int64(l.at+l.cost) + 16)
		end, over = h.body+int64(l.at), l.short
		return true
	})
	return v, end, over
}

// object reads an object. One that does not end, or that stands in another, is read
// to where the next one begins.
func (f *file) object(h head) (value, int64) {
	next := f.nextHead(h.body)
	if _, inside := f.nested[h.body]; !inside {
		v, end, over := f.parse(h, f.size)
		if !over {
			return v, end
		}
		if !f.work(7 * (end - h.body)) {
			return value{}, end
		}
	}
	v, end, over := f.parse(h, next)
	if over && end-h.body >= maxObject {
		f.say(showcause.LimitObject, h.at, -1)
	}
	return v, end
}

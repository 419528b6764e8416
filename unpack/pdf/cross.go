package pdf

import (
	"cmp"
	"io"
	"slices"

	"github.com/showcause/showcause"
)

const (
	maxLed      = 1 << 18 // offsets that are looked at where the scan saw no object
	maxTrailers = 1 << 10
	maxTable    = 16 << 20 // bytes of a table or a decoded stream of cross-references
)

// lead looks at an offset of a cross-reference. Offsets count from the file's start or
// from its header (Adobe's readers).
func (f *file) lead(off int64) {
	if off <= 0 {
		return
	}
	if off >= f.size {
		f.beyond = true
		return
	}
	f.leadTo(off)
	if f.first > 0 && off < f.size-f.first {
		f.leadTo(off + f.first)
	}
}

func (f *file) leadTo(off int64) {
	i, known := slices.BinarySearchFunc(f.heads, off, func(h head, v int64) int { return cmp.Compare(h.at, v) })
	if known {
		if f.heads[i].num >= 0 {
			f.heads[i].given = true
			return
		}
	}
	if f.led[off] {
		return
	}
	if len(f.led) >= maxLed {
		f.say(showcause.LimitObject, off, -1)
		return
	}
	if f.led == nil {
		f.led = map[int64]bool{}
	}
	f.led[off] = true
	h, ok := f.objectAt(off)
	// Where it only points at space in front of an object, that is known.
	for j := max(i-1, 0); ok && j < min(i+2, len(f.heads)); j++ {
		if f.heads[j].body == h.body && f.heads[j].num >= 0 {
			f.heads[j].given, ok = true, false
		}
	}
	if ok && len(f.heads)+len(f.more) <= f.most() {
		f.more = append(f.more, h)
	}
}

// follow reads the tables of cross-references, of all revisions, wherever they stand,
// and looks where they lead.
func (f *file) follow() {
	for _, at := range f.starts {
		b := f.view(at+5, 64)
		l := lexer{b: b}
		if l.space(); l.at < len(b) {
			if n, ok := number(l.run()); ok {
				f.lead(n)
			}
		}
	}
	for _, at := range f.tables {
		if f.stop {
			return
		}
		f.cover(at-4, f.table(at))
	}
	f.last = 0
	f.heads = append(f.heads, f.more...)
	f.more = nil
	slices.SortStableFunc(f.heads, func(a, b head) int { return cmp.Compare(a.at, b.at) })
}

// table reads a table behind its word "xref" (ISO 32000-1, 7.5.4) and returns its end.
func (f *file) table(at int64) int64 {
	end := at
	f.grow(at, at+maxTable, func(b []byte, all bool) bool {
		l := lexer{b: b}
		a, have := int64(0), 0
		for {
			l.space()
			from := l.at
			w := l.run()
			if l.at >= len(b) && !all {
				f.work(int64(l.at))
				return false
			}
			n, ok := number(w)
			switch {
			case ok && have < 2:
				if have == 0 {
					a = n
				}
				have++
				end = at + int64(l.at)
				continue
			case ok: // the first two were the head of a section
				a, have = n, 1
				continue
			case have >= 2 && string(w) == "n":
				f.lead(a)
			case have >= 2 && string(w) == "f":
			default:
				l.at = from
				f.work(6*int64(l.at) + 16)
				return true
			}
			have = 0
			end = at + int64(l.at)
		}
	})
	return end
}

// trailer notes a trailer and looks where it leads.
func (f *file) trailer(v value) {
	if len(f.dicts) >= maxTrailers {
		f.say(showcause.LimitObject, 0, -1)
		return
	}
	f.dicts = append(f.dicts, v)
	for _, e := range v.all("Prev", "XRefStm") {
		if e.kind == kindNumber {
			f.lead(e.n)
		}
	}
}

// crossStream reads a stream of cross-references (7.5.8). What it says of object streams
// is not needed: they tell themselves what is in them.
func (f *file) crossStream(s *stream, v value) {
	var w [3]int
	list := v.get("W").list
	for i := range w {
		if i < len(list) && list[i].kind == kindNumber && list[i].n >= 0 && list[i].n <= 16 {
			w[i] = int(list[i].n)
		}
	}
	n := w[0] + w[1] + w[2]
	if n == 0 || w[1] == 0 {
		return
	}
	ends, _ := f.bounds(s, v)
	for _, c := range f.chains(v) {
		r := f.run(s, ends[0], c, nil)
		data, _ := io.ReadAll(io.LimitReader(r, maxTable))
		for ; len(data) >= n && f.work(4); data = data[n:] {
			kind := int64(1)
			if w[0] > 0 {
				kind = field(data[:w[0]])
			}
			if kind == 1 {
				f.lead(field(data[w[0] : w[0]+w[1]]))
			}
		}
	}
}

// field is a number, the highest byte first.
func field(b []byte) (n int64) {
	for _, c := range b {
		if n >= 1<<54 {
			return 1 << 62
		}
		n = n<<8 | int64(c)
	}
	return n
}

package pdf

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// stream is one stream of the file.
type stream struct {
	head
	data int64   // where its bytes begin
	end  int64   // where they end by its length, if "endstream" stands there; 0 else
	fits []int64 // each such end, where its length is said in more than one way
	bare bool    // it has no dictionary that could be read

	first   int64    // of an object stream
	members []member // of an object stream
}

// member is an object in an object stream.
type member struct{ num, at int64 }

// place is where an object with a number is.
type place struct {
	num  int64
	pack int // index of the object stream, -1 for the file
	at   int // index among heads, or members
}

// maxRounds is how often cross-references may lead to ones that nothing else shows.
const maxRounds = 64

// outline reads all objects and finds the streams and the trailers.
func (f *file) outline() {
	f.number()
	todo := f.heads
	for round := 0; len(todo) > 0 && !f.stop; round++ {
		f.outlines(todo)
		todo = f.more
		f.more = nil
		if round == maxRounds && len(todo) > 0 {
			f.say(showcause.LimitObject, 0, -1)
			return
		}
		f.heads = append(f.heads, todo...)
		slices.SortStableFunc(f.heads, func(a, b head) int { return cmp.Compare(a.at, b.at) })
		f.number()
	}
	for _, at := range f.trailers {
		limit := min(f.nextHead(at), nextAfter(f.trailers, at+1, f.size), at+maxTrailer)
		v, end, _ := f.parse(head{at: at, body: at, num: -1}, limit)
		if v.kind == kindDict {
			f.trailer(v)
			f.cover(at-7, end)
		}
	}
	slices.SortStableFunc(f.streams, func(a, b *stream) int { return cmp.Compare(a.data, b.data) })
	f.streams = slices.CompactFunc(f.streams, func(a, b *stream) bool { return a.data == b.data && a.body == b.body })
}

// outlines is outline for some objects, in order.
func (f *file) outlines(todo []head) {
	inside := int64(0) // what was read goes to here
	var in *stream     // whose data go to its end
	skip := false
	for _, h := range todo {
		if f.stop {
			return
		}
		if h.at < inside {
			f.nested[h.body] = in != nil && h.at < in.end && h.at >= in.data && !h.given && (skip || h.num < 0)
			if f.nested[h.body] {
				continue
			}
		}
		v, end := f.object(h)
		s := f.streamAt(h, v, end)
		switch {
		case s != nil:
			f.streams = append(f.streams, s)
			f.state(s, v)
			if v.is("Type", "XRef") {
				f.trailer(v)
				f.crossStream(s, v)
			}
			if s.first >= 0 {
				f.packs = append(f.packs, s)
			}
			if end = s.end; end > 0 && end > inside {
				in, skip = s, len(v.all("Filter")) == 0 && bytes.Contains(f.view(s.data, min(1024, s.end-s.data)), []byte("%PDF-"))
			}
			if end == 0 {
				end = s.data
				f.cover(h.at, min(nextAfter(f.closes, s.data, f.size), nextAfter(f.ends, s.data, f.size)))
			}
		case v.kind == kindWord || v.kind == kindNone:
			end = h.body
		case v.kind == kindDict && len(v.all("Linearized")) > 0:
			f.beyond = f.beyond || v.get("L").n > f.size
		}
		f.cover(h.at, end)
		inside = max(inside, end)
	}
}

// streamAt returns the stream of a dictionary behind which end is, nil if there is none.
func (f *file) streamAt(h head, v value, end int64) (s *stream) {
	if v.kind != kindDict {
		return nil
	}
	f.grow(end, end+64<<10, func(b []byte, all bool) bool {
		l := lexer{b: b}
		l.space()
		if l.at+8 > len(b) && !all {
			return false
		}
		f.work(int64(l.at)/2 + 1)
		if bytes.HasPrefix(b[l.at:], []byte("stream")) {
			data, _ := f.dataAt(end + int64(l.at) + 6)
			s = &stream{head: h, data: data, first: -1}
		}
		return true
	})
	return s
}

// dataAt returns where the data of a stream begin whose word ends at at. ok tells
// whether the line ends there.
func (f *file) dataAt(at int64) (data int64, ok bool) {
	b := f.view(at, 16)
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	switch {
	case bytes.HasPrefix(b[i:], []byte("\r\n")):
		return at + int64(i) + 2, true
	case i < len(b) && (b[i] == '\n' || b[i] == '\r'):
		return at + int64(i) + 1, true
	}
	return at, false
}

// state works out whether a stream ends where its dictionary says, and whether it
// holds objects.
func (f *file) state(s *stream, v value) {
	for _, n := range f.numbers(v.all("Length"), maxChoice) {
		if n < 0 || n > f.size-s.data {
			continue
		}
		b := f.view(s.data+n, 32)
		i := 0
		for i < len(b) && class(b[i]) == 1 {
			i++
		}
		if bytes.HasPrefix(b[i:], []byte("endstream")) {
			s.end = max(s.end, s.data+n)
			s.fits = append(s.fits, s.data+n)
		}
	}
	s.first = -1
	first, n := v.get("First"), v.get("N")
	if first.kind == kindNone || n.kind == kindNone {
		return
	}
	if a, b := f.numbers([]value{first}, 1), f.numbers([]value{n}, 1); len(a) > 0 && len(b) > 0 && a[0] >= 0 && b[0] >= 0 {
		s.first = a[0]
	}
}

// orphans are words "stream" behind no dictionary that could be read.
func (f *file) orphans() {
	slices.SortFunc(f.covered, func(a, b unpack.Span) int { return cmp.Compare(a.From, b.From) })
	merged := f.covered[:0]
	for _, s := range f.covered {
		if n := len(merged); n > 0 && s.From <= merged[n-1].To {
			merged[n-1].To = max(merged[n-1].To, s.To)
		} else {
			merged = append(merged, s)
		}
	}
	f.covered = merged
	var found []*stream
	for _, at := range f.opens {
		i, _ := slices.BinarySearchFunc(f.covered, at+1, func(s unpack.Span, v int64) int { return cmp.Compare(s.To, v) })
		if i < len(f.covered) && f.covered[i].From <= at {
			continue
		}
		data, ok := f.dataAt(at + 6)
		if !ok || data >= f.size || !f.work(64) {
			continue
		}
		found = append(found, &stream{head: head{at: at, body: at, num: -1}, data: data, first: -1, bare: true})
	}
	f.streams = append(f.streams, found...)
	slices.SortStableFunc(f.streams, func(a, b *stream) int { return cmp.Compare(a.data, b.data) })
}

// cover notes a stretch that belongs to something.
func (f *file) cover(from, to int64) {
	f.covered = append(f.covered, unpack.Span{From: from, To: to})
	f.last = max(f.last, to)
}

// number makes the index of objects by their numbers.
func (f *file) number() {
	f.index = f.index[:0]
	for i, h := range f.heads {
		if h.num >= 0 {
			f.index = append(f.index, place{h.num, -1, i})
		}
	}
	for p, s := range f.packs {
		for i, m := range s.members {
			f.index = append(f.index, place{m.num, p, i})
		}
	}
	slices.SortStableFunc(f.index, func(a, b place) int { return cmp.Compare(a.num, b.num) })
}

const (
	maxTrailer = 1 << 20 // bytes of one
	maxHops    = 16      // references to references
	maxChoice  = 64      // objects of one number that are looked at, the last ones
)

// resolve returns what a value may be: itself, or the objects that it refers to, of
// all revisions, the last first.
func (f *file) resolve(v value, hops int) (out []value) {
	if v.kind != kindRef {
		return []value{v}
	}
	if hops >= maxHops {
		f.say(showcause.Corrupt, 0, -1) // a ring, as a rule
		return nil
	}
	from, _ := slices.BinarySearchFunc(f.index, v.n, func(p place, n int64) int { return cmp.Compare(p.num, n) })
	to, _ := slices.BinarySearchFunc(f.index, v.n+1, func(p place, n int64) int { return cmp.Compare(p.num, n) })
	if to-from > maxChoice {
		f.say(showcause.LimitObject, 0, -1)
	}
	for i := to - 1; i >= from && i >= to-maxChoice && !f.stop; i-- {
		if f.room < 0 {
			f.say(showcause.LimitWork, 0, -1)
			return out
		}
		var e value
		if p := f.index[i]; p.pack < 0 {
			h, end := f.heads[p.at], int64(0)
			e, end = f.object(h)
			f.room -= end - h.body + 32*int64(len(e.list)) + 64
			f.open(&e, h)
		} else {
			f.room -= 64
			e = f.member(f.packs[p.pack], p.at)
		}
		out = append(out, f.resolve(e, hops+1)...)
	}
	return out
}

// numbers returns the numbers that values may be, each once, at most most.
func (f *file) numbers(vs []value, most int) (out []int64) {
	for _, v := range vs {
		for _, e := range f.resolve(v, 0) {
			if e.kind == kindNumber && !slices.Contains(out, e.n) && len(out) < most {
				out = append(out, e.n)
			}
		}
	}
	return out
}

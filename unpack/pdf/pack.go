package pdf

import (
	"cmp"
	"io"
	"slices"

	"github.com/showcause/showcause"
)

const (
	maxPack    = 16 << 20 // bytes of one object stream
	maxCached  = 32 << 20 // bytes of those that are held
	maxMembers = 1 << 20  // objects in object streams
)

// pack decodes an object stream.
func (f *file) pack(s *stream) []byte {
	if data, ok := f.cache[s]; ok {
		return data
	}
	f.cache[s] = nil // it may refer to itself
	v := f.dict(s)
	ends, _ := f.bounds(s, v)
	var best []byte
	for _, chain := range f.chains(v) {
		c, sealed := f.cipherOf(s, v, chain, role{})
		if sealed {
			if b := f.view(s.data, 2); len(chain) == 0 || !isZlib(b) {
				continue
			}
		}
		for _, end := range ends {
			r := f.run(s, end, chain, c)
			data, _ := io.ReadAll(io.LimitReader(r, maxPack+1))
			if len(data) > maxPack {
				data = data[:maxPack]
				f.say(showcause.LimitSize, s.at, -1)
			}
			if len(data) > len(best) {
				best = data
			}
			if r.clean() || f.stop {
				break
			}
		}
	}
	if f.cached += len(best); f.cached > maxCached {
		clear(f.cache)
		f.cached = len(best)
	}
	f.cache[s] = best
	return best
}

// unpack reads which objects are in the object streams (ISO 32000-1, 7.5.7).
func (f *file) unpack() {
	for _, s := range f.packs {
		data := f.pack(s)
		l := lexer{b: data[:min(s.first, int64(len(data)))]}
		for f.members < maxMembers && f.work(16) {
			l.space()
			num, ok := number(l.run())
			l.space()
			at, ok2 := number(l.run())
			if !ok || !ok2 || num < 0 || at < 0 {
				break
			}
			if at > int64(len(data)) {
				continue
			}
			s.members = append(s.members, member{num, s.first + at})
			f.members++
		}
		if f.members >= maxMembers {
			f.say(showcause.LimitObject, s.at, -1)
			break
		}
	}
	clear(f.cache) // what refers to others could not be resolved
	f.cached = 0
	f.number()
}

// member reads an object of an object stream.
func (f *file) member(s *stream, i int) value {
	data := f.pack(s)
	at := s.members[i].at
	if at >= int64(len(data)) {
		return value{}
	}
	l := lexer{b: data[at:min(at+maxObject, int64(len(data)))]}
	v := f.value(&l, s)
	f.work(6*int64(l.at) + 16)
	return v
}

// value reads a value of an object stream.
func (f *file) value(l *lexer, s *stream) value {
	v := l.next(0)
	if l.over {
		f.say(showcause.LimitObject, s.at, -1)
	}
	return v
}

// eachPacked calls note with all values of an object stream, those that its list leads
// to and those that stand in it, the numbers of the list among them.
func (f *file) eachPacked(s *stream, note func(num int64, v value)) {
	data := f.pack(s)
	order := slices.Clone(s.members)
	slices.SortStableFunc(order, func(a, b member) int { return cmp.Compare(a.at, b.at) })
	at := int64(0)
	for i := 0; (at < int64(len(data)) || i < len(order)) && !f.stop; {
		num := int64(-1)
		for ; i < len(order) && order[i].at <= at; i++ {
			if order[i].at == at {
				num = order[i].num
			} else if order[i].at < at && (i == 0 || order[i].at != order[i-1].at) && !f.apart(s, data, order[i], note) {
				return
			}
		}
		if at >= int64(len(data)) {
			return
		}
		l := lexer{b: data[at:]}
		v := f.value(&l, s)
		if !f.work(6*int64(l.at) + 16) {
			return
		}
		note(num, v)
		at += max(int64(l.at), 1)
		for at < int64(len(data)) && class(data[at]) == 1 {
			at++
		}
	}
}

// apart reads an object that begins within another.
func (f *file) apart(s *stream, data []byte, m member, note func(num int64, v value)) bool {
	if m.at >= int64(len(data)) {
		return true
	}
	l := lexer{b: data[m.at:]}
	v := f.value(&l, s)
	note(m.num, v)
	return f.work(8*int64(l.at) + 16)
}

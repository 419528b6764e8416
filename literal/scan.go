package literal

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"
)

// Hit says that literal ID begins at byte At of the buffer.
type Hit struct {
	ID uint32
	At int
}

const (
	blockSize  = 32 << 10 // places of a block: all tiers pass over it while it is near
	batchSize  = 1024     // places that are read before the candidates among them are looked at; power of two
	longBucket = 16       // keys of a bucket from which on it is searched, not walked
)

// run is one call of ScanN.
type run struct {
	buf      []byte
	from, to int // literals that begin here, in this block
	hits     []Hit
	most     int  // length of hits that is allowed
	full     bool // there was one more

	found [batchSize]uint32 // candidates, counted from the batch's first place
	open  [batchSize]candidate
}

// candidate is a place whose gram has a bucket, and the keys of that.
type candidate struct {
	at         int
	first, end uint32
}

// Scan appends to hits a Hit for every literal that begins in [from, to) and
// lies wholly in buf, each once. The order is the same for the same arguments.
func (s *Set) Scan(buf []byte, from, to int, hits []Hit) []Hit {
	hits, _ = s.ScanN(buf, from, to, hits, math.MaxInt)
	return hits
}

// ScanN is Scan that appends max hits at most, and says where to go on: every
// literal that begins before next was reported, none that begins later. Where
// next is to, all is done. The hits of one place are not parted: where more
// than max literals begin at the first place that has any, all are appended. A max below 1
// does nothing.
func (s *Set) ScanN(buf []byte, from, to int, hits []Hit, max int) (out []Hit, next int) {
	a, b := from, min(to, len(buf))
	if a < 0 {
		a = 0
	}
	if a >= b {
		return hits, to
	}
	if max < 1 {
		return hits, from
	}
	r := run{buf: buf, hits: hits}
	begin := len(hits)
	for size := blockSize; a < b; {
		before := len(r.hits)
		r.from, r.to = a, min(a+size, b)
		r.most = math.MaxInt
		if before > begin || r.to-r.from > 1 {
			r.most = begin + min(max, math.MaxInt-begin)
		}
		s.block(&r)
		if !r.full {
			a = r.to
			continue
		}
		r.hits, r.full = r.hits[:before], false
		if before-begin > max/2 || r.to-r.from == 1 {
			return r.hits, a
		}
		size = (r.to - r.from) / 2
	}
	return r.hits, to
}

// block finds the literals of one block.
func (s *Set) block(r *run) {
	if s.pairs != nil {
		s.scanPairs(r)
	}
	for i := range s.tiers {
		s.scanTier(&s.tiers[i], r)
	}
}

// scanTier finds the block's literals of one stride tier.
func (s *Set) scanTier(t *tier, r *run) {
	end := min(r.to+t.reach, len(r.buf)-3)
	for i := r.from; i < end && !r.full; {
		stop := min(end, i+batchSize*t.stride)
		n := t.probe(r.buf, i, stop, &r.found)
		if n > 0 {
			n = t.look(r, i, n)
			s.resolve(t, r, n)
		}
		i += (stop - i + t.stride - 1) / t.stride * t.stride
	}
}

// probe reads the gram at i and every stride-th place after it below end, which
// is at most len(buf)-3, and lists the places that the filter passes, counted
// from i: batchSize places at most are read. There is no branch on what is read.
func (t *tier) probe(buf []byte, i, end int, found *[batchSize]uint32) (n int) {
	p := unsafe.Add(unsafe.Pointer(unsafe.SliceData(buf)), i)
	words, mask := unsafe.Pointer(unsafe.SliceData(t.filter)), t.filterMask
	out := unsafe.Pointer(found)
	lower, stride, factor := t.lower, t.stride, t.factor
	end -= i
	at := 0
	for ; at+stride < end; at += 2 * stride {
		h := uint64(gramAt(p, at)|lower) * factor
		w := wordAt(words, h, mask)
		*(*uint32)(unsafe.Add(out, n<<2)) = uint32(at)
		n += int(w >> (h >> 32 & 63) & (w >> (h >> 38 & 63)) & 1)
		h = uint64(gramAt(p, at+stride)|lower) * factor
		w = wordAt(words, h, mask)
		*(*uint32)(unsafe.Add(out, n<<2)) = uint32(at + stride)
		n += int(w >> (h >> 32 & 63) & (w >> (h >> 38 & 63)) & 1)
	}
	if at < end {
		h := uint64(gramAt(p, at)|lower) * factor
		w := wordAt(words, h, mask)
		*(*uint32)(unsafe.Add(out, n<<2)) = uint32(at)
		n += int(w >> (h >> 32 & 63) & (w >> (h >> 38 & 63)) & 1)
	}
	return n
}

// gramAt returns the gram at i of a buffer that is long enough.
func gramAt(p unsafe.Pointer, i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:])
}

// wordAt returns the filter's word for a hash; mask is eight times the greatest
// index, which Open took from the filter's length.
func wordAt(words unsafe.Pointer, h, mask uint64) uint64 {
	return *(*uint64)(unsafe.Add(words, h>>(filterShift-3)&mask))
}

// look lists, of the n places found from base on, those whose keys are worth
// comparing: the bucket holds several, or one that fits. The loops are free of
// branches on what is read, so that the loads, mostly far ones, overlap.
func (t *tier) look(r *run, base, n int) int {
	m := 0
	for _, at := range r.found[:n] {
		i := base + int(at)
		b := uint64(binary.LittleEndian.Uint32(r.buf[i:])|t.lower) * t.factor >> (t.indexShift & 63)
		pair := t.index[b:][:2]
		r.open[m&(batchSize-1)] = candidate{i, pair[0], pair[1]}
		m += int((pair[0] - pair[1]) >> 31)
	}
	n, m = m, 0
	for _, c := range r.open[:n] {
		key := t.keys[c.first]
		differs := uint64(t.keyAt(r.buf, c.at, key) ^ key)
		r.open[m&(batchSize-1)] = c
		m += int((c.first+1-c.end)>>31 | uint32((differs-1)>>63))
	}
	return m
}

// keyAt returns the key of a place, of the same kind as another.
func (t *tier) keyAt(buf []byte, at int, like uint32) uint32 {
	kind := like % kinds
	return keyOf(buf, at-int(kind%maxStride), t.stride, kind)
}

// resolve compares the keys of the first n candidates, and the literals of those
// that fit.
func (s *Set) resolve(t *tier, r *run, n int) {
	// Bytes -7 to 10, all that keys go by, of the last place that fitted none:
	// it often comes again at once.
	var missed [3]uint64
	any := false
	for k := range r.open[:n] {
		c := &r.open[k]
		around := [3]uint64{load8(r.buf, c.at-7), load8(r.buf, c.at), load8(r.buf, c.at+3)}
		if any && around == missed {
			continue
		}
		fits := false
		if c.end-c.first > longBucket {
			fits = s.search(t, r, c)
		} else {
			for e, key := range t.keys[c.first:c.end] {
				if t.keyAt(r.buf, c.at, key) == key {
					fits = true
					s.matchGroup(t, r, c.at, t.vals[int(c.first)+e])
				}
			}
		}
		if r.full {
			return
		}
		if !fits {
			missed, any = around, true
		}
	}
}

// search is resolve in a long bucket, whose keys ascend.
func (s *Set) search(t *tier, r *run, c *candidate) (fits bool) {
	keys := t.keys[c.first:c.end]
	for _, kind := range t.kinds {
		key := t.keyAt(r.buf, c.at, kind)
		at, _ := slices.BinarySearch(keys, key)
		for ; at < len(keys) && keys[at] == key && !r.full; at++ {
			fits = true
			s.matchGroup(t, r, c.at, t.vals[int(c.first)+at])
		}
	}
	return fits
}

// matchGroup compares the literals of the group that val names with the place
// that it gives them.
func (s *Set) matchGroup(t *tier, r *run, at int, val uint32) {
	at -= int(val & (maxStride - 1))
	for i := val >> phaseBits; !r.full; i++ {
		m := &t.members[i]
		s.confirm(r, m, at-m.window())
		if m.last() {
			return
		}
	}
}

// confirm compares one literal with one place.
func (s *Set) confirm(r *run, m *member, at int) {
	n := m.length()
	if at < r.from || at >= r.to || n > len(r.buf)-at {
		return
	}
	if n >= 4 {
		x := load4(r.buf, at+m.checked())
		if m.fold() {
			x |= lower4
		}
		if x != m.check {
			return
		}
	}
	there, text := r.buf[at:at+n], s.pool[m.off:][:n]
	if m.fold() {
		if !equalFold(there, text) {
			return
		}
	} else if string(there) != string(text) {
		return
	}
	if len(r.hits) >= r.most {
		r.full = true
		return
	}
	r.hits = append(r.hits, Hit{m.id, at})
}

// equalFold tells whether b in lower case is text, which is as long.
func equalFold(b, text []byte) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != text[i] {
			return false
		}
	}
	return true
}

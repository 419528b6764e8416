package literal

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Hit says that literal ID begins at byte At of the buffer.
type Hit struct {
	ID uint32
	At int
}

const (
	blockSize = 32 << 10 // places of a block: all tiers pass over it while it is near
	batchSize = 256      // candidates that are resolved together

	// ahead is how many bytes the kernels may read after a place that they are
	// given, and behind how many before it.
	ahead  = 192
	behind = 2 * maxStride

	longBucket = 16 // keys of a bucket from which on it is searched, not walked
)

// run is one call of ScanN. Its arrays are written before they are read: they have
// what another call left.
type run struct {
	buf      []byte
	from, to int // literals that begin here, in this block
	hits     []Hit
	begin    int // of the block's in hits
	most     int // hits that the block may have
	limit    int // length of hits from which on the block is made shorter

	bits  [(blockSize+maxLen+maxStride)/8 + 64]byte // of the places that were read, those that pass
	found [batchSize]uint32                         // places, counted from the window's origin
	masks [batchSize]byte                           // for each, the phases whose windows pass; see maskLanes. In the short tier, whether a link fits

	// The 4 bytes that were compared last in the short tier, and the links that
	// fit them: runs of one byte are common.
	lastWindow uint32
	lastLinks  []*link
	linkRoom   [16]*link

	deltas *deltaRoom // of the block, where a tier takes them

	end  window                                  // the end of buf
	room [ahead + behind + maxLen + 2*ahead]byte // of end
}

// deltaRoom has room for a block and what the kernels read after it.
type deltaRoom [blockSize + maxLen + maxStride + 2*ahead]byte

// window is a piece of the buffer as the kernels read it: its places are
// readable from behind before them to ahead after them, or they are checked.
type window struct {
	bytes  []byte
	origin int // of bytes in the buffer
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
	r := s.runs.Get().(*run)
	r.buf, r.hits = buf, hits
	defer s.done(r)
	if s.delta {
		r.deltas = s.deltaRooms.Get().(*deltaRoom)
	}
	for ; a < b; a = r.to {
		end := min(a+blockSize, b)
		r.from, r.to = a, end
		r.begin = len(r.hits)
		r.most = max - (r.begin - len(hits))
		r.limit = r.begin + r.most + r.most/4
		if r.limit < 0 {
			r.limit = math.MaxInt
		}
		s.block(r)
		if len(r.hits)-r.begin > r.most {
			r.trim()
		}
		if r.to == a {
			if r.begin > len(hits) {
				return r.hits, a
			}
			// One place has them all.
			r.to, r.limit = a+1, math.MaxInt
			s.block(r)
		}
		if r.to < end {
			return r.hits, r.to
		}
	}
	return r.hits, to
}

// done keeps the room of a run for another, and nothing of what was read.
func (s *Set) done(r *run) {
	if r.deltas != nil {
		s.deltaRooms.Put(r.deltas)
	}
	r.buf, r.hits, r.lastLinks, r.deltas, r.end = nil, nil, nil, nil, window{}
	s.runs.Put(r)
}

// trim makes the block so much shorter that no more hits are known in it than
// are allowed; nothing is left where one place has more. Who reads it goes on to
// the reach after its new end.
func (r *run) trim() {
	// In which of 256 parts is the number passed? If in the first, the same of
	// that.
	low, high := r.from, r.to
	for size := uint(bits.Len(uint(high-low) >> 8)); low == r.from && low < high; size = max(size, 8) - 8 {
		var parts [256]int
		for _, h := range r.hits[r.begin:] {
			if h.At < high {
				parts[uint8((h.At-low)>>size)]++
			}
		}
		count := 0
		for k := 0; low < high && count+parts[k] <= r.most; k++ {
			count += parts[k]
			low += 1 << size
		}
		low, high = min(low, high), min(low+1<<size, high)
		if size == 0 {
			break
		}
	}
	r.to = low
	kept := r.hits[:r.begin]
	for _, h := range r.hits[r.begin:] {
		if h.At < r.to {
			kept = append(kept, h)
		}
	}
	r.hits = kept
}

// block finds the literals of one block.
func (s *Set) block(r *run) {
	if s.short.links != nil {
		s.scanShort(r)
	}
	for i := range s.tiers {
		t := &s.tiers[i]
		if t.kind == delta {
			s.scanDelta(t, r)
			continue
		}
		s.scanTier(t, r)
	}
}

// near returns the buffer from shortly before the block on.
func (r *run) near() window {
	origin := max(0, r.from-behind-maxLen)
	return window{r.buf[origin:], origin}
}

// tail returns the end of the buffer, with zeros after it, in which every place
// of the last ones that the buffer does not reach ahead of can be read.
func (r *run) tail() window {
	if r.end.bytes == nil {
		r.end = window{r.room[:], max(0, len(r.buf)-ahead-behind-maxLen)}
		clear(r.room[copy(r.room[:], r.buf[r.end.origin:]):])
	}
	return r.end
}

// scanTier finds the block's literals of one stride tier.
func (s *Set) scanTier(t *tier, r *run) {
	end := min(r.to+t.reach, len(r.buf))
	at := s.scanPlaces(t, r, r.near(), r.from, min(end, len(r.buf)-ahead))
	if at < end {
		s.scanPlaces(t, r, r.tail(), at, end)
	}
}

// scanDelta is scanTier for a tier of kind delta.
func (s *Set) scanDelta(t *tier, r *run) {
	end := min(r.to+t.reach, len(r.buf))
	near := r.buf[r.from:min(end+ahead, len(r.buf))]
	n := len(near) - 1
	s.deltas(r.deltas[:], near)
	clear(r.deltas[n:min(n+2*ahead, len(r.deltas))])
	s.scanPlaces(t, r, window{r.deltas[:], r.from}, r.from, end)
}

// deltas writes each byte of b, but the last, exclusive-or the next to dst.
func (s *Set) deltas(dst, b []byte) {
	i := 0
	if s.vector {
		i = deltasVector(dst, b)
	}
	for ; i+9 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:]) ^ binary.LittleEndian.Uint64(b[i+1:])
		binary.LittleEndian.PutUint64(dst[i:], x)
	}
	for ; i+1 < len(b); i++ {
		dst[i] = b[i] ^ b[i+1]
	}
}

// scanPlaces reads w at every stride-th place from at on that is below end,
// resolves those that pass, and returns the first place that it did not read.
func (s *Set) scanPlaces(t *tier, r *run, w window, at, end int) (next int) {
	if at >= end {
		return at
	}
	n := (end - at + t.stride - 1) / t.stride
	groups := (n + 7) / 8
	s.probe(t, w.bytes[at-w.origin:], groups, r.bits[:groups])
	r.close(n, groups)
	k := 0
	for g := 0; g < groups; g += 8 {
		for word := binary.LittleEndian.Uint64(r.bits[g:]); word != 0; word &= word - 1 {
			r.found[k] = uint32(at - w.origin + (g*8+bits.TrailingZeros64(word))*t.stride)
			if k++; k == batchSize {
				s.resolve(t, r, w, k)
				k = 0
				if len(r.hits) > r.limit {
					r.trim()
				}
			}
		}
		if k == 0 && at+g*8*t.stride >= r.to+t.reach {
			return end // the block was made shorter
		}
	}
	s.resolve(t, r, w, k)
	return at + n*t.stride
}

// close clears the bits from n on, in the groups that were written and the 8
// after them.
func (r *run) close(n, groups int) {
	clear(r.bits[groups : groups+8])
	if n%8 != 0 {
		r.bits[groups-1] &= 1<<(n%8) - 1
	}
}

// resolve finds the literals at the first n places found.
func (s *Set) resolve(t *tier, r *run, w window, n int) {
	for half := 0; half*8 < t.stride; half++ {
		s.look(t, r, w, n, half*8)
		for k, mask := range r.masks[:n] {
			mask &= t.lanes[half]
			for ; mask != 0; mask &= mask - 1 {
				s.match(t, r, w, int(r.found[k])-half*8-7+bits.TrailingZeros8(mask))
			}
		}
	}
}

// match compares the literals whose window may begin at i of w.
func (s *Set) match(t *tier, r *run, w window, i int) {
	key := spread(t.windowAt(w.bytes, i))
	bucket := t.index[key>>(t.indexShift&31):][:2]
	k, end := int(bucket[0]), int(bucket[1])
	if end-k > longBucket {
		at, _ := slices.BinarySearch(t.keys[k:end], key)
		k += at
	}
	for ; k < end && t.keys[k] <= key; k++ {
		if t.keys[k] != key {
			continue
		}
		m := &t.members[k]
		at := i - m.window()
		if m.what>>16&(isFold|isXor) == 0 && m.length() >= 4 && load4(w.bytes, at+m.checked()) != m.check {
			continue // of many with one window, most end here
		}
		s.confirm(r, m, w.origin+at)
	}
}

// confirm compares one literal with one place.
func (s *Set) confirm(r *run, m *member, at int) {
	n := m.length()
	if at < r.from || at >= r.to || n > len(r.buf)-at {
		return
	}
	there, text := r.buf[at:at+n], s.pool[m.off:][:n]
	switch {
	case m.xor():
		if key := there[0] ^ text[0]; key < byte(m.check) || key > byte(m.check>>8) || !equalUnder(there, text, key) {
			return
		}
	case m.fold():
		if n >= 4 && load4(r.buf, at+m.checked())|lower4 != m.check || !equalFold(there, text) {
			return
		}
	default:
		if string(there) != string(text) {
			return
		}
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

// equalUnder tells whether b is text, which is as long, under a key.
func equalUnder(b, text []byte, key byte) bool {
	for i, c := range b {
		if c^key != text[i] {
			return false
		}
	}
	return true
}

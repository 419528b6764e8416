package literal

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The kernels, in plain Go. Each has a twin in assembly, chosen by Set.vector,
// which does the same and is tested by the same tables.

// probe reads the grams at every stride-th place of b, 8 of them for each of
// groups, and writes for each group a byte: bit k is set where the filter
// passes the gram at its place k. b reaches ahead bytes after the first place
// of the last group.
func (s *Set) probe(t *tier, b []byte, groups int, out []byte) {
	_, _ = b[(groups-1)*8*t.stride+ahead-1], out[groups-1]
	if s.vector {
		t.probeVector(b, groups, out)
		return
	}
	t.probePlain(b, groups, out)
}

func (t *tier) probePlain(b []byte, groups int, out []byte) {
	p, filter := unsafe.Pointer(unsafe.SliceData(b)), unsafe.Pointer(unsafe.SliceData(t.filter))
	h, shift, step := t.hasher, t.filterShift, t.stride
	for g := range out[:groups] {
		acc := uint32(0)
		for k := range 8 {
			v := h.ofGram(gramAt(p, k*step))
			w := wordAt(filter, spread(v)>>(shift&31))
			acc |= w >> (v >> 27) & (w >> (v & 31)) & 1 << k
		}
		out[g] = byte(acc)
		p = unsafe.Add(p, 8*step)
	}
}

// gramAt returns the 8 bytes at i of a buffer that is long enough.
func gramAt(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

// wordAt returns word i of a filter that is long enough.
func wordAt(words unsafe.Pointer, i uint32) uint32 {
	return *(*uint32)(unsafe.Add(words, uintptr(i)*4))
}

// look writes, for each of the first n places found, which windows pass, in the
// lanes of maskLanes, those of the phases from back to back+7.
func (s *Set) look(t *tier, r *run, w window, n, back int) {
	k := 0
	if s.vector {
		for ; k < n && r.found[k] < behind; k++ {
			r.masks[k] = t.maskLanes(w.bytes, int(r.found[k])-back)
		}
		if k < n {
			_ = w.bytes[int(r.found[n-1])+ahead-1]
			t.lookVector(w.bytes, r.found[k:n], back, r.masks[k:n])
		}
		return
	}
	for ; k < n; k++ {
		r.masks[k] = t.maskLanes(w.bytes, int(r.found[k])-back)
	}
}

// maskLanes returns which windows pass of those that begin at i-7 to i of b:
// bit j is that at i-7+j, and so phase 7-j of a gram at i.
func (t *tier) maskLanes(b []byte, i int) byte {
	mask := byte(0)
	for j := range 8 {
		if x := i - 7 + j; x >= 0 && t.lanesHave(j) {
			v := t.windowAt(b, x)
			bits := bitsOf(v)
			if t.windows[spread(v)>>(t.windowShift&31)]&bits == bits {
				mask |= 1 << j
			}
		}
	}
	return mask
}

// lanesHave tells whether lane j is of any phase.
func (t *tier) lanesHave(j int) bool { return t.lanes[0]>>j&1 != 0 }

// windowAt hashes the window at i of b.
func (t *tier) windowAt(b []byte, i int) uint32 {
	return t.ofWindow(load8(b, i), load8(b, i+t.width()-8))
}

// scanShort finds the block's literals of the short tier.
func (s *Set) scanShort(r *run) {
	t := &s.short
	end := min(r.to+t.reach, len(r.buf))
	at := r.from
	if safe := min(end, len(r.buf)-ahead); at < safe {
		s.shortPlaces(r, r.near(), at, safe)
		at = safe
	}
	if at < end {
		s.shortPlaces(r, r.tail(), at, end)
	}
}

// shortPlaces reads w from at to end and compares the literals where a bucket passes.
func (s *Set) shortPlaces(r *run, w window, at, end int) {
	n := end - at
	groups := (n + 31) / 32
	b := w.bytes[at-w.origin:]
	_ = b[(groups-1)*32+ahead-1]
	if s.vector {
		s.short.probeVector(b, groups, r.bits[:groups*4])
	} else {
		s.short.probePlain(b, groups, r.bits[:groups*4])
	}
	r.close(n, (n+7)/8)
	for g := 0; g < n && at+g < r.to+s.short.reach; g += 64 {
		for word := binary.LittleEndian.Uint64(r.bits[g/8:]); word != 0; word &= word - 1 {
			s.matchShort(r, w, at-w.origin+g+bits.TrailingZeros64(word))
		}
		if len(r.hits) > r.limit {
			r.trim(at + g + 64 - s.short.reach)
		}
	}
}

// probePlain reads every place of b, 32 of them for each of groups, and writes
// 4 bytes for each group: a bit is set where a bucket passes. b reaches ahead
// bytes after the first place of the last group.
func (t *shortTier) probePlain(b []byte, groups int, out []byte) {
	m0, m1, m2, m3 := &t.masks[0], &t.masks[1], &t.masks[2], &t.masks[3]
	for g := range groups {
		c := (*[35]byte)(b[g*32:])
		acc := uint32(0)
		for k := range uint(32) {
			m := m0[c[k]] & m1[c[k+1]] & m2[c[k+2]] & m3[c[k+3]]
			acc |= (uint32(m) + 0xffff) >> 16 << k
		}
		binary.LittleEndian.PutUint32(out[g*4:], acc)
	}
}

// matchShort compares the literals whose window may begin at i of w.
func (s *Set) matchShort(r *run, w window, i int) {
	t := &s.short
	x := load4(w.bytes, i)
	if x != r.lastWindow || r.lastLinks == nil {
		r.lastWindow, r.lastLinks = x, r.linkRoom[:0]
		buckets := t.masks[0][byte(x)] & t.masks[1][byte(x>>8)] & t.masks[2][byte(x>>16)] & t.masks[3][byte(x>>24)]
		for ; buckets != 0; buckets &= buckets - 1 {
			pair := t.starts[bits.TrailingZeros16(buckets):][:2]
			links := t.links[pair[0]:pair[1]]
			for k := range links {
				if l := &links[k]; x&l.mask == l.bytes {
					r.lastLinks = append(r.lastLinks, l)
				}
			}
		}
	}
	i += w.origin
	for _, l := range r.lastLinks {
		if n := l.length(); n > shortPlaces {
			s.confirm(r, &l.member, i-l.window())
		} else if i >= r.from && i < r.to && n <= len(r.buf)-i {
			r.hits = append(r.hits, Hit{l.id, i})
		}
	}
}

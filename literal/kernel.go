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
	or, mask, salt, shift, step := t.or, t.gramMask, t.salt, t.filterShift, t.stride
	for g := range out[:groups] {
		acc := passes(filter, (gramAt(p, 0)|or)&mask, salt, shift)
		acc |= passes(filter, (gramAt(p, step)|or)&mask, salt, shift) << 1
		acc |= passes(filter, (gramAt(p, 2*step)|or)&mask, salt, shift) << 2
		acc |= passes(filter, (gramAt(p, 3*step)|or)&mask, salt, shift) << 3
		acc |= passes(filter, (gramAt(p, 4*step)|or)&mask, salt, shift) << 4
		acc |= passes(filter, (gramAt(p, 5*step)|or)&mask, salt, shift) << 5
		acc |= passes(filter, (gramAt(p, 6*step)|or)&mask, salt, shift) << 6
		acc |= passes(filter, (gramAt(p, 7*step)|or)&mask, salt, shift) << 7
		out[g] = byte(acc)
		p = unsafe.Add(p, 8*step)
	}
}

// passes returns 1 where a filter passes the gram x, else 0; it is ofGram and
// bitsOf, without a branch.
func passes(filter unsafe.Pointer, x uint64, salt uint32, shift uint) uint32 {
	v := uint32(x)*factorA + uint32(x>>32)*factorB + salt
	v ^= v >> 15
	w := wordAt(filter, spread(v)>>(shift&31))
	return w >> (v >> 27) & (w >> (v & 31)) & 1
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
	for ; k < n && r.found[k] < behind; k++ {
		r.masks[k] = t.maskLanes(w.bytes, int(r.found[k])-back)
	}
	if k == n {
		return
	}
	_ = w.bytes[int(r.found[n-1])+ahead-1]
	if s.vector {
		t.lookVector(w.bytes, r.found[k:n], back, r.masks[k:n])
		return
	}
	t.lookPlain(w.bytes, r.found[k:n], back, r.masks[k:n])
}

// maskLanes returns which windows pass of those that begin at i-7 to i of b:
// bit j is that at i-7+j, and so phase 7-j of a gram at i.
func (t *tier) maskLanes(b []byte, i int) byte {
	mask := byte(0)
	for j := 8 - min(8, t.stride); j < 8; j++ {
		if x := i - 7 + j; x >= 0 {
			v := t.windowAt(b, x)
			bits := bitsOf(v)
			if t.windows[spread(v)>>(t.windowShift&31)]&bits == bits {
				mask |= 1 << j
			}
		}
	}
	return mask
}

// lookPlain is maskLanes for places that are not less than behind.
func (t *tier) lookPlain(b []byte, places []uint32, back int, out []byte) {
	windows := unsafe.Pointer(unsafe.SliceData(t.windows))
	h, shift, last := t.hasher, t.windowShift, t.width()-8
	first := 8 - min(8, t.stride)
	for k, place := range places {
		p := unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), int(place)-back-7)
		mask := uint32(0)
		for j := first; j < 8; j++ {
			v := h.ofWindow(gramAt(p, j), gramAt(p, j+last))
			w := wordAt(windows, spread(v)>>(shift&31))
			mask |= w >> (v >> 27) & (w >> (v & 31)) & 1 << j
		}
		out[k] = byte(mask)
	}
}

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
	k := 0
	for g := 0; g < n && at+g < r.to+s.short.reach; g += 64 {
		for word := binary.LittleEndian.Uint64(r.bits[g/8:]); word != 0; word &= word - 1 {
			r.found[k] = uint32(at - w.origin + g + bits.TrailingZeros64(word))
			if k++; k == batchSize {
				s.resolveShort(r, w, k)
				k = 0
				if len(r.hits) > r.limit {
					r.trim()
				}
			}
		}
	}
	s.resolveShort(r, w, k)
	if len(r.hits) > r.limit {
		r.trim()
	}
}

// resolveShort compares the literals at the first n places found.
func (s *Set) resolveShort(r *run, w window, n int) {
	t := &s.short
	if n == 0 {
		return
	}
	if len(t.checks) == 0 { // they are too many
		for _, place := range r.found[:n] {
			s.matchShort(r, w, int(place))
		}
		return
	}
	_ = w.bytes[int(r.found[n-1])+3]
	if s.vector {
		t.fitVector(w.bytes, r.found[:n], r.masks[:n])
	} else {
		t.fitPlain(w.bytes, r.found[:n], r.masks[:n])
	}
	for k, fits := range r.masks[:n] {
		if fits != 0 {
			s.matchShort(r, w, int(r.found[k]))
		}
	}
}

// fitPlain writes for each place whether the 4 bytes there fit a link. The
// places ascend, and 4 bytes are readable at the last.
func (t *shortTier) fitPlain(b []byte, places []uint32, out []byte) {
	for k, place := range places {
		x := load4(b, int(place))
		out[k] = 0
		for c := range t.checks {
			for lane, want := range t.checks[c].bytes {
				if x&t.checks[c].mask[lane] == want {
					out[k] = 0xff
				}
			}
		}
	}
}

// probePlain reads every place of b, 32 of them for each of groups, and writes
// 4 bytes for each group: a bit is set where a bucket passes. b reaches ahead
// bytes after the first place of the last group.
func (t *shortTier) probePlain(b []byte, groups int, out []byte) {
	for g := range groups {
		c := (*[35]byte)(b[g*32:])
		x := t.after(t.after(t.after(0, c[0]), c[1]), c[2])
		y := t.after(t.after(t.after(0, c[16]), c[17]), c[18])
		all := ^uint64(0)
		for k := 3; k < 19; k++ { // two halves at a time
			x, y = t.after(x, c[k]), t.after(y, c[k+16])
			all &= x & y
		}
		acc := uint32(0)
		if all>>48 != 0xffff {
			for k := range uint(32) {
				m := t.masks[0][c[k]] & t.masks[1][c[k+1]] & t.masks[2][c[k+2]] & t.masks[3][c[k+3]]
				acc |= (uint32(m) + 0xffff) >> 16 << k
			}
		}
		binary.LittleEndian.PutUint32(out[g*4:], acc)
	}
}

// after returns what refused is after one more byte. It has 16 bits for each
// place of a window; the upper 16 are the buckets that refuse the window which
// ends with that byte.
func (t *shortTier) after(refused uint64, c byte) uint64 { return refused<<16 | t.refuse[c] }

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

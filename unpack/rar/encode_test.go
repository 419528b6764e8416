package rar

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Encoders for tests: simple, and not sparing.

// bitWriter writes bits, the most significant first.
type bitWriter struct {
	out []byte
	n   uint // bits of the last byte
}

func (w *bitWriter) put(v, n int) {
	for n--; n >= 0; n-- {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
			w.n = 0
		}
		w.out[len(w.out)-1] |= byte(v>>n&1) << (7 - w.n)
		w.n++
	}
}

// flat is the code of n symbols whose lengths differ by one at most.
func flat(n, sym int) (code, bits int) {
	k := 0
	for 2<<k <= n {
		k++
	}
	if a := 2<<k - n; sym >= a {
		return sym + a, k + 1
	}
	return sym, k
}

func (w *bitWriter) flat(n, sym int) { w.put(flat(n, sym)) }

// tables writes the lengths of flat codes. old are those before, in RAR 3.
func (w *bitWriter) tables(old []int, sizes ...int) {
	for i := range 20 {
		_, l := flat(20, i)
		w.put(l, 4)
	}
	at := 0
	for _, n := range sizes {
		for i := range n {
			_, l := flat(n, i)
			if old == nil {
				w.flat(20, l)
			} else {
				w.flat(20, (l-old[at]+16)%16)
				old[at] = l
			}
			at++
		}
	}
}

// finder finds matches by the last place where four bytes stood.
type finder struct {
	b    []byte
	last map[[4]byte]int
}

func (f *finder) find(at, most int) (off, n int) {
	if at+4 > len(f.b) {
		return 0, 0
	}
	k := [4]byte(f.b[at:])
	p, ok := f.last[k]
	f.last[k] = at
	if !ok {
		return 0, 0
	}
	for n < most && at+n < len(f.b) && f.b[p+n] == f.b[at+n] {
		n++
	}
	return at - p, n
}

// lz5 compresses all[from:] with what stands before as the window, in blocks of
// some symbols. filter, if not nil, is written first.
func lz5(all []byte, from int, old *[4]int, filter func(w *bitWriter)) (out []byte) {
	f := finder{all, map[[4]byte]int{}}
	for i := 0; i < from; i++ {
		f.find(i, 0)
	}
	for at := from; at < len(all); {
		w := &bitWriter{}
		w.tables(nil, 306, 64, 16, 44)
		if filter != nil {
			w.flat(306, 256)
			filter(w)
			filter = nil
		}
		for range 2000 {
			if at == len(all) {
				break
			}
			off, n := f.find(at, 250)
			if n < 8 {
				w.flat(306, int(all[at]))
				at++
				continue
			}
			w.match5(off, n, old)
			at += n
		}
		bits := int(w.n)
		if bits == 0 {
			bits = 8
		}
		head := []byte{byte(bits-1) | 0x80 | 2<<3, 0}
		if at == len(all) {
			head[0] |= 0x40
		}
		n := len(w.out)
		head = append(head, byte(n), byte(n>>8), byte(n>>16))
		head[1] = 0x5a ^ head[0] ^ head[2] ^ head[3] ^ head[4]
		out = append(append(out, head...), w.out...)
	}
	return out
}

func (w *bitWriter) match5(off, n int, old *[4]int) {
	for i, d := range old {
		if d == off {
			w.flat(306, 258+i)
			copy(old[1:i+1], old[:i])
			old[0] = off
			slot, extra, bits := slot5(n - 2)
			w.flat(44, slot)
			w.put(extra, bits)
			return
		}
	}
	for _, far := range []int{0x100, 0x2000, 0x40000} {
		if off > far {
			n--
		}
	}
	slot, extra, bits := slot5(n - 2)
	w.flat(306, 262+slot)
	w.put(extra, bits)
	copy(old[1:], old[:3])
	old[0] = off
	v, d, k := off-1, off-1, 0
	if v >= 4 {
		for v>>(k+2) != 0 {
			k++
		}
		d = 2*k + 2 + v>>k&1
		v &= 1<<k - 1
	}
	w.flat(64, d)
	switch {
	case k >= 4:
		w.put(v>>4, k-4)
		w.flat(16, v&15)
	case k > 0:
		w.put(v, k)
	}
}

func slot5(v int) (slot, extra, bits int) {
	if v < 8 {
		return v, 0, 0
	}
	for v>>(bits+3) != 0 {
		bits++
	}
	return 4*bits + 4 + v>>bits&3, v & (1<<bits - 1), bits
}

// lz3 does that for RAR 3; lens are the lengths before, nil for none.
func lz3(all []byte, from int, old *[4]int) []byte {
	f := finder{all, map[[4]byte]int{}}
	for i := 0; i < from; i++ {
		f.find(i, 0)
	}
	w := &bitWriter{}
	lens := make([]int, 404)
	head := func() {
		for w.n%8 != 0 {
			w.put(0, 1)
		}
		w.put(0, 1) // not PPMd
		w.put(1, 1) // lengths are less those before
		w.tables(lens, 299, 60, 17, 28)
	}
	w.put(0, 1)
	w.put(0, 1)
	w.tables(lens, 299, 60, 17, 28)
	k := 0
	for at := from; at < len(all); k++ {
		if k%3000 == 2999 {
			w.flat(299, 256)
			w.put(1, 1)
			head()
		}
		off, n := f.find(at, 200)
		if n < 8 || off > 1<<20 {
			w.flat(299, int(all[at]))
			at++
			continue
		}
		at += n
		w.match3(off, n, old)
	}
	w.flat(299, 256)
	w.put(1, 2) // the end of the file, and the next has new tables
	return w.out
}

func (w *bitWriter) match3(off, n int, old *[4]int) {
	slotOf := func(v int) (int, int, int) {
		for s := 27; ; s-- {
			if b, e := rarLength(s); v >= b {
				return s, v - b, int(e)
			}
		}
	}
	for i, d := range old {
		if d == off {
			w.flat(299, 259+i)
			copy(old[1:i+1], old[:i])
			old[0] = off
			s, v, e := slotOf(n - 2)
			w.flat(28, s)
			w.put(v, e)
			return
		}
	}
	if off >= 0x2000 {
		n--
	}
	if off >= 0x40000 {
		n--
	}
	s, v, e := slotOf(n - 3)
	w.flat(299, 271+s)
	w.put(v, e)
	copy(old[1:], old[:3])
	old[0] = off
	for d := 59; ; d-- {
		base, extra := rarDistance(d)
		if int64(off-1) < base {
			continue
		}
		v := off - 1 - int(base)
		w.flat(60, d)
		if d > 9 {
			w.put(v>>4, int(extra)-4)
			w.flat(17, v&15)
		} else {
			w.put(v, int(extra))
		}
		return
	}
}

// entry is a file of an archive under construction.
type entry struct {
	name   string
	data   []byte // as it stands in the archive
	whole  []byte
	method int
	flags  uint16 // of version 4; for version 5 those of the block
	solid  bool
	extra  []byte
	crc    func(uint32) uint32 // what the header has in place of the checksum, nil for itself
	salt   []byte              // of version 4
}

func (e *entry) sum() uint32 {
	v := crc32.ChecksumIEEE(e.whole)
	if e.crc != nil {
		v = e.crc(v)
	}
	return v
}

func vint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func block5Of(kind, flags uint64, extra, body, data []byte) []byte {
	b := vint(vint(nil, kind), flags)
	if flags&1 != 0 {
		b = vint(b, uint64(len(extra)))
	}
	if flags&2 != 0 {
		b = vint(b, uint64(len(data)))
	}
	b = append(append(b, body...), extra...)
	b = append(vint(nil, uint64(len(b))), b...)
	return append(append(le.AppendUint32(nil, crc32.ChecksumIEEE(b)), b...), data...)
}

// make5 writes an archive of version 5.
func make5(mainFlags uint64, files ...entry) []byte {
	out := append(bytes.Clone(magic5), block5Of(1, 0, nil, vint(nil, mainFlags), nil)...)
	for _, f := range files {
		body := vint(vint(vint(nil, 4), uint64(len(f.whole))), 0)
		body = le.AppendUint32(body, f.sum())
		info := uint64(f.method)<<7 | 3<<10 // 1 MiB
		if f.solid {
			info |= 64
		}
		body = vint(vint(vint(body, info), 1), uint64(len(f.name)))
		flags := uint64(f.flags) | 2
		if f.extra != nil {
			flags |= 1
		}
		out = append(out, block5Of(2, flags, f.extra, append(body, f.name...), f.data)...)
	}
	return append(out, block5Of(5, 0, nil, []byte{0}, nil)...)
}

func block4Of(kind byte, flags uint16, body []byte) []byte {
	b := append([]byte{kind}, byte(flags), byte(flags>>8))
	b = le.AppendUint16(b, uint16(7+len(body)))
	b = append(b, body...)
	return append(le.AppendUint16(nil, uint16(crc32.ChecksumIEEE(b))), b...)
}

// make4 writes an archive of version 4.
func make4(mainFlags uint16, files ...entry) []byte {
	out := append(bytes.Clone(magic4), block4Of(0x73, mainFlags, make([]byte, 6))...)
	for _, f := range files {
		body := le.AppendUint32(nil, uint32(len(f.data)))
		body = append(le.AppendUint32(body, uint32(len(f.whole))), 3)
		body = le.AppendUint32(body, f.sum())
		body = append(le.AppendUint32(body, 0x53210000), 29, byte(0x30+f.method))
		body = le.AppendUint16(body, uint16(len(f.name)))
		body = append(le.AppendUint32(body, 0o100644), f.name...)
		body = append(body, f.salt...)
		flags := f.flags | 0x8000 | 4<<5
		if f.solid {
			flags |= 0x10
		}
		out = append(append(out, block4Of(0x74, flags, body)...), f.data...)
	}
	return append(out, block4Of(0x7b, 0x4000, nil)...)
}

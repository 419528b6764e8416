package hostile

import (
	"bytes"
	"fmt"
	"hash/crc32"
)

func (s scale) bombs() []Input {
	big := s.pick(300<<20, 4<<30)
	return []Input{
		in(1, fmt.Sprintf("zip tree: 5 levels of 16, %d MiB of zeros in each leaf", s.pick(64, 4096)), Incomplete, func() []byte { return tree(s.pick(64<<20, 4<<30-1)) }, "limit."),
		in(2, "zip: 250 members that overlap, 42 kB for 5.5 GB", Incomplete, func() []byte { return overlapping(250, 21<<20, false) }, "limit."),
		in(2, "zip: one local header, 5,000 records that lead to it", Found, sharedHeader, "ambiguous.zip.overlap"),
		in(3, "zip64: 1,000 members that overlap", Incomplete, func() []byte { return overlapping(1000, 21<<20, true) }, "limit."),
		in(4, "zip that holds itself", Incomplete, func() []byte { return quine(zipQuine) }, "limit."),
		in(4, "gzip that holds itself", Incomplete, func() []byte { return quine(gzipQuine) }, "limit."),
		in(5, "gzip of 4096 MiB of zeros", Incomplete, func() []byte { return squeezeZeros(nil, 4<<30, nil).gzip() }, "limit."),
		in(6, fmt.Sprintf("xz of %d MiB of zeros", big>>20), Incomplete, func() []byte {
			return bytes.Repeat(xzOf(make([]byte, 10<<20)), int(big/(10<<20)))
		}, "limit."),
		in(6, "xz: a dictionary of 1.5 GiB", Either, wideXZ),
	}
}

// tree nests zips of 16 equal members, 5 levels deep.
func tree(leaf int64) []byte {
	b := zipOf(squeezeZeros(nil, leaf, nil).member("0.dll"))
	for level := range 5 {
		var ms []member
		m := pack("", b)
		for i := range 16 {
			n := m.both(func(h *header) { h.name = fmt.Sprintf("lib %d.%x.zip", level, i) })
			ms = append(ms, n)
		}
		b = zipOf(ms...)
	}
	return b
}

// sharedHeader has one member, named by 5,000 records of the directory.
func sharedHeader() []byte {
	m := pack("m0", hidden())
	ms := []member{m}
	for i := 1; i < 5000; i++ {
		n := m.inCentral(func(h *header) { h.name = fmt.Sprintf("m%d", i) })
		n.headless = true
		ms = append(ms, n)
	}
	return zipOf(ms...)
}

// overlapping builds a zip whose members overlap (D. Fifield, "A better zip
// bomb", WOOT '19): the data of each is a stored block that quotes the next
// member's local header, and then the next member's data, to the one kernel at
// the end. Wide members say their sizes in Zip64 fields.
func overlapping(count int, kernel int64, wide bool) []byte {
	k := squeezeZeros(nil, kernel, nil)
	heads := make([][]byte, count) // from the first member to the last
	sizes, packs, crcs := make([]int64, count), make([]int64, count), make([]uint32, count)
	size, packed, crc := k.size, int64(len(k.data)), k.crc
	name := func(i int) string { return fmt.Sprintf("%04d", i) }
	head := func(i int) header {
		h := header{method: 8, crc: crcs[i], packed: uint32(packs[i]), size: uint32(sizes[i]), name: name(i)}
		if wide {
			h.extra = []byte{1, 0, 16, 0}
			h.extra = le.AppendUint64(h.extra, uint64(sizes[i]))
			h.extra = le.AppendUint64(h.extra, uint64(packs[i]))
			h.packed, h.size = 1<<32-1, 1<<32-1
		}
		return h
	}
	for i := count - 1; i >= 0; i-- {
		sizes[i], packs[i], crcs[i] = size, packed, crc
		h := head(i)
		heads[i] = h.appendLocal(nil)
		n := int64(len(heads[i]))
		crc = crcJoin(crc32.ChecksumIEEE(heads[i]), crc, size)
		size += n
		packed += 5 + n
	}
	var b []byte
	at := make([]int64, count)
	for i, h := range heads {
		if i > 0 {
			n := uint16(len(h))
			b = append(b, 0)
			b = le.AppendUint16(b, n)
			b = le.AppendUint16(b, ^n)
		}
		at[i] = int64(len(b))
		b = append(b, h...)
	}
	b = append(b, k.data...)
	dir := int64(len(b))
	for i := range count {
		h := head(i)
		b = h.appendCentral(b, at[i])
	}
	n := int64(len(b)) - dir
	if wide {
		b = append(b, zipEnd64(count, n, dir, int64(len(b)))...)
	}
	return append(b, zipEnd(count, n, dir, "")...)
}

// wideXZ says in its block header that it needs 1.5 GiB of dictionary.
func wideXZ() []byte {
	b := xzOf(hidden())
	i := 12 + bytes.Index(b[12:], []byte{0x21, 1})
	b[i+2] = 37 // 3 << 29
	n := 4 * (int(b[12]) + 1)
	le.PutUint32(b[12+n-4:], crc32.ChecksumIEEE(b[12:12+n-4]))
	return b
}

// A quine holds itself (R. Cox, "Zip Files All The Way Down", 2010): deflate
// with two operations of five bytes each, L (a stored block of so many units)
// and R (repeat the last so many bytes), and a program of them that prints
// itself between a given prefix and suffix.
type quineKind struct {
	prefix, suffix func(crc uint32, total, packed int) []byte
}

// lit is a stored block of n bytes, header only.
func lit(n int) []byte {
	b := le.AppendUint16([]byte{0}, uint16(n))
	return le.AppendUint16(b, ^uint16(n))
}

// rep is a fixed-Huffman block of five bytes that repeats the last n bytes:
// 20, 18, 65 or 258 of them.
func rep(n int) []byte {
	var w bits
	copies := map[int][]int{20: {10, 10}, 18: {9, 9}, 65: {65}, 258: {258}}[n]
	w.low(2, 3) // not the last block; fixed codes
	for _, c := range copies {
		switch {
		case c <= 10:
			w.high(uint(c-2), 7)
		case c == 65:
			w.high(276-256, 7)
			w.low(65-59, 3)
		case c == 258:
			w.high(0xc0+285-280, 8)
		}
		switch {
		case n <= 24:
			w.high(8, 5)
			w.low(uint(n-17), 3)
		case n == 65:
			w.high(12, 5)
			w.low(0, 5)
		case n == 258:
			w.high(16, 5)
			w.low(1, 7)
		}
	}
	w.high(0, 7) // end of block
	if len(copies) == 1 {
		w.low(2, 3) // an empty block, to end at a byte
		w.high(0, 7)
	}
	if len(w.b) != 5 || w.n != 40 {
		panic(fmt.Sprintf("repeat of %d: %d bits", n, w.n))
	}
	return w.b
}

// bits writes bits from the lowest of each byte.
type bits struct {
	b []byte
	n int
}

func (w *bits) low(v uint, n int) {
	for i := range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// high writes a Huffman code, which goes from its highest bit.
func (w *bits) high(v uint, n int) {
	for i := n - 1; i >= 0; i-- {
		w.low(v>>i&1, 1)
	}
}

// quine puts the operations between prefix and suffix, and finds the CRC that
// is its own: the CRC of the file is an affine function of the CRC in it.
func quine(kind quineKind) []byte {
	total, packed := 0, 0
	build := func(crc uint32) []byte {
		p, s := kind.prefix(crc, total, packed), kind.suffix(crc, total, packed)
		P, S := len(p)+5, len(s)+5
		l4, r4, r := lit(20), rep(20), rep(P)
		if P == 20 {
			r = r4
		}
		ops := join(
			lit(P), p, lit(P), // prints the prefix and this operation
			r, lit(5), r, lit(5), lit(5),
			lit(20), r, lit(5), lit(5), lit(20),
			r4, l4, r4, l4, r4, l4,
			r4, l4, r4, lit(0), lit(0), lit(S),
			r4, lit(0), lit(0), lit(S), rep(S), s,
			rep(S))
		packed = len(ops) + 5 // with the empty last block, which opens the suffix
		b := join(p, ops, s)
		total = len(b)
		return b
	}
	build(0) // to know the lengths
	zero := crc32.ChecksumIEEE(build(0))
	var rows [32]uint64 // of the matrix A+I, and the constant in bit 32
	for col := range 32 {
		c := crc32.ChecksumIEEE(build(1<<col)) ^ zero ^ 1<<col
		for row := range 32 {
			rows[row] |= uint64(c>>row&1) << col
		}
	}
	for row := range 32 {
		rows[row] |= uint64(zero>>row&1) << 32
	}
	return build(solve(rows))
}

// solve solves 32 equations over the field of two elements.
func solve(rows [32]uint64) (x uint32) {
	var pivots []int
	next := 0
	for col := range 32 {
		for i := next; i < 32; i++ {
			if rows[i]>>col&1 == 1 {
				rows[i], rows[next] = rows[next], rows[i]
				break
			}
		}
		if next == 32 || rows[next]>>col&1 == 0 {
			continue // free: zero will do
		}
		for i := range rows {
			if i != next && rows[i]>>col&1 == 1 {
				rows[i] ^= rows[next]
			}
		}
		pivots = append(pivots, col)
		next++
	}
	for i, col := range pivots {
		x |= uint32(rows[i]>>32&1) << col
	}
	return x
}

var gzipQuine = quineKind{
	prefix: func(uint32, int, int) []byte {
		return append([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3}, "r.gz\x00"...) // 15 bytes
	},
	suffix: func(crc uint32, total, _ int) []byte {
		b := append([]byte{1, 0, 0, 0xff, 0xff}, 0, 0, 0, 0, 0, 0, 0, 0) // 13 bytes
		le.PutUint32(b[5:], crc)
		le.PutUint32(b[9:], uint32(total))
		return b
	},
}

// The prefix of 60 bytes and the suffix of 253 are lengths that a repeat of
// five bytes can be written for.
var zipQuine = quineKind{
	prefix: func(crc uint32, total, packed int) []byte {
		h := quineHeader(crc, total, packed)
		return h.appendLocal(nil)
	},
	suffix: func(crc uint32, total, packed int) []byte {
		h := quineHeader(crc, total, packed)
		b := h.appendCentral([]byte{1, 0, 0, 0xff, 0xff}, 0)
		n := int64(len(b) - 5)
		b = append(b, zipEnd(1, n, int64(60+packed), "")...)
		pad := 253 - len(b)
		le.PutUint16(b[len(b)-2:], uint16(pad))
		return append(b, bytes.Repeat([]byte{' '}, pad)...)
	},
}

func quineHeader(crc uint32, total, packed int) header {
	return header{method: 8, crc: crc, packed: uint32(packed), size: uint32(total), name: "a-file-that-holds-itself-0.zip"}
}

// Package icontest writes icons, and programs that have them, for tests.
package icontest

import (
	"encoding/binary"
	"math/rand/v2"
)

var le = binary.LittleEndian

// Bitmap is an icon's picture of some kind: a header, colours, pixels, a mask.
func Bitmap(r *rand.Rand) []byte {
	sides := []int{16, 24, 32, 48, 64, 96, 36, 72, 128, 256, 20, 28, 17, 33, 40, 12}
	w := sides[r.IntN(len(sides))]
	h := w
	if r.IntN(5) == 0 {
		h = max(16, w-r.IntN(w/3+1))
	}
	depth := []int{1, 4, 8, 16, 24, 32, 32, 2}[r.IntN(8)]
	out := le.AppendUint32(nil, 40)
	out = le.AppendUint32(out, uint32(w))
	out = le.AppendUint32(out, uint32(2*h))
	out = le.AppendUint16(out, 1)
	out = le.AppendUint16(out, uint16(depth))
	out = append(out, make([]byte, 24)...)
	if depth <= 8 {
		for range 1 << depth {
			out = le.AppendUint32(out, r.Uint32N(1<<24)|[]uint32{0, 0, 0xff000000}[r.IntN(3)])
		}
	}
	colour := drawing(r, w, h)
	opacity := r.IntN(3)
	for y := h - 1; y >= 0; y-- {
		row := make([]byte, (w*depth+31)/32*4)
		for x := range w {
			c := colour(x, y)
			switch depth {
			case 32:
				a := []uint32{0, 0xff, r.Uint32N(256)}[opacity]
				le.PutUint32(row[4*x:], c|a<<24)
			case 24:
				row[3*x], row[3*x+1], row[3*x+2] = byte(c), byte(c>>8), byte(c>>16)
			case 16:
				le.PutUint16(row[2*x:], uint16(c>>9&0x7c00|c>>6&0x3e0|c>>3&0x1f))
			default:
				row[x*depth/8] |= byte((c>>16*7+c>>8*3+c)%(1<<depth)) << (8 - depth - x*depth%8)
			}
		}
		out = append(out, row...)
	}
	if r.IntN(8) > 0 {
		for range h * ((w + 31) / 32 * 4) {
			out = append(out, []byte{0, 0, 0xff, byte(r.Uint32())}[r.IntN(4)])
		}
	}
	return out
}

// drawing is something to be seen, 0xRRGGBB for each pixel.
func drawing(r *rand.Rand, w, h int) func(x, y int) uint32 {
	a, b := r.Uint32N(1<<24), r.Uint32N(1<<24)
	n := 2 + r.IntN(8)
	cx, cy, radius := r.IntN(w), r.IntN(h), 2+r.IntN(w/2)
	switch r.IntN(5) {
	case 0:
		return func(int, int) uint32 { return r.Uint32N(1 << 24) }
	case 1:
		return func(x, y int) uint32 {
			if (x-cx)*(x-cx)+(y-cy)*(y-cy) < radius*radius {
				return a
			}
			return b
		}
	case 2:
		return func(x, y int) uint32 { return uint32(x*255/w)<<16 | uint32(y*255/h)<<8 | uint32(x*y%256) }
	case 3:
		return func(x, y int) uint32 { return uint32((x/n+y/n)%2) * 0xffffff }
	}
	return func(int, int) uint32 { return a & 0xff * 0x010101 }
}

// Program is a PE file with a group of icons, in the order given.
func Program(bitmaps ...[]byte) []byte {
	const va, raw = 0x1000, 0x200
	var rsrc []byte
	dir := func(at int, entries ...[2]uint32) {
		le.PutUint16(rsrc[at+14:], uint16(len(entries)))
		for i, e := range entries {
			le.PutUint32(rsrc[at+16+8*i:], e[0])
			le.PutUint32(rsrc[at+20+8*i:], e[1])
		}
	}
	grow := func(n int) int {
		rsrc = append(rsrc, make([]byte, (n+7)&^7)...)
		return len(rsrc) - (n+7)&^7
	}
	const sub = 1 << 31
	data := func(b []byte) uint32 {
		at := grow(len(b))
		copy(rsrc[at:], b)
		entry := grow(16)
		le.PutUint32(rsrc[entry:], uint32(va+at))
		le.PutUint32(rsrc[entry+4:], uint32(len(b)))
		lang := grow(24)
		dir(lang, [2]uint32{0x409, uint32(entry)})
		return uint32(lang) | sub
	}
	root := grow(32)
	group := le.AppendUint32(nil, 1<<16)
	group = le.AppendUint16(group, uint16(len(bitmaps)))
	var icons [][2]uint32
	for i, b := range bitmaps {
		icons = append(icons, [2]uint32{uint32(i + 1), data(b)})
		group = append(group, b[4], b[8]/2, 0, 0, 1, 0, b[14], 0)
		group = le.AppendUint32(group, uint32(len(b)))
		group = le.AppendUint16(group, uint16(i+1))
	}
	one, all := grow(24), grow(16+8*len(icons))
	dir(one, [2]uint32{1, data(group)})
	dir(all, icons...)
	dir(root, [2]uint32{3, uint32(all) | sub}, [2]uint32{14, uint32(one) | sub})
	rsrc = append(rsrc, make([]byte, -len(rsrc)&0x1ff)...)

	out := make([]byte, raw)
	copy(out, "MZ")
	out[0x3c] = 0x40
	h := out[0x40:]
	copy(h, "PE\x00\x00\x4c\x01\x01\x00")
	h[20], h[22], h[23] = 0xe0, 2, 1
	o := h[24:]
	for at, v := range map[int]uint32{0: 0x10b, 16: va, 28: 0x400000, 32: va, 36: raw, 56: va + uint32(len(rsrc)+va-1)&^(va-1), 60: raw, 68: 3, 92: 16, 112: va, 116: uint32(len(rsrc))} {
		le.PutUint32(o[at:], v)
	}
	s := o[0xe0:]
	copy(s, ".rsrc")
	for at, v := range map[int]uint32{8: uint32(len(rsrc)), 12: va, 16: uint32(len(rsrc)), 20: raw, 36: 0x40000040} {
		le.PutUint32(s[at:], v)
	}
	return append(out, rsrc...)
}

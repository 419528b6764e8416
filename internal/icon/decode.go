package icon

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

var le = binary.LittleEndian

const (
	headerSize = 40
	smallest   = 16  // pixels of a side
	largest    = 256 // pixels of a side
)

// Cost is a bound on the steps of work that one icon takes.
const Cost = 4 * largest * largest / 16

// Measure measures the icon whose bitmap (a BITMAPINFOHEADER, colours, pixels, a mask) stands at
// off, and returns how many bytes it has. It is not ok where ClamAV takes it for none: it is too small,
// too large, not nearly square, a PNG, or not all there.
func Measure(src showcause.Source, off int64) (m *Metrics, n int64, ok bool) {
	b, n, ok := read(src, off)
	if !ok {
		return nil, 0, false
	}
	b.blend()
	p := b.scale()
	return measure(p), n, true
}

// bitmap is an icon's picture: pixels 0xAARRGGBB from the top.
type bitmap struct {
	w, h int
	at   []uint32
}

// read reads a bitmap.
func read(src showcause.Source, off int64) (b *bitmap, n int64, ok bool) {
	part := func(n int64) []byte {
		p, err := bound.ReadAt(src, off, n, 1<<20)
		if err != nil || int64(len(p)) < n {
			return nil
		}
		off += n
		return p
	}
	start := off
	h := part(headerSize)
	if h == nil || le.Uint32(h) < headerSize {
		return nil, 0, false
	}
	off = start + int64(le.Uint32(h))
	w, ht, depth := le.Uint32(h[4:]), le.Uint32(h[8:])/2, uint32(le.Uint16(h[14:]))
	if w > largest || ht > largest || w < smallest || ht < smallest || w < ht*3/4 || ht < w*3/4 {
		return nil, 0, false
	}
	var palette []byte
	switch depth {
	case 1, 4, 8:
		if palette = part(4 << depth); palette == nil {
			return nil, 0, false
		}
	case 16, 24, 32:
	default:
		return nil, 0, false
	}
	b = &bitmap{w: int(w), h: int(ht), at: make([]uint32, w*ht)}
	line, mask := int64(w*depth+31)/32*4, int64(w+31)/32*4
	size, with := int64(ht)*line, int64(ht)*mask
	if depth == 32 {
		with = 0
	}
	data := part(size + with)
	if data == nil {
		return nil, 0, false
	}
	b.pixels(data, int(line), int(depth), palette)
	if depth != 32 {
		b.mask(data[size:], int(mask))
	} else if !b.opaque() {
		// Some have no opacity in their fourth bytes, but a mask as others have, or nothing.
		if data = part(int64(ht) * mask); data == nil {
			data = make([]byte, int64(ht)*mask)
		}
		b.mask(data, int(mask))
	}
	return b, off - start, true
}

// opaque tells whether a pixel has any opacity.
func (b *bitmap) opaque() bool {
	for _, c := range b.at {
		if c>>24 != 0 {
			return true
		}
	}
	return false
}

// row is row y as it is stored, from the bottom.
func (b *bitmap) row(y int) []uint32 { return b.at[(b.h-1-y)*b.w:][:b.w] }

// pixels reads the pixels.
func (b *bitmap) pixels(data []byte, line, depth int, palette []byte) {
	for y := range b.h {
		from, row := data[y*line:], b.row(y)
		for x := range row {
			switch depth {
			case 16:
				// Five bits each, of which ClamAV takes six for red and does not
				// keep them apart from the opacity.
				v := uint32(le.Uint16(from[2*x:]))
				blue, green, red := v&0x1f, v>>5&0x1f, v>>8&0xfc
				row[x] = (red<<3|red>>2)<<17 | (green<<3|green>>2)<<11 | blue<<3 | blue>>2
			case 24:
				row[x] = uint32(from[3*x]) | uint32(from[3*x+1])<<8 | uint32(from[3*x+2])<<16
			case 32:
				row[x] = le.Uint32(from[4*x:])
			default:
				bit := x * depth
				i := int(from[bit/8]) >> (8 - depth - bit%8) & (1<<depth - 1)
				row[x] = le.Uint32(palette[4*i:])
			}
		}
	}
}

// mask makes opaque what the mask does not cut out.
func (b *bitmap) mask(data []byte, line int) {
	for y := range b.h {
		row := b.row(y)
		for x := range row {
			if data[y*line+x/8]>>(7-x%8)&1 == 0 {
				row[x] |= 0xff000000
			}
		}
	}
}

// blend puts the icon on white.
func (b *bitmap) blend() {
	for i, c := range b.at {
		a := c >> 24
		on := func(v uint32) uint32 { return 0xff - a + a*(v&0xff)/0xff }
		b.at[i] = on(c>>16)<<16 | on(c>>8)<<8 | on(c)
	}
}

// scale makes a square of at most 32 pixels.
func (b *bitmap) scale() *picture {
	switch {
	case b.w != b.h:
	case b.w == 16 || b.w == 24 || b.w == 32:
		return &picture{b.w, b.at}
	case b.w%32 == 0 || b.w%24 == 0:
		side, at := b.w, b.at
		for side > 32 {
			half := side / 2
			next := make([]uint32, half*half)
			mean := func(a, b uint32) uint32 { return (a^b)&0xfefefefe>>1 + a&b }
			for y := range half {
				for x := range half {
					q := at[2*y*side+2*x:]
					next[y*half+x] = mean(mean(q[0], q[1]), mean(q[side], q[side+1]))
				}
			}
			side, at = half, next
		}
		return &picture{side, at}
	}
	away := func(n int) int { return max(b.w-n, n-b.w) + max(b.h-n, n-b.h) }
	side := 16
	if away(32) < away(24) {
		side = 32
	} else if away(24) < away(16) {
		side = 24
	}
	p := &picture{side, make([]uint32, side*side)}
	sx, sy := float64(b.w)/float64(side), float64(b.h)/float64(side)
	for y := range side {
		for x := range side {
			i := int(float64(y)*sy)*b.w + int(float64(float64(x)*sx)+0.5)
			p.at[y*side+x] = b.at[min(i, len(b.at)-1)]
		}
	}
	return p
}

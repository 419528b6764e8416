package imagehash

import (
	"image"
	"image/color"
)

// smooth returns a JPEG image with a colour for each pixel: where there is one for two or four
// pixels, those between are made as the decoders of JPEG do that take care ("fancy upsampling"
// of libjpeg), and not by repetition.
func smooth(m *image.YCbCr) image.Image {
	b := m.Rect
	if b.Min != (image.Point{}) || m.SubsampleRatio != image.YCbCrSubsampleRatio420 && m.SubsampleRatio != image.YCbCrSubsampleRatio422 {
		return m
	}
	w, h := b.Dx(), b.Dy()
	cw, ch := (w+1)/2, h
	if m.SubsampleRatio == image.YCbCrSubsampleRatio420 {
		ch = (h + 1) / 2
	}
	out := image.NewRGBA(b)
	blue, red := make([]uint8, 2*cw), make([]uint8, 2*cw)
	for y := range h {
		near, far := y, y
		if ch != h {
			near = y / 2
			far = min(max(near-1+2*(y%2), 0), ch-1)
		}
		for _, p := range []struct{ from, to []uint8 }{{m.Cb, blue}, {m.Cr, red}} {
			double(p.from[near*m.CStride:][:cw], p.from[far*m.CStride:][:cw], ch != h, p.to)
		}
		for x := range w {
			r, g, b := color.YCbCrToRGB(m.Y[y*m.YStride+x], blue[x], red[x])
			out.SetRGBA(x, y, color.RGBA{r, g, b, 255})
		}
	}
	return out
}

// double makes two of each value: three parts of the nearer neighbour, one of the other, and
// so between two rows if there is another row.
func double(near, far []uint8, rows bool, to []uint8) {
	at := func(i int) int {
		i = min(max(i, 0), len(near)-1)
		if rows {
			return 3*int(near[i]) + int(far[i])
		}
		return 4 * int(near[i])
	}
	for i := range near {
		to[2*i] = uint8((3*at(i) + at(i-1) + 8) >> 4)
		to[2*i+1] = uint8((3*at(i) + at(i+1) + 8) >> 4)
	}
}

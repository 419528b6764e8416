// Package imagehash makes the perceptual hash of an image by which ClamAV's signatures name
// images ("fuzzy_img"): 64 signs of the lowest frequencies of the image, in grey, at 32 by 32
// pixels. It is that of phash() in Python's imagehash, as ClamAV 1.4 has it.
package imagehash

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
)

// MaxPixels is the number of pixels of the largest image that is hashed.
const MaxPixels = 1 << 25

const side = 32 // pixels of the small image

// The errors.
var (
	ErrFormat = errors.New("image: not of a format that is hashed") // PNG, GIF and JPEG are
	ErrLarge  = errors.New("image: too many pixels")
)

// Hash returns the hash of an image file, its first frame if there are several. work is
// told the number of pixels before they are read; where it says no the error is ErrLarge. Other
// errors say that the file does not hold together.
func Hash(data []byte, work func(pixels int64) bool) (h [8]byte, err error) {
	config, decode := formatOf(data)
	if decode == nil {
		return h, ErrFormat
	}
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return h, fmt.Errorf("image: %w", err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > MaxPixels/c.Height || !work(int64(c.Width)*int64(c.Height)) {
		return h, ErrLarge
	}
	m, err := decode(bytes.NewReader(data))
	if err != nil {
		return h, fmt.Errorf("image: %w", err)
	}
	if j, ok := m.(*image.YCbCr); ok {
		m = smooth(j)
	}
	return signs(transform(shrink(grey(m, c.Width, c.Height)))), nil
}

// formatOf tells an image by its first bytes.
func formatOf(b []byte) (config func(*bytes.Reader) (image.Config, error), decode func(*bytes.Reader) (image.Image, error)) {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) }, func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) }
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return func(r *bytes.Reader) (image.Config, error) { return gif.DecodeConfig(r) }, func(*bytes.Reader) (image.Image, error) { return gif.Decode(bytes.NewReader(opaque(b))) }
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) }, func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) }
	}
	return nil, nil
}

// opaque returns a GIF file whose first frame has no transparent colour, which would lose its
// value.
func opaque(b []byte) []byte {
	if len(b) < 13 {
		return b
	}
	at := 13
	if b[10]&0x80 != 0 {
		at += 3 << (1 + b[10]&7)
	}
	for at+3 < len(b) && b[at] == 0x21 { // extensions
		if b[at+1] == 0xf9 {
			b = bytes.Clone(b)
			b[at+3] &^= 1
		}
		for at += 2; at < len(b) && b[at] != 0; at += 1 + int(b[at]) {
		}
		at++
	}
	return b
}

// plane is an image in grey.
type plane struct {
	w, h int
	pix  []uint8
}

// grey returns the image in grey, whole numbers to 255, without regard to transparency; what
// of w by h pixels it does not cover is black.
func grey(m image.Image, w, h int) plane {
	p := plane{w, h, make([]uint8, w*h)}
	b := m.Bounds().Intersect(image.Rect(0, 0, w, h))
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := p.pix[y*w : (y+1)*w]
		for x := b.Min.X; x < b.Max.X; x++ {
			row[x] = luma(m, x, y)
		}
	}
	return p
}

// luma is the brightness of one pixel by ITU-R 601-2.
func luma(m image.Image, x, y int) uint8 {
	var r, g, b uint8
	switch m := m.(type) {
	case *image.Gray:
		return m.GrayAt(x, y).Y
	case *image.NRGBA:
		c := m.NRGBAAt(x, y)
		r, g, b = c.R, c.G, c.B
	case *image.RGBA:
		c := m.RGBAAt(x, y)
		r, g, b = c.R, c.G, c.B
	case *image.YCbCr:
		c := m.YCbCrAt(x, y)
		r, g, b = color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
	case *image.NRGBA64, *image.RGBA64, *image.Gray16:
		c := color.NRGBA64Model.Convert(m.At(x, y)).(color.NRGBA64)
		eight := func(v uint16) uint8 { return uint8((uint32(v) + 128) / 257) }
		r, g, b = eight(c.R), eight(c.G), eight(c.B)
	default:
		c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
		r, g, b = c.R, c.G, c.B
	}
	return uint8(math.Round(float64(float32(0.299)*float32(r) + float32(0.587)*float32(g) + float32(0.114)*float32(b))))
}

// shrink makes it 32 by 32 by Lanczos' filter, whole numbers again.
func shrink(p plane) (out [side][side]float64) {
	// Down the columns first.
	rows := make([]float32, side*p.w)
	for y := range side {
		left, weights := window(y, p.h)
		for x := range p.w {
			sum := float32(0)
			for i, w := range weights {
				sum += float32(p.pix[(left+i)*p.w+x]) * w
			}
			rows[y*p.w+x] = sum
		}
	}
	for x := range side {
		left, weights := window(x, p.w)
		for y := range side {
			sum := float32(0)
			for i, w := range weights {
				sum += rows[y*p.w+left+i] * w
			}
			out[y][x] = math.Round(float64(min(max(sum, 0), 255)))
		}
	}
	return out
}

// window returns which of n pixels make up pixel at of the small image, and how much.
func window(at, n int) (left int, weights []float32) {
	ratio := float32(n) / side
	scale := max(ratio, 1)
	centre := (float32(at) + 0.5) * ratio
	left = min(max(int(math.Floor(float64(centre-3*scale))), 0), n-1)
	right := min(max(int(math.Ceil(float64(centre+3*scale))), left+1), n)
	sum := float32(0)
	for i := left; i < right; i++ {
		w := lanczos((float32(i) - (centre - 0.5)) / scale)
		weights = append(weights, w)
		sum += w
	}
	for i := range weights {
		weights[i] /= sum
	}
	return left, weights
}

func lanczos(x float32) float32 {
	if x <= -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float32) float32 {
	if x == 0 {
		return 1
	}
	a := x * math.Pi
	return float32(math.Sin(float64(a))) / a
}

// transform returns the cosine transform (DCT-II) of rows and columns, but for a factor.
func transform(in [side][side]float64) (out [side][side]float64) {
	var column [side]float64
	for x := range side {
		for y := range side {
			column[y] = in[y][x] / 255
		}
		for y, v := range cosines(column[:]) {
			out[y][x] = v
		}
	}
	for y := range side {
		copy(out[y][:], cosines(out[y][:]))
	}
	return out
}

// cosines is the transform of one row, by halves: what stands symmetrically cancels to zero
// and not nearly so, as signs are made of it.
func cosines(in []float64) []float64 {
	n := len(in)
	if n == 1 {
		return []float64{in[0]}
	}
	sums, differences := make([]float64, n/2), make([]float64, n/2)
	for i := range n / 2 {
		sums[i], differences[i] = in[i]+in[n-1-i], in[i]-in[n-1-i]
	}
	out := make([]float64, n)
	for k, v := range cosines(sums) {
		out[2*k] = v
	}
	for k := range n / 2 {
		for i, d := range differences {
			out[2*k+1] += d * math.Cos(math.Pi*float64((2*i+1)*(2*k+1))/float64(2*n))
		}
	}
	return out
}

// signs tells which of the 64 lowest frequencies are above their median.
func signs(t [side][side]float64) (h [8]byte) {
	var low []float64
	for y := range 8 {
		low = append(low, t[y][:8]...)
	}
	sorted := slices.Sorted(slices.Values(low))
	median := (sorted[31] + sorted[32]) / 2
	for i, v := range low {
		if v > median {
			h[i/8] |= 0x80 >> (i % 8)
		}
	}
	return h
}

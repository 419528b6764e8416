package icon

import "math"

// picture is one of side by side pixels, or what was made of it.
type picture struct {
	side int
	at   []uint32
}

func (p *picture) pixel(x, y int) uint32 { return p.at[y*p.side+x] }

// channels are the parts of a pixel, 0xRRGGBB, its saturation, its value and its chroma.
func channels(c uint32) (r, g, b, s, v, chroma uint32) {
	r, g, b = c>>16&0xff, c>>8&0xff, c&0xff
	v = max(r, g, b)
	if chroma = v - min(r, g, b); chroma > 0 {
		s = 255 * chroma / v
	}
	return r, g, b, s, v, chroma
}

// measure measures a picture, which is changed.
func measure(p *picture) *Metrics {
	m := &Metrics{Side: p.side}
	colour, light := m.paint(p)
	extremes(p.side, colour, m.colour[:], m.grey[:])
	extremes(p.side, light, m.bright[:], m.dark[:])
	if m.share*100/uint32(p.side)/uint32(p.side) > 5 {
		m.red, m.green, m.blue = m.red/m.share, m.green/m.share, m.blue/m.share
		m.share = m.share * 100 / uint32(p.side) / uint32(p.side)
	} else {
		m.red, m.green, m.blue, m.share = 0, 0, 0, 0
	}
	p.edges()
	p.blur()
	window := p.windows(func(c uint32) uint32 { return c & 0xff })
	if m.share > 0 {
		extremes(p.side, window, m.edge[:], m.plain[:])
		return m
	}
	var most, least [6]area
	extremes(p.side, window, most[:], least[:])
	m.edge, m.colour = [3]area(most[:3]), [3]area(most[3:])
	m.plain, m.grey = [3]area(least[:3]), [3]area(least[3:])
	for i := range m.grey { // ClamAV's own places there are those of the edges
		m.grey[i].x, m.grey[i].y = m.colour[i].x, m.colour[i].y
	}
	return m
}

// paint sums up colour and light in each window, and the colours of all pixels.
func (m *Metrics) paint(p *picture) (colour, light []uint32) {
	for _, c := range p.at {
		r, g, b, s, v, chroma := channels(c)
		if s > 85 && v > 85 {
			m.share++
			m.red += 100 - 100*distance(g, b)/chroma
			m.green += 100 - 100*distance(r, b)/chroma
			m.blue += 100 - 100*distance(r, g)/chroma
		}
	}
	colour = p.windows(func(c uint32) uint32 {
		_, _, _, s, v, _ := channels(c)
		return uint32(math.Sqrt(float64(s * s * v)))
	})
	light = p.windows(func(c uint32) uint32 { return max(c>>16&0xff, c>>8&0xff, c&0xff) })
	return colour, light
}

// windows sums up what a pixel gives over the squares of a quarter of the side.
func (p *picture) windows(of func(uint32) uint32) []uint32 {
	n, k := p.side, p.side/4
	rows, out := make([]uint32, n*n), make([]uint32, n*n)
	for y := range n {
		for x := n - 1; x >= 0; x-- {
			sum := of(p.pixel(x, y))
			if x+1 < n {
				sum += rows[y*n+x+1]
			}
			if x+k < n {
				sum -= of(p.pixel(x+k, y))
			}
			rows[y*n+x] = sum
		}
	}
	for x := range n {
		for y := n - 1; y >= 0; y-- {
			sum := rows[y*n+x]
			if y+1 < n {
				sum += out[(y+1)*n+x]
			}
			if y+k < n {
				sum -= rows[(y+k)*n+x]
			}
			out[y*n+x] = sum
		}
	}
	return out
}

// extremes takes the windows with the greatest and the least sums, one after the other; none
// overlaps one that was taken before. Averages are per pixel.
func extremes(side int, sums []uint32, most, least []area) {
	k := uint32(side / 4)
	free := func(taken []area, x, y uint32) bool {
		for _, a := range taken {
			if x+k > a.x && x < a.x+k && y+k > a.y && y < a.y+k {
				return false
			}
		}
		return true
	}
	for i := range most {
		hi, lo := area{}, area{average: math.MaxUint32}
		for y := range uint32(side) - k {
			for x := range uint32(side) - 1 - k {
				sum := sums[y*uint32(side)+x]
				if sum > hi.average && free(most[:i], x, y) {
					hi = area{sum, x, y}
				}
				if sum < lo.average && free(least[:i], x, y) {
					lo = area{sum, x, y}
				}
			}
		}
		most[i], least[i] = hi, lo
	}
	for i := range most {
		most[i].average /= k * k
		least[i].average /= k * k
	}
}

// edges makes a picture of its edges (Sobel, over the distance of each colour from a grey), the
// strongest white.
func (p *picture) edges() {
	n := p.side
	from := make([]float64, n*n)
	for i, c := range p.at {
		from[i] = fromGrey(c)
	}
	slope := make([]uint32, n*n)
	top := uint32(0)
	for y := 1; y < n-1; y++ {
		for x := 1; x < n-1; x++ {
			at := func(dx, dy int) float64 { return from[(y+dy)*n+x+dx] }
			gx := at(-1, -1) + at(-1, 0)*2 + at(-1, 1) - at(1, -1) - at(1, 0)*2 - at(1, 1)
			gy := at(-1, -1) + at(0, -1)*2 + at(1, -1) - at(-1, 1) - at(0, 1)*2 - at(1, 1)
			s := uint32(math.Sqrt(float64(gx*gx) + float64(gy*gy)))
			slope[y*n+x] = s
			top = max(top, s)
		}
	}
	for y := range n {
		for x := range n {
			switch i := y*n + x; {
			case x == 0 || y == 0 || x == n-1 || y == n-1:
				p.at[i] = 0
			case top > 0:
				p.at[i] = slope[i] * 255 / top
			}
		}
	}
}

// blur smoothes the lowest eight bits by rows, then by columns, where what is above a pixel is
// smooth already.
func (p *picture) blur() {
	n := p.side
	from, rows := make([]uint32, n*n), make([]uint32, n*n)
	for i, c := range p.at {
		from[i] = c & 0xff
	}
	inner := func(do func(i int)) {
		for y := 1; y < n-1; y++ {
			for x := 1; x < n-1; x++ {
				do(y*n + x)
			}
		}
	}
	inner(func(i int) { rows[i] = (from[i-1] + 2*from[i] + from[i+1]) / 4 })
	inner(func(i int) { p.at[i] = (p.at[i-n] + 2*rows[i] + rows[i+n]) / 4 })
}

// f is a number as C takes it that is written with an f.
func f(v float32) float64 { return float64(v) }

// fromGrey is how far a colour is from the middle grey in CIE L*a*b* (CIE 76), with the
// roundings of ClamAV's constants.
func fromGrey(c uint32) float64 {
	linear := func(v uint32) float64 {
		x := float64(v&0xff) / 255
		if x > f(0.04045) {
			x = math.Pow((x+f(0.055))/f(1.055), f(2.4))
		} else {
			x /= f(12.92)
		}
		return x * 100
	}
	r, g, b := linear(c>>16), linear(c>>8), linear(c)
	part := func(rr, gg, bb, white float32) float64 {
		v := (float64(r*f(rr)) + float64(g*f(gg)) + float64(b*f(bb))) / f(white)
		if v > f(0.008856) {
			return math.Pow(v, f(1.0/3.0))
		}
		return float64(f(7.787)*v) + f(float32(16.0)/float32(116.0))
	}
	x, y, z := part(0.4124, 0.3576, 0.1805, 95.047), part(0.2126, 0.7152, 0.0722, 100), part(0.0193, 0.1192, 0.9505, 108.883)
	light := float64(116*y) - 16
	dl, da, db := f(53.192777691077211)-light, f(0.0031420942181448197)-500*(x-y), f(-0.0062075877844014471)-200*(y-z)
	return math.Sqrt(float64(dl*dl) + float64(da*da) + float64(db*db))
}

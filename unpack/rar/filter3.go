package rar

// itanium turns the absolute targets of branches in bundles of 128 bits into
// relative ones.
func itanium(b []byte, at int64) []byte {
	const slots = "\x04\x04\x06\x06\x00\x00\x07\x07\x04\x04\x00\x00\x04\x04\x00\x00"
	bits := func(p []byte, at, n int) (v uint32) {
		for i := range n {
			v |= uint32(p[(at+i)/8]>>((at+i)%8)&1) << i
		}
		return v
	}
	place := uint32(at) >> 4
	for i := 0; i+21 < len(b); i += 16 {
		p := b[i : i+21]
		if k := int(p[0]&31) - 16; k >= 0 {
			for slot := range 3 {
				start := slot*41 + 5
				if slots[k]>>slot&1 == 0 || bits(p, start+37, 4) != 5 {
					continue
				}
				v := bits(p, start+13, 20) - place
				for j := range 20 {
					k := start + 13 + j
					p[k/8] = p[k/8]&^(1<<(k%8)) | byte(v>>j&1)<<(k%8)
				}
			}
		}
		place++
	}
	return b
}

// rgb undoes the Paeth predictor over rows of width bytes, and the differences
// of red and blue to green.
func rgb(b []byte, width, red int) []byte {
	if width < 0 || red < 0 {
		return nil
	}
	abs := func(v int) int { return max(v, -v) }
	out := make([]byte, len(b))
	src := 0
	for c := range 3 {
		prev := 0
		for i := c; i < len(b); i += 3 {
			guess := prev
			if up := i - width; up >= 3 {
				above, corner := int(out[up]), int(out[up-3])
				guess = prev + above - corner
				a, u, l := abs(guess-prev), abs(guess-above), abs(guess-corner)
				switch {
				case a <= u && a <= l:
					guess = prev
				case u <= l:
					guess = above
				default:
					guess = corner
				}
			}
			prev = int(byte(guess - int(b[src])))
			out[i] = byte(prev)
			src++
		}
	}
	for i := red; i < len(b)-2; i += 3 {
		out[i] += out[i+1]
		out[i+2] += out[i+1]
	}
	return out
}

// audio undoes an adaptive linear predictor in each channel.
func audio(b []byte, channels int) []byte {
	abs := func(v int) int { return max(v, -v) }
	out := make([]byte, len(b))
	src := 0
	for c := range channels {
		var prev, change, d1, d2, d3, k1, k2, k3 int
		var sums [7]int
		for i, n := c, 0; i < len(b); i, n = i+channels, n+1 {
			d3 = d2
			d2 = change - d1
			d1 = change
			guess := (8*prev + k1*d1 + k2*d2 + k3*d3) >> 3 & 0xff
			cur := b[src]
			src++
			v := byte(guess - int(cur))
			out[i] = v
			change = int(int8(int(v) - prev))
			prev = int(v)
			d := int(int8(cur)) << 3
			for j, x := range [7]int{d, d - d1, d + d1, d - d2, d + d2, d - d3, d + d3} {
				sums[j] += abs(x)
			}
			if n&31 != 0 {
				continue
			}
			best := 0
			for j := range sums {
				if sums[j] < sums[best] {
					best = j
				}
			}
			sums = [7]int{}
			k := [...]*int{nil, &k1, &k1, &k2, &k2, &k3, &k3}[best]
			switch {
			case k == nil:
			case best%2 == 1 && *k >= -16:
				*k--
			case best%2 == 0 && *k < 16:
				*k++
			}
		}
	}
	return out
}

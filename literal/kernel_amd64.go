package literal

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasVectors tells whether the machine has what kernel_amd64.s needs.
func hasVectors() bool { return cpu.X86.HasAVX2 }

type lanes [8]uint32

func all(v uint32) lanes { return lanes{v, v, v, v, v, v, v, v} }

// vectors are what the kernels of a stride tier keep in registers. The
// assembly knows the offsets.
type vectors struct {
	a, b, c, ones, five, or lanes // factors A, B, C; 1; 31; what is set
	low, high, salt         lanes // of a gram: masks of its halves
	order                   lanes // from 16 bytes, the 4 bytes of each of 8 places
	shift                   [8]uint32

	front0, front1, back, d, e, window lanes // of a window: masks; factors D, E; as order, at each place
	windowShift                        [8]uint32
}

// fill fills the vectors of t.
func (v *vectors) fill(t *tier) {
	v.a, v.b, v.c, v.d, v.e = all(factorA), all(factorB), all(factorC), all(factorD), all(factorE)
	v.ones, v.five, v.or, v.salt = all(1), all(31), all(uint32(t.or)), all(t.salt)
	v.low, v.high = all(uint32(t.gramMask)), all(uint32(t.gramMask>>32))
	v.front0, v.front1, v.back = all(uint32(t.frontMask)), all(uint32(t.frontMask>>32)), all(uint32(t.backMask))
	v.order, v.window = steps(t.stride), steps(1)
	v.shift[0], v.windowShift[0] = uint32(t.filterShift), uint32(t.windowShift)
}

// steps returns, for 8 places a step apart, where in two times 16 bytes the 4
// bytes at each are: the second 16 begin at the fifth place.
func steps(step int) (out lanes) {
	for i := range out {
		at := uint32(i % 4 * min(step, 2))
		out[i] = at | (at+1)<<8 | (at+2)<<16 | (at+3)<<24
	}
	return out
}

// shortVectors are the masks of the short tier, for 8 buckets each: by place,
// those of the low and of the high halves, twice.
type shortVectors struct {
	masks [2][shortPlaces][2][32]byte
	wide  bool // there are more than 8 buckets
}

func (v *shortVectors) fill(table []uint32) {
	for k := range shortPlaces {
		for half := range 2 {
			for i := range 32 {
				mask := table[(k*2+half)*16+i%16]
				v.masks[0][k][half][i] = byte(mask)
				v.masks[1][k][half][i] = byte(mask >> 8)
				v.wide = v.wide || mask>>8 != 0
			}
		}
	}
}

func (t *tier) probeVector(b []byte, groups int, out []byte) {
	p, filter, o := unsafe.SliceData(b), unsafe.SliceData(t.filter), unsafe.SliceData(out)
	switch low := t.gram <= 4; {
	case low && t.stride == 1:
		probe1low(p, groups, filter, &t.vectors, o)
		return
	case low && t.stride == 2:
		probe2low(p, groups, filter, &t.vectors, o)
		return
	case low && t.stride == 4:
		probe4low(p, groups, filter, &t.vectors, o)
		return
	}
	switch t.stride {
	case 1:
		probe1(p, groups, filter, &t.vectors, o)
	case 2:
		probe2(p, groups, filter, &t.vectors, o)
	case 4:
		probe4(p, groups, filter, &t.vectors, o)
	case 8:
		probe8(p, groups, filter, &t.vectors, o)
	case 16:
		probe16(p, groups, filter, &t.vectors, o)
	}
}

func (t *tier) lookVector(b []byte, places []uint32, back int, out []byte) {
	look(unsafe.SliceData(b), unsafe.SliceData(places), len(places), unsafe.SliceData(t.windows), &t.vectors, -back-7, t.width()-8, unsafe.SliceData(out))
}

func (t *shortTier) probeVector(b []byte, groups int, out []byte) {
	if t.vectors.wide {
		shortWide(unsafe.SliceData(b), groups, &t.vectors, unsafe.SliceData(out))
		return
	}
	short(unsafe.SliceData(b), groups, &t.vectors, unsafe.SliceData(out))
}

// probe1 to probe16 are probePlain for one stride each.
//
//go:noescape
func probe1(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe2(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe4(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe8(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe16(p *byte, groups int, filter *uint32, v *vectors, out *byte)

// probe1low to probe4low are those for grams of 4 bytes and less.
//
//go:noescape
func probe1low(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe2low(p *byte, groups int, filter *uint32, v *vectors, out *byte)

//go:noescape
func probe4low(p *byte, groups int, filter *uint32, v *vectors, out *byte)

// look is maskLanes for n places: the first window of a place begins at first
// from it, and its last 8 bytes at last from there. Bits of lanes that are of no
// phase may be set.
//
//go:noescape
func look(p *byte, places *uint32, n int, windows *uint32, v *vectors, first, last int, out *byte)

// short and shortWide are shortTier.probePlain, for 8 and for 16 buckets.
//
//go:noescape
func short(p *byte, groups int, v *shortVectors, out *byte)

//go:noescape
func shortWide(p *byte, groups int, v *shortVectors, out *byte)

// fits is fitPlain for n places and a number of checks.
//
//go:noescape
func fits(p *byte, places *uint32, n int, checks *fit, count int, out *byte)

func (t *shortTier) fitVector(b []byte, places []uint32, out []byte) {
	fits(unsafe.SliceData(b), unsafe.SliceData(places), len(places), unsafe.SliceData(t.checks), len(t.checks), unsafe.SliceData(out))
}

// xorNext writes each of n bytes, a multiple of 32, exclusive-or the next to dst.
//
//go:noescape
func xorNext(dst, src *byte, n int)

// deltasVector is deltas for as many bytes as are a multiple of 32, which it returns.
func deltasVector(dst, b []byte) int {
	n := max(0, len(b)-1) &^ 31
	if n > 0 {
		_ = dst[n-1]
		xorNext(unsafe.SliceData(dst), unsafe.SliceData(b), n)
	}
	return n
}

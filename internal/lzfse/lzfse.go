// Package lzfse decodes LZFSE and LZVN, in which Apple's disk images and file
// systems are compressed.
//
//	stream = block*, "bvx$"
//	"bvx-"   bytes u32, as they are
//	"bvxn"   bytes u32, length u32, LZVN
//	"bvx2"   bytes u32, header, literals, then triples of lengths and distances: see head
//
// All numbers are little-endian (Apple, lzfse: lzfse_internal.h, lzfse_fse.h,
// for the meaning of the fields and the tables of bases).
package lzfse

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// ErrData is what damaged data give, ErrKind an old kind of block that no encoder
// writes, and ErrWork what comes when the caller's work is spent.
var (
	ErrData = errors.New("lzfse: damaged")
	ErrKind = errors.New("lzfse: a block of version 1")
	ErrWork = errors.New("lzfse: too much work")
)

// blockWork is the work of a block's tables, in steps.
const blockWork = 2048

var le = binary.LittleEndian

// Decode appends to out what b holds, which may make it most bytes long, no more. What was
// decoded comes with an error too. It allocates no more than comes out. work is asked
// for the steps of each block.
func Decode(out, b []byte, most int, work func(steps int64) bool) ([]byte, error) {
	var d decoder
	start := len(out)
	for {
		if len(b) < 4 {
			return out, ErrData
		}
		magic := string(b[:4])
		if magic == "bvx$" {
			return out, nil
		}
		if len(b) < 12 {
			return out, ErrData
		}
		n := int(le.Uint32(b[4:]))
		if n > most-len(out) {
			return out, ErrData
		}
		if !work(blockWork) {
			return out, ErrWork
		}
		var used int
		var err error
		switch magic {
		case "bvx-":
			if used = 8 + n; used > len(b) {
				return append(out, b[8:]...), ErrData
			}
			out = append(out, b[8:used]...)
		case "bvxn":
			size := int(le.Uint32(b[8:]))
			if size > len(b)-12 {
				return out, ErrData
			}
			used = 12 + size
			before := len(out)
			out, err = lzvn(out, start, b[12:used], before+n)
			if err == nil && len(out) != before+n {
				err = ErrData
			}
		case "bvx2":
			out, used, err = d.block(out, start, b, n)
		case "bvx1":
			err = ErrKind
		default:
			err = ErrData
		}
		if err != nil {
			return out, err
		}
		b = b[used:]
	}
}

// The symbols: how many there are, and of how many states their coders are.
const (
	symbolsL, symbolsM, symbolsD, symbolsLit = 20, 20, 64, 256
	statesL, statesM, statesD, statesLit     = 64, 64, 256, 1024

	maxLiterals = 40_000 // of a block, at most 10,000 matches
	maxMatches  = 10_000
)

// decoder is the tables of one block.
type decoder struct {
	l, m     [statesL]value
	d        [statesD]value
	lit      [statesLit]entry
	literals []byte
}

// entry is a state of a coder of bytes: the next is delta and k bits.
type entry struct {
	k      int8
	symbol uint8
	delta  int16
}

// value is a state of a coder of numbers: all bits of it are k for the next
// state and then extra for the number.
type value struct {
	total, extra uint8
	delta        int16
	base         int32
}

// extraM has the extra bits of the four last symbols of M; extraL those of L.
var (
	extraL = [4]uint8{2, 3, 5, 8}
	extraM = [4]uint8{3, 5, 8, 11}
)

// head is the header of a block. Bits of 32 + 8 i on:
//
//	8   20 literals, 20 bytes of them, 20 matches, 3 bits to spare before the literals, and 7
//	16  4 x 10 states of literals, 20 bytes of matches, 3 bits to spare before those, and 7
//	24  32 size of the header, 10 state of L, 10 of M, 10 of D
//	32  frequencies, of L, M, D and literals
type head struct {
	literals, literalBytes, matches, matchBytes int
	literalBits, matchBits                      int
	states                                      [4]int
	size, l, m, d                               int
}

func parse(b []byte) (h head, ok bool) {
	if len(b) < 32 {
		return h, false
	}
	v := [3]uint64{le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])}
	field := func(i, off, n int) int { return int(v[i] >> off & (1<<n - 1)) }
	h = head{
		literals: field(0, 0, 20), literalBytes: field(0, 20, 20), matches: field(0, 40, 20), literalBits: field(0, 60, 3) - 7,
		matchBytes: field(1, 40, 20), matchBits: field(1, 60, 3) - 7,
		size: field(2, 0, 32), l: field(2, 32, 10), m: field(2, 42, 10), d: field(2, 52, 10),
	}
	for i := range h.states {
		h.states[i] = field(1, 10*i, 10)
	}
	return h, h.literals <= maxLiterals && h.literals%4 == 0 && h.matches <= maxMatches && h.l < statesL && h.m < statesM && h.d < statesD &&
		h.size >= 32 && h.size <= len(b) && h.literalBytes+h.matchBytes <= len(b)-h.size
}

// frequencies reads n numbers of 2 to 14 bits from b.
func frequencies(b []byte, out []uint16) bool {
	short := [32]uint8{
		0x20, 0x22, 0x21, 0x54, 0x20, 0x23, 0x21, 0, 0x20, 0x22, 0x21, 0x55, 0x20, 0x23, 0x21, 0,
		0x20, 0x22, 0x21, 0x56, 0x20, 0x23, 0x21, 0, 0x20, 0x22, 0x21, 0x57, 0x20, 0x23, 0x21, 0,
	}
	// Of the short ones, the first digit is the length: 2 for 0 and 1, 3 for 2 and 3, 5 for 4 to 7.
	var acc uint64
	have := 0
	for i := range out {
		for have <= 48 && len(b) > 0 {
			acc |= uint64(b[0]) << have
			have += 8
			b = b[1:]
		}
		n, v := 0, uint16(0)
		switch low := acc & 31; {
		case low&15 == 7:
			n, v = 8, 8+uint16(acc>>4&15)
		case low&15 == 15:
			n, v = 14, 24+uint16(acc>>4&0x3ff)
		default:
			v = uint16(short[low] & 15)
			n = [8]int{2, 2, 3, 3, 5, 5, 5, 5}[v]
		}
		if n > have {
			return false
		}
		acc >>= n
		have -= n
		out[i] = v
	}
	return have < 8 && len(b) == 0
}

// spread calls put for each state of a coder, in order: for the symbol of
// frequency f, the states are f, of which some have one bit less.
func spread(freq []uint16, states int, put func(at, symbol, k, delta int)) bool {
	at := 0
	clz := bits.LeadingZeros32(uint32(states))
	for s, c := range freq {
		f := int(c)
		if f == 0 {
			continue
		}
		if at+f > states {
			return false
		}
		k := bits.LeadingZeros32(uint32(f)) - clz
		full := 2*states>>k - f
		for j := range f {
			if j < full {
				put(at, s, k, (f+j)<<k-states)
			} else {
				put(at, s, k-1, (j-full)<<(k-1))
			}
			at++
		}
	}
	return true // states that no symbol has say 0, as Apple's decoder takes them
}

func values(out []value, freq []uint16, extra func(symbol int) uint8) bool {
	clear(out)
	base := make([]int32, len(freq)+1)
	for s := range freq {
		base[s+1] = base[s] + 1<<extra(s)
	}
	return spread(freq, len(out), func(at, s, k, delta int) {
		e := extra(s)
		out[at] = value{total: uint8(k) + e, extra: e, delta: int16(delta), base: base[s]}
	})
}

// tables makes the coders of a block.
func (d *decoder) tables(b []byte) bool {
	var freq [symbolsL + symbolsM + symbolsD + symbolsLit]uint16
	if len(b) > 0 && !frequencies(b, freq[:]) {
		return false
	}
	last := func(list [4]uint8) func(int) uint8 {
		return func(s int) uint8 {
			if s < 16 {
				return 0
			}
			return list[s-16]
		}
	}
	clear(d.lit[:])
	f := freq[:]
	return values(d.l[:], f[:symbolsL], last(extraL)) &&
		values(d.m[:], f[symbolsL:symbolsL+symbolsM], last(extraM)) &&
		values(d.d[:], f[symbolsL+symbolsM:symbolsL+symbolsM+symbolsD], func(s int) uint8 { return uint8(s / 4) }) &&
		spread(f[symbolsL+symbolsM+symbolsD:], statesLit, func(at, s, k, delta int) {
			d.lit[at] = entry{int8(k), uint8(s), int16(delta)}
		})
}

// block decodes a block of n bytes, and returns how long it is.
func (d *decoder) block(out []byte, start int, b []byte, n int) ([]byte, int, error) {
	h, ok := parse(b)
	if !ok || !d.tables(b[32:h.size]) {
		return out, 0, ErrData
	}
	body := b[h.size:]
	r := reader{b: body[:h.literalBytes]}
	if !r.begin(h.literalBits) {
		return out, 0, ErrData
	}
	d.literals = d.literals[:0]
	for range h.literals / 4 {
		if !r.fill() {
			return out, 0, ErrData
		}
		for k := range h.states {
			e := d.lit[h.states[k]&(statesLit-1)]
			h.states[k] = int(e.delta) + int(r.take(uint(e.k)))
			d.literals = append(d.literals, e.symbol)
		}
	}
	if !r.whole() {
		return out, 0, ErrData
	}
	body = body[h.literalBytes:]
	out, err := d.matches(out, start, reader{b: body[:h.matchBytes]}, h, n)
	return out, h.size + h.literalBytes + h.matchBytes, err
}

// next reads a number and the next state.
func (r *reader) next(table []value, state *int) int {
	e := table[*state&(len(table)-1)]
	v := int(r.take(uint(e.total)))
	*state = int(e.delta) + v>>e.extra
	return int(e.base) + v&(1<<e.extra-1)
}

// matches gives a block of n bytes: in turn some literals, and a match of some
// bytes at a distance.
func (d *decoder) matches(out []byte, start int, r reader, h head, n int) ([]byte, error) {
	if !r.begin(h.matchBits) {
		return out, ErrData
	}
	end, literals, back := len(out)+n, d.literals, 0
	for range h.matches {
		if !r.fill() {
			return out, ErrData
		}
		l := r.next(d.l[:], &h.l)
		m := r.next(d.m[:], &h.m)
		if v := r.next(d.d[:], &h.d); v != 0 {
			back = v
		}
		if !r.whole() || l > len(literals) || l+m > end-len(out) {
			return out, ErrData
		}
		out = append(out, literals[:l]...)
		literals = literals[l:]
		if m > 0 && (back == 0 || back > len(out)-start) {
			return out, ErrData
		}
		out = repeat(out, back, m)
	}
	if len(out) != end {
		return out, ErrData
	}
	return out, nil
}

// repeat appends n bytes that stand back bytes before.
func repeat(out []byte, back, n int) []byte {
	for n > 0 {
		from := len(out) - back
		k := min(n, back)
		out = append(out, out[from:from+k]...)
		n -= k
	}
	return out
}

// reader reads bits from the end of b towards its start, the highest first. Before
// the start there are zeros, which may not be asked for.
type reader struct {
	b     []byte
	acc   uint64
	have  uint
	extra uint // zeros among them
}

// begin takes the last bytes. spare is how many of their bits are none, below
// 0, or 0.
func (r *reader) begin(spare int) bool {
	if spare > 0 || spare < -7 {
		return false
	}
	for r.have < 56 || spare < 0 && r.have < 64 {
		r.byte()
	}
	r.have -= uint(-spare)
	return r.have == 64 || r.acc>>r.have == 0
}

// byte takes one more byte below those that are there.
func (r *reader) byte() {
	r.acc <<= 8
	r.have += 8
	if n := len(r.b); n > 0 {
		r.acc |= uint64(r.b[n-1])
		r.b = r.b[:n-1]
	} else {
		r.extra += 8
	}
}

// fill takes bytes while there is room for them. It is false where more was
// taken than there was.
func (r *reader) fill() bool {
	for r.have <= 55 {
		r.byte()
	}
	return r.whole()
}

func (r *reader) whole() bool { return r.have >= r.extra }

func (r *reader) take(n uint) uint64 {
	r.have -= n
	v := r.acc >> r.have
	r.acc &= 1<<r.have - 1
	return v
}

package engine

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

func nothing(*run, []uint64) uint64 { return 0 }

func test1(_ *run, a []uint64) uint64 {
	if a[0] == 0xf00dbeef && a[1] == 0xbeeff00d {
		return 0x12345678
	}
	return 0x55
}

func test2(_ *run, a []uint64) uint64 {
	if a[0] == 0xf00d {
		return 0xd00f
	}
	return 0x5555
}

// maxName is how long the name of a virus may be.
const maxName = 1024

// text is the C string at the pointer.
func (m *run) text(ptr uint64) string {
	b := m.Target(ptr, false)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	m.Charge(int64(len(b)) / 16)
	return string(b)
}

// setvirusname(name, len). The name may have been "" with nothing found.
func setVirusName(m *run, a []uint64) uint64 {
	if m.Resolve(a[0], a[1], false) == nil {
		return no
	}
	s := m.text(a[0])
	m.res.Virus = printable(s[:min(len(s), maxName)])
	return 0
}

// printable makes a name of what a program says is one.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '_'
		}
		return r
	}, s)
}

func (m *run) print(s string) {
	if m.ctx.Debug != nil {
		m.ctx.Debug(s)
	}
}

// debug_print_str(str, len).
func debugString(m *run, a []uint64) uint64 {
	if m.Resolve(a[0], a[1], false) != nil {
		m.print(m.text(a[0]) + "\n")
	}
	return 0
}

// debug_print_str_start(s, len), debug_print_str_nonl(s, len). What the latter
// returns depends in ClamAV on whether anybody is listening; here nobody is.
func debugPart(m *run, a []uint64) uint64 {
	b := m.Resolve(a[0], a[1], false)
	if len(b) == 0 {
		return no
	}
	m.print(string(b))
	return 0
}

// debug_print_uint(a).
func debugNumber(m *run, a []uint64) uint64 {
	m.print(strconv.Itoa(int(int32(a[0]))))
	return 0
}

// memstr(haystack, size, needle, size).
func memstr(m *run, a []uint64) uint64 {
	h, n := m.Resolve(a[0], a[1], false), m.Resolve(a[2], a[3], false)
	if h == nil || n == nil || int32(a[1]) < 0 || int32(a[3]) < 0 || len(n) == 0 || !m.Charge(int64(len(h))/16) {
		return no
	}
	return uint64(uint32(bytes.Index(h, n)))
}

// hex2ui(digit, digit): a signed char.
func hexToUint(_ *run, a []uint64) uint64 {
	hi, lo := digit(byte(a[0])), digit(byte(a[1]))
	if hi > 15 || lo > 15 {
		return no
	}
	return uint64(uint32(int8(hi<<4 | lo)))
}

// atoi(str, len): a number without a sign, or -1.
func atoi(m *run, a []uint64) uint64 {
	b := m.Resolve(a[0], a[1], false)
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	b = bytes.TrimPrefix(b, []byte("+"))
	if len(b) == 0 || digit(b[0]) > 9 || !m.Charge(int64(len(b))/16) {
		return no
	}
	v := uint32(0)
	for _, c := range b {
		if digit(c) > 9 {
			break
		}
		v = v*10 + uint32(digit(c))
	}
	return uint64(v)
}

// version_compare(lhs, len, rhs, len): -1, 0 or 1, numbers in them as numbers.
func versionCompare(m *run, a []uint64) uint64 {
	l, r := m.Resolve(a[0], a[1], false), m.Resolve(a[2], a[3], false)
	if l == nil || r == nil || !m.Charge(int64(len(l)+len(r))/8) {
		return 0
	}
	var li, ri uint64 // ClamAV does not begin anew with each number
	number := func(b []byte, v *uint64) []byte {
		for len(b) > 0 && digit(b[0]) <= 9 {
			*v = *v*10 + uint64(digit(b[0]))
			b = b[1:]
		}
		return b
	}
	for {
		for len(l) > 0 && len(r) > 0 && l[0] == r[0] && digit(l[0]) > 9 {
			l, r = l[1:], r[1:]
		}
		switch {
		case len(l) == 0 && len(r) == 0:
			return 0
		case len(l) == 0:
			return no
		case len(r) == 0:
			return 1
		case digit(l[0]) > 9 || digit(r[0]) > 9:
			if l[0] < r[0] {
				return no
			}
			return 1
		}
		l, r = number(l, &li), number(r, &ri)
		if li < ri {
			return no
		}
		if li > ri {
			return 1
		}
	}
}

// toInt32 makes a number of a float as the machines do that ClamAV runs on.
func toInt32(f float64) uint64 {
	if !(f > math.MinInt32-1.0 && f < math.MaxInt32+1.0) {
		return 1 << 31
	}
	return uint64(uint32(int32(f)))
}

func toUint32(f float64) uint64 {
	if !(f >= math.MinInt64 && f < math.MaxInt64) {
		return 0
	}
	return uint64(uint32(int64(f)))
}

func round(f float64) float64 {
	if f < 0 {
		return f - 0.5
	}
	return f + 0.5
}

// ratio is the first argument divided by the second.
func ratio(a []uint64) float64 { return float64(int32(a[0])) / float64(int32(a[1])) }

// ilog2(a, b): 2^26 times the logarithm of a/b to the base 2.
func ilog2(_ *run, a []uint64) uint64 {
	if a[1] == 0 {
		return math.MaxInt32
	}
	return toInt32(round((1 << 26) * math.Log(float64(a[0])/float64(a[1])) / math.Log(2)))
}

// ipow(a, b, c): c times a to the power of b.
func ipow(_ *run, a []uint64) uint64 {
	if a[0] == 0 && int32(a[1]) < 0 {
		return math.MaxInt32
	}
	return toInt32(round(float64(int32(a[2])) * math.Pow(float64(int32(a[0])), float64(int32(a[1])))))
}

// iexp(a, b, c): c times e to the power of a/b.
func iexp(_ *run, a []uint64) uint64 {
	if a[1] == 0 {
		return math.MaxInt32
	}
	return toUint32(round(float64(int32(a[2])) * math.Exp(ratio(a))))
}

// isin(a, b, c): c times the sine of a/b.
func isin(_ *run, a []uint64) uint64 {
	if a[1] == 0 {
		return math.MaxInt32
	}
	return toInt32(round(float64(int32(a[2])) * math.Sin(ratio(a))))
}

// icos(a, b, c): c times the cosine of a/b.
func icos(_ *run, a []uint64) uint64 {
	if a[1] == 0 {
		return math.MaxInt32
	}
	return toInt32(round(float64(int32(a[2])) * math.Cos(ratio(a))))
}

// entropy_buffer(data, len): 2^26 times the bits a byte.
func entropy(m *run, a []uint64) uint64 {
	b := m.Resolve(a[0], a[1], false)
	if len(b) == 0 || int32(a[1]) <= 0 || !m.Charge(int64(len(b))/4) {
		return no
	}
	var seen [256]int
	for _, c := range b {
		seen[c]++
	}
	e := 0.0
	for _, n := range seen {
		if n > 0 {
			p := float64(n) / float64(len(b))
			e += -p * math.Log(p) / math.Log(2)
		}
	}
	return toUint32(e * (1 << 26))
}

package calc

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"math"
	"strconv"

	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// hash puts in the digests. A range past the end is undefined in YARA-X, and as
// far as there are bytes in YARA.
func (c *calc) hash(fields module.Tree) {
	whole := c.h.Dialect != source.YARA
	digest := func(make func() hash.Hash) module.Value {
		return fn(func(a []module.Value) module.Value {
			h := make()
			if !c.walk(a, whole, func(b []byte) { h.Write(b) }) {
				return undefined()
			}
			return module.TextValue(hex.EncodeToString(h.Sum(nil)))
		})
	}
	fields["md5"] = digest(md5.New)
	fields["sha1"] = digest(sha1.New)
	fields["sha256"] = digest(sha256.New)
	fields["checksum32"] = fn(func(a []module.Value) module.Value {
		var sum uint32
		if !c.walk(a, whole, func(b []byte) {
			for _, x := range b {
				sum += uint32(x)
			}
		}) {
			return undefined()
		}
		return module.IntValue(int64(sum))
	})
	fields["crc32"] = fn(func(a []module.Value) module.Value {
		var sum uint32
		if !c.walk(a, whole, func(b []byte) { sum = crc32.Update(sum, crc32.IEEETable, b) }) {
			return undefined()
		}
		return module.IntValue(int64(sum))
	})
}

// math puts in what is computed from bytes and numbers.
func (c *calc) math(fields module.Tree) {
	fields["in_range"] = fn(func(a []module.Value) module.Value {
		x, lo, hi := number(a[0]), number(a[1]), number(a[2])
		return module.BoolValue(lo <= x && x <= hi)
	})
	fields["min"] = fn(func(a []module.Value) module.Value { return c.least(a[0], a[1]) })
	fields["max"] = fn(func(a []module.Value) module.Value {
		if least := c.least(a[0], a[1]); least.Int == a[0].Int {
			return a[1]
		}
		return a[0]
	})
	fields["abs"] = fn(func(a []module.Value) module.Value { return module.IntValue(max(a[0].Int, -a[0].Int)) })
	fields["to_number"] = fn(func(a []module.Value) module.Value { return module.IntValue(module.BoolValue(a[0].Truth()).Int) })
	fields["to_string"] = fn(toString)
	fields["count"] = fn(func(a []module.Value) module.Value { return c.count(a, false) })
	fields["percentage"] = fn(func(a []module.Value) module.Value { return c.count(a, true) })
	fields["mode"] = fn(c.mode)
	fields["entropy"] = fn(c.entropy)
	fields["mean"] = fn(func(a []module.Value) module.Value {
		d, n := c.histogram(a)
		sum := 0.0
		for b, k := range d {
			sum += float64(b) * float64(k)
		}
		return ratio(sum, n)
	})
	fields["deviation"] = fn(func(a []module.Value) module.Value {
		d, n := c.histogram(a)
		mean := number(a[len(a)-1])
		sum := 0.0
		for b, k := range d {
			sum += math.Abs(float64(b)-mean) * float64(k)
		}
		return ratio(sum, n)
	})
	fields["serial_correlation"] = fn(c.correlation)
	fields["monte_carlo_pi"] = fn(c.monteCarlo)
}

func number(v module.Value) float64 {
	if v.Kind == module.Float {
		return v.Float
	}
	return float64(v.Int)
}

// ratio is a sum by a number of bytes, undefined if there are none.
func ratio(sum float64, n int64) module.Value {
	if n <= 0 {
		return undefined()
	}
	return module.FloatValue(sum / float64(n))
}

// least is the smaller of two numbers. YARA compares them without their signs.
func (c *calc) least(a, b module.Value) module.Value {
	if c.h.Dialect == source.YARA && uint64(a.Int) < uint64(b.Int) || c.h.Dialect != source.YARA && a.Int < b.Int {
		return a
	}
	return b
}

// toString writes a number in base 8, 10 or 16: negative ones in the latter two
// as their two's complement.
func toString(a []module.Value) module.Value {
	base := int64(10)
	if len(a) > 1 {
		base = a[1].Int
	}
	switch base {
	case 10:
		return module.TextValue(strconv.FormatInt(a[0].Int, 10))
	case 8, 16:
		return module.TextValue(strconv.FormatUint(uint64(a[0].Int), int(base)))
	}
	return undefined()
}

// histogram counts the bytes of a range; n is their number, -1 if there is no
// such range.
func (c *calc) histogram(a []module.Value) (d [256]int64, n int64) {
	ok := c.walk(a, false, func(b []byte) {
		for _, x := range b {
			d[x]++
		}
		n += int64(len(b))
	})
	if !ok {
		n = -1
	}
	return d, n
}

// all are the arguments of a range, or of everything if there are none.
func (c *calc) all(a []module.Value) []module.Value {
	if len(a) == 0 {
		return []module.Value{module.IntValue(0), module.IntValue(c.in.Size())}
	}
	return a
}

// count counts one byte, or says which part of the bytes it is.
func (c *calc) count(a []module.Value, part bool) module.Value {
	if a[0].Int < 0 || a[0].Int > 255 {
		return undefined()
	}
	d, n := c.histogram(c.all(a[1:]))
	switch {
	case n < 0:
		return undefined()
	case part:
		return ratio(float64(d[a[0].Int]), n)
	}
	return module.IntValue(d[a[0].Int])
}

// mode is the byte that is there most often, the smallest of several.
func (c *calc) mode(a []module.Value) module.Value {
	d, n := c.histogram(c.all(a))
	if n < 0 {
		return undefined()
	}
	best := 0
	for b := range d {
		if d[b] > d[best] {
			best = b
		}
	}
	return module.IntValue(int64(best))
}

// entropy is Shannon's, bits a byte.
func (c *calc) entropy(a []module.Value) module.Value {
	d, n := c.histogram(a)
	if n < 0 {
		return undefined()
	}
	sum := 0.0
	for _, k := range d {
		if k > 0 {
			p := float64(k) / float64(n)
			sum -= p * math.Log2(p)
		}
	}
	return module.FloatValue(sum)
}

// correlation is the serial correlation of each byte with the next, the last
// with the first (as the program ent by John Walker computes it).
func (c *calc) correlation(a []module.Value) module.Value {
	var first, last, sum, squares, products float64
	n := int64(0)
	ok := c.walk(a, false, func(b []byte) {
		for _, x := range b {
			v := float64(x)
			if n == 0 {
				first = v
			} else {
				products += last * v
			}
			last = v
			sum += v
			squares += v * v
			n++
		}
	})
	if !ok {
		return undefined()
	}
	products += last * first
	total := sum * sum
	below := float64(n)*squares - total
	if below == 0 {
		return module.FloatValue(-100000)
	}
	return module.FloatValue((float64(n)*products - total) / below)
}

// monteCarlo is how far pi is missed, as a part of pi, by taking each 6 bytes for
// a point of a square (ent).
func (c *calc) monteCarlo(a []module.Value) module.Value {
	const group = 6
	radius := math.Pow(math.Pow(256, group/2)-1, 2)
	var buf [group]byte
	fill, points, inside := 0, 0.0, 0.0
	ok := c.walk(a, false, func(b []byte) {
		for _, x := range b {
			buf[fill] = x
			if fill++; fill < group {
				continue
			}
			fill = 0
			var px, py float64
			for i := range group / 2 {
				px = px*256 + float64(buf[i])
				py = py*256 + float64(buf[group/2+i])
			}
			points++
			if px*px+py*py <= radius {
				inside++
			}
		}
	})
	if !ok || points == 0 {
		return undefined()
	}
	return module.FloatValue(math.Abs((4*inside/points - math.Pi) / math.Pi))
}

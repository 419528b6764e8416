package nrv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// writer writes what Decode reads: bits in words that stand where the first of their bits is asked for.
type writer struct {
	out  []byte
	wide uint
	at   int
	left uint
}

func (w *writer) bit(b int) {
	if w.left == 0 {
		w.at, w.left = len(w.out), w.wide
		w.out = append(w.out, make([]byte, w.wide/8)...)
	}
	w.left--
	if b&1 == 1 {
		w.out[w.at+int(w.left/8)] |= 1 << (w.left % 8)
	}
}

// more writes a number of at least 2.
func (w *writer) more(n int) {
	top := 1
	for n>>(top+1) > 0 {
		top++
	}
	for i := top - 1; i >= 0; i-- {
		w.bit(n >> i)
		w.bit(b2i(i == 0))
	}
}

// offset writes a number of at least 2 as D and E have it.
func (w *writer) offset(n int) {
	var path []int // the last first: a bit, and another one if there is a number in front
	for {
		path = append(path, n&1)
		if n >>= 1; n == 1 {
			break
		}
		path = append(path, n&1)
		n = n>>1 + 1
	}
	for i := len(path) - 1; i >= 0; i -= 2 {
		w.bit(path[i])
		w.bit(b2i(i == 0))
		if i > 0 {
			w.bit(path[i-1])
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// match writes a match of n bytes, dist back, or the end mark for dist 0.
func (w *writer) match(v Variant, dist, n int, last *int) {
	far := 0x500
	if v == B {
		far = 0xd00
	}
	n -= 1 + b2i(dist > far)
	// The bits of the length: what D and E put beside the distance, and the others.
	long := func(base int) { w.more(n - base) }
	low := 0
	switch v {
	case D:
		low = n >> 1 & b2i(n < 4)
	case E:
		low = b2i(n < 3)
	}
	w.bit(0)
	switch code := dist - 1; {
	case dist == 0 && v == B:
		w.more(0xffffff + 3)
		w.out = append(w.out, 0xff)
		return
	case dist == 0:
		w.offset(0xffffff + 3)
		w.out = append(w.out, 0xff)
		return
	case dist == *last && v == B:
		w.more(2)
	case dist == *last:
		w.offset(2)
		w.bit(low)
	case v == B:
		w.more(code>>8 + 3)
		w.out = append(w.out, byte(code))
	default:
		code = code<<1 | 1 - low
		w.offset(code>>8 + 3)
		w.out = append(w.out, byte(code))
	}
	*last = dist
	switch {
	case v == E && low == 1:
		w.bit(n - 1)
	case v == E && n < 5:
		w.bit(1)
		w.bit(n - 3)
	case v == E:
		w.bit(0)
		long(3)
	case n < 4:
		if v == B {
			w.bit(n >> 1)
		}
		w.bit(n)
	default:
		if v == B {
			w.bit(0)
		}
		w.bit(0)
		long(2)
	}
}

// encode takes the first match that it finds by four bytes.
func encode(src []byte, v Variant, wide uint) []byte {
	w := writer{wide: wide}
	seen := map[string]int{}
	last := 1
	for i := 0; i < len(src); {
		n, dist := 0, 0
		if i+4 <= len(src) {
			key := string(src[i : i+4])
			if at, ok := seen[key]; ok {
				dist = i - at
				for i+n < len(src) && src[at+n] == src[i+n] {
					n++
				}
			}
			seen[key] = i
		}
		if n < 4 {
			w.bit(1)
			w.out = append(w.out, src[i])
			i++
			continue
		}
		w.match(v, dist, n, &last)
		i += n
	}
	w.match(v, 0, 1, &last)
	return w.out
}

// texts have literals, matches near and far, short and long, and the distance before again.
func texts() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 9000)
	for i := range noise {
		noise[i] = byte(r.IntN(256))
	}
	far := append(append(bytes.Clone(noise), noise[100:2100]...), noise[:600]...)
	mixed := []byte{}
	for range 4000 {
		at := r.IntN(8000)
		mixed = append(mixed, noise[at:at+r.IntN(9)]...)
	}
	return map[string][]byte{
		"empty": {}, "byte": {7}, "zeros": make([]byte, 300000), "noise": noise, "far": far, "mixed": mixed,
		"words": bytes.Repeat([]byte("the quick brown fox "), 500),
	}
}

func TestDecode(t *testing.T) {
	for name, text := range texts() {
		for _, v := range []Variant{B, D, E} {
			for _, wide := range []uint{8, 16, 32} {
				packed := encode(text, v, wide)
				got, err := Decode(packed, v, wide, len(text))
				if err != nil || !bytes.Equal(got, text) {
					t.Fatalf("%s %d/%d: %v, %d of %d bytes", name, v, wide, err, len(got), len(text))
				}
				if _, err := Decode(packed, v, wide, len(text)+1); err == nil {
					t.Errorf("%s %d/%d: a wrong size is taken", name, v, wide)
				}
				if _, err := Decode(packed[:len(packed)-1], v, wide, len(text)); err == nil {
					t.Errorf("%s %d/%d: a stream that is cut is taken", name, v, wide)
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for name, text := range texts() {
		if name != "zeros" {
			for _, v := range []Variant{B, D, E} {
				f.Add(encode(text, v, 32), byte(v))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, how byte) {
		v, wide := Variant(how%3), []uint{8, 16, 32}[how/3%3]
		const size = 1 << 16
		got, err := Decode(b, v, wide, size)
		if len(got) > size || err == nil && len(got) != size {
			t.Fatal(fmt.Sprint(len(got), err))
		}
	})
}

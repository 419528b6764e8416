package literal

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// oracle finds the literals one by one.
func oracle(lits []Literal, buf []byte, from, to int) []Hit {
	small := make([]byte, len(buf))
	for i, c := range buf {
		small[i] = toLower(c)
	}
	var hits []Hit
	for id, l := range lits {
		for key := int(l.XorLo); key <= int(l.XorHi); key++ {
			text, in := bytes.Clone(l.Bytes), buf
			if l.Fold {
				in = small
			}
			for i, c := range text {
				text[i] = c ^ byte(key)
				if l.Fold {
					text[i] = toLower(c)
				}
			}
			for at := max(0, from); at < to && at <= len(in); at++ {
				k := bytes.Index(in[at:], text)
				if k < 0 || at+k >= to {
					break
				}
				at += k
				hits = append(hits, Hit{uint32(id), at})
			}
		}
	}
	return sorted(hits)
}

func toLower(c byte) byte {
	if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ", c) >= 0 {
		return c + 'a' - 'A'
	}
	return c
}

func sorted(hits []Hit) []Hit {
	slices.SortFunc(hits, func(a, b Hit) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return hits
}

func mustOpen(t testing.TB, lits []Literal) *Set {
	t.Helper()
	blob, err := Compile(lits)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(blob)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// variants calls f with s under each of its kernels: plain Go, and the
// machine's own where it has them.
func variants(s *Set, f func(name string)) {
	vector := s.vector
	defer func() { s.vector = vector }()
	s.vector = false
	f("plain")
	if vector {
		s.vector = true
		f("vector")
	}
}

// check compares Scan with the oracle, under each kernel: whole, in two windows,
// and a few hits at a time.
func check(t testing.TB, lits []Literal, bufs ...[]byte) {
	t.Helper()
	s := mustOpen(t, lits)
	for i, buf := range bufs {
		want := oracle(lits, buf, 0, len(buf))
		var plain []Hit
		variants(s, func(name string) {
			t.Helper()
			checkOne(t, s, i, buf, want, name)
			third := func(id uint32) bool { return id%3 == 0 }
			some := slices.DeleteFunc(slices.Clone(want), func(h Hit) bool { return !third(h.ID) })
			var ids []uint32
			for id := 0; id < len(lits); id += 3 {
				ids = append(ids, uint32(id))
			}
			checkOne(t, s.Only(ids), i, buf, some, name+", a third")
			got := s.Scan(buf, 0, len(buf), nil)
			if name == "plain" {
				plain = got
			} else if !slices.Equal(got, plain) {
				t.Fatalf("%d literals, buffer %d: the order under %s is another than under plain", len(lits), i, name)
			}
		})
	}
}

func checkOne(t testing.TB, s *Set, i int, buf []byte, want []Hit, name string) {
	t.Helper()
	same := func(what string, got []Hit) {
		t.Helper()
		if !slices.Equal(sorted(got), want) {
			t.Fatalf("%d literals, buffer %d (%d bytes), %s, %s: %d hits, want %d: %s", s.Len(), i, len(buf), name, what, len(got), len(want), difference(got, want))
		}
	}
	same("whole", s.Scan(buf, 0, len(buf), nil))
	cut := (i*7919 + 13) % (len(buf) + 1)
	same(fmt.Sprintf("cut at %d", cut), s.Scan(buf, cut, len(buf), s.Scan(buf, 0, cut, nil)))
	for _, n := range []int{1, 7, 1000} {
		var got []Hit
		for from := 0; from < len(buf); {
			before, next := len(got), 0
			got, next = s.ScanN(buf, from, len(buf), got, n)
			if next <= from && from < len(buf) {
				t.Fatalf("ScanN at %d: next %d", from, next)
			}
			if k := len(got) - before; k > n {
				for _, h := range got[before:] {
					if h.At != got[before].At {
						t.Fatalf("ScanN at %d: %d hits at several places, want %d at most", from, k, n)
					}
				}
			}
			for _, h := range got[before:] {
				if h.At < from || h.At >= next {
					t.Fatalf("ScanN from %d to %d: hit at %d", from, next, h.At)
				}
			}
			from = next
		}
		same(fmt.Sprintf("%d at a time", n), got)
	}
}

func difference(got, want []Hit) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("missing %v", want[i])
		case i >= len(want):
			return fmt.Sprintf("too many: %v", got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("hit %d is %v, want %v", i, got[i], want[i])
		}
	}
	return "none"
}

func TestCases(t *testing.T) {
	for _, c := range []struct {
		name string
		lits []string // with a leading ~: case is ignored
		buf  string
		want string // ID@place
	}{
		{"nothing", nil, "abc", ""},
		{"empty buffer", []string{"a", "abcdefgh"}, "", ""},
		{"one byte", []string{"a"}, "banana", "0@1 0@3 0@5"},
		{"one byte, last", []string{"\x00"}, "a\x00", "0@1"},
		{"one letter, any case", []string{"~A", "A"}, "aA@`", "0@0 0@1 1@1"},
		{"two bytes overlap", []string{"aa"}, "aaaa", "0@0 0@1 0@2"},
		{"three bytes at the end", []string{"xyz", "yz\x00"}, "wxyz", "0@1"},
		{"four, five, six, seven", []string{"abcd", "abcde", "abcdef", "abcdefg"}, "_abcdefgh", "0@1 1@1 2@1 3@1"},
		{"cut at the end", []string{"abcdefg", "bcdef"}, "abcdef", "1@1"},
		{"duplicates", []string{"needle", "needle", "~NEEDLE"}, "needle Needle", "0@0 1@0 2@0 2@7"},
		{"fold is ASCII only", []string{"~[abc]{def}"}, "[ABC]{DEF} {abc}[def] ;abc=;def=", "0@0"},
		{"prefix of another", []string{"longest one", "longest", "lo"}, "the longest one", "0@4 1@4 2@4"},
		{"zeros", []string{strings.Repeat("\x00", 8)}, strings.Repeat("\x00", 10), "0@0 0@1 0@2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lits []Literal
			for _, l := range c.lits {
				text, fold := strings.CutPrefix(l, "~")
				lits = append(lits, Literal{Bytes: []byte(text), Fold: fold})
			}
			var got []string
			for _, h := range sorted(mustOpen(t, lits).Scan([]byte(c.buf), 0, len(c.buf), nil)) {
				got = append(got, fmt.Sprintf("%d@%d", h.ID, h.At))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
			check(t, lits, []byte(c.buf))
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, n := range []int{0, maxLen + 1} {
		if _, err := Compile([]Literal{{Bytes: []byte("good")}, {Bytes: make([]byte, n)}}); err == nil {
			t.Errorf("length %d: no error", n)
		}
	}
	for _, l := range []Literal{{Bytes: []byte("keys"), XorLo: 2, XorHi: 1}, {Bytes: []byte("keys"), XorHi: 1, Fold: true}} {
		if _, err := Compile([]Literal{l}); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
}

// alphabet returns a maker of n random bytes of the given alphabet.
func alphabet(rng *rand.Rand, set string) func(n int) []byte {
	return func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
			if set != "" {
				b[i] = set[rng.IntN(len(set))]
			}
		}
		return b
	}
}

// plant copies literals into buf, in any case where that is ignored.
func plant(rng *rand.Rand, buf []byte, lits []Literal, n int) {
	for range n {
		if len(lits) == 0 || len(buf) == 0 {
			return
		}
		l := lits[rng.IntN(len(lits))]
		text := bytes.Clone(l.Bytes)
		for i, c := range text {
			if l.Fold && isLetter(c) && rng.IntN(2) == 0 {
				text[i] ^= 0x20
			}
		}
		if l.XorHi > 0 {
			key := l.XorLo + byte(rng.IntN(int(l.XorHi-l.XorLo)+1))
			for i := range text {
				text[i] ^= key
			}
		}
		copy(buf[rng.IntN(len(buf)):], text)
	}
}

func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, set := range []string{"", "ab", "aAbB\x00", "\x00", "etaoin ETAOIN"} {
		bytesOf := alphabet(rng, set)
		for _, n := range []int{1, 3, 120} {
			for _, lens := range [][2]int{{1, 3}, {1, 64}, {4, 6}, {6, 9}, {7, 7}, {11, 30}, {64, 64}} {
				var lits []Literal
				for range n {
					lits = append(lits, Literal{Bytes: bytesOf(lens[0] + rng.IntN(lens[1]-lens[0]+1)), Fold: rng.IntN(3) == 0})
				}
				var bufs [][]byte
				for _, size := range []int{0, 1, 5, 63, 300, 1200} {
					if set == "\x00" && size > 300 {
						continue // a hit for every literal at every place
					}
					buf := bytesOf(size)
					plant(rng, buf, lits, size/40)
					bufs = append(bufs, buf)
				}
				check(t, lits, bufs...)
			}
		}
	}
}

// TestKeys: literals under one-byte keys, of every length, among others.
func TestKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for _, set := range []string{"", "ab", "aAbB\x00", "\x00"} {
		bytesOf := alphabet(rng, set)
		for _, n := range []int{1, 4, 100} {
			for _, lens := range [][2]int{{1, 8}, {5, 20}, {9, 30}, {16, 64}} {
				var lits []Literal
				for i := range n {
					l := Literal{Bytes: bytesOf(lens[0] + rng.IntN(lens[1]-lens[0]+1))}
					if i%4 != 3 {
						l.XorLo = byte(rng.IntN(256))
						l.XorHi = l.XorLo + byte(rng.IntN(256-int(l.XorLo)))
					}
					if i%5 == 0 {
						l.XorLo, l.XorHi = 1, 255
					}
					lits = append(lits, l)
				}
				var bufs [][]byte
				for _, size := range []int{0, 1, 8, 100, 1500} {
					if set == "\x00" && size > 100 {
						continue // a hit for every literal at every place
					}
					buf := bytesOf(size)
					plant(rng, buf, lits, size/40)
					bufs = append(bufs, buf)
				}
				check(t, lits, bufs...)
			}
		}
	}
}

// TestMany goes through every tier: thousands of short ones, of ones that ignore
// case, of ones with common beginnings and ends.
func TestMany(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	anything, word := alphabet(rng, ""), alphabet(rng, "abcdefghijklmnopqrstuvwxyz")
	for name, one := range map[string]func(i int) Literal{
		"three bytes":      func(i int) Literal { return Literal{Bytes: anything(3), Fold: i%5 == 0} },
		"four bytes":       func(i int) Literal { return Literal{Bytes: anything(4), Fold: false} },
		"four, five, fold": func(i int) Literal { return Literal{Bytes: word(4 + i%2), Fold: i%2 == 0} },
		"six, fold":        func(i int) Literal { return Literal{Bytes: word(6), Fold: true} },
		"all fold":         func(i int) Literal { return Literal{Bytes: word(1 + i%64), Fold: true} },
		"mixed":            func(i int) Literal { return Literal{Bytes: word(1 + i%64), Fold: i%3 == 0} },
		"same beginning":   func(i int) Literal { return Literal{Bytes: append([]byte("the same"), anything(3)...), Fold: false} },
		"same end":         func(i int) Literal { return Literal{Bytes: append(anything(3), "the same"...), Fold: false} },
		"same middle": func(i int) Literal {
			return Literal{Bytes: slices.Concat(word(1), []byte("middle ?"), word(2)), Fold: i%2 == 0}
		},
		"zeros and a tail": func(i int) Literal { return Literal{Bytes: append(make([]byte, i%20), anything(2)...), Fold: false} },
	} {
		t.Run(name, func(t *testing.T) {
			var lits []Literal
			for i := range 6000 {
				lits = append(lits, one(i))
			}
			buf := make([]byte, 20000)
			copy(buf, word(5000))
			copy(buf[5000:], anything(5000))
			plant(rng, buf[:18000], lits, 300)
			check(t, lits, buf)
		})
	}
}

func TestWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	bytesOf := alphabet(rng, "abAB\x00")
	var lits []Literal
	for range 60 {
		lits = append(lits, Literal{Bytes: bytesOf(1 + rng.IntN(24)), Fold: rng.IntN(2) == 0})
	}
	s := mustOpen(t, lits)
	buf := bytesOf(90)
	plant(rng, buf, lits, 4)
	for a := -2; a <= len(buf)+2; a++ {
		for b := a - 1; b <= len(buf)+2; b++ {
			got := sorted(s.Scan(buf, a, b, nil))
			if want := oracle(lits, buf, a, b); !slices.Equal(got, want) {
				t.Fatalf("[%d,%d): %s", a, b, difference(got, want))
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	lits := []Literal{{Bytes: []byte("pair"), Fold: false}, {Bytes: []byte("boundaries"), Fold: true}, {Bytes: []byte("between the blocks of a buffer"), Fold: false}}
	buf := alphabet(rng, "")(3*blockSize + 100)
	for i := range 200 {
		l := lits[i%3].Bytes
		copy(buf[blockSize*(1+i%3)-100+i:], l)
	}
	check(t, lits, buf)
}

// TestDense: more hits in a block than are asked for, so that it is made shorter,
// from each kind of tier.
func TestDense(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	// Every place of a wheel that turns has one of these, and their windows are
	// at all distances from their beginnings.
	turns := func(wheel []byte, n int) (lits []Literal) {
		for i := range wheel {
			lits = append(lits, Literal{Bytes: slices.Concat(wheel[i:], wheel, wheel)[:n]})
		}
		return lits
	}
	small, large := alphabet(rng, "")(16), alphabet(rng, "")(64)
	for name, lits := range map[string][]Literal{
		"turns, short":  turns(small, 12),
		"turns, stride": turns(large, 60),
		"short":         {{Bytes: []byte{0, 0}}, {Bytes: []byte{0, 0, 0, 0}}},
		"stride":        {{Bytes: make([]byte, 40)}, {Bytes: make([]byte, 64)}},
		"any case":      {{Bytes: []byte("aaaaaaaaaaaaaaaa"), Fold: true}, {Bytes: []byte("a"), Fold: true}},
		"under keys":    {{Bytes: []byte("aaaaaaaaaaaaaaaa"), XorLo: 1, XorHi: 255}, {Bytes: make([]byte, 9)}},
	} {
		t.Run(name, func(t *testing.T) {
			buf := alphabet(rng, "")(2*blockSize + 5000)
			clear(buf[3000 : blockSize+9000])
			copy(buf[blockSize+20000:], bytes.Repeat([]byte("a"), 9000))
			copy(buf[blockSize+9000:], bytes.Repeat(small, 250))
			copy(buf[blockSize+13000:], bytes.Repeat(large, 100))
			s := mustOpen(t, lits)
			variants(s, func(kernel string) {
				for _, n := range []int{1000, 4096, 20000} {
					inSteps(t, s, kernel, lits, buf, n)
				}
				for _, n := range []int{17, 100} { // fewer than the windows are away
					inSteps(t, s, kernel, lits, buf[blockSize+8500:blockSize+14000], n)
				}
			})
		})
	}
}

// TestShorter: a literal whose window is far from its beginning is not lost where
// the block is made shorter because of what begins after it and is found before.
func TestShorter(t *testing.T) {
	late := []byte("\x00\x00\x00\x00\x00\x00ther\x00\x00\x00\x00\x00\x00\xc3\x9e\x17\xb1")
	lits := []Literal{{Bytes: late}}
	for range 8 {
		lits = append(lits, Literal{Bytes: []byte("ther")})
	}
	s := mustOpen(t, lits)
	if len(s.short.links) != len(lits) || s.short.reach < 12 {
		t.Fatalf("%d of %d literals in the short tier, reach %d", len(s.short.links), len(lits), s.short.reach)
	}
	rng := rand.New(rand.NewPCG(19, 20))
	var buf []byte
	for range 250 {
		buf = append(append(buf, late...), make([]byte, rng.IntN(60))...)
	}
	variants(s, func(kernel string) {
		for n := 9; n < 200; n += 3 {
			inSteps(t, s, kernel, lits, buf, n)
		}
	})
}

// inSteps compares n hits at a time with the oracle.
func inSteps(t *testing.T, s *Set, kernel string, lits []Literal, buf []byte, n int) {
	t.Helper()
	var got []Hit
	for from := 0; from < len(buf); {
		before, next := len(got), 0
		got, next = s.ScanN(buf, from, len(buf), got, n)
		if k := len(got) - before; next <= from || k > max(n, len(lits)) {
			t.Fatalf("%s, %d at a time, from %d: %d hits, next %d", kernel, n, from, k, next)
		}
		from = next
	}
	if want := oracle(lits, buf, 0, len(buf)); !slices.Equal(sorted(got), want) {
		t.Fatalf("%s, %d at a time: %d hits, want %d: %s", kernel, n, len(got), len(want), difference(got, want))
	}
}

func TestScanNAtLimits(t *testing.T) {
	var lits []Literal
	for range 100 {
		lits = append(lits, Literal{Bytes: []byte("aaaa"), Fold: false})
	}
	s := mustOpen(t, lits)
	buf := bytes.Repeat([]byte("a"), 10)
	if out, next := s.ScanN(buf, 2, 10, nil, 0); len(out) != 0 || next != 2 {
		t.Errorf("max 0: %d hits, next %d", len(out), next)
	}
	if out, next := s.ScanN(buf, 2, 10, nil, 1); len(out) != 100 || next != 3 {
		t.Errorf("max 1: %d hits, next %d, want all 100 of one place, 3", len(out), next)
	}
	if out, next := s.ScanN(buf, 2, 99, nil, 200); len(out) != 200 || next != 4 {
		t.Errorf("max 200: %d hits, next %d, want 200, 4", len(out), next)
	}
	if out, next := s.ScanN(buf, 5, 99, make([]Hit, 3), 1000); len(out) != 203 || next != 99 {
		t.Errorf("max 1000: %d, next %d, want 203, 99", len(out), next)
	}
}

func TestDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	var lits []Literal
	for range 5000 {
		lits = append(lits, Literal{Bytes: alphabet(rng, "")(1 + rng.IntN(30)), Fold: rng.IntN(4) == 0})
	}
	a, _ := Compile(lits)
	b, _ := Compile(lits)
	if !bytes.Equal(a, b) {
		t.Error("two blobs of the same literals differ")
	}
	s := mustOpen(t, lits)
	if s.Len() != 5000 || s.MaxLen() != 30 {
		t.Errorf("Len %d, MaxLen %d", s.Len(), s.MaxLen())
	}
}

func TestScore(t *testing.T) {
	// Each is better than the next.
	order := []string{"\xc3\x9e\x17\xb1\x5d\xf0\x82\x3b", "kernel32.dll", "the same", "\x00\x00\x00\x01", "\x00\x00\x00\x00"}
	for i := 1; i < len(order); i++ {
		if a, b := Score([]byte(order[i-1]), false), Score([]byte(order[i]), false); a <= b {
			t.Errorf("Score(%q) = %d, Score(%q) = %d", order[i-1], a, order[i], b)
		}
	}
	if a, b := Score([]byte("WriteProcess"), false), Score([]byte("WriteProcess"), true); a <= b {
		t.Errorf("exact %d, any case %d", a, b)
	}
	if s := Score(make([]byte, 64), false); s != 0 {
		t.Errorf("zeros score %d", s)
	}
	rng := rand.New(rand.NewPCG(11, 12))
	for _, set := range []string{"", "\x00\x01 ", "the quick brown"} {
		for range 200 {
			b, fold := alphabet(rng, set)(64), rng.IntN(2) == 0
			for n := range b {
				if x, y := Score(b[:n], fold), Score(b[:n+1], fold); y < x {
					t.Fatalf("Score(%q) = %d, with %#x %d", b[:n], x, b[n], y)
				}
			}
		}
	}
}

func TestSwap(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	swap(b, 4)
	if !bytes.Equal(b, []byte{4, 3, 2, 1, 8, 7, 6, 5}) {
		t.Errorf("swapped by 4: %v", b)
	}
	if got := decode[member]([]byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 4, 1, 0}, 1)[0]; got.id != 1 || got.off != 2 || got.window() != 3 || got.length() != 4 || !got.fold() {
		t.Errorf("decoded %+v", got)
	}
}

// TestCrowd: however alike thousands of literals are, one place is compared with
// few of them, as long as they differ near each other.
func TestCrowd(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	anything := alphabet(rng, "")
	for name, one := range map[string]func() []byte{
		"same beginning":       func() []byte { return append([]byte("This program cannot be run"), anything(4)...) },
		"same end":             func() []byte { return append(anything(4), "This program cannot be run"...) },
		"shortest":             func() []byte { return append([]byte("abc"), anything(3)...) },
		"eleven, seven common": func() []byte { return append([]byte("abcdefg"), anything(4)...) },
		"two ends":             func() []byte { return slices.Concat(anything(1), []byte("in the middle of it"), anything(2)) },
		"zeros and a tail":     func() []byte { return append(make([]byte, 20), anything(3)...) },
	} {
		var lits []Literal
		for range 10000 {
			lits = append(lits, Literal{Bytes: one()})
		}
		s := mustOpen(t, lits)
		for _, tier := range s.tiers {
			worst, same := 0, 0 // members of one key
			for k, key := range tier.keys {
				if same++; k > 0 && key != tier.keys[k-1] {
					same = 1
				}
				worst = max(worst, same)
			}
			if worst > 16*fullGroup {
				t.Errorf("%s: stride %d: %d literals compared at one place", name, tier.stride, worst)
			}
		}
	}
}

// TestCompileLike: a part of a set, by the plan of the whole or of a strange one,
// finds its literals all the same.
func TestCompileLike(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n, least, most int) (lits []Literal) {
		for i := range n {
			b := make([]byte, least+rng.IntN(most-least+1))
			for k := range b {
				b[k] = "abcdefgh\x00\xff "[rng.IntN(11)]
			}
			lits = append(lits, Literal{Bytes: b, Fold: i%3 == 0})
		}
		return lits
	}
	for _, whole := range [][]Literal{random(3000, 3, 40), random(40, 1, 5), random(500, 20, 40)} {
		var p Plan
		if _, err := CompileLike(whole, &p); err != nil || !p.made {
			t.Fatal(err)
		}
		for _, part := range [][]Literal{whole[:len(whole)/2], whole[:1], nil, random(300, 2, 12)} {
			blob, err := CompileLike(part, &p)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(blob)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 20000)
			for i := range buf {
				buf[i] = "abcdefgh\x00\xff "[rng.IntN(11)]
			}
			for i := 0; i+64 < len(buf) && len(part) > 0; i += 97 {
				copy(buf[i:], part[rng.IntN(len(part))].Bytes)
			}
			want := oracle(part, buf, 0, len(buf))
			variants(s, func(name string) { checkOne(t, s, 0, buf, want, name) })
		}
	}
}

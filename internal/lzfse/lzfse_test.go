package lzfse

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The encoder is of the plainest kind: a state is looked for among all.

type bitWriter struct {
	b    []byte
	bits int
}

func (w *bitWriter) put(v, n int) {
	for i := range n {
		if w.bits%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bits/8] |= byte(v>>i&1) << (w.bits % 8)
		w.bits++
	}
}

func (w *bitWriter) spare() int { return w.bits - 8*len(w.b) }

// normal makes counts add up to the number of states.
func normal(counts []int, states int) []uint16 {
	total, sum, top := 0, 0, 0
	for i, c := range counts {
		total += c
		if c > counts[top] {
			top = i
		}
	}
	out := make([]uint16, len(counts))
	if total == 0 {
		return out
	}
	for i, c := range counts {
		if c > 0 {
			out[i] = uint16(max(1, c*(states-len(counts))/total))
			sum += int(out[i])
		}
	}
	out[top] += uint16(states - sum)
	return out
}

func putFrequency(w *bitWriter, v int) {
	switch {
	case v < 8:
		code := [8][2]int{{0, 2}, {2, 2}, {1, 3}, {5, 3}, {3, 5}, {11, 5}, {19, 5}, {27, 5}}[v]
		w.put(code[0], code[1])
	case v < 24:
		w.put(7|(v-8)<<4, 8)
	default:
		w.put(15|(v-24)<<4, 14)
	}
}

type triple struct{ l, m, d int }

// triples finds matches in a block.
func triples(b []byte, from, to int) (out []triple, literals []byte) {
	seen := map[string]int{}
	start := max(0, from-200_000)
	for i := start; i+4 <= from; i++ {
		seen[string(b[i:i+4])] = i
	}
	at := from
	for i := from; i < to; {
		n, back := 0, 0
		if i+4 <= to {
			if p, ok := seen[string(b[i:i+4])]; ok && p < i {
				for n < 2359 && i+n < to && b[p+n] == b[i+n] {
					n++
				}
				back = i - p
			}
			seen[string(b[i:i+4])] = i
		}
		if n < 4 && i-at < 315 {
			i++
			if i < to {
				continue
			}
			n = 0
		}
		if n < 4 {
			n, back = 0, 1
		}
		out = append(out, triple{i - at, n, back})
		literals = append(literals, b[at:i]...)
		i += n
		at = i
	}
	for len(literals)%4 > 0 {
		literals = append(literals, 0)
	}
	return out, literals
}

func symbolOf(table func(int) (base, extra int), v int) int {
	s := 0
	for {
		base, extra := table(s)
		if v < base+1<<extra {
			return s
		}
		s++
	}
}

func bases(extra func(int) int) func(int) (int, int) {
	return func(s int) (int, int) {
		base := 0
		for i := range s {
			base += 1 << extra(i)
		}
		return base, extra(s)
	}
}

func block(b []byte, from, to int) []byte {
	list, literals := triples(b, from, to)
	last := func(e [4]uint8) func(int) int {
		return func(s int) int {
			if s < 16 {
				return 0
			}
			return int(e[s-16])
		}
	}
	tl, tm, td := bases(last(extraL)), bases(last(extraM)), bases(func(s int) int { return s / 4 })
	cl, cm, cd, cx := make([]int, symbolsL), make([]int, symbolsM), make([]int, symbolsD), make([]int, symbolsLit)
	before := 0
	for i := range list {
		if list[i].d == before {
			list[i].d = 0
		} else {
			before = list[i].d
		}
		cl[symbolOf(tl, list[i].l)]++
		cm[symbolOf(tm, list[i].m)]++
		cd[symbolOf(td, list[i].d)]++
	}
	for _, c := range literals {
		cx[c]++
	}
	var freq []uint16
	var d decoder
	for i, c := range [][]int{cl, cm, cd, cx} {
		freq = append(freq, normal(c, []int{statesL, statesM, statesD, statesLit}[i])...)
	}
	var fw bitWriter
	for _, f := range freq {
		putFrequency(&fw, int(f))
	}
	if !d.tables(fw.b) {
		panic("tables")
	}
	var lw bitWriter
	var states [4]int
	for i := len(literals) - 1; i >= 0; i-- {
		k := i % 4
		for t, e := range d.lit {
			if e.symbol == literals[i] && states[k] >= int(e.delta) && states[k] < int(e.delta)+1<<e.k && freqOf(freq, literals[i]) {
				lw.put(states[k]-int(e.delta), int(e.k))
				states[k] = t
				break
			}
		}
	}
	var mw bitWriter
	put := func(table []value, symbol func(int) (int, int), v int, state *int) {
		base, extra := symbol(symbolOf(symbol, v))
		for t, e := range table {
			k := int(e.total - e.extra)
			if int(e.base) == base && int(e.extra) == extra && *state >= int(e.delta) && *state < int(e.delta)+1<<k {
				mw.put((*state-int(e.delta))<<extra|(v-base), k+extra)
				*state = t
				return
			}
		}
		panic("no state")
	}
	var l, m, dd int
	for i := len(list) - 1; i >= 0; i-- {
		put(d.d[:], td, list[i].d, &dd)
		put(d.m[:], tm, list[i].m, &m)
		put(d.l[:], tl, list[i].l, &l)
	}
	out := le.AppendUint32([]byte("bvx2"), uint32(to-from))
	out = le.AppendUint64(out, uint64(len(literals))|uint64(len(lw.b))<<20|uint64(len(list))<<40|uint64(lw.spare()+7)<<60)
	out = le.AppendUint64(out, uint64(states[0])|uint64(states[1])<<10|uint64(states[2])<<20|uint64(states[3])<<30|uint64(len(mw.b))<<40|uint64(mw.spare()+7)<<60)
	out = le.AppendUint64(out, uint64(32+len(fw.b))|uint64(l)<<32|uint64(m)<<42|uint64(dd)<<52)
	out = append(out, fw.b...)
	out = append(out, lw.b...)
	return append(out, mw.b...)
}

func freqOf(freq []uint16, c byte) bool { return freq[symbolsL+symbolsM+symbolsD+int(c)] > 0 }

func encode(b []byte) []byte {
	var out []byte
	for at := 0; at < len(b); {
		n := min(len(b)-at, 9000)
		out = append(out, block(b, at, at+n)...)
		at += n
	}
	return append(out, "bvx$"...)
}

func always(int64) bool { return true }

func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var words strings.Builder
	for range 6000 {
		fmt.Fprintf(&words, "word%d ", rng.IntN(400))
	}
	return map[string][]byte{
		"one": []byte("hello hello hello hello"), "noise": noise, "words": []byte(words.String()), "zeros": make([]byte, 30_000),
		"both": append([]byte(words.String()[:8000]), noise...),
	}
}

func TestDecode(t *testing.T) {
	for name, b := range samples() {
		z := encode(b)
		out, err := Decode(nil, z, len(b), always)
		if err != nil || !bytes.Equal(out, b) {
			t.Fatalf("%s: %d bytes of %d: %v", name, len(out), len(b), err)
		}
		if out, err = Decode([]byte("before"), z, len(b)+6, always); err != nil || string(out) != "before"+string(b) {
			t.Errorf("%s: behind other bytes: %v", name, err)
		}
		if out, err = Decode(nil, z, len(b)-1, always); err != ErrData || !bytes.HasPrefix(b, out) {
			t.Errorf("%s: too long: %d, %v", name, len(out), err)
		}
		if _, err = Decode(nil, z, len(b), func(int64) bool { return false }); err != ErrWork {
			t.Errorf("%s: without work: %v", name, err)
		}
		for n := range min(len(z), 3000) {
			if out, err = Decode(nil, z[:n], len(b), always); err == nil || !bytes.HasPrefix(b, out) {
				t.Errorf("%s: cut to %d of %d: %d bytes, %v", name, n, len(z), len(out), err)
			}
		}
	}
	plain := append(le.AppendUint32([]byte("bvx-"), 5), "plain"...)
	small := []byte{0xe5, 's', 'm', 'a', 'l', 'l', 0xf3, 6, 0, 0, 0, 0, 0, 0, 0} // a match at no distance
	bad := append(le.AppendUint32(le.AppendUint32([]byte("bvxn"), 8), uint32(len(small))), small...)
	good := append(le.AppendUint32(le.AppendUint32([]byte("bvxn"), 8), 10), 0x68, 2, 's', 6, 0, 0, 0, 0, 0, 0)
	for name, c := range map[string]struct {
		b    []byte
		want string
		err  error
	}{
		"as it is": {append(plain, "bvx$"...), "plain", nil}, "lzvn, no distance": {append(bad, "bvx$"...), "small", ErrData},
		"version 1": {append([]byte("bvx1"), make([]byte, 800)...), "", ErrKind}, "other": {append([]byte("bvx9"), make([]byte, 800)...), "", ErrData}, "end": {[]byte("bvx$"), "", nil},
		"no end": {plain, "plain", ErrData}, "lzvn": {append(append(plain, good...), "bvx$"...), "plain", ErrData},
	} {
		out, err := Decode(nil, c.b, 100, always)
		if err != c.err || string(out) != c.want {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// golden is what the tests of images and file systems have too. 7-Zip 26.02 gives the same
// bytes of it, in a disk image.
const golden = "YnZ4MgAIAAAgAAABAAEAcO+Dm6cIAwAgmAAAAAAAAAAAAAAA8CgAAAAAADwKAAAAjw4AAAAAAAAAAAAAAADwAAAAAAAAAAAAjxcAAPAAAAAA8AAAAAAAAAAAAADAI8ED8AA8EjwAD8ADADwGD8NjAA/AA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEIEQFb81ZBHJn+7F1ZrS/UAYnZ4JA=="

func TestGolden(t *testing.T) {
	want := strings.Repeat("the same again, and once more: ", 70)[:2048]
	if got := base64.StdEncoding.EncodeToString(encode([]byte(want))); got != golden {
		t.Error(got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range samples() {
		z := encode(b[:min(len(b), 700)])
		f.Add(z)
		if out, err := Decode(nil, z, 1<<16, always); err != nil || len(out) == 0 {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		steps := int64(0)
		out, err := Decode(nil, b, 1<<16, func(n int64) bool { steps += n; return steps < 1<<20 })
		again, err2 := Decode(nil, b, 1<<16, func(int64) bool { return true })
		if len(out) > 1<<16 || err != ErrWork && (err != err2 || !bytes.Equal(out, again)) {
			t.Errorf("%d bytes, %v; then %d bytes, %v", len(out), err, len(again), err2)
		}
		if v, _ := LZVN(nil, b, 1<<16); len(v) > 1<<16 {
			t.Errorf("%d bytes of LZVN", len(v))
		}
	})
}

package pattern

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/showcause/showcause"
)

// variable makes a part whose matches differ in length, so that a later start
// may have an earlier end.
func (k maker) variable() []Elem {
	short := func() Elem { return lit([]string{"a", "b", "ab", "bb"}[k.r.IntN(4)]) }
	switch k.r.IntN(4) {
	case 0:
		return []Elem{{Kind: Alt, Alts: [][]Elem{{short(), jump(0, int64(k.r.IntN(6))), lit("a")}, {short()}}}}
	case 1:
		return []Elem{short(), jump(0, int64(k.r.IntN(8))), short()}
	case 2:
		return []Elem{{Kind: Alt, Alts: [][]Elem{{lit("a"), jump(4, 4), lit("b")}, {lit("c"), jump(1, 2), lit("a")}, {short()}}}, jump(0, 1), short()}
	}
	return []Elem{short()}
}

// TestGapsAgainstOracle has a seed among parts of varying length, with
// unbounded gaps between, called in ascending, descending and random order:
// each start comes once, and each answer is right for its own seed.
func TestGapsAgainstOracle(t *testing.T) {
	k := maker{rand.New(rand.NewPCG(30, 31))}
	for range 800 {
		var before, after []Elem
		for range k.r.IntN(3) {
			before = append(append(before, k.variable()...), jump(int64(k.r.IntN(3)), -1))
		}
		for range k.r.IntN(3) {
			after = append(append(after, jump(int64(k.r.IntN(3)), -1)), k.variable()...)
		}
		p := one(slices.Concat(before, []Elem{lit("cccc")}, after)...)
		data := make([]byte, 16+k.r.IntN(16))
		for i := range data {
			data[i] = "aab"[k.r.IntN(3)]
		}
		for range 1 + k.r.IntN(4) {
			copy(data[k.r.IntN(len(data)-4):], "cccc")
		}
		checkGaps(t, k, p, before, after, data)
	}
}

func checkGaps(t *testing.T, k maker, p Pattern, before, after []Elem, data []byte) {
	t.Helper()
	prog, atoms, err := Compile(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(atoms) != 1 || string(atoms[0].Literal) != "cccc" {
		return // neighbours have joined to a literal as good
	}
	want := oracleStarts(p, data)
	for order := range 3 {
		seen := sightings(atoms, data)
		switch order {
		case 1:
			slices.Reverse(seen)
		case 2:
			k.r.Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
		}
		m := &Matcher{stride: int64(k.r.IntN(5))}
		in := NewInput(showcause.Bytes(data))
		got := map[int64]bool{}
		for _, s := range seen {
			hit := m.Verify(1, prog, s.place, in, s.at, func(off, n int64) bool {
				if len(before) > 0 && got[off] {
					t.Fatalf("%s in %q: start %d twice", prog, data, off)
				}
				if !oracleIs(p, data, hit{off, n}) {
					t.Fatalf("%s in %q: no match at %d, %d bytes", prog, data, off, n)
				}
				got[off] = true
				return true
			})
			if should := around(before, after, data, int(s.at)); hit != should {
				t.Fatalf("%s in %q, seed at %d, order %d: %v, want %v", prog, data, s.at, order, hit, should)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s in %q, order %d: starts %v, want %v", prog, data, order, got, want)
		}
		for _, h := range want {
			if !got[h.off] {
				t.Fatalf("%s in %q, order %d: missed %v", prog, data, order, h)
			}
		}
	}
}

// around tells whether what stands before and after a seed of 4 bytes matches.
func around(before, after []Elem, data []byte, at int) bool {
	head, tail := len(before) == 0, false
	for s := 0; s <= at; s++ {
		oracleEnds(before, data, s, func(e int) { head = head || e == at })
	}
	oracleEnds(after, data, at+4, func(int) { tail = true })
	return head && tail
}

// Bytes that cannot be read are not "other bytes" either.
func TestNegatedAltUnread(t *testing.T) {
	data := []byte("needle..xx....")
	prog, atoms, err := Compile(one(lit("needle.."), not("yy")), nil)
	if err != nil {
		t.Fatal(err)
	}
	yes := func(int64, int64) bool { return true }
	if !(&Matcher{}).Verify(1, prog, atoms[0].Place, NewInput(&slow{b: data}), 0, yes) {
		t.Error("no match")
	}
	in := NewInput(&failing{slow{b: data}, 9, nil})
	if (&Matcher{}).Verify(1, prog, atoms[0].Place, in, 0, yes) || in.Err() == nil {
		t.Error("matched what was not read", in.Err())
	}
}

// What emit stops is not forgotten: the next call goes on.
func TestEmitStops(t *testing.T) {
	p := one(lit("A"), jump(0, -1), lit("cccc"))
	prog, atoms, err := Compile(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := NewInput(showcause.Bytes("AAA.cccc"))
	m := &Matcher{}
	var got []int64
	if !m.Verify(1, prog, atoms[0].Place, in, 4, func(off, _ int64) bool { got = append(got, off); return false }) || len(got) != 1 {
		t.Errorf("stopped after %v", got)
	}
	got = nil
	if !m.Verify(1, prog, atoms[0].Place, in, 4, func(off, _ int64) bool { got = append(got, off); return true }) || !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("went on with %v", got)
	}
}

// TestCompileKeepsNothing holds that a program and its atoms do not change with what
// they were compiled from: callers use their room again.
func TestCompileKeepsNothing(t *testing.T) {
	for _, e := range []Elem{
		{Kind: Bytes, Value: []byte("Some bytes of a pattern")},
		{Kind: Bytes, Value: []byte("Some Bytes"), Fold: true},
		{Kind: Bytes, Value: []byte("some bytes"), Fold: true},
		{Kind: Bytes, Value: []byte{'a', 'b', 'c', 'd', 'e', 0x40}, Mask: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}},
	} {
		for _, p := range []Pattern{
			{Variants: [][]Elem{{e}}},
			{Variants: [][]Elem{{e, {Kind: Gap, Max: 3}, e}}},
			{Variants: [][]Elem{{{Kind: Alt, Alts: [][]Elem{{e}, {e, e}}}}}},
			{Forms: []Form{{Value: e.Value, Fold: e.Fold}, {Value: e.Value, Full: true}}},
		} {
			compiled := func() string {
				prog, atoms, err := Compile(p, nil)
				if err != nil {
					t.Fatal(err)
				}
				value, mask := bytes.Clone(e.Value), bytes.Clone(e.Mask)
				before := fmt.Sprintf("%x %+v", prog, atoms)
				for i := range e.Value {
					e.Value[i] ^= 0x55
				}
				for i := range e.Mask {
					e.Mask[i] ^= 0x55
				}
				if after := fmt.Sprintf("%x %+v", prog, atoms); after != before {
					t.Errorf("%+v: %s, then %s", p, before, after)
				}
				copy(e.Value, value)
				copy(e.Mask, mask)
				return before
			}
			if a, b := compiled(), compiled(); a != b {
				t.Errorf("%s, then %s", a, b)
			}
		}
	}
}

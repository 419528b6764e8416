package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

func lit(s string) Elem { return Elem{Kind: Bytes, Value: []byte(s)} }

func fold(s string) Elem { return Elem{Kind: Bytes, Value: []byte(s), Fold: true} }

func jump(lo, hi int64) Elem { return Elem{Kind: Gap, Min: lo, Max: hi} }

func alts(ss ...string) Elem {
	e := Elem{Kind: Alt}
	for _, s := range ss {
		e.Alts = append(e.Alts, []Elem{lit(s)})
	}
	return e
}

func not(ss ...string) Elem {
	e := alts(ss...)
	e.Negate = true
	return e
}

func one(els ...Elem) Pattern { return Pattern{Variants: [][]Elem{els}} }

func places(atoms []Atom) (out []uint32) {
	for _, a := range atoms {
		out = append(out, a.Place)
	}
	return out
}

// checkAgainstOracle compares all matches of a pattern with the oracle's.
func checkAgainstOracle(t *testing.T, p Pattern, data []byte) {
	t.Helper()
	prog, atoms, err := Compile(p, nil)
	if err != nil {
		if errors.Is(err, ErrNoLiteral) || strings.Contains(err.Error(), "empty sequence") { // the maker makes {0}
			return
		}
		t.Fatalf("%+v: %v", p, err)
	}
	if err := prog.Check(places(atoms)); err != nil {
		t.Fatalf("%s: %v", prog, err)
	}
	want := oracleStarts(p, data)
	for _, stride := range []int64{0, 1, 3} {
		compareWithOracle(t, p, prog, atoms, data, want, stride)
	}
}

// compareWithOracle searches so many places at a time.
func compareWithOracle(t *testing.T, p Pattern, prog Program, atoms []Atom, data []byte, want []hit, stride int64) {
	t.Helper()
	m := &Matcher{stride: stride}
	hits, any := search(m, prog, atoms, data, NewInput(showcause.Bytes(data)))
	if any != (len(want) > 0) {
		t.Fatalf("%s in %q: verify says %v, oracle %v", prog, data, any, want)
	}
	got := map[int64]int64{}
	for _, h := range hits {
		if !oracleIs(p, data, h) {
			t.Fatalf("%s in %q: emitted %v, which is no match", prog, data, h)
		}
		if n, ok := got[h.off]; !ok || h.n < n {
			got[h.off] = h.n
		}
	}
	for _, h := range want {
		if _, ok := got[h.off]; !ok {
			t.Fatalf("%s in %q: missed %v of %v", prog, data, h, want)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s in %q: starts %v, want %v", prog, data, got, want)
	}
	checkWindows(t, prog, atoms, data, hits, m)
}

// checkWindows runs again through small windows and no window: the same
// matches in the same number of steps.
func checkWindows(t *testing.T, prog Program, atoms []Atom, data []byte, hits []hit, first *Matcher) {
	t.Helper()
	for _, w := range []int{0, 3, len(data) / 2} {
		in := NewInput(&slow{b: data})
		base := min(5, len(data))
		in.SetWindow(data[base:min(base+w, len(data))], int64(base))
		m := &Matcher{stride: first.stride}
		again, _ := search(m, prog, atoms, data, in)
		if !reflect.DeepEqual(again, hits) || m.Steps != first.Steps || in.Err() != nil {
			t.Fatalf("%s in %q, window %d: %v in %d steps, want %v in %d (%v)", prog, data, w, again, m.Steps, hits, first.Steps, in.Err())
		}
	}
}

func TestVerifyAgainstOracle(t *testing.T) {
	k := maker{rand.New(rand.NewPCG(1, 2))}
	n := 30000
	if testing.Short() {
		n = 3000
	}
	for range n {
		checkAgainstOracle(t, k.pattern(), k.data(1+k.r.IntN(24)))
	}
}

func TestVerifyTable(t *testing.T) {
	for _, c := range []struct {
		p    Pattern
		data string
		want []hit
		text string
	}{
		{one(lit("abc")), "abcabc", []hit{{0, 3}, {3, 3}}, "61 62 63"},
		{one(fold("aB1")), "xAb1ab1", []hit{{1, 3}, {4, 3}}, "i(61 62 31)"},
		{one(lit("aa")), "aaaa", []hit{{0, 2}, {1, 2}, {2, 2}}, "61 61"},
		{one(lit("ab"), jump(0, 2), lit("cd")), "ababcd ab-cdcd", []hit{{0, 6}, {2, 4}, {7, 5}}, "61 62 {-2} 63 64"},
		{one(lit("ab"), jump(0, -1), lit("cdef")), "ababcdefab", []hit{{0, 8}, {2, 6}}, "61 62 * 63 64 65 66"},
		{one(lit("abcd"), jump(2, -1), lit("e")), "abcdeeee", []hit{{0, 7}}, "61 62 63 64 {2-} 65"},
		{one(lit("ab"), alts("c", "dd"), lit("e")), "abcabeabddeabce", []hit{{6, 5}, {11, 4}}, "61 62 (63|64 64) 65"},
		{one(lit("ab"), not("cc", "dd"), lit("e")), "abcceabcdeabe", []hit{{5, 5}}, "61 62 !(63 63|64 64) 65"},
		{one(Elem{Kind: Bytes, Value: []byte{'a', 0x60, 0x02}, Mask: []byte{0xff, 0xf0, 0x0f}}), "aarabrac", []hit{{0, 3}, {3, 3}}, "61 6? ?2"},
		{one(alts("ab", "c"), lit("d")), "abdcd", []hit{{0, 3}, {3, 2}}, "(61 62|63) 64"},
		{Pattern{Variants: [][]Elem{{lit("ab")}, {lit("a\x00b\x00")}}}, "ab-a\x00b\x00", []hit{{0, 2}, {3, 4}}, "61 62 or 61 00 62 00"},
		{one(Elem{Kind: Assert, Test: FullStart}, lit("ab"), Elem{Kind: Assert, Test: FullEnd}), "ab ab1 .ab", []hit{{0, 2}, {8, 2}}, "(f) 61 62 (f)"},
		{one(Elem{Kind: Alt, Alts: [][]Elem{{lit("one"), jump(5, 5), lit("two")}}}), "one.....two", []hit{{0, 11}}, "6f 6e 65 {5} 74 77 6f"},
	} {
		prog, atoms, err := Compile(c.p, nil)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if prog.String() != c.text {
			t.Errorf("text is %q, want %q", prog, c.text)
		}
		hits, _ := search(&Matcher{}, prog, atoms, []byte(c.data), NewInput(showcause.Bytes(c.data)))
		if !reflect.DeepEqual(hits, c.want) {
			t.Errorf("%s in %q: %v, want %v", prog, c.data, hits, c.want)
		}
		checkAgainstOracle(t, c.p, []byte(c.data))
	}
}

// Where a first part is too short to search for, the seed stands behind an
// unbounded gap, and every start before it counts, once.
func TestSeedBehindGap(t *testing.T) {
	p := one(lit("A"), jump(1, -1), lit("BBBB"), jump(0, -1), lit("C"))
	prog, atoms, err := Compile(p, nil)
	if err != nil || len(atoms) != 1 || string(atoms[0].Literal) != "BBBB" {
		t.Fatal(atoms, err)
	}
	data := []byte("AA.BBBBA.BBBB...CA-BBBB-")
	hits, _ := search(&Matcher{}, prog, atoms, data, NewInput(showcause.Bytes(data)))
	if want := []hit{{0, 17}, {1, 16}, {7, 10}}; !reflect.DeepEqual(hits, want) {
		t.Errorf("got %v, want %v", hits, want)
	}
}

// ClamAV counts a pattern with jumps by the places of its last part.
func TestByEnd(t *testing.T) {
	p := one(lit("AAXX"), jump(0, 10), lit("BBYY"))
	p.ByEnd, p.Count = true, 3
	// The counts are what "sigtool --test-sigs" of 1.4.6 prints.
	for _, c := range []struct {
		data string
		n    int
	}{
		{"AAXXAAXXBBYY", 1}, {"AAXXBBYYBBYY", 2}, {"AAXXAAXXBBYYBBYY", 2}, {"BBYYAAXX", 0},
	} {
		prog, atoms, err := Compile(p, nil)
		if err != nil || !prog.ByEnd() {
			t.Fatal(err)
		}
		hits, _ := search(&Matcher{}, prog, atoms, []byte(c.data), NewInput(showcause.Bytes(c.data)))
		if len(hits) != c.n {
			t.Errorf("%s: %v, want %d ends", c.data, hits, c.n)
		}
	}
}

func TestByEndAgainstOracle(t *testing.T) {
	k := maker{rand.New(rand.NewPCG(3, 4))}
	tried := 0
	for range 20000 {
		p := one(append(k.sequence(0), jump(0, int64(k.r.IntN(6))-1), lit("ab"))...)
		p.ByEnd, p.Count = true, 2
		data := k.data(1 + k.r.IntN(24))
		prog, atoms, err := Compile(p, nil)
		if err != nil || !prog.ByEnd() {
			continue
		}
		tried++
		m := &Matcher{stride: int64(k.r.IntN(4))}
		for i := range int64(k.r.IntN(3)) {
			lo := int64(k.r.IntN(12)) + i*12
			m.Within = append(m.Within, [2]int64{lo, lo + int64(k.r.IntN(4))})
		}
		want := map[int64]bool{}
		for s := range data {
			if !mayBegin(m, int64(s)) {
				continue
			}
			oracleEnds(p.Variants[0], data, s, func(e int) { want[int64(e)] = true })
		}
		got := map[int64]bool{}
		hits, _ := search(m, prog, atoms, data, NewInput(showcause.Bytes(data)))
		for _, h := range hits {
			if got[h.off+h.n] || !oracleIs(p, data, h) || !mayBegin(m, h.off) {
				t.Fatalf("%s in %q: %v twice or no match", prog, data, h)
			}
			got[h.off+h.n] = true
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s in %q: ends %v, want %v", prog, data, got, want)
		}
	}
	if tried < 10000 {
		t.Errorf("only %d patterns tried", tried)
	}
}

func mayBegin(m *Matcher, off int64) bool {
	return m.Within == nil || slices.ContainsFunc(m.Within, func(w [2]int64) bool { return w[0] <= off && off <= w[1] })
}

// Work behind unbounded gaps has to grow with the layer, not with its square.
func TestLinearWork(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct {
		name string
		p    Pattern
		data func(n int) string
	}{
		{"tail never", one(lit("AAAA"), jump(0, -1), lit("ZZZZ")), func(n int) string { return rep("AAAA", n) }},
		{"tail at the end", one(lit("AAAA"), jump(0, -1), lit("ZZZZ")), func(n int) string { return rep("AAAA.", n) + "ZZZZ" }},
		{"tail everywhere", one(lit("AAAA"), jump(0, -1), lit("ZZZZ")), func(n int) string { return rep("AAAAZZZZ", n) }},
		{"two tails", one(lit("AAAA"), jump(0, -1), lit("BB"), jump(3, -1), lit("ZZ")), func(n int) string { return rep("AAAA", n) + rep("BB", n) }},
		{"tail of many ends", one(lit("AAAA"), jump(0, -1), lit("B"), jump(0, 9), lit("Z")), func(n int) string { return rep("AAAAB", n) }},
		{"head never", one(lit("Z"), jump(0, -1), lit("AAAA")), func(n int) string { return rep("AAAA", n) }},
		{"head first", one(lit("Z"), jump(0, -1), lit("AAAA")), func(n int) string { return "Z" + rep("AAAA", n) }},
		{"head everywhere", one(lit("Z"), jump(0, -1), lit("AAAA")), func(n int) string { return rep("ZAAAA", n) }},
		{"middle", one(lit("Y"), jump(0, -1), lit("Z"), jump(0, -1), lit("AAAA"), jump(1, -1), lit("B")), func(n int) string { return rep("YZAAAA", n) }},
	} {
		work := func(n int, byEnd bool) int64 {
			p := c.p
			p.ByEnd, p.Count = byEnd, 5
			prog, atoms, err := Compile(p, nil)
			if err != nil {
				t.Fatal(err)
			}
			m := &Matcher{}
			data := []byte(c.data(n))
			search(m, prog, atoms, data, NewInput(showcause.Bytes(data)))
			return m.Steps
		}
		for _, byEnd := range []bool{false, true} {
			small, big := work(500, byEnd), work(8000, byEnd)
			if big > 20*small {
				t.Errorf("%s, by end %v: %d steps for 500, %d for 8000", c.name, byEnd, small, big)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	p := one(lit("AAAA"), jump(0, 100000), lit("ZZZZ"))
	prog, atoms, err := Compile(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte(strings.Repeat("A", 50000))
	m := &Matcher{Limit: 100000}
	hits, _ := search(m, prog, atoms, data, NewInput(showcause.Bytes(data)))
	if !m.Exhausted() || len(hits) > 0 {
		t.Errorf("exhausted %v, hits %v", m.Exhausted(), hits)
	}
	if m.Steps > m.Limit+2*stride {
		t.Errorf("%d steps with a limit of %d", m.Steps, m.Limit)
	}
	m.Reset()
	if !m.Exhausted() {
		t.Error("Reset took the exhaustion back")
	}
	m.Steps = 0
	data = []byte("AAAA.ZZZZ")
	if hits, _ := search(m, prog, atoms, data, NewInput(showcause.Bytes(data))); len(hits) != 1 || m.Exhausted() {
		t.Error("a Matcher that was set back finds", hits)
	}
}

// A set of more places than memory may hold is work left undone, never a "no".
func TestMemoryBound(t *testing.T) {
	prog, atoms, err := Compile(one(lit("needle"), jump(0, 4*maxSpans), lit("a"), jump(1, 1), lit("Z")), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("needle" + strings.Repeat("a..", maxSpans+10) + "a.Z")
	for _, limit := range []int64{0, 1 << 40} {
		m := &Matcher{Limit: limit}
		hits, _ := search(m, prog, atoms, data, NewInput(showcause.Bytes(data)))
		if !m.Exhausted() || len(hits) > 0 {
			t.Errorf("limit %d: exhausted %v, hits %v", limit, m.Exhausted(), hits)
		}
		if m.Steps = 0; m.Exhausted() != (limit == 0) {
			t.Errorf("limit %d: set back, exhausted %v", limit, m.Exhausted())
		}
	}
}

// failing returns an error for everything at bad or later.
type failing struct {
	slow
	bad int64
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= f.bad {
		return f.slow.ReadAt(p, off)
	}
	if off >= f.bad {
		return 0, f.err
	}
	n, _ := f.slow.ReadAt(p[:f.bad-off], off)
	return n, f.err
}

func TestInputErrors(t *testing.T) {
	data := append(bytes.Repeat([]byte{'.'}, 3*16384), "needle"...)
	prog, atoms, err := Compile(one(lit("....need"), lit("le")), nil)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	for _, c := range []struct{ err, want error }{{boom, boom}, {io.EOF, io.ErrUnexpectedEOF}, {nil, io.ErrUnexpectedEOF}} {
		in := NewInput(&failing{slow{b: data}, int64(len(data) - 3), c.err})
		m := &Matcher{}
		if m.Verify(1, prog, atoms[0].Place, in, int64(len(data)-10), func(int64, int64) bool { return true }) {
			t.Error("matched bytes that were not read")
		}
		if !errors.Is(in.Err(), c.want) {
			t.Errorf("error %v, want %v", in.Err(), c.want)
		}
	}
	// Across pages, without a window.
	src := &slow{b: append(bytes.Repeat([]byte{'.'}, 16384-6), "needle"...)}
	in := NewInput(src)
	if !(&Matcher{}).Verify(1, prog, atoms[0].Place, in, 16384-10, func(int64, int64) bool { return true }) || in.Err() != nil {
		t.Error("no match across a page", in.Err())
	}
}

func TestCompileErrors(t *testing.T) {
	deep := lit("a")
	for range maxDepth + 2 {
		deep = Elem{Kind: Alt, Alts: [][]Elem{{deep}, {lit("b")}}}
	}
	for _, c := range []struct {
		p    Pattern
		want string
	}{
		{Pattern{}, "0 variants"},
		{one(), "empty sequence"},
		{one(Elem{Kind: Bytes}), "without a byte"},
		{one(Elem{Kind: Bytes, Value: []byte("ab"), Mask: []byte{1}}), "mask of 1 bytes on 2"},
		{one(Elem{Kind: Bytes, Value: []byte{0x41}, Mask: []byte{0xf0}}), "outside its mask"},
		{one(Elem{Kind: Bytes, Value: []byte{0x40}, Mask: []byte{0xf0}}), "no fixed byte"},
		{one(jump(1, 2)), "no fixed byte"},
		{one(lit("a"), jump(3, 2)), "gap of 3 to 2"},
		{one(lit("a"), jump(-1, 2)), "gap of -1"},
		{one(lit("a"), jump(0, maxGap+1)), "gap of"},
		{one(lit("a"), jump(0, -1)), "unbounded gap at an end"},
		{one(jump(0, -1), lit("a")), "unbounded gap at an end"},
		{one(lit("a"), jump(0, 0)), ""},
		{one(lit("a"), Elem{Kind: Alt}), "0 alternatives"},
		{one(lit("a"), Elem{Kind: Alt, Alts: [][]Elem{{}}}), "empty sequence"},
		{one(lit("a"), Elem{Kind: Alt, Alts: [][]Elem{{lit("a"), jump(0, -1), lit("b")}}}), "within an alternative"},
		{one(lit("a"), not("b", "cc")), "different lengths"},
		{one(lit("a"), Elem{Kind: Alt, Negate: true, Alts: [][]Elem{{jump(1, 1)}}}), "not only bytes"},
		{one(lit("a"), Elem{Kind: Assert, Test: 99}), "unknown test"},
		{one(Elem{Kind: 9}), "unknown kind"},
		{one(deep), "deep"},
		{Pattern{Variants: [][]Elem{{lit("a")}, {not("b")}}}, "no fixed byte"},
	} {
		_, _, err := Compile(c.p, nil)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.want)
		}
	}
}

func TestAtoms(t *testing.T) {
	long := strings.Repeat("x", 20) + "RARE" + strings.Repeat("x", 40)
	rare := func(b []byte, fold bool) int { return bytes.Count(b, []byte("R")) * 10 }
	for _, c := range []struct {
		p     Pattern
		score func([]byte, bool) int
		want  string
	}{
		{one(lit("abc")), nil, "abc"},
		{one(lit("ab"), jump(1, 1), lit("cdefg")), nil, "cdefg"},
		{one(lit("RRR"), jump(1, 1), lit("cdef")), rare, "RRR"},
		{one(lit("R"), jump(1, 1), lit("cdef")), rare, "cdef"},
		{one(lit("zzzz"), jump(0, -1), lit("RRRR")), rare, "zzzz"},
		{one(lit("zzzz"), jump(0, -1), lit("RRRRRRRR")), rare, "RRRRRRRR"},
		{one(lit("abcd"), jump(0, -1), lit("cdefgh")), nil, "abcd"},
		{one(lit("abc"), jump(0, -1), lit("cdefgh")), nil, "cdefgh"},
		{one(lit("a"), alts("bcde", "fghi")), nil, "bcde fghi"},
		{one(lit("a"), alts("bcde", "f")), nil, "a"},
		{one(fold("AB-1234")), nil, "ab-1234"},
		{one(lit(long)), rare, strings.Repeat("x", 20) + "RARExxxxxxxx"},
		{Pattern{Variants: [][]Elem{{lit("abcd")}, {lit("efgh")}}}, nil, "abcd efgh"},
		{one(Elem{Kind: Bytes, Value: []byte("ab\x00cdef"), Mask: []byte("\xff\xff\x00\xff\xff\xff\xff")}), nil, "cdef"},
	} {
		_, atoms, err := Compile(c.p, c.score)
		var got []string
		for _, a := range atoms {
			got = append(got, string(a.Literal))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%+v: atoms %q, want %q (%v)", c.p, got, c.want, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	data := []byte(strings.Repeat("some text before the thing; ", 200) + "needle in here, then the tail" + strings.Repeat(".", 100))
	at := int64(bytes.Index(data, []byte("needle")))
	for _, c := range []struct {
		name string
		p    Pattern
	}{
		{"literal", one(lit("needle in"))},
		{"fold", one(fold("needle IN"))},
		{"mask", one(Elem{Kind: Bytes, Value: []byte("needle\x00in"), Mask: []byte("\xff\xff\xff\xff\xff\xff\x00\xff\xff")})},
		{"jump", one(lit("needle"), jump(0, 20), lit("then"))},
		{"alt", one(lit("needle "), alts("at", "in", "on"), lit(" here"))},
		{"tail", one(lit("needle"), jump(0, -1), lit("tail"))},
	} {
		b.Run(c.name, func(b *testing.B) {
			prog, atoms, err := Compile(c.p, nil)
			if err != nil {
				b.Fatal(err)
			}
			in := NewInput(showcause.Bytes(data))
			m := &Matcher{}
			place, off := atoms[0].Place, at+int64(bytes.Index([]byte("needle in here, then the tail"), atoms[0].Literal))
			emit := func(off, n int64) bool { return true }
			b.ReportAllocs()
			for b.Loop() {
				if !m.Verify(1, prog, place, in, off, emit) {
					b.Fatal("no match")
				}
			}
		})
	}
}

func ExampleProgram_String() {
	prog, _, _ := Compile(one(lit("AB"), jump(4, 10), alts("a", "b"), jump(0, -1), lit("C")), nil)
	fmt.Println(prog)
	// Output: 41 42 {4-10} (61|62) * 43
}

package regex

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex/syntax"
)

type hit struct{ off, n int64 }

func parse(t testing.TB, src string, f syntax.Flags) *syntax.Tree {
	t.Helper()
	tree, err := syntax.Parse(src, f)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return tree
}

// search finds all matches as a scanner does: atoms by a naive search, then
// Verify; without atoms by Scan. Of one start the match that counts is kept.
func search(t testing.TB, p Program, atoms []Atom, in Input, data []byte) []hit {
	t.Helper()
	if err := p.Check(places(atoms)); err != nil {
		t.Fatal(err)
	}
	m := &Matcher{}
	best := map[int64]int64{}
	emit := func(off, n int64) bool {
		if off < 0 || n < 0 || off+n > int64(len(data)) {
			t.Fatalf("match %d+%d outside of %d", off, n, len(data))
		}
		old, ok := best[off]
		if !ok || p.Greedy() && n > old || !p.Greedy() && n < old {
			best[off] = n
		}
		return true
	}
	if len(atoms) == 0 || !p.Linear() {
		m.Scan(1, p, in, 0, int64(len(data))+1, emit)
	} else {
		for _, a := range atoms {
			for at := 0; at+len(a.Literal) <= len(data); at++ {
				if equal(data[at:at+len(a.Literal)], a.Literal, a.Fold) {
					m.Verify(1, p, a.Place, in, int64(at), emit)
				}
			}
		}
	}
	var out []hit
	for off, n := range best {
		out = append(out, hit{off, n})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].off < out[j].off })
	return out
}

func equal(b, lit []byte, fold bool) bool {
	for i, c := range b {
		if fold {
			c = lower(c)
		}
		if c != lit[i] {
			return false
		}
	}
	return true
}

func places(atoms []Atom) []uint32 {
	var out []uint32
	for _, a := range atoms {
		if a.Place != NoPlace {
			out = append(out, a.Place)
		}
	}
	return out
}

func bytesInput(b []byte) Input { return NewReader(showcause.Bytes(b)) }

func TestMatches(t *testing.T) {
	x, y, pc := syntax.Flags{Dialect: syntax.YARAX}, syntax.Flags{}, syntax.Flags{Dialect: syntax.PCRE}
	with := func(f syntax.Flags, set func(*syntax.Flags)) syntax.Flags { set(&f); return f }
	ci := with(y, func(f *syntax.Flags) { f.CaseInsensitive = true })
	dot := with(y, func(f *syntax.Flags) { f.DotAll = true })
	for _, c := range []struct {
		src  string
		f    syntax.Flags
		o    Options
		data string
		want string
	}{
		{"foo.*", y, Options{}, "foobar foo x\nfoo", "[{0 12} {7 5} {13 3}]"},
		{"[a-z]{3,10}", y, Options{}, "foobarfoobarb", "[{0 10} {1 10} {2 10} {3 10} {4 9} {5 8} {6 7} {7 6} {8 5} {9 4} {10 3}]"},
		{"xa|xab", y, Options{}, "xab", "[{0 2}]"},
		{"xab|xa", y, Options{}, "xab", "[{0 2}]"},
		{"(xa|xab)q*", y, Options{}, "xab", "[{0 3}]"},
		{"ab+?", y, Options{}, "abbbb", "[{0 2}]"},
		{"a*", y, Options{}, "baab", "[{1 2} {2 1}]"},
		{"(abc|)", y, Options{}, "foo", "[{0 0} {1 0} {2 0} {3 0}]"},
		{`\b`, y, Options{}, "foo bar", "[]"},
		{`\b\w\w\w\b`, y, Options{}, " abc ", "[{1 3}]"},
		{"^abc$", y, Options{}, "abc", "[{0 3}]"},
		{"^abc$", y, Options{}, "abcc", "[]"},
		{"$abc", y, Options{}, "abc", "[]"},
		{"foobar$", y, Options{Wide: true}, "f\x00o\x00o\x00b\x00a\x00r\x00", "[{0 12}]"},
		{"foobar$", y, Options{Wide: true}, "f\x00o\x00o\x00b\x00a\x00r\x00x", "[]"},
		{"foobar$", x, Options{Wide: true}, "f\x00o\x00o\x00b\x00a\x00r\x00x", "[{0 12}]"},
		{`\babc`, y, Options{Wide: true}, "x\x00a\x00b\x00c\x00 \x00a\x00b\x00c\x00", "[{10 6}]"},
		{"abc[^d]", ci, Options{}, "ABCDabcEaBcd", "[{4 4}]"},
		{"a.c", dot, Options{Ascii: true, Wide: true}, "a\nc a\x00.\x00c\x00", "[{0 3} {4 6}]"},
		{"fo+", y, Options{FullWord: true}, "foooo fooo1 xfoo fo", "[{0 5} {17 2}]"},
		{"fo+", y, Options{FullWord: true, Wide: true}, "f\x00o\x00 f\x00o\x00o\x001\x00", "[{0 4}]"},
		{"(?m)^abc", x, Options{}, "xyz\rabc\nabc abc", "[{4 3} {8 3}]"},
		{"abc.*?ddd", x, Options{}, "abcdddddd", "[{0 6}]"},
		{"abc.*ddd", x, Options{}, "abcdddddd", "[{0 9}]"},
		{`(?u)\p{Greek}+x`, x, Options{}, "aαβx", "[{1 5} {3 3}]"},
		{`(?i)é`, x, Options{}, "éÉ", "[{0 2}]"},
		{`(?iu)é`, x, Options{}, "éÉ", "[{0 2} {2 2}]"},
		{`(a+)b\1`, pc, Options{}, "aabaab", "[{0 5} {1 3}]"},
		{`(?<n>a)(?=b)\k<n>*+b`, pc, Options{}, "ab aab", "[{0 2} {4 2}]"},
		{`(?>a+)ab`, pc, Options{}, "aaab", "[]"},
		{`(?<!x)ab(?!c)`, pc, Options{}, "xab abc ab", "[{8 2}]"},
		{`a(?(?=b)bc|d)`, pc, Options{}, "abc ad ab", "[{0 3} {4 2}]"},
		{`(a)?(?(1)b|c)`, pc, Options{}, "ab c", "[{0 2} {3 1}]"},
		{`foo\Kbar`, pc, Options{}, "foobar", "[{3 3}]"},
		{`abc$`, pc, Options{}, "abc\n", "[{0 3}]"},
		{`abc$`, pc, Options{}, "abc\n\n", "[]"},
	} {
		tree := parse(t, c.src, c.f)
		p, atoms, err := Compile(tree, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		got := search(t, p, atoms, bytesInput([]byte(c.data)), []byte(c.data))
		if s := fmt.Sprint(got); s != c.want {
			t.Errorf("%s on %q: %s, want %s", c.src, c.data, s, c.want)
		}
	}
}

// want is what the oracle says of a Scan.
func want(tree *syntax.Tree, data []byte, wide bool) (out []hit, over bool) {
	x := tree.Flags.Dialect == syntax.YARAX
	o := &oracle{data: data, wide: wide, x: x}
	for i := 0; i <= len(data); i++ {
		ends := o.ends(tree, i)
		if o.over {
			return nil, true
		}
		if len(ends) == 0 {
			continue
		}
		e := ends[0]
		if x && tree.Greedy && !tree.Lazy {
			for _, k := range ends {
				e = max(e, k)
			}
		}
		if e == i && tree.Flags.Dialect == syntax.YARA4 && !tree.Root.HasEmpty() {
			continue
		}
		out = append(out, hit{int64(i), int64(e - i)})
	}
	return out, false
}

// checkScan compares Scan and Contains with the oracle; and what the atoms
// find with the starts that the oracle finds.
func checkScan(t testing.TB, src string, f syntax.Flags, data []byte, wide bool) {
	t.Helper()
	tree, err := syntax.Parse(src, f)
	if err != nil {
		return
	}
	w, over := want(tree, data, wide)
	if over {
		return
	}
	p, atoms, err := Compile(tree, Options{Wide: wide})
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	var got []hit
	m := &Matcher{}
	in := bytesInput(data)
	m.Scan(1, p, in, 0, int64(len(data))+1, func(off, n int64) bool {
		got = append(got, hit{off, n})
		return true
	})
	if fmt.Sprint(got) != fmt.Sprint(w) {
		t.Fatalf("%q (dialect %d, wide %v) on %q: Scan\n got %v\nwant %v", src, f.Dialect, wide, data, got, w)
	}
	small := &Matcher{block: 1 + int64(len(src))%9, dfaMem: 1}
	var again []hit
	small.Scan(1, p, in, 0, int64(len(data))+1, func(off, n int64) bool {
		again = append(again, hit{off, n})
		return true
	})
	if fmt.Sprint(again) != fmt.Sprint(w) {
		t.Fatalf("%q (dialect %d, wide %v) on %q: Scan in blocks\n got %v\nwant %v", src, f.Dialect, wide, data, again, w)
	}
	if !p.Linear() {
		return
	}
	if len(atoms) > 0 {
		by := search(t, p, atoms, in, data)
		if len(by) != len(w) {
			t.Fatalf("%q (dialect %d, wide %v) on %q: atoms %v\n got %v\nwant %v", src, f.Dialect, wide, data, atoms, by, w)
		}
		o := &oracle{data: data, wide: wide, x: f.Dialect == syntax.YARAX}
		for i := range by {
			ok := by[i].off == w[i].off
			end := false
			for _, e := range o.ends(tree, int(by[i].off)) {
				end = end || int64(e) == by[i].off+by[i].n
			}
			if !ok || !end {
				t.Fatalf("%q (dialect %d) on %q: atoms\n got %v\nwant %v", src, f.Dialect, data, by, w)
			}
			if f.Dialect == syntax.YARAX && tree.Greedy && !tree.Lazy && by[i] != w[i] {
				t.Fatalf("%q on %q: atoms\n got %v\nwant %v", src, data, by, w)
			}
		}
	}
	any := len(w) > 0
	if f.Dialect == syntax.YARA4 { // Contains counts the empty match
		o := &oracle{data: data, wide: wide}
		for i := 0; i <= len(data) && !any; i++ {
			any = len(o.ends(tree, i)) > 0
		}
	}
	if m.Contains(1, p, in) != any {
		t.Fatalf("%q (dialect %d, wide %v) on %q: Contains is not %v", src, f.Dialect, wide, data, any)
	}
}

func checkSeed(t testing.TB, seed uint64) {
	k := &maker{Rand: rand.New(rand.NewPCG(seed, 3))}
	k.d = syntax.Dialect(seed % 3)
	k.lazy = k.IntN(3) == 0
	k.back = k.d == syntax.PCRE && k.IntN(2) == 0
	f := syntax.Flags{Dialect: k.d, CaseInsensitive: k.IntN(4) == 0, DotAll: k.IntN(3) == 0}
	if k.d != syntax.YARA4 {
		f.Multiline = k.IntN(3) == 0
	}
	src := k.expr(0)
	for range 4 {
		data := k.data(24)
		wide := k.d != syntax.PCRE && k.IntN(4) == 0
		if wide {
			if data = widened(data); len(data) > 0 && k.IntN(2) == 0 {
				data[k.IntN(len(data))] = byte(k.IntN(2)) * 'x'
			}
		}
		checkScan(t, src, f, data, wide)
	}
}

func TestOracle(t *testing.T) {
	for seed := range uint64(3000) {
		checkSeed(t, seed)
	}
}

// What begins in a stretch is found wherever the stretch begins.
func TestScanFrom(t *testing.T) {
	tree, err := syntax.Parse(`vu\dba`, syntax.Flags{Dialect: syntax.PCRE})
	if err != nil {
		t.Fatal(err)
	}
	prog, _, err := Compile(tree, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Repeat([]byte("."), 1500)
	places := []int64{77, 700, 1157, 1333}
	for _, at := range places {
		copy(b[at:], "vu7ba")
	}
	for from := range int64(len(b)) {
		var got, want []int64
		for _, at := range places {
			if at >= from {
				want = append(want, at)
			}
		}
		var m Matcher
		m.Scan(1, prog, NewReader(showcause.Bytes(b)), from, int64(len(b))+1, func(off, _ int64) bool {
			got = append(got, off)
			return true
		})
		if !slices.Equal(got, want) {
			t.Fatalf("from %d: %v, want %v", from, got, want)
		}
	}
}

package lower

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
)

// search finds the matches of a lowered pattern, by its atoms where it has some.
func search(t testing.TB, p pattern.Pattern, re *rule.Regexp, data []byte) []match {
	found := map[int64]int64{}
	in := pattern.NewInput(showcause.Bytes(data))
	longest := false
	emit := func(off, n int64) bool {
		have, dup := found[off]
		if !dup || longest == (n > have) {
			found[off] = n
		}
		return true
	}
	if re != nil {
		var places []uint32
		for _, a := range re.Atoms {
			places = append(places, a.Place)
		}
		if err := re.Program.Check(places); err != nil {
			t.Fatal(err)
		}
		longest = re.Program.Greedy()
		var m regex.Matcher
		if len(re.Atoms) == 0 {
			m.Scan(0, re.Program, in, 0, in.Size()+1, emit)
		}
		for _, a := range re.Atoms {
			for _, at := range placesOf(data, a.Literal, a.Fold, 0, 0) {
				m.Verify(0, re.Program, a.Place, in, at, emit)
			}
		}
		return sorted(found)
	}
	prog, atoms, err := pattern.Compile(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	var places []uint32
	for _, a := range atoms {
		places = append(places, a.Place)
	}
	if err := prog.Check(places); err != nil {
		t.Fatal(err)
	}
	if prog.String() == "" {
		t.Error("a program without a text")
	}
	longest = false // of forms the shortest counts, too
	var m pattern.Matcher
	type hit struct {
		at    int64
		place uint32
	}
	var hits []hit
	for _, a := range atoms {
		if lit, fold, ok := prog.Literal(a.Place); ok != (a.XorHi == 0) || ok && (fold != a.Fold && len(lit) == len(a.Literal) || !bytes.HasPrefix(lit, a.Literal)) {
			t.Errorf("literal %q %v %v of the atom %q %v", lit, fold, ok, a.Literal, a.Fold)
		}
		for _, at := range placesOf(data, a.Literal, a.Fold, a.XorLo, a.XorHi) {
			hits = append(hits, hit{at, a.Place})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.at, b.at) })
	for _, h := range hits {
		m.Verify(0, prog, h.place, in, h.at, emit)
	}
	return sorted(found)
}

func sorted(found map[int64]int64) (out []match) {
	for off, n := range found {
		out = append(out, match{off, n})
	}
	slices.SortFunc(out, func(a, b match) int { return cmp.Compare(a.off, b.off) })
	return out
}

// placesOf are the places of a literal.
func placesOf(data, lit []byte, fold bool, lo, hi byte) (out []int64) {
	for at := 0; at+len(lit) <= len(data); at++ {
		got := data[at : at+len(lit)]
		key := got[0] ^ lit[0]
		switch {
		case hi > 0:
			same := key >= lo && key <= hi
			for i := range lit {
				same = same && got[i]^key == lit[i]
			}
			if same {
				out = append(out, int64(at))
			}
		case bytes.Equal(got, lit) || fold && bytes.Equal(bytes.ToLower(got), lit):
			out = append(out, int64(at))
		}
	}
	return out
}

func checked(t testing.TB, text string, d source.Dialect) *check.Result {
	t.Helper()
	var set source.Sources
	src, err := set.Add("t.yar", text)
	if err != nil {
		t.Fatal(err)
	}
	res := check.Check(&set, []check.Input{{Source: src}}, check.Options{Dialect: d})
	for _, diag := range res.Diags {
		if diag.Severity == source.Error {
			t.Fatalf("%s: %s", text, diag.Title)
		}
	}
	return res
}

// haystack makes data that a string is likely to be found in.
func haystack(r *rand.Rand) []byte {
	pieces := []string{
		"abc", "ABC", "aBc", "a\x00b\x00c\x00", "A\x00b\x00C\x00", " ", "x", "1", "\x00", "ab", "bc", "b\x00c\x00", "YWJj", "FiY2", "hYmM", "hYmMg", "eGFiYw", "xhYmN",
		"Y\x00W\x00J\x00j\x00", "A\x00B\x00", "\x01\x02\x03", "\x40\x63\x62", "cba", "abcabc", "a", "b", "c", "\xff", "YQ", "ZmFiY2Y",
	}
	var b []byte
	for range 4 + r.IntN(24) {
		b = append(b, pieces[r.IntN(len(pieces))]...)
	}
	if r.IntN(3) == 0 {
		for i := range b {
			b[i] ^= 3
		}
	}
	return b
}

// stringOf makes a text or hex string.
func stringOf(r *rand.Rand, d source.Dialect) string {
	if r.IntN(2) == 0 {
		return hexOf(r)
	}
	mods := [][]string{
		{},
		{"nocase"},
		{"wide"},
		{"wide", "ascii"},
		{"fullword"},
		{"fullword", "wide"},
		{"fullword", "wide", "ascii", "nocase"},
		{"xor"},
		{"xor(1-3)"},
		{"xor(0x03)", "wide"},
		{"xor", "fullword"},
		{"xor", "fullword", "wide", "ascii"},
		{"base64"},
		{"base64wide"},
		{"base64", "base64wide"},
		{"base64", "wide", "ascii"},
		{"private"},
	}
	text := []string{"abc", "ab", "a", "bca", "cabc", "ABc", "ab1"}[r.IntN(7)]
	m := mods[r.IntN(len(mods))]
	if d == source.YARAX && len(text) < 3 {
		text += "bc"
	}
	return fmt.Sprintf("%q %s", text, strings.Join(m, " "))
}

func hexOf(r *rand.Rand) string {
	bytes := []string{"61", "62", "63", "??", "6?", "?2", "~61", "~6?", "00", "41"}
	var seq func(n, depth int) string
	seq = func(n, depth int) string {
		var parts []string
		for i := range n {
			k := r.IntN(12)
			switch {
			case k == 0 && depth < 2:
				parts = append(parts, "( "+seq(1+r.IntN(2), depth+1)+" | "+seq(1+r.IntN(3), depth+1)+" )")
			case k == 1 && i > 0 && i < n-1 && !strings.HasPrefix(parts[len(parts)-1], "["):
				jumps := []string{"[1]", "[0-2]", "[1-5]", "[2]"}
				if depth == 0 {
					jumps = append(jumps, "[-]", "[2-]", "[0-300]")
				}
				parts = append(parts, jumps[r.IntN(len(jumps))])
			default:
				parts = append(parts, bytes[r.IntN(len(bytes))])
			}
		}
		return strings.Join(parts, " ")
	}
	return "{ 6" + string("123"[r.IntN(3)]) + " " + seq(1+r.IntN(5), 0) + " " + []string{"61", "62", "6?"}[r.IntN(3)] + " }"
}

// TestStrings holds lowered strings, searched for by their atoms, against a
// search that tries every place.
func TestStrings(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	held := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		d := []source.Dialect{source.YARA, source.YARAX, source.Either}[r.IntN(3)]
		text := stringOf(r, d)
		res := checked(t, "rule r { strings: $a = "+text+" condition: $a }", d)
		data := haystack(r)
		rl := res.Rules[0]
		p, re, err := lowerPattern(res, rl, rl.Patterns[0])
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, want := search(t, p, re, data), naive(rl.Patterns[0], rl.Dialect, data)
		if len(want) > 0 {
			held++
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v %s in %q:\nhave %v\nwant %v", d, text, data, got, want)
		}
	}
	t.Logf("%d of %d strings are found", held, rounds)
	if held < rounds/8 {
		t.Error("too few strings are found to say much")
	}
}

// Hex strings without a fixed byte are searched for as regular expressions.
func TestNoFixedByte(t *testing.T) {
	for _, c := range []struct {
		hex   string
		atoms bool
	}{
		{"{ 6? ?1 }", false},
		{"{ ~61 ~62 }", false},
		{"{ 6? [1-3] ?1 }", false},
		{"{ 6? ( ?1 ?2 | ?1 ) ?3 }", false},
		{"{ 6? [-] ?1 }", false},
		{"{ 61 ?? }", true},
		{"{ ( 61 | 62 ) ?? }", true},
	} {
		res := checked(t, "rule r { strings: $a = "+c.hex+" condition: $a }", source.Either)
		p, re, err := lowerPattern(res, res.Rules[0], res.Rules[0].Patterns[0])
		if err != nil || (re == nil) != c.atoms {
			t.Errorf("%s: %v, regular expression %v", c.hex, err, re != nil)
			continue
		}
		data := []byte("aaab1c!abc\xff\x61\x01ba1acab33 12 \x62\x62")
		if got, want := search(t, p, re, data), naive(res.Rules[0].Patterns[0], source.Either, data); !slices.Equal(got, want) {
			t.Errorf("%s: have %v, want %v", c.hex, got, want)
		}
	}
}

// FuzzStrings holds lowered strings, over any bytes, against a search that tries
// every place.
func FuzzStrings(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		stringOf(r, source.YARA)
		f.Add(seed, haystack(r))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		if len(data) > 4096 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		d := []source.Dialect{source.YARA, source.YARAX, source.Either}[r.IntN(3)]
		text := stringOf(r, d)
		res := checked(t, "rule r { strings: $a = "+text+" condition: $a }", d)
		p, re, err := lowerPattern(res, res.Rules[0], res.Rules[0].Patterns[0])
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, want := search(t, p, re, data), naive(res.Rules[0].Patterns[0], res.Rules[0].Dialect, data); !slices.Equal(got, want) {
			t.Errorf("%v %s in %q:\nhave %v\nwant %v", d, text, data, got, want)
		}
	})
}

// TestFarJumps holds that hex strings without a fixed byte compile whenever check
// takes them, up to its bound and past it.
func TestFarJumps(t *testing.T) {
	for _, c := range []struct {
		hex string
		ok  bool
	}{
		{"4? [40000] 5?", true},
		{"4? [100000] 5?", true},
		{"4? [100001] 5?", false},
		{"4? [0-50000] 5?", true},
		{"4? [0-50001] 5?", false},
		{"4? [50000] 5? [50000] 6?", true},
		{"4? [50000] 5? [50001] 6?", false},
		{"4? [-] 5?", true},
		{"4? [70000-] 5?", true},
		{"4? [200000-] 5?", false},
		{"4? ( 1? [50000] 2? | 3? [50000] 4? ) 5?", true},
		{"4? ( 1? [50000] 2? | 3? [50001] 4? ) 5?", false},
		{"4? ( 11 [50000] 2? | 3? [90001] 44 ) 5?", true},
		{"41 ( 11 [-] 2? | 3? [90001] 44 ) [90001] 5?", false},
		{"41 [4000000] 5?", true},
	} {
		var set source.Sources
		src, err := set.Add("t.yar", "rule r { strings: $a = { "+c.hex+" } condition: $a }")
		if err != nil {
			t.Fatal(err)
		}
		res := check.Check(&set, []check.Input{{Source: src}}, check.Options{})
		if res.Failed() == c.ok {
			t.Errorf("{ %s }: refused %v, want %v", c.hex, res.Failed(), !c.ok)
		}
		if res.Failed() {
			if !slices.ContainsFunc(res.Diags, func(d *source.Diagnostic) bool { return d.Code == source.TooLarge }) {
				t.Errorf("{ %s }: %s", c.hex, res.Diags[0].Code)
			}
			continue
		}
		for _, p := range Rules(res, Options{}, func(*rule.Rule) error { return nil }) {
			if p.Err != nil {
				t.Errorf("{ %s }: %s", c.hex, p.String())
			}
		}
	}
}

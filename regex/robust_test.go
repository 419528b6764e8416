package regex

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/regex/syntax"
)

// latin1 makes a character of each byte, for Go's regexp.
func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// TestGo compares the first match, and whether there is one, with Go's regexp.
func TestGo(t *testing.T) {
	found := 0
	for seed := range uint64(2500) {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 21)), d: syntax.PCRE}
		k.lazy = k.IntN(2) == 0
		src := k.expr(0)
		f := syntax.Flags{Dialect: syntax.PCRE, CaseInsensitive: k.IntN(4) == 0, DotAll: k.IntN(2) == 0, DollarEnd: true}
		flags := "(?-m)"
		if f.CaseInsensitive {
			flags += "(?i)"
		}
		if f.DotAll {
			flags += "(?s)"
		}
		// Under (?i) Go folds beyond ASCII; our data has no such letters.
		re, err := regexp.Compile(flags + src)
		if err != nil {
			continue
		}
		p, _, err := Compile(parse(t, src, f), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			data := k.data(40)
			for i := range data {
				if k.IntN(12) == 0 {
					data[i] = byte(k.IntN(256))
				}
				if data[i] == '\v' {
					data[i] = 'v'
				}
			}
			text := latin1(data)
			want := "none"
			if loc := re.FindStringIndex(text); loc != nil {
				from := len([]rune(text[:loc[0]]))
				want = fmt.Sprint(from, len([]rune(text[loc[0]:loc[1]])))
				found++
			}
			m := &Matcher{}
			got := "none"
			m.Scan(1, p, bytesInput(data), 0, int64(len(data))+1, func(off, n int64) bool {
				got = fmt.Sprint(off, n)
				return false
			})
			if got != want {
				t.Fatalf("%q on %q: %s, Go says %s", flags+src, data, got, want)
			}
			if m.Contains(1, p, bytesInput(data)) != (want != "none") {
				t.Fatalf("%q on %q: Contains", src, data)
			}
		}
	}
	if found < 2000 {
		t.Errorf("only %d matches", found)
	}
}

// pieces is an Input that shows a few bytes at a time.
type pieces struct {
	data []byte
	n    int64
}

func (p *pieces) Size() int64 { return int64(len(p.data)) }
func (p *pieces) View(off, n int64) []byte {
	if off < 0 || off >= int64(len(p.data)) {
		return nil
	}
	n = min(n, p.n-off%p.n, int64(len(p.data))-off)
	return p.data[off : off+n]
}

// However the bytes come to hand, matches and steps are the same; so they are
// from a Matcher that did other things before.
func TestPiecesAndSteps(t *testing.T) {
	used := &Matcher{}
	for seed := range uint64(600) {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 31)), d: syntax.Dialect(seed % 3)}
		tree := parse(t, k.expr(0), syntax.Flags{Dialect: k.d})
		p, atoms, err := Compile(tree, Options{Ascii: true, Wide: k.IntN(3) == 0})
		if err != nil {
			t.Fatal(err)
		}
		data := k.data(200)
		first := ""
		for _, n := range []int64{1 << 20, 1, 3, 7} {
			for _, m := range []*Matcher{{}, used} {
				m.Steps = 0
				var b strings.Builder
				emit := func(off, n int64) bool { fmt.Fprint(&b, off, ":", n, " "); return true }
				in := &pieces{data, n}
				m.Scan(uint32(seed), p, in, 0, int64(len(data))+1, emit)
				for _, a := range atoms {
					for at := range int64(len(data)) {
						m.Verify(uint32(seed), p, a.Place, in, at, emit)
					}
				}
				fmt.Fprint(&b, "contains ", m.Contains(uint32(seed), p, in), " steps ", m.Steps)
				if first == "" {
					first = b.String()
				}
				if b.String() != first {
					t.Fatalf("seed %d: pieces of %d:\n%s\n%s", seed, n, b.String(), first)
				}
			}
		}
	}
}

// failing is a Source that cannot be read from a place on.
type failing struct{ showcause.Bytes }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= 1<<15 {
		return 0, errors.New("bad sector")
	}
	return f.Bytes.ReadAt(p, off)
}

func TestUnreadable(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1<<16)
	copy(data[40000:], "needle")
	copy(data[100:], "needle")
	p, atoms, err := Compile(parse(t, "needle", syntax.Flags{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := NewReader(failing{data})
	var got []int64
	m := &Matcher{}
	for _, at := range []int64{100, 40000} {
		m.Verify(1, p, atoms[0].Place, in, at, func(off, _ int64) bool { got = append(got, off); return true })
	}
	if fmt.Sprint(got) != "[100]" || in.Err() == nil {
		t.Errorf("%v, %v", got, in.Err())
	}
	short := NewReader(io.NewSectionReader(bytes.NewReader(data[:10]), 0, 100))
	m.Scan(1, p, short, 0, 101, func(int64, int64) bool { t.Error("match"); return false })
	if short.Err() == nil {
		t.Error("a source shorter than it says gives no error")
	}
}

// Expressions that are large or slow elsewhere end within bounds.
func TestPathological(t *testing.T) {
	data := bytes.Repeat([]byte("a"), 20000)
	pc := syntax.Flags{Dialect: syntax.PCRE}
	for _, c := range []struct {
		src  string
		f    syntax.Flags
		code syntax.Code // of the error that is wanted
	}{
		{src: "(a*)*b"},
		{src: "(a+)+$x"},
		{src: "a{0,30000}b"},
		{src: "(a|a)*b"},
		{src: "(a|aa)+c"},
		{src: "(a?){200}a{200}b"},
		{src: ".{0,1000}b"},
		{src: "((a{0,100}){0,100})b"},
		{src: "((a{0,1000}){0,1000}){0,1000}b", code: syntax.TooLarge},
		{src: "((a{30000}){30000}){30000}", code: syntax.TooLarge},
		{src: "((()|){9999}|){9999}", f: syntax.Flags{Dialect: syntax.YARAX}, code: syntax.TooLarge},
		{src: strings.Repeat("(", 100000), code: syntax.TooDeep},
		{src: strings.Repeat("[", 100000), f: syntax.Flags{Dialect: syntax.YARAX}, code: syntax.TooDeep},
		{src: strings.Repeat("a|", 100000) + "a"},
		{src: strings.Repeat("ab|", 100000) + "a", code: syntax.TooLarge},
		{src: strings.Repeat("a|", 50000) + "ab"},
		{src: `(a+)+\1b`, f: pc},
		{src: `(?=(a+)+b)a`, f: pc},
		{src: `(a*)*\1*b`, f: pc},
	} {
		tree, err := syntax.Parse(c.src, c.f)
		var p Program
		var atoms []Atom
		if err == nil {
			p, atoms, err = Compile(tree, Options{})
		}
		if c.code != "" {
			var e *syntax.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("%.40s: %v, want %s", c.src, err, c.code)
			}
			continue
		}
		if err != nil {
			t.Errorf("%.40s: %v", c.src, err)
			continue
		}
		m := &Matcher{Limit: 20_000_000, BackLimit: 10_000}
		in := bytesInput(data)
		m.Scan(1, p, in, 0, int64(len(data)), func(off, n int64) bool { return off < 10 })
		for i, a := range atoms {
			if i > 10 {
				break
			}
			for at := int64(0); at < 20; at++ {
				m.Verify(1, p, a.Place, in, at, func(int64, int64) bool { return true })
			}
		}
		if over := m.Steps - m.Limit; over > maxOver {
			t.Errorf("%.40s: %d steps above the limit", c.src, over)
		}
		if !p.Linear() && m.Abandoned == 0 {
			t.Errorf("%.40s: nothing abandoned", c.src)
		}
		if n := m.machine(1, p).size(); n > 40<<20 {
			t.Errorf("%.40s: %d bytes", c.src, n)
		}
	}
}

// maxOver is what the last step begun may take beyond a limit: it works off at most one state of
// the automaton, or one place.
const maxOver = 4096

// nested makes an expression whose repetitions stand within repetitions.
func nested(r *rand.Rand, depth int) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	if depth == 0 {
		return pick("a", "a", ".", `\w`, "[ab]", "(?:a|a)", "(?:a|aa)", "a?")
	}
	in := nested(r, depth-1)
	switch r.IntN(7) {
	case 0:
		return "(" + in + ")" + pick("+", "*", "+?", "{2,}") + `\1`
	case 1:
		return pick("(?=", "(?!", "(?<!b)(?:") + in + pick("+", "*") + pick("b", "$") + ")" + in
	case 2:
		return "(?:" + in + "|" + nested(r, depth-1) + ")" + pick("+", "*", "{1,40}")
	case 3:
		return in + pick("+", "*") + nested(r, depth-1) + pick("+", "*?")
	}
	return "(?:" + in + ")" + pick("+", "*", "*?", "{0,30}", "{3,}", "+?")
}

// TestBudget holds that no expression takes more steps than it may, however its repetitions
// are nested: not in all, and where it backtracks not at one place.
func TestBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(91, 92))
	data := bytesInput(bytes.Repeat([]byte("a"), 3000))
	back, used := 0, 0
	for range 3000 {
		src := nested(r, 1+r.IntN(4)) + []string{"b", "$x", `\1`, ""}[r.IntN(4)]
		tree, err := syntax.Parse(src, syntax.Flags{Dialect: syntax.PCRE})
		if err != nil {
			continue
		}
		p, atoms, err := Compile(tree, Options{})
		if err != nil {
			continue
		}
		m := &Matcher{Limit: 1 + r.Int64N(100_000), BackLimit: 1 + r.Int64N(5000)}
		m.Scan(1, p, data, 0, data.Size(), func(off, n int64) bool { return true })
		for _, a := range atoms[:min(len(atoms), 4)] {
			m.Verify(1, p, a.Place, data, 100, func(int64, int64) bool { return true })
		}
		if m.Steps > m.Limit+maxOver {
			t.Errorf("%s: %d steps of %d", src, m.Steps, m.Limit)
		}
		if m.Steps > m.Limit {
			if used++; !m.Exhausted() {
				t.Errorf("%s: over its limit, and not exhausted", src)
			}
		}
		one := &Matcher{BackLimit: 1000}
		if before := one.Steps; !p.Linear() {
			back++
			one.Scan(1, p, data, 0, 1, func(off, n int64) bool { return true })
			if one.Steps-before > 1000+maxOver {
				t.Errorf("%s: %d steps at one place", src, one.Steps-before)
			}
		}
	}
	if t.Logf("%d backtrack, %d used their limit up", back, used); back < 500 || used < 1000 {
		t.Error("too few are hard")
	}
}

// samples are programs of all shapes, with their places.
func samples(n int) (progs []Program, at [][]uint32) {
	for seed := uint64(0); len(progs) < n; seed++ {
		k := &maker{Rand: rand.New(rand.NewPCG(seed, 41)), d: syntax.Dialect(seed % 3)}
		k.back = k.d == syntax.PCRE
		tree, err := syntax.Parse(k.expr(1), syntax.Flags{Dialect: k.d})
		if err != nil {
			continue
		}
		p, atoms, err := Compile(tree, Options{Wide: seed%2 == 0, Ascii: true, FullWord: seed%5 == 0})
		if err == nil {
			progs, at = append(progs, p), append(at, places(atoms))
		}
	}
	return progs, at
}

// runAll runs a program at every place of some data; it must come back.
func runAll(p Program, places []uint32) {
	data := []byte("abABaabb \x00a\x00b\x00\naAbBabcab\n")
	m := &Matcher{Limit: 300000, BackLimit: 2000}
	in := bytesInput(data)
	emit := func(off, n int64) bool {
		if off < 0 || n < 0 || off+n > int64(len(data)) {
			panic("match outside the input")
		}
		return true
	}
	for _, q := range places {
		for at := int64(-1); at <= int64(len(data)); at++ {
			m.Verify(1, p, q, in, at, emit)
		}
	}
	m.Scan(1, p, in, 0, int64(len(data))+1, emit)
	m.Contains(1, p, in)
}

// Every single damaged byte and every cut is refused or harmless.
func TestCheckDamage(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 12
	}
	progs, at := samples(n)
	refused, ran := 0, 0
	for i, p := range progs {
		if err := p.Check(at[i]); err != nil {
			t.Fatal(err)
		}
		for j := range p {
			for _, x := range []byte{1, 0x40, 0xff} {
				q := bytes.Clone(p)
				q[j] ^= x
				if Program(q).Check(at[i]) != nil {
					refused++
					continue
				}
				ran++
				runAll(q, at[i])
			}
			if Program(p[:j]).Check(nil) == nil {
				t.Fatalf("program cut to %d of %d bytes was accepted", j, len(p))
			}
		}
	}
	if refused == 0 || ran == 0 {
		t.Errorf("%d refused, %d ran", refused, ran)
	}
}

// FuzzCheck: what Check accepts is safe to run.
func FuzzCheck(f *testing.F) {
	progs, at := samples(32)
	for i, p := range progs {
		q := uint32(NoPlace)
		if len(at[i]) > 0 {
			q = at[i][0]
		}
		f.Add([]byte(p), q)
	}
	f.Fuzz(func(t *testing.T, b []byte, place uint32) {
		p := Program(b)
		var places []uint32
		if place != NoPlace {
			places = append(places, place)
		}
		if p.Check(places) == nil {
			runAll(p, places)
		}
	})
}

// FuzzOracle compares a random expression on random data with the oracle.
func FuzzOracle(f *testing.F) {
	for i := range uint64(16) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkSeed(t, seed) })
}

// FuzzMatch compares what the text of an expression does with the oracle.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"a(b|c)+?d", `[^\w-z]{2,3}$`, `(?i)x|\bfoo\x41{,3}`, `(?<n>a+)(?=b)\k<n>`, `[[:alpha:]&&[^x]]`, `(?u)\p{L}é`} {
		for d := range uint8(3) {
			f.Add(s, d, []byte("abcabd foo\nAxé"))
		}
	}
	f.Fuzz(func(t *testing.T, src string, d uint8, data []byte) {
		if len(src) > 60 || len(data) > 40 {
			return
		}
		flags := syntax.Flags{Dialect: syntax.Dialect(d % 3), CaseInsensitive: d&4 != 0, DotAll: d&8 != 0, Relaxed: d&16 != 0}
		tree, err := syntax.Parse(src, flags)
		if err != nil || tooMuch(tree.Root, 200) > 200 || hasOp(tree.Root, syntax.Cond) || hasOp(tree.Root, syntax.Keep) {
			return
		}
		checkScan(t, src, flags, data, d&32 != 0 && flags.Dialect != syntax.PCRE)
	})
}

// tooMuch estimates how often nodes are copied.
func tooMuch(n *syntax.Node, top int) int {
	k := 1
	for _, s := range n.Subs {
		k = min(k+tooMuch(s, top), top+1)
	}
	if n.Op == syntax.Repeat {
		k = min(k*max(n.Min, n.Max, 1), top+1)
	}
	return k
}

func hasOp(n *syntax.Node, op syntax.Op) bool {
	if n.Op == op {
		return true
	}
	for _, s := range n.Subs {
		if hasOp(s, op) {
			return true
		}
	}
	return false
}

// A large input that is read in windows gives what one in memory does.
func TestWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = "abc \n"[r.IntN(5)]
	}
	for range 40 {
		copy(data[r.IntN(len(data)-20):], "needle(12345)x")
	}
	used := &Matcher{}
	for _, src := range []string{`needle\(\d+\)`, `\d{3,}.?x`, `[a-c]{9,}\s`, `needle[^x]*x`} {
		for _, d := range []syntax.Dialect{syntax.YARA4, syntax.PCRE} {
			p, atoms, err := Compile(parse(t, src, syntax.Flags{Dialect: d}), Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			for _, window := range []int{0, 1, 1000, 70_000} {
				var in Input = bytesInput(data)
				if window > 0 {
					in = NewReader(io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))))
				}
				m := used // what it did before must not matter
				if window == 0 {
					m = &Matcher{}
				}
				m.Steps = 0
				var b strings.Builder
				emit := func(off, n int64) bool {
					fmt.Fprint(&b, off, ":", n, " ")
					return true
				}
				m.Scan(1, p, in, 0, int64(len(data)), emit)
				for _, a := range atoms {
					for at := 0; ; at++ {
						i := bytes.Index(data[at:], a.Literal)
						if i < 0 {
							break
						}
						if at += i; window > 1 {
							from := max(0, at-window/2)
							in.(*Reader).SetWindow(data[from:min(from+window, len(data))], int64(from))
						}
						m.Verify(1, p, a.Place, in, int64(at), emit)
					}
				}
				fmt.Fprint(&b, m.Contains(1, p, in), m.Steps)
				if want == "" {
					want = b.String()
				}
				if b.String() != want || len(want) < 100 {
					t.Errorf("%s, dialect %d, window %d: %d bytes of matches, want %d", src, d, window, b.Len(), len(want))
				}
			}
		}
	}
}

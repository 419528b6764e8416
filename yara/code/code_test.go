package code

import (
	"errors"
	"math"
	"testing"

	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// stub is a host with two patterns, of which the first has matches at 2, 5 and 9,
// and a rule that holds, one that does not and one that is not known.
type stub struct{ data []byte }

func (s stub) Size() int64 { return int64(len(s.data)) }

func (s stub) Read(off int64, n int) []byte {
	if off < 0 || off > s.Size() || int64(n) > s.Size()-off {
		return nil
	}
	return s.data[off : off+int64(n)]
}

func (stub) Count(pattern int) int { return 3 * (1 - pattern) }

func (stub) At(_, i int) (off, n int64) { return []int64{2, 5, 9}[i], int64(i) }

func (stub) Rule(dep int) (holds, known bool) { return dep == 0, dep < 2 }

func (stub) Module(string, source.Dialect) module.Value {
	return module.Value{Kind: module.Struct, Ref: module.Tree{
		"n":    module.IntValue(3),
		"s":    module.TextValue("Some text"),
		"f":    module.FloatValue(1.5),
		"list": {Kind: module.Array, Ref: module.List{module.IntValue(1), module.TextValue("b")}},
		"call": {Kind: module.Func, Ref: module.Function(func(a []module.Value) module.Value { return module.IntValue(int64(len(a))) })},
	}}
}

func (stub) External(name string) (module.Value, bool) { return module.TextValue("x"), name == "x" }

func (stub) Entry() (int64, bool) { return 0, false }

// every builds a program that has every op.
func every(t testing.TB) Program {
	t.Helper()
	tree, err := resyntax.Parse("te+xt", resyntax.Flags{Dialect: resyntax.YARAX})
	if err != nil {
		t.Fatal(err)
	}
	re, _, err := regex.Compile(tree, regex.Options{Ascii: true, Reach: -1})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(source.Either, 2, 3)
	b.Registers(12, 3, 5)
	end, yes := b.Label(), b.Label()
	str := func(s string) int64 { return int64(b.String(s)) }
	b.Emit(Instr{Op: Module, A: 0, B: b.Module("m")})
	b.Emit(Instr{Op: Field, A: 1, B: 0, N: str("list")})
	b.Emit(Instr{Op: Len, A: 1, B: 1, To: end})
	b.Emit(Instr{Op: Int, A: 0})
	b.Emit(Instr{Op: Sub, A: 1, B: 1, Y: 1, HasY: true})
	b.Emit(Instr{Op: Range, A: 0, To: end})
	b.Emit(Instr{Op: Int, A: 5, N: 2})
	b.Emit(Instr{Op: Int, A: 6})
	b.Emit(Instr{Op: Quota, A: 3, B: 5, C: 2, To: yes})
	head, miss, on := b.Label(), b.Label(), b.Label()
	b.Bind(head)
	b.Emit(Instr{Op: Index, A: 2, B: 1, C: 0})
	b.Emit(Instr{Op: UnboxInt, A: 7, B: 2, To: miss})
	b.Emit(Instr{Op: Hit, A: 3, Enough: yes, To: end})
	b.Emit(Instr{Op: Jump, To: on})
	b.Bind(miss)
	b.Emit(Instr{Op: Miss, A: 3, To: on})
	b.Bind(on)
	b.Emit(Instr{Op: Next, A: 0, To: head})
	for op := False; op < ops; op++ {
		in := sample(b, op, end)
		if op == BoxRegexp {
			in.N, in.E = str("te+xt"), b.String("i")
		}
		switch op {
		case False, True, Next, Matches, Module:
		default:
			b.Emit(in)
		}
	}
	b.Emit(Instr{Op: Text, A: 0, N: str("some teeext")})
	b.Emit(Instr{Op: Matches, B: 0, C: b.Regexp(re), If: true, To: yes})
	b.Bind(end)
	b.Emit(Instr{Op: False})
	b.Bind(yes)
	b.Emit(Instr{Op: True})
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sample is an instruction with an op, that goes on at the next in any case.
func sample(b *Builder, op Op, end Label) Instr {
	in := Instr{Op: op}
	s := shapes[op]
	next := end
	if s.e == onward {
		in.To = next
	}
	if s.d == onward {
		in.Enough = next
	}
	switch op {
	case Of, OfAt, OfIn, Member:
		in.C = 2
		in.N, in.Indirect = b.Members([]int{1, 0})
	case OfRules:
		in.C, in.N = 2, b.Rules([]int{0, 1})
	case Switch:
		on := b.Label()
		in.C, in.N = 2, b.Targets([]Label{end, end})
		b.Emit(Instr{Op: Jump, To: on})
		b.Emit(in)
		b.Bind(on)
		return Instr{Op: Move}
	case NumberAt:
		in.C, in.N = 2, b.Numbers([]int64{5, math.MinInt64})
	case Peek:
		in.A, in.HasY = Peeking(Ne, 9), true
	case Int:
		in.N = -5
	}
	return in
}

// TestTruncated holds that no prefix of a program is one, and that one with bytes
// changed is refused or runs.
func TestTruncated(t *testing.T) {
	p := every(t)
	for n := range p {
		if err := p[:n].Check(2, 3); !errors.Is(err, ErrProgram) && !errors.Is(err, regex.ErrProgram) {
			t.Fatalf("%d of %d bytes: %v", n, len(p), err)
		}
	}
	for _, counts := range [][2]int{{1, 3}, {3, 3}, {2, 2}, {2, 4}} {
		if p.Check(counts[0], counts[1]) == nil {
			t.Errorf("it is taken for one over %d patterns and %d rules", counts[0], counts[1])
		}
	}
	m := Machine{Limit: 1000}
	h := stub{[]byte("MZ and some other bytes")}
	for i := range p {
		for _, v := range []byte{0, 1, 2, 7, 31, 64, 127, 128, 255, p[i] + 1, p[i] - 1, p[i] ^ 0x80} {
			q := append(Program{}, p...)
			q[i] = v
			if q.Check(2, 3) == nil {
				first := m.Run(q, h)
				if again := m.Run(q, h); again != first {
					t.Fatalf("byte %d is %d: %+v, then %+v", i, v, first, again)
				}
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(every(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Program(b)
		if p.Check(2, 3) == nil {
			m := Machine{Limit: 1000}
			m.Run(p, stub{[]byte("MZ and some other bytes")})
		}
	})
}

// TestShapes holds that every op has a shape.
func TestShapes(t *testing.T) {
	for op := Jump; op < ops; op++ {
		if shapes[op] == (shape{}) {
			t.Errorf("op %d has no shape", op)
		}
	}
}

// built runs what build makes, which jumps to yes if it holds.
func built(t *testing.T, build func(b *Builder, yes, no Label)) Outcome {
	t.Helper()
	b := NewBuilder(source.Either, 2, 3)
	b.Registers(12, 3, 5)
	yes, no := b.Label(), b.Label()
	build(b, yes, no)
	b.Bind(no)
	b.Emit(Instr{Op: False})
	b.Bind(yes)
	b.Emit(Instr{Op: True})
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	m := Machine{Limit: 10000}
	return m.Run(p, stub{[]byte("MZ and some other bytes")})
}

// TestRanges pins counts over the ends of the numbers.
func TestRanges(t *testing.T) {
	for _, c := range []struct{ lo, hi, size int64 }{
		{0, 0, 1},
		{1, 0, 0},
		{-3, 3, 7},
		{0, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -2, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, 1},
		{math.MinInt64, math.MinInt64, 1},
	} {
		out := built(t, func(b *Builder, yes, no Label) {
			b.Emit(Instr{Op: Int, A: 0, N: c.lo})
			b.Emit(Instr{Op: Int, A: 1, N: c.hi})
			b.Emit(Instr{Op: Range, A: 0, To: no})
			b.Emit(Instr{Op: Int, A: 3, N: c.size})
			b.Emit(Instr{Op: Eq, B: 2, C: 3, If: true, To: yes})
		})
		if out.Holds != (c.size > 0) {
			t.Errorf("%d to %d is not %d", c.lo, c.hi, c.size)
		}
	}
}

// TestShare pins percentages.
func TestShare(t *testing.T) {
	for _, c := range []struct{ n, size, want int64 }{
		{50, 3, 2},
		{100, 7, 7},
		{1, 1, 1},
		{34, 3, 2},
		{33, 3, 1},
		{0, 5, 0},
		{-100, 5, -4},
		{50, math.MaxInt64, math.MaxInt64/2 + 1},
		{100, math.MaxInt64, math.MaxInt64},
		{1, 1 << 50, 1<<50/100 + 1},
	} {
		if got := share(c.n, c.size); got != c.want {
			t.Errorf("%d%% of %d is %d, want %d", c.n, c.size, got, c.want)
		}
	}
}

// TestWindow reads every number at every offset of some sizes.
func TestWindow(t *testing.T) {
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	m := Machine{}
	for _, size := range []int{0, 1, 3, 255, 256, 257, 259, 511, 513, 1000} {
		m.h, m.held = stub{data[:size]}, 0
		for i := range 3 * size {
			off := i * 89 % (size + 5)
			for form, n := range map[int]int{0: 1, 1: 2, 2: 4, 1 | formBig: 2, 2 | formBig: 4, 3: 8, 3 | formBig: 8, formSigned: 1} {
				want, there := int64(0), off+n <= size
				for k := range n {
					if !there {
						break
					}
					at := off + n - 1 - k
					if form&formBig != 0 {
						at = off + k
					}
					want = want<<8 | int64(data[at])
				}
				if form == formSigned {
					want = int64(int8(want))
				}
				if got, ok := m.read(int64(off), form); ok != there || ok && got != want {
					t.Fatalf("%d bytes, offset %d, form %d: %x %v, want %x %v", size, off, form, got, ok, want, there)
				}
			}
		}
		for _, off := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 - 1} {
			if _, ok := m.read(off, 1); ok {
				t.Errorf("there is a number at %d", off)
			}
		}
	}
}

// TestBisection holds what is found in ranges against a count one by one.
func TestBisection(t *testing.T) {
	m := Machine{h: stub{}}
	for lo := int64(-2); lo < 12; lo++ {
		for hi := int64(-2); hi < 12; hi++ {
			want := 0
			for _, off := range []int64{2, 5, 9} {
				if off >= lo && off <= hi {
					want++
				}
			}
			if got := m.in(0, 3, lo, hi); got != want {
				t.Errorf("%d from %d to %d, want %d", got, lo, hi, want)
			}
		}
		if got := m.at(0, 3, lo); got != (lo == 2 || lo == 5 || lo == 9) {
			t.Errorf("at %d: %v", lo, got)
		}
	}
	if got := m.in(0, 3, math.MinInt64, math.MaxInt64); got != 3 {
		t.Errorf("%d in all", got)
	}
}

// TestStops holds that a rule that is not known, and a loop without end, stop.
func TestStops(t *testing.T) {
	out := built(t, func(b *Builder, yes, _ Label) {
		b.Emit(Instr{Op: Rule, N: 2, If: true, To: yes})
	})
	if !out.Stopped || out.Holds {
		t.Errorf("on a rule that is not known: %+v", out)
	}
	out = built(t, func(b *Builder, yes, no Label) {
		b.Emit(Instr{Op: Int, A: 1, N: math.MaxInt64})
		b.Emit(Instr{Op: Range, A: 0, To: no})
		head := b.Label()
		b.Bind(head)
		b.Emit(Instr{Op: Next, A: 0, To: head})
	})
	if !out.Stopped || out.Holds || out.Steps < 10000 || out.Steps > 10100 {
		t.Errorf("a loop without end: %+v", out)
	}
}

// TestTooLarge holds that what does not fit is an error.
func TestTooLarge(t *testing.T) {
	for name, build := range map[string]func(b *Builder){
		"operand":   func(b *Builder) { b.Emit(Instr{Op: Move, A: 1 << 16}) },
		"registers": func(b *Builder) { b.Registers(1<<16, 0, 0) },
	} {
		b := NewBuilder(source.Either, 0, 0)
		build(b)
		b.Emit(Instr{Op: True})
		if _, err := b.Program(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

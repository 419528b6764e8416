package pattern

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/showcause/showcause"
)

// FuzzVerify compares a random pattern in random data with the oracle.
func FuzzVerify(f *testing.F) {
	for i := range uint64(16) {
		f.Add(i, []byte("abABaabb \x00a\x00B"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		k := maker{rand.New(rand.NewPCG(seed, 7))}
		checkAgainstOracle(t, k.pattern(), data[:min(len(data), 32)])
	})
}

// samples are programs of all shapes, with their places.
func samples(n int) (progs []Program, at [][]uint32) {
	k := maker{rand.New(rand.NewPCG(5, 6))}
	for len(progs) < n {
		p := k.pattern()
		p.ByEnd, p.Count = len(progs)%2 == 0, 2
		prog, atoms, err := Compile(p, nil)
		if err != nil {
			continue
		}
		progs, at = append(progs, prog), append(at, places(atoms))
	}
	return progs, at
}

// runAll runs a program at every place of some data; it must come back.
func runAll(p Program, place uint32) {
	_ = p.String()
	m := &Matcher{Limit: 200000}
	data := []byte("abABaabb \x00a\x00BaAbBabab")
	in := NewInput(showcause.Bytes(data))
	for at := int64(-3); at < int64(len(data)+3); at++ {
		m.Verify(1, p, place, in, at, func(off, n int64) bool {
			if off < 0 || n < 0 || off+n > int64(len(data)) {
				panic("match outside the layer")
			}
			return true
		})
	}
}

// FuzzCheck: what Check accepts is safe to run and to print.
func FuzzCheck(f *testing.F) {
	progs, at := samples(32)
	for i, p := range progs {
		f.Add([]byte(p), at[i][0])
	}
	forms := Pattern{Forms: []Form{
		{Value: []byte("abc"), Fold: true, Full: true, Raw: true},
		{Value: []byte("a\x00b\x00"), Wide: true, Full: true, XorHi: 9},
		{Value: []byte("YWJj"), Before: []Set{{1, 2}}, After: []Set{{3}, {4}}, Spread: true},
	}}
	prog, atoms, err := Compile(forms, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, a := range atoms {
		f.Add([]byte(prog), a.Place)
	}
	f.Fuzz(func(t *testing.T, b []byte, place uint32) {
		p := Program(b)
		if p.Check([]uint32{place}) == nil {
			p.Literal(place)
			_ = p.String()
			runAll(p, place)
		}
	})
}

// Every single damaged byte and every cut either is refused or is harmless.
func TestCheckDamage(t *testing.T) {
	progs, at := samples(150)
	refused := 0
	for i, p := range progs {
		if err := p.Check(at[i]); err != nil {
			t.Fatal(err)
		}
		for j := range p {
			for _, x := range []byte{1, 2, 0x80, 0xff} {
				q := append(Program{}, p...)
				q[j] ^= x
				if q.Check(at[i]) != nil {
					refused++
					continue
				}
				runAll(q, at[i][0])
			}
			if q := p[:j]; q.Check(at[i]) == nil {
				runAll(q, at[i][0])
			}
		}
		if p.Check([]uint32{uint32(len(p))}) == nil || !p.plain() && p.Check([]uint32{0}) == nil {
			t.Errorf("%s: place outside accepted", p)
		}
	}
	if refused < 1000 {
		t.Errorf("only %d damaged programs refused", refused)
	}
}

// A list whose items overlap, and gaps that sum up, must not get through.
func TestCheckRefuses(t *testing.T) {
	lists := func(elems ...[]byte) Program {
		body := appendList(nil, [][]byte{appendList(nil, elems)})
		return append(binary.LittleEndian.AppendUint32(Program{0}, uint32(len(body))), body...)
	}
	val := []byte{headBytes, 'a'}
	gapOf := func(lo, hi int64) []byte { return encodeElem(nil, &Elem{Kind: Gap, Min: lo, Max: hi}) }
	for name, c := range map[string]struct {
		p  Program
		ok bool
	}{
		"sound":               {lists(val, gapOf(0, -1), val), true},
		"empty":               {Program{}, false},
		"flags":               {Program{0x40, 1}, false},
		"no elements":         {lists(), false},
		"open at the start":   {lists(gapOf(0, -1), val), false},
		"open at the end":     {lists(val, gapOf(0, -1)), false},
		"open twice":          {lists(val, gapOf(0, -1), gapOf(0, -1), val), false},
		"gap min above max":   {lists(val, gapOf(3, 2), val), false},
		"gap negative":        {lists(val, gapOf(-3, 2), val), false},
		"gap max negative":    {lists(val, gapOf(0, -2), val), false},
		"gap huge":            {lists(val, gapOf(0, maxGap+1), val), false},
		"unknown element":     {lists([]byte{heads, 1}), false},
		"odd mask":            {lists([]byte{headMasked, 1, 2, 3}), false},
		"unknown test":        {lists(val, []byte{headAssert, byte(tests)}), false},
		"open in alternative": {lists(val, appendList([]byte{headAlt}, [][]byte{appendList(nil, [][]byte{gapOf(0, -1)})})), false},
		"unequal not":         {lists(val, appendList([]byte{headNot}, [][]byte{val, {headBytes, 1, 2}})), false},
	} {
		err := c.p.Check(nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrProgram) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same pattern always makes the same bytes.
func TestCompileIsDeterministic(t *testing.T) {
	a, _ := samples(50)
	b, _ := samples(50)
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs differ")
	}
}

func appendList(dst []byte, items [][]byte) []byte {
	return appendItems(dst, len(items), func(dst []byte, i int) []byte { return append(dst, items[i]...) })
}

package rule

import (
	"testing"

	"github.com/showcause/showcause/pattern"
)

// gated is 1 | 2&3, in which 2 is decided where 0>1 holds and 3 where 2 does not match.
func gated() *Rule {
	count := func(sub int, c Cmp, n uint32) Node { return Node{Op: Count, Sub: sub, Cmp: c, N: n} }
	return &Rule{
		Patterns: make([]pattern.Pattern, 4),
		Later:    []*Later{nil, nil, {Trigger: count(0, Greater, 1)}, {Trigger: count(2, Equal, 0)}},
		Cond: Node{Op: Or, Kids: []Node{
			count(1, Greater, 0), {Op: And, Kids: []Node{count(2, Greater, 0), count(3, Equal, 0)}},
		}},
	}
}

func TestGates(t *testing.T) {
	p, err := Encode(gated())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(4); err != nil || !p.Gated() {
		t.Fatalf("check %v, gated %v", err, p.Gated())
	}
	for _, tt := range []struct {
		counts [4]uint32
		open   [4]bool
		holds  bool
	}{
		{[4]uint32{}, [4]bool{true, true, false, true}, false},
		{[4]uint32{1, 0, 9, 0}, [4]bool{true, true, false, true}, false},
		{[4]uint32{2, 0, 1, 5}, [4]bool{true, true, true, false}, true},
		{[4]uint32{2, 0, 0, 5}, [4]bool{true, true, true, true}, false},
		{[4]uint32{0, 1, 0, 0}, [4]bool{true, true, false, true}, true},
	} {
		count := func(sub int) uint32 { return tt.counts[sub] }
		if got := p.Holds(count); got != tt.holds {
			t.Errorf("%v: %v", tt.counts, got)
		}
		for sub, want := range tt.open {
			if p.Open(sub, count) != want {
				t.Errorf("%v: pattern %d is open: %v", tt.counts, sub, !want)
			}
		}
	}
	for n := range p {
		if p[:n].Check(4) == nil {
			t.Errorf("%d bytes of it are sound", n)
		}
	}
	if p.Check(3) == nil {
		t.Error("sound with a pattern too few")
	}
}

// TestLaterTriggers holds that what is decided later is found by its own trigger.
func TestLaterTriggers(t *testing.T) {
	r := gated()
	cost := func(int) int { return 1 }
	if subs, ok := r.Triggers(cost); !ok || len(subs) != 2 || subs[0] != 0 || subs[1] != 1 {
		t.Errorf("triggers %v %v, want 0 and 1", subs, ok)
	}
	r.Later[2].Trigger.Cmp, r.Later[2].Trigger.N = Equal, 0
	if subs, ok := r.Triggers(cost); ok {
		t.Errorf("triggers %v of what needs no match", subs)
	}
	if n := gated().Needs(); n[0] != 2 || n[2] != 1 {
		t.Errorf("needs %v", n)
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		c     Compare
		bytes string
		want  int64
		ok    bool
	}{
		{Compare{Form: Binary, Width: 2}, "\x01\x02", 258, true},
		{Compare{Form: Binary, Width: 2, Little: true}, "\x01\x02", 513, true},
		{Compare{Form: Binary, Width: 8}, "\xff\xff\xff\xff\xff\xff\xff\xfe", -2, true},
		{Compare{Form: Decimal, Width: 4}, " 12x", 12, true},
		{Compare{Form: Decimal, Width: 4, Exact: true}, " 123", 123, false},
		{Compare{Form: Decimal, Width: 3, Exact: true}, "123", 123, true},
		{Compare{Form: Decimal, Width: 3, Exact: true}, "12x", 12, false},
		{Compare{Form: Decimal, Width: 2}, "-7", -7, true},
		{Compare{Form: Decimal, Width: 2}, "zz", 0, true},
		{Compare{Form: Decimal, Width: 20}, "99999999999999999999", 0, false},
		{Compare{Form: Hexadecimal, Width: 4}, "BEef", 0xbeef, true},
		{Compare{Form: Hexadecimal, Width: 4}, "0x1f", 0x1f, true},
		{Compare{Form: Hexadecimal, Width: 4, Little: true}, "1234", 0x3412, true},
		{Compare{Form: Hexadecimal, Width: 3, Little: true}, "123", 0x2301, true},
		{Compare{Form: AnyDigits, Width: 4}, "0x10", 16, true},
		{Compare{Form: AnyDigits, Width: 4}, "1000", 1000, true},
		{Compare{Form: AnyDigits, Width: 2}, "10", 0, false},
		{Compare{Form: NoNumber, Width: 2}, "10", 0, false},
	} {
		got, ok := tt.c.number([]byte(tt.bytes))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%+v of %q: %d %v", tt.c, tt.bytes, got, ok)
		}
		tt.c.Offset, tt.c.Tests = -3, []CompareTest{{Greater, tt.want - 1}, {Equal, tt.want}}
		b, err := tt.c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		d, err := DecodeCompare(b)
		if err != nil || d.Holds([]byte(tt.bytes)) != tt.ok {
			t.Errorf("%+v stored: %+v %v", tt.c, d, err)
		}
		for n := range b {
			if _, err := DecodeCompare(b[:n]); err == nil {
				t.Errorf("%d bytes of %x are sound", n, b)
			}
		}
		b[0] ^= 0x40
		if _, err := DecodeCompare(b); err == nil {
			t.Errorf("%x is sound", b)
		}
	}
}

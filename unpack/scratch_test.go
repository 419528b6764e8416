package unpack

import (
	"testing"

	"github.com/showcause/showcause"
)

// What an input leaves for the next one changes nothing but where its bytes lie.
func TestScratch(t *testing.T) {
	var s Scratch
	run := func(sizes ...int64) (string, int64) {
		b := NewBudget(showcause.Limits{}, 1<<30, nil)
		b.Reuse(&s)
		defer b.Release()
		var l log
		out := l.out(b, nil)
		for _, n := range sizes {
			out.Child(derived(n))
		}
		return l.String(), b.held
	}
	many := []int64{10, 70_000, 20 << 20, 10, 1 << 20, 70_000, 10}
	first, held := run(many...)
	for range 5 {
		if got, h := run(many...); got != first || h != held {
			t.Fatalf("%s, %d held; at first %s, %d", got, h, first, held)
		}
		run(10)
		for _, m := range s.free {
			if cap(m) != smallest {
				t.Fatalf("a buffer of %d bytes was kept", cap(m))
			}
		}
		if len(s.free) == 0 || len(s.free) > 4 {
			t.Fatalf("%d buffers", len(s.free))
		}
	}
}

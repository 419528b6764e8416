package unpack

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/showcause/showcause"
)

// strewn are bytes in which magics stand, parts of them and more of them than are kept.
func strewn(r *rand.Rand, size, most int) []byte {
	b := make([]byte, size)
	for i := range b {
		if r.IntN(2) == 0 {
			b[i] = byte(r.Uint32())
		}
	}
	for range r.IntN(most) {
		s := sought[r.IntN(len(sought))]
		copy(b[r.IntN(len(b)):], s[:1+r.IntN(len(s))])
	}
	if r.IntN(4) == 0 {
		s := sought[r.IntN(len(sought))]
		at := r.IntN(len(b))
		copy(b[at:], bytes.Repeat([]byte(s), r.IntN(2*maxPlaces)))
	}
	return b
}

func TestPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	for range 60 {
		b := strewn(r, placesFrom+1+r.IntN(100_000), 3000)
		out := NewOut(NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
		p := out.Places(showcause.Bytes(b))
		for range 300 {
			magic := "PK"
			if i := r.IntN(len(sought) + 1); i < len(sought) {
				magic = sought[i]
			}
			from := r.IntN(len(b))
			to := from + r.IntN(len(b)-from+1)
			if r.IntN(4) == 0 {
				to = len(b)
			}
			want := bytes.Index(b[from:to], []byte(magic))
			if want >= 0 {
				want += from
			}
			if got := p.Next(magic, from, to); got != want {
				t.Fatalf("%q in [%d, %d) of %d: %d, want %d", magic, from, to, len(b), got, want)
			}
		}
		if p.Next("MSCF", -5, len(b)+9) != bytes.Index(b, []byte("MSCF")) || p.Next("MSCF", len(b)+3, len(b)+9) != -1 {
			t.Fatal("bounds")
		}
		if out.Places(showcause.Bytes(b)) != p || out.Places(showcause.Bytes(b[1:])) == p {
			t.Fatal("the places of other bytes")
		}
	}
	out := NewOut(NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
	if out.Places(io.NewSectionReader(bytes.NewReader(nil), 0, 0)) != nil || out.Places(showcause.Bytes(make([]byte, placesFrom-1))) != nil {
		t.Error("of what is not in memory, or small")
	}
}

// Find finds in places what it finds by itself, and charges the same.
func TestFindInPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for range 40 {
		b := strewn(r, placesFrom+r.IntN(600_000), 200)
		magic := []byte(sought[r.IntN(len(sought))])
		head := func(b []byte) bool { return len(b) > len(magic) && b[len(magic)]%5 == 0 }
		walk := func(find func(o *Out, off int64) (int64, bool)) (at []int64, work int64) {
			o := NewOut(NewBudget(showcause.Limits{Work: 1 << 20}, 1, nil), nil, nil, func(showcause.Gap) {})
			for off := int64(0); ; {
				i, ok := find(o, off)
				if !ok {
					return at, o.budget.Spent.Work
				}
				at = append(at, i)
				off = i + 1
			}
		}
		got, work := walk(func(o *Out, off int64) (int64, bool) { return o.Find(showcause.Bytes(b), off, magic, head) })
		want, wantWork := walk(func(o *Out, off int64) (int64, bool) { return naiveFind(o, b, off, magic, head) })
		if len(got) != len(want) || work != wantWork {
			t.Fatalf("%q: %d places for %d steps, want %d for %d", magic, len(got), work, len(want), wantWork)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%q: %v, want %v", magic, got, want)
			}
		}
	}
}

// naiveFind is Find at each byte.
func naiveFind(o *Out, b []byte, off int64, magic []byte, head func([]byte) bool) (int64, bool) {
	n := int64(len(b))
	for off < n {
		end := min(off+findStep, n)
		if !o.Work((end - off) / 8) {
			return 0, false
		}
		for at := off; at+int64(len(magic)) <= end; at++ {
			if bytes.HasPrefix(b[at:], magic) {
				if head(b[at:min(at+headRoom, n)]) {
					return at, true
				}
				if !o.Work(64) {
					return 0, false
				}
			}
		}
		if off = end; off < n {
			off -= int64(len(magic) - 1)
		}
	}
	return 0, false
}

func BenchmarkPlaces(b *testing.B) {
	data := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(4, 3))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	budget := NewBudget(showcause.Limits{}, 1, nil)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		NewOut(budget, nil, nil, nil).Places(showcause.Bytes(data))
	}
}

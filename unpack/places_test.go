package unpack

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
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

// streamed are bytes that are not in memory, of which the last cannot be read.
type streamed struct {
	b    []byte
	size int64
}

func (s *streamed) Size() int64 { return s.size }

func (s *streamed) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(s.b)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, s.b[off:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

func TestPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	for range 60 {
		b := strewn(r, placesFrom+1+r.IntN(600_000), 3000)
		out := NewOut(NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
		var src showcause.Source = showcause.Bytes(b)
		switch r.IntN(3) {
		case 0:
			src = &streamed{b, int64(len(b))}
		case 1:
			src = &streamed{b, int64(len(b)) + 1<<20}
		}
		if out.Known(src) != nil {
			t.Fatal("known before they were looked for")
		}
		p := out.Places(src)
		if out.Known(src) != p {
			t.Fatal("not known")
		}
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
			if got := p.Next(magic, b[from:to], from); got != want {
				t.Fatalf("%T: %q in [%d, %d) of %d: %d, want %d", src, magic, from, to, len(b), got, want)
			}
			begins := bytes.Contains(b[from:min(to+len(magic)-1, len(b))], []byte(magic))
			if from < to && p.Free(int64(from), int64(to), magic) && begins {
				t.Fatalf("%T: %q in [%d, %d) is free", src, magic, from, to)
			}
		}
		if out.Places(src) != p || out.Places(showcause.Bytes(b[1:])) == p {
			t.Fatal("the places of other bytes")
		}
	}
	out := NewOut(NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
	if out.Places(showcause.Bytes(make([]byte, placesFrom-1))) != nil {
		t.Error("of what is small")
	}
	if p := out.Places(showcause.Bytes(make([]byte, placesFrom))); !p.Free(0, 1<<40, sought[:]...) || p.Free(0, 1, "PK") {
		t.Error("what is free of all")
	}
	var none *Places
	if none.Next("b", []byte("ab"), 0) != 1 || none.Free(0, 1) {
		t.Error("no places")
	}
}

// A source that compares with nothing is read each time.
func TestPlacesOfIncomparable(t *testing.T) {
	type odd struct {
		showcause.Bytes
		_ []int
	}
	out := NewOut(NewBudget(showcause.Limits{}, 1, nil), nil, nil, nil)
	src := odd{Bytes: make([]byte, placesFrom)}
	if first, second := out.Places(src), out.Places(src); first == second {
		t.Error("taken for known")
	}
}

// Find finds in places what it finds by itself, and charges the same.
func TestFindInPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for range 40 {
		b := strewn(r, placesFrom+r.IntN(600_000), 200)
		cut := &streamed{b, int64(len(b)) + 1000}
		whole := &streamed{b, int64(len(b))}
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
		if !slices.Equal(got, want) || work != wantWork {
			t.Fatalf("%q: %v for %d steps, want %v for %d", magic, got, work, want, wantWork)
		}
		// Out of memory, what a head sees may end sooner: only the magic and one byte count here.
		for _, src := range []showcause.Source{whole, cut} {
			got, _ := walk(func(o *Out, off int64) (int64, bool) { return o.Find(src, off, magic, head) })
			most := min(len(got), len(want)) // the limit of work may end one before the other
			if !slices.Equal(got[:most], want[:most]) || most < len(want) && wantWork < 1<<19 {
				t.Fatalf("%q in a stream of %d: %v, want %v", magic, src.Size(), got, want)
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

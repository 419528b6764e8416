package worker

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/showcause/showcause/unpack"
)

func newScratch(t testing.TB, max int64) (*scratch, *os.File) {
	f, err := unlinked(t)()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &scratch{fd: int(f.Fd()), max: max}, f
}

func sizeOf(t testing.TB, f *os.File) int64 {
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// TestScratchRegions holds regions against files of their own, in random
// order of nesting: no region sees a byte of another, or of an earlier one.
func TestScratchRegions(t *testing.T) {
	s, f := newScratch(t, 1<<30)
	rng := rand.New(rand.NewPCG(2, 2))
	type twin struct {
		unpack.File
		want []byte // what was written; zeros between
	}
	var open []twin
	check := func(w twin) {
		got := make([]byte, len(w.want)+100)
		n, err := w.ReadAt(got, 0)
		if err != io.EOF || n != len(w.want) || !bytes.Equal(got[:n], w.want) {
			t.Fatalf("%d of %d bytes, %v", n, len(w.want), err)
		}
	}
	for range 3000 {
		switch n := len(open); {
		case n == 0 || n < 5 && rng.IntN(3) == 0:
			r, err := s.file()
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, twin{File: r})
		case rng.IntN(3) == 0:
			check(open[n-1])
			if err := open[n-1].Close(); err != nil {
				t.Fatal(err)
			}
			open = open[:n-1]
			if n == 1 && sizeOf(t, f) != 0 {
				t.Fatalf("%d bytes are left", sizeOf(t, f))
			}
		default:
			top := &open[n-1]
			p := bytes.Repeat([]byte{byte(1 + rng.IntN(255))}, 1+rng.IntN(20_000))
			off := int64(len(top.want) + rng.IntN(3)*rng.IntN(30_000))
			if _, err := top.WriteAt(p, off); err != nil {
				t.Fatal(err)
			}
			top.want = append(append(top.want, make([]byte, off-int64(len(top.want)))...), p...)
			check(open[rng.IntN(n)])
		}
	}
}

func TestScratchBounds(t *testing.T) {
	s, f := newScratch(t, 100<<10)
	a, _ := s.file()
	if _, err := a.WriteAt(make([]byte, 50<<10), 0); err != nil {
		t.Fatal(err)
	}
	b, _ := s.file()
	if _, err := b.WriteAt([]byte("second"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteAt([]byte("over"), 52<<10); !errors.Is(err, errScratchOverlap) {
		t.Errorf("a write into another region: %v", err)
	}
	if _, err := a.WriteAt([]byte("in its own"), 10); err != nil {
		t.Errorf("a write into its own part: %v", err)
	}
	for _, off := range []int64{48 << 10, 1 << 62, 1<<63 - 1, -1} {
		if _, err := b.WriteAt(make([]byte, 8<<10), off); !errors.Is(err, errScratchFull) {
			t.Errorf("a write at %d: %v", off, err)
		}
	}
	if n, err := b.ReadAt(make([]byte, 1), 6); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: %d %v", n, err)
	}
	// Closed in another order than opened.
	a.Close()
	if _, err := a.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a closed region is written to")
	}
	b.Close()
	b.Close()
	if sizeOf(t, f) != 0 || len(s.open) != 0 {
		t.Errorf("%d bytes and %d regions are left", sizeOf(t, f), len(s.open))
	}
	c, _ := s.file()
	c.WriteAt(make([]byte, 100<<10), 0)
	if _, err := s.file(); err == nil {
		t.Error("a region where there is no room")
	}
	c.Close()
}

package bound

import (
	"errors"
	"io"
	"math"
	"testing"

	"github.com/showcause/showcause"
)

// liar says that it is large and has nothing.
type liar struct{}

func (liar) Size() int64                       { return 1 << 50 }
func (liar) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

func TestReadAt(t *testing.T) {
	src := showcause.Bytes("0123456789")
	for _, c := range []struct {
		off, n, max int64
		want        string
		err         error
	}{
		{0, 10, 10, "0123456789", nil},
		{2, 3, 10, "234", nil},
		{8, 5, 10, "89", io.ErrUnexpectedEOF},
		{10, 0, 10, "", nil},
		{11, 1, 10, "", io.ErrUnexpectedEOF},
		{0, 11, 10, "", ErrLength},
		{-1, 1, 10, "", ErrLength},
		{0, -1, 10, "", ErrLength},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, "", io.ErrUnexpectedEOF},
	} {
		got, err := ReadAt(src, c.off, c.n, c.max)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("ReadAt(%d, %d, %d) = %q, %v", c.off, c.n, c.max, got, err)
		}
	}
}

// A length field of a petabyte costs no more than one step of memory.
func TestReadAtAllocates(t *testing.T) {
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := ReadAt(liar{}, 0, 1<<50, 1<<50); !errors.Is(err, io.ErrUnexpectedEOF) {
				b.Fatal(err)
			}
		}
	})
	if n := r.AllocedBytesPerOp(); n > 4*chunk {
		t.Errorf("%d bytes allocated", n)
	}
}

func TestSection(t *testing.T) {
	for _, src := range []showcause.Source{showcause.Bytes("0123456789"), io.NewSectionReader(showcause.Bytes("0123456789"), 0, 10)} {
		for _, c := range []struct {
			off, n int64
			want   string
		}{{0, 10, "0123456789"}, {3, 4, "3456"}, {8, 100, "89"}, {20, 1, ""}, {5, -1, "56789"}, {math.MaxInt64, math.MaxInt64, ""}} {
			s := Section(src, c.off, c.n)
			got, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
			if string(got) != c.want || err != nil || s.Size() != int64(len(c.want)) {
				t.Errorf("%T Section(%d, %d) = %q, %v", src, c.off, c.n, got, err)
			}
		}
	}
}

func TestSums(t *testing.T) {
	if Add(math.MaxInt64, 1) != math.MaxInt64 || Add(2, 3) != 5 {
		t.Error("Add")
	}
	if Mul(math.MaxInt64, 2) != math.MaxInt64 || Mul(2, 3) != 6 || Mul(5, 0) != 0 {
		t.Error("Mul")
	}
	for _, c := range []struct {
		off, n, size int64
		want         bool
	}{{0, 0, 0, true}, {0, 1, 0, false}, {1, math.MaxInt64, 10, false}, {-1, 1, 10, false}, {1, -1, 10, false}, {9, 1, 10, true}, {10, 1, 10, false}} {
		if got := In(c.off, c.n, c.size); got != c.want {
			t.Errorf("In(%d, %d, %d) = %v", c.off, c.n, c.size, got)
		}
	}
}

func TestSkipZeros(t *testing.T) {
	b := make([]byte, 100_000)
	b[70_000] = 1
	for _, c := range []struct {
		src  showcause.Source
		off  int64
		want int64
		more bool
	}{
		{showcause.Bytes(b), 0, 70_000, true},
		{showcause.Bytes(b), 70_000, 70_000, true},
		{showcause.Bytes(b), 70_001, 100_000, false},
		{showcause.Bytes(b), 200_000, 200_000, false},
		{liar{}, 5, 5, true}, // what cannot be read is not known to be zero
	} {
		if at, more := SkipZeros(c.src, c.off); at != c.want || more != c.more {
			t.Errorf("SkipZeros(%T, %d) = %d, %v", c.src, c.off, at, more)
		}
	}
	if CutShort(io.EOF) != io.ErrUnexpectedEOF || CutShort(nil) != nil || CutShort(ErrLength) != ErrLength {
		t.Error("CutShort")
	}
}

// What is in memory is not copied, and an append does not write into it.
func TestHead(t *testing.T) {
	data := []byte("0123456789")
	for _, src := range []showcause.Source{showcause.Bytes(data), io.NewSectionReader(showcause.Bytes(data), 0, 10)} {
		for _, n := range []int{0, 4, 10, 100} {
			h := Head(src, n)
			if string(h) != string(data[:min(n, 10)]) {
				t.Errorf("%T Head(%d) = %q", src, n, h)
			}
			_ = append(h, 'x')
		}
	}
	if string(data) != "0123456789" {
		t.Errorf("written to: %q", data)
	}
	if n := testing.AllocsPerRun(10, func() { Head(showcause.Bytes(data), 5) }); n > 1 { // the interface
		t.Errorf("%v allocations", n)
	}
}

func TestIsZero(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 9000} {
		p := make([]byte, n)
		if !IsZero(p) {
			t.Errorf("%d zeros are not zero", n)
		}
		for i := 0; i < n; i += max(1, n/7) {
			if p[i] = 1; IsZero(p) {
				t.Errorf("byte %d of %d is missed", i, n)
			}
			p[i] = 0
		}
	}
}

package unpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// log collects what an Out hands on.
type log struct {
	sizes []int64
	heads []string
	gaps  []showcause.Gap
	index []int
}

func (l *log) out(b *Budget, t showcause.Trail) *Out {
	return NewOut(b, t, func(c showcause.Layer) {
		p := make([]byte, min(c.Source.Size(), 8))
		n, _ := c.Source.ReadAt(p, 0)
		l.sizes = append(l.sizes, c.Source.Size())
		l.heads = append(l.heads, string(p[:n]))
		l.index = append(l.index, c.Trail[len(c.Trail)-1].Index)
	}, func(g showcause.Gap) { l.gaps = append(l.gaps, g) })
}

func (l *log) String() string {
	s := fmt.Sprint(l.sizes)
	for _, g := range l.gaps {
		s += fmt.Sprintf(" %d:%s@%d+%d", len(g.Trail), g.Code, g.Offset, g.Length)
	}
	return s
}

func derived(n int64) Child {
	return Child{Op: "test.x", Reader: io.LimitReader(endless{'x'}, n), Size: n}
}

func placed(n int64) Child { return Child{Op: "test.x", Source: hollow(n), Size: n} }

// endless gives one byte for ever.
type endless struct{ c byte }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.c
	}
	return len(p), nil
}

// hollow is a Source of so many bytes that takes no memory.
type hollow int64

func (h hollow) Size() int64 { return int64(h) }
func (h hollow) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), int64(h)-off))
	if clear(p[:n]); n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestLimits(t *testing.T) {
	deep := showcause.Trail{{Op: "a"}, {Op: "b"}}
	for _, c := range []struct {
		name   string
		limits showcause.Limits
		trail  showcause.Trail
		walk   func(o *Out)
		want   string
	}{
		{"none", showcause.Limits{}, nil, func(o *Out) { o.Child(derived(5)); o.Child(placed(7)); o.Child(derived(0)) }, "[5 7 0]"},
		{
			"file size",
			showcause.Limits{FileSize: 4},
			nil, func(o *Out) { o.Child(derived(5)); o.Child(placed(7)); o.Child(derived(4)); o.Child(placed(4)) },
			"[4 4 4 4] 1:limit.size@4+1 1:limit.size@4+3",
		},
		{"unknown size", showcause.Limits{FileSize: 4}, nil, func(o *Out) { c := derived(5); c.Size = -1; o.Child(c) }, "[4] 1:limit.size@4+-1"},
		{
			"scan size",
			showcause.Limits{ScanSize: 8},
			nil, func(o *Out) { o.Child(derived(5)); o.Child(derived(5)); o.Child(derived(1)) },
			"[5 3] 1:limit.size@3+2 0:limit.size@0+-1",
		},
		{
			"scan size, sections",
			showcause.Limits{ScanSize: 8},
			nil, func(o *Out) { o.Child(placed(5)); o.Child(placed(5)); o.Child(placed(1)) },
			"[5 3] 1:limit.size@3+2 0:limit.size@0+-1",
		},
		{"scan size, just", showcause.Limits{ScanSize: 8}, nil, func(o *Out) { o.Child(derived(5)); o.Child(placed(3)) }, "[5 3]"},
		{"ratio", showcause.Limits{}, nil, func(o *Out) {
			for o.Child(placed(100 << 20)) {
			}
		}, "[104857600 104857600 58720256] 1:limit.ratio@58720256+46137344 0:limit.ratio@0+-1"},
		{"objects", showcause.Limits{Objects: 2}, nil, func(o *Out) {
			for o.Child(derived(1)) {
			}
			o.Child(derived(1))
		}, "[1 1] 0:limit.objects@0+-1"},
		{"objects with gaps", showcause.Limits{Objects: 2}, nil, func(o *Out) {
			for o.ChildGap(Child{Op: "test.x", Size: 9}, showcause.Encrypted) {
			}
		}, "[] 1:encrypted@0+9 1:encrypted@0+9 0:limit.objects@0+-1"},
		{"depth", showcause.Limits{Depth: 2}, deep, func(o *Out) { o.Child(derived(1)); o.Child(placed(1)) }, "[] 2:limit.depth@0+-1"},
		{"depth, just", showcause.Limits{Depth: 3}, deep, func(o *Out) { o.Child(derived(1)) }, "[1]"},
		{"work", showcause.Limits{Work: 10}, nil, func(o *Out) {
			for o.Work(3) {
				o.Child(derived(1))
			}
			o.Child(derived(1))
			o.Work(1)
		}, "[1 1 1] 0:limit.work@0+-1"},
		{"refused", showcause.Limits{}, nil, func(o *Out) {
			o.Child(Child{Op: "test.x", Reader: io.MultiReader(strings.NewReader("abc"), broken{Fail(showcause.Encrypted)}), Size: 10})
			o.Child(Child{Op: "test.x", Reader: io.MultiReader(strings.NewReader("abc"), broken{fmt.Errorf("in: %w", Fail("unsupported.method.x"))}), Size: -1})
			o.Child(Child{Op: "test.x", Reader: broken{errors.New("other")}, Size: 10})
			o.Child(Child{Op: "test.x", Reader: broken{nil}, Size: 2})
			o.Child(Child{Op: "test.x", Reader: io.MultiReader(strings.NewReader("abc"), broken{errors.New("other")}), Size: 2})
		}, "[3 3 3] 1:encrypted@3+7 1:unsupported.method.x@3+-1 1:corrupt@0+10 1:corrupt@0+2 1:corrupt@3+-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l log
			b := NewBudget(c.limits, 100, nil)
			c.walk(l.out(b, c.trail))
			if l.String() != c.want {
				t.Errorf("got  %s\nwant %s", l.String(), c.want)
			}
			if n := int64(len(l.sizes)); b.Spent.Objects < n || b.Spent.Objects > b.Limits.Objects {
				t.Errorf("%d objects for %d children", b.Spent.Objects, n)
			}
		})
	}
}

// broken gives an error, or nothing and no error.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// A limit that is spent in a grandchild ends the child's walk too.
func TestBudgetIsShared(t *testing.T) {
	b := NewBudget(showcause.Limits{ScanSize: 10}, 100, nil)
	var inner, outer log
	o := NewOut(b, nil, func(l showcause.Layer) {
		in := inner.out(b, l.Trail)
		in.Child(placed(4))
		in.Child(placed(4))
	}, func(g showcause.Gap) { outer.gaps = append(outer.gaps, g) })
	if !o.Child(placed(6)) {
		t.Error("the first child fits")
	}
	if o.Child(placed(1)) {
		t.Error("nothing is left for the second")
	}
	if inner.String() != "[4 0 0] 2:limit.size@0+4 1:limit.size@0+-1 2:limit.size@0+4 1:limit.size@0+-1" || outer.String() != "[] 1:limit.size@0+1 0:limit.size@0+-1" {
		t.Errorf("inner %s, outer %s", inner.String(), outer.String())
	}
	if b.Spent.Depth != 2 {
		t.Errorf("depth %d", b.Spent.Depth)
	}
}

func TestIndex(t *testing.T) {
	var l log
	o := l.out(NewBudget(showcause.Limits{}, 1, nil), nil)
	o.Child(derived(1))
	o.ChildGap(Child{Op: "test.x"}, showcause.Encrypted)
	o.Child(derived(1))
	o.Child(placed(1))
	if !slices.Equal(l.index, []int{0, 2, 3}) || l.gaps[0].Trail[0].Index != 1 {
		t.Errorf("indexes %v", l.index)
	}
}

func TestCovered(t *testing.T) {
	var l log
	src := showcause.Bytes(make([]byte, 100))
	o := l.out(NewBudget(showcause.Limits{Objects: 6}, 1, nil), nil)
	for _, s := range []Span{{50, 60}, {10, 20}, {12, 18}, {20, 30}, {90, 300}, {40, 40}, {95, 99}} {
		o.Section(src, "test.x", "", s.From, s.To-s.From)
	}
	want := []Span{{10, 20}, {20, 30}, {50, 60}, {90, 100}}
	for range 2 {
		if got := o.Covered(); !slices.Equal(got, want) {
			t.Errorf("covered %v, want %v", got, want)
		}
	}
	if l.String() != "[10 10 6 10 10 4] 4:corrupt@100+200" && len(l.gaps) != 1 {
		t.Errorf("%s", l.String())
	}
	o.Section(src, "test.x", "", 0, 5) // the limit of objects
	if got := o.Covered(); !slices.Equal(got, want) {
		t.Errorf("a child that was not read is covered: %v", got)
	}
}

// disk is scratch space with room for so many bytes.
type disk struct {
	data   []byte
	room   int
	closed int
	holes  int64
}

var errDiskFull = errors.New("no space left on device")

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(d.data) {
		if d.holes += off - int64(len(d.data)); end > d.room {
			return 0, errDiskFull
		}
		d.data = append(d.data, make([]byte, end-len(d.data))...)
	}
	return copy(d.data[off:], p), nil
}

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(d.data)) {
		return 0, io.EOF
	}
	n := copy(p, d.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *disk) Close() error { d.closed++; return nil }

func TestSpill(t *testing.T) {
	const M = 1 << 20
	for _, c := range []struct {
		name string
		disk *disk
		open error
		size int64
		want string
	}{
		{"fits in memory", nil, nil, 16 * M, "[16777216]"},
		{"no disk", nil, nil, 16*M + 1, "[16777216] 1:limit.scratch@16777216+1"},
		{"disk does not open", &disk{}, errors.New("denied"), 20 * M, "[16777216] 1:limit.scratch@16777216+4194304"},
		{"disk", &disk{room: 64 * M}, nil, 20*M + 5, "[20971525]"},
		{"disk full at once", &disk{room: 5 * M}, nil, 20 * M, "[16777216] 1:limit.scratch@16777216+4194304"},
		{"disk full later", &disk{room: 18 * M}, nil, 20 * M, "[18874368] 1:limit.scratch@18874368+2097152"},
		{"disk just", &disk{room: 20 * M}, nil, 20 * M, "[20971520]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var spill func() (File, error)
			if c.disk != nil {
				spill = func() (File, error) { return c.disk, c.open }
			}
			var l log
			b := NewBudget(showcause.Limits{}, 100, spill)
			o := l.out(b, nil)
			if !o.Child(derived(c.size)) || !o.Child(Child{Op: "test.x", Reader: strings.NewReader("next"), Size: 4}) {
				t.Error("Child says to stop")
			}
			last := len(l.sizes) - 1
			if l.heads[last] != "next" {
				t.Errorf("a used buffer shows: %q", l.heads[last])
			}
			l.sizes = l.sizes[:last]
			if l.String() != c.want || l.heads[0] != "xxxxxxxx" {
				t.Errorf("got  %s %q\nwant %s", l.String(), l.heads, c.want)
			}
			if c.disk != nil && c.open == nil && c.disk.closed != 1 {
				t.Errorf("scratch space closed %d times", c.disk.closed)
			}
		})
	}
}

// Stretches of zeros are not written, and are read as zeros.
func TestSpillHoles(t *testing.T) {
	const M = 1 << 20
	d := &disk{room: 100 * M}
	b := NewBudget(showcause.Limits{}, 100, func() (File, error) { return d, nil })
	zeros := func(n int64) io.Reader { return io.LimitReader(endless{0}, n) }
	want := int64(17*M + 3 + 20*M)
	ok := false
	o := NewOut(b, nil, func(l showcause.Layer) {
		if l.Source.Size() != want {
			t.Errorf("size %d, want %d", l.Source.Size(), want)
		}
		p := make([]byte, 7)
		n, err := l.Source.ReadAt(p, 17*M-2)
		ok = n == 7 && err == nil && bytes.Equal(p, []byte("\x00\x00abc\x00\x00"))
		if n, err := l.Source.ReadAt(p, want-3); n != 3 || err != io.EOF || !bytes.Equal(p[:3], make([]byte, 3)) {
			t.Errorf("at the end: %d, %v, %q", n, err, p)
		}
		if n, err := l.Source.ReadAt(p, want); n != 0 || err != io.EOF {
			t.Errorf("behind the end: %d, %v", n, err)
		}
		if n, err := l.Source.ReadAt(p, -1); n != 0 || err == nil {
			t.Errorf("before the start: %d, %v", n, err)
		}
	}, func(g showcause.Gap) { t.Errorf("gap %+v", g) })
	o.Child(Child{Op: "test.x", Reader: io.MultiReader(zeros(17*M), strings.NewReader("abc"), zeros(20*M)), Size: -1})
	if !ok {
		t.Error("content differs")
	}
	if len(d.data) > 19*M {
		t.Errorf("%d bytes written for %d", len(d.data), want)
	}
}

// Memory follows what is read, and is used again.
func TestSpoolMemory(t *testing.T) {
	var l log
	o := l.out(NewBudget(showcause.Limits{}, 100, nil), nil)
	o.Child(derived(1))
	n := testing.AllocsPerRun(100, func() { o.Child(Child{Op: "test.x", Reader: strings.NewReader("small"), Size: 1 << 60}) })
	if n > 25 {
		t.Errorf("%v allocations for a small child", n)
	}
}

// closer is a Reader that knows when it was closed.
type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error { *c.closed = true; return nil }

// What derives a child is gone when the child is visited, also when a limit cut it.
func TestReaderIsClosedBeforeVisit(t *testing.T) {
	for _, size := range []int64{0, 1 << 20} {
		closed, seen := false, false
		b := NewBudget(showcause.Limits{FileSize: size}, 100, nil)
		o := NewOut(b, nil, func(showcause.Layer) { seen = closed }, func(showcause.Gap) {})
		o.Child(Child{Op: "test.x", Reader: closer{io.LimitReader(endless{'x'}, 2<<20), &closed}, Size: -1})
		if !seen {
			t.Errorf("limit %d: open when the child was visited", size)
		}
	}
}

// Of a name so much is kept as a report may show, and nothing of what it stood in.
func TestNamesAreCut(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	var names []string
	b := NewBudget(showcause.Limits{}, 100, nil)
	o := NewOut(b, nil, func(l showcause.Layer) { names = append(names, l.Trail[0].Name) },
		func(g showcause.Gap) { names = append(names, g.Trail[0].Name) })
	o.Child(Child{Op: "test.x", Name: long, Source: hollow(1)})
	o.ChildGap(Child{Op: "test.x", Name: long}, showcause.Encrypted)
	if want := strings.Repeat("n", MaxName); !slices.Equal(names, []string{want, want}) {
		t.Errorf("%d names", len(names))
	}
}

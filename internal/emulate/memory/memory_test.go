package memory

import (
	"bytes"
	"testing"
)

func TestMap(t *testing.T) {
	m := New(1 << 20)
	if !m.Map(0x10000, 0x3000, Read|Write) || m.Map(0x12000, 0x1000, Read) || m.Map(0xf000, 0x1001, Read) || !m.Map(0x13000, 1, Read) {
		t.Error("what overlaps was mapped, or what does not was not")
	}
	if !m.Store(0x10ffe, 4, 0x11223344) {
		t.Error("a write over two pages")
	}
	if v, ok := m.Load(0x10fff, 8); !ok || v != 0x112233 {
		t.Errorf("%x %v", v, ok)
	}
	if m.Store(0x12ffe, 4, 1) {
		t.Error("a write into what may only be read")
	}
	if v, _ := m.Load(0x12ffe, 2); v != 0 {
		t.Errorf("half a write: %x", v)
	}
	if _, ok := m.Load(0x13ffe, 4); ok {
		t.Error("a read over the end")
	}
	if got := m.Free(0x10000, 1<<32, 0x2000); got != 0x20000 {
		t.Errorf("free at %x", got)
	}
	if !m.Unmap(0x10000) || m.Unmap(0x10000) {
		t.Error("unmap")
	}
	if _, ok := m.Load(0x10000, 1); ok {
		t.Error("what was unmapped is read")
	}
}

func TestProtect(t *testing.T) {
	m := New(1 << 20)
	m.Map(0x10000, 0x3000, Read|Write)
	if old, ok := m.Protect(0x11000, 1, Read); !ok || old != Read|Write {
		t.Errorf("%v %v", old, ok)
	}
	if m.Store(0x11000, 1, 1) || !m.Store(0x10000, 1, 1) || m.Store(0x10fff, 2, 1) {
		t.Error("one page is read only")
	}
	if _, ok := m.Protect(0x12000, 0x1001, Read); ok {
		t.Error("beyond the end")
	}
}

// All pages read one page of zeros until they are written, and what they take is bounded.
func TestBounds(t *testing.T) {
	m := New(100 * PageSize)
	if !m.Map(0, 1<<32, Read|Write) || m.Map(1<<32, 1<<33, Read) {
		t.Fatal("map")
	}
	n := 0
	for a := uint64(0); m.Store(a, 1, 1); a += PageSize {
		n++
	}
	if n < 90 || n > 100 || !m.Full() {
		t.Errorf("%d pages in room for 100", n)
	}
	m = New(100 * PageSize)
	m.Map(0, 1<<32, Read)
	n = 0
	for a := uint64(0); ; a += PageSize {
		if _, ok := m.Load(a, 1); !ok {
			break
		}
		n++
	}
	if n != 100*PageSize/pageCost {
		t.Errorf("%d pages were read", n)
	}
}

func TestWritten(t *testing.T) {
	m := New(1 << 20)
	m.Map(0x10000, 0x10000, Read|Write)
	m.Write(0x10000, bytes.Repeat([]byte{1}, 0x5000))
	m.Settle()
	m.Store(0x11040, 4, 1)
	m.Store(0x12fff, 2, 1)
	if m.Fresh(0x11000) || !m.Fresh(0x11041) || !m.Fresh(0x13000) {
		t.Error("lines that were written")
	}
	if w := m.Written(0x10000, 0x10000); len(w) != 1 || w[0].Start != 0x11000 || w[0].Size != 0x3000 {
		t.Errorf("%+v", w)
	}
	var stale []uint64
	m.Stale = func(n uint64) { stale = append(stale, n) }
	m.Decoded(0x11ff0, 0x20)
	m.Store(0x11f00, 4, 1)
	m.Store(0x12000, 4, 1)
	m.Store(0x12000, 4, 1)
	if len(stale) != 1 || stale[0] != 0x12 {
		t.Errorf("stale pages %x", stale)
	}
}

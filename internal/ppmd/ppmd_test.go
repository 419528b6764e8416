package ppmd

import (
	"bytes"
	"io"
	"testing"
)

// FuzzModel decodes anything at all with both range decoders and little memory:
// the model restarts and joins its blocks all the time.
func FuzzModel(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 1, 2, 3, 0xff, 0x80}, 200), uint8(4), uint16(0), false)
	f.Add(bytes.Repeat([]byte("and so on "), 300), uint8(64), uint16(100), true)
	f.Fuzz(func(t *testing.T, b []byte, order uint8, mem uint16, rar bool) {
		var m Model
		if m.Start(int(order), 1<<11+uint32(mem)) != nil {
			return
		}
		begin := m.Range
		if rar {
			begin = m.RangeRAR
		}
		if begin(bytes.NewReader(b)) != nil {
			return
		}
		for range 50_000 {
			if _, err := m.Symbol(); err != nil {
				break
			}
		}
	})
}

func TestStart(t *testing.T) {
	var m Model
	for _, c := range []struct {
		order int
		mem   uint32
		ok    bool
	}{{1, 1 << 20, false}, {2, 1 << 11, true}, {64, 1 << 20, true}, {65, 1 << 20, false}, {6, 1<<11 - 1, false}, {6, MaxMemory + 1, false}} {
		if err := m.Start(c.order, c.mem); (err == nil) != c.ok {
			t.Errorf("order %d, %d bytes: %v", c.order, c.mem, err)
		}
	}
	if err := m.Start(6, 1<<16); err != nil {
		t.Fatal(err)
	}
	if err := m.Range(bytes.NewReader([]byte{1, 2, 3, 4, 5})); err != ErrData {
		t.Errorf("a first byte that is not 0: %v", err)
	}
	if err := m.Range(bytes.NewReader([]byte{0, 2, 3})); err != io.ErrUnexpectedEOF {
		t.Errorf("cut short: %v", err)
	}
}

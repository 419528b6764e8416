package lzw

import (
	"bufio"
	"bytes"
	"compress/lzw"
	"io"
	"strings"
	"testing"
)

var sample = []byte(strings.Repeat("padding that packs well, ", 7) + "and an end")

func late(b []byte) []byte {
	var out bytes.Buffer
	w := lzw.NewWriter(&out, lzw.MSB, 8)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func undone(b []byte, early bool) ([]byte, error) {
	return io.ReadAll(New(bufio.NewReader(bytes.NewReader(b)), early))
}

// Codes that grow late are those of the standard library; long data fill the table and clear it.
func TestReader(t *testing.T) {
	for _, p := range [][]byte{nil, []byte("a"), sample, bytes.Repeat(sample, 400), bytes.Repeat([]byte("a"), 70_000)} {
		b := late(p)
		if got, err := undone(b, false); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d bytes: %d, %v", len(p), len(got), err)
		}
		if got, err := undone(b[:len(b)-1], false); len(p) > 0 && err == nil {
			t.Errorf("%d bytes, cut: %d and no error", len(p), len(got))
		}
	}
	// ISO 32000-1, 7.4.4.2, example 1.
	got, err := undone([]byte{0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01}, true)
	if want := []byte{45, 45, 45, 45, 45, 65, 45, 45, 45, 66}; err != nil || !bytes.Equal(got, want) {
		t.Errorf("example: %v, %v", got, err)
	}
	if _, err := undone([]byte{0xff, 0xff}, true); err == nil {
		t.Error("a code that is not made yet: no error")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(late(sample), false)
	f.Add([]byte{0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01}, true)
	f.Fuzz(func(t *testing.T, b []byte, early bool) {
		got, err := undone(b, early)
		if len(got) > 4097*(len(b)+1) {
			t.Errorf("%d bytes of %d", len(got), len(b))
		}
		if want, wrong := io.ReadAll(lzw.NewReader(bytes.NewReader(b), lzw.MSB, 8)); wrong == nil && err == nil && !early && !bytes.Equal(got, want) {
			t.Errorf("%x, want %x", got, want)
		}
	})
}

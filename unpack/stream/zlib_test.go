package stream

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func zlibOf(t testing.TB, b []byte, level int) []byte {
	var z bytes.Buffer
	w, err := zlib.NewWriterLevel(&z, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func TestZlib(t *testing.T) {
	a, b := []byte(strings.Repeat("the first of two ", 30)), []byte(strings.Repeat("marker 4711 ", 50))
	wrong := zlibOf(t, b, 9)
	wrong[len(wrong)-1] ^= 1
	for name, c := range map[string]struct {
		data []byte
		want int // children
		gaps string
	}{
		"one":         {zlibOf(t, b, 9), 1, ""},
		"stored":      {zlibOf(t, b, 0), 1, ""},
		"fast":        {zlibOf(t, b, 1), 1, ""},
		"two":         {append(zlibOf(t, a, 9), zlibOf(t, b, 1)...), 2, ""},
		"zeros":       {append(zlibOf(t, b, 9), make([]byte, 500)...), 1, ""},
		"junk behind": {append(zlibOf(t, b, 9), "junk"...), 1, "corrupt"},
		"checksum":    {wrong, 1, "corrupt"},
		"cut":         {zlibOf(t, b, 0)[:300], 1, "corrupt"},
		"no checksum": {wrong[:len(wrong)-4], 1, "corrupt"},
	} {
		src := showcause.Bytes(c.data)
		if !Zlib().Match(&unpack.Probe{Type: filetype.Detect(c.data, src), Head: c.data, Source: src}) {
			t.Errorf("%s: no match", name)
		}
		r := unpacktest.Walk(t, Zlib(), c.data, showcause.Limits{})
		var gaps []string
		for _, g := range r.Gaps {
			gaps = append(gaps, string(g.Code))
		}
		if len(r.Children) != c.want || strings.Join(gaps, " ") != c.gaps || !r.Contains("marker 4711") {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func zlibSamples(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"plain": zlibOf(t, unpacktest.Mixed(5000), 6),
		"two":   append(zlibOf(t, unpacktest.Mixed(300), 1), zlibOf(t, unpacktest.Mixed(900), 9)...),
	}
}

func TestZlibConforms(t *testing.T) {
	unpacktest.ConformWhole(t, Zlib(), zlibSamples(t), func(b []byte) bool {
		for r := bytes.NewReader(b); r.Len() > 0; {
			z, err := zlib.NewReader(r)
			if err != nil {
				return false
			}
			if _, err := io.Copy(io.Discard, z); err != nil {
				return false
			}
		}
		return len(b) > 0
	})
}

func FuzzZlib(f *testing.F) {
	for _, data := range zlibSamples(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { unpacktest.Walk(t, Zlib(), data, showcause.Limits{Work: 1 << 24}) })
}

// TestLZMAOdd holds that headers which no encoder writes are read, and that little else is.
func TestLZMAOdd(t *testing.T) {
	b := []byte(strings.Repeat("marker and what is around it, ", 20))
	good := lzmaed(t, b, false, true)
	for name, edit := range map[string]func([]byte){
		"dictionary": func(h []byte) { binary.LittleEndian.PutUint32(h[1:], 5_000_000) },
		"size":       func(h []byte) { binary.LittleEndian.PutUint64(h[5:], 1<<40) },
		"both":       func(h []byte) { binary.LittleEndian.PutUint32(h[1:], 77); binary.LittleEndian.PutUint64(h[5:], 1<<55) },
	} {
		data := bytes.Clone(good)
		edit(data)
		if !LZMA().Match(unpacktest.Probe(showcause.Bytes(data))) {
			t.Errorf("%s: no match", name)
		}
		if r := unpacktest.Walk(t, LZMA(), data, showcause.Limits{}); !r.Contains("marker and what") {
			t.Errorf("%s: %s", name, r)
		}
	}
	taken := 0
	for i := range uint64(20_000) {
		data := append([]byte{0x5d}, noiseOf(200, i)...)
		data[12], data[13] = 0, 0
		if LZMA().Match(unpacktest.Probe(showcause.Bytes(data))) {
			taken++
		}
	}
	if taken > 20 {
		t.Errorf("%d of 20,000 random files are taken", taken)
	}
}

func noiseOf(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 24)
	}
	return b
}

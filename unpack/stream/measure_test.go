package stream

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

func measured(b []byte, off int64) (int64, bool) {
	src := showcause.Bytes(b)
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, src.Size(), nil), nil, func(showcause.Layer) {}, func(showcause.Gap) {})
	return Measure(src, off, out)
}

// Measure finds the end of a stream, whatever is behind it, and takes none for one that breaks soon.
func TestMeasure(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte("a few words"))
	w.Close()
	whole := z.Bytes()
	n := int64(len(whole))
	for _, behind := range []string{"", "x", "\x00\x00\x00", "behind it"} {
		if got, ok := measured([]byte("front"+string(whole)+behind), 5); got != n || !ok {
			t.Errorf("behind %q: %d, %v, want %d", behind, got, ok, n)
		}
	}
	for i := 1; i < len(whole); i++ {
		if got, ok := measured(whole[:i], 0); got != 0 || ok {
			t.Errorf("cut at %d: %d, %v", i, got, ok)
		}
	}
	wrong := bytes.Clone(whole)
	wrong[len(wrong)-6] ^= 1 // of the checksum
	if _, ok := measured(wrong, 0); ok {
		t.Error("a wrong checksum of a few bytes")
	}
	if got, ok := measured([]byte("no stream of any kind"), 0); got != 0 || ok {
		t.Error("no stream")
	}
}

func FuzzMeasure(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte("a few words"))
	w.Close()
	f.Add(z.Bytes())
	for _, m := range [][]byte{bzip2Magic, xzMagic, zstdMagic, lz4Magic, lzipMagic, lzopMagic} {
		f.Add(append(bytes.Clone(m), "and so on, and so on"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := measured(b, 0)
		if n < 0 || n > int64(len(b)) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if again, same := measured(b, 0); again != n || same != ok {
			t.Fatalf("%d, %v, and then %d, %v", n, ok, again, same)
		}
	})
}

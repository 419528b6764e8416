package stream

import (
	"os"
	"runtime"
	"testing"

	kzstd "github.com/klauspost/compress/zstd"
	plz4 "github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// The decoder of a layer is gone when what is in the layer is read: only one
// of them lives at a time, whatever the depth.
func TestNestedDecodersAreFreed(t *testing.T) {
	const levels, size = 30, 8 << 20
	nest := func(pack func([]byte) []byte) []byte {
		b := []byte("innermost")
		for range levels {
			b = pack(append(b, make([]byte, max(size-len(b), 0))...))
		}
		return b
	}
	for name, c := range map[string]struct {
		f    unpack.Format
		pack func([]byte) []byte
		l    showcause.Limits
	}{
		"lz4":             {LZ4(), func(b []byte) []byte { return lz4ed(t, b, plz4.LegacyOption(true)) }, showcause.Limits{}},
		"zstd":            {Zstd(), func(b []byte) []byte { return zst(t, b, kzstd.WithWindowSize(size)) }, showcause.Limits{}},
		"zstd, cut short": {Zstd(), func(b []byte) []byte { return zst(t, b, kzstd.WithWindowSize(size)) }, showcause.Limits{FileSize: size - 1}},
	} {
		data := nest(c.pack)
		var before, m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b := unpack.NewBudget(c.l, int64(len(data)), func() (unpack.File, error) { return os.CreateTemp(t.TempDir(), "") })
		deepest, most := 0, uint64(0)
		var visit func(l showcause.Layer)
		visit = func(l showcause.Layer) {
			if deepest = max(deepest, len(l.Trail)); len(l.Trail) == levels {
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse-min(before.HeapInuse, m.HeapInuse))
			}
			if c.f.Match(unpacktest.Probe(l.Source)) {
				c.f.Walk(l.Source, unpack.NewOut(b, l.Trail, visit, func(showcause.Gap) {}))
			}
		}
		visit(showcause.Layer{Source: showcause.Bytes(data)})
		if deepest != levels {
			t.Errorf("%s: %d levels", name, deepest)
		}
		if most > 120<<20 {
			t.Errorf("%s: %d MiB in the deepest level", name, most>>20)
		}
		t.Logf("%s: %d bytes, %d MiB", name, len(data), most>>20)
	}
}

// What a limit of size cuts is read to its end all the same, by another decoder.
func TestCutRunEndIsKnown(t *testing.T) {
	for name, c := range codecs(t) {
		data := cat(c.file, []byte("more"))
		whole, r := unpacktest.Walk(t, c.f, data, showcause.Limits{}), unpacktest.Walk(t, c.f, data, showcause.Limits{FileSize: 3})
		if len(r.Children) != 1 || r.Children[0].Size != 3 || !r.Has(showcause.LimitSize) {
			t.Errorf("%s: %v", name, r)
		}
		w, g := whole.Gaps[len(whole.Gaps)-1], r.Gaps[len(r.Gaps)-1]
		if g.Code != showcause.Corrupt || g.Offset != w.Offset || g.Length != w.Length || g.Offset < int64(len(c.file)) {
			t.Errorf("%s: the end is not known: %v", name, r)
		}
	}
}

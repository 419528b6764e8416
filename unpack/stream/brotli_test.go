package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func brotliOf(b []byte, quality, window int) []byte {
	var out bytes.Buffer
	w := brotli.NewWriterOptions(&out, brotli.WriterOptions{Quality: quality, LGWin: window})
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// noise is n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// letters is n bytes of text that compresses to about two thirds.
func letters(n int) []byte {
	b := noise(3, n)
	for i := range b {
		b[i] = "etaoin shrdlucmfwypvbgkjqxz.,\n"[int(b[i])%30]
	}
	return b
}

// brotliNamed is the format for layers whose name says what they are.
func brotliNamed() unpack.Format {
	f := Brotli()
	match := f.Match
	f.Match = func(p *unpack.Probe) bool {
		named := *p
		named.Name = "x.br"
		return match(&named)
	}
	f.Walk = func(src showcause.Source, out *unpack.Out) { brotliWalk(src, out, true) }
	return f
}

func TestBrotli(t *testing.T) {
	for _, n := range []int{60, 1000, 70_000, 150_000} {
		for _, quality := range []int{0, 1, 5, 11} {
			if quality == 11 && n > 1000 {
				continue
			}
			for _, window := range []int{10, 17, 22} {
				for kind, b := range map[string][]byte{"mixed": unpacktest.Mixed(n), "zeros": make([]byte, n), "noise": noise(1, n), "text": letters(n)} {
					z := brotliOf(b, quality, window)
					p := unpacktest.Probe(showcause.Bytes(z))
					if p.Type != 0 && n > 60 {
						t.Logf("%s of %d, quality %d, window %d, is taken for %s", kind, n, quality, window, p.Type)
						continue
					}
					if !Brotli().Match(p) && p.Type == 0 {
						t.Errorf("%s of %d, quality %d, window %d: no match", kind, n, quality, window)
					}
					r := unpacktest.Walk(t, Brotli(), z, showcause.Limits{})
					if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, b) || r.Children[0].Op != "brotli.stream" {
						t.Errorf("%s of %d, quality %d, window %d: %s", kind, n, quality, window, r)
					}
				}
			}
		}
	}
}

// What breaks is a gap where it was surely a stream, or is called one.
func TestBrotliBroken(t *testing.T) {
	b := letters(200_000)
	z := brotliOf(b, 5, 22)
	small := brotliOf(b[:3000], 5, 22)
	bad := bytes.Clone(z)
	copy(bad[len(bad)/2:], noise(4, 200))
	for name, c := range map[string]struct {
		data            []byte
		unnamed, called bool // a child and a gap
	}{
		"cut":          {z[:len(z)/2], true, true},
		"cut early":    {z[:20_000], true, true},
		"small, cut":   {small[:len(small)/2], false, true},
		"broken":       {bad, true, true},
		"tail":         {append(bytes.Clone(z), "tail"...), true, true},
		"tail, noise":  {append(bytes.Clone(z), noise(1, 10_000)...), true, true},
		"small, tail":  {append(bytes.Clone(small), "tail"...), false, true},
		"text":         {letters(5000), false, false},
		"other tables": {append([]byte{0xf4, 0xff, 0x0f}, noise(2, 9000)...), false, false},
	} {
		for i, f := range []unpack.Format{Brotli(), brotliNamed()} {
			want := c.unnamed
			if i == 1 {
				want = c.called
			}
			p := unpacktest.Probe(showcause.Bytes(c.data))
			if want && !f.Match(p) {
				t.Errorf("%s: no match", name)
			}
			var r unpacktest.Result
			if f.Match(p) {
				r = unpacktest.Walk(t, f, c.data, showcause.Limits{})
			}
			if got := len(r.Children) == 1 && r.Has(showcause.Corrupt); got != want || !want && (len(r.Children) > 0 || len(r.Gaps) > 0) {
				t.Errorf("%s, named %v: %s", name, i == 1, r)
			}
			if want && !bytes.HasPrefix(b, r.Children[0].Data[:1000]) {
				t.Errorf("%s: other bytes", name)
			}
		}
	}
}

// Data that is none is no stream, whatever it is called by chance.
func TestBrotliNoise(t *testing.T) {
	children := 0
	for i := range 1500 {
		b := noise(uint64(i), 16+i%5000)
		p := unpacktest.Probe(showcause.Bytes(b))
		if !Brotli().Match(p) {
			continue
		}
		r := unpacktest.Walk(t, Brotli(), b, showcause.Limits{})
		if len(r.Gaps) > 0 {
			t.Errorf("%d: %s", i, r)
		}
		children += len(r.Children)
	}
	if children > 3 {
		t.Errorf("%d children", children)
	}
}

func brotliSamples() map[string][]byte {
	return map[string][]byte{
		"text":  brotliOf([]byte("hello hello hello hello, and the same again: hello hello hello hello"), 9, 22),
		"mixed": brotliOf(unpacktest.Mixed(3000), 5, 16),
		"noise": brotliOf(noise(1, 900), 5, 22),
	}
}

func TestBrotliConform(t *testing.T) {
	unpacktest.ConformWhole(t, brotliNamed(), brotliSamples(), func(b []byte) bool {
		p := unpacktest.Probe(showcause.Bytes(b))
		return p.Type != 0 // what is left is taken for something else
	})
	large := map[string][]byte{"large": brotliOf(letters(30_000), 5, 18)}
	unpacktest.ConformWhole(t, Brotli(), large, func(b []byte) bool { return len(b) < brotliSure+brotliPiece })
}

func FuzzBrotli(f *testing.F) {
	var seeds [][]byte
	for _, b := range brotliSamples() {
		seeds = append(seeds, b)
	}
	seeds = append(seeds, brotliOf(letters(6000), 11, 24))
	unpacktest.Fuzz(f, brotliNamed(), seeds...)
}

// TestBrotliMetadata holds that data is none which begins like a long block of
// metadata, as a Java runtime's image of modules does.
func TestBrotliMetadata(t *testing.T) {
	data := append([]byte("\xda\xda\xfe\xca\x00\x00\x01\x00\x00\x00\x00\x00os\x00\x00os\x00\x00\x87\x4f\x09\x00"), noise(5, 14<<20)...)
	r := unpacktest.Walk(t, Brotli(), data, showcause.Limits{})
	if len(r.Children) > 0 || len(r.Gaps) > 0 || r.Spent.Work > 100<<20 {
		t.Errorf("%s, work %d", r, r.Spent.Work)
	}
}

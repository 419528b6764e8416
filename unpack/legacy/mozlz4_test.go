package legacy

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pierrec/lz4/v4"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// lz4Block encodes a block; literals alone where it does not compress.
func lz4Block(t testing.TB, b []byte) []byte {
	out := make([]byte, lz4.CompressBlockBound(len(b)))
	n, err := lz4.CompressBlock(b, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		return out[:n]
	}
	if len(b) < 15 {
		return append([]byte{byte(len(b) << 4)}, b...)
	}
	out = []byte{0xf0}
	k := len(b) - 15
	for ; k >= 255; k -= 255 {
		out = append(out, 255)
	}
	return append(append(out, byte(k)), b...)
}

func mozOf(t testing.TB, b []byte) []byte {
	out := binary.LittleEndian.AppendUint32(bytes.Clone(mozMagic), uint32(len(b)))
	return append(out, lz4Block(t, b)...)
}

// flowing is text with matches near and far, and stretches that do not compress.
func flowing(n int) []byte {
	b := unpacktest.Mixed(n)
	return append(append(bytes.Clone(b), make([]byte, n)...), b...)
}

func TestMozilla(t *testing.T) {
	for _, n := range []int{0, 1, 14, 15, 300, 30_000, 70_000, 900_000} {
		b := flowing(n)
		z := mozOf(t, b)
		if r := unpacktest.Walk(t, Mozilla(), z, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) != 1 || r.Children[0].Size != int64(len(b)) || !bytes.HasPrefix(b, r.Children[0].Data) {
			t.Errorf("%d bytes: %s", n, r)
		}
		if r := unpacktest.Walk(t, Mozilla(), append(bytes.Clone(z), "what is behind"...), showcause.Limits{}); len(r.Children) != 2 || r.Children[1].Op != "mozlz4.rest" || !r.Contains("what is behind") {
			t.Errorf("%d bytes, more behind: %s", n, r)
		}
		for _, by := range []int{-1, 1, 1 << 30} { // of the size
			bad := bytes.Clone(z)
			binary.LittleEndian.PutUint32(bad[8:], uint32(len(b)+by))
			if r := unpacktest.Walk(t, Mozilla(), bad, showcause.Limits{}); !r.Has(showcause.Corrupt) || len(r.Children) != 1 && len(b) > 0 {
				t.Errorf("%d bytes, said to be %d more: %s", n, by, r)
			}
		}
	}
}

// mozExpand decodes a block at once (lz4_Block_format.md), as far as it goes.
func mozExpand(src []byte) (dst []byte) {
	at := 0
	next := func() int {
		if at++; at > len(src) {
			return -1
		}
		return int(src[at-1])
	}
	number := func(n int) int {
		for c := 255; n >= 15 && c == 255; n += c {
			if c = next(); c < 0 {
				return -1
			}
		}
		return n
	}
	for {
		token := next()
		if token < 0 {
			return dst
		}
		n := number(token >> 4)
		if n < 0 {
			return dst
		}
		have := min(n, len(src)-at)
		dst = append(dst, src[at:at+have]...)
		at += have
		lo, hi := next(), next()
		if hi < 0 {
			return dst
		}
		dist := lo | hi<<8
		if n = number(token & 15); n < 0 || dist == 0 || dist > len(dst) {
			return dst
		}
		for range n + 4 {
			dst = append(dst, dst[len(dst)-dist])
		}
	}
}

// A block is decoded by pieces as at once, whatever is wrong with it.
func TestMozillaPieces(t *testing.T) {
	for _, n := range []int{100, 5000, 200_000} {
		z := lz4Block(t, flowing(n))
		for i := range 40 {
			z[len(z)*i/40] ^= 1 << (i % 8)
			want := mozExpand(z)
			data := binary.LittleEndian.AppendUint32(bytes.Clone(mozMagic), 1<<31)
			r := unpacktest.Walk(t, Mozilla(), append(data, z...), showcause.Limits{})
			if !r.Has(showcause.Corrupt) || len(want) > 0 && (len(r.Children) != 1 || r.Children[0].Size < int64(len(want)) || !bytes.HasPrefix(r.Children[0].Data, want[:min(len(want), unpacktest.KeepSize)])) {
				t.Fatalf("%d bytes, change %d: want %d bytes: %s", n, i, len(want), r)
			}
		}
	}
}

func mozSamples(t testing.TB) map[string][]byte {
	return map[string][]byte{"short": mozOf(t, []byte("hello hello hello hello hello")), "long": mozOf(t, flowing(3000))}
}

func TestMozillaConform(t *testing.T) {
	unpacktest.Conform(t, Mozilla(), mozSamples(t))
}

func FuzzMozilla(f *testing.F) {
	s := mozSamples(f)
	unpacktest.Fuzz(f, Mozilla(), s["short"], s["long"])
}

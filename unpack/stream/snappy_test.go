package stream

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func snappyOf(b []byte) []byte {
	var out bytes.Buffer
	w := snappy.NewBufferedWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func TestSnappy(t *testing.T) {
	for _, n := range []int{1, 100, 70_000, 300_000} {
		b := unpacktest.Mixed(n)
		z := snappyOf(b)
		two := append(bytes.Clone(z), z...)
		for i, data := range [][]byte{z, two, append(bytes.Clone(z), 0, 0, 0, 0, 0), append(bytes.Clone(z), 0xfe, 2, 0, 0, 1, 1)} {
			want := b
			if i == 1 {
				want = append(bytes.Clone(b), b...)
			}
			r := unpacktest.Walk(t, Snappy(), data, showcause.Limits{})
			if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, want) {
				t.Errorf("%d bytes, %d: %s", n, i, r)
			}
		}
		bad := bytes.Clone(z)
		bad[len(snappyMagic)+4] ^= 1 // of the check
		if r := unpacktest.Walk(t, Snappy(), bad, showcause.Limits{}); !r.Has(showcause.Corrupt) || len(r.Children) != 1 {
			t.Errorf("%d bytes, bad check: %s", n, r)
		}
		odd := append(bytes.Clone(z), 2, 1, 0, 0, 9)
		if r := unpacktest.Walk(t, Snappy(), odd, showcause.Limits{}); !r.Has("unsupported.method.snappy") {
			t.Errorf("%d bytes, unknown chunk: %s", n, r)
		}
	}
}

func snappySamples() map[string][]byte {
	return map[string][]byte{"one": snappyOf([]byte("hello hello hello hello")), "mixed": snappyOf(unpacktest.Mixed(3000)), "two": append(snappyOf([]byte("a")), snappyOf([]byte("b"))...)}
}

func TestSnappyConform(t *testing.T) {
	// The format has no end: what ends behind a chunk is whole.
	unpacktest.ConformWhole(t, Snappy(), snappySamples(), func(b []byte) bool {
		for at := 0; ; {
			if at == len(b) {
				return true
			}
			if len(b)-at < 4 {
				return false
			}
			if at += 4 + int(b[at+1]) + int(b[at+2])<<8 + int(b[at+3])<<16; at > len(b) {
				return false
			}
		}
	})
}

func FuzzSnappy(f *testing.F) {
	var seeds [][]byte
	for _, b := range snappySamples() {
		seeds = append(seeds, b)
	}
	unpacktest.Fuzz(f, Snappy(), seeds...)
}

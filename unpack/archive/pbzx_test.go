package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func xzOf(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// openXz stands for the format that reads .xz files, which is on the same floor.
func openXz(src showcause.Source, _ *unpack.Out) (io.Reader, func() bool) {
	in := io.NewSectionReader(src, 0, src.Size())
	r, err := xz.ReaderConfig{DictCap: 1 << 16, SingleStream: true}.NewReader(in)
	if err != nil {
		return bytes.NewReader(nil), func() bool { return false }
	}
	return r, func() bool { n, _ := in.Seek(0, io.SeekCurrent); return n == src.Size() }
}

func pbzxFormat() unpack.Format { return Pbzx(openXz) }

// pbzxOf makes chunks of content; those of odd number are not compressed.
func pbzxOf(t testing.TB, chunks ...[]byte) []byte {
	out := append(bytes.Clone(pbzxMagic[:4]), 0, 0, 0, 0, 1, 0, 0, 0)
	for i, c := range chunks {
		z := c
		if i%2 == 0 {
			z = xzOf(t, c)
		}
		out = binary.BigEndian.AppendUint64(out, uint64(len(c)))
		out = binary.BigEndian.AppendUint64(out, uint64(len(z)))
		out = append(out, z...)
	}
	return out
}

func TestPbzx(t *testing.T) {
	a, b, c := unpacktest.Mixed(70_000), []byte("stored as it is"), []byte("the last of them, the last of them")
	z := pbzxOf(t, a, b, c)
	if r := unpacktest.Walk(t, pbzxFormat(), z, showcause.Limits{}); len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, bytes.Join([][]byte{a, b, c}, nil)) {
		t.Errorf("whole: %s", r)
	}
	if r := unpacktest.Walk(t, pbzxFormat(), append(bytes.Clone(z), "what stands behind it"...), showcause.Limits{}); !r.Has(showcause.Corrupt) || len(r.Children) != 2 || !r.Contains("what stands behind it") {
		t.Errorf("more behind: %s", r)
	}
	for name, at := range map[string]int{"size": 19, "xz": 60} {
		bad := bytes.Clone(z)
		bad[at] ^= 1
		if r := unpacktest.Walk(t, pbzxFormat(), bad, showcause.Limits{}); !r.Has(showcause.Corrupt) {
			t.Errorf("wrong %s: %s", name, r)
		}
	}
	if r := unpacktest.Walk(t, pbzxFormat(), z[:pbzxHead], showcause.Limits{}); !r.Has(showcause.Corrupt) {
		t.Errorf("no chunk: %s", r)
	}
}

func pbzxSamples(t testing.TB) map[string][]byte {
	return map[string][]byte{"one": pbzxOf(t, []byte("hello hello hello hello")), "three": pbzxOf(t, []byte("hello hello hello"), []byte("as it is"), unpacktest.Mixed(2000))}
}

func TestPbzxConform(t *testing.T) {
	// It ends behind any chunk.
	unpacktest.ConformWhole(t, pbzxFormat(), pbzxSamples(t), func(b []byte) bool {
		for at := pbzxHead; ; {
			if at == len(b) {
				return at > pbzxHead
			}
			if len(b)-at < 16 {
				return false
			}
			if at += 16 + int(binary.BigEndian.Uint64(b[at+8:])); at > len(b) {
				return false
			}
		}
	})
}

func FuzzPbzx(f *testing.F) {
	s := pbzxSamples(f)
	unpacktest.Fuzz(f, pbzxFormat(), s["one"], s["three"])
}

package installer

import (
	"bytes"
	"compress/zlib"
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// sisFile has a file for two languages, the end of a condition, and a file.
func sisFile(plain bool) []byte {
	b := make([]byte, 100)
	le.PutUint32(b[8:], sisUID)
	le.PutUint16(b[18:], 2)
	le.PutUint16(b[20:], 3)
	if plain {
		le.PutUint16(b[36:], sisPlain)
	}
	le.PutUint32(b[52:], 100)
	texts := []string{"planted, english", "planted, french", "planted for all of them, them, them, them"}
	const names = 100 + 28 + 24 + 8 + 4 + 28 + 12 + 8
	var lengths, places, whole []uint32
	data := []byte("a\x00.\x00b\x00")
	for _, s := range texts {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write([]byte(s))
		w.Close()
		if plain {
			z.Reset()
			z.WriteString(s)
		}
		lengths, places, whole = append(lengths, uint32(z.Len())), append(places, uint32(names+len(data))), append(whole, uint32(len(s)))
		data = append(data, z.Bytes()...)
	}
	put := func(v ...uint32) {
		for _, w := range v {
			b = le.AppendUint32(b, w)
		}
	}
	put(1, 0, 0, 0, 0, 6, names)
	put(append(append(append([]uint32{}, lengths[:2]...), places[:2]...), whole[:2]...)...)
	put(0, 0, 6)
	put(0, 0, 0, 0, 0, 6, names, lengths[2], places[2], whole[2], 0, 0)
	return append(b, data...)
}

func TestSIS(t *testing.T) {
	for _, plain := range []bool{false, true} {
		r := unpacktest.Walk(t, SIS(), sisFile(plain), showcause.Limits{})
		if len(r.Children) != 3 || !r.Contains("planted, french") || !r.Contains("planted for all of them") || r.Children[0].Name != "a.b" || r.Unread() {
			t.Errorf("%v: %s", plain, r)
		}
	}
	b, err := os.ReadFile("/usr/share/clamav-testfiles/clam.sis")
	if err != nil {
		t.Skip("clamav-testfiles is not installed")
	}
	want, _ := os.ReadFile("/usr/share/clamav-testfiles/clam.exe")
	if r := unpacktest.Walk(t, SIS(), b, showcause.Limits{}); r.Child(t, "sis.deflate", `!:\clam.exe`) != string(want) || r.Unread() {
		t.Errorf("%s", r)
	}
}

func TestSISConform(t *testing.T) {
	unpacktest.Conform(t, SIS(), map[string][]byte{"packed": sisFile(false), "plain": sisFile(true)})
}

func FuzzSIS(f *testing.F) { unpacktest.Fuzz(f, SIS(), sisFile(false), sisFile(true)) }

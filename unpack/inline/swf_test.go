package inline

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var noLimits showcause.Limits

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// tag is one of Flash, with its length in the short form where that can be.
func tag(kind uint16, data []byte) []byte {
	if len(data) < 63 {
		return append(le.AppendUint16(nil, kind<<6|uint16(len(data))), data...)
	}
	return append(le.AppendUint32(le.AppendUint16(nil, kind<<6|63), uint32(len(data))), data...)
}

// flash is a file that is not compressed.
func flash(tags ...[]byte) []byte {
	body := append([]byte("\x78\x00\x05\x5f\x00\x00\x0f\xa0\x00\x00\x0c\x01\x00"), bytes.Join(tags, nil)...)
	body = append(body, 0, 0)
	return append(le.AppendUint32([]byte("FWS\x0a"), uint32(8+len(body))), body...)
}

func flashFile() []byte {
	return flash(tag(69, []byte{8, 0, 0, 0}), tag(swfBinary, append([]byte("\x01\x00\x00\x00\x00\x00"), unpacktest.Marked("data", 300)...)),
		tag(swfJPEG2, append([]byte("\x02\x00"), unpacktest.Marked("jpeg", 40)...)), tag(swfJPEG3, append([]byte("\x03\x00\x10\x00\x00\x00"), unpacktest.Marked("jpeg3", 60)...)),
		tag(swfLossless2, append([]byte("\x04\x00\x05\x04\x00\x04\x00"), deflated(unpacktest.Marked("pixels", 64))...)), tag(76, []byte("\x01\x00\x01\x00Main\x00")), tag(1, nil))
}

func compressedFlash(b []byte) []byte {
	return append(append([]byte("CWS"), b[3:8]...), deflated(b[8:])...)
}

func lzmaFlash(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := lzma.WriterConfig{Size: int64(len(b) - 8), SizeInHeader: true, DictCap: 1 << 16}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b[8:])
	w.Close()
	z := out.Bytes()
	head := le.AppendUint32(append([]byte("ZWS"), b[3:8]...), uint32(len(z)-13))
	return append(append(head, z[:5]...), z[13:]...)
}

func TestSWF(t *testing.T) {
	b := flashFile()
	r := unpacktest.Walk(t, SWF(), b, noLimits)
	if got := r.Ops(); got != "swf.data; swf.image; swf.image; swf.pixels" || len(r.Gaps) > 0 || string(r.Children[3].Data) != string(unpacktest.Marked("pixels", 64)) {
		t.Error(got, r.Gaps)
	}
	for name, z := range map[string][]byte{"zlib": compressedFlash(b), "lzma": lzmaFlash(t, b)} {
		r := unpacktest.Walk(t, SWF(), z, noLimits)
		if len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, b) || len(r.Gaps) > 0 {
			t.Error(name, r)
		}
		r = unpacktest.Walk(t, SWF(), append(bytes.Clone(z), "MZ behind it"...), noLimits)
		if r.Ops() != "swf.body; swf.rest" || string(r.Children[1].Data) != "MZ behind it" || len(r.Gaps) > 0 {
			t.Error(name, r)
		}
	}
	if r = unpacktest.Walk(t, SWF(), append(bytes.Clone(b), "MZ behind it"...), noLimits); !r.Contains("MZ behind it") || len(r.Gaps) > 0 {
		t.Error(r)
	}
	lie := bytes.Clone(b)
	le.PutUint32(lie[4:], 9)
	if r = unpacktest.Walk(t, SWF(), lie, noLimits); len(r.Children) != 4 {
		t.Error(r)
	}
	lie = lzmaFlash(t, b)
	le.PutUint32(lie[4:], 40)
	if r = unpacktest.Walk(t, SWF(), lie, noLimits); !r.Has("corrupt") {
		t.Error(r)
	}
	unpacktest.Conform(t, SWF(), map[string][]byte{"plain": b, "zlib": compressedFlash(b), "lzma": lzmaFlash(t, b)})
}

func FuzzSWF(f *testing.F) {
	unpacktest.Fuzz(f, SWF(), flashFile(), compressedFlash(flashFile()), lzmaFlash(f, flashFile()))
}

package office

import (
	"bytes"
	"compress/flate"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func rawDeflated(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// hangul is the header of an HWP 5 document with flags.
func hangul(flags byte) []byte {
	b := make([]byte, 256)
	copy(b, hwpMagic)
	b[36] = flags
	return b
}

// distributed enciphers a stream as a document for distribution has it: the key stands in a
// record of 256 bytes, under a sequence of numbers as the runtime of Microsoft's C makes it.
func distributed(plain []byte, seed uint32) []byte {
	record := make([]byte, 256)
	le.PutUint32(record, seed)
	at := 4 + int(seed&15)
	key := []byte("sixteen letters!")
	copy(record[at:], key)
	state, n, mask := seed, uint32(0), byte(0)
	rand := func() uint32 { state = state*214013 + 2531011; return state >> 16 & 0x7fff }
	for i := range record {
		if n == 0 {
			mask = byte(rand())
			n = rand()&0xf + 1
		}
		if i >= 4 {
			record[i] ^= mask
		}
		n--
	}
	return append(append(le.AppendUint32(nil, 0x1c|256<<20), record...), ecbSeal(key, plain)...)
}

func hangulFile(flags byte) []byte {
	packed := rawDeflated
	if flags&hwpPacked == 0 {
		packed = bytes.Clone
	}
	leaves := []leaf{
		{"FileHeader", hangul(flags)},
		{"DocInfo", packed(unpacktest.Marked("info", 300))},
		{"BodyText/Section0", packed(unpacktest.Marked("body", 5000))},
		{"BinData/BIN0001.eml", packed(unpacktest.Marked("data", 900))},
		{"BinData/BIN0002.png", []byte("\xff\xff stands there as it is")},
		{"Scripts/DefaultJScript", packed(unpacktest.Marked("script", 90))},
		{"PrvText", []byte("preview")},
	}
	if flags&hwpDistributed != 0 {
		leaves[5].data = distributed(packed(unpacktest.Marked("script", 90)), 0x1234567)
		leaves = append(leaves, leaf{"ViewText/Section0", distributed(packed(unpacktest.Marked("view", 700)), 9)})
	}
	return compoundFile(9, "", leaves, nil)
}

func TestHWP(t *testing.T) {
	r := unpacktest.Walk(t, HWP(), hangulFile(hwpPacked), noLimits)
	if got := r.Ops(); got != "hwp.deflate DocInfo; hwp.deflate BodyText/Section0; hwp.deflate BinData/BIN0001.eml; hwp.deflate Scripts/DefaultJScript" || len(r.Gaps) > 0 {
		t.Error(r)
	}
	if r.Child(t, "hwp.deflate", "BodyText/Section0") != string(unpacktest.Marked("body", 5000)) {
		t.Error("not its bytes")
	}
	for _, flags := range []byte{hwpDistributed, hwpDistributed | hwpPacked} {
		r = unpacktest.Walk(t, HWP(), hangulFile(flags), noLimits)
		view, script := r.Child(t, "hwp.decrypted", "ViewText/Section0"), r.Child(t, "hwp.decrypted", "Scripts/DefaultJScript")
		if view[:700] != string(unpacktest.Marked("view", 700)) || script[:90] != string(unpacktest.Marked("script", 90)) || len(r.Gaps) > 0 {
			t.Errorf("flags %d: %v", flags, r)
		}
	}
	if r = unpacktest.Walk(t, HWP(), hangulFile(0), noLimits); len(r.Gaps) > 0 {
		t.Error(r)
	}
	if r = unpacktest.Walk(t, HWP(), compoundFile(9, "", []leaf{{"FileHeader", hangul(3)}}, nil), noLimits); !r.Has(showcause.Encrypted) {
		t.Error(r)
	}
	broken := compoundFile(9, "", []leaf{{"FileHeader", hangul(hwpPacked)}, {"BodyText/Section0", []byte("\xff\xff\xff nothing of it")}}, nil)
	if r = unpacktest.Walk(t, HWP(), broken, noLimits); !r.Has(showcause.Corrupt) {
		t.Error(r)
	}
	cut := rawDeflated(unpacktest.Marked("body", 5000))
	broken = compoundFile(9, "", []leaf{{"FileHeader", hangul(hwpPacked)}, {"BodyText/Section0", cut[:len(cut)/2]}}, nil)
	if r = unpacktest.Walk(t, HWP(), broken, noLimits); !r.Has(showcause.Corrupt) || len(r.Children) != 1 {
		t.Error(r)
	}
	b := hangulFile(hwpPacked)
	for n := 0; n < len(b); n += 7 { // a file that is cut is told by the reader of compound files
		if !unpacktest.Walk(t, CFB(), b[:n], noLimits).Unread() && n > 8 {
			t.Fatalf("cut to %d", n)
		}
		unpacktest.Walk(t, HWP(), b[:n], noLimits)
	}
}

func hangul3(deflated bool, body []byte) []byte {
	b := make([]byte, 30+128+1008+20)
	copy(b, hwpMagic+" V3.00 \x1a\x01\x02\x03\x04\x05")
	le.PutUint16(b[30+126:], 20)
	if deflated {
		b[30+124] = 1
		body = rawDeflated(body)
	}
	return append(b, body...)
}

func TestHWP3(t *testing.T) {
	inner := append(unpacktest.Marked("body", 3000), document(9)...)
	for op, b := range map[string][]byte{"hwp3.deflate": hangul3(true, inner), "hwp3.body": hangul3(false, inner)} {
		r := unpacktest.Walk(t, HWP3(), b, noLimits)
		if r.Child(t, op, hwp3Body) != string(inner) || len(r.Gaps) > 0 || !HWP3().Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Error(r)
		}
		for n := range len(b) {
			if r := unpacktest.Walk(t, HWP3(), b[:n], noLimits); op == "hwp3.deflate" && !r.Unread() {
				t.Fatalf("cut to %d: %v", n, r)
			}
		}
		b[30+96] = 1
		if r = unpacktest.Walk(t, HWP3(), b, noLimits); !r.Has(showcause.Encrypted) {
			t.Error(r)
		}
	}
	if r := unpacktest.Walk(t, HWP3Objects(), inner, noLimits); r.Child(t, "hwp3body.object", "") != string(document(9)) {
		t.Error(r)
	}
	many := bytes.Repeat([]byte(magic), 100)
	if r := unpacktest.Walk(t, HWP3Objects(), many, noLimits); !r.Has(showcause.LimitObject) || len(r.Children) != 64 {
		t.Error(r)
	}
}

func TestPictures(t *testing.T) {
	record := func(instance, kind uint16, data ...[]byte) []byte {
		b := bytes.Join(data, nil)
		return append(le.AppendUint32(le.AppendUint16(le.AppendUint16(nil, instance), kind), uint32(len(b))), b...)
	}
	head := func(n int) []byte { return append(make([]byte, n-2), 0, 0xfe) }
	one, two := unpacktest.Marked("one", 300), unpacktest.Marked("two", 400)
	b := bytes.Join([][]byte{record(0x3d40, 0xf01a, head(50), deflated(one)), record(0x6e00, 0xf01e, make([]byte, 17), []byte("\x89PNG")), record(0x2170, 0xf01b, head(66), deflated(two))}, nil)
	r := unpacktest.Walk(t, Pictures(), b, noLimits)
	if len(r.Children) != 2 || !r.Contains(string(one)) || !r.Contains(string(two)) || len(r.Gaps) > 0 {
		t.Error(r)
	}
	for n := 1; n < len(b); n++ {
		unpacktest.Walk(t, Pictures(), b[:n], noLimits)
	}
	if r := unpacktest.Walk(t, Pictures(), b[:100], noLimits); !r.Has(showcause.Corrupt) {
		t.Error(r)
	}
}

func FuzzHWP(f *testing.F) {
	unpacktest.Fuzz(f, HWP(), hangulFile(hwpPacked), hangulFile(hwpDistributed|hwpPacked))
}

func FuzzHWP3(f *testing.F) {
	unpacktest.Fuzz(f, HWP3(), hangul3(true, []byte("body")), hangul3(false, []byte("body")))
}

func FuzzPictures(f *testing.F) {
	unpacktest.Fuzz(f, Pictures(), append([]byte("\x40\x3d\x1a\xf0\x50\x00\x00\x00"), append(make([]byte, 50), deflated([]byte("a metafile"))...)...))
}

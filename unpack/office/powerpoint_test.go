package office

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack/unpacktest"
)

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// presentation has two storages, one compressed.
func presentation() []byte {
	rec := func(instance, kind uint16, data []byte) []byte {
		b := le.AppendUint16(nil, instance)
		b = le.AppendUint16(b, kind)
		return append(le.AppendUint32(b, uint32(len(data))), data...)
	}
	inner := document(9)
	z := append(le.AppendUint32(nil, uint32(len(inner))), deflated(inner)...)
	return bytes.Join([][]byte{rec(15, 1000, rec(0, 1001, make([]byte, 40))), rec(0x10, 0x1011, z), rec(0, 0x1011, inner), rec(0, 4085, make([]byte, 28))}, nil)
}

func TestPowerPoint(t *testing.T) {
	b := presentation()
	r := unpacktest.Walk(t, PowerPoint(), b, noLimits)
	if len(r.Children) != 2 || len(r.Gaps) > 0 {
		t.Fatal(r)
	}
	for _, c := range r.Children {
		if !bytes.Equal(c.Data, document(9)) {
			t.Error("bytes")
		}
	}
	for n := 8 + 48 + 14; n < 8+48+8+len(deflated(document(9))); n += 5 {
		if r := unpacktest.Walk(t, PowerPoint(), b[:n], noLimits); !r.Unread() {
			t.Fatalf("cut to %d: %v", n, r)
		}
	}
}

func FuzzPowerPoint(f *testing.F) { unpacktest.Fuzz(f, PowerPoint(), presentation()) }

func TestMessage(t *testing.T) {
	// [MS-OXRTFCP] 3.1.1: the example of its section on decompression.
	rtf := "\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125B\x32\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0"
	b := compoundFile(9, "", []leaf{
		{"__substg1.0_10090102", []byte(rtf)},
		{"__attach_version1.0_#00000000/__substg1.0_37010102", []byte("attached")},
		{"__attach_version1.0_#00000000/__substg1.0_3707001F", unpacktest.UTF16("invoice.exe")},
	}, nil)
	r := unpacktest.Walk(t, Message(), b, noLimits)
	if got := r.Child(t, "msg.rtf", "__substg1.0_10090102"); got != "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n" {
		t.Errorf("%q", got)
	}
	r = unpacktest.Walk(t, CFB(), b, noLimits)
	if r.Child(t, "cfb.stream", "invoice.exe") != "attached" {
		t.Error(r)
	}
	cut := strings.TrimSuffix(rtf, "\x0f\xa0")
	b = compoundFile(9, "", []leaf{{"__substg1.0_10090102", []byte(cut)}}, nil)
	if r := unpacktest.Walk(t, Message(), b, noLimits); !r.Has("corrupt") || !r.Contains("hello") {
		t.Error(r)
	}
}

func FuzzMessage(f *testing.F) {
	unpacktest.Fuzz(f, Message(), compoundFile(9, "", []leaf{{"__substg1.0_10090102", []byte("\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125B\x32\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0")}}, nil))
}

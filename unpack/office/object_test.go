package office

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// native is the packager's stream around a file.
func native(name string, data []byte) []byte {
	b := []byte("\x02\x00" + name + "\x00C:\\" + name + "\x00\x00\x00\x03\x00")
	b = le.AppendUint32(b, 7)
	b = append(b, "C:\\tmp\x00"...)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	return append(le.AppendUint32(nil, uint32(len(b))), b...)
}

func TestObject(t *testing.T) {
	data := unpacktest.Marked("file", 3000)
	r := unpacktest.Walk(t, Object(), native("a.exe", data), noLimits)
	if child(t, r, "ole.native", "a.exe") != string(data) || len(r.Children) != 1 || len(r.Gaps) > 0 {
		t.Error(r)
	}
	r = unpacktest.Walk(t, Object(), append(native("a.exe", data), "behind"...), noLimits)
	if child(t, r, "ole.rest", "") != "behind" {
		t.Error(r)
	}
	plain := append([]byte("\x05\x00\x00\x00"), "BM..."...)
	if r = unpacktest.Walk(t, Object(), plain, noLimits); child(t, r, "ole.native", "") != "BM..." {
		t.Error(r)
	}
	for n := range native("a.exe", data) {
		r := unpacktest.Walk(t, Object(), native("a.exe", data)[:n], noLimits)
		if n > 4 && !r.Unread() {
			t.Fatalf("cut to %d: %v", n, r)
		}
	}
	if Object().Match(&unpack.Probe{Name: "x/\x01ole10native"}) == false || Object().Match(&unpack.Probe{Name: "Ole10Native"}) {
		t.Error("match")
	}
}

func FuzzObject(f *testing.F) {
	unpacktest.Fuzz(f, Object(), native("a.exe", []byte("data")), []byte("\x05\x00\x00\x00BM..."))
}

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
		{"__attach_version1.0_#00000000/__substg1.0_3707001F", utf16le("invoice.exe")},
	}, nil)
	r := unpacktest.Walk(t, Message(), b, noLimits)
	if got := child(t, r, "msg.rtf", "__substg1.0_10090102"); got != "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n" {
		t.Errorf("%q", got)
	}
	r = unpacktest.Walk(t, CFB(), b, noLimits)
	if child(t, r, "cfb.stream", "invoice.exe") != "attached" {
		t.Error(r)
	}
	if len(lzfuStart) != 207 {
		t.Errorf("the window begins with %d bytes", len(lzfuStart))
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

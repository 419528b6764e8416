package richtext

import (
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
	if r.Child(t, "ole.native", "a.exe") != string(data) || len(r.Children) != 1 || len(r.Gaps) > 0 {
		t.Error(r)
	}
	r = unpacktest.Walk(t, Object(), append(native("a.exe", data), "behind"...), noLimits)
	if r.Child(t, "ole.rest", "") != "behind" {
		t.Error(r)
	}
	plain := append([]byte("\x05\x00\x00\x00"), "BM..."...)
	if r = unpacktest.Walk(t, Object(), plain, noLimits); r.Child(t, "ole.native", "") != "BM..." {
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

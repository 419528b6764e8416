package inline

import (
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause/unpack/unpacktest"
)

// active is an ActiveMime file whose data begin at a place.
func active(at int, data []byte) []byte {
	b := make([]byte, at)
	copy(b, "ActiveMime")
	le.PutUint16(b[0x1e:], uint16(at-46))
	return append(b, deflated(data)...)
}

func TestActiveMime(t *testing.T) {
	data := unpacktest.Marked("macros", 300)
	lie := active(0x40, data)
	le.PutUint16(lie[0x1e:], 0xffff)
	for name, b := range map[string][]byte{"usual": active(0x32, data), "long": active(0x22a, data), "lie": lie} {
		if r := unpacktest.Walk(t, ActiveMime(), b, noLimits); r.Ops() != "mso.data" || string(r.Children[0].Data) != string(data) || len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	unpacktest.Conform(t, ActiveMime(), map[string][]byte{"usual": active(0x32, data)})
}

func FuzzActiveMime(f *testing.F) { unpacktest.Fuzz(f, ActiveMime(), active(0x32, []byte("data"))) }

// shellLink is a link with arguments.
func shellLink(arguments string) []byte {
	b := make([]byte, 76)
	copy(b, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46")
	b[20] = 0x28 | 0x80 // relative path, arguments, in UTF-16
	for _, s := range []string{`..\cmd.exe`, arguments} {
		units := utf16.Encode([]rune(s))
		b = le.AppendUint16(b, uint16(len(units)))
		for _, u := range units {
			b = le.AppendUint16(b, u)
		}
	}
	return append(b, 0, 0, 0, 0)
}

func TestLink(t *testing.T) {
	b := shellLink("/c start " + string(unpacktest.Marked("x", 16)))
	r := unpacktest.Walk(t, Link(), b, noLimits)
	if r.Ops() != "lnk.text" || !r.Contains("..\\cmd.exe\n/c start @lie") || len(r.Gaps) > 0 {
		t.Error(r)
	}
	if r = unpacktest.Walk(t, Link(), append(b, "<script>behind it"...), noLimits); r.Ops() != "lnk.text; lnk.rest" || !r.Contains("<script>") || len(r.Gaps) > 0 {
		t.Error(r)
	}
	// The block that ends a link may be missing, and no more than that.
	for cut := 1; cut <= 4; cut++ {
		if r = unpacktest.Walk(t, Link(), b[:len(b)-cut], noLimits); r.Ops() != "lnk.text" || !r.Contains("/c start @lie") || len(r.Gaps) > 0 {
			t.Error(cut, r)
		}
	}
	if r = unpacktest.Walk(t, Link(), b[:len(b)-5], noLimits); !r.Has("corrupt") {
		t.Error(r)
	}
	unpacktest.ConformWhole(t, Link(), map[string][]byte{"link": b}, func(cut []byte) bool { return len(cut) >= len(b)-4 })
}

func FuzzLink(f *testing.F) {
	unpacktest.Fuzz(f, Link(), shellLink("/c x"), append(shellLink(""), "behind"...))
}

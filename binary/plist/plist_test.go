package plist_test

import (
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause/binary/plist"
	"github.com/showcause/showcause/product/estate"
)

const listed = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>a</key><string>x &amp; ü</string><key>n</key><integer>-3</integer><key>t</key><true/><key>d</key><data>QUJD</data>
<key>l</key><array><string>1</string><dict><key>k</key><false/></dict></array><key>when</key><date>2026-01-01T00:00:00Z</date>
</dict></plist>`

var want = map[string]any{
	"a": "x & ü", "n": int64(-3), "t": true, "d": []byte("ABC"), "l": []any{"1", map[string]any{"k": false}}, "when": nil,
}

func TestXML(t *testing.T) {
	if v, ok := plist.Parse([]byte(listed)); !ok || !reflect.DeepEqual(v, any(want)) {
		t.Errorf("%#v", v)
	}
}

// TestPeer reads what another writer makes of the same list, in both forms.
func TestPeer(t *testing.T) {
	for _, form := range []string{"XML", "BINARY"} {
		out, err := exec.Command("python3", "-c", fmt.Sprintf(`import plistlib,datetime,sys
v={"a":"x & ü","n":-3,"t":True,"d":b"ABC","l":["1",{"k":False}],"when":datetime.datetime(2026,1,1)}
sys.stdout.buffer.write(plistlib.dumps(v,fmt=plistlib.FMT_%s))`, form)).Output()
		if err != nil {
			t.Skip("python3 cannot be run: ", err)
		}
		if v, ok := plist.Parse(out); !ok || !reflect.DeepEqual(v, any(want)) {
			t.Errorf("%s: %#v", form, v)
		}
		for n := range out {
			if _, ok := plist.Parse(out[:n]); ok && form == "BINARY" {
				t.Errorf("%s, %d of %d bytes: a list", form, n, len(out))
			}
		}
	}
}

func TestHostile(t *testing.T) {
	deep := "<plist>" + strings.Repeat("<array>", 5000) + strings.Repeat("</array>", 5000) + "</plist>"
	b := estate.BinaryPlist("a", "b")
	loop := append([]byte(nil), b...)
	loop[12] = 0 // the value is the dictionary itself
	for name, b := range map[string][]byte{"deep": []byte(deep), "loop": loop, "html": []byte("<html><plist/>"), "empty": nil} {
		if v, ok := plist.Parse(b); ok {
			t.Errorf("%s: %v", name, v)
		}
	}
	if d, ok := plist.Dict(b); !ok || plist.Text(d, "a") != "b" {
		t.Error(d, ok)
	}
}

func FuzzPlist(f *testing.F) {
	f.Add([]byte(listed))
	f.Add(estate.BinaryPlist("CFBundleIdentifier", "a.b", "x", "y"))
	f.Fuzz(func(t *testing.T, b []byte) { plist.Dict(b) })
}

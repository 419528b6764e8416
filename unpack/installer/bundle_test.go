package installer

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func zipped(text string) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte(text))
	w.Close()
	return z.Bytes()
}

// bundle is what PyInstaller writes: files behind a program, packed if their name ends in "z".
func bundle(old bool, files ...[2]string) []byte {
	b := image()
	start := len(b)
	var list []byte
	for _, f := range files {
		data, packed := []byte(f[1]), byte(0)
		if strings.HasSuffix(f[0], "z") {
			data, packed = zipped(f[1]), 1
		}
		name := append([]byte(f[0]), make([]byte, 16-(18+len(f[0]))%16)...)
		list = be.AppendUint32(list, uint32(18+len(name)))
		list = be.AppendUint32(list, uint32(len(b)-start))
		list = be.AppendUint32(list, uint32(len(data)))
		list = be.AppendUint32(list, uint32(len(f[1])))
		list = append(append(list, packed, 's'), name...)
		b = append(b, data...)
	}
	at, cookie := len(b)-start, 88
	if old {
		cookie = 24
	}
	b = append(append(b, list...), pyCookie...)
	whole := at + len(list) + cookie
	for _, v := range []int{whole, at, len(list), 311} {
		b = be.AppendUint32(b, uint32(v))
	}
	return append(b, make([]byte, cookie-24)...)
}

// modules is a PYZ whose list has been written by hand: a dictionary, with references.
func modules() []byte {
	text := []string{"code object with a planted text", strings.Repeat("planted ", 50)}
	b := append([]byte(pyzMagic), "\xa7\x0d\x0d\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	list := []byte{'{'}
	for i, s := range text {
		z := zipped(s)
		list = append(append(list, 'Z'|0x80, 6), fmt.Sprintf("name.%d", i)...)
		list = append(list, ')', 3, 'i', 0, 0, 0, 0, 'i')
		list = append(le.AppendUint32(list, uint32(len(b))), 'i')
		list = le.AppendUint32(list, uint32(len(z)))
		b = append(b, z...)
	}
	be.PutUint32(b[8:], uint32(len(b)))
	return append(append(b, list...), '0')
}

func TestPyInstaller(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := bundle(old, [2]string{"a.txt", "stored, planted"}, [2]string{"PYZ-00.pyz", strings.Repeat("packed, planted ", 40)}, [2]string{"an option", ""})
		r := unpacktest.Walk(t, PyInstaller(), append(b, "a signature"...), showcause.Limits{})
		if r.Child(t, "pyinstaller.stored", "a.txt") != "stored, planted" || r.Child(t, "pyinstaller.deflate", "PYZ-00.pyz") != strings.Repeat("packed, planted ", 40) || r.Unread() {
			t.Errorf("%v: %s", old, r)
		}
	}
	r := unpacktest.Walk(t, PYZ(), modules(), showcause.Limits{})
	if r.Child(t, "pyz.deflate", "name.0") != "code object with a planted text" || r.Child(t, "pyz.deflate", "name.1") != strings.Repeat("planted ", 50) || r.Unread() {
		t.Errorf("%s", r)
	}
}

// The list is what Python writes, in each of its versions, of a dictionary and of a list.
func TestMarshal(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	const program = `
import sys, marshal, zlib, struct
version, as_list = int(sys.argv[1]), sys.argv[2] == "list"
out, toc = b"PYZ\0" + b"\xa7\r\r\n" + b"\0" * 9, {}
kind = 2
for i in range(300):
    code = zlib.compress(marshal.dumps(compile("x = 'planted in module %d'" % i, "m%d" % i, "exec")), 9)
    toc["package.modul\u00e9%d" % i if i % 3 == 0 else "m%d" % i] = (kind % 2, len(out), len(code))
    out += code
data = marshal.dumps(list(toc.items()) if as_list else toc, version)
sys.stdout.buffer.write(out[:8] + struct.pack("!i", len(out)) + out[12:] + data)
`
	for version := range 5 {
		for _, kind := range []string{"list", "dict"} {
			b, err := exec.Command(python, "-c", program, fmt.Sprint(version), kind).Output()
			if err != nil {
				t.Fatal(err)
			}
			r := unpacktest.Walk(t, PYZ(), b, showcause.Limits{})
			if len(r.Children) != 300 || r.Unread() || !strings.Contains(string(r.Children[299].Data), "planted in module 299") || r.Children[299].Name != "package.modulé299" && r.Children[299].Name != "m299" {
				t.Errorf("version %d, %s: %d modules, %.300s", version, kind, len(r.Children), r)
			}
		}
	}
}

// app is an archive of Electron's.
func app(directory string, files string) []byte {
	n := uint32(len(directory))
	pad := -n & 3
	b := le.AppendUint32(nil, 4)
	b = le.AppendUint32(b, n+pad+8)
	b = le.AppendUint32(b, n+pad+4)
	b = append(le.AppendUint32(b, n), directory...)
	return append(append(b, make([]byte, pad)...), files...)
}

func apps() []byte {
	return app(`{"files":{"main.js":{"size":12,"offset":"0","integrity":{"blocks":["a",{"b":[]}]}},"dir":{"files":{"in.txt":{"size":8,"offset":"12"},"l":{"link":"main.js"},"e":{"size":0,"offset":"20"}}},"n.node":{"size":99,"unpacked":true}}}`,
		"planted codein a dir")
}

func TestAsar(t *testing.T) {
	r := unpacktest.Walk(t, Asar(), append(apps(), "and what is behind it"...), showcause.Limits{})
	if r.Child(t, opAsar, "main.js") != "planted code" || r.Child(t, opAsar, "dir/in.txt") != "in a dir" || r.Child(t, "asar.rest", "") != "and what is behind it" || r.Unread() {
		t.Errorf("%s", r)
	}
	deep := strings.Repeat(`{"files":{"a":`, 5000)
	if r = unpacktest.Walk(t, Asar(), app(deep, ""), showcause.Limits{}); !r.Has(showcause.Corrupt) {
		t.Errorf("%s", r)
	}
}

func TestBundleConform(t *testing.T) {
	unpacktest.Conform(t, PYZ(), map[string][]byte{"pyz": modules()})
	unpacktest.Conform(t, Asar(), map[string][]byte{"asar": apps()})
	// Without its last bytes it is a program like any other.
	b := bundle(false, [2]string{"a.txt", "stored, planted"}, [2]string{"PYZ-00.pyz", strings.Repeat("packed, planted ", 40)})
	unpacktest.ConformWhole(t, PyInstaller(), map[string][]byte{"bundle": b}, func(p []byte) bool { return !bytes.Contains(p, []byte(pyCookie)) })
}

func FuzzPyInstaller(f *testing.F) {
	unpacktest.Fuzz(f, PyInstaller(), bundle(false, [2]string{"a.txt", "stored, planted"}, [2]string{"z", "packed"}), bundle(true, [2]string{"a", "b"}))
}

func FuzzPYZ(f *testing.F) { unpacktest.Fuzz(f, PYZ(), modules()) }

func FuzzAsar(f *testing.F) { unpacktest.Fuzz(f, Asar(), apps()) }

// TestModulesOdd holds that a list of modules which is not read as Python reads it is said, and that one of numbers
// alone ends before it fills the memory.
func TestModulesOdd(t *testing.T) {
	many := strings.Repeat("i\x01\x00\x00\x00", mostValues)
	for name, list := range map[string]string{
		"a place is missing":     "[\x01\x00\x00\x00)\x02z\x01a)\x02i\x00\x00\x00\x00i\x11\x00\x00\x00",
		"no list":                "i\x01\x00\x00\x00",
		"a number of many words": "[\x01\x00\x00\x00)\x02z\x01a)\x03i\x00\x00\x00\x00l\x05\x00\x00\x00" + strings.Repeat("\x01\x00", 5) + "i\x05\x00\x00\x00",
		"numbers":                "(\x00\x00\x10\x00" + many,
	} {
		b := append([]byte(pyzMagic), "\xa7\x0d\x0d\x0a\x00\x00\x00\x11\x00\x00\x00\x00\x00"...)
		r := unpacktest.Walk(t, PYZ(), append(b, list...), showcause.Limits{})
		if len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.Corrupt {
			t.Errorf("%s: %v", name, r.Gaps)
		}
	}
}

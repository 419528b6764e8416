package hive_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/hive"
	"github.com/showcause/showcause/product/estate"
)

func sample() []byte {
	root := &estate.Key{}
	root.Set(`Software\Vendor\Product`, "Name", "Größe")
	root.Set(`Software\Vendor\Product`, "Number", uint32(77))
	root.Set(`Software\Vendor\Product`, "Long", bytes.Repeat([]byte("0123456789abcdef"), 2500))
	root.Set(`Software\Vendor\Short`, "S", "x")
	for i := range 300 {
		root.Set(fmt.Sprintf(`Many\k%03d`, i), "", nil)
	}
	return estate.Hive(root)
}

// dump is all of a hive as text.
func dump(k hive.Key, path string, out *strings.Builder) {
	for _, v := range k.Values() {
		n, _ := v.Number()
		fmt.Fprintf(out, "%s|%s|%d|%d|%s|%d\n", path, v.Name, v.Type, len(v.Data), v.Text(), n)
	}
	k.Each(func(s hive.Key) bool {
		fmt.Fprintf(out, "%s\\%s\n", path, s.Name)
		dump(s, path+`\`+s.Name, out)
		return true
	})
}

func TestHive(t *testing.T) {
	h := hive.Open(showcause.Bytes(sample()), nil)
	root, ok := h.Root()
	if !ok || !h.OK || h.Dirty {
		t.Fatal("no root")
	}
	k, ok := root.Find(`SOFTWARE\vendor\Product`)
	if !ok || k.Text("name") != "Größe" {
		t.Errorf("%v %q", ok, k.Text("name"))
	}
	if v, ok := k.Lookup("Number"); !ok || v.Type != 4 || fmt.Sprint(v.Number()) != "77 true" {
		t.Errorf("%+v", v)
	}
	if v, _ := k.Lookup("Long"); len(v.Data) != 40000 || string(v.Data[39984:]) != "0123456789abcdef" || v.Cut {
		t.Errorf("%d bytes", len(v.Data))
	}
	n := 0
	many, _ := root.Sub("Many")
	many.Each(func(k hive.Key) bool { n++; return true })
	if _, ok := root.Find(`Software\Nobody`); n != 300 || ok || h.Short() {
		t.Errorf("%d keys, short %v", n, h.Short())
	}
}

// TestPeer holds the hives of the tests against hivex, so that they are hives to others, too.
func TestPeer(t *testing.T) {
	tool, err := exec.LookPath("hivexget")
	if err != nil {
		t.Skip("hivexget is not installed (libhivex-bin)")
	}
	name := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(name, sample(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, name, `Software\Vendor\Product`, "Name").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "Größe" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCut holds that a hive that is cut anywhere does no harm, and that what is missing is said.
func TestCut(t *testing.T) {
	whole := sample()
	read := func(b []byte) (string, bool) {
		h := hive.Open(showcause.Bytes(b), nil)
		var out strings.Builder
		if root, ok := h.Root(); ok {
			dump(root, "", &out)
		}
		return out.String(), h.Short()
	}
	want, short := read(whole)
	if short || !strings.Contains(want, "Größe") {
		t.Fatalf("short %v: %s", short, want)
	}
	for n := 0; n < len(whole); n += 13 {
		if got, short := read(whole[:n]); n > 4096 && got != want && !short {
			t.Fatalf("%d bytes: something is missing and nothing says so", n)
		}
	}
}

func TestLoops(t *testing.T) {
	b := sample()
	i := bytes.Index(b, []byte("lf")) // a list that leads to the key that has it
	for at := 4096 + 36; at+76 < len(b); at += 8 {
		if string(b[at:at+2]) == "nk" {
			copy(b[i+4:], []byte{byte(at - 4100), byte((at - 4100) >> 8), 0, 0})
		}
	}
	h := hive.Open(showcause.Bytes(b), nil)
	var out strings.Builder
	var walk func(k hive.Key, depth int)
	walk = func(k hive.Key, depth int) {
		if depth < 50 {
			k.Each(func(s hive.Key) bool { out.WriteByte('.'); walk(s, depth+1); return out.Len() < 1e5 })
		}
	}
	if root, ok := h.Root(); ok {
		walk(root, 0)
	}
}

func FuzzHive(f *testing.F) {
	f.Add(sample())
	small := &estate.Key{}
	small.Set("a", "b", "c")
	f.Add(estate.Hive(small))
	f.Fuzz(func(t *testing.T, b []byte) {
		left := int64(1 << 16)
		h := hive.Open(showcause.Bytes(b), func(n int64) bool { left -= n; return left > 0 })
		if root, ok := h.Root(); ok {
			root.Values()
			root.Each(func(k hive.Key) bool { k.Values(); k.Each(func(hive.Key) bool { return true }); return true })
		}
	})
}

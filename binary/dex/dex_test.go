package dex

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"hash/adler32"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// build writes a DEX file of two classes with fields, methods and code, right to
// its checksum.
func build(version string) []byte {
	le := binary.LittleEndian
	// Sorted, as the format wants it.
	names := []string{"<init>", "I", "LBase;", "LMain;", "LOther;", "Main.java", "V", "VI", "add", "count", "main", "total", "z\xed\xa0\xbd\xed\xb8\x80\xc0\x80"}
	sizes := map[int]byte{12: 4}
	index := func(s string) uint32 {
		for i, n := range names {
			if n == s {
				return uint32(i)
			}
		}
		panic(s)
	}
	types := []string{"I", "LBase;", "LMain;", "LOther;", "V"}
	kind := func(s string) uint32 {
		for i, n := range types {
			if n == s {
				return uint32(i)
			}
		}
		panic(s)
	}
	head := 112
	if version == "041" {
		head = 120
	}
	words := func(v ...uint32) (b []byte) {
		for _, n := range v {
			b = le.AppendUint32(b, n)
		}
		return b
	}
	half := func(a, b uint32) uint32 { return a | b<<16 }
	at := head
	off := map[string]int{}
	place := func(name string, n int) { off[name] = at; at += n }
	place("strings", 4*len(names))
	place("types", 4*len(types))
	place("protos", 12*2)
	place("fields", 8*2)
	place("methods", 8*3)
	place("classes", 32*2)
	place("code", 16+8)
	place("params", 8)
	place("data1", 18)
	place("data2", 8)
	var stringData []byte
	var stringAt []uint32
	for i, n := range names {
		stringAt = append(stringAt, uint32(at+len(stringData)))
		size := byte(len(n))
		if s, ok := sizes[i]; ok {
			size = s
		}
		stringData = append(append(append(stringData, size), n...), 0)
	}
	place("string data", len(stringData))
	at = (at + 3) &^ 3
	place("map", 4+12*12)
	out := make([]byte, at)
	put := func(name string, b []byte) { copy(out[off[name]:], b) }
	put("strings", words(stringAt...))
	for i, n := range types {
		le.PutUint32(out[off["types"]+4*i:], index(n))
	}
	put("protos", words(index("V"), kind("V"), 0, index("VI"), kind("V"), uint32(off["params"])))
	put("fields", words(half(kind("LMain;"), kind("I")), index("count"), half(kind("LMain;"), kind("I")), index("total")))
	put("methods", words(half(kind("LMain;"), 0), index("<init>"), half(kind("LMain;"), 1), index("add"), half(kind("LOther;"), 0), index("main")))
	put("classes", words(
		kind("LMain;"), 1, kind("LBase;"), 0, index("Main.java"), 0, uint32(off["data1"]), 0,
		kind("LOther;"), 0x11, NoIndex, 0, NoIndex, 0, uint32(off["data2"]), 0))
	put("code", append(words(half(2, 1), half(0, 0), 0, 4), "\x0e\x00\x01\x02\x03\x04\x05\x06"...))
	put("params", append(words(1), byte(kind("I")), 0))
	code := byte(off["code"]&0x7f | 0x80)
	more := byte(off["code"] >> 7)
	put("data1", []byte{1, 1, 1, 1, 0, 9, 1, 2, 0, 0x81, 0x80, 0x04, code, more, 1, 0x81, 0x02, 0})
	put("data2", []byte{0, 0, 1, 0, 2, 9, code, more})
	put("string data", stringData)
	mapped := words(12, 0, 1, 0)
	for _, m := range []struct {
		kind uint32
		n    int
		name string
	}{
		{1, len(names), "strings"},
		{2, len(types), "types"},
		{3, 2, "protos"},
		{4, 2, "fields"},
		{5, 3, "methods"},
		{6, 2, "classes"},
		{0x2001, 1, "code"},
		{0x1001, 1, "params"},
		{0x2000, 2, "data1"},
		{0x2002, len(names), "string data"},
		{0x1000, 1, "map"},
	} {
		mapped = append(mapped, words(m.kind, uint32(m.n), uint32(off[m.name]))...)
	}
	put("map", mapped)
	h := append([]byte("dex\n"+version+"\x00"), make([]byte, 24)...)
	h = append(h, words(uint32(len(out)), 112, 0x12345678, 0, 0, uint32(off["map"]),
		uint32(len(names)), uint32(off["strings"]), uint32(len(types)), uint32(off["types"]), 2, uint32(off["protos"]),
		2, uint32(off["fields"]), 3, uint32(off["methods"]), 2, uint32(off["classes"]), uint32(len(out)-off["code"]), uint32(off["code"]))...)
	if version == "041" {
		h = append(h, words(uint32(len(out)), 0)...)
	}
	copy(out, h)
	sum := sha1.Sum(out[32:])
	copy(out[12:], sum[:])
	le.PutUint32(out[8:], adler32.Checksum(out[12:]))
	return out
}

func TestFile(t *testing.T) {
	for _, version := range []string{"035", "038", "041"} {
		b := build(version)
		f := Parse(showcause.Bytes(b), nil)
		if f == nil {
			t.Fatal("nil")
		}
		if f.Magic != "dex\n"+version+"\x00" || f.FileSize != uint32(len(b)) || f.Strings.Size != 13 || f.Classes.Size != 2 || f.Complete() != 5 || f.Data.Size == 0 ||
			(f.Container.Size == uint32(len(b))) != (version == "041") {
			t.Errorf("%+v", f)
		}
		if s, ok := f.String(8); !ok || s.Value != "add" || s.Size != 3 {
			t.Errorf("%+v, %v", s, ok)
		}
		if n, ok := f.MapSize(); n != 12 || !ok || f.MapLen() != 12 {
			t.Errorf("map %d", n)
		}
		if m, ok := f.MapItem(1); !ok || m.Type != 1 || m.Size != 13 {
			t.Errorf("%+v", m)
		}
		m := f.Members()
		if !m.Complete || !reflect.DeepEqual(m.Classes, []ClassData{{1, 1, 1, 1}, {0, 0, 1, 0}}) {
			t.Errorf("%+v", m)
		}
		var got []string
		for _, x := range m.Fields {
			class, name, proto, have := f.FieldNames(x)
			if have != [3]bool{true, true, true} {
				t.Error(have)
			}
			got = append(got, class+name+proto)
		}
		for _, x := range m.Methods {
			class, name, proto, have := f.MethodNames(x)
			if have != [3]bool{true, true, true} {
				t.Error(have)
			}
			got = append(got, class+name+proto)
		}
		if s := strings.Join(got, " "); s != "LMain;countI LMain;totalI LMain;<init>V LMain;addVI LOther;mainV" {
			t.Error(s)
		}
		if m.Methods[0].Flags != 0x10001 || !m.Methods[0].First || m.Methods[1].First || m.Fields[1].First {
			t.Errorf("%+v", m.Methods)
		}
		c, ok := f.Code(m.Methods[0])
		if !ok || c.Registers != 2 || c.Ins != 1 || c.Size != 4 || string(c.Insns) != "\x0e\x00\x01\x02\x03\x04\x05\x06" {
			t.Errorf("%+v", c)
		}
		if _, ok := f.Code(m.Methods[1]); ok {
			t.Error("code of a method without any")
		}
		items := f.Items()
		if s, ty, p, fi, me, cl := items.Len(); !items.OK || s != 13 || ty != 5 || p != 2 || fi != 2 || me != 3 || cl != 2 {
			t.Fatalf("%+v", items)
		}
		if p := items.Proto(1); p.Shorty.Value != "VI" || p.Return.Value != "V" || len(p.Params) != 1 || p.Params[0].Value != "I" {
			t.Errorf("%+v", p)
		}
		class, proto, name := items.Method(1)
		if class.Value != "LMain;" || proto != 1 || name.Value != "add" {
			t.Error(class, proto, name)
		}
		class, flags, super, source := items.Class(1)
		if class.Value != "LOther;" || flags != 0x11 || super != nil || source != nil {
			t.Error(class, flags, super, source)
		}
		if _, _, super, source = items.Class(0); super.Value != "LBase;" || source.Value != "Main.java" {
			t.Error(super, source)
		}
		if f.Short() {
			t.Error("short")
		}
	}
}

func TestModified(t *testing.T) {
	for in, want := range map[string]string{
		"abc": "abc", "\xc0\x80": "\x00", "\xed\xa0\xbd\xed\xb8\x80": "😀", "\xc3\xa9": "é", "\xed\xa0\xbd": "\uFFFD", "\xff": "\uFFFD", "\xe2\x82": "\uFFFD\uFFFD", "": "", "\xe2\x82\xac": "€",
	} {
		if got := modified([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestDexdump holds that what we build is a DEX file, by Android's own program.
func TestDexdump(t *testing.T) {
	program, err := exec.LookPath("dexdump")
	if err != nil {
		t.Skip("no dexdump: ", err)
	}
	path := filepath.Join(t.TempDir(), "a.dex")
	if err := os.WriteFile(path, build("035"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-a", "-f", path).CombinedOutput()
	for _, want := range []string{"'LMain;'", "'count'", "'total'", "'add'", "'(I)V'", "'<init>'", "'LOther;'", "0x10001"} {
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Fatalf("%v: no %s in\n%s", err, want, out)
		}
	}
}

// everything asks for all there is.
func everything(f *File) (out []any) {
	if f == nil {
		return nil
	}
	for i := range int64(20) {
		s, ok := f.String(i)
		m, also := f.MapItem(i)
		out = append(out, s, ok, m, also)
	}
	m := f.Members()
	out = append(out, *m)
	for i, x := range append(m.Fields[:len(m.Fields):len(m.Fields)], m.Methods...) {
		if i > 50 {
			break
		}
		a, b, c, d := f.MethodNames(x)
		out = append(out, a, b, c, d)
		a, b, c, d = f.FieldNames(x)
		code, ok := f.Code(x)
		out = append(out, a, b, c, d, code, ok)
	}
	items := f.Items()
	lens := func() []int {
		a, b, c, d, e, g := items.Len()
		return []int{a, b, c, d, e, g}
	}()
	for k, n := range lens {
		for i := range min(n, 20) {
			switch k {
			case 0:
				out = append(out, items.String(i))
			case 1:
				out = append(out, items.Type(i))
			case 2:
				out = append(out, items.Proto(i))
			case 3:
				a, b, c := items.Field(i)
				out = append(out, a, b, c)
			case 4:
				a, b, c := items.Method(i)
				out = append(out, a, b, c)
			case 5:
				a, b, c, d := items.Class(i)
				out = append(out, a, b, c, d)
			}
		}
	}
	return append(out, f.Short())
}

func TestTruncated(t *testing.T) {
	b := build("041")
	for n := range b {
		everything(Parse(showcause.Bytes(b[:n]), nil))
		for _, c := range []byte{0xff, 0x7f, 0x80, 0} {
			old := b[n]
			b[n] = c
			everything(Parse(showcause.Bytes(b), nil))
			b[n] = old
		}
	}
}

// hollow is a file of one byte after a head, as large as it says.
type hollow struct {
	head []byte
	fill byte
	size int64
}

func (h hollow) Size() int64 { return h.size }
func (h hollow) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = h.fill
	}
	if off < int64(len(h.head)) {
		copy(p, h.head[off:])
	}
	return len(p), nil
}

func TestHostile(t *testing.T) {
	for _, fill := range []byte{0, 0x7f, 0xff, 0x01} {
		b := build("035")
		for _, at := range []int{56, 80, 88, 96} { // strings, fields, methods, classes
			binary.LittleEndian.PutUint32(b[at:], 0x0fffffff)
		}
		left := int64(1 << 22)
		f := Parse(hollow{b, fill, 1 << 40}, func(n int64) bool { left -= n; return left > 0 })
		everything(f)
		if m := f.Members(); len(m.Fields) > maxTable || len(m.Methods) > maxTable || len(m.Classes) > maxTable {
			t.Error("too many members")
		}
		if !f.Short() {
			t.Error("not told")
		}
	}
	left := int64(100)
	f := Parse(showcause.Bytes(build("035")), func(n int64) bool { left -= n; return left > 0 })
	if everything(f); !f.Short() {
		t.Error("no end of work")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(build("035"))
	f.Add(build("041"))
	f.Fuzz(func(t *testing.T, b []byte) {
		one := everything(Parse(showcause.Bytes(b), nil))
		if two := everything(Parse(showcause.Bytes(b), nil)); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}

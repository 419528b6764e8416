package cfb

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
)

// leaf is a stream of a file that is built.
type leaf struct {
	name string
	data []byte
}

// build writes a compound file: streams at the root, and two in a storage "VBA".
func build(shift int, streams, inner []leaf) []byte {
	le := binary.LittleEndian
	size := 1 << shift
	type entry struct {
		name                     string
		kind                     byte
		left, right, child, from uint32
		n                        int
	}
	const none = 0xffffffff
	entries := []entry{{name: "Root Entry", kind: Root, left: none, right: none, child: none}}
	var sectors [][]byte
	var fat, minifat []uint32
	var mini []byte
	put := func(b []byte) uint32 { // a chain of sectors
		first := uint32(len(sectors))
		for len(b) > 0 {
			s := make([]byte, size)
			n := copy(s, b)
			b = b[n:]
			sectors = append(sectors, s)
			fat = append(fat, uint32(len(sectors)))
		}
		fat[len(fat)-1] = 0xfffffffe
		return first
	}
	add := func(l leaf) int {
		e := entry{name: l.name, kind: Stream, left: none, right: none, child: none, n: len(l.data), from: 0xfffffffe}
		switch {
		case len(l.data) == 0:
		case len(l.data) < 4096:
			e.from = uint32(len(mini) / 64)
			mini = append(mini, l.data...)
			for len(mini)%64 != 0 {
				mini = append(mini, 0)
			}
			for i := int(e.from) + 1; i <= len(mini)/64; i++ {
				minifat = append(minifat, uint32(i))
			}
			minifat[len(minifat)-1] = 0xfffffffe
		default:
			e.from = put(l.data)
		}
		entries = append(entries, e)
		return len(entries) - 1
	}
	link := func(parent int, list []int) { // a list instead of a tree
		for i, k := range list {
			if i == 0 {
				entries[parent].child = uint32(k)
			} else {
				entries[list[i-1]].right = uint32(k)
			}
		}
	}
	var top, below []int
	for _, l := range streams {
		top = append(top, add(l))
	}
	if len(inner) > 0 {
		entries = append(entries, entry{name: "VBA", kind: Storage, left: none, right: none, child: none})
		vba := len(entries) - 1
		top = append(top, vba)
		for _, l := range inner {
			below = append(below, add(l))
		}
		link(vba, below)
	}
	link(0, top)
	firstMini := uint32(0xfffffffe)
	if len(mini) > 0 {
		entries[0].from, entries[0].n = put(mini), len(mini)
		var b []byte
		for len(minifat)%(size/4) != 0 {
			minifat = append(minifat, none)
		}
		for _, v := range minifat {
			b = le.AppendUint32(b, v)
		}
		firstMini = put(b)
	}
	var dir []byte
	for _, e := range entries {
		b := make([]byte, 128)
		for i, u := range utf16.Encode([]rune(e.name)) {
			le.PutUint16(b[2*i:], u)
		}
		le.PutUint16(b[64:], uint16(2*len(utf16.Encode([]rune(e.name)))+2))
		b[66], b[67] = e.kind, 1
		for at, v := range map[int]uint32{68: e.left, 72: e.right, 76: e.child, 116: e.from, 120: uint32(e.n)} {
			le.PutUint32(b[at:], v)
		}
		b[80] = e.kind
		dir = append(dir, b...)
	}
	first := put(dir)
	tables := (len(sectors) + size/4) / (size / 4)
	head := make([]byte, size)
	copy(head, signature)
	copy(head[24:], "\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00")
	head[30] = byte(shift)
	le.PutUint32(head[44:], uint32(tables))
	le.PutUint32(head[48:], first)
	le.PutUint32(head[56:], 4096)
	le.PutUint32(head[60:], firstMini)
	le.PutUint32(head[68:], 0xfffffffe)
	for i := range 109 {
		v := uint32(none)
		if i < tables {
			v = uint32(len(sectors) + i)
		}
		le.PutUint32(head[76+4*i:], v)
	}
	for range tables {
		fat = append(fat, 0xfffffffd)
	}
	for len(fat)%(size/4) != 0 {
		fat = append(fat, none)
	}
	out := append(head, bytes.Join(sectors, nil)...)
	for _, v := range fat {
		out = le.AppendUint32(out, v)
	}
	return out
}

func sample(shift int) []byte {
	return build(shift, []leaf{{"small", []byte("small stream")}, {"large", bytes.Repeat([]byte("0123456789"), 3000)}, {"\x05Digital", nil}, {"Ünïcode", bytes.Repeat([]byte("x"), 200)}},
		[]leaf{{"dir", []byte("inner")}, {"Module1", bytes.Repeat([]byte("m"), 5000)}})
}

func TestOpen(t *testing.T) {
	for _, shift := range []int{9, 12} {
		f := Open(showcause.Bytes(sample(shift)), nil)
		if !f.OK || f.Short() || f.SectorSize() != 1<<shift {
			t.Fatalf("%+v", f)
		}
		var got []string
		for i, e := range f.Entries {
			if e.Kind == Unused {
				continue
			}
			b, ok := f.Read(i, 1<<20)
			if ok != (e.Kind == Stream) || ok && len(b) != int(e.Size) {
				t.Errorf("%s: %d bytes, %v", e.Name, len(b), ok)
			}
			got = append(got, e.Name+":"+string(b[:min(len(b), 12)]))
		}
		want := "Root Entry:|small:small stream|large:012345678901|\x05Digital:|Ünïcode:xxxxxxxxxxxx|VBA:|dir:inner|Module1:mmmmmmmmmmmm"
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%q", s)
		}
		if c := f.Children(0); !slices.Equal(c, []int{1, 2, 3, 4, 5}) {
			t.Error(c)
		}
		if i := f.Find(f.Find(0, "vba"), "MODULE1"); i != 7 {
			t.Error(i)
		}
		if f.Find(0, "dir") != -1 || f.Find(-1, "x") != -1 || f.Find(99, "x") != -1 {
			t.Error("found what is not there")
		}
		if _, ok := f.Read(2, 100); ok {
			t.Error("more than was allowed")
		}
	}
}

// TestPeer reads a file that msibuild wrote, by what 7z makes of it.
func TestPeer(t *testing.T) {
	build, err := exec.LookPath("msibuild")
	seven, err2 := exec.LookPath("7z")
	if err != nil || err2 != nil {
		t.Skip("msibuild or 7z are not installed")
	}
	path := filepath.Join(t.TempDir(), "a.msi")
	blob := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(blob, bytes.Repeat([]byte("payload!"), 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{path, "-s", "Name", "Author"}, {path, "-a", "Payload", blob}} {
		if out, err := exec.Command(build, args...).CombinedOutput(); err != nil {
			t.Skipf("msibuild: %v %s", err, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := Open(showcause.Bytes(b), nil)
	if !f.OK {
		t.Fatal("not a compound file")
	}
	streams := 0
	for i, e := range f.Entries {
		if e.Kind != Stream {
			continue
		}
		streams++
		if got, ok := f.Read(i, 1<<20); !ok {
			t.Errorf("%q: %d of %d bytes", e.Name, len(got), e.Size)
		}
	}
	out, err := exec.Command(seven, "l", "-slt", "-tcompound", path).Output()
	if err != nil {
		t.Skip("7z: ", err)
	}
	if n := strings.Count(string(out), "\nPacked Size = "); n != streams {
		t.Errorf("%d streams, 7z has %d", streams, n)
	}
}

func everything(b []byte) (out []any) {
	f := Open(showcause.Bytes(b), nil)
	out = append(out, f.OK)
	for i, e := range f.Entries {
		got, ok := f.Read(i, 10_000)
		if out = append(out, e, got, ok, f.Children(i)); i > 30 {
			break
		}
	}
	return append(out, f.Short())
}

func TestTruncated(t *testing.T) {
	b := build(9, []leaf{{"small", []byte("small stream")}}, []leaf{{"dir", bytes.Repeat([]byte("x"), 5000)}})
	for n := 0; n < len(b); n++ {
		if n > 600 && n < 5000 {
			continue // the stream
		}
		everything(b[:n])
		for _, c := range []byte{0xff, 0x7f, 0, 1} {
			old := b[n]
			b[n] = c
			everything(b)
			b[n] = old
		}
	}
}

// TestHostile holds that chains and trees that turn back end.
func TestHostile(t *testing.T) {
	b := sample(9)
	// Every sector is its own successor.
	le := binary.LittleEndian
	f := Open(showcause.Bytes(b), nil)
	for i, s := range f.tables {
		for k := range 128 {
			le.PutUint32(b[f.at(s)+int64(4*k):], uint32(128*i+k))
		}
	}
	everything(b)
	// Every table is a table of tables.
	b = append(sample(9), bytes.Repeat([]byte{1, 0, 0, 0}, 1<<16)...)
	le.PutUint32(b[68:], 100)
	everything(b)
	left := int64(30)
	if f := Open(showcause.Bytes(sample(9)), func(n int64) bool { left -= n; return left > 0 }); !f.Short() {
		t.Error("no end of work")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sample(9))
	f.Add(build(9, []leaf{{"a", []byte("b")}}, nil))
	f.Add(build(12, []leaf{{"a", []byte("b")}}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if one, two := everything(b), everything(b); !reflect.DeepEqual(one, two) {
			t.Error("two answers")
		}
	})
}

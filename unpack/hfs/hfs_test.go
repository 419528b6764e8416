package hfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// oldWriter makes HFS volumes with blocks of 512 bytes and nodes of 512 bytes.
type oldWriter struct {
	blocks  [][]byte
	split   int // blocks of an extent at most; 0 for any
	id      uint32
	catalog []hfsRecord
	extents []hfsRecord
}

const oldFirst = 8 // sector of block 0

// put writes a fork, in extents, with a block of something else between them. Those
// that the three do not hold go to the tree of extents.
func (w *oldWriter) put(id uint32, resource bool, b []byte) []byte {
	var list []byte
	var starts []int
	blocks := (len(b) + 511) / 512
	for done := 0; done < blocks; {
		n := blocks - done
		if w.split > 0 {
			n = min(n, w.split)
		}
		starts = append(starts, done)
		list = binary.BigEndian.AppendUint16(list, uint16(len(w.blocks)))
		list = binary.BigEndian.AppendUint16(list, uint16(n))
		for k := range n {
			part := make([]byte, 512)
			copy(part, b[(done+k)*512:])
			w.blocks = append(w.blocks, part)
		}
		if w.split > 0 {
			w.blocks = append(w.blocks, bytes.Repeat([]byte{0xee}, 512))
		}
		done += n
	}
	for i := 3; i < len(starts); i += 3 {
		key := []byte{0}
		if resource {
			key[0] = 0xff
		}
		key = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(key, id), uint16(starts[i]))
		value := make([]byte, 12)
		copy(value, list[4*i:])
		w.extents = append(w.extents, hfsRecord{key, value})
	}
	return append(list[:min(len(list), 12)], make([]byte, 12-min(len(list), 12))...)
}

func oldKey(parent uint32, name string) []byte {
	key := binary.BigEndian.AppendUint32([]byte{0}, parent)
	return append(append(key, byte(len(name))), name...)
}

func (w *oldWriter) folder(parent uint32, name string) uint32 {
	w.id++
	value := make([]byte, 70)
	value[0] = hfsFolderRecord
	binary.BigEndian.PutUint32(value[6:], w.id)
	w.catalog = append(w.catalog, hfsRecord{oldKey(parent, name), value})
	thread := make([]byte, 46)
	thread[0] = 3
	w.catalog = append(w.catalog, hfsRecord{oldKey(w.id, ""), thread})
	return w.id
}

func (w *oldWriter) file(parent uint32, name string, data, resource []byte) {
	w.id++
	be := binary.BigEndian
	value := make([]byte, 102)
	value[0] = hfsFileRecord
	be.PutUint32(value[20:], w.id)
	be.PutUint32(value[26:], uint32(len(data)))
	be.PutUint32(value[36:], uint32(len(resource)))
	copy(value[74:], w.put(w.id, false, data))
	copy(value[86:], w.put(w.id, true, resource))
	w.catalog = append(w.catalog, hfsRecord{oldKey(parent, name), value})
}

// oldTree is a tree of one index over leaves of a few records.
func oldTree(records []hfsRecord) []byte {
	be := binary.BigEndian
	node := func(kind int8, next int, records [][]byte) []byte {
		b := make([]byte, 512)
		be.PutUint32(b, uint32(next))
		b[8] = byte(kind)
		be.PutUint16(b[10:], uint16(len(records)))
		at := 14
		for i, r := range records {
			be.PutUint16(b[510-2*i:], uint16(at))
			at += copy(b[at:], r)
		}
		be.PutUint16(b[510-2*len(records):], uint16(at))
		return b
	}
	entry := func(key, value []byte) []byte {
		b := append([]byte{byte(len(key))}, key...)
		if len(b)%2 == 1 {
			b = append(b, 0)
		}
		return append(b, value...)
	}
	const each = 3
	out := make([]byte, 1024) // the header, and the index
	var index [][]byte
	for i := 0; i < len(records); i += each {
		n := len(out) / 512
		next := n + 1
		if i+each >= len(records) {
			next = 0
		}
		var leaf [][]byte
		for _, r := range records[i:min(i+each, len(records))] {
			leaf = append(leaf, entry(r.key, r.value))
		}
		out = append(out, node(-1, next, leaf)...)
		index = append(index, entry(make([]byte, 7), be.AppendUint32(nil, uint32(n))))
	}
	copy(out[512:], node(0, 0, index))
	head := node(1, 0, [][]byte{make([]byte, 106), make([]byte, 128), make([]byte, 256)})
	be.PutUint16(head[14:], 2)
	be.PutUint32(head[16:], 1)
	be.PutUint32(head[24:], 2)
	be.PutUint16(head[32:], 512)
	if len(records) == 0 {
		be.PutUint32(head[16:], 0)
		be.PutUint32(head[24:], 0)
	}
	copy(out, head)
	return out
}

// volume ends it.
func (w *oldWriter) volume(inner []byte) []byte {
	be := binary.BigEndian
	m := make([]byte, 512)
	copy(m, "BD")
	split := w.split
	w.split = 0
	if inner != nil {
		copy(m[124:], "H+")
		copy(m[126:], w.put(0, false, inner)[:4])
	}
	w.split = split
	catalog := oldTree(w.catalog)
	be.PutUint32(m[146:], uint32(len(catalog)))
	w.split = max(0, min(split*3, 3))
	copy(m[150:], w.put(4, false, catalog))
	w.split = 0
	extents := oldTree(w.extents)
	be.PutUint32(m[130:], uint32(len(extents)))
	copy(m[134:], w.put(3, false, extents))
	be.PutUint16(m[14:], 3)
	be.PutUint16(m[18:], uint16(len(w.blocks)))
	be.PutUint32(m[20:], 512)
	be.PutUint16(m[28:], oldFirst)
	copy(m[36:], "\x04Test")
	out := make([]byte, oldFirst*512)
	copy(out[1024:], m)
	for i, b := range w.blocks {
		if b[0] != 0xee || b[511] != 0xee { // what stands between extents
			out[3*512+i/8] |= 0x80 >> (i % 8)
		}
		out = append(out, b...)
	}
	return out
}

func oldSample(split int, inner []byte) ([]byte, map[string][]byte) {
	w := &oldWriter{split: split, id: 15}
	want := map[string][]byte{
		"hfs.file read me":            []byte("hello from a Mac\r"),
		"hfs.file dir/sub:x/big":      unpacktest.Mixed(9000),
		"hfs.resource dir/sub:x/big":  unpacktest.Mixed(5000),
		"hfs.resource dir/program":    []byte("all of it is in its resources"),
		"hfs.file dir/sub:x/last one": unpacktest.Mixed(513),
	}
	dir := w.folder(hfsRoot, "dir")
	sub := w.folder(dir, "sub/x")
	w.file(hfsRoot, "read me", want["hfs.file read me"], nil)
	w.file(sub, "big", want["hfs.file dir/sub:x/big"], want["hfs.resource dir/sub:x/big"])
	w.file(dir, "program", nil, want["hfs.resource dir/program"])
	w.file(sub, "last one", want["hfs.file dir/sub:x/last one"], nil)
	w.file(sub, "empty", nil, nil)
	return w.volume(inner), want
}

func TestHFS(t *testing.T) {
	for _, split := range []int{0, 1, 2} {
		b, want := oldSample(split, nil)
		p := unpacktest.Probe(showcause.Bytes(b))
		if p.Type.String() != "hfs" || !HFS().Match(p) {
			t.Fatalf("type %s", p.Type)
		}
		r := unpacktest.Walk(t, HFS(), b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != len(want) {
			t.Errorf("split %d: %s", split, r)
		}
		for _, c := range r.Children {
			if !bytes.Equal(c.Data, want[c.Op+" "+c.Name]) {
				t.Errorf("split %d: %s %q is not what was put in", split, c.Op, c.Name)
			}
		}
	}
	inner := newHFS(4096, 0, "H+")
	inner.file("a file", []byte("in the volume inside"), nil, nil)
	plus := inner.image()
	b, want := oldSample(0, plus)
	r := unpacktest.Walk(t, HFS(), b, showcause.Limits{})
	if len(r.Gaps) > 0 || len(r.Children) != len(want)+1 || r.Children[0].Op != "hfs.volume" || !bytes.HasPrefix(r.Children[0].Data, plus) {
		t.Errorf("wrapper: %s", r)
	}
	if p := unpacktest.Probe(showcause.Bytes(r.Children[0].Data)); p.Type.String() != "hfsplus" {
		t.Errorf("wrapped: %s", p.Type)
	}
}

// Data that begins like a header is none.
func TestHFSType(t *testing.T) {
	b, _ := oldSample(0, nil)
	for _, at := range []int{1024, 1024 + 14, 1024 + 15, 1024 + 18, 1024 + 20, 1024 + 28, 1024 + 36} {
		bad := bytes.Clone(b)
		bad[at], bad[at+1] = 0, 0
		if at == 1024+20 {
			bad[at+3] = 1
		}
		if at == 1024+18 || at == 1024+14 {
			bad[at+1] = 0
		}
		if got := filetype.Detect(bad[:4096], nil).String(); got == "hfs" && at != 1024+15 {
			t.Errorf("byte %d: %s", at, got)
		}
	}
}

func TestHFSConform(t *testing.T) {
	samples := map[string][]byte{}
	for _, split := range []int{0, 2} {
		samples[fmt.Sprint("split ", split)], _ = oldSample(split, nil)
	}
	unpacktest.Conform(t, HFS(), samples)
}

// What genisoimage writes beside ISO 9660 is read.
func TestHFSTool(t *testing.T) {
	tool, err := exec.LookPath("genisoimage")
	if err != nil {
		t.Skip("genisoimage is not installed")
	}
	dir, want := t.TempDir(), map[string][]byte{}
	for i, name := range []string{"one", "two.txt", "a folder/three", "a folder/b folder/four with a long name"} {
		b := unpacktest.Mixed(1000 + 70_000*i)
		want[name] = b
		os.MkdirAll(filepath.Join(dir, "in", filepath.Dir(name)), 0o700)
		os.WriteFile(filepath.Join(dir, "in", name), b, 0o600)
	}
	for i := range 60 {
		name := fmt.Sprintf("many/file %d", i)
		want[name] = []byte(name)
		os.MkdirAll(filepath.Join(dir, "in/many"), 0o700)
		os.WriteFile(filepath.Join(dir, "in", name), want[name], 0o600)
	}
	out := filepath.Join(dir, "out")
	if b, err := exec.Command(tool, "-quiet", "-hfs", "-l", "-o", out, filepath.Join(dir, "in")).CombinedOutput(); err != nil {
		t.Skipf("genisoimage -hfs: %v %s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !HFS().Match(unpacktest.Probe(showcause.Bytes(b))) {
		t.Fatal("no match")
	}
	r := unpacktest.Walk(t, HFS(), b, showcause.Limits{})
	if len(r.Gaps) > 0 {
		t.Errorf("%v", r.Gaps)
	}
	got := map[string][]byte{}
	for _, c := range r.Children {
		got[c.Name] = c.Data
	}
	for name, b := range want {
		if name == "a folder/b folder/four with a long name" && got[name] == nil {
			name = "a folder/b folder/four with a long nam" // 31 bytes at most
		}
		if !bytes.Equal(got[name], b) {
			t.Errorf("%q: %d bytes of %d", name, len(got[name]), len(b))
		}
	}
}

func FuzzHFS(f *testing.F) {
	one, _ := oldSample(0, nil)
	two, _ := oldSample(1, nil)
	unpacktest.Fuzz(f, HFS(), one, two)
}

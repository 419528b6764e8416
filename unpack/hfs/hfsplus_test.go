package hfs

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/lzfse"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// hfsWriter makes HFS Plus volumes.
type hfsWriter struct {
	block    int
	split    int    // blocks of an extent at most; 0 for any
	magic    string // "H+" or "HX"
	nodes    int    // bytes of a node of the catalog
	data     []byte
	next     uint32 // ID
	files    int
	folders  map[string]uint32
	catalog  []hfsRecord
	extents  []hfsRecord
	attrs    []hfsRecord
	attrFlag uint32
	free     []int // blocks between the extents
	trees    bool  // the trees are in one piece each, whatever split says
}

type hfsRecord struct{ key, value []byte }

func newHFS(block, split int, magic string) *hfsWriter {
	w := &hfsWriter{block: block, split: split, magic: magic, nodes: 4096, next: 16, folders: map[string]uint32{"": hfsRoot}, attrFlag: 1 << 8}
	w.data = make([]byte, (1536+block-1)/block*block)
	w.record(1, "Volume", w.folderRecord(hfsRoot))
	w.record(hfsRoot, "", w.thread(3, 1, "Volume"))
	return w
}

func utf16be(s string) []byte {
	u := utf16.Encode([]rune(s))
	b := binary.BigEndian.AppendUint16(nil, uint16(len(u)))
	for _, c := range u {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return b
}

func (w *hfsWriter) record(parent uint32, name string, value []byte) {
	w.catalog = append(w.catalog, hfsRecord{append(binary.BigEndian.AppendUint32(nil, parent), utf16be(name)...), value})
}

func (w *hfsWriter) thread(kind uint16, parent uint32, name string) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = append(b, 0, 0)
	return append(binary.BigEndian.AppendUint32(b, parent), utf16be(name)...)
}

func (w *hfsWriter) folderRecord(id uint32) []byte {
	b := make([]byte, 88)
	b[1] = hfsFolderRecord
	binary.BigEndian.PutUint32(b[8:], id)
	binary.BigEndian.PutUint16(b[42:], modeDir|0o755)
	return b
}

// folder returns the ID of a folder, which it makes.
func (w *hfsWriter) folder(name string) uint32 {
	if id, ok := w.folders[name]; ok {
		return id
	}
	dir, base := filepath.Split(name)
	parent := w.folder(strings.TrimSuffix(dir, "/"))
	id := w.next
	w.next++
	w.folders[name] = id
	w.record(parent, base, w.folderRecord(id))
	w.record(id, "", w.thread(3, parent, base))
	return id
}

// put writes a fork, in extents, with a block of something else between them.
// The first eight stand in the fork, the others go to the tree of extents.
func (w *hfsWriter) put(id uint32, resource bool, b []byte) []byte {
	fork := binary.BigEndian.AppendUint64(nil, uint64(len(b)))
	blocks := (len(b) + w.block - 1) / w.block
	fork = binary.BigEndian.AppendUint32(fork, 0)
	fork = binary.BigEndian.AppendUint32(fork, uint32(blocks))
	var list []byte
	var starts []uint32
	for done := 0; done < blocks; {
		n := blocks - done
		if w.split > 0 && n > w.split {
			n = w.split
		}
		starts = append(starts, uint32(done))
		list = binary.BigEndian.AppendUint32(list, uint32(len(w.data)/w.block))
		list = binary.BigEndian.AppendUint32(list, uint32(n))
		part := b[done*w.block : min((done+n)*w.block, len(b))]
		w.data = append(w.data, part...)
		w.pad()
		if w.split > 0 {
			w.free = append(w.free, len(w.data)/w.block)
			w.data = append(w.data, bytes.Repeat([]byte{0xee}, w.block)...)
		}
		done += n
	}
	for i := 8; i < len(starts); i += 8 {
		key := []byte{0, 0}
		if resource {
			key[0] = 0xff
		}
		key = binary.BigEndian.AppendUint32(key, id)
		key = binary.BigEndian.AppendUint32(key, starts[i])
		value := make([]byte, 64)
		copy(value, list[8*i:])
		w.extents = append(w.extents, hfsRecord{key, value})
	}
	fork = append(fork, list[:min(len(list), 64)]...)
	return append(fork, make([]byte, 80-len(fork))...)
}

func (w *hfsWriter) pad() {
	if n := len(w.data) % w.block; n != 0 {
		w.data = append(w.data, make([]byte, w.block-n)...)
	}
}

// file adds a file and returns its ID.
func (w *hfsWriter) file(name string, data, resource []byte, change func(record []byte)) uint32 {
	dir, base := filepath.Split(name)
	parent := w.folder(strings.TrimSuffix(dir, "/"))
	id := w.next
	w.next++
	w.files++
	b := make([]byte, 88)
	b[1] = hfsFileRecord
	b[3] = 2 // there is a thread
	binary.BigEndian.PutUint32(b[8:], id)
	binary.BigEndian.PutUint16(b[42:], modeFile|0o644)
	binary.BigEndian.PutUint32(b[44:], 1)
	b = append(b, w.put(id, false, data)...)
	b = append(b, w.put(id, true, resource)...)
	if change != nil {
		change(b)
	}
	w.record(parent, strings.ReplaceAll(base, ":", "/"), b)
	w.record(id, "", w.thread(4, parent, base))
	return id
}

// packed adds a file that decmpfs compresses.
func (w *hfsWriter) packed(name string, kind uint32, size int, inline, resource []byte) {
	id := w.file(name, nil, resource, func(b []byte) { b[41] |= 0x20 })
	head := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32([]byte("fpmc"), kind), uint64(size))
	head = append(head, inline...)
	key := binary.BigEndian.AppendUint32([]byte{0, 0}, id)
	key = append(key, 0, 0, 0, 0)
	value := binary.BigEndian.AppendUint32(nil, 0x10)
	value = append(value, make([]byte, 8)...)
	value = append(binary.BigEndian.AppendUint32(value, uint32(len(head))), head...)
	w.attrs = append(w.attrs, hfsRecord{append(key, utf16be("com.apple.decmpfs")...), value})
}

// links adds a file of two names.
func (w *hfsWriter) links(one, two string, data []byte) {
	w.folder(hfsPrivate)
	number := w.next
	w.file(hfsPrivate+fmt.Sprintf("/iNode%d", number), data, nil, func(b []byte) { binary.BigEndian.PutUint32(b[44:], 2) })
	for _, name := range []string{one, two} {
		w.file(name, nil, nil, func(b []byte) {
			binary.BigEndian.PutUint32(b[44:], number)
			copy(b[48:], "hlnkhfs+")
		})
	}
}

// compareHFS orders keys of the catalog and the attributes: by number, then by name.
func compareHFS(a, b hfsRecord) int {
	n := 4
	if len(a.key) > 6 && bytes.Equal(a.key[:2], []byte{0, 0}) && len(b.key) > 6 && bytes.Equal(b.key[:2], []byte{0, 0}) {
		n = 4
	}
	if c := bytes.Compare(a.key[:n], b.key[:n]); c != 0 {
		return c
	}
	return bytes.Compare(bytes.ToLower(a.key[n+2:]), bytes.ToLower(b.key[n+2:]))
}

// tree lays records out as a tree with nodes of the given size.
func (w *hfsWriter) tree(records []hfsRecord, size, maxKey int, kind byte) []byte {
	be := binary.BigEndian
	nodes := [][]byte{make([]byte, size)}
	leaves := uint32(0)
	depth := 0
	level := records
	for len(level) > 0 {
		var up []hfsRecord
		first := len(nodes)
		for len(level) > 0 {
			b := make([]byte, size)
			at, n := 14, 0
			for n < len(level) {
				r := level[n]
				length := 2 + len(r.key) + len(r.key)%2 + len(r.value) + len(r.value)%2
				if at+length+2*(n+2) > size {
					break
				}
				be.PutUint16(b[size-2*(n+1):], uint16(at))
				be.PutUint16(b[at:], uint16(len(r.key)))
				copy(b[at+2:], r.key)
				copy(b[at+2+len(r.key)+len(r.key)%2:], r.value)
				at += length
				n++
			}
			be.PutUint16(b[size-2*(n+1):], uint16(at))
			be.PutUint16(b[10:], uint16(n))
			b[9] = byte(depth + 1)
			if depth == 0 {
				b[8] = 0xff
				leaves += uint32(n)
			}
			up = append(up, hfsRecord{level[0].key, be.AppendUint32(nil, uint32(len(nodes)))})
			if len(nodes) > first {
				be.PutUint32(nodes[len(nodes)-1], uint32(len(nodes)))
				be.PutUint32(b[4:], uint32(len(nodes)-1))
			}
			nodes = append(nodes, b)
			level = level[n:]
		}
		depth++
		if len(up) == 1 {
			break
		}
		level = up
	}
	h := nodes[0]
	h[8], h[11] = 1, 3
	be.PutUint16(h[14:], uint16(depth))
	if depth > 0 {
		be.PutUint32(h[16:], uint32(len(nodes)-1))
		be.PutUint32(h[24:], 1)
		last := 1
		for last+1 < len(nodes) && nodes[last+1][8] == 0xff {
			last++
		}
		be.PutUint32(h[28:], uint32(last))
	}
	be.PutUint32(h[20:], leaves)
	be.PutUint16(h[32:], uint16(size))
	be.PutUint16(h[34:], uint16(maxKey))
	be.PutUint32(h[36:], uint32(len(nodes)))
	be.PutUint32(h[46:], uint32(size))
	h[51] = kind
	be.PutUint32(h[52:], 6) // keys of any length
	for i := range nodes {  // the map of nodes in use
		h[248+i/8] |= 0x80 >> (i % 8)
	}
	be.PutUint16(h[size-2:], 14)
	be.PutUint16(h[size-4:], 120)
	be.PutUint16(h[size-6:], 248)
	be.PutUint16(h[size-8:], uint16(size-8))
	return slices.Concat(nodes...)
}

// image ends the volume.
func (w *hfsWriter) image() []byte {
	be := binary.BigEndian
	w.pad()
	slices.SortFunc(w.catalog, compareHFS)
	slices.SortFunc(w.attrs, func(a, b hfsRecord) int { return cmp.Compare(string(a.key), string(b.key)) })
	slices.SortFunc(w.extents, func(a, b hfsRecord) int {
		return cmp.Or(cmp.Compare(string(a.key[2:6]), string(b.key[2:6])), cmp.Compare(a.key[0], b.key[0]), cmp.Compare(string(a.key[6:]), string(b.key[6:])))
	})
	split := w.split
	kind := byte(0xcf)
	if w.magic == "HX" {
		kind = 0xbc
	}
	if w.trees {
		w.split = 0
	}
	catalog := w.put(4, false, w.tree(w.catalog, w.nodes, 516, kind))
	attrs := make([]byte, 80)
	if len(w.attrs) > 0 {
		attrs = w.put(8, false, w.tree(w.attrs, 8192, 266, 0))
	}
	w.split = 0
	extents := w.put(3, false, w.tree(w.extents, 1024, 10, 0))
	w.split = split
	blocks := len(w.data)/w.block + 1
	for (blocks+7)/8 > 0 && len(w.data)/w.block+(blocks/8+w.block)/w.block+(1024+w.block-1)/w.block > blocks {
		blocks++
	}
	bits := bytes.Repeat([]byte{0xff}, (blocks+7)/8)
	for _, i := range w.free {
		bits[i/8] &^= 0x80 >> (i % 8)
	}
	w.split = 0
	alloc := w.put(6, false, bits)
	w.split = split
	for len(w.data) < blocks*w.block {
		w.data = append(w.data, 0)
	}
	blocks = len(w.data) / w.block
	h := w.data[1024:1536]
	copy(h, w.magic)
	h[3] = 4
	if w.magic == "HX" {
		h[3] = 5
	}
	be.PutUint32(h[4:], w.attrFlag)
	copy(h[8:], "10.0")
	be.PutUint32(h[32:], uint32(w.files))
	be.PutUint32(h[36:], uint32(len(w.folders)-1))
	be.PutUint32(h[40:], uint32(w.block))
	be.PutUint32(h[44:], uint32(blocks))
	be.PutUint32(h[48:], uint32(len(w.free)+1))
	be.PutUint32(h[64:], w.next)
	copy(h[112:], alloc)
	copy(h[192:], extents)
	copy(h[272:], catalog)
	copy(h[352:], attrs)
	copy(w.data[len(w.data)-1024:], h)
	return w.data
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// zlibFork is a resource fork with a file in blocks, the second as it is.
func zlibFork(b []byte) []byte {
	le := binary.LittleEndian
	var blocks [][]byte
	for len(b) > 0 {
		n := min(len(b), decmpBlock)
		block := deflated(b[:n])
		if len(blocks) == 1 {
			block = append([]byte{0xff}, b[:n]...)
		}
		blocks, b = append(blocks, block), b[n:]
	}
	body := le.AppendUint32(nil, uint32(len(blocks)))
	at := 4 + 8*len(blocks)
	for _, c := range blocks {
		body = le.AppendUint32(le.AppendUint32(body, uint32(at)), uint32(len(c)))
		at += len(c)
	}
	for _, c := range blocks {
		body = append(body, c...)
	}
	out := make([]byte, 256)
	binary.BigEndian.PutUint32(out, 256)
	binary.BigEndian.PutUint32(out[4:], uint32(260+len(body)))
	binary.BigEndian.PutUint32(out[8:], uint32(4+len(body)))
	binary.BigEndian.PutUint32(out[12:], 50)
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	out = append(out, body...)
	tail := make([]byte, 50)
	copy(tail[24:], "\x00\x1c\x00\x32\x00\x00cmpf\x00\x00\x00\x0a\x00\x01\xff\xff")
	return append(out, tail...)
}

func lzfseText() []byte {
	return []byte(strings.Repeat("the same again, and once more: ", 70)[:2048])
}

// LZFSE in an attribute, and in a fork. 7z reads neither.
func TestLZFSE(t *testing.T) {
	w := newHFS(4096, 0, "H+")
	w.packed("a", 11, 2048, unbase64(lzfseGolden), nil)
	w.packed("b", 11, 5, []byte("\xffplain"), nil)
	w.packed("c", 11, 2048, unbase64(lzfseGolden)[:100], nil)
	stored := unpacktest.Mixed(decmpBlock)
	w.packed("d", 12, decmpBlock+2048, nil, forkOf(append([]byte{0xff}, stored...), unbase64(lzfseGolden)))
	r := unpacktest.Walk(t, HFSPlus(), w.image(), showcause.Limits{})
	if len(r.Gaps) != 1 || !r.Has(showcause.Corrupt) || len(r.Children) < 3 || !bytes.Equal(r.Children[0].Data, lzfseText()) || string(r.Children[1].Data) != "plain" ||
		!bytes.Equal(r.Children[len(r.Children)-1].Data, append(stored, lzfseText()...)) {
		t.Error(r)
	}
}

func unbase64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// lzfseGolden is what package lzfse has a test of.
const lzfseGolden = "YnZ4MgAIAAAgAAABAAEAcO+Dm6cIAwAgmAAAAAAAAAAAAAAA8CgAAAAAADwKAAAAjw4AAAAAAAAAAAAAAADwAAAAAAAAAAAAjxcAAPAAAAAA8AAAAAAAAAAAAADAI8ED8AA8EjwAD8ADADwGD8NjAA/AA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEIEQFb81ZBHJn+7F1ZrS/UAYnZ4JA=="

// lzvn compresses in the plainest way: a run as a literal and a match one back.
func lzvn(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := 1
		for n < len(b) && b[n] == b[0] && n < 200 {
			n++
		}
		switch {
		case n > 20: // a byte as it is, with a match of three one back; then a longer match
			out = append(out, 0x40, 1, b[0], 0xf0, byte(n-4-16))
		case n >= 8:
			out = append(out, 0xa0|1<<3|byte((n-1-3)>>2), byte((n-4)&3|1<<2), 0, b[0])
		default:
			n = 1
			for n < len(b) && n < 200 && (n+8 > len(b) || !bytes.Equal(b[n:n+8], bytes.Repeat(b[n:n+1], 8))) {
				n++
			}
			if n > 15 {
				out = append(out, 0xe0, byte(n-16))
			} else {
				out = append(out, 0xe0|byte(n))
			}
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return append(out, 6, 0, 0, 0, 0, 0, 0, 0)
}

// lzvnFork is a resource fork with a file in blocks, the second as it is.
func lzvnFork(b []byte) []byte {
	var blocks [][]byte
	for len(b) > 0 {
		n := min(len(b), decmpBlock)
		block := lzvn(b[:n])
		if len(blocks) == 1 {
			block = append([]byte{6}, b[:n]...)
		}
		blocks, b = append(blocks, block), b[n:]
	}
	return forkOf(blocks...)
}

// forkOf is a resource fork of blocks.
func forkOf(blocks ...[]byte) []byte {
	at := 4 * (len(blocks) + 1)
	var out []byte
	for _, c := range blocks {
		out = binary.LittleEndian.AppendUint32(out, uint32(at))
		at += len(c)
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(at))
	return append(out, slices.Concat(blocks...)...)
}

// hfsFiles fills a volume, and returns what is in it by name.
func hfsFiles(t testing.TB, w *hfsWriter, many int) map[string][]byte {
	mixed := func(n int) []byte { return unpacktest.Mixed(n) }
	files := map[string][]byte{
		"a": []byte("a"), "tiny.txt": []byte("a few words"), "dir/of/dirs/deep/down/below": bytes.Repeat([]byte("text "), 1000),
		"größe und längen/日本語": []byte("names are data"), "large": mixed(300_000), "a:b": []byte("a name with a slash"),
		strings.Repeat("n", 200) + "/longest": mixed(777),
	}
	for i := range many {
		files[fmt.Sprintf("many/file %03d.txt", i)] = fmt.Appendf(nil, "file number %d of many", i)
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range files {
			if !yield(n) {
				return
			}
		}
	}) {
		w.file(name, files[name], nil, nil)
	}
	w.file("forked", []byte("the data fork"), mixed(5000), nil)
	files["forked"] = []byte("the data fork")
	w.links("one name", "dir/another name", []byte("a file of two names"))
	files["one name"] = []byte("a file of two names")
	text := bytes.Repeat([]byte("compressed words, and then aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa and bbbbbbbbbb. "), 2300)
	for _, c := range []struct {
		name   string
		kind   uint32
		data   []byte
		inline []byte
		fork   []byte
	}{
		{"packed/zlib", 3, text[:3000], deflated(text[:3000]), nil},
		{"packed/zlib, as it is", 3, []byte("short"), []byte("\xffshort"), nil},
		{"packed/zlib in the fork", 4, text, nil, zlibFork(text)},
		{"packed/lzvn", 7, text[:3000], lzvn(text[:3000]), nil},
		{"packed/lzvn in the fork", 8, text, nil, lzvnFork(text)},
	} {
		w.packed(c.name, c.kind, len(c.data), c.inline, c.fork)
		files[c.name] = c.data
	}
	return files
}

func TestHFSPlus(t *testing.T) {
	for name, w := range map[string]*hfsWriter{
		"HFS+": newHFS(4096, 0, "H+"), "HFSX": newHFS(4096, 0, "HX"), "in pieces": newHFS(512, 3, "H+"), "in single blocks": newHFS(1024, 1, "HX"), "large blocks": newHFS(65536, 0, "H+"),
	} {
		t.Run(name, func(t *testing.T) {
			files := hfsFiles(t, w, 150)
			fork := unpacktest.Mixed(5000)
			image := w.image()
			if w.split > 0 && len(w.extents) < 10 {
				t.Errorf("%d records of extents: too few to say anything", len(w.extents))
			}
			got := unpacktest.Walk(t, HFSPlus(), image, showcause.Limits{})
			forks := 0
			for _, c := range got.Children {
				if c.Op == "hfsplus.resource" {
					forks++
					if c.Name != "forked" || !bytes.Equal(c.Data, fork) {
						t.Errorf("resource fork of %q, %d bytes", c.Name, c.Size)
					}
					continue
				}
				if want, ok := files[c.Name]; !ok || c.Digest != sha256.Sum256(want) {
					t.Errorf("%q: %d bytes, want %d", c.Name, c.Size, len(want))
				}
				delete(files, c.Name)
			}
			if len(files) > 0 || forks != 1 || len(got.Gaps) > 0 {
				t.Errorf("%d files missing, %d forks, gaps %v", len(files), forks, got.Gaps)
				for n := range files {
					t.Logf("%q is missing", n)
				}
			}
		})
	}
}

// What 7z reads in the volumes of the test is what is read here.
func TestHFSPlusTools(t *testing.T) {
	pieces := newHFS(4096, 6, "HX") // 7z takes no file whose extents are in several leaves
	pieces.trees = true
	for _, w := range []*hfsWriter{newHFS(4096, 0, "H+"), pieces} {
		dir := t.TempDir()
		files := hfsFiles(t, w, 100)
		if err := os.WriteFile(filepath.Join(dir, "image"), w.image(), 0o600); err != nil {
			t.Fatal(err)
		}
		unpacktest.Run(t, dir, "7z", "x", "-oout", "image", "-y")
		for name, want := range files {
			if strings.ContainsAny(name, ":ö日") || name == "one name" { // shown in other ways
				continue
			}
			got, err := os.ReadFile(filepath.Join(dir, "out", "Volume", name))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("7z: %s, %q: %d bytes, want %d: %v", w.magic, name, len(got), len(want), err)
			}
		}
	}
}

// Volumes that xorriso writes.
func TestHFSPlusXorriso(t *testing.T) {
	dir := t.TempDir()
	files := unpacktest.Tree(t, filepath.Join(dir, "tree"), 300_000)
	if _, err := exec.LookPath("xorriso"); err != nil {
		t.Skip("needs xorriso")
	}
	unpacktest.Run(t, dir, "xorriso", "-as", "mkisofs", "-quiet", "-hfsplus", "-o", "image", "tree")
	b := unpacktest.ReadFile(t, filepath.Join(dir, "image"))
	at := bytes.Index(b, []byte("H+\x00\x04"))
	if at < 1024 {
		t.Fatal("no volume in the image")
	}
	got := unpacktest.Walk(t, HFSPlus(), b[at-1024:], showcause.Limits{})
	left := map[[32]byte]int{}
	for _, f := range files {
		if len(f) > 0 {
			left[sha256.Sum256(f)]++
		}
	}
	for _, c := range got.Children {
		if left[c.Digest]--; left[c.Digest] < 0 {
			t.Errorf("%q, %d bytes, is none of the files", c.Name, c.Size)
		}
		if want, ok := files[c.Name]; ok && c.Digest != sha256.Sum256(want) {
			t.Errorf("%q: %d bytes, want %d", c.Name, c.Size, len(want))
		}
	}
	for d, n := range left {
		if n > 0 {
			t.Errorf("%x is missing", d[:4])
		}
	}
	if len(got.Gaps) > 0 {
		t.Errorf("gaps %v", got.Gaps)
	}
}

func smallHFS(split int) []byte {
	w := newHFS(512, split, "H+")
	w.nodes = 1024
	w.file("one", []byte("a short text"), nil, nil)
	w.file("dir/two", bytes.Repeat([]byte("a longer text "), 600), []byte("its fork"), nil)
	for i := range 8 {
		w.file(fmt.Sprintf("dir/%d", i), fmt.Appendf(nil, "file %d", i), nil, nil)
	}
	w.links("first", "second", []byte("of two names"))
	text := bytes.Repeat([]byte("words and words "), 300)
	w.packed("packed", 3, len(text), deflated(text), nil)
	w.packed("in fork", 4, len(text), nil, zlibFork(text))
	w.packed("lzvn", 7, 40, lzvn(bytes.Repeat([]byte("z"), 40)), nil)
	w.packed("lzvn fork", 8, len(text), nil, lzvnFork(text))
	return w.image()
}

func TestHFSPlusDamaged(t *testing.T) {
	unpacktest.Conform(t, HFSPlus(), map[string][]byte{"whole": smallHFS(0), "in pieces": smallHFS(1)})
}

// What cannot be read is said, and trees that lie are read both ways.
func TestHFSPlusGaps(t *testing.T) {
	text := []byte("some text")
	for name, c := range map[string]struct {
		make func() []byte
		code showcause.Code
		has  string
	}{
		"a kind of decmpfs that is not known": {func() []byte {
			w := newHFS(512, 0, "H+")
			w.packed("x", 13, 100, []byte("what"), nil)
			return w.image()
		}, hfsMethod, ""},
		"a size that is larger": {func() []byte {
			w := newHFS(512, 0, "H+")
			w.packed("x", 3, 100, deflated(text), nil)
			return w.image()
		}, showcause.Corrupt, "some text"},
		"a size that is smaller": {func() []byte {
			w := newHFS(512, 0, "H+")
			w.packed("x", 3, 4, deflated(text), nil)
			return w.image()
		}, showcause.Corrupt, "some"},
		"a fork that is longer than its extents": {func() []byte {
			w := newHFS(512, 0, "H+")
			w.file("x", text, nil, func(b []byte) { b[92] = 1 })
			return w.image()
		}, showcause.Corrupt, "some text"},
		"a journal": {func() []byte {
			w := newHFS(512, 0, "H+")
			w.attrFlag = 1 << 13
			w.file("x", text, nil, nil)
			return w.image()
		}, hfsJournal, "some text"},
		"a chain without leaves": {func() []byte {
			w := newHFS(512, 0, "H+")
			for i := range 60 {
				w.file(fmt.Sprintf("%d", i), fmt.Appendf(nil, "some text %d", i), nil, nil)
			}
			b := w.image()
			fork := b[1024+272:]
			node := int(binary.BigEndian.Uint32(fork[16:]))*512 + 4096
			binary.BigEndian.PutUint32(b[node:], 0) // the first leaf is the last
			return b
		}, hfsTree, "some text 59"},
	} {
		got := unpacktest.Walk(t, HFSPlus(), c.make(), showcause.Limits{})
		if !got.Has(c.code) || c.has != "" && !got.Contains(c.has) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Sequences of LZVN written by hand from its table of opcodes.
func TestLZVN(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"e3616263" + "06", "abc"},
		{"e3616263" + "f1" + "06", ""},                           // no distance yet
		{"e3616263" + "0003" + "06", "abcabc"},                   // LL=0, M=3, D=3
		{"e3616263" + "4003" + "78" + "06", "abcxbcx"},           // a literal, then a match
		{"e3616263" + "0003" + "f2" + "06", "abcabcab"},          // at the distance before
		{"e3616263" + "0003" + "4678" + "06", "abcabcx" + "bcx"}, // LLMMM110
		{"e3616263" + "070200" + "06", "abcbcb"},                 // LLMMM111
		{"e3616263" + "a00d00" + "06", "abcabca"},                // 101: M=3+1, D=3
		{"e000" + hex.EncodeToString([]byte("0123456789abcdef")) + "06", "0123456789abcdef"},
		{"e161" + "0001" + "f000" + "06", "a" + strings.Repeat("a", 3+16)},
		{"0e16" + "e161" + "06", "a"},
		{"70", ""},
		{"d0", ""},
		{"1e", ""},
		{"e5", ""},
		{"", ""},
		{"e161", ""},
	} {
		in, err := hex.DecodeString(c.code)
		if err != nil {
			t.Fatal(err)
		}
		got, err := lzfse.LZVN(nil, in, 1<<16)
		if (err != nil) != (c.want == "") || err == nil && string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.code, got, err, c.want)
		}
	}
}

func FuzzHFSPlus(f *testing.F) { unpacktest.Fuzz(f, HFSPlus(), smallHFS(0), smallHFS(1)) }

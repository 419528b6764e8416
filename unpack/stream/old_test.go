package stream

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func lzipOf(t testing.TB, b []byte) []byte {
	var z bytes.Buffer
	w, err := lzma.WriterConfig{DictCap: 1 << 16, EOSMarker: true}.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	out := append([]byte("LZIP\x01\x10"), z.Bytes()[lzmaHeader:]...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(b))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(b)))
	return binary.LittleEndian.AppendUint64(out, uint64(len(out)+8))
}

// compressOf encodes LZW with codes of up to max bits; the table is emptied once.
func compressOf(b []byte, max uint) []byte {
	out := []byte{0x1f, 0x9d, 0x80 | byte(max)}
	var group []int
	width, free := uint(9), 256
	flush := func(n int) { // a group of n codes
		buf := make([]byte, (uint(n)*width+7)/8)
		for i, c := range group {
			for k := range width {
				at := uint(i)*width + k
				buf[at/8] |= byte(c>>k&1) << (at % 8)
			}
		}
		out = append(out, buf...)
		group = nil
	}
	put := func(c int) {
		if free > 1<<width-1 && width < max {
			if len(group) > 0 {
				flush(8)
			}
			width++
		}
		if group = append(group, c); len(group) == 8 {
			flush(8)
		}
		if free < 1<<max {
			free++
		}
	}
	table := map[string]int{}
	next := 257
	word := ""
	for i, c := range b {
		w := word + string([]byte{c})
		if _, ok := table[w]; ok || len(w) == 1 {
			word = w
			continue
		}
		code := func() int {
			if len(word) == 1 {
				return int(word[0])
			}
			return table[word]
		}
		put(code())
		if next < 1<<max {
			table[w] = next
			next++
		}
		word = string([]byte{c})
		if i == len(b)/2 {
			put(int(c))
			put(256)
			flush(8)
			table, next, word = map[string]int{}, 257, ""
			width, free = 9, 256
		}
	}
	if len(word) == 1 {
		put(int(word[0]))
	} else if word != "" {
		put(table[word])
	}
	if len(group) > 0 {
		flush(len(group))
	}
	return out
}

func lzoOf(b []byte) (out []byte) {
	length := func(n, most int) []byte {
		if n <= most {
			return nil
		}
		n -= most
		var l []byte
		for ; n > 255; n -= 255 {
			l = append(l, 0)
		}
		return append(l, byte(n))
	}
	last := map[[4]byte]int{}
	from := 0
	run := func(to int) { // four literals or more
		n := to - from - 3
		if n <= 15 {
			out = append(out, byte(n))
		} else {
			out = append(append(out, 0), length(n, 15)...)
		}
		out = append(out, b[from:to]...)
	}
	for at := 0; at+4 <= len(b); at++ {
		k := [4]byte(b[at:])
		p, ok := last[k]
		last[k] = at
		if !ok || at-p > 40_000 || at-from < 4 {
			continue
		}
		n := 4
		for at+n < len(b) && b[p+n] == b[at+n] {
			n++
		}
		run(at)
		switch d := at - p; {
		case n <= 8 && d <= 2048:
			out = append(out, byte((n-1)<<5|(d-1)&7<<2), byte((d-1)>>3))
		case d <= 16384:
			if n-2 <= 31 {
				out = append(out, byte(32|(n-2)))
			} else {
				out = append(append(out, 32), length(n-2, 31)...)
			}
			out = append(out, byte(d-1)<<2, byte((d-1)>>6))
		default:
			v := d - 16384
			if n-2 <= 7 {
				out = append(out, byte(16|v>>14<<3|(n-2)))
			} else {
				out = append(append(out, byte(16|v>>14<<3)), length(n-2, 7)...)
			}
			out = append(out, byte(v)<<2, byte(v&0x3fff>>6))
		}
		at += n - 1
		from = at + 1
	}
	if n := len(b) - from; n >= 4 {
		run(len(b))
	} else if n > 0 {
		return nil // too few for a run; the caller stores the block
	}
	return append(out, 17, 0, 0)
}

func lzopOf(b []byte) []byte {
	h := []byte{0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 1, 5, 0, 0, 0, 1, 0, 0, 0x81, 0xa4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'n'}
	out := append(bytes.Clone(lzopMagic), h...)
	out = binary.BigEndian.AppendUint32(out, adler32.Checksum(h))
	for off := 0; off < len(b); off += 256 << 10 {
		p := b[off:min(len(b), off+256<<10)]
		z := lzoOf(p)
		if z == nil || len(z) >= len(p) {
			z = p
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(z)))
		out = append(binary.BigEndian.AppendUint32(out, adler32.Checksum(p)), z...)
	}
	return append(out, 0, 0, 0, 0)
}

func TestOldRead(t *testing.T) {
	for _, n := range []int{1, 50, 3000, 300_001} {
		b := unpacktest.Mixed(n)
		for name, c := range map[string]struct {
			f    unpack.Format
			data []byte
		}{
			"lzip": {Lzip(), lzipOf(t, b)}, "lzop": {Lzop(), lzopOf(b)},
			"compress 16": {Compress(), compressOf(b, 16)}, "compress 9": {Compress(), compressOf(b, 9)}, "compress 12": {Compress(), compressOf(b, 12)},
		} {
			if !c.f.Match(unpacktest.Probe(showcause.Bytes(c.data))) {
				t.Errorf("%s: no match", name)
			}
			r := unpacktest.Walk(t, c.f, c.data, showcause.Limits{})
			if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, b) {
				t.Errorf("%s, %d bytes: %s", name, n, r)
			}
		}
	}
}

func TestOldConforms(t *testing.T) {
	b := unpacktest.Mixed(800)
	one := lzipOf(t, b)
	unpacktest.ConformWhole(t, Lzip(), map[string][]byte{"one": one, "two": append(bytes.Clone(one), one...)},
		func(b []byte) bool { return len(b) == len(one) })
	unpacktest.Conform(t, Lzop(), map[string][]byte{"one": lzopOf(b)})
	// compress writes no end, so that what is cut is whole by itself.
	unpacktest.ConformWhole(t, Compress(), map[string][]byte{"one": compressOf(b, 16)}, func(b []byte) bool { return len(b) >= 3 })
}

func FuzzLzip(f *testing.F) { unpacktest.Fuzz(f, Lzip(), lzipOf(f, unpacktest.Mixed(500))) }
func FuzzLzop(f *testing.F) { unpacktest.Fuzz(f, Lzop(), lzopOf(unpacktest.Mixed(3000))) }
func FuzzCompress(f *testing.F) {
	unpacktest.Fuzz(f, Compress(), compressOf(unpacktest.Mixed(3000), 16), compressOf(unpacktest.Mixed(3000), 9))
}

func TestOldOdd(t *testing.T) {
	b := unpacktest.Mixed(800)
	change := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		f     unpack.Format
		data  []byte
		files int
		gap   string
	}{
		"lzip checksum":     {Lzip(), change(lzipOf(t, b), -20), 1, "corrupt"},
		"lzip member size":  {Lzip(), change(lzipOf(t, b), -8), 1, "corrupt"},
		"lzip junk, lzip":   {Lzip(), append(append(lzipOf(t, b), "junk"...), lzipOf(t, b)...), 2, "corrupt"},
		"lzop header":       {Lzop(), change(lzopOf(b), 12), 1, "corrupt"},
		"lzop checksum":     {Lzop(), change(lzopOf(b), 49), 1, "corrupt"},
		"compress 17 bits":  {Compress(), []byte{0x1f, 0x9d, 0x91, 1, 2, 3}, 0, "unsupported.method.compress"},
		"compress bad code": {Compress(), []byte{0x1f, 0x9d, 0x90, 0xff, 0xff, 0xff}, 0, "corrupt"},
	} {
		r := unpacktest.Walk(t, c.f, c.data, showcause.Limits{})
		if len(r.Children) != c.files || !r.Has(showcause.Code(c.gap)) {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// What lzip, lzop and compress write is read.
func TestOldTools(t *testing.T) {
	dir := t.TempDir()
	want := unpacktest.Mixed(500_000)
	os.WriteFile(filepath.Join(dir, "f"), want, 0o600)
	for _, args := range []string{"lzip -k f", "lzip -9 -k f", "lzop -q f", "lzop -9 -f -q f", "compress -k f", "compress -k -f -b 11 f"} {
		a := strings.Fields(args)
		p := filepath.Join(dir, "f"+map[string]string{"lzip": ".lz", "lzop": ".lzo", "compress": ".Z"}[a[0]])
		os.Remove(p)
		cmd := exec.Command(a[0], a[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s: %v %s", args, err, out)
			continue
		}
		b, _ := os.ReadFile(p)
		r := unpacktest.Walk(t, map[string]unpack.Format{"lzip": Lzip(), "lzop": Lzop(), "compress": Compress()}[a[0]], b, showcause.Limits{})
		if len(r.Gaps) > 0 || len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, want) {
			t.Errorf("%s: %s", args, r)
		}
	}
}

// Members of lzop follow each other without anything between them, and are
// files of their own.
func TestLzopMembers(t *testing.T) {
	one, two := lzopOf(unpacktest.Mixed(3000)), lzopOf([]byte("another"))
	for name, c := range map[string]struct {
		data []byte
		gaps int
	}{"two": {append(bytes.Clone(one), two...), 0}, "zeros": {append(append(bytes.Clone(one), 0, 0, 0), two...), 0}, "junk": {append(append(bytes.Clone(one), "junk"...), two...), 1}} {
		r := unpacktest.Walk(t, Lzop(), c.data, showcause.Limits{})
		if len(r.Children) != 2 || len(r.Gaps) != c.gaps || !r.Contains("another") {
			t.Errorf("%s: %s", name, r)
		}
	}
}

package formats

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// rawZip is a zip of n members of the given method whose compressed bytes are data.
func rawZip(t *testing.T, n int, method uint16, data, content string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range n {
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: fmt.Sprintf("com/example/Class%06d", i), Method: method, CRC32: crc32.ChecksumIEEE([]byte(content)),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(content)),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(data))
	}
	w.Close()
	return b.Bytes()
}

// spend walks a layer alone, as every format, and returns what that cost.
func spend(data []byte, l showcause.Limits) (showcause.Spent, []showcause.Gap) {
	src := showcause.Bytes(data)
	b := unpack.NewBudget(l, src.Size(), nil)
	var gaps []showcause.Gap
	out := unpack.NewOut(b, nil, func(showcause.Layer) {}, func(g showcause.Gap) { gaps = append(gaps, g) })
	p := unpacktest.Probe(src)
	for _, f := range All() {
		if f.Match(p) {
			f.Walk(src, out)
		}
	}
	return b.Spent, gaps
}

// What a decoder costs before it gives a byte is charged: tables, windows,
// probabilities. A step is about half a nanosecond, so that the default of 4e9
// is about two seconds; the bounds here are for a tenth.
func TestFloods(t *testing.T) {
	flood := func(s string, n int) []byte { return []byte(strings.Repeat(s, n)) }
	xz := "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3"
	frame := "\x28\xb5\x2f\xfd\x00\x00\x29\x00\x00hello" // a window of 1 KiB
	wide := "\x28\xb5\x2f\xfd\x00\x80\x29\x00\x00hello"  // of 64 MiB
	for name, c := range map[string]struct {
		data []byte
		most int64 // objects
	}{
		"bzip2 tables":              {flood("BZh91AY&SYx", 10_000), 460},
		"bzip2 tables in a zip":     {rawZip(t, 2000, 12, "BZh91AY&SY\x00\x00\x00\x00\x00\x00\x00\x00", strings.Repeat("x", 800_000)), 460},
		"literals of LZMA":          {rawZip(t, 2000, 14, "\x09\x14\x05\x00\x2c\x00\x00\x01\x00\x00aaaaaaaa", "x"), 90},
		"windows":                   {rawZip(t, 2000, 93, wide, "hello"), 50},
		"windows behind small ones": {rawZip(t, 2000, 93, frame+wide, "hellohello"), 50},
		"chunks of LZMA2":           {append([]byte(xz), flood("\xe0\x00\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00", 100_000)...), 1},
		"runs of gzip":              {flood("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff", 20_000), 6200},
		"ends of headers in an ar":  {append([]byte("!<arch>\n"), flood("`\n", 1_000_000)...), 0},
		"LZMA past a limit of size": {append([]byte("\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff"), make([]byte, 2<<20)...), 1},
	} {
		spent, gaps := spend(c.data, showcause.Limits{Work: 400_000_000})
		limited := false
		for _, g := range gaps {
			limited = limited || g.Code == showcause.LimitWork
		}
		if !limited || spent.Objects > c.most {
			t.Errorf("%s: %d objects, %d steps, limit.work %v", name, spent.Objects, spent.Work, limited)
		}
	}
}

// Large ordinary archives are far from the limit.
func TestOrdinaryWork(t *testing.T) {
	text := strings.Repeat("hello world ", 30)
	const n = 99_000
	for name, b := range map[string][]byte{
		"stored":  rawZip(t, n, 0, "line\n"+text, "line\n"+text),
		"deflate": rawZip(t, n, 8, "\xcb\x48\xcd\xc9\xc9\x57\x28\xcf\x2f\xca\x49\x51\xc8\x18\x65\xd3\x8c\x0d\x00", text),
		"zstd":    rawZip(t, n, 93, "\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello", "hello"),
	} {
		spent, gaps := spend(b, showcause.Limits{})
		if spent.Objects != n || spent.Work > 1_500_000_000 {
			t.Errorf("%s: %+v", name, spent)
		}
		if len(gaps) > 0 {
			t.Errorf("%s: %d gaps, first %+v", name, len(gaps), gaps[0])
		}
	}
}

package stream

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	kzstd "github.com/klauspost/compress/zstd"
	plz4 "github.com/pierrec/lz4/v4"
	uxz "github.com/ulikunitz/xz"
	ulzma "github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// marker is the string that hostile samples hide.
const marker = "SHOWCAUSE-ACCEPTANCE-MARKER-7f3a91c2d4"

// payload is some padding and then the marker.
func payload() []byte {
	return append([]byte(strings.Repeat("padding that compresses; ", 8)), marker...)
}

func gz(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = "name.txt"
	w.Write(data)
	check(t, w.Close())
	return b.Bytes()
}

func xzed(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w, err := uxz.NewWriter(&b)
	check(t, err)
	w.Write(data)
	check(t, w.Close())
	return b.Bytes()
}

// lzmaed is a .lzma file; with size or with an end mark, or with both.
func lzmaed(t testing.TB, data []byte, size, mark bool) []byte {
	var b bytes.Buffer
	c := ulzma.WriterConfig{DictCap: 1 << 16, EOSMarker: mark}
	if size {
		c.SizeInHeader, c.Size = true, int64(len(data))
	}
	w, err := c.NewWriter(&b)
	check(t, err)
	w.Write(data)
	check(t, w.Close())
	return b.Bytes()
}

func zst(t testing.TB, data []byte, o ...kzstd.EOption) []byte {
	w, err := kzstd.NewWriter(nil, append(o, kzstd.WithEncoderConcurrency(1))...)
	check(t, err)
	return w.EncodeAll(data, nil)
}

func lz4ed(t testing.TB, data []byte, o ...plz4.Option) []byte {
	var b bytes.Buffer
	w := plz4.NewWriter(&b)
	check(t, w.Apply(o...))
	w.Write(data)
	check(t, w.Close())
	return b.Bytes()
}

// bz is payload() as bzip2 -9 writes it: the standard library has no writer.
func bz(t testing.TB) []byte {
	b, err := base64.StdEncoding.DecodeString(bzSample)
	check(t, err)
	return b
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// codecs are the formats of one stream and a file of payload() for each.
func codecs(t testing.TB) map[string]struct {
	f    unpack.Format
	file []byte
} {
	type c = struct {
		f    unpack.Format
		file []byte
	}
	return map[string]c{
		"gzip":       {Gzip(), gz(t, payload())},
		"bzip2":      {Bzip2(), bz(t)},
		"xz":         {Xz(), xzed(t, payload())},
		"lzma":       {LZMA(), lzmaed(t, payload(), true, false)},
		"lzma mark":  {LZMA(), lzmaed(t, payload(), false, true)},
		"lzma both":  {LZMA(), lzmaed(t, payload(), true, true)},
		"zstd":       {Zstd(), zst(t, payload())},
		"zstd nosum": {Zstd(), zst(t, payload(), kzstd.WithEncoderCRC(false))},
		"lz4":        {LZ4(), lz4ed(t, payload())},
		"lz4 legacy": {LZ4(), lz4ed(t, payload(), plz4.LegacyOption(true))},
		"lz4 size":   {LZ4(), lz4ed(t, payload(), plz4.SizeOption(uint64(len(payload()))), plz4.BlockChecksumOption(true))},
	}
}

// one expects exactly one child, with the content.
func one(t *testing.T, r unpacktest.Result, want []byte) {
	t.Helper()
	if len(r.Children) != 1 || !bytes.Equal(r.Children[0].Data, want[:min(len(want), unpacktest.KeepSize)]) || r.Children[0].Size != int64(len(want)) {
		t.Fatalf("want one child of %d bytes, got:\n%s", len(want), r)
	}
}

func TestStreams(t *testing.T) {
	for name, c := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			r := unpacktest.Walk(t, c.f, c.file, showcause.Limits{})
			one(t, r, payload())
			if len(r.Gaps) > 0 {
				t.Errorf("gaps in an ordinary file:\n%s", r)
			}
			// Zeros behind it are padding.
			r = unpacktest.Walk(t, c.f, cat(c.file, make([]byte, 1024)), showcause.Limits{})
			one(t, r, payload())
			if len(r.Gaps) > 0 {
				t.Errorf("gaps with padding:\n%s", r)
			}
			// Junk behind it costs nothing of it, and is said.
			for _, junk := range []string{"j", "junk", "BZjunk behind a stream, which is no stream by itself"} {
				r = unpacktest.Walk(t, c.f, cat(c.file, []byte(junk)), showcause.Limits{})
				if !r.Contains(marker) || !r.Has(showcause.Corrupt) {
					t.Errorf("junk %q:\n%s", junk, r)
				}
			}
		})
	}
}

func TestStreamsConform(t *testing.T) {
	for name, c := range codecs(t) {
		t.Run(name, func(t *testing.T) {
			unpacktest.ConformWhole(t, c.f, map[string][]byte{"payload": c.file, "two": cat(c.file, c.file)[:len(c.file)*joined(c.f)]},
				func(cut []byte) bool { return len(cut) == len(c.file) || c.f.Name == "lz4" && legacyEnd(cut) })
		})
	}
}

// joined is how many streams a file of the format may hold, 2 for many.
func joined(f unpack.Format) int {
	if f.Name == "lzma" {
		return 1
	}
	return 2
}

// legacyEnd tells whether cut ends where a block of the legacy format does,
// which has no end mark.
func legacyEnd(cut []byte) bool {
	if !bytes.HasPrefix(cut, lz4Legacy) {
		return false
	}
	_, err := io.Copy(io.Discard, plz4.NewReader(bytes.NewReader(cut)))
	return err == nil
}

// Streams joined end to end are one file, as the ordinary tools have it.
func TestJoined(t *testing.T) {
	for name, c := range codecs(t) {
		if joined(c.f) < 2 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := unpacktest.Walk(t, c.f, cat(c.file, c.file, c.file), showcause.Limits{})
			if want := cat(payload(), payload(), payload()); len(r.Children) == 0 || !bytes.Equal(r.Children[0].Data, want) || len(r.Gaps) > 0 {
				t.Fatalf("%s", r)
			}
			// With junk between, the rest is found.
			r = unpacktest.Walk(t, c.f, cat(c.file, []byte(strings.Repeat("junk", 5000)), c.file), showcause.Limits{})
			if name != "lz4 legacy" && len(r.Children) != 2 || !r.Has(showcause.Corrupt) {
				t.Fatalf("junk between: %s", r)
			}
		})
	}
}

func TestLargeStreams(t *testing.T) {
	data := unpacktest.Mixed(700_000)
	for name, c := range map[string]struct {
		f    unpack.Format
		file []byte
	}{
		"gzip": {Gzip(), gz(t, data)}, "xz": {Xz(), xzed(t, data)}, "lzma": {LZMA(), lzmaed(t, data, false, true)},
		"zstd": {Zstd(), zst(t, data)}, "lz4": {LZ4(), lz4ed(t, data)}, "zstd window": {Zstd(), zst(t, data, kzstd.WithWindowSize(1<<17))},
		"lz4 legacy": {LZ4(), lz4ed(t, data, plz4.LegacyOption(true))},
	} {
		t.Run(name, func(t *testing.T) {
			r := unpacktest.Walk(t, c.f, c.file, showcause.Limits{})
			one(t, r, data)
			if len(r.Gaps) > 0 {
				t.Errorf("%s", r)
			}
		})
	}
}

// A member cut by the size limit does not hide what follows.
func TestGzipAfterSizeLimit(t *testing.T) {
	file := cat(gz(t, make([]byte, 1<<20)), []byte("junk"), gz(t, payload()))
	r := unpacktest.Walk(t, Gzip(), file, showcause.Limits{FileSize: 1000})
	if !r.Has(showcause.LimitSize) || !r.Contains(marker) {
		t.Fatalf("%s", r)
	}
}

// gzip reads its old magic, in front and in a member that follows.
func TestGzipOldMagic(t *testing.T) {
	old := gz(t, payload())
	old[1] = 0x9e
	if !Gzip().Match(unpacktest.Probe(showcause.Bytes(old))) {
		t.Error("no match")
	}
	one(t, unpacktest.Walk(t, Gzip(), old, showcause.Limits{}), payload())
	r := unpacktest.Walk(t, Gzip(), cat(gz(t, []byte("first ")), old), showcause.Limits{})
	if len(r.Children) == 0 || string(r.Children[0].Data) != "first "+string(payload()) || len(r.Gaps) > 0 {
		t.Errorf("%s", r)
	}
}

func TestGzipHeader(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "a\x01b", "comment", bytes.Repeat([]byte("extra"), 12000)
	w.Write(payload())
	check(t, w.Close())
	r := unpacktest.Walk(t, Gzip(), b.Bytes(), showcause.Limits{})
	one(t, r, payload())
	if r.Children[0].Name != "a\x01b" || len(r.Gaps) > 0 {
		t.Errorf("%s", r)
	}
	// A header's own checksum is there to be skipped.
	raw := gz(t, payload())
	raw[3] |= gzipHeaderCRC
	at := bytes.IndexByte(raw[10:], 0) + 11
	one(t, unpacktest.Walk(t, Gzip(), cat(raw[:at], []byte{1, 2}, raw[at:]), showcause.Limits{}), payload())
}

// A wrong checksum is said, and the content is there all the same.
func TestWrongChecksum(t *testing.T) {
	for name, at := range map[string]int{"gzip": -8, "zstd": -1, "lz4": -1, "xz": 0, "bzip2": 10, "lz4 size": -9} {
		c := codecs(t)[name]
		bad := bytes.Clone(c.file)
		switch {
		case at < 0:
			bad[len(bad)+at] ^= 0xff
		case name == "xz": // the block's check stands before the index, which is found from behind
			back := int(binary.LittleEndian.Uint32(bad[len(bad)-8:])+1) * 4
			bad[len(bad)-12-back-1] ^= 0xff
		default:
			bad[at] ^= 0xff
		}
		r := unpacktest.Walk(t, c.f, bad, showcause.Limits{})
		if !r.Contains(marker) || !r.Has(showcause.Corrupt) {
			t.Errorf("%s:\n%s", name, r)
		}
	}
}

// What a header claims is not allocated.
func TestClaimsAreNotAllocated(t *testing.T) {
	xz := xzed(t, payload())
	big := bytes.Clone(xz)
	h := int(big[12]+1) * 4
	i := bytes.IndexByte(big[14:12+h], 0x21) + 14
	big[i+2] = 37 // 1.5 GiB
	binary.LittleEndian.PutUint32(big[12+h-4:], crc32.ChecksumIEEE(big[12:12+h-4]))
	lz := lzmaed(t, payload(), false, true)
	binary.LittleEndian.PutUint32(lz[1:], 3<<29)
	zs := zst(t, payload(), kzstd.WithSingleSegment(true))
	wide := cat(zstdMagic, []byte{0, 21 << 3, 1, 0, 0}) // window of 2 GiB, an empty last raw block
	rle := cat(zstdMagic, []byte{0xa0}, []byte{0, 0, 0, 0xff}, []byte{1<<1 | 1, 0, 0x10, 'x'})
	lf := cat(lz4Magic, []byte{0x60, 0x70, 0x73}, []byte{0, 0, 0x40, 0}, []byte("short"))
	for name, c := range map[string]struct {
		f    unpack.Format
		file []byte
		want string
	}{
		"xz": {Xz(), big, marker}, "lzma": {LZMA(), lz, marker}, "zstd": {Zstd(), zs, marker},
		"zstd window": {Zstd(), wide, ""}, "zstd size": {Zstd(), rle, ""}, "lz4": {LZ4(), lf, ""},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := unpacktest.Walk(t, c.f, c.file, showcause.Limits{})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 24<<20 {
			t.Errorf("%s: %d MiB allocated", name, n>>20)
		}
		if !r.Contains(c.want) {
			t.Errorf("%s:\n%s", name, r)
		}
	}
}

// Bombs end at a limit, which is said, and in bounded memory.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 1<<20)
	var g bytes.Buffer
	w, _ := gzip.NewWriterLevel(&g, 9)
	for range 300 {
		w.Write(zeros)
	}
	w.Close()
	var x bytes.Buffer
	xw, _ := uxz.NewWriter(&x)
	for range 24 {
		xw.Write(zeros)
	}
	xw.Close()
	// Zstandard: blocks of 128 KiB that are one byte each.
	z := cat(zstdMagic, []byte{0, 10 << 3})
	for range 4096 {
		z = append(z, 1<<1, 0, 0x10, 0)
	}
	z = append(z, 1, 0, 0)
	for name, c := range map[string]struct {
		f    unpack.Format
		file []byte
		code showcause.Code
		l    showcause.Limits
	}{
		"gzip": {Gzip(), g.Bytes(), showcause.LimitSize, showcause.Limits{ScanSize: 20 << 20}},
		"xz":   {Xz(), x.Bytes(), showcause.LimitSize, showcause.Limits{ScanSize: 20 << 20}},
		"zstd": {Zstd(), z, showcause.LimitRatio, showcause.Limits{}},
	} {
		r := unpacktest.Walk(t, c.f, c.file, c.l)
		if !r.Has(c.code) || len(r.Children) != 1 {
			t.Errorf("%s:\n%s", name, r)
		}
	}
}

// The marker behind much that is nothing.
func TestMarkerAfterZeros(t *testing.T) {
	var g bytes.Buffer
	w, _ := gzip.NewWriterLevel(&g, 9)
	zeros := make([]byte, 1<<20)
	for range 100 {
		w.Write(zeros)
	}
	w.Write([]byte(marker))
	w.Close()
	found := false
	b := unpack.NewBudget(showcause.Limits{}, int64(g.Len()), func() (unpack.File, error) {
		return os.CreateTemp(t.TempDir(), "spill")
	})
	Gzip().Walk(showcause.Bytes(g.Bytes()), unpack.NewOut(b, nil, func(l showcause.Layer) {
		p := make([]byte, len(marker))
		l.Source.ReadAt(p, 100<<20)
		found = string(p) == marker
	}, func(g showcause.Gap) { t.Errorf("gap %+v", g) }))
	if !found {
		t.Error("marker not found")
	}
}

func TestZstdFrames(t *testing.T) {
	skip := []byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'}
	file := cat(skip, skip, zst(t, []byte("one ")), skip, zst(t, payload()), skip)
	if !Zstd().Match(unpacktest.Probe(showcause.Bytes(file))) {
		t.Error("no match behind skippable frames")
	}
	r := unpacktest.Walk(t, Zstd(), file, showcause.Limits{})
	one(t, r, cat([]byte("one "), payload()))
	if len(r.Gaps) > 0 {
		t.Errorf("%s", r)
	}
	dict := cat(zstdMagic, []byte{3, 0x50, 9, 9, 9, 9, 1, 0, 0})
	if r := unpacktest.Walk(t, Zstd(), dict, showcause.Limits{}); !r.Has(showcause.Unsupported) {
		t.Errorf("dictionary:\n%s", r)
	}
	// A window that cannot be held, and content that needs it.
	big := cat(zstdMagic, []byte{0, 18 << 3})
	for range 1100 {
		big = append(big, 1<<1, 0, 0x10, 0)
	}
	big = append(big, 1, 0, 0)
	if r := unpacktest.Walk(t, Zstd(), big, showcause.Limits{}); !r.Has(showcause.LimitSize) {
		t.Errorf("window:\n%s", r)
	}
}

func TestLZ4Expand(t *testing.T) {
	for n := range 300 {
		data := unpacktest.Mixed(n * 37)
		block := make([]byte, plz4.CompressBlockBound(len(data)))
		m, err := plz4.CompressBlock(data, block, nil)
		check(t, err)
		if m == 0 {
			continue
		}
		got, err := lz4Expand(nil, block[:m], len(data))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		cut, err := lz4Expand(nil, block[:m-1], len(data))
		if err == nil || !bytes.HasPrefix(data, cut) {
			t.Fatalf("%d bytes, cut: %v", len(data), err)
		}
	}
}

func TestXXHash(t *testing.T) {
	for in, want := range map[string]uint32{
		"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		for cut := range len(in) + 1 {
			a := newXXH32()
			a.write([]byte(in[:cut]))
			a.write([]byte(in[cut:]))
			if a.sum() != want {
				t.Errorf("%q: %08x", in, a.sum())
			}
		}
	}
}

// dict gives a .lzma file another size of the dictionary.
func dict(n uint32, b []byte) []byte {
	binary.LittleEndian.PutUint32(b[1:], n)
	return b
}

// A dictionary smaller than encoders write is read as the least one.
func TestLZMASmallDictionary(t *testing.T) {
	for _, n := range []uint32{0, 1, 2, 3, 2048, 3072} {
		one(t, unpacktest.Walk(t, LZMA(), dict(n, lzmaed(t, payload(), false, true)), showcause.Limits{}), payload())
	}
}

// A header of which one field lies is read by the others.
func TestLZMALies(t *testing.T) {
	for name, edit := range map[string]func([]byte){
		"a size of 2^62":          func(b []byte) { copy(b[5:], "\x00\x00\x00\x00\x00\x00\x00\x40") },
		"a size of 2^38 and more": func(b []byte) { copy(b[5:], "\x05\x00\x00\x00\x40\x00\x00\x00") },
		"a negative size":         func(b []byte) { copy(b[5:], "\x00\x00\x00\x00\x00\x00\x00\x80") },
		"properties 225":          func(b []byte) { b[0] = 225 },
		"properties 255":          func(b []byte) { b[0] = 255 },
	} {
		b := lzmaed(t, payload(), false, true)
		edit(b)
		if !LZMA().Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Errorf("%s: no match", name)
			continue
		}
		r := unpacktest.Walk(t, LZMA(), b, showcause.Limits{})
		one(t, r, payload())
		if b[0] != usualProps && !r.Has(showcause.Corrupt) { // the end mark ends what has too large a size
			t.Errorf("%s: %s", name, r)
		}
	}
}

func TestLZMAMatch(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"text":                 {[]byte("]0000000000000 this begins with the usual byte"), false},
		"zeros":                {make([]byte, 100), false},
		"bad size":             {cat([]byte{0x5d, 0, 0, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3}), false},
		"bad dict":             {cat([]byte{0x5d, 1, 2, 3, 4, 255, 255, 255, 255, 255, 255, 255, 255, 0, 1, 2, 3}), false},
		"first byte":           {cat([]byte{0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1, 2, 3}), false},
		"random":               {cat([]byte{0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0}, bytes.Repeat([]byte{0xd7, 0x31, 0x99}, 300)), false},
		"real":                 {lzmaed(t, payload(), false, true), true},
		"small":                {dict(2048, lzmaed(t, payload(), false, true)), true},
		"smallest":             {dict(1, lzmaed(t, payload(), true, false)), true},
		"none":                 {dict(0, lzmaed(t, payload(), true, false)), true},
		"small, and zeros":     {cat([]byte{1, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 600)), false},
		"small, and no more":   {[]byte{1, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2}, false},
		"small, and no stream": {cat([]byte{1, 1, 0, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xd7, 0x31, 0x99}, 300)), false},
	} {
		if got := LZMA().Match(unpacktest.Probe(showcause.Bytes(c.data))); got != c.want {
			t.Errorf("%s: Match = %v", name, got)
		}
	}
}

// A source that fails in the middle is a gap, not an end.
type failing struct{ showcause.Bytes }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	half := int64(len(f.Bytes) / 2)
	if off+int64(len(p)) > half {
		if off >= half {
			return 0, errors.New("disk error")
		}
		p = p[:half-off]
	}
	n, err := f.Bytes.ReadAt(p, off)
	if err == nil && off+int64(n) == half {
		err = errors.New("disk error")
	}
	return n, err
}

func TestFailingSource(t *testing.T) {
	for name, c := range codecs(t) {
		if r := unpacktest.WalkSource(t, c.f, failing{c.file}, showcause.Limits{}); !r.Unread() {
			t.Errorf("%s:\n%s", name, r)
		}
	}
}

func TestToolStreams(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	program, err := os.ReadFile(self)
	check(t, err)
	program = program[min(len(program), 1<<20):min(len(program), 1<<20+600_000)] // code, for the branch filters
	for _, line := range []string{
		"gzip -c", "gzip -9 -c", "bzip2 -c", "bzip2 -1 -c", "xz -c", "xz -0 -c", "xz -e -c", "xz -c --check=none", "xz -c --check=crc32", "xz -c --check=sha256",
		"xz -c -T2 --block-size=100000", "xz -c --x86 --lzma2=dict=64KiB", "xz -c --arm --lzma2", "xz -c --armthumb --lzma2", "xz -c --arm64 --lzma2",
		"xz -c --powerpc --lzma2", "xz -c --sparc --lzma2", "xz -c --delta=dist=4 --lzma2", "xz -c --delta=dist=256 --lzma2", "xz -c --x86=start=4096 --delta=dist=1 --lzma2=lc=1,lp=2,pb=0",
		"xz -c --format=lzma", "zstd -c", "zstd -19 -c", "zstd --long=27 -c", "zstd -c --no-check", "lz4 -c", "lz4 -9 -c -BD", "lz4 -l -c", "lz4 -c -B4 -BX --content-size",
	} {
		for name, data := range map[string][]byte{"program": program, "mixed": unpacktest.Mixed(300_000), "empty": nil} {
			t.Run(line+" "+name, func(t *testing.T) {
				args := strings.Fields(line)
				file := unpacktest.Tool(t, data, args[0], args[1:]...)
				f := map[string]func() unpack.Format{"gzip": Gzip, "bzip2": Bzip2, "xz": Xz, "zstd": Zstd, "lz4": LZ4}[args[0]]()
				if strings.Contains(line, "lzma") && strings.Contains(line, "format") {
					f = LZMA()
				}
				if !f.Match(unpacktest.Probe(showcause.Bytes(file))) {
					t.Fatal("no match")
				}
				r := unpacktest.Walk(t, f, file, showcause.Limits{})
				if len(data) > 0 || len(r.Children) > 0 {
					one(t, r, data)
					if len(data) > 0 && len(r.Children) > 0 && r.Children[0].Digest != digest(data) {
						t.Error("content differs")
					}
				}
				if len(r.Gaps) > 0 {
					t.Errorf("gaps in an ordinary file:\n%s", r)
				}
			})
		}
	}
}

func FuzzGzip(f *testing.F) {
	unpacktest.Fuzz(f, Gzip(), gz(f, payload()), cat(gz(f, payload()), gz(f, nil), []byte("junk"), gz(f, []byte("x"))))
}
func FuzzBzip2(f *testing.F) { unpacktest.Fuzz(f, Bzip2(), bz(f), cat(bz(f), bz(f), []byte("x"))) }
func FuzzXz(f *testing.F) {
	unpacktest.Fuzz(f, Xz(), xzed(f, payload()), cat(xzed(f, nil), xzed(f, payload())))
}

func FuzzLZMA(f *testing.F) {
	unpacktest.Fuzz(f, LZMA(), lzmaed(f, payload(), true, false), lzmaed(f, payload(), false, true))
}

func FuzzZstd(f *testing.F) {
	unpacktest.Fuzz(f, Zstd(), zst(f, payload()), zst(f, unpacktest.Mixed(3000)))
}

func FuzzLZ4(f *testing.F) {
	unpacktest.Fuzz(f, LZ4(), lz4ed(f, payload()), lz4ed(f, payload(), plz4.LegacyOption(true)), lz4ed(f, unpacktest.Mixed(3000)))
}

func digest(b []byte) [32]byte { return sha256.Sum256(b) }

// bzSample is payload() compressed, in base64.
const bzSample = "QlpoOTFBWSZTWev54A8AAFqfgEACPKgqS96AL+PcACAAaDUaQAAGh6nlANAqqQZBoyYmmIaPU08k0AA1jFAGVgqNUoSAALfTNX7ORoMrp5DvBK9XL6iID3wGfgYDASEIiAnEhEfRTNN/kOwkOo2CoUDUXckU4UJDr+eAPA=="

// The stream that Office has beside each object begins as LZMA of nothing might.
// A table of colours at even steps, as PDF has them, has a size that no decoder takes and a dictionary that no encoder writes.
func TestLZMAColours(t *testing.T) {
	table := []byte("\x00\x00\x00\x24\x00\x00\x49\x00\x00\x6d\x00\x00\x92\x00\x00\xb6\x00\x00\xdb\x00\x00\xff\x00\x00")
	if LZMA().Match(unpacktest.Probe(showcause.Bytes(table))) {
		t.Error("taken for lzma")
	}
}

func TestLZMAOle(t *testing.T) {
	ole := []byte("\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	if LZMA().Match(unpacktest.Probe(showcause.Bytes(ole))) {
		t.Error("it is taken for LZMA")
	}
	if empty := []byte("\x5d\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x83\xff\xfb\xff"); !LZMA().Match(unpacktest.Probe(showcause.Bytes(empty))) {
		t.Error("a file of nothing is none")
	}
}

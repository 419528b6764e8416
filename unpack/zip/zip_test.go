package zip

import (
	stdzip "archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

const zipTestMarker = "Showcause-Marker-7b1f0c55e9a2-Innermost"

// zipTestPayload is about 200 bytes of padding, then the marker.
var zipTestPayload = []byte(strings.Repeat("padding that deflates well, ", 7) + zipTestMarker)

// zipTestLog is what walks of a layer, of zip alone, came to.
type zipTestLog struct {
	found    bool // the marker stands in a derived layer
	raw      bool // or in the input itself
	children []string
	gaps     []showcause.Gap
	spent    showcause.Spent
}

func (l *zipTestLog) has(code showcause.Code) bool {
	return slices.ContainsFunc(l.gaps, func(g showcause.Gap) bool { return g.Code == code })
}

func (l *zipTestLog) codes() string {
	m := map[string]bool{}
	for _, g := range l.gaps {
		m[string(g.Code)] = true
	}
	var s []string
	for c := range m {
		s = append(s, c)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

func (l *zipTestLog) unread() bool {
	return slices.ContainsFunc(l.gaps, func(g showcause.Gap) bool { return g.Code.Unread() })
}

func zipTestScan(t testing.TB, src showcause.Source, limits showcause.Limits) *zipTestLog {
	t.Helper()
	log := &zipTestLog{}
	b := unpack.NewBudget(limits, src.Size(), func() (unpack.File, error) {
		return os.CreateTemp(t.TempDir(), "")
	})
	var visit func(l showcause.Layer)
	visit = func(l showcause.Layer) {
		found, sum := zipTestRead(l.Source)
		if len(l.Trail) == 0 {
			log.raw = found
		} else {
			log.found = log.found || found
			log.children = append(log.children, fmt.Sprintf("%s %d %s %s", l.Trail.String(), l.Source.Size(), l.Trail[len(l.Trail)-1].Op, sum))
		}
		p := &unpack.Probe{Head: bound.Head(l.Source, unpack.HeadSize), Source: l.Source}
		if f := Format(); f.Match(p) {
			f.Walk(l.Source, unpack.NewOut(b, l.Trail, visit, func(g showcause.Gap) { log.gaps = append(log.gaps, g) }))
		}
	}
	visit(showcause.Layer{Source: src})
	log.spent = b.Spent
	return log
}

// zipTestRead looks for the marker and sums the content.
func zipTestRead(src showcause.Source) (bool, string) {
	h := sha256.New()
	found := false
	buf := make([]byte, min(src.Size(), 1<<20)+int64(len(zipTestMarker)))
	keep := 0
	for off := int64(0); off < src.Size(); {
		n, err := src.ReadAt(buf[keep:], off)
		if n == 0 && err != nil {
			break
		}
		h.Write(buf[keep : keep+n])
		off += int64(n)
		all := buf[:keep+n]
		found = found || bytes.Contains(all, []byte(zipTestMarker))
		keep = copy(buf, all[max(0, len(all)-len(zipTestMarker)):])
	}
	return found, hex.EncodeToString(h.Sum(nil)[:6])
}

// zipTestHead is a local header or a directory record to be written.
type zipTestHead struct {
	flags, method uint16
	crc           uint32
	packed, size  uint64
	name          string
	extra         []byte
	offset        uint64
	disk          uint16
}

// zipTestEntry is one member to be written: packed bytes and what the headers say.
type zipTestEntry struct {
	data           []byte
	local, central zipTestHead
	tail           []byte // data descriptor
	noCentral      bool
}

func zipTestDeflate(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

// zipTestMake returns an honest member: content packed by the method's data.
func zipTestMake(name string, method uint16, data, content []byte) zipTestEntry {
	h := zipTestHead{method: method, crc: crc32.ChecksumIEEE(content), packed: uint64(len(data)), size: uint64(len(content)), name: name}
	return zipTestEntry{data: data, local: h, central: h}
}

func zipTestDeflated(name string, content []byte) zipTestEntry {
	return zipTestMake(name, zipDeflate, zipTestDeflate(content), content)
}

func zipTestStored(name string, content []byte) zipTestEntry {
	return zipTestMake(name, zipStored, content, content)
}

func (h *zipTestHead) local() []byte {
	b := []byte(zipSigLocal)
	le := binary.LittleEndian
	b = le.AppendUint16(b, 20)
	b = le.AppendUint16(b, h.flags)
	b = le.AppendUint16(b, h.method)
	b = le.AppendUint32(b, 0x58a10000)
	b = le.AppendUint32(b, h.crc)
	b = le.AppendUint32(b, uint32(h.packed))
	b = le.AppendUint32(b, uint32(h.size))
	b = le.AppendUint16(b, uint16(len(h.name)))
	b = le.AppendUint16(b, uint16(len(h.extra)))
	return append(append(b, h.name...), h.extra...)
}

func (h *zipTestHead) record(off int) []byte {
	b := []byte(zipSigRecord)
	le := binary.LittleEndian
	b = le.AppendUint16(b, 0x031e)
	b = le.AppendUint16(b, 20)
	b = le.AppendUint16(b, h.flags)
	b = le.AppendUint16(b, h.method)
	b = le.AppendUint32(b, 0x58a10000)
	b = le.AppendUint32(b, h.crc)
	b = le.AppendUint32(b, uint32(h.packed))
	b = le.AppendUint32(b, uint32(h.size))
	b = le.AppendUint16(b, uint16(len(h.name)))
	b = le.AppendUint16(b, uint16(len(h.extra)))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, h.disk)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(off)+uint32(h.offset))
	return append(append(b, h.name...), h.extra...)
}

func zipTestEOCD(count, size, offset int, comment string) []byte {
	b := []byte(zipSigEnd)
	le := binary.LittleEndian
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, uint16(count))
	b = le.AppendUint16(b, uint16(count))
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, uint32(offset))
	b = le.AppendUint16(b, uint16(len(comment)))
	return append(b, comment...)
}

func zipTestBuild(entries ...zipTestEntry) []byte {
	var b, cd []byte
	n := 0
	for _, e := range entries {
		if !e.noCentral {
			cd = append(cd, e.central.record(len(b))...)
			n++
		}
		b = append(b, e.local.local()...)
		b = append(append(b, e.data...), e.tail...)
	}
	at := len(b)
	return append(append(b, cd...), zipTestEOCD(n, len(cd), at, "")...)
}

func zipTestRandom(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// zipTestCipher is the traditional encryption of APPNOTE.TXT, section 6.1.
func zipTestCipher(password string, p []byte, crc uint32) []byte {
	k := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	step := func(k *[3]uint32, c byte) {
		k[0] = crc32.IEEETable[byte(k[0])^c] ^ k[0]>>8
		k[1] = (k[1]+k[0]&0xff)*134775813 + 1
		k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
	}
	for i := range password {
		step(&k, password[i])
	}
	head := append(zipTestRandom(7, 11), byte(crc>>24))
	var out []byte
	for _, c := range append(head, p...) {
		t := uint16(k[2]) | 2
		out = append(out, c^byte(t*(t^1)>>8))
		step(&k, c)
	}
	return out
}

type zipTestCase struct {
	name string
	data []byte
	want string // codes of the gaps, sorted
}

// zipTestHostile are the zips of the acceptance suite; the marker is to be found in each.
func zipTestHostile() []zipTestCase {
	P := zipTestPayload
	D := zipTestDeflate(P)
	crc := crc32.ChecksumIEEE(P)
	evil := zipTestDeflated("evil", P)
	good := zipTestDeflated("good", []byte("nothing to see here, nothing to see here"))
	var cs []zipTestCase
	add := func(name, want string, data []byte) { cs = append(cs, zipTestCase{name, data, want}) }

	n := uint64(len(D))
	zombie := zipTestHead{crc: crc, packed: n, size: n, name: "zombie"}
	add("zombie", "ambiguous.zip.method", zipTestBuild(zipTestEntry{data: D, local: zombie, central: zombie}))
	honest := zombie
	honest.crc = crc32.ChecksumIEEE(D)
	add("zombie with the stored CRC", "ambiguous.zip.method", zipTestBuild(zipTestEntry{data: D, local: honest, central: honest}))

	for i := range 3 {
		in := zipTestDeflate(D)
		for range i {
			in = zipTestDeflate(in)
		}
		n := uint64(len(in))
		h := zipTestHead{crc: crc, packed: n, size: n, name: "zombie"}
		add(fmt.Sprintf("zombie in zombie, %d", i), "ambiguous.zip.method", zipTestBuild(zipTestEntry{data: in, local: h, central: h}))
	}

	e := evil
	e.local.method, e.local.size = 0, n
	add("method: local stored", "ambiguous.zip.method ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.method, e.central.size = 0, n
	add("method: central stored", "ambiguous.zip.method ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.method = zipBzip2
	add("method: central bzip2", "ambiguous.zip.method", zipTestBuild(e))
	e.local.method, e.central.method = 77, 77
	add("method: both unknown", "ambiguous.zip.method", zipTestBuild(e))
	e.local.method, e.central.method = zipDeflate64, zipDeflate64
	e.data = D
	add("method: deflate64 of short matches", "", zipTestBuild(e))

	e = evil
	e.local.packed, e.local.size = 0, 0
	add("sizes: local 0", "ambiguous.zip.size", zipTestBuild(e))
	e.local.crc = 0
	add("sizes and CRC: local 0", "ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.packed, e.central.size = 0, 0
	add("sizes: central 0", "ambiguous.zip.size", zipTestBuild(e))
	e.local.packed, e.local.size = 0, 0
	add("sizes: both 0", "ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.size, e.local.size = 100, 100
	add("sizes: both too small", "ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.packed, e.local.packed = 10, 10
	add("sizes: both packed too small", "ambiguous.zip.size corrupt", zipTestBuild(e))
	e = evil
	e.local.packed = 10
	add("sizes: local packed too small", "ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.size, e.local.size = 1<<31, 1<<31
	add("sizes: both too great", "ambiguous.zip.size", zipTestBuild(e))
	e = evil
	e.central.packed, e.local.packed = 1<<31, 1<<31
	add("sizes: both packed too great", "corrupt", zipTestBuild(e, good))
	e = evil
	e.central.packed = n + 40
	e.data = append(slices.Clone(D), make([]byte, 40)...)
	add("slack after the stream", "ambiguous.zip.size", zipTestBuild(e))
	e.local.packed = n + 40
	add("slack after the stream, both", "corrupt", zipTestBuild(e))
	e = evil
	e.central.crc++
	e.local.crc++
	add("bad CRC", "corrupt", zipTestBuild(e))

	e = evil
	e.local.name = "honest.txt"
	add("name differs", "ambiguous.zip.name", zipTestBuild(e))
	e.local.name = "live"
	add("name differs, same length", "ambiguous.zip.name", zipTestBuild(e))
	for _, name := range []string{"../../../../etc/x", "/abs", "a\x00b", strings.Repeat("a\x01b", 2000), "\xff\xfe", "\u202egpj.exe", "x\r\ny \x1b[31m", strings.Repeat("n", 65535), ""} {
		e = zipTestDeflated(name, P)
		add(fmt.Sprintf("odd name %.8q", name), "", zipTestBuild(e))
	}

	e = evil
	e.noCentral = true
	add("entry only local", "ambiguous.zip.entry", zipTestBuild(good, e, good))
	add("entry only local, first", "ambiguous.zip.entry", zipTestBuild(e, good))
	add("entry only local, last", "ambiguous.zip.entry", zipTestBuild(good, e))
	e.local.flags |= zipFlagDescriptor
	e.local.packed, e.local.size, e.local.crc = 0, 0, 0
	e.tail = binary.LittleEndian.AppendUint32(nil, crc)
	e.tail = binary.LittleEndian.AppendUint32(e.tail, uint32(n))
	e.tail = binary.LittleEndian.AppendUint32(e.tail, uint32(len(P)))
	add("entry only local, streamed", "ambiguous.zip.entry", zipTestBuild(good, e, good))

	e = evil
	e.local.flags |= 1
	e.central.flags |= 1
	add("false encrypted bit", "ambiguous.zip.encryption", zipTestBuild(e))
	e.local.flags = 0
	add("false encrypted bit, central", "ambiguous.zip.encryption", zipTestBuild(e))
	s := zipTestEntry{data: D, local: zombie, central: zombie}
	s.local.flags, s.central.flags = 1, 1
	add("false encrypted bit and method", "ambiguous.zip.encryption ambiguous.zip.method ambiguous.zip.size", zipTestBuild(s))

	junk := zipTestStored("random", zipTestRandom(1, 100_000))
	a, b := zipTestBuild(good), zipTestBuild(evil)
	big1, big2 := zipTestBuild(good, junk), zipTestBuild(evil, junk)
	add("concatenated, second", "ambiguous.zip.directory", slices.Concat(a, b))
	add("concatenated, first", "ambiguous.zip.directory", slices.Concat(b, a))
	add("concatenated, large, second", "ambiguous.zip.directory", slices.Concat(big1, big2))
	add("concatenated, large, first", "ambiguous.zip.directory", slices.Concat(big2, big1))
	add("prepended", "", slices.Concat(make([]byte, 4096), b))
	add("appended", "", slices.Concat(b, make([]byte, 70_000)))
	add("both", "", slices.Concat(make([]byte, 100_000), b, make([]byte, 100_000)))
	for _, p := range []string{"%PDF-1.4\n1 0 obj <<>> endobj\n%%EOF\n", "GIF89a\x01\x00\x01\x00\x00\x00\x00;", "\x7fELF" + strings.Repeat("\x00", 60), "MZ" + strings.Repeat("\x90", 510), "<html></html>\n"} {
		add(fmt.Sprintf("polyglot %.4q", p), "", slices.Concat([]byte(p), b))
	}

	at := len(b) - zipEndLen
	empty := zipTestEOCD(0, 0, 0, "")
	fake := slices.Clone(b[:at])
	fake = append(fake, zipTestEOCD(1, at-bytes.Index(b, []byte(zipSigRecord)), bytes.Index(b, []byte(zipSigRecord)), string(empty))...)
	add("end of directory in the comment", "ambiguous.zip.directory", fake)
	add("second end of directory", "ambiguous.zip.directory", slices.Concat(b, empty))
	wild := zipTestEOCD(1, 50, 1<<20, "")
	add("second end that leads nowhere", "ambiguous.zip.directory", slices.Concat(b, wild))
	add("Zip64 conflict", "ambiguous.zip.directory", zipTestConflict(good, evil))
	add("Zip64 conflict, other", "ambiguous.zip.directory", zipTestConflict(evil, good))
	add("no directory", "corrupt", b[:bytes.Index(b, []byte(zipSigRecord))])
	split := slices.Clone(b)
	split[at+4] = 3
	add("disk number", "ambiguous.zip.directory", split)

	nest := zipTestBuild(good, evil)
	add("stored in stored", "", zipTestBuild(zipTestStored("in.zip", nest), good))
	add("stored in stored, last", "", zipTestBuild(good, zipTestStored("in.zip", zipTestBuild(zipTestStored("x.jar", nest)))))
	add("full overlap", "ambiguous.zip.overlap", zipTestOverlap(evil, 5000))
	return cs
}

// zipTestConflict returns a file with two members and two directories: the end
// record leads to that of a, the Zip64 record to that of b.
func zipTestConflict(a, b zipTestEntry) []byte {
	out := append(a.local.local(), a.data...)
	bAt := len(out)
	out = append(append(out, b.local.local()...), b.data...)
	cdA := len(out)
	out = append(out, a.central.record(0)...)
	out = append(out, []byte("  ")...)
	cdB := len(out)
	out = append(out, b.central.record(bAt)...)
	end64 := len(out)
	le := binary.LittleEndian
	out = append(out, zipSigEnd64...)
	out = le.AppendUint64(out, 44)
	out = append(out, make([]byte, 12)...)
	out = le.AppendUint64(out, 1)
	out = le.AppendUint64(out, 1)
	out = le.AppendUint64(out, uint64(end64-cdB))
	out = le.AppendUint64(out, uint64(cdB))
	out = append(out, zipSigLocator64...)
	out = le.AppendUint32(out, 0)
	out = le.AppendUint64(out, uint64(end64))
	out = le.AppendUint32(out, 1)
	return append(out, zipTestEOCD(1, cdB-2-cdA, cdA, "")...)
}

// zipTestOverlap returns a file whose directory names one member n times.
func zipTestOverlap(e zipTestEntry, n int) []byte {
	b := append(e.local.local(), e.data...)
	at := len(b)
	for range n {
		b = append(b, e.central.record(0)...)
	}
	return append(b, zipTestEOCD(n, len(b)-at, at, "")...)
}

func TestZipHostile(t *testing.T) {
	for _, c := range zipTestHostile() {
		t.Run(c.name, func(t *testing.T) {
			l := zipTestScan(t, showcause.Bytes(c.data), showcause.Limits{})
			if l.raw {
				t.Fatal("the marker is visible in the input")
			}
			if !l.found {
				t.Errorf("not found; gaps %q, children %q", l.codes(), l.children)
			}
			if got := l.codes(); got != c.want {
				t.Errorf("gaps %q, want %q\n%v\n%q", got, c.want, l.gaps, l.children)
			}
			again := zipTestScan(t, zipTestSource{showcause.Bytes(c.data)}, showcause.Limits{})
			if !slices.Equal(l.children, again.children) || l.codes() != again.codes() {
				t.Errorf("a file gives other children than memory:\n%q\n%q", l.children, again.children)
			}
		})
	}
}

// zipTestSource hides that a source is in memory.
type zipTestSource struct{ showcause.Source }

func TestZipFullOverlapDerivedOnce(t *testing.T) {
	l := zipTestScan(t, showcause.Bytes(zipTestOverlap(zipTestDeflated("evil", zipTestPayload), 5000)), showcause.Limits{})
	if len(l.children) != 1 {
		t.Errorf("%d children, want 1", len(l.children))
	}
}

func TestZipMethods(t *testing.T) {
	P := zipTestPayload
	pack := func(f func(w io.Writer) (io.WriteCloser, error)) []byte {
		var b bytes.Buffer
		w, err := f(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(P)
		w.Close()
		return b.Bytes()
	}
	zst := pack(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	xzd := pack(func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
	alone := pack(func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) })
	sized := pack(func(w io.Writer) (io.WriteCloser, error) {
		return lzma.WriterConfig{SizeInHeader: true, Size: int64(len(P))}.NewWriter(w)
	})
	head := []byte{9, 20, 5, 0}
	eos := zipTestMake("lzma", zipLZMA, slices.Concat(head, alone[:5], alone[13:]), P)
	eos.local.flags, eos.central.flags = 2, 2
	bz, _ := hex.DecodeString(zipTestBzip2)
	hello := []byte("hello from bzip2, hello from bzip2\n")
	for _, c := range []struct {
		name, want string
		e          zipTestEntry
	}{
		{"zstd", "", zipTestMake("z", zipZstd, zst, P)},
		{"old zstd", "", zipTestMake("z", zipZstdOld, zst, P)},
		{"lzma with end marker", "", eos},
		{"lzma without", "", zipTestMake("l", zipLZMA, slices.Concat(head, sized[:5], sized[13:]), P)},
		{"xz", "", zipTestMake("x", zipXZ, xzd, P)},
		{"bzip2", "", zipTestMake("b", zipBzip2, bz, hello)},
		{"shrink", "unsupported.method.shrink", zipTestMake("s", 1, zipTestRandom(5, 90), P)},
		{"jpeg", "unsupported.method.jpeg", zipTestMake("s", 96, zipTestRandom(5, 90), P)},
		{"no xz", "unsupported.method.xz", zipTestMake("s", zipXZ, zipTestRandom(5, 90), P)},
		{"zstd window", "unsupported.method.zstd-window", zipTestMake("w", zipZstd, []byte("\x28\xb5\x2f\xfd\x00\xa8\x0b\x00\x00\x00"), P)},
		{"broken lzma", "corrupt", zipTestMake("l", zipLZMA, slices.Concat(head, []byte{0x5d, 0xff, 0xff, 0xff, 0xff}, zipTestRandom(2, 500)), P)},
	} {
		l := zipTestScan(t, showcause.Bytes(zipTestBuild(c.e)), showcause.Limits{})
		if l.codes() != c.want {
			t.Errorf("%s: gaps %q, want %q", c.name, l.codes(), c.want)
		}
		if c.want == "" && c.name != "xz" && c.name != "bzip2" && !l.found {
			t.Errorf("%s: not found", c.name)
		}
		if c.want == "" && len(l.children) != 1 {
			t.Errorf("%s: children %q", c.name, l.children)
		}
	}
}

// zipTestBzip2 is "hello from bzip2, hello from bzip2\n" by bzip2 -9.
const zipTestBzip2 = "425a68393141592653596578d41200000859800010400410001366d0102000212a69a03d43d42980009470bcf4c088a6588f1b206318cf8bb9229c284832bc6a0900"

func TestZipNesting(t *testing.T) {
	for _, n := range []int{1, 15, 18, 31, 60, 200} {
		b := zipTestPayload
		for i := range n {
			b = zipTestBuild(zipTestDeflated(fmt.Sprintf("%d.zip", i), b))
		}
		l := zipTestScan(t, showcause.Bytes(b), showcause.Limits{})
		if n <= 32 && (!l.found || l.codes() != "") || n > 32 && !l.has(showcause.LimitDepth) {
			t.Errorf("depth %d: found %v, gaps %q", n, l.found, l.codes())
		}
	}
}

// zipTestZeros deflates n zeros and then tail, without holding them.
func zipTestZeros(n int64, tail []byte) zipTestEntry {
	var b bytes.Buffer
	crc := crc32.NewIEEE()
	w, _ := flate.NewWriter(&b, 1)
	both := io.MultiWriter(w, crc)
	zero := make([]byte, 1<<20)
	for left := n; left > 0; left -= int64(len(zero)) {
		both.Write(zero[:min(left, int64(len(zero)))])
	}
	both.Write(tail)
	w.Close()
	h := zipTestHead{method: 8, crc: crc.Sum32(), packed: uint64(b.Len()), size: uint64(n) + uint64(len(tail)), name: "zeros"}
	return zipTestEntry{data: b.Bytes(), local: h, central: h}
}

func TestZipLarge(t *testing.T) {
	// The marker after 120 MiB of zeros.
	l := zipTestScan(t, showcause.Bytes(zipTestBuild(zipTestZeros(120<<20, zipTestPayload))), showcause.Limits{})
	if !l.found || l.codes() != "" {
		t.Errorf("after zeros: found %v, gaps %q", l.found, l.codes())
	}
	// The marker after 5 members of 90 MiB: found, or a limit says why not.
	var es []zipTestEntry
	for i := range 5 {
		e := zipTestZeros(90<<20, zipTestRandom(int64(i), 16))
		es = append(es, e)
	}
	l = zipTestScan(t, showcause.Bytes(zipTestBuild(append(es, zipTestDeflated("m", zipTestPayload))...)), showcause.Limits{})
	if !l.found && !l.unread() {
		t.Errorf("after 5 x 90 MiB: neither found nor a gap")
	}
	l = zipTestScan(t, showcause.Bytes(zipTestBuild(zipTestZeros(300<<20, zipTestPayload))), showcause.Limits{})
	if !l.found && !l.has(showcause.LimitRatio) {
		t.Errorf("bomb: found %v, gaps %q", l.found, l.codes())
	}
}

func TestZipManyMembers(t *testing.T) {
	build := func(n int) []byte {
		es := slices.Repeat([]zipTestEntry{zipTestDeflated("m", []byte("x"))}, n)
		return zipTestBuild(append(es, zipTestDeflated("last", zipTestPayload))...)
	}
	l := zipTestScan(t, showcause.Bytes(build(10_050)), showcause.Limits{})
	if !l.found || l.codes() != "" {
		t.Errorf("10,050: found %v, gaps %q", l.found, l.codes())
	}
	if testing.Short() {
		return
	}
	// A million: one prepared member over and over, for speed.
	one := zipTestDeflated("m", []byte("x"))
	var b, cd []byte
	for range 1_000_000 {
		cd = append(cd, one.central.record(len(b))...)
		b = append(append(b, one.local.local()...), one.data...)
	}
	at := len(b)
	b = append(append(b, cd...), zipTestEOCD(1_000_000&0xffff, len(cd), at, "")...)
	l = zipTestScan(t, showcause.Bytes(b), showcause.Limits{})
	if l.codes() != "limit.objects" || len(l.children) != 100_000 {
		t.Errorf("1,000,000: gaps %q, %d children", l.codes(), len(l.children))
	}
}

// TestZipTree is of the shape of 42.zip: 16 archives in each, four levels deep.
func TestZipTree(t *testing.T) {
	e := zipTestZeros(4<<20, nil)
	for range 4 {
		b := zipTestBuild(slices.Repeat([]zipTestEntry{e}, 16)...)
		e = zipTestDeflated("lib.zip", b)
	}
	l := zipTestScan(t, showcause.Bytes(zipTestBuild(e)), showcause.Limits{})
	if !l.has(showcause.LimitRatio) {
		t.Errorf("gaps %q", l.codes())
	}
}

// TestZipSelf walks a zip that goes on inside its own member.
func TestZipSelf(t *testing.T) {
	e := zipTestStored("self.zip", nil)
	b := zipTestBuild(e)
	// The member's data begin where the record stands: nothing can be exact here, only bounded.
	binary.LittleEndian.PutUint32(b[18:], uint32(len(b)-38))
	binary.LittleEndian.PutUint32(b[22:], uint32(len(b)-38))
	l := zipTestScan(t, showcause.Bytes(b), showcause.Limits{})
	if len(l.gaps) == 0 {
		t.Error("no gap")
	}
}

// TestZipQuoted builds Fifield's quoted overlap: each member's deflate stream
// begins with a stored block that holds the next local header, and runs on
// into that member's data.
func TestZipQuoted(t *testing.T) {
	kernel := zipTestDeflate(bytes.Repeat([]byte("a"), 1<<20))
	const n = 400
	content := bytes.Repeat([]byte("a"), 1<<20)
	crc := crc32.ChecksumIEEE(content)
	heads := make([][]byte, n)
	recs := make([]zipTestHead, n)
	running := kernel
	for i := n - 1; i >= 0; i-- {
		h := zipTestHead{method: 8, crc: crc, packed: uint64(len(running)), size: uint64(len(content)), name: fmt.Sprintf("%04d", i)}
		heads[i], recs[i] = h.local(), h
		if i == 0 {
			break
		}
		quote := append([]byte{0, byte(len(heads[i])), 0, ^byte(len(heads[i])), 0xff}, heads[i]...)
		running = append(quote, running...)
		content = append(slices.Clone(heads[i]), content...)
		crc = crc32.ChecksumIEEE(content)
	}
	b := append(slices.Clone(heads[0]), running...)
	at := len(b)
	off := 0
	for i := range n {
		b = append(b, recs[i].record(off)...)
		off += len(heads[i]) + 5
	}
	b = append(b, zipTestEOCD(n, len(b)-at, at, "")...)
	l := zipTestScan(t, showcause.Bytes(b), showcause.Limits{})
	if !l.has(zipNoteOverlap) || !l.has(showcause.LimitRatio) && !l.has(showcause.LimitWork) {
		t.Errorf("gaps %q", l.codes())
	}
}

func TestZipTruncated(t *testing.T) {
	data := zipTestBuild(zipTestDeflated("a.txt", bytes.Repeat([]byte("first member "), 9)),
		zipTestStored("b.bin", zipTestRandom(4, 80)), zipTestDeflated("c", zipTestPayload), zipTestDeflated("d", []byte("the end")))
	whole := zipTestScan(t, showcause.Bytes(data), showcause.Limits{})
	if whole.codes() != "" || len(whole.children) != 4 {
		t.Fatalf("whole: %q %q", whole.codes(), whole.children)
	}
	c := bytes.Index(data, []byte("c"+string(zipTestDeflate(zipTestPayload))))
	end := c + 1 + len(zipTestDeflate(zipTestPayload))
	for n := range data {
		l := zipTestScan(t, showcause.Bytes(data[:n]), showcause.Limits{})
		if n >= 4 && !l.unread() {
			t.Errorf("cut at %d: no gap; children %q", n, l.children)
		}
		if n >= end && !l.found {
			t.Errorf("cut at %d: marker before the cut not found", n)
		}
		// And from the front: what is left is found by its local headers or by the directory.
		l = zipTestScan(t, showcause.Bytes(data[n:]), showcause.Limits{})
		if n <= c-zipLocalLen && !l.found {
			t.Errorf("front cut at %d: not found, gaps %q", n, l.codes())
		}
		if n > 0 && n <= c-zipLocalLen && len(l.gaps) == 0 {
			t.Errorf("front cut at %d: no gap", n)
		}
	}
}

// TestZipFlipped inverts every byte of an archive: the marker is found or there is a gap.
func TestZipFlipped(t *testing.T) {
	data := zipTestBuild(zipTestDeflated("a.txt", bytes.Repeat([]byte("first member "), 9)), zipTestDeflated("c", zipTestPayload))
	for i := range data {
		for _, x := range []byte{0xff, 1, 0x80} {
			b := slices.Clone(data)
			b[i] ^= x
			if l := zipTestScan(t, showcause.Bytes(b), showcause.Limits{}); !l.found && !l.unread() {
				t.Errorf("byte %d ^ %#x: neither found nor a gap; %q %q", i, x, l.codes(), l.children)
			}
		}
	}
}

func TestZipGoWriter(t *testing.T) {
	var b bytes.Buffer
	w := stdzip.NewWriter(&b)
	w.SetComment("a comment")
	for i := range 20 {
		f, _ := w.CreateHeader(&stdzip.FileHeader{Name: fmt.Sprintf("dir/%d", i), Method: uint16(i % 2 * 8)})
		f.Write(zipTestRandom(int64(i), i*1000))
	}
	w.Create("dir/")
	w.Create("empty")
	w.Close()
	l := zipTestScan(t, showcause.Bytes(b.Bytes()), showcause.Limits{})
	if l.codes() != "" || len(l.children) != 21 {
		t.Errorf("gaps %q; %d children %q", l.codes(), len(l.children), l.children)
	}
}

// zipTestCompare holds what was found against archive/zip.
func zipTestCompare(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skip(err)
	}
	log := zipTestDirect(t, showcause.Bytes(data))
	if log.codes() != "" {
		t.Errorf("%s: gaps %q %v", path, log.codes(), log.gaps[:min(4, len(log.gaps))])
	}
	r, err := stdzip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	var want []string
	for _, f := range r.File {
		if f.Method != 0 && f.Method != 8 {
			return
		}
		rc, err := f.Open()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if len(content) == 0 && strings.HasSuffix(f.Name, "/") {
			continue
		}
		sum := sha256.Sum256(content)
		want = append(want, fmt.Sprintf("%q %d %s", f.Name, len(content), hex.EncodeToString(sum[:6])))
	}
	got := slices.Clone(log.children)
	got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, `/" 0 `) })
	want = slices.DeleteFunc(want, func(s string) bool { return strings.Contains(s, `/" 0 `) })
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d children, want %d", path, len(got), len(want))
	}
}

// zipTestDirect walks one layer and not what is in it.
func zipTestDirect(t testing.TB, src showcause.Source) *zipTestLog {
	log := &zipTestLog{}
	b := unpack.NewBudget(showcause.Limits{Objects: 1 << 20}, src.Size(), func() (unpack.File, error) { return os.CreateTemp(t.TempDir(), "") })
	Format().Walk(src, unpack.NewOut(b, nil, func(l showcause.Layer) {
		_, sum := zipTestRead(l.Source)
		log.children = append(log.children, fmt.Sprintf("%q %d %s", l.Trail[0].Name, l.Source.Size(), sum))
	}, func(g showcause.Gap) { log.gaps = append(log.gaps, g) }))
	return log
}

// TestZipTools makes archives with whatever tools there are: no gap in any,
// and each member once.
func TestZipTools(t *testing.T) {
	dir := t.TempDir()
	names := []string{"text.txt", "random.bin", "zeros", "empty", "marker.exe", "inner.zip"}
	contents := [][]byte{
		bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 4000), zipTestRandom(9, 70_000),
		make([]byte, 300_000), nil, zipTestPayload, zipTestBuild(zipTestStored("x", zipTestRandom(1, 300))),
	}
	for i, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), contents[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(dir, "folder"), 0o700)
	os.WriteFile(filepath.Join(dir, "folder", "f"), []byte("in a folder"), 0o600)
	const python = `
import zipfile, sys, io
n = sys.argv[1]; how = sys.argv[2]; files = sys.argv[3:]
class Pipe(io.RawIOBase):
    def __init__(self, f): self.f = f
    def writable(self): return True
    def write(self, b): return self.f.write(b)
f = open(n, "wb")
z = zipfile.ZipFile(Pipe(f) if how == "stream" else f, "w", {"lzma": 14, "bzip2": 12, "stored": 0}.get(how, 8))
for x in files: z.write(x)
if how == "zip64":
    with z.open("wide", "w", force_zip64=True) as w: w.write(b"wide " * 99)
z.comment = b"" if how == "stream" else b"comment"
z.close()
`
	script := filepath.Join(t.TempDir(), "z.py")
	os.WriteFile(script, []byte(python), 0o600)
	files := append(slices.Clone(names), "folder", "folder/f")
	for _, c := range [][]string{
		{"zip", "-q", "-r", "OUT"},
		{"zip", "-q", "-0", "-r", "OUT"},
		{"zip", "-q", "-fd", "-r", "OUT"},
		{"zip", "-q", "-fz", "-r", "OUT"},
		{"7z", "a", "-tzip", "OUT"},
		{"7z", "a", "-tzip", "-mm=Deflate64", "-mx=9", "OUT"},
		{"7z", "a", "-tzip", "-mm=BZip2", "OUT"},
		{"7z", "a", "-tzip", "-mm=LZMA", "OUT"},
		{"7z", "a", "-tzip", "-mm=LZMA", "-mx=9", "OUT"},
		{"7z", "a", "-tzip", "-mm=LZMA:eos", "OUT"},
		{"python3", script, "OUT", "plain"},
		{"python3", script, "OUT", "stream"},
		{"python3", script, "OUT", "zip64"},
		{"python3", script, "OUT", "lzma"},
		{"python3", script, "OUT", "bzip2"},
		{"python3", script, "OUT", "stored"},
		{"jar", "cf", "OUT"},
		{"jar", "c0f", "OUT"},
	} {
		t.Run(strings.ReplaceAll(strings.Join(c, " "), script, ""), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.zip")
			args := slices.Clone(c)
			args[slices.Index(args, "OUT")] = out
			args = append(args, files...)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir = dir
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, msg)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			l := zipTestDirect(t, showcause.Bytes(data))
			if len(l.gaps) > 0 {
				t.Errorf("gaps %v", l.gaps)
			}
			for i, n := range append(slices.Clone(names), "folder/f") {
				want := []byte("in a folder")
				if i < len(names) {
					want = contents[i]
				}
				sum := sha256.Sum256(want)
				line := fmt.Sprintf("%q %d %s", n, len(want), hex.EncodeToString(sum[:6]))
				found := 0
				for _, c := range l.children {
					if c == line {
						found++
					}
				}
				if found != 1 {
					t.Errorf("%s: %d times in %q", n, found, l.children)
				}
			}
		})
	}
}

// TestZipOrdinary reads zips of the Go tree, or what SHOWCAUSE_ZIPS names (a
// list of glob patterns): ordinary ones, which have no gap.
func TestZipOrdinary(t *testing.T) {
	var paths []string
	globs := os.Getenv("SHOWCAUSE_ZIPS")
	if root, err := exec.Command("go", "env", "GOROOT").Output(); globs == "" && err == nil {
		dir := strings.TrimSpace(string(root))
		globs = filepath.Join(dir, "lib/time/*.zip") + string(filepath.ListSeparator) + filepath.Join(dir, "src/archive/zip/testdata/time-*.zip")
	}
	for _, g := range filepath.SplitList(globs) {
		m, _ := filepath.Glob(g)
		paths = append(paths, m...)
	}
	if len(paths) == 0 {
		t.Skip("the Go tree has no zips, and SHOWCAUSE_ZIPS names none")
	}
	for _, p := range paths {
		zipTestCompare(t, p)
	}
}

func TestZipMatchNot(t *testing.T) {
	for _, s := range []string{
		"", "PK", "plain text with PK\x03\x04 in it and nothing more", "PK\x03\x03", strings.Repeat("PK", 1000),
		"\x7fELF" + strings.Repeat("\x00", 100) + "PK\x03\x04\x00\x00\x00\x00" + strings.Repeat("\x00", 200),
	} {
		if zipMatch(&unpack.Probe{Head: []byte(s), Source: showcause.Bytes(s)}) {
			t.Errorf("%.20q matches", s)
		}
	}
}

// TestExplodeFile reads the imploded file of Debian's clamav-testfiles.
func TestExplodeFile(t *testing.T) {
	data, err := os.ReadFile("/usr/share/clamav-testfiles/clam.impl.zip")
	if err != nil {
		t.Skip(err)
	}
	l := zipTestDirect(t, showcause.Bytes(data))
	if l.codes() != "" || len(l.children) != 1 {
		t.Errorf("%q %q", l.codes(), l.children)
	}
}

func FuzzZip(f *testing.F) {
	for _, c := range zipTestHostile() {
		if len(c.data) < 4096 {
			f.Add(c.data)
		}
	}
	for _, data := range unsealSamples() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := showcause.Limits{ScanSize: 16 << 20, Work: 50_000_000, Objects: 1000}
		a := zipTestScan(t, showcause.Bytes(data), limits)
		b := zipTestScan(t, zipTestSource{showcause.Bytes(data)}, limits)
		if !slices.Equal(a.children, b.children) || fmt.Sprint(a.gaps) != fmt.Sprint(b.gaps) || a.spent != b.spent {
			t.Errorf("two scans differ:\n%q %v\n%q %v", a.children, a.gaps, b.children, b.gaps)
		}
		for _, g := range a.gaps {
			if g.Offset < 0 || g.Length < -1 {
				t.Errorf("gap %v", g)
			}
		}
		// What archive/zip reads without complaint is among the children.
		r, err := stdzip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil || a.unread() {
			return
		}
		for _, f := range r.File {
			rc, err := f.Open()
			if err != nil {
				continue
			}
			content, err := io.ReadAll(io.LimitReader(rc, 1<<20))
			if err != nil || len(content) == 0 || len(content) == 1<<20 {
				continue
			}
			sum := sha256.Sum256(content)
			want := hex.EncodeToString(sum[:6])
			if !slices.ContainsFunc(a.children, func(s string) bool { return strings.HasSuffix(s, want) }) {
				t.Errorf("archive/zip reads %q, %d bytes; not among %q", f.Name, len(content), a.children)
			}
		}
	})
}

// headOnly is the format for the conformance suite, which lets Match read 256 KiB.
// Zip's searches megabytes, which is its purpose (see zipMatch); here it gets the
// head alone.
func headOnly() unpack.Format {
	f := Format()
	f.Match = func(p *unpack.Probe) bool {
		return zipMatch(&unpack.Probe{Type: p.Type, Head: p.Head, Source: showcause.Bytes(p.Head)})
	}
	return f
}

func TestZipConform(t *testing.T) {
	bz, _ := hex.DecodeString(zipTestBzip2)
	far, _ := os.ReadFile(filepath.Join("..", "..", "internal", "codec", "testdata", "far.deflate64"))
	wide := zipTestMake("far", zipDeflate64, far, nil)
	wide.local.crc, wide.local.size = 0xdb937087, 129480
	wide.central = wide.local
	unpacktest.Conform(t, headOnly(), map[string][]byte{
		"deflate and stored": zipTestBuild(zipTestDeflated("a", zipTestPayload), zipTestStored("b", zipTestRandom(6, 200)), zipTestDeflated("c", zipTestPayload[9:])),
		"bzip2":              zipTestBuild(zipTestMake("b", zipBzip2, bz, []byte("hello from bzip2, hello from bzip2\n"))),
		"deflate64":          zipTestBuild(wide),
		"nested":             zipTestBuild(zipTestStored("in.zip", zipTestBuild(zipTestDeflated("x", zipTestPayload)))),
	})
}

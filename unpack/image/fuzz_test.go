package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// seed is an image of testdata, which stands there in gzip.
func seed(t testing.TB, name string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, filepath.Join("testdata", name+".gz"))))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vhdOf is handDisk as a VHD of that kind: 2 fixed, 3 dynamic, 4 differencing.
func vhdOf(kind uint32) []byte {
	be, disk := binary.BigEndian, handDisk()
	sum := func(b []byte, off int) {
		n := uint32(0)
		for _, c := range b {
			n += uint32(c)
		}
		be.PutUint32(b[off:], ^n)
	}
	foot := make([]byte, sector)
	copy(foot, "conectix")
	be.PutUint32(foot[8:], 2)
	be.PutUint32(foot[12:], 0x10000)
	be.PutUint64(foot[16:], sector)
	be.PutUint64(foot[48:], uint64(len(disk)))
	be.PutUint32(foot[60:], kind)
	if kind == 2 {
		be.PutUint64(foot[16:], 1<<64-1)
		sum(foot, 64)
		return append(disk, foot...)
	}
	sum(foot, 64)
	head := make([]byte, 2*sector)
	copy(head, "cxsparse")
	be.PutUint64(head[8:], 1<<64-1)
	be.PutUint64(head[16:], 3*sector)
	be.PutUint32(head[24:], 0x10000)
	be.PutUint32(head[28:], 6)
	be.PutUint32(head[32:], handBlock)
	sum(head, 36)
	table := bytes.Repeat([]byte{0xff}, sector)
	b := append(append(append([]byte{}, foot...), head...), table...)
	for _, i := range []int{5, 2, 0} {
		be.PutUint32(b[3*sector+4*i:], uint32(len(b)/sector))
		bits := make([]byte, sector)
		bits[0] = 0xff
		b = append(append(b, bits...), disk[i*handBlock:(i+1)*handBlock]...)
	}
	return append(b, foot...)
}

// vhdxOf is a VHDX of one block, in front of which everything else has its place.
func vhdxOf(disk []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 2<<20)
	copy(b[1<<20:], disk)
	copy(b, "vhdxfile")
	sum := func(at, n int) {
		le.PutUint32(b[at+4:], crc32.Checksum(b[at:at+n], crc32.MakeTable(crc32.Castagnoli)))
	}
	for i, at := range []int{64 << 10, 128 << 10} {
		copy(b[at:], "head")
		le.PutUint64(b[at+8:], uint64(i+1))
		le.PutUint16(b[at+66:], 1)
		sum(at, 4096)
	}
	for _, at := range []int{192 << 10, 256 << 10} {
		copy(b[at:], "regi")
		le.PutUint32(b[at+8:], 2)
		for i, r := range []struct {
			id     string
			off, n int
		}{{vhdxMetadata, 320 << 10, 64 << 10}, {vhdxBAT, 384 << 10, 4096}} {
			e := b[at+16+32*i:]
			copy(e, r.id)
			le.PutUint64(e[16:], uint64(r.off))
			le.PutUint32(e[24:], uint32(r.n))
			le.PutUint32(e[28:], 1)
		}
		sum(at, 64<<10)
	}
	meta := b[320<<10:]
	copy(meta, "metadata")
	le.PutUint16(meta[10:], 3)
	for i, m := range []struct {
		id    string
		value uint64
	}{{vhdxParams, 1 << 20}, {vhdxSize, uint64(len(disk))}, {vhdxSector, 512}} {
		e := meta[32+32*i:]
		copy(e, m.id)
		le.PutUint32(e[16:], uint32(4096+8*i))
		le.PutUint32(e[20:], 8)
		le.PutUint64(meta[4096+8*i:], m.value)
	}
	le.PutUint64(b[384<<10:], 1<<20|6)
	return b
}

// gptOf is a disk of 64 sectors with two partitions.
func gptOf() []byte {
	le := binary.LittleEndian
	b := make([]byte, 64*sector)
	b[446+4] = 0xee
	le.PutUint32(b[446+8:], 1)
	le.PutUint32(b[446+12:], 63)
	copy(b[510:], "\x55\xaa")
	entries := make([]byte, 4*128)
	for i, r := range [][2]uint64{{8, 15}, {24, 47}} {
		e := entries[128*i:]
		copy(e, "a type of a disk")
		e[16] = byte(i + 1)
		le.PutUint64(e[32:], r[0])
		le.PutUint64(e[40:], r[1])
		copy(e[56:], "p\x00a\x00r\x00t\x00")
		copy(b[r[0]*sector:], unpacktest.Mixed(2000))
	}
	for _, h := range []struct{ at, other, table uint64 }{{1, 63, 2}, {63, 1, 62}} {
		copy(b[h.table*sector:], entries)
		p := b[h.at*sector:]
		copy(p, gptMagic+"\x00\x00\x01\x00")
		le.PutUint32(p[12:], 92)
		le.PutUint64(p[24:], h.at)
		le.PutUint64(p[32:], h.other)
		le.PutUint64(p[40:], 3)
		le.PutUint64(p[48:], 61)
		le.PutUint64(p[72:], h.table)
		le.PutUint32(p[80:], 4)
		le.PutUint32(p[84:], 128)
		le.PutUint32(p[88:], crc32.ChecksumIEEE(entries))
		le.PutUint32(p[16:], crc32.ChecksumIEEE(p[:92]))
	}
	return b
}

// TestSeeds holds that what the fuzz targets begin with is whole.
func TestSeeds(t *testing.T) {
	for _, c := range []struct {
		name, format string
		b            []byte
		disk         []byte // nil if it is no disk
	}{
		{"vhd", "vhd", vhdOf(3), handDisk()},
		{"vhd, fixed", "vhd", vhdOf(2), handDisk()},
		{"vhdx", "vhdx", vhdxOf(handDisk()), handDisk()},
		{"gpt", "gpt", gptOf(), nil},
		{"qcow2", "qcow2", seed(t, "qcow2"), liesDisk()},
		{"qcow2, zlib", "qcow2", seed(t, "qcow2-zlib"), liesDisk()},
		{"qcow", "qcow2", seed(t, "qcow"), liesDisk()},
		{"vmdk", "vmdk", seed(t, "vmdk"), liesDisk()},
		{"vmdk, stream", "vmdk", seed(t, "vmdk-stream"), liesDisk()},
	} {
		f := byName(t, c.format)
		if !f.Match(unpacktest.Probe(showcause.Bytes(c.b))) {
			t.Errorf("%s: no match", c.name)
		}
		got := unpacktest.Walk(t, f, c.b, showcause.Limits{})
		if len(got.Gaps) > 0 || len(got.Children) == 0 || c.disk != nil && (len(got.Children) != 1 || !bytes.Equal(got.Children[0].Data, c.disk)) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if got := unpacktest.Walk(t, VHD(), vhdOf(4), showcause.Limits{}); !got.Has(vhdParent) {
		t.Errorf("vhd, differencing: %s", got)
	}
}

func TestSeedsConform(t *testing.T) {
	unpacktest.Conform(t, VHD(), map[string][]byte{"dynamic": vhdOf(3), "fixed": vhdOf(2)})
	unpacktest.Conform(t, GPT(), map[string][]byte{"small": gptOf()})
}

// vhdxParts are the stretches of a VHDX that say something, one after the other in the
// input of its fuzz target; the last is as long as it is. A table of regions gets its sum.
var vhdxParts = []struct{ at, n int }{{64 << 10, 80}, {128 << 10, 80}, {192 << 10, 80}, {256 << 10, 80}, {320 << 10, 128}, {324 << 10, 24}, {384 << 10, 64}, {1 << 20, 64 << 10}}

// vhdxWhole is the VHDX whose parts b has.
func vhdxWhole(b []byte) []byte {
	out := make([]byte, 2<<20)
	copy(out, "vhdxfile")
	for _, p := range vhdxParts {
		n := copy(out[p.at:p.at+p.n], b)
		b = b[n:]
	}
	for _, at := range []int{192 << 10, 256 << 10} {
		clear(out[at+4 : at+8])
		binary.LittleEndian.PutUint32(out[at+4:], crc32.Checksum(out[at:at+64<<10], crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}

// FuzzVHDX damages the parts of the file, of which nearly all is zeros.
func FuzzVHDX(f *testing.F) {
	inner, whole := VHDX(), vhdxOf(handDisk()[:6000])
	var seed []byte
	for _, p := range vhdxParts {
		seed = append(seed, whole[p.at:min(p.at+p.n, 1<<20+6000)]...)
	}
	if !bytes.Equal(vhdxWhole(seed), whole) {
		f.Fatal("the seed is not the image")
	}
	unpacktest.Fuzz(f, unpack.Format{
		Name:  inner.Name,
		Match: func(p *unpack.Probe) bool { return true },
		Walk: func(src showcause.Source, out *unpack.Out) {
			inner.Walk(showcause.Bytes(vhdxWhole(bound.Head(src, 64<<10))), out)
		},
	}, seed)
}

func FuzzVHD(f *testing.F) { unpacktest.Fuzz(f, VHD(), vhdOf(2), vhdOf(3), vhdOf(4)) }
func FuzzGPT(f *testing.F) { unpacktest.Fuzz(f, GPT(), gptOf()) }
func FuzzQCOW(f *testing.F) {
	unpacktest.Fuzz(f, QCOW(), seed(f, "qcow2"), seed(f, "qcow2-zlib"), seed(f, "qcow"))
}

func FuzzVMDK(f *testing.F) {
	unpacktest.Fuzz(f, VMDK(), seed(f, "vmdk"), seed(f, "vmdk-stream"))
}

// TestGPTInBlocks holds that the header of a disk's table, which stands somewhere in the
// file of a disk in blocks, is not taken for one of the file.
func TestGPTInBlocks(t *testing.T) {
	b := make([]byte, 128*sector)
	copy(b, "QFI\xfb\x00\x00\x00\x03")
	copy(b[4096:], gptOf()[sector:2*sector])
	if got := unpacktest.Walk(t, GPT(), b, showcause.Limits{}); len(got.Children)+len(got.Gaps) > 0 {
		t.Errorf("a header at 4096 is taken for one of the file: %s", got)
	}
	copy(b[2*4096:], gptOf()[2*sector:3*sector])
	if got := unpacktest.Walk(t, GPT(), b, showcause.Limits{}); len(got.Children) == 0 {
		t.Error("a header with its entries is not taken")
	}
}

// TestWithinBlock holds that the file of a disk that is no whole number of blocks may
// end where the disk does.
func TestWithinBlock(t *testing.T) {
	le := binary.LittleEndian
	b := vdiOf(1)
	size := 5*handBlock + 2500
	le.PutUint64(b[368:], uint64(size))
	le.PutUint32(b[512:], 1) // the first block and the last change places
	le.PutUint32(b[512+8:], 0)
	le.PutUint32(b[512+20:], 2)
	disk := handDisk()
	b = append(b[:1024], disk[2*handBlock:3*handBlock]...)
	b = append(append(b, disk[:handBlock]...), disk[5*handBlock:size]...)
	got := unpacktest.Walk(t, VDI(), b, showcause.Limits{})
	if len(got.Gaps) > 0 || len(got.Children) != 1 || !bytes.Equal(got.Children[0].Data, disk[:size]) {
		t.Error(got)
	}
	b = append(b, "more than the disk has, in its last block"...)
	if got := unpacktest.Walk(t, VDI(), b, showcause.Limits{}); !got.Unread() {
		t.Error(got)
	}
}

// An image of 40 kB whose tables lead to themselves, and tell of a disk of 160 MB: what
// it costs is what it has.
func TestCircle(t *testing.T) {
	be, b := binary.BigEndian, make([]byte, 40<<10+512)
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 2)
	be.PutUint32(b[20:], 9)
	be.PutUint64(b[24:], 5<<10*64*512)
	be.PutUint32(b[36:], 5<<10)
	be.PutUint64(b[40:], 512)
	for at := 512; at < len(b); at += 8 {
		be.PutUint64(b[at:], 512)
	}
	budget := unpack.NewBudget(showcause.Limits{}, int64(len(b)), nil)
	var gaps []showcause.Gap
	out := unpack.NewOut(budget, nil, func(showcause.Layer) {}, func(g showcause.Gap) { gaps = append(gaps, g) })
	QCOW().Walk(showcause.Bytes(b), out)
	if len(gaps) == 0 || gaps[0].Code != showcause.Corrupt {
		t.Errorf("gaps %v", gaps)
	}
	if n := budget.Spent.Work; n > 160<<10 {
		t.Errorf("%d units of work for %d bytes", n, len(b))
	}
}

package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var all = []unpack.Format{MBR(), GPT(), APM(), QCOW(), VHD(), VHDX(), VMDK(), VDI(), Parallels(), QED()}

func byName(t testing.TB, name string) unpack.Format {
	for _, f := range all {
		if f.Name == name {
			return f
		}
	}
	t.Fatal(name)
	return unpack.Format{}
}

// content is a disk of n bytes with text, noise and holes.
func content(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	for at := 0; at < n; at += 4096 {
		part := b[at:min(at+4096, n)]
		switch rng.IntN(3) {
		case 0:
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
		case 1:
			for i := range part {
				part[i] = "some text on a disk "[i%20]
			}
		}
	}
	return b
}

// table is a disk with an MBR: two partitions, and two in a chain.
func table() []byte {
	b := make([]byte, 64*sector)
	for i := range 64 {
		copy(b[i*sector+7:], fmt.Sprintf("sector %d of the disk", i))
	}
	le := binary.LittleEndian
	put := func(at, i int, kind byte, first, n uint32) {
		e := b[at*sector+446+16*i:]
		clear(e[:16])
		e[2], e[6], e[4] = 1, 1, kind
		le.PutUint32(e[8:], first)
		le.PutUint32(e[12:], n)
	}
	mark := func(at int) {
		clear(b[at*sector+446 : at*sector+510])
		copy(b[at*sector+510:], "\x55\xaa")
	}
	mark(0)
	put(0, 0, 0x83, 4, 8)
	put(0, 1, 0x0c, 12, 8)
	put(0, 2, 0x05, 24, 40)
	mark(24)
	put(24, 0, 0x83, 2, 6)
	put(24, 1, 0x05, 16, 12)
	mark(40)
	put(40, 0, 0x83, 1, 8)
	for _, r := range [][2]int{{1, 4}, {20, 24}, {25, 26}, {32, 40}, {49, 64}} { // in no partition
		clear(b[r[0]*sector : r[1]*sector])
	}
	for _, at := range []int{0, 24, 40} {
		clear(b[at*sector : at*sector+440])
	}
	return b
}

func TestMBR(t *testing.T) {
	b := table()
	got := unpacktest.Walk(t, MBR(), b, showcause.Limits{})
	for i, want := range [][2]int{{4, 8}, {12, 8}, {26, 6}, {41, 8}} {
		part := b[want[0]*sector : (want[0]+want[1])*sector]
		if len(got.Children) <= i || !bytes.Equal(got.Children[i].Data, part) {
			t.Fatalf("partition %d is not sectors %v:\n%s", i, want, got)
		}
	}
	if len(got.Gaps) > 0 || len(got.Children) != 4 {
		t.Errorf("%s", got)
	}
	unpacktest.Conform(t, MBR(), map[string][]byte{"chain": b})
	loop := bytes.Clone(b)
	binary.LittleEndian.PutUint32(loop[40*sector+446+16+8:], 16) // the last table leads to itself
	binary.LittleEndian.PutUint32(loop[40*sector+446+16+12:], 4)
	loop[40*sector+446+16+4] = 5
	if got := unpacktest.Walk(t, MBR(), loop, showcause.Limits{}); len(got.Children) != 4 {
		t.Errorf("a chain that ends in itself: %s", got)
	}
}

// run runs a program in a folder, and skips the test where there is none.
func run(t testing.TB, dir, name string, arg ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s", name)
	}
	c := exec.Command(name, arg...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, arg, err, out)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDisks holds each kind of image against the disk that qemu-img made it of.
func TestDisks(t *testing.T) {
	for _, c := range []struct {
		format, name string
		arg          []string
	}{
		{"qcow2", "plain", []string{"-O", "qcow2", "-o", "cluster_size=512"}},
		{"qcow2", "zlib", []string{"-O", "qcow2", "-c", "-o", "cluster_size=4096"}},
		{"qcow2", "zstd", []string{"-O", "qcow2", "-c", "-o", "cluster_size=65536,compression_type=zstd"}},
		{"qcow2", "version 2", []string{"-O", "qcow2", "-o", "compat=0.10"}},
		{"qcow2", "version 1", []string{"-O", "qcow"}},
		{"vhd", "dynamic", []string{"-O", "vpc", "-o", "force_size=on"}},
		{"vhd", "fixed", []string{"-O", "vpc", "-o", "subformat=fixed,force_size=on"}},
		{"vmdk", "sparse", []string{"-O", "vmdk"}},
		{"vmdk", "stream", []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}},
		{"vdi", "dynamic", []string{"-O", "vdi"}},
		{"vdi", "fixed", []string{"-O", "vdi", "-o", "static=on"}},
		{"parallels", "blocks of 64 KiB", []string{"-O", "parallels", "-o", "cluster_size=65536"}},
		{"qed", "plain", []string{"-O", "qed"}},
		{"qed", "small tables", []string{"-O", "qed", "-o", "cluster_size=4096"}},
		{"vhdx", "dynamic", []string{"-O", "vhdx"}},
		{"vhdx", "fixed", []string{"-O", "vhdx", "-o", "subformat=fixed"}},
	} {
		t.Run(c.format+" "+c.name, func(t *testing.T) {
			dir := t.TempDir()
			disk := content(40 << 10)
			if err := os.WriteFile(filepath.Join(dir, "raw"), disk, 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "qemu-img", append(append([]string{"convert", "-f", "raw"}, c.arg...), "raw", "image")...)
			b := read(t, filepath.Join(dir, "image"))
			f := byName(t, c.format)
			got := unpacktest.Walk(t, f, b, showcause.Limits{})
			if len(got.Children) != 1 || len(got.Gaps) > 0 {
				t.Fatalf("%s", got)
			}
			one := got.Children[0]
			if one.Size < int64(len(disk)) || !bytes.Equal(one.Data[:len(disk)], disk) || len(bytes.Trim(one.Data[len(disk):], "\x00")) > 0 {
				t.Errorf("another disk, of %d bytes", one.Size)
			}
			if len(b) < 48<<10 || *full {
				unpacktest.Conform(t, f, map[string][]byte{c.name: b})
			}
		})
	}
}

// What is in other files is a gap, and so is what is encrypted.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "raw"), content(256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "qemu-img", "convert", "-O", "vpc", "raw", "parent.vhd")
	for _, c := range []struct {
		format string
		code   showcause.Code
		arg    []string
	}{
		{"qcow2", qcowBacking, []string{"create", "-f", "qcow2", "-b", "raw", "-F", "raw", "image"}},
		{"qed", qedBacking, []string{"create", "-f", "qed", "-b", "raw", "-F", "raw", "image"}},
		{"vmdk", vmdkExtent, []string{"create", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentFlat", "image", "1M"}},
		{"qcow2", showcause.Encrypted, []string{"create", "-f", "qcow2", "--object", "secret,id=s,data=secret12", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "image", "1M"}},
	} {
		run(t, dir, "qemu-img", c.arg...)
		got := unpacktest.Walk(t, byName(t, c.format), read(t, filepath.Join(dir, "image")), showcause.Limits{})
		if !got.Has(c.code) {
			t.Errorf("%v: no gap %s: %s", c.arg, c.code, got)
		}
	}
}

func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	old, now := content(128<<10), content(128<<10)
	copy(old[1000:], "what was here once")
	copy(now[1000:], "what is here today")
	for name, b := range map[string][]byte{"old": old, "now": now} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "qemu-img", "convert", "-O", "qcow2", "old", "image")
	run(t, dir, "qemu-img", "snapshot", "-c", "before", "image")
	run(t, dir, "qemu-io", "-c", "write -s now 0 128k", "image")
	got := unpacktest.Walk(t, QCOW(), read(t, filepath.Join(dir, "image")), showcause.Limits{})
	if len(got.Children) != 2 || got.Children[0].Digest != sha256.Sum256(now) || got.Children[1].Digest != sha256.Sum256(old) || got.Children[1].Name != "before" {
		t.Errorf("%s", got)
	}
}

func TestGPT(t *testing.T) {
	dir := t.TempDir()
	disk := content(320 << 10)
	clear(disk[:34*512])
	clear(disk[len(disk)-34*512:])
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "sgdisk", "-a", "8", "-n", "1:40:200", "-c", "1:first part", "-n", "2:208:400", "image")
	b := read(t, image)
	got := unpacktest.Walk(t, GPT(), b, showcause.Limits{})
	if len(got.Children) < 3 || len(got.Gaps) > 0 || got.Children[0].Name != "first part" || !bytes.Equal(got.Children[1].Data, b[208*512:401*512]) ||
		!bytes.Equal(got.Children[len(got.Children)-1].Data, b[401*512:len(b)-33*512]) {
		t.Fatalf("%s", got)
	}
	if *full { // TestSeedsConform has a smaller one
		unpacktest.Conform(t, GPT(), map[string][]byte{"two": b})
	}
	// The copy at the end has a partition that the first table lacks.
	other := bytes.Clone(b)
	clear(other[2*512+128 : 2*512+256])
	if got := unpacktest.Walk(t, GPT(), other, showcause.Limits{}); len(got.Children) < 3 || !got.Has(gptTable) {
		t.Errorf("tables that differ: %s", got)
	}
	// The first header is gone.
	gone := bytes.Clone(b)
	copy(gone[512:], "XXX")
	if got := unpacktest.Walk(t, GPT(), gone, showcause.Limits{}); len(got.Children) < 3 || !got.Unread() {
		t.Errorf("one table: %s", got)
	}
}

func apmImage() []byte {
	b := content(32 * 512)
	be := binary.BigEndian
	clear(b[:4*512])
	copy(b, "ER\x02\x00")
	for i, p := range []struct {
		first, n   uint32
		name, kind string
	}{{1, 3, "Apple", "Apple_partition_map"}, {4, 8, "disk", "Apple_HFS"}, {12, 20, "rest", "Apple_Free"}} {
		e := b[(i+1)*512:]
		copy(e, "PM\x00\x00")
		be.PutUint32(e[4:], 3)
		be.PutUint32(e[8:], p.first)
		be.PutUint32(e[12:], p.n)
		copy(e[16:], p.name)
		copy(e[48:], p.kind)
	}
	return b
}

func TestAPM(t *testing.T) {
	b := apmImage()
	got := unpacktest.Walk(t, APM(), b, showcause.Limits{})
	if len(got.Children) != 2 || len(got.Gaps) > 0 || !bytes.Equal(got.Children[0].Data, b[4*512:12*512]) || got.Children[0].Name != "disk" {
		t.Fatalf("%s", got)
	}
	unpacktest.Conform(t, APM(), map[string][]byte{"apm": b})
}

func FuzzMBR(f *testing.F) { unpacktest.Fuzz(f, MBR(), table()) }
func FuzzAPM(f *testing.F) { unpacktest.Fuzz(f, APM(), apmImage()) }

// TestGPTElsewhere holds that a header is taken for the copy of a lost table only where
// it says that it stands: the file of a virtual machine ends with that of its disk.
func TestGPTElsewhere(t *testing.T) {
	h := make([]byte, 512)
	copy(h, gptMagic)
	le := binary.LittleEndian
	le.PutUint32(h[12:], 92)
	for number, want := range map[uint64]bool{99: true, 98: false, 100: false, 1: false} {
		le.PutUint64(h[24:], number)
		le.PutUint32(h[16:], 0)
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		disk := append(make([]byte, 99*512), h...)
		if got := gptByCopy(showcause.Bytes(disk)); got != want {
			t.Errorf("the last of 100 sectors says that it is %d: %v, want %v", number, got, want)
		}
		disk[99*512+40] ^= 1
		if gptByCopy(showcause.Bytes(disk)) {
			t.Errorf("%d: the sum is wrong, and it is taken", number)
		}
	}
}

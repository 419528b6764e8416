package image

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "every damage, not a sample")

// liesDisk is a disk of 48 KiB with marks, and holes between them.
func liesDisk() []byte {
	b := make([]byte, 48<<10)
	copy(b, unpacktest.Marked("first", 5000))
	copy(b[16<<10:], unpacktest.Marked("second", 9000))
	copy(b[40<<10:], unpacktest.Marked("third", 512))
	return b
}

func TestLies(t *testing.T) {
	skip := func(list ...int64) (out []unpacktest.Harmless) {
		for i := 0; i+2 < len(list)+1; i += 2 {
			out = append(out, unpacktest.Harmless{From: list[i], To: list[i] + list[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name     string
		arg      []string
		harmless []unpacktest.Harmless
	}{
		{"qcow2", []string{"-O", "qcow2", "-o", "cluster_size=512"}, skip(0, 8)},
		{"qcow2 zlib", []string{"-O", "qcow2", "-c", "-o", "cluster_size=4096"}, skip(0, 8, 40*512, 4096)},
		{"qcow", []string{"-O", "qcow"}, skip(0, 8)},
		{"vhd", []string{"-O", "vpc", "-o", "force_size=on"}, nil},
		{"vmdk", []string{"-O", "vmdk"}, skip(0, 4)},
		{"vmdk stream", []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}, skip(0, 4)},
		{"vdi", []string{"-O", "vdi"}, skip(64, 4)},
		{"parallels", []string{"-O", "parallels", "-o", "cluster_size=4096"}, skip(0, 16)},
		{"qed", []string{"-O", "qed", "-o", "cluster_size=4096"}, skip(0, 4)},
		{"vhdx", []string{"-O", "vhdx"}, skip(0, 8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "raw"), liesDisk(), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, dir, "qemu-img", append(append([]string{"convert", "-f", "raw"}, c.arg...), "raw", "image")...)
			unpacktest.Lies(t, *full, []unpack.Format{GPT(), MBR(), APM(), QCOW(), VHD(), VHDX(), VMDK(), VDI(), Parallels(), QED(), DMG()}, read(t, filepath.Join(dir, "image")), c.harmless...)
		})
	}
}

// TestTableLies lies in tables of partitions.
func TestTableLies(t *testing.T) {
	gpt := func() []byte {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "image"), make([]byte, 200<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "sgdisk", "-a", "8", "-n", "1:48:99", "-c", "1:one", "-n", "2:120:200", "image")
		b := read(t, filepath.Join(dir, "image"))
		copy(b[48*512:], unpacktest.Marked("one", 3000))
		copy(b[120*512:], unpacktest.Marked("two", 3000))
		return b
	}
	mbr := table()
	for i := range 64 {
		if i > 0 && len(bytes.Trim(mbr[i*512:i*512+512], "\x00")) > 0 && i != 24 && i != 40 {
			copy(mbr[i*512:], unpacktest.Marked(string(rune('a'+i%26))+string(rune('0'+i/26)), 512))
		}
	}
	apm := apmImage()
	for i := 4; i < 32; i++ {
		copy(apm[i*512:], unpacktest.Marked(string(rune('a'+i)), 512))
	}
	for _, c := range []struct {
		name     string
		b        []byte
		harmless []unpacktest.Harmless
	}{
		{"gpt", gpt(), nil},
		{"mbr", mbr, []unpacktest.Harmless{{From: 510, To: 512, Why: "no reader takes it without"}}},
		{"apm", apm, []unpacktest.Harmless{{From: 0, To: 2, Why: "no reader takes it without"}, {From: 512, To: 516, Why: "nor without this"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			unpacktest.Lies(t, *full, []unpack.Format{GPT(), MBR(), APM()}, c.b, c.harmless...)
		})
	}
}

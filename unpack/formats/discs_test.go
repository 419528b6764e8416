package formats

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// made writes an image as a shell's line says, in a folder with a tree of files and an
// image of FAT, and returns it.
func made(t *testing.T, line string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tree/marker": "marker of the image " + strings.Repeat("and so on ", 400), "tree/dir/other": "other words",
		"tree/boot.bin": strings.Repeat("a loader ", 250),
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range strings.Split(line, "; ") {
		arg := strings.Fields(part)
		c := exec.Command(arg[0], arg[1:]...)
		if c.Err != nil {
			t.Skipf("needs %s", arg[0])
		}
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("%s: %v %s", part, err, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// countOf is how many layers that hold no others begin with a word.
func countOf(s seen, word string) (n int) {
	for w, k := range s.words {
		if strings.HasPrefix(w, word) {
			n += k
		}
	}
	return n
}

// TestOrdinaryImages holds that images as common programs write them, which are not
// whole numbers of what they are made of, or have two tables and trees, are no damage.
func TestOrdinaryImages(t *testing.T) {
	const fat = "truncate -s 64K fat; mkfs.vfat fat; mcopy -i fat tree/dir/other ::; "
	const disk = "truncate -s 2100K raw; sgdisk -a 8 -n 1:40:200 raw; "
	const mkisofs = "xorriso -as mkisofs -quiet -o image "
	for name, line := range map[string]string{
		"udf, all hidden from ISO 9660": "genisoimage -quiet -udf -hide * -o image tree",
		"udf, one hidden":               "genisoimage -quiet -udf -hide marker -o image tree",
		"partition offset":              mkisofs + "-partition_offset 16 tree",
		"partition offset, Joliet":      mkisofs + "-J -partition_offset 16 tree",
		"partition offset, booted":      mkisofs + "-b boot.bin -no-emul-boot -boot-load-size 4 -partition_offset 32 --protective-msdos-label tree",
		"appended":                      fat + mkisofs + "-append_partition 2 0x0c fat tree",
		"appended, in a GPT":            fat + mkisofs + "-append_partition 2 0xef fat -appended_part_as_gpt tree",
		"appended, in a GPT, offset":    fat + mkisofs + "-partition_offset 16 -append_partition 2 0xef fat -appended_part_as_gpt tree",
		"HFS Plus":                      mkisofs + "-hfsplus tree",
	} {
		t.Run(name, func(t *testing.T) {
			got := walkAll(showcause.Bytes(made(t, line)))
			n := 1
			if name == "HFS Plus" {
				n = 2 // what it has of the volume is that volume, to its end
			}
			if countOf(got, "marker of") != n || len(got.codes) > 0 && strings.Join(got.codes, " ") != "ambiguous.iso9660.tree" {
				t.Errorf("gaps %q, %q", got.codes, got.ops)
			}
		})
	}
	for _, option := range []string{"subformat=fixed", "subformat=fixed,force_size=on", "subformat=dynamic"} {
		t.Run(option, func(t *testing.T) {
			got := walkAll(showcause.Bytes(made(t, disk+"qemu-img convert -f raw -O vpc -o "+option+" raw image")))
			if len(got.codes) > 0 {
				t.Errorf("gaps %q, %q", got.codes, got.ops)
			}
		})
	}
}

// TestBehindDiscs holds that what stands behind the trees of an image is a layer that
// begins with it, whichever trees there are.
func TestBehindDiscs(t *testing.T) {
	behind := gzipped([]byte("marker behind the image " + strings.Repeat("and so on ", 40)))
	for name, line := range map[string]string{
		"iso":           "genisoimage -quiet -J -R -o image tree",
		"bridge":        "genisoimage -quiet -udf -J -R -o image tree",
		"bridge, plain": "genisoimage -quiet -udf -o image tree",
		"no padding":    "genisoimage -quiet -udf -no-pad -o image tree",
		"xorriso":       "xorriso -as mkisofs -quiet -o image tree",
	} {
		for _, zeros := range []int{0, 2048, 3000, 70_000} {
			t.Run(fmt.Sprint(name, " ", zeros), func(t *testing.T) {
				got := walkAll(showcause.Bytes(append(append(made(t, line), make([]byte, zeros)...), behind...)))
				if countOf(got, "marker behind") != 1 || countOf(got, "marker of") != 1 || len(got.codes) > 0 {
					t.Errorf("gaps %q, %q", got.codes, got.ops)
				}
			})
		}
	}
}

// TestBehindLongDisc is TestBehindDiscs where the image says that it ends later: the
// anchors of UDF in front do not hide what follows.
func TestBehindLongDisc(t *testing.T) {
	b := made(t, "genisoimage -quiet -udf -J -o image tree")
	b = append(b, gzipped([]byte("marker behind the image "+strings.Repeat("and so on ", 40)))...)
	for at := 0x8000; at < 0x9800; at += 0x800 {
		if bytes.Equal(b[at+1:at+6], []byte("CD001")) && (b[at] == 1 || b[at] == 2) {
			copy(b[at+80:], "\xff\xff\x0f\x00\x00\x0f\xff\xff")
		}
	}
	if got := walkAll(showcause.Bytes(b)); countOf(got, "marker behind") != 1 {
		t.Errorf("gaps %q, %q", got.codes, got.ops)
	}
}

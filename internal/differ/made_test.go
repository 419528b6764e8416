package differ

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
)

// folder copies n files of this system to a folder, and returns what is in it.
// Those of different kinds stand beside each other.
func folder(t *testing.T, dir string, n int) []member {
	var out []member
	for _, root := range []string{"/usr/share/doc", "/usr/lib/python3", "/usr/share/fonts", "/usr/bin", "/usr/share/perl"} {
		count := 0
		filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || count >= n/4 {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil || len(b) == 0 || len(b) > 200<<10 {
				return nil
			}
			name := fmt.Sprintf("%s/d%d/%d %s", filepath.Base(root), count/40, count, filepath.Base(path))
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
			out = append(out, member{name, int64(len(b)), sha256.Sum256(b)})
			count++
			return nil
		})
	}
	return out
}

// inside is every layer in a file, by the name that its container gives.
func inside(t *testing.T, name string) (found map[member]bool, gaps []showcause.Gap) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	found = map[member]bool{}
	b := unpack.NewBudget(showcause.Limits{}, st.Size(), spill)
	var layer func(showcause.Layer)
	layer = func(l showcause.Layer) {
		head := bound.Head(l.Source, unpack.HeadSize)
		p := &unpack.Probe{Type: filetype.Detect(head, l.Source), Head: head, Source: l.Source}
		if n := len(l.Trail); n > 0 {
			h := sha256.New()
			size, err := io.Copy(h, bound.Reader(l.Source, 0, -1))
			if err != nil {
				t.Errorf("%s: %v", l.Trail, err)
			}
			m := member{name: clean(l.Trail[n-1].Name), size: size}
			h.Sum(m.sum[:0])
			found[m] = true
			found[member{size: m.size, sum: m.sum}] = true
			if strings.HasPrefix(m.name, "doc/") || strings.HasPrefix(m.name, "bin/") || strings.HasPrefix(m.name, "fonts/") {
				return // a file of the folder: what is in it is for TestSystem
			}
		}
		out := unpack.NewOut(b, l.Trail, layer, func(g showcause.Gap) { gaps = append(gaps, g) })
		for _, f := range formats.All() {
			if f.Match(p) {
				f.Walk(l.Source, out)
			}
		}
	}
	layer(showcause.Layer{Source: file{f, st.Size()}})
	return found, gaps
}

// TestMade packs a folder of real files with every tool there is, and compares
// what is unpacked with the folder.
func TestMade(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	n := 40
	if *full {
		n = 2400
	}
	dir := t.TempDir()
	files := folder(t, filepath.Join(dir, "tree"), n)
	if len(files) < n/4 {
		t.Skip("too few files on this system")
	}
	size := int64(0)
	for _, m := range files {
		size += m.size
	}
	slow := map[string]bool{"7z of PPMd": true, "gnutar.xz": true, "tar.lzma": true, "tar.lz": true, "squashfs of xz": true}
	image := fmt.Sprintf("%dM", size>>20*3/2+int64(len(files))/64+40)
	for _, c := range []struct {
		name   string
		script string // in dir, from the folder tree to the file out
	}{
		{"zip", "cd tree && zip -qr ../out ."},
		{"zip of bzip2", "cd tree && zip -qr -Z bzip2 ../out ."},
		{"7z of LZMA2", "cd tree && 7z a -bd -t7z ../out ."},
		{"7z of PPMd", "cd tree && 7z a -bd -t7z -m0=PPMd ../out ."},
		{"7z of bzip2, not solid", "cd tree && 7z a -bd -t7z -m0=BZip2 -ms=off ../out ."},
		{"zip of LZMA", "cd tree && 7z a -bd -tzip -mm=LZMA ../out ."},
		{"zip of Deflate64", "cd tree && 7z a -bd -tzip -mm=Deflate64 ../out ."},
		{"ustar.gz", "bsdtar -C tree --format=ustar -czf out ."},
		{"gnutar.xz", "tar -C tree --format=gnu -cJf out ."},
		{"pax.zst", "bsdtar -C tree --format=pax --zstd -cf out ."},
		{"tar.bz2", "tar -C tree -cjf out ."},
		{"tar.lz4", "bsdtar -C tree --lz4 -cf out ."},
		{"tar.lzma", "bsdtar -C tree --lzma -cf out ."},
		{"tar.lz", "tar -C tree -cf - . | lzip > out"},
		{"tar.lzo", "tar -C tree -cf - . | lzop > out"},
		{"tar.Z", "tar -C tree -cf - . | compress -c > out"},
		{"cpio", "bsdtar -C tree --format=newc -cf out ."},
		{"cpio odc", "bsdtar -C tree --format=odc -cf out ."},
		{"xar", "bsdtar -C tree --format=xar -cf out ."},
		{"iso", "genisoimage -quiet -R -J -joliet-long -o out tree"},
		{"iso and HFS+", "xorriso -as mkisofs -quiet -hfsplus -R -o out tree"},
		{"squashfs", "mksquashfs tree out -quiet -no-progress"},
		{"squashfs of zstd", "mksquashfs tree out -quiet -no-progress -comp zstd"},
		{"squashfs of xz", "mksquashfs tree out -quiet -no-progress -comp xz -b 1M"},
		{"ext4", "mke2fs -q -F -t ext4 -d tree out " + image},
		{"ext2", "mke2fs -q -F -t ext2 -b 1024 -d tree out " + image},
		{"qcow2", "mke2fs -q -F -t ext4 -d tree raw " + image + " && qemu-img convert -c -O qcow2 raw out && rm raw"},
		{"vmdk", "mke2fs -q -F -t ext4 -d tree raw " + image + " && qemu-img convert -O vmdk -o subformat=streamOptimized raw out && rm raw"},
		{"vhdx", "mke2fs -q -F -t ext4 -d tree raw " + image + " && qemu-img convert -O vhdx raw out && rm raw"},
		{"FAT", "truncate -s " + image + " out && mkfs.fat -F 32 -s 1 out > /dev/null && mcopy -s -Q -i out tree/* ::"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if slow[c.name] && !*full {
				t.Skip("is packed with -full only")
			}
			out := filepath.Join(dir, "out")
			os.Remove(out)
			for _, ending := range []string{".7z", ".zip"} {
				os.Remove(out + ending)
			}
			cmd := exec.Command("/bin/sh", "-ec", c.script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1", "PATH="+os.Getenv("PATH")+":/sbin:/usr/sbin")
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("cannot be made: %v: %.300s", err, text)
			}
			for _, ending := range []string{".7z", ".zip"} {
				if _, err := os.Stat(out + ending); err == nil {
					os.Rename(out+ending, out)
				}
			}
			found, gaps := inside(t, out)
			missing := 0
			for _, m := range files {
				if !found[m] {
					if missing++; missing <= 5 {
						t.Errorf("%q, %d bytes, is not there; by its content: %v", m.name, m.size, found[member{size: m.size, sum: m.sum}])
					}
				}
			}
			for _, g := range gaps {
				if g.Code.Unread() {
					t.Errorf("gap %+v", g)
					break
				}
			}
			t.Logf("%d files, %d missing, %d gaps", len(files), missing, len(gaps))
		})
	}
}

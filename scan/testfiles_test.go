package scan_test

import (
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// The harmless files of the Debian package clamav-testfiles wrap one program
// in 44 ways. In what we unpack it is found; of the rest it is said that they
// were not read. None is passed over.
func TestClamavTestfiles(t *testing.T) {
	dir := "/usr/share/clamav-testfiles"
	exe, err := os.ReadFile(filepath.Join(dir, "clam.exe"))
	if err != nil {
		t.Skip("package clamav-testfiles is not installed")
	}
	db := compile(t, map[string]string{"clam.hdb": fmt.Sprintf("%x:%d:Clamav.Test\n", md5.Sum(exe), len(exe))})
	found := map[string]bool{}
	for _, name := range []string{
		"clam.exe", "clam-fsg.exe", "clam-aspack.exe", "clam-mew.exe", "clam-nsis.exe", "clam-pespin.exe", "clam-petite.exe", "clam-upack.exe", "clam-upx.exe", "clam-wwpack.exe", "clam-yc.exe", "clam.zip", "clam.bz2.zip", "clam.d64.zip", "clam.impl.zip", "clam.exe.bz2", "clam.tar.gz", "clam_cache_emax.tgz",
		"clam.bin-be.cpio", "clam.bin-le.cpio", "clam.newc.cpio", "clam.odc.cpio",
		"clam.cab", "clam.7z", "clam.arj", "clam.chm", "clam.exe.szdd",
		"clam.mail", "clam.exe.mbox.base64", "clam.exe.mbox.uu", "clam.exe.html", "clam.exe.binhex", "clam.exe.rtf", "clam.tnef", "clam.pdf", "clam.ole.doc", "clam.ppt",
	} {
		found[name] = true
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < len(found) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	s := scan.New(db, scan.Options{})
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		want := showcause.Incomplete
		if found[f.Name()] {
			want = showcause.Found
		}
		if r := s.Scan(showcause.Bytes(b)); r.Verdict != want {
			t.Errorf("%s: %v %+v, want %v", f.Name(), r.Verdict, r.Gaps, want)
		}
	}
}

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
// in 44 ways. In each it is found.
func TestClamavTestfiles(t *testing.T) {
	dir := "/usr/share/clamav-testfiles"
	exe, err := os.ReadFile(filepath.Join(dir, "clam.exe"))
	if err != nil {
		t.Skip("package clamav-testfiles is not installed")
	}
	db := compile(t, map[string]string{"clam.hdb": fmt.Sprintf("%x:%d:Clamav.Test\n", md5.Sum(exe), len(exe))})
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 44 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	s := scan.New(db, scan.Options{})
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Scan(showcause.Bytes(b)); r.Verdict != showcause.Found {
			t.Errorf("%s: %v %+v, want found", f.Name(), r.Verdict, r.Gaps)
		}
	}
}

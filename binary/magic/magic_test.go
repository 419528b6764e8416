package magic

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// TestFile holds the descriptions of files of this machine against file(1): the media
// type is the same, and the description begins as its does.
func TestFile(t *testing.T) {
	program, err := exec.LookPath("file")
	if err != nil {
		t.Skip("no file: ", err)
	}
	seen, same := 0, 0
	for _, glob := range []string{"/bin/[a-m]*", "/usr/lib/*/lib[a-c]*.so.*", "/usr/share/clamav-testfiles/*", "/usr/share/doc/[a-c]*/changelog*", "/usr/share/pixmaps/*", "/usr/lib/python3/dist-packages/*.py"} {
		paths, _ := filepath.Glob(glob)
		for i, path := range paths {
			st, err := os.Lstat(path)
			if err != nil || !st.Mode().IsRegular() || st.Size() > 4<<20 || i%5 != 0 && !strings.Contains(path, "clamav") {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			text, media := Describe(showcause.Bytes(b), nil)
			out, _ := exec.Command(program, "-b", path).Output()
			mime, _ := exec.Command(program, "-b", "--mime-type", path).Output()
			seen++
			first, _, _ := strings.Cut(text, ",")
			if media == strings.TrimSpace(string(mime)) && strings.HasPrefix(string(out), first) {
				same++
			} else {
				t.Logf("%s: %q %q, file has %q %q", path, text, media, strings.TrimSpace(string(out)), strings.TrimSpace(string(mime)))
			}
		}
	}
	if t.Logf("%d of %d the same", same, seen); seen > 50 && same*100 < seen*75 {
		t.Errorf("only %d of %d are the same", same, seen)
	}
}

// TestDescribe pins what rules look for.
func TestDescribe(t *testing.T) {
	mz := make([]byte, 400)
	copy(mz, "MZ")
	mz[60] = 128
	copy(mz[128:], "PE\x00\x00\x64\x86\x01\x00")
	mz[128+20] = 0xf0
	copy(mz[128+22:], "\x02\x20\x0b\x02")
	mz[128+24+68] = 3
	for _, c := range []struct{ in, text, media string }{
		{string(mz), "PE32+ executable (DLL) (console) x86-64, for MS Windows", "application/vnd.microsoft.portable-executable"},
		{"", "empty", "inode/x-empty"},
		{"\x00\x01\x02\x03", "data", "application/octet-stream"},
		{"#!/usr/bin/env python3\nprint(1)\n", "Python script, ASCII text executable", "text/x-script.python"},
		{"#!/bin/sh\n:\n", "POSIX shell script, ASCII text executable", "text/x-shellscript"},
		{"\xce\xfa\xed\xfe\x07\x00\x00\x00\x03\x00\x00\x00\x02\x00\x00\x00", "Mach-O i386 executable", "application/x-mach-binary"},
		{"%PDF-1.4\n", "PDF document", "application/pdf"},
	} {
		if text, media := Describe(showcause.Bytes(c.in), nil); text != c.text || media != c.media {
			t.Errorf("%.20q: %q, %q, want %q, %q", c.in, text, media, c.text, c.media)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("MZ"))
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("#!"))
	f.Add([]byte("\xcf\xfa\xed\xfe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, media := Describe(showcause.Bytes(b), nil); text == "" || media == "" {
			t.Errorf("%q, %q", text, media)
		}
	})
}

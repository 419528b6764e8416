package formats

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
)

// Archives behind a program and behind the text of a script are read, and
// nothing in them is taken for something else.
func TestBehind(t *testing.T) {
	elf, err := os.ReadFile("/bin/true")
	if err != nil || !bytes.HasPrefix(elf, []byte("\x7fELF")) {
		t.Skip("/bin/true is not an ELF file")
	}
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "d"), 0o700)
	os.WriteFile(filepath.Join(dir, "d", "m"), []byte("marker of the archive "+strings.Repeat("and so on ", 40)), 0o600)
	heads := map[string][]byte{
		"a program":  elf,
		"a script":   []byte("#!/bin/sh\ntail -n +4 \"$0\" | something\nexit 0\n"),
		"DOS script": []byte("@echo off\r\nrem some words\r\n"),
	}
	for _, line := range []string{
		"zip -q -r OUT d", "7z a OUT d/m", "arj a OUT d/m", "lha aq OUT d/m", "gcab -c OUT d/m", "tar cf OUT d", "tar czf OUT d", "tar cJf OUT d", "tar cjf OUT d",
		"mksquashfs d OUT -quiet -no-progress", "mksquashfs d OUT -comp zstd -quiet -no-progress", "mksquashfs d OUT -comp xz -quiet -no-progress",
	} {
		out := filepath.Join(dir, "x")
		os.Remove(out)
		args := strings.Fields(strings.ReplaceAll(line, "OUT", out))
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		if c.Err != nil {
			t.Logf("%s is not installed", args[0])
			continue
		}
		if msg, err := c.CombinedOutput(); err != nil {
			t.Logf("%s: %v %s", line, err, msg)
			continue
		}
		archive := firstOf(out, out+".7z", out+".zip", out+".arj")
		for name, head := range heads {
			got := walkAll(showcause.Bytes(slices.Concat(head, archive)))
			n := 0
			for w, k := range got.words {
				if strings.HasPrefix(w, "marker of the") {
					n += k
				}
			}
			if n != 1 || len(got.codes) > 0 {
				t.Errorf("%s behind %s: read %d times, gaps %q, %q", line, name, n, got.codes, got.ops)
			}
		}
	}
}

// firstOf reads the first file that is there, and removes it.
func firstOf(paths ...string) []byte {
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil {
			os.Remove(p)
			return b
		}
	}
	return nil
}

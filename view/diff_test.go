package view

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
)

// sigtool returns the files that sigtool makes of an input.
func sigtool(t *testing.T, option string, in []byte) map[string][]byte {
	t.Helper()
	bin, err := exec.LookPath("sigtool")
	if err != nil {
		t.Skip("sigtool is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, option+file)
	cmd.Dir = dir
	_ = cmd.Run() // it crashes on its way out when there is a script
	got := map[string][]byte{}
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			name, _ := filepath.Rel(dir, path)
			got[name], _ = os.ReadFile(path)
		}
		return nil
	})
	return got
}

func TestFolderAgainstSigtool(t *testing.T) {
	dir := os.Getenv("VIEW_DIR")
	if dir == "" {
		t.Skip("VIEW_DIR names no folder")
	}
	same, n := 0, 0
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		n++
		want := sigtool(t, "--html-normalise=", b)
		vs, _ := HTML(showcause.Bytes(b), 40<<20)
		got := map[string][]byte{}
		for _, v := range vs {
			switch v.Op {
			case OpNoComment:
				got["nocomment.html"] = v.Bytes
			case OpNoTags:
				got["notags.html"] = v.Bytes
			case OpJavaScript:
				got["javascript"] = v.Bytes
			}
		}
		ok := true
		for _, k := range []string{"nocomment.html", "notags.html", "javascript"} {
			if !bytes.Equal(got[k], want[k]) || k[0] == 'j' && (got[k] == nil) != (want[k] == nil) {
				ok = false
				g, w := got[k], want[k]
				i := 0
				for i < len(g) && i < len(w) && g[i] == w[i] {
					i++
				}
				lo := max(0, i-40)
				t.Errorf("%s %s differs at %d of %d/%d\n got %q\nwant %q\n", path, k, i, len(g), len(w), g[lo:min(len(g), i+40)], w[lo:min(len(w), i+40)])
			}
		}
		if ok {
			same++
		}
		return nil
	})
	t.Logf("%d of %d the same", same, n)
}

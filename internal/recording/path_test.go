package recording

import (
	"os"
	"path/filepath"
	"testing"
)

// A record has a file's path without links in its folders; a link that is
// itself named stays, and who takes the file is told of it.
func TestAbsolute(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "real/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "real", "deep": "real/sub", "real/file": "sub", "gone": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		"link/sub/a": "real/sub/a", "link/../link/a": "real/a", "deep/../a": "real/a", "deep/../../link/sub/../a": "real/a", "real/a": "real/a", "link/file": "real/file", "a": "a", "gone/a": "gone/a",
	} {
		for _, p := range []string{path, dir + "/" + path} {
			if got := Absolute(p); got != filepath.Join(dir, want) {
				t.Errorf("%s: %s, want %s", p, got, want)
			}
		}
	}
	if got := Absolute("stdin"); got != "stdin" {
		t.Errorf("standard input: %s", got)
	}
}

package quarantine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The restorer in Python gives back the same bytes and metadata, with nothing
// but the folder.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	b := newBench(t)
	before := map[string]string{}
	for name, content := range map[string]string{"a": "x", "empty": "", "two chunks": strings.Repeat("0123456", 12000), "one chunk": strings.Repeat("x", 65536-len(marker)), "na\nme\xff": "n"} {
		p := b.file(name, content)
		if name == "a" {
			dress(t, p)
		}
		before[p] = identity(t, p)
		b.take(b.find(p), Done, "")
	}
	for name, holes := range sparseFiles {
		p := b.sparse(name, holes)
		before[p] = identity(t, p)
		b.take(b.find(p), Done, "")
	}
	link := b.file("first", "l")
	if err := os.Link(link, filepath.Join(b.dir, "second")); err != nil {
		t.Fatal(err)
	}
	before[link] = identity(t, link)
	before[filepath.Join(b.dir, "second")] = before[link]
	b.take(b.find(link), Done, "", link, filepath.Join(b.dir, "second"))
	b.close()
	run := func(args ...string) (string, error) {
		out, err := exec.Command(python, append([]string{"../docs/format/restore.py", filepath.Join(b.at, folder)}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("all"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for p, want := range before {
		if got := identity(t, p); got != want {
			t.Errorf("%q:\n  was %s\n  is  %s", p, want, got)
		}
	}
	for name, parts := range sparseFiles {
		if n := blocks(t, filepath.Join(b.dir, name)); n > int64(len(parts)*2+2)*128 {
			t.Errorf("%s has %d blocks", name, n)
		}
	}
	// Nothing is replaced; damage is refused and leaves nothing.
	if out, err := run("all"); err == nil {
		t.Errorf("replaced: %s", out)
	}
	data, _ := filepath.Glob(filepath.Join(b.at, folder, "*"+dataSuffix))
	to := t.TempDir()
	for _, d := range data[:2] {
		content, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(d), dataSuffix)
		for _, i := range []int{25, 120, 190, len(content) - 1} {
			bad := []byte(string(content))
			bad[i] ^= 1
			os.WriteFile(d, bad, 0o600)
			if out, err := run(id, "--to", to); err == nil {
				t.Errorf("byte %d changed: %s", i, out)
			}
		}
	}
	if left := tree(t, to); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

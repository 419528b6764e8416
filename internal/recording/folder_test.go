package recording

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause/evidence"
)

func record(t *testing.T, k *evidence.Key) *evidence.Record {
	t.Helper()
	b, err := os.ReadFile("../../docs/format/examples/finding.scf")
	if err != nil {
		t.Fatal(err)
	}
	r, err := evidence.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = evidence.Seal(r.Statement(), k); err != nil {
		t.Fatal(err)
	}
	return r
}

// Links that stand in the folder are not followed: what they lead to stays as it is.
func TestFolder(t *testing.T) {
	k, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	public := []evidence.PublicKey{k.Public()}
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := record(t, k), record(t, k)
	for _, name := range []string{"key.pub", two.Name()[:16] + ".scf"} {
		if err := os.Symlink(precious, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openFolder(dir, public)
	if err != nil {
		t.Fatal(err)
	}
	defer f.dir.Close()
	for range 2 { // the keys are written again
		r := one
		one = record(t, k)
		if err := f.write([]*evidence.Record{r}); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, r.Name()[:16]+".scf")); err != nil || !bytes.Equal(b, r.Bytes()) {
			t.Errorf("record: %v", err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "key.pub")); err != nil || !bytes.Equal(b, k.Public().PEM()) {
		t.Errorf("%q %v", b, err)
	}
	if err := f.write([]*evidence.Record{two}); err == nil {
		t.Error("a record went through a link")
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
		t.Errorf("%q %v", b, err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(names) > 0 {
		t.Errorf("left: %v %v", names, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(link, public); err == nil || !strings.Contains(err.Error(), "a link") {
		t.Errorf("%v", err)
	}
}

// A folder of another user's that others can write to is refused; one that only its
// owner can write to is not.
func TestFolderOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives folders away")
	}
	for mode, want := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o775: false, 0o777 | os.ModeSticky: false} {
		dir := t.TempDir()
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		f, err := openFolder(dir, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", mode, err)
		}
		if err == nil {
			f.dir.Close()
		}
	}
	own := t.TempDir()
	if err := os.Chmod(own, 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(own, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.dir.Close()
}

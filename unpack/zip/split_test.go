package zip

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// The volumes that zip writes, one behind the other (`cat x.z* x.zip`), are read whole.
func TestSplit(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Skip("zip is not installed")
	}
	dir := t.TempDir()
	want := map[string][]byte{}
	args := []string{"-q", "-0", "-s", "64k", "x.zip"}
	for i := range 40 {
		name := fmt.Sprintf("f%02d", i)
		want[name] = unpacktest.Mixed(100 + 1000*i)
		os.WriteFile(filepath.Join(dir, name), want[name], 0o600)
		args = append(args, name)
	}
	cmd := exec.Command("zip", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	volumes, _ := filepath.Glob(filepath.Join(dir, "x.z[0-9]*"))
	var all []byte
	for _, p := range append(volumes, filepath.Join(dir, "x.zip")) {
		b, _ := os.ReadFile(p)
		all = append(all, b...)
	}
	r := unpacktest.Walk(t, Format(), all, showcause.Limits{})
	if len(volumes) < 5 || r.Unread() || r.Has(zipNoteEntry) || len(r.Children) != len(want) {
		t.Errorf("%d volumes: %s", len(volumes), r)
	}
	for _, c := range r.Children {
		if !bytes.Equal(c.Data, want[c.Name]) {
			t.Errorf("%q is not what was put in", c.Name)
		}
	}
	last, _ := os.ReadFile(filepath.Join(dir, "x.zip"))
	if r := unpacktest.Walk(t, Format(), last, showcause.Limits{}); !r.Has(zipGapSplit) {
		t.Errorf("the last alone: %s", r)
	}
}

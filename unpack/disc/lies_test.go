package disc

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

var full = flag.Bool("full", false, "every damage, not a sample")

func liesFiles() map[string]string {
	out := map[string]string{}
	for name, n := range map[string]int{"small": 40, "one": 2000, "few": 7000, "dir/second": 3000, "dir/deep/third": 700} {
		out[name] = string(unpacktest.Marked(filepath.Base(name), n))
	}
	return out
}

func TestLies(t *testing.T) {
	both := []unpack.Format{ISO9660(), UDF()}
	t.Run("udf", func(t *testing.T) { unpacktest.Lies(t, *full, both, alone(bridge(t, liesFiles()))) })
	t.Run("bridge", func(t *testing.T) { unpacktest.Lies(t, *full, both, bridge(t, liesFiles())) })
	for name, arg := range map[string][]string{"plain": nil, "joliet": {"-J"}, "rock ridge": {"-R"}} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("genisoimage"); err != nil {
				t.Skip("needs genisoimage")
			}
			dir := t.TempDir()
			for name, text := range liesFiles() {
				p := filepath.Join(dir, "tree", name)
				if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c := exec.Command("genisoimage", append(append([]string{"-quiet", "-no-pad"}, arg...), "-o", "image", "tree")...)
			c.Dir = dir
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "image"))
			if err != nil {
				t.Fatal(err)
			}
			unpacktest.Lies(t, *full, both, b)
		})
	}
}

// UDF is known by an anchor alone, and where ISO 9660 says other things both are read.
func TestUDFAnchor(t *testing.T) {
	files := map[string]string{"one": "a short text", "two": "another"}
	b := alone(bridge(t, files))
	for i := 16; i < 24; i++ {
		copy(b[i*sector:], "some boot program and not a descriptor")
	}
	if !UDF().Match(unpacktest.Probe(showcause.Bytes(b))) {
		t.Fatal("no match")
	}
	if got := unpacktest.Walk(t, UDF(), b, showcause.Limits{}); !got.Contains("a short text") || !got.Contains("another") {
		t.Error(got)
	}
	// In the file of a virtual disk an anchor alone is none; one that leads to descriptors is.
	inside := append([]byte("QFI\xfb\x00\x00\x00\x03"), make([]byte, len(b)-8)...)
	copy(inside[256*sector:], b[256*sector:257*sector])
	if UDF().Match(unpacktest.Probe(showcause.Bytes(inside))) {
		t.Error("an anchor that leads nowhere is one, in a virtual disk")
	}
	copy(inside[32*sector:], b[32*sector:64*sector])
	if !UDF().Match(unpacktest.Probe(showcause.Bytes(inside))) {
		t.Error("an anchor that leads to descriptors is none, in a virtual disk")
	}
	b[256*sector+20] ^= 1 // where the descriptors are
	if UDF().Match(unpacktest.Probe(showcause.Bytes(b[:258*sector]))) {
		t.Error("an anchor whose sum is wrong is one")
	}
}

// A file that is in the tree of UDF alone is read once, as that.
func TestUDFAlone(t *testing.T) {
	b := bridge(t, map[string]string{"seen": "in both of them", "hidden": strings.Repeat("in one tree alone. ", 300)}, "-hide", "hidden")
	var names []string
	rest := 0
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, int64(len(b)), nil), nil, func(l showcause.Layer) {
		whole, _ := io.ReadAll(io.NewSectionReader(l.Source, 0, l.Source.Size()))
		if bytes.Contains(whole, []byte("in one tree alone. ")) {
			names = append(names, l.Trail[0].Op+" "+l.Trail[0].Name)
		}
		if l.Trail[0].Op == "iso9660.rest" {
			rest++
		}
	}, func(g showcause.Gap) { t.Errorf("%+v", g) })
	ISO9660().Walk(showcause.Bytes(b), out)
	UDF().Walk(showcause.Bytes(b), out)
	if len(names) != 1 || names[0] != "udf.file hidden" {
		t.Errorf("it is in %q; %d rests", names, rest)
	}
}

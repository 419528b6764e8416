package disc

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// bridge is an image of ISO 9660 and UDF with these files, by genisoimage.
func bridge(t testing.TB, files map[string]string, arg ...string) []byte {
	if _, err := exec.LookPath("genisoimage"); err != nil {
		t.Skip("needs genisoimage")
	}
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("genisoimage", append(arg, "-quiet", "-udf", "-o", "image", "tree")...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// alone takes what is ISO 9660's out of a bridge.
func alone(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 16; i < 24; i++ {
		if bytes.Equal(b[i*sector+1:i*sector+6], isoMagic) {
			clear(b[i*sector : (i+1)*sector])
			copy(b[i*sector:], "\x00BEA01\x01")
		}
	}
	return b
}

func TestUDF(t *testing.T) {
	files := map[string]string{
		"plain.txt":              "a plain text",
		"a longer name of it.md": strings.Repeat("words and words ", 1000),
		"dir/of/dirs/below":      "deep",
		"größe/日本.txt":           "names",
	}
	for i := range 80 {
		files[fmt.Sprintf("many/file %d", i)] = fmt.Sprintf("number %d", i)
	}
	b := bridge(t, files)
	got := unpacktest.Walk(t, UDF(), alone(b), showcause.Limits{})
	if len(got.Gaps) > 0 || len(got.Children) != len(files) {
		t.Errorf("%d children, gaps %v", len(got.Children), got.Gaps)
	}
	for _, c := range got.Children {
		if text, ok := files[c.Name]; !ok || c.Digest != sha256.Sum256([]byte(text)) {
			t.Errorf("%q of %d bytes", c.Name, c.Size)
		}
	}
	// In a bridge each file is given once.
	n := 0
	out := unpack.NewOut(unpack.NewBudget(showcause.Limits{}, int64(len(b)), nil), nil, func(l showcause.Layer) {
		if strings.HasSuffix(l.Trail[0].Op, ".file") { // what is UDF's own stands in no file of ISO 9660
			n++
		}
	}, func(g showcause.Gap) { t.Errorf("%+v", g) })
	for _, f := range []unpack.Format{ISO9660(), UDF()} {
		if !f.Match(unpacktest.Probe(showcause.Bytes(b))) {
			t.Errorf("%s does not match", f.Name)
		}
		f.Walk(showcause.Bytes(b), out)
	}
	if n != len(files) {
		t.Errorf("%d children of %d files", n, len(files))
	}
}

func TestUDFDamaged(t *testing.T) {
	b := alone(bridge(t, map[string]string{"one": "a short text", "dir/two": strings.Repeat("longer ", 600)}))
	unpacktest.Conform(t, UDF(), map[string][]byte{"two": b})
}

func FuzzUDF(f *testing.F) {
	unpacktest.Fuzz(f, UDF(), alone(bridge(f, map[string]string{"one": "a short text", "dir/two": strings.Repeat("longer ", 600)})))
}

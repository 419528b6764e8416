package pdf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// The files of testdata are one small document as qpdf 11.3 writes it: under each
// encryption, with object streams, linearized. In it are a page, a file, a script and
// metadata.
func TestSealed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pdf")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, p := range files {
		name := filepath.Base(p)
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		r := unpacktest.Walk(t, Format(), b, showcause.Limits{})
		if name == "shut.pdf" {
			if !r.Has(showcause.Encrypted) || r.Contains(marker) {
				t.Errorf("%s: %s", name, r)
			}
			continue
		}
		op := ""
		if strings.HasPrefix(name, "user-") || strings.HasPrefix(name, "owner-") {
			op = opened
		}
		want := map[string]string{"page " + marker: "pdf.stream" + op, "file " + marker: "pdf.file" + op, "script of a PDF": "pdf.javascript", "<x>metadata</x>": "pdf.metadata" + op}
		for text, op := range want {
			found := false
			for _, c := range r.Children {
				found = found || strings.Contains(string(c.Data), text) && c.Op == op && (op != "pdf.file" || c.Name == "n.txt")
			}
			if !found {
				t.Errorf("%s: no %s with %q:\n%s", name, op, text, r)
			}
		}
		if len(r.Gaps) > 0 {
			t.Errorf("%s: %v", name, r.Gaps)
		}
	}
}

package scan_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// What a member is called tells what its bytes cannot; the same bytes with
// two names are two things.
func TestNames(t *testing.T) {
	var z bytes.Buffer
	w := brotli.NewWriterLevel(&z, 5)
	w.Write([]byte(strings.Repeat("some text, and ", 40)))
	w.Close()
	cut := z.String()[:z.Len()-4]
	r, _ := twice(t, "names", showcause.Bytes(named("a.bin", cut, "a.br", cut, "b.7z.002", cut, "b.bin", cut, "c.7z.002", cut)), scan.Options{}, nil)
	names := map[string]string{}
	for _, g := range r.Gaps {
		names[g.Trail[0].Name] += string(g.Code) + " "
	}
	const volume = "unsupported.format.split-volume "
	if len(names) != 3 || names["a.br"] != "corrupt " || names["b.7z.002"] != volume || names["c.7z.002"] != volume {
		t.Errorf("%v", names)
	}
}

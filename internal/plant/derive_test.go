package plant

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// TestDerived makes signatures from files, of all kinds that are no pattern, and holds the
// scanner, and clamscan where it is installed, to them.
func TestDerived(t *testing.T) {
	n := uint64(400)
	if *full {
		n = 3200
	}
	if testing.Short() {
		n = 80
	}
	dir, db, alone := t.TempDir(), t.TempDir(), t.TempDir()
	files, lines, far := map[string]File{}, map[string][]string{}, []string(nil)
	all := map[string]Derived{}
	for i := range n {
		d, err := Derive(*seed*100_000 + i)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("%s-%d", d.Kind, i)
		if err := os.WriteFile(filepath.Join(dir, path), d.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		for ext, l := range d.Lines {
			lines[ext] = append(lines[ext], l...)
		}
		far = append(far, d.Alone...)
		files[path], all[path] = d.File, d
	}
	write := func(to, ext string, l []string) {
		if err := os.WriteFile(filepath.Join(to, "x."+ext), []byte(strings.Join(l, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for ext, l := range lines {
		write(db, ext, l)
	}
	write(alone, "ldb", far)
	ours := map[string][]string{}
	own := derivedNames(t, alone, all)
	for path, names := range derivedNames(t, db, all) {
		d := all[path]
		ours[path] = names
		slices.Sort(d.Hits)
		if !slices.Equal(own[path], d.Own) {
			t.Errorf("%s at a distance: %v, want %v", path, own[path], d.Own)
		}
		for _, name := range d.Hits {
			if !slices.Contains(names, name) {
				t.Errorf("%s in %v: not found as %s: %v", path, d.Container, name, names)
			}
		}
		for _, name := range names {
			if strings.HasPrefix(name, fmt.Sprintf("D%d.", d.seedOf())) && !slices.Contains(d.Hits, name) {
				t.Errorf("%s in %v: found as %s, a near miss", path, d.Container, name)
			}
		}
	}
	if peer(t) == "" {
		return
	}
	d := compare(t, files, ours, clamscan(t, db, dir, "--detect-pua=yes", dir))
	d.log(t)
	if n := d.bad(); n > 0 {
		t.Errorf("clamscan differs on %d files", n)
	}
}

func (d *Derived) seedOf() (n uint64) {
	fmt.Sscanf(d.Rule, "D%d", &n)
	return n
}

// derivedNames scans with the signatures of a folder.
func derivedNames(t *testing.T, db string, all map[string]Derived) map[string][]string {
	t.Helper()
	data, err := rules.Compile([]string{db}, rules.Options{PUA: true})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(compiled, scan.Options{})
	out := map[string][]string{}
	for path, d := range all {
		rep := s.Scan(showcause.Bytes(d.Data))
		out[path] = names(&rep)
	}
	return out
}

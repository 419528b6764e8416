package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/filetype"
	"github.com/showcause/showcause/internal/icon"
	"github.com/showcause/showcause/internal/icon/icontest"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack/exe"
)

// spoil changes some digits of an icon's averages and places.
func spoil(r *rand.Rand, s string) string {
	for range r.IntN(30) {
		b := []byte(s)
		i := 2 + r.IntN(len(b)-10)
		b[i] = "0123456789abcdef"[(strings.IndexByte("0123456789abcdef", b[i])+r.IntN(3)+15)%16]
		if _, err := icon.Parse(string(b)); err == nil {
			s = string(b)
		}
	}
	return s
}

// TestIcons plants icons in programs, and signatures that ask for icons which are more or less
// like them, and holds what is found against clamscan.
func TestIcons(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	dir, db := t.TempDir(), t.TempDir()
	programs := map[string][]byte{}
	var idb, ldb strings.Builder
	add := func(name, tdb, subs string) {
		fmt.Fprintf(&ldb, "%s;Engine:81-255,Target:1%s;%s\n", name, tdb, subs)
	}
	n := 0
	for i := range 60 {
		var all [][]byte
		for range 1 + r.IntN(3) {
			all = append(all, icontest.Bitmap(r))
		}
		name := fmt.Sprintf("%d.exe", i)
		programs[name] = icontest.Program(all...)
		at, _ := exe.Icons(showcause.Bytes(programs[name]), filetype.PE)
		for _, off := range at {
			if m, _, ok := icon.Measure(showcause.Bytes(programs[name]), off); ok && m.Side%8 == 0 {
				n++
				fmt.Fprintf(&idb, "I%d:G%d:H%d:%s\n", n, n, n%3, spoil(r, m.String()))
				add(fmt.Sprintf("One%d", n), fmt.Sprintf(",IconGroup1:G%d", n), "0;4d5a")
			}
		}
	}
	add("Second", ",IconGroup2:H1", "0;4d5a")
	add("Both", ",IconGroup1:G1,IconGroup2:H1", "0;4d5a")
	add("Other", ",IconGroup1:G1,IconGroup2:H2", "0;4d5a")
	add("All", ",IconGroup2:*", "0&1;4d5a;2e72737263")
	add("Unknown", ",IconGroup1:nowhere", "0;4d5a")
	add("Not", ",IconGroup2:*", "0&1;4d5a;2e746578742e74657874")
	add("Absent", ",IconGroup2:H2", "0&1=0;4d5a;2e746578742e74657874")
	add("Expression", ",IconGroup2:H0", "0&1;4d5a;0/rsr./")
	files := map[string]string{"a.ldb": ldb.String(), "b.idb": idb.String()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compiled := compile(t, files)
	s, found := scan.New(compiled, scan.Options{}), 0
	got := map[string][]string{}
	for name, b := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		rep := s.Scan(showcause.Bytes(b))
		for _, f := range rep.Findings {
			got[name] = append(got[name], strings.TrimSuffix(f.Rule, ".UNOFFICIAL"))
			last := f.Matches[len(f.Matches)-1]
			if m, size, ok := icon.Measure(showcause.Bytes(b), last.Offset); !ok || m == nil || size != last.Length {
				t.Errorf("%s: %s: no icon at %+v", name, f.Rule, last)
			}
			found++
		}
		slices.Sort(got[name])
	}
	if found < 100 || found > 60*8*3 {
		t.Errorf("%d found", found)
	}
	peers := clamscanNames(t, db, dir)
	for name := range programs {
		if strings.Join(got[name], " ") != strings.Join(peers[name], " ") {
			t.Errorf("%s: %v, clamscan %v", name, got[name], peers[name])
		}
	}
}

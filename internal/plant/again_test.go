package plant

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/scan"
)

// TestAgain holds that the report on planted files, each of them twice in one archive and
// once in another, does not depend on whether what is there twice is scanned once.
func TestAgain(t *testing.T) {
	c, planted := own(t, 1)
	files := map[string][]byte{}
	for p := range planted {
		b, err := os.ReadFile(filepath.Join(c.Dir, p))
		if err != nil {
			t.Fatal(err)
		}
		files[p] = b
	}
	db := compile(t, "testdata")
	const group = 40
	all := paths(planted)
	found := 0
	for len(all) > 0 {
		n := min(group, len(all))
		inner := packed(all[:n], files)
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for i, data := range [][]byte{inner, inner, packed(all[:n], files)} {
			f, err := w.Create(fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			f.Write(data)
		}
		for round := range 2 { // in two archives that are the same, and beside them
			for _, p := range all[:n] {
				f, err := w.Create(fmt.Sprintf("%s.%d", p, round))
				if err != nil {
					t.Fatal(err)
				}
				f.Write(files[p])
			}
		}
		w.Close()
		var said [2]string
		for i, each := range []bool{false, true} {
			r := scan.New(db, scan.Options{EachTime: each, Digests: true, Excerpts: true}).Scan(showcause.Bytes(b.Bytes()))
			said[i] = fmt.Sprintf("%+v", r)
			found += len(r.Findings)
		}
		if said[0] != said[1] {
			t.Errorf("%q: once\n%.2000s\neach time\n%.2000s", all[:n], said[0], said[1])
		}
		all = all[n:]
	}
	if found < 5*len(files) {
		t.Errorf("%d findings in %d files", found, len(files))
	}
}

// packed is a zip of files.
func packed(names []string, files map[string][]byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range names {
		f, err := w.Create(p)
		if err != nil {
			panic(err)
		}
		f.Write(files[p])
	}
	w.Close()
	return b.Bytes()
}

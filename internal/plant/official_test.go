package plant

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/scan"
)

// official returns the folder of official databases, or skips the test.
func official(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SHOWCAUSE_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	dir = filepath.Join(dir, "clamav", "official")
	if _, err := os.Stat(filepath.Join(dir, "main.ldb")); err != nil {
		t.Skip("no official databases: SHOWCAUSE_DATA is not set")
	}
	return dir
}

// loaded writes the signatures over patterns that are loaded, as text, to a
// folder: both sides then know the same ones.
func loaded(t testing.TB, from string) (dir string, total int) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]*bufio.Writer{}
	err := Each(from, func(r *rule.Rule) error {
		w := files[r.File]
		if w == nil {
			f, err := os.Create(filepath.Join(dir, filepath.Base(r.File)))
			if err != nil {
				return err
			}
			t.Cleanup(func() { f.Close() })
			w = bufio.NewWriter(f)
			files[r.File] = w
		}
		total++
		_, err := fmt.Fprintln(w, r.Text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range files {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return dir, total
}

// batch is the number of rules planted before clamscan runs over the files.
const batch = 2500

// TestPlantedOfficial plants signatures of the official databases, each with a
// near miss, and compares with clamscan file by file.
func TestPlantedOfficial(t *testing.T) {
	from := official(t)
	if testing.Short() || peer(t) == "" {
		t.Skip("needs clamscan, and time")
	}
	dir, total := loaded(t, from)
	db := compile(t, dir)
	n := *number
	if *full {
		n = total
	}
	t.Logf("%d rules of %d", n, total)
	s := scan.New(db, scan.Options{})
	sum := &differences{classes: map[string][]difference{}}
	not, notNear, unmatched := map[Reason]int{}, map[Reason]int{}, 0
	var c *Corpus
	var files map[string]File
	ours := map[string][]string{}
	done := func() {
		if c == nil {
			return
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		sum.add(compare(t, files, ours, clamscan(t, dir, c.Dir)))
		for r, n := range c.Not {
			not[r] += n
		}
		for r, n := range c.NotNear {
			notNear[r] += n
		}
		if *keep == "" {
			os.RemoveAll(c.Dir)
		}
		c = nil
	}
	i := 0
	err := Each(dir, func(r *rule.Rule) error {
		if i++; i*n/total == (i-1)*n/total {
			return nil
		}
		if c == nil {
			to := t.TempDir()
			if *keep != "" {
				to = filepath.Join(*keep, fmt.Sprint(i))
			}
			var err error
			if c, err = Create(to); err != nil {
				t.Fatal(err)
			}
			files = map[string]File{}
		}
		added, err := c.Add(r, *seed)
		if err != nil {
			t.Fatal(err)
		}
		for p, f := range added {
			rep := s.Scan(showcause.Bytes(f.Data))
			ours[p] = names(&rep)
			if f.Expect && !strings.Contains(strings.Join(ours[p], "\n"), f.Rule) {
				unmatched++
			}
			f.Data = f.Data[:min(len(f.Data), 1024)]
			files[p] = f
		}
		if len(files) >= 2*batch {
			done()
			clear(ours)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done()
	t.Logf("rules not planted: %v; no near miss: %v; planted and not found: %d", not, notNear, unmatched)
	sum.log(t)
	if n := sum.bad(); n > 0 {
		t.Errorf("clamscan differs on %d files", n)
	}
}

func (d *differences) add(o *differences) {
	d.files += o.files
	d.same += o.same
	d.subset += o.subset
	for c, l := range o.classes {
		d.classes[c] = append(d.classes[c], l...)
	}
}

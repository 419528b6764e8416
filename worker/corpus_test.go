package worker

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/hostile"
	"github.com/showcause/showcause/internal/plant"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
)

// specimen is one input of the comparison.
type specimen struct {
	name string
	src  showcause.Source
}

// specimens are the hostile inputs, a planted file for each rule of the planter's
// own database in a few containers, and the test files of ClamAV.
func specimens(t testing.TB) (out []specimen) {
	for _, in := range hostile.All(false) {
		if in.Big && !*full {
			continue
		}
		if src := in.Make(); src.Size() <= 64<<20 {
			out = append(out, specimen{fmt.Sprintf("hostile %d %s", in.Row, in.Name), src})
		}
	}
	seeds := uint64(1)
	if *full {
		seeds = 10
	}
	for seed := range seeds {
		err := plant.Each("../internal/plant/testdata", func(r *rule.Rule) error {
			for _, near := range []bool{false, true} {
				if f, err := plant.Plant(r, seed, near); err == nil {
					out = append(out, specimen{fmt.Sprintf("planted %s %d %v", f.Rule, seed, near), showcause.Bytes(f.Data)})
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob("/usr/share/clamav-testfiles/*")
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil {
			out = append(out, specimen{filepath.Base(path), showcause.Bytes(b)})
		}
	}
	return out
}

// rulesOf are the rules that the specimens are about.
func rulesOf(t testing.TB) *ruledb.DB {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{
		"../internal/plant/testdata",
		write("marker.ndb", "Hostile.Marker:0:*:"+hex.EncodeToString([]byte(hostile.Marker))+"\n"),
	}
	if exe, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe"); err == nil {
		files = append(files, write("clam.hdb", fmt.Sprintf("%x:%d:Clamav.Test\n", md5.Sum(exe), len(exe))))
	}
	data, err := rules.Compile(files, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// lay writes a source to an unlinked file.
func lay(t testing.TB, src showcause.Source) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "input")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(src, 0, src.Size())); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(f.Name())
	return r
}

// TestSameReports holds that what comes out of the jail, names and excerpts
// asked for, is what a scan in this process says, to the last number that a record
// can hold.
func TestSameReports(t *testing.T) {
	db := rulesOf(t)
	open := unlinked(t)
	here := scan.New(db, scan.Options{Excerpts: true, Spill: func() (unpack.File, error) { return open() }})
	p, err := NewPool(Options{DB: db, Names: true, Excerpts: true, Scratch: open, Workers: 2, Args: []string{"showcause", "reader", "real"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	type result struct {
		r   showcause.Report
		err error
	}
	all := specimens(t)
	if len(all) < 200 {
		t.Errorf("%d inputs", len(all))
	}
	var want []showcause.Report
	var got []chan result
	for _, s := range all {
		c := make(chan result, 1)
		got = append(got, c)
		f := lay(t, s.src)
		p.Submit(context.Background(), f, func(r showcause.Report, err error) { f.Close(); c <- result{r, err} })
		want = append(want, here.Scan(s.src))
	}
	verdicts := map[showcause.Verdict]int{}
	for i, s := range all {
		g := <-got[i]
		for j := range want[i].Gaps { // a length from a header that no record can hold is said to be not known
			if g := &want[i].Gaps[j]; g.Length > 1<<53-1 {
				g.Length = -1
			}
		}
		verdicts[want[i].Verdict]++
		if g.err != nil || !reflect.DeepEqual(g.r, want[i]) {
			a, _ := json.Marshal(g.r)
			b, _ := json.Marshal(want[i])
			t.Errorf("%s: %v\njailed %.2000s\nhere   %.2000s", s.name, g.err, a, b)
		}
	}
	t.Logf("%d inputs: %v", len(all), verdicts)
}

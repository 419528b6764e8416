package plant

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

var (
	full   = flag.Bool("full", false, "plant the whole official database, and compare whole system folders")
	number = flag.Int("number", 200, "rules of the official database to plant, if not all")
	few    = flag.Int("few", 10, "files of each system folder to compare, if not all")
	seed   = flag.Uint64("seed", 1, "seed of what is planted of the official database")
	keep   = flag.String("keep", "", "folder to keep that corpus in")
)

// compile makes a database of a folder of signatures.
func compile(t testing.TB, path string) *ruledb.DB {
	t.Helper()
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// own plants every rule of testdata with some seeds.
func own(t testing.TB, seeds uint64) (*Corpus, map[string]File) {
	t.Helper()
	c, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]File{}
	for seed := range seeds {
		err := Each("testdata", func(r *rule.Rule) error {
			files, err := c.Add(r, seed)
			if err != nil {
				t.Fatal(err)
			}
			for p, f := range files {
				if _, there := all[p]; there {
					t.Fatalf("%s made twice", p)
				}
				all[p] = f
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return c, all
}

// TestPlanted plants the signatures of testdata, which use every part of the
// language, and holds the scanner, and clamscan where it is installed, to what
// was planted.
func TestPlanted(t *testing.T) {
	db := compile(t, "testdata")
	seeds := uint64(3)
	if *full {
		seeds = 24
	}
	if testing.Short() {
		seeds = 1
	}
	c, files := own(t, seeds)
	t.Logf("%d files planted, %d near misses, not planted %v, no near miss %v", c.Planted, c.Near, c.Not, c.NotNear)
	if not := len(c.Not); not > 0 && !*full || not > 1 || c.Planted < 150*int(seeds) || c.Near < 150*int(seeds) {
		t.Errorf("not everything was planted")
	}
	covered(t, files)
	s := scan.New(db, scan.Options{})
	ours := map[string][]string{}
	for _, p := range paths(files) {
		f := files[p]
		rep := s.Scan(showcause.Bytes(f.Data))
		ours[p] = names(&rep)
		if err := proven(&rep, &f); err != nil {
			t.Errorf("%s (%s in %s %v %s): %v", p, f.Rule, f.Carrier, f.Container, f.Flaw, err)
		}
	}
	if peer(t) == "" {
		return
	}
	d := compare(t, files, ours, clamscan(t, "testdata", c.Dir))
	d.log(t)
	if n := d.bad(); n > 0 {
		t.Errorf("clamscan differs on %d files", n)
	}
}

// covered holds that the small corpus has every anchor, carrier, container and flaw.
func covered(t *testing.T, files map[string]File) {
	t.Helper()
	seen := map[string]int{}
	for _, f := range files {
		for _, a := range f.Anchors {
			seen["anchor "+a]++
		}
		for _, w := range f.Container {
			seen["container "+w]++
		}
		seen["carrier "+f.Carrier]++
		seen["flaw "+f.Flaw]++
		seen[fmt.Sprint("target ", f.Target)]++
		seen[fmt.Sprint("depth ", len(f.Container))]++
		if f.View {
			seen["view"]++
		}
	}
	want := []string{"view", "depth 0", "depth 1", "depth 2"}
	for _, a := range strings.Fields("* n EOF EP EP- S SE SL VI n,shift EOF,shift EP,shift S,shift SL,shift") {
		want = append(want, "anchor "+a)
	}
	for _, f := range strings.Fields("byte gap shift boundary count size") {
		want = append(want, "flaw "+f)
	}
	for _, c := range append(carriers(), carrier{name: "pe"}, carrier{name: "elf"}, carrier{name: "macho"}) {
		want = append(want, "carrier "+c.name)
	}
	if !testing.Short() {
		for _, w := range wrappers() {
			want = append(want, "container "+w.name)
		}
	}
	for i := range rule.Targets {
		if i != rule.Unused {
			want = append(want, fmt.Sprint("target ", int(i)))
		}
	}
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("no file with %s", w)
		}
	}
}

func paths(files map[string]File) []string {
	var out []string
	for p := range files {
		out = append(out, p)
	}
	sort.Strings(out)
	return out
}

// names returns the names of the findings, each once.
func names(rep *showcause.Report) []string {
	var out []string
	for _, f := range rep.Findings {
		if f.Allowed == "" {
			out = append(out, f.Rule)
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// proven holds a report to what was planted: the rule with a match of every
// planted pattern at its offset, or no match of the rule.
func proven(rep *showcause.Report, f *File) error {
	found := false
	var missing error
	for _, g := range rep.Findings {
		if g.Rule != f.Rule {
			continue
		}
		if f.Flaw == "shift" && len(g.Trail) < len(f.Container) {
			continue // it stands in the container as it is, at another place
		}
		if f.Flaw == "size" && (len(g.Trail) < len(f.Container) || slices.ContainsFunc(g.Trail, func(s showcause.Step) bool { return s.Op == "gzip.member" })) {
			continue // a container, or a piece of the file, has the size
		}
		found = true
		if missing = evidence(&g, f); missing == nil {
			break
		}
	}
	for _, g := range rep.Gaps {
		if g.Code.Unread() && !gapExpected(g, f) {
			return fmt.Errorf("gap %s at %s", g.Code, g.Trail)
		}
	}
	switch {
	case found && !f.Expect:
		return errors.New("found, though it is a near miss")
	case !found && f.Expect:
		return fmt.Errorf("not found; findings %v, gaps %v", rep.Findings, rep.Gaps)
	case f.Expect && missing != nil:
		return missing
	}
	return nil
}

// gapExpected tells whether the file's format is one that is known and not read.
func gapExpected(g showcause.Gap, f *File) bool {
	for _, step := range g.Trail {
		if step.Op == "gzip.member" { // a piece of a file that was cut in several
			return true
		}
	}
	if g.Code == showcause.Corrupt && len(f.Container) > 1 {
		// An archive or a mail that stands in the outer container as it is, cut
		// by that one's own framing, is read there too.
		return true
	}
	if g.Code == showcause.Corrupt && (f.Carrier == "swf" || f.Carrier == "pdf") { // it has the head of one, and no tags, or what chance has
		return true
	}
	return strings.HasPrefix(string(g.Code), "unsupported.format.") && slices.Contains([]string{"ole2", "pdf", "swf", "java"}, f.Carrier) || f.Carrier == "bare" || f.Target == int(rule.HTML)
}

// evidence tells what a finding does not show of what was planted.
func evidence(g *showcause.Finding, f *File) error {
	number := map[int]int{}
	if f.View {
		return viewed(g, f)
	}
	for _, m := range g.Matches {
		number[m.Pattern]++
	}
	for _, s := range f.Spots {
		if number[s.Pattern] >= showcause.MaxMatches {
			continue
		}
		if !slices.ContainsFunc(g.Matches, func(m showcause.Match) bool { return m.Pattern == s.Pattern && m.Offset == s.Offset }) {
			return fmt.Errorf("no match of pattern %d at %d, planted there, %d long; matches %v", s.Pattern, s.Offset, s.Length, g.Matches)
		}
	}
	return nil
}

// viewed tells what a finding in a view does not show: each planted body.
func viewed(g *showcause.Finding, f *File) error {
	for _, v := range views(f.Inner, rule.Target(f.Target)) {
		if v.Op != g.Trail[len(g.Trail)-1].Op {
			continue
		}
		missing := slices.ContainsFunc(f.Spots, func(s Spot) bool {
			body := f.Inner[s.Offset : s.Offset+s.Length]
			return !slices.ContainsFunc(g.Matches, func(m showcause.Match) bool {
				return m.Pattern == s.Pattern && m.Offset+s.Length <= int64(len(v.Bytes)) && bytes.Equal(v.Bytes[m.Offset:m.Offset+s.Length], body)
			})
		})
		if !missing {
			return nil
		}
	}
	return fmt.Errorf("the matches in %s are not of the planted bodies: %v", g.Trail, g.Matches)
}

// TestSame holds that a file is a function of the rule and the seed.
func TestSame(t *testing.T) {
	_, a := own(t, 1)
	_, b := own(t, 1)
	for p, f := range a {
		if !bytes.Equal(f.Data, b[p].Data) {
			t.Errorf("%s: two runs differ", p)
		}
	}
}

// TestManifest holds that the manifest names every file.
func TestManifest(t *testing.T) {
	c, files := own(t, 1)
	m, err := os.ReadFile(filepath.Join(c.Dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(m, []byte("\n")); n != len(files) {
		t.Errorf("%d lines for %d files", n, len(files))
	}
	for p := range files {
		if !bytes.Contains(m, []byte(`"`+p+`"`)) {
			t.Errorf("%s is not in the manifest", p)
		}
	}
}

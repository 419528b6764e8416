package plant

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/clamsig/bytecode"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// programs takes the rules that are programs, and plants files for them.
type programs struct {
	*ruledb.Builder
	t     *testing.T
	n     int
	files map[string][]byte
	skips []clamsig.Skip
}

func (p *programs) Rule(r *rule.Rule) error {
	if r.Bytecode == nil {
		p.t.Errorf("%s is no program", r.Name)
	} else if !r.Bytecode.Alias {
		p.plant(r)
	}
	return p.Builder.Rule(r)
}

// plant makes files that trigger the program, as they are and with what it may look
// for behind them, in any order.
func (p *programs) plant(r *rule.Rule) {
	prog, err := bytecode.Load([]byte(r.Text), clamsig.DefaultLevel)
	if err != nil {
		p.t.Fatal(err)
	}
	p.n++
	texts := prog.Texts()
	for seed := range uint64(12) {
		f, err := Plant(r, seed, false)
		if err != nil {
			p.t.Logf("%s: %v", r.Name, err)
			break
		}
		name := fmt.Sprintf("%02d-%02d", p.n, seed)
		p.files[name] = f.Inner
		rnd := rand.New(rand.NewPCG(seed, uint64(p.n)))
		more := bytes.Clone(f.Inner)
		for range 2 {
			for _, k := range rnd.Perm(len(texts)) {
				more = append(more, texts[k][:len(texts[k])-min(len(texts[k])-1, rnd.IntN(2))]...)
				more = append(more, make([]byte, rnd.IntN(9))...)
			}
		}
		p.files[name+"-more"] = more
	}
}

func (p *programs) Skip(s clamsig.Skip) { p.skips = append(p.skips, s) }

// TestPlantedBytecode: the official programs find what clamscan finds with them, on
// files that trigger them and hold what they look for.
func TestPlantedBytecode(t *testing.T) {
	cvd := filepath.Join(os.Getenv("SHOWCAUSE_DATA"), "clamav", "bytecode.cvd")
	if _, err := os.Stat(cvd); os.Getenv("SHOWCAUSE_DATA") == "" || err != nil {
		t.Skip("no bytecode.cvd")
	}
	if peer(t) == "" {
		t.Skip("no clamscan to compare with")
	}
	sink := programs{Builder: new(ruledb.Builder), t: t, files: map[string][]byte{}}
	stats, err := clamsig.Load(cvd, clamsig.Options{Strict: true}, &sink)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sink.skips {
		t.Logf("left out: %+v", s)
	}
	data, err := sink.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	if exe, err := os.ReadFile("/usr/share/clamav-testfiles/clam.exe"); err == nil {
		sink.files["clam.exe"] = exe
	}
	dir := t.TempDir()
	for name, b := range sink.files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := clamscan(t, cvd, dir, "--allmatch", "--max-filesize=100M", "--bytecode-timeout=60000", dir)
	s := scan.New(db, scan.Options{})
	found, differ, gaps := 0, 0, map[showcause.Code]int{}
	seen := map[string]int{}
	for name, b := range sink.files {
		r := s.Scan(showcause.Bytes(b))
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.Rule)
			seen[f.Rule]++
		}
		for _, g := range r.Gaps {
			gaps[g.Code]++
		}
		sort.Strings(got)
		if got = slices.Compact(got); len(got) > 0 {
			found++
		}
		if strings.Join(got, " ") != strings.Join(want[name], " ") {
			if differ++; differ < 12 {
				t.Errorf("%s (%s): %v; clamscan %v", name, db.Name(0), got, want[name])
			}
		}
	}
	t.Logf("%d programs of %d loaded, %d files, %d with findings of %d names, %d differ; gaps %v; %v", stats.Loaded(), stats.Loaded()+stats.Skipped(), len(sink.files), found, len(seen), differ, gaps, seen)
}

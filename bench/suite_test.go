package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/bench/made"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

func TestDefinitions(t *testing.T) {
	names := map[string]bool{}
	kinds := []string{official, builtIn, made.Hashes, made.Mixed, made.Noise, made.Drawn, made.Prefixed, made.Common}
	for _, d := range definitions() {
		if names[d.name] || d.shows == "" || len(d.rules) == 0 {
			t.Errorf("%s: twice, or without a purpose or rules", d.name)
		}
		names[d.name] = true
		for _, r := range d.rules {
			if !slices.Contains(kinds, r.Kind) || (r.N == 0) != (r.Kind == official || r.Kind == builtIn) {
				t.Errorf("%s: rules %+v", d.name, r)
			}
		}
		for _, c := range d.corpora {
			if !slices.Contains(corporaNames(), c) {
				t.Errorf("%s: corpus %q", d.name, c)
			}
		}
		for _, r := range d.rivals {
			if !slices.Contains([]string{"clamscan", "clamd", "yara", "yr", "read"}, r) {
				t.Errorf("%s: rival %q", d.name, r)
			}
		}
		if !strings.Contains(list(), d.name+" ") {
			t.Errorf("%s: not in the list", d.name)
		}
	}
}

func TestChoose(t *testing.T) {
	all, left, err := choose("", false, wholeMost)
	if err != nil || len(all) != len(definitions()) || len(left) != 0 {
		t.Errorf("whole: %d, %v, %v", len(all), left, err)
	}
	quick, left, err := choose("", true, 1000)
	if err != nil || len(quick) >= len(all) || !slices.Contains(left, "hashes") || !slices.Contains(left, "prefilter: random 1,000,000") {
		t.Errorf("quick: %d, %v, %v", len(quick), left, err)
	}
	for _, d := range quick {
		most := 1000
		if d.way == scanning || d.way == yaraScans {
			most = 100
		}
		for i, r := range d.rules {
			if r.N > most || slices.Contains(d.rules[:i], r) {
				t.Errorf("%s: %v", d.name, d.rules)
			}
		}
	}
	// What is named is run in the quick run too.
	some, _, err := choose("hashes,body", true, 50)
	if err != nil || len(some) != 2 || some[0].name != "body" || some[1].name != "hashes" || !slices.Equal(some[1].rules, []made.RuleSet{{Kind: made.Hashes, N: 5}}) {
		t.Errorf("%+v %v", some, err)
	}
	if _, _, err := choose("body,no-such", false, 5); err == nil {
		t.Error("a definition that is not there was taken")
	}
}

// small is a bench that makes little, and finds the system's files in a folder of its own.
func small(t *testing.T) *bench {
	b := &bench{stderr: io.Discard, corpus: 1, runs: 1, cores: 1, each: time.Minute, most: 200, quick: true, tmp: t.TempDir(), corpora: map[string]*set{}, compiledSets: map[made.RuleSet]*rulesMade{}}
	b.files = []string{filepath.Join(t.TempDir(), "system")}
	for i := range 5 {
		if err := made.Write(filepath.Join(b.files[0], strconv.Itoa(i)), append([]byte("\x7fELF"), made.Blob(7, i, 5000)...)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// script writes a program.
func script(t *testing.T, dir, name, text string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

const summary = `echo "- SCAN SUMMARY -"; echo "Known viruses: %d"; echo "Scanned files: 9"; echo "Infected files: %d"` + "\n"

// TestSuite runs definitions with programs that only say what they found.
func TestSuite(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	b := small(t)
	bin := t.TempDir()
	// The first says 7 of the 8 planted files, the other 8, and of another number of rules.
	script(t, bin, "showcause", `[ "$1" = rules ] && { : > "$5"; exit 0; }`+"\n"+fmt.Sprintf(summary, 20, 7))
	script(t, bin, "clamscan", fmt.Sprintf(summary, 19, 8))
	b.showcause, b.clamscan = filepath.Join(bin, "showcause"), filepath.Join(bin, "clamscan")
	b.only = "body,literals,prefilter,small"
	b.command = "go run ./bench"
	text, err := b.runSuite(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## body\n", "official: not run: nothing to compare: no ClamAV database",
		"## literals\n", "WRONG: literals 20, programs: showcause found 7 of 8 planted files.",
		"literals 20, programs: the work was not the same: showcause found 7, clamscan 8.",
		"literals 20: showcause has 20 rules, clamscan 19.",
		"Left out: prefilter: random 1,000;", "| random 200 |", "| drawn 200 |",
		"| read and SHA-256 |", "Memory, one core: read ", flatRemark,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !regexp.MustCompile(`\| random 200 \|.*\| (\d+), (\d+) \|`).MatchString(text) || strings.Contains(text, "reported.") {
		t.Error("the prefilter did not report what is planted")
	}
	for _, no := range []string{b.tmp, bin, "%!", "## whole"} {
		if strings.Contains(text, no) {
			t.Errorf("%q in\n%s", no, text)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.tmp, "*.scdb")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestBounded ends what takes too long, and goes on.
func TestBounded(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	b := small(t)
	b.each = 50 * time.Millisecond
	v := b.bounded(&variant{name: "slow", threads: 1, run: func(ctx context.Context, _ []string) (sample, error) {
		return measure(ctx, nil, "/bin/sh", "-c", "exec sleep 1000")
	}})
	got, err := inTurn(context.Background(), b.say, []*variant{v}, 2, nil)
	if err != nil || len(got) != 0 || v.reason() != "over 50ms" {
		t.Errorf("%v %v %q", got, err, v.reason())
	}
	if _, err := b.execute(context.Background(), "/bin/sh", "-c", "exec sleep 1000"); err == nil || !strings.Contains(err.Error(), "over 50ms") {
		t.Error(err)
	}
	b.each = time.Minute
	if _, err := b.execute(context.Background(), "/bin/sh", "-c", "exit 3"); err == nil || !strings.Contains(err.Error(), "exit 3") {
		t.Error(err)
	}
}

func TestExchange(t *testing.T) {
	asked := make(chan struct{}, 1000)
	used := []int64{100, 200, 150}
	r, err := exchange(func() error {
		select {
		case asked <- struct{}{}:
		default:
		}
		return nil
	}, func() error {
		for range cap(asked) / 2 { // it is asked meanwhile, or this does not end
			<-asked
		}
		return nil
	}, func() (int64, error) {
		n := used[0]
		if len(used) > 1 {
			used = used[1:]
		}
		return n, nil
	})
	if err != nil || r.Before != 100 || r.Highest != 200 || r.Answers < 450 {
		t.Errorf("%+v %v", r, err)
	}
	broken := errors.New("broken")
	fine := func() error { return nil }
	memory := func() (int64, error) { return 1, nil }
	if _, err := exchange(func() error { return broken }, fine, memory); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := exchange(fine, func() error { return broken }, memory); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestProbes(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	for i := range 3 {
		if err := made.Write(filepath.Join(dir, strconv.Itoa(i)), make([]byte, 1000*i)); err != nil {
			t.Fatal(err)
		}
	}
	var h hashed
	if _, err := probeInto(ctx, &h, nil, "hash", "2", dir); err != nil || h != (hashed{3, 3000}) {
		t.Errorf("%+v %v", h, err)
	}
	var m bandwidth
	if _, err := probeInto(ctx, &m, nil, "memory", "1"); err != nil || m.Read <= 0 || m.Copy <= 0 {
		t.Errorf("%+v %v", m, err)
	}
	for _, bad := range [][]string{{"no-such"}, {"open", filepath.Join(dir, "1")}, {"reload", filepath.Join(dir, "none")}, {"hash", "x", dir}, {"memory", "x"}} {
		if _, err := probeInto(ctx, &h, nil, bad...); err == nil {
			t.Errorf("%v: taken", bad)
		}
	}
	words := make([]uint64, 29)
	for i := range words {
		words[i] = uint64(i)
	}
	if got := sumWords(words); got != 23*24/2 { // whole steps of eight
		t.Error(got)
	}
}

// TestOpenAndReload has real rules opened.
func TestOpenAndReload(t *testing.T) {
	dir := t.TempDir()
	r := made.RuleSet{Kind: made.Hashes, N: 500}
	if err := r.Write(filepath.Join(dir, "rules.hdb"), false, nil); err != nil {
		t.Fatal(err)
	}
	if err := (made.RuleSet{Kind: made.Mixed, N: 500}).Write(filepath.Join(dir, "rules.ndb"), false, nil); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{dir}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rules.scdb")
	if err := made.Write(path, data); err != nil {
		t.Fatal(err)
	}
	var o opened
	if _, err := probeInto(context.Background(), &o, nil, "open", path); err != nil || o.Rules != 1000 || o.Open <= 0 || o.Before <= 0 || o.After < o.Before/2 || o.Served <= 0 {
		t.Errorf("%+v %v", o, err)
	}
	var x reloaded
	if _, err := probeInto(context.Background(), &x, nil, "reload", path); err != nil || x.Took <= 0 || x.Answers < 1 || x.Highest < x.Before || x.Longest <= 0 {
		t.Errorf("%+v %v", x, err)
	}
	db, err := ruledb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// One planted file is found by its digest and by its bytes.
	if got := scan.New(db, scan.Options{}).Scan(showcause.Bytes(made.Planted(3))); len(got.Findings) != 2 {
		t.Errorf("%d findings", len(got.Findings))
	}
}

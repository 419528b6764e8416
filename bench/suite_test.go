package main

import (
	"bytes"
	"context"
	"crypto/md5"
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
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

func TestDefinitions(t *testing.T) {
	names := map[string]bool{}
	kinds := []string{official, builtIn, hashes, mixed, noise, drawn, prefixed, common}
	for _, d := range definitions() {
		if names[d.name] || d.shows == "" || len(d.rules) == 0 {
			t.Errorf("%s: twice, or without a purpose or rules", d.name)
		}
		names[d.name] = true
		for _, r := range d.rules {
			if !slices.Contains(kinds, r.kind) || (r.n == 0) != (r.kind == official || r.kind == builtIn) {
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
		for i, r := range d.rules {
			if r.n > 1000 || slices.Contains(d.rules[:i], r) {
				t.Errorf("%s: %v", d.name, d.rules)
			}
		}
	}
	// What is named is run in the quick run too.
	some, _, err := choose("hashes,body", true, 5)
	if err != nil || len(some) != 2 || some[0].name != "body" || some[1].name != "hashes" || !slices.Equal(some[1].rules, []ruleSet{{hashes, 5}}) {
		t.Errorf("%+v %v", some, err)
	}
	if _, _, err := choose("body,no-such", false, 5); err == nil {
		t.Error("a definition that is not there was taken")
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestRules looks for each kind's patterns in the planted files, byte by byte:
// each file is found, by the rule with its number and no other.
func TestRules(t *testing.T) {
	system := bytes.Repeat([]byte("some bytes of a program that no one wrote "), 50)
	for _, kind := range []string{mixed, noise, drawn, prefixed, common} {
		r := ruleSet{kind, 300}
		found, n := map[int][]int{}, 0
		err := r.patterns(system, func(i int, p []byte) error {
			n++
			if len(p) < 6 {
				t.Errorf("%s: pattern %d has %d bytes", kind, i, len(p))
			}
			for k := range plantedFiles {
				if bytes.Contains(planted(k), p) {
					found[k] = append(found[k], i)
				}
			}
			return nil
		})
		if err != nil || n != r.n {
			t.Errorf("%s: %d patterns, %v", kind, n, err)
		}
		for k := range plantedFiles {
			if !slices.Equal(found[k], []int{k}) {
				t.Errorf("%s: file %d is found by %v", kind, k, found[k])
			}
		}
		var again [][]byte
		_ = r.patterns(system, func(_ int, p []byte) error { again = append(again, p); return nil })
		_ = r.patterns(system, func(i int, p []byte) error {
			if !bytes.Equal(again[i], p) {
				t.Errorf("%s: pattern %d differs the second time", kind, i)
			}
			return nil
		})
	}
	stop := errors.New("stop")
	if err := (ruleSet{noise, 3}).patterns(nil, func(int, []byte) error { return stop }); err != stop {
		t.Error(err)
	}
}

func TestDrawn(t *testing.T) {
	system := []byte("The quick brown fox jumps over the lazy dog, and back again 0123456789.")
	near := 0
	_ = (ruleSet{drawn, 100}).patterns(system, func(i int, p []byte) error {
		if i >= plantedFiles {
			if bytes.Contains(system, p) {
				t.Errorf("%q occurs", p)
			}
			if bytes.Contains(system, p[:literalSize/2]) && bytes.Contains(system, p[literalSize/2+1:]) {
				near++
			}
		}
		return nil
	})
	if near != 100-plantedFiles {
		t.Errorf("%d were drawn", near)
	}
	// Where there is nothing to draw from, it ends.
	for _, system := range [][]byte{nil, []byte("short"), make([]byte, 5000)} {
		if err := (ruleSet{drawn, 20}).patterns(system, func(int, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

func TestWriteRules(t *testing.T) {
	for _, c := range []struct {
		kind string
		yara bool
		line string
	}{
		{hashes, false, `^[0-9a-f]{32}:[1-9][0-9]*:Bench\.Hash-[0-9]+$`},
		{mixed, false, `^Bench\.literals-[0-9]+:0:\*:[0-9a-f]{48}$`},
		{prefixed, false, `^Bench\.prefix-[0-9]+:0:\*:0{32}[0-9a-f]{16}$`},
		{common, true, `^rule r[0-9]+ \{ strings: \$a = \{ [0-9a-f]{12} \} condition: \$a \}$`},
	} {
		path := filepath.Join(t.TempDir(), "rules")
		if err := (ruleSet{c.kind, 200}).writeRules(path, c.yara, nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(lines) != 200 {
			t.Errorf("%s: %d lines", c.kind, len(lines))
		}
		for _, l := range lines {
			if !regexp.MustCompile(c.line).MatchString(l) {
				t.Errorf("%s: %s", c.kind, l)
			}
		}
		if c.kind == hashes {
			for i := range plantedFiles {
				data := planted(i)
				if want := fmt.Sprintf("%x:%d:Bench.Hash-%d", md5.Sum(data), len(data), i); lines[i] != want {
					t.Errorf("line %d is %s, want %s", i, lines[i], want)
				}
			}
		}
	}
	if err := (ruleSet{hashes, 1}).writeRules(filepath.Join(t.TempDir(), "no", "folder"), false, nil); err == nil {
		t.Error("no error without a folder")
	}
}

// small is a bench that makes little, and finds the system's files in a folder of its own.
func small(t *testing.T) *bench {
	b := &bench{stderr: io.Discard, corpus: 1, runs: 1, cores: 1, each: time.Minute, most: 20, quick: true, tmp: t.TempDir(), corpora: map[string]*set{}, made: map[ruleSet]*rulesMade{}}
	b.files = []string{filepath.Join(t.TempDir(), "system")}
	for i := range 5 {
		if err := write(filepath.Join(b.files[0], strconv.Itoa(i)), append([]byte("\x7fELF"), newMaker(7, i, vocabulary()).text(5000)...)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestCorpora(t *testing.T) {
	one, two := small(t), small(t)
	for _, k := range corporaKinds() {
		a, err := one.corpusOf(k.name)
		if errors.Is(err, errAbsent) {
			t.Logf("%s: %v", k.name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if a.files <= plantedFiles || a.bytes < 20e3 || a.bytes > 10e6 {
			t.Errorf("%s: %d files, %d bytes", k.name, a.files, a.bytes)
		}
		if again, err := one.corpusOf(k.name); again != a || err != nil {
			t.Errorf("%s: was made again, %v", k.name, err)
		}
		b, err := two.corpusOf(k.name)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := hashTree(t, a.paths[0])
		y, _ := hashTree(t, b.paths[0])
		if x != y && k.name != "texts" && k.name != "programs" { // those of the system may change meanwhile
			t.Errorf("%s: differs the second time", k.name)
		}
	}
	if _, err := one.corpusOf("no-such"); err == nil {
		t.Error("a corpus that is not there")
	}
}

// TestPDF follows the table of cross-references, as a reader does.
func TestPDF(t *testing.T) {
	data := newMaker(1, 1, vocabulary()).pdf()
	tail := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(data)
	if tail == nil {
		t.Fatal("no startxref")
	}
	at, err := strconv.Atoi(string(tail[1]))
	if err != nil || !bytes.HasPrefix(data[at:], []byte("xref\n")) {
		t.Fatalf("%d: %v", at, err)
	}
	entries := regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`).FindAllSubmatch(data[at:], -1)
	for i, e := range entries {
		o, _ := strconv.Atoi(string(e[1]))
		if !bytes.HasPrefix(data[o:], fmt.Appendf(nil, "%d 0 obj\n", i+1)) {
			t.Errorf("object %d is not at %d", i+1, o)
		}
	}
	if len(entries) < 5 {
		t.Errorf("%d objects", len(entries))
	}
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
		"Left out: prefilter: random 1,000;", "| random 20 |", "| drawn 20 |",
		"| read and SHA-256 |", "Memory, one core: read ", flatRemark,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !regexp.MustCompile(`\| random 20 \|.*\| (\d+), (\d+) \|`).MatchString(text) || strings.Contains(text, "reported.") {
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
		if err := write(filepath.Join(dir, strconv.Itoa(i)), make([]byte, 1000*i)); err != nil {
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
	r := ruleSet{hashes, 500}
	if err := r.writeRules(filepath.Join(dir, "rules.hdb"), false, nil); err != nil {
		t.Fatal(err)
	}
	if err := (ruleSet{mixed, 500}).writeRules(filepath.Join(dir, "rules.ndb"), false, nil); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{dir}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rules.scdb")
	if err := write(path, data); err != nil {
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
	if got := scan.New(db, scan.Options{}).Scan(showcause.Bytes(planted(3))); len(got.Findings) != 2 {
		t.Errorf("%d findings", len(got.Findings))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test program be its own launcher, as main does.
func TestMain(m *testing.M) {
	if asked, err := helper(os.Args); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in    []float64
		want  spread
		noisy bool
	}{
		{[]float64{3}, spread{3, 3, 3}, false},
		{[]float64{9, 1}, spread{1, 5, 9}, true},
		{[]float64{3, 1, 2}, spread{1, 2, 3}, true},
		{[]float64{4, 10, 5, 4.5}, spread{4, 4.75, 10}, true},
		{[]float64{1.5, 1, 1.25}, spread{1, 1.25, 1.5}, false},
	} {
		in := append([]float64{}, c.in...)
		if got := spreadOf(in); got != c.want || got.noisy() != c.noisy {
			t.Errorf("%v: %+v, noisy %v", c.in, got, got.noisy())
		}
		if in[0] != c.in[0] {
			t.Errorf("%v: the input was sorted in place", c.in)
		}
	}
}

func TestLess(t *testing.T) {
	start := spread{1, 1.2, 1.5}
	for _, c := range []struct {
		scan float64
		d    float64
		ok   bool
	}{{3.2, 2, true}, {1.6, 0.4, false}, {1, -0.2, false}} {
		d, ok := less(spread{c.scan, c.scan, c.scan}, start)
		if ok != c.ok || d < c.d-1e-9 || d > c.d+1e-9 {
			t.Errorf("%v: %v %v", c.scan, d, ok)
		}
	}
	// A start without noise is not a licence for a negative time.
	if _, ok := less(spread{1, 1, 1}, spread{2, 2, 2}); ok {
		t.Error("a negative time was taken")
	}
}

func TestParseSummary(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     outcome
		ok       bool
	}{
		{"clamscan", "/x/a: Name: 3 FOUND\n\n----------- SCAN SUMMARY -----------\nKnown viruses: 268704\nEngine version: 1.4.6\nScanned directories: 1\nScanned files: 44\nInfected files: 7\nTotal errors: 2\nData scanned: 12.03 MB\nTime: 1.5 sec (0 m 1 s)\n", outcome{268704, 44, 7, 2}, true},
		{"clamdscan", "\n----------- SCAN SUMMARY -----------\nInfected files: 0\nTime: 0.002 sec (0 m 0 s)\n", outcome{-1, -1, 0, 0}, true},
		{"a file's name is not a summary", "Infected files: 5: OK\n", outcome{-1, -1, -1, 0}, false},
		{"cut short", "----------- SCAN SUMMARY -----------\nKnown viruses: 3\n", outcome{3, -1, -1, 0}, false},
		{"nothing", "", outcome{-1, -1, -1, 0}, false},
	} {
		if got, ok := parseSummary(c.in); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v %v", c.name, got, ok)
		}
	}
}

func TestParseProcess(t *testing.T) {
	status := "Name:\tVmHWM: 5 kB\nVmPeak:\t  900 kB\nVmHWM:\t  173 kB\nVmRSS:\t 100 kB\n"
	if n, err := parseStatus(status, "VmHWM"); n != 173<<10 || err != nil {
		t.Errorf("VmHWM: %d %v", n, err)
	}
	for _, bad := range []string{"", "VmHWM", "VmHWM:\tx kB\n"} {
		if n, err := parseStatus(bad, "VmHWM"); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
	stat := "77 (a) b (c)) S 1 77 77 0 -1 4194304 100 0 0 0 150 25 9 9 20 0 1 0 100 1 1"
	if d, err := parseStat(stat); d != 1750*time.Millisecond || err != nil {
		t.Errorf("stat: %v %v", d, err)
	}
	for n := range len(stat) - len(" 9 9 20 0 1 0 100 1 1") - len("25") {
		if d, err := parseStat(stat[:n]); err == nil {
			t.Errorf("%q: %v", stat[:n], d)
		}
	}
}

func TestCommandLine(t *testing.T) {
	b := &bench{}
	if err := b.flags([]string{"-runs", "3", "-db", "/secret/db", "-files", "/secret/x", "-o", "/secret/out", "-date", "2026-01-02"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if want := "go run ./bench -db DIR -files PATH -runs 3"; b.command != want {
		t.Errorf("%q, want %q", b.command, want)
	}
	for _, bad := range [][]string{{"-runs", "0"}, {"more"}, {"-no-such"}} {
		if err := new(bench).flags(bad, io.Discard); err == nil {
			t.Errorf("%v: taken", bad)
		}
	}
}

func TestAbsent(t *testing.T) {
	ctx := context.Background()
	err := run(ctx, []string{"-clamav", "-db", filepath.Join(t.TempDir(), "none")}, io.Discard, io.Discard)
	if !errors.Is(err, errAbsent) {
		t.Errorf("no database: %v", err)
	}
	if absent("", "x") == "" || absent("x", "y") != "" || program("no-such-program-here") != "" {
		t.Error("absent programs")
	}
	// A variant that is not there is a row that says so, and nothing is run.
	v := &variant{name: "clamscan", threads: 1, peer: true, why: absent(""), run: func(context.Context, []string) (sample, error) {
		t.Error("it was run")
		return sample{}, nil
	}}
	broken := &variant{name: "broken", threads: 1, run: func(context.Context, []string) (sample, error) { return sample{}, errors.New("no") }}
	got, err := inTurn(ctx, func(string, ...any) {}, []*variant{v, broken}, 2, nil)
	if err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

func TestInTurn(t *testing.T) {
	order := ""
	make := func(name string) *variant {
		return &variant{name: name, run: func(context.Context, []string) (sample, error) {
			order += name
			return sample{Wall: time.Duration(len(order)) * time.Second}, nil
		}}
	}
	a, b := make("A"), make("B")
	got, err := inTurn(context.Background(), func(string, ...any) {}, []*variant{a, b}, 3, nil)
	if err != nil || order != "ABABAB" || got[a].wall != (spread{1, 3, 5}) || got[b].wall != (spread{2, 4, 6}) {
		t.Errorf("%s %+v %v", order, got, err)
	}
}

func TestMeasure(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	s, err := measure(context.Background(), []string{"FOUND=3"}, "/bin/sh", "-c", `echo "- SCAN SUMMARY -"; echo "Infected files: $FOUND"; exit 1`)
	if err != nil || s.Exit != 1 || s.found != 3 || s.Wall <= 0 || s.Peak < 100<<10 || s.Floor < 100<<10 {
		t.Errorf("%+v %v", s, err)
	}
	for _, script := range []string{"exit 0", `echo "- SCAN SUMMARY -"; echo "Infected files: 0"; kill -9 $$`} {
		if s, err := measure(context.Background(), nil, "/bin/sh", "-c", script); err == nil {
			t.Errorf("%s: %+v", script, s)
		}
	}
	if _, err := measure(context.Background(), nil, "/no/such/program"); err == nil {
		t.Error("a program that is not there was measured")
	}
}

func TestClamdConfig(t *testing.T) {
	got := clamdConfig("/t", "/d", 2)
	for _, want := range []string{"LocalSocket /t/socket\n", "DatabaseDirectory /d\n", "TemporaryDirectory /t\n", "MaxThreads 2\n", "Foreground yes\n", "MaxRecursion 32\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "%!") {
		t.Error(got)
	}
}

func TestMarkdown(t *testing.T) {
	run := func(context.Context, []string) (sample, error) { return sample{}, nil }
	ours := &variant{name: "showcause", threads: 1, run: run}
	peer := &variant{name: "clamscan", threads: 1, peer: true, run: run}
	gone := &variant{name: "clamd + clamdscan", threads: 1, peer: true, why: absent("")}
	b := &bench{runs: 3, cores: 2, command: "go run ./bench", scan: []*variant{ours, peer, gone}, starts: []*variant{ours, peer, gone}}
	fig := func(s float64, found int) figures {
		return figures{wall: spread{s, s, s}, cpu: spread{s, s, s}, peak: spread{s * 1e6, s * 1e6, s * 1e6}, outcome: outcome{9, 1, found, 0}}
	}
	one, files := &set{name: "one byte"}, &set{name: "files", files: 7, bytes: 100e6}
	rep := &report{bench: b, sets: []*set{one, files}, results: map[*set]map[*variant]figures{
		one:   {ours: fig(1, 0), peer: fig(2, 0)},
		files: {ours: fig(2, 4), peer: fig(7, 5)},
	}}
	text := rep.markdown()
	for _, want := range []string{
		"| showcause | 1 | 2.000 / 2.000 / 2.000 | 2.000 | 2.0 | 50.0 | 100.0 | 1 | 4 | 0 |",
		"| clamscan | 1 | 7.000 / 7.000 / 7.000 | 7.000 | 7.0 | 14.3 | 20.0 | 1 | 5 | 0 |",
		"| clamd + clamdscan | 1 | not run: not installed |",
		"| files | clamscan | 1 | 0.286 | 0.200 | 0.286 | 0.286 |",
		"In 1 comparisons showcause took less wall time 1 times and less memory 1 times",
		"differs, so there the work was not the same: files (showcause 4, clamscan 5).",
		"## files: 7 files, 100.0 MB",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Error(text)
	}
}

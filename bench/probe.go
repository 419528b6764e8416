package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/bench/made"
	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// probeWord as the first argument makes this program one that measures
// something in a process of its own, and prints it as JSON.
const probeWord = "probe"

// helper does the work of a launcher or a probe, if the arguments ask for it.
func helper(args []string) (asked bool, err error) {
	switch {
	case len(args) > 2 && args[1] == launchWord:
		return true, launch(args[2:])
	case len(args) > 2 && args[1] == probeWord:
		v, err := probe(args[2], args[3:])
		if err != nil {
			return true, err
		}
		return true, json.NewEncoder(os.Stdout).Encode(v)
	}
	return false, nil
}

func probe(what string, args []string) (any, error) {
	switch {
	case what == "memory" && len(args) == 1:
		mb, err := strconv.Atoi(args[0])
		return memorySpeed(mb << 20), err
	case what == "open" && len(args) == 1:
		return openOnce(args[0])
	case what == "reload" && len(args) == 1:
		return reloadOnce(args[0])
	case what == "hash" && len(args) == 2:
		threads, err := strconv.Atoi(args[0])
		if err != nil {
			return nil, err
		}
		return hashFiles(threads, args[1])
	case what == "literal" && len(args) == 4:
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return nil, err
		}
		runs, err := strconv.Atoi(args[2])
		if err != nil {
			return nil, err
		}
		return filterOnce(made.RuleSet{Kind: args[0], N: n}, runs, args[3])
	}
	return nil, fmt.Errorf("probe %q: not known", what)
}

// probeInto runs a probe and decodes what it prints.
func probeInto(ctx context.Context, out any, env []string, args ...string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	s, text, errs, err := launched(ctx, env, append([]string{self, probeWord}, args...)...)
	if err != nil {
		return s, err
	}
	if s.Exit != 0 {
		return s, fmt.Errorf("probe %s: exit %d: %s", args[0], s.Exit, tail(errs))
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return s, fmt.Errorf("probe %s: %w", args[0], err)
	}
	return s, nil
}

// bandwidth is what one core does with memory, bytes a second.
type bandwidth struct{ Read, Copy float64 }

// memorySpeed is the best of several passes over n bytes, which should be more
// than the caches hold: reading them, eight words in a step, and copying them.
func memorySpeed(n int) bandwidth {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	words, other := make([]uint64, n/8), make([]uint64, n/8)
	for i := range words { // pages that were never written are all one page
		words[i], other[i] = uint64(i), uint64(i)
	}
	var out bandwidth
	var sum uint64
	for range 7 {
		started := time.Now()
		sum += sumWords(words)
		out.Read = max(out.Read, float64(n)/time.Since(started).Seconds())
		started = time.Now()
		copy(other, words)
		out.Copy = max(out.Copy, float64(n)/time.Since(started).Seconds())
	}
	if sum == 1 { // so that it is worked out
		out.Read++
	}
	return out
}

func sumWords(w []uint64) uint64 {
	var a, b, c, d, e, f, g, h uint64
	for len(w) >= 8 {
		p := (*[8]uint64)(w)
		a, b, c, d = a+p[0], b+p[1], c+p[2], d+p[3]
		e, f, g, h = e+p[4], f+p[5], g+p[6], h+p[7]
		w = w[8:]
	}
	return a + b + c + d + e + f + g + h
}

// opened is one opening: times in nanoseconds, memory in bytes (RssAnon of
// proc(5): what no file backs, so what is this process's alone).
type opened struct {
	Open, First           time.Duration
	Before, After, Served int64
	Rules                 int
}

func openOnce(path string) (o opened, err error) {
	if o.Before, err = statusBytes("self", "RssAnon"); err != nil {
		return o, err
	}
	started := time.Now()
	db, err := ruledb.Open(path)
	if err != nil {
		return o, err
	}
	defer db.Close()
	o.Open, o.Rules = time.Since(started), db.Len()
	if o.After, err = statusBytes("self", "RssAnon"); err != nil {
		return o, err
	}
	started = time.Now()
	scan.New(db, scan.Options{}).Scan(showcause.Bytes("a"))
	o.First = time.Since(started)
	o.Served, err = statusBytes("self", "RssAnon")
	return o, err
}

// reloaded is one exchange of databases while others are served.
type reloaded struct {
	Took            time.Duration // until the new one serves
	Usual, Longest  time.Duration // an answer: median before, longest meanwhile
	Before, Highest int64         // RssAnon: before, and the most there was
	Answers         int           // meanwhile
}

// exchange measures a reload: ask is one question to the server, which goes on
// all the time; memory is the server's.
func exchange(ask, reload func() error, memory func() (int64, error)) (r reloaded, err error) {
	var usual []time.Duration
	for range 50 {
		started := time.Now()
		if err := ask(); err != nil {
			return r, err
		}
		usual = append(usual, time.Since(started))
	}
	slices.Sort(usual)
	r.Usual = usual[len(usual)/2]
	if r.Before, err = memory(); err != nil {
		return r, err
	}
	r.Highest = r.Before
	var done atomic.Bool
	var failed error
	var wait sync.WaitGroup
	wait.Go(func() {
		for failed == nil && (!done.Load() || r.Answers == 0) {
			started := time.Now()
			failed = ask()
			r.Longest = max(r.Longest, time.Since(started))
			r.Answers++
		}
	})
	wait.Go(func() {
		for {
			if n, err := memory(); err == nil {
				r.Highest = max(r.Highest, n)
			}
			if done.Load() {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	started := time.Now()
	err = reload()
	r.Took = time.Since(started)
	done.Store(true)
	wait.Wait()
	return r, errors.Join(err, failed)
}

func reloadOnce(path string) (reloaded, error) {
	db, err := ruledb.Open(path)
	if err != nil {
		return reloaded{}, err
	}
	var serving atomic.Pointer[scan.Scanner]
	serving.Store(scan.New(db, scan.Options{}))
	block := bytes.Repeat([]byte("some text. "), 400)
	ask := func() error {
		serving.Load().Scan(showcause.Bytes(block))
		return nil
	}
	return exchange(ask, func() error {
		next, err := ruledb.Open(path)
		if err == nil {
			serving.Store(scan.New(next, scan.Options{}))
		}
		return err // the old one is left open: an answer may still need it
	}, func() (int64, error) { return statusBytes("self", "RssAnon") })
}

// hashed is the work of reading and SHA-256-ing files: the least that a scanner
// which records what it read must do.
type hashed struct{ Files, Bytes int64 }

func hashFiles(threads int, root string) (h hashed, err error) {
	paths := make(chan string, 64)
	var wait sync.WaitGroup
	var files, total atomic.Int64
	for range threads {
		wait.Go(func() {
			buf := make([]byte, 256<<10)
			for p := range paths {
				f, err := os.Open(p)
				if err != nil {
					continue
				}
				sum := sha256.New()
				n, err := io.CopyBuffer(onlyWriter{sum}, onlyReader{f}, buf)
				f.Close()
				if err == nil {
					sum.Sum(nil)
					files.Add(1)
					total.Add(n)
				}
			}
		})
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			paths <- path
		}
		return err
	})
	close(paths)
	wait.Wait()
	return hashed{files.Load(), total.Load()}, err
}

// onlyReader and onlyWriter hide other methods, so that the buffer is used.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// filtered is what the prefilter did with some megabytes.
type filtered struct {
	Compile  time.Duration
	Blob     int
	Bytes    int
	Rates    []float64 // each run, bytes a second by the clock
	CPURates []float64 // and by the processor's time
	Hits     int
	Planted  int // of the planted literals, how many occurrences there are
	Reported int // and how many of them were reported
}

// filterOnce makes the literals of a set and looks for them in the files below a folder.
func filterOnce(r made.RuleSet, runs int, root string) (out filtered, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var lits []literal.Literal
	system := made.SystemBytes([]string{root}, 16<<20)
	_ = r.Patterns(system, func(_ int, p []byte) error {
		lits = append(lits, literal.Literal{Bytes: p})
		return nil
	})
	started := time.Now()
	blob, err := literal.Compile(lits)
	if err != nil {
		return out, err
	}
	out.Compile, out.Blob = time.Since(started), len(blob)
	set, err := literal.Open(blob)
	if err != nil {
		return out, err
	}
	buf := made.SystemBytes([]string{filepath.Join(root, "planted"), root}, 256<<20)
	out.Bytes = len(buf)
	for i := range min(made.PlantedFiles, len(lits)) {
		out.Planted += bytes.Count(buf, lits[i].Bytes)
	}
	// Few bytes are passed over several times, or the clock's steps would show.
	passes := max(1, (64<<20)/max(1, len(buf)))
	var hits []literal.Hit
	for run := range runs + 1 { // the first is to warm
		var spent, cpu time.Duration
		for range passes {
			var a, b time.Duration
			hits, a, b = out.pass(set, buf, hits)
			spent, cpu = spent+a, cpu+b
		}
		if n := float64(len(buf) * passes); run > 0 {
			out.Rates, out.CPURates = append(out.Rates, n/spent.Seconds()), append(out.CPURates, n/max(cpu.Seconds(), 1e-9))
		}
	}
	return out, nil
}

// pass looks for the literals in all of buf, a megabyte at a time, and counts.
func (out *filtered) pass(set *literal.Set, buf []byte, hits []literal.Hit) (_ []literal.Hit, spent, cpu time.Duration) {
	out.Hits, out.Reported = 0, 0
	for at := 0; at < len(buf); at += 1 << 20 {
		before, started := processorSelf(), time.Now()
		hits = set.Scan(buf, at, min(at+1<<20, len(buf)), hits[:0])
		spent += time.Since(started)
		cpu += processorSelf() - before
		out.Hits += len(hits)
		for _, h := range hits {
			if h.ID < made.PlantedFiles {
				out.Reported++
			}
		}
	}
	return hits, spent, cpu
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/showcause/showcause/bench/made"
)

// defaults of the two runs.
const (
	wholeCorpus, quickCorpus = 1000, 16 // MB of programs
	wholeMost, quickMost     = 1 << 30, 100_000
	wholeEach, quickEach     = 30 * time.Minute, 30 * time.Second
)

// row is one line of a table: its cells, and what they were taken from, if that
// is one run of programs.
type row struct {
	cells  []string
	figure figures
}

// table is what one definition gave.
type table struct {
	def     definition
	load    string // before and after
	took    time.Duration
	head    []string
	rows    []row
	remarks []string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, row{cells: cells}) }

func (t *table) remark(format string, a ...any) {
	t.remarks = append(t.remarks, fmt.Sprintf(format, a...))
}

// runSuite runs the definitions that were asked for, one after the other.
func (b *bench) runSuite(ctx context.Context) (string, error) {
	defs, left, err := choose(b.only, b.quick, b.most)
	if err != nil {
		return "", err
	}
	b.corpora, b.compiledSets = map[string]*set{}, map[made.RuleSet]*rulesMade{}
	var speed bandwidth
	if _, err := probeInto(ctx, &speed, nil, "memory", strconv.Itoa(b.probeMB())); err != nil {
		return "", err
	}
	machine := b.describe(ctx)
	var tables []*table
	for _, d := range defs {
		b.say("== %s", d.name)
		t := &table{def: d, load: loadNow()}
		started := time.Now()
		switch d.way {
		case scanning, yaraScans:
			err = b.scanTables(ctx, t)
		case filtering:
			err = b.filterTable(ctx, t, speed)
		case databases:
			err = b.databaseTable(ctx, t)
		}
		if errors.Is(err, errAbsent) {
			t.remark("Not run: %v.", err)
			err = nil
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", d.name, err)
		}
		t.took = time.Since(started)
		t.load += " to " + loadNow()
		tables = append(tables, t)
		b.forget()
	}
	return b.suiteText(machine, speed, tables, left), nil
}

// probeMB is how much memory the bandwidth is measured on.
func (b *bench) probeMB() int { return int(min(max(b.corpus, 8), 512)) }

func loadNow() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// rulesMade is a rule set on disk: its folder or file for ClamAV's programs, its
// compiled form, and what the compiling took.
type rulesMade struct {
	source, compiled string
	figure           figures
}

// rules makes a rule set and compiles it, the first time it is asked for.
func (b *bench) rules(ctx context.Context, r made.RuleSet, yara bool) (*rulesMade, error) {
	key := r
	if yara {
		key.Kind += " yara"
	}
	if m := b.compiledSets[key]; m != nil {
		return m, nil
	}
	name := strings.ReplaceAll(key.Kind, " ", "-") + "-" + strconv.Itoa(r.N)
	m := &rulesMade{compiled: filepath.Join(b.tmp, name+".scdb")}
	switch r.Kind {
	case builtIn:
		return &rulesMade{}, nil
	case official:
		if st, err := os.Stat(b.db); err != nil || !st.IsDir() {
			return nil, fmt.Errorf("%w: no ClamAV database; name a folder with -db", errAbsent)
		}
		m.source = b.db
	default:
		b.say("rules: %s", r)
		ext := ".ndb"
		switch {
		case yara:
			ext = ".yar"
		case r.Kind == made.Hashes:
			ext = ".hdb"
		}
		m.source = filepath.Join(b.tmp, "rules-"+name)
		if err := os.MkdirAll(m.source, 0o700); err != nil {
			return nil, err
		}
		if yara {
			m.source = filepath.Join(m.source, "rules.yar")
			ext = ""
		}
		if b.system == nil {
			b.system = made.SystemBytes(b.files, 16<<20)
		}
		path := m.source
		if ext != "" {
			path = filepath.Join(m.source, "rules"+ext)
		}
		if err := r.Write(path, yara, b.system); err != nil {
			return nil, err
		}
	}
	s, err := b.execute(ctx, b.showcause, "rules", "compile", m.source, "-o", m.compiled)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	m.figure = figuresOf([]sample{s})
	b.compiledSets[key] = m
	return m, nil
}

// forget removes the made rules: 10 million take gigabytes.
func (b *bench) forget() {
	for key, m := range b.compiledSets {
		if key.Kind == official {
			continue
		}
		os.Remove(m.compiled)
		if strings.HasPrefix(m.source, b.tmp) {
			os.RemoveAll(m.source)
		}
		delete(b.compiledSets, key)
	}
}

// execute runs a command within the time for one run, and wants exit code 0.
func (b *bench) execute(ctx context.Context, args ...string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, b.each)
	defer cancel()
	s, _, errs, err := launched(ctx, []string{"TMPDIR=" + b.tmp, "XDG_CACHE_HOME=" + filepath.Join(b.tmp, "cache"), "SHOWCAUSE_STORE=off"}, args...)
	if ctx.Err() == context.DeadlineExceeded {
		return s, fmt.Errorf("%s: over %v", filepath.Base(args[0]), b.each)
	}
	if err == nil && s.Exit != 0 {
		err = fmt.Errorf("%s: exit %d: %s", filepath.Base(args[0]), s.Exit, tail(errs))
	}
	return s, err
}

// bounded gives each run of a variant its time, and keeps the reason when it fails.
func (b *bench) bounded(v *variant) *variant {
	run := v.run
	v.run = func(ctx context.Context, paths []string) (sample, error) {
		inner, cancel := context.WithTimeout(ctx, b.each)
		defer cancel()
		s, err := run(inner, paths)
		if err != nil && inner.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("over %v", b.each)
		}
		v.failure = ""
		if err != nil {
			v.failure = strings.ReplaceAll(tail(err.Error()), "\n", " ")
		}
		return s, err
	}
	return v
}

// flatFlags switch unpacking off, as far as both can.
func flatFlags() []string { return []string{"--max-recursion=1"} }

// suiteVariants are showcause and its rivals over one rule set. The function
// that is returned ends servers.
func (b *bench) suiteVariants(ctx context.Context, d definition, r made.RuleSet, threads int) (vs []*variant, end func(), err error) {
	end = func() {}
	m, err := b.rules(ctx, r, d.way == yaraScans)
	if err != nil {
		return nil, end, err
	}
	if d.way == yaraScans {
		vs, err = b.suiteYARA(ctx, d, m)
		return vs, end, err
	}
	var extra []string
	limits := limitFlags()
	if d.flat {
		extra = flatFlags()
		limits = append(limits, extra...)
	}
	cache := filepath.Join(b.tmp, "cache")
	vs = append(vs, b.bounded(&variant{name: "showcause", threads: threads, run: func(ctx context.Context, paths []string) (sample, error) {
		return b.runShowcause(ctx, m.compiled, cache, threads, append(extra, paths...))
	}}))
	for _, rival := range d.rivals {
		switch {
		case rival == "read":
			vs = append(vs, b.bounded(&variant{name: "read and SHA-256", threads: threads, peer: true, run: func(ctx context.Context, paths []string) (sample, error) {
				return b.hashRun(ctx, threads, paths)
			}}))
		case r.Kind == builtIn: // nobody else has them
		case rival == "clamscan" && threads == 1:
			vs = append(vs, b.bounded(&variant{name: "clamscan", threads: 1, peer: true, why: absent(b.clamscan), run: func(ctx context.Context, paths []string) (sample, error) {
				args := append([]string{b.clamscan, "-d", m.source, "-r", "--infected", "--max-scantime=0", "--tempdir=" + b.tmp}, limits...)
				return measure(ctx, nil, append(args, paths...)...)
			}}))
		case rival == "clamd":
			v, stop := b.suiteClamd(ctx, d, m, threads)
			vs, end = append(vs, v), stop
		}
	}
	return vs, end, nil
}

// suiteClamd starts one server for all runs over a rule set, that remembers no files.
func (b *bench) suiteClamd(ctx context.Context, d definition, m *rulesMade, threads int) (v *variant, stop func()) {
	v = &variant{name: "clamd", threads: threads, peer: true, why: absent(b.clamd, b.clamdscan)}
	if v.why != "" {
		return v, func() {}
	}
	more := []string{"DisableCache yes"}
	if d.flat {
		more = append(more, "MaxRecursion 1")
	}
	server, err := b.startServer(ctx, m.source, threads, more...)
	if err != nil {
		v.why = tail(err.Error())
		return v, func() {}
	}
	v.run = func(ctx context.Context, paths []string) (sample, error) {
		return b.askServer(ctx, server, threads, paths)
	}
	return b.bounded(v), server.stop
}

// startServer starts clamd within the time of one run.
func (b *bench) startServer(ctx context.Context, db string, threads int, more ...string) (*clamd, error) {
	// The server lives as long as ctx; only its start is bounded.
	type started struct {
		d   *clamd
		err error
	}
	inner, cancel := context.WithCancel(ctx)
	got := make(chan started, 1)
	go func() {
		d, err := startClamd(inner, b.clamd, b.tmp, db, threads, more...)
		got <- started{d, err}
	}()
	select {
	case s := <-got:
		if s.err != nil {
			cancel()
			return nil, s.err
		}
		s.d.cancel = cancel
		return s.d, nil
	case <-time.After(b.each):
		cancel()
		if s := <-got; s.err == nil {
			s.d.stop()
		}
		return nil, fmt.Errorf("clamd: over %v", b.each)
	}
}

// askServer measures clamdscan against a server that runs; its CPU time is of
// both, its memory the server's.
func (b *bench) askServer(ctx context.Context, d *clamd, threads int, paths []string) (s sample, err error) {
	before, err := cpuTime(d.pid)
	if err != nil {
		return s, err
	}
	args := []string{b.clamdscan, "--config-file=" + d.config, "--infected", "--fdpass"}
	if threads > 1 {
		args = append(args, "--multiscan")
	}
	if s, err = measure(ctx, nil, append(args, paths...)...); err != nil {
		return s, err
	}
	err = d.usage(&s)
	s.CPU -= before
	return s, err
}

func (b *bench) hashRun(ctx context.Context, threads int, paths []string) (sample, error) {
	var h hashed
	s, err := probeInto(ctx, &h, []string{"GOMAXPROCS=" + strconv.Itoa(threads)}, "hash", strconv.Itoa(threads), paths[0])
	s.outcome = outcome{rules: -1, files: int(h.Files), found: -1}
	return s, err
}

// suiteYARA are the variants with YARA rules, compiled by each program.
func (b *bench) suiteYARA(ctx context.Context, d definition, m *rulesMade) ([]*variant, error) {
	vs := []*variant{b.bounded(b.yaraVariant("showcause yara", func(paths []string) []string {
		return append([]string{b.showcause, "yara", "-p", "1", "-w", "-r", "-C", m.compiled}, paths...)
	}))}
	for _, rival := range d.rivals {
		bin, compiled := program(rival), m.compiled+"."+rival
		var compile []string
		var scan func(paths []string) []string
		v := &variant{name: rival, threads: 1, peer: true, why: absent(bin)}
		switch rival {
		case "yara":
			yarac := program("yarac")
			v.why = absent(bin, yarac)
			compile = []string{yarac, "-w", m.source, compiled}
			scan = func(paths []string) []string {
				return append([]string{bin, "-p", "1", "-w", "-r", "-C", compiled}, paths...)
			}
		case "yr":
			compile = []string{bin, "compile", "-o", compiled, m.source}
			scan = func(paths []string) []string {
				return append([]string{bin, "scan", "-p", "1", "-r", "-C", compiled}, paths...)
			}
		}
		if v.why == "" {
			if _, err := b.execute(ctx, compile...); err != nil {
				v.why = "compile: " + tail(err.Error())
			} else {
				v = b.yaraVariant(rival, scan)
				v.peer = true
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		vs = append(vs, b.bounded(v))
	}
	return vs, nil
}

// corpusOf makes a corpus when it is first asked for, and reads it, so that it
// is in memory.
func (b *bench) corpusOf(name string) (*set, error) {
	if s := b.corpora[name]; s != nil {
		return s, nil
	}
	for _, c := range made.Corpora() {
		if c.Name != name {
			continue
		}
		b.say("corpus %s: %s", c.Name, c.What)
		s := &set{name: name, paths: []string{filepath.Join(b.tmp, "corpora", name)}}
		if err := c.Fill(made.Size{Programs: b.corpus * 1e6, Roots: b.files}, s.paths[0]); err != nil {
			return nil, err
		}
		if err := s.read(); err != nil {
			return nil, err
		}
		b.corpora[name] = s
		return s, nil
	}
	return nil, fmt.Errorf("corpus %q: not known", name)
}

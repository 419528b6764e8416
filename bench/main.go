// Command bench measures showcause beside what a user would take instead: the
// same files, the same rules, one machine, whole processes in turn. It prints
// Markdown. What is measured is a list of definitions (define.go):
//
//	go run ./bench                      # all of them: hours
//	go run ./bench -quick               # a part, small, in about two minutes
//	go run ./bench -list
//	go run ./bench -only prefilter,body -runs 5
//
// and, for what is not a row of rules, files and rivals:
//
//	go run ./bench -clamav -runs 5      # docs/bench.md
//	go run ./bench -jail -corpus 1000   # with and without the jail
//	go run ./bench -unpack -corpus 200  # unpacking, beside the formats' own tools
//	go run ./bench -yara -files /usr/bin -files /usr/lib   # YARA rules, beside yara
//
// ClamAV's database is found in $SHOWCAUSE_DATA or named with -db; what is not
// there or not installed is "not run". Inner loops have Go benchmarks of their own:
//
//	go test -run '^$' -bench . ./literal ./pattern ./rule ./clamsig
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/showcause/showcause/bench/made"
)

// errAbsent is the reason for exit code 2: nothing to compare with.
var errAbsent = errors.New("nothing to compare")

// bench is one comparison.
type bench struct {
	runs      int
	corpus    int64 // MB
	cores     int
	date      string
	out       string
	db        string
	testfiles string
	files     []string
	timeout   time.Duration
	jail      bool   // the price of the jail, and nothing else
	yara      bool   // YARA rules beside yara, and nothing else
	unpack    bool   // unpacking beside the formats' own tools, and nothing else
	clamav    bool   // whole scans beside ClamAV, and nothing else
	command   string // as anyone can run it

	quick, list  bool
	only         string        // names of definitions; empty for all
	most         int           // rules in a set that is made
	each         time.Duration // for one run of one program
	corpora      map[string]*set
	compiledSets map[made.RuleSet]*rulesMade
	system       []byte // of this system's programs, to draw rules from

	tmp, compiled       string
	showcause, clamscan string // programs; empty if not installed
	clamd, clamdscan    string
	stderr              io.Writer
	scan, starts        []*variant // starts are scan and more
}

func main() {
	if asked, err := helper(os.Args); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errAbsent):
		fmt.Fprintf(os.Stderr, "bench: not run: %v\n", err)
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "bench: %v\n", err)
	os.Exit(1)
}

func (b *bench) flags(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&b.runs, "runs", 0, "runs of each (default 3; 1 with -quick)")
	f.Int64Var(&b.corpus, "corpus", 0, "size in MB of the programs that are scanned (default 1000; 16 with -quick), to which other files are in proportion; with -clamav, -jail and -unpack of the generated files (default 200)")
	f.IntVar(&b.cores, "threads", runtime.NumCPU(), "threads of the rows that use all cores")
	f.StringVar(&b.db, "db", "", "folder of a ClamAV database (default clamav/official in $SHOWCAUSE_DATA)")
	f.StringVar(&b.testfiles, "testfiles", "/usr/share/clamav-testfiles", "folder of files that are found")
	f.StringVar(&b.out, "o", "", "write the result to this file too")
	f.StringVar(&b.date, "date", time.Now().Format(time.DateOnly), "date to print")
	f.StringVar(&b.showcause, "showcause", "", "showcause program (default: built from this source)")
	f.BoolVar(&b.quick, "quick", false, "a part of the definitions, with few files and rules")
	f.BoolVar(&b.list, "list", false, "name the definitions, and run nothing")
	f.StringVar(&b.only, "only", "", "run these definitions alone (names, with commas between)")
	f.IntVar(&b.most, "most", 0, "rules in a set that is made: larger sets are cut (default: no bound; 100000 with -quick, and a tenth where scanners load them)")
	f.DurationVar(&b.each, "each", 0, "end one run of one program after this time (default 30m; 30s with -quick)")
	f.BoolVar(&b.clamav, "clamav", false, "measure whole scans beside ClamAV, and nothing else")
	f.BoolVar(&b.jail, "jail", false, "measure showcause with and without its jail, and nothing else; needs no ClamAV")
	f.BoolVar(&b.yara, "yara", false, "measure YARA rules beside yara, and nothing else; needs yara, and rules in yara/ of $SHOWCAUSE_DATA")
	f.BoolVar(&b.unpack, "unpack", false, "measure unpacking beside unzip, tar, xz, zstd and 7z, and nothing else")
	f.DurationVar(&b.timeout, "timeout", 6*time.Hour, "end the whole after this time")
	f.Func("files", "file or folder to scan (repeatable; default /usr/bin)", func(s string) error {
		b.files = append(b.files, s)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return err
	}
	said := map[string]bool{}
	f.Visit(func(g *flag.Flag) { said[g.Name] = true })
	b.defaults(said)
	if f.NArg() > 0 || b.runs < 1 || b.cores < 1 || b.most < 1 || b.each <= 0 {
		return errors.New("usage: bench [flags], with at least one run and one thread")
	}
	if len(b.files) == 0 {
		b.files = []string{"/usr/bin"}
	}
	b.command = commandLine(f)
	return nil
}

// suite says that the definitions are what is run.
func (b *bench) suite() bool { return !b.clamav && !b.jail && !b.yara && !b.unpack }

// defaults fills in what was not said.
func (b *bench) defaults(said map[string]bool) {
	runs, corpus, most, each := 3, int64(wholeCorpus), wholeMost, wholeEach
	if b.quick {
		runs, corpus, most, each = 1, quickCorpus, quickMost, quickEach
	}
	if !b.suite() {
		corpus = 200
	}
	if !said["runs"] {
		b.runs = runs
	}
	if !said["corpus"] {
		b.corpus = corpus
	}
	if !said["most"] {
		b.most = most
	}
	if !said["each"] {
		b.each = each
	}
}

// commandLine is the command as another machine can run it: what names a place
// of this machine is a word for it.
func commandLine(f *flag.FlagSet) string {
	words := []string{"go run ./bench"}
	f.Visit(func(g *flag.Flag) {
		switch g.Name {
		case "runs", "corpus", "threads", "only", "most", "each":
			words = append(words, "-"+g.Name, g.Value.String())
		case "jail", "yara", "unpack", "clamav", "quick":
			words = append(words, "-"+g.Name)
		case "db":
			words = append(words, "-db DIR")
		case "files":
			words = append(words, "-files PATH")
		}
	})
	return strings.Join(words, " ")
}

func (b *bench) say(format string, a ...any) { fmt.Fprintf(b.stderr, format+"\n", a...) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	b := &bench{stderr: stderr}
	if err := b.flags(args, stderr); err != nil {
		return err
	}
	if b.list {
		_, err := io.WriteString(stdout, list())
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := b.find(ctx); err != nil {
		return err
	}
	if b.tmp, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.tmp)
	if !b.unpack {
		if err := b.prepare(ctx); err != nil {
			return err
		}
	}
	var text string
	switch {
	case b.unpack:
		var table strings.Builder
		err = b.unpacking(ctx, &table)
		text = table.String()
	case b.jail:
		text, err = b.priceOfJail(ctx)
	case b.yara:
		text, err = b.besideYARA(ctx)
	case b.suite():
		text, err = b.runSuite(ctx)
	default:
		b.variants()
		var rep *report
		if rep, err = b.measureAll(ctx); err == nil {
			text = rep.markdown()
		}
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	if b.out != "" {
		return os.WriteFile(b.out, []byte(text), 0o644)
	}
	return nil
}

// dataFolder is where rules of others are.
func dataFolder(ctx context.Context) (string, error) {
	if data := os.Getenv("SHOWCAUSE_DATA"); data != "" {
		return data, nil
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("repository root: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "..", "shared", "data"), nil
}

// find looks for the database and the programs.
func (b *bench) find(ctx context.Context) error {
	if b.db == "" {
		data, err := dataFolder(ctx)
		if err != nil {
			return err
		}
		b.db = filepath.Join(data, "clamav", "official")
	}
	if b.yara || b.unpack {
		b.db = ""
		return nil
	}
	var err error
	if b.db, err = filepath.Abs(b.db); err != nil {
		return err
	}
	if st, err := os.Stat(b.db); err != nil || !st.IsDir() {
		if b.jail || b.suite() {
			b.db = ""
			b.findPrograms()
			return nil
		}
		return fmt.Errorf("%w: no ClamAV database at %s; name a folder with -db", errAbsent, b.db)
	}
	b.findPrograms()
	if b.clamscan == "" && b.clamd == "" && b.clamav {
		return fmt.Errorf("%w: neither clamscan nor clamd is installed", errAbsent)
	}
	return nil
}

func (b *bench) findPrograms() {
	b.clamscan, b.clamdscan, b.clamd = program("clamscan"), program("clamdscan"), program("clamd")
}

// program looks in PATH, and where PATH does not name the administrator's programs.
func program(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if p, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return p
	}
	return ""
}

// prepare builds showcause and compiles the database with it.
func (b *bench) prepare(ctx context.Context) error {
	command := func(args ...string) error {
		c := exec.CommandContext(ctx, args[0], args[1:]...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(args[0]), err, tail(string(out)))
		}
		return nil
	}
	if b.showcause == "" {
		b.say("building showcause")
		b.showcause = filepath.Join(b.tmp, "showcause")
		if err := command("go", "build", "-trimpath", "-o", b.showcause, "github.com/showcause/showcause/cmd/showcause"); err != nil {
			return err
		}
	}
	if b.db == "" || b.suite() {
		return nil
	}
	b.compiled = filepath.Join(b.tmp, "rules.scdb")
	return command(b.showcause, "rules", "compile", b.db, "-o", b.compiled)
}

// runShowcause scans as clamscan does: the same limits, lines only for what is
// found. One thread is one processor for the whole process, collector included.
func (b *bench) runShowcause(ctx context.Context, db, cache string, threads int, paths []string) (sample, error) {
	env := []string{"XDG_CACHE_HOME=" + cache, "SHOWCAUSE_STORE=" + filepath.Join(b.tmp, "store"), "TMPDIR=" + b.tmp, "GOMAXPROCS=" + strconv.Itoa(threads)}
	args := []string{b.showcause, "scan"}
	if db != "" {
		args = append(args, "--db", db)
	}
	args = append(args, append([]string{"--jobs", strconv.Itoa(threads), "--format", "clamscan", "--infected"}, limitFlags()...)...)
	return measure(ctx, env, append(args, paths...)...)
}

func (b *bench) variants() {
	cache := filepath.Join(b.tmp, "cache")
	engine := func(threads int) *variant {
		return &variant{name: "showcause", threads: threads, run: func(ctx context.Context, paths []string) (sample, error) {
			return b.runShowcause(ctx, b.compiled, cache, threads, paths)
		}}
	}
	folder := func(name, db string, dir func() (string, error)) *variant {
		return &variant{name: name, threads: b.cores, run: func(ctx context.Context, paths []string) (sample, error) {
			d, err := dir()
			if err != nil {
				return sample{}, err
			}
			return b.runShowcause(ctx, db, d, b.cores, paths)
		}}
	}
	clamscan := &variant{name: "clamscan", threads: 1, peer: true, why: absent(b.clamscan), run: func(ctx context.Context, paths []string) (sample, error) {
		args := append([]string{b.clamscan, "-d", b.db, "-r", "--infected", "--max-scantime=0", "--tempdir=" + b.tmp}, limitFlags()...)
		return measure(ctx, nil, append(args, paths...)...)
	}}
	daemon := func(threads int) *variant {
		return &variant{name: "clamd + clamdscan", threads: threads, peer: true, why: absent(b.clamd, b.clamdscan), run: func(ctx context.Context, paths []string) (sample, error) {
			return b.clamdScan(ctx, threads, paths)
		}}
	}
	b.scan = []*variant{engine(1), clamscan, daemon(1)}
	if b.cores > 1 {
		b.scan = append(b.scan, engine(b.cores), daemon(b.cores))
	}
	b.starts = append(b.starts, b.scan...)
	b.starts = append(b.starts,
		folder("showcause --db DIR, first time: compiles", b.db, func() (string, error) { return os.MkdirTemp(b.tmp, "first") }),
		folder("showcause --db DIR, compiled before", b.db, func() (string, error) { return cache, nil }),
		folder("showcause, built-in rules", "", func() (string, error) { return cache, nil }),
	)
	server := func(name string, reload bool) *variant {
		return &variant{name: name, threads: b.cores, peer: true, why: absent(b.clamd), run: func(ctx context.Context, _ []string) (sample, error) {
			return b.clamdStart(ctx, reload)
		}}
	}
	b.starts = append(b.starts, server("clamd, start to PONG", false), server("clamd, RELOAD", true))
}

// absent says why a variant that needs these programs is not run.
func absent(programs ...string) string {
	for _, p := range programs {
		if p == "" {
			return "not installed"
		}
	}
	return ""
}

// set is what is scanned together.
type set struct {
	name  string
	paths []string
	files int
	bytes int64
}

// read counts the regular files of a set and reads them, so that all runs find
// them in memory. What cannot be read is not counted: no scanner reads it either.
func (s *set) read() error {
	for _, p := range s.paths {
		// A link that is named is followed, as the scanners do.
		p, err := filepath.EvalSymlinks(p)
		if err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
		err = filepath.WalkDir(p, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			n, err := io.Copy(io.Discard, f)
			s.files++
			s.bytes += n
			return err
		})
		if err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

// sets makes the sets; the first is the start.
func (b *bench) sets() ([]*set, error) {
	one := filepath.Join(b.tmp, "one")
	if err := made.Write(one, []byte("a")); err != nil {
		return nil, err
	}
	sets := []*set{{name: "one byte", paths: []string{one}}}
	for _, p := range b.files {
		name := p
		if p != "/usr/bin" {
			name = filepath.Base(p)
		}
		sets = append(sets, &set{name: name, paths: []string{p}})
	}
	if b.corpus > 0 {
		b.say("generating %d MB", b.corpus)
		dir := filepath.Join(b.tmp, "corpus")
		if err := made.Generate(dir, b.corpus*1e6); err != nil {
			return nil, err
		}
		for _, g := range made.Groups() {
			sets = append(sets, &set{name: "generated " + g, paths: []string{filepath.Join(dir, g)}})
		}
	}
	if _, err := os.Stat(b.testfiles); err == nil {
		sets = append(sets, &set{name: "clamav-testfiles", paths: []string{b.testfiles}})
	} else {
		b.say("clamav-testfiles: not installed: not run")
	}
	for _, s := range append(sets, &set{name: "database", paths: []string{b.db, b.compiled}}) {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// measureAll runs everything: first the start, over a file of one byte.
func (b *bench) measureAll(ctx context.Context) (*report, error) {
	sets, err := b.sets()
	if err != nil {
		return nil, err
	}
	rep := &report{bench: b, machine: b.describe(ctx), sets: sets, results: map[*set]map[*variant]figures{}}
	b.say("warming up")
	if _, err := inTurn(ctx, b.say, b.starts, 1, sets[0].paths); err != nil {
		return nil, err
	}
	for i, s := range sets {
		vs := b.scan
		if i == 0 {
			vs = b.starts
		}
		b.say("%s: %d files, %.1f MB", s.name, s.files, float64(s.bytes)/1e6)
		if rep.results[s], err = inTurn(ctx, b.say, vs, b.runs, s.paths); err != nil {
			return nil, err
		}
	}
	return rep, nil
}

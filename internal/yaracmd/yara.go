package yaracmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/yaracli"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/cuckoo"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// YARA is the command that is called as yara is.
func (h Host) YARA() *cobra.Command {
	return &cobra.Command{
		Use:                "yara [OPTIONS] [NAMESPACE:]RULES... TARGET",
		Short:              "Scan with YARA rules, with yara's own options and output",
		DisableFlagParsing: true, // yara's are not read as ours are
		RunE: func(c *cobra.Command, args []string) error {
			y := &run{h: h, stdin: c.InOrStdin(), stderr: c.ErrOrStderr(), out: bufio.NewWriterSize(c.OutOrStdout(), 64<<10)}
			y.terminal = h.Terminal(c.OutOrStdout())
			err := y.main(c.Context(), args)
			if ferr := y.out.Flush(); err == nil && ferr != nil {
				return fmt.Errorf("output: %w", ferr)
			}
			return err
		},
	}
}

// run is one run of the command.
type run struct {
	h      Host
	o      *yaracli.Options
	stdin  io.Reader
	stderr io.Writer
	out    *bufio.Writer
	// terminal says that out ends at one.
	terminal bool

	db        *ruledb.DB
	imports   []string // modules that the rules import, or use if they were compiled
	externals map[string]module.Value
	files     map[string][]byte // -x
	broken    error             // what -x gave a module that is imported and cannot be read
	deadline  time.Time
	failed    bool // something was not looked at
}

// say prints a line to standard error.
func (y *run) say(form string, args ...any) { fmt.Fprintf(y.stderr, form+"\n", args...) }

// fail is say before the run ends.
func (y *run) fail(form string, args ...any) error {
	y.say(form, args...)
	return y.h.Exit(1)
}

func (y *run) main(ctx context.Context, args []string) error {
	o, rest, err := yaracli.Parse(args)
	if err != nil {
		return y.fail("%v", err)
	}
	y.o = o
	switch {
	case o.Version:
		_, err := fmt.Fprintln(y.out, y.h.Version)
		return err
	case o.Help:
		_, err := y.out.WriteString(yaracli.Help())
		return err
	case o.ModuleNames:
		for _, name := range module.Names() {
			fmt.Fprintln(y.out, name)
		}
		return nil
	case o.Threads > yaracli.MaxThreads:
		return y.fail("maximum number of threads is %d", yaracli.MaxThreads)
	case o.Jail != "on" && o.Jail != answer.JailOff:
		return y.fail("error: --jail is on or off")
	case len(rest) < 2:
		return y.fail("%v", yaracli.ErrArguments)
	}
	o.Threads = max(o.Threads, 1)
	target := rest[len(rest)-1]
	if err := y.moduleData(); err != nil {
		return err
	}
	if err := y.rules(rest[:len(rest)-1]); err != nil {
		return err
	}
	y.reports()
	if o.Stats {
		y.stats()
	}
	st, err := os.Stat(target)
	isDir := err == nil && st.IsDir()
	if o.ScanList && isDir {
		return y.fail("error: cannot use a directory as scan list.")
	}
	y.deadline = time.Now().Add(time.Duration(min(max(o.Timeout, 0), 1_000_000_000)) * time.Second)
	if o.Timeout <= 0 {
		y.deadline = time.Now().Add(1_000_000 * time.Second) // as yara has it
	}
	ctx, cancel := context.WithDeadline(ctx, y.deadline)
	defer cancel()
	return y.scan(ctx, target, isDir)
}

// moduleData reads the files of -x.
func (y *run) moduleData() error {
	for _, d := range y.o.ModuleData {
		name, path, ok := strings.Cut(d, "=")
		if !ok {
			return y.fail("error: wrong syntax for `-x` option.")
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return y.fail("error: could not open file %q.", path)
		}
		if y.files == nil {
			y.files = map[string][]byte{}
		}
		y.files[name] = b
	}
	return nil
}

// rules opens or compiles the rules.
func (y *run) rules(args []string) (err error) {
	y.externals = map[string]module.Value{}
	values, err := y.defines()
	if err != nil {
		return err
	}
	if y.o.Compiled {
		if err := y.compiled(args); err != nil {
			return err
		}
		return y.fits()
	}
	var told yara.Diagnostics
	c, res, diags, err := y.read(args, values, y.o.Dialect)
	if err != nil {
		return err
	}
	disagree := 0
	if y.o.Dialect == "" && !y.o.NoWarnings {
		// What yara would tell, and in how many places the dialects disagree: no more, since
		// scripts take any warning for a failure.
		isDisagreement := func(d yara.Diagnostic) bool { return d.Code == source.DialectsDisagree }
		all := len(diags)
		diags = slices.DeleteFunc(diags, isDisagreement)
		disagree = all - len(diags)
		_, _, strict, err := y.read(args, values, source.YARA.String())
		if err == nil && (len(strict.Errors()) > 0) == (len(diags.Errors()) > 0) {
			diags = strict
		}
	}
	told = diags
	if y.o.NoWarnings {
		told = diags.Errors()
	}
	for _, d := range yaracli.First(told) {
		y.say("%s", yaracli.Line(d))
	}
	if disagree > 0 {
		y.say("showcause: YARA 4 and YARA-X disagree on what the rules mean in %s, YARA-X is followed (--dialect chooses; rules check lists them)", answer.Plural(int64(disagree), "place"))
	}
	if len(diags.Errors()) > 0 || y.o.FailOnWarnings && len(diags.Warnings()) > 0 && !y.o.NoWarnings {
		return y.h.Exit(1)
	}
	seen := map[string]bool{}
	for _, r := range res.Rules {
		for _, d := range r.File.Directives {
			if !d.Include && !seen[d.Name.Text] {
				seen[d.Name.Text] = true
				y.imports = append(y.imports, d.Name.Text)
			}
		}
	}
	built, err := c.Build(res)
	if err != nil {
		return y.fail("error: %v", err)
	}
	y.db = built.DB()
	return nil
}

// modules lists the modules that compiled rules use.
func (y *run) modules() (err error) {
	defer func() {
		if p := recover(); p != nil { // a program that its writer made ill is found out when it is looked at
			err = y.fail("corrupt compiled rules file: %v", p)
		}
	}()
	for i := range uint32(y.db.Rules()) {
		if _, ok := y.db.YARA(i); !ok {
			continue
		}
		for name := range y.db.Code(i).Modules() {
			if !slices.Contains(y.imports, name) {
				y.imports = append(y.imports, name)
			}
		}
	}
	return nil
}

// defines reads -d. Of a name that is given twice yara has the first value where it
// compiles, and says error 56 if nothing comes after the second; with -C it has the last.
func (y *run) defines() (map[string]any, error) {
	values := map[string]any{}
	for i, d := range y.o.Defines {
		name, text, ok := strings.Cut(d, "=")
		if !ok {
			y.say("error: wrong syntax for `-d` option.")
			break // yara goes on without the others
		}
		if _, twice := values[name]; twice && !y.o.Compiled {
			if i == len(y.o.Defines)-1 {
				return nil, y.fail("error: 56: external variable %q is defined twice", name)
			}
			continue
		}
		var err error
		values[name] = yara.ParseExternal(text)
		if y.externals[name], err = yara.External(values[name]); err != nil {
			return nil, y.fail("error: %v", err)
		}
	}
	return values, nil
}

// fits refuses what -d sets that compiled rules do not know, or have with another type.
func (y *run) fits() error {
	for _, d := range y.o.Defines {
		name, _, _ := strings.Cut(d, "=")
		v, ok := y.externals[name]
		if !ok {
			continue
		}
		err := yara.FitsExternal(y.db, name, v)
		switch {
		case errors.Is(err, yara.ErrUnknownExternal):
			return y.fail("error: 29: external variable %q: %v", name, err)
		case err != nil:
			return y.fail("%v: %q", err, name)
		}
	}
	return nil
}

// reports says whether what -x gave is what the modules read that the rules import. An
// empty report is one, as it is for yara.
func (y *run) reports() {
	if b := y.files["cuckoo"]; len(b) > 0 && slices.Contains(y.imports, "cuckoo") && !cuckoo.Valid(b) {
		y.broken = errors.New("error: 57: the report for cuckoo is no JSON")
	}
}

// read reads the rules as text.
func (y *run) read(args []string, values map[string]any, dialect string) (*yara.Compiler, *check.Result, yara.Diagnostics, error) {
	o := yara.Options{RelaxedRegexps: y.o.Relaxed, StrictEscapes: y.o.StrictEscape, MaxPatterns: int(min(y.o.MaxStrings, 1<<20))}
	switch dialect {
	case "":
	case source.YARA.String():
		o.Dialect = source.YARA
	case source.YARAX.String():
		o.Dialect = source.YARAX
	default:
		return nil, nil, nil, y.fail("error: --dialect is yara or yara-x")
	}
	if !y.o.NoIncludes {
		o.Include = yara.Folders(y.o.IncludeDirs...)
	}
	c := yara.NewCompiler(o)
	for name, v := range values {
		if err := c.Define(name, v); err != nil {
			return nil, nil, nil, y.fail("error: %v", err)
		}
	}
	for _, a := range args {
		f := ruleFile{"", a}
		if a != "-" {
			f.namespace, f.path = yara.SplitNamespace(a)
		} else if b, err := io.ReadAll(io.LimitReader(y.stdin, yara.MaxSource)); err == nil {
			y.stdin = strings.NewReader(string(b)) // it may be read again
			_ = c.AddSource("", "-", string(b))
			continue
		}
		if err := f.addTo(c, y.stdin); err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				return nil, nil, nil, y.fail("error: could not open file: %s", f.path)
			}
			return nil, nil, nil, y.fail("error: %v", err)
		}
	}
	res, diags := c.Check()
	return c, res, diags, nil
}

// compiled opens what "rules compile" wrote.
func (y *run) compiled(args []string) error {
	if len(args) != 1 {
		return y.fail("error: can't accept multiple rules files if one of them is in compiled form.")
	}
	head := make([]byte, 8)
	f, err := os.Open(args[0])
	if err != nil {
		return y.fail("could not open file")
	}
	n, _ := io.ReadFull(f, head)
	f.Close()
	switch {
	case strings.HasPrefix(string(head[:n]), "YARA"):
		return y.fail("invalid compiled rules file: %s was written by yarac; compile the rules' text with: showcause rules compile -o OUT RULES", args[0])
	case !ruledb.IsDatabase(head[:n]):
		return y.fail("invalid compiled rules file.")
	}
	if y.db, err = ruledb.Open(args[0]); err != nil {
		return y.fail("corrupt compiled rules file: %v", err)
	}
	if y.o.ModuleDump || len(y.files) > 0 {
		return y.modules()
	}
	return nil
}

// stats prints what the rules are made of.
func (y *run) stats() {
	refs := 0
	for i := range uint32(y.db.Rules()) {
		n, _ := y.db.Shape(i)
		refs += n
	}
	fmt.Fprintf(y.out, "number of rules                    : %d\n", y.db.Rules())
	fmt.Fprintf(y.out, "number of strings                  : %d\n", refs)
	fmt.Fprintf(y.out, "number of different patterns       : %d\n", y.db.Patterns())
	fmt.Fprintf(y.out, "size of the compiled rules, bytes  : %d\n", y.db.Size())
}

// scan scans the target and prints.
func (y *run) scan(ctx context.Context, target string, isDir bool) error {
	rd, err := y.newReaders()
	if err != nil {
		return y.fail("error: %v", err)
	}
	p := yaracli.NewPrinter(y.out, y.o, y.db)
	if y.terminal { // where names cannot do harm they stand as they are, as yara has them
		p.Escape = showcause.Escape
	}
	p.Warn = func(line string) { y.say("%s", line) }
	several := isDir || y.o.ScanList
	w := &walk{y: y, ctx: ctx, ordered: make(chan *task, max(2*y.o.Threads, 4)), rd: rd}
	go func() {
		defer close(w.ordered)
		switch {
		case y.o.ScanList:
			w.list(target)
		case isDir:
			w.dir(target, nil)
		default:
			w.open(target)
		}
	}()
	var printErr error
	more := true
	for t := range w.ordered {
		if printErr == nil && (more || several) {
			<-t.done
			more, printErr = y.result(p, t, several)
		}
		if t.file != nil {
			<-t.done
			t.file.Close()
		}
	}
	closeErr := rd.Close()
	switch {
	case printErr != nil:
		return fmt.Errorf("output: %w", printErr)
	case w.fatal != "":
		return y.fail("%s", w.fatal)
	case closeErr != nil:
		return y.fail("error: %v", closeErr)
	}
	for _, i := range rd.Incidents() {
		y.failed = true
		y.say("error: %s of a process that reads files: what it said of %s before may be false", i.Code, answer.Plural(int64(i.Files), "file"))
	}
	if y.failed {
		return y.h.Exit(1)
	}
	return nil
}

// result prints what is known of one file.
func (y *run) result(p *yaracli.Printer, t *task, several bool) (more bool, err error) {
	if t.note != "" {
		y.say("%s", t.note)
		return true, nil
	}
	if t.err == nil && y.broken != nil {
		t.err = y.broken
	}
	if t.err != nil {
		return true, y.unread(p, t, several)
	}
	read := windowed(t.file)
	for _, line := range t.report.Logs {
		fmt.Fprintln(y.out, line)
	}
	if y.o.ModuleDump {
		y.dump(t.file)
	}
	if !y.o.Containers {
		t.report.Findings = slices.DeleteFunc(t.report.Findings, func(f showcause.Finding) bool { return len(f.Trail) > 0 })
	}
	more, err = p.File(yaracli.Result{Path: t.path, Listed: several, Report: &t.report, Read: read})
	if why := y.gaps(&t.report); why != "" {
		y.failed = true
		if ferr := y.out.Flush(); err == nil {
			err = ferr
		}
		y.say("error scanning %s: %s", t.path, why)
	}
	return more, err
}

// windowed reads a file through a window, since matches are told in the order of their
// places.
func windowed(f *os.File) func(off int64, n int) []byte {
	var at int64
	var page []byte
	return func(off int64, n int) []byte {
		if off < at || off+int64(n) > at+int64(len(page)) {
			if cap(page) == 0 {
				page = make([]byte, 0, 64<<10)
			}
			have, _ := f.ReadAt(page[:max(n, cap(page))], off)
			page, at = page[:have], off
		}
		return page[off-at : min(int64(len(page)), off-at+int64(n))]
	}
}

// unread tells that a file could not be read.
func (y *run) unread(p *yaracli.Printer, t *task, several bool) error {
	why := "could not open file"
	var errno unix.Errno
	switch pid, perr := strconv.Atoi(t.path); {
	case errors.Is(t.err, context.DeadlineExceeded):
		why = "scanning timed out"
	case errors.Is(t.err, context.Canceled):
		why = "interrupted"
	case !several && perr == nil && pid > 0 && errors.Is(t.err, fs.ErrNotExist):
		why = "processes are not scanned"
	case t.opened || !errors.As(t.err, &errno):
		why = t.err.Error()
	}
	if several && y.o.Count {
		if _, err := p.File(yaracli.Result{Path: t.path, Listed: true, Report: &showcause.Report{}}); err != nil {
			return err
		}
	}
	if err := y.out.Flush(); err != nil {
		return err
	}
	y.say("error scanning %s: %s", t.path, why)
	// yara's exit code says nothing of a file among others that cannot be opened.
	if !several || t.opened {
		y.failed = true
	}
	return nil
}

// gaps says what of a file was not looked at, empty if all was.
func (y *run) gaps(r *showcause.Report) string {
	var out []string
	seen := map[string]bool{}
	for _, g := range r.Gaps {
		s := string(g.Code)
		switch {
		case !g.Code.Unread(), !y.o.Containers && !ofInput(g):
			continue
		case g.Code == showcause.LimitTime:
			s = "scanning timed out"
		default:
			s = "not all of it was looked at: " + s
		}
		if len(g.Trail) > 0 {
			s += " in " + g.Trail.String()
		}
		if !seen[s] && len(out) < 8 {
			out = append(out, s)
		}
		seen[s] = true
	}
	if n := len(seen) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, "; ")
}

// ofInput says whether a gap is of the bytes of the input itself, and not of what they
// hold.
func ofInput(g showcause.Gap) bool {
	head, _, _ := strings.Cut(string(g.Code), ".")
	switch showcause.Code(head) {
	case showcause.Unsupported, showcause.Encrypted, showcause.Corrupt:
		return false
	}
	return len(g.Trail) == 0 && g.Code != showcause.LimitDepth
}

// task is one file, or what is said in its place.
type task struct {
	path   string
	file   *os.File
	opened bool
	note   string // for standard error
	done   chan struct{}
	report showcause.Report
	err    error
}

// walk finds files as yara does and has them read, in order.
type walk struct {
	y       *run
	ctx     context.Context
	rd      readers
	ordered chan *task
	fatal   string // why there is nothing to scan
}

// put hands a task over that needs no reading.
func (w *walk) put(t *task) {
	t.done = make(chan struct{})
	close(t.done)
	w.ordered <- t
}

// open has a file read.
func (w *walk) open(path string) {
	t := &task{path: path}
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		var st fs.FileInfo
		if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() {
			err = &fs.PathError{Op: "open", Path: path, Err: unix.EINVAL}
		}
		if err != nil {
			f.Close()
		}
	}
	if err == nil {
		err = w.ctx.Err()
		t.opened = err != nil
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		t.err = err
		w.put(t)
		return
	}
	t.file, t.opened, t.done = f, true, make(chan struct{})
	w.ordered <- t
	w.rd.Submit(w.ctx, f, func(r showcause.Report, err error) {
		t.report, t.err = r, err
		close(t.done)
	})
}

// dir goes through a folder. above are the folders that it is in, so that links
// lead into none of them again.
func (w *walk) dir(dir string, above []fs.FileInfo) {
	self, err := os.Stat(dir + "/.")
	if err != nil || w.ctx.Err() != nil {
		return
	}
	for _, a := range above {
		if os.SameFile(a, self) {
			return
		}
	}
	above = append(above, self)
	entries, _ := os.ReadDir(dir) // sorted; what cannot be read yara passes over, too
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if e.Type()&fs.ModeSymlink != 0 && w.y.o.NoFollow {
			continue
		}
		st, err := os.Stat(path)
		switch {
		case err != nil:
		case st.IsDir():
			if w.y.o.Recursive {
				w.dir(path, above)
			}
		case !st.Mode().IsRegular():
		case w.y.o.SkipLarger > 0 && st.Size() >= w.y.o.SkipLarger:
			w.put(&task{note: fmt.Sprintf("skipping %s (%d bytes) because it's larger than %d bytes.", path, st.Size(), w.y.o.SkipLarger)})
		default:
			w.open(path)
		}
	}
}

// list goes through the files that a file names.
func (w *walk) list(path string) {
	f, err := os.Open(path)
	if err != nil {
		w.fatal = fmt.Sprintf("error: could not open file %q.", path)
		return
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if err != nil && line == "" {
			return
		}
		name := strings.TrimSuffix(line, "\n")
		if st, serr := os.Stat(name); serr == nil && st.IsDir() {
			w.dir(name, nil)
		} else {
			w.open(name)
		}
		if err != nil || w.ctx.Err() != nil {
			return
		}
	}
}

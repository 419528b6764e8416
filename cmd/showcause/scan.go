package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/heuristic"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/ruleflags"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/module"
)

// scanOptions are the flags of scan.
type scanOptions struct {
	db       []string
	format   string
	quiet    bool
	verbose  bool
	explain  bool
	jobs     int
	fileList string
	limits   struct {
		fileSize, scanSize, ratio, work byteSize
		objects, memory                 byteSize
		depth                           int
		time                            milliseconds
	}
	topOnly bool
	dialect string   // of YARA rules
	defines []string // NAME=VALUE
	defined map[string]module.Value
	named   bool // there are YARA rules, which may ask what a file is called
	ruleDB  *ruledb.DB
	jail    string
	recycle int
	records string
	store   string

	quarantine bool // take what is found
	walk       walker
	accept     []string

	passwords passwords
	words     [][]byte // of passwords, once they are read

	// clamscan's
	recursive, infected, allMatch, noSummary, stdout ruleflags.YesNo
	alertExceeds, alertEncrypted, precedence         ruleflags.YesNo
	chosen                                           ruleflags.Flags
}

func scanCommand() *cobra.Command {
	var o scanOptions
	c := &cobra.Command{
		Use:   "scan [flags] PATH...",
		Short: "Scan files and folders; - is standard input",
		Long: `Scan files and folders, and everything inside them; - is standard input.

Each finding is a line: the rule, the path, and the trail to the place inside
the file. What was not read is listed with the reason.

Exit code: 0 everything was read and nothing was found; 1 found; 2 an error, or
something was not read.`,
		Example: `  showcause scan ~/Downloads
  showcause scan --db /var/lib/clamav --explain invoice.zip
  showcause scan --format json - < mail.eml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && o.fileList == "" {
				return errors.New("scan: name at least one file or folder, or - for standard input")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	o.flags(c)
	return c
}

func (o *scanOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVarP(&o.db, "db", "d", nil, "rules: a compiled database, or ClamAV database files or folders (repeatable), which are compiled and cached (default: the built-in rules)")
	f.StringVar(&o.dialect, "dialect", "", "of YARA rules that are text: yara (YARA 4.5) or yara-x (default: what either takes)")
	f.StringArrayVar(&o.defines, "define", nil, "set an external variable of YARA rules: NAME=VALUE (repeatable)")
	f.BoolVar(&o.topOnly, "top-only", false, "look at the files themselves alone, as yara does, with YARA rules; what holds more is incomplete: limit.depth (--accept limit.depth)")
	f.StringVar(&o.format, "format", "text", "output: text, json (a line each), sarif, clamscan")
	f.BoolVar(&o.explain, "explain", false, "show for each finding which patterns matched where, and the rule's text")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only findings, errors, and which files were not read whole")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "list every place that was not read")
	f.IntVarP(&o.jobs, "jobs", "j", runtime.NumCPU(), "files scanned at a time")
	f.StringVarP(&o.fileList, "file-list", "f", "", "scan the files listed in this file, one a line; - is standard input")
	f.StringSliceVar(&o.accept, "accept", nil, "reasons for which an incomplete scan is no failure (exit code 0), such as unsupported,encrypted")
	f.Var(&o.walk.exclude, "exclude", "leave out files whose path matches a regular expression (repeatable)")
	f.Var(&o.walk.include, "include", "scan only files whose path matches (repeatable)")
	f.Var(&o.walk.excludeDir, "exclude-dir", "leave out folders whose path matches (repeatable)")
	f.Var(&o.walk.includeDir, "include-dir", "scan only folders whose path matches (repeatable)")
	f.IntVar(&o.walk.maxDepth, "max-dir-recursion", 0, "folders in folders (default: no bound)")
	o.walk.crossDevices = true
	ruleflags.Yes(f, &o.walk.crossDevices, "cross-fs", "", "go into other file systems")
	f.Var(&o.limits.fileSize, "max-filesize", "bytes of one file that are read, inside an archive too (default 4G inside, no bound outside)")
	f.Var(&o.limits.scanSize, "max-scansize", "bytes that are unpacked from one file (default 4G)")
	f.Var(&o.limits.objects, "max-files", "files inside one file (default 100000)")
	f.IntVar(&o.limits.depth, "max-recursion", 0, "archives in archives (default 32)")
	f.Var(&o.limits.ratio, "max-ratio", "unpacked bytes for each byte of the file, past 256M (default 250)")
	f.Var(&o.limits.work, "max-work", "steps of matching and parsing for one file (default 4000000000)")
	o.passwords.flags(f)
	o.recursive = true
	ruleflags.Yes(f, &o.recursive, "recursive", "r", "clamscan's; folders are always scanned whole")
	ruleflags.Yes(f, &o.infected, "infected", "i", "with --format clamscan: leave out OK lines")
	ruleflags.Yes(f, &o.allMatch, "allmatch", "z", "with --format clamscan: name every rule that fired, not the first")
	ruleflags.Yes(f, &o.noSummary, "no-summary", "", "leave out the summary")
	ruleflags.Yes(f, &o.stdout, "stdout", "", "clamscan's; results always go to standard output")
	ruleflags.Yes(f, &o.alertExceeds, "alert-exceeds-max", "", "count what was over a limit as found, with ClamAV's names")
	ruleflags.Yes(f, &o.alertEncrypted, "alert-encrypted", "", "count encrypted content as found, with ClamAV's names")
	o.chosen.Add(f)
	ruleflags.Yes(f, &o.precedence, "heuristic-scan-precedence", "", "name what heuristics found before what signatures did")
	scanFlags(f)
	f.StringVar(&o.records, "records", "", "write a record of each finding, and of what was read, into this folder, in no log (default: into the store and its log)")
	storeFlag(f, &o.store)
	f.BoolVar(&o.quarantine, "quarantine", false, "take what is found into quarantine, where the stages of its rules say so; showcause quarantine restore gives it back")
	f.StringVar(&o.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process, and every report says so")
	f.IntVar(&o.recycle, "recycle", 0, "files that one process reads before another takes its place; 1 gives each file its own (default 10000)")
	f.Var(&o.limits.memory, "max-memory", "bytes of memory of a process that reads files, at least 64M (default 1G)")
	f.Var(&o.limits.time, "max-scantime", "milliseconds for one file, on the clock; what takes longer is incomplete (default 5 minutes and a second for each 4 MiB)")
	f.SetNormalizeFunc(clamscanNames)
}

func (o *scanOptions) policy() showcause.Limits {
	return showcause.Limits{
		FileSize: int64(o.limits.fileSize), ScanSize: int64(o.limits.scanSize), Objects: int64(o.limits.objects),
		Depth: o.limits.depth, Ratio: int64(o.limits.ratio), Work: int64(o.limits.work),
	}
}

// accepts tells whether every reason for which a file is incomplete is one
// that the user accepts: a code, or the beginning of one up to a dot.
func (o *scanOptions) accepts(r *answer.Result) bool {
	for _, c := range r.Unread() {
		if !slices.ContainsFunc(o.accept, func(a string) bool {
			return string(c) == a || strings.HasPrefix(string(c), a+".")
		}) {
			return false
		}
	}
	return true
}

// leastMemory is what a reader needs to do anything, bytes.
const leastMemory = 64 << 20

// check refuses flags that say nothing that can be done.
func (o *scanOptions) check() error {
	if o.jobs < 1 {
		return fmt.Errorf("flag --jobs: want at least 1, have %d", o.jobs)
	}
	if o.recycle < 0 {
		return fmt.Errorf("flag --recycle: want at least 1, have %d", o.recycle)
	}
	if m := o.limits.memory; m != 0 && m < leastMemory {
		return fmt.Errorf("flag --max-memory: want at least 64M, have %d bytes", m)
	}
	for _, a := range o.accept {
		head, _, _ := strings.Cut(a, ".")
		switch showcause.Code(head) {
		case "limit", showcause.Encrypted, showcause.Unsupported, showcause.Corrupt, showcause.Changed, showcause.Unreadable, showcause.Crash:
		default:
			return fmt.Errorf("flag --accept: %q is no reason for which something is not read: limit, encrypted, unsupported, corrupt, changed, unreadable, crash, each narrowed after a dot", a)
		}
	}
	return nil
}

func (o *scanOptions) run(c *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // the heap is a few megabytes: the same in the readers
	}
	out := bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
	if _, err := answer.New(o.format, out, answer.Options{}, nil); err != nil {
		return fmt.Errorf("flag --format: %w", err)
	}
	var err error
	if o.words, err = o.passwords.list(); err != nil {
		return err
	}
	db, err := o.rules(c)
	if err != nil {
		return err
	}
	o.named, o.ruleDB = hasYARA(db), db
	mode := answer.Sealed
	if o.jail == answer.JailOff {
		mode = answer.JailOff
	}
	p, err := answer.New(o.format, out, answer.Options{
		Version: version(), Quiet: o.quiet, Verbose: o.verbose, Explain: o.explain, NoSummary: bool(o.noSummary),
		Infected: bool(o.infected), AllMatch: bool(o.allMatch), HeuristicsFirst: bool(o.precedence), Jail: mode,
	}, db)
	if err != nil {
		return err
	}
	started := time.Now()
	t := &answer.Totals{Skipped: map[string]int64{}, DB: db, Jail: answer.Jail{Mode: answer.JailIdle}}
	if mode == answer.JailOff {
		t.Jail.Mode = mode
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	sealed, rest, err := db.Share()
	if err != nil {
		return err
	}
	defer sealed.Close()
	defer rest.Close()
	rec, err := o.newRecorder(db, rest, c.ErrOrStderr())
	if err != nil {
		return err
	}
	rd, err := o.newReaders(ctx, db, [2]*os.File{sealed, rest}, rec != nil, c.ErrOrStderr())
	if err != nil {
		return err
	}
	if o.jail == answer.JailOff {
		fmt.Fprintln(c.ErrOrStderr(), "showcause: without the jail: this process reads the files itself")
	}
	bar := newProgress(c.ErrOrStderr(), o.quiet || bool(o.noSummary))
	var printErr, jailErr error
	o.scanAll(ctx, rd, rec != nil, c.InOrStdin(), args, func(r *answer.Result, subject evidence.Digests) {
		if jailErr == nil {
			if jailErr = rd.Err(); jailErr != nil {
				cancel() // no file fares better than this one
			}
		}
		if printErr != nil || jailErr != nil && r.Err != nil {
			return
		}
		t.Add(r)
		rec.result(r, subject)
		if r.Verdict() == showcause.Incomplete && o.accepts(r) {
			t.Accepted++
		}
		bar.clear()
		printErr = p.Result(r)
		if printErr == nil && bar.on {
			printErr = out.Flush()
		}
		bar.show(t)
		if printErr != nil {
			cancel()
		}
	})
	if st, ok := rd.Status(); ok {
		t.Jail = answer.Jail{Mode: mode, Walls: st.Walls}
	}
	if err := rd.Close(); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "showcause: %v\n", err)
	}
	for _, i := range rd.Incidents() {
		what := fmt.Sprintf("%s of a process that reads files, when it had none: what it said of %s before may be false", i.Code, answer.Plural(int64(i.Files), "file"))
		t.Incidents = append(t.Incidents, what)
		fmt.Fprintln(c.ErrOrStderr(), "showcause:", what)
	}
	bar.clear()
	t.Elapsed = time.Since(started)
	t.Interrupted = c.Context().Err() != nil
	if t.Interrupted {
		fmt.Fprintln(c.ErrOrStderr(), "showcause: interrupted: the rest was not scanned")
	}
	recErr := rec.finish(t.Interrupted, o.quiet || bool(o.noSummary))
	takeErr := o.takeFound(c, rec, t, recErr)
	if printErr == nil {
		printErr = p.Finish(t)
	}
	if printErr == nil {
		printErr = out.Flush()
	}
	if printErr != nil {
		return fmt.Errorf("output: %w", printErr)
	}
	if jailErr != nil && !t.Interrupted {
		return fmt.Errorf("jail: no file can be read: %w", jailErr)
	}
	if takeErr != nil {
		return takeErr
	}
	if err := exit(t); err != nil || recErr == nil {
		return err
	}
	return recErr
}

// exit is the code over all that was scanned.
func exit(t *answer.Totals) error {
	switch {
	case t.Verdicts[showcause.Found] > 0:
		return exitCode(exitFound)
	case t.Interrupted || len(t.Incidents) > 0 || t.Verdicts[showcause.Error]+t.Verdicts[showcause.Incomplete]-t.Accepted > 0:
		return exitCode(exitError)
	}
	return nil
}

// errInterrupted is said of what was being read when the scan was ended.
var errInterrupted = errors.New("interrupted")

// rules opens the rules, and says what they lack: rules that were left out
// find nothing, and a scan that does not say so would claim more than it did.
func (o *scanOptions) rules(c *cobra.Command) (*ruledb.DB, error) {
	opts := rules.Options{Externals: usualExternals()}
	if err := o.chosen.Settled(c.Flags(), o.db); err != nil {
		return nil, err
	}
	err := o.chosen.Apply(&opts)
	if err != nil {
		return nil, err
	}
	if o.alertEncrypted {
		opts.Heuristics.EncryptedArchives, opts.Heuristics.EncryptedDocuments = true, true
	}
	if opts.Dialect, err = dialectNamed(o.dialect); err != nil {
		return nil, err
	}
	if o.defined, err = defined(o.defines); err != nil {
		return nil, err
	}
	maps.Copy(opts.Externals, o.defined)
	db, err := openRules(c.Context(), o.db, opts, c.ErrOrStderr(), o.quiet)
	if err != nil {
		return nil, err
	}
	if err := o.fits(db); err != nil {
		return nil, err
	}
	m := db.Meta()
	if db.Len() == 0 {
		return nil, fmt.Errorf("rules: none in %s, %s left out%s", showcause.Escape(strings.Join(o.db, ", ")), answer.Number(int64(m.Skipped)), leftOut(m))
	}
	if m.Skipped > 0 && !o.quiet {
		fmt.Fprintf(c.ErrOrStderr(), "showcause: %s of %s rules are left out%s\n",
			answer.Number(int64(m.Skipped)), answer.Number(int64(m.Skipped+db.Len())), leftOut(m))
	}
	return db, nil
}

// fits refuses what is asked of rules that cannot do it.
func (o *scanOptions) fits(db *ruledb.DB) error {
	if o.topOnly && !db.OnlyYARA() {
		return errors.New("flag --top-only: it goes with YARA rules alone: the others are for what files hold, too")
	}
	path := ""
	if len(o.db) == 1 {
		_, path = rules.Split(o.db[0])
	}
	if compiled := path != "" && rules.IsCompiled(path); o.dialect != "" && (compiled || path == "" && len(o.db) == 0) {
		return errors.New("flag --dialect: the rules are compiled: it goes with rules compile")
	}
	for _, name := range slices.Sorted(maps.Keys(o.defined)) {
		if len(o.db) == 0 || !hasYARA(db) {
			return fmt.Errorf("flag --define: %s: there are no YARA rules (--db)", name)
		}
		if err := yara.FitsExternal(db, name, o.defined[name]); err != nil {
			return fmt.Errorf("flag --define: %s: %w", name, err)
		}
	}
	return nil
}

// leftOut lists why rules were left out.
func leftOut(m ruledb.Meta) string {
	sum := map[string]int{}
	for _, s := range m.Sources {
		for r, n := range s.Reasons {
			sum[r] += n
		}
	}
	var out strings.Builder
	for i, r := range slices.Sorted(maps.Keys(sum)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&out, "%s%s %s", sep, r, answer.Number(int64(sum[r])))
	}
	return out.String()
}

// scanAll walks, has the files read, many at a time, and hands the results over
// in the order of the walk.
func (o *scanOptions) scanAll(ctx context.Context, rd readers, digests bool, stdin io.Reader, args []string, each func(*answer.Result, evidence.Digests)) {
	type scanned struct {
		answer.Result
		subject evidence.Digests
	}
	type task struct{ done chan scanned }
	busy := make(chan struct{}, o.jobs) // of digesting files with findings
	ordered := make(chan task, 64*o.jobs)
	go func() {
		w := o.walk
		names := namer{wanted: o.named, owners: map[uint32]string{}, defined: o.defined}
		w.visit = func(i item) bool {
			t := task{make(chan scanned, 1)}
			select {
			case ordered <- t:
			case <-ctx.Done():
				if i.file != nil {
					i.file.Close()
				}
				return false
			}
			if i.file == nil {
				t.done <- scanned{Result: answer.Result{Path: i.path, Skip: i.skip, Err: i.err}}
				return true
			}
			called := names.of(i.path, i.file)
			rd.SubmitWith(ctx, i.file, called, func(r showcause.Report, err error) {
				out := scanned{Result: o.result(ctx, i, r, err)}
				if err != nil || len(r.Findings) == 0 || !digests && !(o.explain && o.named) {
					i.file.Close()
					t.done <- out
					return
				}
				go func() { // whoever calls must not wait
					busy <- struct{}{}
					if digests {
						out.subject = digestFile(ctx, i.file, &r)
					}
					if o.explain && o.named {
						out.Why = o.asker().Of(ctx, &r, i.file, called)
					}
					<-busy
					i.file.Close()
					t.done <- out
				}()
			})
			return true
		}
		o.walkAll(ctx, &w, stdin, args)
		close(ordered)
	}()
	for t := range ordered {
		r := <-t.done
		each(&r.Result, r.subject)
	}
}

func (o *scanOptions) walkAll(ctx context.Context, w *walker, stdin io.Reader, args []string) {
	if o.fileList != "" {
		list := stdin
		if o.fileList != "-" {
			f, err := os.Open(o.fileList)
			if err != nil {
				w.emit(item{path: o.fileList, err: err})
				return
			}
			defer f.Close()
			list = f
		}
		lines := bufio.NewScanner(list)
		for lines.Scan() && ctx.Err() == nil {
			if lines.Text() != "" {
				w.named(ctx, lines.Text())
			}
		}
		if err := lines.Err(); err != nil {
			w.emit(item{path: o.fileList, err: err})
		}
	}
	for _, path := range args {
		if ctx.Err() != nil {
			return
		}
		if path != "-" {
			w.named(ctx, path)
			continue
		}
		f, err := spoolInput(ctx, stdin, int64(o.limits.fileSize))
		w.emit(item{path: "stdin", file: f, err: err})
	}
}

// result is what is said of a file over what its reader said.
func (o *scanOptions) result(ctx context.Context, i item, report showcause.Report, err error) answer.Result {
	r := answer.Result{Path: i.path, Err: err, Report: report}
	if ctx.Err() != nil {
		r.Err = errInterrupted
	}
	if r.Err != nil {
		return r
	}
	if g, ok := unpack.NamedVolume(i.path, r.Report.Type, r.Report.Size); ok {
		r.Report.Gaps = append(r.Report.Gaps, g)
		r.Report.Conclude()
	}
	seen := map[string]bool{}
	locked := slices.ContainsFunc(r.Report.Findings, func(f showcause.Finding) bool { return strings.HasPrefix(f.Rule, heuristic.Encrypted) })
	for _, g := range r.Report.Gaps {
		name := ""
		switch {
		case bool(o.alertExceeds) && strings.HasPrefix(string(g.Code), "limit."):
			name = o.exceedsName(g)
		case o.alertsLocked() && !locked && g.Code == showcause.Encrypted:
			name = encryptedName(g.Trail)
		}
		if name != "" && !seen[name] {
			seen[name] = true
			r.Alerts = append(r.Alerts, name)
		}
	}
	return r
}

// alertsLocked tells whether what is encrypted is found by what was not read: where no rule of
// its own says so, as there are none for every format, nor in rules that were compiled before.
func (o *scanOptions) alertsLocked() bool {
	return bool(o.alertEncrypted) || o.chosen.Locks() && !slices.ContainsFunc(o.ruleDB.Heuristics(), func(i uint32) bool {
		return strings.HasPrefix(o.ruleDB.Name(i), heuristic.Encrypted)
	})
}

// exceedsName is the name that clamscan --alert-exceeds-max gives.
func (o *scanOptions) exceedsName(g showcause.Gap) string {
	if g.Code == showcause.LimitSize && g.Offset > 0 && g.Offset == int64(o.limits.fileSize) {
		return "Heuristics.Limits.Exceeded.MaxFileSize"
	}
	names := map[showcause.Code]string{
		showcause.LimitSize: "MaxScanSize", showcause.LimitRatio: "MaxScanSize", showcause.LimitDepth: "MaxRecursion",
		showcause.LimitObject: "MaxFiles", showcause.LimitWork: "MaxScanTime", showcause.LimitTime: "MaxScanTime",
	}
	name, ok := names[g.Code]
	if !ok { // ClamAV has no word for memory and scratch space
		name = "MaxScanSize"
	}
	return "Heuristics.Limits.Exceeded." + name
}

// encryptedName is the name that clamscan --alert-encrypted gives.
func encryptedName(t showcause.Trail) string {
	if len(t) > 0 && strings.HasPrefix(t[len(t)-1].Op, "zip.") {
		return "Heuristics.Encrypted.Zip"
	}
	return "Heuristics.Encrypted"
}

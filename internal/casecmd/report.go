package casecmd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/report"
)

// What a page holds at most, and the largest file that is read for it, bytes.
const (
	maxPageFindings = 500
	maxPageRecords  = 50_000
	maxPageFile     = 1 << 30
)

// reportOptions are the flags of report.
type reportOptions struct {
	host                        Host
	out, store, key, scan, jail string
	db                          []string
	files                       bool
}

// Report is the command "report".
func (h Host) Report() *cobra.Command {
	o := reportOptions{host: h}
	c := &cobra.Command{
		Use:   "report [FOLDER] [-o FILE]",
		Short: "Write a page that shows what was scanned, what was found and why, and what was not read",
		Long: `Write a page from records: what was scanned, the verdicts, what was not read, each
finding with its rule, its way into the file and the bytes around each match, what was
said of it since, and how to check it. FOLDER is one that scan --records wrote, or a
store; the default is this host's store, and of it the last scan.

Where the file of a finding is at hand and unchanged, the finding is derived again for
the page, in the jail. The page is one file that loads nothing.

Exit code: 0; 1 the page is written, and records are missing, damaged or refused: the
page names them; 2 an error.`,
		Example: `  showcause report -o report.html
  showcause report --scan all -o all.html
  showcause report records -o report.html`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "out", "o", "", "the page; - is standard output")
	f.StringVar(&o.scan, "scan", "", "last, all, or the beginning of a scan's name (default: last of a store, all of a folder)")
	f.BoolVar(&o.files, "files", true, "derive findings again from files that are at hand, and show bytes of them")
	f.StringArrayVarP(&o.db, "db", "d", nil, "rules, for findings of rules that ask for other rules: a compiled database, or database files or folders")
	f.StringVar(&o.key, "key", "", "public key (PEM) that must have signed (default: the store's, or key.pub in the folder)")
	f.StringVar(&o.jail, "jail", "on", "on: files are read by processes that the kernel has locked in; off: by this process")
	h.StoreFlag(f, &o.store)
	return c
}

// source is where a page's records are.
type source struct {
	name  string
	store *store.Store // nil for a folder
	keys  []evidence.PublicKey
	all   func() ([]kept, error)
}

func (o *reportOptions) run(c *cobra.Command, args []string) error {
	if o.out == "" {
		return errors.New("flag --out: name the page's file")
	}
	if o.jail != "on" && o.jail != answer.JailOff {
		return fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	}
	src, err := o.source(args)
	if err != nil {
		return err
	}
	if src.store != nil {
		defer src.store.Close()
	}
	page := &report.Page{Made: time.Now(), Version: o.host.Version, Source: src.name}
	for _, k := range src.keys {
		page.Keys = append(page.Keys, k.ID())
	}
	records, err := o.gather(src, page)
	if err != nil {
		return err
	}
	if o.files {
		if err := o.look(c, page, records); err != nil {
			return err
		}
	}
	if err := o.write(c, page); err != nil {
		return err
	}
	if n := page.Wrong(); n > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "showcause: report: %s missing, damaged or refused: the page names them\n", answer.Plural(n, "record"))
		return o.host.Exit(1)
	}
	return nil
}

// source opens what the page is made from.
func (o *reportOptions) source(args []string) (*source, error) {
	var keys []evidence.PublicKey
	if o.key != "" {
		b, err := os.ReadFile(o.key)
		if err == nil {
			keys, err = evidence.ParsePublicKeys(b)
		}
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
	}
	dir := ""
	if len(args) > 0 {
		dir = args[0]
	} else {
		var err error
		if dir, _, err = o.host.StoreDir(o.store); err != nil {
			return nil, err
		}
		if dir == "" {
			return nil, errors.New("report: there is no store; name a folder of records")
		}
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("report: %s: not a folder", showcause.Escape(dir))
	}
	if _, err := os.Stat(filepath.Join(dir, "records")); err == nil {
		s, err := store.Open(dir, store.Options{ReadOnly: true})
		if err != nil {
			return nil, err
		}
		if keys == nil {
			keys = s.Public()
		}
		if o.scan == "" {
			o.scan = "last"
		}
		return &source{name: dir, store: s, keys: keys, all: func() ([]kept, error) { return keptIn(s, maxPageRecords) }}, nil
	}
	if keys == nil {
		if b, err := os.ReadFile(filepath.Join(dir, "key.pub")); err == nil {
			if keys, err = evidence.ParsePublicKeys(b); err != nil {
				return nil, fmt.Errorf("key: %w", err)
			}
		}
	}
	if o.scan == "" {
		o.scan = "all"
	}
	return &source{name: dir, keys: keys, all: func() ([]kept, error) { return folderRecords(dir) }}, nil
}

// folderRecords reads the records in a folder.
func folderRecords(dir string) (out []kept, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".scf" {
			return err
		}
		out = append(out, readKept(path))
		return nil
	})
	return out, err
}

func readKept(path string) (k kept) {
	in, err := os.Open(path)
	if err != nil {
		k.err = err
		return k
	}
	defer in.Close()
	if k.record, k.err = evidence.ReadRecord(in); k.err != nil {
		k.err = fmt.Errorf("%s: %w", filepath.Base(path), k.err)
	}
	return k
}

// gather puts the records on the page that are to be there.
func (o *reportOptions) gather(src *source, page *report.Page) (records map[string]*evidence.Record, err error) {
	in, err := src.all()
	if err != nil {
		return nil, err
	}
	if src.store == nil && len(in) > maxPageRecords {
		return nil, fmt.Errorf("report: more than %d records", maxPageRecords)
	}
	var all []report.Item
	logged := int64(0)
	records = map[string]*evidence.Record{}
	for _, k := range in {
		if k.entry > 0 {
			logged++
		}
		if k.older {
			page.Older++
			continue
		}
		it := report.Item{Name: k.name, Entry: k.entry}
		if k.err != nil {
			it.Refused = showcause.Escape(k.err.Error())
			all = append(all, it)
			continue
		}
		it.Name, it.Statement = k.record.Name(), k.record.Statement()
		if records[it.Name] != nil { // two copies of one record
			continue
		}
		records[it.Name] = k.record
		if len(src.keys) > 0 {
			if sealed, err := k.record.Verify(evidence.VerifyOptions{Keys: src.keys}); err != nil {
				it.Refused = showcause.Escape(err.Error())
			} else {
				it.Signer = sealed.Signer().ID()
			}
		} else if err := sound(k.record); err != nil {
			it.Refused = showcause.Escape(err.Error())
		}
		it.Proven = k.entry > 0
		if src.store != nil && !it.Proven && it.Refused == "" {
			it.Refused = "the log of this host does not have it"
		}
		all = append(all, it)
	}
	page.Items = o.choose(all)
	if page.Older == 0 { // else the log alone tells what is missing
		page.Missing = missing(page.Items)
	}
	findings := 0
	page.Items = slices.DeleteFunc(page.Items, func(it report.Item) bool {
		if it.Refused != "" || it.Statement.Kind != evidence.Finding {
			return false
		}
		findings++
		return findings > maxPageFindings
	})
	page.Left = max(findings-maxPageFindings, 0)
	if src.store != nil {
		page.Log = fmt.Sprintf("The log of this host has %s.", answer.Plural(logged, "record"))
	}
	return records, nil
}

// missing says which records must have been there, by what those that are there say:
// the findings of files with the verdict found, and the parts of a scan's coverage.
func missing(items []report.Item) (out []string) {
	type scan struct {
		found, parts int64
		part         map[int64]bool
		files        map[string]map[string]int64 // findings, by path, then by rule and layer
		read         bool
	}
	scans := map[string]*scan{}
	of := func(name string) *scan {
		if scans[name] == nil {
			scans[name] = &scan{part: map[int64]bool{}, files: map[string]map[string]int64{}}
		}
		return scans[name]
	}
	for _, it := range items {
		switch s := it.Statement; {
		case it.Refused != "":
		case s.Kind == evidence.Scan:
			c := of(s.Context.Scan)
			c.read = true
			c.found += s.Coverage.Verdicts["found"]
			c.parts = max(c.parts, s.Coverage.Parts)
			c.part[s.Coverage.Part] = true
		case s.Kind == evidence.Finding && s.Rules.Rule.Alarms():
			c, path := of(s.Context.Scan), s.Context.Path.Text+s.Context.Path.Commitment
			if c.files[path] == nil {
				c.files[path] = map[string]int64{}
			}
			c.files[path][fmt.Sprint(s.Rules.Rule.Index, s.Derivation)]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(scans)) {
		c := scans[name]
		for i := int64(1); i <= c.parts; i++ {
			if !c.part[i] {
				out = append(out, fmt.Sprintf("part %d of %d of what scan %s read", i, c.parts, short(name)))
			}
		}
		have := int64(0)
		for _, findings := range c.files { // a file that was scanned twice has each finding twice
			have += slices.Max(slices.Collect(maps.Values(findings)))
		}
		if c.read && have < c.found {
			out = append(out, fmt.Sprintf("the findings of %s: scan %s says that rules fired on %d, and the records here are of %d", answer.Plural(c.found-have, "file"), short(name), c.found, have))
		}
	}
	return out
}

// choose takes the records of the scans that are asked for, the latest first,
// and with them all that was said of their findings.
func (o *reportOptions) choose(all []report.Item) []report.Item {
	when := func(it *report.Item) string {
		if it.Statement == nil {
			return ""
		}
		return it.Statement.Time.Observed
	}
	slices.SortStableFunc(all, func(a, b report.Item) int {
		return -cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(when(&a), when(&b)))
	})
	if o.scan == "all" {
		return all
	}
	want := o.scan
	if want == "last" {
		for _, it := range all {
			if it.Refused == "" && it.Statement.Context.Scan != "" {
				want = it.Statement.Context.Scan
				break
			}
		}
	}
	named := map[string]bool{}
	for _, it := range all {
		if it.Statement != nil && it.Statement.Kind == evidence.Finding && strings.HasPrefix(it.Statement.Context.Scan, want) {
			named[it.Name] = true
		}
	}
	var out []report.Item
	for _, it := range all {
		switch {
		case it.Refused != "", named[about(it.Name, it.Statement)], it.Statement.Kind == evidence.Scan && strings.HasPrefix(it.Statement.Context.Scan, want):
			out = append(out, it)
		}
	}
	return out
}

// look derives the findings of the page again whose files are at hand.
func (o *reportOptions) look(c *cobra.Command, page *report.Page, records map[string]*evidence.Record) error {
	var rules *database
	if len(o.db) > 0 {
		var err error
		if rules, err = o.host.database(c, o.db); err != nil {
			return err
		}
	}
	for i := range page.Items {
		it := &page.Items[i]
		if it.Refused != "" || it.Statement.Kind != evidence.Finding {
			continue
		}
		a, err := o.again(c.Context(), records[it.Name], it.Statement, rules)
		switch {
		case err != nil:
			it.Away = showcause.Escape(err.Error())
		default:
			it.Again = a
		}
	}
	return nil
}

func (o *reportOptions) again(ctx context.Context, r *evidence.Record, s *evidence.Statement, rules *database) (*recheck.Answer, error) {
	path, ok := showcause.Unescape(s.Context.Path.Text)
	switch {
	case path == "" || s.Subject.SHA256 == "":
		return nil, errors.New("the record does not say which file it is of")
	case !ok || !filepath.IsAbs(path):
		return nil, errors.New("the file's name cannot be told from the record: showcause evidence recheck --file")
	case s.Input.Size > maxPageFile:
		return nil, fmt.Errorf("the file is larger than %s", answer.Size(maxPageFile))
	}
	// A name may be anything by now: what it leads to is neither waited for nor a link.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, fmt.Errorf("the file cannot be opened: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() != s.Input.Size {
		return nil, errors.New("what is at the file's path now is another file")
	}
	if sum, err := draft.Digest(f); err != nil || sum != s.Subject.SHA256 {
		return nil, errors.New("what is at the file's path now is another file")
	}
	known, err := rules.known(s)
	if err != nil {
		return nil, err
	}
	a, err := o.host.rederive(ctx, r, f, known.before, nil, o.jail == answer.JailOff)
	if err == nil {
		known.add(a)
	}
	return a, err
}

// write writes the page: a file is complete or is not there.
func (o *reportOptions) write(c *cobra.Command, page *report.Page) error {
	if o.out == "-" {
		w := bufio.NewWriter(c.OutOrStdout())
		if err := report.Write(w, page); err != nil {
			return err
		}
		return w.Flush()
	}
	f, err := os.CreateTemp(filepath.Dir(o.out), ".report-")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer os.Remove(f.Name())
	err = report.Write(f, page)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), o.out)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

package casecmd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/showcause/showcause/translog"
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
the page, in the jail. The page is one file that loads nothing.`,
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
	each  func(func(*evidence.Record, error) error) error
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
		o.look(c.Context(), page, records)
	}
	return o.write(c, page)
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
		return &source{name: dir, store: s, keys: keys, each: func(f func(*evidence.Record, error) error) error {
			return s.Each(func(r *evidence.Record) error { return f(r, nil) })
		}}, nil
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
	return &source{name: dir, keys: keys, each: folderRecords(dir)}, nil
}

// folderRecords goes through the records in a folder.
func folderRecords(dir string) func(func(*evidence.Record, error) error) error {
	return func(f func(*evidence.Record, error) error) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".scf" {
				return err
			}
			in, err := os.Open(path)
			if err != nil {
				return err
			}
			defer in.Close()
			r, err := evidence.ReadRecord(in)
			if err != nil {
				err = fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
			return f(r, err)
		})
	}
}

// gather puts the records on the page that are to be there.
func (o *reportOptions) gather(src *source, page *report.Page) (records map[string]*evidence.Record, err error) {
	var all []report.Item
	records = map[string]*evidence.Record{}
	err = src.each(func(r *evidence.Record, err error) error {
		if len(all) >= maxPageRecords {
			return fmt.Errorf("report: more than %d records: choose a scan (--scan)", maxPageRecords)
		}
		if err != nil {
			all = append(all, report.Item{Refused: showcause.Escape(err.Error())})
			return nil
		}
		it := report.Item{Name: r.Name(), Statement: r.Statement()}
		records[it.Name] = r
		if len(src.keys) > 0 {
			if sealed, err := r.Verify(evidence.VerifyOptions{Keys: src.keys}); err != nil {
				it.Refused = showcause.Escape(err.Error())
			} else {
				it.Signer = sealed.Signer().ID()
			}
		}
		all = append(all, it)
		return nil
	})
	if err != nil {
		return nil, err
	}
	page.Items = o.choose(all)
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
		logged := map[translog.Digest]bool{}
		err := src.store.Log().Entries(0, func(_ int64, d translog.Digest) error {
			logged[d] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
		page.Log = fmt.Sprintf("The log of this host has %s.", answer.Plural(int64(len(logged)), "record"))
		for i := range page.Items {
			if it := &page.Items[i]; it.Refused == "" {
				it.Proven = logged[records[it.Name].Digest()]
			}
		}
	}
	return records, nil
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
	slices.SortStableFunc(all, func(a, b report.Item) int { return -cmp.Compare(when(&a), when(&b)) })
	if o.scan == "all" {
		return all
	}
	want := o.scan
	if want == "last" {
		for _, it := range all {
			if it.Refused == "" && it.Statement.Kind == evidence.Scan {
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
func (o *reportOptions) look(ctx context.Context, page *report.Page, records map[string]*evidence.Record) {
	for i := range page.Items {
		it := &page.Items[i]
		if it.Refused != "" || it.Statement.Kind != evidence.Finding {
			continue
		}
		a, err := o.again(ctx, records[it.Name], it.Statement)
		switch {
		case err != nil:
			it.Away = showcause.Escape(err.Error())
		default:
			it.Again = a
		}
	}
}

func (o *reportOptions) again(ctx context.Context, r *evidence.Record, s *evidence.Statement) (*recheck.Answer, error) {
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
	return o.host.rederive(ctx, r, f, nil, nil, o.jail == answer.JailOff)
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

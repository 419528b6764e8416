// Package recording makes records of what a scan says while it goes on, and writes
// them many at a time: of each finding at once, of what was read at the end.
package recording

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/ruledb"
)

// What of one file is recorded, and how much waits until it is written.
const (
	maxRecords     = 256      // of one file
	maxRecordBytes = 32 << 20 // of one file
	maxPending     = 128
	maxPendingTime = 5 * time.Second
)

// Recorder makes records of what a scan says, and writes them many at a time.
type Recorder struct {
	scan     draft.Scan
	coverage *draft.Coverage
	ready    chan error // the digests of the program and of the rules
	keys     []*evidence.Key
	write    func([]*evidence.Record) error
	where    string
	stderr   io.Writer
	store    *store.Store
	folder   *folder // nil if records go into the store

	pending  []*evidence.Record
	since    time.Time
	names    []string // of the records of findings
	findings int      // records written, of findings
	failed   error    // after which nothing is recorded
	missed   int      // findings without a record
}

// Options are what a Recorder is made of.
type Options struct {
	Store  string // folder
	Folder string // where records go in place of the store, or ""
	DB     *ruledb.DB
	Sealed *os.File // of the database, as readers get it
	Limits showcause.Limits
	// Words are options that change a verdict, besides the limits.
	Words  map[string]string
	Jail   string // of the readers: "sealed", "off"
	Stderr io.Writer
}

// New opens the store, whose key signs records, and begins.
func New(o Options) (*Recorder, error) {
	s, err := store.Open(o.Store, store.Options{})
	if err != nil {
		return nil, err
	}
	for _, n := range s.Notes() {
		fmt.Fprintf(o.Stderr, "showcause: store: %s\n", showcause.Escape(n))
	}
	r := &Recorder{keys: s.Keys(), write: s.Append, where: o.Store, stderr: o.Stderr, store: s, ready: make(chan error, 1)}
	if o.Folder != "" {
		if r.folder, err = openFolder(o.Folder, s.Public()); err != nil {
			s.Close()
			return nil, err
		}
		r.where, r.write = o.Folder, r.folder.write
	}
	r.scan = draft.Scan{DB: o.DB, Policy: draft.Policy(o.DB, o.Limits, o.Words), Context: draft.Here()}
	r.scan.Context.Jail = o.Jail
	if err := r.scan.Begin(); err != nil {
		r.close()
		return nil, err
	}
	r.coverage = r.scan.Coverage()
	go func() { r.ready <- r.identify(o.Sealed) }()
	return r, nil
}

func (r *Recorder) close() {
	r.store.Close()
	if r.folder != nil {
		r.folder.dir.Close()
	}
}

// identify digests the program and the rules.
func (r *Recorder) identify(sealed *os.File) error {
	var err error
	if r.scan.Engine, err = draft.Engine(); err != nil {
		return err
	}
	if r.scan.Database, err = draft.Digest(sealed); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return nil
}

// identified waits until the program and the rules are digested.
func (r *Recorder) identified() error {
	if r.ready != nil {
		err := <-r.ready
		r.ready = nil
		return err
	}
	return nil
}

// Result records what is said of one file: its findings now, the rest at the end.
func (r *Recorder) Result(res *answer.Result, subject evidence.Digests) {
	if r.failed != nil || res.Skip != "" {
		return
	}
	if r.fail(r.identified()) {
		return
	}
	name := res.Path
	if res.Err != nil || len(res.Report.Gaps)+len(res.Report.Findings) > 0 {
		name = Absolute(name) // of what is not told, coverage keeps no name; this asks the kernel once for each folder above
	}
	r.coverage.File(name, subject, &res.Report, res.Err != nil)
	if res.Err != nil {
		return
	}
	bytes := 0
	for i := range res.Report.Findings {
		f := &res.Report.Findings[i]
		if i >= maxRecords || bytes > maxRecordBytes {
			n := len(res.Report.Findings) - i
			r.coverage.Unrecorded(int64(n))
			fmt.Fprintf(r.stderr, "showcause: %s: %s more have no record of their own\n", showcause.Escape(res.Path), answer.Plural(int64(n), "finding"))
			return
		}
		rec, err := r.finding(name, subject, &res.Report, f)
		if err != nil {
			r.missed++
			r.coverage.Unrecorded(1)
			fmt.Fprintf(r.stderr, "showcause: %s: no record of %s: %v\n", showcause.Escape(res.Path), showcause.Escape(f.Rule), err)
			continue
		}
		bytes += len(rec.Payload())
		r.findings++
		if f.Alarms() {
			r.names = append(r.names, rec.Name())
		}
		r.add(rec)
	}
}

func (r *Recorder) finding(name string, subject evidence.Digests, rep *showcause.Report, f *showcause.Finding) (*evidence.Record, error) {
	return Seal(&r.scan, r.keys, name, subject, rep, f)
}

// undigested tells whether the reader has no digest of the file, which a record needs.
func undigested(f *showcause.Finding) bool {
	return len(f.Chain) > 0 && f.Chain[0].Digest == showcause.SHA256{}
}

// FileError says why there is no record where that is the file's doing.
type FileError string

func (e FileError) Error() string { return string(e) }

// Seal makes the record of one finding of a report. name is where the content came from,
// subject its digests by who opened it (Digest); no SHA-256 says that it cannot be read.
func Seal(scan *draft.Scan, keys []*evidence.Key, name string, subject evidence.Digests, rep *showcause.Report, f *showcause.Finding) (*evidence.Record, error) {
	if undigested(f) {
		return nil, FileError("the file is too large to be digested, or cannot be read to its end")
	}
	if subject.SHA256 == "" {
		return nil, FileError("the file cannot be read a second time")
	}
	limit := scan.Policy.Limits.FileSize
	cut := scan.Policy.Options[recheck.OptionInput] != "all" && rep.Size > limit
	if len(f.Chain) > 0 && !cut && f.Chain[0].Digest.String() != subject.SHA256 {
		return nil, FileError("the file changed while it was scanned")
	}
	s, err := scan.Finding(name, evidence.Digests{SHA256: subject.SHA256}, rep, f)
	if err != nil {
		return nil, err
	}
	if m := s.Subject.MD5; m != "" && m != subject.MD5 || s.Subject.SHA1 != "" && s.Subject.SHA1 != subject.SHA1 {
		return nil, FileError("the file has not the digest that the rule asks for")
	}
	return evidence.Seal(s, keys...)
}

// Findings names the records of findings that no allow-list overrules.
func (r *Recorder) Findings() []string { return r.names }

// Absolute returns a path as a record has it: absolute, and without links in its
// folders as they are now. Who takes the file opens it without following any, so
// that a link made later leads nowhere.
func Absolute(path string) string {
	if path == "stdin" {
		return path
	}
	dir, base := filepath.Split(path) // as it is spelled: behind a link, ".." is not what it seems
	if dir == "" {
		dir = "."
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		path = filepath.Join(real, base)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil { // the folder that this program is in may be reached by one
		return filepath.Join(real, filepath.Base(abs))
	}
	return abs
}

// add has a record written, soon.
func (r *Recorder) add(rec *evidence.Record) {
	if len(r.pending) == 0 {
		r.since = time.Now()
	}
	r.pending = append(r.pending, rec)
	if len(r.pending) >= maxPending || time.Since(r.since) > maxPendingTime {
		r.flush()
	}
}

func (r *Recorder) flush() {
	if len(r.pending) > 0 {
		r.fail(r.write(r.pending))
		r.pending = nil
	}
}

// fail notes an error after which nothing is recorded.
func (r *Recorder) fail(err error) bool {
	if err != nil && r.failed == nil {
		r.failed = err
		fmt.Fprintf(r.stderr, "showcause: records: %s: from here on nothing is recorded\n", showcause.Escape(err.Error()))
	}
	return r.failed != nil
}

// Finish records what was looked at, and says where the records are. An error
// says that some are missing.
func (r *Recorder) Finish(interrupted, quiet bool) error {
	defer r.close()
	if r.failed == nil && !r.fail(r.identified()) {
		if interrupted {
			r.coverage.Interrupted()
		}
		for _, s := range r.coverage.Statements() {
			rec, err := evidence.Seal(s, r.keys...)
			if r.fail(err) {
				break
			}
			r.add(rec)
		}
		r.flush()
	}
	switch {
	case r.failed != nil:
		return fmt.Errorf("records: %w", r.failed)
	case r.missed > 0:
		return fmt.Errorf("records: %s have none", answer.Plural(int64(r.missed), "finding"))
	}
	if r.findings > 0 && !quiet {
		where := showcause.Escape(r.where)
		fmt.Fprintf(r.stderr, "showcause: records in %s: of %s, and of what was read (showcause report %s -o report.html)\n", where, answer.Plural(int64(r.findings), "finding"), where)
	}
	return nil
}

// Digest digests content by the algorithms that its findings may ask
// for: those of rules for exact bytes are MD5 and SHA-1 too.
func Digest(ctx context.Context, f io.ReaderAt, rep *showcause.Report) (d evidence.Digests) {
	sums := map[*string]hash.Hash{&d.SHA256: sha256.New()}
	for i := range rep.Findings {
		if undigested(&rep.Findings[i]) {
			return evidence.Digests{}
		}
		if len(rep.Findings[i].Trail) == 0 && len(rep.Findings[i].Counts) == 0 {
			sums[&d.MD5], sums[&d.SHA1] = md5.New(), sha1.New()
			break
		}
	}
	var all []io.Writer
	for _, h := range sums {
		all = append(all, h)
	}
	n, err := io.Copy(io.MultiWriter(all...), io.NewSectionReader(stoppable{f, ctx}, 0, rep.Size))
	if err != nil || n != rep.Size {
		return evidence.Digests{}
	}
	for to, h := range sums {
		*to = hex.EncodeToString(h.Sum(nil))
	}
	return d
}

// stoppable is content that is read no more once ctx is done.
type stoppable struct {
	io.ReaderAt
	ctx context.Context
}

func (s stoppable) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.ReaderAt.ReadAt(p, off)
}

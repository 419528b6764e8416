package casecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan/texts"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker/once"
)

// Role is the first argument of the process that reads the file.
const Role = "rechecker"

// shownAround is how many bytes around a match a report shows.
const shownAround = 40

// recheckOptions are the flags of evidence recheck.
type recheckOptions struct {
	host                           Host
	file, store, key, jail, format string
	db                             []string
	passwords                      func() ([][]byte, error)
}

// Recheck is the command that derives a finding again.
func (h Host) Recheck() *cobra.Command {
	o := recheckOptions{host: h}
	c := &cobra.Command{
		Use:   "recheck RECORD",
		Short: "Derive a finding again from the file, and say REPRODUCED or what differs",
		Long: `Derive a finding again from the file: unpack it along the recorded steps, compare
each digest and size, look for every match of the rule's patterns in the layer, and
evaluate the rule again. None of that is the scanner's own code but the readers of
formats. RECORD is a record's file, or the beginning of its name in the store.

A rule in YARA's language that refers to other rules means nothing without them: --db
gives them. The record of a scan is not of one file: its findings are derived again one
by one, and its files by scanning them again.

Exit code: 0 REPRODUCED; 1 something differs, and is listed; 2 an error, or it could
not be done.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.file, "file", "", "the file (default: the path that the record has)")
	f.StringArrayVarP(&o.db, "db", "d", nil, "rules to hold the record's against: a compiled database, or database files or folders")
	f.StringVar(&o.key, "key", "", "public key (PEM) that must have signed (default: the store's)")
	o.passwords = h.PasswordFlags(f)
	h.StoreFlag(f, &o.store)
	f.StringVar(&o.jail, "jail", "on", "on: the file is read by a process that the kernel has locked in; off: by this process")
	f.StringVar(&o.format, "format", "text", "output: text, json")
	return c
}

// loaded is a record as a command got it.
type loaded struct {
	record *evidence.Record
	sealed *evidence.Sealed // nil if no key was there to check the signature with
	store  *store.Store     // nil unless there is one
}

func (l *loaded) close() {
	if l.store != nil {
		l.store.Close()
	}
}

// loadRecord reads a record from a file or from the store, and verifies it
// where there is a key. A record that does not verify is an error, and so is one that
// does not hold together where there is none.
func (h Host) loadRecord(ref, storeFlag, keyFile string, write bool) (*loaded, error) {
	dir, named, err := h.StoreDir(storeFlag)
	if err != nil {
		return nil, err
	}
	l := &loaded{}
	var storeErr error
	if dir != "" {
		l.store, storeErr = store.Open(dir, store.Options{ReadOnly: !write})
		if storeErr != nil && named {
			return nil, storeErr
		}
	}
	l.record, err = l.find(ref)
	if err != nil {
		l.close()
		if storeErr != nil {
			err = fmt.Errorf("%w (%s)", err, showcause.Escape(storeErr.Error()))
		}
		return nil, err
	}
	keys, err := l.trusted(keyFile)
	if err != nil {
		l.close()
		return nil, err
	}
	if len(keys) == 0 {
		if err := sound(l.record); err != nil {
			l.close()
			return nil, fmt.Errorf("record: %w", err)
		}
		return l, nil
	}
	if l.sealed, err = l.record.Verify(evidence.VerifyOptions{Keys: keys}); err != nil {
		l.close()
		return nil, fmt.Errorf("record: %w", err)
	}
	return l, nil
}

// find reads a record: a file if there is one of that name.
func (l *loaded) find(ref string) (*evidence.Record, error) {
	f, err := os.Open(ref)
	if err == nil {
		defer f.Close()
		return evidence.ReadRecord(f)
	}
	if l.store != nil && len(ref) >= 4 && !strings.ContainsAny(ref, "/.") {
		return l.store.Find(ref)
	}
	return nil, fmt.Errorf("record: %w", err)
}

// sound holds what can be held without a key: that a record holds together, and that
// it carries the signatures that it names, by whomever they are. One that is not has
// members missing that all who read it take for granted.
func sound(r *evidence.Record) error {
	_, err := r.Verify(evidence.VerifyOptions{})
	var p evidence.Problems
	if !errors.As(err, &p) {
		return err
	}
	if p = slices.DeleteFunc(p, func(x evidence.Problem) bool { return x.Code == evidence.UnknownKey }); len(p) > 0 {
		return p
	}
	return nil
}

// trusted returns the keys of a file, or the store's if it signed.
func (l *loaded) trusted(keyFile string) ([]evidence.PublicKey, error) {
	if keyFile != "" {
		b, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		return evidence.ParsePublicKeys(b)
	}
	if l.store == nil {
		return nil, nil
	}
	for _, k := range l.store.Public() {
		for _, id := range l.record.Statement().Context.Keys {
			if k.ID() == id {
				return l.store.Public(), nil
			}
		}
	}
	return nil, nil
}

func (o *recheckOptions) run(c *cobra.Command, ref string) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("flag --format: %q is not one of text, json", o.format)
	}
	if o.jail != "on" && o.jail != answer.JailOff {
		return fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	}
	l, err := o.host.loadRecord(ref, o.store, o.key, false)
	if err != nil {
		return err
	}
	defer l.close()
	s := l.record.Statement()
	switch s.Kind {
	case evidence.Finding:
	case evidence.Scan:
		return fmt.Errorf("record %s: of a scan: its findings and files can be derived again one by one", l.record.Name())
	default:
		return fmt.Errorf("record %s: of kind %s: only a finding can be derived again", l.record.Name(), s.Kind)
	}
	path := o.file
	if path == "" {
		var ok bool
		if path, ok = showcause.Unescape(s.Context.Path.Text); !ok || path == "" {
			return errors.New("flag --file: the record does not say which file it is of")
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return fmt.Errorf("file: %s: not a regular file", showcause.Escape(path))
	}
	var rules *database
	if len(o.db) > 0 {
		if rules, err = o.host.database(c, o.db); err != nil {
			return err
		}
	}
	known, err := rules.known(s)
	if err != nil {
		return err
	}
	words, err := o.passwords()
	if err != nil {
		return err
	}
	if rules != nil {
		words = append(words, texts.Of(rules.db).Passwords...)
	}
	a, err := o.host.rederive(c.Context(), l.record, f, known.before, words, o.jail == answer.JailOff)
	if err != nil {
		return err
	}
	known.add(a)
	if l.sealed == nil {
		a.Notes = append(a.Notes, "the signature was not checked: no key of who signed is at hand (--key)")
	}
	if e, err := draft.Engine(); err == nil && e.Revision != s.Engine.Revision {
		a.Notes = append(a.Notes, fmt.Sprintf("the record was made by another revision of this program: %s, this is %s", orNone(s.Engine.Revision), orNone(e.Revision)))
	}
	a.Excerpts = nil // bytes of the file are the report's
	if o.format == "json" {
		if err := answer.NewEncoder(c.OutOrStdout()).Encode(a); err != nil {
			return err
		}
	} else {
		printRecheck(c.OutOrStdout(), s, a)
	}
	switch {
	case a.Undone != "" && len(a.Differences) == 0:
		return o.host.Exit(2)
	case !a.Reproduced:
		return o.host.Exit(1)
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "(not known)"
	}
	return showcause.Escape(s)
}

// printRecheck prints the answer. What it says came from the process that read
// the file, and may be anything.
func printRecheck(w io.Writer, s *evidence.Statement, a *recheck.Answer) {
	layer := "the file itself"
	if n := len(s.Derivation); n > 0 {
		layer = fmt.Sprintf("the layer %s down", answer.Plural(int64(n), "step"))
	}
	switch {
	case a.Reproduced && a.Bytes:
		fmt.Fprintf(w, "REPRODUCED  %s in %s, byte for byte\n", showcause.Escape(s.Rules.Rule.Name), layer)
	case a.Reproduced:
		fmt.Fprintf(w, "REPRODUCED  %s in %s, but for what is noted\n", showcause.Escape(s.Rules.Rule.Name), layer)
	case a.Undone != "" && len(a.Differences) == 0:
		fmt.Fprintf(w, "COULD NOT BE DONE  %s in %s: %s\n", showcause.Escape(s.Rules.Rule.Name), layer, showcause.Escape(a.Undone))
	default:
		fmt.Fprintf(w, "DIFFERS  %s in %s\n", showcause.Escape(s.Rules.Rule.Name), layer)
	}
	for _, d := range a.Differences {
		fmt.Fprintf(w, "  %s\n", showcause.Escape(d.String()))
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "  note: %s\n", showcause.Escape(n))
	}
}

// maxRecheckTime is the wall clock that it may take.
const maxRecheckTime = 30 * time.Minute

// rederive has the file read, in the jail or here.
func (h Host) rederive(ctx context.Context, r *evidence.Record, f *os.File, before []string, words [][]byte, here bool) (*recheck.Answer, error) {
	if here {
		st, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		src := io.NewSectionReader(f, 0, st.Size())
		a := recheck.Record(r.Statement(), src, recheck.Options{Spill: func() (unpack.File, error) { return h.Scratch() }, Around: shownAround, Before: before, Passwords: words})
		a.Notes = append(a.Notes, "without the jail: this process read the file itself (--jail=off)")
		return &a, nil
	}
	if err := jail.Available(); err != nil {
		return nil, fmt.Errorf("jail: the kernel cannot lock the process that reads the file: %w; --jail=off reads it without", err)
	}
	if err := jail.Broker(); err != nil {
		return nil, fmt.Errorf("jail: %w", err)
	}
	request, err := json.Marshal(recheckRequest{r.Bytes(), before, words})
	if err != nil {
		return nil, fmt.Errorf("reader: request: %w", err)
	}
	b, _, err := once.Run(ctx, request, f, once.Options{Args: []string{"showcause", Role}, Scratch: h.Scratch, Timeout: maxRecheckTime})
	if err != nil {
		return nil, err
	}
	var a recheck.Answer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("reader: answer: %w", err)
	}
	a.Reproduced = a.Reproduced && len(a.Differences) == 0 && a.Undone == ""
	bounded(&a)
	return &a, nil
}

// maxSaid is the number of differences and of notes that are looked at.
const maxSaid = 1000

// bounded keeps of an answer what a reader that is sound would say at most.
func bounded(a *recheck.Answer) {
	if n := len(a.Differences); n > maxSaid {
		a.Differences = append(a.Differences[:maxSaid:maxSaid], recheck.Difference{Where: "differences", Claimed: "", Derived: fmt.Sprintf("%d more", n-maxSaid)})
	}
	if n := len(a.Notes); n > maxSaid {
		a.Notes = append(a.Notes[:maxSaid:maxSaid], fmt.Sprintf("%d more notes", n-maxSaid))
	}
}

// recheckRequest is what the process that reads the file is asked.
type recheckRequest struct {
	Record []byte   `json:"record"`
	Before []string `json:"before,omitempty"` // recheck.Options
	Words  [][]byte `json:"words,omitempty"`  // recheck.Options.Passwords
}

// Read is the process that reads the file; what it returns is its exit code.
func Read() int {
	_ = jail.Hide()
	err := once.Read(func(j once.Job) []byte {
		a := recheck.Answer{}
		var q recheckRequest
		err := json.Unmarshal(j.Request, &q)
		var r *evidence.Record
		if err == nil {
			r, err = evidence.Parse(q.Record)
		}
		if err != nil {
			a.Notes = []string{"the record cannot be read: " + err.Error()}
		} else {
			a = recheck.Record(r.Statement(), j.Source, recheck.Options{Spill: j.Spill, Around: shownAround, Before: q.Before, Passwords: q.Words})
		}
		b, err := json.Marshal(a)
		if err != nil {
			return []byte("{}")
		}
		return b
	}, once.Reading{})
	if err != nil {
		fmt.Fprintf(os.Stderr, "showcause rechecker: %v\n", err)
		return 2
	}
	return 0
}

// known is what the rules that the user names say of a record's rule.
type known struct {
	before      []string // the rules that it asks for
	differences []recheck.Difference
	notes       []string
}

// add puts into an answer what the rules say.
func (k *known) add(a *recheck.Answer) {
	a.Notes = append(a.Notes, k.notes...)
	if len(k.differences) > 0 {
		a.Reproduced = false
		a.Differences = append(a.Differences, k.differences...)
	}
}

// database is rules that the user names.
type database struct {
	db  *ruledb.DB
	sum string // SHA-256 of the compiled form
}

// database opens them.
func (h Host) database(c *cobra.Command, paths []string) (*database, error) {
	db, err := h.OpenDB(c.Context(), paths, c.ErrOrStderr(), true)
	if err != nil {
		return nil, err
	}
	sealed, rest, err := db.Share()
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	defer rest.Close()
	sum, err := draft.Digest(rest)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return &database{db, sum}, nil
}

// known holds a record's rule against the rules; where d is nil there are none.
func (d *database) known(s *evidence.Statement) (k known, err error) {
	if d == nil {
		return k, nil
	}
	if d.sum != s.Rules.Database {
		k.notes = append(k.notes, fmt.Sprintf("the database is another: %s, the record's was %s", d.sum, s.Rules.Database))
	}
	r := s.Rules.Rule
	for _, i := range d.db.Find(r.Name, 0) {
		info, err := d.db.Info(i)
		if err != nil {
			return k, err
		}
		if info.Digest == r.Digest {
			k.before, err = recheck.Before(d.db, i)
			return k, err
		}
	}
	k.differences = []recheck.Difference{{Where: "rules", Claimed: "the rule " + showcause.Escape(r.Name) + " with the text " + r.Digest, Derived: "no such rule in the database"}}
	return k, nil
}

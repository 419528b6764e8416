// Package recordcmd are the commands about records as such: verify, share,
// open, export, and the key that verifies them.
package recordcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/export"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/translog"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	// Version is what the program calls itself.
	Version string
	// StoreFlag adds the flag --store, and StoreDir says which folder it means;
	// "" if there is to be none.
	StoreFlag func(f *pflag.FlagSet, to *string)
	StoreDir  func(flag string) (dir string, named bool, err error)
	// Refused is the error that ends the program with the exit code of a finding
	// and without a message.
	Refused error
}

// recordSuffix ends the names of records' files.
const recordSuffix = ".scf"

// Evidence is the command "evidence", with more commands from elsewhere.
func (h Host) Evidence(more ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence",
		Short: "Verify records, share them without what is private, open single fields, export",
		Long: `Records are what Showcause found, looked at or did, in a form that another can
check: docs/format/record.md specifies them, and docs/format/verify.py is a second
verifier, which shares no code with this program.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(h.verify(), h.share(), h.open(), h.export(), h.key())
	c.AddCommand(more...)
	return c
}

// source is where a command finds records and keys.
type source struct {
	host  Host
	store string
	keys  []string
}

func (s *source) flags(f *pflag.FlagSet) {
	s.host.StoreFlag(f, &s.store)
	f.StringArrayVar(&s.keys, "key", nil, "public key file of a host that is trusted (repeatable; default: this host's, from the store)")
}

// trusted returns the keys that records are held against.
func (s *source) trusted() ([]evidence.PublicKey, error) {
	files := s.keys
	if len(files) == 0 {
		dir, _, err := s.host.StoreDir(s.store)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return nil, errors.New("key: no store, and no --key")
		}
		files = []string{filepath.Join(dir, "key.pub")}
	}
	var out []evidence.PublicKey
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		k, err := evidence.ParsePublicKeys(b)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", showcause.Escape(name), err)
		}
		out = append(out, k...)
	}
	return out, nil
}

// read reads one record: a file, standard input for "-", or, where there is no
// such file, a record of the store by the beginning of its name.
func (s *source) read(c *cobra.Command, ref string) (*evidence.Record, error) {
	if ref == "-" {
		return evidence.ReadRecord(c.InOrStdin())
	}
	f, err := os.Open(ref)
	if err == nil {
		defer f.Close()
		return evidence.ReadRecord(f)
	}
	if !errors.Is(err, fs.ErrNotExist) || len(ref) < 4 || strings.Trim(ref, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("record: %w", err)
	}
	dir, _, err := s.host.StoreDir(s.store)
	if err != nil || dir == "" {
		return nil, fmt.Errorf("record %s: no such file, and no store", ref)
	}
	st, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return st.Find(ref)
}

// expand replaces folders by the records in them, in the order of their names.
func (s *source) expand(args []string) ([]string, error) {
	var out []string
	for _, a := range args {
		info, err := os.Stat(a)
		if err != nil || !info.IsDir() {
			out = append(out, a)
			continue
		}
		err = filepath.WalkDir(a, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && strings.HasSuffix(p, recordSuffix) {
				out = append(out, p)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("records: %w", err)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("records: none in the folders named")
	}
	return out, nil
}

// verifyAnswer is what evidence verify says of one record.
type verifyAnswer struct {
	File     string            `json:"file"`
	Verified bool              `json:"verified"`
	Record   string            `json:"record,omitempty"`
	Kind     evidence.Kind     `json:"kind,omitempty"`
	Key      string            `json:"key,omitempty"`
	Problems evidence.Problems `json:"problems,omitempty"`
	Notes    []evidence.Note   `json:"notes,omitempty"`
	summary  string
}

func (h Host) verify() *cobra.Command {
	src := source{host: h}
	var format, policy string
	var needProof bool
	c := &cobra.Command{
		Use:   "verify RECORD...",
		Short: "Check records without the file: signatures, log proof, consistency, rule text, condition",
		Long: `Check records without the file that they are of: the signatures, the proof that the
host's log has the record, that it holds together, the rule's text against its digest,
and the rule's condition, evaluated again from the matches recorded where it does not
read the file. RECORD is a file, a folder, - for standard input, or the beginning of
a record's name in the store.

Exit code: 0 all verify; 1 one is refused, with every reason; 2 an error.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("evidence verify: format %q: want text or json", format)
			}
			keys, err := src.trusted()
			if err != nil {
				return err
			}
			o := evidence.VerifyOptions{Keys: keys, NeedProof: needProof}
			var witnesses []byte
			if policy != "" {
				if witnesses, err = os.ReadFile(policy); err != nil {
					return fmt.Errorf("policy: %w", err)
				}
			}
			o.Log = translog.Logged(keys, witnesses)
			return src.verify(c, args, o, format)
		},
	}
	src.flags(c.Flags())
	c.Flags().BoolVar(&needProof, "need-proof", false, "refuse a record that carries no proof that the host's log has it")
	c.Flags().StringVar(&policy, "witnesses", "", "file that names witnesses of the log, which must have signed (C2SP tlog-policy)")
	c.Flags().StringVar(&format, "format", "text", "output: text, json (a line each)")
	return c
}

func (s *source) verify(c *cobra.Command, args []string, o evidence.VerifyOptions, format string) error {
	files, err := s.expand(args)
	if err != nil {
		return err
	}
	refused := false
	for _, name := range files {
		var a *verifyAnswer
		// The largest record takes a while: whoever ends the command does not wait for it.
		done := make(chan error, 1)
		go func() {
			var err error
			a, err = s.verifyOne(c, name, o)
			done <- err
		}()
		select {
		case err = <-done:
		case <-c.Context().Done():
			return fmt.Errorf("evidence verify: %w", c.Context().Err())
		}
		if err != nil {
			return err
		}
		refused = refused || !a.Verified
		if err := a.print(c.OutOrStdout(), format); err != nil {
			return err
		}
	}
	if refused {
		return s.host.Refused
	}
	return nil
}

// verifyOne verifies one record. An error is of what could not be read.
func (s *source) verifyOne(c *cobra.Command, name string, o evidence.VerifyOptions) (*verifyAnswer, error) {
	a := &verifyAnswer{File: showcause.Escape(name)}
	r, err := s.read(c, name)
	if err == nil {
		says := r.Statement()
		a.Record, a.Kind = r.Name(), says.Kind
		var sealed *evidence.Sealed
		if sealed, err = r.Verify(o); err == nil {
			a.Verified, a.Key, a.Notes, a.summary = true, sealed.Signer().ID(), sealed.Notes(), summary(says)
		}
	}
	if err != nil && !errors.As(err, &a.Problems) {
		return nil, err
	}
	return a, nil
}

func (a *verifyAnswer) print(w io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(a)
	}
	if !a.Verified {
		fmt.Fprintf(w, "REFUSED   %s\n", a.File)
		for _, p := range a.Problems {
			fmt.Fprintf(w, "          %s\n", showcause.Escape(p.String()))
		}
		return nil
	}
	fmt.Fprintf(w, "verified  %s: %s\n", a.File, a.summary)
	fmt.Fprintf(w, "          record %s, signed by key %s\n", a.Record, a.Key)
	for _, n := range a.Notes {
		fmt.Fprintf(w, "          %s\n", showcause.Escape(n.String()))
	}
	return nil
}

// summary says in a line what a record is of.
func summary(s *evidence.Statement) string {
	path := s.Context.Path.Text
	if path == "" {
		path = "a file that is not named"
	}
	switch {
	case s.Kind == evidence.Finding:
		return fmt.Sprintf("%s: %s in %s, %s", s.Verdict, s.Rules.Rule.Name, path, s.Time.Observed)
	case s.Kind == evidence.Scan:
		return fmt.Sprintf("scan of %d files, %s, %s", s.Coverage.Files, s.Verdict, s.Time.Observed)
	case s.Action != nil:
		return fmt.Sprintf("%s of %s, %s, %s", s.Action.Deed, path, s.Action.Result, s.Time.Observed)
	case s.Contest != nil:
		return fmt.Sprintf("contest of %s, %s", s.Contest.Record, s.Time.Observed)
	case s.Decision != nil:
		return fmt.Sprintf("decision on %s, %s, %s", s.Decision.Record, s.Decision.Outcome, s.Time.Observed)
	}
	return string(s.Kind)
}

// fields are the words for the places of private values: beginnings of JSON
// pointers into the payload.
var fields = []struct{ word, at string }{
	{"path", "/predicate/context/path"}, // and paths
	{"host", "/predicate/context/host"},
	{"user", "/predicate/context/user"},
	{"digests", "/subject/"},
	{"digests", "/predicate/derivation/"},
	{"digests", "/predicate/coverage/inputs/"},
	{"offsets", "/predicate/matches"},
	{"id", "/predicate/id"},
	{"reason", "/predicate/action/reason"},
	{"reason", "/predicate/contest/reason"},
	{"reason", "/predicate/decision/reason"},
}

// shows tells whether one of the words, or of the JSON pointers, names a place.
func shows(words []string, at string) bool {
	for _, f := range fields {
		if strings.HasPrefix(at, f.at) && (slices.Contains(words, f.word) || slices.Contains(words, "all")) {
			return true
		}
	}
	return slices.Contains(words, at)
}

func checkFields(words []string) error {
	for _, w := range words {
		if !strings.HasPrefix(w, "/") && w != "all" && !slices.ContainsFunc(fields, func(f struct{ word, at string }) bool { return f.word == w }) {
			return fmt.Errorf("flag --show: %q: want path, host, user, digests, offsets, id, reason, all, or a JSON pointer", w)
		}
	}
	return nil
}

// write writes a record to a file that must not be there yet, or to standard output.
func writeRecord(c *cobra.Command, name string, r *evidence.Record) error {
	if name == "" || name == "-" {
		_, err := c.OutOrStdout().Write(r.Bytes())
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	_, err = f.Write(r.Bytes())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

func (h Host) share() *cobra.Command {
	src := source{host: h}
	var show []string
	var hideOffsets bool
	var out string
	c := &cobra.Command{
		Use:   "share RECORD [-o FILE]",
		Short: "Make a copy without paths, names, host, user and digests, under the same signature",
		Long: `Make a copy of a record that shows no path, host, user, digest or id: what the
signed part has in their place are salted commitments. The copy verifies under the
signature of the original. Keep the original: evidence open shows single fields of it
to those who have the copy.

What stays in the copy: the verdict, the rule, its text, file name and line, the type of the
file, sizes, operations, offsets (see --hide-offsets), gaps, limits, the program, the time, and
the scan's random name, by which copies of one scan can be told to belong together. A rule
for exact bytes has the digest of what it found in its own text.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFields(show); err != nil {
				return err
			}
			r, err := src.read(c, args[0])
			if err != nil {
				return err
			}
			words := show
			if !hideOffsets {
				words = append(slices.Clone(words), "offsets")
			}
			return writeRecord(c, out, r.Share(func(at string) bool { return shows(words, at) }))
		},
	}
	h.StoreFlag(c.Flags(), &src.store)
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not exist (default: standard output)")
	c.Flags().StringSliceVar(&show, "show", nil, "fields that stay: path, host, user, digests, id, reason, or a JSON pointer")
	c.Flags().BoolVar(&hideOffsets, "hide-offsets", false, "leave out where the patterns matched, too")
	return c
}

func (h Host) open() *cobra.Command {
	src := source{host: h}
	var from, out string
	var show []string
	c := &cobra.Command{
		Use:   "open COPY --from RECORD --show FIELD [-o FILE]",
		Short: "Show single fields in a copy that was shared, from the original",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if from == "" || len(show) == 0 {
				return errors.New("evidence open: name the original with --from, and fields with --show")
			}
			if err := checkFields(show); err != nil {
				return err
			}
			shared, err := src.read(c, args[0])
			if err != nil {
				return err
			}
			original, err := src.read(c, from)
			if err != nil {
				return err
			}
			opened := 0
			for _, at := range original.Shown() {
				if shows(show, at) {
					if shared, err = shared.Reveal(original, at); err != nil {
						return err
					}
					opened++
				}
			}
			if opened == 0 {
				return fmt.Errorf("evidence open: the original shows nothing of %s", strings.Join(show, ", "))
			}
			return writeRecord(c, out, shared)
		},
	}
	h.StoreFlag(c.Flags(), &src.store)
	c.Flags().StringVar(&from, "from", "", "the original, or a copy that shows the field")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not exist (default: standard output)")
	c.Flags().StringSliceVar(&show, "show", nil, "fields to show: path, host, user, digests, offsets, id, reason, all, or a JSON pointer")
	return c
}

func (h Host) key() *cobra.Command {
	src := source{host: h}
	c := &cobra.Command{
		Use:   "key",
		Short: "Print the public keys that verify this host's records, and their ids",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			keys, err := src.trusted()
			if err != nil {
				return err
			}
			for _, k := range keys {
				fmt.Fprintf(c.OutOrStdout(), "%s key %s\n", k.Algorithm(), k.ID())
				if ed := k.Ed25519(); ed != nil {
					line, err := translog.VerifierKey(ed)
					if err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "log %s\n", line)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s", k.PEM())
			}
			return nil
		},
	}
	src.flags(c.Flags())
	return c
}

func (h Host) export() *cobra.Command {
	src := source{host: h}
	var format, out string
	c := &cobra.Command{
		Use:   "export --format FORMAT RECORD...",
		Short: "Write verified records as SARIF, STIX, OCSF, JSON, CSV or HTML",
		Long: `Write records in a format that others read. A record that does not verify is not
exported: the command ends with its reasons. RECORD is as in evidence verify.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(export.Formats(), format) {
				return fmt.Errorf("evidence export: format %q: want %s", format, strings.Join(export.Formats(), ", "))
			}
			keys, err := src.trusted()
			if err != nil {
				return err
			}
			files, err := src.expand(args)
			if err != nil {
				return err
			}
			var sealed []*evidence.Sealed
			for _, name := range files {
				r, err := src.read(c, name)
				if err != nil {
					return fmt.Errorf("%s: %w", showcause.Escape(name), err)
				}
				s, err := r.Verify(evidence.VerifyOptions{Keys: keys, Log: translog.Logged(keys, nil)})
				if err != nil {
					return fmt.Errorf("%s: %w", showcause.Escape(name), err)
				}
				sealed = append(sealed, s)
			}
			return h.writeExport(c, out, format, sealed)
		},
	}
	src.flags(c.Flags())
	c.Flags().StringVar(&format, "format", "json", "output: "+strings.Join(export.Formats(), ", "))
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, which must not exist (default: standard output)")
	return c
}

func (h Host) writeExport(c *cobra.Command, name, format string, sealed []*evidence.Sealed) error {
	if name == "" || name == "-" {
		return export.Write(c.OutOrStdout(), format, h.Version, sealed)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	err = export.Write(f, format, h.Version, sealed)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("export: %w", cerr)
	}
	return err
}

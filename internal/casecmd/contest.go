package casecmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/quarantine"
)

// contestOptions are the flags of contest and decide.
type contestOptions struct {
	host                    Host
	reason, store, key, out string
	upheld, withdrawn       bool
	again                   bool
}

func (o *contestOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.reason, "reason", "", "why, for those who read it")
	f.StringVar(&o.key, "key", "", "public key (PEM) that must have signed the record (default: the store's)")
	f.StringVarP(&o.out, "out", "o", "", "write the new record to this file too")
	o.host.StoreFlag(f, &o.store)
}

// Contest is the command "contest".
func (h Host) Contest() *cobra.Command {
	o := contestOptions{host: h}
	c := &cobra.Command{
		Use:   "contest RECORD --reason TEXT",
		Short: "Say, in a signed record, that a finding is wrong",
		Long: `Say that a finding is wrong. The contest is a record of its own: signed, logged, and
naming the finding. showcause decide answers it, and showcause evidence show prints
the whole correspondence. RECORD is a record's file, or the beginning of its name in
the store.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.contest(c, args[0]) },
	}
	o.flags(c)
	return c
}

// Decide is the command "decide".
func (h Host) Decide() *cobra.Command {
	o := contestOptions{host: h}
	c := &cobra.Command{
		Use:   "decide CONTEST --upheld|--withdrawn --reason TEXT",
		Short: "Decide a contest: the finding is upheld, or it is withdrawn",
		Long: `Decide a contest, in a signed record that names it and the finding. Of a finding that
is withdrawn, what its rule took into quarantine is listed, with the command that
restores it. A contest is decided once: --again decides it anew, and the later decision
is the one that counts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.decide(c, args[0]) },
	}
	o.flags(c)
	c.Flags().BoolVar(&o.upheld, "upheld", false, "the finding stands")
	c.Flags().BoolVar(&o.withdrawn, "withdrawn", false, "the finding does not stand")
	c.Flags().BoolVar(&o.again, "again", false, "replace the decision of a contest that is decided already")
	return c
}

// write seals a statement, and keeps it.
func (o *contestOptions) write(c *cobra.Command, l *loaded, s *evidence.Statement) (*evidence.Record, error) {
	r, err := evidence.Seal(s, l.store.Keys()...)
	if err != nil {
		return nil, err
	}
	if l.record.Statement().Subject.SHA256 == "" {
		// The digest of the file is hidden from us, and draft put another in its
		// place: nobody is to read it as the file's.
		r = r.Share(func(at string) bool { return at != "/subject/0/digest" })
	}
	if err := l.store.Append([]*evidence.Record{r}); err != nil {
		return nil, err
	}
	if o.out != "" {
		if err := writeNew(o.out, r.Bytes()); err != nil {
			return nil, fmt.Errorf("record %s is in the store: flag --out: %w", r.Name(), err)
		}
	}
	return r, nil
}

// load reads the record that a new one is to be about, and refuses one that nobody
// answers for: what is sealed over it says that there is such a record.
func (o *contestOptions) load(ref string) (*loaded, error) {
	if strings.TrimSpace(o.reason) == "" {
		return nil, errors.New("flag --reason: say why")
	}
	if o.out != "" {
		if err := regularOrNone(o.out); err != nil {
			return nil, fmt.Errorf("flag --out: %w", err)
		}
	}
	l, err := o.host.loadRecord(ref, o.store, o.key, true)
	switch {
	case err != nil:
		return nil, err
	case l.store == nil:
		err = errors.New("store: there is none, and its key signs records (--store)")
	case l.sealed == nil:
		err = fmt.Errorf("record %s: not signed by this host's key: --key names the key of who signed it", l.record.Name())
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// regularOrNone refuses what stands at a path and is no file: a link leads elsewhere.
func regularOrNone(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", showcause.Escape(path))
	}
	return err
}

// writeNew writes a file whole or not at all, in place of one that is there. It goes
// through no link.
func writeNew(path string, b []byte) error {
	if err := regularOrNone(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".record-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (o *contestOptions) contest(c *cobra.Command, ref string) error {
	l, err := o.load(ref)
	if err != nil {
		return err
	}
	defer l.close()
	if k := l.record.Statement().Kind; k != evidence.Finding {
		return fmt.Errorf("record: of kind %s: only a finding can be contested", k)
	}
	e, err := draft.Engine()
	if err != nil {
		return err
	}
	r, err := o.write(c, l, draft.Contest(e, l.record, o.reason, draft.Here()))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "contest %s\nof finding %s\n", r.Name(), l.record.Name())
	return nil
}

func (o *contestOptions) decide(c *cobra.Command, ref string) error {
	if o.upheld == o.withdrawn {
		return errors.New("flags --upheld, --withdrawn: want one of them")
	}
	l, err := o.load(ref)
	if err != nil {
		return err
	}
	defer l.close()
	s := l.record.Statement()
	if s.Kind != evidence.Contest {
		return fmt.Errorf("record: of kind %s: want a contest", s.Kind)
	}
	before, err := gather(l.store, c.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := decidable(before, l.record.Name(), s.Contest.Record); err != nil {
		return err
	}
	was := decisionOf(before, l.record.Name())
	if was != nil && !o.again {
		return fmt.Errorf("contest %s: decided already: %s, by %s of %s; --again replaces that decision", l.record.Name()[:16], was.s.Decision.Outcome, was.name[:16], was.s.Time.Observed)
	}
	e, err := draft.Engine()
	if err != nil {
		return err
	}
	outcome := "upheld"
	if o.withdrawn {
		outcome = "withdrawn"
	}
	r, err := o.write(c, l, draft.Decision(e, l.record, outcome, o.reason, draft.Here()))
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "decision %s: %s\nof contest %s\nof finding %s\n", r.Name(), outcome, l.record.Name(), s.Contest.Record)
	if was != nil {
		fmt.Fprintf(out, "in place of decision %s: %s\n", was.name, was.s.Decision.Outcome)
	}
	if o.withdrawn {
		proposeRestore(out, l.store, before, s.Contest.Record)
	}
	return nil
}

// decidable refuses a contest that this store does not have, and one of what is no
// finding. The finding itself may be elsewhere (scan --records): this host has sealed
// the contest, which it does only over a finding that verified.
func decidable(all []entry, contest, finding string) error {
	at := slices.IndexFunc(all, func(e entry) bool { return e.name == contest })
	if at < 0 {
		return fmt.Errorf("contest %s: not in this store: showcause contest seals one", contest)
	}
	for _, e := range all {
		if e.name == finding && e.s.Kind != evidence.Finding {
			return fmt.Errorf("contest %s: of record %s, which is of kind %s and no finding", short(contest), short(finding), e.s.Kind)
		}
	}
	return nil
}

// decisionOf returns the decision that counts of a contest: the last. It is nil if
// there is none.
func decisionOf(all []entry, contest string) (last *entry) {
	for i := range all {
		if d := all[i].s.Decision; d != nil && d.Contest == contest {
			last = &all[i]
		}
	}
	return last
}

// proposeRestore lists what the rule of a finding that was withdrawn has taken, by
// what is in quarantine now: records of deeds can be away.
func proposeRestore(w io.Writer, s *store.Store, all []entry, finding string) {
	rule := ""
	for _, e := range all {
		if e.name == finding {
			rule = e.s.Rules.Rule.Name
		}
	}
	items, err := inQuarantine(s)
	if err != nil {
		fmt.Fprintf(w, "what its rule took is not known: %s\n", showcause.Escape(err.Error()))
		return
	}
	for _, it := range items {
		if it.Record == finding {
			rule = it.Rule
		}
	}
	if rule == "" {
		fmt.Fprintf(w, "the finding is not in this store: what its rule took is not known here\n")
		return
	}
	items = slices.DeleteFunc(items, func(it *quarantine.Item) bool { return it.Rule != rule })
	if len(items) == 0 {
		fmt.Fprintf(w, "nothing that rule %s found is in quarantine\n", showcause.Escape(rule))
		return
	}
	fmt.Fprintf(w, "rule %s has taken, and not given back:\n", showcause.Escape(rule))
	for _, it := range items {
		for _, n := range it.Names {
			fmt.Fprintf(w, "  %s  item %s\n", printable(n.Path), short(it.ID))
		}
	}
	fmt.Fprintf(w, "to give it back: showcause quarantine restore --rule %s\n", shellQuote(rule))
}

// shellQuote writes a word as a shell takes it.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// correspondence returns the records that are about a finding, by what they name.
func correspondence(all []entry, finding string) (out []entry) {
	for _, e := range all {
		switch s := e.s; {
		case s.Action != nil && s.Action.Record == finding,
			s.Contest != nil && s.Contest.Record == finding,
			s.Decision != nil && s.Decision.Record == finding:
			out = append(out, e)
		}
	}
	return out
}

// about is the finding that a record is about, or the record itself.
func about(name string, s *evidence.Statement) string {
	switch {
	case s.Action != nil:
		return s.Action.Record
	case s.Contest != nil:
		return s.Contest.Record
	case s.Decision != nil:
		return s.Decision.Record
	}
	return name
}

// Show is the command that prints a record and all that was said of it.
func (h Host) Show() *cobra.Command {
	var storeDirFlag, key string
	c := &cobra.Command{
		Use:   "show RECORD",
		Short: "Print a record, and the whole correspondence over it with its dates",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := h.loadRecord(args[0], storeDirFlag, key, false)
			if err != nil {
				return err
			}
			defer l.close()
			return l.show(c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&key, "key", "", "public key (PEM) that must have signed (default: the store's)")
	h.StoreFlag(c.Flags(), &storeDirFlag)
	return c
}

func (l *loaded) show(w, stderr io.Writer) error {
	s := l.record.Statement()
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(k, format string, a ...any) {
		fmt.Fprintf(tab, "%s\t%s\n", k, printable(fmt.Sprintf(format, a...)))
	}
	line("record", "%s", l.record.Name())
	line("kind", "%s", s.Kind)
	line("time", "%s", s.Time.Observed)
	signed := "not checked: no key of who signed is at hand"
	if l.sealed != nil {
		signed = "by " + l.sealed.Signer().ID()
	}
	line("signature", "%s", signed)
	hidden := func(p evidence.Private) string {
		if p.Commitment != "" {
			return "(hidden)"
		}
		return p.Text
	}
	if p := hidden(s.Context.Path); p != "" {
		line("file", "%s", p)
	}
	if s.Subject.SHA256 != "" {
		line("sha256", "%s", s.Subject.SHA256)
	}
	if s.Verdict != "" {
		line("verdict", "%s", s.Verdict)
	}
	if s.Rules != nil && s.Rules.Rule != nil {
		r := s.Rules.Rule
		line("rule", "%s (%s, line %d)", r.Name, r.File, r.Line)
		if r.Allowed != "" {
			line("allowed by", "%s", r.Allowed)
		}
		if r.Stage != "" {
			line("stage", "%s", r.Stage)
		}
	}
	for i, d := range s.Derivation {
		line(fmt.Sprintf("step %d", i+1), "#%d %s: %d bytes, sha256 %s", d.Index, d.Op, d.Size, orHidden(d.Digest.SHA256))
	}
	if s.Matches != nil {
		for _, m := range s.Matches.List {
			line("match", "pattern %d at %d (%#x), %d bytes", m.Pattern, m.Offset, m.Offset, m.Length)
		}
	}
	if v := s.Coverage; v != nil {
		line("coverage", "%d objects, %d bytes, %d gaps", v.Objects, v.Bytes, len(v.Gaps))
		if v.Unrecorded > 0 {
			line("findings", "%d have no record of their own", v.Unrecorded)
		}
	}
	line("engine", "%s %s, %s, %s", s.Engine.Version, s.Engine.Revision, s.Engine.Go, s.Engine.Target)
	if err := tab.Flush(); err != nil {
		return err
	}
	return l.letters(w, stderr, about(l.record.Name(), s))
}

// printable escapes what a terminal must not be given, and leaves backslashes: texts
// in records of ours are escaped already, and those of others may not be.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && utf8.ValidString(s) {
		return s
	}
	return showcause.Escape(s)
}

func orHidden(s string) string {
	if s == "" {
		return "(hidden)"
	}
	return s
}

// letters prints the correspondence over a finding, in the order of the log.
func (l *loaded) letters(w, stderr io.Writer, finding string) error {
	if l.store == nil {
		return nil
	}
	all, err := gather(l.store, stderr)
	if err != nil {
		return err
	}
	out := correspondence(all, finding)
	if len(out) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nover finding %s:\n", finding)
	decided := map[string]string{} // decisions by contest
	for _, e := range out {
		what, reason := said(e.s)
		if d := e.s.Decision; d != nil {
			what += ", of contest " + short(d.Contest)
			if was := decided[d.Contest]; was != "" {
				what += ", in place of decision " + short(was)
			}
			decided[d.Contest] = e.name
		}
		fmt.Fprintf(w, "  %s  %s  %s\n", e.s.Time.Observed, e.name[:16], printable(what))
		if reason != "" {
			fmt.Fprintf(w, "      %s\n", printable(reason))
		}
	}
	return nil
}

// short is the beginning of a record's name.
func short(name string) string { return name[:min(len(name), 16)] }

// said is what a record says of a finding, and why, as it is escaped in the record.
func said(s *evidence.Statement) (what, reason string) {
	text := func(p evidence.Private) string {
		if p.Commitment != "" {
			return "(hidden)"
		}
		return p.Text
	}
	switch {
	case s.Action != nil:
		return "action: " + s.Action.Deed + ", " + s.Action.Result, text(s.Action.Reason)
	case s.Contest != nil:
		return "contested", text(s.Contest.Reason)
	case s.Decision != nil:
		return "decided: " + s.Decision.Outcome, text(s.Decision.Reason)
	}
	return string(s.Kind), ""
}

package storecmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/draft"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/quarantine"
)

// Quarantine is the command "quarantine".
func (h Host) Quarantine() *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "Take files that findings name out of the way, and put them back as they were",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(h.quarantineTake(), h.quarantineList(), h.quarantineShow(), h.quarantineRestore(),
		h.quarantinePurge(), h.quarantineStatus())
	return c
}

// withQuarantine opens store and quarantine, and says what opening them found.
func (h Host) withQuarantine(c *cobra.Command, at string, limits quarantine.Limits, do func(*store.Store, *quarantine.Quarantine) error) error {
	return h.openQuarantine(c, at, quarantine.Options{Limits: limits}, do)
}

func (h Host) openQuarantine(c *cobra.Command, at string, o quarantine.Options, do func(*store.Store, *quarantine.Quarantine) error) error {
	s, err := h.open(at, false) // there is nothing in quarantine where no store is
	if err != nil {
		return h.damaged(c, err)
	}
	if !o.ReadOnly {
		if err := s.Close(); err != nil {
			return err
		}
		if s, err = h.open(at, true); err != nil {
			return h.damaged(c, err)
		}
	}
	defer s.Close()
	if o.Engine, err = draft.Engine(); err != nil {
		return err
	}
	q, err := quarantine.Open(s, o)
	if err != nil {
		return h.damaged(c, err)
	}
	defer q.Close()
	said := len(q.Notes())
	for _, n := range append(s.Notes(), q.Notes()...) {
		fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", n)
	}
	err = do(s, q)
	for _, n := range q.Notes()[said:] {
		fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", n)
	}
	return err
}

// TakeFindings takes the files of findings in a store, by the names of their
// records, within all safeguards, and says what became of each. It tells
// whether all were taken.
func (h Host) TakeFindings(c *cobra.Command, at string, names []string, w io.Writer) (all bool, err error) {
	all = true
	err = h.withQuarantine(c, at, quarantine.Limits{}, func(s *store.Store, q *quarantine.Quarantine) error {
		var rs []quarantine.Request
		for _, n := range names {
			sealed, err := s.Verify(n)
			if err != nil {
				return err
			}
			rs = append(rs, quarantine.Request{Finding: sealed, Why: "scan --quarantine"})
		}
		out, err := q.Take(c.Context(), rs, true)
		for _, x := range out {
			all = all && x.Result == quarantine.Done
		}
		if perr := printOutcomes(w, "text", out); err == nil {
			err = perr
		}
		return err
	})
	return all && err == nil, err
}

func (h Host) quarantineTake() *cobra.Command {
	var o struct {
		at, why, format string
		act, approve    bool
		paths           []string
		limits          quarantine.Limits
	}
	c := &cobra.Command{
		Use:   "take RECORD...",
		Short: "Say what would be taken because of these findings, or take it (--act)",
		Long: `Say what would be taken because of these findings, or take it (--act). RECORD is a file, or the beginning of a record's name in the store.

A file is taken only if its bytes are those of the finding, the finding was sealed by this host, the rule's stage is "act" (file stages in the store) or a person approves (--approve), no package has the file as it is, the system can do without it, and the brake is not pulled. Without --act nothing is written; with it, a record that is a file is put into the store first.

Exit code: 0 all taken, or all would be; 1 something is held or refused; 2 an error.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.format != "text" && o.format != "json" {
				return fmt.Errorf("quarantine take: format %q: want text or json", o.format)
			}
			if len(o.paths) > 0 && len(args) > 1 {
				return errors.New("quarantine take: --path is for one record")
			}
			return h.openQuarantine(c, o.at, quarantine.Options{Limits: o.limits, ReadOnly: !o.act}, func(s *store.Store, q *quarantine.Quarantine) error {
				var rs []quarantine.Request
				for _, a := range args {
					sealed, err := sealedFinding(s, a, o.act)
					if err != nil {
						return err
					}
					r := quarantine.Request{Finding: sealed, Why: o.why, Approved: o.approve}
					for _, p := range o.paths {
						real, err := realPath(p)
						if err != nil {
							return err
						}
						r.Paths = append(r.Paths, real)
					}
					rs = append(rs, r)
				}
				out, err := q.Take(c.Context(), rs, o.act)
				if perr := printOutcomes(c.OutOrStdout(), o.format, out); err == nil {
					err = perr
				}
				if err != nil {
					return err
				}
				for _, x := range out {
					if x.Result != quarantine.Done && x.Result != quarantine.Planned {
						return h.Exit(1)
					}
				}
				if !o.act {
					fmt.Fprintln(c.ErrOrStderr(), "nothing was done: --act takes what would be taken")
				}
				return nil
			})
		},
	}
	f := c.Flags()
	h.StoreFlag(f, &o.at)
	f.BoolVar(&o.act, "act", false, "take; without it nothing is changed")
	f.BoolVar(&o.approve, "approve", false, "a person looked at these findings: the stages of their rules do not matter")
	f.StringArrayVar(&o.paths, "path", nil, "a name of the file, if not that of the finding; once for each of several names")
	f.StringVar(&o.why, "reason", "", "why, for the record of the deed")
	f.IntVar(&o.limits.Takes, "brake", 0, "take at most this many files in an hour (default 20; -1 for no limit)")
	f.Int64Var(&o.limits.Bytes, "brake-bytes", 0, "keep at most this many bytes of them, without holes (default 1073741824, 1 GiB; -1 for no limit)")
	f.StringVar(&o.format, "format", "text", "text or json")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// realPath is a path that a person named, without links in its folders.
func realPath(p string) (string, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	return filepath.Join(dir, filepath.Base(abs)), err
}

// sealedFinding reads a record from a file or from the store. One of this host
// that is not in the store is put there if act is set: nothing is taken without it.
func sealedFinding(s *store.Store, ref string, act bool) (*evidence.Sealed, error) {
	f, err := os.Open(ref)
	if err != nil {
		return s.Verify(ref)
	}
	defer f.Close()
	r, err := evidence.ReadRecord(f)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", showcause.Escape(ref), err)
	}
	sealed, err := r.Verify(evidence.VerifyOptions{Keys: s.Public()})
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", showcause.Escape(ref), err)
	}
	if len(r.Hidden()) > 0 {
		return nil, fmt.Errorf("record %s hides %s", showcause.Escape(ref), r.Hidden()[0])
	}
	if !act {
		return sealed, nil
	}
	return sealed, s.Append([]*evidence.Record{r})
}

func printOutcomes(w io.Writer, format string, out []quarantine.Outcome) error {
	for _, x := range out {
		if format == "json" {
			b, err := json.Marshal(x)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s\n", b); err != nil {
				return err
			}
			continue
		}
		line := fmt.Sprintf("%-8s %s  %s", strings.ToUpper(string(x.Result)), x.Path, showcause.Escape(x.Rule))
		if x.Code != "" {
			line += "  " + string(x.Code)
		}
		line += ": " + showcause.Escape(x.Text)
		if x.Item != "" {
			line += "  item " + x.Item
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func (h Host) quarantineList() *cobra.Command {
	var at string
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is in quarantine",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return h.openQuarantine(c, at, quarantine.Options{ReadOnly: true}, func(_ *store.Store, q *quarantine.Quarantine) error {
				items, err := q.Items()
				if err != nil {
					return err
				}
				for _, it := range items {
					if !all && (it.State == quarantine.Restored || it.State == quarantine.Purged) {
						continue
					}
					if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s  %-8s  %s  %s\n", it.ID[:12], it.Time, it.State, showcause.Escape(it.Rule), it.Names[0].Path); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.Flags().BoolVar(&all, "all", false, "also what was restored or purged")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) quarantineShow() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "show ITEM",
		Short: "Show an item: what was taken from where, why, and what was done",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return h.openQuarantine(c, at, quarantine.Options{ReadOnly: true}, func(_ *store.Store, q *quarantine.Quarantine) error {
				it, err := q.Find(args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(it.Lines(), "\n"))
				return err
			})
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// since reads a time, or how long ago it was.
func since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q: want 2026-11-21, 2026-11-21T14:00, or a duration like 48h", text)
}

func (h Host) quarantineRestore() *cobra.Command {
	var o struct{ at, rule, since, to, why string }
	c := &cobra.Command{
		Use:   "restore [ITEM...]",
		Short: "Put files back as they were: named ones, or all of a rule, or all since a time",
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) > 0) == (o.rule != "" || o.since != "") {
				return errors.New("quarantine restore: name items, or use --rule or --since")
			}
			from, err := since(o.since, time.Now())
			if err != nil {
				return err
			}
			return h.withQuarantine(c, o.at, quarantine.Limits{}, func(_ *store.Store, q *quarantine.Quarantine) error {
				var items []*quarantine.Item
				for _, a := range args {
					it, err := q.Find(a)
					if err != nil {
						return err
					}
					items = append(items, it)
				}
				if len(args) == 0 {
					if items, err = q.Select(quarantine.Selection{Rule: o.rule, Since: from}); err != nil {
						return err
					}
				}
				failed := 0
				for _, it := range items {
					if err := q.Restore(it.ID, o.to, o.why); err != nil {
						failed++
						fmt.Fprintf(c.ErrOrStderr(), "FAILED   %s: %s\n", it.Names[0].Path, showcause.Escape(err.Error()))
						continue
					}
					fmt.Fprintf(c.OutOrStdout(), "RESTORED %s  item %s\n", it.Names[0].Path, it.ID)
				}
				fmt.Fprintf(c.OutOrStdout(), "%d of %d restored\n", len(items)-failed, len(items))
				if failed > 0 {
					return h.Exit(2)
				}
				return nil
			})
		},
	}
	f := c.Flags()
	h.StoreFlag(f, &o.at)
	f.StringVar(&o.rule, "rule", "", "all that this rule took: a name, or a pattern with * and ?")
	f.StringVar(&o.since, "since", "", "all that was taken since: 2026-11-21, 2026-11-21T14:00, or 48h")
	f.StringVar(&o.to, "to", "", "restore to this folder, not where it was")
	f.StringVar(&o.why, "reason", "", "why, for the record of the deed")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) quarantinePurge() *cobra.Command {
	var o struct {
		at, why string
		act     bool
	}
	c := &cobra.Command{
		Use:   "purge ITEM...",
		Short: "Remove contents from quarantine for good (--act)",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return h.openQuarantine(c, o.at, quarantine.Options{ReadOnly: !o.act}, func(_ *store.Store, q *quarantine.Quarantine) error {
				for _, a := range args {
					it, err := q.Find(a)
					if err != nil {
						return err
					}
					if !o.act {
						fmt.Fprintf(c.OutOrStdout(), "would purge %s  item %s\n", it.Names[0].Path, it.ID)
						continue
					}
					if err := q.Purge(it.ID, o.why); err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "PURGED   %s  item %s\n", it.Names[0].Path, it.ID)
				}
				return nil
			})
		},
	}
	h.StoreFlag(c.Flags(), &o.at)
	c.Flags().BoolVar(&o.act, "act", false, "remove; without it nothing is changed")
	c.Flags().StringVar(&o.why, "reason", "", "why, for the record of the deed")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) quarantineStatus() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "status",
		Short: "Finish or undo what was interrupted, say so, and count what is in quarantine",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return h.withQuarantine(c, at, quarantine.Limits{}, func(_ *store.Store, q *quarantine.Quarantine) error {
				items, err := q.Items()
				if err != nil {
					return err
				}
				n := map[quarantine.State]int{}
				var bytes int64
				for _, it := range items {
					n[it.State]++
					if it.State == quarantine.Stored {
						bytes += it.Size
					}
				}
				w := c.OutOrStdout()
				fmt.Fprintf(w, "in quarantine: %d (%d bytes); restored: %d; purged: %d\n", n[quarantine.Stored], bytes, n[quarantine.Restored], n[quarantine.Purged])
				for _, it := range items {
					if it.State == quarantine.Stranded {
						fmt.Fprintf(w, "STRANDED %s  item %s: %s\n", it.Names[0].Path, it.ID, showcause.Escape(it.Note))
					}
				}
				if n[quarantine.Stranded] > 0 {
					return h.Exit(1)
				}
				return nil
			})
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

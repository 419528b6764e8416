// Package storecmd are the commands about the store of records and its log, and
// about the quarantine.
package storecmd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/translog"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	// StoreFlag adds the flag --store, and StoreDir says which folder it means;
	// "" if there is to be none.
	StoreFlag func(f *pflag.FlagSet, to *string)
	StoreDir  func(flag string) (dir string, named bool, err error)
	// FlagError makes an error about flags useful.
	FlagError func(c *cobra.Command, err error) error
	// Exit is the error that ends the program with a code and without a message.
	Exit func(code int) error
}

// Log is the command "log".
func (h Host) Log() *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Prove the log of this host's records, show it, prove that it has a record",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(h.logVerify(), h.logShow(), h.logProve(), h.logNew(), h.logWitness(), h.logCosign())
	return c
}

// open opens the store that a flag names.
func (h Host) open(flag string, write bool) (*store.Store, error) {
	dir, _, err := h.StoreDir(flag)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, errors.New("there is no store: name one with --store")
	}
	return store.Open(dir, store.Options{ReadOnly: !write})
}

// damaged turns what is wrong with a log into the exit code of a finding.
func (h Host) damaged(c *cobra.Command, err error) error {
	var f *translog.Fault
	if !errors.As(err, &f) {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "BROKEN  %s  %s: %s\n", f.Code, showcause.Escape(f.Where), showcause.Escape(f.Why))
	return h.Exit(1)
}

func (h Host) logVerify() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove the whole log, and every record against it and back: exit code 1 if anything is wrong",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := h.open(at, false)
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			n := 0
			state, records, err := s.Check(func(p store.Problem) {
				n++
				fmt.Fprintf(c.ErrOrStderr(), "BROKEN  %s  %s: %s\n", p.Code, showcause.Escape(p.Where), showcause.Escape(p.Text))
			})
			if err != nil {
				return h.damaged(c, err)
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "log %s: %d entries, root %s\n%d records\n", state.Origin, state.Size, state.Root, records)
			if err := tellNewLogs(w, s); err != nil {
				return err
			}
			if state.Pending > 0 {
				fmt.Fprintf(w, "%d entries are in the journal of a writer that is at work or died; the next writer appends them\n", state.Pending)
			}
			if state.Cosigned > 0 {
				fmt.Fprintf(w, "witnesses signed the first %d entries\n", state.Cosigned)
			}
			if n > 0 {
				return h.Exit(1)
			}
			fmt.Fprintln(w, "every entry has its record, every record its entry, and all signatures are good")
			return nil
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// tellNewLogs says that the log is not the first one under its key.
func tellNewLogs(w io.Writer, s *store.Store) error {
	lines, err := s.NewLogs()
	for _, l := range lines {
		fmt.Fprintf(w, "this log is not the first under its key; what was logged before is not in it: %s\n", showcause.Escape(l))
	}
	return err
}

func (h Host) logNew() *cobra.Command {
	var at, why string
	c := &cobra.Command{
		Use:   "new --reason WHY",
		Short: "Begin another log under the same key, where the log is gone; a note of it stays",
		Long:  "Begin another log under the same key, where the log is gone. When and why is written into the file new-logs in the store, and log verify and log show tell it from then on. A witness that signed the log which is gone signs none that does not continue it.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if why == "" {
				return errors.New("log new: say with --reason how the log went: the note stays")
			}
			dir, _, err := h.StoreDir(at)
			if err != nil {
				return err
			}
			if dir == "" {
				return errors.New("there is no store: name one with --store")
			}
			s, err := store.Open(dir, store.Options{NewLog: why})
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			return tellNewLogs(c.OutOrStdout(), s)
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.Flags().StringVar(&why, "reason", "", "how the log went")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) logShow() *cobra.Command {
	var at string
	var from int64
	c := &cobra.Command{
		Use:   "show",
		Short: "Show the checkpoint and the entries: number, record, what it is of",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := h.open(at, false)
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			w := c.OutOrStdout()
			fmt.Fprintf(w, "%s\n", s.Log().Checkpoint())
			if err := tellNewLogs(w, s); err != nil {
				return err
			}
			err = s.Log().Entries(from, func(i int64, d translog.Digest) error {
				name := hex.EncodeToString(d[:])
				about := "record is gone"
				if r, err := s.Read(name); err == nil {
					st := r.Statement()
					about = st.Time.Observed + "  " + string(st.Kind)
					switch {
					case st.Rules != nil && st.Rules.Rule != nil:
						about += "  " + showcause.Escape(st.Rules.Rule.Name)
					case st.Action != nil:
						about += "  " + st.Action.Deed + " " + st.Action.Result
					}
				}
				_, err := fmt.Fprintf(w, "%d  %s  %s\n", i, name, about)
				return err
			})
			return h.damaged(c, err)
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.Flags().Int64Var(&from, "from", 0, "first entry to show")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) logProve() *cobra.Command {
	var at string
	var whole bool
	c := &cobra.Command{
		Use:   "prove RECORD",
		Short: "Write the proof that the log has a record (C2SP tlog-proof), or the record with the proof in it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := h.open(at, false)
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			r, err := s.Prove(args[0])
			if err != nil {
				return h.damaged(c, err)
			}
			if whole {
				_, err = c.OutOrStdout().Write(r.Bytes())
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), r.Proof())
			}
			return err
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.Flags().BoolVar(&whole, "record", false, "write the record with the proof in it")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) logWitness() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "witness OLD",
		Short: "Write what asks a witness that saw OLD entries to sign the checkpoint (C2SP tlog-witness)",
		Long:  "Write the body of the request add-checkpoint by which a witness that saw OLD entries is asked to sign the present checkpoint (C2SP tlog-witness). It is not sent: carry it there and its answer back to log cosign.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			old, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("log witness: %s is not a number of entries", showcause.Escape(args[0]))
			}
			s, err := h.open(at, false)
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			b, err := s.Log().WitnessRequest(old)
			if err != nil {
				return h.damaged(c, err)
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) logCosign() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "cosign FILE",
		Short: "Keep a checkpoint that witnesses signed; the file witnesses in the store says which count",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("log cosign: %w", err)
			}
			s, err := h.open(at, true)
			if err != nil {
				return h.damaged(c, err)
			}
			defer s.Close()
			enough, err := s.Log().Cosign(b)
			if err != nil {
				return h.damaged(c, err)
			}
			if enough {
				fmt.Fprintln(c.OutOrStdout(), "kept: enough witnesses signed it")
			} else {
				fmt.Fprintln(c.OutOrStdout(), "kept: more witnesses are needed")
			}
			return nil
		},
	}
	h.StoreFlag(c.Flags(), &at)
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

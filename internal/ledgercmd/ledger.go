// Package ledgercmd are the commands about the ledger of what was sent over a
// network: show, verify, reconcile.
package ledgercmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/ledger"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	// Refused is the error that ends the program with the exit code of a finding
	// and without a message.
	Refused error
	// FlagError says more of a flag that there is not.
	FlagError func(*cobra.Command, error) error
}

// Command is the command "ledger".
func (h Host) Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Show what was sent over a network, prove the record, compare it with the kernel's counters",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(h.show(), h.verify(), h.reconcile())
	return c
}

// ledgerDir is a flag that names a ledger's folder.
type ledgerDir string

func (d *ledgerDir) flag(f *pflag.FlagSet) {
	f.StringVar((*string)(d), "ledger", "", "the ledger's folder (default: "+ledger.SystemDir+" for root, else showcause/ledger in $XDG_STATE_HOME)")
}

func (d *ledgerDir) get() (string, error) {
	if *d != "" {
		return string(*d), nil
	}
	return ledger.DefaultDir()
}

// broken turns what is wrong with a ledger into the exit code of a finding.
func (h Host) broken(w io.Writer, dir string, err error) error {
	var fault *ledger.Fault
	if !errors.As(err, &fault) {
		return err
	}
	fmt.Fprintf(w, "BROKEN  %s: line %d (offset %d): %s\n", showcause.Escape(dir), fault.Line, fault.Offset, showcause.Escape(fault.Why))
	if fault.Tail {
		fmt.Fprintln(w, "        nothing whole follows: a writer died, or the end was cut or changed; the next entry keeps it and its digest")
	}
	return h.Refused
}

func (h Host) show() *cobra.Command {
	var dir ledgerDir
	var format string
	c := &cobra.Command{
		Use:   "show [SEQ...]",
		Short: "Show requests, or entries with all they hold",
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("ledger show: format %q: want text or json", format)
			}
			var want []uint64
			for _, a := range args {
				n, err := strconv.ParseUint(a, 10, 64)
				if err != nil {
					return fmt.Errorf("ledger show: %s is not the number of an entry", showcause.Escape(a))
				}
				want = append(want, n)
			}
			d, err := dir.get()
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			var t ledger.Table
			seen := map[uint64]bool{}
			s, err := ledger.Read(d, func(e *ledger.Entry) error {
				if slices.Contains(want, e.Seq) {
					seen[e.Seq] = true
				}
				chosen := len(want) == 0 || slices.Contains(want, e.Seq) || e.Close != nil && slices.Contains(want, e.Close.Of)
				switch {
				case !chosen:
				case format == "json":
					line, err := e.MarshalJSON()
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(w, "%s\n", line)
					return err
				case len(want) > 0:
					return showEntry(w, e)
				}
				return t.Add(e)
			})
			var fault *ledger.Fault
			if err != nil && !errors.As(err, &fault) {
				return err
			}
			if format == "text" && len(want) == 0 {
				if err := t.Print(w); err != nil {
					return err
				}
			}
			if err := h.broken(c.ErrOrStderr(), d, err); err != nil {
				return err
			}
			for _, n := range want {
				if !seen[n] {
					return fmt.Errorf("ledger show: no such entry: %d (the last is %d)", n, s.Seq)
				}
			}
			return nil
		},
	}
	dir.flag(c.Flags())
	c.Flags().StringVar(&format, "format", "text", "text, or json: the lines as they are")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// showEntry shows one entry with its plaintext.
func showEntry(w io.Writer, e *ledger.Entry) error {
	line, err := e.MarshalJSON()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\n", line)
	if e.Send != nil && e.Send.Plain != "" {
		for l := range strings.SplitSeq(strings.TrimSuffix(e.Send.Plain, "\r\n\r\n"), "\r\n") {
			fmt.Fprintf(w, "    %s\n", showcause.Escape(l))
		}
	}
	return nil
}

func (h Host) verify() *cobra.Command {
	var dir ledgerDir
	var head string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove the chain of the ledger: exit code 1 and the first bad line if it is broken",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := dir.get()
			if err != nil {
				return err
			}
			seq, digest, err := parseHead(head)
			if err != nil {
				return err
			}
			var there string // what stands at seq
			s, err := ledger.Read(d, func(e *ledger.Entry) error {
				if e.Seq == seq+1 {
					there = e.Prev
				}
				return nil
			})
			if err == nil && s.Seq == seq {
				there = s.Head
			}
			w := c.OutOrStdout()
			if err := h.broken(w, d, err); err != nil {
				return err
			}
			if head != "" && there != digest {
				what := "it ends before"
				if there != "" {
					what = "it has " + there
				}
				fmt.Fprintf(w, "BROKEN  %s: entry %d does not have the digest that was noted, %s: the ledger was cut or written anew\n", showcause.Escape(d), seq, what)
				return h.Refused
			}
			fmt.Fprintf(w, "good    %s: %s, %s, %s\n", showcause.Escape(d), answer.Plural(s.Lines, "line"), answer.Plural(int64(s.Sends), "request"), answer.Plural(int64(s.Queries), "name query"))
			fmt.Fprintf(w, "        from %s to %s\n", s.First.Format(time.RFC3339), s.Last.Format(time.RFC3339))
			if s.Open > 0 {
				fmt.Fprintf(w, "        %d without an answer on record: the writer died or is at work\n", s.Open)
			}
			for _, t := range s.Torn {
				fmt.Fprintf(w, "        torn: %d bytes at offset %d are kept, sha256 %s\n", t.Bytes, t.At, t.SHA256)
			}
			if s.Backward > 0 {
				fmt.Fprintf(w, "        the clock went back %s\n", answer.Plural(int64(s.Backward), "time"))
			}
			fmt.Fprintf(w, "head    %d:%s\n", s.Seq, s.Head)
			return nil
		},
	}
	dir.flag(c.Flags())
	c.Flags().StringVar(&head, "head", "", "SEQ:DIGEST as verify printed it earlier: prove that it is still in the chain")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// parseHead reads what verify prints as head; without one no entry is meant.
func parseHead(s string) (seq uint64, digest string, err error) {
	if s == "" {
		return 1 << 62, "", nil
	}
	n, digest, _ := strings.Cut(s, ":")
	seq, err = strconv.ParseUint(n, 10, 62)
	if err != nil || len(digest) != 64 {
		return 0, "", errors.New("ledger verify: flag --head: want SEQ:DIGEST as verify prints it")
	}
	return seq, strings.ToLower(digest), nil
}

// reconcileOptions say which counters of the kernel the ledger is held against.
type reconcileOptions struct {
	host       Host
	dir        ledgerDir
	unit       string
	pid        int
	interfaces []string
	out, in    int64
	since      string
	from       uint64
}

func (h Host) reconcile() *cobra.Command {
	o := reconcileOptions{host: h}
	c := &cobra.Command{
		Use:   "reconcile (--unit UNIT | --pid PID | --out N --in N)",
		Short: "Compare the ledger with the kernel's own counters: exit code 1 if more went out than it explains",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ways := 0
			for _, f := range []string{"unit", "pid", "out"} {
				if c.Flags().Changed(f) {
					ways++
				}
			}
			if ways != 1 {
				return errors.New("ledger reconcile: name the counters with one of --unit, --pid, or --out and --in")
			}
			return o.run(c.Context(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	o.dir.flag(f)
	f.StringVar(&o.unit, "unit", "", "a systemd unit with IPAccounting=yes; its entries are those since it started")
	f.IntVar(&o.pid, "pid", 0, "a process with a network namespace of its own")
	f.StringSliceVar(&o.interfaces, "interface", nil, "with --pid: count these interfaces (default: all but lo)")
	f.Int64Var(&o.out, "out", ledger.Unbounded, "IP bytes out, as counted by other means")
	f.Int64Var(&o.in, "in", ledger.Unbounded, "IP bytes in")
	f.StringVar(&o.since, "since", "", "leave out entries before this time (2025-11-21T08:00:00Z)")
	f.Uint64Var(&o.from, "from", 0, "leave out entries before this number")
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (o *reconcileOptions) run(ctx context.Context, w io.Writer) error {
	dir, err := o.dir.get()
	if err != nil {
		return err
	}
	t := ledger.Tally{From: o.from}
	out, in := o.out, o.in
	switch {
	case o.unit != "":
		out, in, t.Since, err = unitCounters(ctx, o.unit)
	case o.pid != 0:
		out, in, err = ledger.NetworkOf(o.pid, o.interfaces)
	}
	if err != nil {
		return err
	}
	if o.since != "" {
		if t.Since, err = time.Parse(time.RFC3339Nano, o.since); err != nil {
			return errors.New("ledger reconcile: flag --since: want a time such as 2025-11-21T08:00:00Z")
		}
	} else if o.unit != "" && t.Since.IsZero() {
		return errors.New("ledger reconcile: systemd does not say when the unit started; name it with --since")
	}
	s, err := ledger.Read(dir, t.Add)
	if err != nil {
		return o.host.broken(w, dir, err)
	}
	if err := o.exists(s); err != nil {
		return err
	}
	t.Done()
	wrong := append(t.Problems, t.Compare(out, in, o.pid != 0)...)
	count := func(n int64, none string) string {
		if n < 0 {
			return none
		}
		return answer.Number(n)
	}
	fmt.Fprintf(w, "ledger  %s, %s; %s of plaintext out\n", answer.Plural(int64(t.Sends), "request"), answer.Plural(int64(t.Queries), "name query"), answer.Plural(t.Plain, "byte"))
	fmt.Fprintf(w, "        payload %s out (%s sent again), %s in\n", answer.Number(t.WireOut), answer.Number(t.Repeated), answer.Number(t.WireIn))
	fmt.Fprintf(w, "        with headers: out %s to %s, in %s to %s\n", answer.Number(t.LeastOut), count(t.MostOut, ""), answer.Number(t.LeastIn), count(t.MostIn, "not bounded"))
	if t.Open > 0 {
		fmt.Fprintf(w, "        %d without an answer on record, counted with the most they can be\n", t.Open)
	}
	fmt.Fprintf(w, "kernel  out %s, in %s\n", count(out, "not known"), count(in, "not known"))
	if len(wrong) > 0 {
		for _, s := range wrong {
			fmt.Fprintf(w, "DIFFERS %s\n", showcause.Escape(s))
		}
		return o.host.Refused
	}
	fmt.Fprintln(w, "agree")
	return nil
}

// exists refuses a beginning that is not there yet: nothing would be compared,
// and all would agree. The entry that comes next may be named.
func (o *reconcileOptions) exists(s ledger.Summary) error {
	if o.from > s.Seq+1 {
		return fmt.Errorf("ledger reconcile: flag --from: no such entry: %d (the last is %d)", o.from, s.Seq)
	}
	if o.since == "" {
		return nil
	}
	if since, err := time.Parse(time.RFC3339Nano, o.since); err == nil && since.After(time.Now()) && since.After(s.Last) {
		return fmt.Errorf("ledger reconcile: flag --since: no such entry: %s is yet to come", showcause.Escape(o.since))
	}
	return nil
}

// unitCounters asks systemd for the counters of a unit's control group and for
// the time from which they count.
func unitCounters(ctx context.Context, unit string) (out, in int64, since time.Time, err error) {
	c := exec.CommandContext(ctx, "systemctl", "show", "--timestamp=unix", "-p", "IPEgressBytes", "-p", "IPIngressBytes", "-p", "InactiveExitTimestamp", "--", unit)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	c.Env = append(os.Environ(), "LC_ALL=C")
	text, err := c.Output()
	if err != nil {
		return 0, 0, since, fmt.Errorf("unit %s: systemctl: %w: %s", showcause.Escape(unit), err, showcause.Escape(strings.TrimSpace(complaints.String())))
	}
	if out, in, since, err = ledger.ParseUnit(string(text)); err != nil {
		err = fmt.Errorf("unit %s: %w", showcause.Escape(unit), err)
	}
	return out, in, since, err
}

//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/escape"
	"github.com/showcause/showcause/internal/escape/stage"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/scan"
)

// selftestCommands are the command for people and the one that its readers run.
func selftestCommands() []*cobra.Command {
	c := &cobra.Command{
		Use:   "selftest",
		Short: "Try the program's own defences on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(selftestJailCommand())
	return []*cobra.Command{c, {
		Use:                escape.Command,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return exitCode(escape.Reader(args, scanWork))
		},
	}}
}

// scanWork is a scan as a reader makes it: everything that needs more of the system comes first.
func scanWork() (func(fd int) error, error) {
	db, err := rules.Default()
	if err != nil {
		return nil, err
	}
	s := scan.New(db, scan.Options{})
	return func(fd int) error {
		r := s.Scan(passedFile(fd))
		if len(r.Gaps) > 0 {
			return fmt.Errorf("scan: %s", r.Gaps[0].Code)
		}
		return nil
	}, nil
}

// passedFile is a descriptor as a Source, by nothing but fstat and pread.
type passedFile int

func (f passedFile) Size() int64 {
	var st unix.Stat_t
	if unix.Fstat(int(f), &st) != nil {
		return 0
	}
	return st.Size
}

func (f passedFile) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; ; {
		m, err := unix.Pread(int(f), p[n:], off+int64(n))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return n, err
		}
		n += max(m, 0)
		if n == len(p) {
			return n, nil
		}
		if m == 0 {
			return n, io.EOF
		}
	}
}

type selftestOptions struct {
	mutate, table, control bool
	attempt, format        string
}

func selftestJailCommand() *cobra.Command {
	var o selftestOptions
	c := &cobra.Command{
		Use:   "jail [flags]",
		Short: "Try to break out of a reader, in every way on the list",
		Long: `Try to break out of a reader, in every way on the list. Each attempt runs in a
process of its own, started and locked as those that read files, and again in one
that is not: what is stopped by the jail must work without it, or at least reach
the kernel ("LET THROUGH", with the kernel's own answer). Nothing is changed on
this machine, but a monitor of system calls will see a lot.

With --mutate, each wall, and each line and each check of the list of system
calls, is taken away in turn, and what then gets out is shown; for a line, that
the work of a reader is not done without it.

Exit code: 0 every attempt was stopped (with --mutate: nothing is without
evidence or a reason); 1 one was not; 2 an error.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.BoolVar(&o.mutate, "mutate", false, "take each wall, line and check away in turn")
	f.BoolVar(&o.table, "table", false, "print the walls and the list of system calls, and try nothing")
	f.BoolVar(&o.control, "control", true, "make each attempt without the jail too")
	f.StringVar(&o.attempt, "attempt", "", "make one attempt, by its name")
	f.StringVar(&o.format, "format", "text", "output: text, json")
	return c
}

func (o *selftestOptions) run(ctx context.Context, out io.Writer) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("flag --format: %q is not one of text, json", o.format)
	}
	if o.table {
		return o.printTable(out)
	}
	if err := jail.Available(); err != nil {
		return fmt.Errorf("jail: this system cannot lock the process that reads files: %w", err)
	}
	// A terminal that goes away ends it in order as well, so that nothing is left behind.
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP)
	defer stop()
	if o.mutate {
		return o.runMutations(ctx, out)
	}
	return o.runAttempts(ctx, out)
}

// onStage calls f with a stage, and takes it down before anything is printed:
// the reader of the output may be gone by then, which ends the program.
func onStage(f func(*stage.Stage) error) error {
	st, err := stage.New()
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// each calls f with every number below n, on several at a time, until ctx is done.
func each(ctx context.Context, n int, f func(int)) error {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 * runtime.NumCPU() { // a reader that starts waits for the kernel half of the time
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	return ctx.Err()
}

// attemptReport is one attempt in the jail, and the same without.
type attemptReport struct {
	stage.Result
	Control string `json:"control,omitempty"`
	vacuous bool
}

type selftestReport struct {
	Attempts []attemptReport `json:"attempts"`
	Walls    []jail.Given    `json:"walls"`
	Stopped  bool            `json:"stopped"`
}

func (o *selftestOptions) runAttempts(ctx context.Context, out io.Writer) error {
	var list []escape.Attempt
	for _, a := range escape.List() {
		if o.attempt == "" || o.attempt == a.Name {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("flag --attempt: no attempt is called %q", o.attempt)
	}
	r := selftestReport{Attempts: make([]attemptReport, len(list)), Stopped: true}
	err := onStage(func(st *stage.Stage) error {
		return each(ctx, len(list), func(i int) {
			a := &r.Attempts[i]
			a.Result = st.Try(list[i])
			if o.control {
				control := st.Control(list[i])
				a.Control, a.vacuous = control.String(), !control.Reached()
			}
		})
	})
	if err != nil {
		return err
	}
	for _, a := range r.Attempts {
		r.Stopped = r.Stopped && a.Stopped() && !a.vacuous
		if len(a.Status.Walls) > 0 {
			r.Walls = a.Status.Walls
		}
	}
	if o.format == "json" {
		err = answer.NewEncoder(out).Encode(r)
	} else {
		err = r.text(out, o.control)
	}
	if err == nil && !r.Stopped {
		return exitCode(exitFound)
	}
	return err
}

func (r *selftestReport) text(out io.Writer, control bool) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	without := ""
	if control {
		without = "\tWITHOUT THE JAIL"
	}
	fmt.Fprintf(w, "NO\tATTEMPT\tWHAT IS TRIED\tIN THE JAIL%s\n", without)
	count := map[escape.Outcome]int{}
	vacuous := 0
	for _, a := range r.Attempts {
		count[a.Outcome]++
		without := ""
		if control {
			without = "\t" + a.Control
		}
		if a.vacuous {
			vacuous++
			without += " (SHOWS NOTHING)"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s%s\n", a.Number, a.Name, a.What, a.Result, without)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwalls of these readers:\n")
	printWalls(out, r.Walls)
	n := len(r.Attempts)
	fmt.Fprintf(out, "\n%d attempts: %d killed, %d denied, %d not possible here", n, count[escape.Killed], count[escape.Denied], count[escape.Skipped])
	if left := n - count[escape.Killed] - count[escape.Denied] - count[escape.Skipped]; left > 0 {
		fmt.Fprintf(out, ", %d NOT STOPPED", left)
	}
	if vacuous > 0 {
		fmt.Fprintf(out, ", %d that SHOW NOTHING: they fail without the jail too", vacuous)
	}
	_, err := fmt.Fprintln(out)
	for _, a := range r.Attempts {
		if !a.Stopped() {
			_, err = fmt.Fprintf(out, "  NOT STOPPED: %s (%s): %s\n", a.Name, a.What, a.Result)
		} else if a.vacuous {
			_, err = fmt.Fprintf(out, "  SHOWS NOTHING: %s (%s): without the jail %s\n", a.Name, a.What, a.Control)
		}
	}
	return err
}

func printWalls(out io.Writer, walls []jail.Given) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, g := range walls {
		word := "NO"
		switch {
		case g.On:
			word = "yes"
		case g.Needless:
			word = "-"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", g.Wall, word, g.Why)
	}
	_ = w.Flush() // what follows on out fails as well
}

func (o *selftestOptions) runMutations(ctx context.Context, out io.Writer) error {
	list := stage.Mutations()
	if err := onStage(func(st *stage.Stage) error {
		return each(ctx, len(list), func(i int) { list[i] = st.Mutate(list[i]) })
	}); err != nil {
		return err
	}
	proved := true
	count := map[stage.Evidence]int{}
	for _, m := range list {
		count[m.Result]++
		proved = proved && m.Result != stage.NotProved
	}
	if o.format == "json" {
		if err := answer.NewEncoder(out).Encode(struct {
			Mutations []stage.Mutation `json:"mutations"`
			Proved    bool             `json:"proved"`
		}{list, proved}); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "KIND\tTAKEN AWAY\tATTEMPT\tWITH IT\tWITHOUT IT\tEVIDENCE\tALSO AWAY, IN BOTH RUNS")
		for _, m := range list {
			evidence := string(m.Result)
			if m.Why != "" {
				evidence += ": " + m.Why
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Kind, m.Name, m.Attempt, m.With, m.Without, evidence, strings.Join(m.Aside, " "))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "\n%d walls, checks and lines: %d proved, %d not given here, %d kept for what is rare, %d NOT PROVED\n",
			len(list), count[stage.Proved], count[stage.NotGiven], count[stage.KeptFor], count[stage.NotProved]); err != nil {
			return err
		}
	}
	if !proved {
		return exitCode(exitFound)
	}
	return nil
}

// jailTable is what the jail is made of, for comparing with what tools that are not ours see.
type jailTable struct {
	Walls []jail.Wall `json:"walls"`
	Calls []jail.Line `json:"calls"`
}

func (o *selftestOptions) printTable(out io.Writer) error {
	t := jailTable{jail.Walls(), jail.Table()}
	if o.format == "json" {
		e := json.NewEncoder(out)
		return e.Encode(t)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, wall := range t.Walls {
		fmt.Fprintf(w, "wall\t%s\t\t%s\n", wall.Name, wall.Reason)
	}
	for _, l := range t.Calls {
		var checks []string
		for _, c := range l.Checks {
			checks = append(checks, c.String())
		}
		fmt.Fprintf(w, "call\t%s\t%s\t%s\n", l.Name, strings.Join(checks, "; "), l.Reason)
	}
	return w.Flush()
}

package updatecmd

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/trial"
)

// policy is how long what is new is watched, and how long this host's ring waits.
func (o *options) policy() (soak, ring time.Duration, err error) {
	wait, ok := map[string]time.Duration{"canary": o.canary, "early": o.early, "all": o.all}[o.ring]
	if !ok {
		return 0, 0, fmt.Errorf("flag --ring: %q is not one of canary, early, all", o.ring)
	}
	return o.soak, wait, nil
}

// watch looks at what was put in and is still watched: other files of this host's packages are
// scanned with it. It tells whether it was taken back.
func (o *options) watch(w io.Writer, f *update.Folder, p *trial.Process, j trial.Job) (back bool, err error) {
	now := time.Now()
	k := f.Soaking(now)
	if k == nil {
		return false, nil
	}
	j.Dir, j.Seed = f.Path(), now.Unix()
	a := p.Try(j)
	crashes := a.Crashes
	if a.Code == "trial.loader" {
		crashes = o.crashes + 1
	}
	back, err = f.Watch(crashes, len(a.Hits), update.Bounds{Crashes: o.crashes}, now)
	if back {
		fmt.Fprintf(w, "showcause: update: what was put in at %s is taken back: %s\n", k.Since.Local().Format("2006-01-02 15:04"), showcause.Escape(a.Why))
	}
	return back, err
}

// Rules are the commands about what became of the folder, for the command "rules".
func (h Host) Rules() (out []*cobra.Command) {
	for _, make := range []func(*options) *cobra.Command{h.history, h.revert} {
		o := &options{}
		c := make(o)
		o.place(c.Flags())
		out = append(out, c)
	}
	return out
}

func (h Host) history(o *options) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "history", Short: "Say what became of the rules: put in, held, refused, taken back, and why", Args: cobra.NoArgs,
		Long: "Say what became of the folder's rules, from the oldest on. Each line is held against the folder's own log: one\nthat was changed or removed is an error.",
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := o.known(c.ErrOrStderr()); err != nil {
				return err
			}
			events, err := update.ReadHistory(o.dir)
			for i := range events {
				tellEvent(c.OutOrStdout(), &events[i], asJSON)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, a line each")
	return c
}

func tellEvent(w io.Writer, e *update.Event, asJSON bool) {
	if asJSON {
		b, _ := json.Marshal(e)
		fmt.Fprintf(w, "%s\n", b)
		return
	}
	fmt.Fprintf(w, "%s  %-9s %s", e.Time.Format("2006-01-02 15:04:05Z07:00"), e.What, showcause.Escape(e.Source))
	if e.Generation > 0 {
		fmt.Fprintf(w, "  generation %d", e.Generation)
	}
	fmt.Fprintln(w)
	for _, l := range e.Lines {
		fmt.Fprintf(w, "    %s\n", showcause.Escape(l))
	}
	if e.Why != "" {
		fmt.Fprintf(w, "    %s\n", showcause.Escape(e.Why))
	}
	for _, n := range slices.Sorted(maps.Keys(e.Files)) {
		sum := e.Files[n]
		if sum == "" {
			sum = "taken away"
		}
		fmt.Fprintf(w, "    %s  %s\n", sum, showcause.Escape(n))
	}
}

func (h Host) revert(o *options) *cobra.Command {
	var to int64
	var why string
	c := &cobra.Command{
		Use: "revert", Short: "Go back to the rules before the last change, or to an earlier generation", Args: cobra.NoArgs,
		Long: "Go back to the rules before the last change, or with --to to a generation that the history names (the last five are\nkept). What was reverted is not taken again; what its publisher puts out next is.",
		RunE: func(c *cobra.Command, _ []string) error {
			_, f, err := h.open(o, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Revert(to, why, time.Now())
		},
	}
	c.Flags().Int64Var(&to, "to", 0, "generation to go back to")
	c.Flags().StringVar(&why, "reason", "by hand", "why, for the history")
	return c
}

// Generation is where the rules of a generation are kept, of a folder ("": the usual one).
func (h Host) Generation(dir string, n int64) (string, error) {
	o := &options{dir: dir}
	if _, err := o.known(io.Discard); err != nil {
		return "", err
	}
	return update.Generation(o.dir, n)
}

// WarnStale says which signed rules of a folder are good no more.
func WarnStale(w io.Writer, dir string) {
	for _, l := range update.Stale(dir, time.Now()) {
		fmt.Fprintf(w, "showcause: rules of %s\n", showcause.Escape(l))
	}
}

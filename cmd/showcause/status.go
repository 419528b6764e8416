package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/rules"
)

// statusReport is what status prints as JSON.
type statusReport struct {
	Version  string       `json:"version"`
	AirGap   string       `json:"air_gap,omitempty"` // why nothing can be fetched
	Rules    int          `json:"rules"`
	Kernel   string       `json:"kernel"`
	Arch     string       `json:"arch"`
	Landlock int          `json:"landlock_abi"`
	Jail     string       `json:"jail"` // "sealed", or "none"
	Walls    []jail.Given `json:"walls"`
	Calls    []callReport `json:"calls,omitempty"`
	// Service is what a service that runs says of itself; without one, NoService says why.
	Service   json.RawMessage `json:"service,omitempty"`
	NoService string          `json:"no_service,omitempty"`

	show func(io.Writer) error // Service, for people
}

// callReport is a system call that a reader may make.
type callReport struct {
	Name   string   `json:"name"`
	Number uint32   `json:"number"`
	Action string   `json:"action"`
	Checks []string `json:"checks,omitempty"`
	Reason string   `json:"reason"`
}

func statusCommand() *cobra.Command {
	var format, control string
	var calls, asJSON bool
	c := &cobra.Command{
		Use:   "status [flags]",
		Short: "Say what this machine gives, and how the service stands: jail, rules, doors, queue",
		Long: `Say what this machine gives: the walls around the processes that read files, and
with --jail each system call that they may make, with the reason. And how the service
stands, if one runs: its doors with their addresses, connections and answers, the queue,
readers, number and age of the rules, throughput (top shows that live).

Exit code: 0 files can be read in the jail; 2 this kernel cannot give it, or the service
that --control names does not answer.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := newStatus(calls)
			if err != nil {
				return err
			}
			if r.Service, r.show, err = askService(c.Context(), control); err != nil {
				if c.Flags().Changed("control") {
					return err
				}
				r.NoService = err.Error()
			}
			if asJSON {
				format = "json"
			}
			switch format {
			case "text":
				err = r.text(c.OutOrStdout())
			case "json":
				err = answer.NewEncoder(c.OutOrStdout()).Encode(r)
			default:
				return fmt.Errorf("flag --format: %q is not one of text, json", format)
			}
			if err == nil && r.Jail != answer.Sealed {
				return exitCode(exitError)
			}
			return err
		},
	}
	c.Flags().BoolVar(&calls, "jail", false, "list the system calls that a reader may make, each with its reason")
	c.Flags().StringVar(&format, "format", "text", "output: text, json")
	c.Flags().BoolVar(&asJSON, "json", false, "as --format json")
	c.Flags().StringVar(&control, "control", controlSocket, "the service's control socket (serve --control)")
	return c
}

const jailNone = "none"

func newStatus(calls bool) (*statusReport, error) {
	db, err := rules.Default()
	if err != nil {
		return nil, err
	}
	offer := jail.Probe()
	r := &statusReport{
		Version: version(), Rules: db.Len(), Kernel: offer.Kernel, Arch: offer.Arch, Landlock: offer.Landlock,
		Jail: jailNone, Walls: offer.Walls,
	}
	if (jail.Status{Walls: offer.Walls}).Sealed() {
		r.Jail = answer.Sealed
	}
	if err := ledger.AirGap(); err != nil {
		r.AirGap = err.Error()
	}
	if calls {
		for _, l := range jail.Table() {
			c := callReport{Name: l.Name, Number: l.Nr, Action: string(l.Action), Reason: l.Reason}
			for _, k := range l.Checks {
				c.Checks = append(c.Checks, k.String())
			}
			r.Calls = append(r.Calls, c)
		}
	}
	return r, nil
}

func (r *statusReport) text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %d built-in rules, Linux %s, %s\n\n", r.Version, r.Rules, showcause.Escape(r.Kernel), r.Arch)
	switch r.Jail {
	case answer.Sealed:
		missing := 0
		for _, g := range r.Walls {
			if !g.On && !g.Needless {
				missing++
			}
		}
		if missing == 0 {
			fmt.Fprintln(w, "jail: readers are locked in; no network, no files but those passed, no programs")
		} else {
			fmt.Fprintf(w, "jail: readers are locked in by system calls alone, BUT %d of %d walls are not there: NO below says which, and why\n", missing, len(r.Walls))
		}
	default:
		fmt.Fprintln(w, "jail: NOT GIVEN by this kernel; scan refuses to run without --jail=off")
	}
	if r.AirGap != "" {
		fmt.Fprintf(w, "network: %s\n", showcause.Escape(r.AirGap))
	}
	reason := map[string]string{}
	for _, wall := range jail.Walls() {
		reason[wall.Name] = wall.Reason
	}
	for _, g := range r.Walls {
		word := "yes"
		switch {
		case g.Needless:
			word = "-"
		case !g.On:
			word = "NO"
		}
		why := reason[g.Wall]
		if g.Why != "" {
			why += " (" + g.Why + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", g.Wall, word, why)
	}
	if len(r.Calls) > 0 {
		fmt.Fprint(w, "\nsystem calls of a reader; any other kills it, and so does one of these whose condition does not hold\n")
		for _, c := range r.Calls {
			what := c.Reason
			if c.Action != string(jail.Allow) {
				what = "answers " + c.Action + ": " + what
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\n", c.Name, strings.Join(c.Checks, "; "), what)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.show == nil {
		_, err := fmt.Fprintf(out, "\n%s\n", showcause.Escape(r.NoService))
		return err
	}
	fmt.Fprint(out, "\nservice: ")
	return r.show(out)
}

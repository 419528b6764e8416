// Package updatecmd are the commands about where rules come from: update and its
// status, sources, enable and disable.
package updatecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig/cvd"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/update"
	"github.com/showcause/showcause/update/trial"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	Release string // our version as a server sees it
	// Scratch opens a temporary file that is gone when it is closed.
	Scratch func() (*os.File, error)
	// Trial starts a process that tries rules, while this one may still start others.
	Trial func() (*trial.Process, error)
	// Newer is the error that ends the program where --check finds something.
	Newer error
	// FlagError makes an error about flags useful.
	FlagError func(c *cobra.Command, err error) error
}

// options are the flags.
type options struct {
	dir, ledger, from, conf, sources string
	ca, proxy, nameServer, certs     string
	insecure, airGap                 bool
	check, unsigned, detached, noTry bool
	quiet                            bool
	tries, sample, crashes           int
	soak                             time.Duration
	ring                             string
	canary, early, all               time.Duration
}

// Command is "update" with those below it.
func (h Host) Command() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "update [SOURCE...]",
		Short: "Fetch rules from where they are published: proven, tried, and put in whole or not at all",
		Long: `Bring rules up to date from the sources that are on, or from those named:
ClamAV's official databases at first (showcause update sources lists the others).

Each file is proven by its publisher's signature where there is one, the folder is
tried as it will be, by a process of its own, on a corpus and on files of this host's
packages, and all of a source is put in at once or nothing of it. A
transfer that broke off is gone on with. Every request is in the ledger before it is
sent (see: showcause ledger); no server is told who asks. --from FOLDER takes the
files from a folder instead, with no network.

Exit codes: 0 done, or nothing new; 1 --check found something new; 2 trouble.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return h.update(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args, o)
		},
	}
	o.place(c.PersistentFlags())
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "take the files from this folder, with no network")
	f.BoolVar(&o.check, "check", false, "say what is new, and change nothing")
	f.BoolVar(&o.unsigned, "unsigned", false, "take ClamAV's databases without a signature that holds")
	f.StringVar(&o.certs, "certs", "", "fetch detached signatures (.sign, ClamAV 1.5) and hold them against the certificates in this folder")
	f.BoolVar(&o.detached, "require-sign", false, "refuse databases without a detached signature")
	f.BoolVar(&o.noTry, "no-try", false, "do not try the rules first, and do not watch them afterwards")
	f.IntVar(&o.sample, "sample", 200, "files of this host's packages that the rules are tried on, besides libc and the like; any hit holds the update; 0: none")
	f.DurationVar(&o.soak, "soak", 24*time.Hour, "watch what was put in for so long; what is out of bounds is reverted")
	f.IntVar(&o.crashes, "soak-crashes", 2, "deaths of readers within the soak time that are within bounds")
	f.StringVar(&o.ring, "ring", "canary", "which ring this host is in: canary, early or all; each waits longer before it takes what is new")
	f.DurationVar(&o.canary, "ring-canary", 0, "how long canary waits")
	f.DurationVar(&o.early, "ring-early", 6*time.Hour, "how long early waits")
	f.DurationVar(&o.all, "ring-all", 24*time.Hour, "how long all waits")
	f.StringVar(&o.ca, "ca", "", "trust the certificates of this PEM file for https, and no others")
	f.StringVar(&o.proxy, "proxy", "", "go through http://HOST:PORT; the environment names none")
	f.StringVar(&o.nameServer, "name-server", "", "ask this name server, IP:PORT")
	f.BoolVar(&o.insecure, "insecure-http", false, "plain http to other machines too")
	f.BoolVar(&o.airGap, "air-gap", false, "send nothing: refuse")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say what changed alone")
	for _, sub := range []*cobra.Command{h.status(o), h.list(o), h.turn(o, true), h.turn(o, false)} {
		c.AddCommand(sub)
	}
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

// place are the flags that say which folder, and which sources there are.
func (o *options) place(f *pflag.FlagSet) {
	f.StringVarP(&o.dir, "output", "o", "", "the folder of the rules (default: rules beside the ledger)")
	f.StringVar(&o.ledger, "ledger", "", "the ledger's folder")
	f.StringVar(&o.conf, "config", "", "do as this freshclam.conf says")
	f.StringVar(&o.sources, "sources", "", "a file with more sources, as JSON")
}

// known reads the sources and what the configuration changes of them.
func (o *options) known(stderr io.Writer) ([]update.Source, error) {
	all, err := update.Sources()
	if err != nil {
		return nil, err
	}
	if o.sources != "" {
		b, err := os.ReadFile(o.sources)
		if err != nil {
			return nil, fmt.Errorf("sources: %w", err)
		}
		more, err := update.ParseSources(b)
		if err != nil {
			return nil, err
		}
		for _, s := range more {
			all = slices.DeleteFunc(all, func(x update.Source) bool { return x.Name == s.Name })
			all = append(all, s)
		}
	}
	if o.conf != "" {
		if all, err = o.configured(all, stderr); err != nil {
			return nil, fmt.Errorf("%s: %w", o.conf, err)
		}
	}
	if o.ledger == "" {
		if o.ledger, err = ledger.DefaultDir(); err != nil {
			return nil, err
		}
	}
	if o.dir == "" {
		o.dir = filepath.Join(filepath.Dir(o.ledger), "rules")
	}
	return all, nil
}

// configured does as a freshclam.conf says; flags have the last word.
func (o *options) configured(all []update.Source, stderr io.Writer) ([]update.Source, error) {
	f, err := os.Open(o.conf)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := readConf(f)
	if err != nil {
		return nil, err
	}
	for _, n := range c.notes {
		fmt.Fprintf(stderr, "showcause: %s: %s\n", showcause.Escape(o.conf), showcause.Escape(n))
	}
	if o.dir == "" {
		o.dir = c.dir
	}
	if o.proxy == "" {
		o.proxy = c.proxy
	}
	if o.tries == 0 {
		o.tries = c.tries
	}
	o.noTry = o.noTry || c.noTry
	return c.apply(all)
}

// chosen are the sources to update: those named, which must be on, or all that are.
func chosen(all []update.Source, f *update.Folder, names []string) ([]update.Source, error) {
	var out []update.Source
	for _, s := range all {
		if on := f.On(&s); on && (len(names) == 0 || slices.Contains(names, s.Name)) {
			out = append(out, s)
		} else if !on && slices.Contains(names, s.Name) {
			return nil, fmt.Errorf("source %s is off: showcause update enable %s (licence: %s)", s.Name, s.Name, s.Licence)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(s update.Source) bool { return s.Name == n }) {
			return nil, fmt.Errorf("no source %q: showcause update sources lists them", n)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no source is on: showcause update sources lists them")
	}
	return out, nil
}

// update runs one.
func (h Host) update(ctx context.Context, stdout, stderr io.Writer, names []string, o *options) error {
	all, err := o.known(stderr)
	if err != nil {
		return err
	}
	f, err := update.OpenFolder(nil, o.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	sources, err := chosen(all, f, names)
	if err != nil {
		return err
	}
	for i := range sources {
		if f.FirstUse(&sources[i], time.Now()) {
			terms(stdout, &sources[i])
		}
	}
	run := update.Options{Now: time.Now, Check: o.check, Tries: o.tries, Trust: cvd.Official()}
	run.Trust.Unsigned, run.Trust.Detached = o.unsigned, o.detached
	if o.certs != "" {
		if run.Trust.Roots, err = cvd.LoadRoots(o.certs); err != nil {
			return err
		}
	}
	if o.detached && o.certs == "" {
		return errors.New("flag --require-sign: name the certificates with --certs")
	}
	if run.Soak, run.Ring, err = o.policy(); err != nil {
		return err
	}
	if !o.noTry && !o.check {
		p, err := h.Trial()
		if err != nil {
			return err
		}
		defer p.Close()
		job := trial.Job{Unsigned: o.unsigned, Certs: o.certs, Sample: o.sample, Seed: time.Now().Unix() / (24 * 3600)}
		if back, err := o.watch(stderr, f, p, job); err != nil || back {
			return err
		}
		run.Try = func(dir, old string) error {
			job.Dir, job.Old = dir, old
			a := p.Try(job)
			return a.Err()
		}
	}
	if !o.quiet {
		run.Told = func(format string, a ...any) {
			fmt.Fprintf(stderr, "showcause: %s\n", showcause.Escape(fmt.Sprintf(format, a...)))
		}
	}
	ended := func() string { return "" }
	if o.from != "" {
		run.Courier, run.Medium = &medium{dir: o.from, to: f}, true
	} else if run.Courier, ended, err = h.send(ctx, o, f, sources); err != nil {
		return err
	}
	results := f.Run(ctx, sources, run)
	if notes := ended(); notes != "" {
		fmt.Fprintln(stderr, showcause.Escape(notes))
	}
	return h.tell(stdout, results, o)
}

// tell says what became of each source.
func (h Host) tell(w io.Writer, results []update.Result, o *options) error {
	var failed []error
	changed := false
	for _, r := range results {
		changed = changed || r.Changed
		for _, l := range r.Lines {
			if !o.quiet || r.Changed {
				fmt.Fprintf(w, "%s: %s\n", r.Source, showcause.Escape(l))
			}
		}
		if r.Err != nil {
			failed = append(failed, fmt.Errorf("update %s: %s", r.Source, showcause.Escape(strings.ReplaceAll(r.Err.Error(), "\n", "; "))))
		}
	}
	switch {
	case len(failed) > 0:
		return errors.Join(failed...)
	case o.check && changed:
		return h.Newer
	case changed:
		fmt.Fprintf(w, "%s: showcause scan --db %s\n", "scan with it", showcause.Escape(o.dir))
	}
	return nil
}

// terms shows whose rules they are.
func terms(w io.Writer, s *update.Source) {
	fmt.Fprintf(w, "%s: %s\n  licence: %s. %s\n", s.Name, showcause.Escape(s.About), showcause.Escape(s.Licence), showcause.Escape(s.Terms))
}

// open opens the folder for the commands that ask nobody.
func (h Host) open(o *options, stderr io.Writer) ([]update.Source, *update.Folder, error) {
	all, err := o.known(stderr)
	if err != nil {
		return nil, nil, err
	}
	f, err := update.OpenFolder(nil, o.dir)
	return all, f, err
}

// view is open for those that change nothing: it waits for nobody.
func (h Host) view(o *options, stderr io.Writer) ([]update.Source, *update.Folder, error) {
	all, err := o.known(stderr)
	if err != nil {
		return nil, nil, err
	}
	f, err := update.ViewFolder(o.dir)
	return all, f, err
}

func (h Host) status(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how old the rules of each source are", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, f, err := h.view(o, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer f.Close()
			now := time.Now()
			for i := range all {
				s := &all[i]
				if !f.On(s) {
					continue
				}
				for _, line := range f.Status(s, now) {
					fmt.Fprintln(c.OutOrStdout(), showcause.Escape(line))
				}
			}
			return nil
		},
	}
}

func (h Host) list(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "sources", Short: "List the sources, which are on, and their licences", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, f, err := h.view(o, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer f.Close()
			for i := range all {
				on := "off"
				if f.On(&all[i]) {
					on = "on"
				}
				fmt.Fprintf(c.OutOrStdout(), "%-3s  %-22s %s (%s)\n", on, all[i].Name, showcause.Escape(all[i].About), showcause.Escape(all[i].Licence))
			}
			return nil
		},
	}
}

// turn turns a source on, its licence shown, or off.
func (h Host) turn(o *options, on bool) *cobra.Command {
	c := &cobra.Command{Use: "disable NAME", Short: "Turn a source off; its files stay until the folder is cleared by hand", Args: cobra.ExactArgs(1)}
	if on {
		c.Use, c.Short = "enable NAME", "Show a source's licence and turn it on"
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		all, f, err := h.open(o, c.ErrOrStderr())
		if err != nil {
			return err
		}
		defer f.Close()
		i := slices.IndexFunc(all, func(s update.Source) bool { return s.Name == args[0] })
		if i < 0 {
			return fmt.Errorf("no source %q: showcause update sources lists them", args[0])
		}
		if on {
			terms(c.OutOrStdout(), &all[i])
		}
		return f.Turn(&all[i], on, time.Now())
	}
	return c
}

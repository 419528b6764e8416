// Package publishcmd are the commands of who publishes rules, signs logs as a witness,
// or watches over what is published.
package publishcmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/publish"
	"github.com/showcause/showcause/publish/monitor"
	"github.com/showcause/showcause/publish/witness"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/update/signed"
)

// Host is what the commands need of the program that they are part of.
type Host struct {
	// Compile compiles a folder of rules.
	Compile func(dir string) (*ruledb.DB, error)
	// Mirror fetches files of a site into a folder, by the process that has a network; ended gives that up.
	Mirror func(ctx context.Context, base, dir, ledger string, insecure bool) (fetch signed.Fetch, ended func() string, err error)
	// Refused ends the program with the exit code of a finding.
	Refused   error
	FlagError func(c *cobra.Command, err error) error
}

// Command is "publish" with those below it.
func (h Host) Command() *cobra.Command {
	c := &cobra.Command{
		Use: "publish", Short: "Publish signed and logged releases of rules; witness and monitor such logs", Args: cobra.NoArgs,
		Long: `Publish rules of one's own, for hosts that take them with "showcause update":

  showcause publish init DIR --pack NAME       keys, a log, the first root; DIR/source.json is for the hosts
  showcause publish release DIR RULES          a folder of rules becomes the next release in DIR/site
  showcause publish renew DIR                  once a day: what would expire is signed again

DIR/site is static files for any web server or medium. docs/publish.md tells the rest.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(h.init(), h.release(), h.renew(), h.rotate(), h.witness(), h.monitor())
	c.SetFlagErrorFunc(h.FlagError)
	return c
}

func (h Host) init() *cobra.Command {
	var pack, policy string
	c := &cobra.Command{
		Use: "init DIR", Short: "Make keys, a log and the first root", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var text []byte
			if policy != "" {
				var err error
				if text, err = os.ReadFile(policy); err != nil {
					return fmt.Errorf("flag --policy: %w", err)
				}
			}
			if err := publish.Init(args[0], pack, text, time.Now); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "made; put the address, licence and terms into %s, and give it to the hosts: showcause update --sources FILE enable %s\n", showcause.Escape(filepath.Join(args[0], "source.json")), pack)
			return nil
		},
	}
	c.Flags().StringVar(&pack, "pack", "rules", "name of what is published: letters, digits, hyphens")
	c.Flags().StringVar(&policy, "policy", "", "file that names the witnesses which must sign the log (C2SP tlog-policy)")
	return c
}

// asked are witnesses whose folders are on this machine.
func asked(dirs []string) (out []publish.Witness, err error) {
	for _, d := range dirs {
		w, err := witness.Open(d)
		if err != nil {
			return nil, err
		}
		out = append(out, w.Sign)
	}
	return out, nil
}

func (h Host) release() *cobra.Command {
	var stages string
	var witnesses []string
	c := &cobra.Command{
		Use: "release DIR RULES", Short: "Make the next release of a folder of rules", Args: cobra.ExactArgs(2),
		Long: `Make the next release of a folder of rules: compiled to say which rules there are, each
change a leaf of the log, signed. --stages names a file with lines of a stage (shadow,
report, act) and a pattern of rule names; the first that fits counts; others have the
stage report. A release that was cut off, or waits for witnesses, is ended first.`,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := publish.Open(args[0], time.Now)
			if err != nil {
				return err
			}
			ws, err := asked(witnesses)
			if err != nil {
				return err
			}
			staged, err := readStages(stages)
			if err != nil {
				return err
			}
			all, err := h.rules(args[1], staged)
			if err != nil {
				return err
			}
			n, err := p.Release(args[1], all, ws...)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "release %d: %d rules\n", n, len(all))
			return nil
		},
	}
	c.Flags().StringVar(&stages, "stages", "", "file with the stages of rules")
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "folder of a witness on this machine (repeatable)")
	return c
}

// stage is a line of a file of stages.
type stage struct {
	stage   showcause.Stage
	pattern string
}

func readStages(file string) (out []stage, err error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("flag --stages: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		w := strings.Fields(text)
		if len(w) == 0 {
			continue
		}
		if len(w) != 2 || !slices.Contains([]string{"shadow", "report", "act"}, w[0]) {
			return nil, fmt.Errorf("flag --stages: line %d: want shadow, report or act, and a pattern", n)
		}
		if _, err := path.Match(w[1], ""); err != nil {
			return nil, fmt.Errorf("flag --stages: line %d: %w", n, err)
		}
		out = append(out, stage{showcause.Stage(w[0]), w[1]})
	}
	return out, s.Err()
}

// rules lists the rules that a folder is compiled to.
func (h Host) rules(dir string, staged []stage) (out []signed.Rule, err error) {
	db, err := h.Compile(dir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for i := range uint32(db.Len()) {
		info, err := db.Info(i)
		if err != nil {
			return nil, err
		}
		r := signed.Rule{Name: info.Name, Digest: info.Digest, Stage: showcause.StageReport}
		for _, s := range staged {
			if ok, _ := path.Match(s.pattern, r.Name); ok {
				r.Stage = s.stage
				break
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func (h Host) renew() *cobra.Command {
	return &cobra.Command{
		Use: "renew DIR", Short: "Sign again what would expire", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := publish.Open(args[0], time.Now)
			if err != nil {
				return err
			}
			return p.Renew()
		},
	}
}

func (h Host) rotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate DIR [ROLE...]", Short: "Give roles new keys (root, targets, snapshot, timestamp); none: renew the root", Args: cobra.MinimumNArgs(1),
		Long: "Give roles new keys, and publish a root that says so, signed by the old keys of root and by the new. Then the old\nones may be destroyed.",
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := publish.Open(args[0], time.Now)
			if err != nil {
				return err
			}
			return p.Rotate(args[1:]...)
		},
	}
}

func (h Host) witness() *cobra.Command {
	var name string
	var logs []string
	c := &cobra.Command{
		Use: "witness DIR", Short: "Sign a log that only grew: the request on standard input, the signature on standard output", Args: cobra.ExactArgs(1),
		Long: `Sign a log if it continues the one that this witness saw before: a request
add-checkpoint (C2SP tlog-witness) on standard input, the signature line on standard
output, so that any web server can call it. --init makes the witness, --log the logs that it knows.

Exit code: 0 signed; 1 refused, or the request begins elsewhere: then the size is said.`,
		RunE: func(c *cobra.Command, args []string) error {
			if name != "" {
				if err := witness.Init(args[0], name, logs...); err != nil {
					return err
				}
				w, err := witness.Open(args[0])
				if err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), w.Public)
				return nil
			}
			w, err := witness.Open(args[0])
			if err != nil {
				return err
			}
			for _, l := range logs {
				if err := w.Know(l); err != nil {
					return err
				}
			}
			if len(logs) > 0 {
				return nil
			}
			body, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
			if err != nil {
				return err
			}
			line, err := w.Sign(body)
			var elsewhere *publish.Conflict
			switch {
			case errors.As(err, &elsewhere):
				fmt.Fprintln(c.OutOrStdout(), elsewhere.Size)
				return h.Refused
			case err != nil:
				fmt.Fprintf(c.ErrOrStderr(), "showcause: %s\n", showcause.Escape(err.Error()))
				return h.Refused
			}
			_, err = c.OutOrStdout().Write(line)
			return err
		},
	}
	c.Flags().StringVar(&name, "init", "", "make a witness of this name, and print its key for policies")
	c.Flags().StringArrayVar(&logs, "log", nil, "key of a log that it is to know (repeatable)")
	return c
}

func (h Host) monitor() *cobra.Command {
	var sources, state, mirror, ledger string
	var insecure bool
	c := &cobra.Command{
		Use: "monitor SITE", Short: "Hold every release against the log, and say what each changed", Args: cobra.ExactArgs(1),
		Long: `Read a site, by its address (what is fetched stays in --mirror, and each request is in the
ledger), or a copy of it (a folder, as any mirroring tool makes it), hold each entry of its log
against the releases, and say what each release since the last look changed. --state keeps
what was seen: a log that does not continue it is found.

Exit code: 0 all is as it should be; 1 something is not; 2 trouble.`,
		RunE: func(c *cobra.Command, args []string) error {
			site, err := readSite(sources)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(state)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("flag --state: %w", err)
			}
			st, err := monitor.Load(b)
			if err != nil {
				return err
			}
			fetch := folder(args[0])
			if strings.HasPrefix(args[0], "https://") || strings.HasPrefix(args[0], "http://") {
				var ended func() string
				if fetch, ended, err = h.Mirror(c.Context(), args[0], mirror, ledger, insecure); err != nil {
					return err
				}
				defer func() {
					if notes := ended(); notes != "" {
						fmt.Fprintln(c.ErrOrStderr(), showcause.Escape(notes))
					}
				}()
			}
			st, err = monitor.Look(c.Context(), site, st, fetch, c.OutOrStdout())
			var found *monitor.Found
			if errors.As(err, &found) {
				return h.Refused
			}
			if err != nil {
				return err
			}
			if b, err = st.Save(); err != nil {
				return err
			}
			if err := os.WriteFile(state+".new", b, 0o600); err != nil {
				return err
			}
			return os.Rename(state+".new", state)
		},
	}
	c.Flags().StringVar(&sources, "source", "source.json", "the source as hosts have it")
	c.Flags().StringVar(&state, "state", "monitor.json", "file that keeps what was seen")
	c.Flags().StringVar(&mirror, "mirror", "mirror", "folder in which what is fetched stays")
	c.Flags().StringVar(&ledger, "ledger", "", "the ledger's folder")
	c.Flags().BoolVar(&insecure, "insecure-http", false, "plain http to other machines too")
	return c
}

// readSite takes the site out of a file of sources.
func readSite(file string) (signed.Site, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return signed.Site{}, fmt.Errorf("flag --source: %w", err)
	}
	var all []struct{ Site *signed.Site }
	if err := json.Unmarshal(b, &all); err != nil {
		return signed.Site{}, fmt.Errorf("flag --source: %w", err)
	}
	for _, s := range all {
		if s.Site != nil {
			return *s.Site, nil
		}
	}
	return signed.Site{}, errors.New("flag --source: it has no site")
}

// folder reads a site that lies in a folder.
func folder(dir string) signed.Fetch {
	return func(_ context.Context, name string, max int64) ([]byte, error) {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, signed.ErrAbsent
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, max+1))
		if int64(len(b)) > max {
			err = signed.ErrLong
		}
		return b, err
	}
}

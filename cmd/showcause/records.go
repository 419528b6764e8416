package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/recheck"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/casecmd"
	"github.com/showcause/showcause/internal/recording"
	"github.com/showcause/showcause/internal/storecmd"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan/texts"
)

// storeVariable names the store where no flag does, and storeOff in place of a
// folder that there is none.
const (
	storeVariable = "SHOWCAUSE_STORE"
	storeOff      = "off"
)

func storeFlag(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "store", "", "folder of this host's records; off for none (default $"+storeVariable+", or /var/lib/showcause for root, ~/.local/state/showcause for others)")
}

// storeDir returns the folder of the store, "" for none, and whether the user
// named it.
func storeDir(flag string) (dir string, named bool, err error) {
	if dir, named = flag, flag != ""; !named {
		dir = os.Getenv(storeVariable)
		named = dir != ""
	}
	switch dir {
	case storeOff:
		return "", named, nil
	case "":
		dir, err = store.Default()
		return dir, false, err
	}
	return dir, named, nil
}

// storeHost is what the commands about the store need of this program.
func storeHost() storecmd.Host {
	return storecmd.Host{StoreFlag: storeFlag, StoreDir: storeDir, FlagError: suggestFlag, Exit: func(code int) error { return exitCode(code) }}
}

// takeFound takes what a scan found into quarantine, once all of it is recorded.
// A reader that was caught in a lie may have told others: then nothing is taken.
func (o *scanOptions) takeFound(c *cobra.Command, rec *recorder, t *answer.Totals, recErr error) error {
	if !o.quarantine {
		return nil
	}
	switch names := rec.Findings(); {
	case recErr != nil:
		return errors.New("quarantine: nothing is taken: not every finding has a record")
	case len(t.Incidents) > 0 || t.Interrupted:
		return errors.New("quarantine: nothing is taken: the scan did not end as it should (showcause quarantine take RECORD does it by hand)")
	case len(names) > 0:
		_, err := storeHost().TakeFindings(c, o.store, names, c.ErrOrStderr())
		return err
	}
	return nil
}

// recordCommands are the commands about records, and over one finding.
func recordCommands() []*cobra.Command {
	h := casecmd.Host{
		Version: version(), StoreFlag: storeFlag, StoreDir: storeDir, OpenDB: openDB, Scratch: scratch,
		PasswordFlags: func(f *pflag.FlagSet) func() ([][]byte, error) {
			var p passwords
			p.own(f)
			return p.list
		},
		Exit: func(code int) error { return exitCode(code) },
	}
	return []*cobra.Command{evidenceCommand(h.Recheck(), h.Show()), directiveHost().Join(h.Contest()), directiveHost().Join(h.Decide()), h.Report()}
}

// recorder records what a scan says; nil records nothing.
type recorder struct{ *recording.Recorder }

// newRecorder returns nil where there is nothing to record to: because the user
// says so, or because this user can write no store, which is said.
func (o *scanOptions) newRecorder(db *ruledb.DB, sealed *os.File, stderr io.Writer) (*recorder, error) {
	dir, named, err := storeDir(o.store)
	if o.quarantine {
		if o.records != "" || err == nil && dir == "" {
			return nil, errors.New("flag --quarantine: nothing is taken without a record in the store: it does not go with --records or --store=off")
		}
		named = true
	}
	if err == nil && dir == "" {
		if o.records != "" {
			return nil, errors.New("flag --records: the store has the key that signs records; --store=off leaves none")
		}
		return nil, nil
	}
	words := map[string]string{recheck.OptionFormats: "all", recheck.OptionPasswords: recheck.Passwords(bool(o.passwords.usual), len(o.words)+len(texts.Of(o.ruleDB).Passwords))}
	if o.limits.memory > 0 {
		words["memory"] = strconv.FormatInt(int64(o.limits.memory), 10)
	}
	if o.limits.time > 0 {
		words["time.ms"] = strconv.FormatInt(int64(o.limits.time), 10)
	}
	jail := "sealed"
	if o.jail == answer.JailOff {
		jail = "off"
	}
	var r *recording.Recorder
	if err == nil {
		r, err = recording.New(recording.Options{
			Store: dir, Folder: o.records, DB: db, Sealed: sealed, Limits: o.policy(), Words: words, Jail: jail, Stderr: stderr,
		})
	}
	switch {
	case err == nil:
		return &recorder{r}, nil
	case named || o.records != "":
		return nil, fmt.Errorf("records: %w", err)
	}
	fmt.Fprintf(stderr, "showcause: no record of this scan is kept: %s (--store DIR names another folder)\n", showcause.Escape(err.Error()))
	return nil, nil
}

func (r *recorder) result(res *answer.Result, subject evidence.Digests) {
	if r != nil {
		r.Result(res, subject)
	}
}

func (r *recorder) finish(interrupted, quiet bool) error {
	if r == nil {
		return nil
	}
	return r.Finish(interrupted, quiet)
}

func digestFile(ctx context.Context, f *os.File, rep *showcause.Report) evidence.Digests {
	return recording.Digest(ctx, f, rep)
}

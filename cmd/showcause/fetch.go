//go:build !airgap

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/egress"
	"github.com/showcause/showcause/internal/ruleflags"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/rules"
)

// fetchOptions are those of `rules fetch`.
type fetchOptions struct {
	dir, ledger      string
	ca, proxy, keys  string
	insecure, airGap bool
	force            bool
	max              byteSize
	rules            rules.Options
}

func fetchCommand() *cobra.Command {
	o := fetchOptions{max: 1 << 30}
	c := &cobra.Command{
		Use:   "fetch URL... [-o DIR]",
		Short: "Fetch rule files; each request is in the ledger before it is sent",
		Long: `Fetch rule files from static URLs and put them into a folder, all of them or
none, and only if the folder compiles with them. Each request is written to the
ledger before it is sent (see: showcause ledger), by a process of its own that
can open no other file. No cookie, query string, ETag or identifier is sent.`,
		Args: cobra.RangeArgs(1, egress.MaxErrands),
		RunE: func(c *cobra.Command, args []string) error {
			return fetch(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args, o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.dir, "output", "o", "", "the folder to put the files into (default: rules beside the ledger)")
	f.StringVar(&o.ledger, "ledger", "", "the ledger's folder")
	f.StringVar(&o.ca, "ca", "", "trust the certificates of this PEM file, and no others")
	f.StringVar(&o.proxy, "proxy", "", "go through http://HOST:PORT; the environment names none")
	f.StringVar(&o.keys, "tls-keylog", "", "append the secrets of TLS to this file, for who watches the wire")
	f.BoolVar(&o.insecure, "insecure-http", false, "plain http to other machines too")
	f.BoolVar(&o.force, "force", false, "fetch also what the server's date, length and ETag say is unchanged")
	f.BoolVar(&o.airGap, "air-gap", false, "send nothing: refuse")
	f.Var(&o.max, "max-size", "longest file")
	f.BoolVar(&o.rules.PUA, "pua", false, "as for rules compile")
	ruleflags.Trust(f, &o.rules)
	f.BoolVar(&o.rules.Lenient, "skip-malformed", false, "as for rules compile")
	c.SetFlagErrorFunc(suggestFlag)
	return c
}

// fetch fetches, checks and places.
func fetch(ctx context.Context, stdout, stderr io.Writer, urls []string, o fetchOptions) error {
	if o.airGap {
		return fmt.Errorf("rules fetch: %w: --air-gap", ledger.ErrAirGap)
	}
	if err := ledger.AirGap(); err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	names, err := fileNames(urls)
	if err != nil {
		return err
	}
	if o.ledger == "" {
		if o.ledger, err = ledger.DefaultDir(); err != nil {
			return err
		}
	}
	if o.dir == "" {
		o.dir = filepath.Join(filepath.Dir(o.ledger), "rules")
	}
	in, err := egress.OpenFolder(o.dir)
	if err != nil {
		return err
	}
	defer in.Close()
	job := egress.Job{Version: release(), Proxy: o.proxy, InsecureHTTP: o.insecure}
	if o.ca != "" {
		if job.CA, err = os.ReadFile(o.ca); err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
	}
	for i, u := range urls {
		e := egress.Errand{URL: u, Purpose: ledger.UpdateRules, Max: int64(o.max)}
		if !o.force {
			e.Known = in.Known(u, names[i])
		}
		job.Errands = append(job.Errands, e)
	}
	results, err := sendOut(ctx, &job, in, o, stderr)
	if err != nil {
		return err
	}
	digests, err := in.Take(names, urls, results, func(set string) error { return tryRules(set, o.rules, true) })
	if err != nil {
		return errors.New(showcause.Escape(err.Error()))
	}
	for i, r := range results {
		what, n := "fetched  ", r.Bytes
		if r.Unchanged {
			what, n = "unchanged", r.Now.Length
		}
		fmt.Fprintf(stdout, "%s  %s\n           from %s, %s, seq %d of the ledger\n           sha256 %s\n", what,
			showcause.Escape(filepath.Join(o.dir, names[i])), showcause.Escape(urls[i]), answer.Size(n), r.Seq, showcause.Escape(digests[i]))
	}
	return nil
}

// fileNames are the names that the files will have: what the URLs end with.
func fileNames(urls []string) ([]string, error) {
	seen := map[string]bool{}
	var out []string
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("url %s: not a URL", showcause.Escape(s))
		}
		name := path.Base(u.Path)
		for _, c := range []byte(name) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return nil, fmt.Errorf("url %s: does not end with the name of a rule file", showcause.Escape(s))
			}
		}
		if _, ok := clamsig.Classify(name); !ok && !rules.IsYARA(name) || name[0] == '.' || len(name) > 128 {
			return nil, fmt.Errorf("url %s: does not end with the name of a rule file (.cvd, .ndb, .ldb, .yar ...)", showcause.Escape(s))
		}
		if seen[name] {
			return nil, fmt.Errorf("url %s: two files of the name %s", showcause.Escape(s), name)
		}
		seen[name] = true
		out = append(out, name)
	}
	return out, nil
}

// sendOut has the errands run, each into a file of its own.
func sendOut(ctx context.Context, job *egress.Job, in *egress.Folder, o fetchOptions, stderr io.Writer) ([]egress.Answer, error) {
	log, err := ledger.Open(o.ledger)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var keys *os.File
	if o.keys != "" {
		if keys, err = os.OpenFile(o.keys, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		defer keys.Close()
	}
	var files []*os.File
	for i := range job.Errands {
		f, err := in.Create(i)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		files = append(files, f)
	}
	answers, notes, err := egress.Run(ctx, job, log, keys, files)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		return nil, errors.New(showcause.Escape(err.Error()))
	}
	if notes != "" {
		fmt.Fprintln(stderr, showcause.Escape(notes))
	}
	return answers, nil
}

// egressCommands are the commands that only a build with a way out has.
func egressCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "egress",
		Short:  "Talk to the network for another showcause process",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return egress.Serve(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}}
}

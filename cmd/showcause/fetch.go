//go:build !airgap

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/internal/egress"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
)

// fetchOptions are those of `rules fetch`.
type fetchOptions struct {
	dir, ledger      string
	ca, proxy, keys  string
	insecure, airGap bool
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
	f.BoolVar(&o.airGap, "air-gap", false, "send nothing: refuse")
	f.Var(&o.max, "max-size", "longest file")
	f.BoolVar(&o.rules.PUA, "pua", false, "as for rules compile")
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
	in, err := openIncoming(o.dir)
	if err != nil {
		return err
	}
	defer in.close()
	job := egress.Job{Version: release(), Proxy: o.proxy, InsecureHTTP: o.insecure}
	if o.ca != "" {
		if job.CA, err = os.ReadFile(o.ca); err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
	}
	for i, u := range urls {
		job.Errands = append(job.Errands, egress.Errand{URL: u, Purpose: ledger.UpdateRules, Max: int64(o.max), Known: in.known(u, names[i])})
	}
	results, err := sendOut(ctx, &job, in, o, stderr)
	if err != nil {
		return err
	}
	return in.take(stdout, names, urls, results, o.rules)
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
		if _, ok := clamsig.Classify(name); !ok || name[0] == '.' || len(name) > 128 {
			return nil, fmt.Errorf("url %s: does not end with the name of a rule file (.cvd, .ndb, .ldb ...)", showcause.Escape(s))
		}
		if seen[name] {
			return nil, fmt.Errorf("url %s: two files of the name %s", showcause.Escape(s), name)
		}
		seen[name] = true
		out = append(out, name)
	}
	return out, nil
}

// release is our version as a server sees it: that of a release, or "devel"
// for all builds that are none, so that no build is told from another.
func release() string {
	v := strings.TrimPrefix(version(), "showcause v")
	for _, c := range []byte(v) {
		if (c < '0' || c > '9') && c != '.' {
			return "devel"
		}
	}
	return v
}

// sendOut has the errands run, each into a file of its own.
func sendOut(ctx context.Context, job *egress.Job, in *incoming, o fetchOptions, stderr io.Writer) ([]egress.Answer, error) {
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
		f, err := in.create(i)
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

// incoming is the folder that fetched files are in until they are taken.
type incoming struct {
	dir  string // where they go
	tmp  string
	lock *os.File
	memo map[string]remembered // by URL
}

// remembered is what was fetched from a URL before.
type remembered struct {
	File       string            `json:"file"`
	SHA256     string            `json:"sha256"`
	Validators egress.Validators `json:"validators"`
}

const memoName = ".fetched.json"

// openIncoming makes the folders, and clears what an earlier process left.
func openIncoming(dir string) (*incoming, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	in := &incoming{dir: dir, tmp: filepath.Join(dir, ".incoming"), memo: map[string]remembered{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	if err := os.Mkdir(in.tmp, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	in.lock, err = os.OpenFile(in.tmp, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	if err := unix.Flock(int(in.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		in.lock.Close()
		return nil, fmt.Errorf("rules fetch: another one is at work in %s", showcause.Escape(dir))
	}
	if err := in.clear(); err != nil {
		in.lock.Close()
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, memoName)); err == nil {
		if json.Unmarshal(b, &in.memo) != nil || in.memo == nil {
			in.memo = map[string]remembered{} // spoilt: all is fetched
		}
	}
	return in, nil
}

func (in *incoming) clear() error {
	entries, err := os.ReadDir(in.tmp)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(in.tmp, e.Name())))
	}
	return err
}

func (in *incoming) close() {
	in.clear()
	os.Remove(in.tmp)
	in.lock.Close()
}

func (in *incoming) path(i int) string { return filepath.Join(in.tmp, fmt.Sprint(i)) }

func (in *incoming) create(i int) (*os.File, error) {
	f, err := os.OpenFile(in.path(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("rules fetch: %w", err)
	}
	return f, nil
}

// known returns what a server said of the file that we have.
func (in *incoming) known(url, name string) egress.Validators {
	r, ok := in.memo[url]
	if !ok || r.File != name {
		return egress.Validators{}
	}
	if _, sum, err := digestFile(filepath.Join(in.dir, name)); err != nil || sum != r.SHA256 {
		return egress.Validators{}
	}
	return r.Validators
}

// digestFile returns the size and SHA-256 of a regular file.
func digestFile(path string) (int64, string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	if !st.Mode().IsRegular() {
		return 0, "", fmt.Errorf("%s is not a regular file", path)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", err
	}
	if err := f.Sync(); err != nil {
		return 0, "", err
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// take checks what was fetched, tries whether the folder compiles with it, and
// puts it in its place. The folder is as it was if anything is wrong.
func (in *incoming) take(w io.Writer, names, urls []string, results []egress.Answer, o rules.Options) error {
	var fresh []int
	for i, r := range results {
		switch {
		case r.Error != "":
			return fmt.Errorf("%s (seq %d of the ledger); nothing was changed", showcause.Escape(r.Error), r.Seq)
		case r.Status != 200:
			return fmt.Errorf("%s: status %d (seq %d of the ledger); nothing was changed", showcause.Escape(urls[i]), r.Status, r.Seq)
		case r.Unchanged:
			continue
		}
		n, sum, err := digestFile(in.path(i))
		if err != nil {
			return fmt.Errorf("rules fetch: %w", err)
		}
		if n != r.Bytes || sum != r.SHA256 {
			return fmt.Errorf("rules fetch: %s is not what the egress process says; nothing was changed", names[i])
		}
		fresh = append(fresh, i)
	}
	if len(fresh) > 0 {
		if err := in.try(names, fresh, o); err != nil {
			return fmt.Errorf("%w; nothing was changed", err)
		}
	}
	for _, i := range fresh {
		r := results[i]
		if err := os.Rename(in.path(i), filepath.Join(in.dir, names[i])); err != nil {
			return fmt.Errorf("rules fetch: %w", err)
		}
		in.memo[urls[i]] = remembered{File: names[i], SHA256: r.SHA256, Validators: r.Now}
	}
	if err := in.remember(); err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	for i, r := range results {
		what := "fetched   "
		if r.Unchanged {
			what = "unchanged "
			r.Bytes, r.SHA256 = r.Now.Length, in.memo[urls[i]].SHA256
		}
		fmt.Fprintf(w, "%s %s\n           from %s, %s, seq %d of the ledger\n           sha256 %s\n", what,
			showcause.Escape(filepath.Join(in.dir, names[i])), showcause.Escape(urls[i]), size(r.Bytes), r.Seq, showcause.Escape(r.SHA256))
	}
	return nil
}

// try compiles the folder as it will be.
func (in *incoming) try(names []string, fresh []int, o rules.Options) error {
	set := filepath.Join(in.tmp, "set")
	if err := os.Mkdir(set, 0o700); err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	isNew := map[string]bool{}
	for _, i := range fresh {
		isNew[names[i]] = true
		if err := os.Symlink(in.path(i), filepath.Join(set, names[i])); err != nil {
			return fmt.Errorf("rules fetch: %w", err)
		}
	}
	old, err := os.ReadDir(in.dir)
	if err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	for _, e := range old {
		if isNew[e.Name()] || e.IsDir() || e.Name()[0] == '.' || rules.IsCompiled(filepath.Join(in.dir, e.Name())) {
			continue
		}
		if err := os.Symlink(filepath.Join(in.dir, e.Name()), filepath.Join(set, e.Name())); err != nil {
			return fmt.Errorf("rules fetch: %w", err)
		}
	}
	data, err := rules.Compile([]string{set}, o)
	if err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		return fmt.Errorf("rules fetch: %w", err)
	}
	if db.Len() == 0 {
		return errors.New("rules fetch: no rule in what was fetched")
	}
	return nil
}

// remember writes down what the servers said, so that the next fetch can tell
// what has not changed.
func (in *incoming) remember() error {
	b, err := json.MarshalIndent(in.memo, "", " ")
	if err != nil {
		return err
	}
	name := filepath.Join(in.tmp, "memo")
	if err := os.WriteFile(name, append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(name, filepath.Join(in.dir, memoName)); err != nil {
		return err
	}
	d, err := os.Open(in.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

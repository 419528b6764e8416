//go:build !airgap

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/internal/jail"
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
		Args: cobra.RangeArgs(1, maxErrands),
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
	job := egressJob{Version: release(), Proxy: o.proxy, InsecureHTTP: o.insecure, KeyLog: o.keys != ""}
	if o.ca != "" {
		if job.CA, err = os.ReadFile(o.ca); err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
	}
	for i, u := range urls {
		job.Errands = append(job.Errands, errand{URL: u, Purpose: ledger.UpdateRules, Max: int64(o.max), Known: in.known(u, names[i])})
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

// sendOut runs the egress process and returns what it says of each errand.
func sendOut(ctx context.Context, job *egressJob, in *incoming, o fetchOptions, stderr io.Writer) ([]fetched, error) {
	log, err := ledger.Open(o.ledger)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	keys, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if o.keys != "" {
		keys.Close()
		keys, err = os.OpenFile(o.keys, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer keys.Close()
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, egressDeadline)
	defer cancel()
	files := []*os.File{log.File(), keys}
	for i := range job.Errands {
		f, err := in.create(i)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		files = append(files, f)
	}
	// The parent-death signal is tied to the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var c *exec.Cmd
	var out, complaints bytes.Buffer
	for _, drop := range []bool{true, false} {
		c = exec.CommandContext(ctx, "/proc/self/exe", "egress")
		c.Args[0] = "showcause"
		c.Env = []string{"TZ=UTC", ledger.AirGapVariable + "=" + os.Getenv(ledger.AirGapVariable)}
		for _, v := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
			if s := os.Getenv(v); s != "" {
				c.Env = append(c.Env, v+"="+s)
			}
		}
		c.Dir = "/"
		c.Stdin = bytes.NewReader(text)
		c.Stdout = &capped{b: &out, left: 1 << 20}
		c.Stderr = &capped{b: &complaints, left: 4 << 10}
		c.ExtraFiles = files
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		if drop && os.Geteuid() == 0 {
			c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		}
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // it closes its entry
		c.WaitDelay = egressGrace
		if err = c.Start(); err == nil || !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EINVAL) {
			break // else: root of a container that has no other users
		}
	}
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	// From here on there is no way out of this process.
	if err := jail.Broker(); err != nil && !errors.Is(err, jail.ErrUnsupported) {
		fmt.Fprintf(stderr, "showcause: %v\n", err)
	}
	err = c.Wait()
	if err != nil {
		msg := strings.TrimPrefix(strings.TrimSpace(complaints.String()), "showcause: ")
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		return nil, fmt.Errorf("egress: %w: %s", err, showcause.Escape(msg))
	}
	if complaints.Len() > 0 {
		fmt.Fprintln(stderr, showcause.Escape(strings.TrimSpace(complaints.String())))
	}
	return parseFetched(&out, len(job.Errands))
}

// Bounds of an egress process as a whole, beside those of each request.
const (
	egressDeadline = 2 * time.Hour
	egressGrace    = 10 * time.Second // to close its entry once it was told to end
)

// nobody is the user that the egress process is where root starts it.
const nobody = 65534

// capped keeps the first bytes of what is written to it, and fails then.
type capped struct {
	b    *bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.left {
		return 0, errors.New("too much")
	}
	c.left -= len(p)
	return c.b.Write(p)
}

// parseFetched reads what the egress process says. It is believed nothing that
// is not checked later.
func parseFetched(r io.Reader, want int) ([]fetched, error) {
	var out []fetched
	s := bufio.NewScanner(r)
	for s.Scan() {
		var f fetched
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			return nil, errors.New("egress: an answer that is none")
		}
		out = append(out, f)
	}
	if s.Err() != nil || len(out) != want {
		return nil, fmt.Errorf("egress: %d answers to %d questions", len(out), want)
	}
	return out, nil
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
	File       string     `json:"file"`
	SHA256     string     `json:"sha256"`
	Validators validators `json:"validators"`
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
func (in *incoming) known(url, name string) validators {
	r, ok := in.memo[url]
	if !ok || r.File != name {
		return validators{}
	}
	if _, sum, err := digestFile(filepath.Join(in.dir, name)); err != nil || sum != r.SHA256 {
		return validators{}
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
func (in *incoming) take(w io.Writer, names, urls []string, results []fetched, o rules.Options) error {
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

//go:build !airgap

package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ledger"
)

// Descriptors of the egress process beside the standard three. The files to
// fill follow, in the order of the errands.
const (
	egressLedger = 3
	egressKeys   = 4 // the null device where no TLS secrets are asked for
	egressFiles  = 5
)

// maxErrands bounds what one egress process is sent for.
const maxErrands = 64

// egressJob is what the egress process is told, as JSON on its standard input.
type egressJob struct {
	Version      string   `json:"version"`
	Proxy        string   `json:"proxy"`
	CA           []byte   `json:"ca"` // PEM; empty: the system's
	InsecureHTTP bool     `json:"insecure_http"`
	KeyLog       bool     `json:"key_log"`
	Errands      []errand `json:"errands"`
}

// errand is one file to fetch.
type errand struct {
	URL     string         `json:"url"`
	Purpose ledger.Purpose `json:"purpose"`
	Max     int64          `json:"max"`
	Known   validators     `json:"known"` // of what we have; compared here, sent to nobody
}

// validators are what a server says of a version of a file.
type validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Length       int64  `json:"length,omitempty"`
}

// same tells whether two answers are of one version. It takes two signs that
// agree to believe it.
func (v validators) same(w validators) bool {
	return v != validators{} && v == w && v.Length > 0 && (v.ETag != "" || v.LastModified != "")
}

// fetched is what became of an errand: JSON, a line each, on standard output.
type fetched struct {
	URL       string     `json:"url"` // of the last hop
	Status    int        `json:"status"`
	Unchanged bool       `json:"unchanged"` // what we have is what there is
	Bytes     int64      `json:"bytes"`
	SHA256    string     `json:"sha256"`
	Now       validators `json:"now"`
	Seq       uint64     `json:"seq"` // of the last send in the ledger
	Error     string     `json:"error,omitempty"`
}

// egressCommands are the commands that only a build with a way out has.
func egressCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "egress",
		Short:  "Talk to the network for another showcause process",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return egress(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}}
}

// egress is the process that has a network and sees no file that is scanned.
func egress(ctx context.Context, in io.Reader, out io.Writer) error {
	var job egressJob
	d := json.NewDecoder(io.LimitReader(in, 4<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil {
		return fmt.Errorf("egress: job: %w", err)
	}
	if len(job.Errands) > maxErrands {
		return fmt.Errorf("egress: %d errands, at most %d", len(job.Errands), maxErrands)
	}
	log, err := ledger.FromFile(os.NewFile(egressLedger, "ledger"))
	if err != nil {
		return err
	}
	o := ledger.Options{Version: job.Version, Proxy: job.Proxy, InsecureHTTP: job.InsecureHTTP}
	if o.Roots, err = roots(job.CA); err != nil {
		return err
	}
	if job.KeyLog {
		o.KeyLog = os.NewFile(egressKeys, "keys")
	}
	client, err := ledger.NewClient(log, o)
	if err != nil {
		return err
	}
	files := make([]*os.File, len(job.Errands))
	for i := range files {
		files[i] = os.NewFile(uintptr(egressFiles+i), strconv.Itoa(i))
	}
	if err := lockEgress(&job); err != nil {
		return err
	}
	w := json.NewEncoder(out)
	for i, e := range job.Errands {
		if err := w.Encode(run1(ctx, client, e, files[i])); err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}

// lockEgress shuts the process in.
func lockEgress(job *egressJob) error {
	runtime.LockOSThread() // walls that are a thread's own are put up on this one first
	defer runtime.UnlockOSThread()
	status, err := jail.Egress(jail.EgressConfig{Ports: ports(job)})
	if err != nil {
		return err
	}
	for _, g := range status.Walls {
		if g.Wall == "landlock" && !g.On {
			fmt.Fprintf(os.Stderr, "showcause: egress: its user's other files are not closed to it: landlock: %s\n", g.Why)
		}
	}
	return nil
}

// ports are the TCP ports that may be connected to: those of the URLs and the
// proxy, that of https for redirects, and that of name servers.
func ports(job *egressJob) []uint16 {
	out := []uint16{443, 53}
	add := func(s string) {
		u, err := url.Parse(s)
		if err != nil {
			return // refused when it is asked for
		}
		if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			out = append(out, uint16(p))
		} else if u.Scheme == "http" {
			out = append(out, 80)
		}
	}
	for _, e := range job.Errands {
		add(e.URL)
	}
	if job.Proxy != "" {
		add(job.Proxy)
	}
	return out
}

// roots are the certificates that are trusted. They are read before the lock.
func roots(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		return pool, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("certificates: none in the file, PEM is expected")
	}
	return pool, nil
}

// run1 runs one errand.
func run1(ctx context.Context, c *ledger.Client, e errand, w io.Writer) fetched {
	if e.Known != (validators{}) {
		// No ETag and no date goes back to the server, since either may be a
		// name that it gave us. A HEAD request asks what there is.
		r, err := c.Do(ctx, ledger.Request{URL: e.URL, Purpose: ledger.UpdateMetadata, Head: true}, io.Discard)
		if err != nil {
			return fetched{URL: r.URL, Seq: r.Seq, Error: err.Error()}
		}
		if now := validatorsOf(r); r.Status == 200 && now.same(e.Known) {
			return fetched{URL: r.URL, Status: r.Status, Unchanged: true, Now: now, Seq: r.Seq}
		}
	}
	r, err := c.Do(ctx, ledger.Request{URL: e.URL, Purpose: e.Purpose, Max: e.Max}, w)
	f := fetched{URL: r.URL, Status: r.Status, Bytes: r.Bytes, SHA256: r.SHA256, Now: validatorsOf(r), Seq: r.Seq}
	if err != nil {
		f.Error = err.Error()
	}
	return f
}

func validatorsOf(r ledger.Response) validators {
	v := validators{ETag: r.ETag, LastModified: r.LastModified, Length: max(r.Length, 0)}
	if v.Length == 0 {
		v.Length = r.Bytes
	}
	return v
}

//go:build !airgap

package egress

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

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ledger"
)

// Descriptors of the process beside the standard three. The files to fill
// follow, in the order of the errands.
const (
	fdLedger = 3
	fdKeys   = 4 // the null device where no TLS secrets are asked for
	fdFiles  = 5
)

// Serve is the process: it reads a Job from in, locks itself, runs the Errands
// one after the other, and writes an Answer to out for each.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := jail.Hide(); err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	var job Job
	d := json.NewDecoder(io.LimitReader(in, 4<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil {
		return fmt.Errorf("egress: job: %w", err)
	}
	if len(job.Errands) > MaxErrands {
		return fmt.Errorf("egress: %d errands, at most %d", len(job.Errands), MaxErrands)
	}
	log, err := ledger.FromFile(os.NewFile(fdLedger, "ledger"))
	if err != nil {
		return err
	}
	o := ledger.Options{Version: job.Version, Proxy: job.Proxy, InsecureHTTP: job.InsecureHTTP}
	if o.Roots, err = roots(job.CA); err != nil {
		return err
	}
	if job.KeyLog {
		o.KeyLog = os.NewFile(fdKeys, "keys")
	}
	client, err := ledger.NewClient(log, o)
	if err != nil {
		return err
	}
	files := make([]*os.File, len(job.Errands))
	for i := range files {
		files[i] = os.NewFile(uintptr(fdFiles+i), strconv.Itoa(i))
	}
	if err := lock(&job); err != nil {
		return err
	}
	w := json.NewEncoder(out)
	for i, e := range job.Errands {
		if err := w.Encode(do(ctx, client, e, files[i])); err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}

// lock shuts the process in.
func lock(job *Job) error {
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
func ports(job *Job) []uint16 {
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

// do runs one errand.
func do(ctx context.Context, c *ledger.Client, e Errand, w io.Writer) Answer {
	if e.Known != (Validators{}) {
		r, err := c.Do(ctx, ledger.Request{URL: e.URL, Purpose: ledger.UpdateMetadata, Head: true}, io.Discard)
		if err != nil {
			return Answer{URL: r.URL, Seq: r.Seq, Error: err.Error()}
		}
		if now := validatorsOf(r); r.Status == 200 && now.same(e.Known) {
			return Answer{URL: r.URL, Status: r.Status, Unchanged: true, Now: now, Seq: r.Seq}
		}
	}
	r, err := c.Do(ctx, ledger.Request{URL: e.URL, Purpose: e.Purpose, Max: e.Max}, w)
	f := Answer{URL: r.URL, Status: r.Status, Bytes: r.Bytes, SHA256: r.SHA256, Now: validatorsOf(r), Seq: r.Seq}
	if err != nil {
		f.Error = err.Error()
	}
	return f
}

func validatorsOf(r ledger.Response) Validators {
	v := Validators{ETag: r.ETag, LastModified: r.LastModified, Length: max(r.Length, 0)}
	if v.Length == 0 {
		v.Length = r.Bytes
	}
	return v
}

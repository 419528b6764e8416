//go:build !airgap

package egress

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// Serve is the process: it reads a Job from in, locks itself, runs the errands
// that follow one after the other until in ends, and writes an Answer to out for each.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := jail.Hide(); err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	var job Job
	d := json.NewDecoder(io.LimitReader(in, 64<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil {
		return fmt.Errorf("egress: job: %w", err)
	}
	if job.Files < 0 || job.Files > MaxErrands {
		return fmt.Errorf("egress: %d files, at most %d", job.Files, MaxErrands)
	}
	log, err := ledger.FromFile(os.NewFile(fdLedger, "ledger"))
	if err != nil {
		return err
	}
	o := ledger.Options{Version: job.Version, Proxy: job.Proxy, InsecureHTTP: job.InsecureHTTP, NameServer: job.NameServer}
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
	files := make([]*os.File, job.Files)
	for i := range files {
		files[i] = os.NewFile(uintptr(fdFiles+i), strconv.Itoa(i))
	}
	if err := lock(&job); err != nil {
		return err
	}
	w := json.NewEncoder(out)
	for {
		var e Errand
		if err := d.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("egress: errand: %w", err)
		}
		if err := w.Encode(do(ctx, client, e, files)); err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
}

// lock shuts the process in.
func lock(job *Job) error {
	runtime.LockOSThread() // walls that are a thread's own are put up on this one first
	defer runtime.UnlockOSThread()
	status, err := jail.Egress(jail.EgressConfig{Ports: job.Ports})
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
func do(ctx context.Context, c *ledger.Client, e Errand, files []*os.File) Answer {
	if e.TXT != "" {
		texts, err := c.TXT(ctx, e.TXT, e.Purpose)
		return Answer{Texts: texts, Error: words(err)}
	}
	if e.File < 0 || e.File >= len(files) {
		return Answer{Error: "egress: no such file"}
	}
	if e.Known != (Validators{}) {
		r, err := c.Do(ctx, ledger.Request{URL: e.URL, Purpose: ledger.UpdateMetadata, Head: true}, io.Discard)
		if err != nil {
			return Answer{URL: r.URL, Seq: r.Seq, Error: err.Error()}
		}
		if now := validatorsOf(r); r.Status == 200 && now.same(e.Known) {
			return Answer{URL: r.URL, Status: r.Status, Unchanged: true, Now: now, Seq: r.Seq}
		}
	}
	w := files[e.File]
	cut := func(at int64) error {
		_, err := w.Seek(at, io.SeekStart)
		return errors.Join(err, w.Truncate(at))
	}
	if err := cut(e.From); err != nil {
		return Answer{Error: fmt.Sprintf("egress: %v", err)}
	}
	r, err := c.Do(ctx, ledger.Request{
		URL: e.URL, Purpose: e.Purpose, Max: e.Max, From: e.From, To: e.To, Restart: func() error { return cut(0) },
	}, w)
	return Answer{
		URL: r.URL, Status: r.Status, Bytes: r.Bytes, SHA256: r.SHA256, Now: validatorsOf(r), Seq: r.Seq,
		RetryAfter: r.RetryAfter, Whole: r.Whole, Error: words(err),
	}
}

// words is an error as it is answered.
func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func validatorsOf(r ledger.Response) Validators {
	v := Validators{ETag: r.ETag, LastModified: r.LastModified, Length: max(r.Length, 0)}
	if v.Length == 0 {
		v.Length = r.Bytes
	}
	return v
}

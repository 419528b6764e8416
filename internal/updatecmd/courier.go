//go:build !airgap

package updatecmd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/showcause/showcause/internal/egress"
	"github.com/showcause/showcause/ledger"
	"github.com/showcause/showcause/update"
)

// courier sends the egress process.
type courier struct {
	s     *egress.Session
	small *os.File
	log   *ledger.Log
	inbox *os.File
}

// Files of the process.
const (
	fileInbox = iota
	fileSmall
)

// send starts the egress process for these sources. ended gives it up and
// returns what it says to a person.
func (h Host) send(ctx context.Context, o *options, f *update.Folder, sources []update.Source) (c update.Courier, ended func() string, err error) {
	if o.airGap {
		return nil, nil, fmt.Errorf("update: %w: --air-gap", ledger.ErrAirGap)
	}
	if err := ledger.AirGap(); err != nil {
		return nil, nil, fmt.Errorf("update: %w", err)
	}
	job := egress.Job{Version: h.Release, Proxy: o.proxy, InsecureHTTP: o.insecure, NameServer: o.nameServer}
	for i := range sources {
		job.URLs = append(append(job.URLs, sources[i].Mirrors...), sources[i].URLs...)
	}
	if o.ca != "" {
		if job.CA, err = os.ReadFile(o.ca); err != nil {
			return nil, nil, fmt.Errorf("certificates: %w", err)
		}
	}
	x := &courier{}
	if x.inbox, err = f.Inbox(); err != nil {
		return nil, nil, err
	}
	if x.small, err = h.Scratch(); err != nil {
		return nil, nil, err
	}
	if x.log, err = ledger.Open(o.ledger); err != nil {
		x.small.Close()
		return nil, nil, err
	}
	if x.s, err = egress.Start(ctx, &job, x.log, nil, []*os.File{x.inbox, x.small}); err != nil {
		x.small.Close()
		x.log.Close()
		return nil, nil, err
	}
	return x, func() string {
		notes, err := x.s.Close()
		x.small.Close()
		x.log.Close()
		if err != nil && ctx.Err() == nil {
			notes += err.Error()
		}
		return notes
	}, nil
}

func (c *courier) TXT(_ context.Context, name string) ([]string, error) {
	a, err := c.s.Do(egress.Errand{TXT: name, Purpose: ledger.UpdateMetadata})
	if err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Texts, nil
}

func (c *courier) Fetch(_ context.Context, a update.Ask) (update.Got, error) {
	e := egress.Errand{URL: a.URL, Purpose: ledger.UpdateRules, Max: a.Max, From: a.From, To: a.To, Known: egress.Validators(a.Known), File: fileInbox}
	if a.Metadata {
		e.Purpose = ledger.UpdateMetadata
	}
	if a.Small {
		e.File = fileSmall
	}
	r, err := c.s.Do(e)
	if err != nil {
		return update.Got{}, err
	}
	g := update.Got{Status: r.Status, URL: r.URL, Unchanged: r.Unchanged, Bytes: r.Bytes, Now: update.Validators(r.Now), RetryAfter: r.RetryAfter}
	if r.Error != "" {
		return g, fmt.Errorf("%s (seq %d of the ledger)", r.Error, r.Seq)
	}
	if !a.Small || g.Status != 200 && g.Status != 206 {
		return g, nil
	}
	st, err := c.small.Stat()
	if err != nil {
		return g, err
	}
	if st.Size() != r.Bytes {
		return g, errors.New("egress: the file is not what it says")
	}
	g.Content = make([]byte, st.Size())
	_, err = c.small.ReadAt(g.Content, 0)
	if st.Size() == 0 {
		err = nil
	}
	return g, err
}

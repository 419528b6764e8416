package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/internal/reasons"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/worker"
	"github.com/showcause/showcause/yara/module"
)

// readers read what is inside files: processes in the jail, or this process.
type readers interface {
	// SubmitWith has a file scanned, with values of external variables of YARA rules
	// for it; done is called once, and f stays open until then.
	SubmitWith(ctx context.Context, f *os.File, externals map[string]module.Value, done func(showcause.Report, error))
	// Status says what the jail gives, once a reader was ready.
	Status() (jail.Status, bool)
	// Err says why no file will be read any more.
	Err() error
	// Incidents are readers that misbehaved outside a file, all of them after Close.
	Incidents() []worker.Incident
	Close() error
}

// newReaders starts the jail, or does without it if the user says so. shared is
// the database as readers get it (ruledb.DB.Share).
func (o *scanOptions) newReaders(ctx context.Context, db *ruledb.DB, shared [2]*os.File, digests bool, stderr io.Writer) (readers, error) {
	switch o.jail {
	case "on":
	case answer.JailOff:
		return newInProcess(ctx, db, o, digests), nil
	default:
		return nil, fmt.Errorf("flag --jail: %q is not one of on, off", o.jail)
	}
	if err := jail.Available(); err != nil {
		return nil, fmt.Errorf("jail: the kernel cannot lock the process that reads files: %w; --jail=off scans without, and every report then says so", err)
	}
	if f, err := scratch(); err != nil {
		fmt.Fprintf(stderr, "showcause: no temporary files in %s: %v; what unpacks to more than 16 MB is not read whole\n", showcause.Escape(os.TempDir()), err)
	} else {
		f.Close()
	}
	// From here on this process cannot get a network socket, nor can what it starts.
	if err := jail.Broker(); err != nil {
		return nil, fmt.Errorf("jail: %w", err)
	}
	return worker.NewPool(worker.Options{
		DB: db, Rules: shared[0], Rest: shared[1], TopOnly: o.topOnly, Limits: o.policy(), Names: true, Excerpts: o.explain, Digests: digests, Now: time.Now().Unix(),
		Passwords: o.words, NoUsual: !bool(o.passwords.usual),
		Workers: o.jobs, Scratch: scratch, Memory: int64(o.limits.memory), Timeout: o.timeout(), Recycle: o.recycle,
	})
}

// asker asks why rules hold, with what the scan is done with.
func (o *scanOptions) asker() *reasons.Asker {
	a := &reasons.Asker{
		DB: o.ruleDB, Limits: o.policy(), TopOnly: o.topOnly, Passwords: o.words, NoUsual: !bool(o.passwords.usual), Now: time.Now().Unix(),
		Memory: int64(o.limits.memory), Scratch: scratch,
	}
	if o.jail == answer.JailOff {
		a.Open = newSource
	}
	return a
}

// timeout is the wall clock that one file may take; nil is the default.
func (o *scanOptions) timeout() func(int64) time.Duration {
	if o.limits.time <= 0 {
		return nil
	}
	d := time.Duration(o.limits.time) * time.Millisecond
	return func(int64) time.Duration { return d }
}

// inProcess scans here, without a jail.
type inProcess struct {
	ctx  context.Context
	work chan submitted
	wg   sync.WaitGroup
}

type submitted struct {
	ctx       context.Context
	file      *os.File
	externals map[string]module.Value
	done      func(showcause.Report, error)
}

func newInProcess(ctx context.Context, db *ruledb.DB, o *scanOptions, digests bool) *inProcess {
	p := &inProcess{ctx: ctx, work: make(chan submitted)}
	worker.BoundHeap(math.MaxInt64)
	for range o.jobs {
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			s := scan.New(db, scan.Options{
				Limits: o.policy(), TopOnly: o.topOnly, Excerpts: o.explain, Digests: digests, Now: time.Now().Unix(), Passwords: o.words, NoUsual: !bool(o.passwords.usual),
				Spill: func() (unpack.File, error) {
					f, err := scratch()
					return stoppable{f, ctx}, err
				},
			})
			for t := range p.work {
				t.scan(s)
			}
		}()
	}
	return p
}

// scan scans a file. Nothing stops a scan in the midst of its counting: once ctx is done, the file
// is done with, and what the scan says later is heard by nobody.
func (t *submitted) scan(s *scan.Scanner) {
	src, err := newSource(t.ctx, t.file)
	if err != nil {
		t.done(showcause.Report{}, err)
		return
	}
	mine := context.AfterFunc(t.ctx, func() { t.done(showcause.Report{}, t.ctx.Err()) })
	if r := s.ScanWith(src, t.externals); mine() {
		t.done(r, nil)
	}
}

func (p *inProcess) SubmitWith(ctx context.Context, f *os.File, externals map[string]module.Value, done func(showcause.Report, error)) {
	select {
	case p.work <- submitted{ctx, f, externals, done}:
	case <-ctx.Done():
		done(showcause.Report{}, ctx.Err())
	}
}

func (p *inProcess) Status() (jail.Status, bool)  { return jail.Status{}, false }
func (p *inProcess) Err() error                   { return nil }
func (p *inProcess) Incidents() []worker.Incident { return nil }

// Close waits for the scans that anybody waits for.
func (p *inProcess) Close() error {
	close(p.work)
	ended := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-p.ctx.Done():
	}
	return nil
}

// readMain is the reader's process: see worker.Read.
func readMain() int {
	_ = jail.Hide() // as early as can be; Lock does it again, and goes no further without
	if err := worker.Read(worker.Reading{}); err != nil {
		if !errors.Is(err, os.ErrClosed) {
			fmt.Fprintf(os.Stderr, "showcause worker: %v\n", err)
		}
		return exitError
	}
	return 0
}

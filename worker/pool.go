package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/worker/wire"
	"github.com/showcause/showcause/yara/module"
)

// Options are how a Pool scans. The zero value of a field means its default.
type Options struct {
	DB *ruledb.DB
	// Rules and Rest are descriptors of DB (DB.Share), which stay the caller's; default:
	// they are made. Where Rules has all of it (DB.Seal), there need be no Rest.
	Rules, Rest *os.File

	Limits   showcause.Limits // at most 1,000 steps of depth
	Names    bool             // names of members are wanted
	Excerpts bool             // the first bytes of matches are wanted
	Digests  bool             // the digests of layers with findings, and counts of matches, are wanted
	Logs     bool             // the lines that rules write are wanted: wire.MaxLines of wire.MaxLine bytes for a file
	Formats  []string         // names of the formats that are unpacked; default all

	// What follows is as in scan.Options.
	TopOnly    bool
	MaxMatches int // at most 1,000,000
	Now        int64
	Externals  map[string]module.Value // as wire.EncodeExternals takes them; 48 KiB at most
	ModuleData map[string][]byte       // 16 MiB at most
	Passwords  [][]byte                // 255 bytes each and 16 KiB in all at most
	NoUsual    bool

	Workers int                            // readers at a time; default one a processor
	Scratch func() (*os.File, error)       // opens an unlinked file for a reader; if nil or failing, children over 16 MiB are cut, with a gap
	Memory  int64                          // bytes of a reader's own memory; default 1 GiB
	Timeout func(size int64) time.Duration // wall clock for one file of size bytes; default 5 minutes and a second for each 4 MiB
	// Quick is how long a reader may be busy with one file while others wait and no reader
	// is free: then the file is given back with ErrSlow. The default is as long as it takes.
	Quick time.Duration
	// Recycle is the number of files that a reader scans before it is replaced, and
	// so how many one that was taken over can lie about. With 1 each file has a
	// reader of its own. Default 10,000.
	Recycle int
	Args    []string                            // of a reader's program, which is this one; default {"showcause", "worker"}
	Env     []string                            // of a reader, besides what the jail sets
	Spawn   func(jail.Command) (Process, error) // starts a reader; default jail.Starter.Start
	// AllowUnsealed takes readers whose jail does not hold, for tests.
	AllowUnsealed bool
}

// Process is a reader's process.
type Process interface {
	Kill() error
	Wait() (jail.Exit, error)
}

const (
	maxOut     = 32      // jobs that a reader holds
	maxOutSize = 1 << 20 // bytes of all of them, if more than two
	maxTwo     = 8 << 20 // and of two; a file that is larger is alone
	batch      = maxOut / 2
	perWorker  = 128  // jobs that a pool holds for each reader
	maxHeld    = 1024 // and in all: each is an open file

	slow      = 250 * time.Millisecond // after which nothing waits behind a file
	tick      = 50 * time.Millisecond
	startTime = 30 * time.Second // for a reader to be ready
	endTime   = 2 * time.Second  // for a reader to end by itself

	patience     = 3  // starts that fail before files do
	morePatience = 20 // where one has not failed before: somebody ends readers
	maxBackOff   = time.Second

	maxScarce = 10 * time.Second // of a pause before a file for which there is no descriptor is tried again

	maxLost  = 16          // readers that do not end when killed, before no more are started
	maxStuck = 64          // calls of this process that wait for a file system, before no more are made
	statTime = time.Minute // for a file system to say what a file is; less if a file may take less
)

// ErrClosed is returned for files that a closed Pool has not scanned.
var ErrClosed = errors.New("scan: closed")

// ErrSlow is returned for a file that took longer than Options.Quick.
var ErrSlow = errors.New("scan: slow")

// errUnsealed is returned where no network, no open and no exec cannot be promised.
var errUnsealed = errors.New("reader: its jail does not hold")

// Pool is the broker's side: readers, started when there is work for them and
// replaced when they die. It is safe for concurrent use.
type Pool struct {
	o       Options
	set     wire.Settings
	decoder *wire.Decoder
	starter *jail.Starter
	rules   *os.File // sealed; ours if o.Rules is nil
	rest    *os.File // ours if o.Rules is nil
	modules *os.File // sealed, or nil
	null    *os.File
	slots   chan struct{} // a token for each job that is held
	ending  chan struct{} // closed by Close
	running sync.WaitGroup
	stuck   atomic.Int32 // see within

	mu       sync.Mutex // guards what follows; a peer's sending is taken before it
	queue    []*job     // waiting, in order
	alone    []*job     // waiting for a reader that has scanned nothing
	peers    []*peer    // alive
	starting int        // being started, and not among peers yet
	nextID   uint64
	closed   bool
	ticking  bool
	status   jail.Status
	sealed   bool // a reader was ready, and status is its

	failures int // starts that failed since the last that did not
	failure  error
	again    time.Time // when the next start may be tried

	lost      int   // readers that were killed and did not end
	dead      error // no reader will be started any more
	incidents []Incident
	waits     waiting // reports behind one that is not there yet
}

// job is a file on its way.
type job struct {
	passed
	externals string

	id   uint64
	ctx  func() bool // stops waiting for the context
	done func(showcause.Report, error)

	// Guarded by Pool.mu.
	at       []*peer // who holds it
	queued   bool
	finished bool
	careful  bool // it, or one beside it, killed a reader
	deaths   int  // of readers that were reading it, for certain
}

// NewPool returns a Pool. No reader is started before there is work.
func NewPool(o Options) (*Pool, error) {
	p := &Pool{ending: make(chan struct{})}
	if o.Workers < 1 {
		o.Workers = runtime.NumCPU()
	}
	if o.Memory <= 0 {
		o.Memory = 1 << 30
	}
	if o.Timeout == nil {
		o.Timeout = func(size int64) time.Duration {
			return 5*time.Minute + time.Duration(size>>22)*time.Second
		}
	}
	if o.Recycle < 1 {
		o.Recycle = 10_000
	}
	if o.Args == nil {
		o.Args = []string{"showcause", "worker"}
	}
	full := o.Limits.WithDefaults()
	full.Depth = min(full.Depth, wire.MaxDepth)
	o.Limits.Depth = full.Depth
	p.set = wire.Settings{Limits: o.Limits, Names: o.Names, Excerpts: o.Excerpts, Digests: o.Digests, Logs: o.Logs, Memory: o.Memory, Spill: full.ScanSize + full.FileSize}
	var err error
	if p.set.Externals, err = wire.EncodeExternals(o.Externals, wire.MaxExternals); err != nil {
		return nil, err
	}
	if p.set.Passwords, err = wire.EncodePasswords(o.Passwords); err != nil {
		return nil, err
	}
	p.set.TopOnly, p.set.Now, p.set.NoUsual = o.TopOnly, o.Now, o.NoUsual
	p.set.Matches = uint32(min(max(o.MaxMatches, 0), 1_000_000))
	if p.set.Spill < 0 {
		p.set.Spill = 1<<63 - 1
	}
	if p.set.Formats, err = choose(o.Formats); err != nil {
		return nil, err
	}
	p.decoder = wire.NewDecoder(&p.set, o.DB)
	var held int
	o.Workers, held = share(descriptors(), o.Workers)
	p.slots = make(chan struct{}, held)
	if err := p.openAll(&o); err != nil {
		return nil, err
	}
	if o.Spawn == nil {
		p.starter = jail.NewStarter()
		o.Spawn = func(c jail.Command) (Process, error) {
			proc, err := p.starter.Start(c)
			if err != nil {
				return nil, err
			}
			return proc, nil
		}
	}
	p.o = o
	return p, nil
}

// openAll opens what all readers get.
func (p *Pool) openAll(o *Options) (err error) {
	if len(o.ModuleData) > 0 {
		b, err := wire.EncodeModules(o.ModuleData)
		if err != nil {
			return err
		}
		fd, err := sealed("showcause-modules", b)
		if err != nil {
			return fmt.Errorf("files for modules: %w", err)
		}
		p.modules, p.set.Modules = os.NewFile(uintptr(fd), "modules"), true
	}
	p.rules, p.rest = o.Rules, o.Rest
	if p.rest == nil {
		p.rest = p.rules
	}
	if p.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		err = fmt.Errorf("readers: %w", err)
	} else if p.rules == nil {
		p.rules, p.rest, err = o.DB.Share()
	}
	if err != nil {
		p.modules.Close() // of nil it does nothing
		p.null.Close()
	}
	return err
}

// choose returns the set of the named formats; all of them if names is nil.
func choose(names []string) (set wire.FormatSet, err error) {
	all := formats.All()
	if len(all) > wire.MaxFormats {
		return set, fmt.Errorf("formats: %d, the message to readers has room for %d", len(all), wire.MaxFormats)
	}
	for i, f := range all {
		if names == nil || slices.Contains(names, f.Name) {
			set.Add(i)
		}
	}
	for _, n := range names {
		known := false
		for _, f := range all {
			known = known || f.Name == n
		}
		if !known {
			return set, fmt.Errorf("format %q: not known", n)
		}
	}
	return set, nil
}

// Descriptors: what this process has besides, and what a reader takes at most,
// which is while it is started.
const (
	otherFiles  = 24
	readerFiles = 10
)

// descriptors is how many this process may have open. Go has raised the soft
// limit to the hard one at the start (package os).
func descriptors() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return l.Cur
}

// share divides descriptors into readers and files, of which each may be held
// twice (see pass).
func share(limit uint64, workers int) (readers, held int) {
	left := int(min(limit, 1<<20)) - otherFiles
	readers = max(min(workers, left/2/readerFiles), 1)
	held = min(perWorker*readers, max(maxHeld, readers), (left-readerFiles*readers)/2)
	return readers, max(held, 1)
}

// Room returns how many files the pool holds at a time: Submit waits while it has
// so many. A caller that has as many more open at most, and few other things,
// stays below the limit of descriptors.
func (p *Pool) Room() int { return cap(p.slots) }

// Scan scans a regular file, which it opens again for reading if need be. It
// may be called from many goroutines, and should: a reader is handed several
// files at a time. The error says that the file could not be read at all, that
// no reader could be started, or that ctx is done; what a file does to a reader
// is a gap.
func (p *Pool) Scan(ctx context.Context, f *os.File) (showcause.Report, error) {
	type answer struct {
		r   showcause.Report
		err error
	}
	c := make(chan answer, 1)
	p.Submit(ctx, f, func(r showcause.Report, err error) { c <- answer{r, err} })
	a := <-c
	return a.r, a.err
}

// Submit is Scan without the wait: done is called once, on another goroutine
// or before Submit returns, with what Scan returns. f stays open until then.
// done must not wait for anything, least of all for another file. Submit itself
// waits while the pool holds as many files as it takes.
func (p *Pool) Submit(ctx context.Context, f *os.File, done func(showcause.Report, error)) {
	p.SubmitWith(ctx, f, nil, done)
}

// SubmitWith is Submit with values of external variables of YARA rules for this
// file, wire.MaxJobExternals bytes of them at most.
func (p *Pool) SubmitWith(ctx context.Context, f *os.File, externals map[string]module.Value, done func(showcause.Report, error)) {
	values, err := wire.EncodeExternals(externals, wire.MaxJobExternals)
	if err != nil {
		done(showcause.Report{}, err)
		return
	}
	if err := p.slot(ctx); err != nil {
		done(showcause.Report{}, err)
		return
	}
	in, err := p.pass(ctx, f)
	if err != nil {
		<-p.slots
		if err == errSlow {
			done(unread(0, -1, showcause.LimitTime), nil)
		} else {
			done(showcause.Report{}, err)
		}
		return
	}
	p.enqueue(ctx, &job{passed: in, externals: values, done: done, queued: true})
}

// SubmitBytes is SubmitWith for content that is at hand, and stays as it is until
// done is called: what has wire.MaxContent bytes at most takes no file at all.
func (p *Pool) SubmitBytes(ctx context.Context, content []byte, externals map[string]module.Value, done func(showcause.Report, error)) {
	values, err := wire.EncodeExternals(externals, wire.MaxJobExternals)
	if err == nil {
		err = p.slot(ctx)
	}
	if err != nil {
		done(showcause.Report{}, err)
		return
	}
	in := passed{here: true, content: content, size: int64(len(content)), whole: true}
	if len(content) > wire.MaxContent {
		fd, err := sealed("showcause-input", content)
		if err != nil {
			<-p.slots
			done(showcause.Report{}, fmt.Errorf("content: %w", err))
			return
		}
		in = passed{fd: fd, file: os.NewFile(uintptr(fd), "content"), own: true, size: int64(len(content)), whole: true}
	}
	p.enqueue(ctx, &job{passed: in, externals: values, done: done, queued: true})
}

// slot waits for room for a job.
func (p *Pool) slot(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.ending:
		return ErrClosed
	}
	if err := p.Err(); err != nil {
		<-p.slots
		return err
	}
	return nil
}

// enqueue has a job done that has a slot.
func (p *Pool) enqueue(ctx context.Context, j *job) {
	p.mu.Lock()
	err := p.dead
	if p.closed {
		err = ErrClosed
	}
	if err != nil {
		p.mu.Unlock()
		p.deliver([]outcome{{j: j, err: err}})
		return
	}
	p.nextID++
	j.id = p.nextID
	p.waits.submitted(j.id)
	p.queue = append(p.queue, j)
	if ctx.Done() != nil {
		j.ctx = context.AfterFunc(ctx, func() { p.cancel(j, ctx.Err()) })
	}
	p.mu.Unlock()
	p.dispatch()
}

// Status returns what the jail of the readers gives, once one was ready.
func (p *Pool) Status() (s jail.Status, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.sealed
}

// Err says why no file will be scanned any more: no reader can be started, or
// too many do not end. All files that come then get this error at once.
func (p *Pool) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// die gives up for good. p.mu is held.
func (p *Pool) die(outs []outcome, err error) []outcome {
	if p.dead == nil && !p.closed {
		p.dead = err
	}
	return p.flush(outs)
}

// flush answers what waits, if there will be no reader for it. p.mu is held.
func (p *Pool) flush(outs []outcome) []outcome {
	if p.dead == nil {
		return outs
	}
	for _, j := range slices.Concat(p.queue, p.alone) {
		outs = p.finish(outs, j, showcause.Report{}, p.dead)
	}
	p.queue, p.alone = nil, nil
	return outs
}

// Close ends all readers and returns when they are gone, or will not go. Files
// that are not answered yet get ErrClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.running.Wait()
		return nil
	}
	p.closed = true
	close(p.ending)
	var outs []outcome
	for _, j := range slices.Concat(p.queue, p.alone) {
		outs = p.finish(outs, j, showcause.Report{}, ErrClosed)
	}
	p.queue, p.alone = nil, nil
	peers := slices.Clone(p.peers)
	for _, r := range peers {
		for _, j := range r.out {
			outs = p.finish(outs, j, showcause.Report{}, ErrClosed)
		}
	}
	p.mu.Unlock()
	p.deliver(outs)
	for _, r := range peers {
		r.retire(causeClosed)
	}
	p.running.Wait()
	var errs []error
	if p.starter != nil {
		errs = append(errs, p.starter.Close())
	}
	if p.o.Rules == nil {
		errs = append(errs, p.rules.Close(), p.rest.Close())
	}
	if p.modules != nil {
		errs = append(errs, p.modules.Close())
	}
	return errors.Join(append(errs, p.null.Close())...)
}

// outcome is an answer on its way to who asked.
type outcome struct {
	j   *job
	at  []*peer // who may be sending it
	r   showcause.Report
	err error
}

// finish marks a job as answered, unless it is. p.mu is held.
func (p *Pool) finish(outs []outcome, j *job, r showcause.Report, err error) []outcome {
	if j.finished {
		return outs
	}
	j.finished = true
	p.waits.answered(j.id, wire.Weigh(&r))
	return append(outs, outcome{j, slices.Clone(j.at), r, err})
}

// deliver gives answers to who asked. No lock is held. A descriptor is never
// closed while it is being sent: its number could by then be another file's.
func (p *Pool) deliver(outs []outcome) {
	for i := range outs {
		o := &outs[i]
		for _, r := range o.at {
			r.settle()
		}
		if o.j.ctx != nil {
			o.j.ctx()
		}
		o.j.passed.close()
		<-p.slots
		o.j.done(o.r, o.err)
	}
}

// cancel answers a job for which nobody waits.
func (p *Pool) cancel(j *job, err error) {
	p.mu.Lock()
	outs := p.finish(nil, j, showcause.Report{}, err)
	p.arm()
	p.mu.Unlock()
	p.deliver(outs)
}

// unread is the report on a file that no reader could finish.
func unread(size, length int64, code showcause.Code) showcause.Report {
	r := showcause.Report{Type: "data", Size: size, Gaps: []showcause.Gap{{Code: code, Offset: 0, Length: length}}}
	r.Spent.Objects = 1
	r.Conclude()
	return r
}

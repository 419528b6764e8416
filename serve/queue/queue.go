package queue

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/worker"
	"github.com/showcause/showcause/yara/module"
)

// What a door tells its client in its protocol's words. An error of Scan that is none
// of these says that the file cannot be read, or that there are no readers.
var (
	ErrBusy     = errors.New("too many requests wait")
	ErrStopping = errors.New("the service is stopping")
	ErrDeadline = errors.New("the request took too long")
	ErrTooLarge = errors.New("more bytes than the limit")
	ErrNoSpace  = errors.New("no space for what is received")
)

// Database is a set of rules to scan with.
type Database struct {
	DB *ruledb.DB
	// Version is what is said of the rules to clients, such as "27700/Fri Nov 20 2026".
	Version string
	// Digest is the SHA-256 that records name the rules by, or "".
	Digest string
	// Since is when they came into use, which the Queue notes.
	Since time.Time
	// Close is called when nothing is scanned with them any more; DB is closed then.
	Close func()
}

// Options are how a Queue works. The zero value of a field means its default.
type Options struct {
	Rules Database
	// Pool is how readers scan; its DB and Rules are those above.
	Pool    worker.Options
	Scratch func() (*os.File, error) // opens an unlinked file for what is received; default none: all of it is held in memory

	MaxWaiting   int   // jobs that wait for their turn; default 1,000
	MaxClient    int   // of one client; default half of MaxWaiting
	MaxMemory    int64 // bytes of what is received that are held in memory; default 32 MiB
	MaxSpool     int64 // and in files; default 16 GiB
	CacheMemory  int64 // bytes of answers that are kept; default 16 MiB, none if negative
	MaxPerClient int   // jobs of one client that are being read while others wait; default half of those that are
	// Quick is how long a reader may be busy with one job while others wait. What takes
	// longer begins anew with readers that are for such jobs alone, as many as the others;
	// so does at once what is large. Default 300 ms.
	Quick time.Duration
	// Told is called once for each job with what came of it, from many goroutines; Record
	// makes records of an answer that has findings or gaps (Answer.Record, Records, Unrecorded),
	// before that, and while Answer.Database is open: Answer.Report has not the Gaps of the job
	// then. It must come to its end by itself. Either may be nil.
	Told   func(*Job, *Answer, error)
	Record func(context.Context, *Job, *Answer)
}

// Job is one thing to scan. Of Content and File one is set.
type Job struct {
	Door, Client string // who asks: for turns, and for the log
	From         string // for the log, where more is known of Client: IP@port, as clamd's log has it
	Content      *Spool // from Receive; stays the caller's to close after Scan returns
	// File is a regular file, open for reading; it stays the caller's too. One that is
	// written to while it is read makes the answer incomplete: changed.
	File     *os.File
	Name     string          // as rules and records are told, a path where there is one; may be ""
	Deadline time.Time       // after which nobody waits; zero is none
	Gaps     []showcause.Gap // what the door knows not to be in Content: the answer has them too
	Options  ScanOptions
}

// Whole is a report of what was read with the gaps that the door knows of.
func (j *Job) Whole(r showcause.Report) showcause.Report {
	if len(j.Gaps) > 0 {
		r.Gaps = append(r.Gaps[:len(r.Gaps):len(r.Gaps)], j.Gaps...) // the report is shared
		if r.Verdict != showcause.Error {
			r.Conclude()
		}
	}
	return r
}

// ScanOptions are what one job wants otherwise than the service does.
type ScanOptions struct {
	Limits    showcause.Limits // fields that are not zero count in place of the service's
	Passwords [][]byte         // besides the service's
	Externals map[string]module.Value
	Record    bool // Answer.Record is wanted
	Passes    bool // what is not read whole, and would be an error, lets something pass all the same: it is to have a record
	Act       bool // something is done because of the answer: its records are to be durable before that
	NoCache   bool // the answer is to be a new one
}

// plain tells whether the readers of the service can do it.
func (o *ScanOptions) plain() bool { return o.Limits == showcause.Limits{} && len(o.Passwords) == 0 }

// Answer is what is said of a job.
type Answer struct {
	Report   showcause.Report // shared with others: not to be changed
	SHA256   string           // of the content, hexadecimal, where it is known: always of what was received
	Database *Database        // that it was scanned with; its DB may be closed by now
	Cached   bool             // it was made for the same content before
	Waited   time.Duration    // for its turn
	Took     time.Duration    // in all
	Limits   showcause.Limits // that it was scanned with, as in worker.Options

	Record     []byte   // sealed, JSON: of the first finding that counts, if it was asked for, or of the first
	Records    []string // names of the records of its findings, and of what a setting made of what was not read
	Unrecorded string   // why some of this has none, or none that is durable yet: words of this program's
}

// Queue takes jobs from all doors. It is safe for concurrent use.
type Queue struct {
	o      Options
	turns  turns
	long   turns // of what takes long
	spools spools
	stats  stats
	began  time.Time

	mu       sync.Mutex // guards what follows
	current  *generation
	stopping bool
	jobs     int            // under way
	idle     chan struct{}  // closed when stopping and jobs is 0
	retired  sync.WaitGroup // generations
}

// New returns a Queue. It has one file scanned before it returns, so that what
// keeps readers from starting shows.
func New(o Options) (*Queue, error) {
	if o.MaxWaiting < 1 {
		o.MaxWaiting = 1000
	}
	if o.MaxClient < 1 {
		o.MaxClient = max(o.MaxWaiting/2, 1)
	}
	if o.MaxMemory < 1 {
		o.MaxMemory = 32 << 20
	}
	if o.MaxSpool < 1 {
		o.MaxSpool = 16 << 30
	}
	if o.CacheMemory == 0 {
		o.CacheMemory = 16 << 20
	}
	if o.Pool.Workers < 1 {
		o.Pool.Workers = runtime.NumCPU()
	}
	q := &Queue{o: o, began: time.Now(), idle: make(chan struct{})}
	if o.Quick <= 0 {
		o.Quick = 300 * time.Millisecond
	}
	q.o = o
	if o.MaxPerClient < 1 {
		o.MaxPerClient = math.MaxInt
	}
	line := turns{most: o.MaxPerClient, maxWaiting: o.MaxWaiting, maxClient: o.MaxClient}
	q.turns, q.long = line.of(perReader*o.Pool.Workers, leastPerReader*o.Pool.Workers), line.of(o.Pool.Workers, o.Pool.Workers)
	q.spools = spools{memory: o.MaxMemory, disk: o.MaxSpool, scratch: o.Scratch}
	g, err := q.generation(o.Rules)
	if err != nil {
		return nil, err
	}
	q.current = g
	return q, nil
}

// perReader is the number of jobs that are handed to the pool for each reader, and
// leastPerReader where they take long: what is handed over is read in that order, whoever
// comes meanwhile.
const (
	perReader      = 24
	leastPerReader = 2
)

// large is the size, bytes, from which a job is among those that take long.
const large = 32 << 20

// Scan has a job done. The error is one of this package's, or says that the file
// cannot be read at all; what its content does is in the Report.
func (q *Queue) Scan(ctx context.Context, j Job) (Answer, error) {
	start := time.Now()
	if err := q.enter(); err != nil {
		q.told(&j, nil, err)
		return Answer{}, err
	}
	defer q.leave()
	if !j.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, j.Deadline)
		defer cancel()
	}
	a, err := q.scan(ctx, &j, start)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = ErrDeadline
	}
	if err != nil {
		q.told(&j, nil, err)
		return Answer{}, err
	}
	a.Took = time.Since(start)
	q.told(&j, &a, nil)
	return a, nil
}

func (q *Queue) scan(ctx context.Context, j *Job, start time.Time) (Answer, error) {
	g := q.acquire()
	defer g.release()
	var key cacheKey
	sum := ""
	known := j.Content != nil
	if known {
		s := j.Content.Sum()
		sum = s.String()
		key = keyOf(s, j)
		if !j.Options.NoCache {
			if r, ok := g.cache.get(key); ok {
				return q.recorded(ctx, j, &Answer{Report: *r, SHA256: sum, Database: g.rules, Cached: true}), nil
			}
		}
	}
	r, waited, err := q.read(ctx, g, j)
	if err != nil {
		return Answer{}, err
	}
	if known && lasting(&r) {
		g.cache.put(key, &r)
	}
	return q.recorded(ctx, j, &Answer{Report: r, SHA256: sum, Database: g.rules, Waited: waited}), nil
}

// read waits for the job's turn, and has readers look at it; where it takes long and
// others wait, once more.
func (q *Queue) read(ctx context.Context, g *generation, j *Job) (r showcause.Report, waited time.Duration, err error) {
	take := func(t *turns) (time.Time, error) {
		start := time.Now()
		err := t.take(ctx, j.Client)
		now := time.Now()
		waited += now.Sub(start)
		return now, err
	}
	if plain := j.Options.plain(); !plain || j.size() < large {
		began, err := take(&q.turns)
		if err != nil {
			return r, waited, err
		}
		p, done := g.pool, func() {}
		if !plain {
			p, done, err = g.readers(j)
		}
		if err == nil {
			r, err = j.readBy(ctx, p)
			done()
		}
		q.turns.pace(time.Since(began))
		q.turns.done(j.Client)
		if !errors.Is(err, worker.ErrSlow) {
			return r, waited, err
		}
		q.stats.slowJobs.Add(1)
	}
	if _, err := take(&q.long); err != nil {
		return r, waited, err
	}
	defer q.long.done(j.Client)
	r, err = j.readBy(ctx, g.slow)
	return r, waited, err
}

// size is that of the content in bytes.
func (j *Job) size() int64 {
	if j.Content != nil {
		return j.Content.Size()
	}
	st, err := j.File.Stat()
	if err != nil {
		return 0 // whoever reads it says so
	}
	return st.Size()
}

// readBy has the readers of a pool look at it.
func (j *Job) readBy(ctx context.Context, p *worker.Pool) (showcause.Report, error) {
	type result struct {
		r   showcause.Report
		err error
	}
	c := make(chan result, 1)
	answer := func(r showcause.Report, err error) { c <- result{r, err} }
	switch b, f := j.content(); {
	case f != nil:
		p.SubmitWith(ctx, f, j.Options.Externals, answer)
	default:
		p.SubmitBytes(ctx, b, j.Options.Externals, answer)
	}
	out := <-c
	if errors.Is(out.err, worker.ErrClosed) {
		out.err = ErrStopping
	}
	return out.r, out.err
}

// content is what is scanned: a file, or bytes if that is nil.
func (j *Job) content() ([]byte, *os.File) {
	if j.Content == nil {
		return nil, j.File
	}
	return j.Content.buf, j.Content.file
}

// recorded completes an answer, and has records made of it.
func (q *Queue) recorded(ctx context.Context, j *Job, a *Answer) Answer {
	a.Limits = overlay(q.o.Pool.Limits, j.Options.Limits)
	if q.o.Record != nil && len(a.Report.Findings)+len(a.Report.Gaps)+len(j.Gaps) > 0 {
		q.o.Record(ctx, j, a)
	}
	a.Report = j.Whole(a.Report)
	return *a
}

// told tells what came of a job.
func (q *Queue) told(j *Job, a *Answer, err error) {
	if err != nil {
		q.stats.refused(err)
	} else {
		q.stats.answered(j, a)
	}
	if q.o.Told != nil {
		q.o.Told(j, a, err)
	}
}

// enter notes that a job is under way.
func (q *Queue) enter() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopping {
		return ErrStopping
	}
	q.jobs++
	return nil
}

func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs--
	if q.stopping && q.jobs == 0 {
		close(q.idle)
	}
}

// Drain refuses new jobs, and returns when all that are under way have their answers
// or ctx is done. Nothing is scanned any more then, and all readers are gone. An
// error says that jobs were given up.
func (q *Queue) Drain(ctx context.Context) error {
	q.mu.Lock()
	first := !q.stopping
	q.stopping = true
	if first && q.jobs == 0 {
		close(q.idle)
	}
	g := q.current
	q.mu.Unlock()
	var err error
	select {
	case <-q.idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if first {
		if err != nil {
			g.abandon()
		}
		g.release() // the queue's own hold
		q.retired.Wait()
	}
	return err
}

// Status returns what the jail of the readers gives, once one was ready.
func (q *Queue) Status() (jail.Status, bool) {
	g := q.acquire()
	defer g.release()
	return g.pool.Status()
}

// Rules returns what is scanned with now.
func (q *Queue) Rules() *Database {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.current.rules
}

// stats counts what came to pass.
type stats struct {
	requests, found, incomplete, clean atomic.Int64
	cached, busy, late, failed         atomic.Int64
	bytes, reloads                     atomic.Int64
	slowJobs                           atomic.Int64
	waited, took                       atomic.Int64 // nanoseconds
	slow                               histogram
}

// Readers is the number of readers that there are at most.
func (q *Queue) Readers() int { return q.o.Pool.Workers }

package queue

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker"
)

// generation is a set of rules and the readers that have it. It lives while it is the
// current one, and as long as jobs are read with it.
type generation struct {
	q     *Queue
	rules *Database
	pool  *worker.Pool
	slow  *worker.Pool // reads what takes long
	cache *cache
	files [2]*os.File // of the rules, for all readers

	mu    sync.Mutex // guards what follows
	holds int
	spare *spare          // readers with other options than the service's, the last that were asked for
	old   map[*spare]bool // such readers before them that still read
}

// spare are readers with other options.
type spare struct {
	key   string
	pool  *worker.Pool
	users int
	gone  bool // closed when nobody uses it
}

// startTime is how long the first answer of new readers may take.
const startTime = time.Minute

// generation starts readers and has them scan nothing, to see that they do.
func (q *Queue) generation(rules Database) (*generation, error) {
	g := &generation{q: q, rules: &rules, cache: newCache(q.o.CacheMemory), holds: 1}
	var err error
	if g.files[0], g.files[1], err = rules.DB.Share(); err != nil {
		return nil, err
	}
	o := g.options()
	if g.slow, err = worker.NewPool(o); err != nil {
		g.close()
		return nil, err
	}
	o.Quick = q.o.Quick
	if g.pool, err = worker.NewPool(o); err != nil {
		g.close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	failed := make(chan error, 1)
	g.pool.SubmitBytes(ctx, nil, nil, func(_ showcause.Report, err error) { failed <- err })
	if err := <-failed; err != nil {
		g.close()
		return nil, fmt.Errorf("readers: %w", err)
	}
	if rules.Since.IsZero() { // else they have been in use before: Revive
		rules.Since = time.Now()
	}
	q.retired.Add(1)
	return g, nil
}

// options are those of readers with these rules.
func (g *generation) options() worker.Options {
	o := g.q.o.Pool
	o.DB, o.Rules, o.Rest = g.rules.DB, g.files[0], g.files[1]
	return o
}

// close ends all readers.
func (g *generation) close() {
	g.abandon()
	for _, f := range g.files {
		if f != nil {
			f.Close()
		}
	}
}

// acquire returns the current generation, which lives until release.
func (q *Queue) acquire() *generation {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.current
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds++
	return g
}

func (g *generation) release() {
	g.mu.Lock()
	g.holds--
	last := g.holds == 0
	g.mu.Unlock()
	if last {
		go g.end()
	}
}

// end closes everything. Nobody holds it.
func (g *generation) end() {
	defer g.q.retired.Done()
	g.close()
	if g.rules.Close != nil {
		g.rules.Close()
	}
}

// abandon gives all jobs up.
func (g *generation) abandon() {
	for _, p := range []*worker.Pool{g.pool, g.slow} {
		if p != nil {
			_ = p.Close()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spare != nil {
		_ = g.spare.pool.Close()
	}
	for s := range g.old {
		_ = s.pool.Close()
	}
}

// Reload has all jobs from now on scanned with other rules, once readers have scanned
// with them. If they do not, the old ones stay, and rules is the caller's again.
func (q *Queue) Reload(rules Database) error {
	g, err := q.generation(rules)
	if err != nil {
		return err
	}
	q.mu.Lock()
	if q.stopping {
		q.mu.Unlock()
		g.rules.Close = nil
		g.release()
		return ErrStopping
	}
	old := q.current
	q.current = g
	q.mu.Unlock()
	q.stats.reloads.Add(1)
	old.release()
	return nil
}

// Revive replaces readers that gave up for good (worker.Pool.Err) by new ones.
func (q *Queue) Revive() error {
	q.mu.Lock()
	old := q.current
	q.mu.Unlock()
	if old.pool.Err() == nil && old.slow.Err() == nil {
		return nil
	}
	rules := *old.rules
	rules.Close = nil
	g, err := q.generation(rules)
	if err != nil {
		return err
	}
	// The old one's rules are the new one's: they are closed with it.
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current != old || q.stopping {
		go g.release()
		return nil
	}
	g.rules.Close = old.release // it keeps its database until then
	q.current = g
	return nil
}

// readers returns the pool that does a job with options of its own, and what to call afterwards.
func (g *generation) readers(j *Job) (*worker.Pool, func(), error) {
	key := optionsKey(&j.Options)
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.spare
	if s == nil || s.key != key {
		o := g.options()
		o.Workers = max(o.Workers/2, 1)
		o.Limits = overlay(o.Limits, j.Options.Limits)
		o.Passwords = append(o.Passwords[:len(o.Passwords):len(o.Passwords)], j.Options.Passwords...)
		pool, err := worker.NewPool(o)
		if err != nil {
			return nil, nil, err
		}
		if s != nil {
			g.retire(s)
		}
		s = &spare{key: key, pool: pool}
		g.spare = s
	}
	s.users++
	return s.pool, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		s.users--
		if s.gone {
			g.retire(s)
		}
	}, nil
}

// retire closes readers once nobody uses them. mu is held.
func (g *generation) retire(s *spare) {
	s.gone = true
	if s.users > 0 {
		if g.old == nil {
			g.old = map[*spare]bool{}
		}
		g.old[s] = true
		return
	}
	delete(g.old, s)
	go s.pool.Close()
}

// overlay takes the fields of l that are not zero over those of base.
func overlay(base, l showcause.Limits) showcause.Limits {
	for _, f := range []struct{ to, from *int64 }{
		{&base.FileSize, &l.FileSize},
		{&base.ScanSize, &l.ScanSize},
		{&base.Objects, &l.Objects},
		{&base.Ratio, &l.Ratio},
		{&base.Work, &l.Work},
	} {
		if *f.from > 0 {
			*f.to = *f.from
		}
	}
	if l.Depth > 0 {
		base.Depth = l.Depth
	}
	return base
}

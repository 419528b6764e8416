package queue

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause"
)

// Bounds are the upper bounds of the classes of Stats.Times; the last class has none.
var Bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 10 * time.Second, time.Minute,
}

type histogram [len(Bounds) + 1]atomic.Int64

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h[i].Add(1)
}

// Stats are counts since the start, and how things stand.
type Stats struct {
	Since                    time.Time
	Requests                 int64 // that were answered
	Found, Incomplete, Clean int64 // of those
	Cached                   int64 // of those
	Busy, Late, Failed       int64 // refused, too late, not readable or no reader
	Bytes                    int64 // of what was answered
	Reloads                  int64
	Long                     int64                  // that took long, and were begun anew apart from the others
	Times                    [len(Bounds) + 1]int64 // answers by how long they took
	Took, Waited             time.Duration          // of all answers together

	Waiting, Reading, Clients int // now
	Kept                      int // answers in the cache
	Received                  int // requests that are received, or were and wait
	Memory, Disk              int64
	Stopping                  bool
}

func (s *stats) answered(j *Job, a *Answer) {
	s.requests.Add(1)
	switch a.Report.Verdict {
	case showcause.Found:
		s.found.Add(1)
	case showcause.NothingFound:
		s.clean.Add(1)
	default:
		s.incomplete.Add(1)
	}
	if a.Cached {
		s.cached.Add(1)
	}
	s.bytes.Add(a.Report.Size)
	s.took.Add(int64(a.Took))
	s.waited.Add(int64(a.Waited))
	s.slow.add(a.Took)
}

func (s *stats) refused(err error) {
	switch {
	case errors.Is(err, ErrBusy):
		s.busy.Add(1)
	case errors.Is(err, ErrDeadline):
		s.late.Add(1)
	default:
		s.failed.Add(1)
	}
}

// Stats returns how things stand.
func (q *Queue) Stats() Stats {
	s := Stats{
		Since: q.began, Requests: q.stats.requests.Load(), Found: q.stats.found.Load(), Incomplete: q.stats.incomplete.Load(), Clean: q.stats.clean.Load(),
		Cached: q.stats.cached.Load(), Busy: q.stats.busy.Load(), Late: q.stats.late.Load(), Failed: q.stats.failed.Load(), Bytes: q.stats.bytes.Load(),
		Reloads: q.stats.reloads.Load(), Long: q.stats.slowJobs.Load(), Took: time.Duration(q.stats.took.Load()), Waited: time.Duration(q.stats.waited.Load()),
	}
	for i := range s.Times {
		s.Times[i] = q.stats.slow[i].Load()
	}
	s.Waiting, s.Reading, s.Clients = q.turns.counts()
	waiting, reading, _ := q.long.counts()
	s.Waiting, s.Reading = s.Waiting+waiting, s.Reading+reading
	s.Clients = max(s.Clients, min(waiting+reading, 1))
	q.spools.mu.Lock()
	s.Received, s.Memory, s.Disk = q.spools.open, q.o.MaxMemory-q.spools.memory, q.o.MaxSpool-q.spools.disk
	q.spools.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Stopping = q.stopping
	s.Kept = q.current.cache.len()
	return s
}

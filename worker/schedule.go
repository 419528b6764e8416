package worker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/worker/wire"
)

// dispatch gives work to readers that have none, and starts more of them if
// there is more. No lock is held.
func (p *Pool) dispatch() {
	var idle [8]*peer
	p.mu.Lock()
	p.prune()
	p.grow()
	some := idle[:0]
	if len(p.queue)+len(p.alone) > 0 {
		for _, r := range p.peers {
			if r.ready && !r.retiring && len(r.out) == 0 {
				some = append(some, r)
			}
		}
	}
	p.mu.Unlock()
	for _, r := range some {
		p.send(r)
	}
}

// prune forgets jobs at the front of the queue that are answered. p.mu is held.
func (p *Pool) prune() {
	n := 0
	for n < len(p.queue) && p.queue[n].finished {
		p.queue[n].queued = false
		n++
	}
	p.queue = p.queue[n:]
	p.alone = slices.DeleteFunc(p.alone, func(j *job) bool { return j.finished })
}

// live is the number of readers that get work. p.mu is held.
func (p *Pool) live() int {
	n := p.starting
	for _, r := range p.peers {
		if !r.retiring {
			n++
		}
	}
	return n
}

// grow starts readers, as many as there is work for. p.mu is held.
func (p *Pool) grow() {
	live := p.live()
	if p.closed || p.dead != nil || p.lost >= maxLost || live >= p.o.Workers || len(p.queue)+len(p.alone) == 0 || p.failures > 0 && time.Now().Before(p.again) {
		return
	}
	coming := p.starting
	for _, r := range p.peers {
		if !r.retiring && (!r.ready || len(r.out) == 0) {
			coming++
		}
	}
	var size int64
	for i := 0; i < len(p.queue) && i < perWorker; i++ {
		size += p.queue[i].size
	}
	want := (len(p.queue)+batch-1)/batch + int(min(size/maxOutSize, 1<<20))
	if p.failures > 0 {
		want = min(want, 1)
	}
	if len(p.alone) > 0 && !p.fresh() { // those that have nothing to do may not take it
		want = max(want, coming+1)
	}
	for ; coming < want && live < p.o.Workers; coming, live = coming+1, live+1 {
		p.starting++
		p.running.Add(1)
		go p.start()
	}
	p.arm()
}

// hopeless tells whether no reader can be started, as it seems. p.mu is held.
func (p *Pool) hopeless() bool {
	most := patience
	if p.sealed || scarce(p.failure) {
		most = morePatience
	}
	return p.failures >= most
}

// failed notes that a reader could not be started, or was not ready before it
// ended. p.mu is held.
func (p *Pool) failed(err error) (outs []outcome) {
	if p.closed {
		return nil
	}
	p.failure = err
	p.failures++
	pause := min(10*time.Millisecond<<min(p.failures, 10), maxBackOff)
	p.again = time.Now().Add(pause)
	time.AfterFunc(pause+time.Millisecond, p.dispatch)
	if p.hopeless() {
		if p.live() == 0 {
			outs = p.die(outs, p.failure)
		}
		for _, j := range p.alone { // what is there will not do for them
			outs = p.finish(outs, j, showcause.Report{}, p.failure)
		}
	}
	return p.stranded(outs, "")
}

// pick takes jobs for a reader from the queue. It may say instead that the
// reader is to end. p.mu and r.sending are held.
func (p *Pool) pick(r *peer) (jobs []*job, retire bool) {
	if !r.ready || r.retiring || r.silent || r.lonely || r.cause != causeNone || !r.deaf.IsZero() || len(r.out) > maxOut-batch {
		return nil, false
	}
	p.prune()
	if len(r.out) == 0 {
		if r.taken >= p.o.Recycle {
			r.retiring = true
			return nil, true
		}
		if len(p.alone) > 0 && r.taken == 0 {
			j := p.alone[0]
			p.alone = p.alone[1:]
			r.lonely = true
			return r.hold(nil, j), false
		}
		if len(p.alone) > 0 && (p.live() >= p.o.Workers || p.lost >= maxLost) && !p.fresh() {
			r.retiring = true
			return nil, true
		}
	} else if r.taken >= p.o.Recycle || len(p.queue) < batch || len(p.alone) > 0 {
		return nil, false
	}
	live := max(p.live(), 1)
	most := min((len(p.queue)+live-1)/live, batch, p.o.Recycle-r.taken)
	var passed []*job
	externals, content := 0, 0 // bytes in the message
	for len(jobs) < most && len(p.queue) > 0 {
		j := p.queue[0]
		externals, content = externals+len(j.externals), content+len(j.content)
		if !j.finished && (!r.room(j) || externals > wire.MaxJobsExternal || content > wire.MaxJobsContent) {
			break
		}
		p.queue = p.queue[1:]
		j.queued = false
		switch {
		case j.finished:
		case slices.Contains(j.at, r):
			passed = append(passed, j)
		default:
			jobs = r.hold(jobs, j)
		}
	}
	p.requeue(passed)
	return jobs, false
}

// room tells whether a reader may hold a job besides what it holds.
func (r *peer) room(j *job) bool {
	size := r.bytes + j.size
	if j.here && len(r.out) > 0 && r.content+len(j.content) > wire.MaxJobsContent { // it would not fit into its socket
		return false
	}
	return len(r.out) == 0 || size <= maxOutSize || len(r.out) == 1 && size <= maxTwo
}

// fresh tells whether a reader that has scanned nothing is there or coming. p.mu is held.
func (p *Pool) fresh() bool {
	return p.starting > 0 || slices.ContainsFunc(p.peers, func(r *peer) bool { return !r.retiring && r.taken == 0 })
}

// hold notes that a reader gets a job.
func (r *peer) hold(jobs []*job, j *job) []*job {
	if len(r.out) == 0 {
		r.since, r.late = time.Now(), 0
	}
	r.out = append(r.out, j)
	r.bytes += j.size
	r.content += len(j.content)
	r.taken++
	j.at = append(j.at, r)
	r.p.arm()
	return append(jobs, j)
}

// requeue puts jobs that nobody holds, or that wait behind a slow one, at the
// front of the queue. p.mu is held.
func (p *Pool) requeue(jobs []*job) {
	var back []*job
	for _, j := range jobs {
		if !j.finished && !j.queued {
			j.queued = true
			back = append(back, j)
		}
	}
	if len(back) > 0 {
		p.queue = append(back, p.queue...)
	}
}

// answers takes what a reader answered and gives it more.
func (p *Pool) answers(r *peer, got []answered) {
	var outs []outcome
	p.mu.Lock()
	for i := range got { // these are the first of r.out: see due
		j := got[i].j
		r.bytes -= j.size
		r.content -= len(j.content)
		j.at = slices.DeleteFunc(j.at, func(q *peer) bool { return q == r })
		outs = p.finish(outs, j, got[i].r, nil)
	}
	r.out = slices.Delete(r.out, 0, len(got))
	r.sent -= len(got)
	r.answered += len(got)
	r.since, r.late, r.lonely = time.Now(), 0, false
	p.mu.Unlock()
	p.send(r) // it waits; who asked can wait a little longer
	p.deliver(outs)
	p.dispatch()
}

// bury settles what a reader that is gone leaves.
func (p *Pool) bury(r *peer, exit jail.Exit) {
	p.mu.Lock()
	p.peers = slices.DeleteFunc(p.peers, func(q *peer) bool { return q == r })
	left := r.out
	r.out = nil
	for _, j := range left {
		j.at = slices.DeleteFunc(j.at, func(q *peer) bool { return q == r })
	}
	var outs []outcome
	switch {
	case !r.ready:
		outs = p.failed(r.stillborn(exit))
	case len(left) > 0:
		outs = p.blame(r, left, exit)
	}
	if r.ready {
		p.note(r, len(left) > 0, exit)
	}
	outs = p.stranded(outs, r.unkillable())
	p.mu.Unlock()
	p.deliver(outs)
	p.dispatch()
}

// stranded answers what waits if no reader will come for it: too many that were
// killed are still there. p.mu is held.
func (p *Pool) stranded(outs []outcome, why string) []outcome {
	if p.lost >= maxLost && p.live() == 0 {
		return p.die(outs, fmt.Errorf("readers: %d were killed and do not end%s", p.lost, why))
	}
	return p.flush(outs)
}

// stillborn says why a reader was not ready before it ended.
func (r *peer) stillborn(exit jail.Exit) error {
	if r.why != nil {
		return r.why
	}
	if r.cause == causeStart {
		return fmt.Errorf("reader: not ready after %v", startTime)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(r.log.String()), "\n")
	if line != "" {
		line = ": " + showcause.Escape(line[:min(len(line), 200)])
	}
	return fmt.Errorf("reader: ended before it was ready: %v%s", exit, line)
}

// blame finds out which job killed a reader, and sees to the others. Answers
// are written in batches, so that the first job without one did it for certain
// only if it was alone, or answers were asked for at once. If not, all are
// scanned again with answers at once. What killed a reader for certain gets
// another chance, alone with one that has scanned nothing. p.mu is held.
func (p *Pool) blame(r *peer, left []*job, exit jail.Exit) (outs []outcome) {
	first, rest := left[0], left
	certain := len(left) == 1 || first.careful || r.cause == causeTime
	switch {
	case r.cause == causeIdle || r.cause == causeClosed:
	case !certain:
		for _, j := range left {
			j.careful = true
		}
	default:
		rest = left[1:]
		outs = p.convict(outs, first, classify(r.cause, exit, r.log.String()), r.cause)
	}
	rest = slices.DeleteFunc(slices.Clone(rest), func(j *job) bool { return len(j.at) > 0 })
	p.requeue(rest)
	return outs
}

// convict deals with a job that killed a reader.
func (p *Pool) convict(outs []outcome, j *job, code showcause.Code, c cause) []outcome {
	if j.finished {
		return outs
	}
	j.deaths++
	if c == causeTime || j.deaths > 1 {
		return p.finish(outs, j, unread(j.size, j.size, code), nil)
	}
	j.careful = true
	if !j.queued && len(j.at) == 0 {
		p.alone = append(p.alone, j)
	}
	return outs
}

// arm has the clock looked at while there is anything to wait for. p.mu is held.
func (p *Pool) arm() {
	if !p.ticking && !p.closed {
		p.ticking = true
		time.AfterFunc(tick, p.look)
	}
}

// look ends readers that take too long, and takes what waits behind slow files.
func (p *Pool) look() {
	p.mu.Lock()
	p.ticking = false
	now := time.Now()
	ends := map[*peer]cause{}
	var outs []outcome
	for _, r := range p.peers {
		run := now.Sub(r.since)
		switch {
		case !r.ready:
			p.arm()
			if run > startTime {
				ends[r] = causeStart
			}
		case r.silent || r.cause != causeNone:
		case !r.deaf.IsZero() && now.Sub(r.deaf) > endTime:
			ends[r] = causeProtocol
		case !r.deaf.IsZero():
			p.arm()
		case len(r.out) > 0:
			p.arm()
			if p.o.Quick > 0 && run > p.o.Quick && p.holdsUp(r) {
				outs = p.finish(outs, r.out[0], showcause.Report{}, ErrSlow)
			}
			if c := p.judge(r, run); c != causeNone {
				ends[r] = c
			}
		}
	}
	for r, c := range ends {
		if c == causeTime { // whether the process can be ended or not, and when
			outs = p.finish(outs, r.out[0], unread(r.out[0].size, r.out[0].size, showcause.LimitTime), nil)
		}
	}
	p.mu.Unlock()
	for r, c := range ends {
		r.kill(c)
	}
	p.dispatch()
	p.deliver(outs)
}

// judge looks at a reader that has been busy with one file for a while. p.mu is held.
func (p *Pool) judge(r *peer, run time.Duration) cause {
	first := r.out[0]
	if run > slow && first.finished {
		return causeIdle
	}
	if run > p.o.Timeout(first.size) {
		// Its answer may be there already, and this process was the slow one.
		if r.late++; r.late > 1 {
			return causeTime
		}
	}
	if run > slow && len(r.out) > 1 && p.free(r) {
		var behind []*job
		for _, j := range r.out[1:] {
			if len(j.at) == 1 {
				behind = append(behind, j)
			}
		}
		p.requeue(behind)
	}
	return causeNone
}

// holdsUp tells whether jobs wait for what a reader is busy with, or for another like it.
// p.mu is held.
func (p *Pool) holdsUp(r *peer) bool {
	if p.free(r) {
		return false
	}
	p.prune()
	return len(p.queue)+len(p.alone) > 0 || slices.ContainsFunc(r.out[1:], func(j *job) bool { return !j.finished && len(j.at) == 1 })
}

// free tells whether a reader other than r could take work now. p.mu is held.
func (p *Pool) free(r *peer) bool {
	return p.live() < p.o.Workers || slices.ContainsFunc(p.peers, func(q *peer) bool {
		return q != r && q.ready && !q.retiring && len(q.out) == 0
	})
}

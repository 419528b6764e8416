package worker

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/worker/wire"
)

// peer is a reader as the broker sees it.
type peer struct {
	p      *Pool
	proc   Process
	result *os.File // its reports
	errors *os.File // what its runtime prints
	log    lastWords
	logged chan struct{} // closed when that has ended

	sending sync.Mutex // held while jobs are picked and sent, and to close
	control *os.File   // guarded by sending; nil when closed
	msg     []byte

	// Guarded by Pool.mu.
	ready    bool
	retiring bool // it gets no more jobs
	lonely   bool // it scans a job that is to be alone
	silent   bool // its results have ended
	cause    cause
	why      error     // it cannot start
	alive    error     // it cannot be killed
	out      []*job    // what it holds, in the order of sending
	sent     int       // how many of them were sent for certain: the others may yet be taken back
	deaf     time.Time // since when nothing can be sent to it, or zero
	answered int       // jobs that it answered
	bytes    int64     // of all that it holds
	content  int       // bytes of those whose content was written into messages
	taken    int       // jobs that it got
	since    time.Time // when the first of them became the first
	late     int       // ticks for which it is over its time
}

// pipe returns a pipe whose read end is waited for by the runtime, and whose
// write end blocks.
func pipe(name string) (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// spawn starts a reader and sends its settings. It is not ready yet.
func (p *Pool) spawn() (r *peer, err error) {
	var ours, theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
		}
	}()
	r = &peer{p: p, logged: make(chan struct{}), since: time.Now()}
	var resultW, logW *os.File
	if r.result, resultW, err = pipe("results"); err != nil {
		return nil, fmt.Errorf("reader: pipe: %w", err)
	}
	ours, theirs = append(ours, r.result), append(theirs, resultW)
	if r.errors, logW, err = pipe("log"); err != nil {
		return nil, fmt.Errorf("reader: pipe: %w", err)
	}
	ours, theirs = append(ours, r.errors), append(theirs, logW)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reader: socket: %w", err)
	}
	r.control = os.NewFile(uintptr(pair[0]), "control")
	control := os.NewFile(uintptr(pair[1]), "control")
	ours, theirs = append(ours, r.control), append(theirs, control)
	files := []*os.File{jail.Null: p.null, jail.Result: resultW, jail.Log: logW, jail.Control: control, jail.Rules: p.rules, jail.Scratch: nil, jail.Rest: p.rest}
	set := p.set
	if p.o.Scratch != nil {
		if f, err := p.o.Scratch(); err == nil { // without it large children are cut, and that is said
			theirs, files[jail.Scratch] = append(theirs, f), f
			set.Scratch = true
		}
	}
	procs := min(runtime.GOMAXPROCS(0), mostProcs)
	env := append([]string{"GOTRACEBACK=none", "GOMAXPROCS=" + strconv.Itoa(procs)}, p.o.Env...)
	if r.proc, err = p.o.Spawn(jail.Command{Args: p.o.Args, Env: env, Files: files}); err != nil {
		return nil, err
	}
	go func() {
		defer close(r.logged)
		_, _ = io.Copy(&r.log, r.errors)
	}()
	// A reader that is gone by now shows in its results.
	var with []byte
	if p.modules != nil {
		with = unix.UnixRights(int(p.modules.Fd()))
	}
	_ = unix.Sendmsg(int(r.control.Fd()), set.Encode(), with, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return r, nil
}

// start starts a reader and then reads what it says, until it is gone.
func (p *Pool) start() {
	defer p.running.Done()
	r, err := p.spawn()
	p.mu.Lock()
	p.starting--
	if err != nil {
		outs := p.failed(err)
		p.mu.Unlock()
		p.deliver(outs)
		return
	}
	closed := p.closed
	p.peers = append(p.peers, r)
	p.arm()
	p.mu.Unlock()
	if closed {
		r.retire(causeClosed)
	}
	if err := r.receive(); err != nil {
		r.kill(causeProtocol)
	}
	p.bury(r, r.reap())
}

// kill ends a reader at once. The first cause stands. A process can be out of
// the kernel's reach, waiting for a file system: it is not waited for then.
func (r *peer) kill(c cause) {
	r.p.mu.Lock()
	first := r.cause == causeNone
	if first {
		r.cause = c
	}
	r.p.mu.Unlock()
	if err := r.proc.Kill(); err != nil {
		r.p.mu.Lock()
		r.alive = err
		r.p.mu.Unlock()
	}
	if first {
		_ = r.result.SetReadDeadline(time.Now().Add(endTime))
	}
}

// unkillable says why a reader cannot be killed, if that was said. Pool.mu is held.
func (r *peer) unkillable() string {
	if r.alive == nil {
		return ""
	}
	return ": " + r.alive.Error()
}

// retire has a reader end: by itself if nothing is asked of it, or else at once.
func (r *peer) retire(c cause) {
	r.p.mu.Lock()
	r.retiring = true
	busy := len(r.out) > 0 || !r.ready
	r.p.mu.Unlock()
	if busy {
		r.kill(c)
	}
	r.hangUp()
	time.AfterFunc(endTime, func() { // it may not want to
		r.p.mu.Lock()
		silent := r.silent
		r.p.mu.Unlock()
		if !silent {
			r.kill(c)
		}
	})
}

// settle waits until nothing is being sent.
func (r *peer) settle() {
	r.sending.Lock()
	defer r.sending.Unlock()
}

// hangUp closes the control socket.
func (r *peer) hangUp() {
	r.sending.Lock()
	defer r.sending.Unlock()
	if r.control != nil {
		r.control.Close()
		r.control = nil
	}
}

// reap waits for a reader that has closed its results: it is dying, or it is
// made to.
func (r *peer) reap() jail.Exit {
	r.p.mu.Lock()
	r.silent = true
	killed := r.cause != causeNone
	r.p.mu.Unlock()
	r.hangUp()
	ended := make(chan jail.Exit, 1)
	go func() {
		exit, err := r.proc.Wait()
		if err != nil {
			exit = jail.Exit{Code: -1}
		}
		ended <- exit
	}()
	exit := jail.Exit{Code: -1}
	t := time.NewTimer(endTime)
	defer t.Stop()
	select {
	case exit = <-ended:
	case <-t.C:
		if !killed {
			r.kill(causeProtocol)
			t.Reset(endTime)
			select {
			case exit = <-ended:
				killed = false
			case <-t.C:
				killed = true
			}
		}
		if killed {
			r.lose(ended)
		}
	}
	r.result.Close()
	_ = r.errors.SetReadDeadline(time.Now().Add(tick)) // if it is not gone, nor is its end of the pipe
	<-r.logged
	r.errors.Close()
	return exit
}

// lose gives a reader up that does not end, until it does.
func (r *peer) lose(ended <-chan jail.Exit) {
	p := r.p
	p.mu.Lock()
	p.lost++
	p.mu.Unlock()
	go func() {
		<-ended
		p.mu.Lock()
		p.lost--
		p.mu.Unlock()
		p.dispatch()
	}()
}

// receive takes a reader's frames until the pipe ends. An error is a violation.
func (r *peer) receive() error {
	limit := r.p.set.MaxFrame()
	buf := make([]byte, 0, 64<<10)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, len(buf))...)[:len(buf)]
		}
		n, err := r.result.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest, bad := r.frames(buf, limit)
		if bad != nil {
			return bad
		}
		if err != nil { // the end, or a pipe that cannot be read, which is the same
			if len(rest) > 0 {
				return wire.Wrong("a frame that ends early")
			}
			return nil
		}
		if len(rest) == 0 && cap(buf) > 1<<20 {
			buf = make([]byte, 0, 64<<10)
			continue
		}
		buf = buf[:copy(buf, rest)]
	}
}

// frames takes the whole frames from the front of b.
func (r *peer) frames(b []byte, limit int) (rest []byte, err error) {
	var outs []answered
	for err == nil {
		var kind uint8
		var body []byte
		var ok bool
		if kind, body, b, ok, err = wire.Frame(b, limit); !ok {
			break
		}
		switch kind {
		case wire.FrameReport:
			outs, err = r.answer(outs, body)
		case wire.FrameReady:
			if err = r.readied(body); err == nil {
				r.p.dispatch()
			}
		case wire.FrameRefusal:
			err = r.refused(body)
		default:
			err = wire.Wrong("a frame of kind %d", kind)
		}
	}
	if err != nil { // nothing that comes with a violation is believed
		r.kill(causeProtocol)
	} else if len(outs) > 0 {
		r.p.answers(r, outs)
	}
	return b, err
}

// answered is a job with the reader's answer.
type answered struct {
	j *job
	r showcause.Report
}

// answer reads the answer to the first job that has none.
func (r *peer) answer(outs []answered, body []byte) ([]answered, error) {
	j, finished := r.due(len(outs))
	if j == nil {
		r.settle() // a reader can answer before it is noted here that the job was sent
		if j, finished = r.due(len(outs)); j == nil {
			return outs, wire.Wrong("an answer that nobody asked for")
		}
	}
	r.p.mu.Lock()
	room := r.p.waits.room()
	r.p.mu.Unlock()
	for i := range outs { // not counted yet
		room -= wire.Weigh(&outs[i].r)
	}
	rep, err := r.p.decoder.Report(body, j.id, j.size, max(room, wire.LeastRoom))
	if err != nil {
		return outs, err
	}
	if !finished {
		if code := r.p.changed(j); code != "" {
			rep.Gaps = append(rep.Gaps, showcause.Gap{Code: code, Offset: 0, Length: -1})
			rep.Conclude()
		}
		if j.over {
			rep.Gaps = append(rep.Gaps, showcause.Gap{Code: showcause.LimitSize, Offset: 0, Length: -1})
			rep.Conclude()
		}
	}
	return append(outs, answered{j, rep}), nil
}

// due returns the job whose answer is the n-th from now, if it was sent. Nothing
// but that answer takes it from r.out, while the reader is listened to.
func (r *peer) due(n int) (j *job, finished bool) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if !r.ready || n >= r.sent {
		return nil, false
	}
	return r.out[n], r.out[n].finished
}

// readied notes that a reader is locked.
func (r *peer) readied(body []byte) error {
	s, err := jail.ParseStatus(body)
	if err != nil {
		return wire.Wrong("%v", err)
	}
	p := r.p
	var why error
	switch {
	case p.o.AllowUnsealed:
	case !s.Sealed():
		why = fmt.Errorf("%w: %s", errUnsealed, lacks(s))
	default:
		why = inspect(r.proc)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.ready {
		return wire.Wrong("ready twice")
	}
	if why != nil {
		r.why = why
		return why
	}
	r.ready = true
	p.status, p.sealed = s, true
	p.failures, p.failure = 0, nil
	return nil
}

// lacks lists what a jail did not give.
func lacks(s jail.Status) string {
	var out []string
	for _, g := range s.Walls {
		if !g.On {
			out = append(out, g.Wall+" ("+g.Why+")")
		}
	}
	return strings.Join(out, ", ")
}

// refused notes why a reader does not start.
func (r *peer) refused(body []byte) error {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.ready || len(body) > wire.MaxRefusal {
		return wire.Wrong("a refusal")
	}
	r.why = fmt.Errorf("reader: %s", showcause.Escape(string(body)))
	return r.why
}

// send gives a reader what it may have of what waits.
func (p *Pool) send(r *peer) {
	r.sending.Lock()
	p.mu.Lock()
	jobs, retire := p.pick(r)
	p.mu.Unlock()
	var err error
	if len(jobs) > 0 {
		err = r.transmit(jobs)
	}
	var outs []outcome
	switch {
	case err != nil:
		outs = p.unsent(r, jobs, err)
	case len(jobs) > 0:
		p.mu.Lock()
		r.sent = len(r.out)
		p.mu.Unlock()
	}
	r.sending.Unlock()
	p.deliver(outs)
	if retire {
		r.retire(causeIdle)
	}
}

// transmit sends jobs in one message. r.sending is held.
func (r *peer) transmit(jobs []*job) error {
	if r.control == nil {
		return os.ErrClosed
	}
	fds := make([]int, 0, len(jobs))
	orders := make([]wire.Order, len(jobs))
	careful := false
	for i, j := range jobs {
		orders[i] = wire.Order{ID: j.id, Size: j.size, Externals: j.externals, Holes: j.holes, Here: j.here, Content: j.content}
		if !j.here {
			fds = append(fds, j.fd)
		}
		careful = careful || j.careful
	}
	r.msg = wire.AppendOrders(r.msg[:0], careful, orders)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(int(r.control.Fd()), r.msg, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// unsent takes back what could not be sent: the reader has none of it.
func (p *Pool) unsent(r *peer, jobs []*job, err error) (outs []outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, j := range jobs {
		r.drop(j)
		if err == unix.EBADF && !j.here && !isOpen(j.fd) {
			outs = p.finish(outs, j, showcause.Report{}, j.fail("scan", os.ErrClosed))
		}
	}
	r.lonely = false
	p.requeue(jobs)
	switch {
	case err == unix.EPIPE, err == unix.ECONNRESET, err == unix.ENOTCONN, // it has closed its end, or is dying: which, is seen soon
		err == unix.EAGAIN && len(r.out) == 0: // it has answered more than it took
		r.deaf = time.Now()
		p.arm()
	}
	time.AfterFunc(tick, p.dispatch) // nothing else may come to pass
	return outs
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// drop takes a job from those that a reader holds.
func (r *peer) drop(j *job) {
	if i := slices.Index(r.out, j); i >= 0 {
		r.out = slices.Delete(r.out, i, i+1)
		r.bytes -= j.size
		r.content -= len(j.content)
		r.taken--
	}
	j.at = slices.DeleteFunc(j.at, func(q *peer) bool { return q == r })
}

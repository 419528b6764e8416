package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Verdict is what is said of a file.
type Verdict struct {
	Deny  bool
	Said  string // for the log: "Eicar FOUND"; "" is not told
	Rules any    // what it was said with; comparable
}

// Options are what is watched, and how. The zero value of a field means its default.
type Options struct {
	Paths []string
	Block bool // opening and starting waits for the answer; else what is written or started is only scanned
	// Scan says what is in a file, which is open and stays the caller's. It must return
	// when ctx is done. Rules is what it scans with now; comparable.
	Scan  func(ctx context.Context, f *os.File, name, client string) (Verdict, error)
	Rules func() any
	Log   *slog.Logger

	Timeout       time.Duration // after which an event is answered without a verdict; default 5 s
	DenyOnTimeout bool          // that answer, and the one where a scan fails, is no
	ScanTime      time.Duration // of one file; default 5 minutes
	ExcludePaths  []string      // and what is below them
	ExcludeUIDs   []uint32      // whose processes are let through
	Programs      []string      // that are let through, by the path of their file
	IgnoreMarks   bool          // the kernel does not ask again about what nothing was found in, until it is written to
	MaxPending    int           // files that are scanned or wait for it; default 2,048
	Stall         time.Duration // of the loop, after which the guard kills this process; default 10 s
	GuardArgs     []string      // of the guard; default {"showcause", Role}
}

// Watcher watches. Run is called once.
type Watcher struct {
	o        Options
	group    int
	wake     [2]int
	guard    *guard
	places   []place
	programs []inode // that are let through: this one first
	cache    cache
	lines    chan func()
	scans    sync.WaitGroup
	closing  sync.RWMutex // held for reading while the group is answered
	closed   bool
	lost     atomic.Int64 // lines for the log

	mu      sync.Mutex // guards what follows
	pending map[state]*pending
	count   int
}

// pending is a scan that goes on.
type pending struct {
	waiting []*asked
	written bool // since it began
}

// asked is an event that somebody waits for the answer to.
type asked struct {
	fd    int
	once  sync.Once
	timer *time.Timer
}

const (
	maxCached = 200_000
	maxLines  = 4096
	turn      = time.Second
)

// New opens the group and starts the guard. Nothing is asked until Run.
func New(o Options) (*Watcher, error) {
	for d, v := range map[*time.Duration]time.Duration{&o.Timeout: 5 * time.Second, &o.ScanTime: 5 * time.Minute, &o.Stall: 10 * time.Second} {
		if *d <= 0 {
			*d = v
		}
	}
	if o.MaxPending < 1 {
		o.MaxPending = 2048
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil { // the kernel says no where there is no descriptor for an event
		o.MaxPending = max(1, min(o.MaxPending, int(min(files.Cur/2, 1<<20))))
	}
	if o.GuardArgs == nil {
		o.GuardArgs = []string{"showcause", Role}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Paths) == 0 {
		return nil, errors.New("watch: no folder is named")
	}
	for i, p := range o.Paths {
		abs, err := filepath.Abs(p)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		o.Paths[i] = abs
	}
	w := &Watcher{o: o, cache: cache{most: maxCached}, lines: make(chan func(), maxLines), pending: map[state]*pending{}}
	for _, p := range append([]string{"/proc/self/exe"}, o.Programs...) {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil {
			return nil, &os.PathError{Op: "stat", Path: p, Err: err}
		}
		w.programs = append(w.programs, inode{uint64(st.Dev), st.Ino})
	}
	var err error
	if w.group, err = group(o.Block); err != nil {
		return nil, err
	}
	if err = unix.Pipe2(w.wake[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		unix.Close(w.group)
		return nil, err
	}
	if w.guard, err = startGuard(o.GuardArgs, o.Stall); err != nil {
		w.close()
		return nil, fmt.Errorf("guard: %w", err)
	}
	return w, nil
}

func (w *Watcher) close() {
	w.closing.Lock()
	defer w.closing.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	unix.Close(w.group) // all that wait are let through
	unix.Close(w.wake[0])
	unix.Close(w.wake[1])
}

// Run watches until ctx is done, and calls ready once nothing passes unseen any more.
func (w *Watcher) Run(ctx context.Context, ready func()) error {
	defer w.guard.stop()
	defer w.scans.Wait()
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for l := range w.lines {
			l()
		}
	}()
	defer func() { w.scans.Wait(); close(w.lines); <-logged }()
	defer w.close()
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.loop(sctx) }()
	if err := w.mark(); err != nil {
		w.stop()
		return errors.Join(err, <-ended)
	}
	if ready != nil {
		ready()
	}
	select {
	case <-ctx.Done():
	case err := <-ended:
		return err
	case <-w.guard.ended:
		// Without it, nobody ends a stall: rather none is watched than all stand still.
		w.stop()
		<-ended
		return errors.New("watch: the guard has ended")
	}
	w.stop()
	return <-ended
}

// stop ends the loop.
func (w *Watcher) stop() { _, _ = unix.Write(w.wake[1], []byte{1}) }

// mark has the kernel tell.
func (w *Watcher) mark() error {
	mask := uint64(unix.FAN_CLOSE_WRITE)
	if w.o.Block {
		mask |= unix.FAN_OPEN_PERM | unix.FAN_OPEN_EXEC_PERM
		if err := w.own(); err != nil {
			return err
		}
	} else {
		mask |= unix.FAN_OPEN_EXEC
	}
	for _, p := range w.o.Paths {
		at, err := mark(w.group, p, mask)
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.places = append(w.places, at)
		w.mu.Unlock()
		w.say(func() {
			w.o.Log.Info("watching", "path", at.path, "mark", at.mark, "whole", at.whole, "block", w.o.Block)
		})
	}
	return nil
}

// own has the kernel ask nothing about this program's file, ever: it cannot be written to
// while it runs.
func (w *Watcher) own() error {
	if err := unix.FanotifyMark(w.group, unix.FAN_MARK_ADD|unix.FAN_MARK_IGNORED_MASK|unix.FAN_MARK_IGNORED_SURV_MODIFY, unix.FAN_OPEN_PERM|unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, "/proc/self/exe"); err != nil {
		return fmt.Errorf("watch: own program: %w", err)
	}
	return nil
}

// fresh has the kernel ask about all files again once the rules are others.
func (w *Watcher) fresh(seen any) (any, error) {
	now := w.o.Rules()
	if now == seen || !w.o.IgnoreMarks || !w.o.Block {
		return now, nil
	}
	if err := unix.FanotifyMark(w.group, unix.FAN_MARK_FLUSH, 0, unix.AT_FDCWD, ""); err != nil { // those of files; others stay
		return now, fmt.Errorf("watch: marks: %w", err)
	}
	return now, w.own()
}

// say has a line logged, or counted where the log does not keep up: who reads it may
// wait for an answer of this process.
func (w *Watcher) say(line func()) {
	select {
	case w.lines <- line:
	default:
		w.lost.Add(1)
	}
}

// loop reads events.
func (w *Watcher) loop(ctx context.Context) error {
	buf := make([]byte, 64<<10)
	seen := w.o.Rules()
	for {
		w.guard.beat()
		var err error
		if seen, err = w.fresh(seen); err != nil {
			return err
		}
		p := []unix.PollFd{{Fd: int32(w.group), Events: unix.POLLIN}, {Fd: int32(w.wake[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, int(min(turn, w.o.Stall/4).Milliseconds())); err != nil && err != unix.EINTR {
			return fmt.Errorf("watch: %w", err)
		}
		if p[1].Revents != 0 {
			return nil
		}
		if n := w.lost.Swap(0); n > 0 {
			w.say(func() { w.o.Log.Warn("lines of the log are lost", "lines", n) })
		}
		if p[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(w.group, buf)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			continue
		case err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOMEM || err == unix.ENXIO || err == unix.ETXTBSY || err == unix.EPERM || err == unix.EACCES:
			// The file could not be opened for us; the kernel has answered that event with no.
			w.say(func() { w.o.Log.Error("an event could not be read", "error", err) })
			continue
		case err != nil:
			return fmt.Errorf("watch: events: %w", err)
		}
		events, err := parse(buf[:n])
		for _, e := range events {
			w.take(ctx, e)
		}
		if err != nil {
			return err
		}
	}
}

// take handles one event. It waits for nothing.
func (w *Watcher) take(ctx context.Context, e event) {
	if e.fd < 0 {
		if e.mask&unix.FAN_Q_OVERFLOW != 0 {
			w.say(func() { w.o.Log.Error("events are lost: files were written or started unseen") })
		}
		return
	}
	var st unix.Stat_t
	err := unix.Fstat(e.fd, &st)
	ask := e.mask&asks != 0
	switch {
	case err != nil:
		w.answer(&asked{fd: e.fd}, ask, !w.o.DenyOnTimeout)
		unix.Close(e.fd)
		return
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		w.answer(&asked{fd: e.fd}, ask, true)
		unix.Close(e.fd)
		return
	}
	s := stateOf(&st)
	if e.mask&unix.FAN_CLOSE_WRITE != 0 {
		w.wrote(&s)
	}
	if w.o.Block && !ask || s.size == 0 || w.exempt(e) {
		w.answer(&asked{fd: e.fd}, ask, true)
		unix.Close(e.fd)
		return
	}
	// What is open for writing may have changed since, though its times did not.
	quiet := unwritten(e.fd)
	if quiet {
		if allow, ok := w.cache.get(&s, w.o.Rules()); ok {
			w.answer(&asked{fd: e.fd}, ask, allow)
			unix.Close(e.fd)
			return
		}
	}
	w.begin(ctx, e, s, ask, quiet)
}

// wrote forgets what was said of a file.
func (w *Watcher) wrote(s *state) {
	w.cache.drop(s.inode)
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, p := range w.pending {
		if k.inode == s.inode {
			p.written = true
		}
	}
}

// exempt tells whether a process, or a file, is let through. The process waits for the
// answer: its number is nobody else's meanwhile.
func (w *Watcher) exempt(e event) bool {
	if e.pid == os.Getpid() {
		return true
	}
	var st unix.Stat_t
	programs := w.programs
	// This program's other processes may read what is bad. They start nothing but this
	// program, and where nobody waits there is no reason to pass anything over.
	if e.mask&asks == 0 || e.mask&unix.FAN_OPEN_EXEC_PERM != 0 {
		programs = programs[1:]
	}
	if unix.Stat(fmt.Sprintf("/proc/%d/exe", e.pid), &st) == nil && slices.Contains(programs, inode{uint64(st.Dev), st.Ino}) {
		return true
	}
	if len(w.o.ExcludeUIDs) > 0 && unix.Stat(fmt.Sprintf("/proc/%d", e.pid), &st) == nil && slices.Contains(w.o.ExcludeUIDs, st.Uid) {
		return true
	}
	name := nameOf(e.fd)
	w.mu.Lock()
	places := w.places
	w.mu.Unlock()
	// While the marks are set there is none yet: then everything counts.
	inside := len(places) == 0 || slices.ContainsFunc(places, func(p place) bool { return p.whole || below(name, p.path) })
	return !inside || slices.ContainsFunc(w.o.ExcludePaths, func(p string) bool { return below(name, p) })
}

// nameOf is the path of an open file as this process sees it.
func nameOf(fd int) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return ""
	}
	return name
}

func below(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// answer answers, once.
func (w *Watcher) answer(a *asked, ask, allow bool) {
	if !ask {
		return
	}
	a.once.Do(func() {
		w.closing.RLock()
		defer w.closing.RUnlock()
		if !w.closed {
			_ = respond(w.group, a.fd, allow) // ENOENT: nobody waits any more
		}
	})
}

// begin has a file scanned, unless that goes on already.
func (w *Watcher) begin(ctx context.Context, e event, s state, ask, quiet bool) {
	a := &asked{fd: e.fd}
	w.mu.Lock()
	p := w.pending[s]
	join := p != nil && quiet && !p.written
	full := w.count >= w.o.MaxPending // each holds a descriptor
	if join && !ask {
		w.mu.Unlock()
		unix.Close(e.fd)
		return
	}
	if !full && ask {
		a.timer = time.AfterFunc(w.o.Timeout, func() { w.late(a, "no verdict in time") })
	}
	switch {
	case full:
	case join:
		p.waiting = append(p.waiting, a)
		w.count++
	default:
		p = &pending{waiting: []*asked{a}}
		if quiet {
			w.pending[s] = p
		}
		w.count++
	}
	w.mu.Unlock()
	if full {
		w.late(a, "too many files wait")
		unix.Close(e.fd)
		return
	}
	if !join {
		w.scans.Go(func() { w.scan(ctx, e, s, p, ask, quiet) })
	}
}

// late answers without a verdict. The scan goes on.
func (w *Watcher) late(a *asked, why string) {
	w.answer(a, w.o.Block, !w.o.DenyOnTimeout)
	w.say(func() { w.o.Log.Warn("answered without a verdict", "reason", why, "allowed", !w.o.DenyOnTimeout) })
}

// scan scans a file, and answers all who wait for it.
func (w *Watcher) scan(ctx context.Context, e event, s state, p *pending, ask, quiet bool) {
	f := os.NewFile(uintptr(e.fd), "event")
	name, client := nameOf(e.fd), "unknown"
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d", e.pid), &st) == nil {
		client = fmt.Sprintf("uid %d", st.Uid)
	}
	sctx, cancel := context.WithTimeout(ctx, w.o.ScanTime)
	v, err := w.o.Scan(sctx, f, name, client)
	cancel()
	allow := !v.Deny
	if err != nil {
		allow = !w.o.DenyOnTimeout
	}
	if err == nil && quiet {
		w.remember(e.fd, &s, p, &v)
	}
	w.mu.Lock()
	if w.pending[s] == p {
		delete(w.pending, s)
	}
	waiting := p.waiting
	w.count -= len(waiting)
	p.waiting = nil
	w.mu.Unlock()
	for _, a := range waiting {
		if a.timer != nil {
			a.timer.Stop()
		}
		w.answer(a, ask || a.timer != nil, allow)
		if a.fd != e.fd {
			unix.Close(a.fd)
		}
	}
	f.Close()
	fields := []any{"path", name, "pid", e.pid, "client", client}
	if ask {
		fields = append(fields, "allowed", allow)
	}
	switch {
	case err != nil && ctx.Err() == nil:
		w.say(func() { w.o.Log.Warn("not scanned", append(fields, "error", err)...) })
	case v.Said != "":
		w.say(func() { w.o.Log.Info(v.Said, fields...) })
	}
}

// remember keeps what was said, if the file is still as it was when it was begun.
func (w *Watcher) remember(fd int, s *state, p *pending, v *Verdict) {
	ignore := w.o.IgnoreMarks && w.o.Block && !v.Deny
	if ignore { // before it is looked at again: what is written from now on takes it away
		ignore = w.ignore(fd, unix.FAN_MARK_ADD)
	}
	var st unix.Stat_t
	same := unwritten(fd) && unix.Fstat(fd, &st) == nil && stateOf(&st) == *s
	w.mu.Lock()
	same = same && !p.written && v.Rules == w.o.Rules()
	if same {
		w.cache.put(s, v.Rules, !v.Deny) // with mu held: wrote comes before, or after
	}
	w.mu.Unlock()
	if ignore && !same {
		w.ignore(fd, unix.FAN_MARK_REMOVE)
	}
}

// ignore has the kernel ask no longer, or again, about a file.
func (w *Watcher) ignore(fd int, op uint) bool {
	w.closing.RLock()
	defer w.closing.RUnlock()
	return !w.closed && unix.FanotifyMark(w.group, op|unix.FAN_MARK_IGNORED_MASK, unix.FAN_OPEN_PERM|unix.FAN_OPEN_EXEC_PERM, fd, "") == nil
}

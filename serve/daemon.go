package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/serve/event"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
)

// Door answers one protocol.
type Door interface {
	// Serve answers what comes to a socket, and returns when it is closed. It may be
	// called for several sockets. ctx lasts as long as Shutdown does, and longer.
	Serve(ctx context.Context, l net.Listener) error
	// Shutdown lets conversations under way come to their end, and returns when they
	// have, or when ctx is done and they were broken off. No socket is open then.
	Shutdown(ctx context.Context) error
}

// Options are what the service does. The zero value of a field means its default.
type Options struct {
	Version string
	Listen  []Listen
	// Doors make the doors that Listen names.
	Doors map[string]func(*Daemon) (Door, error)
	// Rules opens the rules, at start and for each reload; State tells of what they are
	// made, so that a change shows (SelfCheck).
	Rules     func(context.Context) (queue.Database, error)
	State     func() string
	SelfCheck time.Duration // how often State is looked at; 0 is never
	Soak      Soak
	Queue     queue.Options
	Policy    queue.Policy
	// Records opens where evidence is kept, once this process is the user that it stays; a
	// nil Keeper keeps none.
	Records func(*slog.Logger) (*records.Keeper, error)
	// Event is a command of the shell that is run for each finding, as clamd's VirusEvent; ""
	// is none. EventArgs are the arguments of the process that runs it; default {"showcause", event.Role}.
	Event     string
	EventArgs []string

	User          string
	Supplementary bool   // groups of User
	PidFile       string // written before User is taken on
	Log           LogOptions
	Notes         []string // to be told at start
	Control       string   // path of the socket for status and top; "" is none
	// ControlDefault says that nobody asked for Control: where it cannot be opened, there
	// is none, which is said. Its folder is made.
	ControlDefault bool
	Metrics        string   // host:port or path of a socket for metrics; "" is none
	Hosts          []string // names by which Metrics may be asked, besides addresses, localhost and this machine's
	Drain          time.Duration
	NoLock         bool   // the lock is left out: for tests only
	Program        string // what SIGUSR2 starts; default this program's path at start
	Stderr         io.Writer
}

// recordTime is how long records that wait may take to be written at the end.
const recordTime = 10 * time.Second

// defaultDrain is how long jobs that are under way may take after SIGTERM.
const defaultDrain = 60 * time.Second

// Daemon is a service that runs.
type Daemon struct {
	o       Options
	log     *slog.Logger
	file    *logFile
	queue   *queue.Queue
	sockets []opened
	doors   map[string]Door
	began   time.Time
	tallies map[string]*tally
	cancel  context.CancelFunc // of what ends the service
	records *records.Keeper    // nil: none
	event   *event.Teller      // nil: none
	gone    bool               // another process has taken this one's place, or still has it: the paths are its

	reload  sync.Mutex     // held while rules are changed
	state   string         // of the rules; guarded by reload
	serving queue.Database // a part of what is scanned with; guarded by reload
	soak    soaking
	failed  string    // why the last reload did not change them; guarded by mu
	loaded  time.Time // when they were; guarded by mu
	mu      sync.Mutex
}

// Run is the service: it returns when ctx is done or a signal or a door asked for the
// end, and all that was under way is answered. Signals: SIGTERM and SIGINT end it, SIGHUP
// opens the log again and reloads the rules, SIGUSR2 starts the program anew in place
// of this process.
func Run(ctx context.Context, o Options) error {
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Program == "" {
		path, err := os.Executable()
		if err != nil {
			return err
		}
		o.Program = path
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// From here on: SIGHUP and SIGUSR2 would end a process that does not know them.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	d := &Daemon{o: o, began: time.Now(), cancel: cancel, doors: map[string]Door{}}
	before, err := heir()
	if err != nil {
		return err
	}
	d.gone = before != nil // until this process is ready, they are that one's
	if err := d.open(before); err != nil {
		d.unstarted(err)
		return err
	}
	defer d.closeSockets()
	if err := d.start(ctx, before); err != nil {
		d.unstarted(err)
		return err
	}
	if d.event != nil {
		defer d.event.Close()
	}
	// The end of ctx is that of the service, but not of what was begun: doors let that come
	// to its end in Shutdown, which bounds it.
	begun, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	var serving sync.WaitGroup
	for _, s := range d.sockets {
		serving.Go(func() {
			if err := d.doors[s.Door].Serve(begun, s.l); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				d.log.Error("door failed", "door", s.Door, "address", s.Address, "error", err)
				cancel()
			}
		})
	}
	notify(fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=%d rules", os.Getpid(), d.queue.Rules().DB.Len()))
	if before != nil {
		before.done()
		d.gone = false
		if d.o.PidFile != "" {
			if err := writePid(d.o.PidFile); err != nil { // its folder may be root's, and this process no longer is
				d.log.Warn("pid file is not written", "error", err)
			}
		}
	}
	d.log.Info("ready", "version", o.Version, "rules", d.queue.Rules().DB.Len(), "rules_version", d.queue.Rules().Version, "doors", d.addresses(), "control", d.o.Control)
	d.run(ctx, signals)
	notify("STOPPING=1")
	err = d.stop()
	over()
	within(closingTime, &serving)
	return err
}

// unstarted has the log say why there is no service, where it is not what the caller of Run
// writes to anyway.
func (d *Daemon) unstarted(err error) {
	if d.log != nil && (d.file != nil || d.o.Log.Syslog || d.o.Log.Format == FormatJournald) {
		d.log.Error("the service does not start", "error", err)
	}
}

// openControl tries the control socket that nobody asked for.
func (d *Daemon) openControl(before *predecessor) {
	l := Listen{Door: controlDoor, Network: "unix", Address: d.o.Control, Mode: 0o600, From: "default"}
	_ = os.Mkdir(filepath.Dir(d.o.Control), 0o755) // it may be there, and what else is wrong shows now:
	o := opened{Listen: l}
	var err error
	if f := before.take(l); f != nil {
		o.l, err = listener(f)
	} else {
		o.l, err = l.open()
	}
	if err != nil {
		d.log.Warn("no socket for status and top: --control names another", "path", d.o.Control, "error", err)
		d.o.Control = ""
		return
	}
	d.sockets = append(d.sockets, o)
}

// open does what may need rights that are given up afterwards.
func (d *Daemon) open(before *predecessor) (err error) {
	if d.log, d.file, err = newLog(d.o.Log, d.o.Stderr); err != nil {
		return err
	}
	want := d.o.Listen
	if d.o.Control != "" && !d.o.ControlDefault {
		want = append(want[:len(want):len(want)], Listen{Door: controlDoor, Network: "unix", Address: d.o.Control, Mode: 0o600})
	}
	if d.o.Metrics != "" {
		l := Listen{Door: metricsDoor, Network: "tcp", Address: d.o.Metrics}
		if strings.HasPrefix(d.o.Metrics, "/") {
			l.Network = "unix"
		}
		want = append(want, l)
	}
	if d.sockets, err = open(want, before); err != nil {
		return err
	}
	if d.o.Control != "" && d.o.ControlDefault {
		d.openControl(before)
	}
	if d.o.PidFile != "" && before == nil {
		if err := writePid(d.o.PidFile); err != nil {
			return fmt.Errorf("pid file: %w", err)
		}
	}
	return nil
}

// writePid writes the process number where nobody reads half of it.
func writePid(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".showcause-pid-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// start gives rights up, and makes all that answers.
func (d *Daemon) start(ctx context.Context, before *predecessor) (err error) {
	if d.o.User != "" && d.file != nil && d.file.f != nil && os.Geteuid() == 0 {
		if err := Give(d.file.path, d.o.User); err != nil {
			d.log.Warn("log file stays root's", "error", err)
		}
	}
	if d.o.Control != "" && d.o.User != "" && os.Geteuid() == 0 {
		_ = Give(d.o.Control, d.o.User) // root may use it all the same
	}
	if err := become(d.o.User, d.o.Supplementary); err != nil {
		return err
	}
	if d.file != nil { // what root may not open for want of rights may be the user's
		if err := d.file.settled(); err != nil {
			fmt.Fprintf(d.o.Stderr, "showcause: log file: %s; the log goes to standard error\n", showcause.Escape(err.Error()))
		}
	}
	switch {
	case before != nil && before.event != nil: // what this one would start is locked as it is itself
		d.event, err = event.Take(before.event, d.log)
	case d.o.Event != "":
		d.event, err = event.Start(d.o.Event, d.o.EventArgs, d.log)
	}
	if err != nil {
		return err
	}
	if !d.o.NoLock {
		if err := jail.Daemon(); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
	}
	for _, n := range d.o.Notes {
		d.log.Info(n)
	}
	if d.o.Policy.Incomplete == queue.IncompleteOK {
		d.log.Warn("what is not read whole is answered as if nothing were in it: a setting says so")
	}
	for _, c := range d.o.Policy.Accept {
		d.log.Warn("what is not read for this reason is answered as if nothing were in it: a setting says so", "reason", c)
	}
	d.state = d.o.State()
	if d.o.Records != nil { // before the rules, which may take long: a folder that is refused shows at once
		if d.records, err = d.o.Records(d.log); err != nil {
			return fmt.Errorf("records: %w", err)
		}
	}
	rules, err := d.o.Rules(ctx)
	if err != nil {
		if d.records != nil {
			err = errors.Join(err, d.records.Close(ctx))
		}
		return err
	}
	d.loaded, d.tallies = time.Now(), map[string]*tally{}
	for _, s := range d.sockets {
		d.tallies[s.Door] = &tally{}
	}
	qo := d.o.Queue
	qo.Rules, d.serving = shared(rules)
	qo.Told = d.told
	d.soak.begin(rules.Digest, nil)
	if d.records != nil {
		qo.Record, qo.Pool.Digests = d.records.Record, true
	}
	if d.queue, err = queue.New(qo); err != nil {
		return err
	}
	for _, s := range d.sockets {
		if d.doors[s.Door] != nil {
			continue
		}
		switch make := d.o.Doors[s.Door]; {
		case s.Door == controlDoor:
			d.doors[s.Door] = newControl(d)
		case s.Door == metricsDoor:
			d.doors[s.Door] = newMetrics(d)
		case make == nil:
			return fmt.Errorf("door %q: there is none of this name", s.Door)
		default:
			if d.doors[s.Door], err = make(d); err != nil {
				return fmt.Errorf("door %s: %w", s.Door, err)
			}
		}
	}
	return nil
}

// Queue is what doors ask.
func (d *Daemon) Queue() *queue.Queue { return d.queue }

// Records is where evidence is kept; nil if nowhere.
func (d *Daemon) Records() *records.Keeper { return d.records }

// Policy is how doors answer.
func (d *Daemon) Policy() queue.Policy { return d.o.Policy }

// Log is the service's.
func (d *Daemon) Log() *slog.Logger { return d.log }

// End ends the service as SIGTERM does, and returns at once.
func (d *Daemon) End() { d.cancel() }

// run waits for the end, and does what is asked meanwhile.
func (d *Daemon) run(ctx context.Context, signals <-chan os.Signal) {
	var check, watch <-chan time.Time
	if d.o.SelfCheck > 0 {
		t := time.NewTicker(d.o.SelfCheck)
		defer t.Stop()
		check = t.C
	}
	if w := watchdog(); w > 0 {
		t := time.NewTicker(w)
		defer t.Stop()
		watch = t.C
	}
	revive := time.NewTicker(time.Second)
	defer revive.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch:
			notify(beat)
		case <-revive.C:
			if err := d.queue.Revive(); err != nil {
				d.log.Error("no reader can be started", "error", err)
			}
		case <-check:
			go d.check(ctx)
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				d.reopen()
				go func() { _ = d.Reload(ctx) }()
			case syscall.SIGUSR2:
				if d.handOver() {
					return
				}
			default:
				d.log.Info("stopping", "signal", s.String())
				return
			}
		}
	}
}

func (d *Daemon) reopen() {
	if d.file != nil {
		if err := d.file.reopen(); err != nil {
			d.log.Error("log is not opened again", "error", err)
		}
	}
}

// handOver has the program started anew, and tells whether that has taken this one's place.
func (d *Daemon) handOver() bool {
	d.log.Info("starting the program anew", "program", d.o.Program)
	var event *os.File
	if d.event != nil {
		event = d.event.File()
	}
	pid, err := replace(d.o.Program, d.sockets, event)
	if err != nil {
		d.log.Error("the program is not started anew; this process goes on", "error", err)
		return false
	}
	d.gone = true
	notify(fmt.Sprintf("MAINPID=%d", pid))
	d.log.Info("another process has taken over", "pid", pid)
	return true
}

// check reloads the rules if they have changed.
func (d *Daemon) check(ctx context.Context) {
	d.reload.Lock()
	same := d.o.State() == d.state
	d.reload.Unlock()
	if !same {
		_ = d.Reload(ctx)
	}
}

// Reload opens the rules again and returns when they are scanned with. If that fails the
// old ones stay, which is logged as well. Those who ask while one goes on share the next.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reload.Lock()
	defer d.reload.Unlock()
	reloading()
	state := d.o.State()
	err := d.change(ctx)
	d.state = state // even so: what failed is not tried again until it changes
	d.mu.Lock()
	d.failed = ""
	if err != nil {
		d.failed = err.Error()
	} else {
		d.loaded = time.Now()
	}
	d.mu.Unlock()
	if err != nil {
		d.log.Error("rules are not reloaded; the old ones stay", "error", err)
	} else {
		r := d.queue.Rules()
		d.log.Info("rules are reloaded", "rules", r.DB.Len(), "rules_version", r.Version)
	}
	notify("READY=1")
	return err
}

// closingTime is how long it may take to close sockets. A system call that does not end
// must not keep the service from ending.
const closingTime = 2 * time.Second

// within waits for a group, not longer than d.
func within(d time.Duration, w *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { w.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// stop takes no more, answers what is under way, and ends the readers.
func (d *Daemon) stop() error {
	var closing sync.WaitGroup
	for _, s := range d.sockets {
		closing.Go(func() { s.l.Close() })
	}
	within(closingTime, &closing)
	ctx, cancel := context.WithTimeout(context.Background(), d.o.Drain)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(d.doors)+2)
	i := 0
	for _, door := range d.doors {
		all.Go(func(i int) func() { return func() { errs[i] = door.Shutdown(ctx) } }(i))
		i++
	}
	all.Wait()
	errs[i] = d.queue.Drain(ctx)
	d.reload.Lock()
	d.serving.Close()
	d.reload.Unlock()
	d.soak.mu.Lock()
	d.soak.drop()
	d.soak.mu.Unlock()
	if d.records != nil {
		rctx, done := context.WithTimeout(context.Background(), recordTime)
		defer done()
		errs[i+1] = d.records.Close(rctx)
	}
	if d.o.PidFile != "" && !d.gone {
		_ = os.Remove(d.o.PidFile) // its folder may be root's
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Warn("stopped before all was answered", "error", err)
		return nil
	}
	d.log.Info("stopped")
	return nil
}

// closeSockets closes what is open, and removes the paths that are this process's.
func (d *Daemon) closeSockets() {
	for _, s := range d.sockets {
		s.l.Close()
		if s.Network == "unix" && !s.given && !d.gone {
			_ = os.Remove(s.Address) // its folder may be root's
		}
	}
}

func (d *Daemon) addresses() string {
	var out []string
	for _, s := range d.sockets {
		if s.Door != controlDoor && s.Door != metricsDoor {
			out = append(out, s.Door+" "+s.Network+":"+s.Address)
		}
	}
	return strings.Join(out, ", ")
}

// told logs what came of a job: who asked, and what was said.
func (d *Daemon) told(j *queue.Job, a *queue.Answer, err error) {
	d.count(j, a, err)
	if why := d.soak.note(&d.o.Soak, a); why != "" {
		go d.back(why)
	}
	name := j.Name
	if name == "" {
		name = "stream"
	}
	fields := []any{"door", j.Door, "client", j.Client}
	if j.From != "" {
		fields = append(fields, "from", j.From)
	}
	if err != nil {
		d.log.Warn(name+": not scanned", append(fields, "error", err)...)
		return
	}
	said := d.o.Policy.Say(a)
	fields = append(fields, "size", a.Report.Size)
	if a.SHA256 != "" {
		fields = append(fields, "sha256", a.SHA256)
	}
	switch {
	case len(a.Records) > 0:
		fields = append(fields, "record", a.Records[0])
	case a.Unrecorded != "":
		fields = append(fields, "unrecorded", a.Unrecorded)
	}
	switch {
	case len(said.Names) > 0:
		d.log.Info(name+": "+said.Names[0]+" FOUND", fields...)
		if d.event != nil {
			d.event.Tell(name, said.Names[0])
		}
	case said.Failed != "":
		d.log.Info(name+": "+said.Failed+" ERROR", fields...)
	case len(said.Waived) > 0:
		d.log.Info(name+": OK", append(fields, "waived", codes(said.Waived))...)
	case d.o.Log.Clean:
		d.log.Info(name+": OK", fields...)
	}
}

func codes(list []showcause.Code) string {
	var out []string
	for i, c := range list {
		if i == 8 {
			out = append(out, "...")
			break
		}
		out = append(out, string(c))
	}
	return strings.Join(out, ",")
}

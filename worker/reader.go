package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/formats"
	"github.com/showcause/showcause/worker/wire"
	"github.com/showcause/showcause/yara/module"
)

// Reading says what a reader does other than usual. The zero value is a reader
// as it scans.
type Reading struct {
	// Scan replaces the scanner, for tests.
	Scan func(showcause.Source) showcause.Report
	// Lock replaces jail.Lock, for tests.
	Lock func(jail.Config) (jail.Status, error)
}

// When answers are written: at the end of each message of jobs, when so many
// bytes are gathered, and so long after one was made.
const (
	answerBytes = 32 << 10
	answerDelay = 2 * time.Millisecond
)

// errUnexpected is a message that the broker does not send.
var errUnexpected = errors.New("not a message of this program")

// Most files are scanned by one processor, and the garbage is collected by another. A file of
// largeFile bytes is searched by as many as the broker has, mostProcs at most.
const (
	usualProcs = 2
	mostProcs  = 8
	largeFile  = 32 << 20
)

// maxStack is the size in bytes at which a recursion without end is ended.
const maxStack = 32 << 20

// Read is the reader's process: it takes the rules, locks itself, says so, and
// answers jobs until the broker hangs up. What it returns is why it ended
// otherwise; the process must end then.
func Read(o Reading) error {
	r := &reader{procs: runtime.GOMAXPROCS(0)}
	runtime.GOMAXPROCS(min(r.procs, usualProcs))
	debug.SetMaxStack(maxStack)
	if err := r.start(o); err != nil {
		text := err.Error()
		r.out = wire.AppendFrame(nil, wire.FrameRefusal, []byte(text[:min(len(text), wire.MaxRefusal)]))
		return errors.Join(err, r.flush())
	}
	return r.loop()
}

// reader is the state of a reader's process.
type reader struct {
	scan   func(showcause.Source, map[string]module.Value) showcause.Report
	lines  wire.Lines
	encode *wire.Encoder
	procs  int
	db     *ruledb.DB // held: it reads of a descriptor that must stay open

	mu    sync.Mutex // guards what follows: answers may be written from a timer
	out   []byte
	timer *time.Timer
	armed bool
}

// collectAt is how much a reader's heap grows between two collections, in percent (GOGC): the
// heap is a few megabytes, its rules are mapped, and its limit of memory holds all the same. At 100 a
// fifth of the time for small files was the collector's.
const collectAt = 400

// start does all that needs more of the system than a locked reader has.
func (r *reader) start(o Reading) error {
	set, modules, err := recvSettings()
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	f := os.NewFile(jail.Rules, "rules")
	db, err := ruledb.OpenShared(f, os.NewFile(jail.Rest, "rest of the rules"))
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	BoundHeap(set.Memory / 4 * 3)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	r.db = db
	r.encode = wire.NewEncoder(&set)
	if o.Scan != nil {
		r.scan = func(src showcause.Source, _ map[string]module.Value) showcause.Report { return o.Scan(src) }
	} else {
		r.scan = newScanner(db, &set, modules, r.lines.Add).ScanWith
	}
	r.timer = time.AfterFunc(time.Hour, r.late)
	own := []int{jail.Null, jail.Result, jail.Log, jail.Control, jail.Rest}
	if set.Scratch {
		own = append(own, jail.Scratch)
	}
	lock := o.Lock
	if lock == nil {
		lock = jail.Lock
	}
	runtime.LockOSThread() // where C is linked, no_new_privs is this thread's until the filter spreads it
	status, err := lock(jail.Config{Own: own, Memory: set.Memory, FileSize: set.Spill})
	runtime.UnlockOSThread()
	if err != nil {
		return err
	}
	r.out = wire.AppendFrame(nil, wire.FrameReady, status.Encode())
	return r.flush()
}

func newScanner(db *ruledb.DB, set *wire.Settings, modules map[string][]byte, log func(string)) *scan.Scanner {
	o := scan.Options{
		Limits: set.Limits, Excerpts: set.Excerpts, Digests: set.Digests, Formats: []unpack.Format{},
		TopOnly: set.TopOnly, MaxMatches: int(set.Matches), Now: set.Now, ModuleData: modules,
	}
	if set.Logs {
		o.Log = log
	}
	o.Externals, _ = wire.DecodeExternals(set.Externals) // DecodeSettings was there
	o.Passwords, _ = wire.DecodePasswords(set.Passwords)
	o.NoUsual = set.NoUsual
	for i, f := range formats.All() {
		if set.Formats.Has(i) {
			o.Formats = append(o.Formats, f)
		}
	}
	if set.Scratch {
		s := &scratch{fd: jail.Scratch, max: set.Spill}
		o.Spill = s.file
	}
	return scan.New(db, o)
}

// recvSettings takes the first message, and the files for modules that come with it.
func recvSettings() (set wire.Settings, modules map[string][]byte, err error) {
	b := make([]byte, wire.MaxSettings+1)
	n, fds, err := recv(b, make([]byte, unix.CmsgSpace(4)))
	if err != nil {
		return set, nil, err
	}
	if set, err = wire.DecodeSettings(b[:n]); err != nil {
		return set, nil, err
	}
	switch {
	case set.Modules && len(fds) == 1:
		modules, err = readModules(fds[0])
	case set.Modules || len(fds) > 0:
		err = errUnexpected
	}
	return set, modules, err
}

// readModules reads the files for modules, and closes the descriptor.
func readModules(fd int) (map[string][]byte, error) {
	f := os.NewFile(uintptr(fd), "files for modules")
	b, err := io.ReadAll(io.NewSectionReader(f, 0, wire.MaxModules+1)) // other readers have the same file
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return wire.DecodeModules(b)
}

// recv takes a message and its descriptors. Nothing at all is the broker hanging up.
func recv(b, oob []byte) (n int, fds []int, err error) {
	for {
		var on, flags int
		n, on, flags, _, err = unix.Recvmsg(jail.Control, b, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			return 0, nil, errUnexpected
		}
		if on == 0 {
			return n, nil, nil
		}
		fds, err = rights(oob[:on])
		return n, fds, err
	}
}

func rights(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	if len(msgs) != 1 {
		return nil, errUnexpected
	}
	return unix.ParseUnixRights(&msgs[0])
}

// loop answers jobs until the broker hangs up.
func (r *reader) loop() error {
	b := make([]byte, wire.MaxJobs+1)
	oob := make([]byte, unix.CmsgSpace(4*wire.MaxBatch))
	var orders []wire.Order
	for {
		n, fds, err := recv(b, oob)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		var atOnce bool
		if orders, atOnce, err = wire.DecodeOrders(b[:n], orders[:0]); err != nil {
			return err
		}
		if len(fds) != passedOf(orders) {
			return errUnexpected
		}
		for i, o := range orders {
			fd := -1
			if !o.Here {
				fd, fds = fds[0], fds[1:]
			}
			rep := r.one(fd, &orders[i])
			if !o.Here {
				if err := unix.Close(fd); err != nil {
					return fmt.Errorf("close: %w", err)
				}
			}
			if err := r.answer(o.ID, &rep, atOnce || i+1 == len(orders)); err != nil {
				return err
			}
		}
	}
}

// passedOf is the number of jobs whose content comes as a descriptor.
func passedOf(orders []wire.Order) (n int) {
	for i := range orders {
		if !orders[i].Here {
			n++
		}
	}
	return n
}

// one scans a file. A panic is a fault of ours that no stage of the scan held.
func (r *reader) one(fd int, o *wire.Order) (rep showcause.Report) {
	defer func() {
		lines := r.lines.Take()
		if recover() != nil {
			rep = showcause.Report{Size: o.Size, Gaps: []showcause.Gap{{Code: showcause.Crash, Offset: 0, Length: -1}}}
		}
		rep.Logs = append(rep.Logs, lines...)
	}()
	externals, _ := wire.DecodeExternals(o.Externals) // DecodeOrders was there
	if o.Here {
		return r.scan(showcause.Bytes(o.Content), externals)
	}
	if o.Size >= largeFile && r.procs > usualProcs {
		runtime.GOMAXPROCS(r.procs)
		defer runtime.GOMAXPROCS(usualProcs)
	}
	return r.scan(&file{fd, o.Size, o.Holes}, externals)
}

// answer gathers a report, and writes what is gathered when it is time.
func (r *reader) answer(id uint64, rep *showcause.Report, last bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = r.encode.Report(r.out, id, rep)
	if last || len(r.out) >= answerBytes {
		return r.flush()
	}
	if !r.armed {
		r.armed = true
		r.timer.Reset(answerDelay)
	}
	return nil
}

// late writes what was gathered a while ago: the next file may take long. A
// pipe that is gone is seen by the loop.
func (r *reader) late() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = false
	_ = r.flush()
}

// flush writes what is gathered.
func (r *reader) flush() error {
	for b := r.out; len(b) > 0; {
		n, err := unix.Write(jail.Result, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		b = b[n:]
	}
	if cap(r.out) > 1<<20 {
		r.out = nil
	}
	r.out = r.out[:0]
	return nil
}

// file is a passed descriptor as a Source. Its size is what the broker said, and so
// are its holes: they are not read, which takes the kernel long where there is much
// of them.
type file struct {
	fd    int
	size  int64
	holes []wire.Hole // in order
}

func (f *file) Size() int64 { return f.size }

// Shared says that several goroutines may read at once: each call says where.
func (f *file) Shared() {}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		part, hole := f.part(at, int64(len(p)-n))
		if hole {
			clear(p[n : n+int(part)])
			n += int(part)
			continue
		}
		m, err := pread(f.fd, p[n:n+int(part)], at)
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// Data is the first stretch at off or behind it that is in no hole: scan.Sparse.
func (f *file) Data(off int64) (from, to int64) {
	for _, h := range f.holes {
		if off < h.Off {
			return off, h.Off
		}
		off = max(off, h.Off+h.Len)
	}
	return min(off, f.size), f.size
}

// part is how much of n bytes at off is in the same hole, or before the next.
func (f *file) part(off, n int64) (part int64, hole bool) {
	for _, h := range f.holes {
		switch {
		case off < h.Off:
			return min(n, h.Off-off), false
		case off < h.Off+h.Len:
			return min(n, h.Off+h.Len-off), true
		}
	}
	return n, false
}

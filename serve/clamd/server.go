package clamd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
)

// Backend is what stands behind the door.
type Backend interface {
	// Receive returns where the bytes of a stream go.
	Receive(ctx context.Context, client string) (Stream, error)
	// Scan has one file or stream scanned.
	Scan(ctx context.Context, r Request) (Answer, error)
	// Reload begins to load the rules again, Shutdown to end the service. Both return at once.
	Reload()
	Shutdown()
	// Status says how things stand.
	Status() Status
}

// Stream takes the bytes of INSTREAM. Close gives back what it holds; it comes after Scan.
// An error of Write is ErrNoSpace or one like it.
type Stream interface {
	io.Writer
	io.Closer
}

// Request is one thing to scan: a Stream, or a regular file that stays the door's to close.
type Request struct {
	Client  string // who asks: uid=1000, or an address; with /folder where many files are asked for at once
	From    string // over TCP the address and port of the client, IP@port as clamd's log has it
	Command string
	Name    string // of the file, "" of a stream
	Stream  Stream
	Cut     bool // Stream is as long as it may be: its client may have left the rest out
	File    *os.File
	Options ScanOptions
}

// ScanOptions are those of one request. The zero value is what the service does. They can
// make limits lower, never higher.
type ScanOptions struct {
	Limits    showcause.Limits
	Timeout   time.Duration
	Passwords [][]byte
	Record    bool // Answer.Record is wanted
	NoCache   bool
}

// Answer is what is said of a request: found if there are names, else an error if Failed is
// not empty, else nothing found.
type Answer struct {
	Names  []string
	Failed string
	Report *showcause.Report // not to be changed
	SHA256 string
	Rules  string // what they were scanned with
	Cached bool
	// Waived are reasons for which it would have been an error, but for a setting.
	Waived []showcause.Code
	Record []byte // JSON
	// Records are the names of the records of all findings; Unrecorded says why some have none.
	Records    []string
	Unrecorded string
}

// Status is how things stand.
type Status struct {
	Rules            string // as VERSION shows them behind the name: "27700/Fri Nov 20 09:00:00 2026", or ""
	RulesCount       int
	RulesDigest      string // SHA-256, or ""
	Readers, Reading int
	Waiting          int
	Version          string // of this program
}

// Errors of a Backend that have words of their own.
var (
	ErrBusy     = errors.New("too many requests wait")
	ErrStopping = errors.New("the service is stopping")
	ErrTimeout  = errors.New("the request took too long")
	ErrNoSpace  = errors.New("no space for what is received")
)

// Options are how the door behaves. The zero value of a field means its default, which is clamd's.
type Options struct {
	StreamMaxLength int64         // bytes; default 100 MiB
	CommandTimeout  time.Duration // until the first command; default 30 s
	ReadTimeout     time.Duration // for all that follows; default 120 s
	SendTimeout     time.Duration // for a reply; default 5 s
	MaxConnections  int           // default what descriptors allow, 16,384 at most
	Parallel        int           // files of one MULTISCAN that are asked for at a time; default 10

	Exclude       []*regexp.Regexp // paths that are not scanned
	MaxDirectory  int              // folders below folders; default 15, negative: any number
	FollowDirs    bool
	FollowFiles   bool
	OneFilesystem bool

	// NoAllMatch refuses ALLMATCHSCAN; the others a command each, as ClamAV 1.5 can.
	NoAllMatch, NoReload, NoShutdown, NoStats, NoVersion bool

	// Engine is the release of ClamAV whose protocol this is, for VERSION; default 1.4.6.
	// Clients read it (docs/clamd.md), so the word before it is always ClamAV.
	Engine string
	Log    *slog.Logger // default none
}

// Server answers clients.
type Server struct {
	o Options
	b Backend

	mu      sync.Mutex // guards what follows
	conns   map[*conn]struct{}
	clients map[string]int // connections of each
	ever    int64
	tasks   map[*task]struct{}
	freed   chan struct{} // closed and made anew when a connection ends, if full
	full    bool          // somebody waits for that
	closing bool
	wg      sync.WaitGroup
}

// A task is something that is done, for STATS.
type task struct {
	name  string
	since time.Time
}

// New returns a Server.
func New(b Backend, o Options) *Server {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	def(&o.CommandTimeout, 30*time.Second)
	def(&o.ReadTimeout, 120*time.Second)
	def(&o.SendTimeout, 5*time.Second)
	if o.StreamMaxLength <= 0 {
		o.StreamMaxLength = 100 << 20
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = connections()
	}
	if o.Parallel <= 0 {
		o.Parallel = 10
	}
	switch {
	case o.MaxDirectory == 0:
		o.MaxDirectory = 15
	case o.MaxDirectory < 0:
		o.MaxDirectory = math.MaxInt
	}
	if o.Engine == "" {
		o.Engine = "1.4.6"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, b: b, conns: map[*conn]struct{}{}, clients: map[string]int{}, tasks: map[*task]struct{}{}, freed: make(chan struct{})}
}

// Connections is the number of them, and of those that there ever were.
func (s *Server) Connections() (open int, ever int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.ever
}

// connections is the number of them that descriptors allow: each may have a file besides.
func connections() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 400
	}
	return int(min(max(l.Cur, 256)/2-64, 16384))
}

// Serve answers the clients of a listener until it is closed. Several listeners may be
// served at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			switch {
			case errors.Is(err, net.ErrClosed):
				return nil
			case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ECONNABORTED):
				s.o.Log.Warn("connection not taken", "door", "clamd", "error", err)
				s.evict(nil)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		c := s.take(ctx, nc)
		if c == nil {
			nc.Close()
			return nil
		}
		go c.serve()
		if !s.room(ctx, c) {
			return ctx.Err()
		}
	}
}

// grace is how long a client may take to say something, however many wait.
const grace = time.Second

// room waits until there are not too many connections, and sees to it that one goes, but
// not the one that just came.
func (s *Server) room(ctx context.Context, came *conn) bool {
	for {
		s.mu.Lock()
		n, freed := len(s.conns), s.freed
		s.full = n > s.o.MaxConnections
		s.mu.Unlock()
		if n <= s.o.MaxConnections {
			return true
		}
		s.evict(came)
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond): // one may wait again by now
		}
	}
}

// evict ends a connection that waits for its client, and for a while already: of the client
// that has most, the one that said nothing for longest.
func (s *Server) evict(but *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var worst *conn
	since := time.Now().Add(-grace).UnixNano()
	for c := range s.conns {
		if c == but || c.heard.Load() > since || c.busy.Load() || c.flying.Load() > 0 || c.evicted.Load() {
			continue
		}
		if worst == nil || s.clients[c.client] > s.clients[worst.client] ||
			s.clients[c.client] == s.clients[worst.client] && c.heard.Load() < worst.heard.Load() {
			worst = c
		}
	}
	if worst != nil {
		worst.evicted.Store(true)
		worst.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *Server) take(ctx context.Context, nc net.Conn) *conn {
	c := newConn(s, nc)
	c.ctx, c.cancel = context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		c.cancel()
		return nil
	}
	s.conns[c] = struct{}{}
	s.clients[c.client]++
	s.ever++
	s.wg.Add(1)
	return c
}

func (s *Server) drop(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.clients[c.client]--; s.clients[c.client] <= 0 {
		delete(s.clients, c.client)
	}
	if s.full {
		close(s.freed)
		s.freed, s.full = make(chan struct{}), false
	}
	s.wg.Done()
}

// lastWords is how long clients may take to hear that their requests are given up.
const lastWords = time.Second

// Close refuses new connections, ends those that wait for their clients, and returns when
// all that is done is answered, streams that are half received too, or ctx is done; what is
// not answered then is given up, which its clients are told. The listeners are the caller's to close.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.last.Store(true)
		if !c.sending.Load() {
			c.nc.SetReadDeadline(time.Unix(1, 0))
		}
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	each := func(f func(*conn)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			f(c)
		}
	}
	each(func(c *conn) {
		c.cancel()
		c.nc.SetReadDeadline(time.Unix(1, 0))
	})
	select {
	case <-done:
	case <-time.After(lastWords):
		each(func(c *conn) { c.nc.Close() })
		<-done
	}
	return ctx.Err()
}

// begin notes that something is done; the function it returns, that it is over.
func (s *Server) begin(name string) func() {
	t := &task{name, time.Now()}
	s.mu.Lock()
	s.tasks[t] = struct{}{}
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.tasks, t)
		s.mu.Unlock()
	}
}

// clientOf names who asks, for fairness and the log.
func clientOf(nc net.Conn) (client, from string) {
	switch c := nc.(type) {
	case *net.UnixConn:
		client := "unix"
		if raw, err := c.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) {
				if u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					client = "uid=" + utoa(u.Uid)
				}
			})
		}
		return client, ""
	case *net.TCPConn:
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from := a.IP.String() + "@" + strconv.Itoa(a.Port)
			if a.IP.To4() == nil {
				return a.IP.Mask(net.CIDRMask(64, 128)).String() + "/64", from
			}
			return a.IP.String(), from
		}
	}
	return "unknown", ""
}

// now is the time for conn.heard.
func now(at *atomic.Int64) { at.Store(time.Now().UnixNano()) }

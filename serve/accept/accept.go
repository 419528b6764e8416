// Package accept takes the connections of a door: so many and no more, each of them
// bounded in time, and an end in which what is asked is still answered.
//
// A connection is in one of three states, which its handler says:
//
//	idle    nothing is begun: the end of the service ends it, and so may a newcomer
//	begun   a request comes in: it is waited for, and a newcomer may end it where
//	        its client says nothing
//	busy    the request is being answered: it is waited for
package accept

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options are how connections are taken. The zero value of a field means its default.
type Options struct {
	Door   string                       // for the log
	Max    int                          // connections at a time; default what descriptors allow, 4,096 at most
	Read   time.Duration                // in which a client must say more of a request; default 60 s
	Idle   time.Duration                // in which it must begin one; default 120 s
	Whole  time.Duration                // in which a request must have come in; default 15 minutes
	Send   time.Duration                // in which a client must take what it is told; default 60 s
	Own    bool                         // Handle bounds reads and writes itself, by deadlines
	Log    *slog.Logger                 // default none
	Handle func(context.Context, *Conn) // answers a connection, which is closed when it returns
}

// Server takes connections.
type Server struct {
	o Options

	mu      sync.Mutex // guards what follows
	conns   map[*Conn]struct{}
	clients map[string]int
	ever    int64
	closing bool
	wg      sync.WaitGroup
	gone    chan struct{} // told when a connection ends
}

// New returns a Server.
func New(o Options) *Server {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	def(&o.Read, time.Minute)
	def(&o.Idle, 2*time.Minute)
	def(&o.Whole, 15*time.Minute)
	def(&o.Send, time.Minute)
	if o.Max <= 0 {
		o.Max = descriptors()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, conns: map[*Conn]struct{}{}, clients: map[string]int{}, gone: make(chan struct{}, 1)}
}

// descriptors is how many connections there may be: each may need two descriptors.
func descriptors() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 64
	}
	return int(min(max(l.Cur, 256)/4, 4096))
}

// Max is the number of connections that there may be.
func (s *Server) Max() int { return s.o.Max }

// Connections is the number of them, and of those that there ever were.
func (s *Server) Connections() (open int, ever int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.ever
}

// Serve takes the connections of a listener until it is closed. Several may be served at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			switch {
			case errors.Is(err, net.ErrClosed):
				return nil
			case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ECONNABORTED):
				s.o.Log.Warn("connection not taken", "door", s.o.Door, "error", err)
				s.evict(nil)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		c := s.take(nc)
		if c == nil {
			nc.Close()
			return nil
		}
		go func() {
			defer s.drop(c)
			cctx, cancel := context.WithCancel(ctx)
			defer cancel()
			c.mu.Lock()
			c.cancel = cancel
			c.mu.Unlock()
			s.o.Handle(cctx, c)
		}()
		if !s.room(ctx, c) {
			return ctx.Err()
		}
	}
}

func (s *Server) take(nc net.Conn) *Conn {
	c := &Conn{Conn: nc, Client: clientOf(nc), s: s, heard: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil
	}
	s.conns[c] = struct{}{}
	s.clients[c.Client]++
	s.ever++
	s.wg.Add(1)
	return c
}

func (s *Server) drop(c *Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.clients[c.Client]--; s.clients[c.Client] <= 0 {
		delete(s.clients, c.Client)
	}
	select {
	case s.gone <- struct{}{}:
	default:
	}
	s.wg.Done()
}

// room waits until there are not too many connections, and sees to it that one goes, but
// not the one that just came.
func (s *Server) room(ctx context.Context, came *Conn) bool {
	for {
		s.mu.Lock()
		full := len(s.conns) > s.o.Max
		s.mu.Unlock()
		if !full {
			return true
		}
		s.evict(came)
		select {
		case <-s.gone:
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond): // one may wait by now
		}
	}
}

// grace is how long a client may take to say something, however many wait.
const grace = time.Second

// evict ends a connection that waits for its client, and for a while already: of the client
// that has most, the one that said nothing for longest.
func (s *Server) evict(but *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var worst *Conn
	var since time.Time
	for c := range s.conns {
		if c == but {
			continue
		}
		heard, waits := c.waits()
		if !waits || time.Since(heard) < grace {
			continue
		}
		if worst == nil || s.clients[c.Client] > s.clients[worst.Client] || s.clients[c.Client] == s.clients[worst.Client] && heard.Before(since) {
			worst, since = c, heard
		}
	}
	if worst != nil {
		worst.end(true)
	}
}

// Shutdown refuses new connections, ends those that are idle, and returns when the others
// are answered, or ctx is done; what is not answered then is given up. The listeners are
// the caller's to close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.end(false)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.giveUp()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// clientOf names who asks, for fairness and the log.
func clientOf(nc net.Conn) string {
	switch c := nc.(type) {
	case *net.UnixConn:
		client := "unix"
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					client = "uid=" + strconv.FormatUint(uint64(u.Uid), 10)
				}
			})
		}
		return client
	case *net.TCPConn:
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			return Host(a.IP)
		}
	}
	return "unknown"
}

// Host names a host for fairness: an address, or the network that one host has of IPv6.
func Host(ip net.IP) string {
	if ip.To4() == nil && len(ip) == net.IPv6len {
		return ip.Mask(net.CIDRMask(64, 128)).String() + "/64"
	}
	return ip.String()
}

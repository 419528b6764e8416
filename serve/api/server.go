package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
)

// Options are how the door answers. The zero value of a field means its default; of
// what is named with none, that there is none of it.
type Options struct {
	Queue   *queue.Queue
	Policy  queue.Policy
	Log     *slog.Logger
	Version string
	Tokens  *Tokens // none
	TLS     *Certificates
	// Hosts are names by which it may be asked, besides addresses, localhost and those in
	// its certificate: a page in a browser could have given another name this address.
	Hosts []string

	MaxBody     int64         // bytes of one request; default 1 GiB
	BodyTime    time.Duration // for a request to arrive; default 10 minutes
	Stall       time.Duration // without a byte of it; default 30 s
	Timeout     time.Duration // of a scan; 0 is the readers' own
	Connections int           // at once; default 512
	Jobs        int           // asynchronous ones that are remembered; default 1,000
	JobTime     time.Duration // for which an answer is remembered; default 10 minutes

	Metrics func() string // text for Prometheus; default the queue's counts
	// Record returns a sealed record by its name; nil where no store is configured. Records
	// returns those that were made for a client, the latest first, and Recording says how it
	// goes: "off", "ok", "failing".
	Record    func(ctx context.Context, id string) ([]byte, error)
	Records   func(client string) []RecordAnswer
	Made      func(client, id string) bool // tells whether a record was made for a client; nil says no
	Recording func() string
}

// RecordAnswer names a record.
type RecordAnswer struct {
	Record string    `json:"record"` // its name
	Name   string    `json:"name"`   // of what was scanned
	SHA256 string    `json:"sha256"`
	Made   time.Time `json:"made"`
}

// ErrNoRecord is Options.Record's for a name that it does not know.
var ErrNoRecord = errors.New("no such record")

const (
	maxHeader   = 16 << 10
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	answerTime  = time.Minute // in which a client must take its answer
	maxName     = 4096        // bytes of the name of what is scanned
	maxPassword = 1024
	maxWords    = 64 // passwords of one request
)

func (o *Options) defaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 1 << 30
	}
	set(&o.BodyTime, 10*time.Minute)
	set(&o.Stall, 30*time.Second)
	set(&o.JobTime, 10*time.Minute)
	if o.Connections <= 0 {
		o.Connections = 512
	}
	if o.Jobs <= 0 {
		o.Jobs = 1000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Server is the door. It is safe for concurrent use.
type Server struct {
	o     Options
	http  http.Server
	jobs  jobs
	under sync.WaitGroup // asynchronous jobs
	open  atomic.Int64   // connections
	ever  atomic.Int64
	ctx   context.Context
	stop  context.CancelFunc
}

// New returns a Server.
func New(o Options) *Server {
	o.defaults()
	s := &Server{o: o, jobs: jobs{most: o.Jobs, keep: o.JobTime, all: map[string]*job{}}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler: s, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peer(c))
		},
	}
	s.http.ConnState = func(c net.Conn, to http.ConnState) {
		p := placeOf(c)
		switch to {
		case http.StateNew:
			s.open.Add(1)
			s.ever.Add(1)
		case http.StateActive: // a request's head is read
			if p != nil {
				p.Busy()
			}
		case http.StateIdle:
			if p != nil {
				p.Idle()
			}
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	if o.TLS != nil {
		s.http.TLSConfig = o.TLS.config()
	}
	return s
}

// Connections returns how many are open, and how many there have been.
func (s *Server) Connections() (open int, ever int64) { return int(s.open.Load()), s.ever.Load() }

// Check returns an error if the door must not be opened at an address: one that others
// than this machine reach needs TLS, and something that says who asks.
func (o *Options) Check(network, address string) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Unmap().IsLoopback() {
		return nil
	}
	switch {
	case o.TLS == nil:
		return fmt.Errorf("address %s is not of this machine alone (127.0.0.1, [::1], a path): that needs TLS", address)
	case o.Tokens == nil && !o.TLS.mutual():
		return fmt.Errorf("address %s is not of this machine alone (127.0.0.1, [::1], a path): that needs tokens, or certificates of clients", address)
	}
	return nil
}

// Serve answers what comes to a socket, and returns when it is closed.
func (s *Server) Serve(_ context.Context, l net.Listener) error {
	if err := s.o.Check(l.Addr().Network(), l.Addr().String()); err != nil {
		return err
	}
	h := &handed{Listener: l, conns: make(chan net.Conn), closed: make(chan struct{})}
	take := accept.New(accept.Options{Door: "api", Max: s.o.Connections, Own: true, Log: s.o.Log, Handle: h.handle})
	taken := make(chan error, 1)
	go func() {
		defer h.Close() // and so the other ends too
		taken <- take.Serve(s.ctx, l)
	}()
	var err error
	if s.o.TLS != nil {
		err = s.http.ServeTLS(h, "", "")
	} else {
		err = s.http.Serve(h)
	}
	_ = h.Close()
	why := <-taken
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return why
	}
	return errors.Join(err, why)
}

// Shutdown answers what was begun, asynchronous jobs too, and returns when that is
// done, or ctx is and it was broken off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	done := make(chan struct{})
	go func() { s.under.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	s.stop()
	return err
}

// handed is a listener whose connections are those that an accept.Server takes: so many at
// once, of which a newcomer ends one that is idle, of the client that has most.
type handed struct {
	net.Listener
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Listener.Close()
}

// handle hands a connection over, and returns when that is closed.
func (h *handed) handle(_ context.Context, c *accept.Conn) {
	p := &place{Conn: c, done: make(chan struct{})}
	select {
	case h.conns <- p:
		<-p.done
	case <-h.closed:
	}
}

// place is a connection that was taken.
type place struct {
	*accept.Conn
	once sync.Once
	done chan struct{}
}

func (p *place) Close() error {
	defer p.once.Do(func() { close(p.done) })
	return p.Conn.Close()
}

// placeOf is what was taken for a connection, under its TLS.
func placeOf(c net.Conn) *place {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	p, _ := c.(*place)
	return p
}

type peerKey struct{}

// peer is who is at the other end, as far as the connection says.
func peer(c net.Conn) string {
	if p := placeOf(c); p != nil {
		c = p.Conn.Conn
	}
	if u, ok := c.(*net.UnixConn); ok {
		who := "unix"
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					who = fmt.Sprintf("uid %d", u.Uid)
				}
			})
		}
		return who
	}
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

// route is one thing that can be asked.
type route struct {
	method, path string // path as OpenAPI has it: /v1/jobs/{id}
	open         bool   // without a token
	answer       func(s *Server, w http.ResponseWriter, r *request)
}

// request is one that may be answered.
type request struct {
	*http.Request
	client string
	admin  bool   // it may have what others asked for too
	id     string // {id} of the path
}

var routes = [...]route{
	{http.MethodPost, "/v1/scan", false, (*Server).scan},
	{http.MethodGet, "/v1/jobs/{id}", false, (*Server).jobState},
	{http.MethodDelete, "/v1/jobs/{id}", false, (*Server).jobGone},
	{http.MethodGet, "/v1/records", false, (*Server).records},
	{http.MethodGet, "/v1/records/{id}", false, (*Server).record},
	{http.MethodGet, "/v1/rules", false, (*Server).rules},
	{http.MethodGet, "/v1/metrics", false, (*Server).metrics},
	{http.MethodGet, "/v1/health", true, (*Server).health},
	{http.MethodGet, "/v1/openapi.json", true, (*Server).openapi},
}

// matches tells whether a path is the route's, and what stands for {id}.
func (t *route) matches(path string) (id string, ok bool) {
	head, has := strings.CutSuffix(t.path, "{id}")
	if !has {
		return "", path == t.path
	}
	id, ok = strings.CutPrefix(path, head)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	if p := s.foreign(r); p != nil {
		s.refuse(w, r, "", p)
		return
	}
	var allow []string
	for i := range routes {
		t := &routes[i]
		id, ok := t.matches(r.URL.Path)
		if !ok {
			continue
		}
		if t.method != r.Method && (t.method != http.MethodGet || r.Method != http.MethodHead) {
			allow = append(allow, t.method)
			continue
		}
		client, admin, err := s.client(r)
		if err != nil && !t.open {
			h.Set("WWW-Authenticate", `Bearer realm="showcause"`)
			s.refuse(w, r, client, problem(http.StatusUnauthorized, "unauthorized", "a token of the service's, as Authorization: Bearer TOKEN"))
			return
		}
		t.answer(s, w, &request{r, client, admin, id})
		return
	}
	if allow != nil {
		h.Set("Allow", strings.Join(allow, ", "))
		s.refuse(w, r, "", problem(http.StatusMethodNotAllowed, "method", "this path is for "+strings.Join(allow, ", ")))
		return
	}
	s.refuse(w, r, "", problem(http.StatusNotFound, "not-found", "GET /v1/openapi.json says what there is"))
}

// foreign tells what a browser does for another's page.
func (s *Server) foreign(r *http.Request) *Problem {
	return Foreign(r, func(host string) bool {
		if who, _ := r.Context().Value(peerKey{}).(string); strings.HasPrefix(who, "uid ") || who == "unix" {
			return true // no page reaches a path
		}
		return ours(s.o.Hosts, host) || s.o.TLS != nil && s.o.TLS.names(host)
	})
}

// ours tells whether a name is in a list.
func ours(names []string, host string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
}

// Foreign tells what a browser does for another's page: of a name that named does not know,
// or from a page of another origin. Nil is nothing of that. An address is no name, so that
// none can be made to lead elsewhere later (DNS rebinding).
func Foreign(r *http.Request, named func(host string) bool) *Problem {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err != nil && !strings.EqualFold(host, "localhost") && !named(host) {
		return problem(http.StatusMisdirectedRequest, "host", "the name in Host is none of the service's")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return problem(http.StatusForbidden, "origin", "pages of others may not ask")
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	for _, o := range r.Header.Values("Origin") {
		if o != scheme+r.Host {
			return problem(http.StatusForbidden, "origin", "pages of others may not ask")
		}
	}
	return nil
}

var errNobody = errors.New("no token")

// client says who asks, for turns and for the log, and whether it may have what others asked
// for too: root at a path, and a token that says so. With an error it may ask nothing.
func (s *Server) client(r *http.Request) (client string, admin bool, err error) {
	who, _ := r.Context().Value(peerKey{}).(string)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c := r.TLS.VerifiedChains[0][0]
		name := c.Subject.CommonName
		if name == "" && len(c.DNSNames) > 0 {
			name = c.DNSNames[0]
		}
		return "certificate " + name, false, nil
	}
	if s.o.Tokens == nil {
		return who, who == "uid 0", nil
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") {
		if name, admin, ok := s.o.Tokens.Name(strings.TrimSpace(token)); ok {
			return "token " + name, admin, nil
		}
	}
	return who, false, errNobody
}

// write answers with JSON.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	s.raw(w, r, status, b)
}

func (s *Server) raw(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the client may be gone
	}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of types that JSON has
	}
	return append(b, '\n')
}

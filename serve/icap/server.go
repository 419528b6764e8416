package icap

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
)

// Options are how the door behaves. The zero value of a field means its default.
type Options struct {
	Services    []string       // paths that are answered; default any
	Preview     int            // bytes that are asked for first; default 1024
	MaxLength   int64          // bytes of a body; default no bound but the queue's
	Page        string         // HTML for what is blocked, with {{name}}, {{url}}, {{what}}, {{version}}; default one of our own
	OptionsTTL  time.Duration  // for which clients need not ask again; default an hour
	Version     string         // of this program
	Settings    string         // anything that changes when answers may: part of ISTag
	Connections accept.Options // their bounds; Door, Log and Handle are set here
	Log         *slog.Logger
}

// Server answers proxies.
type Server struct {
	*accept.Server
	o Options
	b accept.Scanner
}

// New returns a Server.
func New(b accept.Scanner, o Options) *Server {
	if o.Preview <= 0 {
		o.Preview = 1024
	}
	if o.OptionsTTL <= 0 {
		o.OptionsTTL = time.Hour
	}
	if o.Page == "" {
		o.Page = defaultPage
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, b: b}
	c := o.Connections
	c.Door, c.Log, c.Handle = "icap", o.Log, s.handle
	s.Server = accept.New(c)
	return s
}

// tag is ISTag: it changes when what was answered before may no longer hold. It has at most
// 32 bytes (RFC 3507, section 4.7).
func (s *Server) tag() string {
	sum := sha256.Sum256([]byte(s.b.Digest() + "\n" + s.o.Version + "\n" + s.o.Settings))
	return hex.EncodeToString(sum[:15])
}

// talk is a connection.
type talk struct {
	s  *Server
	c  *accept.Conn
	br *bufio.Reader
	bw *bufio.Writer
}

func (s *Server) handle(ctx context.Context, c *accept.Conn) {
	t := &talk{s: s, c: c, br: bufio.NewReaderSize(c, maxLine), bw: bufio.NewWriterSize(c, 16<<10)}
	for !c.Last() && t.wait() {
		c.Begin()
		last, err := t.one(ctx)
		if err != nil {
			t.fail(err)
			return
		}
		if last {
			c.Linger()
			return
		}
	}
}

// wait returns when a request begins. Empty lines before it are passed over.
func (t *talk) wait() bool {
	t.c.Idle()
	for range 8 {
		b, err := t.br.Peek(1)
		if err != nil {
			return false
		}
		if b[0] != '\r' && b[0] != '\n' {
			return true
		}
		_, _ = t.br.Discard(1)
	}
	return true
}

// fail ends the conversation: where the next request begins is not known.
func (t *talk) fail(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			return // the client is gone
		}
		r = &refusal{408, "request timeout"}
	}
	t.s.o.Log.Debug("request refused", "door", "icap", "client", t.c.Client, "code", r.code, "why", r.why)
	t.head(r.code, true, "Encapsulated: null-body=0\r\n")
	if t.bw.Flush() == nil {
		t.c.Linger()
	}
}

// one answers a request; last says that no other follows.
func (t *talk) one(ctx context.Context) (last bool, err error) {
	r, err := readRequest(t.br)
	if err != nil {
		return true, err
	}
	if err := t.s.admits(r); err != nil {
		return true, err
	}
	last = r.last || t.c.Last()
	if r.method == "OPTIONS" {
		if r.body != "" {
			if _, err := io.Copy(io.Discard, io.LimitReader(&chunks{br: t.br}, 64<<10)); err != nil {
				return true, err
			}
			last = true // there may be more of it
		}
		t.options(r, last)
		return last, t.bw.Flush()
	}
	if r.body == "" {
		t.same(r, nil, last, false)
		return last, t.bw.Flush()
	}
	return t.body(ctx, r, last)
}

// admits tells whether the service is there, and has the method.
func (s *Server) admits(r *request) error {
	if r.service == "*" && r.method == "OPTIONS" {
		return nil
	}
	name := strings.Trim(r.service, "/")
	found := name != "" && len(s.o.Services) == 0
	for _, x := range s.o.Services {
		found = found || strings.Trim(x, "/") == name
	}
	switch {
	case !found:
		return &refusal{404, "service not found"}
	case name == "reqmod" && r.method == "RESPMOD", name == "respmod" && r.method == "REQMOD":
		return &refusal{405, "method not allowed for the service"}
	}
	return nil
}

// body receives a body, has it scanned, and answers.
func (t *talk) body(ctx context.Context, r *request, last bool) (bool, error) {
	client := t.c.Client
	if r.client != "" {
		client += " for " + r.client
	}
	stream, err := t.s.b.Receive(ctx, client, 0)
	if err != nil {
		return true, unable(err)
	}
	defer stream.Close()
	whole, preview, err := t.receive(r, stream)
	if err != nil {
		return true, err
	}
	t.c.Busy()
	q := accept.Request{Client: client, Name: message{r.reqHdr}.target(), Stream: stream}
	if !whole {
		last = true
		q.Gaps = append(q.Gaps, showcause.Gap{Code: showcause.LimitSize, Offset: stream.Size(), Length: 1})
	}
	said, err := t.s.scan(ctx, &q, r)
	if err != nil {
		return true, unable(err)
	}
	last = last || t.c.Last()
	switch {
	case said.Act || said.Failed != "":
		t.blocked(r, &said, q.Name, last)
	case !whole && !r.allow:
		return true, &refusal{500, "body longer than the limit"} // it is not here to be given back
	default:
		if err := t.same(r, stream, last, preview); err != nil {
			return true, err
		}
	}
	return last, t.bw.Flush()
}

// unable turns an error of the queue into one of the protocol.
func unable(err error) error {
	for _, e := range [...]error{queue.ErrBusy, queue.ErrStopping, queue.ErrDeadline, queue.ErrNoSpace} {
		if errors.Is(err, e) {
			return &refusal{503, e.Error()}
		}
	}
	return &refusal{500, "not scanned"}
}

// receive takes a body. whole is false if it is longer than the limit; preview is true if
// it was in its preview.
func (t *talk) receive(r *request, stream accept.Stream) (whole, preview bool, err error) {
	c := &chunks{br: t.br}
	if r.preview >= 0 {
		if _, err := t.copy(stream, c, r.preview); err != nil {
			if errors.Is(err, errLong) {
				err = bad("preview longer than it says")
			}
			return false, false, err
		}
		if c.ieof {
			return true, true, nil
		}
		if _, err := t.bw.WriteString("ICAP/1.0 100 Continue\r\n\r\n"); err != nil {
			return false, false, err
		}
		if err := t.bw.Flush(); err != nil {
			return false, false, err
		}
		c.more()
	}
	most := int64(-1)
	if t.s.o.MaxLength > 0 {
		most = max(t.s.o.MaxLength-stream.Size(), 0)
	}
	_, err = t.copy(stream, c, most)
	if errors.Is(err, errLong) {
		return false, false, nil
	}
	return err == nil, false, err
}

var errLong = errors.New("longer than the limit")

// copy copies most bytes at most; a negative number is no bound.
func (t *talk) copy(to io.Writer, c *chunks, most int64) (n int64, err error) {
	buf := make([]byte, 8<<10)
	for {
		k, err := c.Read(buf)
		if most >= 0 && n+int64(k) > most {
			return n, errLong
		}
		n += int64(k)
		if k > 0 {
			if _, err := to.Write(buf[:k]); err != nil {
				return n, unable(err)
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// scan has a body scanned, as it is and, where its HTTP header says that it is to be read
// otherwise, so too.
func (s *Server) scan(ctx context.Context, q *accept.Request, r *request) (queue.Said, error) {
	m := message{r.resHdr}
	if r.method == "REQMOD" {
		m.hdr = r.reqHdr
	}
	prefix, fill := "", 0
	switch coding := m.get("Content-Encoding"); {
	case strings.EqualFold(coding, "br"):
		prefix, fill = tarHeader("body.br", q.Stream.Size()), tarFill(q.Stream.Size())
	case m.foreign():
		q.Gaps = append(q.Gaps, showcause.Gap{Code: showcause.Unsupported + ".format.content-encoding", Length: q.Stream.Size()})
	default:
		prefix = m.preface()
	}
	said, err := s.b.Scan(ctx, *q)
	if err != nil || prefix == "" || len(said.Names) > 0 || said.Failed != "" {
		return said, err
	}
	second, err := s.b.Receive(ctx, q.Client, 0)
	if err != nil {
		return said, err
	}
	defer second.Close()
	f, err := q.Stream.File()
	if err != nil {
		return said, err
	}
	defer f.Close()
	whole := io.MultiReader(strings.NewReader(prefix), section(f, q.Stream.Size()), strings.NewReader(strings.Repeat("\x00", fill)))
	if _, err := io.Copy(struct{ io.Writer }{second}, whole); err != nil {
		return said, err
	}
	again := *q
	again.Stream = second
	return s.b.Scan(ctx, again)
}

func section(f *os.File, size int64) io.Reader { return io.NewSectionReader(f, 0, size) }

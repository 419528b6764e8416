//go:build !airgap

package ledger

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of one request.
const (
	maxHops   = 5        // redirects
	maxTries  = 4        // addresses of one host
	maxHeader = 64 << 10 // bytes of an answer's head
	// DefaultMax is the longest answer where a Request names none, bytes.
	DefaultMax = 1 << 30
)

// ErrCount says that the kernel counted other bytes on a connection than we did.
var ErrCount = errors.New("the kernel's count of a connection is not ours")

// Options are how requests are made. The zero value works.
type Options struct {
	Version      string         // ours, for the User-Agent: "1.2.0"; letters, digits, points and hyphens
	Proxy        string         // http://host:port; none is taken from the environment
	Roots        *x509.CertPool // nil: the system's
	InsecureHTTP bool           // plain http to other machines too
	KeyLog       io.Writer      // TLS secrets, for who watches the wire (SSLKEYLOGFILE)
	NameServer   string         // ip:port that is asked for names; empty: the system's
	Idle         time.Duration  // longest wait for one packet; 0: 60 s
	Total        time.Duration  // longest time of one request; 0: 30 min
}

// Request is one question for a static file.
type Request struct {
	URL     string
	Purpose Purpose
	Head    bool  // HEAD instead of GET
	Max     int64 // longest answer, bytes; 0: DefaultMax
	// From and To ask for bytes From to To-1 alone; To 0: to the end. A server may
	// answer with the whole file; Restart is called then before the content, if From is not 0.
	From, To int64
	Restart  func() error
}

// Response is what came back. The words are the server's.
type Response struct {
	Status       int
	URL          string // of the last hop
	Bytes        int64  // of the content
	SHA256       string // of the content, hexadecimal; of a GET
	Length       int64  // as announced, -1: not
	ETag         string // at most 256 bytes; never sent back
	LastModified string
	RetryAfter   string // as written, at most 64 bytes
	Whole        int64  // of an answer with status 206: length of the whole file, -1: not said
	Seq          uint64 // of the last send in the ledger, 0: there is none; also beside an error
}

// Client makes requests. It is safe for concurrent use.
type Client struct {
	log   *Log
	o     Options
	agent string
	proxy *target

	dial  net.Dialer
	names names
}

// NewClient returns a client that writes to the log. It refuses under the air gap.
func NewClient(log *Log, o Options) (*Client, error) {
	if err := AirGap(); err != nil {
		return nil, err
	}
	c := &Client{log: log, o: o}
	if o.Version == "" {
		o.Version = "devel"
	}
	for _, r := range []byte(o.Version) {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' || len(o.Version) > 32 {
			return nil, errors.New("client: version is not of letters, digits, points and hyphens")
		}
	}
	c.agent = "showcause/" + o.Version
	if o.Proxy != "" {
		p, err := parseTarget(o.Proxy)
		if err == nil && (p.scheme != "http" || p.path != "/") {
			err = errors.New("want http://host:port")
		}
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		c.proxy = &p
	}
	if c.o.Idle <= 0 {
		c.o.Idle = time.Minute
	}
	if c.o.Total <= 0 {
		c.o.Total = 30 * time.Minute
	}
	if o.NameServer != "" {
		if _, err := netip.ParseAddrPort(o.NameServer); err != nil {
			return nil, errors.New("name server: want IP:PORT")
		}
	}
	c.dial = net.Dialer{Timeout: c.o.Idle, KeepAlive: -1}
	c.dial.SetMultipathTCP(false)
	return c, nil
}

// Do makes a request and writes the content of an answer with status 200, or 206
// to a request for a part, to w.
// Each hop of a redirect is a request of its own in the ledger. An answer with
// another status is no error. What reached w before an error is not to be used.
func (c *Client) Do(ctx context.Context, r Request, w io.Writer) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Total)
	defer cancel()
	if !r.Purpose.Known() {
		return Response{}, fmt.Errorf("request: unknown purpose %q", r.Purpose)
	}
	if r.Max <= 0 {
		r.Max = DefaultMax
	}
	t, err := parseTarget(r.URL)
	if err != nil {
		return Response{}, fmt.Errorf("url %s: %w", plainText(r.URL, 200), err)
	}
	var after uint64
	least := here // the nearest that may be asked
	for hop := 0; ; hop++ {
		if err := ctx.Err(); err != nil { // no entry for what is not tried
			return Response{Seq: after}, fmt.Errorf("%s: %w", t.url(), err)
		}
		if err := c.allowed(t); err != nil {
			return Response{Seq: after}, fmt.Errorf("url %s: %w", t.url(), err)
		}
		resp, to, at, err := c.hop(ctx, r, t, after, least, w)
		if resp.Seq == 0 {
			resp.Seq = after // nothing was sent in this hop
		}
		if err != nil {
			return resp, fmt.Errorf("%s: %w", t.url(), err)
		}
		if to == "" {
			return resp, nil
		}
		if hop == maxHops {
			return resp, fmt.Errorf("%s: more than %d redirects", t.url(), maxHops)
		}
		next, err := redirect(t, to)
		if err != nil {
			return resp, fmt.Errorf("%s: redirect to %s: %w", t.url(), plainText(to, 200), err)
		}
		t, after, least = next, resp.Seq, at
	}
}

// allowed refuses plain http to other machines.
func (c *Client) allowed(t target) error {
	if t.scheme == "http" && !t.local() && !c.o.InsecureHTTP {
		return errors.New("http is sent to this machine only; use https, or allow it (--insecure-http)")
	}
	return nil
}

// redirect works out where an answer points to.
func redirect(from target, to string) (target, error) {
	base, err := url.Parse(from.url())
	if err != nil {
		return target{}, err
	}
	if len(to) > maxURL {
		return target{}, errors.New("too long")
	}
	u, err := base.Parse(to)
	if err != nil {
		return target{}, errors.New("not a URL")
	}
	t, err := parseTarget(u.String())
	switch {
	case err != nil:
		return t, err
	case from.scheme == "https" && t.scheme != "https":
		return t, errors.New("from https to http")
	case t.distance() == here && !from.local():
		return t, errors.New("from another machine to this one")
	}
	return t, nil
}

// hop sends one request to one of a host's addresses. Another address is tried
// only as long as nothing of the request was sent. A redirect (after is not 0)
// is followed to nothing nearer than least; at is how near the host was that
// answered, as far as it can be known.
func (c *Client) hop(ctx context.Context, r Request, t target, after uint64, least distance, w io.Writer) (resp Response, to string, at distance, err error) {
	peer := t
	if c.proxy != nil {
		peer = *c.proxy
	}
	addrs, err := c.resolve(ctx, peer.host, r.Purpose)
	if err != nil {
		return resp, "", far, err
	}
	addrs = slices.DeleteFunc(slices.Clone(addrs), netip.Addr.IsUnspecified) // names no machine; Linux takes it for this one
	if after != 0 || t.scheme == "http" && !c.o.InsecureHTTP {
		addrs = reachable(t, addrs, least, c.proxy != nil)
	}
	if len(addrs) == 0 {
		return resp, "", far, errors.New("the host's address is not one that may be asked here")
	}
	method := "GET"
	if r.Head {
		method = "HEAD"
	}
	tunnel, request := t.plaintext(method, c.agent, rangeOf(r), c.proxy != nil)
	plain := tunnel + request
	for _, a := range addrs[:min(len(addrs), maxTries)] {
		s := &Send{
			Purpose: r.Purpose, Method: method, Scheme: t.scheme, Host: t.host, Port: t.port, After: after,
			Address:  netip.AddrPortFrom(a, peer.port).String(),
			BytesOut: int64(len(plain)), SHA256: digest([]byte(plain)), Tunnel: int64(len(tunnel)), Plain: plain,
		}
		if c.proxy != nil {
			s.Proxy = peer.hostPort(true)
		}
		if _, err := netip.ParseAddr(t.host); t.scheme == "https" && err != nil {
			s.SNI = t.host
		}
		at = t.distance()
		if c.proxy == nil {
			at = distanceOf(a)
		}
		var sent bool
		resp, to, sent, err = c.exchange(ctx, r, t, s, tunnel, request, w)
		if err == nil || sent || ctx.Err() != nil {
			break
		}
	}
	return resp, to, at, err
}

// reachable keeps the addresses that a host may have: for plain http those of
// this machine; behind a redirect those that are not nearer than who redirected
// there. What a proxy asks is known only where the URL has an address.
func reachable(t target, addrs []netip.Addr, least distance, proxied bool) []netip.Addr {
	if proxied {
		if d := t.distance(); d < least && !t.local() {
			return nil
		}
		return addrs
	}
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool {
		d := distanceOf(a)
		return (d == here) != t.local() || d < least && d != here
	})
}

// exchange writes the entry, connects, sends, reads the answer and closes the
// entry. sent tells whether any of the plaintext may have left.
func (c *Client) exchange(ctx context.Context, r Request, t target, s *Send, tunnel, request string, w io.Writer) (resp Response, to string, sent bool, err error) {
	seq, err := c.log.append(ctx, &Entry{Kind: KindSend, Send: s})
	if err != nil {
		return resp, "", true, err
	}
	resp.Seq = seq
	done := &Close{Of: seq, TCPOut: -1, TCPIn: -1, Unread: -1, Repeated: -1, Segments: -1}
	x := &exchange{ctx: ctx, client: c, target: t, send: s, done: done}
	err = x.run(r, tunnel, request, w, &resp)
	done.Status = resp.Status
	if err != nil {
		done.Error = reason(err)
	} else if !done.agrees() {
		err = ErrCount
		done.Error = "count"
	}
	// Also after ctx has ended: what was sent is to be on record.
	if _, lerr := c.log.append(context.WithoutCancel(ctx), &Entry{Kind: KindClose, Close: done}); lerr != nil {
		return resp, "", true, errors.Join(err, lerr)
	}
	return resp, x.to, done.Sent > 0, err
}

// exchange is one request over one connection.
type exchange struct {
	ctx    context.Context
	client *Client
	target target
	send   *Send
	done   *Close
	to     string // redirected to
}

func (x *exchange) run(r Request, tunnel, request string, w io.Writer, resp *Response) (err error) {
	raw, err := x.client.dial.DialContext(x.ctx, "tcp", x.send.Address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	conn := &counted{Conn: raw, ctx: x.ctx, idle: x.client.o.Idle}
	stop := conn.hurry()
	var stream net.Conn = conn
	defer func() {
		stop()
		if stream != net.Conn(conn) {
			stream.(*tls.Conn).CloseWrite() // says that this is the end; the reader is gone before
		}
		k := conn.kernel()
		x.done.TCPOut, x.done.TCPIn, x.done.Unread, x.done.Repeated, x.done.Segments = k.out, k.in, k.unread, k.repeated, k.segments
		x.done.WireOut, x.done.WireIn = conn.out.Load(), conn.in.Load()
		raw.Close()
	}()
	if tunnel != "" {
		if err := x.tunnel(stream, tunnel); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	if x.target.scheme == "https" {
		t := tls.Client(conn, &tls.Config{
			ServerName: x.target.host, RootCAs: x.client.o.Roots, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"}, KeyLogWriter: x.client.o.KeyLog,
			// No session cache: a ticket is a name that the server gives us.
		})
		if err := t.HandshakeContext(x.ctx); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		stream = t
	}
	n, err := io.WriteString(stream, request)
	x.done.Sent += int64(n)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return x.answer(stream, r, w, resp)
}

// tunnel opens a way through a proxy.
func (x *exchange) tunnel(conn net.Conn, text string) error {
	n, err := io.WriteString(conn, text)
	x.done.Sent += int64(n)
	if err != nil {
		return err
	}
	// Byte by byte, since what comes after the head is the host's.
	var head []byte
	var b [1]byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if len(head) == maxHeader/8 {
			return errors.New("head of the answer is too long")
		}
		n, err := conn.Read(b[:])
		head = append(head, b[:n]...)
		x.done.BytesIn += int64(n)
		if err != nil {
			return err
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(head))), &http.Request{Method: "CONNECT"})
	if err != nil {
		return errors.New("answer is not HTTP")
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// inflow counts and bounds what is read of an answer.
type inflow struct {
	io.LimitedReader
	read int64
}

func (r *inflow) Read(p []byte) (int, error) {
	n, err := r.LimitedReader.Read(p)
	r.read += int64(n)
	return n, err
}

// answer reads an answer.
func (x *exchange) answer(conn io.Reader, r Request, w io.Writer, resp *Response) error {
	in := &inflow{LimitedReader: io.LimitedReader{R: conn, N: maxHeader}}
	defer func() { x.done.BytesIn += in.read }()
	br := bufio.NewReader(in)
	head, err := readHead(br, x.send.Method)
	if err != nil {
		if in.N <= 0 {
			err = fmt.Errorf("head of the answer is over %d bytes", maxHeader)
		}
		return fmt.Errorf("answer: %w", err)
	}
	resp.Status, resp.URL, resp.Length = head.StatusCode, x.target.url(), head.ContentLength
	resp.RetryAfter = plainText(head.Header.Get("Retry-After"), 64)
	resp.ETag, resp.LastModified = plainText(head.Header.Get("ETag"), 256), plainText(head.Header.Get("Last-Modified"), 64)
	switch head.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if x.to = head.Header.Get("Location"); x.to == "" {
			return errors.New("answer: a redirect to nowhere")
		}
		return nil
	case http.StatusOK:
		if r.From > 0 && !r.Head && r.Restart != nil {
			if err := r.Restart(); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	case http.StatusPartialContent:
		from, whole, ok := partAt(head.Header.Get("Content-Range"))
		if !ok || from != r.From || rangeOf(r) == "" {
			return errors.New("answer: another part than what was asked for")
		}
		resp.Whole = whole
	default:
		return nil
	}
	if e := head.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return errors.New("answer: content is encoded, which was not asked for")
	}
	if r.Head {
		return nil
	}
	if head.ContentLength < 0 && len(head.TransferEncoding) == 0 && x.target.scheme == "http" {
		return errors.New("answer: no length, so that it cannot be told whether it is whole")
	}
	if head.ContentLength > r.Max {
		return fmt.Errorf("answer: %d bytes, at most %d are taken", head.ContentLength, r.Max)
	}
	in.N = 2*r.Max + maxHeader // chunks have heads
	return content(head.Body, r.Max, w, resp)
}

// readHead reads the head of the answer, after those that say "wait".
func readHead(br *bufio.Reader, method string) (*http.Response, error) {
	for range 4 {
		head, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			var errno syscall.Errno
			if errors.As(err, &errno) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || isTimeout(err) ||
				errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return nil, err
			}
			return nil, errors.New("not HTTP") // the error would hold the server's bytes
		}
		if head.StatusCode >= 200 {
			return head, nil
		}
		if head.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	return nil, errors.New("not an answer to what was asked")
}

// content copies the content of an answer and takes its digest.
func content(body io.Reader, most int64, w io.Writer, resp *Response) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(body, most+1))
	resp.Bytes = n
	switch {
	case err != nil:
		return fmt.Errorf("answer: after %d bytes: %w", n, err)
	case n > most:
		return fmt.Errorf("answer: more than the %d bytes that are taken", most)
	}
	resp.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// reason is an error as it stands in the ledger: without addresses, which
// stand in the entry, and without what the server made up as far as possible.
func reason(err error) string {
	step, _, _ := strings.Cut(err.Error(), ": ")
	var errno syscall.Errno
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return step + ": interrupted"
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return step + ": timed out"
	case errors.As(err, &errno):
		return step + ": " + errno.Error()
	case errors.As(err, &cert):
		return step + ": certificate is not trusted"
	}
	return plainText(err.Error(), 160)
}

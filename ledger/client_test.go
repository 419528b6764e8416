//go:build !airgap

package ledger

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A recorder is a server that keeps every byte it is sent, and answers each
// connection with what answer makes of the request.
type recorder struct {
	net.Listener
	pool   *x509.CertPool
	answer func(request string) string

	mu    sync.Mutex
	got   []string // plaintext of each connection, whole
	wg    sync.WaitGroup
	proxy bool // CONNECT is answered and the rest goes to where it says
}

// serve starts a recorder; with TLS if certificate is set.
func serve(t testing.TB, secure bool, answer func(string) string) *recorder {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", secure, answer)
}

func serveAt(t testing.TB, addr string, secure bool, answer func(string) string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: l, answer: answer}
	if secure {
		var cert tls.Certificate
		cert, r.pool = certificate(t)
		r.Listener = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
	}
	r.wg.Go(func() {
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.handle(c) })
		}
	})
	t.Cleanup(func() { r.Close(); r.wg.Wait() })
	return r
}

func (r *recorder) handle(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var got []byte
	b := make([]byte, 4096)
	for !bytes.HasSuffix(got, []byte("\r\n\r\n")) {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			break
		}
	}
	r.mu.Lock()
	r.got = append(r.got, string(got))
	i := len(r.got) - 1
	r.mu.Unlock()
	if r.proxy && bytes.HasPrefix(got, []byte("CONNECT ")) {
		to, err := net.Dial("tcp", strings.Fields(string(got))[1])
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(to, c); to.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, to)
		to.Close()
		return
	}
	if len(got) > 0 {
		io.WriteString(c, r.answer(string(got)))
	}
	if t, ok := c.(*tls.Conn); ok {
		t.CloseWrite()
	} else {
		c.(*net.TCPConn).CloseWrite()
	}
	rest, _ := io.ReadAll(c)
	r.mu.Lock()
	r.got[i] += string(rest)
	r.mu.Unlock()
}

// requests waits for the connections to end and returns what came over them.
func (r *recorder) requests() []string {
	r.Close()
	r.wg.Wait()
	return r.got
}

func (r *recorder) port() string {
	_, p, _ := net.SplitHostPort(r.Addr().String())
	return p
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "rules.example.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func ok(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nETag: \"x\"\r\nSet-Cookie: id=1\r\nLast-Modified: Fri, 21 Nov 2025 08:00:00 GMT\r\n\r\n" + body
}

// client makes a ledger and a client of it.
func client(t testing.TB, o Options) (*Client, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if o.Version == "" {
		o.Version = "1.2.3"
	}
	c, err := NewClient(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

type pair struct {
	*Send
	*Close
	seq uint64
}

// pairs reads the sends of a ledger with their closes.
func pairs(t testing.TB, dir string) []pair {
	t.Helper()
	var out []pair
	at := map[uint64]int{}
	if _, err := Read(dir, func(e *Entry) error {
		switch {
		case e.Send != nil:
			at[e.Seq] = len(out)
			out = append(out, pair{Send: e.Send, seq: e.Seq})
		case e.Close != nil:
			if i, ok := at[e.Close.Of]; ok {
				out[i].Close = e.Close
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// The plaintext in the ledger is byte for byte what a server gets, and the
// counts are the kernel's.
func TestExchange(t *testing.T) {
	body := strings.Repeat("rule\n", 100_000)
	for _, secure := range []bool{false, true} {
		r := serve(t, secure, func(string) string { return ok(body) })
		c, dir := client(t, Options{Roots: r.pool})
		scheme, host := "http", "127.0.0.1"
		if secure {
			scheme, host = "https", "localhost"
		}
		base := scheme + "://" + host + ":" + r.port()
		for i, req := range []Request{
			{URL: base + "/a%20b/../c.ndb", Purpose: UpdateRules},
			{URL: strings.ToUpper(base), Purpose: UpdateMetadata, Head: true},
		} {
			var got bytes.Buffer
			resp, err := c.Do(t.Context(), req, &got)
			if err != nil || resp.Status != 200 || resp.Length != int64(len(body)) || resp.ETag != `"x"` || resp.LastModified == "" {
				t.Fatalf("%s: %+v %v", req.URL, resp, err)
			}
			if !req.Head && (got.String() != body || resp.SHA256 != digest([]byte(body)) || resp.Bytes != int64(len(body))) {
				t.Errorf("%s: %d bytes, %+v", req.URL, got.Len(), resp)
			}
			p := pairs(t, dir)[i]
			if p.seq != resp.Seq || p.Close == nil {
				t.Fatalf("entries: %+v", p)
			}
			if p.Status != 200 || p.Sent != p.BytesOut || p.Error != "" || p.TCPOut != p.WireOut || p.WireOut < p.Sent || !p.Close.agrees() || p.Segments < 2 {
				t.Errorf("close: %+v", p.Close)
			}
			if !secure && p.WireOut != p.BytesOut || secure && p.WireOut <= p.BytesOut {
				t.Errorf("%d bytes of plaintext, %d on the wire", p.BytesOut, p.WireOut)
			}
			wantSNI := ""
			if secure {
				wantSNI = "localhost"
			}
			if p.SNI != wantSNI || p.Address != r.Addr().String() || p.Host != host || fmt.Sprint(p.Port) != r.port() || p.Scheme != scheme {
				t.Errorf("send: %+v", p.Send)
			}
		}
		got := r.requests()
		want := []string{
			"GET /a%20b/../c.ndb HTTP/1.1\r\nHost: " + host + ":" + r.port() + "\r\nUser-Agent: showcause/1.2.3\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n",
			"HEAD / HTTP/1.1\r\nHost: " + host + ":" + r.port() + "\r\nUser-Agent: showcause/1.2.3\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n",
		}
		for i, p := range pairs(t, dir) {
			if got[i] != want[i] || p.Plain != got[i] {
				t.Errorf("server got %q\nledger says %q\nwant %q", got[i], p.Plain, want[i])
			}
		}
	}
}

// Each hop is an entry; where it may not go, nothing is sent.
func TestRedirect(t *testing.T) {
	var base string
	to := map[string]string{
		"/1": "/2", "/2": "3", "/loop": "/loop", "/query": "/2?id=7", "/user": "http://me:pw@127.0.0.1/", "/none": "", "/ftp": "ftp://127.0.0.1/x",
		"/far": "http://192.0.2.1/", "/frag": "/2#x", "/bad": "http://[", "/nl": "/\x01", "/long": "/" + strings.Repeat("a", maxURL),
	}
	r := serve(t, false, func(q string) string {
		path := strings.Fields(q)[1]
		l, ok2 := to[path]
		switch {
		case !ok2:
			return ok("done")
		case l == "":
			return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 302 Found\r\nLocation: " + l + "\r\nContent-Length: 5\r\n\r\nhello"
	})
	base = "http://127.0.0.1:" + r.port()
	c, dir := client(t, Options{})
	var b bytes.Buffer
	resp, err := c.Do(t.Context(), Request{URL: base + "/1", Purpose: UpdateRules}, &b)
	if err != nil || b.String() != "done" || resp.URL != base+"/3" {
		t.Fatalf("%+v %q %v", resp, b.String(), err)
	}
	p := pairs(t, dir)
	if len(p) != 3 || p[0].After != 0 || p[1].After != p[0].seq || p[2].After != p[1].seq {
		t.Errorf("%d hops: %+v", len(p), p)
	}
	for path, want := range map[string]string{
		"/loop": "more than 5 redirects", "/query": "query", "/user": "password", "/none": "nowhere", "/ftp": "scheme", "/far": "this machine only",
		"/frag": "fragment", "/bad": "not a URL", "/nl": "not HTTP", "/long": "too long",
	} {
		n := len(pairs(t, dir))
		resp, err := c.Do(t.Context(), Request{URL: base + path, Purpose: UpdateRules}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		if all := pairs(t, dir); resp.Seq != all[len(all)-1].seq {
			t.Errorf("%s: seq %d, the last request is %d", path, resp.Seq, all[len(all)-1].seq)
		}
		if m := len(pairs(t, dir)) - n; m != 1 && path != "/loop" || path == "/loop" && m != 6 {
			t.Errorf("%s: %d entries", path, m)
		}
	}
	for i, q := range r.requests() {
		if p := pairs(t, dir)[i]; p.Plain != q {
			t.Errorf("server got %q\nledger says %q", q, p.Plain)
		}
	}

	s := serve(t, true, func(string) string {
		return "HTTP/1.1 301 Moved\r\nLocation: " + base + "/3\r\nContent-Length: 0\r\n\r\n"
	})
	c, _ = client(t, Options{Roots: s.pool, InsecureHTTP: true})
	if _, err := c.Do(t.Context(), Request{URL: "https://localhost:" + s.port(), Purpose: UpdateRules}, io.Discard); err == nil || !strings.Contains(err.Error(), "https to http") {
		t.Errorf("https to http: %v", err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"https://a.test/", "https://127.0.0.1/", "to this one"},
		{"https://a.test/", "https://localhost/", "to this one"},
		{"https://a.test/", "https://[::1]/", "to this one"},
		{"https://a.test/", "https://[::ffff:127.0.0.1]/", "to this one"},
		{"https://a.test/", "//b.test/x", ""},
		{"https://a.test/", "https://b.test/?", "query"},
	} {
		from, err := parseTarget(c.from)
		if err != nil {
			t.Fatal(err)
		}
		_, err = redirect(from, c.to)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
}

// Answers that are not taken.
func TestAnswers(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"nothing", "", "answer:"},
		{"not HTTP", "SSH-2.0-x\r\n\r\n", "not HTTP"},
		{"short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "unexpected EOF"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\nabc", "no length"},
		{"too long", "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + strings.Repeat("a", 2000), "at most 1000"},
		{"too long in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + strings.Repeat("a", 2000) + "\r\n0\r\n\r\n", "more than the 1000"},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ""},
		{"chunks cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "unexpected EOF"},
		{"chunks of nothing", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\na\r\n", 40) + "0\r\n\r\n", "answer"},
		{"gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "encoded"},
		{"long head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "over 65536"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "not HTTP"},
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ""},
		{"hints for ever", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20), "not an answer"},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "not an answer"},
		{"not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", "404"},
		{"unmodified", "HTTP/1.1 304 Not Modified\r\n\r\n", "304"},
	} {
		r := serve(t, false, func(string) string { return c.answer })
		cl, dir := client(t, Options{})
		var b bytes.Buffer
		resp, err := cl.Do(t.Context(), Request{URL: "http://127.0.0.1:" + r.port() + "/", Purpose: UpdateRules, Max: 1000}, &b)
		p := pairs(t, dir)
		switch {
		case len(c.want) == 3:
			if err != nil || fmt.Sprint(resp.Status) != c.want || b.Len() != 0 {
				t.Errorf("%s: %+v %v", c.name, resp, err)
			}
		case c.want == "" && (err != nil || b.String() != "abc"):
			t.Errorf("%s: %q %v", c.name, b.String(), err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		}
		if len(p) != 1 || p[0].Close == nil || (err == nil) != (p[0].Error == "") || p[0].TCPOut != p[0].BytesOut {
			t.Errorf("%s: %+v %+v", c.name, p[0].Send, p[0].Close)
		}
		if b.Len() > 1001 {
			t.Errorf("%s: %d bytes came through", c.name, b.Len())
		}
	}
}

// What is not a plain question for a static file is not sent, nor written down.
func TestURLs(t *testing.T) {
	c, dir := client(t, Options{})
	for u, want := range map[string]string{
		"http://127.0.0.1/?":                            "query",
		"http://127.0.0.1/a?b=c":                        "query",
		"http://u@127.0.0.1/":                           "user name",
		"http://u:p@127.0.0.1/":                         "user name",
		"http://@127.0.0.1/":                            "user name",
		"http://127.0.0.1/#f":                           "fragment",
		"http://127.0.0.1/#":                            "fragment",
		"http://example.test/":                          "this machine only",
		"http://192.0.2.1/":                             "this machine only",
		"http://127.0.0.1.example.test/":                "this machine only",
		"http://localhost.example.test/":                "this machine only",
		"http://2130706433/":                            "this machine only",
		"ftp://127.0.0.1/":                              "scheme",
		"file:///etc/passwd":                            "scheme",
		"127.0.0.1/":                                    "scheme",
		"":                                              "scheme",
		"http:127.0.0.1":                                "no host",
		"http:///x":                                     "no host",
		"http://127.0.0.1:0/":                           "port",
		"http://127.0.0.1:65536/":                       "port",
		"http://127.0.0.1:/":                            "colon",
		"http://127.0.0.1:x/":                           "not a URL",
		"http://127.0.0.1/\r\nX: y":                     "character",
		"http://127.0.0.1/a b":                          "character",
		"http://127.0.0.1/ü":                            "character",
		"https://exämple.test/":                         "character",
		"https://a..test/":                              "host name",
		"https://-a.test/":                              "host name",
		"https://a%41.test/":                            "not a URL",
		"https://[fe80::1%25eth0]/":                     "zone",
		"https://" + strings.Repeat("a", 64) + ".test/": "host name",
		"https://a.test/" + strings.Repeat("a", maxURL): "longer",
	} {
		if _, err := c.Do(t.Context(), Request{URL: u, Purpose: UpdateRules}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", u, err)
		}
	}
	if _, err := c.Do(t.Context(), Request{URL: "http://127.0.0.1/", Purpose: "telemetry"}, io.Discard); err == nil {
		t.Error("a purpose that is not in the list")
	}
	if s := mustRead(t, dir); s.Lines != 1 {
		t.Errorf("%d lines in the ledger", s.Lines)
	}
}

// Whatever URL is taken: one request line, one host, no more headers than ours.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1/a", "https://[::1]:8443/%0d%0aX:y", "https://a.test", "http://a.test:80/;x=y/../", "https://a%2fb/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		x, err := parseTarget(raw)
		if err != nil {
			return
		}
		again, err := parseTarget(x.url())
		if err != nil || again != x {
			t.Errorf("%q: %+v, again %+v %v", raw, x, again, err)
		}
		for _, proxied := range []bool{false, true} {
			tunnel, request := x.plaintext("GET", "showcause/1", "", proxied)
			all := tunnel + request
			if strings.Count(request, "\r\n") != 6 || strings.Count(request, "\n") != 6 || len(strings.Fields(strings.SplitN(request, "\r\n", 2)[0])) != 3 ||
				strings.ContainsAny(all, "?#@\x00") || len(all) > MaxPlain {
				t.Errorf("%q: %q", raw, all)
			}
			for _, c := range []byte(all) {
				if c != '\r' && c != '\n' && (c < ' ' || c > '~') {
					t.Errorf("%q: %q", raw, all)
				}
			}
		}
	})
}

// A log that cannot be written to: nothing is sent, not even a connection made.
func TestNoEntryNoRequest(t *testing.T) {
	r := serve(t, false, func(string) string { return ok("x") })
	for name, spoil := range map[string]func(c *Client, file string){
		"closed":  func(c *Client, _ string) { c.log.Close() },
		"deleted": func(_ *Client, f string) { os.Remove(f) },
		"cut":     func(_ *Client, f string) { os.Truncate(f, 10) },
		"changed": func(_ *Client, f string) {
			os.WriteFile(f, []byte(strings.Repeat("x", 100_000)), 0o600)
		},
	} {
		c, dir := client(t, Options{})
		spoil(c, filepath.Join(dir, FileName))
		if _, err := c.Do(t.Context(), Request{URL: "http://localhost:" + r.port() + "/", Purpose: UpdateRules}, io.Discard); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if got := r.requests(); len(got) != 0 {
		t.Errorf("%d connections: %q", len(got), got)
	}
}

// No address answers: each try is an entry with its error. With 127.0.0.1 and
// ::1, a server on one of them is found.
func TestTries(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c, dir := client(t, Options{})
	_, err = c.Do(t.Context(), Request{URL: "http://localhost:" + port + "/", Purpose: UpdateRules}, io.Discard)
	if err == nil {
		t.Fatal("nobody answered, and yet")
	}
	p := pairs(t, dir)
	if len(p) != 2 || p[0].Address != "127.0.0.1:"+port || p[1].Address != "[::1]:"+port || p[0].Error != "connect: connection refused" || p[0].Sent != 0 || p[0].WireOut != 0 || p[0].TCPOut != -1 {
		t.Errorf("%+v %+v", p[0].Close, p)
	}
}

// A server that is silent, or that never ends, does not hold us.
func TestSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, o := range map[string]Options{"idle": {Idle: 200 * time.Millisecond}, "total": {Total: 200 * time.Millisecond}, "cancel": {}} {
		for _, scheme := range []string{"http", "https"} {
			c, dir := client(t, o)
			ctx, cancel := context.WithCancel(t.Context())
			if name == "cancel" {
				time.AfterFunc(200*time.Millisecond, cancel)
			}
			_, err := c.Do(ctx, Request{URL: scheme + "://" + l.Addr().String(), Purpose: UpdateRules}, io.Discard)
			cancel()
			p := pairs(t, dir)
			want := "timed out"
			if name == "cancel" {
				want = "interrupted"
			}
			if err == nil || len(p) != 1 || p[0].Close == nil || !strings.HasSuffix(p[0].Error, want) {
				t.Errorf("%s %s: %v %+v", name, scheme, err, p)
			}
		}
	}
}

// What is ended before it begins is not written down either.
func TestEnded(t *testing.T) {
	c, dir := client(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, Request{URL: "http://127.0.0.1:1/", Purpose: UpdateRules}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := mustRead(t, dir); s.Lines != 1 {
		t.Errorf("%d lines", s.Lines)
	}
}

func TestTLSRefused(t *testing.T) {
	r := serve(t, true, func(string) string { return ok("x") })
	c, dir := client(t, Options{})
	_, err := c.Do(t.Context(), Request{URL: "https://localhost:" + r.port() + "/secret", Purpose: UpdateRules}, io.Discard)
	if err == nil {
		t.Fatal("an unknown certificate is trusted")
	}
	p := pairs(t, dir)
	if p[0].Error != "tls: certificate is not trusted" || p[0].Sent != 0 || p[0].WireOut == 0 || p[0].TCPOut != p[0].WireOut {
		t.Errorf("%+v", p[0].Close)
	}
	c, _ = client(t, Options{Roots: r.pool})
	if _, err := c.Do(t.Context(), Request{URL: "https://127.0.0.2:" + r.port() + "/", Purpose: UpdateRules}, io.Discard); err == nil {
		t.Error("a certificate of another address")
	}
	for _, q := range r.requests() {
		if q != "" {
			t.Errorf("server got %q", q)
		}
	}
}

// A certificate that is trusted, but of another name or time.
func TestTLSNameAndTime(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct {
		what        string
		names       []string
		from, until time.Time
		good        bool
	}{
		{"good", []string{"localhost"}, now.Add(-time.Hour), now.Add(time.Hour), true},
		{"another name", []string{"other.test", "*.localhost"}, now.Add(-time.Hour), now.Add(time.Hour), false},
		{"expired", []string{"localhost"}, now.Add(-2 * time.Hour), now.Add(-time.Hour), false},
		{"yet to come", []string{"localhost"}, now.Add(time.Hour), now.Add(2 * time.Hour), false},
		{"no name but the common one", nil, now.Add(-time.Hour), now.Add(time.Hour), false},
	} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: c.from, NotAfter: c.until, DNSNames: c.names,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		root, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(root)
		plain, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
		r := &recorder{Listener: l, answer: func(string) string { return ok("x") }}
		r.wg.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				r.wg.Go(func() { r.handle(conn) })
			}
		})
		cl, dir := client(t, Options{Roots: pool})
		_, err = cl.Do(t.Context(), Request{URL: "https://localhost:" + r.port() + "/secret", Purpose: UpdateRules}, io.Discard)
		asked := strings.Contains(strings.Join(r.requests(), ""), "secret")
		p := pairs(t, dir)
		if (err == nil) != c.good || asked != c.good || !c.good && (p[0].Error != "tls: certificate is not trusted" || p[0].Sent != 0) {
			t.Errorf("%s: %v, asked %v, %+v", c.what, err, asked, p[0].Close)
		}
	}
}

// A server that drips its answer so that no single wait is long does not hold
// us beyond the time of a request.
func TestSlow(t *testing.T) {
	for name, start := range map[string]string{"head": "HTTP/1.1 200 OK\r\nX: ", "body": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			for _, err = io.WriteString(c, start); err == nil; _, err = io.WriteString(c, "a") {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		c, dir := client(t, Options{Idle: 20 * time.Second, Total: 500 * time.Millisecond})
		_, err = c.Do(t.Context(), Request{URL: "http://" + l.Addr().String(), Purpose: UpdateRules}, io.Discard)
		p := pairs(t, dir)
		if err == nil || len(p) != 1 || p[0].Close == nil || !strings.HasSuffix(p[0].Error, "timed out") || p[0].BytesIn == 0 {
			t.Errorf("%s: %v %+v", name, err, p)
		}
	}
}

// TLS below 1.2 is not spoken, and no ticket is sent back.
func TestTLSVersion(t *testing.T) {
	cert, pool := certificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { c.(*tls.Conn).Handshake(); c.Close() }()
		}
	}()
	c, _ := client(t, Options{Roots: pool})
	if _, err := c.Do(t.Context(), Request{URL: "https://" + l.Addr().String(), Purpose: UpdateRules}, io.Discard); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	var resumed []bool
	var mu sync.Mutex
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		mu.Lock()
		defer mu.Unlock()
		resumed = append(resumed, s.DidResume)
		return nil
	}
	m, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: m, answer: func(string) string { return ok("x") }}
	r.wg.Go(func() {
		for {
			c, err := m.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.handle(c) })
		}
	})
	for range 3 {
		if _, err := c.Do(t.Context(), Request{URL: "https://" + m.Addr().String(), Purpose: UpdateRules}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	r.requests()
	if len(resumed) != 3 || resumed[1] || resumed[2] {
		t.Errorf("resumed: %v", resumed)
	}
}

// Through a proxy, by name only. None is taken from the environment.
func TestProxy(t *testing.T) {
	plain := serve(t, false, func(string) string { return ok("plain") })
	secure := serve(t, true, func(string) string { return ok("secure") })
	proxy := serve(t, false, func(string) string { return ok("by proxy") })
	proxy.proxy = true
	t.Setenv("HTTP_PROXY", "http://"+proxy.Addr().String())
	t.Setenv("HTTPS_PROXY", "http://"+proxy.Addr().String())
	t.Setenv("ALL_PROXY", "http://"+proxy.Addr().String())
	c, _ := client(t, Options{Roots: secure.pool, InsecureHTTP: true})
	var b bytes.Buffer
	if _, err := c.Do(t.Context(), Request{URL: "http://" + plain.Addr().String(), Purpose: UpdateRules}, &b); err != nil || b.String() != "plain" {
		t.Fatalf("%q %v", b.String(), err)
	}
	if n := len(proxy.got); n != 0 {
		t.Fatalf("%d connections to a proxy that nobody named", n)
	}
	c, dir := client(t, Options{Roots: secure.pool, Proxy: "http://" + proxy.Addr().String()})
	for url, want := range map[string]string{"http://localhost:81/x": "by proxy", "https://" + secure.Addr().String() + "/y": "secure"} {
		b.Reset()
		if _, err := c.Do(t.Context(), Request{URL: url, Purpose: UpdateRules}, &b); err != nil || b.String() != want {
			t.Errorf("%s: %q %v", url, b.String(), err)
		}
	}
	in := secure.requests()
	out := proxy.requests()
	for _, p := range pairs(t, dir) {
		if p.Proxy != proxy.Addr().String() || p.Address != p.Proxy || p.TCPOut != p.WireOut {
			t.Errorf("%+v", p)
		}
		got := ""
		for _, s := range append(in, out...) {
			if p.Scheme == "http" && s == p.Plain || p.Scheme == "https" && s != "" && (s == p.Plain[:p.Tunnel] || s == p.Plain[p.Tunnel:]) {
				got += s
			}
		}
		if len(got) != len(p.Plain) {
			t.Errorf("got %q, ledger says %q", got, p.Plain)
		}
	}
	for _, bad := range []string{"https://127.0.0.1:1", "http://u:p@127.0.0.1:1", "http://127.0.0.1/x", "127.0.0.1:1", "socks5://127.0.0.1"} {
		if _, err := NewClient(c.log, Options{Proxy: bad}); err == nil {
			t.Errorf("proxy %s is taken", bad)
		}
	}
}

func TestClientRefuses(t *testing.T) {
	c, _ := client(t, Options{})
	for _, v := range []string{"1 2", "1\r\nX: y", strings.Repeat("1", 33), "ü"} {
		if _, err := NewClient(c.log, Options{Version: v}); err == nil {
			t.Errorf("version %q is taken", v)
		}
	}
	t.Setenv(AirGapVariable, "1")
	if _, err := NewClient(c.log, Options{}); !errors.Is(err, ErrAirGap) {
		t.Errorf("air gap: %v", err)
	}
}

// nameserver answers questions for rules.example.test with 127.0.0.1, over UDP
// and TCP, and keeps them.
func nameserver(t *testing.T, truncate bool) (addr string, got func() [][]byte) {
	t.Helper()
	var mu sync.Mutex
	var all [][]byte
	answer := func(q []byte, cut bool) []byte {
		mu.Lock()
		all = append(all, bytes.Clone(q))
		mu.Unlock()
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		end += 5
		kind := q[end-3]
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		switch {
		case cut:
			a[2] |= 2
		case !bytes.Contains(q, []byte("\x05rules\x07example\x04test\x00")):
			a[3] |= 3
		case kind == 1:
			a[7] = 1
			a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		case kind == 16:
			a[7] = 1
			a = append(append(a, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 8, 7), "1:two:3"...)
		}
		return a
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", u.LocalAddr().String())
	if err != nil {
		t.Skip("the port is taken: ", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(answer(b[:n], truncate), from)
		}
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, 4096)
				n, err := io.ReadAtLeast(c, b, 2)
				if err != nil {
					return
				}
				for n < 2+int(b[0])<<8+int(b[1]) {
					m, err := c.Read(b[n:])
					if err != nil {
						return
					}
					n += m
				}
				a := answer(b[2:n], false)
				mu.Lock()
				all[len(all)-1] = bytes.Clone(b[:n])
				mu.Unlock()
				c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...))
			})
		}
	})
	t.Cleanup(func() { u.Close(); l.Close(); wg.Wait() })
	return u.LocalAddr().String(), func() [][]byte { mu.Lock(); defer mu.Unlock(); return all }
}

// Questions to name servers are in the ledger, byte for byte.
func TestResolve(t *testing.T) {
	for _, truncate := range []bool{false, true} {
		addr, got := nameserver(t, truncate)
		r := serve(t, true, func(string) string { return ok("x") })
		c, dir := client(t, Options{Roots: r.pool})
		c.o.NameServer = addr
		for range 2 { // the second time the address is known
			if _, err := c.Do(t.Context(), Request{URL: "https://rules.example.test:" + r.port(), Purpose: Witness}, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		if p := pairs(t, dir); len(p) != 2 || p[0].SNI != "rules.example.test" || p[0].Address != "127.0.0.1:"+r.port() {
			t.Errorf("%+v", p)
		}
		var queries []*Query
		closes := map[uint64]*Close{}
		s, err := Read(dir, func(e *Entry) error {
			if e.Query != nil {
				queries = append(queries, e.Query)
				closes[e.Seq] = nil
			} else if e.Close != nil {
				if _, ok := closes[e.Close.Of]; ok {
					closes[e.Close.Of] = e.Close
				}
			}
			return nil
		})
		if err != nil || s.Open != 0 {
			t.Fatalf("%+v %v", s, err)
		}
		want := 2 // A and AAAA
		if truncate {
			want = 4
		}
		if len(queries) != want || len(got()) != want {
			t.Fatalf("%d queries in the ledger, %d came, want %d", len(queries), len(got()), want)
		}
		for _, q := range queries {
			if q.Purpose != Witness || q.Host != "rules.example.test" || q.Address != addr {
				t.Errorf("%+v", q)
			}
			if !strings.Contains(fmt.Sprintf("%x", got()), fmt.Sprintf("%x", q.Packet)) {
				t.Errorf("packet %x is not among those that came: %x", q.Packet, got())
			}
		}
		for seq, d := range closes {
			if d.WireOut == 0 || d.WireIn == 0 || d.Sent != d.WireOut || d.TCPOut >= 0 && d.TCPOut != d.WireOut || d.Error != "" {
				t.Errorf("%d: %+v", seq, d)
			}
		}
		if _, err := c.Do(t.Context(), Request{URL: "https://other.example.test/", Purpose: Witness}, io.Discard); err == nil || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%v", err)
		}
		var codes []int
		var table Table
		if _, err := Read(dir, func(e *Entry) error {
			if e.Close != nil && e.Close.Of > s.Seq {
				codes = append(codes, e.Close.Status)
			}
			return table.Add(e)
		}); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		table.Print(&b)
		noSuch := strings.Count(b.String(), " no such name\n")
		if len(codes) == 0 || slices.ContainsFunc(codes, func(n int) bool { return n != 3 && !truncate }) || noSuch == 0 || strings.Count(b.String(), " answered\n") < want {
			t.Errorf("codes %v\n%s", codes, b.String())
		}
		n := len(got())
		c.log.Close()
		if _, err := c.Do(t.Context(), Request{URL: "https://third.example.test/", Purpose: Witness}, io.Discard); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%v", err)
		}
		if len(got()) != n {
			t.Error("a question was asked that is not in the ledger")
		}
	}
}

package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the reader too.
func TestMain(m *testing.M) { workertest.Main(m) }

const marker = "api-test marker 5c1e showcause."

func newQueue(t testing.TB) *queue.Queue {
	t.Helper()
	db, _ := workertest.Rule(t, "Test.Marker", marker)
	q, err := queue.New(queue.Options{
		Rules: queue.Database{DB: db, Version: "7", Digest: strings.Repeat("ab", 32)},
		Pool:  workertest.Pool(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Drain(context.Background()) })
	return q
}

// open opens a door, and returns its address and a client without reused connections.
func open(t testing.TB, o Options) (string, *http.Client) {
	t.Helper()
	if o.Queue == nil {
		o.Queue = newQueue(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(o)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	scheme := "http://"
	tr := &http.Transport{DisableKeepAlives: true}
	if o.TLS != nil {
		scheme = "https://"
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the test makes the certificate
	}
	return scheme + l.Addr().String(), &http.Client{Transport: tr, Timeout: time.Minute}
}

type said struct {
	status int
	header http.Header
	body   []byte
}

func (s *said) json(t testing.TB) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(s.body, &m); err != nil {
		t.Fatalf("%v: %q", err, s.body)
	}
	return m
}

func ask(t testing.TB, c *http.Client, method, to string, body io.Reader, header ...string) said {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Set-Cookie") != "" || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("header: %v", res.Header)
	}
	if res.StatusCode >= 400 && !strings.Contains(to, "health") {
		var p Problem
		if err := json.Unmarshal(b, &p); err != nil || p.Status != res.StatusCode || !strings.HasPrefix(p.Type, problemType) || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("problem: %s %q", res.Header.Get("Content-Type"), b)
		}
	}
	return said{res.StatusCode, res.Header, b}
}

// word is that of a problem.
func (s *said) word(t testing.TB) string {
	t.Helper()
	w, _ := s.json(t)["type"].(string)
	return strings.TrimPrefix(w, problemType)
}

func form(t testing.TB, parts ...string) (io.Reader, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(parts); i += 2 {
		var p io.Writer
		var err error
		if name, file, ok := strings.Cut(parts[i], "="); ok {
			p, err = w.CreateFormFile(name, file)
		} else {
			p, err = w.CreateFormField(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(p, parts[i+1])
	}
	w.Close()
	return &b, w.FormDataContentType()
}

func TestScan(t *testing.T) {
	at, c := open(t, Options{Version: "test", MaxBody: 1 << 20})
	scan := func(query, content string, header ...string) said {
		t.Helper()
		return ask(t, c, "POST", at+"/v1/scan"+query, strings.NewReader(content), header...)
	}
	clean, found := scan("?name=a%1bb.txt", "nothing"), scan("?no_cache=1", "x"+marker)
	m := clean.json(t)
	if clean.status != 200 || m["verdict"] != "nothing-found" || m["path"] != `a\x1bb.txt` || m["path_bytes"] != "YRtiLnR4dA==" || m["said"].(map[string]any)["answer"] != "ok" {
		t.Errorf("clean: %d %s", clean.status, clean.body)
	}
	m = found.json(t)
	if found.status != 200 || m["verdict"] != "found" || fmt.Sprint(m["said"]) != "map[answer:found names:[Test.Marker.UNOFFICIAL]]" || m["cached"] != false || len(m["sha256"].(string)) != 64 || fmt.Sprint(m["database"]) != "map[digest:"+strings.Repeat("ab", 32)+" version:7]" {
		t.Errorf("found: %d %s", found.status, found.body)
	}
	if again := scan("", "x"+marker); again.json(t)["cached"] != true {
		t.Errorf("again: %s", again.body)
	}
	if r := scan("", ""); r.json(t)["verdict"] != "nothing-found" {
		t.Errorf("empty: %s", r.body)
	}
	body, kind := form(t, "password", "geheim", "file=b.txt", "y"+marker)
	if r := ask(t, c, "POST", at+"/v1/scan", body, "Content-Type", kind); r.status != 200 || r.json(t)["verdict"] != "found" || r.json(t)["path"] != "b.txt" {
		t.Errorf("form: %d %s", r.status, r.body)
	}
	two, twoKind := form(t, "file=a", "a", "file=b", marker)
	for _, x := range []struct {
		what   string
		r      said
		status int
		word   string
	}{
		{"unknown option", scan("?passwords=a", ""), 400, "query"},
		{"twice", scan("?name=a&name=b", ""), 400, "query"},
		{"no bool", scan("?record=maybe", ""), 400, "query"},
		{"record without a store", scan("?record=1", "a"), 422, "no-store"},
		{"too large", scan("", strings.Repeat("a", 1<<20+1)), 413, "too-large"},
		{"compressed", scan("", "a", "Content-Encoding", "gzip"), 415, "encoding"},
		{"password", scan("", "a", "Showcause-Password", "%zz"), 400, "password"},
		{"empty form", scan("", "", "Content-Type", "multipart/form-data; boundary=x"), 400, "form"},
		{"no boundary", scan("", "", "Content-Type", "multipart/form-data"), 400, "form"},
		{"cut form", scan("", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc", "Content-Type", "multipart/form-data; boundary=x"), 400, "form"},
		{"two files", ask(t, c, "POST", at+"/v1/scan", two, "Content-Type", twoKind), 400, "form"},
		{"method", ask(t, c, "GET", at+"/v1/scan", nil), 405, "method"},
		{"path", ask(t, c, "GET", at+"/v1/../v1/nothing", nil), 404, "not-found"},
		{"store", ask(t, c, "GET", at+"/v1/records/"+strings.Repeat("a", 64), nil), 404, "no-store"},
		{"job", ask(t, c, "GET", at+"/v1/jobs/AAAA", nil), 404, "no-job"},
	} {
		if x.r.status != x.status || x.r.word(t) != x.word {
			t.Errorf("%s: %d %s", x.what, x.r.status, x.r.body)
		}
	}
	if r := ask(t, c, "GET", at+"/v1/rules", nil); r.json(t)["count"] != 1.0 || r.json(t)["version"] != "7" {
		t.Errorf("rules: %s", r.body)
	}
	if r := ask(t, c, "GET", at+"/v1/health", nil); string(r.body) != `{"live":true,"ready":true,"version":"test","records":"off"}`+"\n" {
		t.Errorf("health: %s", r.body)
	}
	if r := ask(t, c, "GET", at+"/v1/metrics", nil); !strings.Contains(string(r.body), "\nshowcause_requests_total ") {
		t.Errorf("metrics: %s", r.body)
	}
}

// A reader is told a password, and so opens what is encrypted.
func TestPassword(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Skip("zip is not installed")
	}
	dir := t.TempDir()
	c := exec.Command("zip", "-q", "-P", "a b%", "x.zip", "plain")
	c.Dir = dir
	if err := os.WriteFile(dir+"/plain", []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(dir + "/x.zip")
	if err != nil {
		t.Fatal(err)
	}
	at, client := open(t, Options{})
	if r := ask(t, client, "POST", at+"/v1/scan", bytes.NewReader(b)); r.json(t)["verdict"] != "incomplete" || r.json(t)["said"].(map[string]any)["answer"] != "error" {
		t.Errorf("without: %d %s", r.status, r.body)
	}
	if r := ask(t, client, "POST", at+"/v1/scan", bytes.NewReader(b), "Showcause-Password", "a%20b%25", "Showcause-Password", "c"); r.json(t)["verdict"] != "found" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestAsync(t *testing.T) {
	at, c := open(t, Options{Jobs: 2})
	begin := func() said {
		return ask(t, c, "POST", at+"/v1/scan", strings.NewReader(marker), "Prefer", "respond-async, wait=1")
	}
	r := begin()
	where := r.header.Get("Location")
	if r.status != 202 || r.json(t)["state"] != "waiting" || where != "/v1/jobs/"+r.json(t)["id"].(string) {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	for {
		r := ask(t, c, "GET", at+where, nil)
		m := r.json(t)
		if m["state"] == "waiting" {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if m["state"] != "done" || m["expires"] == "" || m["answer"].(map[string]any)["verdict"] != "found" {
			t.Errorf("%s", r.body)
		}
		break
	}
	if r := begin(); r.status != 202 {
		t.Errorf("second: %s", r.body)
	}
	if r := begin(); r.status != 503 || r.header.Get("Retry-After") == "" {
		t.Errorf("third: %d %s", r.status, r.body)
	}
	if r := ask(t, c, "DELETE", at+where, nil); r.status != 204 {
		t.Errorf("delete: %d %s", r.status, r.body)
	}
	if r := ask(t, c, "GET", at+where, nil); r.status != 404 {
		t.Errorf("deleted: %s", r.body)
	}
	if r := begin(); r.status != 202 {
		t.Errorf("after delete: %d %s", r.status, r.body)
	}
}

// A page in a browser gets nothing, whatever name it has for the service.
func TestBrowser(t *testing.T) {
	at, c := open(t, Options{Hosts: []string{"av.example"}})
	u, _ := url.Parse(at)
	for _, x := range []struct {
		status int
		header []string
	}{
		{200, nil},
		{200, []string{"Host", "localhost:" + u.Port()}},
		{200, []string{"Host", "AV.example"}},
		{200, []string{"Host", "[::1]:80"}},
		{200, []string{"Origin", at}},
		{200, []string{"Sec-Fetch-Site", "none"}},
		{421, []string{"Host", "evil.example:" + u.Port()}},
		{421, []string{"Host", "127.0.0.1.evil.example"}},
		{403, []string{"Origin", "http://evil.example"}},
		{403, []string{"Origin", "null"}},
		{403, []string{"Sec-Fetch-Site", "cross-site"}},
		{403, []string{"Sec-Fetch-Site", "same-site"}},
	} {
		for _, path := range []string{"/v1/rules", "/v1/openapi.json"} {
			if r := ask(t, c, "GET", at+path, nil, x.header...); r.status != x.status {
				t.Errorf("%v: %d %s", x.header, r.status, r.body)
			}
		}
	}
}

func write(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokens(t *testing.T) {
	path := write(t, "tokens", "# of the test\nmail 0123456789abcdef\nproxy fedcba9876543210\n", 0o640)
	tokens, err := ReadTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	at, c := open(t, Options{Tokens: tokens})
	get := func(path, token string) said {
		return ask(t, c, "GET", at+path, nil, "Authorization", "Bearer "+token)
	}
	if r := get("/v1/rules", "0123456789abcdef"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, bad := range []string{"", "0123456789abcde", "0123456789abcdef0", "mail"} {
		if r := get("/v1/rules", bad); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %s", bad, r.status, r.body)
		}
	}
	if r := ask(t, c, "GET", at+"/v1/health", nil); r.status != 200 {
		t.Errorf("health: %d", r.status)
	}
	// One client's job is not another's.
	r := ask(t, c, "POST", at+"/v1/scan?async=1", strings.NewReader("a"), "Authorization", "Bearer 0123456789abcdef")
	if other := get(r.header.Get("Location"), "fedcba9876543210"); other.status != 404 {
		t.Errorf("another's job: %d %s", other.status, other.body)
	}
	// A new token counts, an old one no longer.
	if err := os.WriteFile(path, []byte("mail 00112233445566778899\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	tokens.file.next = time.Time{}
	if name, _, ok := tokens.Name("00112233445566778899"); !ok || name != "mail" {
		t.Error("the file was not read again")
	}
	if _, _, ok := tokens.Name("0123456789abcdef"); ok {
		t.Error("an old token counts")
	}
	for _, text := range []string{"", "mail\n", "mail short\n", "a 0123456789abcdef\na 0123456789abcdef\n", "a 0123456789abcdef more\n", "\x00 0123456789abcdef\n"} {
		if _, err := parseTokens([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := ReadTokens(write(t, "open", "mail 0123456789abcdef\n", 0o644)); err == nil {
		t.Error("a file that anybody reads is taken")
	}
}

// certificates writes a certificate, its key, and the certificate as an authority.
func certificates(t testing.TB, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600),
		write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder})), 0o600)
}

func TestTLS(t *testing.T) {
	cert, key := certificates(t, "service.example")
	ccert, ckey := certificates(t, "client.example")
	own, err := ReadCertificates(cert, key, ccert)
	if err != nil {
		t.Fatal(err)
	}
	at, c := open(t, Options{TLS: own})
	tr := c.Transport.(*http.Transport)
	if _, err := c.Get(at + "/v1/rules"); err == nil {
		t.Error("a client without a certificate is answered")
	}
	pair, err := tls.LoadX509KeyPair(ccert, ckey)
	if err != nil {
		t.Fatal(err)
	}
	tr.TLSClientConfig.Certificates = []tls.Certificate{pair}
	if r := ask(t, c, "GET", at+"/v1/rules", nil, "Host", "service.example"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, c, "GET", at+"/v1/rules", nil, "Host", "other.example"); r.status != 421 {
		t.Errorf("%d %s", r.status, r.body)
	}
	tr.TLSClientConfig.MaxVersion = tls.VersionTLS12
	if _, err := c.Get(at + "/v1/rules"); err == nil {
		t.Error("TLS 1.2 is answered")
	}
	tr.TLSClientConfig.MaxVersion = 0
	// The files change: the next connection has the new ones.
	other, otherKey := certificates(t, "renewed.example")
	for from, to := range map[string]string{other: cert, otherKey: key} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	own.file.mu.Lock()
	own.file.next, own.file.state = time.Time{}, ""
	own.file.mu.Unlock()
	var seen string
	tr.TLSClientConfig.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
		c, err := x509.ParseCertificate(raw[0])
		if err == nil {
			seen = c.Subject.CommonName
		}
		return err
	}
	if r := ask(t, c, "GET", at+"/v1/rules", nil); r.status != 200 || seen != "renewed.example" {
		t.Errorf("%d, certificate of %q", r.status, seen)
	}
}

// An address that others reach is refused without TLS and a word on who asks.
func TestCheck(t *testing.T) {
	cert, key := certificates(t, "a")
	own, err := ReadCertificates(cert, key, "")
	if err != nil {
		t.Fatal(err)
	}
	mutual, err := ReadCertificates(cert, key, cert)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(write(t, "tokens", "mail 0123456789abcdef\n", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		o       Options
		address string
		ok      bool
	}{
		{Options{}, "127.0.0.1:1", true},
		{Options{}, "[::1]:1", true},
		{Options{}, "[::ffff:127.0.0.2]:1", true},
		{Options{}, "0.0.0.0:1", false},
		{Options{}, ":1", false},
		{Options{}, "localhost:1", false}, // a name, which may lead anywhere
		{Options{Tokens: tokens}, "192.0.2.1:1", false},
		{Options{TLS: own}, "192.0.2.1:1", false},
		{Options{TLS: own, Tokens: tokens}, "192.0.2.1:1", true},
		{Options{TLS: mutual}, "192.0.2.1:1", true},
	} {
		if err := x.o.Check("tcp", x.address); (err == nil) != x.ok {
			t.Errorf("%s, TLS %v, tokens %v: %v", x.address, x.o.TLS != nil, x.o.Tokens != nil, err)
		}
	}
	if err := (&Options{}).Check("unix", "/run/x"); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := New(Options{Queue: newQueue(t)}).Serve(t.Context(), l); err == nil {
		t.Error("an open door for everybody")
	}
}

// A client that stalls, lies about a length, or never ends is sent away.
func TestAbuse(t *testing.T) {
	at, _ := open(t, Options{Stall: 100 * time.Millisecond, BodyTime: time.Second, Connections: 4, MaxBody: 1 << 20})
	u, _ := url.Parse(at)
	for what, text := range map[string]string{
		"stalled":   "POST /v1/scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc",
		"vast":      "POST /v1/scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000000\r\n\r\nabc",
		"header":    "GET /v1/rules HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"no host":   "GET /v1/rules HTTP/1.1\r\n\r\n",
		"chunk":     "POST /v1/scan HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
		"smuggling": "POST /v1/scan HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"garbage":   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, text)
		b, err := io.ReadAll(conn)
		conn.Close()
		if bytes.Contains(b, []byte(" 200 ")) || bytes.Contains(b, []byte("verdict\":")) || err != nil && strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("%s: %v %q", what, err, b)
		}
	}
	// More connections than places: those that wait are answered once others go.
	var held []net.Conn
	for range 4 {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, h := range held {
		h.Close()
	}
	if r := ask(t, &http.Client{}, "GET", at+"/v1/health", nil); r.status != 200 {
		t.Errorf("%d", r.status)
	}
}

// What the description says there is, there is, and the other way round.
func TestOpenAPI(t *testing.T) {
	var d struct {
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
				Required   []string       `json:"required"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(description, &d); err != nil {
		t.Fatal(err)
	}
	var said, there []string
	for path, methods := range d.Paths {
		for m := range methods {
			said = append(said, strings.ToUpper(m)+" "+path)
		}
	}
	for _, r := range routes {
		there = append(there, r.method+" "+r.path)
	}
	slices.Sort(said)
	slices.Sort(there)
	if !slices.Equal(said, there) {
		t.Errorf("described: %q\nthere: %q", said, there)
	}
	types := map[string]any{
		"Answer": Answer{}, "Said": Said{}, "Database": DatabaseAnswer{}, "Rules": RulesAnswer{}, "Source": ruledb.Source{}, "Health": HealthAnswer{}, "Job": JobAnswer{},
		"Records": RecordsAnswer{}, "KeptRecord": RecordAnswer{}, "Problem": Problem{}, "Finding": showcause.Finding{}, "Match": showcause.Match{}, "Step": showcause.Step{}, "Link": showcause.Link{}, "Gap": showcause.Gap{}, "Spent": showcause.Spent{},
	}
	if a, b := slices.Sorted(maps.Keys(types)), slices.Sorted(maps.Keys(d.Components.Schemas)); !slices.Equal(a, b) {
		t.Errorf("types: %q\nschemas: %q", a, b)
	}
	for name, v := range types {
		all, needed := fields(reflect.TypeOf(v))
		s := d.Components.Schemas[name]
		if got := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, all) {
			t.Errorf("%s: described %q, there %q", name, got, all)
		}
		slices.Sort(s.Required)
		if name != "Database" && !slices.Equal(s.Required, needed) {
			t.Errorf("%s: required %q, always there %q", name, s.Required, needed)
		}
	}
	var scan struct {
		Parameters []struct{ Name, In string }
	}
	if err := json.Unmarshal(d.Paths["/v1/scan"]["post"], &scan); err != nil {
		t.Fatal(err)
	}
	for _, p := range scan.Parameters {
		if p.In != "query" {
			continue
		}
		if _, err := wantedOf(&http.Request{URL: &url.URL{RawQuery: p.Name + "=1"}}); err != nil {
			t.Errorf("option %s: %v", p.Name, err)
		}
	}
	if len(scan.Parameters) != 7 {
		t.Errorf("%d parameters", len(scan.Parameters))
	}
}

// fields are the names that JSON has for those of a struct, and those always there.
func fields(t reflect.Type) (all, needed []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			a, n := fields(f.Type)
			all, needed = append(all, a...), append(needed, n...)
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		if name == "-" {
			continue
		}
		all = append(all, name)
		if !strings.Contains(opts, "omit") {
			needed = append(needed, name)
		}
	}
	slices.Sort(all)
	slices.Sort(needed)
	return all, needed
}

// What scan --format json says of a report, the door says in the same words.
func TestSameAsScan(t *testing.T) {
	rep := showcause.Report{
		Verdict: showcause.Found, Type: "zip", Size: 9,
		Findings: []showcause.Finding{{Trail: showcause.Trail{{Op: "zip.deflate", Name: "a\x1b<b"}}, Rule: "A", Digest: "00", Matches: []showcause.Match{{Pattern: 1, Offset: 2, Length: 3, Excerpt: "ff"}}}},
		Gaps:     []showcause.Gap{{Code: showcause.Encrypted, Length: -1}}, Spent: showcause.Spent{Bytes: 4},
	}
	var b bytes.Buffer
	p, err := answer.New("json", &b, answer.Options{NoSummary: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Result(&answer.Result{Path: "a\x00b", Report: rep}); err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := json.Unmarshal(b.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encode(answerOf(&wanted{name: "a\x00b", allMatches: true}, &queue.Answer{Report: rep}, queue.Said{})), &got); err != nil {
		t.Fatal(err)
	}
	for k, v := range want {
		if !reflect.DeepEqual(got[k], v) {
			t.Errorf("%s: %v, scan says %v", k, got[k], v)
		}
	}
	if len(want) < 8 {
		t.Errorf("scan says only %v", want)
	}
	rep.Findings = append(slices.Clone(rep.Findings), showcause.Finding{Rule: "B"})
	rep.Findings[0].Allowed = "X"
	a := answerOf(&wanted{}, &queue.Answer{Report: rep}, queue.Said{Names: []string{"B", "C"}})
	if len(a.Findings) != 1 || a.Findings[0].Rule != "B" || len(a.Said.Names) != 1 {
		t.Errorf("first match: %+v", a)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("name=a&record=1", "a b", "respond-async")
	f.Add("all_matches=0&async=true", "%41", "x, respond-async")
	f.Add("name=%00", "", "")
	f.Add("a;b", "%", ",")
	f.Fuzz(func(t *testing.T, query, password, prefer string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Showcause-Password": {password}, "Prefer": {prefer}}}
		w, err := wantedOf(r)
		if err != nil {
			if p, ok := err.(*Problem); !ok || p.Status != 400 {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(w.name) > maxName || strings.Contains(w.name, "\x00") || len(w.passwords) != 1 || len(w.passwords[0]) > maxPassword {
			t.Fatalf("%+v", w)
		}
	})
}

func FuzzForm(f *testing.F) {
	body, _ := form(f, "file=a", "content", "password", "p", "name", "n")
	b, _ := io.ReadAll(body)
	boundary, _, _ := strings.Cut(string(b[2:]), "\r\n")
	f.Add(b, boundary)
	f.Add([]byte("--x\r\n\r\n--x--"), "x")
	f.Add([]byte("--x\nContent-Disposition: form-data; name=file\n\nabc\n--x--\n"), "x")
	f.Fuzz(func(t *testing.T, b []byte, boundary string) {
		w, content := &wanted{}, &bytes.Buffer{}
		if err := readForm(bytes.NewReader(b), boundary, content, w); err == nil && (len(w.name) > maxName || content.Len() > len(b)) {
			t.Fatalf("%+v, %d bytes", w, content.Len())
		}
	})
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("# c\nmail 0123456789abcdef\n"))
	f.Add([]byte("a b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseTokens(b)
		if err == nil && len(list) == 0 {
			t.Fatal("no token, no error")
		}
		for _, x := range list {
			if !tokenName.MatchString(x.name) {
				t.Fatalf("%q", x.name)
			}
		}
	})
}

// One client's idle connections do not shut others out: a newcomer ends one of them.
func TestFull(t *testing.T) {
	at, c := open(t, Options{Connections: 8})
	address := strings.TrimPrefix(at, "http://")
	for range 8 {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, "GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		if r := ask(t, c, "GET", at+"/v1/health", nil); r.status != 200 {
			t.Errorf("%d", r.status)
		}
	}
}

// A record is for the client that caused it, and for a token that is for all.
func TestRecordOf(t *testing.T) {
	tokens, err := ReadTokens(write(t, "tokens", "mail 0123456789abcdef\nweb fedcba9876543210\nroot 00112233445566778899 admin\n", 0o640))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("ab", 32)
	at, c := open(t, Options{
		Tokens: tokens, Record: func(context.Context, string) ([]byte, error) { return []byte("{}"), nil },
		Made: func(client, record string) bool { return client == "token mail" && record == id },
	})
	for token, want := range map[string]int{"0123456789abcdef": 200, "fedcba9876543210": 404, "00112233445566778899": 200, "0": 401} {
		if r := ask(t, c, "GET", at+"/v1/records/"+id, nil, "Authorization", "Bearer "+token); r.status != want {
			t.Errorf("%s: %d %s", token, r.status, r.body)
		}
	}
}

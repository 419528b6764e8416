package icap

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/showcause/showcause/serve/accept/accepttest"
	"github.com/showcause/showcause/serve/queue"
)

// c-icap's own client sends files, and writes what comes back.
func TestCICAPClient(t *testing.T) {
	program, err := exec.LookPath("c-icap-client")
	if err != nil {
		t.Skip("c-icap-client (package c-icap) is not installed")
	}
	address := accepttest.Serve(t, New(accepttest.Readers(t, "icap", queue.Policy{}), Options{}))
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	long := strings.Repeat("0123456789", 20000)
	for name, c := range map[string]struct {
		body string
		args []string
		want string // in what it says or writes
	}{
		"options":      {"", nil, "Preview: 1024"},
		"clean":        {"nothing", nil, "204"},
		"clean, long":  {long, nil, "204"},
		"clean, no204": {long, []string{"-no204", "-nopreview"}, "200 OK"},
		"found":        {"x" + marker, nil, "X-Infection-Found: Type=0; Resolution=2; Threat=Test.Marker.UNOFFICIAL;"},
		"found, long":  {long + marker + long, nil, "Threat=Test.Marker.UNOFFICIAL;"},
		"found, whole": {long + marker, []string{"-nopreview"}, "Threat=Test.Marker.UNOFFICIAL;"},
		"request":      {"x" + marker, []string{"-method", "REQMOD"}, "Threat=Test.Marker.UNOFFICIAL;"},
	} {
		args := append([]string{"-i", "127.0.0.1", "-p", port, "-s", "srv_clamav", "-v"}, c.args...)
		out := filepath.Join(dir, "out")
		if c.body != "" {
			in := filepath.Join(dir, "in")
			if err := os.WriteFile(in, []byte(c.body), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(out)
			args = append(args, "-f", in, "-o", out, "-req", "http://example.org/x")
		}
		said, err := exec.Command(program, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(said), c.want) {
			t.Errorf("%s: %v, %q is not in\n%s", name, err, c.want, said)
		}
		if strings.Contains(name, "no204") {
			if b, err := os.ReadFile(out); err != nil || string(b) != c.body {
				t.Errorf("%s: %d bytes come back of %d, %v", name, len(b), len(c.body), err)
			}
		}
	}
}

// free is a port of loopback that nobody has at the moment.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// squid starts a Squid that asks an ICAP service, and returns a client that goes through it.
func squid(t *testing.T, address string) *http.Client {
	t.Helper()
	program, err := exec.LookPath("squid")
	if err != nil {
		program = "/usr/sbin/squid"
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("squid (package squid) is not installed")
	}
	dir, err := os.MkdirTemp("", "showcause-squid-") // one that squid's own user may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if u, err := user.Lookup("proxy"); err == nil && os.Geteuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	proxy := free(t)
	conf := fmt.Sprintf(`http_port %s
http_access allow all
cache deny all
cache_mem 8 MB
access_log none
cache_log %[2]s/log
pid_filename %[2]s/pid
coredump_dir %[2]s
netdb_filename none
pinger_enable off
max_filedescriptors 1024
shutdown_lifetime 0 seconds
visible_hostname test
dns_nameservers 127.0.0.1
delay_pools 1
delay_class 1 1
delay_access 1 allow all
delay_parameters 1 1000000000/1000000000
icap_enable on
icap_preview_enable on
icap_send_client_ip on
icap_service_failure_limit -1
icap_service req reqmod_precache icap://%[3]s/reqmod bypass=off
icap_service resp respmod_precache icap://%[3]s/respmod bypass=off
adaptation_access req allow all
adaptation_access resp allow all
`, proxy, dir, address)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-N", "-n", "showcause"+strconv.Itoa(os.Getpid()), "-f", dir+"/conf")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			log, _ := os.ReadFile(dir + "/log")
			t.Logf("%s\n%s", &said, log)
		}
	})
	for range 600 {
		if c, err := net.Dial("tcp", proxy); err == nil {
			c.Close()
			u := &url.URL{Scheme: "http", Host: proxy}
			tr := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return u, nil }, DisableCompression: true, DisableKeepAlives: true}
			t.Cleanup(tr.CloseIdleConnections)
			return &http.Client{Transport: tr, Timeout: time.Minute}
		}
		select {
		case <-ended:
			t.Fatalf("squid ended: %s", &said)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("squid does not listen")
	return nil
}

// What is fetched and sent through Squid passes unchanged, or is a page that says why not.
func TestSquid(t *testing.T) {
	long := strings.Repeat("0123456789", 3000)
	huge := strings.Repeat("0123456789", 300000) // hangs in Squid 5.7 without the pool (docs/icap.md)
	var zipped, brotlied bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, long+marker)
	_ = z.Close()
	b := brotli.NewWriter(&brotlied)
	_, _ = io.WriteString(b, long+marker)
	_ = b.Close()
	var clean bytes.Buffer
	b = brotli.NewWriter(&clean)
	_, _ = io.WriteString(b, long)
	_ = b.Close()
	pages := map[string]struct{ coding, body string }{
		"/clean": {"", "nothing"}, "/long": {"", long}, "/empty": {"", ""}, "/found": {"", "x" + marker}, "/foundlong": {"", long + marker + long},
		"/huge": {"", huge}, "/foundhuge": {"", huge + marker},
		"/gzip": {"gzip", zipped.String()}, "/br": {"br", brotlied.String()}, "/cleanbr": {"br", clean.String()}, "/odd": {"dcb", "x"},
	}
	var posted []byte
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted, _ = io.ReadAll(r.Body)
			_, _ = io.WriteString(w, "taken")
			return
		}
		p := pages[r.URL.Path]
		if p.coding != "" {
			w.Header().Set("Content-Encoding", p.coding)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(p.body)))
		_, _ = io.WriteString(w, p.body)
	}))
	defer origin.Close()
	client := squid(t, accepttest.Serve(t, New(accepttest.Readers(t, "icap", queue.Policy{}), Options{Version: "test"})))
	for path, want := range map[string]string{"/clean": "", "/long": "", "/huge": "", "/foundhuge": "Test.Marker", "/empty": "", "/cleanbr": "", "/found": "Test.Marker", "/foundlong": "Test.Marker", "/gzip": "Test.Marker", "/br": "Test.Marker", "/odd": "unsupported"} {
		r, err := client.Get(origin.URL + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		switch {
		case err != nil:
			t.Errorf("%s: %v", path, err)
		case want == "" && (r.StatusCode != 200 || string(body) != pages[path].body):
			t.Errorf("%s: %d, %d bytes of %d: %.300s", path, r.StatusCode, len(body), len(pages[path].body), body)
		case want != "" && (r.StatusCode != 403 || !strings.Contains(string(body), want)):
			t.Errorf("%s: %d %.300s", path, r.StatusCode, body)
		}
	}
	form := func(content string) (string, *bytes.Buffer) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		f, _ := w.CreateFormFile("upload", "x.gz")
		_, _ = io.WriteString(f, content)
		_ = w.Close()
		return w.FormDataContentType(), &b
	}
	for content, want := range map[string]int{"nothing": 200, huge: 200, huge + marker: 403, zipped.String(): 403, "x" + marker: 403} {
		kind, body := form(content)
		sent := body.Bytes()
		posted = nil
		r, err := client.Post(origin.URL+"/up", kind, body)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		if r.StatusCode != want || want == 200 && !bytes.Equal(posted, sent) || want != 200 && posted != nil {
			t.Errorf("form with %d bytes: %d, %d bytes arrived", len(content), r.StatusCode, len(posted))
		}
	}
}

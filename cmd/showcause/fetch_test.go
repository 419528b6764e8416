package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/showcause/showcause/ledger"
)

// serveFiles serves a folder to the script: serve DIR. $URL and $TLSURL say
// where, and ca.pem is the certificate of the latter.
func serveFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve DIR")
	}
	h := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	ts.Defer(func() { plain.Close(); secure.Close() })
	ts.Setenv("URL", plain.URL)
	ts.Setenv("TLSURL", secure.URL)
	block := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), pem.EncodeToMemory(block), 0o644))
}

// process is the command in a process of its own.
func process(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Args = append([]string{"showcause"}, args...) // testscript.Main goes by the name
	c.Dir = dir
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "TMPDIR="+dir, "GOTRACEBACK=none")
	return c
}

// While it talks, the egress process is locked in and holds no descriptor but
// those that it was given.
func TestEgressProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("it is not dumpable: only root may see its descriptors")
	}
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = lookAtEgress(r.RemoteAddr)
		fmt.Fprintln(w, "Test.One:0:*:68656c6c6f20776f726c64")
	}))
	defer s.Close()
	dir := t.TempDir()
	if out, err := process(t, dir, "rules", "fetch", s.URL+"/a.ndb", "-o", "got", "--ledger", "led").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if os.Getuid() == 0 && !strings.Contains(got, "Uid:\t65534\t65534\t65534\t65534\n") {
		t.Errorf("not nobody:\n%s", got)
	}
	allowed := regexp.MustCompile(`^(pipe:.*|socket:.*|anon_inode:.*|/dev/null|` + regexp.QuoteMeta(dir) + `/(led/ledger.jsonl|got/.incoming/0))$`)
	n := 0
	for _, l := range strings.Split(got, "\n") {
		if fd, ok := strings.CutPrefix(l, "fd "); ok {
			n++
			if !allowed.MatchString(fd) {
				t.Errorf("descriptor of %s", fd)
			}
		}
	}
	if n < 6 {
		t.Errorf("%d descriptors seen:\n%s", n, got)
	}
}

// Interrupted in the middle of an answer, the egress process closes its entry,
// and the folder is as it was.
func TestFetchInterrupted(t *testing.T) {
	asked := make(chan bool, 1)
	ended := make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		w.Write(make([]byte, 1000))
		w.(http.Flusher).Flush()
		asked <- true
		<-ended
	}))
	defer s.Close()
	defer close(ended)
	dir := t.TempDir()
	c := process(t, dir, "rules", "fetch", s.URL+"/a.ndb", s.URL+"/b.ndb", "-o", "got", "--ledger", "led")
	var out bytes.Buffer
	c.Stderr = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	c.Process.Signal(os.Interrupt)
	if err := c.Wait(); err == nil || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("%v: %s", err, out.String())
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "got")); len(left) != 0 {
		t.Errorf("left in the folder: %v", left)
	}
	var all []string
	sum, err := ledger.Read(filepath.Join(dir, "led"), func(e *ledger.Entry) error {
		if e.Close != nil {
			all = append(all, e.Close.Error)
		}
		return nil
	})
	if err != nil || sum.Sends != 1 || sum.Open != 0 || len(all) != 1 || all[0] != "answer: interrupted" {
		t.Errorf("%+v %q %v", sum, all, err)
	}
}

// lookAtEgress finds the process behind a connection and says what the kernel
// says of it.
func lookAtEgress(remote string) string {
	var b strings.Builder
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		line, _ := os.ReadFile(p)
		if string(line) != "showcause\x00egress\x00" {
			continue
		}
		proc := filepath.Dir(p)
		if !holds(proc, remote) {
			continue
		}
		status, _ := os.ReadFile(proc + "/status")
		b.Write(status)
		fds, _ := os.ReadDir(proc + "/fd")
		for _, f := range fds {
			l, _ := os.Readlink(proc + "/fd/" + f.Name())
			fmt.Fprintf(&b, "fd %s\n", l)
		}
	}
	return b.String()
}

// holds tells whether a process has the socket of a local TCP address.
func holds(proc, addr string) bool {
	_, port, _ := net.SplitHostPort(addr)
	var n int
	fmt.Sscan(port, &n)
	table, _ := os.ReadFile("/proc/net/tcp")
	for _, l := range strings.Split(string(table), "\n") {
		f := strings.Fields(l)
		if len(f) < 10 || f[1] != fmt.Sprintf("0100007F:%04X", n) {
			continue
		}
		fds, _ := os.ReadDir(proc + "/fd")
		for _, d := range fds {
			if l, _ := os.Readlink(proc + "/fd/" + d.Name()); l == "socket:["+f[9]+"]" {
				return true
			}
		}
	}
	return false
}

// wiretap keeps all that is sent to a listener.
type wiretap struct {
	net.Listener
	mu  sync.Mutex
	all bytes.Buffer
}

type tapped struct {
	net.Conn
	w *wiretap
}

func (w *wiretap) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return &tapped{c, w}, err
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.all.Write(p[:n])
	return n, err
}

// guises are the forms in which a token could go out.
func guises(token []byte) map[string][]byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(token)
	w.Close()
	reversed := make([]byte, len(token))
	for i, c := range token {
		reversed[len(token)-1-i] = c
	}
	g := map[string][]byte{
		"raw": token, "hex": []byte(hex.EncodeToString(token)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(token))),
		"base32": []byte(base32.StdEncoding.EncodeToString(token)[:40]), "reversed": reversed,
		"deflate": z.Bytes()[10 : z.Len()-8],
	}
	for i := range 3 { // wherever it stands in the groups of three
		g[fmt.Sprint("base64 at ", i)] = []byte(base64.RawStdEncoding.EncodeToString(token[i:])[:36])
		g[fmt.Sprint("base64url at ", i)] = []byte(base64.RawURLEncoding.EncodeToString(token[i:])[:36])
	}
	for k := 1; k < 256; k++ {
		x := bytes.Clone(token)
		for i := range x {
			x[i] ^= byte(k)
		}
		g[fmt.Sprint("xor ", k)] = x
	}
	return g
}

// A token stands in files that are scanned while rules are fetched. It is in
// no byte that was sent, in no ledger, and in no file that was written.
func TestLedgerCanary(t *testing.T) {
	dir := t.TempDir()
	token := make([]byte, 48)
	rand.Read(token)
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		body := bytes.Repeat(append(bytes.Clone(token), byte(i)), 50)
		if err := os.WriteFile(filepath.Join(files, fmt.Sprint(i)), body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap := &wiretap{Listener: l}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Test.One:0:*:68656c6c6f20776f726c64")
	})}
	go s.Serve(tap)
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 3 {
			c := process(t, dir, "scan", "--format", "json", "files")
			if out, err := c.Output(); bytes.Count(out, []byte(`"size":2450,`)) != 200 {
				t.Errorf("scan: %v", err)
			}
		}
	})
	for i := range 8 {
		if out, err := process(t, dir, "rules", "fetch", fmt.Sprintf("http://%s/a%d.ndb", l.Addr(), i%4), "-o", "got", "--ledger", "led").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	wg.Wait()
	s.Close()
	if !bytes.Contains(tap.all.Bytes(), []byte("GET /a3.ndb HTTP/1.1\r\n")) {
		t.Fatal("the tap hears nothing")
	}
	look := map[string][]byte{"the wire": tap.all.Bytes()}
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if p == files {
				return filepath.SkipDir
			}
			return err
		}
		look[p], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(look) < 6 {
		t.Fatalf("%d places were looked at", len(look))
	}
	for where, b := range look {
		for how, g := range guises(token) {
			if bytes.Contains(b, g) {
				t.Errorf("the token, %s, is in %s", how, where)
			}
		}
	}
	for how, g := range guises(token) { // the test sees what it looks for
		if len(g) < 32 || !bytes.Contains(append([]byte("x"), g...), g) {
			t.Errorf("%s: %x", how, g)
		}
	}
}

// A build with the tag airgap links nothing that could dial; the ordinary one
// does, so that the test can fail.
func TestAirGapBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program twice")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no Go tool chain: ", err)
	}
	dir := t.TempDir()
	dialler := regexp.MustCompile(`(?m) (net/http\.|crypto/tls\.\(\*Conn\)|net\.\(\*Dialer\)|net\.\(\*sysDialer\)|net\.\(\*Resolver\)|net\.(Dial|internetSocket|socket)\w*$|syscall\.(C|c)onnect$)`)
	// unix.Connect is there: selftest jail tries it inside the jail.
	for _, tag := range []string{"airgap", "other"} {
		bin := filepath.Join(dir, tag)
		build := func(args ...string) []byte {
			c := exec.Command(tool, args...)
			c.Env = append(os.Environ(), "CGO_ENABLED=0")
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
			return out
		}
		build("build", "-tags", tag, "-o", bin, ".")
		symbols := build("tool", "nm", bin)
		if !bytes.Contains(symbols, []byte(" main.main\n")) {
			t.Fatal("no symbols")
		}
		if found := dialler.Find(symbols); (found == nil) != (tag == "airgap") {
			t.Errorf("tag %s: dialler %q", tag, found)
		}
		deps := "\n" + string(build("list", "-deps", "-tags", tag, "."))
		for _, p := range []string{"net/http", "crypto/tls"} {
			if strings.Contains(deps, "\n"+p+"\n") != (tag != "airgap") {
				t.Errorf("tag %s: %s", tag, p)
			}
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	gap := filepath.Join(dir, "airgap")
	for args, want := range map[string]string{
		"rules fetch http://127.0.0.1/a.ndb -o " + dir + "/got": "this build holds no code that talks to a network",
		"egress":                                 "unknown command",
		"ledger verify --ledger " + dir + "/led": "no such file",
	} {
		out, err := exec.Command(gap, strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
	for _, args := range []string{"rules fetch --help", "rules --help"} {
		out, err := exec.Command(gap, strings.Fields(args)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "it holds no code that talks to a network") {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
	clean := filepath.Join(dir, "clean")
	if err := os.WriteFile(clean, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gap, "scan", clean).CombinedOutput(); err != nil {
		t.Errorf("scan: %v: %s", err, out)
	}
}

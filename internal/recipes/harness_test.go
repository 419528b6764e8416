package recipes

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/clamdtalk"
)

var build struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
	os.Exit(code)
}

// command is the real program, built once.
func command(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "recipes-"); build.err != nil {
			return
		}
		c := exec.Command("go", "build", "-o", filepath.Join(build.dir, "showcause"), "github.com/showcause/showcause/cmd/showcause")
		if out, err := c.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return filepath.Join(build.dir, "showcause")
}

// hit is the built-in rule's name for EICAR.
const hit = "Showcause.Test.EICAR"

// service is a Showcause that runs, with its doors.
type service struct {
	socket, tcp, icap, milter string
}

// serve starts the service with the built-in rules.
func serve(t *testing.T, flags ...string) service {
	t.Helper()
	dir := folder(t, "")
	s := service{socket: dir + "/clamd.ctl", tcp: free(t), icap: free(t), milter: free(t)}
	args := append([]string{"serve", "--socket", s.socket, "--tcp", s.tcp, "--icap", s.icap, "--milter", s.milter, "--readers", "1", "--log-verbose"}, flags...)
	start(t, []string{"SHOWCAUSE_STORE=off"}, listens(s.socket), command(t), args...)
	return s
}

// block returns a block of code of docs/recipes.md, the first, second ... below a heading,
// with the addresses of the service in place of those that it has there.
func (s service) block(t *testing.T, heading string, n int) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	parts := strings.Split(rest, "\n```") // every second is a block, with its language before it
	if !ok || 2*n+1 >= len(parts) {
		t.Fatalf("docs/recipes.md: no such block below %s", heading)
	}
	_, text, _ := strings.Cut(parts[2*n+1], "\n")
	return strings.NewReplacer("/run/clamav/clamd.ctl", s.socket, "127.0.0.1:1344", s.icap, "127.0.0.1:7357", s.milter, "127.0.0.1:3310", s.tcp, "3310", port(s.tcp)).Replace(text) + "\n"
}

// folder is one that other users may enter, and that user owns, if there is such a one.
func folder(t *testing.T, owner string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "recipe-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	own(t, dir, owner)
	return dir
}

func own(t *testing.T, path, owner string) {
	t.Helper()
	if owner == "" || os.Geteuid() != 0 {
		return
	}
	u, err := user.Lookup(owner)
	if err != nil {
		t.Skipf("no user %s", owner)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// write writes a file of dir, and the folders that it is in.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// begin lets a recipe run beside others, where that is wanted at all: it takes programs that
// are large, and minutes.
func begin(t *testing.T) {
	t.Helper()
	if os.Getenv("SHOWCAUSE_RECIPES") == "" {
		t.Skip("make test-integrations runs it")
	}
	t.Parallel()
}

// needs returns the path of a program, or skips the test.
func needs(t *testing.T, program, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path := filepath.Join(dir, program); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	t.Skipf("%s (package %s) is not installed", program, pkg)
	return ""
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it starts as root only")
	}
}

// ports are handed out once each, below those that the kernel gives to connections.
var ports atomic.Int64

// free is an address of loopback that nobody has.
func free(t *testing.T) string {
	t.Helper()
	for range 1000 {
		n := 20000 + (int64(os.Getpid())*64+ports.Add(1))%10000
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", n)); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

// listens tells when somebody listens at an address or path.
func listens(address string) func() bool {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	return func() bool {
		c, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// said is what a program says, for the log of a test that fails.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// patience is how long a program may take to be ready.
const patience = 60 * time.Second

// start starts a program that goes on, waits until it is ready, and ends it, with all that
// it started, when the test does.
func start(t *testing.T, env []string, ready func() bool, program string, args ...string) *said {
	t.Helper()
	out := &said{}
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
		}
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // its group has this number, though it may be gone
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), out)
		}
	})
	for end := time.Now().Add(patience); !ready(); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s ended", program)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready", program)
		}
	}
	return out
}

// logs shows a file if the test fails.
func logs(t *testing.T, path string) {
	t.Cleanup(func() {
		if b, err := os.ReadFile(path); t.Failed() && err == nil {
			t.Logf("%s:\n%s", filepath.Base(path), b)
		}
	})
}

// mail is a message with a file attached.
func mail(content string) []byte {
	return fmt.Appendf(nil, "From: <a@sender.test>\r\nTo: <b@mx.test>\r\nSubject: a file\r\nMessage-ID: <%d@sender.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--x\r\nContent-Type: application/octet-stream\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=file.bin\r\n\r\n%s\r\n--x--\r\n", time.Now().UnixNano(), base64.StdEncoding.EncodeToString([]byte(content)))
}

// send hands a message to a mail server, and returns what that said in the end.
func send(t *testing.T, address string, message []byte) string {
	t.Helper()
	nc, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	c, err := smtp.NewClient(nc, "127.0.0.1")
	if err != nil {
		return err.Error()
	}
	for _, step := range []func() error{
		func() error { return c.Hello("sender.test") },
		func() error { return c.Mail("a@sender.test") },
		func() error { return c.Rcpt("b@mx.test") },
	} {
		if err := step(); err != nil {
			return err.Error()
		}
	}
	w, err := c.Data()
	if err != nil {
		return err.Error()
	}
	_, _ = w.Write(message)
	if err := w.Close(); err != nil {
		return err.Error()
	}
	_ = c.Quit()
	return "taken"
}

// locked is a zip file whose content is encrypted, which nobody can say to be clean.
func locked(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "x.txt", Flags: 1, Method: zip.Store, CRC32: 0x11223344, CompressedSize64: 20, UncompressedSize64: 8})
	if err == nil {
		_, err = w.Write([]byte("12 bytes and content"))
	}
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judged asks a mail server of a clean message, an infected one, and one that cannot be read:
// the first is to arrive at to, the second to be refused with words that have the rule's
// name, and the third to be deferred.
func judged(t *testing.T, server string, to *sink, refusal string) {
	t.Helper()
	if got := send(t, server, mail("nothing\n")); got != "taken" {
		t.Errorf("clean mail: %s", got)
	}
	if got := send(t, server, mail(clamdtalk.EICAR)); !strings.HasPrefix(got, "5") || !strings.Contains(got, refusal) {
		t.Errorf("infected mail: %q, want a refusal with %q", got, refusal)
	}
	if got := send(t, server, mail(locked(t))); !strings.HasPrefix(got, "4") {
		t.Errorf("encrypted mail: %q, want it deferred", got)
	}
	m := to.next(t)
	if !strings.Contains(m, "Subject: a file\n") || strings.Contains(m, base64.StdEncoding.EncodeToString([]byte(clamdtalk.EICAR))) {
		t.Errorf("what arrived:\n%s", m)
	}
	to.last = m
}

// sink is a mail server that takes all.
type sink struct {
	address string
	mails   chan string
	last    string
}

func newSink(t *testing.T) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{address: l.Addr().String(), mails: make(chan string, 64)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
	return s
}

func (s *sink) talk(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	in := textproto.NewReader(bufio.NewReader(c))
	say := func(text string) { _, _ = c.Write([]byte(text + "\r\n")) }
	say("220 sink.test ESMTP")
	for {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.ToUpper(line), " "); word {
		case "DATA":
			say("354 go on")
			b, err := in.ReadDotBytes()
			if err != nil {
				return
			}
			s.mails <- string(b)
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// next is the next message that arrives.
func (s *sink) next(t *testing.T) string {
	t.Helper()
	select {
	case m := <-s.mails:
		return m
	case <-time.After(patience):
		t.Error("no mail arrives")
		return ""
	}
}

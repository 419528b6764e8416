//go:build !airgap

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/clamdtalk"
)

// service is the program, as it runs for others.
type service struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	socket string
	log    string
}

// began starts "showcause serve" with a clamd.conf of its own, a rule for EICAR, and more
// arguments; its store is dir/store.
func began(t *testing.T, conf string, args ...string) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "serve") // a short name: a socket's has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &service{t: t, dir: dir, socket: filepath.Join(dir, "sock"), log: filepath.Join(dir, "log")}
	s.write("db/test.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Win.Test.EICAR_HDB-1\n")
	s.write("db/test.ndb", fmt.Sprintf("Test.Marker:0:*:%x\n", "serve-test marker 5d1c"))
	s.write("clamd.conf", fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s/db\n%s", s.socket, dir, strings.ReplaceAll(conf, "PID", filepath.Join(dir, "pid"))))
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		if args[i] == "SOCKET" {
			args[i] = filepath.Join(dir, "api")
		}
	}
	s.start(args...)
	return s
}

func (s *service) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *service) env() []string {
	return append(os.Environ(), storeVariable+"="+filepath.Join(s.dir, "store"), "XDG_CACHE_HOME="+filepath.Join(s.dir, "cache"))
}

func (s *service) start(args ...string) {
	s.t.Helper()
	f, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	c := exec.Command("showcause", append([]string{"serve", "--config", filepath.Join(s.dir, "clamd.conf")}, args...)...)
	c.Env, c.Dir, c.Stdout, c.Stderr = s.env(), s.dir, f, f
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = c
	s.t.Cleanup(s.end)
	s.told("ready")
}

// end ends it as a service manager does.
func (s *service) end() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	_ = s.cmd.Wait()
}

func (s *service) logged() string {
	b, _ := os.ReadFile(s.log)
	return string(b)
}

// told waits for a text in the log.
func (s *service) told(text string) {
	s.t.Helper()
	s.until("log: "+text, func() bool { return strings.Contains(s.logged(), text) })
}

// until waits for something.
func (s *service) until(what string, is func() bool) {
	s.t.Helper()
	for range 1200 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("not so: %s\n%s", what, s.logged())
}

// ask says something on the socket, and returns all that is answered.
func (s *service) ask(text string) string {
	s.t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func instream(text string) string {
	n := len(text)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + text + "\x00\x00\x00\x00"
}

// run runs another command of the program, with the service's store.
func (s *service) run(args ...string) (string, error) {
	c := exec.Command("showcause", args...)
	c.Env = s.env()
	b, err := c.CombinedOutput()
	return string(b), err
}

// http asks over HTTP, by a socket.
func (s *service) http(method, path, body string) (int, []byte) {
	s.t.Helper()
	h := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(s.dir, "api"))
	}}, Timeout: time.Minute}
	defer h.CloseIdleConnections()
	r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := h.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, b
}

// answered is what commands of ours answer, as far as records go.
type answered struct {
	Verdict    string          `json:"verdict"`
	Record     json.RawMessage `json:"record"`
	Records    []string        `json:"records"`
	Unrecorded string          `json:"unrecorded"`
}

// Each finding has a record, which is in the store and its log, verifies, and is derived
// again from the file; by whatever door it came.
func TestServeRecords(t *testing.T) {
	s := began(t, "", "--api", "SOCKET")
	path := s.write("files/<e & é>.com", string(eicar()))
	var a answered
	reply := s.ask("nSHOWCAUSE-SCAN record -- " + path + "\n")
	if err := json.Unmarshal([]byte(reply), &a); err != nil || a.Verdict != "found" || len(a.Records) != 1 || a.Unrecorded != "" {
		t.Fatalf("%v %s", err, reply)
	}
	file := s.write("record.scf", string(a.Record)+"\n")
	if out, err := s.run("evidence", "verify", file); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if out, err := s.run("evidence", "recheck", "--db", filepath.Join(s.dir, "db"), "--file", path, file); err != nil || !strings.Contains(out, "REPRODUCED") {
		t.Errorf("%v %s", err, out)
	}
	seen := map[string]bool{a.Records[0]: true}
	a = answered{}
	reply = s.ask("nSHOWCAUSE-INSTREAM record\n" + instream(string(eicar())))
	if err := json.Unmarshal([]byte(reply), &a); err != nil || len(a.Records) != 1 || a.Record == nil || seen[a.Records[0]] {
		t.Fatalf("%v %s", err, reply)
	}
	first := a.Records[0]
	seen[first] = true
	a = answered{} // what was kept has the record that it had
	reply = s.ask("nSHOWCAUSE-INSTREAM record\n" + instream(string(eicar())))
	if err := json.Unmarshal([]byte(reply), &a); err != nil || len(a.Records) != 1 || a.Records[0] != first || a.Record == nil {
		t.Errorf("again: %v %s", err, reply)
	}
	if got := s.ask("nINSTREAM\n" + instream("x serve-test marker 5d1c")); got != "stream: Test.Marker.UNOFFICIAL FOUND\n" {
		t.Errorf("%q", got)
	}
	if _, list := s.http("GET", "/v1/records", ""); strings.Contains(string(list), first) { // of another client: it came by another door
		t.Errorf("%s", list)
	}
	code, b := s.http("POST", "/v1/scan?record=1&name=mail.eml", "y serve-test marker 5d1c")
	var h struct {
		Record     []byte
		Records    []string
		Unrecorded string
	}
	if err := json.Unmarshal(b, &h); err != nil || code != 200 || len(h.Records) != 1 || len(h.Record) == 0 || h.Unrecorded != "" {
		t.Fatalf("%d %v %s", code, err, b)
	}
	code, b = s.http("GET", "/v1/records/"+h.Records[0], "")
	if code != 200 || !bytes.Equal(b, h.Record) {
		t.Errorf("%d %s", code, b)
	}
	if code, b := s.http("GET", "/v1/records/"+strings.Repeat("ab", 32), ""); code != 404 || !strings.Contains(string(b), "no-record") {
		t.Errorf("%d %s", code, b)
	}
	if _, list := s.http("GET", "/v1/records", ""); !strings.Contains(string(list), h.Records[0]) {
		t.Errorf("%s", list)
	}
	if _, b := s.http("GET", "/v1/health", ""); !strings.Contains(string(b), `"records":"ok"`) {
		t.Errorf("%s", b)
	}
	s.end()
	names, err := filepath.Glob(filepath.Join(s.dir, "store/records/*/*.scf"))
	if err != nil || len(names) != 4 { // a file, a stream, the stream with the marker, what came by HTTP
		t.Errorf("%d records, %v\n%s", len(names), err, s.logged())
	}
	for _, n := range names {
		if out, err := s.run("evidence", "verify", strings.TrimSuffix(filepath.Base(n), ".scf")); err != nil {
			t.Errorf("%s: %v %s", n, err, out)
		}
	}
	if out, err := s.run("log", "verify"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if !strings.Contains(s.logged(), "record="+first) {
		t.Errorf("the log does not name the record\n%s", s.logged())
	}
}

// A store that cannot be written to takes no answer away; it is said, and what waited is
// written once it can be.
func TestServeStoreFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a file system of a size of its own takes root")
	}
	small := t.TempDir()
	if err := unix.Mount("serve-test", small, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skipf("tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
	s := began(t, "", "--api", "SOCKET", "--store", small)
	full := filepath.Join(small, "full")
	f, err := os.Create(full)
	if err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
	f.Close()
	var a answered
	reply := s.ask("nSHOWCAUSE-INSTREAM record\n" + instream(string(eicar())))
	if err := json.Unmarshal([]byte(reply), &a); err != nil || a.Verdict != "found" || a.Unrecorded == "" || a.Record != nil {
		t.Errorf("%v %s", err, reply)
	}
	if got := s.ask("nINSTREAM\n" + instream("z serve-test marker 5d1c")); got != "stream: Test.Marker.UNOFFICIAL FOUND\n" {
		t.Errorf("%q", got)
	}
	s.told("records cannot be written")
	if _, b := s.http("GET", "/v1/health", ""); !strings.Contains(string(b), `"records":"failing"`) || !strings.Contains(string(b), `"ready":true`) {
		t.Errorf("%s", b)
	}
	if _, b := s.http("GET", "/v1/metrics", ""); !strings.Contains(string(b), "showcause_records_ok 0\n") {
		t.Errorf("%s", b)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	s.told("records are written again")
	if _, b := s.http("GET", "/v1/metrics", ""); !strings.Contains(string(b), "showcause_records_ok 1\n") || !strings.Contains(string(b), "showcause_records_total 2\n") {
		t.Errorf("%s", b)
	}
	s.end()
	if names, _ := filepath.Glob(filepath.Join(small, "records/*/*.scf")); len(names) != 2 {
		t.Errorf("%d records\n%s", len(names), s.logged())
	}
}

// The command of VirusEvent has what was found in its environment, as it is; in its text
// there is nothing that a shell could take for more than a word. It is run by a process that
// is older than the lock, also for the process that has taken the service's place.
func TestServeEvent(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := began(t, fmt.Sprintf("VirusEvent echo \"%%v %%f $CLAM_VIRUSEVENT_FILENAME $CLAM_VIRUSEVENT_VIRUSNAME\" >> %s\nPidFile PID\n", out))
	path := s.write("files/$(touch owned) ;'.com", string(eicar()))
	want := "Win.Test.EICAR_HDB-1.UNOFFICIAL see-CLAM_VIRUSEVENT_FILENAME " + path + " Win.Test.EICAR_HDB-1.UNOFFICIAL\n"
	text := func() string {
		b, _ := os.ReadFile(out)
		return string(b)
	}
	if got := s.ask("nSCAN " + path + "\n"); !strings.Contains(got, "FOUND") {
		t.Fatalf("%q", got)
	}
	s.until("the command was run", func() bool { return text() == want })
	if got := s.ask("nINSTREAM\n" + instream("clean")); got != "stream: OK\n" {
		t.Fatalf("%q", got)
	}
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	defer func() {
		b, _ := os.ReadFile(filepath.Join(s.dir, "pid"))
		pid := 0
		if _, err := fmt.Sscan(string(b), &pid); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
		s.until("the second process has ended", func() bool { _, err := os.Stat(filepath.Join(s.dir, "pid")); return err != nil })
	}()
	if got := s.ask("nINSTREAM\n" + instream(string(eicar()))); !strings.Contains(got, "FOUND") {
		t.Fatalf("%q", got)
	}
	want += "Win.Test.EICAR_HDB-1.UNOFFICIAL see-CLAM_VIRUSEVENT_FILENAME stream Win.Test.EICAR_HDB-1.UNOFFICIAL\n"
	s.until("the command was run for the second process", func() bool { return text() == want })
	if _, err := os.Stat(filepath.Join(s.dir, "owned")); err == nil {
		t.Error("a name was run")
	}
}

// Every conversation of the list is had with the program as it runs for others, in its
// jail, and answered as clamd answers, or as the list has it for us.
func TestServeTalks(t *testing.T) {
	recorded, err := clamdtalk.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "talks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := clamdtalk.StartAs(dir, func(conf string) *exec.Cmd {
		c := exec.Command("showcause", "serve", "--config", conf)
		c.Env = append(os.Environ(), storeVariable+"="+filepath.Join(dir, "store"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	ask := func(talk clamdtalk.Talk) {
		want, ok := recorded[talk.Name]
		if !ok {
			t.Errorf("%s is not recorded", talk.Name)
			return
		}
		if talk.Ours != nil {
			want = *talk.Ours
		}
		c, err := p.Dial(talk.TCP)
		if err != nil {
			t.Errorf("%s: %v", talk.Name, err)
			return
		}
		patient := talk.Patient(want)
		got, err := patient.With(c, p.Tree)
		if err != nil || got != want {
			t.Errorf("%s: %v, want %v (%v)", talk.Name, got, want, err)
		}
	}
	var last []clamdtalk.Talk
	var wg sync.WaitGroup
	free := make(chan struct{}, 8)
	for _, talk := range clamdtalk.Talks() {
		if talk.Last {
			last = append(last, talk)
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			ask(talk)
		})
	}
	wg.Wait()
	for _, talk := range last {
		ask(talk)
	}
	if len(last) != 1 {
		t.Errorf("%d conversations end it", len(last))
	}
	for range 600 { // SHUTDOWN was among them
		if _, err := os.Lstat(p.Socket()); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("it does not end")
}

//go:build !airgap

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause/internal/answer"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/rules"
)

// A service that took a clamd.conf is asked how it stands, by the commands and in the log.
func TestStatus(t *testing.T) {
	dir, err := os.MkdirTemp("", "status-") // short: it has sockets
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "showcause") // by this name the test is the command
	if err := os.Link(self, program); err != nil {
		b, err := os.ReadFile(self)
		if err != nil || os.WriteFile(program, b, 0o755) != nil {
			t.Fatal("the program is not copied")
		}
	}
	conf := fmt.Sprintf("LocalSocket %[1]s/s\nLogFile %[1]s/log\nLogFileMaxSize 100\nExtendedDetectionInfo yes\nMaxThreads 1\nScanPE no\nDatabaseDirectory %[1]s/rules\n", dir)
	if os.WriteFile(dir+"/clamd.conf", []byte(conf), 0o600) != nil || os.Mkdir(dir+"/rules", 0o755) != nil || os.WriteFile(dir+"/rules/a.ndb", fmt.Appendf(nil, "Test.Eicar:0:0:%x\n", eicar()), 0o600) != nil {
		t.Fatal("files")
	}
	service := exec.Command(program, "serve", "--config", dir+"/clamd.conf", "--control", dir+"/c")
	service.Stderr = os.Stderr
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			service.Process.Kill()
			service.Wait()
		}
	}()
	ask := func(args ...string) (string, error) {
		out, err := exec.Command(program, append(args, "--control", dir+"/c")...).CombinedOutput()
		return string(out), err
	}
	var idle net.Conn
	out := ""
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if out, err = ask("status"); err == nil {
			if idle, err = net.Dial("unix", dir+"/s"); err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(dir + "/log")
			t.Fatalf("the service does not begin: %v %s %s", err, out, b)
		}
	}
	defer idle.Close()
	for _, content := range []string{"nothing", string(eicar())} {
		c, err := net.Dial("unix", dir+"/s")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "zINSTREAM\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(content))))+content+"\x00\x00\x00\x00")
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "stream: ") {
			t.Errorf("%q %v", b, err)
		}
		c.Close()
	}
	var said struct {
		Jail    string
		Service struct {
			Doors []struct {
				Door                              string
				Open, Connections, Found, Refused int
				Clean                             int `json:"nothing_found"`
				Sockets                           []struct{ Address string }
			}
			Rules  struct{ Count int }
			Sealed bool
		}
	}
	s := &said.Service
	// The connections that ended may be counted a moment longer.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if out, err = ask("status", "--json"); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(s.Doors) > 0 && s.Doors[0].Open == 1 || time.Now().After(end) {
			break
		}
	}
	if len(s.Doors) != 2 || s.Rules.Count != 1 || !s.Sealed {
		t.Fatalf("%s", out)
	}
	if d := s.Doors[0]; d.Door != "clamd" || d.Open != 1 || d.Connections != 3 || d.Found != 1 || d.Clean != 1 || d.Refused != 0 || d.Sockets[0].Address != dir+"/s" {
		t.Errorf("%s", out)
	}
	for _, command := range [][]string{{"status"}, {"top", "--once"}} {
		if out, err = ask(command...); err != nil || !strings.Contains(out, "1 at most, sealed") || !strings.Contains(out, "2: 1 found, 0 incomplete, 1 nothing found") || !strings.Contains(out, dir+"/s\n") {
			t.Errorf("%q: %v\n%s", command, err, out)
		}
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
	ended = true
	// The log was put aside on its way, by a service that is locked already.
	logs, err := filepath.Glob(dir + "/log*")
	var b []byte
	for _, name := range logs {
		text, rerr := os.ReadFile(name)
		b, err = append(b, text...), errors.Join(err, rerr)
	}
	want := "instream(local): Test.Eicar.UNOFFICIAL(275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f:68) FOUND\n"
	if err != nil || len(logs) < 2 || !strings.Contains(string(b), want) || !strings.Contains(string(b), "clamd.conf:6: ScanPE: not applicable: ") {
		t.Errorf("log: %v\n%s", err, b)
	}
	if out, err := ask("status"); err == nil || !strings.Contains(out, "serve --control") {
		t.Errorf("no service: %v %s", err, out)
	}
}

// The line about the jail says that walls are missing, but not of those that are needless.
func TestStatusJail(t *testing.T) {
	for want, walls := range map[string][]jail.Given{
		"jail: readers are locked in; no network":                                           {{Wall: "seccomp", On: true}, {Wall: "uid", Needless: true}},
		"jail: readers are locked in by system calls alone, BUT 1 of 2 walls are not there": {{Wall: "seccomp", On: true}, {Wall: "landlock"}},
	} {
		var b strings.Builder
		if err := (&statusReport{Jail: answer.Sealed, Walls: walls}).text(&b); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s\n%v", want, &b, err)
		}
	}
}

// The service loads the signatures of possibly unwanted applications that it is told to; those
// of two settings are not of one cache.
func TestOpenFor(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.ndu", []byte("PUA.One.A:0:*:61616161\nPUA.Two.B:0:*:62626262\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/a.ndb", []byte("Plain:0:*:63636363\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pua  rules.Options
		want int
	}{
		{rules.Options{}, 1},
		{rules.Options{PUAOnly: []string{"One"}}, 1},
		{rules.Options{PUA: true}, 3},
		{rules.Options{PUA: true, PUAOnly: []string{"One"}}, 2},
		{rules.Options{PUA: true, PUAExcept: []string{"One", "Two"}}, 1},
	} {
		db, err := openFor(t.Context(), []string{dir}, c.pua, io.Discard, true)
		if err != nil {
			t.Fatal(err)
		}
		if db.Len() != c.want {
			t.Errorf("%+v: %d rules, want %d", c.pua, db.Len(), c.want)
		}
		db.Close()
	}
}

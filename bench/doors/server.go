package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is one that is measured.
type server struct {
	name      string
	ours      bool
	cmd       *exec.Cmd
	unix, tcp string
	log       *bytes.Buffer
	done      chan struct{}
}

func (s *server) address(network string) string {
	if network == "unix" {
		return s.unix
	}
	return s.tcp
}

// gather makes a folder of the rules: those of a folder, and the marks'.
func gather(dir, from string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		fmt.Fprintln(os.Stderr, "doors: the marks' rules alone:", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for i := range rulesMarked {
		fmt.Fprintf(&b, "Doors.Mark.%03d:0:*:%s\n", i, hex.EncodeToString([]byte(mark(i))))
	}
	return os.WriteFile(filepath.Join(dir, "doors.ndb"), b.Bytes(), 0o644)
}

// freePort is a port of this machine that nobody listens at.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func startClamd(ctx context.Context, tmp, rules string, _ *options) (*server, error) {
	bin, err := exec.LookPath("clamd")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/clamd"); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{name: "clamd", unix: filepath.Join(tmp, "clamd.sock"), tcp: "127.0.0.1:" + port}
	conf := filepath.Join(tmp, "clamd.conf")
	text := fmt.Sprintf("LocalSocket %s\nTCPSocket %s\nTCPAddr 127.0.0.1\nDatabaseDirectory %s\nTemporaryDirectory %s\nForeground yes\nSelfCheck 0\nDisableCache yes\n", s.unix, port, rules, tmp)
	if os.Geteuid() == 0 {
		text += "User root\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return s, s.start(ctx, nil, bin, "--config-file="+conf)
}

func startShowcause(ctx context.Context, tmp, rules string, o *options) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	db := filepath.Join(tmp, "rules.scdb")
	if out, err := exec.CommandContext(ctx, o.showcause, "rules", "compile", rules, "-o", db).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rules compile: %w: %s", err, out)
	}
	s := &server{name: "showcause", ours: true, unix: filepath.Join(tmp, "showcause.sock"), tcp: "127.0.0.1:" + port}
	return s, s.start(ctx, []string{"SHOWCAUSE_STORE=off"}, o.showcause, "serve", "--socket", s.unix, "--tcp", s.tcp, "--db", db, "--cache", "0", "--self-check", "0")
}

// start starts a server and waits until it answers.
func (s *server) start(ctx context.Context, env []string, command ...string) error {
	s.log, s.done = &bytes.Buffer{}, make(chan struct{})
	s.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is of no interest
		close(s.done)
	}()
	for {
		if err := s.say("PING", "PONG"); err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%s ended before it answered: %s", s.name, s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.done
	}
}

// say sends a command and waits for its answer.
func (s *server) say(command, want string) error {
	c, err := net.Dial("unix", s.unix)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(c, "z%s\x00", command); err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if got := strings.TrimSuffix(string(b), "\x00"); err != nil || got != want {
		return errors.Join(err, wrong{got, want})
	}
	return nil
}

func (s *server) reload() error { return s.say("RELOAD", "RELOADING") }

// tree is the server's process and all below it.
func (s *server) tree() []string {
	parents := map[string]string{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		if f := afterName(b); len(f) > 1 {
			parents[filepath.Base(filepath.Dir(path))] = f[1]
		}
	}
	root := strconv.Itoa(s.cmd.Process.Pid)
	out := []string{root}
	for i := 0; i < len(out); i++ {
		for pid, parent := range parents {
			if parent == out[i] {
				out = append(out, pid)
			}
		}
	}
	return out
}

// afterName are the fields of proc(5)'s stat from the state on.
func afterName(b []byte) []string {
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// cpu is what the server has used, and its children that have ended.
func (s *server) cpu() time.Duration {
	var ticks int64
	for _, pid := range s.tree() {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		f := afterName(b)
		if err != nil || len(f) < 15 {
			continue
		}
		for _, v := range f[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(v, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// memory is what the server holds besides what is mapped of files, MB.
func (s *server) memory() float64 {
	sum := 0.0
	for _, pid := range s.tree() {
		b, _ := os.ReadFile("/proc/" + pid + "/status")
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
				n, _ := strconv.ParseFloat(f[1], 64)
				sum += n / 1000
			}
		}
	}
	return sum
}

func (s *server) descriptors() int {
	n := 0
	for _, pid := range s.tree() {
		fds, _ := os.ReadDir("/proc/" + pid + "/fd")
		n += len(fds)
	}
	return n
}

// manyFiles lets this process, and those that it starts, have as many descriptors as may be.
func manyFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(b))
}

func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(b))[:1], "")
}

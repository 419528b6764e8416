package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds for both, so that both read the same bytes: clamscan and clamd leave
// out whole files over 100 MB otherwise. ClamAV takes at most 2 GB less 1 byte.
const (
	maxFileSize  = "2000M"
	maxScanSize  = "4000M"
	maxFiles     = "100000"
	maxRecursion = "32"
)

func limitFlags() []string {
	return []string{"--max-filesize=" + maxFileSize, "--max-scansize=" + maxScanSize, "--max-files=" + maxFiles, "--max-recursion=" + maxRecursion}
}

// clamd is one running server.
type clamd struct {
	cmd     *exec.Cmd
	pid     string
	config  string
	socket  string
	log     string
	started time.Time
	load    time.Duration // start to PONG
	dir     string
	done    chan struct{}
	cancel  func() // of a server with a context of its own, or nil
}

// clamdConfig is the least that a server needs, with the limits of both. A line
// of more takes the place of that with the same name.
func clamdConfig(dir, db string, threads int, more ...string) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "User root\n" // or it would not read what root reads
	}
	text := fmt.Sprintf("LocalSocket %s/socket\nDatabaseDirectory %s\nTemporaryDirectory %[1]s\nForeground yes\nSelfCheck 0\nMaxThreads %[3]d\n"+
		"MaxFileSize %s\nMaxScanSize %s\nMaxFiles %s\nMaxRecursion %s\nMaxScanTime 0\n%s",
		dir, db, threads, maxFileSize, maxScanSize, maxFiles, maxRecursion, user)
	for _, m := range more {
		name, _, _ := strings.Cut(m, " ")
		var kept strings.Builder
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, name+" ") {
				kept.WriteString(line)
			}
		}
		text = kept.String() + m + "\n"
	}
	return text
}

// startClamd starts a server and waits until it answers.
func startClamd(ctx context.Context, bin, tmp, db string, threads int, more ...string) (*clamd, error) {
	dir, err := os.MkdirTemp(tmp, "clamd")
	if err != nil {
		return nil, err
	}
	d := &clamd{dir: dir, config: filepath.Join(dir, "clamd.conf"), socket: filepath.Join(dir, "socket"), log: filepath.Join(dir, "log"), done: make(chan struct{})}
	if err := os.WriteFile(d.config, []byte(clamdConfig(dir, db, threads, more...)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.CommandContext(ctx, bin, "--config-file="+d.config)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.started = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("clamd: %w", err)
	}
	d.pid = strconv.Itoa(d.cmd.Process.Pid)
	go func() {
		d.cmd.Wait()
		close(d.done)
	}()
	for {
		if reply, err := d.ask("PING"); err == nil && reply == "PONG" {
			d.load = time.Since(d.started)
			return d, nil
		}
		select {
		case <-d.done:
			text, _ := os.ReadFile(d.log)
			return nil, fmt.Errorf("clamd: ended before it answered: %s", tail(string(text)))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// ask sends one command and returns the answer.
func (d *clamd) ask(command string) (string, error) {
	c, err := net.Dial("unix", d.socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(c, "n%s\n", command); err != nil {
		return "", err
	}
	var b [128]byte
	n, err := c.Read(b[:])
	return strings.TrimSpace(string(b[:n])), err
}

// reload makes the server load its database again while it serves, and waits
// until its log says that it did.
func (d *clamd) reload(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	if _, err := d.ask("RELOAD"); err != nil {
		return 0, fmt.Errorf("clamd: reload: %w", err)
	}
	for ctx.Err() == nil {
		text, err := os.ReadFile(d.log)
		if err != nil {
			return 0, err
		}
		if strings.Contains(string(text), "Database correctly reloaded") {
			return time.Since(started), nil
		}
		select {
		case <-d.done:
			return 0, fmt.Errorf("clamd: ended while it reloaded: %s", tail(string(text)))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return 0, ctx.Err()
}

func (d *clamd) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		d.cmd.Process.Kill()
		<-d.done
	}
	if d.cancel != nil {
		d.cancel()
	}
	os.RemoveAll(d.dir)
}

// usage adds what the server has used so far.
func (d *clamd) usage(s *sample) error {
	cpu, err := cpuTime(d.pid)
	if err != nil {
		return err
	}
	s.CPU += cpu
	s.Peak, err = statusBytes(d.pid, "VmHWM")
	return err
}

// clamdStart measures start to PONG, or with reload one RELOAD after it.
func (b *bench) clamdStart(ctx context.Context, reload bool) (s sample, err error) {
	d, err := startClamd(ctx, b.clamd, b.tmp, b.db, b.cores)
	if err != nil {
		return s, err
	}
	defer d.stop()
	s.outcome = outcome{-1, -1, -1, 0}
	s.Wall = d.load
	var before time.Duration
	if reload {
		if before, err = cpuTime(d.pid); err != nil {
			return s, err
		}
		if s.Wall, err = d.reload(ctx); err != nil {
			return s, err
		}
	}
	err = d.usage(&s)
	s.CPU -= before
	return s, err
}

// clamdScan measures clamdscan against a server that was started for it: a
// server remembers the clean files that it has seen, so that a second run of
// the same one would measure its memory. The time is clamdscan's; the CPU time
// is of both, since the server answered first; the memory is the server's.
func (b *bench) clamdScan(ctx context.Context, threads int, paths []string) (s sample, err error) {
	d, err := startClamd(ctx, b.clamd, b.tmp, b.db, threads)
	if err != nil {
		return s, err
	}
	defer d.stop()
	before, err := cpuTime(d.pid)
	if err != nil {
		return s, err
	}
	args := []string{b.clamdscan, "--config-file=" + d.config, "--infected", "--fdpass"}
	if threads > 1 {
		args = append(args, "--multiscan")
	}
	if s, err = measure(ctx, nil, append(args, paths...)...); err != nil {
		return s, err
	}
	err = d.usage(&s)
	s.CPU -= before
	s.Floor = 0
	return s, err
}

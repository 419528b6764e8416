//go:build !airgap

package egress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ledger"
)

// Run sends the process on the Errands of a job and returns its answers, which
// the caller checks against the files: the process is not believed. notes are
// for a person. files are where the content goes, one an errand; keys may be
// nil. From its start on, this process itself has no way to a network any more
// (jail.Broker).
func Run(ctx context.Context, job *Job, log *ledger.Log, keys *os.File, files []*os.File) (answers []Answer, notes string, err error) {
	if len(files) != len(job.Errands) || len(files) > MaxErrands {
		return nil, "", fmt.Errorf("egress: %d files for %d errands", len(files), len(job.Errands))
	}
	for _, e := range job.Errands {
		job.URLs = append(job.URLs, e.URL)
	}
	s, err := Start(ctx, job, log, keys, files)
	if err != nil {
		return nil, "", err
	}
	for i, e := range job.Errands {
		e.File = i
		a, err := s.Do(e)
		if err != nil {
			s.Close()
			return nil, "", err
		}
		answers = append(answers, a)
	}
	notes, err = s.Close()
	return answers, notes, err
}

// A Session is a process that is told its errands one by one.
type Session struct {
	ctx        context.Context
	cancel     context.CancelFunc
	c          *exec.Cmd
	in         io.WriteCloser
	out        *bufio.Scanner
	complaints bytes.Buffer
	notes      string
	err        error // how it ended, once it did
}

// Start starts the process as "showcause egress", with the files that its
// errands fill. It may connect to the ports of the job's URLs. As after Run,
// this process has no way to a network from then on.
func Start(ctx context.Context, job *Job, log *ledger.Log, keys *os.File, files []*os.File) (*Session, error) {
	if len(files) > MaxErrands {
		return nil, fmt.Errorf("egress: %d files, at most %d", len(files), MaxErrands)
	}
	job.KeyLog, job.Files, job.Ports = keys != nil, len(files), ports(job)
	if keys == nil {
		var err error
		if keys, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return nil, fmt.Errorf("egress: %w", err)
		}
		defer keys.Close()
	}
	s := &Session{}
	s.ctx, s.cancel = context.WithTimeout(ctx, deadline)
	if err := s.start(append([]*os.File{log.File(), keys}, files...)); err != nil {
		s.cancel()
		return nil, fmt.Errorf("egress: %w", err)
	}
	// From here on there is no way out of this process.
	if err := jail.Broker(); err != nil && !errors.Is(err, jail.ErrUnsupported) {
		s.notes = "egress: " + err.Error() + "\n"
	}
	if err := json.NewEncoder(s.in).Encode(job); err != nil {
		return nil, s.end(err)
	}
	return s, nil
}

// start starts the process with these files.
func (s *Session) start(files []*os.File) (err error) {
	// The parent-death signal is tied to the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, drop := range []bool{true, false} {
		c := command(s.ctx, drop && os.Geteuid() == 0)
		c.Stderr = &capped{b: &s.complaints, left: 4 << 10}
		c.ExtraFiles = files
		if s.in, err = c.StdinPipe(); err != nil {
			return err
		}
		out, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		s.c, s.out = c, bufio.NewScanner(out)
		s.out.Buffer(nil, 1<<16)
		if err = c.Start(); err == nil || !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EINVAL) {
			return err // else: root of a container that has no other users
		}
	}
	return err
}

// Do sends the process on an errand and waits for its answer. An error says that
// the process is no more.
func (s *Session) Do(e Errand) (Answer, error) {
	if s.err != nil {
		return Answer{}, s.err
	}
	if err := json.NewEncoder(s.in).Encode(e); err != nil {
		return Answer{}, s.end(err)
	}
	if !s.out.Scan() {
		return Answer{}, s.end(s.out.Err())
	}
	a, err := parseAnswer(s.out.Bytes())
	if err != nil {
		return Answer{}, s.end(err)
	}
	return a, nil
}

// Close ends the process. notes are for a person.
func (s *Session) Close() (notes string, err error) {
	if s.err == nil && s.end(nil) == errEnded {
		return s.notes, nil
	}
	return s.notes, s.err
}

var errEnded = errors.New("egress: ended")

// end waits for the process to end, and says why it did.
func (s *Session) end(cause error) error {
	s.in.Close()
	stopped := context.Cause(s.ctx)
	if cause != nil {
		s.cancel()
	}
	err := s.c.Wait()
	if stopped == nil && cause == nil {
		stopped = context.Cause(s.ctx)
	}
	s.notes += strings.TrimSpace(s.complaints.String())
	switch {
	case stopped != nil:
		s.err = fmt.Errorf("egress: %w", stopped)
	case cause == nil && err == nil:
		s.err = errEnded
	case err != nil && s.notes != "":
		s.err = fmt.Errorf("egress: %w: %s", err, s.notes)
	default:
		s.err = fmt.Errorf("egress: %w", errors.Join(cause, err))
	}
	s.cancel()
	return s.err
}

// command is the process, not started yet.
func command(ctx context.Context, drop bool) *exec.Cmd {
	c := exec.CommandContext(ctx, "/proc/self/exe", "egress")
	c.Args[0] = "showcause"
	c.Env = environment()
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if drop {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // it closes its entry
	c.WaitDelay = grace
	return c
}

// environment is that of the process. Nothing of ours is handed on but the word
// that forbids: what the environment names (certificates, resolver options,
// debug settings, libraries) would otherwise change who is trusted and asked.
func environment() []string {
	return []string{
		"TZ=UTC",
		"GODEBUG=containermaxprocs=0,updatemaxprocs=0", // the runtime would keep files of its control group open
		ledger.AirGapVariable + "=" + os.Getenv(ledger.AirGapVariable),
	}
}

// Bounds of the process as a whole, beside those of each request.
const (
	deadline = 2 * time.Hour
	grace    = 10 * time.Second // to close its entry once it was told to end
)

// nobody is the user that the process is where root starts it.
const nobody = 65534

// capped keeps the first bytes of what is written to it, and fails then.
type capped struct {
	b    *bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.left {
		return 0, errors.New("too much")
	}
	c.left -= len(p)
	return c.b.Write(p)
}

// parseAnswer reads what the process says.
func parseAnswer(line []byte) (a Answer, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil || d.More() {
		return a, errors.New("egress: an answer that is none")
	}
	return a, nil
}

// ports are the TCP ports that may be connected to: those of the URLs and the
// proxy, that of https for redirects, and that of name servers.
func ports(job *Job) []uint16 {
	out := []uint16{443, 53}
	add := func(s string) {
		u, err := url.Parse(s)
		if err != nil {
			return // refused when it is asked for
		}
		if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			out = append(out, uint16(p))
		} else if u.Scheme == "http" {
			out = append(out, 80)
		}
	}
	for _, u := range job.URLs {
		add(u)
	}
	if job.Proxy != "" {
		add(job.Proxy)
	}
	return out
}

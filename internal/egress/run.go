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
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/ledger"
)

// Run starts the process as "showcause egress" and returns its answers, which
// the caller checks against the files: the process is not believed. notes are
// for a person. files are where the content goes, one an errand; keys may be
// nil. From its start on, this process itself has no way to a network any more
// (jail.Broker).
func Run(ctx context.Context, job *Job, log *ledger.Log, keys *os.File, files []*os.File) (answers []Answer, notes string, err error) {
	if len(files) != len(job.Errands) || len(files) > MaxErrands {
		return nil, "", fmt.Errorf("egress: %d files for %d errands", len(files), len(job.Errands))
	}
	job.KeyLog = keys != nil
	if keys == nil {
		if keys, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return nil, "", fmt.Errorf("egress: %w", err)
		}
		defer keys.Close()
	}
	text, err := json.Marshal(job)
	if err != nil {
		return nil, "", fmt.Errorf("egress: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	files = append([]*os.File{log.File(), keys}, files...)
	// The parent-death signal is tied to the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out, complaints bytes.Buffer
	var c *exec.Cmd
	for _, drop := range []bool{true, false} {
		c = command(ctx, drop && os.Geteuid() == 0)
		c.Stdin = bytes.NewReader(text)
		c.Stdout = &capped{b: &out, left: 1 << 20}
		c.Stderr = &capped{b: &complaints, left: 4 << 10}
		c.ExtraFiles = files
		if err = c.Start(); err == nil || !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EINVAL) {
			break // else: root of a container that has no other users
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("egress: %w", err)
	}
	// From here on there is no way out of this process.
	if err := jail.Broker(); err != nil && !errors.Is(err, jail.ErrUnsupported) {
		notes = "egress: " + err.Error() + "\n"
	}
	err = c.Wait()
	notes += strings.TrimSpace(complaints.String())
	switch {
	case ctx.Err() != nil:
		return nil, "", fmt.Errorf("egress: %w", context.Cause(ctx))
	case err != nil:
		return nil, "", fmt.Errorf("egress: %w: %s", err, notes)
	}
	answers, err = parseAnswers(&out, len(job.Errands))
	return answers, notes, err
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

// parseAnswers reads what the process says.
func parseAnswers(r io.Reader, want int) ([]Answer, error) {
	var out []Answer
	s := bufio.NewScanner(r)
	for s.Scan() {
		var f Answer
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			return nil, errors.New("egress: an answer that is none")
		}
		out = append(out, f)
	}
	if s.Err() != nil || len(out) != want {
		return nil, fmt.Errorf("egress: %d answers to %d questions", len(out), want)
	}
	return out, nil
}

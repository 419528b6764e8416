package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/showcause/showcause"
)

// A signal ends a scan without the jail in the midst of a file for which nothing
// is read: conditions that count for minutes.
func TestInterruptedCounting(t *testing.T) {
	dir := t.TempDir()
	var rules strings.Builder
	for i := range 1000 { // each to its own bound of steps
		fmt.Fprintf(&rules, "rule long%d { condition: for all i in (1..900000000) : (i > 0) }\n", i)
	}
	for name, text := range map[string]string{"a": "a", "b": "b", "long.yar": rules.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c := process(t, dir, "scan", "--jail=off", "--max-work=900000000000000", "-j1", "--db", "long.yar", "a", "b")
		var out bytes.Buffer
		c.Stdout = &out
		told, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
		r := bufio.NewReader(told)
		for line := ""; !strings.Contains(line, "without the jail"); {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		time.Sleep(300 * time.Millisecond) // now it counts, on any machine but a very busy one
		c.Process.Signal(s)
		rest, _ := io.ReadAll(r)
		err = c.Wait()
		stuck.Stop()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitError || !strings.Contains(string(rest), "interrupted") || !strings.Contains(out.String(), " 0 nothing found") {
			t.Errorf("%v: %v: %s%s", s, err, rest, out.String())
		}
	}
}

// Once the context is done, no file waits for its turn, and nobody for a scan.
func TestInProcessEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := &inProcess{ctx: ctx, work: make(chan submitted)}
	p.wg.Add(1) // a scan that goes on
	ended := make(chan error, 1)
	p.SubmitWith(ctx, nil, nil, func(_ showcause.Report, err error) { ended <- err })
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

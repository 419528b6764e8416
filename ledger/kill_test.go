//go:build !airgap

package ledger

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fetchChild DIR BASE asks for files of BASE until it is killed.
func fetchChild(a []string) {
	l, err := Open(a[0])
	exit(err)
	c, err := NewClient(l, Options{})
	exit(err)
	for i := 0; ; i++ {
		_, err := c.Do(context.Background(), Request{URL: fmt.Sprintf("%s/%d/%d", a[1], os.Getpid(), i), Purpose: UpdateRules}, io.Discard)
		exit(err)
		if i == 0 {
			os.Stdout.WriteString("going\n")
		}
	}
}

var kills = flag.Int("kills", 200, "how often TestKill kills a writer")

// Killed at any moment, a writer leaves a ledger that is gone on with, and has
// sent nothing that is not in it.
func TestKill(t *testing.T) {
	r := serve(t, false, func(string) string { return ok("x") })
	dir := filepath.Join(t.TempDir(), "ledger")
	random := rand.New(rand.NewSource(1))
	for range *kills {
		c := run(t, "fetch", dir, "http://"+r.Addr().String())
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if random.Intn(4) > 0 { // else killed while it starts
			b := make([]byte, 100)
			if n, _ := out.Read(b); string(b[:n]) != "going\n" {
				t.Fatalf("writer: %s", b[:n])
			}
		}
		time.Sleep(time.Duration(random.Intn(4000)) * time.Microsecond)
		c.Process.Signal(syscall.SIGKILL)
		c.Wait()
	}
	l, err := Open(dir) // keeps the last tail
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	written := map[string]int{}
	s, err := Read(dir, func(e *Entry) error {
		if e.Send != nil {
			written[e.Send.Plain]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, q := range r.requests() {
		if q == "" {
			continue // a connection whose entry is there, and its sender is not
		}
		sent++
		if written[q]--; written[q] < 0 {
			t.Errorf("sent and not in the ledger: %q", q)
		}
	}
	if sent < *kills/2 || s.Open == 0 {
		t.Errorf("%d requests, %d cut short: the test tests nothing", sent, s.Open)
	}
	t.Logf("%d lines, %d requests, %d cut short, %d tails", s.Lines, sent, s.Open, len(s.Torn))
}

// The canary of the test that a test sees what it looks for.
func TestRecorderSees(t *testing.T) {
	r := serve(t, false, func(string) string { return ok("x") })
	c, _ := client(t, Options{})
	token := "c4n4ry"
	if _, err := c.Do(t.Context(), Request{URL: "http://" + r.Addr().String() + "/" + token, Purpose: UpdateRules}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := r.requests(); !strings.Contains(strings.Join(got, ""), token) {
		t.Errorf("%q", got)
	}
}

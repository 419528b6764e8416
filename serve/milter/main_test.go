package milter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker"
)

// TestMain is the reader too: what the pools of the tests start is this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "reader" {
		if err := worker.Read(worker.Reading{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const marker = "milter-test marker 4f1d showcause."

// readers is a Scanner with real readers, and a rule for marker.
func readers(t *testing.T, p queue.Policy) *accept.Behind {
	t.Helper()
	path := t.TempDir() + "/one.ndb"
	if err := os.WriteFile(path, fmt.Appendf(nil, "Test.Marker:0:*:%x\n", marker), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := rules.Compile([]string{path}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(queue.Options{
		Rules: queue.Database{DB: db, Version: "1", Digest: "abc"}, Pool: worker.Options{Workers: 1, Names: true, Args: []string{"showcause", "reader"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Drain(context.Background()) })
	return &accept.Behind{Door: "milter", Queue: q, Policy: p}
}

// fake finds marker, and fails where a body begins with "fail:".
type fake struct {
	policy queue.Policy
	open   atomic.Int64
	last   atomic.Pointer[accept.Request]
	busy   chan struct{} // waited for, if set
}

type memory struct {
	bytes.Buffer
	f      *fake
	closed bool
}

func (m *memory) Size() int64 { return int64(m.Len()) }
func (m *memory) Close() error {
	if !m.closed {
		m.closed = true
		m.f.open.Add(-1)
	}
	return nil
}

func (m *memory) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "full:") {
		return 0, queue.ErrNoSpace
	}
	return m.Buffer.Write(p)
}

func (m *memory) File() (*os.File, error) {
	f, err := os.CreateTemp("", "milter-test-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	_, err = f.Write(m.Bytes())
	return f, err
}

func (f *fake) Receive(context.Context, string, int64) (accept.Stream, error) {
	f.open.Add(1)
	return &memory{f: f}, nil
}

func (f *fake) Scan(_ context.Context, r accept.Request) (queue.Said, error) {
	f.last.Store(&r)
	if f.busy != nil {
		<-f.busy
	}
	b := r.Stream.(*memory).Bytes()
	b = bytes.TrimPrefix(b, []byte(received))
	a := queue.Answer{Report: showcause.Report{Gaps: r.Gaps}}
	switch {
	case bytes.Contains(b, []byte(marker)):
		a.Report.Findings = []showcause.Finding{{Rule: "Test.Marker"}}
	case bytes.HasPrefix(b, []byte("fail:")):
		a.Report.Gaps = append(a.Report.Gaps, showcause.Gap{Code: showcause.Encrypted})
	case bytes.HasPrefix(b, []byte("busy:")):
		return queue.Said{}, queue.ErrBusy
	case bytes.HasPrefix(b, []byte("odd:")):
		return queue.Said{}, io.ErrNoProgress
	}
	return f.policy.Say(&a), nil
}

func (f *fake) Digest() string  { return "abc" }
func (f *fake) Version() string { return "" }

// opened serves on loopback and returns the address.
func opened(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

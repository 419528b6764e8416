// Package accepttest is what the tests of a door need: something that stands behind it,
// made up or real, and conversations with it.
package accepttest

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/serve/accept"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/serve/records"
	"github.com/showcause/showcause/worker/workertest"
)

// Marker is what Fake and Readers find.
const Marker = "door-test marker 4f1d showcause."

// Readers is a Scanner with a real reader, and a rule for Marker. The package's TestMain is workertest.Main.
func Readers(t testing.TB, door string, p queue.Policy, options ...func(*queue.Options)) *accept.Behind {
	t.Helper()
	db, _ := workertest.Rule(t, "Test.Marker", Marker)
	o := queue.Options{Rules: queue.Database{DB: db, Version: "1", Digest: "abc"}, Pool: workertest.Pool(1)}
	for _, set := range options {
		set(&o)
	}
	q, err := queue.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Drain(context.Background()) })
	return &accept.Behind{Door: door, Queue: q, Policy: p}
}

// Full is a Keeper of records whose store takes none, and the option that makes a queue use it.
func Full(t testing.TB, p queue.Policy) (*records.Keeper, func(*queue.Options)) {
	t.Helper()
	k, err := records.Open(records.Options{Store: t.TempDir() + "/store", Policy: p, Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Store().Close(); err != nil { // stands for a disk that is full
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close(context.Background()) })
	return k, func(o *queue.Options) {
		o.Record, o.Pool.Digests, o.Rules.Digest = k.Record, true, strings.Repeat("a", 64)
	}
}

// Fake is a Scanner that finds Marker. It does not read what begins with "fail:", is busy for
// "busy:", fails for "odd:", has no space for "full:", and half of what begins with "short:" can
// be read back.
type Fake struct {
	Policy queue.Policy
	Prefix string                         // the door puts it before what it hands over
	Open   atomic.Int64                   // streams that are not closed
	Last   atomic.Pointer[accept.Request] // the last that was asked
	Busy   chan struct{}                  // waited for, if set
}

type memory struct {
	bytes.Buffer
	f      *Fake
	closed bool
}

func (m *memory) Size() int64 { return int64(m.Len()) }
func (m *memory) Close() error {
	if !m.closed {
		m.closed = true
		m.f.Open.Add(-1)
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
	f, err := os.CreateTemp("", "door-test-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	b := m.Bytes()
	if bytes.HasPrefix(b, []byte("short:")) {
		b = b[:len(b)/2]
	}
	_, err = f.Write(b)
	return f, err
}

// Receive implements accept.Scanner.
func (f *Fake) Receive(context.Context, string, int64) (accept.Stream, error) {
	f.Open.Add(1)
	return &memory{f: f}, nil
}

// Scan implements accept.Scanner.
func (f *Fake) Scan(_ context.Context, r accept.Request) (queue.Said, error) {
	f.Last.Store(&r)
	if f.Busy != nil {
		<-f.Busy
	}
	b := bytes.TrimPrefix(r.Stream.(*memory).Bytes(), []byte(f.Prefix))
	a := queue.Answer{Report: showcause.Report{Gaps: r.Gaps}}
	switch {
	case bytes.Contains(b, []byte(Marker)):
		stage, _, _ := bytes.Cut(b, []byte(":"))
		a.Report.Findings = []showcause.Finding{{Rule: "Test.Marker", Stage: showcause.Stage(stage)}} // of no stage, but for "shadow: ..."
	case bytes.HasPrefix(b, []byte("fail:")):
		a.Report.Gaps = append(a.Report.Gaps, showcause.Gap{Code: showcause.Encrypted})
	case bytes.HasPrefix(b, []byte("busy:")):
		return queue.Said{}, queue.ErrBusy
	case bytes.HasPrefix(b, []byte("odd:")):
		return queue.Said{}, io.ErrNoProgress
	}
	return f.Policy.Say(&a), nil
}

// Digest implements accept.Scanner.
func (f *Fake) Digest() string { return "abc" }

// Version implements accept.Scanner.
func (f *Fake) Version() string { return "" }

// Server is a door.
type Server interface {
	Serve(context.Context, net.Listener) error
	Shutdown(context.Context) error
}

// Serve serves on this machine until the test ends, and returns the address.
func Serve(t testing.TB, s Server) string {
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

// Talk says text to a door in pieces, without sockets, and returns what it answers. The door serves no more then.
func Talk(s Server, text []byte, piece int) string {
	c := &scripted{say: text, piece: piece, done: make(chan struct{})}
	_ = s.Serve(context.Background(), &once{c: c})
	<-c.done // the end of the service would end it before it is heard
	_ = s.Shutdown(context.Background())
	return c.heard.String()
}

// scripted is a connection that says what it was told, in pieces, and keeps what it hears.
type scripted struct {
	net.Conn
	say   []byte
	piece int
	heard bytes.Buffer
	done  chan struct{}
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.say) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.piece, 1))], s.say)
	s.say = s.say[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return s.heard.Write(p) }
func (s *scripted) Close() error                     { close(s.done); return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// once is a listener with one connection.
type once struct {
	net.Listener
	c net.Conn
}

func (o *once) Accept() (net.Conn, error) {
	if c := o.c; c != nil {
		o.c = nil
		return c, nil
	}
	return nil, net.ErrClosed
}

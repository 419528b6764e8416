package clamd

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/showcause/showcause"
)

// fake finds EICAR by its first bytes and knows nothing else.
type fake struct {
	wait     func(ctx context.Context) error // before an answer
	receive  error
	write    error
	rules    string
	open     atomic.Int64 // streams that are not closed
	scans    atomic.Int64
	most     atomic.Int64 // at the same time
	running  atomic.Int64
	reloads  atomic.Int64
	ends     atomic.Int64
	mu       sync.Mutex
	requests []Request
}

type fakeStream struct {
	bytes.Buffer
	f    *fake
	shut bool
}

func (s *fakeStream) Write(p []byte) (int, error) {
	if s.f.write != nil {
		return 0, s.f.write
	}
	return s.Buffer.Write(p)
}

func (s *fakeStream) Close() error {
	if !s.shut {
		s.shut = true
		s.f.open.Add(-1)
	}
	return nil
}

func (f *fake) Receive(context.Context, string) (Stream, error) {
	if f.receive != nil {
		return nil, f.receive
	}
	f.open.Add(1)
	return &fakeStream{f: f}, nil
}

func (f *fake) Scan(ctx context.Context, r Request) (Answer, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	n := f.running.Add(1)
	for m := f.most.Load(); n > m && !f.most.CompareAndSwap(m, n); m = f.most.Load() {
	}
	defer f.running.Add(-1)
	f.scans.Add(1)
	if f.wait != nil {
		if err := f.wait(ctx); err != nil {
			return Answer{}, err
		}
	}
	var content []byte
	if r.File != nil {
		var err error
		if content, err = io.ReadAll(r.File); err != nil {
			return Answer{}, err
		}
	} else {
		content = r.Stream.(*fakeStream).Bytes()
	}
	a := Answer{Report: &showcause.Report{Size: int64(len(content))}}
	switch {
	case bytes.HasPrefix(content, []byte("X5O!")):
		a.Names = []string{"Eicar"}
		a.Report.Verdict = showcause.Found
	case bytes.HasPrefix(content, []byte("waive")):
		a.Report.Verdict, a.Waived, a.Records = showcause.Incomplete, []showcause.Code{showcause.Encrypted}, []string{"ab"}
	case bytes.HasPrefix(content, []byte("grown")):
		a.Report.Size--
	case bytes.HasPrefix(content, []byte("gap")):
		a.Failed = "Not read whole: encrypted"
	case bytes.HasPrefix(content, []byte("bad")):
		a.Names = []string{"Na\nme: OK\x00"}
	}
	if r.Options.Record {
		a.Record = []byte(`{"record":true}`)
	}
	return a, nil
}

// last is the last request.
func (f *fake) last() Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

func (f *fake) Reload()   { f.reloads.Add(1) }
func (f *fake) Shutdown() { f.ends.Add(1) }
func (f *fake) Status() Status {
	return Status{Rules: f.rules, RulesCount: 7, RulesDigest: "cd", Readers: 2, Reading: int(f.running.Load()), Version: "test"}
}

// ask sends bytes and returns all that comes back.
func ask(d *door, send string) string {
	c, err := d.dial(false)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, send); err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		return err.Error()
	}
	return string(b)
}

// descriptors counts those that this process has open.
func descriptors() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// settle waits until a condition holds.
func settle(ok func() bool) bool {
	for range 1000 {
		if ok() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func stream(content string) string {
	var b strings.Builder
	for len(content) > 0 {
		n := min(len(content), 1<<20)
		b.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		b.WriteString(content[:n])
		content = content[n:]
	}
	return b.String() + "\x00\x00\x00\x00"
}

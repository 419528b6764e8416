package worker

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/worker/wire"
)

// nobody is a process that is none.
type nobody struct{}

func (nobody) Kill() error              { return nil }
func (nobody) Wait() (jail.Exit, error) { return jail.Exit{Code: 1}, nil }

// holding returns a peer that holds n jobs, in a pool of its own, and where
// their reports go.
func holding(t testing.TB, n int) (*peer, *[]showcause.Report) {
	p, err := NewPool(Options{DB: database(), AllowUnsealed: true, Workers: 1, Spawn: func(jail.Command) (Process, error) { return nil, io.ErrClosedPipe }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	reports := new([]showcause.Report)
	r := &peer{p: p, proc: nobody{}, since: time.Now()}
	for i := range n {
		p.slots <- struct{}{}
		j := &job{id: uint64(i + 1), passed: passed{size: 100, whole: true}, at: []*peer{r}}
		j.done = func(rep showcause.Report, err error) {
			if err == nil {
				*reports = append(*reports, rep)
			}
		}
		r.out = append(r.out, j)
	}
	r.sent = n
	return r, reports
}

// listen has a peer that holds n jobs take what a reader wrote, in pieces, and
// returns the answers that were given and the violation.
func listen(t testing.TB, b []byte, n int, rng *rand.Rand) ([]showcause.Report, error) {
	r, reports := holding(t, n)
	var w *os.File
	var err error
	if r.result, w, err = pipe("results"); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer w.Close()
		for len(b) > 0 {
			n, err := w.Write(b[:1+rng.IntN(len(b))])
			if err != nil {
				return
			}
			b = b[n:]
		}
	}()
	err = r.receive()
	r.result.Close()
	return *reports, err
}

// stream is what an honest reader writes for n jobs.
func stream(n int) []byte {
	e := wire.NewEncoder(&wire.Settings{})
	b := wire.AppendFrame(nil, wire.FrameReady, jail.Status{Walls: unlocked()}.Encode())
	for i := range n {
		r := showcause.Report{Type: "text", Size: 100, Spent: showcause.Spent{Objects: 1}}
		b = e.Report(b, uint64(i+1), &r)
	}
	return b
}

func TestFrames(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	whole := stream(20)
	for range 20 {
		if rs, err := listen(t, whole, 20, rng); err != nil || len(rs) != 20 {
			t.Fatalf("%d answers, %v", len(rs), err)
		}
	}
	if rs, err := listen(t, whole, 19, rng); err == nil || len(rs) > 19 {
		t.Errorf("one answer too many: %d, %v", len(rs), err)
	}
	if rs, err := listen(t, whole[wire.FrameHead+jail.StatusSize:], 20, rng); err == nil || len(rs) != 0 {
		t.Errorf("not ready: %d, %v", len(rs), err)
	}
	if rs, err := listen(t, append(stream(3), stream(0)...), 4, rng); err == nil || len(rs) > 3 {
		t.Errorf("ready twice: %d, %v", len(rs), err)
	}
	whole = stream(4)
	one := len(stream(1)) - len(stream(0))
	for n := range whole {
		rs, err := listen(t, whole[:n], 4, rng)
		want := max(n-len(stream(0)), 0) / one
		if len(rs) != want || (err == nil) != (n == 0 || n >= len(stream(0)) && (n-len(stream(0)))%one == 0) {
			t.Fatalf("%d bytes: %d answers, want %d, %v", n, len(rs), want, err)
		}
	}
}

// FuzzFrames gives the broker what a hostile reader may write.
func FuzzFrames(f *testing.F) {
	f.Add(stream(0))
	f.Add(stream(3))
	f.Add(append(stream(1), 0xff, 0xff, 0xff, 0x7f, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, reports := holding(t, 3)
		rest, err := r.frames(b, r.p.set.MaxFrame())
		rs := *reports
		if len(rs) > 3 || err == nil && len(rest) > 4 && len(rest) >= 4+int(binary.LittleEndian.Uint32(rest)) {
			t.Errorf("%d answers to 3 jobs, %d bytes are left", len(rs), len(rest))
		}
		for i := range rs {
			if rs[i].Size != 100 {
				t.Errorf("size %d", rs[i].Size)
			}
		}
	})
}

// TestReadyCancelled holds that a context that ends before a reader is there ends the wait.
func TestReadyCancelled(t *testing.T) {
	noLeak(t)
	p := pool(t, &bare{}, Options{Workers: 1}, "mute")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Scan(ctx, tempFile(t, "x")); err != context.DeadlineExceeded {
		t.Error(err)
	}
}

// TestUnsentAnswers holds that an answer to a job that was not sent is a
// violation, also if its sending fails meanwhile.
func TestUnsentAnswers(t *testing.T) {
	r, reports := holding(t, 5)
	r.ready, r.sent = true, 3
	jobs := stream(5)[len(stream(0)):]
	r.sending.Lock()
	unsent := r.out[3:5:5]
	done := make(chan error)
	go func() {
		_, err := r.frames(jobs, 1<<20)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	r.p.deliver(r.p.unsent(r, slices.Clone(unsent), unix.EPIPE))
	r.sending.Unlock()
	if err := <-done; err == nil {
		t.Error("no violation")
	}
	if len(*reports) != 0 || len(r.out) != 3 || len(r.p.queue) != 2 {
		t.Errorf("%d answers, %d held, %d queued", len(*reports), len(r.out), len(r.p.queue))
	}
	if _, err := r.frames(jobs[:3*len(jobs)/5], 1<<20); err != nil || len(*reports) != 3 || len(r.out) != 0 {
		t.Errorf("%v: %d answers, %d held", err, len(*reports), len(r.out))
	}
}

// TestChunk holds that no answer is believed that comes with a violation.
func TestChunk(t *testing.T) {
	r, reports := holding(t, 3)
	r.ready = true
	jobs := stream(3)[len(stream(0)):]
	if _, err := r.frames(append(jobs, 1, 0, 0, 0, 77), 1<<20); err == nil || len(*reports) != 0 || len(r.out) != 3 {
		t.Errorf("%v: %d answers, %d held", err, len(*reports), len(r.out))
	}
}

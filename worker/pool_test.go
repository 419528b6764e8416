package worker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
)

var full = flag.Bool("full", false, "10,000 crashes in a row, and more of the corpora")

// pool returns a pool for a test. Readers are in no jail if b is not nil.
func pool(t testing.TB, b *bare, o Options, args ...string) *Pool {
	t.Helper()
	if o.DB == nil {
		o.DB = database()
	}
	o.Args = append([]string{"showcause", "reader"}, args...)
	if b != nil {
		o.Spawn, o.AllowUnsealed = b.spawn, true
		o.Args = append(o.Args, "open")
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	p, err := NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if b != nil && len(b.alive) > 0 {
			t.Errorf("%d readers are alive", len(b.alive))
		}
	})
	return p
}

// state is what a process has that can leak.
type state struct{ fds, goroutines, children int }

func (s state) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d children", s.fds, s.goroutines, s.children)
}

func now() (s state) {
	fds, _ := os.ReadDir("/proc/self/fd")
	s.fds, s.goroutines = len(fds), runtime.NumGoroutine()
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		s.children += len(strings.Fields(string(b)))
	}
	return s
}

// noLeak holds that what runs until the end of the test leaves nothing.
func noLeak(t *testing.T) {
	t.Helper()
	database()
	before := now()
	t.Cleanup(func() {
		var after state
		for range 100 {
			after = now()
			if after.fds <= before.fds && after.goroutines <= before.goroutines && after.children <= before.children {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("before: %v; after: %v", before, after)
	})
}

func scanText(t *testing.T, p *Pool, text string) showcause.Report {
	t.Helper()
	r, err := p.Scan(context.Background(), tempFile(t, text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

// TestScan scans with a real scanner in a real jail.
func TestScan(t *testing.T) {
	noLeak(t)
	p := pool(t, nil, Options{Names: true, Excerpts: true, Scratch: unlinked(t)}, "real")
	for text, want := range map[string]string{
		"nothing":                              "nothing-found",
		"some " + marker + " text":             "found Test.Marker.UNOFFICIAL",
		"exact bytes":                          "found Test.Digest.UNOFFICIAL",
		allowed:                                "nothing-found Test.Marker.UNOFFICIAL allowed by Test.Allow.UNOFFICIAL",
		"":                                     "nothing-found",
		"first half 5521 and second half 5522": "found Test.Logical.UNOFFICIAL",
	} {
		r := scanText(t, p, text)
		got := r.Verdict.String()
		for _, f := range r.Findings {
			got += " " + f.Rule
			if len(f.Digest) != 64 || len(f.Matches) == 0 || f.Matches[0].Excerpt == "" {
				t.Errorf("%q: %+v", text, f)
			}
			if f.Allowed != "" {
				got += " allowed by " + f.Allowed
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	s, ok := p.Status()
	if !ok || !s.Sealed() {
		t.Errorf("status %+v, %v", s, ok)
	}
}

// bad is what a file does to its reader, and what is said of the file.
var bad = []struct {
	what string
	jail bool // only in a jail
	bare bool // only without
	code showcause.Code
	or   showcause.Code // is right too
}{
	{what: "segv", code: "crash.sigsegv"},
	{what: "exit 3", code: "crash.exit"},
	{what: "exit 0", code: "crash.exit"},
	{what: "panic", code: "crash.panic"},
	{what: "recovered", code: "crash"},
	{what: "abort", code: "crash.sigabrt"},
	{what: "stack", code: "crash.stack"},
	{what: "socket", jail: true, code: "crash.sigsys"},
	{what: "swell", jail: true, code: "limit.memory", or: "crash.sigsys"}, // C, if it is linked, sleeps where it gets no thread
	{what: "loop", code: "limit.time"},
	{what: "garbage", code: "crash.protocol"},
	{what: "empty-frame", code: "crash.protocol"},
	{what: "kind", code: "crash.protocol"},
	{what: "ready", code: "crash.protocol"},
	{what: "refusal", code: "crash.protocol"},
	{what: "twice ID", code: "crash.protocol"},
	{what: "other 999999", code: "crash.protocol"},
	{what: "find 999999", code: "crash.protocol"},
	{what: "objects 1152921504606846976", code: "crash.protocol"}, // 1<<60: no record could hold it
	{what: "bytes 9007199254740992", code: "crash.protocol"},      // 1<<53
	{what: "huge ID", code: "crash.protocol"},
	{what: "huge-frame", code: "crash.protocol"},
	{what: "stall ID", code: "limit.time"},
	{what: "half ID", code: "crash.protocol"},
	{what: "close", bare: true, code: "crash.protocol"},
	{what: "close", jail: true, code: "crash.sigsys"},
	{what: "flood ID", code: "crash.protocol"},
	{what: "log", code: "crash.exit"},
	{what: "quit", code: "crash.exit"},
}

// TestMisdeeds holds what is said of files that do something to their reader, in a
// jail and without.
func TestMisdeeds(t *testing.T) {
	for _, in := range []string{"jail", "bare"} {
		t.Run(in, func(t *testing.T) {
			noLeak(t)
			var b *bare
			if in == "bare" {
				b = &bare{}
			}
			p := pool(t, b, Options{
				Workers: 1, Memory: 200 << 20,
				Timeout: func(size int64) time.Duration {
					if size > 1000 { // see below: what does not end by itself
						return 500 * time.Millisecond
					}
					return 20 * time.Second
				},
			}, "script")
			for _, c := range bad {
				if c.jail && b != nil || c.bare && b == nil {
					continue
				}
				what := strings.ReplaceAll(c.what, "ID", fmt.Sprint(p.nextID+1))
				text := what + "\n"
				if c.code == showcause.LimitTime {
					text += strings.Repeat("x", 1000)
				}
				r := scanText(t, p, text)
				// The answer that is written twice is the first time the right one,
				// and is taken back only if both come at once.
				again := strings.HasPrefix(what, "twice") || strings.HasPrefix(what, "flood")
				if again && r.Verdict == showcause.NothingFound {
					continue
				} else if !has(&r, c.code) && (c.or == "" || !has(&r, c.or)) || len(r.Gaps) != 1 || r.Verdict != showcause.Incomplete {
					t.Errorf("%s: %v %s, want %s", what, r.Verdict, codesOf(&r), c.code)
				}
				if r := scanText(t, p, "fine\n"); r.Verdict != showcause.NothingFound {
					t.Errorf("the file after %s: %v %s", what, r.Verdict, codesOf(&r))
				}
			}
		})
	}
}

// each scans many files at a time and returns their reports in order. What is
// to be done with each answer gets their number.
func each(t testing.TB, p *Pool, texts []string, also ...func(int)) []showcause.Report {
	t.Helper()
	out := make([]showcause.Report, len(texts))
	var wg sync.WaitGroup
	var n atomic.Int32
	dir := t.TempDir()
	for i, text := range texts {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		p.Submit(context.Background(), f, func(r showcause.Report, err error) {
			defer wg.Done()
			f.Close()
			if err != nil {
				t.Errorf("%.40q: %v", text, err)
			}
			out[i] = r
			for _, f := range also {
				f(int(n.Add(1)))
			}
		})
	}
	wg.Wait()
	return out
}

// TestNeighbours holds that a file that kills its reader harms no other file.
func TestNeighbours(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, what := range []string{"segv", "exit 4", "panic", "garbage", "loop", "close"} {
			t.Run(fmt.Sprintf("%s/%d", what, workers), func(t *testing.T) {
				t.Parallel()
				limit := time.Minute // that no file of these takes, however busy the machine is
				if what == "loop" {
					limit = 5 * time.Second
				}
				p := pool(t, &bare{}, Options{Workers: workers, Timeout: func(int64) time.Duration { return limit }}, "script")
				var texts []string
				for i := range 150 {
					switch {
					case i == 70 || i == 71:
						texts = append(texts, what+"\n")
					case i%10 == 0:
						texts = append(texts, fmt.Sprintf("find %d\n", ruleOf(t, "Test.Marker")))
					default:
						texts = append(texts, "fine\n")
					}
				}
				for i, r := range each(t, p, texts) {
					want := showcause.NothingFound
					switch {
					case i == 70 || i == 71:
						want = showcause.Incomplete
					case i%10 == 0:
						want = showcause.Found
					}
					if r.Verdict != want {
						t.Errorf("file %d, %q: %v %s, want %v", i, texts[i], r.Verdict, codesOf(&r), want)
					}
				}
			})
		}
	}
}

// TestKill kills readers at random while 2,000 files are scanned.
func TestKill(t *testing.T) {
	noLeak(t)
	starter := jail.NewStarter()
	t.Cleanup(func() { starter.Close() })
	var mu sync.Mutex
	alive := map[*jail.Process]bool{}
	p := pool(t, nil, Options{Workers: 3, Spawn: func(c jail.Command) (Process, error) {
		proc, err := starter.Start(c)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		alive[proc] = true
		mu.Unlock()
		return watched{proc, func() { mu.Lock(); delete(alive, proc); mu.Unlock() }}, nil
	}}, "real")
	// The pace is that of the answers, so that a busy machine is no other test.
	rng := rand.New(rand.NewPCG(1, 1))
	killed, next := 0, 20
	answered := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		if n < next {
			return
		}
		next = n + rng.IntN(100)
		for proc := range alive {
			_ = unix.Kill(proc.Pid, unix.SIGKILL)
			killed++
			break
		}
	}
	var texts []string
	for i := range 2000 {
		text := strings.Repeat(fmt.Sprintf("file %d ", i), 1+i%5000)
		if i%7 == 0 {
			text += marker
		}
		texts = append(texts, text)
	}
	lost := 0
	for i, r := range each(t, p, texts, answered) {
		want := showcause.NothingFound
		if i%7 == 0 {
			want = showcause.Found
		}
		if r.Verdict == want && len(r.Gaps) == 0 {
			continue
		}
		lost++
		if r.Verdict != showcause.Incomplete || !has(&r, "crash.sigkill") {
			t.Errorf("file %d: %v %s, want %v", i, r.Verdict, codesOf(&r), want)
		}
	}
	t.Logf("%d readers killed, %d files incomplete", killed, lost)
	if killed < 20 {
		t.Errorf("only %d readers were killed", killed)
	}
}

type watched struct {
	*jail.Process
	gone func()
}

func (w watched) Wait() (jail.Exit, error) {
	w.gone()
	return w.Process.Wait()
}

// TestCrashes has readers crash in a row.
func TestCrashes(t *testing.T) {
	noLeak(t)
	n := 200
	if *full {
		n = 10_000
	}
	p := pool(t, nil, Options{Workers: 2}, "script")
	scanText(t, p, "fine\n")
	var texts []string
	for i := range n {
		texts = append(texts, []string{"segv\n", "exit 5\n", "garbage\n"}[i%3])
	}
	var early state
	for i := 0; i < n; i += 100 {
		for k, r := range each(t, p, texts[i:min(i+100, n)]) {
			if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 {
				t.Errorf("file %d: %v %s", i+k, r.Verdict, codesOf(&r))
			}
		}
		if i == 0 {
			early = now()
		}
	}
	if late := now(); late.fds > early.fds+30 || late.goroutines > early.goroutines+30 || late.children > 10 {
		t.Errorf("after 100: %v, after %d: %v", early, n, late)
	}
	if r := scanText(t, p, "fine\n"); r.Verdict != showcause.NothingFound {
		t.Errorf("after all: %v", r.Verdict)
	}
}

// TestSlow holds that nothing waits behind a slow file.
func TestSlow(t *testing.T) {
	noLeak(t)
	p := pool(t, &bare{}, Options{Workers: 2, Timeout: func(int64) time.Duration { return time.Minute }}, "script")
	each(t, p, []string{"fine\n", "fine\n"})
	var wg sync.WaitGroup
	slow := make(chan bool)
	var others atomic.Int32
	others.Store(29)
	wg.Add(30)
	for i := range 30 {
		text := "fine\n"
		if i == 0 {
			text = "sleep 20000\n"
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if i == 0 {
			go func() { <-slow; cancel() }()
		}
		p.Submit(ctx, tempFile(t, text), func(r showcause.Report, err error) {
			defer wg.Done()
			if i > 0 && (err != nil || r.Verdict != showcause.NothingFound) {
				t.Errorf("file %d: %v %v", i, r.Verdict, err)
			}
			if i == 0 && !errors.Is(err, context.Canceled) {
				t.Errorf("the slow one: %v %v: all others should be done before it", r.Verdict, err)
			}
			if i > 0 && others.Add(-1) == 0 {
				close(slow)
			}
		})
	}
	wg.Wait()
}

// TestCancel ends scans that would take for ever.
func TestCancel(t *testing.T) {
	noLeak(t)
	b := &bare{}
	p := pool(t, b, Options{Workers: 1}, "script")
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 20)
		for i := range 20 {
			p.Submit(ctx, tempFile(t, []string{"loop\n", "fine\n", "sleep 50000\n"}[i%3]), func(_ showcause.Report, err error) { done <- err })
		}
		time.Sleep(20 * time.Millisecond)
		cancel()
		for range 20 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		// The reader is busy with what nobody waits for; it is not waited for either.
		if r := scanText(t, p, "fine\n"); r.Verdict != showcause.NothingFound {
			t.Errorf("%v %s", r.Verdict, codesOf(&r))
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Scan(done, tempFile(t, "fine")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

// TestClose ends a pool in the middle.
func TestClose(t *testing.T) {
	noLeak(t)
	for _, what := range []string{"loop\n", "fine\n", "close\n"} {
		p := pool(t, &bare{}, Options{}, "script")
		errs := make(chan error, 60)
		for range 60 {
			p.Submit(context.Background(), tempFile(t, what), func(_ showcause.Report, err error) { errs <- err })
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for range 60 {
			if err := <-errs; err != nil && !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := p.Scan(context.Background(), tempFile(t, "fine")); !errors.Is(err, ErrClosed) {
			t.Errorf("after: %v", err)
		}
	}
}

// TestNoReader holds that where no reader starts, that is an error, soon, and
// with a reason.
func TestNoReader(t *testing.T) {
	for _, c := range []struct {
		args []string
		o    Options
		want string
	}{
		{args: []string{"open", "die"}, want: `ended before it was ready: exit 9: last\x1bwords`},
		{args: []string{"refuse"}, want: `no lock\x1b[31m here`},
		{args: []string{"open"}, want: "its jail does not hold: "},
		{o: Options{Spawn: func(jail.Command) (Process, error) { return nil, errors.New("no room for processes") }}, want: "no room for processes"},
	} {
		t.Run(c.want, func(t *testing.T) {
			noLeak(t)
			b := &bare{}
			if c.o.Spawn == nil {
				c.o.Spawn = b.spawn
			}
			tried := 0
			spawn := c.o.Spawn
			c.o.Spawn = func(k jail.Command) (Process, error) { tried++; return spawn(k) }
			c.o.Workers = 1
			p := pool(t, nil, c.o, c.args...)
			for range 200 {
				_, err := p.Scan(context.Background(), tempFile(t, "fine"))
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v, want %s", err, c.want)
				}
			}
			if tried > 20 {
				t.Errorf("%d starts for 200 files", tried)
			}
		})
	}
}

// TestRecovers holds that a pool that could not start readers for a while does
// so when it can.
func TestRecovers(t *testing.T) {
	noLeak(t)
	b := &bare{}
	starts := 0
	p := pool(t, nil, Options{Workers: 1, AllowUnsealed: true, Spawn: func(c jail.Command) (Process, error) {
		if starts++; starts < 3 {
			return nil, unix.EAGAIN
		}
		return b.spawn(c)
	}}, "script", "open")
	if r := scanText(t, p, "fine\n"); r.Verdict != showcause.NothingFound {
		t.Errorf("%v", r.Verdict)
	}
}

// TestAlone has the reader fail to start that a file is to be alone with, while another has
// nothing to do: one more is started, and at last the file is answered.
func TestAlone(t *testing.T) {
	noLeak(t)
	for _, fails := range []int{1, morePatience} {
		for range 20 {
			if failAlone(t, fails) || t.Failed() {
				break
			}
		}
	}
}

// failAlone tells whether a reader was to be started while another had a file; a busy machine
// may be too late for that.
func failAlone(t *testing.T, fails int) bool {
	starter := jail.NewStarter()
	defer starter.Close()
	var p *Pool
	idle := make(chan bool)
	failed := 0 // guarded by p.mu
	p = pool(t, nil, Options{Workers: 3, Spawn: func(c jail.Command) (Process, error) {
		p.mu.Lock()
		fail := failed < fails && len(p.alone) > 0
		if fail {
			failed++
		}
		p.mu.Unlock()
		if fail {
			<-idle
			return nil, errors.New("not this one")
		}
		return starter.Start(c)
	}}, "script")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	all.Add(2)
	p.Submit(ctx, tempFile(t, "sleep 1000\n"), func(_ showcause.Report, err error) {
		if err != nil {
			t.Error(err)
		}
		close(idle)
		all.Done()
	})
	for busy := false; !busy && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		busy = len(p.peers) == 1 && p.peers[0].sent == 1
		p.mu.Unlock()
	}
	var report showcause.Report
	var why error
	p.Submit(ctx, tempFile(t, "segv\n"), func(r showcause.Report, err error) {
		report, why = r, err
		all.Done()
	})
	all.Wait()
	if r := scanText(t, p, "fine\n"); r.Verdict != showcause.NothingFound {
		t.Errorf("the next file: %v %s", r.Verdict, codesOf(&r))
	}
	p.Close()
	switch {
	case failed == morePatience:
		if why == nil || why.Error() != "not this one" {
			t.Errorf("%d readers failed: %v %v", failed, why, report.Verdict)
		}
	case why != nil || !has(&report, "crash.sigsegv"):
		t.Errorf("%d readers failed: %v %s", failed, why, codesOf(&report))
	}
	return failed == fails
}

// TestRecycle replaces readers after some files.
func TestRecycle(t *testing.T) {
	noLeak(t)
	b := &bare{}
	p := pool(t, b, Options{Workers: 2, Recycle: 50}, "script")
	for _, r := range each(t, p, slicesRepeat("fine\n", 500)) {
		if r.Verdict != showcause.NothingFound {
			t.Errorf("%v %s", r.Verdict, codesOf(&r))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started < 10 || b.started > 15 {
		t.Errorf("%d readers for 500 files, 50 each", b.started)
	}
	one := &bare{}
	each(t, pool(t, one, Options{Workers: 2, Recycle: 1}, "script"), slicesRepeat("fine\n", 20))
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.started < 20 {
		t.Errorf("%d readers for 20 files, one each", one.started)
	}
}

func slicesRepeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// undead is a process that no signal reaches.
type undead struct {
	Process
	gone chan bool
}

func (u undead) Kill() error { return nil }

func (u undead) Wait() (jail.Exit, error) {
	<-u.gone
	_ = u.Process.Kill()
	return u.Process.Wait()
}

// TestUndead holds that a process out of the kernel's reach holds up no file.
func TestUndead(t *testing.T) {
	b := &bare{}
	gone := make(chan bool)
	first := true
	p := pool(t, nil, Options{
		Workers: 1, AllowUnsealed: true, Timeout: func(int64) time.Duration { return 200 * time.Millisecond },
		Spawn: func(c jail.Command) (Process, error) {
			proc, err := b.spawn(c)
			if first && err == nil {
				first = false
				return undead{proc, gone}, nil
			}
			return proc, err
		},
	}, "script", "open")
	waited := false
	rs := each(t, p, []string{"loop\n", "fine\n"}, func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		waited = waited || n == 1 && (p.lost > 0 || len(p.peers) == 0)
	})
	close(gone)
	if waited {
		t.Error("the process was waited for")
	}
	if !has(&rs[0], showcause.LimitTime) || rs[1].Verdict != showcause.NothingFound {
		t.Errorf("%v %s, %v %s", rs[0].Verdict, codesOf(&rs[0]), rs[1].Verdict, codesOf(&rs[1]))
	}
}

// TestSpill scans what is too large for memory, in what is, by a descriptor
// that could write.
func TestSpill(t *testing.T) {
	noLeak(t)
	zip := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}
	large := append(make([]byte, 20<<20), marker...)
	rand.NewChaCha8([32]byte{}).Read(large[:1<<20])
	input := zip(zip(append(bytes.Clone(large), zip(append(make([]byte, 17<<20), marker...))...)))
	for _, with := range []bool{true, false} {
		o := Options{Names: true}
		if with {
			o.Scratch = unlinked(t)
		}
		p := pool(t, nil, o, "real")
		f, err := unlinked(t)()
		if err != nil {
			t.Fatal(err)
		}
		f.Write(input)
		r, err := p.Scan(context.Background(), f)
		f.Close()
		if want := map[bool]showcause.Verdict{true: showcause.Found, false: showcause.Incomplete}[with]; err != nil || r.Verdict != want || strings.Contains(codesOf(&r), "limit.") == with {
			t.Errorf("scratch %v: %v %s %v", with, r.Verdict, codesOf(&r), err)
		}
	}
}

// TestDeaf holds that a reader to which nothing can be sent holds no place.
func TestDeaf(t *testing.T) {
	for _, what := range []string{"deaf", "guess"} {
		t.Run(what, func(t *testing.T) {
			noLeak(t)
			p := pool(t, &bare{}, Options{Workers: 1, Timeout: func(int64) time.Duration { return time.Hour }}, "script")
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for i := range 60 {
				text := "fine\n"
				if i == 0 {
					text = what + " 1\n"
				}
				if r, err := p.Scan(ctx, tempFile(t, text)); err != nil || r.Verdict != showcause.NothingFound && !has(&r, crashProtocol) {
					t.Fatalf("file %d: %v %s %v", i, r.Verdict, codesOf(&r), err)
				}
			}
		})
	}
}

// TestLost holds that processes that do not end are bounded, and that the pool
// then says why it ends.
func TestLost(t *testing.T) {
	b := &bare{}
	gone := make(chan bool)
	p := pool(t, nil, Options{
		Workers: 8, AllowUnsealed: true, Timeout: func(int64) time.Duration { return 100 * time.Millisecond },
		Spawn: func(c jail.Command) (Process, error) {
			proc, err := b.spawn(c)
			return undead{proc, gone}, err
		},
	}, "script", "open")
	t.Cleanup(func() { close(gone) }) // before the pool's: it ends all the same
	late, failed := 0, 0
	answers := make(chan error, 100)
	for range 100 {
		p.Submit(context.Background(), tempFile(t, "loop\n"), func(r showcause.Report, err error) {
			if err == nil && !has(&r, showcause.LimitTime) {
				err = fmt.Errorf("%v %s", r.Verdict, codesOf(&r))
			}
			answers <- err
		})
	}
	for range 100 {
		switch err := <-answers; {
		case err == nil:
			late++
		case strings.Contains(err.Error(), "do not end"):
			failed++
		default:
			t.Error(err)
		}
	}
	if late < maxLost || failed == 0 || p.Err() == nil || b.started > maxLost+8 {
		t.Errorf("%d late, %d failed, %d started, %v", late, failed, b.started, p.Err())
	}
	if _, err := p.Scan(context.Background(), tempFile(t, "fine\n")); err != p.Err() {
		t.Errorf("then: %v", err)
	}
}

// TestIncidents holds that a reader that does what no reader does is told of,
// also if no file is left to blame.
func TestIncidents(t *testing.T) {
	noLeak(t)
	for what, code := range map[string]showcause.Code{"fine": "", "later": "crash.sigsys", "twice 1": crashProtocol} {
		o := Options{Workers: 1}
		texts := []string{what + "\n", "fine\n", "fine\n"}
		if code == "" {
			o.Recycle, texts = 5, slicesRepeat("fine\n", 40)
		}
		p := pool(t, nil, o, "script")
		for _, text := range texts {
			scanText(t, p, text)
		}
		for i := 0; code != "" && len(p.Incidents()) == 0 && i < 1000; i++ {
			time.Sleep(10 * time.Millisecond)
		}
		p.Close()
		in := p.Incidents()
		if code == "" && len(in) > 0 || code != "" && (len(in) == 0 || in[0].Code != code) {
			t.Errorf("%s: %+v", what, in)
		}
	}
}

// TestHang holds that file systems that do not answer hold up nothing.
func TestHang(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command("/proc/self/exe", "fuse", dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // Pdeathsig is the thread's
	defer runtime.UnlockOSThread()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill() // which ends all waits
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Skipf("no FUSE here: %s", line)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	p := pool(t, nil, Options{Workers: 1, Timeout: func(int64) time.Duration { return 500 * time.Millisecond }}, "real")
	for _, name := range []string{"read", "stat"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Scan(context.Background(), f)
		if err != nil || !has(&r, showcause.LimitTime) || r.Verdict != showcause.Incomplete {
			t.Errorf("%s: %v %s %v", name, r.Verdict, codesOf(&r), err)
		}
		if r := scanText(t, p, "fine"); r.Verdict != showcause.NothingFound {
			t.Errorf("after %s: %v %s", name, r.Verdict, codesOf(&r))
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

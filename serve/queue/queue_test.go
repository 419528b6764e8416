package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
	"github.com/showcause/showcause/worker"
	"github.com/showcause/showcause/worker/workertest"
)

func unlinked(t testing.TB) func() (*os.File, error) {
	dir := t.TempDir()
	return func() (*os.File, error) {
		f, err := os.CreateTemp(dir, "")
		if err == nil {
			err = os.Remove(f.Name())
		}
		return f, err
	}
}

// What is received is scanned whole, at every size around the places where it is held
// otherwise, in memory alone and with files.
func TestSizes(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"memory": nil,
		"files":  func(o *Options) { o.Scratch = unlinked(t) },
	} {
		q := opened(t, change)
		for _, n := range []int{0, 1, len(marker), smallBytes - 1, smallBytes, smallBytes + 1, 100_000, 3 << 20} {
			for _, found := range []bool{true, false} {
				text := bytes.Repeat([]byte("showcause "), n/10+1)[:n]
				if found {
					if n < len(marker) {
						continue
					}
					copy(text[n-len(marker):], marker)
				}
				a, err := ask(q, "one", text)
				if err != nil {
					t.Fatal(name, n, err)
				}
				if got := a.Report.Verdict == showcause.Found; got != found || a.Report.Size != int64(n) {
					t.Errorf("%s: %d bytes: %+v", name, n, a.Report)
				}
				if want := fmt.Sprintf("%x", sha256.Sum256(text)); a.SHA256 != want {
					t.Errorf("%s: %d bytes: %s, want %s", name, n, a.SHA256, want)
				}
				if again, err := ask(q, "two", text); err != nil || !again.Cached || again.Report.Verdict != a.Report.Verdict {
					t.Errorf("%s: %d bytes again: %+v %v", name, n, again, err)
				}
			}
		}
		if s := q.Stats(); s.Received != 0 || s.Memory != 0 || s.Disk != 0 || s.Reading != 0 || s.Waiting != 0 {
			t.Errorf("%s: left: %+v", name, s)
		}
	}
}

// Descriptors are scanned; of a file that changes nothing is kept.
func TestFiles(t *testing.T) {
	q := opened(t, nil)
	path := filepath.Join(t.TempDir(), "f")
	for i, text := range []string{marker, "nothing", marker} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := q.Scan(t.Context(), Job{Client: "x", File: f})
		f.Close()
		if err != nil || a.Cached || (a.Report.Verdict == showcause.Found) != (text == marker) {
			t.Errorf("%d: %+v %v", i, a, err)
		}
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := q.Scan(t.Context(), Job{Client: "x", File: dir}); err == nil {
		t.Error("a folder was scanned")
	}
}

// A job's own limits are for it alone, and for the cache.
func TestOwnLimits(t *testing.T) {
	q := opened(t, nil)
	text := append(bytes.Repeat([]byte("x"), 1000), marker...)
	s, err := q.Receive(t.Context(), "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write(text); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		limit int64
		want  showcause.Verdict
	}{{0, showcause.Found}, {100, showcause.Incomplete}, {0, showcause.Found}, {200, showcause.Incomplete}, {100, showcause.Incomplete}} {
		a, err := q.Scan(t.Context(), Job{Client: "x", Content: s, Options: ScanOptions{Limits: showcause.Limits{FileSize: c.limit}}})
		if err != nil || a.Report.Verdict != c.want {
			t.Errorf("limit %d: %+v %v", c.limit, a.Report, err)
		}
	}
}

// A limit, a full disk and a full memory are errors of their own, and nothing is left.
func TestRoom(t *testing.T) {
	full := func() (*os.File, error) { return os.OpenFile("/dev/full", os.O_WRONLY, 0) }
	for name, c := range map[string]struct {
		change func(*Options)
		size   int
		want   error
	}{
		"limit":     {nil, 1001, ErrTooLarge},
		"disk":      {func(o *Options) { o.Scratch = full }, 100_000, ErrNoSpace},
		"no disk":   {func(o *Options) { o.Scratch = func() (*os.File, error) { return nil, unix.EMFILE } }, 100_000, nil},
		"memory":    {func(o *Options) { o.MaxMemory = 80_000 }, 100_000, ErrNoSpace},
		"allotment": {func(o *Options) { o.Scratch, o.MaxSpool = unlinked(t), 90_000 }, 100_000, ErrNoSpace},
	} {
		q := opened(t, c.change)
		limit := int64(0)
		if name == "limit" {
			limit = 1000
		}
		s, err := q.Receive(t.Context(), "x", limit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Write(make([]byte, c.size-1))
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != nil {
			if _, again := s.Write([]byte{1}); again == nil {
				t.Errorf("%s: written after %v", name, err)
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if st := q.Stats(); st.Received != 0 || st.Memory != 0 || st.Disk != 0 {
			t.Errorf("%s: left: %+v", name, st)
		}
		if _, err := ask(q, "x", []byte(marker)); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

// While rules change, each answer is that of the rules that it names, and none is lost.
func TestReload(t *testing.T) {
	q := opened(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var asked, cached atomic.Int64
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				text := fmt.Sprintf("client %d, mail %d: %s", c, i/2, []string{marker, other, "nothing"}[i/2%3])
				a, err := ask(q, fmt.Sprint(c%3), []byte(text))
				if err != nil {
					t.Errorf("%s: %v", text, err)
					return
				}
				want := []string{"1 Test.Marker.UNOFFICIAL", "2 Test.Other.UNOFFICIAL", ""}[i/2%3]
				got := ""
				for _, f := range a.Report.Findings {
					got += a.Database.Version + " " + f.Rule
				}
				if want != "" && want[:1] != a.Database.Version {
					want = ""
				}
				if got != want || a.Report.Size != int64(len(text)) {
					t.Errorf("%s: %q with rules %s, want %q", text, got, a.Database.Version, want)
				}
				asked.Add(1)
				if a.Cached {
					cached.Add(1)
				}
			}
		})
	}
	closed := make(chan string, 1000)
	n := 0
	for ; ctx.Err() == nil; n++ {
		version, name, text := "2", "Test.Other", other
		if n%2 == 1 {
			version, name, text = "1", "Test.Marker", marker
		}
		db, _ := workertest.Rule(t, name, text)
		before := q.Rules().Since
		if err := q.Reload(Database{DB: db, Version: version, Close: func() { closed <- version; _ = db.Close() }}); err != nil {
			t.Fatal(err)
		}
		if since := q.Rules().Since; !since.After(before) || before.IsZero() {
			t.Errorf("rules are in use since %v, those before since %v", since, before)
		}
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
	if err := q.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if len(closed) != n {
		t.Errorf("%d of %d databases were closed", len(closed), n)
	}
	if asked.Load() < 100 || cached.Load() == 0 || n < 5 {
		t.Errorf("%d answers, %d from the cache, %d reloads", asked.Load(), cached.Load(), n)
	}
	if _, err := ask(q, "x", nil); err != ErrStopping {
		t.Errorf("after the end: %v", err)
	}
	db, _ := workertest.Rule(t, "A", marker)
	if err := q.Reload(Database{DB: db}); err != ErrStopping {
		t.Errorf("reload after the end: %v", err)
	}
}

// Clients take turns: one that asks for much does not keep another waiting.
func TestTurns(t *testing.T) {
	tn := turns{free: 4, most: 2, maxWaiting: 100, maxClient: 50, clients: map[string]*client{}}
	ctx := t.Context()
	for range 4 { // alone, it has all places
		if err := tn.take(ctx, "greedy"); err != nil {
			t.Fatal(err)
		}
	}
	order := make(chan string, 100)
	wait := func(name string) {
		w, _, _ := tn.counts()
		go func() {
			if err := tn.take(ctx, name); err != nil {
				t.Error(err)
			}
			order <- name
		}()
		for n, _, _ := tn.counts(); n == w; n, _, _ = tn.counts() {
			time.Sleep(time.Millisecond)
		}
	}
	for range 50 {
		wait("greedy")
	}
	if err := tn.take(ctx, "greedy"); err != ErrBusy {
		t.Errorf("51 of one wait: %v", err)
	}
	wait("modest")
	wait("third")
	wait("modest")
	for range 4 {
		tn.done("greedy")
	}
	got := map[string]int{}
	for range 4 {
		got[<-order]++
	}
	if got["modest"] != 2 || got["third"] != 1 || got["greedy"] != 1 {
		t.Errorf("the first places: %v", got)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := tn.take(gone, "fourth"); err != context.Canceled {
		t.Errorf("who does not wait: %v", err)
	}
	for name, n := range got {
		for range n {
			tn.done(name)
		}
	}
	for range 49 {
		tn.done(<-order)
	}
	if w, r, c := tn.counts(); w != 0 || r != 0 || c != 0 || tn.free != 4 || len(tn.ring) > 0 {
		t.Errorf("left: %d wait, %d are read, %d clients, %d free, ring %d", w, r, c, tn.free, len(tn.ring))
	}
}

// A deadline in the line, and too many in it, are errors of their own.
func TestBusy(t *testing.T) {
	q := opened(t, func(o *Options) { o.MaxWaiting = 3 })
	places := q.turns.free
	for range places { // somebody has all places
		if err := q.turns.take(t.Context(), "big"); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var busy, late atomic.Int64
	for range 10 {
		wg.Go(func() {
			_, err := q.Scan(t.Context(), Job{Client: fmt.Sprint(busy.Load()), File: os.Stdin, Deadline: time.Now().Add(300 * time.Millisecond)})
			switch err {
			case ErrBusy:
				busy.Add(1)
			case ErrDeadline:
				late.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if busy.Load() == 0 || late.Load() == 0 || late.Load() > 3 {
		t.Errorf("%d busy, %d late", busy.Load(), late.Load())
	}
	if s := q.Stats(); s.Busy != busy.Load() || s.Late != late.Load() {
		t.Errorf("%+v", s)
	}
	for range places {
		q.turns.done("big")
	}
	if a, err := ask(q, "x", []byte(marker)); err != nil || a.Report.Verdict != showcause.Found {
		t.Errorf("%+v %v", a, err)
	}
}

// readers are the processes that this one started.
func readers() (out []int) {
	list, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var state string
		var parent, pid int
		if n, _ := fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &parent); n == 2 && parent == os.Getpid() && state != "Z" {
			fmt.Sscan(filepath.Base(filepath.Dir(name)), &pid)
			out = append(out, pid)
		}
	}
	return out
}

// TestKills ends readers with SIGKILL while clients ask: each answer is the right one, or
// says that the reader of this very file was killed; and none is lost.
func TestKills(t *testing.T) {
	q := opened(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var right, killed atomic.Int64
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				text := fmt.Sprintf("client %d, mail %d: %s", c, i, []string{marker, "nothing"}[i%2])
				a, err := ask(q, fmt.Sprint(c), []byte(text))
				if err != nil {
					t.Errorf("%s: %v", text, err)
					return
				}
				r := &a.Report
				switch want := []showcause.Verdict{showcause.Found, showcause.NothingFound}[i%2]; {
				case r.Verdict == want && r.Size == int64(len(text)):
					right.Add(1)
				case r.Verdict == showcause.Incomplete && len(r.Gaps) == 1 && r.Gaps[0].Code == showcause.Crash+".sigkill":
					killed.Add(1)
				default:
					t.Errorf("%s: %+v", text, r)
				}
			}
		})
	}
	kills := 0
	for ctx.Err() == nil {
		for _, pid := range readers() {
			if unix.Kill(pid, unix.SIGKILL) == nil {
				kills++
			}
		}
		time.Sleep(150 * time.Millisecond)
	}
	wg.Wait()
	t.Logf("%d readers killed; %d answers right, %d say so", kills, right.Load(), killed.Load())
	if kills < 3 || right.Load() == 0 || killed.Load() > int64(kills) {
		t.Errorf("%d readers killed; %d answers right, %d say so", kills, right.Load(), killed.Load())
	}
}

// TestRevive takes new readers where the old gave up for good.
func TestRevive(t *testing.T) {
	fails := &atomic.Bool{}
	q := opened(t, func(o *Options) {
		s := jail.NewStarter()
		t.Cleanup(func() { s.Close() })
		o.Pool.Recycle = 1
		o.Pool.Spawn = func(c jail.Command) (worker.Process, error) {
			if fails.Load() {
				return nil, unix.ENOEXEC
			}
			p, err := s.Start(c)
			if err != nil {
				return nil, err
			}
			return p, nil
		}
	})
	fails.Store(true)
	for i := 0; ; i++ {
		if _, err := ask(q, "x", fmt.Appendf(nil, "%d %s", i, marker)); err != nil {
			break
		}
	}
	if err := q.Revive(); err == nil {
		t.Error("readers that cannot be started are there")
	}
	if _, err := ask(q, "x", []byte(marker)); err == nil {
		t.Error("an answer without readers")
	}
	fails.Store(false)
	since := q.Rules().Since
	if err := q.Revive(); err != nil {
		t.Fatal(err)
	}
	if now := q.Rules().Since; since.IsZero() || !now.Equal(since) {
		t.Errorf("the rules are in use since %v, and were since %v", now, since)
	}
	if a, err := ask(q, "x", []byte(marker)); err != nil || a.Report.Verdict != showcause.Found {
		t.Errorf("%+v %v", a.Report, err)
	}
	if err := q.Revive(); err != nil {
		t.Errorf("nothing to revive: %v", err)
	}
}

// Who gives up waiting at the end does not wait for readers with options of a request that
// others have taken the place of.
func TestDrainSpare(t *testing.T) {
	q := opened(t, func(o *Options) { o.Pool.Args = []string{"showcause", "patient"} })
	file := func(text string) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	waits := file("w")
	ended := make(chan error, 1)
	go func() {
		_, err := q.Scan(context.Background(), Job{Client: "x", File: waits, Options: ScanOptions{Passwords: [][]byte{[]byte("one")}}})
		ended <- err
	}()
	for _, reading, _ := q.turns.counts(); reading == 0; _, reading, _ = q.turns.counts() {
		time.Sleep(time.Millisecond)
	}
	for q.current.spareUsers() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := q.Scan(t.Context(), Job{Client: "y", File: file("x"), Options: ScanOptions{Passwords: [][]byte{[]byte("two")}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-ended; !errors.Is(err, ErrStopping) {
		t.Errorf("%v", err)
	}
}

// spareUsers is how many jobs the readers with other options have.
func (g *generation) spareUsers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spare == nil {
		return 0
	}
	return g.spare.users
}

// TestSay holds how reports are answered.
func TestSay(t *testing.T) {
	trail := showcause.Trail{{Op: "zip.member"}}
	found := showcause.Finding{Rule: "A"}
	for name, c := range map[string]struct {
		p    Policy
		r    showcause.Report
		want string
	}{
		"nothing":            {r: showcause.Report{}, want: ""},
		"found twice":        {r: showcause.Report{Findings: []showcause.Finding{found, {Rule: "B"}, found}}, want: "A B"},
		"only tried":         {r: showcause.Report{Findings: []showcause.Finding{{Rule: "A", Stage: showcause.StageShadow}}}, want: ""},
		"said, not done":     {r: showcause.Report{Findings: []showcause.Finding{{Rule: "A", Stage: showcause.StageReport}}}, want: "A-"},
		"one of two acts":    {r: showcause.Report{Findings: []showcause.Finding{{Rule: "A", Stage: showcause.StageReport}, {Rule: "B", Stage: showcause.StageAct}}}, want: "A B"},
		"allowed":            {r: showcause.Report{Findings: []showcause.Finding{{Rule: "A", Allowed: "W"}}}, want: ""},
		"incomplete":         {r: showcause.Report{Gaps: []showcause.Gap{{Code: "encrypted", Trail: trail}}}, want: "!Not read whole: encrypted"},
		"ambiguous":          {r: showcause.Report{Gaps: []showcause.Gap{{Code: "ambiguous.zip"}}}, want: ""},
		"found and not all":  {r: showcause.Report{Findings: []showcause.Finding{found}, Gaps: []showcause.Gap{{Code: "encrypted"}}}, want: "A"},
		"encrypted is found": {p: Policy{AlertEncrypted: true}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "encrypted", Trail: trail}}}, want: "Heuristics.Encrypted.Zip"},
		"limit is found":     {p: Policy{AlertExceedsMax: true}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "limit.depth"}}}, want: "Heuristics.Limits.Exceeded.MaxRecursion"},
		"all is found":       {p: Policy{Incomplete: IncompleteFound}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "corrupt"}}}, want: "Heuristics.Incomplete.corrupt"},
		"accepted":           {p: Policy{Accept: []string{"encrypted"}}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "encrypted"}}}, want: "~encrypted"},
		"accepted in part":   {p: Policy{Accept: []string{"limit.depth"}}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "limit.depth"}, {Code: "limit.size"}}}, want: "!Not read whole: limit.size~limit.depth"},
		"ok":                 {p: Policy{Incomplete: IncompleteOK}, r: showcause.Report{Gaps: []showcause.Gap{{Code: "crash"}}}, want: "~crash"},
		"error":              {r: showcause.Report{Verdict: showcause.Error}, want: "!Not scanned"},
	} {
		s := c.p.Say(&Answer{Report: c.r})
		got := strings.Join(s.Names, " ")
		if len(s.Names) > 0 && !s.Act {
			got += "-"
		}
		if s.Failed != "" {
			got += "!" + s.Failed
		}
		for _, w := range s.Waived {
			got += "~" + string(w)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// However many files take however long, what does not is answered meanwhile: of the same
// client, and of others. They end in their own time.
func TestLong(t *testing.T) {
	q := opened(t, func(o *Options) { o.Pool.Args = []string{"showcause", "patient"} })
	path := t.TempDir() + "/long"
	if err := os.WriteFile(path, []byte("wait"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var long sync.WaitGroup
	var ended atomic.Int64
	for i := range 12 {
		long.Go(func() {
			if _, err := q.Scan(ctx, Job{Client: fmt.Sprint("long", i%2), File: f}); err != nil {
				t.Errorf("long: %v", err)
			}
			ended.Add(1)
		})
	}
	for q.Stats().Reading < 2 { // the readers have some
		time.Sleep(time.Millisecond)
	}
	var short sync.WaitGroup
	for c := range 4 {
		short.Go(func() {
			for i := range 20 {
				s, err := q.Receive(ctx, "", 0)
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(s, "%d %d", c, i)
				if _, err := q.Scan(ctx, Job{Client: fmt.Sprint("long", c), Content: s}); err != nil {
					t.Errorf("short: %v", err)
				}
				s.Close()
			}
		})
	}
	short.Wait()
	if n := ended.Load(); n > 0 || q.Stats().Long == 0 {
		t.Errorf("%d ended by themselves, %d were begun anew", n, q.Stats().Long)
	}
	if err := os.WriteFile(path, []byte("done"), 0o600); err != nil {
		t.Fatal(err)
	}
	long.Wait()
	if s := q.Stats(); s.Reading != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// A job whose client is gone while it waits is not read any more.
func TestGone(t *testing.T) {
	q := opened(t, nil)
	for range q.long.free {
		if err := q.long.take(t.Context(), "big"); err != nil {
			t.Fatal(err)
		}
	}
	defer q.long.done("big")
	defer q.long.done("big")
	path := t.TempDir() + "/large"
	if err := os.WriteFile(path, []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, large); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c := make(chan error, 1)
	go func() {
		_, err := q.Scan(ctx, Job{Client: "x", File: f})
		c <- err
	}()
	for q.Stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-c; err != context.Canceled || q.Stats().Waiting != 0 {
		t.Errorf("%v %+v", err, q.Stats())
	}
}

// The longer jobs are with the readers, the fewer are handed to them at a time.
func TestPace(t *testing.T) {
	tn := (&turns{most: 1000, maxWaiting: 100, maxClient: 50}).of(48, 4)
	if tn.free != 4 || tn.share() != 2 {
		t.Errorf("%d, %d", tn.free, tn.share())
	}
	for range 100 {
		tn.pace(time.Millisecond)
	}
	if tn.free != 48 || tn.share() != 24 || tn.withheld != 0 {
		t.Errorf("%d, %d", tn.free, tn.share())
	}
	for range 20 {
		if err := tn.take(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		tn.cut = time.Time{}
		tn.pace(time.Second)
	}
	if tn.free != 4-20 || tn.share() != 2 {
		t.Errorf("%d, %d", tn.free, tn.share())
	}
	tn.pace(80 * time.Millisecond) // neither
	for range 20 {
		tn.done("x")
	}
	if tn.free != 4 || tn.places-tn.withheld != 4 {
		t.Errorf("%d, %d", tn.free, tn.withheld)
	}
}

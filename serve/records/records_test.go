package records

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/evidence"
	"github.com/showcause/showcause/evidence/store"
	"github.com/showcause/showcause/serve/queue"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the reader too.
func TestMain(m *testing.M) { workertest.Main(m) }

const marker = "records-test marker 20c7."

// opened is a queue with a rule for marker whose answers have records.
func opened(t testing.TB, o Options) (*queue.Queue, *Keeper) {
	t.Helper()
	db, digest := workertest.Rule(t, "Test.Marker", marker)
	off := o.Store == "off"
	o.Store = t.TempDir() + "/store"
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	qo := queue.Options{Rules: queue.Database{DB: db, Digest: digest}, Pool: workertest.Pool(2)}
	if !off {
		qo.Record, qo.Pool.Digests = k.Record, true
	}
	q, err := queue.New(qo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = q.Drain(context.Background())
		_ = k.Close(context.Background())
	})
	return q, k
}

func ask(t testing.TB, q *queue.Queue, client, text string, o queue.ScanOptions) queue.Answer {
	t.Helper()
	s, err := q.Receive(t.Context(), client, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	a, err := q.Scan(t.Context(), queue.Job{Door: "test", Client: client, Content: s, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Findings of many at a time are written together, each once, and are what was found.
func TestTogether(t *testing.T) {
	var writes, records atomic.Int64
	var k *Keeper
	o := Options{Delay: 300 * time.Millisecond, write: func(r []*evidence.Record) error {
		writes.Add(1)
		records.Add(int64(len(r)))
		return k.store.Append(r)
	}}
	q, k1 := opened(t, o)
	k = k1
	var wg sync.WaitGroup
	var mu sync.Mutex
	names := map[string]int{}
	for i := range 60 {
		wg.Go(func() {
			a := ask(t, q, "x", fmt.Sprint(i%30, marker), queue.ScanOptions{})
			mu.Lock()
			defer mu.Unlock()
			for _, n := range a.Records {
				names[n]++
			}
		})
	}
	wg.Wait()
	if a := ask(t, q, "x", "clean", queue.ScanOptions{Record: true}); a.Records != nil || a.Record != nil {
		t.Errorf("%+v", a)
	}
	if err := q.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := records.Load(); n != int64(len(names)) || n < 30 || n > 60 || writes.Load() > n/2 {
		t.Errorf("%d records of %d names in %d writes", n, len(names), writes.Load())
	}
	s, err := store.Open(k.o.Store, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range names {
		sealed, err := s.Verify(n)
		if err != nil {
			t.Fatal(err)
		}
		st := sealed.Statement()
		if st.Kind != evidence.Finding || st.Rules.Rule.Name != "Test.Marker.UNOFFICIAL" && st.Rules.Rule.Name != "Test.Marker" || st.Context.Path.Text != "stream" {
			t.Errorf("%+v", st)
		}
	}
	if st := k.Status(); st.Made != int64(len(names)) || st.Missed != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// Who acts because of an answer has its record durable before; others do not wait for a
// store that takes long, and who does wait does not wait for ever.
func TestWaits(t *testing.T) {
	free := make(chan struct{})
	o := Options{Wait: 200 * time.Millisecond, write: func([]*evidence.Record) error { <-free; return nil }}
	q, k := opened(t, o)
	a := ask(t, q, "x", "1"+marker, queue.ScanOptions{})
	if len(a.Records) != 1 || a.Unrecorded != "" {
		t.Errorf("%+v", a)
	}
	a = ask(t, q, "x", "2"+marker, queue.ScanOptions{Act: true})
	if len(a.Records) != 1 || a.Unrecorded != errLate.Error() || a.Report.Verdict != showcause.Found {
		t.Errorf("%+v", a)
	}
	close(free)
	a = ask(t, q, "x", "3"+marker, queue.ScanOptions{Act: true})
	if len(a.Records) != 1 || a.Unrecorded != "" {
		t.Errorf("%+v", a)
	}
	if st := k.Status(); st.Made != 3 {
		t.Errorf("%+v", st)
	}
}

// What a store does not take waits, as much as there is room for; the rest is missed, and
// counted. Nothing that waits is lost once the store takes it.
func TestFails(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	var k *Keeper
	ready := make(chan struct{})
	o := Options{Delay: time.Millisecond, Pending: 20_000, write: func(r []*evidence.Record) error {
		<-ready
		if broken.Load() {
			return errors.New("no space")
		}
		return k.store.Append(r)
	}}
	q, k1 := opened(t, o)
	k = k1
	close(ready)
	want := map[string]bool{}
	missed := 0
	for i := range 50 {
		a := ask(t, q, "x", fmt.Sprint(i, marker), queue.ScanOptions{Act: i == 20})
		if a.Report.Verdict != showcause.Found {
			t.Fatalf("%+v", a)
		}
		for _, n := range a.Records {
			want[n] = true
		}
		if len(a.Records) == 0 {
			missed++
			if a.Unrecorded == "" {
				t.Errorf("%+v", a)
			}
		}
		if i == 20 && a.Unrecorded == "" {
			t.Error("acted without a record")
		}
	}
	if st := k.Status(); missed == 0 || len(want) == 0 || st.Missed != int64(missed) || st.Failed != "no space" || st.Waiting != len(want) {
		t.Errorf("%d missed, %d waiting: %+v", missed, len(want), st)
	}
	broken.Store(false)
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(k.o.Store, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := 0
	err = s.Names("", func(n string) error {
		got++
		if !want[n] {
			t.Errorf("%s was never named", n)
		}
		return nil
	})
	if err != nil || got != len(want) {
		t.Errorf("%d written of %d, %v", got, len(want), err)
	}
}

// A client has the records that were made for it, and no others'.
func TestOf(t *testing.T) {
	q, k := opened(t, Options{})
	a := ask(t, q, "one", marker, queue.ScanOptions{Record: true})
	b := ask(t, q, "two", marker, queue.ScanOptions{Record: true})
	if len(a.Records) != 1 || len(b.Records) != 1 || a.Records[0] == b.Records[0] {
		t.Fatalf("%q %q", a.Records, b.Records)
	}
	if l := k.Of("one"); len(l) != 1 || l[0].Record != a.Records[0] || l[0].SHA256 != a.SHA256 || l[0].Name != "stream" {
		t.Errorf("%+v", l)
	}
	if l := k.Of("three"); l != nil {
		t.Errorf("%+v", l)
	}
	if err := k.Deed(a.Records[0], a.SHA256, a.Report.Size, "stream", "block", map[string]string{"door": "test"}); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := k.Status(); st.Made != 3 || st.Missed != 0 {
		t.Errorf("%+v", st)
	}
	if err := k.Deed(a.Records[0], a.SHA256, 1, "stream", "block", nil); !errors.Is(err, errClosing) {
		t.Errorf("%v", err)
	}
}

// A file that changed, or that has more findings than are recorded, says so.
func TestChanged(t *testing.T) {
	_, k := opened(t, Options{})
	path := t.TempDir() + "/f"
	if err := os.WriteFile(path, []byte(strings.Repeat("a", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a := queue.Answer{Database: &queue.Database{Digest: strings.Repeat("0", 64)}, Report: showcause.Report{
		Verdict: showcause.Found, Size: 200, Findings: []showcause.Finding{{Rule: "x"}},
	}}
	q2, _ := opened(t, Options{})
	a.Database.DB = q2.Rules().DB
	k.Record(t.Context(), &queue.Job{File: f, Name: path}, &a)
	if a.Records != nil || !strings.Contains(a.Unrecorded, "a second time") || k.Status().Missed != 1 {
		t.Errorf("%+v %+v", a, k.Status())
	}
}

// No limit is a limit that a record can hold. What cannot be sealed is counted, and said until
// something can, and so is what is done because of it.
func TestNoLimit(t *testing.T) {
	q, k := opened(t, Options{})
	a := ask(t, q, "x", marker, queue.ScanOptions{Record: true, Limits: showcause.Limits{FileSize: math.MaxInt64, ScanSize: math.MaxInt64}})
	if len(a.Records) != 1 || a.Unrecorded != "" || a.Record == nil {
		t.Errorf("%+v", a)
	}
	if !k.For("x", a.Records[0]) || k.For("y", a.Records[0]) || k.For("x", "") {
		t.Error("whose record it is")
	}
	content, err := q.Receive(t.Context(), "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := content.Write([]byte(marker)); err != nil {
		t.Fatal(err)
	}
	bad := a
	bad.Report.Spent.Work++ // another answer
	bad.Report.Findings = slices.Clone(a.Report.Findings)
	bad.Report.Findings[0].Chain = nil
	bad.Limits.Depth = 7
	k.Record(t.Context(), &queue.Job{Content: content, Client: "x"}, &bad)
	if st := k.Status(); len(bad.Records) != 0 || st.Unsealed == "" || st.OK() || st.Missed != 1 || bad.Unrecorded != st.Unsealed {
		t.Errorf("%+v %+v", bad, st)
	}
	if err := k.Deed("", a.SHA256, 1, "stream", "reject", nil); !errors.Is(err, errDeed) || k.Status().Missed != 2 {
		t.Errorf("%v %+v", err, k.Status())
	}
	if ask(t, q, "x", "2"+marker, queue.ScanOptions{}); !new(Status).OK() || k.Status().Unsealed != "" {
		t.Errorf("%+v", k.Status())
	}
}

// What a setting makes OK, or found, though it was not read whole, has a record that says what
// was not read, and by which setting; an error has none, but where it lets something pass.
func TestLenient(t *testing.T) {
	beyond := []showcause.Gap{{Code: showcause.LimitSize, Offset: 6, Length: -1}}
	for _, c := range []struct {
		name   string
		policy queue.Policy
		job    queue.Job
		text   string
		want   int // records
	}{
		{"error", queue.Policy{}, queue.Job{Gaps: beyond}, "stream", 0},
		{"ok", queue.Policy{Incomplete: queue.IncompleteOK}, queue.Job{Gaps: beyond}, "stream", 1},
		{"read whole", queue.Policy{Incomplete: queue.IncompleteOK}, queue.Job{}, "stream", 0},
		{"accepted", queue.Policy{Accept: []string{"limit"}}, queue.Job{Gaps: beyond}, "stream", 1},
		{"another accepted", queue.Policy{Accept: []string{"encrypted"}}, queue.Job{Gaps: beyond}, "stream", 0},
		{"found", queue.Policy{Incomplete: queue.IncompleteFound}, queue.Job{Gaps: beyond}, "stream", 1},
		{"alert", queue.Policy{AlertExceedsMax: true}, queue.Job{Gaps: beyond}, "stream", 1},
		{"passed", queue.Policy{}, queue.Job{Gaps: beyond, Options: queue.ScanOptions{Passes: true}}, "stream", 1},
		{"the reader's gap", queue.Policy{Incomplete: queue.IncompleteOK}, queue.Job{Options: queue.ScanOptions{Limits: showcause.Limits{FileSize: 3}}}, "stream", 1},
		{"and a finding", queue.Policy{Incomplete: queue.IncompleteOK}, queue.Job{Gaps: beyond}, marker, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, k := opened(t, Options{Policy: c.policy, Words: map[string]string{"incomplete": c.policy.Incomplete.String()}})
			var names []string
			for range 2 { // the second is of the cache
				s, err := q.Receive(t.Context(), "x", 0)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if _, err := s.Write([]byte(c.text)); err != nil {
					t.Fatal(err)
				}
				c.job.Door, c.job.Client, c.job.Content, c.job.Options.Act = "test", "x", s, true
				a, err := q.Scan(t.Context(), c.job)
				if err != nil || a.Unrecorded != "" || len(a.Records) != c.want {
					t.Fatalf("%+v %v", a, err)
				}
				if c.job.Gaps != nil && (len(a.Report.Gaps) != 1 || a.Report.Gaps[0].Code != showcause.LimitSize || a.Report.Verdict == showcause.NothingFound) {
					t.Errorf("%+v", a.Report)
				}
				if names = append(names, a.Records...); c.want > 0 && names[0] != a.Records[0] {
					t.Errorf("%q", names)
				}
			}
			if c.want == 0 {
				return
			}
			sealed, err := k.Store().Verify(names[0])
			if err != nil {
				t.Fatal(err)
			}
			st := sealed.Statement()
			if c.text == marker {
				if st.Kind != evidence.Finding || !st.Coverage.Complete {
					t.Errorf("%+v", st)
				}
				return
			}
			in := st.Coverage.Inputs
			if st.Kind != evidence.Scan || st.Verdict != "incomplete" || st.Coverage.Complete || len(in) != 1 || in[0].Digest.SHA256 == "" || len(in[0].Gaps) != 1 ||
				in[0].Gaps[0].Code != string(showcause.LimitSize) || st.Policy.Options["incomplete"] != c.policy.Incomplete.String() || st.Context.Paths[0].Text != "stream" {
				t.Errorf("%+v", st)
			}
			if found := ask(t, q, "x", "1"+marker, queue.ScanOptions{Act: true}); len(found.Records) != 1 {
				t.Errorf("%+v", found)
			} else if f, err := k.Store().Verify(found.Records[0]); err != nil || f.Statement().Context.Scan != st.Context.Scan {
				t.Errorf("a finding beside it is of another scan: %v", err)
			}
			if err := k.Deed(names[0], in[0].Digest.SHA256, in[0].Size, "stream", "accept", nil); err != nil {
				t.Error(err)
			}
			if st := k.Status(); st.Missed != 0 || !st.OK() {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Of a file, too; what cannot be written takes no answer away, and is counted.
func TestLenientFile(t *testing.T) {
	broken := errors.New("no space")
	q, k := opened(t, Options{Policy: queue.Policy{Incomplete: queue.IncompleteOK}, Pending: 1, write: func([]*evidence.Record) error { return broken }})
	path := t.TempDir() + "/f"
	if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := q.Scan(t.Context(), queue.Job{Client: "x", File: f, Name: path, Options: queue.ScanOptions{Limits: showcause.Limits{FileSize: 3}}})
	if err != nil || a.Report.Verdict != showcause.Incomplete || a.Unrecorded != errFull.Error() || k.Status().Missed != 1 {
		t.Errorf("%+v %v %+v", a, err, k.Status())
	}
}

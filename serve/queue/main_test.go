package queue

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/rules"
	"github.com/showcause/showcause/worker"
)

// TestMain is the reader too: what the pools of the tests start is this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "reader" || os.Args[1] == "patient") {
		var o worker.Reading
		if os.Args[1] == "patient" {
			o.Scan = patient
		}
		if err := worker.Read(o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patient is a scan that lasts as long as a file begins with "w".
func patient(src showcause.Source) showcause.Report {
	b := []byte{'w'}
	for b[0] == 'w' {
		if n, _ := src.ReadAt(b, 0); n < 1 {
			b[0] = 0
		}
	}
	return showcause.Report{Size: src.Size(), Verdict: showcause.NothingFound}
}

const (
	marker = "queue-test marker 77ac showcause."
	other  = "queue-test other marker 91be showcause."
)

// compiled is a database with one rule, of a name, for a text.
func compiled(t testing.TB, name, text string) *ruledb.DB {
	t.Helper()
	dir := t.TempDir()
	path := dir + "/one.ndb"
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s:0:*:%x\n", name, text), 0o600); err != nil {
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
	return db
}

// opened is a queue with a rule for marker, and two readers.
func opened(t testing.TB, change func(*Options)) *Queue {
	t.Helper()
	o := Options{
		Rules: Database{DB: compiled(t, "Test.Marker", marker), Version: "1"},
		Pool:  worker.Options{Workers: 2, Names: true, Args: []string{"showcause", "reader"}},
	}
	if change != nil {
		change(&o)
	}
	q, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Drain(t.Context()) })
	return q
}

// ask has bytes scanned as a door does.
func ask(q *Queue, client string, content []byte) (Answer, error) {
	s, err := q.Receive(context.Background(), client, 0)
	if err != nil {
		return Answer{}, err
	}
	defer s.Close()
	for len(content) > 0 {
		n := min(len(content), 5000)
		if _, err := s.Write(content[:n]); err != nil {
			return Answer{}, err
		}
		content = content[n:]
	}
	return q.Scan(context.Background(), Job{Door: "test", Client: client, Content: s})
}

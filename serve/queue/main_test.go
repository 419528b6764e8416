package queue

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the reader too, and one whose scans last.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "patient" {
		if err := worker.Read(worker.Reading{Scan: patient}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	workertest.Main(m)
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

// opened is a queue with a rule for marker, and two readers.
func opened(t testing.TB, change func(*Options)) *Queue {
	t.Helper()
	db, _ := workertest.Rule(t, "Test.Marker", marker)
	o := Options{Rules: Database{DB: db, Version: "1"}, Pool: workertest.Pool(2)}
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

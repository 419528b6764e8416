//go:build linux && (amd64 || arm64)

package escape

import (
	"os"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Reader(os.Args[2:], nil))
	}
	os.Exit(m.Run())
}

// each runs f on every item, four at a time.
func each[T any](items []T, f func(T)) {
	var wg sync.WaitGroup
	next := make(chan T)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for _, i := range items {
		next <- i
	}
	close(next)
	wg.Wait()
}

func stage(t *testing.T) *Stage {
	s, err := NewStage()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestControl holds that no attempt is vacuous: without the jail it succeeds, or reaches the kernel.
func TestControl(t *testing.T) {
	s := stage(t)
	each(List(), func(a Attempt) {
		r := s.Control(a)
		switch r.Outcome {
		case Succeeded, LetThrough:
			t.Logf("%d %s: %s", r.Number, r.Name, r)
		case Skipped:
			t.Logf("%d %s: %s", r.Number, r.Name, r)
		default:
			t.Errorf("%d %s: %s", r.Number, r.Name, r)
		}
	})
}

// TestJail is the point: every attempt is stopped.
func TestJail(t *testing.T) {
	s := stage(t)
	each(List(), func(a Attempt) {
		if r := s.Try(a); !r.Stopped() {
			t.Errorf("%d %s: %s", r.Number, r.Name, r)
		} else {
			t.Logf("%d %s: %s", r.Number, r.Name, r)
		}
	})
}

func TestMutate(t *testing.T) {
	s := stage(t)
	each(Mutations(), func(m Mutation) {
		m = s.Mutate(m)
		if m.Result == NotProved {
			t.Errorf("%+v", m)
		} else {
			t.Logf("%+v", m)
		}
	})
}

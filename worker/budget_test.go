package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/worker/wire"
)

// TestWaiting holds what is counted as waiting behind a file.
func TestWaiting(t *testing.T) {
	var w waiting
	for i := range 5 {
		w.submitted(uint64(i + 1))
	}
	for _, c := range []struct {
		id     uint64
		weight int64
		total  int64
	}{{2, 10, 10}, {2, 10, 10}, {4, 5, 15}, {9, 7, 15}, {0, 7, 15}, {1, 100, 5}, {1, 1, 5}, {3, 1, 0}, {5, 8, 0}} {
		if w.answered(c.id, c.weight); w.total != c.total {
			t.Errorf("after %d: %d, want %d", c.id, w.total, c.total)
		}
	}
	if w.submitted(6); w.first != 6 || len(w.weights) != 1 {
		t.Errorf("%+v", w)
	}
	if w.answered(6, maxWaiting); w.room() != maxWaiting {
		t.Errorf("room %d", w.room())
	}
}

// TestBehind holds that reports behind a file that takes its time do not grow
// without end.
func TestBehind(t *testing.T) {
	noLeak(t)
	p := pool(t, &bare{}, Options{Workers: 2, Names: true}, "script")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var first sync.WaitGroup
	first.Add(1)
	p.Submit(ctx, tempFile(t, "sleep 1000000\n"), func(showcause.Report, error) { first.Done() })
	const each = 200_000
	quiet := int64(maxWaiting / 64) // what one that raises no alarm gets of the room
	var sum int64
	for i := range 10 {
		r := scanText(t, p, fmt.Sprintf("gaps %d\n", each))
		if w := wire.Weigh(&r); w > quiet+1000 || !has(&r, wire.LimitReport) || r.Verdict != showcause.Incomplete {
			t.Errorf("report %d weighs %d: %v", i, w, r.Verdict)
		}
		sum += wire.Weigh(&r)
	}
	p.mu.Lock()
	total := p.waits.total
	p.mu.Unlock()
	if total != sum {
		t.Errorf("%d bytes wait, counted %d", sum, total)
	}
	cancel()
	first.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits.total != 0 || len(p.waits.weights) != 0 {
		t.Errorf("%+v wait for nothing", p.waits)
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit         uint64
		workers       int
		readers, held int
	}{
		{1 << 20, 2, 2, 256}, {1024, 2, 2, 256}, {1024, 1000, 50, 250}, {64, 2, 2, 10}, {64, 16, 2, 10}, {32, 2, 1, 1}, {3, 2, 1, 1}, {1 << 63, 16, 16, 1024},
	} {
		readers, held := share(c.limit, c.workers)
		if readers != c.readers || held != c.held {
			t.Errorf("%d descriptors, %d workers: %d readers and %d files, want %d and %d", c.limit, c.workers, readers, held, c.readers, c.held)
		}
	}
}

// TestFewFiles scans many files where few can be open.
func TestFewFiles(t *testing.T) {
	if os.Getenv("SHOWCAUSE_TEST_FEW") == "" {
		c := exec.Command("sh", "-c", `ulimit -n 64; exec "$0" -test.run '^TestFewFiles$'`, "/proc/self/exe")
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c.Args[len(c.Args)-1] = exe
		c.Env = append(os.Environ(), "SHOWCAUSE_TEST_FEW=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p := pool(t, nil, Options{Workers: 8, Recycle: 100, Scratch: unlinked(t)}, "real")
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 2000 {
		flags, name := os.O_RDONLY, path
		if i%3 == 1 {
			flags = os.O_RDWR // opened again
		} else if i%3 == 2 {
			name = "/proc/self/status" // copied
		}
		f, err := os.OpenFile(name, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		p.Submit(context.Background(), f, func(r showcause.Report, err error) {
			defer wg.Done()
			f.Close()
			if err != nil || r.Verdict != showcause.NothingFound {
				t.Errorf("file %d: %v %s %v", i, r.Verdict, codesOf(&r), err)
			}
		})
	}
	wg.Wait()
}

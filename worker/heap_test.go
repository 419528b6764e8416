package worker

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

// Dead objects take no more than is said, and of a large live heap the limit keeps clear, so that
// the collector does not run all the time.
func TestBoundHeap(t *testing.T) {
	was := debug.SetGCPercent(collectAt)
	before := debug.SetMemoryLimit(-1)
	stop := BoundHeap(math.MaxInt64)
	defer func() {
		stop()
		debug.SetGCPercent(was)
		debug.SetMemoryLimit(before)
	}()
	churn := func(live int) (most, cycles uint64) {
		held := make([][]byte, live>>20)
		for i := range held {
			held[i] = make([]byte, 1<<20)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		begun := uint64(m.NumGC)
		for range 1 << 10 {
			runtime.KeepAlive(make([]byte, 1<<20))
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		runtime.KeepAlive(held)
		return most >> 20, uint64(m.NumGC) - begun
	}
	// A collection on a busy machine ends late, so that there is some room in these bounds.
	if most, _ := churn(40 << 20); most > 170 { // without, 200
		t.Errorf("%d MB of heap, of which 40 live", most)
	}
	if most, cycles := churn(256 << 20); most > 768 || cycles > 100 {
		t.Errorf("%d MB of heap, of which 256 live; %d collections for 1,024 MB", most, cycles)
	}
}

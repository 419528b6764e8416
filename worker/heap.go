package worker

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// leastHeap is the memory from which on a process that reads files collects its heap before it has
// grown by all that GOGC allows, bytes.
const leastHeap = 112 << 20

// BoundHeap bounds what dead objects take of this process's memory: up to leastHeap as GOGC says,
// beyond it a quarter of what lives and some, and all together no more than most bytes where what lives
// leaves that room. A hostile file that is taken apart into a million pieces would else take five times what they
// need. stop ends that.
func BoundHeap(most int64) (stop func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	// The finalizer of an object that nothing holds runs after each collection.
	type cycle struct{ live []metrics.Sample }
	var ended atomic.Bool
	last := int64(0)
	var after func(*cycle)
	after = func(c *cycle) {
		if ended.Load() {
			return
		}
		metrics.Read(c.live)
		limit := int64(leastHeap)
		if c.live[0].Value.Kind() == metrics.KindUint64 {
			live := int64(c.live[0].Value.Uint64())
			limit = min(max(limit, live+live/4+32<<20), most)
		}
		if limit != last {
			last = limit
			debug.SetMemoryLimit(limit)
		}
		runtime.SetFinalizer(c, after)
	}
	after(&cycle{[]metrics.Sample{{Name: "/gc/heap/live:bytes"}}})
	return func() { ended.Store(true) }
}

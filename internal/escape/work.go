//go:build linux && (amd64 || arm64)

package escape

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/jail"
)

// Names of the workloads, which are run like attempts: the real work of a
// reader, and its end by a signal.
const (
	Workload       = "work"
	WorkloadSignal = "work-signal"
)

// Worked is what a workload that went to its end says.
const Worked = "the work was done"

// labour does what a reader does, so that a listed call which is taken away is
// missed: it takes a passed file, scans it, and keeps the runtime busy.
func labour(name string, h Hints, without []string, work Work) string {
	scan := func(int) error { return nil }
	if work != nil {
		var err error
		if scan, err = work(); err != nil {
			return "before the lock: " + err.Error()
		}
	}
	if err := lock(h, nil, without); err != nil {
		return err.Error()
	}
	if name == WorkloadSignal {
		// The broker sends SIGTERM now; Go gives the signal its default action and raises it again.
		if _, err := unix.Write(jail.Log, []byte(Sleeping)); err != nil {
			return err.Error()
		}
		for {
			time.Sleep(time.Second)
		}
	}
	fd, err := receive()
	if err != nil {
		return err.Error()
	}
	for _, step := range []func() error{
		func() error { return read(fd) },
		func() error { return scan(fd) },
		func() error { return unix.Close(fd) },
		spill, collect, interrupt, threads, timers, stopped,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("%w: %w", errWork, err).Error()
		}
	}
	return Worked
}

// read takes the size and the bytes of a passed file.
func read(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	b := make([]byte, st.Size)
	n, err := unix.Pread(fd, b, 0)
	if err == nil && int64(n) != st.Size {
		return errors.New("short read")
	}
	return err
}

// spill writes to the scratch file, reads it back and gives its space back.
func spill() error {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(i)
	}
	if n, err := unix.Pwrite(jail.Scratch, b, 1<<20); err != nil || n != len(b) {
		return fmt.Errorf("scratch: %d, %w", n, err)
	}
	if n, err := unix.Pread(jail.Scratch, b, 1<<20); err != nil || n != len(b) || b[77] != 77 {
		return fmt.Errorf("scratch: %d, %w", n, err)
	}
	return unix.Ftruncate(jail.Scratch, 0)
}

// collect makes garbage in large and small pieces and gives memory back to the kernel.
func collect() error {
	var keep [16][]byte
	var wg sync.WaitGroup
	for i := range keep {
		wg.Go(func() {
			for j := range 40 {
				keep[i] = make([]byte, 1<<10<<(j%12))
				keep[i][0] = 1
			}
			keep[i] = make([]byte, 8<<20)
		})
	}
	wg.Wait()
	runtime.GC()
	clear(keep[:])
	debug.FreeOSMemory()
	big := make([]byte, 160<<20) // more than an arena: the heap grows by a range of its own
	big[len(big)-1] = 1
	runtime.KeepAlive(big)
	debug.FreeOSMemory()
	return nil
}

// interrupt has loops without calls stopped by the collector: the runtime signals its own threads.
func interrupt() error {
	var wg sync.WaitGroup
	stop := time.Now().Add(60 * time.Millisecond)
	for range 4 {
		wg.Go(func() {
			x := uint64(1)
			for time.Now().Before(stop) {
				for range 3_000_000 {
					x = x*6364136223846793005 + 1442695040888963407
				}
			}
			runtime.KeepAlive(x)
		})
	}
	for time.Now().Before(stop) {
		runtime.GC()
		runtime.Gosched()
	}
	wg.Wait()
	return nil
}

// threads makes goroutines that take threads with them when they end, and blocks many threads at once.
func threads() error {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with it
			time.Sleep(time.Millisecond)
		})
	}
	wg.Wait()
	var mu sync.Mutex
	n := 0
	for range 64 {
		wg.Go(func() {
			for range 200 {
				mu.Lock()
				n++
				mu.Unlock()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	if n != 64*200 {
		return fmt.Errorf("count: %d", n)
	}
	return nil
}

// timers sleeps for short times while another goroutine makes earlier timers.
func timers() error {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 12 {
				time.Sleep(time.Duration(1+(i*7+j*3)%9) * 300 * time.Microsecond)
			}
		})
	}
	// A timer that is due before the one that the poller waits for: the poller is woken.
	done := make(chan struct{})
	time.AfterFunc(40*time.Millisecond, func() { close(done) })
	for range 20 {
		time.Sleep(time.Millisecond)
		woken := make(chan struct{})
		time.AfterFunc(time.Millisecond, func() { close(woken) })
		<-woken
	}
	<-done
	wg.Wait()
	return nil
}

// stopped says on the log that it sleeps, so that the broker stops and continues
// the process in the middle: the kernel then has it call restart_syscall.
func stopped() error {
	if _, err := unix.Write(jail.Log, []byte(Sleeping)); err != nil {
		return err
	}
	time.Sleep(150 * time.Millisecond)
	return nil
}

// Sleeping is what a workload writes to its log when it waits for the broker: to be stopped for a moment and let go on, or,
// in WorkloadSignal, to be ended by SIGTERM.
const Sleeping = "sleeping\n"

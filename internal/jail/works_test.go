//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// works are what a locked reader does. An answer that begins with "ok" is good.
var works = map[string]func() string{
	"nothing": func() string { return "ok" },
	"wait": func() string {
		for { // in the kernel, as a reader without a job is
			unix.Nanosleep(&unix.Timespec{Sec: 3600}, nil)
		}
	},
	"little":     workLittle,
	"gc":         workGC,
	"goroutines": workGoroutines,
	"timers":     workTimers,
	"panic":      workPanic,
	"big":        workBig,
	"stack":      func() string { return fmt.Sprint("ok ", deep(500_000)) },
	"threads":    workThreads,
	"preempt":    workPreempt,
	"recv":       workRecv,
	"scratch":    workScratch,
	"idle":       workIdle,
	"local time": func() string { return "ok " + time.Now().Local().Format(time.RFC1123) },
	"rules":      workRules,

	"exit 7":    func() string { os.Exit(7); return "" },
	"bad":       func() string { var p *int; *p = 1; return "" },
	"goroutine": func() string { go panic("in a goroutine"); select {} },
	"swell":     workSwell,
	"socket":    func() string { unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return "survived" },
	"open":      func() string { unix.Open("/etc/passwd", 0, 0); return "survived" },
	"write 3":   func() string { unix.Write(Control, []byte("x")); return "survived" },
	"read 3":    func() string { unix.Read(Control, make([]byte, 1)); return "survived" },
	"fork": func() string {
		unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		return "survived"
	},
	"file map": func() string { unix.Mmap(Rules, 0, 4096, unix.PROT_READ, unix.MAP_SHARED); return "survived" },
	"kill":     func() string { unix.Kill(1, 0); return "survived" },
	"high half": func() string {
		b := []byte("x")
		unix.RawSyscall(unix.SYS_WRITE, 1<<32|Result, uintptr(ptr(b)), 1)
		return "survived"
	},
	"grow":  workGrow,
	"storm": workStorm,
	"space": workSpace,
	"tries": workTries,
}

// workLittle is a short mixture.
func workLittle() string {
	var wg sync.WaitGroup
	var n atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			b := make([]byte, 1<<uint(i))
			n.Add(int64(len(b)))
			time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
		})
	}
	runtime.GC()
	wg.Wait()
	return fmt.Sprint("ok ", n.Load())
}

func workGC() string {
	var wg sync.WaitGroup
	var sum atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			keep := map[int][]byte{}
			for i := range 4000 {
				keep[i%257] = make([]byte, 1<<uint(i%17)+g)
				sum.Add(int64(len(keep[i%257])))
			}
		})
	}
	for range 5 {
		runtime.GC()
	}
	wg.Wait()
	debug.FreeOSMemory()
	return fmt.Sprint("ok ", sum.Load())
}

func workGoroutines() string {
	var wg sync.WaitGroup
	ch := make(chan int)
	var got atomic.Int64
	for range 10_000 {
		wg.Go(func() { got.Add(int64(<-ch)) })
	}
	for range 10_000 {
		ch <- 1
	}
	wg.Wait()
	return fmt.Sprint("ok ", got.Load())
}

func workTimers() string {
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		time.AfterFunc(time.Duration(200-i)*100*time.Microsecond, func() { n.Add(1); wg.Done() })
	}
	for i := range 50 {
		wg.Go(func() { time.Sleep(time.Duration(i) * 200 * time.Microsecond) })
	}
	tick := time.NewTicker(time.Millisecond)
	for range 10 {
		<-tick.C
	}
	tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	<-ctx.Done()
	cancel()
	wg.Wait()
	return fmt.Sprint("ok ", n.Load())
}

func workPanic() string {
	caught := 0
	try := func(f func()) {
		defer func() {
			if recover() != nil {
				caught++
			}
		}()
		f()
	}
	var null *[4]int
	zero := caught
	none := map[string]map[string]int{}["none"]
	for range 100 {
		try(func() { null[2] = 1 })
		try(func() { _ = 1 / zero })
		try(func() { _ = make([]int, 3)[caught+5] })
		try(func() { panic(errors.New("x")) })
		try(func() { none["x"] = 1 })
	}
	_ = debug.Stack()
	return fmt.Sprint("ok ", caught)
}

func workBig() string {
	for range 2 {
		b := make([]byte, 128<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		runtime.KeepAlive(b)
		b = nil
		debug.FreeOSMemory()
	}
	return "ok"
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return 0
	}
	var pad [8]int
	pad[n%8] = n
	return deep(n-1) + pad[n%8]&1
}

// workThreads makes threads and ends them, with goroutines that block in the kernel.
func workThreads() string {
	var wg sync.WaitGroup
	for range 3 {
		for range 40 {
			wg.Go(func() {
				runtime.LockOSThread() // the thread ends with the goroutine
				ts := unix.Timespec{Nsec: 2_000_000}
				unix.Nanosleep(&ts, nil)
			})
		}
		wg.Wait()
	}
	return "ok"
}

// workPreempt is loops that only a signal interrupts.
func workPreempt() string {
	var stop atomic.Bool
	var wg sync.WaitGroup
	var n atomic.Int64
	for range 3 {
		wg.Go(func() {
			x := uint32(1)
			for !stop.Load() {
				for range 200_000 {
					x = x*1664525 + 1013904223
				}
				n.Add(int64(x & 1))
			}
		})
	}
	for range 8 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	return "ok"
}

func workRecv() string {
	jobs := make(chan int)
	var wg sync.WaitGroup
	var good atomic.Int64
	for range 4 {
		wg.Go(func() {
			for fd := range jobs {
				var st unix.Stat_t
				unix.Fstat(fd, &st)
				h := sha256.New()
				b := make([]byte, 64<<10)
				for off := int64(0); off < 256<<10; {
					n, err := unix.Pread(fd, b, off)
					if n <= 0 || err != nil {
						break
					}
					h.Write(b[:n])
					off += int64(n)
				}
				if st.Size > 0 && h.Sum(nil)[0]+1 > 0 {
					good.Add(1)
				}
				unix.Close(fd)
			}
		})
	}
	msg, oob := make([]byte, 64), make([]byte, unix.CmsgSpace(64*4))
	for {
		n, on, _, _, err := unix.Recvmsg(Control, msg, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		ms, _ := unix.ParseSocketControlMessage(oob[:on])
		for _, m := range ms {
			fds, _ := unix.ParseUnixRights(&m)
			for _, fd := range fds {
				jobs <- fd
			}
		}
	}
	close(jobs)
	wg.Wait()
	return fmt.Sprint("ok ", good.Load())
}

func workScratch() string {
	page := []byte(strings.Repeat("x", 4096))
	for i := range 100 {
		if _, err := unix.Pwrite(Scratch, page, int64(i)*4096); err != nil {
			return err.Error()
		}
	}
	back := make([]byte, 4096)
	if n, err := unix.Pread(Scratch, back, 99*4096); n != 4096 || err != nil || back[0] != 'x' {
		return fmt.Sprint("read back: ", n, err)
	}
	if err := unix.Ftruncate(Scratch, 0); err != nil {
		return err.Error()
	}
	return "ok"
}

// workIdle gives the runtime's background work time to happen: the monitor
// sleeps, the scavenger returns memory, idle threads park.
func workIdle() string {
	b := make([]byte, 64<<20)
	for i := range b {
		b[i] = byte(i)
	}
	b = nil
	runtime.GC()
	time.Sleep(1500 * time.Millisecond)
	return fmt.Sprint("ok ", len(b))
}

func workRules() string {
	b := make([]byte, 16)
	n, err := unix.Pread(Rules, b, 0)
	if err != nil {
		return err.Error()
	}
	unix.Close(Rules)
	return "ok " + string(b[:n])
}

func workSwell() string {
	var keep [][]byte
	for {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		keep = append(keep, b)
		if len(keep) > 1000 {
			return "16 GB"
		}
	}
}

func workGrow() string {
	_, err := unix.Pwrite(Scratch, []byte("x"), 2<<30)
	return fmt.Sprint("ok ", err)
}

// workTries does what single walls stop, with the filter left out.
func workTries() string {
	var out strings.Builder
	note := func(what string, err error) {
		said := "ok"
		var errno syscall.Errno
		if errors.As(err, &errno) {
			said = unix.ErrnoName(errno)
		} else if err != nil {
			said = err.Error()
		}
		fmt.Fprintln(&out, what, said)
	}
	port, _ := strconv.Atoi(os.Getenv(portVariable))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	note("connect", err)
	parent, _ := strconv.Atoi(os.Getenv(parentVariable))
	note("signal", unix.Kill(parent, 0))
	fmt.Fprintln(&out, "uid", unix.Getuid())
	_, err = unix.FcntlInt(300, unix.F_GETFD, 0)
	note("leaked", err)
	var core, files unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_CORE, &core)
	unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	if core.Max == 0 && files.Max == 256 {
		fmt.Fprintln(&out, "no core, few files")
	} else {
		fmt.Fprintln(&out, "core and files as before")
	}
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	fmt.Fprintln(&out, "dumpable", dumpable)
	_, err = unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	note("open", err)
	if capabilitiesLeft() == nil {
		fmt.Fprintln(&out, "capabilities none")
	} else {
		fmt.Fprintln(&out, "capabilities some")
	}
	nnp, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	fmt.Fprintln(&out, "no_new_privs", nnp)
	return out.String()
}

// workStorm has five thousand threads sleep at a time, or ends by asking for one too many.
func workStorm() string {
	var wg sync.WaitGroup
	for range 5000 {
		wg.Go(func() { unix.Nanosleep(&unix.Timespec{Sec: 5}, nil) })
	}
	wg.Wait()
	return "survived"
}

// workSpace maps address space that is not data, until that is refused, and says how many GiB there were.
func workSpace() string {
	for n := range 1024 {
		if _, err := unix.Mmap(-1, 0, 1<<30, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
			return fmt.Sprint("ok ", n, " ", unix.ErrnoName(err.(syscall.Errno)))
		}
	}
	return "survived"
}

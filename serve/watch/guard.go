package watch

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Role is the argument with which this program is the guard.
const Role = "watch-guard"

// Descriptors of the guard: beats come from the first, the second is the process that
// it kills.
const (
	beatsFD = 3
	pidFD   = 4
)

// Guard is the guard's main: it kills the process that started it if that does not beat
// for args[0] milliseconds, and ends with it. It opens nothing.
func Guard(args []string) int {
	if len(args) != 1 {
		return 2
	}
	ms, err := strconv.Atoi(args[0])
	if err != nil || ms < 1 {
		return 2
	}
	var b [64]byte
	for last := time.Now(); ; {
		left := time.Duration(ms)*time.Millisecond - time.Since(last)
		if left <= 0 {
			_ = unix.PidfdSendSignal(pidFD, unix.SIGKILL, nil, 0)
			return 1
		}
		p := []unix.PollFd{{Fd: beatsFD, Events: unix.POLLIN}}
		n, err := unix.Poll(p, int(left.Milliseconds())+1)
		if n < 1 || err != nil {
			continue
		}
		switch n, err := unix.Read(beatsFD, b[:]); {
		case n == 0 || err != nil && err != unix.EINTR:
			return 0 // its process has ended
		case n > 0:
			last = time.Now()
		}
	}
}

// guard is one that runs.
type guard struct {
	beats *os.File
	fd    int // of beats, so that a beat takes no lock
	c     *exec.Cmd
	ended chan struct{}
}

func startGuard(args []string, stall time.Duration) (*guard, error) {
	pid, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, err
	}
	self := os.NewFile(uintptr(pid), "self")
	defer self.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c := exec.Command("/proc/self/exe", append(args[1:len(args):len(args)], strconv.FormatInt(stall.Milliseconds(), 10))...)
	c.Args[0] = args[0]
	c.Env = []string{"GOMAXPROCS=1"}
	c.ExtraFiles = []*os.File{r, self}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what stops or ends the others at a terminal does not reach it
	if err := c.Start(); err != nil {
		w.Close()
		return nil, err
	}
	fd := int(w.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		w.Close()
		return nil, errors.Join(err, c.Process.Kill())
	}
	g := &guard{beats: w, fd: fd, c: c, ended: make(chan struct{})}
	go func() { _ = c.Wait(); close(g.ended) }()
	return g, nil
}

func (g *guard) beat() { _, _ = unix.Write(g.fd, []byte{1}) } // a full pipe has beats enough

func (g *guard) stop() {
	g.beats.Close()
	<-g.ended
}

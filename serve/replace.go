package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// heirVariable tells a process which sockets it is handed, and by whom: JSON.
const heirVariable = "SHOWCAUSE_SERVE_HEIR"

// will is what the process before this one hands over. The sockets are descriptors
// from 3 on, in order; the one behind them is a pipe that is written to when this one
// is ready.
type will struct {
	Pid     int      `json:"pid"`
	Sockets []Listen `json:"sockets"`
	Event   bool     `json:"event,omitempty"` // behind the pipe is the file of an event.Teller
}

// predecessor is the process whose place this one takes; nil if there is none.
type predecessor struct {
	will
	files []*os.File
	ready *os.File
	event *os.File // nil if there is none
}

// heir reads what is handed over.
func heir() (*predecessor, error) {
	text := os.Getenv(heirVariable)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(heirVariable)
	p := &predecessor{}
	if err := json.Unmarshal([]byte(text), &p.will); err != nil {
		return nil, fmt.Errorf("what is handed over: %w", err)
	}
	if p.Pid != os.Getppid() { // it is not for this process
		return nil, nil
	}
	for i := range p.Sockets {
		unix.CloseOnExec(firstGiven + i)
		p.files = append(p.files, os.NewFile(uintptr(firstGiven+i), p.Sockets[i].Address))
	}
	fd := firstGiven + len(p.Sockets)
	unix.CloseOnExec(fd)
	p.ready = os.NewFile(uintptr(fd), "ready")
	if p.Event {
		unix.CloseOnExec(fd + 1)
		p.event = os.NewFile(uintptr(fd+1), "virus event")
	}
	return p, nil
}

// take returns the open socket for a door, or nil.
func (p *predecessor) take(w Listen) *os.File {
	if p == nil {
		return nil
	}
	i := slices.IndexFunc(p.Sockets, func(s Listen) bool {
		return s.Door == w.Door && s.Network == w.Network && s.Address == w.Address
	})
	if i < 0 || p.files[i] == nil {
		return nil
	}
	f := p.files[i]
	p.files[i] = nil
	return f
}

// done closes what was not taken, and lets the process before this one stop.
func (p *predecessor) done() {
	for _, f := range p.files {
		if f != nil {
			f.Close()
		}
	}
	_, _ = p.ready.Write([]byte("ready\n")) // it may be gone
	p.ready.Close()
}

// heirTime is how long a new program may take until it is ready.
const heirTime = 5 * time.Minute

// replace starts the program anew, which may be another by now, and returns its
// process number once it answers. Until then, and if it does not, this process goes on.
func replace(program string, sockets []opened, event *os.File) (pid int, err error) {
	w := will{Pid: os.Getpid(), Event: event != nil}
	r, ready, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	defer ready.Close()
	// Descriptors are handed over as they are: os.File.Fd, which os/exec asks for them, makes
	// what both processes have wait in accept(2), where nothing but a client ends it.
	fds := []uintptr{0, 1, 2}
	defer func() {
		for _, fd := range fds[firstGiven:] {
			unix.Close(int(fd))
		}
	}()
	add := func(c syscall.Conn) error {
		fd, err := duplicate(c)
		if err == nil {
			fds = append(fds, uintptr(fd))
		}
		return err
	}
	for _, s := range sockets {
		l, ok := s.l.(syscall.Conn)
		if !ok {
			return 0, fmt.Errorf("door %s: its socket cannot be handed over", s.Door)
		}
		if err := add(l); err != nil {
			return 0, err
		}
		w.Sockets = append(w.Sockets, s.Listen)
	}
	if err := add(ready); err != nil {
		return 0, err
	}
	ready.Close()
	if event != nil {
		if err := add(event); err != nil {
			return 0, err
		}
	}
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	pid, _, err = syscall.StartProcess(program, os.Args, &syscall.ProcAttr{Env: append(os.Environ(), heirVariable+"="+string(text)), Files: fds})
	if err != nil {
		return 0, &os.PathError{Op: "start", Path: program, Err: err}
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	// The pipe's end is the other's alone now, so that its death shows.
	unix.Close(int(fds[firstGiven+len(sockets)]))
	fds = append(fds[:firstGiven+len(sockets)], fds[firstGiven+len(sockets)+1:]...)
	_ = r.SetReadDeadline(time.Now().Add(heirTime))
	said, err := io.ReadAll(io.LimitReader(r, 64))
	if strings.TrimSpace(string(said)) == "ready" {
		go func() { _, _ = process.Wait() }()
		return pid, nil
	}
	if err == nil {
		err = errors.New("it ended before it was ready")
	}
	_ = process.Kill()
	_, _ = process.Wait()
	return 0, fmt.Errorf("new program: %w", err)
}

// duplicate returns another descriptor of what is open.
func duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, firstGiven) })
	return fd, errors.Join(err, cerr)
}

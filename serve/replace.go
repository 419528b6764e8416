package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
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
	files := []*os.File{}
	defer func() {
		for _, f := range files {
			f.Close()
		}
		ready.Close()
	}()
	for _, s := range sockets {
		l, ok := s.l.(interface{ File() (*os.File, error) })
		if !ok {
			return 0, fmt.Errorf("door %s: its socket cannot be handed over", s.Door)
		}
		f, err := l.File()
		if err != nil {
			return 0, err
		}
		files = append(files, f)
		w.Sockets = append(w.Sockets, s.Listen)
	}
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	c := exec.Command(program, os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), heirVariable+"="+string(text))
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.ExtraFiles = append(slices.Clone(files), ready)
	if event != nil {
		c.ExtraFiles = append(c.ExtraFiles, event)
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	ready.Close()
	_ = r.SetReadDeadline(time.Now().Add(heirTime))
	said, err := io.ReadAll(io.LimitReader(r, 64))
	if strings.TrimSpace(string(said)) == "ready" {
		go func() { _ = c.Wait() }()
		return c.Process.Pid, nil
	}
	if err == nil {
		err = errors.New("it ended before it was ready")
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	return 0, fmt.Errorf("new program: %w", err)
}

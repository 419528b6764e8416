package worker

import (
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/jail"
)

// cause is why the broker ended a reader.
type cause uint8

const (
	causeNone     cause = iota
	causeTime           // a file took too long
	causeProtocol       // it said something that no reader says
	causeIdle           // nobody waits for its answers any more
	causeStart          // it was not ready in time
	causeClosed         // the pool is closed
)

// Codes for what ends a reader. The list is closed: of what a reader printed
// only which of these it means is taken over.
const (
	crashProtocol = showcause.Crash + ".protocol"
	crashExit     = showcause.Crash + ".exit"
	crashPanic    = showcause.Crash + ".panic"
	crashStack    = showcause.Crash + ".stack"
	crashSignal   = showcause.Crash + ".signal" // any but those of signalCode
)

// signalCode returns the code for the signal that a process died of.
func signalCode(s syscall.Signal) showcause.Code {
	switch s {
	case unix.SIGSEGV:
		return showcause.Crash + ".sigsegv"
	case unix.SIGBUS:
		return showcause.Crash + ".sigbus"
	case unix.SIGILL:
		return showcause.Crash + ".sigill"
	case unix.SIGFPE:
		return showcause.Crash + ".sigfpe"
	case unix.SIGABRT:
		return showcause.Crash + ".sigabrt"
	case unix.SIGTRAP:
		return showcause.Crash + ".sigtrap"
	case unix.SIGKILL:
		return showcause.Crash + ".sigkill"
	case unix.SIGTERM:
		return showcause.Crash + ".sigterm"
	case unix.SIGSYS:
		return showcause.Crash + ".sigsys" // a call that the jail does not allow
	case unix.SIGXFSZ:
		return showcause.Crash + ".sigxfsz"
	}
	return crashSignal
}

// classify gives the code for a reader's death.
func classify(c cause, exit jail.Exit, log string) showcause.Code {
	switch c {
	case causeTime:
		return showcause.LimitTime
	case causeProtocol:
		return crashProtocol
	}
	if exit.Signal != 0 {
		return signalCode(exit.Signal)
	}
	// What the runtime prints when it gives up (exit 2): package runtime, panic.go, malloc.go, stack.go, signal_unix.go.
	for _, w := range []struct {
		text string
		code showcause.Code
	}{
		{"out of memory", showcause.LimitMemory},
		{"cannot allocate memory", showcause.LimitMemory},
		{"stack overflow", crashStack},
		{"SIGSEGV", signalCode(unix.SIGSEGV)},
		{"SIGBUS", signalCode(unix.SIGBUS)},
		{"SIGABRT", signalCode(unix.SIGABRT)},
		{"SIGFPE", signalCode(unix.SIGFPE)},
		{"SIGILL", signalCode(unix.SIGILL)},
		{"panic:", crashPanic},
	} {
		if exit.Code == 2 && strings.Contains(log, w.text) {
			return w.code
		}
	}
	return crashExit
}

// lastWords keeps the start of what a reader writes to its log, where the
// runtime says why it gives up before it says where.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

const maxWords = 4 << 10

func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p[:min(len(p), maxWords-len(l.text))]...)
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// Incident is a reader that died, or said what no reader says, in a way that no
// file accounts for: it may have been taken over by any of the files that it had
// answered, and what it answered may be wrong.
type Incident struct {
	Code  showcause.Code // crash.protocol, crash.sigsys, or what it died of with nothing to read
	Files int            // that it had answered
}

// maxIncidents is how many are kept: one is reason enough.
const maxIncidents = 1000

// Incidents returns the incidents so far. After Close there are no more.
func (p *Pool) Incidents() []Incident {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.incidents)
}

// note keeps what is suspicious about a reader's end. Violations are, whatever it
// was reading: that file may be scanned well by another reader, and an earlier
// one be to blame. Other ends are if the reader was not reading. p.mu is held.
func (p *Pool) note(r *peer, reading bool, exit jail.Exit) {
	if len(p.incidents) >= maxIncidents {
		return
	}
	code := classify(r.cause, exit, r.log.String())
	switch {
	case exit.Signal == unix.SIGSYS:
		code = signalCode(exit.Signal)
	case r.cause == causeProtocol:
	case reading || r.cause != causeNone || exit == (jail.Exit{}):
		return
	}
	p.incidents = append(p.incidents, Incident{code, r.answered})
}

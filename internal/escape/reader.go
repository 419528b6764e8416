//go:build linux && (amd64 || arm64)

package escape

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/showcause/showcause/internal/jail"
)

// Command is the name of the hidden command that calls Reader.
const Command = "selftest-attempt"

// Work is the real thing: called before the lock, it loads what scanning needs
// and gives what reads one descriptor after it.
type Work func() (scan func(fd int) error, err error)

// errWork says that a workload did not do what it should.
var errWork = errors.New("work")

// CodeBase is the first exit code by which a reader says the outcome, should its
// pipe be gone; from there in the order of outcomes.
const CodeBase = 100

// What a reader says on descriptor 1, one line each.
const (
	SayLocked  = "\nescape locked "
	SayOutcome = "\nescape outcome "
)

// Reader is the reader's side: it prepares the attempt named, locks itself as a
// scanning reader does, makes the attempt and says what came of it. The result
// is the exit code. args are the name, the hints as JSON and what to leave out,
// separated by commas.
func Reader(args []string, work Work) int {
	runtime.LockOSThread()
	signal.Reset() // a reader leaves signals alone; the command that runs this may not
	if len(args) > 0 && args[0] == Landed {
		_, _ = unix.Write(1, []byte(Landed)) // who started this program watches the descriptor
		return 0
	}
	if len(args) != 3 {
		return 2
	}
	var h Hints
	if err := json.Unmarshal([]byte(args[1]), &h); err != nil {
		return 2
	}
	var without []string
	if args[2] != "" {
		without = strings.Split(args[2], ",")
	}
	if args[0] == Workload || args[0] == WorkloadSignal {
		return say(LetThrough, labour(args[0], h, without, work))
	}
	a, ok := Find(args[0])
	if !ok {
		return 2
	}
	outcome, detail := a.make(h, without)
	return say(outcome, detail)
}

// say reports an outcome.
func say(o Outcome, detail string) int {
	detail = strings.ReplaceAll(detail, "\n", " ")
	_, _ = unix.Write(1, []byte(SayOutcome+string(o)+"|"+detail+"\n")) // the exit code says it too
	return CodeBase + slices.Index(Outcomes(), o)
}

// make prepares, locks and tries.
func (a Attempt) make(h Hints, without []string) (Outcome, string) {
	if a.Skip != "" {
		return Skipped, a.Skip
	}
	g, err := newGround(h)
	if err != nil {
		return Unclear, err.Error()
	}
	if a.before != nil {
		if err := a.before(g); errors.Is(err, errSkip) {
			return Skipped, err.Error()
		} else if err != nil {
			return Unclear, "before the lock: " + err.Error()
		}
	}
	if a.Give == LeakedFile || a.Give == LeakedUDP {
		if h.Bare {
			g.keep = append(g.keep, 6)
		}
	}
	if err := lock(h, g.keep, without); err != nil {
		return Unclear, err.Error()
	}
	if a.Give == PassedFile || a.Give == PassedRW {
		if g.passed, err = receive(); err != nil {
			return Unclear, err.Error()
		}
	}
	return a.classify(a.try(g))
}

// limits of a reader of a self-test: more than any attempt needs, less than what filling attempts ask for.
const (
	readerMemory = 2 << 30
	readerFile   = 64 << 20
)

// lock puts up the walls and says which there are.
func lock(h Hints, keep []int, without []string) error {
	if h.Bare {
		_, err := unix.Write(1, []byte(SayLocked+"\n"))
		return err
	}
	st, err := jail.Lock(jail.Config{
		Own:    append([]int{jail.Null, jail.Result, jail.Log, jail.Control, jail.Rules, jail.Scratch}, keep...),
		Memory: readerMemory, FileSize: readerFile, Without: without,
	})
	if err != nil {
		return err
	}
	if !st.Sealed() && !slices.Contains(without, "seccomp") && !slices.Contains(without, "no_new_privs") {
		return fmt.Errorf("lock: not sealed")
	}
	_, err = unix.Write(1, []byte(SayLocked+hex.EncodeToString(st.Encode())+"\n"))
	return err
}

// Package jail takes from a process what it needs for going anywhere, and then
// lets it read hostile data.
//
// The broker starts readers ([Starter.Start]): in namespaces of their own where
// the kernel allows that, under a uid that owns nothing, with exactly the
// descriptors it names. A reader locks itself ([Lock]) before its first byte of
// input. From then on it has what OpenBSD would call pledge "stdio recvfd": it
// computes, takes descriptors from its control socket, reads them, and writes
// numbers to one pipe. There is no call left with which it could open a path,
// make a socket, start a program or signal another process; any attempt kills it.
//
// One wall is enough for that sentence: the list of system calls ([Table]),
// which every kernel since Linux 4.14 enforces for everybody. The others
// ([Walls]) stand behind it, as many as the kernel and the caller's rights
// allow, and [Status] says which are there and why one is not.
//
// Lock holds for the whole process, in one of two ways. Where no C is linked
// (the release), Landlock, capabilities and no_new_privs are applied to every
// thread by syscall.AllThreadsSyscall. Where C is linked (go test with a
// compiler installed), that is not to be had: seccomp still reaches every
// thread by its own means, and what does not is reported as not given.
package jail

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Descriptors of a reader. All but Scratch and Rest are there from the start.
const (
	Null    = 0 // /dev/null
	Result  = 1 // pipe: reports
	Log     = 2 // pipe: what the runtime prints when it dies
	Control = 3 // SOCK_SEQPACKET: jobs, each with its descriptors
	Rules   = 4 // sealed memory: the rule database, or what is read of it at start, mapped and closed before the lock
	Scratch = 5 // unlinked file, read and write
	Rest    = 6 // the rule database, read only: pages of it are read when they are asked for, and proven by sums in Rules
)

// ErrUnsupported says that there is no jail on this system: not Linux, or
// neither amd64 nor arm64.
var ErrUnsupported = errors.New("jail: not supported on this system")

// An Action is what the filter answers to a call on the list.
type Action string

// The actions of the table. NoSys makes a library fall back to an older call.
const (
	Allow Action = "allow"
	NoSys Action = "ENOSYS"
	eperm Action = "EPERM"  // of the roles that are not readers
	eaccs Action = "EACCES" // the same
	kill  Action = "kill"
)

// An Op compares an argument, all 64 bits of it.
type Op string

// The comparisons. NoneOf and AllOf take one mask of 32 bits; the upper half of the argument
// must be zero whatever is asked.
const (
	OneOf  Op = "in"
	NotIn  Op = "not in"
	NoneOf Op = "clear"
	AllOf  Op = "set"
)

// A Check is a condition on one argument of a call.
type Check struct {
	Name   string   `json:"name"` // "write.fd"; unique, for Config.Without
	Arg    int      `json:"arg"`  // 0 to 5
	Op     Op       `json:"op"`
	Values []uint64 `json:"values"`          // below 1<<32
	Owned  []string `json:"owned,omitempty"` // values that are known at the lock only: "self", "eventfd", "epoll"
}

// String writes the condition: "fd in 1, 2, eventfd".
func (c Check) String() string {
	_, name, _ := strings.Cut(c.Name, ".")
	var vs []string
	for _, v := range c.Values {
		if (c.Op == OneOf || c.Op == NotIn) && v < 1024 {
			vs = append(vs, strconv.FormatUint(v, 10))
		} else {
			vs = append(vs, fmt.Sprintf("%#x", v))
		}
	}
	return name + " " + string(c.Op) + " " + strings.Join(append(vs, c.Owned...), ", ")
}

// A Line is one system call that a locked reader may make. If one of its checks
// does not hold, the process is killed.
type Line struct {
	Name   string  `json:"name"`
	Nr     uint32  `json:"nr"` // on this architecture
	Action Action  `json:"action"`
	Checks []Check `json:"checks,omitempty"`
	Reason string  `json:"reason"`
	CGO    bool    `json:"cgo,omitempty"` // only where C is linked
}

// A Command is a reader to start.
type Command struct {
	Path    string     // "" means /proc/self/exe
	Args    []string   // Args[0] is the program's name
	Env     []string   // the whole environment; what the jail needs is added
	Files   []*os.File // descriptors 0 and up; nil leaves a number closed. The caller keeps its own copies
	Without []string   // as in Config, to which the same list is given; walls that are put up from outside are left out here
}

// A Process is a started reader.
type Process struct {
	Pid  int // as the caller sees it; inside it may be 1
	proc *os.Process
	wait func() (Exit, error)
}

// Kill ends the process with SIGKILL. A process that has ended is no error.
func (p *Process) Kill() error {
	if err := p.proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("reader %d: kill: %w", p.Pid, err)
	}
	return nil
}

// Wait waits until the process has ended, and reaps it. It may be called again,
// and from several goroutines: all get the same answer.
func (p *Process) Wait() (Exit, error) { return p.wait() }

// An Exit is how a process ended.
type Exit struct {
	Signal syscall.Signal // 0 if it ended by itself
	Code   int
}

// String writes "exit 2" or the number of the signal with its name.
func (e Exit) String() string {
	if e.Signal != 0 {
		return signalName(e.Signal)
	}
	return "exit " + strconv.Itoa(e.Code)
}

// A Config is what a reader keeps.
type Config struct {
	Own      []int    // descriptors to keep
	Memory   int64    // RLIMIT_DATA in bytes, and with 1 GiB more RLIMIT_AS beyond what is mapped at the lock; 0 for none. Go asks for memory in arenas of 64 MiB
	FileSize int64    // RLIMIT_FSIZE in bytes: how large the scratch may grow
	Files    int      // RLIMIT_NOFILE; 0 means 256
	Without  []string // walls, lines, checks and "arch" to leave out: selftest and tests only
}

// An EgressConfig is what the process that talks to the outside may touch.
type EgressConfig struct {
	Read  []string // files and directories, besides EgressPaths
	Write []string // directories in which it may write, create, rename and remove
	Ports []uint16 // TCP ports to connect to; nil means any
}

// An Offer is what this system can give.
type Offer struct {
	Kernel   string  `json:"kernel"` // uname -r
	Arch     string  `json:"arch"`
	Cgo      bool    `json:"cgo"`           // C is linked
	Seccomp  bool    `json:"seccomp"`       // filters that kill the process, for all threads at once
	Landlock int     `json:"landlock"`      // ABI, 0 for none
	Walls    []Given `json:"walls"`         // what a reader would get, one per Walls
	Why      string  `json:"why,omitempty"` // why readers cannot be locked; empty if they can
}

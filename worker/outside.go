package worker

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/showcause/showcause/internal/jail"
)

// facts are what the kernel says of a process (proc_pid_status(5)); -1 is a
// field that is not there.
type facts struct {
	mode, filters, noNewPrivs int
}

// factsOf reads the status of a process.
func factsOf(pid string) (facts, error) {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	return parseFacts(string(b)), err
}

func parseFacts(text string) facts {
	f := facts{-1, -1, -1}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			continue
		}
		switch name {
		case "Seccomp":
			f.mode = n
		case "Seccomp_filters": // since Linux 5.9
			f.filters = n
		case "NoNewPrivs":
			f.noNewPrivs = n
		}
	}
	return f
}

// sealedBeside tells what a locked process lacks, by what the kernel says of it
// and of this one: a filter more, and no_new_privs. A reader believes the answer
// to seccomp(2), which a supervisor may have given without putting a filter up.
func (f facts) sealedBeside(own facts) error {
	switch {
	case f.mode != -1 && f.mode != 2:
		return fmt.Errorf("%w: the kernel says that it has no filter (Seccomp: %d)", errUnsealed, f.mode)
	case f.filters != -1 && f.filters <= max(own.filters, 0):
		return fmt.Errorf("%w: the kernel says that it has no filter of its own (Seccomp_filters: %d)", errUnsealed, f.filters)
	case f.noNewPrivs != -1 && f.noNewPrivs != 1:
		return fmt.Errorf("%w: the kernel says that it may gain privileges (NoNewPrivs: %d)", errUnsealed, f.noNewPrivs)
	}
	return nil
}

// inspect looks at a reader from outside, once it says that it is locked. Where
// the processes of this user cannot be looked at (proc(5), hidepid), its word stands.
func inspect(proc Process) error {
	q, ok := proc.(*jail.Process)
	if !ok {
		return nil
	}
	f, err := factsOf(strconv.Itoa(q.Pid))
	if err != nil {
		return nil
	}
	own, err := factsOf("self")
	if err != nil {
		return nil
	}
	return f.sealedBeside(own)
}

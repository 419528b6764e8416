//go:build linux && (amd64 || arm64)

package stage

import (
	"slices"
	"strings"

	"github.com/showcause/showcause/internal/escape"
	"github.com/showcause/showcause/internal/jail"
)

// A proof says by which attempt one is to see that a wall or check is not
// vacuous: the attempt is stopped with it and not without it. Where other walls
// stop the same attempt as well, those are taken away in both runs.
type proof struct {
	target  string
	attempt string
	aside   []string
}

// proofs are tried in order for a target until one shows a difference: which of them can depends on
// whether the caller is root, and on the kernel.
func proofs() []proof {
	const s, l = "seccomp", "landlock"
	return []proof{
		{"user_ns", "tcp-broker", []string{s, l}},
		{"net_ns", "tcp-broker", []string{s, l}},
		{"pid_ns", "kill-broker", []string{s, l, "uid"}},
		{"pid_ns", "kill-broker", []string{s, l}},
		{"ipc_ns", "shmat-broker", []string{s}},
		{"mount_ns", "openat-read", []string{s, l}},
		{"mount_ns", "same-mnt", []string{s, l, "root"}},
		{"uts_ns", "same-uts", []string{s, l, "root"}},
		{"cgroup_ns", "same-cgroup", []string{s, l, "root"}},
		{"uid", "openat-others", []string{s, l, "root", "capabilities"}},
		{"descriptors", "read-leaked", nil},
		{"rlimits", "fill-disk", nil},
		{"dumpable", "dumpable", []string{s}},
		{"dumpable", "dumpable", []string{s, "uid"}}, // a change of uid after the start takes it too
		{"root", "openat-read", []string{s, l}},
		{"capabilities", "capset-all", []string{s}},
		{"no_new_privs", "setuid-program", []string{s, l, "root", "mount_ns", "user_ns"}},
		{"landlock", "openat-read", []string{s, "root"}},
		{"landlock", "openat-dirfd", []string{s}},
		{"seccomp", "socket-inet", nil},

		{"arch", "int80-time", nil},
		{"recvmsg.fd", "recvmsg-other", nil},
		{"close.fd", "close-and-receive-fd1", nil},
		{"write.fd", "write-passed", nil},
		{"read.fd", "read-pipe", nil},
		{"pwrite64.fd", "pwrite64-passed", nil},
		{"ftruncate.fd", "ftruncate-passed", nil},
		{"mmap.prot", "mmap-rwx", nil},
		{"mmap.flags", "mmap-passed", nil},
		{"mprotect.prot", "mprotect-exec", nil},
		{"madvise.advice", "madvise-cold", nil},
		{"futex.op", "futex-shared", nil},
		{"clone.flags", "fork", nil},
		{"tgkill.pid", "tgkill-broker", []string{l, "uid", "pid_ns"}},
		{"tgkill.pid", "tgkill-high", nil},
		{"epoll_pwait.fd", "epoll_pwait-other", nil},
	}
}

// kept says why a line or wall is there although a short run may not show it; "" if it must show.
func kept(name string) string {
	return map[string]string{
		"capabilities":    "readers that are started with some: with C linked, or without a mount namespace, they are not",
		"clock_gettime":   "machines whose clock is not in the vDSO",
		"restart_syscall": "a stop signal in the middle of a timed wait; the kernel makes the call, when it pleases",
		"munmap":          "the collector gives back whole ranges only now and then",
		"sched_yield":     "threads that meet at a short lock of the runtime",
		"nanosleep":       "the runtime's own watcher, which a short run may end before",
		"madvise":         "memory returned by the collector, in the background",
		"tgkill":          "loops without calls that the collector must interrupt",
		"getpid":          "goes with tgkill",
		"rt_sigreturn":    "goes with tgkill",
		"exit":            "a thread that ends, which is rare",
		"epoll_pwait":     "timers that an idle processor waits for",
		"read":            "the poller's wake-up counter, emptied when a timer is due earlier than the poller waits",
		"mprotect":        "glibc's heap, which grows when threads are many",
		"rseq":            "glibc's new threads, unless the kernel has no such call",
		"clone3":          "glibc's new threads; the Go runtime takes clone",
		"set_robust_list": "glibc's new threads",
	}[name]
}

// A Mutation is the evidence that one wall, line or check of the jail is not vacuous.
type Mutation struct {
	Kind    string   `json:"kind"` // "wall", "check", "line"
	Name    string   `json:"name"`
	Attempt string   `json:"attempt,omitempty"` // or "a scan": the work of a reader
	Aside   []string `json:"aside,omitempty"`   // taken away in both runs
	With    string   `json:"with,omitempty"`    // outcome with it
	Without string   `json:"without,omitempty"` // outcome without it
	Result  Evidence `json:"result"`
	Why     string   `json:"why,omitempty"`

	harmless bool // taking it away let nothing out and broke nothing
}

// Evidence is what a mutation shows.
type Evidence string

// All but NotProved are well.
const (
	Proved    Evidence = "proved"
	NotGiven  Evidence = "not given here" // the jail says so itself, with the reason
	KeptFor   Evidence = "kept for"       // rare; with the reason
	NotProved Evidence = "NOT PROVED"
)

// Mutations are all walls, checks and lines, without evidence yet, in the order of the jail's own tables.
func Mutations() []Mutation {
	var all []Mutation
	for _, w := range jail.Walls() {
		all = append(all, Mutation{Kind: "wall", Name: w.Name})
	}
	all = append(all, Mutation{Kind: "check", Name: "arch"})
	for _, l := range jail.Table() {
		for _, c := range l.Checks {
			all = append(all, Mutation{Kind: "check", Name: c.Name})
		}
	}
	for _, l := range jail.Table() {
		all = append(all, Mutation{Kind: "line", Name: l.Name})
	}
	return all
}

// Mutate fills in the evidence for m.
func (s *Stage) Mutate(m Mutation) Mutation {
	tried := false
	for _, p := range proofs() {
		if p.target != m.Name || m.Result == Proved {
			continue
		}
		tried = true
		m = s.prove(m, p)
	}
	if m.Kind == "line" && !tried {
		m = s.miss(m)
	}
	if m.Result == "" {
		m.Result = NotProved
	}
	if why := kept(m.Name); why != "" && m.Result == NotProved && m.harmless {
		m.Result, m.Why = KeptFor, why
	}
	return m
}

// prove makes the attempt with and without the target.
func (s *Stage) prove(m Mutation, p proof) Mutation {
	a, ok := escape.Find(p.attempt)
	if !ok {
		m.Why = "no attempt is called " + p.attempt
		return m
	}
	m.Attempt, m.Aside = p.attempt, p.aside
	with := s.Try(a, p.aside...)
	m.With = with.String()
	for _, g := range with.Status.Walls {
		if g.Wall == m.Name && !g.On {
			m.Result, m.Why, m.Without = NotGiven, g.Why, ""
			return m
		}
	}
	if with.Outcome == escape.Skipped {
		m.Result, m.Why, m.With = KeptFor, with.How, ""
		return m
	}
	without := s.Try(a, append(slices.Clone(p.aside), m.Name)...)
	m.Without = without.String()
	m.Result, m.harmless = NotProved, with.Stopped() && without.Stopped()
	if with.Stopped() && (without.Outcome == escape.Succeeded || without.Outcome == escape.LetThrough) {
		m.Result, m.Why = Proved, ""
	}
	return m
}

// tries is how often a workload is run to find that a line is missed, and rareTries if it is known to be rare.
const (
	tries     = 5
	rareTries = 2
)

// miss runs the work of a reader without the line: it must break.
func (s *Stage) miss(m Mutation) Mutation {
	m.Attempt = "a scan"
	if broke := s.whole(); broke != "" {
		m.With, m.Why = broke, "the work is not done even with the line"
		return m
	}
	m.With = escape.Worked
	n := tries
	if kept(m.Name) != "" {
		n = rareTries
	}
	for range n {
		for _, name := range []string{escape.Workload, escape.WorkloadSignal} {
			if broke := s.work(name, m.Name); broke != "" {
				m.Without, m.Result = broke, Proved
				if !strings.Contains(broke, "SIGSYS") {
					m.Result, m.Why = NotProved, "broken, but not by the filter"
				}
				return m
			}
		}
	}
	m.Without, m.harmless = escape.Worked, true
	return m
}

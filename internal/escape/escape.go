//go:build linux && (amd64 || arm64)

// Package escape is what a reader that was taken over would try: each Attempt
// is one way out of the jail, run inside a real reader after its lock.
//
// An attempt is made so that it succeeds, or at least reaches the kernel's own
// code, in a process that is not jailed; that is shown by a control run of the
// same attempt. So an answer such as EBADF or EINVAL is never taken for the
// jail's: each attempt names the answers of a kernel that was reached
// (LetThrough), and only a kill by SIGSYS, or an answer that a wall gives,
// counts as stopped.
//
//	broker (package stage)                            reader (Reader)
//	pipes, socketpair, sealed memfd, scratch   -->    before: what the attempt needs
//	                                                  jail.Lock
//	                                           <--    "locked", the walls given
//	a passed file, if wanted                   -->    try
//	judge: what arrived outside                <--    outcome, unless it was killed
//
// The numbers 1 to 32 are those of the project's list of escape attempts; from
// 33 on they are additions. Several attempts share a number when the list
// names several calls in one line, since the first call kills.
package escape

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// An Attempt is one way out. Attempts are data; List gives all of them.
type Attempt struct {
	Number int    // in the list of escape attempts; several attempts may share one
	Name   string // unique: "socket-inet"
	What   string // what is tried, in a few words

	// through are answers of a kernel that was reached: the call went through every wall and
	// only its own arguments, or what this kernel was built with, were in the way.
	through []unix.Errno
	// denied are answers by which a wall says no, besides EPERM and EACCES.
	denied []unix.Errno
	// Needs says what the attempt needs to succeed without the jail, if an ordinary
	// user of an ordinary kernel may lack it: "CAP_SYS_ADMIN". Empty: nothing.
	Needs string
	// Skip says why the attempt cannot be run at all on this architecture.
	Skip string
	Give Gift // what the broker hands the reader besides the usual

	before func(*ground) error // before the lock
	try    func(*ground) error // after it; nil: it succeeded
}

// A gift is something that the broker gives the reader besides the usual descriptors.
type Gift int

const (
	nothing       Gift = iota
	PassedFile         // a read-only descriptor of a regular file over the control socket, as for a scan
	PassedRW           // the same, writable: a mistake of the broker's
	QueuedRW           // the same, still in the control socket when the attempt begins
	LeakedFile         // descriptor 6: a readable file that was open in the broker
	SetuidProgram      // descriptor 6: a program with the set-user-id bit and without a name, where the broker can make one
	LeakedUDP          // descriptor 6: a datagram socket connected to the broker's listener
)

// An Outcome is what became of an attempt.
type Outcome string

// Killed and Denied are stopped; all others are not.
const (
	Killed     Outcome = "killed"
	Denied     Outcome = "denied"
	Succeeded  Outcome = "SUCCEEDED"
	LetThrough Outcome = "LET THROUGH" // the kernel answered on its own account
	Unclear    Outcome = "UNCLEAR"     // an answer that nobody expected, or none
	Skipped    Outcome = "not run"
)

// errSkip says that an attempt cannot be made on this machine, with or without a jail.
var errSkip = errors.New("not possible here")

// Outcomes are those that a reader can report, in the order of its exit codes from CodeBase on.
func Outcomes() []Outcome { return []Outcome{Succeeded, LetThrough, Denied, Skipped, Unclear} }

func skipf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// List is every attempt, in order of Number. Names are unique.
func List() []Attempt {
	all := slices.Concat(socketAttempts(), descriptorAttempts(), transferAttempts(), execAttempts(), processAttempts(),
		fileAttempts(), mountAttempts(), namespaceAttempts(), kernelAttempts(), ipcAttempts(), memoryAttempts(),
		metadataAttempts(), argumentAttempts(), limitAttempts(), identityAttempts(), wallAttempts(), archAttempts())
	slices.SortStableFunc(all, func(a, b Attempt) int { return a.Number - b.Number })
	return all
}

// Find gives an attempt by its name.
func Find(name string) (Attempt, bool) {
	for _, a := range List() {
		if a.Name == name {
			return a, true
		}
	}
	return Attempt{}, false
}

// classify says what an answer of try means.
func (a Attempt) classify(err error) (Outcome, string) {
	var errno unix.Errno
	switch {
	case err == nil:
		return Succeeded, ""
	case errors.Is(err, errSkip):
		return Skipped, err.Error()
	case !errors.As(err, &errno):
		return Unclear, err.Error()
	case slices.Contains(a.through, errno):
		return LetThrough, errName(errno)
	case errno == unix.EPERM || errno == unix.EACCES || slices.Contains(a.denied, errno):
		return Denied, errName(errno)
	}
	return Unclear, errName(errno)
}

func errName(e unix.Errno) string {
	if s := unix.ErrnoName(e); s != "" {
		return s
	}
	return fmt.Sprintf("errno %d", int(e))
}

//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (seccomp(2)); arguments are little-endian here.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

// Instructions of classic BPF that a filter needs.
const (
	opLoad   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opAbove  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opAnyBit = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	opAnd    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opReturn = unix.BPF_RET | unix.BPF_K
)

// x32Bit marks the numbers of the x32 ABI on amd64, which passes the check of
// the architecture. On arm64 no number has it.
const x32Bit = 0x40000000

// A policy is a filter before it is assembled.
type policy struct {
	lines    []Line
	arch     bool   // kill calls of another architecture
	x32      bool   // kill numbers with the x32 bit; an allow-list does that anyhow
	rest     Action // for calls that are not listed
	fail     Action // for calls with an argument that does not hold
	owned    map[string]uint64
	leaveOut []string // names of lines and checks
}

// readerPolicy is the filter of a locked reader. A line whose descriptor the
// reader does not have is taken out, so that the number means nothing should a
// file get it later.
func readerPolicy(own []int, owned map[string]uint64, leaveOut []string) policy {
	p := policy{arch: !slices.Contains(leaveOut, "arch"), rest: kill, fail: kill, owned: owned, leaveOut: leaveOut}
	for _, l := range Table() {
		if (l.Name == "pwrite64" || l.Name == "ftruncate") && !slices.Contains(own, Scratch) {
			continue
		}
		if l.Name == "close" {
			// Without a scratch a passed file may have its number, and so with the rest of the rules.
			values := &l.Checks[0].Values
			*values = slices.DeleteFunc(*values, func(v uint64) bool { return (v == Scratch || v == Rest) && !slices.Contains(own, int(v)) })
		}
		p.lines = append(p.lines, l)
	}
	return p
}

func verdict(a Action) uint32 {
	switch a {
	case Allow:
		return unix.SECCOMP_RET_ALLOW
	case NoSys:
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	case eperm:
		return unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	case eaccs:
		return unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
	}
	return unix.SECCOMP_RET_KILL_PROCESS
}

// assemble writes the filter: the architecture, then one block a line, each
// ending in its own answers, so that no jump leaves its block.
func (p policy) assemble() ([]unix.SockFilter, error) {
	out := []unix.SockFilter{}
	if p.arch {
		out = append(out, load(dataArch), jump(opEqual, auditArch, 1, 0), answer(kill))
	}
	out = append(out, load(dataNr))
	if p.x32 {
		out = append(out, jump(opAbove, x32Bit, 0, 1), answer(kill))
	}
	for _, l := range p.lines {
		if slices.Contains(p.leaveOut, l.Name) {
			continue
		}
		block, err := p.block(l)
		if err != nil {
			return nil, err
		}
		if len(block) > 255 {
			return nil, fmt.Errorf("filter: line %s: %d instructions", l.Name, len(block))
		}
		out = append(out, jump(opEqual, l.Nr, 0, uint8(len(block))))
		out = append(out, block...)
	}
	return append(out, answer(p.rest)), nil
}

// block checks the arguments of one line and answers.
func (p policy) block(l Line) ([]unix.SockFilter, error) {
	var checks [][]unix.SockFilter
	n := 0
	for _, c := range l.Checks {
		if slices.Contains(p.leaveOut, c.Name) {
			continue
		}
		code, err := p.check(c)
		if err != nil {
			return nil, err
		}
		checks = append(checks, code)
		n += len(code)
	}
	if n == 0 {
		return []unix.SockFilter{answer(l.Action)}, nil
	}
	var out []unix.SockFilter
	for _, code := range checks {
		out = append(out, code...)
		// What does not hold goes to the last instruction of the block.
		for i := range code {
			at := &out[len(out)-len(code)+i]
			far := uint8(n + 1 - (len(out) - len(code) + i) - 1)
			if at.Jt == fails {
				at.Jt = far
			}
			if at.Jf == fails {
				at.Jf = far
			}
		}
	}
	return append(out, answer(l.Action), answer(p.fail)), nil
}

// fails stands for the jump to the end of the block until its length is known.
const fails = 255

// check compares one argument. The upper half must be zero whatever is asked.
func (p policy) check(c Check) ([]unix.SockFilter, error) {
	values := slices.Clone(c.Values)
	for _, name := range c.Owned {
		v, ok := p.owned[name]
		if !ok {
			return nil, fmt.Errorf("filter: check %s: no %s", c.Name, name)
		}
		values = append(values, v)
	}
	if len(values) == 0 || c.Op != OneOf && c.Op != NotIn && len(values) != 1 || c.Arg < 0 || c.Arg > 5 {
		return nil, fmt.Errorf("filter: check %s: not well formed", c.Name)
	}
	for _, v := range values {
		if v > 1<<32-1 {
			return nil, fmt.Errorf("filter: check %s: value %#x has more than 32 bits", c.Name, v)
		}
	}
	low := uint32(dataArgs + 8*c.Arg)
	out := []unix.SockFilter{load(low + 4), jump(opEqual, 0, 0, fails), load(low)}
	switch c.Op {
	case OneOf:
		for i, v := range values {
			rest := uint8(len(values) - 1 - i)
			if rest == 0 {
				out = append(out, jump(opEqual, uint32(v), 0, fails))
			} else {
				out = append(out, jump(opEqual, uint32(v), rest, 0))
			}
		}
	case NotIn:
		for _, v := range values {
			out = append(out, jump(opEqual, uint32(v), fails, 0))
		}
	case NoneOf:
		out = append(out, jump(opAnyBit, uint32(values[0]), fails, 0))
	case AllOf:
		out = append(out, unix.SockFilter{Code: opAnd, K: uint32(values[0])}, jump(opEqual, uint32(values[0]), 0, fails))
	default:
		return nil, fmt.Errorf("filter: check %s: comparison %q", c.Name, c.Op)
	}
	return out, nil
}

func load(off uint32) unix.SockFilter { return unix.SockFilter{Code: opLoad, K: off} }
func answer(a Action) unix.SockFilter { return unix.SockFilter{Code: opReturn, K: verdict(a)} }
func jump(op uint16, k uint32, jt, jf uint8) unix.SockFilter {
	return unix.SockFilter{Code: op, Jt: jt, Jf: jf, K: k}
}

// install puts the filter on every thread of the process, or on none.
func install(prog []unix.SockFilter) error {
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if tid != 0 { // a thread with another filter than its siblings
		return fmt.Errorf("seccomp: thread %d: %w", tid, errThread)
	}
	return nil
}

// answers makes a call that only the filter answers with this errno: is it there?
// A supervisor can say that it was put up without doing so.
func answers(nr, arg uintptr, want syscall.Errno) error {
	if _, _, errno := unix.RawSyscall(nr, arg, 0, 0); errno != want {
		return fmt.Errorf("seccomp: %w", errHollow)
	}
	return nil
}

// errHollow is a filter that the kernel took and does not apply.
var errHollow = errors.New("installed, and not applied")

var errThread = errors.New("has a filter of its own")

// tryFilter puts a small filter on a thread of its own, which then ends, and sees
// whether it is applied. The thread is gone when it returns: one with another
// filter than its siblings would keep later filters away.
func tryFilter() error {
	prog, err := policy{lines: []Line{{Name: "probe", Nr: unix.SYS_SCHED_GET_PRIORITY_MAX, Action: NoSys}}, rest: Allow}.assemble()
	if err != nil {
		return err
	}
	type ended struct {
		tid int
		err error
	}
	done := make(chan ended)
	var try func()
	try = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		tid := unix.Gettid()
		if tid == unix.Getpid() { // the first thread would not end
			again := make(chan struct{})
			go func() { try(); close(again) }()
			<-again
			runtime.UnlockOSThread()
			return
		}
		done <- ended{tid, onThisThread(prog)}
	}
	go try()
	e := <-done
	for range 1000 {
		if unix.Tgkill(unix.Getpid(), e.tid, 0) != nil {
			return e.err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("seccomp: thread %d: does not end", e.tid)
}

func onThisThread(prog []unix.SockFilter) error {
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no_new_privs: %w", errno)
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return answers(unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SCHED_NORMAL, unix.ENOSYS)
}

// filters says that the kernel has filters that kill the whole process.
func filters() bool {
	act := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&act)))
	return errno == 0
}

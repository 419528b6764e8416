//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Token is what an attempt tries to carry out: its arrival anywhere outside is the proof.
const Token = "showcause-escape-token-5f1c"

// Hints is what an attacker who knows the broker well would know.
type Hints struct {
	Parent   int               // process id of the broker, in its own namespace
	Secret   uint64            // address in the broker's memory where token stands
	Target   uint64            // address in the broker's memory of 32 bytes that it watches
	SecretFD int               // descriptor in the broker of a file that holds token
	UDP, TCP int               // ports on 127.0.0.1 where the broker listens
	Abstract string            // abstract unix address where the broker listens
	Shm      int               // System V segment of the broker that anyone may attach; -1: none
	Dir      string            // a folder of the broker's that anyone may write
	Spaces   map[string]uint64 // inodes of the broker's namespaces
	Bare     bool              // a control run: no jail
}

// ground is what an attempt stands on: the hints, a piece of memory that is not
// the garbage collector's for the arguments of calls, and what before prepared.
type ground struct {
	Hints
	arena  []byte
	used   int
	keep   []int          // descriptors that Lock is told are the reader's own
	fds    map[string]int // the same by name
	vals   map[string]uintptr
	passed int // a descriptor that came over the control socket
	pages  map[string]page
}

func newGround(h Hints) (*ground, error) {
	arena, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|lowMap)
	if err != nil {
		return nil, fmt.Errorf("arena: %w", err)
	}
	return &ground{Hints: h, arena: arena, passed: -1, fds: map[string]int{}, vals: map[string]uintptr{}, pages: map[string]page{}}, nil
}

// mem gives n zeroed bytes that stay where they are, 16-byte aligned.
func (g *ground) mem(n int) uintptr {
	at := (g.used + 15) &^ 15
	if at+n > len(g.arena) {
		panic("escape: arena is full")
	}
	g.used = at + n
	clear(g.arena[at : at+n])
	return uintptr(unsafe.Pointer(&g.arena[at]))
}

// at gives the n bytes at an address that mem gave.
func (g *ground) at(p uintptr, n int) []byte {
	i := int(p - uintptr(unsafe.Pointer(&g.arena[0])))
	return g.arena[i : i+n]
}

func (g *ground) bytes(b []byte) uintptr {
	p := g.mem(len(b) + 1)
	copy(g.at(p, len(b)), b)
	return p
}

// str gives the address of a string that ends in NUL.
func (g *ground) str(s string) uintptr { return g.bytes([]byte(s)) }

// words gives the address of 64-bit words.
func (g *ground) words(w ...uintptr) uintptr {
	b := make([]byte, 0, 8*len(w))
	for _, v := range w {
		b = binary.NativeEndian.AppendUint64(b, uint64(v))
	}
	return g.bytes(b)
}

// ints gives the address of 32-bit words.
func (g *ground) ints(w ...uint32) uintptr {
	b := make([]byte, 0, 4*len(w))
	for _, v := range w {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return g.bytes(b)
}

// vec gives the address of one iovec over s, and s's.
func (g *ground) vec(s string) (iovec, buf uintptr) {
	buf = g.str(s)
	return g.words(buf, uintptr(len(s))), buf
}

// msg gives the address of a msghdr that carries s, with control data if it is not nil.
func (g *ground) msg(s string, control []byte) uintptr {
	iov, _ := g.vec(s)
	var ctl uintptr
	if len(control) > 0 {
		ctl = g.bytes(control)
	}
	// struct msghdr: name, namelen (and padding), iov, iovlen, control, controllen, flags
	return g.words(0, 0, iov, 1, ctl, uintptr(len(control)), 0)
}

// sys makes one system call, which may block.
func (g *ground) sys(nr uintptr, args ...uintptr) (uintptr, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return r, e
	}
	return r, nil
}

// call is sys for callers that need only the error.
func (g *ground) call(nr uintptr, args ...uintptr) error {
	_, err := g.sys(nr, args...)
	return err
}

// reads says nil if descriptor fd gives at least a byte at offset 0.
func (g *ground) reads(fd uintptr) error {
	n, err := g.sys(unix.SYS_PREAD64, fd, g.mem(64), 64, 0)
	if err == nil && n == 0 {
		return fmt.Errorf("descriptor opened, nothing read")
	}
	return err
}

// holds says nil if the bytes at p begin with token.
func (g *ground) holds(p uintptr) error {
	if !bytes.HasPrefix(g.at(p, len(Token)), []byte(Token)) {
		return fmt.Errorf("call made, token not there")
	}
	return nil
}

// own remembers a descriptor that before opened: Lock keeps it.
func (g *ground) own(name string, fd int, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	g.fds[name] = fd
	g.keep = append(g.keep, fd)
	return nil
}

func (g *ground) fd(name string) uintptr { return uintptr(g.fds[name]) }

// at-relative folder of the working directory, as an argument.
const atCwd = ^uintptr(0) - 99 // AT_FDCWD, -100

// minus one, as an argument.
const minus1 = ^uintptr(0)

// plain is an attempt that is one system call: success is its own answer.
func plain(number int, name, what string, nr uintptr, args func(g *ground) []uintptr, through ...unix.Errno) Attempt {
	return Attempt{Number: number, Name: name, What: what, through: through, try: func(g *ground) error {
		var a []uintptr
		if args != nil {
			a = args(g)
		}
		return g.call(nr, a...)
	}}
}

// fixed gives arguments that do not depend on the ground.
func fixed(args ...uintptr) func(*ground) []uintptr {
	return func(*ground) []uintptr { return args }
}

func (a Attempt) need(what string) Attempt               { a.Needs = what; return a }
func (a Attempt) gives(x Gift) Attempt                   { a.Give = x; return a }
func (a Attempt) prepared(f func(*ground) error) Attempt { a.before = f; return a }
func (a Attempt) answers(denied ...unix.Errno) Attempt   { a.denied = denied; return a }

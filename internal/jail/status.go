package jail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// A Given is one wall as it stands.
type Given struct {
	Wall string `json:"wall"`
	On   bool   `json:"on"`
	Why  string `json:"why,omitempty"` // why it is not there, or how far it reaches
	// Needless says that the wall is not there by design: another stands in its
	// place, or the role has no use for it. It is no fault of this system.
	Needless bool `json:"needless,omitempty"`

	code   code
	number uint16 // errno or Landlock ABI
}

// A Status is what a locked process has: one Given per wall, in the order of Walls.
type Status struct {
	Walls []Given `json:"walls"`
}

// Sealed says that the process has what suffices alone: no_new_privs and the
// filter of system calls.
func (s Status) Sealed() bool {
	return len(s.Walls) == wallCount && s.Walls[wallNoNewPrivs].On && s.Walls[wallSeccomp].On
}

// settleRoot corrects what root's start foresaw: that a uid of its own is in the place of a user namespace.
func (s Status) settleRoot() {
	if s.Walls[wallUserNS].code == codeRoot && !s.Walls[wallUID].On {
		s.Walls[wallUserNS] = given(wallUserNS, false, codeRootAlone, 0)
	}
}

// A code says why, in a closed list: a status crosses from a reader to the broker.
type code uint8

const (
	codeNone       code = iota
	codeLeftOut         // Config.Without
	codeErrno           // number: errno
	codeCgo             // C is linked, and the wall is one of threads
	codeStart           // not started by Start
	codeABI             // number: the Landlock ABI
	codeNoKernel        // the kernel has none
	codeRoot            // started by root, which gives a real uid instead
	codeCaller          // runs as the caller, who is nobody special
	codeUIDZero         // runs as root
	codeNested          // the root directory needs a mount namespace
	codeNotReader       // the role does not have this wall
	codeUnverified      // Start says so; the reader sees its parent's
	codeBounding        // number: errno of the bounding set
	codeInside          // the bounding set is that of the reader's own user namespace
	codeRefused         // number: errno of seccomp(2)
	codeHollow          // seccomp(2) says yes and puts up nothing
	codeProc            // /proc is not there
	codeNull            // /dev/null is not there
	codeRootAlone       // started by root, which has no other uid to give
	codeLast
)

// landlockReach says what an ABI adds (landlock(7), "ABI versions").
var landlockReach = [...]struct {
	abi  uint16
	what string
}{
	{1, "files"}, {4, "TCP"}, {5, "device ioctl"}, {6, "signals, abstract unix sockets"}, {9, "unix sockets by path"}, {10, "UDP"},
}

func (c code) text(number uint16) string {
	switch c {
	case codeLeftOut:
		return "left out"
	case codeErrno:
		return errnoName(syscall.Errno(number)) + ": not allowed here"
	case codeCgo:
		return "built with cgo"
	case codeStart:
		return "not started by the broker"
	case codeABI:
		s := fmt.Sprintf("ABI %d:", number)
		sep := " "
		for _, r := range landlockReach {
			if number >= r.abi {
				s += sep + r.what
				sep = ", "
			}
		}
		return s
	case codeNoKernel:
		return "this kernel has none"
	case codeRoot:
		return "started by root: a real uid instead"
	case codeCaller:
		return "runs as the caller"
	case codeUIDZero:
		return "runs as root"
	case codeNested:
		return "needs a mount namespace"
	case codeNotReader:
		return "not of this role"
	case codeUnverified:
		return "shared with the parent"
	case codeInside:
		return "bounding set full, inside its own user namespace only"
	case codeBounding:
		return "bounding set: " + errnoName(syscall.Errno(number))
	case codeRefused:
		return "refused: " + errnoName(syscall.Errno(number)) + " (a container's profile?)"
	case codeHollow:
		return "the kernel, or what watches over it, takes the filter and does not apply it"
	case codeProc:
		return "needs /proc"
	case codeNull:
		return "needs /dev/null"
	case codeRootAlone:
		return "started by root, which has no other uid to give here"
	}
	return ""
}

func given(wall int, on bool, c code, number uint16) Given {
	needless := !on && (c == codeRoot || c == codeCaller || c == codeNotReader)
	return Given{Wall: wallNames[wall], On: on, Why: c.text(number), Needless: needless, code: c, number: number}
}

// wallNames are the names of Walls, also where nothing is supported.
var wallNames = [wallCount]string{
	"user_ns", "net_ns", "pid_ns", "ipc_ns", "mount_ns", "uts_ns", "cgroup_ns", "uid",
	"descriptors", "rlimits", "dumpable", "root", "capabilities", "no_new_privs", "landlock", "seccomp",
}

// StatusSize is the length of an encoded Status: a wall is four bytes, which are
// 0 or 1, the code of its reason, and a number (little-endian).
const StatusSize = 4 * wallCount

// errStatus is what hostile bytes get.
var errStatus = errors.New("jail status: not one")

// Encode writes the status in StatusSize bytes.
func (s Status) Encode() []byte {
	b := make([]byte, StatusSize)
	for i, g := range s.Walls[:min(len(s.Walls), wallCount)] {
		if g.On {
			b[4*i] = 1
		}
		b[4*i+1] = byte(g.code)
		binary.LittleEndian.PutUint16(b[4*i+2:], g.number)
	}
	return b
}

// ParseStatus reads what Encode wrote. The bytes may be anybody's: each but one
// value of its closed list is an error.
func ParseStatus(b []byte) (Status, error) {
	if len(b) != StatusSize {
		return Status{}, errStatus
	}
	s := Status{Walls: make([]Given, wallCount)}
	for i := range s.Walls {
		on, c, n := b[4*i], code(b[4*i+1]), binary.LittleEndian.Uint16(b[4*i+2:])
		numbered := c == codeErrno || c == codeABI || c == codeBounding || c == codeRefused
		if on > 1 || c >= codeLast || n != 0 && !numbered || numbered && n > 4095 {
			return Status{}, errStatus
		}
		s.Walls[i] = given(i, on == 1, c, n)
	}
	return s, nil
}

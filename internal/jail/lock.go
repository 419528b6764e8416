//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A locker puts up the walls, one after the other, and notes each.
type locker struct {
	status  Status
	without []string
}

func newLocker(without []string) *locker {
	l := &locker{without: without}
	l.status.Walls = make([]Given, wallCount)
	for i, name := range wallNames {
		l.status.Walls[i].Wall = name
	}
	return l
}

// set notes a wall: there if err is nil, otherwise why not.
func (l *locker) set(wall int, err error) {
	switch {
	case err == nil:
		l.status.Walls[wall] = given(wall, true, codeNone, 0)
	case errors.Is(err, unix.ENOTSUP) && linksC():
		l.status.Walls[wall] = given(wall, false, codeCgo, 0)
	case errors.Is(err, errNested):
		l.status.Walls[wall] = given(wall, false, codeNested, 0)
	case errors.Is(err, errHollow):
		l.status.Walls[wall] = given(wall, false, codeHollow, 0)
	default:
		r := because(err)
		l.status.Walls[wall] = given(wall, false, r.code, r.number)
	}
}

// leftOut says that a wall is not wanted, and notes it.
func (l *locker) leftOut(wall int) bool {
	if !slices.Contains(l.without, wallNames[wall]) {
		return false
	}
	l.status.Walls[wall] = given(wall, false, codeLeftOut, 0)
	return true
}

// build puts one wall up, if it is wanted.
func (l *locker) build(wall int, f func() error) error {
	if l.leftOut(wall) {
		return nil
	}
	err := f()
	l.set(wall, err)
	return err
}

// Lock takes from the process all that a reader does not need. It is called
// once, before the first byte of input, and nothing undoes it. An error means
// that the process is not sealed: it must end without reading anything.
//
// Afterwards only the calls of [Table] are left: recvmsg on Control, pread and
// fstat on any descriptor, write to Result and Log, pwrite and ftruncate on
// Scratch. Files of package os, crypto/rand and anything else that needs another
// call kill the process.
func Lock(c Config) (Status, error) {
	l := newLocker(c.Without)
	if err := known(c.Without); err != nil {
		return l.status, fmt.Errorf("lock: %w", err)
	}
	if !slices.Contains(c.Without, wallNames[wallDumpable]) {
		// Before rights are dropped: without them, any process of the same uid could write to this one's memory.
		if err := Hide(); err != nil {
			return l.status, fmt.Errorf("lock: %w", err)
		}
	}
	if !strings.HasSuffix(os.Getenv("GODEBUG"), runtimeSettings) {
		return l.status, fmt.Errorf("lock: GODEBUG is not as Start sets it: %q", os.Getenv("GODEBUG"))
	}
	// Where C is linked, no_new_privs is this thread's until the filter spreads it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	settle()
	l.outside()
	owned, err := l.descriptors(c.Own)
	if err != nil {
		return l.status, fmt.Errorf("lock: descriptors: %w", err)
	}
	l.boundThreads()
	l.build(wallRlimits, func() error { return limits(c, l.threads()) })
	l.build(wallRoot, func() error { return l.root() })
	l.capabilities()
	l.status.settleRoot()
	l.build(wallDumpable, Hide) // again: a change of uid may have undone it (PR_SET_DUMPABLE(2const))
	if err := l.build(wallNoNewPrivs, func() error { return prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0) }); err != nil {
		return l.status, fmt.Errorf("lock: no_new_privs: %w", err)
	}
	l.landlock(ruleset{})
	err = l.build(wallSeccomp, func() error {
		prog, err := readerPolicy(c.Own, owned, c.Without).assemble()
		if err != nil {
			return err
		}
		if err := install(prog); err != nil {
			return err
		}
		return answers(unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SCHED_NORMAL, unix.ENOSYS)
	})
	if err != nil {
		return l.status, fmt.Errorf("lock: %w", err)
	}
	return l.status, nil
}

// Hide keeps processes of the same uid out of this one: no tracing, no opening
// of its memory and descriptors in /proc, no core file. It is the first statement
// of a reader's and of the egress role's main, so that little time is left before
// it; Lock and Egress begin with it as well. It may be called more than once.
func Hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	return nil
}

// known refuses names that leave nothing out: a test with a misspelt one would
// prove nothing.
func known(names []string) error {
	for _, n := range names {
		ok := n == "arch" || slices.Contains(wallNames[:], n)
		for _, line := range Table() {
			ok = ok || line.Name == n
			for _, c := range line.Checks {
				ok = ok || c.Name == n
			}
		}
		if !ok {
			return fmt.Errorf("without: nothing is called %q", n)
		}
	}
	return nil
}

// settle brings the runtime to where it needs no further descriptors: the first
// timer opens its poller, and a GOMAXPROCS that was set is never looked up
// again. A write beyond RLIMIT_FSIZE shall be an error and no signal.
func settle() {
	time.Sleep(time.Microsecond)
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	signal.Ignore(unix.SIGXFSZ)
}

// outside notes what Start gave, and looks for itself where that can be seen.
func (l *locker) outside() {
	said := strings.Split(os.Getenv(jailVariable), ",")
	for wall := range wallUID + 1 {
		var inode uint64
		r := reason{code: codeStart}
		if len(said) == wallUID+1 {
			if in, why, ok := parseReason(said[wall]); ok {
				inode, r = in, why
			}
		}
		if wall < namespaces && r.code == codeNone && inode != 0 && namespaceInode(nsFiles[wall]) == inode {
			r = reason{code: codeUnverified}
		}
		l.status.Walls[wall] = given(wall, r.code == codeNone, r.code, r.number)
	}
}

func parseReason(s string) (inode uint64, r reason, ok bool) {
	f := strings.Split(s, ".")
	if len(f) != 3 {
		return 0, r, false
	}
	inode, err1 := strconv.ParseUint(f[0], 10, 64)
	c, err2 := strconv.ParseUint(f[1], 10, 8)
	n, err3 := strconv.ParseUint(f[2], 10, 12)
	if errors.Join(err1, err2, err3) != nil || code(c) >= codeLast {
		return 0, r, false
	}
	return inode, reason{code(c), uint16(n)}, true
}

// errNested is the empty root's without a mount namespace.
var errNested = errors.New("no mount namespace")

// highest is where looking at single descriptors ends; all above are closed.
const highest = 1024

// descriptors closes all that is neither the reader's own nor the runtime's.
// What came through exec does not close on exec, what the runtime made does, and
// it is an anonymous inode: its poller, and the counter that wakes the poller.
func (l *locker) descriptors(own []int) (map[string]uint64, error) {
	owned := map[string]uint64{"self": uint64(unix.Getpid())}
	leftOut := l.leftOut(wallDescriptors)
	for fd := range highest {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || slices.Contains(own, fd) {
			continue
		}
		if flags&unix.FD_CLOEXEC != 0 {
			if kind := pollerKind(fd); kind != "" {
				if _, twice := owned[kind]; twice {
					return nil, fmt.Errorf("two of %s", kind)
				}
				owned[kind] = uint64(fd)
				continue
			}
		}
		if !leftOut {
			unix.Close(fd)
		}
	}
	if !leftOut {
		l.set(wallDescriptors, closeFrom(own))
	}
	for _, kind := range []string{"epoll", "eventfd"} {
		if _, ok := owned[kind]; !ok {
			return nil, fmt.Errorf("the runtime's %s is not seen in /proc/self/fd", kind)
		}
	}
	return owned, nil
}

// pollerKind tells the runtime's epoll and eventfd by their name in /proc.
func pollerKind(fd int) string {
	target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	switch {
	case err != nil:
		return ""
	case target == "anon_inode:[eventpoll]":
		return "epoll"
	case target == "anon_inode:[eventfd]":
		return "eventfd"
	}
	return ""
}

// closeFrom closes the descriptors from highest on.
func closeFrom(own []int) error {
	if slices.Max(append([]int{0}, own...)) >= highest {
		return unix.EBADF
	}
	if err := unix.CloseRange(highest, 1<<32-1, 0); err == nil {
		return nil
	}
	// Before Linux 5.9.
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	for fd := highest; uint64(fd) < min(lim.Max, 1<<20); fd++ {
		unix.Close(fd)
	}
	return nil
}

// Bounds of what a reader may have. The Go runtime has some ten threads.
const (
	threadsAlone  = 256  // of a user who is alone in a namespace
	threadsShared = 4096 // of all readers together, and whoever else runs as their uid
	threadNumbers = 1024 // of one reader, where the kernel counts a namespace's numbers

	// room is address space beyond what is there at the lock and RLIMIT_DATA: the Go runtime reserves arenas of
	// 64 MiB before it uses them.
	room = 1 << 30
)

// threads is the bound that RLIMIT_NPROC can be, 0 for none. It counts the
// threads of a user, in a user namespace those inside. The caller's own other
// programs must not come into it.
func (l *locker) threads() uint64 {
	switch {
	case l.status.Walls[wallUserNS].On:
		return threadsAlone
	case l.status.Walls[wallUID].On:
		return threadsShared
	}
	return 0
}

// boundThreads bounds the thread numbers in the reader's own pid namespace,
// which the kernel counts since Linux 6.14. Before, the file is that of the whole
// machine, and belongs to root: so neither root nor an older kernel is given it.
// Where it cannot be, RLIMIT_NPROC is left.
func (l *locker) boundThreads() {
	if slices.Contains(l.without, wallNames[wallRlimits]) || !l.status.Walls[wallPidNS].On || unix.Getpid() != 1 || unix.Geteuid() == 0 || !since(6, 14) {
		return
	}
	fd, err := unix.Open("/proc/sys/kernel/pid_max", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte(strconv.Itoa(threadNumbers)))
	unix.Close(fd)
}

// since says that the kernel is of a release or later.
func since(major, minor int) bool {
	var u unix.Utsname
	var a, b int
	if unix.Uname(&u) != nil {
		return false
	}
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}

// addressSpace is the size of the process's mappings now, in bytes.
func addressSpace() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseUint(pages, 10, 40)
	if err != nil {
		return 0, fmt.Errorf("statm: %w", err)
	}
	return n * uint64(os.Getpagesize()), nil
}

// limits bounds what the process can use up. RLIMIT_DATA counts memory, and
// RLIMIT_AS what is mapped, so that page tables over pages that are no data are
// bounded as well.
func limits(c Config, threads uint64) error {
	files := uint64(c.Files)
	if c.Files <= 0 {
		files = 256
	}
	want := []struct {
		what int
		max  uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_MEMLOCK, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_NICE, 0},
		{unix.RLIMIT_RTPRIO, 0},
		{unix.RLIMIT_NOFILE, files},
		{unix.RLIMIT_FSIZE, uint64(max(c.FileSize, 0))},
	}
	type limit = struct {
		what int
		max  uint64
	}
	var failed error
	if threads > 0 {
		want = append(want, limit{unix.RLIMIT_NPROC, threads})
	}
	if c.Memory > 0 {
		want = append(want, limit{unix.RLIMIT_DATA, uint64(c.Memory)})
		if there, err := addressSpace(); err != nil {
			failed = err
		} else {
			want = append(want, limit{unix.RLIMIT_AS, there + uint64(c.Memory) + room})
		}
	}
	for _, w := range want {
		var have unix.Rlimit
		if err := unix.Getrlimit(w.what, &have); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		low := min(w.max, have.Max)
		if err := unix.Setrlimit(w.what, &unix.Rlimit{Cur: low, Max: low}); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// root makes an empty read-only file system the root, and lets go of the old one
// (pivot_root(2), "pivot_root(".", ".")"). All threads share the root.
func (l *locker) root() error {
	if !l.status.Walls[wallMountNS].On {
		return errNested
	}
	if linksC() && unix.Geteuid() != 0 {
		return unix.ENOTSUP // it would take capabilities that cannot be dropped
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private: %w", err)
	}
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	var err error
	for _, dir := range []string{"/proc", "/tmp", "/dev", "/usr"} {
		if err = unix.Mount("none", dir, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555"); err != nil {
			continue
		}
		if err = unix.Chdir(dir); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("empty: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("old root: %w", err)
	}
	return unix.Chdir("/")
}

// capabilities drops what the reader was started with. Root without the right
// to give a real uid at the start gives it here.
func (l *locker) capabilities() {
	if unix.Geteuid() == 0 && !slices.Contains(l.without, wallNames[wallUID]) {
		l.dropUID()
	}
	l.dropAll()
}

// dropAll empties the sets of capabilities on all threads.
func (l *locker) dropAll() {
	if l.leftOut(wallCapabilities) {
		return
	}
	inside := l.status.Walls[wallUserNS].On
	var bounding error
	if !inside {
		bounding = dropBounding()
	}
	err := dropCapabilities()
	if err == nil || errors.Is(err, unix.ENOTSUP) {
		if left := capabilitiesLeft(); left == nil {
			err = nil
		}
	}
	l.set(wallCapabilities, err)
	switch {
	case err != nil:
	case inside:
		l.status.Walls[wallCapabilities] = given(wallCapabilities, true, codeInside, 0)
	case bounding != nil:
		l.status.Walls[wallCapabilities] = given(wallCapabilities, true, codeBounding, because(bounding).number)
	}
}

func (l *locker) dropUID() {
	// The kernel refuses setgroups where the groups cannot be others' anyhow.
	_ = syscall.Setgroups(nil)
	err := syscall.Setresgid(nobody, nobody, nobody)
	if err == nil {
		err = syscall.Setresuid(nobody, nobody, nobody)
	}
	if err != nil {
		l.status.Walls[wallUID] = given(wallUID, false, codeUIDZero, 0)
		return
	}
	l.set(wallUID, nil)
	// The kernel forgets the parent-death signal with the uid.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// dropBounding empties the bounding set, which takes CAP_SETPCAP. It bounds what
// starting a program may give, so it is the last thing to matter here. A new user
// namespace comes with a full one that counts only inside; that is let be, since
// each capability is a call on every thread.
func dropBounding() error {
	for c := uintptr(0); c < 64; c++ {
		have, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			return nil // beyond the last
		}
		if have == 0 {
			continue
		}
		if err := everywhere(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); err != nil {
			return err
		}
	}
	return nil
}

// dropCapabilities empties the permitted, effective and inheritable sets, and so
// the ambient one, which the kernel keeps below them (capabilities(7)).
func dropCapabilities() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	err := everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none[0])), 0)
	runtime.KeepAlive(&hdr)
	runtime.KeepAlive(&none)
	return err
}

// capabilitiesLeft looks: an error unless the three sets are empty.
func capabilitiesLeft() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return err
	}
	if have != ([2]unix.CapUserData{}) {
		return unix.EPERM
	}
	return nil
}

//go:build linux && (amd64 || arm64)

package jail

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A call is what a filter sees: struct seccomp_data (seccomp(2)).
type call struct {
	nr, arch uint32
	args     [6]uint64
}

// evaluate is a machine for the instructions of the filters, written from
// bpf(4) and seccomp(2). It fails on what the kernel would not load.
func evaluate(t *testing.T, prog []unix.SockFilter, c call) uint32 {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[0:], c.nr)
	binary.LittleEndian.PutUint32(data[4:], c.arch)
	for i, a := range c.args {
		binary.LittleEndian.PutUint64(data[16+8*i:], a)
	}
	var acc uint32
	for pc := 0; ; {
		if pc >= len(prog) {
			t.Fatalf("filter runs off its end at %d of %d: %+v", pc, len(prog), c)
		}
		in := prog[pc]
		pc++
		taken := false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if in.K%4 != 0 || in.K > 60 {
				t.Fatalf("load at %d", in.K)
			}
			acc = binary.LittleEndian.Uint32(data[in.K:])
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			taken = acc == in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			taken = acc >= in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			taken = acc&in.K != 0
		default:
			t.Fatalf("instruction %#x", in.Code)
		}
		if taken {
			pc += int(in.Jt)
		} else {
			pc += int(in.Jf)
		}
	}
}

// wrongArchs are other architectures that a call may come from.
var wrongArchs = []uint32{
	unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_RISCV64,
	unix.AUDIT_ARCH_X86_64 &^ 0x40000000, 0, 1<<32 - 1,
}

var testOwned = map[string]uint64{"self": 4711, "eventfd": 7, "epoll": 6}

// holds is the naive reading of a check.
func holds(c Check, v uint64) bool {
	values := slices.Clone(c.Values)
	for _, o := range c.Owned {
		values = append(values, testOwned[o])
	}
	switch c.Op {
	case OneOf:
		return slices.Contains(values, v)
	case NotIn:
		return v>>32 == 0 && !slices.Contains(values, v)
	case NoneOf:
		return v>>32 == 0 && v&values[0] == 0
	case AllOf:
		return v>>32 == 0 && v&values[0] == values[0]
	}
	panic("op")
}

// interesting are values of arguments at the edges of the checks, and around them.
func interesting(lines []Line) []uint64 {
	set := map[uint64]bool{}
	add := func(v uint64) {
		for _, x := range []uint64{v, v + 1, v - 1, v | 1<<32, v | 1<<63, v << 32, ^v, v | 4} {
			set[x] = true
		}
	}
	for i := range 40 {
		add(1 << i)
	}
	for _, l := range lines {
		for _, c := range l.Checks {
			for _, v := range c.Values {
				add(v)
			}
		}
	}
	for _, v := range testOwned {
		add(v)
	}
	var out []uint64
	for v := range set {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// TestFilter holds the assembled filter against the table: for every number, every
// architecture, and arguments at every edge, exactly what the table says passes.
func TestFilter(t *testing.T) {
	for _, own := range [][]int{{0, 1, 2, 3, 4, 5, 6}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 6}, {0, 1, 2, 3}} {
		p := readerPolicy(own, testOwned, nil)
		prog, err := p.assemble()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d lines, %d instructions", len(p.lines), len(prog))
		listed := map[uint32]Line{}
		for _, l := range p.lines {
			listed[l.Nr] = l
		}
		if _, ok := listed[unix.SYS_PWRITE64]; ok != slices.Contains(own, Scratch) {
			t.Errorf("pwrite64 listed: %v, descriptors %v", ok, own)
		}
		values := interesting(p.lines)
		for nr := range uint32(1024) {
			l, ok := listed[nr]
			want := uint32(unix.SECCOMP_RET_KILL_PROCESS)
			if ok && !slices.ContainsFunc(l.Checks, func(c Check) bool { return !holds(c, 0) }) {
				want = verdict(l.Action)
			}
			if got := evaluate(t, prog, call{nr: nr, arch: auditArch}); got != want {
				t.Errorf("call %d (%s): %#x, want %#x", nr, l.Name, got, want)
			}
			for _, bit := range []uint32{x32Bit, 1 << 31, 1 << 30, 1 << 29} {
				if got := evaluate(t, prog, call{nr: nr | bit, arch: auditArch}); got != unix.SECCOMP_RET_KILL_PROCESS {
					t.Errorf("call %#x: %#x", nr|bit, got)
				}
			}
			for _, a := range wrongArchs {
				if a == auditArch {
					continue
				}
				if got := evaluate(t, prog, call{nr: nr, arch: a}); got != unix.SECCOMP_RET_KILL_PROCESS {
					t.Errorf("call %d of %#x: %#x", nr, a, got)
				}
			}
		}
		for _, l := range p.lines {
			testChecks(t, prog, l, values)
		}
	}
}

// testChecks varies each argument with the others right, against the naive reading.
func testChecks(t *testing.T, prog []unix.SockFilter, l Line, values []uint64) {
	t.Helper()
	good := call{nr: l.Nr, arch: auditArch}
	for _, c := range l.Checks {
		v := uint64(0)
		for !holds(c, v) {
			v = values[slices.IndexFunc(values, func(x uint64) bool { return holds(c, x) })]
		}
		good.args[c.Arg] = v
	}
	if got := evaluate(t, prog, good); got != verdict(l.Action) {
		t.Errorf("%s: good arguments %#x: %#x", l.Name, good.args, got)
	}
	for arg := range 6 {
		for _, v := range values {
			c := good
			c.args[arg] = v
			want := verdict(l.Action)
			for _, ch := range l.Checks {
				if !holds(ch, c.args[ch.Arg]) {
					want = unix.SECCOMP_RET_KILL_PROCESS
				}
			}
			if got := evaluate(t, prog, c); got != want {
				t.Errorf("%s: argument %d %#x: %#x, want %#x", l.Name, arg, v, got, want)
			}
		}
	}
}

// TestTable holds the table to its form: names and numbers once, each with its
// reason, each check named after its line.
func TestTable(t *testing.T) {
	names, numbers := map[string]bool{"arch": true}, map[uint32]bool{}
	for _, w := range Walls() {
		if names[w.Name] || w.Reason == "" {
			t.Errorf("wall %q", w.Name)
		}
		names[w.Name] = true
	}
	for i, w := range Walls() {
		if wallNames[i] != w.Name {
			t.Errorf("wall %d: %s and %s", i, wallNames[i], w.Name)
		}
	}
	if len(Walls()) != wallCount {
		t.Errorf("%d walls", len(Walls()))
	}
	for _, l := range Table() {
		if names[l.Name] || numbers[l.Nr] || l.Reason == "" || l.Action == "" {
			t.Errorf("line %+v", l)
		}
		names[l.Name], numbers[l.Nr] = true, true
		for _, c := range l.Checks {
			if names[c.Name] || len(c.Name) <= len(l.Name) || c.Name[:len(l.Name)+1] != l.Name+"." {
				t.Errorf("%s: check %q", l.Name, c.Name)
			}
			names[c.Name] = true
		}
		if l.CGO && !cgo {
			t.Errorf("%s: in a build without C", l.Name)
		}
	}
	for name := range names {
		if err := known([]string{name}); err != nil {
			t.Error(err)
		}
	}
	if known([]string{"wrte"}) == nil {
		t.Error("a misspelt name is accepted")
	}
}

// TestWithout shows that leaving a line or a check out does that and no more.
func TestWithout(t *testing.T) {
	own := []int{0, 1, 2, 3, 4, 5}
	wrong := ^uint64(0) >> 33 << 1 // in no list, every low bit but the first set
	for _, l := range Table() {
		prog, err := readerPolicy(own, testOwned, []string{l.Name}).assemble()
		if err != nil {
			t.Fatal(err)
		}
		if got := evaluate(t, prog, call{nr: l.Nr, arch: auditArch}); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("without %s: %#x", l.Name, got)
		}
		var names []string
		for _, c := range l.Checks {
			names = append(names, c.Name)
		}
		if prog, err = readerPolicy(own, testOwned, names).assemble(); err != nil {
			t.Fatal(err)
		}
		if got := evaluate(t, prog, call{nr: l.Nr, arch: auditArch, args: [6]uint64{wrong, wrong, wrong, wrong, wrong, wrong}}); got != verdict(l.Action) {
			t.Errorf("without checks of %s: %#x", l.Name, got)
		}
	}
	prog, err := readerPolicy(own, testOwned, []string{"arch"}).assemble()
	if err != nil {
		t.Fatal(err)
	}
	if got := evaluate(t, prog, call{nr: unix.SYS_MUNMAP, arch: unix.AUDIT_ARCH_I386}); got != unix.SECCOMP_RET_ALLOW {
		t.Errorf("without arch: %#x", got)
	}
}

// TestRoles evaluates the filters of the broker and of the egress role.
func TestRoles(t *testing.T) {
	const killed, allow = unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_ALLOW
	const perm, acces, nosys = unix.SECCOMP_RET_ERRNO | 1, unix.SECCOMP_RET_ERRNO | 13, unix.SECCOMP_RET_ERRNO | 38
	tcp := [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}
	for _, c := range []struct {
		what           string
		call           call
		broker, egress uint32
	}{
		{"tcp", call{nr: unix.SYS_SOCKET, args: tcp}, acces, allow},
		{"udp6", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, 17}}, acces, allow},
		{"mptcp", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_INET, unix.SOCK_STREAM, 262}}, acces, acces},
		{"raw", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_INET, unix.SOCK_RAW, 1}}, acces, acces},
		{"netlink", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM}}, acces, acces},
		{"vsock", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}}, acces, acces},
		{"unix", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}}, allow, acces},
		{"unix, high half", call{nr: unix.SYS_SOCKET, args: [6]uint64{unix.AF_UNIX | 1<<32, unix.SOCK_STREAM}}, acces, acces},
		{"pair", call{nr: unix.SYS_SOCKETPAIR, args: [6]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}}, allow, perm},
		{"pair of tipc", call{nr: unix.SYS_SOCKETPAIR, args: [6]uint64{unix.AF_TIPC, unix.SOCK_SEQPACKET}}, acces, perm},
		{"exec", call{nr: unix.SYS_EXECVE}, allow, perm},
		{"thread", call{nr: unix.SYS_CLONE, args: [6]uint64{threadFlagsC}}, allow, allow},
		{"process", call{nr: unix.SYS_CLONE, args: [6]uint64{unix.CLONE_VM | unix.CLONE_VFORK}}, allow, acces},
		{"clone3", call{nr: unix.SYS_CLONE3}, allow, nosys},
		{"io_uring", call{nr: unix.SYS_IO_URING_SETUP}, perm, perm},
		{"ptrace", call{nr: unix.SYS_PTRACE}, perm, perm},
		{"bpf", call{nr: unix.SYS_BPF}, perm, perm},
		{"open", call{nr: unix.SYS_OPENAT}, allow, allow},
		{"x32", call{nr: unix.SYS_OPENAT | x32Bit}, killed, killed},
		{"x32 socket", call{nr: unix.SYS_SOCKET | x32Bit}, killed, killed},
		{"other", call{nr: unix.SYS_OPENAT, arch: unix.AUDIT_ARCH_I386}, killed, killed},
	} {
		if c.call.arch == 0 {
			c.call.arch = auditArch
		}
		for _, role := range []struct {
			name string
			p    policy
			want uint32
		}{{"broker", brokerPolicy(), c.broker}, {"egress", egressPolicy(), c.egress}} {
			prog, err := role.p.assemble()
			if err != nil {
				t.Fatal(err)
			}
			if got := evaluate(t, prog, c.call); got != role.want {
				t.Errorf("%s: %s: %#x, want %#x", role.name, c.what, got, role.want)
			}
		}
	}
}

// TestAssemble refuses checks that would not say what they seem to.
func TestAssemble(t *testing.T) {
	for i, c := range []Check{
		{Name: "x.a", Op: OneOf},
		{Name: "x.a", Op: OneOf, Owned: []string{"nobody"}},
		{Name: "x.a", Op: NoneOf, Values: []uint64{1, 2}},
		{Name: "x.a", Op: OneOf, Values: []uint64{1 << 32}},
		{Name: "x.a", Op: "about", Values: []uint64{1}},
		{Name: "x.a", Arg: 6, Op: OneOf, Values: []uint64{1}},
	} {
		p := policy{lines: []Line{{Name: "x", Checks: []Check{c}}}, rest: kill, fail: kill}
		if _, err := p.assemble(); err == nil {
			t.Errorf("%d: %s accepted", i, fmt.Sprint(c))
		}
	}
	var many []uint64
	for i := range 300 {
		many = append(many, uint64(i))
	}
	p := policy{lines: []Line{{Name: "x", Checks: []Check{{Name: "x.a", Op: OneOf, Values: many}}}}}
	if _, err := p.assemble(); err == nil {
		t.Error("a block too long for its jumps is accepted")
	}
}
